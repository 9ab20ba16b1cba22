# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!
"""Causes that MIC's log and events tell: refusals of Azure, its lease, throttling.

Texts are those of pkg/mic/mic.go, pkg/cloudprovider/vmss.go and vm.go, and pkg/stats/stats.go, the same from 1.6.3 to
1.8.17 unless a comment says otherwise. What MIC could not do counts only as long as something shows that it has not
done it since: an identity that is not assigned, or a line of the reconciliation, which fails again every three minutes.
"""

from __future__ import annotations

import json
import re
import typing as t
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from ..commands import shell
from ..installation import nmi
from ..matching.matching import ASSIGNED, STANDARD, USER_ASSIGNED, Assignment, scale_set
from ..moments import lately, moment
from . import chart, of_azure
from .cause import (
    AZURE,
    ERROR,
    EVENTS,
    LIKELY,
    LOGS,
    NO_IDENTITY,
    OBJECTS,
    PENDING,
    POSSIBLE,
    PROVED,
    WARNING,
    Evidence,
    Suspicion,
    Suspicions,
    Table,
)
from .logs import Line, Log
from .observed import MIC, Component, Observed, said_by
from .shown import shown

TABLE = Table()

_NAME = r"[a-z0-9.-]{1,253}"
_FULL = rf"{_NAME}/{_NAME}"
# pkg/mic/mic.go, updateUserMSI; the text of the event "binding apply error" too.
_APPLY = re.compile(
    rf"failed to apply binding (?P<binding>{_FULL}) node (?P<node>{_NAME}) for pod (?P<pod>{_FULL}), "
    r"error: (?P<error>.*)",
    re.DOTALL,
)
# pkg/mic/mic.go, updateUserMSI and, without the numbers, reconcileIdentityAssignment.
_UPDATE = re.compile(
    r"failed to update user-assigned identities on node (?P<place>[\w.-]{1,253})"
    r"(?P<numbers> \(add \[\d{1,9}\], del \[\d{1,9}\], update\[\d{1,9}\]\))?, error: (?P<error>.*)",
    re.DOTALL,
)
# pkg/mic/mic.go, generateIdentityAssignmentState: the first half of a reconciliation. "identites" is theirs.
_RECONCILE = re.compile(
    r"failed to generate identity assignment state, error: failed to get a list of user-assigned identites from node "
    r"(?P<place>[\w.-]{1,253}), error: (?P<error>.*)",
    re.DOTALL,
)
_EVENT = "binding apply error"

