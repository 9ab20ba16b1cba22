# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!
"""A diagnosis: the causes that the table finds in what was observed, the likeliest first.

The order: what another cause explains comes last; before that errors before warnings before remarks; then why before
what is only seen; then what is proved before what is likely; then the order of the table, from the installation to the
application.
"""

from __future__ import annotations

import typing as t
from dataclasses import asdict, dataclass, field, replace

from ..errors import Failure
from ..findings import findings
from ..kubernetes.workloads import Workload
from ..names import namespace_of
from . import (
    assignments,
    catalogue,
    of_azure,
    of_identities,
    of_installation,
    of_mic,
    of_network,
    of_requests,
    of_workload_id,
)
from .cause import CERTAINTIES, ERROR, INFO, POSSIBLE, PROVED, SEVERITIES, Entry, Evidence, Suspicion
from .observed import Asked, Observed, Unread
from .shown import shown

HEALTHY, BROKEN, SUSPECT, UNKNOWN = "healthy", "broken", "suspect", "unknown"
_LONGEST, _LONGEST_COMMAND = 2_000, 4_000
# From the installation to the application.
TABLE: tuple[Entry, ...] = (
    *of_installation.TABLE.rows,
    *of_mic.TABLE.rows,
    *of_azure.TABLE.rows,
    *of_identities.TABLE.rows,
    *of_network.TABLE.rows,
    *of_workload_id.TABLE.rows,
    *of_requests.TABLE.rows,
)
# Findings that tell what is seen; why is told by what concerns the same object.
_UNFINISHED = frozenset(("assignment_missing", "assignment_pending"))
_SYMPTOMS = _UNFINISHED | {"assignment_differs", "assignment_without_cause"}


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


@dataclass(frozen=True)
class Fix:
    text: str
    command: str = ""


@dataclass(frozen=True)
class Cause:
    """``object``: label of what has to be changed. ``because``: codes of the causes that explain this one."""

    code: str
    severity: str
    object: str
    symptom: str
    evidence: tuple[Evidence, ...]
    cause: str
    fix: Fix
    certainty: str
    references: tuple[str, ...] = ()
    because: tuple[str, ...] = ()


@dataclass(frozen=True)
class Request:
    """A request for a token in the place of a pod, and its verdict, as ``pod_token_info`` has them."""

    namespace: str
    pod: str
    node: str
    identity: str
    answered_by: str
    verdict: str
    code: str
    error_code: str
    message: str
    references: tuple[str, ...]


@dataclass(frozen=True)
class Diagnosis:
    """``verdict``: ``broken`` (by an error that is more than possible), ``suspect`` (by another error or a warning),
    ``healthy``, or ``unknown``: nothing was found where not all was looked at. ``requests``: all that were answered."""

    scope: str
    verdict: str
    causes: tuple[Cause, ...]
    unread: tuple[Unread, ...]
    requests: tuple[Request, ...] = ()

    def as_data(self) -> dict[str, t.Any]:
        return asdict(self)


@dataclass(frozen=True)
class _Found:
    """``concerns`` and ``namespaces`` as in ``Suspicion``; ``place`` in the table. ``young``: since when it is so,
    where that may pass by itself."""

    cause: Cause
    symptom: bool
    place: int
    concerns: frozenset[str] | None = frozenset()
    namespaces: frozenset[str] = frozenset()
    young: str = ""

    @property
    def labels(self) -> frozenset[str]:
        return (self.concerns or frozenset()) | {self.cause.object}

    def explains(self, other: _Found) -> bool:
        """For one that is why, and another that is only seen."""
        if self.concerns is None:  # of every pod only what is known to be so
            return self.cause.certainty != POSSIBLE
        return not self.labels.isdisjoint(other.labels)

    @property
    def rank(self) -> tuple[bool, int, bool, int, int]:
        severity, certainty = SEVERITIES.index(self.cause.severity), CERTAINTIES.index(self.cause.certainty)
        return bool(self.cause.because), severity, self.symptom, certainty, self.place


@dataclass(frozen=True)
class _Related:
    """What a scope is about: labels of objects, or all of a namespace."""

    namespace: str
    labels: frozenset[str] | None = field(default=None)

    def includes(self, found: _Found) -> bool:
        if found.concerns is None:
            return True
        if self.labels is not None:
            return not self.labels.isdisjoint(found.labels)
        return self.namespace in found.namespaces or any(namespace_of(one) == self.namespace for one in found.labels)


def diagnose(observed: Observed, scope: Scope = Scope()) -> Diagnosis:
    """Raises Failure where ``scope`` names what does not exist."""
    related = _related(observed, scope)
    found = [one for one in _all(observed) if related is None or related.includes(one)]
    reasons = [one for one in found if not one.symptom and one.cause.severity != INFO]
    judged = (_at_its_age(_explained(one, reasons)) if one.symptom else one for one in found)
    by_rank = sorted(judged, key=lambda one: one.rank)
    causes = tuple(one.cause for one in by_rank)
    if any(one.severity == ERROR and one.certainty != POSSIBLE for one in causes):
        verdict = BROKEN
    elif any(one.severity != INFO for one in causes):
        verdict = SUSPECT
    else:
        verdict = UNKNOWN if observed.unread else HEALTHY
    return Diagnosis(scope.label, verdict, causes, observed.unread, tuple(map(_request, observed.asked)))


