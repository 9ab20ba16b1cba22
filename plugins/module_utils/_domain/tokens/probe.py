# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!
"""Where the pod that asks for a token in a workload's place is run, what it must get, and where it must not be run."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, replace

from ..errors import Failure
from ..installation.workload_identity_webhook import USE_LABEL
from ..kubernetes import label_selectors
from ..matching.matching import SELECTOR_LABEL, Assignment, Binding, Identity, Pod, assignments, scale_set, unheld
from ..names import OWNER
from .probe_job import PROBE_LABEL, Place, Raw, Target
from .token import Expectation

# Labels by which controllers and per-pod Services know the pods that they made.
_OF_CONTROLLERS = frozenset(
    (
        "pod-template-hash",
        "controller-revision-hash",
        "pod-template-generation",
        "controller-uid",
        "job-name",
        "statefulset.kubernetes.io/pod-name",
        "apps.kubernetes.io/pod-index",
    )
)
_JOB_LABELS = "batch.kubernetes.io/"


@dataclass(frozen=True)
class Cluster:
    """What was read about identities; all of it may be empty where AAD Pod Identity is not installed."""

    pods: tuple[Pod, ...] = ()
    bindings: tuple[Binding, ...] = ()
    identities: tuple[Identity, ...] = ()
    nodes: tuple[Raw, ...] = ()
    services: tuple[Raw, ...] = ()
    budgets: tuple[Raw, ...] = ()


def choose(target: Target, pods: t.Iterable[Raw], extra_labels: t.Mapping[str, str]) -> Place:
    """The first running pod of the workload, on the wanted node if there is one there."""
    candidates = _candidates(target, pods)
    model = candidates[0] if candidates else None
    if target.pod and model is None:
        raise Failure(f"Pod {target.namespace}/{target.pod} does not run: name one that does, or a selector.")
    return _place(target, model, extra_labels)


def spread(
    target: Target, pods: t.Iterable[Raw], extra_labels: t.Mapping[str, str], samples: int, *, within: bool
) -> list[tuple[Place, int]]:
    """Where so many requests are made and how many of them: in each running pod (``within``) or on each of their nodes.

    The first is the one that ``choose`` names; none has more than one request more than another.
    """
    pods = tuple(pods)
    first = choose(target, pods, extra_labels)
    places, seen = [first], {_spot(first, within)}
    for raw in _candidates(target, pods):
        pod, place = Pod.parse(raw), _place(target, raw, extra_labels)
        if pod.phase == "Running" and pod.node == place.node and _spot(place, within) not in seen:
            seen.add(_spot(place, within))
            places.append(place)
    places = places[:samples]
    most, rest = divmod(samples, len(places))
    return [(place, most + (number < rest)) for number, place in enumerate(places)]


def _spot(place: Place, within: bool) -> str:
    return place.model_name if within else place.node


def _candidates(target: Target, pods: t.Iterable[Raw]) -> list[Raw]:
    return sorted((raw for raw in pods if _is_candidate(raw, target)), key=lambda raw: _preference(raw, target))


def _place(target: Target, model: Raw | None, extra_labels: t.Mapping[str, str]) -> Place:
    spec = (model or {}).get("spec") or {}
    theirs = ((model or {}).get("metadata") or {}).get("labels") or {}
    labels = {key: value for key, value in theirs.items() if not _of_controller(key)}
    if target.selector:
        labels[SELECTOR_LABEL] = target.selector
    labels.update({key: str(value) for key, value in extra_labels.items()})
    labels = {key: value for key, value in labels.items() if value != ""}
    return Place(
        model=model,
        node=target.node or spec.get("nodeName", ""),
        selector=labels.get(SELECTOR_LABEL, ""),
        service_account=target.service_account or spec.get("serviceAccountName", "") or "default",
        labels=labels,
    )


def for_exchange(place: Place) -> Place:
    """The place of a probe that asks Entra itself: the webhook gives it its token, and MIC assigns it nothing."""
    labels = {key: value for key, value in place.labels.items() if key != SELECTOR_LABEL}
    return replace(place, labels={**labels, USE_LABEL: "true"})


def replace_node(place: Place, node: str) -> Place:
    """The place with the node that the scheduler chose."""
    return replace(place, node=node or place.node)


def expectation(
    place: Place,
    namespace: str,
    cluster: Cluster,
    wanted: t.Mapping[str, str | None],
    resource: str,
    client_id: str | None,
) -> Expectation:
    """What the token must say, by the options and, where those say nothing, by the identity that the pod gets."""
    mine = got_by(place, namespace, cluster)
    asked = [entry for entry in mine if client_id and entry.identity.client_id == client_id]
    certain = asked or (mine if len(mine) == 1 else [])
    identity = certain[0].identity if certain else None
    named = wanted.get("client_id") or client_id
    same = identity is not None and (not named or identity.client_id.lower() == named.lower())
    return Expectation(
        resource=resource,
        audience=wanted.get("audience") or resource,
        client_id=named or (identity.client_id if identity else ""),
        tenant_id=wanted.get("tenant_id") or "",
        object_id=wanted.get("object_id") or "",
        resource_id=identity.resource_id if identity and same and identity.type == 0 else "",
        identity=", ".join(f"{e.identity.namespace}/{e.identity.name}" for e in (certain or mine)),
        ambiguous=len(mine) > 1 and not client_id,
        unmatched=bool(client_id and mine and not asked),
        path=wanted.get("path") or "",
    )


def got_by(place: Place, namespace: str, cluster: Cluster) -> list[Assignment]:
    """The identities that MIC gives a pod in this place, in MIC's order."""
    pod = Pod(namespace, place.model_name or "probe", place.labels, place.node or "unscheduled")
    return list(assignments([pod], cluster.bindings, cluster.identities))


