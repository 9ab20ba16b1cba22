# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whose an identity on a scale set is: each rule by a case of its own, and what holds of all of them together."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.azure import ownership
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.azure.attached_identities import Carrier
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.azure.azure_roles import Assignment
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.azure.ownership import (
    GHOST,
    PROTECTED,
    REMOVABLE,
    SETS,
    UNKNOWN,
    USED,
    Claims,
)
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.azure.protected_identities import (
    Protection,
    Reason,
    protection,
)

MINE = Reason("named", "it is mine")
GROUP = "/subscriptions/s/resourceGroups/g"
SET = f"{GROUP}/providers/Microsoft.Compute/virtualMachineScaleSets/aks-pool-1-vmss"
NAMES = [f"id-{number}" for number in range(8)]


def uai(name: str, group: str = GROUP) -> str:
    return f"{group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/{name}"


ID = uai("a")
KEY = ID.lower()
ALIVE = {KEY: "c-a"}


def carrier(*ids: str, client_id: str | None = None, state: str = "Succeeded") -> Carrier:
    carried = {each: {"clientId": f"c-{each.rpartition('/')[2]}" if client_id is None else client_id} for each in ids}
    identity = {"type": "UserAssigned", "userAssignedIdentities": carried}
    return Carrier.parse({"id": SET, "identity": identity, "properties": {"provisioningState": state}})


KNOWN = Claims(known={KEY: ("AzureIdentity team/a",)})
NAMED = Claims(named=frozenset([KEY]))
USES = Claims(used={KEY: ("Deployment team/web",)})
NOBODY, OURS, LOST = Protection(), Protection({KEY: MINE}), Protection(unknown="the cluster is gone")
KUBELET = {"identityProfile": {"kubeletidentity": {"resourceId": ID.upper()}}}
NAMELESS: dict[str, Any] = {"on": carrier(ID, client_id="")}
DEAD: dict[str, Any] = {**NAMELESS, "client_ids": {}}
OF_MANY = Claims(known={KEY: tuple("abcde")})

# The set, whether it may go; by name what is known of the identity, and a part of why.
CASES: dict[tuple[str, bool], dict[str, tuple[dict[str, Any], str]]] = {
    (REMOVABLE, True): {
        "known": ({"claims": KNOWN}, "known from AzureIdentity team/a"),
        "known from many": ({"claims": OF_MANY}, "known from a, b, c and 2 more"),
        "known in another casing": ({"on": carrier(ID.upper()), "claims": KNOWN}, "known"),
        "whose nodes nobody has to know": ({"claims": KNOWN, "protection": LOST, "unjudged": True}, "known from"),
        "without a client id, not looked up, known": ({**NAMELESS, "claims": KNOWN}, "known from"),
    },
    # Each thing that protects an identity has its case in test_protected_identities.py.
    (PROTECTED, False): {
        "kubelet": (
            {"claims": KNOWN, "protection": protection({"name": "c1", "properties": KUBELET}, "", ())},
            "it is the identity of the kubelets of the cluster c1",
        ),
        "named by the user": (
            {"claims": KNOWN, "protection": protection(None, "", [ID.upper()])},
            "it is in protected_identities",
        ),
        "protected, named to be detached": ({"claims": NAMED, "protection": OURS}, "it is mine"),
        "protected, dead": ({**DEAD, "protection": OURS}, "it is mine"),
        "protected, still for pods": ({"claims": USES, "protection": OURS}, "it is mine"),
        "whose nodes nobody knows": ({"claims": KNOWN, "protection": LOST}, "the cluster is gone"),
        "whose nodes nobody knows, dead": ({**DEAD, "protection": LOST}, "the cluster is gone"),
    },
    (USED, False): {
        "still for pods": ({"claims": replace(USES, known=KNOWN.known)}, "it is still for Deployment team/web"),
        "still for pods, named to be detached": ({"claims": replace(USES, named=NAMED.named)}, "it is still for"),
        "still for pods, dead": ({**DEAD, "claims": USES}, "it is still for"),
    },
    (UNKNOWN, False): {
        "unknown": ({}, "nothing says that pod identity attached it"),
        "unknown, looked up": ({"client_ids": ALIVE}, "nothing says"),
        "just being attached": (
            {"on": carrier(ID, client_id="", state="Updating"), "client_ids": ALIVE},
            "nothing says",
        ),
    },
    (UNKNOWN, True): {
        "unknown, named to be detached": ({"claims": NAMED, "on": carrier(ID.upper())}, "it is named to be detached")
    },
    (GHOST, True): {
        "deleted": ({"client_ids": {}}, "it does not exist any more"),
        "deleted, as Azure says": (DEAD, "does not exist"),
        "made again": ({"client_ids": {KEY: "another"}}, "made again under the same name"),
        "made again, as Azure says": ({**NAMELESS, "client_ids": ALIVE}, "made again under the same name"),
        "known, made again": ({"claims": KNOWN, "client_ids": {KEY: "another"}}, "made again"),
        "without a client id, not looked up, named": ({**NAMELESS, "claims": NAMED}, "could not be looked up"),
    },
    (GHOST, False): {
        "without a client id, not looked up": (NAMELESS, "whether it exists again could not be looked up"),
        "without a client id, in a group that may not be read": (
            {**DEAD, "unread": [GROUP.lower()]},
            "could not be looked up",
        ),
    },
}
WORLDS = {name: (*key, *case) for key, several in CASES.items() for name, case in several.items()}


