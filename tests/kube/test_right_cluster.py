# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A kubeconfig of one's own leads to the named cluster, or is refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.client import Client
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.kinds import NODE
from ansible_collections.azureops.pod_identity.tests.kube.server import ADMIN, RESTRICTED, ApiServer
from ansible_collections.azureops.pod_identity.tests.unit.roles.players import Player, role

CLUSTER = "/subscriptions/s/resourcegroups/rg/providers/Microsoft.ContainerService/managedClusters/one"


@pytest.fixture
def node(client: Client) -> Iterator[None]:
    """A node of a scale set in the resource group MC_one."""
    provider = "azure:///subscriptions/s/resourceGroups/mc_one/providers/Microsoft.Compute/virtualMachineScaleSets/a/0"
    metadata = {"name": "right-cluster"}
    body = {"apiVersion": "v1", "kind": "Node", "metadata": metadata, "spec": {"providerID": provider}}
    client.create(NODE, None, body)
    yield
    client.delete(NODE, None, "right-cluster")


@pytest.mark.parametrize(
    ("token", "fqdn", "group", "sentence"),
    [
        pytest.param(RESTRICTED, "127.0.0.1", "", "", id="name"),
        pytest.param(ADMIN, "one.azmk8s.io", "MC_one", "", id="nodes"),
        pytest.param(
            RESTRICTED, "one.azmk8s.io", "MC_one", "the user of the connection may not list nodes", id="neither"
        ),
        pytest.param(ADMIN, "one.azmk8s.io", "MC_two", "belongs to another cluster than one", id="another"),
        pytest.param(ADMIN, "", "MC_two", "belongs to another cluster than one", id="nameless"),
    ],
)
def test_the_right_cluster_is_told_by_its_name_or_its_nodes(
    api_server: ApiServer, node: None, tmp_path: Path, token: str, fqdn: str, group: str, sentence: str
) -> None:
    found = {"id": CLUSTER, "name": "one", "resource_group": "rg", "fqdn": fqdn, "node_resource_group": group}
    tasks = [
        {"ansible.builtin.set_fact": {"pod_identity_cluster": found}},
        role("pod_identity_cluster", "connect"),
        role("pod_identity_cluster", "disconnect"),
    ]
    named = {"pod_identity_cluster_name": "one", "pod_identity_resource_group": "rg"}
    status, output = Player(tmp_path).play(tasks, **named, pod_identity_kubeconfig=api_server.kubeconfig(token))
    assert (status, sentence in output) == (2 if sentence else 0, True), output


@pytest.mark.parametrize("private", [True, False])
def test_a_private_name_that_is_unknown_here_is_said_so(api_server: ApiServer, tmp_path: Path, private: bool) -> None:
    name = "one-1a2b.11111111-1111-4111-8111-111111111111.privatelink.westeurope.invalid"
    found = {"id": CLUSTER, "name": "one", "resource_group": "rg", "node_resource_group": "MC_one", "fqdn": name}
    fact = {**found, "private_fqdn": name, "private_cluster": private}
    tasks = [{"ansible.builtin.set_fact": {"pod_identity_cluster": fact}}, role("pod_identity_cluster", "connect")]
    named = {"pod_identity_cluster_name": "one", "pod_identity_resource_group": "rg"}
    kubeconfig = api_server.kubeconfig(server=f"https://{name}:443")
    status, output = Player(tmp_path).play(tasks, **named, pod_identity_kubeconfig=kubeconfig)
    sentence = (
        f"Cluster one is a private one, and the name of its API server, {name}, cannot be resolved from here; run"
    )
    assert (status, sentence in output, "its name cannot be resolved" in output) == (2, private, not private), output
