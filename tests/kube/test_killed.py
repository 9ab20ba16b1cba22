# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Playbooks and roles that die at one of their writes, to Azure and to the API server: the next run makes up for it.

A moment is a write, how the run dies there, and whether the write is carried out. Those of a sample have a world each;
at all writes runs die in tests/kube/test_killed_again.py, one after the other in one world.

Where nodes, MIC and NMI are needed besides, tests/sandbox/test_killed.py does it.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.kubernetes.lease import NAME, PROCESS
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.kinds import LEASE as LEASE_KIND
from ansible_collections.azureops.pod_identity.tests.kube.killed_jobs import (
    JOBS,
    NAMED,
    attached,
    bring_all_back,
    bring_back,
    bundles,
    custom,
    entry,
    go_on,
    leftovers,
    nothing_changes,
    objects,
    playbook,
    roles,
    site,
    uninstall,
    uninstall_addon,
    uninstall_chart,
    world,
)
from ansible_collections.azureops.pod_identity.tests.kube.kills import (
    AZURE,
    KUBERNETES,
    LEASE,
    Moment,
    World,
    moments,
    moments_of_lease,
)
from ansible_collections.azureops.pod_identity.tests.kube.uninstalled import CARRIER, has_definitions
from ansible_collections.azureops.pod_identity.tests.support.fixed import fixed
from ansible_collections.azureops.pod_identity.tests.support.kill_modes import ALL
from ansible_collections.azureops.pod_identity.tests.support.scale_sets import World as Nodes

__all__ = ["world"]  # fixtures

OF_MIC = {"f1a07417-d97a-45cb-824c-7a7467783830", "9980e02c-c2be-4d73-94e8-173b1dc7cf3c"}
"""The roles Managed Identity Operator and Virtual Machine Contributor."""


# what takes back what was done


def switch_on(world: World) -> None:
    """The playbook site, to which restore leaves the add-on."""
    uninstall_addon(world)

    def entries() -> Any:
        profile = world.modules.succeed("aks_pod_identity", **CARRIER)["state"]
        names = {part: [each["name"] for each in profile[part]] for part in ("identities", "exceptions")}
        return profile["enabled"], names, custom(world), attached(world)

    before = entries()

    def reached() -> None:
        assert entries() == before

    def undo() -> None:
        if bundles(world):
            bring_back(world)
            status, output = world.play()
            told = re.search(r"the playbook site does\W+it with pod_identity_mode=addon", output)  # in lines of a table
            assert (status, bool(told)) == (0, True), output
        world.playbook = playbook("site")
        world.variables = {
            **NAMED,
            "pod_identity_mode": "addon",
            "pod_identity_bindings_list": [entry(world, roles=[])],
            "pod_identity_bindings_exceptions": [
                {"name": "agents", "namespace": world.namespace, "pod_labels": {"app": "agent"}}
            ],
        }
        go_on(world)
        nothing_changes(world)

    world.reached, world.undo = reached, undo


def take_site_away(world: World, mode: str) -> None:
    """Of an identity that no AzureIdentity names yet nobody knows what it was for."""
    site(world, mode)

    def undo() -> None:
        exists = world.azure.arm("GET", demo(world)).status_code == 200
        named = {each for each in objects(world) if each.startswith("AzureIdentity ")}
        world.variables, world.arguments = dict(NAMED), ()
        uninstall(world, pod_identity_uninstall_allow_in_use=True)
        world.variables["pod_identity_uninstall_owner"] = "default"

        def reached() -> None:
            assert objects(world) == set() and not has_definitions(world.client)
            found = world.modules.succeed("aks_cluster_info", resource_group="rg", name="demo")["clusters"]
            assert len(found) == int(exists)
            for cluster in found:
                assert not (cluster["pod_identity_profile"] or {}).get("enabled")
                group = f"/{cluster['node_resource_group']}".lower()
                left = {scope for scope, role in roles(world) if role in OF_MIC}
                assert {scope for scope in left if named or scope.endswith(group)} == set()

        world.reached = reached
        if exists:
            go_on(world)
            nothing_changes(world)
        else:
            status, output = world.play()
            assert (status, "Cluster demo does not exist in resource group rg" in output) == (2, True), output

    world.undo = undo


