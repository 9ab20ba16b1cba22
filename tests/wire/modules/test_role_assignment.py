# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.tests.support.modules import Modules
from azsandbox.azure.loopback import Credentials, SimulatedAzure

UNKNOWN = "(known after apply)"
READER = "acdd72a7-3385-48ef-bd42-f606fba81ae7"
LIST = "roleAssignments.*filter"
FAST = {"poll_interval": 0.1}


@pytest.fixture
def scope(azure: SimulatedAzure, group: str) -> str:
    return f"/subscriptions/{azure.subscription_id}/resourceGroups/{group}"


@pytest.fixture
def somebody(azure: SimulatedAzure) -> Credentials:
    return azure.principal("somebody")


def test_the_life_of_an_assignment(modules: Modules, azure: SimulatedAzure, scope: str, somebody: Credentials) -> None:
    desired: dict[str, Any] = {"scope": scope, "role": "reader", "principal_id": somebody.object_id, **FAST}
    made = modules.check_and_do("role_assignment", **desired)
    state = made["state"]
    assert state["id"] == f"{scope}/providers/Microsoft.Authorization/roleAssignments/{state['name']}"
    assert {key: state[key] for key in ("scope", "role_name", "principal_id", "principal_type", "inherited")} == {
        "scope": scope,
        "role_name": "Reader",
        "principal_id": somebody.object_id,
        "principal_type": "ServicePrincipal",
        "inherited": False,
    }
    assert made["diff"] == {"before": {}, "after": state}
    (write,) = modules.requests(method="PUT", path="roleAssignments")
    assert write["body"]["properties"]["principalType"] == "ServicePrincipal"
    same = [{"role": role} for role in (READER, READER.upper(), state["role_definition_id"])]
    for spelled in (*same, {"scope": scope.upper().replace("SUB", "sub")}):
        assert not modules.succeed("role_assignment", **{**desired, **spelled})["changed"]
    removed = modules.check_and_do("role_assignment", **desired, state="absent")
    assert removed["diff"] == {"before": state, "after": {}}
    assert removed["to_remove"] == [state]
    assert modules.succeed("role_assignment", **desired, state="absent")["to_remove"] == []
    assert modules.succeed("role_assignment", **desired)["state"]["name"] == state["name"]


def test_several_roles_are_looked_up_once(
    modules: Modules, azure: SimulatedAzure, scope: str, somebody: Credentials
) -> None:
    who: dict[str, Any] = {"scope": scope, "principal_id": somebody.object_id, **FAST}
    held = modules.succeed("role_assignment", **who, role="Reader")["state"]
    all_of = ["Reader", "Managed Identity Operator", "Network Contributor"]
    desired = {**who, "roles": all_of}
    made = modules.check_and_do("role_assignment", **desired)
    assert made["state"] == made["diff"]["after"]
    assert [(role, state["role_name"]) for role, state in made["state"].items()] == [(one, one) for one in all_of]
    assert made["diff"]["before"] == {"Reader": held, "Managed Identity Operator": {}, "Network Contributor": {}}
    mark = modules.mark()
    assert not modules.succeed("role_assignment", **desired)["changed"]
    assert len(modules.requests(mark, path=LIST)) == 1
    predicted = modules.succeed("role_assignment", check=True, **{**desired, "principal_id": UNKNOWN})
    assert {state["id"] for state in predicted["state"].values()} == {UNKNOWN}
    removed = modules.check_and_do("role_assignment", **{**desired, "roles": all_of[1:]}, state="absent")
    assert removed["state"] == {"Managed Identity Operator": {}, "Network Contributor": {}}
    assert removed["to_remove"] == [made["state"][role] for role in all_of[1:]]
    assert modules.succeed("role_assignment", **who, role="Reader")["state"] == held


