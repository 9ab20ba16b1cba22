# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.azure import clusters
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.azure.arm_errors import ServiceError
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.errors import Failure
from ansible_collections.azureops.pod_identity.tests.unit.tables import for_each

IDENTITY = "/subscriptions/s/resourcegroups/rg/providers/Microsoft.ManagedIdentity/userAssignedIdentities/cp"
ENTRY = {"name": "i", "namespace": "n", "provisioningState": "Assigned"}
OLD_POOL: dict[str, Any] = {"name": "nodepool1", "count": 2, "vmSize": "Standard_D2s_v5", "mode": "System"}
OLD_POOL |= {"osType": "Linux", "orchestratorVersion": "1.33", "currentOrchestratorVersion": "1.33.5"}
OLD_POOL |= {"nodeTaints": ["a=b:NoSchedule"], "provisioningState": "Succeeded", "futureField": 2}
EXISTING: dict[str, Any] = {
    "id": "/subscriptions/s/resourcegroups/rg/providers/Microsoft.ContainerService/managedClusters/demo",
    "name": "demo",
    "type": "Microsoft.ContainerService/ManagedClusters",
    "location": "westeurope",
    "tags": {"team": "a"},
    "eTag": "e",
    "sku": {"name": "Base", "tier": "Free"},
    "futureField": {"kept": True},
    "identity": {"type": "SystemAssigned", "principalId": "p", "tenantId": "t"},
    "properties": {
        "provisioningState": "Succeeded",
        "powerState": {"code": "Running"},
        "kubernetesVersion": "1.33",
        "currentKubernetesVersion": "1.33.5",
        "dnsPrefix": "demo-dns",
        "fqdn": "demo.hcp",
        "enableRBAC": True,
        "nodeResourceGroup": "MC_rg_demo_westeurope",
        "servicePrincipalProfile": {"clientId": "msi"},
        "networkProfile": {"networkPlugin": "azure", "serviceCidr": "10.0.0.0/16", "futureField": 1},
        "oidcIssuerProfile": {"enabled": False},
        "identityProfile": {"kubeletidentity": {"resourceId": "/k", "clientId": "c", "objectId": "o"}},
        "podIdentityProfile": {"enabled": True, "userAssignedIdentities": [ENTRY]},
        "agentPoolProfiles": [OLD_POOL, {"name": "other", "count": 1}],
    },
}


POOL = {"vmSize": "Standard_D2s_v5", "osType": "Linux", "type": "VirtualMachineScaleSets"}
DEMO = {"name": "demo", "location": "westeurope"}
IDS = {"subscription": "s", "group": "rg", "name": "demo"}


def pool(**options: Any) -> dict[str, Any]:
    return {"agent_pools": [{"name": "nodepool1", **options}]}


def changed(**desired: Any) -> dict[str, Any]:
    return clusters.changed(EXISTING, {"name": "demo", **desired})


@for_each(
    {},
    {"location": "West Europe", "dns_prefix": "demo-dns", "enable_rbac": True, "service_cidr": "10.0.0.0/16"},
    {"kubernetes_version": "1.33"},
    {"kubernetes_version": "1.33.5"},
    {"network_plugin": "azure", "network_policy": "none", "workload_identity_enabled": False},
    {"oidc_issuer_enabled": False, "sku_tier": "Free", "tags": {"Team": "a"}},
    {"kubelet_identity": "/K/"},
    {"private_cluster": False, "authorized_ip_ranges": []},
    pool(count=2, vm_size="standard_d2s_v5", mode="System", orchestrator_version="1.33.5"),
    pool(node_taints=["a=b:NoSchedule"], node_labels={}),
)
def test_a_fulfilled_desired_object_changes_nothing(desired: dict[str, Any]) -> None:
    assert changed(**desired) == EXISTING


