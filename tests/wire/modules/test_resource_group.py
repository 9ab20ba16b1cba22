# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible_collections.azureops.pod_identity.tests.support.modules import Modules
from azsandbox.azure.loopback import SimulatedAzure

FAST = {"poll_interval": 0.1}


def test_the_life_of_a_group(modules: Modules, azure: SimulatedAzure) -> None:
    made = modules.check_and_do("resource_group", name="rg", location="westeurope", tags={"team": "a"})
    identifier = f"/subscriptions/{azure.subscription_id}/resourceGroups/rg"
    assert made["state"] == {
        "id": identifier,
        "name": "rg",
        "location": "westeurope",
        "tags": {"team": "a"},
        "provisioning_state": "Succeeded",
    }
    assert made["diff"] == {"before": {}, "after": made["state"]}
    assert made["actions"] == ["create resource group rg"]

    changed = modules.check_and_do("resource_group", name="rg", tags={"Team": "b", "cost": 5})
    assert changed["state"]["tags"] == {"team": "b", "cost": "5"}
    replaced = modules.check_and_do("resource_group", name="rg", tags={"cost": 5}, append_tags=False)
    assert replaced["diff"]["before"]["tags"] == {"team": "b", "cost": "5"}
    assert azure.arm("GET", "/resourceGroups/rg").json()["tags"] == {"cost": "5"}

    deleted = modules.check_and_do("resource_group", name="rg", state="absent", **FAST)
    assert deleted["state"] == {}
    assert azure.arm("GET", "/resourceGroups/rg").status_code == 404


def test_a_group_with_resources_is_deleted_only_on_demand(modules: Modules, azure: SimulatedAzure, group: str) -> None:
    modules.succeed("user_assigned_identity", resource_group=group, name="one")
    for check in (True, False):
        refused = modules.fail("resource_group", name=group, state="absent", check=check)
        assert refused["msg"] == (
            "The resource group rg still holds 1 resource (one); remove them, or set force_delete_nonempty to true to "
            "delete them with it."
        )
    modules.check_and_do("resource_group", name=group, state="absent", force_delete_nonempty=True, **FAST)
    assert azure.arm("GET", f"/resourceGroups/{group}").status_code == 404


def test_resources_that_are_about_to_go_do_not_keep_a_group(
    modules: Modules, azure: SimulatedAzure, group: str
) -> None:
    one, _two = (
        modules.succeed("user_assigned_identity", resource_group=group, name=name)["state"]["id"]
        for name in ("one", "two")
    )
    going = {"name": group, "state": "absent", "ignore_resources": [one.replace("resourceGroups", "RESOURCEGROUPS")]}
    for check in (True, False):
        assert "still holds 1 resource (two)" in modules.fail("resource_group", check=check, **going)["msg"]
    modules.succeed("user_assigned_identity", resource_group=group, name="two", state="absent")
    modules.check_and_do("resource_group", **going, **FAST)
    assert azure.arm("GET", f"/resourceGroups/{group}").status_code == 404


def test_what_cannot_be(modules: Modules, group: str) -> None:
    moved = "rg is in westeurope and cannot move to eastus; use another name, or leave location out."
    absent = "new does not exist; name the location in which to create it."
    for options, said in (({"name": "new"}, absent), ({"name": group, "location": "eastus"}, moved)):
        for check in (True, False):
            assert modules.fail("resource_group", check=check, **options)["msg"] == f"The resource group {said}"


def test_a_locked_group_is_not_deleted(modules: Modules, azure: SimulatedAzure, group: str) -> None:
    lock = f"/resourceGroups/{group}/providers/Microsoft.Authorization/locks/keep"
    azure.arm("PUT", lock, {"properties": {"level": "CanNotDelete"}}, version="2016-09-01").raise_for_status()
    refused = modules.fail("resource_group", name=group, state="absent")
    assert refused["msg"].startswith("Could not delete the resource group rg: a lock on ")
    assert refused["msg"].endswith("; remove the lock (az lock list, az lock delete) or ask its owner.")
    assert (refused["error"]["code"], refused["failed_action"]) == ("ScopeLocked", "delete resource group rg")
    assert (refused["actions"], refused["changed"]) == ([], False)


