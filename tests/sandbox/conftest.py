# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of tests run side by side, a file in one process."""

from __future__ import annotations

import pytest

from ansible_collections.azureops.pod_identity.tests.soak import minutes_of_story


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The short files come last, so that all processes end at about the same time."""
    items.sort(key=lambda item: (item.path.stem != "test_site", -minutes_of_story(item)))
