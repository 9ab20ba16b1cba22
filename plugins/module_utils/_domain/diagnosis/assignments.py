# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Assignments that MIC has not made or not finished, and for which it had little time until now."""

from __future__ import annotations

import typing as t
from datetime import timedelta

from ..kubernetes.sources import place
from ..matching.inventory import full_name
from ..matching.matching import Raw
from ..moments import moment, written
from .observed import Observed

# NMI lets a pod wait for so long until it refuses it.
WAITS = timedelta(seconds=100)


def young(observed: Observed) -> t.Mapping[str, str]:
    """Since when MIC can make or finish them, by their labels as findings have them; only those of ``WAITS``."""
    found: dict[str, str] = {}
    made = {
        f"{kind} {'/'.join(place(raw))}": _made(raw)
        for kind in ("AzureIdentity", "AzureIdentityBinding")
        for raw in observed.objects.get(kind, ())
    }
    for name, rivals in observed.inventory.computed_by_name.items():
        for one in rivals[:1]:
            pod = observed.pods.get((one.pod.namespace, one.pod.name), {})
            identity, binding = (
                f"AzureIdentity {full_name(one.identity)}",
                f"AzureIdentityBinding {full_name(one.binding)}",
            )
            times = (_scheduled(pod), made.get(identity, ""), made.get(binding, ""))
            _keep(found, f"AzureAssignedIdentity {name}", times, observed)
    for raw in observed.objects.get("AzureAssignedIdentity", ()):
        _keep(found, f"AzureAssignedIdentity {'/'.join(place(raw))}", (_made(raw),), observed)
    return found


def _keep(found: dict[str, str], label: str, times: t.Iterable[str], observed: Observed) -> None:
    since = max((when for when in map(moment, times) if when), default=None)
    if since and observed.now - since < WAITS:
        found[label] = written(since)


def _made(raw: Raw) -> str:
    return str((raw.get("metadata") or {}).get("creationTimestamp") or "")


def _scheduled(pod: Raw) -> str:
    """When a pod came to its node."""
    for each in (pod.get("status") or {}).get("conditions") or ():
        if each.get("type") == "PodScheduled" and each.get("status") == "True":
            return str(each.get("lastTransitionTime") or "")
    return _made(pod)
