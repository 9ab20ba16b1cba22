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

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.client import Client
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.kinds import SECRET
from ansible_collections.azureops.pod_identity.tests.kube import killed_jobs
from ansible_collections.azureops.pod_identity.tests.kube.dying_jobs import (
    WAYS,
    dying,
    in_all_worlds,
    require_each,
    require_end,
)
from ansible_collections.azureops.pod_identity.tests.kube.killed_jobs import JOBS
from ansible_collections.azureops.pod_identity.tests.kube.kills import Ahead, World, moments_of_lease
from ansible_collections.azureops.pod_identity.tests.support import api_server as server
from ansible_collections.azureops.pod_identity.tests.support.api_server import ApiServer
from ansible_collections.azureops.pod_identity.tests.support.kill_modes import ALL

CHAIN = pytest.mark.timeout(2 * 3600)
"""Up to 53 runs of a playbook, one after the other; 21 of them took 1,800 seconds on a busy machine."""


world = killed_jobs.world


@pytest.fixture
def worlds(api_server: ApiServer, client: Client, tmp_path: Path) -> Callable[[], AbstractContextManager[World]]:
    """Makes an empty one; one at a time."""

    @contextmanager
    def empty() -> Iterator[World]:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        with (
            server.own_namespace(client) as namespace,
            killed_jobs.empty_world(api_server, client, namespace, folder, {}) as made,
        ):
            yield made

    return empty


@pytest.mark.soak
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


@pytest.mark.soak
@pytest.mark.parametrize("name", [name for name, job in JOBS.items() if job.lease])
def test_each_run_takes_over_the_lease_of_the_one_before(world: World, name: str) -> None:
    """Which is as that one left it right after it was taken or renewed, or before it was given back."""
    job = JOBS[name]
    job.build(world)
    for moment in moments_of_lease(name, job.lease):
        world.die(moment)
    killed_jobs.go_on(world)
    require_end(world)


@pytest.mark.soak
@CHAIN
def test_an_undo_brings_back_what_was_after_each_death(
    worlds: Callable[[], AbstractContextManager[World]], record_property: Callable[[str, object], None]
) -> None:
    """Of an uninstall; the next one goes one write further."""
    job, ahead = JOBS["uninstall"], Ahead(undone=True)
    with worlds() as world:
        killed_jobs.bring_all_back(world)
        writes = in_all_worlds(world, world.whole())
    assert writes.total() == job.kubernetes + job.azure - 1, writes  # it deletes no identity
    with worlds() as world:
        killed_jobs.bring_all_back(world)
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
