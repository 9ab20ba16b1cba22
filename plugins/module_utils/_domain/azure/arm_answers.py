# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Which answers are those of ARM. What is not is refused: a proxy's page must read neither as absent nor as empty."""

from __future__ import annotations

import datetime
import email.utils
import json
import re
import typing as t
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote, urlsplit

from ..errors import Failure
from . import arm_id
from .arm_errors import ServiceError

Body = dict[str, t.Any]

_MISSING = re.compile(r"[A-Za-z.]*(?:NotFound|DoesNotExist)")
# What is missing then is no resource, but what one would be asked for.
_ELSEWHERE = re.compile(r"Subscription|Tenant|Provider|ResourceType|ApiVersion", re.IGNORECASE)
_URL = re.compile(r"https://(?P<host>[A-Za-z0-9.-]+)(?::(?P<port>[0-9]+))?(?:[/?][^\s\\]*)?")
_REGION = re.compile(r"[a-z0-9-]+")
_HTML = re.compile(r"\s*<(?:!doctype|html|head|body|\?xml)", re.IGNORECASE)
_OBJECTS = ("properties", "tags", "identity")
_HTTPS = 443


class NotAzure(Failure):
    """An answer that no service of Azure would give, such as the page of a proxy. ``found`` is a clause about it."""

    def __init__(self, doing: str, found: str) -> None:
        super().__init__(
            f"Could not {doing}: {found}, so not Azure but a proxy, a gateway or another service answered; check "
            "proxy, network and cloud_environment, then run again."
        )


@dataclass(frozen=True)
class Page:
    """A page of a list, and the URL of the next one; '' where it is the last."""

    items: tuple[Body, ...]
    following: str


def is_missing(error: ServiceError) -> bool:
    """Whether a refusal says that the resource, or what it would be in, does not exist.

    Only ARM's own form says so. A page with status 404, an unknown resource type or a wrong subscription do not.
    """
    return (
        error.status == 404
        and bool(error.message)
        and _MISSING.fullmatch(error.code) is not None
        and _ELSEWHERE.search(error.code) is None
    )


def decoded(doing: str, text: str) -> t.Any:
    """The JSON of an answer, None for an empty one; raises NotAzure for anything else."""
    if not text.strip():
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        found = "the answer is an HTML page" if _HTML.match(text) else "the answer is not JSON"
        raise NotAzure(doing, found) from None


def resource(doing: str, text: str, wanted: str = "") -> Body:
    """The resource that an answer holds; raises NotAzure unless it is one, and that with the id ``wanted``."""
    body = decoded(doing, text)
    if body is None:
        raise NotAzure(doing, "the answer is empty")
    if not isinstance(body, dict):
        raise NotAzure(doing, "the answer is not a resource")
    found = body.get("id")
    if not isinstance(found, str) or not arm_id.normal(found):
        raise NotAzure(doing, "the answer has no resource id")
    if wanted and not arm_id.same(found, wanted):
        raise NotAzure(doing, f"the answer is about {found!r}")
    if not isinstance(body.get("name"), str):
        raise NotAzure(doing, "the answer has no name of a resource")
    _require_objects(doing, body)
    return body


def kind_of_list(path: str) -> str:
    """The last part of the type of what the list with this path has, in lower case; '' where it does not say one."""
    return _kind(f"{path}/one")


def page(doing: str, text: str, *, named: bool, kind: str = "") -> Page:
    """A page of a list; raises NotAzure unless it is a list of objects, of such with ids where they are ``named``.

    ``kind`` is the last part of the type that each id has to say; '' for any.
    """
    body = decoded(doing, text)
    values = body.get("value") if isinstance(body, dict) else None
    if not isinstance(values, list) or not all(isinstance(each, dict) for each in values):
        raise NotAzure(doing, "the answer is empty" if body is None else "the answer is not a list of resources")
    if "@odata.context" in body:
        raise NotAzure(doing, "the answer is a list of Microsoft Graph")
    if named and not all(isinstance(each.get("id"), str) and arm_id.normal(each["id"]) for each in values):
        raise NotAzure(doing, "the answer lists something without a resource id")
    for each in values:
        _require_objects(doing, each)
        if kind and "id" in each and _kind(each["id"]) != kind:
            raise NotAzure(doing, f"the answer lists {each['id']!r}, which is something else")
    following = body.get("nextLink") or ""
    if not isinstance(following, str):
        raise NotAzure(doing, "the answer does not say where its next page is")
    return Page(tuple(values), following)


