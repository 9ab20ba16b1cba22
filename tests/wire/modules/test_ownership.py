# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What MIC left on scale sets: told apart from what is somebody else's, and detached."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.tests.support.modules import Modules
from ansible_collections.azureops.pod_identity.tests.support.scale_sets import (
    CLUSTER,
    CONFLICT,
    FAST,
    INFO,
    MODULE,
    NODES,
    UNKNOWN,
    World,
    attach,
    mic,
    patches,
)
from azsandbox.azure.loopback import SimulatedAzure

BUNDLE = "/var/backups/c1.json"
CLEAN: dict[str, Any] = {**CLUSTER, "state": "clean", **FAST}


@pytest.fixture
def world(azure: SimulatedAzure) -> World:
    return World(azure)


def known(*ids: str) -> list[dict[str, str]]:
    return [{"id": each, "source": "AzureIdentity team/x"} for each in ids]


def spell(world: World, *spellings: Any) -> None:
    """Let the scale set spell what it carries in different ways, as Azure does after many hands."""

    def change(body: dict[str, Any]) -> None:
        carried = body["identity"]["userAssignedIdentities"]
        body["identity"]["userAssignedIdentities"] = {
            spellings[number % len(spellings)](key): value for number, (key, value) in enumerate(carried.items())
        }

    world.edit(change)


def shown(rows: list[dict[str, Any]]) -> dict[str, tuple[str, bool]]:
    return {each["id"].rpartition("/")[2].lower(): (each["ownership"], each["removable"]) for each in rows}


def reasons(rows: list[dict[str, Any]]) -> dict[str, str]:
    return {each["id"].rpartition("/")[2]: each["ownership_because"] for each in rows}


def test_400_in_mixed_casing_take_three_requests(modules: Modules, world: World) -> None:
    ids = attach(world, *(f"id-{number:03}" for number in range(400)), "stranger")[:400]
    spell(world, str, str.upper, str.lower, str.title)
    sources = known(*(each.lower() if number % 2 else each.upper() for number, each in enumerate(ids)))
    mark = modules.mark()
    done = modules.check_and_do(MODULE, **CLEAN, known_identities=sources, restore_bundle=BUNDLE)
    sizes = [len(each["userAssignedIdentities"]) for each in patches(modules, mark)]
    assert sizes == [150, 150, 100]
    # Besides what is listed at first, a look before and after each.
    reads = [each for each in modules.requests(mark, method="GET") if each["path"].lower() == world.scale_set.lower()]
    assert len(reads) == 2 * 3
    assert len(done["actions"]) == 3 and done["actions"][0].endswith(f" from the scale set {world.body()['name']}")
    assert {each.lower() for each in world.carried()} == {"stranger", "c1-agentpool"}
    rows = shown(done["ownership"])
    assert sum(each == ("removable", True) for each in rows.values()) == 400
    assert rows["stranger"] == ("unknown", False) and rows["c1-agentpool"] == ("protected", False)


def test_only_what_is_proved_goes(modules: Modules, world: World) -> None:
    left, used, mine, ghost, again, _unnamed, stranger = attach(
        world, "left", "used", "mine", "ghost", "again", "unnamed", "stranger"
    )
    world.forget(ghost)
    world.forget(again)
    world.identity("again")
    options: dict[str, Any] = {
        "known_identities": known(left, used, mine, world.kubelet, again),
        "used_identities": [{"id": used.upper(), "source": "Deployment team/web"}],
        "protected_identities": [mine],
    }
    told = modules.succeed(INFO, **CLUSTER, check_existence=True, **options)
    expected = {
        "left": ("removable", True),
        "used": ("used", False),
        "mine": ("protected", False),
        "ghost": ("ghost", True),
        "again": ("ghost", True),
        "unnamed": ("unknown", False),
        "stranger": ("unknown", False),
        "c1-agentpool": ("protected", False),
    }
    (resource,) = told["resources"]
    assert shown(resource["identities"]) == expected
    because = reasons(resource["identities"])
    assert (because["left"], because["mine"]) == ("known from AzureIdentity team/x", "it is in protected_identities")
    assert because["used"] == "it is still for Deployment team/web"
    assert because["c1-agentpool"] == "it is the identity of the kubelets of the cluster c1"
    done = modules.check_and_do(MODULE, **CLEAN, **options)
    assert shown(done["ownership"]) == expected
    assert {each["resource_id"] for each in done["ownership"]} == {world.body()["id"]}
    assert world.carried() == {"used", "mine", "unnamed", "stranger", "c1-agentpool"}
    named = modules.check_and_do(MODULE, **CLEAN, **options, identities=[stranger.upper(), used, mine, world.kubelet])
    assert shown(named["ownership"])["stranger"] == ("unknown", True)
    assert world.carried() == {"used", "mine", "unnamed", "c1-agentpool"}


