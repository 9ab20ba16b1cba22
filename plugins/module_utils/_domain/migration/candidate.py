# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Workloads that get an identity, or could: all that a migration has to know of each."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass
from functools import cached_property

from ..installation.trusted_namespaces import SYSTEM
from ..installation.workload_identity_webhook import (
    BINDING_MARK,
    CLIENT_ID,
    CLIENT_ID_VARIABLE,
    PROXY_ANNOTATION,
    USE_LABEL,
)
from ..kubernetes import sources
from ..kubernetes.objects import annotations_of, labels_of
from ..kubernetes.sources import Source
from ..matching.inventory import Inventory, full_name
from ..matching.matching import SELECTOR_LABEL, USER_ASSIGNED, Identity, Raw
from ..tokens import mutation
from . import containers, ended, mark, owners, rollouts
from .containers import Container
from .owners import Owner
from .rollouts import Rollout

# How a workload gets its tokens.
POD_IDENTITY, WORKLOAD_ID, BOTH, BOUND = "pod_identity", "workload_identity", "both", "identity_binding"
NODE, NOTHING = "node", "nothing"
_OS, _VIRTUAL = "kubernetes.io/os", "virtual-kubelet"


@dataclass(frozen=True)
class Candidate:
    """``identities``: what AAD Pod Identity gives it, in MIC's order. ``targets``: what Workload ID is to give it in
    their places; the same but for those that the operator replaces. ``exceptions``: names of those that cover it.

    ``annotated``: the client id of its service account, '' for none. ``proxied``: whether it is to have the proxy
    sidecar, by its annotation or by choice. ``by_account``: whether its service account alone says that it moves.
    """

    source: Source
    containers: tuple[Container, ...]
    identities: tuple[Identity, ...]
    targets: tuple[Identity, ...]
    exceptions: tuple[str, ...]
    taken_for_mic: bool
    annotated: str
    proxied: bool
    by_account: bool
    owner: Owner
    rollout: Rollout

    @property
    def label(self) -> str:
        return self.source.label

    @property
    def key(self) -> tuple[str, str]:
        """What tells it apart: the pods of an owner that is not known here are one for each selector."""
        return self.label, self.selector

    @property
    def kind(self) -> str:
        return self.source.workload.kind

    @property
    def namespace(self) -> str:
        return self.source.workload.pod.namespace

    @property
    def account(self) -> str:
        return self.source.workload.pod.service_account

    @property
    def account_label(self) -> str:
        return f"ServiceAccount {self.namespace}/{self.account}"

    @property
    def selector(self) -> str:
        return self.source.workload.pod.selector

    @property
    def former_selector(self) -> str:
        """By which AAD Pod Identity gave it what it got until this collection took that out; '' for none."""
        kept = {} if self.selector or self.source.made_by_hand else mark.read(self.source.raw) or {}
        return str(kept.get(SELECTOR_LABEL) or "")

    @property
    def host_network(self) -> bool:
        return self.source.workload.pod.host_network

    @property
    def labelled(self) -> bool:
        """Whether its pods are sent to the webhook."""
        return self.source.workload.pod.labels.get(USE_LABEL) == "true"

    @property
    def is_job(self) -> bool:
        return self.kind in ("Job", "CronJob")

    @cached_property
    def has_proxy(self) -> bool:
        """Whether its template says that it gets the proxy sidecar."""
        return PROXY_ANNOTATION in annotations_of(self.source.template)

    @cached_property
    def is_bound(self) -> bool:
        """Whether an identity binding of AKS gives it its identity."""
        every = (self.source.template, *self.source.pods)
        return any(each.get(BINDING_MARK) == "true" for one in every for each in (labels_of(one), annotations_of(one)))

    @cached_property
    def provides_itself(self) -> bool:
        """Whether its containers are told where the token is without the webhook."""
        return not self.source.made_by_hand and mutation.is_mutated(self.source.template)

    @cached_property
    def client_ids(self) -> frozenset[str]:
        """Those that its containers set themselves, in lower case."""
        return frozenset(one.client_id.lower() for one in self.containers if one.client_id)

    @property
    def moves(self) -> bool:
        """Whether it is to get its tokens by Workload ID, or does already."""
        return bool(self.selector) or self.labelled or self.provides_itself or self.by_account

    @property
    def uses(self) -> str:
        if self.is_bound:
            return BOUND
        if self.labelled or self.provides_itself:
            return BOTH if self.selector else WORKLOAD_ID
        if self.node_identity:
            return NODE
        return POD_IDENTITY if self.selector else NOTHING

    @property
    def node_identity(self) -> str:
        """Why its requests get tokens of identities of its node; '' where they do not."""
        if self.host_network:
            return "it uses the host network, where NMI sees no request"
        if self.exceptions:
            return f"AzurePodIdentityException {self.namespace}/{self.exceptions[0]} covers it"
        return "NMI takes it for MIC by its namespace and name" if self.taken_for_mic else ""

    @property
    def primary(self) -> Identity | None:
        """What it is to get by a request which names none: the one that its containers name, or else the first."""
        pairs = list(zip(self.identities, self.targets))
        managed = [pair for pair in pairs if pair[0].type == USER_ASSIGNED] or pairs
        named = [pair for pair in managed if self.client_ids.intersection(one.client_id.lower() for one in pair)]
        return next((target for _given, target in named or managed), None)

    @property
    def client_id(self) -> str:
        """That its service account has to tell; '' where it is not known."""
        return self.primary.client_id if self.primary else self.annotated

    @cached_property
    def stale_pods(self) -> int:
        """How many pods of a labelled workload the webhook did not see, or saw with another client id than it needs."""
        if not self.labelled or self.provides_itself or self.is_bound:
            return 0
        own = any(CLIENT_ID_VARIABLE in one.variables for one in self.containers)
        wanted = set() if own or not self.client_id else {self.client_id.lower()}
        return sum(
            not mutation.is_mutated(pod) or bool(wanted and containers.client_ids(pod) != wanted)
            for pod in self.source.pods
        )

    @property
    def products(self) -> tuple[str, ...]:
        return tuple(sorted({one.product for one in self.containers if one.product}))

    @cached_property
    def is_windows(self) -> bool:
        spec = self.source.template.get("spec") or {}
        return "windows" in ((spec.get("os") or {}).get("name"), (spec.get("nodeSelector") or {}).get(_OS))

    @cached_property
    def is_virtual(self) -> bool:
        """Whether its pods are for virtual nodes."""
        spec = self.source.template.get("spec") or {}
        return (spec.get("nodeSelector") or {}).get("type") == _VIRTUAL


