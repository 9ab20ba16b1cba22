# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What of a kubelet the API server asks for logs: it keeps lines with their age, and gives them as kubelets do."""

from __future__ import annotations

import contextlib
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

Key = tuple[str, str, bool]


@dataclass
class Kubelet:
    """``logs`` by namespace and pod, and whether they are of the run before: bytes, and how old they are.

    ``asked``: whose logs were asked for. ``sent``: bytes that were.
    """

    port: int
    logs: dict[Key, tuple[bytes, timedelta]] = field(default_factory=dict)
    asked: list[Key] = field(default_factory=list)
    sent: int = 0

    def write(
        self, namespace: str, pod: str, text: str | bytes, *, previous: bool = False, age: timedelta = timedelta()
    ) -> None:
        self.logs[namespace, pod, previous] = (text.encode() if isinstance(text, str) else text, age)

    def read(self, key: Key, options: dict[str, str]) -> bytes | None:
        """What of a log is asked for: the last lines, as many as are young enough, and of these the first bytes."""
        self.asked.append(key)
        if key not in self.logs:
            return None
        text, age = self.logs[key]
        if "sinceSeconds" in options and age > timedelta(seconds=int(options["sinceSeconds"])):
            text = b""
        lines = text.splitlines(keepends=True)
        if "tailLines" in options:
            lines = lines[-int(options["tailLines"]) :]
        if options.get("timestamps") == "true":
            stamp = (datetime.now(UTC) - age).strftime("%Y-%m-%dT%H:%M:%S.123456789Z ").encode()
            lines = [stamp + line for line in lines]
        found = b"".join(lines)[: int(options.get("limitBytes", 2**62))]
        self.sent += len(found)
        return found


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Kubelet]:
    """One that ends with the block; the certificate of the API server in the folder serves it too."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            url = urlsplit(self.path)
            parts = url.path.strip("/").split("/")
            options = {name: values[-1] for name, values in parse_qs(url.query).items()}
            found = None
            if len(parts) == 4 and parts[0] == "containerLogs":
                found = kubelet.read((parts[1], parts[2], options.get("previous") == "true"), options)
            body = b"previous terminated container not found" if found is None else found
            self.send_response(400 if found is None else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                self.wfile.write(body)

        def log_message(self, *_arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "ca.pem", folder / "key.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    kubelet = Kubelet(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield kubelet
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
