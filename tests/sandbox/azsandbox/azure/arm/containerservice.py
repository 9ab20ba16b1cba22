# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Microsoft.ContainerService: managed clusters, whose machines are real."""

from __future__ import annotations

import asyncio
import base64
import copy
import uuid
import zlib
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from urllib.parse import urlencode

from .. import ids
from ..compute import ClusterSpec, ComputeError, NodeSpec
from ..core import Azure
from ..operations import Operation
from ..routing import Call, Route
from ..state import CLUSTER, GROUP, IDENTITY, SCALE_SET, Principal, Resource
from ..wire import JSON, Answer, AzureError, JsonObject, aks_error, gateway_error, not_served, timestamp
from . import cluster_body, pod_identity, scale_sets
from .identities import create_identity
from .linked import JOIN, check_linked, group_body, require_group, resource_missing

SUB = "/subscriptions/{subscription}"
RG = SUB + "/resourceGroups/{group}"
COLLECTION = "/providers/Microsoft.ContainerService/managedClusters"
ITEM = RG + COLLECTION + "/{name}"
LOCATION = SUB + "/providers/Microsoft.ContainerService/locations/{location}"
ACTION = "Microsoft.ContainerService/managedClusters"
# The AKS operation URLs carry a version of their own, whatever the client asked with.
OPERATION_VERSION = "2025-03-01"
Work = Callable[[], Awaitable[None]]
# Subcodes of the provider's own 404, recorded after a deletion and after a PUT that was refused.
DELETED, REFUSED = "GetManagedCluster_NotFound_HCPServerError", "GetManagedCluster_NotFound"
BUSY = frozenset({"Creating", "Updating", "Deleting", "Upgrading", "Scaling", "Starting", "Stopping", "Canceling"})


def _id(call: Call) -> str:
    return f"{ids.group_id(call.subscription, call.params['group'])}{COLLECTION}/{call.params['name']}"


def require(call: Call) -> Resource:
    require_group(call)
    found = call.state.get(_id(call))
    if found is None:
        raise _missing(call)
    return found


def _missing(call: Call) -> AzureError:
    """The provider's own 404 soon after a deletion or a refused PUT, while ARM still knows the name; ARM's later."""
    name, group = call.params["name"], call.params["group"]
    left, subcode = call.state.left_clusters.get(ids.key(_id(call)), (0.0, ""))
    memory = call.azure.scaled(call.state.settings.deleted_cluster_memory)
    if subcode and call.azure.clock.now() < left + memory:
        return aks_error(
            404,
            "NotFound",
            f"Could not find managed cluster resource: {name} in subscription: {call.subscription},"
            f" resourceGroup: {group}.",
            subcode,
            [{"code": "Unspecified", "message": "rpc error: code = NotFound desc = Managed Cluster not found"}],
        )
    return resource_missing(ACTION, name, group)


def _shown(call: Call, body: JsonObject) -> JsonObject:
    return cluster_body.view(body, call.api_version, etags=call.state.settings.cluster_etags)


def answer(call: Call, status: int, cluster: Resource, headers: dict[str, str] | None = None) -> Answer:
    return Answer(
        status,
        _shown(call, cluster.body),
        headers or {},
        JSON,
    )


# operations


def start_operation(call: Call, location: str) -> tuple[Operation, dict[str, str]]:
    path = f"/subscriptions/{call.subscription}/providers/Microsoft.ContainerService/locations/{location}"
    operation = call.azure.operations.start(path)
    url = call.azure.operations.url(f"{path}/operations/{operation.id}", OPERATION_VERSION)
    return operation, {"Azure-AsyncOperation": url}


def results_url(call: Call, operation: Operation) -> str:
    return call.azure.operations.url(f"{operation.path}/operationresults/{operation.id}", OPERATION_VERSION)


async def get_operation(call: Call) -> Answer:
    operation = call.azure.operations.find(call.params["operation"], call.query, call.path)
    body: JsonObject = {"name": operation.id, "status": operation.status, "startTime": timestamp(operation.started)}
    if operation.ended is not None:
        body["endTime"] = timestamp(operation.ended)
    if operation.error is not None:
        body["error"] = operation.error
    return Answer(200, body, {} if operation.done else call.azure.poll_headers(), JSON)


async def get_operation_result(call: Call) -> Answer:
    operation = call.azure.operations.find(call.params["operation"], call.query, call.path)
    location = {"Location": results_url(call, operation)}
    if operation.done:
        return Answer(204, headers=location if operation.located else {})
    return Answer(202, headers={**location, **call.azure.poll_headers()})


# reading


async def get_cluster(call: Call) -> Answer:
    return answer(call, 200, require(call))


async def list_in_group(call: Call) -> Answer:
    return _list(call, require_group(call).id)