def test_info_looks_up_nothing_that_it_was_not_told_to(modules: Modules, world: World) -> None:
    attach(world, "left")
    mark = modules.mark()
    told = modules.succeed(INFO, **CLUSTER)
    assert shown(told["resources"][0]["identities"])["left"] == ("unknown", False)
    asked = [each["path"].lower() for each in modules.requests(mark, method="GET")]
    assert not [path for path in asked if "userassignedidentities" in path or "microsoft.insights" in path]


def test_where_identities_may_not_be_listed_the_dead_stay(modules: Modules, world: World) -> None:
    left, _ghost = attach(world, "left", "ghost")

    def kill(body: dict[str, Any]) -> None:
        carried = body["identity"]["userAssignedIdentities"]
        carried.update({key: {"clientId": None} for key in carried if key.endswith("/ghost")})

    world.edit(kill)
    body = {"error": {"code": "AuthorizationFailed", "message": "No."}}
    modules.fault("GET", "/resourceGroups/rg/providers/Microsoft.ManagedIdentity", status=403, body=body, count=0)
    done = modules.succeed(MODULE, **CLEAN, known_identities=known(left))
    assert shown(done["ownership"])["ghost"] == ("ghost", False)
    assert "Could not list the identities of " in str(done["warnings"])
    assert world.carried() == {"ghost", "c1-agentpool"}


def test_files_tell_what_is_known(modules: Modules, world: World, tmp_path: Path) -> None:
    one, two, three = attach(world, "one", "two", "three")
    values = tmp_path / "values.yaml"
    values.write_text(f"azureIdentities:\n  one:\n    type: 0\n    resourceID: {one.lower()}\n    clientID: x\n")
    bundle = tmp_path / "bundle.json"
    of_sets: dict[str, Any] = {"userAssignedIdentities": {three: {}}}
    bundle.write_text(json.dumps({"objects": [{"spec": {"resourceID": two}}], "scale_sets": of_sets}))
    files = [str(values), str(bundle)]
    done = modules.check_and_do(MODULE, **CLEAN, known_files=files)
    assert world.carried() == {"three", "c1-agentpool"}
    because = reasons(done["ownership"])
    assert (because["one"], because["two"]) == (f"known from the file {values}", f"known from the file {bundle}")
    failed = modules.fail(INFO, **CLUSTER, known_files=[str(tmp_path / "none")])
    assert failed["msg"].startswith(f"The file {tmp_path}/none of known_files cannot be read (No such file")


