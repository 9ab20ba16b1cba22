# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The real webhook of Workload ID as a process that the API server calls at a URL."""

from __future__ import annotations

import base64
import contextlib
import fcntl
import shutil
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.installation import (
    workload_identity_webhook,
)
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.client import Client
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.errors import ApiFailure
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.kinds import (
    MUTATING_WEBHOOK_CONFIGURATION,
    POD,
)

from . import server
from .server import ApiServer, Processes, free_ports

NAME, USE_LABEL = workload_identity_webhook.NAME, workload_identity_webhook.USE_LABEL
TENANT = "5e1c7a2b-93c4-4a58-8f43-6b1f0f6a2d10"
CONFIGURATION = "workload-identity-at-a-url"
_PORT = 9443
"""It listens to no other, at all addresses."""
_ONE_AT_A_TIME = Path(tempfile.gettempdir()) / "azureops-workload-identity-webhook.lock"


def built() -> Path:
    """Where its program and chart lie."""
    server.programs()  # the folder of azsandbox can be imported from then on
    from azsandbox import programs

    return programs.built("workload-identity")


def chart() -> str:
    return str(built() / "charts" / "workload-identity-webhook")


@dataclass(frozen=True)
class Webhook:
    """It runs, and the API server has its configuration."""

    api_server: ApiServer
    processes: Processes

    def stop(self) -> None:
        """The configuration stays."""
        self.processes.stop()

    def configure(self, **changes: Any) -> None:
        """Change its entry in the configuration."""
        changed = {"webhooks": [{**entry(self.api_server), **changes}]}
        self.api_server.client().merge(MUTATING_WEBHOOK_CONFIGURATION, None, CONFIGURATION, changed)


def entry(api_server: ApiServer) -> dict[str, Any]:
    """As in the chart, but for where it is."""
    authority = base64.b64encode(api_server.ca.read_bytes()).decode()
    return {
        "name": NAME,
        "admissionReviewVersions": ["v1", "v1beta1"],
        "clientConfig": {"url": f"https://127.0.0.1:{_PORT}/mutate-v1-pod", "caBundle": authority},
        "failurePolicy": "Fail",
        "matchPolicy": "Equivalent",
        "objectSelector": {"matchLabels": {USE_LABEL: "true"}},
        "reinvocationPolicy": "IfNeeded",
        "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}],
        "sideEffects": "None",
        "timeoutSeconds": 10,
    }


@contextlib.contextmanager
def running(api_server: ApiServer) -> Iterator[Webhook]:
    """One that ends with the block; whoever else wants one on this machine waits until then."""
    folder = Path(tempfile.mkdtemp(prefix="webhook-"))
    shutil.copy(api_server.ca, folder / "tls.crt")
    shutil.copy(api_server.folder / "key.pem", folder / "tls.key")
    processes = Processes(built() / "bin", folder)
    if not (processes.binaries / "azure-wi-webhook").exists():
        raise RuntimeError("the webhook is not built: run tests/sandbox/sandbox build workload-identity")
    health, metrics = free_ports(2)
    client = api_server.client()
    with _ONE_AT_A_TIME.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        processes.start(
            "azure-wi-webhook",
            "--disable-cert-rotation",
            f"--webhook-cert-dir={folder}",
            f"--health-addr=127.0.0.1:{health}",
            f"--metrics-addr=127.0.0.1:{metrics}",
            KUBECONFIG=api_server.kubeconfig(),
            AZURE_TENANT_ID=TENANT,
            AZURE_ENVIRONMENT="AzurePublicCloud",
        )
        try:
            server.until("the webhook is ready", lambda: _ready(processes, health))
            api = {"apiVersion": MUTATING_WEBHOOK_CONFIGURATION.api_version, "metadata": {"name": CONFIGURATION}}
            body = {**api, "kind": MUTATING_WEBHOOK_CONFIGURATION.name, "webhooks": [entry(api_server)]}
            client.create(MUTATING_WEBHOOK_CONFIGURATION, None, body)
            server.until("the API server calls the webhook", lambda: _is_called(client))
            yield Webhook(api_server, processes)
        finally:
            client.delete(MUTATING_WEBHOOK_CONFIGURATION, None, CONFIGURATION)
            processes.stop()
            shutil.rmtree(folder)


def _is_called(client: Client) -> bool:
    """By a pod whose service account does not exist, which it refuses."""
    spec = {"serviceAccountName": "nobody", "containers": [{"name": "app", "image": "app"}]}
    metadata = {"generateName": "called-", "labels": {USE_LABEL: "true"}}
    try:
        client.create(POD, "default", {"metadata": metadata, "spec": spec}, dry_run=True)
    except ApiFailure as failure:
        return f'admission webhook "{NAME}" denied' in str(failure.error["message"])
    return False


def _ready(processes: Processes, port: int) -> bool:
    processes.check()
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
