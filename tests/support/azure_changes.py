# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What modules change in Azure: a case for each kind of write, and what has to be there before it."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.azure import arm_id, permissions
from ansible_collections.azureops.pod_identity.tests.support.modules import Modules
from azsandbox.azure.loopback import Credentials, SimulatedAzure

AUTHORIZATION = "/providers/Microsoft.Authorization"
IDENTITIES = "providers/Microsoft.ManagedIdentity/userAssignedIdentities"
AKS = "providers/Microsoft.ContainerService/managedClusters"
OPERATOR = "Managed Identity Operator"
SOMEBODY = "aaaaaaaa-0000-4000-8000-000000000001"
SUBNET = "/resourceGroups/net/providers/Microsoft.Network/virtualNetworks/vnet/subnets/nodes"
# Reads that ARM has as POST.
READS = ["*/read", "Microsoft.ManagedIdentity/userAssignedIdentities/listAssociatedResources/action"]
Options = dict[str, Any]
Granted = tuple[str, str]  # scope and action


class World:
    def __init__(self, azure: SimulatedAzure, modules: Modules) -> None:
        self.azure, self.modules = azure, modules

    @property
    def root(self) -> str:
        return f"/subscriptions/{self.azure.subscription_id}"

    def group(self, name: str) -> None:
        self.azure.group(name)

    def identity(self, name: str) -> str:
        return str(self.azure.identity(name)["id"])

    def cluster(self, **properties: Any) -> str:
        return str(self.azure.cluster(**properties)["id"])

    def assigned(self, scope: str) -> None:
        self.modules.succeed(
            "role_assignment", scope=scope, role="Reader", principal_id=SOMEBODY, principal_type="User"
        )

    def somebody(self, granted: list[Granted]) -> Credentials:
        """Who may read everything, and beyond that exactly this."""
        who = self.azure.principal(f"somebody-{uuid.uuid4()}")
        for scope, actions in ((self.root, READS), *((scope, [action]) for scope, action in granted)):
            self._assign(scope, self.azure.custom_role(str(uuid.uuid4()), self.root, actions), who.object_id)
        return who

    def _assign(self, scope: str, role: str, principal: str) -> None:
        """Nobody can be given a role at what does not exist yet, but above that."""
        answer = self.azure.assign(scope, role, principal)
        if answer.status_code == 404:
            self._assign(permissions.above(scope), role, principal)
        else:
            answer.raise_for_status()


@dataclass(frozen=True)
class Case:
    """A change by a module; ``prepare`` makes what there must be, and gives further options."""

    module: str
    options: Options
    actions: tuple[str, ...]
    prepare: Callable[[World], Options | None] = lambda _world: None


def _group(world: World) -> None:
    world.group("rg")


def _identity(world: World) -> Options:
    _group(world)
    return {"name": arm_id.last_segment(world.identity("billing"))}


def _scope(world: World) -> Options:
    _group(world)
    return {"scope": world.identity("billing")}


def _assigned(world: World) -> Options:
    options = _scope(world)
    world.assigned(options["scope"])
    return options


def _of_credentials(world: World) -> Options:
    _group(world)
    return {"identity_id": world.identity("billing")}


def _credential(world: World) -> Options:
    options = _of_credentials(world)
    world.modules.succeed("federated_identity_credential", **options, **CREDENTIAL)
    return options


def _cluster(world: World) -> None:
    world.cluster()


def _linked(world: World) -> Options:
    _group(world)
    pools = [{"name": "nodepool1", "count": 1, "mode": "System", "vnet_subnet_id": f"{world.root}{SUBNET}"}]
    own = {"user_assigned_identity": world.identity("control"), "kubelet_identity": world.identity("kubelet")}
    return {"agent_pools": pools, **own}


def _cluster_of_linked(world: World) -> Options:
    """What a cluster links to counts also where it stays."""
    world.modules.succeed("aks_cluster", **CLUSTER, **_linked(world), location="westeurope")
    return {}


def _nodes(world: World) -> Options:
    world.cluster()
    return {"identities": [world.identity("billing"), world.identity("shop")]}


def _attached(world: World) -> Options:
    options = _nodes(world)
    world.modules.succeed("vmss_identity", **NODES, **options)
    return options


def _instance(world: World) -> Options:
    world.cluster()
    return {"instance": str(world.azure.first_instance()["id"])}


def _addon(world: World) -> Options:
    world.cluster()
    return {"identity": world.identity("billing")}


def _entry(world: World) -> Options:
    options = _addon(world)
    world.modules.succeed("aks_pod_identity", **ADDON, **ENTRY, **options, enabled=True)
    return {}


