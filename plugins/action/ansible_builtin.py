# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs a module of ansible.builtin, with its action, as modules of the collection run.

That is without secrets of its environment in its commands, and without its arguments in files.
"""

from __future__ import annotations

import typing as t
from urllib.parse import urlsplit

from ansible.errors import AnsibleActionFail
from ansible.module_utils.common.parameters import remove_values
from ansible.plugins.action import ActionBase

from ansible_collections.azureops.pod_identity.plugins.plugin_utils._subtasks import SubtaskFailed, Subtasks


class ActionModule(ActionBase):
    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        module = str(arguments.pop("module", ""))
        if not module:
            raise AnsibleActionFail("ansible_builtin runs no module by itself: set module, such as copy.")
        subtasks = Subtasks(self, task_vars or {})
        try:
            outcome = subtasks.run(f"ansible.builtin.{module}", arguments)
        except SubtaskFailed as failed:
            outcome = failed.result
        # The query of an address may be a credential, and no_log would hide what failed, too.
        query = urlsplit(str(arguments.get("url", ""))).query
        outcome = remove_values(outcome, [query]) if query else outcome
        return {**result, **subtasks.told, **outcome}
