# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Writes down every result whole."""

from __future__ import annotations

import json
import os
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = "{name: azureops.witness.results, type: aggregate, short_description: Write down results, options: {}}"


def event(name: str) -> Any:
    def write(self: CallbackBase, result: Any, *_more: Any, **_named: Any) -> None:
        line = {
            "task": result._task.get_name().rpartition(" : ")[2],
            "host": result._host.name,
            "event": name,
            "result": result._result,
        }
        with open(os.environ["WITNESS_RESULTS"], "a", encoding="utf-8") as file:
            file.write(json.dumps(line, sort_keys=True, default=repr) + "\n")

    return write


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "azureops.witness.results"
    CALLBACK_NEEDS_ENABLED = True

    v2_runner_on_ok = event("ok")
    v2_runner_on_failed = event("failed")
    v2_runner_on_skipped = event("skipped")
    v2_runner_on_unreachable = event("unreachable")
    v2_runner_retry = event("retry")
    v2_runner_item_on_ok = event("item ok")
    v2_runner_item_on_failed = event("item failed")
    v2_runner_item_on_skipped = event("item skipped")
