# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""What runs of AAD Pod Identity in a cluster; one list per kind, and one look at each NMI's health."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from .._domain.installation import drift, nmi
from .._domain.installation.trusted_namespaces import Belief
from . import releases
from .client import Client
from .errors import ApiFailure
from .inventory import read_roles
from .kinds import DAEMON_SET, DEPLOYMENT, ENDPOINTS, EVENT, NODE, POD, Object


@dataclass(frozen=True)
class Installation:
    """One DaemonSet with NMI and the Deployment of its MIC; ``nodes`` are its states, ``mic_leader`` a pod or empty."""

    daemon_set: Object
    mic: Object | None
    mic_leader: str
    nodes: tuple[nmi.NodeState, ...]


@dataclass(frozen=True)
class Survey:
    """Every installation, sorted by namespace and name. ``doubted``: DaemonSets that only look like NMI.

    ``unread`` says by kind why nobody knows who has the rights of NMI, so that none is doubted.
    """

    installations: tuple[Installation, ...] = ()
    doubted: tuple[Object, ...] = ()
    unread: t.Mapping[str, str] = field(default_factory=dict)


def find(client: Client, nodes: t.Sequence[Object] | None = None) -> Survey:
    """What runs NMI in the cluster; ``nodes`` where they are listed already."""
    looking = [each for each in client.list_all(DAEMON_SET) if nmi.runs_image(each, "nmi")]
    roles, unread = read_roles(client, looking)
    belief = Belief.parse(roles, unread=unread)
    daemon_sets = [each for each in looking if belief.holds(each["metadata"]["namespace"])]
    doubted = tuple(each for each in looking if each not in daemon_sets)
    if not daemon_sets:
        return Survey((), doubted, unread)
    nodes = client.list_all(NODE) if nodes is None else nodes
    mics = [
        each
        for each in client.list_all(DEPLOYMENT)
        if nmi.runs_image(each, "mic") and belief.holds(each["metadata"]["namespace"])
    ]
    found = tuple(_installation(client, each, _mic_of(each, mics), nodes) for each in daemon_sets)
    return Survey(found, doubted, unread)


def _installation(client: Client, daemon_set: Object, mic: Object | None, nodes: t.Iterable[Object]) -> Installation:
    return Installation(daemon_set, mic, _leader(client, mic), _nodes(client, daemon_set, nodes))


def _mic_of(daemon_set: Object, mics: t.Sequence[Object]) -> Object | None:
    """MIC of the same namespace; one MIC alone belongs to every NMI, because MIC looks at the whole cluster."""
    same = [mic for mic in mics if mic["metadata"]["namespace"] == daemon_set["metadata"]["namespace"]]
    return next(iter(same or mics), None)


def _leader(client: Client, mic: Object | None) -> str:
    if mic is None:
        return ""
    lock = nmi.lock_of(mic)
    pods = _pods_of(client, mic)
    running = {pod["metadata"]["name"] for pod in pods if nmi.is_ready(pod)}
    return nmi.leader(lock, client.get(ENDPOINTS, lock.namespace, lock.name), running)


def _nodes(client: Client, daemon_set: Object, nodes: t.Iterable[Object]) -> tuple[nmi.NodeState, ...]:
    port = nmi.probe_port(daemon_set)

    def health(pod: nmi.Object) -> str:
        return client.ask_pod(pod["metadata"]["namespace"], pod["metadata"]["name"], port, "healthz")

    states = nmi.node_states(daemon_set, nodes, _pods_of(client, daemon_set), health)
    if not any(each.state == "missing" for each in states):
        return states
    metadata = daemon_set["metadata"]
    about = f"involvedObject.kind=DaemonSet,involvedObject.name={metadata['name']}"
    try:
        return nmi.why_not_made(states, client.list_all(EVENT, metadata["namespace"], fields=about))
    except ApiFailure as failure:
        if not failure.forbidden:
            raise
        return states  # which are known without them


def changed(client: Client, found: Installation) -> tuple[str, ...] | None:
    """What of the DaemonSet and of its MIC is not as their helm release has it; None where that is not known."""
    manager = nmi.managed_by(found.daemon_set)
    namespace = found.daemon_set["metadata"]["namespace"]
    if manager.kind != "helm" or manager.release_namespace != namespace:
        return None
    told: list[str] = []
    for kind, live in (("DaemonSet", found.daemon_set), ("Deployment", found.mic)):
        if live is None or nmi.managed_by(live) != manager:
            continue
        name = live["metadata"]["name"]
        try:
            wanted = releases.object_of(client, namespace, manager.release_name, kind, name)
        except ApiFailure as failure:
            if not failure.forbidden:
                raise
            return None
        if wanted is None:
            return None
        told += [f"{kind} {namespace}/{name}: {field}" for field in drift.changed(wanted, live)]
    return tuple(told)


def _pods_of(client: Client, workload: Object) -> tuple[Object, ...]:
    """The pods that a workload selects and that are not on their way out."""
    wanted = (workload["spec"].get("selector") or {}).get("matchLabels") or {}
    labels = ",".join(f"{key}={value}" for key, value in sorted(wanted.items()))
    pods = client.list_all(POD, workload["metadata"]["namespace"], labels=labels)
    return tuple(pod for pod in pods if not pod["metadata"].get("deletionTimestamp"))
