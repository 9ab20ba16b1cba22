# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
from typing import Any

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.installation import nmi
from ansible_collections.azureops.pod_identity.tests.unit.tables import for_each

READY = {"conditions": [{"type": "Ready", "status": "True"}]}


def workload(image: str, *, args: list[str] | None = None, **spec: Any) -> dict[str, Any]:
    container = {"image": image, "args": args or []}
    return {"metadata": {}, "spec": {"template": {"spec": {"containers": [container], **spec}}}}


def node(name: str, *, labels: dict[str, str] | None = None, taints: Any = (), ready: str = "True") -> dict[str, Any]:
    return {
        "metadata": {"name": name, "labels": {"kubernetes.io/os": "linux", **(labels or {})}},
        "spec": {"taints": list(taints)},
        "status": {"conditions": [{"type": "Ready", "status": ready}]},
    }


def pod(name: str, on: str, status: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": {"nodeName": on}, "status": READY if status is None else status}


@for_each(
    ("mcr.microsoft.com/oss/azure/aad-pod-identity/nmi:v1.8.17", True),
    ("mcr.microsoft.com/k8s/aad-pod-identity/nmi:1.5.5", True),
    ("registry:5000/aad-pod-identity-nmi@sha256:abc", True),
    ("registry:5000/nmi", True),
    ("registry/omni:1", False),
    ("registry/nmi-exporter:1", False),
    ("registry/nmi/tools:1", False),
)
def test_nmi_is_known_by_its_image(image: str, runs: bool) -> None:
    assert nmi.runs_image(workload(image), "nmi") is runs


@for_each(
    ("r:5000/nmi:v1.8.17", "v1.8.17"), ("r:5000/nmi", ""), ("r/nmi:v1.8.17@sha256:abc", "v1.8.17"), ("nmi@sha256:a", "")
)
def test_version(image: str, tag: str) -> None:
    assert nmi.image_tag(workload(image)) == tag


HELM = {"meta.helm.sh/release-name": "api", "meta.helm.sh/release-namespace": "identity"}


@for_each(
    ({}, {}, nmi.Manager("manifests")),
    ({"app.kubernetes.io/managed-by": "Helm"}, HELM, nmi.Manager("helm", "api", "identity")),
    ({"helm.toolkit.fluxcd.io/name": "api"}, HELM, nmi.Manager("flux", "api", "identity")),
    ({"kustomize.toolkit.fluxcd.io/name": "apps"}, {}, nmi.Manager("flux")),
    ({"argocd.argoproj.io/instance": "api"}, {}, nmi.Manager("argo")),
    ({}, {"argocd.argoproj.io/tracking-id": "api:apps/DaemonSet:default/nmi"}, nmi.Manager("argo")),
    ({"kubernetes.azure.com/managedby": "aks"}, {}, nmi.Manager("addon")),
    ({"addonmanager.kubernetes.io/mode": "Reconcile"}, HELM, nmi.Manager("addon")),
)
def test_who_manages_it(labels: dict[str, str], annotations: dict[str, str], manager: nmi.Manager) -> None:
    assert nmi.managed_by({"metadata": {"labels": labels, "annotations": annotations}}) == manager


@for_each(
    (["kube-controller-manager", "argocd-controller"], {}, "argo"),
    (["argocd-application-controller"], {}, "argo"),  # versions before 2.3
    (["argocd-controller", "helm"], HELM, "helm"),  # taken over by helm since
    (["kubectl-client-side-apply"], {}, "manifests"),
)
def test_the_writer_of_charts_that_argo_tracks_by_a_label(
    writers: list[str], annotations: dict[str, str], kind: str
) -> None:
    labels = {"app.kubernetes.io/instance": "api", "app.kubernetes.io/managed-by": "Helm"}
    fields = [{"manager": writer, "operation": "Update"} for writer in writers]
    found = {"metadata": {"labels": labels, "annotations": annotations, "managedFields": fields}}
    assert nmi.managed_by(found).kind == kind


def test_probe_port_and_lock_come_from_the_arguments() -> None:
    assert nmi.probe_port(workload("nmi", args=["--http-probe-port=8085"])) == 8085
    assert nmi.probe_port(workload("nmi")) == 8080
    assert nmi.lock_of(workload("mic")) == nmi.Lock("default", "aad-pod-identity-mic")
    args = ["--leader-election-namespace=id", "--leader-election-name=lock", "--leader-election-instance=one"]
    assert nmi.lock_of(workload("mic", args=args)) == nmi.Lock("id", "lock", "one")


def lock(holder: str) -> dict[str, Any]:
    annotations = {"control-plane.alpha.kubernetes.io/leader": json.dumps({"holderIdentity": holder})}
    return {"metadata": {"annotations": annotations}}


def tolerating(**toleration: str) -> dict[str, Any]:
    return {"tolerations": [toleration]}


@for_each(
    (lock("mic-1"), "", {"mic-1", "mic-2"}, "mic-1"),
    (lock("mic-0"), "", {"mic-1", "mic-2"}, ""),  # the lock of a pod that is gone
    (lock("one"), "one", {"mic-1"}, "one"),
    (lock("one"), "one", set(), ""),
    (lock(""), "", {"mic-1"}, ""),
    (None, "", {"mic-1"}, ""),
    ({"metadata": {"annotations": {"control-plane.alpha.kubernetes.io/leader": "{"}}}, "", {"mic-1"}, ""),
)
def test_leader(holder: dict[str, Any] | None, instance: str, running: set[str], leader: str) -> None:
    assert nmi.leader(nmi.Lock("default", "lock", instance), holder, running) == leader


WAITS = {"containerStatuses": [{"state": {"waiting": {"reason": "ErrImagePull"}}}]}
GPU = {"key": "sku", "value": "gpu", "effect": "NoSchedule"}


def only_on(*values: str) -> dict[str, Any]:
    """An affinity for nodes of these pools."""
    expression = {"key": "pool", "operator": "In", "values": list(values)}
    required = {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}
    return {"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}}


def waiting(on: str, message: str) -> dict[str, Any]:
    """A pod that the DaemonSet made for that node, and that is not scheduled."""
    field = {"key": "metadata.name", "operator": "In", "values": [on]}
    required = {"nodeSelectorTerms": [{"matchFields": [field]}]}
    affinity = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}
    conditions = [{"type": "PodScheduled", "status": "False", "message": message}]
    return {
        "metadata": {"name": "p"},
        "spec": {"affinity": affinity},
        "status": {"phase": "Pending", "conditions": conditions},
    }


@for_each(
    (node("n"), {}, [pod("p", "n")], "active", ""),
    (node("n"), only_on("a"), [], "not_expected", "NMI's affinity leaves it out"),
    (node("n", labels={"pool": "a"}), only_on("a"), [], "missing", "no NMI pod runs there"),
    (
        *(node("n"), {}, [waiting("n", "1 Insufficient\x1b cpu.")]),
        *("not_ready", "its pod is not scheduled: 1 Insufficient\\x1b cpu"),
    ),
    (node("n"), {}, [waiting("other", "No.")], "missing", "no NMI pod runs there"),
    (node("n"), {}, [], "missing", "no NMI pod runs there"),
    (node("n"), {}, [pod("p", "other")], "missing", "no NMI pod runs there"),
    (node("n"), {}, [pod("deaf", "n")], "not_active", "NMI says 'Not Active' of itself"),
    (node("n"), {}, [pod("p", "n", {"phase": "Pending"})], "not_ready", "its pod is Pending and not Ready"),
    (node("n"), {}, [pod("p", "n", WAITS)], "not_ready", "its container waits: ErrImagePull"),
    (node("n", labels={"kubernetes.io/os": "windows"}), {}, [], "not_expected", "its operating system is windows"),
    (node("n", labels={"type": "virtual-kubelet"}), {}, [], "not_expected", "it is a virtual node"),
    (node("n", ready="False"), {}, [pod("p", "n")], "not_expected", "it is not Ready"),
    (node("n"), {"nodeSelector": {"pool": "a"}}, [], "not_expected", "NMI selects nodes with pool=a"),
    (node("n", taints=[GPU]), {}, [], "not_expected", "NMI does not tolerate its taint sku:NoSchedule"),
    (node("n", taints=[GPU]), tolerating(operator="Exists"), [], "missing", "no NMI pod runs there"),
    (node("n", taints=[GPU]), tolerating(key="sku", value="gpu"), [], "missing", "no NMI pod runs there"),
    (
        *(node("n", taints=[GPU]), tolerating(key="sku", operator="Exists", effect="NoExecute"), []),
        *("not_expected", "NMI does not tolerate its taint sku:NoSchedule"),
    ),
    (node("n", taints=[{**GPU, "effect": "PreferNoSchedule"}]), {}, [], "missing", "no NMI pod runs there"),
    (
        node("n", taints=[{"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}]),
        {},
        [],
        "missing",
        "no NMI pod runs there",
    ),
)
def test_node_state(one: dict[str, Any], template: dict[str, Any], pods: list[Any], state: str, reason: str) -> None:
    def health(of: Any) -> str:
        return "Not Active" if of["metadata"]["name"] == "deaf" else "Active"

    (found,) = nmi.node_states(workload("nmi", **template), [one], pods, health)
    assert (found.state, found.reason) == (state, reason)


@for_each(
    (node("n"), {}, {}),
    (node("n"), {"nodeSelector": {"pool": "a", "kubernetes.io/os": "linux"}}, {"nodeSelector": {"pool": None}}),
    (node("n"), only_on("a"), {"affinity": {"nodeAffinity": None}}),
    (node("n", taints=[GPU]), {}, {"tolerations": [{"operator": "Exists"}]}),
    (node("n", labels={"kubernetes.io/os": "windows"}), {"nodeSelector": {"pool": "a"}}, {}),
    (node("n", labels={"type": "virtual-kubelet"}), only_on("a"), {}),
)
def test_what_lets_nmi_run_on_a_node(one: dict[str, Any], template: dict[str, Any], change: dict[str, Any]) -> None:
    if template.get("nodeSelector", {}).get("kubernetes.io/os") == "linux":
        one["metadata"]["labels"]["kubernetes.io/os"] = "linux"
    assert nmi.letting(workload("nmi", **template), one) == change


def test_why_a_pod_is_missing_is_what_the_newest_event_says() -> None:
    def event(time: str, message: str, reason: str = "FailedCreate") -> dict[str, Any]:
        return {"reason": reason, "lastTimestamp": time, "message": message}

    states = (nmi.NodeState("n1", "missing", "no NMI pod runs there"), nmi.NodeState("n2", "active", ""))
    old, new = event("2026-01-01T00:00:00Z", "No."), event("2026-01-02T00:00:00Z", "exceeded quota: q.")
    (missing, active) = nmi.why_not_made(
        states, [new, old, event("2026-01-03T00:00:00Z", "Created", "SuccessfulCreate")]
    )
    assert missing.reason == "no NMI pod could be made: exceeded quota: q"
    assert active == states[1] and nmi.why_not_made(states, []) == states


@for_each(
    ({}, {"observedGeneration": 2, "desiredNumberScheduled": 3, "updatedNumberScheduled": 3}, True),
    ({}, {"observedGeneration": 2, "desiredNumberScheduled": 3, "updatedNumberScheduled": 2}, False),
    ({}, {"observedGeneration": 1, "desiredNumberScheduled": 3, "updatedNumberScheduled": 3}, False),
    ({"replicas": 2}, {"observedGeneration": 2, "replicas": 2, "updatedReplicas": 2}, True),
    ({"replicas": 2}, {"observedGeneration": 2, "replicas": 3, "updatedReplicas": 2}, False),
    ({"replicas": 2}, {"observedGeneration": 2, "replicas": 2, "updatedReplicas": 1}, False),
    ({"replicas": 2}, {}, False),
)
def test_rolled_out(spec: dict[str, Any], status: dict[str, Any], done: bool) -> None:
    assert nmi.rolled_out({"metadata": {"generation": 2}, "spec": spec, "status": status}) is done
