# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Scale sets of a cluster in the simulated Azure, and identities attached to them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.azureops.pod_identity.tests.support.modules import Modules
from azsandbox.azure.arm import identities, scale_sets
from azsandbox.azure.loopback import Credentials, SimulatedAzure

FAST = {"poll_interval": 0.1}
MODULE = "vmss_identity"
INFO = "vmss_identity_info"
UNKNOWN = "(known after apply)"
NODES = "MC_rg_c1_westeurope"
CLUSTER = {"resource_group": "rg", "cluster_name": "c1"}
IDENTITIES = "providers/Microsoft.ManagedIdentity/userAssignedIdentities"


class World:
    """A cluster with one scale set, which carries the kubelet's identity, and what is looked at there."""

    def __init__(self, azure: SimulatedAzure) -> None:
        self.azure = azure
        self.cluster = azure.cluster()
        self.scale_set = str(azure.first_instance()["id"]).partition("/virtualMachines/")[0]
        self.kubelet = str(self.cluster["properties"]["identityProfile"]["kubeletidentity"]["resourceId"])

    def identity(self, name: str, group: str = "rg") -> str:
        return str(self.azure.identity(name, group)["id"])

    def let_attach(self, modules: Modules, identity: str, principal: str = "") -> None:
        """Let a principal attach an identity, if unset the kubelets' identity, as which MIC runs."""
        who = principal or self.cluster["properties"]["identityProfile"]["kubeletidentity"]["objectId"]
        modules.succeed("role_assignment", scope=identity, role="Managed Identity Operator", principal_id=who)

    def forget(self, identity: str) -> None:
        self.azure.arm("DELETE", identity).raise_for_status()

    def body(self, resource: str | None = None) -> dict[str, Any]:
        return dict(self.azure.arm("GET", resource or self.scale_set).json())

    def carried(self, resource: str | None = None) -> set[str]:
        """Names of the user-assigned identities there."""
        found = (self.body(resource).get("identity") or {}).get("userAssignedIdentities") or {}
        return {key.rpartition("/")[2] for key in found}

    def edit(self, change: Callable[[dict[str, Any]], Any], resource: str | None = None) -> None:
        """Change what Azure remembers of a resource, past its interface."""

        def call() -> None:
            found = self.azure.server.azure.state.get(resource or self.scale_set)
            assert found is not None
            change(found.body)

        self.azure.in_loop(call)


def patches(modules: Modules, since: int = 0) -> list[dict[str, Any]]:
    return [entry["body"]["identity"] for entry in modules.requests(since, method="PATCH")]


CONFLICT = "The request failed due to conflict with a concurrent request. To resolve it, please refer to x."


def attach(world: World, *names: str) -> list[str]:
    """Identities that the scale set carries, made past the interface of Azure, because they are many."""

    def make() -> list[str]:
        state = world.azure.server.azure.state
        group = f"/subscriptions/{world.azure.subscription_id}/resourceGroups/rg"
        made = [identities.create_identity(state, group, name, "westeurope", {}).id for name in names]
        scale_set = state.get(world.scale_set)
        assert scale_set is not None
        scale_sets.change(state, scale_set, attach=made, detach=[])
        return made

    return list(world.azure.in_loop(make))


def mic(world: World, *identities: str, who: Credentials | None = None) -> Credentials:
    """Somebody attaches the identities as MIC does."""
    group = world.scale_set.partition("/providers/")[0]
    subscription = f"/subscriptions/{world.azure.subscription_id}"
    who = who or world.azure.principal(
        "mic", ("Virtual Machine Contributor", group), ("Managed Identity Operator", subscription)
    )
    wanted = {"identity": {"type": "UserAssigned", "userAssignedIdentities": {each.lower(): {} for each in identities}}}
    answer = world.azure.arm("PATCH", world.scale_set, wanted, who=who, version="2019-12-01")
    answer.raise_for_status()
    world.azure.wait(answer)
    return who
