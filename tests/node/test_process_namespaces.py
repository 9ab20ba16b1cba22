# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a process is gone, as told from other process namespaces of the same machine."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils import _processes

# Keeps the directory, tells its name, and lives until its standard input ends.
_HOLDER = """
import os, sys
import _processes
if len(sys.argv) > 1:
    _processes.keep(sys.argv[1])
if os.fork() == 0:  # a task, which ends and must not take the lock with it
    os._exit(0)
os.wait()
print(_processes.name(os.getpid()), flush=True)
sys.stdin.read()
"""
_ASK = """
import sys
import _processes
print(_processes.ended(sys.argv[1]))
"""
_ALONE = {**os.environ, "PYTHONPATH": str(Path(_processes.__file__).parent)}
_NAMESPACE = ("unshare", "--fork", "--kill-child", "--pid", "--mount-proc")
# Hides a directory behind another one of the same path.
_ELSEWHERE = ("unshare", "--mount", "sh", "-c", 'mount -t tmpfs none "$1" && shift && exec "$@"', "sh")


class Holder:
    """A process that holds something, in a process namespace of its own."""

    def __init__(self, *kept: str, entrance: tuple[str, ...] = _NAMESPACE) -> None:
        command = [*entrance, sys.executable, "-c", _HOLDER, *kept]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=_ALONE)
        assert self._process.stdout is not None
        self.name = self._process.stdout.readline().strip()
        assert self.name.count("/") >= 3, self.name

    def kill(self) -> None:
        """As if its container was killed: unshare ends, and with it all of the namespace."""
        self._process.kill()
        self._process.wait()
        self._process.communicate()


@pytest.fixture
def holder() -> Iterator[Callable[..., Holder]]:
    made: list[Holder] = []

    def make(*kept: str, **how: tuple[str, ...]) -> Holder:
        made.append(Holder(*kept, **how))
        return made[-1]

    yield make
    for each in made:
        each.kill()


def ask(name: str, *entrance: str) -> str:
    """What a process in another namespace says."""
    asked = subprocess.run(
        [*_NAMESPACE, *entrance, sys.executable, "-c", _ASK, name],
        capture_output=True,
        text=True,
        check=True,
        env=_ALONE,
    )
    return asked.stdout.strip()


def test_what_another_namespace_keeps_tells_whether_it_lives(holder: Callable[..., Holder], tmp_path: Path) -> None:
    alive = holder(str(tmp_path))
    assert (ask(alive.name), _processes.ended(alive.name)) == ("False", False)
    alive.kill()
    assert (ask(alive.name), _processes.ended(alive.name)) == ("True", True)


def test_without_a_directory_nothing_is_proved(holder: Callable[..., Holder]) -> None:
    alive = holder()
    assert ask(alive.name) == "None"
    alive.kill()
    assert ask(alive.name) in ("None", "True")  # by the number of its namespace, which the kernel may give again


def test_another_container_has_another_directory(holder: Callable[..., Holder], tmp_path: Path) -> None:
    """Of the same path, or none."""
    for alive in (holder(str(tmp_path)), holder(str(tmp_path))):
        assert ask(alive.name, *_ELSEWHERE, str(tmp_path)) == "None"
        assert ask(alive.name, *_ELSEWHERE, str(tmp_path.parent)) == "None"
        alive.kill()
        assert ask(alive.name, *_ELSEWHERE, str(tmp_path)) == "None"


def test_a_directory_is_kept_once(holder: Callable[..., Holder], tmp_path: Path) -> None:
    first = holder(str(tmp_path))
    second = holder(str(tmp_path))
    assert str(tmp_path) in first.name and str(tmp_path) not in second.name


def test_the_numbers_of_another_proc_prove_nothing(holder: Callable[..., Holder], tmp_path: Path) -> None:
    """A namespace that sees the processes of its parent in /proc."""
    alive = holder(str(tmp_path))
    foreign = ("unshare", "--fork", "--kill-child", "--pid")
    asked = subprocess.run(
        [*foreign, sys.executable, "-c", _ASK, alive.name], capture_output=True, text=True, check=True, env=_ALONE
    )
    assert asked.stdout.strip() == "None"
