# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The examples of the modules that ask Azure, against the simulated Azure, as ansible-playbook runs them.

Those of what asks a cluster too leave that out here: no API server is there.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ansible_collections.azureops.pod_identity.tests.support.modules import Modules
from ansible_collections.azureops.pod_identity.tests.support.players import Player
from ansible_collections.azureops.pod_identity.tests.wire.modules.documented import (
    CASES,
    WITH_CLUSTER,
    registered,
    tasks,
)


@pytest.mark.parametrize("name", CASES)
def test_examples(name: str, modules: Modules, tmp_path: Path) -> None:
    level, changes = CASES[name]
    play = tasks(name, modules, level, tmp_path)
    known = registered(modules) if level == WITH_CLUSTER else {}
    status, output = Player(tmp_path / "play", modules.environment).play(play, **known)
    assert status == 0, output
    (changed,) = re.findall(r"changed=(\d+)", output)
    assert int(changed) == changes, output
