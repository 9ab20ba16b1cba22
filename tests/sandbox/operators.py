# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Playbooks as an operator runs them at the workstation of a sandbox, and what they did."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from sandboxes import COMMAND_SECONDS, Sandbox, eventually

from ansible_collections.azureops.pod_identity.tests.support import kill_modes as deaths
from azsandbox.network import WORKSTATION_ADDRESS

CALLBACKS = Path(__file__).with_name("callbacks")
GROUP, CLUSTER = "pod-identity-test", "one"
SITE: dict[str, Any] = {
    "pod_identity_resource_group": GROUP,
    "pod_identity_cluster_name": CLUSTER,
    "pod_identity_location": "westeurope",
    "pod_identity_cluster_create": True,
    "pod_identity_cluster_poll_interval": 1,
    "pod_identity_bindings_create_namespaces": True,
    "pod_identity_bindings_list": [
        {
            "name": "billing",
            "namespace": "billing",
            "selector": "billing",
            "behavior": "namespaced",
            "roles": [{"role": "Reader"}],
        },
    ],
    "pod_identity_verify_workloads": [
        {"namespace": "billing", "selector": "billing", "expect": "billing", "allow_detach": True}
    ],
}
"""Variables of playbooks/site.yml for a cluster with one identity."""
POLL = "/operations/"
"""In the path of a look at an operation of Azure that goes on."""
SITE_REQUESTS, SITE_WRITES = 55, 7
"""How many requests site.yml makes from an empty subscription on, polls left out, and how many of them write."""
UNSET = object()
"""Takes a variable out of those that a play usually gets."""
TWICE = """
records=$1; shift
set -m
env --default-signal=INT "$@" > "$records.first" 2>&1 &
set +m
wait "$!"
{
  find "$TMPDIR" ~/.ansible -name 'azureops-pod-identity-*'
  grep -rlE 'client-key-data|PRIVATE KEY' "$TMPDIR" ~/.ansible
} > "$records.part"
mv "$records.part" "$records.left"
until [ -e "$records.again" ] || [ -e "$records.over" ]; do sleep 0.1; done
[ -e "$records.again" ] || exit 0
: > "$records"
exec "$@"
"""
"""A command that dies, what it has left then, and, where that is wanted, the command once more when it may begin."""


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
        failed = [f"{record['task']}: {record['msg']}" for record in self.records if record["state"] == "failed"]
        assert self.status == 0, "\n".join((*failed, self.output[-4000:]))
        return self

    def refused(self) -> str:
        """The message of the task that failed."""
        assert self.status != 0, self.output[-4000:]
        return next(str(record["msg"]) for record in self.records if record["state"] == "failed" and record["msg"])

    def changes(self) -> list[str]:
        return sorted({record["task"] for record in self.records if record["changed"]})

    def changed_items(self) -> list[tuple[str, str]]:
        return sorted((record["task"], record["item"]) for record in self.records if record["changed"])

    def ended(self, task: str) -> float:
        """The time when the task was done."""
        return max(float(record["time"]) for record in self.records if record["task"] == task)

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
        seconds: float = COMMAND_SECONDS,
    ) -> Run:
        """Run a playbook of the collection by name, or one that is given, for so many seconds at most."""
        command = self._command(playbook, arguments, variables, inventory, environment or {})
        whose = ("--as", principal) if principal else ()
        done = self.sandbox.call("exec", "--tools", tools, *whose, "--", *command, timeout=seconds)
        return Run(done.returncode, done.stdout + done.stderr, self._recorded())

    def play_after_kill(
        self, playbook: str, fault: Sequence[str], death: str = deaths.ALL, variables: dict[str, Any] | None = None
    ) -> Run:
        """Run a playbook after one that died while it waited for the answer to a request to Azure.

        ``fault``: options of `azure fault` that choose the request.
        """
        rule = json.loads(self.sandbox.run("azure", "fault", "--remote", WORKSTATION_ADDRESS, "--hang", *fault))["id"]
        return self.play_after_death(
            playbook,
            lambda: rule in [each["fault"] for each in self.requests()],
            death,
            what=str(fault),
            variables=variables,
            meanwhile=lambda: self.sandbox.run("azure", "fault", "--clear"),
        )

    def play_after_death(
        self,
        playbook: str,
        reached: Callable[[], bool],
        death: str,
        *arguments: str,
        what: str,
        variables: dict[str, Any] | None = None,
        meanwhile: Callable[[], object] = lambda: None,
    ) -> Run:
        """Run a playbook after one that died at a moment; ``meanwhile`` is called in between."""
        command = self._command(playbook, arguments, variables, "", {})
        with self._dead(command, reached, death, meanwhile) as (running, said):
            assert running, f"no run comes to {what}:\n{said[-4000:]}"
            self._records.with_suffix(".again").touch()
            output, _none = running.communicate(timeout=COMMAND_SECONDS)
        return Run(running.returncode, output, self._recorded())

    def die(self, playbook: str, reached: Callable[[], bool], death: str, meanwhile: Callable[[], object]) -> bool:
        """Let a run of a playbook die when it is there; whether it came there."""
        with self._dead(self._command(playbook, (), None, "", {}), reached, death, meanwhile) as (running, _said):
            self._records.with_suffix(".over").touch()
            if running:
                running.wait(COMMAND_SECONDS)
        return running is not None

    @contextmanager
    def _dead(
        self, command: Sequence[str], reached: Callable[[], bool], death: str, meanwhile: Callable[[], object]
    ) -> Iterator[tuple[subprocess.Popen[str] | None, str]]:
        """The process that has let it die and may run it again, or none where it has ended before; what it said."""
        left, first, again, over = (self._records.with_suffix(end) for end in (".left", ".first", ".again", ".over"))
        for each in (left, again, over):
            each.unlink(missing_ok=True)
        running = self.sandbox.start("exec", "--", "bash", "-c", TWICE, "bash", str(self._records), *command)
        try:
            eventually(lambda: running.poll() is not None or left.exists() or reached(), COMMAND_SECONDS)
            if left.exists():
                yield None, first.read_text()
                return
            play = deaths.leader(running.pid)
            members = deaths.strike(play, death, _lost(running.pid, play))
            eventually(left.exists, 120)
            meanwhile()
            deaths.end(members, death)
            assert death == deaths.ALL or left.read_text() == "", f"{left.read_text()}\n{first.read_text()[-3000:]}"
            yield running, first.read_text()
        finally:
            running.kill()
            running.wait()

    @property
    def _variables(self) -> Path:
        return self.directory / "vars.json"

    @property
    def _records(self) -> Path:
        return self.directory / "records"

    def _recorded(self) -> tuple[dict[str, Any], ...]:
        return tuple(json.loads(line) for line in self._records.read_text().splitlines())

    def _command(
        self,
        playbook: str | list[dict[str, Any]],
        arguments: tuple[str, ...],
        variables: dict[str, Any] | None,
        inventory: str,
        environment: Mapping[str, str],
    ) -> tuple[str, ...]:
        merged = {**self.variables, **(variables or {})}
        self._variables.write_text(json.dumps({key: value for key, value in merged.items() if value is not UNSET}))
        self._records.write_text("")
        if not isinstance(playbook, str):
            path = self.directory / "play.yml"
            path.write_text(yaml.safe_dump(playbook))
            playbook = str(path)
        if inventory:
            (self.directory / "hosts.yml").write_text(inventory)
            arguments = (*arguments, "-i", str(self.directory / "hosts.yml"))
        settings = {
            "RECORDS_FILE": str(self._records),
            "ANSIBLE_CALLBACK_PLUGINS": str(CALLBACKS),
            "ANSIBLE_CALLBACKS_ENABLED": "records",
            "ANSIBLE_INJECT_FACT_VARS": "false",
            "ANSIBLE_NOCOLOR": "1",
        }
        return self._started(playbook, arguments, {**settings, **environment})

    def _started(self, playbook: str, arguments: Sequence[str], environment: Mapping[str, str]) -> tuple[str, ...]:
        """The command that runs a playbook with the variables that are written down."""
        given = (f"{name}={value}" for name, value in environment.items())
        return ("env", *given, "ansible-playbook", playbook, "-e", f"@{self._variables}", *arguments)

    def site(self, *arguments: str, **options: Any) -> Run:
        return self.play("azureops.pod_identity.site", *arguments, **options)

    def kubectl(self, *arguments: str) -> Any:
        return json.loads(self.sandbox.exec("kubectl", *arguments, "-o", "json"))

    def apply(self, *objects: Mapping[str, Any], verb: str = "apply", arguments: Sequence[str] = ()) -> None:
        file = self.directory / "objects.json"
        file.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))
        self.sandbox.exec("kubectl", verb, "-f", str(file), *arguments)

    def kubeconfig(self, group: str = GROUP, cluster: str = CLUSTER, *options: str, name: str = "kubeconfig") -> str:
        """Where that of a cluster lies, as Azure hands it out now."""
        path, place = str(self.directory / name), ("-g", group, "-n", cluster)
        self.sandbox.exec("az", "aks", "get-credentials", *place, "--overwrite-existing", "-f", path, *options)
        return path

    def addresses(self) -> dict[str, str]:
        """Of the nodes, by name."""
        nodes = self.kubectl("get", "nodes")["items"]
        return {each["metadata"]["name"]: str(each["status"]["addresses"][0]["address"]) for each in nodes}

    def module(self, module: str, **options: Any) -> dict[str, Any]:
        """What a module returned at the workstation, also where it failed."""
        task = {f"azureops.pod_identity.{module}": options, "register": "answer", "ignore_errors": True}
        told = {"ansible.builtin.set_stats": {"data": {"answer": "{{ answer }}"}}}
        return dict(self.play(on_localhost(task, told)).ok().stats["answer"])

    def forget_requests(self) -> None:
        self.sandbox.run("azure", "log", "--clear")

    def requests(self) -> list[dict[str, Any]]:
        """What the workstation has asked Azure since the log was last cleared, oldest first."""
        return [each for each in self._log() if each["remote"] == WORKSTATION_ADDRESS]

    def azure_writes(self) -> list[str]:
        """Method and path of every request of ours that changed something in Azure since the log was last cleared."""
        return list(_writes(self._log("--host", "management.azure.com")))

    def _log(self, *chosen: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.sandbox.run("azure", "log", "--json", *chosen).splitlines()]


