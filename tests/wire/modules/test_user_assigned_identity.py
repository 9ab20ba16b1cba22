# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.azureops.pod_identity.tests.support.modules import Modules
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


def test_only_an_unused_identity_is_deleted(modules: Modules, azure: SimulatedAzure) -> None:
    azure.cluster()
    scale_set = str(azure.first_instance()["id"]).partition("/virtualMachines/")[0]
    desired = {"resource_group": "rg", "name": "one"}
    made = modules.succeed("user_assigned_identity", **desired)["state"]
    scope = f"/subscriptions/{azure.subscription_id}/resourceGroups/rg"
    modules.succeed("role_assignment", scope=scope, role="Reader", principal_id=made["principal_id"])
    absent = {**desired, "state": "absent", "only_unused": True}
    attachment = {"resource_id": scale_set, "identities": [made["id"]], "poll_interval": 0.1}
    modules.succeed("vmss_identity", **attachment)
    failed = modules.fail("user_assigned_identity", **absent)
    assert failed["msg"] == (
        f"The identity one is not deleted, because it is used by {scale_set}: remove that first, or leave the identity."
    )
    assert failed["used_by"] == [scale_set]
    leaving = {**absent, "assume_detached": [scale_set.lower()]}
    assert modules.succeed("user_assigned_identity", check=True, **leaving)["changed"]
    assert modules.fail("user_assigned_identity", **leaving)["used_by"] == [scale_set]

    # Azure's list goes on telling it for a while, of an instance too.
    modules.succeed("vmss_identity", **attachment, state="absent")
    site = f"{scope}/providers/Microsoft.Web/sites/shop"
    for listed, used_by in ((["/virtualMachines/0", ""], []), ([""], [site])):
        value = [{"id": scale_set + each} for each in listed] + [{"id": each} for each in used_by]
        modules.fault("POST", "/listAssociatedResources", status=200, body={"value": value})
        if used_by:
            assert modules.fail("user_assigned_identity", **absent)["used_by"] == used_by
        else:
            assert modules.succeed("user_assigned_identity", check=True, **absent)["changed"]

    credential = {"identity_name": "one", "resource_group": "rg", "name": "web"}
    subject = {"issuer": "https://oidc.example/", "subject": "system:serviceaccount:team:web"}
    modules.succeed("federated_identity_credential", **credential, **subject, wait_exchange=False)
    assert modules.fail("user_assigned_identity", **absent)["used_by"] == ["its federated credential web"]
    modules.succeed("federated_identity_credential", **credential, state="absent")
    assert modules.succeed("user_assigned_identity", **absent)["changed"]


def test_what_an_identity_leaves_behind_is_told(modules: Modules, azure: SimulatedAzure, group: str) -> None:
    made = modules.succeed("user_assigned_identity", resource_group=group, name="one")["state"]
    scope = f"/subscriptions/{azure.subscription_id}/resourceGroups/{group}"
    modules.succeed("role_assignment", scope=scope, role="Reader", principal_id=made["principal_id"])
    absent = {"resource_group": group, "name": "one", "state": "absent", "only_unused": True}
    done = modules.check_and_do("user_assigned_identity", **absent)
    assert [(each["role"], each["scope"]) for each in done["role_assignments"]] == [("Reader", scope)]
    assert modules.succeed("user_assigned_identity", **absent)["changed"] is False


def test_identities_are_read(modules: Modules, azure: SimulatedAzure, group: str) -> None:
    one, two = (
        modules.succeed("user_assigned_identity", resource_group=group, name=name, tags={"a": name})["state"]
        for name in ("one", "two")
    )
    info = "user_assigned_identity_info"
    for named in ({"resource_group": group, "name": "one"}, {"id": one["id"]}):
        mark = modules.mark()
        assert modules.succeed(info, **named, check=True)["identities"] == [one]
        assert len(modules.requests(mark, path="userAssignedIdentities")) == 1
    found = modules.succeed(info, resource_group=group)["identities"]
    assert sorted(found, key=lambda each: str(each["name"])) == [one, two]
    for named in (
        {"resource_group": group, "name": "none"},
        {"resource_group": "nowhere", "name": "one"},
        {"resource_group": "nowhere"},
        {"id": one["id"].replace("/one", "/none")},
    ):
        assert modules.succeed(info, **named)["identities"] == []
    assert modules.succeed(info, id=UNKNOWN, check=True)["identities"] == []
    assert "pass the real value" in modules.fail(info, id=UNKNOWN)["msg"]
    assert "is not the id of a user-assigned identity" in modules.fail(info, id=f"{one['id']}/x/y")["msg"]
    failed = modules.fail(info, id=one["id"], who=azure.principal("nobody"))
    assert failed["error"]["status"] == 403 and "identities" not in failed


def test_an_identity_of_another_subscription_is_read(modules: Modules, azure: SimulatedAzure) -> None:
    made = azure.identity("one", f"/subscriptions/{azure.subscription('other')}/resourceGroups/identities")
    (found,) = modules.succeed("user_assigned_identity_info", id=made["id"])["identities"]
    assert (found["id"], found["client_id"]) == (made["id"], made["properties"]["clientId"])


def test_users_of_identities_are_read(modules: Modules, azure: SimulatedAzure) -> None:
    azure.cluster()
    scale_set = str(azure.first_instance()["id"]).partition("/virtualMachines/")[0]
    one, two = (
        modules.succeed("user_assigned_identity", resource_group="rg", name=name)["state"] for name in ("one", "two")
    )
    scope = f"/subscriptions/{azure.subscription_id}/resourceGroups/rg"
    held = modules.succeed("role_assignment", scope=scope, role="Reader", principal_id=one["principal_id"])["state"]
    modules.succeed("vmss_identity", resource_id=scale_set, identities=[one["id"]], poll_interval=0.1)
    trust = {"issuer": "https://oidc.example/", "subject": "s"}
    modules.succeed("federated_identity_credential", identity_id=one["id"], name="web", **trust)
    found = modules.succeed("user_assigned_identity_info", resource_group="rg", check_users=True)["identities"]
    assert {each["name"]: each for each in found} == {
        "one": {
            **one,
            "attached_to": [scale_set],
            "federated_credentials": ["web"],
            "role_assignments": [{"id": held["id"], "role": "Reader", "scope": scope}],
        },
        "two": {**two, "attached_to": [], "federated_credentials": [], "role_assignments": []},
    }
