# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Names that the objects of this collection carry, and what names may look like."""

from __future__ import annotations

import ipaddress
import re
import typing as t

from .printed import printed

FIELD_MANAGER = "azureops.pod_identity"
MANAGED_BY = "app.kubernetes.io/managed-by"
MANAGER = "azureops.pod_identity"
OWNER = "azureops.pod-identity/owner"
# Of what a migration changes or makes: JSON of what was there before, or of what it is a copy.
MIGRATION = "azureops.pod-identity/migration"

LABEL_VALUE = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")
_LABEL = r"[a-z0-9]([a-z0-9-]*[a-z0-9])?"
OBJECT_NAME = re.compile(rf"(?=.{{1,253}}$){_LABEL}(\.{_LABEL})*")
NAMESPACE_NAME = re.compile(rf"(?=.{{1,63}}$){_LABEL}")
_HOST = re.compile(r"(?!.*\n)(?=.{1,253}$)[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")
# The container of our pods that reach a node.
NODE_CONTAINER = "node"
# What a resource id must look like. MIC silently leaves out an AzureIdentity with something else, if not all of it.
RESOURCE_ID = re.compile(
    r"/subscriptions/([^/]+)/resourcegroups/([^/]+)/providers/Microsoft\.ManagedIdentity/userAssignedIdentities/([^/]+)$",
    re.IGNORECASE,
)


def listed(several: t.Sequence[str], most: int = 3) -> str:
    """The first of them, and how many there are beside."""
    more = f" and {len(several) - most} more" if len(several) > most else ""
    return ", ".join(map(printed, several[:most])) + more


def marks(owner: str) -> dict[str, str]:
    """The labels of an object that is ours."""
    return {MANAGED_BY: MANAGER, OWNER: owner}


def is_host(text: str) -> bool:
    """Whether a text is an IP address or like a DNS name, and so nothing else to a program that it is given to."""
    if _HOST.fullmatch(text):
        return True
    try:
        return ipaddress.ip_address(text).version == 6 and "%" not in text  # any text may follow the sign
    except ValueError:
        return False


def is_ours(raw: t.Mapping[str, t.Any], owner: str) -> bool:
    labels = (raw.get("metadata") or {}).get("labels") or {}
    return all(labels.get(key) == value for key, value in marks(owner).items())


def namespace_of(label: str) -> str:
    """``AzureIdentity team/web`` -> ``team``; empty for what is in no namespace."""
    place, slash, _name = label.partition(" ")[2].partition("/")
    return place if slash else ""
