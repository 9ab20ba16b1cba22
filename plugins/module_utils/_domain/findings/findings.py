# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""What is wrong, or will go wrong, with pod identities in a cluster, and what of them is left in it.

A finding is one function below, marked with its severity and remedy; it yields the objects and a sentence each.
Residue is a list of its own: whoever still runs pod identity has all of it.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ..diagnosis.catalogue import references
from ..diagnosis.shown import shown
from ..kubernetes.workloads import Workload
from ..matching.inventory import Inventory, full_name
from ..matching.matching import (
    CERTIFICATE,
    CREATED,
    MANAGED,
    NAMESPACED,
    STANDARD,
    USER_ASSIGNED,
    AssignedIdentity,
    Assignment,
    Binding,
    Identity,
    assignment_name,
    unwritable,
)
from ..matching.nmi_answers import TOKEN
from ..matching.workload_id_pods import WorkloadIdPod
from ..names import LABEL_VALUE

ERROR, WARNING, INFO = "error", "warning", "info"
_FEDERATED_LIMIT = 20


@dataclass(frozen=True)
class About:
    """An object, and the namespaces of all that a finding at it concerns."""

    label: str
    namespaces: frozenset[str] = frozenset()


Found = t.Iterator[tuple[About, str]]


@dataclass(frozen=True)
class Finding:
    code: str
    severity: str
    object: str
    message: str
    remedy: str
    references: tuple[str, ...] = ()


@dataclass(frozen=True)
class Check:
    """``meaning``: for the page of codes."""

    code: str
    severity: str
    meaning: str
    remedy: str
    look: t.Callable[[Inventory], Found]


_CHECKS: list[Check] = []
_RESIDUE: list[Check] = []

_Look = t.Callable[[Inventory], Found]


def find(inventory: Inventory) -> tuple[Finding, ...]:
    """Every finding that ``inventory`` tells of, the worst first, and then in the order of this file."""
    return tuple(finding for dummy, finding in told(inventory))


def told(inventory: Inventory) -> tuple[tuple[About, Finding], ...]:
    """The same, each with what it is about."""
    return _found(_CHECKS, inventory, inventory.tells_of)


def residue(inventory: Inventory) -> tuple[Finding, ...]:
    """What is left of pod identity in the whole cluster, in the same order; nothing means that it is gone."""
    return tuple(finding for dummy, finding in _found(_RESIDUE, inventory, lambda namespaces: True))


def checks() -> tuple[Check, ...]:
    return tuple(_CHECKS)


def residue_checks() -> tuple[Check, ...]:
    return tuple(_RESIDUE)


def _found(
    checks: t.Iterable[Check], inventory: Inventory, tells_of: t.Callable[[frozenset[str]], bool]
) -> tuple[tuple[About, Finding], ...]:
    found = [
        (about, Finding(check.code, check.severity, about.label, message, check.remedy, references(check.code)))
        for check in checks
        for about, message in check.look(inventory)
        if tells_of(about.namespaces)
    ]
    return tuple(sorted(found, key=lambda pair: (ERROR, WARNING, INFO).index(pair[1].severity)))


def _finding(severity: str, remedy: str) -> t.Callable[[_Look], _Look]:
    return _marked(_CHECKS, severity, remedy)


def _residue(severity: str, remedy: str) -> t.Callable[[_Look], _Look]:
    return _marked(_RESIDUE, severity, remedy)


def _marked(checks: list[Check], severity: str, remedy: str) -> t.Callable[[_Look], _Look]:
    """The code is the name of the function, the first paragraph of its docstring the meaning."""

    def mark(look: _Look) -> _Look:
        meaning = " ".join((look.__doc__ or "").partition("\n\n")[0].split())
        checks.append(Check(look.__name__, severity, meaning, remedy, look))
        return look

    return mark


# workloads


