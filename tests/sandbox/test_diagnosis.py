# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbook diagnose on real nodes, where what is wrong is wrong on a node. Needs root.

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
from applications import deployment
from operators import SITE, Operator
from probes import QUICK_NMI
from sandboxes import Sandbox, eventually, running

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.nodes.cluster_nodes import USER_RULES_LABEL

pytestmark = [pytest.mark.story, pytest.mark.soak]

TEAM, API = "billing", "api"
TOKEN = "identity/oauth2/token?api-version=2018-02-01&resource=https://management.azure.com/"
INSTANCE = "instance?api-version=2021-02-01"
IMDS = "169.254.169.254"
KEPT = {"pool": "kept"}
"""The label of the node on which MIC and all workloads are."""
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

    def rolled_out(self, *names: str) -> None:
        self.kubectl("rollout", "status", *names, "--timeout=120s")

    def on(self, node: str, script: str) -> str:
        return self.sandbox.ssh(self.operator.addresses()[node], script)

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

    def told(self, **variables: Any) -> dict[str, Any]:
        """What the playbook leaves. It changes nothing."""
        run = self.operator.play("azureops.pod_identity.diagnose", variables=variables).ok()
        assert run.changes() == []
        return dict(run.stats["pod_identity_diagnosis"]["localhost"])

    def first_cause(self) -> dict[str, Any]:
        found = self.told()
        assert found["causes"], found
        return dict(found["causes"][0])

    def is_well(self) -> None:
        found = self.told(pod_identity_diagnose_probe=True)
        assert (found["verdict"], found["causes"], found["unread"]) == ("healthy", [], [])

    def is_unproved(self) -> None:
        """Nothing is seen where nobody asks for a token."""
        found = self.told()
        unread = {each["source"] for each in found["unread"]}
        assert (found["verdict"], found["causes"], unread) == ("unknown", [], {"probe"})


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with running("diagnosis") as sandbox:
        variables = {
            **SITE,
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
        operator.apply(deployment(API, TEAM, {"aadpodidbinding": TEAM}, nodeSelector=KEPT))
        made.rolled_out("-n", TEAM, f"deployment/{API}")
        eventually(lambda: made.ask(f"deploy/{API}") == OK, 120)
        yield made


def test_a_cluster_in_use_is_healthy_where_a_token_was_asked_for(shop: Shop) -> None:
    shop.is_unproved()
    shop.is_well()


def test_a_node_does_not_reach_its_metadata_service(shop: Shop) -> None:
    """A route of the node is in the way; what pods ask goes to NMI all the same, which has no connection yet."""
    shop.on(shop.first, f"ip route add unreachable {IMDS}")
    shop.restart_nmi()
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(shop.ask, f"deploy/{API}", TOKEN, 180)  # NMI tries for two minutes
        assert shop.ask(f"deploy/{API}", INSTANCE) == "500 0"
        assert shop.first_cause()["code"] == "node_cannot_reach_imds"
        assert asked.result() == "503 0"
    found = shop.first_cause()
    assert (found["code"], found["object"]) == ("node_cannot_reach_imds", f"Node {shop.first}")
    assert "Failed to execute the refresh request" in found["evidence"][0]["text"]
    shop.on(shop.first, f"ip route del unreachable {IMDS}")
    eventually(lambda: shop.ask(f"deploy/{API}") == OK, 60)
    shop.is_well()  # by the token that NMI has given out since


def test_a_policy_keeps_a_pod_from_nmi(shop: Shop) -> None:
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
    (pod,) = shop.operator.kubectl("get", "pods", "-n", TEAM, "-l", f"app={API}")["items"]
    rule = f"INPUT -s {pod['status']['podIP']} -p tcp --dport 2579 -j DROP"
    shop.operator.apply(policy)
    shop.on(shop.first, f"iptables -w -I {rule}")
    assert shop.ask(f"deploy/{API}", seconds=5) == TIMEOUT
    found = shop.first_cause()
    assert (found["code"], found["object"]) == ("policy_blocks_nmi", f"NetworkPolicy {TEAM}/egress")
    assert found["certainty"] == "proved"  # Azure says what enforces policies
    shop.kubectl("delete", "networkpolicy", "-n", TEAM, "egress")
    shop.on(shop.first, f"iptables -w -D {rule}")
    assert shop.ask(f"deploy/{API}") == OK


def test_a_firewall_rejects_what_goes_to_nmi(shop: Shop) -> None:
    """NMI runs; its rules have to stay."""
    rule = "INPUT -p tcp --dport 2579 -j REJECT --reject-with tcp-reset"
    shop.on(shop.first, f"iptables -w -I {rule}")
    found = shop.told(pod_identity_diagnose_probe=True)["causes"][0]
    assert (found["code"], found["object"]) == ("way_to_nmi_blocked", f"Node {shop.first}")
    assert "iptables-save" in found["fix"]["command"] and "remove" not in found["fix"]["text"].lower()
    shop.on(shop.first, f"iptables -w -D {rule}")
    shop.is_well()


def test_nmi_died_on_a_node_and_its_rules_are_left(shop: Shop) -> None:
    """It is stopped there, so that it cannot clean up, while its DaemonSet leaves the node."""
    other = shop.other
    shop.operator.apply(deployment("plain", TEAM, {}, nodeSelector={"kubernetes.io/hostname": other}))
    shop.rolled_out("-n", TEAM, "deployment/plain")
    shop.on(other, "pkill -STOP -x nmi")
    selector = {"spec": {"template": {"spec": {"nodeSelector": KEPT}}}}
    shop.kubectl("patch", "-n", "default", NMI, "-p", json.dumps(selector))
    on_other = ("-n", "default", "-l", "app.kubernetes.io/component=nmi", "--field-selector", f"spec.nodeName={other}")

    def leaves() -> bool:
        pods = shop.operator.kubectl("get", "pods", *on_other)["items"]
        return all("deletionTimestamp" in each["metadata"] for each in pods)

    eventually(leaves, 60)
    shop.on(other, "pkill -KILL -x nmi; while pgrep -x nmi; do sleep 0.2; done")
    eventually(lambda: not shop.operator.kubectl("get", "pods", *on_other)["items"], 60)
    shop.rolled_out("-n", "default", NMI)
    shop.kubectl("label", "node", other, f"{USER_RULES_LABEL}=true")
    assert shop.ask("deploy/plain", INSTANCE, 5) == REFUSED
    found = shop.first_cause()
    assert (found["code"], found["object"]) == ("stale_rule", f"Node {other}")
    assert "cleanup_nodes" in found["fix"]["text"]

    shop.kubectl("patch", "-n", "default", NMI, "-p", json.dumps(selector).replace('"kept"', "null"))
    shop.rolled_out("-n", "default", NMI)
    assert shop.ask("deploy/plain", INSTANCE) == OK
    shop.is_well()
