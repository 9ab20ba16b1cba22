# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!
"""Causes that Azure tells: permissions, identities that are gone, scale sets, the add-on.

Two texts stand for three causes each. ``LinkedAuthorizationFailed``, in MIC's log, is a missing role, an identity that
is gone, or a MIC before 1.6 that writes whole scale sets. ``Identity not found`` is the identity of the nodes where MIC
logs it; where NMI does, the identity was made again or is not on the scale set. Here the state of Azure tells them
apart, and the text is evidence beside it.
"""

from __future__ import annotations

import re
import typing as t
from datetime import timedelta

from .. import names
from ..azure import addon, arm_id, attached_identities
from ..commands import shell
from ..installation import nmi
from ..moments import moment
from . import asked_of_azure as asked
from .asked_of_azure import Need
from .azure import ASSIGN, DENIED, JOIN, LOCKED, NOT_GRANTED, Azure, IdentityInAzure, Missing, ScaleSet
from .cause import (
    AZURE,
    ERROR,
    EVENTS,
    LIKELY,
    LOGS,
    NODES,
    OBJECTS,
    PENDING,
    POSSIBLE,
    PROVED,
    WARNING,
    Evidence,
    Suspicion,
    Suspicions,
    Table,
)
from .observed import MIC, NMI, Observed, said_by

TABLE = Table()
_ISSUES = "Azure/aad-pod-identity#"
_ROLES = "https://azure.github.io/aad-pod-identity/docs/getting-started/role-assignment/"
_REFUSED = re.compile(r"LinkedAuthorizationFailed|AuthorizationFailed", re.IGNORECASE)
_DEAD = re.compile(r"LinkedAuthorizationFailed|FailedIdentityOperation|was not found", re.IGNORECASE)
_NOT_FOUND = re.compile(r"Identity not found", re.IGNORECASE)
_BARRED = re.compile(r"DenyAssignmentAuthorizationFailed|ScopeLocked|AuthorizationFailed", re.IGNORECASE)
_WORD = re.compile(r"[\w.-]+", re.ASCII)
_TOO_MANY = re.compile(r"exceed limit '\d+' in one request", re.IGNORECASE)
_PATCHES, _SPLITS = (1, 6), (1, 7)
_MOST_SHOWN = 2
# NMI waits 80 seconds for an assignment, and 100 for its end.
_LATE = timedelta(seconds=180)


# what MIC may do


@TABLE.cause(
    ERROR,
    "Give the identity of the nodes Managed Identity Operator on the identity, or on its resource group (the role "
    "pod_identity_bindings does that with pod_identity_manage_role_assignments); MIC tries again within an hour, or at "
    "once when it is restarted.",
    told_by="The role assignments of the identity of the nodes at the identity, which exists, and the actions of their "
    "roles; MIC's log says LinkedAuthorizationFailed with userAssignedIdentities/assign/action.",
    sources=(AZURE, OBJECTS),
    references=(_ROLES, *(f"{_ISSUES}{one}" for one in (585, 443, 613, 636, 1279))),
)
def role_missing_on_identity(observed: Observed) -> Suspicions:
    """MIC may not assign a managed identity that exists, so that its pods get no token."""
    waiting = _unmet(observed)
    for azure, lack in _lacks(observed, NOT_GRANTED, ASSIGN):
        unmet = [one for one in waiting if arm_id.same(one.resource_id, lack.scope)]
        if unmet:
            yield Suspicion(
                object=f"identity {lack.scope}",
                symptom=PENDING,
                cause=f"The identity of the nodes, as which MIC works, has no role with {ASSIGN} on {lack.scope}.",
                evidence=(_held(azure, lack), *_mic_said(observed, _REFUSED, lack.scope)),
                command=_grant(azure.kubelet.principal_id, lack.role, lack.scope),
                **_whole(unmet),
            )


@TABLE.cause(
    ERROR,
    "Give the identity of the nodes Virtual Machine Contributor on the resource group of the nodes (the role "
    "pod_identity_cluster does that).",
    told_by="The role assignments of the identity of the nodes at the scale sets, and the actions of their roles; "
    "MIC's log says AuthorizationFailed with virtualMachineScaleSets/read or write.",
    sources=(AZURE, OBJECTS),
    references=(_ROLES,),
)
def role_missing_on_node_resource_group(observed: Observed) -> Suspicions:
    """MIC may not read or write the scale sets of the nodes, so that it assigns nothing."""
    azure = observed.azure
    if azure is None:
        return
    found: dict[str, list[Missing]] = {}
    for _dummy, lack in _lacks(observed, NOT_GRANTED):
        if _machine(azure, lack.scope):
            found.setdefault(arm_id.normal(arm_id.group_of(lack.scope)), []).append(lack)
    waiting = _unmet(observed)
    for lacks in found.values():
        unmet = [one for one in waiting if _is_on(azure, one, [lack.scope for lack in lacks])]
        if unmet:
            group, actions = arm_id.group_of(lacks[0].scope), names.listed(list(lacks[0].actions))
            label = f"resource group {arm_id.last_segment(group)}"
            yield Suspicion(
                object=label,
                symptom=PENDING,
                cause=f"The identity of the nodes, as which MIC works, may not do {actions} in the {label}.",
                evidence=(_held(azure, lacks[0]), *_mic_said(observed, _REFUSED, *(one.scope for one in lacks))),
                command=_grant(azure.kubelet.principal_id, lacks[0].role, group),
                **_whole(unmet),
            )


