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
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jobs import PRIVATE
from operators import Operator, Run

from azsandbox import paths

OWN = "own"
"""Folder of the operator's directory for files of the test itself, which hold secrets on purpose."""
LOOKS = "looks"
"""File in it with the number of looks at processes so far. What is there for two of them is seen by one."""
_OF_OPERATOR = ("vars.json", "play.yml", "hosts.yml", "objects.json", f"{PRIVATE}/env")
"""What the class Operator writes into that directory, and RunnerOperator."""
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

    def found(self, data: bytes, tenant: str = "") -> set[str]:
        """Names of the marks in the data, whether as they are, in base64 or hexadecimal, or packed.

        A token is one too; with ``tenant`` only one that it has issued.
        """
        names = set()
        for text in _unpacked(data):
            if any(tenant.encode() in _claims(each) for each in _TOKEN.findall(text)):
                names.add("token")
            names |= {name for name, needles in self._needles.items() if any(each in text for each in needles)}
        return names


def _claims(token: bytes) -> bytes:
    payload = token.split(b".")[1]
    try:
        return base64.urlsafe_b64decode(payload + b"=" * (-len(payload) % 4))
    except binascii.Error:
        return b""


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
        account = json.loads((self._state / "principals/operator.json").read_text())
        self._tenant: str = account["tenant_id"]
        self._processes: dict[bytes, bool] = {}
        """Arguments, and whether they are of the sandbox."""
        self._logs: dict[str, bytes] = {}
        self._over = threading.Event()
        self._looks = 0
        self._counted = operator.directory / OWN / LOOKS
        self._shared: set[Path] = set()
        self._audited: dict[Path, int] = {}
        self._thread = ThreadPoolExecutor(1)
        self._looking: Future[None] | None = None

    def __enter__(self) -> Watch:
        self._shared = _in_shared()
        self._audited = {path: path.stat().st_size for path in self._audit_logs()}
        self._operator.forget_requests()
        self._looking = self._thread.submit(self._look)
        return self

    def __exit__(self, *_ended: object) -> None:
        self._over.set()
        with self._thread:
            assert self._looking
            self._looking.result()

    def search(self, run: Run) -> list[str]:
        """Which mark is found where, after the block has ended."""
        assert any(b"ansible-playbook" in each for each, ours in self._processes.items() if ours), "no play was seen"
        found = set()
        for place, data in self._of_sandbox(run):
            found |= {f"{name} in {place}" for name in self._marks.found(data)}
        for place, data in self._of_machine():
            found |= {f"{name} in {place}" for name in self._marks.found(data, self._tenant)}
        return sorted(found)

    def _of_machine(self) -> Iterator[tuple[str, bytes]]:
        """Where others leave their own tokens, too."""
        for arguments, ours in self._processes.items():
            if not ours:
                yield f"the arguments of a process: {_begin(arguments)}", arguments
        for place in _in_shared() - self._shared:
            for path in _walk(place) or [place]:
                yield from _of_file(path)

    def _of_sandbox(self, run: Run) -> Iterator[tuple[str, bytes]]:
        yield "the output", run.output.encode()
        yield "results of tasks", json.dumps(run.records).encode()
        for arguments, ours in self._processes.items():
            if ours:
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
            for process, arguments in _by_process():
                if arguments and arguments not in self._processes:
                    self._processes[arguments] = self._is_of_sandbox(process)
            if self._looks % _LOGS_EVERY == 0:
                self._look_at_logs()
            self._looks += 1
            part = self._counted.with_suffix(".part")
            part.write_text(f"{self._looks}\n")
            part.replace(self._counted)
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
            if b"/opt/bin/node-init" in arguments.split(b"\0") and self._is_of_sandbox(process)
        ]

    def _is_of_sandbox(self, process: str) -> bool:
        return self._operator.sandbox.name.encode() in _read(Path(f"/proc/{process}/cgroup"))

    def _files(self) -> Iterator[tuple[str, bytes]]:
        for path in self._new_files():
            yield from _of_file(path)
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
            place = path.relative_to(directory)
            if not any(place.is_relative_to(each) for each in (OWN, *_OF_OPERATOR)):
                yield path
        for place in (self._state / "tmp", *self._places):
            yield from _walk(place)

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


def _of_file(path: Path) -> Iterator[tuple[str, bytes]]:
    yield f"the file {path}", _read(path)
    yield f"the name of the file {path}", str(path).encode()


def _begin(arguments: bytes) -> str:
    return arguments.replace(b"\0", b" ")[:80].decode(errors="replace")


def _by_process() -> Iterator[tuple[str, bytes]]:
    for path in Path("/proc").iterdir():
        if path.name.isdigit():
            yield path.name, _read(path / "cmdline")


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
