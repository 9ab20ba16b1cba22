# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Playbooks as AWX has them run: by ansible-runner, in a private data directory, without a terminal."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from operators import Operator, Run

IDENT = "job"
"""What ansible-runner calls the run, and the folder of its artifacts."""
PRIVATE = "runner"
"""The private data directory, in the directory of the operator."""
_RESULTS = ("runner_on_ok", "runner_item_on_ok")
_ENDS = (*_RESULTS, "runner_on_failed", "runner_item_on_failed", "runner_on_skipped")
_PROGRESS = re.compile(r"\[[^\]]+\] .+, (\d+ min )?\d+ s")
"""As the action plugins of long operations write a line."""


def prepare(
    private: Path,
    variables: Mapping[str, Any],
    environment: Mapping[str, str],
    arguments: Sequence[str] = (),
    passwords: Mapping[str, str] | None = None,
) -> None:
    """Make the private data directory anew. ``passwords``: what is answered to which prompt, a regular expression."""
    shutil.rmtree(private, ignore_errors=True)
    (private / "env").mkdir(parents=True)
    contents = {
        "extravars": json.dumps(variables),
        "envvars": json.dumps(environment),
        "passwords": json.dumps(passwords or {}),
        "cmdline": shlex.join(arguments),
    }
    for name, content in contents.items():
        (private / "env" / name).write_text(content)


@dataclass(frozen=True)
class Job:
    """What ansible-runner keeps of a run."""

    folder: Path

    @classmethod
    def of(cls, private: Path) -> Job:
        return cls(private / "artifacts" / IDENT)

    @property
    def command(self) -> Path:
        """Arguments and environment of ansible-playbook."""
        return self.folder / "command"

    @property
    def ended(self) -> tuple[str, int]:
        return (self.folder / "status").read_text(), int((self.folder / "rc").read_text())

    def events(self, *kinds: str) -> list[dict[str, Any]]:
        """In their order; those of some kinds, or all."""
        read = [json.loads(file.read_text()) for file in (self.folder / "job_events").iterdir()]
        return sorted(
            (each for each in read if not kinds or each["event"] in kinds), key=lambda each: int(each["counter"])
        )

    @property
    def stats(self) -> dict[str, Any]:
        """What the play told by set_stats: AWX hands it on to the next job of a workflow."""
        (event,) = self.events("playbook_on_stats")
        return dict(event["event_data"]["artifact_data"])

    @property
    def changed(self) -> dict[str, int]:
        """How many tasks changed something, by host."""
        (event,) = self.events("playbook_on_stats")
        return dict(event["event_data"]["changed"])

    def progress(self) -> list[tuple[str, str]]:
        """Lines that said how far a task was before it had a result, each with the task."""
        return list(self._progress())

    def _progress(self) -> Iterator[tuple[str, str]]:
        task = ""
        for each in self.events():
            if each["event"] == "playbook_on_task_start":
                task = each["event_data"]["task"]
            elif each["event"] in _ENDS:
                task = ""
            elif each["event"] == "verbose" and task and _PROGRESS.match(line := each["stdout"].strip()):
                yield task, line

    def results(self) -> list[dict[str, Any]]:
        """Of tasks that did not fail; a loop gives one more than items."""
        return [each["event_data"] for each in self.events(*_RESULTS)]

    def changes(self) -> set[str]:
        """The tasks that changed something, but for those whose results are hidden."""
        return {each["task"] for each in self.results() if each["res"].get("changed")}

    def check(self, run: Run) -> None:
        """What it keeps is whole, and tells what the run did."""
        assert self.ended == ("successful", 0) and run.status == 0, run.output[-4000:]
        assert [each["counter"] for each in self.events()] == list(range(1, len(self.events()) + 1))
        hidden = {each["task"] for each in self.results() if "censored" in each["res"]}
        assert self.changes() - hidden == set(run.changes()) - hidden
        assert self.stats == run.stats


@dataclass(frozen=True)
class RunnerOperator(Operator):
    """Somebody whose playbooks are jobs."""

    passwords: Mapping[str, str] = field(default_factory=dict)
    """What is answered to which prompt, a regular expression."""

    @classmethod
    def of(cls, operator: Operator, passwords: Mapping[str, str] | None = None) -> RunnerOperator:
        return cls(operator.sandbox, operator.directory, operator.variables, passwords or {})

    @property
    def private(self) -> Path:
        return self.directory / PRIVATE

    @property
    def job(self) -> Job:
        """What is kept of the last run."""
        return Job.of(self.private)

    def _started(self, playbook: str, arguments: Sequence[str], environment: Mapping[str, str]) -> tuple[str, ...]:
        variables = json.loads(self._variables.read_text())
        prepare(self.private, variables, environment, arguments, self.passwords)
        project = self.private / "project"
        project.mkdir()
        # A job template names a file of its project; see docs/awx.md.
        (project / "job.yml").write_text(json.dumps([{"import_playbook": playbook}]))
        runner = (sys.executable, "-m", "ansible_runner", "run", str(self.private))
        return ("setsid", "--wait", *runner, "--playbook", "job.yml", "--ident", IDENT)
