# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The order of the role, on hosts that are this machine, where a program in the place of Python plays the node."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.tests.support.players import Player, role

NOWHERE = "https://127.0.0.1:1"
TELL = {"ansible.builtin.debug": {"msg": "{{ inventory_hostname }} ended {{ imds_node_cleanup_result.outcome }}"}}
# What the module says, by the port of NMI that the test gives to the host. A module without one asks from the node.
PYTHON = """#!/bin/sh
case "$*" in *sys.version_info*) echo hello >> {log}; exit 0 ;; esac
payload=$(cat "$@")
port=
for each in {ports}; do
  case "$payload" in *"nmi_port"*": $each"*) port=$each; break ;; esac
done
[ "$port" ] || exit 1
echo "begin $port" >> {log}
sleep 0.5
tries=0
while [ -s {answers}/beside_$port ] && [ "$(grep -c begin {log})" -lt "$(cat {answers}/beside_$port)" ]; do
  tries=$((tries + 1))
  [ "$tries" -lt 600 ] || exit 1
  sleep 0.1
done
[ -s {answers}/$port ] || sleep 60
echo "end $port" >> {log}
cat {answers}/$port
"""
CLEANED = '{"changed": true, "result": {"backends": {}, "nmi": []}}'
LIVING = '{"failed": true, "msg": "An NMI lives on this node", "result": {"backends": {}, "nmi": ["nmi (pid 7)"]}}'
TAKEN = '{"failed": true, "msg": "a rule of somebody else is gone", "taken": ["-A PREROUTING -j OTHER"]}'
NO_WORK: dict[str, Any] = {"_imds_node_cleanup_longest_work": 0, "_imds_node_cleanup_longest_question": 0}
FOUND = json.dumps(
    {
        "changed": True,
        "result": {"backends": {"nft": {"found": ["a", "b"], "removed": ["a", "b"], "left": []}}, "nmi": []},
    }
)
BROKEN = '{"failed": true, "msg": "it broke"}'


@dataclass(frozen=True)
class Nodes:
    """Hosts ``n1``, ``n2`` ..., each with what its module says; where that is nothing, it hangs."""

    player: Player
    folder: Path

    def clean(self, answers: list[str], *arguments: str, serial: str = "100%", **variables: Any) -> dict[str, str]:
        """The outcome of each node."""
        inventory = []
        for number, answer in enumerate(answers, start=1):
            (self.folder / str(1000 + number)).write_text(answer)
            inventory.append(f"n{number} ansible_connection=local imds_node_cleanup_nmi_port={1000 + number}")
        (self.folder / "hosts").write_text("\n".join(inventory) + "\n")
        self.log.write_text("")
        status, output = self.player.play(
            {"hosts": "all", "serial": serial, "tasks": [role("imds_node_cleanup"), TELL]},
            *("-i", str(self.folder / "hosts"), "--check", *arguments),
            imds_node_cleanup_accept_open_imds=True,
            **variables,
        )
        assert status == 0, output
        return dict(sorted(re.findall(r"(n\d+) ended (\w+)", output)))  # hosts tell it in any order

    @property
    def log(self) -> Path:
        return self.folder / "log"

    def order(self) -> list[str]:
        """What began and ended on which node."""
        return [re.sub(" 10+", " n", line) for line in self.log.read_text().splitlines()]


@pytest.fixture
def nodes(tmp_path: Path) -> Nodes:
    programs, folder = tmp_path / "programs", tmp_path / "answers"
    programs.mkdir()
    folder.mkdir()
    python = PYTHON.replace("{log}", str(folder / "log")).replace("{answers}", str(folder))
    python = python.replace("{ports}", " ".join(str(1001 + number) for number in range(9)))
    for name, text in (("python3", python), ("id", "#!/bin/sh\necho 0\n")):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    return Nodes(Player(tmp_path, {"PATH": f"{programs}:/usr/bin:/bin"}), folder)


def test_a_pod_that_cannot_be_taken_away_ends_no_run(player: Player) -> None:
    take_away = {
        "ansible.builtin.meta": "reset_connection",
        "vars": {
            "ansible_connection": "azureops.pod_identity.aks_node_pod",
            "ansible_aks_node_pod_host": NOWHERE,
            "ansible_aks_node_pod_api_key": "nobody",
        },
    }
    status, output = player.play([take_away, {"ansible.builtin.debug": {"msg": "the run goes on"}}])
    assert status == 0 and "the run goes on" in output, output
    assert f"idle for 300 seconds. The API server {NOWHERE} cannot be reached" in " ".join(output.split())


