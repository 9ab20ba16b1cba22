# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The way back of the role workload_identity_migration: workloads first, and what they needed once NMI serves them.

What was added is known by the marks of the objects themselves, so that no file of an earlier run is needed.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, replace

from ..azure import federated
from ..diagnosis.shown import shown
from ..installation.workload_identity_webhook import USE_LABEL
from ..matching.matching import Pod
from ..migration import mark, stages, switching
from ..migration.soaking import CRON_JOB
from ..migration.stages import Mover
from ..migration.trust import EXISTS, UNKNOWN
from ..names import listed
from ..needs import AzureNeed, AzurePermission, GraphNeed, GraphPermission, KubernetesNeed, KubernetesPermission
from ..tokens.token import AMBIGUOUS, NOT_VERIFIED, POD_IDENTITY
from . import workload_identity_phases as phases
from .part import Look, Raw, Run, refuse
from .workload_identity_phases import LOOK_AT_JOBS, Change, Options, Row

ORIGINAL = "original"
# What is done one after the other.
WORKLOADS, TOKENS, SERVED, CREDENTIALS, APPLICATIONS, ACCOUNTS = (
    *("workloads", "tokens", "served", "credentials", "applications", "accounts"),
)
_UNSERVED = (
    "AAD Pod Identity is not in the cluster, so nobody would give its pods their tokens; put it back with the playbook "
    "azureops.pod_identity.restore, and run this again."
)
_WITH_UNDO = "with `workload_identity_migration_undo`"

PERMISSIONS: t.Mapping[str, AzurePermission | GraphPermission | KubernetesPermission] = {
    "delete_credentials": AzurePermission(
        "always",
        f"each identity that trusts a service account of a workload, {_WITH_UNDO}",
        (f"{federated.KIND}/delete",),
    ),
    "delete_of_applications": GraphPermission(
        "always",
        f"each application that trusts a service account of a workload, and that the caller owns, {_WITH_UNDO}",
        federated.LEAST_OF_APPLICATIONS,
    ),
    "delete_accounts": KubernetesPermission(
        "always", f"the namespace of each workload, {_WITH_UNDO}", "serviceaccounts", ("get", "patch", "delete")
    ),
    "read_makers": KubernetesPermission("always", f"the namespace of each workload, {_WITH_UNDO}", "pods", ("list",)),
    "delete_role_bindings": KubernetesPermission(
        "always",
        f"the namespace of each RoleBinding that was copied, {_WITH_UNDO}",
        "rolebindings",
        ("list", "delete"),
        "rbac.authorization.k8s.io",
    ),
    "delete_cluster_role_bindings": KubernetesPermission(
        "always",
        f"the whole cluster, where a ClusterRoleBinding was copied, {_WITH_UNDO}",
        "clusterrolebindings",
        ("list", "delete"),
        "rbac.authorization.k8s.io",
    ),
}


@dataclass(frozen=True)
class Returning:
    """A workload that goes back to NMI. ``marked``: its template is changed, or its pods are not those of it yet, or
    nobody has seen since that NMI serves them. ``asked``: NMI was asked for a token before its template is changed.

    ``state``: ORIGINAL once its template is as it was; ``served``: and NMI has given its pods a token. ``reason``: why
    it stops, or what stays. ``running``: pods of a CronJob that have Workload ID, and that nobody replaces.
    """

    mover: Mover
    marked: bool
    asked: bool = False
    state: str = ""
    served: bool = False
    reason: str = ""
    failed: bool = False
    running: tuple[str, ...] = ()

    @classmethod
    def parse(cls, raw: Raw) -> Returning:
        return cls(**{**raw, "mover": Mover.parse(raw["mover"]), "running": tuple(raw["running"])})

    @property
    def has_mark(self) -> bool:
        return self.mover.mark or self.mover.unproved

    @property
    def returns(self) -> bool:
        """Whether its template is still to be changed, or looked at."""
        return self.marked and not self.state and not self.failed

    @property
    def is_unsure(self) -> bool:
        """Whether nobody knows that NMI serves it: its pods have had no identity of MIC since it left."""
        return self.returns and not self.asked and bool(self.mover.former_selector) and not self.mover.selector

    @property
    def is_back(self) -> bool:
        return self.served and not self.failed

    @property
    def why(self) -> str:
        stays = (
            f"{listed(self.running)} began with Workload ID, so that its federated credentials and its service account "
            "stay; run this again once that has ended."
        )
        return " ".join(filter(None, (self.reason, stays if self.running else "")))


