# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""User-assigned identities: what one is to be, and how a user sees it."""

from __future__ import annotations

import typing as t

from .. import names
from ..errors import Failure
from . import arm_id, groups

KIND = "Microsoft.ManagedIdentity/userAssignedIdentities"


def view(body: t.Mapping[str, t.Any] | None) -> dict[str, t.Any]:
    if not body:
        return {}
    properties = body.get("properties") or {}
    return {
        "id": body["id"],
        "name": body.get("name") or arm_id.last_segment(body["id"]),
        "resource_group": arm_id.parse(body["id"]).resource_group,
        "location": body.get("location", ""),
        "client_id": properties.get("clientId", ""),
        "principal_id": properties.get("principalId", ""),
        "tenant_id": properties.get("tenantId", ""),
        "tags": dict(body.get("tags") or {}),
    }


def require_id(text: str) -> str:
    if not arm_id.same(arm_id.parse(text).type, KIND):
        raise Failure(f"{text!r} is not the id of a user-assigned identity; it must end in .../{KIND}/name.")
    return text


def used_by(credentials: t.Iterable[str], holders: t.Iterable[str]) -> list[str]:
    """What uses an identity: federated credentials, by their names, and the resources that it is attached to."""
    return [*(f"its federated credential {each}" for each in credentials), *holders]


def use(identity: str, users: t.Sequence[str]) -> str:
    """Why an identity that something uses is not deleted, as a sentence."""
    return (
        f"The identity {arm_id.last_segment(identity)} is not deleted, because it is used by {names.listed(users)}: "
        "remove that first, or leave the identity."
    )


def refuse_used(identity: str, users: t.Sequence[str]) -> None:
    """Raises Failure where something uses an identity."""
    if users:
        raise Failure(use(identity, users), results={"used_by": users})


def refuse_move(name: str, current: str, wanted: str | None) -> None:
    """An identity stays where it was created."""
    if wanted and not groups.same_location(wanted, current):
        raise Failure(
            f"The identity {name} is in {current} and cannot move to {wanted}; use another name, or leave location out."
        )
