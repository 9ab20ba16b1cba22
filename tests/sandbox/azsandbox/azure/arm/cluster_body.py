# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a managed cluster looks: what the service fills in, what a request changes, what an api-version shows. Pure."""

from __future__ import annotations

import copy
import secrets
import string
import uuid
from typing import Any

from .. import ids
from ..state import CLUSTER
from ..wire import JsonObject

NODE_IMAGE = "AKSUbuntu-2204gen2containerd-202601.13.0"

READ_ONLY = frozenset(
    (
        "azurePortalFQDN currentKubernetesVersion fqdn maxAgentPools powerState privateFQDN privateLinkResources "
        "provisioningState resourceUID status"
    ).split()
)
POOL_READ_ONLY = frozenset(
    {"currentOrchestratorVersion", "eTag", "nodeImageVersion", "powerState", "provisioningState", "status"}
)
NOT_SHOWN = frozenset({"scaleSetPriority", "scaleSetEvictionPolicy", "spotMaxPrice"})

_CLUSTER = ("properties",)
_NETWORK = ("properties", "networkProfile")
_POOL = ("properties", "agentPoolProfiles")

SINCE: tuple[tuple[tuple[str, ...], str, str], ...] = (
    (("kind",), "2025", "2025"),
    ((*_CLUSTER, "autoUpgradeProfile"), "2024", "2024"),
    ((*_CLUSTER, "apiServerAccessProfile", "enablePrivateClusterPublicFQDN"), "2021", "2021"),
    ((*_CLUSTER, "apiServerAccessProfile", "privateDNSZone"), "2021", "2021"),
    ((*_CLUSTER, "azurePortalFQDN"), "2021", "2021"),
    ((*_CLUSTER, "bootstrapProfile"), "2024-08", "2024-08"),
    ((*_CLUSTER, "currentKubernetesVersion"), "2021", "2021"),
    ((*_CLUSTER, "metricsProfile"), "2024", "2024"),
    ((*_CLUSTER, "nodeProvisioningProfile"), "2025", "2024"),
    ((*_CLUSTER, "nodeProvisioningProfile", "defaultNodePools"), "2025", "2025"),
    ((*_CLUSTER, "oidcIssuerProfile"), "2021", "2021"),
    ((*_CLUSTER, "resourceUID"), "2024", "2024"),
    ((*_CLUSTER, "securityProfile"), "2021", "2021"),
    ((*_CLUSTER, "storageProfile"), "2021", "2021"),
    ((*_CLUSTER, "supportPlan"), "2023", "2023"),
    ((*_CLUSTER, "workloadAutoScalerProfile"), "2021", "2021"),
    ((*_NETWORK, "ipFamilies"), "2021", "2021"),
    ((*_NETWORK, "loadBalancerProfile", "backendPoolType"), "2024", "2022"),
    ((*_NETWORK, "networkDataplane"), "2024", "2023"),
    ((*_NETWORK, "networkPolicy"), "2024", "2024"),
    ((*_NETWORK, "podCidrs"), "2021", "2021"),
    ((*_NETWORK, "serviceCidrs"), "2021", "2021"),
    ((*_POOL, "currentOrchestratorVersion"), "2023", "2023"),
    ((*_POOL, "enableFIPS"), "2021", "2021"),
    ((*_POOL, "kubeletDiskType"), "2021", "2021"),
    ((*_POOL, "osSKU"), "2021", "2021"),
    ((*_POOL, "scaleDownMode"), "2025", "2025"),
    ((*_POOL, "securityProfile"), "2024", "2024"),
    ((*_POOL, "upgradeSettings"), "2021", "2021"),
)
"""Fields that answers to older api-versions do not have, with the first stable and the first preview version."""


