#!/usr/bin/python
# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: nmi_info
short_description: Find installations of AAD Pod Identity and see whether they serve
version_added: 1.0.0
author:
  - azureops.pod_identity contributors (@azureops)
description:
  - Finds every NMI of a cluster by the program that it runs, whoever installed it and under whatever name, in
    C(kube-system) and in namespaces where a ClusterRoleBinding gives service accounts the rights of MIC or NMI.
    Elsewhere a workload only looks like it.
  - Says who manages it, whether MIC has a leader, and node by node whether NMI intercepts requests for tokens. NMI's
    health probe answers even where it does not, so the module reads what it says.
extends_documentation_fragment:
  - azureops.pod_identity._kubernetes_auth
  - azureops.pod_identity._attributes
  - azureops.pod_identity._attributes.info_module
  - azureops.pod_identity._attributes.actiongroup_kubernetes
options:
  compare_release:
    description:
      - Whether to compare each DaemonSet and its MIC with the record of their helm release, as
        RV(installations[].changed_fields).
      - Needs to list secrets in the namespace of the release.
    type: bool
    default: false
notes:
  - Needs to list daemonsets, deployments, nodes and pods, to get endpoints, and to get pods/proxy where NMI runs.
  - Where NMI is missing on a node, the events of its DaemonSet tell why, if they may be listed.
  - Who may not list clusterroles and clusterrolebindings finds whatever looks like NMI, and is told so in RV(unread).
seealso:
  - module: azureops.pod_identity.pod_token_info
"""

EXAMPLES = r"""
- name: Look for NMI
  azureops.pod_identity.nmi_info:
    kubeconfig: /etc/ansible/prod.kubeconfig
  register: found

- name: Fail unless exactly one serves on every node
  ansible.builtin.assert:
    that:
      - found.installations | length == 1
      - found.installations[0].serving
"""

RETURN = r"""
installations:
  description: One entry per DaemonSet that runs NMI.
  returned: success
  type: list
  elements: dict
  contains:
    namespace:
      description: Namespace of the DaemonSet.
      returned: always
      type: str
      sample: default
    name:
      description: Name of the DaemonSet.
      returned: always
      type: str
      sample: aad-pod-identity-nmi
    version:
      description: Tag of NMI's image; empty where the image is named by digest.
      returned: always
      type: str
      sample: v1.8.17
    managed_by:
      description: Who installed it, V(helm), V(flux), V(argo), V(addon) (of AKS) or V(manifests).
      returned: always
      type: str
      sample: helm
    release_name:
      description: Name of the helm release; empty where there is none.
      returned: always
      type: str
      sample: aad-pod-identity
    release_namespace:
      description: Namespace of the helm release; empty where there is none.
      returned: always
      type: str
      sample: default
    operation_mode:
      description: Mode of NMI, V(standard) or V(managed).
      returned: always
      type: str
      sample: standard
    mic:
      description: Name of MIC's Deployment; empty where there is none.
      returned: always
      type: str
      sample: aad-pod-identity-mic
    mic_leader:
      description: The MIC pod that leads; empty where none does or there is no MIC.
      returned: always
      type: str
      sample: aad-pod-identity-mic-7d9f8c5b6-x2x4k
    nodes:
      description: NMI on every node.
      returned: always
      type: list
      elements: dict
      contains:
        node:
          description: Name of the node.
          returned: always
          type: str
          sample: aks-nodepool1-12345678-vmss000000
        state:
          description:
            - V(active), or why not, V(not_active) (NMI runs but intercepts nothing), V(not_ready), V(missing).
            - V(not_expected) where NMI is not meant to run, by what the DaemonSet selects, tolerates or has as
              affinity.
          returned: always
          type: str
          sample: active
        reason:
          description: Why it is not active, or not expected.
          returned: always
          type: str
          sample: ""
        pod:
          description: The NMI pod there.
          returned: always
          type: str
          sample: aad-pod-identity-nmi-8s7d5
    changed_fields:
      description:
        - Fields of the DaemonSet and of the Deployment of its MIC that are not as their helm release has them, of those
          that decide where and how pods run, each with its object. Empty where they are.
        - V(null) where they were not compared, which is without O(compare_release), where helm has not installed it,
          and where the record of the release cannot be read.
      returned: always
      type: list
      elements: str
      sample: [affinity]
    serving:
      description:
        - Whether NMI is active on every node where it is expected, MIC has a leader in standard mode, and both run the
          version that their workloads name.
      returned: always
      type: bool
      sample: true
    waiting_for:
      description: What is missing for it, as sentences.
      returned: always
      type: list
      elements: str
      sample: []
