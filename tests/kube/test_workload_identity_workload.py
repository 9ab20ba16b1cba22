# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""workload_identity_workload with the real webhook, and controllers that replace pods for real."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.installation import (
    workload_identity_webhook as of_chart,
)
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.matching.matching import pod_template
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.migration import switching
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.names import MIGRATION
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.tokens import mutation
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube import kinds
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.client import Client
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.workloads import KINDS
from ansible_collections.azureops.pod_identity.tests.kube import obstacles, rollouts
from ansible_collections.azureops.pod_identity.tests.kube.changes import World
from ansible_collections.azureops.pod_identity.tests.kube.objects import create, use_up
from ansible_collections.azureops.pod_identity.tests.kube.obstacles import UNREACHABLE
from ansible_collections.azureops.pod_identity.tests.kube.rollouts import READY, Kubelets
from ansible_collections.azureops.pod_identity.tests.support import api_server as server
from ansible_collections.azureops.pod_identity.tests.support import workload_identity
from ansible_collections.azureops.pod_identity.tests.support.api_server import ADMIN, ApiServer, Outcome, Runner
from ansible_collections.azureops.pod_identity.tests.support.fixed import fixed
from ansible_collections.azureops.pod_identity.tests.support.workload_identity import Webhook

Raw = dict[str, Any]
IDENTITY, OTHER = (f"2f3e6a44-5a6c-4f0d-8d1e-5a8b1f0c9e7{end}" for end in "78")
PLANTED = "planted-in-a-variable"
USE_LABEL = of_chart.USE_LABEL
OURS = {"label": None, "service_account": "default", "service_account_set": "billing"}
ROLLING = {"maxUnavailable": "25%", "maxSurge": "25%"}
PROVED = {"state": "original", "assume_returned": True}


@pytest.fixture(scope="module")
def own_server() -> Iterator[ApiServer]:
    with server.running(*rollouts.CONTROLLERS) as started:
        yield started


@pytest.fixture
def webhook(own_server: ApiServer) -> Iterator[Webhook]:
    with workload_identity.running(own_server) as started:
        yield started


@pytest.fixture
def client(own_server: ApiServer) -> Client:
    return own_server.client()


class Cluster:
    """A namespace with service accounts, whose pods kubelets bring up."""

    def __init__(self, api_server: ApiServer, client: Client, webhook: Webhook, namespace: str) -> None:
        self.server, self.client, self.webhook, self.namespace = api_server, client, webhook, namespace
        self.kubelets: Kubelets
        for name, identity in (("default", ""), ("billing", IDENTITY), ("other", OTHER)):
            annotations = {of_chart.CLIENT_ID: identity} if identity else {}
            create(client, kinds.SERVICE_ACCOUNT, namespace, name, metadata={"annotations": annotations})

    def make(
        self,
        kind: str = "Deployment",
        *,
        replicas: int | None = 2,
        metadata: Raw | None = None,
        labels: Raw | None = None,
        pod: Raw | None = None,
        **spec: Any,
    ) -> Raw:
        """One with a secret in a variable, whose pods all run."""
        labels = {"app": "web", "aadpodidbinding": "web", **(labels or {})}
        container = {"name": "app", "image": "app", "env": [{"name": "PASSWORD", "value": PLANTED}]}
        template: Raw = {
            "metadata": {"labels": labels},
            "spec": {"serviceAccountName": "default", "containers": [container], **(pod or {})},
        }
        made: Raw = {"selector": {"matchLabels": {"app": "web"}}, "template": template, **spec}
        if kind == "CronJob":
            template["spec"]["restartPolicy"] = "Never"
            made = {"schedule": "0 6 1 1 *", "jobTemplate": {"spec": {"template": template}}, **spec}
        elif kind != "DaemonSet":
            made["replicas"] = replicas
        if kind == "StatefulSet":
            made["serviceName"] = "web"
        create(self.client, KINDS[kind], self.namespace, "web", metadata=metadata or {}, spec=made)
        server.until("its pods run", lambda: self.runs(kind))
        return self.get(kind)

    def runs(self, kind: str) -> bool:
        raw = self.get(kind)
        status, wanted = raw.get("status") or {}, raw["spec"].get("replicas")
        if kind == "CronJob":
            return True
        if kind == "DaemonSet":
            wanted, available = status.get("desiredNumberScheduled"), status.get("numberAvailable")
        else:
            available = status.get("availableReplicas")
        return bool(status.get("observedGeneration") == raw["metadata"]["generation"] and (available or 0) == wanted)

    def get(self, kind: str = "Deployment") -> Raw:
        found = self.client.get(KINDS[kind], self.namespace, "web")
        assert found is not None
        return found

    def merge(self, patch: Raw, kind: str = "Deployment") -> None:
        self.client.merge(KINDS[kind], self.namespace, "web", patch)

    def pods(self) -> list[Raw]:
        return [
            each
            for each in self.client.list_all(kinds.POD, self.namespace)
            if "deletionTimestamp" not in each["metadata"]
        ]

    def options(self, **options: Any) -> Raw:
        account = {"service_account": "billing", "client_id": IDENTITY} if options.get("state") is None else {}
        return {"namespace": self.namespace, "name": "web", "wait_timeout": 60, **account, **options}

    def run(self, **options: Any) -> Outcome:
        outcome = Runner(self.server, "workload_identity_workload")(**self.options(**options))
        assert PLANTED not in outcome.output
        return outcome

    def start(self, url: str = "", **options: Any) -> subprocess.Popen[str]:
        given = self.options(**options)
        if url:
            given |= {"kubeconfig": None, "host": url, "api_key": ADMIN, "ca_cert": str(self.server.ca)}
        return Runner(self.server, "workload_identity_workload").start(**given)