def test_a_missing_permission_is_named(modules: Modules, azure: SimulatedAzure) -> None:
    reader = azure.principal("reader", ("Reader", f"/subscriptions/{azure.subscription_id}"))
    refused = modules.fail("resource_group", name="rg", location="westeurope", who=reader)
    said = f"Could not write the resource group rg: the principal {reader.object_id} may not perform "
    action = f"microsoft.resources/subscriptions/resourcegroups/write at /subscriptions/{azure.subscription_id}/"
    assert refused["msg"].startswith(said) and action in refused["msg"].lower()
    assert refused["error"]["status"] == 403 and refused["error"]["request_id"]


def test_a_group_that_is_being_deleted(modules: Modules, azure: SimulatedAzure, group: str) -> None:
    azure.control("POST", "/settings", {"time_scale": 0.1})
    azure.arm("DELETE", f"/resourceGroups/{group}").raise_for_status()
    made = modules.succeed("resource_group", name=group, location="eastus", **FAST)
    assert made["actions"] == ["create resource group rg"]
    assert azure.arm("GET", f"/resourceGroups/{group}").json()["location"] == "eastus"
    azure.arm("DELETE", f"/resourceGroups/{group}").raise_for_status()
    modules.succeed("resource_group", name=group, state="absent", **FAST)
    assert azure.arm("GET", f"/resourceGroups/{group}").status_code == 404


def test_all_pages_of_a_list_count(modules: Modules, azure: SimulatedAzure, group: str) -> None:
    following = f"{azure.endpoints.arm}/subscriptions/{azure.subscription_id}/resources?page=2&api-version=2021-04-01"
    for path, names, more in (("/resources\\?api", "ab", {"nextLink": following}), ("page=2", "c", {})):
        page = {"value": [{"id": f"/subscriptions/s/resourceGroups/rg/providers/p/t/{name}"} for name in names], **more}
        modules.fault("GET", path, status=200, body=page)
    refused = modules.fail("resource_group", name=group, state="absent")
    assert "still holds 3 resources (a, b, c)" in refused["msg"]


def test_a_group_is_read(modules: Modules, azure: SimulatedAzure, group: str) -> None:
    look = {"name": group.upper(), "list_resources": True}
    state = modules.succeed("resource_group", name=group, tags={"team": "a"})["state"]
    one = modules.succeed("user_assigned_identity", resource_group=group, name="one")["state"]["id"]
    mark = modules.mark()
    assert modules.succeed("resource_group_info", name=group)["groups"] == [state]
    assert len(modules.requests(mark, path="/resourcegroups/")) == 1
    (found,) = modules.succeed("resource_group_info", **look, check=True)["groups"]
    assert [each.lower() for each in found.pop("resources")] == [one.lower()]
    assert found == state
    mark = modules.mark()
    assert modules.succeed("resource_group_info", name="nowhere", list_resources=True)["groups"] == []
    assert len(modules.requests(mark, path="/resourcegroups/")) == 1
    azure.control("POST", "/settings", {"time_scale": 1})
    azure.arm("DELETE", f"/resourceGroups/{group}").raise_for_status()
    (going,) = modules.succeed("resource_group_info", name=group)["groups"]
    assert going["provisioning_state"] == "Deleting"


def test_who_may_not_read_a_group_is_not_told_that_there_is_none(
    modules: Modules, azure: SimulatedAzure, group: str
) -> None:
    failed = modules.fail("resource_group_info", name=group, who=azure.principal("nobody"))
    assert failed["error"]["status"] == 403 and "groups" not in failed
