# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Before the role imds_node_cleanup touches a node it says whether a plain pod may prove the result."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.azureops.pod_identity.tests.support.api_server import ADMIN, RESTRICTED, ApiServer
from ansible_collections.azureops.pod_identity.tests.support.players import Player, role

MISSING = "create jobs, list jobs, delete jobs, list pods, get pods/log, list events"


@pytest.mark.soak
@pytest.mark.parametrize(("token", "missing"), [(ADMIN, ""), (RESTRICTED, MISSING)])
@pytest.mark.parametrize("accept", [True, False])
def test_rights_of_the_proof_are_asked_first(
    api_server: ApiServer, namespace: str, tmp_path: Path, token: str, missing: str, accept: bool
) -> None:
    player = Player(tmp_path)
    status, output = player.play(
        [role("imds_node_cleanup")],
        "--check",
        aks_node={"name": "n1", "ready": True, "transports": [], "closed_because": []},
        imds_node_cleanup_kubeconfig=api_server.kubeconfig(token),
        imds_node_cleanup_probe_namespace=namespace,
        imds_node_cleanup_accept_open_imds=accept,
    )
    text = " ".join(output.split())
    said = (
        f"No plain pod is made for the proof, because in the namespace {namespace} these rights are missing: {missing}."
    )
    assert (status, said in text, "What remains is the network of a pod" in text) == (
        0,
        bool(missing),
        bool(missing),
    ), output
    assert not missing or text.index("What remains") < text.index("Begin a result")
