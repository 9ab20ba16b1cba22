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
from ansible_collections.azureops.pod_identity.tests.unit.tables import cases

CLUSTER = {"cluster_name": "c1", "resource_group": "rg"}
REMOVE = {**CLUSTER, "leftovers_remove": True, "leftovers_confirm": "C1", "artifact_target": "/saved"}
NODES = {"leftovers_node_resource_group": "MC"}
UNNAMED, UNCONFIRMED, UNSAVED = "No scale sets are named", "Nothing was detached: with", "Nothing was detached: what"


@cases(
    "options, check_mode, sentences",
    ("look", CLUSTER, False, []),
    ("look by the group of the nodes", NODES, False, []),
    ("nothing is named", {}, False, [UNNAMED]),
    ("no resource group", {"cluster_name": "c1"}, False, [UNNAMED]),
    ("no resource group of the cluster", {**NODES, "cluster_name": "c1"}, False, [UNNAMED]),
    ("all at once", {"leftovers_remove": True}, False, [UNNAMED, UNCONFIRMED, UNSAVED]),
    ("remove", REMOVE, False, []),
    ("another name", {**REMOVE, "leftovers_confirm": "c2"}, False, [UNCONFIRMED]),
    ("no confirmation", {**REMOVE, "leftovers_confirm": None}, False, [UNCONFIRMED]),
    ("no directory", {**REMOVE, "artifact_target": None}, False, [UNSAVED]),
    ("a Secret", {**REMOVE, "artifact_target": "secret:a/b"}, False, [UNSAVED]),
    ("check mode needs neither", {**CLUSTER, "leftovers_remove": True}, True, []),
    ("null is off", {**CLUSTER, "leftovers_remove": None}, False, []),
    ("nodes", {**NODES, "leftovers_remove": True, "leftovers_confirm": "mc", "artifact_target": "d"}, False, []),
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


@cases(
    "options, check_mode, plan",
    ("look", CLUSTER, False, {"removes": False, "looks": True, "resource_group": "rg"}),
    ("remove", REMOVE, False, {"removes": True, "looks": True, "resource_group": "rg"}),
    ("check mode", REMOVE, True, {"removes": True, "looks": True, "resource_group": "rg"}),
    (
        "not into the cluster",
        {**CLUSTER, "leftovers_look_into_cluster": None},
        False,
        {"removes": False, "looks": False, "resource_group": "rg"},
    ),
    ("nodes", {**NODES, "resource_group": "rg"}, False, {"removes": False, "looks": False, "resource_group": ""}),
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


INSIDE = {"workloads": [1], "identities": [2], "assigned": [3], "residue": [{"object": "x"}], "findings": [4]}
INVENTORY = {name: INSIDE[name] for name in ("workloads", "identities", "assigned")}
RESOURCES = [scale_set("a", "one"), scale_set("b", "one", "two", removable="two")]
LOOKED: dict[str, Any] = {
    "unconnected": "",
    "cluster": INSIDE,
    "scale_sets": {"cluster_id": "/c", "resources": RESOURCES, "unread": ["U."]},
    "host": "h",
    "began": "20260101T000000Z",
}
UNSEEN = {"cluster": None}


def found(options: dict[str, Any], changes: dict[str, Any], check_mode: bool = False) -> dict[str, Any]:
    return PARTS["found"].plan(options, {**LOOKED, **changes}, Run(check_mode))


@cases(
    "options, changes, check_mode, detaches, bundle",
    ("saved", REMOVE, {}, False, True, "/saved/h-c1-20260101T000000Z.json"),
    ("nodes", {**REMOVE, **NODES, "cluster_name": None}, {}, False, True, "/saved/h-MC-20260101T000000Z.json"),
    ("look", CLUSTER, {}, False, False, ""),
    ("look without the cluster", CLUSTER, UNSEEN, False, False, ""),
    ("check mode", REMOVE, {}, True, True, ""),
    ("nothing may go", REMOVE, {"scale_sets": {"resources": [scale_set("a", "one")]}}, False, True, ""),
    ("no scale set", REMOVE, {"scale_sets": {"resources": []}}, False, True, ""),
    (
        "without the cluster",
        {**REMOVE, "leftovers_without_cluster": True},
        UNSEEN,
        False,
        True,
        "/saved/h-c1-20260101T000000Z.json",
    ),
)
def test_what_is_written_down(
    options: dict[str, Any], changes: dict[str, Any], check_mode: bool, detaches: bool, bundle: str
) -> None:
    plan = found(options, changes, check_mode)
    assert (plan["detaches"], plan["bundle"], plan["error"]) == (detaches, bundle, "")


def test_what_is_found() -> None:
    assert found(CLUSTER, {}) == {
        "inventory": INVENTORY,
        "residue": INSIDE["residue"],
        "cluster_id": "/c",
        "resources": RESOURCES,
        "unknown": ["U."],
        "detaches": False,
        "bundle": "",
        "error": "",
    }


FAILED = {"failed": True, "msg": "It is down."}
NOT_KNOWN = "What is in the cluster is not known: It is down."


@pytest.mark.parametrize("check_mode", [False, True], ids=["run", "check"])
@cases(
    "changes, said, unknown",
    ("not looked", UNSEEN, "The cluster was not looked at. Where", ["U."]),
    ("not connected", {**UNSEEN, "unconnected": "It is down."}, f"{NOT_KNOWN} Where", [NOT_KNOWN, "U."]),
    ("down", {"cluster": FAILED}, f"{NOT_KNOWN} Where", [NOT_KNOWN, "U."]),
)
def test_nothing_goes_while_nobody_knows_what_is_used(
    changes: dict[str, Any], said: str, unknown: list[str], check_mode: bool
) -> None:
    plan = found(REMOVE, changes, check_mode)
    assert f"still get. {said}" in plan["error"]
    assert (plan["detaches"], plan["bundle"], plan["unknown"], plan["inventory"]) == (False, "", unknown, None)


def test_scale_sets_that_cannot_be_looked_at() -> None:
    plan = found(REMOVE, {"scale_sets": FAILED})
    assert (plan["error"], plan["detaches"], plan["resources"]) == ("It is down.", False, [])


def looks(part: str, options: dict[str, Any], observed: dict[str, Any], check_mode: bool = False) -> list[Any]:
    """Module and arguments of each look."""
    seen = PARTS[part].looks_at(options, observed, Run(check_mode))
    return [(each.module, each.arguments) for each in seen]


def test_the_place_is_looked_at_before_anything() -> None:
    place = {"place": "/saved/bundle.json", "content": "{}"}
    assert looks("options", REMOVE, {}) == [("pod_identity_bundle", place)]
    assert looks("options", REMOVE, {}, check_mode=True) == []
    assert looks("options", {**REMOVE, "artifact_target": "secret:a/b"}, {}) == []
    with pytest.raises(Refused, match=r"^It is down[.]$"):
        PARTS["options"].plan(REMOVE, {"place": FAILED}, Run())


def test_what_is_looked_at() -> None:
    inside = ("pod_identity_info", {"audit": True})
    outside = ("vmss_identity_info", {"inventory": INVENTORY, "check_existence": True})
    blind = ("vmss_identity_info", {"inventory": None, "check_existence": True})
    assert looks("found", CLUSTER, LOOKED) == [inside, outside]
    assert looks("found", CLUSTER, {**LOOKED, "cluster": FAILED}) == [inside, blind]
    assert looks("found", CLUSTER, {**LOOKED, **UNSEEN, "unconnected": "No."}) == [blind]
    assert looks("found", {**CLUSTER, "leftovers_look_into_cluster": None}, {**LOOKED, **UNSEEN}) == [blind]
    again = ("vmss_identity_info", {"inventory": INVENTORY, "activity_log_days": 0})
    assert looks("account", {}, {"found": {"inventory": INVENTORY}, "cleaned": FAILED}) == [again]
    assert looks("account", {}, {"found": {"inventory": INVENTORY}, "cleaned": {}}) == []


FOUND: dict[str, Any] = {"resources": RESOURCES, "residue": [{"object": "x"}], "unknown": ["U."], "error": ""}
DONE: dict[str, Any] = {"found": FOUND, "saved": {"place": "/b"}, "cleaned": {"skipped": True}}
GONE = {"resources": [scale_set("a", "one"), scale_set("b", "one")]}


@cases(
    "changes, check_mode, outcomes",
    ("look", {}, False, ["stays", "stays", "can be detached"]),
    ("done", {"cleaned": {"state": GONE}}, False, ["stays", "stays", "detached"]),
    ("check mode", {"cleaned": {"state": GONE}}, True, ["stays", "stays", "would be detached"]),
    ("looked at again", {"again": GONE}, False, ["stays", "stays", "detached"]),
    (
        "what was seen last counts",
        {"again": {"resources": []}, "cleaned": {"state": GONE}},
        False,
        ["stays", "stays", "can be detached"],
    ),
    ("not seen again", {"again": FAILED, "cleaned": {"state": GONE}}, False, ["stays", "stays", "detached"]),
    (
        "spelled otherwise",
        {"cleaned": {"state": {"resources": [{"id": "/SCALEsets/B", "identities": [{"id": "/IDS/One"}]}]}}},
        False,
        ["stays", "stays", "detached"],
    ),
    ("not looked at", {"found": {**FOUND, "resources": []}}, False, []),
)
def test_what_became_of_the_identities(changes: dict[str, Any], check_mode: bool, outcomes: list[str]) -> None:
    rows = PARTS["account"].plan({}, {**DONE, **changes}, Run(check_mode))["identities"]
    assert [row["outcome"] for row in rows] == outcomes


def test_what_is_left_to_whoever_started_the_run() -> None:
    before = [scale_set("b", "two", removable="two")]
    done = {**DONE, "found": {**FOUND, "resources": before, "unknown": ["F.", "U."], "error": "E."}}
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
        "undetermined": ["F.", "U."],
        "restore_bundle": "/b",
        "error": "E.",
    }


@cases(
    "changes, error",
    ("nothing", {}, ""),
    ("not saved", {"saved": {"failed": True, "msg": "No space."}}, "No space."),
    ("not detached", {"cleaned": FAILED}, "It is down."),
    ("without a word", {"cleaned": {"failed": True}}, "It failed."),
)
def test_what_stopped_it(changes: dict[str, Any], error: str) -> None:
    assert PARTS["account"].plan({}, {**DONE, **changes}, Run())["error"] == error


def identity(name: str, ownership: str, *, removable: bool = False) -> dict[str, Any]:
    return {"id": f"/ids/{name}", "ownership": ownership, "ownership_because": "why", "removable": removable}


NMI = {"code": "installation_left", "object": "DaemonSet default/nmi"}
MIC = {"code": "installation_left", "object": "Deployment default/mic"}
DOUBTED = [{"code": "not_believed", "object": f"{each} team/{each.lower()}"} for each in ("helm release", "DaemonSet")]


@cases(
    "identities, residue, options, said",
    (
        "used, and nobody serves it",
        [identity("web", "used"), identity("db", "used"), identity("x", "unknown")],
        [MIC],
        {},
        [
            "db, web stay, because workloads use them, and no NMI is installed to serve them. To have it back: "
            '"ansible-playbook azureops.pod_identity.site -e @FILE" with your file of variables. To remove pod '
            'identity, identities included: "ansible-playbook azureops.pod_identity.uninstall -e @FILE -e '
            'pod_identity_uninstall_confirm=c1".'
        ],
    ),
    (
        "used and served",
        [identity("web", "used")],
        [MIC, NMI],
        {},
        [
            "web stay, because workloads use them, and NMI (DaemonSet default/nmi) is installed to serve them. To "
            'remove pod identity, identities included: "ansible-playbook azureops.pod_identity.uninstall -e @FILE '
            '-e pod_identity_uninstall_confirm=c1".'
        ],
    ),
    (
        "used, and an installation that is not believed",
        [identity("web", "used")],
        DOUBTED,
        {},
        [
            "web stay, because workloads use them, and it is not known whether NMI serves them: DaemonSet "
            "team/daemonset is not believed to be of it. To remove pod identity, identities included: "
            '"ansible-playbook azureops.pod_identity.uninstall -e @FILE -e pod_identity_uninstall_confirm=c1".'
        ],
    ),
    (
        "of no use",
        [identity("old", "removable", removable=True)],
        [],
        {},
        [
            'To detach old: "ansible-playbook azureops.pod_identity.leftovers -e pod_identity_resource_group=rg -e '
            "pod_identity_cluster_name=c1 -e pod_identity_leftovers_remove=true -e pod_identity_leftovers_confirm="
            'c1 -e pod_identity_artifact_target=DIRECTORY", with the same further variables.'
        ],
    ),
    (
        "a Secret, which is no directory",
        [identity("old", "removable", removable=True)],
        [],
        {"artifact_target": "secret:ns/x"},
        [
            'To detach old: "ansible-playbook azureops.pod_identity.leftovers -e pod_identity_resource_group=rg -e '
            "pod_identity_cluster_name=c1 -e pod_identity_leftovers_remove=true -e pod_identity_leftovers_confirm="
            'c1 -e pod_identity_artifact_target=DIRECTORY", with the same further variables.'
        ],
    ),
    (
        "no cluster is named",
        [identity("old", "removable", removable=True), identity("web", "used")],
        [],
        {"cluster_name": "", "leftovers_node_resource_group": "MC", "artifact_target": "/saved"},
        [
            'To detach old: "ansible-playbook azureops.pod_identity.leftovers -e '
            "pod_identity_leftovers_node_resource_group=MC -e pod_identity_leftovers_remove=true -e "
            'pod_identity_leftovers_confirm=MC -e pod_identity_artifact_target=/saved", with the same further '
            "variables."
        ],
    ),
    ("nothing to do", [identity("x", "unknown")], [], {}, []),
)
def test_the_next_command_is_named(
    identities: list[dict[str, Any]], residue: list[dict[str, Any]], options: dict[str, Any], said: list[str]
) -> None:
    before = [{"id": "/scaleSets/a", "name": "a", "identities": identities}]
    found = {**FOUND, "resources": before, "unknown": [], "residue": residue}
    given = {"cluster_name": "c1", "resource_group": "rg", **options}
    assert PARTS["account"].plan(given, {**DONE, "found": found}, Run())["undetermined"] == said
    stopped = {**DONE, "found": {**found, "error": "E."}}
    assert PARTS["account"].plan(given, stopped, Run())["undetermined"] == []
