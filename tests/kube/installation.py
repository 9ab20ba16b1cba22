# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An installation of AAD Pod Identity as objects of the API server, healthy at first; nothing of it runs here."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ansible_collections.azureops.pod_identity.plugins.module_utils._kube import kinds
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.client import Client
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.kinds import Kind
from ansible_collections.azureops.pod_identity.tests.support import api_server as server
from ansible_collections.azureops.pod_identity.tests.support.api_server import ApiServer

from . import kubelet as kubelets
from . import objects
from .kubelet import Kubelet

Raw = dict[str, Any]
READY = [{"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}]
_ID = "/subscriptions/s/resourcegroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/web"


def crashing() -> Raw:
    """The state of a container that ends again and again, until a moment ago."""
    ended = {"exitCode": 255, "reason": "Error", "finishedAt": _now()}
    state = {"state": {"waiting": {"reason": "CrashLoopBackOff"}}, "lastState": {"terminated": ended}}
    return {"ready": False, "restartCount": 7, **state}


@dataclass
class Installation:
    """In a namespace that is believed, on one node with a kubelet; names end with that of the namespace."""

    client: Client
    namespace: str
    kubelet: Kubelet

    @property
    def node(self) -> str:
        return f"node-{self.namespace}"

    def create(self, kind: Kind, name: str, namespace: str = "", **body: Any) -> Raw:
        return objects.create(self.client, kind, namespace or self.namespace, name, **body)

    def set_status(self, kind: Kind, name: str, status: Raw, namespace: str = "") -> None:
        objects.set_status(self.client, kind, namespace or self.namespace, name, **status)

    def program(self, kind: Kind, name: str, *arguments: str, namespace: str = "") -> Raw:
        """A Deployment or DaemonSet with the image of its name; with its ReplicaSet, if it has one."""
        labels = {"component": name}
        image = f"mcr.microsoft.com/oss/azure/aad-pod-identity/{name}:v1.8.17"
        run = {"name": name, "image": image, "args": list(arguments)}
        template = {"metadata": {"labels": labels}, "spec": {"serviceAccountName": "nmi", "containers": [run]}}
        spec = {"selector": {"matchLabels": labels}, "template": template}
        made = self.create(kind, name, namespace, spec=spec)
        if kind == kinds.DEPLOYMENT:
            made = self.create(kinds.REPLICA_SET, f"{name}-1", namespace, metadata=owned(made), spec=spec)
        return made

    def pod(self, owner: Raw, name: str, namespace: str = "", state: Raw | None = None) -> None:
        template = owner["spec"]["template"]
        spec = {"nodeName": self.node, "containers": template["spec"]["containers"]}
        metadata = {**owned(owner), "labels": template["metadata"]["labels"]}
        self.create(kinds.POD, name, namespace, metadata=metadata, spec=spec)
        self.state_of(name, spec["containers"][0]["name"], state or {}, namespace)

    def state_of(self, pod: str, container: str, state: Raw, namespace: str = "") -> None:
        run = {"ready": True, "restartCount": 0, "state": {"running": {"startedAt": _now()}}, **state}
        status = {"name": container, "image": "x", "imageID": "x", "lastState": {}, **run}
        conditions = READY if run["ready"] else [{"type": "Ready", "status": "False"}]
        whole = {"phase": "Running", "conditions": conditions, "containerStatuses": [status]}
        self.set_status(kinds.POD, pod, whole, namespace)

    def hold_lock(self) -> None:
        """As MIC's leader does; nobody renews it here."""
        now = _now()
        held = {"holderIdentity": "mic-a", "leaseDurationSeconds": 15, "acquireTime": now, "renewTime": now}
        annotations = {"control-plane.alpha.kubernetes.io/leader": json.dumps({**held, "leaderTransitions": 0})}
        metadata = {"name": "aad-pod-identity-mic", "namespace": self.namespace, "annotations": annotations}
        self.client.apply(kinds.ENDPOINTS, {"apiVersion": "v1", "kind": "Endpoints", "metadata": metadata})

    def install(self) -> None:
        self.create(kinds.NODE, self.node, metadata={"labels": {"kubernetes.io/os": "linux"}})
        address = {"type": "InternalIP", "address": "127.0.0.1"}
        endpoint = {"kubeletEndpoint": {"Port": self.kubelet.port}}
        status = {"conditions": READY, "addresses": [address], "daemonEndpoints": endpoint}
        self.set_status(kinds.NODE, self.node, status)
        lock = f"--leader-election-namespace={self.namespace}"
        self.pod(self.program(kinds.DEPLOYMENT, "mic", lock), "mic-a")
        self.pod(self.program(kinds.DAEMON_SET, "nmi", f"--MICNamespace={self.namespace}"), "nmi-a")
        self.hold_lock()
        self.create(kinds.AZURE_POD_IDENTITY_EXCEPTION, "mic-exception", spec={"podLabels": {"component": "mic"}})
        ids = f"{_ID}-{self.namespace}", f"client-{self.namespace}"
        made = objects.pair(self.client, self.namespace, "web", *ids)
        containers = [{"name": "web", "image": "web"}]
        labels = {"aadpodidbinding": self.namespace}
        self.create(
            kinds.POD, "web", metadata={"labels": labels}, spec={"nodeName": self.node, "containers": containers}
        )
        self.state_of("web", "web", {})
        assigned = objects.assignment("web", self.namespace, *made, node=self.node)
        name = f"web-{self.namespace}-web"
        self.create(kinds.AZURE_ASSIGNED_IDENTITY, name, "default", spec=assigned, status={"status": "Assigned"})
        self.kubelet.write(self.namespace, "mic-a", "I0301 09:00:00.000000       1 mic.go:1] mic is the leader\n")
        self.kubelet.write(self.namespace, "nmi-a", "I0301 09:00:00.000000       1 main.go:1] starting nmi process\n")

    def take_away(self) -> None:
        for pod in self.client.list_all(kinds.POD, self.namespace):
            server.end_pod(self.client, self.namespace, pod["metadata"]["name"])
        for kind in (kinds.DEPLOYMENT, kinds.DAEMON_SET, kinds.REPLICA_SET):
            for raw in self.client.list_all(kind, self.namespace):
                self.client.delete(kind, self.namespace, raw["metadata"]["name"])
        self.client.delete(kinds.AZURE_ASSIGNED_IDENTITY, "default", f"web-{self.namespace}-web")
        self.client.delete(kinds.NODE, None, self.node)


def owned(owner: Raw) -> Raw:
    """The part of the metadata that says who made it."""
    names = {"name": owner["metadata"]["name"], "uid": owner["metadata"]["uid"]}
    reference = {"apiVersion": owner["apiVersion"], "kind": owner["kind"], "controller": True, **names}
    return {"ownerReferences": [reference]}


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@contextlib.contextmanager
def installed(api_server: ApiServer, client: Client, namespace: str) -> Iterator[Installation]:
    """A healthy one that goes with the block."""
    with server.rights_of_nmi(client, namespace), kubelets.running(api_server.folder) as kubelet:
        made = Installation(client, namespace, kubelet)
        try:
            made.install()
            yield made
        finally:
            made.take_away()
