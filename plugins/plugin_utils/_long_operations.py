# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Shows what a module is waiting for while it runs."""

from __future__ import annotations

import contextlib
import contextvars
import copy
import shlex
import threading
import time
import typing as t

from ansible.errors import AnsibleError
from ansible.utils.display import Display

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.run_changes import elapsed
from ansible_collections.azureops.pod_identity.plugins.module_utils._progress import FILE
from ansible_collections.azureops.pod_identity.plugins.plugin_utils._in_process import InProcess

# Seconds between two looks, and after how many a line that has not changed is shown again.
_LOOK, _AGAIN = 2.0, 60.0
_LONGEST_LINE = 400


class LongOperation(InProcess):
    """Runs the module as ever, and beside it reads the line that it leaves for us (module_utils/_progress.py).

    The module knows nothing of who reads, and nothing depends on the reader: where it cannot read, nothing is shown.
    Lines go to standard error, so that a callback that writes JSON to standard output stays parseable.
    """

    _lines: Lines | None = None

    def carry_out(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        task = self._task
        watched = not (task.check_mode or task.async_val or task.no_log)
        if watched and self._connection._shell.tmpdir is None:
            self._make_tmp_path()
        host = str((task_vars or {}).get("inventory_hostname", ""))
        where = f"{host} -> {task.delegate_to}" if task.delegate_to else host
        self._lines = Lines(where) if watched else None
        self.interval = _LOOK if watched else None
        with self._shown() if watched and not self.in_fork else contextlib.nullcontext():
            return super().carry_out(tmp, task_vars)

    def meanwhile(self) -> None:
        """The file is here, and no thread is needed to look into it."""
        said = ""
        with contextlib.suppress(OSError, ValueError):
            path = self._connection._shell.join_path(self._connection._shell.tmpdir, FILE)
            with open(path, encoding="utf-8") as file:
                said = file.read()
        if self._lines:
            self._lines.show(_one_line(said))

    @contextlib.contextmanager
    def _shown(self) -> t.Iterator[None]:
        over = threading.Event()
        arguments = (self._on_a_connection_of_its_own(), over)
        watcher = threading.Thread(target=contextvars.copy_context().run, args=(_watch, *arguments), daemon=True)
        watcher.start()
        try:
            yield
        finally:
            over.set()
            watcher.join()

    def _on_a_connection_of_its_own(self) -> LongOperation:
        """This action again; what its connection and its become plugin remember of a command is not shared."""
        other = copy.copy(self)
        other._connection = copy.copy(self._connection)
        other._inherited = {}  # to look into a file takes no secret, and the environment of a process is one
        if self._connection.become:
            other._connection.set_become_plugin(copy.copy(self._connection.become))
        return other

    def line(self) -> str:
        """What the module says now; empty where it says nothing or cannot be read."""
        shell = self._connection._shell
        path = shlex.quote(shell.join_path(shell.tmpdir, FILE))
        try:
            said = self._low_level_execute_command(f"cat {path} 2>/dev/null")
        except AnsibleError:
            return ""
        return _one_line(said["stdout"]) if said["rc"] == 0 else ""


class Lines:
    """Shows what is new, and after a while what is not. ``quiet``: seconds in which nothing is shown yet."""

    def __init__(self, where: str, quiet: float = 0) -> None:
        self._where, self._quiet = where, quiet
        self._began = time.monotonic()
        self._shown, self._shown_at = "", self._began

    def show(self, line: str) -> None:
        now = time.monotonic()
        if now - self._began < self._quiet:
            return
        if line and (line != self._shown or now - self._shown_at >= _AGAIN):
            Display().display(f"[{self._where}] {line}, {elapsed(now - self._began)}", stderr=True)
            self._shown, self._shown_at = line, now


def _one_line(said: str) -> str:
    """What a service says is not to move the cursor."""
    return "".join(sign if sign.isprintable() else " " for sign in said).strip()[:_LONGEST_LINE]


def _watch(action: LongOperation, over: threading.Event) -> None:
    while not over.wait(_LOOK):
        if action._lines:
            action._lines.show(action.line())
