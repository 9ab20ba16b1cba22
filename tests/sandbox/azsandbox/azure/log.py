# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The request log: what was asked, by whom, with which result; secrets removed."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO
from urllib.parse import parse_qs, urlencode

from .wire import JsonObject

KEPT = 20000
HIDDEN = "<hidden>"
_SECRET = re.compile(
    r"secret|password|assertion|token|kubeconfig|protectedsettings|privatekey|client-key|^value$", re.IGNORECASE
)
_JWT = re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]*")


def scrub(value: Any) -> Any:
    """The same value without what may be secret."""
    if isinstance(value, dict):
        return {
            key: HIDDEN if _SECRET.search(key) and isinstance(item, str) else scrub(item) for key, item in value.items()
        }
    if isinstance(value, list):
        return [scrub(item) for item in value]
    if isinstance(value, str):
        return _JWT.sub(HIDDEN, value)
    return value


def scrubbed_body(raw: bytes, content_type: str) -> Any:
    """The body of a write, fit for a log."""
    if not raw:
        return None
    text = raw.decode(errors="replace")
    if "form" in content_type:
        return {key: HIDDEN if _SECRET.search(key) else values[0] for key, values in parse_qs(text).items()}
    try:
        return scrub(json.loads(text))
    except ValueError:
        return HIDDEN


def scrubbed_query(query: Mapping[str, str]) -> str:
    """The query string; the parts of a signed URL are shortened."""
    shown = {key: (HIDDEN if key in ("c", "s", "h", "sig") else value) for key, value in query.items()}
    return urlencode(shown, safe="/:$'(), <>")


class RequestLog:
    """In memory for tests, and in a file of JSON lines for people."""

    def __init__(self, path: Path | None) -> None:
        self._entries: list[JsonObject] = []
        self._number = 0
        self._file: TextIO | None = None
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("a", encoding="utf-8", buffering=1)

    def add(self, entry: JsonObject) -> None:
        self._number += 1
        numbered = {"n": self._number, **entry}
        self._entries.append(numbered)
        del self._entries[:-KEPT]
        if self._file is not None:
            self._file.write(json.dumps(numbered) + "\n")

    def select(self, wanted: Mapping[str, str]) -> list[JsonObject]:
        """Entries by ``since`` (number), ``method``, ``host``, ``caller``, ``status`` and ``path`` (expression)."""
        pattern = re.compile(wanted.get("path", ""), re.IGNORECASE)
        since = int(wanted.get("since", "0"))
        return [
            entry
            for entry in self._entries
            if entry["n"] > since
            and pattern.search(f"{entry['path']}?{entry['query']}")
            and all(
                str(entry[name]).lower() == wanted[name].lower()
                for name in ("method", "host", "caller", "status")
                if name in wanted
            )
        ]

    @property
    def last(self) -> int:
        return self._number

    def clear(self) -> None:
        self._entries.clear()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
