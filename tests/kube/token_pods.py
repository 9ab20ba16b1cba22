# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Pods that ask for tokens, and nodes that play their part."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.tokens import probe_job
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.client import Client
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.kinds import JOB, NODE, POD
from ansible_collections.azureops.pod_identity.tests.kube.objects import create

SETS = "azure:///subscriptions/s/resourceGroups/MC_g/providers/Microsoft.Compute/virtualMachineScaleSets"


SOON: dict[str, Any] = {"start_timeout": 3, "timeout": 1}


@pytest.fixture
def nodes(client: Client, namespace: str) -> Iterator[dict[str, str]]:
    """Two nodes of one scale set and one of another, with names of this test."""
    names = {key: f"{key}-{namespace}" for key in ("a0", "a1", "b0")}
    for key, name in names.items():
        provider = f"{SETS}/{key[0]}-{namespace}/virtualMachines/{key[1]}"
        create(client, NODE, None, name, spec={"providerID": provider})
    yield names
    for name in names.values():  # an uninstall of another test would look where they lie
        client.delete(NODE, None, name)


def make_pod(client: Client, namespace: str, name: str, node: str, **spec: Any) -> None:
    labels = {"aadpodidbinding": namespace, "app": "api", "pod-template-hash": "7d9f8"}
    whole = {"nodeName": node, "containers": [{"name": "app", "image": "app"}], **spec}
    create(client, POD, namespace, name, metadata={"labels": labels}, spec=whole)


def probes(client: Client, namespace: str) -> list[dict[str, Any]]:
    return list(client.list_all(JOB, namespace))


class Watcher:
    """Sees the first probe pod that appears while a module runs."""

    def __init__(self, client: Client, namespace: str) -> None:
        self.pod: dict[str, Any] | None = None
        self.job: dict[str, Any] | None = None
        self._client, self._namespace = client, namespace
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def _look(self) -> None:
        while not self._stop.is_set() and self.pod is None:
            jobs = probes(self._client, self._namespace)
            if jobs:
                self.job = jobs[0]
                found = self._client.list_all(POD, self._namespace, labels=f"job-name={jobs[0]['metadata']['name']}")
                self.pod = found[0] if found else None
            time.sleep(0.1)

    def __enter__(self) -> Watcher:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


class Node(threading.Thread):
    """Takes no pod of a workload: each one's end is the next of ``reasons``; keeps whose Jobs were there then."""

    def __init__(self, client: Client, target: probe_job.Target, reasons: tuple[str, ...]) -> None:
        super().__init__(daemon=True)
        self.seen: list[set[str]] = []
        self._client, self._target, self._reasons = client, target, reasons
        self._stop_looking = threading.Event()

    def run(self) -> None:
        ended: set[str] = set()
        while not self._stop_looking.wait(0.1) and len(self.seen) < len(self._reasons):
            labels = f"{probe_job.PROBE_LABEL}={self._target.key()}"
            for pod in self._client.list_all(POD, self._target.namespace, labels=labels):
                if pod["metadata"]["uid"] not in ended:
                    ended.add(pod["metadata"]["uid"])
                    jobs = probes(self._client, self._target.namespace)
                    self.seen.append({job["metadata"]["labels"][probe_job.PROBE_LABEL] for job in jobs})
                    end = {"status": {"phase": "Failed", "reason": self._reasons[len(self.seen) - 1], "message": "no"}}
                    path = POD.path(self._target.namespace, pod["metadata"]["name"], "status")
                    self._client._request("PATCH", path, (), end, content_type="application/merge-patch+json")

    def __enter__(self) -> Node:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop_looking.set()
        self.join()
