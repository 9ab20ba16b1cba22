# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs commands for the steps, counts what passed, and says so as it goes."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
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
    log: Path = LOGS / "log"
    _root: Path | None = None

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
        for reason in skip_reasons(report) if report.exists() else ():
            self.not_run.append(f"{name}: {reason}")
        self._end(name, counts, started)
        return counts.failed == 0

    def skip(self, name: str, reason: str) -> None:
        self.counts += Counts(skipped=1)
        self.not_run.append(f"{name}: {reason}")
        print(f"  {name:<28} not run: {reason}", flush=True)

    def fail(self, name: str, reason: str) -> None:
        self.counts += Counts(failed=1)
        print(f"  {name:<28} FAILED: {reason}", flush=True)

    def environment(self, name: str, python: Path) -> Path:
        """The ``bin`` of an environment; raises RuntimeError where it cannot be made."""
        self.log = LOGS / f"environment-{name}.log"
        LOGS.mkdir(parents=True, exist_ok=True)
        self.log.write_text("")
        try:
            return environments.environment(name, python, lambda argv: self._run(argv, CHECKOUT, {}, 1800) == 0)
        except RuntimeError:
            self._show_tail()
            raise

    def _begin(self, name: str) -> None:
        LOGS.mkdir(parents=True, exist_ok=True)
        self.log = LOGS / f"{name}.log"
        self.log.write_text("")

    def _end(self, name: str, counts: Counts, started: float) -> None:
        self.counts += counts
        verdict = "FAILED" if counts.failed else "ok"
        tests = f" ({counts})" if counts not in (Counts(1), Counts(0, 1)) else ""
        print(f"  {name:<28} {time.monotonic() - started:6.1f} s  {verdict}{tests}", flush=True)
        if counts.failed:
            self._show_tail()

    def _show_tail(self) -> None:
        lines = self.log.read_text(errors="replace").splitlines()
        for line in lines[-TAIL:]:
            print(f"      | {line}")
        print(f"      all {len(lines)} lines: {os.path.relpath(self.log)}", flush=True)

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
                while True:
                    try:
                        return process.wait(HEARTBEAT)
                    except subprocess.TimeoutExpired:
                        elapsed = time.monotonic() - started
                        print(f"    ... {elapsed:5.0f} s  {self._last_line()}", flush=True)
                        if elapsed > limit:
                            log.write(f"ended after {limit:.0f} s\n")
                            return 124
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
