# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The real MIC as a process, between the API server and the simulated Azure, and worlds for it to look at."""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.azureops.pod_identity.plugins.module_utils._kube import kinds
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.client import Client
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.kinds import Kind
from ansible_collections.azureops.pod_identity.tests.kube.objects import create, manifest, set_status
from ansible_collections.azureops.pod_identity.tests.support import api_server as server
from ansible_collections.azureops.pod_identity.tests.support.api_server import ApiServer, Processes, free_ports
from azsandbox.azure.loopback import SimulatedAzure
from azsandbox.azure.state import INSTANCE

Key = tuple[str, str]
Body = dict[str, Any]
Login = Callable[[SimulatedAzure, str], Body]
"""From an Azure and the resource group of its scale set."""

# Pods of two of them can come to one name: p in team-a, p-team in a.
NAMESPACES = ("default", "a", "team-a")
NODES = ("n0", "n1")
BARRIER = "barrier"
_FINALIZER = "tests.example/kept"


@dataclass(frozen=True)
class World:
    """Objects by kind, and in these by namespace and name; each is metadata, spec and status as far as they matter."""

    identities: Mapping[Key, Body] = field(default_factory=dict)
    bindings: Mapping[Key, Body] = field(default_factory=dict)
    pods: Mapping[Key, Body] = field(default_factory=dict)
    exceptions: Mapping[Key, Body] = field(default_factory=dict)

    def by_kind(self) -> dict[Kind, Mapping[Key, Body]]:
        return {
            kinds.AZURE_IDENTITY: self.identities,
            kinds.AZURE_IDENTITY_BINDING: self.bindings,
            kinds.AZURE_POD_IDENTITY_EXCEPTION: self.exceptions,
            kinds.POD: self.pods,
        }


class Stage:
    """The objects in the API server. ``show`` makes a world of the one that is there."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._world = World()
        there = {raw["metadata"]["name"] for raw in client.list_all(server.NAMESPACE)}
        for name in NAMESPACES:
            if name not in there:
                namespace = manifest(server.NAMESPACE, name)
                client.create(server.NAMESPACE, None, namespace)

    def show(self, world: World) -> None:
        old = self._world.by_kind()
        for kind, after in world.by_kind().items():
            before = old[kind]
            for key in before:
                if key not in after or (kind == kinds.POD and _recreates(before[key], after[key])):
                    self._remove(kind, key, before[key])
            for key, body in after.items():
                if key not in before or (kind == kinds.POD and _recreates(before[key], body)):
                    self._create(kind, key, body)
                elif before[key] != body:
                    self._change(kind, key, body)
        self._world = world

    def assigned(self) -> tuple[Body, ...]:
        """To pods of worlds; other tests leave pods behind."""
        found = self._client.list_all(kinds.AZURE_ASSIGNED_IDENTITY)
        return tuple(one for one in found if one["spec"]["podNamespace"] in NAMESPACES)

    def _create(self, kind: Kind, key: Key, body: Body) -> None:
        namespace, name = key
        metadata = dict(body.get("metadata", {}))
        spec = dict(body["spec"])
        if kind == kinds.POD:
            spec["containers"] = [{"name": "app", "image": "app"}]
            if body.get("deleting"):
                metadata["finalizers"] = [_FINALIZER]
        create(self._client, kind, namespace, name, metadata=metadata, spec=spec)
        if kind == kinds.POD:
            self._set_status(key, body)
            if body.get("deleting"):
                server.end_pod(self._client, *key)

    def _change(self, kind: Kind, key: Key, body: Body) -> None:
        if kind == kinds.POD:
            gone = dict.fromkeys(self._world.pods[key]["metadata"]["labels"])
            self._client.merge(kind, *key, {"metadata": {"labels": {**gone, **body["metadata"]["labels"]}}})
            self._set_status(key, body)
            return
        live = self._client.get(kind, *key) or {}
        metadata = {**live["metadata"], "annotations": body.get("metadata", {}).get("annotations")}
        whole = {**live, "metadata": metadata, "spec": body["spec"]}
        status, answer = self._client._request("PUT", kind.path(*key), (), whole)
        assert status == 200, answer

    def _set_status(self, key: Key, body: Body) -> None:
        set_status(self._client, kinds.POD, *key, **body["status"])

    def _remove(self, kind: Kind, key: Key, body: Body) -> None:
        if kind != kinds.POD:
            self._client.delete(kind, *key)
        elif body.get("deleting"):
            self._client.merge(kind, *key, {"metadata": {"finalizers": None}})
        else:
            server.end_pod(self._client, *key)


class Mic(Stage):
    """A running MIC, and what ``resource_ids`` there are in its Azure. ``show`` waits until it has seen everything.

    ``lock``: the name of its leader's lock, in default. ``log``: a file.
    """

    def __init__(
        self, client: Client, resource_ids: tuple[str, ...], azure: SimulatedAzure, processes: Processes, lock: str
    ) -> None:
        super().__init__(client)
        self.resource_ids = resource_ids
        self.azure = azure
        self.processes = processes
        self.lock = lock
        self.log = processes.folder / "mic.log"
        self._turn = 0
        for kind, spec in (
            (kinds.AZURE_IDENTITY, {"type": 1}),
            (kinds.AZURE_IDENTITY_BINDING, {"azureIdentity": BARRIER, "selector": BARRIER}),
        ):
            client.apply(kind, manifest(kind, BARRIER, "default", spec=spec))

    def show(self, world: World) -> None:
        super().show(world)
        self._pass_barrier()

    def assigned(self) -> tuple[Body, ...]:
        """Every AzureAssignedIdentity but that of the barrier."""
        found = super().assigned()
        return tuple(one for one in found if one["spec"]["azureIdentityRef"]["metadata"]["name"] != BARRIER)

    def _pass_barrier(self) -> None:
        """A pod of ours is behind all others in MIC's watch."""
        self._turn += 1
        key = ("default", f"{BARRIER}-{self._turn}")
        body = {
            "metadata": {"labels": {"aadpodidbinding": BARRIER}},
            "spec": {"nodeName": NODES[0]},
            "status": {"phase": "Running"},
        }
        self._create(kinds.POD, key, body)
        name = f"{key[1]}-default-{BARRIER}"
        server.until("MIC has seen everything", lambda: self._is_assigned(name))
        self._remove(kinds.POD, key, body)

    def _is_assigned(self, name: str) -> bool:
        found = self._client.get(kinds.AZURE_ASSIGNED_IDENTITY, "default", name) or {}
        return (found.get("status") or {}).get("status") == "Assigned"


