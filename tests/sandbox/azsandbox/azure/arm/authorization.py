# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Microsoft.Authorization: role definitions and assignments, permissions, denials, locks; on any scope."""

from __future__ import annotations

import re
import uuid

from .. import ids, rbac
from ..core import assignment_body, custom_role
from ..rbac import Role
from ..routing import Call, Route, paged
from ..state import DENY_ASSIGNMENT, LOCK, ROLE_ASSIGNMENT, ROLE_DEFINITION, Resource
from ..wire import Answer, AzureError, JsonObject, arm_error, timestamp
from .linked import delete
from .resources import check_scope

COOKIE = {"Set-Cookie": "x-ms-gateway-slice=Production; path=/; secure; samesite=none; httponly"}
ON_SCOPE = "{scope:path}/providers/Microsoft.Authorization"


def _answer(status: int, body: JsonObject) -> Answer:
    return Answer(status, body, COOKIE)


def _page(value: list[JsonObject]) -> Answer:
    return Answer(200, {"value": value}, COOKIE)


# role definitions


def _permissions(role: Role) -> JsonObject:
    return {
        "actions": list(role.actions),
        "notActions": list(role.not_actions),
        "dataActions": list(role.data_actions),
        "notDataActions": list(role.not_data_actions),
    }


def definition_body(call: Call, role: Role) -> JsonObject:
    """A role definition as a GET answers it."""
    history = {
        "createdOn": "2015-02-02T21:55:09.8806423Z",
        "updatedOn": "2021-11-11T20:13:47.8628684Z",
        "createdBy": None,
        "updatedBy": None,
    }
    if not role.built_in:
        stored = call.state.get(call.azure.role_definition_id(role.id, ""))
        history = stored.hidden["history"] if stored is not None else history
    return {
        "properties": {
            "roleName": role.name,
            "type": "BuiltInRole" if role.built_in else "CustomRole",
            "description": role.description,
            "assignableScopes": list(role.assignable_scopes),
            "permissions": [_permissions(role)],
            **history,
        },
        "id": call.azure.role_definition_id(role.id, call.path),
        "type": ROLE_DEFINITION,
        "name": role.id,
    }


def _visible_at(role: Role, scope: str) -> bool:
    return any(ids.is_within(scope, s) or ids.is_within(s, scope) for s in role.assignable_scopes)


async def list_definitions(call: Call) -> Answer:
    scope = call.params["scope"]
    roles = [role for role in call.azure.roles() if _visible_at(role, scope)]
    for clause in re.split(r"\s+and\s+", call.query.get("$filter", "").strip()):
        named = re.fullmatch(r"roleName eq '(.*)'", clause, re.IGNORECASE)
        typed = re.fullmatch(r"type eq '(.*)'", clause, re.IGNORECASE)
        if named:
            roles = [role for role in roles if role.name.lower() == named.group(1).replace("''", "'").lower()]
        elif typed:
            roles = [role for role in roles if role.built_in is (typed.group(1).lower() == "builtinrole")]
        elif clause and not re.fullmatch(r"atScope(AndBelow)?\(\)", clause, re.IGNORECASE):
            raise _unsupported(clause)
    return _page([definition_body(call, role) for role in roles])


def _unsupported(text: str) -> AzureError:
    return arm_error(
        400,
        "UnsupportedQuery",
        f"The filter '{text}' is not supported. Supported filters are either 'atScope()' or"
        " 'principalId eq '{value}' or assignedTo('{value}')'.",
    )


def _no_definition(role_id: str) -> AzureError:
    return arm_error(
        404,
        "RoleDefinitionDoesNotExist",
        f"The specified role definition with ID '{role_id.replace('-', '').lower()}' does not exist.",
    )


async def get_definition(call: Call) -> Answer:
    role = call.azure.role(call.params["name"])
    if role is None:
        raise _no_definition(call.params["name"])
    return _answer(200, definition_body(call, role))


