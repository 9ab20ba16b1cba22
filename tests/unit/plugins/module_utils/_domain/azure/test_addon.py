# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import copy
import typing as t
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.azure import addon
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.azure.addon import Desired, Entry
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.azure.arm_errors import ServiceError
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.errors import Failure
from ansible_collections.azureops.pod_identity.tests.unit.tables import for_each

KEYS = st.sampled_from(["a", "b", "c", "d"])
STATES = st.sampled_from(["Assigned", "Failed", "Updating"])


def resource_id(name: str) -> str:
    return f"/subscriptions/s/resourcegroups/rg/providers/Microsoft.ManagedIdentity/userAssignedIdentities/{name}"


def facts_of(*names: str) -> dict[str, dict[str, str]]:
    return {
        resource_id(name).lower(): {"resourceId": resource_id(name), "clientId": f"{name}-c", "objectId": f"{name}-o"}
        for name in names
    }


FACTS = facts_of("a", "b", "c", "d")


def identity(name: str, state: str = "Assigned", **more: t.Any) -> dict[str, t.Any]:
    return {
        "name": name,
        "namespace": "ns",
        "identity": dict(FACTS[resource_id(name)]) if resource_id(name) in FACTS else dict(facts_of(name).popitem()[1]),
        "provisioningState": state,
        **more,
    }


def cluster(*identities: dict[str, t.Any], exceptions: t.Sequence[t.Any] = (), **more: t.Any) -> dict[str, t.Any]:
    profile: dict[str, t.Any] = {"enabled": True, "futureField": 1}
    if identities:
        profile["userAssignedIdentities"] = list(identities)
    if exceptions:
        profile["userAssignedIdentityExceptions"] = list(exceptions)
    return {
        "id": "/subscriptions/s/resourcegroups/rg/providers/Microsoft.ContainerService/managedClusters/demo",
        "name": "demo",
        "identity": {"type": "SystemAssigned", "principalId": "p"},
        "properties": {"fqdn": "demo.hcp.io", "podIdentityProfile": profile, **more},
    }