def test_the_pod_goes_where_it_led_nowhere_too(player: Player) -> None:
    node = {"name": "n1", "transports": ["aks_node_pod"], "closed_because": []}
    access = {"ansible_aks_node_pod_host": NOWHERE, "ansible_aks_node_pod_api_key": "nobody"}
    status, output = player.play([role("imds_node_cleanup"), TELL], aks_node=node, **access)
    assert (status, "localhost ended unreachable" in output) == (0, True), output
    assert "could not be taken away" in " ".join(output.split())


def test_no_node_is_entered_behind_one_that_stopped_the_run(nodes: Nodes) -> None:
    assert nodes.clean([TAKEN, CLEANED], serial="1") == {"n1": "error", "n2": "stopped"}
    assert nodes.order() == ["hello", "begin n1", "end n1"]


def test_a_host_that_is_one_node_after_the_other_stays_stopped(nodes: Nodes) -> None:
    """As in the role pod_identity_uninstall, where the host is the cluster."""
    tasks = []
    for port, answer in ((1001, TAKEN), (1002, CLEANED), (1003, CLEANED)):
        (nodes.folder / str(port)).write_text(answer)
        tasks += [{**role("imds_node_cleanup"), "vars": {"imds_node_cleanup_nmi_port": port}}, TELL]
    nodes.log.write_text("")
    status, output = nodes.player.play(
        {"hosts": "localhost", "tasks": tasks}, "--check", imds_node_cleanup_accept_open_imds=True
    )
    assert status == 0, output
    assert re.findall(r"localhost ended (\w+)", output) == ["error", "stopped", "stopped"]
    assert nodes.order() == ["hello", "begin n1", "end n1"]


def test_nodes_go_alone_until_one_has_ended_well(nodes: Nodes) -> None:
    """One of them hangs, and is given up."""
    seconds = {"ssh": 10}
    outcomes = nodes.clean([LIVING, "", CLEANED, CLEANED], _imds_node_cleanup_patience=seconds, **NO_WORK)
    assert outcomes == {"n1": "refused", "n2": "unreachable", "n3": "would_clean", "n4": "would_clean"}
    worked = [line for line in nodes.order() if line != "hello"]
    assert worked == ["begin n1", "end n1", "begin n2", "begin n3", "end n3", "begin n4", "end n4"]


def test_a_comparison_that_fails_on_a_later_node_of_a_batch_is_kept(nodes: Nodes) -> None:
    outcomes = nodes.clean([CLEANED, TAKEN, CLEANED, CLEANED], serial="3")
    assert outcomes == {"n1": "would_clean", "n2": "error", "n3": "would_clean", "n4": "stopped"}


def test_behind_many_nodes_that_go_bad_at_once_none_begins(nodes: Nodes) -> None:
    outcomes = nodes.clean([CLEANED, *[TAKEN] * 4, *[CLEANED] * 4], serial="5")
    assert list(outcomes.values()) == ["would_clean", *["error"] * 4, *["stopped"] * 4]
    assert sorted(line for line in nodes.order() if "begin" in line) == [f"begin n{number}" for number in range(1, 6)]


def test_windows_nodes_are_left_out_and_have_nothing_to_clean(nodes: Nodes) -> None:
    inventory = nodes.folder / "nodes.json"
    known = {"cluster_name": "", "resource_group": "", "closed_because": ["it is open"]}
    hosts = {
        name: {"ansible_connection": "local", "aks_node": {"name": name, "os": system, **known}}
        for name, system in (("w1", "windows"), ("n1", "linux"))
    }
    inventory.write_text(json.dumps({"all": {"hosts": hosts}}))
    tell = {"ansible.builtin.debug": {"msg": "taken {{ groups.imds_node_cleanup_nodes | join('+') }} in the end"}}
    search = [role("imds_node_cleanup", "discover"), tell]
    status, output = nodes.player.play(search, "-i", str(inventory))
    assert (status, "taken n1 in the end" in output) == (0, True), output
    nodes.log.write_text("")
    play = {"hosts": "all", "tasks": [role("imds_node_cleanup"), TELL]}
    status, output = nodes.player.play(play, "-i", str(inventory))
    assert (status, "w1 ended clean" in output, "n1 ended refused" in output) == (0, True, True), output
    assert nodes.order() == ["hello"], "only the Linux node is reached, where another machine answers"


