# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Resource groups: what a group is to be, and how a user sees it."""

from __future__ import annotations

import typing as t

from ..errors import Failure
from . import arm_id, tags

Body = t.Mapping[str, t.Any]
KIND = "Microsoft.Resources/resourceGroups"
_GOING = "deleting"


def desired(
    name: str, current: Body | None, *, location: str | None, wanted_tags: tags.Tags | None, append_tags: bool
) -> dict[str, t.Any]:
    """The body to PUT; equal to ``current`` where nothing is to be changed."""
    if current is None:
        if not location:
            raise Failure(f"The resource group {name} does not exist; name the location in which to create it.")
        return {"location": location, "tags": tags.merge(None, wanted_tags, append=append_tags)}
    if location and not same_location(location, current.get("location", "")):
        raise Failure(
            f"The resource group {name} is in {current.get('location')} and cannot move to {location}; use another "
            "name, or leave location out."
        )
    merged = tags.merge(current.get("tags"), wanted_tags, append=append_tags)
    return dict(current) if merged == (current.get("tags") or {}) else {**current, "tags": merged}


def is_going(body: Body) -> bool:
    """Whether the group is being deleted: it still answers, but will be gone."""
    return str((body.get("properties") or {}).get("provisioningState", "")).lower() == _GOING


def remaining(found: t.Iterable[Body]) -> list[Body]:
    """Those of the groups, as a user sees them, that are not being deleted."""
    return [each for each in found if str(each["provisioning_state"]).lower() != _GOING]


def refuse_nonempty(name: str, resources: t.Sequence[str], option: str) -> None:
    """``option``: what lets a group be deleted with these resources."""
    if resources:
        shown = ", ".join(arm_id.last_segment(resource) for resource in resources[:5])
        more = ", ..." if len(resources) > 5 else ""
        several = f"{len(resources)} resources" if len(resources) > 1 else "1 resource"
        raise Failure(
            f"The resource group {name} still holds {several} ({shown}{more}); "
            f"remove them, or set {option} to true to delete them with it.",
            results={"resources": list(resources)},
        )


def without(resources: t.Iterable[str], ignored: t.Iterable[str], subscription: str) -> list[str]:
    """Ids without the ignored ones, of which one that begins with ``/resourceGroups`` lies in the subscription."""
    left_out = {arm_id.normal(_whole(each, subscription)) for each in ignored}
    return [each for each in resources if arm_id.normal(each) not in left_out]


def _whole(resource: str, subscription: str) -> str:
    inside = resource.lower().startswith("/resourcegroups/")
    return f"/subscriptions/{subscription}{resource}" if inside else resource


def same_location(left: str, right: str) -> bool:
    """Azure takes ``West Europe`` and ``westeurope`` for one region."""
    return left.replace(" ", "").lower() == right.replace(" ", "").lower()


def view(body: Body | None) -> dict[str, t.Any]:
    if not body:
        return {}
    return {
        "id": body.get("id", ""),
        "name": body.get("name", ""),
        "location": body.get("location", ""),
        "tags": dict(body.get("tags") or {}),
        "provisioning_state": (body.get("properties") or {}).get("provisioningState", "Succeeded"),
    }
