# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""What the playbook migrate tells in the end: the plans of all clusters beside each other, and what only all tell."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ..azure import arm_id
from ..azure.federated import LIMIT
from ..names import listed
from ..roles.part import Nothing, Part, Raw, Run

_UNTOLD = "Nothing was found out about it; see what stopped its host."


@dataclass(frozen=True)
class Planned:
    """What became of one cluster. ``plan``: as ``workload_identity_info`` returns it, {} where there is none.

    ``failure``: why its run failed; '' where it did not.
    """

    cluster: str
    plan: Raw
    failure: str


@dataclass(frozen=True)
class Found:
    """``cluster``: the one that is told of its failure. ``fails``: whether it fails where something is in the way."""

    cluster: str
    fails: bool
    every: tuple[Planned, ...]

    @classmethod
    def parse(cls, observed: Raw) -> Found:
        rows = zip(observed["clusters"], observed["plans"], observed["failures"])
        every = tuple(Planned(name, plan or {}, str(failure or "")) for name, plan, failure in rows)
        return cls(observed["cluster"], bool(observed["fails"]), every)


@dataclass(frozen=True)
class Row:
    """A row of the table of clusters; the numbers are those of workloads, None where there is no plan."""

    cluster: str
    ready: int | None
    needs: int | None
    blocked: int | None
    not_looked_at: int | None
    failure: str


@dataclass(frozen=True)
class Overfull:
    """A row of the identities that would need more federated credentials, for all clusters, than Azure takes."""

    identity: str
    credentials: int
    missing: int
    clusters: str


@dataclass(frozen=True)
class Told:
    """``clusters``: empty where there is one only. ``message``: why the run fails for this cluster; '' where not."""

    clusters: tuple[Row, ...]
    identities: tuple[Overfull, ...]
    message: str


def tell(_options: Nothing, found: Found, _run: Run) -> Told:
    overfull = tuple(_overfull(found.every))
    return Told(
        clusters=tuple(map(_row, found.every)) if len(found.every) > 1 else (),
        identities=tuple(row for row, _names in overfull),
        message=_message(found, overfull),
    )


def _row(one: Planned) -> Row:
    counts = one.plan.get("summary") or {}
    return Row(
        cluster=one.cluster,
        ready=counts.get("ready"),
        needs=counts.get("needs"),
        blocked=counts.get("blocked"),
        not_looked_at=counts.get("not_looked_at"),
        failure=one.failure or ("" if counts else _UNTOLD),
    )


def _overfull(every: t.Iterable[Planned]) -> t.Iterator[tuple[Overfull, tuple[str, ...]]]:
    """With the clusters. Where one is too many for an identity by itself, its own plan says so."""
    ids: dict[str, str] = {}
    used: dict[str, int] = {}
    # By the issuer, so that what two hosts tell of one cluster counts once; one without an issuer will have its own.
    missing: dict[str, dict[str, int]] = {}
    names: dict[str, dict[str, str]] = {}
    for one in every:
        issuer = (one.plan.get("cluster") or {}).get("issuer") or one.cluster
        for each in one.plan.get("identities") or ():
            if each["credentials_used"] is not None and each["credentials_missing"]:
                key = arm_id.normal(each["identity_id"])
                ids[key] = each["identity_id"]
                used[key] = max(each["credentials_used"], used.get(key, 0))
                missing.setdefault(key, {})[issuer] = each["credentials_missing"]
                names.setdefault(key, {}).setdefault(issuer, one.cluster)
    for key, by_issuer in sorted(missing.items()):
        more, clusters = sum(by_issuer.values()), tuple(sorted(names[key].values()))
        if len(by_issuer) > 1 and used[key] + more > LIMIT:
            yield Overfull(arm_id.last_segment(ids[key]), used[key], more, ", ".join(clusters)), clusters


def _message(found: Found, overfull: t.Iterable[tuple[Overfull, tuple[str, ...]]]) -> str:
    for one in found.every:
        if one.cluster == found.cluster and one.failure:
            return one.failure
    mine = [row.identity for row, clusters in overfull if found.cluster in clusters]
    if not found.fails or not mine:
        return ""
    return (
        f"All clusters together need more federated credentials of {listed(mine)} than the {LIMIT} that Azure takes: "
        "let workloads of a namespace share a service account, remove credentials of clusters that are gone, or use a "
        "second identity."
    )


PARTS: t.Mapping[str, Part[t.Any, t.Any]] = {"clusters": Part(Nothing, Found, tell)}