def _recreates(before: Body, after: Body) -> bool:
    """What cannot be changed of a pod."""
    owners = before["metadata"].get("ownerReferences"), after["metadata"].get("ownerReferences")
    return before["spec"] != after["spec"] or before.get("deleting") != after.get("deleting") or owners[0] != owners[1]


@contextlib.contextmanager
def running(api_server: ApiServer, *flags: str, login: Login | None = None, **variables: str) -> Iterator[Mic]:
    """A MIC with nodes of one scale set of the simulated Azure, which ends with the block.

    ``login``: with what it logs in to Azure where that is not its owner, as in azure.json.
    """
    binaries, _charts = server.programs()
    with tempfile.TemporaryDirectory(prefix="mic-") as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        azure = SimulatedAzure(folder)
        stack.callback(azure.close)
        client = api_server.client()
        group = _nodes(client, azure)
        stack.callback(_remove_nodes, client)
        stack.callback(_take_barrier, client)
        stack.callback(server.clear_assigned, client)
        probe, metrics = free_ports(2)
        lock = f"mic-{probe}"
        stack.callback(client.delete, kinds.ENDPOINTS, "default", lock)
        processes = Processes(binaries, folder)
        stack.callback(processes.stop)
        processes.start(
            "mic",
            f"--kubeconfig={api_server.kubeconfig()}",
            f"--cloudconfig={cloud(azure, group, (login or _owner)(azure, group))}",
            f"--http-probe-port={probe}",
            f"--prometheus-port={metrics}",
            f"--leader-election-name={lock}",
            "--clientQps=1000",
            "--enable-type-upgrade=false",
            *flags,
            MIC_POD_NAMESPACE="default",
            AZURE_ENVIRONMENT_FILEPATH=str(folder / "environment.json"),
            SSL_CERT_FILE=str(azure.ca_file),
            **variables,
        )
        path = "/resourceGroups/rg/providers/Microsoft.ManagedIdentity/userAssignedIdentities/"
        made = [azure.arm("PUT", path + name, {"location": "westeurope"}).json()["id"] for name in ("one", "two")]
        yield Mic(client, tuple(made), azure, processes, lock)


def managed_identity(client_id: str) -> Body:
    """The login with an identity of the node."""
    return {"useManagedIdentityExtension": True, "userAssignedIdentityID": client_id}


def _take_barrier(client: Client) -> None:
    """Other tests find an API server without it."""
    for kind in (kinds.AZURE_IDENTITY_BINDING, kinds.AZURE_IDENTITY):
        client.delete(kind, "default", BARRIER)


def _owner(azure: SimulatedAzure, group: str) -> Body:
    return {"aadClientId": azure.owner.client_id, "aadClientSecret": azure.owner.secret}


def cloud(azure: SimulatedAzure, group: str, login: Body) -> Path:
    """What MIC reads of its cloud. MIC knows a cloud of other addresses by the name of Azure Stack only."""
    folder = azure.config.state_dir
    arm, entra = f"{azure.endpoints.arm}/", f"{azure.endpoints.entra}/"
    environment = {"name": "AzureStackCloud", "resourceManagerEndpoint": arm, "activeDirectoryEndpoint": entra}
    (folder / "environment.json").write_text(json.dumps(environment))
    path = folder / "azure.json"
    place = {"tenantId": azure.tenant_id, "subscriptionId": azure.subscription_id, "resourceGroup": group}
    path.write_text(json.dumps({"cloud": "AzureStackCloud", "vmType": "vmss", **place, **login}))
    return path


def _nodes(client: Client, azure: SimulatedAzure) -> str:
    """Make the nodes; the resource group of their scale set."""
    azure.cluster()
    instances = azure.in_loop(lambda: [dict(found.body) for found in azure.server.azure.state.all(INSTANCE)])
    for name, instance in zip(NODES, instances, strict=True):
        create(client, kinds.NODE, None, name, spec={"providerID": f"azure://{instance['id']}"})
    return str(instances[0]["id"]).split("/")[4]


def _remove_nodes(client: Client) -> None:
    for name in NODES:
        client.delete(kinds.NODE, None, name)