@TABLE.cause(
    ERROR,
    "Bring MIC to 1.6 or later, which writes identities only; or give the identity of the nodes Network Contributor on "
    "the subnet.",
    told_by="MIC's log, else its events, say LinkedAuthorizationFailed with subnets/join/action, or MIC is older than "
    "1.6, and the identity of the nodes has no role with that action on a subnet that the scale sets name.",
    sources=(AZURE, OBJECTS, LOGS, EVENTS),
    references=(f"{_ISSUES}511", f"{_ISSUES}550"),
)
def role_missing_on_network(observed: Observed) -> Suspicions:
    """MIC writes whole scale sets, and may not join them to their subnet."""
    old, waiting = any(() < one.version < _PATCHES for one in observed.of(MIC)), _unmet(observed)
    for azure, lack in _lacks(observed, NOT_GRANTED, JOIN):
        said = _mic_said(observed, re.compile("subnets/join/action", re.IGNORECASE), lack.scope)
        there = [one.id for one in azure.scale_sets if any(arm_id.same(lack.scope, each) for each in one.subnets)]
        unmet = [one for one in waiting if _is_on(azure, one, there)]
        if unmet and (said or old):
            yield Suspicion(
                object=f"subnet {lack.scope}",
                symptom=PENDING,
                cause=f"The identity of the nodes, as which MIC works, has no role with {JOIN} on {lack.scope}.",
                evidence=(_held(azure, lack), *said),
                certainty=LIKELY if said else POSSIBLE,
                command=_grant(azure.kubelet.principal_id, lack.role, lack.scope),
                **_whole(unmet),
            )


@TABLE.cause(
    ERROR,
    "Set the restriction level of the node resource group to Unrestricted where AKS made the deny assignment; another "
    "one goes only with the deployment stack or managed application that made it.",
    told_by="A deny assignment that covers the scale sets and the identity of the nodes; MIC's log says "
    "DenyAssignmentAuthorizationFailed.",
    sources=(AZURE, OBJECTS),
    references=("https://learn.microsoft.com/azure/aks/node-resource-group-lockdown",),
)
def denied_by_assignment(observed: Observed) -> Suspicions:
    """A deny assignment keeps MIC from writing the scale sets, whatever roles it has."""
    for azure, lacks, unmet in _barred(observed, DENIED):
        level = ((azure.cluster.get("properties") or {}).get("nodeResourceGroupProfile") or {}).get("restrictionLevel")
        unlock = ("--nrg-lockdown-restriction-level", "Unrestricted")
        command = shell("az", "aks", "update", *_named(str(azure.cluster["id"])), *unlock)
        yield Suspicion(
            object=f"deny assignment {lacks[0].by}",
            symptom=PENDING,
            cause=f"The deny assignment {lacks[0].by} at {lacks[0].at} forbids {names.listed(list(lacks[0].actions))}.",
            evidence=(_barrier(lacks), *_mic_said(observed, _BARRED, *(one.scope for one in lacks))),
            command=command if str(level or "").lower() == "readonly" else "",
            **_whole(unmet),
        )


@TABLE.cause(
    ERROR,
    "Remove the ReadOnly lock, or replace it by CanNotDelete, which lets MIC write.",
    told_by="A ReadOnly lock at or above the scale sets; MIC's log says ScopeLocked.",
    sources=(AZURE, OBJECTS),
    references=("https://learn.microsoft.com/azure/azure-resource-manager/management/lock-resources",),
)
def locked(observed: Observed) -> Suspicions:
    """A ReadOnly lock keeps MIC from writing the scale sets, whatever roles it has."""
    for _dummy, lacks, unmet in _barred(observed, LOCKED):
        lock = f"{lacks[0].at}/providers/Microsoft.Authorization/locks/{lacks[0].by}"
        yield Suspicion(
            object=f"lock {lacks[0].by}",
            symptom=PENDING,
            cause=f"The ReadOnly lock {lacks[0].by} at {lacks[0].at} forbids {names.listed(list(lacks[0].actions))}.",
            evidence=(_barrier(lacks), *_mic_said(observed, _BARRED, *(one.scope for one in lacks))),
            command=shell("az", "lock", "delete", "--ids", lock),
            **_whole(unmet),
        )


