# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The decisions of the playbook leftovers."""

from __future__ import annotations

from itertools import zip_longest
from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.playbooks.leftovers import PARTS
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.roles.part import Refused, Run

CLUSTER = {"cluster_name": "c1", "resource_group": "rg"}
REMOVE = {**CLUSTER, "leftovers_remove": True, "leftovers_confirm": "C1", "artifact_target": "/saved"}
NODES = {"leftovers_node_resource_group": "MC"}
UNNAMED, UNCONFIRMED, UNSAVED = "No scale sets are named", "Nothing was detached: with", "Nothing was detached: what"


@pytest.mark.parametrize(
    ("options", "check_mode", "sentences"),
    [
        pytest.param(CLUSTER, False, [], id="look"),
        pytest.param(NODES, False, [], id="look by the group of the nodes"),
        pytest.param({}, False, [UNNAMED], id="nothing is named"),
        pytest.param({"cluster_name": "c1"}, False, [UNNAMED], id="no resource group"),
        pytest.param({**NODES, "cluster_name": "c1"}, False, [UNNAMED], id="no resource group of the cluster"),
        pytest.param({"leftovers_remove": True}, False, [UNNAMED, UNCONFIRMED, UNSAVED], id="all at once"),
        pytest.param(REMOVE, False, [], id="remove"),
        pytest.param({**REMOVE, "leftovers_confirm": "c2"}, False, [UNCONFIRMED], id="another name"),
        pytest.param({**REMOVE, "leftovers_confirm": None}, False, [UNCONFIRMED], id="no confirmation"),
        pytest.param({**REMOVE, "artifact_target": None}, False, [UNSAVED], id="no directory"),
        pytest.param({**REMOVE, "artifact_target": "secret:a/b"}, False, [UNSAVED], id="a Secret"),
        pytest.param({**CLUSTER, "leftovers_remove": True}, True, [], id="check mode needs neither"),
        pytest.param({**CLUSTER, "leftovers_remove": None}, False, [], id="null is off"),
        pytest.param(
            {**NODES, "leftovers_remove": True, "leftovers_confirm": "mc", "artifact_target": "d"},
            False,
            [],
            id="nodes",
        ),
    ],
)
def test_options_are_checked(options: dict[str, Any], check_mode: bool, sentences: list[str]) -> None:
    told: tuple[str, ...] = ()
    try:
        PARTS["options"].plan(options, {}, Run(check_mode))
    except Refused as refused:
        told = refused.sentences
    begun = [text.startswith(start) for text, start in zip_longest(told, sentences, fillvalue="")]
    assert begun == [True] * len(sentences)


def test_the_confirmation_is_named() -> None:
    with pytest.raises(Refused, match="must repeat c1 outside check mode"):
        PARTS["options"].plan({**REMOVE, "leftovers_confirm": ""}, {}, Run())
    with pytest.raises(Refused, match="must repeat the name of the cluster outside check mode"):
        PARTS["options"].plan({"leftovers_remove": True}, {}, Run())


@pytest.mark.parametrize(
    ("options", "check_mode", "plan"),
    [
        (CLUSTER, False, {"removes": False, "saves": False, "looks": True, "resource_group": "rg"}),
        (REMOVE, False, {"removes": True, "saves": True, "looks": True, "resource_group": "rg"}),
        (REMOVE, True, {"removes": True, "saves": False, "looks": True, "resource_group": "rg"}),
        (
            {**CLUSTER, "leftovers_look_into_cluster": None},
            False,
            {"removes": False, "saves": False, "looks": False, "resource_group": "rg"},
        ),
        (
            {**NODES, "resource_group": "rg"},
            False,
            {"removes": False, "saves": False, "looks": False, "resource_group": ""},
        ),
    ],
    ids=["look", "remove", "check mode", "not into the cluster", "nodes"],
)
def test_what_is_done(options: dict[str, Any], check_mode: bool, plan: dict[str, Any]) -> None:
    assert PARTS["options"].plan(options, {}, Run(check_mode)) == plan


