# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""What NMI answers a pod that asks for a token. Where NMI chooses at random, all of its possible answers."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from .matching import (
    ASSIGNED,
    CERTIFICATE,
    CREATED,
    MANAGED,
    SERVICE_PRINCIPAL,
    USER_ASSIGNED,
    AssignedIdentity,
    Identity,
    Match,
    Matching,
    Pod,
    Raw,
    Rules,
)

# What an answer is: a token of an identity, or of the node's own (through NMI, or past it), or why there is none.
TOKEN, NODE_TOKEN, IMDS = "token", "node_token", "imds"
NO_SUCH_IDENTITY, NOT_ASSIGNED, ASSIGNMENT_PENDING = "no_such_identity", "not_assigned", "assignment_pending"
POD_UNKNOWN, CRASH = "pod_unknown", "crash"
UNSUPPORTED_TYPE, NO_CLIENT_ID = "unsupported_type", "no_client_id"

_SERVICE_PRINCIPALS = (SERVICE_PRINCIPAL, CERTIFICATE)
_DIFFERENT, _OTHER_CASE, _SAME = range(3)
_OLD_STATE = ""  # of assignments that a MIC before 1.5 made
_MIC = "mic"


@dataclass(frozen=True)
class PodException:
    """An AzurePodIdentityException: pods of its namespace with any one of the labels."""

    namespace: str
    name: str
    labels: t.Mapping[str, str]

    @classmethod
    def parse(cls, raw: Raw) -> PodException:
        metadata, spec = raw.get("metadata") or {}, raw.get("spec") or {}
        return cls(metadata.get("namespace", ""), metadata.get("name", ""), spec.get("podLabels") or {})


@dataclass(frozen=True)
class Request:
    """The parameters of a request that choose an identity."""

    client_id: str = ""
    msi_res_id: str = ""
    mi_res_id: str = ""

    def resource_id(self, rules: Rules) -> str:
        given = {"msi_res_id": self.msi_res_id, "mi_res_id": self.mi_res_id}
        return next((given[name] for name in rules.resource_id_parameters if given[name]), "")


@dataclass(frozen=True)
class Answer:
    """``identity``: whose token it is, where AAD Pod Identity decides that.

    The status of a token is that of a request which Azure grants; a service principal's Secret is taken for right.
    """

    status: int
    kind: str
    identity: Identity | None = None


@dataclass(frozen=True)
class Held:
    """An identity that a pod has been assigned, and how far that is."""

    identity: Identity
    state: str = ASSIGNED


