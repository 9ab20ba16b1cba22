# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Playbooks that die at one write after the other: each run goes on with what all those before it have left.

So every write is a moment at the price of one run, where tests/kube/test_killed.py takes a new world and four runs. It
shows that each run comes further than those before, whatever they left, and that no write of a whole run is passed
over; that no file with a secret is left at any time but after a power failure, and none in the end; and that the last
run converges. That already the run which follows a death does, without another one in between, test_killed.py shows of
a sample.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.kubernetes.lease import NAME
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.client import Client
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.kinds import LEASE, SECRET
from ansible_collections.azureops.pod_identity.tests.kube import test_killed
from ansible_collections.azureops.pod_identity.tests.kube.kills import Ahead, World, moments_of_lease
from ansible_collections.azureops.pod_identity.tests.kube.test_killed import JOBS, Job
from ansible_collections.azureops.pod_identity.tests.support import api_server as server
from ansible_collections.azureops.pod_identity.tests.support.api_server import ApiServer
from ansible_collections.azureops.pod_identity.tests.support.kill_modes import ALL, INTERRUPT, WORKER

CLEAR_LOCK = "if it was killed, set pod_identity_chart_clear_lock=true"
CHAIN = pytest.mark.timeout(2 * 3600)
"""Up to 53 runs of a playbook, one after the other; 21 of them took 1,800 seconds on a busy machine."""


def by_power(job: Job, _number: int) -> list[tuple[str, bool]]:
    """How runs die at a write, and whether it is carried out before. The last one is, so that the next goes on."""
    return [(ALL, False), (ALL, True)] if job.destroys else [(ALL, True)]


def by_hand(job: Job, number: int) -> list[tuple[str, bool]]:
    first, last = (WORKER, INTERRUPT) if number % 2 else (INTERRUPT, WORKER)
    return [(first, False), (last, True)] if job.destroys else [(last, True)]


WAYS = {"power": by_power, "hand": by_hand}

world = test_killed.world


@pytest.fixture
def worlds(api_server: ApiServer, client: Client, tmp_path: Path) -> Callable[[], AbstractContextManager[World]]:
    """Makes an empty one; one at a time."""

    @contextmanager
    def empty() -> Iterator[World]:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        with (
            server.own_namespace(client) as namespace,
            test_killed.empty_world(api_server, client, namespace, folder, {}) as made,
        ):
            yield made

    return empty


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


@pytest.mark.soak(sample=0)
@CHAIN
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", JOBS)
def test_each_run_goes_on_where_the_one_before_died(
    worlds: Callable[[], AbstractContextManager[World]],
    record_property: Callable[[str, object], None],
    name: str,
    way: str,
) -> None:
    job, ahead = JOBS[name], Ahead()
    with worlds() as world:
        job.build(world)
        writes = in_all_worlds(world, world.whole())
    assert writes.total() == job.kubernetes + job.azure, writes
    with worlds() as world:
        job.build(world)
        for _write in dying(world, job, WAYS[way], ahead):
            pass
        record_property(f"deaths of {name}", len(ahead.deaths))
        require_each(world, writes, ahead)
        require_end(world)


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
    test_killed.nothing_changes(world)


@pytest.mark.soak(sample=0)
@pytest.mark.parametrize("name", [name for name, job in JOBS.items() if job.lease])
def test_each_run_takes_over_the_lease_of_the_one_before(world: World, name: str) -> None:
    """Which is as that one left it right after it was taken or renewed, or before it was given back."""
    job = JOBS[name]
    job.build(world)
    for moment in moments_of_lease(name, job.lease):
        world.die(moment)
    test_killed.go_on(world)
    require_end(world)


@pytest.mark.soak(sample=0)
@CHAIN
def test_an_undo_brings_back_what_was_after_each_death(
    worlds: Callable[[], AbstractContextManager[World]], record_property: Callable[[str, object], None]
) -> None:
    """Of an uninstall; the next one goes one write further."""
    job, ahead = JOBS["uninstall"], Ahead(undone=True)
    with worlds() as world:
        test_killed.bring_all_back(world)
        writes = in_all_worlds(world, world.whole())
    assert writes.total() == job.kubernetes + job.azure - 1, writes  # it deletes no identity
    with worlds() as world:
        test_killed.bring_all_back(world)
        playbook, arguments, variables = world.playbook, world.arguments, dict(world.variables)
        for _write in dying(world, job, lambda _job, _number: [(ALL, True)], ahead):
            world.undo()
            world.reached()
            assert world.left() == []
            for bundle in world.client.list_all(SECRET, world.namespace):
                world.client.delete(SECRET, world.namespace, bundle["metadata"]["name"])
            world.playbook, world.arguments, world.variables = playbook, arguments, dict(variables)
        record_property("undone deaths of uninstall", len(ahead.deaths))
        require_each(world, writes, ahead)
