# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!
"""The only pod of a Job that we made: its state and what stands against its start."""

from __future__ import annotations

import typing as t

from .._domain.names import NODE_CONTAINER
from .._domain.tokens import probe_job
from .client import Client
from .kinds import POD, Object

# Others may be in the pod as well, put there by a service mesh.
_CONTAINERS = (probe_job.CONTAINER, NODE_CONTAINER)
_NO_START = frozenset(
    (
        "ImagePullBackOff",
        "InvalidImageName",
        "ErrImageNeverPull",
        "CreateContainerConfigError",
        "CreateContainerError",
        "RunContainerError",
        "CrashLoopBackOff",
    )
)


def of_job(client: Client, namespace: str, job: str) -> Object | None:
    """The pod; None where there is none (yet)."""
    pods = client.list_all(POD, namespace, labels=f"job-name={job}")
    return pods[0] if pods else None


def state(pod: Object | None) -> dict[str, t.Any]:
    """``waiting``, ``running`` or ``terminated`` with what belongs to it."""
    statuses = ((pod or {}).get("status") or {}).get("containerStatuses") or ()
    return next((status.get("state") or {} for status in statuses if status.get("name") in _CONTAINERS), {})


def phase(pod: Object | None) -> str:
    return str(((pod or {}).get("status") or {}).get("phase", ""))


def node_of(pod: Object | None) -> str:
    return str(((pod or {}).get("spec") or {}).get("nodeName", ""))


def trouble(client: Client, namespace: str, job: str, pod: Object | None) -> str:
    """Why it will not run; empty while it still may."""
    if pod is None:
        refused = [event for event in client.events(namespace, job) if event.get("reason") == "FailedCreate"]
        return _text(refused[-1].get("message")) if refused else ""
    waiting = state(pod).get("waiting") or {}
    if waiting.get("reason") in _NO_START:
        return _text(f"{waiting['reason']}: {waiting.get('message', '')}")
    return refusal(pod)


def refusal(pod: Object) -> str:
    """Why the node did not take the pod, or put it out; also what else it failed for."""
    status = pod.get("status") or {}
    if status.get("phase") != "Failed":
        return ""
    return _text(f"{status.get('reason', 'Failed')}: {status.get('message', '')}")


def is_evicted(pod: Object) -> bool:
    """Whether the node put the pod out; what it said is gone with it."""
    return bool((pod.get("status") or {}).get("reason") == "Evicted")


def is_out_of_memory(pod: Object) -> bool:
    """Whether its container was killed for taking more memory than it may."""
    return bool((state(pod).get("terminated") or {}).get("reason") == "OOMKilled")


def why(pod: Object | None) -> str:
    """What the pod itself says about not running, in brackets."""
    if pod is None:
        return ""
    status = pod.get("status") or {}
    terminated = state(pod).get("terminated") or {}
    waiting = state(pod).get("waiting") or {}
    conditions = {entry.get("type"): entry for entry in status.get("conditions") or ()}
    candidates = (
        f"{terminated.get('reason', '')} {terminated.get('message', '')}" if terminated else "",
        f"{waiting.get('reason', '')} {waiting.get('message', '')}",
        str(status.get("message") or status.get("reason") or ""),
        str((conditions.get("PodScheduled") or {}).get("message") or ""),
    )
    return next((f" ({_text(text)})" for text in candidates if text.strip()), "")


def _text(value: t.Any) -> str:
    return " ".join(str(value or "").split())[:300].rstrip(" .:")
