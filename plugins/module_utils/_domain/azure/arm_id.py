# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Azure resource ids. Services disagree on their casing (``resourceGroups``, ``resourcegroups``), so nothing else
in the collection compares, splits or builds them."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass

from ..errors import Failure

# Of the characters that Azure allows in names of resource groups and identities none leads elsewhere in a path.
_USER_ASSIGNED = re.compile(
    r"/subscriptions/[\w-]+/resourcegroups/(?!\.+/)[\w.()-]+"
    r"/providers/microsoft\.managedidentity/userassignedidentities/[\w-]+",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class ArmId:
    """The parts of an id; what an id does not have is ''. ``text`` is the id as it was spelled."""

    text: str
    subscription: str
    resource_group: str
    type: str
    name: str


def parse(text: str) -> ArmId:
    """Split an id; raises Failure where ``text`` is not one."""
    segments = text.strip().rstrip("/").split("/")
    if len(segments) < 3 or segments[0] or not all(segments[1:]):
        raise Failure(f"{text!r} is not an Azure resource id; it must look like /subscriptions/.../resourceGroups/...")
    values = {segments[i].lower(): segments[i + 1] for i in (1, 3) if len(segments) > i + 1}
    kinds = _resource_type(segments)
    return ArmId(
        text=text.strip(),
        subscription=values.get("subscriptions", ""),
        resource_group=values.get("resourcegroups", ""),
        type=kinds,
        name=segments[-1],
    )


def _resource_type(segments: t.Sequence[str]) -> str:
    lowered = [segment.lower() for segment in segments]
    if "providers" not in lowered:
        return ""
    last = len(lowered) - 1 - lowered[::-1].index("providers")
    return "/".join([*segments[last + 1 : last + 2], *segments[last + 2 :: 2]])


def is_user_assigned_identity(text: str) -> bool:
    """Whether a text of somebody who is not trusted can be the id of one; where it is not, Azure is not asked."""
    return _USER_ASSIGNED.fullmatch(text) is not None


def normal(text: str) -> str:
    """The one spelling that two spellings of an id share."""
    return text.strip().rstrip("/").lower()


def same(left: str | None, right: str | None) -> bool:
    return normal(left or "") == normal(right or "")


def contains(outer: str, inner: str) -> bool:
    """Whether ``inner`` is ``outer`` itself or lies below it; '/' contains everything."""
    return (normal(inner) + "/").startswith(normal(outer) + "/")


def resource_group(subscription: str, name: str) -> str:
    return f"/subscriptions/{subscription}/resourceGroups/{name}"


def group_of(text: str) -> str:
    """Id of the resource group that a resource lies in."""
    parts = parse(text)
    return resource_group(parts.subscription, parts.resource_group)


def resource(subscription: str, group: str, kind: str, name: str) -> str:
    """Id of a resource of a type such as ``Microsoft.ManagedIdentity/userAssignedIdentities``."""
    return f"{resource_group(subscription, group)}/providers/{kind}/{name}"


def last_segment(text: str) -> str:
    return text.strip().rstrip("/").rsplit("/", 1)[-1]