class Answers:
    """Everything that NMI looks at, indexed; ``assigned`` are the AzureAssignedIdentities as they are."""

    def __init__(
        self,
        matching: Matching,
        exceptions: t.Iterable[PodException] = (),
        assigned: t.Iterable[AssignedIdentity] = (),
        pods: t.Iterable[Pod] = (),
    ) -> None:
        self._rules = matching.rules
        self._matching = matching
        self._excepted: dict[tuple[str, str, str], list[PodException]] = {}
        for exception in exceptions:
            for key, value in exception.labels.items():
                self._excepted.setdefault((exception.namespace, key, value.lower()), []).append(exception)
        self._held: dict[tuple[str, str], list[Held]] = {}
        for one in assigned:
            self._held.setdefault((one.pod_namespace, one.pod), []).append(Held(one.identity, one.state))
        self._addresses: dict[tuple[str, str], int] = {}
        for pod in pods:
            if _asks(pod) and pod.ip:
                self._addresses[(pod.node, pod.ip)] = self._addresses.get((pod.node, pod.ip), 0) + 1

    def exceptions(self, pod: Pod) -> tuple[PodException, ...]:
        """Those that cover the pod: NMI gives it the tokens of its node."""
        found: dict[str, PodException] = {}
        for key, value in pod.labels.items():
            for exception in self._excepted.get((pod.namespace, key, value.lower()), ()):
                found[exception.name] = exception
        return tuple(found[name] for name in sorted(found))

    def taken_for_mic(self, pod: Pod) -> bool:
        """Whether NMI takes the pod for MIC, because of its namespace and the name of its ReplicaSet."""
        return pod.namespace.lower() == self._rules.mic_namespace.lower() and pod.replica_set.startswith(_MIC)

    def held(self, pod: Pod) -> tuple[Held, ...]:
        """The assignments of the pod, as they are."""
        return tuple(self._held.get((pod.namespace, pod.name), ()))

    def given(self, pod: Pod, request: Request = Request()) -> tuple[Answer, ...]:
        """The possible answers with the assignments as they are."""
        return self._answer(pod, request, self.held(pod))

    def expected(self, pod: Pod, request: Request = Request()) -> tuple[Answer, ...]:
        """The possible answers once MIC has made its assignments.

        Of identities of one name the pod has one: the answers of all that it may be.
        """
        matches = self._matching.matches(pod.namespace, pod.selector)
        found = dict.fromkeys(
            self._answer(pod, request, [Held(p.identity) for match in matches for p in match.choices])
        )
        if any(len(match.choices) > 1 for match in matches):
            # Which of them fits is told apart by three degrees only, so the two worst cases stand for all others.
            for worst in ((_DIFFERENT, _OTHER_CASE, _SAME), (_OTHER_CASE, _DIFFERENT, _SAME)):
                chosen = [self._worst(match, request, worst) for match in matches]
                found.update(dict.fromkeys(self._answer(pod, request, chosen)))
        return tuple(found)

    def _worst(self, match: Match, request: Request, order: tuple[int, ...]) -> Held:
        wanted = request.client_id, request.resource_id(self._rules)
        identities = [pair.identity for pair in match.choices]
        return Held(min(identities, key=lambda identity: order.index(_fit(identity, *wanted))))

    def _answer(self, pod: Pod, request: Request, held: t.Sequence[Held]) -> tuple[Answer, ...]:
        if pod.host_network:
            return (Answer(200, IMDS),)
        if not _asks(pod) or self._addresses.get((pod.node, pod.ip), 1) != 1:
            return (Answer(500, POD_UNKNOWN),)
        if self.exceptions(pod) or self.taken_for_mic(pod):
            return (Answer(200, NODE_TOKEN),)
        resource_id = request.resource_id(self._rules)
        if self._rules.mode == MANAGED:
            return self._managed(pod, request.client_id, resource_id)
        return self._standard(pod, request.client_id, resource_id, held)

    def _managed(self, pod: Pod, client_id: str, resource_id: str) -> tuple[Answer, ...]:
        matches = self._matching.matches(pod.namespace, pod.selector)
        found = [match.choices[0].identity for match in matches]
        if client_id or resource_id:
            found = [one for one in found if _fit(one, client_id, resource_id) == _SAME]
        return self._tokens(found) if found else (self._refusal(NO_SUCH_IDENTITY),)

    def _standard(self, pod: Pod, client_id: str, resource_id: str, held: t.Sequence[Held]) -> tuple[Answer, ...]:
        """NMI first waits for an assignment that fits but for its case, then takes what fits exactly."""
        specified = bool(client_id or resource_id)
        by_state: dict[str, list[Identity]] = {}
        for one in held:
            by_state.setdefault(one.state, []).append(one.identity)

        def fits(state: str) -> bool:
            identities = by_state.get(state, [])
            if not specified:
                return bool(identities)
            return any(_fit(one, client_id, resource_id) != _DIFFERENT for one in identities)

        state = next((state for state in (_OLD_STATE, ASSIGNED) if fits(state)), None)
        if state is None:
            return (self._refusal(ASSIGNMENT_PENDING if fits(CREATED) else NOT_ASSIGNED),)
        usable = [one for one in by_state[state] if not self._rules.confines(one) or one.namespace == pod.namespace]
        if not specified:
            return self._tokens(usable) if usable else (Answer(500, CRASH),)
        exact = [one for one in usable if _fit(one, client_id, resource_id) == _SAME]
        return self._tokens(exact) if exact else (self._refusal(NO_SUCH_IDENTITY),)

    def _tokens(self, identities: t.Iterable[Identity]) -> tuple[Answer, ...]:
        """One of these, the first in a map of NMI, whose order is random."""
        return tuple(dict.fromkeys(map(self._token, identities)))

    def _token(self, identity: Identity) -> Answer:
        if identity.type not in (USER_ASSIGNED, *_SERVICE_PRINCIPALS):
            return Answer(self._rules.no_token, UNSUPPORTED_TYPE, identity)
        if identity.type in _SERVICE_PRINCIPALS and not identity.client_id:
            return Answer(self._rules.no_token, NO_CLIENT_ID, identity)
        return Answer(200, TOKEN, identity)

    def _refusal(self, kind: str) -> Answer:
        return Answer(self._rules.not_found, kind)


def _asks(pod: Pod) -> bool:
    """Whether NMI knows requests from the pod's address as the pod's."""
    return pod.phase in ("Pending", "Running")


def _fit(identity: Identity, client_id: str, resource_id: str) -> int:
    """Whether a request means the identity; one that names both ids means either."""
    pairs = [(client_id, identity.client_id), (resource_id, identity.resource_id)]
    if any(wanted and wanted == got for wanted, got in pairs):
        return _SAME
    return _OTHER_CASE if any(wanted and wanted.lower() == got.lower() for wanted, got in pairs) else _DIFFERENT
