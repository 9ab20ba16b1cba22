# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What tasks of a play tell that the golden record keeps, as lines of JSON in the file GOLDEN_FILE."""

from __future__ import annotations

import json
import os
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: golden
type: notification
short_description: Changes, shown lines and failures as lines of JSON
description: [A line for each result that has changes, shows something or failed, and one for each host in the end.]
"""


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "golden"
    CALLBACK_NEEDS_ENABLED = True

    def _write(self, **line: Any) -> None:
        with open(os.environ["GOLDEN_FILE"], "a", encoding="utf-8") as file:
            file.write(json.dumps(line, default=str) + "\n")

    def v2_runner_on_ok(self, result: Any) -> None:
        told, host = result._result, result._host.get_name()
        for each in told.get("results") or [told]:
            if not isinstance(each, dict):
                continue
            if each.get("changed") and isinstance(each.get("changes"), list):
                self._write(host=host, changes=each["changes"])
            if isinstance(each.get("msg"), list):
                self._write(host=host, shown=each["msg"])

    def v2_runner_item_on_failed(self, result: Any) -> None:
        self._failed(result)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        if not ignore_errors and "results" not in result._result:  # of a loop the items were told
            self._failed(result)

    def v2_runner_on_unreachable(self, result: Any) -> None:
        self._failed(result)

    def _failed(self, result: Any) -> None:
        self._write(host=result._host.get_name(), failed=str(result._result.get("msg")))

    def v2_playbook_on_stats(self, stats: Any) -> None:
        for host in sorted(stats.processed):
            found = stats.summarize(host)
            self._write(host=host, ended={name: found[name] for name in ("changed", "failures", "unreachable")})
