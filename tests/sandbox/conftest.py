# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of tests run side by side, a file in one process."""

from __future__ import annotations

import pytest

from ansible_collections.azureops.pod_identity.tests.soak import minutes_of_story


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The short files come last, so that all processes end at about the same time. Two files that each run takes come
    first: they are no stories, so that nothing says how long they take."""
    first = ("test_site", "test_guides")
    items.sort(key=lambda item: (item.path.stem not in first, item.path.stem != first[0], -minutes_of_story(item)))
