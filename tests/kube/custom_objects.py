# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Custom resources of pod identity, and references to them."""

from __future__ import annotations

from typing import Any

from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.client import Client
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.kinds import (
    Kind,
)


def create(client: Client, kind: Kind, namespace: str, name: str, spec: dict[str, Any], **more: Any) -> None:
    metadata = {"name": name, **more.pop("metadata", {})}
    body = {"apiVersion": kind.api_version, "kind": kind.name, "metadata": metadata, "spec": spec, **more}
    client.create(kind, namespace, body)


def reference(kind: Kind, namespace: str, spec: dict[str, Any]) -> dict[str, Any]:
    metadata = {"name": "money", "namespace": namespace}
    return {"apiVersion": kind.api_version, "kind": kind.name, "metadata": metadata, "spec": spec}
