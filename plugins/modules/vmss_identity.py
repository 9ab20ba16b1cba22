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
  - Another operation on the scale set is waited for, except with O(state=clean). After each change it is read again and
    compared.
  - A scale set that is just being deleted is left out.
extends_documentation_fragment:
  - azureops.pod_identity._carriers
  - azureops.pod_identity._ownership
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
    description:
      - Resource ids of the identities. Needed unless O(state=clean).
      - With O(state=clean) these are detached too where nobody knows anything of them, but not where they must stay or
        pods are still to get them.
    type: list
    elements: str
  allow_detach_protected:
    description:
      - Resource ids of identities that may be detached although a cluster, or nobody knows who, needs them.
      - O(state=clean) does not look at it.
    type: list
    elements: str
    default: []
  allow_unknown_owner:
    description:
      - Whether to detach where it cannot be told which cluster the scale sets belong to, and so which identities it
        needs.
    type: bool
    default: false
  assume_detached:
    description:
      - What MIC, or somebody else, detaches before the task runs outside check mode, with O(state=clean). In check mode
        it counts as detached; it has no meaning otherwise.
    type: list
    elements: dict
    default: []
    suboptions:
      id:
        description: Resource id of the identity.
        type: str
        required: true
      provider_id:
        description: What C(spec.providerID) of a node says, of whose scale set or virtual machine it is detached.
        type: str
        required: true
  restore_bundle:
    description:
      - Where somebody wrote down what the scale sets carry, for instance the path of a file. A failure names it, so
        that whoever reads that finds the way back.
    type: str
  state:
    description:
      - Whether the identities are attached.
      - V(absent) also detaches identities that do not exist any more.
      - V(clean) detaches what is proved to be a leftover of pod identity, that is, identities that it is known to have
        handled by O(known_identities), O(known_files) or O(activity_log_days), that no cluster needs, and that are not
        in O(used_identities); and identities that were deleted in Azure. Everything else stays and is reported.
      - V(clean) takes as few requests as Azure allows, and stops at the first sign of somebody else, that is, when
        another operation goes on there or with the cluster, or when a scale set carries something else than expected
        before or after a change.
    type: str
    choices: [present, absent, clean]
    default: present
notes:
  - Instances have the identities at once; they need no upgrade.
  - MIC and the pod identity add-on write the identities of scale sets too. What they still assign to pods they attach
    again.
  - Needs C(Microsoft.Compute/virtualMachineScaleSets/read) and C(Microsoft.Compute/virtualMachineScaleSets/write), for
    single machines the same of C(Microsoft.Compute/virtualMachines), and
    C(Microsoft.ManagedIdentity/userAssignedIdentities/assign/action) on what is attached; to detach also to read the
    resource group and its cluster, and with O(state=clean) to list the identities of the groups that they are in. Where
    these may not be listed, what is dead is not known and stays, unless it is known from elsewhere.
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

- name: Detach what MIC left, and nothing else
  azureops.pod_identity.vmss_identity:
    resource_group: rg-shop
    cluster_name: shop
    known_files:
      - /srv/git/shop/azure-identities.yml
    activity_log_days: 90
    restore_bundle: /var/backups/shop-scale-sets.json
    state: clean
  register: cleaned

- name: Show what stays, and why
  ansible.builtin.debug:
    msg: >-
      {{ cleaned.ownership | rejectattr('removable')
         | azureops.pod_identity.table(['id', 'ownership', 'ownership_because']) }}
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
ownership:
  description: What each scale set carried before, whose that is, and whether it went.
  returned: with O(state=clean)
  type: list
  elements: dict
  contains:
    resource_id:
      description: Resource id of the scale set or virtual machine.
      returned: always
      type: str
      sample: >-
        /subscriptions/7f1f4a5e-6a0f-4d0c-9a0e-2f8f8d1c2b3a/resourceGroups/MC_rg-shop_shop_westeurope/providers/Microsoft.Compute/virtualMachineScaleSets/aks-nodepool1-12345678-vmss
    id:
      description: Resource id of the identity, as it is spelled there.
      returned: always
      type: str
      sample: >-
        /subscriptions/7f1f4a5e-6a0f-4d0c-9a0e-2f8f8d1c2b3a/resourceGroups/rg-shop/providers/Microsoft.ManagedIdentity/userAssignedIdentities/billing
    ownership:
      description:
        - V(protected), V(used), V(ghost), V(removable) or V(unknown), as M(azureops.pod_identity.vmss_identity_info)
          explains them.
      returned: always
      type: str
      sample: removable
    ownership_because:
      description: Why.
      returned: always
      type: str
      sample: known from the file /srv/git/shop/azure-identities.yml
    removable:
      description: Whether it is detached; where the task fails, whether it was to be.
      returned: always
      type: bool
      sample: true
    claimed:
      description: Whether it is V(unknown) although objects of the cluster name it.
      returned: always
      type: bool
      sample: false
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
        /subscriptions/7f1f4a5e-6a0f-4d0c-9a0e-2f8f8d1c2b3a/resourceGroups/MC_rg-shop_shop_westeurope/providers/Microsoft.Compute/virtualMachineScaleSets/aks-nodepool1-12345678-vmss
      actions: [Microsoft.Compute/virtualMachineScaleSets/write]
