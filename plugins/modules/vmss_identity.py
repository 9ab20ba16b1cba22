#!/usr/bin/python
# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: vmss_identity
short_description: Attach identities to scale sets and virtual machines, or detach them
version_added: 1.0.0
author:
  - azureops.pod_identity contributors (@azureops)
description:
  - Attaches user-assigned identities to scale sets and virtual machines, or detaches them. Everything else there stays
    as it is, other identities and the system-assigned one included.
  - An identity that a cluster needs is not detached, unless it is named in O(allow_detach_protected).
  - Another operation on the scale set is waited for. After each change it is read again and compared.
  - A scale set that is just being deleted is left out.
extends_documentation_fragment:
  - azureops.pod_identity._carriers
  - azureops.pod_identity._azure_auth
  - azureops.pod_identity._azure_wait
  - azureops.pod_identity._attributes
  - azureops.pod_identity._attributes.actiongroup_azure
attributes:
  check_mode:
    support: full
    details:
      - What does not exist yet, and the value C((known after apply)), are accepted. What is going on there is not
        waited for.
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  identities:
    description: Resource ids of the identities.
    type: list
    elements: str
    required: true
  allow_detach_protected:
    description: Resource ids of identities that may be detached although a cluster, or nobody knows who, needs them.
    type: list
    elements: str
    default: []
  allow_unknown_owner:
    description:
      - Whether to detach where it cannot be told which cluster the scale sets belong to, and so which identities it
        needs.
    type: bool
    default: false
  state:
    description:
      - Whether the identities are attached.
      - V(absent) also detaches identities that do not exist any more.
    type: str
    choices: [present, absent]
    default: present
notes:
  - Instances have the identities at once; they need no upgrade.
  - MIC and the pod identity add-on write the identities of scale sets too. What they still assign to pods they attach
    again.
  - Needs C(Microsoft.Compute/virtualMachineScaleSets/read) and C(Microsoft.Compute/virtualMachineScaleSets/write), for
    single machines the same of C(Microsoft.Compute/virtualMachines), and
    C(Microsoft.ManagedIdentity/userAssignedIdentities/assign/action) on what is attached; to detach also to read the
    resource group and its cluster.
seealso:
  - module: azureops.pod_identity.vmss_identity_info
  - module: azureops.pod_identity.user_assigned_identity
"""

EXAMPLES = r"""
- name: Create an identity
  azureops.pod_identity.user_assigned_identity:
    resource_group: rg-shop
    name: billing
  register: billing

- name: Attach it to all nodes of a cluster
  azureops.pod_identity.vmss_identity:
    resource_group: rg-shop
    cluster_name: shop
    identities: ["{{ billing.state.id }}"]

- name: Look at the scale sets
  azureops.pod_identity.vmss_identity_info:
    node_resource_group: MC_rg-shop_shop_westeurope
    check_existence: true
  register: found

- name: Detach what does not exist any more
  azureops.pod_identity.vmss_identity:
    node_resource_group: MC_rg-shop_shop_westeurope
    identities: >-
      {{ found.resources | map(attribute='identities') | flatten | selectattr('ghost') | map(attribute='id') }}
    state: absent

- name: Detach an identity from a scale set that belongs to no cluster
  azureops.pod_identity.vmss_identity:
    resource_id: "{{ workers_id }}"
    identities: ["{{ billing.state.id }}"]
    allow_unknown_owner: true
    state: absent
"""

RETURN = r"""
state:
  description: The scale sets and virtual machines.
  returned: success
  type: dict
  contains:
    resources:
      description: One entry for each. Where none exists yet, one of C((known after apply)) in check mode.
      returned: always
      type: list
      elements: dict
      contains:
        id:
          description: Resource id.
          returned: always
          type: str
          sample: >-
            /subscriptions/7f1f4a5e-6a0f-4d0c-9a0e-2f8f8d1c2b3a/resourceGroups/MC_rg-shop_shop_westeurope/providers/Microsoft.Compute/virtualMachineScaleSets/aks-nodepool1-12345678-vmss
        name:
          description: Name.
          returned: always
          type: str
          sample: aks-nodepool1-12345678-vmss
        type:
          description: V(scale_set) or V(virtual_machine).
          returned: always
          type: str
          sample: scale_set
        identities:
          description: The user-assigned identities there, sorted by id.
          returned: always
          type: list
          elements: dict
          contains:
            id:
              description: Resource id of the identity.
              returned: always
              type: str
              sample: >-
                /subscriptions/7f1f4a5e-6a0f-4d0c-9a0e-2f8f8d1c2b3a/resourceGroups/rg-shop/providers/Microsoft.ManagedIdentity/userAssignedIdentities/billing
            client_id:
              description: Client id of the identity; empty where it was deleted.
              returned: always
              type: str
              sample: 6f0c5c0e-1a2b-4c3d-8e4f-5a6b7c8d9e0f
            principal_id:
              description: Object id of the identity; empty where it was deleted.
              returned: always
              type: str
              sample: b1d9c1c8-1f5a-4a0e-9a74-0a6d5a3a7c21