@dataclass(frozen=True)
class Account:
    """A service account that this collection made or annotated."""

    namespace: str
    name: str
    movers: tuple[str, ...]


@dataclass(frozen=True)
class Credentials:
    """Federated credentials of one identity that go."""

    identity_id: str
    credentials: tuple[Raw, ...]
    movers: tuple[str, ...]


@dataclass(frozen=True)
class OfApplication:
    """The same of one application."""

    app_id: str
    credentials: tuple[Raw, ...]
    movers: tuple[str, ...]


@dataclass(frozen=True)
class Undo:
    """What a run that goes back knows; see ``phases.Work``. ``kept``: places of service accounts that others need.

    ``marked``: places of service accounts with our mark. ``served``: those whose mark goes, since NMI serves them.
    """

    movers: tuple[Returning, ...]
    kept: tuple[str, ...] = ()
    marked: tuple[str, ...] = ()
    workloads: tuple[Change, ...] = ()
    questions: tuple[phases.Canary, ...] = ()
    served: tuple[Change, ...] = ()
    credentials: tuple[Credentials, ...] = ()
    applications: tuple[OfApplication, ...] = ()
    accounts: tuple[Account, ...] = ()
    azure: tuple[AzureNeed, ...] = ()
    graph: tuple[GraphNeed, ...] = ()
    kubernetes: tuple[KubernetesNeed, ...] = ()
    rows: tuple[Row, ...] = ()
    message: str = ""


@dataclass(frozen=True)
class Pods:
    """``pods``: living ones with the label of Workload ID. ``makers``: CronJobs by the places of their Jobs."""

    pods: tuple[Raw, ...]
    makers: t.Mapping[tuple[str, str], str]

    @classmethod
    def parse(cls, observed: Raw) -> Pods:
        living = (raw for raw in observed["pods"]["resources"] if Pod.parse(raw).lives)
        return cls(tuple(living), phases.makers(observed["jobs"].get("resources") or ()))

    def of(self, one: Mover) -> tuple[str, ...]:
        """Labels of its pods that use Workload ID, whatever its template says."""
        mine = (raw for raw in self.pods if raw["metadata"]["namespace"] == one.namespace)
        return tuple(Pod.parse(raw).label for raw in mine if phases.has_made(one, raw, self.makers))


@dataclass(frozen=True)
class Found:
    """As in the phases; ``accounts``: places of those with our mark. ``served``: NMI is in the cluster."""

    of_phases: phases.Found
    accounts: tuple[str, ...]
    served: bool
    pods: Pods

    @classmethod
    def parse(cls, observed: Raw) -> Found:
        marked = [raw["metadata"] for raw in observed["accounts"]["resources"] if mark.read(raw) is not None]
        return cls(
            phases.Found.parse(observed),
            tuple(f"{each['namespace']}/{each['name']}" for each in marked),
            bool(observed["nmi"]["installations"]),
            Pods.parse(observed),
        )


def look(options: Options, found: Raw, run: Run) -> t.Iterator[Look]:
    """At the objects that have a mark. ``info`` is there already."""
    yield from phases.look(options, found, run)
    yield Look("accounts", "kubernetes_object_info", {"kind": "ServiceAccount"})
    yield Look("nmi", "nmi_info")
    yield from _look_at_pods()


def _look_at_pods() -> t.Iterator[Look]:
    yield Look("pods", "kubernetes_object_info", {"kind": "Pod", "label_selectors": [f"{USE_LABEL}=true"]})
    yield LOOK_AT_JOBS