def view(body: JsonObject, api_version: str, *, etags: bool) -> JsonObject:
    """A cluster as an api-version shows it.

    ``etags``: whether it has eTags too, which the specification of the stable api-versions has and no recording shows.
    """
    shown = copy.deepcopy(body)
    if api_version < "2024-05" or not (etags or "preview" in api_version):
        _drop(shown, ("eTag",))
        _drop(shown, (*_POOL, "eTag"))
    for path, stable, preview in SINCE:
        if api_version < (preview if "preview" in api_version else stable):
            _drop(shown, path)
    return shown


def _drop(node: Any, path: tuple[str, ...]) -> None:
    if isinstance(node, list):
        for item in node:
            _drop(item, path)
    elif isinstance(node, dict):
        if len(path) == 1:
            node.pop(path[0], None)
        elif path[0] in node:
            _drop(node[path[0]], path[1:])


def created(resource_id: str, given: JsonObject, api_version: str, kubernetes: str, tenant_id: str) -> JsonObject:
    """A new cluster as its 201 answers it."""
    asked: JsonObject = given.get("properties") or {}
    location = str(given["location"]).replace(" ", "").lower()
    name = ids.last(resource_id)
    group = ids.group_name(resource_id) or ""
    version = asked.get("kubernetesVersion") or kubernetes.rpartition(".")[0]
    subdomain = asked.get("fqdnSubdomain")
    prefix = asked.get("dnsPrefix") or subdomain or f"{name}-{group}"[:40]
    unique = "".join(secrets.choice(string.ascii_lowercase + string.digits) for _ in range(8))
    properties: JsonObject = {
        "provisioningState": "Creating",
        "powerState": {"code": "Running"},
        "kubernetesVersion": version,
        "currentKubernetesVersion": kubernetes if kubernetes.startswith(version) else version,
        "dnsPrefix": prefix,
        "fqdn": f"{prefix}-{unique}.hcp.{location}.azmk8s.io",
        "azurePortalFQDN": f"{prefix}-{unique}.portal.hcp.{location}.azmk8s.io",
        "servicePrincipalProfile": {"clientId": "msi"},
        "nodeResourceGroup": asked.get("nodeResourceGroup") or f"MC_{group}_{name}_{location}"[:80],
        "enableRBAC": True,
        "supportPlan": "KubernetesOfficial",
        "maxAgentPools": 100,
        "securityProfile": {},
        "storageProfile": {
            "diskCSIDriver": {"enabled": True},
            "fileCSIDriver": {"enabled": True},
            "snapshotController": {"enabled": True},
        },
        "oidcIssuerProfile": {"enabled": False},
        "workloadAutoScalerProfile": {},
        "autoUpgradeProfile": {"nodeOSUpgradeChannel": "NodeImage"},
        "bootstrapProfile": {"artifactSource": "Direct"},
        "metricsProfile": {"costAnalysis": {"enabled": False}},
        "nodeProvisioningProfile": {"mode": "Manual", "defaultNodePools": "Auto"},
        "resourceUID": secrets.token_hex(12),
    }
    properties["networkProfile"] = network_profile(asked.get("networkProfile") or {}, api_version)
    properties["agentPoolProfiles"] = [
        new_pool(pool, properties, api_version) for pool in asked.get("agentPoolProfiles") or []
    ]
    body: JsonObject = {
        "id": ids.with_lower_groups(resource_id),
        "location": location,
        "name": name,
        "type": CLUSTER,
        "kind": "Base",
        "properties": properties,
        "sku": {"name": "Base", "tier": "Free"} if api_version >= "2023" else {"name": "Basic", "tier": "Free"},
    }
    if given.get("tags"):
        body["tags"] = given["tags"]
    merge_properties(properties, asked)
    if subdomain and not asked.get("dnsPrefix"):
        del properties["dnsPrefix"]
    set_names(body)
    return body


