# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An api-version that Azure does not offer for a type is refused as Azure refuses it."""

from __future__ import annotations

from typing import Any

import pytest

from azsandbox.azure.arm import versions
from azsandbox.azure.loopback import SimulatedAzure

CLUSTERS = "/resourceGroups/rg/providers/Microsoft.ContainerService/managedClusters"
IDENTITIES = "/resourceGroups/rg/providers/Microsoft.ManagedIdentity/userAssignedIdentities"
SCALE_SETS = "/resourceGroups/MC_rg_c1_westeurope/providers/Microsoft.Compute/virtualMachineScaleSets"
ROLES = "/providers/Microsoft.Authorization/roleAssignments"
INVALID = (400, "InvalidApiVersionParameter")
NO_PROVIDER = (400, "NoRegisteredProviderFound")
NO_TYPE = (404, "InvalidResourceType")


@pytest.mark.parametrize(
    ("method", "path", "version", "expected", "offered"),
    [
        ("GET", "/resourceGroups/rg", "1999-01-01", INVALID, "2022-09-01"),
        ("GET", "/resources", "2030-01-01", INVALID, "2021-04-01"),
        ("GET", f"{CLUSTERS}/c1", "2023-08-02", NO_PROVIDER, "2023-08-02-preview"),
        ("GET", f"{CLUSTERS}/other", "2023-08-02", NO_TYPE, "2023-08-02-preview"),
        ("GET", CLUSTERS, "2023-01-31", NO_TYPE, "2023-02-01"),
        ("PUT", f"{CLUSTERS}/new", "2023-01-31", NO_PROVIDER, "2023-02-01"),
        ("POST", f"{CLUSTERS}/c1/listClusterUserCredential", "2016-03-30", NO_TYPE, "2026-08-01"),
        ("GET", f"{IDENTITIES}/one", "2024-05-01", NO_PROVIDER, "2023-01-31"),
        ("POST", f"{IDENTITIES}/one/listAssociatedResources", "2023-01-31", NO_TYPE, "2021-09-30-preview"),
        ("GET", f"{IDENTITIES}/one/federatedIdentityCredentials", "2018-11-30", NO_TYPE, "2023-01-31"),
        ("GET", SCALE_SETS, "2022-04-01", NO_TYPE, "2023-09-01"),
        ("GET", ROLES, "2023-09-01", NO_TYPE, "2022-04-01"),
        ("GET", f"{CLUSTERS}/c1{ROLES}", "2023-09-01", NO_TYPE, "2022-04-01"),
    ],
)
def test_refused(
    azure: SimulatedAzure, method: str, path: str, version: str, expected: tuple[int, str], offered: str
) -> None:
    azure.cluster()
    azure.arm("PUT", f"{IDENTITIES}/one", {"location": "westeurope"}).raise_for_status()
    body: Any = {"location": "westeurope", "properties": {}} if method == "PUT" else None
    answer = azure.arm(method, path, body, version=version)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == expected
    assert f"'{version}'" in error["message"] and offered in error["message"]
    assert azure.arm("GET", f"{CLUSTERS}/new").status_code == 404
    assert answer.headers["x-ms-failure-cause"] == "gateway"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/subscriptions", ("Microsoft.Resources", "subscriptions")),
        ("/subscriptions/s/resourcegroups/rg", ("Microsoft.Resources", "resourceGroups")),
        ("/subscriptions/s/providers/Microsoft.Compute", ("Microsoft.Resources", "subscriptions")),
        ("/subscriptions/s/providers/Microsoft.Compute/register", ("Microsoft.Resources", "subscriptions")),
        (
            "/subscriptions/s/providers/Microsoft.ContainerService/locations/l/operations/o",
            ("Microsoft.ContainerService", "locations/operations"),
        ),
        (
            "/x/providers/microsoft.compute/VIRTUALMACHINESCALESETS/n/virtualmachines/0/runCommand",
            ("Microsoft.Compute", "virtualMachineScaleSets/virtualMachines"),
        ),
        ("/x/providers/Microsoft.KeyVault/vaults/v", ("Microsoft.KeyVault", "vaults")),
    ],
)
def test_type_of_a_path(path: str, expected: tuple[str, str]) -> None:
    assert versions.asked(path) == expected


def test_providers_tell_what_they_offer(azure: SimulatedAzure) -> None:
    """All of them, newest first: az picks the first that is no preview."""
    listed = azure.arm("GET", f"/subscriptions/{azure.subscription_id}/providers").json()["value"]
    assert {each["namespace"] for each in listed} == set(versions.OFFERED)
    for provider in listed:
        for kind in provider["resourceTypes"]:
            known = versions.OFFERED[provider["namespace"]][kind["resourceType"]]
            assert kind["apiVersions"] == sorted(known, reverse=True)
