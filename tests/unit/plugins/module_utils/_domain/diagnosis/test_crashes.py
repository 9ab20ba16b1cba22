# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A program that ends again and again is told the same at whatever moment one looks at it."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.diagnosis.crashes import crash_of
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.diagnosis.diagnose import diagnose
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.diagnosis.observed import Observed
from ansible_collections.azureops.pod_identity.tests.support.cluster_objects import Raw
from ansible_collections.azureops.pod_identity.tests.support.installed_objects import installed, log, observed, pod_of

JUST_NOW, LATELY, SOME_TIME_AGO, LONG_AGO = (f"2026-03-01T{time}:00Z" for time in ("11:59", "11:52", "11:20", "09:00"))
FATAL = "F0301 11:50:00.000000 1 iptables.go:1] iptables: Resource temporarily unavailable, exit status 4"
STARTS = "I0301 11:58:00.000000 1 main.go:1] starting nmi process"


def ended(finished: str, code: int) -> Raw:
    return {"terminated": {"exitCode": code, "reason": "Error" if code else "Completed", "finishedAt": finished}}


def status(restarts: int, state: Raw, last: Raw) -> Raw:
    return {"restartCount": restarts, "state": state, "lastState": last}


Moment = t.Callable[[int, Raw], Raw]
"""The status of a container that has ended so often, the last time so."""
MOMENTS: dict[str, Moment] = {
    "it has just ended": lambda ends, last: status(ends - 1, last, ended(LONG_AGO, 1) if ends > 1 else {}),
    "it waits": lambda ends, last: status(ends - 1, {"waiting": {"reason": "CrashLoopBackOff"}}, last),
    "it cannot be started": lambda ends, last: status(ends - 1, {"waiting": {"reason": "RunContainerError"}}, last),
    "it runs": lambda ends, last: status(ends, {"running": {}}, last),
    "it runs and is Ready": lambda ends, last: {**status(ends, {"running": {}}, last), "ready": True},
}
# What is seen in no moment of a program that has ended once: the kubelet starts it again at once.
ONCE = [name for name in MOMENTS if name != "it waits"]
# How often it ended, and when for the last time.
AGAIN = [(2, JUST_NOW), (2, LATELY), (3, SOME_TIME_AGO), (40, LATELY)]
NOT_AGAIN = [(1, JUST_NOW), (2, SOME_TIME_AGO), (3, LONG_AGO), (40, LONG_AGO)]


def seen(status: Raw) -> Observed:
    """A cluster with that container of NMI, which says that it is not active as long as it runs."""
    objects = installed()
    nmi = objects["DaemonSet"][0]
    pod = pod_of(nmi, "nmi-1", ready=bool(status.get("ready")), status=status)
    objects["Pod"] = [each for each in objects["Pod"] if each["metadata"]["name"] != "nmi-1"] + [pod]
    runs = "running" in status["state"]
    logs = log("nmi", "nmi-1", FATAL, previous=True), log("nmi", "nmi-1", STARTS if runs else FATAL)
    return observed(objects, logs=logs, health={"Pod kube-system/nmi-1": "Not Active"} if status.get("ready") else {})


def told(status: Raw) -> list[tuple[t.Any, ...]]:
    """All that a diagnosis tells, but how often it was restarted."""
    return [
        (*(one.code, one.severity, one.object, one.certainty, one.because, one.symptom, one.cause, one.fix),)
        + tuple(each.source for each in one.evidence)
        for one in diagnose(seen(status)).causes
    ]


@pytest.mark.parametrize("code", [0, 1, 137, 255])
@pytest.mark.parametrize(("ends", "finished"), AGAIN)
def test_what_is_told_does_not_depend_on_the_moment(ends: int, finished: str, code: int) -> None:
    several = {name: told(make(ends, ended(finished, code))) for name, make in MOMENTS.items()}
    assert [one[0] for one in several["it waits"]] == ["nmi_crashing"]
    assert several == dict.fromkeys(several, several["it waits"])


@pytest.mark.parametrize("code", [0, 1, 137, 255])
@pytest.mark.parametrize("moment", ONCE)
@pytest.mark.parametrize(("ends", "finished"), NOT_AGAIN)
def test_what_has_ended_once_or_long_ago_does_not_end_again_and_again(
    ends: int, finished: str, moment: str, code: int
) -> None:
    observed = seen(MOMENTS[moment](ends, ended(finished, code)))
    pods = {str(each["metadata"]["name"]): each for each in observed.objects["Pod"]}
    assert crash_of(pods["nmi-1"], observed) is None


def test_what_never_ended_does_not_either() -> None:
    states: tuple[Raw, ...] = ({"running": {}}, {"waiting": {"reason": "ContainerCreating"}}, {})
    for state in states:
        observed = seen({"restartCount": 0, "state": state})
        assert not [one for one in diagnose(observed).causes if one.code == "nmi_crashing"]
