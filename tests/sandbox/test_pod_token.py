# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""pod_token_info and azure_identity_binding with the real MIC and NMI on real nodes. Needs root.

The tests follow one story: nothing assigned, assigned, wrong requests, NMI gone, identity taken away.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from applications import deployment, pod
from operators import Operator, Run
from sandboxes import Sandbox, running

from azsandbox import paths

pytestmark = [pytest.mark.story, pytest.mark.soak]


GROUP, CLUSTER, NODE_GROUP = "token-test", "one", "MC_token-test_one_westeurope"
# NMI's waits, shortened: what is judged here is the text of its answers.
NMI_WAITS = ("retryAttemptsForCreated=3", "retryAttemptsForAssigned=4", "findIdentityRetryIntervalInSeconds=2")
WORKLOAD = deployment("api", "default", {"aadpodidbinding": "billing"})


@dataclass(frozen=True)
class World:
    operator: Operator
    identity: dict[str, str]

    @property
    def sandbox(self) -> Sandbox:
        return self.operator.sandbox

    @property
    def folder(self) -> Path:
        return self.operator.directory

    def kubectl(self, *arguments: str) -> str:
        return self.sandbox.exec("kubectl", "--kubeconfig", str(self.folder / "kubeconfig"), *arguments)

    def module(self, module: str, **options: Any) -> dict[str, Any]:
        """What a module returned on the operator's workstation."""
        return self.operator.module(module, kubeconfig=str(self.folder / "kubeconfig"), **options)

    def token(self, **options: Any) -> dict[str, Any]:
        """The only entry of pod_token_info; no probe must be left."""
        answer = self.module("pod_token_info", **{"namespace": "default", "selector": "billing", **options})
        (entry,) = answer["tokens"]
        assert answer["ok"] is (entry["verdict"] == "ok") and not answer["changed"]
        assert "eyJ" not in json.dumps(answer)
        assert self.kubectl("get", "jobs", "-A", "-o", "name") == ""
        found: dict[str, Any] = entry
        return found

    def diagnosis(self) -> dict[str, Any]:
        """Of the workload, with a request of its own; no probe must be left."""
        found = self.module("pod_identity_diagnosis_info", workload="default/api", probe=True)
        assert not found["changed"] and len(found["requests"]) == len(found["actions"]) == 1
        assert "eyJ" not in json.dumps(found)
        assert self.kubectl("get", "jobs", "-A", "-o", "name") == ""
        return found

    def verify(self, *, expect: str = "billing", principal: str = "", **variables: Any) -> Run:
        """playbooks/verify.yml by somebody who has nothing but a kubeconfig and perhaps a login."""
        given = {
            "pod_identity_kubeconfig": str(self.folder / "kubeconfig"),
            "pod_identity_verify_workloads": [{"namespace": "default", "selector": "billing", "expect": expect}],
            **variables,
        }
        return self.operator.play("azureops.pod_identity.verify", variables=given, principal=principal)

    def attached(self) -> bool:
        """Whether the scale set carries the identity."""
        (found,) = self.sandbox.az("vmss", "list", "-g", NODE_GROUP)
        return any(each.lower().endswith("/billing") for each in found["identity"]["userAssignedIdentities"])

    def bind(self, **options: Any) -> dict[str, Any]:
        pair = {"name": "billing", "namespace": "default", "selector": "billing"}
        of_azure = {"resource_id": self.identity["id"], "client_id": self.identity["clientId"]}
        return self.module("azure_identity_binding", **{**pair, **of_azure, "wait": True, **options})


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("token")
    with running("token") as sandbox:
        operator = Operator(sandbox, folder, {})
        sandbox.az("group", "create", "-n", GROUP, "-l", "westeurope")
        made = World(operator, sandbox.az("identity", "create", "-g", GROUP, "-n", "billing"))
        cluster = sandbox.az("aks", "create", "-g", GROUP, "-n", CLUSTER, "--node-count", "2", "--generate-ssh-keys")
        kubeconfig = ("--kubeconfig", operator.kubeconfig(GROUP, CLUSTER, "--admin"))
        principal = cluster["identityProfile"]["kubeletidentity"]["objectId"]
        roles = [("Managed Identity Operator", group) for group in (NODE_GROUP, GROUP)]
        for role, group in (*roles, ("Virtual Machine Contributor", NODE_GROUP)):
            scope = f"{made.identity['id'].split('/resource', 1)[0]}/resourceGroups/{group}"
            who = ("--assignee-object-id", principal, "--assignee-principal-type", "ServicePrincipal")
            sandbox.az("role", "assignment", "create", *who, "--role", role, "--scope", scope)
        values = [word for wait in NMI_WAITS for word in ("--set", f"nmi.{wait}")]
        chart = str(paths.CHARTS / "aad-pod-identity-4.1.18.tgz")
        sandbox.exec("helm", *kubeconfig, "install", "aad-pod-identity", chart, "--wait", "--timeout", "120s", *values)
        operator.apply(WORKLOAD)
        made.kubectl("rollout", "status", "deployment/api", "--timeout=90s")
        yield made


