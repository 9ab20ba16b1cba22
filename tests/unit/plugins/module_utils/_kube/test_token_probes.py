# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Several requests for tokens at a client that only pretends: what breaks, what changes meanwhile, what was done."""

from __future__ import annotations

import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from websocket import WebSocketConnectionClosedException

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.errors import Failure
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.tokens import probe_job, token_questions
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube import probes, token_probes
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.client import Client
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.kinds import Kind, Object
from ansible_collections.azureops.pod_identity.plugins.modules import pod_token_info


def questions(*entries: dict[str, Any], **given: Any) -> list[token_questions.Question]:
    options = {name: option.get("default") for name, option in pod_token_info.argument_spec().options.items()}
    return token_questions.parse({**options, **given, "workloads": [{"namespace": "n", **entry} for entry in entries]})


def pod(name: str, **labels: str) -> Object:
    metadata = {"name": name, "namespace": "n", "uid": name, "labels": labels}
    spec = {"nodeName": "node", "containers": [{"name": "app"}]}
    return {"metadata": metadata, "spec": spec, "status": {"phase": "Running"}}


class Stream:
    """What a command in a pod prints, or how its connection ends."""

    def __init__(self, said: str | Exception) -> None:
        self._said, self.closed = said, False

    def is_open(self) -> bool:
        return isinstance(self._said, Exception)

    def run_forever(self, timeout: float) -> None:
        assert isinstance(self._said, Exception)
        raise self._said

    def read_stdout(self, timeout: float) -> bytes:
        return str(self._said).encode()

    def close(self) -> None:
        self.closed = True


class Cluster:
    """A client whose lists are ``objects`` by the resource of their kind."""

    def __init__(self, **objects: list[Object]) -> None:
        self.objects = objects
        self.streams: dict[str, Stream | Iterator[Stream]] = {}
        self.reads: Counter[str] = Counter()

    def list_all(self, kind: Kind, namespace: str | None = None, *, labels: str = "") -> tuple[Object, ...]:
        resource = kind.path(namespace).rpartition("/")[2]
        self.reads[resource] += 1
        return tuple(self.objects.get(resource, ()))

    def get(self, kind: Kind, namespace: str | None, name: str) -> Object | None:
        found = self.objects.get(kind.path().rpartition("/")[2], ())
        return next((raw for raw in found if raw["metadata"]["name"] == name), None)

    def start(self, namespace: str, pod: str, container: str, command: Any) -> Stream:
        self.reads[f"exec {pod}"] += 1
        streams = self.streams[pod]
        return streams if isinstance(streams, Stream) else next(streams)


def client(cluster: Cluster) -> Client:
    return cluster  # type: ignore[return-value]  # it has what is used of one


def ask(cluster: Cluster, *entries: dict[str, Any], strict: bool = False) -> list[token_questions.Asked]:
    return token_probes.ask(client(cluster), questions(*entries), at_once=2, strict=strict)


ANSWER = '{"tool":"curl"}\n{"status":"403"}\n'
BROKEN = [
    WebSocketConnectionClosedException("Connection to remote host was lost."),
    ConnectionResetError(104, "Connection reset by peer"),
    ssl.SSLError(1, "bad record mac"),
]


@pytest.mark.parametrize("error", BROKEN, ids=lambda error: type(error).__name__)
def test_a_connection_that_breaks_takes_no_other_verdict_away(error: Exception) -> None:
    cluster = Cluster(pods=[pod("one"), pod("two")])
    cluster.streams = {"one": Stream(error), "two": Stream(ANSWER)}
    one, two = ask(cluster, {"pod": "one", "method": "exec"}, {"pod": "two", "method": "exec"})
    assert one.reason.startswith(f"The connection to Pod n/one broke before its answer ({type(error).__name__}: ")
    stream = cluster.streams["one"]
    assert "method: probe_pod" in one.reason and isinstance(stream, Stream) and stream.closed
    assert (two.reason, two.output) == ("", ANSWER)
    with pytest.raises(Failure, match="broke before its answer"):
        ask(cluster, {"pod": "one", "method": "exec"}, strict=True)