async def put_definition(call: Call) -> Answer:
    """A custom role; its name must be new to the tenant."""
    given = call.json().get("properties") or {}
    name = call.params["name"].lower()
    role_name = str(given.get("roleName") or "")
    if not role_name or not given.get("assignableScopes"):
        raise arm_error(400, "InvalidRoleDefinition", "The role definition needs a name and assignable scopes.")
    if any(r.name.lower() == role_name.lower() and r.id.lower() != name for r in call.azure.roles()):
        raise arm_error(
            409,
            "RoleDefinitionWithSameNameExists",
            f"A custom role with the same name already exists in this directory. Use a different name: '{role_name}'.",
        )
    resource_id = call.azure.role_definition_id(name, "")  # one of the tenant
    now, who = timestamp(), call.principal.object_id
    existing = call.state.get(resource_id)
    history = existing.hidden["history"] if existing else {"createdOn": now, "createdBy": who}
    history = {**history, "updatedOn": now, "updatedBy": who}
    made = call.state.put(Resource(resource_id, ROLE_DEFINITION, {"properties": given}, {"history": history}))
    body = definition_body(call, custom_role(made))
    return _answer(201, {**body, "properties": {**body["properties"], "createdBy": None}})


async def delete_definition(call: Call) -> Answer:
    found = call.state.get(call.azure.role_definition_id(call.params["name"], ""))
    if found is None:
        return Answer(204)
    body = definition_body(call, custom_role(found))
    call.state.remove(found.id)
    return _answer(200, body)


# role assignments


def _assignment_id(call: Call) -> str:
    """In the casing of the request."""
    return f"{call.params['scope']}/providers/{ROLE_ASSIGNMENT}/{call.params['name']}"


def _principal_filter(text: str) -> str | None:
    match = re.fullmatch(r"(?:assignedTo\('|principalId eq ')([^']+)'\)?", text, re.IGNORECASE)
    return match.group(1).lower() if match else None


async def list_assignments(call: Call) -> Answer:
    """At the scope, above it and, without ``atScope()``, below it."""
    scope = call.params["scope"]
    check_scope(call, scope)
    clauses = [c for c in re.split(r"\s+and\s+", call.query.get("$filter", "").strip()) if c]
    at_scope = any(c.lower() == "atscope()" for c in clauses)
    others = [c for c in clauses if c.lower() != "atscope()"]
    principals = [_principal_filter(c) for c in others]
    combined = at_scope and any(c.lower().startswith("principalid") for c in others)
    if None in principals or len(principals) > 1 or combined:
        raise _unsupported(call.query["$filter"])
    found = []
    for assignment in call.state.all(ROLE_ASSIGNMENT):
        place = assignment.properties["scope"]
        if not ids.is_within(scope, place) and (at_scope or not ids.is_within(place, scope)):
            continue
        if principals and assignment.properties["principalId"] != principals[0]:
            continue
        found.append(assignment.body)
    return _page(found)


async def get_assignment(call: Call) -> Answer:
    found = call.state.get(_assignment_id(call))
    if found is None:
        message = f"The role assignment '{call.params['name']}' is not found."
        raise arm_error(404, "RoleAssignmentNotFound", message)
    return _answer(200, found.body)