_CODE = re.compile(r'\bCode="([A-Za-z]{1,60})" Message="((?:[^"\\]|\\.){0,2000})')
_ACTION = re.compile(r"does not have (?:permission|authorization) to perform action(?:\(s\))? '([\w./-]{1,150})'")
_IDENTITY_ID = re.compile(
    r"/subscriptions/[\w-]{1,40}/resourcegroups/[\w.()-]{1,90}/providers/microsoft\.managedidentity"
    r"/userassignedidentities/[\w-]{1,128}",
    re.IGNORECASE,
)
_REFUSALS = {
    "LinkedAuthorizationFailed": "MIC's identity may not use what the update names, or that does not exist any more",
    "AuthorizationFailed": "MIC's identity may not read or write it",
    "DenyAssignmentAuthorizationFailed": "a deny assignment forbids it",
    "ScopeLocked": "a lock forbids it",
    "RequestDisallowedByPolicy": "a policy forbids it",
    "FailedIdentityOperation": "an identity that the update names does not exist any more",
    "TooManyUserAssignedIdentities": "the scale set carries as many identities as Azure allows",
}
# Of roles, which count up to half an hour after they were given.
_OF_ROLES = ("LinkedAuthorizationFailed", "AuthorizationFailed")
# Of what passes by itself; MIC tries again.
_PASSING = ("Conflict", "InternalServerError", "OperationNotAllowed", "OperationPreempted", "RetryableError")
_REMEDIES = {
    "RequestDisallowedByPolicy": "Exempt the node resource group from the policy that Azure names (az policy exemption "
    "create), or change what it forbids; MIC tries again by itself.",
    "TooManyUserAssignedIdentities": "Detach identities that nobody uses any more (azureops.pod_identity.leftovers "
    "shows them), or spread the pods over more node pools.",
}
# pkg/cloudprovider/vmss.go and vm.go: MIC itself waits for what Azure asked for.
_MANY = re.compile(r"\bStatusCode=429\b")
_PAUSE = re.compile(
    r"\bVM(?:SS)?(?:Get|Update) client throttled, retry after: (?P<day>\d{4}-\d\d-\d\d) (?P<time>\d\d:\d\d:\d\d)"
)
# One request that fails is told by several lines within this time.
_SAME_REQUEST = timedelta(seconds=5)
# go-autorest/autorest/adal/token.go; the endpoint at the end since 0.9.
_LOGIN = re.compile(r"\badal: Refresh request failed\. Status Code = '(\d{3})'\. Response body: (.*)", re.DOTALL)
# pkg/nmi/standard.go and managed.go: what answered MIC was NMI, which is a cause of its own.
_NMI_ANSWERED = re.compile(r"getting assigned identities for pod |no azure identity found for request ")
# net, net/http and crypto/x509 of Go; the metadata address is another matter.
_UNREACHED = re.compile(
    r"(?P<proxy>proxyconnect tcp: )"
    r"|(?P<name>dial tcp: lookup )"
    r"|(?P<certificate>\bx509: |remote error: tls: )"
    r"|(?P<connection>dial tcp (?!169\.254\.)[0-9a-f.:\[\]]{3,60}: |TLS handshake timeout|connection reset by peer)"
)
_HOST = re.compile(r"\b(?:Get|Put|Patch|Post) \"?https://([\w.-]{1,253})")
# Why, and what to do, by the group that matches.
_WAYS = {
    "proxy": (
        "the proxy that it is told to use cannot be reached",
        "Correct HTTPS_PROXY of MIC's Deployment, or let its node reach the proxy. NO_PROXY has to name "
        "169.254.169.254.",
    ),
    "name": (
        "its name cannot be resolved",
        "Mend DNS for MIC: kubectl --namespace kube-system get pods --selector k8s-app=kube-dns, the DNS servers of "
        "the virtual network, and its private DNS zones.",
    ),
    "certificate": (
        "the certificate that it is shown is not trusted",
        "A proxy or firewall on the way inspects TLS: exempt the host from that, or give MIC's containers its "
        "certificate authority (SSL_CERT_FILE). Where the certificate has expired or is not valid yet, mend the clock "
        "of the node.",
    ),
    "connection": (
        "connections to it are refused, cut or not answered",
        "Allow egress of the nodes to it on port 443, in the firewall, network security groups and routes, and in "
        "NetworkPolicies of MIC's namespace.",
    ),
}
_AADSTS = re.compile(r"\bAADSTS\d{5,8}\b")

_LOST = re.compile(r"lost leader lease")  # pkg/mic/mic.go, NewLeaderElector
# client-go/rest/request.go: 0.23 (MIC from 1.8.6), and 0.17 and 0.19 (before).
_WAITED = re.compile(
    r"(?:Waited for (?P<new>[\w.]{1,30}) due to client-side throttling, not priority and fairness,"
    r"|Throttling request took (?P<old>[\w.]{1,30}),) request: "
)
_STATISTIC = re.compile(r"(?P<what>Total|Cloud provider GET|Cloud provider PATCH): (?P<time>[\w.]{1,30})")
_SCALE_SET = re.compile(
    r"azure:///subscriptions/[\w-]{1,40}/resourcegroups/(?P<group>[\w.()-]{1,90})/providers/microsoft\.compute"
    r"/virtualmachinescalesets/(?P<name>[\w.-]{1,80})/",
    re.IGNORECASE,
)
_DURATION = re.compile(r"(?:(\d{1,6})h)?(?:(\d{1,6})m)?(?:(\d{1,9}(?:\.\d{1,9})?)s)?")  # below a second: 12.3ms

