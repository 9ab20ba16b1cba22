# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The role workload_identity_migration: its options, and its phase plan, what it looks at and tells.

For the plan permissions are not asked for beforehand: the module tells what it could not read, and so does the plan.
"""

from __future__ import annotations

import json
import typing as t
from collections import Counter
from dataclasses import dataclass, field

from ..azure import arm_id
from ..migration import rendering
from ..migration.stages import ENABLE_ISSUER, NO_ISSUER
from ..names import listed
from ..needs import AzurePermission, GraphPermission, KubernetesNeed, KubernetesPermission
from . import workload_identity_phases as phases
from . import workload_identity_rendering
from . import workload_identity_undo as undo
from .part import Look, Part, Raw, Run, refuse

_PREFIX = "workload_identity_migration"
# What the module returns that the plan consists of.
KEPT = (
    *("cluster", "templates", "ended", "identities", "service_accounts"),
    *("azure_identity_bindings", "consumers", "gains", "not_looked_at", "summary"),
)
_FILE = "plan.json"


@dataclass(frozen=True)
class Options:
    until: str = "plan"
    replacements: t.Mapping[str, str] = field(default_factory=dict)
    namespaces: tuple[str, ...] = ()
    proxy_workloads: tuple[str, ...] = ()
    accept: tuple[str, ...] = ()
    override_owner: bool = False
    dry_run: bool = True
    exchange_samples: int = 3
    exchange_min_rate: float = 0.9
    files: tuple[str, ...] = ()
    directory: str = ""
    fail_on_blocked: bool = False
    enable_issuer: bool = False
    undo: bool = False


@dataclass(frozen=True)
class AllOptions(Options):
    workloads: tuple[str, ...] = ()
    waves: tuple[t.Any, ...] = ()
    rollout_timeout: int = 600
    soak_seconds: int = 7200
    shorten_soak: bool = False
    confirm: str = ""
    mode: str = rendering.AUTO
    unused_bindings: tuple[str, ...] = ()


PERMISSIONS: t.Mapping[str, AzurePermission | GraphPermission | KubernetesPermission] = {
    **phases.PERMISSIONS,
    **undo.PERMISSIONS,
}


# options


@dataclass(frozen=True)
class Named:
    """How the role pod_identity_cluster names the cluster."""

    name: str

    @classmethod
    def parse(cls, observed: Raw) -> Named:
        return cls(str(observed.get("cluster_name") or ""))


@dataclass(frozen=True)
class Checked:
    """``connects``: to the cluster; not where files are looked at. ``changes``: it does more than to plan.

    ``kubernetes``: what the cluster is asked for before anything is known.
    """

    connects: bool
    changes: bool
    kubernetes: tuple[KubernetesNeed, ...]


def check(options: AllOptions, named: Named, run: Run) -> Checked:
    refuse(_contradictions(options, named, run))
    changes = options.undo or options.until != phases.PLAN
    lease = KubernetesNeed.of(phases.KUBERNETES_PERMISSIONS["take_lease"], "default")
    return Checked(connects=not options.files, changes=changes, kubernetes=(lease,) if changes else ())


def _contradictions(options: AllOptions, named: Named, run: Run) -> t.Iterator[str]:
    if options.undo or options.until == phases.PLAN:
        if options.undo and options.files:
            yield f"{_PREFIX}_files are no cluster, in which something could be undone; leave them out."
        return
    if options.files:
        yield f"{_PREFIX}_files are no cluster, in which something could be changed; leave them out, or end with plan."
    if phases.ORDER.index(options.until) >= phases.ORDER.index(phases.CREDENTIAL):
        if options.exchange_samples == 0:
            yield f"{_PREFIX}_exchange_samples is 0, and what nobody has tried is not proved; give 1 or more."
        if options.exchange_min_rate == 0:
            yield f"{_PREFIX}_exchange_min_rate is 0, with which every credential would do; give more than 0."
    if phases.ORDER.index(options.until) >= phases.ORDER.index(phases.SWITCH):
        if options.mode == rendering.RENDER and not options.directory:
            yield f"{_PREFIX}_mode is render, and nothing says where to; set {_PREFIX}_directory."
    yield from _late_contradictions(options, named, run)


def _late_contradictions(options: AllOptions, named: Named, run: Run) -> t.Iterator[str]:
    """About the phases that give up AAD Pod Identity."""
    last = phases.ORDER.index(options.until)
    if (
        last >= phases.ORDER.index(phases.SOAK)
        and options.soak_seconds < phases.LIFE_SECONDS
        and not options.shorten_soak
    ):
        yield (
            f"{_PREFIX}_soak_seconds is {options.soak_seconds}, and a token of a service account lives for at least "
            f"{phases.LIFE_SECONDS} seconds; give as many, or say {_PREFIX}_shorten_soak=true."
        )
    if last >= phases.ORDER.index(phases.LEAVE) and not run.check_mode:
        if not named.name:
            yield "No cluster is named whose workloads would leave AAD Pod Identity; set pod_identity_cluster_name."
        elif options.confirm != named.name:
            yield (
                f"Workloads of cluster {named.name} would leave AAD Pod Identity; to confirm, set "
                f"{_PREFIX}_confirm={named.name}, or look first with --check."
            )


# plan


@dataclass(frozen=True)
class Found:
    """``host``: of the inventory. ``info``: what ``workload_identity_info`` returned."""

    host: str
    info: Raw

    @classmethod
    def parse(cls, observed: Raw) -> Found:
        return cls(observed["host"], {name: observed["info"][name] for name in KEPT})


@dataclass(frozen=True)
class Workload:
    """A row of the table of workloads."""

    workload: str
    verdict: str
    identity: str
    service_account: str
    steps: str


@dataclass(frozen=True)
class Blocker:
    """A row of what is in the way. ``workloads``: how many."""

    object: str
    code: str
    stage: str
    workloads: int
    reason: str
    remedy: str
    accepted_by: str


@dataclass(frozen=True)
class Noted:
    """A row of what a person has to know, though it is in nobody's way."""

    object: str
    code: str
    workloads: int
    reason: str
    remedy: str


