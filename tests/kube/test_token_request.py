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
from collections.abc import Sequence
from pathlib import Path

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.tokens import (
    target,
    token,
    token_questions,
    token_request,
)
from ansible_collections.azureops.pod_identity.tests.kube.token_requests import (
    CAPABLE,
    CLIENT_ID,
    COREUTILS,
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
from ansible_collections.azureops.pod_identity.tests.support.fixed import pairs

__all__ = ["certificate", "image"]  # fixtures

IMDS = {"Server": "IMDS/150.870.65.1854"}
PROXY = {"Server": "azure-workload-identity/proxy/v1.3.0 (linux/amd64) abc/2024"}
METADATA = (200, b'{"compute": {"name": "node"}}', IMDS)
BLOCKED = (403, b"Request blocked by AAD Pod Identity NMI\n", {"X-Content-Type-Options": "nosniff"})
UNKNOWN_POD: Reply = (500, b"failed to match pod IP 10.0.0.1 with []\n", {})
IDENTITY = "/metadata/identity/"


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

    @property
    def asked(self) -> int:
        """How often for a token."""
        return len([each for each in self.requests if each.path.startswith(IDENTITY)])


def serving(status: int, body: bytes, headers: dict[str, str] | None = None, metadata: Reply = METADATA) -> Server:
    return Server((status, body, headers or {}), metadata)


def run(command: Sequence[str], environment: dict[str, str]) -> tuple[token_request.Answer, str]:
    """What a program prints; no part of a token is in it, but for its claims."""
    done = subprocess.run(command, capture_output=True, env=environment, timeout=60, check=False)
    printed = done.stdout.decode("utf-8", "replace")
    output = printed + done.stderr.decode("utf-8", "replace")
    assert SIGNATURE not in output and "eyJ" not in output
    return token_request.parse(printed), output


def ask(image: Image, host: str, *, timeout: int = 5, client_id: str | None = None) -> tuple[token_request.Answer, str]:
    shell, environment = image
    return run([*shell, *token_request.shell_command(RESOURCE, client_id, timeout, host)[1:]], environment)


def has_own_wget(image: Image) -> bool:
    """That of busybox, which shows neither headers nor body of a refusal."""
    folder = Path(image[1]["PATH"])
    return (folder / "wget").resolve() == (folder / "busybox").resolve()


def verdict(answer: token_request.Answer) -> token.Verdict:
    return token.judge(answer, token.Expectation(resource=RESOURCE, client_id=CLIENT_ID, identity="a/billing"))


def of_images(name: str, cases: Sequence[object]) -> pytest.MarkDecorator:
    """Run each case with each image; of the fixed set are as few as hold each of them."""
    return pytest.mark.parametrize(("image", name), pairs(list(IMAGES), cases), indirect=["image"])


@of_images("wait", [(2, 60, 200), (99, 0, 500), (0, 60, 200)])
def test_asks_until_the_pod_is_known(image: Image, wait: tuple[int, int, int]) -> None:
    (shell, environment), (unknown, seconds, status) = image, wait
    if has_own_wget(image) and unknown:
        seconds, status = 0, 500
    with serving(200, success()) as server:
        server.before = [UNKNOWN_POD] * unknown
        command = token_questions.again(token_request.shell_command(RESOURCE, None, 5, server.host), seconds)
        answer, _output = run([*shell, *command[1:]], environment)
    assert answer.complete and (answer.status, bool(answer.claims)) == (status, status == 200)
    assert server.asked == (unknown + 1 if seconds else 1)


@of_images("unknown", [0, 1])
def test_asks_as_often_as_samples_are_wanted(image: Image, unknown: int) -> None:
    """One answer after the other, each printed whole, with the pauses in between."""
    (shell, environment), samples = image, 3
    unknown = 0 if has_own_wget(image) else unknown
    with serving(200, success()) as server:
        server.before = [UNKNOWN_POD] * unknown
        request = token_request.shell_command(RESOURCE, None, 5, server.host)
        command = token_questions.again(request, 60, samples=samples, interval=1)
        began = time.monotonic()
        _first, output = run([*shell, *command[1:]], environment)
    answers = token_request.parse_all(output)
    told = [(answer.complete, answer.status, bool(answer.claims)) for answer in answers]
    assert told == [(True, 200, True)] * samples
    assert server.asked == samples + unknown and time.monotonic() - began >= samples - 1
    assert all(answer.instance and answer.instance.status for answer in answers)


def test_token_of_nmi(image: Image) -> None:
    with serving(200, success()) as server:
        answer, output = ask(image, server.host, client_id=CLIENT_ID)
    assert answer.complete and answer.status == 200 and answer.exit_code == 0, output
    assert answer.claims is not None and answer.claims["name"] == 'Zoë "quoted" \\ back~~~???>>>'
    found = verdict(answer)
    assert (found.verdict, found.answered_by, found.code) == ("ok", "nmi", "")
    path = server.requests[0].path
    assert "resource=https%3A%2F%2Fmanagement.azure.com%2F" in path and f"client_id={CLIENT_ID}" in path
    assert [asked.path for asked in server.requests[1:]] == ["/metadata/instance?api-version=2018-02-01"]
    for headers in [asked.headers for asked in server.requests]:
        assert headers["Metadata"] == "true" and headers["Connection"] == "close"
    assert answer.instance is not None and answer.instance.header("Server") == IMDS["Server"]
    assert "compute" not in output, "the machine's metadata left the pod"


NEW = 0  # seconds since a token was issued
ASSIGNING = (
    b'getting "assigned" identities for pod a/b\\c in CREATED state failed after 16 attempts, retry duration [5]s'
)
TOLD: dict[str, tuple[int, bytes | int, dict[str, str], Reply, tuple[str, str, str]]] = {
    "NMI blocks metadata": (200, NEW, {}, BLOCKED, ("ok", "", "nmi")),
    # Its token looks like one of NMI; the second request tells.
    "IMDS behind something that strips headers": (
        *(200, NEW, {}),
        (200, METADATA[1], {}),
        ("unclear", "", "unknown"),
    ),
    "IMDS": (200, NEW, IMDS, METADATA, ("raw_imds", "V1", "imds")),
    "the proxy": (200, NEW, PROXY, METADATA, ("ok", "", "workload_identity_proxy")),
    "an old token of the proxy": (200, 7200, PROXY, METADATA, ("stale_token", "V15", "")),
    "a refusal": (404, ASSIGNING, {}, METADATA, ("not_assigned", "V4", "")),
}


@of_images("name", list(TOLD))
def test_who_answers_and_what(image: Image, name: str) -> None:
    status, told, headers, metadata, (wanted, code, who) = TOLD[name]
    # A token is of the moment of the test, which is minutes behind that of its collection.
    body = told if isinstance(told, bytes) else success(iat=int(time.time()) - told)
    with serving(status, body, headers, metadata) as server:
        answer, output = ask(image, server.host)
    found = verdict(answer)
    assert answer.status == status and answer.instance and answer.instance.status == metadata[0], output
    if has_own_wget(image) and 400 in (status // 100 * 100, metadata[0] // 100 * 100):
        assert found.verdict == "unclear" and (status == 200 or "probe_pod" in found.message), output
        return
    assert found.verdict == wanted and (not code or found.code == code), output
    assert not who or found.answered_by == who, output
    if wanted in ("raw_imds", "unclear"):
        assert all(check.ok for check in found.checks) and found.checks


@of_images("length", range(4))
def test_every_length_of_padding(image: Image, length: int) -> None:
    with serving(200, success(filler="x" * length)) as server:
        answer, output = ask(image, server.host)
    assert answer.claims is not None and answer.claims["filler"] == "x" * length, output


def test_tokens_of_auxiliary_tenants(image: Image) -> None:
    """NMI answers for a service principal with auxiliary tenants with a list."""
    with serving(200, b"[" + success() + b"," + success(tid="other") + b"]") as server:
        answer, _output = ask(image, server.host)
    assert answer.claims is not None and answer.claims["tid"] != "other"


def test_a_refusal_that_holds_a_token_does_not_leave(image: Image) -> None:
    with serving(403, b"refused " + jwt().encode()) as server:
        answer, _output = ask(image, server.host)
    assert answer.complete and verdict(answer).verdict != "ok"


@of_images("body", [b"", b"{}", b'{"access_token":""}', b'{"access_token":"a.b.c"}', b"\x00\xff\x1b[31m"])
def test_answers_that_are_no_token(image: Image, body: bytes) -> None:
    with serving(200, body) as server:
        answer, output = ask(image, server.host)
    assert answer.complete and verdict(answer).verdict == "unreadable_token", output


def test_nobody_listens(image: Image) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    answer, output = ask(image, f"http://127.0.0.1:{port}")
    assert (answer.status, answer.exit_code) == (0, 7), output
    found = verdict(answer)
    assert (found.verdict, found.code, found.answered_by) == ("nmi_dead", "V2", "nobody")


# wget is given no limit of its own; the deadline of the request in the cluster ends it.
@pytest.mark.parametrize("image", [name for name in IMAGES if "wget" not in name], indirect=True)
def test_no_answer(image: Image) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        answer, output = ask(image, f"http://127.0.0.1:{silent.getsockname()[1]}", timeout=1)
    assert (answer.exit_code, answer.connected) == (28, True), output
    assert (verdict(answer).verdict, verdict(answer).answered_by) == ("no_answer", "unknown")


# The others make one request; it waits as long as it may.
@pytest.mark.parametrize("image", CAPABLE, indirect=True)
def test_a_request_that_nmi_lets_wait_is_made_anew(image: Image) -> None:
    with serving(200, success()) as server:
        server.silent = 3
        answer, output = ask(image, server.host, timeout=10)
    assert (answer.exit_code, answer.status, server.asked) == (0, 200, 4) and answer.claims, output
    assert answer.instance and answer.instance.status == 200


def test_a_container_without_any_client(tmp_path: Path) -> None:
    for program in ("dash", *COREUTILS):
        (tmp_path / program).symlink_to(str(shutil.which(program)))
    command = token_request.shell_command(RESOURCE, None, 5)
    found = verdict(run([str(tmp_path / "dash"), *command[1:]], {"PATH": str(tmp_path)})[0])
    assert found.verdict == "not_verified" and "none of curl" in found.message


def test_python_without_a_shell() -> None:
    with serving(200, success()) as server:
        command = token_request.python_command(RESOURCE, None, 5, server.host)
        answer, _output = run([sys.executable, *command[1:]], dict(os.environ))
    assert verdict(answer).verdict == "ok"


def shown(
    image: Image, reply: Reply, certificate: Path, *, trusted: bool = True
) -> tuple[token_request.Answer, str, Server]:
    """What the program prints where its token is shown to a TLS server that answers so."""
    shell, environment = image
    trust = {"CURL_CA_BUNDLE": str(certificate), "SSL_CERT_FILE": str(certificate)} if trusted else {}
    with Server(reply, reply, certificate) as other, serving(200, success()) as server:
        url = f"{other.host}/secrets/db?api-version=7.4"
        command = token_request.shell_command(RESOURCE, None, 5, server.host, url)
        answer, printed = run([*shell, *command[1:]], {**environment, **trust})
    return answer, printed, other


FORBIDDEN: Reply = (403, b'{"error": {"code": "Forbidden", "innererror": {"code": "ForbiddenByRbac"}}}', {})


@pytest.mark.parametrize("image", CAPABLE, indirect=True)
def test_a_token_is_shown_to_its_target(image: Image, certificate: Path) -> None:
    answer, printed, other = shown(image, (200, b'{"value": "the-secret"}', {}), certificate)
    assert answer.complete and answer.claims and answer.target is not None and answer.target.status == 200
    (asked,) = other.requests
    assert asked.path == "/secrets/db?api-version=7.4" and asked.headers["Authorization"].endswith(SIGNATURE)
    assert "the-secret" not in printed
    answer, _printed, _other = shown(image, FORBIDDEN, certificate)
    found = target.judge(verdict(answer), answer, "https://v.vault.azure.net/", "a/billing")
    assert (found.verdict, found.code) == ("role_missing", "V8") and "ForbiddenByRbac" in found.message


@pytest.mark.parametrize("image", CAPABLE, indirect=True)
def test_a_redirect_of_the_target_is_not_followed(image: Image, certificate: Path) -> None:
    with serving(200, b"{}") as elsewhere:
        answer, _printed, other = shown(image, (302, b"", {"Location": f"{elsewhere.host}/x"}), certificate)
        assert answer.target is not None and answer.target.status == 302
        assert len(other.requests) == 1 and elsewhere.requests == []


@pytest.mark.parametrize("image", CAPABLE, indirect=True)
def test_a_target_that_is_not_trusted_gets_no_token(image: Image, certificate: Path) -> None:
    answer, _printed, other = shown(image, FORBIDDEN, certificate, trusted=False)
    assert answer.target is not None and answer.target.status == 0 and answer.complete
    assert "ertificate" in answer.target.body or "CERTIFICATE" in answer.target.body
    assert other.requests == []


@pytest.mark.parametrize("image", [name for name in IMAGES if name not in CAPABLE], indirect=True)
def test_without_a_client_for_tls_no_target_is_asked(image: Image, certificate: Path) -> None:
    answer, _printed, other = shown(image, FORBIDDEN, certificate)
    assert answer.claims and answer.target is None and other.requests == []


# The shell of busybox runs its own programs without looking for them.
@pytest.mark.parametrize("image", [name for name in IMAGES if "busybox" not in name], indirect=True)
def test_the_token_is_in_no_argument_list(image: Image, tmp_path: Path) -> None:
    with serving(200, success()) as server, noting(image, tmp_path) as (noted, (shell, environment)):
        command = token_request.shell_command(RESOURCE, None, 5, server.host, "https://127.0.0.1:9/")
        run([*shell, *command[1:]], environment)
        assert server.host in noted.read_text() or "token" in noted.read_text()