def test_nodes_whose_rules_stay_are_looked_at_side_by_side(nodes: Nodes) -> None:
    """None of them goes first alone or holds up others, what is found is counted, and nothing is removed."""
    name = Path("/proc/sys/kernel/hostname").read_text().strip()
    hosts = {}
    for number in (1, 2, 3, 4):
        reasons = ["it carries stray"] if number < 4 else []
        hosts[f"n{number}"] = {
            "ansible_connection": "local",
            "imds_node_cleanup_nmi_port": 1000 + number,
            "aks_node": {"name": name, "closed_because": reasons, "transports": ["ssh"]},
        }
        (nodes.folder / str(1000 + number)).write_text(FOUND if reasons else CLEANED)
        if reasons:  # it ends when all have begun
            (nodes.folder / f"beside_{1000 + number}").write_text("4")
    (nodes.folder / "1002").write_text(BROKEN)
    inventory = nodes.folder / "nodes.json"
    inventory.write_text(json.dumps({"all": {"hosts": hosts}}))
    nodes.log.write_text("")
    tell = {"ansible.builtin.debug": {"msg": "{{ inventory_hostname }}: {{ imds_node_cleanup_result | to_json }}"}}
    play = {"hosts": "all", "tasks": [role("imds_node_cleanup"), TELL, tell]}
    status, output = nodes.player.play(play, "-i", str(inventory), **NO_WORK)
    ended = dict(re.findall(r"(n\d) ended (\w+)", output))
    assert (status, ended) == (0, {**dict.fromkeys(("n1", "n2", "n3"), "refused"), "n4": "unproved"}), output
    results = {host: json.loads(text.replace('\\"', '"')) for host, text in re.findall(r'"(n\d): ({.*})"', output)}
    counts = {host: (len(each["found"]), len(each["removed"]), each["transport"]) for host, each in results.items()}
    assert counts == {"n1": (2, 0, "ssh"), "n2": (0, 0, ""), "n3": (2, 0, "ssh"), "n4": (0, 0, "ssh")}
    assert results["n2"]["reason"].endswith("What is on it could not be looked at: it broke")
    order = nodes.order()
    behind = order.index("hello", 1)
    assert order[1:3] == ["begin n4", "end n4"]
    assert not [line for line in order[:behind] if line.endswith(("n1", "n2", "n3"))], (
        "the others wait until it is done"
    )
    assert [line.split()[0] for line in order[behind:]] == ["hello"] * 3 + ["begin"] * 3 + ["end"] * 3


def test_a_node_whose_rules_stay_gets_no_run_command(player: Player) -> None:
    node = {"name": "n1", "transports": ["vmss_run_command", "aks_node_pod"], "closed_because": ["it carries stray"]}
    access = {"ansible_aks_node_pod_host": NOWHERE, "ansible_aks_node_pod_api_key": "nobody"}
    tell = {"ansible.builtin.debug": {"msg": "{{ imds_node_cleanup_result.reason }}"}}
    ways = {"imds_node_cleanup_transports": ["vmss_run_command", "aks_node_pod"]}
    status, output = player.play([role("imds_node_cleanup"), TELL, tell], aks_node=node, **access, **ways)
    said = " ".join(output.split())
    assert (status, "localhost ended refused" in output) == (0, True), output
    assert (
        "could not be looked at (aks_node_pod: Task failed: The API server" in said and "vmss_run_command:" not in said
    ), output


def test_what_fails_beside_a_living_nmi_that_was_accepted_is_an_error(nodes: Nodes) -> None:
    assert nodes.clean([LIVING], imds_node_cleanup_force=True) == {"n1": "error"}


def test_what_is_known_of_a_node_is_asked_again(player: Player) -> None:
    """Where it cannot be asked any more, the gate is closed."""
    kubeconfig = player.directory / "kubeconfig"
    kubeconfig.write_text("{}")
    tell = {"ansible.builtin.debug": {"msg": "{{ imds_node_cleanup_result.reason }}"}}
    node = {"name": "n1", "transports": ["ssh"], "closed_because": []}
    tasks = [role("imds_node_cleanup"), TELL, tell]
    status, output = player.play(tasks, aks_node=node, pod_identity_kubeconfig=str(kubeconfig))
    assert (status, "localhost ended refused" in output) == (0, True), output
    assert f"could not be asked again (The kubeconfig {kubeconfig}" in " ".join(output.split()), output
