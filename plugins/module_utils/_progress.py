# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""What a module is waiting for, where the controller can read it meanwhile.

Ansible shows nothing of a module before it ends, so the module leaves one line in a file of the task's temporary
directory, which only its user can enter, and its action plugin looks there.
"""

from __future__ import annotations

import contextlib
import os
import threading
import typing as t

from ansible.module_utils.parsing.convert_bool import boolean

Tell = t.Callable[[str], None]

FILE, SWITCH = "azureops-progress", "POD_IDENTITY_PROGRESS"
# Seconds after which it is told that an answer is waited for.
SLOW = 5.0
# Where the module of this process tells, once it has begun to.
_files: list[str] = []


def begin(module: t.Any) -> None:
    """Tell the controller from now on, if the option ``progress`` or, without that, the environment says so.

    Nobody looks where the controller has made no temporary directory.
    """
    directory = getattr(module, "_tmpdir", None)
    _files[:] = [os.path.join(directory, FILE)] if directory and _is_wanted(module) else []


def tell(line: str) -> None:
    """Replace the line before; an empty one says that nothing is waited for."""
    for path in _files:
        with contextlib.suppress(OSError):  # the work matters more than its being seen
            with open(path + ".new", "w", encoding="utf-8") as new:
                new.write(line)
            os.replace(path + ".new", path)


@contextlib.contextmanager
def waiting(line: str) -> t.Iterator[None]:
    """Tell it as soon as what is done within takes long."""
    if not _files:
        yield
        return
    told = threading.Event()

    def late() -> None:
        told.set()
        tell(line)

    timer = threading.Timer(SLOW, late)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        if told.is_set():
            tell("")


def _is_wanted(module: t.Any) -> bool:
    wanted = (getattr(module, "params", None) or {}).get("progress")
    return bool(boolean(os.environ.get(SWITCH) or True, strict=False) if wanted is None else wanted)
