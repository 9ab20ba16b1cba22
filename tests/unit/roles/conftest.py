# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""ansible-playbook with the roles of the checkout, for what they do before they need Azure or a cluster."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

CHECKOUT = Path(__file__).resolve().parents[3]


@dataclass(frozen=True)
class Player:
    directory: Path

    @property
    def temporary(self) -> Path:
        """Where the private directories of the runs are made."""
        return self.directory / "tmp"

    def start(self, tasks: list[dict[str, Any]], **variables: Any) -> subprocess.Popen[str]:
        """Start a play with these tasks; it reaches nothing, and knows no credentials."""
        play = self.directory / "play.yml"
        play.write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": tasks}]))
        foreign = ("AZURE_", "K8S_AUTH_", "ANSIBLE_")
        environment = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        collections = os.environ.get("ANSIBLE_COLLECTIONS_PATH", "").split(":")
        environment.update(
            ANSIBLE_COLLECTIONS_PATH=":".join([str(self.directory / "collections"), *collections]),
            ANSIBLE_HOME=str(self.directory / "home"),
            ANSIBLE_NOCOLOR="1",
            TMPDIR=str(self.temporary),
        )
        return subprocess.Popen(
            [Path(sys.executable).with_name("ansible-playbook"), play, "-e", json.dumps(variables)],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def play(self, tasks: list[dict[str, Any]], **variables: Any) -> tuple[int, str]:
        """Exit status and output of a play."""
        started = self.start(tasks, **variables)
        output, _none = started.communicate(timeout=120)
        return started.returncode, output


@pytest.fixture
def player(tmp_path: Path) -> Player:
    place = tmp_path / "collections/ansible_collections/azureops"
    place.mkdir(parents=True)
    (place / "pod_identity").symlink_to(CHECKOUT)
    (tmp_path / "tmp").mkdir()
    return Player(tmp_path)


def role(name: str, tasks_from: str = "main", **variables: Any) -> dict[str, Any]:
    """A task that runs a role of the collection."""
    include = {"name": f"azureops.pod_identity.{name}", "tasks_from": tasks_from}
    return {"ansible.builtin.include_role": include, "vars": variables}
