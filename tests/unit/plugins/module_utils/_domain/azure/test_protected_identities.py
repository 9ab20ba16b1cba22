# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.azure import protected_identities
from ansible_collections.azureops.pod_identity.tests.unit.tables import for_each

IDENTITY = "/subscriptions/s/resourcegroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities"
CLUSTER: dict[str, Any] = {
    "name": "shop",
    "id": f"{IDENTITY}/id",
    "tags": {"owner": f"{IDENTITY}/tag"},
    "identity": {"type": "UserAssigned", "userAssignedIdentities": {f"{IDENTITY}/control": {}}},
    "properties": {
        "servicePrincipalProfile": {"clientId": "msi"},
        "identityProfile": {"kubeletidentity": {"resourceId": f"{IDENTITY}/Kubelet"}},
        "addonProfiles": {"omsagent": {"enabled": True, "identity": {"resourceId": f"{IDENTITY}/oms"}}},
        "ingressProfile": {"webAppRouting": {"identity": {"resourceId": f"{IDENTITY}/routing"}}},
        "someFuture": [{"deep": {"identityResourceId": f"{IDENTITY}/future"}}, {"byKey": {f"{IDENTITY}/key": {}}}],
        "podIdentityProfile": {
            "enabled": True,
            "userAssignedIdentities": [{"name": "billing", "identity": {"resourceId": f"{IDENTITY}/billing"}}],
        },
    },
}


@for_each(
    ("control", "control_plane", "it is an identity of the control plane of the cluster shop"),
    ("KUBELET", "kubelet", "it is the identity of the kubelets of the cluster shop"),
    ("oms", "addon", "it is the identity of the add-on omsagent of the cluster shop"),
    ("routing", "named_by_cluster", "it is named in ingressProfile.webAppRouting.identity of the cluster shop"),
    ("future", "named_by_cluster", "it is named in someFuture.deep of the cluster shop"),
    ("key", "named_by_cluster", "it is named in someFuture.byKey of the cluster shop"),
    ("billing", "pod_identity_addon", "it is given to pods by the pod identity add-on of the cluster shop"),
    ("mine", "named", "it is in protected_identities"),
    ("tag", "", ""),
    ("id", "", ""),
    ("stray", "", ""),
)
def test_what_a_cluster_needs(name: str, code: str, reason: str) -> None:
    found = protected_identities.protection(CLUSTER, "", [f"{IDENTITY.upper()}/mine", f"{IDENTITY}/oms/"])
    assert found.reason(f"{IDENTITY.upper()}/{name}") == reason
    assert found.code(f"{IDENTITY.upper()}/{name}") == code
    assert found.gap == ""


@pytest.mark.parametrize(
    ("principal", "profile", "told"),
    [
        ({"clientId": "msi"}, {}, False),
        ({}, {"kubeletidentity": {"clientId": "c"}}, False),
        ({"clientId": "5e0a8c0e-1c15-4a3a-8b70-7f6c1a8f0b52"}, {}, True),
        ({"clientId": "msi"}, {"kubeletidentity": {"resourceId": f"{IDENTITY}/k"}}, True),
    ],
    ids=["creating", "without its resource", "service principal", "managed"],
)
def test_a_kubelet_that_is_not_told_of(principal: dict[str, str], profile: dict[str, Any], told: bool) -> None:
    body = {"name": "shop", "properties": {"servicePrincipalProfile": principal, "identityProfile": profile}}
    found = protected_identities.protection(body, "", [])
    assert (found.unknown == "") is told
    assert (found.gap == "") is told


def test_without_a_cluster_only_the_user_tells() -> None:
    found = protected_identities.protection(None, "nobody says so", [f"{IDENTITY}/mine"])
    assert (found.reason(f"{IDENTITY}/mine"), found.unknown) == ("it is in protected_identities", "nobody says so")
    assert (found.code(f"{IDENTITY}/mine"), found.code(f"{IDENTITY}/other")) == ("named", "unknown")
    assert found.gap == "It cannot be told which identities must stay: nobody says so."


def test_nodes_may_always_carry_what_aks_gives_them() -> None:
    names = [each.rpartition("/")[2] for each in protected_identities.of_nodes(CLUSTER)]
    assert names == ["Kubelet", "control", "future", "key", "oms", "routing"]
