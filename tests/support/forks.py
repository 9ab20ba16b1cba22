# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Processes that begin with what they need loaded: a program loads it once, and forks one for each order.

A line of its standard input is an order (JSON): what the program needs for it, ``seconds``, and a ``folder`` with
named pipes: to ``began`` goes the id of the process, and to ``ended`` its exit code when ``stdout`` and ``stderr`` lie
beside it. It ends with its input.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any, NoReturn

from ansible_collections.azureops.pod_identity.tests.support import kill_modes as deaths

CHECKOUT = Path(__file__).resolve().parents[2]
COLLECTION = "ansible_collections.azureops.pod_identity"
KILLED = -signal.SIGKILL
_READY = "ready\n"
_ordering = threading.Lock()
_orders: dict[tuple[Path, frozenset[tuple[str, str]]], IO[str]] = {}


class Running:
    """A process that was ordered, as subprocess.Popen is for one that was started; ``communicate`` gives its output."""

    def __init__(self, program: Path, environment: Mapping[str, str], order: Mapping[str, Any], seconds: int) -> None:
        """``program`` calls `serve`. It is started with ``environment`` unless this process has started it so before.

        What takes longer is KILLED with all that it has started.
        """
        self.returncode: int | None = None
        self._folder = tempfile.TemporaryDirectory()
        self._place = Path(self._folder.name)
        for name in ("began", "ended"):
            os.mkfifo(self._place / name)
        with _ordering:  # tests give orders in threads, too
            key = program, frozenset(environment.items())
            if key not in _orders:
                _orders[key] = _start(program, environment)
            print(json.dumps({**order, "folder": self._folder.name, "seconds": seconds}), file=_orders[key], flush=True)
        self.pid = int((self._place / "began").read_text())
        self._waiting = threading.Thread(target=self._end, daemon=True)
        self._waiting.start()

    def _end(self) -> None:
        self.returncode = int((self._place / "ended").read_text())

    def poll(self) -> int | None:
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        self._waiting.join(timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired("an order", timeout or 0)
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        self.wait(timeout)
        output = (self._place / "stdout").read_text(), (self._place / "stderr").read_text()
        self._folder.cleanup()
        return output


def run(program: Path, environment: Mapping[str, str], order: Mapping[str, Any], seconds: int) -> tuple[int, str, str]:
    """Exit code, standard output and standard error; see `Running`."""
    running = Running(program, environment, order, seconds)
    output = running.communicate()
    return running.wait(), *output


def _start(program: Path, environment: Mapping[str, str]) -> IO[str]:
    pipe = subprocess.PIPE
    running = subprocess.Popen([sys.executable, str(program)], stdin=pipe, stdout=pipe, env=environment, text=True)
    assert running.stdin and running.stdout
    assert running.stdout.readline() == _READY
    return running.stdin


def load(*libraries: str) -> None:
    """Import libraries of others, then the modules of the collection with what they use."""
    own = [
        ".".join((COLLECTION, *file.relative_to(CHECKOUT).with_suffix("").parts))
        for part in ("module_utils", "modules")
        for file in sorted((CHECKOUT / "plugins" / part).rglob("*.py"))
    ]
    for name in (*libraries, *own):
        with contextlib.suppress(ImportError):  # what is missing is told by what needs it
            importlib.import_module(name)


def serve(work: Callable[[dict[str, Any]], object]) -> None:
    """Do what is ordered, each in a process of its own whose output goes to the files of its order."""
    gc.freeze()  # what is shared with the processes that are forked
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # supervisors end unseen
    print(_READY, end="", flush=True)
    for line in sys.stdin:
        if os.fork() == 0:
            _supervise(json.loads(line), work)
            break


def _supervise(order: dict[str, Any], work: Callable[[dict[str, Any]], object]) -> None:
    """Have it done in another process, and tell how that ended."""
    folder = Path(order["folder"])
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    child = os.fork()
    if child == 0:
        _redirect(folder)
        _end(lambda: work(order))
    (folder / "began").write_text(str(child))
    signal.signal(signal.SIGALRM, lambda _number, _frame: deaths.strike(child, deaths.ALL))
    signal.alarm(order["seconds"])
    _pid, status = os.waitpid(child, 0)
    (folder / "ended").write_text(str(os.waitstatus_to_exitcode(status)))
    os._exit(0)


def _redirect(folder: Path) -> None:
    for number, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), number)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    sys.stdin = open(0, closefd=False)  # not what was read of the orders that follow


def _end(job: Callable[[], object]) -> NoReturn:
    """Do it and end as a program does, but leave the memory that is shared with the first process untouched."""
    code: object = 0
    try:
        job()
    except SystemExit as error:
        code = error.code or 0
    except BaseException:
        traceback.print_exc()
        code = 1
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else 1)
