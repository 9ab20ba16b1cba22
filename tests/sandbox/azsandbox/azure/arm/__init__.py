# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Azure Resource Manager: who asks, may they, is it locked; then the provider's handler."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from urllib.parse import parse_qsl, unquote, urlsplit

from .. import ids, paging, rbac
from ..routing import Call, Route, find
from ..state import LOCK, Principal
from ..tokens import InvalidToken
from ..wire import Answer, AzureError, arm_error, gateway_error, not_served
from . import authorization, compute, containerservice, insights, msi, power, resources, versions

ROUTES: tuple[Route, ...] = (
    *authorization.ROUTES,
    *msi.ROUTES,
    *containerservice.ROUTES,
    *power.ROUTES,
    *compute.ROUTES,
    *insights.ROUTES,
    *resources.ROUTES,
)
BATCH = "/batch"

AUDIENCES = frozenset({"https://management.azure.com", "https://management.core.windows.net"})


async def handle(call: Call) -> Answer:
    """management.azure.com"""
    answer = await _answer(call)
    return paging.page(call, answer, paging.EVENTS if "/eventtypes/" in call.path.lower() else paging.SIZE)


async def _answer(call: Call) -> Answer:
    public = find(resources.PUBLIC_ROUTES, call.method, call.path)
    if public is not None:
        route, call.params = public
        return await route.handler(call)
    call.caller = _authenticate(call)
    if (call.method, call.path) == ("POST", BATCH):
        return await batch(call)
    found = find(ROUTES, call.method, call.path)
    if found is None:
        raise not_served(f"'{call.method} {call.path}' is not served")
    if not call.api_version:
        message = "The api-version query parameter (?api-version=) is required for all requests."
        raise gateway_error(400, "MissingApiVersionParameter", message)
    route, call.params = found
    _check_subscription(call)
    _check_version(call)
    if not route.action:
        resources.check_registration(call)
        return await route.handler(call)
    target, action = ids.target(call.path), route.action.format_map(call.params)
    authorize(call, action, target)
    check_locks(call, target)
    resources.check_registration(call)
    try:
        answer = await route.handler(call)
    except AzureError as error:
        insights.record(call, action, target, error.answer.status)
        raise
    insights.record(call, action, target, answer.status)
    return answer


async def batch(call: Call) -> Answer:
    """Several requests at once, with the caller's own rights; nothing documents it, clients show how it is used."""
    answers = []
    for asked in call.json().get("requests") or []:
        url = urlsplit(str(asked.get("url") or ""))
        content = asked.get("content")
        part = replace(
            call,
            method=str(asked.get("httpMethod") or "GET").upper(),
            path=re.sub("//+", "/", unquote(url.path)),
            query=dict(parse_qsl(url.query)),
            raw_body=json.dumps(content).encode() if content is not None else b"",
        )
        try:
            answer = await handle(part)
        except AzureError as error:
            answer = error.answer
        shown = {"name": asked.get("name"), "httpStatusCode": answer.status, "headers": dict(answer.headers)}
        answers.append({**shown, "content": answer.body, "contentLength": len(answer.payload())})
    return Answer(200, {"responses": answers})


def _authenticate(call: Call) -> Principal:
    endpoints = call.azure.config.endpoints
    scheme, _, token = call.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        challenge = _challenge(
            call, "AuthenticationFailed", "Authentication failed. The 'Authorization' header is missing."
        )
        raise challenge
    try:
        claims = call.azure.signer.verify(token, AUDIENCES | {endpoints.arm})
    except InvalidToken as problem:
        raise _challenge(call, problem.code, problem.message) from None
    principal = call.state.principals.get(str(claims["oid"]))
    if principal is None:
        raise _challenge(
            call, "InvalidAuthenticationToken", "The received access token is not valid: its object is gone."
        )
    return principal


def _challenge(call: Call, code: str, message: str) -> AzureError:
    uri = f"{call.azure.config.endpoints.entra}/{call.state.tenant_id}"
    description = message.replace('"', "'")
    return arm_error(
        401,
        code,
        message,
        WWW_Authenticate=f'Bearer authorization_uri="{uri}", error="invalid_token", error_description="{description}"',
    )


def _check_subscription(call: Call) -> None:
    if call.subscription and call.subscription not in call.state.subscriptions:
        raise gateway_error(404, "SubscriptionNotFound", f"The subscription '{call.subscription}' could not be found.")


def _check_version(call: Call) -> None:
    """An api-version that Azure does not offer for the type is refused, as it refuses it."""
    there = call.state.get(call.path)
    given = call.json().get("location") if call.method == "PUT" else None
    location = (there.body.get("location") if there else None) or given or ""
    versions.check(call.path, call.api_version, str(location), list(resources.LOCATIONS))


def authorize(call: Call, action: str, scope: str) -> None:
    """403 unless a role assignment of the caller covers the action."""
    if not call.state.settings.enforce_rbac:
        return
    who = f"The client '{call.principal.app_id}' with object id '{call.principal.object_id}'"
    if not rbac.allows(call.azure.grants(), call.principal.object_id, action, scope):
        message = (
            f"{who} does not have authorization to perform action '{action}' over scope '{scope or '/'}' or the scope"
            " is invalid. If access was recently granted, please refresh your credentials."
        )
        raise gateway_error(403, "AuthorizationFailed", message)
    denial = rbac.denied_by(call.azure.denials(), call.principal.object_id, action, scope)
    if denial is not None:
        message = (
            f"{who} has permission to perform action '{action}' on scope '{scope}'; however, the access is denied"
            f" because of the deny assignment with name '{denial.name}' and Id '{denial.id}' at scope"
            f" '{denial.scope}'."
        )
        raise gateway_error(403, "DenyAssignmentAuthorizationFailed", message)


def check_locks(call: Call, target: str) -> None:
    """409 when a lock at, above or (for a deletion) below the target stands against the request."""
    kind = ids.type_and_name(target)[0]
    if call.method in {"GET", "HEAD"} or kind.lower() == LOCK.lower():
        return
    hindering = []
    for lock in call.state.all(LOCK):
        level, scope = lock.properties["level"], lock.hidden["scope"]
        above = ids.is_within(target, scope)
        below = ids.is_within(scope, target)
        if call.method == "DELETE" and (above or below):
            hindering.append(scope)
        elif level == "ReadOnly" and above:
            hindering.append(scope)
    if hindering:
        verb = "delete" if call.method == "DELETE" else "write"
        scopes = ",".join(f"'{scope}'" for scope in hindering)
        message = (
            f"The scope '{target}' cannot perform {verb} operation because following scope(s) are locked:"
            f" {scopes}. Please remove the lock and try again."
        )
        raise gateway_error(409, "ScopeLocked", message)
