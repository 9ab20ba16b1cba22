# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""A report as data, which is what a machine reads, and what a later report is compared with.

``VERSION`` grows when a reader has to change: a key goes, or means something else. docs/report.schema.json
describes it.
"""

from __future__ import annotations

import json
import typing as t
from dataclasses import fields

from .graph import Edge, Graph, Node
from .model import Cluster, Report, Since

VERSION = 1


def as_data(report: Report, since: Since | None = None) -> dict[str, t.Any]:
    """``since``: None without an earlier one."""
    return t.cast("dict[str, t.Any]", json.loads(text(report, since)))


def text(report: Report, since: Since | None = None) -> str:
    """As JSON in a stable order, so that the same observation gives the same text, with a line for each cluster."""
    rest = {"version": VERSION, "verdict": report.verdict, "sentence": report.sentence, "since": since}
    pieces = [_dumps(rest)[:-1], ', "clusters": [']
    for place, one in enumerate(report.clusters):
        pieces += (",\n" if place else "\n", _dumps(one))
    return "".join((*pieces, "\n]}\n"))


def _dumps(value: object) -> str:
    return json.dumps(value, sort_keys=True, default=_plain)


def _plain(value: t.Any) -> object:
    """What JSON has no form for, one level of it: as data, whole clusters take many times the room."""
    if isinstance(value, Graph):
        return [_edge(edge) for edge in sorted(value.edges)]
    found = {each.name: getattr(value, each.name) for each in fields(value)}
    if isinstance(value, Cluster):
        found["ways"] = found.pop("graph")
    return found


def _edge(edge: Edge) -> dict[str, t.Any]:
    return {"from": _node(edge.start), "to": _node(edge.end), "state": edge.state}


def _node(node: Node) -> dict[str, str]:
    return {"kind": node.kind, "name": node.name, "where": node.where}