def profile(body: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    return dict(body["properties"]["podIdentityProfile"])


def entries(names: t.Iterable[str]) -> tuple[Entry, ...]:
    return tuple(Entry("ns", name, resource_id(name)) for name in names)


def decide(body: t.Mapping[str, t.Any], desired: Desired) -> dict[str, t.Any]:
    return addon.changed(body, desired, FACTS, addon.removals(body, desired))


def settled(body: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """As AKS answers it in the end: empty lists dropped."""
    result = addon.expected(body)
    fields = profile(result).items()
    result["properties"]["podIdentityProfile"] = {field: value for field, value in fields if value != []}
    return result


WORLDS = st.dictionaries(KEYS, STATES).map(lambda found: cluster(*(identity(n, s, future=n) for n, s in found.items())))
DESIRED = st.builds(
    lambda names, present, purge: Desired(
        present=present, identities=entries(names), purge_identities=purge and present, allow_empty=True
    ),
    st.lists(KEYS, unique=True),
    st.booleans(),
    st.booleans(),
)


@given(WORLDS, DESIRED)
def test_a_desired_object_that_has_come_true_changes_nothing(body: dict[str, t.Any], desired: Desired) -> None:
    after = settled(decide(body, desired))
    assert decide(after, desired) == after
    assert addon.described(after, after) == []


@given(WORLDS, DESIRED, st.randoms())
def test_order_means_nothing(body: dict[str, t.Any], desired: Desired, chance: t.Any) -> None:
    shuffled = copy.deepcopy(body)
    chance.shuffle(shuffled["properties"]["podIdentityProfile"].get("userAssignedIdentities", []))
    turned = replace(desired, identities=tuple(reversed(desired.identities or ())))
    assert addon.view(addon.expected(decide(body, desired))) == addon.view(addon.expected(decide(shuffled, turned)))


@given(WORLDS, DESIRED)
def test_what_is_not_named_is_carried(body: dict[str, t.Any], desired: Desired) -> None:
    before = copy.deepcopy(body)
    after = decide(body, desired)
    assert body == before
    assert profile(after)["futureField"] == 1
    named = {entry.key for entry in desired.identities or ()}
    old = {addon.key_of(one): one for one in profile(body).get("userAssignedIdentities", ())}
    new = {addon.key_of(one): one for one in profile(after).get("userAssignedIdentities", ())}
    if not desired.purge_identities:
        assert all(old.get(key) == new.get(key) for key in (old.keys() | new.keys()) - named)
    for key in old.keys() & new.keys():
        assert new[key]["future"] == old[key]["future"]


def test_an_entry_that_is_not_assigned_is_written_again_without_its_state() -> None:
    info = {"error": {"error": {"code": "X", "message": "No.", "target": "t"}}}
    body = cluster(identity("a", "Failed", provisioningInfo=info), identity("b", "Failed"))
    after = decide(body, Desired(present=True, identities=(Entry("ns", "a"),)))
    assert profile(after)["userAssignedIdentities"] == [
        {key: value for key, value in identity("a").items() if key != "provisioningState"},
        identity("b", "Failed"),
    ]
    assert addon.summary(body, after) == "change pod identity of cluster demo: assign identity ns/a again"
    assert addon.view(body)["identities"][0]["provisioning_error"] == {"code": "X", "message": "No."}
    assert addon.stuck(body, {("ns", "a")}) == {("ns", "a")}
    assert "ns/a of the cluster demo is Failed: No; see that" in addon.not_assigned(body, {("ns", "a")}).sentence


def test_the_last_entry_goes_by_an_empty_list() -> None:
    after = decide(cluster(identity("a")), Desired(present=False, identities=(Entry("ns", "a"),)))
    assert profile(after)["userAssignedIdentities"] == []


def test_what_was_not_seen_is_not_purged() -> None:
    desired = Desired(present=True, identities=entries("a"), purge_identities=True)
    seen = addon.removals(cluster(identity("a"), identity("b")), desired)
    after = addon.changed(cluster(identity("a"), identity("b"), identity("c")), desired, FACTS, seen)
    assert [one["name"] for one in profile(after)["userAssignedIdentities"]] == ["a", "c"]


def test_an_entry_that_is_there_twice_becomes_one() -> None:
    body = cluster(identity("a"), identity("a"), identity("b"))
    after = decide(body, Desired(present=True, identities=(Entry("ns", "a"),)))
    assert profile(after)["userAssignedIdentities"] == [identity("a"), identity("b")]
    assert addon.described(body, after) == ["remove what is listed twice as identity"]


def test_off_and_on() -> None:
    body = cluster(identity("a"))
    with pytest.raises(Failure, match="set purge_allow_empty to true"):
        decide(body, Desired(present=True, enabled=False))
    after = decide(body, Desired(present=True, enabled=False, allow_empty=True))
    assert profile(after) == {"enabled": False}
    assert addon.removals(body, Desired(present=True, enabled=False)) == {("ns", "a")}
    assert addon.described(body, after) == ["disable the add-on", "remove identity ns/a"]
    off = cluster()
    off["properties"]["podIdentityProfile"] = {}
    assert decide(off, Desired(present=True, enabled=False)) == off
    assert decide(off, Desired(present=False, identities=entries("a"))) == off
    assert profile(decide(off, Desired(present=True, enabled=True))) == {"enabled": True}
    with pytest.raises(Failure, match="is off; set enabled to true"):
        decide(off, Desired(present=True, kubenet=True))


@for_each(
    ({"networkProfile": {"networkPlugin": "kubenet"}}, "set allow_network_plugin_kubenet to true"),
    ({"agentPoolProfiles": [{"name": "old", "type": "AvailabilitySet"}]}, "and old of the cluster demo is"),
)
def test_what_aks_would_refuse(properties: dict[str, t.Any], said: str) -> None:
    with pytest.raises(Failure, match=said):
        decide(cluster(**properties), Desired(present=True, identities=entries("a")))
    # What is there already goes.
    there = cluster(identity("a"), **properties)
    assert decide(there, Desired(present=True, identities=entries("a"))) == there


def test_the_limit_counts_what_is_there() -> None:
    many = [{"name": f"e{number}", "namespace": "ns", "podLabels": {"a": "b"}} for number in range(200)]
    desired = Desired(present=True, exceptions=(Entry("ns", "one", labels={"a": "b"}),))
    assert decide(cluster(exceptions=many[:199]), desired)
    with pytest.raises(Failure, match="would have 201 exceptions"):
        decide(cluster(exceptions=many), desired)


def test_a_cluster_with_a_service_principal_cannot_have_the_addon() -> None:
    body = {**cluster(), "identity": None}
    with pytest.raises(Failure, match="has no managed identity"):
        decide(body, Desired(present=True, identities=entries("a")))
    user = {"type": "UserAssigned", "userAssignedIdentities": {"/x": {"principalId": "q", "clientId": "c"}}}
    assert addon.principal({**cluster(), "identity": user}) == "q"


def test_windows_nodes_get_a_warning() -> None:
    body = cluster(agentPoolProfiles=[{"name": "win", "osType": "Windows"}, {"name": "lin"}])
    after = decide(body, Desired(present=True, identities=entries("a")))
    assert addon.warnings(body, addon.expected(after)) == (
        "Pods on the Windows nodes of win get no token: the add-on serves Linux only.",
    )


def test_who_loses_an_identity() -> None:
    before = cluster(identity("a"), identity("b", bindingSelector="x"), identity("c"))
    after = cluster(identity("b", bindingSelector="y"), identity("c", identity={"resourceId": resource_id("d")}))
    assert addon.released(before, after) == {("ns", "a"), ("ns", "x")}


def test_whose_role_may_go() -> None:
    kubelet: dict[str, t.Any] = {"identityProfile": {"kubeletidentity": {"resourceId": resource_id("d").upper()}}}
    before = cluster(identity("a"), identity("b"), identity("d"), **kubelet)
    after = cluster(identity("x", identity={"resourceId": resource_id("a")}), **kubelet)
    desired = Desired(present=False, identities=(*entries("bc"), Entry("ns", "d")))
    assert addon.released_identities(before, after, desired) == [resource_id("b"), resource_id("c")]


@for_each(
    ("BadRequest", f"Cluster identity has no assignment permission over identity 'resourceId: {resource_id('a')} -", 1),
    ("BadRequest", f"Cluster identity has no assignment permission over identity 'resourceId: {resource_id('b')} -", 0),
    ("LinkedAuthorizationFailed", f"linked scope(s) '{resource_id('a').upper()}'", 1),
    ("LinkedAuthorizationFailed", f"linked scope(s) '{resource_id('ab')}'", 0),
    ("BadRequest", f"{resource_id('a')} is ugly", 0),
)
def test_whose_permission_is_missing(code: str, message: str, about: int) -> None:
    assert addon.lacks_permission(ServiceError(400, code, message), [resource_id("a")]) == bool(about)


def test_what_was_written_must_be_seen() -> None:
    """AKS says that it has succeeded, and the cluster says otherwise."""
    desired = Desired(present=True, identities=(Entry("ns", "a", resource_id("a")),))
    keys = addon.present_keys(desired)

    def look(body: dict[str, t.Any]) -> None:
        addon.require_written(body, addon.changed(body, desired, FACTS, ()), keys)

    look(cluster(identity("a"), identity("b")))
    for body in (cluster(), cluster(identity("b"))):
        with pytest.raises(Failure, match=r"does not show it afterwards \(add identity ns/a is still to be done\)"):
            look(body)
    with pytest.raises(Failure, match="change identity ns/a"):
        look(cluster({**identity("a"), "identity": FACTS[resource_id("b").lower()]}))
