#!/usr/bin/python
# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: role_assignment
short_description: Manage an Azure role assignment
version_added: 1.0.0
author:
  - azureops.pod_identity contributors (@azureops)
description:
  - Grants a role to a principal at a scope, or takes it away.
  - An assignment that exists already under any name counts, also one that is inherited from a wider scope unless
    O(accept_inherited=false).
  - The condition and the description of an assignment are changed in place and only where they are named. An inherited
    assignment is never changed, and counts only where its condition is the named one.
  - The name of a new assignment is derived from scope, role and principal, so that two runs at the same time create
    the same assignment.
extends_documentation_fragment:
  - azureops.pod_identity._azure_auth
  - azureops.pod_identity._azure_wait
  - azureops.pod_identity._attributes
  - azureops.pod_identity._attributes.actiongroup_azure
requirements:
  - azure-mgmt-authorization >= 4.0.0
attributes:
  check_mode:
    support: full
    details:
      - A scope that does not exist yet and a O(principal_id) of C((known after apply)) are accepted.
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  scope:
    description: Id of the resource, resource group, subscription or management group at which the role is held.
    type: str
    required: true
  role:
    description:
      - Name of the role, its GUID, or the full id of its definition.
      - Exactly one of O(role) and O(roles) is required.
    type: str
  roles:
    description:
      - Several roles of the principal at the scope, each as in O(role). What the principal holds is listed once for all
        of them.
    type: list
    elements: str
  purge_roles:
    description:
      - Whether assignments of other roles than O(roles) are removed, where this module has made them for the principal
        at exactly O(scope), which their name tells. With O(state=absent) it plays no part.
      - What somebody else has assigned, and what is inherited, stays and is named in a warning.
    type: bool
    default: false
  purge_allow_empty:
    description: Whether O(purge_roles) may remove all, because O(roles) is empty.
    type: bool
    default: false
  principal_id:
    description: Object id of the principal. For a managed identity this is its principal id, not its client id.
    type: str
    required: true
  principal_type:
    description:
      - Kind of the principal. Azure uses it to accept a principal that was created a moment ago.
      - It plays no part for an assignment that exists.
    type: str
    choices: [ServicePrincipal, User, Group, ForeignGroup, Device]
    default: ServicePrincipal
  condition:
    description:
      - Condition under which the assignment holds, in the language of Azure attribute-based access control.
      - Unset, an existing condition is kept, and a new assignment has none. An empty text removes the condition.
    type: str
  condition_version:
    description:
      - Version of the language of O(condition). Unset, it is V(2.0) where a condition is set or changed.
    type: str
  description:
    description:
      - A note on the assignment.
      - Unset, an existing one is kept. An empty text removes it.
    type: str
  accept_inherited:
    description: Whether an assignment at a wider scope satisfies O(state=present).
    type: bool
    default: true
  wait_visible:
    description: Whether to wait until a list of assignments shows the new assignment.
    type: bool
    default: true
  state:
    description:
      - Whether the principal holds the role at the scope.
      - V(absent) removes the assignment at exactly this scope, whatever its name and condition; an inherited one stays
        and is named in a warning.
    type: str
    choices: [present, absent]
    default: present
notes:
  - To verify without granting, use M(azureops.pod_identity.role_assignment_info).
  - Azure may need up to 30 minutes until a new assignment takes effect everywhere.
seealso:
  - module: azureops.pod_identity.role_assignment_info
  - module: azureops.pod_identity.user_assigned_identity
"""

EXAMPLES = r"""
- name: Let the kubelet identity assign the identities of a resource group
  azureops.pod_identity.role_assignment:
    scope: /subscriptions/7f1f4a5e-6a0f-4d0c-9a0e-2f8f8d1c2b3a/resourceGroups/pod-identity-demo
    role: Managed Identity Operator
    principal_id: b1d9c1c8-1f5a-4a0e-9a74-0a6d5a3a7c21

- name: Give a principal several roles
  azureops.pod_identity.role_assignment:
    scope: /subscriptions/7f1f4a5e-6a0f-4d0c-9a0e-2f8f8d1c2b3a/resourceGroups/MC_pod-identity-demo_demo_westeurope
    roles: [Managed Identity Operator, Virtual Machine Contributor]
    principal_id: b1d9c1c8-1f5a-4a0e-9a74-0a6d5a3a7c21

- name: Take back what an earlier version of this playbook has given besides
  azureops.pod_identity.role_assignment:
    scope: /subscriptions/7f1f4a5e-6a0f-4d0c-9a0e-2f8f8d1c2b3a/resourceGroups/pod-identity-demo
    roles: [Managed Identity Operator]
    purge_roles: true
    principal_id: b1d9c1c8-1f5a-4a0e-9a74-0a6d5a3a7c21