@_finding(
    ERROR,
    "Create an AzureIdentityBinding with this selector in the namespace of the workload, as the playbook site does "
    "by an entry of pod_identity_bindings_list, or take the label away.",
)
def nothing_matches(inventory: Inventory) -> Found:
    """Pods carry the label aadpodidbinding, and no binding gives them an identity."""
    for workload in _asking(inventory):
        if not inventory.matches(workload):
            selector = workload.pod.selector
            same = [one for one in inventory.cluster.bindings if one.selector == selector]
            places = sorted({one.namespace for one in same})
            why = (
                f"its bindings, in {', '.join(places)}, name no identity there that serves pods of this namespace"
                if places
                else "no binding has this selector"
            )
            yield _workload(inventory, workload), f"Its pods select {selector!r} and get no identity, because {why}."


@_finding(WARNING, "Let the application name its client id, or use one selector per identity.")
def ambiguous_default(inventory: Inventory) -> Found:
    """Pods get several identities, and a request that names none is answered with any of them."""
    for workload in _asking(inventory):
        tokens = [answer.identity for answer in inventory.default(workload) if answer.kind == TOKEN and answer.identity]
        if len(tokens) > 1:
            names = ", ".join(map(full_name, tokens))
            yield (
                _workload(inventory, workload),
                f"A request without client id gets a token of any of {names}, as chance has it.",
            )


@_finding(WARNING, "Rename one of the identities, or force MIC and NMI into namespaced mode.")
def identity_shadowed(inventory: Inventory) -> Found:
    """Pods never get an identity, because another one of the same name is matched first."""
    for workload in _labelled(inventory):
        for match in inventory.matches(workload):
            for pair in match.shadowed:
                if pair.identity != match.choices[0].identity:
                    yield (
                        _workload(inventory, workload, pair.identity),
                        f"Its pods never get the identity {full_name(pair.identity)}, because "
                        f"{full_name(match.choices[0].identity)} has the same name and comes first.",
                    )


@_finding(WARNING, "Take the labels out of the exception, or the label aadpodidbinding from the workload.")
def excepted(inventory: Inventory) -> Found:
    """Pods with the label are also covered by an AzurePodIdentityException, so NMI gives them tokens of their node."""
    for workload in _labelled(inventory):
        names = ", ".join(one.name for one in inventory.answers.exceptions(workload.pod))
        if names and not workload.pod.host_network:
            yield (
                _workload(inventory, workload),
                f"NMI gives its pods the tokens of their node, because the exception {names} covers them.",
            )


@_finding(WARNING, "Take hostNetwork away, or treat the workload as one that uses the identities of its node.")
def host_network(inventory: Inventory) -> Found:
    """Pods with the label use the host network, where NMI sees none of their requests."""
    for workload in _labelled(inventory):
        if workload.pod.host_network:
            yield _workload(inventory, workload), "Its pods use the host network, so NMI sees none of their requests."


@_finding(WARNING, "Rename the workload, or move it out of the namespace of MIC.")
def taken_for_mic(inventory: Inventory) -> Found:
    """Pods bypass NMI, because their name and namespace are those that NMI takes for MIC."""
    for workload in inventory.cluster.workloads:
        labels = workload.pod.labels
        itself = "mic" in (labels.get("component"), labels.get("app.kubernetes.io/component"))
        if inventory.answers.taken_for_mic(workload.pod) and not itself:
            yield (
                _workload(inventory, workload),
                "NMI takes its pods for MIC, because its name begins with mic, and gives them tokens of their node.",
            )


@_finding(WARNING, "Roll the workload out again, or put the label into its template.")
def label_of_pods_differs(inventory: Inventory) -> Found:
    """Pods carry another value of the label than their template."""
    for workload in inventory.cluster.workloads:
        strays = [pod for pod in workload.pods if pod.lives and pod.selector != workload.pod.selector]
        if strays:
            others = ", ".join(sorted({repr(pod.selector) for pod in strays}))
            yield (
                _workload(inventory, workload),
                f"{_pods(len(strays))} of it select{'s' if len(strays) == 1 else ''} {others} instead of "
                f"{workload.pod.selector!r}, as its template says.",
            )


