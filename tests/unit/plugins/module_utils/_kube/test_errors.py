# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The sentences for what goes wrong."""

from __future__ import annotations

import json
import ssl
from typing import Any

import pytest
import urllib3

from ansible_collections.azureops.pod_identity.plugins.module_utils._kube import errors
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.kinds import AZURE_IDENTITY
from ansible_collections.azureops.pod_identity.tests.unit.tables import table


def status(code: int, **fields: Any) -> bytes:
    return json.dumps({"kind": "Status", "code": code, **fields}).encode()


IDENTITY = {"name": "i", "group": "aadpodidentity.k8s.io", "kind": "azureidentities"}
OF_FIELD = {"message": 'conflict with "kubectl" using v1', "field": ".spec.clientID"}
CONFLICT = {"causes": [{"reason": "FieldManagerConflict", **OF_FIELD}]}


@table(
    "code, body, words",
    (401, status(401), ["does not accept the credentials"]),
    (
        403,
        status(403, message='pods is forbidden: User "x" cannot apply resource'),
        ["may not apply azureidentities.aadpodidentity.k8s.io in namespace n", "Role"],
    ),
    (403, status(403, message='admission webhook "w" denied the request: no'), ["webhook", "no"]),
    (500, status(500, message='failed calling webhook "w": timeout'), ["webhook"]),
    (404, status(404, reason="NotFound", details=IDENTITY), ["does not exist"]),
    (404, status(404, reason="NotFound", details={"name": "n", "kind": "namespaces"}), ["namespace n does not exist"]),
    (409, status(409, details=CONFLICT), ["spec.clientID belongs to kubectl", "adopt: true"]),
    (409, status(409), ["in the meantime"]),
    (422, status(422, message="spec.type is wrong"), ["invalid", "spec.type is wrong"]),
    (429, b"", ["busy"]),
    (504, status(504, message="too long"), ["the API server answered 504 (too long)"]),
)
def test_refusals(code: int, body: bytes, words: list[str]) -> None:
    failure = errors.refused("apply", AZURE_IDENTITY, "n", "i", code, body)
    for word in words:
        assert word in failure.sentence
    assert failure.error["status"] == code and "\n" not in failure.sentence


def test_what_is_missing_is_told_apart() -> None:
    body = b"404 page not found"
    kind = errors.refused("list", AZURE_IDENTITY, "n", None, 404, body, unserved=True)
    assert kind.kind_missing and not kind.object_missing
    assert "does not know azureidentities" in kind.sentence and "pod_identity_chart" in kind.sentence
    thing = errors.refused("get", AZURE_IDENTITY, "n", "i", 404, status(404, reason="NotFound", details=IDENTITY))
    assert thing.object_missing and not thing.kind_missing


@table(
    "body, described",
    (b"", "nothing"),
    (b"404 page not found", "the text '404 page not found'"),
    (b"<html><TITLE>Sign in</TITLE></html>", "a page of HTML (Sign in)"),
    (b"{}", "an object of kind 'None'"),
    (b'{"kind": "Secret", "data": {"a": "b', "a part of some JSON"),
    (b"[]", "other JSON"),
    (b'{"error": {"code": "NotFound"}}', "an object of kind 'None'"),
    (status(404), "an object of kind 'Status'"),
    (status(404, reason="NotFound"), "an object of kind 'Status' (NotFound)"),
    (status(404, reason="NotFound", details={**IDENTITY, "name": "j"}), "an object of kind 'Status' (NotFound)"),
    (status(404, reason="NotFound", details={**IDENTITY, "kind": "pods"}), "an object of kind 'Status' (NotFound)"),
    (status(404, reason="NotFound", details={"name": "i", "kind": "azureidentities"}), "(NotFound)"),
    (status(404, reason="Gone", details=IDENTITY), "an object of kind 'Status' (Gone)"),
)
def test_from_an_odd_404_nothing_follows(body: bytes, described: str) -> None:
    failure = errors.refused("get", AZURE_IDENTITY, "n", "i", 404, body, host="https://h")
    assert (failure.missing, failure.reason, failure.status) == ("", "UnexpectedAnswer", 404)
    assert "https://h answered 404 with " in failure.sentence and described in failure.sentence
    assert "check the server of the kubeconfig, proxy and no_proxy" in failure.sentence


@pytest.mark.parametrize("code", [400, 403, 405, 409, 413, 422, 500, 502, 503, 504])
@pytest.mark.parametrize("body", [b"", b"<html>", b"no upstream", b'{"message": "no upstream"}'])
def test_no_api_server_refuses_so(code: int, body: bytes) -> None:
    failure = errors.refused("patch", AZURE_IDENTITY, "n", "i", code, body, host="https://h")
    assert (failure.reason, failure.status, failure.temporary) == ("UnexpectedAnswer", code, code >= 500)
    assert f"https://h answered {code} with " in failure.sentence
    assert not failure.conflict and not failure.forbidden


@table(
    "error, words",
    (urllib3.exceptions.SSLError(ssl.SSLCertVerificationError("CERTIFICATE_VERIFY_FAILED")), "not trusted"),
    (urllib3.exceptions.SSLError("handshake"), "TLS"),
    (urllib3.exceptions.NewConnectionError(None, "[Errno 111] Connection refused"), "refused"),  # type: ignore[arg-type]
    (urllib3.exceptions.ReadTimeoutError(None, "", "Read timed out"), "in time"),  # type: ignore[arg-type]
    (urllib3.exceptions.ProxyError("Unable to connect to proxy", OSError("x")), "proxy"),
    (urllib3.exceptions.NewConnectionError(None, "[Errno -2] Name or service not known"), "resolved"),  # type: ignore[arg-type]
    (urllib3.exceptions.NewConnectionError(None, "[Errno -3] Temporary failure in name resolution"), "resolved"),  # type: ignore[arg-type]
    (OSError("odd"), "connection failed"),
)
def test_no_answer(error: Exception, words: str) -> None:
    failure = errors.unreachable("https://h", error)
    assert words in failure.sentence and "https://h" in failure.sentence
