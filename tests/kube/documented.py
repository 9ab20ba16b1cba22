# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The EXAMPLES of the Kubernetes modules, made to run against the API server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.client import Client
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.kinds import AZURE_IDENTITY, SERVICE_ACCOUNT
from ansible_collections.azureops.pod_identity.tests.kube.objects import create
from ansible_collections.azureops.pod_identity.tests.support import api_server as server
from ansible_collections.azureops.pod_identity.tests.support.api_server import ApiServer

NAMESPACES = ("billing", "reports", "platform", "monitoring", "backup")


IDENTITIES = (
    "/subscriptions/7f1f4a5e-6a0f-4d0c-9a0e-2f8f8d1c2b3a/resourceGroups/pod-identity-demo"
    "/providers/Microsoft.ManagedIdentity/userAssignedIdentities"
)


CLIENT_ID = "2f3e6a44-5a6c-4f0d-8d1e-5a8b1f0c9e77"


TENANT_ID = "5e1c7a2b-93c4-4a58-8f43-6b1f0f6a2d10"


# There is no kubelet that would start a probe, and no MIC that would detach anything.
SOON = {"start_timeout": 2, "timeout": 1}


# What earlier tasks of somebody's playbook would have registered.
REGISTERED = {
    "billing": {"state": {"id": f"{IDENTITIES}/billing", "client_id": CLIENT_ID, "tenant_id": TENANT_ID}},
    "cluster": {"state": {"kubelet_identity": {"resource_id": f"{IDENTITIES}/demo-agentpool"}}},
    "vault_reports_password": "sesame",
}


@pytest.fixture(scope="module")
def namespaces(client: Client) -> Iterator[None]:
    for name in NAMESPACES:
        create(client, server.NAMESPACE, None, name)
    for namespace, name in (("billing", "api"), ("reports", "default")):  # here is no controller that would
        create(client, SERVICE_ACCOUNT, namespace, name)
    yield
    for name in NAMESPACES:
        client.delete(server.NAMESPACE, None, name)
    server.until(
        "the namespaces are gone",
        lambda: not {each["metadata"]["name"] for each in client.list_all(server.NAMESPACE)}.intersection(NAMESPACES),
        120,
    )


@pytest.fixture
def shared(client: Client, crds: None, namespaces: None) -> Iterator[None]:
    """The AzureIdentity of somebody else that an example binds."""
    spec = {"type": 0, "resourceID": f"{IDENTITIES}/shared", "clientID": CLIENT_ID.replace("2f", "3f")}
    create(client, AZURE_IDENTITY, "platform", "shared", spec=spec)
    yield
    client.delete(AZURE_IDENTITY, "platform", "shared")


def examples(module: Any, api_server: ApiServer) -> list[dict[str, Any]]:
    text = module.EXAMPLES.replace("/etc/ansible/prod.kubeconfig", api_server.kubeconfig())
    return list(yaml.safe_load(text))
