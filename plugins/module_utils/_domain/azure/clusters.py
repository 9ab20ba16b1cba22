# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Managed clusters: what a cluster is to be, what a PUT may carry, and how a user sees it.

The body that GET returned is changed only where an option is set, so that what newer API versions add survives.
"""

from __future__ import annotations

import copy
import ipaddress
import re
import typing as t

from .. import names
from ..errors import Failure
from ..needs import AzureNeed
from . import arm_answers, arm_id, groups, long_running, needs, tags
from .arm_errors import ServiceError

Body = t.Mapping[str, t.Any]
Desired = t.Mapping[str, t.Any]

KIND = "Microsoft.ContainerService/managedClusters"

# Options that are one field of the cluster's properties: name of the option, path of the field.
_FIELDS = {
    "dns_prefix": ("dnsPrefix",),
    "kubernetes_version": ("kubernetesVersion",),
    "enable_rbac": ("enableRBAC",),
    "node_resource_group": ("nodeResourceGroup",),
    "network_plugin": ("networkProfile", "networkPlugin"),
    "network_plugin_mode": ("networkProfile", "networkPluginMode"),
    "network_policy": ("networkProfile", "networkPolicy"),
    "service_cidr": ("networkProfile", "serviceCidr"),
    "dns_service_ip": ("networkProfile", "dnsServiceIP"),
    "pod_cidr": ("networkProfile", "podCidr"),
    "oidc_issuer_enabled": ("oidcIssuerProfile", "enabled"),
    "workload_identity_enabled": ("securityProfile", "workloadIdentity", "enabled"),
    "private_cluster": ("apiServerAccessProfile", "enablePrivateCluster"),
}
_RANGES = ("apiServerAccessProfile", "authorizedIPRanges")
_FIXED = ("dns_prefix", "enable_rbac", "node_resource_group", "service_cidr", "dns_service_ip", "private_cluster")
_POOL_FIELDS = {
    "count": "count",
    "vm_size": "vmSize",
    "mode": "mode",
    "os_type": "osType",
    "vnet_subnet_id": "vnetSubnetID",
    "max_pods": "maxPods",
    "orchestrator_version": "orchestratorVersion",
}
_POOL_FIXED = ("vm_size", "os_type", "vnet_subnet_id", "max_pods")
_VERSIONS = ("kubernetes_version", "orchestrator_version")
_READ_ONLY = ("id", "name", "type", "systemData", "eTag")
_READ_ONLY_PROPERTIES = (
    "provisioningState",
    "powerState",
    "currentKubernetesVersion",
    "maxAgentPools",
    "fqdn",
    "privateFQDN",
    "azurePortalFQDN",
    "resourceUID",
    "status",
)
_READ_ONLY_POOL = (
    "provisioningState",
    "currentOrchestratorVersion",
    "nodeImageVersion",
    "eTag",
    "status",
)
_READ_ONLY_POD_IDENTITY = ("provisioningState", "provisioningInfo")
_POOL_DEFAULTS = {
    "count": 2,
    "vmSize": "Standard_D2s_v5",
    "osType": "Linux",
    "type": "VirtualMachineScaleSets",
}


def default_dns_prefix(name: str) -> str:
    """What the portal would propose: letters, digits and dashes, at most 54 characters."""
    return re.sub(r"[^A-Za-z0-9-]+", "-", name).strip("-")[:50].rstrip("-") + "-dns"


def node_group(cluster: Body) -> str:
    """Id of the resource group of the nodes."""
    return arm_id.resource_group(
        arm_id.parse(cluster["id"]).subscription, arm_answers.needed(cluster, "properties", "nodeResourceGroup")
    )


def is_named(cluster: Body, server: str) -> bool:
    """Whether the URL of an API server has the name of that of the cluster."""
    properties = cluster.get("properties") or {}
    own = {str(properties.get(field) or "").lower() for field in ("fqdn", "privateFQDN")} - {""}
    return server.lower().partition("://")[2].partition("/")[0].partition(":")[0] in own


def is_private(cluster: Body) -> bool:
    return bool(_value(cluster.get("properties") or {}, _FIELDS["private_cluster"]))


def unresolved(cluster: Body) -> str:
    """What helps where the name of a private cluster's API server is unknown."""
    properties = cluster["properties"]
    name = properties.get("privateFQDN") or properties.get("fqdn", "")
    return (
        f"Cluster {cluster['name']} is a private one, and the name of its API server, {name}, cannot be resolved from "
        "here; run this on a host in the virtual network of the cluster, link its private DNS zone to the network of "
        "this one, or set HTTPS_PROXY to a proxy there."
    )