@TABLE.cause(
    WARNING,
    "Give the identity of the nodes the role, or take away what is in the way, before the next scale set, upgrade or "
    "new pod needs it.",
    told_by="An action that MIC needs and may not do, while everything that pods need at this moment is assigned.",
    sources=(AZURE, OBJECTS),
    references=(_ROLES,),
)
def assigned_but_not_again(observed: Observed) -> Suspicions:
    """What is assigned works; MIC may not do again what it did, so that new pods or nodes get no identity."""
    needs, waiting = asked.needs(observed), {(one.labels, one.resource_id) for one in _unmet(observed)}
    for azure, lack in _lacks(observed):
        if arm_id.same(lack.scope, azure.kubelet.id):
            continue  # AKS itself gives it to every node
        using = [one for one in needs if _concerns(azure, one, [lack.scope])]
        if JOIN not in lack.actions and using and waiting.isdisjoint((one.labels, one.resource_id) for one in using):
            why = f"{lack.by} at {lack.at} forbids it" if lack.denied else "no role of it has the action"
            label = f"{_kind(azure, lack.scope)} {lack.scope}"
            yield Suspicion(
                object=label,
                symptom="",
                cause=f"The identity of the nodes may not do {names.listed(list(lack.actions))} on the {label}: {why}.",
                evidence=(_barrier([lack]) if lack.denied else _held(azure, lack),),
                certainty=POSSIBLE,
                command="" if lack.denied else _grant(azure.kubelet.principal_id, lack.role, _scope_of(azure, lack)),
                **_whole(using),
            )


# identities


@TABLE.cause(
    ERROR,
    "Make the identity again and write its new client id into the AzureIdentity, or delete the AzureIdentity with its "
    "binding; detach what is left of the old one from the scale sets (azureops.pod_identity.vmss_identity).",
    told_by="Azure says that there is no identity with the resource id of the AzureIdentity.",
    sources=(AZURE, OBJECTS),
    references=tuple(f"{_ISSUES}{one}" for one in (339, 515, 1192)),
)
def identity_gone(observed: Observed) -> Suspicions:
    """The managed identity that pods are to get does not exist in Azure."""
    for _there, needs in _used(observed, lambda there: not there.exists):
        identity = needs[0].identity
        place = arm_id.parse(identity.resource_id)
        yield Suspicion(
            object=needs[0].identity_label,
            symptom="Its pods get no token, and MIC may assign nothing else beside it.",
            cause=f"There is no identity {place.name} in the resource group {place.resource_group}.",
            evidence=(
                Evidence(f"Azure, {identity.resource_id}", "It does not exist."),
                *_mic_said(observed, _DEAD, identity.resource_id),
            ),
            command=shell("az", "identity", "create", *_named(identity.resource_id)),
            **_whole(needs),
        )


@TABLE.cause(
    ERROR,
    "Write the client id that Azure shows into the AzureIdentity, and where a scale set still has the old identity, "
    "detach it (azureops.pod_identity.vmss_identity with state=absent), so that MIC attaches the new one.",
    told_by="The client id of the identity in Azure is not that of the AzureIdentity, or a scale set carries the "
    "identity with another client id or with none.",
    sources=(AZURE, OBJECTS, NODES),
    references=tuple(f"{_ISSUES}{one}" for one in (681, 725, 880, 1380)),
)
def identity_recreated(observed: Observed) -> Suspicions:
    """The identity was deleted and made again under its name, and the cluster or a scale set still has the old one."""
    azure = observed.azure
    if azure is None:
        return
    for there, needs in _used(observed, lambda there: there.exists and bool(there.client_id)):
        stale = [one for one in azure.scale_sets if _is_stale(one, there)]
        stale = [one for one in stale if any(_is_on(azure, need, [one.id]) for need in needs)]
        wrong = [one for one in needs if one.identity.client_id.lower() not in ("", there.client_id.lower())]
        told = [
            Evidence(each.identity_label, f"clientID is {each.identity.client_id}.")
            for each in {one.identity: one for one in wrong}.values()
        ]
        told += [Evidence(one.label, f"It carries the identity with client id {_old(one, there)}.") for one in stale]
        if not told:
            continue
        suffering = wrong or [one for one in needs if _is_on(azure, one, [each.id for each in stale])]
        if wrong:
            identity = wrong[0].identity
            patch = '{"spec":{"clientID":"' + there.client_id + '"}}'
            patched = ("patch", "azureidentity", identity.name, "--type", "merge", "--patch", patch)
            command = shell("kubectl", "--namespace", identity.namespace, *patched)
        else:
            command = _detach(stale[0], there.id)
        yield Suspicion(
            object=wrong[0].identity_label if wrong else stale[0].label,
            symptom="NMI answers 403: Azure's metadata service says Identity not found.",
            cause=f"The client id of {there.id} is {there.client_id} by now.",
            evidence=(
                Evidence(f"Azure, {there.id}", f"Its client id is {there.client_id}."),
                *told,
                *_nmi_said(observed, needs),
            ),
            command=command,
            **_whole(suffering),
        )


@TABLE.cause(
    ERROR,
    "Use an identity of the tenant of the cluster: one of another tenant cannot be assigned to its nodes.",
    told_by="The tenant of the identity, or of its subscription, is not that of the cluster.",
    sources=(AZURE, OBJECTS),
    references=(
        "https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/managed-identities-faq",
    ),
)
def identity_of_other_tenant(observed: Observed) -> Suspicions:
    """The managed identity is one of another tenant than the cluster."""
    tenant = observed.azure.tenant_id.lower() if observed.azure else ""
    for there, needs in _used(observed, lambda there: there.exists and there.tenant_id.lower() not in ("", tenant)):
        if tenant:
            yield Suspicion(
                object=needs[0].identity_label,
                symptom=PENDING,
                cause=(
                    f"{needs[0].identity_label} names an identity of the tenant {there.tenant_id}, and the cluster is "
                    f"of {tenant}."
                ),
                evidence=(Evidence(f"Azure, {there.id}", f"Its tenant is {there.tenant_id}."),),
                **_whole(needs),
            )


