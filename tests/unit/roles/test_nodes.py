# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which nodes the clean-up takes, and what it says of them in the end; no node is asked here."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.tests.support.players import Player, role
from ansible_collections.azureops.pod_identity.tests.unit.tables import table

DISCOVER = role("imds_node_cleanup", "discover")
SHOW = {"ansible.builtin.debug": {"msg": "{{ groups.imds_node_cleanup_nodes | sort | join(' ') }} are taken"}}
OUTCOMES = (
    "clean",
    "cleaned",
    "would_clean",
    "in_use",
    "refused",
    "unreachable",
    "gone",
    "stopped",
    "unproved",
    "error",
)
GOOD = ("clean", "cleaned", "would_clean", "in_use", "gone")


@table(
    "inventory, node, taken",
    ("node1,node2", "", "node1 node2"),
    ("node1,node2", "node2", "node2"),
    ("node1,", "node1", "node1"),
)
def test_hosts_of_an_inventory_are_nodes(player: Player, inventory: str, node: str, taken: str) -> None:
    status, output = player.play([DISCOVER, SHOW], "-i", inventory, node=node)
    assert (status, f'"{taken} are taken"' in output) == (0, True), output


@table(
    "inventory, node, sentence",
    ("node1,", "node2", "There is no Linux node node2 in the inventory"),
    ("node1,", "node1,node2", "There is no Linux node node2 in the inventory"),
    ("", "node2", "Neither a cluster nor an inventory is named"),
    ("", "", "Neither a cluster nor an inventory is named"),
)
def test_a_node_that_nobody_knows_is_refused(player: Player, inventory: str, node: str, sentence: str) -> None:
    status, output = player.play([DISCOVER], *(["-i", inventory] if inventory else []), node=node)
    assert (status, sentence in " ".join(output.split())) == (2, True), output
    assert not list(player.temporary.glob("azureops-pod-identity-*"))


def test_an_inventory_of_clusters_is_none_of_nodes(player: Player) -> None:
    """Or the machine where Ansible runs would be cleaned."""
    hosts = {name: {"pod_identity_cluster_name": name} for name in ("east", "west")}
    group = {"hosts": hosts, "vars": {"ansible_connection": "local", "pod_identity_resource_group": "rg"}}
    inventory = player.directory / "clusters.json"
    inventory.write_text(json.dumps({"clusters": group}))
    given = {"pod_identity_hosts": "clusters", "imds_node_cleanup_accept_open_imds": True}
    status, output = player.play("azureops.pod_identity.cleanup_nodes", "-i", str(inventory), "--check", **given)
    assert (status, "These hosts are clusters, not nodes: east, west;" in output) == (2, True), output
    assert "ok=1 " in output and "PLAY [Clean the nodes]" not in output


@pytest.mark.parametrize("arguments", [("-i", "node1,node2"), ()], ids=["an inventory", "none"])
def test_a_limit_is_refused(player: Player, arguments: tuple[str, ...]) -> None:
    """Or nothing would be done, and the run would end well."""
    status, output = player.play("azureops.pod_identity.cleanup_nodes", *arguments, "--limit", "node1")
    assert "cleanup_nodes takes no --limit" in output and "-e node=NAME,NAME" in output, output
    assert status != 0 and "PLAY [" not in output, output


def add(outcome: str, number: int) -> dict[str, Any]:
    """A node with the longest name that AKS gives, and the longest words that can stand beside it."""
    of = {"node": f"aks-twelveletter-12345678-vmss00000{number}", "outcome": outcome, "transport": "vmss_run_command"}
    rules = {"found": ["-A x"] * 12, "removed": ["-A x"] * 12, "attempts": [], "left": [], "saved": []}
    proof = {"proof": "unknown", "proof_method": "throw_away_namespace"}
    result = {**of, **rules, **proof, "reason": "" if outcome in GOOD else f"It was {outcome}."}
    host = {"name": result["node"], "groups": "imds_node_cleanup_nodes", "imds_node_cleanup_result": result}
    return {"ansible.builtin.add_host": host, "changed_when": False}


def test_the_table_of_every_outcome_fits_a_terminal(player: Player) -> None:
    tasks = [add(outcome, number) for number, outcome in enumerate(OUTCOMES)]
    status, output = player.play([*tasks, role("imds_node_cleanup", "report")])
    assert status == 2
    table = output.partition("Show what was done")[2].partition("TASK [")[0].splitlines()[1:]
    assert max(map(len, table)) <= 80
    text = "\n".join(table)
    for number, outcome in enumerate(OUTCOMES):
        assert f"aks-twelveletter-12345678-vmss00000{number}  {outcome}" in text
    assert text.count("unknown (throw_away_namespace)") == len(OUTCOMES)
    assert "5 of 10 nodes did not end as they should" in output
    assert all(f"It was {outcome}." in output for outcome in OUTCOMES if outcome not in GOOD)


def test_outcomes_that_are_accepted_do_not_fail(player: Player) -> None:
    tasks = [add(outcome, number) for number, outcome in enumerate((*GOOD, "refused"))]
    report = role("imds_node_cleanup", "report")
    assert player.play([*tasks, report], imds_node_cleanup_fail_on=["error"])[0] == 0
    assert player.play([*tasks, report], imds_node_cleanup_fail_on=["refused"])[0] == 2


@pytest.mark.parametrize("entry_point", ["discover", "main", "report"])
def test_every_entry_point_refuses_a_wrong_value(player: Player, entry_point: str) -> None:
    """An outcome that does not exist would let every run end well."""
    status, output = player.play([role("imds_node_cleanup", entry_point)], imds_node_cleanup_fail_on=["broken"])
    assert (status, "value of imds_node_cleanup_fail_on must be one or more of" in output) == (2, True), output
