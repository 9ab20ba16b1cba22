# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a run has left what nobody but its operator may read: a search for marks that stand for secrets."""

from __future__ import annotations

import base64
import binascii
import gzip
import io
import json
import os
import re
import secrets
import threading
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from operators import Operator, Run

from azsandbox import paths

OWN = "own"
"""Folder of the operator's directory for files of the test itself, which hold secrets on purpose."""
_OF_OPERATOR = ("vars.json", "play.yml", "hosts.yml")
"""What the class Operator writes into that directory."""
_TOKEN = re.compile(rb"eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{20,}")
_ENCODED = re.compile(rb"[A-Za-z0-9+/]{40,}={0,2}")
_DEPTH = 4
_LONGEST = 32 * 1024 * 1024
_BETWEEN = 0.03
"""Seconds from one look at all processes to the next."""
_LOGS_EVERY = 6
"""Looks at processes for one at the logs of pods, which go with their pods."""
_SHARED = (Path("/tmp"), Path("/var/tmp"), Path("/dev/shm"))
"""Folders of the workstation that are the machine's."""
_OF_NODES = ("tmp", "var/tmp", "root", "home", "var/lib/waagent")


def mark() -> str:
    """A text that is nowhere by chance, and that no notation of texts writes differently."""
    return f"planted{secrets.token_hex(12)}"


@dataclass(frozen=True)
class Marks:
    """What is searched for, by names for people."""

    _needles: dict[str, list[bytes]] = field(default_factory=dict)

    def plant(self, name: str, value: str = "") -> str:
        """A new mark, or a secret that somebody else made."""
        value = value or mark()
        self._needles[name] = [value.encode(), value.encode().hex().encode(), *_in_base64(value.encode())]
        return value

    def found(self, data: bytes) -> set[str]:
        """Names of the marks in the data, whether as they are, in base64 or hexadecimal, or packed."""
        names = set()
        for text in _unpacked(data):
            if _TOKEN.search(text):
                names.add("token")
            names |= {name for name, needles in self._needles.items() if any(each in text for each in needles)}
        return names


def _in_base64(value: bytes) -> Iterator[bytes]:
    """The value wherever in an encoded text it stands."""
    for before in range(3):
        encoded = base64.b64encode(bytes(before) + value)
        whole = (before + len(value)) // 3 * 4
        yield encoded[(0, 2, 3)[before] : whole]


