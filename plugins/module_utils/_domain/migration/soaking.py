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
from ..matching.matching import Pod, Raw
from ..moments import moment
from ..tokens import mutation

# pkg/nmi/server/server.go, appHandler: NMI writes it after each request.
_STATUS = re.compile(
    r"status \((?P<status>\d{3})\) took \d{1,15} ns for req\.method=\S{1,20} reg\.path=(?P<path>\S{1,500}) "
    r"req\.remote=(?P<address>[\d.]{7,15})"
)
_TOKEN = "/identity/oauth2/token"


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


def progress(soaks: t.Mapping[str, Soak], seconds: int) -> str:
    """What is waited for, by the labels of workloads; ``seconds``: that have to be proved of each."""
    waiting = {label: soak for label, soak in soaks.items() if not is_over(soak, seconds)}
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


def _why_unproved(parsed: t.Iterable[tuple[Raw, Pod]], logs: t.Mapping[str, Log]) -> str:
    for raw, pod in parsed:
        log = logs.get(pod.node)
        if not pod.node or pod.phase != "Running":
            return f"{pod.label} does not run yet."
        if not mutation.is_mutated(raw):
            return f"{pod.label} was not changed by the webhook of Workload ID."
        if log and log.unread:
            return f"The log of NMI on node {pod.node} was not read: {log.unread}"
        if log and not log.begins:
            return f"The log of NMI on node {pod.node} is empty, so that it tells nothing."
        if log and not log.whole:
            return f"The log of NMI on node {pod.node} has more lines than are read."
    return ""


def _taken(pod: Pod, since: str, log: Log) -> t.Iterator[Taken]:
    """An address may have been that of another pod before."""
    times = []
    for line in log.lines:
        found = _STATUS.search(line.text)
        if found and found["address"] == pod.ip and found["status"] == "200" and _TOKEN in found["path"].lower():
            if line.time >= since:
                times.append(line.time)
    if times and not pod.host_network:
        yield Taken(pod.place, pod.node, len(times), max(times))


def first_time(lines: t.Sequence[Line]) -> str:
    return next((line.time for line in lines if line.time), "")
