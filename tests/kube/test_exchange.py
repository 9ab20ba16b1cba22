# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The program that asks Entra itself, run by real shells, against a TLS server that answers as Entra does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.tokens import exchange, token_questions
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.tokens.token import Expectation, Verdict
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.tokens.token_request import (
    Answer,
    parse,
    parse_all,
)
from ansible_collections.azureops.pod_identity.tests.kube.token_requests import (
    CAPABLE,
    CLIENT_ID,
    IMAGES,
    RESOURCE,
    SIGNATURE,
    Image,
    certificate,
    image,
    jwt,
    noting,
    success,
)
from ansible_collections.azureops.pod_identity.tests.kube.token_server import Reply, TokenServer

__all__ = ["certificate", "image"]  # fixtures
TENANT = "5e1c7a2b-93c4-4a58-8f43-6b1f0f6a2d10"
ISSUER, SUBJECT = "https://westeurope.oic.prod-aks.azure.com/t/u/", "system:serviceaccount:billing:billing"
CAPABLE_ONES = pytest.mark.parametrize("image", CAPABLE, indirect=True)
OF_ACCOUNT = "b2YtdGhlLXNlcnZpY2UtYWNjb3VudA"


class Entra(TokenServer):
    """Answers with the next of ``answers``, the last of them for ever."""

    def __init__(self, certificate: Path, *answers: Reply) -> None:
        self._left = list(answers or ((200, success(), {}),))
        super().__init__(certificate)

    def answer(self, path: str) -> Reply:
        return self._left.pop(0) if len(self._left) > 1 else self._left[0]

    @property
    def asked(self) -> list[tuple[str, dict[str, list[str]]]]:
        return [(each.path, parse_qs(each.body)) for each in self.requests]


def of_account(**changes: Any) -> str:
    """A token of a service account, as the kubelet writes it."""
    claims = {"iss": ISSUER, "sub": SUBJECT, "aud": ["api://AzureADTokenExchange"], **changes}
    return jwt(appid=None, oid=None, tid=None, name=None, **claims).replace(SIGNATURE, OF_ACCOUNT)


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    path = tmp_path / "azure-identity-token"
    path.write_text(of_account())
    return path


def variables(host: str, token_file: Path, certificate: Path, **changes: str) -> dict[str, str]:
    return {
        "AZURE_CLIENT_ID": CLIENT_ID,
        "AZURE_TENANT_ID": TENANT,
        "AZURE_FEDERATED_TOKEN_FILE": str(token_file),
        "AZURE_AUTHORITY_HOST": f"{host}/",
        "CURL_CA_BUNDLE": str(certificate),
        "SSL_CERT_FILE": str(certificate),
        **changes,
    }


def ask(image: Image, given: dict[str, str], client_id: str | None = None) -> tuple[Answer, str]:
    """What the program printed, which never holds a part of a token, but for its claims."""
    shell, environment = image
    command = exchange.shell_command(RESOURCE, client_id, 5)
    done = subprocess.run(
        [*shell, *command[1:]], capture_output=True, env={**environment, **given}, timeout=60, check=True
    )
    printed = (done.stdout + done.stderr).decode("utf-8", "replace")
    assert SIGNATURE not in printed and OF_ACCOUNT not in printed and "eyJ" not in printed
    return parse(printed), printed


def judged(answer: Answer) -> Verdict:
    return exchange.judge(answer, Expectation(RESOURCE, client_id=CLIENT_ID, tenant_id=TENANT, identity="a/billing"))


@CAPABLE_ONES
def test_a_right_token(image: Image, token_file: Path, certificate: Path) -> None:
    with Entra(certificate) as server:
        answer, _printed = ask(image, variables(server.host, token_file, certificate))
    found = judged(answer)
    assert (found.verdict, found.answered_by, found.path) == ("ok", "entra", "workload_identity"), found.message
    ((path, form),) = server.asked
    assert path == f"/{TENANT}/oauth2/v2.0/token"
    assert form == {
        "client_id": [CLIENT_ID],
        "scope": [f"{RESOURCE}/.default"],
        "grant_type": ["client_credentials"],
        "client_assertion_type": ["urn:ietf:params:oauth:client-assertion-type:jwt-bearer"],
        "client_assertion": [token_file.read_text()],
    }
    told = exchange.view(answer)
    assert 3500 < int(told.pop("seconds_left")) <= 3600
    assert told == {"issuer": ISSUER, "subject": SUBJECT, "audience": "api://AzureADTokenExchange"}