def undo(options: Options, found: Found, _run: Run) -> Undo:
    """What goes back."""
    rows = {(each["namespace"], each["name"]): each for each in found.of_phases.info["service_accounts"]}
    every = []
    for template in found.of_phases.info["templates"]:
        if stages.moves(template):
            account = rows.get((template["namespace"], template["new_service_account"])) or {}
            bindings = account.get("bindings") or ()
            present = rows.get((template["namespace"], template["service_account"])) or {}
            told = str(present.get("client_id") or "")
            every.append(Mover.of(template, found.of_phases.raw(template), told, bindings))
    refuse(phases.unknown(options, every))
    chosen = [one for one in every if phases.in_scope(options, one)]
    out = [one for one in every if not phases.in_scope(options, one)]
    others = [one for one in out if one.has_label or one.unproved or found.pods.of(one)]
    made = Undo(
        movers=tuple(_returning(one, found) for one in chosen),
        kept=tuple(sorted({_place(one) for one in others})),
        marked=found.accounts,
    )
    made = _listed(made, options)
    return replace(made, azure=tuple(_azure(made)), graph=tuple(_in_graph(made)), kubernetes=tuple(_in_cluster(made)))


def _returning(one: Mover, found: Found) -> Returning:
    return replace(_judged(one, found), running=found.pods.of(one) if one.kind == CRON_JOB else ())


def _judged(one: Mover, found: Found) -> Returning:
    ours = one.mark or one.unproved
    if ours or not one.has_label:
        # Brought back without this role, it has no mark, and maybe pods that need what they had.
        marked = ours or (one.kind in switching.KINDS and one.kind != CRON_JOB and bool(found.pods.of(one)))
        # Any tenant may write a mark, which stops nobody else.
        unserved = ours and not found.served
        return Returning(one, marked, served=not marked, reason=_UNSERVED if unserved else "", failed=unserved)
    return Returning(
        one,
        marked=False,
        reason="Its template asks for Workload ID, and not by this collection; take the label out where it was "
        "written, and run this again.",
    )


def _place(one: Mover) -> str:
    return f"{one.namespace}/{one.new_account}"


def _listed(made: Undo, options: Options) -> Undo:
    back = [each for each in made.movers if each.is_back and _place(each.mover) not in made.kept]
    # An account serves all that have it, or none.
    waiting = {_place(each.mover) for each in made.movers if not each.is_back or each.running}
    free = [each.mover for each in back if _place(each.mover) not in waiting]
    failed = [each for each in made.movers if each.failed]
    asked = [
        each
        for each in made.movers
        if each.is_unsure or (each.state == ORIGINAL and not each.served and not each.failed)
    ]
    return replace(
        made,
        workloads=tuple(_change(each.mover, options) for each in made.movers if each.returns and not each.is_unsure),
        questions=tuple(phases.Canary(_question(each, options), each.mover.key) for each in asked),
        served=tuple(_change(each.mover, options) for each in made.movers if each.is_back and each.has_mark),
        credentials=tuple(Credentials(*each) for each in _ours(free, "identity_id")),
        applications=tuple(OfApplication(*each) for each in _ours(free, "app_id")),
        accounts=tuple(_accounts(free, made.marked)),
        rows=tuple(_row(each) for each in made.movers),
        message=" ".join(f"{each.mover.label}: {each.reason}" for each in failed),
    )


def _row(each: Returning) -> Row:
    state = ORIGINAL if each.is_back else each.state or each.mover.state
    return Row(each.mover.label, state, "", each.why)


def _change(one: Mover, options: Options) -> Change:
    return Change(
        namespace=one.namespace,
        kind=one.kind,
        name=one.name,
        service_account="",
        client_id="",
        proxy=False,
        override_owner=options.override_owner,
        accept_gap=stages.GAP in options.accept,
        wait_timeout=options.rollout_timeout,
        mover=one.key,
    )