@for_each(
    ({"kubernetes_version": "1.34"}, "properties.kubernetesVersion", "1.34"),
    ({"network_policy": "cilium"}, "properties.networkProfile.networkPolicy", "cilium"),
    ({"network_plugin_mode": "overlay"}, "properties.networkProfile.networkPluginMode", "overlay"),
    ({"pod_cidr": "10.9.0.0/16"}, "properties.networkProfile.podCidr", "10.9.0.0/16"),
    ({"oidc_issuer_enabled": True}, "properties.oidcIssuerProfile.enabled", True),
    ({"sku_tier": "Standard"}, "sku.tier", "Standard"),
    ({"tags": {"b": 2}}, "tags", {"team": "a", "b": "2"}),
    ({"tags": {"b": 2}, "append_tags": False}, "tags", {"b": "2"}),
    (pool(count=3), "properties.agentPoolProfiles.0.count", 3),
    (pool(mode="User"), "properties.agentPoolProfiles.0.mode", "User"),
    (pool(orchestrator_version="1.34.1"), "properties.agentPoolProfiles.0.orchestratorVersion", "1.34.1"),
    (pool(node_labels={"x": 1}), "properties.agentPoolProfiles.0.nodeLabels", {"x": "1"}),
    (
        pool(node_taints=["a=c:NoSchedule", "d:X"]),
        "properties.agentPoolProfiles.0.nodeTaints",
        ["a=c:NoSchedule", "d:X"],
    ),
    (
        {"user_assigned_identity": IDENTITY},
        "identity",
        {"type": "UserAssigned", "userAssignedIdentities": {IDENTITY: {}}},
    ),
)
def test_only_what_is_named_changes(desired: dict[str, Any], path: str, value: Any) -> None:
    expected = copy.deepcopy(EXISTING)
    *parents, last = path.split(".")
    place: Any = expected
    for key in parents:
        place = place[int(key)] if key.isdigit() else place.setdefault(key, {})
    place[last] = value
    assert changed(**desired) == expected


def test_a_new_pool_is_added() -> None:
    pools = changed(agent_pools=[{"name": "new", "count": 1}])["properties"]["agentPoolProfiles"]
    assert pools[:2] == EXISTING["properties"]["agentPoolProfiles"]
    assert pools[2] == {"name": "new", "count": 1, **POOL, "mode": "User"}


@for_each(
    ({"location": "eastus"}, "location of the cluster demo is 'westeurope'"),
    ({"dns_prefix": "x"}, "dns_prefix of the cluster demo is 'demo-dns'"),
    ({"enable_rbac": False}, "enable_rbac of the cluster demo is True"),
    ({"node_resource_group": "x"}, "node_resource_group of the cluster demo"),
    ({"service_cidr": "10.1.0.0/16"}, "service_cidr of the cluster demo"),
    (pool(vm_size="Standard_B2s"), "vm_size of the cluster demo, agent pool nodepool1"),
    ({"kubelet_identity": "/other"}, "with a system-assigned control plane"),
    ({"kubernetes_version": "1.3"}, "kubernetes_version of the cluster demo is"),
    ({"kubernetes_version": "1.32"}, "kubernetes_version of the cluster demo is"),
    ({"kubernetes_version": "1.32.9"}, "kubernetes_version of the cluster demo is"),
    ({"workload_identity_enabled": True}, "cannot have workload identity without an issuer"),
    ({"private_cluster": True}, "private_cluster of the cluster demo is None"),
    ({"authorized_ip_ranges": ["x"]}, "'x' in authorized_ip_ranges is no range of addresses"),
    ({"authorized_ip_ranges": [], "purge_authorized_ip_ranges": True}, "set purge_allow_empty to true"),
)
def test_what_a_cluster_cannot_change_is_refused(desired: dict[str, Any], reason: str) -> None:
    with pytest.raises(Failure, match=reason):
        changed(**desired)


def test_workload_identity_comes_with_an_issuer_and_the_issuer_stays() -> None:
    body = changed(oidc_issuer_enabled=True, workload_identity_enabled=True)
    assert body["properties"]["securityProfile"]["workloadIdentity"] == {"enabled": True}
    assert clusters.changed(body, {"name": "demo", "workload_identity_enabled": True}) == body
    with pytest.raises(Failure, match="oidc_issuer_enabled of the cluster demo is True"):
        clusters.changed(body, {"name": "demo", "oidc_issuer_enabled": False})


