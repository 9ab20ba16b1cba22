# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The namespace of the pods that lead to nodes; no pod starts here, because there is no kubelet."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.errors import Failure
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
    """Of the namespace, which does not exist yet, and of the node."""
    told: list[str] = field(default_factory=list)

    def pod(self, token: str = "this", pid: int = 0, client: Client | None = None) -> NodePod:
        return NodePod(client or self.client, self.access(token, pid), 0, self.told.append)

    def access(self, token: str = "this", pid: int = 0) -> node_access.Access:
        run = node_access.Run(HERE, pid or os.getpid(), token)
        return node_access.Access(self.name, self.name, "default", run, "", 300, 7200)

    def tried(self, client: Client | None = None) -> str:
        """Why no command could be run; no kubelet starts the pod."""
        with pytest.raises(Failure) as caught:
            self.pod(client=client).run(["id"])
        return caught.value.sentence

    def create(self, ours: bool, **labels: str) -> None:
        body = node_access.namespace(self.name, "default" if ours else "other")
        body["metadata"]["labels"].update(labels)
        self.client.create(kinds.NAMESPACE, None, body)

    def bind(self, name: str = "tenant") -> None:
        rbac = "rbac.authorization.k8s.io"
        subject = {"kind": "User", "name": "restricted", "apiGroup": rbac}
        reference = {"kind": "ClusterRole", "name": "edit", "apiGroup": rbac}
        self.client.create(
            kinds.ROLE_BINDING,
            self.name,
            {
                "apiVersion": kinds.ROLE_BINDING.api_version,
                "kind": kinds.ROLE_BINDING.name,
                "metadata": {"name": name},
                "subjects": [subject],
                "roleRef": reference,
            },
        )

    def leave_job(self) -> str:
        """A Job of a run on this machine that is gone."""
        access = self.access("killed", 2**22 + 1)
        node = self.client.get(kinds.NODE, None, self.name)
        assert node is not None
        self.client.create(kinds.JOB, self.name, node_access.job(access, node, 0, "x"))
        return access.name

    def jobs(self) -> list[str]:
        jobs = self.client.list_all(kinds.JOB, self.name)
        return [each["metadata"]["name"] for each in jobs if not each["metadata"].get("deletionTimestamp")]

    def labels(self) -> dict[str, str]:
        found = self.client.get(kinds.NAMESPACE, None, self.name)
        assert found is not None
        return dict(found["metadata"]["labels"])


def present(client: Client) -> list[dict[str, Any]]:
    """The namespaces that are not being deleted."""
    return [each for each in client.list_all(kinds.NAMESPACE) if not each["metadata"].get("deletionTimestamp")]


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
    if any(each["metadata"]["name"] == name for each in present(client)):
        client.delete(kinds.NAMESPACE, None, name)


def test_a_namespace_that_does_not_exist_is_made_and_goes(world: World) -> None:
    assert "did not start within" in world.tried()
    assert (world.labels()[ENFORCE], world.told) == ("privileged", [])
    world.pod().remove()
    assert world.name not in [each["metadata"]["name"] for each in present(world.client)]
    assert world.told == []


@pytest.mark.parametrize("labels", [{}, {"app.kubernetes.io/managed-by": "somebody"}], ids=["another owner", "foreign"])
def test_a_namespace_that_somebody_made_is_refused_by_its_name(world: World, labels: dict[str, str]) -> None:
    """Nothing in it is touched, not even what looks like a leftover of ours."""
    world.create(ours=False, **labels)
    left, before = world.leave_job(), world.labels()
    refused = world.tried()
    assert refused.startswith(f"No privileged pod is started in the namespace {world.name}, because it existed before ")
    assert "azureops.pod-identity/owner=default" in refused and "ansible_aks_node_pod_namespace" in refused
    world.pod().remove()
    assert (world.jobs(), world.labels(), world.told) == ([left], before, [])


def test_rights_of_others_in_our_namespace(world: World) -> None:
    """It is refused, and what a killed run left there goes, with the labels that let privileged pods in."""
    world.create(ours=True)
    left = world.leave_job()
    world.bind()
    assert "because RoleBindings give rights in it (tenant): " in world.tried()
    assert (world.jobs(), ENFORCE in world.labels()) == ([], False)
    assert [left in world.told[0], "does not any more" in world.told[1], len(world.told)] == [True, True, 2]
    assert "RoleBindings" in world.tried() and len(world.told) == 2, "said once"
    world.client.delete(kinds.ROLE_BINDING, world.name, "tenant")
    assert "did not start within" in world.tried()
    assert world.labels()[ENFORCE] == "privileged"


def test_a_pod_of_others_in_our_namespace(world: World) -> None:
    world.create(ours=True)
    container = {"name": "x", "image": "x"}
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "theirs"}, "spec": {"containers": [container]}}
    world.client.create(kinds.POD, world.name, body)
    assert "because pods of others run in it (theirs): " in world.tried()
    assert (world.jobs(), ENFORCE in world.labels()) == ([], False)


def test_the_namespace_stays_closed_where_others_got_rights_meanwhile(world: World) -> None:
    world.create(ours=True)
    world.bind()
    world.pod().remove()
    assert ENFORCE not in world.labels()
    assert "RoleBindings give rights in it (tenant)" in world.told[-1]


def test_what_a_killed_run_left_is_removed_and_said(world: World) -> None:
    world.create(ours=True)
    left = world.leave_job()
    assert "did not start within" in world.tried()
    assert (world.jobs(), len(world.told)) == ([], 1)
    assert world.told[0] == (f"The Job {world.name}/{left}, which an earlier run left, was removed with its pod.")


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
        world.create(ours=True)
        refused = world.tried(api_server.client(RESTRICTED))
        assert f"may not list rolebindings in namespace {world.name}" in refused.replace(f".{rbac}", "")
        assert world.jobs() == []
    finally:
        world.client.delete(server.CLUSTER_ROLE_BINDING, None, world.name)
        world.client.delete(server.CLUSTER_ROLE, None, world.name)
