# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""What Azure tells of a cluster's pod identities, and what the identity with which MIC works may not do there."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field
from functools import cached_property

from ..azure import arm_id, long_running, permissions
from ..azure.attached_identities import Carrier, of_node
from ..azure.permissions import Access, Block, Denial, Lock

Raw = t.Mapping[str, t.Any]

OPERATOR, CONTRIBUTOR, NETWORK = "Managed Identity Operator", "Virtual Machine Contributor", "Network Contributor"
ASSIGN = "Microsoft.ManagedIdentity/userAssignedIdentities/assign/action"
JOIN = "Microsoft.Network/virtualNetworks/subnets/join/action"
NOT_GRANTED, DENIED, LOCKED = "not_granted", "denied", "locked"


@dataclass(frozen=True)
class ScaleSet:
    """A scale set, or a VM. ``carried``: client id by lower-case resource id of an identity; empty where Azure has
    none any more (the identity was deleted, or made anew). ``subnets``: ids of those that its nodes are in.
    ``members``: lower-case ids of machines that lie elsewhere and are of a flexible scale set."""

    id: str
    state: str
    carried: t.Mapping[str, str] = field(default_factory=dict)
    subnets: tuple[str, ...] = ()
    members: frozenset[str] = frozenset()

    @classmethod
    def parse(cls, body: Raw, members: t.Iterable[str] = ()) -> ScaleSet:
        carrier = Carrier.parse(body)
        carried = {arm_id.normal(one.id): one.client_id for one in carrier.identities}
        return cls(carrier.id, carrier.state, carried, _subnets(body), frozenset(map(arm_id.normal, members)))

    @property
    def name(self) -> str:
        return arm_id.last_segment(self.id)

    @property
    def is_machine(self) -> bool:
        return arm_id.parse(self.id).type.lower().endswith("/virtualmachines")

    @property
    def label(self) -> str:
        return f"{'virtual machine' if self.is_machine else 'scale set'} {self.name}"

    @property
    def group(self) -> str:
        """Id of its resource group."""
        return arm_id.group_of(self.id)

    @property
    def settled(self) -> bool:
        return long_running.ended(self.state)

    @property
    def actions(self) -> tuple[str, ...]:
        """What MIC does to it."""
        kind = arm_id.parse(self.id).type
        return f"{kind}/read", f"{kind}/write"


@dataclass(frozen=True)
class IdentityInAzure:
    """A managed identity as Azure has it; all but ``id`` empty where there is none, and where it could not be read.

    ``exists`` is False only where Azure says that there is none.
    """

    id: str
    exists: bool
    client_id: str = ""
    principal_id: str = ""
    tenant_id: str = ""


@dataclass(frozen=True)
class Missing:
    """Actions that the identity with which MIC works lacks at a scope, and the role that would give them.

    ``reason``: nobody granted them, or ``by`` at the scope ``at``, a deny assignment or a lock, is in the way.
    ``held``: the roles that the identity has there.
    """

    scope: str
    actions: tuple[str, ...]
    role: str
    reason: str = NOT_GRANTED
    by: str = ""
    at: str = ""
    held: tuple[str, ...] = ()

    @property
    def denied(self) -> bool:
        """Whether a deny assignment or a lock is in the way, so that no role helps."""
        return self.reason != NOT_GRANTED


@dataclass(frozen=True)
class Azure:
    """``cluster``: as the API has it, {} where it could not be read. ``kubelet``: the identity of the nodes, with which
    MIC works. ``node_resource_group``: its id, '' where it is not known. ``identities`` by lower-case id: those that
    AzureIdentities, the add-on and the nodes name. What could not be read is missing from the maps."""

    cluster: Raw
    kubelet: IdentityInAzure
    node_resource_group: str
    tenant_id: str = ""
    scale_sets: tuple[ScaleSet, ...] = ()
    identities: t.Mapping[str, IdentityInAzure] = field(default_factory=dict)
    missing: tuple[Missing, ...] = ()

    def named(self, resource_id: str) -> IdentityInAzure | None:
        """None where it is not known."""
        return self.identities.get(arm_id.normal(resource_id))

    def under(self, provider_id: str) -> ScaleSet | None:
        """What a node is on; None where it is not known."""
        return self._by_machine.get(arm_id.normal(of_node(provider_id)))

    @cached_property
    def _by_machine(self) -> t.Mapping[str, ScaleSet]:
        return {place: one for one in self.scale_sets for place in (arm_id.normal(one.id), *one.members)}


@dataclass(frozen=True)
class Grant:
    """A role that a principal has at a scope, and what it allows."""

    role: str
    scope: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Rights:
    """What is known of a principal in a resource group: its roles there, above and below, and what is in their way."""

    principal_id: str
    grants: tuple[Grant, ...] = ()
    denials: tuple[Denial, ...] = ()
    locks: tuple[Lock, ...] = ()

    def missing(self, scope: str, actions: t.Iterable[str], role: str) -> tuple[Missing, ...]:
        """What the principal cannot do at ``scope`` although it must; ``role`` is the one that is meant for it."""
        here = [one for one in self.grants if arm_id.contains(one.scope, scope)]
        blocks = tuple(block for one in here for block in one.blocks)
        access = Access(blocks, self.denials, self.locks, frozenset({self.principal_id.lower()}))
        found: dict[tuple[str, str, str], list[str]] = {}
        for action in actions:
            answer = permissions.judge(action, scope, access)
            if answer:
                key = answer.reason, answer.by, _place(action, scope, access, answer.reason)
                found.setdefault(key, []).append(action)
        held = tuple(sorted({f"{one.role} at {one.scope}" for one in here}))
        return tuple(Missing(scope, tuple(those), role, *key, held) for key, those in found.items())


def _place(action: str, scope: str, access: Access, reason: str) -> str:
    """The scope of what is in the way."""
    if reason == DENIED:
        return next(one.scope for one in access.denials if one.stops(action, scope, access.caller))
    if reason == LOCKED:
        return next(one.scope for one in access.locks if one.stops(action, scope))
    return ""


def _subnets(body: Raw) -> tuple[str, ...]:
    """A machine names network interfaces instead."""
    profile = (body.get("properties") or {}).get("virtualMachineProfile") or {}
    interfaces = (profile.get("networkProfile") or {}).get("networkInterfaceConfigurations") or ()
    found = (
        str(((one.get("properties") or {}).get("subnet") or {}).get("id") or "")
        for each in interfaces
        for one in (each.get("properties") or {}).get("ipConfigurations") or ()
    )
    return tuple(dict.fromkeys(filter(None, found)))
