# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A play in a process that begins with what it needs loaded is what ansible-playbook makes of it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.tests.support.players import Player, finish, role

# What an environment decides when ansible-core is loaded, what later, and what of this collection is found where.
TOLD = (
    "{{ lookup('env', 'WITNESS') }} {{ lookup('env', 'TMPDIR') }} {{ lookup('config', 'COLLECTIONS_PATHS') }} "
    "{{ lookup('config', 'DEFAULT_LOCAL_TMP') }} {{ ansible_playbook_python }} {{ ansible_version.full }}"
)
TASKS: list[dict[str, Any]] = [
    {"ansible.builtin.debug": {"msg": TOLD}},
    {"azureops.pod_identity.kubernetes_object_info": {"kind": "Node", "kubeconfig": "/nowhere"}, "ignore_errors": True},
    {"azureops.pod_identity.resource_group_info": {"name": "rg"}, "ignore_errors": True},
    {"ansible.builtin.shell": "env | sort"},
    role("pod_identity_bindings"),
]
PROGRESS = "azureops-progress"
OF_A_MOMENT = re.compile(
    r'"(?:start|end|delta)": "[^"]+"|\b\d{10}\.\d+|ansible-(?:local-|tmp-)[\w.-]+|\b[0-9a-f]{32}\b|\btmp[a-z0-9_]{8}\b'
    r"|\((?:\d+ min )?\d+ s\)"  # how long a run took
)


@pytest.mark.parametrize("in_process", [True, False])
def test_it_is_that_of_ansible_playbook(tmp_path: Path, in_process: bool) -> None:
    player = Player(tmp_path, {"WITNESS": "w", "ANSIBLE_REMOTE_TMP": str(tmp_path / "remote"), "HOME": str(tmp_path)})
    given = {"pod_identity_in_process": in_process, "pod_identity_bindings_list": [{"name": "Billing"}]}
    played = player.play(TASKS, "-vvv", **given)
    status, output = finish(player.start(TASKS, "-vvv", **given), 300)
    assert (played[0], comparable(played[1])) == (status, comparable(output))
    assert status == 2 and f"w {player.temporary} " in output and "pod_identity_bindings_list, entry 1" in output, (
        output
    )


def comparable(output: str) -> list[str]:
    """Lines without what is another one each time; two commands in one line come in any order.

    A module is asked for its progress as often as it takes long.

    The collection of a test is a link to this checkout, which one that has it loaded before tells by its own name.
    """
    told = [line for line in OF_A_MOMENT.sub("", output).splitlines() if PROGRESS not in line]
    return [re.sub(r"<[\w.]+> EXEC .*|(?<=Using module file ).*/(?=plugins/)", "", line) for line in told]
