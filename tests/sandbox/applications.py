# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Workloads that ask for tokens all the time (token_app.py), and what they say of each."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

from operators import Operator
from sandboxes import eventually

from azsandbox.images import TOKEN_APP

Object = dict[str, Any]


def workload(
    name: str,
    namespace: str,
    credential: str,
    *,
    labels: Mapping[str, str],
    annotations: Mapping[str, str] | None = None,
    account: str = "default",
    **more: str,
) -> Object:
    """A Deployment of one pod; ``labels`` beside that of its name, ``more`` of the environment."""
    environment = {"CREDENTIAL": credential, "RETRIES": "0", "TIMEOUT": "5", **more}
    container = {
        "name": "app",
        "image": TOKEN_APP,
        "env": [{"name": key, "value": value} for key, value in environment.items()],
    }
    spec = {"serviceAccountName": account, "terminationGracePeriodSeconds": 5, "containers": [container]}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name, **labels}, "annotations": dict(annotations or {})},
                "spec": spec,
            },
        },
    }


def apply(operator: Operator, *objects: Object) -> None:
    file = operator.directory / "workloads.json"
    file.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))
    operator.sandbox.exec("kubectl", "apply", "-f", str(file))


def records(operator: Operator, name: str, namespace: str) -> list[Object]:
    """What the pods of a workload have said, oldest first; no token is among it."""
    said = operator.sandbox.exec("kubectl", "logs", "-n", namespace, "-l", f"app={name}", "-c", "app", "--tail=-1")
    assert "eyJ" not in said
    return sorted((json.loads(line) for line in said.splitlines()), key=lambda each: float(each["began"]))


def served(operator: Operator, name: str, namespace: str) -> Object:
    """Its first record with a token, as soon as there is one."""
    found: list[Object] = []

    def has_token() -> bool:
        found[:] = [each for each in records(operator, name, namespace) if each["ok"]]
        return bool(found)

    operator.sandbox.exec("kubectl", "rollout", "status", f"deployment/{name}", "-n", namespace, "--timeout=90s")
    eventually(has_token, 120)
    return found[0]


def from_now_on(operator: Operator, name: str, namespace: str, count: int = 2) -> list[Object]:
    """Its records of requests that begin after this call, when there are so many."""
    since, found = time.time(), list[Object]()

    def enough() -> bool:
        found[:] = [each for each in records(operator, name, namespace) if each["began"] >= since]
        return len(found) >= count

    eventually(enough, 60)
    return found
