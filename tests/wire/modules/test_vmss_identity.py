# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.tests.support.modules import Modules
from ansible_collections.azureops.pod_identity.tests.support.scale_sets import (
    CLUSTER,
    CONFLICT,
    FAST,
    IDENTITIES,
    INFO,
    MODULE,
    NODES,
    UNKNOWN,
    World,
    patches,
)
from azsandbox.azure.loopback import SimulatedAzure

SET = "(the scale set)"
WAITED = re.compile("^PATCH |/operations/")
PREEMPTED = {"status": "Failed", "error": {"code": "OperationPreempted", "message": "A newer one came."}}


@pytest.fixture
def world(azure: SimulatedAzure) -> World:
    return World(azure)


def test_the_life_of_an_attachment(modules: Modules, world: World) -> None:
    one, two = world.identity("one"), world.identity("two")
    before = world.body()
    made = modules.check_and_do(MODULE, **CLUSTER, identities=[one.upper().replace("SUB", "sub"), one], **FAST)
    assert made["actions"] == [f"attach ONE to the scale set {before['name']}"]
    assert world.carried() == {"one", "c1-agentpool"}
    (resource,) = made["state"]["resources"]
    assert (resource["id"], resource["name"], resource["type"]) == (before["id"], before["name"], "scale_set")
    shown = {each["id"].rpartition("/")[2]: each for each in resource["identities"]}
    client = world.azure.arm("GET", one).json()["properties"]["clientId"]
    assert (set(shown), shown["one"]["client_id"]) == ({"one", "c1-agentpool"}, client)
    both = modules.check_and_do(MODULE, **CLUSTER, identities=[two, one], **FAST)
    assert len(both["actions"]) == 1 and world.carried() == {"one", "two", "c1-agentpool"}
    gone = modules.check_and_do(MODULE, **CLUSTER, identities=[two.upper(), one.lower()], state="absent", **FAST)
    assert gone["actions"] == [f"detach two, one from the scale set {before['name']}"]
    assert world.body() == before
    assert modules.requests(method="PUT", path="virtualMachine") == []


@pytest.mark.parametrize(
    "place",
    [{"resource_id": SET}, {"node_resource_group": NODES.upper()}, {"resource_id": SET, **CLUSTER}],
    ids=["scale set", "node resource group", "scale set of the cluster"],
)
def test_the_place_is_named_in_several_ways(modules: Modules, world: World, place: dict[str, str]) -> None:
    place = {key: world.scale_set.lower() if value == SET else value for key, value in place.items()}
    one = world.identity("one")
    for state, carried in (("present", {"one", "c1-agentpool"}), ("absent", {"c1-agentpool"})):
        modules.succeed(MODULE, **place, identities=[one], state=state, **FAST)
        assert world.carried() == carried


@pytest.mark.parametrize("system", [False, True])
def test_the_type_follows(modules: Modules, world: World, system: bool) -> None:
    """A machine that has none, or only an identity of its own, and is left as it was; unknown fields too."""
    own = {"type": "SystemAssigned", "principalId": "p", "tenantId": "t"} if system else {}
    machine = world.azure.machine("rg", "vm-0", **({"identity": own} if own else {}), zones=["1"])
    one = world.identity("one")
    desired: dict[str, Any] = {"resource_id": machine, "identities": [one], "allow_unknown_owner": True, **FAST}
    before = world.body(machine)
    made = modules.check_and_do(MODULE, **desired)
    assert made["state"]["resources"][0]["type"] == "virtual_machine"
    assert world.body(machine)["identity"]["type"] == ("SystemAssigned, UserAssigned" if system else "UserAssigned")
    assert world.carried(machine) == {"one"}
    assert world.body(machine)["identity"].get("principalId") == own.get("principalId")
    modules.check_and_do(MODULE, **desired, state="absent")
    assert world.body(machine) == before
    assert [each["type"] for each in patches(modules)][-1] == own.get("type", "None")


def test_a_machine_without_an_identity_at_all(modules: Modules, world: World) -> None:
    machine = world.azure.machine(NODES, "vm-0")
    flexible = {"properties": {"provisioningState": "Succeeded", "virtualMachineScaleSet": {"id": world.scale_set}}}
    member = world.azure.machine(NODES, "vm-1", **flexible)
    one = world.identity("one")
    made = modules.check_and_do(MODULE, **CLUSTER, identities=[one], **FAST)
    assert len(made["actions"]) == 2
    assert world.carried(machine) == {"one"} and world.carried(member) == set()