@pytest.fixture
def cluster(own_server: ApiServer, client: Client, webhook: Webhook) -> Iterator[Cluster]:
    with server.own_namespace(client) as namespace:
        made = Cluster(own_server, client, webhook, namespace)
        with rollouts.kubelets(client, namespace) as running:
            made.kubelets = running
            yield made


@pytest.fixture
def node(client: Client) -> Iterator[str]:
    name = "node-of-daemons"
    create(client, kinds.NODE, None, name)
    client.merge(kinds.NODE, None, name, {"spec": {"taints": None}})
    yield name
    client.delete(kinds.NODE, None, name)


def template(raw: Raw) -> str:
    return json.dumps(pod_template(raw), sort_keys=True)


def note(raw: Raw) -> Raw | None:
    text = (raw["metadata"].get("annotations") or {}).get(MIGRATION)
    return None if text is None else dict(json.loads(text))


def rolling(raw: Raw) -> Raw:
    return dict(raw["spec"]["strategy"]["rollingUpdate"])


def rollout(outcome: Outcome) -> list[int]:
    told = outcome.result["workload"]["rollout"]
    return [told[key] for key in ("replicas", "updated", "available", "mutated")]


@pytest.mark.soak
def test_the_way_back_is_over_once_former_pods_have_ended(cluster: Cluster) -> None:
    """They ask with their credential until then."""
    cluster.make(replicas=1)
    cluster.run().ok()
    (old,) = cluster.pods()
    name = old["metadata"]["name"]
    cluster.client.merge(kinds.POD, cluster.namespace, name, {"metadata": {"finalizers": ["example.com/held"]}})
    late = cluster.run(state="returned", wait_timeout=8)
    assert f"1 are available): former pods that were deleted have not ended yet, such as {name}:" in late.failure()
    assert [each["metadata"]["name"] for each in cluster.pods()] != [name]
    cluster.client.merge(kinds.POD, cluster.namespace, name, {"metadata": {"finalizers": None}})
    assert cluster.run(state="returned").ok()["workload"]["stage"] == "original"


