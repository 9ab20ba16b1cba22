# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""A report as a page: one file that asks for nothing else.

Ansible renders its own templates without escaping, so the page has an environment of its own, in which everything is
text but the style, the script, and the drawings, which escape their names themselves.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import typing as t
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import jinja2
from markupsafe import Markup

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.migration.plan import BLOCKED, NEEDED, READY
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.migration.stages import FINISHED, LEFT
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.moments import of_epoch
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.report import model
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.report.build import link
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.report.drawing import svg
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.report.graph import (
    IDENTITY,
    WORKLOAD,
    Edge,
    Graph,
    Node,
)
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.tokens.token import OK

TITLE = "Pod identities"
# What the plan of a migration says of a workload. One that has ended it is proved, which a plan does not know.
_PLANNED: t.Mapping[str, str] = {
    READY: "nothing is left to do",
    NEEDED: "steps are left to do",
    BLOCKED: "something is in the way",
}
_FOLDER = Path(__file__).parent / "_report_page"
# The parts of a cluster in the order of the page, with what they need to be there.
_PARTS: tuple[tuple[str, str, t.Callable[[model.Cluster], object]], ...] = (
    ("causes", "What was found", lambda one: one.problems),
    ("workloads", "Workloads", lambda one: one.workloads),
    ("migration", "Migration", lambda one: one.movers),
    ("tokens", "Tokens", lambda one: one.tokens),
    ("identities", "Identities", lambda one: one.identities),
    ("ways", "Ways to a token", lambda one: one.graph.nodes),
    ("assigned", "Assignments", lambda one: one.assignments or one.assigned),
    ("nodes", "Nodes", lambda one: one.nodes),
    ("leftovers", "Leftovers", lambda one: one.leftovers),
    ("looked", "What was looked at", lambda one: True),
)


@dataclass(frozen=True)
class Way:
    """The drawing of workloads and identities that the same ways lead through. ``edges``: the same for its table.
    ``workload``: None for an identity alone, and for a workload that only its migration tells of."""

    id: str
    of: tuple[Node, ...]
    name: str
    drawing: Markup
    edges: tuple[Edge, ...]
    workload: model.Workload | None


@dataclass(frozen=True)
class Shown:
    """A cluster on the page. ``ways_of``: ids of drawings by the keys of what they are about."""

    id: str
    cluster: model.Cluster
    errors: int
    warnings: int
    parts: tuple[tuple[str, str], ...]
    ways: tuple[Way, ...]
    ways_of: t.Mapping[str, str]


def page(
    report: model.Report,
    title: str = "",
    pages: t.Mapping[str, str] = MappingProxyType({}),
    home: str = "",
    since: model.Since | None = None,
) -> str:
    """``pages``: names of the files that have pages of clusters, by the names of these, which this one leaves out and
    leads to. ``home``: that of the file that leads here; '' where none does. ``since``: None without an earlier one."""
    template, style, script = _parts()
    clusters = [
        _shown(number, cluster, alone=cluster.name in pages) for number, cluster in enumerate(report.clusters, start=1)
    ]
    severities = Counter(one.severity for cluster in report.clusters for one in cluster.problems)
    return template.render(
        report=report,
        title=title or TITLE,
        home=home,
        since=since,
        pages={one.id: pages[one.cluster.name] for one in clusters if one.cluster.name in pages},
        clusters=clusters,
        worst_first=sorted(clusters, key=lambda one: model.WORST_FIRST.index(one.cluster.verdict)),
        counts=[(each, _said(each, severities[each]), severities[each]) for each in model.SEVERITIES],
        totals=list(_totals(report)),
        verdicts=model.VERDICTS,
        marked=(*model.VERDICTS, *model.SEVERITIES),
        choices=_choices(report),
        planned=_PLANNED,
        ended=(LEFT, FINISHED),
        policy=policy(style, script),
        style=style,
        script=script,
        link=link,
        said_of=_claim,
    )