def test_keys_are_removed_as_they_are_spelled(modules: Modules, world: World) -> None:
    one = world.identity("one")
    modules.succeed(MODULE, **CLUSTER, identities=[one], **FAST)
    mark = modules.mark()
    modules.succeed(MODULE, **CLUSTER, identities=[one.lower()], state="absent", **FAST)
    (patch,) = patches(modules, mark)
    spelled = one.replace("resourcegroups", "resourceGroups")
    assert patch == {"type": "UserAssigned", "userAssignedIdentities": {spelled: None}}


def test_many_go_in_portions(modules: Modules, world: World) -> None:
    """Each waits for the one before; the simulated Azure would merge them all the same."""
    ids = [world.identity(f"id-{number:03}") for number in range(400)]
    world.edit(lambda body: body["identity"].update(type="SystemAssigned, UserAssigned", principalId="p"))
    for state, actions in (("present", "attach"), ("absent", "detach")):
        mark = modules.mark()
        done = modules.succeed(MODULE, **CLUSTER, identities=ids, state=state, **FAST)
        assert [len(each["userAssignedIdentities"]) for each in patches(modules, mark)] == [150, 150, 100]
        assert done["actions"][0].startswith(f"{actions} id-000, id-001, id-002 and 147 more ")
        asked = [each["method"] for each in modules.requests(mark) if WAITED.search(f"{each['method']} {each['path']}")]
        assert "PATCH PATCH" not in " ".join(asked)
        assert len(world.carried()) == (401 if state == "present" else 1)
    assert world.body()["identity"]["type"] == "SystemAssigned, UserAssigned"


def test_what_a_cluster_needs_stays(modules: Modules, world: World) -> None:
    addon, mine, stray = (world.identity(name) for name in ("addon", "mine", "stray"))
    modules.succeed(MODULE, **CLUSTER, identities=[addon, mine, stray], **FAST)
    profile = {"omsagent": {"enabled": True, "identity": {"resourceId": addon.upper().replace("SUB", "sub")}}}
    world.edit(lambda body: body["properties"].update(addonProfiles=profile), world.cluster["id"])
    desired: dict[str, Any] = {"protected_identities": [mine.lower()], "state": "absent", **FAST}
    mark = modules.mark()
    reasons = (
        f"{world.kubelet.replace('resourcegroups', 'resourceGroups')} (it is the identity of the kubelets of the ",
        "/addon (it is the identity of the add-on omsagent of the cluster c1)",
        "/mine (it is in protected_identities)",
    )
    for check, target in ((True, CLUSTER), (False, {"node_resource_group": NODES}), (False, {"resource_id": SET})):
        target = {key: world.scale_set if value == SET else value for key, value in target.items()}
        refused = modules.fail(MODULE, check=check, **target, identities=[world.kubelet, addon, mine, stray], **desired)
        assert all(reason in refused["msg"] for reason in reasons) and "/stray" not in refused["msg"]
        assert refused["msg"].endswith("leave it out, or name it in allow_detach_protected too.")
    assert modules.writes(mark) == []
    allowed = {"allow_detach_protected": [addon.upper().replace("SUB", "sub"), mine]}
    modules.check_and_do(MODULE, **CLUSTER, identities=[addon, mine, stray], **allowed, **desired)
    assert world.carried() == {"c1-agentpool"}


