# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Variables that look like secrets in the environment of tasks on nodes: refused before anything is sent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.tests.unit.roles.players import Player

PLANTED = "planted-7d1c9e"
INSTANCE = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/virtualMachineScaleSets/v/virtualMachines/0"


@pytest.mark.parametrize(
    ("connection", "keywords", "sentence"),
    [
        pytest.param("vmss_run_command", {}, "has secrets (AZURE_SECRET), and Azure keeps", id="run-command"),
        pytest.param(
            "aks_node_pod", {"become": True}, "has secrets in its environment (AZURE_SECRET), which become", id="become"
        ),
    ],
)
def test_secrets_in_the_environment_are_refused(
    tmp_path: Path, connection: str, keywords: dict[str, Any], sentence: str
) -> None:
    """Also those of a block around the task."""
    nowhere = tmp_path / "nowhere"
    nowhere.write_text("{}")
    variables = {
        "ansible_connection": f"azureops.pod_identity.{connection}",
        "ansible_vmss_run_command_instance": INSTANCE,
        "ansible_aks_node_pod_kubeconfig": str(nowhere),
        "ansible_python_interpreter": "/usr/bin/python3",
    }
    task = {"ansible.builtin.command": "true", **keywords}
    block = {"environment": {"AZURE_SECRET": PLANTED}, "block": [task]}
    status, output = Player(tmp_path / "player").play([block], "-vvvv", **variables)
    assert (status, PLANTED in output, sentence in " ".join(output.split())) == (2, False, True), output
