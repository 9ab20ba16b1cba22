# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The client: as whom it asks, what it waits for, which connections it keeps."""

from __future__ import annotations

import http.server
import multiprocessing
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.errors import Failure
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.client import AT_ONCE, connect
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.kinds import POD


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
