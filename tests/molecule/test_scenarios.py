# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The scenarios of Molecule, each in a sandbox of its own, so that they can run side by side."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from sandboxes import Sandbox

# As in the session `molecule`: Molecule and Ansible want a collection where collections are.
COLLECTION = (
    Path(os.environ["ANSIBLE_COLLECTIONS_PATH"].partition(":")[0]) / "ansible_collections/azureops/pod_identity"
)
NODES_ALONE = ["imds_node_cleanup"]
SCENARIOS = sorted(path.parent.name for path in (COLLECTION / "extensions/molecule").glob("*/converge.yml"))


def run(scenario: str, home: Path) -> None:
    place = scenario.replace("_", "-")[:20].rstrip("-")  # a sandbox has a name of 32 letters at most
    sandbox = Sandbox(f"{place}-{os.getpid()}")
    try:
        done = subprocess.run(
            [Path(sys.executable).with_name("molecule"), "test", "--scenario-name", scenario],
            cwd=COLLECTION,
            # Below its home Molecule keeps what belongs to a scenario, under a name that is the same everywhere.
            env={**os.environ, "SANDBOX_NAME": sandbox.name, "ANSIBLE_HOME": str(home)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=1800,
        )
    finally:
        sandbox.run("down", check=False)
    assert done.returncode == 0, done.stdout[-8000:]


@pytest.mark.parametrize("scenario", NODES_ALONE)
def test_scenario_with_nodes_alone(scenario: str, tmp_path: Path) -> None:
    run(scenario, tmp_path)


@pytest.mark.soak
@pytest.mark.parametrize("scenario", [scenario for scenario in SCENARIOS if scenario not in NODES_ALONE])
def test_scenario_with_a_cluster(scenario: str, tmp_path: Path) -> None:
    run(scenario, tmp_path)
