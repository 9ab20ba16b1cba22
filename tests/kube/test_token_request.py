# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The program of a probe, run by real shells, against servers that answer as NMI, IMDS and the proxy do."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.tokens import (
    target,
    token_questions,
    token_request,
)
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.tokens.token import (
    Expectation,
    Verdict,
    judge,
)
from ansible_collections.azureops.pod_identity.tests.kube.token_requests import (
    CAPABLE,
    CLIENT_ID,
    COREUTILS,
    IMAGES,
    RESOURCE,
    SIGNATURE,
    certificate,
    image,
    jwt,
    success,
)
from ansible_collections.azureops.pod_identity.tests.kube.token_server import Reply, TokenServer

__all__ = ["certificate", "image"]  # fixtures

IMDS = {"Server": "IMDS/150.870.65.1854"}
PROXY = {"Server": "azure-workload-identity/proxy/v1.3.0 (linux/amd64) abc/2024"}


METADATA = (200, b'{"compute": {"name": "node"}}', IMDS)
BLOCKED = (403, b"Request blocked by AAD Pod Identity NMI\n", {"X-Content-Type-Options": "nosniff"})


class Server(TokenServer):
    """Answers requests for tokens one way, those for metadata another."""

    def __init__(self, token: Reply, metadata: Reply, certificate: Path | None = None) -> None:
        self.before: list[Reply] = []  # answers to the first requests for a token
        self.silent = 0  # how many of the first requests for a token get no answer
        self._token, self._metadata = token, metadata
        super().__init__(certificate)

    def answer(self, path: str) -> Reply | None:
        if path.startswith("/metadata/instance?"):
            return self._metadata
        if self.silent:
            self.silent -= 1
            return None
        return self.before.pop(0) if self.before else self._token


def serving(status: int, body: bytes, headers: dict[str, str] | None = None, metadata: Reply = METADATA) -> Server:
    return Server((status, body, headers or {}), metadata)


def ask(
    image: tuple[list[str], dict[str, str]], host: str, *, timeout: int = 5, client_id: str | None = None
) -> tuple[token_request.Answer, str]:
    shell, environment = image
    command = token_request.shell_command(RESOURCE, client_id, timeout, host)
    done = subprocess.run([*shell, *command[1:]], capture_output=True, env=environment, timeout=60, check=False)
    output = done.stdout.decode("utf-8", "replace")
    return token_request.parse(output), output + done.stderr.decode("utf-8", "replace")


UNKNOWN_POD: Reply = (500, b"failed to match pod IP 10.0.0.1 with []\n", {})


@pytest.mark.parametrize(("unknown", "seconds", "status"), [(2, 60, 200), (99, 0, 500), (0, 60, 200)])
def test_asks_until_the_pod_is_known(
    image: tuple[list[str], dict[str, str]], unknown: int, seconds: int, status: int
) -> None:
    shell, environment = image
    folder = Path(environment["PATH"])
    if (folder / "wget").resolve() == (folder / "busybox").resolve() and unknown:
        seconds, status = 0, 500  # it does not show the text of a refusal
    with serving(200, success()) as server:
        server.before = [UNKNOWN_POD] * unknown
        command = token_questions.again(token_request.shell_command(RESOURCE, None, 5, server.host), seconds)
        done = subprocess.run([*shell, *command[1:]], capture_output=True, env=environment, timeout=60, check=True)
        asked = len([each for each in server.requests if each.path.startswith("/metadata/identity/")])
    answer = token_request.parse(done.stdout.decode())
    assert answer.complete and (answer.status, bool(answer.claims)) == (status, status == 200)
    assert asked == (unknown + 1 if seconds else 1) and SIGNATURE.encode() not in done.stdout


@pytest.mark.parametrize(("samples", "unknown"), [(3, 0), (3, 1)])
def test_asks_as_often_as_samples_are_wanted(
    image: tuple[list[str], dict[str, str]], samples: int, unknown: int
) -> None:
    """One answer after the other, each printed whole, with the pauses in between."""
    shell, environment = image
    folder = Path(environment["PATH"])
    if (folder / "wget").resolve() == (folder / "busybox").resolve():
        unknown = 0  # it does not show the text of a refusal
    with serving(200, success()) as server:
        server.before = [UNKNOWN_POD] * unknown
        request = token_request.shell_command(RESOURCE, None, 5, server.host)
        command = token_questions.again(request, 60, samples=samples, interval=1)
        began = time.monotonic()
        done = subprocess.run([*shell, *command[1:]], capture_output=True, env=environment, timeout=60, check=True)
        asked = len([each for each in server.requests if each.path.startswith("/metadata/identity/")])
    answers = token_request.parse_all(done.stdout.decode())
    assert [(answer.complete, answer.status, bool(answer.claims)) for answer in answers] == [
        (True, 200, True)
    ] * samples
    assert asked == samples + unknown and time.monotonic() - began >= samples - 1
    assert all(answer.instance and answer.instance.status for answer in answers)
    assert SIGNATURE.encode() not in done.stdout