@TABLE.cause(
    ERROR,
    "Detach what does not exist any more from the scale set (azureops.pod_identity.vmss_identity with state=absent), "
    "or delete its AzureIdentity; no role helps.",
    told_by="An identity that does not exist is on a scale set, or is to be assigned there, and others that exist are "
    "not assigned there; MIC's log says LinkedAuthorizationFailed or FailedIdentityOperation and names the dead one.",
    sources=(AZURE, OBJECTS, NODES),
    references=tuple(f"{_ISSUES}{one}" for one in (339, 515, 521, 544, 692, 1192, 1327)),
)
def dead_identity_blocks_others(observed: Observed) -> Suspicions:
    """An identity that was deleted keeps MIC from assigning the others of the same scale set."""
    azure = observed.azure
    if azure is None or not asked.mic_writes(observed):
        return
    needs = asked.needs(observed)
    lacking = {arm_id.normal(lack.scope) for lack in azure.missing}
    for one in azure.scale_sets:
        here = [need for need in needs if _is_on(azure, need, [one.id])]
        ghosts = {key for key, client_id in one.carried.items() if not client_id and one.settled}
        wanted = {need.resource_id for need in here if _is_gone(azure, need.resource_id)}
        blocked = [
            need for need in here if not need.is_assigned and need.resource_id not in {*one.carried, *wanted, *lacking}
        ]
        if not blocked or not ghosts | wanted or arm_id.normal(one.id) in lacking:
            continue
        dead = sorted(ghosts | wanted)
        said = _mic_said(observed, _DEAD, *dead)
        yield Suspicion(
            object=one.label,
            symptom=PENDING,
            cause=f"Azure takes no change of the {one.label} with {names.listed(dead)}, which does not exist any more.",
            evidence=(
                *(Evidence(one.label, f"It carries {key} without a client id.") for key in sorted(ghosts)[:3]),
                *(Evidence(f"Azure, {key}", "It does not exist.") for key in sorted(wanted)[:3]),
                *said,
            ),
            certainty=LIKELY if said else POSSIBLE,
            command=_detach(one, *sorted(ghosts)) if ghosts else "",
            **_here(blocked),
        )


# scale sets


@TABLE.cause(
    ERROR,
    "Attach it again (azureops.pod_identity.vmss_identity); MIC does so by itself within minutes, unless it is "
    "hindered.",
    told_by="An AzureAssignedIdentity that is Assigned, or a binding in managed mode, and a scale set of its node "
    "without the identity.",
    sources=(AZURE, OBJECTS, NODES),
    references=tuple(f"{_ISSUES}{one}" for one in (633, 639, 606)),
)
def identity_not_on_scale_set(observed: Observed) -> Suspicions:
    """The cluster counts an identity as assigned, and the scale set of the node does not carry it."""
    azure = observed.azure
    if azure is None:
        return
    found: dict[tuple[str, str], list[Need]] = {}
    for need in asked.needs(observed):
        place = azure.under(need.provider_id)
        if place and need.resource_id not in place.carried and need.is_assigned:
            if not _is_gone(azure, need.resource_id):
                found.setdefault((place.id, need.resource_id), []).append(need)
    for (place_id, identity), needs in found.items():
        place = _machine(azure, place_id)
        if place:
            yield Suspicion(
                object=place.label,
                symptom="NMI answers 403: Azure's metadata service says Identity not found.",
                cause=f"The {place.label} does not carry {identity}, which pods on it are assigned.",
                evidence=(
                    Evidence(place.label, f"It carries {names.listed(sorted(place.carried)) or 'no identity'}."),
                    *_nmi_said(observed, needs),
                ),
                certainty=PROVED if place.settled else LIKELY,
                command=_attach(place, identity),
                **_here(needs),
            )


@TABLE.cause(
    WARNING,
    "Detach it from the scale set (azureops.pod_identity.vmss_identity with state=absent).",
    told_by="An entry of a scale set without a client id, which no pod there needs.",
    sources=(AZURE, NODES),
    references=(f"{_ISSUES}339", f"{_ISSUES}725"),
)
def ghost_on_scale_set(observed: Observed) -> Suspicions:
    """A scale set carries an identity that was deleted, and Azure may refuse every change that leaves it there."""
    azure = observed.azure
    if azure is None:
        return
    needs, own = asked.needs(observed), asked.nodes_identities(azure.cluster)
    for one in azure.scale_sets:
        used = {need.resource_id for need in needs if _is_on(azure, need, [one.id])}
        ghosts = sorted(key for key, client_id in one.carried.items() if not client_id and key not in used | own)
        if ghosts and one.settled:
            yield Suspicion(
                object=one.label,
                symptom="",
                cause=f"The {one.label} carries {names.listed(ghosts)}, which was deleted.",
                evidence=tuple(Evidence(one.label, f"{key} has no client id there.") for key in ghosts[:3]),
                command=_detach(one, *ghosts),
                concerns=frozenset(_nodes_on(observed, one)),
            )