def _question(each: Returning, options: Options) -> Raw:
    one = each.mover
    return {
        "namespace": one.namespace,
        "selector": one.former_selector or one.selector,
        "path": POD_IDENTITY,
        "expect": {"path": POD_IDENTITY},
        "allow_blocked_evictions": True,
        # As each of its own pods does that ends.
        "allow_detach": each.state == ORIGINAL,
        **({"image": options.canary_image} if options.canary_image else {}),
    }


def _ours(movers: t.Iterable[Mover], kind: str) -> t.Iterator[tuple[str, tuple[Raw, ...], tuple[str, ...]]]:
    """Federated credentials whose names are of this collection, with who has them, and whom they are for.

    ``kind``: the key of who has them, ``identity_id`` or ``app_id``.
    """
    wanted: dict[str, dict[str, None]] = {}
    whose: dict[str, dict[str, None]] = {}
    for one in movers:
        for each in one.credentials:
            ours = each["state"] == EXISTS and each["credential"].lower() == phases.credential_name(each)
            if ours and each[kind]:
                wanted.setdefault(each[kind], {})[each["credential"]] = None
                whose.setdefault(each[kind], {})[one.key] = None
    for identity, names in wanted.items():
        yield identity, tuple({"name": name} for name in names), tuple(whose[identity])


def _accounts(movers: t.Iterable[Mover], marked: t.Container[str]) -> t.Iterator[Account]:
    groups: dict[tuple[str, str], list[str]] = {}
    for one in movers:
        if _place(one) in marked:
            groups.setdefault(one.group, []).append(one.key)
    for (namespace, name), keys in groups.items():
        yield Account(namespace, name, tuple(keys))


def _all_free(made: Undo) -> list[Mover]:
    """Whose credentials and accounts go if all goes well."""
    return [each.mover for each in made.movers if _place(each.mover) not in made.kept]


def _azure(made: Undo) -> t.Iterator[AzureNeed]:
    for identity, _names, _whose in _ours(_all_free(made), "identity_id"):
        yield AzureNeed(identity, t.cast(AzurePermission, PERMISSIONS["delete_credentials"]).actions)


def _in_graph(made: Undo) -> t.Iterator[GraphNeed]:
    for app_id, _names, _whose in _ours(_all_free(made), "app_id"):
        yield GraphNeed(app_id, t.cast(GraphPermission, PERMISSIONS["delete_of_applications"]).permission)


def _in_cluster(made: Undo) -> t.Iterator[KubernetesNeed]:
    needs: dict[tuple[str, str], None] = {}
    for each in (one.mover for one in made.movers if one.returns):
        if each.kind in switching.KINDS:
            needs[(phases.CHANGES[each.kind], each.namespace)] = None
        for name in ("run_probes", "read_probes", "read_services"):
            needs[(name, each.namespace)] = None
    if any(one.mover.kind == CRON_JOB for one in made.movers):
        needs[("read_runs", "")] = None
    for one in _accounts(_all_free(made), made.marked):
        needs[("delete_accounts", one.namespace)] = None
        needs[("read_makers", one.namespace)] = None
    made_for = {(each.mover.namespace, each.mover.new_account): each.mover.bindings for each in made.movers}
    for one in _accounts(_all_free(made), made.marked):
        for namespace in phases.of_bindings(made_for[(one.namespace, one.name)]):
            needs[("delete_role_bindings" if namespace else "delete_cluster_role_bindings", namespace)] = None
    may = {**phases.KUBERNETES_PERMISSIONS, **PERMISSIONS}
    for name, namespace in needs:
        yield KubernetesNeed.of(t.cast(KubernetesPermission, may[name]), namespace)


# progress


