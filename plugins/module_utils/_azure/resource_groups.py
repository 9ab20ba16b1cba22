# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Microsoft.Resources: resource groups, over plain ARM requests."""

from __future__ import annotations

from .._domain.azure import arm_answers, groups
from .._domain.errors import Failure
from .client import Arm, Body
from .errors import Refused

_API = "2022-09-01"


def get(arm: Arm, name: str) -> Body | None:
    return arm.get(_path(arm, name), _API, doing=f"read the resource group {name}")


def location(arm: Arm, name: str) -> str | None:
    """Region of the group; None where it does not exist."""
    group = get(arm, name)
    return None if group is None else arm_answers.needed(group, "location")


def managed_by(arm: Arm, group: str) -> str:
    """Id of the resource that a group, given by its id, belongs to; '' where there is none."""
    body = arm.get(group, _API, doing=f"read the resource group {group}")
    return str((body or {}).get("managedBy") or "")


def put(arm: Arm, name: str, body: Body) -> Body:
    """Create or update a group. One that is just being deleted is waited for first."""
    doing = f"write the resource group {name}"
    _wait_until_deleted(arm, name)
    writable = {key: value for key, value in body.items() if key in ("location", "tags", "managedBy")}
    return arm.put(_path(arm, name), _API, writable, doing=doing)


def delete(arm: Arm, name: str) -> None:
    """Delete a group with what is in it; one that is being deleted already is waited for."""
    doing = f"delete the resource group {name}"
    try:
        arm.follow(arm.delete(_path(arm, name), _API, doing=doing), doing=doing)
    except Refused as refused:
        if refused.service.code == "ResourceGroupBeingDeleted":
            _wait_until_deleted(arm, name)
        elif not refused.is_missing():
            raise


def resources(arm: Arm, name: str) -> list[str]:
    """Ids of what is in the group."""
    doing = f"list the resources of the resource group {name}"
    return [str(found["id"]) for found in arm.list(_path(arm, name) + "/resources", "2021-04-01", doing=doing)]


def regions(arm: Arm) -> list[str]:
    """Names of the regions of the subscription; none where Azure does not tell."""
    path = f"/subscriptions/{arm.subscription}/locations"
    try:
        found = arm.list(path, "2022-12-01", doing="list the regions of the subscription", kind="")
    except Refused:
        return []
    return sorted(str(each.get("name") or "") for each in found)


def _wait_until_deleted(arm: Arm, name: str) -> None:
    for _look in arm.patience.looks(f"the resource group {name} is being deleted"):
        group = get(arm, name)
        if group is None or not groups.is_going(group):
            return
    raise Failure(
        f"The resource group {name} is still being deleted after {arm.patience.timeout:g} seconds; run again later."
    )


def _path(arm: Arm, name: str) -> str:
    return f"/subscriptions/{arm.subscription}/resourcegroups/{name}"
