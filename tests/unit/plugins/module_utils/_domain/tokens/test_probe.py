# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where a probe may run, what it looks like, and what its token must say."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.errors import Failure
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.matching import matching
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.tokens import probe, probe_job
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.tokens.probe import Cluster
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.tokens.probe_job import Place, Target
from ansible_collections.azureops.pod_identity.tests.unit.tables import for_each

ID = "/subscriptions/s/resourcegroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/"
SETS = "azure:///subscriptions/s/resourceGroups/MC/providers/Microsoft.Compute/virtualMachineScaleSets/"
RESOURCE = "https://management.azure.com/"


def raw(name: str, node: str = "a0", labels: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "namespace": "n", "labels": {"aadpodidbinding": "x", **(labels or {})}},
        "spec": {"nodeName": node, "serviceAccountName": "app", **spec},
        "status": {"phase": "Running"},
    }


def node(name: str, os: str = "linux") -> dict[str, Any]:
    provider = f"{SETS}{name[0]}/virtualMachines/{name[1]}"
    return {"metadata": {"name": name, "labels": {"kubernetes.io/os": os}}, "spec": {"providerID": provider}}


def cluster(**changes: Any) -> Cluster:
    return Cluster(
        **{
            "pods": (matching.Pod("n", "w", {"aadpodidbinding": "x"}, "a0"),),
            "bindings": (matching.Binding("n", "b", "i", "x"),),
            "identities": (matching.Identity("n", "i", 0, ID + "i", "c1"),),
            "nodes": (node("a0"), node("a1"), node("b0")),
            **changes,
        }
    )


def choose(*pods: dict[str, Any], labels: dict[str, str] | None = None, **target: str) -> Place:
    return probe.choose(Target("n", **{"selector": "x", **target}), pods, labels or {})


def refused(place: Place, world: Cluster, **options: bool) -> str:
    forbidden = dict.fromkeys(("allow_detach", "allow_unready_endpoints", "allow_blocked_evictions"), False)
    allowed = {**forbidden, **options}
    return probe.obstacle(place, "n", "probe", world, **allowed)


def job(place: Place, **target: str) -> dict[str, Any]:
    wanted = Target("n", **{"selector": "x", **target})
    times: dict[str, Any] = {"timeout": 180, "start_timeout": 120}
    return probe_job.job(
        place, wanted, name="probe", owner="default", image="i", resource=RESOURCE, client_id=None, **times
    )


def test_the_model_is_the_first_running_pod() -> None:
    pending = {**raw("a"), "status": {"phase": "Pending"}}
    ended = {**raw("0"), "status": {"phase": "Succeeded"}}
    going = raw("1")
    going["metadata"]["deletionTimestamp"] = "now"
    other = raw("2", labels={"aadpodidbinding": "y"})
    ours = raw("3", labels={probe_job.PROBE_LABEL: "z"})
    assert choose(pending, ended, going, other, ours, raw("c"), raw("b", "a1")).model_name == "b"
    assert choose(raw("b"), raw("c", "a1"), node="a1").model_name == "c"
    assert choose(raw("b"), node="a1").node == "a1"
    assert choose(pending).model_name == "a"
    with pytest.raises(Failure, match="does not run"):
        choose(raw("b"), pod="c")


def test_labels_of_controllers_are_left_out() -> None:
    theirs = {"app": "api", "pod-template-hash": "1", "controller-revision-hash": "2", "job-name": "j"}
    theirs |= {"statefulset.kubernetes.io/pod-name": "api-0", "apps.kubernetes.io/pod-index": "0"}
    theirs |= {"batch.kubernetes.io/job-name": "j"}
    place = choose(raw("a", labels=theirs), labels={"extra": "1"})
    assert place.labels == {"app": "api", "aadpodidbinding": "x", "extra": "1"}
    assert choose(raw("a", labels=theirs), labels={"app": ""}).labels == {"aadpodidbinding": "x"}


def test_the_probe_is_tame() -> None:
    spec: dict[str, Any] = {
        "tolerations": [{"operator": "Exists"}],
        "imagePullSecrets": [{"name": "s"}],
        "hostPID": True,
    }
    made = job(choose(raw("a", **spec, volumes=[{"name": "v"}], containers=[{"env": [{"name": "SECRET"}]}])))
    pod = made["spec"]["template"]["spec"]
    assert made["spec"]["backoffLimit"] == 0 and made["spec"]["ttlSecondsAfterFinished"]
    assert made["spec"]["activeDeadlineSeconds"] == 330
    assert (pod["nodeName"], pod["serviceAccountName"]) == ("a0", "app")
    assert pod["tolerations"] and pod["imagePullSecrets"] and pod["readinessGates"]
    assert not {"hostPID", "hostNetwork", "volumes"} & set(pod) and pod["automountServiceAccountToken"] is False
    assert "eyJ" not in repr(made) and "SECRET" not in repr(made)
    assert made["metadata"]["labels"][probe_job.PROBE_LABEL] == Target("n", "x").key()