def test_the_activity_log_tells_what_mic_wrote(modules: Modules, world: World) -> None:
    left, gone = world.identity("left"), world.identity("gone")
    attach(world, "stranger")
    who = mic(world, left, gone)
    assert world.carried() == {"left", "gone", "stranger", "c1-agentpool"}
    for unasked in ({"mic_principals": [who.client_id]}, {"activity_log_days": 90}):
        told = modules.succeed(INFO, **CLUSTER, **unasked)
        assert shown(told["resources"][0]["identities"])["left"] == ("unknown", False)
    for place, options in (
        (CLUSTER, {"mic_principals": [who.client_id.upper()]}),
        ({"node_resource_group": NODES.lower()}, {"mic_principals": [who.object_id]}),
        ({"resource_id": world.scale_set}, {"mic_principals": [who.object_id]}),
    ):
        told = modules.succeed(INFO, **place, activity_log_days=90, **options)
        rows = shown(told["resources"][0]["identities"])
        assert (rows["left"], rows["stranger"]) == (("removable", True), ("unknown", False))
        assert told["unread"] == []
    why = reasons(told["resources"][0]["identities"])["left"]
    assert why.startswith("known from the activity log (MIC wrote it on 20")
    kubelet = {**world.cluster["properties"]["identityProfile"]["kubeletidentity"], "objectId": who.object_id}
    profile = {"kubeletidentity": kubelet}
    world.edit(lambda body: body["properties"].update(identityProfile=profile), world.cluster["id"])
    done = modules.check_and_do(MODULE, **CLEAN, activity_log_days=90)
    assert world.carried() == {"stranger", "c1-agentpool"}
    assert "warnings" not in done


def test_a_log_that_may_not_be_read_stops_nothing(modules: Modules, world: World) -> None:
    left, only_there = attach(world, "left", "there")
    mic(world, only_there)
    scope = f"/subscriptions/{world.azure.subscription_id}"
    who = world.azure.principal(
        "operator", *(("Contributor", f"{scope}/resourceGroups/{group}") for group in ("rg", NODES))
    )
    options: dict[str, Any] = {"activity_log_days": 90, "known_identities": known(left)}
    told = modules.succeed(INFO, who=who, **CLUSTER, **options)
    (sentence,) = told["unread"]
    assert sentence.startswith("Could not read the activity log of ")
    assert "may not perform Microsoft.Insights/eventtypes/values/read" in sentence
    done = modules.succeed(MODULE, who=who, **CLEAN, **options)
    assert "Could not read the activity log of " in str(done["warnings"])
    assert world.carried() == {"there", "c1-agentpool"}


def test_a_log_without_the_content_of_writes(modules: Modules, world: World) -> None:
    one = world.identity("one")
    who = mic(world, one)

    def forget() -> None:
        for event in world.azure.server.azure.state.events:
            event["properties"].pop("requestbody", None)

    world.azure.in_loop(forget)
    told = modules.succeed(INFO, **CLUSTER, activity_log_days=90, mic_principals=[who.object_id])
    assert shown(told["resources"][0]["identities"])["one"] == ("unknown", False)
    assert told["unread"] == [
        "The activity log has 1 writes of MIC to scale sets without what was written, so it does not tell all that MIC "
        "has attached."
    ]


def test_nobody_knows_who_mic_was(modules: Modules, world: World) -> None:
    machine = world.azure.machine("rg", "vm-0", identity={"type": "None"})
    told = modules.succeed(INFO, resource_id=machine, activity_log_days=90)
    assert told["unread"][-1].startswith("The activity log was not asked, because nobody can tell as whom MIC wrote")


def test_whose_nodes_nobody_knows(modules: Modules, world: World) -> None:
    machine = world.azure.machine("rg", "vm-0", identity={"type": "SystemAssigned", "principalId": "p"})
    one = world.identity("one")
    modules.succeed(MODULE, resource_id=machine, identities=[one], **FAST)
    desired: dict[str, Any] = {"resource_id": machine, "state": "clean", "known_identities": known(one), **FAST}
    stays = modules.succeed(MODULE, **desired, identities=[one])
    assert not stays["changed"] and shown(stays["ownership"]) == {"one": ("protected", False)}
    assert "does not say which cluster it belongs to" in str(stays["warnings"])
    modules.check_and_do(MODULE, **desired, allow_unknown_owner=True)
    assert world.body(machine)["identity"]["type"] == "SystemAssigned"


