# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Directories of others, into which a role writes, stay as open as they are."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

from ansible_collections.azureops.pod_identity.tests.support.players import Player


def test_only_a_directory_that_is_made_gets_a_mode(tmp_path: Path) -> None:
    shared, new = tmp_path / "shared", tmp_path / "new"
    shared.mkdir()
    shared.chmod(0o1777)
    bundle = "azureops.pod_identity.pod_identity_bundle"
    tasks: list[dict[str, Any]] = [
        {bundle: {"place": f"{place}/bundle.json", "content": '{"cluster": "c"}'}} for place in (shared, new)
    ]
    status, output = Player(tmp_path / "player").play(tasks, _pod_identity_bundle_marks=[])
    assert status == 0, output
    modes = [stat.S_IMODE(place.stat().st_mode) for place in (shared, new, *shared.iterdir(), *new.iterdir())]
    assert modes == [0o1777, 0o700, 0o600, 0o600]