async def put_assignment(call: Call) -> Answer:
    scope = call.params["scope"]
    check_scope(call, scope)
    given = call.json().get("properties") or {}
    _check_name(call)
    principal_id = str(given.get("principalId") or "").lower()
    role_id = ids.last(str(given.get("roleDefinitionId") or "")).lower()
    if not principal_id or not role_id:
        raise arm_error(
            400, "InvalidRequestContent", "The role assignment needs properties.principalId and roleDefinitionId."
        )
    if call.azure.role(role_id) is None:
        raise _no_definition(role_id)
    wanted = {**given, "principalId": principal_id, "roleDefinitionId": call.azure.role_definition_id(role_id, scope)}
    existing = call.state.get(_assignment_id(call))
    if existing is not None:
        return _update(call, existing, wanted)
    _check_principal(call, principal_id, given.get("principalType"))
    for other in call.state.all(ROLE_ASSIGNMENT):
        same = all(other.properties[part] == wanted[part] for part in ("principalId", "roleDefinitionId"))
        if same and ids.key(other.properties["scope"]) == ids.key(scope):
            raise arm_error(409, "RoleAssignmentExists", "The role assignment already exists.")
    body = assignment_body(_assignment_id(call), wanted, scope, created_by=call.principal.object_id)
    delay = call.azure.scaled(call.state.settings.role_assignment_delay)
    effective = call.azure.clock.now() + delay
    call.state.put(Resource(body["id"], ROLE_ASSIGNMENT, body, {"effective": effective}))
    return _answer(201, _without_creator(body))


def _without_creator(body: JsonObject) -> JsonObject:
    """The answer to a PUT does not name the creator yet; a GET does."""
    return {**body, "properties": {**body["properties"], "createdBy": None}}


def _check_name(call: Call) -> None:
    try:
        uuid.UUID(call.params["name"])
    except ValueError:
        message = f"The role assignment ID '{call.params['name']}' is not valid. The role assignment ID must be a GUID."
        raise arm_error(400, "InvalidRoleAssignmentId", message) from None


def _update(call: Call, existing: Resource, wanted: JsonObject) -> Answer:
    """Only what is not identity may change; the status is 201 all the same."""
    properties = existing.properties
    if any(properties[part] != wanted[part] for part in ("principalId", "roleDefinitionId")):
        message = "Tenant ID, application ID, principal ID, and scope are not allowed to be updated."
        raise arm_error(400, "RoleAssignmentUpdateNotPermitted", message)
    for part in ("condition", "conditionVersion", "description"):
        properties[part] = wanted.get(part)
    properties["updatedOn"] = timestamp()
    properties["updatedBy"] = call.principal.object_id
    return _answer(201, _without_creator(existing.body))


def _check_principal(call: Call, principal_id: str, kind: str | None) -> None:
    """A directory that replicates: a new principal is unknown for a while, unless its type is named."""
    principal = call.state.principals.get(principal_id)
    if kind:
        if principal is not None and kind != "ServicePrincipal":
            message = (
                f"The PrincipalId '{principal_id.replace('-', '')}' has type 'ServicePrincipal' , which is different"
                f" from specified PrinciaplType '{kind}'."
            )
            raise arm_error(400, "UnmatchedPrincipalType", message)
        return
    if principal is not None and principal.refusals_left <= 0:
        return
    if principal is not None:
        principal.refusals_left -= 1
    message = (
        f"Principal {principal_id.replace('-', '')} does not exist in the directory {call.state.tenant_id}. Check that"
        " you have the correct principal ID. If you are creating this principal and then immediately assigning a role,"
        " this error might be related to a replication delay. In this case, set the role assignment principalType"
        " property to a value, such as ServicePrincipal, User, or Group.  See https://aka.ms/docs-principaltype"
    )
    raise arm_error(400, "PrincipalNotFound", message)


async def delete_assignment(call: Call) -> Answer:
    found = call.state.get(_assignment_id(call))
    if found is None:
        return Answer(204)
    call.state.remove(found.id)
    return _answer(200, found.body)


# permissions and denials


async def list_permissions(call: Call) -> Answer:
    """What the caller's roles allow at a scope."""
    check_scope(call, call.params["scope"])
    value: list[JsonObject] = []
    for grant in rbac.grants_at(call.azure.grants(), call.principal.object_id, call.params["scope"]):
        block = _permissions(grant.role)
        if block not in value:
            value.append(block)
    return _page(value)


