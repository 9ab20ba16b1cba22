# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Playbooks as an operator runs them at the workstation of a sandbox, and what they did."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from sandboxes import Sandbox

CALLBACKS = Path(__file__).with_name("callbacks")
UNSET = object()
"""Takes a variable out of those that a play usually gets."""


@dataclass(frozen=True)
class Run:
    """What one ansible-playbook did."""

    status: int
    output: str
    records: tuple[dict[str, Any], ...] = field(repr=False)

    @property
    def stats(self) -> dict[str, Any]:
        """What the play told by set_stats."""
        return next((dict(record["stats"]) for record in self.records if record["state"] == "stats"), {})

    @property
    def nodes(self) -> dict[str, dict[str, Any]]:
        """By name of the node what the role imds_node_cleanup did."""
        return {each["node"]: each for each in self.stats.get("imds_node_cleanup", [])}

    @property
    def outcomes(self) -> list[str]:
        return [self.nodes[name]["outcome"] for name in sorted(self.nodes)]

    def ok(self) -> Run:
        assert self.status == 0, self.output[-4000:]
        return self

    def refused(self) -> str:
        """The message of the task that failed."""
        assert self.status != 0, self.output[-4000:]
        return next(str(record["msg"]) for record in self.records if record["state"] == "failed" and record["msg"])

    def changes(self) -> list[str]:
        return sorted({record["task"] for record in self.records if record["changed"]})

    def changed_items(self) -> list[tuple[str, str]]:
        return sorted((record["task"], record["item"]) for record in self.records if record["changed"])

    def message(self, task: str) -> Any:
        return next(record["msg"] for record in self.records if record["task"] == task)

    def verdicts(self, host: str = "localhost") -> list[dict[str, Any]]:
        """What the role pod_identity_verify found: its fact as it was at the end."""
        found = [r["verification"] for r in self.records if r["host"] == host and r["verification"] is not None]
        return list(found[-1])

    def diff(self, task: str) -> dict[str, Any]:
        """The first diff of the task with ``before`` and ``after``."""
        for record in self.records:
            diffs = record["diff"] if isinstance(record["diff"], list) else [record["diff"]]
            if record["task"] == task and record["changed"] and diffs and diffs[0]:
                return dict(diffs[0])
        raise AssertionError(f"{task} shows no diff")


@dataclass(frozen=True)
class Operator:
    """Somebody at the workstation of the sandbox who runs playbooks."""

    sandbox: Sandbox
    directory: Path
    variables: dict[str, Any]

    def play(
        self,
        playbook: str | list[dict[str, Any]],
        *arguments: str,
        variables: dict[str, Any] | None = None,
        principal: str = "",
        inventory: str = "",
        environment: Mapping[str, str] | None = None,
        tools: str = "ansible",
    ) -> Run:
        """Run a playbook of the collection by name, or one that is given."""
        extra, records = self.directory / "vars.json", self.directory / "records"
        merged = {**self.variables, **(variables or {})}
        extra.write_text(json.dumps({key: value for key, value in merged.items() if value is not UNSET}))
        records.write_text("")
        if not isinstance(playbook, str):
            path = self.directory / "play.yml"
            path.write_text(yaml.safe_dump(playbook))
            playbook = str(path)
        if inventory:
            (self.directory / "hosts.yml").write_text(inventory)
            arguments = (*arguments, "-i", str(self.directory / "hosts.yml"))
        done = self.sandbox.call(
            *("exec", "--tools", tools, *(("--as", principal) if principal else ()), "--", "env"),
            *(f"RECORDS_FILE={records}", f"ANSIBLE_CALLBACK_PLUGINS={CALLBACKS}"),
            *("ANSIBLE_CALLBACKS_ENABLED=records", "ANSIBLE_INJECT_FACT_VARS=false", "ANSIBLE_NOCOLOR=1"),
            *(f"{name}={value}" for name, value in (environment or {}).items()),
            *("ansible-playbook", playbook, "-e", f"@{extra}", *arguments),
        )
        lines = [json.loads(line) for line in records.read_text().splitlines()]
        return Run(done.returncode, done.stdout + done.stderr, tuple(lines))

    def site(self, *arguments: str, **options: Any) -> Run:
        return self.play("azureops.pod_identity.site", *arguments, **options)

    def kubectl(self, *arguments: str) -> Any:
        return json.loads(self.sandbox.exec("kubectl", *arguments, "-o", "json"))

    def forget_requests(self) -> None:
        self.sandbox.run("azure", "log", "--clear")

    def azure_writes(self) -> list[str]:
        """Method and path of every request of ours that changed something in Azure since the log was last cleared."""
        log = self.sandbox.run("azure", "log", "--host", "management.azure.com", "--json")
        return list(_writes(json.loads(line) for line in log.splitlines()))


def _writes(entries: Iterable[dict[str, Any]]) -> Iterable[str]:
    reading = re.compile(r"/(listCluster\w+Credentials?|permissions)$", re.IGNORECASE)
    for entry in entries:
        writes = entry["method"] in ("PUT", "PATCH", "DELETE", "POST") and not reading.search(entry["path"])
        if writes and "azureops" in entry["user_agent"]:
            yield f"{entry['method']} {entry['path']}"


def only(role: str) -> list[dict[str, Any]]:
    """A foreign playbook with one role."""
    return [{"hosts": "localhost", "gather_facts": False, "roles": [f"azureops.pod_identity.pod_identity_{role}"]}]


def on_localhost(*tasks: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"hosts": "localhost", "gather_facts": False, "tasks": list(tasks)}]
