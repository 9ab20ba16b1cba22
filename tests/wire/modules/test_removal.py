# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The removal of a cluster with its resource group, by the role."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.azureops.pod_identity.tests.unit.roles.players import Player, role
from ansible_collections.azureops.pod_identity.tests.wire.modules.processes import Modules
from azsandbox.azure.loopback import SimulatedAzure


def test_cluster_and_group_go_as_predicted(modules: Modules, azure: SimulatedAzure, group: str, tmp_path: Path) -> None:
    modules.succeed("aks_cluster", resource_group=group, name="demo", location="westeurope", poll_interval=0.1)
    modules.succeed("user_assigned_identity", resource_group=group, name="other")
    player, remove = Player(tmp_path / "player", modules.environment), [role("pod_identity_cluster")]
    variables = {
        "pod_identity_cluster_name": "demo",
        "pod_identity_resource_group": group,
        "pod_identity_cluster_state": "absent",
        "pod_identity_cluster_remove_resource_group": True,
        "pod_identity_cluster_confirm_absent": "demo",
        "pod_identity_cluster_poll_interval": 1,
    }
    mark = modules.mark()
    status, output = player.play(remove, "--check", **variables)
    assert (status, "still holds 1 resources (other)" in output) == (2, True), output
    assert modules.writes(mark) == []
    modules.succeed("user_assigned_identity", resource_group=group, name="other", state="absent")
    for arguments in (["--check"], []):
        status, output = player.play(remove, *arguments, **variables)
        assert (status, "changed=2 " in output) == (0, True), output
    assert azure.arm("GET", f"/resourceGroups/{group}").status_code == 404
