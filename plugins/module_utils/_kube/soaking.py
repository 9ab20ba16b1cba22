# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Reads the pods of workloads, and what NMI on their nodes has written since these run."""

from __future__ import annotations

import threading
import typing as t
from functools import partial

from .. import _progress
from .._domain.diagnosis import logs as log_lines
from .._domain.kubernetes import progress, restarts
from .._domain.matching.matching import controller
from .._domain.migration import soaking
from .._domain.migration.soaking import Log, Soak
from . import installation
from .client import AT_ONCE, Client
from .errors import ApiFailure
from .kinds import CRON_JOB, JOB, POD, Object, label
from .parallel import in_parallel
from .wait import wait_for
from .workloads import KINDS

_CONTAINER = "nmi"
_LONGEST_PAUSE = 60
_MOST = 20_000_000  # bytes of one log
_FIRST = 2_000  # bytes, in which the first line has its time


def observe(client: Client, workloads: t.Sequence[t.Mapping[str, str]]) -> list[Soak]:
    """In the order of ``workloads``, each with ``kind``, ``namespace`` and ``name``."""
    raws = [client.get(KINDS[each["kind"]], each["namespace"], each["name"]) for each in workloads]
    pods = [_pods(client, each["kind"], raw) for each, raw in zip(workloads, raws)]
    since: dict[str, str] = {}
    for each, several in zip(workloads, pods):
        for raw in soaking.looked_at(each["kind"], several):
            node = str((raw.get("spec") or {}).get("nodeName") or "")
            since[node] = min(filter(None, (since.get(node), soaking.began(raw))), default="")
    survey = installation.find(client)
    places = [
        (found.daemon_set["metadata"]["namespace"], state.pod, state.node)
        for found in survey.installations
        for state in found.nodes
        if state.pod and state.node in since
    ]
    now = client.server_time()
    read = in_parallel(
        [partial(_log, client, *place, since[place[2]]) for place in places],
        AT_ONCE,
        repeat_alone=lambda _log: False,
        stop=threading.Event(),
    )
    logs = {log.node: log for log in read}

    def judged(kind: str, raw: Object | None, several: t.Sequence[Object]) -> Soak:
        if raw is None:
            return _GONE
        if kind == CRON_JOB.name:
            return soaking.judge_runs(raw, several, logs, now)
        return soaking.judge(several, logs, now, progress.of(kind, raw).replicas)

    return [judged(each["kind"], raw, several) for each, raw, several in zip(workloads, raws, pods)]


def wait(
    connect: t.Callable[[], Client],
    workloads: t.Sequence[t.Mapping[str, str]],
    seconds: int,
    *,
    timeout: float,
) -> list[Soak]:
    """As ``observe``, once nothing more is waited for (soaking.is_awaited), or as it is after ``timeout`` seconds."""
    last: list[list[Soak]] = []
    names = [label(KINDS[each["kind"]], each["namespace"], each["name"]) for each in workloads]

    def look() -> list[Soak] | None:
        found = observe(connect(), workloads)
        last[:] = [found]
        _progress.tell(soaking.progress(dict(zip(names, found)), seconds))
        return None if any(soaking.is_awaited(each, seconds) for each in found) else found

    pause = min(max(seconds / 10, 2), _LONGEST_PAUSE)
    return wait_for(look, timeout=timeout, pause=pause) or last[0]


# Others are looked at all the same.
_GONE = Soak(0, unproved="It does not exist.", exists=False)


def _pods(client: Client, kind: str, raw: Object | None) -> t.Sequence[Object]:
    """Those that it selects, or of a CronJob those of its Jobs."""
    if raw is None:
        return ()
    place = raw["metadata"]
    if kind == CRON_JOB.name:
        jobs = client.list_all(JOB, place["namespace"])
        names = {("Job", each["metadata"]["name"]) for each in jobs if controller(each) == (kind, place["name"])}
        made = client.list_all(POD, place["namespace"], labels="job-name") if names else ()
        return tuple(each for each in made if controller(each) in names)
    return client.list_all(POD, raw["metadata"]["namespace"], labels=restarts.label_selector(raw))


def _log(client: Client, namespace: str, pod: str, node: str, since: str) -> Log:
    now = client.server_time()
    try:
        first = client.log(namespace, pod, _CONTAINER, timestamps="true", limitBytes=_FIRST)
        text = client.log(namespace, pod, _CONTAINER, timestamps="true", limitBytes=_MOST, sinceTime=since)
    except ApiFailure as failure:
        return Log(node, unread=failure.sentence)
    begins = soaking.first_time(log_lines.parse(first, now))
    return Log(
        node, begins, log_lines.parse(text, now), whole=len(text) < _MOST and text.count(b"\n") < log_lines.MOST_LINES
    )