async def list_in_subscription(call: Call) -> Answer:
    return _list(call, f"/subscriptions/{call.subscription}")


def _list(call: Call, scope: str) -> Answer:
    found = [_shown(call, cluster.body) for cluster in call.state.within(scope, CLUSTER)]
    return Answer(200, {"value": found}, content_type=JSON)


# writing


def check_not_busy(cluster: Resource) -> None:
    if cluster.properties["provisioningState"] in BUSY:
        operation: Operation | None = cluster.hidden.get("operation")
        state = str(cluster.properties["provisioningState"])
        raise aks_error(
            409,
            "OperationNotAllowed",
            f"Operation is not allowed because there's an in progress {state.lower()} managed cluster operation"
            f" (operation ID: {operation.id if operation else ''}) on the managed cluster started on UTC"
            f" {operation.started:%Y-%m-%d %H:%M:%S}. Please wait for it to finish before starting a new operation, or"
            " use 'az aks operation-abort' to abort it. See https://aka.ms/aks-pending-operation for more details."
            if operation
            else f"Operation is not allowed: Another operation ({state}) is in progress, please wait for it to finish.",
        )


def _check_etag(call: Call, existing: Resource | None) -> None:
    wanted, unwanted = call.headers.get("If-Match"), call.headers.get("If-None-Match")
    failed = (wanted and (existing is None or wanted not in ("*", existing.body.get("eTag")))) or (
        unwanted == "*" and existing is not None
    )
    if failed:
        raise aks_error(
            412, "PreconditionFailed", "The condition of the If-Match or If-None-Match header does not hold."
        )


def check_not_stopped(cluster: Resource) -> None:
    """No recording shows this refusal; its words are those that users report."""
    if is_stopped(cluster):
        message = (
            f"Operation is not allowed: the managed cluster is in {states(cluster)}. Please start the cluster before"
            " you change it."
        )
        raise aks_error(400, "BadRequest", message)


def is_stopped(cluster: Resource) -> bool:
    return bool(cluster.properties["powerState"]["code"] == "Stopped")


def states(cluster: Resource) -> str:
    """In the words of the provider."""
    properties = cluster.properties
    return f"Provisioning State({properties['provisioningState']}) and Power State({properties['powerState']['code']})"


async def put_cluster(call: Call) -> Answer:
    require_group(call)
    given, existing = call.json(), call.state.get(_id(call))
    _check_etag(call, existing)
    if existing is not None:
        return _update(call, existing, given)
    try:
        return _create(call, given)
    except AzureError as error:
        if "error" not in error.answer.body:  # the provider's own, so that ARM had passed it on
            call.state.left_clusters[ids.key(_id(call))] = call.azure.clock.now(), REFUSED
        raise


def _create(call: Call, given: JsonObject) -> Answer:
    azure, state = call.azure, call.state
    if not given.get("location"):
        raise gateway_error(400, "LocationRequired", "The location property is required for this definition.")
    asked = given.get("properties") or {}
    if not asked.get("agentPoolProfiles"):
        raise aks_error(400, "InvalidParameter", "Required parameter agentPoolProfiles is missing (null).")
    body = cluster_body.created(_id(call), given, call.api_version, azure.config.kubernetes_version, state.tenant_id)
    _check_new(call, body)
    identity = given.get("identity") or {}
    check_linked(call, f"{ACTION}/write", [*(identity.get("userAssignedIdentities") or {}), *_kubelet_of(asked)])
    check_linked(call, f"{ACTION}/write", _subnets_of(asked), JOIN)
    cluster = Resource(body["id"], CLUSTER, body)
    _apply_pod_identity(call, cluster, asked)
    _apply_issuer(call, cluster, asked)
    brought = _brought_kubelet_identity(call, asked)
    control = _control_plane_identity(call, cluster, identity, asked.get("servicePrincipalProfile") or {})
    # From here on nothing is refused any more.
    node_group = state.put(_node_group(call, cluster))
    kubelet = (brought or _new_kubelet_identity(call, cluster)) if "identity" in body else None
    azure.assign(control, "Contributor", node_group.id)
    _make_scale_sets(azure, cluster, kubelet)
    _lock_down(azure, cluster, node_group, control)
    state.left_clusters.pop(ids.key(cluster.id), None)
    state.put(cluster)
    operation, headers = start_operation(call, body["location"])
    cluster.hidden |= {"operation": operation, "kubelet": kubelet, "control": control.object_id}
    cluster.hidden["spec"] = _spec(azure, cluster)
    created = answer(call, 201, cluster, headers)
    start = partial(_start_machines, azure, cluster, operation)
    cluster.hidden["work"] = azure.spawn(_carry_out(azure, cluster, operation, start))
    return created


