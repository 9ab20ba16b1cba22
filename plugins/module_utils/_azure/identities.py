# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Microsoft.ManagedIdentity: user-assigned identities, with azure-mgmt-msi. Updates are PATCHes of tags only."""

from __future__ import annotations

import typing as t

from .._domain.azure import arm_id, identities
from .._domain.errors import Failure
from .._libraries import library
from . import resource_groups
from .client import Arm, Body, payload, raw
from .errors import missing_is_fine, refusals

_API = "2023-01-31"
_API_OF_USERS = "2021-09-30-preview"  # no later one has it


def get(arm: Arm, group: str, name: str) -> Body | None:
    return arm.get(_id(arm, group, name), _API, doing=f"read the identity {name} in the resource group {group}")


def list_group(arm: Arm, group: str) -> list[Body]:
    """The identities of a resource group, given by its id, in whatever subscription; none where it does not exist."""
    with missing_is_fine:
        return arm.list(f"{group}/providers/{identities.KIND}", _API, doing=f"list the identities of {group}")
    return []


def get_by_id(arm: Arm, identity: str) -> Body | None:
    """An identity in whatever subscription; None where it does not exist."""
    return arm.get(identity, _API, doing=f"read the identity {identity}")


def create(arm: Arm, group: str, name: str, *, location: str | None, tags: t.Mapping[str, str]) -> Body:
    """Create an identity, in the region of its group unless ``location`` names another."""
    region = location or resource_groups.location(arm, group)
    if region is None:
        raise Failure(
            f"The identity {name} cannot be created: the resource group {group} does not exist; create it first."
        )
    doing = f"create the identity {name} in the resource group {group}"
    with refusals(doing):
        body, answer = {"location": region, "tags": dict(tags)}, raw(doing, _id(arm, group, name))
        return t.cast(Body, _operations(arm).create_or_update(group, name, payload(body), cls=answer))


def set_tags(arm: Arm, group: str, name: str, tags: t.Mapping[str, str]) -> Body:
    doing = f"change the tags of the identity {name} in the resource group {group}"
    with refusals(doing):
        answer = raw(doing, _id(arm, group, name))
        return t.cast(Body, _operations(arm).update(group, name, payload({"tags": dict(tags)}), cls=answer))


def delete(arm: Arm, group: str, name: str) -> None:
    with missing_is_fine:
        doing = f"delete the identity {name} in the resource group {group}"
        arm.delete(_id(arm, group, name), _API, doing=doing)


def carriers(arm: Arm, identity: str) -> list[str]:
    """Ids of the resources of any kind that an identity, given by its id, is attached to; Azure's list may lag."""
    doing = f"list what the identity {identity} is attached to"
    with missing_is_fine:
        found = arm.list(f"{identity}/listAssociatedResources", _API_OF_USERS, doing=doing, method="POST")
        return [str(body["id"]) for body in found]
    return []


def put_by_id(arm: Arm, identity: str, *, location: str, tags: t.Mapping[str, str]) -> Body:
    """Create an identity in any subscription."""
    body = {"location": location, "tags": dict(tags)}
    return arm.put(identity, _API, body, doing=f"create the identity {identity}")


def delete_by_id(arm: Arm, identity: str) -> None:
    with missing_is_fine:
        arm.delete(identity, _API, doing=f"delete the identity {identity}")


def _id(arm: Arm, group: str, name: str) -> str:
    return arm_id.resource(arm.subscription, group, identities.KIND, name)


def _operations(arm: Arm) -> t.Any:
    with library("azure-mgmt-msi"):
        from azure.mgmt.msi import ManagedServiceIdentityClient
    return arm.typed(ManagedServiceIdentityClient).user_assigned_identities