def attach_again(world: World) -> None:
    """By the bundle, which tells what each scale set had."""
    leftovers(world)
    nodes = Nodes(world.azure)
    before = nodes.carried()

    def reached() -> None:
        assert nodes.carried() == before

    def undo() -> None:
        saved = sorted(Path(world.variables["pod_identity_artifact_target"]).iterdir())
        for place in json.loads(saved[0].read_text())["scale_sets"]:
            had = [each["id"] for each in place["identities"] if each["id"].rpartition("/")[2] in before]
            world.modules.succeed("vmss_identity", resource_id=place["id"], identities=had, poll_interval=0.1)

    world.reached, world.undo = reached, undo


def demo(world: World) -> str:
    group = f"/subscriptions/{world.azure.subscription_id}/resourceGroups/rg"
    return f"{group}/providers/Microsoft.ContainerService/managedClusters/demo"


MOMENTS = [
    *(
        each
        for name, job in JOBS.items()
        for to in (KUBERNETES, AZURE)
        for each in moments(name, to, job.writes[to], both=job.destroys)
    ),
    *(each for name, job in JOBS.items() for each in moments_of_lease(name, job.lease)),
]
UNDOS: dict[str, Callable[[World], None]] = {
    "uninstall": bring_all_back,
    "uninstall_addon": switch_on,
    "site": partial(take_site_away, mode="chart"),
    "site_addon": partial(take_site_away, mode="addon"),
    "leftovers": attach_again,
}


def undone() -> Iterator[Moment]:
    """Death of all at each write: of an uninstall before and after it, elsewhere by turns.

    Not where the uninstall deletes an identity in Azure, which comes back no more; and of what helm makes every second.
    """
    left_out = {("uninstall", AZURE, 3), *(("site", KUBERNETES, number) for number in range(2, 27, 2))}
    for each in MOMENTS:
        by_turns = each in moments(each.job, each.to, each.number, both=False)
        if each.job in UNDOS and each.death == ALL and each.to != LEASE and (by_turns or each.job == "uninstall"):
            if (each.job, each.to, each.number) not in left_out:
                yield each


def one_in(several: int, known: Iterable[Moment]) -> list[Moment]:
    """A sample of moments, always the same."""
    return [each for each in known if zlib.crc32(str(each).encode()) % several == 0]


@pytest.mark.soak
@pytest.mark.parametrize("name", JOBS)
def test_every_write_is_a_moment(world: World, name: str) -> None:
    job = JOBS[name]
    job.build(world)
    writes = world.writes()
    told = "\n".join(f"{to}: {len(each)}\n" + "\n".join(each) for to, each in writes.items())
    assert {to: len(each) for to, each in writes.items()} == job.writes, told
    world.reached()
    assert world.left() == []
    nothing_changes(world)


@pytest.mark.soak
@pytest.mark.parametrize("moment", one_in(8, MOMENTS), ids=str)
def test_the_next_run_makes_up_for_a_killed_one(world: World, moment: Moment) -> None:
    JOBS[moment.job].build(world)
    world.die(moment)
    go_on(world)
    assert world.left() == []
    assert world.client.get(LEASE_KIND, "default", NAME) is None
    world.reached()
    nothing_changes(world)


@pytest.mark.parametrize("moment", fixed(one_in(4, undone()), "uninstall-kubernetes-6-before-all"), ids=str)
def test_an_undo_brings_back_what_was(world: World, moment: Moment) -> None:
    UNDOS[moment.job](world)
    world.die(moment)
    world.undo()
    world.reached()
    assert world.left() == []


@pytest.mark.soak
@pytest.mark.parametrize("remedy", ["deleted", "over"])
def test_a_run_that_was_killed_on_another_machine_keeps_the_cluster_for_a_while(world: World, remedy: str) -> None:
    """Until its Lease is over, or somebody deletes it, as the README of the role has it."""
    uninstall_chart(world)
    world.die(Moment("uninstall", LEASE, 1, ALL, happened=True))
    elsewhere = {"metadata": {"annotations": {PROCESS: "boot/1/2/3"}}}
    assert world.client.merge(LEASE_KIND, "default", NAME, elsewhere)
    status, output = world.play()
    assert (status, bundles(world)) == (2, []), output
    assert f"kubectl --namespace default delete lease {NAME}" in " ".join(output.split()), output
    if remedy == "deleted":
        world.client.delete(LEASE_KIND, "default", NAME)
    else:
        world.client.merge(LEASE_KIND, "default", NAME, {"spec": {"leaseDurationSeconds": 1}})
        world.variables["pod_identity_uninstall_lease_wait_timeout"] = 60
    go_on(world)
    world.reached()
    assert world.client.get(LEASE_KIND, "default", NAME) is None
