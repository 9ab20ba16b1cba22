# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Runs further tasks in the place of one: with its host, environment and module_defaults."""

from __future__ import annotations

import contextlib
import typing as t

from ansible.errors import AnsibleConnectionFailure
from ansible.executor.module_common import _apply_action_arg_defaults
from ansible.plugins.action import ActionBase

from ansible_collections.azureops.pod_identity.plugins.plugin_utils._quiet_environment import QuietNormal, quiet


class SubtaskFailed(Exception):
    """``result`` is that of the task, as it would be told."""

    def __init__(self, result: dict[str, t.Any]) -> None:
        super().__init__(str(result.get("msg", "")))
        self.result = result


class Subtasks:
    """Tasks that run where ``action`` runs."""

    def __init__(self, action: ActionBase, task_vars: dict[str, t.Any]) -> None:
        self._action = action
        self._variables = task_vars
        self._told: dict[str, list[t.Any]] = {"warnings": [], "deprecations": []}
        self._facts: dict[str, t.Any] = {}

    def warn(self, sentence: str) -> None:
        self._told["warnings"].append(sentence)

    @property
    def told(self) -> dict[str, t.Any]:
        """What the result of the one task has of theirs: what they warn of, and which interpreter was discovered."""
        found = {**self._told, "ansible_facts": self._facts}
        return {name: value for name, value in found.items() if value}

    def run(self, name: str, arguments: t.Mapping[str, t.Any], *, check_mode: bool | None = None) -> dict[str, t.Any]:
        """Result of the module or action ``name`` with these arguments, of which None are left out.

        ``check_mode`` is that of the task unless it is said. Raises SubtaskFailed.
        """
        action = self._action
        given = {key: value for key, value in arguments.items() if value is not None}
        task = action._task.copy(exclude_parent=True)
        task._parent = action._task._parent
        task.action = task._resolved_action = name
        task.args = _apply_action_arg_defaults(name, action._task, given, action._templar)
        if check_mode is not None:
            task.check_mode = check_mode
        loader = action._shared_loader_obj.action_loader
        context: dict[str, t.Any] = {
            "task": task,
            "connection": action._connection,
            "play_context": action._play_context,
            "loader": action._loader,
            "templar": action._templar,
            "shared_loader_obj": action._shared_loader_obj,
        }
        kind: t.Any = quiet(loader.get(name, class_only=True)) if loader.has_plugin(name) else QuietNormal
        handler = kind(**context)
        handler.looks = True  # what it changes is not told as a change of the run
        try:
            result: dict[str, t.Any] = handler.run(task_vars=self._variables)
        finally:  # Ansible calls it for the action of the one task alone
            with contextlib.suppress(AnsibleConnectionFailure):
                handler.cleanup()
        for kind, collected in self._told.items():
            collected.extend(result.pop(kind, None) or ())
        self._facts.update(result.pop("ansible_facts", None) or {})
        if result.get("failed"):
            raise SubtaskFailed(result)
        return result