actions:
  description: What was done, or in check mode what would be done; Azure takes 150 identities at a time.
  returned: always
  type: list
  elements: str
  sample: [attach billing to the scale set aks-nodepool1-12345678-vmss]
failed_action:
  description: The action that failed.
  returned: when an action fails
  type: str
  sample: attach billing to the scale set aks-nodepool1-12345678-vmss
error:
  description: The answer of the service as data (C(code), C(message), C(request_id), C(status)).
  returned: when Azure refuses a request
  type: dict
  sample: {code: FailedIdentityOperation, message: Identity operation failed., status: 400}
"""

import functools
import typing as t

from ansible_collections.azureops.pod_identity.plugins.module_utils._argspec import (
    ArgumentSpec,
    azure_auth,
    azure_wait,
    carriers,
)
from ansible_collections.azureops.pod_identity.plugins.module_utils._azure import attached_identities as azure
from ansible_collections.azureops.pod_identity.plugins.module_utils._azure.client import Arm
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain import attached_identities as attached
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain import protected_identities
from ansible_collections.azureops.pod_identity.plugins.module_utils._plan import (
    KNOWN_AFTER_APPLY,
    Plan,
    Step,
    known,
    predicting,
    run,
)
from ansible_collections.azureops.pod_identity.plugins.module_utils._progress import teller

OPTIONS = ArgumentSpec(
    options={
        "identities": {"type": "list", "elements": "str", "required": True},
        "allow_detach_protected": {"type": "list", "elements": "str", "default": []},
        "allow_unknown_owner": {"type": "bool", "default": False},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    }
).merge(carriers(), azure_auth(), azure_wait())

Options = t.Mapping[str, t.Any]


def make_plan(arm: Arm, options: Options, is_known: t.Callable[[str], bool], *, wait: bool) -> Plan:
    attach = options["state"] == "present"
    ids = attached.wanted(filter(is_known, options["identities"]))
    if attach and not all(map(is_known, options["identities"])):
        ids = (*ids, KNOWN_AFTER_APPLY)
    if not all(is_known(options[name] or "") for name in ("resource_id", "node_resource_group")):
        return of_nothing(options, ids)
    where = azure.place(arm, options)
    found = azure.carriers(arm, options, where)
    if not found:
        return of_nothing(options, ids)
    if wait:
        found = tuple(azure.settled(arm, each) for each in found)
    if not attach and any(attached.outstanding(each, ids, attach=False) for each in found):
        protection = protected_identities.protection(*azure.owner(arm, where), options["protected_identities"])
        allowed, unjudged = options["allow_detach_protected"], options["allow_unknown_owner"]
        attached.refuse_protected(found, ids, protection, allowed=allowed, unjudged=unjudged)
    after = [attached.changed(each, ids, attach=attach, unknown=KNOWN_AFTER_APPLY) for each in found]
    warnings = attached.dead_warnings(found) if attach else ()
    return Plan(view(found), view(after), tuple(steps(arm, found, ids, attach=attach)), warnings=warnings)


def steps(arm: Arm, found: t.Iterable[attached.Carrier], ids: t.Sequence[str], *, attach: bool) -> t.Iterator[Step]:
    latest = {each.id: each for each in found}

    def change(carrier: attached.Carrier, batch: t.Sequence[str], doing: str) -> t.Mapping[str, t.Any]:
        latest[carrier.id] = azure.change(arm, carrier, batch, attach=attach, doing=doing)
        return view(latest.values())

    for carrier in tuple(latest.values()):
        for batch in attached.batches(attached.outstanding(carrier, ids, attach=attach)):
            doing = attached.action(batch, carrier.text, attach=attach)
            yield Step(doing, functools.partial(change, carrier, batch, doing))


def of_nothing(options: Options, ids: t.Sequence[str]) -> Plan:
    """In check mode an earlier task will have created what to attach to; otherwise attaching fails."""
    if options["state"] == "absent" or not ids:
        return Plan(view(()), view(()))
    doing = attached.action(ids, attached.place_text(options), attach=True)
    step = Step(doing, functools.partial(attached.refuse_nothing, options))
    return Plan(view(()), {"resources": [attached.predicted(ids, KNOWN_AFTER_APPLY)]}, (step,))


def view(found: t.Iterable[attached.Carrier]) -> t.Mapping[str, t.Any]:
    return {"resources": [attached.view(each) for each in found]}


def main() -> None:
    module = OPTIONS.create_module()
    is_known = functools.partial(known, module)
    wait = not predicting(module)
    connect = functools.partial(Arm.connect, module.params, module.run_command, teller(module))
    run(module, lambda: make_plan(connect(), module.params, is_known, wait=wait), key="state")


if __name__ == "__main__":
    main()
