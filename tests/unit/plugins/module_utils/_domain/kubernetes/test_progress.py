# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How far workloads have replaced their pods, and what stops them."""

from __future__ import annotations

from typing import Any

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.kubernetes import progress
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.kubernetes.progress import Progress
from ansible_collections.azureops.pod_identity.tests.support.cluster_objects import owned
from ansible_collections.azureops.pod_identity.tests.unit.tables import for_each

Raw = dict[str, Any]


def workload(status: Raw, **spec: Any) -> Raw:
    return {"metadata": {"generation": 2}, "spec": spec, "status": {"observedGeneration": 2, **status}}


def counted(replicas: int, updated: int, available: int, **more: Any) -> Raw:
    return {"replicas": replicas, "updatedReplicas": updated, "availableReplicas": available, **more}


def of_daemons(wanted: int, updated: int, available: int) -> Raw:
    return {
        "desiredNumberScheduled": wanted,
        "currentNumberScheduled": wanted,
        "updatedNumberScheduled": updated,
        "numberAvailable": available,
    }


ON_DELETE = {"updateStrategy": {"type": "OnDelete"}}


@for_each(
    ("Deployment", workload(counted(2, 2, 2), replicas=2), (2, 2, 2, True)),
    ("Deployment", workload(counted(1, 1, 1)), (1, 1, 1, True)),
    ("Deployment", workload(counted(3, 2, 2), replicas=2), (2, 2, 2, False)),
    ("Deployment", workload(counted(3, 1, 2), replicas=2), (2, 1, 2, False)),
    ("Deployment", workload(counted(2, 2, 1), replicas=2), (2, 2, 1, False)),
    ("Deployment", workload(counted(2, 2, 2, observedGeneration=1), replicas=2), (2, 2, 2, False)),
    ("Deployment", {"metadata": {"generation": 1}, "spec": {"replicas": 1}}, (1, 0, 0, False)),
    ("Deployment", workload({}, replicas=0), (0, 0, 0, True)),
    ("StatefulSet", workload(counted(2, 1, 2), replicas=2), (2, 1, 2, False)),
    ("StatefulSet", workload(counted(2, 2, 2), replicas=2), (2, 2, 2, True)),
    ("StatefulSet", workload(counted(2, 0, 2), replicas=2, **ON_DELETE), (2, 2, 2, True)),
    ("ReplicaSet", workload({"replicas": 2, "availableReplicas": 2}, replicas=2), (2, 2, 2, True)),
    ("DaemonSet", workload(of_daemons(2, 2, 2)), (2, 2, 2, True)),
    ("DaemonSet", workload(of_daemons(2, 1, 2)), (2, 1, 2, False)),
    ("DaemonSet", workload(of_daemons(2, 2, 1)), (2, 2, 1, False)),
    ("DaemonSet", workload(of_daemons(2, 0, 2), **ON_DELETE), (2, 2, 2, True)),
    ("DaemonSet", workload(of_daemons(0, 0, 0)), (0, 0, 0, True)),
    ("CronJob", {"metadata": {"generation": 2}, "spec": {}}, (0, 0, 0, True)),
)
def test_how_far_it_is(kind: str, raw: Raw, told: tuple[int, int, int, bool]) -> None:
    assert progress.of(kind, raw) == Progress(*told)


def pod(made_by: tuple[str, str], digest: str | None = "5d4") -> Raw:
    labels = {} if digest is None else {"pod-template-hash": digest}
    return {"metadata": {"name": "web-5d4-x", "ownerReferences": owned(*made_by), "labels": labels}}