def holds(cluster: Body, nodes: t.Iterable[Body]) -> bool:
    """Whether one of the nodes that an API server tells of is a machine of the cluster."""
    group = node_group(cluster)
    providers = (str((node.get("spec") or {}).get("providerID", "")) for node in nodes)
    return any(arm_id.contains(group, each.partition("azure://")[2]) for each in providers)


def needs_of_write(identifier: str, body: Body, current: Body | None) -> tuple[AzureNeed, ...]:
    """What whoever sends ``body`` must be allowed: ARM asks also about what it links to, whether that changes or not.

    The identity of the kubelets counts where it is brought to the cluster.
    """
    properties, before = body.get("properties") or {}, (current or {}).get("properties") or {}
    identities = (body.get("identity") or {}).get("userAssignedIdentities") or ()
    linked = [(identity, "assign/action") for identity in identities]
    kubelet, old = (str(_kubelet(each).get("resourceId") or "") for each in (properties, before))
    if kubelet and not arm_id.same(kubelet, old):
        linked.append((kubelet, "assign/action"))
    subnets = [str(pool.get("vnetSubnetID") or "") for pool in properties.get("agentPoolProfiles") or ()]
    linked += [(subnet, "join/action") for subnet in subnets]
    return (*needs.on(identifier, "write"), *(need for one, verb in linked for need in needs.on(one, verb)))


def _kubelet(properties: Body) -> Body:
    return (properties.get("identityProfile") or {}).get("kubeletidentity") or {}


def fulfilled(current: Body | None, desired: Desired) -> dict[str, t.Any]:
    """The body with all that is named."""
    return created(desired) if current is None else changed(current, desired)


def created(desired: Desired) -> dict[str, t.Any]:
    """The body that creates a cluster: what is named, and the little that AKS does not accept to be without."""
    if not desired.get("location"):
        raise Failure(f"The cluster {desired['name']} does not exist; name the location in which to create it.")
    base: dict[str, t.Any] = {
        "location": desired["location"],
        "identity": {"type": "SystemAssigned"},
        "sku": {"name": "Base", "tier": "Free"},
        "properties": {
            "dnsPrefix": default_dns_prefix(desired["name"]),
            "enableRBAC": True,
            "networkProfile": {"networkPlugin": "azure"},
            "agentPoolProfiles": [],
        },
    }
    pools = desired.get("agent_pools") or [{"name": "nodepool1"}]
    if not any(pool.get("mode") == "System" for pool in pools):
        pools = [{**pools[0], "mode": pools[0].get("mode") or "System"}, *pools[1:]]
    named = {name: value for name, value in desired.items() if name not in _FIXED}
    fixed = {name: desired[name] for name in _FIXED if desired.get(name) is not None}
    for name, value in fixed.items():
        _set(base["properties"], _FIELDS[name], value)
    return changed(base, {**named, "agent_pools": pools})


