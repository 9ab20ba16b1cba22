# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Orders of a program that has loaded what it needs: how each ends, and what it leaves."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from ansible_collections.azureops.pod_identity.tests.support import forks
from ansible_collections.azureops.pod_identity.tests.support import kill_modes as deaths

PROGRAM = """
import atexit, importlib, os, runpy, subprocess, sys
runpy.run_path({conftest!r})
LOADED = os.getpid()

def work(order):
    atexit.register(print, "at exit")
    assert os.getpid() != LOADED
    print(sys.stdin.read() + order["word"])
    print("error", file=sys.stderr)
    if order["word"] == "hang":
        started = subprocess.Popen(["sleep", "1000"])
        print(started.pid, flush=True)
        started.wait()
    if order["word"] == "raise":
        raise RuntimeError("it broke")
    sys.exit(order["code"])

importlib.import_module("ansible_collections.azureops.pod_identity.tests.support.forks").serve(work)
"""


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "program.py"
    path.write_text(PROGRAM.format(conftest=str(forks.CHECKOUT / "tests/conftest.py")))
    return path


def test_what_it_says_and_how_it_ends(program: Path) -> None:
    assert forks.run(program, os.environ, {"word": "well", "code": 0}, 60) == (0, "well\nat exit\n", "error\n")
    assert forks.run(program, os.environ, {"word": "badly", "code": 3}, 60) == (3, "badly\nat exit\n", "error\n")
    code, output, errors = forks.run(program, os.environ, {"word": "raise", "code": 0}, 60)
    assert (code, output) == (1, "raise\nat exit\n")
    assert errors.endswith("RuntimeError: it broke\n")


def test_what_takes_too_long_is_killed_with_all_that_it_has_started(program: Path) -> None:
    code, output, _errors = forks.run(program, os.environ, {"word": "hang", "code": 0}, 3)
    assert code == forks.KILLED
    word, process = output.split()
    assert word == "hang"
    deaths.end([int(process)], "")  # it has ended, or does within a moment


def test_one_that_runs_is_known_by_its_process(program: Path) -> None:
    running = forks.Running(program, os.environ, {"word": "hang", "code": 0}, 60)
    with pytest.raises(subprocess.TimeoutExpired):
        running.wait(0.1)
    assert running.poll() is None
    deaths.strike(running.pid, deaths.ALL)
    assert running.wait(30) == running.poll() == forks.KILLED