def test_only_what_this_module_has_made_is_purged(
    modules: Modules, azure: SimulatedAzure, scope: str, somebody: Credentials
) -> None:
    wide, below = f"/subscriptions/{azure.subscription_id}", azure.identity("below")["id"]
    who: dict[str, Any] = {"principal_id": somebody.object_id, **FAST}
    places = ((wide, "Contributor"), (below, "Reader"), (scope, "Reader"), (scope, "AcrPull"))
    made = {(at, of): modules.succeed("role_assignment", **who, scope=at, role=of)["state"] for at, of in places}
    other = azure.principal("other", ("Reader", scope))
    theirs = azure.assign(scope, "4d97b98b-1d4f-4787-a291-c67834d212e7", somebody.object_id).json()["id"]

    desired: dict[str, Any] = {**who, "scope": scope.upper().replace("/SUB", "/sub"), "roles": ["AcrPull", "Owner"]}
    assert modules.succeed("role_assignment", **desired, check=True)["actions"] == [
        f"assign Owner to {somebody.object_id} at {desired['scope']}"
    ]
    done = modules.check_and_do("role_assignment", **desired, purge_roles=True)
    assert done["actions"] == [
        f"assign Owner to {somebody.object_id} at {desired['scope']}",
        f"remove Reader from {somebody.object_id} at {desired['scope']}",
    ]
    assert done["diff"]["before"]["Reader"]["id"] == made[scope, "Reader"]["id"] and done["state"]["Reader"] == {}
    told = str(done["warnings"])
    assert f"still holds Network Contributor at {desired['scope']}, by an assignment of somebody else" in told
    assert f"still holds Contributor at {desired['scope']}, inherited from {wide}" in told
    assert len(done["warnings"]) == 2
    left = {theirs, made[wide, "Contributor"]["id"], made[below, "Reader"]["id"]}
    assert all(azure.arm("GET", each, version="2022-04-01").status_code == 200 for each in left)
    assert azure.arm("GET", "/resourceGroups/rg", who=other).status_code == 200

    nothing = {**who, "scope": scope, "roles": []}
    assert "set purge_allow_empty" in modules.fail("role_assignment", **nothing, purge_roles=True)["msg"]
    assert not modules.succeed("role_assignment", **nothing)["changed"]
    emptied = modules.check_and_do("role_assignment", **nothing, purge_roles=True, purge_allow_empty=True)
    assert [action.split(" from ")[0] for action in emptied["actions"]] == ["remove AcrPull", "remove Owner"]
    assert all(azure.arm("GET", each, version="2022-04-01").status_code == 200 for each in left)
    unknown = modules.succeed("role_assignment", check=True, **{**desired, "principal_id": UNKNOWN}, purge_roles=True)
    assert set(unknown["state"]) == {"AcrPull", "Owner"}


def test_a_wider_assignment_counts_unless_told_otherwise(
    modules: Modules, azure: SimulatedAzure, scope: str, somebody: Credentials
) -> None:
    wide = f"/subscriptions/{azure.subscription_id}"
    modules.succeed("role_assignment", scope=wide, role="Reader", principal_id=somebody.object_id, **FAST)
    desired: dict[str, Any] = {"scope": scope, "role": "Reader", "principal_id": somebody.object_id, **FAST}
    satisfied = modules.succeed("role_assignment", **desired)
    assert not satisfied["changed"]
    assert satisfied["state"]["inherited"]
    assert satisfied["state"]["scope"].lower() == wide.lower()
    left = modules.succeed("role_assignment", **desired, state="absent")
    assert not left["changed"]
    assert "still holds Reader" in str(left["warnings"])
    own = modules.check_and_do("role_assignment", **desired, accept_inherited=False)
    assert not own["state"]["inherited"]


OTHER = "@Resource[Microsoft.Storage/storageAccounts:name] StringEquals 'b'"
CONDITION = OTHER.replace("'b'", "'a'")


def assigned(azure: SimulatedAzure, state: dict[str, Any]) -> dict[str, Any]:
    """The properties of an assignment as Azure has them."""
    return dict(azure.arm("GET", state["id"], version="2022-04-01").json()["properties"])


