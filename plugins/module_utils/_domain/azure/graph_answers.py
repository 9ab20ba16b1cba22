# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Which answers are those of Microsoft Graph; see arm_answers.py.

https://learn.microsoft.com/graph/api/resources/federatedidentitycredential
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass

from ..errors import Failure
from . import arm_answers
from .arm_answers import Body, NotAzure, Page
from .arm_errors import ServiceError
from .federated import SEGMENT, Credential

_TENANT = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]*")
_GUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


@dataclass(frozen=True)
class Application:
    """``object_id`` is that of the application, not of its service principal; ``app_id`` is the client id."""

    object_id: str
    app_id: str
    name: str


def is_app_id(text: str) -> bool:
    """Whether a text may be the client id of an application."""
    return _GUID.fullmatch(text) is not None


def require_app_id(text: str) -> str:
    if not is_app_id(text):
        raise Failure(f"{text!r} is not the id of an application; app_id must be its application (client) id, a GUID.")
    return text.lower()


def require_tenant(text: str | None) -> str:
    """A tenant that is named; '' where none is."""
    if text and not _TENANT.fullmatch(text):
        raise Failure(f"{text!r} is no tenant; name it by its id or by one of its domains.")
    return text or ""


def is_missing(error: ServiceError) -> bool:
    """Whether a refusal says that an object does not exist. Only Graph's own form says so."""
    return error.status == 404 and error.code == "Request_ResourceNotFound" and bool(error.message)


def application(doing: str, text: str, app_id: str) -> Application:
    """The application that an answer holds; raises NotAzure unless it is the one with this client id."""
    body = arm_answers.decoded(doing, text)
    if not isinstance(body, dict):
        raise NotAzure(doing, "the answer is empty" if body is None else "the answer is not an application")
    found = [body.get(key) for key in ("id", "appId", "displayName")]
    if not all(isinstance(each, str) for each in found) or not _GUID.fullmatch(str(found[0])):
        raise NotAzure(doing, "the answer is not an application")
    if str(found[1]).lower() != app_id.lower():
        raise NotAzure(doing, f"the answer is about the application {found[1]!r}")
    return Application(str(found[0]), str(found[1]), str(found[2]))


def credentials(doing: str, text: str) -> Page:
    """A page of federated credentials; raises NotAzure unless it says itself that it is one."""
    body = arm_answers.decoded(doing, text)
    values = body.get("value") if isinstance(body, dict) else None
    if not isinstance(values, list) or not all(isinstance(each, dict) for each in values):
        raise NotAzure(doing, "the answer is empty" if body is None else "the answer is not a list")
    context = str(body.get("@odata.context") or "").partition("#")[2]
    if not context.endswith(f"/{SEGMENT}"):
        raise NotAzure(doing, "the answer does not say that it lists federated credentials")
    for each in values:
        _require_credential(doing, each)
    following = body.get("@odata.nextLink") or ""
    if not isinstance(following, str):
        raise NotAzure(doing, "the answer does not say where its next page is")
    return Page(tuple(values), following)


def require_done(doing: str, status: int, text: str, made: str = "") -> None:
    """Raise NotAzure unless a write was done: Graph says nothing more then, or shows the credential ``made``."""
    body = arm_answers.decoded(doing, text)
    if status == 204 and body is None:
        return
    if not made or status != 201 or not isinstance(body, dict) or body.get("name") != made:
        raise NotAzure(doing, "the answer does not say that it is done")


def _require_credential(doing: str, body: Body) -> None:
    audiences, subject = body.get("audiences"), body.get("subject")
    right = (
        all(isinstance(body.get(key), str) and body[key] for key in ("id", "name", "issuer"))
        and _GUID.fullmatch(body["id"]) is not None
        and (subject is None or isinstance(subject, str))
        and isinstance(audiences, list)
        and all(isinstance(each, str) for each in audiences)
    )
    if not right:
        raise NotAzure(doing, "the answer lists something that is no federated credential")


def credential(body: t.Mapping[str, t.Any]) -> Credential:
    """A federated credential as Graph reports it."""
    return Credential(
        name=str(body["name"]),
        issuer=str(body["issuer"]),
        subject=str(body.get("subject") or ""),
        audiences=tuple(body["audiences"]),
        raw=dict(body),
    )