@functools.cache
def _parts() -> tuple[jinja2.Template, Markup, Markup]:
    """The template, the style and the script, which all pages have."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style, script = (Markup((_FOLDER / name).read_text(encoding="utf-8")) for name in ("style.css", "script.js"))
    return environment.get_template("page.html.j2"), style, script


def _said(severity: str, count: int) -> str:
    return severity if count == 1 or severity == model.INFO else f"{severity}s"


def _claim(name: str, value: str) -> str:
    """As a person reads it: a time that is a number of seconds in a token."""
    if name in ("iat", "exp") and value.isdecimal() and len(value) < 12:
        return of_epoch(int(value)) or value
    return value


def _totals(report: model.Report) -> t.Iterator[tuple[str, int]]:
    """What stands beside the numbers of problems."""
    yield "workloads", sum(len(one.workloads) for one in report.clusters)
    tokens = [token for one in report.clusters for token in one.tokens]
    if tokens:
        yield f"of {model.counted(len(tokens), 'token')} verified", sum(token.verdict == OK for token in tokens)
    movers = [mover for one in report.clusters for mover in one.movers]
    if any(mover.phase for mover in movers):
        yield f"of {len(movers)} moved", sum(mover.phase in (LEFT, FINISHED) for mover in movers)


def policy(style: str, script: str) -> str:
    """Nothing is loaded, sent or run but this style and this script."""
    return (
        f"default-src 'none'; style-src {_source(style)}; script-src {_source(script)}; base-uri 'none'; "
        "form-action 'none'"
    )


def _source(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _choices(report: model.Report) -> dict[str, list[str]]:
    """What the rows of the page can be filtered by."""
    clusters = report.clusters
    places = {one.namespace for each in clusters for one in each.problems}
    places |= {one.namespace for each in clusters for one in each.workloads}
    places |= {one.namespace for each in clusters for one in each.movers}
    severities = {one.severity for each in clusters for one in each.problems}
    verdicts = {one.verdict for each in clusters for one in each.workloads}
    phases = {one.phase for each in clusters for one in each.workloads}
    phases |= {one.phase for each in clusters for one in each.movers}
    return {
        "namespace": sorted(places - {""}),
        "severity": [each for each in model.SEVERITIES if each in severities],
        "verdict": [each for each in model.VERDICTS if each in verdicts],
        "phase": sorted(phases - {""}),
    }


def _shown(number: int, cluster: model.Cluster, *, alone: bool) -> Shown:
    """``alone``: it has a page of its own, with its drawings."""
    id_ = f"c{number}"
    ways: list[Way] = []
    ways_of: dict[str, str] = {}
    workloads = {f"{one.label} {one.selector}": one for one in cluster.workloads}
    # A workload and an identity that is its alone have one drawing.
    drawn: dict[Graph, list[Node]] = {}
    for kind in () if alone else (WORKLOAD, IDENTITY):
        for node in sorted(one for one in cluster.graph.nodes if one.kind == kind):
            drawn.setdefault(cluster.graph.around(node), []).append(node)
    for place, (graph, of) in enumerate(drawn.items(), start=1):
        name = f"{id_}-way-{place}"
        ways.append(_way(name, of, graph, workloads.get(of[0].key)))
        ways_of.update((node.key, name) for node in of)
    return Shown(
        id=id_,
        cluster=cluster,
        errors=cluster.count(model.ERROR),
        warnings=cluster.count(model.WARNING),
        parts=tuple((key, title) for key, title, there in _PARTS if there(cluster)),
        ways=tuple(ways),
        ways_of=ways_of,
    )


def _way(id_: str, of: t.Sequence[Node], graph: Graph, workload: model.Workload | None) -> Way:
    name = f"Way of {model.spoken([f'{node.kind} {node.full_name}' for node in of])}"
    drawing = Markup(svg(graph, name, f"{id_}-title"))
    edges = sorted(graph.edges, key=lambda edge: (edge.start.column, edge))
    return Way(id_, tuple(of), name, drawing, tuple(edges), workload)
