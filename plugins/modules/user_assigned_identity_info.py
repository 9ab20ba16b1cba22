#!/usr/bin/python
# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: user_assigned_identity_info
short_description: Read user-assigned managed identities
version_added: 1.0.0
author:
  - azureops.pod_identity contributors (@azureops)
description:
  - Reads one user-assigned managed identity, or all identities of a resource group, and on request who uses them.
extends_documentation_fragment:
  - azureops.pod_identity._azure_auth
  - azureops.pod_identity._attributes
  - azureops.pod_identity._attributes.info_module
  - azureops.pod_identity._attributes.actiongroup_azure
options:
  resource_group:
    description: Resource group of the identities.
    type: str
  name:
    description: Name of one identity; if unset, all identities of O(resource_group) are read.
    type: str
  id:
    description:
      - Resource id of one identity in whatever subscription, instead of O(resource_group) and O(name).
      - In check mode it may be C((known after apply)); nothing is found then.
    type: str
  check_users:
    description:
      - Whether to look who uses each of the identities, and which roles it has in its subscription.
      - Takes three requests for each identity, and one more for each scale set or virtual machine that carries it.
    type: bool
    default: false
notes:
  - With O(check_users) needs C(Microsoft.ManagedIdentity/userAssignedIdentities/listAssociatedResources/action),
    C(Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials/read),
    C(Microsoft.Authorization/roleAssignments/read), and to read the scale sets and virtual machines that carry the
    identities, too.
seealso:
  - module: azureops.pod_identity.user_assigned_identity
  - module: azureops.pod_identity.vmss_identity_info
"""

EXAMPLES = r"""
- name: Read all identities of a resource group, and who uses them
  azureops.pod_identity.user_assigned_identity_info:
    resource_group: pod-identity-demo
    check_users: true
  register: found

- name: Show those that nothing uses
  ansible.builtin.debug:
    msg: >-
      {{ found.identities | rejectattr('attached_to') | rejectattr('federated_credentials')
         | map(attribute='name') }}

- name: Read one identity
  azureops.pod_identity.user_assigned_identity_info:
    resource_group: pod-identity-demo
    name: billing
"""

RETURN = r"""
identities:
  description: The identities that exist; an identity or resource group that does not exist gives an empty list.
  returned: success
  type: list
  elements: dict
  contains:
    id:
      description: Resource id of the identity.
      returned: always
      type: str
      sample: >-
        /subscriptions/7f1f4a5e-6a0f-4d0c-9a0e-2f8f8d1c2b3a/resourcegroups/pod-identity-demo/providers/Microsoft.ManagedIdentity/userAssignedIdentities/billing
    name:
      description: Name of the identity.
      returned: always
      type: str
      sample: billing
    resource_group:
      description: Resource group of the identity.
      returned: always
      type: str
      sample: pod-identity-demo
    location:
      description: Region of the identity.
      returned: always
      type: str
      sample: westeurope
    client_id:
      description: Client (application) id.
      returned: always
      type: str
      sample: 2f3e6a44-5a6c-4f0d-8d1e-5a8b1f0c9e77
    principal_id:
      description: Object id, to which roles are assigned.
      returned: always
      type: str
      sample: b1d9c1c8-1f5a-4a0e-9a74-0a6d5a3a7c21
    tenant_id:
      description: Tenant of the identity.
      returned: always
      type: str
      sample: 5e1c7a2b-93c4-4a58-8f43-6b1f0f6a2d10
    tags:
      description: Tags of the identity.
      returned: always
      type: dict
      sample: {team: platform}
    attached_to:
      description: Ids of the resources of whatever kind that the identity is attached to.
      returned: with O(check_users)
      type: list
      elements: str
      sample: []
    federated_credentials:
      description: Names of the federated credentials of the identity.
      returned: with O(check_users)
      type: list
      elements: str
      sample: [demo-billing]
    role_assignments:
      description: The role assignments that the identity has in its subscription.
      returned: with O(check_users)
      type: list
      elements: dict
      contains:
        id:
          description: Resource id of the role assignment.
          returned: always
          type: str
          sample: >-
            /subscriptions/7f1f4a5e-6a0f-4d0c-9a0e-2f8f8d1c2b3a/providers/Microsoft.Authorization/roleAssignments/4a4b4c4d-0000-4000-8000-000000000000
        role:
          description: Name of the role where it is a well-known one, otherwise its GUID.
          returned: always
          type: str
          sample: Reader
        scope:
          description: Where it was assigned.
          returned: always
          type: str
          sample: /subscriptions/7f1f4a5e-6a0f-4d0c-9a0e-2f8f8d1c2b3a
error:
  description: Answer of the service as data (C(code), C(message), C(status), and of Azure C(request_id)).
  returned: when Azure or the API server refuses a request
  type: dict
  sample: {code: AuthorizationFailed, message: The client does not have authorization., status: 403}
"""

import typing as t

from ansible_collections.azureops.pod_identity.plugins.module_utils._argspec import ArgumentSpec
from ansible_collections.azureops.pod_identity.plugins.module_utils._azure import identities as service
from ansible_collections.azureops.pod_identity.plugins.module_utils._azure import identity_users
from ansible_collections.azureops.pod_identity.plugins.module_utils._azure.client import Arm, Body
from ansible_collections.azureops.pod_identity.plugins.module_utils._azure_options import azure_auth
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.azure import arm_id, identities
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.errors import Failure
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.names import listed
from ansible_collections.azureops.pod_identity.plugins.module_utils._plan import known, report

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

OPTIONS = ArgumentSpec(
    options={
        "resource_group": {"type": "str"},
        "name": {"type": "str"},
        "id": {"type": "str"},
        "check_users": {"type": "bool", "default": False},
    },
    mutually_exclusive=(("id", "resource_group"), ("id", "name")),
    required_one_of=(("resource_group", "id"),),
    required_by={"name": ("resource_group",)},
).merge(azure_auth())


def observe(module: AnsibleModule) -> dict[str, t.Any]:
    options = module.params
    refuse_empty(options)
    if not known(module, options["id"]):
        return {"identities": []}
    arm = Arm.connect(options, module.run_command)
    found = [identities.view(body) for body in read(arm, options)]
    if options["check_users"]:
        found = [{**each, **users(arm, each)} for each in found]
    return {"identities": found}


def refuse_empty(options: t.Mapping[str, t.Any]) -> None:
    """Raises Failure for what an empty variable may have given, which is neither all identities nor one."""
    empty = [name for name in ("resource_group", "name", "id") if options[name] == ""]
    if empty:
        raise Failure(f"{listed(empty)} must not be empty; give a value, or leave out what is not meant.")


def read(arm: Arm, options: t.Mapping[str, t.Any]) -> list[Body]:
    group, name = options["resource_group"], options["name"]
    if name is None and options["id"] is None:
        return service.list_group(arm, arm_id.resource_group(arm.subscription, group))
    body = (
        service.get(arm, group, name)
        if name is not None
        else service.get_by_id(arm, identities.require_id(options["id"]))
    )
    return [body] if body else []


def users(arm: Arm, identity: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    found = identity_users.find(arm, identity["id"])
    return {
        "attached_to": found.holders,
        "federated_credentials": found.credentials,
        "role_assignments": identity_users.role_assignments(arm, identity),
    }


def main() -> None:
    module = OPTIONS.create_module()
    report(module, lambda: observe(module))


if __name__ == "__main__":
    main()