def changed(current: Body, desired: Desired) -> dict[str, t.Any]:
    """``current`` with all that is named in ``desired``; equal to ``current`` where that is so already.

    Raises Failure for what a cluster cannot change.
    """
    name = str(desired["name"])
    body = copy.deepcopy(dict(current))
    properties = body.setdefault("properties", {})
    location = desired.get("location")
    if location and not groups.same_location(location, body.get("location", "")):
        raise Failure(_cannot(name, "location", body.get("location"), location))
    for option, path in _FIELDS.items():
        wanted = desired.get(option)
        if wanted is None or _equal(option, _value(properties, path), wanted):
            continue
        if option == "kubernetes_version" and _equal(option, properties.get("currentKubernetesVersion"), wanted):
            continue
        if option in _FIXED or _is_one_way(option, _value(properties, path), wanted):
            raise Failure(_cannot(name, option, _value(properties, path), wanted))
        _set(properties, path, wanted)
    if desired.get("workload_identity_enabled") and not _value(properties, _FIELDS["oidc_issuer_enabled"]):
        raise Failure(f"The cluster {name} cannot have workload identity without an issuer; set oidc_issuer_enabled.")
    _set_ranges(name, properties, desired)
    _set_sku(body, desired.get("sku_tier"))
    _set_identities(body, desired)
    _set_pools(name, properties, desired.get("agent_pools") or ())
    merged = tags.merge(body.get("tags"), tags.parse(desired.get("tags")), append=desired.get("append_tags", True))
    if merged != (body.get("tags") or {}):
        body["tags"] = merged
    return body


def writable(body: Body) -> dict[str, t.Any]:
    """The body without what only AKS writes."""
    result = {key: value for key, value in copy.deepcopy(dict(body)).items() if key not in _READ_ONLY}
    properties = result["properties"] = _without(result.get("properties") or {}, _READ_ONLY_PROPERTIES)
    properties["agentPoolProfiles"] = [
        _without(pool, _READ_ONLY_POOL) for pool in properties.get("agentPoolProfiles") or ()
    ]
    if (properties.get("podIdentityProfile") or {}).get("userAssignedIdentities"):
        profile = properties["podIdentityProfile"]
        profile["userAssignedIdentities"] = [
            _without(entry, _READ_ONLY_POD_IDENTITY) for entry in profile["userAssignedIdentities"]
        ]
    identity = result.get("identity")
    if identity:
        identity = _without(identity, ("principalId", "tenantId"))
        if identity.get("userAssignedIdentities"):
            identity["userAssignedIdentities"] = {
                key: _without(value or {}, ("principalId", "clientId"))
                for key, value in identity["userAssignedIdentities"].items()
            }
        result["identity"] = identity
    return result


def require_tags(doing: str, written: Body, wanted: Body) -> None:
    """Raises Failure where the cluster lacks tags with which it was written, because somebody else wrote it then."""
    tags = written.get("tags") or {}
    lost = [name for name, value in (wanted.get("tags") or {}).items() if tags.get(name) != value]
    if lost:
        raise Failure(
            f"Could not {doing} for good: right after it the cluster lacks the tags {names.listed(lost)} as they were "
            "written, so somebody else writes it too; look who that is and run again."
        )


def is_of_service_principal(body: Body) -> bool:
    """Whether the cluster has no managed identity at all."""
    return not (body.get("identity") or {}).get("type") and bool(_service_principal(body.get("properties") or {}))


def _service_principal(properties: Body) -> str:
    """Client id of the service principal that a cluster runs as, '' where it has a managed identity."""
    found = str((properties.get("servicePrincipalProfile") or {}).get("clientId") or "")
    return "" if found.lower() == "msi" else found


def power_state(body: Body | None) -> str:
    """``Running`` or ``Stopped``; '' where nothing is known of it."""
    return str((((body or {}).get("properties") or {}).get("powerState") or {}).get("code") or "")


def _is_stopped(state: str) -> bool:
    return state.lower() == "stopped"


def _start(group: str, name: str) -> str:
    return f"az aks start --resource-group {group} --name {name}"


def explain_stopped(doing: str, body: Body | None, refused: Failure) -> Failure:
    """``refused``, in better words where the cluster was known to be stopped, which AKS says in many ways."""
    if body is None or not _is_stopped(power_state(body)):
        return refused
    place = arm_id.parse(body["id"])
    return Failure(
        f"Could not {doing}: the cluster is stopped, and AKS changes running ones only; start it "
        f"({_start(place.resource_group, place.name)}) and run again.",
        error=refused.error,
    )


