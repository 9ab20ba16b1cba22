# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs the module; on a node that has no Python for it, does the same from here with nothing but commands."""

from __future__ import annotations

import shlex
import time
import typing as t

from ansible.plugins.action import ActionBase

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.nodes import imds_answer
from ansible_collections.azureops.pod_identity.plugins.module_utils._node import raw_question
from ansible_collections.azureops.pod_identity.plugins.module_utils._node.raw import Raw, Send
from ansible_collections.azureops.pod_identity.plugins.module_utils._node_cleanup import (
    ANSWER_TIMEOUT,
    OPTIONS,
    make_plan,
)
from ansible_collections.azureops.pod_identity.plugins.plugin_utils._bare_nodes import BareNodeAction
from ansible_collections.azureops.pod_identity.plugins.plugin_utils._controller import Controller
from ansible_collections.azureops.pod_identity.plugins.plugin_utils._in_process import prepare

_USABLE = "import sys; sys.exit(sys.version_info < (3, 9))"


class ActionModule(BareNodeAction):
    prepared = prepare(__name__)

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        if self.has_no_python(task_vars or {}):
            result: dict[str, t.Any] = ActionBase.run(self, tmp, task_vars)
        else:
            given = dict(self._task.args)
            result = super().run(tmp, task_vars)
            if not self._lacked_python(result):
                return result
            self._task.args = given  # what modules get besides was added
            result = {}
        began = time.monotonic()
        result = {**result, **self.with_commands(self._carry_out)}
        self.keep_changes(task_vars or {}, result, began)
        return result

    def place(self, variables: dict[str, t.Any]) -> str:
        node = variables.get("aks_node")
        return str(node.get("name") or "") if isinstance(node, t.Mapping) else ""

    def _lacked_python(self, result: dict[str, t.Any]) -> bool:
        """Whether the module could not even start because of its Python, which Ansible words now so, now so."""
        if "module_stdout" not in result and "Python" not in str(result.get("msg")):
            return False
        python = (self._used_interpreter or "python3").lstrip("#!")
        asked = self._low_level_execute_command(f"{python} -c {shlex.quote(_USABLE)}")
        return bool(asked["rc"] != 0)

    def _carry_out(self, send: Send) -> dict[str, t.Any]:
        spec = {**OPTIONS.options, "save_directory": {**OPTIONS.options["save_directory"], "type": "str"}}
        dummy, options = self.validate_argument_spec(argument_spec=spec)
        options["save_directory"] = self._remote_expand_user(options["save_directory"])
        controller = Controller(self._task.action, check_mode=self._task.check_mode, diff=self._task.diff)

        def ask() -> dict[str, t.Any]:
            methods, pod_cidr = options["answer_method"], options["pod_cidr"]
            if self._task.check_mode or not methods:
                return {}
            # A connection that is lost here leaves what was found on the node.
            return imds_answer.part(
                methods, lambda method: raw_question.ask(self.send, method, pod_cidr, ANSWER_TIMEOUT)
            )

        return controller.run(lambda: make_plan(Raw(send), options, ask), key="result")
