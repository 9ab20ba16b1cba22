# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Pods that a binding selects, and objects that somebody else manages."""

from __future__ import annotations

from typing import Any

from ansible_collections.azureops.pod_identity.plugins.module_utils._kube import kinds
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.client import Client
from ansible_collections.azureops.pod_identity.tests.kube.objects import create, manifest

RESOURCE_ID = (
    "/subscriptions/7f1f4a5e-6a0f-4d0c-9a0e-2f8f8d1c2b3a/resourcegroups/rg/providers/"
    "Microsoft.ManagedIdentity/userAssignedIdentities/billing"
)
CLIENT_ID = "2f3e6a44-5a6c-4f0d-8d1e-5a8b1f0c9e77"
OTHER_ID = "b1d9c1c8-1f5a-4a0e-9a74-0a6d5a3a7c21"


def make_pod(client: Client, namespace: str, name: str, selector: str | None = None) -> None:
    spec = {"nodeName": "node-1", "containers": [{"name": "app", "image": "app"}]}
    labels = {"aadpodidbinding": selector or namespace}
    create(client, kinds.POD, namespace, name, metadata={"labels": labels}, spec=spec)


def foreign(client: Client, namespace: str, **spec: Any) -> None:
    """The pair as kubectl would have made it, with another field manager."""
    for kind, content in (
        (kinds.AZURE_IDENTITY, {"type": 0, "resourceID": RESOURCE_ID, "clientID": CLIENT_ID, **spec}),
        (kinds.AZURE_IDENTITY_BINDING, {"azureIdentity": "billing", "selector": namespace}),
    ):
        body = manifest(kind, "billing", namespace, spec=content)
        status, answer = client._request("POST", kind.path(namespace), [("fieldManager", "kubectl-create")], body)
        assert status == 201, answer
