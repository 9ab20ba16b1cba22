# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Which pod gets which identity: what MIC assigns.

MIC keeps its assignments by name alone: pod, namespace and identity, joined by hyphens. Two identities of one name that
match one pod give it one of them only, and two pods may come to one name. What NMI answers is in ``nmi_answers``.
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, replace

from ..kubernetes.jobs import has_ended

SELECTOR_LABEL = "aadpodidbinding"
BEHAVIOR_ANNOTATION = "aadpodidentity.k8s.io/Behavior"
NAMESPACED = "namespaced"
USER_ASSIGNED, SERVICE_PRINCIPAL, CERTIFICATE = 0, 1, 2
STANDARD, MANAGED = "standard", "managed"
CREATED, ASSIGNED = "Created", "Assigned"

Raw = t.Mapping[str, t.Any]

_DEFAULT_NAMESPACE = "default"
# MIC's own pattern: less strict than what this collection writes.
_RESOURCE_ID = re.compile(
    r"/subscriptions/(.+?)/resourcegroups/(.+?)/providers/Microsoft.ManagedIdentity/userAssignedIdentities/(.+)",
    re.IGNORECASE,
)
_LONGEST_NAME, _LONGEST_LABEL = 253, 63  # of an object; of a label's value, which the node's name becomes


@dataclass(frozen=True)
class Rules:
    """What of an installation decides who gets what: mode, flags, and the version of MIC and NMI."""

    mode: str = STANDARD
    force_namespaced: bool = False
    version: tuple[int, ...] = (1, 8, 17)
    mic_namespace: str = "default"
    retry_after: bool = False

    @property
    def validates_resource_ids(self) -> bool:
        return self.mode == STANDARD and self.version >= (1, 6, 0)

    @property
    def first_binding_wins(self) -> bool:
        """Among identities of one name; earlier it is any of them."""
        return self.version >= (1, 8, 2)

    @property
    def resource_id_parameters(self) -> tuple[str, ...]:
        """The parameters by which a request may name a resource id, the one that wins first."""
        return tuple(
            name for name, since in (("msi_res_id", (1, 6, 2)), ("mi_res_id", (1, 8, 15))) if self.version >= since
        )

    @property
    def not_found(self) -> int:
        """The status where a pod has no identity."""
        if self.retry_after:
            return 503
        return 404 if self.version >= (1, 6, 1) else 403

    @property
    def no_token(self) -> int:
        """The status where NMI asks nobody for a token, because it cannot."""
        return 503 if self.version >= (1, 8, 6) else 403

    def confines(self, identity: Identity) -> bool:
        """Whether the identity is for pods of its own namespace only."""
        return self.force_namespaced or self.mode == MANAGED or identity.namespaced

    def accepts(self, identity: Identity) -> bool:
        """Whether the identity is there for MIC at all."""
        return (
            not self.validates_resource_ids
            or identity.type != USER_ASSIGNED
            or _RESOURCE_ID.search(identity.resource_id) is not None
        )


@dataclass(frozen=True)
class Pod:
    namespace: str
    name: str
    labels: t.Mapping[str, str]
    node: str = ""
    phase: str = "Running"
    deleting: bool = False
    ip: str = ""
    host_network: bool = False
    replica_set: str = ""
    service_account: str = "default"
    controller: tuple[str, str] = ("", "")

    @classmethod
    def parse(cls, raw: Raw) -> Pod:
        metadata, spec, status = raw.get("metadata") or {}, raw.get("spec") or {}, raw.get("status") or {}
        owners = metadata.get("ownerReferences") or ()
        return cls(
            namespace=metadata.get("namespace", ""),
            name=metadata.get("name", ""),
            labels=metadata.get("labels") or {},
            node=spec.get("nodeName", ""),
            phase=status.get("phase", ""),
            deleting=bool(metadata.get("deletionTimestamp")),
            ip=status.get("podIP", ""),
            host_network=bool(spec.get("hostNetwork")),
            replica_set=next(
                (str(o.get("name", "")) for o in owners if str(o.get("kind")).lower() == "replicaset"), ""
            ),
            service_account=spec.get("serviceAccountName") or "default",
            controller=controller(raw),
        )

    @property
    def place(self) -> str:
        return f"{self.namespace}/{self.name}"

    @property
    def label(self) -> str:
        return f"Pod {self.place}"

    @property
    def selector(self) -> str:
        return self.labels.get(SELECTOR_LABEL, "")

    @property
    def lives(self) -> bool:
        """Whether the pod still runs or will, as opposed to one that is going or has ended."""
        return not self.deleting and not self.ended

    @property
    def ended(self) -> bool:
        """Whether all its containers have ended for good."""
        return self.phase in ("Succeeded", "Failed")


