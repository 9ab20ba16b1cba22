# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a process that was named once is gone."""

from __future__ import annotations

import fcntl
import os
import subprocess
from pathlib import Path

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils import _processes


def test_a_process_lives_until_it_ends() -> None:
    with subprocess.Popen(["sleep", "60"]) as running:
        name = _processes.name(running.pid)
        assert f"/{running.pid}/" in name
        assert _processes.ended(name) is False
        running.kill()
        os.waitid(os.P_PID, running.pid, os.WEXITED | os.WNOWAIT)
        assert _processes.ended(name)  # though its parent has not looked yet
    assert _processes.ended(name)


def test_its_number_may_be_of_another_process_by_now() -> None:
    name = _processes.name(os.getpid())
    assert not _processes.ended(name)
    assert _processes.ended(name.rpartition("/")[0] + "/1")


@pytest.mark.parametrize("part", [0, 1])
def test_of_another_system_nothing_is_known(part: int) -> None:
    parts = _processes.name(os.getpid()).split("/")
    parts[part], parts[2] = "other", str(2**22 + 1)
    assert _processes.ended("/".join(parts)) is None


@pytest.mark.parametrize("text", ["", "/", "a/b/c/d", "1/2"])
def test_what_is_no_name_is_not_gone(text: str) -> None:
    assert _processes.ended(text) is None


def test_of_another_namespace_a_lock_tells(tmp_path: Path) -> None:
    """Where it is that of the same directory; tests/node/test_process_namespaces.py has real namespaces."""
    boot = _processes.name(os.getpid()).partition("/")[0]
    found = tmp_path.stat()
    name = f"{boot}/1/7/5 {found.st_dev}.{found.st_ino}:{tmp_path}"
    assert _processes.ended(name) is True
    kept = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(kept, fcntl.LOCK_EX)
    assert _processes.ended(name) is False
    os.close(kept)
    assert _processes.ended(name) is True
    assert _processes.ended(name.replace(boot, "other")) is None
    assert _processes.ended(name.replace(f".{found.st_ino}:", ".1:")) is None
    assert _processes.ended(f"{name}/missing") is None


def test_a_system_that_does_not_tell(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    known = _processes.name(os.getpid())
    monkeypatch.setattr(_processes, "_BOOT", str(tmp_path / "missing"))
    assert _processes.name(os.getpid()) == ""
    assert _processes.ended(known) is None


def test_who_runs_it() -> None:
    assert "@" in _processes.person()


def test_a_mark_is_of_one_process() -> None:
    own = _processes.mark(os.getpid())
    assert own.startswith(f"{_processes.mark_of_system()}-{os.getpid()}-")
    assert own.rpartition("-")[2].isdigit()
    assert _processes.mark(os.getpid()) == own != _processes.mark(1)
    assert _processes.mark(2**22 + 1).endswith("-")