def test_who_owns_the_nodes_must_be_known(modules: Modules, world: World) -> None:
    one = world.identity("one")
    modules.succeed(MODULE, **CLUSTER, identities=[one], **FAST)
    group = world.scale_set.partition("/providers/")[0]
    desired: dict[str, Any] = {"node_resource_group": NODES, "identities": [one], "state": "absent", **FAST}
    world.edit(lambda body: body.update(managedBy="/subscriptions/s/resourceGroups/g"), group)
    assert "does not say which cluster it belongs to" in modules.fail(MODULE, **desired)["msg"]
    assert not modules.succeed(MODULE, **{**desired, "state": "present"})["changed"]
    world.edit(lambda body: body.update(managedBy=world.cluster["id"] + "x"), group)
    assert "there is no cluster /subscriptions/" in modules.fail(MODULE, **desired)["msg"]
    other = modules.fail(MODULE, **{**desired, "resource_group": "rg", "cluster_name": "c2"})
    assert "belongs to the cluster" in other["msg"] and "correct resource_group and cluster_name" in other["msg"]
    blind = world.azure.principal("blind", ("Virtual Machine Contributor", group))
    world.azure.control("POST", "/deny-assignments", {"scope": group, "actions": ["Microsoft.Resources/*"]})
    refused = modules.fail(MODULE, who=blind, **desired)
    assert "it cannot be told which identities its cluster needs" in refused["msg"]
    assert "Microsoft.Resources/subscriptions/resourceGroups/read" in refused["msg"]
    world.edit(lambda body: body["properties"].pop("identityProfile"), world.cluster["id"])
    early = modules.fail(MODULE, **CLUSTER, identities=[one], state="absent", **FAST)
    assert "does not say (yet) which identity its kubelets have" in early["msg"]
    assert world.carried() == {"one", "c1-agentpool"}
    modules.check_and_do(MODULE, who=blind, **desired, allow_unknown_owner=True)
    assert world.carried() == {"c1-agentpool"}


def test_what_is_not_there(modules: Modules, world: World) -> None:
    """It may be what an earlier task would have created."""
    one = world.identity("one")
    for place, sentence in (
        ({"resource_id": world.scale_set + "x"}, " does not exist; "),
        ({"node_resource_group": "rg"}, "There is neither a scale set nor a virtual machine in the resource group rg"),
        ({"node_resource_group": "none"}, "There is neither a scale set nor a virtual machine in "),
        ({**CLUSTER, "cluster_name": "c2"}, "There is no cluster c2 with nodes in the resource group rg; "),
    ):
        predicted = modules.succeed(MODULE, check=True, **place, identities=[one])
        assert predicted["changed"] and predicted["state"]["resources"][0]["id"] == UNKNOWN
        failed = modules.fail(MODULE, **place, identities=[one])
        assert sentence in failed["msg"] and failed["failed_action"] == predicted["actions"][0]
        assert not modules.succeed(MODULE, **place, identities=[one], state="absent")["changed"]


@pytest.mark.parametrize("place", [CLUSTER, {"resource_id": UNKNOWN}, {"node_resource_group": UNKNOWN}], ids=str)
def test_unknown_values_are_predicted_only(modules: Modules, world: World, place: dict[str, Any]) -> None:
    options = {**place, "identities": [*([UNKNOWN] if place is CLUSTER else []), world.identity("one")]}
    mark = modules.mark()
    predicted = modules.succeed(MODULE, check=True, **options)
    assert predicted["changed"]
    assert UNKNOWN in str(predicted["diff"]["after"])
    assert modules.writes(mark) == []
    assert UNKNOWN in modules.fail(MODULE, **options)["msg"]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda world: {"resource_id": f"{world.scale_set}/virtualMachines/0"}, " is an instance, "),
        (lambda world: {"resource_id": world.cluster["id"]}, " is neither a scale set nor a virtual machine; "),
        (lambda world: {"identities": [world.cluster["id"]]}, " is not the resource id of a user-assigned identity; "),
        (lambda world: {"identities": ["demo"]}, "'demo' is not an Azure resource id"),
    ],
    ids=["instance", "cluster", "no identity", "name"],
)
def test_what_is_meant_is_checked(
    modules: Modules, world: World, change: Callable[[World], dict[str, Any]], sentence: str
) -> None:
    options = {"resource_id": world.scale_set, "identities": [], **change(world)}
    assert sentence in modules.fail(MODULE, **options)["msg"]


# what goes on there


def test_another_operation_is_waited_for(modules: Modules, world: World) -> None:
    one = world.identity("one")
    world.edit(lambda body: body["properties"].update(provisioningState="Updating"))
    assert modules.succeed(MODULE, check=True, **CLUSTER, identities=[one])["changed"]
    failed = modules.fail(MODULE, **CLUSTER, identities=[one], wait_timeout=1, **FAST)
    assert "another operation is still in progress there after 1 seconds; " in failed["msg"]
    assert failed["msg"].endswith("raise wait_timeout.")
    assert patches(modules) == []
    looks = len(modules.requests(method="GET", path=world.scale_set))
    ending = threading.Thread(target=_end_after_looks, args=(modules, world, looks + 2))
    ending.start()
    modules.succeed(MODULE, **CLUSTER, identities=[one], **FAST)
    ending.join()
    assert world.carried() == {"one", "c1-agentpool"}