def test_the_prediction_of_a_new_pool_leaves_open_what_aks_decides() -> None:
    body = changed(agent_pools=[{"name": "new"}])
    (_first, _second, pool) = clusters.view(clusters.expected(body, "(later)"))["agent_pools"]
    assert pool["max_pods"] == "(later)"
    assert pool["orchestrator_version"] == EXISTING["properties"]["currentKubernetesVersion"]


def test_a_put_carries_what_it_does_not_know_and_nothing_that_only_aks_writes() -> None:
    body = clusters.writable(EXISTING)
    assert body["futureField"] == {"kept": True}
    assert body["properties"]["networkProfile"]["futureField"] == 1
    assert body["properties"]["agentPoolProfiles"][0]["futureField"] == 2
    assert body["identity"] == {"type": "SystemAssigned"}
    assert body["properties"]["podIdentityProfile"]["userAssignedIdentities"] == [{"name": "i", "namespace": "n"}]
    text = str(body)
    for absent in ("provisioningState", "eTag", "fqdn", "currentKubernetesVersion", "currentOrchestratorVersion"):
        assert absent not in text
    assert EXISTING["properties"]["podIdentityProfile"]["userAssignedIdentities"][0]["provisioningState"]


def test_a_new_cluster_is_created_with_little() -> None:
    assert clusters.created({"name": "de_mo", "location": "westeurope"}) == {
        "location": "westeurope",
        "identity": {"type": "SystemAssigned"},
        "sku": {"name": "Base", "tier": "Free"},
        "properties": {
            "dnsPrefix": "de-mo-dns",
            "enableRBAC": True,
            "networkProfile": {"networkPlugin": "azure"},
            "agentPoolProfiles": [{"name": "nodepool1", "count": 2, **POOL, "mode": "System"}],
        },
    }


def test_a_new_cluster_takes_what_is_named() -> None:
    desired = {
        **DEMO,
        "dns_prefix": "mine",
        "service_cidr": "10.1.0.0/16",
        "network_plugin": "kubenet",
        "user_assigned_identity": IDENTITY,
        "kubelet_identity": "/k",
        "agent_pools": [{"name": "a"}, {"name": "b", "mode": "System"}],
    }
    body = clusters.created(desired)
    assert body["properties"]["dnsPrefix"] == "mine"
    assert body["properties"]["networkProfile"] == {"networkPlugin": "kubenet", "serviceCidr": "10.1.0.0/16"}
    assert body["identity"]["userAssignedIdentities"] == {IDENTITY: {}}
    assert body["properties"]["identityProfile"] == {"kubeletidentity": {"resourceId": "/k"}}
    assert [pool["mode"] for pool in body["properties"]["agentPoolProfiles"]] == ["User", "System"]
    assert clusters.changed(body, desired) == body


def test_a_new_cluster_needs_a_location() -> None:
    with pytest.raises(Failure, match="demo does not exist; name the location"):
        clusters.created({"name": "demo"})


def test_the_prediction_has_the_keys_of_the_real_thing() -> None:
    body = clusters.created({**DEMO, "oidc_issuer_enabled": True})
    predicted = clusters.view(clusters.predicted(body, **IDS, unknown="(known after apply)"))
    real = clusters.view(EXISTING)
    assert predicted.keys() == real.keys()
    for key in ("id", "name", "resource_group", "node_resource_group", "provisioning_state", "dns_prefix"):
        assert predicted[key] == real[key]
    assert predicted["kubelet_identity"] == {
        "resource_id": "/subscriptions/s/resourcegroups/MC_rg_demo_westeurope/providers/Microsoft.ManagedIdentity"
        "/userAssignedIdentities/demo-agentpool",
        "client_id": "(known after apply)",
        "object_id": "(known after apply)",
    }
    assert predicted["oidc_issuer_url"] == "(known after apply)"