def stopped_warnings(group: str, name: str, state: str) -> tuple[str, ...]:
    if not _is_stopped(state):
        return ()
    return (
        f"The cluster {name} is stopped, so nothing answers at the address in its kubeconfig; start it with "
        f"{_start(group, name)}.",
    )


def is_unsuccessful(body: Body) -> bool:
    """Whether the last operation on the cluster failed or was canceled."""
    return long_running.unsuccessful(str((body.get("properties") or {}).get("provisioningState", "")))


def is_busy(error: ServiceError) -> bool:
    """Whether AKS refused because another operation runs, or because somebody else has written in between.

    The code alone does not tell: OperationNotAllowed is also said of what will never be allowed.
    """
    if error.status == 412 or error.code == "EtagMismatch":
        return True
    return error.status == 409 and error.code == "OperationNotAllowed" and "in progress" in error.message.lower()


def view(body: Body | None) -> dict[str, t.Any]:
    """A cluster as the modules return it."""
    if not body:
        return {}
    properties = body.get("properties") or {}
    network = properties.get("networkProfile") or {}
    issuer = properties.get("oidcIssuerProfile") or {}
    security = properties.get("securityProfile") or {}
    identifier = str(body.get("id", ""))
    return {
        "id": identifier,
        "name": body.get("name", ""),
        "resource_group": arm_id.parse(identifier).resource_group if identifier else "",
        "location": body.get("location", ""),
        "tags": dict(body.get("tags") or {}),
        "provisioning_state": properties.get("provisioningState", ""),
        "power_state": power_state(body),
        "kubernetes_version": properties.get("currentKubernetesVersion") or properties.get("kubernetesVersion", ""),
        "dns_prefix": properties.get("dnsPrefix", ""),
        "fqdn": properties.get("fqdn", ""),
        "private_fqdn": properties.get("privateFQDN", ""),
        "private_cluster": is_private(body),
        "authorized_ip_ranges": list(_value(properties, _RANGES) or ()),
        "node_resource_group": properties.get("nodeResourceGroup", ""),
        "network_plugin": network.get("networkPlugin", ""),
        "network_plugin_mode": network.get("networkPluginMode", ""),
        "network_policy": network.get("networkPolicy") or "none",
        "service_cidr": network.get("serviceCidr", ""),
        "dns_service_ip": network.get("dnsServiceIP", ""),
        "pod_cidr": network.get("podCidr", ""),
        "sku_tier": (body.get("sku") or {}).get("tier", ""),
        "identity": _identity_view(body.get("identity") or {}),
        "kubelet_identity": _kubelet_view((properties.get("identityProfile") or {}).get("kubeletidentity") or {}),
        "service_principal_client_id": _service_principal(properties),
        "oidc_issuer_enabled": bool(issuer.get("enabled")),
        "oidc_issuer_url": issuer.get("issuerURL", ""),
        "workload_identity_enabled": bool((security.get("workloadIdentity") or {}).get("enabled")),
        "pod_identity_profile": {"enabled": False, **snake(properties.get("podIdentityProfile") or {})},
        "enable_rbac": bool(properties.get("enableRBAC")),
        "aad_enabled": bool(properties.get("aadProfile")),
        "local_accounts_disabled": bool(properties.get("disableLocalAccounts")),
        "agent_pools": [_pool_view(pool) for pool in properties.get("agentPoolProfiles") or ()],
    }