@TABLE.cause(
    ERROR,
    "Attach the identity of the nodes to the scale set again; where it was deleted, give the cluster another one, with "
    "which az upgrades every node pool.",
    told_by="The identity of the kubelets does not exist, or the scale set of a node does not carry it or carries it "
    "without a client id; MIC's log says Identity not found.",
    sources=(AZURE, OBJECTS, NODES),
    references=tuple(f"{_ISSUES}{one}" for one in (778, 838, 1054, 1220, 553)),
)
def kubelet_identity_gone(observed: Observed) -> Suspicions:
    """The identity of the nodes is gone, with which MIC logs in to Azure and the nodes pull images."""
    azure = observed.azure
    if azure is None or not azure.kubelet.id:
        return
    kubelet, now = azure.kubelet, azure.named(azure.kubelet.id)
    said = _said(observed, MIC, _NOT_FOUND)
    everywhere = asked.mic_writes(observed) and asked.mic_is_the_node(observed)
    symptom = "MIC assigns nothing, because it cannot log in to Azure; nodes cannot pull from a private registry."
    made_again = now and now.client_id and kubelet.client_id and now.client_id.lower() != kubelet.client_id.lower()
    if not kubelet.exists or made_again:
        what = f"It has the client id {now.client_id}." if now and made_again else "It does not exist."
        how = f"was made again, the cluster knows {kubelet.client_id}" if made_again else "does not exist any more"
        again = ("--enable-managed-identity", "--assign-kubelet-identity", kubelet.id)
        # az refuses a kubelet identity where the control plane has none of its own.
        of_its_own = (azure.cluster.get("identity") or {}).get("type") == "UserAssigned"
        what_to_do = (
            "Give it to the kubelets again" if made_again else "Make a new identity, and give it to the kubelets"
        )
        besides = "" if of_its_own else ", with --assign-identity and an identity for the control plane"
        yield Suspicion(
            object=f"identity {kubelet.id}",
            symptom=symptom,
            cause=f"The identity of the nodes, {kubelet.id}, {how}.",
            evidence=(Evidence(f"Azure, {kubelet.id}", what), *said),
            concerns=None if everywhere else frozenset(f"Node {name}" for name in observed.nodes),
            remedy=f"{what_to_do} (az aks update --enable-managed-identity --assign-kubelet-identity{besides}), which "
            "upgrades every node pool.",
            command=shell("az", "aks", "update", *_named(str(azure.cluster["id"])), *again)
            if made_again and of_its_own
            else "",
        )
        return
    mics = {str((pod.get("spec") or {}).get("nodeName") or "") for one in observed.of(MIC) for pod in one.pods} - {""}
    for one in azure.scale_sets:
        nodes = _nodes_on(observed, one)
        client_id = one.carried.get(arm_id.normal(kubelet.id))
        if not nodes or client_id or (client_id == "" and not one.settled):
            continue
        for_mic = not mics or any(f"Node {name}" in nodes for name in mics)
        how = "carries it without a client id" if client_id == "" else "does not carry it"
        yield Suspicion(
            object=one.label,
            symptom=symptom,
            cause=f"The identity of the nodes is {kubelet.id}, and the {one.label} {how}.",
            evidence=(Evidence(one.label, f"It carries {names.listed(sorted(one.carried)) or 'no identity'}."), *said),
            certainty=PROVED if one.settled else LIKELY,
            concerns=None if everywhere and for_mic else frozenset(nodes),
            command=_detach(one, kubelet.id) + " && " + _attach(one, kubelet.id)
            if client_id == ""
            else _attach(one, kubelet.id),
        )


@TABLE.cause(
    WARNING,
    "Give the pods an identity of their own, or name this one's client id in lower case in mic.immutableUserMSIs.",
    told_by="An AzureIdentity with the resource id of an identity that the cluster itself needs, and MIC was not told "
    "to leave it alone.",
    sources=(AZURE, OBJECTS),
    references=tuple(f"{_ISSUES}{one}" for one in (987, 1308, 898)),
)
def kubelet_identity_used_by_pods(observed: Observed) -> Suspicions:
    """Pods use an identity that the nodes need: MIC takes it from the nodes with the last pod."""
    azure = observed.azure
    if azure is None or not asked.mic_writes(observed):
        return
    own = asked.nodes_identities(azure.cluster)
    for there, needs in _used(observed, lambda there: arm_id.normal(there.id) in own):
        if needs[0].identity.client_id in _immutable(observed):  # as MIC compares them
            continue
        yield Suspicion(
            object=needs[0].identity_label,
            symptom="Nodes cannot pull images, and MIC cannot log in, once the last of its pods is gone.",
            cause=f"{needs[0].identity_label} names {there.id}, which the cluster itself needs on its nodes.",
            evidence=(Evidence("Azure, the cluster", f"It names {there.id} for its nodes."),),
            certainty=POSSIBLE,
            **_whole(needs),
        )


