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
BASE_IMAGE = "mcr.microsoft.com/azurelinux/base/core:3.0"


def sleeper(name: str = "sleep", **more: Any) -> Object:
    """A container that does nothing."""
    return {"name": name, "image": BASE_IMAGE, "command": ["sleep", "infinity"], **more}


def deployment(name: str, namespace: str, labels: Mapping[str, str], *containers: Object, **spec: Any) -> Object:
    """One of one pod, which ends at once; ``labels`` beside that of its name, ``spec`` of the pod."""
    pod = {"terminationGracePeriodSeconds": 0, "containers": containers or [sleeper(name)], **spec}
    template = {"metadata": {"labels": {"app": name, **labels}}, "spec": pod}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"replicas": 1, "selector": {"matchLabels": {"app": name}}, "template": template},
    }


def account(name: str, namespace: str, client_id: str = "") -> Object:
    """A service account, of Workload ID where it has a client id."""
    annotations = {"azure.workload.identity/client-id": client_id} if client_id else {}
    metadata = {"name": name, "namespace": namespace, "annotations": annotations}
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}


def pod(name: str, *containers: Object, labels: Mapping[str, str] | None = None, **spec: Any) -> Object:
    """One in the namespace default that ends at once; ``spec`` of it."""
    metadata = {"name": name, "namespace": "default", "labels": dict(labels or {})}
    whole = {"terminationGracePeriodSeconds": 0, "containers": containers or [sleeper(name)], **spec}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": whole}


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
    variables = [{"name": key, "value": value} for key, value in environment.items()]
    container = {"name": "app", "image": TOKEN_APP, "env": variables}
    spec: Object = {"serviceAccountName": account, "terminationGracePeriodSeconds": 5}
    made = deployment(name, namespace, labels, container, **spec)
    made["spec"]["template"]["metadata"]["annotations"] = dict(annotations or {})
    return made


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