def verdict(answer: token_request.Answer, **expected: Any) -> Verdict:
    return judge(answer, Expectation(resource=RESOURCE, client_id=CLIENT_ID, identity="a/billing", **expected))


def test_token_of_nmi(image: tuple[list[str], dict[str, str]]) -> None:
    with serving(200, success()) as server:
        answer, output = ask(image, server.host, client_id=CLIENT_ID)
    assert answer.complete and answer.status == 200 and answer.exit_code == 0, output
    assert answer.claims is not None and answer.claims["name"] == 'Zoë "quoted" \\ back~~~???>>>'
    assert "eyJ" not in output and SIGNATURE not in output
    found = verdict(answer)
    assert (found.verdict, found.answered_by, found.code) == ("ok", "nmi", "")
    path = server.requests[0].path
    assert "resource=https%3A%2F%2Fmanagement.azure.com%2F" in path and f"client_id={CLIENT_ID}" in path
    assert [asked.path for asked in server.requests[1:]] == ["/metadata/instance?api-version=2018-02-01"]
    for headers in [asked.headers for asked in server.requests]:
        assert headers["Metadata"] == "true" and headers["Connection"] == "close"
    assert answer.instance is not None and answer.instance.header("Server") == IMDS["Server"]
    assert "compute" not in output, "the machine's metadata left the pod"


def shows_refusals(request: pytest.FixtureRequest) -> bool:
    """The wget of busybox shows neither headers nor body of a refusal."""
    return "its own wget" not in request.node.callspec.params["image"]


def test_nmi_that_blocks_metadata(image: tuple[list[str], dict[str, str]], request: pytest.FixtureRequest) -> None:
    with serving(200, success(), metadata=BLOCKED) as server:
        answer, output = ask(image, server.host)
    assert answer.instance is not None and answer.instance.status == 403, output
    assert verdict(answer).verdict == ("ok" if shows_refusals(request) else "unclear")


def test_imds_behind_something_that_strips_headers(image: tuple[list[str], dict[str, str]]) -> None:
    """Its token looks like one of NMI; the second request tells."""
    with serving(200, success(), metadata=(200, METADATA[1], {})) as server:
        answer, output = ask(image, server.host)
    found = verdict(answer)
    assert (found.verdict, found.answered_by) == ("unclear", "unknown"), output
    assert all(check.ok for check in found.checks) and found.checks


@pytest.mark.parametrize("length", range(4))
def test_every_length_of_padding(image: tuple[list[str], dict[str, str]], length: int) -> None:
    with serving(200, success(filler="x" * length)) as server:
        answer, output = ask(image, server.host)
    assert answer.claims is not None, output
    assert answer.claims["filler"] == "x" * length


def test_tokens_of_auxiliary_tenants(image: tuple[list[str], dict[str, str]]) -> None:
    """NMI answers for a service principal with auxiliary tenants with a list."""
    with serving(200, b"[" + success() + b"," + success(tid="other") + b"]") as server:
        answer, output = ask(image, server.host)
    assert answer.claims is not None and answer.claims["tid"] != "other"
    assert "eyJ" not in output


def test_token_of_imds_is_no_success(image: tuple[list[str], dict[str, str]]) -> None:
    with serving(200, success(), IMDS) as server:
        answer, _output = ask(image, server.host)
    found = verdict(answer)
    assert (found.verdict, found.answered_by, found.code) == ("raw_imds", "imds", "V1")
    assert all(check.ok for check in found.checks) and found.checks


def test_token_of_the_proxy(image: tuple[list[str], dict[str, str]]) -> None:
    with serving(200, success(), PROXY) as server:
        answer, _output = ask(image, server.host)
    assert (verdict(answer).verdict, verdict(answer).answered_by) == ("ok", "workload_identity_proxy")
    with serving(200, success(iat=int(time.time()) - 7200), PROXY) as server:
        answer, _output = ask(image, server.host)
    assert (verdict(answer).verdict, verdict(answer).code) == ("stale_token", "V15")


