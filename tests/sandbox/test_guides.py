# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The guides of docs/docsite/rst, as their reader follows them: file by file, command by command. Needs root.

The tests are one story on one sandbox. What each command said lies in .build/guides then.
"""

from __future__ import annotations

import json
import re
import shlex
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from operators import dead_rules
from sandboxes import COMMAND_SECONDS, Sandbox, eventually, running

from ansible_collections.azureops.pod_identity.tests import guides

pytestmark = pytest.mark.story(minutes=10)

SAID = guides.CHECKOUT / ".build/guides"
NAMESPACE, WORKLOAD = "billing", "deployment/api"


@dataclass(frozen=True)
class Reader:
    """Somebody at the workstation of a sandbox, in one folder, who does what guides say."""

    sandbox: Sandbox
    folder: Path
    exported: list[str] = field(default_factory=list)

    def follow(self, guide: str) -> None:
        SAID.mkdir(parents=True, exist_ok=True)
        with (SAID / f"{guide}.txt").open("w") as said:
            for step in guides.steps(guide):
                if isinstance(step, guides.File):
                    (self.folder / step.name).write_text(step.text)
                elif isinstance(step, guides.Before):
                    SITUATIONS[step.name](self)
                else:
                    status, output = self.type(step.text)
                    said.write(f"$ {step.text}\n{output}\n")
                    said.flush()
                    assert status == step.status, f"{step.text} ended with {status}:\n{output[-4000:]}"
                    missing = guides.not_said(output, step.says) if step.says else ""
                    assert not missing, f"{step.text} does not say\n{missing}\nbut\n{output[-6000:]}"

    def type(self, command: str) -> tuple[int, str]:
        """Status and output of a command; what it exports holds for those that follow."""
        exports = re.match(r"export (\w+)=", command)
        shown = f'printf %s "${exports[1]}"' if exports else ""
        script = "\n".join((f"exec 2>&1; cd {shlex.quote(str(self.folder))}", *self.exported, command, shown))
        done = self.sandbox.call("exec", "--", "bash", "-c", script, timeout=COMMAND_SECONDS)
        if exports:
            self.exported.append(f"export {exports[1]}={shlex.quote(done.stdout)}")
        return done.returncode, done.stdout + done.stderr

    def succeed(self, command: str) -> str:
        status, output = self.type(command)
        assert status == 0, f"{command} ended with {status}:\n{output[-4000:]}"
        return output

    def addresses(self) -> list[str]:
        """Of the nodes."""
        nodes = json.loads(self.succeed("kubectl get nodes -o json"))["items"]
        return [
            each["address"] for node in nodes for each in node["status"]["addresses"] if each["type"] == "InternalIP"
        ]

    def assigned(self) -> bool:
        """Whether MIC has assigned the identity of the workload to its pod, and to nothing else."""
        found = json.loads(self.succeed("kubectl get azureassignedidentity -A -o json"))["items"]
        return [(each.get("status") or {}).get("status") for each in found] == ["Assigned"]


def installed(reader: Reader) -> None:
    """AAD Pod Identity serves the workload of the first guide."""
    first = guides.steps("first_steps")
    for file in (step for step in first if isinstance(step, guides.File)):
        (reader.folder / file.name).write_text(file.text)
    reader.succeed("ansible-playbook azureops.pod_identity.site -e @site.yml")
    (connect,) = (
        each.text for each in guides.commands("first_steps") if each.text.startswith("az aks get-credentials")
    )
    reader.succeed(connect)
    reader.succeed("kubectl apply -f api.yml")
    reader.succeed(f"kubectl -n {NAMESPACE} rollout status {WORKLOAD} --timeout=120s")
    eventually(reader.assigned, 120)


def binding_lost(reader: Reader) -> None:
    """Somebody deletes the AzureIdentityBinding, and MIC takes the identity from the pod."""
    reader.succeed(f"kubectl -n {NAMESPACE} delete azureidentitybinding billing")
    eventually(lambda: not reader.assigned(), 120)


def rules_left(reader: Reader) -> None:
    """The rules of an NMI that was killed are on the first node."""
    reader.sandbox.ssh(reader.addresses()[0], dead_rules())


def nmi_killed(reader: Reader) -> None:
    """SIGKILL to every NMI while the chart goes: stopped first, so that none can clean up or be started again."""
    addresses = reader.addresses()
    for address in addresses:
        reader.sandbox.ssh(address, "pkill -STOP -x nmi")
    reader.succeed("helm uninstall aad-pod-identity --namespace default")
    for address in addresses:
        reader.sandbox.ssh(address, "pkill -KILL -x nmi; while pgrep -x nmi; do sleep 0.2; done")
        assert "aad-metadata" in reader.sandbox.ssh(address, "iptables-save -t nat")


def unused(reader: Reader) -> None:
    """No workload uses AAD Pod Identity any more, and MIC has detached the identity from the scale set."""
    reader.succeed(f"kubectl -n {NAMESPACE} delete {WORKLOAD}")
    listed = "kubectl get azureassignedidentity -A -o name"
    eventually(lambda: not reader.succeed(listed).strip(), 120)
    reader.succeed("kubectl delete azureidentitybinding,azureidentity --all -A")


def soak_shortened(reader: Reader) -> None:
    """What is to last two hours lasts half a minute."""
    file = reader.folder / "migrate.yml"
    name = "workload_identity_migration_soak_seconds"
    text = file.read_text()
    assert f"{name}: 7200\n" in text
    file.write_text(text.replace(f"{name}: 7200\n", f"{name}: 30\nworkload_identity_migration_shorten_soak: true\n"))


SITUATIONS: dict[str, Callable[[Reader], None]] = {
    each.__name__: each for each in (installed, rules_left, binding_lost, nmi_killed, unused, soak_shortened)
}


@pytest.fixture(scope="module")
def reader() -> Iterator[Reader]:
    # A file system of its own, as one that is mounted into a container: these tests may run in one.
    options = ("--with", "workload-identity")
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder, running("guides", *options) as sandbox:
        yield Reader(sandbox, Path(folder))


@pytest.mark.parametrize("guide", guides.FOLLOWED)
def test_each_command_of_a_guide_does_what_the_guide_says(reader: Reader, guide: str) -> None:
    reader.follow(guide)
