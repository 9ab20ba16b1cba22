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
from dataclasses import fields, is_dataclass, replace

from .graph import Edge, Graph, Node
from .model import Cluster, Report, Since

VERSION = 1


def as_data(report: Report, since: Since | None = None) -> dict[str, t.Any]:
    """In a stable order, so that the same observation gives the same text. ``since``: None without an earlier one."""
    return {"version": VERSION, **t.cast("dict[str, t.Any]", _plain(report)), "since": _plain(since)}


def text(report: Report, since: Since | None = None) -> str:
    """The same as JSON, with a line for each cluster: as data, all of them at once take many times the room."""
    clusters = ",\n".join(json.dumps(_plain(one), sort_keys=True) for one in report.clusters)
    rest = as_data(replace(report, clusters=()), since)
    del rest["clusters"]
    return f'{json.dumps(rest, sort_keys=True)[:-1]}, "clusters": [\n{clusters}\n]}}\n'


def _plain(value: object) -> object:
    if isinstance(value, Graph):
        return [_edge(edge) for edge in sorted(value.edges)]
    if is_dataclass(value) and not isinstance(value, type):
        found = {each.name: _plain(getattr(value, each.name)) for each in fields(value)}
        if isinstance(value, Cluster):
            found["ways"] = found.pop("graph")
        return found
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    return value


def _edge(edge: Edge) -> dict[str, t.Any]:
    return {"from": _node(edge.start), "to": _node(edge.end), "state": edge.state}


def _node(node: Node) -> dict[str, str]:
    return {"kind": node.kind, "name": node.name, "where": node.where}
