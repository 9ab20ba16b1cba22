# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""How long the pods of a workload have used Workload ID, and what NMI's logs prove of that time."""

from __future__ import annotations

import re
import typing as t
from dataclasses import asdict, dataclass, fields
from datetime import datetime

from ..diagnosis.logs import Line
from ..installation.workload_identity_webhook import USE_LABEL
from ..matching.matching import Pod, Raw
from ..moments import moment
from ..tokens import mutation

# pkg/nmi/server/server.go, appHandler: NMI writes it after each request.
_STATUS = re.compile(
    r"status \((?P<status>\d{3})\) took \d{1,15} ns for req\.method=\S{1,20} reg\.path=(?P<path>\S{1,500}) "
    r"req\.remote=(?P<address>[\d.]{7,15})"
)
_TOKEN = "/identity/oauth2/token"
CRON_JOB = "CronJob"


@dataclass(frozen=True)
class Log:
    """Of NMI on one node. ``begins``: the time of its first line that is kept, '' where none is known.

    ``lines``: since a time that was asked for; ``whole``: all of them. ``unread``: why it was not read.
    """

    node: str
    begins: str = ""
    lines: tuple[Line, ...] = ()
    whole: bool = True
    unread: str = ""


@dataclass(frozen=True)
class Taken:
    """Tokens that a pod got from NMI. ``last``: when it got the last one."""

    pod: str
    node: str
    count: int
    last: str


@dataclass(frozen=True)
class Soak:
    """``pods``: how many live. ``since``: since when each of them runs, '' where none does. ``covered_since``: since
    when NMI's logs tell all of that. ``seconds``: that are proved by now. ``unproved``: why nothing is. ``exists``:
    whether the workload is still there.

    Of a CronJob ``pods`` are those that ran with Workload ID and succeeded, ``since`` is when its template came to have
    the label of Workload ID, and ``seconds`` have passed since then, whether one ran or not.
    """

    pods: int
    since: str = ""
    covered_since: str = ""
    seconds: int = 0
    unproved: str = ""
    tokens: tuple[Taken, ...] = ()
    exists: bool = True

    def view(self) -> dict[str, t.Any]:
        return {**asdict(self), "tokens": [asdict(each) for each in self.tokens]}

    @classmethod
    def parse(cls, view: Raw) -> Soak:
        """Of what ``view`` gave, beside which others may have put more."""
        told = {each.name: view[each.name] for each in fields(cls)}
        return cls(**{**told, "tokens": tuple(Taken(**each) for each in view["tokens"])})


def is_over(soak: Soak, seconds: int) -> bool:
    """Whether nothing more is waited for: as many are proved, NMI gave a token, or there is nothing to prove."""
    if not soak.exists or soak.tokens:
        return True
    return not soak.unproved and (not soak.pods or soak.seconds >= seconds)


def is_awaited(soak: Soak, seconds: int) -> bool:
    """Whether more time may prove it: of a CronJob nobody knows when it runs, so that no more than its time passes."""
    return not is_over(soak, seconds) and soak.seconds < max(seconds, 1)


def progress(soaks: t.Mapping[str, Soak], seconds: int) -> str:
    """What is waited for, by the labels of workloads; ``seconds``: that have to be proved of each."""
    waiting = {label: soak for label, soak in soaks.items() if is_awaited(soak, seconds)}
    taking = sum(1 for soak in soaks.values() if soak.tokens)
    evidence = f"NMI gave tokens to {taking} of them" if taking else "NMI gave no token to any"
    if not waiting:
        return f"{len(soaks)} workloads were looked at; {evidence}"
    label, least = min(waiting.items(), key=lambda each: each[1].seconds)
    proved = least.unproved.rstrip(".") or f"of {label} {least.seconds} of {seconds} seconds are proved"
    return f"{len(waiting)} of {len(soaks)} workloads are to use Workload ID for longer: {proved}; {evidence}"


def began(raw: Raw) -> str:
    """When the pod was started, or else made."""
    return str((raw.get("status") or {}).get("startTime") or (raw.get("metadata") or {}).get("creationTimestamp") or "")


def ended(raw: Raw) -> str:
    """When the last of its containers ended; '' where that is not told."""
    status = raw.get("status") or {}
    every = (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ()))
    told = (((each.get("state") or {}).get("terminated") or {}).get("finishedAt") for each in every)
    return max(map(str, filter(None, told)), default="")


def looked_at(kind: str, pods: t.Iterable[Raw]) -> list[Raw]:
    """Those of which NMI's logs are read: of a CronJob those that run, and the last that succeeded."""
    if kind != CRON_JOB:
        return living(pods)
    ran = list(filter(mutation.is_mutated, pods))
    done = sorted((raw for raw in ran if Pod.parse(raw).phase == "Succeeded"), key=began)
    return [*living(ran), *done[-1:]]


def living(pods: t.Iterable[Raw]) -> list[Raw]:
    return [raw for raw in pods if Pod.parse(raw).lives]


