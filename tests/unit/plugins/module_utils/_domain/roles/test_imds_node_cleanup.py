# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.roles import imds_node_cleanup as role
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.roles.imds_node_cleanup import (
    CORDONED,
    PARTS,
    REIMAGING,
    Batch,
    Gate,
    Host,
    Options,
)
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.roles.part import Refused, Run
from ansible_collections.azureops.pod_identity.tests.unit.tables import cases, table

HELLO = "user=0\nhost=n1\npython=/usr/bin/python3\n"
CLEAN = {"transport": "ssh", "outcome": "clean"}
STOPS = {"transport": "ssh", "outcome": "error", "stops": True}
REACHED = {"transport": "ssh", "access": {"problem": "", "user": "0", "python": ""}}
LOST = {"transport": "aks_node_pod", "unreachable": True, "msg": "timed out"}
BEGUN = {"outcome": "", "reason": "", "saved": [], "transport": "ssh"}
IMDS = {"answered_by": "imds", "proved": True, "method": "pod_network", "message": "It answers."}


def part(**lists: Any) -> dict[str, Any]:
    return {"result": {"backends": {"nft": {"found": [], "removed": [], "left": [], **lists}}, "nmi": []}}


@cases(
    "output, errors, name, access",
    ("the node", HELLO, "", "n1", role.Access("", "0", "/usr/bin/python3")),
    ("the node in capitals", HELLO, "", "N1", role.Access("", "0", "/usr/bin/python3")),
    ("no name is known", HELLO, "", None, role.Access("", "0", "/usr/bin/python3")),
    ("a terminal", "motd\n user=7\r\nhost=n1\r\n", "", "n1", role.Access("", "7", "")),
    ("another machine", HELLO, "", "n2", role.Access("another machine answers there, n1")),
    ("no name is said", "user=0\n", "", "n1", role.Access("another machine answers there, ")),
    ("an error", "", " no shell \n", "n1", role.Access("no shell")),
    ("nothing", "", "", "n1", role.Access("it does not run commands")),
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
    assert (chosen.stopped_by, chosen.next, chosen.go) == ("n1", {"n2": "untouched.yml"}, ())


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
    assert (second.stopped_by, second.next, second.go, second.waiting) == ("n1", {"n2": "untouched.yml"}, (), ("n2",))
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


def test_nodes_whose_rules_stay_neither_go_first_nor_hold_up_others() -> None:
    hosts = [Host("n1", looks=True), Host("n2", answers=[REACHED]), Host("n3", looks=True)]
    hosts += [Host("n4", answers=[REACHED])]
    first = chosen(hosts)
    assert first.next == {"n1": "untouched.yml", "n2": "canary.yml", "n3": "untouched.yml"}
    assert (first.canary, first.waiting, first.pods, first.refused) == ("n2", ("n2", "n4"), (), ("n1", "n3"))
    assert set(first.access) == {"n2", "n4"}
    refused = {"transport": "", "outcome": "refused"}
    hosts[:3] = [Host("n1", result=refused, looks=True), Host("n2", answers=[REACHED], result=CLEAN)]
    hosts[2:2] = [Host("n3", result=refused, looks=True)]
    second = chosen(hosts, first)
    assert (second.next, second.go, second.refused) == ({}, ("n4",), ("n1", "n3"))
    hosts[1] = Host("n2", answers=[REACHED], result=STOPS)
    assert chosen(hosts, first).refused == ()


def test_where_every_node_is_refused_none_waits() -> None:
    first = chosen([Host("n1", looks=True), Host("n2", looks=True)])
    assert set(first.next.values()) == {"untouched.yml"}
    assert (first.refused, first.canary, first.go, first.waiting) == (("n1", "n2"), "", (), ())


def test_behind_a_node_that_stopped_the_run_none_is_looked_at() -> None:
    hosts = [Host("n1", looks=True)]
    begun = role.begin(hosts, ["n1"])
    stopped = role.choose(hosts, ["n1"], replace(begun, stopped_by="n0"))
    assert (stopped.next, stopped.go, stopped.waiting) == ({"n1": "untouched.yml"}, (), ())
    assert stopped.refused == ()


def test_what_a_look_finds_is_counted_and_not_removed() -> None:
    refused = role.Verdict("refused", "The rules stay.", looks=True)
    begun = {**BEGUN, "attempts": [], "found": [], "removed": [], "left": []}
    gated = role.gated(begun, refused, stops=False)
    assert (gated["outcome"], gated["transport"], gated["reason"]) == ("refused", "", "The rules stay.")
    found = role.looked(gated, "ssh", part(found=["a", "b"], removed=["a", "b"], left=["c"]))
    assert (found["outcome"], found["transport"], found["reason"]) == ("refused", "ssh", "The rules stay.")
    assert (found["found"], found["removed"], found["left"]) == (["a", "b"], [], ["c"])
    living = role.looked(gated, "ssh", {"result": {**part()["result"], "nmi": ["nmi (pid 7)"]}})
    assert living["reason"] == "The rules stay. An NMI lives there (nmi (pid 7))."
    broken = role.looked(gated, "ssh", {"failed": True, "msg": "No table."})
    assert (broken["transport"], broken["reason"]) == (
        "",
        "The rules stay. What is on it could not be looked at: No table.",
    )
    held = role.gated(begun, role.Verdict("stopped", "Stopped."), stops=True)
    assert (held["reason"], held["stops"]) == ("Stopped.", True)
    # It was reached, and nobody looked.
    assert role.gated(begun, role.Verdict("stopped", "Stopped."), stops=False)["transport"] == ""


def test_which_way_leads_to_a_node_whose_rules_stay() -> None:
    refused = {**BEGUN, "transport": "", "attempts": [], "outcome": "refused", "reason": "The rules stay."}
    led = role.way_to_look(refused, [LOST, REACHED])
    assert (led["transport"], led["access"], led["result"]["reason"]) == ("ssh", REACHED["access"], "The rules stay.")
    assert [each["transport"] for each in led["result"]["attempts"]] == ["aks_node_pod", "ssh"]
    lost = role.way_to_look(refused, [LOST])
    assert (lost["transport"], lost["result"]["transport"]) == ("", "")
    assert lost["result"]["reason"] == (
        "The rules stay. What is on it could not be looked at (aks_node_pod: timed out)."
    )
    assert role.way_to_look(refused, []) == {"result": refused, "transport": ""}


def test_what_was_not_tried_and_what_was_not_reached() -> None:
    broken = {"transport": "ssh", "failed": True, "msg": "\n"}
    hosts = [Host("n1"), Host("n2", answers=[broken, LOST]), Host("n3", answers=[LOST, REACHED])]
    first = chosen(hosts)
    assert first.next == {"n1": "untouched.yml", "n2": "untouched.yml", "n3": "canary.yml"}
    assert first.begun["n2"]["attempts"] == [
        {"transport": "ssh", "problem": "it does not run commands"},
        {"transport": "aks_node_pod", "problem": "timed out"},
    ]
    assert (first.begun["n3"]["transport"], first.access["n3"]) == ("ssh", REACHED["access"])
    assert first.pods == ("n2", "n3")


@cases(
    "done, outcome, stops, more",
    ("clean and proved", {**part(), "answer": IMDS}, "clean", False, False),
    ("clean, not asked", part(), "clean", False, True),
    ("clean, not proved", {**part(), "answer": {**IMDS, "proved": False}}, "clean", False, True),
    ("silent", {**part(), "answer": {"answered_by": "unknown", "proved": False}}, "clean", False, True),
    ("cleaned", {**part(saved_to="/f"), "changed": True}, "cleaned", False, True),
    ("error", {"failed": True, "msg": "no."}, "error", True, False),
    ("unreachable", {"unreachable": True, "msg": "no."}, "unreachable", False, False),
    ("an NMI lives", {"failed": True, "result": {"nmi": ["nmi"]}}, "refused", False, False),
    ("a rule is gone", {"failed": True, "result": {"nmi": ["nmi"]}, "taken": ["-A X"]}, "error", True, False),
    ("failed later", {**part(saved_to="/f"), "failed": True, "msg": "no."}, "error", True, True),
)
def test_how_a_first_node_ended(done: dict[str, Any], outcome: str, stops: bool, more: bool) -> None:
    ended = role.ended(BEGUN, done, first=True, force=False, check_mode=False)
    assert (ended.result["outcome"], ended.result["stops"], ended.next == "prove.yml") == (outcome, stops, more)
    assert ended.proves == (outcome in ("clean", "cleaned"))
    if outcome != "refused":
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
    assert result["would_remove"] == []
    assert (result["proof"], result["proof_method"], result["reason"]) == ("imds", "pod_network", "Beware.")


def test_a_living_nmi_is_refused_with_the_option_of_the_role() -> None:
    done = {"failed": True, "msg": "... set force to true", "result": {"nmi": ["nmi (pid 7)"]}}
    reason = role.ended(BEGUN, done, first=False, force=False, check_mode=False).result["reason"]
    assert reason.startswith("An NMI lives on this node (nmi (pid 7)) and would") and "set force" not in reason
    assert "azureops.pod_identity.uninstall -e @FILE" in reason and "imds_node_cleanup_force=true" in reason


def test_check_mode_proves_nothing() -> None:
    ended = role.ended(BEGUN, part(), first=True, force=False, check_mode=True)
    assert (ended.proves, ended.next, ended.result["outcome"]) == (False, "", "clean")


def test_what_check_mode_predicts_is_not_told_as_done() -> None:
    done = {**part(found=[{"rule": "a"}], removed=["a"]), "changed": True}
    result = role.ended(
        {**BEGUN, "node": "n1", "proof": "", "proof_method": ""}, done, first=True, force=False, check_mode=True
    ).result
    assert (result["outcome"], result["stops"], result["reason"]) == ("would_clean", False, "")
    (row,) = plan("report", {"hosts": ["n1"], "results": [result]})["rows"]
    assert (row["found"], row["removed"]) == (1, "")
    assert (result["removed"], result["would_remove"]) == ([], ["a"])


def test_others_follow_a_first_node_in_check_mode_too() -> None:
    hosts = [role.Host(name, answers=[REACHED]) for name in ("n1", "n2", "n3")]
    hosts[0] = role.Host("n1", answers=[REACHED], result={"transport": "ssh", "outcome": "would_clean"})
    chosen = role.choose(hosts, ["n2", "n3"], role.begin(hosts, ["n2", "n3"]))
    assert (chosen.canary, chosen.go) == ("", ("n2", "n3"))


OPEN: dict[str, Any] = {"name": "n1", "closed_because": []}
SHUT: dict[str, Any] = {"name": "n1", "closed_because": ["NMI covers it", "it carries stray"]}
USED: dict[str, Any] = {**SHUT, "nmi_installation": "DaemonSet default/nmi", "nmi_state": "active"}
OPTIONS = Options()


def plan(part: str, observed: dict[str, Any], *, check_mode: bool = False, **options: Any) -> dict[str, Any]:
    return PARTS[part].plan(options, observed, Run(check_mode=check_mode))


@cases(
    "gate, changes, outcome, reason",
    ("open", Gate(OPEN, None, ""), {}, "", ""),
    ("still open", Gate(OPEN, {"nodes": [OPEN]}, ""), {}, "", ""),
    ("Windows", Gate({"os": "windows"}, None, "n9"), {}, "clean", "Windows node"),
    ("unknown", Gate({}, None, ""), {}, "refused", "neither the API server nor Azure could be"),
    ("shut", Gate(SHUT, None, ""), {}, "refused", "because NMI covers it; and it carries stray. As a last"),
    ("shut by now", Gate(OPEN, {"nodes": [SHUT]}, ""), {}, "refused", "NMI covers it"),
    ("NMI serves", Gate(SHUT, {"nodes": [USED]}, ""), {}, "in_use", "Nothing is to be cleaned"),
    (
        "NMI served",
        Gate(USED, {"nodes": [{**USED, "nmi_state": "missing"}]}, ""),
        {},
        "refused",
        "does not serve on the",
    ),
    ("NMI serves, accepted", Gate(USED, None, ""), {"accept_open_imds": True}, "", ""),
    ("open by now", Gate(SHUT, {"nodes": [OPEN]}, ""), {}, "", ""),
    ("not told of any more", Gate(SHUT, {"nodes": []}, ""), {}, "refused", "NMI covers it"),
    ("no answer", Gate(OPEN, {"msg": "No."}, ""), {}, "refused", "could not be asked again (No). Mend"),
    ("nobody asked", Gate(OPEN, {}, ""), {}, "refused", "could not be asked again (no answer)"),
    ("accepted", Gate(SHUT, {}, ""), {"accept_open_imds": True}, "", ""),
    ("stopped", Gate(OPEN, None, "n9"), {}, "stopped", "the run stopped at n9."),
    ("shut, and stopped", Gate(SHUT, None, "n9"), {}, "refused", "NMI covers it"),
    ("a Secret", Gate(OPEN, None, ""), {"artifact_target": "secret:a/b"}, "", ""),
    ("wrong", Gate(OPEN, None, ""), {"artifact_target": "secret:a"}, "error", "is named as secret:NAMESPACE/NAME"),
    ("long", Gate(OPEN, None, ""), {"artifact_target": "secret:a/b/c"}, "error", "is secret:a/b/c;"),
)
def test_what_keeps_a_node_untouched(gate: Gate, changes: dict[str, Any], outcome: str, reason: str) -> None:
    found = role.verdict(replace(OPTIONS, **changes), gate)
    assert (found.outcome, reason in found.reason, bool(found.reason)) == (outcome, True, bool(reason))


@cases(
    "gate, changes, looks",
    ("shut", Gate(SHUT, None, ""), {}, True),
    ("shut by now", Gate(OPEN, {"nodes": [SHUT]}, ""), {}, True),
    ("unknown", Gate({}, None, ""), {}, False),
    ("without a name", Gate({"closed_because": ["x"]}, None, ""), {}, False),
    ("nobody knows why", Gate({"name": "n1"}, None, ""), {}, False),
    ("no answer", Gate(SHUT, {"msg": "No."}, ""), {}, False),
    ("stopped", Gate(SHUT, None, "n9"), {}, False),
    ("wrong options", Gate(SHUT, None, ""), {"artifact_target": "secret:a"}, False),
    ("Windows", Gate({**SHUT, "os": "windows"}, None, ""), {}, False),
    ("open", Gate(OPEN, None, ""), {}, False),
)
def test_which_nodes_are_only_looked_at(gate: Gate, changes: dict[str, Any], looks: bool) -> None:
    assert role.verdict(replace(OPTIONS, **changes), gate).looks == looks


def test_what_runs_decides_which_options_lead_out() -> None:
    """In the role pod_identity_uninstall what a fresh look tells does not hide that."""
    told = {"name": "n1", "closed_because": ["x"], "nmi_state": "missing", "foreign_identities": ["/i/stray"]}
    alone = role.verdict(OPTIONS, Gate(told, {"nodes": [told]}, "")).reason
    within = role.verdict(OPTIONS, Gate({**told, "uninstalls": True}, {"nodes": [told]}, "")).reason
    assert "azureops.pod_identity.site" in alone and "pod_identity_uninstall_remove_unknown" not in alone
    assert "azureops.pod_identity" not in within and "pod_identity_uninstall_remove_unknown_identities" in within


def test_a_plain_pod_is_asked_before_the_node() -> None:
    assert role.ways_to_ask(pod=True) == []
    assert role.ways_to_ask(pod=False) == ["pod_network", "throw_away_namespace"]


LINUX: dict[str, Any] = {"os": "linux", "scale_set": "/ss", "instance_id": "7", "addresses": ["10.0.0.1"]}


def inventory(
    *hosts: tuple[str, dict[str, Any], str], node: str = "", environment: bool = False, cluster: str = "", way: str = ""
) -> dict[str, Any]:
    """Hosts that all have the variables ``pod_identity_cluster_name`` and ``ansible_connection``."""
    names, nodes, addresses = zip(*hosts) if hosts else ((), (), ())
    known = {"hosts": names, "nodes": nodes, "addresses": addresses}
    further = {"clusters": [cluster] * len(hosts), "connections": [way] * len(hosts)}
    return {"node": node, "environment": environment, **known, **further}


@cases(
    "hosts, options, environment, clusters",
    ("named", (), {"cluster_name": "c"}, True, [("c", "")]),
    ("an inventory", (("n1", {}, ""),), {}, False, []),
    ("a kubeconfig", (), {"kubeconfig": "/k"}, False, [("", "")]),
    ("the environment", (), {}, True, [("", "")]),
    (
        "those of hosts",
        tuple((name, {"cluster_name": cluster, "resource_group": "g"}, "") for name, cluster in ("ax", "by", "cx")),
        {"kubeconfig": "/k"},
        False,
        [("x", "g"), ("y", "g")],
    ),
)
def test_where_nodes_are_looked_for(
    hosts: Any, options: dict[str, Any], environment: bool, clusters: list[tuple[str, str]]
) -> None:
    found = plan("search", inventory(*hosts, environment=environment), **options)["clusters"]
    assert [(each["cluster_name"], each["resource_group"]) for each in found] == clusters


def test_hosts_that_are_no_linux_nodes_are_left_out() -> None:
    hosts = [("w", {"os": "windows"}, ""), ("localhost", {}, ""), ("n1", {}, "10.0.0.1")]
    found = plan("search", inventory(*hosts, node=" n1,, n2"))
    assert (found["hosts"], found["named"]) == ([{"host": "n1", "node": {}, "address": "10.0.0.1"}], ["n1", "n2"])
    with pytest.raises(Refused, match=r"^Neither a cluster nor an inventory is named; set pod_identity_cluster_name"):
        plan("search", inventory(*hosts[:2]))


@pytest.mark.parametrize("way", ["local", "ansible.builtin.local"])
@pytest.mark.parametrize("options", [{}, {"kubeconfig": "/k"}])
def test_clusters_are_no_nodes(way: str, options: dict[str, Any]) -> None:
    hosts = inventory(("east", {}, ""), ("n1", {"cluster_name": "c"}, ""), ("west", {}, ""), cluster="c", way=way)
    with pytest.raises(Refused, match=r"^These hosts are clusters, not nodes: east, west; give .*aks_nodes.yml"):
        plan("search", hosts, **options)


@cases(
    "node, cluster, way, options",
    ("on the node itself", {}, "", "local", {}),
    ("with -e, which is for all hosts", {}, "c", "local", {"cluster_name": "c"}),
    ("over ssh", {}, "c", "ssh", {}),
    ("of aks_nodes", {"cluster_name": "c", "resource_group": "g"}, "c", "local", {}),
)
def test_what_is_no_cluster_is_a_node(node: dict[str, Any], cluster: str, way: str, options: dict[str, Any]) -> None:
    found = plan("search", inventory(("n1", node, ""), cluster=cluster, way=way), **options)
    assert [each["host"] for each in found["hosts"]] == ["n1"]


CLUSTER = {"cluster_name": "c", "resource_group": "g"}


@cases(
    "hosts, named, options, taken",
    ("no inventory", [], [], {}, {"N1": "10.0.0.1"}),
    ("by name", ["n1"], [], {}, {"n1": "there"}),
    ("not of the inventory", ["other"], [], {}, {}),
    ("the cluster is named", ["other"], [], {"cluster_name": "c"}, {"N1": "10.0.0.1"}),
    ("by address", ["web"], [], {}, {"web": "10.0.0.1"}),
    ("the host is named", ["n1"], ["n1"], {}, {"n1": "there"}),
    ("the node is named", ["n1"], ["N1"], {}, {"n1": "there"}),
    ("another is named", ["n1"], ["n2"], {}, {}),
)
def test_a_node_is_the_host_of_its_name_or_address(
    hosts: list[str], named: list[str], options: dict[str, Any], taken: dict[str, str]
) -> None:
    addresses = {"n1": "there", "other": "10.0.0.9", "web": "10.0.0.1"}
    known = [{"host": host, "node": {}, "address": addresses[host]} for host in hosts]
    observed = {
        "search": {"named": named, "hosts": known},
        "cluster": CLUSTER,
        "nodes": [{**LINUX, "name": "N1"}, {**LINUX, "name": "w", "os": "windows"}],
        "all_hosts": hosts,
        "all_addresses": [addresses[host] for host in hosts],
    }
    found = plan("take", observed, **options)["hosts"]
    assert {each["host"]: each["address"] for each in found} == taken
    for each in found:
        assert (each["instance"], each["node"]["cluster_name"]) == ("/ss/virtualMachines/7", "c")


@cases(
    "hosts, named, taken, options, rest",
    ("of no cluster", ["a", "b"], [], [("a", "n1")], {}, ["b"]),
    ("named", ["a", "b"], ["b"], [], {}, ["b"]),
    ("named by its node", ["a"], ["n1"], [("a", "n1")], {}, []),
    ("the cluster is named", ["a"], [], [("n1", "n1")], {"cluster_name": "c"}, []),
    ("not there", ["a"], ["x"], [], {}, "no Linux node x in the inventory; correct the name"),
    ("kubeconfig", [], ["x"], [], {}, "no Linux node x in the cluster of the kubeconfig"),
    ("not of the cluster", ["a"], ["a"], [], {"cluster_name": "c"}, "no Linux node a in cluster c;"),
    ("empty", ["a"], [], [], {"cluster_name": "c"}, "no Linux node in cluster c, so there is nothing"),
)
def test_hosts_of_which_no_cluster_tells(
    hosts: list[str], named: list[str], taken: list[tuple[str, str]], options: dict[str, Any], rest: list[str] | str
) -> None:
    observed = {
        "search": {"named": named, "hosts": [{"host": host, "node": {}, "address": ""} for host in hosts]},
        "taken": [host for host, dummy in taken],
        "nodes": [{"name": name} for dummy, name in taken],
    }
    if isinstance(rest, str):
        with pytest.raises(Refused, match=rest):
            plan("rest", observed, **options)
        return
    assert plan("rest", observed, **options)["hosts"] == rest


RESULT: dict[str, Any] = {
    **BEGUN,
    "node": "n1",
    "stops": False,
    "attempts": [{"transport": "ssh", "problem": "refused"}],
}


@table(
    "observed, outcome, reason",
    ({"looked": True, "there": False}, "gone", "The node does not exist any more."),
    ({"looked": False, "there": False}, "unreachable", "ssh: refused. Without touching it, a reimage of the instance"),
    ({"node": LINUX}, "unreachable", "az vmss reimage --ids /ss --instance-ids 7 (drain the node first)"),
    ({"result": {**RESULT, "attempts": []}}, "unreachable", "There is no way to try. Without touching it"),
)
def test_a_node_to_which_no_way_led(observed: dict[str, Any], outcome: str, reason: str) -> None:
    given = {"result": RESULT, "node": {}, "looked": True, "there": True, **observed}
    result = plan("gone", given)["result"]
    assert (result["outcome"], reason in result["reason"], result["node"]) == (outcome, True, "n1")


TOLD = {"msg": "", "timed_out": False, "unreachable": False}


@cases(
    "told, first, outcome, stops",
    ("too long", {"timed_out": True}, True, "unreachable", False),
    ("no connection", {"unreachable": True}, True, "unreachable", False),
    ("failed", {}, True, "error", True),
    ("failed, not the first", {}, False, "error", False),
)
def test_how_a_node_ends_of_which_the_clean_up_told_nothing(
    told: dict[str, Any], first: bool, outcome: str, stops: bool
) -> None:
    """Whom the run stops at is the first node, and only where it answered."""
    observed = {"result": RESULT, "told": {**TOLD, **told}, "first": first, "proves": False, "saved": []}
    result = plan("lost", observed)["result"]
    assert (result["outcome"], result["stops"], result["reason"]) == (outcome, stops, "It went wrong.")


@cases(
    "told, observed, outcome, stops",
    ("failed", {}, {}, "error", False),
    ("the first", {}, {"first": True}, "error", True),
    ("too long", {"timed_out": True}, {"first": True}, "error", False),
    ("the proof took too long", {"timed_out": True}, {"proves": True}, "unproved", False),
    ("it stopped before", {}, {"result": {**RESULT, "stops": True}}, "error", True),
)
def test_what_goes_wrong_behind_the_clean_up(
    told: dict[str, Any], observed: dict[str, Any], outcome: str, stops: bool
) -> None:
    given = {"result": RESULT, "first": False, "proves": False, "saved": ["/t"], **observed}
    given["told"] = {**TOLD, "msg": "No.", **told}
    result = plan("failed", given)["result"]
    assert (result["outcome"], result["stops"], result["reason"]) == (outcome, stops, "No.")
    assert result["saved"] == ["only on the node: /t"]


def test_tables_go_into_files_or_a_secret() -> None:
    files = {"node": "n1", "files": ["/v/na t"]}
    found = plan("tables", files)
    assert (found["in_secret"], found["directory"]) == (False, "~/.azureops-pod-identity/nodes/n1")
    assert found["reads"] == [{"file": "/v/na t", "command": "base64 < '/v/na t' && echo ."}]
    found = plan("tables", files, artifact_target="secret:a/b")
    assert (found["in_secret"], found["namespace"], found["name"]) == (True, "a", "b-n1")
    assert found["reads"][0]["command"] == "gzip -c < '/v/na t' > /dev/null && gzip -c < '/v/na t' | base64 && echo ."


@table(
    "output, content",
    ("YWJj\nZGVm\n.\n", "YWJjZGVm"),
    ("YWJj\r\n.\r\n", "YWJj"),
    (".", ""),
    ("YWJj\n", None),
    ("", None),
)
def test_a_table_without_its_end_was_not_read(output: str, content: str | None) -> None:
    read = plan("read", {"files": ["/v/nat"], "outputs": [output]})
    tables = [{"name": "nat", "content": content}] if content is not None else []
    assert read == {"tables": tables, "whole": content is not None}
    read = plan("read", {"files": ["/v/nat", "/v/x"], "outputs": [output, "WA==\n.\n"]}, artifact_target="secret:a/b")
    assert (read["tables"][-1]["name"], read["whole"]) == ("x.gz", content is not None)
    assert not plan("read", {"files": ["/v/nat", "/v/x"], "outputs": ["WA==\n.\n"]})["whole"]


OURS = {"app.kubernetes.io/managed-by": "azureops.pod_identity", "azureops.pod-identity/owner": "us"}


@table("labels, foreign", ([], False), ([OURS], False), ([{}], True), ([None], True), ([{**OURS, "x": "y"}], False))
def test_whose_a_secret_is(labels: list[Any], foreign: bool) -> None:
    assert plan("secret", {"labels": labels}, owner="us") == {"foreign": foreign}
    assert plan("secret", {"labels": labels})["foreign"] == bool(labels)


@table(
    "observed, saved, reason",
    ({"places": ["/d/nat", ""]}, ["/d/nat"], ""),
    ({"in_secret": True}, ["secret:a/b-n1"], ""),
    ({}, ["only on the node: /t"], "because they could not be read."),
    ({"problems": ["", "No space.", "x"]}, ["only on the node: /t"], "because No space."),
    ({"foreign": True, "problems": ["x"]}, ["only on the node: /t"], "the Secret a/b-n1 belongs to somebody else."),
)
def test_where_tables_are(observed: dict[str, Any], saved: list[str], reason: str) -> None:
    empty = {"files": ["/t"], "in_secret": False, "foreign": False, "places": [], "problems": []}
    result = plan("saved", {"result": RESULT, **empty, **observed}, artifact_target="secret:a/b")["result"]
    assert (result["saved"], reason in result["reason"], bool(result["reason"])) == (saved, True, bool(reason))


SILENT = {"answer": {**IMDS, "answered_by": "unknown", "proved": False, "message": "Silence."}}
NOBODY = {"answer": {**IMDS, "answered_by": "nobody", "proved": False, "message": "A rule stands."}}
JOBS = [
    {"verb": "create", "resource": "jobs", "subresource": ""},
    {"verb": "get", "resource": "pods", "subresource": "log"},
]


@cases(
    "said, missing, outcome, proof, reason",
    ("proved", [{}, {"answer": IMDS}], JOBS, "", "imds", ""),
    ("proved on the node", [SILENT, {"answer": IMDS}], [], "", "imds", ""),
    ("a rule stands", [NOBODY, {}], [], "unproved", "nobody", "A rule stands."),
    ("silence", [SILENT, {"msg": "No."}], [], "unproved", "unknown", "Silence. No."),
    ("nobody asked", [], [], "unproved", "unknown", ""),
    (
        "no pod may",
        [SILENT],
        JOBS,
        "unproved",
        "unknown",
        "No plain pod is made for the proof, because in the namespace default these rights are missing: create "
        "jobs, get pods/log. Silence.",
    ),
)
def test_the_last_answer_proves(said: list[Any], missing: list[Any], outcome: str, proof: str, reason: str) -> None:
    observed = {"result": RESULT, "said": said, "missing": missing, "first": True}
    result = plan("proof", observed)["result"]
    assert (result["outcome"], result["proof"], result["reason"]) == (outcome, proof, reason)
    assert result["stops"] == (proof == "nobody")
    assert not plan("proof", {**observed, "first": False})["result"]["stops"]


def test_what_remains_as_proof_is_said() -> None:
    message = plan("without_pod", {"missing": JOBS[:1]}, probe_namespace="ns")["message"]
    assert message.startswith(
        "No plain pod is made for the proof, because in the namespace ns these rights are missing:"
    )
    assert " create jobs. What remains is the network of a pod" in message


def test_what_a_killed_run_has_begun_is_reimaged_first() -> None:
    unreached = {**RESULT, "outcome": "unreachable", "transport": ""}
    rows: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
        "new": ({}, unreached),
        "lost": ({}, {**unreached, "transport": "ssh"}),
        "clean": ({"labels": {}}, {**RESULT, "outcome": "clean"}),
        "begun": ({"labels": {REIMAGING: "b"}}, unreached),
        "reached": ({"labels": {REIMAGING: "b"}}, {**RESULT, "outcome": "clean"}),
        "not reached yet": ({}, {}),
    }
    nodes, results = zip(*rows.values())
    assert plan("turns", {"hosts": list(rows), "nodes": nodes, "results": results}) == {
        "begun": ["begun", "reached"],
        "new": ["new"],
    }


