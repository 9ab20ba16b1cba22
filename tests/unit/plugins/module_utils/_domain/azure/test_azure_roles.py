# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.azure import azure_roles
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.errors import Failure
from ansible_collections.azureops.pod_identity.tests.unit.tables import case, for_each

SCOPE = "/subscriptions/s/resourceGroups/rg/providers/Microsoft.ManagedIdentity/userAssignedIdentities/i"
MIO = azure_roles.Role("Managed Identity Operator", "f1a07417-d97a-45cb-824c-7a7467783830")
READER = azure_roles.Role("Reader", "acdd72a7-3385-48ef-bd42-f606fba81ae7")


def held(scope: str, role: azure_roles.Role = MIO, principal: str = "P", **more: Any) -> azure_roles.Assignment:
    definition = f"/subscriptions/s/providers/Microsoft.Authorization/roleDefinitions/{role.guid.upper()}"
    properties = {"scope": scope, "roleDefinitionId": definition, "principalId": principal, **more}
    return azure_roles.Assignment(scope + "#", "n", properties)


@for_each(
    ("managed identity operator", MIO),
    (MIO.guid.upper(), MIO),
    (f"/providers/Microsoft.Authorization/roleDefinitions/{MIO.guid}", MIO),
    ("11111111-2222-3333-4444-555555555555", azure_roles.Role(*["11111111-2222-3333-4444-555555555555"] * 2)),
    ("Our own role", None),
)
def test_well_known_roles_need_no_request(text: str, expected: azure_roles.Role | None) -> None:
    assert azure_roles.named(text) == expected


def test_assignments_are_told_apart_by_scope_role_and_principal() -> None:
    exact = held(SCOPE.upper(), principal="p")
    group = held("/subscriptions/s/resourcegroups/rg")
    root = held("/")
    others = [held(SCOPE, READER), held(SCOPE, principal="Q"), held(SCOPE + "/federatedIdentityCredentials/f")]
    others += [held("/subscriptions/s/resourceGroups/r")]
    assert azure_roles.matching([root, group, *others, exact], SCOPE, MIO, "P") == ([exact], [root, group])


OWN = azure_roles.Role("Our own", "11111111-2222-3333-4444-555555555555")
UNNAMED = azure_roles.Role(OWN.guid, OWN.guid)
IN_FORCE = {
    "wide": held("/subscriptions/s/resourcegroups/rg"),
    "reader": held(SCOPE.upper(), READER, principal="p"),
    "other": held(SCOPE, principal="Q"),
    "own": held(SCOPE, OWN),
    "below": held(SCOPE + "/federatedIdentityCredentials/f"),
    "beside": held("/subscriptions/s/resourceGroups/r"),
}


@for_each(
    case("of a principal", "P", [MIO, READER], [("reader", READER), ("wide", MIO)]),
    case("any role", "P", None, [("own", UNNAMED), ("reader", READER), ("wide", MIO)]),
    case("by its name", "P", [OWN], [("own", OWN)]),
    case("of whomever", None, [MIO], [("other", MIO), ("wide", MIO)]),
    case("no role", "P", [], []),
)
def test_which_assignments_count(
    principal: str | None, wanted: list[azure_roles.Role] | None, found: list[tuple[str, azure_roles.Role]]
) -> None:
    """Those at the very scope come first."""
    made = azure_roles.in_force(IN_FORCE.values(), SCOPE, principal, wanted)
    assert made == [(IN_FORCE[name], role) for name, role in found]


def test_which_roles_nobody_has() -> None:
    named = {"reader": READER, MIO.guid: MIO}
    assert azure_roles.unassigned([(IN_FORCE["reader"], READER)], named) == [MIO.guid]
    assert azure_roles.unassigned([], named) == list(named)
    assert azure_roles.unassigned([(IN_FORCE["reader"], READER)], {}) == []


def test_the_name_depends_on_scope_role_and_principal_alone() -> None:
    name, others = azure_roles.assignment_name(SCOPE, MIO, "P"), ((READER, "P"), (MIO, "Q"))
    assert name == azure_roles.assignment_name(SCOPE.upper() + "/", MIO, "p")
    assert len({name, *(azure_roles.assignment_name(SCOPE, *other) for other in others)}) == 3


@for_each((SCOPE, "/subscriptions/s"), ("/providers/Microsoft.Management/managementGroups/m", ""), ("/", ""), ("", ""))
def test_the_definition_is_named_where_the_scope_lies(scope: str, prefix: str) -> None:
    expected = f"{prefix}/providers/Microsoft.Authorization/roleDefinitions/{MIO.guid}"
    assert azure_roles.definition_id(scope, MIO) == expected


def test_a_role_name_must_stand_for_one_role() -> None:
    assert azure_roles.require_one("x", [MIO], SCOPE) == MIO
    with pytest.raises(Failure, match="no role named 'x'"):
        azure_roles.require_one("x", [], SCOPE)
    with pytest.raises(Failure, match="stands for 2 roles"):
        azure_roles.require_one("x", [MIO, READER], SCOPE)


V2 = {"condition": "a", "conditionVersion": "2.0"}


@for_each(
    ({}, {}, {}, ""),
    ({}, {"condition": "", "description": ""}, {}, ""),
    ({}, {"condition": "a\n"}, V2, "condition"),
    (V2, {}, V2, ""),
    (V2, {"condition": " a\n"}, V2, ""),
    (V2, {"condition": "b"}, {**V2, "condition": "b"}, "condition"),
    (V2, {"condition": ""}, {"condition": None, "conditionVersion": None}, "condition"),
    (V2, {"condition": "a", "condition_version": "3.0"}, {**V2, "conditionVersion": "3.0"}, "condition version"),
    ({}, {"condition": "a", "condition_version": "3.0"}, {**V2, "conditionVersion": "3.0"}, "condition"),
    ({}, {"condition": "", "condition_version": "3.0"}, {}, ""),
    ({**V2, "conditionVersion": "1.0"}, {"condition": "a"}, {**V2, "conditionVersion": "1.0"}, ""),
    ({**V2, "conditionVersion": "1.0"}, {"condition": "b"}, {**V2, "condition": "b"}, "condition"),
    (V2, {"description": "d"}, {**V2, "description": "d"}, "description"),
    ({"description": "c"}, {"condition": "a", "description": ""}, {**V2, "description": None}, "both"),
)
def test_only_what_is_named_is_changed(
    current: dict[str, Any], named: dict[str, str], expected: dict[str, Any], difference: str
) -> None:
    before = held(SCOPE, future={"kept": [1]}, createdBy="somebody", **current)
    extras = azure_roles.Extras(**named)
    after = azure_roles.changed(before, extras)
    assert after == held(SCOPE, future={"kept": [1]}, createdBy="somebody", **expected)
    assert (after == before) == (difference == "")
    assert azure_roles.difference(before, after) == difference.replace("both", "condition and description")
    assert azure_roles.changed(after, extras) == after
    written = azure_roles.writable(after)
    assert written["future"] == {"kept": [1]}
    assert not {"scope", "createdBy"} & written.keys()
    assert None not in written.values()


@for_each(
    (None, None, True), ("a", None, True), ("a", "a\n", True), (None, "a", False), ("a", "", False), (None, "", True)
)
def test_an_inherited_assignment_serves_under_the_same_condition(
    condition: str | None, desired: str | None, serves: bool
) -> None:
    assert azure_roles.serves(held("/", condition=condition), azure_roles.Extras(desired, description="x")) is serves
