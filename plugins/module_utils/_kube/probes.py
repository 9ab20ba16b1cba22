# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!
"""A request for a token from a throw-away pod."""

from __future__ import annotations

import functools
import secrets
import typing as t

from .._domain.kubernetes.jobs import has_ended
from .._domain.names import MANAGED_BY, MANAGER, OWNER
from .._domain.tokens import probe_job, token_request
from . import job_pods
from .client import Client
from .kinds import JOB, Object
from .wait import wait_for

_LETTERS = "bcdfghjklmnpqrstvwxz2456789"
_PAUSE = 1.0
_LOG_SECONDS = 15


class Ran(t.NamedTuple):
    """What the probe printed, its node, why it printed nothing, and what the cluster said against its pod."""

    output: str
    node: str
    reason: str = ""
    trouble: str = ""


def new_name() -> str:
    return "pod-identity-probe-" + "".join(secrets.choice(_LETTERS) for dummy in range(5))


def leftovers(client: Client, namespace: str, owner: str) -> tuple[Object, ...]:
    """The Jobs that killed runs of the owner left in a namespace.

    A Job that has not ended may be another run's at this moment; the cluster ends it by its deadline.
    """
    labels = f"{MANAGED_BY}={MANAGER},{OWNER}={owner},{probe_job.PROBE_LABEL}"
    return tuple(raw for raw in client.list_all(JOB, namespace, labels=labels) if has_ended(raw))


def remove(client: Client, target: probe_job.Target, jobs: t.Iterable[Object]) -> list[str]:
    """Delete those of the Jobs that are for the workload; their names."""
    names = [
        raw["metadata"]["name"] for raw in jobs if raw["metadata"]["labels"][probe_job.PROBE_LABEL] == target.key()
    ]
    for name in names:
        client.delete(JOB, target.namespace, name)
    return names


Look = t.Callable[[str, str], t.Optional[Object]]


def run(client: Client, job: Object, *, start_timeout: float, timeout: float, look: Look | None = None) -> Ran:
    """Run the Job and take it away again, whatever happens.

    ``look`` finds the pod by namespace and name of the Job; what it raises ends the run.
    """
    namespace, name = job["metadata"]["namespace"], job["metadata"]["name"]
    find = look or functools.partial(job_pods.of_job, client)
    created = client.create(JOB, namespace, job)
    try:
        return _follow(client, namespace, name, start_timeout, timeout, lambda: find(namespace, name))
    finally:
        client.delete(JOB, namespace, name, preconditions={"uid": created["metadata"]["uid"]})


def _follow(
    client: Client,
    namespace: str,
    name: str,
    start_timeout: float,
    timeout: float,
    look: t.Callable[[], Object | None],
) -> Ran:
    def started() -> Object | None:
        pod = look()
        trouble, state = job_pods.trouble(client, namespace, name, pod), job_pods.state(pod)
        return {"pod": pod, "trouble": trouble} if "terminated" in state or "running" in state or trouble else None

    seen = wait_for(started, f"the pod {namespace}/{name} has not started yet", timeout=start_timeout, pause=_PAUSE)
    if seen is None:
        pod = look()
        reason = f"The probe did not start within {start_timeout:.0f} seconds{job_pods.why(pod)}."
        return Ran("", job_pods.node_of(pod), reason)
    node = job_pods.node_of(seen["pod"])
    if seen["trouble"] and "terminated" not in job_pods.state(seen["pod"]):
        return Ran("", node, f"The probe could not run: {seen['trouble']}.", seen["trouble"])

    def ended() -> Object | None:
        pod = look()
        if pod is None:
            return {"metadata": {}}
        return pod if "terminated" in job_pods.state(pod) or job_pods.phase(pod) in ("Succeeded", "Failed") else None

    pod = wait_for(ended, f"the pod {namespace}/{name} has not ended yet", timeout=timeout + _LOG_SECONDS, pause=_PAUSE)
    if pod is None:
        return Ran("", node, f"The probe did not end within {timeout + _LOG_SECONDS:.0f} seconds.")
    if "terminated" not in job_pods.state(pod) or job_pods.is_evicted(pod):
        reason = f"The probe was removed or stopped before it ended{job_pods.why(pod)}."
        return Ran("", node, reason, job_pods.refusal(pod))
    output = client.log(namespace, pod["metadata"]["name"], probe_job.CONTAINER).decode("utf-8", "replace")
    if token_request.parse(output).tool:
        return Ran(output, job_pods.node_of(pod))
    told = "The probe ran out of memory" if job_pods.is_out_of_memory(pod) else "The image cannot run the probe"
    return Ran(output, job_pods.node_of(pod), f"{told}{job_pods.why(pod)}.")
