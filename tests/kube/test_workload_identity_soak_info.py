# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""workload_identity_soak_info at a real API server, with a kubelet that has logs of NMI."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.client import Client
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.kinds import CRON_JOB, DEPLOYMENT, JOB, POD
from ansible_collections.azureops.pod_identity.tests.kube import installation
from ansible_collections.azureops.pod_identity.tests.kube.installation import READY, Installation, owned
from ansible_collections.azureops.pod_identity.tests.support import api_server as server
from ansible_collections.azureops.pod_identity.tests.support.api_server import ApiServer, Runner

ADDRESS, OTHER = "10.244.0.9", "10.244.0.8"
STARTED = timedelta(minutes=30)


@pytest.fixture
def look(api_server: ApiServer) -> Runner:
    return Runner(api_server, "workload_identity_soak_info")


@pytest.fixture
def nmi(api_server: ApiServer, client: Client, crds: None, namespace: str) -> Iterator[Installation]:
    with installation.installed(api_server, client, namespace) as made:
        yield made


def entry(namespace: str, name: str = "web", kind: str = "Deployment") -> dict[str, str]:
    return {"kind": kind, "namespace": namespace, "name": name}


def workload(nmi: Installation, *, mutated: bool = True) -> str:
    """With one pod that was started a while ago; its name."""
    env = [{"name": "AZURE_FEDERATED_TOKEN_FILE", "value": "/token"}] if mutated else []
    labels, container = {"app": "web"}, {"name": "app", "image": "app", "env": env}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    nmi.create(DEPLOYMENT, "web", spec={"selector": {"matchLabels": labels}, "template": template})
    spec = {"nodeName": nmi.node, "containers": [container]}
    nmi.create(POD, "web-1", metadata={"labels": labels}, spec=spec)
    start = (datetime.now(UTC) - STARTED).strftime("%Y-%m-%dT%H:%M:%SZ")
    running = {
        "phase": "Running",
        "podIP": ADDRESS,
        "podIPs": [{"ip": ADDRESS}],
        "startTime": start,
        "conditions": READY,
    }
    nmi.set_status(POD, "web-1", running)
    return start


def asked(address: str = ADDRESS, status: int = 200) -> str:
    path = "/metadata/identity/oauth2/token"
    said = f"status ({status}) took 5000 ns for req.method=GET reg.path={path} req.remote={address}"
    return f"I0301 09:00:00.000000       1 server.go:200] {said}\n"


def soak(look: Runner, *several: dict[str, str]) -> list[dict[str, Any]]:
    result = look(workloads=list(several)).ok()
    assert not result["changed"]
    return list(result["soaks"])


def seconds_since(time: str) -> int:
    return int((datetime.now(UTC) - datetime.fromisoformat(time)).total_seconds())


def test_as_far_back_as_the_log_goes(look: Runner, nmi: Installation) -> None:
    start = workload(nmi)
    nmi.kubelet.write(nmi.namespace, "nmi-a", asked(OTHER) + asked(status=404), age=timedelta(hours=2))
    (found,) = soak(look, entry(nmi.namespace))
    assert (found["pods"], found["since"], found["covered_since"], found["unproved"]) == (1, start, start, "")
    assert found["tokens"] == [] and STARTED.seconds <= found["seconds"] <= seconds_since(start)
    ago = timedelta(minutes=5, seconds=1)  # the API server tells its time in whole seconds
    written = datetime.now(UTC) - ago
    nmi.kubelet.write(nmi.namespace, "nmi-a", asked(OTHER), age=ago)
    (found,) = soak(look, entry(nmi.namespace))
    assert found["covered_since"] > start and 300 <= found["seconds"] <= seconds_since(written.isoformat())


def test_a_token_of_nmi(look: Runner, nmi: Installation) -> None:
    workload(nmi)
    nmi.kubelet.write(nmi.namespace, "nmi-a", asked() * 3, age=timedelta(minutes=5))
    (found,) = soak(look, entry(nmi.namespace))
    (taken,) = found["tokens"]
    assert (taken["pod"], taken["node"], taken["count"]) == (f"{nmi.namespace}/web-1", nmi.node, 3)


def test_a_log_that_is_not_read_proves_nothing(look: Runner, nmi: Installation) -> None:
    workload(nmi)
    del nmi.kubelet.logs[nmi.namespace, "nmi-a", False]
    (found,) = soak(look, entry(nmi.namespace))
    assert found["seconds"] == 0 and f"The log of NMI on node {nmi.node} was not read" in found["unproved"]


def test_a_pod_that_the_webhook_did_not_see(look: Runner, nmi: Installation) -> None:
    workload(nmi, mutated=False)
    (found,) = soak(look, entry(nmi.namespace))
    assert found["seconds"] == 0 and "was not changed by the webhook" in found["unproved"]


def test_it_waits_until_enough_is_proved(look: Runner, nmi: Installation) -> None:
    """And no longer than it is told, nor in check mode."""
    workload(nmi)
    nmi.kubelet.write(nmi.namespace, "nmi-a", asked(OTHER), age=timedelta(hours=2))
    given: dict[str, Any] = {"workloads": [entry(nmi.namespace)], "wait_timeout": 60}
    (before,) = look(**given).ok()["soaks"]
    (after,) = look(**given, seconds=before["seconds"] + 4).ok()["soaks"]
    assert before["seconds"] + 4 <= after["seconds"] < before["seconds"] + 50
    shorter: list[dict[str, Any]] = [{"wait_timeout": 1}, {"check": True}]
    for short in shorter:
        (after,) = look(**{**given, "seconds": 7200, **short}).ok()["soaks"]
        assert after["seconds"] < STARTED.seconds + 300