def obstacle(
    place: Place,
    namespace: str,
    name: str,
    cluster: Cluster,
    *,
    allow_detach: bool,
    allow_unready_endpoints: bool,
    allow_blocked_evictions: bool,
    asks_nmi: bool = True,
) -> str:
    """Why a probe must not be run here, in a sentence; empty where nothing stands against it."""
    if asks_nmi and ((place.model or {}).get("spec") or {}).get("hostNetwork"):
        return (
            f"Pod {namespace}/{place.model_name} uses the host network, whose requests NMI never sees, so a probe "
            "would say nothing about it: use method: exec."
        )
    node = next((raw for raw in cluster.nodes if raw["metadata"]["name"] == place.node), None)
    if place.node and node is None:
        return f"Node {place.node} does not exist."
    if node and (node["metadata"].get("labels") or {}).get("kubernetes.io/os", "linux") != "linux":
        return f"Node {place.node} does not run Linux, which NMI and the probe need."
    published = _publishing(place.labels, cluster.services)
    if published and not allow_unready_endpoints:
        return (
            f"Service {namespace}/{', '.join(published)} publishes pods that are not ready and would send traffic to "
            "the probe: leave out the labels that it selects (labels), or set allow_unready_endpoints: true."
        )
    disturbed = _disturbed({**place.labels, **_labels_of_job(name)}, cluster.budgets)
    if disturbed and not allow_blocked_evictions:
        return (
            f"PodDisruptionBudget {namespace}/{', '.join(disturbed)} selects the probe and counts pods by the scale of "
            "their controllers, which a Job does not have, so that it would allow no eviction as long as the probe is "
            "there: use method: exec, leave out the labels that it selects (labels), or set "
            "allow_blocked_evictions: true."
        )
    lost = () if allow_detach else _lost(place, namespace, name, cluster)
    if lost:
        identities = ", ".join(f"{identity.namespace}/{identity.name}" for identity in lost)
        where = f"the scale set of {place.node}" if place.node else "a scale set that cannot be told beforehand"
        return (
            f"No running pod holds {identities} on {where}, so MIC would take it from there when the probe goes: start "
            "the workload, name a node where it runs, or set allow_detach: true."
        )
    return ""


def _is_candidate(raw: Raw, target: Target) -> bool:
    pod, spec = Pod.parse(raw), raw.get("spec") or {}
    if not pod.lives or not pod.node or PROBE_LABEL in pod.labels:
        return False
    return (
        (not target.pod or pod.name == target.pod)
        and (not target.selector or pod.selector == target.selector)
        and (not target.service_account or spec.get("serviceAccountName") == target.service_account)
    )


def _preference(raw: Raw, target: Target) -> tuple[bool, bool, str]:
    pod = Pod.parse(raw)
    return (bool(target.node) and pod.node != target.node, pod.phase != "Running", pod.name)


def _of_controller(key: str) -> bool:
    return key in _OF_CONTROLLERS or key.startswith(_JOB_LABELS)


def _publishing(labels: t.Mapping[str, str], services: t.Iterable[Raw]) -> list[str]:
    """The Services that would publish the address of a pod with these labels although it is not ready."""
    found = []
    for raw in services:
        spec = raw.get("spec") or {}
        selector = spec.get("selector") or {}
        selected = selector and all(labels.get(key) == value for key, value in selector.items())
        if spec.get("publishNotReadyAddresses") and selected:
            found.append(str(raw["metadata"]["name"]))
    return sorted(found)


def _labels_of_job(name: str) -> dict[str, str]:
    """What a probe has besides the labels of its place: our own, and those of the Job controller."""
    own = {PROBE_LABEL: "", OWNER: ""}
    return {**own, **{f"{prefix}{key}": name for prefix in ("", _JOB_LABELS) for key in ("job-name", "controller-uid")}}


def _disturbed(labels: t.Mapping[str, str], budgets: t.Iterable[Raw]) -> list[str]:
    """The budgets that select these labels and need the scale of every controller: all but a number to be kept."""
    found = []
    for raw in budgets:
        spec = raw.get("spec") or {}
        scaled = spec.get("maxUnavailable") is not None or isinstance(spec.get("minAvailable"), str)
        if scaled and spec.get("selector") is not None and label_selectors.selects(spec["selector"], labels):
            found.append(str(raw["metadata"]["name"]))
    return sorted(found)


def _lost(place: Place, namespace: str, name: str, cluster: Cluster) -> tuple[Identity, ...]:
    sets = {
        raw["metadata"]["name"]: scale_set((raw.get("spec") or {}).get("providerID") or raw["metadata"]["name"])
        for raw in cluster.nodes
    }
    neighbours = {node for node, group in sets.items() if group == sets.get(place.node)} if place.node else set()
    newcomer = Pod(namespace, name, place.labels, place.node or "unscheduled")
    return unheld(newcomer, cluster.pods, cluster.bindings, cluster.identities, neighbours)
