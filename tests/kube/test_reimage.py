# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Nodes that no way reaches, reimaged by the role, between a real API server and the simulated Azure.

Nothing runs on these nodes: their kubelets are dead, and all that their new systems do is to say that they are Ready.
Real nodes are reimaged in the sandbox's tests.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.client import Client
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.kinds import NODE, POD, Kind
from ansible_collections.azureops.pod_identity.tests.kube.objects import create, patch
from ansible_collections.azureops.pod_identity.tests.support import api_server as server
from ansible_collections.azureops.pod_identity.tests.support.api_server import ApiServer
from ansible_collections.azureops.pod_identity.tests.support.fixed import fixed
from ansible_collections.azureops.pod_identity.tests.support.modules import Modules
from ansible_collections.azureops.pod_identity.tests.support.players import Player
from azsandbox.azure.loopback import Credentials, SimulatedAzure

PLAYBOOK = "azureops.pod_identity.cleanup_nodes"
REPLICA_SET = Kind("apps", "v1", "replicasets", "ReplicaSet")
REIMAGE, CORDONED = "azureops.pod-identity/reimage", "azureops.pod-identity/cordoned"


@dataclass
class World:
    """A cluster whose two nodes are not Ready."""

    azure: SimulatedAzure
    client: Client
    folder: Path
    environment: dict[str, str]
    kubeconfig: str
    owner: str
    """Id of the controller of pods."""
    nodes: dict[str, str]
    """Names and instances."""
    runs: int = 0
    marked: list[list[str]] = field(default_factory=list)
    """The nodes with our label each time when Azure reimaged one."""

    def patch(self, name: str, body: dict[str, Any], subresource: str = "", kind: Kind = NODE) -> None:
        namespace = "default" if kind.namespaced else None
        patch(self.client, kind, namespace, name, body, part=subresource or None)

    def tell(self, name: str, ready: bool) -> None:
        """What the kubelet says after a start of the node."""
        info = dict.fromkeys(
            ("architecture", "containerRuntimeVersion", "kernelVersion", "kubeProxyVersion", "kubeletVersion")
            + ("machineID", "operatingSystem", "osImage", "systemUUID"),
            "",
        )
        conditions = [{"type": "Ready", "status": "True" if ready else "Unknown", "reason": "x", "message": ""}]
        addresses = [{"type": "InternalIP", "address": "127.0.0.2"}]
        status = {"nodeInfo": {**info, "bootID": str(uuid.uuid4())}, "conditions": conditions, "addresses": addresses}
        self.patch(name, {"status": status}, "status")

    def reimaged(self, instance: str) -> None:
        self.marked.append([name for name, (_boot, _cordoned, labels) in self.states().items() if labels])
        self.tell(next(name for name, each in self.nodes.items() if each == instance), ready=True)

    def states(self) -> dict[str, tuple[str, bool, list[str]]]:
        """Start of the kernel, whether cordoned, our labels."""
        return {
            each["metadata"]["name"]: (
                each["status"]["nodeInfo"]["bootID"],
                bool(each["spec"].get("unschedulable")),
                sorted(label for label in each["metadata"]["labels"] if label.startswith("azureops")),
            )
            for each in self.client.list_all(NODE)
            if each["metadata"]["name"] in self.nodes
        }

    def untouched(self) -> bool:
        return all(state[1:] == (False, []) for state in self.states().values()) and self.azure.compute.reimaged == []

    def run_pod(self, name: str, node: str, *, bare: bool = False) -> None:
        """A pod, of a controller unless it is bare, that runs as far as the API server knows."""
        owner = {"apiVersion": REPLICA_SET.api_version, "kind": REPLICA_SET.name, "name": "owner", "uid": self.owner}
        metadata = {"labels": {"app": name}, "ownerReferences": [] if bare else [{**owner, "controller": True}]}
        spec = {"nodeName": node, "terminationGracePeriodSeconds": 1, "containers": [{"name": "x", "image": "x"}]}
        create(self.client, POD, "default", name, metadata=metadata, spec=spec)
        ready = [{"type": "Ready", "status": "True"}]
        self.patch(name, {"status": {"phase": "Running", "conditions": ready}}, "status", POD)

    def clean(self, *arguments: str, who: Credentials | None = None, **variables: Any) -> dict[str, dict[str, Any]]:
        login = {} if who is None else {"AZURE_CLIENT_ID": who.client_id, "AZURE_SECRET": who.secret}
        self.runs += 1
        # A short name: Ansible makes sockets below it.
        player = Player(self.folder / str(self.runs), {**self.environment, **login})
        _status, output = player.play(
            PLAYBOOK,
            *arguments,
            pod_identity_resource_group="rg",
            pod_identity_cluster_name="c1",
            pod_identity_kubeconfig=self.kubeconfig,
            imds_node_cleanup_transports=[],
            imds_node_cleanup_reimage=True,
            imds_node_cleanup_drain_timeout=10,
            imds_node_cleanup_ready_timeout=10,
            imds_node_cleanup_serial="100%",
            # No pod could start here, and nobody is behind the address.
            imds_node_cleanup_probe_namespace="missing",
            ansible_port=1,
            **variables,
        )
        line = next((line.strip() for line in output.splitlines() if line.strip().startswith("RUN: ")), None)
        assert line, output[-4000:]
        results = json.loads(line.removeprefix("RUN: "))["imds_node_cleanup"]
        return {each["node"]: each for each in results}