def test_a_node_that_is_named_is_tried_whatever_it_ends() -> None:
    no_execute = {"operator": "Exists", "effect": "NoExecute"}
    model = raw("a", tolerations=[{"key": "sku", "operator": "Exists"}])
    made = job(choose(model, node="a0"), node="a0")
    assert made["spec"]["template"]["spec"]["tolerations"] == [{"key": "sku", "operator": "Exists"}, no_execute]
    assert "tolerations" not in job(choose(raw("a")))["spec"]["template"]["spec"]


def test_without_a_model_the_scheduler_chooses() -> None:
    pod = job(choose())["spec"]["template"]["spec"]
    assert "nodeName" not in pod and pod["nodeSelector"] == {"kubernetes.io/os": "linux"}


def test_the_annotations_of_workload_identity_are_kept() -> None:
    model = raw("a")
    model["metadata"]["annotations"] = {"azure.workload.identity/inject-proxy-sidecar": "true", "note": "x"}
    kept = job(choose(model))["spec"]["template"]["metadata"]["annotations"]
    assert kept == {"azure.workload.identity/inject-proxy-sidecar": "true"}


@pytest.mark.parametrize(("where", "words"), [("a0", ""), ("a1", ""), ("b0", "allow_detach"), ("c0", "does not exist")])
def test_where_a_probe_may_run(where: str, words: str) -> None:
    reason = refused(choose(raw("w"), node=where), cluster())
    assert words in reason and bool(reason) is bool(words)


def test_permission_to_detach() -> None:
    assert refused(choose(), cluster(), allow_detach=True) == ""
    assert "cannot be told" in refused(choose(), cluster())
    assert refused(choose(), cluster(bindings=())) == ""


def test_host_network_and_windows() -> None:
    assert "host network" in refused(choose(raw("w", hostNetwork=True)), cluster())
    assert "Linux" in refused(choose(raw("w")), cluster(nodes=(node("a0", "windows"),)))


def test_services_that_publish_unready_pods() -> None:
    def service(**spec: Any) -> tuple[dict[str, Any], ...]:
        return ({"metadata": {"name": "s"}, "spec": spec},)

    place = choose(raw("w", labels={"app": "api"}))
    published = cluster(services=service(selector={"app": "api"}, publishNotReadyAddresses=True))
    assert "Service n/s" in refused(place, published)
    assert refused(place, published, allow_unready_endpoints=True) == ""
    unready = {"publishNotReadyAddresses": True}
    for harmless in ({"selector": {"app": "api"}}, {"selector": {"app": "other"}, **unready}, unready):
        assert refused(place, cluster(services=service(**harmless))) == ""


APP, OURS = {"matchLabels": {"app": "api"}}, probe_job.PROBE_LABEL


def expressed(key: str, operator: str, *values: str) -> dict[str, Any]:
    return {"matchExpressions": [{"key": key, "operator": operator, **({"values": list(values)} if values else {})}]}


@for_each(
    (False, {"minAvailable": 1, "selector": APP}),
    (True, {"maxUnavailable": 1, "selector": APP}),
    (True, {"maxUnavailable": 0, "selector": APP}),
    (True, {"maxUnavailable": "50%", "selector": APP}),
    (True, {"minAvailable": "50%", "selector": APP}),
    (False, {"maxUnavailable": 1, "selector": {"matchLabels": {"app": "other"}}}),
    (True, {"maxUnavailable": 1, "selector": {}}),
    (False, {"maxUnavailable": 1}),
    (True, {"maxUnavailable": 1, "selector": expressed("app", "In", "api", "web")}),
    (False, {"maxUnavailable": 1, "selector": expressed("app", "NotIn", "api", "web")}),
    (True, {"maxUnavailable": 1, "selector": expressed("tier", "NotIn", "back")}),
    (True, {"maxUnavailable": 1, "selector": expressed("app", "Exists")}),
    (False, {"maxUnavailable": 1, "selector": expressed("tier", "Exists")}),
    # Labels that only the probe itself has, or its Job gives it.
    (False, {"maxUnavailable": 1, "selector": {**APP, **expressed(OURS, "DoesNotExist")}}),
    (False, {"maxUnavailable": 1, "selector": {**APP, **expressed("job-name", "DoesNotExist")}}),
)
def test_budgets_that_cannot_count_a_job(disturbed: bool, spec: dict[str, Any]) -> None:
    place = choose(raw("w", labels={"app": "api"}))
    world = cluster(budgets=({"metadata": {"name": "keep"}, "spec": spec},))
    assert ("PodDisruptionBudget n/keep" in refused(place, world)) is disturbed
    assert refused(place, world, allow_blocked_evictions=True) == ""