def _unpacked(data: bytes, depth: int = _DEPTH) -> Iterator[bytes]:
    """The data, and what is compressed or archived in it, also where that stands in base64 in it."""
    yield data
    if not depth:
        return
    for each in _opened(data):
        yield from _unpacked(each, depth - 1)
    for encoded in set(_ENCODED.findall(data)):
        whole = encoded.rstrip(b"=")
        try:
            inner = base64.b64decode(whole[: len(whole) // 4 * 4])
        except binascii.Error:
            continue
        # Of helm's records the inner text is in base64 once more.
        if inner.startswith((b"\x1f\x8b", b"PK\3\4", b"\x78", b"H4sI")):
            yield from _unpacked(inner, depth - 1)


def _opened(data: bytes) -> Iterator[bytes]:
    try:
        if data.startswith(b"\x1f\x8b"):
            yield gzip.decompress(data)
        elif data.startswith(b"PK\3\4"):
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                yield from (archive.read(name) for name in archive.namelist())
        elif data.startswith(b"\x78"):
            yield zlib.decompress(data)
    except (OSError, EOFError, zlib.error, zipfile.BadZipFile):
        return


class Watch:
    """Looks at a sandbox while the block runs, and searches when it has ended."""

    def __init__(self, operator: Operator, marks: Marks, places: Iterable[Path]) -> None:
        self._operator = operator
        self._marks = marks
        self._places = tuple(places)
        self._state = paths.state(operator.sandbox.name)
        self._processes: set[bytes] = set()
        self._logs: dict[str, bytes] = {}
        self._over = threading.Event()
        self._looks = 0
        self._shared: set[Path] = set()
        self._audited: dict[Path, int] = {}
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Watch:
        self._shared = _in_shared()
        self._audited = {path: path.stat().st_size for path in self._audit_logs()}
        self._operator.forget_requests()
        self._thread.start()
        return self

    def __exit__(self, *_ended: object) -> None:
        self._over.set()
        self._thread.join()

    def search(self, run: Run) -> list[str]:
        """Which mark is found where, after the block has ended."""
        assert self._looks > 20 and self._processes, "nothing was looked at"
        found = set()
        for place, data in self._seen(run):
            found |= {f"{name} in {place}" for name in self._marks.found(data)}
        return sorted(found)

    def _seen(self, run: Run) -> Iterator[tuple[str, bytes]]:
        yield "the output", run.output.encode()
        yield "results of tasks", json.dumps(run.records).encode()
        for arguments in self._processes:
            yield f"the arguments of a process: {_begin(arguments)}", arguments
        for path, data in self._logs.items():
            yield f"the log of pod {path}", data
        yield from self._files()
        yield from self._requests()
        for entry in self._audit():
            yield f"the audit log: {entry['verb']} {entry['requestURI'][:120]}", json.dumps(entry).encode()
        events = self._operator.kubectl("get", "events", "-A")["items"] if self._audit_logs() else []
        for each in events:
            yield f"the event {each['reason']} of {each['involvedObject'].get('name')}", json.dumps(each).encode()

    # While it runs

    def _look(self) -> None:
        while not self._over.wait(_BETWEEN):
            self._processes.update(_arguments())
            if self._looks % _LOGS_EVERY == 0:
                self._look_at_logs()
            self._looks += 1
        self._look_at_logs()

    def _look_at_logs(self) -> None:
        for root in self._nodes():
            for path in _walk(root / "var/log/pods"):
                name = str(path.relative_to(root / "var/log/pods"))
                data = _read(path)
                if len(data) > len(self._logs.get(name, b"")):
                    self._logs[name] = data

    # What it left

    def _nodes(self) -> list[Path]:
        """Root directories of the nodes, as their first processes have them."""
        return [
            Path(f"/proc/{process}/root")
            for process, arguments in _by_process()
            if b"/opt/bin/node-init" in arguments.split(b"\0")
            and self._operator.sandbox.name.encode() in _read(Path(f"/proc/{process}/cgroup"))
        ]

    def _files(self) -> Iterator[tuple[str, bytes]]:
        for path in self._new_files():
            yield f"the file {path}", _read(path)
            yield f"the name of the file {path}", str(path).encode()
        nodes = self._nodes()
        for root in nodes:
            for path in (each for folder in _OF_NODES for each in _walk(root / folder)):
                yield f"a file of a node: /{path.relative_to(root)}", _read(path)

    def _new_files(self) -> Iterator[Path]:
        home, directory = self._state / "home", self._operator.directory
        for path in _walk(home):
            # Where az keeps its login, and where the workstation has its keys to nodes.
            if path.relative_to(home).parts[0] not in (".azure-cli", ".ssh"):
                yield path
        for path in _walk(directory):
            name = path.relative_to(directory).parts[0]
            if name != OWN and name not in _OF_OPERATOR:
                yield path
        for place in (self._state / "tmp", *self._places):
            yield from _walk(place)
        for path in _in_shared() - self._shared:
            yield from _walk(path) or [path]

    def _requests(self) -> Iterator[tuple[str, bytes]]:
        log = self._operator.sandbox.run("azure", "log", "--host", "management.azure.com", "--json")
        for entry in map(json.loads, log.splitlines()):
            whole = f"{entry['url']}\n{entry['raw_body']}".encode()
            yield f"a request to ARM: {entry['method']} {entry['path']}", whole

    def _audit_logs(self) -> list[Path]:
        return sorted((self._state / "logs").glob("cluster-*/audit.log"))

    def _audit(self) -> Iterator[dict[str, Any]]:
        for path in self._audit_logs():
            with path.open("rb") as log:
                log.seek(self._audited.get(path, 0))
                for line in log.read().splitlines():
                    entry: dict[str, Any] = json.loads(line)
                    # The test itself asks with kubectl, nothing of the collection does.
                    if not entry.get("userAgent", "").startswith("kubectl/"):
                        yield entry


def _begin(arguments: bytes) -> str:
    return arguments.replace(b"\0", b" ")[:80].decode(errors="replace")


def _by_process() -> Iterator[tuple[str, bytes]]:
    for path in Path("/proc").iterdir():
        if path.name.isdigit():
            yield path.name, _read(path / "cmdline")


def _arguments() -> Iterator[bytes]:
    return (arguments for _process, arguments in _by_process() if arguments)


def _in_shared() -> set[Path]:
    return {path for folder in _SHARED for path in folder.iterdir()}


def _walk(place: Path) -> list[Path]:
    """The files below, as far as they stay until they are listed."""
    return [Path(folder, name) for folder, _folders, names in os.walk(place) for name in names]


def _read(path: Path) -> bytes:
    """What is in the file; nothing where it is gone, or is no file, or a link that leads elsewhere."""
    try:
        if not path.is_file() or path.is_symlink():
            return b""
        with path.open("rb") as file:
            return file.read(_LONGEST)
    except OSError:
        return b""
