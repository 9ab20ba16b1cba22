# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Workloads whose pods the real controllers make and replace; what kubelets would say of pods, a test says."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.installation.nmi import is_ready
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.matching.matching import Pod
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.client import Client
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.kinds import POD

Raw = dict[str, Any]
CONTROLLERS = tuple(
    f"{name}-controller" for name in ("deployment", "replicaset", "statefulset", "daemonset", "cronjob", "disruption")
)
READY: Raw = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}


class Kubelets:
    """What they say of the pods of a namespace. ``says``: the status of a new pod, None for nothing yet.

    ``fewest``: how many living pods were ready at once at least, since ``count``.
    """

    def __init__(self, client: Client, namespace: str) -> None:
        self.says: Callable[[Raw], Raw | None] = lambda pod: READY
        self.fewest: int | None = None
        self._client, self._namespace = client, namespace
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.error: BaseException | None = None

    def count(self) -> None:
        self.fewest = None

    def _run(self) -> None:
        try:
            while not self._over.wait(0.05):
                self._look()
        except BaseException as error:
            self.error = error

    def _look(self) -> None:
        pods = [each for each in self._client.list_all(POD, self._namespace) if Pod.parse(each).lives]
        ready = sum(map(is_ready, pods))
        self.fewest = ready if self.fewest is None else min(ready, self.fewest)
        for pod in pods:
            said = None if is_ready(pod) else self.says(pod)
            if said is not None:
                self._say(pod, said)

    def _say(self, pod: Raw, status: Raw) -> None:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        conditions = [{**each, "lastTransitionTime": now} for each in status.get("conditions") or ()]
        body = {"metadata": {"uid": pod["metadata"]["uid"]}, "status": {**status, "conditions": conditions}}
        path = POD.path(self._namespace, pod["metadata"]["name"], "status")
        code, answer = self._client._request("PATCH", path, (), body, content_type="application/merge-patch+json")
        assert code in (200, 404, 409), answer  # it may have gone meanwhile


@contextlib.contextmanager
def kubelets(client: Client, namespace: str) -> Iterator[Kubelets]:
    """Those of the block; what failed in them fails it."""
    made = Kubelets(client, namespace)
    made._thread.start()
    try:
        yield made
    finally:
        made._over.set()
        made._thread.join()
    if made.error is not None:
        raise made.error