_OF_STRANGER = (
    "Find the pod that holds the lock. If it is another MIC, remove it, or give it a lock of its own "
    "(--leader-election-namespace); a restart changes nothing as long as it renews. If no pod has that name, MIC takes "
    "the lock once its lease has ended."
)
_FIND_POD = ("kubectl", "get", "pods", "--all-namespaces", "--field-selector")
_LEASE_SECONDS, _LEASE_STALE = 15, 60
_RESTARTS = 3
_RECENT = timedelta(hours=1)
_LONG_WAIT, _LONG_CYCLE, _HABIT = 5, 60, 3
_QUOTED = 300


@dataclass(frozen=True)
class _Failure:
    """A call of MIC to Azure that failed, and the assignments that wait for it. ``logged``: not told by an event."""

    mic: Component
    error: str
    evidence: Evidence
    waiting: tuple[Assignment, ...]
    logged: bool = True


@dataclass(frozen=True)
class _Record:
    """What is written on MIC's lock. ``renewed``: None where that cannot be read."""

    holder: str
    renewed: datetime | None
    seconds: int


@TABLE.cause(
    ERROR,
    "Let MIC's pods take the lock again: see why they lose it (API server slow, CPU limit, liveness probe), then "
    "restart them.",
    told_by="The lock of MIC's leader: not there, held by no pod of MIC, or not renewed for a minute; or MIC's log, "
    "where it loses the lease again and again.",
    sources=(OBJECTS, LOGS),
    references=(
        "Azure/aad-pod-identity#723",
        "Azure/aad-pod-identity#1013",
        "Azure/aad-pod-identity#1199",
    ),
)
def mic_without_leader(observed: Observed) -> Suspicions:
    """No MIC leads, or it loses its lease again and again, so nothing is assigned meanwhile."""
    if observed.inventory.cluster.rules.mode != STANDARD:
        return
    for mic in observed.of(MIC):
        if not any(map(nmi.is_ready, mic.pods)):
            continue
        lock = nmi.lock_of(mic.workload)
        told = _leaderless(observed, mic, lock)
        why, certainty = told, PROVED
        evidence = [Evidence(f"Endpoints {lock.namespace}/{lock.name}", told)]
        stranger = _stranger(observed, mic, lock)
        if not told:
            lost = _lost(observed, mic)
            if not lost:
                continue
            why, certainty, evidence = "MIC's leader loses its lease again and again.", LIKELY, lost
        yield Suspicion(
            object=mic.label,
            symptom=NO_IDENTITY,
            cause=why,
            evidence=tuple(evidence),
            certainty=certainty,
            concerns=None,
            remedy=_OF_STRANGER if stranger else "",
            command=shell(*_FIND_POD, f"metadata.name={stranger}")
            if stranger
            else _kubectl(mic, "rollout restart deployment", mic.workload["metadata"]["name"]),
        )


def _stranger(observed: Observed, mic: Component, lock: nmi.Lock) -> str:
    """Who holds the lock and is no pod of MIC; empty where nobody does."""
    found = _lock(observed, lock)
    record = _record(found) if found else None
    if found is None or record is None or nmi.leader(lock, found, {str(pod["metadata"]["name"]) for pod in mic.pods}):
        return ""
    return record.holder


def _lock(observed: Observed, lock: nmi.Lock) -> nmi.Object | None:
    for one in observed.objects.get("Endpoints", ()):
        if (one["metadata"].get("namespace"), one["metadata"].get("name")) == (lock.namespace, lock.name):
            return one
    return None


def _leaderless(observed: Observed, mic: Component, lock: nmi.Lock) -> str:
    """Why nobody leads, by the lock; empty where somebody does or where that is not known."""
    if "Endpoints" not in observed.objects or any(_young(observed, pod) for pod in mic.pods):
        return ""
    held = _lock(observed, lock)
    record = _record(held) if held else None
    if held is None or record is None or not record.holder:
        return "No pod of MIC has ever taken the lock of the leader." if not held else "The lock names no leader."
    if not nmi.leader(lock, held, {str(pod["metadata"]["name"]) for pod in mic.pods}):
        return f"The lock is held by {record.holder!r}, which is no pod of MIC."
    if record.renewed is None:
        return f"The lock of {record.holder!r} does not tell when it was renewed."
    age = (observed.now - record.renewed).total_seconds()
    if age > max(_LEASE_STALE, 4 * record.seconds):
        return f"{record.holder!r} holds the lock, but has not renewed it for {int(age)} seconds."
    return ""


