# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The real webhook of Workload ID as a process that the API server calls at a URL.

It listens to one port, at all addresses, and to no other. So it runs in a network namespace of its own, and several may
run at once.
"""

from __future__ import annotations

import base64
import contextlib
import os
import shlex
import shutil
import sys
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
from ansible_collections.azureops.pod_identity.tests.support import api_server as server
from ansible_collections.azureops.pod_identity.tests.support import relay
from ansible_collections.azureops.pod_identity.tests.support.api_server import ApiServer, Processes, free_ports

NAME, USE_LABEL = workload_identity_webhook.NAME, workload_identity_webhook.USE_LABEL
TENANT = "5e1c7a2b-93c4-4a58-8f43-6b1f0f6a2d10"
CONFIGURATION = "workload-identity-at-a-url"
_PORT, _HEALTH = 9443, 9440
"""In its namespace."""
_PLACE = "webhook-port"
"""The file of an API server that tells where its webhook is."""


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
    """As in the chart, but for where it is; where none was ever started, nobody answers there."""
    place = api_server.folder / _PLACE
    port = place.read_text() if place.exists() else str(_PORT)
    authority = base64.b64encode(api_server.ca.read_bytes()).decode()
    return {
        "name": NAME,
        "admissionReviewVersions": ["v1", "v1beta1"],
        "clientConfig": {"url": f"https://127.0.0.1:{port}/mutate-v1-pod", "caBundle": authority},
        "failurePolicy": "Fail",
        "matchPolicy": "Equivalent",
        "objectSelector": {"matchLabels": {USE_LABEL: "true"}},
        "reinvocationPolicy": "IfNeeded",
        "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}],
        "sideEffects": "None",
        "timeoutSeconds": 10,
    }


def register(api_server: ApiServer) -> None:
    """Let the API server call it from now on."""
    api = {"apiVersion": MUTATING_WEBHOOK_CONFIGURATION.api_version, "metadata": {"name": CONFIGURATION}}
    body = {**api, "kind": MUTATING_WEBHOOK_CONFIGURATION.name, "webhooks": [entry(api_server)]}
    api_server.client().create(MUTATING_WEBHOOK_CONFIGURATION, None, body)


@contextlib.contextmanager
def running(api_server: ApiServer) -> Iterator[Webhook]:
    """One that ends with the block."""
    folder = Path(tempfile.mkdtemp(prefix="webhook-"))
    shutil.copy(api_server.ca, folder / "tls.crt")
    shutil.copy(api_server.folder / "key.pem", folder / "tls.key")
    program = built() / "bin" / "azure-wi-webhook"
    if not program.exists():
        raise RuntimeError("the webhook is not built: run tests/sandbox/sandbox build workload-identity")
    port, health = free_ports(2)
    api_port = api_server.url.rpartition(":")[2]
    outside = {"api": api_port, "hook": str(port), "health": str(health)}
    inside = {"api": api_port, "hook": str(_PORT), "health": str(_HEALTH)}
    sockets = {name: str(folder / f"{name}.sock") for name in outside}
    _script(folder / "outside", f"exec {_relays(outside, sockets, comes_out='api')}")
    arguments = [
        str(program),
        "--disable-cert-rotation",
        f"--webhook-cert-dir={folder}",
        f"--health-addr=127.0.0.1:{_HEALTH}",
        "--metrics-addr=0",
    ]
    relays = _relays(inside, sockets, comes_out="hook health")
    link = shutil.which("ip") or "ip"
    within = f"{link} link set lo up; setpriv --pdeathsig KILL {relays} & exec {shlex.join(arguments)}"
    rights = [] if os.geteuid() == 0 else ["--map-root-user"]
    _script(folder / "webhook", f"exec {shlex.join(['unshare', '--net', *rights, 'sh', '-ec', within])}")
    processes, client = Processes(folder, folder), api_server.client()
    try:
        processes.start("outside")
        processes.start(
            "webhook",
            KUBECONFIG=api_server.kubeconfig(),
            AZURE_TENANT_ID=TENANT,
            AZURE_ENVIRONMENT="AzurePublicCloud",
        )
        server.until("the webhook is ready", lambda: _ready(processes, health))
        (api_server.folder / _PLACE).write_text(str(port))
        register(api_server)
        server.until("the API server calls the webhook", lambda: _is_called(client))
        yield Webhook(api_server, processes)
    finally:
        client.delete(MUTATING_WEBHOOK_CONFIGURATION, None, CONFIGURATION)
        processes.stop()
        shutil.rmtree(folder)


def _script(path: Path, command: str) -> None:
    path.write_text(f"#!/bin/sh\n{command}\n")
    path.chmod(0o700)


def _relays(ports: dict[str, str], sockets: dict[str, str], *, comes_out: str) -> str:
    """What connects ports of a namespace and sockets; ``comes_out``: names of those where sockets come out at ports."""
    pairs = [
        (sockets[name], port) if name in comes_out.split() else (port, sockets[name]) for name, port in ports.items()
    ]
    return shlex.join([sys.executable, str(Path(relay.__file__)), *(each for pair in pairs for each in pair)])


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
