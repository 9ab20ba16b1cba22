# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Microsoft.Compute: commands on an instance of a scale set, through its VM agent."""

from __future__ import annotations

import time

from .._domain.errors import Failure
from .client import Arm
from .refusals import Refused

_API = "2023-09-01"


def run(arm: Arm, instance: str, lines: list[str], what: str, *, busy_timeout: float) -> str:
    """Run a script on the instance with this id, when it is its turn; the message that Azure makes of its output."""
    doing = f"run a command on {what}"
    body = {"commandId": "RunShellScript", "script": lines}
    give_up = time.monotonic() + busy_timeout
    while True:
        try:
            # No command may run twice because the answer to its start got lost.
            started = arm.send("POST", f"{instance}/runCommand", _API, doing=doing, body=body, again=False)
            answer = arm.follow(started, doing=doing)
            break
        except Refused as refused:
            if not _is_busy(refused):
                raise _explained(refused, what) from None
            if time.monotonic() >= give_up:
                raise Failure(
                    f"Could not {doing}: another run-command is still in progress there after {busy_timeout:g} "
                    "seconds; wait for its end, or raise busy_timeout.",
                    error=refused.error,
                ) from None  # all that it said is in the error
            time.sleep(arm.patience.interval)
    values = ((answer.get("properties") or {}).get("output") or {}).get("value") or [{}]
    return str(values[0].get("message") or "")


def _is_busy(refused: Refused) -> bool:
    in_progress = refused.service.status == 409 and "in progress" in refused.service.message.lower()
    return in_progress or refused.service.status == 429


def _explained(refused: Refused, what: str) -> Failure:
    text = f"{refused.service.code} {refused.service.message}".lower()
    if "vm agent" in text or "vmagent" in text:
        return Failure(
            f"The VM agent of {what} does not answer, so nothing can be run there: see that the machine runs, restart "
            "it, or reimage it (az vmss reimage).",
            error=refused.error,
        )
    return refused
