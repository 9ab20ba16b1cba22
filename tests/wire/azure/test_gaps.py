# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the simulated Azure does not serve: an answer of its own, which no client takes for one of Azure."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from azsandbox.azure.loopback import SimulatedAzure

GRAPH = "https://graph.microsoft.com/.default"
SCALE_SETS = "/resourceGroups/rg/providers/Microsoft.Compute/virtualMachineScaleSets"
CLUSTERS = "/resourceGroups/rg/providers/Microsoft.ContainerService/managedClusters"


def check(answer: requests.Response, *words: str) -> None:
    """501 with a sentence that names what was asked for and whose gap it is."""
    assert answer.status_code == 501, answer.text
    error = answer.json()["error"]
    assert error["code"] == "NotImplemented"
    assert all(word in error["message"] for word in (*words, "gap of the simulated Azure"))


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/resourceGroups/rg/providers/Microsoft.KeyVault/vaults/v"),
        ("GET", "/providers/Microsoft.KeyVault/vaults"),
        ("PUT", f"{CLUSTERS}/c1/agentPools/two"),
        ("DELETE", f"{CLUSTERS}/c1/agentPools/nodepool1"),
        ("DELETE", f"{SCALE_SETS}/one"),
        ("POST", f"{SCALE_SETS}/one/start"),
        ("GET", "/nothing"),
    ],
)
def test_resource_manager(azure: SimulatedAzure, method: str, path: str) -> None:
    answer = azure.arm(method, path, {})
    check(answer, method, path)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (f"{CLUSTERS}/c2", {"location": "westeurope", "identity": {"type": "None"}}),
        (f"{CLUSTERS}/c1", {"properties": {"agentPoolProfiles": [{"name": "nodepool1", "count": 5}]}}),
    ],
    ids=["identity", "scaling"],
)
def test_clusters(azure: SimulatedAzure, path: str, body: dict[str, Any]) -> None:
    made = azure.cluster()
    pools = [{"name": "nodepool1", "count": 2, "mode": "System"}]
    wanted = {"agentPoolProfiles": pools, **body.get("properties", {})}
    check(azure.arm("PUT", path, {"location": "westeurope", **body, "properties": wanted}))
    assert azure.arm("GET", f"{CLUSTERS}/c1").json() == made


def test_machines(azure: SimulatedAzure) -> None:
    azure.group()
    scale_set = azure.scale_set("rg", "one")
    check(azure.arm("PATCH", scale_set, {"sku": {"capacity": 3}}, version="2023-09-01"), "sku")


@pytest.mark.parametrize("path", ["/resourceGroups", "/resources"])
def test_filters(azure: SimulatedAzure, path: str) -> None:
    check(azure.arm("GET", path, params={"$filter": "plan/name eq 'x'"}, version="2022-09-01"), "plan/name")


def test_other_services(azure: SimulatedAzure) -> None:
    headers = {"Authorization": f"Bearer {azure.token(scope=GRAPH)}", "Metadata": "true"}
    for place in (
        f"{azure.endpoints.graph}/v1.0/devices",
        f"{azure.endpoints.graph}/v1.0/servicePrincipals?$filter=publisherName eq 'x'",
        f"{azure.endpoints.entra}/{azure.tenant_id}/saml2",
        f"{azure.endpoints.imds}/metadata/attested/document?api-version=2020-09-01",
    ):
        check(azure.session.get(place, headers=headers, timeout=20))
    answer = azure.session.get(f"{azure.endpoints.arm}/x", headers={"Host": "example.com"}, timeout=20)
    check(answer, "example.com", "/x")
