# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""pod_token_info and azure_identity_binding with the real MIC and NMI on real nodes. Needs root.

The tests follow one story: nothing assigned, assigned, wrong requests, NMI gone, identity taken away.
"""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from operators import Operator, Run, on_localhost
from sandboxes import Sandbox, running

from azsandbox import paths

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="a sandbox needs root")

GROUP, CLUSTER, NODE_GROUP = "token-test", "one", "MC_token-test_one_westeurope"
# NMI's waits, shortened: what is judged here is the text of its answers.
NMI_WAITS = ("retryAttemptsForCreated=3", "retryAttemptsForAssigned=4", "findIdentityRetryIntervalInSeconds=2")
WORKLOAD = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "api", "namespace": "default"},
    "spec": {
        "replicas": 1,
        "selector": {"matchLabels": {"app": "api"}},
        "template": {
            "metadata": {"labels": {"app": "api", "aadpodidbinding": "billing"}},
            "spec": {
                "terminationGracePeriodSeconds": 1,
                "containers": [
                    {
                        "name": "api",
                        "image": "mcr.microsoft.com/azurelinux/base/core:3.0",
                        "command": ["sleep", "100000"],
                    }
                ],
            },
        },
    },
}


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
        task = {f"azureops.pod_identity.{module}": {"kubeconfig": str(self.folder / "kubeconfig"), **options}}
        told = {"ansible.builtin.set_stats": {"data": {"answer": "{{ answer }}"}}}
        run = self.operator.play(on_localhost({**task, "register": "answer", "ignore_errors": True}, told))
        return dict(run.ok().stats["answer"])

    def token(self, **options: Any) -> dict[str, Any]:
        """The only entry of pod_token_info; no probe must be left."""
        answer = self.module("pod_token_info", **{"namespace": "default", "selector": "billing", **options})
        (entry,) = answer["tokens"]
        assert answer["ok"] is (entry["verdict"] == "ok") and not answer["changed"]
        assert "eyJ" not in json.dumps(answer)
        assert self.kubectl("get", "jobs", "-A", "-o", "name") == ""
        found: dict[str, Any] = entry
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
        return self.module(
            "azure_identity_binding",
            **{
                "name": "billing",
                "namespace": "default",
                "selector": "billing",
                "resource_id": self.identity["id"],
                "client_id": self.identity["clientId"],
                "wait": True,
                **options,
            },
        )


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("token")
    with running("token") as sandbox:
        operator = Operator(sandbox, folder, {})
        sandbox.az("group", "create", "-n", GROUP, "-l", "westeurope")
        made = World(operator, sandbox.az("identity", "create", "-g", GROUP, "-n", "billing"))
        cluster = sandbox.az("aks", "create", "-g", GROUP, "-n", CLUSTER, "--node-count", "2", "--generate-ssh-keys")
        sandbox.az("aks", "get-credentials", "-g", GROUP, "-n", CLUSTER, "--admin", "-f", str(folder / "kubeconfig"))
        principal = cluster["identityProfile"]["kubeletidentity"]["objectId"]
        for role, group in (
            ("Managed Identity Operator", NODE_GROUP),
            ("Virtual Machine Contributor", NODE_GROUP),
            ("Managed Identity Operator", GROUP),
        ):
            scope = f"{made.identity['id'].split('/resource', 1)[0]}/resourceGroups/{group}"
            who = ("--assignee-object-id", principal, "--assignee-principal-type", "ServicePrincipal")
            sandbox.az("role", "assignment", "create", *who, "--role", role, "--scope", scope)
        values = [word for wait in NMI_WAITS for word in ("--set", f"nmi.{wait}")]
        chart = str(paths.CHARTS / "aad-pod-identity-4.1.18.tgz")
        kubeconfig = ("--kubeconfig", str(folder / "kubeconfig"))
        sandbox.exec("helm", *kubeconfig, "install", "aad-pod-identity", chart, "--wait", "--timeout", "120s", *values)
        (folder / "workload.json").write_text(json.dumps(WORKLOAD))
        made.kubectl("apply", "-f", str(folder / "workload.json"))
        made.kubectl("rollout", "status", "deployment/api", "--timeout=90s")
        yield made


def test_without_a_binding(world: World) -> None:
    for method in ("probe_pod", "exec"):
        entry = world.token(method=method)
        assert (entry["verdict"], entry["code"], entry["answered_by"]) == ("not_assigned", "V4", "nmi")
        assert entry["http_status"] == 404


def test_assigned(world: World) -> None:
    bound = world.bind()
    assert bound["changed"] and bound["result"]["assigned"][0]["status"] == "Assigned" and world.attached()
    assert not world.bind()["changed"]
    expected = {
        "client_id": world.identity["clientId"],
        "object_id": world.identity["principalId"],
        "tenant_id": world.identity["tenantId"],
    }
    for method in ("probe_pod", "exec"):
        entry = world.token(method=method, expect=expected)
        assert (entry["verdict"], entry["answered_by"], entry["identity"]) == ("ok", "nmi", "default/billing")
        assert entry["claims"]["appid"] == world.identity["clientId"]
        assert entry["checks"] and all(check["ok"] for check in entry["checks"])
    assert world.attached(), "the probe took the identity of its workload along"


def test_nmi_that_blocks_metadata(world: World) -> None:
    """The other of the two ways in which NMI treats the second request."""
    world.kubectl("patch", "daemonset", "aad-pod-identity-nmi", "--type=json", "-p", _blocking("add"))
    world.kubectl("rollout", "status", "daemonset/aad-pod-identity-nmi", "--timeout=90s")
    for method in ("probe_pod", "exec"):
        entry = world.token(method=method)
        assert (entry["verdict"], entry["answered_by"]) == ("ok", "nmi")
    world.kubectl("patch", "daemonset", "aad-pod-identity-nmi", "--type=json", "-p", _blocking("remove"))
    world.kubectl("rollout", "status", "daemonset/aad-pod-identity-nmi", "--timeout=90s")


def _blocking(operation: str) -> str:
    path = "/spec/template/spec/containers/0/args/0"
    return json.dumps([{"op": operation, "path": path, "value": "--block-instance-metadata=true"}])


def test_tenant_and_object_id_are_those_of_azure(world: World) -> None:
    (row,) = world.verify().ok().verdicts()
    assert (row["verdict"], row["claims_checked"]) == ("ok", "aud, tid, appid, oid, xms_mirid, exp")
    expected = {check["check"]: check["expected"] for check in row["checks"]}
    assert expected["tenant"] == world.identity["tenantId"]
    assert expected["object_id"] == world.identity["principalId"]

    world.sandbox.run("azure", "principal", "stranger")
    run = world.verify(principal="stranger")
    (row,) = run.ok().verdicts()
    assert (row["verdict"], row["claims_checked"]) == ("ok", "aud, appid, xms_mirid, exp")
    assert "cannot be read" in run.message("Say of which identities tenant and object id are not known")


def test_identities_of_one_name_are_told_apart(world: World) -> None:
    world.kubectl("create", "namespace", "elsewhere")
    world.bind(namespace="elsewhere", selector="other", wait=False)
    assert "default/billing or elsewhere/billing" in world.verify().refused()
    (row,) = world.verify(expect="default/billing").ok().verdicts()
    assert (row["verdict"], row["identity"]) == ("ok", "default/billing")
    # One that is confined to its namespace cannot be meant elsewhere.
    world.bind(namespace="elsewhere", selector="other", wait=False, behavior="namespaced")
    assert world.verify().ok().verdicts()[0]["verdict"] == "ok"
    assert (
        "elsewhere/billing that pods in namespace default can get" in world.verify(expect="elsewhere/billing").refused()
    )
    world.bind(namespace="elsewhere", selector="other", wait=False, state="absent")


def test_the_demo_application_keeps_its_token(world: World) -> None:
    logs: set[str] = set()
    stop = threading.Event()
    reader = threading.Thread(target=_read_demo_logs, args=(world, logs, stop))
    reader.start()
    try:
        rows = world.verify(pod_identity_verify_demo=True).ok().verdicts()
    finally:
        stop.set()
        reader.join()
    assert [row["verdict"] for row in rows] == ["ok", "ok"] and rows[1]["identity"] == "default/billing"
    assert any("successfully acquired a service principal token" in log for log in logs)
    assert any("failed to acquire a token from IMDS" in log for log in logs), (
        "the application's own container is not seen"
    )
    assert not any(re.search("eyJ|decoding your token", log) for log in logs)
    assert world.kubectl("get", "jobs", "-A", "-o", "name") == ""


def _read_demo_logs(world: World, logs: set[str], stop: threading.Event) -> None:
    """What both containers of the demo application have logged, again and again while it is there."""
    kubectl = ("kubectl", "--kubeconfig", str(world.folder / "kubeconfig"), "logs", "-n", "default")
    while not stop.wait(0.2):
        chosen = ("-l", "azureops.pod-identity/demo=true", "--all-containers", "--tail=-1")
        logs.add(world.sandbox.call("exec", "--", *kubectl, *chosen).stdout)


def test_wrong_requests(world: World) -> None:
    other = world.token(client_id="00000000-0000-0000-0000-000000000000")
    assert (other["verdict"], other["code"]) == ("wrong_identity", "V6")
    upper = world.token(client_id=world.identity["clientId"].upper())
    assert (upper["verdict"], upper["code"]) == ("wrong_identity", "V6")
    tenant = world.token(expect={"tenant_id": "00000000-0000-0000-0000-000000000000"})
    assert (tenant["verdict"], tenant["code"]) == ("wrong_tenant", "V9")
    bare = world.token(image="mcr.microsoft.com/oss/kubernetes/pause:3.6")
    assert bare["verdict"] == "not_verified" and "image cannot run the probe" in bare["message"]
    absent = world.token(image="mcr.microsoft.com/not/there:1", start_timeout=60)
    assert absent["verdict"] == "not_verified" and "probe" in absent["message"]


def test_a_right_token_from_imds_is_no_success(world: World) -> None:
    """Without NMI the node lets the request through, and the scale set still carries the identity."""
    world.kubectl("patch", "daemonset", "aad-pod-identity-nmi", "-p", _selector("nowhere"))
    nmi = ("-l", "app.kubernetes.io/component=nmi")
    world.kubectl("wait", "--for=delete", "pod", *nmi, "--timeout=60s")
    entry = world.token(client_id=world.identity["clientId"])
    assert entry["http_status"] == 200 and entry["claims"]["appid"] == world.identity["clientId"]
    assert (entry["verdict"], entry["code"], entry["answered_by"]) == ("raw_imds", "V1", "imds")
    world.kubectl("patch", "daemonset", "aad-pod-identity-nmi", "-p", _selector(None))
    world.kubectl("rollout", "status", "daemonset/aad-pod-identity-nmi", "--timeout=60s")


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
