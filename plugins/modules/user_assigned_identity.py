#!/usr/bin/python
# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: user_assigned_identity
short_description: Manage a user-assigned managed identity
version_added: 1.0.0
author:
  - azureops.pod_identity contributors (@azureops)
description:
  - Creates a user-assigned managed identity, changes its tags, or deletes it.
  - Its client id is what an AzureIdentity names, its principal id is what roles are assigned to.
extends_documentation_fragment:
  - azureops.pod_identity._azure_auth
  - azureops.pod_identity._tags
  - azureops.pod_identity._attributes
  - azureops.pod_identity._attributes.actiongroup_azure
requirements:
  - azure-mgmt-msi >= 7.0.0
attributes:
  check_mode:
    support: full
    details:
      - The ids that Azure assigns to a new identity are predicted as C((known after apply)).
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  resource_group:
    description: Resource group of the identity.
    type: str
    required: true
  name:
    description: Name of the identity.
    type: str
    required: true
  location:
    description:
      - Azure region of a new identity; if unset, that of the resource group.
      - An existing identity cannot move; another location is refused.
    type: str
  only_unused:
    description:
      - Whether to refuse, with O(state=absent), to delete an identity that has a federated credential, or that is
        attached to a resource of whatever kind.
    type: bool
    default: false
  assume_detached:
    description:
      - Resource ids of scale sets and virtual machines from which an earlier task detaches the identity. In check mode
        they do not count as users; they have no meaning otherwise.
    type: list
    elements: str
    default: []
  state:
    description: Whether the identity exists.
    type: str
    choices: [present, absent]
    default: present
notes:
  - With O(only_unused) needs C(Microsoft.ManagedIdentity/userAssignedIdentities/listAssociatedResources/action),
    C(Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials/read), and to read the scale sets
    and virtual machines that carry the identity, too.
seealso:
  - module: azureops.pod_identity.user_assigned_identity_info
  - module: azureops.pod_identity.role_assignment
  - module: azureops.pod_identity.azure_identity_binding
"""

EXAMPLES = r"""
- name: Create the identity of the billing pods
  azureops.pod_identity.user_assigned_identity:
    resource_group: pod-identity-demo
    name: billing
  register: billing

- name: Delete it
  azureops.pod_identity.user_assigned_identity:
    resource_group: pod-identity-demo
    name: billing
    state: absent

- name: Delete it unless something uses it
  azureops.pod_identity.user_assigned_identity:
    resource_group: pod-identity-demo
    name: billing
    only_unused: true
    state: absent
  register: deleted

- name: Show which role assignments it leaves behind
  ansible.builtin.debug:
    msg: "{{ deleted.role_assignments | default([]) | map(attribute='id') }}"
"""

RETURN = r"""
state:
  description: The identity; empty when it is absent.
  returned: success
  type: dict
  contains:
    id:
      description: Resource id of the identity.
      returned: when the identity is present
      type: str
      sample: >-
        /subscriptions/7f1f4a5e-6a0f-4d0c-9a0e-2f8f8d1c2b3a/resourcegroups/pod-identity-demo/providers/Microsoft.ManagedIdentity/userAssignedIdentities/billing
    name:
      description: Name of the identity.
      returned: when the identity is present
      type: str
      sample: billing
    resource_group:
      description: Resource group of the identity.
      returned: when the identity is present
      type: str
      sample: pod-identity-demo
    location:
      description: Region of the identity.
      returned: when the identity is present
      type: str
      sample: westeurope
    client_id:
      description: Client (application) id. In check mode C((known after apply)) for an identity to be created.
      returned: when the identity is present
      type: str
      sample: 2f3e6a44-5a6c-4f0d-8d1e-5a8b1f0c9e77
    principal_id:
      description: Object id, to which roles are assigned. In check mode C((known after apply)) for a new identity.
      returned: when the identity is present
      type: str
      sample: b1d9c1c8-1f5a-4a0e-9a74-0a6d5a3a7c21
    tenant_id:
      description: Tenant of the identity. In check mode C((known after apply)) for an identity to be created.
      returned: when the identity is present
      type: str
      sample: 5e1c7a2b-93c4-4a58-8f43-6b1f0f6a2d10
    tags:
      description: Tags of the identity.
      returned: when the identity is present
      type: dict
      sample: {team: platform}
