# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of tests run side by side, a file in one process."""

from __future__ import annotations

import pytest

LONGEST_FIRST = ("test_migration", "test_site", "test_cleanup", "test_uninstall", "test_guides", "test_diagnosis")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the long files begin first, so that all processes end at about the same time."""
    places = {name: place for place, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: places.get(item.path.stem, len(places)))
