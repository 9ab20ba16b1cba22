# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbook inventory over several clusters, one of which it may not look at."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._kube import kinds
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.client import Client
from ansible_collections.azureops.pod_identity.tests.kube.objects import make
from ansible_collections.azureops.pod_identity.tests.support.api_server import RESTRICTED, ApiServer
from ansible_collections.azureops.pod_identity.tests.support.players import Player


@pytest.fixture
def pods(client: Client, crds: None, namespace: str) -> str:
    """One pod that two identities match, and one that none does; the namespace."""
    for name in ("one", "two"):
        for kind, spec in (
            (kinds.AZURE_IDENTITY, {"type": 1, "clientID": f"client-{name}"}),
            (kinds.AZURE_IDENTITY_BINDING, {"azureIdentity": name, "selector": namespace}),
        ):
            body = {"apiVersion": kind.api_version, "kind": kind.name, "metadata": {"name": name}, "spec": spec}
            client.create(kind, namespace, body)
    make(client, kinds.POD, namespace, "both", namespace)
    make(client, kinds.POD, namespace, "none", f"{namespace}-none")
    return namespace


CLUSTERS = ("east", "forbidden", "nowhere")


def play(
    api_server: ApiServer, player: Player, target: Path, *arguments: str, clusters: Sequence[str] = CLUSTERS
) -> tuple[int, str]:
    kubeconfigs = {
        "east": api_server.kubeconfig(),
        "west": api_server.kubeconfig(),
        "forbidden": api_server.kubeconfig(RESTRICTED),
        "nowhere": "/nowhere/kubeconfig",
    }
    hosts = {name: {"ansible_connection": "local", "pod_identity_kubeconfig": kubeconfigs[name]} for name in clusters}
    inventory = player.directory / "clusters.json"
    inventory.write_text(json.dumps({"clusters": {"hosts": hosts}}))
    return player.play(
        "azureops.pod_identity.inventory",
        "-i",
        str(inventory),
        *arguments,
        pod_identity_hosts="clusters",
        pod_identity_inventory_file=str(target),
    )


@pytest.mark.soak
def test_one_file_for_all_clusters(api_server: ApiServer, pods: str, tmp_path: Path) -> None:
    player, target = Player(tmp_path / "play"), tmp_path / "found"
    status, output = play(api_server, player, target, "--check")
    assert status == 2 and not list(tmp_path.glob("found.*")), output
    status, output = play(api_server, player, target)
    assert status == 2 and "may not list azureidentities" in output, output

    clusters = json.loads((tmp_path / "found.incomplete.json").read_text())["clusters"]
    assert set(clusters) == {"east", "forbidden", "nowhere"}
    assert "may not list" in clusters["forbidden"]["error"] and "/nowhere/kubeconfig" in clusters["nowhere"]["error"]
    assert set(clusters["east"]) == {"rules", "workloads", "identities", "assignments", "findings"}

    with (tmp_path / "found.incomplete.csv").open() as file:
        lines: list[dict[str, Any]] = list(csv.DictReader(file))
    assert len(lines) == len(clusters["east"]["workloads"]) + 2
    both, none = [line for line in lines if line["namespace"] == pods]
    assert (both["cluster"], both["kind"], both["name"]) == ("east", "Pod", "both")
    assert (both["default_identities"], both["deterministic"]) == (f"{pods}/one {pods}/two", "False")
    assert (both["identities"], both["findings"]) == ("client-one client-two", "ambiguous_default")
    assert (none["answers"], none["findings"]) == ("not_assigned", "nothing_matches")
    assert [line["error"] for line in lines if line["cluster"] == "forbidden"] == [clusters["forbidden"]["error"]]

    status, output = play(api_server, player, target)
    assert "changed=0" in output and "changed=1" not in output, output
    assert not list(player.temporary.glob("azureops-pod-identity-*"))
