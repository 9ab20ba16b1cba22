# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""What the playbook migrate tells in the end: the plans of all clusters beside each other, and what only all tell.

And whether it begins with a cluster, where it takes them in batches.
"""

from __future__ import annotations

import typing as t
from collections import Counter
from dataclasses import dataclass

from ..diagnosis.shown import shown
from ..migration import fleet
from ..names import listed
from ..roles.part import Nothing, Part, Raw, Run, refuse

_UNTOLD = "Nothing was found out about it; see what stopped its host."


@dataclass(frozen=True)
class Planned(fleet.Planned):
    """What became of one cluster.

    ``stages``: of its workloads, as the role leaves them. ``failure``: why its run failed; '' where it did not, None
    where it has not ended.
    """

    stages: tuple[Raw, ...] = ()
    failure: str | None = None


@dataclass(frozen=True)
class Found:
    """``cluster``: the one that it is about. ``fails``: whether it fails where something is in the way."""

    cluster: str
    fails: bool
    every: tuple[Planned, ...]

    @classmethod
    def parse(cls, observed: Raw) -> Found:
        rows = zip(observed["clusters"], observed["plans"], observed["stages"], observed["failures"])
        every = tuple(
            Planned(name, plan or {}, tuple(stages or ()), None if failure is False else str(failure))
            for name, plan, stages, failure in rows
        )
        return cls(observed["cluster"], bool(observed["fails"]), every)


@dataclass(frozen=True)
class Begun:
    """It begins with the cluster."""


def begin(_options: Nothing, found: Found, _run: Run) -> Begun:
    """Raises Refused where a cluster of a batch before stands in the way: one that failed, or none that was moved.

    One that could not be looked at stops no other.
    """
    ended = [one for one in found.every if one.failure is not None]
    failed = next((one.cluster for one in ended if one.failure and one.plan), "")
    refuse(
        [f"It was not begun, because cluster {failed}, which comes before it, failed; see why, and run again."]
        if failed
        else []
    )
    if ended and all(one.failure for one in ended):
        names = listed([one.cluster for one in ended])
        refuse([f"It was not begun, because of those before it ({names}) none could be looked at; see why."])
    return Begun()


@dataclass(frozen=True)
class Row:
    """A row of the table of clusters; the numbers are those of workloads, None where there is no plan.

    ``stages``: how many workloads are how far, as text; '' where only the plan was made.
    """

    cluster: str
    ready: int | None
    needs: int | None
    blocked: int | None
    not_looked_at: int | None
    stages: str
    failure: str


@dataclass(frozen=True)
class Overfull:
    """A row of the identities that would need more federated credentials, for all clusters, than Azure takes."""

    identity: str
    credentials: int
    missing: int
    clusters: str


@dataclass(frozen=True)
class Stray:
    """A row of the federated credentials that are for service accounts of none of the clusters."""

    identity: str
    credential: str
    service_account: str
    issuer: str


@dataclass(frozen=True)
class Told:
    """``clusters``: empty where there is one cluster only.

    ``unknown``: what ``strays`` may be besides, because some clusters were not looked at; '' where all were.
    ``message``: why the run fails for this cluster; '' where it does not.
    """

    clusters: tuple[Row, ...]
    identities: tuple[Overfull, ...]
    strays: tuple[Stray, ...]
    unknown: str
    message: str


def tell(_options: Nothing, found: Found, _run: Run) -> Told:
    overfull, several = fleet.overfull(found.every), len(found.every) > 1
    unknown = [one.cluster for one in found.every if not one.issuer]
    return Told(
        clusters=tuple(map(_row, found.every)) if several else (),
        identities=tuple(
            Overfull(shown(one.holder.short), one.used, one.missing, ", ".join(one.clusters)) for one in overfull
        ),
        strays=tuple(map(_stray, fleet.strays(found.every))) if several or not unknown else (),
        unknown=f"Some may be of {listed(unknown)}, whose issuer is not known." if unknown else "",
        message=_message(found, overfull),
    )


def _row(one: Planned) -> Row:
    counts = one.plan.get("summary") or {}
    states = Counter(str(each["state"]) for each in one.stages)
    return Row(
        cluster=one.cluster,
        ready=counts.get("ready"),
        needs=counts.get("needs"),
        blocked=counts.get("blocked"),
        not_looked_at=counts.get("not_looked_at"),
        stages=", ".join(f"{number} {state}" for state, number in states.items()),
        failure=one.failure or ("" if counts else _UNTOLD),
    )


def _stray(one: fleet.Stray) -> Stray:
    return Stray(*map(shown, (one.holder.short, one.credential, one.service_account, one.issuer)))


def _message(found: Found, overfull: t.Iterable[fleet.Overfull]) -> str:
    for one in found.every:
        if one.cluster == found.cluster and one.failure:
            return one.failure
    mine = [one.sentence for one in overfull if found.cluster in one.clusters]
    return " ".join(mine) if found.fails else ""


PARTS: t.Mapping[str, Part[t.Any, t.Any]] = {
    "begin": Part(Nothing, Found, begin),
    "clusters": Part(Nothing, Found, tell),
}
