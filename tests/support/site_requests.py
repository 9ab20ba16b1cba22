# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The requests that site.yml makes where nothing changes, and why none of them can be left out."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

_ENTRA = "login.microsoftonline.com/(id)"
_SUBSCRIPTION = "management.azure.com/subscriptions/(id)"
_GROUP = f"{_SUBSCRIPTION}/resourcegroups/pod-identity-test"
_NODES = f"{_SUBSCRIPTION}/resourcegroups/mc_pod-identity-test_one_westeurope"
_CLUSTER = f"{_GROUP}/providers/microsoft.containerservice/managedclusters/one"
_IDENTITY = f"{_GROUP}/providers/microsoft.managedidentity/userassignedidentities/billing"
_RIGHTS = "providers/microsoft.authorization"


@dataclass(frozen=True)
class Request:
    """``place`` is host and path in lower case, with ``(id)`` for what is another in every tenant."""

    method: str
    place: str
    count: int
    reason: str


UNCHANGED = (
    Request(
        "GET",
        f"{_ENTRA}/v2.0/.well-known/openid-configuration",
        8,
        "Once for each task that asks Azure: its process is new, and MSAL looks up where tokens are issued.",
    ),
    Request(
        "POST",
        f"{_ENTRA}/oauth2/v2.0/token",
        8,
        "Once for each of these tasks: a token is never left in a file for the next one.",
    ),
    Request(
        "GET",
        _CLUSTER,
        2,
        "Before anything is decided, and again by the task that may write, because minutes may lie between them.",
    ),
    Request("GET", f"{_GROUP}/{_RIGHTS}/permissions", 1, "What the caller may do with cluster and identities."),
    Request("GET", f"{_GROUP}/{_RIGHTS}/denyassignments", 1, "What is denied there all the same."),
    Request("GET", f"{_GROUP}/{_RIGHTS}/locks", 1, "What is locked there."),
    Request("GET", f"{_NODES}/{_RIGHTS}/permissions", 1, "Whether the caller may grant roles to the nodes."),
    Request("GET", f"{_NODES}/{_RIGHTS}/denyassignments", 1, "AKS may lock the group of the nodes down."),
    Request("GET", f"{_NODES}/{_RIGHTS}/locks", 1, "What is locked there."),
    Request(
        "POST",
        f"{_CLUSTER}/listclusterusercredential",
        1,
        "The kubeconfig, which is not kept from run to run, because it is a secret.",
    ),
    Request("GET", f"{_NODES}/{_RIGHTS}/roleassignments", 1, "Whether the nodes hold both of their roles."),
    Request("GET", _IDENTITY, 1, "Whether the identity is there, and its client id and principal id."),
    Request("GET", f"{_IDENTITY}/{_RIGHTS}/roleassignments", 1, "Whether the nodes may use the identity."),
    Request("GET", f"{_GROUP}/{_RIGHTS}/roleassignments", 1, "Whether the identity may do what it was made for."),
)


def counted(log: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str], int]:
    """How often each method and place is in a log of the simulated Azure."""
    return dict(Counter((each["method"], _place(f"{each['host']}{each['path']}")) for each in log))


def _place(address: str) -> str:
    return re.sub(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", "(id)", address.lower())
