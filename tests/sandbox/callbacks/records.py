# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a play did, as lines of JSON in the file RECORDS_FILE, for tests; the normal output stays as it is."""

from __future__ import annotations

import json
import os
import time
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: records
type: notification
short_description: Results of tasks as lines of JSON
description: [One line per result of a task; a loop gives one line per item. The last line is what set_stats told.]
"""
NOTHING = {
    "time": 0.0,
    "task": "",
    "host": "",
    "changed": False,
    "item": "",
    "msg": "",
    "diff": {},
    "verification": None,
}


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "records"
    CALLBACK_NEEDS_ENABLED = True

    def _record(self, outcome: Any, state: str) -> None:
        result = outcome._result
        line = {
            "time": time.time(),
            "task": outcome._task.name,
            "host": outcome._host.get_name(),
            "state": state,
            "changed": bool(result.get("changed")),
            "item": str(result.get("_ansible_item_label", "")),
            "msg": result.get("msg", ""),
            "diff": result.get("diff") or {},
            "verification": (result.get("ansible_facts") or {}).get("pod_identity_verification"),
        }
        self._write(line)

    def _write(self, line: dict[str, Any]) -> None:
        with open(os.environ["RECORDS_FILE"], "a", encoding="utf-8") as records:
            records.write(json.dumps(line, default=str) + "\n")

    def v2_runner_on_ok(self, result: Any) -> None:
        if "results" not in result._result or not result._task.loop:
            self._record(result, "ok")

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        self._record(result, "failed")

    def v2_runner_item_on_ok(self, result: Any) -> None:
        self._record(result, "ok")

    def v2_runner_item_on_failed(self, result: Any) -> None:
        self._record(result, "failed")

    def v2_playbook_on_stats(self, stats: Any) -> None:
        self._write({**NOTHING, "state": "stats", "stats": stats.custom.get("_run", {})})