def _lost(command: int, play: int) -> list[int]:
    """What a play at the workstation has started that is nobody's child any more, so that its init has it."""
    known = {*deaths.ancestors(play), *deaths.family(play)}
    return [each for each in deaths.family(command) if each not in known]


def _writes(entries: Iterable[dict[str, Any]]) -> Iterable[str]:
    reading = re.compile(r"/(listCluster\w+Credentials?|permissions)$", re.IGNORECASE)
    for entry in entries:
        writes = entry["method"] in ("PUT", "PATCH", "DELETE", "POST") and not reading.search(entry["path"])
        if writes and "azureops" in entry["user_agent"]:
            yield f"{entry['method']} {entry['path']}"


def dead_rules(target: str = "127.0.0.1", comment: str = "") -> str:
    """The commands that lay what a dead NMI leaves."""
    said = f"-m comment --comment {shlex.quote(comment)}" if comment else ""
    return f"""set -e
        iptables -w -t nat -N aad-metadata
        iptables -w -t nat -A aad-metadata ! -s 127.0.0.1/32 -d 169.254.169.254/32 -p tcp -m tcp --dport 80 {said} \\
          -j DNAT --to-destination {target}:2579
        iptables -w -t nat -A aad-metadata -j RETURN
        iptables -w -t nat -I PREROUTING {said} -j aad-metadata
    """


def only(role: str) -> list[dict[str, Any]]:
    """A foreign playbook with one role."""
    return [{"hosts": "localhost", "gather_facts": False, "roles": [f"azureops.pod_identity.pod_identity_{role}"]}]


def on_localhost(*tasks: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"hosts": "localhost", "gather_facts": False, "tasks": list(tasks)}]
