#!/usr/bin/python
# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: role_assignment_info
short_description: Read Azure role assignments
version_added: 1.0.0
author:
  - azureops.pod_identity contributors (@azureops)
description:
  - Reads which roles are assigned at a scope or inherited by it, to one principal or to all, and which of O(roles) are
    not.
  - An assignment to a group does not count as one to its members.
extends_documentation_fragment:
  - azureops.pod_identity._azure_auth
  - azureops.pod_identity._attributes
  - azureops.pod_identity._attributes.info_module
  - azureops.pod_identity._attributes.actiongroup_azure
options:
  scope:
    description:
      - Id of the resource, resource group, subscription or management group at which the roles are held.
      - In check mode it may be C((known after apply)); nothing is assigned there then.
    type: str
    required: true
  principal_id:
    description:
      - Object id of the principal. For a managed identity this is its principal id, not its client id.
      - If unset, the assignments of all principals are read.
      - In check mode it may be C((known after apply)); nothing is assigned to it then.
    type: str
  roles:
    description:
      - The roles to look for, each as its name, its GUID, or the full id of its definition.
      - If unset, all roles are read.
    type: list
    elements: str
notes:
  - Azure may need some time until it lists a new assignment.
seealso:
  - module: azureops.pod_identity.role_assignment
  - module: azureops.pod_identity.permission_info
"""

EXAMPLES = r"""
- name: Look whether the kubelet identity has what MIC needs
  azureops.pod_identity.role_assignment_info:
    scope: /subscriptions/7f1f4a5e-6a0f-4d0c-9a0e-2f8f8d1c2b3a/resourceGroups/MC_pod-identity-demo_demo_westeurope
    roles: [Managed Identity Operator, Virtual Machine Contributor]
    principal_id: b1d9c1c8-1f5a-4a0e-9a74-0a6d5a3a7c21
  register: held

- name: Show what is to be granted
  ansible.builtin.debug:
    var: held.missing

- name: Read who may do what in a resource group
  azureops.pod_identity.role_assignment_info:
    scope: /subscriptions/7f1f4a5e-6a0f-4d0c-9a0e-2f8f8d1c2b3a/resourceGroups/pod-identity-demo
  register: everybody

- name: Show what is assigned there, and not inherited
  ansible.builtin.debug:
    msg: >-
      {{ everybody.assignments | rejectattr('inherited')
         | azureops.pod_identity.table(['principal_id', 'role_name']) }}
"""

RETURN = r"""
assignments:
  description:
    - The role assignments, those at exactly O(scope) before those that are inherited; empty where the scope does not
      exist.
  returned: success
  type: list
  elements: dict
  contains:
    id:
      description: Id of the assignment.
      returned: always
      type: str
      sample: >-
        /subscriptions/7f1f4a5e-6a0f-4d0c-9a0e-2f8f8d1c2b3a/resourceGroups/pod-identity-demo/providers/Microsoft.Authorization/roleAssignments/9c1f2b1a-4f52-5d0c-8a77-1d5c7a4f9e00
    name:
      description: Name (a GUID) of the assignment.
      returned: always
      type: str
      sample: 9c1f2b1a-4f52-5d0c-8a77-1d5c7a4f9e00
    scope:
      description: Scope of the assignment itself; wider than O(scope) when it is inherited.
      returned: always
      type: str
      sample: /subscriptions/7f1f4a5e-6a0f-4d0c-9a0e-2f8f8d1c2b3a/resourceGroups/pod-identity-demo
    role_name:
      description: Name of the role where it is a well-known one or O(roles) names it, otherwise its GUID.
      returned: always
      type: str
      sample: Managed Identity Operator
    role_definition_id:
      description: Id of the role's definition.
      returned: always
      type: str
      sample: >-
        /subscriptions/7f1f4a5e-6a0f-4d0c-9a0e-2f8f8d1c2b3a/providers/Microsoft.Authorization/roleDefinitions/f1a07417-d97a-45cb-824c-7a7467783830
    principal_id:
      description: Object id of the principal.
      returned: always
      type: str
      sample: b1d9c1c8-1f5a-4a0e-9a74-0a6d5a3a7c21
    principal_type:
      description: Kind of the principal.
      returned: always
      type: str
      sample: ServicePrincipal
    condition:
      description: Condition under which the assignment holds; empty when there is none.
      returned: always
      type: str
      sample: ''
    condition_version:
      description: Version of the language of the condition; empty when there is none.
      returned: always
      type: str
      sample: ''
    description:
      description: The note on the assignment; empty when there is none.
      returned: always
      type: str
      sample: ''
    inherited:
      description: Whether the assignment is held through a wider scope.
      returned: always
      type: bool
      sample: false
missing:
  description:
    - Those of O(roles), as they are named there, that no assignment gives at O(scope), inherited or not. Conditions of
      assignments play no part.
  returned: success
  type: list
  elements: str
  sample: [Virtual Machine Contributor]
error:
  description: Answer of the service as data (C(code), C(message), C(status), and of Azure C(request_id)).
  returned: when Azure or the API server refuses a request
  type: dict
  sample: {code: AuthorizationFailed, message: The client does not have authorization., status: 403}
"""

import typing as t

from ansible_collections.azureops.pod_identity.plugins.module_utils._argspec import ArgumentSpec
from ansible_collections.azureops.pod_identity.plugins.module_utils._azure import authorization
from ansible_collections.azureops.pod_identity.plugins.module_utils._azure.client import Arm
from ansible_collections.azureops.pod_identity.plugins.module_utils._azure_options import azure_auth
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.azure import azure_roles
from ansible_collections.azureops.pod_identity.plugins.module_utils._plan import known, report

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

OPTIONS = ArgumentSpec(
    options={
        "scope": {"type": "str", "required": True},
        "principal_id": {"type": "str"},
        "roles": {"type": "list", "elements": "str"},
    }
).merge(azure_auth())


def observe(module: AnsibleModule) -> dict[str, t.Any]:
    scope, principal, named = (module.params[name] for name in ("scope", "principal_id", "roles"))
    if not (known(module, scope) and known(module, principal)):
        return {"assignments": [], "missing": list(named or ())}
    if principal is not None:
        azure_roles.require_object_id(principal)
    arm = Arm.connect(module.params, module.run_command)
    roles = None if named is None else {each: authorization.role(arm, each, scope) for each in named}
    found = authorization.assignments(arm, scope, principal)
    held = azure_roles.in_force(found, scope, principal, None if roles is None else roles.values())
    return {
        "assignments": [azure_roles.view(each, role, scope) for each, role in held],
        "missing": azure_roles.unassigned(held, roles or {}),
    }


def main() -> None:
    module = OPTIONS.create_module()
    report(module, lambda: observe(module))


if __name__ == "__main__":
    main()
