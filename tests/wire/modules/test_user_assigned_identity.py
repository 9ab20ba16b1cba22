# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.azureops.pod_identity.tests.wire.modules.processes import Modules
from azsandbox.azure.loopback import SimulatedAzure

UNKNOWN = "(known after apply)"


def test_the_life_of_an_identity(modules: Modules, azure: SimulatedAzure, group: str) -> None:
    made = modules.check_and_do("user_assigned_identity", resource_group=group, name="one", tags={"team": "a"})
    path = f"/resourceGroups/{group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/one"
    real = azure.arm("GET", path, version="2023-01-31").json()
    assert made["state"] == {
        "id": real["id"],
        "name": "one",
        "resource_group": group,
        "location": "westeurope",
        "client_id": real["properties"]["clientId"],
        "principal_id": real["properties"]["principalId"],
        "tenant_id": azure.tenant_id,
        "tags": {"team": "a"},
    }
    predicted = made["diff"]["after"]
    assert (predicted["client_id"], predicted["principal_id"], predicted["tenant_id"]) == (UNKNOWN,) * 3
    assert predicted["location"] == "westeurope"

    changed = modules.check_and_do("user_assigned_identity", resource_group=group, name="one", tags={"cost": 1})
    assert changed["state"] == {**made["state"], "tags": {"team": "a", "cost": "1"}}
    assert changed["diff"]["after"] == changed["state"]

    deleted = modules.check_and_do("user_assigned_identity", resource_group=group, name="one", state="absent")
    assert deleted["diff"]["before"] == changed["state"]
    assert deleted["state"] == {}
    assert azure.arm("GET", path, version="2023-01-31").status_code == 404


def test_an_update_touches_nothing_else(modules: Modules, azure: SimulatedAzure, group: str) -> None:
    path = f"/resourceGroups/{group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/one"
    body = {"location": "eastus", "properties": {"isolationScope": "Regional"}}
    azure.arm("PUT", path, body, version="2024-11-30").raise_for_status()
    mark = modules.mark()
    modules.succeed("user_assigned_identity", resource_group=group, name="one", tags={"a": "b"})
    (write,) = [entry for entry in modules.requests(mark) if entry["method"] in ("PUT", "PATCH")]
    assert (write["method"], write["body"]) == ("PATCH", {"tags": {"a": "b"}})


def test_a_group_that_will_exist(modules: Modules) -> None:
    predicted = modules.succeed("user_assigned_identity", resource_group="new", name="one", check=True)
    assert predicted["changed"]
    assert predicted["state"]["location"] == UNKNOWN
    failed = modules.fail("user_assigned_identity", resource_group="new", name="one")
    assert failed["msg"] == (
        "The identity one cannot be created: the resource group new does not exist; create it first."
    )
    absent = modules.succeed("user_assigned_identity", resource_group="new", name="one", state="absent")
    assert not absent["changed"]


@pytest.mark.parametrize("check", [True, False])
def test_an_identity_cannot_move(modules: Modules, group: str, check: bool) -> None:
    modules.succeed("user_assigned_identity", resource_group=group, name="one")
    refused = modules.fail("user_assigned_identity", resource_group=group, name="one", location="eastus", check=check)
    assert refused["msg"] == (
        "The identity one is in westeurope and cannot move to eastus; use another name, or leave location out."
    )


def test_a_location_of_its_own(modules: Modules, group: str) -> None:
    made = modules.check_and_do("user_assigned_identity", resource_group=group, name="one", location="eastus")
    assert made["state"]["location"] == "eastus"


def test_a_locked_identity_is_not_deleted(modules: Modules, azure: SimulatedAzure, group: str) -> None:
    modules.succeed("user_assigned_identity", resource_group=group, name="one")
    lock = f"/resourceGroups/{group}/providers/Microsoft.Authorization/locks/keep"
    azure.arm("PUT", lock, {"properties": {"level": "CanNotDelete"}}, version="2016-09-01").raise_for_status()
    refused = modules.fail("user_assigned_identity", resource_group=group, name="one", state="absent")
    assert refused["msg"].startswith("Could not delete the identity one in the resource group rg: a lock on ")