def set_names(body: JsonObject) -> None:
    """The names of the API server: a private one, a public one or both, and what a private one is reached by."""
    properties = body["properties"]
    access: JsonObject = properties.get("apiServerAccessProfile") or {}
    public = str(properties["azurePortalFQDN"]).replace(".portal.hcp.", ".hcp.")
    if not access.get("enablePrivateCluster"):
        properties.setdefault("fqdn", public)
        return
    access.setdefault("privateDNSZone", "system")
    access.setdefault("enablePrivateClusterPublicFQDN", True)
    if not access.get("authorizedIPRanges"):
        access.pop("authorizedIPRanges", None)
    if "privateFQDN" not in properties:
        subdomain, zone = properties.get("fqdnSubdomain"), str(access["privateDNSZone"]).rpartition("/")[2]
        label = public.partition(".")[0]
        of_aks = f"{label}.{uuid.uuid4()}.privatelink.{body['location']}.azmk8s.io"
        properties["privateFQDN"] = f"{subdomain}.{zone}" if subdomain and "." in zone else of_aks
    created = properties["provisioningState"] != "Creating"
    properties["privateLinkResources"] = [
        {
            **({"id": f"{body['id']}/privateLinkResources/management"} if created else {}),
            "name": "management",
            "type": "Microsoft.ContainerService/managedClusters/privateLinkResources",
            "groupId": "management",
            "requiredMembers": ["management"],
        }
    ]
    if access["enablePrivateClusterPublicFQDN"]:
        properties.setdefault("fqdn", public)
    else:
        properties.pop("fqdn", None)


def network_profile(given: JsonObject, api_version: str) -> JsonObject:
    """Networking with the defaults of the time: kubenet first, azure overlay since 2024."""
    plugin = given.get("networkPlugin") or ("azure" if api_version >= "2024" else "kubenet")
    profile: JsonObject = {"networkPlugin": plugin}
    mode = given.get("networkPluginMode") or (
        "overlay" if not given.get("networkPlugin") and plugin == "azure" else None
    )
    if mode:
        profile["networkPluginMode"] = mode
    profile["networkPolicy"] = given.get("networkPolicy") or "none"
    if plugin == "azure":
        profile["networkDataplane"] = given.get("networkDataplane") or "azure"
    profile["loadBalancerSku"] = given.get("loadBalancerSku") or "standard"
    profile["loadBalancerProfile"] = {
        "managedOutboundIPs": {"count": 1},
        "backendPoolType": "nodeIPConfiguration",
        **(given.get("loadBalancerProfile") or {}),
    }
    service = given.get("serviceCidr") or "10.0.0.0/16"
    pods = given.get("podCidr") or ("10.244.0.0/16" if plugin == "kubenet" or mode == "overlay" else None)
    profile["serviceCidr"] = service
    profile["dnsServiceIP"] = given.get("dnsServiceIP") or "10.0.0.10"
    profile["outboundType"] = given.get("outboundType") or "loadBalancer"
    profile["serviceCidrs"] = [service]
    profile["ipFamilies"] = ["IPv4"]
    if pods:
        profile["podCidr"] = pods
        profile["podCidrs"] = [pods]
    for name, value in given.items():
        if value is not None:
            profile.setdefault(name, value)
    return profile