@TABLE.cause(
    ERROR,
    "Bring MIC to 1.7 or later, which asks in portions of 150, or spread the pods over more node pools.",
    told_by="More than 150 identities that MIC has to attach to one scale set or to take from it, before 1.6 with "
    "those that are there, and a MIC before 1.7, or one whose log says exceed limit '150' in one request.",
    sources=(AZURE, OBJECTS, NODES, LOGS),
    references=(f"{_ISSUES}813", f"{_ISSUES}637"),
)
def too_many_identities(observed: Observed) -> Suspicions:
    """A scale set is to get more identities than Azure takes in one request."""
    azure = observed.azure
    if azure is None or not asked.mic_writes(observed):
        return
    needs, said = asked.needs(observed), _mic_said(observed, _TOO_MANY)
    old = [one for one in observed.of(MIC) if () < one.version < _SPLITS]
    for one in azure.scale_sets:
        waiting = [
            need
            for need in needs
            if not need.is_assigned and need.resource_id not in one.carried and _is_on(azure, need, [one.id])
        ]
        at_once = {need.resource_id for need in waiting} | _going(observed, azure, one)
        if any(each.version < _PATCHES for each in old):
            at_once |= set(one.carried)
        if len(at_once) > attached_identities.LIMIT and waiting and (old or said):
            yield Suspicion(
                object=old[0].label if old else one.label,
                symptom=PENDING,
                cause=(
                    f"MIC asks for {len(at_once)} identities of the {one.label} at once, and Azure takes "
                    f"{attached_identities.LIMIT}."
                ),
                evidence=(
                    Evidence(one.label, f"It carries {len(one.carried)}, and {len(waiting)} more are needed."),
                    *said,
                ),
                certainty=LIKELY if said else POSSIBLE,
                **_here(waiting),
            )


@TABLE.cause(
    WARNING,
    "See in the activity log why, and bring it in order: az vmss update, or az aks nodepool upgrade --node-image-only.",
    told_by="The provisioning state of a scale set with nodes.",
    sources=(AZURE, NODES),
)
def scale_set_failed(observed: Observed) -> Suspicions:
    """The last change of a scale set failed, so that the next one may fail as well."""
    azure = observed.azure
    if azure is None:
        return
    for one in azure.scale_sets:
        if one.settled and one.state.lower() != "succeeded":
            of = ("--subscription", arm_id.parse(one.id).subscription, "--resource-id", one.id)
            yield Suspicion(
                object=one.label,
                symptom="Identities may not get onto its nodes.",
                cause=f"The provisioning state of the {one.label} is {one.state}.",
                evidence=(Evidence(one.label, f"provisioningState is {one.state}."),),
                concerns=frozenset(_nodes_on(observed, one)),
                command=shell("az", "monitor", "activity-log", "list", *of, "--status", "Failed", "--offset", "30d"),
            )


@TABLE.cause(
    WARNING,
    "Wait for the end of the operation; where it does not end, see in the activity log whose it is.",
    told_by="The provisioning state of a scale set, on which identities have been waited for longer than NMI waits.",
    sources=(AZURE, OBJECTS, NODES),
    references=(f"{_ISSUES}676", f"{_ISSUES}1012"),
)
def scale_set_busy(observed: Observed) -> Suspicions:
    """Something else changes the scale set, and MIC's own change waits for that or fails."""
    azure = observed.azure
    if azure is None:
        return
    waiting = _unmet(observed)
    for one in azure.scale_sets:
        unmet = [need for need in waiting if _is_on(azure, need, [one.id]) and _is_late(observed, need)]
        if unmet and not one.settled:
            yield Suspicion(
                object=one.label,
                symptom=PENDING,
                cause=f"An operation is in progress on the {one.label}: its provisioning state is {one.state}.",
                evidence=(Evidence(one.label, f"provisioningState is {one.state}."),),
                certainty=POSSIBLE,
                **_here(unmet),
            )


@TABLE.cause(
    ERROR,
    "Correct what the error names, and let AKS try again (azureops.pod_identity.aks_pod_identity does that).",
    told_by="The provisioning state of an entry of the add-on's profile.",
    sources=(AZURE,),
    references=("https://learn.microsoft.com/azure/aks/use-azure-ad-pod-identity",),
)
def addon_failed(observed: Observed) -> Suspicions:
    """The AKS add-on could not bring an identity to the nodes."""
    azure = observed.azure
    if azure is None:
        return
    for one in addon.view(azure.cluster).get("identities", ()):
        if one["provisioning_state"].lower() not in ("failed", "canceled"):
            continue
        error = one["provisioning_error"]
        there = azure.named(one["identity"])
        remedy, command = "", ""
        if there and not there.exists:
            remedy = "Its identity does not exist: make it again, or remove the entry with aks_pod_identity."
        elif ASSIGN.lower() in str(error.get("message", "")).lower():
            remedy = f"Give the identity of the cluster {addon.ROLE} on {one['identity']}, and let AKS try again."
            command = _grant(addon.principal(azure.cluster), addon.ROLE, one["identity"])
        label = f"AzureIdentity {one['namespace']}/{one['name']}"
        needs = [need for need in asked.needs(observed) if need.identity_label == label]
        yield Suspicion(
            object=f"entry {one['namespace']}/{one['name']} of the add-on",
            symptom="Its pods get no token.",
            cause=f"AKS could not bring {one['identity']} to the nodes ({error.get('code') or 'it gives no reason'}).",
            evidence=(
                Evidence(
                    "Azure, podIdentityProfile of the cluster",
                    f"{one['provisioning_state']}: {str(error.get('message') or 'no message')[:300]}",
                ),
            ),
            remedy=remedy,
            command=command,
            concerns=frozenset({label}).union(*(need.labels for need in needs)),
            namespaces=frozenset({one["namespace"]}).union(*(need.namespaces for need in needs)),
        )