def test_condition_and_description_are_changed_in_place(
    modules: Modules, azure: SimulatedAzure, scope: str, somebody: Credentials
) -> None:
    desired: dict[str, Any] = {"scope": scope, "role": "Reader", "principal_id": somebody.object_id, **FAST}
    made = modules.check_and_do("role_assignment", **desired, condition=CONDITION + "\n", description="why")
    state = made["state"]
    assert made["diff"]["after"] == state
    assert (state["condition"], state["condition_version"], state["description"]) == (CONDITION, "2.0", "why")
    before = assigned(azure, state)
    assert (before["condition"], before["conditionVersion"], before["description"]) == (CONDITION, "2.0", "why")
    assert not modules.succeed("role_assignment", **desired)["changed"]

    changed = modules.check_and_do("role_assignment", **desired, condition=OTHER)
    assert changed["actions"] == [f"change the condition of Reader for {somebody.object_id} at {scope}"]
    assert changed["state"] == {**state, "condition": OTHER} == changed["diff"]["after"]
    after = assigned(azure, state)
    ever_new = ("condition", "updatedOn", "updatedBy")
    assert {**after, **dict.fromkeys(ever_new)} == {**before, **dict.fromkeys(ever_new)}

    bare = modules.check_and_do("role_assignment", **desired, condition="", description="")
    assert bare["state"] == {**state, "condition": "", "condition_version": "", "description": ""}
    assert [assigned(azure, state)[name] for name in ("condition", "conditionVersion", "description")] == [None] * 3
    modules.check_and_do("role_assignment", **desired, description="again")
    assert modules.check_and_do("role_assignment", **desired, state="absent")["diff"]["after"] == {}


def test_an_assignment_of_somebody_else_is_changed_under_its_own_name(
    modules: Modules, azure: SimulatedAzure, scope: str, somebody: Credentials
) -> None:
    """What the module does not know of it is carried, and ``absent`` finds it too."""
    theirs = f"{scope}/providers/Microsoft.Authorization/roleAssignments/99999999-2222-3333-4444-555555555555"
    kept = {
        "roleDefinitionId": f"/providers/Microsoft.Authorization/roleDefinitions/{READER}",
        "principalId": somebody.object_id,
        "principalType": "ServicePrincipal",
        "delegatedManagedIdentityResourceId": "/subscriptions/x",
        "futureProperty": {"kept": [1, None]},
    }
    properties = {**kept, "scope": scope, "createdBy": somebody.object_id}
    body = {"id": theirs, "name": theirs.rpartition("/")[2], "properties": properties}
    azure.arm("PUT", theirs, body, version="2022-04-01").raise_for_status()
    modules.fault("GET", LIST, status=200, body={"value": [body]})
    mark = modules.mark()
    desired = {"scope": scope, "role": "Reader", "principal_id": somebody.object_id, **FAST}
    done = modules.succeed("role_assignment", **desired, description="ours now")
    (write,) = modules.requests(mark, method="PUT")
    assert write["path"] == theirs
    assert write["body"] == {"properties": {**kept, "description": "ours now"}}
    assert done["state"]["name"] == body["name"]
    modules.check_and_do("role_assignment", **desired, state="absent")
    assert azure.arm("GET", theirs, version="2022-04-01").status_code == 404


def test_an_inherited_assignment_counts_under_its_condition_alone(
    modules: Modules, azure: SimulatedAzure, scope: str, somebody: Credentials
) -> None:
    wide = {"role": "Reader", "principal_id": somebody.object_id, "scope": f"/subscriptions/{azure.subscription_id}"}
    state = modules.succeed("role_assignment", **wide, **FAST, condition=CONDITION)["state"]
    desired: dict[str, Any] = {**wide, "scope": scope, **FAST}
    for satisfied in ({}, {"condition": CONDITION}, {"condition": CONDITION, "description": "another"}):
        assert not modules.succeed("role_assignment", **desired, **satisfied)["changed"]
    own = modules.check_and_do("role_assignment", **desired, condition=OTHER)
    assert not own["state"]["inherited"]
    assert assigned(azure, state)["condition"] == CONDITION