@pytest.mark.parametrize("expected, removable, told, because", WORLDS.values(), ids=WORLDS)
def test_rules(expected: str, removable: bool, told: dict[str, Any], because: str) -> None:
    (verdict,) = ownership.judge(
        told.get("on", carrier(ID)),
        told.get("protection", NOBODY),
        told.get("claims", Claims()),
        told.get("client_ids"),
        told.get("unread", ()),
        unjudged=told.get("unjudged", False),
    )
    assert (verdict.set, verdict.removable) == (expected, removable)
    assert because in verdict.because
    assert ownership.view(verdict)["ownership"] == expected
    assert ownership.removable([verdict]) == ((verdict.identity.id,) if removable else ())


def spelled(draw: st.DrawFn, name: str) -> str:
    """An id in any of the spellings that services, MIC and people use."""
    plain = uai(name)
    return draw(st.sampled_from([plain, plain.lower(), plain.upper(), plain.replace("resourceG", "resourceg")]))


@st.composite
def worlds(draw: st.DrawFn) -> dict[str, Any]:
    some = st.sets(st.sampled_from(NAMES))
    held, known, used, named, mine, alive = (draw(some) for _each in range(6))

    def ids(names: set[str]) -> list[str]:
        return [spelled(draw, name) for name in sorted(names)]

    existing = {uai(name).lower(): f"c-{name}".lower() for name in alive}
    drawn = {"held": held, "known": known, "used": used, "named": named, "mine": mine, "alive": alive}
    return {
        **drawn,
        "carrier": carrier(*ids(held)),
        "protection": protection(None, draw(st.sampled_from(["", "nobody knows"])), ids(mine)),
        "claims": Claims(
            ownership.reasons((each, "x") for each in ids(known)),
            ownership.reasons((each, "y") for each in ids(used)),
            ownership.normal_ids(ids(named)),
        ),
        "client_ids": draw(st.sampled_from([None, existing])),
        "unjudged": draw(st.booleans()),
    }


@given(world=worlds())
def test_the_sets_part_what_is_attached(world: dict[str, Any]) -> None:
    """Each identity is in one set, whatever the spelling of ids; what must stay is never removable."""
    verdicts = ownership.judge(
        world["carrier"], world["protection"], world["claims"], world["client_ids"], unjudged=world["unjudged"]
    )
    found = {verdict.identity.id.rpartition("/")[2].lower(): verdict for verdict in verdicts}
    assert len(verdicts) == len(world["held"]) and set(found) == world["held"]
    assert all(verdict.set in SETS and verdict.because for verdict in verdicts)
    gone = {name for name, verdict in found.items() if verdict.removable}
    assert not gone & (world["mine"] | world["used"])
    if world["protection"].unknown and not world["unjudged"]:
        assert not gone
        return
    dead = set() if world["client_ids"] is None else set(NAMES) - world["alive"]
    stays = world["mine"] | world["used"]
    assert gone == (world["held"] & (world["known"] | world["named"] | dead)) - stays
    by_set = {each: {name for name, verdict in found.items() if verdict.set == each} for each in SETS}
    assert by_set[PROTECTED] == world["held"] & world["mine"]
    assert by_set[USED] == world["held"] & world["used"] - world["mine"]
    assert by_set[GHOST] == world["held"] & dead - stays
    assert by_set[REMOVABLE] == world["held"] & world["known"] - stays - dead
    assert by_set[UNKNOWN] == world["held"] - world["known"] - stays - dead


@given(world=worlds())
def test_spelling_does_not_count(world: dict[str, Any]) -> None:
    told = (world["protection"], world["claims"], world["client_ids"])
    shouted = carrier(*(each.id.upper() for each in world["carrier"].identities))
    as_they_are, upper = (
        [
            (verdict.set, verdict.because, verdict.removable)
            for verdict in ownership.judge(each, *told, unjudged=world["unjudged"])
        ]
        for each in (world["carrier"], shouted)
    )
    assert as_they_are == upper


