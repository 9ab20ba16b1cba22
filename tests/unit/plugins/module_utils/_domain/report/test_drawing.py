# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re
from collections import Counter
from itertools import combinations
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.diagnosis.shown import shown
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.report import drawing
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.report.graph import (
    ACCOUNT,
    COLUMNS,
    CREDENTIAL,
    IDENTITY,
    MISSING,
    SCALE_SET,
    SELECTOR,
    STATES,
    WORKLOAD,
    Edge,
    Graph,
    Node,
)

SVG = "{http://www.w3.org/2000/svg}"
# What a report lets through of a name that anybody wrote.
NAMES = st.text(max_size=40).map(shown)
POINT = r"(-?[\d.]+) (-?[\d.]+)"


def node(kind: str, name: str, where: str = "") -> Node:
    return Node(kind, f"{where}/{name}", name, where)


WEB, WORKER, WEB_ID, DB_ID = (
    *(node(WORKLOAD, "web", "shop"), node(WORKLOAD, "worker", "shop")),
    *(node(IDENTITY, "web-id", "rg"), node(IDENTITY, "db-id", "rg")),
)
LABEL, OTHER_LABEL = node(SELECTOR, "web", "shop"), node(SELECTOR, "db", "shop")
POOL = node(SCALE_SET, "pool")
SHOP = Graph.of(
    [],
    [
        *(Edge(WEB, LABEL), Edge(WORKER, OTHER_LABEL)),
        *(Edge(LABEL, WEB_ID), Edge(LABEL, DB_ID), Edge(OTHER_LABEL, DB_ID)),
        *(Edge(WEB_ID, POOL), Edge(DB_ID, POOL, MISSING)),
    ],
)


@st.composite
def graphs(draw: Any) -> Graph:
    columns: list[list[Node]] = []
    for column, kinds in enumerate(COLUMNS):
        found = draw(st.lists(st.tuples(st.sampled_from(kinds), NAMES, NAMES), max_size=5))
        columns.append([Node(kind, f"{column}.{n}", name, where) for n, (kind, name, where) in enumerate(found)])
    edges = [
        Edge(start, end, draw(st.sampled_from(STATES)))
        for left, right in zip(columns, columns[1:])
        for start in left
        for end in right
        if draw(st.booleans())
    ]
    return Graph.of([node for column in columns for node in column], edges)


def read(svg: str) -> tuple[Counter[str], Counter[tuple[str, str, str]]]:
    """What a drawing shows: its boxes, and what each of its lines leads from and to, by where they end."""
    root = ElementTree.fromstring(svg)
    boxes: dict[tuple[float, float], str] = {}
    for group in root.iter(f"{SVG}g"):
        title, rect = group.find(f"{SVG}title"), group.find(f"{SVG}rect")
        assert title is not None and rect is not None
        boxes[float(rect.attrib["x"]), float(rect.attrib["y"])] = title.text or ""
    left, right = {}, {}
    for (x, y), name in boxes.items():
        left[x, y + drawing.HEIGHT / 2] = name
        right[x + drawing.WIDTH, y + drawing.HEIGHT / 2] = name
    lines: Counter[tuple[str, str, str]] = Counter()
    for path in root.iter(f"{SVG}path"):
        ends = re.fullmatch(rf"M{POINT}C.* {POINT}", path.attrib["d"])
        assert ends is not None
        x1, y1, x2, y2 = map(float, ends.groups())
        lines[right[x1, y1], left[x2, y2], path.attrib["class"].removeprefix("edge ").replace("-", " ")] += 1
    return Counter(boxes.values()), lines


def label(one: Node) -> str:
    return f"{one.kind} {one.full_name}"


@given(graphs())
def test_a_drawing_shows_the_nodes_and_edges_of_its_graph_and_no_others(graph: Graph) -> None:
    boxes, lines = read(drawing.svg(graph, "title", "d1"))
    assert boxes == Counter(map(label, graph.nodes))
    assert lines == Counter((label(one.start), label(one.end), one.state) for one in graph.edges)


@given(graphs())
def test_nothing_of_a_drawing_covers_anything_or_lies_outside(graph: Graph) -> None:
    laid = drawing.lay_out(graph)
    for box in laid.boxes:
        assert 0 < box.x and box.x + drawing.WIDTH < laid.width
        assert 0 < box.y and box.y + drawing.HEIGHT < laid.height
    for one, other in combinations(laid.boxes, 2):
        assert abs(one.x - other.x) >= drawing.WIDTH or abs(one.y - other.y) >= drawing.HEIGHT + drawing.GAP


@given(graphs())
def test_ordering_adds_no_crossing(graph: Graph) -> None:
    by_name = [
        sorted((one for one in graph.nodes if one.column == column), key=lambda one: (one.where, one.name, one.kind))
        for column in range(len(COLUMNS))
    ]
    ordered = drawing.ordered(graph)
    assert {one for column in ordered for one in column} == graph.nodes
    if len({(one.where, one.name, one.kind) for one in graph.nodes}) == len(graph.nodes):
        assert drawing.crossings(ordered, graph.edges) <= drawing.crossings(by_name, graph.edges)


@given(graphs())
def test_crossings_are_counted_as_they_are_seen(graph: Graph) -> None:
    columns = drawing.ordered(graph)
    places = {one: place for column in columns for place, one in enumerate(column)}
    seen = sum(
        (places[one.start] - places[other.start]) * (places[one.end] - places[other.end]) < 0
        for one, other in combinations(graph.edges, 2)
        if one.start.column == other.start.column
    )
    assert drawing.crossings(columns, graph.edges) == seen


def test_edges_that_cross_by_name_are_disentangled() -> None:
    first, second = node(WORKLOAD, "a"), node(WORKLOAD, "b")
    graph = Graph.of([], [Edge(first, node(ACCOUNT, "z")), Edge(second, node(ACCOUNT, "y"))])
    columns = drawing.ordered(graph)
    assert [[one.name for one in column] for column in columns[:2]] == [["a", "b"], ["z", "y"]]


def test_around_an_identity_is_what_leads_through_it() -> None:
    found = SHOP.around(WEB_ID)
    assert found.nodes == {WEB, LABEL, WEB_ID, POOL}
    assert len(found.edges) == 3
    assert SHOP.around(WORKER).nodes == {WORKER, OTHER_LABEL, DB_ID, POOL}
    assert SHOP.around(node(CREDENTIAL, "alone")).nodes == {node(CREDENTIAL, "alone")}


def test_an_edge_over_a_column_is_refused() -> None:
    with pytest.raises(ValueError, match="from a workload to a identity"):
        Graph.of([], [Edge(WEB, WEB_ID)])


def test_the_same_graph_is_drawn_the_same() -> None:
    again = Graph.of(sorted(SHOP.nodes, reverse=True), sorted(SHOP.edges, reverse=True))
    assert drawing.svg(SHOP, "Shop", "d1") == drawing.svg(again, "Shop", "d1")


def test_wide_characters_take_two_columns() -> None:
    assert [drawing.columns_of(text) for text in ("", "web", "é", "漢字")] == [0, 3, 1, 4]


@given(st.text(max_size=300).map(shown), st.integers(min_value=3, max_value=40))
def test_what_does_not_fit_is_cut_in_the_middle(text: str, longest: int) -> None:
    cut = drawing.fitting(text, longest)
    assert drawing.columns_of(cut) <= longest
    if cut != text:
        head, _cut, tail = cut.partition("…") if "…" not in text else (cut[:1], "", "")
        assert text.startswith(head) and text.endswith(tail)
