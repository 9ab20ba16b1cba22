# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The namespace of the pods that lead to nodes; no pod starts here, because there is no kubelet."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.errors import Failure
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.names import MANAGED_BY, OWNER
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.nodes import node_access
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube import kinds
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.client import Client
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.node_pods import NodePod
from ansible_collections.azureops.pod_identity.tests.support import api_server as server
from ansible_collections.azureops.pod_identity.tests.support.api_server import RESTRICTED, ApiServer

MERGE = "application/merge-patch+json"
ENFORCE = "pod-security.kubernetes.io/enforce"
IMAGE = "mcr.microsoft.com/oss/kubernetes/pause:3.6"
HERE = f"here-{os.getpid()}"


@dataclass
class World:
    client: Client
    name: str
    """Of the node; the names of namespaces begin with it."""
    told: list[str] = field(default_factory=list)

    def pod(self, token: str = "this", pid: int = 0, client: Client | None = None) -> NodePod:
        return NodePod(client or self.client, self.access(token, pid), 0, self.told.append)

    def access(self, token: str = "this", pid: int = 0) -> node_access.Access:
        run = node_access.Run(HERE, pid or os.getpid(), token)
        return node_access.Access(self.name, self.name, "default", run, "", 300, 7200)

    @property
    def namespace(self) -> str:
        """That of this run."""
        return self.access().namespace

    def tried(self, client: Client | None = None) -> str:
        """Why no command could be run; no kubelet starts the pod."""
        with pytest.raises(Failure) as caught:
            self.pod(client=client).run(["id"])
        return caught.value.sentence

    def create(self, access: node_access.Access, **labels: str) -> str:
        """The namespace of a run; its name."""
        body = node_access.namespace(access, time.time())
        body["metadata"]["labels"].update(labels)
        self.client.create(kinds.NAMESPACE, None, body)
        return access.namespace

    def bind(self, namespace: str) -> None:
        rbac = "rbac.authorization.k8s.io"
        subject = {"kind": "User", "name": "restricted", "apiGroup": rbac}
        reference = {"kind": "ClusterRole", "name": "edit", "apiGroup": rbac}
        self.client.create(
            kinds.ROLE_BINDING,
            namespace,
            {
                "apiVersion": kinds.ROLE_BINDING.api_version,
                "kind": kinds.ROLE_BINDING.name,
                "metadata": {"name": "tenant"},
                "subjects": [subject],
                "roleRef": reference,
            },
        )

    def leave(self) -> str:
        """A namespace with a Job of a run on this machine that is no more; its name."""
        access = self.access("killed", 2**22 + 1)
        self.create(access)
        self.begin(access)
        return access.namespace

    def begin(self, access: node_access.Access) -> None:
        """Create the Job of a run."""
        node = self.client.get(kinds.NODE, None, self.name)
        assert node is not None
        self.client.create(kinds.JOB, access.namespace, node_access.job(access, node, 0, "x"))

    def jobs(self, namespace: str) -> list[str]:
        jobs = self.client.list_all(kinds.JOB, namespace)
        return [each["metadata"]["name"] for each in jobs if not each["metadata"].get("deletionTimestamp")]

    def labels(self, namespace: str) -> dict[str, str]:
        found = self.client.get(kinds.NAMESPACE, None, namespace)
        assert found is not None
        return dict(found["metadata"]["labels"])


def present(client: Client) -> list[str]:
    """The namespaces that are not being deleted."""
    namespaces = client.list_all(kinds.NAMESPACE)
    return [each["metadata"]["name"] for each in namespaces if not each["metadata"].get("deletionTimestamp")]


@pytest.fixture
def world(client: Client, namespace: str) -> Iterator[World]:
    name = f"access-{namespace}"
    labels = {"kubernetes.io/os": "linux"}
    client.create(kinds.NODE, None, {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}})
    info = dict.fromkeys(
        ("bootID", "containerRuntimeVersion", "kernelVersion", "kubeProxyVersion", "kubeletVersion", "machineID")
        + ("operatingSystem", "systemUUID"),
        "",
    )
    status: dict[str, Any] = {
        "conditions": [{"type": "Ready", "status": "True"}],
        "images": [{"names": [IMAGE], "sizeBytes": 1}],
        "nodeInfo": {**info, "architecture": "amd64", "osImage": "Ubuntu"},
    }
    client._request("PATCH", kinds.NODE.path(None, name, "status"), (), {"status": status}, MERGE)
    yield World(client, name)
    client.delete(kinds.NODE, None, name)
    for each in present(client):
        if each.startswith(name):
            client.delete(kinds.NAMESPACE, None, each)


