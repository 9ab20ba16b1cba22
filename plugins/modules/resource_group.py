#!/usr/bin/python
# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: resource_group
short_description: Manage an Azure resource group
version_added: 1.0.0
author:
  - azureops.pod_identity contributors (@azureops)
description:
  - Creates a resource group, changes its tags, or deletes it.
  - A group that still holds resources is deleted only with O(force_delete_nonempty=true).
extends_documentation_fragment:
  - azureops.pod_identity._azure_auth
  - azureops.pod_identity._azure_wait
  - azureops.pod_identity._tags
  - azureops.pod_identity._attributes
  - azureops.pod_identity._attributes.actiongroup_azure
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  name:
    description: Name of the resource group.
    type: str
    required: true
  location:
    description:
      - Azure region, for example V(westeurope). Required when the group does not exist yet.
      - An existing group cannot move; another location is refused.
    type: str
  state:
    description: Whether the group exists.
    type: str
    choices: [present, absent]
    default: present
  force_delete_nonempty:
    description: Whether O(state=absent) may delete a group together with the resources that are still in it.
    type: bool
    default: false
  ignore_resources:
    description:
      - Ids of resources that do not keep O(state=absent) from deleting the group, such as those that an earlier task
        deletes; in check mode they are still there, and Azure may list them for a while afterwards.
      - One that begins with C(/resourceGroups) lies in O(subscription_id).
    type: list
    elements: str
    default: []
seealso:
  - module: azureops.pod_identity.resource_group_info
  - module: azureops.pod_identity.aks_cluster
"""

EXAMPLES = r"""
- name: Create the group of the cluster
  azureops.pod_identity.resource_group:
    name: pod-identity-demo
    location: westeurope
    tags:
      team: platform

- name: Delete it with everything in it
  azureops.pod_identity.resource_group:
    name: pod-identity-demo
    state: absent
    force_delete_nonempty: true
"""

RETURN = r"""
state:
  description: The resource group; empty when it is absent.
  returned: success
  type: dict
  contains:
    id:
      description: Resource id of the group.
      returned: when the group is present
      type: str
      sample: /subscriptions/7f1f4a5e-6a0f-4d0c-9a0e-2f8f8d1c2b3a/resourceGroups/pod-identity-demo
    name:
      description: Name of the group.
      returned: when the group is present
      type: str
      sample: pod-identity-demo
    location:
      description: Region of the group.
      returned: when the group is present
      type: str
      sample: westeurope
    tags:
      description: Tags of the group.
      returned: when the group is present
      type: dict
      sample: {team: platform}
    provisioning_state:
      description: State of the last operation on the group.
      returned: when the group is present
      type: str
      sample: Succeeded
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
      actions: [Microsoft.Resources/subscriptions/resourceGroups/write]
actions:
  description: What was done, or in check mode what would be done.
  returned: always
  type: list
  elements: str
  sample: [create resource group pod-identity-demo]
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
      kind: Microsoft.Resources/resourceGroups
      id: /subscriptions/7f1f4a5e-6a0f-4d0c-9a0e-2f8f8d1c2b3a/resourceGroups/pod-identity-demo
      why: ''
failed_action:
  description: The action that failed.
  returned: when an action fails
  type: str
  sample: create resource group pod-identity-demo
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
    kind: Microsoft.Resources/resourceGroups
    id: /subscriptions/7f1f4a5e-6a0f-4d0c-9a0e-2f8f8d1c2b3a/resourceGroups/pod-identity-demo
    why: ''
error:
  description: The answer of the service as data.
  returned: when Azure refuses a request
  type: dict
  contains:
    code:
      description: Error code of the service.
      returned: always
      type: str
      sample: AuthorizationFailed
    message:
      description: Message of the service.
      returned: always
      type: str
      sample: The client does not have authorization to perform the action.
    request_id:
      description: Request id to name in a support case.
      returned: when the service gave one
      type: str
      sample: 0f6c1a3d-8f1d-4a53-9d64-3b1d8b2f5a11
    status:
      description: HTTP status of the answer.
      returned: when there was an answer
      type: int
      sample: 403
"""

import functools
import typing as t

from ansible_collections.azureops.pod_identity.plugins.module_utils._argspec import ArgumentSpec
from ansible_collections.azureops.pod_identity.plugins.module_utils._azure import resource_groups
from ansible_collections.azureops.pod_identity.plugins.module_utils._azure.client import Arm
from ansible_collections.azureops.pod_identity.plugins.module_utils._azure_options import azure_auth, azure_wait, tags
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.azure import arm_id, groups, needs
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.azure import tags as tag_rules
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.change import Change
from ansible_collections.azureops.pod_identity.plugins.module_utils._plan import Plan, Step, run

OPTIONS = ArgumentSpec(
    options={
        "name": {"type": "str", "required": True},
        "location": {"type": "str"},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "force_delete_nonempty": {"type": "bool", "default": False},
        "ignore_resources": {"type": "list", "elements": "str", "default": []},
    }
).merge(azure_auth(), azure_wait(), tags())


def make_plan(arm: Arm, options: t.Mapping[str, t.Any]) -> Plan:
    name = options["name"]
    current = resource_groups.get(arm, name)
    before = groups.view(current)
    if options["state"] == "absent":
        if current is None:
            return Plan(before, {})
        if not options["force_delete_nonempty"]:
            found = resource_groups.resources(arm, name)
            left = groups.without(found, options["ignore_resources"], arm.subscription)
            groups.refuse_nonempty(name, left, "force_delete_nonempty")
        delete = functools.partial(resource_groups.delete, arm, name)
        change = Change("delete", groups.KIND, before["id"])
        step = Step(f"{change.verb} resource group {name}", change, delete, needs=needs.on(before["id"], "delete"))
        return Plan(before, {}, (step,))
    if current and groups.is_going(current):
        current = None
    body = groups.desired(
        name,
        current,
        location=options["location"],
        wanted_tags=tag_rules.parse(options["tags"]),
        append_tags=options["append_tags"],
    )
    if body == current:
        return Plan(before, before)
    identifier = arm_id.resource_group(arm.subscription, name)
    after = {**groups.view(body), "name": name, "id": identifier} if current is None else groups.view(body)
    change = Change("create", groups.KIND, identifier)
    if current is not None:
        change = Change("change", groups.KIND, before["id"], "tags")
    step = Step(
        f"{change.verb} {'the tags of ' if change.why else ''}resource group {name}",
        change,
        lambda: groups.view(resource_groups.put(arm, name, body)),
        needs=needs.on(identifier, "write"),
    )
    return Plan(before, after, (step,))


def main() -> None:
    module = OPTIONS.create_module()
    arm = functools.partial(Arm.connect, module.params, module.run_command)
    run(module, lambda: make_plan(arm(), module.params), key="state")


if __name__ == "__main__":
    main()