- name: Let an operator grant nothing but the role Managed Identity Operator
  azureops.pod_identity.role_assignment:
    scope: /subscriptions/7f1f4a5e-6a0f-4d0c-9a0e-2f8f8d1c2b3a/resourceGroups/pod-identity-demo
    role: Role Based Access Control Administrator
    principal_id: 3b0f1c9e-52a7-4a34-9c53-7d0f4a8e6b12
    principal_type: User
    description: Operators of pod identity grant what MIC needs
    condition: >-
      ((!(ActionMatches{'Microsoft.Authorization/roleAssignments/write'}))
      OR (@Request[Microsoft.Authorization/roleAssignments:RoleDefinitionId]
      ForAnyOfAnyValues:GuidEquals {f1a07417-d97a-45cb-824c-7a7467783830}))

- name: Take a role away
  azureops.pod_identity.role_assignment:
    scope: /subscriptions/7f1f4a5e-6a0f-4d0c-9a0e-2f8f8d1c2b3a/resourceGroups/pod-identity-demo
    role: f1a07417-d97a-45cb-824c-7a7467783830
    principal_id: b1d9c1c8-1f5a-4a0e-9a74-0a6d5a3a7c21
    state: absent
"""

RETURN = r"""
state:
  description:
    - The role assignment; empty when it is absent.
    - With O(roles), a dictionary of such assignments under the roles as they are named there; what is purged is empty.
  returned: success
  type: dict
  contains:
    id:
      description: Id of the assignment. In check mode C((known after apply)) when the principal is not known yet.
      returned: when the assignment is present
      type: str
      sample: >-
        /subscriptions/7f1f4a5e-6a0f-4d0c-9a0e-2f8f8d1c2b3a/resourceGroups/pod-identity-demo/providers/Microsoft.Authorization/roleAssignments/9c1f2b1a-4f52-5d0c-8a77-1d5c7a4f9e00
    name:
      description: Name (a GUID) of the assignment.
      returned: when the assignment is present
      type: str
      sample: 9c1f2b1a-4f52-5d0c-8a77-1d5c7a4f9e00
    scope:
      description: Scope of the assignment itself; wider than O(scope) when it is inherited.
      returned: when the assignment is present
      type: str
      sample: /subscriptions/7f1f4a5e-6a0f-4d0c-9a0e-2f8f8d1c2b3a/resourceGroups/pod-identity-demo
    role_name:
      description: Name of the role; the GUID when only that is known.
      returned: when the assignment is present
      type: str
      sample: Managed Identity Operator
    role_definition_id:
      description: Id of the role's definition.
      returned: when the assignment is present
      type: str
      sample: >-
        /subscriptions/7f1f4a5e-6a0f-4d0c-9a0e-2f8f8d1c2b3a/providers/Microsoft.Authorization/roleDefinitions/f1a07417-d97a-45cb-824c-7a7467783830
    principal_id:
      description: Object id of the principal.
      returned: when the assignment is present
      type: str
      sample: b1d9c1c8-1f5a-4a0e-9a74-0a6d5a3a7c21
    principal_type:
      description: Kind of the principal.
      returned: when the assignment is present
      type: str
      sample: ServicePrincipal
    condition:
      description: Condition under which the assignment holds; empty when there is none.
      returned: when the assignment is present
      type: str
      sample: ''
    condition_version:
      description: Version of the language of the condition; empty when there is none.
      returned: when the assignment is present
      type: str
      sample: ''
    description:
      description: The note on the assignment; empty when there is none.
      returned: when the assignment is present
      type: str
      sample: ''
    inherited:
      description: Whether the assignment is held through a wider scope.
      returned: when the assignment is present
      type: bool
      sample: false
to_remove:
  description: The assignments that are there and have to go; it has the keys of RV(state).
  returned: with O(state=absent), and with O(roles)
  type: list
  elements: dict
  sample: []
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
    - scope: /subscriptions/7f1f4a5e-6a0f-4d0c-9a0e-2f8f8d1c2b3a/resourceGroups/pod-identity-demo
      actions: [Microsoft.Authorization/roleAssignments/write]
