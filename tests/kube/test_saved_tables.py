# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where the role imds_node_cleanup puts the tables of a node, which is this machine here."""

from __future__ import annotations

import base64
import gzip
from pathlib import Path
from typing import Any

from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.client import Client
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.kinds import SECRET
from ansible_collections.azureops.pod_identity.tests.support.api_server import ApiServer
from ansible_collections.azureops.pod_identity.tests.support.players import Player, role

OWNER = "azureops.pod-identity/owner"


def test_a_secret_takes_tables_unless_it_belongs_to_somebody_else(
    api_server: ApiServer, client: Client, namespace: str, tmp_path: Path
) -> None:
    table = tmp_path / "nat-nft"
    table.write_text("*nat\nCOMMIT\n")
    player = Player(tmp_path / "player")

    def save(*nodes: str) -> str:
        """What the result of the last node says of the tables; one host is one node after the other."""
        done = {"result": {"backends": {"nft": {"saved_to": str(table)}}}}
        facts = [
            {"imds_node_cleanup_result": {"node": node, "reason": ""}, "__imds_node_cleanup_done": done}
            for node in nodes or ("n1",)
        ]
        said = "saved {{ imds_node_cleanup_result.saved | join(' ') }} reason {{ imds_node_cleanup_result.reason }} end"
        status, output = player.play(
            [
                *(
                    task
                    for each in facts
                    for task in ({"ansible.builtin.set_fact": each}, role("imds_node_cleanup", "saved"))
                ),
                {"ansible.builtin.debug": {"msg": said}},
            ],
            imds_node_cleanup_kubeconfig=api_server.kubeconfig(),
            imds_node_cleanup_artifact_target=f"secret:{namespace}/tables",
        )
        assert status == 0, output
        return output.rpartition('"msg": "saved ')[2].partition(" end")[0]

    def secret() -> dict[str, Any]:
        return client.get(SECRET, namespace, "tables-n1") or {}

    assert save() == f"secret:{namespace}/tables-n1 reason "
    assert secret()["metadata"]["labels"] == {"app.kubernetes.io/managed-by": "azureops.pod_identity", OWNER: "default"}
    packed = base64.b64decode(secret()["data"]["nat-nft.gz"])
    assert gzip.decompress(packed) == table.read_bytes()

    metadata = {"name": "tables-n2", "labels": {OWNER: "them"}}
    client.create(SECRET, namespace, {"apiVersion": "v1", "kind": "Secret", "metadata": metadata})
    assert save("n1", "n2").endswith(f"because the Secret {namespace}/tables-n2 belongs to somebody else.")

    client.merge(SECRET, namespace, "tables-n1", {"metadata": {"labels": {OWNER: "them"}}})
    before = secret()
    table.write_text("*nat\n-A PREROUTING -j other\nCOMMIT\n")
    why = f"because the Secret {namespace}/tables-n1 belongs to somebody else."
    assert save() == f"only on the node: {table} reason The tables as they were are only on the node, {why}"
    assert secret() == before