@dataclass(frozen=True)
class Progress:
    """What a task has made of one of the lists, named by WORKLOADS and its like; see ``phases.Progress``."""

    undo: Undo
    phase: str
    results: t.Mapping[str, tuple[Raw, ...]]
    untried: tuple[str, ...] = ()
    pods: Pods | None = None

    @classmethod
    def parse(cls, observed: Raw) -> Progress:
        known, phase, result = observed["work"], observed["phase"], observed["result"]
        made = Undo(
            tuple(map(Returning.parse, known["movers"])),
            kept=tuple(known["kept"]),
            marked=tuple(known["marked"]),
        )
        if phase == TOKENS:
            return cls(made, phase, *phases.of_canaries(result, known["questions"]))
        pods = Pods.parse(observed) if "pods" in observed else None
        return cls(made, phase, *phases.of_entries(result, known[phase]), pods)


def look_again(_options: Options, found: Raw, _run: Run) -> t.Iterator[Look]:
    """At what a CronJob has started until its template was brought back."""
    if found["phase"] == WORKLOADS and any(each["kind"] == CRON_JOB for each in found["work"]["workloads"]):
        yield from _look_at_pods()


def undone(options: Options, progress: Progress, run: Run) -> Undo:
    """With what the phase has brought. What somebody else has changed stays, and is told."""
    movers = [
        _after(each, progress.phase, progress.results[each.mover.key], run)
        if each.mover.key in progress.results
        else each
        for each in progress.undo.movers
    ]
    why = phases.after_failure(
        each.mover.label for each in movers if each.failed and each.mover.key in progress.results
    )
    movers = [replace(each, reason=why, failed=True) if each.mover.key in progress.untried else each for each in movers]
    if progress.pods is not None:
        at = progress.pods
        movers = [replace(each, running=at.of(each.mover)) if each.mover.kind == CRON_JOB else each for each in movers]
    return _listed(replace(progress.undo, movers=tuple(movers)), options)


def _after(one: Returning, phase: str, results: t.Sequence[Raw], run: Run) -> Returning:
    before = phase == TOKENS and not one.state
    if before and all((each.get("verdict") or NOT_VERIFIED) == NOT_VERIFIED for each in results):
        return replace(one, asked=True)  # that nobody could ask stops nobody who has to go back
    why = " ".join(filter(None, (_why_failed(phase, result, run) for result in results)))
    if why and before:
        why = f"Its template stays as it is, because NMI would give it no token ({why})"
    if why:
        return replace(one, reason=why, failed=True)
    left = [_left(each) for result in results for each in result.get("left") or ()]
    told = " ".join(filter(None, (one.reason, f"Left as somebody else has it: {listed(left)}." if left else "")))
    if phase == WORKLOADS:
        stage = results[0]["workload"]["stage"]
        # In check mode nobody is asked.
        served = stage == ORIGINAL and (run.check_mode or not (one.mover.former_selector or one.mover.selector))
        return replace(one, state=stage, served=served, reason=told)
    if before:
        return replace(one, asked=True)
    if phase == TOKENS:
        return replace(one, served=True, reason=" ".join(filter(None, (told, _why_trusted(one.mover)))))
    return replace(one, reason=told)


def _why_trusted(one: Mover) -> str:
    """Why federated credentials for its service account stay, or may; '' where all that there are go."""
    if any(each["state"] == UNKNOWN for each in one.credentials):
        return "Its federated credentials were not all read; what was not read stays."
    if one.told and one.told.lower() not in (each["client_id"].lower() for each in one.credentials):
        return (
            f"Its service account told the client id {shown(one.told)}, which is of no AzureIdentity: what that trusts "
            f"was not read, and stays; if {phases.PREFIX}_replacements named it, name it again, and run this again."
        )
    return ""


def _left(each: t.Any) -> str:
    """A field of a template is told as data, other things in a sentence."""
    return (
        f"{each['field']} is {each['now']}, and was {each['was']}" if isinstance(each, dict) else str(each).rstrip(".")
    )


def _why_failed(phase: str, result: Raw, run: Run) -> str:
    if phase == TOKENS and result.get("verdict") == AMBIGUOUS:
        return ""  # NMI served it, and gave it one of several by chance before, too
    return phases.why_failed(phases.CANARY if phase == TOKENS else phase, result, run)