actions:
  description: What was done, or in check mode what would be done.
  returned: always
  type: list
  elements: str
  sample: [attach billing to the scale set aks-nodepool1-12345678-vmss]
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
    - verb: attach
      kind: Microsoft.Compute/virtualMachineScaleSets
      id: >-
        /subscriptions/7f1f4a5e-6a0f-4d0c-9a0e-2f8f8d1c2b3a/resourceGroups/MC_rg-shop_shop_westeurope/providers/Microsoft.Compute/virtualMachineScaleSets/aks-nodepool1-12345678-vmss
      why: >-
        /subscriptions/7f1f4a5e-6a0f-4d0c-9a0e-2f8f8d1c2b3a/resourceGroups/pod-identity-demo/providers/Microsoft.ManagedIdentity/userAssignedIdentities/billing
failed_action:
  description: The action that failed.
  returned: when an action fails
  type: str
  sample: attach billing to the scale set aks-nodepool1-12345678-vmss
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
    verb: attach
    kind: Microsoft.Compute/virtualMachineScaleSets
    id: >-
      /subscriptions/7f1f4a5e-6a0f-4d0c-9a0e-2f8f8d1c2b3a/resourceGroups/MC_rg-shop_shop_westeurope/providers/Microsoft.Compute/virtualMachineScaleSets/aks-nodepool1-12345678-vmss
    why: >-
      /subscriptions/7f1f4a5e-6a0f-4d0c-9a0e-2f8f8d1c2b3a/resourceGroups/pod-identity-demo/providers/Microsoft.ManagedIdentity/userAssignedIdentities/billing
error:
  description: Answer of the service as data (C(code), C(message), C(status), and of Azure C(request_id)).
  returned: when Azure or the API server refuses a request
  type: dict
  sample: {code: FailedIdentityOperation, message: Identity operation failed., status: 400}
