# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Assignments that MIC has not made, not finished or not removed, and for which it had little time until now."""

from __future__ import annotations

import typing as t
from datetime import timedelta

from ..kubernetes.objects import labels_of
from ..kubernetes.sources import place
from ..matching.inventory import full_name
from ..matching.matching import SELECTOR_LABEL, Raw
from ..moments import moment, written
from .observed import MIC, Observed

# NMI lets a pod wait for so long until it refuses it.
WAITS = timedelta(seconds=100)


def young(observed: Observed) -> t.Mapping[str, str]:
    """Since when MIC can make, finish or remove them, by the labels of findings; only those of ``WAITS``."""
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
    begun = [str((pod.get("status") or {}).get("startTime") or "") for one in observed.of(MIC) for pod in one.pods]
    for raw in observed.objects.get("AzureAssignedIdentity", ()):
        of = _pod(raw)
        # The end of a pod is written nowhere; it is at most as long ago as what came in its place.
        ended = (*begun, *_instead(observed, of[0], raw)) if of not in observed.pods else ()
        _keep(found, f"AzureAssignedIdentity {'/'.join(place(raw))}", (_made(raw), *ended), observed)
    return found


def _pod(assigned: Raw) -> tuple[str, str]:
    spec = assigned.get("spec") or {}
    return str(spec.get("podNamespace") or ""), str(spec.get("pod") or "")


def _instead(observed: Observed, namespace: str, assigned: Raw) -> t.Iterator[str]:
    """When pods of the namespace that the same binding selects came."""
    spec = ((assigned.get("spec") or {}).get("azureBindingRef") or {}).get("spec") or {}
    for (of, _name), pod in observed.pods.items():
        if of == namespace and spec.get("selector") and labels_of(pod).get(SELECTOR_LABEL) == spec["selector"]:
            yield _made(pod)


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