@_finding(INFO, "Delete the ended pods, or set ttlSecondsAfterFinished, so that MIC takes their assignments back.")
def ended_pods_hold(inventory: Inventory) -> Found:
    """Pods that have ended still hold their assignments, until they are deleted."""
    for workload in _labelled(inventory):
        ended = [pod for pod in workload.pods if pod.phase in ("Succeeded", "Failed")]
        if ended and inventory.cluster.rules.mode == STANDARD and inventory.matches(workload):
            yield _workload(inventory, workload), f"{_pods(len(ended))} of it ended and still hold assignments."


@_finding(WARNING, "Give each of them a service account of its own before a migration.")
def service_account_shared(inventory: Inventory) -> Found:
    """Workloads with different identities share a service account, which can have one client id only."""
    for (namespace, name), workloads in inventory.users_of_service_accounts.items():
        using = [one for one in workloads if inventory.identities_of(one)]
        if len({frozenset(map(full_name, inventory.identities_of(one))) for one in using}) > 1:
            yield (
                About(f"ServiceAccount {namespace}/{name}", frozenset({namespace})),
                f"{', '.join(one.label for one in using)} share it and have different identities, so a migration "
                "cannot give it one client id.",
            )


# identities


@_finding(ERROR, "Correct resourceID of the AzureIdentity.")
def resource_id_malformed(inventory: Inventory) -> Found:
    """MIC ignores an AzureIdentity, because its resourceID is none of a user-assigned identity."""
    for identity in inventory.cluster.identities:
        if not inventory.cluster.rules.accepts(identity):
            yield _identity(identity), f"MIC ignores it, because its resourceID is {identity.resource_id!r}."


@_finding(ERROR, "Write clientID as Azure shows it, in lower case.")
def client_id_case(inventory: Inventory) -> Found:
    """An AzureIdentity has capital letters in its clientID, which NMI compares letter by letter."""
    for identity in inventory.cluster.identities:
        if identity.client_id != identity.client_id.lower():
            yield (
                _identity(identity),
                f"NMI compares client ids letter by letter, and clientID is {identity.client_id}, so requests with the "
                "lower-case one are refused.",
            )


@_finding(ERROR, "Set clientID of the AzureIdentity.")
def client_id_missing(inventory: Inventory) -> Found:
    """An AzureIdentity has no clientID, so that NMI gives out another token for it, or none."""
    for identity in inventory.cluster.identities:
        if identity.client_id or not USER_ASSIGNED <= identity.type <= CERTIFICATE:
            continue
        given = "the default identity of the node" if identity.type == USER_ASSIGNED else "no token"
        yield _identity(identity), f"It has no clientID, so NMI gives out {given} for it."


@_finding(ERROR, "Use type 0, 1 or 2.")
def type_unsupported(inventory: Inventory) -> Found:
    """An AzureIdentity has a type for which NMI gives out no token."""
    for identity in inventory.cluster.identities:
        if not USER_ASSIGNED <= identity.type <= CERTIFICATE:
            yield _identity(identity), f"Its type is {identity.type}, for which NMI gives out no token."


@_finding(WARNING, "Write the annotation's value as namespaced, or take it away.")
def behavior_unknown(inventory: Inventory) -> Found:
    """The behavior annotation of an AzureIdentity has a value that counts as none."""
    for identity in inventory.cluster.identities:
        if identity.behavior not in ("", NAMESPACED):
            yield (
                _identity(identity),
                f"Its behavior is {identity.behavior!r}, which counts as none: only namespaced does.",
            )


@_finding(WARNING, "Correct clientID of the wrong one, or use one AzureIdentity.")
def client_ids_of_one_resource(inventory: Inventory) -> Found:
    """AzureIdentities name one resource with different client ids, so that MIC takes it from pods that use it.

    MIC looks by client id whether an identity is still in use on a scale set.
    """
    by_resource: dict[str, list[Identity]] = {}
    for identity in inventory.cluster.identities:
        if identity.type == USER_ASSIGNED and identity.resource_id:
            by_resource.setdefault(identity.resource_id.lower(), []).append(identity)
    for identities in by_resource.values():
        if len({identity.client_id for identity in identities}) > 1:
            names = ", ".join(map(full_name, identities))
            yield (
                _identity(*identities),
                f"{names} name one resource with different client ids, so MIC takes it from pods that still use it.",
            )


