# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which task of a play has begun, and what failed or changed, as lines of JSON in the file STEPS_FILE.

With ANSWER_WITHIN modules that run in forks of ansible-playbook wait so many seconds for an answer, in the place of one
or two minutes. With MODULE_ENDS_WITHIN those of kubernetes.core may take so many, in the place of ten minutes.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from typing import Any

from ansible.plugins.callback import CallbackBase

from ansible_collections.azureops.pod_identity.plugins.action import kubernetes_core
from ansible_collections.azureops.pod_identity.tests.support.run_module import answer_within

DOCUMENTATION = """
name: steps
type: notification
short_description: Tasks as lines of JSON
description: [A line for each task that begins or is tried again, and for each result that failed or changed.]
"""


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "steps"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        self._begun: Counter[str] = Counter()
        self._items: list[str] = []
        if seconds := os.environ.get("ANSWER_WITHIN"):
            answer_within(float(seconds))
        if seconds := os.environ.get("MODULE_ENDS_WITHIN"):
            kubernetes_core.LONGEST = int(seconds)

    def _write(self, **line: Any) -> None:
        with open(os.environ["STEPS_FILE"], "a", encoding="utf-8") as steps:
            steps.write(json.dumps(line) + "\n")

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        name = task.get_name()
        self._items = []
        self._begun[name] += 1
        self._write(begun=name if self._begun[name] == 1 else f"{name}, time {self._begun[name]}")

    def v2_runner_retry(self, result: Any) -> None:
        self._write(again=result._task.get_name())

    def v2_runner_on_ok(self, result: Any) -> None:
        if result._result.get("changed"):
            self._write(changed=result._task.get_name())

    def v2_runner_item_on_failed(self, result: Any) -> None:
        self._items.append(str(result._result.get("msg")))

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        # Of a loop Ansible itself tells only that an item has failed.
        messages, self._items = self._items or [str(result._result.get("msg"))], []
        self._write(failed=result._task.get_name(), messages=messages, ignored=ignore_errors)
