# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""aks_pod_identity takes no identity from what selects it, between a real API server and the simulated Azure."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.client import Client
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.kinds import (
    AZURE_IDENTITY,
    AZURE_IDENTITY_BINDING,
    CRON_JOB,
    DAEMON_SET,
    DEPLOYMENT,
    JOB,
    NODE,
    POD,
    REPLICA_SET,
    STATEFUL_SET,
)
from ansible_collections.azureops.pod_identity.tests.kube.objects import call, make
from ansible_collections.azureops.pod_identity.tests.support import api_server as server
from ansible_collections.azureops.pod_identity.tests.support.api_server import RESTRICTED, ApiServer
from ansible_collections.azureops.pod_identity.tests.support.modules import Modules
from ansible_collections.azureops.pod_identity.tests.support.players import Player
from azsandbox.azure.loopback import SimulatedAzure

IDENTITY = "/resourceGroups/rg/providers/Microsoft.ManagedIdentity/userAssignedIdentities/billing"


@pytest.fixture
def azure(tmp_path: Path) -> Iterator[SimulatedAzure]:
    """With a cluster whose API server is the real one."""
    azure = SimulatedAzure(tmp_path)
    azure.cluster(name="demo", podIdentityProfile={"enabled": True})
    call(azure, "127.0.0.1")
    yield azure
    azure.close()


@pytest.fixture
def modules(azure: SimulatedAzure, tmp_path: Path) -> Modules:
    home = tmp_path / "home"
    home.mkdir()
    return Modules(azure, home)


@pytest.fixture
def other_namespace(client: Client, namespace: str) -> Iterator[str]:
    name = f"{namespace}-other"
    client.create(server.NAMESPACE, None, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    yield name
    client.delete(server.NAMESPACE, None, name)


def test_what_is_selected_is_not_removed(
    modules: Modules, api_server: ApiServer, client: Client, namespace: str, other_namespace: str
) -> None:
    identity = modules.azure.arm("PUT", IDENTITY, {"location": "westeurope"}).json()["id"]
    add_on: dict[str, Any] = {"resource_group": "rg", "cluster_name": "demo", "poll_interval": 0.1}
    entry = {**add_on, "name": "billing", "namespace": namespace}
    modules.succeed("aks_pod_identity", **entry, identity=identity, binding_selector="money")

    kinds = (POD, DEPLOYMENT, STATEFUL_SET, DAEMON_SET, REPLICA_SET, CRON_JOB, JOB)
    for kind in kinds:
        make(client, kind, namespace, "web", "money")
        make(client, kind, namespace, "name", "billing")
        make(client, kind, other_namespace, "elsewhere", "money")
    make(client, POD, namespace, "done", "money")
    path = POD.path(namespace, "done", "status")
    status, answer = client._request(
        "PATCH", path, (), {"status": {"phase": "Succeeded"}}, content_type="application/merge-patch+json"
    )
    assert status == 200, answer

    kubeconfig = api_server.kubeconfig()
    desired: dict[str, Any] = {**entry, "state": "absent", "kubeconfig": kubeconfig}
    users = sorted(f"{kind.name} {namespace}/web" for kind in kinds)
    mark = modules.mark()
    for check in (True, False):
        failed = modules.fail("aks_pod_identity", **desired, check=check)
        assert failed["msg"] == (
            "The pod identities of the cluster demo that are to go are still selected by "
            f"{', '.join(users[:3])} and {len(users) - 3} more; move these first, or set allow_in_use to true."
        )
        assert failed["users"] == users
    selector = {**entry, "binding_selector": "other", "kubeconfig": kubeconfig}
    assert modules.fail("aks_pod_identity", **selector)["users"] == users
    restricted = modules.fail("aks_pod_identity", **{**desired, "kubeconfig": api_server.kubeconfig(RESTRICTED)})
    assert restricted["error"]["status"] == 403
    call(modules.azure, "demo.hcp.io")
    elsewhere = modules.fail("aks_pod_identity", **desired)
    assert "is not that of the cluster demo" in elsewhere["msg"]
    # By another name its nodes prove it, as through a tunnel.
    provider = f"azure://{modules.azure.first_instance()['id']}"
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "tunnel"}, "spec": {"providerID": provider}}
    client.create(NODE, None, node)
    assert modules.fail("aks_pod_identity", **desired)["users"] == users
    client.delete(NODE, None, "tunnel")
    call(modules.azure, "127.0.0.1")
    assert modules.writes(mark) == []

    assert modules.succeed("aks_pod_identity", **desired, allow_in_use=True, check=True)["changed"]
    for kind in kinds:
        client.delete(kind, namespace, "web")
    modules.check_and_do("aks_pod_identity", **desired)


def test_who_gets_what_by_the_addon(
    modules: Modules, api_server: ApiServer, client: Client, crds: None, namespace: str, tmp_path: Path
) -> None:
    """As its NMI decides it: in managed mode, for pods of the identity's own namespace only."""
    for kind, spec in (
        (AZURE_IDENTITY, {"type": 0, "clientID": "c", "resourceID": IDENTITY}),
        (AZURE_IDENTITY_BINDING, {"azureIdentity": "billing", "selector": "money"}),
    ):
        metadata = {"name": "billing", "namespace": namespace}
        body = {"apiVersion": kind.api_version, "kind": kind.name, "metadata": metadata, "spec": spec}
        client.create(kind, namespace, body)
    make(client, DEPLOYMENT, namespace, "web", "money")
    make(client, DEPLOYMENT, namespace, "lost", "nothing")
    told = {"msg": "{{ pod_identity_bindings_report.findings | map(attribute='code') | join('+') }} it is"}
    tasks: list[dict[str, Any]] = [
        {"ansible.builtin.import_role": {"name": "azureops.pod_identity.pod_identity_bindings"}},
        {"ansible.builtin.debug": told, "tags": ["always"]},
    ]
    mark = modules.mark()
    status, output = Player(tmp_path / "player", modules.environment).play(
        tasks,
        *("--tags", "pod_identity_bindings_show"),
        pod_identity_mode="addon",
        pod_identity_cluster_name="demo",
        pod_identity_resource_group="rg",
        pod_identity_kubeconfig=api_server.kubeconfig(),
        pod_identity_bindings_list=[{"name": "billing", "namespace": namespace, "selector": "money"}],
    )
    assert (status, "nothing_matches it is" in output) == (0, True), output
    row = next(line for line in output.splitlines() if f"{namespace}/web" in line and "Deployment" in line)
    assert row.split('"')[1].split()[:3] == [f"{namespace}/web", "Deployment", f"{namespace}/billing"], output
    assert modules.writes(mark) == []
