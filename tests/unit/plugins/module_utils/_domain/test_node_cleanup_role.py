# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain import node_cleanup_role as role
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.node_cleanup_role import Batch, Host

HELLO = "user=0\nhost=n1\npython=/usr/bin/python3\n"
CLEAN = {"transport": "ssh", "outcome": "clean"}
STOPS = {"transport": "ssh", "outcome": "error", "stops": True}
REACHED = {"transport": "ssh", "access": {"problem": "", "user": "0", "python": ""}}
LOST = {"transport": "aks_node_pod", "unreachable": True, "msg": "timed out"}
BEGUN = {"outcome": "", "reason": "", "saved": [], "transport": "ssh"}
IMDS = {"answered_by": "imds", "proved": True, "method": "pod_network", "message": "It answers."}


def part(**lists: Any) -> dict[str, Any]:
    return {"result": {"backends": {"nft": {"found": [], "removed": [], "left": [], **lists}}, "nmi": []}}


@pytest.mark.parametrize(
    ("output", "errors", "name", "access"),
    [
        pytest.param(HELLO, "", "n1", role.Access("", "0", "/usr/bin/python3"), id="the node"),
        pytest.param(HELLO, "", "N1", role.Access("", "0", "/usr/bin/python3"), id="the node in capitals"),
        pytest.param(HELLO, "", None, role.Access("", "0", "/usr/bin/python3"), id="no name is known"),
        pytest.param("motd\n user=7\r\nhost=n1\r\n", "", "n1", role.Access("", "7", ""), id="a terminal"),
        pytest.param(HELLO, "", "n2", role.Access("another machine answers there, n1"), id="another machine"),
        pytest.param("user=0\n", "", "n1", role.Access("another machine answers there, "), id="no name is said"),
        pytest.param("", " no shell \n", "n1", role.Access("no shell"), id="an error"),
        pytest.param("", "", "n1", role.Access("it does not run commands"), id="nothing"),
    ],
)
def test_a_way_leads_to_the_node_of_that_name_alone(
    output: str, errors: str, name: str | None, access: role.Access
) -> None:
    assert role.accessed(output, errors, name) == access


def test_one_linux_node_of_each_cluster_asks_for_all() -> None:
    def node(cluster: str, system: str = "linux") -> dict[str, str]:
        return {"name": "n", "cluster_name": cluster, "resource_group": "g", "os": system}

    play = [
        Host("elsewhere", node("a")),
        Host("w", node("a", "windows")),
        *(Host(name, node(cluster)) for name, cluster in (("a1", "a"), ("b1", "b"), ("a2", "a"))),
        Host("unknown"),
    ]
    begun = role.begin(play, ["w", "a1", "b1", "a2", "unknown"])
    assert begun.askers == {"w": "a1", "a1": "a1", "b1": "b1", "a2": "a1"}
    assert set(begun.next.values()) == {"untouched.yml"} and not begun.chosen


def test_a_host_of_an_earlier_batch_stops_the_run() -> None:
    play = [Host("n1", result=STOPS), Host("n2", answers=[REACHED])]
    begun = role.begin(play, ["n2"])
    assert begun.stopped_by == "n1"
    chosen = role.choose(play, ["n2"], begun)
    assert (chosen.stopped_by, chosen.next, chosen.go) == ("n1", {"n2": "stopped.yml"}, ())


def chosen(play: list[Host], earlier: Batch | None = None) -> Batch:
    batch = [host.name for host in play]
    return role.choose(play, batch, earlier or role.begin(play, batch))


def test_one_goes_alone_until_one_has_ended_well() -> None:
    hosts = [Host(f"n{number}", answers=[REACHED]) for number in range(1, 4)]
    first = chosen(hosts)
    assert (first.next, first.canary, first.waiting, first.go) == ({"n1": "canary.yml"}, "n1", ("n1", "n2", "n3"), ())
    hosts[0] = Host("n1", answers=[REACHED], result={"transport": "ssh", "outcome": "refused"})
    second = chosen(hosts, first)
    assert (second.next, second.canary, second.waiting, second.go) == ({"n2": "canary.yml"}, "n2", ("n2", "n3"), ())
    hosts[1] = Host("n2", answers=[REACHED], result=CLEAN)
    third = chosen(hosts, second)
    assert (third.next, third.canary, third.waiting, third.go) == ({}, "", (), ("n3",))
    assert chosen(hosts, third).go == ("n3",)


def test_behind_a_first_node_that_went_wrong_none_goes() -> None:
    hosts = [Host("n1", answers=[REACHED]), Host("n2", answers=[REACHED])]
    first = chosen(hosts)
    hosts[0] = Host("n1", answers=[REACHED], result=STOPS)
    second = chosen(hosts, first)
    assert (second.stopped_by, second.next, second.go, second.waiting) == ("n1", {"n2": "stopped.yml"}, (), ("n2",))
    assert chosen(hosts, second).waiting == ()