def _end_after_looks(modules: Modules, world: World, number: int) -> None:
    end = time.monotonic() + 60
    while len(modules.requests(method="GET", path=world.scale_set)) < number and time.monotonic() < end:
        time.sleep(0.05)
    world.edit(lambda body: body["properties"].update(provisioningState="Succeeded"))


def test_a_scale_set_that_is_being_deleted_is_left_out(modules: Modules, world: World) -> None:
    world.edit(lambda body: body["properties"].update(provisioningState="Deleting"))
    machine = world.azure.machine(NODES, "vm-0")
    modules.succeed(MODULE, **CLUSTER, identities=[world.identity("one")], wait_timeout=5, **FAST)
    assert (world.carried(), world.carried(machine)) == ({"c1-agentpool"}, {"one"})
    alone: dict[str, Any] = {"resource_id": world.scale_set, "identities": [world.kubelet], "wait_timeout": 5, **FAST}
    assert not modules.succeed(MODULE, **alone, state="absent")["changed"]


@pytest.mark.parametrize(
    ("method", "path", "fault"),
    [
        ("PATCH", "", {"status": 409, "body": {"error": {"code": "Conflict", "message": CONFLICT}}}),
        ("PATCH", "", {"status": 429, "body": {"error": {"code": "OperationNotAllowed", "message": "Too many."}}}),
        ("PATCH", "", {"reset": True, "after": True}),
        ("PATCH", "", {"reset": True}),
        ("GET", "/operations/", {"status": 200, "body": PREEMPTED}),
    ],
    ids=["conflict", "throttled", "answer lost", "request lost", "preempted"],
)
def test_what_passes_is_outlasted(
    modules: Modules, world: World, method: str, path: str, fault: dict[str, Any]
) -> None:
    one = world.identity("one")
    modules.fault(method, path, headers={"Retry-After": "0"} if fault.get("status") == 429 else {}, **fault)
    modules.succeed(MODULE, **CLUSTER, identities=[one], **FAST)
    assert world.carried() == {"one", "c1-agentpool"}
    assert not modules.succeed(MODULE, **CLUSTER, identities=[one], **FAST)["changed"]


def test_a_conflict_that_stays(modules: Modules, world: World) -> None:
    modules.fault("PATCH", "", status=409, body={"error": {"code": "Conflict", "message": CONFLICT}}, count=0)
    failed = modules.fail(MODULE, **CLUSTER, identities=[world.identity("one")], wait_timeout=1, **FAST)
    assert "another operation is still in progress there after 1 seconds" in failed["msg"]
    assert failed["error"]["code"] == "Conflict"


def test_what_is_done_half_is_told_and_finished_by_the_next_run(modules: Modules, world: World) -> None:
    ids = [world.identity(f"id-{number:03}") for number in range(151)]
    body = {"error": {"code": "Forbidden", "message": "Not that one."}}
    modules.fault("PATCH", "", nth=2, status=400, body=body)
    failed = modules.fail(MODULE, **CLUSTER, identities=ids, **FAST)
    assert failed["changed"] and len(failed["actions"]) == 1
    assert (failed["failed_change"]["verb"], len(failed["changes"])) == ("attach", 1)
    assert failed["failed_action"].startswith("attach id-150 to the scale set ")
    again = modules.succeed(MODULE, **CLUSTER, identities=ids, **FAST)
    assert again["actions"] == [failed["failed_action"]]
    assert len(world.carried()) == 152


