# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Odd answers in the place of the API server."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from ansible_collections.azureops.pod_identity.tests.kube.obstacles import Answer


def as_json(body: Any) -> bytes:
    return json.dumps(body).encode()


def parsed(whole: bytes) -> dict[str, Any]:
    """What a pod, or the server of its log, answers is no JSON."""
    try:
        return dict(json.loads(whole))
    except ValueError:
        return {}


def cut(whole: bytes) -> Answer:
    return 200, "application/json", whole[: len(whole) * 2 // 3]


def endless(whole: bytes) -> Answer:
    """A page that leads to itself; an object is answered as a list of nothing."""
    body = parsed(whole)
    rest = {name: each for name, each in body.items() if not isinstance(each, list)}
    return (
        200,
        "application/json",
        as_json({**rest, "items": body.get("items") or [], "metadata": {"continue": "again"}}),
    )


def null(whole: bytes) -> Answer:
    body = {name: None if isinstance(each, list) else each for name, each in parsed(whole).items()}
    return 200, "application/json", as_json({**body, "items": None, "metadata": None})


NOT_FOUND = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404}


ANOTHER = {**NOT_FOUND, "details": {"name": "another", "kind": "configmaps"}}


PAGE = b"<html><head><title>Sign in</title></head><body>Please sign in.</body></html>"


AZURE = as_json({"error": {"code": "ResourceNotFound", "message": "The resource was not found."}})


ODD: dict[str, Callable[[bytes], Answer | None]] = {
    "403 page": lambda _whole: (403, "text/html", PAGE),
    "404 page": lambda _whole: (404, "text/html", PAGE),
    "404 text": lambda _whole: (404, "text/plain", b"404 page not found\n"),
    "404 empty": lambda _whole: (404, "text/plain", b""),
    "404 type": lambda _whole: (404, "application/json", AZURE),
    "404 of another": lambda _whole: (404, "application/json", as_json(ANOTHER)),
    "404 nameless": lambda _whole: (404, "application/json", as_json(NOT_FOUND)),
    "200 page": lambda _whole: (200, "text/html", PAGE),
    "200 empty": lambda _whole: (200, "application/json", b""),
    "200 object": lambda _whole: (200, "application/json", b"{}"),
    "200 of azure": lambda _whole: (200, "application/json", as_json({"value": []})),
    "200 other list": lambda _whole: (
        200,
        "application/json",
        as_json({"apiVersion": "v1", "kind": "ComponentStatusList", "metadata": {}, "items": []}),
    ),
    "200 cut": cut,
    "200 value null": null,
    "circle": endless,
    "204": lambda _whole: (204, "text/plain", b""),
    "301": lambda _whole: (301, "text/html", PAGE),
    "302": lambda _whole: (302, "text/html", PAGE),
    "502 page": lambda _whole: (502, "text/html", PAGE),
    "hang": lambda _whole: None,
}
