# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Answers and errors as they go over the wire."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

JsonObject = dict[str, Any]

JSON_UTF8 = "application/json; charset=utf-8"
JSON = "application/json"


@dataclass(frozen=True)
class Answer:
    """One HTTP answer; ``body`` None sends no body and no content type."""

    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = JSON_UTF8

    def payload(self) -> bytes:
        """The body as bytes: raw bytes and text as they are, everything else as JSON."""
        if self.body is None:
            return b""
        if isinstance(self.body, bytes):
            return self.body
        if isinstance(self.body, str):
            return self.body.encode("utf-8", "surrogateescape")  # a fault may have bytes that are no text
        return json.dumps(self.body, separators=(",", ":")).encode()


class AzureError(Exception):
    """An answer other than success, raised from anywhere below the dispatcher."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(str(answer.body))
        self.answer = answer


def arm_error(status: int, code: str, message: str, **headers: str) -> AzureError:
    """``{"error": {"code", "message"}}``, the shape of most providers; underscores in header names become dashes."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return AzureError(Answer(status, {"error": {"code": code, "message": message}}, named))


def gateway_error(status: int, code: str, message: str) -> AzureError:
    """An error of ARM itself, before any provider was asked."""
    return arm_error(status, code, message, x_ms_failure_cause="gateway")


def not_served(what: str) -> AzureError:
    """What Azure has and the simulation lacks; no client takes it for absence, and none retries it."""
    return arm_error(501, "NotImplemented", f"{what}: this is a gap of the simulated Azure, not an answer of Azure.")


def aks_error(
    status: int, code: str, message: str, subcode: str = "", details: list[JsonObject] | None = None
) -> AzureError:
    """The flat shape of the AKS provider, without an ``error`` wrapper."""
    body = {"code": code, "details": details, "message": message, "subcode": subcode}
    return AzureError(Answer(status, body, content_type=JSON))


def timestamp(moment: datetime | None = None) -> str:
    """Azure's usual form: UTC, seven digits of fraction, Z."""
    return (moment or utcnow()).strftime("%Y-%m-%dT%H:%M:%S.%f") + "0Z"


def compute_timestamp(moment: datetime | None = None) -> str:
    """The form of Microsoft.Compute: an offset instead of Z."""
    return (moment or utcnow()).strftime("%Y-%m-%dT%H:%M:%S.%f") + "0+00:00"


def utcnow() -> datetime:
    return datetime.now(UTC)


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: Path, timeout: float | None = None) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))
