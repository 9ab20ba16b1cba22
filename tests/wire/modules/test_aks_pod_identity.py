# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The pod identity add-on. How AKS refuses while an entry is stuck is known from what users report only."""

from __future__ import annotations

import re
from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.tests.support.modules import Modules
from azsandbox.azure.loopback import SimulatedAzure
from azsandbox.azure.state import ROLE_ASSIGNMENT

UNKNOWN = "(known after apply)"
DEMO: dict[str, Any] = {"resource_group": "rg", "cluster_name": "demo", "poll_interval": 0.1}
PATH = "/resourceGroups/rg/providers/Microsoft.ContainerService/managedClusters/demo"
OPERATOR = "f1a07417-d97a-45cb-824c-7a7467783830"
FORBIDDEN = {"error": {"code": "AuthorizationFailed", "message": "no"}}


class Addon:
    """A cluster with the add-on on, and the simulated Azure's own word on it."""

    def __init__(self, azure: SimulatedAzure) -> None:
        self.azure = azure

    def body(self) -> dict[str, Any]:
        answer = self.azure.arm("GET", PATH, version="2026-08-01")
        answer.raise_for_status()
        return dict(answer.json())

    @property
    def profile(self) -> dict[str, Any]:
        return dict(self.body()["properties"].get("podIdentityProfile") or {})

    def entries(self) -> dict[str, str]:
        """State of each entry by its path."""
        found = self.profile.get("userAssignedIdentities") or ()
        return {f"{one['namespace']}/{one['name']}": one["provisioningState"] for one in found}

    def put(self, **profile: Any) -> None:
        """As another client would."""
        body = self.body()
        body["properties"]["podIdentityProfile"] = profile
        answer = self.azure.arm("PUT", PATH, body, version="2026-08-01")
        answer.raise_for_status()
        self.azure.wait(answer)

    def identity(self, name: str, group: str = "rg") -> dict[str, Any]:
        return self.azure.identity(name, group)

    def exists(self, identity: dict[str, Any]) -> bool:
        return self.azure.arm("GET", identity["id"], version="2023-01-31").status_code == 200

    def remove(self, identity: dict[str, Any]) -> None:
        self.azure.arm("DELETE", identity["id"], version="2023-01-31").raise_for_status()

    def assignments(self, scope: str) -> list[dict[str, Any]]:
        """Those of the cluster's identity at exactly this scope."""
        principal, state = self.body()["identity"]["principalId"], self.azure.server.azure.state
        bodies = self.azure.in_loop(lambda: [dict(one.body) for one in state.all(ROLE_ASSIGNMENT)])
        held = [one for one in bodies if one["properties"]["principalId"] == principal]
        return [one for one in held if one["properties"]["scope"].lower() == scope.lower()]

    def grant(self, scope: str) -> None:
        self.azure.assign(scope, OPERATOR, self.body()["identity"]["principalId"]).raise_for_status()

    def ungrant(self, scope: str) -> None:
        for one in self.assignments(scope):
            self.azure.arm("DELETE", one["id"], version="2022-04-01").raise_for_status()

    def attached(self) -> set[str]:
        """Names of the identities on the nodes' scale set."""
        scale_set = self.azure.scale_set_of(self.azure.first_instance())
        found = (scale_set.get("identity") or {}).get("userAssignedIdentities") or {}
        return {str(one).rpartition("/")[2] for one in found} - {"demo-agentpool"}


@pytest.fixture
def addon(azure: SimulatedAzure) -> Addon:
    azure.cluster(name="demo", podIdentityProfile={"enabled": True})
    return Addon(azure)


