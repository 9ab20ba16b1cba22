# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A run takes its sample of the long cases, and a soak takes all of them and goes on where it was ended."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ansible_collections.azureops.pod_identity.tests import soak

CONFTEST = """
import os, pathlib, soak
def pytest_configure(config):
    config.addinivalue_line("markers", "soak: long")
    everything = os.environ.get("SOAK") == "1"
    plugin = soak.Soak(os.environ["SEED"], everything, pathlib.Path(__file__).with_name("records"))
    config.pluginmanager.register(plugin)
"""
TESTS = """
import os, pytest
@pytest.mark.soak(sample=3)
@pytest.mark.parametrize("number", range(20))
def test_long(number):
    assert str(number) != os.environ.get("BROKEN")
def test_short():
    pass
@pytest.mark.soak(sample=1, group="rare")
@pytest.mark.parametrize("number", range(2))
def test_rare(number):
    pass
@pytest.mark.soak(sample=1, group="rare")
def test_rarer():
    pass
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_it.py").write_text(TESTS)
    return tmp_path


def ran(folder: Path, *arguments: str, **environment: str) -> list[str]:
    """The tests that ran, in order."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider", *arguments, "test_it.py"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(Path(soak.__file__).parent), "SOAK": "", "SEED": "1", **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (0, 1), done.stdout
    return re.findall(r"::(\S+) (?:PASSED|FAILED)", done.stdout)


def test_a_run_takes_a_sample_that_the_seed_decides(folder: Path) -> None:
    first = ran(folder)
    assert len(first) == 5 and "test_short" in first
    assert len([test for test in first if "rare" in test]) == 1
    assert ran(folder) == first
    assert len({tuple(ran(folder, SEED=seed)) for seed in "234"}) > 1


def test_what_is_named_runs(folder: Path) -> None:
    assert [ran(folder, "-k", f"test_long[{number}]") for number in (7, 8)] == [["test_long[7]"], ["test_long[8]"]]


def test_a_soak_goes_on_behind_what_has_passed(folder: Path) -> None:
    assert len(ran(folder, SOAK="1", BROKEN="5")) == 23
    assert ran(folder, SOAK="1") == ["test_long[5]"]
    assert len(ran(folder, SOAK="1")) == 23
    assert len(ran(folder, SOAK="1", SEED="2")) == 23
