# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An installation of AAD Pod Identity, as the API server gives it, and what is observed of it."""

from __future__ import annotations

import copy
import typing as t
from datetime import datetime

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.diagnosis import logs
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.diagnosis.logs import Log
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.diagnosis.observed import (
    Observed,
    components,
)
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.installation.trusted_namespaces import (
    SYSTEM,
    Belief,
)
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.matching.inventory import Cluster, Inventory
from ansible_collections.azureops.pod_identity.tests.support.cluster_objects import Raw, exception, healthy

NOW = datetime.fromisoformat("2026-03-01T12:00:00+00:00")
LATELY, LONG_AGO = "2026-03-01T11:50:00Z", "2026-02-01T00:00:00Z"
_READY = [{"type": "Ready", "status": "True"}]
_DEFINITIONS = ("azureidentities", "azureidentitybindings", "azureassignedidentities", "azurepodidentityexceptions")

_WEBHOOK: Raw = {
    "name": "mutation.azure-workload-identity.io",
    "clientConfig": {"service": {"namespace": "kube-system", "name": "azure-wi-webhook-webhook-service"}},
    "rules": [{"operations": ["CREATE"], "resources": ["pods"]}],
}
WEBHOOKS: Raw = {"metadata": {"name": "azure-wi-webhook-mutating-webhook-configuration"}, "webhooks": [_WEBHOOK]}


def node(
    name: str = "n1", *taints: Raw, ready: bool = True, since: str = LONG_AGO, os: str = "linux", **labels: str
) -> Raw:
    return {
        "metadata": {"name": name, "labels": {"kubernetes.io/os": os, **labels}},
        "spec": {"taints": list(taints)},
        "status": {"conditions": [{"type": "Ready", "status": str(ready), "lastTransitionTime": since}]},
    }


def program(
    kind: str,
    name: str,
    *arguments: str,
    version: str = "v1.8.17",
    image: str = "",
    namespace: str = SYSTEM,
    **spec: t.Any,
) -> Raw:
    """A Deployment or DaemonSet; ``spec`` of its pods."""
    run = {"name": name, "image": f"mcr.microsoft.com/{image or name}:{version}", "args": list(arguments)}
    return {
        "metadata": {"namespace": namespace, "name": name, "uid": f"uid-{namespace}-{name}"},
        "spec": {"replicas": 1, "template": {"spec": {"containers": [run], **spec}}},
    }


def pod_of(owner: Raw, name: str, on: str = "n1", ready: bool = True, status: Raw | None = None, **more: t.Any) -> Raw:
    """``status``: of its container."""
    template, metadata = owner["spec"]["template"]["spec"], owner["metadata"]
    run = {"name": template["containers"][0]["name"], "ready": ready, "restartCount": 0, "state": {"running": {}}}
    reference = {"kind": "ReplicaSet", "name": metadata["name"], "uid": metadata["uid"], "controller": True}
    made = {"labels": more.pop("labels", {}), "creationTimestamp": more.pop("created", LONG_AGO)}
    states = {"conditions": _READY if ready else [], "containerStatuses": [{**run, **(status or {})}]}
    return {
        "metadata": {"name": name, "namespace": metadata["namespace"], "ownerReferences": [reference], **made},
        "spec": {"nodeName": on, **template, **more},
        "status": {"phase": "Running", **states},
    }


def crashing(code: int = 255, reason: str = "Error", restarts: int = 7, finished: str = LATELY) -> Raw:
    """The status of a container that ends again and again."""
    ended = {"terminated": {"exitCode": code, "reason": reason, "finishedAt": finished}}
    return {"restartCount": restarts, "state": {"waiting": {"reason": "CrashLoopBackOff"}}, "lastState": ended}


def role(*rules: Raw) -> Raw:
    """That of MIC and NMI, by default with all that they need."""
    everything = {"apiGroups": ["aadpodidentity.k8s.io"], "resources": ["*"], "verbs": ["*"]}
    reads = {"apiGroups": [""], "resources": ["pods", "nodes"], "verbs": ["list", "watch"]}
    return {"metadata": {"name": "pod-identity"}, "rules": list(rules) or [everything, reads]}


def binding(**subject: str) -> Raw:
    """Of the role to the service account of MIC and NMI, or to another subject."""
    who = subject or {"kind": "ServiceAccount", "namespace": SYSTEM, "name": "default"}
    return {
        "metadata": {"name": "pod-identity"},
        "roleRef": {"kind": "ClusterRole", "name": "pod-identity"},
        "subjects": [who],
    }


def installed() -> dict[str, list[Raw]]:
    """A healthy cluster of one node, with MIC and NMI."""
    objects = copy.deepcopy(healthy())
    mic = program("Deployment", "mic")
    nmi = program("DaemonSet", "nmi", "--http-probe-port=8085", hostNetwork=True, tolerations=[])
    objects["Deployment"].append(mic)
    objects["DaemonSet"] = [nmi]
    objects["Pod"] += [pod_of(mic, "mic-1", labels={"component": "mic"}), pod_of(nmi, "nmi-1")]
    objects["AzurePodIdentityException"] = [exception("mic-exception", SYSTEM, component="mic")]
    objects["Node"] = [node()]
    objects["ClusterRole"], objects["ClusterRoleBinding"] = [role()], [binding()]
    objects["CustomResourceDefinition"] = [
        {"metadata": {"name": f"{name}.aadpodidentity.k8s.io"}, "spec": {"group": "aadpodidentity.k8s.io"}}
        for name in _DEFINITIONS
    ]
    return objects


def log(program: str, pod: str, text: str, previous: bool = False) -> Log:
    return Log(program, SYSTEM, pod, "n1", logs.parse(text, NOW), previous)


def observed(objects: t.Mapping[str, t.Sequence[Raw]], **more: t.Any) -> Observed:
    return Observed(
        inventory=Inventory(Cluster.parse(objects, {})),
        objects=objects,
        components=components(objects, Belief.parse(objects)),
        now=NOW,
        **more,
    )