not_believed:
  description: DaemonSets that only look like NMI.
  returned: success
  type: list
  elements: dict
  contains:
    object:
      description: Kind and name.
      returned: always
      type: str
      sample: DaemonSet team/nmi
    reason:
      description: Why it is not believed.
      returned: always
      type: str
      sample: no ClusterRoleBinding gives service accounts of the namespace team the rights of MIC or NMI
unread:
  description: Why it could not be seen who has the rights of MIC and NMI, so that none is doubted; empty if it could.
  returned: success
  type: list
  elements: str
  sample: []
"""

import typing as t
from dataclasses import asdict
from functools import partial

from ansible_collections.azureops.pod_identity.plugins.module_utils import _argspec, _plan
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.installation import nmi
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.installation.trusted_namespaces import (
    Belief,
)
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube import installation
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.client import connect

if t.TYPE_CHECKING:
    from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.installation import Installation


OPTIONS = _argspec.ArgumentSpec(options={"compare_release": {"type": "bool", "default": False}}).merge(
    _argspec.kubernetes_auth()
)


def as_data(found: Installation, changed_fields: t.Sequence[str] | None = None) -> dict[str, t.Any]:
    metadata = found.daemon_set["metadata"]
    manager = nmi.managed_by(found.daemon_set)
    expected = [node for node in found.nodes if node.state != "not_expected"]
    waiting_for = [f"NMI on node {node.node}: {node.reason}" for node in expected if node.state != "active"]
    mode = nmi.flag(found.daemon_set, "operation-mode") or "standard"
    if mode == "standard" and not found.mic_leader:
        waiting_for.append("MIC has no leader")
    if not nmi.rolled_out(found.daemon_set):
        waiting_for.append("the present version of NMI is not on every node yet")
    if found.mic is not None and not nmi.rolled_out(found.mic):
        waiting_for.append("the present version of MIC does not run everywhere yet")
    return {
        "namespace": metadata["namespace"],
        "name": metadata["name"],
        "version": nmi.image_tag(found.daemon_set),
        "managed_by": manager.kind,
        "release_name": manager.release_name,
        "release_namespace": manager.release_namespace,
        "operation_mode": mode,
        "mic": found.mic["metadata"]["name"] if found.mic else "",
        "mic_leader": found.mic_leader,
        "nodes": [asdict(node) for node in found.nodes],
        "changed_fields": None if changed_fields is None else list(changed_fields),
        "serving": bool(expected) and not waiting_for,
        "waiting_for": waiting_for,
    }


def main() -> None:
    module = OPTIONS.create_module()

    def observe() -> dict[str, t.Any]:
        client = connect(module.params, module.tmpdir)
        found = installation.find(client)
        compare = (
            partial(installation.changed, client) if module.params["compare_release"] else lambda _installation: None
        )
        return {
            "installations": [as_data(each, compare(each)) for each in found.installations],
            "not_believed": [
                {"object": f"DaemonSet {namespace}/{name}", "reason": Belief.doubt(namespace)}
                for namespace, name in (
                    (each["metadata"]["namespace"], each["metadata"]["name"]) for each in found.doubted
                )
            ],
            "unread": list(found.unread.values()),
        }

    _plan.report(module, observe)


if __name__ == "__main__":
    main()