def test_an_unknown_error_takes_no_other_verdict_away() -> None:
    cluster = Cluster(pods=[pod("one"), pod("two")])
    cluster.streams = {"one": Stream(KeyError("odd")), "two": Stream(ANSWER)}
    one, two = ask(cluster, {"pod": "one", "method": "exec"}, {"pod": "two", "method": "exec"})
    assert "met an error that is not known (KeyError: 'odd')" in one.reason and two.output == ANSWER
    with pytest.raises(KeyError):
        ask(cluster, {"pod": "one", "method": "exec"}, strict=True)


RESOURCE_ID = "/subscriptions/s/resourcegroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/i"
IDENTITY: Object = {
    "metadata": {"name": "i", "namespace": "n"},
    "spec": {"type": 0, "clientID": "c", "resourceID": RESOURCE_ID},
}
BINDING: Object = {"metadata": {"name": "b", "namespace": "n"}, "spec": {"azureIdentity": "i", "selector": "x"}}


def assigned(*pods: Object) -> Cluster:
    """Where the pods with the selector x get an identity."""
    nodes = [{"metadata": {"name": "node"}, "spec": {"providerID": "azure:///vmss/virtualMachines/0"}}]
    return Cluster(pods=list(pods), nodes=nodes, azureidentities=[IDENTITY], azureidentitybindings=[BINDING])