def test_nothing_is_there(modules: Modules, world: World) -> None:
    for place in ({"resource_group": "rg", "cluster_name": "c2"}, {"resource_id": world.scale_set + "x"}):
        done = modules.succeed(MODULE, **place, state="clean", activity_log_days=90, identities=[])
        assert (done["changed"], done["ownership"], done["state"]) == (False, [], {"resources": []})
    predicted = modules.succeed(MODULE, check=True, node_resource_group=UNKNOWN, state="clean")
    assert not predicted["changed"] and predicted["ownership"] == []
    for state in ("present", "absent"):
        assert "identities" in modules.fail(MODULE, **CLUSTER, state=state)["msg"]


# somebody else is at work


@pytest.mark.parametrize("check", [True, False])
def test_nothing_begins_while_something_goes_on(modules: Modules, world: World, check: bool) -> None:
    (left,) = attach(world, "left")
    desired: dict[str, Any] = {**CLEAN, "known_identities": known(left), "restore_bundle": BUNDLE, "check": check}
    mark = modules.mark()
    world.edit(lambda body: body["properties"].update(provisioningState="Upgrading"), world.cluster["id"])
    failed = modules.fail(MODULE, **desired)
    assert failed["msg"] == (
        "Nothing was detached, because AKS is working on the cluster c1 (Upgrading) and may write to its scale sets; "
        "run again when it has ended."
    )
    world.edit(lambda body: body["properties"].update(provisioningState="Succeeded"), world.cluster["id"])
    world.edit(lambda body: body["properties"].update(provisioningState="Updating"))
    failed = modules.fail(MODULE, **desired)
    assert f"another operation goes on at the scale set {world.body()['name']} (Updating)" in failed["msg"]
    assert modules.writes(mark) == []
    # A cluster that is busy is no hindrance where nothing is to be done.
    world.edit(lambda body: body["properties"].update(provisioningState="Failed"))
    world.edit(lambda body: body["properties"].update(provisioningState="Upgrading"), world.cluster["id"])
    assert not modules.succeed(MODULE, **{**desired, "known_identities": []})["changed"]


def many(world: World) -> dict[str, Any]:
    """What is to be detached in two requests."""
    ids = attach(world, *(f"id-{number:03}" for number in range(151)))
    return {**CLEAN, "known_identities": known(*ids), "restore_bundle": BUNDLE}


def test_a_concurrent_operation_stops_it(modules: Modules, world: World) -> None:
    desired = many(world)
    body = {"error": {"code": "Conflict", "message": CONFLICT}}
    modules.fault("PATCH", "", nth=2, status=409, body=body)
    mark = modules.mark()
    failed = modules.fail(MODULE, **desired)
    name = world.body()["name"]
    assert failed["msg"] == (
        f"Could not detach id-150 from the scale set {name}: another operation is in progress there, and what it leads "
        f"to cannot be told; wait for its end, and run again; what was attached before is in {BUNDLE}."
    )
    assert failed["changed"] and len(failed["actions"]) == 1 and failed["error"]["code"] == "Conflict"
    assert len(failed["ownership"]) == 152
    assert len(patches(modules, mark)) == 2
    again = modules.succeed(MODULE, **desired)
    assert again["actions"] == [failed["failed_action"]]
    assert world.carried() == {"c1-agentpool"}


def test_an_operation_that_took_its_place_stops_it(modules: Modules, world: World) -> None:
    desired = many(world)
    preempted = {"status": "Failed", "error": {"code": "OperationPreempted", "message": "A newer one came."}}
    modules.fault("GET", "/operations/", status=200, body=preempted)
    failed = modules.fail(MODULE, **desired)
    assert "another operation is in progress there" in failed["msg"] and failed["msg"].endswith(f" {BUNDLE}.")
    assert failed["error"]["code"] == "OperationPreempted"


def test_what_goes_on_since_it_was_looked_at_stops_it(modules: Modules, world: World) -> None:
    desired = many(world)
    busy = world.body()
    busy["properties"]["provisioningState"] = "Updating"
    modules.fault("GET", f"{world.scale_set}\\?", status=200, body=busy)
    mark = modules.mark()
    failed = modules.fail(MODULE, **desired)
    assert "another operation is in progress there" in failed["msg"] and BUNDLE in failed["msg"]
    assert patches(modules, mark) == [] and not failed["changed"]