def test_an_unknown_principal_is_predicted_only(modules: Modules, scope: str) -> None:
    mark = modules.mark()
    desired: dict[str, Any] = {"scope": scope, "role": "Managed Identity Operator", "principal_id": UNKNOWN}
    predicted = modules.succeed("role_assignment", check=True, **desired, condition="c", description="d")
    assert predicted["diff"]["after"] == predicted["state"]
    assert [predicted["state"][k] for k in ("condition", "condition_version", "description")] == ["c", "2.0", "d"]
    unknown = modules.succeed("role_assignment", check=True, **{**desired, "scope": UNKNOWN})["state"]
    assert unknown["scope"] == UNKNOWN
    assert unknown.keys() == predicted["state"].keys()
    assert predicted["changed"]
    assert predicted["state"]["id"] == UNKNOWN
    assert predicted["state"]["role_name"] == "Managed Identity Operator"
    assert modules.requests(mark, path="roleAssignments") == []
    assert "(known after apply)" in modules.fail("role_assignment", **desired)["msg"]


@pytest.mark.parametrize("role", ["Reader", "Our own role"])
def test_a_scope_that_will_exist(modules: Modules, azure: SimulatedAzure, somebody: Credentials, role: str) -> None:
    subscription = f"/subscriptions/{azure.subscription_id}"
    azure.custom_role("Our own role", subscription, ["*/read"])
    desired = {"scope": f"{subscription}/resourceGroups/new", "role": role, "principal_id": somebody.object_id}
    predicted = modules.succeed("role_assignment", check=True, **desired)
    assert predicted["changed"]
    failed = modules.fail("role_assignment", **desired)
    assert failed["error"]["code"] == "ResourceGroupNotFound"
    assert failed["msg"].endswith("create it first.")
    azure.group("new")
    assert modules.succeed("role_assignment", **desired, **FAST)["state"]["role_name"] == role


def test_all_waits_of_a_task_share_one_bound(modules: Modules, scope: str, somebody: Credentials) -> None:
    """To assign takes all of it, so the list, which shows nothing, is looked at once before and once after."""
    modules.fault("PUT", "roleAssignments", delay=2)
    modules.fault("GET", LIST, status=200, body={"value": []}, count=0)
    desired = {"scope": scope, "role": "Reader", "principal_id": somebody.object_id}
    failed = modules.fail("role_assignment", **desired, wait_timeout=2, **FAST)
    assert "is not listed there after 2 seconds" in failed["msg"]
    assert len(modules.requests(method="GET", path=LIST)) == 2


@pytest.mark.parametrize("more", [{}, {"wait_visible": False}, {"description": "ours now"}], ids=" ".join)
def test_an_equal_assignment_that_the_list_hid(
    modules: Modules, azure: SimulatedAzure, scope: str, somebody: Credentials, more: dict[str, Any]
) -> None:
    """Azure says that it exists already; it is found, and what is named is changed in it."""
    other = azure.assign(scope, READER, somebody.object_id).json()["name"]
    modules.fault("GET", LIST, status=200, body={"value": []})
    desired = {"scope": scope, "role": "Reader", "principal_id": somebody.object_id, **FAST}
    made = modules.succeed("role_assignment", **desired, **more)
    assert made["state"]["name"] == other
    assert made["state"]["description"] == more.get("description", "")
    assert not modules.succeed("role_assignment", **desired, **more)["changed"]


def test_a_new_assignment_is_waited_for_until_it_is_listed(modules: Modules, scope: str, somebody: Credentials) -> None:
    desired: dict[str, Any] = {"scope": scope, "role": "Reader", "principal_id": somebody.object_id, **FAST}
    modules.fault("GET", LIST, status=200, body={"value": []}, nth=2, count=3)
    mark = modules.mark()
    modules.succeed("role_assignment", **desired)
    assert len(modules.requests(mark, method="GET", path="roleAssignments")) == 5
    modules.fault("GET", LIST, status=200, body={"value": []}, nth=1, count=0)
    failed = modules.fail("role_assignment", **{**desired, "role": "Contributor"}, wait_timeout=1)
    assert "is not listed there after 1 seconds" in failed["msg"]
    mark = modules.mark()
    modules.succeed("role_assignment", **{**desired, "role": "Owner"}, wait_visible=False)
    assert len(modules.requests(mark, method="GET", path="roleAssignments")) == 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"principal_id": ""}, "'' is not the object id of a principal; "),
        ({"principal_id": "11111111-2222-3333-4444"}, "'11111111-2222-3333-4444' is not the object id of a principal"),
        ({"principal_type": "User"}, "(UnmatchedPrincipalType); set principal_type to the kind that the principal"),
        ({"condition_version": "2.0"}, "condition"),
        ({"role": "Raeder"}, "There is no role named 'Raeder' at {scope}; check its spelling, or give its GUID."),
    ],
)
def test_what_makes_no_sense(
    modules: Modules, scope: str, somebody: Credentials, change: dict[str, str], said: str
) -> None:
    desired = {"scope": scope, "role": "Reader", "principal_id": somebody.object_id, **change}
    assert said.format(scope=scope) in modules.fail("role_assignment", **desired)["msg"]