def _record(lock: nmi.Object) -> _Record | None:
    try:
        written = json.loads((lock["metadata"].get("annotations") or {}).get(nmi.LEADER, "{}"))
        holder, seconds = written.get("holderIdentity", ""), int(written.get("leaseDurationSeconds") or _LEASE_SECONDS)
    except (ValueError, TypeError, AttributeError):
        return None
    return _Record(str(holder), moment(str(written.get("renewTime", ""))), seconds)


def _young(observed: Observed, pod: nmi.Object) -> bool:
    """Whether it may not have had the time to take the lock."""
    started = moment(str((pod.get("status") or {}).get("startTime", "")))
    return started is not None and observed.now - started < timedelta(seconds=_LEASE_STALE)


def _lost(observed: Observed, mic: Component) -> list[Evidence]:
    """The lines in which its pods, which were restarted several times and of late, say that they lost the lease."""
    restarted = {str(pod["metadata"]["name"]): pod for pod in mic.pods if _restarts(observed, pod)}
    found = []
    for log in observed.logs_of(MIC):
        if log.pod in restarted and log.namespace == mic.namespace:
            found += [said_by(log, line) for line in log.lines if _LOST.fullmatch(line.text)][-1:]
    counts = [Evidence(f"Pod {pod['metadata']['namespace']}/{name}", _told(pod)) for name, pod in restarted.items()]
    return found + counts if found else []


def _restarts(observed: Observed, pod: nmi.Object) -> bool:
    for one in (pod.get("status") or {}).get("containerStatuses") or ():
        ended = moment(str(((one.get("lastState") or {}).get("terminated") or {}).get("finishedAt", "")))
        if int(one.get("restartCount") or 0) >= _RESTARTS and ended is not None and observed.now - ended < _RECENT:
            return True
    return False


def _told(pod: nmi.Object) -> str:
    count = sum(int(one.get("restartCount") or 0) for one in (pod.get("status") or {}).get("containerStatuses") or ())
    return f"It was restarted {count} times."


@TABLE.cause(
    WARNING,
    "Where MIC waits for the API server, let it ask more often (mic.clientQps); where it waits for Azure, see the "
    "activity log of the scale set for what else changes it.",
    told_by="MIC's log: it waits for its own limit of requests, or its cycles take longer than NMI waits; and "
    "identities that are not assigned yet.",
    sources=(LOGS, OBJECTS),
    references=(
        "Azure/aad-pod-identity#1267",
        "Azure/aad-pod-identity#1255",
        "Azure/aad-pod-identity#1012",
        "https://azure.github.io/aad-pod-identity/docs/configure/feature_flags/",
    ),
)
def mic_slow(observed: Observed) -> Suspicions:
    """MIC takes longer for its work than NMI waits for it (80 seconds)."""
    unsettled = _unsettled(observed)
    for mic, log in _logs(observed):
        waits = [(_seconds(found["new"] or found["old"]), line) for line, found in _starting(log, _WAITED)]
        statistics = [(found["what"], _seconds(found["time"]), line) for line, found in _whole(log, _STATISTIC)]
        cycles = [(seconds, line) for what, seconds, line in statistics if what == "Total"]
        long_waits = [(seconds, line) for seconds, line in waits if seconds >= _LONG_WAIT]
        long_cycles = [(seconds, line) for seconds, line in cycles[-_HABIT:] if seconds >= _LONG_CYCLE]
        if long_waits and unsettled:
            seconds, line = max(long_waits, key=lambda one: one[0])
            flag = nmi.flag(mic.workload, "clientQps")
            cause = (
                f"MIC held back {_times(len(long_waits), 'request')} to the API server for up to {seconds:.0f} "
                f"seconds, because it allows itself {flag or 5} a second."
            )
        elif long_cycles and (cycles[-1] in long_cycles and unsettled or len(long_cycles) == _HABIT):
            seconds, line = long_cycles[-1]
            slowest = max((one for one in statistics if one[0] != "Total"), key=lambda one: one[1], default=None)
            part = f", with up to {slowest[1]:.0f} in {slowest[0]}" if slowest and slowest[1] > seconds / 2 else ""
            cause = (
                f"MIC's cycles take {seconds:.0f} seconds{part}; a pod that starts meanwhile waits for the next one."
            )
        else:
            continue
        yield Suspicion(
            object=mic.label,
            symptom="New pods get their identities late: NMI answers 404 after 80 seconds, and later a token.",
            cause=cause,
            evidence=(said_by(log, line),),
            certainty=LIKELY,
            concerns=_concerned(unsettled),
            command=chart.set_value(mic.workload, "mic.clientQps=50") if long_waits and unsettled else "",
        )