@_finding(WARNING, "Spread the workloads over several identities before a migration.")
def federated_credentials_exceeded(inventory: Inventory) -> Found:
    """A migration needs more federated credentials on an identity than Azure allows."""
    for identity in inventory.cluster.identities:
        needed = len(inventory.subjects.get(identity.resource_id.lower(), ())) if identity.type == USER_ASSIGNED else 0
        if needed > _FEDERATED_LIMIT:
            yield (
                _identity(identity),
                f"A migration needs {needed} federated credentials on it, {_FEDERATED_LIMIT} are possible.",
            )


@_finding(INFO, "Delete it, or bind it.")
def identity_unbound(inventory: Inventory) -> Found:
    """No binding names an AzureIdentity."""
    bound = {(one.namespace, one.identity) for one in inventory.cluster.bindings}
    for identity in inventory.cluster.identities:
        if (identity.namespace, identity.name) not in bound:
            yield _identity(identity), "No binding of its namespace names it."


# bindings


@_finding(ERROR, "Make the AzureIdentity in the namespace of the binding, or correct azureIdentity.")
def azure_identity_missing(inventory: Inventory) -> Found:
    """A binding names an AzureIdentity that its namespace does not have."""
    known = {(one.namespace, one.name) for one in inventory.cluster.identities}
    elsewhere: dict[str, list[str]] = {}
    for one in inventory.cluster.identities:
        elsewhere.setdefault(one.name, []).append(one.namespace)
    for binding in inventory.cluster.bindings:
        if (binding.namespace, binding.identity) not in known:
            where = (
                f"; there is one in {', '.join(elsewhere[binding.identity])}" if binding.identity in elsewhere else ""
            )
            yield (
                _binding(binding),
                f"It names the identity {binding.identity!r}, which its namespace does not have{where}.",
            )


@_finding(WARNING, "Give the binding a selector that pods can have as value of the label aadpodidbinding.")
def selector_impossible(inventory: Inventory) -> Found:
    """No pod can have the selector of a binding as value of its label."""
    for binding in inventory.cluster.bindings:
        if not LABEL_VALUE.fullmatch(binding.selector):
            message = f"No pod can have its selector {binding.selector!r}, so it matches nothing."
            if not binding.selector and inventory.cluster.rules.mode == MANAGED:
                message = "Its selector is empty, which matches every pod of the namespace without the label."
            yield _binding(binding), message


@_finding(INFO, "None before its workload is deployed; else label that, or delete the binding.")
def binding_unused(inventory: Inventory) -> Found:
    """Nothing has the label that a binding selects."""
    used = {workload.pod.selector for workload in inventory.cluster.workloads}
    used |= {pod.selector for pod in inventory.cluster.pods}
    for binding in inventory.cluster.bindings:
        if binding.selector not in used and LABEL_VALUE.fullmatch(binding.selector):
            yield _binding(binding), f"Nothing selects {binding.selector!r}."


# assignments


@_finding(ERROR, "Rename one of the pods' owners, or one of the identities.")
def assignment_contested(inventory: Inventory) -> Found:
    """Two pods come to one name of an AzureAssignedIdentity, so that one of them is not served."""
    for name, rivals in inventory.computed_by_name.items():
        if len({(one.pod.namespace, one.pod.name) for one in rivals}) > 1:
            pods = ", ".join(sorted(f"{one.pod.namespace}/{one.pod.name}" for one in rivals))
            yield (
                _assignment(name, rivals),
                f"The pods {pods} come to this one name, so only one of them is served.",
            )


@_finding(ERROR, "Shorten the names of workload, namespace or identity.")
def assignment_unwritable(inventory: Inventory) -> Found:
    """MIC cannot create an assignment, because its name or a label of it would be too long."""
    if inventory.cluster.rules.mode == MANAGED:
        return
    for pod in inventory.cluster.pods:
        for match in inventory.matching.matches(pod.namespace, pod.selector) if pod.node else ():
            identity = match.choices[0].identity
            reason = unwritable(assignment_name(pod, identity), pod.node)
            if reason:
                about = About(f"Pod {pod.namespace}/{pod.name}", frozenset({pod.namespace, identity.namespace}))
                yield about, f"MIC cannot assign it {full_name(identity)}: {reason}."


