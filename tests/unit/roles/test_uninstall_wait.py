# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How long the role pod_identity_uninstall waits for MIC."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.azureops.pod_identity.tests.unit.roles.players import CHECKOUT, Player

FOUND = ("a", "a", "b")  # names of AzureAssignedIdentities; those of "a" are in two namespaces
CASES = {
    "nothing was done yet": (["a", "a", "b"], ["a", "b"]),
    "what has no twin is waited for": (["a", "b"], ["b"]),
    "one of the twins is there still": (["a", "a"], ["a"]),
    "what MIC does not see is not waited for": (["a"], []),
    "all is gone": ([], []),
}


def test_mic_is_not_waited_for_where_it_sees_nothing(tmp_path: Path) -> None:
    found = {"objects": [{"kind": "AzureAssignedIdentity", "name": name} for name in FOUND]}
    checks = [
        {
            "name": name,
            "ansible.builtin.assert": {"that": f"_pod_identity_uninstall_awaited == {awaited}"},
            "vars": {"__pod_identity_uninstall_assigned": {"resources": [{"metadata": {"name": one}} for one in left]}},
        }
        for name, (left, awaited) in CASES.items()
    ]
    play = {
        "hosts": "localhost",
        "vars": {"__pod_identity_uninstall_found": found},
        "vars_files": [str(CHECKOUT / "roles/pod_identity_uninstall/vars/main.yml")],
        "tasks": checks,
    }
    status, output = Player(tmp_path / "player").play(play)
    assert status == 0, output