actions:
  description: What was done, or in check mode what would be done.
  returned: always
  type: list
  elements: str
  sample:
    - >-
      assign Managed Identity Operator to b1d9c1c8-1f5a-4a0e-9a74-0a6d5a3a7c21 at
      /subscriptions/7f1f4a5e-6a0f-4d0c-9a0e-2f8f8d1c2b3a/resourceGroups/pod-identity-demo
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
      kind: Microsoft.Authorization/roleAssignments
      id: >-
        /subscriptions/7f1f4a5e-6a0f-4d0c-9a0e-2f8f8d1c2b3a/resourceGroups/pod-identity-demo/providers/Microsoft.Authorization/roleAssignments/0b5d3f0e-6f3a-5a9e-9d1f-3c7d5a1e8b42
      why: Managed Identity Operator
failed_action:
  description: The action that failed.
  returned: when an action fails
  type: str
  sample: assign Managed Identity Operator to b1d9c1c8-1f5a-4a0e-9a74-0a6d5a3a7c21
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
    kind: Microsoft.Authorization/roleAssignments
    id: >-
      /subscriptions/7f1f4a5e-6a0f-4d0c-9a0e-2f8f8d1c2b3a/resourceGroups/pod-identity-demo/providers/Microsoft.Authorization/roleAssignments/0b5d3f0e-6f3a-5a9e-9d1f-3c7d5a1e8b42
    why: Managed Identity Operator
error:
  description: Answer of the service as data (C(code), C(message), C(status), and of Azure C(request_id)).
  returned: when Azure or the API server refuses a request
  type: dict
  sample: {code: AuthorizationFailed, message: The client does not have authorization., status: 403}
