# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a user-assigned identity comes into being, for its own provider and for AKS."""

from __future__ import annotations

from .. import ids
from ..state import IDENTITY, Resource, State
from ..wire import JsonObject

COLLECTION = "/providers/Microsoft.ManagedIdentity/userAssignedIdentities"


def create_identity(state: State, group: str, name: str, location: str, tags: JsonObject) -> Resource:
    """An identity with its principal, as a PUT makes it, in the group with that id."""
    resource_id = f"{ids.with_lower_groups(group)}{COLLECTION}/{name}"
    principal = state.new_managed_identity(name, resource_id)
    body = {
        "id": resource_id,
        "name": name,
        "type": IDENTITY,
        "location": location,
        "tags": tags,
        "properties": {
            "tenantId": state.tenant_id,
            "principalId": principal.object_id,
            "clientId": principal.app_id,
        },
    }
    return state.put(Resource(resource_id, IDENTITY, body, {"principal": principal.object_id}))