def test_a_deployment_is_switched_leaves_and_comes_back(cluster: Cluster) -> None:
    """With none of its pods missing at any moment."""
    before = cluster.make(replicas=3)
    cluster.kubelets.count()
    predicted = cluster.run(check=True)
    assert cluster.get()["metadata"]["generation"] == before["metadata"]["generation"]
    done = cluster.run()
    label = f"change Deployment {cluster.namespace}/web"
    assert done.ok()["actions"] == [f"{label} (use Workload ID)", f"{label} (strategy as before the rollout)"]
    for key in ("actions", "changes", "diff", "changed", "left"):
        assert predicted.ok()[key] == done.ok()[key], key
    assert [(each["verbs"], each["resource"]) for each in predicted.result["permissions"]] == [
        (["patch"], "deployments"),
        (["create"], "pods"),
    ]
    assert done.result["diff"] == {
        "before": {"template": {"service_account": "default", "aadpodidbinding": "web"}, "rollingUpdate": ROLLING},
        "after": {
            "template": {"label": "true", "service_account": "billing", "aadpodidbinding": "web"},
            "rollingUpdate": ROLLING,
            MIGRATION: json.dumps(OURS, sort_keys=True, separators=(",", ":")),
        },
    }
    workload = done.result["workload"]
    assert (workload["stage"], workload["service_account"], done.result["left"]) == ("switched", "billing", [])
    assert predicted.result["workload"]["stage"] == "switched"
    assert (rollout(predicted), rollout(done)) == ([3, 3, 3, 0], [3, 3, 3, 3])
    assert (note(cluster.get()), rolling(cluster.get())) == (OURS, ROLLING)
    assert all(mutation.client_ids(each) == (IDENTITY,) for each in cluster.pods())
    again = cluster.run().ok()
    assert (again["changed"], again["actions"], again["workload"]) == (False, [], workload)

    left = cluster.run(state="left")
    assert (left.ok()["workload"]["stage"], rollout(left)) == ("left", [3, 3, 3, 3])
    assert note(cluster.get()) == {**OURS, "aadpodidbinding": "web"} and rolling(cluster.get()) == ROLLING
    assert all("aadpodidbinding" not in each["metadata"]["labels"] for each in cluster.pods())
    assert not cluster.run(state="left").ok()["changed"] and not cluster.run().ok()["changed"]

    of_both = [cluster.run(check=True, **options) for options in ({"state": "returned"}, PROVED)]
    back = cluster.run(state="returned")
    assert (back.ok()["workload"]["stage"], rollout(back), back.result["left"]) == ("original", [3, 3, 3, 0], [])
    assert back.result["actions"] == [
        f"{label} (as it was before, not proved yet)",
        f"{label} (strategy as before the rollout)",
    ]
    assert note(cluster.get()) == {"unproved": True} and not cluster.run(state="returned").ok()["changed"]
    proved = cluster.run(**PROVED)
    assert proved.ok()["actions"] == [f"{label} (as it was before)"]
    for predicted, done in zip(of_both, (back, proved), strict=True):
        for key in ("actions", "changes", "diff", "changed", "left"):
            assert predicted.ok()[key] == done.ok()[key], key
    after = cluster.get()
    assert template(after) == template(before) and after["spec"] == before["spec"]
    assert MIGRATION not in after["metadata"]["annotations"]
    assert all(USE_LABEL not in each["metadata"]["labels"] for each in cluster.pods())
    assert not cluster.run(state="original").ok()["changed"]
    assert cluster.kubelets.fewest == 3


KINDS_OF_PODS: dict[str, tuple[Raw, list[int]]] = {
    "StatefulSet": ({}, [2, 2, 2, 2]),
    "DaemonSet": ({}, [1, 1, 1, 1]),
    "CronJob": ({"suspend": True}, [0, 0, 0, 0]),
    "Deployment": ({"replicas": 0}, [0, 0, 0, 0]),
}


