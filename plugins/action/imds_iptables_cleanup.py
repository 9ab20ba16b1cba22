# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs the module; on a node that has no Python for it, does the same from here with nothing but commands."""

from __future__ import annotations

import shlex
import typing as t

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.action import ActionBase
from ansible.plugins.action.normal import ActionModule as Normal

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.errors import Failure
from ansible_collections.azureops.pod_identity.plugins.module_utils._node.raw import Raw
from ansible_collections.azureops.pod_identity.plugins.module_utils._node_cleanup import OPTIONS, make_plan
from ansible_collections.azureops.pod_identity.plugins.plugin_utils._controller import Controller

_USABLE = "import sys; sys.exit(sys.version_info < (3, 9))"


class ActionModule(Normal):
    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        if self._configured_python(task_vars or {}) == "":
            result: dict[str, t.Any] = ActionBase.run(self, tmp, task_vars)
        else:
            given = dict(self._task.args)
            result = super().run(tmp, task_vars)
            if not self._lacked_python(result):
                return result
            self._task.args = given  # what modules get besides was added
            result = {}
        return {**result, **self._carry_out()}

    def _configured_python(self, task_vars: dict[str, t.Any]) -> t.Any:
        of_host = task_vars.get("ansible_delegated_vars", {}).get(self._task.delegate_to, task_vars)
        return self._templar.template(of_host.get("ansible_python_interpreter"))

    def _lacked_python(self, result: dict[str, t.Any]) -> bool:
        """Whether the module could not even start because of its Python, which Ansible words now so, now so."""
        if "module_stdout" not in result and "Python" not in str(result.get("msg")):
            return False
        python = (self._used_interpreter or "python3").lstrip("#!")
        asked = self._low_level_execute_command(f"{python} -c {shlex.quote(_USABLE)}")
        return bool(asked["rc"] != 0)

    def _carry_out(self) -> dict[str, t.Any]:
        spec = {**OPTIONS.options, "save_directory": {**OPTIONS.options["save_directory"], "type": "str"}}
        dummy, options = self.validate_argument_spec(argument_spec=spec)
        options["save_directory"] = self._remote_expand_user(options["save_directory"])
        controller = Controller(self._task.action, check_mode=self._task.check_mode, diff=self._task.diff)
        lost: list[AnsibleConnectionFailure] = []

        def send(command: str, data: bytes) -> str:
            if not self._connection.has_pipelining:
                raise Failure(
                    f"The connection {self._connection.transport} has no standard input for commands, and the "
                    "node has no Python 3.9 or later; use ssh or another connection that can pipeline."
                )
            try:
                return str(self._low_level_execute_command(command, in_data=data)["stdout"])
            except AnsibleConnectionFailure as error:
                lost.append(error)
                raise

        result = controller.run(lambda: make_plan(Raw(send), options), key="result")
        if lost:
            raise lost[0]
        return result
