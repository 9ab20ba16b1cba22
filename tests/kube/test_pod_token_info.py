# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""pod_token_info against a real API server and Job controller; there is no kubelet, so no probe ever starts."""

from __future__ import annotations

import signal
from collections import Counter
from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.kubernetes.jobs import has_ended
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.tokens import probe_job, token_questions
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube import kinds, token_probes
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.client import Client
from ansible_collections.azureops.pod_identity.plugins.modules import pod_token_info
from ansible_collections.azureops.pod_identity.tests.kube import obstacles
from ansible_collections.azureops.pod_identity.tests.kube.objects import create, pair, set_status, use_up
from ansible_collections.azureops.pod_identity.tests.kube.token_pods import SOON, Node, Watcher, make_pod, nodes, probes
from ansible_collections.azureops.pod_identity.tests.support import api_server as server
from ansible_collections.azureops.pod_identity.tests.support.api_server import RESTRICTED, ApiServer, Runner

__all__ = ["nodes"]  # fixtures

CLIENT_ID = "2f3e6a44-5a6c-4f0d-8d1e-5a8b1f0c9e77"
RESOURCE_ID = "/subscriptions/s/resourcegroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/billing"


@pytest.fixture
def workload(client: Client, namespace: str, nodes: dict[str, str]) -> str:
    """An identity, its binding, and one pod on the first node of the first scale set; the selector."""
    pair(client, namespace, "billing", RESOURCE_ID, CLIENT_ID)
    make_pod(client, namespace, "api-7d9f8-x2x4k", nodes["a0"])
    return namespace


def told(token_info: Runner, workload: str, **options: Any) -> dict[str, Any]:
    """What is told of the pods with the selector, or of those that options name."""
    chosen = {} if "pod" in options else {"selector": workload}
    (entry,) = token_info(namespace=workload, **{**chosen, **SOON, **options}).ok()["tokens"]
    return dict(entry)


def test_check_mode_creates_nothing(token_info: Runner, client: Client, workload: str) -> None:
    with Watcher(client, workload) as seen:
        found = token_info(check=True, namespace=workload, selector=workload).ok()
    assert seen.job is None
    assert not found["ok"] and not found["changed"]
    assert found["tokens"][0]["verdict"] == "not_verified"


def test_the_probe_hurts_nobody_and_goes(
    token_info: Runner, client: Client, workload: str, nodes: dict[str, str]
) -> None:
    with Watcher(client, workload) as seen:
        found = token_info(namespace=workload, selector=workload, **SOON).ok()
    entry = found["tokens"][0]
    assert entry["verdict"] == "not_verified" and "did not start within 3 seconds" in entry["message"]
    assert (entry["pod"], entry["node"], entry["identity"]) == ("api-7d9f8-x2x4k", nodes["a0"], f"{workload}/billing")
    assert entry["client_id"] == CLIENT_ID
    assert not found["changed"] and not found["ok"]
    assert probes(client, workload) == []
    assert seen.pod is not None and seen.job is not None
    pod, labels = seen.pod, seen.pod["metadata"]["labels"]
    owners = pod["metadata"]["ownerReferences"]
    assert [(owner["kind"], owner.get("controller")) for owner in owners] == [("Job", True)]
    assert labels["aadpodidbinding"] == workload and labels["app"] == "api"
    assert "pod-template-hash" not in labels
    assert pod["spec"]["readinessGates"] and pod["spec"]["nodeName"] == nodes["a0"]
    assert seen.job["spec"]["activeDeadlineSeconds"] and seen.job["spec"]["ttlSecondsAfterFinished"]
    server.until("the pod of the probe is gone", lambda: not _finish(client, workload, pod["metadata"]["name"]))


def _finish(client: Client, namespace: str, name: str) -> bool:
    """Whether the pod still stands; once it is being deleted, it is taken away as a kubelet would."""
    live = client.get(kinds.POD, namespace, name)
    if live and live["metadata"].get("deletionTimestamp"):
        server.end_pod(client, namespace, name)
    return live is not None


