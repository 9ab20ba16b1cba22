# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Microsoft Graph, as far as role assignment commands ask it."""

from __future__ import annotations

import re
import uuid

from . import paging
from .routing import Call, Route, find
from .state import Principal, PrincipalKind
from .tokens import InvalidToken
from .wire import Answer, AzureError, JsonObject, not_served, timestamp

AUDIENCES = frozenset({"https://graph.microsoft.com", "00000003-0000-0000-c000-000000000000"})

PAGE = 100

_FILTERS = (
    re.compile(r"appId eq '(?P<appId>[^']*)'", re.IGNORECASE),
    re.compile(r"id eq '(?P<id>[^']*)'", re.IGNORECASE),
    re.compile(r"displayName eq '(?P<displayName>[^']*)'", re.IGNORECASE),
    re.compile(r"startswith\(displayName,\s*'(?P<prefix>[^']*)'\)", re.IGNORECASE),
    re.compile(r"servicePrincipalNames/any\((\w+):\s*\1 eq '(?P<spn>[^']*)'\)", re.IGNORECASE),
)


def graph_error(status: int, code: str, message: str) -> AzureError:
    inner = {
        "date": timestamp()[:19],
        "request-id": str(uuid.uuid4()),
        "client-request-id": str(uuid.uuid4()),
    }
    return AzureError(Answer(status, {"error": {"code": code, "message": message, "innerError": inner}}))


def service_principal(call: Call, principal: Principal) -> JsonObject:
    """A service principal as Graph answers it."""
    names = [principal.app_id]
    alternatives: list[str] = []
    if principal.kind is PrincipalKind.MANAGED_IDENTITY and principal.resource_id is not None:
        explicit = "userAssignedIdentities" in principal.resource_id
        alternatives = [f"isExplicit={explicit}", principal.resource_id]
        names.append(f"https://identity.azure.net/{principal.object_id}")
    return {
        "id": principal.object_id,
        "deletedDateTime": None,
        "accountEnabled": True,
        "alternativeNames": alternatives,
        "appDisplayName": None if alternatives else principal.name,
        "appId": principal.app_id,
        "appOwnerOrganizationId": None if alternatives else call.state.tenant_id,
        "appRoleAssignmentRequired": False,
        "displayName": principal.name,
        "servicePrincipalNames": names,
        "servicePrincipalType": principal.kind.value,
        "signInAudience": None if alternatives else "AzureADMyOrg",
        "tags": [],
        "keyCredentials": [],
        "passwordCredentials": [],
    }


async def list_service_principals(call: Call) -> Answer:
    wanted = _parse_filter(call.query.get("$filter", ""))
    found = [service_principal(call, p) for p in call.state.principals.values() if _matches(p, wanted)]
    context = f"{call.azure.config.endpoints.graph}/v1.0/$metadata#servicePrincipals"
    return Answer(200, {"@odata.context": context, "value": found})


def _parse_filter(text: str) -> dict[str, str]:
    if not text:
        return {}
    for pattern in _FILTERS:
        match = pattern.fullmatch(text.strip())
        if match:
            return match.groupdict()
    raise not_served(f"The filter '{text}' is not understood")


def _matches(principal: Principal, wanted: dict[str, str]) -> bool:
    checks = {
        "appId": principal.app_id == wanted.get("appId", "").lower(),
        "id": principal.object_id == wanted.get("id", "").lower(),
        "displayName": principal.name.lower() == wanted.get("displayName", "").lower(),
        "prefix": principal.name.lower().startswith(wanted.get("prefix", "").lower()),
        "spn": principal.app_id == wanted.get("spn", "").lower(),
    }
    return all(checks[name] for name in wanted)


async def get_service_principal(call: Call) -> Answer:
    principal = call.state.principals.get(call.params["id"].lower())
    if principal is None:
        raise _missing(call.params["id"])
    context = f"{call.azure.config.endpoints.graph}/v1.0/$metadata#servicePrincipals/$entity"
    return Answer(200, {"@odata.context": context, **service_principal(call, principal)})


def _missing(object_id: str) -> AzureError:
    return graph_error(
        404,
        "Request_ResourceNotFound",
        f"Resource '{object_id}' does not exist or one of its queried reference-property objects are not present.",
    )


async def get_by_ids(call: Call) -> Answer:
    asked = call.json()
    types = [str(kind).lower() for kind in asked.get("types") or ["serviceprincipal"]]
    found: list[JsonObject] = []
    if "serviceprincipal" in types or "directoryobject" in types:
        for object_id in asked.get("ids") or []:
            principal = call.state.principals.get(str(object_id).lower())
            if principal is not None:
                found.append({"@odata.type": "#microsoft.graph.servicePrincipal", **service_principal(call, principal)})
    context = f"{call.azure.config.endpoints.graph}/v1.0/$metadata#directoryObjects"
    return Answer(200, {"@odata.context": context, "value": found})


async def none(call: Call) -> Answer:
    """The directory has no users and no groups."""
    collection = call.path.rsplit("/", 1)[1]
    context = f"{call.azure.config.endpoints.graph}/v1.0/$metadata#{collection}"
    return Answer(200, {"@odata.context": context, "value": []})


async def missing(call: Call) -> Answer:
    raise _missing(call.params["id"])


async def me(call: Call) -> Answer:
    raise graph_error(400, "BadRequest", "/me request is only valid with delegated authentication flow.")


ROUTES = (
    Route("GET", "/v1.0/servicePrincipals", list_service_principals),
    Route("GET", "/v1.0/servicePrincipals/{id}", get_service_principal),
    Route("POST", "/v1.0/directoryObjects/getByIds", get_by_ids),
    Route("GET", "/v1.0/users", none),
    Route("GET", "/v1.0/users/{id}", missing),
    Route("GET", "/v1.0/groups", none),
    Route("GET", "/v1.0/groups/{id}", missing),
    Route("GET", "/v1.0/applications", none),
    Route("GET", "/v1.0/applications/{id}", missing),
    Route("GET", "/v1.0/me", me),
    Route("GET", "/v1.0/me/ownedObjects", me),
)


async def handle(call: Call) -> Answer:
    """graph.microsoft.com"""
    scheme, _, token = call.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise graph_error(401, "InvalidAuthenticationToken", "Access token is empty.")
    try:
        claims = call.azure.signer.verify(token, AUDIENCES)
    except InvalidToken as problem:
        raise graph_error(401, "InvalidAuthenticationToken", problem.message) from None
    call.caller = call.state.principals.get(str(claims["oid"]))
    found = find(ROUTES, call.method, call.path)
    if found is None:
        raise not_served(f"'{call.method} {call.path}' of Microsoft Graph is not served")
    route, call.params = found
    return paging.page(call, await route.handler(call), PAGE, "@odata.nextLink")
