# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Long waits outlive an API server that does not answer for a moment, and nothing else."""

from __future__ import annotations

import contextlib
import dataclasses
import socket
import threading
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.errors import Failure
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.kinds import Object
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.wait import wait_for
from ansible_collections.azureops.pod_identity.tests.support.api_server import NAMESPACE, RESTRICTED, ApiServer


class Way:
    """A way to the API server on which the next ``broken`` connections are closed before anything is said."""

    def __init__(self, target: tuple[str, int]) -> None:
        self.broken = 0
        self._target = target
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"https://127.0.0.1:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._socket.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):  # the socket is closed
            while True:
                client, _address = self._socket.accept()
                if self.broken:
                    self.broken -= 1
                    client.close()
                    continue
                server = socket.create_connection(self._target)
                for source, sink in ((client, server), (server, client)):
                    threading.Thread(target=_pump, args=(source, sink), daemon=True).start()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError), source, sink:
        while data := source.recv(65536):
            sink.sendall(data)


@pytest.fixture
def way(api_server: ApiServer) -> Iterator[Way]:
    address = urlsplit(api_server.url)
    made = Way((str(address.hostname), int(address.port or 0)))
    yield made
    made.close()


def test_a_wait_outlives_connections_that_break(api_server: ApiServer, way: Way) -> None:
    client = dataclasses.replace(api_server, url=way.url).client()
    way.broken = 3
    seen = wait_for(lambda: client.get(NAMESPACE, None, "default"), timeout=30, pause=0.05)
    assert seen is not None and seen["metadata"]["name"] == "default"
    assert way.broken == 0


def test_a_wait_ends_with_the_reason_where_nothing_is_ever_seen(api_server: ApiServer, way: Way) -> None:
    client = dataclasses.replace(api_server, url=way.url).client()
    way.broken = 10_000
    with pytest.raises(Failure, match="cannot be reached") as raised:
        wait_for(lambda: client.get(NAMESPACE, None, "default"), timeout=0.5, pause=0.05)
    assert raised.value.temporary
    assert way.broken < 9_999


def test_a_refusal_ends_a_wait_at_once(api_server: ApiServer) -> None:
    client = api_server.client(RESTRICTED)
    looks = 0

    def look() -> Object | None:
        nonlocal looks
        looks += 1
        return client.get(NAMESPACE, None, "default")

    with pytest.raises(Failure, match="may not get"):
        wait_for(look, timeout=30, pause=0.05)
    assert looks == 1