def new_pool(given: JsonObject, properties: JsonObject, api_version: str) -> JsonObject:
    """An agent pool of a new cluster."""
    network = properties["networkProfile"]
    overlay = network.get("networkPluginMode") == "overlay"
    pods = 250 if overlay else 110 if network["networkPlugin"] == "kubenet" else 30
    pool: JsonObject = {
        "name": given.get("name") or "nodepool1",
        "count": given.get("count") or 1,
        "vmSize": given.get("vmSize") or "Standard_DS2_v2",
        "osDiskSizeGB": given.get("osDiskSizeGB") or 128,
        "osDiskType": given.get("osDiskType") or "Managed",
        "kubeletDiskType": given.get("kubeletDiskType") or "OS",
        "maxPods": given.get("maxPods") or pods,
        "type": "VirtualMachineScaleSets",
        "scaleDownMode": given.get("scaleDownMode") or "Delete",
        "provisioningState": properties["provisioningState"],
        "powerState": {"code": "Running"},
        "orchestratorVersion": given.get("orchestratorVersion") or properties["kubernetesVersion"],
        "currentOrchestratorVersion": properties["currentKubernetesVersion"],
        "enableNodePublicIP": bool(given.get("enableNodePublicIP")),
        "mode": given.get("mode") or "User",
        "osType": given.get("osType") or "Linux",
        "osSKU": given.get("osSKU") or "Ubuntu",
        "nodeImageVersion": NODE_IMAGE,
        "upgradeSettings": given.get("upgradeSettings")
        or ({"maxSurge": "10%", "maxUnavailable": "0"} if api_version >= "2024-05" else {}),
        "enableFIPS": bool(given.get("enableFIPS")),
        "securityProfile": {"sshAccess": "LocalUser", "enableVTPM": False, "enableSecureBoot": False},
    }
    for name, value in given.items():
        if value in (None, []) or name in NOT_SHOWN or name in POOL_READ_ONLY:
            continue
        if value != {} or name not in ("nodeLabels", "tags"):
            pool.setdefault(name, value)
    return pool


_SPECIAL = frozenset(
    (
        "agentPoolProfiles identityProfile kubernetesVersion networkProfile nodeResourceGroup oidcIssuerProfile "
        "podIdentityProfile servicePrincipalProfile"
    ).split()
)


def merge_properties(properties: JsonObject, given: JsonObject) -> None:
    """Take over what a request names; null and read-only fields change nothing, unknown fields are kept."""
    for name, value in given.items():
        if value is None or name in READ_ONLY or name in _SPECIAL:
            continue
        current = properties.get(name)
        if isinstance(value, dict) and isinstance(current, dict):
            _merge(current, value)
        elif value not in ({}, []) or name in properties:
            properties[name] = copy.deepcopy(value)
    if isinstance(given.get("networkProfile"), dict):
        _merge(properties["networkProfile"], given["networkProfile"])
    if properties.get("aadProfile"):
        properties["aadProfile"].setdefault("adminUsers", None)


def _merge(current: JsonObject, given: JsonObject) -> None:
    for name, value in given.items():
        if value is None or (name == "countIPv6" and value == 0):
            continue
        if isinstance(value, dict) and isinstance(current.get(name), dict):
            _merge(current[name], value)
        else:
            current[name] = copy.deepcopy(value)


def merge_pools(pools: list[JsonObject], given: list[JsonObject]) -> None:
    """Changes of existing pools; adding and removing pools is not served here."""
    by_name = {pool["name"]: pool for pool in pools}
    for asked in given:
        pool = by_name.get(str(asked.get("name")))
        if pool is None:
            continue
        for name, value in asked.items():
            if value is not None and name not in POOL_READ_ONLY and name not in NOT_SHOWN:
                if (value in ([], {}) and name not in pool) or (name == "vmSize" and value == ""):
                    continue
                pool[name] = copy.deepcopy(value) if not (name == "osDiskSizeGB" and value == 0) else pool[name]


def settled(body: JsonObject) -> None:
    """What a cluster gains when its operation has ended well."""
    body["eTag"] = str(uuid.uuid4())
    properties = body["properties"]
    properties["provisioningState"] = "Succeeded"
    set_names(body)  # the id of a private link is known from here on
    for pool in properties["agentPoolProfiles"]:
        pool["provisioningState"] = "Succeeded"
        pool["eTag"] = str(uuid.uuid4())


def set_power(body: JsonObject, code: str) -> None:
    body["properties"]["powerState"] = {"code": code}
    for pool in body["properties"]["agentPoolProfiles"]:
        pool["powerState"] = {"code": code}


def in_progress(body: JsonObject, state: str) -> None:
    body["properties"]["provisioningState"] = state
    for pool in body["properties"]["agentPoolProfiles"]:
        pool["provisioningState"] = state
