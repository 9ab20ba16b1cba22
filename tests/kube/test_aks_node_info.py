# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""aks_node_info where the API server tells of the nodes, and not of all that runs on them."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.installation.trusted_namespaces import (
    Belief,
)
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.client import Client
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.kinds import DAEMON_SET, NODE, POD, Kind
from ansible_collections.azureops.pod_identity.tests.support import api_server as server
from ansible_collections.azureops.pod_identity.tests.support.api_server import RESTRICTED, ApiServer, Runner
from ansible_collections.azureops.pod_identity.tests.support.players import Player, role

MERGE = "application/merge-patch+json"
READY = {"conditions": [{"type": "Ready", "status": "True"}]}
READS = [
    {"apiGroups": [""], "resources": ["nodes", "pods", "endpoints"], "verbs": ["get", "list"]},
    {"apiGroups": ["apps"], "resources": ["daemonsets", "deployments"], "verbs": ["list"]},
]


@pytest.fixture
def look(api_server: ApiServer) -> Runner:
    return Runner(api_server, "aks_node_info")


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    """It takes connections and never answers; the API server passes nothing on to loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as route:
        route.connect(("192.0.2.1", 9))
        with socket.create_server((route.getsockname()[0], 0)) as listener:
            yield listener


@pytest.fixture
def nmi(client: Client, namespace: str, silent: socket.socket) -> Iterator[str]:
    """A node with an NMI that is Ready and says nothing."""
    address, port = silent.getsockname()
    image = "mcr.microsoft.com/k8s/aad-pod-identity/nmi:v1.8.17"
    container = {"name": "nmi", "image": image, "args": [f"--http-probe-port={port}"]}
    spec = {"nodeName": "n1", "hostNetwork": True, "containers": [container]}
    labels = {"app": "nmi"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    create(client, NODE, None, "n1", status=READY)
    create(client, DAEMON_SET, namespace, "nmi", spec={"selector": {"matchLabels": labels}, "template": template})
    create(client, POD, namespace, "nmi-1", labels, spec=spec)
    status = {**READY, "phase": "Running", "podIP": address, "podIPs": [{"ip": address}], "hostIP": address}
    client._request("PATCH", POD.path(namespace, "nmi-1", "status"), (), {"status": status}, MERGE)
    try:
        with server.rights_of_nmi(client, namespace):
            yield namespace
    finally:  # one of the tests ends the API server
        client.delete(NODE, None, "n1")
        server.end_pod(client, namespace, "nmi-1")


def create(
    client: Client, kind: Kind, namespace: str | None, name: str, labels: dict[str, str] | None = None, **rest: Any
) -> None:
    metadata = {"name": name, "namespace": namespace, "labels": labels or {}}
    client.create(kind, namespace, {"apiVersion": kind.api_version, "kind": kind.name, "metadata": metadata, **rest})


def test_nmi_that_does_not_answer_still_covers_its_node(look: Runner, nmi: str) -> None:
    (node,) = look(api_timeout=1).ok()["nodes"]
    assert (node["nmi_state"], node["nmi_pod"], node["nmi_installation"]) == (
        "not_active",
        "nmi-1",
        f"DaemonSet {nmi}/nmi",
    )
    assert "still covers the node" in node["closed_because"][0]
    assert node["groups"] == ["nmi_not_active", "rules_suspected"] and "aks_node_pod" in node["transports"]


def test_a_node_that_left_the_daemon_set_of_nmi_is_told_apart(look: Runner, client: Client, nmi: str) -> None:
    """From one of a cluster in which nothing is installed any more."""
    create(client, NODE, None, "n2", status=READY)
    selector = {"spec": {"template": {"spec": {"nodeSelector": {"pool": "apps"}}}}}
    try:
        client.merge(NODE, None, "n1", {"metadata": {"labels": {"pool": "apps"}}})
        client.merge(DAEMON_SET, nmi, "nmi", selector)
        covered, left_out = look(api_timeout=1).ok()["nodes"]
    finally:
        client.delete(NODE, None, "n2")
    assert (covered["nmi_installation"], covered["nmi_elsewhere"]) == (f"DaemonSet {nmi}/nmi", {})
    assert (left_out["nmi_state"], left_out["nmi_installation"]) == ("missing", "")
    assert left_out["nmi_elsewhere"] == {f"DaemonSet {nmi}/nmi": "NMI selects nodes with pool=apps"}


def test_a_missing_right_does_not_make_nmi_look_absent(look: Runner, client: Client, nmi: str) -> None:
    with server.rights_of_restricted(client, f"looks-{nmi}", *READS):
        answer = look(token=RESTRICTED).ok()
    (node,) = answer["nodes"]
    assert (node["nmi_state"], node["groups"]) == ("unknown", ["not_inspected"])
    assert "could not be read" in node["closed_because"][0] and "proxy" in node["closed_because"][0]
    assert "aks_node_pod" in node["transports"]
    assert "may not proxy to pods" in answer["unread"][0]


def test_nmi_without_known_rights_covers_its_node_and_it_is_told(look: Runner, client: Client, nmi: str) -> None:
    proxy = {"apiGroups": [""], "resources": ["pods/proxy"], "verbs": ["get"]}
    with server.rights_of_restricted(client, f"looks-{nmi}", *READS, proxy):
        answer = look(token=RESTRICTED, api_timeout=1).ok()
    (node,) = answer["nodes"]
    assert (node["nmi_state"], node["nmi_pod"]) == ("not_active", "nmi-1")
    for kind, sentence in zip(("clusterroles", "clusterrolebindings"), answer["unread"], strict=True):
        assert f"may not list {kind}.rbac" in sentence and sentence.endswith(Belief.EVERYWHERE)


@pytest.mark.soak
def test_nmi_is_not_blamed_for_an_api_server_that_goes(api_server: ApiServer, nmi: str, silent: socket.socket) -> None:
    silent.settimeout(60)
    with Runner(api_server, "nmi_info").start() as process:
        asked, _address = silent.accept()
        api_server.restart()
        printed, errors = process.communicate(timeout=60)
    asked.close()
    told = json.loads(printed)
    assert (process.returncode, errors) == (1, "")
    assert told["msg"] == f"The API server {api_server.url} cannot be reached: the connection failed."


def test_what_a_node_calls_its_address_reaches_no_program(
    api_server: ApiServer, look: Runner, client: Client, tmp_path: Path
) -> None:
    """Neither the inventory nor the role takes it for the address of the host; a warning says so."""
    odd = "-oProxyCommand=id"
    addresses = [{"type": "InternalIP", "address": odd}, {"type": "ExternalIP", "address": "192.0.2.7"}]
    status = {**READY, "addresses": addresses}
    create(client, NODE, None, "odd", {"kubernetes.io/os": "linux"}, status=status)
    client._request("PATCH", NODE.path(None, "odd", "status"), (), {"status": status}, MERGE)
    inventory = tmp_path / "test.aks_nodes.yml"
    file = {"plugin": "azureops.pod_identity.aks_nodes", "kubeconfig": api_server.kubeconfig()}
    inventory.write_text(json.dumps(file))
    show = {"ansible.builtin.debug": {"msg": "host={{ hostvars.odd.ansible_host | default('none') }}."}}
    player = Player(tmp_path / "player")
    try:
        (node,) = (each for each in look().ok()["nodes"] if each["name"] == "odd")
        listed = player.play([show], "-i", str(inventory))
        found = player.play(
            [role("imds_node_cleanup", "discover"), show], pod_identity_kubeconfig=api_server.kubeconfig()
        )
    finally:
        client.delete(NODE, None, "odd")
    assert (node["addresses"], node["odd_addresses"]) == ([], [odd])
    assert node["transports"] == ["aks_node_pod"]
    for expected, (code, output) in (("none", listed), ("odd", found)):
        assert (code, f"host={expected}." in output) == (0, True), output
        assert f"Node odd is not reached by ssh, because it calls '{odd}' its address" in " ".join(output.split())
