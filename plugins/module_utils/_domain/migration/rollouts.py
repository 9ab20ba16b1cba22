# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""How the pods of a workload are replaced: whether new ones come before old ones go, and what budgets there are."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ..kubernetes import label_selectors
from ..kubernetes.sources import Source, place
from ..matching.matching import Raw
from ..names import listed

_SHARED = frozenset({"ReadWriteMany", "ReadOnlyMany"})


@dataclass(frozen=True)
class Rollout:
    """``strategy``: as the workload has it. ``replicas``: None where they are not counted so.

    ``gap``: why pods are missing for a while when they are replaced, '' where none are. ``unknown``: what it was not
    known by. ``immutable``: its template cannot be changed. ``budgets``: names of its PodDisruptionBudgets.
    """

    strategy: str = ""
    replicas: int | None = None
    gap: str = ""
    unknown: str = ""
    immutable: bool = False
    budgets: tuple[str, ...] = ()

    def view(self) -> dict[str, t.Any]:
        return {
            "strategy": self.strategy,
            "replicas": self.replicas,
            "surge": not self.gap and not self.immutable,
            "gap": self.gap,
            "budgets": list(self.budgets),
        }


def find(source: Source, objects: t.Mapping[str, t.Sequence[Raw]]) -> Rollout:
    spec, kind = source.raw.get("spec") or {}, source.workload.kind
    budgets = tuple(sorted(_budgets(source, objects)))
    if source.made_by_hand:
        gap = "" if kind != "Pod" else "nobody makes a pod anew that is deleted"
        return Rollout("", None, gap, immutable=kind == "Pod", budgets=budgets)
    if kind in ("Job", "CronJob"):
        return Rollout("", None, immutable=kind == "Job", budgets=budgets)
    declared = spec.get("updateStrategy" if kind in ("StatefulSet", "DaemonSet") else "strategy") or {}
    strategy = str(declared.get("type") or "RollingUpdate")
    replicas = None if kind == "DaemonSet" else int(1 if spec.get("replicas") is None else spec["replicas"])
    if kind == "ReplicaSet":
        strategy = "OnDelete"
    gap, unknown = "", ""
    if replicas != 0:
        gap = _gap(kind, strategy, host_ports(source.template), replicas)
        if not gap and replicas == 1:
            gap, unknown = _held_volume(source, objects)
    return Rollout(strategy, replicas, gap, unknown, budgets=budgets)


def _gap(kind: str, strategy: str, ports: t.Sequence[int], replicas: int | None) -> str:
    if strategy == "Recreate":
        return "all its pods end before new ones begin (Recreate)"
    if strategy == "OnDelete":
        return "its pods are replaced only when somebody deletes them"
    if ports:
        several = listed(sorted(map(str, ports)))
        return f"a new pod begins on no node where an old one has the port of the node, {several} (hostPort)"
    if kind == "StatefulSet":
        return "its pods end before new ones begin" if replicas != 1 else "its only pod ends before the new one begins"
    return ""


def host_ports(template: Raw) -> tuple[int, ...]:
    """Ports of the node, of which one pod alone may have each."""
    spec = template.get("spec") or {}
    beside = [each for each in spec.get("initContainers") or () if each.get("restartPolicy") == "Always"]
    ports = [port for each in (*(spec.get("containers") or ()), *beside) for port in each.get("ports") or ()]
    key = "containerPort" if spec.get("hostNetwork") else "hostPort"
    return tuple(dict.fromkeys(int(port[key]) for port in ports if port.get(key)))


def _held_volume(source: Source, objects: t.Mapping[str, t.Sequence[Raw]]) -> tuple[str, str]:
    """Why a second pod could not have the volumes of the only one; then why that is not known."""
    names = [
        str(volume["persistentVolumeClaim"].get("claimName", ""))
        for volume in (source.template.get("spec") or {}).get("volumes") or ()
        if volume.get("persistentVolumeClaim")
    ]
    if not names:
        return "", ""
    if "PersistentVolumeClaim" not in objects:
        return "", f"whether several nodes may have the volume of {names[0]} at once"
    namespace = source.workload.pod.namespace
    claims = {place(raw): raw for raw in objects["PersistentVolumeClaim"]}
    for name in names:
        modes = (claims.get((namespace, name), {}).get("spec") or {}).get("accessModes") or ()
        if modes and not _SHARED.intersection(modes):
            return f"one node alone may have its volume {name} ({', '.join(modes)})", ""
    return "", ""


def _budgets(source: Source, objects: t.Mapping[str, t.Sequence[Raw]]) -> t.Iterator[str]:
    pod = source.workload.pod
    for raw in objects.get("PodDisruptionBudget", ()):
        namespace, name = place(raw)
        selector = (raw.get("spec") or {}).get("selector")
        # Without a selector it is for no pod.
        if namespace == pod.namespace and selector is not None and label_selectors.selects(selector, pod.labels):
            yield name