@pytest.fixture(scope="module")
def assigned(world: World) -> World:
    """The pods have their identity, also where nothing else has given it to them before."""
    world.bind()
    return world


def test_without_a_binding(world: World) -> None:
    for method in ("probe_pod", "exec"):
        entry = world.token(method=method)
        assert (entry["verdict"], entry["code"], entry["answered_by"]) == ("not_assigned", "V4", "nmi")
        assert entry["http_status"] == 404
    found = world.diagnosis()
    assert found["requests"][0]["verdict"] == "not_assigned"
    assert found["causes"][0]["code"] == "nothing_matches"
    (seen,) = [each for each in found["causes"] if each["code"] == "no_token"]
    assert "nothing_matches" in seen["because"] and seen["certainty"] == "proved"


def test_assigned(world: World) -> None:
    bound = world.bind()
    assert bound["changed"] and bound["result"]["assigned"][0]["status"] == "Assigned" and world.attached()
    assert not world.bind()["changed"]
    names = {"client_id": "clientId", "object_id": "principalId", "tenant_id": "tenantId"}
    expected = {name: world.identity[key] for name, key in names.items()}
    for method in ("probe_pod", "exec"):
        entry = world.token(method=method, expect=expected)
        assert (entry["verdict"], entry["answered_by"], entry["identity"]) == ("ok", "nmi", "default/billing")
        assert entry["claims"]["appid"] == world.identity["clientId"]
        assert entry["checks"] and all(check["ok"] for check in entry["checks"])
    found = world.diagnosis()
    assert [each["verdict"] for each in found["requests"]] == ["ok"]
    assert "no_token" not in [each["code"] for each in found["causes"]]
    assert world.attached(), "the probe took the identity of its workload along"


def test_all_at_once(assigned: World) -> None:
    """Each has its own verdict, in the order asked for, and no probe is left."""
    here = {"namespace": "default", "selector": "billing"}
    entries = [
        {**here, "client_id": "00000000-0000-0000-0000-000000000000"},
        *[here] * 4,
        {"namespace": "default", "pod": "nobody"},
        {**here, "method": "exec"},
        {**here, "resource": "https://vault.azure.net"},
    ]
    answer = assigned.module("pod_token_info", workloads=entries)
    expected = ["wrong_identity", *["ok"] * 4, "not_verified", "ok", "ok"]
    assert [entry["verdict"] for entry in answer["tokens"]] == expected, answer["tokens"]
    assert not answer["ok"] and not answer["changed"]
    assert assigned.kubectl("get", "jobs", "-A", "-o", "name") == ""
    rows = assigned.verify(
        pod_identity_verify_workloads=[{**here, "expect": "billing"}, *[here] * 2, {**here, "method": "exec"}]
    )
    assert [(row["verdict"], row["identity"]) for row in rows.ok().verdicts()] == [("ok", "default/billing")] * 4
    assert assigned.attached(), "the probes took the identity of their workload along"


@contextmanager
def watched(world: World, budget: str) -> Iterator[list[str]]:
    """How many evictions a budget allows, in order, while the block runs; complete at its end."""
    watch = ("get", "poddisruptionbudget", budget, "--watch", "-o", "jsonpath={.status.disruptionsAllowed}{'\\n'}")
    process = world.sandbox.start("exec", "--", "kubectl", "--kubeconfig", str(world.folder / "kubeconfig"), *watch)
    assert process.stdout
    seen = [process.stdout.readline().strip()]
    try:
        yield seen
    finally:
        process.terminate()
        seen += process.communicate()[0].split()