def find(
    inventory: Inventory,
    objects: t.Mapping[str, t.Sequence[Raw]],
    proxied: t.Container[str],
    replaced: t.Mapping[str, Identity],
) -> list[Candidate]:
    """``proxied``: labels of workloads that are to have the proxy sidecar. ``replaced``: what takes the place of
    AzureIdentities, by their namespace and name."""
    every = [one for one in sources.find(inventory.cluster.workloads, objects) if not _has_ended(one)]
    annotated = {
        sources.place(raw): str(annotations_of(raw).get(CLIENT_ID) or "") for raw in objects.get("ServiceAccount", ())
    }
    served = {_account(one) for one in every if one.workload.pod.labels.get(USE_LABEL) == "true"}
    found = []
    for one in every:
        pod, place = one.workload.pod, _account(one)
        told = annotated.get(place, "")
        # Of those that share an account not all need a token, and whose pods NMI serves say so themselves.
        by_account = bool(told) and not pod.selector and pod.service_account != "default" and place not in served
        identities = tuple(inventory.identities_of(one.workload))
        candidate = Candidate(
            source=one,
            containers=containers.parse(one.template),
            identities=identities,
            targets=tuple(replaced.get(full_name(each), each) for each in identities),
            exceptions=tuple(each.name for each in inventory.answers.exceptions(pod)),
            taken_for_mic=inventory.answers.taken_for_mic(pod),
            annotated=told,
            proxied=one.label in proxied or PROXY_ANNOTATION in annotations_of(one.template),
            by_account=by_account,
            owner=owners.find(one),
            rollout=rollouts.find(one, objects),
        )
        if candidate.moves or _takes_of_node(candidate):
            found.append(candidate)
    return found


def _takes_of_node(one: Candidate) -> bool:
    """Whether it takes tokens of its node; on the host network that is told only by what its containers say."""
    if one.owner.kind == owners.ADDON and one.namespace == SYSTEM:
        return False  # those of AKS, which keeps what they need
    if one.exceptions or one.taken_for_mic:
        return True
    return one.host_network and any(each.client_id or each.asks_metadata_service for each in one.containers)


def _account(one: Source) -> tuple[str, str]:
    return one.workload.pod.namespace, one.workload.pod.service_account


def _has_ended(one: Source) -> bool:
    """Whether it makes no pods any more."""
    return one.workload.kind == "Job" and ended.is_done(one.raw)