def test_the_restricted_standard_admits_the_probe(token_info: Runner, client: Client, workload: str) -> None:
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    client.merge(server.NAMESPACE, None, workload, {"metadata": {"labels": labels}})
    with Watcher(client, workload) as seen:
        assert "did not start within" in told(token_info, workload)["message"]
    assert seen.pod is not None


@pytest.mark.parametrize("what", ["pods", "count/jobs.batch"])
def test_a_quota_that_refuses_the_probe_is_named(token_info: Runner, client: Client, workload: str, what: str) -> None:
    use_up(client, workload, what)
    entry = told(token_info, workload, start_timeout=20)
    assert entry["verdict"] == "not_verified" and "exceeded quota" in entry["message"]
    assert probes(client, workload) == []


def test_other_scale_set_is_refused(token_info: Runner, client: Client, workload: str, nodes: dict[str, str]) -> None:
    with Watcher(client, workload) as seen:
        entry = told(token_info, workload, node=nodes["b0"])
    assert seen.job is None and entry["verdict"] == "not_verified" and "allow_detach" in entry["message"]
    assert "did not start" in told(token_info, workload, node=nodes["b0"], allow_detach=True)["message"]
    sibling = told(token_info, workload, node=nodes["a1"])
    assert "did not start" in sibling["message"] and sibling["node"] == nodes["a1"]


@pytest.mark.soak
def test_without_a_running_pod_it_is_refused(token_info: Runner, client: Client, workload: str) -> None:
    nobody = told(token_info, workload, selector="nobody-has-this")
    assert "did not start" in nobody["message"], "no binding selects it, so nothing can be detached"
    client.delete(kinds.POD, workload, "api-7d9f8-x2x4k")
    server.until("the pod ends", lambda: not _finish(client, workload, "api-7d9f8-x2x4k"))
    entry = told(token_info, workload)
    assert "allow_detach" in entry["message"] and entry["pod"] == ""
    assert "does not run" in token_info(namespace=workload, pod="api-7d9f8-x2x4k").failure()


@pytest.mark.soak
def test_service_that_publishes_unready_pods(token_info: Runner, client: Client, workload: str) -> None:
    to = {"selector": {"app": "api"}, "ports": [{"port": 80}]}
    create(client, kinds.SERVICE, workload, "peers", spec={"clusterIP": "None", "publishNotReadyAddresses": True, **to})
    refused = told(token_info, workload)["message"]
    assert "peers" in refused and "allow_unready_endpoints" in refused
    for change in ({"allow_unready_endpoints": True}, {"labels": {"app": ""}}):
        assert "did not start" in told(token_info, workload, **change)["message"]


def test_a_killed_run_leaves_nothing_to_the_next(token_info: Runner, client: Client, workload: str) -> None:
    with token_info.start(namespace=workload, selector=workload) as killed:
        server.until("the probe is there", lambda: bool(probes(client, workload)))
        killed.kill()
    left = probes(client, workload)
    assert len(left) == 1 and left[0]["spec"]["activeDeadlineSeconds"] <= 400
    # It may as well be the probe of a run that lives.
    assert "leftover" not in str(token_info(namespace=workload, selector=workload, **SOON).ok()["actions"])
    assert [job["metadata"]["uid"] for job in probes(client, workload)] == [left[0]["metadata"]["uid"]]
    client.merge(kinds.JOB, workload, left[0]["metadata"]["name"], {"spec": {"activeDeadlineSeconds": 1}})
    server.until("its deadline ends it", lambda: all(map(has_ended, probes(client, workload))))
    found = token_info(namespace=workload, selector=workload, **SOON).ok()
    assert found["actions"][0] == f"removed leftover Job {workload}/{left[0]['metadata']['name']}"
    assert probes(client, workload) == []


