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
from ansible.plugins.action.normal import ActionModule as Normal
from ansible.utils.display import Display

from ansible_collections.azureops.pod_identity.plugins.module_utils._progress import FILE

# Seconds between two looks, and after how many a line that has not changed is shown again.
_LOOK, _AGAIN = 2.0, 60.0
_LONGEST_LINE = 400


class LongOperation(Normal):
    """Runs the module as ever, and beside it reads the line that it leaves for us (module_utils/_progress.py).

    The module knows nothing of who reads, and nothing depends on the reader: where it cannot read, nothing is shown.
    Lines go to standard error, so that a callback that writes JSON to standard output stays parseable.
    """

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        task = self._task
        watched = not (task.check_mode or task.async_val or task.no_log)
        if watched and self._connection._shell.tmpdir is None:
            self._make_tmp_path()
        with self._shown(str((task_vars or {}).get("inventory_hostname", ""))) if watched else contextlib.nullcontext():
            result: dict[str, t.Any] = super().run(tmp, task_vars)
        return result

    @contextlib.contextmanager
    def _shown(self, host: str) -> t.Iterator[None]:
        where = f"{host} -> {self._task.delegate_to}" if self._task.delegate_to else host
        over = threading.Event()
        arguments = (self._on_a_connection_of_its_own(), where, over)
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
        # What a service says is not to move the cursor.
        text = "".join(sign if sign.isprintable() else " " for sign in said["stdout"])
        return text.strip()[:_LONGEST_LINE] if said["rc"] == 0 else ""


def _watch(action: LongOperation, where: str, over: threading.Event) -> None:
    began = time.monotonic()
    shown, shown_at = "", began
    while not over.wait(_LOOK):
        line, now = action.line(), time.monotonic()
        if line and (line != shown or now - shown_at >= _AGAIN):
            Display().display(f"[{where}] {line}, {elapsed(now - began)}", stderr=True)
            shown, shown_at = line, now


def elapsed(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
