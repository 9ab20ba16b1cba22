# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Microsoft.Insights: the activity log of writes. No recording shows it; shapes and filters are those that Microsoft
documents, and which writes show their request body is not documented, so that part is self-consistent."""

from __future__ import annotations

import json
import re
import uuid
from datetime import datetime, timedelta

from .. import ids
from ..log import scrubbed_body
from ..routing import Call, Route, paged
from ..state import Principal
from ..wire import Answer, JsonObject, arm_error, timestamp, utcnow
from .resources import SUB

PATH = SUB + "/providers/Microsoft.Insights/eventtypes/management/values"
KEPT = 20000
RETENTION = timedelta(days=90)
_OBJECT_ID = "http://schemas.microsoft.com/identity/claims/objectidentifier"
# Documented patterns: a time range, and at most one of these.
_FILTER = re.compile(
    r"eventTimestamp ge (?P<quote>'?)(?P<since>[^' ]+)(?P=quote)"
    r"(?: and eventTimestamp le (?P<other>'?)(?P<until>[^' ]+)(?P=other))?(?: and eventChannels eq '[^']*')?"
    r"(?: and (?P<field>resourceGroupName|resourceUri|resourceProvider|correlationId) eq '(?P<value>[^']*)')?",
    re.IGNORECASE,
)


def record(call: Call, action: str, target: str, status: int) -> None:
    """The two events of a write: its beginning, with what was asked for, and its end."""
    if call.method not in ("PUT", "PATCH", "DELETE") or not ids.subscription(target):
        return
    operation = call.headers.get("x-ms-correlation-request-id", call.request_id)
    body = scrubbed_body(call.raw_body, call.headers.get("Content-Type", ""))
    began: JsonObject = {"eventName": "BeginRequest", "status": "Started", "properties": {}}
    if body is not None:
        began["properties"] = {"requestbody": json.dumps(body)}
    word = "Succeeded" if status < 400 else "Failed"
    ended: JsonObject = {"eventName": "EndRequest", "status": word, "properties": {"statusCode": str(status)}}
    for part in (began, ended):
        call.state.events.append(_event(call, call.principal, action, target, operation, part))
    del call.state.events[:-KEPT]


def _event(call: Call, who: Principal, action: str, target: str, operation: str, part: JsonObject) -> JsonObject:
    now = timestamp()
    return {
        "authorization": {"action": action, "scope": target},
        "caller": who.object_id,
        "channels": "Operation",
        "claims": {"appid": who.app_id, _OBJECT_ID: who.object_id},
        "correlationId": operation,
        "eventDataId": str(uuid.uuid4()),
        "eventName": _localized(part["eventName"]),
        "eventTimestamp": now,
        "submissionTimestamp": now,
        "httpRequest": {"clientRequestId": operation, "clientIpAddress": call.remote, "method": call.method},
        "level": "Informational",
        "operationId": operation,
        "operationName": _localized(action),
        "properties": part["properties"],
        "resourceGroupName": ids.group_name(target),
        "resourceId": target,
        "resourceProviderName": _localized(action.partition("/")[0]),
        "status": _localized(part["status"]),
        "subscriptionId": ids.subscription(target),
    }


def _localized(value: str) -> JsonObject:
    return {"value": value, "localizedValue": value}


async def list_events(call: Call) -> Answer:
    """Newest first."""
    asked = _FILTER.fullmatch(call.query.get("$filter", ""))
    if asked is None:
        raise arm_error(400, "BadRequest", f"The filter {call.query.get('$filter', '')!r} is not supported.")
    try:
        since, until = (_moment(asked[name]) for name in ("since", "until"))
    except ValueError as error:
        raise arm_error(400, "BadRequest", f"A time of the filter is invalid: {error}.") from None
    if since is None or utcnow() - since > RETENTION:
        raise arm_error(400, "BadRequest", "The start time cannot be more than 90 days in the past.")
    wanted = [
        event
        for event in reversed(call.state.events)
        if event["subscriptionId"].lower() == call.subscription.lower()
        and since <= (_moment(event["eventTimestamp"]) or since) <= (until or utcnow())
        and _selected(event, asked["field"] or "", asked["value"] or "")
    ]
    fields = [name for name in call.query.get("$select", "").split(",") if name]
    return paged([{name: event.get(name) for name in fields} if fields else event for event in wanted])


def _moment(text: str | None) -> datetime | None:
    """A time of a filter or an event; its seventh digit is dropped."""
    return datetime.fromisoformat(re.sub(r"(\.\d{6})\d*", r"\1", text)) if text else None


def _selected(event: JsonObject, field: str, value: str) -> bool:
    found = {
        "": value,
        "resourcegroupname": event["resourceGroupName"],
        "resourceuri": event["resourceId"],
        "resourceprovider": event["resourceProviderName"]["value"],
        "correlationid": event["correlationId"],
    }[field.lower()]
    return str(found).lower() == value.lower()


ROUTES = (Route("GET", PATH, list_events, "Microsoft.Insights/eventtypes/values/read"),)