def judge(pods: t.Iterable[Raw], logs: t.Mapping[str, Log], now: datetime, wanted: int) -> Soak:
    """``pods``: of one workload, which is to have as many as ``wanted``.

    ``logs``: of NMI, by node; where one is missing, nothing intercepts requests.
    """
    mine = living(pods)
    if not mine:
        return Soak(0, unproved=f"Of {wanted} pods it has none." if wanted else "")
    since = max(map(began, mine))
    parsed = [(raw, Pod.parse(raw)) for raw in mine]
    tokens = tuple(taken for raw, pod in parsed for taken in _taken(pod, began(raw), logs.get(pod.node, Log(pod.node))))
    begins = [since, *(logs[pod.node].begins for _raw, pod in parsed if pod.node in logs)]
    covered = max(begins)
    why = _why_unproved(parsed, logs)
    start = moment(covered)
    seconds = 0 if why or start is None else max(0, int((now - start).total_seconds()))
    return Soak(len(mine), since, covered, seconds, why, tokens)


def judge_runs(cron_job: Raw, pods: t.Iterable[Raw], logs: t.Mapping[str, Log], now: datetime) -> Soak:
    """``pods``: of its Jobs, also those that have ended."""
    every = list(pods)
    looked = [(raw, Pod.parse(raw)) for raw in looked_at(CRON_JOB, every)]
    tokens = tuple(
        taken
        for raw, pod in looked
        for taken in _taken(pod, began(raw), logs.get(pod.node, Log(pod.node)), "" if pod.lives else ended(raw))
    )
    since = _labelled_since(cron_job) or min((began(raw) for raw, _pod in looked), default="")
    start = moment(since)
    seconds = 0 if start is None else max(0, int((now - start).total_seconds()))
    succeeded = sum(mutation.is_mutated(raw) and Pod.parse(raw).phase == "Succeeded" for raw in every)
    return Soak(succeeded, since, since, seconds, _why_no_run(cron_job, every, looked, logs), tokens)


def _why_no_run(
    cron_job: Raw, every: t.Iterable[Raw], looked: t.Sequence[tuple[Raw, Pod]], logs: t.Mapping[str, Log]
) -> str:
    """Why no run proves that it uses Workload ID; '' where one does."""
    parsed = [(raw, Pod.parse(raw)) for raw in every]
    old = next((pod for raw, pod in parsed if pod.lives and not mutation.is_mutated(raw)), None)
    if old:
        return f"{old.label} was not changed by the webhook of Workload ID, and has not ended yet."
    done = next(((raw, pod) for raw, pod in looked if pod.phase == "Succeeded"), None)
    if done:
        raw, pod = done
        log = logs.get(pod.node)
        if log and log.begins > began(raw):
            return f"The log of NMI on node {log.node} begins after {pod.label}, so that it tells nothing of that."
        return _why_unread(log) if log else ""
    place = cron_job["metadata"]
    start = f"kubectl -n {place['namespace']} create job --from=cronjob/{place['name']} NAME"
    failed = next((pod for raw, pod in parsed if pod.phase == "Failed" and mutation.is_mutated(raw)), None)
    if failed:
        return f"{failed.label} ran with Workload ID and failed, and none has succeeded: see its log, then {start}."
    suspended = (cron_job.get("spec") or {}).get("suspend")
    then = f", and it is suspended: {start}" if suspended else f"; its next run proves it, or {start}"
    return f"None of its pods that are kept has ended with Workload ID{then}."


_PATH_OF_LABEL = ("spec", "jobTemplate", "spec", "template", "metadata", "labels", USE_LABEL)


def _labelled_since(cron_job: Raw) -> str:
    """When whoever gave the template the label of Workload ID wrote the object last; '' where that is not kept."""
    times = []
    for entry in (cron_job.get("metadata") or {}).get("managedFields") or ():
        fields_of: t.Any = entry.get("fieldsV1") or {}
        for name in _PATH_OF_LABEL:
            fields_of = fields_of.get(f"f:{name}") if isinstance(fields_of, dict) else None
        if fields_of is not None:
            times.append(str(entry.get("time") or ""))
    return max(times, default="")


def _why_unproved(parsed: t.Iterable[tuple[Raw, Pod]], logs: t.Mapping[str, Log]) -> str:
    for raw, pod in parsed:
        log = logs.get(pod.node)
        if not pod.node or pod.phase != "Running":
            return f"{pod.label} does not run yet."
        if not mutation.is_mutated(raw):
            return f"{pod.label} was not changed by the webhook of Workload ID."
        why = _why_unread(log) if log else ""
        if why:
            return why
    return ""


def _why_unread(log: Log) -> str:
    if log.unread:
        return f"The log of NMI on node {log.node} was not read: {log.unread}"
    if not log.begins:
        return f"The log of NMI on node {log.node} is empty, so that it tells nothing."
    return "" if log.whole else f"The log of NMI on node {log.node} has more lines than are read."


def _taken(pod: Pod, since: str, log: Log, until: str = "") -> t.Iterator[Taken]:
    """An address may have been that of another pod before, or afterwards."""
    times = []
    for line in log.lines:
        found = _STATUS.search(line.text)
        if found and found["address"] == pod.ip and found["status"] == "200" and _TOKEN in found["path"].lower():
            if line.time >= since and (not until or line.time <= until):
                times.append(line.time)
    if times and not pod.host_network:
        yield Taken(pod.place, pod.node, len(times), max(times))


def first_time(lines: t.Sequence[Line]) -> str:
    return next((line.time for line in lines if line.time), "")
