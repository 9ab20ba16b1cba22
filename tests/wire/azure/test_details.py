# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Details of clusters, scale sets and roles that recordings beyond those of this project show."""

from __future__ import annotations

import re
import uuid
from typing import Any

import pytest

from azsandbox.azure.loopback import SimulatedAzure
from azsandbox.azure.state import ROLE_ASSIGNMENT

CLUSTER = "/resourceGroups/rg/providers/Microsoft.ContainerService/managedClusters/c1"
BODY: dict[str, Any] = {"location": "westeurope", "properties": {}}
PRIVATE = {"enablePrivateCluster": True}


def put(azure: SimulatedAzure, body: dict[str, Any], version: str = "") -> dict[str, Any]:
    """A PUT of the cluster, waited for; the cluster then."""
    answer = azure.arm("PUT", CLUSTER, {**BODY, **body}, version=version)
    assert answer.status_code == 200, answer.text
    assert azure.wait(answer)["status"] == "Succeeded"
    return dict(azure.arm("GET", CLUSTER).json())


# the identity of a cluster


def test_a_cluster_gets_another_identity(azure: SimulatedAzure) -> None:
    one, two = azure.identity("one"), azure.identity("two")
    system = azure.cluster()["identity"]["principalId"]

    def contributors() -> set[str]:
        found = azure.server.azure.state.all(ROLE_ASSIGNMENT)
        return {each.properties["principalId"] for each in found if "/MC_rg_c1" in each.properties["scope"]}

    before = azure.in_loop(contributors)
    for made in (one, two):
        wanted = {"type": "UserAssigned", "userAssignedIdentities": {made["id"]: {}}}
        answer = azure.arm("PUT", CLUSTER, {**BODY, "identity": wanted})
        assert answer.json()["identity"] == wanted
        azure.wait(answer)
        shown = {name: made["properties"][name] for name in ("clientId", "principalId")}
        found = azure.arm("GET", CLUSTER).json()["identity"]
        assert found == {"type": "UserAssigned", "userAssignedIdentities": {made["id"]: shown}}
        again = {"type": "UserAssigned", "userAssignedIdentities": {made["id"].upper(): {}}}
        assert put(azure, {"identity": again})["identity"] == found
        assert made["properties"]["principalId"] in azure.in_loop(contributors) - before
    assert system not in azure.in_loop(lambda: set(azure.server.azure.state.principals))
    back = put(azure, {"identity": {"type": "SystemAssigned"}})["identity"]
    assert back["type"] == "SystemAssigned" and back["principalId"] != system
    assert put(azure, {})["identity"] == back


def test_the_new_identity_of_a_cluster_must_exist(azure: SimulatedAzure) -> None:
    made = azure.cluster()
    wanted = {"type": "UserAssigned", "userAssignedIdentities": {f"{made['id'].partition('/providers/')[0]}/x": {}}}
    answer = azure.arm("PUT", CLUSTER, {**BODY, "identity": wanted})
    assert (answer.status_code, answer.json()["code"]) == (400, "InvalidUserAssignedIdentity")
    assert azure.arm("GET", CLUSTER).json() == made


# the identities of a scale set


def test_without_an_identity_a_scale_set_has_no_such_key(azure: SimulatedAzure) -> None:
    made = azure.identity("one")
    scale_set = azure.scale_set("rg", "own")
    wanted = {"identity": {"type": "UserAssigned", "userAssignedIdentities": {made["id"]: {}}}}
    azure.wait(azure.arm("PATCH", scale_set, wanted, version="2023-09-01"))
    answer = azure.arm("PATCH", scale_set, {"identity": {"type": "None"}}, version="2023-09-01")
    assert "identity" not in answer.json()
    azure.wait(answer)
    assert "identity" not in azure.arm("GET", scale_set, version="2023-09-01").json()


# private clusters