def controller(raw: Raw) -> tuple[str, str]:
    """Kind and name of what controls an object; empty where nothing does."""
    owners = (raw.get("metadata") or {}).get("ownerReferences") or ()
    return next(((str(o.get("kind", "")), str(o.get("name", ""))) for o in owners if o.get("controller")), ("", ""))


# Kinds of which all that make pods by others are looked at themselves.
_MAKERS = frozenset(("Deployment", "CronJob"))


def pod_template(raw: Raw) -> Raw:
    """The template of the pods that an object such as a Deployment or a CronJob makes."""
    spec = raw.get("spec") or {}
    spec = (spec.get("jobTemplate") or {}).get("spec") or spec
    return spec.get("template") or {}


def template_labels(raw: Raw) -> t.Mapping[str, str]:
    """The labels of the pods that such an object makes; none where it will make none."""
    owners = {str(each.get("kind", "")) for each in (raw.get("metadata") or {}).get("ownerReferences") or ()}
    if owners.intersection(_MAKERS) or (raw.get("status") or {}).get("completionTime") or has_ended(raw):
        return {}  # its owner speaks for it; a Job that has ended
    return (pod_template(raw).get("metadata") or {}).get("labels") or {}


def template_selector(raw: Raw) -> str:
    """The selector of the pods that such an object makes; '' where it will make none."""
    return str(template_labels(raw).get(SELECTOR_LABEL, ""))


@dataclass(frozen=True)
class Identity:
    """``secret``: namespace and name of that with the credential of a service principal, '' where none is named."""

    namespace: str
    name: str
    type: int = USER_ASSIGNED
    resource_id: str = ""
    client_id: str = ""
    namespaced: bool = False
    behavior: str = ""
    tenant_id: str = ""
    auxiliary_tenants: tuple[str, ...] = ()
    secret: str = ""

    @classmethod
    def parse(cls, raw: Raw) -> Identity:
        metadata, spec = raw.get("metadata") or {}, raw.get("spec") or {}
        behavior = (metadata.get("annotations") or {}).get(BEHAVIOR_ANNOTATION, "")
        return cls(
            namespace=metadata.get("namespace", ""),
            name=metadata.get("name", ""),
            type=spec.get("type") or USER_ASSIGNED,
            resource_id=spec.get("resourceID", ""),
            client_id=spec.get("clientID", ""),
            namespaced=behavior == NAMESPACED,
            behavior=behavior,
            tenant_id=str(spec.get("tenantID") or ""),
            auxiliary_tenants=_texts(spec.get("auxiliaryTenantIDs")),
            secret=_place(spec.get("clientPassword")),
        )


def _texts(raw: object) -> tuple[str, ...]:
    return tuple(map(str, raw)) if isinstance(raw, list) else ()


def _place(raw: object) -> str:
    """Namespace and name of a Secret that is referred to."""
    return "/".join(str(raw[key]) for key in ("namespace", "name") if raw.get(key)) if isinstance(raw, dict) else ""


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
class AssignedIdentity:
    """An AzureAssignedIdentity as it is; ``identity`` is the copy of the AzureIdentity that MIC put into it."""

    namespace: str
    name: str
    pod_namespace: str
    pod: str
    node: str
    identity: Identity
    binding: Binding
    state: str = ASSIGNED
    deleting: bool = False

    @classmethod
    def parse(cls, raw: Raw) -> AssignedIdentity:
        metadata, spec = raw.get("metadata") or {}, raw.get("spec") or {}
        return cls(
            namespace=metadata.get("namespace", ""),
            name=metadata.get("name", ""),
            pod_namespace=spec.get("podNamespace", ""),
            pod=spec.get("pod", ""),
            node=spec.get("nodename", ""),
            identity=Identity.parse(spec.get("azureIdentityRef") or {}),
            binding=Binding.parse(spec.get("azureBindingRef") or {}),
            state=(raw.get("status") or {}).get("status", ""),
            deleting=bool(metadata.get("deletionTimestamp")),
        )


@dataclass(frozen=True)
class Pair:
    """A binding with the identity that it names."""

    binding: Binding
    identity: Identity


@dataclass(frozen=True)
class Match:
    """The pairs of one identity name that match a pod: those that MIC may take, and those that it never takes."""

    choices: tuple[Pair, ...]
    shadowed: tuple[Pair, ...] = ()


@dataclass(frozen=True)
class Assignment:
    """One AzureAssignedIdentity that MIC wants; ``namespace`` is where it creates it.

    Several of one name are not ``certain``: MIC makes one of them, which may be another one at every turn.
    """

    name: str
    namespace: str
    pod: Pod
    identity: Identity
    binding: Binding
    certain: bool = True


