# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A connection leads to the named cluster, or is refused, and what was proved is where the whole run goes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.client import Client
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.kinds import NODE
from ansible_collections.azureops.pod_identity.tests.kube.obstacles import Elsewhere, elsewhere
from ansible_collections.azureops.pod_identity.tests.support.api_server import ADMIN, RESTRICTED, ApiServer, programs
from ansible_collections.azureops.pod_identity.tests.support.fixed import fixed
from ansible_collections.azureops.pod_identity.tests.support.players import Player, role

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
        pytest.param(RESTRICTED, "127.0.0.1", "", "", id="name", marks=pytest.mark.soak),
        pytest.param(ADMIN, "one.azmk8s.io", "MC_one", "", id="nodes", marks=pytest.mark.soak),
        pytest.param(
            *(RESTRICTED, "one.azmk8s.io", "MC_one", "the user of the connection may not list nodes"),
            id="neither",
            marks=pytest.mark.soak,
        ),
        pytest.param(ADMIN, "one.azmk8s.io", "MC_two", "belongs to another cluster than one", id="another"),
        pytest.param(
            *(ADMIN, "", "MC_two", "belongs to another cluster than one"), id="nameless", marks=pytest.mark.soak
        ),
    ],
)
def test_the_right_cluster_is_told_by_its_name_or_its_nodes(
    api_server: ApiServer, node: None, tmp_path: Path, token: str, fqdn: str, group: str, sentence: str
) -> None:
    found = {"id": CLUSTER, "name": "one", "resource_group": "rg", "fqdn": fqdn, "node_resource_group": group}
    tasks = [
        {"ansible.builtin.set_fact": {"pod_identity_session": {"cluster": found}}},
        role("pod_identity_cluster", "connect"),
        role("pod_identity_cluster", "disconnect"),
    ]
    named = {"pod_identity_cluster_name": "one", "pod_identity_resource_group": "rg"}
    status, output = Player(tmp_path).play(tasks, **named, pod_identity_kubeconfig=api_server.kubeconfig(token))
    assert (status, sentence in output) == (2 if sentence else 0, True), output


@pytest.mark.parametrize("private", fixed([True, False], True))
def test_a_private_name_that_is_unknown_here_is_said_so(api_server: ApiServer, tmp_path: Path, private: bool) -> None:
    name = "one-1a2b.11111111-1111-4111-8111-111111111111.privatelink.westeurope.invalid"
    found = {"id": CLUSTER, "name": "one", "resource_group": "rg", "node_resource_group": "MC_one", "fqdn": name}
    fact = {**found, "private_fqdn": name, "private_cluster": private}
    tasks = [
        {"ansible.builtin.set_fact": {"pod_identity_session": {"cluster": fact}}},
        role("pod_identity_cluster", "connect"),
    ]
    named = {"pod_identity_cluster_name": "one", "pod_identity_resource_group": "rg"}
    kubeconfig = api_server.kubeconfig(server=f"https://{name}:443")
    status, output = Player(tmp_path).play(tasks, **named, pod_identity_kubeconfig=kubeconfig)
    sentence = (
        f"Cluster one is a private one, and the name of its API server, {name}, cannot be resolved from here; run"
    )
    assert (status, sentence in output, "its name cannot be resolved" in output) == (2, private, not private), output


KUBECONFIG = "{{ pod_identity_session.connection.kubeconfig }}"
HELM = {"module": "helm_info", "release_name": "none", "release_namespace": "default"}
# One for each client that roles use: ours, that of kubernetes.core, helm.
# kubernetes.core.k8s fails where another host deletes the same object.
OF_HOST = "right-{{ inventory_hostname }}"
ASKING: list[dict[str, Any]] = [
    {"azureops.pod_identity.nmi_info": {"kubeconfig": KUBECONFIG}},
    {"azureops.pod_identity.kubernetes_core": {"module": "k8s_info", "kubeconfig": KUBECONFIG, "kind": "Namespace"}},
    {
        "azureops.pod_identity.kubernetes_core": {
            "module": "k8s",
            "kubeconfig": KUBECONFIG,
            "kind": "ConfigMap",
            "name": OF_HOST,
            "namespace": "default",
        }
    },
    {
        "azureops.pod_identity.kubernetes_core": {
            **HELM,
            "kubeconfig": KUBECONFIG,
            "binary_path": str(programs()[0] / "helm"),
        }
    },
]
TAKE_AWAY = {
    "azureops.pod_identity.kubernetes_core": {
        "module": "k8s",
        "kubeconfig": KUBECONFIG,
        "kind": "ConfigMap",
        "name": OF_HOST,
        "namespace": "default",
        "state": "absent",
    }
}
PLACES = ("controller", "play", "task", "remote", "defaults")