@cases(
    "cordoned, labels, begun, done, marks, uncordons",
    ("new", False, {}, False, False, {REIMAGING: "b1", CORDONED: "true"}, True),
    ("somebody cordoned it", True, {}, False, False, {REIMAGING: "b1"}, False),
    ("begun", True, {REIMAGING: "b1", CORDONED: "true"}, True, False, None, True),
    ("begun, somebody cordoned it", True, {REIMAGING: "b1"}, True, False, None, False),
    ("done", True, {REIMAGING: "b0", CORDONED: "true"}, True, True, None, True),
)
def test_how_far_a_reimage_is(
    cordoned: bool, labels: dict[str, str], begun: bool, done: bool, marks: dict[str, str] | None, uncordons: bool
) -> None:
    node = {**LINUX, "name": "n1", "boot_id": "b1", "cordoned": cordoned, "labels": labels}
    found = plan("progress", {"result": RESULT, "node": node})
    assert (found["begun"], found["done"], found["from_boot"]) == (begun, done, labels.get(REIMAGING, "b1"))
    assert (found["instance"], found["why"]) == ("/ss/virtualMachines/7", "ssh: refused.")
    assert marks is None or found["mark"] == {"metadata": {"labels": marks}, "spec": {"unschedulable": True}}
    assert found["release"]["metadata"] == {"labels": {REIMAGING: None, CORDONED: None}}
    assert found["release"].get("spec") == ({"unschedulable": False} if uncordons else None)


