# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clusters that are stopped, started and canceled, over ARM and by the sandbox."""

from __future__ import annotations

import asyncio

import pytest
import requests

from azsandbox.azure.loopback import SimulatedAzure

CLUSTER = "/resourceGroups/rg/providers/Microsoft.ContainerService/managedClusters/c1"
BODY = {"location": "westeurope", "properties": {}}


def seen(azure: SimulatedAzure) -> tuple[str, str]:
    """Power state and provisioning state; those of the pools are the same."""
    found = azure.arm("GET", CLUSTER).json()["properties"]
    (pool,) = found["agentPoolProfiles"]
    assert (pool["powerState"], pool["provisioningState"]) == (found["powerState"], found["provisioningState"])
    return found["powerState"]["code"], found["provisioningState"]


def post(azure: SimulatedAzure, action: str) -> requests.Response:
    return azure.arm("POST", f"{CLUSTER}/{action}")


def refused(answer: requests.Response) -> str:
    assert (answer.status_code, answer.json()["code"]) == (400, "BadRequest")
    return str(answer.json()["message"])


def test_stop_and_start(azure: SimulatedAzure) -> None:
    made = azure.cluster()
    instance = f"{azure.first_instance()['id']}/runCommand"
    command = {"commandId": "RunShellScript", "script": ["id"]}
    assert "Power State(Running), starting cannot" in refused(post(azure, "start"))
    answer = post(azure, "stop")
    assert answer.status_code == 202 and "/operationresults/" in answer.headers["Location"]
    assert azure.wait(answer)["status"] == "Succeeded"
    assert seen(azure) == ("Stopped", "Succeeded")
    assert azure.in_loop(lambda: set(azure.compute.halted)) == {made["id"].lower()}
    assert "in Provisioning State(Succeeded) and Power State(Stopped), stopping cannot" in refused(post(azure, "stop"))
    for method, body in (("PUT", BODY), ("PATCH", {"tags": {}})):
        assert "Please start the cluster" in refused(azure.arm(method, CLUSTER, body))
    assert azure.arm("POST", f"{CLUSTER}/listClusterUserCredential").status_code == 200
    view = azure.arm("GET", f"{azure.first_instance()['id']}/instanceView").json()["statuses"]
    assert [each["code"] for each in view] == ["ProvisioningState/succeeded", "PowerState/deallocated"]
    gone = azure.arm("POST", instance, command)
    assert (gone.status_code, gone.json()["error"]["code"]) == (409, "OperationNotAllowed")
    assert azure.wait(post(azure, "start"))["status"] == "Succeeded"
    assert seen(azure) == ("Running", "Succeeded")
    assert azure.in_loop(lambda: set(azure.compute.halted)) == set()
    assert azure.arm("POST", instance, command).status_code == 202
    azure.wait(azure.arm("PUT", CLUSTER, BODY))


def test_a_stopped_cluster_can_be_deleted(azure: SimulatedAzure) -> None:
    azure.cluster()
    azure.wait(post(azure, "stop"))
    azure.wait(azure.arm("DELETE", CLUSTER))
    assert azure.arm("GET", CLUSTER).status_code == 404


@pytest.mark.parametrize("role", ["Reader", "Azure Kubernetes Service Contributor Role"])
@pytest.mark.parametrize("action", ["stop", "start", "abort"])
def test_they_take_rights(azure: SimulatedAzure, role: str, action: str) -> None:
    azure.cluster()
    who = azure.principal("somebody", (role, f"/subscriptions/{azure.subscription_id}"))
    answer = azure.arm("POST", f"{CLUSTER}/{action}", who=who)
    assert answer.status_code == 403 and f"managedClusters/{action}/action" in answer.text


def test_abort_of_a_creation(azure: SimulatedAzure) -> None:
    gate = asyncio.Event()
    azure.compute.pause = gate.wait
    azure.group()
    made = azure.begin_cluster()
    assert azure.wait(post(azure, "abort"))["status"] == "Succeeded"
    assert azure.wait(made)["status"] == "Canceled"
    assert seen(azure) == ("Running", "Canceled")
    azure.in_loop(gate.set)
    azure.wait(azure.begin_cluster())
    assert seen(azure) == ("Running", "Succeeded")


@pytest.mark.parametrize("running", ["update", "stop", "start"])
def test_abort(azure: SimulatedAzure, running: str) -> None:
    """What is aborted has not happened, and can be asked for again."""
    azure.cluster()
    if running == "start":
        azure.wait(post(azure, "stop"))
    before = seen(azure)[0]
    azure.control("POST", "/settings", {"time_scale": 1000})

    def begin() -> requests.Response:
        return azure.arm("PUT", CLUSTER, BODY) if running == "update" else post(azure, running)

    answer = begin()
    busy = begin()
    assert (busy.status_code, busy.json()["code"]) == (409, "OperationNotAllowed")
    azure.wait(post(azure, "abort"))
    assert azure.wait(answer)["status"] == "Canceled"
    assert seen(azure) == (before, "Canceled")
    azure.control("POST", "/settings", {"time_scale": 0})
    assert azure.wait(begin())["status"] == "Succeeded"


def test_abort_of_nothing(azure: SimulatedAzure) -> None:
    azure.cluster()
    assert post(azure, "abort").status_code == 204
    assert seen(azure) == ("Running", "Succeeded")


def test_a_deletion_is_not_aborted(azure: SimulatedAzure) -> None:
    azure.cluster()
    azure.control("POST", "/settings", {"time_scale": 1000})
    azure.arm("DELETE", CLUSTER)
    assert post(azure, "abort").status_code == 409
