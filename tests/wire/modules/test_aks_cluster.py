# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.tests.support.modules import Modules
from azsandbox.azure.loopback import SimulatedAzure

UNKNOWN = "(known after apply)"
DEMO: dict[str, Any] = {"resource_group": "rg", "name": "demo", "poll_interval": 0.1}
PATH = "/resourceGroups/rg/providers/Microsoft.ContainerService/managedClusters/demo"


def body(azure: SimulatedAzure) -> dict[str, Any]:
    answer = azure.arm("GET", PATH, version="2026-08-01")
    answer.raise_for_status()
    return dict(answer.json())


def test_the_life_of_a_cluster(modules: Modules, azure: SimulatedAzure, group: str) -> None:
    made = modules.check_and_do("aks_cluster", **DEMO, location="westeurope")
    predicted, state = made["diff"]["after"], made["state"]
    assert made["actions"] == ["create cluster demo"]
    assert state["kubelet_identity"]["client_id"]
    assert state["provisioning_state"] == "Succeeded"
    assert state["node_resource_group"] == "MC_rg_demo_westeurope"
    assert predicted.keys() == state.keys()
    for key, value in predicted.items():
        assert agree(value, state[key]), (key, value, state[key])

    found = modules.succeed("aks_cluster_info", resource_group="rg", name="demo")
    assert found["clusters"] == [state]
    assert modules.succeed("aks_cluster_info", resource_group="RG")["clusters"] == [state]

    deleted = modules.check_and_do("aks_cluster", **DEMO, state="absent")
    assert deleted["diff"] == {"before": state, "after": {}}
    assert azure.arm("GET", PATH).status_code == 404
    assert modules.succeed("aks_cluster_info", resource_group="rg", name="demo")["clusters"] == []
    assert modules.succeed("aks_cluster_info", resource_group="nowhere")["clusters"] == []


def agree(predicted: Any, real: Any) -> bool:
    """Whether a prediction came true; what is known only later agrees with anything."""
    if isinstance(predicted, dict):
        return predicted.keys() == real.keys() and all(agree(value, real[key]) for key, value in predicted.items())
    if isinstance(predicted, list):
        return len(predicted) == len(real) and all(map(agree, predicted, real))
    return bool(predicted == UNKNOWN or predicted == real)