@dataclass(frozen=True)
class Consumer:
    """A row of what takes tokens through pods of others."""

    object: str
    product: str
    subjects: str
    state: str
    reason: str
    next: str


@dataclass(frozen=True)
class Gain:
    """A row of who may have an identity that could not before."""

    identity: str
    service_accounts: str
    gained: str


@dataclass(frozen=True)
class Planned:
    """``fact``: what the role leaves. ``text``: of the file at ``path``, which is empty where none is written.

    ``verdict``: one sentence. ``message``: why the role fails; empty where it does not.
    """

    fact: Raw
    path: str
    text: str
    verdict: str
    namespaces: tuple[Raw, ...]
    workloads: tuple[Workload, ...]
    blocked: tuple[Blocker, ...]
    noted: tuple[Noted, ...]
    consumers: tuple[Consumer, ...]
    gains: tuple[Gain, ...]
    not_looked_at: tuple[Raw, ...]
    message: str = ""


def plan(options: Options, found: Found, _run: Run) -> Planned:
    info = found.info
    path = "/".join((options.directory.rstrip("/"), found.host, _FILE)) if options.directory else ""
    return Planned(
        fact=info,
        path=path,
        text=f"{json.dumps(info, indent=2, sort_keys=True)}\n" if path else "",
        verdict=_verdict(info, changes_nothing=not options.undo and not options.files and options.until == phases.PLAN),
        namespaces=tuple(info["summary"]["namespaces"]),
        workloads=tuple(_workload(each) for each in info["templates"]),
        blocked=tuple(_blockers(info["templates"])),
        noted=tuple(_noted(info["templates"])),
        consumers=tuple(
            Consumer(
                each["object"],
                each["product"],
                _joined(each["subjects"]),
                each["state"],
                each["reason"],
                each["next"],
            )
            for each in info["consumers"]
        ),
        gains=tuple(
            Gain(_short(each["identity"]), _joined(each["service_accounts"]), _joined(each["gained"]))
            for each in info["gains"]
            if each["gained"]
        ),
        not_looked_at=tuple(info["not_looked_at"]),
        message=_failure(options, info),
    )


def _verdict(info: Raw, *, changes_nothing: bool) -> str:
    counts = info["summary"]
    if not counts["templates"]:
        return "No workload gets an identity, so there is nothing to move."
    sentence = (
        f"Of {counts['templates']} workloads {counts['ready']} are ready, {counts['needs']} can move, and something is "
        f"in the way of {counts['blocked']}."
    )
    unseen = " Not all was looked at." if info["not_looked_at"] else ""
    then = f" Next: -e {_PREFIX}_until={phases.CANARY}" if counts["needs"] and changes_nothing else ""
    return f"{sentence}{unseen}{then}"