@pytest.mark.parametrize("kind", fixed(KINDS_OF_PODS, "StatefulSet", "CronJob"))
def test_other_kinds(cluster: Cluster, node: str, kind: str) -> None:
    """And a Deployment without pods."""
    spec, numbers = KINDS_OF_PODS[kind]
    before = cluster.make(kind, **spec)
    cluster.kubelets.count()
    if kind == "StatefulSet":
        assert "its pods end before new ones begin (cannot_surge" in cluster.run(kind=kind).failure()
    accepts = {"kind": kind, "accept_gap": kind == "StatefulSet"}
    done = cluster.run(**accepts, proxy_sidecar=True)
    # Of a DaemonSet the strategy comes back by itself.
    assert len(done.ok()["actions"]) == (2 if kind == "DaemonSet" else 1) and rollout(done) == numbers
    assert cluster.kubelets.fewest == (numbers[0] if kind != "StatefulSet" else 1)
    assert note(cluster.get(kind)) == {**OURS, "proxy": None}
    assert pod_template(cluster.get(kind))["metadata"]["annotations"] == {of_chart.PROXY_ANNOTATION: "true"}
    assert all(mutation.has_proxy(each) for each in cluster.pods())
    assert cluster.run(**accepts, state="left").ok()["changed"]
    assert not cluster.run(**accepts, state="left").ok()["changed"]
    back = cluster.run(**accepts, state="original")
    assert back.ok()["workload"]["rollout"]["mutated"] == 0 and note(cluster.get(kind)) is None
    assert cluster.get(kind)["spec"] == before["spec"]


VOLUME = {"name": "data", "persistentVolumeClaim": {"claimName": "data"}}


ON_DELETE: dict[str, Raw] = {
    "ReplicaSet": {},
    "StatefulSet": {"updateStrategy": {"type": "OnDelete"}},
    "DaemonSet": {"updateStrategy": {"type": "OnDelete"}},
}


@pytest.mark.parametrize("kind", fixed(ON_DELETE, "ReplicaSet"))
def test_pods_that_nobody_replaces_are_evicted_one_by_one(
    cluster: Cluster, client: Client, node: str, kind: str
) -> None:
    """Within their budget, which lets none go at first."""
    before = cluster.make(kind, **ON_DELETE[kind])
    assert "only when somebody deletes them (cannot_surge)" in cluster.run(kind=kind).failure()
    count = len(cluster.pods())
    cluster.kubelets.count()
    predicted = cluster.run(kind=kind, accept_gap=True, check=True).ok()
    assert [each["subresource"] for each in predicted["permissions"]] == ["", "", "eviction"]
    spec = {"minAvailable": count, "selector": {"matchLabels": {"app": "web"}}}
    create(client, kinds.POD_DISRUPTION_BUDGET, cluster.namespace, "web", spec=spec)

    def is_counted() -> bool:
        found = client.get(kinds.POD_DISRUPTION_BUDGET, cluster.namespace, "web") or {}
        return bool((found.get("status") or {}).get("currentHealthy") == count)

    server.until("the budget is counted", is_counted)
    held = cluster.run(kind=kind, accept_gap=True, wait_timeout=3)
    assert "a PodDisruptionBudget lets no other pod go" in held.failure() and cluster.kubelets.fewest == count
    client.delete(kinds.POD_DISRUPTION_BUDGET, cluster.namespace, "web")
    done = cluster.run(kind=kind, accept_gap=True)
    assert [each["verb"] for each in done.ok()["changes"]] == ["restart"] and rollout(done) == [count] * 4
    assert not cluster.run(kind=kind, accept_gap=True).ok()["changed"]
    back = cluster.run(kind=kind, accept_gap=True, state="original")
    assert rollout(back) == [count, count, count, 0] and cluster.get(kind)["spec"] == before["spec"]
    assert cluster.kubelets.fewest == count - 1


OF_HELM = {"app.kubernetes.io/managed-by": "Helm", "app.kubernetes.io/instance": "shop"}
ROLLOUT = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "name": "web", "uid": "1", "controller": True}
BOUNDS = {"requests": {"cpu": "100m"}, "limits": {"cpu": "200m"}}
REFUSED: dict[str, tuple[Raw, Raw, Raw, str]] = {
    "helm": ({"metadata": {"labels": OF_HELM}}, {}, {"override_owner": True}, "manifest_has_owner"),
    "operator": (
        {"metadata": {"ownerReferences": [ROLLOUT]}, "replicas": 0},
        {"override_owner": True},
        {},
        "made_by_operator",
    ),
    "recreate": ({"strategy": {"type": "Recreate"}}, {}, {"accept_gap": True}, "cannot_surge"),
    "volume": ({"replicas": 1, "pod": {"volumes": [VOLUME]}}, {}, {"accept_gap": True}, "cannot_surge"),
    "newer": ({"pod": {"resources": BOUNDS}}, {}, {}, "fields_would_be_lost"),
    "no account": ({}, {"service_account": "nobody"}, {}, "labelled_pod_refused"),
    "another client id": ({}, {"service_account": "other"}, {}, "account_tells_other_client_id"),
    "no client id": ({}, {"service_account": "default"}, {}, "account_tells_other_client_id"),
    "proxy": ({"pod": {"hostNetwork": True}}, {"proxy_sidecar": True}, {}, "proxy_not_admitted"),
}
"""What is there, the options, those that make up for it, and the code."""


