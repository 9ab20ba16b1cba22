# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which API server the options mean, and as whom; and the sentences for what goes wrong."""

from __future__ import annotations

import http.server
import json
import multiprocessing
import socket
import ssl
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import urllib3
import yaml

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.errors import Failure
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube import errors
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.client import AT_ONCE, Client, connect
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.config import Settings, load_configuration
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.kinds import (
    AZURE_IDENTITY,
    NODE,
    POD,
    label,
)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with a kubeconfig that must never be used by itself."""
    (tmp_path / ".kube").mkdir()
    (tmp_path / ".kube" / "config").write_text(kubeconfig("https://never"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / ".kube" / "config"))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    return tmp_path


def kubeconfig(server: str) -> str:
    contexts = [{"name": n, "context": {"cluster": n, "user": n}} for n in ("one", "two")]
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "one",
            "clusters": [{"name": n, "cluster": {"server": f"{server}/{n}"}} for n in ("one", "two")],
            "users": [{"name": n, "user": {"token": f"token-{n}"}} for n in ("one", "two")],
            "contexts": contexts,
        }
    )


@pytest.fixture
def named(home: Path) -> str:
    path = home / "named"
    path.write_text(kubeconfig("https://named"))
    return str(path)


def loaded(**options: Any) -> tuple[str, dict[str, str]]:
    settings = Settings(**options)
    configuration = load_configuration(settings, None)
    return str(configuration.host), Client(configuration, settings)._credentials()


def test_nothing_named_is_no_cluster() -> None:
    with pytest.raises(Failure, match="No API server is named"):
        loaded()
    with pytest.raises(Failure, match="without a kubeconfig"):
        loaded(context="one")


def test_kubeconfig_and_context(named: str) -> None:
    assert loaded(kubeconfig=named) == ("https://named/one", {"authorization": "Bearer token-one"})
    assert loaded(kubeconfig=named, context="two") == ("https://named/two", {"authorization": "Bearer token-two"})
    with pytest.raises(Failure, match="'three'"):
        loaded(kubeconfig=named, context="three")


def test_options_win_over_the_kubeconfig(named: str) -> None:
    host, credentials = loaded(kubeconfig=named, host="https://other/", api_key="mine")
    assert (host, credentials) == ("https://other", {"authorization": "Bearer mine"})
    assert loaded(kubeconfig=named, api_key="mine") == ("https://named/one", {"authorization": "Bearer mine"})


def test_host_alone_needs_no_file() -> None:
    assert loaded(host="https://h", api_key="k") == ("https://h", {"authorization": "Bearer k"})
    assert loaded(host="https://h") == ("https://h", {})


@pytest.mark.parametrize("content", ["", "a: [", "[]", "apiVersion: v1", "\x00"])
def test_kubeconfigs_that_are_none(home: Path, content: str) -> None:
    path = home / "bad"
    path.write_text(content)
    with pytest.raises(Failure, match="cannot be used"):
        loaded(kubeconfig=str(path))
    with pytest.raises(Failure, match="does not exist"):
        loaded(kubeconfig=str(home / "none"))


def test_tls_and_proxy_options() -> None:
    settings = Settings.parse(
        {
            "host": "https://h",
            "api_key": "k",
            "validate_certs": False,
            "proxy": "http://p:1",
            "no_proxy": "x",
            "proxy_headers": {"proxy_basic_auth": "u:p", "basic_auth": None, "user_agent": None},
        }
    )
    configuration = load_configuration(settings, None)
    assert (configuration.verify_ssl, configuration.proxy, configuration.no_proxy) == (False, "http://p:1", "x")
    assert configuration.proxy_headers["proxy-authorization"].startswith("Basic ")


def test_impersonation() -> None:
    client = connect({"host": "https://h", "api_key": "k", "impersonate_user": "u", "impersonate_groups": ["a", "b"]})
    headers = client._headers("application/json")
    assert headers["Impersonate-User"] == "u" and headers.getlist("Impersonate-Group") == ["a", "b"]
    with pytest.raises(Failure, match="impersonated"):
        client.run("n", "p", "c", ["true"], timeout=1)


def test_commands_do_not_wait_for_ever() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        host = f"https://127.0.0.1:{silent.getsockname()[1]}"
        client = connect({"host": host, "api_key": "k"}, timeout=0.5)
        with pytest.raises(Failure, match="answered within 0.5 seconds"):
            client.start("n", "p", "c", ["true"])


def test_connections_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a machine with one processor too, for as many requests as are under way."""
    opened: list[object] = []
    all_there = threading.Barrier(AT_ONCE)

    class Answers(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            super().setup()
            opened.append(self)

        def do_GET(self) -> None:
            all_there.wait(30)
            body = b'{"items": []}'
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    monkeypatch.setattr(multiprocessing, "cpu_count", lambda: 1)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        client = connect({"host": f"http://127.0.0.1:{server.server_port}", "api_key": "k"})
        for _round in range(3):
            with ThreadPoolExecutor(AT_ONCE) as pool:
                assert list(pool.map(lambda _number: client.list_all(POD), range(AT_ONCE))) == [()] * AT_ONCE
        client._pool.clear()
        server.shutdown()
    assert len(opened) == AT_ONCE


def status(code: int, **fields: Any) -> bytes:
    return json.dumps({"kind": "Status", "code": code, **fields}).encode()


CONFLICT = {
    "causes": [
        {"reason": "FieldManagerConflict", "message": 'conflict with "kubectl" using v1', "field": ".spec.clientID"}
    ]
}


@pytest.mark.parametrize(
    ("code", "body", "words"),
    [
        (401, status(401), ["does not accept the credentials"]),
        (
            403,
            status(403, message='pods is forbidden: User "x" cannot apply resource'),
            ["may not apply azureidentities.aadpodidentity.k8s.io in namespace n", "Role"],
        ),
        (403, status(403, message='admission webhook "w" denied the request: no'), ["webhook", "no"]),
        (500, status(500, message='failed calling webhook "w": timeout'), ["webhook"]),
        (404, b"404 page not found", ["does not know azureidentities", "pod_identity_chart"]),
        (404, status(404, details={"name": "i", "kind": "azureidentities"}), ["does not exist"]),
        (404, status(404, details={"name": "n", "kind": "namespaces"}), ["namespace n does not exist"]),
        (409, status(409, details=CONFLICT), ["spec.clientID belongs to kubectl", "adopt: true"]),
        (409, status(409), ["in the meantime"]),
        (422, status(422, message="spec.type is wrong"), ["invalid", "spec.type is wrong"]),
        (429, b"", ["busy"]),
        (503, b"<html>", ["503"]),
    ],
)
def test_refusals(code: int, body: bytes, words: list[str]) -> None:
    failure = errors.refused("apply", AZURE_IDENTITY, "n", "i", code, body)
    for word in words:
        assert word in failure.sentence
    assert failure.error["status"] == code and "\n" not in failure.sentence


def test_what_is_missing_is_told_apart() -> None:
    kind = errors.refused("list", AZURE_IDENTITY, "n", None, 404, b"404 page not found")
    assert kind.kind_missing and not kind.object_missing
    thing = errors.refused("get", AZURE_IDENTITY, "n", "i", 404, status(404, details={"name": "i"}))
    assert thing.object_missing and not thing.kind_missing


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (urllib3.exceptions.SSLError(ssl.SSLCertVerificationError("CERTIFICATE_VERIFY_FAILED")), "not trusted"),
        (urllib3.exceptions.SSLError("handshake"), "TLS"),
        (urllib3.exceptions.NewConnectionError(None, "[Errno 111] Connection refused"), "refused"),  # type: ignore[arg-type]
        (urllib3.exceptions.ReadTimeoutError(None, "", "Read timed out"), "in time"),  # type: ignore[arg-type]
        (urllib3.exceptions.ProxyError("Unable to connect to proxy", OSError("x")), "proxy"),
        (urllib3.exceptions.NewConnectionError(None, "[Errno -2] Name or service not known"), "resolved"),  # type: ignore[arg-type]
        (urllib3.exceptions.NewConnectionError(None, "[Errno -3] Temporary failure in name resolution"), "resolved"),  # type: ignore[arg-type]
        (OSError("odd"), "connection failed"),
    ],
)
def test_no_answer(error: Exception, words: str) -> None:
    failure = errors.unreachable("https://h", error)
    assert words in failure.sentence and "https://h" in failure.sentence


def test_paths_and_names() -> None:
    assert POD.path() == "/api/v1/pods" and POD.path("n", "p", "log") == "/api/v1/namespaces/n/pods/p/log"
    assert NODE.path("ignored", "x") == "/api/v1/nodes/x"
    assert AZURE_IDENTITY.path("n") == "/apis/aadpodidentity.k8s.io/v1/namespaces/n/azureidentities"
    assert label(POD, "n", "p") == "Pod n/p" and label(NODE, None, "x") == "Node x"
