# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Scale sets and their instances as objects: how they look and how their identities change. Pure but for the state."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable, Iterator

from .. import ids
from ..core import Azure
from ..state import INSTANCE, SCALE_SET, Resource, State
from ..wire import JsonObject, compute_timestamp


def node_group(cluster: Resource) -> str:
    """The id of the group that AKS keeps the machines of a cluster in."""
    return ids.group_id(ids.subscription(cluster.id), cluster.properties["nodeResourceGroup"])


def create(azure: Azure, cluster: Resource, pool: JsonObject, name: str, kubelet: Resource | None) -> Resource:
    """The scale set of an agent pool with its instances."""
    state = azure.state
    group = node_group(cluster)
    resource_id = f"{group}/providers/{SCALE_SET}/{name}"
    tags = {
        "aks-managed-createOperationID": str(uuid.uuid4()),
        "aks-managed-creationSource": f"vmssclient-{name}",
        "aks-managed-orchestrator": f"Kubernetes:{cluster.properties['currentKubernetesVersion']}",
        "aks-managed-poolName": pool["name"],
        "aks-managed-resourceNameSuffix": name.split("-")[-2],
        **(cluster.body.get("tags") or {}),
    }
    body: JsonObject = {
        "name": name,
        "id": resource_id,
        "type": SCALE_SET,
        "location": cluster.body["location"],
        "tags": tags,
        "sku": {"name": pool["vmSize"], "tier": "Standard", "capacity": pool["count"]},
        "properties": {
            "singlePlacementGroup": False,
            "orchestrationMode": "Uniform",
            "upgradePolicy": {"mode": "Manual"},
            "virtualMachineProfile": {
                "osProfile": _os_profile(name, "computerNamePrefix"),
                "storageProfile": {
                    "osDisk": {
                        "osType": "Linux",
                        "createOption": "FromImage",
                        "caching": "ReadOnly",
                        "managedDisk": {"storageAccountType": "Premium_LRS"},
                        "diskSizeGB": pool["osDiskSizeGB"],
                    },
                    "imageReference": {
                        "id": "/subscriptions/109a5e88-712a-48ae-9078-9ca8b3c81345/resourceGroups/AKS-Ubuntu/providers"
                        "/Microsoft.Compute/galleries/AKSUbuntu/images/2204gen2containerd/versions/202601.13.0"
                    },
                },
                "networkProfile": {"networkInterfaceConfigurations": [_interface(group, name)]},
            },
            "provisioningState": "Succeeded",
            "overprovision": False,
            "doNotRunExtensionsOnOverprovisionedVMs": False,
            "uniqueId": str(uuid.uuid4()),
            "timeCreated": compute_timestamp(),
        },
    }
    scale_set = state.put(Resource(resource_id, SCALE_SET, body))
    if kubelet is not None:
        change(state, scale_set, attach=[kubelet.id], detach=[])
    for number in range(pool["count"]):
        state.put(_instance(scale_set, number))
    return scale_set


def _os_profile(name: str, key: str) -> JsonObject:
    return {
        key: name,
        "adminUsername": "azureuser",
        "linuxConfiguration": {
            "disablePasswordAuthentication": True,
            "ssh": {"publicKeys": []},
            "provisionVMAgent": True,
            "enableVMAgentPlatformUpdates": False,
        },
        "secrets": [],
        "allowExtensionOperations": True,
        "requireGuestProvisionSignal": True,
    }


def _interface(group: str, name: str) -> JsonObject:
    subnet = f"{group}/providers/Microsoft.Network/virtualNetworks/aks-vnet/subnets/aks-subnet"
    return {
        "name": name,
        "properties": {
            "primary": True,
            "disableTcpStateTracking": False,
            "dnsSettings": {"dnsServers": []},
            "enableIPForwarding": True,
            "ipConfigurations": [
                {"name": "ipconfig1", "properties": {"subnet": {"id": subnet}, "privateIPAddressVersion": "IPv4"}}
            ],
        },
    }


