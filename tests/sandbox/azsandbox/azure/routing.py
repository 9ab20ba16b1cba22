# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Routes as data, and what a handler is given."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from . import ids
from .core import Azure
from .state import Principal, State
from .wire import Answer, JsonObject, gateway_error


@dataclass
class Call:
    """One request, on its way through a service."""

    azure: Azure
    method: str
    host: str
    path: str
    """Decoded, as the client wrote it."""
    query: Mapping[str, str]
    headers: Mapping[str, str]
    raw_body: bytes
    remote: str
    request_id: str
    params: Mapping[str, str] = field(default_factory=dict)
    caller: Principal | None = None
    fault: str | None = None

    @property
    def state(self) -> State:
        return self.azure.state

    @property
    def subscription(self) -> str:
        """That of the path."""
        return ids.subscription(self.path)

    @property
    def principal(self) -> Principal:
        """The caller of an authenticated service."""
        if self.caller is None:
            raise RuntimeError("a handler asked for the caller of an unauthenticated request")
        return self.caller

    @property
    def api_version(self) -> str:
        return self.query.get("api-version", "")

    def json(self) -> JsonObject:
        """The request body; 400 when it is no JSON object."""
        if not self.raw_body.strip():
            return {}
        try:
            body = json.loads(self.raw_body)
        except ValueError as error:
            message = f"The request content was invalid and could not be deserialized: '{error}'."
            raise gateway_error(400, "InvalidRequestContent", message) from None
        if not isinstance(body, dict):
            raise gateway_error(400, "InvalidRequestContent", "The request content was invalid: it is no JSON object.")
        return body


Handler = Callable[[Call], Awaitable[Answer]]


@dataclass(frozen=True)
class Route:
    """``template`` holds ``{name}`` for one path segment and ``{name:path}`` for any number; case does not count.

    ``action`` is what the caller must be allowed to do at the object of the path; it may hold parameters too.
    """

    method: str
    template: str
    handler: Handler
    action: str = ""

    def match(self, method: str, path: str) -> Mapping[str, str] | None:
        if method != self.method:
            return None
        found = _compiled(self.template).fullmatch(path)
        return found.groupdict() if found else None


_cache: dict[str, re.Pattern[str]] = {}


def _compiled(template: str) -> re.Pattern[str]:
    if template not in _cache:
        parts = re.split(r"\{(\w+)(:path)?\}", template)
        pattern = re.escape(parts[0])
        for name, many, text in zip(parts[1::3], parts[2::3], parts[3::3], strict=True):
            pattern += f"(?P<{name}>{'.*' if many else '[^/]+'})" + re.escape(text)
        _cache[template] = re.compile(pattern + "/?", re.IGNORECASE)
    return _cache[template]


def find(routes: Iterable[Route], method: str, path: str) -> tuple[Route, Mapping[str, str]] | None:
    """The first route that matches."""
    for route in routes:
        params = route.match(method, path)
        if params is not None:
            return route, params
    return None


def paged(value: list[Any]) -> Answer:
    """A list as ARM gives it."""
    return Answer(200, {"value": value})
