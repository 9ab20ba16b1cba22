# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""What a diagnosis reads beside the lists of the inventory: which logs and how much of each, which Secrets."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, replace
from datetime import datetime

from ..installation import nmi
from ..installation.chart_manifest import GROUP
from ..matching.inventory import Cluster
from ..matching.matching import SELECTOR_LABEL, Raw
from ..moments import moment
from .cause import LOGS
from .logs import Line, Log
from .observed import HIDDEN, NMI, WEBHOOK, Component, Unread

# With less of a log nothing can be told; bytes.
LEAST = 65_536
MOST = 4_000_000
_FILE = re.compile(
    r"(?:(?P<namespace>[a-z0-9-]+)[_/])?(?P<pod>[a-z0-9.-]+?)(?P<previous>[._-]previous)?(?:\.(?:log|txt))?"
)


@dataclass(frozen=True)
class Wanted:
    """A log that is to be read: of which container, and of how many bytes at most."""

    program: str
    namespace: str
    pod: str
    node: str
    container: str
    previous: bool = False
    bytes: int = MOST

    def log(self, lines: tuple[Line, ...], cut: bool = False) -> Log:
        return Log(self.program, self.namespace, self.pod, self.node, lines, self.previous, cut)

    @property
    def label(self) -> str:
        return self.log(()).label


def logs_wanted(
    components: t.Iterable[Component], total: int, since: datetime, first: t.Container[str] = ()
) -> tuple[tuple[Wanted, ...], tuple[Unread, ...]]:
    """The logs of all replicas, and what of them is left out so that they are no more than ``total`` bytes.

    The log of the run before a restart is wanted where it ended after ``since``. MIC and the webhook get half of the
    bytes. Of NMI those come first that are not well, then those on the nodes ``first``.
    """
    alone: list[Wanted] = []
    of_nodes: list[tuple[bool, bool, str, Wanted]] = []
    for component in components:
        for pod in component.pods:
            for wanted in _of_pod(component.program, pod, since):
                if component.program == NMI:
                    well = nmi.is_ready(pod) and not wanted.previous
                    of_nodes.append((well, wanted.node not in first, wanted.pod, wanted))
                else:
                    alone.append(wanted)
    several = [each[-1] for each in sorted(of_nodes, key=lambda each: each[:-1])]
    half = total if not several else total // 2
    here = alone[: max(1, half // LEAST)]
    left = total - half if alone else total
    there = several[: max(1, left // LEAST)]
    out = [*alone[len(here) :], *several[len(there) :]]
    unread: tuple[Unread, ...] = ()
    if out:
        needs = f"log_megabytes of at least {max(len(alone), len(several)) * 2 * LEAST // 1_000_000 + 1}"
        unread = (
            Unread(LOGS, f"{len(out)} logs of {_programs(out)}", "they are more than log_megabytes lets in", needs),
        )
    return (*_shared(here, half), *_shared(there, left)), unread


def _programs(wanted: t.Iterable[Wanted]) -> str:
    return " and ".join(sorted({each.program.upper() if each.program != WEBHOOK else WEBHOOK for each in wanted}))


def _shared(wanted: t.Sequence[Wanted], total: int) -> t.Iterator[Wanted]:
    return (replace(each, bytes=min(MOST, total // len(wanted))) for each in wanted)


def _of_pod(program: str, pod: Raw, since: datetime) -> t.Iterator[Wanted]:
    """Its container that runs the program; nothing of one that never began."""
    metadata, spec = pod["metadata"], pod.get("spec") or {}
    names = {str(each.get("name", "")) for each in spec.get("containers") or () if _runs(each, program)}
    for status in (pod.get("status") or {}).get("containerStatuses") or ():
        name = str(status.get("name", ""))
        if name not in names:
            continue
        place = (
            program,
            str(metadata.get("namespace", "")),
            str(metadata["name"]),
            str(spec.get("nodeName", "")),
            name,
        )
        state = status.get("state") or {}
        if "running" in state or "terminated" in state or status.get("restartCount"):
            yield Wanted(*place)
        ended = moment(str(((status.get("lastState") or {}).get("terminated") or {}).get("finishedAt") or ""))
        if status.get("restartCount") and ended and ended >= since:
            yield Wanted(*place, previous=True)


def _runs(container: Raw, program: str) -> bool:
    return nmi.runs_image({"spec": {"template": {"spec": {"containers": [container]}}}}, program)


def first_nodes(cluster: Cluster, namespace: str, pod: str) -> frozenset[str]:
    """The nodes of the pods that a diagnosis is about; of the whole cluster those of pods that want an identity."""
    return frozenset(
        each.node
        for each in cluster.pods
        if each.node
        and (each.namespace == namespace if namespace else SELECTOR_LABEL in each.labels)
        and (not pod or each.name == pod)
    )


def secrets_named(objects: t.Mapping[str, t.Sequence[Raw]]) -> tuple[tuple[str, str], ...]:
    """Namespaces and names of the Secrets in which a client secret or certificate is, as AzureIdentities say.

    Those of such a name in the namespace of the AzureIdentity too.
    """
    found = set()
    for raw in objects.get("AzureIdentity", ()):
        spec = raw.get("spec") or {}
        place = spec.get("clientPassword")
        if isinstance(place, dict) and spec.get("type") in (1, 2) and place.get("name"):
            own = str(raw["metadata"].get("namespace", ""))  # where it is, when the namespace is the wrong one
            found |= {(str(place.get("namespace") or own), str(place["name"])), (own, str(place["name"]))}
    return tuple(sorted(found))


def hidden(secret: Raw) -> Raw:
    """The names of its keys, and whether each has a value."""
    metadata = {key: secret["metadata"].get(key, "") for key in ("namespace", "name")}
    data = {str(key): HIDDEN if value else "" for key, value in (secret.get("data") or {}).items()}
    return {"kind": "Secret", "metadata": metadata, "type": secret.get("type"), "data": data}


def of_pod_identity(definition: Raw) -> bool:
    return str((definition.get("spec") or {}).get("group", "")) == GROUP


def log_of_file(name: str, components: t.Iterable[Component]) -> Wanted | None:
    """Whose log a file holds that is called ``POD.log``, ``NAMESPACE_POD.log`` or ``POD.previous.log``.

    None where no pod of MIC, NMI or the webhook is called so, or several are.
    """
    found = _FILE.fullmatch(name)
    if not found:
        return None
    fitting = [
        Wanted(
            one.program, place, called, str((pod.get("spec") or {}).get("nodeName", "")), "", bool(found["previous"])
        )
        for one in components
        for pod in one.pods
        for place, called in ((str(pod["metadata"].get("namespace", "")), str(pod["metadata"]["name"])),)
        if called == found["pod"] and found["namespace"] in (None, place)
    ]
    return fitting[0] if len(fitting) == 1 else None


def last_moment(objects: t.Mapping[str, t.Sequence[Raw]], otherwise: datetime) -> datetime:
    """When objects were written into files: the last time in them that no tenant writes; at most ``otherwise``."""
    told = [str(raw["metadata"].get("creationTimestamp") or "") for several in objects.values() for raw in several]
    for node in objects.get("Node", ()):
        conditions = (node.get("status") or {}).get("conditions") or ()
        told += [str(each.get("lastHeartbeatTime") or "") for each in conditions]
    for lease in objects.get("Lease", ()):
        if lease["metadata"].get("namespace") == "kube-node-lease":
            told.append(str((lease.get("spec") or {}).get("renewTime") or ""))
    return min(max((when for when in map(moment, told) if when), default=otherwise), otherwise)
