# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The node pools that the pods of a workload may come to: what is right on one may be closed on another."""

from __future__ import annotations

import typing as t

from ..installation.nmi import is_ready
from ..kubernetes.objects import labels_of
from ..kubernetes.scheduling import may_run
from ..matching.matching import Raw, scale_set
from ..moments import moment

_LABELS = ("kubernetes.azure.com/agentpool", "agentpool")


def nodes_to_try(pod: Raw, nodes: t.Iterable[Raw]) -> tuple[str, ...]:
    """One of each pool where the pod could be placed now; ``pod``: the spec of a template.

    It is the youngest, which is the least likely to be full. A pool without a node that is Ready is none of them.
    """
    found: dict[str, Raw] = {}
    for node in sorted(nodes, key=_age):
        if _takes_pods(node) and may_run(pod, node):
            found.setdefault(pool(node), node)
    return tuple(str(found[name]["metadata"]["name"]) for name in sorted(found))


def pool(node: Raw) -> str:
    """Its name, or what stands for it where the node has no such label: its scale set."""
    labels = labels_of(node)
    named = next((labels[key] for key in _LABELS if labels.get(key)), "")
    return named or scale_set((node.get("spec") or {}).get("providerID") or node["metadata"]["name"])


def _takes_pods(node: Raw) -> bool:
    labels = labels_of(node)
    of_linux = labels.get("kubernetes.io/os", "linux") == "linux" and labels.get("type") != "virtual-kubelet"
    return of_linux and is_ready(node) and not (node.get("spec") or {}).get("unschedulable")


def _age(node: Raw) -> tuple[float, str]:
    """The youngest first."""
    made = moment(str((node.get("metadata") or {}).get("creationTimestamp") or ""))
    return -(made.timestamp() if made else 0.0), str(node["metadata"]["name"])
