# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The long cases of tests: `make soak` runs every one, any other run a sample of them.

`@pytest.mark.soak` on a test: a run takes a tenth of its cases, so that ten commits run each once, which is for cases
of less than a minute. With `@pytest.mark.soak(sample=2)` a run takes two: where cases take longer, or there are so many
that a tenth of them takes too long. Tests of one level with one `group` share a sample, as if they were cases of one
test. The number of commits decides which cases a run takes, or SAMPLE.

A file with `pytestmark = pytest.mark.story(minutes=5)` is long as a whole: a run takes a fifth of the stories of a
level, so that five commits run each once; by the minutes, which are about what it takes, all fifths are equally long.
On a slow machine SAMPLE_MINUTES ends the sample: after so many minutes no further case of it begins, and what did not
begin is skipped with that reason.

SOAK=NAME runs the cases that have not passed in the soak of that name, at whatever commit. Its record is a file of JSON
lines, NAME.jsonl, one for each case that ran: `case`, `commit`, `outcome` (passed or failed), `seconds` and `why`.
Cases of a story that are not marked one by one follow each other: they run again with each case that is left of it.

With MODULES_IN_FORKS a soak takes every case that has no `sample`, marked or not: what has one is in general a play,
which chooses for itself how modules run. Where it is none, `@pytest.mark.soak(sample=2, forks=True)` says so.
"""

from __future__ import annotations

import json
import math
import os
import statistics
import subprocess
import time
import zlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[1]
RECORDS = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "azureops-pod-identity/soak"
IN_FORKS = bool(os.environ.get("MODULES_IN_FORKS"))
SHARE = 10
"""A run takes one in so many of the cases whose marker names no sample."""
STORIES = 5
"""A run takes one in so many shares of the files that are long as a whole."""
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


def sampled(cases: Sequence[str], size: int, turn: int) -> set[str]:
    """The cases whose turn it is: `size` of them, the next ones at the next turn, until each had its turn."""
    return one_in(math.ceil(len(cases) / size), cases, turn) if size else set()


def one_in(turns: int, cases: Iterable[str], turn: int) -> set[str]:
    """The cases whose turn it is: each has one of so many turns."""
    return {case for place, case in enumerate(sorted(cases, key=_shuffled)) if place % turns == turn % turns}


def shares(minutes: Mapping[str, float], number: int) -> list[set[str]]:
    """The files in so many shares that take about equally long: the longest first, each to what is the shortest."""
    made: list[set[str]] = [set() for _share in range(number)]
    for file in sorted(minutes, key=lambda each: (-minutes[each], each)):
        min(made, key=lambda share: sum(minutes[each] for each in share)).add(file)
    return made


def minutes_of_story(item: pytest.Item) -> float:
    """How long the story takes that an item is of; 0 where it is of none."""
    marker = item.get_closest_marker("story")
    return float(marker.kwargs["minutes"]) if marker else 0


def _shuffled(case: str) -> tuple[int, str]:
    """Neighbors are alike; in this order they lie apart."""
    return zlib.crc32(case.encode()), case


def _test(case: str) -> str:
    return case.partition("[")[0]


def _level(case: str) -> str:
    """The folder of a case or file: `tests/kube`."""
    return _file(case).rpartition("/")[0]


def _file(case: str) -> str:
    return case.partition("::")[0]


def _is_of_a_soak(item: pytest.Item) -> bool:
    marker = item.get_closest_marker("soak")
    if IN_FORKS:
        return marker is None or "sample" not in marker.kwargs or bool(marker.kwargs.get("forks"))
    return bool(marker or item.get_closest_marker("story"))


def _story_of(file: str, items: Iterable[pytest.Item]) -> set[str]:
    """The cases of a file that follow each other."""
    return {
        item.nodeid
        for item in items
        if _file(item.nodeid) == file and item.get_closest_marker("story") and not item.get_closest_marker("soak")
    }


@dataclass(frozen=True)
class Deadline:
    """When a run begins no further case of its sample."""

    minutes: float
    at: float
    """Seconds since the epoch."""

    @classmethod
    def of_this_run(cls) -> Deadline | None:
        """Processes of pytest-xdist begin later than the run: they take its beginning from their parent."""
        began = float(os.environ.setdefault("SAMPLE_BEGAN", str(time.time())))
        minutes = os.environ.get("SAMPLE_MINUTES")
        return cls(float(minutes), began + float(minutes) * 60) if minutes else None


class Soak:
    """Chooses the cases of a run; where the run is watched, tells of them and keeps the record of a soak."""

    def __init__(self, config: pytest.Config, record: Record | None, turn: int, commit: str) -> None:
        self._config = config
        self._watched = not hasattr(config, "workerinput")  # that of pytest-xdist's processes is their parent's
        self._record = record
        self._turn = turn
        self._commit = commit
        self._before = record.cases() if record else []
        self._ran: list[Case] = []
        self._left: set[str] = set()
        self._seconds: dict[str, float] = defaultdict(float)
        self._called: set[str] = set()
        self._why: dict[str, str] = {}
        self._processes = 1
        self._deadline = None if record else Deadline.of_this_run()

    def pytest_report_header(self) -> str:
        if self._record:
            return f"soak: {self._record.path}, {len(passed(self._before))} cases have passed"
        return f"soak: sample {self._turn}; SAMPLE={self._turn} takes the same again"

    @pytest.hookimpl(trylast=True)  # what -k and -m left
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        chosen = self._not_passed(items) if self._record else self._sample(items)
        config.hook.pytest_deselected(items=[item for item in items if item.nodeid not in chosen])
        items[:] = [item for item in items if item.nodeid in chosen]
        self._left = chosen

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_setupnodes(self, specs: Sequence[object]) -> None:
        self._processes = len(specs)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: Sequence[str]) -> None:
        self._left = set(ids)

    @pytest.hookimpl(tryfirst=True)  # before fixtures that take long
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        if self._deadline and item.get_closest_marker("soak") and time.time() > self._deadline.at:
            pytest.skip(
                f"a case of the sample whose turn came after the {self._deadline.minutes:g} minutes of its level"
            )

    @pytest.hookimpl(trylast=True)  # after the line of the test itself
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if not self._watched or not (IN_FORKS or {"soak", "story"} & set(report.keywords)):
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
            terminalreporter.section(f"soak: {self._told()}" if self._record else f"soak: sample {self._turn}")
        for each in sorted(self._ran, key=lambda case: case.case):
            terminalreporter.write_line(f"{each.seconds:7.1f} s  {each.outcome}  {each.case}")

    def _end(self, case: str) -> None:
        why = self._why.get(case, "")
        ended = Case(case, self._commit, "failed" if why else "passed", round(self._seconds[case], 1), why)
        self._ran.append(ended)
        self._left.discard(case)
        if self._record:
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

    def _sample(self, items: Sequence[pytest.Item]) -> set[str]:
        chosen = set()
        tests: dict[tuple[str, int | None], list[str]] = defaultdict(list)
        others = self._stories_of_other_runs(items)
        for item in items:
            if _file(item.nodeid) in others:
                continue
            if marker := item.get_closest_marker("soak"):
                group = marker.kwargs.get("group")
                test = f"{_level(item.nodeid)} {group}" if group else _test(item.nodeid)
                tests[test, marker.kwargs.get("sample")].append(item.nodeid)
            else:
                chosen.add(item.nodeid)
        for (_name, size), cases in tests.items():
            chosen |= sampled(cases, math.ceil(len(cases) / SHARE) if size is None else size, self._turn)
        return chosen

    def _stories_of_other_runs(self, items: Sequence[pytest.Item]) -> set[str]:
        """None that the command line names."""
        folder = self._config.invocation_params.dir
        named = {(folder / argument.partition("::")[0]).resolve() for argument in self._config.args}
        stories: dict[str, dict[str, float]] = defaultdict(dict)
        for item in items:
            if (minutes := minutes_of_story(item)) and item.path not in named:
                stories[_level(item.nodeid)][_file(item.nodeid)] = minutes
        return {
            file for files in stories.values() for file in files.keys() - shares(files, STORIES)[self._turn % STORIES]
        }

    def _not_passed(self, items: Sequence[pytest.Item]) -> set[str]:
        left = {item.nodeid for item in items if _is_of_a_soak(item)} - passed(self._before)
        return left.union(*(_story_of(file, items) for file in set(map(_file, left))))


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=CHECKOUT, capture_output=True, text=True, check=False)
    return done.stdout.strip()


def register(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "soak(sample, group, forks): long; outside of `make soak` only a sample of the cases runs"
    )
    config.addinivalue_line(
        "markers", "story(minutes): a file that is long as a whole; outside of `make soak` a fifth of them runs"
    )
    name = os.environ.get("SOAK")
    record = Record.of(name) if name else None
    turn = int(os.environ.get("SAMPLE") or _git("rev-list", "--count", "HEAD") or 0)
    config.pluginmanager.register(Soak(config, record, turn, _git("rev-parse", "--short=12", "HEAD")), "soak")