async def _start_machines(azure: Azure, cluster: Resource, operation: Operation) -> None:
    await azure.compute.start(cluster.hidden["spec"], operation.progress)
    cluster.hidden["running"] = True


async def _carry_out(azure: Azure, cluster: Resource, operation: Operation, work: Work) -> None:
    """Do the work of a PUT and end its operation, whatever happens."""
    await carry_out(cluster, operation, lambda: _work_and_finish(azure, cluster, work))


async def _work_and_finish(azure: Azure, cluster: Resource, work: Work) -> None:
    await work()
    await _finish(azure, cluster)


async def carry_out(cluster: Resource, operation: Operation, work: Work) -> None:
    """Do some work on a cluster and end its operation, whatever happens."""
    try:
        await work()
    except ComputeError as error:
        cluster_body.in_progress(cluster.body, "Failed")
        operation.fail("CreateVMSSAgentPoolFailed", str(error))
    except asyncio.CancelledError:
        if cluster.properties["provisioningState"] == "Canceling":
            cluster_body.in_progress(cluster.body, "Canceled")
            operation.cancel("Canceled", "The operation was canceled by the user.")
        raise
    except Exception:
        cluster_body.in_progress(cluster.body, "Failed")
        operation.fail("InternalOperationError", "Internal server error.")
        raise
    else:
        operation.succeed()


def _check_new(call: Call, body: JsonObject) -> None:
    group = body["properties"]["nodeResourceGroup"]
    if call.state.get(ids.group_id(call.subscription, group)) is not None:
        message = f"The node resource group '{group}' of the cluster exists already; name another one."
        raise aks_error(400, "NodeResourceGroupAlreadyExists", message)


def _node_group(call: Call, cluster: Resource) -> Resource:
    resource_id = scale_sets.node_group(cluster)
    own = {"aks-managed-cluster-name": cluster.name, "aks-managed-cluster-rg": ids.group_name(cluster.id) or ""}
    tags = {**own, **(cluster.body.get("tags") or {})}
    body = group_body(resource_id, cluster.body["location"], tags, cluster.id)
    return Resource(resource_id, GROUP, body)


def _lock_down(azure: Azure, cluster: Resource, node_group: Resource, control: Principal) -> None:
    """A node resource group with restriction level ReadOnly is closed by a deny assignment."""
    level = (cluster.properties.get("nodeResourceGroupProfile") or {}).get("restrictionLevel")
    if level == "ReadOnly":
        azure.deny(
            node_group.id,
            "AKS-NRG-Lockdown",
            actions=["*/action", "*/delete", "*/write"],
            not_actions=["Microsoft.Compute/virtualMachineScaleSets/virtualMachines/runCommand/action"],
            excluded=[control.object_id],
        )


def _control_plane_identity(call: Call, cluster: Resource, given: JsonObject, service: JsonObject) -> Principal:
    """A managed identity, or the service principal of a cluster of the old kind."""
    if not given and service.get("clientId") not in (None, "msi"):
        principal = call.state.principal_by_app(str(service["clientId"]))
        if principal is None:
            message = (
                f"Service principal clientID: {service['clientId']} not found in Active Directory tenant"
                f" {call.state.tenant_id}, Please see https://aka.ms/aks-sp-help for more details."
            )
            raise aks_error(400, "ServicePrincipalNotFound", message)
        cluster.properties["servicePrincipalProfile"] = {"clientId": principal.app_id}
        cluster.hidden["secret"] = str(service.get("secret") or "")
        return principal
    kind = given.get("type") or "SystemAssigned"
    if kind == "UserAssigned":
        wanted = list(given.get("userAssignedIdentities") or {})
        identity = call.state.get(wanted[0]) if len(wanted) == 1 else None
        if identity is None or identity.type != IDENTITY:
            raise aks_error(
                400, "InvalidUserAssignedIdentity", "The cluster needs exactly one existing user-assigned identity."
            )
        cluster.body["identity"] = {"type": kind, "userAssignedIdentities": {wanted[0]: {}}}
        return call.state.principals[identity.properties["principalId"]]
    if kind != "SystemAssigned":
        raise not_served(f"A cluster with an identity of type '{kind}' is not made")
    principal = call.state.new_managed_identity(cluster.name, cluster.id)
    cluster.hidden["principal"] = principal.object_id
    cluster.body["identity"] = {
        "type": kind,
        "principalId": principal.object_id,
        "tenantId": call.state.tenant_id,
    }
    return principal