@pytest.mark.soak
@pytest.mark.parametrize(
    ("budget", "harmless"),
    [
        pytest.param("--min-available=1", True, id="number-kept"),
        pytest.param("--min-available=50%", False, id="part-kept"),
        pytest.param("--max-unavailable=1", False, id="number-lost"),
        pytest.param("--max-unavailable=50%", False, id="part-lost"),
    ],
)
def test_a_budget_allows_what_it_allowed(assigned: World, budget: str, harmless: bool) -> None:
    """Of those that the disruption controller cannot compute with a pod of a Job in the way, the probe stays away."""
    allows = ("wait", "pdb/api", "--timeout=60s", "--for=jsonpath={.status.disruptionsAllowed}=1")
    assigned.kubectl("scale", "deployment/api", "--replicas=2")
    assigned.kubectl("create", "poddisruptionbudget", "api", "--selector=app=api", budget)
    assigned.kubectl(*allows)
    with watched(assigned, "api") as seen:
        entry = assigned.token()
        assert assigned.token(labels={"app": ""})["verdict"] == assigned.token(method="exec")["verdict"] == "ok"
    assert set(seen) == {"1"}
    if harmless:
        assert entry["verdict"] == "ok"
    else:
        assert entry["verdict"] == "not_verified"
        assert "PodDisruptionBudget default/api" in entry["message"] and "allow_blocked_evictions" in entry["message"]
        with watched(assigned, "api") as seen:
            assert assigned.token(allow_blocked_evictions=True)["verdict"] == "ok"
            assigned.kubectl(*allows)
        assert "0" in seen, "the probe would have been harmless"
    assigned.kubectl("delete", "poddisruptionbudget", "api")
    assigned.kubectl("scale", "deployment/api", "--replicas=1")


@pytest.mark.soak
def test_a_pod_in_the_host_network_asks_past_nmi(assigned: World) -> None:
    """It gets whatever its node carries, asked by the label or not, as the inventory says."""
    assigned.operator.apply(pod("host", labels={"aadpodidbinding": "billing"}, hostNetwork=True))
    assigned.kubectl("wait", "--for=condition=Ready", "pod/host", "--timeout=60s")
    place = "http://169.254.169.254/metadata/identity/oauth2/token?api-version=2018-02-01&client_id="
    place += f"{assigned.identity['clientId']}&resource=https://management.azure.com/"
    said = assigned.kubectl("exec", "host", "--", "curl", "-sSi", "-H", "Metadata: true", place)
    assert re.search(r"^HTTP/\S+ 200 ", said) and re.search(r"(?m)^Server: IMDS/", said), said
    rows = assigned.module("pod_identity_info")["workloads"]
    (row,) = (row for row in rows if (row["kind"], row["name"]) == ("Pod", "host"))
    assert row["host_network"] and (row["default"]["answers"], row["default"]["statuses"]) == (["imds"], [200])
    assigned.kubectl("delete", "pod", "host", "--grace-period=1")


@pytest.mark.soak
def test_nmi_that_blocks_metadata(assigned: World) -> None:
    """The other of the two ways in which NMI treats the second request."""
    assigned.kubectl("patch", "daemonset", "aad-pod-identity-nmi", "--type=json", "-p", _blocking("add"))
    assigned.kubectl("rollout", "status", "daemonset/aad-pod-identity-nmi", "--timeout=90s")
    for method in ("probe_pod", "exec"):
        entry = assigned.token(method=method)
        assert (entry["verdict"], entry["answered_by"]) == ("ok", "nmi")
    assigned.kubectl("patch", "daemonset", "aad-pod-identity-nmi", "--type=json", "-p", _blocking("remove"))
    assigned.kubectl("rollout", "status", "daemonset/aad-pod-identity-nmi", "--timeout=90s")


def _blocking(operation: str) -> str:
    path = "/spec/template/spec/containers/0/args/0"
    return json.dumps([{"op": operation, "path": path, "value": "--block-instance-metadata=true"}])


@pytest.mark.soak
def test_the_demo_application_keeps_its_token(assigned: World) -> None:
    with logs_of(assigned, "default_pod-identity-demo-*") as logs:
        rows = assigned.verify(pod_identity_verify_demo=True).ok().verdicts()
    assert [row["verdict"] for row in rows] == ["ok", "ok"] and rows[1]["identity"] == "default/billing"
    assert any("successfully acquired a service principal token" in line for line in logs)
    assert any("failed to acquire a token from IMDS" in line for line in logs), (
        "the application's own container is not seen"
    )
    assert not any(re.search("eyJ|decoding your token", line) for line in logs)
    assert assigned.kubectl("get", "jobs", "-A", "-o", "name") == ""


