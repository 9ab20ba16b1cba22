# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The decisions of the playbook leftovers."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.playbooks.leftovers import PARTS
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.roles.part import Refused, Run
from ansible_collections.azureops.pod_identity.tests.unit.deciding import Raw, each_has, sentences
from ansible_collections.azureops.pod_identity.tests.unit.tables import cases

CLUSTER = {"cluster_name": "c1", "resource_group": "rg"}
REMOVE = {**CLUSTER, "leftovers_remove": True, "leftovers_confirm": "C1", "artifact_target": "/saved"}
NODES = {"leftovers_node_resource_group": "MC"}
UNNAMED, UNCONFIRMED, UNSAVED = "No scale sets are named", "Nothing was detached: with", "Nothing was detached: what"


@cases(
    "options, check_mode, begin",
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
def test_options_are_checked(options: Raw, check_mode: bool, begin: list[str]) -> None:
    told = sentences(PARTS["options"].plan, options, {}, Run(check_mode))
    assert each_has(told, begin) and all(map(str.startswith, told, begin))


def test_the_confirmation_is_named() -> None:
    with pytest.raises(Refused, match="must repeat c1 outside check mode"):
        PARTS["options"].plan({**REMOVE, "leftovers_confirm": ""}, {}, Run())
    with pytest.raises(Refused, match="must repeat the name of the cluster outside check mode"):
        PARTS["options"].plan({"leftovers_remove": True}, {}, Run())


@cases(
    "options, check_mode, plan",
    ("look", CLUSTER, False, (False, True, "rg")),
    ("remove", REMOVE, False, (True, True, "rg")),
    ("check mode", REMOVE, True, (True, True, "rg")),
    ("not into the cluster", {**CLUSTER, "leftovers_look_into_cluster": None}, False, (False, False, "rg")),
    ("nodes", {**NODES, "resource_group": "rg"}, False, (False, False, "")),
)
def test_what_is_done(options: Raw, check_mode: bool, plan: tuple[bool, bool, str]) -> None:
    made = dict(zip(("removes", "looks", "resource_group"), plan))
    assert PARTS["options"].plan(options, {}, Run(check_mode)) == made


def scale_set(name: str, *identities: str, removable: str = "") -> Raw:
    """Identities by their names, of which one is removable."""
    each = {"ownership": "o", "ownership_because": "why"}
    of = [
        {"id": f"/ids/{identity}", "removable": identity == removable, "claimed": False, **each}
        for identity in identities
    ]
    return {"id": f"/scaleSets/{name}", "name": name, "identities": of}


INSIDE = {"workloads": [1], "identities": [2], "assigned": [3], "residue": [{"object": "x"}], "findings": [4]}
INVENTORY = {name: INSIDE[name] for name in ("workloads", "identities", "assigned")}
RESOURCES = [scale_set("a", "one"), scale_set("b", "one", "two", removable="two")]
SCALE_SETS = {"cluster_id": "/c", "resources": RESOURCES, "unread": ["U."]}
BEGAN = {"host": "h", "began": "20260101T000000Z"}
LOOKED: Raw = {"unconnected": "", "cluster": INSIDE, "scale_sets": SCALE_SETS, **BEGAN}
UNSEEN = {"cluster": None}


def found(options: Raw, changes: Raw, check_mode: bool = False) -> Raw:
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
        *(False, True, "/saved/h-c1-20260101T000000Z.json"),
    ),
)
def test_what_is_written_down(options: Raw, changes: Raw, check_mode: bool, detaches: bool, bundle: str) -> None:
    plan = found(options, changes, check_mode)
    assert (plan["detaches"], plan["bundle"], plan["error"]) == (detaches, bundle, "")


