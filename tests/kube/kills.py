# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Playbooks that die while they wait for the answer to a write, and what they leave.

The cluster in Azure is the API server of the tests, whose kubeconfig AKS hands out. It has no nodes and no MIC.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.client import Client
from ansible_collections.azureops.pod_identity.tests.kube import obstacles, server
from ansible_collections.azureops.pod_identity.tests.kube.server import ADMIN, ApiServer
from ansible_collections.azureops.pod_identity.tests.kube.test_uninstall_addon import Aks
from ansible_collections.azureops.pod_identity.tests.unit.roles.players import Player, Tasks, family, finish, kill
from ansible_collections.azureops.pod_identity.tests.wire.modules.processes import READING_POSTS, WRITES, Modules
from azsandbox.azure.compute import ClusterSpec
from azsandbox.azure.loopback import SimulatedAzure
from azsandbox.azure.state import CLUSTER

ALL, WORKER, INTERRUPT = "all", "worker", "interrupt"
DEATHS = (ALL, WORKER, INTERRUPT)
"""SIGKILL of everything; SIGKILL of the process of the task alone; Ctrl-C."""
PLANTED = "planted-client-secret"
"""A secret among the values of the chart."""
AZURE, KUBERNETES = "azure", "kubernetes"


@dataclass(frozen=True)
class Moment:
    """A write of a playbook that gets no answer; it has ``happened`` all the same, or not."""

    job: str
    to: str
    number: int
    death: str
    happened: bool

    def __str__(self) -> str:
        return f"{self.job}-{self.to}-{self.number}-{'after' if self.happened else 'before'}-{self.death}"


def moments(job: str, to: str, writes: int, *, both: bool) -> Iterator[Moment]:
    """At every write it dies in each way, before or after it is carried out, by turns.

    Where ``both``, it dies as if the power had failed before and after.
    """
    for number in range(1, writes + 1):
        turn = bool(zlib.crc32(f"{job} {to} {number}".encode()) % 2)
        yield Moment(job, to, number, ALL, turn)
        if both:
            yield Moment(job, to, number, ALL, not turn)
        yield Moment(job, to, number, WORKER, turn)
        yield Moment(job, to, number, INTERRUPT, not turn)


class Cluster(Aks):
    """``address``: where clients are told that the API server is."""

    def __init__(self, api_server: ApiServer) -> None:
        super().__init__(api_server)
        self.address = ""
        self.azure: SimulatedAzure | None = None

    async def start(self, spec: ClusterSpec, progress: Callable[[str], None]) -> None:
        await super().start(spec, progress)
        assert self.azure is not None
        for cluster in self.azure.server.azure.state.all(CLUSTER):
            cluster.body["properties"]["fqdn"] = "127.0.0.1"  # so it is proved to be this one

    async def kubeconfig(self, cluster_id: str, admin: bool) -> bytes:
        return Path(self.server.kubeconfig(server=self.address)).read_bytes()


@dataclass
class World:
    """Where a playbook runs again and again, by one operator, whose files are kept from run to run."""

    modules: Modules
    server: ApiServer
    client: Client
    compute: Cluster
    namespace: str
    player: Player
    playbook: Tasks = ""
    arguments: tuple[str, ...] = ()
    variables: dict[str, Any] = field(default_factory=dict)
    reached: Callable[[], object] = lambda: None
    """What a whole run leads to, whatever was killed before."""

    @property
    def azure(self) -> SimulatedAzure:
        return self.modules.azure

    def play(self, *arguments: str) -> tuple[int, str]:
        status, output = finish(self.start(arguments=arguments), 600)
        return status, " ".join(output.split())

    def start(self, address: str = "", arguments: tuple[str, ...] = ()) -> subprocess.Popen[str]:
        self.compute.address = address
        return self.player.start(self.playbook, *self.arguments, *arguments, **self.variables)

    def writes(self) -> tuple[list[str], list[str]]:
        """What a whole run writes to the API server and to Azure."""
        mark = self.modules.mark()
        with obstacles.gate(self.server) as gate:
            status, output = finish(self.start(gate.url), 600)
        assert status == 0, output
        return gate.writes, self.modules.writes(mark)

    def die(self, moment: Moment) -> None:
        """Run it until that write, and let it die there."""
        at = moment.number if moment.to == KUBERNETES else 0
        if moment.to == AZURE:
            path = f"^(?!.*({'|'.join(READING_POSTS)}))"
            self.modules.fault(",".join(WRITES), path, nth=moment.number, hang=True, after=moment.happened, count=1)
        mark = self.modules.mark()
        with obstacles.gate(self.server, at, after=moment.happened) as gate:
            play = self.start(gate.url)

            def reached() -> bool:
                return gate.reached.is_set() or any(each["fault"] for each in self.modules.requests(mark))

            try:
                server.until("the run has come to that write", lambda: reached() or play.poll() is not None, 600)
                assert reached(), play.communicate()[0]
                members = family(play)
                output = die(play, moment.death)
                assert moment.death == ALL or self.left() == [], output
            finally:
                if play.poll() is None:
                    kill(play)
        self.azure.control("DELETE", "/faults")
        end(members, moment.death)

    def left(self) -> list[str]:
        """Files of runs that have ended which only they may read, or with a secret in them."""
        places = (self.player.temporary, self.player.directory / "ansible", self.modules.home)
        return [
            str(path)
            for place in places
            for path in place.rglob("*")
            if path.name.startswith("azureops-pod-identity-") or _is_secret(path, self._secrets)
        ]

    @property
    def _secrets(self) -> tuple[bytes, ...]:
        known = (ADMIN, PLANTED, self.modules.environment["AZURE_SECRET"])
        return tuple(each.encode() for each in known)


def _is_secret(path: Path, secrets: tuple[bytes, ...]) -> bool:
    with contextlib.suppress(FileNotFoundError):
        content = path.read_bytes() if path.is_file() else b""
        return any(each in content for each in secrets)
    return False


def die(play: subprocess.Popen[str], death: str) -> str:
    """End a play in this way; what it printed."""
    if death == ALL:
        kill(play)
        return play.communicate()[0]
    if death == WORKER:
        for worker in Path(f"/proc/{play.pid}/task/{play.pid}/children").read_text().split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(worker), signal.SIGKILL)
    else:  # a terminal sends it to its foreground processes; those of tasks are in groups of their own
        group = os.getpgid(play.pid)
        for each in family(play):
            with contextlib.suppress(ProcessLookupError):
                if os.getpgid(each) == group:
                    os.kill(each, signal.SIGINT)
    status, output = finish(play, 600)
    assert status != 0, output
    return output


def end(members: list[int], death: str) -> None:
    """What a play has started ends with its last request, which is not answered."""
    if death == WORKER:  # a module goes on, and would ask again
        for each in filter(_is_alive, members):
            os.kill(each, signal.SIGKILL)
    server.until(f"all of them have ended: {members}", lambda: not any(map(_is_alive, members)), 30)


def _is_alive(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"
