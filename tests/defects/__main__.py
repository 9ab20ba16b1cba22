# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``python -m tests.defects [--wide folder|level] [PART...]``: which planted defects the tests catch.

Each (PART: those of files with that in their path) is put into a copy of the checkout, where the tests that the list
names run: first those of every run, then the cases of a soak. ``--wide`` shows one that they miss to all tests of their
folders or levels. What fails with a defect must pass without it, else nothing is known. The record of the soak SOAK is
`~/.cache/azureops-pod-identity/soak/NAME-defects.jsonl`: the same command goes on, and tells what is caught.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from queue import SimpleQueue

from ..conftest import CHECKOUT  # comes first, because it makes the checkout importable under the collection's name
from ..soak import RECORDS
from ..stage import COLLECTION, stage
from .planted import Defect, listed
from .runs import pytest_in

CAUGHT, BY_SOAK, MISSED, UNSURE = "caught", "caught by the soak only", "missed", "unsure"
MARKS = {CAUGHT: "not soak and not story", BY_SOAK: "soak or story"}
_FAILED, _NONE = (1, 2), 5  # how pytest ends: a test failed or could not be collected; there was no test
_PROCESSES = 2
# Of a run of tests as a whole.
_NOT_PASSED_ON = ("SOAK", "SOAK_BYTES", "SAMPLE", "SAMPLE_MINUTES", "SAMPLE_BEGAN", "MODULES_IN_FORKS")


@dataclass(frozen=True)
class Outcome:
    """What became of one defect."""

    defect: str
    label: str
    commit: str
    outcome: str
    by: str = ""
    """The test that failed first."""
    sure: bool = False
    """Whether that test passes without the defect."""
    seconds: float = 0.0


class Copy:
    """A copy of the checkout, in which one defect at a time is put."""

    def __init__(self, root: Path) -> None:
        root.mkdir()
        self._root = stage(root=root)
        self._checkout = root / COLLECTION

    def judged(self, defect: Defect, wide: str | None) -> tuple[str, str]:
        """The outcome, and the test that caught it."""
        file = self._checkout / defect.file
        before, times = file.read_text(), file.stat()
        file.write_text(defect.planted(before))
        try:
            for paths in (defect.tests, _wider(defect.tests, wide)):
                for outcome, mark in MARKS.items():
                    if outcome == BY_SOAK and not self._marks(paths):
                        continue
                    status, by, said = self._run(paths, mark) if paths else (_NONE, "", "")
                    if status in _FAILED and by:
                        return outcome, by
                    if status not in (0, _NONE):
                        return UNSURE, f"pytest ended with {status}: {' '.join(said.split())[-300:]}"
            return MISSED, ""
        finally:
            file.write_text(before)
            os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))

    def fails(self, tests: Iterable[str], mark: str) -> set[str]:
        """Those that fail without a defect."""
        left, failed = set(tests), set()
        while left:
            status, by, said = self._run(sorted(left), mark)
            if status == 0:
                break
            wrong = {by} & left
            if not wrong:
                raise RuntimeError(f"pytest ended with {status}: {said}")
            failed |= wrong
            left -= wrong
        return failed

    def _marks(self, paths: Sequence[str]) -> bool:
        """Whether files of these tests have a case of a soak."""
        places = [self._checkout / path.partition("::")[0] for path in paths]
        files = [file for place in places for file in (place.rglob("test_*.py") if place.is_dir() else [place])]
        return any("mark.soak" in text or "mark.story" in text for text in (file.read_text() for file in files))

    def _run(self, paths: Sequence[str], mark: str) -> tuple[int, str, str]:
        soak = f"defects-{os.getpid()}-{threading.get_ident()}"
        environment = {
            "SHARED_RECORDINGS": str(CHECKOUT.parent / "shared/recordings"),
            **{name: value for name, value in os.environ.items() if name not in _NOT_PASSED_ON},
            "ANSIBLE_COLLECTIONS_PATH": f"{self._root}:{os.environ.get('ANSIBLE_COLLECTIONS_PATH', '')}",
            "PYTHONPYCACHEPREFIX": str(self._root / "compiled"),
            "COLUMNS": "1000",
            **({"SOAK": soak} if mark == MARKS[BY_SOAK] else {}),
        }
        try:
            return pytest_in(self._checkout, environment, *paths, "-m", mark)
        finally:
            (RECORDS / f"{soak}.jsonl").unlink(missing_ok=True)  # so that each run takes all cases


def _wider(tests: Sequence[str], wide: str | None) -> tuple[str, ...]:
    """The folders or levels of these tests; none without ``wide``."""
    files = [Path(test.partition("::")[0]) for test in tests]
    if wide == "level":
        return tuple(sorted({str(Path(*file.parts[:2])) for file in files}))
    return tuple(sorted({str(file.parent if file.suffix else file) for file in files})) if wide else ()


