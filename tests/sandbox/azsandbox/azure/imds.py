# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The instance metadata service, bound to what the asking node's scale set carries at this moment."""

from __future__ import annotations

import time

from . import ids
from .entra import is_known_resource
from .routing import Call, Route, find
from .state import Principal, Resource
from .tokens import MANAGED_IDENTITY_LIFETIME
from .wire import Answer, AzureError, JsonObject, not_served

SERVER = "IMDS/150.870.65.1852"
SELECTORS = ("client_id", "object_id", "principal_id", "msi_res_id", "mi_res_id")


def refusal(description: str, error: str = "invalid_request") -> AzureError:
    return AzureError(Answer(400, {"error": error, "error_description": description}))


def _instance(call: Call) -> Resource:
    instance_id = call.azure.compute.instance_at(call.remote)
    instance = call.state.get(instance_id) if instance_id else None
    if instance is None:
        raise AzureError(Answer(404, {"error": "not found", "error_description": f"No machine has {call.remote}."}))
    return instance


def scale_set_of(call: Call, instance: Resource) -> Resource:
    found = call.state.get(instance.id.rpartition("/")[0].rpartition("/")[0])
    if found is None:
        raise RuntimeError(f"{instance.id} has no scale set")
    return found


async def token(call: Call) -> Answer:
    if not call.query.get("api-version"):
        raise refusal("Required query variable 'api-version' is missing")
    resource = call.query.get("resource", "")
    if not resource:
        raise refusal("Required query variable 'resource' is missing")
    machine = _instance(call)
    scale_set = scale_set_of(call, machine)
    principal = _select(call, scale_set)
    if not is_known_resource(call.azure, resource):
        raise refusal(
            f"AADSTS500011: The resource principal named {resource} was not found in the tenant named"
            f" {call.state.tenant_id}. This can happen if the application has not been installed by the administrator"
            " of the tenant or consented to by any user in the tenant.",
            "invalid_resource",
        )
    call.caller = principal
    issued, access_token = _cached(call, (machine.id, principal.object_id, resource), principal, scale_set)
    expires = issued + MANAGED_IDENTITY_LIFETIME
    left = expires - int(time.time())
    body = {
        "access_token": access_token,
        "client_id": principal.app_id,
        "expires_in": str(left),
        "expires_on": str(expires),
        "ext_expires_in": str(left - 1),
        "not_before": str(issued - 300),
        "resource": resource,
        "token_type": "Bearer",
    }
    return Answer(200, body)


def _cached(call: Call, key: tuple[str, str, str], principal: Principal, scale_set: Resource) -> tuple[int, str]:
    """Each machine gets the same token until half of its life is over."""
    now = int(time.time())
    cached = call.azure.imds_tokens.get(key)
    if cached is None or now - cached[0] > MANAGED_IDENTITY_LIFETIME // 2:
        made = call.azure.signer.mint(
            principal,
            key[2],
            lifetime=MANAGED_IDENTITY_LIFETIME,
            azure_resource=ids.with_lower_groups(scale_set.id),
        )
        cached = call.azure.imds_tokens[key] = (now, made)
    return cached


def _select(call: Call, scale_set: Resource) -> Principal:
    """The identity that was asked for, or the only sensible one."""
    identity = scale_set.body.get("identity") or {}
    carried: dict[str, JsonObject] = identity.get("userAssignedIdentities") or {}
    chosen = {name: call.query[name] for name in SELECTORS if call.query.get(name)}
    if chosen:
        wanted = next(iter(chosen.values())).lower()
        for resource_id, entry in carried.items():
            if wanted in (ids.key(resource_id), entry.get("clientId"), entry.get("principalId")):
                return _living(call, entry)
        system = identity.get("principalId")
        owner = call.state.principals.get(system) if system else None
        if owner is not None and wanted in (owner.app_id, owner.object_id):
            return owner
        raise refusal("Identity not found")
    system = identity.get("principalId")
    if system:
        return call.state.principals[system]
    if len(carried) > 1:
        raise refusal(
            "Multiple user assigned identities exist, please specify the clientId / resourceId of the identity in the"
            " token request"
        )
    if not carried:
        raise refusal("Identity not found")
    return _living(call, next(iter(carried.values())))


def _living(call: Call, entry: JsonObject) -> Principal:
    """The principal of an entry; an identity that was deleted, or deleted and made again, leaves a dead entry."""
    principal = call.state.principals.get(str(entry.get("principalId")))
    if principal is None:
        raise refusal("Identity not found")
    return principal


async def instance(call: Call) -> Answer:
    if not call.query.get("api-version"):
        return Answer(
            400,
            {
                "error": "Bad request. api-version was not specified in the request. For more information refer to"
                " aka.ms/azureimds",
                "newest-versions": ["2023-07-01", "2021-12-13", "2021-11-15"],
            },
        )
    document: object = _document(call)
    for part in [part for part in call.params.get("rest", "").split("/") if part]:
        if not isinstance(document, dict) or part not in document:
            return Answer(404, {"error": "Not found"})
        document = document[part]
    if call.query.get("format") == "text":
        return Answer(200, str(document), content_type="text/plain; charset=utf-8")
    return Answer(200, document)


def _document(call: Call) -> JsonObject:
    machine = _instance(call)
    scale_set = scale_set_of(call, machine)
    return {
        "compute": {
            "azEnvironment": "AzurePublicCloud",
            "location": machine.body["location"],
            "name": machine.body["name"],
            "osType": "Linux",
            "provider": "Microsoft.Compute",
            "resourceGroupName": ids.group_name(machine.id) or "",
            "resourceId": machine.id,
            "subscriptionId": ids.subscription(machine.id),
            "tags": ";".join(f"{name}:{value}" for name, value in (scale_set.body.get("tags") or {}).items()),
            "vmId": machine.properties["vmId"],
            "vmScaleSetName": scale_set.name,
            "vmSize": machine.body["sku"]["name"],
            "zone": "",
        },
        "network": {"interface": []},
    }


ROUTES = (
    Route("GET", "/metadata/identity/oauth2/token", token),
    Route("GET", "/metadata/instance{rest:path}", instance),
)


async def handle(call: Call) -> Answer:
    """169.254.169.254"""
    answer = await _answer(call)
    return Answer(answer.status, answer.body, {**answer.headers, "Server": SERVER}, answer.content_type)


async def _answer(call: Call) -> Answer:
    try:
        # The value's case counts for nothing here; NMI in front of it is stricter.
        if call.headers.get("Metadata", "").lower() != "true":
            raise refusal("Required metadata header not specified")
        found = find(ROUTES, call.method, call.path)
        if found is None:
            raise not_served(f"'{call.method} {call.path}' of the metadata service is not served")
        route, call.params = found
        return await route.handler(call)
    except AzureError as error:
        return error.answer
