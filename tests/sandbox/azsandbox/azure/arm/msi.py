# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Microsoft.ManagedIdentity: user-assigned identities and their federated credentials."""

from __future__ import annotations

import re

from .. import ids
from ..routing import Call, Route, paged
from ..state import FEDERATED_CREDENTIAL, IDENTITY, Resource
from ..wire import Answer, AzureError, JsonObject, arm_error
from .identities import COLLECTION, create_identity
from .linked import delete, require_group, resource_missing
from .resources import RG, SUB

ITEM = RG + COLLECTION + "/{name}"
CREDENTIALS = ITEM + "/federatedIdentityCredentials"
LIMIT = 20


def _id(call: Call) -> str:
    return f"{ids.group_id(call.subscription, call.params['group'])}{COLLECTION}/{call.params['name']}"


def _require(call: Call) -> Resource:
    require_group(call)
    found = call.state.get(_id(call))
    if found is None:
        raise resource_missing(IDENTITY, call.params["name"], call.params["group"])
    return found


async def put_identity(call: Call) -> Answer:
    require_group(call)
    given = call.json()
    existing = call.state.get(_id(call))
    if existing is not None:
        existing.body["tags"] = given.get("tags") or {}
        return Answer(200, existing.body)
    location = str(given.get("location") or "").replace(" ", "").lower()
    if not location:
        raise arm_error(400, "LocationRequired", "The location property is required for this definition.")
    if not re.fullmatch(r"[A-Za-z0-9][\w-]{2,127}", call.params["name"]):
        message = (
            f"Resource name {call.params['name']} is invalid. The name must be 3 to 128 letters, digits, hyphens and"
            " underscores and start with a letter or digit."
        )
        raise arm_error(400, "InvalidResourceName", message)
    group = ids.group_id(call.subscription, call.params["group"])
    made = create_identity(call.state, group, call.params["name"], location, given.get("tags") or {})
    return Answer(201, made.body, {"Location": made.id})


async def patch_identity(call: Call) -> Answer:
    identity, given = _require(call), call.json()
    if given.get("tags") is not None:
        identity.body["tags"] = given["tags"]
    return Answer(200, identity.body)


async def get_identity(call: Call) -> Answer:
    return Answer(200, _require(call).body)


async def delete_identity(call: Call) -> Answer:
    require_group(call)
    return delete(call, _id(call))


async def list_in_group(call: Call) -> Answer:
    group = require_group(call)
    return paged([identity.body for identity in call.state.within(group.id, IDENTITY)])


async def list_in_subscription(call: Call) -> Answer:
    return paged([identity.body for identity in call.state.within(f"/subscriptions/{call.subscription}", IDENTITY)])


async def list_associated(call: Call) -> Answer:
    """Resources that carry the identity."""
    identity = _require(call)
    wanted = ids.key(identity.id)
    found = []
    for resource in call.state.resources.values():
        carried = (resource.body.get("identity") or {}).get("userAssignedIdentities") or {}
        if wanted in (ids.key(carrier) for carrier in carried):
            found.append(
                {
                    "id": resource.id,
                    "name": resource.name,
                    "type": resource.type.lower(),
                    "resourceGroup": ids.group_name(resource.id),
                    "subscriptionId": ids.subscription(resource.id),
                    "subscriptionDisplayName": call.state.subscriptions[ids.subscription(resource.id)],
                }
            )
    return Answer(200, {"totalCount": len(found), "value": found})


# federated credentials


def _credential_id(call: Call, identity: Resource) -> str:
    return f"{identity.id}/federatedIdentityCredentials/{call.params['credential']}"


def _credential_missing(resource_id: str) -> AzureError:
    return arm_error(404, "NotFound", f"Resource '{resource_id}' was not found.")


async def list_credentials(call: Call) -> Answer:
    return paged([c.body for c in call.state.within(_require(call).id, FEDERATED_CREDENTIAL)])


async def get_credential(call: Call) -> Answer:
    resource_id = _credential_id(call, _require(call))
    found = call.state.get(resource_id)
    if found is None:
        raise _credential_missing(resource_id)
    return Answer(200, found.body)