@_finding(WARNING, "Rename one of them, so that MIC can tell them apart on a scale set.")
def pod_names_equal(inventory: Inventory) -> Found:
    """Pods of one name in several namespaces use one identity, which MIC takes from the others when one goes.

    MIC's look at what still uses an identity skips pods of the same name.
    """
    users: dict[tuple[str, str], list[Assignment]] = {}
    for one in inventory.computed:
        if one.identity.type == USER_ASSIGNED:
            users.setdefault((one.pod.name, one.identity.client_id), []).append(one)
    for (name, _client_id), using in sorted(users.items(), key=lambda item: item[0]):
        namespaces = {one.pod.namespace for one in using}
        if len(namespaces) > 1:
            yield (
                About(f"Pod {sorted(namespaces)[0]}/{name}", _concerned(using)),
                f"Pods of this name use one identity in {', '.join(sorted(namespaces))}, so MIC takes it from the "
                "others when one of them goes.",
            )


@_finding(ERROR, "Look whether MIC runs and leads (azureops.pod_identity.nmi_info), and read its log and the events.")
def assignment_missing(inventory: Inventory) -> Found:
    """MIC has not assigned an identity to a pod that is to have it."""
    if not _compares(inventory):
        return
    for name, rivals in inventory.computed_by_name.items():
        if name not in inventory.assigned_by_name:
            one = rivals[0]
            yield (
                _assignment(name, rivals),
                f"MIC has not assigned {full_name(one.identity)} to the pod {one.pod.namespace}/{one.pod.name}.",
            )


@_finding(ERROR, "Look whether MIC runs and leads (azureops.pod_identity.nmi_info), and read its log and the events.")
def assignment_differs(inventory: Inventory) -> Found:
    """An assignment is not what MIC would make of the present objects."""
    for one, rivals in _live(inventory):
        differences = [_differences(rival, one) for rival in rivals]
        if differences and all(differences):
            yield _assigned(one), f"It is not what MIC would make now: {', '.join(sorted(differences, key=len)[0])}."


@_finding(ERROR, "Look whether MIC runs and leads (azureops.pod_identity.nmi_info), and read its log.")
def assignment_without_cause(inventory: Inventory) -> Found:
    """An assignment is there for which no pod, binding or identity is left."""
    pods = {(pod.namespace, pod.name): pod for pod in inventory.cluster.pods}
    for one, rivals in _live(inventory):
        if rivals or one.deleting:
            continue
        pod = pods.get((one.pod_namespace, one.pod))
        label = f"the pod {one.pod_namespace}/{one.pod}"
        if pod is None:
            why = f"{label} is gone"
        elif pod.selector != one.binding.selector:
            why = f"{label} selects {pod.selector!r} and not {one.binding.selector!r}"
        else:
            why = f"binding {full_name(one.binding)} and identity {full_name(one.identity)} no longer match {label}"
        yield _assigned(one), f"MIC would take it back: {why}."


@_finding(WARNING, "Read MIC's events: mostly its identity lacks a role, or an identity of the batch does not exist.")
def assignment_pending(inventory: Inventory) -> Found:
    """An assignment is Created and not yet Assigned: its identity is not on the scale set."""
    for one in inventory.cluster.assigned or ():
        if one.state == CREATED:
            yield _assigned(one), f"{full_name(one.identity)} is not on the scale set of {one.node} yet."


@_finding(WARNING, "Delete the one that MIC would not make, finalizer included, once its pod is gone.")
def assignment_twice(inventory: Inventory) -> Found:
    """Two assignments have one name in different namespaces, and MIC sees one of them only."""
    for name, live in inventory.assigned_by_name.items():
        if len(live) > 1:
            places = ", ".join(sorted(one.namespace for one in live))
            yield _assignment(name, live), f"There is one in each of {places}, and MIC sees one of them only."