@for_each(
    (409, "OperationNotAllowed", "Operation is not allowed because there's an in progress update", True),
    (409, "OperationNotAllowed", "Another operation (nodepool1 - Updating) is in progress, please wait", True),
    (409, "OperationNotAllowed", "The operation would exceed the approved quota", False),
    (409, "EtagMismatch", "Operation is not allowed: Another operation is in progress", True),
    (412, "PreconditionFailed", "", True),
    (409, "Conflict", "The name is taken", False),
    (400, "BadRequest", "in progress", False),
)
def test_busy_is_told_from_forbidden(status: int, code: str, message: str, busy: bool) -> None:
    assert clusters.is_busy(ServiceError(status, code, message)) is busy


@for_each((None, ""), ({"clientId": "msi"}, ""), ({"clientId": "MSI"}, ""), ({"clientId": "an-id"}, "an-id"))
def test_the_service_principal_of_an_old_cluster(profile: dict[str, str] | None, expected: str) -> None:
    body = copy.deepcopy(EXISTING)
    body["properties"]["servicePrincipalProfile"] = profile
    assert clusters.view(body)["service_principal_client_id"] == expected


def test_the_view_of_a_cluster_that_is_being_created_has_every_key() -> None:
    body = {"id": EXISTING["id"], "name": "demo", "properties": {"provisioningState": "Creating"}}
    found = clusters.view(body)
    assert found.keys() == clusters.view(EXISTING).keys()
    assert found["kubelet_identity"] == {}
    assert clusters.view(None) == {}


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "kubernetes_version": st.sampled_from(["1.33", "1.34", "1.34.2"]),
            "network_policy": st.sampled_from(["azure", "cilium", "none"]),
            "oidc_issuer_enabled": st.booleans(),
            "workload_identity_enabled": st.just(False),
            "sku_tier": st.sampled_from(["Free", "Standard"]),
            "user_assigned_identity": st.just(IDENTITY),
            "tags": st.dictionaries(st.sampled_from(["team", "Team2"]), st.integers()),
            "append_tags": st.booleans(),
            "agent_pools": st.lists(
                st.fixed_dictionaries(
                    {"name": st.sampled_from(["nodepool1", "x"])},
                    optional={
                        "count": st.integers(1, 5),
                        "node_labels": st.dictionaries(st.sampled_from("ab"), st.integers(0, 3)),
                        "node_taints": st.lists(st.sampled_from(["a=b:NoSchedule", "a=c:NoSchedule", "a:NoExecute"])),
                    },
                ),
                unique_by=lambda pool: pool["name"],
            ),
        },
    )
)
def test_a_granted_desired_object_is_fulfilled(desired: dict[str, Any]) -> None:
    once = changed(**desired)
    assert clusters.changed(once, {"name": "demo", **desired}) == once


@for_each(
    (["198.51.100.7"], False, ["203.0.113.0/24", "10.0.0.1/32", "198.51.100.7/32"]),
    (["10.0.0.1", "203.0.113.9/24"], True, ["203.0.113.0/24", "10.0.0.1/32"]),
    (["10.0.0.1"], True, ["10.0.0.1/32"]),
    ([], False, ["203.0.113.0/24", "10.0.0.1/32"]),
    ([], True, []),
    (None, True, ["203.0.113.0/24", "10.0.0.1/32"]),
)
def test_ranges_are_added_and_purged_only_when_asked(
    wanted: list[str] | None, purge: bool, expected: list[str]
) -> None:
    body = copy.deepcopy(EXISTING)
    profile = {"authorizedIPRanges": ["203.0.113.0/24", "10.0.0.1/32"], "futureField": 1}
    body["properties"]["apiServerAccessProfile"] = dict(profile)
    desired = {"authorized_ip_ranges": wanted, "purge_authorized_ip_ranges": purge, "purge_allow_empty": True}
    after = clusters.changed(body, {"name": "demo", **desired})
    assert after["properties"]["apiServerAccessProfile"] == {**profile, "authorizedIPRanges": expected}
    assert clusters.changed(after, {"name": "demo", **desired}) == after


