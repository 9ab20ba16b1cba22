#!/usr/bin/python
# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: kubernetes_core
short_description: Run a module of kubernetes.core against the API server of its kubeconfig and no other
version_added: 1.0.0
author:
  - azureops.pod_identity contributors (@azureops)
description:
  - With an explicit O(kubeconfig), modules of C(kubernetes.core) still let C(host) and credentials of
    C(module_defaults) and environment choose another API server. Here the kubeconfig alone chooses it; proxies and CA
    files of the environment stay in force.
  - Takes the options of that module beside those named here, and returns what it returns. C(module_defaults) of
    C(kubernetes.core) do not count.
  - Without O(kubeconfig) that module finds the API server by itself.
  - Neither helm nor the Python client gives up where an answer does not come. Here a module is killed, with whatever
    it has started, and the task fails, 600 seconds after the time that it is told to wait with C(wait_timeout), which
    is in seconds, with helm such as V(600s). For uninstalling a release C(kubernetes.core.helm) takes no notice of
    C(timeout).
  - It serves the roles of this collection.
extends_documentation_fragment:
  - azureops.pod_identity._attributes
  - azureops.pod_identity._attributes.actiongroup_kubernetes
attributes:
  check_mode:
    support: full
    details:
      - As the module that it runs, but with O(actions) that is not run.
  diff_mode:
    support: full
    details:
      - As the module that it runs.
  idempotent:
    support: full
    details:
      - As the module that it runs.
options:
  module:
    description: Name of the module in the collection C(kubernetes.core).
    type: str
    required: true
  kubeconfig:
    description: Path of the kubeconfig, on the host that the task runs on.
    type: path
  actions:
    description:
      - What the task changes, as the end of the session tells it. In check mode nothing else is done, so name it only
        where it is known that the module would change something.
    type: list
    elements: str
    default: []
  changes:
    description: O(actions) as data, in the same order, each with C(verb), C(kind), C(id) and C(why).
    type: list
    elements: dict
    default: []
seealso:
  - module: azureops.pod_identity.cluster_connection
  - module: kubernetes.core.k8s_info
"""

EXAMPLES = r"""
- name: Read the nodes
  azureops.pod_identity.kubernetes_core:
    module: k8s_info
    kubeconfig: /run/user/1000/run/kubeconfig
    api_version: v1
    kind: Node
"""

RETURN = r"""
actions:
  description: O(actions), where something was changed, or in check mode would be.
  returned: always
  type: list
  elements: str
  sample: []
changes:
  description: O(changes), where something was changed, or in check mode would be.
  returned: always
  type: list
  elements: dict
  sample: []
result:
  description: What the module returns stands under its own names; see its documentation.
  returned: as that module does
  type: dict
  sample: {}
"""
