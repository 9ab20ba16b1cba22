# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible_collections.azureops.pod_identity.tests.unit.roles.players import Player

SECRET = "planted-client-secret"
# Tells which files below a directory have the secret while it runs.
HELM = """
from pathlib import Path
from ansible.module_utils.basic import AnsibleModule
module = AnsibleModule({"release_values": {"type": "dict"}, "below": {"type": "path"}})
secret = module.params["release_values"]["secret"].encode()
files = [path for path in Path(module.params["below"]).rglob("*") if path.is_file()]
module.exit_json(found=[str(path) for path in files if secret in path.read_bytes()], secret=secret.decode())
"""


def test_arguments_of_a_module_are_in_no_file(tmp_path: Path) -> None:
    """A run that is killed then would leave them there."""
    player = Player(tmp_path / "player", {"ANSIBLE_REMOTE_TMP": str(tmp_path / "player/remote")})
    modules = player.directory / "collections/ansible_collections/kubernetes/core/plugins/modules"
    modules.mkdir(parents=True)
    (modules / "helm.py").write_text(HELM)
    helm = {"module": "helm", "release_values": {"secret": SECRET}, "below": str(tmp_path / "player/remote")}
    tasks: list[dict[str, Any]] = [
        {"azureops.pod_identity.kubernetes_core": helm, "register": "ran"},
        {"ansible.builtin.assert": {"that": ["ran.found == []", f"ran.secret == '{SECRET}'"]}},
    ]
    status, output = player.play(tasks)
    assert status == 0, output