def test_refusal(image: tuple[list[str], dict[str, str]], request: pytest.FixtureRequest) -> None:
    text = (
        b'getting "assigned" identities for pod a/b\\c in CREATED state failed after 16 attempts, retry duration [5]s'
    )
    with serving(404, text) as server:
        answer, output = ask(image, server.host)
    assert answer.status == 404, output
    if shows_refusals(request):
        assert (verdict(answer).verdict, verdict(answer).code) == ("not_assigned", "V4")
    else:
        assert verdict(answer).verdict == "unclear" and "probe_pod" in verdict(answer).message


def test_a_refusal_that_holds_a_token_does_not_leave(image: tuple[list[str], dict[str, str]]) -> None:
    with serving(403, b"refused " + jwt().encode()) as server:
        answer, output = ask(image, server.host)
    assert "eyJ" not in output and SIGNATURE not in output
    assert answer.complete and verdict(answer).verdict != "ok"


@pytest.mark.parametrize("body", [b"", b"{}", b'{"access_token":""}', b'{"access_token":"a.b.c"}', b"\x00\xff\x1b[31m"])
def test_answers_that_are_no_token(image: tuple[list[str], dict[str, str]], body: bytes) -> None:
    with serving(200, body) as server:
        answer, output = ask(image, server.host)
    assert answer.complete, output
    assert verdict(answer).verdict == "unreadable_token"


def test_nobody_listens(image: tuple[list[str], dict[str, str]]) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    answer, output = ask(image, f"http://127.0.0.1:{port}")
    assert (answer.status, answer.exit_code) == (0, 7), output
    assert (verdict(answer).verdict, verdict(answer).code, verdict(answer).answered_by) == ("nmi_dead", "V2", "nobody")


# wget is given no limit of its own; the deadline of the request in the cluster ends it.
@pytest.mark.parametrize("image", [name for name in IMAGES if "wget" not in name], indirect=True)
def test_no_answer(image: tuple[list[str], dict[str, str]]) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        answer, output = ask(image, f"http://127.0.0.1:{silent.getsockname()[1]}", timeout=1)
    assert (answer.exit_code, answer.connected) == (28, True), output
    assert (verdict(answer).verdict, verdict(answer).answered_by) == ("no_answer", "unknown")


# The others make one request; it waits as long as it may.
@pytest.mark.parametrize("image", [name for name in IMAGES if "curl" in name or "python" in name], indirect=True)
def test_a_request_that_nmi_lets_wait_is_made_anew(image: tuple[list[str], dict[str, str]]) -> None:
    with serving(200, success()) as server:
        server.silent = 3
        answer, output = ask(image, server.host, timeout=10)
        asked = [each for each in server.requests if each.path.startswith("/metadata/identity/")]
    assert (answer.exit_code, answer.status, len(asked)) == (0, 200, 4) and answer.claims, output
    assert answer.instance and answer.instance.status == 200


def test_a_container_without_any_client(tmp_path: Path) -> None:
    folder = tmp_path / "bin"
    folder.mkdir()
    for program in ("dash", *COREUTILS):
        (folder / program).symlink_to(str(shutil.which(program)))
    command = token_request.shell_command(RESOURCE, None, 5)
    done = subprocess.run(
        [str(folder / "dash"), *command[1:]],
        capture_output=True,
        text=True,
        env={"PATH": str(folder)},
        timeout=60,
        check=False,
    )
    found = verdict(token_request.parse(done.stdout))
    assert found.verdict == "not_verified" and "none of curl" in found.message


def test_python_without_a_shell() -> None:
    with serving(200, success()) as server:
        command = token_request.python_command(RESOURCE, None, 5, server.host)
        done = subprocess.run(
            [sys.executable, *command[1:]],
            capture_output=True,
            text=True,
            env=dict(os.environ),
            timeout=60,
            check=False,
        )
    answer = token_request.parse(done.stdout)
    assert verdict(answer).verdict == "ok" and "eyJ" not in done.stdout + done.stderr


def shown(
    image: tuple[list[str], dict[str, str]], reply: Reply, certificate: Path, *, trusted: bool = True, **claims: Any
) -> tuple[token_request.Answer, str, Server]:
    """What the program prints where its token is shown to a TLS server that answers so."""
    shell, environment = image
    trust = {"CURL_CA_BUNDLE": str(certificate), "SSL_CERT_FILE": str(certificate)} if trusted else {}
    with Server(reply, reply, certificate) as other, serving(200, success(**claims)) as server:
        url = f"{other.host}/secrets/db?api-version=7.4"
        command = token_request.shell_command(RESOURCE, None, 5, server.host, url)
        given = {**environment, **trust}
        done = subprocess.run([*shell, *command[1:]], capture_output=True, env=given, timeout=60, check=False)
    printed = (done.stdout + done.stderr).decode("utf-8", "replace")
    return token_request.parse(printed), printed, other


