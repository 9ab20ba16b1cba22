# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""What of a cluster Azure is asked about: which identities pods need on which nodes, and as whom MIC works."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ..azure import addon, arm_id, protected_identities
from ..matching.matching import ASSIGNED, STANDARD, USER_ASSIGNED, Identity, Pod, Raw
from .observed import MIC, Component, Observed

# What the chart gives MIC where it is to log in by itself and not as its node.
_OWN_LOGIN = frozenset({"CLIENT_ID", "USER_ASSIGNED_MSI_CLIENT_ID"})


@dataclass(frozen=True)
class Need:
    """A managed identity that a pod needs on the machine of its node.

    ``assigned``: the state of its AzureAssignedIdentity, '' where there is none or that is not known; None where MIC
    assigns nothing at all. ``name`` is that of the AzureAssignedIdentity, ``place`` its namespace where there is one.
    ``since``: when that, or else the pod, was made, in RFC 3339; '' where that is not known.
    """

    identity: Identity
    pod: Pod
    provider_id: str
    assigned: str | None = None
    name: str = ""
    place: str = ""
    since: str = ""

    @property
    def resource_id(self) -> str:
        return arm_id.normal(self.identity.resource_id)

    @property
    def identity_label(self) -> str:
        return f"AzureIdentity {self.identity.namespace}/{self.identity.name}"

    @property
    def labels(self) -> frozenset[str]:
        """Of what suffers where it is not met: the pod, and the assignment under each of its labels."""
        found = {f"Pod {self.pod.namespace}/{self.pod.name}"}
        if self.name:
            found |= {f"AzureAssignedIdentity {self.name}", f"AzureAssignedIdentity {self.place}/{self.name}"}
        return frozenset(found)

    @property
    def namespaces(self) -> frozenset[str]:
        return frozenset({self.pod.namespace, self.identity.namespace})

    @property
    def is_assigned(self) -> bool:
        """Whether MIC has done what it does for it, or is not asked to."""
        return self.assigned is None or self.assigned == ASSIGNED


def needs(observed: Observed) -> tuple[Need, ...]:
    """Those of pods that run or will, on nodes that are known."""
    inventory = observed.inventory
    found: list[Need] = []
    made = {key: time for kind in ("Pod", "AzureAssignedIdentity") for key, time in _made(observed, kind)}
    if inventory.cluster.rules.mode == STANDARD:
        for one in inventory.computed:
            if one.identity.type == USER_ASSIGNED and one.pod.lives:
                live = inventory.assigned_by_name.get(one.name, [])
                where = live[0].namespace if live else one.namespace
                state = live[0].state if live else ""
                since = made.get(("AzureAssignedIdentity", where, one.name))
                since = since or made.get(("Pod", one.pod.namespace, one.pod.name), "")
                found.append(Need(one.identity, one.pod, _provider(observed, one.pod), state, one.name, where, since))
        return tuple(found)
    for pod in inventory.cluster.pods:
        if not pod.lives or not pod.node or pod.host_network or inventory.answers.exceptions(pod):
            continue
        for match in inventory.matching.matches(pod.namespace, pod.selector):
            chosen = (pair.identity for pair in match.choices if pair.identity.type == USER_ASSIGNED)
            found.extend(Need(identity, pod, _provider(observed, pod)) for identity in chosen)
    return tuple(found)


def _made(observed: Observed, kind: str) -> t.Iterator[tuple[tuple[str, str, str], str]]:
    for raw in observed.objects.get(kind, ()):
        metadata = raw["metadata"]
        place, name = str(metadata.get("namespace", "")), str(metadata.get("name", ""))
        yield (kind, place, name), str(metadata.get("creationTimestamp") or "")


def provider_id(node: Raw) -> str:
    return str((node.get("spec") or {}).get("providerID") or "")


def _provider(observed: Observed, pod: Pod) -> str:
    return provider_id(observed.nodes.get(pod.node, {}))


def identities(observed: Observed, cluster: Raw) -> tuple[str, ...]:
    """Ids of the managed identities to look at, once each: of the nodes, the add-on, and AzureIdentities.

    What pods need comes first. Whoever may write AzureIdentities names anything, so that what can be no id is left out.
    """
    told = [kubelet(cluster).get("resourceId"), *(one["identity"] for one in addon.view(cluster).get("identities", ()))]
    told += [need.identity.resource_id for need in needs(observed)]
    told += [one.resource_id for one in observed.inventory.cluster.identities if one.type == USER_ASSIGNED]
    ids = {arm_id.normal(one): one for one in reversed(told) if one and arm_id.is_user_assigned_identity(one.strip())}
    return tuple(one.strip() for one in reversed(ids.values()))


def kubelet(cluster: Raw) -> t.Mapping[str, str]:
    """What a cluster tells of the identity of its nodes; {} where it has none."""
    return ((cluster.get("properties") or {}).get("identityProfile") or {}).get("kubeletidentity") or {}


def nodes_identities(cluster: Raw) -> frozenset[str]:
    """Normal ids of those that AKS itself gives to the nodes."""
    return frozenset(map(arm_id.normal, protected_identities.of_nodes(cluster))) if cluster else frozenset()


def mic_writes(observed: Observed) -> bool:
    """Whether MIC is what brings identities to the nodes."""
    return observed.inventory.cluster.rules.mode == STANDARD


def logs_in_by_itself(mic: Component) -> bool:
    """Whether MIC has a credential of its own, so that the identity of its node says nothing of what it may do."""
    template = ((mic.workload.get("spec") or {}).get("template") or {}).get("spec") or {}
    return any(
        variable.get("name") in _OWN_LOGIN
        for container in template.get("containers") or ()
        for variable in container.get("env") or ()
    )


def mic_is_the_node(observed: Observed) -> bool:
    """Whether MIC works with the identity of its node, as it does unless it is told otherwise."""
    return not any(map(logs_in_by_itself, observed.of(MIC)))