def test_a_private_cluster_is_made_so_and_has_no_ranges() -> None:
    desired = {**DEMO, "private_cluster": True}
    body = clusters.created(desired)
    assert body["properties"]["apiServerAccessProfile"] == {"enablePrivateCluster": True}
    predicted = clusters.view(clusters.predicted(body, **IDS, unknown="later"))
    assert (predicted["private_cluster"], predicted["private_fqdn"]) == (True, "later")
    assert clusters.changed(body, desired) == body
    with pytest.raises(Failure, match="private_cluster of the cluster demo is True"):
        clusters.changed(body, {**desired, "private_cluster": False})
    with pytest.raises(Failure, match="AKS authorizes ranges of public clusters only"):
        clusters.created({**desired, "authorized_ip_ranges": ["10.0.0.0/8"]})


@for_each(
    *((f"https://{name}", True) for name in ("demo.hcp.io:443", "DEMO.hcp.io:443", "demo.hcp.io", "demo.private.io/x")),
    ("https://other.hcp.io:443", False),
    ("", False),
)
def test_an_api_server_is_told_by_its_name(server: str, named: bool) -> None:
    names = {"fqdn": "demo.hcp.io", "privateFQDN": "Demo.private.io"}
    assert clusters.is_named({"properties": names}, server) == named
    assert not clusters.is_named({"properties": {"fqdn": None}}, server)


def test_an_api_server_is_told_by_its_nodes() -> None:
    cluster = {"id": "/subscriptions/s/resourcegroups/rg/providers/x/y/demo", "properties": {"nodeResourceGroup": "MC"}}
    machine = (
        "/subscriptions/S/resourceGroups/{}/providers/Microsoft.Compute/virtualMachineScaleSets/a/virtualMachines/0"
    )
    ours, theirs = ({"spec": {"providerID": f"azure://{machine.format(group)}"}} for group in ("mc", "mc2"))
    assert clusters.holds(cluster, [theirs, ours])
    assert not clusters.holds(cluster, [theirs, {"spec": {}}, {}])
    assert not clusters.holds(cluster, [])


def test_a_cluster_of_a_service_principal_is_told_what_it_lacks() -> None:
    body = {**EXISTING, "properties": {**EXISTING["properties"], "servicePrincipalProfile": {"clientId": "sp"}}}
    del body["identity"]
    with pytest.raises(Failure, match="runs as a service principal.*az aks update --enable-managed-identity"):
        clusters.changed(body, {"name": "demo", "kubelet_identity": IDENTITY})


def test_the_group_of_the_nodes_is_needed() -> None:
    assert clusters.node_group(EXISTING) == "/subscriptions/s/resourceGroups/MC_rg_demo_westeurope"
    with pytest.raises(Failure, match=r"properties\.nodeResourceGroup is missing, so not Azure but a proxy"):
        clusters.node_group({**EXISTING, "properties": {}})


@pytest.mark.parametrize(("state", "explained"), [("Stopped", True), ("Running", False), (None, False)])
def test_a_stopped_cluster_explains_a_refusal(state: str | None, explained: bool) -> None:
    refused = Failure("Could not change it: no (BadRequest); correct it.", error={"code": "BadRequest"})
    body = {**EXISTING, "properties": {"powerState": {"code": state}}}
    told = clusters.explain_stopped("change it", body, refused)
    assert told.error == refused.error
    stopped = (
        "Could not change it: the cluster is stopped, and AKS changes running ones only; start it (az aks start "
        "--resource-group rg --name demo) and run again."
    )
    assert told.sentence == (stopped if explained else refused.sentence)
    assert clusters.explain_stopped("change it", None, refused) is refused


def test_the_kubeconfig_of_a_stopped_cluster_gets_a_warning() -> None:
    assert clusters.stopped_warnings("rg", "demo", "Running") == clusters.stopped_warnings("rg", "demo", "") == ()
    (warning,) = clusters.stopped_warnings("rg", "demo", "Stopped")
    assert warning.endswith("start it with az aks start --resource-group rg --name demo.")
