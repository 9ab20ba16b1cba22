# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Microsoft.Compute: scale sets and their instances."""

from __future__ import annotations

import typing as t

from .._domain.azure import arm_id, long_running
from .._domain.errors import Failure
from .busy_wait import in_turn
from .client import Arm, Body, provisioning_state
from .errors import Refused, missing_is_fine

if t.TYPE_CHECKING:
    from azure.core.rest import HttpResponse

_API = "2023-09-01"
_TYPE = "providers/Microsoft.Compute/virtualMachineScaleSets"


def list_group(arm: Arm, group: str) -> list[Body]:
    """The scale sets of a resource group, given by its id; none where the group does not exist."""
    with missing_is_fine:
        return arm.list(f"{group}/{_TYPE}", _API, doing=f"list the scale sets of {group}")
    return []


def get(arm: Arm, scale_set: str) -> Body | None:
    """A scale set, given by its id; None where it does not exist."""
    return arm.get(scale_set, _API, doing=f"read the scale set {arm_id.last_segment(scale_set)}")


def instances(arm: Arm, scale_set: str) -> list[Body]:
    """The instances of a scale set, given by its id."""
    with missing_is_fine:
        return arm.list(f"{scale_set}/virtualMachines", _API, doing=f"list the instances of {scale_set}")
    return []


def name_of(instance: str) -> str:
    """An instance, given by its id, for people."""
    scale_set, _slash, number = instance.strip().rstrip("/").rpartition("/")
    return f"instance {number} of the scale set {arm_id.last_segment(scale_set.rpartition('/')[0])}"


def get_instance(arm: Arm, instance: str) -> Body | None:
    """An instance, given by its id; None where it does not exist."""
    return arm.get(instance, _API, doing=f"read {name_of(instance)}")


def reimage(arm: Arm, instance: str, *, busy_timeout: float) -> None:
    """Give the instance a new system when it is free; a Failure tells in ``started`` whether Azure may have begun."""
    what, started = name_of(instance), False
    doing = f"reimage {what}"

    def attempt() -> HttpResponse | None:
        nonlocal started
        started = False
        current = get_instance(arm, instance)
        if current is None:
            raise Failure(f"Could not {doing}: it does not exist any more; look at the nodes again.")
        if not long_running.ended(provisioning_state(current)):
            return None  # Azure might give up for the reimage what is going on
        started = True  # also where the answer is lost, for which reason it is not sent again
        try:
            return arm.send("POST", f"{instance}/reimage", _API, doing=doing, body={})
        except Refused as refused:
            started = refused.service.status >= 500
            raise

    try:
        arm.follow(in_turn(arm, attempt, doing, other="another operation", timeout=busy_timeout), doing=doing)
    except Failure as failure:
        failure.results["started"] = started
        raise
