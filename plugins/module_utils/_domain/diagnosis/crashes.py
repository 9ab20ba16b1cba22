# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!
"""Programs that end again and again, and why: by the state of their containers and by their logs."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, replace
from datetime import timedelta

from ..kubernetes.sources import place
from ..matching.matching import Raw
from ..moments import moment, written
from .cause import Evidence
from .labels import label_of
from .logs import Line, Log
from .observed import Component, Observed, said_by
from .shown import shown

# A container that ended so often, the last time so lately, ends again and again, though it runs at the moment. The
# kubelet waits at most five minutes before it starts one again, and forgets its ends when it runs for ten.
_LIMITS = ((2, timedelta(minutes=10)), (3, timedelta(hours=1)))
# So many lines before the end tell why; those of requests are of anybody's text.
_LAST = 200


@dataclass(frozen=True)
class Crash:
    """A container of MIC, NMI or the webhook that ends again and again."""

    pod: Raw
    restarts: int
    reason: str
    code: int | None
    time: str

    @property
    def label(self) -> str:
        return label_of(self.pod)

    @property
    def node(self) -> str:
        return str((self.pod.get("spec") or {}).get("nodeName") or "")

    @property
    def evidence(self) -> Evidence:
        code = "" if self.code is None else f", last with exit code {self.code}"
        return Evidence(self.label, f"It was restarted {self.restarts} times{code} ({self.reason}).", self.time)


def all_of(*parts: str) -> t.Pattern[str]:
    """Lines with each of these somewhere; one pass for each, whatever the line is."""
    return re.compile("^" + "".join(f"(?=.*(?:{part}))" for part in parts), re.IGNORECASE)


@dataclass(frozen=True)
class Reason:
    """Why a program ends, by a line of its log."""

    key: str
    pattern: t.Pattern[str]
    cause: str
    remedy: str


ARGUMENTS, NO_KUBENET, RIGHTS = "arguments", "kubenet", "rights"
FORBIDDEN = re.compile(r"is forbidden: User \"system:serviceaccount:")
_ARGUMENT = re.compile(r"(?:unknown flag: |flag provided but not defined: )-{1,2}([A-Za-z0-9][A-Za-z0-9_-]{0,80})")
_OF_BOTH = (
    Reason(ARGUMENTS, _ARGUMENT, "", ""),
    Reason(
        "memory",
        re.compile(r"fatal error: runtime: out of memory"),
        "its memory does not suffice",
        "Give it more memory (resources.limits.memory).",
    ),
    Reason(
        RIGHTS,
        FORBIDDEN,
        "its service account lacks rights in the cluster",
        "Install the ClusterRole and the ClusterRoleBinding of the chart again.",
    ),
)
OF_MIC = (
    *_OF_BOTH,
    Reason(
        "lease",
        re.compile(r"lost (?:the )?leader lease|leaderelection lost|leader election lost", re.IGNORECASE),
        "it loses the lock of its leader, because the API server answers too slowly",
        "Look at the load of the API server and at what throttles MIC (clientQps); upgrade to 1.8.17.",
    ),
    Reason(
        "variable",
        re.compile(r"MIC_POD_NAMESPACE"),
        "its variable MIC_POD_NAMESPACE is not set",
        "Set it to metadata.namespace, as the chart does.",
    ),
    Reason(
        "configuration",
        all_of(r"azure\.json|cloud ?config", "failed|could not|unable|no such file"),
        "it cannot read the configuration of the node (azure.json)",
        "Mount /etc/kubernetes/azure.json, as the chart does, or name the credentials with adminsecret.",
    ),
)
OF_NMI = (
    *_OF_BOTH,
    Reason(NO_KUBENET, re.compile(r"not supported for Kubenet"), "", ""),
    Reason(
        "port",
        re.compile(r"bind: address already in use"),
        "another program on the node has its port, which may be another NMI",
        "Take the other NMI away, or give this one other ports (nmi.probePort, nmi.prometheusPort).",
    ),
    Reason(
        "lock",
        all_of("iptables|xtables", r"Resource temporarily unavailable|exit status 4\b|xtables lock"),
        "another program on the node holds the lock of iptables",
        "Upgrade to 1.8.17, mount /run/xtables.lock as the chart does, and find what writes rules there all the time.",
    ),
    Reason(
        "permission",
        all_of("iptables", "Permission denied|Operation not permitted"),
        "it may not write iptables rules",
        "Run it as root with the capabilities NET_ADMIN and NET_RAW: see its securityContext and what changes pods.",
    ),
    Reason(
        "kernel",
        all_of(
            "iptables",
            r"can't initialize|iptables who\?|do you need to insmod|or your kernel|iptables version|"
            "Table does not exist|not supported",
        ),
        "its iptables does not fit the kernel of the node",
        "Upgrade the image of the nodes and of NMI (1.8.17).",
    ),
)
# azure-workload-identity 1.3.0: pkg/config/config.go, and what cert-controller 0.10 does with its certificate
# (pkg/rotator/rotator.go), for want of which it ends.
OF_WEBHOOK = (
    *_OF_BOTH,
    Reason(
        "tenant",
        re.compile(r"tenant ID is required"),
        "it is not told the tenant (AZURE_TENANT_ID)",
        "Give it the tenant (azureTenantID of its chart).",
    ),
    Reason(
        "certificate",
        re.compile(
            r"acquiring secret to update certificates|could not refresh (?:cert on startup|(?:CA and )?server certs)|"
            "could not (?:mount certs|inject certs to webhooks)"
        ),
        "it cannot keep its certificate (Secret azure-wi-webhook-server-cert)",
        "Install its chart again, which makes the Secret and lets the webhook write it and its configuration.",
    ),
)


def crash_of(pod: Raw, observed: Observed) -> Crash | None:
    """Whether a container of a pod of MIC, NMI or the webhook ends again and again.

    The same is told of one that has just ended, that waits for its next start, or that runs until its next end; with
    which exit code it ended does not matter, because none of these programs is to end.
    """
    for container in (pod.get("status") or {}).get("containerStatuses") or ():
        state, restarts = container.get("state") or {}, int(container.get("restartCount") or 0)
        ended = state.get("terminated") or (container.get("lastState") or {}).get("terminated") or {}
        waits = str((state.get("waiting") or {}).get("reason") or "")
        when = moment(str(ended.get("finishedAt") or ""))
        ends = restarts + bool(ended and (state.get("terminated") or waits))
        again = when is not None and any(ends >= often and observed.now - when < lately for often, lately in _LIMITS)
        if waits == "CrashLoopBackOff" or again:
            reason = shown(ended.get("reason") or waits or "Error", 100)
            return Crash(pod, restarts, reason, ended.get("exitCode"), written(when) if when else "")
    return None


def crashed(
    observed: Observed, one: Component, reasons: t.Sequence[Reason]
) -> tuple[tuple[Reason, tuple[Crash, ...]], ...]:
    """The pods of a component that crash, by the reason that their state or their logs tell."""
    found: dict[str, tuple[Reason, list[Crash]]] = {}
    for pod in one.pods:
        crash = crash_of(pod, observed)
        if crash:
            reason = _reason(observed, one, crash, reasons)
            found.setdefault(reason.key, (reason, []))[1].append(crash)
    return tuple((reason, tuple(several)) for reason, several in found.values())


_UNTOLD = Reason("", re.compile("$^"), "", "")


def _reason(observed: Observed, one: Component, crash: Crash, reasons: t.Sequence[Reason]) -> Reason:
    if crash.reason == "OOMKilled":
        return next(each for each in reasons if each.key == "memory")
    for reason in reasons:
        for dummy in _told(observed, one, crash, reason.pattern):
            if reason.key != ARGUMENTS or any(True for dummy in unknown_arguments(observed, one, (crash,))):
                return reason
    return _UNTOLD


def _told(
    observed: Observed, one: Component, crash: Crash, pattern: t.Pattern[str]
) -> t.Iterator[tuple[Log, Line, t.Match[str]]]:
    """Lines at the end of its logs that are errors, or no lines of the log at all."""
    for log in logs_of(observed, one.program, crash.pod):
        for line, found in replace(log, lines=_end(log)).matching(pattern):
            if line.severity not in ("I", "W"):
                yield log, line, found


def _end(log: Log) -> tuple[Line, ...]:
    """Behind the line that ended it a program may write the stack of everything that ran, which is as long."""
    fatal = (place for place, line in enumerate(log.lines, 1) if _is_fatal(line))
    last = max(fatal, default=0)
    return (*log.lines[max(last - _LAST, 0) : last], *log.lines[last:][-_LAST:])


def _is_fatal(line: Line) -> bool:
    return line.severity == "F" or line.text.startswith("panic:")


def unknown_arguments(
    observed: Observed, one: Component, crashes: t.Sequence[Crash]
) -> t.Iterator[tuple[str, Evidence]]:
    """Those that a log complains of and that the template has."""
    given = _given_arguments(one.workload)
    told = set()
    for crash in crashes:
        for log, line, found in _told(observed, one, crash, _ARGUMENT):
            if found[1] in given and found[1] not in told:
                told.add(found[1])
                yield f"--{found[1]}", said_by(log, line)


def _given_arguments(workload: Raw) -> frozenset[str]:
    template = ((workload.get("spec") or {}).get("template") or {}).get("spec") or {}
    return frozenset(
        str(argument).lstrip("-").partition("=")[0]
        for container in template.get("containers") or ()
        for argument in (*(container.get("command") or ()), *(container.get("args") or ()))
        if str(argument).startswith("-")
    )


def last_words(observed: Observed, one: Component, reason: Reason, crashes: t.Sequence[Crash]) -> tuple[Evidence, ...]:
    """The line that tells the reason, else the last that the program wrote before it ended."""
    for crash in crashes:
        for log, line, _found in _told(observed, one, crash, reason.pattern):
            return (said_by(log, line),)
    for crash in crashes:
        for log in logs_of(observed, one.program, crash.pod):
            fatal = [line for line in log.lines if _is_fatal(line)]
            if fatal or (log.previous and log.lines):
                line = (fatal or [each for each in log.lines if each.text] or log.lines)[-1]
                return (said_by(log, line),)
    return ()


def logs_of(observed: Observed, program: str, pod: Raw) -> t.Iterator[Log]:
    """That of the run before the restart first."""
    found = [log for log in observed.logs_of(program) if (log.namespace, log.pod) == place(pod)]
    return iter(sorted(found, key=lambda log: not log.previous))


def lines_of(observed: Observed, program: str, pod: Raw, pattern: t.Pattern[str]) -> t.Iterator[tuple[Log, Line]]:
    for log in logs_of(observed, program, pod):
        for line, _found in log.matching(pattern):
            yield log, line