def test_without_pods(look: Runner, nmi: Installation) -> None:
    labels = {"app": "web"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "app", "image": "app"}]}}
    nmi.create(DEPLOYMENT, "web", spec={"replicas": 0, "selector": {"matchLabels": labels}, "template": template})
    (found,) = soak(look, entry(nmi.namespace))
    assert (found["pods"], found["since"], found["seconds"]) == (0, "", 0)
    assert (found["exists"], found["unproved"]) == (True, "")


def cron_job(nmi: Installation) -> Any:
    labels = {"azure.workload.identity/use": "true"}
    inner = {"restartPolicy": "Never", "containers": [{"name": "app", "image": "app"}]}
    job = {"spec": {"template": {"metadata": {"labels": labels}, "spec": inner}}}
    return nmi.create(CRON_JOB, "nightly", spec={"schedule": "0 0 * * *", "jobTemplate": job})


def run_of(nmi: Installation, maker: Any, name: str, *, mutated: bool = True) -> None:
    """A Job that the CronJob has made, or whoever started it by hand, with a pod that has succeeded."""
    env = [{"name": "AZURE_FEDERATED_TOKEN_FILE", "value": "/token"}] if mutated else []
    container = {"name": "app", "image": "app", "env": env}
    template = {"spec": {"restartPolicy": "Never", "containers": [container]}}
    # Its controller makes no pod besides; it deletes one that has not ended, and disowns one without its labels.
    job = nmi.create(JOB, name, metadata=owned(maker), spec={"suspend": True, "template": template})
    nmi.create(POD, f"{name}-1", spec={"nodeName": nmi.node, **template["spec"]})
    started = (datetime.now(UTC) - STARTED).strftime("%Y-%m-%dT%H:%M:%SZ")
    ended = {"phase": "Succeeded", "podIP": ADDRESS, "podIPs": [{"ip": ADDRESS}], "startTime": started}
    nmi.set_status(POD, f"{name}-1", ended)
    nmi.client.merge(
        POD,
        nmi.namespace,
        f"{name}-1",
        {"metadata": {"labels": job["spec"]["template"]["metadata"]["labels"], **owned(job)}},
    )


def test_a_cron_job_has_to_run(look: Runner, nmi: Installation) -> None:
    """With Workload ID, and for as long as it takes since it has the label, which the API server keeps."""
    maker = cron_job(nmi)
    began = datetime.now(UTC)
    nmi.kubelet.write(nmi.namespace, "nmi-a", asked(OTHER), age=timedelta(hours=2))
    other = nmi.create(CRON_JOB, "other", spec=maker["spec"])
    run_of(nmi, other, "other-1")
    run_of(nmi, maker, "before", mutated=False)
    (found,) = soak(look, entry(nmi.namespace, "nightly", "CronJob"))
    assert found["pods"] == 0 and f"kubectl -n {nmi.namespace} create job --from=cronjob/" in found["unproved"]
    run_of(nmi, maker, "by-hand")
    given = {"workloads": [entry(nmi.namespace, "nightly", "CronJob")], "seconds": 4, "wait_timeout": 60}
    (found,) = look(**given).ok()["soaks"]
    assert (found["pods"], found["unproved"], found["tokens"]) == (1, "", [])
    assert 4 <= found["seconds"] <= seconds_since(began.isoformat()) + 1
    nmi.kubelet.write(nmi.namespace, "nmi-a", asked(), age=timedelta(minutes=5))
    (found,) = soak(look, entry(nmi.namespace, "nightly", "CronJob"))
    assert found["tokens"], found
    (taken,) = found["tokens"]
    assert taken["pod"] == f"{nmi.namespace}/by-hand-1"


def test_a_cron_job_that_does_not_run_is_waited_for_no_longer_than_its_time(look: Runner, nmi: Installation) -> None:
    cron_job(nmi)
    began = datetime.now(UTC)
    given = {"workloads": [entry(nmi.namespace, "nightly", "CronJob")], "seconds": 3, "wait_timeout": 120}
    (found,) = look(**given).ok()["soaks"]
    assert found["unproved"] and seconds_since(began.isoformat()) < 60


def test_one_that_is_gone_keeps_no_other_back(look: Runner, nmi: Installation) -> None:
    start = workload(nmi)
    nmi.kubelet.write(nmi.namespace, "nmi-a", asked(OTHER), age=timedelta(hours=2))
    gone, found = soak(look, entry(nmi.namespace, "gone"), entry(nmi.namespace))
    assert (gone["exists"], gone["unproved"], gone["seconds"]) == (False, "It does not exist.", 0)
    assert (found["exists"], found["since"]) == (True, start)
    server.end_pod(nmi.client, nmi.namespace, "web-1")
    (found,) = soak(look, entry(nmi.namespace))
    assert (found["pods"], found["unproved"]) == (0, "Of 1 pods it has none.")