@for_each(
    ("Deployment", pod(("ReplicaSet", "web-5d4")), True),
    ("Deployment", pod(("ReplicaSet", "web-api-5d4")), False),
    ("Deployment", pod(("ReplicaSet", "web-5d4"), None), False),
    ("Deployment", pod(("Deployment", "web")), False),
    ("StatefulSet", pod(("StatefulSet", "web")), True),
    ("StatefulSet", pod(("DaemonSet", "web")), False),
    ("DaemonSet", pod(("DaemonSet", "web")), True),
    ("ReplicaSet", pod(("ReplicaSet", "web")), True),
    ("ReplicaSet", pod(("", "")), False),
)
def test_whose_a_pod_is(kind: str, made: Raw, own: bool) -> None:
    """Pods of another workload may have the same labels."""
    assert progress.belongs(kind, "web", made) is own


def with_status(**status: Any) -> Raw:
    return {"metadata": {"name": "web-1"}, "status": status}


def of_container(state: Raw, *, ready: bool = False) -> Raw:
    return {"name": "app", "ready": ready, "state": state}


UNREADY = [{"type": "Ready", "status": "False"}]
WAITS = {"waiting": {"reason": "ImagePullBackOff", "message": "Back-off\u202epulling"}}


@for_each(
    (with_status(conditions=[{"type": "Ready", "status": "True"}]), ""),
    (
        with_status(conditions=[{"type": "PodScheduled", "status": "False", "message": "0/3 nodes are available."}]),
        "no node takes the pod: 0/3 nodes are available (web-1)",
    ),
    (
        with_status(conditions=UNREADY, containerStatuses=[of_container(WAITS)]),
        "container app waits, ImagePullBackOff: Back-off\\u202epulling (web-1)",
    ),
    (
        with_status(
            conditions=UNREADY, initContainerStatuses=[of_container({"waiting": {"reason": "CrashLoopBackOff"}})]
        ),
        "container app waits, CrashLoopBackOff (web-1)",
    ),
    (
        with_status(conditions=UNREADY, containerStatuses=[of_container({"running": {}})]),
        "container app runs and is not ready, as its readiness probe says (web-1)",
    ),
    (
        with_status(conditions=UNREADY, containerStatuses=[of_container({"waiting": {"reason": "ContainerCreating"}})]),
        "container app has not started (web-1)",
    ),
    (with_status(phase="Pending"), "the pod is Pending (web-1)"),
)
def test_what_keeps_a_pod_from_being_ready(made: Raw, told: str) -> None:
    assert progress.troubles([made]) == told


def test_pods_with_one_trouble_are_told_together() -> None:
    several = [{**with_status(phase="Pending"), "metadata": {"name": f"web-{number}"}} for number in (3, 1, 2, 4)]
    assert progress.troubles(several) == "the pod is Pending (web-1, web-2, web-3 and 1 more)"


def test_a_refusal_of_pods_is_a_condition() -> None:
    failed = {"type": "ReplicaFailure", "status": "True", "message": "exceeded quota"}
    assert progress.refusal({"status": {"conditions": [failed]}}) == "exceeded quota"
    assert progress.refusal({"status": {"conditions": [{**failed, "status": "False"}]}}) == progress.refusal({}) == ""


@for_each(
    ("Deployment", workload(counted(2, 1, 0)), True),
    ("Deployment", workload(counted(2, 0, 2)), False),
    ("Deployment", workload(counted(2, 2, 2, observedGeneration=1)), False),
    ("Deployment", workload({}), False),
    ("DaemonSet", workload(of_daemons(3, 1, 0)), True),
    ("DaemonSet", workload(of_daemons(3, 0, 3)), False),
    ("ReplicaSet", workload({"replicas": 1}), True),
    ("Job", {"status": {"failed": 1}}, True),
    ("Job", {"status": {"conditions": []}}, False),
    ("CronJob", {"status": {"lastScheduleTime": "T"}}, False),
    ("CronJob", {"status": {"lastScheduleTime": "T", "lastSuccessfulTime": "T"}}, True),
)
def test_whether_a_pod_of_the_present_template_was_admitted(kind: str, raw: Raw, expected: bool) -> None:
    assert progress.was_admitted(kind, raw) is expected