class Matching:
    """Bindings and identities, indexed by that with which pods are matched.

    ``nodes``: the nodes that exist, where that is known; MIC makes no assignment for another one.
    """

    def __init__(
        self,
        bindings: t.Iterable[Binding],
        identities: t.Iterable[Identity],
        rules: Rules = Rules(),
        nodes: t.Container[str] | None = None,
    ) -> None:
        self.rules = rules
        self._nodes = nodes
        self._everywhere: dict[str, list[Pair]] = {}
        self._confined: dict[tuple[str, str], list[Pair]] = {}
        self._found: dict[tuple[str, str], tuple[Match, ...]] = {}
        known = {(identity.namespace, identity.name): identity for identity in identities if rules.accepts(identity)}
        for binding in bindings:
            identity = known.get((binding.namespace, binding.identity))
            if identity is None:
                continue
            pair = Pair(binding, identity)
            if rules.confines(identity):
                self._confined.setdefault((binding.namespace, binding.selector), []).append(pair)
            else:
                self._everywhere.setdefault(binding.selector, []).append(pair)

    def matches(self, namespace: str, selector: str) -> tuple[Match, ...]:
        """What pods of a namespace match with a value of the label, in MIC's order."""
        if not selector and self.rules.mode == STANDARD:
            return ()
        key = (namespace, selector)
        if key not in self._found:
            self._found[key] = self._match(key)
        return self._found[key]

    def assignments(self, pods: t.Iterable[Pod]) -> tuple[Assignment, ...]:
        """Every assignment that MIC wants for these pods."""
        if self.rules.mode == MANAGED:
            return ()
        found: dict[str, list[Assignment]] = {}
        for pod in pods:
            if not pod.node or (self._nodes is not None and pod.node not in self._nodes):
                continue
            for match in self.matches(pod.namespace, pod.selector):
                for pair in match.choices:
                    name = assignment_name(pod, pair.identity)
                    if not unwritable(name, pod.node):
                        home = pair.identity.namespace if self.rules.confines(pair.identity) else _DEFAULT_NAMESPACE
                        found.setdefault(name, []).append(Assignment(name, home, pod, pair.identity, pair.binding))
        return tuple(
            one if len(rivals) == 1 else replace(one, certain=False) for rivals in found.values() for one in rivals
        )

    def _match(self, key: tuple[str, str]) -> tuple[Match, ...]:
        by_name: dict[str, list[Pair]] = {}
        pairs = self._everywhere.get(key[1], []) + self._confined.get(key, [])
        for pair in sorted(pairs, key=lambda pair: (pair.binding.namespace, pair.binding.name)):
            by_name.setdefault(pair.identity.name, []).append(pair)
        if self.rules.first_binding_wins:
            return tuple(Match(tuple(pairs[:1]), tuple(pairs[1:])) for pairs in by_name.values())
        return tuple(Match(tuple(pairs)) for pairs in by_name.values())


def assignment_name(pod: Pod, identity: Identity) -> str:
    return f"{pod.name}-{pod.namespace}-{identity.name}"


def unwritable(name: str, node: str) -> str:
    """Why the API server does not take an assignment of this name for this node; empty where it does."""
    if len(name) > _LONGEST_NAME:
        return f"its name would have {len(name)} characters, {_LONGEST_NAME} are possible"
    if len(node) > _LONGEST_LABEL:
        return f"the name of its node has {len(node)} characters, {_LONGEST_LABEL} are possible in a label"
    return ""


def assignments(
    pods: t.Iterable[Pod], bindings: t.Iterable[Binding], identities: t.Iterable[Identity], rules: Rules = Rules()
) -> tuple[Assignment, ...]:
    """Every assignment that MIC wants for these objects."""
    return Matching(bindings, identities, rules).assignments(pods)


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
        matching = Matching(bindings, identities, Rules(force_namespaced=forced))
        held = {
            entry.identity.client_id for entry in matching.assignments(others) if entry.identity.type == USER_ASSIGNED
        }
        for entry in matching.assignments([newcomer]):
            if entry.identity.type == USER_ASSIGNED and entry.identity.client_id not in held:
                lost[(entry.identity.namespace, entry.identity.name)] = entry.identity
    return tuple(lost.values())


def scale_set(provider_id: str) -> str:
    """The scale set, or else the machine, that a node's provider id names; compared as Azure does, without case."""
    marker = "/virtualmachines/"
    lowered = provider_id.lower()
    return lowered.rpartition(marker)[0] if "/virtualmachinescalesets/" in lowered else lowered
