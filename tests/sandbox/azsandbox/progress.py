# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Building things into the cache, one after the other, while somebody watches."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TextIO

from azsandbox import paths


class BuildError(Exception):
    """Something could not be built; the message is one for people."""


@dataclass(frozen=True)
class Item:
    """One thing that is built once. make gets the path of a log; what it leaves is whole, or done() stays false."""

    title: str
    done: Callable[[], bool]
    make: Callable[[Path], None]


def build(items: Sequence[Item], out: TextIO | None = None) -> None:
    """Make what is not done, in order; one line per item, with the elapsed time ticking where out is a terminal.

    Raises BuildError on the first item that fails. Only one process makes an item at a time; others wait for it and
    then find it done.
    """
    out = out or sys.stderr
    with _ended_by_sigterm():
        for number, item in enumerate(items, 1):
            label = f"[{number:>{len(str(len(items)))}}/{len(items)}] {item.title}"
            with contextlib.nullcontext() if item.done() else _lock(item.title, out):
                if item.done():
                    print(f"{label} ... ready", file=out, flush=True)
                    continue
                with _clock(label, out):
                    item.make(_log(item.title))
            if not item.done():
                raise BuildError(f"{item.title}: the build ended well, but left nothing that can be used.")


def run(
    command: Sequence[str | Path], log: Path, *, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> None:
    """Run a command with its output appended to log. Raises BuildError with the end of the log if it fails."""
    with log.open("a") as stream:
        print("$", *command, file=stream, flush=True)
        try:
            # In a session of its own, so that its children can be ended with it.
            process = subprocess.Popen(
                command,
                cwd=cwd,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                start_new_session=True,
            )
        except OSError as error:
            raise BuildError(f"{command[0]} could not be started: {error.strerror}.") from error
        try:
            status = process.wait()
        except BaseException:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait()
            raise
    if status:
        tail = "\n".join(f"    {line}" for line in log.read_text(errors="replace").splitlines()[-12:])
        raise BuildError(f"{Path(command[0]).name} ended with status {status}. The whole log: {log}\n{tail}")


@contextlib.contextmanager
def whole(target: Path) -> Iterator[Path]:
    """A new directory beside target that becomes target when the block ends well, and is removed when it does not.

    A build that is interrupted in any way therefore leaves nothing under the name of a finished one.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    for stale in target.parent.glob(f".{target.name}.*"):  # of a build that was killed; the lock says that it is over
        shutil.rmtree(stale)
    directory = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        directory.chmod(0o755)
        yield directory
        if target.exists():
            shutil.rmtree(target)
        directory.rename(target)
    except BaseException:
        shutil.rmtree(directory, ignore_errors=True)
        raise


def _log(title: str) -> Path:
    log = _beside(title, ".log")
    log.write_text("")
    return log


def _beside(title: str, ending: str) -> Path:
    paths.LOGS.mkdir(parents=True, exist_ok=True)
    return paths.LOGS / ("".join(c if c.isalnum() or c in ".-" else "-" for c in title) + ending)


@contextlib.contextmanager
def _lock(title: str, out: TextIO) -> Iterator[None]:
    with _beside(title, ".lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            builder = file.read().strip() or "unknown"
            print(f"Waiting for another build of {title} (process {builder}) ...", file=out, flush=True)
            fcntl.flock(file, fcntl.LOCK_EX)
        file.truncate(0)
        print(os.getpid(), file=file, flush=True)
        yield


@contextlib.contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """Let SIGTERM unwind like an exception, so that running commands end and half-built directories go."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        sys.exit(128 + number)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def _clock(label: str, out: TextIO) -> Iterator[None]:
    """Say label now and how long the block took at its end; tick in between on a terminal."""
    start = time.monotonic()
    ended = threading.Event()
    terminal = out.isatty()

    def tick() -> None:
        while not ended.wait(1):
            print(f"\r{label} ... {time.monotonic() - start:.0f} s ", end="", file=out, flush=True)

    print(f"{label} ...", end=" " if terminal else "\n", file=out, flush=True)
    ticker = threading.Thread(target=tick, daemon=True)
    if terminal:
        ticker.start()
    outcome = "failed after"
    try:
        yield
        outcome = ""
    finally:
        ended.set()
        if terminal:
            ticker.join()
        words = f"{outcome} {time.monotonic() - start:.0f} s".strip()
        print(f"\r{label} ... {words} " if terminal else f"{label} ... {words}", file=out, flush=True)
