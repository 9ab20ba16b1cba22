# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What requests need besides their own resource: its group, and rights on resources that a write links to."""

from __future__ import annotations

from typing import Any

from .. import ids
from ..routing import Call
from ..state import GROUP, IDENTITY, Resource
from ..wire import Answer, AzureError, JsonObject, gateway_error

ASSIGN = f"{IDENTITY}/assign/action"
JOIN = "Microsoft.Network/virtualNetworks/subnets/join/action"


def check_linked(call: Call, action: str, linked: list[str], needed: str = ASSIGN) -> None:
    """403 unless the caller may assign every identity, or join every subnet, that the request names."""
    refused = [each for each in linked if not call.azure.allowed(call.principal, needed, each)]
    if refused:
        message = (
            f"The client '{call.principal.app_id}' with object id '{call.principal.object_id}' has permission to"
            f" perform action '{action}' on scope '{call.path}'; however, it does not have permission to perform"
            f" action '{needed}' on the linked scope(s) '{','.join(refused)}' or the linked scope(s) are invalid."
        )
        raise gateway_error(403, "LinkedAuthorizationFailed", message)


def require_group(call: Call, group: str | None = None) -> Resource:
    """The resource group of a path, or ARM's 404."""
    name = group if group is not None else call.params["group"]
    found = call.state.get(ids.group_id(call.subscription, name))
    if found is None:
        raise gateway_error(404, "ResourceGroupNotFound", f"Resource group '{name}' could not be found.")
    return found


def resource_missing(kind: str, name: str, group: str) -> AzureError:
    """ARM's own 404; ``kind`` in the casing that ARM uses for it."""
    return gateway_error(
        404,
        "ResourceNotFound",
        f"The Resource '{kind}/{name}' under resource group '{group}' was not found. For more details please go to"
        " https://aka.ms/ARMResourceNotFoundFix",
    )


def group_body(resource_id: str, location: str, tags: Any, managed_by: Any) -> JsonObject:
    body: JsonObject = {"id": resource_id, "name": ids.last(resource_id), "type": GROUP, "location": location}
    if managed_by:
        body["managedBy"] = managed_by
    if tags is not None:
        body["tags"] = tags
    body["properties"] = {"provisioningState": "Succeeded"}
    return body


def delete(call: Call, resource_id: str) -> Answer:
    """Take a resource away, with what lies below it; one that is gone is no error."""
    if call.state.get(resource_id) is None:
        return Answer(204)
    call.state.remove(resource_id)
    return Answer(200)
