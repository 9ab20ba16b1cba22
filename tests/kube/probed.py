# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What answers the probes of a diagnosis at an API server without nodes: a kubelet that says what they printed."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from typing import Any

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.tokens.probe_job import PROBE_LABEL
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.client import Client
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.kinds import POD

from .installation import Installation

PASSED_ON = {"instance_exit": "0", "instance_status": "403", "instance_header": "Content-Type: text/plain"}
BLOCKED = {"instance_body": "Request blocked by AAD Pod Identity NMI"}


def by_nmi(status: int, **said: Any) -> str:
    """What the program of a probe prints where NMI answers."""
    answer = {"status": str(status), "header": "Content-Type: application/json", **said}
    lines = ({"now": "1"}, {"tool": "curl"}, {"exit": "0"}, answer, PASSED_ON, BLOCKED, {"end": "1"})
    return "".join(json.dumps({key: value}) + "\n" for line in lines for key, value in line.items())


@contextlib.contextmanager
def answering(
    client: Client, world: Installation, output: str, log: tuple[str, str] | None = None
) -> Iterator[list[str]]:
    """The node runs each probe, which prints this; the names of their pods.

    ``log``: a pod of the installation, and what it logs meanwhile.
    """
    ran: list[str] = []
    stop = threading.Event()

    def run() -> None:
        while not stop.wait(0.1):
            for pod in client.list_all(POD, world.namespace, labels=PROBE_LABEL):
                name = pod["metadata"]["name"]
                if name not in ran:
                    world.kubelet.write(world.namespace, name, output)
                    if log:
                        world.kubelet.write(world.namespace, *log)
                    ended = {"terminated": {"exitCode": 0, "reason": "Completed"}}
                    status = {"name": "probe", "image": "x", "imageID": "x", "ready": False, "restartCount": 0}
                    whole = {"phase": "Succeeded", "containerStatuses": [{**status, "state": ended}]}
                    world.set_status(POD, name, whole)
                    ran.append(name)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield ran
    finally:
        stop.set()
        thread.join()