@TABLE.cause(
    ERROR,
    "Keep pods that need identities on nodes of the node resource group, or use managed mode and attach the identities "
    "to these machines (azureops.pod_identity.vmss_identity).",
    told_by="The provider ids of nodes that pods with identities run on, beside the node resource group.",
    sources=(AZURE, OBJECTS, NODES),
)
def nodes_elsewhere(observed: Observed) -> Suspicions:
    """MIC looks for machines in the node resource group alone, and pods run on others."""
    azure = observed.azure
    if azure is None or not azure.node_resource_group or not asked.mic_writes(observed):
        return
    found: dict[str, list[Need]] = {}
    for need in asked.needs(observed):
        machine = attached_identities.of_node(need.provider_id)
        if machine and not arm_id.contains(azure.node_resource_group, machine) and not need.is_assigned:
            found.setdefault(machine, []).append(need)
    for machine, needs in found.items():
        nodes = sorted({need.pod.node for need in needs})
        yield Suspicion(
            object=f"machine {machine}",
            symptom=PENDING,
            cause=f"The nodes {names.listed(nodes)} are on a machine outside of {azure.node_resource_group}.",
            evidence=tuple(Evidence(f"Node {name}", f"Its providerID lies in {machine}.") for name in nodes[:3]),
            **_here(needs),
        )


class _Whom(t.TypedDict):
    concerns: frozenset[str]
    namespaces: frozenset[str]


def _whole(needs: t.Sequence[Need]) -> _Whom:
    """All pods of these identities, also those to come."""
    found = _here(needs)
    return {**found, "concerns": found["concerns"].union(one.identity_label for one in needs)}


def _here(needs: t.Sequence[Need]) -> _Whom:
    """These very pods."""
    empty: frozenset[str] = frozenset()
    return {
        "concerns": empty.union(*(one.labels for one in needs)),
        "namespaces": empty.union(*(one.namespaces for one in needs)),
    }


def _lacks(observed: Observed, reason: str = "", action: str = "") -> t.Iterator[tuple[Azure, Missing]]:
    azure = observed.azure
    if azure is None:
        return
    for one in azure.missing:
        if (not reason or one.reason == reason) and (not action or action in one.actions):
            yield azure, one


def _barred(observed: Observed, reason: str) -> t.Iterator[tuple[Azure, list[Missing], list[Need]]]:
    """Deny assignments or locks that are in the way of what pods need, once each."""
    azure = observed.azure
    if azure is None:
        return
    found: dict[tuple[str, str], list[Missing]] = {}
    for _dummy, lack in _lacks(observed, reason):
        found.setdefault((lack.by, arm_id.normal(lack.at)), []).append(lack)
    waiting = _unmet(observed)
    for lacks in found.values():
        unmet = [need for need in waiting if _concerns(azure, need, [one.scope for one in lacks])]
        if unmet:
            yield azure, lacks, unmet


def _unmet(observed: Observed) -> list[Need]:
    """What MIC still has to bring to a machine; where that was not looked at, what is not assigned."""
    azure, found = observed.azure, []
    for need in asked.needs(observed):
        place = azure.under(need.provider_id) if azure else None
        there = need.is_assigned if place is None else need.resource_id in place.carried
        if not there:
            found.append(need)
    return found


def _used(
    observed: Observed, which: t.Callable[[IdentityInAzure], bool]
) -> t.Iterator[tuple[IdentityInAzure, list[Need]]]:
    """Identities of Azure for which ``which`` holds, with the pods that need them; none without such a pod."""
    found: dict[str, list[Need]] = {}
    for need in asked.needs(observed):
        found.setdefault(need.resource_id, []).append(need)
    for resource_id, needs in found.items():
        there = observed.azure.named(resource_id) if observed.azure else None
        if there and which(there):
            yield there, needs


def _is_late(observed: Observed, need: Need) -> bool:
    """Whether it has been waited for longer than a change takes as a rule; also where that is not known."""
    since = moment(need.since)
    return since is None or observed.now - since > _LATE


def _going(observed: Observed, azure: Azure, one: ScaleSet) -> set[str]:
    """Identities that MIC takes from a scale set."""
    return {
        arm_id.normal(each.identity.resource_id)
        for each in observed.inventory.cluster.assigned or ()
        if each.deleting and azure.under(asked.provider_id(observed.nodes.get(each.node, {}))) == one
    }.intersection(one.carried)


def _is_gone(azure: Azure, resource_id: str) -> bool:
    there = azure.named(resource_id)
    return there is not None and not there.exists