def predicted(body: Body, *, subscription: str, group: str, name: str, unknown: str) -> dict[str, t.Any]:
    """What a cluster that ``body`` creates will look like; ``unknown`` stands for what Azure assigns."""
    result = copy.deepcopy(dict(body))
    properties = result["properties"]
    result.update(
        id=arm_id.resource(subscription, group, KIND, name).replace("resourceGroups", "resourcegroups"), name=name
    )
    if result["identity"]["type"] == "SystemAssigned":
        result["identity"].update(principalId=unknown, tenantId=unknown)
    for each in (result["identity"].get("userAssignedIdentities") or {}).values():
        each["principalId"] = unknown
    properties.update(provisioningState="Succeeded", powerState={"code": "Running"}, fqdn=unknown)
    if is_private(result):
        properties["privateFQDN"] = unknown
    properties.setdefault("kubernetesVersion", unknown)
    node_group = properties.setdefault("nodeResourceGroup", f"MC_{group}_{name}_{body['location']}"[:80])
    network = properties["networkProfile"]
    network.setdefault("serviceCidr", unknown)
    network.setdefault("dnsServiceIP", unknown)
    if network["networkPlugin"] == "kubenet" or network.get("networkPluginMode") == "overlay":
        network.setdefault("podCidr", unknown)
    kubelet = (properties.get("identityProfile") or {}).get("kubeletidentity") or {}
    own = arm_id.resource(
        subscription, node_group, "Microsoft.ManagedIdentity/userAssignedIdentities", f"{name}-agentpool"
    )
    properties["identityProfile"] = {
        "kubeletidentity": {
            "resourceId": kubelet.get("resourceId") or own.replace("resourceGroups", "resourcegroups"),
            "clientId": unknown,
            "objectId": unknown,
        }
    }
    if (properties.get("oidcIssuerProfile") or {}).get("enabled"):
        properties["oidcIssuerProfile"]["issuerURL"] = unknown
    for pool in properties["agentPoolProfiles"]:
        pool.setdefault("orchestratorVersion", properties["kubernetesVersion"])
        pool.setdefault("maxPods", unknown)
        pool["provisioningState"] = "Succeeded"
    return result


def expected(body: Body, unknown: str) -> dict[str, t.Any]:
    """What an existing cluster will look like once a PUT of ``body`` has succeeded."""
    result = copy.deepcopy(dict(body))
    properties = result["properties"]
    properties["provisioningState"] = "Succeeded"
    version = properties.get("kubernetesVersion")
    if version and not _equal("kubernetes_version", properties.get("currentKubernetesVersion"), version):
        properties["currentKubernetesVersion"] = version
    issuer = properties.get("oidcIssuerProfile") or {}
    if issuer.get("enabled"):
        issuer.setdefault("issuerURL", unknown)
    if (result.get("identity") or {}).get("type") == "UserAssigned":
        result["identity"].pop("principalId", None)
    kubelet = (properties.get("identityProfile") or {}).get("kubeletidentity") or {}
    if kubelet:
        kubelet.setdefault("clientId", unknown)
        kubelet.setdefault("objectId", unknown)
    for pool in properties.get("agentPoolProfiles") or ():
        version = pool.get("orchestratorVersion")
        if version and not _equal("orchestrator_version", pool.get("currentOrchestratorVersion"), version):
            pool["currentOrchestratorVersion"] = version
        pool.setdefault("orchestratorVersion", properties.get("currentKubernetesVersion") or unknown)
        pool.setdefault("maxPods", unknown)
        pool["provisioningState"] = "Succeeded"
    return result