def _change_identity(call: Call, cluster: Resource, given: JsonObject) -> None:
    """Another identity of the control plane; the same one, however it is spelled, changes nothing."""
    current = cluster.body.get("identity") or {}
    kind = given.get("type")
    if not kind or (kind, _carried(given)) == (current.get("type"), _carried(current)):
        return
    if not current:
        raise not_served("A cluster of a service principal does not change to a managed identity")
    left = cluster.hidden.get("principal")
    control = _control_plane_identity(call, cluster, given, {})
    if left is not None and kind != "SystemAssigned":
        call.state.principals.pop(cluster.hidden.pop("principal"))
    cluster.hidden["control"] = control.object_id
    call.azure.assign(control, "Contributor", scale_sets.node_group(cluster))


def _carried(identity: JsonObject) -> set[str]:
    return {ids.key(resource_id) for resource_id in identity.get("userAssignedIdentities") or {}}


def _kubelet_of(asked: JsonObject) -> list[str]:
    profile = (asked.get("identityProfile") or {}).get("kubeletidentity") or {}
    return [profile["resourceId"]] if profile.get("resourceId") else []


def _subnets_of(asked: JsonObject) -> list[str]:
    subnets = (pool.get("vnetSubnetID") for pool in asked.get("agentPoolProfiles") or ())
    return list(dict.fromkeys(filter(None, subnets)))


def _brought_kubelet_identity(call: Call, asked: JsonObject) -> Resource | None:
    """The identity that the request brings for the kubelets."""
    for resource_id in _kubelet_of(asked):
        found = call.state.get(resource_id)
        if found is None or found.type != IDENTITY:
            raise aks_error(400, "InvalidParameter", f"The kubelet identity '{resource_id}' does not exist.")
        return found
    return None


def _new_kubelet_identity(call: Call, cluster: Resource) -> Resource:
    """``<name>-agentpool`` in the node resource group."""
    group, location = scale_sets.node_group(cluster), cluster.body["location"]
    return create_identity(call.state, group, f"{cluster.name}-agentpool", location, {})


def _kubelet_profile(kubelet: Resource) -> JsonObject:
    return {
        "resourceId": kubelet.id,
        "clientId": kubelet.properties["clientId"],
        "objectId": kubelet.properties["principalId"],
    }


def _make_scale_sets(azure: Azure, cluster: Resource, kubelet: Resource | None) -> None:
    number = f"{zlib.crc32(cluster.properties['resourceUID'].encode()) % 10**8:08d}"
    for pool in cluster.properties["agentPoolProfiles"]:
        scale_sets.create(azure, cluster, pool, f"aks-{pool['name']}-{number}-vmss", kubelet)


def _spec(azure: Azure, cluster: Resource) -> ClusterSpec:
    properties = cluster.properties
    node_group = scale_sets.node_group(cluster)
    kubelet: Resource | None = cluster.hidden["kubelet"]
    service = str(properties["servicePrincipalProfile"]["clientId"])
    entra = properties.get("aadProfile")
    nodes = [
        NodeSpec(
            instance.id,
            instance.properties["osProfile"]["computerName"],
            scale_set.body["tags"]["aks-managed-poolName"],
        )
        for scale_set in azure.state.within(node_group, SCALE_SET)
        for instance in scale_sets.instances(azure.state, scale_set)
    ]
    return ClusterSpec(
        id=cluster.id,
        name=cluster.name,
        resource_group=ids.group_name(cluster.id) or "",
        location=cluster.body["location"],
        node_resource_group=properties["nodeResourceGroup"],
        subscription_id=ids.subscription(cluster.id),
        tenant_id=azure.state.tenant_id,
        fqdn=properties.get("privateFQDN") or properties["fqdn"],
        issuer_url=properties["oidcIssuerProfile"].get("issuerURL"),
        kubernetes_version=properties["currentKubernetesVersion"],
        network_plugin=properties["networkProfile"]["networkPlugin"],
        network_policies=properties["networkProfile"].get("networkPolicy") not in (None, "none"),
        kubelet_client_id=kubelet.properties["clientId"] if kubelet else "",
        nodes=tuple(nodes),
        admin_groups=tuple(entra.get("adminGroupObjectIDs") or ()) if entra else None,
        service_principal_client_id="" if service == "msi" else service,
        service_principal_secret=cluster.hidden.get("secret", ""),
        workload_identity=_has_workload_identity(properties),
    )