@pytest.mark.parametrize("name", fixed(REFUSED, "helm", "newer", "another client id"))
def test_what_is_refused_before_any_write(cluster: Cluster, name: str) -> None:
    there, given, accepted, code = REFUSED[name]
    if name == "volume":
        spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
        create(cluster.client, kinds.PERSISTENT_VOLUME_CLAIM, cluster.namespace, "data", spec=spec)
    cluster.make(**there)
    before = cluster.get()
    for check in (True, False):
        outcome = cluster.run(check=check and name != "no account", **given)
        assert "was not changed" in outcome.failure() and outcome.result["error"]["code"] == code, outcome.result
        assert [each["code"] for each in outcome.result["refusals"]] == [code]
        assert "changed" not in outcome.result or not outcome.result["changed"]
    assert cluster.get()["metadata"]["generation"] == before["metadata"]["generation"] and note(cluster.get()) is None
    if accepted:
        switched = cluster.run(**given, **accepted)
        assert switched.ok()["workload"]["rollout"]["mutated"] == before["spec"]["replicas"]
        if "accept_gap" in accepted:
            assert "cannot_surge" in cluster.run(state="original").failure()
        accepted.pop("override_owner", None)
        cluster.run(state="original", **accepted).ok()
        assert template(cluster.get()) == template(before)


def test_a_prediction_without_the_account_is_a_warning(cluster: Cluster) -> None:
    cluster.make()
    predicted = cluster.run(check=True, service_account="soon")
    assert predicted.ok()["changed"] and "service account soon does not exist yet" in str(predicted.result["warnings"])


def test_what_is_not_there_or_not_switched(cluster: Cluster) -> None:
    assert "does not exist: name one that does" in cluster.run().failure()
    gone = cluster.run(state="original")
    assert not gone.ok()["changed"] and "does not exist" in str(gone.result["warnings"])
    cluster.make()
    assert "let it be switched first" in cluster.run(state="left").failure()
    cluster.merge({"spec": {"paused": True}})
    assert "it is paused" in cluster.run().failure()
    assert note(cluster.get()) is None


# rollouts that do not end


def is_labelled(pod: Raw) -> bool:
    return USE_LABEL in pod["metadata"]["labels"]


def has_left(pod: Raw) -> bool:
    return "aadpodidbinding" not in pod["metadata"]["labels"]


@contextlib.contextmanager
def breaks_at_the_second_pod(
    cluster: Cluster, new: Callable[[Raw], bool] = is_labelled, policy: str = "Fail", **options: Any
) -> Iterator[Outcome]:
    """What a run tells when the webhook is not reached any more behind the first new pod. For the block it stays so."""
    held = True
    cluster.kubelets.says = lambda pod: None if held and new(pod) else READY
    config = workload_identity.entry(cluster.server)["clientConfig"]
    process = cluster.start(**options)
    server.until("the first new pod is there", lambda: any(map(new, cluster.pods())))
    try:
        cluster.webhook.configure(clientConfig=UNREACHABLE, failurePolicy=policy)
        held = False
        printed, errors = process.communicate(timeout=120)
        yield Outcome(json.loads(printed), process.returncode, printed + errors)
    finally:
        cluster.webhook.configure(clientConfig=config, failurePolicy="Fail")
    server.until("the webhook is called again", lambda: workload_identity._is_called(cluster.client))


