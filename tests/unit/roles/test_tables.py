# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How wide tables are at a terminal."""

from __future__ import annotations

import fcntl
import json
import os
import struct
import subprocess
import termios
from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.tests.support.players import Player

# The session makes the collection known before the first worker is forked.
SENTENCE = " ".join(["word"] * 24)
TASKS: list[dict[str, Any]] = [
    {"azureops.pod_identity.cluster_session": {"state": "private_directory"}, "register": "pod_identity_session"},
    {"ansible.builtin.debug": {"msg": "{{ rows | azureops.pod_identity.table(['name', 'what']) }}"}},
]


@pytest.mark.parametrize(
    ("columns", "variables", "environment", "widest"),
    [
        (200, {}, {}, 200),
        (60, {}, {}, 60),
        (200, {"pod_identity_table_width": 100}, {}, 100),
        (200, {}, {"ANSIBLE_CALLBACK_RESULT_FORMAT": "yaml"}, 80),
    ],
)
def test_a_table_is_as_wide_as_the_terminal(
    player: Player, columns: int, variables: dict[str, Any], environment: dict[str, str], widest: int
) -> None:
    command, own = player._command(TASKS, rows=[{"name": "a", "what": SENTENCE}], **variables)
    ours, its = os.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    play = subprocess.Popen(command, env={**own, **environment}, stdin=subprocess.DEVNULL, stdout=its, stderr=its)
    os.close(its)
    output = b""
    while True:
        try:
            output += os.read(ours, 65536)
        except OSError:
            break
    os.close(ours)
    assert play.wait() == 0, output.decode()
    longest = max(len(line.rstrip()) for line in output.decode().splitlines() if "word" in line)
    assert widest - 12 < longest <= widest or (widest == 200 and longest > 120), output.decode()
    assert json.dumps(output.decode()).count("word") == 24
