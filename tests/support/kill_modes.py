# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How plays die, by their processes as this one sees them: on this machine, or at the workstation of a sandbox."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterable
from pathlib import Path

ALL, WORKER, INTERRUPT = "all", "worker", "interrupt"
DEATHS = (ALL, WORKER, INTERRUPT)
"""SIGKILL of everything, as if the power had failed; SIGKILL of the process of the task alone; Ctrl-C."""


def family(process: int) -> list[int]:
    """A process first, then those that it has started, and those that these have started."""
    found = [process]
    for each in found:
        found += _children(each)
    return found


def leader(process: int) -> int:
    """The first below a process that leads a group of its own, as what a shell with job control has started does.

    What has a session of its own as well has left that shell: ssh keeps connections open so.
    """
    session = os.getsid(process)
    return next(each for each in family(process)[1:] if _group(each) == each and _session(each) == session)


def ancestors(process: int) -> list[int]:
    """Those that a process descends from, itself first."""
    found = [process]
    while found[-1] > 1:
        found.append(int(Path(f"/proc/{found[-1]}/stat").read_text().rpartition(")")[2].split()[1]))
    return found


def strike(play: int, death: str, lost: Iterable[int] = ()) -> list[int]:
    """Begin to end a play in this way; what is to end with it.

    ``lost``: what the play has started that is nobody's child any more.
    """
    members = [*family(play), *lost]
    if death == ALL:
        _send(signal.SIGKILL, members)
    elif death == WORKER:
        _send(signal.SIGKILL, _children(play, main=True))
    else:  # a terminal sends it to its foreground processes; those of tasks are in groups of their own
        group = os.getpgid(play)
        _send(signal.SIGINT, [each for each in family(play) if _group(each) == group])
    return members


def end(members: Iterable[int], death: str) -> None:
    """What a play has started ends with its last request, which is not answered.

    After Ctrl-C ssh keeps its connection for the next run, for as long as ControlPersist says.
    """
    left = [each for each in members if _is_alive(each) and not (death == INTERRUPT and _is_ssh(each))]
    if death == WORKER:  # a module goes on, and would ask again
        _send(signal.SIGKILL, left)
    limit = time.monotonic() + 30
    while any(map(_is_alive, left)):
        assert time.monotonic() < limit, f"of {left} some have not ended"
        time.sleep(0.05)


def _children(process: int, *, main: bool = False) -> list[int]:
    """Those of its main thread, or of all its threads; none once it has ended."""
    found: list[int] = []
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        place = Path(f"/proc/{process}/task")
        for task in [place / str(process)] if main else place.iterdir():
            found += map(int, (task / "children").read_text().split())
    return found


def _group(process: int) -> int:
    try:
        return os.getpgid(process)
    except ProcessLookupError:
        return 0


def _session(process: int) -> int:
    try:
        return os.getsid(process)
    except ProcessLookupError:
        return 0


def _send(number: signal.Signals, processes: Iterable[int]) -> None:
    for each in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(each, number)


def _is_alive(process: int) -> bool:
    return _stat(process)[1] not in ("", "Z")


def _is_ssh(process: int) -> bool:
    return _stat(process)[0] == "ssh"


def _stat(process: int) -> tuple[str, str]:
    """Its name and its state; empty once it has ended."""
    try:
        name, _bracket, more = Path(f"/proc/{process}/stat").read_text().partition(" (")[2].rpartition(") ")
    except (FileNotFoundError, ProcessLookupError):
        return "", ""
    return name, more[0]
