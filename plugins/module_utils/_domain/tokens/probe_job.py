# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The Job of the throw-away pod that asks for a token, or who answers, in a workload's place.

Apart from the decisions about it, because it is sent to nodes.
"""

from __future__ import annotations

import hashlib
import typing as t
from dataclasses import dataclass

from ..names import OWNER, marks
from .token_request import shell_command

Object = dict[str, t.Any]
Raw = t.Mapping[str, t.Any]

PROBE_LABEL = "azureops.pod-identity/probe"
CONTAINER = "probe"
_WORKLOAD_IDENTITY = "azure.workload.identity/"
_MARGIN_SECONDS = 30


@dataclass(frozen=True)
class Target:
    """Which workload, as the options name it."""

    namespace: str
    selector: str = ""
    pod: str = ""
    service_account: str = ""
    node: str = ""

    def key(self) -> str:
        """Tells the probes of one workload from those of others, in a label."""
        text = "\n".join((self.namespace, self.selector, self.pod, self.service_account, self.node))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def __str__(self) -> str:
        names = (("pod", self.pod), ("selector", self.selector), ("service account", self.service_account))
        told = " and ".join(f"{kind} {name}" for kind, name in names if name)
        return f"the workload with {told} in namespace {self.namespace}" + (f" on {self.node}" if self.node else "")


@dataclass(frozen=True)
class Place:
    """Where the request is made: the pod that serves as the model (None where there is none) and the node."""

    model: Raw | None
    node: str
    selector: str
    service_account: str
    labels: t.Mapping[str, str]

    @property
    def model_name(self) -> str:
        return str(((self.model or {}).get("metadata") or {}).get("name", ""))


def job(
    place: Place,
    target: Target,
    *,
    name: str,
    owner: str,
    image: str,
    resource: str,
    client_id: str | None,
    timeout: int,
    start_timeout: int,
    target_url: str = "",
) -> Object:
    """The Job of the probe. Its pod satisfies the restricted Pod Security Standard and never becomes Ready."""
    spec = (place.model or {}).get("spec") or {}
    annotations = ((place.model or {}).get("metadata") or {}).get("annotations") or {}
    labels = {PROBE_LABEL: target.key(), OWNER: owner}
    pod: Object = {
        "restartPolicy": "Never",
        "serviceAccountName": place.service_account,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 5,
        "readinessGates": [{"conditionType": f"{PROBE_LABEL}-never-ready"}],
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 65534,
            "runAsGroup": 65534,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [
            {
                "name": CONTAINER,
                "image": image,
                "imagePullPolicy": "IfNotPresent",
                "command": shell_command(resource, client_id, timeout, target=target_url),
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "readOnlyRootFilesystem": True,
                    "capabilities": {"drop": ["ALL"]},
                },
                "resources": {
                    "requests": {"cpu": "10m", "memory": "32Mi"},
                    "limits": {"cpu": "250m", "memory": "64Mi"},
                },
            }
        ],
    }
    if place.node:
        pod["nodeName"] = place.node
    else:
        pod["nodeSelector"] = {**(spec.get("nodeSelector") or {}), "kubernetes.io/os": "linux"}
    pod.update({key: spec[key] for key in ("tolerations", "imagePullSecrets", "runtimeClassName") if spec.get(key)})
    if target.node:  # whoever names a node wants to try it; a pod that does not tolerate this would be evicted
        pod["tolerations"] = [*pod.get("tolerations", ()), {"operator": "Exists", "effect": "NoExecute"}]
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": target.namespace, "labels": {**marks(owner), **labels}},
        "spec": {
            "backoffLimit": 0,
            "completions": 1,
            "parallelism": 1,
            "activeDeadlineSeconds": start_timeout + timeout + _MARGIN_SECONDS,
            "ttlSecondsAfterFinished": 300,
            "template": {
                "metadata": {
                    "labels": {**place.labels, **labels},
                    "annotations": {k: v for k, v in annotations.items() if k.startswith(_WORKLOAD_IDENTITY)},
                },
                "spec": pod,
            },
        },
    }