@_finding(WARNING, "Delete the pods of the node that is gone, so that MIC takes their assignments back.")
def assignment_of_missing_node(inventory: Inventory) -> Found:
    """The node of an assignment does not exist, which keeps MIC from repairing any scale set."""
    for one in inventory.cluster.assigned or ():
        if _lacks_node(inventory, one):
            yield _assigned(one), f"Its node {one.node} does not exist, so MIC repairs no scale set any more."


# Workload ID


@_finding(ERROR, "Let the application read the path from AZURE_FEDERATED_TOKEN_FILE.")
def token_path_differs(inventory: Inventory) -> Found:
    """A container is told a path for its token of Workload ID that is not where its pod has it."""
    for workload, pods in _of_workload_id(inventory):
        for one in [each for each in pods if each.lost][:1]:
            ((container, (told, own)), *_others) = one.lost.items()
            yield (
                _workload(inventory, workload),
                f"The container {container} of {one.label} is told {shown(told)}, and has the token at {shown(own)}.",
            )


@_finding(
    ERROR, "Mend what it waits for, or let the library use Workload ID itself, so that the pod needs no proxy sidecar."
)
def proxy_not_started(inventory: Inventory) -> Found:
    """The proxy sidecar of Workload ID, or its init container, does not start, so that its pod gets no token."""
    for workload, pods in _of_workload_id(inventory):
        for one in [each for each in pods if each.waiting][:1]:
            ((container, why), *_others) = one.waiting.items()
            yield (
                _workload(inventory, workload),
                f"The container {container} of {one.label} waits ({shown(why, 300)}).",
            )


# residue


@_residue(ERROR, "Give the right to read it, or read it too, and look again.")
def not_read(inventory: Inventory) -> Found:
    """What is left of a kind is not known, because it could not be read."""
    for kind, why in inventory.cluster.residue.unread.items():
        if kind == "ClusterRoleBinding":
            why += " Without it every namespace is believed to have an installation."
        yield About(kind), f"Nobody knows what of this kind is left. {why}"


@_residue(INFO, "See whose it is; if it is of AAD Pod Identity, name its namespace in release_namespaces.")
def not_believed(inventory: Inventory) -> Found:
    """Something looks like a part of AAD Pod Identity and is not proved to be one, so that it is not touched."""
    for one in inventory.cluster.residue.doubts:
        yield About(one.label), f"It is not believed to be of AAD Pod Identity: {one.reason}."


@_residue(ERROR, "Uninstall the release, remove the manifests, or disable the add-on, whichever it came with.")
def installation_left(inventory: Inventory) -> Found:
    """MIC or NMI is still installed."""
    for one in inventory.cluster.residue.of("DaemonSet", "Deployment", "Pod"):
        yield About(one.label), f"It runs {one.detail.upper()}."


@_residue(ERROR, "Detach its identity from the scale set, then take its finalizer away.")
def assignment_not_deleted(inventory: Inventory) -> Found:
    """An AzureAssignedIdentity is being deleted, and no MIC is there to take its finalizer away."""
    for one in inventory.cluster.assigned or ():
        if _stuck(inventory, one):
            yield _assigned(one), "It is being deleted, and there is no MIC to take its finalizer away."


@_residue(ERROR, "Detach its identity from the scale set, then delete it, its finalizer included.")
def assignment_orphaned(inventory: Inventory) -> Found:
    """An AzureAssignedIdentity is left whose node does not exist."""
    for one in inventory.cluster.assigned or ():
        if _orphaned(inventory, one):
            yield (
                _assigned(one),
                f"Its node {one.node} does not exist, and {full_name(one.identity)} may be on its scale set still.",
            )


@_residue(
    WARNING, "Take the bindings away and let MIC empty it; where MIC is gone, detach the identity, and delete it."
)
def assignment_left(inventory: Inventory) -> Found:
    """An AzureAssignedIdentity is left."""
    for one in inventory.cluster.assigned or ():
        if not _stuck(inventory, one) and not _orphaned(inventory, one):
            yield _assigned(one), f"{full_name(one.identity)} is assigned to the pod {one.pod_namespace}/{one.pod}."