async def _finish(azure: Azure, cluster: Resource) -> None:
    """The end of every successful PUT."""
    network = cluster.properties["networkProfile"]
    address = f"{scale_sets.node_group(cluster)}/providers/Microsoft.Network/publicIPAddresses"
    if network["outboundType"] == "loadBalancer":
        network["loadBalancerProfile"].setdefault("effectiveOutboundIPs", [{"id": f"{address}/{uuid.uuid4()}"}])
    identity = cluster.body.get("identity") or {}
    for resource_id in identity.get("userAssignedIdentities") or {}:
        found = azure.state.get(resource_id)
        if found is not None:
            identity["userAssignedIdentities"][resource_id] = {
                "clientId": found.properties["clientId"],
                "principalId": found.properties["principalId"],
            }
    kubelet: Resource | None = cluster.hidden["kubelet"]
    if kubelet is not None:
        cluster.properties["identityProfile"] = {"kubeletidentity": _kubelet_profile(kubelet)}
    _settle_pod_identities(azure, cluster)
    await _deploy_pod_identity(azure, cluster)
    cluster_body.settled(cluster.body)


def _update(call: Call, cluster: Resource, given: JsonObject) -> Answer:
    check_not_busy(cluster)
    check_not_stopped(cluster)
    _check_unchanged(cluster, given)
    asked = given.get("properties") or {}
    identity = given.get("identity") or {}
    check_linked(call, f"{ACTION}/write", list(identity.get("userAssignedIdentities") or {}))
    check_linked(call, f"{ACTION}/write", _subnets_of(asked), JOIN)
    before = copy.deepcopy(cluster.body)
    try:
        _change_identity(call, cluster, identity)
        _apply_pod_identity(call, cluster, asked)
        _apply_issuer(call, cluster, asked)
    except AzureError:
        cluster.body = before
        raise
    cluster_body.merge_properties(cluster.properties, asked)
    cluster_body.set_names(cluster.body)
    cluster_body.merge_pools(cluster.properties["agentPoolProfiles"], asked.get("agentPoolProfiles") or [])
    if given.get("sku"):
        cluster.body["sku"] = {**cluster.body["sku"], **given["sku"]}
    cluster.body.pop("tags", None)
    if given.get("tags"):
        cluster.body["tags"] = given["tags"]
    return _run_update(call, cluster, call.state.settings.cluster_update)


def _run_update(call: Call, cluster: Resource, seconds: float) -> Answer:
    azure = call.azure
    operation, headers = start_operation(call, cluster.body["location"])
    cluster_body.in_progress(cluster.body, "Updating")
    old: ClusterSpec = cluster.hidden["spec"]
    new = replace(_spec(azure, cluster), pod_identity=old.pod_identity)  # until its entries are settled
    cluster.hidden["operation"] = operation

    async def work() -> None:
        if not cluster.hidden.get("running"):
            # What has failed to start is tried again by the next PUT.
            cluster.hidden["spec"] = new
            await _start_machines(azure, cluster, operation)
            return
        await azure.pause(seconds)
        if azure.state.settings.cluster_update_drops_identities:
            _drop_identities(azure, cluster)
        if _of_update(new) != _of_update(old):
            operation.progress("ReconcilingAddons")
            await azure.compute.update(new)
        cluster.hidden["spec"] = new  # what has failed does not count as applied

    updated = answer(call, 200, cluster, headers)
    cluster.hidden["work"] = azure.spawn(_carry_out(azure, cluster, operation, work))
    return updated


def _of_update(spec: ClusterSpec) -> tuple[object, ...]:
    """What machines are told of when it changes."""
    return spec.issuer_url, spec.admin_groups, spec.network_policies, spec.workload_identity


def _drop_identities(azure: Azure, cluster: Resource) -> None:
    """Detach what others have attached to the scale sets."""
    properties, kubelet = cluster.properties, cluster.hidden["kubelet"]
    known = _resource_ids(properties.get("podIdentityProfile") or {})
    addons = (properties.get("addonProfiles") or {}).values()
    known |= {ids.key(addon["identity"]["resourceId"]) for addon in addons if addon.get("identity")}
    known |= {ids.key(kubelet.id)} if kubelet else set()
    node_group = scale_sets.node_group(cluster)
    for scale_set in azure.state.within(node_group, SCALE_SET):
        carried = (scale_set.body.get("identity") or {}).get("userAssignedIdentities") or {}
        dropped = [key for key in carried if ids.key(key) not in known]
        scale_sets.change(azure.state, scale_set, attach=[], detach=dropped)