@TABLE.cause(
    WARNING,
    "Mend what MIC repeats (the errors of this diagnosis), then wait until Azure answers again. Where an upgrade of "
    "the cluster is blocked by it, stop MIC until that is done, and start it again.",
    told_by="MIC's log, else its events: Azure answered 429, or MIC waits as Azure asked; and identities that are not "
    "assigned yet, or a reconciliation that failed so within 15 minutes.",
    sources=(LOGS, EVENTS, OBJECTS),
    references=("Azure/aad-pod-identity#676", "Azure/aad-pod-identity#677"),
)
def mic_throttled_by_azure(observed: Observed) -> Suspicions:
    """Azure answers MIC that it asks too often, so that nothing is assigned for minutes or hours."""
    failures = [one for one in observed.once(_failures) if _is_throttled(one)]
    if failures:
        last, certainty = _judged(failures)
        refused = _requests([one for one in failures if _MANY.search(one.error)])
        pauses = [f"{found['day']}T{found['time']}Z" for one in failures for found in _PAUSE.finditer(one.error)]
        cause = (
            f"Azure refused MIC {_times(refused, 'request')}, because it was asked too often"
            if refused
            else "Azure was asked too often"
        )
        yield Suspicion(
            object=last.mic.label,
            symptom="New pods get no identity; the cluster's own operations on the scale set may be refused too.",
            cause=f"{cause}; MIC asks it nothing until {max(pauses)}." if pauses else f"{cause}.",
            evidence=(last.evidence,),
            certainty=certainty,
            concerns=None,
        )


@TABLE.cause(
    ERROR,
    "See whether what Azure names exists. If it does, give the identity with which MIC works the role there (Managed "
    "Identity Operator at an identity); if not, delete the AzureIdentity that names it.",
    told_by="MIC's log, else its events, where Azure itself does not explain it; and identities that are not assigned "
    "yet. Only possible where Azure shows the roles that MIC lacked, or the refusal passes by itself.",
    sources=(LOGS, EVENTS, OBJECTS, AZURE),
    references=(
        "Azure/aad-pod-identity#585",
        "Azure/aad-pod-identity#339",
        "Azure/aad-pod-identity#752",
        "https://azure.github.io/aad-pod-identity/docs/getting-started/role-assignment/",
    ),
)
def mic_refused_by_azure(observed: Observed) -> Suspicions:
    """Azure refuses what MIC asks for. The text does not tell why: a role, a resource that is gone, an old MIC."""
    failures: dict[tuple[str, str], list[_Failure]] = {}
    for one in observed.once(_failures):
        found = _CODE.search(one.error)
        if found and not _is_throttled(one) and not _LOGIN.search(one.error):
            for label in _named(observed, one.error) or [one.mic.label]:
                if not _is_explained(observed, {label, *_concerned(one.waiting)}):
                    failures.setdefault((label, found[1]), []).append(one)
    identities = {f"AzureIdentity {one.namespace}/{one.name}": one for one in observed.inventory.cluster.identities}
    for (label, code), found_there in failures.items():
        last = found_there[-1]
        action = _ACTION.search(last.error)
        needed = f" ({action[1]})" if action else ""
        identity = identities.get(label)
        waiting = [each for one in found_there for each in one.waiting]
        granted = code in _OF_ROLES and _looked_at_azure(observed)
        remedy = _REMEDIES.get(code, "")
        if granted:
            remedy = (
                "Wait up to half an hour: Azure shows the roles that MIC needs now, which count some time after they "
                "were given, and MIC tries again by itself."
            )
        elif code not in _REFUSALS:
            remedy = remedy or "Do what Azure's sentence asks for; MIC tries again by itself."
        yield Suspicion(
            object=label,
            symptom=PENDING,
            cause=f"Azure refuses what MIC asks for with {code}{needed}: {_REFUSALS.get(code) or _said(last.error)}.",
            evidence=(last.evidence,),
            certainty=POSSIBLE if granted or code in _PASSING else LIKELY,
            concerns=_concerned(waiting) | {label},
            remedy=remedy,
            command=shell("az", "identity", "show", "--ids", identity.resource_id) if identity and not granted else "",
        )


