# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbook diagnose on real nodes, where what is wrong is wrong on a node or with the real webhook. Needs root.

The tests are one story. Each breaks something, sees its effect in a pod, is told the cause, and mends it. Two things
are produced that nobody here does by himself: no network plugin enforces NetworkPolicies, so that a rule on the node
drops what a policy forbids; and no agent of AKS marks nodes with rules of others, so that the test does.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest
from operators import CLUSTER, GROUP, SITE, Operator
from probes import QUICK_NMI
from sandboxes import Sandbox, eventually, running

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.nodes.cluster_nodes import USER_RULES_LABEL
from azsandbox import programs

pytestmark = pytest.mark.story

TEAM, API, MOVER = "billing", "api", "mover"
TOKEN = "identity/oauth2/token?api-version=2018-02-01&resource=https://management.azure.com/"
INSTANCE = "instance?api-version=2021-02-01"
IMDS = "169.254.169.254"
KEPT = {"pool": "kept"}
"""The label of the node on which MIC and all workloads are."""
WEBHOOK, MANAGER = "azure-workload-identity-system", "azure-wi-webhook-controller-manager"
NMI = "daemonset/aad-pod-identity-nmi"
OK, TIMEOUT, REFUSED = "200 0", "000 28", "000 7"
"""Status of the answer and of curl itself."""


@dataclass(frozen=True)
class Shop:
    """A cluster with two nodes: MIC and all workloads are on the first."""

    operator: Operator
    first: str
    other: str

    @property
    def sandbox(self) -> Sandbox:
        return self.operator.sandbox

    def kubectl(self, *arguments: str) -> str:
        return self.sandbox.exec("kubectl", *arguments)

    def apply(self, *objects: dict[str, Any]) -> None:
        file = self.operator.directory / "objects.json"
        file.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))
        self.kubectl("apply", "-f", str(file))

    def rolled_out(self, *names: str) -> None:
        self.kubectl("rollout", "status", *names, "--timeout=120s")

    def on(self, node: str, script: str) -> str:
        (found,) = self.operator.kubectl("get", "nodes", "--field-selector", f"metadata.name={node}")["items"]
        (address,) = (each["address"] for each in found["status"]["addresses"] if each["type"] == "InternalIP")
        return self.sandbox.ssh(address, script)

    def restart_nmi(self) -> None:
        """On the first node."""
        pods = ("-l", "app.kubernetes.io/component=nmi", "--field-selector", f"spec.nodeName={self.first}")
        self.kubectl("delete", "pods", "-n", "default", *pods)
        self.rolled_out("-n", "default", NMI)

    def ask(self, pod: str, what: str = TOKEN, seconds: int = 30) -> str:
        """What a pod gets from its metadata address: ``OK`` and the like."""
        options = f"-s -o /dev/null -m {seconds} -w '%{{http_code}}' -H Metadata:true"
        script = f"""curl {options} 'http://{IMDS}/metadata/{what}'; echo " $?" """
        return self.kubectl("exec", "-n", TEAM, pod, "--", "bash", "-c", script).strip()

    def told(self) -> dict[str, Any]:
        """What the playbook leaves. It changes nothing."""
        run = self.operator.play("azureops.pod_identity.diagnose").ok()
        assert run.changes() == []
        return dict(run.stats["pod_identity_diagnosis"]["localhost"])

    def first_cause(self) -> dict[str, Any]:
        found = self.told()
        assert found["causes"], found
        return dict(found["causes"][0])

    def is_well(self) -> None:
        found = self.told()
        assert (found["verdict"], found["causes"], found["unread"]) == ("healthy", [], [])


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with running("diagnosis", "--with", "workload-identity") as sandbox:
        variables = {
            **SITE,
            "pod_identity_cluster_oidc_issuer_enabled": True,
            "pod_identity_cluster_network_plugin": "azure",
            "pod_identity_cluster_network_policy": "azure",
            "pod_identity_chart_values": {**QUICK_NMI, "mic": {"replicas": 1}},
            "pod_identity_verify_workloads": [],
        }
        operator = Operator(sandbox, tmp_path_factory.mktemp("operator"), variables)
        operator.site().ok()
        (mic,) = operator.kubectl("get", "pods", "-n", "default", "-l", "app.kubernetes.io/component=mic")["items"]
        first = mic["spec"]["nodeName"]
        (other,) = {each["metadata"]["name"] for each in operator.kubectl("get", "nodes")["items"]} - {first}
        made = Shop(operator, first, other)
        made.kubectl("label", "node", first, *(f"{name}={value}" for name, value in KEPT.items()))
        made.apply(_workload(API, {"aadpodidbinding": TEAM}))
        made.rolled_out("-n", TEAM, f"deployment/{API}")
        eventually(lambda: made.ask(f"deploy/{API}") == OK, 120)
        yield made


