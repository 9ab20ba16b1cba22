# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!
"""Token requests in a cluster: from a throw-away pod, or inside a running one."""

from __future__ import annotations

import secrets

from .._domain import probe, token_request
from .._domain.errors import Failure
from .._domain.matching import SELECTOR_LABEL, Binding, Identity, Pod
from .._domain.names import MANAGED_BY, MANAGER, OWNER
from . import job_pods
from .client import Client
from .errors import ApiFailure
from .kinds import (
    AZURE_IDENTITY,
    AZURE_IDENTITY_BINDING,
    JOB,
    NODE,
    POD,
    POD_DISRUPTION_BUDGET,
    SERVICE,
    Kind,
    Object,
)
from .wait import wait_for

_LETTERS = "bcdfghjklmnpqrstvwxz2456789"
_PAUSE = 1.0
_LOG_SECONDS = 15


def observe(client: Client, target: probe.Target) -> tuple[tuple[Object, ...], probe.Cluster]:
    """The pods of the workload's namespace, and what decides about identities in the cluster."""
    bindings, identities = _known(client, AZURE_IDENTITY_BINDING), _known(client, AZURE_IDENTITY)
    return client.list_all(POD, target.namespace), probe.Cluster(
        pods=tuple(Pod.parse(raw) for raw in client.list_all(POD, labels=SELECTOR_LABEL)) if bindings else (),
        bindings=tuple(Binding.parse(raw) for raw in bindings),
        identities=tuple(Identity.parse(raw) for raw in identities),
        nodes=client.list_all(NODE),
        services=client.list_all(SERVICE, target.namespace),
        budgets=client.list_all(POD_DISRUPTION_BUDGET, target.namespace),
    )


def new_name() -> str:
    return "pod-identity-probe-" + "".join(secrets.choice(_LETTERS) for dummy in range(5))


def remove_leftovers(client: Client, target: probe.Target, owner: str) -> list[str]:
    """Delete what killed runs left for the same workload; the names of the Jobs.

    A Job that has not ended may be another run's at this moment; the cluster ends it by its deadline.
    """
    labels = f"{MANAGED_BY}={MANAGER},{OWNER}={owner},{probe.PROBE_LABEL}={target.key()}"
    jobs = client.list_all(JOB, target.namespace, labels=labels)
    names = [raw["metadata"]["name"] for raw in jobs if job_pods.has_ended(raw)]
    for name in names:
        client.delete(JOB, target.namespace, name)
    return names


def run(client: Client, job: Object, *, start_timeout: float, timeout: float) -> tuple[str, str, str]:
    """Run the Job and take it away again, whatever happens.

    Returns what the probe printed, the node that it ran on, and, where it printed nothing, the reason.
    """
    namespace, name = job["metadata"]["namespace"], job["metadata"]["name"]
    created = client.create(JOB, namespace, job)
    try:
        return _follow(client, namespace, name, start_timeout, timeout)
    finally:
        client.delete(JOB, namespace, name, preconditions={"uid": created["metadata"]["uid"]})


def ask_inside(
    client: Client, pod: Object, container: str | None, resource: str, client_id: str | None, timeout: int
) -> tuple[str, str]:
    """Ask from a container that runs already. What was printed, and, where that is nothing, the reason."""
    metadata, spec = pod["metadata"], pod["spec"]
    containers = [entry["name"] for entry in spec["containers"]]
    default = (metadata.get("annotations") or {}).get("kubectl.kubernetes.io/default-container")
    chosen = container or (default if default in containers else containers[0])
    if chosen not in containers:
        raise Failure(
            f"Pod {metadata['namespace']}/{metadata['name']} has no container {chosen}, only {', '.join(containers)}."
        )
    names = (str(metadata["namespace"]), str(metadata["name"]))
    for command in (
        token_request.shell_command(resource, client_id, timeout),
        token_request.python_command(resource, client_id, timeout),  # images with Python but without a shell
    ):
        output = client.run(*names, str(chosen), command, timeout=timeout + 30)[1]
        if token_request.parse(output).tool:
            return output, ""
    return "", (
        f"Container {chosen} of pod {metadata['namespace']}/{metadata['name']} has neither a shell nor python3, so "
        "nothing could be asked in it: use method: probe_pod."
    )


def _follow(client: Client, namespace: str, name: str, start_timeout: float, timeout: float) -> tuple[str, str, str]:
    def started() -> Object | None:
        pod = job_pods.of_job(client, namespace, name)
        state = job_pods.state(pod)
        if "terminated" in state or "running" in state or job_pods.trouble(client, namespace, name, pod):
            return {"pod": pod, "trouble": job_pods.trouble(client, namespace, name, pod)}
        return None

    seen = wait_for(started, timeout=start_timeout, pause=_PAUSE)
    if seen is None:
        pod = job_pods.of_job(client, namespace, name)
        return (
            "",
            job_pods.node_of(pod),
            f"The probe did not start within {start_timeout:.0f} seconds{job_pods.why(pod)}.",
        )
    if seen["trouble"] and "terminated" not in job_pods.state(seen["pod"]):
        return "", job_pods.node_of(seen["pod"]), f"The probe could not run: {seen['trouble']}."

    def ended() -> Object | None:
        pod = job_pods.of_job(client, namespace, name)
        if pod is None:
            return {"metadata": {}}
        return pod if "terminated" in job_pods.state(pod) or job_pods.phase(pod) in ("Succeeded", "Failed") else None

    pod = wait_for(ended, timeout=timeout + _LOG_SECONDS, pause=_PAUSE)
    if pod is None:
        return "", job_pods.node_of(seen["pod"]), f"The probe did not end within {timeout + _LOG_SECONDS:.0f} seconds."
    if "terminated" not in job_pods.state(pod):
        return (
            "",
            job_pods.node_of(seen["pod"]),
            f"The probe was removed or stopped before it ended{job_pods.why(pod)}.",
        )
    output = client.log(namespace, pod["metadata"]["name"], probe.CONTAINER)
    reason = "" if token_request.parse(output).tool else f"The image cannot run the probe{job_pods.why(pod)}."
    return output, job_pods.node_of(pod), reason


def _known(client: Client, kind: Kind) -> tuple[Object, ...]:
    """Empty where AAD Pod Identity is not installed: its path can be tried all the same."""
    try:
        return client.list_all(kind)
    except ApiFailure as failure:
        if failure.kind_missing:
            return ()
        raise
