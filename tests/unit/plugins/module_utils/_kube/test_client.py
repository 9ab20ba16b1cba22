# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The client: as whom it asks, what it waits for, which connections it keeps."""

from __future__ import annotations

import http.server
import json
import multiprocessing
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import websocket
from kubernetes.stream import ws_client

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.errors import Failure
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.client import AT_ONCE, Client, connect
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.errors import ApiFailure
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.kinds import AZURE_IDENTITY, POD


def test_impersonation() -> None:
    client = connect({"host": "https://h", "api_key": "k", "impersonate_user": "u", "impersonate_groups": ["a", "b"]})
    headers = client._headers("application/json")
    assert headers["Impersonate-User"] == "u" and headers.getlist("Impersonate-Group") == ["a", "b"]
    with pytest.raises(Failure, match="impersonated"):
        client.start("n", "p", "c", ["true"])


def test_commands_do_not_wait_for_ever() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        host = f"https://127.0.0.1:{silent.getsockname()[1]}"
        client = connect({"host": host, "api_key": "k"}, timeout=0.5)
        with pytest.raises(Failure, match="answered within 0.5 seconds"):
            client.start("n", "p", "c", ["true"])


@pytest.mark.parametrize("tells", [True, False], ids=["newer websocket-client", "older websocket-client"])
def test_a_command_and_its_token_follow_no_redirect(monkeypatch: pytest.MonkeyPatch, tells: bool) -> None:
    if not tells:  # an older one has no limit to set, and takes the redirect for the stream
        connect_as_newer = websocket.WebSocket.connect

        def connect_as_older(self: websocket.WebSocket, url: str, **options: Any) -> None:
            try:
                connect_as_newer(self, url, **options)
            except websocket.WebSocketException:
                self.handshake_response = websocket._handshake.handshake_response(302, {}, None)

        monkeypatch.setattr(
            ws_client, "WebSocket", type("Older", (websocket.WebSocket,), {"connect": connect_as_older})
        )
    reached: list[str] = []

    class Answers(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            reached.append(self.path)
            self.send_response(302)
            self.send_header("Location", f"ws://{self.headers['Host']}/elsewhere")
            self.end_headers()

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        client = connect({"host": f"http://127.0.0.1:{server.server_port}", "api_key": "k"})
        for _again in range(2):
            with pytest.raises(Failure, match="because the answer was a redirect"):
                client.start("n", "p", "c", ["true"], stdin=True)
        server.shutdown()
    assert [path.partition("?")[0] for path in reached] == ["/api/v1/namespaces/n/pods/p/exec"] * 2


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
            body = b'{"apiVersion": "v1", "kind": "PodList", "items": []}'
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    monkeypatch.setattr(multiprocessing, "cpu_count", lambda: 1)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        client = connect({"host": f"http://127.0.0.1:{server.server_port}", "api_key": "k"})
        for _round in range(3):
            with ThreadPoolExecutor(AT_ONCE) as pool:
                assert list(pool.map(lambda _number: client.list_all(POD), range(AT_ONCE))) == [()] * AT_ONCE
        client._pool.clear()
        server.shutdown()
    assert len(opened) == AT_ONCE


Script = Callable[[str, str], tuple[int, bytes]]


@pytest.fixture
def answering() -> Iterator[Callable[[Script], Client]]:
    """A client of a server that answers a method and a path as it is told."""
    servers = []

    def start(script: Script) -> Client:
        class Answers(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                status, body = script(self.command, self.path)
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_POST = do_PATCH = do_DELETE = do_GET

            def log_message(self, format: str, *arguments: object) -> None:
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        return connect({"host": f"http://127.0.0.1:{server.server_port}", "api_key": "k"})

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def a_list(*names: str, token: str = "") -> bytes:
    items = [{"metadata": {"namespace": "n", "name": name}} for name in names]
    return json.dumps({"apiVersion": "v1", "kind": "PodList", "metadata": {"continue": token}, "items": items}).encode()


ODD = {
    "html": b"<html><title>Sign in</title></html>",
    "empty": b"",
    "object": b"{}",
    "cut": b'{"apiVersion": "v1", "kind": "PodList", "items": [{"metadata": {"na',
    "null": b'{"apiVersion": "v1", "kind": "PodList", "items": null}',
    "other list": b'{"apiVersion": "v1", "kind": "SecretList", "items": []}',
    "other version": b'{"apiVersion": "v2", "kind": "PodList", "items": []}',
    "texts": b'{"apiVersion": "v1", "kind": "PodList", "items": ["a"]}',
    "nameless": b'{"apiVersion": "v1", "kind": "PodList", "items": [{"metadata": {}}]}',
    "of azure": b'{"value": []}',
    "other object": b'{"apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": "n", "name": "other"}}',
    "elsewhere": b'{"apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": "m", "name": "p"}}',
    "success elsewhere": b'{"apiVersion": "v1", "kind": "Status", "metadata": {}, "status": "Success", '
    b'"details": {"name": "other", "kind": "pods"}}',
    "success null": b'{"apiVersion": "v1", "kind": "Status", "metadata": null, "status": "Success", '
    b'"details": {"name": "p", "kind": "pods"}}',
    "success of nothing": b'{"apiVersion": "v1", "kind": "Status", "metadata": {}, "status": "Success"}',
}


@pytest.mark.parametrize("body", ODD.values(), ids=ODD)
@pytest.mark.parametrize("status", [200, 203, 302, 404])
def test_odd_answers_are_refused(
    answering: Callable[[Script], Client], body: bytes, status: int, capfd: pytest.CaptureFixture[str]
) -> None:
    client = answering(lambda _method, _path: (status, body))
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": "n", "name": "p"}}
    asked: list[Callable[[], object]] = [
        *(lambda: client.list_all(POD), lambda: client.get(POD, "n", "p"), lambda: client.create(POD, "n", pod)),
        *(lambda: client.apply(POD, pod), lambda: client.merge(POD, "n", "p", {})),
        *(lambda: client.delete(POD, "n", "p"), lambda: client.kinds_of("policy/v1"), lambda: client.kinds_of("v1")),
        *(lambda: client.service_account_token("n", "p", "a"), lambda: client.may("get", POD)),
        lambda: client.list_all(AZURE_IDENTITY),
    ]
    if (status, body) != (200, ODD["success of nothing"]):  # the true answer to an eviction
        asked.append(lambda: client.evict("n", "p", "u"))
    for ask in asked:
        with pytest.raises(Failure, match=f"answered {status} with ") as caught:
            ask()
        assert not getattr(caught.value, "missing", "")
    assert capfd.readouterr() == ("", "")


def test_a_kind_is_unknown_where_the_server_lists_it_nowhere(answering: Callable[[Script], Client]) -> None:
    groups: dict[str, Any] = {"kind": "APIGroupList", "groups": []}
    listed: dict[str, Any] = {"kind": "APIResourceList", "groupVersion": "aadpodidentity.k8s.io/v1", "resources": []}

    def script(_method: str, path: str) -> tuple[int, bytes]:
        if path == "/apis":
            return 200, json.dumps(groups).encode()
        if path == "/apis/aadpodidentity.k8s.io/v1" and groups["groups"]:
            return 200, json.dumps(listed).encode()
        return 404, b"404 page not found\n"

    client = answering(script)

    def missing() -> bool:
        with pytest.raises(Failure) as caught:
            client.list_all(AZURE_IDENTITY)
        assert isinstance(caught.value, ApiFailure)
        return caught.value.kind_missing

    assert missing() and client.kinds_of("aadpodidentity.k8s.io/v1") == frozenset()
    groups["groups"] = [{"name": "aadpodidentity.k8s.io", "versions": [{"groupVersion": "aadpodidentity.k8s.io/v1"}]}]
    assert missing()
    listed["resources"] = [{"name": "azureidentities", "kind": "AzureIdentity"}]
    assert client.kinds_of("aadpodidentity.k8s.io/v1") == {"AzureIdentity"}
    assert not missing()  # it is served, so the 404 was somebody else's


def test_pages_end(answering: Callable[[Script], Client]) -> None:
    pages = {"": a_list("a", "b", token="1"), "1": a_list("b", "c", token="2"), "2": a_list("d")}

    def script(_method: str, path: str) -> tuple[int, bytes]:
        return 200, pages[path.partition("continue=")[2]]

    client = answering(script)
    assert [each["metadata"]["name"] for each in client.list_all(POD)] == ["a", "b", "c", "d"]
    for again in ("1", "2"):
        pages["2"] = a_list("d", token=again)
        with pytest.raises(Failure, match="without an end"):
            client.list_all(POD)