class Probes:
    """Stands for the program of probes; each one's run is a step of ``steps``."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *steps: Callable[[], probes.Ran]) -> None:
        self._steps = iter(steps)
        monkeypatch.setattr(probes, "run", self.run)

    def run(self, client: Any, job: Object, **options: Any) -> probes.Ran:
        return next(self._steps)()


def go_away(cluster: Cluster, ran: probes.Ran) -> probes.Ran:
    """The last pod that holds the identity goes, and a probe stands in its place."""
    cluster.objects["pods"] = [pod("probe", **{"aadpodidbinding": "x", probe_job.PROBE_LABEL: "k"})]
    return ran


ROOM = probes.Ran(ANSWER, "node")
NO_ROOM = probes.Ran("", "node", "The probe could not run.", "OutOfcpu: no")


@pytest.mark.parametrize(("age", "told"), [(29, ""), (31, "No running pod holds n/i")])
def test_lists_that_are_old_are_read_again(monkeypatch: pytest.MonkeyPatch, age: int, told: str) -> None:
    cluster = assigned(pod("one", aadpodidbinding="x"))
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])

    def first() -> probes.Ran:
        now[0] += age
        return go_away(cluster, ROOM)

    Probes(monkeypatch, first, lambda: ROOM)
    entries = [{"selector": "x", "node": "node"}] * 2
    one, two = token_probes.ask(client(cluster), questions(*entries), at_once=1, strict=False)
    assert one.reason == "" and two.reason.startswith(told) and bool(two.reason) is bool(told)
    assert cluster.reads["pods"] == (2 if told else 1)


def test_who_waits_for_lists_reads_none() -> None:
    cluster = assigned(pod("one", aadpodidbinding="x"))
    around = token_probes._Around(client(cluster), questions({"selector": "x"}))
    around._until = 0
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda dummy: around.of("n", anew=False), range(8)))
    assert cluster.reads["pods"] == 2


def test_before_a_repeat_the_lists_are_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = assigned(pod("one", aadpodidbinding="x"))
    both = threading.Barrier(2)

    def crowded() -> probes.Ran:
        both.wait(timeout=60)
        return go_away(cluster, NO_ROOM)

    Probes(monkeypatch, crowded, crowded)
    answers = ask(cluster, *[{"selector": "x", "node": "node"}] * 2)
    assert ["No running pod holds n/i" in answer.reason for answer in answers] == [True, True]


FULL = '{{"tool":"curl"}}\n{{"exit":"0"}}\n{{"status":"{}"}}\n{{"end":"1"}}\n'


def sampled(cluster: Cluster, samples: int, **entry: Any) -> token_questions.Asked:
    (question,) = questions(entry, samples=samples, sample_interval=0)
    (asked,) = token_probes.ask(client(cluster), [question], at_once=1, strict=False)
    return asked


def test_samples_come_from_every_running_pod() -> None:
    pods = [pod(name, aadpodidbinding="x") for name in ("one", "two")]
    pending = {**pod("three", aadpodidbinding="x"), "status": {"phase": "Pending"}}
    cluster = Cluster(pods=[*pods, pending])
    cluster.streams = {name: Stream(FULL.format(403)) for name in ("one", "two")}
    asked = sampled(cluster, 5, selector="x", method="exec")
    assert [sample.place.model_name for sample in asked.samples()] == ["one"] * 3 + ["two"] * 2
    assert (cluster.reads["exec one"], cluster.reads["exec two"]) == (3, 2)
    assert asked.actions == ("asked in pod n/one", "asked in pod n/two")
    assert asked.outcome().view()["asked"] == 5


def test_a_connection_that_breaks_keeps_the_answers_before() -> None:
    cluster = Cluster(pods=[pod("one")])
    cluster.streams = {"one": iter([Stream(FULL.format(403)), Stream(FULL.format(404)), Stream(BROKEN[1])])}
    asked = sampled(cluster, 4, pod="one", method="exec")
    assert [sample.answer.status for sample in asked.samples()] == [403, 404, 0, 0]
    assert all("broke before its answer" in sample.verdict.message for sample in asked.samples()[2:])


def test_a_pod_that_cannot_be_asked_takes_no_sample_of_another_away() -> None:
    cluster = Cluster(pods=[pod(name, aadpodidbinding="x") for name in ("one", "two")])
    cluster.streams = {"one": Stream(FULL.format(403)), "two": Stream(BROKEN[1])}
    asked = sampled(cluster, 4, selector="x", method="exec")
    assert [sample.answer.status for sample in asked.samples()] == [403, 403, 0, 0]


def test_samples_of_probes_come_from_every_node(monkeypatch: pytest.MonkeyPatch) -> None:
    pods = [pod("one", aadpodidbinding="x"), pod("two", aadpodidbinding="x")]
    pods[1]["spec"]["nodeName"] = "node2"
    cluster = assigned(*pods)
    node2 = {"metadata": {"name": "node2"}, "spec": {"providerID": "azure:///vmss/virtualMachines/1"}}
    cluster.objects["nodes"].append(node2)
    jobs: list[Object] = []

    def run(client: Any, job: Object, **options: Any) -> probes.Ran:
        jobs.append(job)
        (container,) = job["spec"]["template"]["spec"]["containers"]
        count = int(container["command"][5])
        return probes.Ran(FULL.format(404) * count, job["spec"]["template"]["spec"]["nodeName"])

    monkeypatch.setattr(probes, "run", run)
    asked = sampled(cluster, 3, selector="x")
    assert [job["spec"]["template"]["spec"]["nodeName"] for job in jobs] == ["node", "node2"]
    assert [(sample.place.node, sample.answer.status) for sample in asked.samples()] == [
        ("node", 404),
        ("node", 404),
        ("node2", 404),
    ]
    assert asked.outcome().view()["answers"][0]["nodes"] == ["node", "node2"]


WORKLOAD_ID: dict[str, Any] = {"pod": "one", "expect": {"path": "workload_identity"}}


def test_a_pod_that_is_not_mutated_is_not_asked() -> None:
    cluster = Cluster(pods=[pod("one")], namespaces=[{"metadata": {"name": "n"}}])
    for method in ("exec", "probe_pod"):
        asked = sampled(cluster, 3, **WORKLOAD_ID, method=method)
        found = asked.outcome().verdict
        assert (found.verdict, found.code) == ("not_mutated", "V13")
        assert found.message.startswith("Pod n/one was not changed by the webhook of Workload ID: it has no label")
        assert asked.actions == () and not cluster.streams


def test_a_pod_without_the_proxy_is_not_asked() -> None:
    mutated = pod("one")
    mutated["spec"]["containers"][0]["env"] = [{"name": "AZURE_FEDERATED_TOKEN_FILE", "value": "/x"}]
    asked = sampled(Cluster(pods=[mutated]), 1, **WORKLOAD_ID, method="exec")
    assert asked.outcome().verdict.verdict == "not_verified" and "has no proxy" in asked.reason
    mutated["spec"]["containers"].append({"name": "azwi-proxy"})
    cluster = Cluster(pods=[mutated])
    cluster.streams = {"one": Stream(FULL.format(500))}
    assert sampled(cluster, 1, **WORKLOAD_ID, method="exec").output


class Restricted(Cluster):
    """A client that may only list."""

    def get(self, kind: Kind, namespace: str | None, name: str) -> Object | None:
        raise Failure(f"{kind.name} may not be read.")


def test_what_may_not_be_read_of_a_mutation_is_told() -> None:
    labelled = pod("one", **{"azure.workload.identity/use": "true"})
    message = sampled(Restricted(pods=[labelled]), 1, **WORKLOAD_ID, method="exec").outcome().verdict.message
    assert "no webhook of Workload ID" in message
    configuration = {"metadata": {"name": "wi"}, "webhooks": [{"name": "mutation.azure-workload-identity.io"}]}
    cluster = Restricted(pods=[labelled], mutatingwebhookconfigurations=[configuration])
    message = sampled(cluster, 1, **WORKLOAD_ID, method="exec").outcome().verdict.message
    assert "namespace (Namespace may not be read)" in message and "ServiceAccount may not be read" in message


EXCHANGE: dict[str, Any] = {"selector": "x", "path": "workload_identity"}
UNCHANGED = '{"tool":"curl"}\n{"token_file":""}\n{"client_id":""}\n{"tenant_id":""}\n{"authority":""}\n{"end":"1"}\n'


def test_a_probe_that_asks_entra_is_labelled_for_the_webhook_and_not_for_mic(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no pod of the workload is labelled yet, and none holds the identity, which a probe of NMI would lose."""
    model = pod("one", aadpodidbinding="x", app="api")
    model["metadata"]["annotations"] = {
        "azure.workload.identity/inject-proxy-sidecar": "true",
        "azure.workload.identity/skip-containers": "probe",
        "azure.workload.identity/service-account-token-expiration": "7200",
    }
    model["status"]["phase"] = "Pending"
    cluster = assigned(model)
    jobs: list[Object] = []

    def run(client: Any, job: Object, **options: Any) -> probes.Ran:
        jobs.append(job)
        return probes.Ran(UNCHANGED, "node")

    monkeypatch.setattr(probes, "run", run)
    configuration = {"metadata": {"name": "wi"}, "webhooks": [{"name": "mutation.azure-workload-identity.io"}]}
    cluster.objects["namespaces"] = [{"metadata": {"name": "n"}}]
    found = sampled(cluster, 1, **EXCHANGE).outcome().verdict
    assert (found.verdict, found.code) == ("not_mutated", "V13") and "the cluster has no webhook" in found.message
    cluster.objects["mutatingwebhookconfigurations"] = [configuration]
    asked = sampled(cluster, 1, **EXCHANGE)
    assert "The probe's pod was not changed" in asked.outcome().verdict.message
    assert "was not reached when the pod was made" in asked.outcome().verdict.message
    template = jobs[0]["spec"]["template"]
    assert template["metadata"]["annotations"] == {"azure.workload.identity/service-account-token-expiration": "7200"}
    labels = {key: value for key, value in template["metadata"]["labels"].items() if "azureops" not in key}
    assert labels == {"app": "api", "azure.workload.identity/use": "true"}
    assert asked.place.selector == "x" and asked.expected.client_id == "c"


def test_entra_is_asked_in_a_pod_that_is_mutated_only() -> None:
    plain, mutated = pod("one"), pod("two")
    mutated["spec"]["containers"][0]["env"] = [{"name": "AZURE_FEDERATED_TOKEN_FILE", "value": "/x"}]
    cluster = Cluster(pods=[plain, mutated], namespaces=[{"metadata": {"name": "n"}}])
    cluster.streams = {"two": Stream(UNCHANGED.replace('"token_file":""', '"token_file":"/x"'))}
    one, two = (sampled(cluster, 1, pod=name, path="workload_identity", method="exec") for name in ("one", "two"))
    assert one.outcome().verdict.verdict == "not_mutated" and not one.output
    assert two.outcome().verdict.verdict == "exchange_incomplete", "the file holds no token"