@pytest.mark.soak
def test_the_webhook_goes_in_the_middle(cluster: Cluster) -> None:
    """Old pods serve, the cause is named, and everything comes back without it."""
    before = cluster.make(replicas=3)
    cluster.kubelets.count()
    with breaks_at_the_second_pod(cluster, wait_timeout=8) as outcome:
        assert outcome.failure().startswith(f"Deployment {cluster.namespace}/web did not replace its pods within 8 s")
        assert "failed calling webhook" in outcome.failure() and "maxUnavailable stays 0" in outcome.failure()
        assert outcome.result["error"]["code"] == "webhook_unreached" and outcome.result["changed"]
        assert outcome.result["failed_action"].endswith("(strategy as before the rollout)")
        assert outcome.result["left"] == [{"field": "maxUnavailable", "was": "25%", "now": 0}]
        assert rollout(outcome)[0] == 3 and rollout(outcome)[3] == 1
        assert PLANTED not in outcome.output and rolling(cluster.get())["maxUnavailable"] == 0
        back = cluster.run(state="original")
        assert (rollout(back), back.ok()["left"]) == ([3, 3, 3, 0], [])
    assert template(cluster.get()) == template(before) and cluster.get()["spec"] == before["spec"]
    assert note(cluster.get()) is None and cluster.kubelets.fewest == 3


def test_a_pod_that_the_webhook_did_not_see_ends_it_at_once(cluster: Cluster) -> None:
    before = cluster.make(replicas=3)
    with breaks_at_the_second_pod(cluster, policy="Ignore") as outcome:
        assert "was not changed by the webhook of Workload ID: label, namespace and webhook would" in outcome.failure()
        assert "NMI serves such pods. Once that is mended, the same again brings it further" in outcome.failure()
        assert outcome.result["error"]["code"] == "unknown" and outcome.result["left"]
    refused = cluster.run(state="left").failure()
    assert "was not changed by the webhook of Workload ID" in refused and "aadpodidbinding" in template(cluster.get())
    again = cluster.run()
    assert rollout(again) == [3, 3, 3, 3] and note(cluster.get()) == {**OURS, "restarted": None}
    assert rolling(cluster.get()) == ROLLING and not cluster.run().ok()["changed"]
    cluster.run(state="original").ok()
    assert cluster.get()["spec"] == before["spec"]


@pytest.mark.soak
def test_the_webhook_goes_while_a_workload_leaves(cluster: Cluster) -> None:
    """NMI serves its pods again at once, though the controller would go on, and none is missing."""
    cluster.make(replicas=3)
    cluster.run().ok()
    cluster.kubelets.count()
    with breaks_at_the_second_pod(cluster, has_left, "Ignore", state="left") as outcome:
        pass
    for told in (
        "was not changed by the webhook of Workload ID",
        "Its template has the label aadpodidbinding, so that NMI serves such pods. Once that is mended, state=switched",
    ):
        assert told in outcome.failure()
    assert outcome.result["changed"] and outcome.result["workload"]["stage"] == "switched"
    server.until("NMI serves all", lambda: not any(map(has_left, cluster.pods())) and len(cluster.pods()) == 3)
    assert cluster.kubelets.fewest == 3
    cluster.run().ok()
    assert rollout(cluster.run(state="left")) == [3, 3, 3, 3] and rolling(cluster.get()) == ROLLING


def test_pods_of_before_the_account_was_annotated_are_restarted(cluster: Cluster, client: Client) -> None:
    """The template had the label, which is not ours, and nobody has restarted them."""
    bare = {"metadata": {"annotations": {of_chart.CLIENT_ID: None}}}
    client.merge(kinds.SERVICE_ACCOUNT, cluster.namespace, "billing", bare)
    before = cluster.make(labels={USE_LABEL: "true"}, pod={"serviceAccountName": "billing"})
    refused = cluster.run()
    assert "would tell its container app the client id (none)" in refused.failure()
    told = {"metadata": {"annotations": {of_chart.CLIENT_ID: IDENTITY}}}
    client.merge(kinds.SERVICE_ACCOUNT, cluster.namespace, "billing", told)
    cluster.kubelets.count()
    predicted, done = cluster.run(check=True), cluster.run()
    assert predicted.ok()["actions"] == done.ok()["actions"] and rollout(done) == [2, 2, 2, 2]
    assert note(cluster.get()) == {"restarted": None} and not cluster.run().ok()["changed"]
    back = cluster.run(state="original").ok()
    assert back["left"] == [{"field": "label", "was": None, "now": "true"}]
    assert cluster.get()["spec"] == before["spec"] and cluster.kubelets.fewest == 2