def test_a_private_cluster(azure: SimulatedAzure) -> None:
    made = azure.cluster(apiServerAccessProfile=dict(PRIVATE))
    found = made["properties"]
    label = found["fqdn"].partition(".")[0]
    assert re.fullmatch(rf"{label}\.[0-9a-f-]{{36}}\.privatelink\.westeurope\.azmk8s\.io", found["privateFQDN"])
    public = {**PRIVATE, "enablePrivateClusterPublicFQDN": True}
    assert found["apiServerAccessProfile"] == {**public, "privateDNSZone": "system"}
    (link,) = found["privateLinkResources"]
    assert (link["id"], link["groupId"]) == (f"{made['id']}/privateLinkResources/management", "management")
    hidden = {"apiServerAccessProfile": {**PRIVATE, "enablePrivateClusterPublicFQDN": False}}
    changed = put(azure, {"properties": hidden})["properties"]
    assert "fqdn" not in changed and changed["privateFQDN"] == found["privateFQDN"]
    assert put(azure, {"properties": {"apiServerAccessProfile": public}})["properties"]["fqdn"] == found["fqdn"]
    kubeconfig = azure.in_loop(lambda: azure.compute.clusters[made["id"].lower()].fqdn)
    assert kubeconfig == found["privateFQDN"]


def test_a_cluster_stays_public(azure: SimulatedAzure) -> None:
    made = azure.cluster()
    assert not {"privateFQDN", "privateLinkResources"} & made["properties"].keys()
    body = {"location": "westeurope", "properties": {"apiServerAccessProfile": PRIVATE}}
    answer = azure.arm("PUT", CLUSTER, body)
    assert (answer.status_code, answer.json()["code"]) == (400, "PropertyChangeNotAllowed")


# the pod identity add-on


@pytest.mark.parametrize(("version", "kept"), [("2020-11-01", False), ("2023-05-01", True)])
def test_an_omitted_profile(azure: SimulatedAzure, version: str, kept: bool) -> None:
    """With the api-version of the recording that shows it, a request without the add-on's profile turns it off."""
    assert azure.cluster(podIdentityProfile={"enabled": True})["properties"]["podIdentityProfile"] == {"enabled": True}
    found = put(azure, {}, version)["properties"].get("podIdentityProfile")
    assert found == ({"enabled": True} if kept else None)


# absence


def test_a_cluster_that_only_resource_manager_knows(azure: SimulatedAzure) -> None:
    azure.control("POST", "/settings", {"time_scale": 1000})
    azure.group()
    assert azure.arm("GET", CLUSTER).json()["error"]["code"] == "ResourceNotFound"
    refused = azure.arm("PUT", CLUSTER, BODY)
    assert refused.json()["code"] == "InvalidParameter"
    answer = azure.arm("GET", CLUSTER)
    assert (answer.status_code, answer.json()["code"]) == (404, "NotFound")
    assert answer.json()["subcode"] == "GetManagedCluster_NotFound"
    azure.control("POST", "/settings", {"time_scale": 0})
    azure.cluster()
    azure.wait(azure.arm("DELETE", CLUSTER))
    azure.control("POST", "/settings", {"time_scale": 1000})
    assert azure.arm("GET", CLUSTER).json()["subcode"] == "GetManagedCluster_NotFound_HCPServerError"


# custom roles


def test_a_custom_role(azure: SimulatedAzure) -> None:
    scope = f"/subscriptions/{azure.subscription_id}"
    name = str(uuid.uuid4())
    path = f"{scope}/providers/Microsoft.Authorization/roleDefinitions/{name}"
    wanted = {"roleName": "custom", "assignableScopes": [scope], "permissions": [{"actions": ["*/read"]}]}
    missing = azure.arm("GET", path, version="2022-04-01")
    assert (missing.status_code, name.replace("-", "") in missing.text) == (404, True)
    made = azure.arm("PUT", path, {"properties": wanted}, version="2022-04-01").json()["properties"]
    assert (made["description"], made["createdBy"], made["updatedBy"]) == (None, None, azure.owner.object_id)
    somebody = azure.principal("somebody", ("Owner", scope))
    more = {"properties": {**wanted, "description": "Reads."}}
    azure.arm("PUT", path, more, version="2022-04-01", who=somebody).raise_for_status()
    found = azure.arm("GET", path, version="2022-04-01").json()["properties"]
    assert (found["description"], found["createdOn"]) == ("Reads.", made["createdOn"])
    assert (found["createdBy"], found["updatedBy"]) == (azure.owner.object_id, somebody.object_id)
    assert azure.arm("DELETE", path, version="2022-04-01").json()["properties"] == found
