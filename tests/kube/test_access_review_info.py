# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""access_review_info against a real API server with Kubernetes RBAC."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.client import Client
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.kinds import Kind
from ansible_collections.azureops.pod_identity.tests.support.api_server import RESTRICTED, ApiServer, Runner

RBAC = "rbac.authorization.k8s.io"
SERVICE_ACCOUNT = Kind("", "v1", "serviceaccounts", "ServiceAccount")
ROLE = Kind(RBAC, "v1", "roles", "Role")
ROLE_BINDING = Kind(RBAC, "v1", "rolebindings", "RoleBinding")
GROUP = "aadpodidentity.k8s.io"


@pytest.fixture
def review(api_server: ApiServer) -> Runner:
    return Runner(api_server, "access_review_info")


@pytest.fixture
def narrow(client: Client, namespace: str) -> str:
    """A service account that may create AzureIdentities in its namespace and run commands there, and nothing else."""
    rules = [
        {"apiGroups": [GROUP], "resources": ["azureidentities"], "verbs": ["create"]},
        {"apiGroups": [""], "resources": ["pods/exec"], "verbs": ["create"]},
    ]
    subject = {"kind": "ServiceAccount", "name": "narrow", "namespace": namespace}
    reference = {"apiGroup": RBAC, "kind": "Role", "name": "narrow"}
    for kind, more in (
        (SERVICE_ACCOUNT, {}),
        (ROLE, {"rules": rules}),
        (ROLE_BINDING, {"subjects": [subject], "roleRef": reference}),
    ):
        metadata = {"name": "narrow", "namespace": namespace}
        client.create(
            kind, namespace, {"apiVersion": kind.api_version, "kind": kind.name, "metadata": metadata, **more}
        )
    return f"system:serviceaccount:{namespace}:narrow"


def need(namespace: str, resource: str, *verbs: str, **more: Any) -> dict[str, Any]:
    return {"namespace": namespace, "resource": resource, "verbs": list(verbs), **more}


def test_only_what_is_missing_is_named(review: Runner, narrow: str, namespace: str) -> None:
    needs = [
        need(namespace, "azureidentities", "create", "patch", api_group=GROUP),
        need("default", "azureidentities", "create", api_group=GROUP),
        need("", "azureidentities", "create", api_group=GROUP),
        need(namespace, "azureidentities", "create"),
        need(namespace, "pods", "create"),
        need(namespace, "pods", "create", subresource="exec"),
        need(namespace, "azureidentities", "create", "patch", api_group=GROUP, certain=False),
    ]
    # Every authenticated user may ask about itself, and a service account is one.
    groups = ["system:serviceaccounts", "system:authenticated"]
    answer = review(needs=needs, impersonate_user=narrow, impersonate_groups=groups).ok()
    assert answer["changed"] is False
    refused = [(each["namespace"], each["verb"], each["api_group"], each["resource"]) for each in answer["missing"]]
    assert refused == [
        (namespace, "patch", GROUP, "azureidentities"),
        ("default", "create", GROUP, "azureidentities"),
        ("", "create", GROUP, "azureidentities"),
        (namespace, "create", "", "azureidentities"),
        (namespace, "create", "", "pods"),
        (namespace, "patch", GROUP, "azureidentities"),
    ]
    assert [each["certain"] for each in answer["missing"]] == [True] * 5 + [False]
    assert all("administers the cluster" in each["remedy"] for each in answer["missing"])


def test_an_administrator_lacks_nothing(review: Runner, api_server: ApiServer, namespace: str) -> None:
    needs = [need(namespace, "secrets", "get"), need("", "nodes", "list")]
    answer = review(needs=needs, check=True).ok()
    assert (answer["missing"], answer["server"]) == ([], api_server.url)
    refused = review(needs=needs, token=RESTRICTED).ok()["missing"]
    assert [each["resource"] for each in refused] == ["secrets", "nodes"]


def test_a_user_that_is_unknown(review: Runner, api_server: ApiServer) -> None:
    assert "not accept" in review(needs=[need("", "nodes", "list")], token="nobody").failure()