def misleading(other: Elsewhere, api_server: ApiServer, place: str) -> dict[str, str]:
    """The environment that leads elsewhere, with the place where it was set as a token."""
    kubeconfig = api_server.kubeconfig(f"{place}-token", server=other.url)
    chosen = {"HOST": other.url, "API_KEY": place, "KUBECONFIG": kubeconfig, "CONTEXT": "other", "VERIFY_SSL": "false"}
    by_helm = {"HELM_KUBEAPISERVER": other.url, "HELM_KUBETOKEN": place, "KUBECONFIG": kubeconfig}
    return {**{f"K8S_AUTH_{name}": value for name, value in chosen.items()}, **by_helm}


def test_a_run_goes_where_it_was_proved_whatever_environment_and_defaults_say(
    api_server: ApiServer, client: Client, tmp_path: Path
) -> None:
    with elsewhere(api_server) as other:
        lead = {place: misleading(other, api_server, place) for place in PLACES}
        way = {"K8S_AUTH_PROXY": other.url, "K8S_AUTH_SSL_CA_CERT": "/none", "HELM_KUBECAFILE": "/none"}
        way.update(dict.fromkeys(("K8S_AUTH_IMPERSONATE_USER", "HELM_KUBEASUSER"), "nobody"))
        shell = tmp_path / "shell"  # as a login there would
        exports = "".join(f"export {name}='{value}'\n" for name, value in lead["remote"].items())
        shell.write_text(f'#!/bin/sh\n{exports}exec /bin/sh "$@"\n')
        shell.chmod(0o755)
        defaults = {"host": other.url, "api_key": "defaults", "validate_certs": False}
        names = ["k8s", "k8s_info", "helm_info"]
        play = {
            "hosts": "all",
            "environment": lead["play"],
            "module_defaults": {
                "group/azureops.pod_identity.kubernetes": {**defaults, "client_cert": "/none", "client_key": "/none"},
                "group/kubernetes.core.k8s": defaults,
                "group/kubernetes.core.helm": defaults,
                **{f"kubernetes.core.{name}": defaults for name in names},
            },
            "tasks": [
                role("pod_identity_cluster", "connect"),
                # That of the play led before the proof, too, so that it names no proxy.
                *({**task, "environment": {**lead["task"], **way}} for task in (*ASKING, TAKE_AWAY)),
                role("pod_identity_cluster", "disconnect"),
            ],
        }
        hosts = {"here": {}, "there": {"ansible_shell_executable": str(shell)}}
        local = {"ansible_connection": "local", "ansible_python_interpreter": "{{ ansible_playbook_python }}"}
        inventory = tmp_path / "hosts.json"
        inventory.write_text(json.dumps({"all": {"hosts": hosts, "vars": local}}))
        player = Player(tmp_path / "player", lead["controller"])
        before = len(api_server.events())
        status, output = player.play(
            play, "-i", str(inventory), pod_identity_kubeconfig=api_server.kubeconfig(), pod_identity_context="test"
        )
    assert (status, output.count("failed=0")) == (0, 2), output
    assert other.asked == []
    writes = [event["verb"] for event in api_server.events()[before:] if event["verb"] in ("create", "delete")]
    assert {"create", "delete"} <= set(writes)
    assert list(player.temporary.glob("azureops-pod-identity-*")) == []


@pytest.mark.parametrize("right", fixed([True, False], False))
def test_the_environment_chooses_before_the_proof(
    api_server: ApiServer, node: None, tmp_path: Path, right: bool
) -> None:
    """That of the play too; what a later task has in its own does not."""
    group = "MC_one" if right else "MC_two"
    found = {
        "id": CLUSTER,
        "name": "one",
        "resource_group": "rg",
        "fqdn": "one.azmk8s.io",
        "node_resource_group": group,
    }
    with elsewhere(api_server) as other:
        play = {
            "hosts": "localhost",
            "environment": {
                "K8S_AUTH_HOST": api_server.url,
                "K8S_AUTH_API_KEY": ADMIN,
                "K8S_AUTH_SSL_CA_CERT": str(api_server.ca),
            },
            "tasks": [
                {"ansible.builtin.set_fact": {"pod_identity_session": {"cluster": found}}},
                role("pod_identity_cluster", "connect"),
                *({**task, "environment": misleading(other, api_server, "task")} for task in ASKING[:2]),
                role("pod_identity_cluster", "disconnect"),
            ],
        }
        player = Player(tmp_path / "player")
        named = {"pod_identity_cluster_name": "one", "pod_identity_resource_group": "rg"}
        status, output = player.play(play, **named)
    assert (status, "belongs to another cluster than one" in output) == (0 if right else 2, not right), output
    assert other.asked == []