def _said(error: str) -> str:
    """The sentence of Azure, quoted."""
    found = _CODE.search(error)
    return f"it says '{shown(found[2], _QUOTED).rstrip('.')}'" if found else ""


def _is_throttled(one: _Failure) -> bool:
    return bool(_MANY.search(one.error) or _PAUSE.search(one.error))


def _requests(failures: t.Sequence[_Failure]) -> int:
    """How many requests they are of: lines of one moment that end alike tell of one."""
    ended: dict[str, datetime | None] = {}
    count = 0
    for one in failures:
        answer, when = one.error.rpartition("error: ")[2], moment(one.evidence.time)
        before = ended.get(answer)
        if answer not in ended or (when and before and abs(when - before) > _SAME_REQUEST):
            count += 1
        ended[answer] = when or before
    return count


def _is_explained(observed: Observed, labels: t.Collection[str]) -> bool:
    """Whether Azure tells why something of ``labels`` is refused."""
    return any(labels_there is None or not labels_there.isdisjoint(labels) for labels_there in observed.once(_by_azure))


def _by_azure(observed: Observed) -> list[frozenset[str] | None]:
    """Labels of what each cause concerns that Azure itself shows; None for every pod."""
    return [
        None if one.concerns is None else one.concerns | {one.object}
        for row in of_azure.TABLE.rows
        if row.severity == ERROR
        for one in row.look(observed)
        if one.certainty != POSSIBLE
    ]


@TABLE.cause(
    ERROR,
    "Give the nodes the identity back that MIC works with, as in /etc/kubernetes/azure.json of a node: for a managed "
    "cluster its kubelet identity, on every scale set; for a service principal a new secret.",
    told_by="MIC's log, else its events: its own login failed; and identities that are not assigned yet, or a "
    "reconciliation that failed so within 15 minutes.",
    sources=(LOGS, EVENTS, OBJECTS, AZURE),
    references=(
        "Azure/aad-pod-identity#778",
        "Azure/aad-pod-identity#1220",
        "https://learn.microsoft.com/azure/aks/update-credentials",
    ),
)
def mic_cannot_login(observed: Observed) -> Suspicions:
    """MIC gets no token for itself, so it changes nothing in Azure."""
    found = [(one, _LOGIN.search(one.error)) for one in observed.once(_failures)]
    failures = [(one, said) for one, said in found if said and not _NMI_ANSWERED.search(said[2])]
    if not failures:
        return
    last, certainty = _judged([one for one, _said_of_it in failures])
    (answer,) = [said for one, said in failures if one is last][:1]
    code = _AADSTS.search(answer[2])
    if "Identity not found" in answer[2]:
        if _is_explained(observed, ()):
            return
        certainty = POSSIBLE if _looked_at_azure(observed) else certainty  # it may be back since
        why = "the identity with which it works is not on its node"
    else:
        why = f"Microsoft Entra ID answers {code[0]}" if code else f"it was answered {answer[1]}"
    yield Suspicion(
        object=last.mic.label,
        symptom="No pod gets a new identity, and none is taken back.",
        cause=f"MIC gets no token for itself: {why}.",
        evidence=(last.evidence,),
        certainty=certainty,
        concerns=None,
        command=_show_identities(observed),
    )


