# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The list of planted defects is of this tree: each can be put into its file, and its tests are there."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.azureops.pod_identity.tests.defects.planted import Defect, listed

LIST = """
# A comment.
= a.py tests/test_a.py tests
- limit = 1
+ limit = 2

-     return (
-
-         None
+

= b.yml tests/test_a.py::test_limit
- when: true
+ when: false
"""


def test_each_can_be_planted() -> None:
    found = listed()

    assert [f"{each.label}: {each.problem()}" for each in found if each.problem()] == []
    assert len({each.key for each in found}) == len(found) == 200


def test_the_list_is_read(tmp_path: Path) -> None:
    (tmp_path / "list").write_text(LIST)

    assert listed(tmp_path / "list") == [
        Defect("a.py", "limit = 1", "limit = 2", ("tests/test_a.py", "tests")),
        Defect("a.py", "    return (\n\n        None", "", ("tests/test_a.py", "tests")),
        Defect("b.yml", "when: true", "when: false", ("tests/test_a.py::test_limit",)),
    ]


@pytest.mark.parametrize(
    ("old", "new", "test", "problem"),
    [
        ("limit = 1", "limit = 2", "tests/test_a.py::test_limit", ""),
        ("limit = 1", "limit = 2", "tests", ""),
        ("limit = 3", "limit = 2", "tests", "0 times in the file, not once"),
        ("limit", "most", "tests", "2 times in the file, not once"),
        ("limit = 1", "limit  =  1", "tests", "changes nothing"),
        ("limit = 1", "limit = (", "tests", "'(' was never closed (<unknown>, line 1)"),
        ("limit = 1", "limit = 2", "tests/test_b.py", "no such test: tests/test_b.py"),
        ("limit = 1", "limit = 2", "tests/test_a.py::test_b", "no such test: tests/test_a.py::test_b"),
    ],
)
def test_what_is_no_defect_is_told(tmp_path: Path, old: str, new: str, test: str, problem: str) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests/test_a.py").write_text("def test_limit(): ...\n")
    (tmp_path / "a.py").write_text("limit = 1  # old\nprint(limit)\n")

    assert Defect("a.py", old, new, (test,)).problem(tmp_path) == problem