FAST = {"poll_interval": 0.1}
CREDENTIAL = {"name": "billing", "issuer": "https://issuer.example/", "subject": "system:serviceaccount:shop:billing"}
CLUSTER = {"resource_group": "rg", "name": "c1", **FAST}
NODES = {"resource_group": "rg", "cluster_name": "c1", **FAST}
ADDON = {"resource_group": "rg", "cluster_name": "c1", **FAST}
ENTRY = {"name": "billing", "namespace": "shop"}
ROLE = {"role": "Reader", "principal_id": SOMEBODY, "principal_type": "User"}
NEW_CLUSTER = {**CLUSTER, "location": "westeurope", "agent_pools": [{"name": "nodepool1", "count": 1}]}
JOIN, ASSIGN = "subnets/join/action", "userAssignedIdentities/assign/action"
CASES = {
    "group": Case("resource_group", {"name": "rg", "location": "westeurope"}, ("resourceGroups/write",)),
    "group-tags": Case("resource_group", {"name": "rg", "tags": {"a": "b"}}, ("resourceGroups/write",), _group),
    "group-gone": Case("resource_group", {"name": "rg", "state": "absent"}, ("resourceGroups/delete",), _group),
    "identity": Case(
        "user_assigned_identity", {"resource_group": "rg", "name": "billing"}, ("userAssignedIdentities/write",), _group
    ),
    "identity-tags": Case(
        "user_assigned_identity",
        {"resource_group": "rg", "tags": {"a": "b"}},
        ("userAssignedIdentities/write",),
        _identity,
    ),
    "identity-gone": Case(
        "user_assigned_identity",
        {"resource_group": "rg", "state": "absent", "only_unused": True},
        ("userAssignedIdentities/delete",),
        _identity,
    ),
    "role": Case("role_assignment", ROLE, ("roleAssignments/write",), _scope),
    "role-described": Case("role_assignment", {**ROLE, "description": "why"}, ("roleAssignments/write",), _assigned),
    "role-gone": Case("role_assignment", {**ROLE, "state": "absent"}, ("roleAssignments/delete",), _assigned),
    "roles-purged": Case(
        "role_assignment",
        {"roles": [OPERATOR], "purge_roles": True, "principal_id": SOMEBODY, "principal_type": "User"},
        ("roleAssignments/write", "roleAssignments/delete"),
        _assigned,
    ),
    "credential": Case(
        "federated_identity_credential", CREDENTIAL, ("federatedIdentityCredentials/write",), _of_credentials
    ),
    "credential-changed": Case(
        "federated_identity_credential",
        {**CREDENTIAL, "subject": "system:serviceaccount:shop:other"},
        ("federatedIdentityCredentials/write",),
        _credential,
    ),
    "credential-gone": Case(
        "federated_identity_credential",
        {"name": "billing", "state": "absent"},
        ("federatedIdentityCredentials/delete",),
        _credential,
    ),
    "cluster": Case("aks_cluster", NEW_CLUSTER, ("managedClusters/write",), _group),
    "cluster-linked": Case(
        "aks_cluster", {**CLUSTER, "location": "westeurope"}, ("managedClusters/write", ASSIGN, ASSIGN, JOIN), _linked
    ),
    "cluster-changed": Case("aks_cluster", {**CLUSTER, "tags": {"a": "b"}}, ("managedClusters/write",), _cluster),
    "cluster-linked-changed": Case(
        "aks_cluster", {**CLUSTER, "tags": {"a": "b"}}, ("managedClusters/write", ASSIGN, JOIN), _cluster_of_linked
    ),
    "cluster-gone": Case(
        "aks_cluster", {**CLUSTER, "state": "absent"}, ("managedClusters/delete",), _cluster_of_linked
    ),
    "attached": Case("vmss_identity", NODES, ("virtualMachineScaleSets/write", ASSIGN, ASSIGN), _nodes),
    "detached": Case("vmss_identity", {**NODES, "state": "absent"}, ("virtualMachineScaleSets/write",), _attached),
    "reimaged": Case("vmss_instance_reimage", FAST, ("virtualMachines/reimage/action",), _instance),
    "addon": Case("aks_pod_identity", {**ADDON, "enabled": True}, ("managedClusters/write",), _cluster),
    "addon-entry": Case(
        "aks_pod_identity",
        {**ADDON, **ENTRY, "enabled": True},
        ("roleAssignments/write", "managedClusters/write"),
        _addon,
    ),
    "addon-entry-gone": Case(
        "aks_pod_identity",
        {**ADDON, **ENTRY, "state": "absent", "remove_roles": True},
        ("managedClusters/write", "roleAssignments/delete"),
        _entry,
    ),
    "addon-of-linked": Case(
        "aks_pod_identity", {**ADDON, "enabled": True}, ("managedClusters/write", ASSIGN, JOIN), _cluster_of_linked
    ),
}
