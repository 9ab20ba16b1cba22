# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""What Azure tells of a cluster's pod identities."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

Raw = t.Mapping[str, t.Any]


@dataclass(frozen=True)
class ScaleSet:
    """A scale set, or a VM. ``carried``: client id by lower-case resource id of an identity; empty where Azure has
    none any more (the identity was deleted, or made anew)."""

    id: str
    state: str
    carried: t.Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class IdentityInAzure:
    """A managed identity as Azure has it; all but ``id`` empty where there is none."""

    id: str
    exists: bool
    client_id: str = ""
    principal_id: str = ""
    tenant_id: str = ""


@dataclass(frozen=True)
class Missing:
    """Actions that the identity with which MIC works lacks at a scope, and the role that would give them."""

    scope: str
    actions: tuple[str, ...]
    role: str
    denied: bool = False


@dataclass(frozen=True)
class Azure:
    """``cluster``: as the API has it. ``kubelet``: the identity of the nodes, with which MIC works. ``identities`` by
    lower-case id: those that AzureIdentities name. What could not be read is missing from the maps."""

    cluster: Raw
    kubelet: IdentityInAzure
    node_resource_group: str
    scale_sets: tuple[ScaleSet, ...] = ()
    identities: t.Mapping[str, IdentityInAzure] = field(default_factory=dict)
    missing: tuple[Missing, ...] = ()
