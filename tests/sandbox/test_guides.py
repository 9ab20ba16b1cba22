# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The guides of docs/docsite/rst, as their reader follows them: file by file, command by command. Needs root.

The first one follows the installation of the README in an empty home. The tests share a sandbox, and each begins with
a cluster that it brings into the state that it needs, so that a run can take any of them. What each command said lies
in .build/guides then.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sandboxes import COMMAND_SECONDS, Sandbox, running

from ansible_collections.azureops.pod_identity.tests import live as live_module
from ansible_collections.azureops.pod_identity.tests import stage
from ansible_collections.azureops.pod_identity.tests.support import guides, reader
from azsandbox import paths

pytestmark = pytest.mark.story
SAID = guides.CHECKOUT / ".build/guides"
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
INSTALL_SECONDS = 900
LIVE = "broken"
"""The guide that `make live` follows here: with nodes, and what happens to them."""
LIVE_SECONDS = 900


@dataclass
class Operator(reader.Reader):
    """Somebody at the workstation of a sandbox."""

    sandbox: Sandbox = Sandbox("")

    def call(self, script: str) -> tuple[int, str]:
        done = self.sandbox.call("exec", "--", "bash", "-c", f"exec 2>&1; {script}", timeout=COMMAND_SECONDS)
        return done.returncode, done.stdout + done.stderr

    def on_node(self, node: str, script: str) -> str:
        (address,) = (
            each["address"]
            for item in self.listed("nodes")
            if item["metadata"]["name"] == node
            for each in item["status"]["addresses"]
            if each["type"] == "InternalIP"
        )
        return self.sandbox.ssh(address, script)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with running("guides", "--with", "workload-identity") as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    # A file system of its own, as one that is mounted into a container: these tests may run in one.
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        yield Path(folder)


def follow(guide: str, sandbox: Sandbox, folder: Path, exported: list[str]) -> None:
    """Follow a guide from a shell that has exported so much, and keep what each command said."""
    SAID.mkdir(parents=True, exist_ok=True)
    with (SAID / f"{guide}.txt").open("w") as said:

        def ended(command: str, status: int, output: str, seconds: float) -> None:
            print(f"$ {command}  # {seconds:.0f} s, status {status}\n{output}", file=said, flush=True)

        Operator(folder, exported, ended=ended, sandbox=sandbox).follow(guide)


