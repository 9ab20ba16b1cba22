# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""ansible-playbook with the roles of the checkout, without a sandbox."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.azureops.pod_identity.tests.support import forks
from ansible_collections.azureops.pod_identity.tests.support import kill_modes as deaths

CHECKOUT = Path(__file__).resolve().parents[2]
_PROGRAM = Path(__file__).with_name("run_play.py")
_AT_START = ("PYTHON", "LC_", "LANG")
"""So begins what Python reads when it starts."""
_LONGEST = 900
Tasks = list[dict[str, Any]] | dict[str, Any] | str


@dataclass(frozen=True)
class Player:
    """Runs plays in a directory of its own; knows no credentials but those of ``environment``."""

    directory: Path
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    # Beside ``directory``, whose path can be too long for the sockets that Ansible makes in its temporary directory.
    _short: tempfile.TemporaryDirectory[str] = field(
        default_factory=lambda: tempfile.TemporaryDirectory(prefix="play-"), repr=False
    )

    def __post_init__(self) -> None:
        place = self.directory / "collections/ansible_collections/azureops"
        place.mkdir(parents=True)
        (place / "pod_identity").symlink_to(CHECKOUT)

    @property
    def temporary(self) -> Path:
        """Where the private directories of the runs are made."""
        return Path(self._short.name)

    def start(self, tasks: Tasks, *arguments: str, **variables: Any) -> subprocess.Popen[str]:
        """Start a play with these tasks on localhost, one that is given whole, or a playbook by its name."""
        command, environment = self._command(tasks, *arguments, **variables)
        return subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def _command(self, tasks: Tasks, *arguments: str, **variables: Any) -> tuple[list[str], dict[str, str]]:
        """The command that runs a play, and its environment."""
        play = tasks if isinstance(tasks, str) else str(self.directory / "play.yml")
        if not isinstance(tasks, str):
            whole = tasks if isinstance(tasks, dict) else {"hosts": "localhost", "tasks": tasks}
            Path(play).write_text(json.dumps([{"gather_facts": False, **whole}]))
        foreign = ("AZURE_", "K8S_AUTH_", "ANSIBLE_")
        environment = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        collections = os.environ.get("ANSIBLE_COLLECTIONS_PATH", "").split(":")
        environment.update(
            self.environment,
            ANSIBLE_COLLECTIONS_PATH=":".join([str(self.directory / "collections"), *collections]),
            ANSIBLE_HOME=str(self.directory / "ansible"),
            ANSIBLE_NOCOLOR="1",
            TMPDIR=str(self.temporary),
        )
        program = Path(sys.executable).with_name("ansible-playbook")
        return [str(program), play, "-e", json.dumps(variables), *arguments], environment

    def play(self, tasks: Tasks, *arguments: str, **variables: Any) -> tuple[int, str]:
        """Exit status and output of a play, which is sooner at work than one that is started (see run_play.py)."""
        play = self.begin(tasks, *arguments, **variables)
        output, _none = play.communicate()
        if play.returncode == forks.KILLED:
            raise _too_long(_LONGEST, output)
        return play.wait(), output

    def begin(self, tasks: Tasks, *arguments: str, **variables: Any) -> forks.Running:
        """As start, of a play that is sooner at work."""
        command, environment = self._command(tasks, *arguments, **variables)
        at_start = {name: value for name, value in environment.items() if name.startswith(_AT_START)}
        order = {"arguments": command, "environment": environment}
        return forks.Running(_PROGRAM, at_start, order, _LONGEST)


Play = subprocess.Popen[str] | forks.Running


def finish(play: Play, seconds: float) -> tuple[int, str]:
    """Exit status and output of a play that has been started; one that takes longer is killed, and fails the test."""
    try:
        output, _none = play.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        kill(play)
        raise _too_long(seconds, play.communicate()[0]) from None
    return play.wait(), output


def _too_long(seconds: float, output: str) -> AssertionError:
    return AssertionError(f"the play did not end within {seconds:g} s:\n{output[-4000:]}")


def kill(play: Play) -> None:
    """Kill a play with all that it has started, as if the power had failed."""
    deaths.strike(play.pid, deaths.ALL)
    play.wait()


def role(name: str, tasks_from: str = "main") -> dict[str, Any]:
    """A task that runs a role of the collection."""
    return {"ansible.builtin.include_role": {"name": f"azureops.pod_identity.{name}", "tasks_from": tasks_from}}