@CAPABLE_ONES
def test_a_client_id_that_is_asked_for(image: Image, token_file: Path, certificate: Path) -> None:
    with Entra(certificate) as server:
        answer, _printed = ask(image, variables(server.host, token_file, certificate, AZURE_CLIENT_ID=""), "another")
    assert server.asked[0][1]["client_id"] == ["another"] and answer.exchange
    assert answer.exchange.client_id == "another"


@CAPABLE_ONES
def test_a_refusal(image: Image, token_file: Path, certificate: Path) -> None:
    text = "AADSTS700213: No matching federated identity record found for presented assertion subject"
    body = json.dumps({"error": "invalid_client", "error_description": text, "error_codes": [700213]}).encode()
    with Entra(certificate, (401, body, {})) as server:
        answer, _printed = ask(image, variables(server.host, token_file, certificate))
    found = judged(answer)
    assert (found.verdict, found.code, found.error_code) == ("federation_refused", "V14", "AADSTS700213")


@CAPABLE_ONES
def test_a_refusal_that_repeats_the_assertion_does_not_leave(image: Image, token_file: Path, certificate: Path) -> None:
    with Entra(certificate, (400, f"AADSTS50027: {token_file.read_text()}".encode(), {})) as server:
        answer, _printed = ask(image, variables(server.host, token_file, certificate))
    assert "withheld" in answer.body and answer.status == 400


@CAPABLE_ONES
def test_a_redirect_is_not_followed(image: Image, token_file: Path, certificate: Path) -> None:
    with Entra(certificate) as elsewhere, Entra(certificate, (307, b"", {"Location": f"{elsewhere.host}/x"})) as server:
        answer, _printed = ask(image, variables(server.host, token_file, certificate))
    assert answer.status == 307 and elsewhere.asked == [] and judged(answer).verdict == "unknown_responder"


@CAPABLE_ONES
def test_a_host_that_is_not_trusted_gets_no_assertion(image: Image, token_file: Path, certificate: Path) -> None:
    with Entra(certificate) as server:
        given = variables(server.host, token_file, certificate)
        given = {name: value for name, value in given.items() if name not in ("CURL_CA_BUNDLE", "SSL_CERT_FILE")}
        answer, _printed = ask(image, given)
    found = judged(answer)
    assert found.verdict == "not_verified" and "is not trusted" in found.message and server.asked == []


@CAPABLE_ONES
def test_nobody_listens(image: Image, token_file: Path, certificate: Path) -> None:
    answer, _printed = ask(image, variables("https://127.0.0.1:9", token_file, certificate))
    assert (judged(answer).verdict, judged(answer).answered_by) == ("path_blocked", "nobody")


@CAPABLE_ONES
@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({"AZURE_FEDERATED_TOKEN_FILE": ""}, "not_mutated"),
        ({"AZURE_FEDERATED_TOKEN_FILE": "/nowhere"}, "exchange_incomplete"),
        ({"AZURE_FEDERATED_TOKEN_FILE": "/dev/null"}, "exchange_incomplete"),
        ({"AZURE_CLIENT_ID": ""}, "exchange_incomplete"),
        ({"AZURE_TENANT_ID": ""}, "exchange_incomplete"),
        ({"AZURE_AUTHORITY_HOST": ""}, "exchange_incomplete"),
        ({"AZURE_AUTHORITY_HOST": "http://127.0.0.1:9/"}, "exchange_incomplete"),
        ({"AZURE_TENANT_ID": "a/b?c"}, "not_verified"),
        ({"AZURE_CLIENT_ID": "a&scope=b"}, "not_verified"),
        ({"AZURE_AUTHORITY_HOST": "https://user@127.0.0.1/"}, "not_verified"),
        ({"AZURE_AUTHORITY_HOST": "https://127.0.0.1/x"}, "not_verified"),
    ],
)
def test_what_is_missing_in_the_pod(
    image: Image, token_file: Path, certificate: Path, changes: dict[str, str], verdict: str
) -> None:
    with Entra(certificate) as server:
        answer, _printed = ask(image, variables(server.host, token_file, certificate, **changes))
    assert judged(answer).verdict == verdict and answer.complete and server.asked == []


