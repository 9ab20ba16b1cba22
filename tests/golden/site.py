# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The place of a pair: new API servers and a new simulated Azure, where each request of a play is logged with its body.

The play has a user of its own at the API servers, so that what the controllers, a world and the doubles of a node ask
is told apart from what it asks. Names are fixed, because each pair has servers of its own.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.client import Client
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.kinds import (
    MUTATING_WEBHOOK_CONFIGURATION,
    Kind,
)
from ansible_collections.azureops.pod_identity.tests.golden.recording import WRITING, Raw, Took
from ansible_collections.azureops.pod_identity.tests.kube import kills
from ansible_collections.azureops.pod_identity.tests.support import api_server as server
from ansible_collections.azureops.pod_identity.tests.support import workload_identity
from ansible_collections.azureops.pod_identity.tests.support.api_server import RESTRICTED, ApiServer, Processes
from ansible_collections.azureops.pod_identity.tests.support.modules import Modules
from ansible_collections.azureops.pod_identity.tests.support.players import CHECKOUT, Player, Tasks
from azsandbox.azure.compute import ClusterSpec
from azsandbox.azure.loopback import Credentials, SimulatedAzure
from azsandbox.azure.state import CLUSTER

OPERATOR = "operator-token"
USERS = ("operator", "restricted")
"""Those of plays, at the API servers."""
CALLBACKS = Path(__file__).with_name("callback")
WIDE = 100_000
"""Tables have a line for each row then."""


class Recorded(Processes):
    """Its API server logs the bodies of writes, and knows the user of plays."""

    def start(self, name: str, *arguments: str, **variables: str) -> None:
        if name == "kube-apiserver":
            with (self.folder / "tokens.csv").open("a") as tokens:
                tokens.write(f'{OPERATOR},operator,3,"system:masters"\n')
            rules = [
                {"level": "Request", "users": list(USERS), "verbs": list(WRITING)},
                {"level": "Metadata", "users": list(USERS)},
                {"level": "None"},
            ]
            policy = {"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived"]}
            (self.folder / "audit.yml").write_text(
                yaml.safe_dump({**policy, "omitManagedFields": True, "rules": rules})
            )
        super().start(name, *arguments, **variables)


@contextlib.contextmanager
def api_server(*controllers: str) -> Iterator[ApiServer]:
    binaries, _charts = server.programs()
    folder = Path(tempfile.mkdtemp(prefix="golden-"))
    processes = Recorded(binaries, folder)
    try:
        yield server.start(processes, *controllers)
    finally:
        processes.stop()
        shutil.rmtree(folder, ignore_errors=True)


class Cluster(kills.Cluster):
    """Clusters by their names, each of which is one of the API servers. ``token``: of the user whom AKS hands out."""

    def __init__(self, servers: Mapping[str, ApiServer]) -> None:
        super().__init__(next(iter(servers.values())))
        self.servers, self.token = servers, OPERATOR

    def of(self, cluster_id: str) -> ApiServer:
        return self.servers[cluster_id.rpartition("/")[2]]

    async def kubeconfig(self, cluster_id: str, admin: bool) -> bytes:
        return Path(self.of(cluster_id).kubeconfig(self.token)).read_bytes()

    async def issuer_keys(self, cluster_id: str) -> dict[str, object]:
        return dict(self.of(cluster_id).issuer_keys())

    async def update(self, spec: ClusterSpec) -> None:
        await super().update(spec)
        assert self.azure is not None
        for cluster in self.azure.server.azure.state.all(CLUSTER):
            if cluster.properties["oidcIssuerProfile"]["enabled"]:
                cluster.properties["oidcIssuerProfile"]["issuerURL"] = self.of(cluster.id).url
        client = self.server.client()
        name = workload_identity.CONFIGURATION
        if spec.workload_identity and client.get(MUTATING_WEBHOOK_CONFIGURATION, None, name) is None:
            workload_identity.register(self.server)


@dataclass
class Site:
    """``ends``: what is done when the pair is over. ``who``: the user of Azure, by default its owner."""

    folder: Path
    servers: dict[str, ApiServer]
    azure: SimulatedAzure
    compute: Cluster
    modules: Modules
    player: Player
    ends: contextlib.ExitStack
    environment: dict[str, str]
    playbook: Tasks = ""
    arguments: tuple[str, ...] = ()
    variables: Raw = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    """Words for texts that are drawn by lot, beside those that are found in Azure."""

    @property
    def server(self) -> ApiServer:
        return next(iter(self.servers.values()))

    @property
    def client(self) -> Client:
        return self.server.client()

    def log_in(self, who: Credentials) -> None:
        """Let plays begin as somebody else, in Azure."""
        self.environment.update(self.modules.login(who))

    def restrict(self) -> None:
        """Let plays be nobody in particular at the API servers."""
        self.compute.token = RESTRICTED

    def play(self, *arguments: str) -> Took:
        told = self.folder / "told"
        told.write_text("")
        mark = self.modules.mark()
        before = {name: len(one.events()) for name, one in self.servers.items()}
        given = {**self.variables, "pod_identity_table_width": WIDE}
        running = self.player.begin(self.playbook, *self.arguments, *arguments, **given)
        output, _none = running.communicate()
        return Took(
            running.wait(),
            output,
            [json.loads(line) for line in told.read_text().splitlines()],
            self.modules.requests(mark),
            {name: _settled(one)[before[name] :] for name, one in self.servers.items()},
        )

    def succeed(self) -> None:
        """Play it as a part of a world."""
        took = self.play()
        if took.status:
            raise RuntimeError(f"a world could not be made: {took.output}")


def _settled(one: ApiServer) -> list[Raw]:
    """The audit log once nothing is added to it: an answer may be read before its event is written."""
    number = -1
    while number != (number := len(events := one.events())):
        time.sleep(0.3)
    return events


@contextlib.contextmanager
def site(*names: str, controllers: tuple[str, ...] = ()) -> Iterator[Site]:
    """An empty subscription, and API servers for clusters with these names, by default for one that is called demo."""
    with contextlib.ExitStack() as ends:
        folder = Path(ends.enter_context(tempfile.TemporaryDirectory(prefix="golden-site-")))
        (folder / "home").mkdir()
        servers = {name: ends.enter_context(api_server(*controllers)) for name in names or ("demo",)}
        compute = Cluster(servers)
        azure = compute.azure = SimulatedAzure(folder, compute=compute)
        ends.callback(azure.close)
        modules = Modules(azure, folder / "home")
        environment = {
            **modules.environment,
            "ANSIBLE_REMOTE_TMP": str(modules.home / ".ansible/tmp"),
            "ANSIBLE_CALLBACK_PLUGINS": str(CALLBACKS),
            "ANSIBLE_CALLBACKS_ENABLED": "golden",
            "GOLDEN_FILE": str(folder / "told"),
        }
        player = Player(folder / "player", environment)
        # What a world adds ends before the servers do.
        with contextlib.ExitStack() as of_world:
            yield Site(folder, servers, azure, compute, modules, player, of_world, environment)


def playbook(name: str) -> str:
    return str(CHECKOUT / "playbooks" / f"{name}.yml")


def put(client: Client, kind: Kind, namespace: str | None, name: str, **body: Any) -> Raw:
    metadata = {"name": name, **({"namespace": namespace} if namespace else {}), **body.pop("metadata", {})}
    whole = {"apiVersion": kind.api_version, "kind": kind.name, "metadata": metadata, **body}
    return dict(client.create(kind, namespace, whole))
