# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.nodes.drain import Remaining, remaining

NOW, BEFORE, AFTER = "2026-01-02T00:00:00Z", "2026-01-01T23:59:59Z", "2026-01-02T00:00:01Z"
OWNED = {"ownerReferences": [{"kind": "ReplicaSet"}]}


@pytest.mark.parametrize(
    ("metadata", "phase", "ready", "left"),
    [
        pytest.param(OWNED, "Running", True, Remaining("a/p", bare=False), id="running"),
        pytest.param(OWNED, "Pending", True, Remaining("a/p", bare=False), id="pending"),
        pytest.param(OWNED, "Succeeded", True, None, id="succeeded"),
        pytest.param({}, "Failed", True, None, id="failed"),
        pytest.param({}, "Running", True, Remaining("a/p", bare=True), id="bare"),
        pytest.param({"ownerReferences": None}, "Running", True, Remaining("a/p", bare=True), id="null"),
        pytest.param({"deletionTimestamp": AFTER}, "Running", True, Remaining("a/p", bare=False), id="bare, deleted"),
        pytest.param({"ownerReferences": [{"kind": "DaemonSet"}]}, "Running", True, None, id="of a DaemonSet"),
        pytest.param({"annotations": {"kubernetes.io/config.mirror": "x"}}, "Running", True, None, id="of a file"),
        pytest.param(
            {"annotations": None, **OWNED}, "Running", True, Remaining("a/p", bare=False), id="no annotations"
        ),
        pytest.param(
            {**OWNED, "deletionTimestamp": BEFORE}, "Running", True, Remaining("a/p", bare=False), id="still ends"
        ),
        pytest.param({**OWNED, "deletionTimestamp": BEFORE}, "Running", False, None, id="let go, its time over"),
        pytest.param({**OWNED, "deletionTimestamp": NOW}, "Running", False, None, id="its time over now"),
        pytest.param(
            {**OWNED, "deletionTimestamp": AFTER}, "Running", False, Remaining("a/p", bare=False), id="let go, in time"
        ),
        pytest.param(OWNED, "Running", False, Remaining("a/p", bare=False), id="not let go"),
    ],
)
def test_which_pods_have_not_ended(metadata: dict[str, Any], phase: str, ready: bool, left: Remaining | None) -> None:
    pod = {"metadata": {"namespace": "a", "name": "p", **metadata}, "status": {"phase": phase}}
    assert remaining([pod], ready=ready, now=NOW) == (() if left is None else (left,))