def test_assignments_are_read(modules: Modules, azure: SimulatedAzure, scope: str, somebody: Credentials) -> None:
    who = {"principal_id": somebody.object_id}
    wide = f"/subscriptions/{azure.subscription_id}"
    reader = modules.succeed("role_assignment", **who, scope=wide, role="Reader", **FAST)["state"]
    condition = {"condition": "@Resource[x] StringEquals 'y'", "description": "d"}
    operator = modules.succeed("role_assignment", **who, scope=scope, role="AcrPull", **condition, **FAST)["state"]
    other = azure.principal("other", ("Reader", scope))
    info = "role_assignment_info"

    mark = modules.mark()
    found = modules.succeed(info, **who, scope=scope, check=True)
    assert found["assignments"] == [operator, {**reader, "inherited": True}]
    assert found["missing"] == []
    assert len(modules.requests(mark, path="/Microsoft.Authorization/")) == 1
    named = {"roles": [READER.upper(), "Owner", "acrpull"], "scope": scope}
    found = modules.succeed(info, **who, **named)
    assert [each["role_name"] for each in found["assignments"]] == ["AcrPull", "Reader"]
    assert found["missing"] == ["Owner"]
    found = modules.succeed(info, principal_id=other.object_id, **named)
    assert [each["inherited"] for each in found["assignments"]] == [False]
    assert found["missing"] == ["Owner", "acrpull"]

    everybody = modules.succeed(info, scope=scope)["assignments"]
    assert {(each["principal_id"], each["role_name"], each["inherited"]) for each in everybody} >= {
        (somebody.object_id, "AcrPull", False),
        (somebody.object_id, "Reader", True),
        (other.object_id, "Reader", False),
        (azure.owner.object_id, "Owner", True),
    }
    assert [each["inherited"] for each in everybody] == sorted(each["inherited"] for each in everybody)
    found = modules.succeed(info, scope=f"{wide}/resourceGroups/nowhere", **who, roles=["Reader"])
    assert (found["assignments"], found["missing"]) == ([], ["Reader"])


@pytest.mark.parametrize("unknown", ["scope", "principal_id"])
def test_nothing_is_assigned_where_something_is_still_to_come(
    modules: Modules, scope: str, somebody: Credentials, unknown: str
) -> None:
    look = {"scope": scope, "principal_id": somebody.object_id, "roles": ["Our own"], unknown: UNKNOWN}
    mark = modules.mark()
    found = modules.succeed("role_assignment_info", **look, check=True)
    assert (found["assignments"], found["missing"]) == ([], ["Our own"])
    assert modules.requests(mark) == []
    assert "pass the real value" in modules.fail("role_assignment_info", **look)["msg"]


def test_assignments_that_may_not_be_read_are_not_missing(
    modules: Modules, azure: SimulatedAzure, scope: str, somebody: Credentials
) -> None:
    look = {"scope": scope, "principal_id": somebody.object_id, "roles": ["Reader"]}
    failed = modules.fail("role_assignment_info", **look, who=azure.principal("nobody"))
    assert failed["error"]["status"] == 403 and "missing" not in failed
    wrong = (
        ({"principal_id": "x"}, "is not the object id of a principal"),
        ({"roles": ["Nobody"]}, "no role named 'Nobody'"),
    )
    for change, said in wrong:
        assert said in modules.fail("role_assignment_info", **{**look, **change})["msg"]