@pytest.mark.parametrize("kind", ["lost", "own"])
def test_what_somebody_else_changed_meanwhile_is_named(modules: Modules, world: World, kind: str) -> None:
    """AKS has overwritten what others attached; the look after the PATCH shows it."""
    one = world.identity("one")
    shown = world.body()
    identity = shown["identity"]
    key = one.replace("resourcegroups", "resourceGroups")
    if kind == "own":
        identity.update(type="SystemAssigned, UserAssigned", principalId="p")
        identity["userAssignedIdentities"][key] = {"clientId": "c"}
    # The list, the look before the PATCH, and the look after it.
    modules.fault("GET", f"{world.scale_set}\\?", nth=2, status=200, body=shown)
    failed = modules.fail(MODULE, **CLUSTER, identities=[one], **FAST)
    sentence = {
        "lost": f"lacks {one}, which was not asked for",
        "own": "has another system-assigned identity than before, which was not asked for",
    }
    assert sentence[kind] in failed["msg"]
    assert failed["msg"].endswith("look who that is and run again.")


@pytest.mark.parametrize("state", ["present", "absent"])
def test_what_somebody_else_attached_meanwhile_spoils_no_attach(modules: Modules, world: World, state: str) -> None:
    """MIC attaches for the pods that it serves; a detach tells what is there that it did not expect."""
    one = world.identity("one")
    if state == "absent":
        modules.succeed(MODULE, **CLUSTER, identities=[one], **FAST)
    shown = world.body()
    key = one.replace("resourcegroups", "resourceGroups")
    stranger = key.replace("/one", "/stranger")
    carried = shown["identity"].setdefault("userAssignedIdentities", {})
    carried[stranger] = {"clientId": "s"}
    if state == "present":
        carried[key] = {"clientId": "c"}
    else:
        carried.pop(key, None)
        carried.pop(one, None)
    modules.fault("GET", f"{world.scale_set}\\?", nth=2, status=200, body=shown)
    if state == "present":
        result = modules.succeed(MODULE, **CLUSTER, identities=[one], **FAST)
        assert len(result["changes"]) == 1
    else:
        failed = modules.fail(MODULE, **CLUSTER, identities=[one], state=state, **FAST)
        assert f"carries {stranger}, which was not asked for" in failed["msg"]


# the dead


def test_ghosts_are_detached_and_named(modules: Modules, world: World) -> None:
    one, ghost = world.identity("one"), world.identity("ghost")
    modules.succeed(MODULE, **CLUSTER, identities=[ghost], **FAST)
    world.forget(ghost)
    linked = (
        "The client 'c' with object id 'o' has permission to perform action"
        f" 'Microsoft.Compute/virtualMachineScaleSets/write' on scope '{world.scale_set}'; however, it does not have"
        " permission to perform action 'Microsoft.ManagedIdentity/userAssignedIdentities/assign/action' on the linked"
        f" scope(s) '{one},{ghost}' or the linked scope(s) are invalid."
    )
    modules.fault("PATCH", "", status=403, body={"error": {"code": "LinkedAuthorizationFailed", "message": linked}})
    failed = modules.fail(MODULE, **CLUSTER, identities=[one], **FAST)
    assert failed["msg"] == (
        f"Could not attach one to the scale set {world.body()['name']}: the scale set {world.body()['name']} still "
        f"carries {ghost}, deleted since, and Azure refuses a change that leaves it there; detach it first, by "
        "state=absent."
    )
    assert failed["error"]["code"] == "LinkedAuthorizationFailed"
    modules.check_and_do(MODULE, **CLUSTER, identities=[ghost], state="absent", **FAST)
    modules.check_and_do(MODULE, **CLUSTER, identities=[one], **FAST)
    assert world.carried() == {"one", "c1-agentpool"}


def test_an_identity_that_does_not_exist(modules: Modules, world: World) -> None:
    missing = world.identity("one").replace("/one", "/missing")
    failed = modules.fail(MODULE, **CLUSTER, identities=[missing], **FAST)
    assert failed["msg"].endswith(f": there is no identity {missing}; create it first, or leave it out.")
    assert failed["error"]["code"] == "FailedIdentityOperation"


def test_an_attachment_without_a_client_id_is_warned_of(modules: Modules, world: World) -> None:
    ghost = world.identity("ghost")
    modules.succeed(MODULE, **CLUSTER, identities=[ghost], **FAST)
    world.edit(lambda body: _kill(body, "/ghost"))
    found = modules.succeed(MODULE, **CLUSTER, identities=[ghost], **FAST)
    assert not found["changed"]
    assert "without a client id" in str(found["warnings"])


