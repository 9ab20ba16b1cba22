# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Building things into the cache, one after the other, while somebody watches.

A terminal gets one moving line, anything else a line every half minute.
"""

from __future__ import annotations

import contextlib
import fcntl
import math
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import IO, TextIO

from azsandbox import paths

_TICK = 1.0  # seconds between two states of the line on a terminal
_LINE = 30.0  # seconds between two lines elsewhere
_EARLY = 0.05  # of the packages; before that, nothing can be said about the rest


class BuildError(Exception):
    """Something could not be built; the message is one for people."""


@dataclass(frozen=True)
class Packages:
    """What a compiler still has to do: it logs the name of each package when it comes to it."""

    names: frozenset[str]
    log: Path
    begun: float  # on the monotonic clock

    def done(self) -> int:
        return len(self.names.intersection(self.log.read_text(errors="replace").splitlines()))


@dataclass
class Work:
    """An item while it is made."""

    log: Path
    packages: Packages | None = None  # for who makes it to say

    def compiles(self, names: Iterable[str]) -> None:
        """From now on these packages are compiled."""
        self.packages = Packages(frozenset(names), self.log, time.monotonic())


@dataclass(frozen=True)
class Item:
    """One thing that is built once. What make leaves is whole, or done() stays false."""

    title: str
    done: Callable[[], bool]
    make: Callable[[Work], None]


def build(items: Sequence[Item], out: TextIO | None = None) -> None:
    """Make what is not done, in order, and say nothing about what is.

    Raises BuildError on the first item that fails. Only one process makes an item at a time; others wait for it and
    then find it done.
    """
    out = out or sys.stderr
    missing = [item for item in items if not item.done()]
    with _ended_by_sigterm():
        for number, item in enumerate(missing, 1):
            label = f"[{number:>{len(str(len(missing)))}}/{len(missing)}] {item.title}"
            with _lock(item.title, out):
                if item.done():
                    print(f"{label} ... ready", file=out, flush=True)
                    continue
                work = Work(_log(item.title))
                with _clock(label, work, out):
                    item.make(work)
            if not item.done():
                raise BuildError(f"{item.title}: the build ended well, but left nothing that can be used.")


def output(command: Sequence[str | Path], log: Path, *, cwd: Path, env: Mapping[str, str]) -> str:
    """What a command writes to its standard output; for the rest see run."""
    with tempfile.TemporaryFile("w+") as stream:
        run(command, log, cwd=cwd, env=env, stdout=stream)
        stream.seek(0)
        return stream.read()


def run(
    command: Sequence[str | Path],
    log: Path,
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdout: IO[str] | None = None,
) -> None:
    """Run a command with its output appended to log. Raises BuildError with the end of the log if it fails."""
    with log.open("a") as stream:
        print("$", *command, file=stream, flush=True)
        process = None
        try:
            with _signals_wait():
                # In a session of its own, so that its children can be ended with it.
                process = subprocess.Popen(
                    command,
                    cwd=cwd,
                    env=env,
                    stdin=subprocess.DEVNULL,
                    stdout=stdout or stream,
                    stderr=stream,
                    start_new_session=True,
                )
            status = process.wait()
        except OSError as error:
            raise BuildError(f"{command[0]} could not be started: {error.strerror}.") from error
        except BaseException:
            if process:
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
def _signals_wait() -> Iterator[None]:
    """Let SIGTERM and SIGINT act at the end of the block: a process that is just being started would be lost."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    received: list[int] = []
    before = {
        number: signal.signal(number, lambda number, frame: received.append(number))
        for number in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    for each in received:
        signal.raise_signal(each)


@contextlib.contextmanager
def _clock(label: str, work: Work, out: TextIO) -> Iterator[None]:
    """Say label now and how long the block took at its end, and in between where it is."""
    start = time.monotonic()
    ended = threading.Event()
    terminal = out.isatty()

    def say(words: str, *, last: bool = False) -> None:
        line = f"{label} ... {words}".rstrip()
        if terminal:
            width = (os.get_terminal_size(out.fileno()).columns or 80) - 1
            line = f"\r{line[:width]:<{width}}"
        print(line, end="\n" if last or not terminal else "", file=out, flush=True)

    def tick() -> None:
        while not ended.wait(_TICK if terminal else _LINE):
            say(_standing(work, start, time.monotonic()))

    say("")
    ticker = threading.Thread(target=tick, daemon=True)
    ticker.start()
    outcome = "failed after"
    try:
        yield
        outcome = ""
    finally:
        ended.set()
        ticker.join()
        say(f"{outcome} {_duration(time.monotonic() - start)}".lstrip(), last=True)


def _standing(work: Work, start: float, now: float) -> str:
    """How far the work is: 1210 of 2817 packages, 1 min 35 s, about 2 min left."""
    elapsed = _duration(now - start)
    if work.packages is None:
        return elapsed
    done, total = work.packages.done(), len(work.packages.names)
    words = f"{done} of {total} packages, {elapsed}"
    if done == total:
        return f"{words}, linking"
    if done < total * _EARLY:
        return words
    left = (now - work.packages.begun) / done * (total - done)
    return f"{words}, about {_duration(60 * round(left / 60) if left > 90 else 10 * math.ceil(left / 10))} left"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return " ".join(f"{number} {unit}" for number, unit in ((minutes, "min"), (rest, "s")) if number) or "0 s"
