# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Which pods of a node stand against a new system of it."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

Raw = t.Mapping[str, t.Any]

_MIRROR = "kubernetes.io/config.mirror"


@dataclass(frozen=True)
class Remaining:
    """A pod that has not ended. ``bare``: no controller would make it anew."""

    name: str
    bare: bool


def remaining(pods: t.Iterable[Raw], *, ready: bool, now: str) -> tuple[Remaining, ...]:
    """Those that a drain ends and that have not ended; pods of DaemonSets and of files of the node stay.

    The kubelet of a node that is not Ready ends none; there it is enough that the API server let them go and that their
    time is over. ``now``: as Kubernetes writes a time.
    """
    found = []
    for pod in pods:
        metadata = pod["metadata"]
        owners, deletion = metadata.get("ownerReferences") or (), metadata.get("deletionTimestamp")
        ended = (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")
        stays = _MIRROR in (metadata.get("annotations") or {}) or any(each["kind"] == "DaemonSet" for each in owners)
        let_go = deletion is not None and not ready and deletion <= now
        if not (ended or stays or let_go):
            name = f"{metadata['namespace']}/{metadata['name']}"
            found.append(Remaining(name, bare=not owners and deletion is None))
    return tuple(found)
