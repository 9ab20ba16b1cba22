# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What stands between clients and an API server, and leaves one of their writes without an answer.

Tests use it in their own process. As a program it stands at the workstation of a sandbox, where this collection is not:

    gates.py API_SERVER CA CERTIFICATE KEY FOLDER [--at N] [--after]

FOLDER gets files: `url`, where it listens, `writes`, a line for each, and `reached` once the write number N is held.
With SIGUSR1 it is held no longer, and gets no answer.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import http.server
import re
import selectors
import signal
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

LEASES = "/apis/coordination[.]k8s[.]io/"
BUT_LEASES = f"^(?!.*{LEASES})"
"""Those keep the cluster for a run, and change nothing of what it manages."""


class Gate:
    """Counts what clients write, and leaves one write without an answer.

    Dry runs are passed, and questions that are asked by a POST. A command in a container is a write. Those that count
    are ``chosen`` by method and path. Of them number ``at`` is held, with ``after`` once the API server has done it;
    number 0 is never reached.
    """

    def __init__(self, server: str, ca: Path, at: int = 0, *, after: bool = False, chosen: str = BUT_LEASES) -> None:
        self.server = urlsplit(server).netloc
        self.at, self.after, self.chosen = at, after, chosen
        self.reached, self.over = threading.Event(), threading.Event()
        self.url = ""
        self.writes: list[str] = []
        self.context = ssl.create_default_context(cafile=str(ca))
        self._lock = threading.Lock()

    def number(self, method: str, path: str, body: bytes) -> int:
        """Of this request among the writes; 0 where it is none."""
        reads = method == "GET" and not _COMMAND.search(path)
        if reads or "dryRun=" in path or b'"dryRun"' in body or _PASSED.search(path):
            return 0
        write = f"{method} {path.partition('?')[0]}"
        if not re.search(self.chosen, write):
            return 0
        with self._lock:
            self.writes.append(write)
            self.wrote(write)
            return len(self.writes)

    def wrote(self, write: str) -> None:
        """Called for each, one after the other."""

    def hold(self) -> None:
        """Until the block is over, or whoever asks was killed."""
        self.reached.set()
        self.over.wait()

    def handler(self) -> type[http.server.BaseHTTPRequestHandler]:
        class Bound(_Passing):
            gate = self

        return Bound


_PASSED = re.compile(r"/apis/(authorization|authentication)\.k8s\.io/")
_COMMAND = re.compile(r"/pods/[^/]+/exec\?")


class _Passing(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    gate: Gate

    def do_GET(self) -> None:
        gate = self.gate
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        number = gate.number(self.command, self.path, body)
        held = number == gate.at > 0
        if held and not gate.after:
            self._hold()
            return
        if self.headers.get("Upgrade"):
            self._tunnel(held)
            return
        far = http.client.HTTPSConnection(gate.server, context=gate.context)
        with contextlib.closing(far), contextlib.suppress(ConnectionError, ssl.SSLError):
            far.request(self.command, self.path, body, dict(self.headers))
            answer = far.getresponse()
            if held:
                self._hold()
                return
            self._answer(answer)

    do_POST = do_PUT = do_PATCH = do_DELETE = do_GET

    def _hold(self) -> None:
        self.gate.hold()
        self.close_connection = True

    def _answer(self, answer: http.client.HTTPResponse) -> None:
        self.send_response_only(answer.status, answer.reason)
        for name, value in answer.getheaders():
            if name.lower() not in ("transfer-encoding", "connection"):
                self.send_header(name, value)
        in_pieces = answer.getheader("Content-Length") is None and answer.status not in (204, 304)
        if in_pieces:
            self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for piece in iter(lambda: answer.read1(65536), b""):
            self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece) if in_pieces else piece)
        if in_pieces:
            self.wfile.write(b"0\r\n\r\n")

    def _tunnel(self, held: bool) -> None:
        """What becomes another protocol; of one that is ``held`` nothing comes back."""
        host, _colon, port = self.gate.server.partition(":")
        self.close_connection = True
        with (
            contextlib.suppress(OSError),
            self.gate.context.wrap_socket(
                socket.create_connection((host, int(port or 443))), server_hostname=host
            ) as far,
        ):
            head = "".join(f"{name}: {value}\r\n" for name, value in self.headers.items())
            far.sendall(f"{self.command} {self.path} HTTP/1.1\r\n{head}\r\n".encode())
            if held:
                self._hold()
                return
            _pass(self.connection, far)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing to say."""


def _pass(near: socket.socket, far: socket.socket) -> None:
    """In both directions, until one end is closed."""
    other = {near: far, far: near}
    with selectors.DefaultSelector() as waiting:
        for each in other:
            waiting.register(each, selectors.EVENT_READ)
        while True:
            for key, _events in waiting.select():
                source: Any = key.fileobj
                piece = source.recv(65536)
                while source.pending():  # which no selector sees
                    piece += source.recv(65536)
                if not piece:
                    return
                other[source].sendall(piece)


@contextlib.contextmanager
def listening(handler: type[http.server.BaseHTTPRequestHandler], certificate: Path, key: Path) -> Iterator[str]:
    """An address of loopback where clients of an API server find this one instead."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    listener = _Listener(("127.0.0.1", 0), handler)
    listener.socket = tls.wrap_socket(listener.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=listener.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield f"https://127.0.0.1:{listener.server_address[1]}"
    finally:
        listener.shutdown()
        listener.server_close()


class _Listener(http.server.ThreadingHTTPServer):
    # A client that never ends its request must not hold up the end of the block.
    daemon_threads, block_on_close = True, False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that was killed; what else goes wrong, the client tells."""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("server")
    for name in ("ca", "certificate", "key", "folder"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--at", type=int, default=0)
    parser.add_argument("--after", action="store_true")
    options = parser.parse_args()
    folder: Path = options.folder

    class Writing(Gate):
        def wrote(self, write: str) -> None:
            with (folder / "writes").open("a") as file:
                file.write(f"{write}\n")

        def hold(self) -> None:
            (folder / "reached").touch()
            super().hold()

    gate = Writing(options.server, options.ca, options.at, after=options.after)
    signal.signal(signal.SIGUSR1, lambda *_received: gate.over.set())
    with listening(gate.handler(), options.certificate, options.key) as url:
        (folder / "url").write_text(url)
        threading.Event().wait()


if __name__ == "__main__":
    main()