@_residue(ERROR, "See to what is left in it, mostly an AzureAssignedIdentity with a finalizer that nobody takes away.")
def namespace_stuck(inventory: Inventory) -> Found:
    """A namespace does not end, because AzureAssignedIdentities are left in it."""
    cluster = inventory.cluster
    holding = {one.namespace for one in cluster.assigned or ()}
    for one in cluster.residue.of("Namespace"):
        if one.name in holding:
            yield About(one.label), "It does not end, because AzureAssignedIdentities are left in it."


@_residue(ERROR, "See to the objects of this kind that still have a finalizer.")
def definition_stuck(inventory: Inventory) -> Found:
    """The definition of a kind is being deleted and does not go."""
    for one in inventory.cluster.residue.of("CustomResourceDefinition"):
        if one.deleting:
            why = f": {one.detail.rstrip('.')}" if one.detail else ", because objects of it are left"
            yield About(one.label), f"It is being deleted and does not go{why}."


@_residue(WARNING, "Delete it when no object of it is left; helm leaves it.")
def definition_left(inventory: Inventory) -> Found:
    """The definition of a kind of AAD Pod Identity is left."""
    for one in inventory.cluster.residue.of("CustomResourceDefinition"):
        if not one.deleting:
            yield About(one.label), "The kind is still installed."


@_residue(WARNING, "Delete it when nothing selects it any more.")
def binding_left(inventory: Inventory) -> Found:
    """An AzureIdentityBinding is left."""
    for one in inventory.cluster.bindings:
        yield (
            _binding(one),
            f"It gives {one.identity!r} to pods that select {one.selector!r}.",
        )


@_residue(WARNING, "Delete it; the managed identity in Azure is another matter.")
def identity_left(inventory: Inventory) -> Found:
    """An AzureIdentity is left."""
    for one in inventory.cluster.identities:
        yield _identity(one), f"It names {one.resource_id or one.client_id or 'nothing'}."


@_residue(WARNING, "Delete it.")
def exception_left(inventory: Inventory) -> Found:
    """An AzurePodIdentityException is left."""
    for one in inventory.cluster.exceptions:
        yield About(f"AzurePodIdentityException {one.namespace}/{one.name}"), "It lets pods past an NMI."


@_residue(WARNING, "Uninstall the release; where helm cannot, see to what its message names.")
def release_left(inventory: Inventory) -> Found:
    """The record of a helm release is left."""
    for one in inventory.cluster.residue.of("Secret"):
        if one.detail:
            yield About(one.label), f"The helm release {one.detail}."


@_residue(WARNING, "Delete it; it holds the credential of MIC.")
def credential_left(inventory: Inventory) -> Found:
    """A Secret with the credential of MIC is left."""
    for one in inventory.cluster.residue.of("Secret"):
        if not one.detail:
            yield About(one.label), "It was made for MIC."


@_residue(WARNING, "Delete it, so that nobody can use the rights of MIC or NMI.")
def role_left(inventory: Inventory) -> Found:
    """A role, its binding or a service account of MIC or NMI is left."""
    for one in inventory.cluster.residue.of("ClusterRole", "ClusterRoleBinding", "ServiceAccount"):
        yield About(one.label), "It gave MIC or NMI its rights."


@_residue(INFO, "Delete it.")
def budget_left(inventory: Inventory) -> Found:
    """The PodDisruptionBudget of MIC is left."""
    for one in inventory.cluster.residue.of("PodDisruptionBudget"):
        yield About(one.label), "It was for the pods of MIC."


@_residue(INFO, "Delete it.")
def lock_left(inventory: Inventory) -> Found:
    """The lock of MIC's leader is left."""
    for one in inventory.cluster.residue.of("Endpoints"):
        yield About(one.label), "MIC's leader held it."


@_residue(INFO, "Delete it.")
def settings_left(inventory: Inventory) -> Found:
    """The ConfigMap in which MIC kept what it had upgraded is left."""
    for one in inventory.cluster.residue.of("ConfigMap"):
        yield About(one.label), "MIC kept there what it had upgraded."