def install(home: Path) -> list[str]:
    """Do what the README says of installation in an empty home; the lines that a shell of its owner begins with.

    Two things are not as there: the collection comes from its artifact, not from GitHub, and kubernetes.core lies there
    already, because neither GitHub nor Galaxy is asked by tests.
    """
    built = home.parent / "artifact"
    root = stage.stage()
    galaxy = Path(sys.executable).with_name("ansible-galaxy")
    build = (galaxy, "collection", "build", "--output-path", built, root / stage.COLLECTION)
    subprocess.run(build, check=True, capture_output=True)
    (artifact,) = built.glob("azureops-pod_identity-*.tar.gz")
    shutil.copytree("/etc/skel", home)
    depends = Path("ansible_collections/kubernetes/core")
    shutil.copytree(paths.COLLECTIONS / depends, home / ".ansible/collections" / depends)
    commands = [
        f"ansible-galaxy collection install {shlex.quote(str(artifact))}" if "git+https:" in each else each
        for each in guides.installation()
    ]
    assert any(str(artifact) in each for each in commands)
    own = {"HOME": str(home), "PATH": SYSTEM_PATH, "LANG": "C.UTF-8"}
    # How this machine reaches its package index.
    index = {name: value for name, value in os.environ.items() if name.startswith("PIP_") or "_proxy" in name.lower()}
    script = "set -ex; " + "\n".join(commands)
    done = subprocess.run(
        ("bash", "-c", script), env=index | own, cwd=home, capture_output=True, text=True, timeout=INSTALL_SECONDS
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    activate = next(each for each in commands if "/bin/activate" in each).partition("&&")[2].strip()
    return [f"export HOME={shlex.quote(str(home))}", "unset ${!ANSIBLE@} ${!PYTHON@}", activate]


@pytest.mark.soak
def test_a_stranger_gets_from_the_readme_to_the_end_of_the_first_guide(sandbox: Sandbox, folder: Path) -> None:
    shell = install(folder / "home")
    sandbox.run("reset")
    stranger = Operator(folder, shell, sandbox=sandbox)
    listed = json.loads(stranger.succeed("ansible-galaxy collection list --format json 2>/dev/null"))
    assert {name: set(found) for name, found in listed.items() if "azureops.pod_identity" in found} == {
        f"{folder}/home/.ansible/collections/ansible_collections": {"azureops.pod_identity", "kubernetes.core"}
    }
    assert stranger.succeed("command -v ansible-playbook") == f"{folder}/home/pod-identity/bin/ansible-playbook\n"
    follow("first_steps", sandbox, folder, shell)


def environment_of_azcollection(sandbox: Sandbox) -> None:
    """~/azcollection has the Ansible of azure.azcollection."""
    link = 'ln -sfn "$(dirname "$(dirname "$(command -v ansible-inventory)")")" ~/azcollection'
    sandbox.exec("bash", "-c", link, tools="azcollection")


@pytest.mark.soak
@pytest.mark.parametrize("guide", [each for each in guides.FOLLOWED if each not in ("first_steps", LIVE)])
def test_each_command_of_a_guide_does_what_the_guide_says(sandbox: Sandbox, folder: Path, guide: str) -> None:
    if guide == "playbooks":
        environment_of_azcollection(sandbox)
    follow(guide, sandbox, folder, [])


def live(sandbox: Sandbox, report: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """What `make live` does where this sandbox is Azure."""
    subscription = sandbox.exec("printenv", "AZURE_SUBSCRIPTION_ID").strip()
    named = ("--subscription", subscription, "--accept-usd", "5", "--report", str(report))
    # Python finds the package in the folder where it starts.
    arguments = ("python3", "-m", "tests.live", *named, *options)
    return sandbox.call(
        *("exec", "--", "bash", "-c", f"cd {shlex.quote(str(guides.CHECKOUT))} && exec {shlex.join(arguments)}"),
        timeout=LIVE_SECONDS,
    )


@pytest.mark.soak
def test_a_run_on_azure_reports_and_leaves_nothing(sandbox: Sandbox, folder: Path) -> None:
    sandbox.run("reset")
    done = live(sandbox, folder / "report.txt", "--guides", LIVE)
    report = (folder / "report.txt").read_text()
    SAID.mkdir(parents=True, exist_ok=True)
    (SAID / "live.txt").write_text(report)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr
    assert report.startswith("outcome: passed\n")
    typed = set(re.findall(r"^\$ (.*)", report, re.MULTILINE))
    assert len(typed) >= len({each.text for each in guides.commands(LIVE)}) + len(live_module.VERSIONS)
    secret = sandbox.exec("printenv", "AZURE_SECRET", "AZURE_SUBSCRIPTION_ID", "AZURE_TENANT").split()
    assert not [each for each in secret if each in report]
    assert sandbox.az("group", "list") == []


@pytest.mark.soak
def test_a_run_on_azure_whose_time_is_over_leaves_nothing(sandbox: Sandbox, folder: Path) -> None:
    sandbox.run("reset")
    expired = ("--tags", f"{live_module.TAG}=true", f"{live_module.EXPIRES}=2026-01-01T00:00:00+00:00")
    sandbox.az("group", "create", "--name", "of-a-killed-run", "--location", "westeurope", *expired)
    sandbox.az("group", "create", "--name", "of-somebody", "--location", "westeurope")
    done = live(sandbox, folder / "report.txt", "--guides", "keep", "--minutes", "0.4")
    assert done.returncode == 1, done.stdout[-6000:] + done.stderr
    assert (folder / "report.txt").read_text().startswith("outcome: the time of the run is over\n")
    assert [each["name"] for each in sandbox.az("group", "list")] == ["of-somebody"]
