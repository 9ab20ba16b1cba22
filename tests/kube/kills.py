# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Playbooks that die while they wait for the answer to a write, and what they leave.

The cluster in Azure is the API server of the tests, whose kubeconfig AKS hands out. It has no nodes and no MIC.
"""

from __future__ import annotations

import contextlib
import re
import subprocess
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.client import Client
from ansible_collections.azureops.pod_identity.tests import deaths
from ansible_collections.azureops.pod_identity.tests.deaths import ALL, INTERRUPT, WORKER
from ansible_collections.azureops.pod_identity.tests.kube import obstacles, server
from ansible_collections.azureops.pod_identity.tests.kube.gates import BUT_LEASES, LEASES
from ansible_collections.azureops.pod_identity.tests.kube.server import ADMIN, ApiServer
from ansible_collections.azureops.pod_identity.tests.kube.test_uninstall_addon import Aks
from ansible_collections.azureops.pod_identity.tests.unit.roles.players import Player, Tasks, finish, kill
from ansible_collections.azureops.pod_identity.tests.wire.modules.processes import READING_POSTS, WRITES, Modules
from azsandbox.azure.compute import ClusterSpec
from azsandbox.azure.loopback import SimulatedAzure
from azsandbox.azure.state import CLUSTER

PLANTED = "planted-client-secret"
"""A secret among the values of the chart."""
AZURE, KUBERNETES, LEASE = "azure", "kubernetes", "lease"
"""Where a write goes. What keeps the cluster for a run counts by itself."""


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


def moments_of_lease(job: str, writes: int) -> Iterator[Moment]:
    """Right after it is taken and renewed, and before it is given back; first and last in each way."""
    for each in moments(job, LEASE, writes, both=True):
        if each.death == ALL:
            chosen = each.happened == (each.number < writes)
        else:
            chosen = each.number in (1, writes)
        if chosen:
            yield each


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
    undo: Callable[[], object] = lambda: None
    """Takes back what a run has done, as its operator would."""

    @property
    def azure(self) -> SimulatedAzure:
        return self.modules.azure

    def play(self, *arguments: str) -> tuple[int, str]:
        status, output = finish(self.start(arguments=arguments), 600)
        return status, " ".join(output.split())

    def start(self, address: str = "", arguments: tuple[str, ...] = ()) -> subprocess.Popen[str]:
        self.compute.address = address
        return self.player.start(self.playbook, *self.arguments, *arguments, **self.variables)

    def writes(self) -> dict[str, list[str]]:
        """What a whole run writes, by where it goes."""
        mark = self.modules.mark()
        with obstacles.gate(self.server, chosen="") as gate:
            status, output = finish(self.start(gate.url), 600)
        assert status == 0, output
        leases = [each for each in gate.writes if re.search(LEASES, each)]
        others = [each for each in gate.writes if not re.search(LEASES, each)]
        return {KUBERNETES: others, LEASE: leases, AZURE: self.modules.writes(mark)}

    def die(self, moment: Moment) -> None:
        """Run it until that write, and let it die there."""
        at = 0 if moment.to == AZURE else moment.number
        chosen = LEASES if moment.to == LEASE else BUT_LEASES
        if moment.to == AZURE:
            path = f"^(?!.*({'|'.join(READING_POSTS)}))"
            self.modules.fault(",".join(WRITES), path, nth=moment.number, hang=True, after=moment.happened, count=1)
        mark = self.modules.mark()
        with obstacles.gate(self.server, at, after=moment.happened, chosen=chosen) as gate:
            play = self.start(gate.url)

            def reached() -> bool:
                return gate.reached.is_set() or any(each["fault"] for each in self.modules.requests(mark))

            try:
                server.until("the run has come to that write", lambda: reached() or play.poll() is not None, 600)
                assert reached(), play.communicate()[0]
                members = deaths.strike(play.pid, moment.death)
                status, output = finish(play, 600)
                assert status != 0, output
                assert moment.death == ALL or self.left() == [], output
            finally:
                if play.poll() is None:
                    kill(play)
        self.azure.control("DELETE", "/faults")
        deaths.end(members, moment.death)

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