@pytest.mark.soak
def test_a_probe_that_was_crowded_out_is_run_again_by_itself(
    token_info: Runner, client: Client, workload: str, nodes: dict[str, str]
) -> None:
    crowded = probe_job.Target(workload, workload, node=nodes["a1"])
    first = {"namespace": workload, "selector": workload, "start_timeout": 4}
    second = {"namespace": workload, "selector": workload, "node": nodes["a1"]}
    with Node(client, crowded, ("OutOfcpu", "UnexpectedAdmissionError")) as node:
        found = token_info(workloads=[first, second], at_once=2).ok()
    assert [entry["node"] for entry in found["tokens"]] == [nodes["a0"], nodes["a1"]]
    assert "did not start within 4 seconds" in found["tokens"][0]["message"]
    assert "could not run: UnexpectedAdmissionError" in found["tokens"][1]["message"]
    assert len(node.seen) == 2 and node.seen[1] == {crowded.key()}, "another probe ran beside it"
    assert len([action for action in found["actions"] if action.startswith("ran probe Job ")]) == 3
    assert probes(client, workload) == []


def test_what_cannot_be_tried_keeps_no_other_back(
    token_info: Runner, client: Client, workload: str, nodes: dict[str, str]
) -> None:
    make_pod(client, workload, "host", nodes["a0"], hostNetwork=True)
    here = {"namespace": workload}
    asked: list[tuple[dict[str, Any], str]] = [
        ({**here, "selector": workload}, "did not start within 2 seconds"),
        ({**here, "pod": "host"}, "host network"),
        ({**here, "pod": "nobody"}, "does not run: name one that does"),
        ({**here, "selector": workload, "node": nodes["b0"]}, "allow_detach"),
        ({**here, "selector": workload, "node": "nowhere"}, "does not exist"),
        ({"namespace": f"{workload}-not", "selector": "x"}, f"{workload}-not"),
        ({**here, "pod": "api-7d9f8-x2x4k", "start_timeout": 3}, "did not start within 3 seconds"),
        ({**here, "pod": "api-7d9f8-x2x4k", "method": "exec", "container": "none"}, "has no container none, only app"),
    ]
    entries = [entry for entry, dummy in asked]
    found = token_info(workloads=entries, start_timeout=2, timeout=1).ok()
    for entry, (_request, words) in zip(found["tokens"], asked, strict=True):
        assert entry["verdict"] == "not_verified" and words in entry["message"]
    assert not found["ok"] and not found["changed"] and probes(client, workload) == []
    predicted = token_info(workloads=entries, check=True).ok()
    assert [each["verdict"] for each in predicted["tokens"]] == ["not_verified"] * len(asked)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["interrupted", "ended"])
def test_a_run_that_is_ended_removes_all_probes(
    token_info: Runner, client: Client, workload: str, nodes: dict[str, str], number: signal.Signals
) -> None:
    entries = [{"namespace": workload, "selector": workload, "node": nodes[key]} for key in ("a0", "a1")]
    with token_info.start(workloads=[*entries, *entries], at_once=3) as process:
        server.until("the probes are there", lambda: len(probes(client, workload)) == 3)
        process.send_signal(number)
        said, dummy = process.communicate(timeout=60)
    assert probes(client, workload) == []
    assert said == "" and process.returncode


def test_each_list_is_read_once(api_server: ApiServer, crds: None, workload: str) -> None:
    """However many workloads there are; the pods of their probes are looked at together too."""
    counted = api_server.client()
    asked: Counter[str] = Counter()
    send = counted._request

    def request(method: str, path: str, query: Any = (), *rest: Any, **more: Any) -> Any:
        if method == "GET" and not any(value.startswith(f"{probe_job.PROBE_LABEL}") for dummy, value in query):
            asked[path.rpartition("/")[2]] += 1
        return send(method, path, query, *rest, **more)

    counted._request = request  # type: ignore[method-assign]
    spec = pod_token_info.argument_spec().options
    options = {name: option.get("default") for name, option in spec.items()}
    entries = [{"namespace": workload, "selector": workload, "start_timeout": 2} for dummy in range(12)]
    questions = token_questions.parse({**options, "workloads": entries})
    answers = token_probes.ask(counted, questions, at_once=12, strict=False)
    assert ["did not start" in answer.reason for answer in answers] == [True] * 12
    del asked["events"]  # of Jobs that have no pod yet
    lists = ("azureidentitybindings", "azureidentities", "pods", "nodes", "services", "poddisruptionbudgets", "jobs")
    assert asked == dict.fromkeys(lists, 1)


