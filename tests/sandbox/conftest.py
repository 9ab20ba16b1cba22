# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of tests run side by side, a file in one process."""

from __future__ import annotations

import pytest

LONGEST_FIRST = (
    "site",
    "cleanup",
    "permissions",
    "connections",
    "pod_token",
    "options",
    "uninstall",
    "uninstall_order",
    "killed",
    "killed_cleanup",
    "hostile",
    "installations",
)
"""The short files come last, so that all processes end at about the same time."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    turns = {f"test_{name}": turn for turn, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: turns.get(item.path.stem, len(turns)))
