# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Who gets which token in a cluster, workload by workload, and the assignments that there are beside the computed."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass
from functools import cached_property

from ..errors import Failure
from ..installation import nmi
from ..installation.residue import Residue
from ..installation.trusted_namespaces import Belief
from ..kubernetes import workloads
from ..kubernetes.workloads import Workload
from . import workload_id_pods
from .matching import (
    MANAGED,
    USER_ASSIGNED,
    AssignedIdentity,
    Assignment,
    Binding,
    Identity,
    Match,
    Matching,
    Pod,
    Raw,
    Rules,
)
from .nmi_answers import TOKEN, Answer, Answers, PodException
from .workload_id_pods import WorkloadIdPod

_SUBJECT = "system:serviceaccount:{}:{}"


@dataclass(frozen=True)
class Cluster:
    """What was read. ``assigned`` and ``nodes`` are None where that is not known; ``residue``: what is installed.

    ``workload_id_pods``: those of Workload ID with which something is wrong.
    """

    rules: Rules = Rules()
    pods: tuple[Pod, ...] = ()
    workloads: tuple[Workload, ...] = ()
    bindings: tuple[Binding, ...] = ()
    identities: tuple[Identity, ...] = ()
    exceptions: tuple[PodException, ...] = ()
    assigned: tuple[AssignedIdentity, ...] | None = None
    nodes: frozenset[str] | None = None
    residue: Residue = Residue()
    workload_id_pods: tuple[WorkloadIdPod, ...] = ()

    @classmethod
    def parse(
        cls,
        objects: t.Mapping[str, t.Sequence[Raw]],
        settings: t.Mapping[str, t.Any],
        unread: t.Mapping[str, str] | None = None,
        named: t.Iterable[str] = (),
    ) -> Cluster:
        """``objects`` by kind; a kind that is missing was not read, ``unread`` says why.

        ``settings`` go before what is installed; ``named`` are the namespaces of releases that the operator named.
        """
        belief = Belief.parse(objects, named, unread or ())

        def believed(kind: str) -> list[Raw]:
            return [raw for raw in objects.get(kind, ()) if belief.holds(str(raw["metadata"].get("namespace", "")))]

        pods = tuple(map(Pod.parse, objects.get("Pod", ())))
        assigned, nodes = objects.get("AzureAssignedIdentity"), objects.get("Node")
        return cls(
            rules=rules(believed("DaemonSet"), believed("Deployment"), settings),
            pods=pods,
            workloads=workloads.find({kind: objects.get(kind, ()) for kind in workloads.TEMPLATES}, pods),
            bindings=tuple(map(Binding.parse, objects.get("AzureIdentityBinding", ()))),
            identities=tuple(map(Identity.parse, objects.get("AzureIdentity", ()))),
            exceptions=tuple(map(PodException.parse, objects.get("AzurePodIdentityException", ()))),
            assigned=None if assigned is None else tuple(map(AssignedIdentity.parse, assigned)),
            nodes=None if nodes is None else frozenset(str(raw["metadata"]["name"]) for raw in nodes),
            residue=Residue.parse(objects, unread, named),
            workload_id_pods=workload_id_pods.find(objects.get("Pod", ())),
        )


def rules(daemon_sets: t.Iterable[Raw], deployments: t.Iterable[Raw], settings: t.Mapping[str, t.Any]) -> Rules:
    """How the installation decides, by what runs of it; ``settings`` that are not None go before."""
    found = next((each for each in daemon_sets if nmi.runs_image(each, "nmi")), {})
    mic = next((each for each in deployments if nmi.runs_image(each, "mic")), {})
    told = {
        "mode": nmi.flag(found, "operation-mode"),
        "force_namespaced": nmi.forces_namespaces(found) or nmi.forces_namespaces(mic),
        "version": nmi.version(found),
        "mic_namespace": nmi.flag(found, "MICNamespace"),
        "retry_after": nmi.flag(found, "set-retry-after-header") == "true",
    }
    given = {key: value for key, value in settings.items() if value is not None}
    return Rules(**{**{key: value for key, value in told.items() if value}, **given})