@pytest.mark.soak
def test_samples_come_from_each_node_of_the_workload(
    token_info: Runner, client: Client, workload: str, nodes: dict[str, str]
) -> None:
    make_pod(client, workload, "api-7d9f8-zzzzz", nodes["a1"])
    for name in ("api-7d9f8-x2x4k", "api-7d9f8-zzzzz"):
        set_status(client, kinds.POD, workload, name, phase="Running")
    found = token_info(namespace=workload, selector=workload, samples=3, sample_interval=0, **SOON).ok()
    (entry,) = found["tokens"]
    assert entry["verdict"] == "not_verified" and "0 of 3 requests got the right token" in entry["message"]
    samples = entry["samples"]
    assert (samples["asked"], samples["right"], samples["rate"]) == (3, 0, 0)
    assert samples["answers"][0]["nodes"] == sorted([nodes["a0"], nodes["a1"]])
    ran = [action for action in found["actions"] if action.startswith("ran probe Job ")]
    assert [action.rpartition(" on ")[2] for action in ran] == [nodes["a0"], nodes["a1"]]
    assert probes(client, workload) == []


USE = "azure.workload.identity/use"


def test_a_pod_that_the_webhook_has_not_changed(
    token_info: Runner, client: Client, namespace: str, nodes: dict[str, str]
) -> None:
    """From the label that is missing everywhere to the webhook that was not reached."""

    def message(pod: str) -> str:
        found = token_info(namespace=namespace, pod=pod, expect={"path": "workload_identity"}, **SOON).ok()
        (entry,) = found["tokens"]
        assert (entry["verdict"], entry["code"], entry["answered_by"]) == ("not_mutated", "V13", "unknown")
        assert not found["actions"] and not found["ok"] and probes(client, namespace) == []
        return str(entry["message"])

    make_pod(client, namespace, "plain", nodes["a0"])
    assert "it has no label" in message("plain")
    create(client, kinds.SERVICE_ACCOUNT, namespace, "default", metadata={"labels": {USE: "true"}})
    assert "on its service account only" in message("plain")
    spec = {"nodeName": nodes["a0"], "containers": [{"name": "app", "image": "app"}]}
    labelled = {"metadata": {"labels": {"app": "api", USE: "true"}}, "spec": spec}
    create(client, kinds.POD, namespace, "labelled", **labelled)
    assert "no webhook of Workload ID" in message("labelled")
    with obstacles.webhook_of_workload_id(client, namespace):
        create(client, kinds.POD, namespace, "later", **labelled)  # it answers nobody, and its policy lets the pod pass
        assert "the webhook was not reached when the pod was made" in message("later")


def test_several_identities_are_ambiguous(token_info: Runner, client: Client, workload: str) -> None:
    pair(client, workload, "second", RESOURCE_ID, CLIENT_ID.replace("2", "3"))
    for options, identities, client_id in (
        ({}, f"{workload}/billing, {workload}/second", ""),
        ({"client_id": CLIENT_ID}, f"{workload}/billing", CLIENT_ID),
    ):
        entry = told(token_info, workload, **options)
        assert (entry["identity"], entry["client_id"]) == (identities, client_id)


def test_restricted_user(token_info: Runner, workload: str) -> None:
    assert "may not list azureidentitybindings" in token_info(token=RESTRICTED, namespace=workload, pod="a").failure()


def test_without_aad_pod_identity(
    token_info: Runner, client: Client, workload: str, definitions: list[dict[str, Any]]
) -> None:
    """Last in the file: the definitions go and come back. The path can be tried all the same."""
    server.remove(client, definitions)
    try:
        entry = told(token_info, workload)
        assert "did not start" in entry["message"] and entry["identity"] == ""
    finally:
        server.install(client, definitions)