SECOND = {
    "bindings": (matching.Binding("n", "b", "i", "x"), matching.Binding("n", "c", "j", "x")),
    "identities": (matching.Identity("n", "i", 0, ID + "i", "c1"), matching.Identity("n", "j", 0, ID + "j", "c2")),
}


@for_each(
    ({}, None, {}, ("c1", ID + "i", "n/i", False, False)),
    ({}, "c1", {}, ("c1", ID + "i", "n/i", False, False)),
    ({}, "c9", {}, ("c9", "", "n/i", False, True)),
    ({}, None, {"client_id": "c9"}, ("c9", "", "n/i", False, False)),
    (SECOND, None, {}, ("", "", "n/i, n/j", True, False)),
    (SECOND, "c2", {}, ("c2", ID + "j", "n/j", False, False)),
    ({"bindings": ()}, None, {}, ("", "", "", False, False)),
    ({"bindings": ()}, "c1", {}, ("c1", "", "", False, False)),
)
def test_what_the_token_must_say(
    changes: dict[str, Any], asked: str | None, told: dict[str, str], expected: tuple[str, str, str, bool, bool]
) -> None:
    found = probe.expectation(choose(raw("w")), "n", cluster(**changes), told, RESOURCE, asked)
    assert (found.client_id, found.resource_id, found.identity, found.ambiguous, found.unmatched) == expected
    assert found.audience == RESOURCE


@given(st.lists(st.tuples(st.sampled_from(["w", "v"]), st.sampled_from(["a0", "a1", "b0"]), st.booleans())))
def test_a_probe_runs_only_beside_a_holder(others: list[tuple[str, str, bool]]) -> None:
    pods = tuple(
        matching.Pod("n", name, {"aadpodidbinding": "x"}, where, deleting=gone) for name, where, gone in others
    )
    beside = any(pod.node[0] == "a" and not pod.deleting for pod in pods)
    assert (refused(choose(raw("w")), cluster(pods=pods)) == "") is beside


def spread(samples: int, *pods: dict[str, Any], within: bool = False, **target: str) -> list[tuple[str, str, int]]:
    found = probe.spread(Target("n", **{"selector": "x", **target}), pods, {}, samples, within=within)
    return [(place.model_name, place.node, wanted) for place, wanted in found]


def test_samples_come_from_all_nodes_or_all_pods() -> None:
    pods = (raw("a"), raw("b"), raw("c", "a1"), {**raw("d", "b0"), "status": {"phase": "Pending"}})
    assert spread(5, *pods) == [("a", "a0", 3), ("c", "a1", 2)]
    assert spread(5, *pods, within=True) == [("a", "a0", 2), ("b", "a0", 2), ("c", "a1", 1)]
    assert spread(2, *pods, within=True) == [("a", "a0", 1), ("b", "a0", 1)]
    assert spread(5, *pods, node="a1") == spread(5, *pods, node="a1", within=True) == [("c", "a1", 5)]
    assert spread(5, *pods, pod="b", within=True) == [("b", "a0", 5)]
    assert spread(5) == [("", "", 5)]


PODS = st.dictionaries(st.sampled_from("abcdefg"), st.sampled_from(["a0", "a1", "b0"]))


@given(st.integers(1, 50), PODS, st.booleans())
def test_samples_are_shared_out(samples: int, pods: dict[str, str], within: bool) -> None:
    made = [raw(name, node) for name, node in pods.items()]
    found = probe.spread(Target("n", selector="x"), made, {}, samples, within=within)
    shares = [wanted for dummy, wanted in found]
    assert sum(shares) == samples and max(shares) - min(shares) <= 1 and min(shares) >= 1
    assert found[0][0] == probe.choose(Target("n", selector="x"), made, {})
    spots = set(pods if within else pods.values())
    assert len(found) == min(samples, max(1, len(spots)))