role_assignments:
  description: The role assignments that the identity had. Azure keeps them; they give nothing to anybody any more.
  returned: with O(only_unused), where the identity existed
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
used_by:
  description: What uses the identity.
  returned: when that is the reason of a failure
  type: list
  elements: str
  sample: [its federated credential billing]
permissions:
  description: What whoever makes the change must be allowed to do, apart from reading.
  returned: in check mode, once it is known what would be done
  type: list
  elements: dict
  contains:
    scope:
      description: Id of the resource or resource group.
      type: str
    actions:
      description: Actions there.
      type: list
      elements: str
  sample:
    - scope: >-
        /subscriptions/7f1f4a5e-6a0f-4d0c-9a0e-2f8f8d1c2b3a/resourceGroups/pod-identity-demo/providers/Microsoft.ManagedIdentity/userAssignedIdentities/billing
      actions: [Microsoft.ManagedIdentity/userAssignedIdentities/write]
actions:
  description: What was done, or in check mode what would be done.
  returned: always
  type: list
  elements: str
  sample: [create identity billing]
changes:
  description: RV(actions) as data, in the same order.
  returned: always
  type: list
  elements: dict
  contains:
    verb:
      description: >-
        V(create), V(change), V(delete), V(adopt), V(reconcile), V(attach), V(detach), V(restart) or V(reimage).
      type: str
    kind:
      description: Resource type of ARM, kind of Kubernetes, or V(file).
      type: str
    id:
      description:
        - Id of the resource in ARM, namespace and name of the object, or path of the file.
        - V((known after apply\)) where only Azure can tell it.
      type: str
    why:
      description: What is changed of it, or for what; may be empty.
      type: str
  sample:
    - verb: create
      kind: Microsoft.ManagedIdentity/userAssignedIdentities
      id: >-
        /subscriptions/7f1f4a5e-6a0f-4d0c-9a0e-2f8f8d1c2b3a/resourceGroups/pod-identity-demo/providers/Microsoft.ManagedIdentity/userAssignedIdentities/billing
      why: ''
failed_action:
  description: The action that failed.
  returned: when an action fails
  type: str
  sample: create identity billing
begun:
  description: Whether RV(failed_action) had changed something before it failed.
  returned: when an action fails
  type: bool
  sample: true
failed_change:
  description: RV(failed_action) as data, with the keys of an entry of RV(changes).
  returned: when an action fails
  type: dict
  sample:
    verb: create
    kind: Microsoft.ManagedIdentity/userAssignedIdentities
    id: >-
      /subscriptions/7f1f4a5e-6a0f-4d0c-9a0e-2f8f8d1c2b3a/resourceGroups/pod-identity-demo/providers/Microsoft.ManagedIdentity/userAssignedIdentities/billing
    why: ''
error:
  description: Answer of the service as data (C(code), C(message), C(status), and of Azure C(request_id)).
  returned: when Azure or the API server refuses a request
  type: dict
  sample: {code: ResourceGroupNotFound, message: Resource group 'x' could not be found., status: 404}
