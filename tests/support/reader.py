# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Somebody who does what a guide says, file by file and command by command; and what happens to a cluster meanwhile.

tests/sandbox/test_guides.py reads in a sandbox, tests/live.py on Azure. Standard library only.
"""

from __future__ import annotations

import json
import re
import shlex
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.azureops.pod_identity.tests.support import guides

NAMESPACE, WORKLOAD = "billing", "deployment/api"
STOPPED_NMI = "pkill -STOP -x nmi"
KILLED_NMI = "pkill -KILL -x nmi; while pgrep -x nmi; do sleep 0.2; done; iptables-save -t nat"
DEAD_RULES = """set -e
iptables -w -t nat -N aad-metadata
iptables -w -t nat -A aad-metadata ! -s 127.0.0.1/32 -d 169.254.169.254/32 -p tcp -m tcp --dport 80 \\
  -j DNAT --to-destination 127.0.0.1:2579
iptables -w -t nat -A aad-metadata -j RETURN
iptables -w -t nat -I PREROUTING -j aad-metadata
"""
"""What a dead NMI leaves."""


class Surprise(Exception):
    """A command did not do what its guide says."""


@dataclass
class Reader(ABC):
    """Whoever follows guides in one folder."""

    folder: Path
    exported: list[str] = field(default_factory=list)
    """What a shell of theirs begins with: what they exported before."""
    names: Mapping[str, str] = field(default_factory=dict)
    """What they write in the place of names of the guides."""
    ended: Callable[[str, int, str, float], None] = lambda command, status, output, seconds: None
    """Is told of each command of a guide."""

    @abstractmethod
    def call(self, script: str) -> tuple[int, str]:
        """Status and output, standard error included, of a script of bash."""

    @abstractmethod
    def on_node(self, node: str, script: str) -> str:
        """Output of a script as root on a node."""

    def follow(self, guide: str) -> None:
        for step in guides.steps(guide):
            if isinstance(step, guides.File):
                self.write(step)
            elif isinstance(step, guides.Before):
                SITUATIONS[step.name](self)
            else:
                self.do(step)

    def do(self, command: guides.Command) -> None:
        """Type a command; Surprise where it does not do what the guide says."""
        text = self.own(command.text)
        began = time.monotonic()
        status, output = self.type(text)
        self.ended(text, status, output, time.monotonic() - began)
        if status != command.status:
            raise Surprise(f"{text} ended with {status}:\n{output[-6000:]}")
        if missing := guides.not_said(output, self.own(command.says)) if command.says else "":
            raise Surprise(f"{text} does not say\n{missing}\nbut\n{output[-6000:]}")

    def write(self, file: guides.File) -> None:
        (self.folder / file.name).write_text(self.own(file.text))

    def type(self, command: str) -> tuple[int, str]:
        """Status and output of a command; what it exports holds for those that follow."""
        exports = re.match(r"export (\w+)=", command)
        shown = f'printf %s "${exports[1]}"' if exports else ""
        status, output = self.call("\n".join((f"cd {shlex.quote(str(self.folder))}", *self.exported, command, shown)))
        if exports:
            self.exported.append(f"export {exports[1]}={shlex.quote(output)}")
        return status, output

    def succeed(self, command: str) -> str:
        status, output = self.type(command)
        if status:
            raise Surprise(f"{command} ended with {status}:\n{output[-4000:]}")
        return output

    def own(self, text: str) -> str:
        """A text of a guide with the reader's own names."""
        for name, own in self.names.items():
            text = text.replace(name, own)
        return text

    def nodes(self) -> list[str]:
        return [item["metadata"]["name"] for item in self.listed("nodes")]

    def listed(self, kinds: str) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = json.loads(self.succeed(f"kubectl get {kinds} -A -o json"))["items"]
        return items

    def assigned(self) -> bool:
        """Whether MIC has assigned the identity of the workload to its pod, and nothing else."""
        found = self.listed("azureassignedidentity")
        return [(each.get("status") or {}).get("status") for each in found] == ["Assigned"]


def eventually(condition: Callable[[], object], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise Surprise(f"{getattr(condition, '__name__', 'a condition')}: not within {seconds:.0f} seconds")
        time.sleep(0.5)


def installed(reader: Reader) -> None:
    """AAD Pod Identity serves the workload of the first guide."""
    first = guides.steps("first_steps")
    for file in (step for step in first if isinstance(step, guides.File)):
        reader.write(file)
    reader.succeed("ansible-playbook azureops.pod_identity.site -e @site.yml")
    (connect,) = (
        each.text for each in guides.commands("first_steps") if each.text.startswith("az aks get-credentials")
    )
    reader.succeed(reader.own(connect))
    reader.type("export KUBECONFIG=demo.kubeconfig")
    reader.succeed("kubectl apply -f api.yml")
    reader.succeed(f"kubectl -n {NAMESPACE} rollout status {WORKLOAD} --timeout=300s")
    eventually(reader.assigned, 300)


def binding_lost(reader: Reader) -> None:
    """Somebody deletes the AzureIdentityBinding, and MIC takes the identity from the pod."""
    reader.succeed(f"kubectl -n {NAMESPACE} delete azureidentitybinding billing")
    eventually(lambda: not reader.listed("azureassignedidentity"), 300)


def rules_left(reader: Reader) -> None:
    """The rules of an NMI that was killed are on the first node."""
    reader.on_node(reader.nodes()[0], DEAD_RULES)


def nmi_killed(reader: Reader) -> None:
    """SIGKILL to every NMI while the chart goes: stopped first, so that none can clean up or be started again."""
    nodes = reader.nodes()
    for node in nodes:
        reader.on_node(node, STOPPED_NMI)
    reader.succeed("helm uninstall aad-pod-identity --namespace default")
    for node in nodes:
        if "aad-metadata" not in reader.on_node(node, KILLED_NMI):
            raise Surprise(f"NMI on {node} took its rules along")


def unused(reader: Reader) -> None:
    """No workload uses AAD Pod Identity any more, and MIC has detached the identity from the scale set."""
    reader.succeed(f"kubectl -n {NAMESPACE} delete {WORKLOAD}")
    eventually(lambda: not reader.listed("azureassignedidentity"), 300)
    reader.succeed("kubectl delete azureidentitybinding,azureidentity --all -A")


def soak_shortened(reader: Reader) -> None:
    """What is to last two hours lasts half a minute."""
    file = reader.folder / "migrate.yml"
    name = "workload_identity_migration_soak_seconds"
    text = file.read_text()
    if f"{name}: 7200\n" not in text:
        raise Surprise(f"{name} is not 7200 any more")
    file.write_text(text.replace(f"{name}: 7200\n", f"{name}: 30\nworkload_identity_migration_shorten_soak: true\n"))


SITUATIONS: dict[str, Callable[[Reader], None]] = {
    each.__name__: each for each in (installed, rules_left, binding_lost, nmi_killed, unused, soak_shortened)
}
