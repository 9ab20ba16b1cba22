# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Recordings of real Azure traffic, which lie beside the checkout: reading them."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
import yaml

CHECKOUT = Path(__file__).resolve().parents[2]
RECORDINGS = Path(os.environ.get("SHARED_RECORDINGS") or CHECKOUT.parent / "shared/recordings")
NULL_SUBSCRIPTION = "00000000-0000-0000-0000-000000000000"

needed = pytest.mark.skipif(
    not RECORDINGS.is_dir(), reason=f"no recordings of real Azure traffic at {RECORDINGS} (they are not published)"
)


@dataclass(frozen=True)
class Interaction:
    index: int
    method: str
    url: str
    given: Any
    status: int
    headers: dict[str, str]
    body: Any

    @property
    def path(self) -> str:
        return unquote(urlsplit(self.url).path)

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.url).query))


def load(name: str, renamed: Mapping[str, str] | None = None) -> list[Interaction]:
    """A cassette of either recorder (vcrpy, go-vcr), with names of the recorded client replaced."""
    text = (RECORDINGS / name).read_text()
    for old, new in (renamed or {}).items():
        text = text.replace(old, new)
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    tape = yaml.load(text, Loader=loader)
    found = []
    for index, item in enumerate(tape["interactions"]):
        request, response = item["request"], item["response"]
        status, body = response["status"], response["body"]
        found.append(
            Interaction(
                index,
                request["method"],
                request.get("uri") or request["url"],
                decoded(request.get("body")),
                response["code"] if "code" in response else status["code"],
                {k.lower(): v[0] if isinstance(v, list) else v for k, v in (response.get("headers") or {}).items()},
                decoded(body["string"] if isinstance(body, dict) else body),
            )
        )
    return found


def decoded(text: Any) -> Any:
    """Decoded JSON, None for nothing, the text itself where an upstream scrubber broke it."""
    if text is None or not str(text).strip():
        return None
    try:
        return json.loads(text)
    except ValueError:
        return str(text)
