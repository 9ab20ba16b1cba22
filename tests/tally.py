# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""`python tests/tally.py REPORT...`: what sessions of nox did, what each took beside its budget, and the count.

REPORT is what `nox --report` has written. Beside it lie reports of pytest, <session>.xml, and the seconds of processor
that each session took, <session>.processor. A session without a report counts as one check. Budgets are in
pyproject.toml, in seconds of processor: the machine's speed and load say little about them.
"""

from __future__ import annotations

import json
import re
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

PROJECT = Path(__file__).resolve().parents[1] / "pyproject.toml"


@dataclass(frozen=True)
class Counts:
    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.passed + other.passed, self.failed + other.failed, self.skipped + other.skipped)

    def __str__(self) -> str:
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"


@dataclass(frozen=True)
class Session:
    """What became of a session of nox."""

    name: str
    seconds: float
    counts: Counts
    failures: tuple[str, ...] = ()
    not_run: tuple[str, ...] = ()
    processor: float = 0


def session(entry: dict[str, object], folder: Path) -> Session:
    """One entry of a report of nox, with the report of its pytest."""
    signatures = entry.get("signatures")  # the first has the parameters, which the name has not
    name = str(signatures[0] if isinstance(signatures, list) else entry["name"])
    result, seconds = entry["result"], float(str(entry["duration"]))
    used = folder / f"{name}.processor"
    processor = float(used.read_text()) if used.exists() else 0
    reason = str(entry["reason"] or f"the session {result}; see its output above")
    report = folder / f"{name}.xml"
    if result == "skipped":
        return Session(name, seconds, Counts(skipped=1), not_run=(reason,), processor=processor)
    if not report.exists():
        if result == "success":
            return Session(name, seconds, Counts(1), processor=processor)
        return Session(name, seconds, Counts(0, 1), (reason,), processor=processor)
    cases = list(ElementTree.parse(report).getroot().iter("testcase"))
    failures = tuple(f"{_name(case)}: {problem}" for case in cases for problem in _problems(case))
    skipped = tuple(str(each.get("message")) for case in cases for each in case.iter("skipped"))
    failed = sum(1 for case in cases if _problems(case))
    counts = Counts(len(cases) - failed - len(skipped), failed, len(skipped))
    if result != "success" and not failed:  # a pytest that could not do its work
        counts, failures = counts + Counts(failed=1), (reason,)
    return Session(name, seconds, counts, failures, tuple(sorted(set(skipped))), processor)


def table(sessions: list[Session], budgets: dict[str, float]) -> list[str]:
    """Return a line for each session (minutes, seconds of processor, budget, counts), and the sums.

    A budget is for one session: for each lane where there are several.
    """
    lines = [f"{'session':<24} {'minutes':>7} {'processor':>9} {'budget':>6}"]
    whole = 0.0
    for each in sessions:
        budget = budgets.get(each.name.partition("(")[0])
        whole += budget or 0
        verdict = "over its budget" if budget is not None and each.processor > budget else ""
        shown = "" if budget is None else f"{budget:g}"
        line = f"{each.name:<24} {each.seconds / 60:7.1f} {each.processor:9.0f} {shown:>6}  {each.counts}  {verdict}"
        lines.append(line.rstrip())
    lines.append(f"{'sum':<24} {'':>7} {sum(each.processor for each in sessions):9.0f} {whole:6g}")
    return lines


def _name(case: ElementTree.Element) -> str:
    return f"{case.get('classname', '').rpartition('.')[2]}::{case.get('name')}"


def _problems(case: ElementTree.Element) -> list[str]:
    """Return the place and the first line of each failure and error of a case."""
    found = (*case.iter("failure"), *case.iter("error"))
    return [_place(each) + (each.get("message") or "no message").partition("\n")[0][:200] for each in found]


def _place(problem: ElementTree.Element) -> str:
    """Return where pytest says that it was raised, as ``file:line: ``, or nothing."""
    places = re.findall(r"^(\S+:\d+: )\w", problem.text or "", re.MULTILINE)
    return str(places[-1]) if places else ""


def main(reports: list[Path]) -> int:
    sessions: list[Session] = []
    for report in reports:
        if report.exists():
            sessions += [session(entry, report.parent) for entry in json.loads(report.read_text())["sessions"]]
        else:
            sessions.append(Session(report.stem, 0, Counts(failed=1), ("nox ended without a report",)))
    budgets = tomllib.loads(PROJECT.read_text())["tool"]["tests"]["processor"]
    print("", *table(sessions, budgets), sep="\n")
    for title, lines in (
        ("not run", [f"{each.name}: {reason}" for each in sessions for reason in each.not_run]),
        ("failed", [f"{each.name}: {failure}" for each in sessions for failure in each.failures]),
    ):
        if lines:
            print(f"\n{title}:", *lines, sep="\n  ")
    counts = sum((each.counts for each in sessions), Counts())
    print(f"\n{counts}", flush=True)
    return 1 if counts.failed or not counts.passed else 0


if __name__ == "__main__":
    sys.exit(main([Path(each) for each in sys.argv[1:]]))
