# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Directories that only one run uses: made, and removed when it ends, also by Ctrl-C.

The name of a directory tells whose it is, so that what a killed run left can be told from what a live one uses.
"""

from __future__ import annotations

import atexit
import contextlib
import multiprocessing
import os
import shutil
import stat
import tempfile
import time
import typing as t
from pathlib import Path

from ansible_collections.azureops.pod_identity.plugins.module_utils import _processes
from ansible_collections.azureops.pod_identity.plugins.plugin_utils._subtasks import SubtaskFailed, Subtasks

_PREFIX = "azureops-pod-identity-"
_DAY = 86400


def make(subtasks: Subtasks) -> str:
    """Path of a new directory on the host of the task. Those of runs that were killed are removed."""
    mark = _processes.mark(_playbook())
    made = subtasks.run(
        "ansible.builtin.tempfile", {"state": "directory", "prefix": f"{_PREFIX}{mark}-"}, check_mode=False
    )
    path = str(made["path"])
    found: t.Mapping[str, t.Any] = {"files": []}
    with contextlib.suppress(SubtaskFailed):
        found = subtasks.run(
            "ansible.builtin.find",
            {"paths": os.path.dirname(path), "patterns": f"{_PREFIX}*", "file_type": "directory"},
            check_mode=False,
        )
    for each in found["files"]:
        if each["uid"] == made["uid"] and each["mode"] == "0700" and _is_left(each["path"], each["mtime"]):
            with contextlib.suppress(SubtaskFailed):  # another run may remove it at the same time
                remove(subtasks, each["path"])
    return path


def remove(subtasks: Subtasks, path: str) -> None:
    subtasks.run("ansible.builtin.file", {"path": path, "state": "absent"}, check_mode=False)


def remove_at_exit() -> None:
    """Remove what this ansible-playbook leaves in its own temporary directory, when its interpreter ends.

    Call it before the workers are forked. Tasks that would remove it do not run after Ctrl-C. A signal that ends the
    process without its handlers, such as SIGTERM or SIGKILL, leaves it to the next run (``make``).
    """
    number = os.getpid()
    with contextlib.suppress(OSError):
        atexit.register(_remove_own, number, f"{_PREFIX}{_processes.mark(number)}-")


def _remove_own(number: int, prefix: str) -> None:
    if os.getpid() != number:
        return
    with contextlib.suppress(OSError):
        for path in Path(tempfile.gettempdir()).glob(f"{prefix}*"):
            found = path.lstat()
            if stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid():
                shutil.rmtree(path, ignore_errors=True)


def _playbook() -> int:
    """A task runs in a child of ansible-playbook."""
    parent = multiprocessing.parent_process()
    return (parent.pid if parent else None) or os.getpid()


def _is_left(path: str, modified: float) -> bool:
    """What ran elsewhere, such as in another container, is left alone for a day."""
    ended = _processes.is_of_ended(os.path.basename(path), _PREFIX)
    return modified + _DAY < time.time() if ended is None else ended