@pytest.mark.parametrize(("nth", "requests"), [(1, 0), (2, 1), (3, 1)], ids=["before", "after", "before the second"])
def test_a_mismatch_stops_it(modules: Modules, world: World, nth: int, requests: int) -> None:
    """Somebody else attached something, seen by one of the looks."""
    desired = many(world)
    shown_then = world.body()
    carried = shown_then["identity"]["userAssignedIdentities"]
    if nth > 1:
        for key in [each for each in carried if "/id-" in each and not each.endswith("/id-150")]:
            del carried[key]
    stranger = next(iter(carried)).rpartition("/")[0] + "/stranger"
    carried[stranger] = {"clientId": "s", "principalId": "s"}
    modules.fault("GET", f"{world.scale_set}\\?", nth=nth, status=200, body=shown_then)
    mark = modules.mark()
    failed = modules.fail(MODULE, **desired)
    assert f"carries {stranger}" in failed["msg"]
    assert failed["msg"].endswith(f"look who that is and run again; what was attached before is in {BUNDLE}.")
    assert len(patches(modules, mark)) == requests
    assert "id-150" in {each.rpartition("/")[2] for each in world.carried()}


@pytest.mark.parametrize("fault", [{"reset": True, "after": True}, {"reset": True}], ids=["answer", "request"])
def test_what_is_lost_is_looked_for(modules: Modules, world: World, fault: dict[str, Any]) -> None:
    """Its own operation may then still be going on, which is no reason to stop."""
    desired = many(world)
    modules.fault("PATCH", "", **fault)
    modules.succeed(MODULE, **desired)
    assert world.carried() == {"c1-agentpool"}


def test_throttling_is_waited_for(modules: Modules, world: World) -> None:
    desired = many(world)
    body = {"error": {"code": "OperationNotAllowed", "message": "Too many."}}
    modules.fault("PATCH", "", status=429, body=body, headers={"Retry-After": "0"})
    modules.succeed(MODULE, **desired)
    assert world.carried() == {"c1-agentpool"}


# nodes in other resource groups


def carrying(world: World, *ids: str, **properties: Any) -> dict[str, Any]:
    """Body of a machine or scale set that carries the identities."""
    clients = {each: {"clientId": world.body(each)["properties"]["clientId"]} for each in ids}
    identity = {"type": "UserAssigned", "userAssignedIdentities": clients}
    return {"identity": identity, "properties": {"provisioningState": "Succeeded", **properties}}


def provider(carrier: str, instance: str = "") -> str:
    return f"azure://{carrier}{f'/virtualMachines/{instance}' if instance else ''}"


def test_nodes_in_other_groups_are_found(modules: Modules, world: World) -> None:
    left, stranger = attach(world, "left", "stranger")
    azure = world.azure
    azure.group("own")
    own = azure.scale_set("own", "workers", **carrying(world, left.lower(), stranger))
    machine = azure.machine("own", "machine", **carrying(world, left, world.kubelet))
    flexible = azure.scale_set("own", "flexible", **carrying(world, left, stranger))
    of_it = {"virtualMachineScaleSet": {"id": flexible.lower()}}
    member = azure.machine("own", "flexible_0", **carrying(world, left, **of_it))
    unseen = azure.scale_set("own", "unseen", **carrying(world, left))
    carriers = (world.scale_set, own, machine, flexible)
    instances = ((own, "0"), (own.lower(), "1"), (world.scale_set, "0"), (f"{world.scale_set}gone", "0"))
    providers = [provider(*each) for each in (*instances, (f"{own}gone", "0"), (machine,), (member,))]
    providers += ["kind://docker/kind/worker", ""]
    named = {"provider_ids": providers, "further_resource_groups": ["own"]}
    told = modules.succeed(INFO, **CLUSTER, **named)
    assert {each["id"].lower() for each in told["resources"]} == {each.lower() for each in carriers}
    assert len(told["resources"]) == len(carriers) and told["unread"] == []
    before = {each: world.body(each) for each in (unseen, member)}
    done = modules.check_and_do(MODULE, **CLEAN, **named, known_identities=known(left, world.kubelet))
    assert len(done["actions"]) == len(carriers)
    stays = [{"stranger", "c1-agentpool"}, {"stranger"}, {"c1-agentpool"}, {"stranger"}]
    assert [world.carried(each) for each in carriers] == stays
    assert {each: world.body(each) for each in before} == before


