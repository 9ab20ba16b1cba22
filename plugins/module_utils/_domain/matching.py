# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Which pod gets which identity, by the rules of MIC 1.8 in standard mode.

MIC keeps its assignments by name alone, so two identities of one name that match one pod give it one of them only:
the first by namespace and name of the binding.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from .names import RESOURCE_ID

SELECTOR_LABEL = "aadpodidbinding"
BEHAVIOR_ANNOTATION = "aadpodidentity.k8s.io/Behavior"
NAMESPACED = "namespaced"
USER_ASSIGNED = 0

Raw = t.Mapping[str, t.Any]


@dataclass(frozen=True)
class Pod:
    namespace: str
    name: str
    labels: t.Mapping[str, str]
    node: str = ""
    phase: str = "Running"
    deleting: bool = False

    @classmethod
    def parse(cls, raw: Raw) -> Pod:
        metadata, spec, status = raw.get("metadata") or {}, raw.get("spec") or {}, raw.get("status") or {}
        return cls(
            namespace=metadata.get("namespace", ""),
            name=metadata.get("name", ""),
            labels=metadata.get("labels") or {},
            node=spec.get("nodeName", ""),
            phase=status.get("phase", ""),
            deleting=bool(metadata.get("deletionTimestamp")),
        )

    @property
    def selector(self) -> str:
        return self.labels.get(SELECTOR_LABEL, "")

    @property
    def lives(self) -> bool:
        """Whether the pod still runs or will, as opposed to one that is going or has ended."""
        return not self.deleting and self.phase not in ("Succeeded", "Failed")


def template_selector(raw: Raw) -> str:
    """The selector of the pods that an object such as a Deployment or a CronJob makes; '' where it will make none."""
    status = raw.get("status") or {}
    if (raw.get("metadata") or {}).get("ownerReferences") or status.get("completionTime"):
        return ""  # its owner speaks for it; a Job that has ended
    spec = raw.get("spec") or {}
    spec = (spec.get("jobTemplate") or {}).get("spec") or spec
    labels = ((spec.get("template") or {}).get("metadata") or {}).get("labels") or {}
    return str(labels.get(SELECTOR_LABEL, ""))


@dataclass(frozen=True)
class Identity:
    namespace: str
    name: str
    type: int = USER_ASSIGNED
    resource_id: str = ""
    client_id: str = ""
    namespaced: bool = False

    @classmethod
    def parse(cls, raw: Raw) -> Identity:
        metadata, spec = raw.get("metadata") or {}, raw.get("spec") or {}
        return cls(
            namespace=metadata.get("namespace", ""),
            name=metadata.get("name", ""),
            type=spec.get("type") or USER_ASSIGNED,
            resource_id=spec.get("resourceID", ""),
            client_id=spec.get("clientID", ""),
            namespaced=(metadata.get("annotations") or {}).get(BEHAVIOR_ANNOTATION) == NAMESPACED,
        )


@dataclass(frozen=True)
class Binding:
    namespace: str
    name: str
    identity: str
    selector: str

    @classmethod
    def parse(cls, raw: Raw) -> Binding:
        metadata, spec = raw.get("metadata") or {}, raw.get("spec") or {}
        return cls(
            namespace=metadata.get("namespace", ""),
            name=metadata.get("name", ""),
            identity=spec.get("azureIdentity", ""),
            selector=spec.get("selector", ""),
        )


@dataclass(frozen=True)
class Assignment:
    """One AzureAssignedIdentity that MIC wants; ``namespace`` is where it keeps it."""

    name: str
    namespace: str
    pod: Pod
    identity: Identity
    binding: Binding


def assignments(
    pods: t.Iterable[Pod],
    bindings: t.Iterable[Binding],
    identities: t.Iterable[Identity],
    *,
    force_namespaced: bool = False,
) -> tuple[Assignment, ...]:
    """Every assignment that MIC wants for these objects."""
    known = {(identity.namespace, identity.name): identity for identity in identities if _acceptable(identity)}
    by_selector: dict[str, list[Binding]] = {}
    for binding in sorted(bindings, key=lambda b: (b.namespace, b.name)):
        by_selector.setdefault(binding.selector, []).append(binding)
    wanted: dict[str, Assignment] = {}
    for pod in pods:
        if not pod.node or not pod.selector:
            continue
        for binding in by_selector.get(pod.selector, ()):
            identity = known.get((binding.namespace, binding.identity))
            if identity is None:
                continue
            confined = force_namespaced or identity.namespaced
            if confined and identity.namespace != pod.namespace:
                continue
            name = f"{pod.name}-{pod.namespace}-{identity.name}"
            home = identity.namespace if confined else "default"
            wanted.setdefault(name, Assignment(name, home, pod, identity, binding))
    return tuple(wanted.values())


def unheld(
    newcomer: Pod,
    pods: t.Iterable[Pod],
    bindings: t.Sequence[Binding],
    identities: t.Sequence[Identity],
    neighbours: t.Container[str],
) -> tuple[Identity, ...]:
    """The identities that MIC would take from a scale set when ``newcomer`` goes, because no other pod holds them.

    ``neighbours`` are the nodes of its scale set. MIC looks for another assignment of the same client id on the scale
    set, for a pod of another name. Whether it is forced into namespaced mode is not known here, so both are tried.
    """
    others = [pod for pod in pods if pod.lives and pod.name != newcomer.name and pod.node in neighbours]
    lost: dict[tuple[str, str], Identity] = {}
    for forced in (False, True):
        held = {
            entry.identity.client_id
            for entry in assignments(others, bindings, identities, force_namespaced=forced)
            if entry.identity.type == USER_ASSIGNED
        }
        for entry in assignments([newcomer], bindings, identities, force_namespaced=forced):
            if entry.identity.type == USER_ASSIGNED and entry.identity.client_id not in held:
                lost[(entry.identity.namespace, entry.identity.name)] = entry.identity
    return tuple(lost.values())


def scale_set(provider_id: str) -> str:
    """The scale set, or else the machine, that a node's provider id names; compared as Azure does, without case."""
    marker = "/virtualmachines/"
    lowered = provider_id.lower()
    return lowered.rpartition(marker)[0] if "/virtualmachinescalesets/" in lowered else lowered


def _acceptable(identity: Identity) -> bool:
    return identity.type != USER_ASSIGNED or RESOURCE_ID.search(identity.resource_id) is not None