async def list_denials(call: Call) -> Answer:
    scope = call.params["scope"]
    check_scope(call, scope)
    found = [
        d.body
        for d in call.state.all(DENY_ASSIGNMENT)
        if ids.is_within(scope, d.properties["scope"])
        or ("atscope()" not in call.query.get("$filter", "").lower() and ids.is_within(d.properties["scope"], scope))
    ]
    return _page(found)


# locks


def _lock_id(call: Call) -> str:
    return f"{call.params['scope']}/providers/{LOCK}/{call.params['name']}"


def _no_lock(call: Call) -> AzureError:
    return arm_error(404, "LockNotFound", f"The lock '{call.params['name']}' could not be found.")


async def list_locks(call: Call) -> Answer:
    """At the scope, above and below."""
    scope = call.params["scope"]
    check_scope(call, scope)
    only_here = "atscope()" in call.query.get("$filter", "").lower()
    found = []
    for lock in call.state.all(LOCK):
        place = lock.hidden["scope"]
        if ids.is_within(scope, place) or (not only_here and ids.is_within(place, scope)):
            found.append(lock.body)
    return paged(found)


async def put_lock(call: Call) -> Answer:
    scope = call.params["scope"]
    check_scope(call, scope)
    properties = call.json().get("properties") or {}
    if properties.get("level") not in ("CanNotDelete", "ReadOnly"):
        raise arm_error(
            400, "InvalidLockLevel", f"The lock level '{properties.get('level')}' is invalid: CanNotDelete or ReadOnly."
        )
    existing = call.state.get(_lock_id(call))
    shown = {name: properties[name] for name in ("level", "notes") if properties.get(name) is not None}
    body: JsonObject = {"properties": shown, "id": _lock_id(call), "type": LOCK, "name": call.params["name"]}
    call.state.put(Resource(body["id"], LOCK, body, {"scope": scope}))
    return Answer(200 if existing else 201, body)


async def get_lock(call: Call) -> Answer:
    found = call.state.get(_lock_id(call))
    if found is None:
        raise _no_lock(call)
    return Answer(200, found.body)


async def delete_lock(call: Call) -> Answer:
    return delete(call, _lock_id(call))


ROUTES = (
    Route("GET", ON_SCOPE + "/roleDefinitions", list_definitions, f"{ROLE_DEFINITION}/read"),
    Route("GET", ON_SCOPE + "/roleDefinitions/{name}", get_definition, f"{ROLE_DEFINITION}/read"),
    Route("PUT", ON_SCOPE + "/roleDefinitions/{name}", put_definition, f"{ROLE_DEFINITION}/write"),
    Route("DELETE", ON_SCOPE + "/roleDefinitions/{name}", delete_definition, f"{ROLE_DEFINITION}/delete"),
    Route("GET", ON_SCOPE + "/roleAssignments", list_assignments, f"{ROLE_ASSIGNMENT}/read"),
    Route("GET", ON_SCOPE + "/roleAssignments/{name}", get_assignment, f"{ROLE_ASSIGNMENT}/read"),
    Route("PUT", ON_SCOPE + "/roleAssignments/{name}", put_assignment, f"{ROLE_ASSIGNMENT}/write"),
    Route("DELETE", ON_SCOPE + "/roleAssignments/{name}", delete_assignment, f"{ROLE_ASSIGNMENT}/delete"),
    Route("GET", ON_SCOPE + "/permissions", list_permissions),
    Route("GET", ON_SCOPE + "/denyAssignments", list_denials, f"{DENY_ASSIGNMENT}/read"),
    Route("GET", ON_SCOPE + "/locks", list_locks, f"{LOCK}/read"),
    Route("GET", ON_SCOPE + "/locks/{name}", get_lock, f"{LOCK}/read"),
    Route("PUT", ON_SCOPE + "/locks/{name}", put_lock, f"{LOCK}/write"),
    Route("DELETE", ON_SCOPE + "/locks/{name}", delete_lock, f"{LOCK}/delete"),
)
