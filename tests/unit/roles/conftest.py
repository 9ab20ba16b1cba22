# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Roles up to where they need Azure or a cluster."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.azureops.pod_identity.tests.support.players import Player


@pytest.fixture
def player(tmp_path: Path) -> Player:
    return Player(tmp_path)
