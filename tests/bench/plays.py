# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Plays on nodes that are network namespaces, and how long they take."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..node.fleet import entrance, fleet
from .measured import Cost

CHECKOUT = Path(__file__).resolve().parents[2]
MEASURED = Path(__file__).with_name("measured.py")
Play = dict[str, Any]
TRUE = {"ansible.builtin.command": "/bin/true", "changed_when": False}
CLEANUP: dict[str, Any] = {"azureops.pod_identity.imds_iptables_cleanup": {}}
ROLE = {
    # As the playbook cleanup_nodes does.
    "ansible.builtin.import_role": {"name": "azureops.pod_identity.imds_node_cleanup", "rolespec_validate": False},
    "vars": {"imds_node_cleanup_accept_open_imds": True},
}


class Plays:
    """Nodes with kube-proxy's rules and nothing of NMI, and an inventory of them."""

    def __init__(self, folder: Path, nodes: Mapping[str, int]) -> None:
        self.folder = folder
        self.nodes = nodes
        self.variables: dict[str, Any] = {
            "ansible_connection": "namespaces",
            "ansible_python_interpreter": "/usr/bin/python3",
            "ansible_remote_tmp": "/tmp/.ansible",
        }
        self.of_host: dict[str, dict[str, Any]] = {
            name: {"ansible_namespaces_process": process} for name, process in nodes.items()
        }

    def on_node(self, node: str, *argv: str, text: str = "") -> str:
        """Output of a command in a node; it must succeed."""
        command = [*entrance(self.nodes[node]), *argv]
        return subprocess.run(command, input=text, stdout=subprocess.PIPE, check=True, text=True).stdout

    def run(self, tasks: Sequence[Play], **environment: str) -> tuple[float, dict[str, list[float]]]:
        """Run a play on all nodes; how long all of it took, and each task by its name."""
        cost, by_task = self._run(tasks, (), environment)
        return cost.wall, by_task

    def cost(self, tasks: Sequence[Play], hosts: Sequence[str] = (), **environment: str) -> Cost:
        """What a play on all nodes costs, or on some."""
        return self._run(tasks, ("--limit", ",".join(hosts)) if hosts else (), environment)[0]

    def _run(
        self, tasks: Sequence[Play], arguments: Sequence[str], environment: Mapping[str, str]
    ) -> tuple[Cost, dict[str, list[float]]]:
        book, inventory, durations = (self.folder / name for name in ("play.json", "hosts.json", "durations"))
        book.write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": list(tasks)}]))
        inventory.write_text(json.dumps({"all": {"vars": self.variables, "hosts": self.of_host}}))
        durations.write_text("")
        env = {
            **os.environ,
            "ANSIBLE_CONNECTION_PLUGINS": str(CHECKOUT / "tests/node/connection"),
            "ANSIBLE_CALLBACK_PLUGINS": str(CHECKOUT / "tests/bench/callback"),
            "ANSIBLE_CALLBACKS_ENABLED": "durations",
            "DURATIONS_FILE": str(durations),
            **environment,
        }
        ansible = [sys.executable, "-m", "ansible", "playbook", "-i", str(inventory), str(book), *arguments]
        command = [sys.executable, str(MEASURED), *ansible]
        done = subprocess.run(command, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"the play failed:\n{done.stdout[-4000:]}\n{done.stderr[-2000:]}")
        by_task: dict[str, list[float]] = defaultdict(list)
        for line in durations.read_text().splitlines():
            name, took = json.loads(line)
            by_task[name].append(took)
        return Cost.parse(json.loads(done.stdout)), by_task


@contextmanager
def clean_nodes(folder: Path, names: Sequence[str]) -> Iterator[Plays]:
    with fleet(folder / "nodes.json", names) as nodes:
        plays = Plays(folder, nodes)
        rules = (CHECKOUT / "tests/node/kube-proxy.save").read_text()
        for node in nodes:
            plays.on_node(node, "iptables-nft-restore", "--noflush", text=rules)
        yield plays


def leave_rules(plays: Plays, node: str) -> None:
    """What a dead NMI 1.6.2 or later leaves."""
    chain, jump = "aad-metadata", ["PREROUTING", "1", "-j", "aad-metadata"]
    request = ["!", "-s", "127.0.0.1/32", "-d", "169.254.169.254/32", "-p", "tcp", "-m", "tcp", "--dport", "80"]
    redirect = ["-j", "DNAT", "--to-destination", "127.0.0.1:2579"]
    for rule in (["-N", chain], ["-A", chain, *request, *redirect], ["-A", chain, "-j", "RETURN"], ["-I", *jump]):
        plays.on_node(node, "iptables-nft", "-w", "-t", "nat", *rule)