"""

import functools
import typing as t

from ansible_collections.azureops.pod_identity.plugins.module_utils._argspec import ArgumentSpec
from ansible_collections.azureops.pod_identity.plugins.module_utils._azure import attached_identities as azure
from ansible_collections.azureops.pod_identity.plugins.module_utils._azure import ownership as known_by
from ansible_collections.azureops.pod_identity.plugins.module_utils._azure.client import Arm
from ansible_collections.azureops.pod_identity.plugins.module_utils._azure_options import (
    azure_auth,
    azure_wait,
    carriers,
    ownership,
)
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.azure import attached_identities as attached
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.azure import needs, protected_identities
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.azure import ownership as judged
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.errors import Failure
from ansible_collections.azureops.pod_identity.plugins.module_utils._plan import (
    KNOWN_AFTER_APPLY,
    Plan,
    Step,
    known,
    predicting,
    run,
)

OPTIONS = ArgumentSpec(
    options={
        "identities": {"type": "list", "elements": "str"},
        "allow_detach_protected": {"type": "list", "elements": "str", "default": []},
        "allow_unknown_owner": {"type": "bool", "default": False},
        "assume_detached": {
            "type": "list",
            "elements": "dict",
            "options": {"id": {"type": "str", "required": True}, "provider_id": {"type": "str", "required": True}},
            "default": [],
        },
        "restore_bundle": {"type": "str"},
        "state": {"type": "str", "choices": ["present", "absent", "clean"], "default": "present"},
    },
    required_if=(("state", "present", ("identities",)), ("state", "absent", ("identities",))),
).merge(carriers(), ownership(), azure_auth(), azure_wait())

Options = t.Mapping[str, t.Any]


def make_plan(arm: Arm, options: Options, is_known: t.Callable[[str], bool], *, wait: bool) -> Plan:
    if options["state"] == "clean":
        return clean(arm, options, is_known, predict=not wait)
    attach = options["state"] == "present"
    ids = attached.wanted(filter(is_known, options["identities"]))
    if attach and not all(map(is_known, options["identities"])):
        ids = (*ids, KNOWN_AFTER_APPLY)
    if not all(is_known(options[name] or "") for name in ("resource_id", "node_resource_group")):
        return of_nothing(options, ids)
    where = azure.place(arm, options)
    found = azure.carriers(arm, options, where)
    left_alone = azure.elsewhere(arm, options, where)
    if not found:
        return of_nothing(options, ids)
    if wait:
        found = tuple(azure.settled(arm, each) for each in found)
    if not attach and any(attached.outstanding(each, ids, attach=False) for each in found):
        protection = protected_identities.protection(*azure.owner(arm, where, found), options["protected_identities"])
        allowed, unjudged = options["allow_detach_protected"], options["allow_unknown_owner"]
        attached.refuse_protected(found, ids, protection, allowed=allowed, unjudged=unjudged)
    after = [attached.changed(each, ids, attach=attach, unknown=KNOWN_AFTER_APPLY) for each in found]
    warnings = (*(attached.dead_warnings(found) if attach else ()), *left_alone)
    work = {each.id: attached.outstanding(each, ids, attach=attach) for each in found}
    bundle = options["restore_bundle"] or ""
    made = tuple(steps(arm, found, work, attach=attach, bundle=bundle))
    return Plan(view(found), view(after), made, warnings=warnings)


def clean(arm: Arm, options: Options, is_known: t.Callable[[str], bool], *, predict: bool) -> Plan:
    """Detach what is proved to be a leftover; what check mode cannot know yet holds none."""
    named = attached.wanted(filter(is_known, options["identities"] or ()))
    if not all(is_known(options[name] or "") for name in ("resource_id", "node_resource_group")):
        return Plan(view(()), view(()), extra_results={"ownership": []})
    where = azure.place(arm, options)
    found = azure.carriers(arm, options, where)
    if predict:
        found = tuple(attached.without(each, options["assume_detached"]) for each in found)
    cluster, unknown = azure.owner(arm, where, found) if found else (None, "")
    protection = protected_identities.protection(cluster, unknown, options["protected_identities"])
    existing, unread = azure.client_ids(arm, (identity.id for each in found for identity in each.identities))
    claims, undetermined = known_by.claims(arm, options, cluster, found, named=named)
    unjudged = options["allow_unknown_owner"]
    verdicts = {each.id: judged.judge(each, protection, claims, existing, unread, unjudged=unjudged) for each in found}
    work = {carrier: judged.removable(several) for carrier, several in verdicts.items()}
    judged.require_settled(found, cluster if any(work.values()) else None)
    after = [attached.changed(each, work[each.id], attach=False, unknown="") for each in found]
    told = [{"resource_id": carrier, **judged.view(each)} for carrier, several in verdicts.items() for each in several]
    made = tuple(steps(arm, found, work, attach=False, bundle=options["restore_bundle"] or "", alone=True))
    undetermined += azure.elsewhere(arm, options, where)
    warnings = tuple(sentence for sentence in (protection.gap, *unread.values(), *undetermined) if sentence)
    return Plan(view(found), view(after), made, warnings=warnings, extra_results={"ownership": told})


def steps(
    arm: Arm,
    found: t.Iterable[attached.Carrier],
    work: t.Mapping[str, t.Sequence[str]],
    *,
    attach: bool,
    bundle: str,
    alone: bool = False,
) -> t.Iterator[Step]:
    """As many as ARM needs to attach or detach the identities that ``work`` has for the id of each carrier."""
    latest = {each.id: each for each in found}

    def change(carrier: str, batch: t.Sequence[str], doing: str) -> t.Mapping[str, t.Any]:
        try:
            latest[carrier] = azure.change(arm, latest[carrier], batch, attach=attach, doing=doing, alone=alone)
        except Failure as failure:
            raise judged.with_bundle(failure, bundle) from None
        return view(latest.values())

    for carrier in tuple(latest.values()):
        for batch in attached.batches(work[carrier.id]):
            told = attached.change(batch, carrier.id, attach=attach)
            doing = attached.action(batch, carrier.text, attach=attach)
            linked = [need for each in batch if attach for need in needs.on(each, "assign/action")]
            needed = (*needs.on(carrier.id, "write"), *linked)
            yield Step(doing, told, functools.partial(change, carrier.id, batch, doing), needs=needed)


def of_nothing(options: Options, ids: t.Sequence[str]) -> Plan:
    """In check mode an earlier task will have created what to attach to; otherwise attaching fails."""
    if options["state"] == "absent" or not ids:
        return Plan(view(()), view(()))
    carrier = options["resource_id"] or KNOWN_AFTER_APPLY
    unknown = "" if carrier.startswith("/") else attached.SCALE_SET
    told = attached.change(ids, carrier, unknown, attach=True)
    doing = attached.action(ids, attached.place_text(options), attach=True)
    linked = tuple(need for each in ids for need in needs.on(each, "assign/action"))
    step = Step(doing, told, functools.partial(attached.refuse_nothing, options), needs=linked)
    return Plan(view(()), {"resources": [attached.predicted(ids, KNOWN_AFTER_APPLY)]}, (step,))


def view(found: t.Iterable[attached.Carrier]) -> t.Mapping[str, t.Any]:
    return {"resources": [attached.view(each) for each in found]}


def main() -> None:
    module = OPTIONS.create_module()
    is_known = functools.partial(known, module)
    wait = not predicting(module)
    connect = functools.partial(Arm.connect, module.params, module.run_command)
    run(module, lambda: make_plan(connect(), module.params, is_known, wait=wait), key="state")


if __name__ == "__main__":
    main()