def test_each_run_makes_a_namespace_and_takes_it_away(world: World) -> None:
    assert "did not start within" in world.tried()
    assert (world.labels(world.namespace)[ENFORCE], world.told) == ("privileged", [])
    assert world.access("other").namespace != world.namespace
    world.pod().remove()
    assert (world.namespace in present(world.client), world.told) == (False, [])


@pytest.mark.parametrize("of", ["another owner", "somebody"])
def test_a_namespace_of_somebody_is_neither_used_nor_touched(world: World, of: str) -> None:
    """Its name cannot be known; a tenant who did would gain nothing."""
    name = world.create(world.access(), **{MANAGED_BY if of == "somebody" else OWNER: "other"})
    before = world.labels(name)
    refused = world.tried()
    assert refused.startswith(f"No privileged pod is used in the namespace {name}, because it does not carry the ")
    assert f"{OWNER}=default" in refused
    world.pod().remove()
    assert (world.jobs(name), world.labels(name), world.told[1:]) == ([], before, [])


def test_rights_of_others_end_it(world: World) -> None:
    """Pods of the run go, with the labels that let privileged pods in."""
    assert "did not start within" in world.tried()
    world.begin(world.access())
    world.bind(world.namespace)
    assert "because RoleBindings give rights in it (tenant): " in world.tried()
    assert (world.jobs(world.namespace), ENFORCE in world.labels(world.namespace)) == ([], False)
    assert ["does not any more" in each for each in world.told] == [True]
    assert "RoleBindings" in world.tried() and len(world.told) == 1, "said once"


def test_rights_of_others_end_what_is_open(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the pod runs already: it is looked at again before each command."""
    world.create(world.access())
    pod = world.pod()
    monkeypatch.setattr(pod, "_open", lambda: {"metadata": {"name": "x"}})
    world.bind(world.namespace)
    with pytest.raises(Failure, match="RoleBindings give rights in it"):
        pod.run(["id"])


def test_a_pod_of_others_in_our_namespace(world: World) -> None:
    name = world.create(world.access())
    container = {"name": "x", "image": "x"}
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "theirs"}, "spec": {"containers": [container]}}
    world.client.create(kinds.POD, name, body)
    assert "because pods of others run in it (theirs): " in world.tried()
    assert ENFORCE not in world.labels(name)


def test_the_namespace_stays_closed_where_others_got_rights_meanwhile(world: World) -> None:
    name = world.create(world.access())
    world.bind(name)
    world.pod().remove()
    assert ENFORCE not in world.labels(name)
    assert "RoleBindings give rights in it (tenant)" in world.told[-1]


def test_what_a_killed_run_left_is_removed_and_said(world: World) -> None:
    left = world.leave()
    assert "did not start within" in world.tried()
    assert left not in present(world.client)
    assert world.told == [f"The namespace {left}, which an earlier run left, was removed with its pods."]


def test_what_a_killed_run_left_is_closed_where_others_got_rights(world: World) -> None:
    left = world.leave()
    world.bind(left)
    assert "did not start within" in world.tried()
    assert (left in present(world.client), ENFORCE in world.labels(left)) == (True, False)
    assert world.told == [f"The namespace {left} let privileged pods in; it does not any more."]


def test_who_may_not_look_at_role_bindings_is_told(api_server: ApiServer, world: World) -> None:
    rules = [
        {"apiGroups": [""], "resources": ["nodes", "namespaces", "pods"], "verbs": ["get", "list"]},
        {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["get", "list", "create", "delete"]},
    ]
    rbac = "rbac.authorization.k8s.io"
    metadata = {"metadata": {"name": world.name}}
    reference = {"kind": "ClusterRole", "name": world.name, "apiGroup": rbac}
    subject = {"kind": "User", "name": "restricted", "apiGroup": rbac}
    world.client.create(server.CLUSTER_ROLE, None, {**metadata, "rules": rules})
    world.client.create(server.CLUSTER_ROLE_BINDING, None, {**metadata, "roleRef": reference, "subjects": [subject]})
    try:
        name = world.create(world.access())
        refused = world.tried(api_server.client(RESTRICTED))
        assert f"may not list rolebindings in namespace {name}" in refused.replace(f".{rbac}", "")
        assert world.jobs(name) == []
    finally:
        world.client.delete(server.CLUSTER_ROLE_BINDING, None, world.name)
        world.client.delete(server.CLUSTER_ROLE, None, world.name)