def test_the_group_of_another_cluster_is_refused(modules: Modules, world: World) -> None:
    (left,) = attach(world, "left")
    world.azure.cluster(name="c2")
    theirs = world.azure.scale_set("MC_rg_c2_westeurope", "workers", **carrying(world, left))
    desired = {**CLEAN, "known_identities": known(left), "provider_ids": [provider(theirs, "0")]}
    desired["further_resource_groups"] = ["MC_rg_c2_westeurope"]
    for place in (CLUSTER, {"node_resource_group": NODES, "cluster_name": None, "resource_group": None}):
        failed = modules.fail(MODULE, **{**desired, **place})
        assert "belongs to the cluster " in failed["msg"] and "managedClusters/c2" in failed["msg"]
    assert "left" in world.carried() and world.carried(theirs) == {"left"}


def test_a_group_that_may_not_be_read_leaves_everything(modules: Modules, world: World) -> None:
    (left,) = attach(world, "left")
    world.azure.group("own")
    own = world.azure.scale_set("own", "workers", **carrying(world, left))
    modules.fault("GET", "/resourcegroups/own\\?", status=403, body={"error": {"code": "AuthorizationFailed"}}, count=0)
    desired = {**CLEAN, "known_identities": known(left), "provider_ids": [provider(own, "0")]}
    desired["further_resource_groups"] = [own.partition("/providers/")[0]]
    done = modules.succeed(MODULE, **desired)
    assert not done["changed"] and {each["ownership"] for each in done["ownership"]} == {"protected"}
    assert "It cannot be told which identities must stay: Could not read the resource group" in str(done["warnings"])


def test_what_is_assumed_counts_as_detached_in_check_mode_alone(modules: Modules, world: World) -> None:
    """Of the scale set of the node that is named, and of no other."""
    (left,) = attach(world, "left")
    world.azure.group("own")
    own = world.azure.scale_set("own", "workers", **carrying(world, left))
    assumed = [{"id": left.upper(), "provider_id": provider(world.scale_set, "0")}]
    desired = {**CLEAN, "known_identities": known(left), "provider_ids": [provider(own, "0")]}
    desired.update(assume_detached=assumed, further_resource_groups=["own"])
    predicted = modules.succeed(MODULE, check=True, **desired)
    assert predicted["actions"] == ["detach left from the scale set workers"]
    assert len(modules.succeed(MODULE, **desired)["actions"]) == 2


def test_the_values_of_a_release_tell_what_is_known(modules: Modules, world: World) -> None:
    (left,) = attach(world, "left")
    values = {"azureIdentities": {"left": {"type": 0, "resourceID": left.lower(), "clientID": "c"}}, "mic": {}}
    release = {"namespace": "default", "name": "aad-pod-identity", "given_values": values}
    world.let_attach(modules, left)
    done = modules.check_and_do(MODULE, **CLEAN, inventory={"releases": [release]})
    said = reasons(done["ownership"])["left"]
    assert said.startswith(
        "known from the values of the helm release default/aad-pod-identity, and the identity of the"
    )
    assert world.carried() == {"c1-agentpool"}


# what a tenant writes


