# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The phases of the role workload_identity_migration after the plan: what each does to which workload.

Nothing is remembered from run to run: how far a workload is, is observed of it.
"""

from __future__ import annotations

import fnmatch
import itertools
import typing as t
import uuid
from dataclasses import dataclass, field, replace

from ..azure import arm_id, federated, graph_answers
from ..azure.clusters import KIND as CLUSTER
from ..diagnosis.shown import shown
from ..errors import Failure
from ..findings.findings import OF_ENDED_PODS
from ..kubernetes import progress, sources
from ..matching.matching import SELECTOR_LABEL, Pod, controller, pod_template
from ..migration import fleet, pools, problem, rendering, soaking, stages, switching
from ..migration.candidate import BOTH, WORKLOAD_ID
from ..migration.owners import Owner
from ..migration.soaking import Soak
from ..migration.stages import Mover
from ..migration.trust import EXISTS, MISSING, MISSPELLED, key_of
from ..names import listed
from ..needs import AzureNeed, AzurePermission, GraphNeed, GraphPermission, KubernetesNeed, KubernetesPermission
from ..sessions import KNOWN_AFTER_APPLY
from ..tokens.token import WORKLOAD_IDENTITY
from . import workload_identity_rendering
from .part import ROLE_PHASES, Look, Raw, Run, cluster_arguments, refuse

PREFIX = "workload_identity_migration"
PHASES = ROLE_PHASES[PREFIX]
PLAN, ISSUER, WEBHOOK, ACCOUNT, CREDENTIAL, CANARY, SWITCH, SOAK, LEAVE, FINISH = (
    phase[len(PREFIX) + 1 :] for phase in PHASES
)
# At least, of a token of a service account in a pod.
LIFE_SECONDS = 3600
# Part of the phase credential, for those of applications.
APPLICATION = "application"
# Whether one that has just left still gets its token.
LEFT = "left"
ORDER = (PLAN, ISSUER, WEBHOOK, ACCOUNT, CREDENTIAL, CANARY, SWITCH, SOAK, LEAVE, FINISH)

_CLUSTER, _IN_DEFAULT, _OF_WORKLOADS = "the whole cluster", "the namespace `default`", "the namespace of each workload"
_OF_OWN = "the namespace of each workload that gets a service account of its own"
_FOR_OWN = f"{_CLUSTER}, where a workload gets a service account of its own"
_RBAC = "rbac.authorization.k8s.io"


def _phase(name: str) -> str:
    return f"{PREFIX}_{name}"


AZURE_PERMISSIONS: t.Mapping[str, AzurePermission] = {
    "write_issuer": AzurePermission(_phase(ISSUER), "the cluster, where it has no issuer", (f"{CLUSTER}/write",)),
    "write_webhook": AzurePermission(_phase(WEBHOOK), "the cluster, where it has no webhook", (f"{CLUSTER}/write",)),
    "read_scale_sets": AzurePermission(
        _phase(CREDENTIAL),
        "the node resource group",
        (
            "Microsoft.Compute/virtualMachineScaleSets/read",
            "Microsoft.Compute/virtualMachines/read",
            "Microsoft.Resources/subscriptions/resourceGroups/read",
        ),
    ),
    "write_credentials": AzurePermission(
        _phase(CREDENTIAL), "each identity that gets a credential", (f"{federated.KIND}/write",)
    ),
}


def _kubernetes(
    phase: str, where: str, group: str, resource: str, *verbs: str, subresource: str = ""
) -> KubernetesPermission:
    return KubernetesPermission(phase, where, resource, verbs, group, subresource)


KUBERNETES_PERMISSIONS: t.Mapping[str, KubernetesPermission] = {
    "take_lease": _kubernetes(
        "always", _IN_DEFAULT, "coordination.k8s.io", "leases", "get", "create", "patch", "delete"
    ),
    "annotate_accounts": _kubernetes(_phase(ACCOUNT), _OF_WORKLOADS, "", "serviceaccounts", "get", "patch"),
    "make_accounts": _kubernetes(_phase(ACCOUNT), _OF_OWN, "", "serviceaccounts", "create"),
    "read_roles": _kubernetes(_phase(ACCOUNT), _FOR_OWN, _RBAC, "roles", "list"),
    "read_role_bindings": _kubernetes(_phase(ACCOUNT), _FOR_OWN, _RBAC, "rolebindings", "list"),
    "read_cluster_roles": _kubernetes(_phase(ACCOUNT), _FOR_OWN, _RBAC, "clusterroles", "list"),
    "read_cluster_role_bindings": _kubernetes(_phase(ACCOUNT), _FOR_OWN, _RBAC, "clusterrolebindings", "list"),
    "review_access": _kubernetes(_phase(ACCOUNT), _FOR_OWN, "authorization.k8s.io", "subjectaccessreviews", "create"),
    "copy_role_bindings": _kubernetes(
        _phase(ACCOUNT), "the namespace of each RoleBinding that is copied", _RBAC, "rolebindings", "create"
    ),
    "copy_cluster_role_bindings": _kubernetes(
        _phase(ACCOUNT), f"{_CLUSTER}, where a ClusterRoleBinding is copied", _RBAC, "clusterrolebindings", "create"
    ),
    "sign_tokens": _kubernetes(_phase(CREDENTIAL), _OF_WORKLOADS, "", "serviceaccounts", "create", subresource="token"),
    "read_nodes": _kubernetes(_phase(CANARY), _CLUSTER, "", "nodes", "list"),
    "run_probes": _kubernetes(_phase(CANARY), _OF_WORKLOADS, "batch", "jobs", "list", "create", "delete"),
    "read_probes": _kubernetes(_phase(CANARY), _OF_WORKLOADS, "", "pods", "get", subresource="log"),
    "read_services": _kubernetes(_phase(CANARY), _OF_WORKLOADS, "", "services", "list"),
    "change_deployments": _kubernetes(_phase(SWITCH), _OF_WORKLOADS, "apps", "deployments", "get", "patch"),
    "change_statefulsets": _kubernetes(_phase(SWITCH), _OF_WORKLOADS, "apps", "statefulsets", "get", "patch"),
    "change_daemonsets": _kubernetes(_phase(SWITCH), _OF_WORKLOADS, "apps", "daemonsets", "get", "patch"),
    "change_replicasets": _kubernetes(_phase(SWITCH), _OF_WORKLOADS, "apps", "replicasets", "get", "patch"),
    "change_cronjobs": _kubernetes(_phase(SWITCH), _OF_WORKLOADS, "batch", "cronjobs", "get", "patch"),
    "read_logs": _kubernetes(_phase(SOAK), "the namespaces of NMI", "", "pods", "get", subresource="log"),
    "read_runs": _kubernetes(_phase(SOAK), "the namespace of each CronJob", "batch", "jobs", "list"),
    "read_assigned": _kubernetes(_phase(LEAVE), _CLUSTER, "aadpodidentity.k8s.io", "azureassignedidentities", "list"),
    "try_pods": _kubernetes(_phase(SWITCH), _OF_WORKLOADS, "", "pods", "create"),
}
# Nobody can be asked beforehand whether it is granted.
GRAPH_PERMISSIONS: t.Mapping[str, GraphPermission] = {
    "write_applications": GraphPermission(
        _phase(CREDENTIAL),
        "each application that gets a credential, and that the caller owns",
        federated.LEAST_OF_APPLICATIONS,
    ),
}
PERMISSIONS: t.Mapping[str, AzurePermission | GraphPermission | KubernetesPermission] = {
    **AZURE_PERMISSIONS,
    **GRAPH_PERMISSIONS,
    **KUBERNETES_PERMISSIONS,
}
CHANGES = {kind: f"change_{kind.lower()}s" for kind in switching.KINDS}


@dataclass(frozen=True)
class Options:
    until: str = PLAN
    workloads: tuple[str, ...] = ()
    identities: tuple[str, ...] = ()
    replacements: t.Mapping[str, str] = field(default_factory=dict)
    waves: tuple[t.Any, ...] = ()
    enable_issuer: bool = False
    enable_webhook: bool = False
    override_owner: bool = False
    accept: tuple[str, ...] = ()
    canary_image: str = ""
    rollout_timeout: int = 600
    soak_seconds: int = 7200
    namespaces: tuple[str, ...] = ()
    mode: str = rendering.AUTO
    directory: str = ""
    unused_bindings: tuple[str, ...] = ()


def phases(options: Options, run: Run) -> tuple[str, ...]:
    """Those of this run, without the name of the role."""
    last = ORDER.index(options.until)
    return tuple(name for name in ORDER[: last + 1] if _phase(name) in run.phases(PHASES))


# what a run knows


@dataclass(frozen=True)
class Account:
    """An entry for workload_identity_service_account. ``movers``: whom it is for, by their keys."""

    namespace: str
    name: str
    client_id: str
    like: str
    override_client_id: bool
    movers: tuple[str, ...]


@dataclass(frozen=True)
class Credentials:
    """The federated credentials that one identity is to have, as federated_identity_credential takes them."""

    identity_id: str
    credentials: tuple[Raw, ...]
    movers: tuple[str, ...]


@dataclass(frozen=True)
class OfApplication:
    """The same of one application, as application_federated_credential takes them.

    ``tenant_id``: where tokens of its service principal are asked for.
    """

    app_id: str
    tenant_id: str
    credentials: tuple[Raw, ...]
    movers: tuple[str, ...]


@dataclass(frozen=True)
class Canary:
    """A pod like those of a workload, and what it must get; one for each pool that these may come to.

    ``question``: as pod_token_info takes it.
    """

    question: Raw
    mover: str


@dataclass(frozen=True)
class Change:
    """A workload that is changed, as workload_identity_workload takes it."""

    namespace: str
    kind: str
    name: str
    service_account: str
    client_id: str
    proxy: bool
    override_owner: bool
    accept_gap: bool
    wait_timeout: int
    mover: str
    assume_webhook: bool = False


@dataclass(frozen=True)
class Row:
    """A line of the table at the end."""

    workload: str
    state: str
    next: str
    why: str


@dataclass(frozen=True)
class Work:
    """What a run knows of the workloads; each task goes by what the one before left, and leaves it with more.

    ``phases``: of this run. ``movers``: the workloads. ``credentials``: of managed identities, ``applications``: those
    of applications. ``issuer`` and ``webhook``: whether they are enabled.
    ``soaking``: what is looked at until it has used Workload ID for long enough, for ``soak_timeout`` seconds at most;
    a run that ends with it does not wait. ``left``: as the canaries, of those that have just left; ``again``: MIC is
    waited for, until ``end`` at the latest, in seconds. ``rendering``: keys of those whose owners get files.
    ``may_finish``: as far as is known, AAD Pod Identity can go in the end. ``finishes``: it does. ``others``: what
    needs it still.
    ``azure`` and ``kubernetes``: what is asked for before the first write. ``rows``: of the table at the end.
    ``message``: why the role fails; empty where it does not. ``denied``: some stopped, because their identities may not
    be changed, and the others are asked for again.
    """

    phases: tuple[str, ...]
    movers: tuple[Mover, ...]
    issuer: bool = False
    webhook: bool = False
    accounts: tuple[Account, ...] = ()
    credentials: tuple[Credentials, ...] = ()
    applications: tuple[OfApplication, ...] = ()
    canaries: tuple[Canary, ...] = ()
    waves: tuple[tuple[Change, ...], ...] = ()
    soaking: tuple[Raw, ...] = ()
    soak_timeout: int = 0
    leaving: tuple[Change, ...] = ()
    left: tuple[Canary, ...] = ()
    may_finish: bool = False
    rendering: tuple[str, ...] = ()
    finishes: bool = False
    others: tuple[str, ...] = ()
    again: bool = False
    end: float = 0
    azure: tuple[AzureNeed, ...] = ()
    graph: tuple[GraphNeed, ...] = ()
    kubernetes: tuple[KubernetesNeed, ...] = ()
    rows: tuple[Row, ...] = ()
    message: str = ""
    denied: bool = False


@dataclass(frozen=True)
class Found:
    """``info``: the plan. ``cluster``: of the session. ``raws``: the workloads themselves, by kind, place and name.

    ``nmi``: namespaces where NMI runs, as far as they may be known. ``nodes``: None where they were not read.
    ``carried``: identities on scale sets of the cluster, None where nobody asked; ``unread``: why they are not known.
    ``revisions``: ReplicaSets and ControllerRevisions, as far as they may be known.
    ``overfull``: identities and applications that take no credentials for all clusters of the play, by ``holder``.
    """

    info: Raw
    cluster: Raw
    raws: t.Mapping[tuple[str, str, str], Raw]
    nmi: tuple[str, ...] = ()
    nodes: tuple[Raw, ...] | None = None
    carried: frozenset[str] | None = None
    unread: str = ""
    revisions: tuple[Raw, ...] = ()
    overfull: t.Mapping[str, fleet.Overfull] = field(default_factory=dict)

    @classmethod
    def parse(cls, observed: Raw) -> Found:
        raws = {}
        for kind in _kinds(observed):
            for raw in observed[_look_name(kind)]["resources"]:
                metadata = raw["metadata"]
                raws[(metadata["namespace"], kind, metadata["name"])] = raw
        installations = (observed.get("nmi") or {}).get("installations") or ()
        namespaces = tuple(sorted({each["namespace"] for each in installations}))
        nodes = (observed.get("nodes") or {}).get("resources")
        carried, unread = _carried(observed.get("scale_sets"))
        revisions = [(observed.get(f"revisions: {kind}") or {}).get("resources") or () for kind in _REVISIONS]
        return cls(
            observed["info"],
            observed.get("cluster") or {},
            raws,
            namespaces,
            nodes=None if nodes is None else tuple(nodes),
            carried=carried,
            unread=unread,
            revisions=tuple(itertools.chain(*revisions)),
            overfull=_overfull(observed),
        )

    def raw(self, template: Raw) -> Raw | None:
        return self.raws.get((template["namespace"], template["kind"], template["name"]))


def _carried(told: Raw | None) -> tuple[frozenset[str] | None, str]:
    """What vmss_identity_info says of the scale sets and virtual machines of the cluster, if it was asked."""
    if told is None:
        return None, ""
    carriers = told.get("resources") or ()
    found = frozenset(arm_id.normal(identity["id"]) for each in carriers for identity in each["identities"])
    return found, str(told.get("msg") or "") if told.get("failed") else ""


def _overfull(observed: Raw) -> dict[str, fleet.Overfull]:
    """By this plan, and those that the other clusters of the play have by now."""
    others = zip(observed.get("clusters") or (), observed.get("plans") or ())
    mine = {observed.get("host") or "": observed["info"]}
    every = {**{name: plan or {} for name, plan in others}, **mine}
    found = fleet.overfull(fleet.Planned(name, plan) for name, plan in every.items())
    return {one.key: one for one in found}


def _kinds(observed: Raw) -> tuple[str, ...]:
    """Of the workloads that are looked at themselves."""
    named = {each["kind"] for each in observed["info"]["templates"]}
    return tuple(kind for kind in switching.KINDS if kind in named)


def _look_name(kind: str) -> str:
    return f"of {kind}"


# What keeps the former templates, and of which kinds.
_REVISIONS: t.Mapping[str, frozenset[str]] = {
    "ReplicaSet": frozenset(("Deployment",)),
    "ControllerRevision": frozenset(("StatefulSet", "DaemonSet")),
}
# Of these nothing is needed, and they are large.
_NOT_OF_REVISIONS = ("metadata.managedFields", "spec.template.spec.containers", "data.spec.template.spec.containers")


def look(options: Options, found: Raw, run: Run) -> t.Iterator[Look]:
    """At the workloads themselves, whose metadata tells what was changed, at what nodes there are, and where the logs
    of NMI are."""
    for kind in _kinds(found):
        arguments = {"api_version": switching.KINDS[kind], "kind": kind}
        yield Look(_look_name(kind), "kubernetes_object_info", arguments)
    if CANARY in phases(options, run):
        yield Look("nodes", "kubernetes_object_info", {"kind": "Node"}, tolerates=lambda _failed: True)
    if SWITCH in phases(options, run) and _has_owners(options, found):
        for kind, of in _REVISIONS.items():
            if of.intersection(_kinds(found)):
                wanted = {"api_version": "apps/v1", "kind": kind, "hidden_fields": list(_NOT_OF_REVISIONS)}
                yield Look(f"revisions: {kind}", "kubernetes_object_info", wanted, tolerates=lambda _failed: True)
    if SOAK in phases(options, run):
        yield Look("nmi", "nmi_info", tolerates=lambda _failed: True)
    cluster = found.get("cluster") or {}
    if CREDENTIAL in phases(options, run) and cluster.get("name"):
        arguments = cluster_arguments(cluster)
        yield Look("scale_sets", "vmss_identity_info", arguments, in_cluster=False, tolerates=lambda _failed: True)


def _has_owners(options: Options, found: Raw) -> bool:
    """Whether somebody else may change a workload, or has."""
    return options.mode == rendering.RENDER or any(
        (each.get("owner") or {}).get("kind") for each in found["info"]["templates"]
    )


# work


def work(options: Options, found: Found, run: Run) -> Work:
    """What the run does. Raises Refused where options name what is not there."""
    accounts = {(each["namespace"], each["name"]): each for each in found.info["service_accounts"]}
    every = []
    for template in found.info["templates"]:
        if stages.moves(template):
            old, new = (
                accounts.get((template["namespace"], template[name])) or {}
                for name in ("service_account", "new_service_account")
            )
            told, bindings = str(new.get("client_id") or ""), old.get("bindings") or ()
            raw, renders = found.raw(template), options.mode == rendering.RENDER
            former = workload_identity_rendering.former(raw, found.revisions)
            owner = Owner(**new["owner"]) if new else Owner()
            one = Mover.of(template, raw, told, bindings, former, found.info["consumers"], owner, renders=renders)
            every.append(replace(one, nodes=_nodes(raw, found)))
    refuse(unknown(options, every))
    chosen = [one for one in every if in_scope(options, one)]
    others = [one for one in every if not in_scope(options, one)]
    ran = phases(options, run)
    given = frozenset(trusted for one in every if one.identities for trusted in _trusted(one))
    closed = [_placed(_at_gate(one, options, found, given) if one.goes else one, ran) for one in chosen]
    movers = _waved(options, stages.together(closed, others))
    needing = (*_needing(options, found.info, chosen, run), *_unused(options, found.info, every))
    made = _listed(Work(ran, movers, others=needing), options)
    refuse(_without_azure(made, found))
    return replace(
        made,
        azure=tuple(_azure(made, found)),
        graph=tuple(_in_graph(made)),
        kubernetes=tuple(_in_cluster(made, found, run)),
    )


def unknown(options: Options, every: t.Sequence[Mover]) -> t.Iterator[str]:
    """Names in options that are those of nothing."""
    for pattern in options.workloads:
        if not any(fnmatch.fnmatchcase(one.key, pattern) for one in every):
            yield (
                f"{PREFIX}_workloads has {pattern}, which is no workload that moves; name one of the plan, as "
                "NAMESPACE/KIND/NAME."
            )
    for name in options.identities:
        if not any(_has_identity(one, name) for one in every):
            yield f"{PREFIX}_identities has {name}, which no workload that moves gets; name it as the plan does."


def in_scope(options: Options, one: Mover) -> bool:
    named = not options.workloads or any(fnmatch.fnmatchcase(one.key, each) for each in options.workloads)
    return named and (not options.identities or any(_has_identity(one, each) for each in options.identities))


def _has_identity(one: Mover, name: str) -> bool:
    """``name``: of the identity in Azure, its resource id, the client id of an application, or that of its
    AzureIdentity, with namespace or without."""
    ids = list(map(holder, one.credentials))
    in_azure = [*ids, *map(arm_id.last_segment, ids)]
    return arm_id.normal(name) in in_azure or any(name in (each, each.rpartition("/")[2]) for each in one.identities)


def holder(trust: Raw) -> str:
    """What tells apart who has to trust."""
    return key_of(str(trust["identity_id"]), str(trust["app_id"]))


_Trusted = tuple[tuple[str, str], str]


def _trusted(one: Mover) -> t.Iterator[_Trusted]:
    """Its service account with each managed identity or application that has to trust it and does not."""
    for each in one.credentials:
        if each["state"] in (MISSING, MISSPELLED):
            yield one.group, holder(each)


def _at_gate(one: Mover, options: Options, found: Found, given: t.Container[_Trusted]) -> Mover:
    """Stopped where the cluster lacks what nobody said may be enabled, and where it would gain an identity.

    ``given``: what follows from what AAD Pod Identity gives.
    """
    name = found.cluster.get("name") or "the cluster"
    if ISSUER in one.steps and not options.enable_issuer:
        reason = (
            f"{name} has no OIDC issuer. To enable it restarts the API server, changes the issuer of all tokens of "
            f"service accounts, and cannot be undone; {PREFIX}_enable_issuer=true does it."
        )
        return replace(one, state=stages.BLOCKED, next=ISSUER, reason=reason)
    if WEBHOOK in one.steps and not options.enable_webhook:
        reason = (
            f"{name} has no webhook of Workload ID; {PREFIX}_enable_webhook=true enables that of AKS, or install its "
            "chart."
        )
        return replace(one, state=stages.BLOCKED, next=WEBHOOK, reason=reason)
    gained = [trusted for trusted in _trusted(one) if trusted not in given] if CREDENTIAL in one.steps else []
    if gained:
        # Whoever may annotate a service account would choose whose tokens it gets.
        names = shown(listed(sorted({arm_id.last_segment(identity) for _group, identity in gained})))
        reason = (
            f"Only the annotation of its service account names {names}, and AAD Pod Identity does not give that to it; "
            "if it is to have it, write the federated credential by the module federated_identity_credential, or "
            "application_federated_credential for an application, and run this again."
        )
        return replace(one, state=stages.BLOCKED, next=CREDENTIAL, reason=reason)
    unproved = " ".join(
        dict.fromkeys(_why_unproved(each, one, options, found) for _group, each in _trusted(one))
    ).strip()
    if unproved and CREDENTIAL in one.steps:
        return replace(one, state=stages.BLOCKED, next=CREDENTIAL, reason=unproved)
    if CREDENTIAL in one.steps and _was_never_admitted(one, options, found):
        # Whoever may write a workload would choose whose tokens it gets, though none of its pods ever may.
        names = shown(listed(sorted({arm_id.last_segment(each) for _group, each in _trusted(one)})))
        reason = (
            f"No pod of it has ever been admitted with its present template, so nothing proves that it gets {names}; "
            f"start one, or name it in {PREFIX}_workloads as {one.key}."
        )
        return replace(one, state=stages.BLOCKED, next=CREDENTIAL, reason=reason)
    full = [found.overfull[identity] for _group, identity in _trusted(one) if identity in found.overfull]
    if full and CREDENTIAL in one.steps:
        # Before the first of them is written for any cluster.
        reason = " ".join(each.sentence for each in full)
        return replace(one, state=stages.BLOCKED, next=CREDENTIAL, reason=reason)
    closed = [identity for _group, identity in _trusted(one) if _is_closed(identity, options, found)]
    if closed and CREDENTIAL in one.steps:
        # Any tenant may write an AzureIdentity that names it; whether MIC may assign it, Azure alone proves.
        names = shown(listed(sorted(map(arm_id.last_segment, closed))))
        reason = (
            f"No scale set of {name} has {names}, so nothing proves that AAD Pod Identity may give it to this workload"
            f"{f' ({found.unread.rstrip(chr(46))})' if found.unread else ''}; start a pod of it, so that MIC assigns "
            f"it, or name its resource id in {PREFIX}_identities."
        )
        return replace(one, state=stages.BLOCKED, next=CREDENTIAL, reason=reason)
    return one


def _was_never_admitted(one: Mover, options: Options, found: Found) -> bool:
    """Tell whether it needs a credential, the operator does not name it, and its controller tells of no pod."""
    raw = found.raw(vars(one))
    named = one.key in options.workloads
    return bool(list(_trusted(one))) and not named and not (raw and progress.was_admitted(one.kind, raw))


def _is_closed(identity: str, options: Options, found: Found) -> bool:
    """Whether pods of the cluster may not have it at present, as far as is known, and the operator does not name it."""
    if graph_answers.is_app_id(identity):
        return False  # see _why_unproved
    named = any(arm_id.same(identity, each) for each in (*options.identities, *options.replacements.values()))
    return found.carried is not None and identity not in found.carried and not named


def _why_unproved(app_id: str, one: Mover, options: Options, found: Found) -> str:
    """Why an application gets no credential: any tenant may write an AzureIdentity with its client id, and Azure proves
    nothing of it. Empty where the operator says that it is right, and for what is no application."""
    if not graph_answers.is_app_id(app_id):
        return ""
    if app_id not in map(str.lower, options.identities):
        return (
            f"Nothing proves that AAD Pod Identity may give the application {app_id} to this workload, because any "
            "tenant may write an AzureIdentity with its client id; if its workloads are to keep it, name the client id "
            f"in {PREFIX}_identities, or a managed identity that takes its place in {PREFIX}_replacements."
        )
    rows = [
        each for each in found.info["identities"] if not each["identity_id"] and each["client_id"].lower() == app_id
    ]
    names = sorted({name for each in rows for name in each["azure_identities"]})
    if len(names) > 1 and not {*names}.intersection(one.identities, options.identities):
        return (
            f"AzureIdentity {shown(listed(names))} have the client id {app_id}, and whoever wrote one of them may not "
            f"know its secret; name those that are right in {PREFIX}_identities, too, as NAMESPACE/NAME."
        )
    return ""


def _nodes(raw: Raw | None, found: Found) -> tuple[str, ...] | None:
    """Where its pods may come to, one of each pool; None where that is not known, or no node is there at all."""
    if raw is None or not found.nodes:
        return None
    return pools.nodes_to_try(pod_template(raw).get("spec") or {}, found.nodes)


def _placed(one: Mover, ran: t.Container[str]) -> Mover:
    """Stopped where all is ready to try it, and there is no place for that."""
    if CANARY not in ran or one.nodes != () or not _may_be_tried(one):
        return one
    reason = (
        "No node is Ready that its pods may come to, by its nodeSelector, its affinity and its tolerations, so that "
        "Workload ID cannot be tried there; start a node of its pool, and run this again."
    )
    return replace(one, state=stages.BLOCKED, next=CANARY, reason=reason)


def _waved(options: Options, movers: t.Sequence[Mover]) -> tuple[Mover, ...]:
    """Each with its wave. Raises Refused where some of one service account would go in different ones.

    Unset, the first workload goes alone, with those of its service account, and then the others.
    """
    waves: dict[str, int] = {}
    going = [one for one in movers if one.goes and not one.awaits]
    for one in going:
        if options.waves:
            fitting = (
                number
                for number, patterns in enumerate(options.waves)
                if any(fnmatch.fnmatchcase(one.key, pattern) for pattern in patterns)
            )
            waves[one.key] = next(fitting, -1)
        else:
            waves[one.key] = 0 if one.group == going[0].group else 1
    torn = {}
    for one in going:
        mates = {waves[each.key] for each in going if each.group == one.group}
        if len(mates) > 1:
            torn[one.group] = [each.label for each in going if each.group == one.group]
    refuse(
        f"{listed(labels)} are to have ServiceAccount {namespace}/{name}, and none goes without the other; name them "
        f"in one of {PREFIX}_waves."
        for (namespace, name), labels in torn.items()
    )
    return tuple(replace(one, wave=waves.get(one.key, -1)) for one in movers)


def _without_azure(made: Work, found: Found) -> t.Iterator[str]:
    if (made.credentials or made.applications or made.issuer or made.webhook) and not found.cluster.get("name"):
        yield (
            "No cluster is named, so nothing can be changed in Azure; set pod_identity_cluster_name and "
            f"pod_identity_resource_group, or end before that with {PREFIX}_until."
        )


def _listed(made: Work, options: Options) -> Work:
    """With what each phase has to do, by how far the workloads are."""
    failed = [one for one in made.movers if one.failed]
    return replace(
        made,
        issuer=ISSUER in made.phases and any(ISSUER in one.steps for one in made.movers if one.goes),
        webhook=WEBHOOK in made.phases and any(WEBHOOK in one.steps for one in made.movers if one.goes),
        accounts=tuple(_accounts(made)) if ACCOUNT in made.phases else (),
        credentials=tuple(_credentials(made)) if CREDENTIAL in made.phases else (),
        applications=tuple(_of_applications(made)) if CREDENTIAL in made.phases else (),
        canaries=tuple(_canaries(made, options)) if CANARY in made.phases else (),
        waves=tuple(_changes(made, options)) if SWITCH in made.phases else (),
        soaking=tuple(_soaking(made)) if SOAK in made.phases else (),
        soak_timeout=options.soak_seconds + _LATE_SECONDS if LEAVE in made.phases else 0,
        leaving=tuple(_leaving(made, options)) if LEAVE in made.phases else (),
        left=tuple(_left(made, options)) if LEAVE in made.phases else (),
        rendering=tuple(one.key for one in made.movers if _is_rendered(one, made, options)),
        may_finish=FINISH in made.phases
        and bool(made.movers)
        and not made.others
        and all(map(_may_leave, made.movers)),
        finishes=FINISH in made.phases
        and any(one.state == stages.LEFT for one in made.movers)
        and not any(one.predicted for one in made.movers)
        and not _why_not_finished(made),
        rows=tuple(_row(one, made, options) for one in made.movers),
        message=" ".join(f"{one.label}: {one.reason}" for one in failed),
    )


def _needing(options: Options, info: Raw, chosen: t.Sequence[Mover], run: Run) -> t.Iterator[str]:
    """What of the cluster needs AAD Pod Identity beside the workloads of this run, or may."""
    if set(run.tags) & set(PHASES):  # which would leave out the phases of the other role
        yield "what a run with --tags does not look at"
    if options.namespaces:
        yield f"what is outside of {PREFIX}_namespaces"
    mine = {one.label for one in chosen}
    for each in info["templates"]:
        label = f"{each['kind']} {each['namespace']}/{each['name']}"
        if label not in mine and (each["selector"] or any(one["stage"] == problem.FINISH for one in each["blocked"])):
            yield label
    for each in info["consumers"]:
        if each["blocks_finish"]:
            yield f"{each['object']} ({each['setting']})"


def _unused(options: Options, info: Raw, every: t.Iterable[Mover]) -> t.Iterator[str]:
    """Bindings that no known workload uses: what does may be of a kind that nobody reads here, and at 0 replicas."""
    former = {each[switching.SELECTOR] for one in every for each in one.earlier}
    for each in info["azure_identity_bindings"]:
        name = f"{each['namespace']}/{each['name']}"
        if not each["workloads"] and each["selector"] not in former and name not in options.unused_bindings:
            yield (
                f"AzureIdentityBinding {name} (no workload that is known uses its selector {each['selector']}; name it "
                f"in {PREFIX}_unused_bindings if none does)"
            )


def _why_not_finished(made: Work) -> str:
    """What needs AAD Pod Identity still; empty where nothing does."""
    staying = [
        one.label
        for one in made.movers
        if one.failed or one.state not in (stages.LEFT, stages.FINISHED) or one.in_the_way(problem.FINISH)
    ]
    needing = [*staying, *made.others]
    return f"{', '.join(needing)} may need AAD Pod Identity, so it stays." if needing else ""


def _may_leave(one: Mover) -> bool:
    """Whether nothing is known by now that keeps it from needing AAD Pod Identity no more."""
    stays = one.in_the_way(problem.LEAVE) or one.in_the_way(problem.FINISH)
    return (one.goes or one.is_switched) and not one.failed and not one.awaits and not stays


def _soaking(made: Work) -> t.Iterator[Raw]:
    for one in made.movers:
        waits = one.state in (stages.SWITCHED, stages.SOAKING) and not one.failed and not one.soaked
        if waits and one.kind in switching.KINDS:
            yield {"kind": one.kind, "namespace": one.namespace, "name": one.name}


def _leaving(made: Work, options: Options) -> t.Iterator[Change]:
    for one in made.movers:
        ready = one.state == stages.SOAKING and one.soaked and not one.failed
        if ready and not one.in_the_way(problem.LEAVE) and not _is_left_to_owner(one, options):
            yield _change(one, options)


def _left(made: Work, options: Options) -> t.Iterator[Canary]:
    """Those that have left, in this run or in one that may have ended before the proof."""
    for one in made.movers:
        if _is_unproved(one):
            yield Canary(_question(one, options), one.key)


def _is_unproved(one: Mover) -> bool:
    """Whether it has left, by a change of this collection or of its owner, and a token of it is still to be seen."""
    has_moved = one.mark or one.soaked or one.may_have_been_served
    return one.state == stages.LEFT and has_moved and not one.proved and not one.failed


def _is_left_to_owner(one: Mover, options: Options) -> bool:
    return one.renders or (bool(one.owner) and not options.override_owner)


def _is_rendered(one: Mover, made: Work, options: Options) -> bool:
    """Whether its owner gets files: once what they need is there and tried, and again once it may leave."""
    if options.mode == rendering.PATCH or not options.directory or not _is_left_to_owner(one, options):
        return False
    if one.failed or workload_identity_rendering.manifest(one, options.soak_seconds) is None:
        return False
    if workload_identity_rendering.leaves(one):
        return LEAVE in made.phases and not one.in_the_way(problem.LEAVE)
    return one.state == stages.AWAITING_OWNER and {CANARY, SWITCH} <= set(made.phases)


def _of_owner(one: Mover, made: Work, options: Options) -> str:
    """What its owner has merged, and where the rest is."""
    said = workload_identity_rendering.said(one) if _is_left_to_owner(one, options) else ""
    if not said:
        return ""
    if _is_rendered(one, made, options):
        return f"{said} It is in {rendering.folder(one.kind, one.namespace, one.name)} of {PREFIX}_directory."
    if options.mode == rendering.PATCH:
        return f"{said} {PREFIX}_mode=auto renders that."
    return said if options.directory else f"{said} Set {PREFIX}_directory to have that as files."


def _row(one: Mover, made: Work, options: Options) -> Row:
    reason, held = one.reason, _held(made.movers)
    if not reason and workload_identity_rendering.leaves(one) and _is_left_to_owner(one, options):
        if one.owner:
            reason = (
                f"It belongs to {one.owner}; take {SELECTOR_LABEL} out where the manifest is written, or set "
                f"{PREFIX}_override_owner=true. "
            )
        return Row(one.label, stages.AWAITING_OWNER, one.next, f"{reason}{_of_owner(one, made, options)}".strip())
    if one.state == stages.AWAITING_OWNER and not one.failed:
        reason = f"{reason} {_of_owner(one, made, options)}".strip()
    if one.state == stages.LEFT and FINISH in made.phases and not one.failed:
        staying = "What goes is known once it has left." if one.predicted else _why_not_finished(made)
        reason = f"{reason} {staying}".strip()
    if not reason and one.state == stages.SWITCHED and one.kind not in switching.KINDS:
        reason = f"What a {one.kind} has is not changed by this role; make it anew without {SELECTOR_LABEL}."
    if one.soaked and options.soak_seconds < LIFE_SECONDS:
        reason = f"{reason} Its soak was shortened to {options.soak_seconds} seconds.".strip()
    if not reason and one.goes and one.state == stages.CANARY:
        if one.wave < 0:
            reason = f"No wave of {PREFIX}_waves names it."
        elif held is not None and one.wave > held:
            reason = f"Wave {held + 1} has failed, so that wave {one.wave + 1} was not begun."
    return Row(one.label, one.state, one.next, " ".join(filter(None, (reason, one.refused))))


_BEFORE_ACCOUNT = frozenset((ISSUER, WEBHOOK))


def _accounts(made: Work) -> t.Iterator[Account]:
    """One that is made is looked at until it serves: a run that was killed may not have copied all rights."""
    groups: dict[tuple[str, str], list[Mover]] = {}
    for one in made.movers:
        wanted = ACCOUNT in one.steps or one.new_account != one.account
        if one.goes and wanted and not _BEFORE_ACCOUNT.intersection(one.steps) and one.state != stages.CANARY:
            groups.setdefault(one.group, []).append(one)
    for (namespace, name), movers in groups.items():
        first = movers[0]
        yield Account(
            namespace,
            name,
            client_id=first.client_id,
            like=first.account if first.account != name else "",
            override_client_id=bool(first.told) and first.told.lower() != first.client_id.lower(),
            movers=tuple(one.key for one in movers),
        )


def _credentials(made: Work) -> t.Iterator[Credentials]:
    for identity, _tenant, entries, movers in _to_trust(made, "identity_id"):
        yield Credentials(identity, entries, movers)


def _of_applications(made: Work) -> t.Iterator[OfApplication]:
    for app_id, tenant, entries, movers in _to_trust(made, "app_id"):
        yield OfApplication(app_id, tenant, entries, movers)


def _to_trust(made: Work, kind: str) -> t.Iterator[tuple[str, str, tuple[Raw, ...], tuple[str, ...]]]:
    """Of the workloads whose accounts are there; Entra is asked with tokens of these.

    ``kind``: the key of those who are to have the credentials, ``identity_id`` or ``app_id``. Yields who that is, its
    tenant, the credentials, and whom they are for.
    """
    before = _BEFORE_ACCOUNT | {ACCOUNT}
    wanted: dict[str, dict[str, Raw]] = {}
    movers: dict[str, dict[str, None]] = {}
    tenants: dict[str, str] = {}
    for one in made.movers:
        if not one.goes or CREDENTIAL not in one.steps or before.intersection(one.steps):
            continue
        for each in one.credentials:
            issuer = each["issuer"] or (KNOWN_AFTER_APPLY if ISSUER in one.predicted else "")
            if each["state"] not in (MISSING, MISSPELLED) or not issuer or not each[kind]:
                continue
            who = each[kind]
            tenants[who] = each["tenant_id"]
            entry = {
                "name": credential_name(each) if each["issuer"] else KNOWN_AFTER_APPLY,
                "issuer": issuer,
                "namespace": one.namespace,
                "service_account": one.new_account,
                "audiences": [each["audience"]],
            }
            wanted.setdefault(who, {})[each["subject"]] = entry
            movers.setdefault(who, {})[one.key] = None
    for who, entries in wanted.items():
        yield who, tenants[who], tuple(entries.values()), tuple(movers[who])


def credential_name(trust: Raw) -> str:
    """Of a credential that is ours, by which it is known again: no other is removed."""
    text = "|".join((trust["issuer"], trust["subject"], trust["audience"]))
    return f"azureops-{uuid.uuid5(uuid.NAMESPACE_URL, text)}"


def _canaries(made: Work, options: Options) -> t.Iterator[Canary]:
    for one in made.movers:
        if _may_be_tried(one):
            for node in one.nodes or ("",):
                yield Canary({**_question(one, options), **({"node": node} if node else {})}, one.key)


def _may_be_tried(one: Mover) -> bool:
    return one.goes and not set(one.steps) - {SWITCH} and one.state != stages.CANARY


def _question(one: Mover, options: Options) -> Raw:
    labels = {name: value for name, value in (one.labels or {}).items() if name != SELECTOR_LABEL}
    expect = {"path": WORKLOAD_IDENTITY, **({} if one.own_client_id else {"client_id": one.client_id})}
    return {
        "namespace": one.namespace,
        "service_account": one.new_account,
        "labels": labels,
        "path": WORKLOAD_IDENTITY,
        "expect": expect,
        # For a minute at most.
        "allow_blocked_evictions": True,
        **({"image": options.canary_image} if options.canary_image else {}),
    }


def _changes(made: Work, options: Options) -> t.Iterator[tuple[Change, ...]]:
    """By wave; the later ones wait until none of those before has failed."""
    held = _held(made.movers)
    for wave in range(1 + max((one.wave for one in made.movers), default=-1)):
        ready = [one for one in made.movers if one.wave == wave and one.goes and one.state == stages.CANARY]
        yield tuple(_change(one, options) for one in ready if held is None or wave <= held)


def _held(movers: t.Iterable[Mover]) -> int | None:
    """The first wave of which a workload was not switched as it has to be."""
    failed = [one.wave for one in movers if one.failed and one.state == stages.CANARY]
    return min(failed, default=None)


def _change(one: Mover, options: Options) -> Change:
    return Change(
        namespace=one.namespace,
        kind=one.kind,
        name=one.name,
        service_account=one.new_account if one.new_account != one.account else "",
        # An account that only would tell it does not tell it yet.
        client_id="" if one.own_client_id or one.predicted else one.client_id,
        proxy=one.proxy,
        override_owner=options.override_owner,
        accept_gap=stages.GAP in options.accept,
        wait_timeout=options.rollout_timeout,
        mover=one.key,
        assume_webhook=WEBHOOK in one.predicted,
    )


# permissions


def _azure(made: Work, found: Found) -> t.Iterator[AzureNeed]:
    may = AZURE_PERMISSIONS
    for name, wanted in (("write_issuer", made.issuer), ("write_webhook", made.webhook)):
        if wanted:
            yield AzureNeed(found.cluster["id"], may[name].actions)
    identities = _going_to_trust(made, "identity_id")
    if identities:
        subscription = arm_id.parse(found.cluster["id"]).subscription
        nodes = arm_id.resource_group(subscription, found.cluster["node_resource_group"])
        yield AzureNeed(nodes, may["read_scale_sets"].actions)
    for identity in identities:
        yield AzureNeed(identity, may["write_credentials"].actions)


def _in_graph(made: Work) -> t.Iterator[GraphNeed]:
    for app_id in _going_to_trust(made, "app_id"):
        yield GraphNeed(app_id, GRAPH_PERMISSIONS["write_applications"].permission)


def _going_to_trust(made: Work, kind: str) -> list[str]:
    """Who gets federated credentials in this run if all goes well. ``kind``: the key, ``identity_id`` or ``app_id``."""
    going = [one for one in made.movers if one.goes and CREDENTIAL in one.steps and CREDENTIAL in made.phases]
    needed = (each for one in going for each in one.credentials if each["state"] in (MISSING, MISSPELLED))
    return list(dict.fromkeys(each[kind] for each in needed if each[kind]))


_OF_CANARIES = ("run_probes", "read_probes", "read_services")


def _in_cluster(made: Work, found: Found, run: Run) -> t.Iterator[KubernetesNeed]:
    """Of the namespaces of the workloads that this run does something about."""
    needs: dict[tuple[str, str], None] = {}
    late = [one for one in made.movers if one.goes or one.state == stages.SWITCHED or _is_unproved(one)]
    if SOAK in made.phases and late:
        needs.update(dict.fromkeys(("read_logs", namespace) for namespace in found.nmi))
        needs.update(dict.fromkeys(("read_runs", one.namespace) for one in late if one.kind == soaking.CRON_JOB))
    if LEAVE in made.phases and late:
        needs[("read_assigned", "")] = None
        for one in late:
            if not run.check_mode:
                needs.update(dict.fromkeys((name, one.namespace) for name in _OF_CANARIES))
            if one.kind in CHANGES and one.state != stages.LEFT and not one.renders:
                needs[(CHANGES[one.kind], one.namespace)] = None
    for one in made.movers:
        if not one.goes:
            continue
        if ACCOUNT in made.phases and (ACCOUNT in one.steps or one.new_account != one.account):
            needs[("annotate_accounts", one.namespace)] = None
            if one.new_account != one.account:
                needs.update(dict.fromkeys(_of_own_account(one)))
        if CREDENTIAL in made.phases and CREDENTIAL in one.steps:
            needs[("sign_tokens", one.namespace)] = None
        if CANARY in made.phases and not run.check_mode:
            needs[("read_nodes", "")] = None
            needs.update(dict.fromkeys((name, one.namespace) for name in _OF_CANARIES))
        if SWITCH in made.phases and one.wave >= 0:
            for name in (CHANGES[one.kind], "try_pods") if one.kind in CHANGES else ():
                needs[(name, one.namespace)] = None
    for name, namespace in needs:
        yield KubernetesNeed.of(KUBERNETES_PERMISSIONS[name], namespace)


def _of_own_account(one: Mover) -> t.Iterator[tuple[str, str]]:
    """What it takes to make an account with the rights of the present one."""
    yield "make_accounts", one.namespace
    for name in ("read_roles", "read_role_bindings", "read_cluster_roles", "read_cluster_role_bindings"):
        yield name, ""
    if one.bindings:
        yield "review_access", ""
    for namespace in of_bindings(one.bindings):
        yield ("copy_role_bindings" if namespace else "copy_cluster_role_bindings"), namespace


def of_bindings(labels: t.Iterable[str]) -> t.Iterator[str]:
    """Namespaces of RoleBindings, '' for ClusterRoleBindings; labels as ``RoleBinding shop/reads``."""
    for label in labels:
        kind, _space, place = label.partition(" ")
        yield place.partition("/")[0] if kind == "RoleBinding" else ""


@dataclass(frozen=True)
class Permitted:
    """``azure``, ``graph`` and ``kubernetes``: what was asked for. ``missing``: what of it is not permitted."""

    work: Work
    azure: tuple[Raw, ...]
    graph: tuple[Raw, ...]
    kubernetes: tuple[Raw, ...]
    missing: tuple[Raw, ...]

    @classmethod
    def parse(cls, observed: Raw) -> Permitted:
        known = observed["work"]
        azure, graph, kubernetes = (tuple(known[name]) for name in ("azure", "graph", "kubernetes"))
        return cls(known_work(known), azure, graph, kubernetes, tuple(observed["missing"]))


def permitted(options: Options, found: Permitted, _run: Run) -> Work:
    """The work without those whose identities may not get a credential: they keep none of the others from going on."""
    action = AZURE_PERMISSIONS["write_credentials"].actions[0]
    missing = [each for each in found.missing if each.get("action") == action]
    denied = {arm_id.normal(each["scope"]): str(each["remedy"]) for each in missing}
    movers = stages.together([_denied(one, denied, action) for one in found.work.movers])
    if not any(one.goes for one in movers):
        denied, movers = {}, found.work.movers  # all that is missing is told at once
    needs = (AzureNeed(each["scope"], tuple(each["actions"])) for each in found.azure)
    return replace(
        _listed(replace(found.work, movers=movers), options),
        denied=bool(denied),
        azure=tuple(each for each in needs if arm_id.normal(each.scope) not in denied),
        graph=tuple(GraphNeed(**each) for each in found.graph),
        kubernetes=tuple(map(KubernetesNeed.parse, found.kubernetes)),
    )


def _denied(one: Mover, denied: t.Mapping[str, str], action: str) -> Mover:
    mine = sorted({identity for _group, identity in _trusted(one) if identity in denied})
    if not mine or not one.goes or CREDENTIAL not in one.steps:
        return one
    names = shown(listed([arm_id.last_segment(each) for each in mine]))
    return one.stops(f"{action} is not permitted on the identity {names}. {denied[mine[0]]}")


# progress

# What is next depends on what these really bring, which check mode does not know.
_UNKNOWN_BEFORE = frozenset((ISSUER, WEBHOOK, ACCOUNT, LEAVE))


def known_work(known: Raw) -> Work:
    """As the task before left it; its lists are made anew."""
    return Work(tuple(known["phases"]), tuple(map(Mover.parse, known["movers"])), others=tuple(known["others"]))


@dataclass(frozen=True)
class Progress:
    """What a task has made of the list of a phase. ``results``: by the key of a workload, those of the entries that
    are for it. ``untried``: keys of those whose entries come behind one that has ended the loop. ``failure``: why AAD
    Pod Identity was not removed."""

    work: Work
    phase: str
    results: t.Mapping[str, tuple[Raw, ...]]
    untried: tuple[str, ...] = ()
    failure: str = ""

    @classmethod
    def parse(cls, observed: Raw) -> Progress:
        """Raises Failure where the task has failed as a whole."""
        known, phase, result = observed["work"], observed["phase"], observed["result"]
        if phase in (CANARY, LEFT):
            asked = known["canaries" if phase == CANARY else "left"]
            return cls(known_work(known), phase, *of_canaries(result, asked))
        failure = str(result["msg"]) if phase == FINISH and result.get("failed") else ""
        return cls(known_work(known), phase, *of_entries(result, _entries(known, phase)), failure)


def _entries(known: Raw, phase: str) -> t.Sequence[Raw]:
    """Of the loop of the phase; none where its task is for all workloads at once, and ends the role where it fails."""
    if phase == SWITCH:
        return next(filter(None, known["waves"]), ())  # those before are switched, or hold the others
    lists = {ACCOUNT: "accounts", CREDENTIAL: "credentials", APPLICATION: "applications", LEAVE: "leaving"}
    return known[lists[phase]] if phase in lists else ()


def of_entries(result: Raw, entries: t.Sequence[Raw]) -> tuple[dict[str, tuple[Raw, ...]], tuple[str, ...]]:
    """``result``: of a loop over the entries. Raises Failure where it has not begun."""
    if entries and "results" not in result:
        raise Failure(str(result.get("msg") or "Nothing was tried."))
    found: dict[str, tuple[Raw, ...]] = {}
    untried: dict[str, None] = {}
    results = result.get("results") or ()
    for number, entry in enumerate(entries):
        for key in entry.get("movers") or [entry["mover"]]:
            if number < len(results):
                found[key] = (*found.get(key, ()), results[number])
            else:
                untried[key] = None
    return found, tuple(untried)


def of_canaries(result: Raw, asked: t.Iterable[Raw]) -> tuple[dict[str, tuple[Raw, ...]], tuple[str, ...]]:
    """The same of pod_token_info, which asks for all at once, and may have failed as a whole.

    ``asked_on``: the node that was named for it.
    """
    told = list(result.get("tokens") or ())
    missing: Raw = {"message": result.get("msg") or "Not tried."}
    found: dict[str, tuple[Raw, ...]] = {}
    for number, each in enumerate(asked):
        one = {**told[number], "asked_on": each["question"].get("node") or ""} if number < len(told) else missing
        found[each["mover"]] = (*found.get(each["mover"], ()), one)
    return found, ()


def after_failure(failed: t.Iterable[str]) -> str:
    """Why one was not tried. ``failed``: labels of workloads."""
    return f"It was not tried, because what was done for {listed(sorted(failed))} before it failed."


def advance(options: Options, progress: Progress, run: Run) -> Work:
    """With what the phase has brought; whose entry failed stops, and with it those of its service account."""
    made = progress.work
    if progress.failure:
        return replace(_listed(made, options), message=progress.failure)
    found = {
        key: " ".join(dict.fromkeys(filter(None, (why_failed(progress.phase, each, run) for each in results))))
        for key, results in progress.results.items()
    }
    if progress.phase in _BEFORE_ACCOUNT:  # of the whole cluster
        found = {one.key: "" for one in made.movers if one.goes and progress.phase in one.steps}
    if progress.phase == FINISH:
        found = {one.key: "" for one in made.movers}
    failed = [one.label for one in made.movers if found.get(one.key)]
    found.update(dict.fromkeys(progress.untried, after_failure(failed)))
    movers = []
    for one in made.movers:
        why = found.get(one.key)
        if why is not None:
            unknown = run.check_mode and progress.phase in _UNKNOWN_BEFORE
            predicted = (*one.predicted, *([progress.phase] if unknown else []))
            one = one.stops(why) if why else replace(_done(one, progress.phase), predicted=predicted)
            if progress.phase in (CREDENTIAL, APPLICATION):
                refused = (one.refused, _refused(one, progress.results.get(one.key, ())))
                one = replace(one, refused=" ".join(filter(None, refused)))
        movers.append(_placed(one, made.phases))
    return _listed(replace(made, movers=stages.together(movers)), options)


def _refused(one: Mover, results: t.Iterable[Raw]) -> str:
    """What exchanges of its account were refused, where those that were granted are enough."""
    said = []
    for each in (made for result in results for made in result.get("exchanges") or ()):
        if (each["namespace"], each["service_account"]) == one.group and each["granted"] < each["asked"]:
            codes = listed(tuple(each["codes"]))
            said.append(f"{each['granted']} of {each['asked']} exchanges were granted ({codes}).")
    return " ".join(said)


def why_failed(phase: str, result: Raw, run: Run) -> str:
    """Empty where it did not. What check mode did not verify is not wrong."""
    if result.get("refusals"):
        return f"{'; '.join(map(_refusal, result['refusals']))}."
    if phase not in (CANARY, LEFT):
        began = phase in (SWITCH, LEAVE) and result.get("failed_action")
        back = f" With {PREFIX}_undo=true it goes back to what it was." if began else ""
        return f"{result['msg']}{back}" if result.get("failed") else ""
    verdict = result.get("verdict") or "not_verified"
    if verdict == "ok" or (run.check_mode and verdict == "not_verified"):
        return ""
    place = f" on node {result['asked_on']}" if result.get("asked_on") else ""
    return f"{verdict}{place}: {result['message']}"


def _refusal(told: Raw) -> str:
    """Why workload_identity_workload writes nothing, with what of this role accepts it."""
    accepts = {"override_owner": f"{PREFIX}_override_owner=true", "accept_gap": f"{PREFIX}_accept=[{told['code']}]"}
    option = accepts.get(told["option"])
    return f"{told['reason']} ({told['code']}{f'; {option} accepts it' if option else ''})"


def _done(one: Mover, phase: str) -> Mover:
    if phase == CANARY:
        reason = one.reason if one.awaits else ""
        return replace(one, state=stages.AWAITING_OWNER if one.awaits else stages.CANARY, next=SWITCH, reason=reason)
    if phase == SWITCH:
        uses = BOTH if one.selector else WORKLOAD_ID
        one = replace(one, steps=(), uses=uses, account=one.new_account, rolling=False, mark=True)
        return one.judged()
    if phase == LEAVE:
        return replace(one, uses=WORKLOAD_ID, selector="").judged()
    if phase in (CREDENTIAL, APPLICATION):
        one = replace(one, credentials=tuple(_written(each, phase) for each in one.credentials))
        return one if any(_trusted(one)) else one.without(CREDENTIAL).judged()
    if phase == LEFT:
        return replace(one, proved=True)
    if phase == FINISH:
        return replace(one, state=stages.FINISHED, next="", reason="")
    return one.without(phase).judged()


def _written(trust: Raw, phase: str) -> Raw:
    """As it is once its holder has the credential."""
    mine = bool(trust["app_id"]) is (phase == APPLICATION) and trust["state"] in (MISSING, MISSPELLED)
    return {**trust, "state": EXISTS} if mine else trust


# soak


@dataclass(frozen=True)
class Soaking:
    """``soaks``: by the key of a workload, as workload_identity_soak_info returns them."""

    work: Work
    soaks: t.Mapping[str, Raw]

    @classmethod
    def parse(cls, observed: Raw) -> Soaking:
        soaks = {f"{each['namespace']}/{each['kind']}/{each['name']}": each for each in observed["looked"]["soaks"]}
        return cls(known_work(observed["work"]), soaks)


def soak(options: Options, found: Soaking, run: Run) -> Work:
    """Who has used Workload ID for long enough; whom NMI gave a token since does not."""
    movers = []
    for one in found.work.movers:
        seen = found.soaks.get(one.key)
        movers.append(_soaked(one, seen, options, run) if seen is not None else one)
    return _listed(replace(found.work, movers=tuple(movers)), options)


# The youngest pod may have been replaced once.
_LATE_SECONDS = 120


def _soaked(one: Mover, seen: Raw, options: Options, run: Run) -> Mover:
    # What would stand in the way of leaving stays told.
    blocked = one.reason if one.in_the_way(problem.LEAVE) else ""
    if not seen["exists"]:
        return one.stops("It was deleted while the run lasted; see who deletes it.")
    if seen["tokens"]:
        last = max(seen["tokens"], key=lambda each: each["last"])
        return one.stops(
            f"NMI gave Pod {last['pod']} a token at {last['last']}, though it is switched: its library does not know "
            "Workload ID, or falls back from it; see what the plan tells of its containers, or bring it back with "
            f"{PREFIX}_undo."
        )
    over = soaking.is_over(Soak.parse(seen), options.soak_seconds)
    if over or run.check_mode:  # which predicts what a run waits for
        told = "" if seen["pods"] or run.check_mode else "No pod of it ran, so that its soak proves nothing."
        return replace(one, state=stages.SOAKING, next=LEAVE, reason=blocked or told, soaked=True)
    reason = seen["unproved"] or (
        f"{seen['seconds']} of {options.soak_seconds} seconds are over, since {seen['covered_since']}."
    )
    return replace(one, state=stages.SOAKING, next=SOAK, reason=reason)


# gone


@dataclass(frozen=True)
class Assigned:
    """``assigned``: namespaces and names of pods in AzureAssignedIdentities. ``pods``: those with the label of AAD Pod
    Identity that there are, by these. ``jobs``: CronJobs by namespace and name of their Jobs."""

    work: Work
    assigned: tuple[tuple[str, str], ...]
    pods: t.Mapping[tuple[str, str], Raw]
    jobs: t.Mapping[tuple[str, str], str]
    began: float

    @classmethod
    def parse(cls, observed: Raw) -> Assigned:
        specs = [each.get("spec") or {} for each in observed["assigned"]["resources"] if _is_of_mic(each)]
        places = sorted({(str(each.get("podNamespace")), str(each.get("pod"))) for each in specs})
        jobs = makers(observed["jobs"].get("resources") or ())
        pods = {sources.place(each): each for each in observed["pods"]["resources"]}
        return cls(known_work(observed["work"]), tuple(places), pods, jobs, float(observed["began"]))

    def former(self, one: Mover) -> tuple[list[str], list[str], list[str]]:
        """Its pods that have an identity of MIC still: those that are gone, those being deleted, those that ended.

        Of a pod that is gone only its name tells whose it was.
        """
        gone: list[str] = []
        going: list[str] = []
        ended: list[str] = []
        for namespace, name in self.assigned:
            if namespace != one.namespace:
                continue
            raw = self.pods.get((namespace, name))
            if raw is None:
                if name == one.name or name.startswith(f"{one.name[:_LONGEST_GENERATED]}-"):
                    gone.append(f"{namespace}/{name}")
            elif not Pod.parse(raw).lives and has_made(one, raw, self.jobs):
                (going if Pod.parse(raw).deleting else ended).append(f"{namespace}/{name}")
        return gone, going, ended


def makers(jobs: t.Iterable[Raw]) -> dict[tuple[str, str], str]:
    """The CronJobs of these Jobs, by their namespaces and names."""
    made_by = ((sources.place(each), *controller(each)) for each in jobs)
    return {place: name for place, kind, name in made_by if kind == soaking.CRON_JOB}


def has_made(one: Mover, pod: Raw, jobs: t.Mapping[tuple[str, str], str]) -> bool:
    """Whether the pod is of the workload, by what controls it. ``jobs``: as ``makers`` tells."""
    kind, name = controller(pod)
    if kind == "Job" and one.kind == soaking.CRON_JOB:
        return jobs.get((one.namespace, name)) == one.name
    return progress.belongs(one.kind, one.name, pod)


# Where they may not be listed, nobody knows which pods a CronJob has made.
LOOK_AT_JOBS = Look(
    "jobs", "kubernetes_object_info", {"api_version": "batch/v1", "kind": "Job"}, tolerates=lambda _failed: True
)


# Names of pods that somebody makes are cut there, before what tells them apart.
_LONGEST_GENERATED = 40


def _is_of_mic(assigned: Raw) -> bool:
    """Whether it lies where MIC puts those of its pod: any tenant may write one that names a pod of another."""
    return assigned["metadata"]["namespace"] in ("default", (assigned.get("spec") or {}).get("podNamespace"))


def look_at_assigned(_options: Options, _found: Raw, _run: Run) -> t.Iterator[Look]:
    kind = {"api_version": "aadpodidentity.k8s.io/v1", "kind": "AzureAssignedIdentity"}
    yield Look("assigned", "kubernetes_object_info", kind)
    yield Look("pods", "kubernetes_object_info", {"kind": "Pod", "label_selectors": [SELECTOR_LABEL]})
    yield LOOK_AT_JOBS


def gone(options: Options, found: Assigned, _run: Run) -> Work:
    """Where MIC has taken every identity from pods that are gone; asked again while it has not, or while pods go.

    From pods that have ended it takes none until somebody deletes them, which keeps nobody from leaving.
    """
    movers, again = [], False
    for one in found.work.movers:
        mine, going, ended = found.former(one) if _is_unproved(one) else ([], [], [])
        again = again or bool(mine or going)
        if going:
            told = f"Its pods {listed(going)} are being deleted and hold their identities until they are gone."
            one = replace(one, reason=" ".join(filter(None, (one.reason, told))))
        if ended:
            told = f"Its pods {listed(ended)} have ended and hold their identities still. {OF_ENDED_PODS}"
            one = replace(one, reason=" ".join(filter(None, (one.reason, told))))
        reason = f"MIC still keeps an identity for {listed(mine)}, which is gone; see whether MIC works."
        movers.append(one.stops(reason) if mine else one)
    made = _listed(replace(found.work, movers=tuple(movers)), options)
    return replace(made, again=again, end=found.began + _GONE_SECONDS)


_GONE_SECONDS = 300
