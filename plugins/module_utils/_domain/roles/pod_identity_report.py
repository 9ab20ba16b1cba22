# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The plan of the role pod_identity_report: what it looks at in a cluster, and what of it plays have found already."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ..errors import Failure
from ..moments import of_epoch
from ..report import files
from ..report.observation import (
    CARRIERS,
    DIAGNOSIS,
    INSTALLATIONS,
    INVENTORY,
    LEFTOVERS,
    NODES,
    PLAN,
    REMOVAL,
    RULES,
    STAGES,
    VERIFICATION,
)
from .part import Look, Nothing, Part, Raw, Run, cluster_arguments, refuse

_PREFIX = "pod_identity_report"
_LOCALHOST = "localhost"
_WHOLE = "the cluster"
_AGE = "age of "


@dataclass(frozen=True)
class Place:
    target: str = ""
    formats: tuple[str, ...] = ()


@dataclass(frozen=True)
class Options:
    target: str = ""
    formats: tuple[str, ...] = ()
    previous: str = ""
    files: tuple[str, ...] = ()
    log_files: tuple[str, ...] = ()

    @property
    def live(self) -> bool:
        """Whether it looks into a cluster, and not at files."""
        return not self.files


# options


@dataclass(frozen=True)
class Checked:
    """``connects``: to the cluster."""

    connects: bool


def check(options: Options, _nothing: Nothing, _run: Run) -> Checked:
    refuse(_contradictions(options))
    return Checked(options.live)


def check_place(options: Place, _nothing: Nothing, _run: Run) -> Nothing:
    """What playbooks that write a report in the end ask before they begin."""
    refuse(_wrong_place(options.target, options.formats))
    return Nothing()


def _wrong_place(target: str, formats: t.Sequence[str]) -> t.Iterator[str]:
    try:
        files.target(target, formats)
    except Failure as failure:
        yield f"{_PREFIX}_target and {_PREFIX}_formats contradict each other: {failure}"


def _contradictions(options: Options) -> t.Iterator[str]:
    if not options.target:
        yield f"{_PREFIX}_target does not say where the report is written to: name a folder or a file."
    yield from _wrong_place(options.target, options.formats)
    if options.log_files and options.live:
        yield f"{_PREFIX}_log_files needs the objects that its logs are of; name their files with {_PREFIX}_files."


# observed


@dataclass(frozen=True)
class Found:
    """``left``: what plays of this run have found, by the keys of sources. ``looked``: results of modules, by the same,
    with ``msg`` where they failed. ``age``: seconds since the epoch of the oldest file.

    ``failure``: why nothing was looked at; '' where it was. ``now``: in UTC, as a report has it. ``named``: the name of
    the cluster in the options; '' where they have none.
    """

    host: str
    named: str
    cluster: Raw
    now: str
    failure: str
    left: t.Mapping[str, t.Any]
    looked: t.Mapping[str, Raw]
    age: float | None

    @classmethod
    def parse(cls, observed: Raw) -> Found:
        stats = [each["stat"] for name, each in observed.items() if name.startswith(_AGE)]
        return cls(
            host=observed["host"],
            named=str(observed["named"]),
            cluster=observed["cluster"],
            now=observed["now"],
            failure=observed["failure"],
            left=_left(observed),
            looked={name: observed[name] for name in _MODULES if name in observed},
            age=min((float(each["mtime"]) for each in stats if each["exists"]), default=None),
        )


@dataclass(frozen=True)
class Observed:
    """A cluster of the document that the report is made of."""

    name: str
    failure: str
    sources: t.Mapping[str, t.Any]


def observe(options: Options, found: Found, _run: Run) -> Observed:
    at = found.now if options.live or found.age is None else of_epoch(found.age)
    sources: dict[str, t.Any] = {key: {"observed_at": found.now, "result": each} for key, each in found.left.items()}
    for key, result in found.looked.items():
        failure = result.get("failed") and (result.get("msg") or "It failed.")
        sources[key] = {"failure": str(failure)} if failure else {"observed_at": at, "result": result}
    return Observed(_name(found), found.failure, sources)


def _name(found: Found) -> str:
    """The host, which is a cluster; where that says nothing, what the cluster is called."""
    return str(found.cluster.get("name") or found.named or found.host) if found.host == _LOCALHOST else found.host


def _left(observed: Raw) -> dict[str, t.Any]:
    """Facts of the host by the keys of sources, without those that nobody left."""
    left = observed["left"]
    found = {
        DIAGNOSIS: left["diagnosis"] if (left["diagnosis"] or {}).get("scope") == _WHOLE else None,
        VERIFICATION: left["verification"],
        RULES: left["rules"],
        LEFTOVERS: left["leftovers"],
        REMOVAL: left["removal"],
        PLAN: left["plan"],
        STAGES: left["stages"],
    }
    return {key: each for key, each in found.items() if each}


_MODULES: t.Mapping[str, str] = {
    INVENTORY: "pod_identity_info",
    DIAGNOSIS: "pod_identity_diagnosis_info",
    PLAN: "workload_identity_info",
    INSTALLATIONS: "nmi_info",
    NODES: "aks_node_info",
    CARRIERS: "vmss_identity_info",
}
_OF_FILES = (INVENTORY, DIAGNOSIS, PLAN)


def _look(options: Options, observed: Raw, _run: Run) -> t.Iterator[Look]:
    """At nothing that plays have found, and nowhere where nothing is connected.

    What cannot be read of a cluster is told; a file that cannot be read ends the role.
    """
    if observed["failure"]:
        return
    cluster = observed["cluster"]
    named = cluster_arguments(cluster) if options.live and str(cluster.get("id") or "").startswith("/") else {}
    for number, path in enumerate(options.files):
        yield Look(f"{_AGE}{number}", "ansible_builtin", {"module": "stat", "path": path}, in_cluster=False)
    for key, module in _MODULES.items():
        if key in _left(observed) or not (options.live or key in _OF_FILES) or (key == CARRIERS and not named):
            continue
        arguments = {**_arguments(key, options, observed), **(named if key not in (INVENTORY, INSTALLATIONS) else {})}
        tolerates = (lambda _failed: True) if options.live else None
        yield Look(key, module, arguments, in_cluster=options.live and key != CARRIERS, tolerates=tolerates)


def _arguments(key: str, options: Options, observed: Raw) -> dict[str, t.Any]:
    of_files = {} if options.live else {"files": list(options.files)}
    if key == INVENTORY:
        return {"audit": True, **of_files}
    if key == DIAGNOSIS:
        return {"log_files": list(options.log_files), **of_files}
    if key == CARRIERS:
        inventory = observed.get(INVENTORY) or {"failed": True}
        names = ("workloads", "identities", "assigned")
        return {"inventory": None if inventory.get("failed") else {name: inventory[name] for name in names}}
    # What asks the API server about pods needs the right to create them.
    return {"dry_run": False, **of_files} if key == PLAN else {}


PARTS: t.Mapping[str, Part[t.Any, t.Any]] = {
    "options": Part(Options, Nothing, check),
    "place": Part(Place, Nothing, check_place),
    "observed": Part(Options, Found, observe, _look),
}
