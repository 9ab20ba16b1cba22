# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""A process by a name that no other process has, as long as this system runs and after."""

from __future__ import annotations

import getpass
import os
import re
import socket

_BOOT = "/proc/sys/kernel/random/boot_id"
_NAMESPACE = "/proc/self/ns/pid"


def name(number: int) -> str:
    """Boot, namespace, number and start of the process; empty where the system does not tell."""
    try:
        return f"{_system()}/{number}/{_start(number)}"
    except OSError:
        return ""


def ended(process: str) -> bool:
    """Whether a process of this system is not there any more; of another system nothing is known."""
    system, dummy, rest = process.rpartition("/")[0].rpartition("/")
    start = process.rpartition("/")[2]
    try:
        if not rest.isdigit() or system != _system():
            return False
        os.kill(int(rest), 0)
        return _start(int(rest)) != start
    except ProcessLookupError:
        return True
    except OSError:  # it belongs to somebody else, or is hidden
        return False


def mark(number: int) -> str:
    """The name of the process, short enough for the name of a file; without a start if there is no such process."""
    try:
        started = _start(number)
    except OSError:
        started = ""
    return f"{mark_of_system()}-{number}-{started}"


def is_of_ended(name: str, prefix: str) -> bool | None:
    """Whether what is called by the prefix and the mark of a process is of one that has ended.

    None where it has no mark of a process of this system.
    """
    here = mark_of_system()
    found = re.match(f"{re.escape(prefix)}{re.escape(here)}-([0-9]+)-([0-9]+)-", name)
    if not found or not here:
        return None
    return mark(int(found[1])) != f"{here}-{found[1]}-{found[2]}"


def mark_of_system() -> str:
    """Where a process number means one process: the boot of this machine and the namespace; empty if it is not told."""
    try:
        boot, dummy, namespace = _system().partition("/")
    except OSError:
        return ""
    return f"{boot[:8]}-{namespace}"


def person() -> str:
    """Who runs this, and where."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a user of a container without a name
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"


def _system() -> str:
    with open(_BOOT, encoding="ascii") as file:
        return f"{file.read().strip()}/{os.stat(_NAMESPACE).st_ino}"


def _start(number: int) -> str:
    with open(f"/proc/{number}/stat", encoding="utf-8", errors="replace") as file:
        state, *fields = file.read().rpartition(")")[2].split()
    if state in "ZX":
        raise ProcessLookupError
    return fields[18]