def _kill(body: dict[str, Any], name: str) -> None:
    carried = body["identity"]["userAssignedIdentities"]
    carried.update({key: {"clientId": None, "principalId": None} for key in carried if key.endswith(name)})


# looking


def test_info(modules: Modules, world: World) -> None:
    live, ghost, again, elsewhere = (world.identity(name) for name in ("live", "ghost", "again", "elsewhere"))
    modules.succeed(MODULE, **CLUSTER, identities=[live, ghost, again, elsewhere], **FAST)
    world.forget(ghost)
    world.forget(again)
    world.identity("again")
    mark = modules.mark()
    found = modules.succeed(INFO, node_resource_group=NODES, check_existence=True, protected_identities=[live])
    (resource,) = found["resources"]
    shown = {each["id"].rpartition("/")[2]: each for each in resource["identities"]}
    assert {name: (each["exists"], each["ghost"]) for name, each in shown.items()} == {
        "live": (True, False),
        "ghost": (False, True),
        "again": (True, True),
        "elsewhere": (True, False),
        "c1-agentpool": (True, False),
    }
    told = {name: (each["protected_code"], each["protected_because"]) for name, each in shown.items()}
    kubelet = ("kubelet", "it is the identity of the kubelets of the cluster c1")
    protected = {"live": ("named", "it is in protected_identities"), "c1-agentpool": kubelet}
    assert told == {**dict.fromkeys(shown, ("", "")), **protected}
    assert {name for name, each in shown.items() if each["protected"]} == set(protected)
    assert (resource["provisioning_state"], resource["system_assigned"]) == ("Succeeded", False)
    assert (found["cluster_id"].lower(), found["unread"]) == (world.cluster["id"].lower(), [])
    asked = [entry["path"].lower() for entry in modules.requests(mark, method="GET")]
    # A list for each group, and of what a list lacks its own answer.
    of_identities = [path.partition("?")[0] for path in asked if "userassignedidentities" in path]
    alone = [path for path in of_identities if not path.endswith("userassignedidentities")]
    assert len(of_identities) == 3 and [path.rpartition("/")[2] for path in alone] == ["ghost"]


def test_info_without_existence_and_without_an_owner(modules: Modules, world: World) -> None:
    machine = world.azure.machine("rg", "vm-0", identity={"type": "SystemAssigned", "principalId": "p"})
    one = world.identity("one")
    modules.succeed(MODULE, resource_id=machine, identities=[one], **FAST)
    found = modules.succeed(INFO, resource_id=machine)
    (resource,) = found["resources"]
    (identity,) = resource["identities"]
    assert (resource["type"], resource["system_assigned_principal_id"]) == ("virtual_machine", "p")
    assert (identity["exists"], identity["ghost"], identity["protected"]) == (None, None, True)
    assert found["cluster_id"] == "" and "does not say which cluster it belongs to" in found["unread"][0]
    assert identity["protected_because"] in found["unread"][0] and identity["protected_code"] == "unknown"


def test_info_where_not_everything_may_be_read(modules: Modules, world: World) -> None:
    group = world.scale_set.partition("/providers/")[0]
    reader = world.azure.principal("reader", ("Reader", group))
    one = world.identity("one")
    modules.succeed(MODULE, **CLUSTER, identities=[one], **FAST)
    body = {"error": {"code": "AuthorizationFailed", "message": "No."}}
    modules.fault("GET", f"/resourceGroups/rg/{IDENTITIES}", status=403, body=body)
    partly = modules.succeed(INFO, who=reader, node_resource_group=NODES)
    assert partly["cluster_id"] == "" and "managedClusters/read" in partly["unread"][0]
    found = modules.succeed(INFO, node_resource_group=NODES, check_existence=True)
    shown = {each["id"].rpartition("/")[2]: each["exists"] for each in found["resources"][0]["identities"]}
    assert shown == {"one": None, "c1-agentpool": True}
    assert "Could not list the identities of " in found["unread"][0]


def test_info_about_nothing(modules: Modules, world: World) -> None:
    for place in ({"resource_id": world.scale_set + "x"}, {"resource_group": "rg", "cluster_name": "c2"}):
        found = modules.succeed(INFO, **place, check_existence=True)
        assert (found["resources"], found["unread"]) == ([], [])
