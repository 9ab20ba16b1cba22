# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module with the standard library of every Python that a node may have."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from ansible_collections.azureops.pod_identity.tests.node.lab import BACK_ENDS
from ansible_collections.azureops.pod_identity.tests.node.promises import hold
from ansible_collections.azureops.pod_identity.tests.node.states import State, inhabited

# noxfile.py names those that are supported.
TARGETS = os.environ.get("TARGET_PYTHONS", "3").split()


@pytest.mark.parametrize("version", TARGETS)
def test_python(version: str) -> None:
    python = shutil.which(f"python{version}")
    if python is None:
        pytest.skip(f"no Python {version} on this machine")
    with inhabited(BACK_ENDS, python=Path(python).resolve()) as node:
        hold(node, State("R4", "hostile", BACK_ENDS))