def test_nothing_is_uncordoned_that_was_not_seen() -> None:
    found = plan("progress", {"result": RESULT, "node": {}})
    assert (found["begun"], found["done"], "spec" in found["release"]) == (False, False, False)


NODE = {**LINUX, "name": "n1", "ready": False, "labels": {}, "closed_because": []}
MARKED = {**NODE, "labels": {REIMAGING: "b"}}


@cases(
    "observed, options, said",
    ("nothing", {}, {}, ""),
    ("stopped", {"stops": [True, True, False]}, {}, "the run stopped at b"),
    ("not asked", {"node": {**NODE, "ready": None}}, {}, "a node is drained first, and"),
    ("not seen", {"node": {}}, {}, "a node is drained first, and"),
    ("no API server", {}, {"kubeconfig": ""}, "a node is drained first, and"),
    ("that of the environment", {"environment": True}, {"kubeconfig": ""}, ""),
    ("no group", {"node_resource_group": ""}, {}, "so nothing proves whose instance it is: name the"),
    ("no scale set", {"node": {**NODE, "scale_set": ""}}, {}, "it is no instance of a scale set"),
    ("another one", {"nodes": [{**MARKED, "name": "n2"}]}, {}, "n2 is still being reimaged, and"),
    ("begun itself", {"nodes": [MARKED, {**MARKED, "name": "n2"}], "node": MARKED}, {}, ""),
)
def test_what_speaks_against_a_reimage(observed: dict[str, Any], options: dict[str, Any], said: str) -> None:
    given = {
        "result": RESULT,
        "node": NODE,
        "nodes": [NODE],
        "node_resource_group": "MC",
        "hosts": ["a", "b", "c"],
        "stops": [False] * 3,
        "environment": False,
        **observed,
    }
    if said:
        with pytest.raises(Refused, match=said):
            plan("may_reimage", given, **{"kubeconfig": "/k", **options})
        return
    found = plan("may_reimage", given, **{"kubeconfig": "/k", **options})
    assert (found["refusal"], found["azure"][0]["scope"]) == ("", "/ss/virtualMachines/7")
    assert [each["resource"] for each in found["kubernetes"]] == ["nodes", "pods", "pods"]
    shut = {**given, "node": {**given["node"], **SHUT}}
    assert "because NMI covers it; and" in plan("may_reimage", shut, kubeconfig="/k")["refusal"]
    assert plan("may_reimage", shut, kubeconfig="/k", accept_open_imds=True)["refusal"] == ""