def _workload(name: str, labels: dict[str, str], **spec: Any) -> dict[str, Any]:
    container = {
        "name": name,
        "image": "mcr.microsoft.com/azurelinux/base/core:3.0",
        "command": ["sleep", "infinity"],
    }
    template = {
        "metadata": {"labels": {"app": name, **labels}},
        "spec": {"terminationGracePeriodSeconds": 0, "nodeSelector": KEPT, "containers": [container], **spec},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": TEAM},
        "spec": {"selector": {"matchLabels": {"app": name}}, "template": template},
    }


@pytest.fixture(scope="module")
def moved(shop: Shop) -> Shop:
    """The real webhook beside it, and a workload that it serves."""
    az, folder = shop.sandbox.az, shop.operator.directory
    place = ("--resource-group", GROUP, "--name", CLUSTER)
    az("aks", "get-credentials", *place, "--file", str(folder / "kubeconfig"))
    values = f"azureTenantID={az('account', 'show')['tenantId']},replicaCount=1"
    chart = str(programs.built("workload-identity") / "charts/workload-identity-webhook")
    release = ("--namespace", WEBHOOK, "--create-namespace", "--set", values, "--wait")
    connection = ("--kubeconfig", str(folder / "kubeconfig"))
    shop.sandbox.exec("helm", *connection, "install", "workload-identity-webhook", chart, *release)
    identity = az("identity", "create", "--resource-group", GROUP, "--name", MOVER)
    issuer = az("aks", "show", *place)["oidcIssuerProfile"]["issuerUrl"]
    trusted = ("--issuer", issuer, "--subject", f"system:serviceaccount:{TEAM}:{MOVER}")
    named = ("--resource-group", GROUP, "--identity-name", MOVER, "--name", MOVER)
    az("identity", "federated-credential", "create", *named, *trusted, "--audiences", "api://AzureADTokenExchange")
    annotations = {"azure.workload.identity/client-id": identity["clientId"]}
    metadata = {"name": MOVER, "namespace": TEAM, "annotations": annotations}
    shop.apply(
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata},
        _workload(MOVER, {"azure.workload.identity/use": "true"}, serviceAccountName=MOVER),
    )
    shop.rolled_out("-n", TEAM, f"deployment/{MOVER}")
    return shop


def test_a_cluster_in_use_is_healthy(shop: Shop) -> None:
    shop.is_well()


def test_a_node_does_not_reach_its_metadata_service(shop: Shop, request: pytest.FixtureRequest) -> None:
    """A route of the node is in the way; what pods ask goes to NMI all the same, which has no connection yet."""
    shop.on(shop.first, f"ip route add unreachable {IMDS}")
    shop.restart_nmi()
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(shop.ask, f"deploy/{API}", TOKEN, 180)  # NMI tries for two minutes
        request.getfixturevalue("moved")
        assert shop.ask(f"deploy/{API}", INSTANCE) == "500 0"
        assert shop.first_cause()["code"] == "node_cannot_reach_imds"
        assert asked.result() == "503 0"
    found = shop.first_cause()
    assert (found["code"], found["object"]) == ("node_cannot_reach_imds", f"Node {shop.first}")
    assert "Failed to execute the refresh request" in found["evidence"][0]["text"]
    shop.on(shop.first, f"ip route del unreachable {IMDS}")
    shop.restart_nmi()  # the log of that before is of a node that was broken
    eventually(lambda: shop.ask(f"deploy/{API}") == OK, 60)