def test_what_is_found() -> None:
    seen = {"inventory": INVENTORY, "residue": INSIDE["residue"], "cluster_id": "/c", "resources": RESOURCES}
    assert found(CLUSTER, {}) == {**seen, "unknown": ["U."], "detaches": False, "bundle": "", "error": ""}


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
    changes: Raw, said: str, unknown: list[str], check_mode: bool
) -> None:
    plan = found(REMOVE, changes, check_mode)
    assert f"still get. {said}" in plan["error"]
    assert (plan["detaches"], plan["bundle"], plan["unknown"], plan["inventory"]) == (False, "", unknown, None)


def test_scale_sets_that_cannot_be_looked_at() -> None:
    plan = found(REMOVE, {"scale_sets": FAILED})
    assert (plan["error"], plan["detaches"], plan["resources"]) == ("It is down.", False, [])


def looks(part: str, options: Raw, observed: Raw, check_mode: bool = False) -> list[Any]:
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


FOUND: Raw = {"resources": RESOURCES, "residue": [{"object": "x"}], "unknown": ["U."], "error": ""}
DONE: Raw = {"found": FOUND, "saved": {"place": "/b"}, "cleaned": {"skipped": True}}
GONE = {"resources": [scale_set("a", "one"), scale_set("b", "one")]}


LAST_SEEN = {"again": {"resources": []}, "cleaned": {"state": GONE}}
SPELLED = {"resources": [{"id": "/SCALEsets/B", "identities": [{"id": "/IDS/One"}]}]}


@cases(
    "changes, check_mode, outcomes",
    ("look", {}, False, ["stays", "stays", "can be detached"]),
    ("done", {"cleaned": {"state": GONE}}, False, ["stays", "stays", "detached"]),
    ("check mode", {"cleaned": {"state": GONE}}, True, ["stays", "stays", "would be detached"]),
    ("looked at again", {"again": GONE}, False, ["stays", "stays", "detached"]),
    ("what was seen last counts", LAST_SEEN, False, ["stays", "stays", "can be detached"]),
    ("not seen again", {"again": FAILED, "cleaned": {"state": GONE}}, False, ["stays", "stays", "detached"]),
    ("spelled otherwise", {"cleaned": {"state": SPELLED}}, False, ["stays", "stays", "detached"]),
    ("not looked at", {"found": {**FOUND, "resources": []}}, False, []),
)
def test_what_became_of_the_identities(changes: Raw, check_mode: bool, outcomes: list[str]) -> None:
    rows = PARTS["account"].plan({}, {**DONE, **changes}, Run(check_mode))["identities"]
    assert [row["outcome"] for row in rows] == outcomes


def test_what_is_left_to_whoever_started_the_run() -> None:
    before = [scale_set("b", "two", removable="two")]
    done = {**DONE, "found": {**FOUND, "resources": before, "unknown": ["F.", "U."], "error": "E."}}
    stays = {"identity": "two", "scale_set": "b", "ownership": "o", "outcome": "can be detached", "why": "why"}
    left = {
        "residue": [{"object": "x"}],
        "undetermined": ["F.", "U."],
        "commands": [],
        "restore_bundle": "/b",
        "error": "E.",
    }
    expected = {"identities": [{**stays, "id": "/ids/two", "resource_id": "/scaleSets/b", "claimed": False}], **left}
    assert PARTS["account"].plan({}, done, Run()) == expected


@cases(
    "changes, error",
    ("nothing", {}, ""),
    ("not saved", {"saved": {"failed": True, "msg": "No space."}}, "No space."),
    ("not detached", {"cleaned": FAILED}, "It is down."),
    ("without a word", {"cleaned": {"failed": True}}, "It failed."),
)
def test_what_stopped_it(changes: Raw, error: str) -> None:
    assert PARTS["account"].plan({}, {**DONE, **changes}, Run())["error"] == error


def identity(name: str, ownership: str, *, removable: bool = False, claimed: bool = False) -> Raw:
    told = {"ownership": ownership, "ownership_because": "why", "removable": removable, "claimed": claimed}
    return {"id": f"/ids/{name}", **told}


