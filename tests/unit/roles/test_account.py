# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a run tells of its changes, however it ends."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.tests.support.kill_modes import INTERRUPT, strike
from ansible_collections.azureops.pod_identity.tests.support.players import Player, finish

SESSION = "azureops.pod_identity.cluster_session"
BEGIN = {SESSION: {"state": "private_directory"}, "register": "pod_identity_session"}
END = {SESSION: {"state": "absent"}, "register": "pod_identity_session"}
REFUSED = {"azureops.pod_identity.role_plan": {"role": "pod_identity_restore", "part": "guard", "observed": {}}}
FAIL = {"ansible.builtin.fail": {"msg": "no"}}


def write(place: Path) -> dict[str, Any]:
    """A task that changes something, and needs no cluster for it."""
    arguments = {"target": f"{place}/report.html", "hosts": ["a"], "clusters": [{}], "formats": ["html"]}
    return {"name": "Write it", "azureops.pod_identity.cluster_report": arguments}


@pytest.mark.parametrize("arguments", [(), ("--check",)], ids=["run", "check"])
def test_a_failure_before_any_change_does_not_read_as_success(player: Player, arguments: tuple[str, ...]) -> None:
    status, output = player.play([BEGIN, {"block": [REFUSED], "always": [END]}], *arguments)
    assert status == 2, output
    assert "[localhost] A task failed, see above; before it nothing w" in output, output
    status, output = player.play([BEGIN, END], *arguments)
    assert (status, "[localhost] Nothing w" in output) == (0, True), output


@pytest.mark.parametrize(
    "failing",
    [
        *({"block": [task], "rescue": [{"ansible.builtin.debug": {}}]} for task in (REFUSED, FAIL)),
        {**REFUSED, "ignore_errors": True},
        {**REFUSED, "failed_when": False},
    ],
    ids=["rescued", "rescued of Ansible", "ignored", "no failure"],
)
def test_a_failure_that_ends_no_run_is_not_told(player: Player, failing: dict[str, Any]) -> None:
    status, output = player.play([BEGIN, {"block": [failing], "always": [END]}])
    assert (status, "[localhost] Nothing was changed in" in output) == (0, True), output


@pytest.mark.parametrize("serial", [1, 2])
def test_each_host_has_its_own_failure(player: Player, serial: int) -> None:
    """The task is Ansible's own, of which no file of the session knows."""
    tasks = [BEGIN, {"block": [{**FAIL, "when": "inventory_hostname == 'b'"}], "always": [END]}]
    play = {"hosts": "a,b", "connection": "local", "serial": serial, "tasks": tasks}
    status, output = player.play(play, "-i", "a,b,")
    assert status == 2, output
    assert "[a] Nothing was changed in" in output, output
    assert "[b] A task failed, see above; before it nothing was changed" in output, output


def test_a_run_that_ends_early_tells_what_it_changed(player: Player, tmp_path: Path) -> None:
    status, output = player.play([BEGIN, write(tmp_path), FAIL])
    assert status == 2, output
    assert "[localhost] The run ended early; what its last task had begun is not told. Before it:" in output, output
    assert "[localhost] 1 change in " in output
    (tmp_path / "more").mkdir()
    status, output = player.play([BEGIN, write(tmp_path / "more"), END])
    assert (status, "ended early" in output, "[localhost] 1 change in " in output) == (0, False, True), output


def test_ctrl_c_tells_what_was_changed(player: Player, tmp_path: Path) -> None:
    play = player.start([BEGIN, write(tmp_path), {"ansible.builtin.pause": {"seconds": 60}}, END])
    limit = time.monotonic() + 120
    while not (tmp_path / "report.html").exists():
        assert time.monotonic() < limit
        time.sleep(0.1)
    time.sleep(3)
    strike(play.pid, INTERRUPT)
    output = finish(play, 60)[1]
    assert "[localhost] The run ended early" in output and "[localhost] 1 change in " in output, output