def scale_set(name: str, *identities: str, removable: str = "") -> dict[str, Any]:
    """Identities by their names, of which one is removable."""
    return {
        "id": f"/scaleSets/{name}",
        "name": name,
        "identities": [
            {"id": f"/ids/{each}", "removable": each == removable, "ownership": "o", "ownership_because": "why"}
            for each in identities
        ],
    }


LOOKED = {
    "known": True,
    "failure": "",
    "resources": [scale_set("a", "one"), scale_set("b", "one", "two", removable="two")],
    "host": "h",
    "began": "20260101T000000Z",
}


@pytest.mark.parametrize(
    ("options", "changes", "check_mode", "bundle"),
    [
        pytest.param(REMOVE, {}, False, "/saved/h-c1-20260101T000000Z.json", id="saved"),
        pytest.param(
            {**REMOVE, **NODES, "cluster_name": None}, {}, False, "/saved/h-MC-20260101T000000Z.json", id="nodes"
        ),
        pytest.param(CLUSTER, {}, False, "", id="look"),
        pytest.param(CLUSTER, {"known": False}, False, "", id="look without the cluster"),
        pytest.param(REMOVE, {}, True, "", id="check mode"),
        pytest.param(REMOVE, {"resources": [scale_set("a", "one")]}, False, "", id="nothing may go"),
        pytest.param(REMOVE, {"resources": []}, False, "", id="no scale set"),
        pytest.param(
            {**REMOVE, "leftovers_without_cluster": True},
            {"known": False},
            False,
            "/saved/h-c1-20260101T000000Z.json",
            id="without the cluster",
        ),
    ],
)
def test_what_is_written_down(options: dict[str, Any], changes: dict[str, Any], check_mode: bool, bundle: str) -> None:
    assert PARTS["detachment"].plan(options, {**LOOKED, **changes}, Run(check_mode)) == {"bundle": bundle}


@pytest.mark.parametrize("check_mode", [False, True], ids=["run", "check"])
@pytest.mark.parametrize(
    ("failure", "said"),
    [("", "The cluster was not looked at. Where"), ("It is down.", "It is down. Where")],
    ids=["not looked", "down"],
)
def test_nothing_goes_while_nobody_knows_what_is_used(failure: str, said: str, check_mode: bool) -> None:
    with pytest.raises(Refused, match=f"still get. {said}"):
        PARTS["detachment"].plan(REMOVE, {**LOOKED, "known": False, "failure": failure}, Run(check_mode))


DONE: dict[str, Any] = {
    "before": LOOKED["resources"],
    "unread": ["U."],
    "cleaned": [],
    "again": None,
    "residue": [{"object": "x"}],
    "failure": "",
    "bundle": "/b",
    "error": "",
}
GONE = [scale_set("a", "one"), scale_set("b", "one")]


@pytest.mark.parametrize(
    ("changes", "check_mode", "outcomes"),
    [
        pytest.param({}, False, ["stays", "stays", "can be detached"], id="look"),
        pytest.param({"cleaned": GONE}, False, ["stays", "stays", "detached"], id="done"),
        pytest.param({"cleaned": GONE}, True, ["stays", "stays", "would be detached"], id="check mode"),
        pytest.param({"again": GONE}, False, ["stays", "stays", "detached"], id="looked at again"),
        pytest.param(
            {"again": [], "cleaned": GONE}, False, ["stays", "stays", "can be detached"], id="what was seen last counts"
        ),
        pytest.param(
            {"cleaned": [{"id": "/SCALEsets/B", "identities": [{"id": "/IDS/One"}]}]},
            False,
            ["stays", "stays", "detached"],
            id="spelled otherwise",
        ),
        pytest.param({"before": []}, False, [], id="not looked at"),
    ],
)
def test_what_became_of_the_identities(changes: dict[str, Any], check_mode: bool, outcomes: list[str]) -> None:
    rows = PARTS["account"].plan({}, {**DONE, **changes}, Run(check_mode))["identities"]
    assert [row["outcome"] for row in rows] == outcomes


