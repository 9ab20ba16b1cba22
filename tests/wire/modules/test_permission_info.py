# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.tests.support.modules import Modules
from azsandbox.azure.loopback import Credentials, SimulatedAzure

IDENTITIES = "Microsoft.ManagedIdentity/userAssignedIdentities"
GRANT = "Microsoft.Authorization/roleAssignments/write"
ACTIONS = [f"{IDENTITIES}/read", f"{IDENTITIES}/write", GRANT]
AUTHORIZATION = "/providers/Microsoft.Authorization"


@pytest.fixture
def scope(azure: SimulatedAzure, group: str) -> str:
    return f"/subscriptions/{azure.subscription_id}/resourceGroups/{group}"


def ask(modules: Modules, scope: str, actions: list[str], who: Credentials | None = None) -> dict[str, Any]:
    return modules.succeed("permission_info", needs=[{"scope": scope, "actions": actions}], who=who)


def missing(answer: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [(each["action"], each["reason"], each["by"]) for each in answer["missing"]]


def with_role(azure: SimulatedAzure, name: str, role: str, scope: str) -> Credentials:
    return azure.principal(name, (role, scope))


def lock(azure: SimulatedAzure, scope: str, level: str) -> None:
    path = f"{scope}{AUTHORIZATION}/locks/keep"
    azure.arm("PUT", path, {"properties": {"level": level}}, version="2020-05-01").raise_for_status()


@pytest.mark.parametrize(
    ("role", "expected"),
    [
        ("Owner", []),
        ("Contributor", [GRANT]),
        ("Reader", [f"{IDENTITIES}/write", GRANT]),
        ("Role Based Access Control Administrator", [f"{IDENTITIES}/write"]),
    ],
)
def test_roles(modules: Modules, azure: SimulatedAzure, scope: str, role: str, expected: list[str]) -> None:
    who = with_role(azure, "somebody", role, scope)
    answer = ask(modules, scope, ACTIONS, who)
    assert missing(answer) == [(action, "not_granted", "") for action in expected]
    assert answer["not_asked"] == []
    assert all(each["scope"] == scope and "Owner" in each["remedy"] for each in answer["missing"])


def test_what_is_answered_is_what_happens(modules: Modules, azure: SimulatedAzure, scope: str) -> None:
    """The very request is refused, or goes through."""
    reader = with_role(azure, "reader", "Reader", scope)
    contributor = with_role(azure, "contributor", "Contributor", scope)
    for who, refused in ((reader, True), (contributor, False)):
        answer = ask(modules, scope, [f"{IDENTITIES}/write"], who)
        assert bool(answer["missing"]) is refused
        made = modules("user_assigned_identity", resource_group="rg", name="billing", who=who)
        assert bool(made.get("failed")) is refused


def test_not_actions_of_a_custom_role(modules: Modules, azure: SimulatedAzure, scope: str) -> None:
    azure.custom_role("Our own role", scope, [f"{IDENTITIES}/*", "*/read"], [f"{IDENTITIES}/write"])
    who = with_role(azure, "somebody", "Our own role", scope)
    answer = ask(modules, scope, [*ACTIONS[:2], f"{IDENTITIES}/delete"], who)
    assert missing(answer) == [(f"{IDENTITIES}/write", "not_granted", "")]


def test_a_role_at_the_resource_itself(modules: Modules, azure: SimulatedAzure, scope: str) -> None:
    modules.succeed("user_assigned_identity", resource_group="rg", name="billing")
    identity = f"{scope}/providers/{IDENTITIES}/billing"
    who = with_role(azure, "somebody", "Contributor", identity)
    answer = ask(modules, identity, [f"{IDENTITIES}/write", GRANT], who)
    assert missing(answer) == [(GRANT, "not_granted", "")]
    # At the group this caller may read neither locks nor deny assignments, and is told so.
    assert {each["what"] for each in answer["not_asked"]} == {"denyAssignments", "locks"}
    assert {each["scope"] for each in answer["not_asked"]} == {scope}


@pytest.mark.parametrize(
    ("level", "stopped"),
    [("ReadOnly", [f"{IDENTITIES}/write", f"{IDENTITIES}/delete"]), ("CanNotDelete", [f"{IDENTITIES}/delete"])],
)
def test_a_lock_of_the_group(
    modules: Modules, azure: SimulatedAzure, scope: str, level: str, stopped: list[str]
) -> None:
    modules.succeed("user_assigned_identity", resource_group="rg", name="billing")
    lock(azure, scope, level)
    identity = f"{scope}/providers/{IDENTITIES}/billing"
    answer = ask(modules, identity, [f"{IDENTITIES}/{verb}" for verb in ("read", "write", "delete")])
    assert missing(answer) == [(action, "locked", "keep") for action in stopped]
    written = modules("user_assigned_identity", resource_group="rg", name="billing", tags={"a": "b"})
    assert bool(written.get("failed")) is (level == "ReadOnly")


def test_a_lock_below_stops_the_deletion_of_the_group(modules: Modules, azure: SimulatedAzure, scope: str) -> None:
    modules.succeed("user_assigned_identity", resource_group="rg", name="billing")
    lock(azure, f"{scope}/providers/{IDENTITIES}/billing", "CanNotDelete")
    groups = "Microsoft.Resources/subscriptions/resourceGroups"
    answer = ask(modules, scope, [f"{groups}/write", f"{groups}/delete"])
    assert missing(answer) == [(f"{groups}/delete", "locked", "keep")]


def test_the_node_resource_group_is_locked_down(modules: Modules, azure: SimulatedAzure, group: str) -> None:
    made = azure.cluster(group, nodeResourceGroupProfile={"restrictionLevel": "ReadOnly"})
    nodes = f"/resourceGroups/{made['properties']['nodeResourceGroup']}"
    answer = ask(modules, nodes, [GRANT, "Microsoft.Compute/disks/read"])
    assert missing(answer) == [(GRANT, "denied", "AKS-NRG-Lockdown")]


def test_what_does_not_exist_is_answered_from_above(modules: Modules, azure: SimulatedAzure, scope: str) -> None:
    subscription = f"/subscriptions/{azure.subscription_id}"
    reader = with_role(azure, "reader", "Reader", subscription)
    contributor = with_role(azure, "contributor", "Contributor", scope)
    write = f"{IDENTITIES}/write"
    new = f"/resourceGroups/new/providers/{IDENTITIES}/billing"
    here = f"/resourceGroups/rg/providers/{IDENTITIES}/billing"
    assert missing(ask(modules, new, [write], reader)) == [(write, "not_granted", "")]
    assert missing(ask(modules, new, [write], contributor)) == [(write, "not_granted", "")]
    assert missing(ask(modules, here, [write], contributor)) == []
    assert missing(ask(modules, new, [write])) == []
    lock(azure, subscription, "ReadOnly")
    assert missing(ask(modules, new, [write])) == [(write, "locked", "keep")]


def test_every_scope_is_asked_once(modules: Modules, azure: SimulatedAzure, scope: str) -> None:
    mark = modules.mark()
    needs = [{"scope": f"{scope}/providers/{IDENTITIES}/i{number}", "actions": ACTIONS} for number in range(5)]
    assert modules.succeed("permission_info", needs=[*needs, {"scope": scope.upper(), "actions": [GRANT]}])
    assert sorted(entry["path"].rpartition("/")[2] for entry in modules.requests(mark, path="Authorization")) == [
        "denyAssignments",
        "locks",
        "permissions",
    ]


def test_a_subscription_that_is_not_there(modules: Modules) -> None:
    nowhere = "/subscriptions/00000000-0000-0000-0000-000000000009"
    failed = modules.fail("permission_info", needs=[{"scope": nowhere, "actions": [GRANT]}])
    assert failed["error"]["code"] == "SubscriptionNotFound"