def _base36(number: int) -> str:
    digits = "0123456789abcdefghijklmnopqrstuvwxyz"
    text = ""
    while number or not text:
        number, rest = divmod(number, 36)
        text = digits[rest] + text
    return text.zfill(6)


def _instance(scale_set: Resource, number: int) -> Resource:
    body = scale_set.body
    resource_id = f"{scale_set.id}/virtualMachines/{number}"
    profile = body["properties"]["virtualMachineProfile"]
    disk = hashlib.sha256(resource_id.encode()).hexdigest()[:32]
    disks = f"{scale_set.id.partition('/providers/')[0]}/providers/Microsoft.Compute/disks"
    os_disk = profile["storageProfile"]["osDisk"]
    name = f"{scale_set.name}_OsDisk_1_{disk}"
    shown: JsonObject = {
        "name": f"{scale_set.name}_{number}",
        "id": resource_id,
        "type": INSTANCE,
        "location": body["location"],
        "tags": body["tags"],
        "instanceId": str(number),
        "sku": {"name": body["sku"]["name"], "tier": "Standard"},
        "properties": {
            "latestModelApplied": True,
            "modelDefinitionApplied": "VirtualMachineScaleSet",
            "networkProfileConfiguration": profile["networkProfile"],
            "vmId": str(uuid.uuid4()),
            "hardwareProfile": {"vmSize": body["sku"]["name"]},
            "storageProfile": {
                "imageReference": profile["storageProfile"]["imageReference"],
                "osDisk": {
                    **os_disk,
                    "name": name,
                    "managedDisk": {**os_disk["managedDisk"], "id": f"{disks}/{name}"},
                },
                "dataDisks": [],
            },
            "osProfile": _os_profile(scale_set.name + _base36(number), "computerName"),
            "networkProfile": {"networkInterfaces": [{"id": f"{resource_id}/networkInterfaces/{scale_set.name}"}]},
            "provisioningState": "Succeeded",
            "timeCreated": compute_timestamp(),
        },
    }
    return Resource(resource_id, INSTANCE, shown)


def instances(state: State, scale_set: Resource) -> Iterator[Resource]:
    return state.within(f"{scale_set.id}/virtualMachines", INSTANCE)


def entry(state: State, resource_id: str) -> tuple[str, JsonObject] | None:
    """Key and value of an identity as a scale set shows it; None when the identity does not exist."""
    identity = state.get(resource_id)
    if identity is None:
        return None
    value = {"principalId": identity.properties["principalId"], "clientId": identity.properties["clientId"]}
    return ids.with_camel_groups(identity.id), value


def change(state: State, scale_set: Resource, attach: Iterable[str], detach: Iterable[str]) -> None:
    """Attach and detach identities, whatever the casing of their ids."""
    identity: JsonObject = scale_set.body.get("identity") or {}
    carried: JsonObject = identity.get("userAssignedIdentities") or {}
    unwanted = {ids.key(i) for i in detach}
    carried = {key: value for key, value in carried.items() if ids.key(key) not in unwanted}
    present = {ids.key(key) for key in carried}
    for resource_id in attach:
        made = entry(state, resource_id)
        if made is not None and ids.key(resource_id) not in present:
            carried[made[0]] = made[1]
    set_carried(scale_set, identity, carried)


def set_carried(scale_set: Resource, identity: JsonObject, carried: JsonObject) -> None:
    """Store user-assigned identities and keep ``type`` in step with them; without any identity the key is gone."""
    system = "SystemAssigned" in str(identity.get("type"))
    identity = {key: value for key, value in identity.items() if key != "userAssignedIdentities"}
    if carried:
        identity["userAssignedIdentities"] = carried
        identity["type"] = "SystemAssigned, UserAssigned" if system else "UserAssigned"
    if carried or system:
        scale_set.body["identity"] = identity
    else:
        scale_set.body.pop("identity", None)