def _check_unchanged(cluster: Resource, given: JsonObject) -> None:
    """What AKS does not let anybody change, and what this stand-in cannot."""
    location = str(given.get("location") or cluster.body["location"]).replace(" ", "").lower()
    if location != cluster.body["location"]:
        message = (
            f"The resource '{cluster.name}' already exists in location '{cluster.body['location']}' in resource group"
            f" '{ids.group_name(cluster.id)}'. A resource with the same name cannot be created in location"
            f" '{location}'. Please select a new resource name."
        )
        raise gateway_error(409, "InvalidResourceLocation", message)
    asked, current = given.get("properties") or {}, cluster.properties
    network = asked.get("networkProfile") or {}
    private = "enablePrivateCluster"
    pairs = (
        (
            f"apiServerAccessProfile.{private}",
            (asked.get("apiServerAccessProfile") or {}).get(private),
            bool((current.get("apiServerAccessProfile") or {}).get(private)),
        ),
        ("properties.dnsPrefix", asked.get("dnsPrefix"), current.get("dnsPrefix")),
        ("properties.nodeResourceGroup", asked.get("nodeResourceGroup"), current["nodeResourceGroup"]),
        ("networkProfile.networkPlugin", network.get("networkPlugin"), current["networkProfile"]["networkPlugin"]),
    )
    for name, wanted, present in pairs:
        if wanted and wanted != present:
            message = (
                f"Provisioning of resource(s) for container service {cluster.name} in resource group"
                f" {ids.group_name(cluster.id)} failed. Message: Changing property '{name}' is not allowed.. Details: "
            )
            raise aks_error(400, "PropertyChangeNotAllowed", message)
    counts = {pool["name"]: pool["count"] for pool in current["agentPoolProfiles"]}
    for pool in asked.get("agentPoolProfiles") or []:
        if counts.get(pool.get("name")) != (pool.get("count") or counts.get(pool.get("name"))):
            raise not_served(f"Agent pools are neither scaled nor added (pool '{pool.get('name')}')")


def _apply_issuer(call: Call, cluster: Resource, asked: JsonObject) -> None:
    wanted, current = asked.get("oidcIssuerProfile") or {}, cluster.properties["oidcIssuerProfile"]
    if wanted.get("enabled") is False and current["enabled"]:
        raise aks_error(400, "OIDCIssuerFeatureCannotBeDisabled", "OIDC issuer feature cannot be disabled.", "")
    if wanted.get("enabled") and not current["enabled"]:
        endpoint = f"https://{cluster.body['location']}.{call.azure.config.endpoints.issuer_domain}"
        url = f"{endpoint}/{call.state.tenant_id}/{uuid.uuid4()}/"
        cluster.properties["oidcIssuerProfile"] = {"enabled": True, "issuerURL": url}
    workload = _has_workload_identity(asked)
    if workload and not cluster.properties["oidcIssuerProfile"]["enabled"]:
        message = "Workload identity requires the OIDC issuer: set oidcIssuerProfile.enabled to true."
        raise aks_error(400, "InvalidParameter", message)
    if workload and not call.azure.config.workload_identity:
        raise not_served(
            "The Workload ID add-on is not deployed in a sandbox whose nodes lack its images; start one that has them"
            " (tests/sandbox/sandbox up --with workload-identity)"
        )


def _has_workload_identity(properties: JsonObject) -> bool:
    return bool(((properties.get("securityProfile") or {}).get("workloadIdentity") or {}).get("enabled"))


# pod identity


def _apply_pod_identity(call: Call, cluster: Resource, asked: JsonObject) -> None:
    given = asked.get("podIdentityProfile")
    if given is None:
        if call.api_version >= "2021" or not cluster.properties.get("podIdentityProfile"):
            return
        given = {}  # recorded for 2020-11-01: what a request leaves out is removed
    current = cluster.properties.get("podIdentityProfile") or {}
    plugin = cluster.properties["networkProfile"]["networkPlugin"]
    try:
        profile = pod_identity.requested(current, given, plugin, kubenet_needs_consent=call.api_version >= "2021")
    except pod_identity.Refused as refusal:
        raise aks_error(400, "BadRequest", str(refusal)) from None
    if call.state.settings.pod_identities_block and "control" in cluster.hidden:
        _refuse_blocked(call, cluster, profile)
    cluster.hidden["detach"] = _resource_ids(current) - _resource_ids(profile)
    cluster.properties["podIdentityProfile"] = profile
    if not profile and call.api_version < "2021":
        del cluster.properties["podIdentityProfile"]


def _resource_ids(profile: JsonObject) -> set[str]:
    return {
        ids.key(entry["identity"]["resourceId"])
        for entry in profile.get("userAssignedIdentities") or []
        if entry["provisioningState"] != pod_identity.DELETING
    }


def _pod_identity_problem(azure: Azure, cluster: Resource, entry: JsonObject) -> JsonObject | None:
    """Why the cluster's identity cannot assign the identity of an entry."""
    control, resource_id = azure.state.principals[cluster.hidden["control"]], entry["identity"]["resourceId"]
    if azure.state.get(resource_id) is None:
        return {"code": "NotFound", "message": f"The identity '{resource_id}' was not found."}
    if not azure.allowed(control, f"{IDENTITY}/assign/action", resource_id):
        return {
            "code": "LinkedAuthorizationFailed",
            "message": f"The cluster's identity '{control.object_id}' may not assign '{resource_id}': give it"
            " the role Managed Identity Operator there.",
        }
    return None