"""

import functools
import typing as t

from ansible_collections.azureops.pod_identity.plugins.module_utils._argspec import ArgumentSpec
from ansible_collections.azureops.pod_identity.plugins.module_utils._azure import identities as service
from ansible_collections.azureops.pod_identity.plugins.module_utils._azure import identity_users, resource_groups
from ansible_collections.azureops.pod_identity.plugins.module_utils._azure.client import Arm
from ansible_collections.azureops.pod_identity.plugins.module_utils._azure_options import azure_auth, tags
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.azure import arm_id, identities, needs
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.azure import tags as tag_rules
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.change import Change
from ansible_collections.azureops.pod_identity.plugins.module_utils._plan import (
    KNOWN_AFTER_APPLY,
    Plan,
    Step,
    predicting,
    run,
)

OPTIONS = ArgumentSpec(
    options={
        "resource_group": {"type": "str", "required": True},
        "name": {"type": "str", "required": True},
        "location": {"type": "str"},
        "only_unused": {"type": "bool", "default": False},
        "assume_detached": {"type": "list", "elements": "str", "default": []},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    }
).merge(azure_auth(), tags())


def make_plan(arm: Arm, options: t.Mapping[str, t.Any], *, predict: bool) -> Plan:
    group, name = options["resource_group"], options["name"]
    current = service.get(arm, group, name)
    before = identities.view(current)
    if options["state"] == "absent":
        steps = (deletion(arm, group, before),) if current else ()
        told = judge(arm, before, options["assume_detached"] if predict else ()) if options["only_unused"] else {}
        return Plan(before, {}, steps, extra_results=told)
    wanted = tag_rules.parse(options["tags"])
    if current is None:
        return creation(arm, options, tag_rules.merge(None, wanted, append=options["append_tags"]))
    identities.refuse_move(name, before["location"], options["location"])
    merged = tag_rules.merge(before["tags"], wanted, append=options["append_tags"])
    if merged == before["tags"]:
        return Plan(before, before)
    change = Change("change", identities.KIND, before["id"], "tags")
    step = Step(
        f"{change.verb} the {change.why} of identity {name}",
        change,
        lambda: identities.view(service.set_tags(arm, group, name, merged)),
        needs=needs.on(before["id"], "write"),
    )
    return Plan(before, {**before, "tags": merged}, (step,))


def deletion(arm: Arm, group: str, identity: t.Mapping[str, t.Any]) -> Step:
    name = identity["name"]
    change = Change("delete", identities.KIND, identity["id"])
    return Step(
        f"{change.verb} identity {name}",
        change,
        lambda: service.delete(arm, group, name),
        needs=needs.on(identity["id"], "delete"),
    )


def judge(arm: Arm, identity: t.Mapping[str, t.Any], leaving: t.Iterable[str]) -> dict[str, t.Any]:
    """What the task tells of an identity that is to be deleted; raises Failure where something uses it."""
    if not identity:
        return {}
    left = {arm_id.normal(each) for each in leaving}
    users = identity_users.find(arm, identity["id"])
    holders = [each for each in users.holders if arm_id.normal(each) not in left]
    identities.refuse_used(identity["id"], identities.used_by(users.credentials, holders))
    return {"role_assignments": identity_users.role_assignments(arm, identity)}


def creation(arm: Arm, options: t.Mapping[str, t.Any], wanted_tags: t.Mapping[str, str]) -> Plan:
    group, name = options["resource_group"], options["name"]
    location = options["location"] or resource_groups.location(arm, group)
    after = {
        "id": arm_id.resource(arm.subscription, group, identities.KIND, name),
        "name": name,
        "resource_group": group,
        "location": location or KNOWN_AFTER_APPLY,
        "client_id": KNOWN_AFTER_APPLY,
        "principal_id": KNOWN_AFTER_APPLY,
        "tenant_id": KNOWN_AFTER_APPLY,
        "tags": wanted_tags,
    }
    change = Change("create", identities.KIND, after["id"])
    step = Step(
        f"{change.verb} identity {name}",
        change,
        lambda: identities.view(service.create(arm, group, name, location=location, tags=wanted_tags)),
        needs=needs.on(after["id"], "write"),
    )
    return Plan({}, after, (step,))


def main() -> None:
    module = OPTIONS.create_module()
    connect = functools.partial(Arm.connect, module.params, module.run_command)
    run(module, lambda: make_plan(connect(), module.params, predict=predicting(module)), key="state")


if __name__ == "__main__":
    main()
