# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Workloads that the migration moves."""

from __future__ import annotations

from typing import Any

from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.client import Client
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.kinds import (
    DEPLOYMENT,
    SERVICE_ACCOUNT,
)
from ansible_collections.azureops.pod_identity.tests.kube.accounts import create


def workload(client: Client, namespace: str, name: str, account: str = "", **metadata: Any) -> None:
    labels = {"app": name, "aadpodidbinding": namespace}
    pod = {"serviceAccountName": account or name, "containers": [{"name": "app", "image": "app"}]}
    spec = {"selector": {"matchLabels": {"app": name}}, "template": {"metadata": {"labels": labels}, "spec": pod}}
    create(client, SERVICE_ACCOUNT, namespace, account or name)
    create(client, DEPLOYMENT, namespace, name, spec=spec, metadata=metadata)