@pytest.mark.soak
def test_what_stops_a_rollout_is_named_and_it_goes_on(cluster: Cluster) -> None:
    """A quota, then an image, then a probe; and the same again when that is mended."""
    cluster.make()
    says = cluster.kubelets.says
    state: Raw = {"waiting": {"reason": "ImagePullBackOff", "message": "Back-off pulling image app"}}

    def unready(pod: Raw) -> Raw:
        if USE_LABEL not in pod["metadata"]["labels"]:
            return READY
        status = {"name": "app", "image": "app", "imageID": "", "ready": False, "restartCount": 0, "state": state}
        return {"phase": "Pending", "conditions": [{"type": "Ready", "status": "False"}], "containerStatuses": [status]}

    cluster.kubelets.says = unready
    stopped = cluster.run(wait_timeout=3)
    assert "container app waits, ImagePullBackOff: Back-off pulling image app (web-" in stopped.failure()
    state = {"running": {"startedAt": "2026-01-01T00:00:00Z"}}
    stopped = cluster.run(wait_timeout=3)
    assert "container app runs and is not ready, as its readiness probe says" in stopped.failure()
    assert not stopped.result["changed"] and note(cluster.get()) == {**OURS, "strategy": {"maxUnavailable": "25%"}}
    use_up(cluster.client, cluster.namespace, "pods", "2", "2")
    for pod in cluster.pods():
        if USE_LABEL in pod["metadata"]["labels"]:
            cluster.client.delete(kinds.POD, cluster.namespace, pod["metadata"]["name"])
    stopped = cluster.run(wait_timeout=10)
    assert "the API server refuses its pods" in stopped.failure() and "exceeded quota" in stopped.failure()
    assert stopped.result["error"]["code"] == "quota_refuses"
    cluster.client.delete(kinds.RESOURCE_QUOTA, cluster.namespace, "quota")
    cluster.kubelets.says = says
    done = cluster.run()
    assert [each["why"] for each in done.ok()["changes"]] == ["strategy as before the rollout"]
    assert rollout(done) == [2, 2, 2, 2] and rolling(cluster.get()) == ROLLING


# others, and the end of a run in the middle


@pytest.mark.soak
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize("state", ["switched", "original"])
def test_a_run_is_killed_at_a_write(cluster: Cluster, state: str, number: int, after: bool) -> None:
    """The next one goes on, and all of it comes back."""
    before = cluster.make()
    cluster.kubelets.count()
    options: Raw = {}
    if state == "original":
        cluster.run().ok()
        options = {"state": state}
    with obstacles.gate(cluster.server, number, after=after) as gate:
        process = cluster.start(gate.url, **options)
        server.until("the write is reached", gate.reached.is_set)
        process.kill()
        process.wait()
    if state == "switched":
        again = cluster.run()
        assert rollout(again) == [2, 2, 2, 2] and note(cluster.get()) == OURS and rolling(cluster.get()) == ROLLING
    for _again in range(2):
        cluster.run(state="original").ok()
        assert cluster.get()["spec"] == before["spec"] and note(cluster.get()) is None
    assert cluster.kubelets.fewest == 2


def test_two_operators_at_once(cluster: Cluster) -> None:
    before = cluster.make()
    for state, wanted in (({}, OURS), ({"state": "original"}, None)):
        several = [cluster.start(**state) for _number in range(2)]
        ended = [each.communicate(timeout=120)[0] for each in several]
        for process, printed in zip(several, ended, strict=True):
            told = json.loads(printed)
            assert process.returncode == 0 or "was changed by somebody else in the meantime" in told["msg"], told
        assert not cluster.run(**state).result["changed"]
        assert note(cluster.get()) == wanted and rolling(cluster.get()) == ROLLING
    assert cluster.get()["spec"] == before["spec"]


