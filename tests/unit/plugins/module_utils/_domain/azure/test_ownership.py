# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whose an identity on a scale set is: each rule by a case of its own, and what holds of all of them together."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.azure import ownership
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.azure.attached_identities import Carrier
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
    return Carrier.parse(
        {
            "id": SET,
            "identity": {"type": "UserAssigned", "userAssignedIdentities": carried},
            "properties": {"provisioningState": state},
        }
    )


def named_by(**fields: Any) -> Protection:
    """What a cluster says of itself in these properties."""
    principal = {"clientId": "a-service-principal"}  # whose nodes need no identity
    return protection({"name": "c1", "properties": {"servicePrincipalProfile": principal, **fields}}, "", ())


KNOWN = Claims(known={KEY: ("AzureIdentity team/a",)})
NOBODY = Protection()
LOST = Protection(unknown="the cluster is gone")

# Name: what is known of the identity, its set, part of why, whether it may go.
CASES: dict[str, tuple[dict[str, Any], str, str, bool]] = {
    # K
    "known": ({"claims": KNOWN}, REMOVABLE, "known from AzureIdentity team/a", True),
    "known from many": (
        {"claims": Claims(known={KEY: tuple("abcde")})},
        REMOVABLE,
        "known from a, b, c and 2 more",
        True,
    ),
    "known in another casing": ({"on": carrier(ID.upper()), "claims": KNOWN}, REMOVABLE, "known", True),
    # P
    "kubelet": (
        {"claims": KNOWN, "protection": named_by(identityProfile={"kubeletidentity": {"resourceId": ID.upper()}})},
        PROTECTED,
        "it is the identity of the kubelets of the cluster c1",
        False,
    ),
    "control plane": (
        {
            "claims": KNOWN,
            "protection": protection(
                {
                    "name": "c1",
                    "identity": {"userAssignedIdentities": {ID: {}}},
                    "properties": {"servicePrincipalProfile": {"clientId": "x"}},
                },
                "",
                (),
            ),
        },
        PROTECTED,
        "it is an identity of the control plane",
        False,
    ),
    "add-on": (
        {"claims": KNOWN, "protection": named_by(addonProfiles={"omsagent": {"identity": {"resourceId": ID}}})},
        PROTECTED,
        "it is the identity of the add-on omsagent",
        False,
    ),
    "add-on of pod identity": (
        {
            "claims": KNOWN,
            "protection": named_by(podIdentityProfile={"userAssignedIdentities": [{"identity": {"resourceId": ID}}]}),
        },
        PROTECTED,
        "it is given to pods by the pod identity add-on",
        False,
    ),
    "web app routing": (
        {"claims": KNOWN, "protection": named_by(ingressProfile={"webAppRouting": {"identity": {"resourceId": ID}}})},
        PROTECTED,
        "it is named in ingressProfile.webAppRouting",
        False,
    ),
    "a field of the future": (
        {"claims": KNOWN, "protection": named_by(bootstrapProfile={"registry": {"msi": ID}})},
        PROTECTED,
        "it is named in bootstrapProfile.registry",
        False,
    ),
    "named by the user": (
        {"claims": KNOWN, "protection": protection(None, "", [ID.upper()])},
        PROTECTED,
        "it is in protected_identities",
        False,
    ),
    "protected, named to be detached": (
        {"claims": Claims(named=frozenset([KEY])), "protection": Protection({KEY: MINE})},
        PROTECTED,
        "it is mine",
        False,
    ),
    "protected, dead": (
        {"on": carrier(ID, client_id=""), "protection": Protection({KEY: MINE}), "client_ids": {}},
        PROTECTED,
        "it is mine",
        False,
    ),
    "protected, still for pods": (
        {"claims": Claims(used={KEY: ("Deployment team/web",)}), "protection": Protection({KEY: MINE})},
        PROTECTED,
        "it is mine",
        False,
    ),
    "whose nodes nobody knows": ({"claims": KNOWN, "protection": LOST}, PROTECTED, "the cluster is gone", False),
    "whose nodes nobody knows, dead": (
        {"on": carrier(ID, client_id=""), "client_ids": {}, "protection": LOST},
        PROTECTED,
        "the cluster is gone",
        False,
    ),
    "whose nodes nobody has to know": (
        {"claims": KNOWN, "protection": LOST, "unjudged": True},
        REMOVABLE,
        "known from",
        True,
    ),
    # still matched
    "still for pods": (
        {"claims": Claims(known=KNOWN.known, used={KEY: ("Deployment team/web",)})},
        USED,
        "it is still for Deployment team/web",
        False,
    ),
    "still for pods, named to be detached": (
        {"claims": Claims(used={KEY: ("Deployment team/web",)}, named=frozenset([KEY]))},
        USED,
        "it is still for",
        False,
    ),
    "still for pods, dead": (
        {"on": carrier(ID, client_id=""), "claims": Claims(used={KEY: ("Deployment team/web",)}), "client_ids": {}},
        USED,
        "it is still for",
        False,
    ),
    # unknown
    "unknown": ({}, UNKNOWN, "nothing says that pod identity attached it", False),
    "unknown, looked up": ({"client_ids": ALIVE}, UNKNOWN, "nothing says", False),
    "unknown, named to be detached": (
        {"claims": Claims(named=frozenset([KEY])), "on": carrier(ID.upper())},
        UNKNOWN,
        "it is named to be detached",
        True,
    ),
    # ghost
    "deleted": ({"client_ids": {}}, GHOST, "it does not exist any more", True),
    "deleted, as Azure says": ({"on": carrier(ID, client_id=""), "client_ids": {}}, GHOST, "does not exist", True),
    "made again": ({"client_ids": {KEY: "another"}}, GHOST, "made again under the same name", True),
    "made again, as Azure says": (
        {"on": carrier(ID, client_id=""), "client_ids": ALIVE},
        GHOST,
        "made again under the same name",
        True,
    ),
    "known, made again": ({"claims": KNOWN, "client_ids": {KEY: "another"}}, GHOST, "made again", True),
    "without a client id, not looked up": (
        {"on": carrier(ID, client_id="")},
        GHOST,
        "whether it exists again could not be looked up",
        False,
    ),
    "without a client id, in a group that may not be read": (
        {"on": carrier(ID, client_id=""), "client_ids": {}, "unread": [GROUP.lower()]},
        GHOST,
        "could not be looked up",
        False,
    ),
    "without a client id, not looked up, named": (
        {"on": carrier(ID, client_id=""), "claims": Claims(named=frozenset([KEY]))},
        GHOST,
        "could not be looked up",
        True,
    ),
    "without a client id, not looked up, known": (
        {"on": carrier(ID, client_id=""), "claims": KNOWN},
        REMOVABLE,
        "known from",
        True,
    ),
    "just being attached": (
        {"on": carrier(ID, client_id="", state="Updating"), "client_ids": ALIVE},
        UNKNOWN,
        "nothing says",
        False,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_rules(name: str) -> None:
    told, expected, because, removable = CASES[name]
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
    return {
        "held": held,
        "known": known,
        "used": used,
        "named": named,
        "mine": mine,
        "alive": alive,
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
        ownership.judge(each, *told, unjudged=world["unjudged"]) for each in (world["carrier"], shouted)
    )
    assert [(each.set, each.because, each.removable) for each in as_they_are] == [
        (each.set, each.because, each.removable) for each in upper
    ]


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
    assert ownership.merged(one, {KEY: ("z",)}, {uai("b").lower(): ["q"]}) == {
        KEY: ("x", "y", "z"),
        uai("b").lower(): ("q",),
    }
