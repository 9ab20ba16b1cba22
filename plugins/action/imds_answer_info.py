# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs the module; on a node that has no Python, asks from here with nothing but commands."""

from __future__ import annotations

import typing as t

from ansible.plugins.action import ActionBase

from ansible_collections.azureops.pod_identity.plugins.module_utils._answer_options import OPTIONS
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.errors import Failure
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.nodes import imds_answer
from ansible_collections.azureops.pod_identity.plugins.module_utils._node import raw_question
from ansible_collections.azureops.pod_identity.plugins.module_utils._node.raw import Send
from ansible_collections.azureops.pod_identity.plugins.plugin_utils._bare_nodes import BareNodeAction
from ansible_collections.azureops.pod_identity.plugins.plugin_utils._in_process import prepare


class ActionModule(BareNodeAction):
    prepared = prepare(__name__)

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        if not self.has_no_python(task_vars or {}):
            ran: dict[str, t.Any] = super().run(tmp, task_vars)
            return ran
        result: dict[str, t.Any] = ActionBase.run(self, tmp, task_vars)
        return {**result, **self.with_commands(self._ask)}

    def _ask(self, send: Send) -> dict[str, t.Any]:
        dummy, options = self.validate_argument_spec(argument_spec=OPTIONS.options)

        def ask(method: str) -> raw_question.Asked:
            if self._task.check_mode:
                return imds_answer.unknown("Nothing was asked in check mode."), []
            if method == "probe_pod":
                raise Failure("method=probe_pod needs Python; run the task on the controller.")
            return raw_question.ask(send, method, options["pod_cidr"], options["timeout"])

        try:
            return {"changed": False, **imds_answer.in_turn(options["method"], ask)}
        except Failure as failure:
            return {"failed": True, "msg": failure.sentence}
