#!/usr/bin/python
# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: workload_identity_soak_info
short_description: Tell how long workloads have used Workload ID, and whether NMI gave them tokens meanwhile
version_added: 1.0.0
author:
  - azureops.pod_identity contributors (@azureops)
description:
  - Tells for each workload since when all its pods run, whether the webhook of Microsoft Entra Workload ID has changed
    them, and which tokens NMI gave to them since, by the logs of NMI on their nodes.
  - A time counts as far back as these logs go. Where one was not read, nothing counts.
  - Of logs nothing is returned but times and numbers of tokens.
extends_documentation_fragment:
  - azureops.pod_identity._kubernetes_auth
  - azureops.pod_identity._attributes
  - azureops.pod_identity._attributes.info_module
  - azureops.pod_identity._attributes.actiongroup_kubernetes
options:
  workloads:
    description: What is looked at.
    type: list
    elements: dict
    required: true
    suboptions:
      kind:
        description:
          - Kind of the workload.
          - A CronJob has to have run. Its proof is a pod of one of its Jobs that the webhook has changed and that has
            succeeded; its time counts from when its template got the label of Workload ID.
        type: str
        choices: [Deployment, StatefulSet, DaemonSet, ReplicaSet, CronJob]
        required: true
      namespace:
        description: Its namespace.
        type: str
        required: true
      name:
        description: Its name.
        type: str
        required: true
  seconds:
    description:
      - How long each of them is waited for to have used Workload ID. One that has got a token from NMI is not.
      - A CronJob that has not run by then is waited for no longer.
    type: int
    default: 0
  wait_timeout:
    description: Seconds after which nothing is waited for any more. In check mode nothing is waited for.
    type: int
    default: 0
  progress:
    description:
      - Whether to show what is waited for, while it is waited for, as lines on standard error; also set by the
        environment variable E(POD_IDENTITY_PROGRESS).
      - Nothing is shown of tasks with C(async) or C(no_log).
    type: bool
    default: true
notes:
  - Needs to get the workloads, to list jobs for CronJobs, to list pods, daemonsets, deployments, nodes, clusterroles
    and clusterrolebindings, and to get endpoints, pods/log and pods/proxy where NMI runs.
seealso:
  - module: azureops.pod_identity.workload_identity_workload
  - module: azureops.pod_identity.nmi_info
"""

EXAMPLES = r"""
- name: See whether the pods of a Deployment have used Workload ID for two hours
  azureops.pod_identity.workload_identity_soak_info:
    kubeconfig: /etc/ansible/prod.kubeconfig
    workloads:
      - {kind: Deployment, namespace: billing, name: api}
    seconds: 7200
    wait_timeout: 7200
  register: soak

- name: Fail where they have not
  ansible.builtin.assert:
    that:
      - soak.soaks[0].seconds >= 7200
      - soak.soaks[0].tokens == []
"""

RETURN = r"""
soaks:
  description: One entry for each of O(workloads), in their order.
  returned: success
  type: list
  elements: dict
  contains:
    kind:
      description: Kind of the workload.
      returned: always
      type: str
      sample: Deployment
    namespace:
      description: Its namespace.
      returned: always
      type: str
      sample: billing
    name:
      description: Its name.
      returned: always
      type: str
      sample: api
    exists:
      description: Whether there is such a workload.
      returned: always
      type: bool
      sample: true
    pods:
      description: How many pods it has; of a CronJob, how many of those that are kept have succeeded with Workload ID.
      returned: always
      type: int
      sample: 2
    since:
      description:
        - When the youngest of its pods was started, in UTC; empty where it has none.
        - When the template of a CronJob got the label of Workload ID.
      returned: always
      type: str
      sample: '2026-11-30T01:00:00Z'
    covered_since:
      description: Since when, from then on, the logs of NMI tell all requests; empty where it has no pod.
      returned: always
      type: str
      sample: '2026-11-30T01:00:00Z'
    seconds:
      description: How long that is; of a CronJob, whether it has run meanwhile or not.
      returned: always
      type: int
      sample: 7260
    unproved:
      description: Why nothing is proved; empty where something is, and for a workload that is to have no pods.
      returned: always
      type: str
      sample: ''
    tokens:
      description: What NMI gave to its pods since they run.
      returned: always
      type: list
      elements: dict
      contains:
        pod:
          description: Namespace and name of the pod.
          returned: always
          type: str
          sample: billing/api-6d4cf56db6-abcde
        node:
          description: Its node.
          returned: always
          type: str
          sample: aks-nodepool1-12345678-vmss000000
        count:
          description: How many tokens.
          returned: always
          type: int
          sample: 3
        last:
          description: When it got the last one.
          returned: always
          type: str
          sample: '2026-11-30T01:10:00Z'
      sample: []
"""

import typing as t

from ansible_collections.azureops.pod_identity.plugins.module_utils import _argspec, _plan
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.migration import switching
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube import soaking
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.client import connect

TEXT = {"type": "str", "required": True}
OPTIONS = _argspec.ArgumentSpec(
    options={
        "workloads": {
            "type": "list",
            "elements": "dict",
            "required": True,
            "options": {"kind": {**TEXT, "choices": list(switching.KINDS)}, "namespace": TEXT, "name": TEXT},
        },
        "seconds": {"type": "int", "default": 0},
        "wait_timeout": {"type": "int", "default": 0},
        "progress": _argspec.env({"type": "bool", "default": True}, "POD_IDENTITY_PROGRESS"),
    }
).merge(_argspec.kubernetes_auth())


def main() -> None:
    module = OPTIONS.create_module()

    def observe() -> dict[str, t.Any]:
        given, seconds = module.params["workloads"], module.params["seconds"]
        found = soaking.wait(
            # Anew for each look, because credentials may not last as long as it is waited.
            lambda: connect(module.params, module.tmpdir),
            given,
            seconds,
            timeout=0 if module.check_mode else module.params["wait_timeout"],
        )
        return {"soaks": [{**each, **soak.view()} for each, soak in zip(given, found)]}

    _plan.report(module, observe)


if __name__ == "__main__":
    main()
