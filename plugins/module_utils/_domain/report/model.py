# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""A report: what is told of each cluster, ready for pages and for machines. ``build`` makes it of an observation."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from .graph import Graph

# Of a cluster as the diagnosis uses them. Of a workload: something certain is wrong with it; something looks wrong; its
# token was verified, and nothing looks wrong; nothing wrong was found, and no token was verified.
BROKEN, SUSPECT, HEALTHY, UNKNOWN = VERDICTS = ("broken", "suspect", "healthy", "unknown")
WORST_FIRST = (BROKEN, SUSPECT, UNKNOWN, HEALTHY)
UNTOLD = "Nothing was found out about it: see with what its host failed, or run without --limit."
ERROR, WARNING, INFO = SEVERITIES = ("error", "warning", "info")


@dataclass(frozen=True)
class Evidence:
    source: str
    text: str
    time: str


@dataclass(frozen=True)
class Problem:
    """A cause or a finding. ``link``: where its code is explained. ``issues``: other references."""

    severity: str
    code: str
    object: str
    namespace: str
    text: str
    certainty: str
    symptom: str
    remedy: str
    command: str
    because: tuple[str, ...]
    evidence: tuple[Evidence, ...]
    link: str
    issues: tuple[str, ...]

    @property
    def certain(self) -> bool:
        """Whether it makes what it is about broken."""
        return self.severity == ERROR and self.certainty != "possible"

    @property
    def key(self) -> tuple[str, str]:
        """By which it is the same in two reports."""
        return self.code, self.object


@dataclass(frozen=True)
class Workload:
    """``answer``: what NMI answers a request that names no identity. ``phase``: of its migration, '' for none known.

    ``why``: its verdict, in one sentence. ``codes``: of the problems that concern it.
    """

    label: str
    namespace: str
    verdict: str
    why: str
    selector: str
    service_account: str
    pods: int
    identities: tuple[str, ...]
    answer: str
    phase: str
    codes: tuple[str, ...]


@dataclass(frozen=True)
class Identity:
    """A managed identity, or another AzureIdentity. ``names``: of its AzureIdentities. Numbers that nobody looked at
    are None."""

    id: str
    name: str
    client_id: str
    kind: str
    names: tuple[str, ...]
    workloads: int
    assigned: int | None
    scale_sets: tuple[str, ...] | None
    credentials_used: int | None
    credentials_free: int | None


@dataclass(frozen=True)
class Assigned:
    """An AzureAssignedIdentity. ``codes``: of what is wrong with it."""

    name: str
    pod: str
    node: str
    identity: str
    deleting: bool
    codes: tuple[str, ...]


@dataclass(frozen=True)
class Assignments:
    """How many there should be, how many there are, and how many of these are as they should be."""

    computed: int
    live: int
    equal: int


@dataclass(frozen=True)
class Token:
    """``claims``: pairs of names and values, never the token."""

    namespace: str
    pod: str
    node: str
    selector: str
    service_account: str
    identity: str
    path: str
    verdict: str
    message: str
    claims: tuple[tuple[str, str], ...]
    link: str


@dataclass(frozen=True)
class Node:
    """``rules``: what is known of NMI's rules there; '' where nobody looked."""

    name: str
    scale_set: str
    ready: bool | None
    nmi: str
    reason: str
    rules: str


@dataclass(frozen=True)
class Leftover:
    place: str
    what: str
    state: str
    why: str
    code: str
    link: str


@dataclass(frozen=True)
class Blocker:
    stage: str
    code: str
    object: str
    reason: str
    remedy: str


@dataclass(frozen=True)
class Mover:
    """A workload on its way to Workload ID. ``uses``: how it gets tokens now. ``phase``: reached, '' where unknown."""

    label: str
    namespace: str
    verdict: str
    uses: str
    phase: str
    next: str
    why: str
    blockers: tuple[Blocker, ...]


@dataclass(frozen=True)
class Unread:
    source: str
    what: str
    why: str
    needs: str


@dataclass(frozen=True)
class Looked:
    """When a source was observed."""

    source: str
    what: str
    observed_at: str


@dataclass(frozen=True)
class Matrix:
    """How many workloads of a namespace have which of ``VERDICTS``."""

    namespace: str
    counts: tuple[int, ...]


@dataclass(frozen=True)
class Cluster:
    """``others``: number of workloads that have nothing to do with identities. ``codes`` of ``facts``."""

    name: str
    verdict: str
    sentence: str
    failure: str
    observed_at: str
    looked: tuple[Looked, ...]
    rules: tuple[tuple[str, str], ...]
    matrix: tuple[Matrix, ...]
    problems: tuple[Problem, ...]
    workloads: tuple[Workload, ...]
    others: int
    identities: tuple[Identity, ...]
    assignments: Assignments | None
    assigned: tuple[Assigned, ...]
    tokens: tuple[Token, ...]
    nodes: tuple[Node, ...]
    leftovers: tuple[Leftover, ...]
    movers: tuple[Mover, ...]
    phases: tuple[tuple[str, int], ...]
    unread: tuple[Unread, ...]
    graph: Graph

    def count(self, severity: str) -> int:
        return sum(one.severity == severity for one in self.problems)


@dataclass(frozen=True)
class Report:
    verdict: str
    sentence: str
    clusters: tuple[Cluster, ...]

    @property
    def worst(self) -> str:
        """The worst severity of a problem; '' where there is none."""
        found = {one.severity for cluster in self.clusters for one in cluster.problems}
        return next((severity for severity in SEVERITIES if severity in found), "")


@dataclass(frozen=True)
class Difference:
    """``before`` and ``after``: severities of problems, verdicts or phases; '' where there is none."""

    cluster: str
    change: str
    kind: str
    what: str
    before: str
    after: str


@dataclass(frozen=True)
class Since:
    """What differs from an earlier report, and when the oldest of that was observed; '' where nothing was."""

    observed_at: str
    differences: tuple[Difference, ...]

    def of(self, cluster: str) -> Since:
        """The same of one cluster alone."""
        return Since(self.observed_at, tuple(one for one in self.differences if one.cluster == cluster))


def counted(number: int, one: str, several: str = "") -> str:
    """``1 error``, ``2 errors``."""
    return f"{number} {one if number == 1 else several or one + 's'}"


def spoken(parts: t.Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return " and ".join((", ".join(parts[:-1]), parts[-1])) if len(parts) > 1 else "".join(parts)