@TABLE.cause(
    ERROR,
    "Let MIC's node reach the named host on port 443: see its DNS servers, firewall rules, routes and proxy.",
    told_by="MIC's log, else its events: a connection to Azure or to its login host was not made; and identities that "
    "are not assigned yet, or a reconciliation that failed so within 15 minutes.",
    sources=(LOGS, EVENTS, OBJECTS),
    references=("https://learn.microsoft.com/azure/aks/outbound-rules-control-egress",),
)
def mic_cannot_reach_azure(observed: Observed) -> Suspicions:
    """MIC makes no connection to Azure, so it changes nothing there: DNS, a firewall, a proxy or a certificate."""
    failures = [one for one in observed.once(_failures) if _UNREACHED.search(one.error)]
    if not failures:
        return
    last, certainty = _judged(failures)
    found, host = _UNREACHED.search(last.error), _HOST.search(last.error)
    why, remedy = _WAYS[str(found and found.lastgroup)]
    yield Suspicion(
        object=last.mic.label,
        symptom="No pod gets a new identity, and none is taken back.",
        cause=f"MIC does not reach {shown(host[1]) if host else 'Azure'}: {why}.",
        evidence=(last.evidence,),
        certainty=certainty,
        concerns=None,
        remedy=remedy,
    )


def _judged(failures: t.Sequence[_Failure]) -> tuple[_Failure, str]:
    """The last one, of a log where there is one, and how certain a cause is that concerns every pod.

    Whoever may create events in a namespace writes any text, with MIC as its source too.
    """
    logged = [one for one in failures if one.logged]
    return (logged[-1], LIKELY) if logged else (failures[-1], POSSIBLE)


def _failures(observed: Observed) -> list[_Failure]:
    """Those that still hold something up, of logs first and each in their order."""
    found: list[_Failure] = []
    waits = _Waiting(observed)
    for mic, log in _logs(observed):
        for line in log.lines:
            say = partial(_Failure, mic, evidence=said_by(log, line))
            one = _applied(waits, line.text, say) or _updated(waits, line, say)
            found += [one] if one else []
    for mic in observed.of(MIC)[:1]:  # an event does not tell which
        for event in observed.events_of_mic:
            applied = _APPLY.fullmatch(event.message) if event.reason == _EVENT else None
            if applied and event.object == f"AzureIdentityBinding {applied['binding']}":
                evidence = Evidence(f"event of {event.object}", shown(event.message), event.time)
                say = partial(_Failure, mic, evidence=evidence, logged=False)
                one = _applied(waits, event.message, say)
                found += [one] if one else []
    return found


_Say = t.Callable[..., _Failure]


def _applied(waits: _Waiting, text: str, say: _Say) -> _Failure | None:
    """``failed to apply binding``: of a pod that still waits, through a binding that there is."""
    found = _APPLY.fullmatch(text)
    if found is None:
        return None
    waiting = tuple(waits.by_binding.get((found["pod"], found["binding"]), ()))
    return say(error=found["error"], waiting=waiting) if waiting else None


def _updated(waits: _Waiting, line: Line, say: _Say) -> _Failure | None:
    """``failed to update``: of a scale set or a machine that there is."""
    found = _UPDATE.fullmatch(line.text) or _RECONCILE.fullmatch(line.text)
    if found is None:
        return None
    waiting = tuple(waits.by_place.get(found["place"].lower(), ()))
    repeats = "numbers" not in found.re.groupindex or found["numbers"] is None
    if repeats and found["place"].lower() in waits.places:
        stands = not moment(line.time) or lately(line.time, waits.now)
        return say(error=found["error"], waiting=waiting) if waiting or stands else None
    return say(error=found["error"], waiting=waiting) if waiting else None


def _unsettled(observed: Observed) -> tuple[Assignment, ...]:
    """What MIC has to put on a scale set and, as far as is known, has not put there."""
    inventory = observed.inventory
    assigned = None if inventory.cluster.assigned is None else inventory.assigned_by_name
    return tuple(
        one
        for one in inventory.computed
        if one.identity.type == USER_ASSIGNED
        and (assigned is None or not any(live.state in (ASSIGNED, "") for live in assigned.get(one.name, ())))
    )


