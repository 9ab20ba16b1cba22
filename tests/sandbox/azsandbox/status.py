# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`sandbox status`: what is running, where, and how much memory it takes."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from . import azure_process, cgroups, host, network, paths
from .state import State


@dataclass(frozen=True)
class Row:
    part: str
    address: str
    state: str


def table(state: State) -> str:
    """A table for people; SandboxError when the sandbox is not up."""
    init = host.running(state)
    running = host.order(state, "status").split()
    rows = [
        Row("simulated Azure", f"{network.AZURE_ADDRESS}:443", _word("azure" in running)),
        Row("  instance metadata", f"{network.IMDS_ADDRESS}:80", _word("azure" in running)),
        Row(f"registry {network.REGISTRY_NAME}", f"{network.REGISTRY_ADDRESS}:443", _word("registry" in running)),
        Row("resolver", f"{network.DNS_ADDRESS}:53", _word("resolver" in running)),
        Row("workstation (exec)", network.WORKSTATION_ADDRESS, "up"),
    ]
    for file in sorted(state.clusters.glob("*.json")):
        rows += _cluster(init, json.loads(file.read_text()), file.with_suffix(".kubeconfig"))
    account = state.read_principal(azure_process.OPERATOR)
    used = _memory(state)
    return "\n".join(
        [
            f"sandbox {state.name}, subscription {account['subscription_id']}",
            "",
            *_columns([("PART", "ADDRESS", "STATE"), *((row.part, row.address, row.state) for row in rows)]),
            "",
            f"memory in use: {used / 2**20:.0f} MiB; logs: {state.logs}",
        ]
    )


def _word(is_up: bool) -> str:
    return "up" if is_up else "ENDED (sandbox reset starts it anew)"


def _cluster(init: int, facts: dict[str, object], kubeconfig: Path) -> Iterable[Row]:
    """The cluster and its nodes, as its own API server sees them."""
    name, address, nodes = facts["name"], facts["api_server"], facts["nodes"]
    assert isinstance(nodes, dict)
    found = subprocess.run(
        [
            *("nsenter", f"--target={init}", "--net", "--"),
            *(paths.BIN / "kubectl", f"--kubeconfig={kubeconfig}", f"--server=https://{address}:443"),
            *("get", "nodes", "--output=json", "--request-timeout=5s"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    answers = found.returncode == 0
    yield Row(f"cluster {name}", f"{address}:443", "API server answers" if answers else "API server DOES NOT ANSWER")
    ready: dict[str, bool] = {}
    if answers:
        for item in json.loads(found.stdout)["items"]:
            conditions = {each["type"]: each["status"] for each in item["status"].get("conditions", [])}
            ready[item["metadata"]["name"]] = conditions.get("Ready") == "True"
    for node, node_address in nodes.items():
        word = {True: "Ready", False: "NotReady", None: "unknown"}[ready.get(node)]
        yield Row(f"  node {node}", str(node_address), word)


def _columns(lines: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]


def _memory(state: State) -> int:
    """Bytes that the sandbox's processes and files in memory take, without cached files."""
    total = 0
    for hierarchy in cgroups.here():
        directory = hierarchy.mountpoint / state.subtree
        if hierarchy.version == 2 and (directory / "memory.stat").exists():
            facts = _facts(directory / "memory.stat")
            total = facts["anon"] + facts["shmem"] + facts["kernel"]
        elif (directory / "memory.stat").exists():
            facts = _facts(directory / "memory.stat")
            kernel = int((directory / "memory.kmem.usage_in_bytes").read_text())
            total = facts["total_rss"] + facts["total_shmem"] + kernel
    return total


def _facts(file: Path) -> dict[str, int]:
    return {name: int(value) for name, value in (line.split() for line in file.read_text().splitlines())}
