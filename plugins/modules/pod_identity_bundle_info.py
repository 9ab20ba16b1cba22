#!/usr/bin/python
# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pod_identity_bundle_info
short_description: Read a restore bundle, and see what of it may be restored
version_added: 1.0.0
author:
  - azureops.pod_identity contributors (@azureops)
description:
  - Reads the restore bundle that the role C(pod_identity_uninstall) has written, from a file or from a Secret. Somebody
    may have changed it, so it is refused unless it is what that role writes.
  - Only the role assignments are returned that this collection grants, that is, Managed Identity Operator and Virtual
    Machine Contributor for the kubelet identity on the node resource group, and Managed Identity Operator for the
    kubelet identity and the control plane on identities that the bundle names. Others are listed in RV(left_out).
  - Names and versions of releases, and values of the chart, are refused where helm or a template could take them for
    more than that.
extends_documentation_fragment:
  - azureops.pod_identity._kubernetes_auth
  - azureops.pod_identity._attributes
  - azureops.pod_identity._attributes.info_module
  - azureops.pod_identity._attributes.actiongroup_kubernetes
options:
  source:
    description: The restore bundle, a file or C(secret:NAMESPACE/NAME).
    type: path
    required: true
  sha256:
    description: SHA-256 digest that the bundle must have, in hexadecimal.
    type: str
    default: ""
  cluster_id:
    description: Resource id of the cluster.
    type: str
    required: true
  node_resource_group:
    description: Name of its node resource group.
    type: str
    required: true
  kubelet_principal_id:
    description: Object id of its kubelet identity; empty where it has none.
    type: str
    default: ""
  control_plane_principal_id:
    description: Object id of the identity of its control plane; empty where it has none.
    type: str
    default: ""
  image_repositories:
    description: Where images may come from.
    type: list
    elements: str
    default: [mcr.microsoft.com/oss/azure/aad-pod-identity]
  given_values:
    description: Names of values of the chart that are given beside the bundle, which lacks those with credentials.
    type: list
    elements: str
    default: []
  accept:
    description:
      - V(images) accepts images that are not those of the chart.
      - V(values) accepts all values of the chart.
    type: list
    elements: str
    choices: [images, values]
    default: []
notes:
  - Needs to get the Secret, where the bundle is in one.
seealso:
  - module: azureops.pod_identity.pod_identity_restoration
"""

EXAMPLES = r"""
- name: Read a restore bundle
  azureops.pod_identity.pod_identity_bundle_info:
    source: /var/lib/azureops/shop-20260301T100000Z.json
    sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
    cluster_id: "{{ pod_identity_session.cluster.id }}"
    node_resource_group: "{{ pod_identity_session.cluster.node_resource_group }}"
    kubelet_principal_id: "{{ pod_identity_session.cluster.kubelet_identity.object_id }}"
  register: bundle
"""

RETURN = r"""
bundle:
  description: What of the bundle may be restored.
  returned: success
  type: dict
  contains:
    cluster:
      description: Resource id of its cluster.
      returned: always
      type: str
      sample: >-
        /subscriptions/8c4f2a7e-1d3b-4e5f-9a6b-7c8d9e0f1a2b/resourceGroups/rg-shop/providers/Microsoft.ContainerService/managedClusters/shop
sha256:
  description: Digest of the bundle.
  returned: success
  type: str
  sample: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
left_out:
  description: What of the bundle is not restored.
  returned: success
  type: list
  elements: dict
  contains:
    what:
      description: What it is.
      returned: always
      type: str
      sample: role assignment
    name:
      description: Its name.
      returned: always
      type: str
      sample: Owner
    reason:
      description: Why it is left out, as a sentence.
      returned: always
      type: str
      sample: "at /subscriptions/8c4f2a7e-1d3b-4e5f-9a6b-7c8d9e0f1a2b: this collection does not grant that role"
error:
  description: The answer of the API server as data (C(code), C(message), C(status)).
  returned: when the API server refuses a request
  type: dict
  sample: {code: Forbidden, message: secrets is forbidden, status: 403}
"""

import base64
import typing as t

from ansible_collections.azureops.pod_identity.plugins.module_utils import _argspec, _plan
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain import bundles
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.errors import Failure
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.client import connect
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.kinds import SECRET

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

TEXT = {"type": "str", "default": ""}
TEXTS = {"type": "list", "elements": "str", "default": []}
OPTIONS = _argspec.ArgumentSpec(
    options={
        "source": {"type": "path", "required": True},
        "sha256": TEXT,
        "cluster_id": {"type": "str", "required": True},
        "node_resource_group": {"type": "str", "required": True},
        "kubelet_principal_id": TEXT,
        "control_plane_principal_id": TEXT,
        "image_repositories": {**TEXTS, "default": [bundles.REPOSITORY]},
        "given_values": TEXTS,
        "accept": {**TEXTS, "choices": [bundles.IMAGES, bundles.VALUES]},
    }
).merge(_argspec.kubernetes_auth())

IN_SECRET = "secret:"
KEY = "bundle.json"


def data(module: AnsibleModule, source: str) -> bytes:
    if source.startswith(IN_SECRET):
        namespace, dummy, name = source[len(IN_SECRET) :].partition("/")
        secret = connect(module.params, module.tmpdir).get(SECRET, namespace, name)
        if secret is None:
            raise Failure(
                f"There is no restore bundle {source} in the cluster; name the Secret that the role "
                "pod_identity_uninstall has written, whose name ends with the time."
            )
        return base64.b64decode((secret.get("data") or {}).get(KEY) or "")
    try:
        with open(source, "rb") as file:
            return file.read()
    except OSError as error:
        raise Failure(
            f"The restore bundle {source} cannot be read ({error.strerror}); name the file that the role "
            "pod_identity_uninstall has written."
        ) from error


def observe(module: AnsibleModule) -> dict[str, t.Any]:
    params = module.params
    cluster = bundles.Cluster(
        params["cluster_id"],
        params["node_resource_group"],
        params["kubelet_principal_id"],
        params["control_plane_principal_id"],
    )
    rules = bundles.Rules(
        sha256=params["sha256"],
        accept=frozenset(params["accept"]),
        repositories=tuple(params["image_repositories"]),
        given=frozenset(params["given_values"]),
    )
    found = bundles.read(params["source"], data(module, params["source"]), cluster, rules)
    return {"bundle": found.content, "sha256": found.sha256, "left_out": list(found.left_out)}


def main() -> None:
    module = OPTIONS.create_module()
    _plan.report(module, lambda: observe(module))


if __name__ == "__main__":
    main()
