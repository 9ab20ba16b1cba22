# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Objects of pod identity, made through a module or by hand."""

from __future__ import annotations

from typing import Any

from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.client import Client
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.kinds import (
    CRON_JOB,
    JOB,
    POD,
    STATEFUL_SET,
    Kind,
)
from azsandbox.azure.loopback import SimulatedAzure
from azsandbox.azure.state import CLUSTER


def call(azure: SimulatedAzure, name: str) -> None:
    """Give the API server of the cluster another name."""

    def work() -> None:
        (cluster,) = azure.server.azure.state.all(CLUSTER)
        cluster.body["properties"]["fqdn"] = name

    azure.in_loop(work)


def make(client: Client, kind: Kind, namespace: str, name: str, selector: str) -> None:
    """A pod that selects, or something that would make such pods; no controller makes them here."""
    labels = {"aadpodidbinding": selector, "app": name}
    pod: dict[str, Any] = {"restartPolicy": "Never", "containers": [{"name": "app", "image": "app"}]}
    template = {"metadata": {"labels": labels}, "spec": pod}
    spec: dict[str, Any]
    if kind == POD:
        spec = pod
    elif kind == JOB:
        spec = {"suspend": True, "template": template}
    elif kind == CRON_JOB:
        spec = {"schedule": "0 0 1 1 *", "jobTemplate": {"spec": {"template": template}}}
    else:
        pod["restartPolicy"] = "Always"
        spec = {"selector": {"matchLabels": {"app": name}}, "template": template}
        spec |= {"serviceName": name} if kind == STATEFUL_SET else {}
    metadata = {"name": name, "labels": labels if kind == POD else {}}
    client.create(
        kind, namespace, {"apiVersion": kind.api_version, "kind": kind.name, "metadata": metadata, "spec": spec}
    )