class _Waiting:
    """Unsettled assignments by the names of pod and binding, and by how MIC calls their scale set or machine.

    ``places``: those of all nodes with pods.
    """

    def __init__(self, observed: Observed) -> None:
        self.now = observed.now
        self.by_binding: dict[tuple[str, str], list[Assignment]] = {}
        self.by_place: dict[str, list[Assignment]] = {}
        nodes = {pod.node for pod in observed.inventory.cluster.pods if pod.node}
        self.places = {place for node in nodes for place in _places(observed, node)}
        for one in _unsettled(observed):
            names = (f"{one.pod.namespace}/{one.pod.name}", f"{one.binding.namespace}/{one.binding.name}")
            self.by_binding.setdefault(names, []).append(one)
            for place in _places(observed, one.pod.node):
                self.by_place.setdefault(place, []).append(one)


def _places(observed: Observed, node: str) -> set[str]:
    """What MIC may call the machine of a node, or its scale set, in lower case."""
    provider = str((observed.nodes.get(node) or {}).get("spec", {}).get("providerID", ""))
    if provider:
        return {node.lower(), scale_set(provider).rpartition("/")[2]}
    return {node.lower(), node.lower()[:-6]}  # AKS names nodes by their scale set and six characters


def _named(observed: Observed, error: str) -> list[str]:
    """Labels of the AzureIdentities whose resources an error names."""
    ids = {found[0].lower() for found in _IDENTITY_ID.finditer(error)}
    return [
        f"AzureIdentity {one.namespace}/{one.name}"
        for one in observed.inventory.cluster.identities
        if one.type == USER_ASSIGNED and one.resource_id.lower() in ids
    ]


def _concerned(waiting: t.Iterable[Assignment]) -> frozenset[str]:
    found: set[str] = set()
    for one in waiting:
        found |= {
            f"AzureAssignedIdentity {one.name}",
            f"AzureAssignedIdentity {one.namespace}/{one.name}",
            f"Pod {one.pod.namespace}/{one.pod.name}",
        }
    return frozenset(found)


def _looked_at_azure(observed: Observed) -> bool:
    return observed.azure is not None and observed.looked_at(AZURE)


def _logs(observed: Observed) -> t.Iterator[tuple[Component, Log]]:
    for mic in observed.of(MIC):
        names = {str(pod["metadata"]["name"]) for pod in mic.pods}
        for log in observed.logs_of(MIC):
            if log.pod in names and log.namespace == mic.namespace:
                yield mic, log


def _kubectl(mic: Component, verb: str, name: str) -> str:
    return shell("kubectl", "--namespace", mic.namespace, *verb.split(), str(name))


def _show_identities(observed: Observed) -> str:
    """Of the first scale set of the cluster; empty where there is none."""
    for raw in observed.nodes.values():
        found = _SCALE_SET.match(str((raw.get("spec") or {}).get("providerID", "")))
        if found:
            return shell("az", "vmss", "identity", "show", "--resource-group", found["group"], "--name", found["name"])
    return ""


def _starting(log: Log, pattern: t.Pattern[str]) -> t.Iterator[tuple[Line, t.Match[str]]]:
    for line in log.lines:
        found = pattern.match(line.text)
        if found:
            yield line, found


def _whole(log: Log, pattern: t.Pattern[str]) -> t.Iterator[tuple[Line, t.Match[str]]]:
    for line in log.lines:
        found = pattern.fullmatch(line.text)
        if found:
            yield line, found


def _times(count: int, what: str) -> str:
    return f"{count} {what}" + ("" if count == 1 else "s")


def _seconds(duration: str) -> float:
    """``1m30.5s`` -> 90.5; 0 for what is below a second or no duration."""
    found = _DURATION.fullmatch(duration)
    hours, minutes, seconds = (float(each or 0) for each in found.groups()) if found else (0.0, 0.0, 0.0)
    return 3600 * hours + 60 * minutes + seconds
