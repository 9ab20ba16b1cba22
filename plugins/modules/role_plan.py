#!/usr/bin/python
# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: role_plan
short_description: Decide what a role or a playbook of this collection does
version_added: 1.0.0
author:
  - azureops.pod_identity contributors (@azureops)
description:
  - Makes a part of a role's plan of the options of the role and of what its tasks found. The options are the variables
    of the role, checked against its argument specification. A playbook has a plan in the same way.
  - What a decision needs to know beside that, it looks at itself, with modules of this collection that only read or
    that run in check mode, each with its C(module_defaults). Those that ask the cluster reach the one that
    M(azureops.pod_identity.cluster_session) has connected to.
  - It is internal to the roles and playbooks of this collection, and may change with any release. It writes nothing.
extends_documentation_fragment:
  - azureops.pod_identity._attributes
  - azureops.pod_identity._attributes.info_module
options:
  role:
    description: The role, or one of the playbooks V(destroy), V(diagnose), V(leftovers) and V(migrate).
    type: str
    required: true
    choices:
      - destroy
      - diagnose
      - imds_node_cleanup
      - leftovers
      - migrate
      - pod_identity_bindings
      - pod_identity_chart
      - pod_identity_cluster
      - pod_identity_report
      - pod_identity_restore
      - pod_identity_uninstall
      - pod_identity_verify
      - workload_identity_migration
  part:
    description: The decision of that role or playbook.
    type: str
    required: true
  observed:
    description: What tasks found, as that decision reads it. No secret belongs there.
    type: dict
    default: {}
  failure:
    description:
      - The result of a task that failed, or a dictionary with its C(msg). The task fails with the same data, whatever
        the decision is, and with the C(message) that this makes of it.
      - The decision reads its C(msg) as C(message) of O(observed).
    type: dict
"""

EXAMPLES = r"""
- name: Check the options of the role
  azureops.pod_identity.role_plan:
    role: pod_identity_chart
    part: options
  register: checked

- name: Show what the role may do in the cluster
  ansible.builtin.debug:
    var: checked.plan.kubernetes
"""

RETURN = r"""
plan:
  description:
    - The plan; of a decision that its task tries again, also where it does not go on.
    - Commands under its key C(printed) are shown on standard error as they are, to be pasted, each below what it is
      about.
  returned: success
  type: dict
  sample: {kubernetes: []}
"""