def _refuse_blocked(call: Call, cluster: Resource, profile: JsonObject) -> None:
    for entry in profile.get("userAssignedIdentities") or []:
        if _pod_identity_problem(call.azure, cluster, entry) is not None:
            identity = entry["identity"]
            message = (
                f"Cluster identity has no assignment permission over identity 'resourceId: {identity['resourceId']} -"
                f" clientId: {identity.get('clientId')} - objectId: {identity.get('objectId')}'. Please grant at least"
                " 'Managed Identity Operator' permission before assigning pod identity."
            )
            raise aks_error(400, "BadRequest", message)


def _settle_pod_identities(azure: Azure, cluster: Resource) -> None:
    """The add-on attaches the identities to the cluster's scale sets, with the cluster's own rights."""
    profile = cluster.properties.get("podIdentityProfile")
    if not profile:
        wanted: set[str] = set()
    else:
        profile = pod_identity.settled(profile, partial(_pod_identity_problem, azure, cluster))
        cluster.properties["podIdentityProfile"] = profile
        wanted = {
            ids.key(entry["identity"]["resourceId"])
            for entry in profile.get("userAssignedIdentities") or []
            if entry["provisioningState"] == pod_identity.ASSIGNED
        }
    dropped: set[str] = cluster.hidden.pop("detach", set())
    node_group = scale_sets.node_group(cluster)
    for scale_set in azure.state.within(node_group, SCALE_SET):
        scale_sets.change(azure.state, scale_set, attach=wanted, detach=dropped)


async def _deploy_pod_identity(azure: Azure, cluster: Resource) -> None:
    """Bring what the add-on hands out into the cluster."""
    old: ClusterSpec = cluster.hidden["spec"]
    new = replace(old, pod_identity=pod_identity.addon(cluster.properties.get("podIdentityProfile") or {}))
    if new != old:
        await azure.compute.update(new)
        cluster.hidden["spec"] = new


# the rest


async def patch_cluster(call: Call) -> Answer:
    """Tags only, as the API has it."""
    cluster = require(call)
    _check_etag(call, cluster)
    check_not_busy(cluster)
    check_not_stopped(cluster)
    tags = call.json().get("tags")
    cluster.body.pop("tags", None)
    if tags:
        cluster.body["tags"] = tags
    if call.api_version < "2021":
        return answer(call, 200, cluster)
    return _run_update(call, cluster, 10)


async def delete_cluster(call: Call) -> Answer:
    require_group(call)
    cluster = call.state.get(_id(call))
    if cluster is None:
        return Answer(204)
    _check_etag(call, cluster)
    if cluster.properties["provisioningState"] == "Deleting":
        check_not_busy(cluster)
    azure = call.azure
    operation, headers = start_operation(call, cluster.body["location"])
    cluster_body.in_progress(cluster.body, "Deleting")
    cluster.hidden["operation"] = operation

    async def work() -> None:
        await tear_down(azure, cluster)
        await azure.pause(azure.state.settings.cluster_delete)
        _forget(azure, cluster)
        operation.succeed()

    azure.spawn(work())
    return Answer(202, headers={**headers, "Location": results_url(call, operation)})


async def ended(work: asyncio.Task[None]) -> None:
    """Wait for the end of some work, however it ends."""
    await asyncio.wait([work])


async def tear_down(azure: Azure, cluster: Resource) -> None:
    """Stop the machines; what still works on the cluster is abandoned."""
    work = cluster.hidden.pop("work", None)
    if work is not None:
        work.cancel()
    await azure.compute.stop(cluster.id)
    azure.state.remove(scale_sets.node_group(cluster))


def _forget(azure: Azure, cluster: Resource) -> None:
    azure.state.remove(cluster.id)
    azure.state.left_clusters[ids.key(cluster.id)] = azure.clock.now(), DELETED


def _require_running(call: Call) -> Resource:
    """A cluster whose control plane can be asked."""
    cluster = require(call)
    state = cluster.properties["provisioningState"]
    if not cluster.hidden.get("running") or state == "Deleting":
        message = f"Could not find the control plane of managed cluster '{cluster.name}': it is {state}."
        raise aks_error(404, "ResourceNotFound", message)
    return cluster


async def _credential(call: Call, name: str, admin: bool) -> Answer:
    cluster = _require_running(call)
    if admin and cluster.properties.get("disableLocalAccounts"):
        message = "Getting static credential is not allowed because this cluster is set to disable local accounts."
        raise aks_error(400, "BadRequest", message)
    content = base64.b64encode(await call.azure.compute.kubeconfig(cluster.id, admin)).decode()
    return Answer(200, {"kubeconfigs": [{"name": name, "value": content}]}, content_type=JSON)


