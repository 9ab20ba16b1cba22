# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""What the namespace of a workload asks of its pods: Pod Security, quotas, limits, and policies of the cluster."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ..kubernetes import label_selectors
from ..kubernetes.kubectl_output import CONSTRAINTS
from ..kubernetes.sources import place
from ..matching.matching import Raw

_ENFORCED = "pod-security.kubernetes.io/enforce"
# The levels that admit no privileged container.
_CONFINED = ("baseline", "restricted")
_ADMISSION, _KYVERNO = "ValidatingAdmissionPolicy", ("ClusterPolicy", "Policy")
_PLURALS = {
    "Deployment": "deployments",
    "StatefulSet": "statefulsets",
    "DaemonSet": "daemonsets",
    "ReplicaSet": "replicasets",
    "CronJob": "cronjobs",
    "Job": "jobs",
}


@dataclass(frozen=True)
class Place:
    """A namespace. ``labels``: None where it was not read. ``security``: the level that is enforced, '' for none.

    ``unset``: what its quotas want every container to set, and no LimitRange sets for it; None where not all of both
    were read.
    """

    name: str
    labels: t.Mapping[str, str] | None = None
    security: str = ""
    quotas: tuple[str, ...] = ()
    limit_ranges: tuple[str, ...] = ()
    unset: tuple[str, ...] | None = None

    @property
    def confined(self) -> bool:
        return self.security in _CONFINED


@dataclass(frozen=True)
class Places:
    """The namespaces of a cluster."""

    objects: t.Mapping[str, t.Sequence[Raw]]
    _known: dict[str, Place] = field(default_factory=dict, compare=False, repr=False)

    def __getitem__(self, name: str) -> Place:
        if name not in self._known:
            self._known[name] = self._parsed(name)
        return self._known[name]

    def _parsed(self, name: str) -> Place:
        labels = next(
            ((raw["metadata"].get("labels") or {}) for raw in self._of("Namespace") if raw["metadata"]["name"] == name),
            None,
        )
        quotas = [raw for raw in self._of("ResourceQuota") if place(raw)[0] == name]
        ranges = [raw for raw in self._of("LimitRange") if place(raw)[0] == name]
        unread = not {"ResourceQuota", "LimitRange"} <= self.objects.keys()
        wanted = {_of_container(key) for raw in quotas for key in (raw.get("spec") or {}).get("hard") or ()} - {""}
        return Place(
            name=name,
            labels=labels,
            security=str((labels or {}).get(_ENFORCED, "")),
            quotas=tuple(sorted(place(raw)[1] for raw in quotas)),
            limit_ranges=tuple(sorted(place(raw)[1] for raw in ranges)),
            unset=None if unread else tuple(sorted(wanted - _defaults(ranges))),
        )

    def _of(self, kind: str) -> t.Sequence[Raw]:
        return self.objects.get(kind, ())


def _of_container(key: str) -> str:
    """What a key of a quota wants of each container: ``cpu`` is ``requests.cpu``; '' for pods, objects and storage."""
    if key in ("cpu", "memory"):
        return f"requests.{key}"
    return key if key in ("requests.cpu", "requests.memory", "limits.cpu", "limits.memory") else ""


def _defaults(ranges: t.Iterable[Raw]) -> set[str]:
    """What a container is given that sets nothing; a limit is its request too."""
    found = set()
    for raw in ranges:
        for each in (raw.get("spec") or {}).get("limits") or ():
            if each.get("type") == "Container":
                # The API server fills them from max and min, too, when the LimitRange is made.
                found |= {f"limits.{key}" for key in each.get("default") or ()}
                found |= {f"requests.{key}" for key in (each.get("defaultRequest") or each.get("default") or ())}
    return found


def policies(
    kind: str, namespace: str, labels: t.Mapping[str, str] | None, objects: t.Mapping[str, t.Sequence[Raw]]
) -> tuple[str, ...]:
    """Labels of the policies of admission that look at pods, or at the kind that makes these, in a namespace.

    ``labels``: of the namespace, None where they are not known. Whether they refuse anything is not decided here.
    """
    kinds, found = frozenset(("Pod", kind)), []
    for listed, several in objects.items():
        if not listed.endswith(CONSTRAINTS) and listed not in (_ADMISSION, *_KYVERNO):
            continue
        name = listed.partition(CONSTRAINTS)[0]
        for raw in several:
            spec = raw.get("spec") or {}
            if listed.endswith(CONSTRAINTS):
                looks = _constrains(spec.get("match") or {}, kinds, namespace, labels)
            elif listed == _ADMISSION:
                looks = _matches(spec.get("matchConstraints") or {}, kinds, labels)
            else:
                # Kyverno's rules match in many ways; a policy of a namespace is for that alone.
                looks = place(raw)[0] in ("", namespace)
            if looks:
                found.append(f"{name} {'/'.join(filter(None, place(raw)))}")
    return tuple(sorted(found))


def _matches(matched: Raw, kinds: t.Collection[str], labels: t.Mapping[str, str] | None) -> bool:
    wanted = {"pods", "*", *(_PLURALS[kind] for kind in kinds if kind in _PLURALS)}
    if not any(wanted.intersection(rule.get("resources") or ()) for rule in matched.get("resourceRules") or ()):
        return False
    return labels is None or label_selectors.selects(matched.get("namespaceSelector") or {}, labels)


def _constrains(match: Raw, kinds: t.Collection[str], namespace: str, labels: t.Mapping[str, str] | None) -> bool:
    """Source: Gatekeeper, match of constraints; names of namespaces may begin or end with an asterisk."""
    meant = match.get("kinds") or ()
    if meant and not any({"*", *kinds}.intersection(each.get("kinds") or ()) for each in meant):
        return False
    only, without = match.get("namespaces") or (), match.get("excludedNamespaces") or ()
    if only and not any(_is_named(namespace, each) for each in only):
        return False
    if any(_is_named(namespace, each) for each in without):
        return False
    return labels is None or label_selectors.selects(match.get("namespaceSelector") or {}, labels)


def _is_named(name: str, pattern: str) -> bool:
    if pattern.startswith("*") and pattern.endswith("*") and len(pattern) > 1:
        return pattern[1:-1] in name
    if pattern.endswith("*"):
        return name.startswith(pattern[:-1])
    return name.endswith(pattern[1:]) if pattern.startswith("*") else name == pattern
