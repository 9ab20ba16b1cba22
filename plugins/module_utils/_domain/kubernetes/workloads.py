# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""What makes pods in a cluster: templates, pods that nobody makes, and makers of kinds that are not known here."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, replace

from ..matching.matching import Pod, Raw, controller, pod_template

TEMPLATES = ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "CronJob", "Job")
# Pods of both belong to a ReplicaSet whose name begins with that of the template.
_OF_REPLICA_SETS = ("Deployment", "ReplicaSet")

Key = tuple[str, str, str]


@dataclass(frozen=True)
class Workload:
    """``pod`` is one as the workload makes it, ``pods`` those that there are.

    ``owner``: what the template belongs to, where that is of a kind that is not known here.
    """

    kind: str
    name: str
    pod: Pod
    pods: tuple[Pod, ...] = ()
    owner: str = ""

    @property
    def label(self) -> str:
        return f"{self.kind} {self.pod.namespace}/{self.name}"


def find(templates: t.Mapping[str, t.Iterable[Raw]], pods: t.Iterable[Pod]) -> tuple[Workload, ...]:
    """Every workload; ``templates`` by kind. A template that another makes is that other's."""
    known = {_key(kind, raw): raw for kind, found in templates.items() for raw in found}
    living = {_key(kind, raw) for kind, found in templates.items() for raw in present(kind, found)}
    made: dict[Key, list[Pod]] = {}
    others: dict[tuple[str, str, str, str], list[Pod]] = {}
    for pod in pods:
        kind, name = pod.controller if pod.controller[0] else ("Pod", pod.name)
        key = (kind, pod.namespace, name)
        if key in known:
            made.setdefault(_top(key, known), []).append(pod)
        else:
            others.setdefault((*key, pod.selector), []).append(pod)
    found = [
        _of_template(key, raw, tuple(made.get(key, ())))
        for key, raw in known.items()
        if _top(key, known) == key and key in living
    ]
    found += [
        Workload(kind, name, _example(pods[0]), tuple(pods)) for (kind, dummy, name, dummy), pods in others.items()
    ]
    return tuple(sorted(found, key=lambda one: (one.pod.namespace, one.kind, one.name, one.pod.selector)))


def present(kind: str, several: t.Iterable[Raw]) -> list[Raw]:
    """Without the ReplicaSets of earlier states, which an owner keeps at 0 beside the one that it has now.

    Of an owner that is at 0 itself the last one counts: its pods come back with it.
    """
    every = list(several)
    if kind != "ReplicaSet":
        return every
    last: dict[tuple[str, ...], tuple[t.Any, ...]] = {}
    for raw in every:
        last[_owner(raw)] = max(last.get(_owner(raw), ()), _rank(raw))
    return [raw for raw in every if not controller(raw)[0] or _rank(raw)[0] or _rank(raw) == last[_owner(raw)]]


def _owner(raw: Raw) -> tuple[str, ...]:
    return (str((raw.get("metadata") or {}).get("namespace", "")), *controller(raw))


def _rank(raw: Raw) -> tuple[t.Any, ...]:
    """The later, the greater: whether it has replicas, the number of its revision, its age."""
    metadata = raw.get("metadata") or {}
    told = [str(value) for key, value in (metadata.get("annotations") or {}).items() if key.endswith("/revision")]
    revision = max((int(each) for each in told if each.isdigit()), default=0)
    has_replicas = (raw.get("spec") or {}).get("replicas") != 0
    return has_replicas, revision, str(metadata.get("creationTimestamp") or ""), str(metadata.get("name", ""))


def of_object(kind: str, raw: Raw) -> Workload:
    """Of one object alone, without its pods; whatever controls it is its owner."""
    return _of_template(_key(kind, raw), raw, ())


def _key(kind: str, raw: Raw) -> Key:
    metadata = raw.get("metadata") or {}
    return kind, str(metadata.get("namespace", "")), str(metadata.get("name", ""))


def _top(key: Key, known: t.Mapping[Key, Raw]) -> Key:
    seen = {key}
    while True:
        kind, name = controller(known[key])
        above = (kind, key[1], name)
        if above not in known or above in seen:
            return key
        seen.add(above)
        key = above


def _of_template(key: Key, raw: Raw, pods: tuple[Pod, ...]) -> Workload:
    kind, namespace, name = key
    template = pod_template(raw)
    metadata = {"namespace": namespace, "name": name, "labels": (template.get("metadata") or {}).get("labels")}
    pod = Pod.parse({"metadata": metadata, "spec": template.get("spec")})
    replica_set = name if kind in _OF_REPLICA_SETS else ""
    return Workload(
        kind, name, replace(_example(pod), replica_set=replica_set), pods, " ".join(controller(raw)).strip()
    )


def _example(pod: Pod) -> Pod:
    """A pod like this one, running somewhere."""
    return replace(pod, node="", phase="Running", deleting=False, ip="")
