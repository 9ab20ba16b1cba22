# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The nodes of a cluster whose API server has a name that is unknown here."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.azureops.pod_identity.tests.support.modules import Modules
from ansible_collections.azureops.pod_identity.tests.support.players import Player, role
from azsandbox.azure.loopback import SimulatedAzure
from azsandbox.azure.state import CLUSTER

NAME = "demo-1a2b.11111111-1111-4111-8111-111111111111.privatelink.westeurope.invalid"
SENTENCE = (
    f"Cluster demo is a private one, and the name of its API server, {NAME}, cannot be resolved from here; run this on "
    "a host in the virtual network of the cluster, link its private DNS zone to the network of this one, or set "
    "HTTPS_PROXY to a proxy there."
)
DEMO = {"resource_group": "rg", "cluster_name": "demo"}


@pytest.fixture(params=[True, False], ids=["private", "public"])
def private(request: pytest.FixtureRequest, modules: Modules, azure: SimulatedAzure) -> bool:
    """Whether it is a private one, of which its name is unknown in either case."""
    azure.cluster(name="demo", apiServerAccessProfile={"enablePrivateCluster": request.param})

    def rename() -> None:
        (cluster,) = azure.server.azure.state.all(CLUSTER)
        cluster.body["properties"]["privateFQDN" if request.param else "fqdn"] = NAME

    azure.in_loop(rename)
    modules.hand_out(f"https://{NAME}:443", {"token": "none"})
    return bool(request.param)


def test_the_nodes_come_from_the_scale_sets_and_one_sentence_says_why(
    modules: Modules, private: bool, tmp_path: Path
) -> None:
    found = modules.succeed("aks_node_info", **DEMO)
    assert len(found["nodes"]) == 2
    (told,) = found["unread"]
    assert (told == SENTENCE, NAME in told) == (private, True), told

    status, output = Player(tmp_path / "player", modules.environment).play(
        [role("imds_node_cleanup", "discover")], pod_identity_resource_group="rg", pod_identity_cluster_name="demo"
    )
    assert (status, SENTENCE in output) == (0, private), output