def _kind(text: t.Any) -> str:
    try:
        return arm_id.last_segment(arm_id.parse(str(text)).type).lower()
    except Failure:
        return ""


def _require_objects(doing: str, body: Body) -> None:
    for field in _OBJECTS:
        if not isinstance(body.get(field) or {}, dict):
            raise NotAzure(doing, f"{field!r} is no object in the answer")


def distinct(items: t.Iterable[Body]) -> list[Body]:
    """The items, each id once: what changes while a list is read page by page may come twice."""
    found: dict[t.Any, Body] = {}
    for number, each in enumerate(items):
        text = each.get("id")
        found.setdefault(arm_id.normal(text) if isinstance(text, str) and text else number, each)
    return list(found.values())


class PagesRead:
    """The pages of one list that were read, by their URLs, however these are escaped."""

    def __init__(self) -> None:
        self._urls: set[tuple[t.Any, ...]] = set()

    def follow(self, doing: str, asked: str, following: str) -> None:
        """Note the page that was asked for; raises NotAzure where the one that follows it was read already."""
        self._urls.add(_unescaped(asked))
        if _unescaped(following) in self._urls:
            raise NotAzure(doing, "the list leads back to a page that was read already")


def _unescaped(url: str) -> tuple[t.Any, ...]:
    parts = urlsplit(url)
    return parts.hostname, unquote(parts.path), tuple(parse_qsl(parts.query, keep_blank_values=True))


def at_endpoint(doing: str, url: str, endpoint: str, service: str = "the Azure Resource Manager") -> str:
    """The URL that an answer names, absolute; raises Failure unless it lies at the endpoint or at a region of it.

    The token of the task goes there, and what it says is believed.
    """
    url = endpoint.rstrip("/") + url if url.startswith("/") and not url.startswith("//") else url
    match, own = _URL.fullmatch(url), urlsplit(endpoint)
    host, home = (match.group("host").lower() if match else ""), (own.hostname or "").lower()
    region = host[: -len(home) - 1] if home and host.endswith("." + home) else ""
    port = int((match and match.group("port")) or _HTTPS)
    if not match or port != (own.port or _HTTPS) or not (host == home or _REGION.fullmatch(region)):
        raise Failure(
            f"Could not {doing}: the answer refers to {_shown(url)}, which is not {service} at {home}, so nothing was "
            "sent there; check proxy, network and cloud_environment, then run again."
        )
    return url


def path_of(url: str) -> str:
    """The path of a URL, which for ARM is the id of the resource."""
    return unquote(urlsplit(url).path)


def needed(body: t.Mapping[str, t.Any], *path: str) -> str:
    """A field that Azure always gives; raises Failure where the resource ``body`` lacks it."""
    value: t.Any = body
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    if not isinstance(value, str) or not value:
        raise NotAzure(f"use what is said of {body.get('id') or 'a resource'}", f"{'.'.join(path)} is missing")
    return value


def retry_after(header: str, now: datetime.datetime) -> float:
    """Seconds that a Retry-After asks for, which may be a date; 0 where it is neither."""
    header = header.strip()
    if header.isascii() and header.isdecimal():
        return float(header[:9])
    try:
        date = email.utils.parsedate_to_datetime(header)
    except (TypeError, ValueError, IndexError):
        return 0
    if date.tzinfo is None:  # a date that does not know its zone is one of UTC
        date = date.replace(tzinfo=datetime.timezone.utc)
    return float(max(round((date - now).total_seconds()), 0))


def _shown(url: str) -> str:
    """Where a URL leads, without what may be a signature."""
    start = url.partition("?")[0].partition("#")[0]
    return repr(start if len(start) <= 200 else start[:200] + "...")
