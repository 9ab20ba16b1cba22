# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Writes a report of clusters on the controller, which has what renders its page."""

from __future__ import annotations

import time
import typing as t

from ansible.plugins.action import ActionBase

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.report import files, judging, model
from ansible_collections.azureops.pod_identity.plugins.module_utils._plan import Plan
from ansible_collections.azureops.pod_identity.plugins.plugin_utils import _changes, _report_files
from ansible_collections.azureops.pod_identity.plugins.plugin_utils._controller import Controller

ARGUMENTS = {
    "target": {"type": "path", "required": True},
    "formats": {"type": "list", "elements": "str", "choices": list(files.FORMATS), "default": []},
    "title": {"type": "str", "default": ""},
    "fail_on": {"type": "str", "choices": list(judging.FAIL_ON), "default": judging.NEVER},
    "previous": {"type": "path"},
    "hosts": {"type": "list", "elements": "str", "required": True},
    "clusters": {"type": "list", "elements": "dict", "required": True},
}


class ActionModule(ActionBase):
    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        variables, began = task_vars or {}, time.monotonic()
        result: dict[str, t.Any] = super().run(tmp, variables)
        dummy, arguments = self.validate_argument_spec(ARGUMENTS)
        controller = Controller("cluster_report", check_mode=self._task.check_mode, diff=self._task.diff)
        result.update(controller.run(lambda: _plan(arguments), key="result"))
        _changes.keep(self, variables, result, time.monotonic() - began, look=False)
        return result


def _plan(arguments: t.Mapping[str, t.Any]) -> Plan:
    """Raises Failure where there is nothing to report, or no place for it."""
    named = zip(arguments["hosts"], arguments["clusters"], strict=True)
    document = {"clusters": [found or {"name": host, "failure": model.UNTOLD} for host, found in named]}
    earlier = _report_files.earlier(arguments["previous"] or "")
    made = _report_files.Made.of(document, arguments["fail_on"], arguments["title"], earlier)
    return _report_files.plan(made, files.target(arguments["target"], arguments["formats"]))
