# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Microsoft Graph: service principals, as far as role assignment commands ask, and federated credentials.

Words and codes of its refusals are those that users quote (Azure/azure-workload-identity#434, Azure/azure-dev#1482);
that of the limit, and that a name stays, are self-consistent only.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator

from . import paging
from .routing import Call, Route, find
from .state import ApplicationCredential, Principal, PrincipalKind
from .tokens import InvalidToken
from .wire import Answer, AzureError, JsonObject, not_served, timestamp

CREDENTIALS = "federatedIdentityCredentials"
LIMIT = 20
# Who may read every application, and who may change those that it owns, or every one.
READERS = frozenset({"Application.Read.All", "Directory.Read.All", "Directory.ReadWrite.All"})
OF_OWNERS, OF_ALL = "Application.ReadWrite.OwnedBy", "Application.ReadWrite.All"

AUDIENCES = frozenset({"https://graph.microsoft.com", "00000003-0000-0000-c000-000000000000"})

PAGE = 100

_FILTERS = (
    re.compile(r"appId eq '(?P<appId>[^']*)'", re.IGNORECASE),
    re.compile(r"id eq '(?P<id>[^']*)'", re.IGNORECASE),
    re.compile(r"displayName eq '(?P<displayName>[^']*)'", re.IGNORECASE),
    re.compile(r"startswith\(displayName,\s*'(?P<prefix>[^']*)'\)", re.IGNORECASE),
    re.compile(r"servicePrincipalNames/any\((\w+):\s*\1 eq '(?P<spn>[^']*)'\)", re.IGNORECASE),
    re.compile(r"identifierUris/any\((\w+):\s*\1 eq '(?P<uri>[^']*)'\)", re.IGNORECASE),
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
    found = [service_principal(call, p) for p in call.state.principals.values() if _matches(p, p.object_id, wanted)]
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


def _matches(principal: Principal, object_id: str, wanted: dict[str, str]) -> bool:
    checks = {
        "appId": principal.app_id == wanted.get("appId", "").lower(),
        "id": object_id == wanted.get("id", "").lower(),
        "displayName": principal.name.lower() == wanted.get("displayName", "").lower(),
        "prefix": principal.name.lower().startswith(wanted.get("prefix", "").lower()),
        "spn": principal.app_id == wanted.get("spn", "").lower(),
        "uri": False,
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


# applications and their federated credentials


def application(principal: Principal) -> JsonObject:
    """An application as Graph answers it."""
    return {
        "id": principal.application_id,
        "deletedDateTime": None,
        "appId": principal.app_id,
        "displayName": principal.name,
        "identifierUris": [],
        "signInAudience": "AzureADMyOrg",
        "tags": [],
        "keyCredentials": [],
        "passwordCredentials": [],
    }


def _context(call: Call, what: str) -> JsonObject:
    return {"@odata.context": f"{call.azure.config.endpoints.graph}/v1.0/$metadata#{what}"}


def _denied() -> AzureError:
    return graph_error(403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation.")


def _may_read(call: Call) -> None:
    """Application.ReadWrite.OwnedBy reads all applications too."""
    if not {*READERS, OF_OWNERS, OF_ALL} & set(call.principal.graph):
        raise _denied()


def _application(call: Call, *, writes: bool = False) -> Principal:
    """That of the path, by its object id or application id, if the caller may read or change it."""
    _may_read(call)
    by_app = "app" in call.params
    wanted = call.params["app" if by_app else "id"].lower()
    several = call.state.applications()
    found = next((each for each in several if wanted == (each.app_id if by_app else each.application_id)), None)
    if found is None:
        raise _missing(wanted)
    granted = call.principal.graph
    if writes and OF_ALL not in granted and not (OF_OWNERS in granted and call.principal.object_id in found.owners):
        raise _denied()
    return found


async def list_applications(call: Call) -> Answer:
    _may_read(call)
    wanted = _parse_filter(call.query.get("$filter", ""))
    found = [application(each) for each in call.state.applications() if _matches(each, each.application_id, wanted)]
    return Answer(200, {**_context(call, "applications"), "value": found})


async def get_application(call: Call) -> Answer:
    return Answer(200, {**_context(call, "applications/$entity"), **application(_application(call))})


async def list_owners(call: Call) -> Answer:
    owners = [call.state.principals[each] for each in _application(call).owners if each in call.state.principals]
    found = [{"@odata.type": "#microsoft.graph.servicePrincipal", **service_principal(call, each)} for each in owners]
    return Answer(200, {**_context(call, "directoryObjects"), "value": found})


async def add_owner(call: Call) -> Answer:
    owned = _application(call, writes=True)
    new = str(call.json().get("@odata.id", "")).rpartition("/")[2].lower()
    if new not in call.state.principals:
        raise _missing(new)
    if new in owned.owners:
        message = "One or more added object references already exist for the following modified properties: 'owners'."
        raise graph_error(400, "Request_BadRequest", message)
    owned.owners.append(new)
    return Answer(204)


async def remove_owner(call: Call) -> Answer:
    owned = _application(call, writes=True)
    if call.params["owner"].lower() not in owned.owners:
        raise _missing(call.params["owner"])
    owned.owners.remove(call.params["owner"].lower())
    return Answer(204)


def _of_application(owned: Principal) -> str:
    return f"applications('{owned.application_id}')/{CREDENTIALS}"


async def list_credentials(call: Call) -> Answer:
    owned = _application(call)
    if call.query.get("$filter"):
        raise not_served(f"The filter '{call.query['$filter']}' is not understood")
    return Answer(200, {**_context(call, _of_application(owned)), "value": [c.body for c in owned.federated]})


def _find(call: Call, owned: Principal) -> ApplicationCredential | None:
    """That of the path, by its id or its name."""
    wanted = call.params["credential"].lower()
    return next((c for c in owned.federated if wanted in (c.body["id"], c.body["name"].lower())), None)


def _require(call: Call, owned: Principal) -> ApplicationCredential:
    found = _find(call, owned)
    if found is None:
        raise _missing(call.params["credential"])
    return found


async def get_credential(call: Call) -> Answer:
    owned = _application(call)
    context = _context(call, f"{_of_application(owned)}/$entity")
    return Answer(200, {**context, **_require(call, owned).body})


async def post_credential(call: Call) -> Answer:
    owned, given = _application(call, writes=True), call.json()
    name = given.get("name")
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9_-]{3,120}", name):
        raise _invalid("Name", name, "The value must be a valid URI last segment of 3 to 120 characters.")
    if any(name.lower() == c.body["name"].lower() for c in owned.federated):
        message = f"FederatedIdentityCredential with name {name} already exists."
        raise graph_error(409, "Request_MultipleObjectsWithSameKeyValue", message)
    return _created(call, owned, name, given)


def _created(call: Call, owned: Principal, name: str, given: JsonObject) -> Answer:
    if len(owned.federated) >= LIMIT:
        message = "The size of the object has exceeded its limit. Please reduce the number of values and retry"
        raise graph_error(403, "Directory_ResourceSizeExceeded", f"{message} your request.")
    body = {"id": str(uuid.uuid4()), "name": name, "description": None, **_checked(owned, given)}
    owned.federated.append(ApplicationCredential(body, _effect(call)))
    context = _context(call, f"{_of_application(owned)}/$entity")
    return Answer(201, {**context, **body})


def _effect(call: Call) -> float:
    return call.azure.clock.now() + call.azure.scaled(call.state.settings.federated_credential_delay)


async def patch_credential(call: Call) -> Answer:
    owned, given = _application(call, writes=True), call.json()
    return _changed(call, owned, _require(call, owned), given)


async def upsert_credential(call: Call) -> Answer:
    """By its name; makes it only where the request says so."""
    owned, given = _application(call, writes=True), call.json()
    existing = _find(call, owned)
    if existing is None and "create-if-missing" in call.headers.get("Prefer", ""):
        return _created(call, owned, call.params["credential"], given)
    return _changed(call, owned, _require(call, owned), given)


def _changed(call: Call, owned: Principal, existing: ApplicationCredential, given: JsonObject) -> Answer:
    if given.get("name", existing.body["name"]) != existing.body["name"]:
        message = "Name is immutable and cannot be changed after creation."
        raise _invalid("Name", given["name"], message)
    existing.body.update(_checked(owned, {**existing.body, **given}, existing))
    existing.visible = _effect(call)
    return Answer(204)


def _checked(owned: Principal, given: JsonObject, existing: ApplicationCredential | None = None) -> JsonObject:
    """What a request may set of a credential, or why not. Here too one with an expression has no subject."""
    issuer, subject, audiences = given.get("issuer"), given.get("subject"), given.get("audiences")
    expression = given.get("claimsMatchingExpression")
    texts = [("Issuer", issuer), *(() if expression else (("Subject", subject),))]
    for part, value in texts:
        if not isinstance(value, str) or not 0 < len(value) <= 600:
            raise _invalid(part, value, "The value must have 1 to 600 characters.")
    if not isinstance(audiences, list) or len(audiences) != 1:
        raise _invalid("Audiences", audiences, "The collection must have exactly one value.")
    if subject and any(
        c is not existing and (c.body["issuer"], c.body["subject"]) == (issuer, subject) for c in owned.federated
    ):
        message = "The combination of issuer and subject must be unique for the application."
        raise _invalid("Subject", subject, f"{message} Issuer {issuer} and Subject: {subject} already exist.")
    names = ("issuer", "subject", "audiences", "description", "claimsMatchingExpression")
    return {name: given[name] for name in names if name in given}


def _invalid(part: str, value: object, message: str) -> AzureError:
    where = f"paramName: FederatedIdentityCredential.{part}, paramValue: {value}"
    kind = "objectType: Microsoft.Online.DirectoryServices.Application"
    return graph_error(400, "InvalidFederatedIdentityCredentialValue", f"{message} {where}, {kind}")


async def delete_credential(call: Call) -> Answer:
    owned = _application(call, writes=True)
    owned.federated.remove(_require(call, owned))
    return Answer(204)


def _of_applications() -> Iterator[Route]:
    """An application is addressed by its object id or by its application id, a credential by its id or its name."""
    for at in ("/v1.0/applications/{id}", "/v1.0/applications(appId='{app}')"):
        several = f"{at}/{CREDENTIALS}"
        named = several + "(name='{credential}')"
        one = several + "/{credential}"
        yield Route("GET", at, get_application)
        yield Route("GET", f"{at}/owners", list_owners)
        yield Route("POST", f"{at}/owners/$ref", add_owner)
        yield Route("DELETE", at + "/owners/{owner}/$ref", remove_owner)
        yield Route("GET", several, list_credentials)
        yield Route("POST", several, post_credential)
        for path in (named, one):
            yield Route("GET", path, get_credential)
            yield Route("DELETE", path, delete_credential)
        yield Route("PATCH", named, upsert_credential)
        yield Route("PATCH", one, patch_credential)


ROUTES = (
    Route("GET", "/v1.0/servicePrincipals", list_service_principals),
    Route("GET", "/v1.0/servicePrincipals/{id}", get_service_principal),
    Route("POST", "/v1.0/directoryObjects/getByIds", get_by_ids),
    Route("GET", "/v1.0/users", none),
    Route("GET", "/v1.0/users/{id}", missing),
    Route("GET", "/v1.0/groups", none),
    Route("GET", "/v1.0/groups/{id}", missing),
    Route("GET", "/v1.0/applications", list_applications),
    *_of_applications(),
    Route("GET", "/v1.0/me", me),
    Route("GET", "/v1.0/me/ownedObjects", me),
)


async def handle(call: Call) -> Answer:
    """graph.microsoft.com"""
    scheme, _, token = call.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise graph_error(401, "InvalidAuthenticationToken", "Access token is empty.")
    try:
        claims = call.azure.signer.verify(token, AUDIENCES | {call.azure.config.endpoints.graph})
    except InvalidToken as problem:
        raise graph_error(401, "InvalidAuthenticationToken", problem.message) from None
    call.caller = call.state.principals.get(str(claims["oid"]))
    found = find(ROUTES, call.method, call.path)
    if found is None:
        raise not_served(f"'{call.method} {call.path}' of Microsoft Graph is not served")
    route, call.params = found
    return paging.page(call, await route.handler(call), PAGE, "@odata.nextLink")
