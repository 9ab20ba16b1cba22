# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.nodes.drain import Remaining, remaining
from ansible_collections.azureops.pod_identity.tests.unit.tables import case, for_each

NOW, BEFORE, AFTER = "2026-01-02T00:00:00Z", "2026-01-01T23:59:59Z", "2026-01-02T00:00:01Z"
OWNED = {"ownerReferences": [{"kind": "ReplicaSet"}]}


@for_each(
    case("running", OWNED, "Running", True, Remaining("a/p", bare=False)),
    case("pending", OWNED, "Pending", True, Remaining("a/p", bare=False)),
    case("succeeded", OWNED, "Succeeded", True, None),
    case("failed", {}, "Failed", True, None),
    case("bare", {}, "Running", True, Remaining("a/p", bare=True)),
    case("null", {"ownerReferences": None}, "Running", True, Remaining("a/p", bare=True)),
    case("bare, deleted", {"deletionTimestamp": AFTER}, "Running", True, Remaining("a/p", bare=False)),
    case("of a DaemonSet", {"ownerReferences": [{"kind": "DaemonSet"}]}, "Running", True, None),
    case("of a file", {"annotations": {"kubernetes.io/config.mirror": "x"}}, "Running", True, None),
    case("no annotations", {"annotations": None, **OWNED}, "Running", True, Remaining("a/p", bare=False)),
    case("still ends", {**OWNED, "deletionTimestamp": BEFORE}, "Running", True, Remaining("a/p", bare=False)),
    case("let go, its time over", {**OWNED, "deletionTimestamp": BEFORE}, "Running", False, None),
    case("its time over now", {**OWNED, "deletionTimestamp": NOW}, "Running", False, None),
    case("let go, in time", {**OWNED, "deletionTimestamp": AFTER}, "Running", False, Remaining("a/p", bare=False)),
    case("not let go", OWNED, "Running", False, Remaining("a/p", bare=False)),
)
def test_which_pods_have_not_ended(metadata: dict[str, Any], phase: str, ready: bool, left: Remaining | None) -> None:
    pod = {"metadata": {"namespace": "a", "name": "p", **metadata}, "status": {"phase": phase}}
    assert remaining([pod], ready=ready, now=NOW) == (() if left is None else (left,))