def test_missing_permissions_are_named_together() -> None:
    azure = [
        {"action": "x/read", "scope": "/s", "reason": "no role", "by": ""},
        {"action": "x/write", "scope": "/s", "reason": "locked", "by": "lock"},
    ]
    with pytest.raises(Refused) as refused:
        plan("permitted", {"azure": azure, "kubernetes": JOBS[1:]})
    named = "x/read at /s (no role), x/write at /s (locked by lock), get pods/log in the cluster"
    assert str(refused.value) == f"these permissions are missing: {named}"
    assert plan("permitted", {"azure": [], "kubernetes": []}) == {}


@table(
    "done, code, check_mode, said",
    (True, "", False, False),
    (False, "NotFound", False, False),
    (False, "", True, False),
    (False, "", False, True),
)
def test_whether_a_node_is_still_cordoned(done: bool, code: str, check_mode: bool, said: bool) -> None:
    observed = {"node": "n1", "done": done, "code": code, "message": "Forbidden."}
    cordoned = plan("released", observed, check_mode=check_mode)["cordoned"]
    expected = "It is still cordoned (Forbidden): kubectl uncordon n1; kubectl label node n1 "
    assert cordoned.startswith(expected) if said else cordoned == ""


@cases(
    "reimaged, done, problem, began, reason",
    ("not drained", {}, False, "", False, "these pods did not end within 10 seconds: a/b, a/c."),
    ("not begun", {}, False, "No.", False, "It was not reimaged, because No."),
    ("refused", {"failed": True, "started": False}, False, "No.", False, "because No."),
    ("not known", {"failed": True}, False, "Lost.", True, "stays cordoned: Lost. Run again"),
    ("not back", {"changed": True}, False, "", True, "its new system was not Ready within 20 seconds."),
    ("by an earlier run", {}, True, "No.", True, "Its reimage has begun"),
)
def test_a_reimage_that_did_not_end(
    reimaged: dict[str, Any], done: bool, problem: str, began: bool, reason: str
) -> None:
    observed = {"result": RESULT, "reimaged": reimaged, "done": done, "problem": problem, "pods": ["a/b", "a/c"]}
    found = plan("interrupted", observed, drain_timeout=10, ready_timeout=20)
    assert (found["began"], reason in found["result"]["reason"]) == (began, True), found
    assert found["result"]["outcome"] == ("error" if began else RESULT["outcome"])
    assert found["result"]["transport"] == ("reimage" if began else RESULT["transport"])


