# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Control groups: one subtree per sandbox in every hierarchy, and in it one per node.

Version 1 (one hierarchy per controller) and version 2 are handled alike: a subtree is a directory of the same name in
each hierarchy. Inside, a cgroup namespace makes the subtree the root, so that kubelet and runc cannot see further up.
Only version 1 (with and without a version 2 hierarchy beside it) has been run.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from . import linux

ROOT = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Hierarchy:
    mountpoint: Path
    version: int
    options: str
    """Mount options that select it: its controllers, or ``none,name=systemd``; empty for version 2."""


def hierarchies(mountinfo: str) -> tuple[Hierarchy, ...]:
    """The writable hierarchies among the mounts (text of /proc/self/mountinfo) at or below /sys/fs/cgroup."""
    found: dict[Path, Hierarchy] = {}
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        mountpoint, mount_options = Path(before.split()[4]), before.split()[5].split(",")
        fstype, _, super_options = after.split()
        if fstype not in ("cgroup", "cgroup2") or "ro" in mount_options or not mountpoint.is_relative_to(ROOT):
            continue
        if fstype == "cgroup2":
            found[mountpoint] = Hierarchy(mountpoint, 2, "")
        else:
            chosen = [option for option in super_options.split(",") if option not in ("rw", "ro", "xattr", "noprefix")]
            chosen = [option for option in chosen if not option.startswith("release_agent=")]
            if chosen and all(option.startswith("name=") for option in chosen):
                chosen.insert(0, "none")
            found[mountpoint] = Hierarchy(mountpoint, 1, ",".join(chosen))
    return tuple(found.values())


def here() -> tuple[Hierarchy, ...]:
    return hierarchies(Path("/proc/self/mountinfo").read_text())


def create(subtree: str) -> None:
    """Make the subtree in every hierarchy."""
    for hierarchy in here():
        directory = hierarchy.mountpoint / subtree
        if hierarchy.version == 2:
            _delegate(directory.parent)
        directory.mkdir(parents=True, exist_ok=True)
        if (directory / "cgroup.clone_children").exists():
            # Otherwise a new cpuset has no CPU, and nothing may join it.
            (directory / "cgroup.clone_children").write_text("1")
        for name in ("cpuset.cpus", "cpuset.mems"):
            if hierarchy.version == 1 and (directory / name).exists() and not (directory / name).read_text().strip():
                (directory / name).write_text((directory.parent / name).read_text())


def _delegate(directory: Path) -> None:
    """Pass version 2 controllers on to the children of this group."""
    for controller in (directory / "cgroup.controllers").read_text().split():
        # A group that holds processes itself cannot pass on every controller; what it cannot is not limited below.
        with contextlib.suppress(OSError):
            (directory / "cgroup.subtree_control").write_text(f"+{controller}")


def join(subtree: str) -> None:
    """Move this process into the subtree; a cgroup namespace that it then makes has the subtree as its root."""
    for hierarchy in here():
        (hierarchy.mountpoint / subtree / "cgroup.procs").write_text("0")


def join_leaf(leaf: str) -> None:
    """Move this process into a group below its visible root: version 2 wants processes in leaves only."""
    for hierarchy in here():
        if hierarchy.version == 2:
            (hierarchy.mountpoint / leaf).mkdir(exist_ok=True)
            (hierarchy.mountpoint / leaf / "cgroup.procs").write_text("0")
            _delegate(hierarchy.mountpoint)


def mount_own(shown: tuple[Hierarchy, ...]) -> None:
    """Mount the same hierarchies again, as the cgroup namespace of this process sees them."""
    if len(shown) == 1 and shown[0].mountpoint == ROOT:
        linux.mount("cgroup2", ROOT, "cgroup2")
        return
    linux.mount("tmpfs", ROOT, "tmpfs", options="mode=755")
    for hierarchy in shown:
        hierarchy.mountpoint.mkdir()
        fstype = "cgroup2" if hierarchy.version == 2 else "cgroup"
        linux.mount(fstype, hierarchy.mountpoint, fstype, options=hierarchy.options)


def _directories(subtree: str) -> list[Path]:
    """Every group of the subtree in every hierarchy, children first."""
    return [
        Path(directory)
        for hierarchy in here()
        for directory, _, _ in os.walk(hierarchy.mountpoint / subtree, topdown=False)
    ]


def children() -> set[str]:
    """Names of the groups directly below the visible root, in any hierarchy."""
    return {child.name for hierarchy in here() for child in hierarchy.mountpoint.iterdir() if child.is_dir()}


def processes(subtree: str) -> set[int]:
    """Ids of all processes in the subtree, as seen from this PID namespace."""
    found: set[int] = set()
    for directory in _directories(subtree):
        with contextlib.suppress(OSError):
            found.update(int(line) for line in (directory / "cgroup.procs").read_text().split())
    return found - {0}


def remove(subtree: str, timeout: float) -> None:
    """Kill what is in the subtree and remove it; TimeoutError when something in it would not die."""
    end = time.monotonic() + timeout
    while True:
        for process in processes(subtree):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        for directory in _directories(subtree):
            with contextlib.suppress(OSError):
                directory.rmdir()
        left = _directories(subtree)
        if not left:
            return
        if time.monotonic() > end:
            raise TimeoutError(f"control group {left[0]} could not be removed within {timeout:.0f} s")
        time.sleep(0.05)