@pytest.mark.parametrize("image", CAPABLE[:1], indirect=True)
@pytest.mark.parametrize("content", ["", "no token", "a b", "x" * 5000, "\x00\x01", 'a"b'])
def test_a_file_that_holds_no_token(image: Image, token_file: Path, certificate: Path, content: str) -> None:
    token_file.write_text(content)
    with Entra(certificate) as server:
        answer, printed = ask(image, variables(server.host, token_file, certificate))
    assert judged(answer).verdict == "exchange_incomplete", printed
    assert len(printed) < 3000


@pytest.mark.parametrize("image", [name for name in IMAGES if name not in CAPABLE], indirect=True)
def test_without_a_client_for_tls_nothing_is_asked(image: Image, token_file: Path, certificate: Path) -> None:
    with Entra(certificate) as server:
        answer, _printed = ask(image, variables(server.host, token_file, certificate))
    found = judged(answer)
    assert found.verdict == "not_verified" and "neither curl nor python3" in found.message and server.asked == []


@CAPABLE_ONES
def test_samples_are_asked_one_after_the_other(image: Image, token_file: Path, certificate: Path) -> None:
    shell, environment = image
    refused: tuple[int, bytes, dict[str, str]] = (401, b'{"error_description": "AADSTS700213: No."}', {})
    right: tuple[int, bytes, dict[str, str]] = (200, success(), {})
    with Entra(certificate, right, refused, right) as server:
        command = token_questions.again(exchange.shell_command(RESOURCE, None, 5), samples=3)
        given = {**environment, **variables(server.host, token_file, certificate)}
        done = subprocess.run([*shell, *command[1:]], capture_output=True, env=given, timeout=60, check=True)
    answers = parse_all(done.stdout.decode())
    assert [judged(answer).verdict for answer in answers] == ["ok", "federation_refused", "ok"]
    assert OF_ACCOUNT.encode() not in done.stdout + done.stderr


def test_python_without_a_shell(token_file: Path, certificate: Path) -> None:
    with Entra(certificate) as server:
        given = {**os.environ, **variables(server.host, token_file, certificate)}
        command = [sys.executable, *exchange.python_command(RESOURCE, None, 5)[1:]]
        done = subprocess.run(command, capture_output=True, text=True, env=given, timeout=60, check=True)
    assert judged(parse(done.stdout)).verdict == "ok" and OF_ACCOUNT not in done.stdout + done.stderr


# The shell of busybox runs its own programs without looking for them.
@pytest.mark.parametrize("image", [name for name in CAPABLE if "busybox" not in name], indirect=True)
def test_no_token_is_in_an_argument_list(image: Image, token_file: Path, certificate: Path, tmp_path: Path) -> None:
    with Entra(certificate) as server, noting(image, tmp_path) as (log, wrapped):
        answer, _printed = ask(wrapped, variables(server.host, token_file, certificate))
        assert judged(answer).verdict == "ok" and server.asked
        noted = log.read_text()
        assert "oauth2/v2.0/token" in noted or "urllib" in noted
        assert OF_ACCOUNT not in noted


@pytest.mark.parametrize("image", CAPABLE[:1], indirect=True)
def test_an_assertion_that_has_expired_is_told(image: Image, token_file: Path, certificate: Path) -> None:
    token_file.write_text(of_account(exp=int(time.time()) - 60))
    body = b'{"error_description": "AADSTS700024: Client assertion is not within its valid time range."}'
    with Entra(certificate, (401, body, {})) as server:
        answer, _printed = ask(image, variables(server.host, token_file, certificate))
    assert judged(answer).error_code == "AADSTS700024"
    assert -120 < int(exchange.view(answer)["seconds_left"]) <= -59
