# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A soak takes the cases that have its marker, and goes on where it was ended; any other run takes the others."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ansible_collections.azureops.pod_identity.tests import soak

CONFTEST = """
import pathlib, soak
soak.RECORDS = pathlib.Path(__file__).with_name("records")
pytest_configure = soak.register
"""
TESTS = """
import os, pytest
@pytest.mark.soak
@pytest.mark.parametrize("number", range(20))
def test_long(number):
    assert str(number) != os.environ.get("BROKEN"), "why it fails"
def test_short():
    pass
@pytest.mark.parametrize("number", [1, pytest.param(2, marks=pytest.mark.soak)])
def test_one_of_two(number):
    pass
@pytest.mark.soak
def test_of_something_that_is_not_here():
    pytest.skip("it is not here")
"""
STORY = """
import pytest
pytestmark = pytest.mark.story
def test_begin():
    pass
@pytest.mark.soak
@pytest.mark.parametrize("number", range(3))
def test_middle(number):
    pass
def test_end():
    pass
"""
LONG_STORY = STORY.replace("pytest.mark.story", "[pytest.mark.story, pytest.mark.soak]")
LONG = 20 + 1
# Loading the plugins of others takes longer than these tests.
OWN = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_it.py").write_text(TESTS)
    return tmp_path


def run(folder: Path, *arguments: str, **environment: str) -> str:
    """What pytest printed."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("SOAK", "PYTEST"))}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider", *arguments, "test_it.py"],
        cwd=folder,
        env={**own, **OWN, "PYTHONPATH": str(Path(soak.__file__).parent), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (0, 1, 5), done.stdout + done.stderr
    return done.stdout


def ran(folder: Path, *arguments: str, **environment: str) -> list[str]:
    """The tests that ran, in order."""
    return re.findall(r"^\S*::(\S+) (?:PASSED|FAILED)", run(folder, *arguments, **environment), re.MULTILINE)


def test_any_other_run_takes_what_has_no_marker(folder: Path) -> None:
    assert ran(folder, "-m", "not soak") == ["test_short", "test_one_of_two[1]"]
    assert len(ran(folder)) == LONG + 2  # -m decides, and nothing else does


def test_a_soak_goes_on_behind_what_has_passed(folder: Path) -> None:
    assert len(ran(folder, SOAK="one", BROKEN="5")) == LONG
    assert ran(folder, SOAK="one") == ["test_long[5]"]
    assert ran(folder, SOAK="one") == []
    assert len(ran(folder, SOAK="two")) == LONG


@pytest.mark.parametrize(("story", "of_soak"), [(STORY, 3), (LONG_STORY, 5)])
def test_what_follows_each_other_runs_again_with_a_case_that_is_left(tmp_path: Path, story: str, of_soak: int) -> None:
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_it.py").write_text(story.replace("    pass", "    assert __import__('os').environ['WHOLE']", 2))
    assert len(ran(tmp_path, "-k", "begin or 0 or 2 or end", SOAK="one", WHOLE="yes")) == 4
    assert ran(tmp_path, SOAK="one", WHOLE="") == ["test_begin", "test_middle[1]", "test_end"]
    assert ran(tmp_path, SOAK="one", WHOLE="yes") == ["test_begin", "test_middle[1]", "test_end"]
    assert ran(tmp_path, SOAK="one", WHOLE="yes") == []
    assert len(ran(tmp_path, "-m", "soak")) == of_soak


def test_the_record_tells_what_became_of_each_case(folder: Path) -> None:
    said = run(folder, "-p", "xdist", "-n2", SOAK="one", BROKEN="5")
    cases = [json.loads(line) for line in (folder / "records/one.jsonl").read_text().splitlines()]
    assert len(cases) == len({each["case"] for each in cases}) == LONG
    (failed,) = (each for each in cases if each["outcome"] != "passed")
    assert failed["case"] == "test_it.py::test_long[5]"
    assert (failed["outcome"], "why it fails" in failed["why"]) == ("failed", True)
    assert f"soak: {LONG - 1} passed, 1 failed, 1 left: about 0 min" in said  # the skipped one
    assert f"{LONG - 1} cases have passed" in run(folder, SOAK="one")


def test_what_is_left_is_estimated_by_its_like() -> None:
    seconds = {"a::x[1]": 10.0, "a::x[2]": 20.0, "a::y": 60.0, "b::z": 10.0}
    cases = [soak.Case(case, "", "passed", each) for case, each in seconds.items()]
    assert soak.remaining_seconds(["a::x[3]"], cases) == 15
    assert soak.remaining_seconds(["a::w"], cases) == 30
    assert soak.remaining_seconds(["c::v", "c::u"], cases) == 50
    assert soak.remaining_seconds(["c::v"], []) == soak.UNKNOWN_SECONDS