def recorded(file: Path) -> dict[str, Outcome]:
    """The last outcome of each defect."""
    lines = file.read_text().splitlines() if file.exists() else []
    return {each.defect: each for each in (Outcome(**json.loads(line)) for line in lines)}


def table(defects: Sequence[Defect], outcomes: Mapping[str, Outcome]) -> str:
    """How many were caught, and each that was not."""
    known = [outcomes[each.key] for each in defects if each.key in outcomes]
    counted = Counter(each.outcome for each in known)
    lines = [f"{outcome}: {counted[outcome]} of {len(defects)}" for outcome in (CAUGHT, BY_SOAK, MISSED, UNSURE)]
    for outcome in (BY_SOAK, MISSED, UNSURE):
        lines += [f"\n{outcome}:", *(f"  {each.label}  {each.by}" for each in known if each.outcome == outcome)]
    left = len(defects) - len(known)
    return "\n".join([*lines, *([f"\nnot run: {left}"] if left else [])])


class Defects:
    """The defects of one call, and the record."""

    def __init__(self, defects: Sequence[Defect], record: Path, wide: str | None) -> None:
        self._defects = defects
        self._record = record
        self._wide = wide
        self._lock = threading.Lock()
        head = ["git", "rev-parse", "--short=12", "HEAD"]
        self._commit = subprocess.run(head, cwd=CHECKOUT, capture_output=True, text=True, check=True).stdout.strip()

    def outcomes(self) -> dict[str, Outcome]:
        return recorded(self._record)

    def run(self) -> None:
        again = {UNSURE, MISSED} if self._wide else {UNSURE}
        done = {key for key, each in self.outcomes().items() if each.outcome not in again}
        left = [each for each in self._defects if each.key not in done]
        with tempfile.TemporaryDirectory(prefix="defects-") as folder, ThreadPoolExecutor(_PROCESSES) as pool:
            copies: SimpleQueue[Copy] = SimpleQueue()
            for number in range(_PROCESSES):
                copies.put(Copy(Path(folder, str(number))))
            judged = [pool.submit(self._judge, each, copies) for each in left]
            for number, future in enumerate(as_completed(judged), 1):
                one = future.result()
                print(f"{number}/{len(left)} {one.seconds:6.1f} s  {one.outcome}: {one.label}  {one.by}", flush=True)
            self._make_sure(copies.get())

    def _judge(self, defect: Defect, copies: SimpleQueue[Copy]) -> Outcome:
        copy, began = copies.get(), time.monotonic()
        try:
            outcome, by = copy.judged(defect, self._wide)
        finally:
            copies.put(copy)
        seconds = round(time.monotonic() - began, 1)
        return self._add(Outcome(defect.key, defect.label, self._commit, outcome, by, seconds=seconds))

    def _add(self, outcome: Outcome) -> Outcome:
        with self._lock, self._record.open("a") as file:
            file.write(json.dumps(asdict(outcome)) + "\n")
        return outcome

    def _make_sure(self, copy: Copy) -> None:
        """Run the tests that caught something without a defect, all of one kind in one run."""
        keys = {each.key for each in self._defects}
        caught = [each for key, each in self.outcomes().items() if key in keys and each.outcome in MARKS]
        for outcome, mark in MARKS.items():
            mine = [each for each in caught if each.outcome == outcome and not each.sure]
            wrong = copy.fails({each.by for each in mine}, mark)
            for each in mine:
                flawed = replace(each, outcome=UNSURE, by=f"{each.by} fails without the defect too")
                self._add(flawed if each.by in wrong else replace(each, sure=True))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.defects", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--wide", choices=("folder", "level"), help="what sees the defects that the named tests miss")
    parser.add_argument("parts", nargs="*", metavar="PART", help="a part of the path of a file")
    arguments = parser.parse_args()
    record = RECORDS / f"{os.environ.get('SOAK') or 'soak'}-defects.jsonl"
    record.parent.mkdir(parents=True, exist_ok=True)
    defects = [each for each in listed() if not arguments.parts or any(part in each.file for part in arguments.parts)]
    if problems := [f"{each.label}: {each.problem()}" for each in defects if each.problem()]:
        print("These are no defects of this tree:", *problems, sep="\n", file=sys.stderr)
        return 2
    run = Defects(defects, record, arguments.wide)
    run.run()
    print(f"\n{table(defects, run.outcomes())}")
    return 1 if any(run.outcomes()[each.key].outcome == UNSURE for each in defects) else 0


if __name__ == "__main__":
    sys.exit(main())
