# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""What a diagnosis is made of: objects, events, logs, and Azure, as they were read, and what was not read."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import cached_property

from ..azure.federated import Credential
from ..installation import nmi, workload_identity_webhook
from ..installation.trusted_namespaces import Belief
from ..matching.inventory import Inventory
from ..matching.matching import Raw
from ..tokens.token import Verdict
from .azure import Azure
from .cause import Evidence
from .events import MIC_COMPONENT, Event
from .logs import Line, Log
from .shown import shown

MIC, NMI, WEBHOOK = "mic", "nmi", "webhook"
T = t.TypeVar("T")

# In place of the value of a Secret.
HIDDEN = "hidden"


@dataclass(frozen=True)
class Unread:
    """``what`` was not looked at, ``why``, and ``needs``: what it takes to look."""

    source: str
    what: str
    why: str
    needs: str


@dataclass(frozen=True)
class Component:
    """A Deployment or DaemonSet that is proved to be MIC or NMI, or is the Workload ID webhook, with its pods."""

    program: str
    workload: Raw
    pods: tuple[Raw, ...] = ()

    @property
    def namespace(self) -> str:
        return str(self.workload["metadata"].get("namespace", ""))

    @property
    def label(self) -> str:
        return f"{self.workload['kind']} {self.namespace}/{self.workload['metadata']['name']}"

    @property
    def version(self) -> tuple[int, ...]:
        return nmi.version(self.workload)


@dataclass(frozen=True)
class Asked:
    """A request for a token that was made now in the place of a pod, and the verdict over its answer.

    ``identities``: those that the pod is to get there, NAMESPACE/NAME of AzureIdentities.
    """

    namespace: str
    pod: str
    node: str
    verdict: Verdict
    identities: tuple[str, ...] = ()
    service_account: str = "default"

    @property
    def pod_label(self) -> str:
        return f"Pod {self.namespace}/{self.pod}"

    @property
    def label(self) -> str:
        return f"request in place of {self.pod_label} on Node {self.node}"

    @property
    def evidence(self) -> Evidence:
        return Evidence(self.label, self.verdict.message)


@dataclass(frozen=True)
class Observed:
    """``objects`` by kind, as listed; a kind that is missing was not read. ``now``: by the clock of the API server.

    Of Secrets, Endpoints, Leases, ConfigMaps and definitions there are only those that matter: what AzureIdentities
    name, with ``HIDDEN`` for each value that is not empty, the lock of MIC's leader, what nodes renew, the settings of
    kube-proxy and Cilium, and what is of pod identity. ``events``: None where they were not read. ``unknown``:
    labels of what may be there or not, because it could not be read. ``health``: what the NMI of a pod says of itself,
    by the pod's label, ``Active`` where it serves. ``asked``: where live requests were wanted. ``credentials``: the
    federated ones by the lower-case id of an identity, None where none were read; an identity that is missing was not
    read. ``from_files``: its lists may be of several moments, ``now`` the last of them.
    """

    inventory: Inventory
    objects: t.Mapping[str, t.Sequence[Raw]] = field(default_factory=dict)
    components: tuple[Component, ...] = ()
    logs: tuple[Log, ...] = ()
    events: tuple[Event, ...] | None = None
    azure: Azure | None = None
    now: datetime = datetime(1970, 1, 1, tzinfo=timezone.utc)
    unread: tuple[Unread, ...] = ()
    unknown: frozenset[str] = frozenset()
    health: t.Mapping[str, str] = field(default_factory=dict)
    asked: tuple[Asked, ...] = ()
    credentials: t.Mapping[str, t.Sequence[Credential]] | None = None
    from_files: bool = False

    def once(self, look: t.Callable[[Observed], T]) -> T:
        """What ``look`` finds in it, which is looked for once however many ask."""
        kept: dict[object, t.Any] = self.__dict__.setdefault("_kept", {})
        if look not in kept:
            kept[look] = look(self)
        return t.cast("T", kept[look])

    def of(self, program: str) -> tuple[Component, ...]:
        return tuple(one for one in self.components if one.program == program)

    def logs_of(self, program: str) -> t.Iterator[Log]:
        return (log for log in self.logs if log.program == program)

    @cached_property
    def events_of_mic(self) -> tuple[Event, ...]:
        """What MIC tells in events; nothing where the logs of its pods were read, which tell the same.

        Whoever may create events in a namespace writes any text, with MIC as its source too.
        """
        pods = {(one.namespace, str(pod["metadata"]["name"])) for one in self.of(MIC) for pod in one.pods}
        if pods and pods <= {(log.namespace, log.pod) for log in self.logs_of(MIC)}:
            return ()
        return tuple(one for one in self.events or () if one.component == MIC_COMPONENT)

    @cached_property
    def nodes(self) -> t.Mapping[str, Raw]:
        return {str(raw["metadata"]["name"]): raw for raw in self.objects.get("Node", ())}

    @cached_property
    def pods(self) -> t.Mapping[tuple[str, str], Raw]:
        """By namespace and name."""
        return {
            (str(raw["metadata"].get("namespace", "")), str(raw["metadata"].get("name", ""))): raw
            for raw in self.objects.get("Pod", ())
        }

    @cached_property
    def secrets(self) -> t.Mapping[tuple[str, str], t.Mapping[str, bool]] | None:
        """Those that AzureIdentities name, by namespace and name: their keys, and whether each is empty.

        None where they were not read. What is neither here nor ``unknown`` does not exist.
        """
        if "Secret" not in self.objects:
            return None
        return {
            (str(raw["metadata"].get("namespace", "")), str(raw["metadata"]["name"])): {
                str(key): not value for key, value in (raw.get("data") or {}).items()
            }
            for raw in self.objects["Secret"]
        }

    def looked_at(self, source: str) -> bool:
        return not any(one.source == source for one in self.unread)


def components(objects: t.Mapping[str, t.Sequence[Raw]], belief: Belief) -> tuple[Component, ...]:
    """MIC and NMI where ``belief`` holds, and the webhook that the cluster's configuration leads to."""
    found = []
    for kind, program in (("Deployment", MIC), ("DaemonSet", NMI)):
        for raw in objects.get(kind, ()):
            if nmi.runs_image(raw, program) and belief.holds(str(raw["metadata"].get("namespace", ""))):
                found.append(Component(program, _workload(kind, raw), _pods(raw, objects)))
    for raw in workload_identity_webhook.deployments(objects):
        found.append(Component(WEBHOOK, _workload("Deployment", raw), _pods(raw, objects)))
    return tuple(found)


def _workload(kind: str, raw: Raw) -> Raw:
    """With what a list or a file may leave out."""
    return {**raw, "kind": kind, "metadata": {"namespace": "", **raw["metadata"]}}


def _pods(workload: Raw, objects: t.Mapping[str, t.Sequence[Raw]]) -> tuple[Raw, ...]:
    """Those that its controller made: labels alone can be a tenant's."""
    owners = {str(workload["metadata"].get("uid", ""))}
    owners |= {str(each["metadata"].get("uid", "")) for each in objects.get("ReplicaSet", ()) if _owned(each, owners)}
    return tuple(each for each in objects.get("Pod", ()) if _owned(each, owners))


def _owned(raw: Raw, owners: t.Collection[str]) -> bool:
    references = raw["metadata"].get("ownerReferences") or ()
    return any(one.get("controller") and str(one.get("uid", "")) in owners for one in references if one.get("uid"))


def said_by(log: Log, line: Line) -> Evidence:
    """Evidence of a line: its text is escaped and cut."""
    return Evidence(log.label, shown(line.text), line.time)
