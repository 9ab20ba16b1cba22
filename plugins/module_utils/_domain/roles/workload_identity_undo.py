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
from ..migration import stages
from ..migration.stages import Mover
from ..migration.trust import EXISTS, UNKNOWN
from ..names import listed
from ..needs import AzureNeed, AzurePermission, KubernetesNeed, KubernetesPermission
from ..tokens.token import POD_IDENTITY
from . import workload_identity_phases as phases
from .part import Look, Raw, Run, refuse
from .workload_identity_phases import Change, Options, Row

ORIGINAL = "original"
# What is done one after the other.
WORKLOADS, TOKENS, CREDENTIALS, ACCOUNTS = ("workloads", "tokens", "credentials", "accounts")
_WITH_UNDO = "with `workload_identity_migration_undo`"

PERMISSIONS: t.Mapping[str, AzurePermission | KubernetesPermission] = {
    "delete_credentials": AzurePermission(
        "always",
        f"each identity that trusts a service account of a workload, {_WITH_UNDO}",
        (f"{federated.KIND}/delete",),
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
    """A workload that goes back to NMI. ``state``: ORIGINAL once its template is as it was; ``served``: and NMI has
    given its pods a token. ``reason``: why it stops, or what stays."""

    mover: Mover
    marked: bool
    state: str = ""
    served: bool = False
    reason: str = ""
    failed: bool = False

    @classmethod
    def parse(cls, raw: Raw) -> Returning:
        return cls(**{**raw, "mover": Mover.parse(raw["mover"])})

    @property
    def is_back(self) -> bool:
        return self.served and not self.failed


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
class Undo:
    """What a run that goes back knows; see ``phases.Work``. ``kept``: places of service accounts that others need.

    ``marked``: places of service accounts with our mark.
    """

    movers: tuple[Returning, ...]
    kept: tuple[str, ...] = ()
    marked: tuple[str, ...] = ()
    workloads: tuple[Change, ...] = ()
    questions: tuple[phases.Canary, ...] = ()
    credentials: tuple[Credentials, ...] = ()
    accounts: tuple[Account, ...] = ()
    azure: tuple[AzureNeed, ...] = ()
    kubernetes: tuple[KubernetesNeed, ...] = ()
    rows: tuple[Row, ...] = ()
    message: str = ""


@dataclass(frozen=True)
class Found:
    """As in the phases; ``accounts``: places of those with our mark. ``served``: NMI is in the cluster."""

    of_phases: phases.Found
    accounts: tuple[str, ...]
    served: bool

    @classmethod
    def parse(cls, observed: Raw) -> Found:
        marked = [raw["metadata"] for raw in observed["accounts"]["resources"] if stages.kept_before(raw) is not None]
        return cls(
            phases.Found.parse(observed),
            tuple(f"{each['namespace']}/{each['name']}" for each in marked),
            bool(observed["nmi"]["installations"]),
        )


def look(options: Options, found: Raw, run: Run) -> t.Iterator[Look]:
    """At the objects that have a mark. ``info`` is there already."""
    yield from phases.look(options, found, run)
    yield Look("accounts", "kubernetes_object_info", {"kind": "ServiceAccount"})
    yield Look("nmi", "nmi_info")


def undo(options: Options, found: Found, _run: Run) -> Undo:
    """What goes back. Raises Refused where nobody would serve the pods then."""
    rows = {(each["namespace"], each["name"]): each for each in found.of_phases.info["service_accounts"]}
    every = []
    for template in found.of_phases.info["templates"]:
        if stages.moves(template):
            account = rows.get((template["namespace"], template["new_service_account"])) or {}
            bindings = account.get("bindings") or ()
            every.append(Mover.of(template, found.of_phases.raw(template), bindings=bindings))
    refuse(phases.unknown(options, every))
    chosen = [one for one in every if phases.in_scope(options, one)]
    if any(one.mark for one in chosen) and not found.served:
        refuse(
            [
                "AAD Pod Identity is not in the cluster, so nobody would give the pods their tokens; put it back with "
                "the playbook azureops.pod_identity.restore, and run this again."
            ]
        )
    others = [one for one in every if not phases.in_scope(options, one) and one.has_label]
    made = Undo(
        movers=tuple(map(_returning, chosen)),
        kept=tuple(sorted({_place(one) for one in others})),
        marked=found.accounts,
    )
    made = _listed(made, options)
    return replace(made, azure=tuple(_azure(made)), kubernetes=tuple(_in_cluster(made)))


def _returning(one: Mover) -> Returning:
    if one.mark or not one.has_label:
        return Returning(one, one.mark, served=not one.mark)
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
    waiting = {_place(each.mover) for each in made.movers if not each.is_back}
    free = [each.mover for each in back if _place(each.mover) not in waiting]
    failed = [each for each in made.movers if each.failed]
    return replace(
        made,
        workloads=tuple(_change(each.mover, options) for each in made.movers if each.marked and not each.state),
        questions=tuple(
            phases.Canary(_question(each.mover, options), each.mover.key)
            for each in made.movers
            if each.state == ORIGINAL and not each.served and not each.failed
        ),
        credentials=tuple(_credentials(free)),
        accounts=tuple(_accounts(free, made.marked)),
        rows=tuple(Row(each.mover.label, each.state or each.mover.state, "", each.reason) for each in made.movers),
        message=" ".join(f"{each.mover.label}: {each.reason}" for each in failed),
    )


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
        mover=one.key,
    )


def _question(one: Mover, options: Options) -> Raw:
    return {
        "namespace": one.namespace,
        "selector": one.former_selector or one.selector,
        "path": POD_IDENTITY,
        "expect": {"path": POD_IDENTITY},
        "allow_blocked_evictions": True,
        **({"image": options.canary_image} if options.canary_image else {}),
    }


def _credentials(movers: t.Iterable[Mover]) -> t.Iterator[Credentials]:
    """Those whose names are of this collection."""
    wanted: dict[str, dict[str, None]] = {}
    whose: dict[str, dict[str, None]] = {}
    for one in movers:
        for each in one.credentials:
            if each["state"] == EXISTS and each["credential"].lower() == phases.credential_name(each):
                wanted.setdefault(each["identity_id"], {})[each["credential"]] = None
                whose.setdefault(each["identity_id"], {})[one.key] = None
    for identity, names in wanted.items():
        yield Credentials(identity, tuple({"name": name} for name in names), tuple(whose[identity]))


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
    for each in _credentials(_all_free(made)):
        yield AzureNeed(each.identity_id, t.cast(AzurePermission, PERMISSIONS["delete_credentials"]).actions)


def _in_cluster(made: Undo) -> t.Iterator[KubernetesNeed]:
    needs: dict[tuple[str, str], None] = {}
    for each in made.workloads:
        if each.kind in stages.KINDS:
            needs[(phases.CHANGES[each.kind], each.namespace)] = None
        for name in ("run_probes", "read_probes", "read_services"):
            needs[(name, each.namespace)] = None
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
    """What a task has made of one of the lists, WORKLOADS, TOKENS, CREDENTIALS or ACCOUNTS."""

    undo: Undo
    step: str
    results: tuple[Raw, ...]

    @classmethod
    def parse(cls, observed: Raw) -> Progress:
        known, step, results = observed["work"], observed["step"], observed["results"]
        made = Undo(
            tuple(map(Returning.parse, known["movers"])),
            kept=tuple(known["kept"]),
            marked=tuple(known["marked"]),
        )
        if step == TOKENS:
            results = phases.of_canaries(results, [each["mover"] for each in known["questions"]])
        return cls(made, step, tuple(results))


def undone(options: Options, progress: Progress, run: Run) -> Undo:
    """With what the step has brought. What somebody else has changed stays, and is told."""
    found: dict[str, list[Raw]] = {}
    for result in progress.results:
        item = result.get("item") or result
        for key in item.get("movers") or [item["mover"]]:
            found.setdefault(key, []).append(result)
    movers = tuple(
        _after(each, progress.step, found[each.mover.key], run) if each.mover.key in found else each
        for each in progress.undo.movers
    )
    return _listed(replace(progress.undo, movers=movers), options)


def _after(one: Returning, step: str, results: t.Sequence[Raw], run: Run) -> Returning:
    why = " ".join(filter(None, (_why_failed(step, result, run) for result in results)))
    if why:
        return replace(one, reason=why, failed=True)
    left = [_left(each) for result in results for each in result.get("left") or ()]
    told = " ".join(filter(None, (one.reason, f"Left as somebody else has it: {listed(left)}." if left else "")))
    if step == WORKLOADS:
        stage = results[0]["workload"]["stage"]
        # In check mode nobody is asked.
        served = stage == ORIGINAL and (run.check_mode or not (one.mover.former_selector or one.mover.selector))
        return replace(one, state=stage, served=served, reason=told)
    if step == TOKENS:
        unknown = any(each["state"] == UNKNOWN for each in one.mover.credentials)
        stays = "Its federated credentials were not looked at, and stay: Azure was not asked." if unknown else ""
        return replace(one, served=True, reason=" ".join(filter(None, (told, stays))))
    return replace(one, reason=told)


def _left(each: t.Any) -> str:
    """A field of a template is told as data, other things in a sentence."""
    return (
        f"{each['field']} is {each['now']}, and was {each['was']}" if isinstance(each, dict) else str(each).rstrip(".")
    )


def _why_failed(step: str, result: Raw, run: Run) -> str:
    if step == TOKENS:
        return phases.why_failed(phases.CANARY, result, run)
    if run.check_mode and step == ACCOUNTS and result.get("in_use"):
        return ""  # until its workloads have theirs back
    return str(result.get("msg") or "")
