# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How long the role pod_identity_uninstall waits for MIC."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.installation.chart_manifest import FINALIZER
from ansible_collections.azureops.pod_identity.tests.support.players import CHECKOUT, Player

ROLE = CHECKOUT / "roles/pod_identity_uninstall"
TWINS = ["a"]  # there are AzureAssignedIdentities named so in two namespaces; "b" is in one
CASES = {
    "nothing was done yet": (["a", "a", "b"], True),
    "what has no twin is waited for": (["a", "b"], True),
    "one of the twins is there still": (["a", "a"], True),
    "what MIC does not see is not waited for": (["a"], False),
    "all is gone": ([], False),
}


def assigned(name: str, *finalizers: str) -> dict[str, Any]:
    """Return an AzureAssignedIdentity, which is being deleted where it has finalizers."""
    ends = {"deletionTimestamp": "T", "finalizers": list(finalizers)} if finalizers else {}
    return {"metadata": {"name": name, **ends}}


HELD = {
    "MIC takes its finalizer yet": ([assigned("b", FINALIZER, "theirs/hold")], True),
    "somebody else alone holds it": ([assigned("b", "theirs/hold")], False),
    "and another of its name is there": ([assigned("b", "theirs/hold"), assigned("b")], True),
    "MIC alone holds it": ([assigned("b", FINALIZER)], True),
}


def test_mic_is_not_waited_for_where_it_sees_nothing(tmp_path: Path) -> None:
    (until,) = [task["until"] for task in yaml.safe_load((ROLE / "tasks/bindings.yml").read_text()) if "until" in task]
    ends = " and ".join(f"({each})" for each in until)
    named = {name: ([assigned(each) for each in left], waits) for name, (left, waits) in CASES.items()}
    checks = [
        {
            "name": name,
            "ansible.builtin.assert": {"that": f"({ends}) != {waits}"},
            "vars": {"__pod_identity_uninstall_assigned": {"resources": left}},
        }
        for name, (left, waits) in {**named, **HELD}.items()
    ]
    play = {
        "hosts": "localhost",
        "vars": {"__pod_identity_uninstall_in_cluster": {"plan": {"twins": TWINS}}},
        "vars_files": [str(ROLE / "vars/main.yml")],
        "tasks": checks,
    }
    status, output = Player(tmp_path / "player").play(play)
    assert status == 0, output