@pytest.fixture(scope="module")
def api_server() -> Iterator[ApiServer]:
    """One of its own, because all that is in it is the cluster of these tests."""
    with server.running() as started:
        yield started


@pytest.fixture
def client(api_server: ApiServer) -> Client:
    return api_server.client()


@pytest.fixture
def world(api_server: ApiServer, client: Client, tmp_path: Path) -> Iterator[World]:
    azure = SimulatedAzure(tmp_path)
    home = tmp_path / "home"
    home.mkdir()
    azure.cluster()
    scale_set = azure.first_instance()["id"].rpartition("/virtualMachines/")[0]
    instances = azure.arm("GET", f"{scale_set}/virtualMachines").json()["value"]
    environment = {**Modules(azure, home).environment, "ANSIBLE_SHOW_CUSTOM_STATS": "true"}
    names = {each["properties"]["osProfile"]["computerName"]: str(each["id"]) for each in instances}
    labels = {"app": "none"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "x", "image": "x"}]}}
    spec = {"replicas": 0, "selector": {"matchLabels": labels}, "template": template}
    owner = create(client, REPLICA_SET, "default", "owner", spec=spec)["metadata"]["uid"]
    world = World(azure, client, tmp_path, environment, api_server.kubeconfig(), owner, names)
    for name, instance in names.items():
        labels = {"kubernetes.io/os": "linux"}
        create(client, NODE, None, name, metadata={"labels": labels}, spec={"providerID": f"azure://{instance}"})
        world.tell(name, ready=False)
    azure.compute.on_reimage = world.reimaged
    yield world
    for name in names:
        client.delete(NODE, None, name)
        for pod in client.list_all(POD, "default", fields=f"spec.nodeName={name}"):
            server.end_pod(client, "default", pod["metadata"]["name"])
    client.delete(REPLICA_SET, "default", "owner")
    azure.close()


@pytest.mark.soak
def test_nodes_take_turns(world: World) -> None:
    """Both in one batch; pods that the API server let go do not end on a node whose kubelet is dead."""
    before = world.states()
    for name in world.nodes:
        world.run_pod(f"pod-{name}", name)
    predicted = world.clean("--check")
    assert [each["outcome"] for each in predicted.values()] == ["would_clean", "would_clean"], predicted
    assert world.untouched() and world.states() == before
    done = world.clean()
    # Nothing proves the result here.
    assert [(each["outcome"], each["transport"]) for each in done.values()] == [("unproved", "reimage")] * 2, done
    assert sorted(world.azure.compute.reimaged) == sorted(world.nodes.values())
    assert [len(names) for names in world.marked] == [1, 1], "two nodes at a time"
    assert all(state[1:] == (False, []) for state in world.states().values())


@pytest.mark.soak
def test_an_instance_that_the_autoscaler_took_is_no_failure(world: World) -> None:
    """The API server tells of its node for a while longer. The other one is reimaged all the same."""
    gone, other = sorted(world.nodes)
    state = world.azure.server.azure.state
    world.azure.in_loop(lambda: state.remove(world.nodes[gone]))
    done = world.clean()
    assert (done[gone]["outcome"], done[gone]["transport"]) == ("gone", ""), done
    assert done[other]["transport"] == "reimage", done
    assert world.azure.compute.reimaged == [world.nodes[other]]


@pytest.mark.soak
def test_a_machine_in_no_scale_set_is_judged_by_its_own_identities(world: World) -> None:
    """What carries the identity is read by one request, in the shape in which scale sets carry theirs."""
    group = next(iter(world.nodes.values())).partition("/providers/")[0]
    machine = f"{group}/providers/Microsoft.Compute/virtualMachines/single"
    create(world.client, NODE, None, "single", spec={"providerID": f"azure://{machine}"})
    try:
        unread = world.clean(node="single")["single"]
        for name, expected in (("stray", "refused"), ("", "unreachable")):
            identity = f"{group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/{name}"
            carried: dict[str, Any] = {
                "type": "UserAssigned",
                "userAssignedIdentities": {identity: {}} if name else None,
            }
            body = {"id": machine, "name": "single", "identity": carried}
            fault = {"method": "GET", "path": "/virtualMachines/single", "status": 200, "count": 0, "body": body}
            world.azure.control("POST", "/faults", fault)
            result = world.clean(node="single")["single"]
            assert result["outcome"] == expected, result
            assert not name or "its virtual machine single carries stray" in result["reason"], result
            world.azure.control("DELETE", "/faults")
    finally:
        world.client.delete(NODE, None, "single")
    assert unread["outcome"] == "refused" and "identities of its virtual machine could not be read" in unread["reason"]


