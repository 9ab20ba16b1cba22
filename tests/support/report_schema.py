# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The JSON Schema of reports, docs/report.schema.json, made of the dataclasses that reports are made of.

`python tests/readmes.py` writes it.
"""

from __future__ import annotations

import importlib
import inspect
import json
import types
import typing
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

SCHEMA = Path(__file__).resolve().parents[2] / "docs/report.schema.json"
DIALECT = "https://json-schema.org/draft/2020-12/schema"
SIMPLE = {str: "string", int: "integer", bool: "boolean"}
# Of each class the keys with few values.
CHOICES = {
    "verdict": {"Report": "VERDICTS", "Cluster": "VERDICTS", "Workload": "VERDICTS"},
    "severity": {"Problem": "SEVERITIES"},
}


class Schemas:
    """``defs``: of the classes that the report has entries of, by their names."""

    def __init__(self, domain: str) -> None:
        self._model = importlib.import_module(f"{domain}.report.model")
        self._data = importlib.import_module(f"{domain}.report.data")
        self._graph = importlib.import_module(f"{domain}.report.graph")
        self.defs: dict[str, Any] = {}

    def whole(self) -> dict[str, Any]:
        report = self._of_class(self._model.Report)
        since = self._of(self._model.Since | None)
        properties = {"version": {"const": self._data.VERSION}, **report["properties"], "since": since}
        return {
            "$schema": DIALECT,
            "title": "Report of azureops.pod_identity",
            "description": (
                "What the role pod_identity_report writes as JSON. The version grows when a reader has to change: a "
                "key goes, or means something else. Further keys may come at any time."
            ),
            **report,
            "properties": properties,
            "required": list(properties),
            "$defs": dict(sorted(self.defs.items())),
        }

    def _of_class(self, kind: Any) -> dict[str, Any]:
        hints = typing.get_type_hints(kind, vars(importlib.import_module(kind.__module__)))
        properties: dict[str, Any] = {}
        for each in fields(kind):
            if hints[each.name] is self._graph.Graph:
                properties["ways"] = {"type": "array", "items": self._way()}
                continue
            properties[each.name] = self._of(hints[each.name])
            named = CHOICES.get(each.name, {}).get(kind.__name__)
            if named:
                properties[each.name] = {"enum": list(getattr(self._model, named))}
        description = (inspect.getdoc(kind) or "").replace("``", "").replace("\n", " ")
        about = {} if description.startswith(f"{kind.__name__}(") else {"description": description}
        return {"type": "object", **about, "properties": properties, "required": list(properties)}

    def _of(self, hint: Any) -> dict[str, Any]:
        if is_dataclass(hint):
            name = str(getattr(hint, "__name__", ""))
            if name not in self.defs:
                self.defs[name] = {}
                self.defs[name] = self._of_class(hint)
            return {"$ref": f"#/$defs/{name}"}
        if isinstance(hint, types.UnionType):
            return {"anyOf": [{"type": "null"} if each is types.NoneType else self._of(each) for each in hint.__args__]}
        if typing.get_origin(hint) is tuple:
            first, *others = typing.get_args(hint)
            if others == [Ellipsis]:
                return {"type": "array", "items": self._of(first)}
            entries = [self._of(each) for each in (first, *others)]
            return {"type": "array", "prefixItems": entries, "minItems": len(entries), "maxItems": len(entries)}
        return {"type": SIMPLE[hint]}

    def _way(self) -> dict[str, Any]:
        kinds = [kind for kinds in self._graph.COLUMNS for kind in kinds]
        names = {"kind": {"enum": kinds}, "name": {"type": "string"}, "where": {"type": "string"}}
        node = {"type": "object", "properties": names, "required": list(names)}
        ends = {"from": node, "to": node, "state": {"enum": list(self._graph.STATES)}}
        return {"type": "object", "properties": ends, "required": list(ends)}


def text(domain: str) -> str:
    return json.dumps(Schemas(domain).whole(), indent=2) + "\n"