async def user_credential(call: Call) -> Answer:
    return await _credential(call, "clusterUser", admin=False)


async def admin_credential(call: Call) -> Answer:
    return await _credential(call, "clusterAdmin", admin=True)


def _pool_body(call: Call, cluster: Resource, pool: JsonObject) -> JsonObject:
    shown = _shown(call, {"properties": {"agentPoolProfiles": [pool]}})
    properties = shown["properties"]["agentPoolProfiles"][0]
    name = properties.pop("name")
    return {
        "id": f"{cluster.id}/agentPools/{name}",
        "name": name,
        "type": "Microsoft.ContainerService/managedClusters/agentPools",
        "properties": properties,
    }


async def list_pools(call: Call) -> Answer:
    """In one page, behind which AKS has another that is empty."""
    cluster = require(call)
    if "$skipToken" in call.query:
        return Answer(200, {"value": []}, content_type=JSON)
    pools = [_pool_body(call, cluster, pool) for pool in cluster.properties["agentPoolProfiles"]]
    following = urlencode({**call.query, "$skipToken": "last"})
    return Answer(200, {"value": pools, "nextLink": f"https://{call.host}{call.path}?{following}"}, content_type=JSON)


async def get_pool(call: Call) -> Answer:
    cluster = require(call)
    for pool in cluster.properties["agentPoolProfiles"]:
        if pool["name"].lower() == call.params["pool"].lower():
            return Answer(200, _pool_body(call, cluster, pool), content_type=JSON)
    name = call.params["pool"]
    raise aks_error(404, "NotFound", f"Could not find agent pool '{name}' in managed cluster '{cluster.name}'.")


async def upgrade_profile(call: Call) -> Answer:
    """Nothing to upgrade to: there is one version."""
    cluster = require(call)
    plane = {"kubernetesVersion": cluster.properties["currentKubernetesVersion"], "osType": "Linux"}
    properties = {"controlPlaneProfile": plane, "agentPoolProfiles": None}
    return _default(f"{cluster.id}/upgradeprofiles/default", "managedClusters/upgradeprofiles", properties)


def _default(resource_id: str, kind: str, properties: JsonObject) -> Answer:
    about = {"id": resource_id, "name": "default", "type": f"Microsoft.ContainerService/{kind}"}
    return Answer(200, {**about, "properties": properties}, content_type=JSON)


async def kubernetes_versions(call: Call) -> Answer:
    version = call.azure.config.kubernetes_version
    capabilities = {"supportPlan": ["KubernetesOfficial"]}
    patches: JsonObject = {version: {"upgrades": []}}
    entry = {"version": version.rpartition(".")[0], "capabilities": capabilities, "patchVersions": patches}
    return Answer(200, {"values": [entry]}, content_type=JSON)


async def orchestrators(call: Call) -> Answer:
    """The same in the words of the container service before AKS."""
    version = call.azure.config.kubernetes_version
    entry = {"orchestratorType": "Kubernetes", "orchestratorVersion": version, "default": True, "upgrades": []}
    return _default(call.path, "locations/orchestrators", {"orchestrators": [entry]})


ROUTES = (
    Route("GET", LOCATION + "/operations/{operation}", get_operation),
    Route("GET", LOCATION + "/operationresults/{operation}", get_operation_result),
    Route("GET", LOCATION + "/kubernetesVersions", kubernetes_versions),
    Route("GET", LOCATION + "/orchestrators", orchestrators),
    Route("GET", SUB + COLLECTION, list_in_subscription, f"{ACTION}/read"),
    Route("GET", RG + COLLECTION, list_in_group, f"{ACTION}/read"),
    Route("PUT", ITEM, put_cluster, f"{ACTION}/write"),
    Route("PATCH", ITEM, patch_cluster, f"{ACTION}/write"),
    Route("GET", ITEM, get_cluster, f"{ACTION}/read"),
    Route("DELETE", ITEM, delete_cluster, f"{ACTION}/delete"),
    Route("POST", ITEM + "/listClusterUserCredential", user_credential, f"{ACTION}/listClusterUserCredential/action"),
    Route(
        "POST", ITEM + "/listClusterAdminCredential", admin_credential, f"{ACTION}/listClusterAdminCredential/action"
    ),
    Route("GET", ITEM + "/agentPools", list_pools, f"{ACTION}/agentPools/read"),
    Route("GET", ITEM + "/agentPools/{pool}", get_pool, f"{ACTION}/agentPools/read"),
    Route("GET", ITEM + "/upgradeProfiles/default", upgrade_profile, f"{ACTION}/upgradeProfiles/read"),
)