def test_a_node_that_the_run_did_not_come_to_is_told() -> None:
    whole = {"found": ["-A x"] * 2, "removed": ["-A x"], "proof": "imds", "proof_method": "pod_network"}
    cleaned = {**RESULT, **whole, "outcome": "cleaned", "reason": ""}
    begun = {**RESULT, **whole, "node": "n2", "outcome": ""}
    observed = {"hosts": ["n1", "n2", "n3"], "results": [cleaned, begun, {}]}
    found = plan("report", observed)
    assert [each["outcome"] for each in found["results"]] == ["cleaned", "stopped", "stopped"]
    assert [(each["found"], each["removed"]) for each in found["rows"]] == [(2, 1), ("", ""), ("", "")]
    unseen = {**RESULT, **whole, "outcome": "refused", "transport": "", "found": []}
    (row,) = plan("report", {"hosts": ["n1"], "results": [unseen]})["rows"]
    assert (row["found"], row["removed"]) == ("", "")
    assert [each["proof"] for each in found["rows"]] == ["imds (pod_network)", "imds (pod_network)", ""]
    assert found["reasons"] == ["n2, n3: The run did not come to this node."]
    assert found["failure"] == "2 of 3 nodes did not end as they should (stopped): n2, n3; the reasons are above."
    assert plan("report", observed, fail_on=["error"])["failure"] == ""
