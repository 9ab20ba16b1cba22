# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""How far a workload has replaced its pods, as its own controller tells, and what stops it."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ..diagnosis.shown import shown
from ..matching.matching import Pod, Raw, controller
from ..names import listed

_HASH = "pod-template-hash"
# Kinds that replace no pod, so that their controller does not say how many are of the template.
ON_DELETE = "OnDelete"


@dataclass(frozen=True)
class Progress:
    """``replicas``: how many pods there are to be; ``updated``: those of the template as it is now; ``available``.

    ``done``: whether no other pods are left, as far as the controller tells.
    """

    replicas: int = 0
    updated: int = 0
    available: int = 0
    done: bool = True


def of(kind: str, raw: Raw) -> Progress:
    """Of a kind whose pods nobody waits for, such as a CronJob, all is done."""
    spec, status = raw.get("spec") or {}, raw.get("status") or {}

    def number(key: str) -> int:
        return int(status.get(key) or 0)

    seen = _is_seen(raw)
    if kind == "DaemonSet":
        wanted, available = number("desiredNumberScheduled"), number("numberAvailable")
        updated = number("currentNumberScheduled") if replaces_nothing(kind, raw) else number("updatedNumberScheduled")
        return Progress(wanted, updated, available, seen and min(updated, available) >= wanted)
    if kind not in ("Deployment", "StatefulSet", "ReplicaSet"):
        return Progress()
    wanted = int(1 if spec.get("replicas") is None else spec["replicas"])
    there, available = number("replicas"), number("availableReplicas")
    updated = there if replaces_nothing(kind, raw) else number("updatedReplicas")
    return Progress(wanted, updated, available, seen and there == updated == wanted and available >= wanted)


def was_admitted(kind: str, raw: Raw) -> bool:
    """Tell whether the API server took a pod of the template as it is now, as far as the controller tells.

    Whoever may write a workload may not be allowed to start what it asks for; its status only controllers write.
    """
    status = raw.get("status") or {}
    if kind == "CronJob":
        return bool(status.get("lastSuccessfulTime"))
    if kind == "Job":
        return any(status.get(name) for name in ("active", "succeeded", "failed"))
    return _is_seen(raw) and of(kind, raw).updated > 0


def _is_seen(raw: Raw) -> bool:
    """Tell whether the status is about the workload as it is now."""
    observed = (raw.get("status") or {}).get("observedGeneration") or 0
    return int(observed) >= int((raw.get("metadata") or {}).get("generation") or 0)


def replaces_nothing(kind: str, raw: Raw) -> bool:
    """Whether pods are made anew only where somebody deletes them."""
    strategy = ((raw.get("spec") or {}).get("updateStrategy") or {}).get("type")
    return kind == "ReplicaSet" or (kind in ("StatefulSet", "DaemonSet") and strategy == ON_DELETE)


def held(kind: str, raw: Raw) -> str:
    """Why its pods stay as they are until somebody changes it, as a clause with what to do; empty where they do not."""
    spec = raw.get("spec") or {}
    if kind == "Deployment" and spec.get("paused"):
        return "it is paused, so that it replaces no pods: resume it (kubectl rollout resume)"
    partition = ((spec.get("updateStrategy") or {}).get("rollingUpdate") or {}).get("partition")
    if kind == "StatefulSet" and partition:
        return f"its partition is {partition}, below which it replaces no pods: set it to 0"
    return ""


def belongs(kind: str, name: str, pod: Raw) -> bool:
    """Whether the controller of that workload has made the pod, or its ReplicaSet."""
    made_by = controller(pod)
    if kind != "Deployment":
        return made_by == (kind, name)
    digest = ((pod.get("metadata") or {}).get("labels") or {}).get(_HASH)
    return made_by == ("ReplicaSet", f"{name}-{digest}")


def refusal(raw: Raw) -> str:
    """What the API server last said to the controller that wanted to make a pod; empty where it took it."""
    for each in (raw.get("status") or {}).get("conditions") or ():
        if (each.get("type"), each.get("status")) == ("ReplicaFailure", "True"):
            return str(each.get("message") or "")
    return ""


def troubles(pods: t.Iterable[Raw]) -> str:
    """What keeps pods from being ready, as a clause; empty where all are."""
    found: dict[str, list[str]] = {}
    for pod in pods:
        trouble = _trouble(pod)
        if trouble:
            found.setdefault(trouble, []).append(Pod.parse(pod).name)
    return "; ".join(f"{trouble} ({listed(sorted(names))})" for trouble, names in found.items())


def _trouble(pod: Raw) -> str:
    status = pod.get("status") or {}
    conditions = {each.get("type"): each for each in status.get("conditions") or ()}
    scheduled = conditions.get("PodScheduled") or {}
    if scheduled.get("status") == "False":
        return shown(f"no node takes the pod: {scheduled.get('message') or scheduled.get('reason')}").rstrip(".")
    for each in (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())):
        waiting = (each.get("state") or {}).get("waiting") or {}
        if waiting.get("reason") not in (None, "PodInitializing", "ContainerCreating"):
            said = f": {waiting['message']}" if waiting.get("message") else ""
            return shown(f"container {each.get('name')} waits, {waiting['reason']}{said}").rstrip(".")
    if (conditions.get("Ready") or {}).get("status") == "True":
        return ""
    unready = [str(each.get("name")) for each in status.get("containerStatuses") or () if not each.get("ready")]
    running = [
        str(each.get("name"))
        for each in status.get("containerStatuses") or ()
        if not each.get("ready") and "running" in (each.get("state") or {})
    ]
    if running:
        return f"container {listed(running)} runs and is not ready, as its readiness probe says"
    return f"container {listed(unready)} has not started" if unready else f"the pod is {status.get('phase', 'Unknown')}"