async def put_credential(call: Call) -> Answer:
    """One at a time per identity; issuer and subject are unique in it; twenty at most."""
    identity = _require(call)
    resource_id = _credential_id(call, identity)
    if identity.hidden.get("writing"):
        message = (
            "Too many Federated Identity Credentials are written concurrently for the managed identity"
            f" '{identity.id}'. Concurrent Federated Identity Credentials writes under the same managed identity are"
            " not supported."
        )
        raise arm_error(409, "ConcurrentFederatedIdentityCredentialsWritesForSingleManagedIdentity", message)
    properties = _credential_properties(call)
    identity.hidden["writing"] = True
    try:
        await call.azure.pause(call.state.settings.federated_credential_write)
        others = [
            c for c in call.state.within(identity.id, FEDERATED_CREDENTIAL) if ids.key(c.id) != ids.key(resource_id)
        ]
        _check_others(others, properties)
        existing = call.state.get(resource_id)
        delay = call.azure.scaled(call.state.settings.federated_credential_delay)
        visible = call.azure.clock.now() + delay
        body: JsonObject = {
            "id": existing.id if existing else resource_id,
            "name": existing.name if existing else call.params["credential"],
            "type": FEDERATED_CREDENTIAL,
            "properties": properties,
        }
        made = call.state.put(Resource(body["id"], FEDERATED_CREDENTIAL, body, {"visible": visible}))
    finally:
        identity.hidden.pop("writing", None)
    if existing is not None:
        return Answer(200, made.body)
    return Answer(201, made.body, {"Location": made.id})


def _credential_properties(call: Call) -> JsonObject:
    name = call.params["credential"]
    if not re.fullmatch(r"[a-zA-Z0-9][a-zA-Z0-9_-]{2,119}", name):
        raise arm_error(400, "InvalidResourceName", f"The federated identity credential name '{name}' is invalid.")
    given = call.json().get("properties") or {}
    issuer, subject, audiences = given.get("issuer"), given.get("subject"), given.get("audiences")
    for part, value in (("issuer", issuer), ("subject", subject)):
        if not isinstance(value, str) or not value or len(value) > 600:
            raise arm_error(400, "BadRequest", f"Property '{part}' must have 1 to 600 characters.")
    if not isinstance(audiences, list) or len(audiences) != 1:
        raise arm_error(400, "BadRequest", "Property 'audiences' must hold exactly one audience.")
    return {"issuer": issuer, "subject": subject, "audiences": audiences}


def _check_others(others: list[Resource], properties: JsonObject) -> None:
    if any(
        (c.properties["issuer"], c.properties.get("subject")) == (properties["issuer"], properties["subject"])
        for c in others
    ):
        raise arm_error(409, "Conflict", "Issuer and subject combination already exists for this Managed Identity.")
    if len(others) >= LIMIT:
        message = f"Too many Federated Identity Credentials on the managed identity; the maximum is {LIMIT}."
        raise arm_error(400, "BadRequest", message)


async def delete_credential(call: Call) -> Answer:
    return delete(call, _credential_id(call, _require(call)))


ROUTES = (
    Route("GET", SUB + COLLECTION, list_in_subscription, f"{IDENTITY}/read"),
    Route("GET", RG + COLLECTION, list_in_group, f"{IDENTITY}/read"),
    Route("PUT", ITEM, put_identity, f"{IDENTITY}/write"),
    Route("PATCH", ITEM, patch_identity, f"{IDENTITY}/write"),
    Route("GET", ITEM, get_identity, f"{IDENTITY}/read"),
    Route("DELETE", ITEM, delete_identity, f"{IDENTITY}/delete"),
    Route("POST", ITEM + "/listAssociatedResources", list_associated, f"{IDENTITY}/listAssociatedResources/action"),
    Route("GET", CREDENTIALS, list_credentials, f"{FEDERATED_CREDENTIAL}/read"),
    Route("GET", CREDENTIALS + "/{credential}", get_credential, f"{FEDERATED_CREDENTIAL}/read"),
    Route("PUT", CREDENTIALS + "/{credential}", put_credential, f"{FEDERATED_CREDENTIAL}/write"),
    Route("DELETE", CREDENTIALS + "/{credential}", delete_credential, f"{FEDERATED_CREDENTIAL}/delete"),
)