@pytest.mark.soak
def test_the_webhook_is_gone_or_does_not_start(moved: Shop) -> None:
    moved.is_well()
    manager = f"deployment/{MANAGER}"
    moved.kubectl("scale", "-n", WEBHOOK, manager, "--replicas=0")
    eventually(lambda: not moved.operator.kubectl("get", "pods", "-n", WEBHOOK)["items"], 60)
    moved.kubectl("scale", "-n", TEAM, f"deployment/{MOVER}", "--replicas=2")
    failed = "jsonpath={.items[*].status.conditions[?(@.type=='ReplicaFailure')].message}"
    made = ("get", "replicasets", "-n", TEAM, "-l", f"app={MOVER}", "-o", failed)
    eventually(lambda: "failed calling webhook" in moved.kubectl(*made), 60)
    found = moved.first_cause()
    assert (found["code"], found["object"]) == ("webhook_not_running", f"Deployment {WEBHOOK}/{MANAGER}")
    assert any("failed calling webhook" in each["text"] for each in found["evidence"])

    image = moved.operator.kubectl("get", "-n", WEBHOOK, manager)["spec"]["template"]["spec"]["containers"][0]["image"]
    moved.kubectl("set", "image", "-n", WEBHOOK, manager, "manager=mcr.microsoft.com/not/there:1")
    moved.kubectl("scale", "-n", WEBHOOK, manager, "--replicas=1")
    eventually(lambda: moved.operator.kubectl("get", "pods", "-n", WEBHOOK)["items"], 60)
    found = moved.first_cause()
    assert found["code"] == "webhook_not_running" and "none of its 1 pods is Ready" in found["cause"]

    moved.kubectl("set", "image", "-n", WEBHOOK, manager, f"manager={image}")
    moved.rolled_out("-n", WEBHOOK, manager)
    moved.kubectl("rollout", "restart", "-n", TEAM, f"deployment/{MOVER}")  # rather than wait for the next attempt
    moved.rolled_out("-n", TEAM, f"deployment/{MOVER}")
    moved.is_well()


@pytest.mark.soak
def test_a_policy_keeps_a_pod_from_nmi(moved: Shop) -> None:
    policy = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "egress", "namespace": TEAM},
        "spec": {
            "podSelector": {"matchLabels": {"app": API}},
            "policyTypes": ["Egress"],
            "egress": [{"to": [{"ipBlock": {"cidr": f"{IMDS}/32"}}]}],
        },
    }
    (pod,) = moved.operator.kubectl("get", "pods", "-n", TEAM, "-l", f"app={API}")["items"]
    rule = f"INPUT -s {pod['status']['podIP']} -p tcp --dport 2579 -j DROP"
    moved.apply(policy)
    moved.on(moved.first, f"iptables -w -I {rule}")
    assert moved.ask(f"deploy/{API}", seconds=5) == TIMEOUT
    found = moved.first_cause()
    assert (found["code"], found["object"]) == ("policy_blocks_nmi", f"NetworkPolicy {TEAM}/egress")
    assert found["certainty"] == "proved"  # Azure says what enforces policies
    moved.kubectl("delete", "networkpolicy", "-n", TEAM, "egress")
    moved.on(moved.first, f"iptables -w -D {rule}")
    assert moved.ask(f"deploy/{API}") == OK


@pytest.mark.soak
def test_nmi_died_on_a_node_and_its_rules_are_left(moved: Shop) -> None:
    """It is stopped there, so that it cannot clean up, while its DaemonSet leaves the node."""
    other = moved.other
    plain = _workload("plain", {}, nodeSelector={"kubernetes.io/hostname": other})
    moved.apply(plain)
    moved.rolled_out("-n", TEAM, "deployment/plain")
    moved.on(other, "pkill -STOP -x nmi")
    selector = {"spec": {"template": {"spec": {"nodeSelector": KEPT}}}}
    moved.kubectl("patch", "-n", "default", NMI, "-p", json.dumps(selector))
    on_other = ("-n", "default", "-l", "app.kubernetes.io/component=nmi", "--field-selector", f"spec.nodeName={other}")

    def leaves() -> bool:
        pods = moved.operator.kubectl("get", "pods", *on_other)["items"]
        return all("deletionTimestamp" in each["metadata"] for each in pods)

    eventually(leaves, 60)
    moved.on(other, "pkill -KILL -x nmi; while pgrep -x nmi; do sleep 0.2; done")
    eventually(lambda: not moved.operator.kubectl("get", "pods", *on_other)["items"], 60)
    moved.rolled_out("-n", "default", NMI)
    moved.kubectl("label", "node", other, f"{USER_RULES_LABEL}=true")
    assert moved.ask("deploy/plain", INSTANCE, 5) == REFUSED
    found = moved.first_cause()
    assert (found["code"], found["object"]) == ("stale_rule", f"Node {other}")
    assert "cleanup_nodes" in found["fix"]["text"]

    moved.kubectl("patch", "-n", "default", NMI, "-p", json.dumps(selector).replace('"kept"', "null"))
    moved.rolled_out("-n", "default", NMI)
    assert moved.ask("deploy/plain", INSTANCE) == OK
    moved.is_well()