def test_a_node_chooses_no_scale_set_of_others(modules: Modules, world: World) -> None:
    """Whoever registers a node writes its providerID."""
    (left,) = attach(world, "left")
    world.azure.group("payments")
    theirs = world.azure.scale_set("payments", "payments-vmss", **carrying(world, left))
    desired = {**CLEAN, "known_identities": known(left), "provider_ids": [provider(theirs, "0")]}
    (told,) = modules.succeed(INFO, **CLUSTER, provider_ids=desired["provider_ids"])["unread"]
    assert told.startswith(f"{theirs}, which the providerID of a node names, was left alone")
    assert told.endswith("if nodes of it lie in the resource group payments, name that in further_resource_groups.")
    done = modules.check_and_do(MODULE, **desired)
    assert told in str(done["warnings"]) and len(done["actions"]) == 1
    assert (world.carried(), world.carried(theirs)) == ({"c1-agentpool"}, {"left"})
    for state in ("absent", "present"):
        modules.succeed(MODULE, **{**desired, "state": state}, identities=[left])
        assert world.carried(theirs) == {"left"}


@pytest.mark.parametrize("place", ["identities", "assigned"])
def test_an_object_of_the_cluster_alone_proves_nothing(modules: Modules, world: World, place: str) -> None:
    """Its author chooses what it names; whoever owns the identity chooses who may attach it."""
    (by_hand,) = attach(world, "by-hand")
    claimed = {"namespace": "tenant", "name": "x", "type": 0, "resource_id": by_hand.upper()}
    desired = {**CLEAN, "inventory": {place: [claimed]}}
    # The role of somebody else is no proof either.
    world.let_attach(modules, by_hand, world.azure.principal("somebody").object_id)
    done = modules.succeed(MODULE, **desired)
    assert not done["changed"] and shown(done["ownership"])["by-hand"] == ("unknown", False)
    said = reasons(done["ownership"])["by-hand"]
    assert "tenant/x names it, but that alone is no proof that MIC attached it" in said
    world.let_attach(modules, by_hand)
    modules.check_and_do(MODULE, **desired)
    assert world.carried() == {"c1-agentpool"}


def test_whom_the_roles_may_not_be_shown_is_told_so(modules: Modules, world: World) -> None:
    (left,) = attach(world, "left")
    world.let_attach(modules, left)
    refused = {"error": {"code": "AuthorizationFailed", "message": "No."}}
    modules.fault("GET", "Microsoft.Authorization/roleAssignments", status=403, body=refused, count=0)
    claimed = {"namespace": "tenant", "name": "x", "type": 0, "resource_id": left}
    done = modules.succeed(MODULE, **CLEAN, inventory={"identities": [claimed]})
    assert not done["changed"] and "Could not list the role assignments of " in str(done["warnings"])


@pytest.mark.parametrize("answer", ["ResourceGroupNotFound", "ResourceNotFound", "NotFound", ""], ids=str)
def test_a_list_that_lacks_an_identity_proves_nothing(modules: Modules, world: World, answer: str) -> None:
    attach(world, "alive")
    refusal = {"error": {"code": answer, "message": "It is not there."}}
    body: dict[str, Any] = refusal if answer else {"value": []}
    path = "/resourceGroups/rg/providers/Microsoft.ManagedIdentity/userAssignedIdentities\\?"
    modules.fault("GET", path, status=404 if answer else 200, body=body, count=0)
    done = modules.succeed(MODULE, **CLEAN)
    assert not done["changed"] and shown(done["ownership"])["alive"] == ("unknown", False)
    (resource,) = modules.succeed(INFO, **CLUSTER, check_existence=True)["resources"]
    assert {each["exists"] for each in resource["identities"]} == {True}


def test_a_group_without_the_scale_sets_of_its_cluster_is_no_answer(modules: Modules, world: World) -> None:
    attach(world, "left")
    modules.fault("GET", "/virtualMachineScaleSets\\?", status=200, body={"value": []}, count=0)
    for state in ("clean", "absent"):
        failed = modules.fail(MODULE, **{**CLEAN, "state": state}, identities=[])
        assert "Azure lists no scale set in the resource group MC_rg_c1_westeurope, though the cluster" in failed["msg"]
    assert "Azure lists no scale set" in modules.fail(INFO, **CLUSTER)["msg"]