def entry(name: str, identity: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    return {"name": name, "namespace": "shop", **({"identity": identity["id"]} if identity else {}), **more}


def test_an_identity_of_another_subscription(modules: Modules, addon: Addon) -> None:
    group = f"/subscriptions/{addon.azure.subscription('other')}/resourceGroups/identities"
    billing = addon.identity("billing", group)
    modules.check_and_do("aks_pod_identity", **DEMO, **entry("billing", billing))
    assert addon.entries() == {"shop/billing": "Assigned"}
    assert addon.attached() == {"billing"}
    assert len(addon.assignments(billing["id"])) == 1


def test_the_life_of_an_entry(modules: Modules, addon: Addon) -> None:
    billing, other = addon.identity("billing"), addon.identity("other")
    made = modules.check_and_do("aks_pod_identity", **DEMO, **entry("billing", billing))
    assert [action.split(" to ")[0] for action in made["actions"]] == [
        "assign Managed Identity Operator",
        "change pod identity of cluster demo: add identity shop/billing",
    ]
    assert made["state"]["identities"] == [
        {
            "namespace": "shop",
            "name": "billing",
            "identity": billing["id"],
            "binding_selector": "billing",
            "provisioning_state": "Assigned",
            "provisioning_error": {},
            "client_id": billing["properties"]["clientId"],
            "object_id": billing["properties"]["principalId"],
        }
    ]
    assert addon.entries() == {"shop/billing": "Assigned"}
    assert addon.attached() == {"billing"}
    assert len(addon.assignments(billing["id"])) == 1

    shouted = billing["id"].replace("resourcegroups", "RESOURCEGROUPS").replace("billing", "BILLING")
    by_name = {"identity_resource_group": "RG", "identity_name": "billing"}
    for same in ({"identity": shouted}, by_name, {"binding_selector": "billing"}):
        assert not modules.succeed("aks_pod_identity", **DEMO, **{**entry("billing"), **same})["changed"]

    changed = modules.check_and_do("aks_pod_identity", **DEMO, **entry("billing", other, binding_selector="money"))
    assert changed["actions"][-1] == "change pod identity of cluster demo: change identity shop/billing"
    assert changed["state"]["identities"][0]["binding_selector"] == "money"
    assert addon.attached() == {"other"}

    removed = modules.check_and_do("aks_pod_identity", **DEMO, **entry("billing"), state="absent")
    assert removed["actions"] == ["change pod identity of cluster demo: remove identity shop/billing"]
    assert removed["state"]["identities"] == []
    assert addon.profile == {"enabled": True}
    assert addon.attached() == set()
    assert addon.exists(other)
    assert len(addon.assignments(other["id"])) == 1


def test_a_list_has_no_order_and_keeps_what_it_does_not_name(modules: Modules, addon: Addon) -> None:
    made = {name: addon.identity(f"id-{name}") for name in ("a", "b", "c")}
    modules.check_and_do("aks_pod_identity", **DEMO, identities=[entry("a", made["a"]), entry("b", made["b"])])
    mark = modules.mark()
    again = [entry("b", made["b"]), entry("a", made["a"])]
    assert not modules.succeed("aks_pod_identity", **DEMO, identities=again)["changed"]
    reads = [one["path"] for one in modules.requests(mark, method="GET") if "subscriptions/" in one["path"]]
    assert len(reads) == 3, reads  # the cluster, the identities and the assignments of their group

    modules.check_and_do("aks_pod_identity", **DEMO, identities=[entry("c", made["c"])])
    assert set(addon.entries()) == {"shop/a", "shop/b", "shop/c"}
    left: dict[str, Any] = {"identities": [entry("c"), entry("a")], "purge_identities": True, "remove_roles": True}
    purged = modules.check_and_do("aks_pod_identity", **DEMO, **left)
    assert purged["actions"][0] == "change pod identity of cluster demo: remove identity shop/b"
    assert purged["actions"][1].startswith("remove Managed Identity Operator from ")
    assert set(addon.entries()) == {"shop/a", "shop/c"}
    assert [len(addon.assignments(made[name]["id"])) for name in "abc"] == [1, 0, 1]

    refused = modules.fail("aks_pod_identity", **DEMO, identities=[], purge_identities=True)
    assert refused["msg"].endswith("set purge_allow_empty to true if that is meant.")
    modules.check_and_do("aks_pod_identity", **DEMO, identities=[], purge_identities=True, purge_allow_empty=True)
    assert addon.profile == {"enabled": True}


def test_the_life_of_exceptions(modules: Modules, addon: Addon) -> None:
    billing = addon.identity("billing")
    modules.succeed("aks_pod_identity", **DEMO, **entry("billing", billing))
    one = {"name": "mic", "namespace": "infra", "pod_labels": {"foo": "bar", "a": 1}}
    made = modules.check_and_do("aks_pod_identity", **DEMO, exception=one)
    assert made["actions"] == ["change pod identity of cluster demo: add exception infra/mic"]
    assert made["state"]["exceptions"] == [{**one, "pod_labels": {"a": "1", "foo": "bar"}}]
    assert addon.entries() == {"shop/billing": "Assigned"}
    other = {"name": "other", "namespace": "infra", "pod_labels": {"x": "y"}}
    modules.check_and_do("aks_pod_identity", **DEMO, exceptions=[other, {**one, "pod_labels": {"foo": "bar"}}])
    unlabelled = [{"name": "mic", "namespace": "infra"}]
    assert not modules.succeed("aks_pod_identity", **DEMO, exceptions=unlabelled)["changed"]
    assert [one["podLabels"] for one in addon.profile["userAssignedIdentityExceptions"]] == [{"foo": "bar"}, {"x": "y"}]
    modules.check_and_do("aks_pod_identity", **DEMO, exceptions=[other], purge_exceptions=True)
    named = {"name": "other", "namespace": "infra"}
    modules.check_and_do("aks_pod_identity", **DEMO, exception=named, state="absent")
    assert "userAssignedIdentityExceptions" not in addon.profile
    assert "needs pod_labels" in modules.fail("aks_pod_identity", **DEMO, exception=named)["msg"]


def test_on_and_off(modules: Modules, azure: SimulatedAzure) -> None:
    azure.cluster(name="demo")
    addon = Addon(azure)
    billing = addon.identity("billing")
    off = modules.fail("aks_pod_identity", **DEMO, **entry("billing", billing))
    assert off["msg"] == "The pod identity add-on of the cluster demo is off; set enabled to true."
    assert not modules.succeed("aks_pod_identity", **DEMO, **entry("billing"), state="absent")["changed"]
    assert not modules.succeed("aks_pod_identity", **DEMO, enabled=False)["changed"]
    mark = modules.mark()
    made = modules.succeed("aks_pod_identity", **DEMO, enabled=True, **entry("billing", billing), check=True)
    assert "ended in September 2025" in str(made["warnings"])
    modules.check_and_do("aks_pod_identity", **DEMO, enabled=True, **entry("billing", billing))
    assert len(modules.requests(mark, method="PUT", path="managedClusters")) == 1
    refused = modules.fail("aks_pod_identity", **DEMO, enabled=False)
    assert refused["msg"].endswith("has 1 of them; remove them first, or set purge_allow_empty to true.")
    modules.check_and_do("aks_pod_identity", **DEMO, enabled=False, purge_allow_empty=True)
    assert addon.profile == {}
    assert addon.attached() == set()


def test_kubenet_needs_consent(modules: Modules, azure: SimulatedAzure) -> None:
    azure.cluster(name="demo", networkProfile={"networkPlugin": "kubenet"})
    mark = modules.mark()
    refused = modules.fail("aks_pod_identity", **DEMO, enabled=True)
    assert "set allow_network_plugin_kubenet to true, with state present, to accept that" in refused["msg"]
    assert modules.writes(mark) == []
    modules.check_and_do("aks_pod_identity", **DEMO, enabled=True, allow_network_plugin_kubenet=True)
    assert Addon(azure).profile == {"enabled": True, "allowNetworkPluginKubenet": True}
    modules.succeed("aks_pod_identity", **DEMO, **entry("a", Addon(azure).identity("id-a")))
    assert Addon(azure).profile["allowNetworkPluginKubenet"]


def test_what_the_module_does_not_know_is_carried(modules: Modules, azure: SimulatedAzure) -> None:
    future = {"mode": "new", "list": [1, {"a": None}]}
    azure.cluster(name="demo", podIdentityProfile={"enabled": True}, futureProfile=future)
    addon = Addon(azure)
    before = addon.body()
    mark = modules.mark()
    modules.succeed("aks_pod_identity", **DEMO, **entry("billing", addon.identity("billing")))
    (write,) = modules.requests(mark, method="PUT", path="managedClusters")
    assert write["body"]["properties"]["futureProfile"] == future
    after = addon.body()
    for body in (before, after):
        body["properties"].pop("podIdentityProfile")
    assert before == after


def test_an_inherited_role_will_do(modules: Modules, azure: SimulatedAzure, addon: Addon) -> None:
    billing = addon.identity("billing")
    addon.grant(f"/subscriptions/{azure.subscription_id}/resourceGroups/rg")
    made = modules.check_and_do("aks_pod_identity", **DEMO, **entry("billing", billing))
    assert len(made["actions"]) == 1
    assert addon.assignments(billing["id"]) == []


def test_a_missing_role_alone_is_given(modules: Modules, addon: Addon) -> None:
    billing = addon.identity("billing")
    modules.succeed("aks_pod_identity", **DEMO, **entry("billing", billing))
    addon.ungrant(billing["id"])
    assert not modules.succeed("aks_pod_identity", **DEMO, **entry("billing"), assign_roles=False)["changed"]
    done = modules.check_and_do("aks_pod_identity", **DEMO, **entry("billing"))
    assert len(done["actions"]) == 1
    assert len(addon.assignments(billing["id"])) == 1


def test_a_role_that_may_not_be_given(modules: Modules, azure: SimulatedAzure, addon: Addon) -> None:
    billing = addon.identity("billing")
    who = azure.principal("contributor", ("Contributor", f"/subscriptions/{azure.subscription_id}"))
    failed = modules.fail("aks_pod_identity", **DEMO, **entry("billing", billing), who=who)
    assert f"may not perform Microsoft.Authorization/roleAssignments/write at {billing['id']}" in failed["msg"]
    assert addon.entries() == {}
    failed = modules.fail("aks_pod_identity", **DEMO, **entry("billing", billing), assign_roles=False, who=who)
    principal = addon.body()["identity"]["principalId"]
    assert failed["msg"].startswith("The pod identity shop/billing of the cluster demo is Failed: ")
    assert failed["msg"].endswith(f"that {principal} holds Managed Identity Operator there, then run again.")
    assert failed["error"]["code"] == "LinkedAuthorizationFailed"
    assert failed["state"]["identities"][0]["provisioning_state"] == "Failed"
    assert addon.entries() == {"shop/billing": "Failed"}
    # It is never called done, and goes on where it stopped.
    modules.fail("aks_pod_identity", **DEMO, **entry("billing", billing), assign_roles=False, who=who)
    assert "shop/billing is Failed" in str(modules.succeed("aks_pod_identity", **DEMO)["warnings"])
    done = modules.check_and_do("aks_pod_identity", **DEMO, **entry("billing"))
    assert done["actions"][-1] == "change pod identity of cluster demo: assign identity shop/billing again"
    assert addon.entries() == {"shop/billing": "Assigned"}


def test_an_operation_that_fails_for_an_entry_tells_why(modules: Modules, addon: Addon) -> None:
    """Azure/AKS#3833: the whole cluster is Failed then, and only the entry says why."""
    error = {"code": "PodIdentityAddonIdentitiesAssignmentError", "message": "Failed to assign identities."}
    desired = {**DEMO, **entry("billing", addon.identity("billing")), "assign_roles": False}
    modules.fault("GET", "/operations/", status=200, body={"status": "Failed", "error": error})
    failed = modules.fail("aks_pod_identity", **desired)
    said = "The pod identity shop/billing of the cluster demo is Failed: The cluster's identity"
    assert failed["msg"].startswith(said)
    assert failed["error"]["code"] == "LinkedAuthorizationFailed"
    addon.put(enabled=True, userAssignedIdentities=[])
    modules.fault("GET", "/operations/", status=200, body={"status": "Failed", "error": error})
    exception = {"name": "mic", "namespace": "infra", "pod_labels": {"a": "b"}}
    failed = modules.fail("aks_pod_identity", **DEMO, exception=exception)
    assert "Failed to assign identities (PodIdentityAddonIdentitiesAssignmentError)" in failed["msg"]


@pytest.mark.parametrize("blocks", [False, True], ids=["entry fails", "request is refused"])
def test_a_role_that_takes_effect_late(modules: Modules, azure: SimulatedAzure, addon: Addon, blocks: bool) -> None:
    settings = {"time_scale": 1, "role_assignment_delay": 3, "cluster_update": 0, "pod_identities_block": blocks}
    azure.control("POST", "/settings", settings)
    done = modules.succeed("aks_pod_identity", **DEMO, **entry("billing", addon.identity("billing")))
    assert len(done["actions"]) == 2
    assert addon.entries() == {"shop/billing": "Assigned"}


def test_an_entry_whose_identity_is_gone_is_removed_alone_first(modules: Modules, addon: Addon) -> None:
    made = {name: addon.identity(f"id-{name}") for name in ("a", "b")}
    modules.succeed("aks_pod_identity", **DEMO, identities=[entry(name, made[name]) for name in made])
    addon.remove(made["a"])
    addon.put(**{**addon.profile, "userAssignedIdentities": [entry_of(made["a"], "a2")]})
    assert addon.entries() == {"shop/a2": "Failed"}
    desired = {"identities": [entry("b", made["b"])], "purge_identities": True}
    done = modules.check_and_do("aks_pod_identity", **DEMO, **desired)
    assert done["actions"] == [
        "change pod identity of cluster demo: remove identity shop/a2",
        "change pod identity of cluster demo: add identity shop/b",
    ]
    assert addon.entries() == {"shop/b": "Assigned"}
    assert not addon.exists(made["a"])


def entry_of(identity: dict[str, Any], name: str) -> dict[str, Any]:
    return {"name": name, "namespace": "shop", "identity": {"resourceId": identity["id"]}}


@pytest.fixture
def stuck(azure: SimulatedAzure, modules: Modules, addon: Addon) -> dict[str, Any]:
    """The identity of an entry that is Failed and blocks every change, because the identity was deleted first."""
    lost = addon.identity("lost")
    modules.succeed("aks_pod_identity", **DEMO, **entry("lost", lost))
    addon.ungrant(lost["id"])
    addon.remove(lost)
    for also in ([entry_of(lost, "x")], []):
        addon.put(**{**addon.profile, "userAssignedIdentities": [entry_of(lost, "lost"), *also]})
    assert addon.entries() == {"shop/lost": "Failed"}
    azure.control("POST", "/settings", {"pod_identities_block": True})
    return lost


def test_a_stuck_entry_blocks_and_is_named(modules: Modules, addon: Addon, stuck: dict[str, Any]) -> None:
    failed = modules.fail("aks_pod_identity", **DEMO, **entry("new", addon.identity("new")))
    assert "no assignment permission over identity" in failed["msg"]
    assert failed["msg"].endswith("The pod identity shop/lost is Failed, which blocks other changes: remove it first.")
    assert failed["failed_identities"] == ["shop/lost"]
    failed = modules.fail("aks_pod_identity", **DEMO, **entry("lost"), state="absent")
    said = "AKS did not remove the pod identity shop/lost of the cluster demo: Cluster identity"
    assert failed["msg"].startswith(said)
    assert failed["msg"].endswith("set recreate_identity to true, which does so for the removal only.")
    assert failed["failed_action"] == "change pod identity of cluster demo: remove identity shop/lost"
    assert addon.entries() == {"shop/lost": "Failed"}


def test_a_stuck_entry_is_freed_by_making_its_identity_again(
    modules: Modules, addon: Addon, stuck: dict[str, Any]
) -> None:
    desired = {**DEMO, **entry("lost"), "state": "absent", "recreate_identity": True}
    modules.check_and_do("aks_pod_identity", **desired)
    assert addon.entries() == {}
    assert not addon.exists(stuck)
    assert addon.assignments(stuck["id"]) == []
    modules.succeed("aks_pod_identity", **DEMO, **entry("new", addon.identity("new")))


@pytest.mark.parametrize(
    ("method", "path", "nth"),
    [*(("PUT", "roleAssignments", 1), ("PUT", "managedClusters", 2), ("DELETE", "roleAssignments", 1))]
    + [("DELETE", "userAss", 1)],
)
def test_a_recovery_that_stops_half_way_goes_on(
    modules: Modules, addon: Addon, stuck: dict[str, Any], method: str, path: str, nth: int
) -> None:
    desired = {**DEMO, **entry("lost", stuck), "state": "absent", "recreate_identity": True}
    modules.fault(method, path, nth=nth, status=403, body=FORBIDDEN)
    modules.fail("aks_pod_identity", **desired)
    (modules.check_and_do if addon.entries() else modules.succeed)("aks_pod_identity", **desired)
    assert addon.entries() == {}
    assert not addon.exists(stuck)
    assert addon.assignments(stuck["id"]) == []
    assert not modules.succeed("aks_pod_identity", **desired)["changed"]


def test_an_identity_of_somebody_is_not_deleted_with_its_entry(
    modules: Modules, azure: SimulatedAzure, addon: Addon
) -> None:
    """Only the role is gone."""
    billing = addon.identity("billing")
    modules.fail("aks_pod_identity", **DEMO, **entry("billing", billing), assign_roles=False)
    azure.control("POST", "/settings", {"pod_identities_block": True})
    modules.check_and_do("aks_pod_identity", **DEMO, **entry("billing"), state="absent", recreate_identity=True)
    assert addon.exists(billing)
    assert addon.assignments(billing["id"]) == []


def test_removal_takes_the_role_along(modules: Modules, addon: Addon) -> None:
    billing = addon.identity("billing")
    desired = {**DEMO, **entry("billing", billing)}
    modules.succeed("aks_pod_identity", **desired)
    modules.succeed("aks_pod_identity", **{**desired, "name": "second"})
    kept = modules.check_and_do("aks_pod_identity", **desired, state="absent", remove_roles=True)
    assert len(kept["actions"]) == 1  # the second entry needs it
    modules.fault("DELETE", "roleAssignments", status=403, body=FORBIDDEN)
    desired["name"] = "second"
    modules.fail("aks_pod_identity", **desired, state="absent", remove_roles=True)
    assert addon.entries() == {}
    rest = modules.check_and_do("aks_pod_identity", **desired, state="absent", remove_roles=True)
    assert rest["actions"][0].startswith("remove Managed Identity Operator from ")
    assert addon.assignments(billing["id"]) == []
    assert addon.exists(billing)


@pytest.mark.parametrize(
    "removal",
    [
        {"name": "billing", "namespace": "shop", "state": "absent"},
        {"identities": [], "purge_identities": True, "purge_allow_empty": True},
        {"enabled": False, "purge_allow_empty": True},
    ],
    ids=["absent", "purged", "off"],
)
def test_a_role_that_stays_is_removed_by_the_run_that_its_refusal_names(
    modules: Modules, addon: Addon, removal: dict[str, Any]
) -> None:
    """Once the entry is gone nothing but the operator knows the identity."""
    billing = addon.identity("billing")
    modules.succeed("aks_pod_identity", **DEMO, **entry("billing", billing))
    modules.fault("DELETE", "roleAssignments", status=403, body=FORBIDDEN)
    failed = modules.fail("aks_pod_identity", **DEMO, **removal, remove_roles=True)
    assert failed["error"]["code"] == FORBIDDEN["error"]["code"]
    told = re.search(r"give the entry with state: absent, remove_roles: true and identity: (\S+)\.$", failed["msg"])
    assert told and told[1].lower() == billing["id"].lower(), failed["msg"]
    assert addon.entries() == {}
    assert not modules.succeed("aks_pod_identity", **DEMO, **removal, remove_roles=True)["changed"]
    named = {"name": "billing", "namespace": "shop", "identity": told[1], "state": "absent"}
    rest = modules.check_and_do("aks_pod_identity", **DEMO, **named, remove_roles=True)
    assert rest["actions"][0].startswith("remove Managed Identity Operator from ")
    assert addon.assignments(billing["id"]) == []


def test_an_identity_that_was_made_anew_is_handed_out_anew(modules: Modules, addon: Addon) -> None:
    old = addon.identity("billing")
    modules.succeed("aks_pod_identity", **DEMO, **entry("billing", old))
    addon.remove(old)
    gone = modules.fail("aks_pod_identity", **DEMO, **entry("billing", old))
    assert gone["msg"] == f"The identity {old['id']} does not exist; create it first."
    new = addon.identity("billing")
    done = modules.check_and_do("aks_pod_identity", **DEMO, **entry("billing", new))
    assert done["state"]["identities"][0]["client_id"] == new["properties"]["clientId"]


@pytest.mark.parametrize("code", ["OperationNotAllowed", "EtagMismatch"])
def test_a_busy_cluster_is_waited_for(modules: Modules, addon: Addon, code: str) -> None:
    busy = {"code": code, "details": None, "message": "Operation is not allowed: Another operation is in progress"}
    modules.fault("PUT", "managedClusters/demo", status=409, body=busy, count=2)
    modules.succeed("aks_pod_identity", **DEMO, **entry("billing", addon.identity("billing")))
    assert addon.entries() == {"shop/billing": "Assigned"}


def test_an_operation_that_runs_is_waited_for_and_kept(modules: Modules, azure: SimulatedAzure, addon: Addon) -> None:
    """Also what a run that was killed has begun."""
    billing, theirs = addon.identity("billing"), addon.identity("theirs")
    addon.grant(f"/subscriptions/{azure.subscription_id}/resourceGroups/rg")
    azure.control("POST", "/settings", {"time_scale": 0.01})
    body = addon.body()
    body["properties"]["podIdentityProfile"]["userAssignedIdentities"] = [entry_of(theirs, "theirs")]
    azure.arm("PUT", PATH, body, version="2026-08-01").raise_for_status()
    modules.check_and_do("aks_pod_identity", **DEMO, **entry("billing", billing))
    assert addon.entries() == {"shop/theirs": "Assigned", "shop/billing": "Assigned"}


@pytest.mark.parametrize("etags", [True, False])
def test_what_somebody_adds_meanwhile_is_not_purged_unseen(
    modules: Modules, azure: SimulatedAzure, addon: Addon, etags: bool
) -> None:
    """The cluster is written between our look and our write, and the decision is made again.

    That is told by its eTag, or by another look right before the write.
    """
    azure.control("POST", "/settings", {"cluster_etags": etags})
    made = {name: addon.identity(f"id-{name}") for name in ("a", "b")}
    modules.succeed("aks_pod_identity", **DEMO, identities=[entry(name, made[name]) for name in made])
    old = addon.body()
    old["properties"]["podIdentityProfile"]["userAssignedIdentities"].pop()
    there = [*addon.profile["userAssignedIdentities"], entry_of(made["b"], "c")]
    addon.put(**{**addon.profile, "userAssignedIdentities": there})
    modules.fault("GET", "managedClusters/demo", status=200, body=old)  # an answer from before
    modules.succeed("aks_pod_identity", **DEMO, identities=[entry("b", made["b"])], purge_identities=True)
    assert addon.entries() == {"shop/b": "Assigned", "shop/c": "Assigned"}


def test_a_cluster_and_identities_that_will_exist(modules: Modules, azure: SimulatedAzure, group: str) -> None:
    place = f"/subscriptions/{azure.subscription_id}/resourceGroups/rg"
    identity = f"{place}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/new"
    for value in (identity, UNKNOWN):
        desired = {**DEMO, **entry("billing", {"id": value}), "enabled": True}
        predicted = modules.succeed("aks_pod_identity", **desired, check=True)
        assert len(predicted["actions"]) == 2
        assert predicted["state"]["identities"][0]["client_id"] == UNKNOWN
        assert predicted["diff"]["before"] == {}
    failed = modules.fail("aks_pod_identity", **DEMO, enabled=True)
    assert failed["msg"].startswith("There is no cluster demo in the resource group rg; ")
    assert "(known after apply)" in modules.fail("aks_pod_identity", **DEMO, **entry("a", {"id": UNKNOWN}))["msg"]
    assert not modules.succeed("aks_pod_identity", **DEMO, **entry("a"), state="absent")["changed"]


@pytest.mark.parametrize(
    ("desired", "said"),
    [
        ({"state": "absent"}, "removes the entries that are named, and none is"),
        ({"state": "absent", "enabled": False, "exceptions": []}, "leaves the add-on as it is"),
        ({"purge_identities": True}, "give that list"),
        ({"purge_exceptions": True, "exception": {"name": "a", "namespace": "b"}}, "give that list"),
        ({"enabled": False, "name": "a", "namespace": "b"}, "An add-on that is off has no entries"),
        ({"name": "a", "namespace": "b"}, "has no pod identity b/a yet"),
        ({"name": "a", "namespace": "b", "identity": "/subscriptions/x"}, "is not the id of a user-assigned identity"),
        ({"name": "a", "namespace": "b", "binding_selector": "-"}, "cannot be the value of a label"),
        ({"name": "A", "namespace": "b"}, "is no name of a Kubernetes object"),
        ({"identities": [{"name": "a", "namespace": "b"}] * 2}, "is given twice"),
        ({"identities": [{"name": "a", "namespace": "b", "identity_name": "x"}]}, "required together"),
        ({"name": "a"}, "required together"),
    ],
)
def test_options_that_make_no_sense(modules: Modules, addon: Addon, desired: dict[str, Any], said: str) -> None:
    mark = modules.mark()
    assert said in modules.fail("aks_pod_identity", **DEMO, **desired)["msg"]
    assert modules.writes(mark) == []


def test_limits_are_told_before_the_call(modules: Modules, addon: Addon) -> None:
    billing, mark = addon.identity("billing"), modules.mark()
    many = [entry(f"p{number}", billing) for number in range(201)]
    failed = modules.fail("aks_pod_identity", **DEMO, identities=many)
    assert failed["msg"].startswith("The cluster demo would have 201 identities of pods, and AKS allows 200; ")
    assert modules.writes(mark) == []
    done = modules.check_and_do("aks_pod_identity", **DEMO, identities=many[:200])
    assert done["actions"][-1].endswith("add identity shop/p101 and 195 more changes")
    assert len(addon.entries()) == 200


def test_success_is_said_of_what_was_seen(modules: Modules, addon: Addon) -> None:
    """AKS accepts the PUT, its operation succeeds, and the cluster does not have the entry."""
    one = addon.identity("one")
    modules.fault("PUT", "managedClusters/demo", status=200, body=addon.body(), count=0)
    failed = modules.fail("aks_pod_identity", **DEMO, **entry("web", one))
    assert failed["msg"] == (
        "AKS accepted the change of the cluster demo, but the cluster does not show it afterwards (add identity "
        "shop/web is still to be done); see whether somebody else writes to it, then run again."
    )
    assert failed["state"]["identities"] == []
    modules.azure.control("DELETE", "/faults")
    assert modules.succeed("aks_pod_identity", **DEMO, **entry("web", one))["changed"]


def test_a_stopped_cluster_says_how_to_start_it(modules: Modules, addon: Addon) -> None:
    one = addon.identity("one")
    addon.azure.wait(addon.azure.arm("POST", f"{PATH}/stop"))
    failed = modules.fail("aks_pod_identity", **DEMO, **entry("web", one))
    assert failed["msg"].endswith("start it (az aks start --resource-group rg --name demo) and run again.")
    assert failed["error"]["code"] == "BadRequest"


def test_the_addon_is_read(modules: Modules, addon: Addon) -> None:
    look = {"resource_group": "rg", "cluster_name": "demo"}
    exception = {"name": "mic", "namespace": "infra", "pod_labels": {"a": "1"}}
    desired = {**entry("billing", addon.identity("billing")), "exception": exception}
    state = modules.succeed("aks_pod_identity", **DEMO, **desired)["state"]
    for wait in (False, True):
        mark = modules.mark()
        assert modules.succeed("aks_pod_identity_info", **look, wait=wait, check=True)["addons"] == [state]
        assert len(modules.requests(mark, path="managedClusters")) == 1
    modules.succeed("aks_pod_identity", **DEMO, enabled=False, purge_allow_empty=True)
    (off,) = modules.succeed("aks_pod_identity_info", **look)["addons"]
    assert off == {**state, "enabled": False, "identities": [], "exceptions": []}
    for nowhere in ({"cluster_name": "none"}, {"resource_group": "none"}):
        for wait in (False, True):
            assert modules.succeed("aks_pod_identity_info", **{**look, **nowhere}, wait=wait)["addons"] == []
    failed = modules.fail("aks_pod_identity_info", **look, who=addon.azure.principal("nobody"))
    assert failed["error"]["status"] == 403 and "addons" not in failed


def test_what_aks_does_is_waited_for_on_request(modules: Modules, addon: Addon) -> None:
    body = addon.body()
    moving = {**body, "properties": {**body["properties"], "provisioningState": "Updating"}}
    for wait, looks in ((False, 1), (True, 3)):
        modules.fault("GET", PATH, status=200, body=moving, count=2 if wait else 1)
        mark = modules.mark()
        assert modules.succeed("aks_pod_identity_info", **DEMO, wait=wait)["addons"][0]["enabled"]
        assert len(modules.requests(mark, path="managedClusters")) == looks
    modules.fault("GET", PATH, status=200, body=moving, count=0)
    failed = modules.fail("aks_pod_identity_info", **DEMO, wait=True, wait_timeout=1)
    assert failed["msg"].startswith("AKS is still working on the cluster demo after 1 seconds (state Updating)")