CHART = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web, aadpodidbinding: web}}
    spec:
      serviceAccountName: default
      containers:
        - {name: app, image: app, env: [{name: RELEASE, value: "{{ .Release.Revision }}"}]}
"""


@pytest.mark.soak
def test_a_helm_release_is_upgraded_meanwhile(cluster: Cluster, own_server: ApiServer, tmp_path: Path) -> None:
    """What was added stays; what the chart declares itself is as the chart says, and is told or set again."""
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates/web.yaml").write_text(CHART)
    (tmp_path / "Chart.yaml").write_text("{apiVersion: v2, name: shop, version: 1.0.0}")

    def helm(verb: str) -> None:
        own_server.helm(verb, "shop", str(tmp_path), "--namespace", cluster.namespace)
        server.until("its pods run", lambda: cluster.runs("Deployment"))

    helm("install")
    refused = cluster.run()
    assert f"belongs to helm release {cluster.namespace}/shop" in refused.failure()
    assert [each["option"] for each in refused.result["refusals"]] == ["override_owner"]
    cluster.run(override_owner=True).ok()
    helm("upgrade")
    values = switching.fields(pod_template(cluster.get()))
    assert (values["label"], values["service_account"], note(cluster.get())) == ("true", "default", OURS)
    again = cluster.run(override_owner=True)
    assert again.ok()["changed"] and rollout(again) == [2, 2, 2, 2] and note(cluster.get()) == OURS
    helm("upgrade")
    back = cluster.run(state="original").ok()
    assert (back["left"], note(cluster.get())) == ([], None)
    values = switching.fields(pod_template(cluster.get()))
    assert {name: value for name, value in values.items() if value is not None} == {
        "service_account": "default",
        "aadpodidbinding": "web",
    }


def test_what_somebody_else_changed_meanwhile_stays(cluster: Cluster) -> None:
    cluster.make()
    cluster.run().ok()
    cluster.merge({"spec": {"template": {"spec": {"serviceAccountName": "other", "serviceAccount": "other"}}}})
    told = cluster.run(state="original").ok()
    assert told["left"] == [{"field": "service_account", "was": "default", "now": "other"}]
    assert (told["workload"]["service_account"], note(cluster.get())) == ("other", None)
    assert USE_LABEL not in template(cluster.get())


def test_a_refusal_that_may_quote_the_template_is_not_told(cluster: Cluster, client: Client) -> None:
    cluster.make()
    with (
        obstacles.refusal(cluster.server, quoting=True) as config,
        obstacles.webhook(client, cluster.namespace, "deployments", config, group="apps"),
    ):
        for check in (True, False):
            outcome = cluster.run(check=check)
            assert "its reason is not told here" in outcome.failure() and "--dry-run=server" in outcome.failure()
            assert outcome.result["failed_action"].endswith("(use Workload ID)") and not outcome.result["changed"]


@pytest.mark.parametrize("number", fixed([None, 0, 1], 0))
def test_it_needs_what_its_prediction_names(
    cluster: Cluster, own_server: ApiServer, client: Client, number: int | None
) -> None:
    cluster.make()
    needs = cluster.run(check=True).ok()["permissions"]
    assert len(needs) == 2
    world = World(own_server, client, [])
    who = world.somebody([each for each in needs if number is None or each != needs[number]])
    granted = [] if number is None else [needs[number]["resource"]]

    def missing() -> list[str]:
        found = Runner(own_server, "access_review_info")(needs=needs, **who).ok()["missing"]
        return [each["resource"] for each in found]

    server.until("the API server sees the roles", lambda: missing() == granted)
    predicted, outcome = cluster.run(check=True, **who), cluster.run(**who)
    assert predicted.result["permissions"] == needs
    if number is None:
        assert rollout(outcome) == [2, 2, 2, 2]
    else:
        assert outcome.failure() and outcome.result["error"]["status"] == predicted.result["error"]["status"] == 403
        assert note(cluster.get()) is None
