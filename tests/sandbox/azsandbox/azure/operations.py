# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Long-running operations: their URLs, which are signed, and what polling them answers."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import quote

from .tokens import Signer, b64url
from .wire import AzureError, JsonObject, arm_error, utcnow

RUNNING = "InProgress"
SUCCEEDED = "Succeeded"
FAILED = "Failed"
CANCELED = "Canceled"
TERMINAL = frozenset({SUCCEEDED, FAILED, CANCELED})


@dataclass
class Operation:
    """One piece of work that a client polls."""

    id: str
    path: str
    status: str = RUNNING
    started: datetime = field(default_factory=utcnow)
    ended: datetime | None = None
    error: JsonObject | None = None
    output: JsonObject | None = None
    located: bool = False
    """Whether the last answer at its Location has a Location, too, as that of stop, start and abort."""

    @property
    def done(self) -> bool:
        return self.status in TERMINAL

    def progress(self, status: str) -> None:
        """Free text while it runs, as the AKS provider shows it."""
        if not self.done and status and status not in TERMINAL:
            self.status = status

    def succeed(self, output: JsonObject | None = None) -> None:
        self._end(SUCCEEDED)
        self.output = output

    def fail(self, code: str, message: str) -> None:
        self._end(FAILED)
        self.error = {"code": code, "message": message}

    def cancel(self, code: str, message: str) -> None:
        self._end(CANCELED)
        self.error = {"code": code, "message": message}

    def _end(self, status: str) -> None:
        self.status = status
        self.ended = utcnow()


class Operations:
    """All operations by id."""

    def __init__(self, signer: Signer, base_url: str) -> None:
        self._certificate = signer.certificate
        self._base_url = base_url
        self._key = secrets.token_bytes(32)
        self._all: dict[str, Operation] = {}

    def clear(self) -> None:
        self._all.clear()

    def start(self, path: str, operation_id: str | None = None) -> Operation:
        """A new operation; ``path`` is that of its collection, without the id."""
        operation = Operation(operation_id or str(uuid.uuid4()), path)
        self._all[operation.id.lower()] = operation
        return operation

    def find(self, operation_id: str, query: Mapping[str, str], path: str) -> Operation:
        """The operation behind a polled URL; the URL must be the very one that was handed out."""
        operation = self._all.get(operation_id.lower())
        if operation is None:
            raise arm_error(404, "NotFound", f"The entity was not found: operation '{operation_id}'.")
        if not self.is_genuine(query, path):
            raise refused_url()
        return operation

    def url(self, path: str, api_version: str, *, before: str = "") -> str:
        """An absolute, signed URL; ``before`` goes in front of the api-version, as compute's ``p=``."""
        ticks = str(621355968000000000 + time.time_ns() // 100)
        signature = self._sign(path, ticks)
        digest = b64url(hashlib.sha256(signature.encode()).digest())
        return (
            f"{self._base_url}{path}?{before}api-version={quote(api_version)}"
            f"&t={ticks}&c={self._certificate}&s={signature}&h={digest}"
        )

    def is_genuine(self, query: Mapping[str, str], path: str) -> bool:
        expected = self._sign(path, query.get("t", ""))
        return query.get("c") == self._certificate and hmac.compare_digest(expected, query.get("s", ""))

    def _sign(self, path: str, ticks: str) -> str:
        keyed = hmac.new(self._key, f"{path.lower()}\n{ticks}".encode(), hashlib.sha512).digest()
        return b64url(keyed * 4)


def refused_url() -> AzureError:
    return arm_error(
        403, "AuthorizationFailed", "The signature of the operation URL is missing or wrong; follow it verbatim."
    )


def job_id(kind: str, name: str, location: str) -> str:
    """The base64 job id of ``/operationresults/`` URLs of resource groups."""
    job = {"jobId": f"{kind}-{name.upper()}-{location.upper()}", "jobLocation": location}
    return base64.urlsafe_b64encode(json.dumps(job, separators=(",", ":")).encode()).rstrip(b"=").decode()
