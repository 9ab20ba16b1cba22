# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbook migrate over three clusters whose workloads have one identity: three real API servers and one Azure.

Each has the same namespace with the same two workloads, so that subjects differ by their issuer alone. The identity has
credentials for clusters that are none of these besides.
"""

from __future__ import annotations

import contextlib
import json
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.installation import (
    workload_identity_webhook as of_chart,
)
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.kubernetes.lease import NAME
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube import kinds
from ansible_collections.azureops.pod_identity.tests.kube import kills, migration_site
from ansible_collections.azureops.pod_identity.tests.kube.dying_jobs import WAYS, dying
from ansible_collections.azureops.pod_identity.tests.kube.killed_jobs import Job, playbook
from ansible_collections.azureops.pod_identity.tests.kube.kills import Ahead, FaultsAhead, GateAhead
from ansible_collections.azureops.pod_identity.tests.kube.objects import create, pair, workload
from ansible_collections.azureops.pod_identity.tests.kube.obstacles import opened
from ansible_collections.azureops.pod_identity.tests.support import api_server as server
from ansible_collections.azureops.pod_identity.tests.support import workload_identity
from ansible_collections.azureops.pod_identity.tests.support.api_server import ApiServer
from ansible_collections.azureops.pod_identity.tests.support.modules import Modules
from ansible_collections.azureops.pod_identity.tests.support.players import Player
from azsandbox.azure.loopback import SimulatedAzure
from azsandbox.azure.state import CLUSTER

IDENTITY = "/resourceGroups/rg/providers/Microsoft.ManagedIdentity/userAssignedIdentities/money"
CREDENTIALS, VERSION = f"{IDENTITY}/federatedIdentityCredentials", "2023-01-31"
PREFIX = "workload_identity_migration"
CLUSTERS = ("east", "north", "west")
SHOP, WORKLOADS = "shop", ("api", "web")
ROOM = 20 - len(CLUSTERS) * len(WORKLOADS)
"""So many credentials for others leave it just enough."""


class Clusters(kills.Cluster):
    """Each is one of the API servers. ``gates``: where clients are told that some of them are."""

    def __init__(self, servers: dict[str, ApiServer]) -> None:
        super().__init__(next(iter(servers.values())))
        self.servers, self.gates = servers, dict[str, str]()

    async def kubeconfig(self, cluster_id: str, admin: bool) -> bytes:
        name = cluster_id.rpartition("/")[2]
        return Path(self.servers[name].kubeconfig(server=self.gates.get(name, ""))).read_bytes()

    async def issuer_keys(self, cluster_id: str) -> dict[str, object]:
        return dict(self.servers[cluster_id.rpartition("/")[2]].issuer_keys())


@dataclass
class Fleet(kills.SoonAtWork):
    """Its writes are those to all of the API servers."""

    servers: dict[str, ApiServer] = field(default_factory=dict)

    @contextlib.contextmanager
    def _ahead(self, ahead: Ahead, *, after: bool = False) -> Iterator[GateAhead]:
        ahead.begin()
        assert isinstance(self.compute, Clusters)
        reached = threading.Event()
        with contextlib.ExitStack() as ends:
            for name, api_server in self.servers.items():
                gate = GateAhead(api_server, ahead, after=after, cluster=name)
                gate.reached = reached
                ends.enter_context(opened(api_server, gate))
                self.compute.gates[name] = gate.url
            ends.callback(self.compute.gates.clear)
            ends.enter_context(FaultsAhead(self.azure, ahead, after=after).standing())
            yield gate

    # what there is

    def credentials(self) -> dict[str, tuple[str, str]]:
        """Issuer and subject of each, by its name."""
        found = self.azure.arm("GET", CREDENTIALS, version=VERSION).json()["value"]
        return {each["name"]: (each["properties"]["issuer"], each["properties"]["subject"]) for each in found}

    def trust(self, number: int) -> None:
        """A credential for a service account of a cluster that is none of these."""
        properties = {
            "issuer": "https://gone.example/",
            "subject": _subject(f"old{number}"),
            "audiences": [of_chart.AUDIENCE],
        }
        made = self.azure.arm("PUT", f"{CREDENTIALS}/old{number}", {"properties": properties}, version=VERSION)
        made.raise_for_status()

    def prepared(self) -> dict[str, list[str]]:
        """By cluster, the service accounts that tell the client id of the identity."""
        client_id = self.azure.arm("GET", IDENTITY).json()["properties"]["clientId"]
        return {
            name: [
                each["metadata"]["name"]
                for each in api_server.client().list_all(kinds.SERVICE_ACCOUNT, SHOP)
                if each["metadata"].get("annotations", {}).get(of_chart.CLIENT_ID) == client_id
            ]
            for name, api_server in self.servers.items()
        }

    def require_trust(self) -> None:
        """Of each service account of each cluster, beside what was there."""
        told = self.credentials()
        wanted = [(one.url, _subject(name)) for one in self.servers.values() for name in WORKLOADS]
        others = [("https://gone.example/", _subject(f"old{number}")) for number in range(ROOM)]
        assert sorted(told.values()) == sorted([*wanted, *others])
        assert self.prepared() == dict.fromkeys(CLUSTERS, list(WORKLOADS))
        assert all(one.client().get(kinds.LEASE, "default", NAME) is None for one in self.servers.values())
        assert self.left() == []


def _subject(account: str) -> str:
    return f"system:serviceaccount:{SHOP}:{account}"


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    (tmp_path / "home").mkdir()
    with contextlib.ExitStack() as ends:
        servers = {name: ends.enter_context(server.running()) for name in CLUSTERS}
        compute = Clusters(servers)
        azure = compute.azure = SimulatedAzure(tmp_path, compute=compute)
        ends.callback(azure.close)
        for name in CLUSTERS:
            azure.cluster(name=name, oidcIssuerProfile={"enabled": True})
        azure.in_loop(lambda: _issue(azure, servers))
        identity = azure.arm("PUT", IDENTITY, {"location": "westeurope"}).json()
        migration_site.attach(azure, identity["id"])
        first = servers[CLUSTERS[0]]
        ends.enter_context(workload_identity.running(first))
        for api_server in servers.values():
            _furnish(api_server, identity, first)
        modules = Modules(azure, tmp_path / "home")
        remote = {"ANSIBLE_REMOTE_TMP": str(modules.home / ".ansible/tmp"), "ANSIBLE_SHOW_CUSTOM_STATS": "true"}
        player = Player(tmp_path / "player", {**modules.environment, **remote})
        made = Fleet(modules, first, first.client(), compute, SHOP, player, servers=servers)
        for number in range(ROOM):
            made.trust(number)
        yield made


def _issue(azure: SimulatedAzure, servers: dict[str, ApiServer]) -> None:
    for cluster in azure.server.azure.state.all(CLUSTER):
        cluster.properties["oidcIssuerProfile"]["issuerURL"] = servers[cluster.name].url


def _furnish(api_server: ApiServer, identity: dict[str, Any], webhook: ApiServer) -> None:
    """``webhook``: the cluster whose webhook all of them have, which finds there what is the same in each."""
    client = api_server.client()
    server.install(client, server.definitions())
    client.create(kinds.NAMESPACE, None, {"metadata": {"name": SHOP}})
    pair(client, SHOP, "money", identity["id"], identity["properties"]["clientId"])
    for name in WORKLOADS:
        workload(client, SHOP, name)
    if api_server is not webhook:
        kind, name = kinds.MUTATING_WEBHOOK_CONFIGURATION, workload_identity.CONFIGURATION
        create(client, kind, None, name, webhooks=[workload_identity.entry(webhook)])


def trusting(world: kills.World) -> None:
    """Until the identity trusts the workloads of all clusters."""
    local = {"ansible_connection": "local", "pod_identity_resource_group": "rg"}
    hosts = {name: {**local, "pod_identity_cluster_name": name} for name in CLUSTERS}
    path = world.player.directory / "clusters.json"
    path.write_text(json.dumps({"clusters": {"hosts": hosts}}))
    world.playbook, world.arguments = playbook("migrate"), ("-i", str(path))
    world.variables = {
        "pod_identity_hosts": "clusters",
        f"{PREFIX}_until": "credential",
        f"{PREFIX}_exchange_samples": 1,
    }


def changed(output: str) -> dict[str, str]:
    return dict(re.findall(r"(\w+) +: ok=\d+ +changed=(\d+)", output))


@pytest.mark.soak
@pytest.mark.parametrize("serial", [[], [1, "100%"]], ids=["at once", "in batches"])
def test_one_identity_of_three_clusters_is_never_overfull(fleet: Fleet, serial: list[object]) -> None:
    """What all of them need is counted before anything is written for one; then each gets what it needs."""
    trusting(fleet)
    if serial:
        fleet.variables[f"{PREFIX}_serial"] = serial
    fleet.trust(ROOM)
    mark = fleet.modules.mark()
    status, output = fleet.play()
    assert status == 0 and fleet.modules.writes(mark) == [], output
    sentence = f"has {ROOM + 1} federated credentials and needs 6 more for east, north, west; Azure takes 20"
    assert sentence in output and '"6 blocked"' not in output, output
    table = output.partition("TASK [Show the plans of all clusters]")[2].partition("TASK [")[0]
    assert table.count("2 blocked") == 3, table
    strays = output.partition("TASK [Show credentials for clusters that are none of these")[2].partition("TASK [")[0]
    assert strays.count("https://gone.example/") == ROOM + 1 and fleet.servers["east"].url not in strays, strays

    fleet.azure.arm("DELETE", f"{CREDENTIALS}/old{ROOM}", version=VERSION).raise_for_status()
    status, output = fleet.play("--check")
    assert status == 0 and len(fleet.credentials()) == ROOM, output
    status, output = fleet.play()
    assert status == 0, output
    fleet.require_trust()
    status, output = fleet.play()
    assert (status, changed(output)) == (0, dict.fromkeys(CLUSTERS, "0")), output


JOB = Job(trusting, 12, 6)


@pytest.mark.soak
@pytest.mark.parametrize("forks", [1, 5])
@pytest.mark.parametrize("way", WAYS)
def test_each_run_goes_on_where_the_one_before_died(
    fleet: Fleet, record_property: Callable[[str, object], None], way: str, forks: int
) -> None:
    """No credential is lost or written twice, whichever of the writes to the clusters and to Azure was the last.

    With one fork each write is a moment; with several the clusters write beside each other.
    """
    ahead = Ahead()
    trusting(fleet)
    fleet.arguments = (*fleet.arguments, "--forks", str(forks))
    for write in dying(fleet, JOB, WAYS[way], ahead):
        print(f"by {way}: dead at {write}")
        assert len(fleet.credentials()) <= 20
    record_property("deaths of a fleet", len(ahead.deaths))
    seen = set(ahead.deaths) if forks == 1 else {*ahead.deaths, *ahead.beside}
    for kind in ("federatedIdentityCredentials/azureops-", "PATCH /api/v1/namespaces/shop/serviceaccounts/"):
        assert len([each for each in seen if kind in each]) == len(CLUSTERS) * len(WORKLOADS), seen
    fleet.require_trust()
    status, output = fleet.play()
    assert (status, changed(output)) == (0, dict.fromkeys(CLUSTERS, "0")), output
