# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How long pods have used Workload ID, by the pods themselves and by what NMI on their nodes has written."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.diagnosis import logs
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.migration import soaking
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.migration.soaking import Log, Soak, Taken
from ansible_collections.azureops.pod_identity.tests.unit.tables import table

NOW = datetime(2026, 11, 30, 3, tzinfo=timezone.utc)
START, BEFORE = "2026-11-30T01:00:00Z", "2026-11-29T00:00:00Z"
PATH = "/metadata/identity/oauth2/token"


def pod(name: str = "web-1", start: str = START, ip: str = "10.0.0.9", **status: Any) -> dict[str, Any]:
    env = [{"name": "AZURE_FEDERATED_TOKEN_FILE", "value": "/token"}]
    return {
        "metadata": {"namespace": "shop", "name": name, "creationTimestamp": BEFORE},
        "spec": {"nodeName": "n1", "containers": [{"name": "app", "env": env}]},
        "status": {"phase": "Running", "podIP": ip, "startTime": start, **status},
    }


def asked(time: str = "2026-11-30T02:00:00Z", status: int = 200, path: str = PATH, ip: str = "10.0.0.9") -> str:
    said = f"status ({status}) took 5000 ns for req.method=GET reg.path={path} req.remote={ip}"
    return f"{time} I1130 02:00:00.000000       1 server.go:200] {said}"


def log(*lines: str, begins: str = BEFORE, **more: Any) -> dict[str, Log]:
    return {"n1": Log("n1", begins, logs.parse("\n".join(lines), NOW), **more)}


def test_the_youngest_pod_counts() -> None:
    found = soaking.judge([pod(), pod("web-2", "2026-11-30T02:30:00Z")], log(), NOW, 1)
    assert (found.pods, found.since, found.covered_since, found.seconds) == (2, "2026-11-30T02:30:00Z") + (
        "2026-11-30T02:30:00Z",
        1800,
    )
    ended = pod("web-2", "2026-11-30T02:30:00Z", phase="Succeeded")
    assert soaking.judge([pod(), ended], log(), NOW, 1).seconds == 7200


def test_a_log_counts_as_far_back_as_it_goes() -> None:
    found = soaking.judge([pod()], log(begins="2026-11-30T02:45:00Z"), NOW, 1)
    assert (found.since, found.covered_since, found.seconds) == (START, "2026-11-30T02:45:00Z", 900)


def test_where_there_is_no_nmi_nothing_intercepts_requests() -> None:
    assert soaking.judge([pod()], {}, NOW, 1).seconds == 7200


@table(
    "line, count",
    (asked(), 1),
    (asked(path=f"{PATH}/"), 1),
    (asked(path="/Metadata/Identity/OAuth2/Token"), 1),
    (asked(status=404), 0),
    (asked(path="/metadata/instance"), 0),
    (asked(ip="10.0.0.8"), 0),
    (asked("2026-11-30T00:59:59Z"), 0),  # of the pod that had the address before
    ("what is no such line", 0),
)
def test_tokens_of_nmi(line: str, count: int) -> None:
    found = soaking.judge([pod()], log(line), NOW, 1)
    assert [(each.pod, each.node, each.count, each.last) for each in found.tokens] == (
        [("shop/web-1", "n1", 1, "2026-11-30T02:00:00Z")] if count else []
    )
    assert found.seconds == 7200


UNPROVED = {
    "does not run yet": (pod(phase="Pending"), log()),
    "was not changed by the webhook": ({**pod(), "spec": {"nodeName": "n1", "containers": [{"name": "app"}]}}, log()),
    "was not read: Forbidden.": (pod(), log(unread="Forbidden.")),
    "is empty": (pod(), log(begins="")),
    "more lines than are read": (pod(), log(whole=False)),
}


@pytest.mark.parametrize("reason", UNPROVED)
def test_what_proves_nothing(reason: str) -> None:
    raw, of_nmi = UNPROVED[reason]
    found = soaking.judge([raw], of_nmi, NOW, 1)
    assert reason in found.unproved and found.seconds == 0


def test_without_pods_there_is_nothing_to_prove() -> None:
    assert soaking.judge([], log(), NOW, 0) == Soak(0)
    assert soaking.judge([], log(), NOW, 0).view()["tokens"] == []


TAKEN = (Taken("shop/web-1", "n1", 1, START),)


@table(
    "soak, over",
    (Soak(2, START, START, 7199), False),
    (Soak(2, START, START, 7200), True),
    (Soak(2, START, START, 0, "A log was not read."), False),
    (Soak(2, START, START, 60, tokens=TAKEN), True),  # no time makes that good
    (Soak(0), True),
    (Soak(0, unproved="Of 2 pods it has none."), False),
    (Soak(0, unproved="It does not exist.", exists=False), True),
)
def test_what_is_waited_for(soak: Soak, over: bool) -> None:
    assert soaking.is_over(soak, 7200) == over


