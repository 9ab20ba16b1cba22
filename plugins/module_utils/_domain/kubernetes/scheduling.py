# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""On which nodes the scheduler may place a pod, by what the pod and the node say; not whether there is room."""

from __future__ import annotations

import typing as t

from ..matching.matching import Raw
from .label_selectors import holds
from .objects import labels_of

# What a node is at the moment; its condition Ready and `unschedulable` tell the same.
MOMENTARY = frozenset(
    f"node.kubernetes.io/{name}"
    for name in (
        "not-ready",
        "unreachable",
        "disk-pressure",
        "memory-pressure",
        "pid-pressure",
        "unschedulable",
        "network-unavailable",
    )
)
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"


def may_run(pod: Raw, node: Raw) -> bool:
    """``pod``: its spec. What the node is at the moment does not count."""
    labels, name = labels_of(node), str((node.get("metadata") or {}).get("name") or "")
    if pod.get("nodeName") not in (None, "", name):
        return False
    if any(labels.get(key) != value for key, value in (pod.get("nodeSelector") or {}).items()):
        return False
    if any(
        taint.get("effect") != "PreferNoSchedule"
        and taint.get("key") not in MOMENTARY
        and not tolerates(pod.get("tolerations") or (), taint)
        for taint in (node.get("spec") or {}).get("taints") or ()
    ):
        return False
    return affinity_lets(pod, node)


def affinity_lets(pod: Raw, node: Raw) -> bool:
    """Whether the affinity for nodes that a pod must have lets it onto the node."""
    labels, name = labels_of(node), str((node.get("metadata") or {}).get("name") or "")
    required = ((pod.get("affinity") or {}).get("nodeAffinity") or {}).get(_REQUIRED)
    return required is None or any(_fits(term, labels, name) for term in required.get("nodeSelectorTerms") or ())


def node_wanted(pod: Raw) -> str:
    """Name of the one node that a DaemonSet made a pod for; '' where that is none."""
    required = ((pod.get("affinity") or {}).get("nodeAffinity") or {}).get(_REQUIRED) or {}
    for term in required.get("nodeSelectorTerms") or ():
        for each in term.get("matchFields") or ():
            if (
                each.get("key") == "metadata.name"
                and each.get("operator") == "In"
                and len(each.get("values") or ()) == 1
            ):
                return str(each["values"][0])
    return ""


def _fits(term: Raw, labels: t.Mapping[str, str], name: str) -> bool:
    """A term that is empty fits no node."""
    expressions, fields = term.get("matchExpressions") or (), term.get("matchFields") or ()
    of_node = {"metadata.name": name}
    return bool(expressions or fields) and (
        all(_compares(each, labels) for each in expressions) and all(_compares(each, of_node) for each in fields)
    )


def _compares(expression: Raw, labels: t.Mapping[str, str]) -> bool:
    operator, values = expression.get("operator"), list(expression.get("values") or ())
    if operator not in ("Gt", "Lt"):
        return holds(expression, labels)
    try:
        mine, bound = int(labels[str(expression.get("key"))]), int(values[0])
    except (KeyError, IndexError, ValueError):
        return False
    return mine > bound if operator == "Gt" else mine < bound


def tolerates(tolerations: t.Iterable[Raw], taint: Raw) -> bool:
    return any(_matches(toleration, taint) for toleration in tolerations)


def _matches(toleration: Raw, taint: Raw) -> bool:
    if toleration.get("effect") and toleration["effect"] != taint.get("effect"):
        return False
    if toleration.get("operator") == "Exists":
        return not toleration.get("key") or toleration["key"] == taint.get("key")
    return toleration.get("key") == taint.get("key") and (toleration.get("value") or "") == (taint.get("value") or "")
