# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A release is made of what is pinned."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

CHECKOUT = Path(__file__).resolve().parents[3]
RELEASE = "tests/requirements/release/requirements"
ACTIONS = sorted(file for file in (CHECKOUT / ".github").rglob("*.yml") if "uses: " in file.read_text())


@pytest.mark.parametrize("file", ACTIONS, ids=lambda file: file.name)
def test_each_action_is_pinned_by_its_commit(file: Path) -> None:
    used = re.findall(r"^\s*(?:- )?uses: (\S+)(.*)$", file.read_text(), re.MULTILINE)
    for action, comment in used:
        pinned = re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", action) and re.fullmatch(r" # v[\d.]+", comment)
        assert pinned or action.startswith("./"), action


def test_each_package_of_a_release_is_pinned_by_its_hash() -> None:
    """And those that checks use as well are the same."""
    locked = (CHECKOUT / f"{RELEASE}.txt").read_text()
    packages = re.findall(
        r"^([\w.-]+)==(\S+) \\\n((?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)", locked, re.MULTILINE
    )
    names = re.findall(r"^[\w.-]+(?===)", locked, re.MULTILINE)
    assert names and [name for name, _version, _hashes in packages] == names
    versions = {name: version for name, version, _hashes in packages}
    checkers = (CHECKOUT / "tests/requirements/checkers.txt").read_text()
    assert f"antsibull-changelog=={versions['antsibull-changelog']}" in checkers.splitlines()
    assert re.search(r"^ansible-core~=(\d+\.\d+)\.0$", (CHECKOUT / f"{RELEASE}.in").read_text(), re.MULTILINE)


def test_a_release_installs_nothing_that_is_not_pinned() -> None:
    """But for the bill of materials, which looks at what there is and installs nothing."""
    jobs = yaml.safe_load((CHECKOUT / ".github/workflows/release.yml").read_text())["jobs"]
    steps = [" ".join(step.get("run", "").split()) for job in jobs.values() for step in job.get("steps", [])]
    pinned = f"--require-hashes --only-binary=:all: --requirement {RELEASE}.txt"
    installing = [arguments for step in steps for arguments in step.split("pip install ")[1:]]
    assert [each for each in installing if not each.startswith("--dry-run ")] == [pinned, pinned]
