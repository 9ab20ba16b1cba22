# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Pods that a binding selects, and objects that somebody else manages."""

from __future__ import annotations

from typing import Any

from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.client import Client
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.kinds import (
    AZURE_IDENTITY,
    AZURE_IDENTITY_BINDING,
    POD,
)

RESOURCE_ID = (
    "/subscriptions/7f1f4a5e-6a0f-4d0c-9a0e-2f8f8d1c2b3a/resourcegroups/rg/providers/"
    "Microsoft.ManagedIdentity/userAssignedIdentities/billing"
)


CLIENT_ID = "2f3e6a44-5a6c-4f0d-8d1e-5a8b1f0c9e77"


def make_pod(client: Client, namespace: str, name: str, selector: str | None = None) -> None:
    body = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": {"aadpodidbinding": selector or namespace}},
        "spec": {"nodeName": "node-1", "containers": [{"name": "app", "image": "app"}]},
    }
    client.create(POD, namespace, body)


def foreign(client: Client, namespace: str, **spec: Any) -> None:
    """The pair as kubectl would have made it, with another field manager."""
    for kind, content in (
        (AZURE_IDENTITY, {"type": 0, "resourceID": RESOURCE_ID, "clientID": CLIENT_ID, **spec}),
        (AZURE_IDENTITY_BINDING, {"azureIdentity": "billing", "selector": namespace}),
    ):
        body = {
            "apiVersion": kind.api_version,
            "kind": kind.name,
            "metadata": {"name": "billing", "namespace": namespace},
            "spec": content,
        }
        status, answer = client._request("POST", kind.path(namespace), [("fieldManager", "kubectl-create")], body)
        assert status == 201, answer