NMI = {"code": "installation_left", "object": "DaemonSet default/nmi"}
MIC = {"code": "installation_left", "object": "Deployment default/mic"}
DOUBTED = [{"code": "not_believed", "object": f"{each} team/{each.lower()}"} for each in ("helm release", "DaemonSet")]
PLAY = "ansible-playbook azureops.pod_identity"
REMOVAL = (
    "To remove pod identity, identities included",
    f"{PLAY}.uninstall -e @FILE -e pod_identity_uninstall_confirm=c1",
)
SITE = ("To have pod identity back", f"{PLAY}.site -e @FILE")
OLD = identity("old", "removable", removable=True)


def detaching(named: str, confirm: str, target: str = "DIRECTORY") -> tuple[str, str]:
    """What is told of an identity that is of no use."""
    options = f"-e pod_identity_leftovers_remove=true -e pod_identity_leftovers_confirm={confirm}"
    return "To detach old", f"{PLAY}.leftovers {named} {options} -e pod_identity_artifact_target={target}"


NAMED = "-e pod_identity_resource_group=rg -e pod_identity_cluster_name=c1"


@cases(
    "identities, residue, options, said, commands",
    (
        "used, and nobody serves it",
        [identity("web", "used"), identity("db", "used"), identity("x", "unknown")],
        [MIC],
        {},
        ["db, web stay, because workloads use them, and no NMI is installed to serve them."],
        [SITE, REMOVAL],
    ),
    (
        "used and served",
        [identity("web", "used")],
        [MIC, NMI],
        {},
        ["web stay, because workloads use them, and NMI (DaemonSet default/nmi) is installed to serve them."],
        [REMOVAL],
    ),
    (
        "used, and an installation that is not believed",
        [identity("web", "used")],
        DOUBTED,
        {},
        [
            "web stay, because workloads use them, and it is not known whether NMI serves them: DaemonSet "
            "team/daemonset is not believed to be of it."
        ],
        [REMOVAL],
    ),
    ("of no use", [OLD], [], {}, [], [detaching(NAMED, "c1")]),
    ("a Secret, which is no directory", [OLD], [], {"artifact_target": "secret:ns/x"}, [], [detaching(NAMED, "c1")]),
    (
        "no cluster is named",
        [OLD, identity("web", "used")],
        [],
        {"cluster_name": "", "leftovers_node_resource_group": "MC", "artifact_target": "/saved"},
        [],
        [detaching("-e pod_identity_leftovers_node_resource_group=MC", "MC", "/saved")],
    ),
    ("nothing to do", [identity("x", "unknown")], [], {}, [], []),
    (
        "named by objects of the cluster, and nothing proves it",
        [identity("y", "unknown", claimed=True), identity("x", "unknown", claimed=True), identity("z", "unknown")],
        [],
        {},
        ["Objects of the cluster name x, y, but nothing proves that MIC attached that."],
        [
            (
                "To detach x, y all the same",
                f"""{detaching(NAMED, "c1")[1]} -e '{{"pod_identity_leftovers_identities": ["/ids/x", "/ids/y"]}}'""",
            )
        ],
    ),
)
def test_the_next_command_is_named(
    identities: list[Raw], residue: list[Raw], options: Raw, said: list[str], commands: list[tuple[str, str]]
) -> None:
    before = [{"id": "/scaleSets/a", "name": "a", "identities": identities}]
    found = {**FOUND, "resources": before, "unknown": [], "residue": residue}
    given = {"cluster_name": "c1", "resource_group": "rg", **options}
    plan = PARTS["account"].plan(given, {**DONE, "found": found}, Run())
    assert plan["undetermined"] == said
    assert [(each["about"].split(", with ")[0], each["command"]) for each in plan["commands"]] == commands
    stopped = PARTS["account"].plan(given, {**DONE, "found": {**found, "error": "E."}}, Run())
    assert (stopped["undetermined"], stopped["commands"]) == ([], [])