@pytest.mark.parametrize("left", [CLEAN, STOPS])
def test_a_result_that_a_host_has_from_before_does_not_count(left: dict[str, Any]) -> None:
    """One host may be one node after the other."""
    hosts = [Host("n1", answers=[REACHED], result=left), Host("n2", answers=[REACHED])]
    begun = role.begin(hosts, ["n1", "n2"])
    first = chosen(hosts, Batch(**{**vars(begun), "stopped_by": ""}))
    assert (first.canary, first.stopped_by) == ("n1", "")
    hosts[0] = Host("n1", answers=[REACHED], result={"transport": "ssh", "outcome": "unproved"})
    hosts[1] = Host("n2", answers=[REACHED], result=left)
    assert chosen(hosts, first).canary == "n2"


def test_what_was_not_tried_and_what_was_not_reached() -> None:
    broken = {"transport": "ssh", "failed": True, "msg": "\n"}
    hosts = [Host("n1"), Host("n2", answers=[broken, LOST]), Host("n3", answers=[LOST, REACHED])]
    first = chosen(hosts)
    assert first.next == {"n1": "untouched.yml", "n2": "unreached.yml", "n3": "canary.yml"}
    assert first.begun["n2"]["attempts"] == [
        {"transport": "ssh", "problem": "it does not run commands"},
        {"transport": "aks_node_pod", "problem": "timed out"},
    ]
    assert (first.begun["n3"]["transport"], first.access["n3"]) == ("ssh", REACHED["access"])
    assert first.pods == ("n2", "n3")


@pytest.mark.parametrize(
    ("done", "outcome", "stops", "more"),
    [
        pytest.param({**part(), "answer": IMDS}, "clean", False, False, id="clean and proved"),
        pytest.param(part(), "clean", False, True, id="clean, not asked"),
        pytest.param({**part(), "answer": {**IMDS, "proved": False}}, "clean", False, True, id="clean, not proved"),
        pytest.param(
            {**part(), "answer": {"answered_by": "unknown", "proved": False}}, "clean", False, True, id="silent"
        ),
        pytest.param({**part(saved_to="/f"), "changed": True}, "cleaned", False, True, id="cleaned"),
        pytest.param({"failed": True, "msg": "no."}, "error", True, False, id="error"),
        pytest.param({"unreachable": True, "msg": "no."}, "unreachable", False, False, id="unreachable"),
        pytest.param({"failed": True, "result": {"nmi": ["nmi"]}}, "refused", False, False, id="an NMI lives"),
        pytest.param(
            {"failed": True, "result": {"nmi": ["nmi"]}, "taken": ["-A X"]}, "error", True, False, id="a rule is gone"
        ),
        pytest.param({**part(saved_to="/f"), "failed": True, "msg": "no."}, "error", True, True, id="failed later"),
    ],
)
def test_how_a_first_node_ended(done: dict[str, Any], outcome: str, stops: bool, more: bool) -> None:
    ended = role.ended(BEGUN, done, first=True, force=False, check_mode=False)
    assert (ended.result["outcome"], ended.result["stops"], ended.more) == (outcome, stops, more)
    assert ended.proves == (outcome in ("clean", "cleaned"))
    assert ended.result["reason"] == (done.get("msg", "") if outcome not in ("clean", "cleaned") else "")


def test_only_what_was_taken_stops_behind_the_first() -> None:
    for done, stops in (({"failed": True}, False), ({"failed": True, "taken": ["-A X"]}, True)):
        assert role.ended(BEGUN, done, first=False, force=False, check_mode=False).result["stops"] == stops


def test_a_living_nmi_that_was_accepted_refuses_nothing() -> None:
    done = {"failed": True, "result": {"nmi": ["nmi"]}}
    assert role.ended(BEGUN, done, first=False, force=True, check_mode=False).result["outcome"] == "error"


def test_the_result_lists_what_was_found() -> None:
    done = {**part(found=[{"rule": "a"}], removed=["a"], left=[{"rule": "b"}]), "changed": True, "answer": IMDS}
    result = role.ended({**BEGUN, "reason": "Beware."}, done, first=False, force=False, check_mode=False).result
    assert (result["found"], result["removed"], result["left"]) == ([{"rule": "a"}], ["a"], [{"rule": "b"}])
    assert (result["proof"], result["proof_method"], result["reason"]) == ("imds", "pod_network", "Beware.")


def test_check_mode_proves_nothing() -> None:
    ended = role.ended(BEGUN, part(), first=True, force=False, check_mode=True)
    assert (ended.proves, ended.more, ended.result["outcome"]) == (False, False, "clean")
