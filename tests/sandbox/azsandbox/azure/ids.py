# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ARM resource ids: compared without case, answered in the casing of their provider."""

from __future__ import annotations

import re

_PROVIDER = re.compile(r"/providers/", re.IGNORECASE)
_SUBSCRIPTION = re.compile(r"^/subscriptions/([^/]+)", re.IGNORECASE)
_GROUP = re.compile(r"^/subscriptions/[^/]+/resourcegroups/([^/]+)", re.IGNORECASE)


def key(resource_id: str) -> str:
    """The form under which an id is stored and compared."""
    return resource_id.rstrip("/").lower()


def is_within(resource_id: str, scope: str) -> bool:
    """Whether an id is the scope or lies below it; "/" holds everything."""
    inner, outer = key(resource_id), key(scope)
    return outer == "" or inner == outer or inner.startswith(outer + "/")


def group_name(resource_id: str) -> str | None:
    """Name of the resource group that an id lies in."""
    match = _GROUP.match(resource_id)
    return match.group(1) if match else None


def subscription(resource_id: str) -> str:
    """The subscription that an id or a path lies in; empty where it lies above them."""
    match = _SUBSCRIPTION.match(resource_id)
    return match.group(1).lower() if match else ""


def group_id(subscription: str, group: str, spelling: str = "resourceGroups") -> str:
    return f"/subscriptions/{subscription}/{spelling}/{group}"


def with_lower_groups(resource_id: str) -> str:
    """The spelling of the AKS and identity providers: ``resourcegroups``."""
    return re.sub("/resourcegroups/", "/resourcegroups/", resource_id, flags=re.IGNORECASE)


def with_camel_groups(resource_id: str) -> str:
    """The spelling of everybody else: ``resourceGroups``."""
    return re.sub("/resourcegroups/", "/resourceGroups/", resource_id, flags=re.IGNORECASE)


def last(resource_id: str) -> str:
    return resource_id.rstrip("/").rpartition("/")[2]


def type_and_name(resource_id: str) -> tuple[str, str]:
    """``("Microsoft.Compute/virtualMachineScaleSets", "aks-...")`` of the last provider part of an id."""
    tail = _PROVIDER.split(resource_id)[-1].split("/")
    return "/".join([tail[0], *tail[1::2]]), "/".join(tail[2::2])


def target(path: str) -> str:
    """The object that a request is about: a trailing collection or action is cut off."""
    trimmed = path.rstrip("/")
    position = trimmed.lower().rfind("/providers/")
    parts = trimmed[position:].split("/") if position >= 0 else trimmed.split("/")
    # "/providers/ns/type/name" has five parts, counting the empty first one; a collection or an action makes them even.
    if position >= 0 and len(parts) <= 4:
        return trimmed[:position]
    return trimmed if len(parts) % 2 else trimmed.rpartition("/")[0]
