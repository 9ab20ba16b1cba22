# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The record of `make soak`: each case that has the marker soak, once, over as many sittings as it takes.

`make test` is a fixed set: the cases without that marker (`-m "not soak"` in pyproject.toml). With SOAK=NAME a run
takes those with it that its command line selects and that have not passed in the soak of that name, at whatever commit.
The record is a file of JSON lines, NAME.jsonl, one for each case that ran: `case`, `commit`, `outcome` (passed or
failed), `seconds` and `why`.

`pytestmark = pytest.mark.story` says that the cases of a file follow each other: those that have no marker soak
of their own run again with each case of the file that is left.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[1]
RECORDS = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "azureops-pod-identity/soak"
UNKNOWN_SECONDS = 100.0
"""What a case is thought to take before one like it has run."""


@dataclass(frozen=True)
class Case:
    """What became of one case."""

    case: str
    commit: str
    outcome: str
    seconds: float
    why: str = ""


@dataclass(frozen=True)
class Record:
    """The cases of one soak, as far as they ran."""

    path: Path
    bytes_at_start: int
    """Of the file. A process of pytest-xdist that starts later must choose the same cases."""

    @classmethod
    def of(cls, name: str) -> Record:
        path = RECORDS / f"{name}.jsonl"
        size = os.environ.setdefault("SOAK_BYTES", str(path.stat().st_size if path.exists() else 0))
        return cls(path, int(size))

    def cases(self) -> list[Case]:
        """Those that ran before this run."""
        if not self.path.exists():
            return []
        return [Case(**json.loads(line)) for line in self.path.read_bytes()[: self.bytes_at_start].splitlines()]

    def add(self, case: Case) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a") as file:
            file.write(json.dumps(asdict(case)) + "\n")


def passed(cases: Iterable[Case]) -> set[str]:
    return {each.case for each in cases if each.outcome == "passed"}


def remaining_seconds(left: Iterable[str], cases: Sequence[Case]) -> float:
    """How long the cases in `left` take one after the other, by those of the same test, file or soak that have run."""
    known: Mapping[str, list[float]] = defaultdict(list)
    for each in cases:
        for kind in ("", _file(each.case), _test(each.case)):
            known[kind].append(each.seconds)
    means = {kind: statistics.fmean(seconds) for kind, seconds in known.items()}
    return sum(means.get(_test(case), means.get(_file(case), means.get("", UNKNOWN_SECONDS))) for case in left)


def _test(case: str) -> str:
    return case.partition("[")[0]


def _file(case: str) -> str:
    return case.partition("::")[0]


def _story_of(file: str, items: Iterable[pytest.Item]) -> set[str]:
    """The cases of a file that follow each other."""
    return {
        item.nodeid
        for item in items
        if _file(item.nodeid) == file
        and item.get_closest_marker("story")
        and not any(mark.name == "soak" for mark in item.own_markers)
    }


class Soak:
    """Chooses the cases of a run; where the run is watched, tells of them and keeps the record of the soak."""

    def __init__(self, config: pytest.Config, record: Record, commit: str) -> None:
        self._config = config
        self._watched = not hasattr(config, "workerinput")  # that of pytest-xdist's processes is their parent's
        self._record = record
        self._commit = commit
        self._before = record.cases()
        self._ran: list[Case] = []
        self._left: set[str] = set()
        self._seconds: dict[str, float] = defaultdict(float)
        self._called: set[str] = set()
        self._why: dict[str, str] = {}
        self._processes = 1

    def pytest_report_header(self) -> str:
        return f"soak: {self._record.path}, {len(passed(self._before))} cases have passed"

    @pytest.hookimpl(trylast=True)  # what -k and -m left
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        left = {item.nodeid for item in items if item.get_closest_marker("soak")} - passed(self._before)
        chosen = left.union(*(_story_of(file, items) for file in set(map(_file, left))))
        config.hook.pytest_deselected(items=[item for item in items if item.nodeid not in chosen])
        items[:] = [item for item in items if item.nodeid in chosen]
        self._left = chosen

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_setupnodes(self, specs: Sequence[object]) -> None:
        self._processes = len(specs)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: Sequence[str]) -> None:
        self._left = set(ids)

    @pytest.hookimpl(trylast=True)  # after the line of the test itself
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if not self._watched:
            return
        case = report.nodeid
        self._seconds[case] += report.duration
        if report.failed:
            crash = getattr(report.longrepr, "reprcrash", None)
            reason = " ".join((crash.message if crash else report.longreprtext).split())
            self._why.setdefault(case, f"{report.when}: {reason}"[:4000])
        if report.when == "call" and report.passed:
            self._called.add(case)
        if report.when == "teardown" and (case in self._called or case in self._why):
            self._end(case)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self._ran:
            terminalreporter.section(f"soak: {self._told()}")
        for each in sorted(self._ran, key=lambda case: case.case):
            terminalreporter.write_line(f"{each.seconds:7.1f} s  {each.outcome}  {each.case}")

    def _end(self, case: str) -> None:
        why = self._why.get(case, "")
        ended = Case(case, self._commit, "failed" if why else "passed", round(self._seconds[case], 1), why)
        self._ran.append(ended)
        self._left.discard(case)
        self._record.add(ended)
        if reporter := self._config.pluginmanager.get_plugin("terminalreporter"):
            reporter.ensure_newline()
            reporter.write_line(f"  soak: {self._told()}")

    def _told(self) -> str:
        """How far the soak is."""
        so_far = [*self._before, *self._ran]
        failed = [each for each in self._ran if each.outcome == "failed"]
        minutes = remaining_seconds(self._left, so_far) / self._processes / 60
        return f"{len(passed(so_far))} passed, {len(failed)} failed, {len(self._left)} left: about {minutes:.0f} min"


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=CHECKOUT, capture_output=True, text=True, check=False)
    return done.stdout.strip()


def register(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "soak: not part of `make test`, only of `make soak`")
    config.addinivalue_line("markers", "story: the cases of this file follow each other")
    if name := os.environ.get("SOAK"):
        soak = Soak(config, Record.of(name), _git("rev-parse", "--short=12", "HEAD"))
        config.pluginmanager.register(soak, "soak")
