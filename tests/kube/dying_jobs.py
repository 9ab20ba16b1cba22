# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The same playbooks, killed again and again in one run."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.kubernetes.lease import NAME
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.kinds import LEASE
from ansible_collections.azureops.pod_identity.tests.kube import killed_jobs
from ansible_collections.azureops.pod_identity.tests.kube.killed_jobs import Job
from ansible_collections.azureops.pod_identity.tests.kube.kills import Ahead, World
from ansible_collections.azureops.pod_identity.tests.support.kill_modes import ALL, INTERRUPT, WORKER

CLEAR_LOCK = "if it was killed, set pod_identity_chart_clear_lock=true"


def by_power(job: Job, _number: int) -> list[tuple[str, bool]]:
    """How runs die at a write, and whether it is carried out before. The last one is, so that the next goes on."""
    return [(ALL, False), (ALL, True)] if job.destroys else [(ALL, True)]


def by_hand(job: Job, number: int) -> list[tuple[str, bool]]:
    first, last = (WORKER, INTERRUPT) if number % 2 else (INTERRUPT, WORKER)
    return [(first, False), (last, True)] if job.destroys else [(last, True)]


WAYS = {"power": by_power, "hand": by_hand}


def in_all_worlds(world: World, writes: Counter[str]) -> Counter[str]:
    """In words that are the same in every world."""
    return Counter(_OF_A_WORLD.sub("DRAWN", each.replace(world.namespace, "NAMESPACE")) for each in writes.elements())


_OF_A_WORLD = re.compile(
    r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|(?<=127[.]0[.]0[.]1:)\d+|\d{8}(?=-vmss)|(?<=-)[0-9a-f]{8}(?= ?$)",
    re.IGNORECASE,
)
"""The last one ends the name of a copied binding, and tells for which service account it is."""


def dying(world: World, job: Job, way: Callable[[Job, int], list[tuple[str, bool]]], ahead: Ahead) -> Iterator[str]:
    """Let a run die at each write, once in each of these ways; yields after each death, and ends when a run is done."""
    number = 0
    while True:
        number += 1
        assert number <= 4 * (job.kubernetes + job.azure), f"no run comes to its end: {ahead.deaths}"
        for death, after in way(job, number):
            said = world.die_ahead(ahead, death, after=after)
            if said and CLEAR_LOCK in said and "pod_identity_chart_clear_lock" not in world.variables:
                world.variables["pod_identity_chart_clear_lock"] = True
                said = world.die_ahead(ahead, death, after=after)
            if said:
                assert "failed=0" in said and "unreachable=0" in said, f"{ahead.deaths}: {said}"
                return
            yield ahead.held


def require_each(world: World, writes: Counter[str], ahead: Ahead) -> None:
    """At each write of a whole run one died right after it, or while the answer to one beside it was on its way."""
    seen, beside = in_all_worlds(world, ahead.carried_out), in_all_worlds(world, ahead.beside)
    print(f"{writes.total()} writes, {len(ahead.deaths)} deaths")
    for each in writes | seen:
        print(f"   {writes[each]} written, died at {seen[each]}, {beside[each]} beside: {each}")
    assert writes - seen - beside == Counter(), "no run died there"


def require_end(world: World) -> None:
    """What a whole run leads to, and nothing is left to be done."""
    assert world.left() == []
    assert world.client.get(LEASE, "default", NAME) is None
    world.reached()
    killed_jobs.nothing_changes(world)
