# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""What leads from a workload to a token: a graph in four columns, each of whose edges goes to the next column."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass
from functools import cached_property

WORKLOAD, SELECTOR, ACCOUNT, IDENTITY, SCALE_SET, CREDENTIAL = (
    *("workload", "selector", "service account"),
    *("identity", "scale set", "federated credential"),
)
COLUMNS: t.Sequence[tuple[str, ...]] = ((WORKLOAD,), (SELECTOR, ACCOUNT), (IDENTITY,), (SCALE_SET, CREDENTIAL))
_COLUMN_OF = {kind: column for column, kinds in enumerate(COLUMNS) for kind in kinds}
# Of an edge: what it stands for is there, should be there, is there with a mistake, or nobody looked.
PRESENT, MISSING, WRONG, UNKNOWN = STATES = ("in place", "missing", "wrong", "not looked at")


class Node(t.NamedTuple):
    """``key``: by which nodes of a kind are told apart. ``where``: what the name is in, such as a namespace."""

    kind: str
    key: str
    name: str
    where: str = ""

    @property
    def column(self) -> int:
        return _COLUMN_OF[self.kind]

    @property
    def full_name(self) -> str:
        """A workload has its kind before it: ``Deployment team/web``."""
        kind, blank, name = self.name.rpartition(" ") if self.kind == WORKLOAD else ("", "", self.name)
        return f"{kind}{blank}{self.where}/{name}" if self.where else self.name


class Edge(t.NamedTuple):
    start: Node
    end: Node
    state: str = PRESENT


@dataclass(frozen=True)
class Graph:
    """At most one edge leads from one node to another."""

    nodes: frozenset[Node] = frozenset()
    edges: frozenset[Edge] = frozenset()

    @classmethod
    def of(cls, nodes: t.Iterable[Node], edges: t.Iterable[Edge]) -> Graph:
        """Of several edges between the same nodes the first counts. Raises ValueError where one leaves out a column."""
        kept: dict[tuple[Node, Node], Edge] = {}
        for edge in edges:
            if edge.end.column != edge.start.column + 1:
                raise ValueError(f"an edge leads from a {edge.start.kind} to a {edge.end.kind}")
            kept.setdefault((edge.start, edge.end), edge)
        ends = (node for edge in kept.values() for node in (edge.start, edge.end))
        return cls(frozenset((*nodes, *ends)), frozenset(kept.values()))

    def around(self, node: Node) -> Graph:
        """The node, and everything on a way that leads through it."""
        before = self._reached(node, self._into, lambda edge: edge.start)
        after = self._reached(node, self._from, lambda edge: edge.end)
        return Graph(
            frozenset(one for edge in before | after for one in (edge.start, edge.end)) | {node},
            frozenset(before | after),
        )

    @cached_property
    def _from(self) -> dict[Node, list[Edge]]:
        return _by(self.edges, lambda edge: edge.start)

    @cached_property
    def _into(self) -> dict[Node, list[Edge]]:
        return _by(self.edges, lambda edge: edge.end)

    @staticmethod
    def _reached(node: Node, edges_at: t.Mapping[Node, list[Edge]], other: t.Callable[[Edge], Node]) -> set[Edge]:
        found: set[Edge] = set()
        turn = {node}
        while turn:  # as often as there are columns
            edges = {edge for one in turn for edge in edges_at.get(one, ())}
            found |= edges
            turn = {other(edge) for edge in edges}
        return found


def _by(edges: t.Iterable[Edge], key: t.Callable[[Edge], Node]) -> dict[Node, list[Edge]]:
    found: dict[Node, list[Edge]] = {}
    for edge in edges:
        found.setdefault(key(edge), []).append(edge)
    return found
