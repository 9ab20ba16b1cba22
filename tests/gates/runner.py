# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs commands for the steps, counts what passed, and says so as it goes."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from xml.etree import ElementTree

from . import environments
from .stage import CHECKOUT, stage

LOGS = CHECKOUT / ".build" / "test"
TAIL = 80
HEARTBEAT = 60.0


@dataclass(frozen=True)
class Counts:
    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.passed + other.passed, self.failed + other.failed, self.skipped + other.skipped)

    def __str__(self) -> str:
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"


@dataclass
class Runner:
    """What the steps share: counts so far, where logs go, and the staged copy of the tree."""

    counts: Counts = Counts()
    not_run: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    log: Path = LOGS / "log"
    _root: Path | None = None
    _stopped: threading.Event = field(default_factory=threading.Event)

    def side_by_side(self, jobs: Sequence[Callable[[Runner], object]]) -> None:
        """Run jobs that do not disturb each other, one per processor, each with a runner of its own."""
        runners = [replace(self, _root=self.root, counts=Counts(), not_run=[], failures=[]) for _job in jobs]
        with ThreadPoolExecutor(os.cpu_count()) as pool, self._stop_when_interrupted():
            results = [pool.submit(job, run) for job, run in zip(jobs, runners, strict=True)]
            for result in results:
                result.result()
        for run in runners:
            self.counts += run.counts
            self.not_run += run.not_run
            self.failures += run.failures

    @contextmanager
    def _stop_when_interrupted(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self._stopped.set()
            raise

    @property
    def root(self) -> Path:
        """The folder that holds ``ansible_collections``; copied anew once per run."""
        if self._root is None:
            self._root = stage()
        return self._root

    @property
    def collection(self) -> Path:
        return self.root / "ansible_collections/azureops/pod_identity"

    def gate(
        self,
        name: str,
        argv: Sequence[object],
        *,
        cwd: Path = CHECKOUT,
        env: Mapping[str, str] | None = None,
        limit: float = 1200,
    ) -> bool:
        """One check: a command that succeeds or not."""
        self._begin(name)
        started = time.monotonic()
        status = self._run(argv, cwd, env or {}, limit)
        if status != 0:
            self.failures.append(f"{name}: exit status {status}")
        self._end(name, Counts(passed=1) if status == 0 else Counts(failed=1), started)
        return status == 0

    def pytest(
        self,
        name: str,
        python: Path,
        paths: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        limit: float = 3600,
    ) -> bool:
        """A pytest run; every test counts for itself, and so does a pytest that could not do its work."""
        self._begin(name)
        started = time.monotonic()
        report = self.log.with_suffix(".xml")
        report.unlink(missing_ok=True)
        argv = [python, "-m", "pytest", "-v", "-ra", "--color=no", f"--junitxml={report}", *paths]
        status = self._run(argv, CHECKOUT, env or {}, limit)
        counts = read_junit(report) if report.exists() else Counts()
        if status != 0 and counts.failed == 0:
            counts += Counts(failed=1)
            self.failures.append(f"{name}: pytest ended with exit status {status}")
        if report.exists():
            self.not_run += [f"{name}: {reason}" for reason in skip_reasons(report)]
            self.failures += [f"{name}: {failure}" for failure in failed_tests(report)]
        self._end(name, counts, started)
        return counts.failed == 0

    def skip(self, name: str, reason: str) -> None:
        self.counts += Counts(skipped=1)
        self.not_run.append(f"{name}: {reason}")
        print(f"  {name:<28} not run: {reason}", flush=True)

    def fail(self, name: str, reason: str) -> None:
        self.counts += Counts(failed=1)
        self.failures.append(f"{name}: {reason}")
        print(f"  {name:<28} FAILED: {reason}", flush=True)

    def environment(self, name: str, python: Path) -> Path:
        """The ``bin`` of an environment; raises RuntimeError where it cannot be made."""
        self.log = LOGS / f"environment-{name}.log"
        LOGS.mkdir(parents=True, exist_ok=True)
        self.log.write_text("")
        try:
            return environments.environment(name, python, lambda argv: self._run(argv, CHECKOUT, {}, 1800) == 0)
        except RuntimeError:
            print("\n".join(self._tail()), flush=True)
            raise

    def _begin(self, name: str) -> None:
        LOGS.mkdir(parents=True, exist_ok=True)
        self.log = LOGS / f"{name}.log"
        self.log.write_text("")

    def _end(self, name: str, counts: Counts, started: float) -> None:
        self.counts += counts
        verdict = "FAILED" if counts.failed else "ok"
        tests = f" ({counts})" if counts not in (Counts(1), Counts(0, 1)) else ""
        line = f"  {name:<28} {time.monotonic() - started:6.1f} s  {verdict}{tests}"
        print("\n".join([line, *(self._tail() if counts.failed else ())]), flush=True)

    def _tail(self) -> list[str]:
        lines = self.log.read_text(errors="replace").splitlines()
        shown = [f"      | {line}" for line in lines[-TAIL:]]
        return [*shown, f"      all {len(lines)} lines: {os.path.relpath(self.log)}"]

    def _run(self, argv: Sequence[object], cwd: Path, env: Mapping[str, str], limit: float) -> int:
        """Exit status of ``argv``, its output appended to the log; whatever it leaves running is ended."""
        started = time.monotonic()
        with self.log.open("a") as log:
            log.write(f"$ {' '.join(map(str, argv))}\n")
            log.flush()
            process = subprocess.Popen(
                [str(word) for word in argv],
                cwd=cwd,
                env={**os.environ, **env},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                told = started
                while not self._stopped.is_set():
                    try:
                        return process.wait(min(HEARTBEAT, 1))
                    except subprocess.TimeoutExpired:
                        now = time.monotonic()
                        if now - told >= HEARTBEAT:
                            told = now
                            print(f"    ... {now - started:5.0f} s  {self._last_line()}", flush=True)
                        if now - started > limit:
                            log.write(f"ended after {limit:.0f} s\n")
                            return 124
                return 143
            finally:
                _end_group(process)

    def _last_line(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines()
        return lines[-1][:80] if lines else ""


def read_junit(report: Path) -> Counts:
    counts = Counts()
    for suite in ElementTree.parse(report).getroot().iter("testsuite"):
        number = {key: int(suite.get(key, "0")) for key in ("tests", "failures", "errors", "skipped")}
        failed = number["failures"] + number["errors"]
        counts += Counts(number["tests"] - failed - number["skipped"], failed, number["skipped"])
    return counts


def skip_reasons(report: Path) -> list[str]:
    """Why tests were skipped, each reason once."""
    found = ElementTree.parse(report).getroot().iter("skipped")
    return sorted({skipped.get("message", "without a reason") for skipped in found})


def failed_tests(report: Path) -> list[str]:
    """The tests that failed, each with the first line of why."""
    return [
        f"{case.get('classname', '').rpartition('.')[2]}::{case.get('name')}: "
        + (problem.get("message") or "no message").partition("\n")[0][:200]
        for case in ElementTree.parse(report).getroot().iter("testcase")
        for problem in (*case.iter("failure"), *case.iter("error"))
    ]


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """Ask the command's process group to end, then make it."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            return
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            continue
