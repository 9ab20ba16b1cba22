# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain import roles
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.errors import Failure

SCOPE = "/subscriptions/s/resourceGroups/rg/providers/Microsoft.ManagedIdentity/userAssignedIdentities/i"
MIO = roles.Role("Managed Identity Operator", "f1a07417-d97a-45cb-824c-7a7467783830")
READER = roles.Role("Reader", "acdd72a7-3385-48ef-bd42-f606fba81ae7")


def held(scope: str, role: roles.Role = MIO, principal: str = "P") -> roles.Assignment:
    definition = f"/subscriptions/s/providers/Microsoft.Authorization/roleDefinitions/{role.guid.upper()}"
    return roles.Assignment(scope + "#", "n", scope, definition, principal, "ServicePrincipal")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("managed identity operator", MIO),
        (MIO.guid.upper(), MIO),
        (f"/providers/Microsoft.Authorization/roleDefinitions/{MIO.guid}", MIO),
        ("11111111-2222-3333-4444-555555555555", roles.Role(*["11111111-2222-3333-4444-555555555555"] * 2)),
        ("Our own role", None),
    ],
)
def test_well_known_roles_need_no_request(text: str, expected: roles.Role | None) -> None:
    assert roles.named(text) == expected


def test_assignments_are_told_apart_by_scope_role_and_principal() -> None:
    exact = held(SCOPE.upper(), principal="p")
    group = held("/subscriptions/s/resourcegroups/rg")
    root = held("/")
    others = [
        held(SCOPE, READER),
        held(SCOPE, principal="Q"),
        held(SCOPE + "/federatedIdentityCredentials/f"),
        held("/subscriptions/s/resourceGroups/r"),
    ]
    assert roles.matching([root, group, *others, exact], SCOPE, MIO, "P") == ([exact], [root, group])


def test_the_name_depends_on_scope_role_and_principal_alone() -> None:
    name = roles.assignment_name(SCOPE, MIO, "P")
    assert name == roles.assignment_name(SCOPE.upper() + "/", MIO, "p")
    assert len({name, roles.assignment_name(SCOPE, READER, "P"), roles.assignment_name(SCOPE, MIO, "Q")}) == 3


@pytest.mark.parametrize(
    ("scope", "prefix"),
    [(SCOPE, "/subscriptions/s"), ("/providers/Microsoft.Management/managementGroups/m", ""), ("/", ""), ("", "")],
)
def test_the_definition_is_named_where_the_scope_lies(scope: str, prefix: str) -> None:
    expected = f"{prefix}/providers/Microsoft.Authorization/roleDefinitions/{MIO.guid}"
    assert roles.definition_id(scope, MIO) == expected


def test_a_role_name_must_stand_for_one_role() -> None:
    assert roles.require_one("x", [MIO], SCOPE) == MIO
    with pytest.raises(Failure, match="no role named 'x'"):
        roles.require_one("x", [], SCOPE)
    with pytest.raises(Failure, match="stands for 2 roles"):
        roles.require_one("x", [MIO, READER], SCOPE)
