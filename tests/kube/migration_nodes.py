# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A node for all pods of an API server: they start and end there, and probes do what they are made for.

A probe that asks Entra with a token of its service account runs its program on this machine, and asks the simulated
one; to others NMI gives the token of the identity that the label of their pod chooses.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.installation import (
    workload_identity_webhook as of_chart,
)
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.installation.nmi import is_ready
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.matching.matching import SELECTOR_LABEL
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.tokens import exchange
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.tokens.probe_job import PROBE_LABEL
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.client import Client
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.kinds import NODE, POD, SERVICE_ACCOUNT
from ansible_collections.azureops.pod_identity.tests.kube import kubelet as kubelets
from ansible_collections.azureops.pod_identity.tests.kube import server
from ansible_collections.azureops.pod_identity.tests.kube.probed import by_nmi
from ansible_collections.azureops.pod_identity.tests.kube.server import ApiServer
from ansible_collections.azureops.pod_identity.tests.kube.workload_identity import TENANT
from ansible_collections.azureops.pod_identity.tests.kube.worlds import own_address
from azsandbox.azure.loopback import SimulatedAzure
from azsandbox.azure.state import INSTANCE

Raw = dict[str, Any]

_RESOURCE = "https://management.azure.com/"


class Node:
    """``client_ids``: of identities that NMI gives, by the selector of a pod. ``log``: what NMI has written."""

    def __init__(
        self, client: Client, azure: SimulatedAzure, name: str, kubelet: kubelets.Kubelet, folder: Path
    ) -> None:
        self.client_ids: dict[str, str] = {}
        self.error: BaseException | None = None
        self.name, self.log = name, folder / "nmi.log"
        self._client, self._azure, self._kubelet = client, azure, kubelet
        self._addresses: dict[str, str] = {}
        self.log.write_text(_line(datetime.now(UTC) - timedelta(hours=1), "starting nmi process"))
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def gives(self, address: str) -> None:
        """NMI gives a token to the pod with that address."""
        path = "/metadata/identity/oauth2/token"
        said = f"status (200) took 5000 ns for req.method=GET reg.path={path} req.remote={address}"
        with self.log.open("a") as log:
            log.write(_line(datetime.now(UTC), said))

    def _run(self) -> None:
        try:
            while not self._over.wait(0.1):
                for pod in self._client.list_all(POD):
                    self._serve(pod)
        except BaseException as error:
            self.error = error

    def _serve(self, pod: Raw) -> None:
        """What is next for the pod; it may have gone meanwhile."""
        metadata, spec = pod["metadata"], pod["spec"]
        namespace, name = metadata["namespace"], metadata["name"]
        if metadata.get("deletionTimestamp"):
            server.end_pod(self._client, namespace, name)
        elif (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed"):
            return
        elif not spec.get("nodeName"):
            target = {"apiVersion": "v1", "kind": "Node", "name": self.name}
            self._send("POST", POD.path(namespace, name, "binding"), {"metadata": {"name": name}, "target": target})
        elif PROBE_LABEL in (metadata.get("labels") or {}):
            printed = self._answer(pod)
            if printed is not None:
                self._kubelet.write(namespace, name, printed)
                self._say(pod, "Succeeded", {"terminated": {"exitCode": 0, "reason": "Completed"}})
        elif not is_ready(pod):
            if any(each["name"] == "nmi" for each in spec["containers"]):
                self._kubelet.files[namespace, name, False] = self.log
            self._say(pod, "Running", {"running": {"startedAt": _now()}})

    def _say(self, pod: Raw, phase: str, state: Raw) -> None:
        runs, metadata = phase == "Running", pod["metadata"]
        ready = {"type": "Ready", "status": str(runs), "lastTransitionTime": _now()}
        number = len(self._addresses)
        address = self._addresses.setdefault(metadata["uid"], f"127.9.{number // 250}.{number % 250 + 1}")
        if pod["spec"].get("hostNetwork"):
            address = own_address()
        containers = [
            {
                "name": each["name"],
                "image": each["image"],
                "imageID": each["image"],
                "ready": runs,
                "restartCount": 0,
                "state": state,
            }
            for each in pod["spec"]["containers"]
        ]
        status = {
            "phase": phase,
            "conditions": [ready],
            "containerStatuses": containers,
            "startTime": _now(),
            "podIP": address,
            "podIPs": [{"ip": address}],
        }
        path = POD.path(metadata["namespace"], metadata["name"], "status")
        self._send("PATCH", path, {"metadata": {"uid": metadata["uid"]}, "status": status})

    def _send(self, method: str, path: str, body: Raw) -> None:
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        code, answer = self._client._request(method, path, (), body, content_type=kind)
        assert code in (200, 201, 404, 409), answer

    # probes

    def _answer(self, pod: Raw) -> str | None:
        """What the probe prints; None where it cannot start without its service account."""
        (container,) = pod["spec"]["containers"]
        told = {each["name"]: each.get("value", "") for each in container.get("env") or ()}
        if exchange.SCRIPT in container["command"] and "AZURE_FEDERATED_TOKEN_FILE" in told:
            return self._asks_entra(pod, container["command"], told)
        selector = (pod["metadata"].get("labels") or {}).get(SELECTOR_LABEL)
        if selector not in self.client_ids:
            return by_nmi(404, body="getting assigned identities for pod failed")
        return by_nmi(200, claims={"aud": _RESOURCE, "appid": self.client_ids[selector]})

    def _asks_entra(self, pod: Raw, command: list[str], told: dict[str, str]) -> str | None:
        namespace, account = pod["metadata"]["namespace"], pod["spec"]["serviceAccountName"]
        api = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest"}
        path = SERVICE_ACCOUNT.path(namespace, account, "token")
        code, answer = self._client._request("POST", path, (), {**api, "spec": {"audiences": [of_chart.AUDIENCE]}})
        if code == 404:
            return None
        assert code == 201, answer
        tenant = told.get("AZURE_TENANT_ID", "")
        with tempfile.NamedTemporaryFile("w") as file:
            file.write(str(json.loads(answer)["status"]["token"]))
            file.flush()
            environment = {
                "PATH": os.environ["PATH"],
                "AZURE_CLIENT_ID": told.get("AZURE_CLIENT_ID", ""),
                "AZURE_TENANT_ID": self._azure.tenant_id if tenant == TENANT else tenant,
                "AZURE_AUTHORITY_HOST": f"{self._azure.endpoints.entra}/",
                "AZURE_FEDERATED_TOKEN_FILE": file.name,
                "CURL_CA_BUNDLE": str(self._azure.ca_file),
                "SSL_CERT_FILE": str(self._azure.ca_file),
            }
            done = subprocess.run(
                command, env=environment, capture_output=True, text=True, timeout=server.SECONDS, check=True
            )
        return done.stdout


def _line(when: datetime, said: str) -> str:
    return f"I{when:%m%d %H:%M:%S.%f}       1 server.go:200] {said}\n"


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@contextlib.contextmanager
def running(api_server: ApiServer, azure: SimulatedAzure, folder: Path) -> Iterator[Node]:
    """For the block one of the machines of the scale set; what failed in it fails the block."""
    client = api_server.client()
    instance = azure.in_loop(lambda: [dict(one.body) for one in azure.server.azure.state.all(INSTANCE)])[0]
    name = str(instance["properties"]["osProfile"]["computerName"])
    with kubelets.running(api_server.folder) as kubelet:
        labels = {"kubernetes.io/os": "linux", "kubernetes.io/hostname": name}
        api = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}}
        client.apply(NODE, {**api, "spec": {"providerID": f"azure://{instance['id']}"}}, force=True)
        client.merge(NODE, None, name, {"spec": {"taints": None}})
        status = {
            "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": _now()}],
            "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": kubelet.port}},
            "nodeInfo": {"kubeletVersion": "v1.34.1"},
            "allocatable": {"pods": "110"},
        }
        node = Node(client, azure, name, kubelet, folder)
        node._send("PATCH", NODE.path(None, name, "status"), {"status": status})
        node._thread.start()
        try:
            yield node
        finally:
            # Pods of the block go while there is somebody who ends them.
            node._over.set()
            node._thread.join()
            client.delete(NODE, None, name)
            for pod in client.list_all(POD):
                server.end_pod(client, pod["metadata"]["namespace"], pod["metadata"]["name"])
    if node.error is not None:
        raise node.error