"""

import functools
import typing as t
from dataclasses import replace

from ansible_collections.azureops.pod_identity.plugins.module_utils._argspec import ArgumentSpec
from ansible_collections.azureops.pod_identity.plugins.module_utils._azure import authorization
from ansible_collections.azureops.pod_identity.plugins.module_utils._azure.client import Arm
from ansible_collections.azureops.pod_identity.plugins.module_utils._azure_options import azure_auth, azure_wait
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.azure import azure_roles, needs
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.change import Change
from ansible_collections.azureops.pod_identity.plugins.module_utils._plan import (
    KNOWN_AFTER_APPLY,
    Plan,
    Step,
    known,
    run,
)

OPTIONS = ArgumentSpec(
    options={
        "scope": {"type": "str", "required": True},
        "role": {"type": "str"},
        "roles": {"type": "list", "elements": "str"},
        "purge_roles": {"type": "bool", "default": False},
        "purge_allow_empty": {"type": "bool", "default": False},
        "principal_id": {"type": "str", "required": True},
        "principal_type": {
            "type": "str",
            "choices": ["ServicePrincipal", "User", "Group", "ForeignGroup", "Device"],
            "default": "ServicePrincipal",
        },
        "condition": {"type": "str"},
        "condition_version": {"type": "str"},
        "description": {"type": "str"},
        "accept_inherited": {"type": "bool", "default": True},
        "wait_visible": {"type": "bool", "default": True},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    },
    mutually_exclusive=(("role", "roles"),),
    required_one_of=(("role", "roles"),),
    required_by={"condition_version": ("condition",)},
    required_if=(("purge_roles", True, ("roles",)),),
).merge(azure_auth(), azure_wait())


def make_plan(arm: Arm, options: t.Mapping[str, t.Any], is_known: t.Callable[[str], bool]) -> Plan:
    scope, principal = options["scope"], options["principal_id"]
    purge = options["purge_roles"] and options["state"] == "present"
    azure_roles.refuse_empty(options["roles"], purge=purge, allowed=options["purge_allow_empty"])
    named = options["roles"] if options["role"] is None else [options["role"]]
    extras = azure_roles.Extras(options["condition"], options["condition_version"], options["description"])
    if is_known(scope) and is_known(principal):
        azure_roles.require_object_id(principal)
        chosen = {each: authorization.role(arm, each, scope) for each in named}
        held = authorization.assignments(arm, scope, principal)
        plans = {each: plan_of_role(arm, options, held, role, extras) for each, role in chosen.items()}
        surplus = azure_roles.surplus(held, scope, principal, chosen.values()) if purge else ()
        plans.update({role.name: removal(arm, role, scope, ours, others) for role, ours, others in surplus})
    else:
        plans = {each: unknown_yet(options, each, extras) for each in named}
    return together(plans) if options["role"] is None else plans[options["role"]]


def together(plans: t.Mapping[str, Plan]) -> Plan:
    """The plans of several roles as one."""
    after: dict[str, t.Any] = {role: plan.after for role, plan in plans.items()}
    state = dict(after)

    def apply(role: str, step: Step) -> t.Mapping[str, t.Any]:
        state[role] = step.apply() or {}
        return state

    return Plan(
        {role: plan.before for role, plan in plans.items()},
        after,
        tuple(
            replace(step, apply=functools.partial(apply, role, step))
            for role, plan in plans.items()
            for step in plan.steps
        ),
        warnings=tuple(warning for plan in plans.values() for warning in plan.warnings),
        extra_results={
            "to_remove": [each for plan in plans.values() for each in plan.extra_results.get("to_remove") or ()]
        },
    )


def plan_of_role(
    arm: Arm,
    options: t.Mapping[str, t.Any],
    held: t.Sequence[azure_roles.Assignment],
    role: azure_roles.Role,
    extras: azure_roles.Extras,
) -> Plan:
    scope, principal = options["scope"], options["principal_id"]
    exact, inherited = azure_roles.matching(held, scope, role, principal)
    if options["state"] == "absent":
        return removal(arm, role, scope, exact, inherited)
    if exact:
        return change(arm, role, scope, exact[0], extras)
    satisfying = [one for one in inherited if options["accept_inherited"] and azure_roles.serves(one, extras)]
    if satisfying:
        state = azure_roles.view(satisfying[0], role, scope)
        return Plan(state, state)
    wanted = azure_roles.wanted(scope, role, principal, options["principal_type"], extras)

    step = Step(
        azure_roles.assigning(role.name, principal, scope),
        azure_roles.change("create", wanted, role),
        lambda: azure_roles.view(
            authorization.grant(arm, wanted, role, extras, visibly=options["wait_visible"]), role, scope
        ),
        needs=needs.assignments(scope, "write"),
    )
    return Plan({}, azure_roles.view(wanted, role, scope), (step,))


def change(
    arm: Arm, role: azure_roles.Role, scope: str, current: azure_roles.Assignment, extras: azure_roles.Extras
) -> Plan:
    wanted = azure_roles.changed(current, extras)
    before, after = (azure_roles.view(one, role, scope) for one in (current, wanted))
    if wanted == current:
        return Plan(before, before)
    told = Change("change", azure_roles.KIND, current.id, azure_roles.difference(current, wanted))
    step = Step(
        f"{told.verb} the {told.why} of {role.name} for {current.principal_id} at {scope}",
        told,
        lambda: azure_roles.view(authorization.change(arm, wanted), role, scope),
        needs=needs.assignments(scope, "write"),
    )
    return Plan(before, after, (step,))


def removal(
    arm: Arm,
    role: azure_roles.Role,
    scope: str,
    going: t.Sequence[azure_roles.Assignment],
    staying: t.Sequence[azure_roles.Assignment],
) -> Plan:
    steps = tuple(
        Step(
            azure_roles.removing(role.name, assignment.principal_id, scope),
            azure_roles.change("delete", assignment, role),
            functools.partial(authorization.delete, arm, assignment),
            needs=needs.assignments(scope, "delete"),
        )
        for assignment in going
    )
    warnings = tuple(azure_roles.still_held(assignment, role, scope) for assignment in staying)
    views = [azure_roles.view(each, role, scope) for each in going]
    return Plan(views[0] if views else {}, {}, steps, warnings=warnings, extra_results={"to_remove": views})


def unknown_yet(options: t.Mapping[str, t.Any], named: str, extras: azure_roles.Extras) -> Plan:
    """In check mode the principal, or the scope, may be one that an earlier task will create."""
    if options["state"] == "absent":
        return Plan({}, {}, extra_results={"to_remove": []})
    scope, principal = options["scope"], options["principal_id"]
    role = azure_roles.named(named) or azure_roles.Role(named, KNOWN_AFTER_APPLY)
    place = "" if scope == KNOWN_AFTER_APPLY else scope
    wanted = azure_roles.wanted(place, role, principal, options["principal_type"], extras)
    after = {
        **azure_roles.view(wanted, role, place),
        "id": KNOWN_AFTER_APPLY,
        "name": KNOWN_AFTER_APPLY,
        "scope": scope,
    }
    # Never applied: outside check mode such a value has been refused.
    summary = azure_roles.assigning(role.name, principal, scope)
    told = Change("create", azure_roles.KIND, after["id"], role.name)
    return Plan({}, after, (Step(summary, told, lambda: None, needs=needs.assignments(scope, "write")),))


def main() -> None:
    module = OPTIONS.create_module()
    is_known = functools.partial(known, module)
    arm = functools.partial(Arm.connect, module.params, module.run_command)
    run(module, lambda: make_plan(arm(), module.params, is_known), key="state")


if __name__ == "__main__":
    main()