@_residue(INFO, "Take the label out of its template, or leave it there: without NMI nobody reads it.")
def label_left(inventory: Inventory) -> Found:
    """Pods still have the label aadpodidbinding."""
    for workload in _labelled(inventory):
        yield _workload(inventory, workload), f"Its pods select {workload.pod.selector!r}."


def _stuck(inventory: Inventory, one: AssignedIdentity) -> bool:
    return one.deleting and not inventory.cluster.residue.mic_runs


def _orphaned(inventory: Inventory, one: AssignedIdentity) -> bool:
    return _lacks_node(inventory, one) and not one.deleting


def _lacks_node(inventory: Inventory, one: AssignedIdentity) -> bool:
    return inventory.cluster.nodes is not None and one.node not in inventory.cluster.nodes


def _labelled(inventory: Inventory) -> t.Iterator[Workload]:
    return (workload for workload in inventory.cluster.workloads if workload.pod.selector)


def _asking(inventory: Inventory) -> t.Iterator[Workload]:
    return filter(inventory.asks_nmi, inventory.cluster.workloads)


def _of_workload_id(inventory: Inventory) -> t.Iterator[tuple[Workload, list[WorkloadIdPod]]]:
    """Workloads with their pods of Workload ID with which something is wrong."""
    wrong = {(one.namespace, one.name): one for one in inventory.cluster.workload_id_pods}
    for workload in inventory.cluster.workloads:
        places = ((pod.namespace, pod.name) for pod in workload.pods)
        found = [wrong[place] for place in places if place in wrong]
        if found:
            yield workload, found


def _compares(inventory: Inventory) -> bool:
    return inventory.cluster.assigned is not None and inventory.cluster.rules.mode == STANDARD


def _live(inventory: Inventory) -> t.Iterator[tuple[AssignedIdentity, list[Assignment]]]:
    """Each assignment that there is, with what MIC would make under its name."""
    if _compares(inventory):
        for one in inventory.cluster.assigned or ():
            yield one, inventory.computed_by_name.get(one.name, [])


def _differences(ours: Assignment, live: AssignedIdentity) -> list[str]:
    pairs = (
        ("pod", f"{live.pod_namespace}/{live.pod}", f"{ours.pod.namespace}/{ours.pod.name}"),
        ("node", live.node, ours.pod.node),
        ("binding", full_name(live.binding), full_name(ours.binding)),
        ("identity", full_name(live.identity), full_name(ours.identity)),
        ("client id", live.identity.client_id, ours.identity.client_id),
        ("resource id", live.identity.resource_id, ours.identity.resource_id),
        ("type", str(live.identity.type), str(ours.identity.type)),
        ("behavior", live.identity.behavior, ours.identity.behavior),
    )
    return [f"{what} {got or 'none'} instead of {wanted or 'none'}" for what, got, wanted in pairs if got != wanted]


def _workload(inventory: Inventory, workload: Workload, *more: Identity) -> About:
    return About(workload.label, inventory.namespaces_of(workload).union(one.namespace for one in more))


def _identity(identity: Identity, *more: Identity) -> About:
    return About(f"AzureIdentity {full_name(identity)}", frozenset(one.namespace for one in (identity, *more)))


def _binding(binding: Binding) -> About:
    return About(f"AzureIdentityBinding {full_name(binding)}", frozenset({binding.namespace}))


def _assigned(one: AssignedIdentity) -> About:
    return About(f"AzureAssignedIdentity {one.namespace}/{one.name}", _concerned([one]))


def _assignment(name: str, rivals: t.Iterable[Assignment | AssignedIdentity]) -> About:
    return About(f"AzureAssignedIdentity {name}", _concerned(rivals))


def _concerned(rivals: t.Iterable[Assignment | AssignedIdentity]) -> frozenset[str]:
    """Namespaces of the pods and of the identities; MIC keeps assignments of all namespaces in one."""
    return frozenset(
        namespace
        for one in rivals
        for namespace in (
            one.pod_namespace if isinstance(one, AssignedIdentity) else one.pod.namespace,
            one.identity.namespace,
        )
    )


def _pods(number: int) -> str:
    return "1 pod" if number == 1 else f"{number} pods"