class Inventory:
    """A cluster with everything that follows from it; each part is computed once, when it is asked for.

    All of it is computed from the whole cluster. It tells only of what concerns ``namespaces``, unless that is None.
    """

    def __init__(self, cluster: Cluster, namespaces: t.Iterable[str] | None = None) -> None:
        self.cluster = cluster
        self.namespaces = None if namespaces is None else frozenset(namespaces)
        self.matching = Matching(cluster.bindings, cluster.identities, cluster.rules, cluster.nodes)
        self.answers = Answers(self.matching, cluster.exceptions, cluster.assigned or (), cluster.pods)

    @cached_property
    def computed(self) -> tuple[Assignment, ...]:
        return self.matching.assignments(self.cluster.pods)

    @cached_property
    def computed_by_name(self) -> dict[str, list[Assignment]]:
        return _grouped(self.computed, lambda one: one.name)

    @cached_property
    def assigned_by_name(self) -> dict[str, list[AssignedIdentity]]:
        return _grouped(self.cluster.assigned or (), lambda one: one.name)

    @cached_property
    def subjects(self) -> dict[str, set[str]]:
        """What a migration would federate, by the lower-case resource id of an identity."""
        found: dict[str, set[str]] = {}
        for workload in self.cluster.workloads:
            for identity in self.identities_of(workload):
                if identity.type == USER_ASSIGNED:
                    found.setdefault(identity.resource_id.lower(), set()).add(subject(workload))
        return found

    @cached_property
    def users_of_service_accounts(self) -> dict[tuple[str, str], list[Workload]]:
        return _grouped(self.cluster.workloads, lambda one: (one.pod.namespace, one.pod.service_account))

    def tells_of(self, namespaces: frozenset[str]) -> bool:
        return self.namespaces is None or not self.namespaces.isdisjoint(namespaces)

    def namespaces_of(self, workload: Workload) -> frozenset[str]:
        """Its own, and those of the identities that it gets."""
        return frozenset((workload.pod.namespace, *(one.namespace for one in self.identities_of(workload))))

    def workload_rows(self) -> list[dict[str, t.Any]]:
        return [self.row(one) for one in self.cluster.workloads if self.tells_of(self.namespaces_of(one))]

    def identity_rows(self) -> list[dict[str, t.Any]]:
        return [self.identity_row(one) for one in self.cluster.identities if self.tells_of(frozenset({one.namespace}))]

    def matches(self, workload: Workload) -> tuple[Match, ...]:
        return self.matching.matches(workload.pod.namespace, workload.pod.selector)

    def identities_of(self, workload: Workload) -> list[Identity]:
        """In MIC's order."""
        return [pair.identity for match in self.matches(workload) for pair in match.choices]

    def asks_nmi(self, workload: Workload) -> bool:
        """Whether NMI answers the requests of its pods by their assignments."""
        pod = workload.pod
        passes_by = pod.host_network or self.answers.exceptions(pod) or self.answers.taken_for_mic(pod)
        return bool(pod.selector) and not passes_by

    def default(self, workload: Workload) -> tuple[Answer, ...]:
        """What NMI answers a request that names no identity."""
        return self.answers.expected(workload.pod)

    def row(self, workload: Workload) -> dict[str, t.Any]:
        pod, matches, answers = workload.pod, self.matches(workload), self.default(workload)
        others = self.users_of_service_accounts[(pod.namespace, pod.service_account)]
        return {
            "namespace": pod.namespace,
            "kind": workload.kind,
            "name": workload.name,
            "owner": workload.owner,
            "selector": pod.selector,
            "pods": sum(each.lives for each in workload.pods),
            "identities": [
                {
                    "namespace": pair.identity.namespace,
                    "name": pair.identity.name,
                    "binding": pair.binding.name,
                    "type": pair.identity.type,
                    "client_id": pair.identity.client_id,
                    "resource_id": pair.identity.resource_id,
                }
                for match in matches
                for pair in match.choices
            ],
            "default": {
                "statuses": sorted({answer.status for answer in answers}),
                "answers": sorted({answer.kind for answer in answers}),
                "identities": [
                    full_name(answer.identity) for answer in answers if answer.kind == TOKEN and answer.identity
                ],
                "deterministic": len(answers) == 1,
            },
            "exceptions": [exception.name for exception in self.answers.exceptions(pod)],
            "host_network": pod.host_network,
            "taken_for_mic": self.answers.taken_for_mic(pod),
            "service_account": pod.service_account,
            "service_account_shared_with": len(others) - 1,
            "federated_subject": subject(workload),
        }

    def identity_row(self, identity: Identity) -> dict[str, t.Any]:
        return {
            "namespace": identity.namespace,
            "name": identity.name,
            "type": identity.type,
            "client_id": identity.client_id,
            "resource_id": identity.resource_id,
            "namespaced": self.cluster.rules.confines(identity),
            "federated_subjects": sorted(self.subjects.get(identity.resource_id.lower(), ()))
            if identity.type == USER_ASSIGNED
            else [],
        }

    def assigned_rows(self) -> list[dict[str, t.Any]]:
        """The assignments that there are, with what MIC copied into them: also of an AzureIdentity that is gone."""
        return [
            {
                "namespace": one.namespace,
                "name": one.name,
                "pod": f"{one.pod_namespace}/{one.pod}",
                "node": one.node,
                "type": one.identity.type,
                "client_id": one.identity.client_id,
                "resource_id": one.identity.resource_id,
                "deleting": one.deleting,
            }
            for one in self.cluster.assigned or ()
        ]

    def assignments(self) -> dict[str, t.Any] | None:
        """How many of the assignments that there are agree with the computation; None where they are not known."""
        if self.cluster.assigned is None or self.cluster.rules.mode == MANAGED:
            return None
        names = self.computed_by_name.keys() | self.assigned_by_name.keys()
        return {
            "computed": len(self.computed_by_name),
            "live": len(self.cluster.assigned),
            "equal": sum(self.agrees(name) for name in names),
        }

    def agrees(self, name: str) -> bool:
        live = self.assigned_by_name.get(name, [])
        return len(live) == 1 and any(_same(one, live[0]) for one in self.computed_by_name.get(name, []))


def subject(workload: Workload) -> str:
    return _SUBJECT.format(workload.pod.namespace, workload.pod.service_account)


def full_name(one: Identity | Binding) -> str:
    return f"{one.namespace}/{one.name}"


def settings(mode: str | None, force_namespaced: bool | None, version: str | None) -> dict[str, t.Any]:
    """What an installation decides by, as a person names it; what is None stays as it is installed."""
    numbers = None if version is None else nmi.numbers(version)
    if numbers == ():
        raise Failure(f"The version {version!r} is none of AAD Pod Identity: give it as in 1.8.17.")
    return {"mode": mode, "force_namespaced": force_namespaced, "version": numbers}


def _same(one: Assignment, live: AssignedIdentity) -> bool:
    ours = (one.pod.namespace, one.pod.name, one.pod.node, one.identity, one.binding)
    return ours == (live.pod_namespace, live.pod, live.node, live.identity, live.binding)


_One = t.TypeVar("_One")
_By = t.TypeVar("_By", bound=t.Hashable)


def _grouped(many: t.Iterable[_One], key: t.Callable[[_One], _By]) -> dict[_By, list[_One]]:
    found: dict[_By, list[_One]] = {}
    for one in many:
        found.setdefault(key(one), []).append(one)
    return found
