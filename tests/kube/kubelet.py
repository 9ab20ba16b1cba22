# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What of a kubelet the API server asks for logs, which it gives as kubelets do.

They are lines of tests with their age, or the file into which a program writes.
"""

from __future__ import annotations

import contextlib
import re
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

Key = tuple[str, str, bool]
# The beginning of a line of MIC and NMI: severity, month and day, time.
_STAMP = re.compile(rb"[IWEF](\d\d)(\d\d) (\d\d):(\d\d):(\d\d)\.(\d{6}) ")


@dataclass
class Kubelet:
    """``logs`` by namespace and pod, and whether they are of the run before: bytes, and how old they are; ``files``
    in the same way.

    ``asked``: whose logs were asked for. ``sent``: bytes that were.
    """

    port: int
    logs: dict[Key, tuple[bytes, timedelta]] = field(default_factory=dict)
    files: dict[Key, Path] = field(default_factory=dict)
    asked: list[Key] = field(default_factory=list)
    sent: int = 0

    def write(
        self, namespace: str, pod: str, text: str | bytes, *, previous: bool = False, age: timedelta = timedelta()
    ) -> None:
        self.logs[namespace, pod, previous] = (text.encode() if isinstance(text, str) else text, age)

    def read(self, key: Key, options: dict[str, str]) -> bytes | None:
        """What of a log is asked for: the last lines, as many as are young enough, and of these the first bytes."""
        self.asked.append(key)
        now = datetime.now(UTC)
        if key in self.files:
            lines = list(_written(self.files[key], now))
        elif key in self.logs:
            text, age = self.logs[key]
            lines = [(now - age, line) for line in text.splitlines(keepends=True)]
        else:
            return None
        if "sinceSeconds" in options:
            oldest = now - timedelta(seconds=int(options["sinceSeconds"]))
            lines = [(time, line) for time, line in lines if time >= oldest]
        if "tailLines" in options:
            lines = lines[-int(options["tailLines"]) :]
        stamped = options.get("timestamps") == "true"
        found = b"".join(_stamp(time) + line if stamped else line for time, line in lines)
        found = found[: int(options.get("limitBytes", 2**62))]
        self.sent += len(found)
        return found


def _written(path: Path, now: datetime) -> Iterator[tuple[datetime, bytes]]:
    """The lines of a file that MIC or NMI writes now, each with when it was written: some say that themselves."""
    time = datetime.fromtimestamp(path.stat().st_ctime, UTC)
    for line in path.read_bytes().splitlines(keepends=True):
        if found := _STAMP.match(line):
            month, day, hour, minute, second, part = map(int, found.groups())
            time = datetime(now.year - (month > now.month), month, day, hour, minute, second, part, UTC)
        yield time, line


def _stamp(time: datetime) -> bytes:
    return time.strftime("%Y-%m-%dT%H:%M:%S.%f000Z ").encode()


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
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield kubelet
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
