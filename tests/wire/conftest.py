# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every wire test starts from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from azsandbox.azure.loopback import SimulatedAzure


@pytest.fixture
def azure(tmp_path: Path) -> Iterator[SimulatedAzure]:
    """A simulated Azure of the test's own: empty subscription, one owner, no waiting times."""
    server = SimulatedAzure(tmp_path)
    yield server
    server.close()
