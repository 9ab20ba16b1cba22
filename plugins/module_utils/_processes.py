# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""A process by a name that no other process has, as long as this system runs and after."""

from __future__ import annotations

import contextlib
import fcntl
import getpass
import multiprocessing
import os
import re
import socket

_BOOT = "/proc/sys/kernel/random/boot_id"
_NAMESPACE = "/proc/self/ns/pid"


# The directory that this process and its children keep locked, by its device, its number there and its path.
_kept: list[str] = []


def keep(directory: str) -> None:
    """Lock a directory for as long as this process, or a child of it, lives. Call it before children are forked.

    In another process namespace, or another container that has the same directory, that is what proves a death.
    """
    if _kept or multiprocessing.parent_process():  # a child would unlock it when its task ends
        return
    with contextlib.suppress(OSError):
        opened = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:  # its file system has no such locks
            os.close(opened)
            raise
        _kept.append(f"{_identity(opened)}:{directory}")


def name(number: int) -> str:
    """Boot, namespace, number and start of the process, then what it keeps; empty where the system does not tell."""
    try:
        return " ".join([f"{_system()}/{number}/{_start(number)}", *_kept])
    except OSError:
        return ""


def ended(process: str) -> bool | None:
    """Whether a process of this boot is not there any more; None where nothing proves either.

    A process of another namespace is not seen; what it keeps locked is, where this process has the same directory.
    """
    named, dummy, kept = process.partition(" ")
    system, dummy, rest = named.rpartition("/")[0].rpartition("/")
    start = named.rpartition("/")[2]
    try:
        here = _system()
        if rest.isdigit() and system == here:
            return _is_gone(int(rest), start)
        same_boot = system.partition("/")[0] == here.partition("/")[0]
        return _is_unlocked(kept) if kept and same_boot else None
    except OSError:
        return None


def _is_gone(number: int, start: str) -> bool:
    try:
        with contextlib.suppress(PermissionError):  # it belongs to somebody else
            os.kill(number, 0)
        return _start(number) != start
    except ProcessLookupError:
        return True


def _is_unlocked(kept: str) -> bool | None:
    """None where the directory is not here: another one may have its path in another container."""
    identity, dummy, path = kept.partition(":")
    opened = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        if _identity(opened) != identity:
            return None
        fcntl.flock(opened, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(opened)
    return True


def _identity(opened: int) -> str:
    found = os.fstat(opened)
    return f"{found.st_dev}.{found.st_ino}"


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
    if os.readlink("/proc/self") != str(os.getpid()):
        raise OSError("/proc is that of another namespace, where the numbers mean other processes")
    with open(_BOOT, encoding="ascii") as file:
        return f"{file.read().strip()}/{os.stat(_NAMESPACE).st_ino}"


def _start(number: int) -> str:
    with open(f"/proc/{number}/stat", encoding="utf-8", errors="replace") as file:
        state, *fields = file.read().rpartition(")")[2].split()
    if state in "ZX":
        raise ProcessLookupError
    return fields[18]
