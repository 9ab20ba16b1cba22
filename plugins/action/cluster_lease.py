# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs the module, and tells it which ansible-playbook it is that holds the Lease."""

from __future__ import annotations

import multiprocessing
import os
import typing as t

from ansible_collections.azureops.pod_identity.plugins.module_utils import _processes
from ansible_collections.azureops.pod_identity.plugins.plugin_utils import _in_process


class ActionModule(_in_process.InProcess):
    prepared = _in_process.prepare(__name__, *_in_process.KUBERNETES)

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        # The task runs in a child of it, which ends with the task.
        playbook = multiprocessing.parent_process()
        number = (playbook.pid if playbook else None) or os.getpid()
        host = str((task_vars or {}).get("inventory_hostname", "localhost"))
        whom = f"{_processes.person()}, process {number}" + ("" if host == "localhost" else f", host {host}")
        self._task.args.setdefault("holder", whom)
        self._task.args.setdefault("process", _processes.name(number))
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        return result