@pytest.mark.parametrize(
    ("desired", "key"),
    [
        ({"oidc_issuer_enabled": True}, "oidc_issuer_enabled"),
        ({"oidc_issuer_enabled": True, "workload_identity_enabled": True}, "workload_identity_enabled"),
        ({"sku_tier": "Standard"}, "sku_tier"),
        ({"authorized_ip_ranges": ["203.0.113.7"]}, "authorized_ip_ranges"),
        ({"tags": {"team": "b"}}, "tags"),
        ({"tags": {}, "append_tags": False}, "tags"),
        ({"network_policy": "calico"}, "network_policy"),
        ({"agent_pools": [{"name": "nodepool1", "node_labels": {"x": "y"}}]}, "agent_pools"),
        ({"agent_pools": [{"name": "nodepool1", "node_taints": ["a=b:NoSchedule"]}]}, "agent_pools"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else None,
)
def test_each_option_changes_itself_alone(
    modules: Modules, azure: SimulatedAzure, group: str, desired: dict[str, Any], key: str
) -> None:
    modules.succeed("aks_cluster", **DEMO, location="westeurope", tags={"team": "a"})
    real_before = body(azure)
    done = modules.check_and_do("aks_cluster", **DEMO, **desired)
    before, after = done["diff"]["before"], done["diff"]["after"]
    related = {"oidc_issuer_url", "oidc_issuer_enabled"} if "oidc_issuer_enabled" in desired else set()
    assert {name for name in before if before[name] != after[name]} - related == {key} - related
    assert agree(after, done["state"])
    changed_top = {name for name in real_before if real_before[name] != body(azure).get(name)}
    assert changed_top <= {"properties", "sku", "tags", "eTag"}


@pytest.mark.parametrize("body", [{}, {"properties": None}, {"properties": []}])
@pytest.mark.parametrize("check", [False, True])
def test_a_cluster_without_properties_is_no_answer(
    modules: Modules, azure: SimulatedAzure, group: str, check: bool, body: dict[str, Any]
) -> None:
    modules.succeed("aks_cluster", **DEMO, location="westeurope")
    (cluster,) = modules.succeed("aks_cluster_info", resource_group="rg", name=DEMO["name"])["clusters"]
    mark = modules.mark()
    about = {name: cluster[name] for name in ("id", "name", "location")}
    modules.fault("GET", r"managedClusters/[^/]*$", status=200, body={**about, **body}, count=0)
    failed = modules.fail("aks_cluster", **DEMO, location="westeurope", oidc_issuer_enabled=True, check=check)
    assert "the answer has no properties of a cluster, so not Azure but a proxy" in failed["msg"]
    assert modules.writes(mark) == []


def test_what_a_cluster_cannot_change_is_refused_before_any_write(modules: Modules, azure: SimulatedAzure) -> None:
    azure.cluster(name="demo")
    mark = modules.mark()
    for check in (True, False):
        failed = modules.fail("aks_cluster", **DEMO, dns_service_ip="10.9.0.10", check=check)
        assert "AKS cannot change it to" in failed["msg"]
    assert modules.writes(mark) == []


def test_an_existing_cluster_needs_no_option_restated(modules: Modules, azure: SimulatedAzure) -> None:
    azure.cluster(name="demo", networkProfile={"networkPlugin": "kubenet"})
    result = modules.succeed("aks_cluster", **DEMO)
    assert not result["changed"]
    assert result["state"]["network_plugin"] == "kubenet"


def test_a_cluster_in_a_group_that_will_exist(modules: Modules) -> None:
    desired = {**DEMO, "resource_group": "new", "location": "westeurope"}
    predicted = modules.succeed("aks_cluster", **desired, check=True)
    assert predicted["changed"]
    assert predicted["state"]["kubelet_identity"]["client_id"] == UNKNOWN
    failed = modules.fail("aks_cluster", **desired)
    assert failed["error"]["code"] == "ResourceGroupNotFound"
    assert not modules.succeed("aks_cluster", **{**desired, "state": "absent"})["changed"]


def test_a_cluster_with_identities_of_its_own(modules: Modules, azure: SimulatedAzure, group: str) -> None:
    control, kubelet = azure.identity("control"), azure.identity("kubelet")
    desired = {
        **DEMO,
        "location": "westeurope",
        "user_assigned_identity": control["id"],
        "kubelet_identity": kubelet["id"].upper().replace("/SUBSCRIPTIONS", "/subscriptions"),
        "node_resource_group": "nodes",
        "dns_prefix": "mine",
        "agent_pools": [{"name": "sys", "count": 1, "vm_size": "Standard_B2s"}],
    }
    state = modules.check_and_do("aks_cluster", **desired)["state"]
    assert state["identity"]["type"] == "UserAssigned"
    assert state["kubelet_identity"]["client_id"] == kubelet["properties"]["clientId"]
    assert state["node_resource_group"] == "nodes"
    assert [(pool["name"], pool["count"], pool["mode"]) for pool in state["agent_pools"]] == [("sys", 1, "System")]


def test_a_creation_that_is_refused_has_not_begun(modules: Modules, group: str) -> None:
    modules.fault("PUT", "managedClusters/demo", status=403, body={"error": {"code": "AuthorizationFailed"}})
    failed = modules.fail("aks_cluster", **DEMO, location="westeurope")
    assert (failed["changed"], failed["begun"]) == (False, False)


def test_a_failed_creation_is_told_and_then_reconciled(modules: Modules, azure: SimulatedAzure, group: str) -> None:
    azure.compute.start_error = "No quota is left"
    failed = modules.fail("aks_cluster", **DEMO, location="westeurope")
    assert failed["msg"] == (
        "Could not create the cluster demo in the resource group rg: No quota is left (CreateVMSSAgentPoolFailed); "
        "correct what the message names and run again."
    )
    assert (failed["changed"], failed["begun"], failed["actions"]) == (True, True, [])
    assert failed["error"].pop("request_id")
    assert failed["error"] == {"code": "CreateVMSSAgentPoolFailed", "message": "No quota is left", "status": 200}
    azure.compute.start_error = None
    predicted = modules.succeed("aks_cluster", **DEMO, check=True)
    assert predicted["actions"] == ["reconcile cluster demo, whose last operation ended as Failed"]
    assert predicted["diff"]["before"]["provisioning_state"] == "Failed"
    assert modules.succeed("aks_cluster", **DEMO)["state"]["provisioning_state"] == "Succeeded"
    assert not modules.succeed("aks_cluster", **DEMO)["changed"]


def test_without_wait_the_answer_comes_at_once(modules: Modules, azure: SimulatedAzure, group: str) -> None:
    azure.compute.pause = lambda: asyncio.sleep(0.5)
    started = modules.succeed("aks_cluster", **DEMO, location="westeurope", wait=False)
    assert started["state"]["provisioning_state"] == "Creating"
    assert started["state"]["kubelet_identity"] == {}
    second = modules.succeed("aks_cluster", **DEMO, location="westeurope")
    assert not second["changed"]
    assert second["state"]["provisioning_state"] == "Succeeded"
    assert second["state"]["kubelet_identity"]["client_id"]


def test_an_operation_that_takes_too_long_is_named(modules: Modules, azure: SimulatedAzure, group: str) -> None:
    azure.compute.pause = lambda: asyncio.sleep(30)
    failed = modules.fail("aks_cluster", **DEMO, location="westeurope", wait_timeout=1)
    assert failed["msg"].startswith("Could not create the cluster demo in the resource group rg within 1 seconds (")
    assert failed["msg"].endswith("run again to wait for it, or raise wait_timeout.")


def test_all_waits_of_a_task_share_one_bound(modules: Modules, azure: SimulatedAzure) -> None:
    """The look whether somebody else's operation goes on takes all of it, so who refuses after that is asked once."""
    azure.cluster(name="demo")
    busy = {"code": "OperationNotAllowed", "message": "Operation is not allowed: Another operation is in progress"}
    mark = modules.mark()
    modules.fault("GET", "managedClusters/demo", delay=2)
    modules.fault("PUT", "managedClusters/demo", status=409, body=busy, count=0)
    failed = modules.fail("aks_cluster", **DEMO, tags={"a": "b"}, wait_timeout=2)
    assert failed["msg"].startswith("AKS has been busy with the cluster demo for 2 seconds; ")
    assert len(modules.requests(mark, method="PUT", path="managedClusters/demo")) == 1


def test_the_change_of_somebody_else_is_kept(modules: Modules, azure: SimulatedAzure) -> None:
    azure.cluster(name="demo")
    azure.control("POST", "/settings", {"time_scale": 0.01})
    current = body(azure)
    azure.arm("PUT", PATH, {**current, "tags": {"theirs": "1"}}, version="2026-08-01").raise_for_status()
    done = modules.succeed("aks_cluster", **DEMO, tags={"ours": "1"})
    assert body(azure)["tags"] == {"theirs": "1", "ours": "1"}
    assert done["state"]["tags"] == {"theirs": "1", "ours": "1"}


def test_a_put_whose_answer_was_lost(modules: Modules, azure: SimulatedAzure, group: str) -> None:
    azure.compute.pause = lambda: asyncio.sleep(0.3)
    modules.fault("PUT", "managedClusters/demo", reset=True, after=True)
    made = modules.succeed("aks_cluster", **DEMO, location="westeurope")
    assert made["state"]["provisioning_state"] == "Succeeded"
    # The second was refused by its condition; the cluster itself told the rest.
    lost, refused = modules.requests(method="PUT", path="managedClusters/demo")
    assert (lost["status"], refused["status"], refused["body"]) == (0, 412, lost["body"])


def test_who_may_not_write_is_told_so(modules: Modules, azure: SimulatedAzure) -> None:
    azure.cluster(name="demo")
    reader = azure.principal("reader", ("Reader", f"/subscriptions/{azure.subscription_id}"))
    failed = modules.fail("aks_cluster", **DEMO, tags={"a": "b"}, who=reader)
    assert "may not perform Microsoft.ContainerService/managedClusters/write at " in failed["msg"]
    nobody = azure.principal("nobody")
    failed = modules.fail("aks_cluster_info", resource_group="rg", who=nobody)
    assert "may not perform Microsoft.ContainerService/managedClusters/read at " in failed["msg"]
