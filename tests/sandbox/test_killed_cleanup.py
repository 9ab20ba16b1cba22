# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""cleanup_nodes.yml dies at each of its writes, over each transport: the next run makes up for it. Needs root.

Writes are those to the API server, those to Azure, and the commands that remove rules on the node.
"""

from __future__ import annotations

import shlex
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from cleaned import GROUP, TAKE_AWAY, World, foreign
from held_requests import Gate, gate, let_through
from operators import Operator
from private_files import private_files
from sandboxes import eventually, running

from ansible_collections.azureops.pod_identity.tests.support.kill_modes import DEATHS
from azsandbox.network import WORKSTATION_ADDRESS

pytestmark = [pytest.mark.story, pytest.mark.soak]

AZURE_WRITES = ("--method", "PUT,PATCH,POST,DELETE", "--path", "^management.*(?<!Credential)[?]")
# Hangs at the command number N of those that remove what NMI left; the kernel's table is the one of this back end.
PROGRAM = """#!/bin/bash
case " $* " in
  *" -D "*aad-metadata*|*" -F aad-metadata "*|*" -X aad-metadata "*)
    number=$(flock /run/turn sh -c 'echo x >> /run/turn; wc -l < /run/turn')
    echo "$*" >> /run/removals
    at=$(cat /run/at)
    if [ "$at" = "$number before" ]; then touch /run/reached; while [ -e /run/at ]; do sleep 0.2; done; fi
    (exec -a "$0" /run/xtables "$@"); status=$?
    if [ "$at" = "$number after" ]; then touch /run/reached; while [ -e /run/at ]; do sleep 0.2; done; fi
    exit $status ;;
esac
exec -a "$0" /run/xtables "$@"
"""


@dataclass(frozen=True)
class Way:
    """How many writes a whole run makes over a transport."""

    kubernetes: int
    azure: int
    node: int


WAYS = {"ssh": Way(2, 0, 3), "aks_node_pod": Way(11, 0, 3), "vmss_run_command": Way(2, 3, 3)}


@dataclass(frozen=True)
class Moment:
    transport: str
    to: str
    number: int
    death: str

    @property
    def happened(self) -> bool:
        """Before or after the write is carried out, by turns."""
        return bool(zlib.crc32(str((self.transport, self.to, self.number, self.death)).encode()) % 2)

    def __str__(self) -> str:
        return f"{self.transport}-{self.to}-{self.number}-{'after' if self.happened else 'before'}-{self.death}"


MOMENTS = [
    Moment(transport, to, number, death)
    for transport, way in WAYS.items()
    for to, writes in (("kubernetes", way.kubernetes), ("azure", way.azure), ("node", way.node))
    for number in range(1, writes + 1)
    for death in DEATHS
]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A cluster of one node, without pods."""
    with running("killed-cleanup") as sandbox:
        folder = tmp_path_factory.mktemp("operator")
        sandbox.exec("az", "group", "create", "-n", GROUP, "-l", "westeurope")
        sandbox.exec("az", "aks", "create", "-g", GROUP, "-n", "one", "--node-count", "1", "--generate-ssh-keys")
        operator = Operator(sandbox, folder, {})
        operator.kubeconfig(GROUP, "one")
        ((name, address),) = operator.addresses().items()
        world = World(operator, (name,), (address,))
        let_through(operator)
        world.ssh(0, f"cat > /run/wrapper <<'END'\n{PROGRAM}END\nchmod 755 /run/wrapper")
        # The name of each program is a link to one file.
        world.ssh(
            0, "real=$(readlink -f $(command -v iptables)); cp $real /run/xtables; mount --bind /run/wrapper $real"
        )
        yield world


def options(world: World, transport: str) -> dict[str, Any]:
    return {
        "pod_identity_resource_group": GROUP,
        "pod_identity_cluster_name": "one",
        "pod_identity_kubeconfig": str(world.operator.directory / "through"),
        "imds_node_cleanup_transports": [transport],
        "imds_node_cleanup_artifact_target": str(world.folder / "saved"),
        "ansible_vmss_run_command_poll_interval": 0.3,
    }


def lay(world: World, at: str = "") -> None:
    forget = "rm -f /run/turn /run/removals /run/reached /run/at; touch /run/turn /run/removals"
    world.ssh(0, f"{TAKE_AWAY}\n{forget}; echo {shlex.quote(at)} > /run/at")
    world.lay(0)


def removals(world: World) -> list[str]:
    return world.ssh(0, "cat /run/removals").splitlines()


def let_go(world: World, held: Gate) -> None:
    """What waits for an answer gets none, and what comes now is not held."""
    held.let_go()
    world.ssh(0, "rm -f /run/at")
    world.sandbox.run("azure", "fault", "--clear")


CLEANUP = "azureops.pod_identity.cleanup_nodes"


@pytest.mark.soak
@pytest.mark.parametrize("transport", WAYS)
def test_every_write_is_a_moment(world: World, transport: str) -> None:
    lay(world)
    world.operator.forget_requests()
    with gate(world.operator, world.kubeconfig) as passed:
        run = world.play(CLEANUP, **options(world, transport))
        assert (run.status, run.outcomes) == (0, ["cleaned"]), run.output[-4000:]
        writes = passed.writes()
    azure = world.operator.azure_writes()
    found = Way(len(writes), len(azure), len(removals(world)))
    assert found == WAYS[transport], "\n".join((str(found), *writes, *azure, *removals(world)))


@pytest.mark.soak
@pytest.mark.parametrize("moment", MOMENTS, ids=str)
def test_the_next_run_makes_up_for_a_killed_one(world: World, moment: Moment) -> None:
    before = foreign(world.rules(0))
    where = "after" if moment.happened else "before"
    world.sandbox.run("azure", "fault", "--clear")  # one that an earlier moment did not come to
    lay(world, f"{moment.number} {where}" if moment.to == "node" else "")
    world.operator.forget_requests()
    number = moment.number if moment.to == "kubernetes" else 0
    with gate(world.operator, world.kubeconfig, number, after=moment.happened) as held:
        if moment.to == "azure":
            chosen = (*AZURE_WRITES, "--nth", str(moment.number), *(["--after"] if moment.happened else []))
            world.sandbox.run("azure", "fault", "--remote", WORKSTATION_ADDRESS, "--hang", *chosen)
        reached: dict[str, Callable[[], bool]] = {
            "kubernetes": held.reached,
            "azure": lambda: any(each["fault"] for each in world.operator.requests()),
            "node": lambda: world.ssh(0, "find /run -maxdepth 1 -name reached") != "",
        }
        run = world.operator.play_after_death(
            *(CLEANUP, reached[moment.to], moment.death, "-u", "root"),
            what=str(moment),
            variables=options(world, moment.transport),
            meanwhile=lambda: let_go(world, held),
        )
        assert run.status == 0 and run.outcomes in (["cleaned"], ["clean"]), run.output[-4000:]
        assert private_files(world.operator) == []
        rules = world.rules(0)
        assert foreign(rules) == before and not any("aad-metadata" in rule for rule in rules)
        again = world.play(CLEANUP, **options(world, moment.transport))
        assert (again.status, again.outcomes, again.changes()) == (0, ["clean"], []), again.output[-4000:]
    # The run asks for the end of the namespace, which takes some seconds longer; the cluster's garbage collector takes
    # the pod of a deleted Job.
    world.until_no_node_access()
    eventually(lambda: "pod-identity" not in left(world) and "job" not in left(world))


def left(world: World) -> str:
    return world.kubectl("get", "jobs,pods,namespaces", "-A", "-o", "name")