FORBIDDEN: Reply = (403, b'{"error": {"code": "Forbidden", "innererror": {"code": "ForbiddenByRbac"}}}', {})


@pytest.mark.parametrize("image", CAPABLE, indirect=True)
def test_a_token_is_shown_to_its_target(image: tuple[list[str], dict[str, str]], certificate: Path) -> None:
    answer, printed, other = shown(image, (200, b'{"value": "the-secret"}', {}), certificate)
    assert answer.complete and answer.claims and answer.target is not None and answer.target.status == 200
    (asked,) = other.requests
    assert asked.path == "/secrets/db?api-version=7.4" and asked.headers["Authorization"].endswith(SIGNATURE)
    assert "the-secret" not in printed and SIGNATURE not in printed


@pytest.mark.parametrize("image", CAPABLE, indirect=True)
def test_a_refusal_of_the_target_is_told(image: tuple[list[str], dict[str, str]], certificate: Path) -> None:
    answer, printed, _other = shown(image, FORBIDDEN, certificate)
    found = target.judge(verdict(answer), answer, "https://v.vault.azure.net/", "a/billing")
    assert (found.verdict, found.code) == ("role_missing", "V8") and "ForbiddenByRbac" in found.message
    assert SIGNATURE not in printed


@pytest.mark.parametrize("image", CAPABLE, indirect=True)
def test_a_redirect_of_the_target_is_not_followed(image: tuple[list[str], dict[str, str]], certificate: Path) -> None:
    with serving(200, b"{}") as elsewhere:
        answer, _printed, other = shown(image, (302, b"", {"Location": f"{elsewhere.host}/x"}), certificate)
        assert answer.target is not None and answer.target.status == 302
        assert len(other.requests) == 1 and elsewhere.requests == []


@pytest.mark.parametrize("image", CAPABLE, indirect=True)
def test_a_target_that_is_not_trusted_gets_no_token(image: tuple[list[str], dict[str, str]], certificate: Path) -> None:
    answer, printed, other = shown(image, FORBIDDEN, certificate, trusted=False)
    assert answer.target is not None and answer.target.status == 0 and answer.complete
    assert "ertificate" in answer.target.body or "CERTIFICATE" in answer.target.body
    assert other.requests == [] and SIGNATURE not in printed


@pytest.mark.parametrize("image", [name for name in IMAGES if name not in CAPABLE], indirect=True)
def test_without_a_client_for_tls_no_target_is_asked(
    image: tuple[list[str], dict[str, str]], certificate: Path
) -> None:
    answer, _printed, other = shown(image, FORBIDDEN, certificate)
    assert answer.claims and answer.target is None and other.requests == []


# The shell of busybox runs its own programs without looking for them.
@pytest.mark.parametrize("image", [name for name in IMAGES if "busybox" not in name], indirect=True)
def test_the_token_is_in_no_argument_list(image: tuple[list[str], dict[str, str]], tmp_path: Path) -> None:
    """Every program that the script starts is replaced by one that notes its arguments first."""
    shell, environment = image
    folder, log = Path(environment["PATH"]), tmp_path / "arguments"
    wrapped = tmp_path / "wrapped"
    wrapped.mkdir()
    for program in sorted(folder.iterdir()):
        if program.name in ("bash", "dash", "busybox", "sh"):
            (wrapped / program.name).symlink_to(os.path.realpath(program))
            continue
        script = f'#!/bin/sh\nfor each; do printf "%s\\n" "$each" >>{log}; done\nexec {program} "$@"\n'
        (wrapped / program.name).write_text(script)
        (wrapped / program.name).chmod(0o755)
    with serving(200, success()) as server:
        command = token_request.shell_command(RESOURCE, None, 5, server.host, "https://127.0.0.1:9/")
        environment = {**environment, "PATH": str(wrapped)}
        subprocess.run([*shell, *command[1:]], capture_output=True, env=environment, timeout=60, check=True)
    noted = log.read_text()
    assert server.host in noted or "token" in noted
    assert SIGNATURE not in noted and "eyJ" not in noted
