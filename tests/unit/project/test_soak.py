# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A run takes its sample of the long cases, and a soak takes all of them and goes on where it was ended."""

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
@pytest.mark.soak(sample=3)
@pytest.mark.parametrize("number", range(20))
def test_long(number):
    assert str(number) != os.environ.get("BROKEN"), "why it fails"
def test_short():
    pass
@pytest.mark.soak
@pytest.mark.parametrize("number", range(25))
def test_less_than_a_minute(number):
    pass
@pytest.mark.soak(sample=1, group="rare")
@pytest.mark.parametrize("number", range(2))
def test_rare(number):
    pass
@pytest.mark.soak(sample=1, group="rare")
def test_rarer():
    pass
@pytest.mark.soak(sample=0)
def test_rarest():
    pass
@pytest.mark.soak(sample=1)
def test_of_something_that_is_not_here():
    pytest.skip("it is not here")
"""
MANY = """
import pytest
@pytest.mark.soak(sample=2, forks=True)
@pytest.mark.parametrize("number", range(5))
def test_many(number):
    pass
"""
STORY = """
import pytest
pytestmark = pytest.mark.story(minutes=2)
def test_begin():
    pass
@pytest.mark.soak(sample=1)
@pytest.mark.parametrize("number", range(3))
def test_middle(number):
    pass
def test_end():
    pass
"""
LONG = 20 + 25 + 2 + 1 + 1
# Loading the plugins of others takes longer than these tests.
OWN = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_it.py").write_text(TESTS)
    return tmp_path


def run(folder: Path, *arguments: str, files: tuple[str, ...] = ("test_it.py",), **environment: str) -> str:
    """What pytest printed."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("SOAK", "SAMPLE", "PYTEST"))}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider", *arguments, *files],
        cwd=folder,
        env={**own, **OWN, "PYTHONPATH": str(Path(soak.__file__).parent), "SAMPLE": "1", **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (0, 1, 5), done.stdout + done.stderr
    return done.stdout


def ran(folder: Path, *arguments: str, files: tuple[str, ...] = ("test_it.py",), **environment: str) -> list[str]:
    """The tests that ran, in order."""
    said = run(folder, *arguments, files=files, **environment)
    return re.findall(r"^\S*::(\S+) (?:PASSED|FAILED)", said, re.MULTILINE)


def test_a_run_takes_a_sample_that_the_number_of_commits_decides(folder: Path) -> None:
    first = ran(folder)
    kinds = [name.partition("[")[0] for name in first]
    assert {kind: kinds.count(kind) for kind in kinds} == {
        "test_long": 3,
        "test_short": 1,
        "test_less_than_a_minute": 3,
        kinds[-1]: 1,
    }
    assert kinds[-1] in ("test_rare", "test_rarer")
    assert ran(folder) == first
    assert ran(folder, SAMPLE="2") != first


def test_ten_commits_run_each_case_of_less_than_a_minute(folder: Path) -> None:
    runs = [ran(folder, "-k", "less", SAMPLE=str(turn)) for turn in range(7, 17)]
    assert len({case for cases in runs for case in cases}) == 25
    assert max(map(len, runs)) == 3


def test_five_commits_run_each_story_once_and_whole(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(CONFTEST)
    files = ("test_a.py", "test_b.py", "test_c.py", "test_d.py", "test_e.py", "test_f.py")
    for file in files:
        (tmp_path / file).write_text(STORY)
    runs = [ran(tmp_path, SAMPLE=str(turn), files=(".",)) for turn in (1, 2, 3, 4, 5)]
    assert sorted(map(len, runs)) == [3, 3, 3, 3, 6]  # files with both of their ends and a case of their sample
    assert [len(ran(tmp_path, SAMPLE=str(turn), files=files[:1])) for turn in (1, 2)] == [3, 3]  # named
    assert len(ran(tmp_path, SOAK="one", files=files)) == 6 * 5
    assert ran(tmp_path, SOAK="one", files=files) == []


def test_shares_of_stories_take_about_equally_long() -> None:
    minutes = {"a": 7.0, "b": 6.0, "c": 5.0, "d": 4.0, "e": 3.0, "f": 2.0}
    assert soak.shares(minutes, 3) == [{"a", "f"}, {"b", "e"}, {"c", "d"}]
    assert soak.shares({"a": 1.0}, 2) == [{"a"}, set()]


def test_a_slow_machine_begins_no_further_case_of_the_sample(folder: Path) -> None:
    assert ran(folder, SAMPLE_MINUTES="0", SAMPLE_BEGAN="0") == ["test_short"]
    assert "a case of the sample whose turn came after the 5 minutes" in run(
        folder, "-rs", SAMPLE_MINUTES="5", SAMPLE_BEGAN="0"
    )
    assert len(ran(folder, SAMPLE_MINUTES="5")) == len(ran(folder))
    assert len(ran(folder, SAMPLE_MINUTES="0", SAMPLE_BEGAN="0", SOAK="one")) == LONG


def test_a_run_names_its_cases(folder: Path) -> None:
    said = run(folder, "-k", "rare or short").partition("soak: sample 1 =")[2]
    assert len(re.findall(r"0\.\d s  passed  test_it.py::test_rare", said)) == 1


def test_what_is_named_runs(folder: Path) -> None:
    assert [ran(folder, "-k", f"test_long[{number}]") for number in (7, 8)] == [["test_long[7]"], ["test_long[8]"]]


def test_a_soak_goes_on_behind_what_has_passed(folder: Path) -> None:
    assert len(ran(folder, SOAK="one", BROKEN="5")) == LONG
    assert ran(folder, SOAK="one") == ["test_long[5]"]
    assert ran(folder, SOAK="one") == []
    assert len(ran(folder, SOAK="two")) == LONG


def test_what_follows_each_other_runs_again_with_a_case_that_is_left(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_it.py").write_text(STORY.replace("    pass", "    assert __import__('os').environ['WHOLE']", 2))
    assert len(ran(tmp_path, "-k", "begin or 0 or 2 or end", SOAK="one", WHOLE="yes")) == 4
    assert ran(tmp_path, SOAK="one", WHOLE="") == ["test_begin", "test_middle[1]", "test_end"]
    assert ran(tmp_path, SOAK="one", WHOLE="yes") == ["test_begin", "test_middle[1]", "test_end"]
    assert ran(tmp_path, SOAK="one", WHOLE="yes") == []


def test_a_soak_with_modules_in_forks_takes_all_but_plays(folder: Path) -> None:
    assert len(ran(folder, SOAK="one", MODULES_IN_FORKS="1")) == 1 + 25
    assert ran(folder, SOAK="one", MODULES_IN_FORKS="1") == []


def test_what_is_no_play_is_part_of_the_soak_in_forks(folder: Path) -> None:
    (folder / "test_it.py").write_text(MANY)
    assert len(ran(folder, SOAK="one", MODULES_IN_FORKS="1")) == 5
    assert len(ran(folder)) == 2


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
