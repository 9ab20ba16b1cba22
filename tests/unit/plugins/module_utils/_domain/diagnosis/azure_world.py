# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The healthy Azure around the cluster of ``observed_world``, and changes of it."""

from __future__ import annotations

import typing as t

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.azure import arm_id
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.azure.permissions import Block
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.diagnosis.azure import (
    CONTRIBUTOR,
    OPERATOR,
    Azure,
    Grant,
    IdentityInAzure,
    Missing,
    Rights,
    ScaleSet,
)
from ansible_collections.azureops.pod_identity.tests.support.cluster_objects import ID, Raw
from ansible_collections.azureops.pod_identity.tests.support.observed_world import SCALE_SET

NODES, PRINCIPAL, TENANT = "/subscriptions/s/resourceGroups/mc", "22222222-0000-0000-0000-000000000000", "tenant-a"
SET = f"{NODES}/providers/Microsoft.Compute/virtualMachineScaleSets/{SCALE_SET}"
KUBELET = f"{NODES}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/c1-agentpool"
IDENTITY = f"{ID}team-i"
SUBNET = "/subscriptions/s/resourceGroups/net/providers/Microsoft.Network/virtualNetworks/v/subnets/nodes"
CLUSTER: dict[str, t.Any] = {
    "id": "/subscriptions/s/resourcegroups/g/providers/Microsoft.ContainerService/managedClusters/c1",
    "name": "c1",
    "identity": {"type": "SystemAssigned", "principalId": "of-the-cluster", "tenantId": TENANT},
    "properties": {
        "nodeResourceGroup": "mc",
        "identityProfile": {"kubeletidentity": {"resourceId": KUBELET, "clientId": "of-nodes", "objectId": PRINCIPAL}},
    },
}


def there(identity: str = IDENTITY, client_id: str = "client-team-i", **more: t.Any) -> IdentityInAzure:
    return IdentityInAzure(identity, **{"exists": True, "client_id": client_id, "tenant_id": TENANT, **more})


def gone(identity: str = IDENTITY) -> IdentityInAzure:
    return IdentityInAzure(identity, False)


def scale_set(*ghosts: str, place: str = SET, state: str = "Succeeded", **carried: str) -> ScaleSet:
    """With the identity of the nodes, the names of others with their client ids, and ids that have none."""
    found = {arm_id.normal(KUBELET): "of-nodes", **{arm_id.normal(one): "" for one in ghosts}}
    found.update({arm_id.normal(f"{ID}{name.replace('_', '-')}"): client for name, client in carried.items()})
    return ScaleSet(place, state, found, (SUBNET,))


def rights(*roles: tuple[str, str], **barriers: t.Any) -> Rights:
    """Of roles by name, each with its scope."""
    actions = {
        OPERATOR: Block(("Microsoft.ManagedIdentity/userAssignedIdentities/*/assign/action",)),
        CONTRIBUTOR: Block(("Microsoft.Compute/virtualMachineScaleSets/*", "Microsoft.Compute/virtualMachines/*")),
        "Reader": Block(("*/read",)),
        "Contributor": Block(("*",), ("Microsoft.Authorization/*/Write",)),
    }
    return Rights(PRINCIPAL, tuple(Grant(role, scope, (actions[role],)) for role, scope in roles), **barriers)


def missing(of: Rights, *scopes: tuple[str, tuple[str, ...], str]) -> tuple[Missing, ...]:
    return tuple(lack for scope in scopes for lack in of.missing(*scope))


def azure(*sets: ScaleSet, cluster: Raw | None = None, **more: t.Any) -> Azure:
    """With one scale set that carries what the pod of the cluster needs, where no other is given."""
    identities = (there(KUBELET, "of-nodes"), *more.pop("identities", (there(),)))
    kubelet = more.pop("kubelet", IdentityInAzure(KUBELET, True, "of-nodes", PRINCIPAL, TENANT))
    return Azure(
        cluster=CLUSTER if cluster is None else cluster,
        kubelet=kubelet,
        node_resource_group=NODES,
        tenant_id=TENANT,
        scale_sets=sets or (scale_set(team_i="client-team-i"),),
        identities={arm_id.normal(one.id): one for one in identities},
        **more,
    )