READ = (
    "for _ in $(seq 3000); do test -e {mark} || break; cat /var/log/pods/{pods}/*/*.log; sleep 0.1; done 2>&- | sort -u"
)


@contextmanager
def logs_of(world: World, pods: str) -> Iterator[list[str]]:
    """Filled at the end of the block: every line of containers that came and went in it, read on the nodes."""
    lines: list[str] = []
    mark = "/run/reading"
    nodes = list(world.operator.addresses().values())
    for node in nodes:
        world.sandbox.ssh(node, "touch", mark)
    with ThreadPoolExecutor(len(nodes)) as pool:
        reading = [pool.submit(world.sandbox.ssh, node, READ.format(mark=mark, pods=pods)) for node in nodes]
        try:
            yield lines
        finally:
            for node in nodes:
                world.sandbox.ssh(node, "rm", "-f", mark)
        for each in reading:
            lines += each.result().splitlines()


@pytest.mark.soak
def test_wrong_requests(assigned: World) -> None:
    other = assigned.token(client_id="00000000-0000-0000-0000-000000000000")
    assert (other["verdict"], other["code"]) == ("wrong_identity", "V6")
    upper = assigned.token(client_id=assigned.identity["clientId"].upper())
    assert (upper["verdict"], upper["code"]) == ("wrong_identity", "V6")
    tenant = assigned.token(expect={"tenant_id": "00000000-0000-0000-0000-000000000000"})
    assert (tenant["verdict"], tenant["code"]) == ("wrong_tenant", "V9")
    bare = assigned.token(image="mcr.microsoft.com/oss/kubernetes/pause:3.6")
    assert bare["verdict"] == "not_verified" and "image cannot run the probe" in bare["message"]
    absent = assigned.token(image="mcr.microsoft.com/not/there:1", start_timeout=60)
    assert absent["verdict"] == "not_verified" and "probe" in absent["message"]


@pytest.mark.soak
def test_a_right_token_from_imds_is_no_success(assigned: World) -> None:
    """Without NMI the node lets the request through, and the scale set still carries the identity."""
    assigned.kubectl("patch", "daemonset", "aad-pod-identity-nmi", "-p", _selector("nowhere"))
    nmi = ("-l", "app.kubernetes.io/component=nmi")
    assigned.kubectl("wait", "--for=delete", "pod", *nmi, "--timeout=60s")
    entry = assigned.token(client_id=assigned.identity["clientId"])
    assert entry["http_status"] == 200 and entry["claims"]["appid"] == assigned.identity["clientId"]
    assert (entry["verdict"], entry["code"], entry["answered_by"]) == ("raw_imds", "V1", "imds")
    found = assigned.diagnosis()
    assert [each["verdict"] for each in found["requests"]] == ["raw_imds"]
    assert {"token_not_right", "no_token"} & {each["code"] for each in found["causes"]}
    assigned.kubectl("patch", "daemonset", "aad-pod-identity-nmi", "-p", _selector(None))
    assigned.kubectl("rollout", "status", "daemonset/aad-pod-identity-nmi", "--timeout=60s")


def _selector(value: str | None) -> str:
    return json.dumps({"spec": {"template": {"spec": {"nodeSelector": {"test": value}}}}})


def test_the_last_holder_is_protected(world: World) -> None:
    world.kubectl("scale", "deployment/api", "--replicas=0")
    world.kubectl("wait", "--for=delete", "pod", "-l", "app=api", "--timeout=60s")
    refused = world.token()
    assert refused["verdict"] == "not_verified" and "allow_detach" in refused["message"]
    assert world.token(allow_detach=True, timeout=120)["verdict"] == "ok"


def test_taken_away(world: World) -> None:
    world.kubectl("scale", "deployment/api", "--replicas=1")
    world.kubectl("rollout", "status", "deployment/api", "--timeout=60s")
    assert "in use" in world.bind(state="absent")["msg"]
    gone = world.bind(state="absent", allow_in_use=True)
    assert gone["changed"] and gone["result"]["assigned"] == []
    assert not world.attached()
    assert not world.bind(state="absent")["changed"]