def test_what_is_left_to_whoever_started_the_run() -> None:
    done = {**DONE, "before": [scale_set("b", "two", removable="two")], "failure": "F.", "error": "E."}
    assert PARTS["account"].plan({}, done, Run()) == {
        "identities": [
            {
                "identity": "two",
                "scale_set": "b",
                "ownership": "o",
                "outcome": "can be detached",
                "why": "why",
                "id": "/ids/two",
                "resource_id": "/scaleSets/b",
            }
        ],
        "residue": [{"object": "x"}],
        "untold": ["F.", "U."],
        "restore_bundle": "/b",
        "error": "E.",
    }


def identity(name: str, ownership: str, *, removable: bool = False) -> dict[str, Any]:
    return {"id": f"/ids/{name}", "ownership": ownership, "ownership_because": "why", "removable": removable}


NMI = {"code": "installation_left", "object": "DaemonSet default/nmi"}
MIC = {"code": "installation_left", "object": "Deployment default/mic"}


@pytest.mark.parametrize(
    ("identities", "residue", "options", "said"),
    [
        pytest.param(
            [identity("web", "used"), identity("db", "used"), identity("x", "unknown")],
            [MIC],
            {},
            [
                "db, web stay, because workloads use them, and no NMI is installed to serve them. To have it back: "
                '"ansible-playbook azureops.pod_identity.site -e @FILE" with your file of variables. To remove pod '
                'identity, identities included: "ansible-playbook azureops.pod_identity.uninstall -e @FILE -e '
                'pod_identity_uninstall_confirm=c1 -e pod_identity_uninstall_allow_in_use=true".'
            ],
            id="used, and nobody serves it",
        ),
        pytest.param(
            [identity("web", "used")],
            [MIC, NMI],
            {},
            [
                "web stay, because workloads use them, and NMI (DaemonSet default/nmi) is installed to serve them. To "
                'remove pod identity, identities included: "ansible-playbook azureops.pod_identity.uninstall -e @FILE '
                '-e pod_identity_uninstall_confirm=c1 -e pod_identity_uninstall_allow_in_use=true".'
            ],
            id="used and served",
        ),
        pytest.param(
            [identity("old", "removable", removable=True)],
            [],
            {},
            [
                'To detach old: "ansible-playbook azureops.pod_identity.leftovers -e pod_identity_resource_group=rg -e '
                "pod_identity_cluster_name=c1 -e pod_identity_leftovers_remove=true -e pod_identity_leftovers_confirm="
                'c1 -e pod_identity_artifact_target=DIRECTORY".'
            ],
            id="of no use",
        ),
        pytest.param(
            [identity("old", "removable", removable=True), identity("web", "used")],
            [],
            {"cluster_name": "", "leftovers_node_resource_group": "MC", "artifact_target": "/saved"},
            [
                'To detach old: "ansible-playbook azureops.pod_identity.leftovers -e '
                "pod_identity_leftovers_node_resource_group=MC -e pod_identity_leftovers_remove=true -e "
                'pod_identity_leftovers_confirm=MC -e pod_identity_artifact_target=/saved".'
            ],
            id="no cluster is named",
        ),
        pytest.param([identity("x", "unknown")], [], {}, [], id="nothing to do"),
    ],
)
def test_the_next_command_is_named(
    identities: list[dict[str, Any]], residue: list[dict[str, Any]], options: dict[str, Any], said: list[str]
) -> None:
    before = [{"id": "/scaleSets/a", "name": "a", "identities": identities}]
    done = {**DONE, "before": before, "unread": [], "residue": residue}
    wish = {"cluster_name": "c1", "resource_group": "rg", **options}
    assert PARTS["account"].plan(wish, done, Run())["untold"] == said
    assert PARTS["account"].plan(wish, {**done, "error": "E."}, Run())["untold"] == []