def _is_on(azure: Azure, need: Need, machines: t.Sequence[str]) -> bool:
    place = azure.under(need.provider_id)
    return place is not None and any(arm_id.same(place.id, one) for one in machines)


def _concerns(azure: Azure, need: Need, scopes: t.Sequence[str]) -> bool:
    """Whether one of the scopes is the identity that is needed, or what it is needed on."""
    return any(arm_id.same(need.resource_id, one) for one in scopes) or _is_on(azure, need, scopes)


def _machine(azure: Azure, scope: str) -> ScaleSet | None:
    return next((one for one in azure.scale_sets if arm_id.same(one.id, scope)), None)


def _nodes_on(observed: Observed, one: ScaleSet) -> list[str]:
    if observed.azure is None:
        return []
    places = ((name, observed.azure.under(asked.provider_id(raw))) for name, raw in observed.nodes.items())
    return [f"Node {name}" for name, place in places if place is not None and place.id == one.id]


def _is_stale(one: ScaleSet, there: IdentityInAzure) -> bool:
    """Whether it carries the identity as one that is no more."""
    carried = one.carried.get(arm_id.normal(there.id))
    return carried is not None and one.settled and carried.lower() != there.client_id.lower()


def _old(one: ScaleSet, there: IdentityInAzure) -> str:
    return one.carried[arm_id.normal(there.id)] or "none"


def _immutable(observed: Observed) -> frozenset[str]:
    """Client ids that MIC was told to leave alone, in lower case, as it keeps them."""
    told = ",".join(nmi.flag(one.workload, "immutable-user-msis") for one in observed.of(MIC))
    return frozenset(one.strip().lower() for one in told.split(",")) - {""}


# evidence


def _held(azure: Azure, lack: Missing) -> Evidence:
    roles = names.listed(list(lack.held)) if lack.held else "no role"
    return Evidence(f"Azure, role assignments at {lack.scope}", f"{azure.kubelet.id} has {roles}.")


def _barrier(lacks: t.Sequence[Missing]) -> Evidence:
    what = "lock" if lacks[0].reason == LOCKED else "deny assignment"
    return Evidence(f"Azure, {what} {lacks[0].by}", f"It is at {lacks[0].at}.")


def _said(observed: Observed, program: str, pattern: t.Pattern[str], *naming: str) -> tuple[Evidence, ...]:
    """The last lines of a program's logs that ``pattern`` is in, and one of the ids where any are given."""
    found = [
        said_by(log, line)
        for log in observed.logs_of(program)
        for line, _match in log.matching(pattern)
        if _names(line.text, naming)
    ]
    return tuple(found[-_MOST_SHOWN:])


def _mic_said(observed: Observed, pattern: t.Pattern[str], *naming: str) -> tuple[Evidence, ...]:
    events = [
        Evidence(f"event of {one.object}", one.message, one.time)
        for one in observed.events_of_mic
        if pattern.search(one.message) and _names(one.message, naming)
    ]
    return (*_said(observed, MIC, pattern, *naming), *events[-_MOST_SHOWN:])


def _nmi_said(observed: Observed, needs: t.Iterable[Need]) -> tuple[Evidence, ...]:
    """NMI names pods, and no identity in full."""
    pods = {one.pod.name for one in needs}
    found = [
        said_by(log, line)
        for log in observed.logs_of(NMI)
        for line, _match in log.matching(_NOT_FOUND)
        if not pods.isdisjoint(word.rstrip(".") for word in _WORD.findall(line.text))
    ]
    return tuple(found[-_MOST_SHOWN:])


def _names(text: str, ids: t.Collection[str]) -> bool:
    lowered = text.lower()
    return not ids or any(re.search(rf"{re.escape(arm_id.normal(one))}(?![\w-])", lowered) for one in ids)


# remedies


def _grant(principal: str, role: str, scope: str) -> str:
    whom = ("--assignee-object-id", principal, "--assignee-principal-type", "ServicePrincipal")
    return shell("az", "role", "assignment", "create", *whom, "--role", role, "--scope", scope)


def _attach(place: ScaleSet, identity: str) -> str:
    return _of_machine(place, "assign", identity)


def _detach(place: ScaleSet, *ids: str) -> str:
    return _of_machine(place, "remove", *ids)


def _of_machine(place: ScaleSet, verb: str, *ids: str) -> str:
    kind = "vm" if place.is_machine else "vmss"
    return shell("az", kind, "identity", verb, *_named(place.id), "--identities", *ids)


def _named(resource_id: str) -> tuple[str, ...]:
    """A resource as az takes it."""
    place = arm_id.parse(resource_id)
    return ("--subscription", place.subscription, "--resource-group", place.resource_group, "--name", place.name)


def _kind(azure: Azure, scope: str) -> str:
    found = _machine(azure, scope)
    return "identity" if found is None else "virtual machine" if found.is_machine else "scale set"


def _scope_of(azure: Azure, lack: Missing) -> str:
    """Where a role is to be given: for machines, at their resource group."""
    return arm_id.group_of(lack.scope) if _machine(azure, lack.scope) else lack.scope
