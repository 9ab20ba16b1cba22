# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who may take the Lease of a cluster, and what is written into it."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.kubernetes import lease
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.kubernetes.lease import Holder, Lease
from ansible_collections.azureops.pod_identity.tests.unit.tables import for_each

NOW = datetime(2026, 3, 1, 10, 0, tzinfo=timezone.utc)
ALICE, BOB = Holder("alice@one, process 1", "boot/1/1/5"), Holder("bob@two, process 2", "boot/2/2/6")


def raw(holder: Holder = BOB, age: int = 0, **spec: Any) -> dict[str, Any]:
    written = lease.body(None, holder, NOW - timedelta(seconds=age), 60)
    written["metadata"].update(uid="u", resourceVersion="7")
    written["spec"].update(spec)
    return written


@for_each(
    (None, False, True, "take Lease x"),
    (raw(Holder("")), False, True, "take Lease x"),
    (raw(ALICE), True, True, "renew Lease x"),
    (raw(ALICE, age=61), True, True, "renew Lease x"),
    (raw(), False, False, "take Lease x from bob@two, process 2"),
    (raw(age=59), False, False, "take Lease x from bob@two, process 2"),
    (raw(age=60), False, True, "take Lease x from bob@two, process 2, who did not renew it in time"),
    (raw(renewTime=None), False, True, "take Lease x from bob@two, process 2, who did not renew it in time"),
    # The same words, but another process.
    (raw(Holder(ALICE.name, "boot/1/1/4")), False, False, "take Lease x from alice@one, process 1"),
    (raw(Holder("carol@one", "dead")), False, True, "take Lease x from carol@one, whose process has ended"),
)
def test_who_may_take_it(found: dict[str, Any] | None, ours: bool, free: bool, summary: str) -> None:
    seen = Lease.parse(found) if found else None
    claim = lease.decide(seen, ALICE, NOW, lambda process: process == "dead", "Lease x")
    assert (claim.ours, claim.free, claim.summary) == (ours, free, summary)


def test_what_is_written_is_read_again() -> None:
    first = Lease.parse(raw(ALICE))
    assert (first.holder, first.renewed, first.seconds, first.transitions) == (ALICE, NOW, 60, 0)
    assert first.left(NOW + timedelta(seconds=20)) == 40


def test_a_refusal_names_the_holder_and_the_command() -> None:
    found = Lease.parse(raw(age=10))
    unknown = lease.refusal(found, None, "Lease n/x", "n", "x")
    assert unknown == (
        "bob@two, process 2 works on this cluster and holds Lease n/x, taken at 2026-03-01T09:59:50Z and free at "
        "2026-03-01T10:00:50Z unless that run renews it: wait until that run has ended. Nothing here proves whether it "
        "still works; if it was killed, free the cluster with: kubectl --namespace n delete lease x"
    )
    known = lease.refusal(found, False, "Lease n/x", "n", "x")
    assert known.endswith("that run still works on this machine; wait until it has ended, or stop it.")
    assert "kubectl" not in known


def test_a_write_holds_to_what_was_seen() -> None:
    taken = lease.body(Lease.parse(raw()), ALICE, NOW, 30)
    assert taken["metadata"]["resourceVersion"] == "7"
    assert taken["spec"]["leaseTransitions"] == 1
    assert taken["spec"]["acquireTime"] == taken["spec"]["renewTime"]
    renewed = lease.body(Lease.parse(raw(ALICE)), ALICE, NOW, 30)
    assert "acquireTime" not in renewed["spec"]
    assert "leaseTransitions" not in renewed["spec"]
