# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The Azure modules against the simulated Azure."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.azureops.pod_identity.tests.support.modules import Modules
from ansible_collections.azureops.pod_identity.tests.wire.modules.token_cluster import TokenCluster
from azsandbox.azure.loopback import SimulatedAzure


@pytest.fixture
def modules(azure: SimulatedAzure, tmp_path: Path) -> Modules:
    home = tmp_path / "home"
    home.mkdir()
    return Modules(azure, home)


@pytest.fixture
def group(azure: SimulatedAzure) -> str:
    """An existing resource group in westeurope."""
    azure.group()
    return "rg"


@pytest.fixture
def cluster(azure: SimulatedAzure) -> Iterator[TokenCluster]:
    """A cluster that issues tokens of service accounts."""
    made = TokenCluster(azure)
    yield made
    made.server.shutdown()
    made.server.server_close()