def test_what_is_told_meanwhile() -> None:
    """How much is proved of the one that takes longest, and what NMI gave."""
    web, api = Soak(2, START, START, 900), Soak(1, START, START, 9000)
    told = "1 of 2 workloads are to use Workload ID for longer: of web 900 of 7200 seconds are proved"
    assert soaking.progress({"api": api, "web": web}, 7200) == f"{told}; NMI gave no token to any"
    unread = Soak(2, START, START, 0, "The log of NMI on node n1 was not read: Forbidden.")
    told = "1 of 2 workloads are to use Workload ID for longer: The log of NMI on node n1 was not read: Forbidden"
    taking = Soak(1, START, START, 60, tokens=TAKEN)
    assert soaking.progress({"api": taking, "web": unread}, 7200) == f"{told}; NMI gave tokens to 1 of them"
    assert soaking.progress({"api": api}, 7200) == "1 workloads were looked at; NMI gave no token to any"


def test_pods_that_are_missing_prove_nothing() -> None:
    """Such as between the end of a node and that of its pods elsewhere."""
    ended = pod(phase="Failed")
    assert soaking.judge([ended], log(), NOW, 2).unproved == "Of 2 pods it has none."


# CronJobs, whose pods end


SWITCHED = "2026-11-30T00:30:00Z"


def nightly(time: str = SWITCHED, label: str = "azure.workload.identity/use") -> dict[str, Any]:
    """``time``: when its template got the label of Workload ID."""
    fields: dict[str, Any] = {f"f:{label}": {}}
    for name in ("labels", "metadata", "template", "spec", "jobTemplate", "spec"):
        fields = {f"f:{name}": fields}
    entries = [{"manager": "azureops", "time": time, "fieldsV1": fields}, {"manager": "kubectl", "fieldsV1": {}}]
    return {"metadata": {"namespace": "shop", "name": "nightly", "managedFields": entries}}


def run_of(name: str = "nightly-1", phase: str = "Succeeded", ended: str = "2026-11-30T01:05:00Z") -> dict[str, Any]:
    status = [{"name": "app", "state": {"terminated": {"finishedAt": ended}}}]
    return pod(name, phase=phase, containerStatuses=status)


def bare(raw: dict[str, Any]) -> dict[str, Any]:
    """The webhook has not changed it."""
    return {**raw, "spec": {"nodeName": "n1", "containers": [{"name": "app"}]}}


def test_a_cron_job_is_proved_by_a_run_that_succeeded() -> None:
    """And by the time since it was switched, which its pods do not tell once they are removed."""
    found = soaking.judge_runs(nightly(), [run_of()], log(), NOW)
    assert (found.pods, found.since, found.seconds, found.unproved) == (1, SWITCHED, 9000, "")
    assert soaking.is_over(found, 9000) and not soaking.is_over(found, 9001)
    # Where nobody keeps when that was, the run itself tells.
    assert soaking.judge_runs({"metadata": {}}, [run_of()], log(), NOW).since == START
    assert soaking.judge_runs(nightly(label="app"), [run_of()], log(), NOW).since == START


NO_PROOF = {
    "None of its pods that are kept has ended with Workload ID": [],
    "has ended with Workload ID; its next run proves it": [pod()],
    "Pod shop/old was not changed by the webhook of Workload ID": [bare(pod("old")), run_of()],
    "its next run proves it, or kubectl -n shop create job --from=cronjob/nightly NAME": [bare(run_of())],
    "Pod shop/nightly-1 ran with Workload ID and failed": [run_of(phase="Failed")],
}


@pytest.mark.parametrize("reason", NO_PROOF)
def test_a_cron_job_that_did_not_run_is_not_proved(reason: str) -> None:
    """However long it is there; it is waited for until its time is over, and no longer."""
    found = soaking.judge_runs(nightly(), NO_PROOF[reason], log(), NOW)
    assert reason in found.unproved and found.seconds == 9000
    assert not soaking.is_over(found, 60) and not soaking.is_awaited(found, 60)
    assert soaking.is_awaited(found, 9001)


def test_a_suspended_cron_job_has_to_be_started() -> None:
    suspended = {**nightly(), "spec": {"suspend": True}}
    why = soaking.judge_runs(suspended, [], log(), NOW).unproved
    assert why.endswith("Workload ID, and it is suspended: kubectl -n shop create job --from=cronjob/nightly NAME.")


def test_a_run_that_the_log_of_nmi_does_not_tell() -> None:
    for of_nmi, reason in (
        (log(begins="2026-11-30T01:01:00Z"), "The log of NMI on node n1 begins after Pod shop/nightly-1"),
        (log(unread="Forbidden."), "was not read"),
    ):
        assert reason in soaking.judge_runs(nightly(), [run_of()], of_nmi, NOW).unproved


def test_tokens_that_nmi_gave_to_a_run() -> None:
    """Until it ended: its address is that of another pod then."""
    lines = log(asked("2026-11-30T01:02:00Z"), asked("2026-11-30T02:00:00Z"))
    (taken,) = soaking.judge_runs(nightly(), [run_of()], lines, NOW).tokens
    assert (taken.pod, taken.count) == ("shop/nightly-1", 1)
    # Only the last run is asked about, so that no log of days has to be read.
    earlier = {**run_of("nightly-0"), "status": {**run_of()["status"], "startTime": BEFORE}}
    assert soaking.looked_at("CronJob", [run_of(), earlier]) == [run_of()]
