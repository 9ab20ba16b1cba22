# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.azure import arm_id
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.errors import Failure
from ansible_collections.azureops.pod_identity.tests.unit.tables import for_each

segments = st.text(alphabet="abcXYZ019-_.", min_size=1, max_size=8)


@for_each(
    ("/subscriptions/s", "s", "", "", "s"),
    ("/subscriptions/s/resourceGroups/rg", "s", "rg", "", "rg"),
    ("/subscriptions/s/resourcegroups/rg/", "s", "rg", "", "rg"),
    (
        "/subscriptions/s/resourcegroups/rg/providers/Microsoft.ContainerService/managedClusters/c",
        *("s", "rg", "Microsoft.ContainerService/managedClusters", "c"),
    ),
    (
        "/subscriptions/s/resourceGroups/rg/providers/Microsoft.ManagedIdentity/userAssignedIdentities/i"
        "/federatedIdentityCredentials/f",
        *("s", "rg", "Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials", "f"),
    ),
    ("/providers/Microsoft.Management/managementGroups/mg", "", "", "Microsoft.Management/managementGroups", "mg"),
)
def test_an_id_is_taken_apart(text: str, subscription: str, group: str, kind: str, name: str) -> None:
    parsed = arm_id.parse(text)
    assert (parsed.subscription, parsed.resource_group, parsed.type, parsed.name) == (subscription, group, kind, name)


@pytest.mark.parametrize("text", ["", "x", "/", "subscriptions/s/resourceGroups/rg", "/subscriptions//resourceGroups"])
def test_what_is_no_id_is_refused(text: str) -> None:
    with pytest.raises(Failure, match="is not an Azure resource id"):
        arm_id.parse(text)


@given(segments, segments, segments)
def test_casing_and_a_trailing_slash_make_no_difference(subscription: str, group: str, name: str) -> None:
    built = arm_id.resource(subscription, group, "Microsoft.ManagedIdentity/userAssignedIdentities", name)
    assert arm_id.same(built, built.replace("resourceGroups", "resourcegroups").upper() + "/")
    assert arm_id.parse(built).name == name
    assert arm_id.contains(arm_id.resource_group(subscription, group), built)
    assert arm_id.contains("/", built)
    assert arm_id.group_of(built.upper()) == arm_id.resource_group(subscription.upper(), group.upper())


@given(segments, segments)
def test_a_scope_contains_whole_segments_only(group: str, more: str) -> None:
    outer, longer = arm_id.resource_group("s", group), arm_id.resource_group("s", group + more)
    assert arm_id.contains(outer, outer)
    assert not arm_id.contains(outer, longer)
    assert not arm_id.contains(longer, outer)


@for_each(
    ("8a6ab656-e753-595e-a913-2efa4b149917", "MC_a.b_(c)-d", "billing_1-x", True),
    ("s", "größe", "x", True),
    ("$(touch x)", "g", "x", False),
    ("{{ x }}", "g", "x", False),
    *(("s", group, "x", False) for group in ("..", "g?api-version=1", "g%2f")),
    *(("s", "g", name, False) for name in ("x#", "..", "x/../y", "x\n")),
    ("", "g", "x", False),
)
def test_what_others_write_can_be_the_id_of_an_identity(subscription: str, group: str, name: str, can_be: bool) -> None:
    text = arm_id.resource(subscription, group, "Microsoft.ManagedIdentity/userAssignedIdentities", name)
    assert arm_id.is_user_assigned_identity(text) is arm_id.is_user_assigned_identity(text.upper()) is can_be
    assert not arm_id.is_user_assigned_identity(f"x{text}")
