#!/usr/bin/python
# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: node_pods_info
short_description: Say which pods of a node have not ended
version_added: 1.0.0
author:
  - azureops.pod_identity contributors (@azureops)
description:
  - Names the pods of a node that a drain ends and that have not ended yet, and those among them that would be gone for
    good. Pods of DaemonSets and of files of the node stay, and are not named.
  - It serves the roles of this collection.
extends_documentation_fragment:
  - azureops.pod_identity._kubernetes_auth
  - azureops.pod_identity._attributes
  - azureops.pod_identity._attributes.info_module
  - azureops.pod_identity._attributes.actiongroup_kubernetes
options:
  node:
    description: Name of the node.
    type: str
    required: true
  ready:
    description:
      - Whether the node is Ready. The kubelet of one that is not ends no pod; there a pod counts as ended when the API
        server let it go and its time is over.
    type: bool
    default: true
notes:
  - Needs to list pods in all namespaces.
seealso:
  - module: kubernetes.core.k8s_drain
"""

EXAMPLES = r"""
- name: Wait until the pods of a node have ended
  azureops.pod_identity.node_pods_info:
    kubeconfig: /etc/ansible/prod.kubeconfig
    node: aks-nodepool1-12345678-vmss000000
  register: left
  until: left.pods | length == 0
"""

RETURN = r"""
pods:
  description: The pods that have not ended.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Namespace and name.
      returned: always
      type: str
      sample: billing/api-6d5f8b7c9-x2x4z
    bare:
      description: Whether it has no controller that would make it anew, and nobody has deleted it.
      returned: always
      type: bool
      sample: false
error:
  description: Answer of the service as data (C(code), C(message), C(status), and of Azure C(request_id)).
  returned: when Azure or the API server refuses a request
  type: dict
  sample: {code: Forbidden, message: pods is forbidden, status: 403}
"""

import time
import typing as t

from ansible_collections.azureops.pod_identity.plugins.module_utils import _argspec, _plan
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.moments import of_epoch
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.nodes import drain
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.client import Client, connect
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.kinds import POD

OPTIONS = _argspec.ArgumentSpec(
    options={"node": {"type": "str", "required": True}, "ready": {"type": "bool", "default": True}}
).merge(_argspec.kubernetes_auth())


def observe(client: Client, options: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    pods = client.list_all(POD, fields=f"spec.nodeName={options['node']}")
    now = of_epoch(time.time())
    return {"pods": [dict(vars(each)) for each in drain.remaining(pods, ready=options["ready"], now=now)]}


def main() -> None:
    module = OPTIONS.create_module()
    _plan.report(module, lambda: observe(connect(module.params, module.tmpdir), module.params))


if __name__ == "__main__":
    main()
