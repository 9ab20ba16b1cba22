# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The plan of the role workload_identity_migration: what it looks at and tells. Its phase plan changes nothing.

Permissions are not asked for beforehand: the module tells what it could not read, and so does the plan.
"""

from __future__ import annotations

import json
import typing as t
from collections import Counter
from dataclasses import dataclass

from ..azure import arm_id
from ..names import listed
from .part import Look, Nothing, Part, Raw, Run, refuse

_PREFIX = "workload_identity_migration"
# What the module returns that the plan consists of.
KEPT = (*("cluster", "templates", "identities", "service_accounts", "consumers", "gains", "not_looked_at", "summary"),)
_FILE = "plan.json"


@dataclass(frozen=True)
class Options:
    until: str = "plan"
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


# options


@dataclass(frozen=True)
class Checked:
    """``connects``: to the cluster; not where files are looked at."""

    connects: bool


def check(options: Options, _nothing: Nothing, _run: Run) -> Checked:
    refuse(_contradictions(options))
    return Checked(connects=not options.files)


def _contradictions(options: Options) -> t.Iterator[str]:
    for each in options.proxy_workloads:
        if len([part for part in each.split("/") if part]) != 3:
            yield f"{_PREFIX}_proxy_workloads has {each!r}, which is not NAMESPACE/KIND/NAME."
    if options.exchange_samples < 0:
        yield f"{_PREFIX}_exchange_samples is {options.exchange_samples}; give 0 or more."
    if not 0 <= options.exchange_min_rate <= 1:
        yield f"{_PREFIX}_exchange_min_rate is {options.exchange_min_rate}; give at least 0 and at most 1."


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
class Consumer:
    """A row of what takes tokens through pods of others."""

    object: str
    product: str
    subjects: str
    remedy: str


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
        verdict=_verdict(info),
        namespaces=tuple(info["summary"]["namespaces"]),
        workloads=tuple(_workload(each) for each in info["templates"]),
        blocked=tuple(_blockers(info["templates"])),
        consumers=tuple(
            Consumer(each["object"], each["product"], _joined(each["subjects"]), each["remedy"])
            for each in info["consumers"]
            if each["uses"] == "pod_identity"
        ),
        gains=tuple(
            Gain(_short(each["identity"]), _joined(each["service_accounts"]), _joined(each["gained"]))
            for each in info["gains"]
            if each["gained"]
        ),
        not_looked_at=tuple(info["not_looked_at"]),
        message=_failure(options, info),
    )


def _verdict(info: Raw) -> str:
    counts = info["summary"]
    if not counts["templates"]:
        return "No workload gets an identity, so there is nothing to move."
    sentence = (
        f"Of {counts['templates']} workloads {counts['ready']} are ready, {counts['needs']} can move, and something is "
        f"in the way of {counts['blocked']}."
    )
    return f"{sentence} Not all was looked at." if info["not_looked_at"] else sentence


def _workload(each: Raw) -> Workload:
    account, new = each["service_account"], each["new_service_account"]
    return Workload(
        workload=f"{each['kind']} {each['namespace']}/{each['name']}",
        verdict=each["verdict"],
        identity=_joined(one["name"] for one in each["identities"]) or each["client_id"],
        service_account=account if account == new else f"{new} (now {account})",
        steps=_joined(each["steps"]),
    )


def _blockers(templates: t.Iterable[Raw]) -> t.Iterator[Blocker]:
    """Each once, with how many workloads it is in the way of."""
    rows = Counter(
        tuple(each[name] for name in ("object", "code", "stage", "reason", "remedy", "accepted_by"))
        for template in templates
        for each in template["blocked"]
    )
    for (what, code, stage, reason, remedy, accepted_by), workloads in rows.items():
        yield Blocker(what, code, stage, workloads, reason, remedy, accepted_by)


def _failure(options: Options, info: Raw) -> str:
    blocked = [f"{each['namespace']}/{each['name']}" for each in info["templates"] if each["verdict"] == "blocked"]
    if not options.fail_on_blocked or not blocked:
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
    arguments = {
        "namespaces": list(options.namespaces) or None,
        "files": list(options.files) or None,
        "resource_group": cluster.get("resource_group") or None,
        "cluster_name": cluster.get("name") or None,
        "proxy_workloads": list(options.proxy_workloads),
        "accept": list(options.accept),
        "override_owner": options.override_owner,
        "dry_run": options.dry_run and live,
        "exchange_samples": options.exchange_samples if live else 0,
        "exchange_min_rate": options.exchange_min_rate,
    }
    yield Look("info", "workload_identity_info", arguments, in_cluster=live)


PARTS: t.Mapping[str, Part[t.Any, t.Any]] = {
    "options": Part(Options, Nothing, check),
    "plan": Part(Options, Found, plan, _look),
}
