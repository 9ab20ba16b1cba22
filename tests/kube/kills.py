# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Playbooks that die while they wait for the answer to a write, and what they leave.

The cluster in Azure is the API server of the tests, whose kubeconfig AKS hands out. It has no nodes and no MIC.
"""

from __future__ import annotations

import contextlib
import json
import re
import threading
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.names import MIGRATION
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.client import Client
from ansible_collections.azureops.pod_identity.tests.kube import obstacles
from ansible_collections.azureops.pod_identity.tests.kube.addon import Aks
from ansible_collections.azureops.pod_identity.tests.kube.gates import BUT_LEASES, LEASES, Gate
from ansible_collections.azureops.pod_identity.tests.support import api_server as server
from ansible_collections.azureops.pod_identity.tests.support import kill_modes as deaths
from ansible_collections.azureops.pod_identity.tests.support.api_server import ADMIN, ApiServer
from ansible_collections.azureops.pod_identity.tests.support.kill_modes import ALL, INTERRUPT, WORKER
from ansible_collections.azureops.pod_identity.tests.support.modules import READING_POSTS, WRITES, Modules
from ansible_collections.azureops.pod_identity.tests.support.players import Play, Player, Tasks, finish, kill
from azsandbox.azure.compute import ClusterSpec
from azsandbox.azure.faults import Faults, Rule
from azsandbox.azure.loopback import SimulatedAzure
from azsandbox.azure.state import CLUSTER

PLANTED = "planted-client-secret"
"""A secret among the values of the chart."""
AZURE, KUBERNETES, LEASE = "azure", "kubernetes", "lease"
"""Where a write goes. What keeps the cluster for a run counts by itself."""
OF_A_RUN = re.compile(
    r"(?<=continue=)[^&]+|(?<=resourceVersion=)\d+|(?<=\?hash=)\w+|\d{8}t\d{6}z"
    r"|(?<=pod-identity-probe-)[a-z0-9]{5}|(?<=pod-identity-demo-)[a-z0-9]{8}",
    re.IGNORECASE,
)
"""What is drawn by lot in addresses of an API server, and what is of a moment."""


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
    """It publishes the keys of the API server. ``address``: where clients are told that this is."""

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

    async def issuer_keys(self, cluster_id: str) -> dict[str, object]:
        return dict(self.server.issuer_keys())


_PROBE = "pod-identity-probe-"


class Ahead:
    """Tells of each write whether a run before has come to it; the first to which none has is held.

    Of those to an API server, told apart by method, path, the name of what is created and the mark of what is migrated,
    as many are known as a run has made. One to Azure that was carried out no run makes again, unless it is ``undone``
    in between: whichever comes is another one. A probe behind the first mark is another one than a probe before it.
    Writes of Leases do not count. Where ``holding`` is false none is held.
    """

    def __init__(self, *, holding: bool = True, undone: bool = False) -> None:
        self.deaths: list[str] = []
        """The writes at which runs died."""
        self.carried_out: Counter[str] = Counter()
        """Those of them that were carried out before."""
        self.beside: Counter[str] = Counter()
        """What was written while one was held: beside it, or after Ctrl-C."""
        self.held = ""
        self.made: Counter[str] = Counter()
        """The writes of the last run until one was held."""
        self.undone = undone
        self._holding = holding
        self._known: Counter[str] = Counter()
        self._marks: set[str] = set()
        self._held_marks = False
        self._lock = threading.Lock()

    def begin(self) -> None:
        """Another run begins."""
        self.held, self.made = "", Counter()
        if self.undone:
            self._marks.clear()

    def holds(self, write: str, *, repeated: bool, marks: bool = False) -> bool:
        """``repeated``: whether a run may make again what one before has made. ``marks``: it leaves a mark."""
        with self._lock:
            if _PROBE in write and self._marks:
                write = f"{write} behind marks"
            if self.held:
                self.beside[write] += 1
                return False
            self.made[write] += 1
            if not self._holding or (repeated and self.made[write] <= self._known[write]):
                self._marks |= {write} if marks else set()
                return False
            self.held, self._held_marks = write, marks
            return True

    def died(self, *, after: bool) -> None:
        """The run died where it was held."""
        self.deaths.append(self.held)
        self.made[self.held] -= not after
        self.carried_out[self.held] += after
        self._known |= self.made
        if after and self._held_marks:
            self._marks.add(self.held)


class GateAhead(Gate):
    """``cluster``: tells writes to several of them apart."""

    def __init__(self, api_server: ApiServer, ahead: Ahead, *, after: bool, cluster: str = "") -> None:
        super().__init__(api_server.url, api_server.ca, 1, after=after)
        self._ahead, self._cluster = ahead, cluster

    def number(self, method: str, path: str, body: bytes) -> int:
        if not super().number(method, path, body):
            return 0
        told = _told(method, body)
        write = f"{self._cluster} {method} {path.partition('?')[0]} {told}".lstrip()
        marks = bool(told) and method != "POST"
        return int(self._ahead.holds(OF_A_RUN.sub("DRAWN", write), repeated=True, marks=marks))


def _told(method: str, body: bytes) -> str:
    """What tells a write from others to its address: the name of what is created, the mark of a migration.

    What helm writes of releases is protobuf.
    """
    try:
        metadata = json.loads(body)["metadata"]
    except (ValueError, KeyError, TypeError):
        return ""
    if method == "POST":
        return str(metadata.get("name", ""))
    return str((metadata.get("annotations") or {}).get(MIGRATION) or "")


class FaultsAhead(Faults):
    """The faults of a simulated Azure, for a block."""

    def __init__(self, azure: SimulatedAzure, ahead: Ahead, *, after: bool) -> None:
        super().__init__()
        self._azure, self._ahead = azure, ahead
        self._rule = Rule(hang=True, after=after)

    def hit(self, method: str, target: str, remote: str) -> Rule | None:
        path = target.partition("?")[0]
        writes = method in WRITES and not any(part in path.lower() for part in READING_POSTS)
        repeated = self._ahead.undone
        return self._rule if writes and self._ahead.holds(f"{method} {path}", repeated=repeated) else None

    @contextlib.contextmanager
    def standing(self) -> Iterator[None]:
        web = self._azure.server

        def put(faults: Faults) -> None:
            web.faults = faults

        before = web.faults
        self._azure.in_loop(lambda: put(self))
        try:
            yield
        finally:
            self._azure.in_loop(lambda: put(before))


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

    def start(self, address: str = "", arguments: tuple[str, ...] = ()) -> Play:
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

            def reached() -> bool:
                return gate.reached.is_set() or any(each["fault"] for each in self.modules.requests(mark))

            ended, output = self._strike(self.start(gate.url), moment.death, reached)
            assert ended, output
        self.azure.control("DELETE", "/faults")
        deaths.end(ended, moment.death)

    def die_ahead(self, ahead: Ahead, death: str, *, after: bool) -> str:
        """Run it until a write to which no run before has come, and let it die there.

        If there is none, what the run said that has ended.
        """
        mark = self.modules.mark()
        with self._ahead(ahead, after=after) as gate:

            def reached() -> bool:
                return gate.reached.is_set() or any(each["fault"] for each in self.modules.requests(mark))

            ended, output = self._strike(self.start(gate.url), death, reached)
        deaths.end(ended, death)
        if not ended:
            assert not ahead.held, f"{ahead.held} was held, and nothing waited for it: {output}"
            return " ".join(output.split())
        ahead.died(after=after)
        return ""

    def whole(self) -> Counter[str]:
        """What a run writes to which nothing happens, told as those at which one dies ahead."""
        ahead = Ahead(holding=False)
        with self._ahead(ahead) as gate:
            status, output = finish(self.start(gate.url), 600)
        assert status == 0, output
        return ahead.made

    @contextlib.contextmanager
    def _ahead(self, ahead: Ahead, *, after: bool = False) -> Iterator[Gate]:
        """For the block it is asked of each write."""
        ahead.begin()
        gate = GateAhead(self.server, ahead, after=after)
        with obstacles.opened(self.server, gate), FaultsAhead(self.azure, ahead, after=after).standing():
            yield gate

    def _strike(self, play: Play, death: str, reached: Callable[[], bool]) -> tuple[list[int], str]:
        """Let a play die when it is there: what is to end with it, or nothing where it has ended before; its output."""
        members: list[int] = []
        try:
            server.until("the run has come to that write", lambda: reached() or play.poll() is not None, 600)
            if reached():
                members = deaths.strike(play.pid, death)
            status, output = finish(play, 600)
            if members:
                assert status != 0, output
                assert death == ALL or self.left() == [], output
        finally:
            if play.poll() is None:
                kill(play)
        return members, output

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


class SoonAtWork(World):
    """Whose plays are begun in less time."""

    def start(self, address: str = "", arguments: tuple[str, ...] = ()) -> Play:
        self.compute.address = address
        return self.player.begin(self.playbook, *self.arguments, *arguments, **self.variables)


def _is_secret(path: Path, secrets: tuple[bytes, ...]) -> bool:
    with contextlib.suppress(FileNotFoundError):
        content = path.read_bytes() if path.is_file() else b""
        return any(each in content for each in secrets)
    return False
