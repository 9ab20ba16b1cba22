# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Microsoft.Compute: commands on an instance of a scale set, through its VM agent."""

from __future__ import annotations

from .._domain.errors import Failure
from .busy_wait import in_turn
from .client import Arm, Body
from .errors import Refused

_API = "2023-09-01"


def run(arm: Arm, instance: str, lines: list[str], what: str, *, busy_timeout: float) -> str:
    """Run a script on the instance with this id, when it is its turn; the message that Azure makes of its output."""
    doing = f"run a command on {what}"
    body = {"commandId": "RunShellScript", "script": lines}

    def attempt() -> Body:
        # No command may run twice because the answer to its start got lost.
        started = arm.send("POST", f"{instance}/runCommand", _API, doing=doing, body=body)
        return arm.follow(started, doing=doing)

    try:
        answer = in_turn(arm, attempt, doing, other="another run-command", timeout=busy_timeout)
    except Refused as refused:
        raise _explained(refused, what) from None
    values = ((answer.get("properties") or {}).get("output") or {}).get("value") or [{}]
    return str(values[0].get("message") or "")


def _explained(refused: Refused, what: str) -> Failure:
    text = f"{refused.service.code} {refused.service.message}".lower()
    if "vm agent" in text or "vmagent" in text:
        return Failure(
            f"The VM agent of {what} does not answer, so nothing can be run there: see that the machine runs, restart "
            "it, or reimage it (azureops.pod_identity.vmss_instance_reimage).",
            error=refused.error,
        )
    return refused
