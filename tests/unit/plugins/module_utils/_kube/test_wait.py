# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import time

from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.wait import wait_for


def test_the_first_pauses_are_short() -> None:
    looks, began = iter([None, None, "seen"]), time.monotonic()
    assert wait_for(lambda: next(looks), timeout=60, pause=30) == "seen"
    assert time.monotonic() - began < 10


def test_it_looks_at_least_once_and_ends_in_time() -> None:
    seen: list[float] = []
    began = time.monotonic()

    def look() -> str | None:
        seen.append(time.monotonic())
        return None

    assert wait_for(look, timeout=0.2, pause=5) is None
    assert len(seen) == 2
    assert time.monotonic() - began < 5