def _request(one: Asked) -> Request:
    verdict = one.verdict
    return Request(
        namespace=one.namespace,
        pod=one.pod,
        node=one.node,
        identity=", ".join(one.identities),
        answered_by=verdict.answered_by,
        verdict=verdict.verdict,
        code=verdict.code,
        error_code=verdict.error_code,
        message=shown(verdict.message, _LONGEST),
        references=catalogue.references(verdict.verdict),
    )


def _all(observed: Observed) -> t.Iterator[_Found]:
    for place, row in enumerate(TABLE):
        for one in row.look(observed):
            yield _Found(_shown(_cause(row, one)), row.symptom, place, one.concerns, one.namespaces)
    young = assignments.young(observed)
    for about, finding in findings.told(observed.inventory):
        evidence = (Evidence(finding.object, finding.message),)
        what = (finding.code, finding.severity, finding.object, "", evidence, finding.message)
        cause = Cause(*what, Fix(finding.remedy), PROVED, finding.references)
        since = young.get(about.label, "") if finding.code in _UNFINISHED else ""
        yield _Found(_shown(cause), finding.code in _SYMPTOMS, len(TABLE), namespaces=about.namespaces, young=since)


def _cause(row: Entry, one: Suspicion) -> Cause:
    fix = Fix(one.remedy or row.remedy, one.command)
    what = (row.code, row.severity, one.object, one.symptom, one.evidence, one.cause)
    references = catalogue.references(row.code, (*row.references, *one.references))
    return Cause(*what, fix, one.certainty, references)


def _shown(cause: Cause) -> Cause:
    """Names and texts in it may be anybody's; those of files may be anything."""
    evidence = tuple(
        Evidence(*(shown(each, _LONGEST) for each in (one.source, one.text, one.time))) for one in cause.evidence
    )
    return replace(
        cause,
        object=shown(cause.object, _LONGEST),
        symptom=shown(cause.symptom, _LONGEST),
        cause=shown(cause.cause, _LONGEST),
        evidence=evidence,
        fix=Fix(shown(cause.fix.text, _LONGEST), _to_paste(cause.fix.command)),
    )


def _to_paste(command: str) -> str:
    """Whole or not at all: a part of a command, or one with an escaped name, would do something else."""
    return command if command.isprintable() and len(command) <= _LONGEST_COMMAND else ""


def _explained(one: _Found, reasons: t.Sequence[_Found]) -> _Found:
    codes = dict.fromkeys(other.cause.code for other in reasons if other.explains(one))
    return replace(one, cause=replace(one.cause, because=tuple(codes)))


def _at_its_age(one: _Found) -> _Found:
    """What nothing explains and MIC may be about to do shows nothing wrong yet: whoever asks still waits."""
    if not one.young or one.cause.because:
        return one
    text = f"MIC has had less than {assignments.WAITS.seconds} seconds for it; NMI lets a pod wait for so long."
    evidence = (*one.cause.evidence, Evidence(one.cause.object, text, one.young))
    return replace(one, cause=replace(one.cause, certainty=POSSIBLE, evidence=evidence))


def _related(observed: Observed, scope: Scope) -> _Related | None:
    if not scope.namespace:
        return None
    if not scope.workload and not scope.pod:
        return _Related(scope.namespace)
    workload = workload_in(observed, scope)
    return _Related(scope.namespace, frozenset(_labels(observed, workload, scope.pod)))


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


def _labels(observed: Observed, workload: Workload, pod: str) -> t.Iterator[str]:
    """The workload, its pods, and everything on their way to a token."""
    inventory, place = observed.inventory, workload.pod.namespace
    pods = [one for one in workload.pods if not pod or one.name == pod]
    names = {one.name for one in pods}
    yield workload.label
    yield f"ServiceAccount {place}/{workload.pod.service_account}"
    for one in pods:
        yield f"Pod {place}/{one.name}"
        if one.node:
            yield f"Node {one.node}"
    for binding in inventory.cluster.bindings:
        if binding.selector and binding.selector == workload.pod.selector:
            yield f"AzureIdentityBinding {binding.namespace}/{binding.name}"
            yield f"AzureIdentity {binding.namespace}/{binding.identity}"
    for identity in inventory.identities_of(workload):
        yield f"AzureIdentity {identity.namespace}/{identity.name}"
    for exception in inventory.answers.exceptions(workload.pod):
        yield f"AzurePodIdentityException {exception.namespace}/{exception.name}"
    for assigned in inventory.cluster.assigned or ():
        if (assigned.pod_namespace, assigned.pod) in {(place, name) for name in names}:
            yield f"AzureAssignedIdentity {assigned.namespace}/{assigned.name}"
            yield f"AzureAssignedIdentity {assigned.name}"
    for computed in inventory.computed:
        if computed.pod.namespace == place and computed.pod.name in names:
            yield f"AzureAssignedIdentity {computed.name}"
