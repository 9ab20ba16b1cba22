# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Service accounts and identities of Workload ID."""

from __future__ import annotations

from typing import Any

from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.client import Client
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.kinds import (
    Kind,
)

ID = "/subscriptions/s/resourcegroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/money"


CLIENT_ID = "00000000-0000-0000-0000-00000000000a"


def create(client: Client, kind: Kind, namespace: str | None, name: str, **more: Any) -> None:
    metadata = {"name": name, **more.pop("metadata", {})}
    body = {"apiVersion": kind.api_version, "kind": kind.name, "metadata": metadata, **more}
    client.create(kind, namespace if kind.namespaced else None, body)