def snake(value: t.Any) -> t.Any:
    """A piece of ARM JSON with its keys in snake case."""
    if isinstance(value, dict):
        return {re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", key).lower(): snake(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [snake(inner) for inner in value]
    return value


def _set_ranges(cluster: str, properties: dict[str, t.Any], desired: Desired) -> None:
    """Who may reach the API server; ranges that are not named stay unless purged."""
    wanted = desired.get("authorized_ip_ranges")
    if wanted is None:
        return
    if wanted and _value(properties, _FIELDS["private_cluster"]):
        raise Failure(
            f"The cluster {cluster} is private, and AKS authorizes ranges of public clusters only; leave "
            "authorized_ip_ranges out."
        )
    purge = bool(desired.get("purge_authorized_ip_ranges"))
    if purge and not wanted and not desired.get("purge_allow_empty"):
        raise Failure(
            f"An empty list would open the API server of the cluster {cluster} to every address; set "
            "purge_allow_empty to true if that is meant."
        )
    current = list(_value(properties, _RANGES) or ())
    named = {_network(text): text for text in wanted}
    known = {_network(text): text for text in current}
    kept = [text for network, text in known.items() if network in named or not purge]
    ranges = [*kept, *(str(network) for network in named if network not in known)]
    if ranges != current:
        _set(properties, _RANGES, ranges)


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    """A range as AKS spells it; a single address is a range too."""
    try:
        return ipaddress.ip_network(text.strip(), strict=False)
    except ValueError as error:
        raise Failure(
            f"{text!r} in authorized_ip_ranges is no range of addresses; write it as 203.0.113.0/24."
        ) from error


def _set_sku(body: dict[str, t.Any], tier: str | None) -> None:
    sku = body.get("sku") or {}
    if tier and str(sku.get("tier", "")).lower() != tier.lower():
        body["sku"] = {"name": "Base", **sku, "tier": tier}


def _set_identities(body: dict[str, t.Any], desired: Desired) -> None:
    wanted = desired.get("user_assigned_identity")
    current = body.get("identity") or {}
    if wanted and not any(arm_id.same(known, wanted) for known in current.get("userAssignedIdentities") or {}):
        kept = _without(current, ("principalId", "tenantId"))
        body["identity"] = {**kept, "type": "UserAssigned", "userAssignedIdentities": {wanted: {}}}
    kubelet = desired.get("kubelet_identity")
    profile = body["properties"].get("identityProfile") or {}
    if kubelet and not arm_id.same((profile.get("kubeletidentity") or {}).get("resourceId"), kubelet):
        if is_of_service_principal(body):
            raise Failure(
                f"The cluster {desired['name']} runs as a service principal, so it cannot use the kubelet identity "
                f"{kubelet}; give it a managed identity first (az aks update --enable-managed-identity "
                "--assign-identity), or leave kubelet_identity out."
            )
        if (body.get("identity") or {}).get("type") != "UserAssigned":
            raise Failure(
                f"The cluster {desired['name']} cannot use the kubelet identity {kubelet} with a system-assigned "
                "control plane; name a user_assigned_identity that holds Managed Identity Operator on it."
            )
        body["properties"]["identityProfile"] = {**profile, "kubeletidentity": {"resourceId": kubelet}}


def _set_pools(cluster: str, properties: dict[str, t.Any], pools: t.Iterable[Desired]) -> None:
    profiles: list[dict[str, t.Any]] = properties.setdefault("agentPoolProfiles", [])
    for desired in pools:
        pool = next((known for known in profiles if known.get("name") == desired["name"]), None)
        fresh = pool is None
        if pool is None:
            pool = {"name": desired["name"], **_POOL_DEFAULTS, "mode": "User"}
            profiles.append(pool)
        for option, field in _POOL_FIELDS.items():
            wanted = desired.get(option)
            if wanted is None or _equal(option, pool.get(field), wanted):
                continue
            if option == "orchestrator_version" and _equal(option, pool.get("currentOrchestratorVersion"), wanted):
                continue
            if option in _POOL_FIXED and not fresh:
                raise Failure(_cannot(f"{cluster}, agent pool {desired['name']}", option, pool.get(field), wanted))
            pool[field] = wanted
        _add_labels_and_taints(pool, desired)


def _add_labels_and_taints(pool: dict[str, t.Any], desired: Desired) -> None:
    labels = {
        **(pool.get("nodeLabels") or {}),
        **{key: str(value) for key, value in (desired.get("node_labels") or {}).items()},
    }
    if labels != (pool.get("nodeLabels") or {}):
        pool["nodeLabels"] = labels
    wanted = {_taint_key(taint): taint for taint in desired.get("node_taints") or ()}
    taints = {**{_taint_key(taint): taint for taint in pool.get("nodeTaints") or ()}, **wanted}
    if list(taints.values()) != (pool.get("nodeTaints") or []):
        pool["nodeTaints"] = list(taints.values())


def _taint_key(taint: str) -> tuple[str, str]:
    """Key and effect; a node has one value for them."""
    left, _sep, effect = taint.rpartition(":")
    return left.partition("=")[0], effect


def _equal(option: str, current: t.Any, wanted: t.Any) -> bool:
    if isinstance(wanted, bool):
        return bool(current) == wanted
    if option in _VERSIONS:
        return bool(current) and (str(current) + ".").startswith(str(wanted).rstrip(".") + ".")
    if isinstance(wanted, str):
        return (
            str(current or "").lower() == wanted.lower()
            or option == "network_policy"
            and {current, wanted} == {None, "none"}
        )
    return bool(current == wanted)


def _is_one_way(option: str, current: t.Any, wanted: t.Any) -> bool:
    """Whether AKS would have to go back where it only goes forth."""
    if option == "oidc_issuer_enabled":
        return bool(current) and not wanted
    if option == "kubernetes_version":
        have, want = _version(current), _version(wanted)
        return want < have[: len(want)]
    return False


def _version(text: t.Any) -> list[int]:
    return [int(part) for part in re.findall("[0-9]+", str(text or ""))]


def _value(properties: t.Mapping[str, t.Any], path: t.Sequence[str]) -> t.Any:
    value: t.Any = properties
    for key in path:
        value = (value or {}).get(key)
    return value


def _set(properties: dict[str, t.Any], path: t.Sequence[str], value: t.Any) -> None:
    for key in path[:-1]:
        if not properties.get(key):
            properties[key] = {}
        properties = properties[key]
    properties[path[-1]] = value


def _without(body: t.Mapping[str, t.Any], keys: t.Container[str]) -> dict[str, t.Any]:
    return {key: value for key, value in body.items() if key not in keys}


def _cannot(what: str, option: str, current: t.Any, wanted: t.Any) -> str:
    return (
        f"The {option} of the cluster {what} is {current!r} and AKS cannot change it to {wanted!r}; leave {option} "
        "out, or create another one."
    )


def control_plane_principal(identity: Body) -> str:
    """Object id of the identity that a cluster has, of whichever kind; AKS takes one of them only."""
    assigned = ((each or {}).get("principalId") for each in (identity.get("userAssignedIdentities") or {}).values())
    return str(identity.get("principalId") or next(filter(None, assigned), ""))


def _identity_view(identity: Body) -> dict[str, t.Any]:
    if not identity:
        return {}
    return {
        "type": identity.get("type", ""),
        "principal_id": control_plane_principal(identity),
        "tenant_id": identity.get("tenantId", ""),
        "user_assigned_identities": list(identity.get("userAssignedIdentities") or {}),
    }


def _kubelet_view(identity: Body) -> dict[str, t.Any]:
    if not identity:
        return {}
    return {
        "resource_id": identity.get("resourceId", ""),
        "client_id": identity.get("clientId", ""),
        "object_id": identity.get("objectId", ""),
    }


def _pool_view(pool: Body) -> dict[str, t.Any]:
    return {
        "name": pool.get("name", ""),
        "count": pool.get("count", 0),
        "vm_size": pool.get("vmSize", ""),
        "mode": pool.get("mode", ""),
        "os_type": pool.get("osType", "Linux"),
        "type": pool.get("type", ""),
        "orchestrator_version": pool.get("currentOrchestratorVersion") or pool.get("orchestratorVersion", ""),
        "vnet_subnet_id": pool.get("vnetSubnetID", ""),
        "max_pods": pool.get("maxPods", 0),
        "node_labels": dict(pool.get("nodeLabels") or {}),
        "node_taints": list(pool.get("nodeTaints") or ()),
        "provisioning_state": pool.get("provisioningState", ""),
    }