@pytest.mark.soak
def test_a_pod_that_would_be_gone_for_good(world: World) -> None:
    name = min(world.nodes)
    world.run_pod("bare", name, bare=True)
    result = world.clean(node=name)[name]
    assert result["outcome"] == "unreachable", result
    assert "pods without a controller would be gone for good: default/bare" in result["reason"]
    assert world.untouched()


@pytest.mark.soak
def test_a_missing_permission_is_named_before_anything_is_touched(world: World) -> None:
    name = min(world.nodes)
    reader = world.azure.principal("reader", ("Reader", f"/subscriptions/{world.azure.subscription_id}"))
    result = world.clean(node=name, who=reader)[name]
    assert result["outcome"] == "unreachable", result
    assert "Microsoft.Compute/virtualMachineScaleSets/virtualMachines/reimage/action" in result["reason"]
    assert world.untouched()


@pytest.mark.soak
def test_a_node_that_azure_does_not_touch_is_as_it_was(world: World) -> None:
    """Cordoned by somebody else, which stays so."""
    name = min(world.nodes)
    world.patch(name, {"spec": {"unschedulable": True}})
    refusal = {"error": {"code": "OperationNotAllowed", "message": "Not now."}}
    fault = {"method": "POST", "path": "/reimage", "status": 409, "count": 0, "body": refusal}
    world.azure.control("POST", "/faults", fault)
    result = world.clean(node=name)[name]
    assert (result["outcome"], "Not now" in result["reason"]) == ("unreachable", True), result
    assert world.states()[name][1:] == (True, [])
    assert world.azure.compute.reimaged == []


@pytest.mark.soak
def test_what_failed_midway_is_ended_first(world: World) -> None:
    first, second = sorted(world.nodes)
    world.azure.compute.reimage_error = "no disk"
    failed = world.clean()
    outcomes = sorted(each["outcome"] for each in failed.values())
    assert outcomes == ["error", "unreachable"], failed
    name = next(name for name, each in failed.items() if each["outcome"] == "error")
    assert world.states()[name][1:] == (True, [CORDONED, REIMAGE])
    other = second if name == first else first
    assert f"{name} is still being reimaged" in failed[other]["reason"]
    # The other one alone has to wait as well.
    world.azure.compute.reimage_error = None
    alone = world.clean(node=other)[other]
    assert f"{name} is still being reimaged" in alone["reason"]
    done = world.clean()
    assert [each["transport"] for each in done.values()] == ["reimage", "reimage"], done
    assert world.azure.compute.reimaged == [world.nodes[name], world.nodes[other]]
    assert all(state[1:] == (False, []) for state in world.states().values())


@pytest.mark.soak
def test_a_run_that_was_killed_after_the_reimage_only_waits(world: World) -> None:
    name = min(world.nodes)
    labels = {REIMAGE: world.states()[name][0], CORDONED: "true"}
    world.patch(name, {"metadata": {"labels": labels}, "spec": {"unschedulable": True}})
    world.tell(name, ready=True)
    result = world.clean(node=name)[name]
    assert (result["outcome"], result["transport"]) == ("unproved", "reimage"), result
    assert world.untouched()


@pytest.mark.parametrize("place", fixed(["another node", "another group"], "another group"))
def test_the_machine_of_somebody_else_is_not_reimaged(world: World, place: str) -> None:
    """What a node says of its instance is written by whoever may write nodes; nothing of it is drained either."""
    instance = world.nodes[min(world.nodes)]
    if place == "another group":
        scale_set = f"{instance.split('/resourceGroups/')[0]}/resourceGroups/prod/providers/Microsoft.Compute"
        instance = f"{scale_set}/virtualMachineScaleSets/db/virtualMachines/0"
        there = {"id": instance, "instanceId": "0", "properties": {"osProfile": {"computerName": "forged"}}}
        listed = {"method": "GET", "path": "/virtualMachineScaleSets/db/virtualMachines", "status": 200, "count": 0}
        world.azure.control("POST", "/faults", {**listed, "body": {"value": [there]}})
    create(world.client, NODE, None, "forged", spec={"providerID": f"azure://{instance}"})
    try:
        result = world.clean(node="forged", imds_node_cleanup_accept_open_imds=True)["forged"]
        forged = world.client.get(NODE, None, "forged")
    finally:
        world.client.delete(NODE, None, "forged")
    assert result["outcome"] == "unreachable", result
    cause = (
        "is not the node forged"
        if place == "another node"
        else "does not lie in the node resource group of the cluster"
    )
    assert cause in result["reason"], result
    assert forged is not None and not forged["spec"].get("unschedulable")
    assert world.untouched()
