# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Draws a graph as SVG: a column for each part of the way, the nodes of each ordered so that few edges cross.

The order is that of the barycentre method (Sugiyama, Tagawa, Toda 1981): a node stands where its neighbours in the
column beside it stand on the average. The same graph is always drawn the same.
"""

from __future__ import annotations

import typing as t
import unicodedata
from bisect import bisect_right, insort
from dataclasses import dataclass
from html import escape

from .graph import COLUMNS, STATES, Edge, Graph, Node

# Pixels. Texts are in a fixed-width font, of which a character takes no more than WIDE.
WIDTH, HEIGHT, GAP, BETWEEN, MARGIN = 224, 44, 12, 72, 8
WIDE, INSIDE = 7.3, 10
LONGEST = int((WIDTH - 2 * INSIDE) / WIDE)
_SWEEPS = 4
_HEADING = 24
_CUT = "…"
# Names of classes in the style of the page.
_CLASSES = {state: state.replace(" ", "-") for state in STATES}


@dataclass(frozen=True)
class Box:
    """A node with its upper left corner."""

    node: Node
    x: int
    y: int

    @property
    def entry(self) -> tuple[int, int]:
        """Where edges come in."""
        return self.x, self.y + HEIGHT // 2

    @property
    def exit(self) -> tuple[int, int]:
        return self.x + WIDTH, self.y + HEIGHT // 2


@dataclass(frozen=True)
class Drawing:
    """``headings``: the kinds of nodes of each column, with its x."""

    width: int
    height: int
    headings: tuple[tuple[int, str], ...]
    boxes: tuple[Box, ...]
    edges: tuple[Edge, ...]


def lay_out(graph: Graph) -> Drawing:
    """Columns without nodes are left out at both ends only, so that each edge goes one column further."""
    columns = ordered(graph)
    used = [number for number, column in enumerate(columns) if column] or [0]
    first, last = used[0], used[-1]
    tallest = max(map(len, columns))
    boxes, headings = [], []
    for place, number in enumerate(range(first, last + 1)):
        x = MARGIN + place * (WIDTH + BETWEEN)
        kinds = [kind for kind in COLUMNS[number] if any(node.kind == kind for node in columns[number])]
        if kinds:
            headings.append((x, " or ".join(kinds)))
        above = (tallest - len(columns[number])) * (HEIGHT + GAP) // 2
        for line, node in enumerate(columns[number]):
            boxes.append(Box(node, x, MARGIN + _HEADING + above + line * (HEIGHT + GAP)))
    count = last - first + 1
    return Drawing(
        width=2 * MARGIN + count * WIDTH + (count - 1) * BETWEEN,
        height=2 * MARGIN + _HEADING + tallest * (HEIGHT + GAP) - (GAP if tallest else 0),
        headings=tuple(headings),
        boxes=tuple(boxes),
        edges=tuple(sorted(graph.edges)),
    )


def ordered(graph: Graph) -> list[list[Node]]:
    """The nodes of each column from above, in the best order of some sweeps to and fro; at first by name."""
    columns: list[list[Node]] = [[] for _kinds in COLUMNS]
    for node in sorted(graph.nodes, key=lambda node: (node.where, node.name, node.kind, node.key)):
        columns[node.column].append(node)
    before: dict[Node, list[Node]] = {}
    after: dict[Node, list[Node]] = {}
    for edge in sorted(graph.edges):
        before.setdefault(edge.end, []).append(edge.start)
        after.setdefault(edge.start, []).append(edge.end)
    best, fewest = [list(column) for column in columns], crossings(columns, graph.edges)
    for sweep in range(_SWEEPS):
        if fewest == 0:
            break
        forward = sweep % 2 == 0
        numbers = range(1, len(columns)) if forward else range(len(columns) - 2, -1, -1)
        for number in numbers:
            beside = columns[number - 1 if forward else number + 1]
            columns[number] = _by_barycentre(columns[number], beside, before if forward else after)
        found = crossings(columns, graph.edges)
        if found < fewest:
            best, fewest = [list(column) for column in columns], found
    return best


def _by_barycentre(
    column: t.Sequence[Node], beside: t.Sequence[Node], neighbours: t.Mapping[Node, t.Sequence[Node]]
) -> list[Node]:
    """A node without neighbours stays where it is, as far as the others let it."""
    places = {node: place for place, node in enumerate(beside)}
    wanted: dict[Node, float] = {}
    for place, node in enumerate(column):
        found = [places[one] for one in neighbours.get(node, ())]
        wanted[node] = sum(found) / len(found) if found else float(place)
    return sorted(column, key=lambda node: wanted[node])


def crossings(columns: t.Sequence[t.Sequence[Node]], edges: t.Iterable[Edge]) -> int:
    """How many pairs of edges cross."""
    places = {node: place for column in columns for place, node in enumerate(column)}
    between: dict[int, list[tuple[int, int]]] = {}
    for edge in edges:
        between.setdefault(edge.start.column, []).append((places[edge.start], places[edge.end]))
    count = 0
    for pairs in between.values():
        ends: list[int] = []
        # Those that begin at one node come by their ends, so that none of them counts against another.
        for _start, end in sorted(pairs):
            count += len(ends) - bisect_right(ends, end)
            insort(ends, end)
    return count


def svg(graph: Graph, title: str, name: str) -> str:
    """``title``: read by screen readers. ``name``: a word that no other drawing of the page has.

    All colors are the page's, by classes, so that no style stands in the drawing.
    """
    drawing = lay_out(graph)
    boxes = {box.node: box for box in drawing.boxes}
    lines = [
        f'<svg class="drawing" xmlns="http://www.w3.org/2000/svg" role="img" aria-labelledby="{escape(name)}" '
        f'width="{drawing.width}" height="{drawing.height}" viewBox="0 0 {drawing.width} {drawing.height}">',
        f'<title id="{escape(name)}">{escape(title)}</title>',
    ]
    for x, heading in drawing.headings:
        lines.append(f'<text class="heading" x="{x}" y="{MARGIN + 12}">{escape(heading)}</text>')
    for edge in drawing.edges:
        lines.append(_path(boxes[edge.start], boxes[edge.end], edge.state))
    for box in drawing.boxes:
        lines += _shape(box)
    return "\n".join((*lines, "</svg>"))


def _path(start: Box, end: Box, state: str) -> str:
    (from_x, from_y), (to_x, to_y) = start.exit, end.entry
    half = (from_x + to_x) // 2
    said = f"{start.node.full_name} to {end.node.full_name}: {state}"
    return (
        f'<path class="edge {_CLASSES[state]}" d="M{from_x} {from_y}C{half} {from_y} {half} {to_y} {to_x} {to_y}">'
        f"<title>{escape(said)}</title></path>"
    )


def _shape(box: Box) -> t.Iterator[str]:
    node, x = box.node, box.x + INSIDE
    corner = HEIGHT // 2 if node.kind in COLUMNS[1] else 4
    yield f'<g class="node {node.kind.replace(" ", "-")}"><title>{escape(f"{node.kind} {node.full_name}")}</title>'
    yield f'<rect x="{box.x}" y="{box.y}" width="{WIDTH}" height="{HEIGHT}" rx="{corner}"/>'
    if node.where:
        yield f'<text class="where" x="{x}" y="{box.y + 16}">{escape(fitting(node.where))}</text>'
    yield f'<text class="name" x="{x}" y="{box.y + (33 if node.where else 27)}">{escape(fitting(node.name))}</text></g>'


def fitting(text: str, longest: int = LONGEST) -> str:
    """``text``, with what does not fit left out in the middle: names differ at their ends."""
    if columns_of(text) <= longest:
        return text
    head, tail = "", ""
    left, right = 0, len(text)
    room = longest - len(_CUT)
    while left < right:
        taken = len(head) <= len(tail)
        sign = text[left] if taken else text[right - 1]
        if columns_of(head) + columns_of(tail) + columns_of(sign) > room:
            break
        if taken:
            head, left = head + sign, left + 1
        else:
            tail, right = sign + tail, right - 1
    return f"{head}{_CUT}{tail}"


def columns_of(text: str) -> int:
    """How wide it is in a fixed-width font: East Asian wide characters take two columns."""
    if text.isascii():
        return len(text)
    return sum(2 if unicodedata.east_asian_width(sign) in "WF" else 1 for sign in text)
