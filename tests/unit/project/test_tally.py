# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The tally of a run counts each test and each check, and never takes what did not run for what passed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ansible_collections.azureops.pod_identity.tests import tally
from ansible_collections.azureops.pod_identity.tests.tally import Counts, Session

CASES = {
    "passes": '<testcase classname="a.test_it" name="test_a"/>',
    "fails": '<testcase classname="a.test_it" name="test_b"><failure message="assert False&#10;more">'
    "    assert False\ntests/test_it.py:7: AssertionError</failure></testcase>",
    "errs": '<testcase classname="a.test_it" name="test_c"><error message="collection failure"/></testcase>',
    "skips": '<testcase classname="a.test_it" name="test_d"><skipped message="why"/></testcase>',
}


@pytest.mark.parametrize(
    ("result", "cases", "expected"),
    [
        ("success", None, Session("it", 60, Counts(1))),
        ("failed", None, Session("it", 60, Counts(0, 1), ("the session failed; see its output above",))),
        ("aborted", None, Session("it", 60, Counts(0, 1), ("the session aborted; see its output above",))),
        ("skipped", None, Session("it", 60, Counts(0, 0, 1), (), ("the session skipped; see its output above",))),
        ("success", ["passes", "skips"], Session("it", 60, Counts(1, 0, 1), (), ("why",))),
        (
            "failed",
            ["passes", "fails", "errs"],
            Session(
                "it",
                60,
                Counts(1, 2),
                ("test_it::test_b: tests/test_it.py:7: assert False", "test_it::test_c: collection failure"),
            ),
        ),
        ("failed", ["passes"], Session("it", 60, Counts(1, 1), ("the session failed; see its output above",))),
        ("failed", [], Session("it", 60, Counts(0, 1), ("the session failed; see its output above",))),
    ],
)
def test_a_session_is_counted(tmp_path: Path, result: str, cases: list[str] | None, expected: Session) -> None:
    if cases is not None:
        body = "".join(CASES[case] for case in cases)
        (tmp_path / "it.xml").write_text(f"<testsuites><testsuite>{body}</testsuite></testsuites>")
    entry: dict[str, object] = {"name": "of", "signatures": ["it"], "result": result, "reason": None, "duration": 60.0}
    assert tally.session(entry, tmp_path) == expected


def test_a_session_tells_its_seconds_of_processor(tmp_path: Path) -> None:
    (tmp_path / "it.processor").write_text("12.5")
    entry: dict[str, object] = {"name": "it", "result": "success", "reason": None, "duration": 60.0}
    assert tally.session(entry, tmp_path).processor == 12.5


def test_a_session_over_its_budget_is_named() -> None:
    sessions = [
        Session("unit(2.19)", 90, Counts(7), processor=61),
        Session("wire", 30, Counts(2), processor=60),
        Session("other", 600, Counts(1)),
    ]
    assert tally.table(sessions, {"unit": 60, "wire": 60}) == [
        "session                  minutes processor budget",
        "unit(2.19)                   1.5        61     60  7 passed, 0 failed, 0 skipped  over its budget",
        "wire                         0.5        60     60  2 passed, 0 failed, 0 skipped",
        "other                       10.0         0         1 passed, 0 failed, 0 skipped",
        "sum                                    121    120",
    ]


def test_the_last_line_counts_all_and_what_is_missing_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = tmp_path / "static.json"
    entries = [{"name": name, "result": "success", "reason": None, "duration": 1.0} for name in ("ruff", "mypy")]
    report.write_text(json.dumps({"sessions": entries}))
    assert tally.main([report]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "2 passed, 0 failed, 0 skipped"
    assert tally.main([report, tmp_path / "levels.json"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "2 passed, 1 failed, 0 skipped"
    assert "  levels: nox ended without a report" in lines
    report.write_text(json.dumps({"sessions": []}))
    assert tally.main([report]) == 1
