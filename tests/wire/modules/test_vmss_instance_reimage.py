# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.tests.support.modules import Modules
from azsandbox.azure.loopback import SimulatedAzure

FAST = {"poll_interval": 0.1}
MODULE = "vmss_instance_reimage"


@pytest.fixture
def instance(azure: SimulatedAzure) -> str:
    azure.cluster()
    return str(azure.first_instance()["id"])


def occupy(azure: SimulatedAzure) -> None:
    """Let commands and reimages wait until azure.compute.command_gate is set."""
    azure.compute.command_gate = asyncio.Event()


def release(azure: SimulatedAzure) -> None:
    gate = azure.compute.command_gate
    assert gate is not None
    azure.in_loop(gate.set)


def named(instance: str) -> str:
    return f"instance 0 of the scale set {instance.split('/')[-3]}"


def test_each_run_reimages(modules: Modules, azure: SimulatedAzure, instance: str) -> None:
    """As documented; check mode predicts it and sends nothing that writes."""
    mark = modules.mark()
    predicted = modules.succeed(MODULE, instance=instance, check=True)
    assert modules.writes(mark) == []
    for number in (1, 2):
        done = modules.succeed(MODULE, instance=instance, **FAST)
        assert azure.compute.reimaged == [instance] * number
        assert (done["changed"], done["actions"]) == (True, [f"reimage {named(instance)}"])
        assert {**done, "permissions": predicted["permissions"]} == predicted
    state = {"id": instance, "name": azure.first_instance()["name"]}
    assert done["diff"] == {"before": {**state, "reimaged": False}, "after": {**state, "reimaged": True}}


@pytest.mark.parametrize("spelling", [str.lower, lambda text: text.replace("resourceGroups", "resourcegroups")])
def test_ids_are_what_they_are_in_any_spelling(
    modules: Modules, azure: SimulatedAzure, instance: str, spelling: Any
) -> None:
    modules.succeed(MODULE, instance=spelling(instance), **FAST)
    assert azure.compute.reimaged == [instance]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda text: f"{text[:-1]}7", "There is no instance 7 of the scale set "),
        (lambda text: text.rpartition("/virtualMachines/")[0], " is no instance of a scale set; its id ends in "),
        (lambda text: "aks-0", "'aks-0' is not an Azure resource id"),
    ],
    ids=["gone", "scale set", "name"],
)
def test_what_is_no_instance(modules: Modules, instance: str, change: Any, sentence: str) -> None:
    for check in (True, False):
        assert sentence in modules.fail(MODULE, instance=change(instance), check=check)["msg"]


def computer(azure: SimulatedAzure) -> str:
    return str(azure.first_instance()["properties"]["osProfile"]["computerName"])


def group_of(instance: str) -> str:
    return instance.partition("/providers/")[0]


@pytest.mark.parametrize("spelling", [str, str.upper], ids=["as told", "upper case"])
def test_the_instance_of_the_node_is_reimaged(
    modules: Modules, azure: SimulatedAzure, instance: str, spelling: Any
) -> None:
    proof = {"node": spelling(computer(azure)), "node_resource_group": spelling(group_of(instance))}
    modules.succeed(MODULE, instance=instance, **proof, **FAST)
    assert azure.compute.reimaged == [instance]


def test_an_instance_outside_of_the_cluster_is_refused(modules: Modules, azure: SimulatedAzure, instance: str) -> None:
    """Before Azure is asked, whatever the instance is called; a longer name is another group."""
    group = group_of(instance)
    for other in (f"{group}-other", group.replace("/subscriptions/", "/subscriptions/0"), group[:-1]):
        mark = modules.mark()
        for check in (True, False):
            proof = {"node": computer(azure), "node_resource_group": other}
            refused = modules.fail(MODULE, instance=instance, check=check, **proof)
            assert refused["msg"].startswith(f"The {named(instance)} does not lie in the node resource group")
            assert refused["started"] is False
        assert modules.requests(mark, path="/virtualMachines/") == []
    assert azure.compute.reimaged == []


def test_the_instance_of_another_node_is_refused(modules: Modules, azure: SimulatedAzure, instance: str) -> None:
    name = computer(azure)
    for node in (f"{name}0", name[:-1], "aks-other-000000", ""):
        for check in (True, False):
            proof = {"node": node, "node_resource_group": group_of(instance)}
            refused = modules.fail(MODULE, instance=instance, check=check, **proof)
            assert (
                f"The {named(instance)} is not the node {node}, because the name of its computer is {name}"
                in (refused["msg"])
            )
            assert (refused["started"], azure.compute.reimaged) == (False, [])


