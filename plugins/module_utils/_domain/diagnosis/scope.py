# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""What a diagnosis is about: the cluster, a namespace, a workload or a pod."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import Failure
from ..kubernetes.workloads import Workload
from .observed import Observed


@dataclass(frozen=True)
class Scope:
    """All empty: the whole cluster. ``workload``: its name, or kind and name with a slash between."""

    namespace: str = ""
    workload: str = ""
    pod: str = ""

    @classmethod
    def parse(cls, namespace: str | None, workload: str | None, pod: str | None) -> Scope:
        """A pod as ``NAMESPACE/NAME``, a workload as that or ``NAMESPACE/KIND/NAME``; with a namespace without it."""
        what, given, most = ("pod", pod, 1) if pod else ("workload", workload, 2)
        if not given:
            return cls(namespace or "")
        place, parts = namespace or "", given.split("/")
        if not place or (len(parts) > most and parts[0] == place):
            place, parts = parts[0], parts[1:]
        if not place or not 1 <= len(parts) <= most or not all(parts):
            shape = "NAMESPACE/NAME" + ("" if pod else " or NAMESPACE/KIND/NAME")
            raise Failure(f"The {what} {given!r} is not named as {shape}: correct it, or name the namespace beside it.")
        return cls(place, pod=parts[0]) if pod else cls(place, workload="/".join(parts))

    @property
    def label(self) -> str:
        if self.pod:
            return f"Pod {self.namespace}/{self.pod}"
        if self.workload:
            return f"workload {self.namespace}/{self.workload}"
        return f"Namespace {self.namespace}" if self.namespace else "the cluster"


CLUSTER = Scope()


def workload_in(observed: Observed, scope: Scope) -> Workload:
    """The one that ``scope`` names, or of which its pod is. Raises Failure where there is none."""
    kind, _slash, name = scope.workload.rpartition("/")
    for one in observed.inventory.cluster.workloads:
        if one.pod.namespace != scope.namespace:
            continue
        if scope.pod:
            if any(pod.name == scope.pod for pod in one.pods):
                return one
        elif one.name == name and kind.lower() in ("", one.kind.lower()):
            return one
    raise Failure(f"There is no {scope.label}: name it as NAMESPACE/NAME, as kubectl get shows it.")
