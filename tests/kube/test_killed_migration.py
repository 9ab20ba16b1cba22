# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbook migrate that dies at one of its writes, to Azure and to the API server, on the way there or back.

Whatever it left, the next run comes to the same end as one that was not disturbed, and the way back brings all of it
back. A moment of a sample has a world of its own. In the long form runs die at all writes, one after the other in one
world; and each write by itself is a moment, too.
"""

from __future__ import annotations

import contextlib
import json
import re
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.kubernetes.jobs import has_ended
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.kubernetes.lease import NAME
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.names import MIGRATION
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube import kinds
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.client import Client
from ansible_collections.azureops.pod_identity.tests.kube import (
    killed_jobs,
    kills,
    migration_nodes,
    migration_site,
    rollouts,
)
from ansible_collections.azureops.pod_identity.tests.kube.dying_jobs import (
    WAYS,
    dying,
    in_all_worlds,
    require_each,
    require_end,
)
from ansible_collections.azureops.pod_identity.tests.kube.killed_jobs import CHART, Job, playbook
from ansible_collections.azureops.pod_identity.tests.kube.kills import (
    AZURE,
    KUBERNETES,
    Ahead,
    Moment,
    SoonAtWork,
    moments,
    moments_of_lease,
)
from ansible_collections.azureops.pod_identity.tests.kube.objects import create, pair, workload
from ansible_collections.azureops.pod_identity.tests.support import api_server as server
from ansible_collections.azureops.pod_identity.tests.support import workload_identity
from ansible_collections.azureops.pod_identity.tests.support.api_server import ApiServer
from ansible_collections.azureops.pod_identity.tests.support.kill_modes import ALL, DEATHS
from ansible_collections.azureops.pod_identity.tests.support.modules import Modules
from ansible_collections.azureops.pod_identity.tests.support.players import Player
from ansible_collections.azureops.pod_identity.tests.support.workload_identity import CONFIGURATION
from azsandbox.azure.compute import ClusterSpec
from azsandbox.azure.loopback import SimulatedAzure
from azsandbox.azure.state import CLUSTER

IDENTITY = "/resourceGroups/rg/providers/Microsoft.ManagedIdentity/userAssignedIdentities/money"
CREDENTIALS_VERSION = "2023-01-31"
WORKLOADS = ("plain", "web")
PREFIX = "workload_identity_migration"

State = dict[str, Any]
Worlds = Callable[[], contextlib.AbstractContextManager[SoonAtWork]]


class Cluster(kills.Cluster):
    """Its issuer is that of the API server. The webhook runs before AKS brings it."""

    async def update(self, spec: ClusterSpec) -> None:
        await super().update(spec)
        self.issue()
        client = self.server.client()
        if spec.workload_identity and client.get(kinds.MUTATING_WEBHOOK_CONFIGURATION, None, CONFIGURATION) is None:
            workload_identity.register(self.server)

    def issue(self) -> None:
        """The service accounts have been signed by it all the time, so that it is no other once it is enabled."""
        assert self.azure is not None
        for cluster in self.azure.server.azure.state.all(CLUSTER):
            if cluster.properties["oidcIssuerProfile"]["enabled"]:
                cluster.properties["oidcIssuerProfile"]["issuerURL"] = self.server.url


def state(world: kills.World) -> State:
    """All that a migration changes, by what it is called in every world."""
    client, namespace = world.client, world.namespace
    workloads = {
        each["metadata"]["name"]: {"spec": each["spec"], "kept": each["metadata"].get("annotations", {}).get(MIGRATION)}
        for each in client.list_all(kinds.DEPLOYMENT, namespace)
    }
    accounts = {each["metadata"]["name"]: _told(each) for each in client.list_all(kinds.SERVICE_ACCOUNT, namespace)}
    of_cluster = [each for each in client.list_all(kinds.CLUSTER_ROLE_BINDING) if namespace in json.dumps(each)]
    bindings = {
        re.sub("-[0-9a-f]{8}$", "-DIGEST", each["metadata"]["name"]): _told(each)
        for each in (*client.list_all(kinds.ROLE_BINDING, namespace), *of_cluster)
    }
    found = world.azure.arm("GET", f"{IDENTITY}/federatedIdentityCredentials", version=CREDENTIALS_VERSION)
    credentials = {
        each["properties"]["subject"]: (each["properties"]["issuer"], each["properties"]["audiences"])
        for each in found.json()["value"]
    }
    # Those that have ended the cluster takes away.
    probes = [each["metadata"]["name"] for each in client.list_all(kinds.JOB, namespace) if not is_going(each)]
    seen = {
        "workloads": workloads,
        "accounts": accounts,
        "bindings": bindings,
        "credentials": credentials,
        "probes": probes,
        "lease": client.get(kinds.LEASE, "default", NAME),
        "issuer": has_issuer(world),
        "webhook": client.get(kinds.MUTATING_WEBHOOK_CONFIGURATION, None, CONFIGURATION) is not None,
    }
    client_id = world.azure.arm("GET", IDENTITY).json()["properties"]["clientId"]
    words = {namespace: "NAMESPACE", world.server.url: "ISSUER", client_id: "CLIENT_ID"}
    text = json.dumps(seen, sort_keys=True)
    for word, name in words.items():
        text = text.replace(word, name)
    return dict(json.loads(text))


def set_issuer(world: kills.World) -> None:
    def enable() -> None:
        (found,) = world.azure.server.azure.state.all(CLUSTER)
        found.properties["oidcIssuerProfile"] = {"enabled": True, "issuerURL": world.server.url}

    world.azure.in_loop(enable)


def has_issuer(world: kills.World) -> bool:
    (found,) = world.azure.in_loop(lambda: list(world.azure.server.azure.state.all(CLUSTER)))
    return bool(found.properties["oidcIssuerProfile"]["enabled"])


def is_going(job: State) -> bool:
    return has_ended(job) and "ttlSecondsAfterFinished" in job["spec"]


def _told(raw: State) -> State:
    kept = {key: each for key, each in raw.items() if key != "metadata"}
    metadata = {key: raw["metadata"].get(key) for key in ("labels", "annotations")}
    return {**kept, **{key: each for key, each in metadata.items() if each}}


@contextlib.contextmanager
def new_world(api_server: ApiServer, folder: Path) -> Iterator[SoonAtWork]:
    """Two workloads of one identity, one of which has the service account default, with rights; all run."""
    (folder / "home").mkdir()
    client, compute = api_server.client(), Cluster(api_server)
    with contextlib.ExitStack() as ends:
        azure = compute.azure = SimulatedAzure(folder, compute=compute)
        ends.callback(azure.close)
        modules = Modules(azure, folder / "home")
        azure.cluster(name="demo")
        namespace = ends.enter_context(server.own_namespace(client))
        ends.callback(killed_jobs.clear, api_server, client)
        ends.enter_context(workload_identity.running(api_server))
        node = ends.enter_context(migration_nodes.running(api_server, azure, folder))
        player = Player(
            folder / "player", {**modules.environment, "ANSIBLE_REMOTE_TMP": str(modules.home / ".ansible/tmp")}
        )
        world = SoonAtWork(modules, api_server, client, compute, namespace, player)
        server.install(client, server.definitions())
        api_server.helm("install", CHART, "CHART", "--namespace", "default")
        identity = azure.arm("PUT", IDENTITY, {"location": "westeurope"}).json()
        migration_site.attach(azure, identity["id"])
        client_id = node.client_ids[namespace] = identity["properties"]["clientId"]
        pair(client, namespace, "money", identity["id"], client_id)
        _rights(client, namespace)
        for name in WORKLOADS:
            workload(client, namespace, name, "default" if name == "plain" else "")
        server.until("the workloads run", lambda: _all_run(client, namespace))
        yield world


def _rights(client: Client, namespace: str) -> None:
    """Of the service account default."""
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"}
    subjects = [{"kind": "ServiceAccount", "name": "default", "namespace": namespace}]
    create(client, kinds.ROLE_BINDING, namespace, "reads", roleRef=role, subjects=subjects)
    discovers = {**role, "name": "system:discovery"}
    create(client, kinds.CLUSTER_ROLE_BINDING, None, f"reads-{namespace}", roleRef=discovers, subjects=subjects)


def _all_run(client: Client, namespace: str) -> bool:
    found = client.list_all(kinds.DEPLOYMENT, namespace)
    return all((each.get("status") or {}).get("availableReplicas") == 1 for each in found)


@pytest.fixture
def worlds(tmp_path: Path) -> Worlds:
    """Makes one with an API server of its own, so that no pod of a namespace that is going comes to its node."""

    @contextlib.contextmanager
    def new() -> Iterator[SoonAtWork]:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        with server.running(*rollouts.CONTROLLERS) as api_server, new_world(api_server, folder) as made:
            yield made

    return new


@pytest.fixture
def world(worlds: Worlds) -> Iterator[SoonAtWork]:
    with worlds() as made:
        yield made


# what is run


def _require(world: kills.World, end: State) -> None:
    assert state(world) == end


def enable_issuer(world: kills.World) -> None:
    world.playbook = playbook("migrate")
    world.variables = {
        "pod_identity_cluster_name": "demo",
        "pod_identity_resource_group": "rg",
        "pod_identity_cluster_poll_interval": 0.1,
        f"{PREFIX}_namespaces": [world.namespace],
        f"{PREFIX}_until": "issuer",
        f"{PREFIX}_enable_issuer": True,
        f"{PREFIX}_exchange_samples": 1,
    }
    world.reached = partial(_require, world, {**state(world), "issuer": True})


def enable_webhook(world: kills.World) -> None:
    """In a cluster that has an issuer."""
    enable_issuer(world)
    set_issuer(world)
    end = state(world)
    world.client.delete(kinds.MUTATING_WEBHOOK_CONFIGURATION, None, CONFIGURATION)
    world.variables |= {f"{PREFIX}_until": "webhook", f"{PREFIX}_enable_webhook": True}

    world.reached = partial(_require, world, end)


def there(world: kills.World) -> None:
    """Until both have left AAD Pod Identity, in a cluster that has an issuer."""
    enable_issuer(world)
    set_issuer(world)
    end = moved(state(world))
    world.variables |= {
        f"{PREFIX}_until": "leave",
        f"{PREFIX}_confirm": "demo",
        f"{PREFIX}_soak_seconds": 1,
        f"{PREFIX}_shorten_soak": True,
    }

    world.reached = partial(_require, world, end)


def back(world: kills.World) -> None:
    """The way back of both, which have left."""
    there(world)
    before = state(world)
    succeed(world)
    world.reached()
    undo(world)

    world.reached = partial(_require, world, before)


def undo(world: kills.World) -> None:
    for name in ("until", "confirm"):
        world.variables.pop(f"{PREFIX}_{name}", None)
    world.variables[f"{PREFIX}_undo"] = True


def succeed(world: kills.World) -> None:
    status, output = world.play()
    assert status == 0, output


def moved(before: State) -> State:
    """What comes of a world."""
    after: State = json.loads(json.dumps(before))
    client_id = {"azure.workload.identity/client-id": "CLIENT_ID"}
    labels = {"app.kubernetes.io/managed-by": "azureops.pod_identity", "azureops.pod-identity/owner": "default"}
    subject = {"kind": "ServiceAccount", "name": "default-money", "namespace": "NAMESPACE"}
    for name, account in (("plain", "default-money"), ("web", "web")):
        template = after["workloads"][name]["spec"]["template"]
        del template["metadata"]["labels"]["aadpodidbinding"]
        template["metadata"]["labels"]["azure.workload.identity/use"] = "true"
        template["spec"].update(serviceAccountName=account, serviceAccount=account)
        kept = {"aadpodidbinding": "NAMESPACE", "label": None}
        if name == "plain":
            kept |= {"service_account": "default", "service_account_set": account}
        after["workloads"][name]["kept"] = _packed(kept)
        trusted = ["ISSUER", ["api://AzureADTokenExchange"]]
        after["credentials"][f"system:serviceaccount:NAMESPACE:{account}"] = trusted
    after["accounts"]["web"]["annotations"] = {
        **client_id,
        MIGRATION: _packed({"client_id": None, "new_client_id": "CLIENT_ID"}),
    }
    after["accounts"]["default-money"] = {
        "labels": labels,
        "annotations": {**client_id, MIGRATION: _packed({"like": "default"})},
    }
    for name, binding in before["bindings"].items():
        told = {"copy_of": name, "for": "NAMESPACE/default-money"}
        copy = {**binding, "labels": labels, "annotations": {MIGRATION: _packed(told)}, "subjects": [subject]}
        after["bindings"][f"{name}-DIGEST"] = copy
    return after


def _packed(told: State) -> str:
    return json.dumps(told, sort_keys=True, separators=(",", ":"))


JOBS = {
    "issuer": Job(enable_issuer, 0, 1, 3),
    "webhook": Job(enable_webhook, 0, 1, 3),
    "there": Job(there, 22, 2, 10, destroys=True),
    "back": Job(back, 14, 2, 8, destroys=True),
}
GROUP = "killed migration"
SHORT = ("issuer", "webhook", "there")
"""Those that take no whole run before, of which a usual test run takes one."""
BY_HAND = 4
"""In so many moments plays die otherwise than by a power failure once."""


def every_moment() -> Iterator[Moment]:
    """Death of all at each write, before or after it is carried out, by turns; and some in other ways."""
    for name, job in JOBS.items():
        for to in (KUBERNETES, AZURE):
            for each in moments(name, to, job.writes[to], both=False):
                if each.death == ALL or zlib.crc32(str(each).encode()) % (2 * BY_HAND) == 0:
                    yield each
        for each in moments_of_lease(name, job.lease):
            if each.death == ALL:
                yield each


@pytest.mark.soak
@pytest.mark.parametrize("name", JOBS)
def test_every_write_is_a_moment(world: SoonAtWork, name: str) -> None:
    job = JOBS[name]
    job.build(world)
    writes = world.writes()
    told = "\n".join(f"{to}: {len(each)}\n" + "\n".join(each) for to, each in writes.items())
    assert {to: len(each) for to, each in writes.items()} == job.writes, told
    require_end(world)


@pytest.mark.soak
@pytest.mark.parametrize("moment", list(every_moment()), ids=str)
def test_the_next_run_makes_up_for_a_killed_one(world: SoonAtWork, moment: Moment) -> None:
    JOBS[moment.job].build(world)
    world.die(moment)
    killed_jobs.go_on(world)
    require_end(world)


@pytest.mark.soak
@pytest.mark.parametrize("moment", [each for each in every_moment() if each.job == "there"], ids=str)
def test_the_way_back_of_a_killed_run(world: SoonAtWork, moment: Moment) -> None:
    there(world)
    before = state(world)
    world.die(moment)
    undo(world)
    succeed(world)
    assert state(world) == before and world.left() == []


@pytest.mark.soak
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", JOBS)
def test_each_run_goes_on_where_the_one_before_died(
    worlds: Worlds, record_property: Callable[[str, object], None], name: str, way: str
) -> None:
    job, ahead = JOBS[name], Ahead()
    writes = writes_of(worlds, job)
    with worlds() as world:
        job.build(world)
        for _write in dying(world, job, WAYS[way], ahead):
            pass
        record_property(f"deaths of {name}", len(ahead.deaths))
        require_each(world, writes, ahead)
        require_end(world)


@pytest.mark.soak
@pytest.mark.parametrize("death", DEATHS)
def test_the_way_back_from_each_death(
    worlds: Worlds, record_property: Callable[[str, object], None], death: str
) -> None:
    """Of a run that goes there; the next one goes one write further."""
    job, ahead = JOBS["there"], Ahead(undone=True)
    writes = writes_of(worlds, job)
    with worlds() as world:
        there(world)
        before, variables = state(world), dict(world.variables)
        for write in dying(world, job, lambda _job, _number: [(death, True)], ahead):
            undo(world)
            succeed(world)
            assert state(world) == before, write
            world.variables = dict(variables)
        record_property("deaths from which it went back", len(ahead.deaths))
        require_each(world, writes, ahead)


def writes_of(worlds: Worlds, job: Job) -> Counter[str]:
    """Those of a whole run, in a world of its own."""
    with worlds() as world:
        job.build(world)
        writes = in_all_worlds(world, world.whole())
    assert writes.total() == job.kubernetes + job.azure, writes
    return writes