def test_an_instance_whose_computer_has_no_name_is_refused(
    modules: Modules, azure: SimulatedAzure, instance: str
) -> None:
    body = azure.arm("GET", instance).json()
    modules.fault("GET", "/virtualMachines/0", count=0, status=200, body={**body, "properties": {}})
    refused = modules.fail(MODULE, instance=instance, node=computer(azure))
    assert "the name of its computer is not told" in refused["msg"] and azure.compute.reimaged == []


def test_a_missing_permission_is_named_and_nothing_began(
    modules: Modules, azure: SimulatedAzure, instance: str
) -> None:
    reader = azure.principal("reader", ("Reader", f"/subscriptions/{azure.subscription_id}"))
    refused = modules.fail(MODULE, instance=instance, who=reader)
    assert "Microsoft.Compute/virtualMachineScaleSets/virtualMachines/reimage/action" in refused["msg"]
    assert (refused["started"], refused["changed"], azure.compute.reimaged) == (False, False, [])


def test_an_operation_that_goes_on_is_waited_for(modules: Modules, azure: SimulatedAzure, instance: str) -> None:
    occupy(azure)
    azure.arm("POST", f"{instance}/reimage").raise_for_status()
    refused = modules.fail(MODULE, instance=instance, busy_timeout=0, **FAST)
    assert refused["msg"] == (
        f"Could not reimage {named(instance)}: another operation is still in progress there after 0 seconds; wait for "
        "its end, or raise busy_timeout."
    )
    assert refused["started"] is False
    impatient = modules.fail(MODULE, instance=instance, wait_timeout=1, **FAST)
    assert impatient["msg"].endswith("after 1 seconds; wait for its end, or raise wait_timeout.")
    assert impatient["started"] is False
    # A look at a busy instance, and then it is free.
    looks = len(modules.requests(path=rf"{instance}\?"))
    releasing = threading.Thread(target=_release_after_a_look, args=(modules, azure, instance, looks))
    releasing.start()
    modules.succeed(MODULE, instance=instance, **FAST)
    releasing.join()
    assert azure.compute.reimaged == [instance, instance]


def _release_after_a_look(modules: Modules, azure: SimulatedAzure, instance: str, looks: int) -> None:
    end = time.monotonic() + 60
    while len(modules.requests(path=rf"{instance}\?")) < looks + 2 and time.monotonic() < end:
        time.sleep(0.05)
    release(azure)


def test_a_run_command_that_goes_on_is_waited_for(modules: Modules, azure: SimulatedAzure, instance: str) -> None:
    occupy(azure)
    command = {"commandId": "RunShellScript", "script": ["sleep 1"]}
    azure.arm("POST", f"{instance}/runCommand", command).raise_for_status()
    refused = modules.fail(MODULE, instance=instance, busy_timeout=0, **FAST)
    assert "another operation is still in progress there" in refused["msg"]
    assert (refused["started"], refused["error"]["code"], azure.compute.reimaged) == (False, "Conflict", [])
    release(azure)


def test_a_failed_operation_began(modules: Modules, azure: SimulatedAzure, instance: str) -> None:
    azure.compute.reimage_error = "no disk"
    failed = modules.fail(MODULE, instance=instance, **FAST)
    assert failed["started"] is True
    assert failed["failed_action"] == f"reimage {named(instance)}"
    assert failed["error"]["code"] == "OSProvisioningTimedOut"
    assert azure.arm("GET", instance).json()["properties"]["provisioningState"] == "Failed"
    azure.compute.reimage_error = None
    modules.succeed(MODULE, instance=instance, **FAST)


@pytest.mark.parametrize(
    ("fault", "started"),
    [
        ({"reset": True, "after": True}, True),
        ({"status": 400, "body": {"error": {"code": "OperationNotAllowed", "message": "Not now."}}}, False),
    ],
    ids=["answer lost", "refused"],
)
def test_whether_it_began_is_told(
    modules: Modules, azure: SimulatedAzure, instance: str, fault: dict[str, Any], started: bool
) -> None:
    modules.fault("POST", "/reimage", count=0, **fault)
    assert modules.fail(MODULE, instance=instance, **FAST)["started"] is started


def test_an_operation_that_is_not_awaited_goes_on(modules: Modules, azure: SimulatedAzure, instance: str) -> None:
    occupy(azure)
    failed = modules.fail(MODULE, instance=instance, wait_timeout=1, **FAST)
    assert "it goes on in Azure" in failed["msg"]
    assert failed["started"] is True
    release(azure)