def _workload(each: Raw) -> Workload:
    account, new = each["service_account"], each["new_service_account"]
    return Workload(
        workload=f"{each['kind']} {each['namespace']}/{each['name']}",
        verdict=each["verdict"],
        identity=_joined(map(_identity, each["identities"])) or each["client_id"],
        service_account=account if account == new else f"{new} (now {account})",
        steps=_joined(each["steps"]),
    )


def _identity(each: Raw) -> str:
    return f"{each['name']} (then {_short(each['replacement'])})" if each["replacement"] else str(each["name"])


def _blockers(templates: t.Iterable[Raw]) -> t.Iterator[Blocker]:
    """Each once, with how many workloads it is in the way of."""
    rows = _counted(templates, "blocked", "object", "code", "stage", "reason", "remedy", "accepted_by")
    for (what, code, stage, reason, remedy, accepted_by), workloads in rows.items():
        by = ENABLE_ISSUER if code == NO_ISSUER else accepted_by
        yield Blocker(what, code, stage, workloads, reason, remedy, by)


def _noted(templates: t.Iterable[Raw]) -> t.Iterator[Noted]:
    rows = _counted(templates, "noted", "object", "code", "reason", "remedy")
    for (what, code, reason, remedy), workloads in rows.items():
        yield Noted(what, code, workloads, reason, remedy)


def _counted(templates: t.Iterable[Raw], of: str, *names: str) -> Counter[tuple[str, ...]]:
    """How many workloads have each item of the list ``of``, by these keys of it."""
    return Counter(tuple(each[name] for name in names) for template in templates for each in template[of])


def _failure(options: Options, info: Raw) -> str:
    blocked = [f"{each['namespace']}/{each['name']}" for each in info["templates"] if each["verdict"] == "blocked"]
    if not options.fail_on_blocked or options.undo or not blocked:  # a broken webhook keeps nobody from going back
        return ""
    return (
        f"Something is in the way of {listed(blocked)}: mend what the plan names, or accept it with the option that it "
        f"names, and run the phase plan again; {_PREFIX}_fail_on_blocked makes the role fail here."
    )


def _joined(several: t.Iterable[str]) -> str:
    return ", ".join(several)


def _short(identity: str) -> str:
    """The name of a managed identity, whose id is in the plan."""
    return arm_id.parse(identity).name if identity.startswith("/") else identity


def _look(options: Options, observed: Raw, _run: Run) -> t.Iterator[Look]:
    cluster, live = observed["cluster"], not options.files
    # Whoever says that it may be enabled has accepted that.
    enabled = [NO_ISSUER] if options.enable_issuer and NO_ISSUER not in options.accept else []
    tries = live and not options.undo
    arguments = {
        "namespaces": list(options.namespaces) or None,
        "files": list(options.files) or None,
        "resource_group": cluster.get("resource_group") or None,
        "cluster_name": cluster.get("name") or None,
        "proxy_workloads": list(options.proxy_workloads),
        "accept": [*options.accept, *enabled],
        "override_owner": options.override_owner,
        "replacements": dict(options.replacements),
        "dry_run": options.dry_run and tries,
        "exchange_samples": options.exchange_samples if tries else 0,
        "exchange_min_rate": options.exchange_min_rate,
    }
    yield Look("info", "workload_identity_info", arguments, in_cluster=live)


PARTS: t.Mapping[str, Part[t.Any, t.Any]] = {
    "options": Part(AllOptions, Named, check),
    "plan": Part(Options, Found, plan, _look),
    "work": Part(phases.Options, phases.Found, phases.work, phases.look),
    "permitted": Part(phases.Options, phases.Permitted, phases.permitted),
    "advance": Part(phases.Options, phases.Progress, phases.advance),
    "soak": Part(phases.Options, phases.Soaking, phases.soak),
    "gone": Part(phases.Options, phases.Assigned, phases.gone, phases.look_at_assigned),
    "render": Part(
        workload_identity_rendering.Options, workload_identity_rendering.Found, workload_identity_rendering.render
    ),
    "undo": Part(phases.Options, undo.Found, undo.undo, undo.look),
    "undone": Part(phases.Options, undo.Progress, undo.undone, undo.look_again),
}