OBJECT = {"kind": "AzureIdentity", "spec": {"type": 0, "resourceID": ID, "clientID": "c"}}
ANNOTATED = {"metadata": {"annotations": {"kubectl.kubernetes.io/last-applied-configuration": json.dumps(OBJECT)}}}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (json.dumps(OBJECT), (ID,)),
        (json.dumps(ANNOTATED), (ID,)),
        (json.dumps({"release": json.dumps(ANNOTATED)}), (ID,)),
        (f"spec:\n  type: 0\n  resourceID: {KEY}\n  clientID: c\n", (KEY,)),
        (f"spec:\n  ResourceID: '{ID}'\n", (ID,)),
        (f'azureIdentities:\n  a:\n    resourceID: "{ID}"\n  b: {{resourceID: {uai("b")}, type: 0}}\n', (ID, uai("b"))),
        (json.dumps({"kubeletidentity": {"resourceId": ID}}), ()),
        (json.dumps({"identity": {"userAssignedIdentities": {ID: {}}}}), ()),
        (f"# once there was {ID}\n", ()),
        (json.dumps({"resourceID": f"{GROUP}/providers/Microsoft.Compute/disks/d"}), ()),
        ("", ()),
    ],
    ids=["object", "annotation", "in a text", "yaml", "old spelling", "values", "cluster", "set", "text", "disk", "no"],
)
def test_what_a_text_names(text: str, found: tuple[str, ...]) -> None:
    assert ownership.named_by_objects(text) == found


def test_what_an_inventory_tells() -> None:
    one = {"namespace": "team", "name": "a", "type": 0, "resource_id": ID}
    known, used = ownership.inventoried(
        {
            "identities": [one, {**one, "type": 1}, {**one, "resource_id": ""}],
            "assigned": [{**one, "namespace": "default", "name": "web-1-team-a"}, None],
            "releases": [
                {"namespace": "default", "name": "mic", "given_values": {"azureIdentities": {"a": {"resourceID": ID}}}},
                {"given_values": None},
            ],
            "workloads": [
                {"kind": "Deployment", "namespace": "team", "name": "web", "identities": [one, {**one, "type": 2}]},
                {"kind": "Pod", "namespace": "team", "name": "bare", "identities": []},
            ],
        }
    )
    assert known == [
        (ID, "AzureIdentity team/a"),
        (ID, "AzureAssignedIdentity default/web-1-team-a"),
        (ID, "the values of the helm release default/mic"),
    ]
    assert used == [(ID, "Deployment team/web")]
    assert ownership.inventoried({}) == ownership.inventoried({"workloads": None}) == ([], [])


def test_reasons_are_put_together() -> None:
    one = ownership.reasons([(ID, "x"), (KEY, "y"), (ID, "x")])
    assert one == {KEY: ("x", "y")}
    other = uai("b").lower()
    assert ownership.merged(one, {KEY: ("z",)}, {other: ["q"]}) == {KEY: ("x", "y", "z"), other: ("q",)}


def held(role: str = "f1a07417-d97a-45cb-824c-7a7467783830", scope: str = GROUP) -> list[Assignment]:
    definition = f"/subscriptions/s/providers/Microsoft.Authorization/roleDefinitions/{role}"
    return [Assignment("/a", "a", {"scope": scope, "roleDefinitionId": definition, "principalId": "p"})]


@pytest.mark.parametrize(
    ("assignments", "proves"),
    [
        (held(), True),
        (held(scope=ID.upper()), True),
        (held(scope="/subscriptions/s"), True),
        (held(scope=uai("b")), False),
        (held(scope=f"{GROUP}2"), False),
        (held("acdd72a7-3385-48ef-bd42-f606fba81ae7"), False),
        ([], False),
    ],
    ids=["its group", "itself", "the subscription", "another", "another group", "Reader", "none"],
)
def test_a_role_on_the_identity_is_what_proves_it(assignments: list[Assignment], proves: bool) -> None:
    assert bool(ownership.proof(ID, "MIC", assignments)) is proves


@pytest.mark.parametrize(
    "claims", [{}, {"claimed": {KEY: ("AzureIdentity t/x",)}}, {"proved": {KEY: ("MIC may",)}}], ids=str
)
def test_a_claim_or_a_role_alone_leaves_it_unknown(claims: dict[str, Any]) -> None:
    (found,) = ownership.judge(carrier(ID), NOBODY, Claims(**claims), ALIVE)
    assert (found.set, found.removable, found.claimed) == (UNKNOWN, False, "claimed" in claims)


def test_a_claim_with_a_role_makes_it_known() -> None:
    claims = Claims(claimed={KEY: ("AzureIdentity t/x",)}, proved={KEY: ("MIC may",)})
    (found,) = ownership.judge(carrier(ID), NOBODY, claims, ALIVE)
    assert (found.set, found.because, found.removable) == (REMOVABLE, "known from AzureIdentity t/x, and MIC may", True)
