# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The decision of the playbook destroy."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.playbooks.destroy import PARTS
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.roles.part import Run
from ansible_collections.azureops.pod_identity.tests.unit.deciding import Raw
from ansible_collections.azureops.pod_identity.tests.unit.tables import cases, table

GROUP = "/subscriptions/s/resourceGroups/rg"
SHARED = {"subscription_id": "s", "resource_group": "rg"}


def identity(name: str, group: str = "rg", subscription: str = "/subscriptions/s") -> str:
    return f"{subscription}/resourceGroups/{group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/{name}"


T = "/subscriptions/t"


def plan(entries: list[Raw] | None, **options: Any) -> Raw:
    return PARTS["removal"].plan({**SHARED, **options, "bindings_list": entries}, {}, Run())


@cases(
    "entry, options, where, goes",
    ("in the group", {}, {}, identity("a"), True),
    ("by its own name", {"identity_name": "b"}, {}, identity("b"), True),
    ("spelled otherwise", {"resource_group": "RG", "subscription_id": "S"}, {}, None, True),
    ("not wanted any more", {"state": "absent"}, {}, identity("a"), True),
    ("group", {"resource_group": "x"}, {}, identity("a", "x"), False),
    ("subscription", {"subscription_id": "t"}, {}, identity("a", "rg", T), False),
    (
        "beside that of the credential",
        {"subscription_id": "t"},
        {"subscription_id": None},
        identity("a", "rg", T),
        False,
    ),
    ("subscription of the credential", {}, {"subscription_id": ""}, identity("a", "rg", ""), True),
    ("group of identities", {}, {"bindings_resource_group": "y"}, identity("a", "y"), False),
    (
        "subscription of both",
        {},
        {"cluster_subscription_id": "t", "bindings_subscription_id": "t"},
        identity("a", "rg", T),
        True,
    ),
    ("group of the cluster", {}, {"cluster_resource_group": "z"}, identity("a"), False),
)
def test_which_identities_go(entry: Raw, options: Raw, where: str | None, goes: bool) -> None:
    made = plan([{"name": "a", **entry}], **options)
    kept = [(row["kept"], row["name"], row["where"]) for row in made["kept"]]
    if where is None:
        assert (len(made["going"]), kept) == (1, [])
        return
    row = ("identity", entry.get("identity_name", "a"), where)
    assert (made["going"], kept) == (([where], []) if goes else ([], [row]))


def test_service_principals_have_no_identity() -> None:
    principal = {"name": "a", "type": 1, "roles": [{"role": "Reader", "scope": "/subscriptions/t"}]}
    assert plan([principal]) == {"going": [], "kept": []}


@pytest.mark.parametrize("entries", [None, []])
def test_nothing_is_named(entries: list[Raw] | None) -> None:
    assert plan(entries) == {"going": [], "kept": []}


@table(
    "scope, stays",
    (None, False),
    ("", False),
    (GROUP, False),
    (GROUP.upper() + "/providers/a/b/c", False),
    (GROUP + "x", True),
    ("/subscriptions/s", True),
    ("/subscriptions/t/resourceGroups/rg", True),
)
def test_role_assignments_outlive_identities(scope: str | None, stays: bool) -> None:
    made = plan([{"name": "a", "identity_name": "b", "roles": [{"role": "Reader", "scope": scope}]}])
    reason = "Its scope lies in no resource group that goes."
    row = {"kept": "role assignment", "name": "Reader of a", "where": scope, "reason": reason}
    assert made == {"going": [identity("b")], "kept": [row] if stays else []}
