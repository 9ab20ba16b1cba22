# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every playbook in a cluster in which a tenant has laid out all that may lead an operator astray. Needs root.

The tests are one story, from a cluster in use to an empty subscription. After each playbook the tenant has what he had
and no more, nothing of his ran with another's rights, and nobody asked for a host of his.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tenant
from operators import CLUSTER, GROUP, SITE, Operator, Run, dead_rules
from sandboxes import eventually, running
from uninstalled import to_restore

from azsandbox import paths

pytestmark = [pytest.mark.story, pytest.mark.soak]

UNINSTALL, RESTORE, DESTROY, CLEANUP, LEFTOVERS, INVENTORY, VERIFY = (
    f"azureops.pod_identity.{name}"
    for name in ("uninstall", "restore", "destroy", "cleanup_nodes", "leftovers", "inventory", "verify")
)
WAITING = "Tell whose deletion will wait for the owner of a finalizer"
IN_USE = {
    "pod_identity_uninstall_confirm": CLUSTER,
    "pod_identity_uninstall_allow_in_use": True,
    "pod_identity_uninstall_remove_role_assignments": True,
}


class Town:
    """An operator, his neighbour and what both had in the beginning."""

    def __init__(self, operator: Operator) -> None:
        self.operator = operator
        self.nodes = operator.addresses()
        group = ("--resource-group", GROUP)
        self.principal = operator.sandbox.az("identity", "create", *group, "--name", "greedy")["principalId"]
        image = operator.directory / "tenant.tar"
        tenant.hostile_image(image, tenant.IMAGE)
        for address in self.nodes.values():
            load = f"ssh -o LogLevel=ERROR root@{address} /opt/bin/ctr -n k8s.io images import --local - < {image}"
            operator.sandbox.exec("bash", "-c", load)
        operator.sandbox.exec("kubectl", "create", "secret", "generic", tenant.SECRET, "--from-literal=a=b")
        self.secret = self.uid_of_secret()
        tenant.move_in(operator)
        tenant.lay_out(operator, self.principal)
        eventually(self._is_settled, 120)
        self._see_what_is_looked_for()
        self.kinds = tenant.OF_POD_IDENTITY
        self.before = tenant.objects(operator, *self.kinds)
        ours = [each for each in self.before.values() if each["apiVersion"] == tenant.VERSION]
        self.specs = {(each["kind"], each["metadata"]["name"]): each["spec"] for each in ours}

    def uid_of_secret(self) -> str:
        """Of the operator's Secret that the tenant names in his AzureIdentities."""
        return str(self.operator.kubectl("get", "secret", tenant.SECRET, "-n", "default")["metadata"]["uid"])

    def _see_what_is_looked_for(self) -> None:
        """The tenant's program leaves its mark where it may, and the log of names holds those that are asked for."""
        (pod, *_others) = self.operator.kubectl("get", "pods", "-n", tenant.NAMESPACE)["items"]
        assert pod["metadata"]["name"].startswith("aad-pod-identity-")
        found = self.operator.sandbox.exec(
            *("kubectl", "exec", "-n", tenant.NAMESPACE, pod["metadata"]["name"], "--", "ls", "/tmp")
        )
        assert tenant.MARK in found
        control = "tenant-control.invalid"
        self.operator.sandbox.call("exec", "--", "getent", "hosts", control)
        assert control in resolver_log(self.operator).read_text()

    def _is_settled(self) -> bool:
        pods = self.operator.kubectl("get", "pods", "-n", tenant.NAMESPACE)["items"]
        ready = [each for each in pods if {"type": "Ready", "status": "True"}.items() <= _condition(each).items()]
        # One as of MIC, one as of NMI on each node, and two others.
        return len(pods) == len(ready) == 3 + len(self.nodes)

    def play(self, playbook: str, *arguments: str, **variables: Any) -> Run:
        """The playbook, after which all is as this module tells."""
        run = self.operator.play(playbook, "-u", "root", *arguments, variables=variables)
        self.is_as_before(run)
        return run

    def clean(self, transport: str, **variables: Any) -> Run:
        """The playbook on a node with dead rules."""
        name, address = min(self.nodes.items())
        self.operator.sandbox.ssh(address, f"iptables-save -t nat | grep -q aad-metadata || {{ {dead_rules()} }}")
        return self.play(CLEANUP, node=name, imds_node_cleanup_transports=[transport], **variables)

    def let_go(self) -> None:
        """The tenant takes his finalizer away."""
        nothing = json.dumps({"metadata": {"finalizers": None}})
        place = ("azureidentity", "i1", "-n", tenant.NAMESPACE, "--as", tenant.WHO)
        self.operator.sandbox.exec("kubectl", "patch", *place, "--type=merge", "--patch", nothing)

    def is_as_before(self, run: Run) -> None:
        operator, sandbox = self.operator, self.operator.sandbox
        now = tenant.objects(operator, *self.kinds)
        changed = [name for name in self.before.keys() | now.keys() if self.before.get(name) != now.get(name)]
        assert changed == [], run.output[-4000:]
        assert tenant.MARK not in sandbox.exec("kubectl", "get", "clusterrolebindings", "-o", "name")
        assert not Path(f"/tmp/{tenant.MARK}").exists()
        assert tenant.MARK not in sandbox.exec("ls", "/tmp")
        for address in self.nodes.values():
            assert tenant.MARK not in sandbox.ssh(address, "ls /tmp")
        assignments = sandbox.az("role", "assignment", "list", "--all")
        assert self.principal not in [each["principalId"] for each in assignments]
        assert tenant.HOST not in resolver_log(operator).read_text()
        assert [each for each in operator.requests() if tenant.HOST in each["host"]] == []


def _condition(pod: dict[str, Any]) -> dict[str, Any]:
    return next((each for each in pod["status"].get("conditions", []) if each["type"] == "Ready"), {})


def resolver_log(operator: Operator) -> Path:
    return Path(f"/run/azureops-sandbox/{operator.sandbox.name}/logs/resolver.log")


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    # A file system of its own, as one that is mounted into a container: these tests may run in one.
    with tempfile.TemporaryDirectory(dir="/dev/shm") as target, running("hostile") as sandbox:
        directory = tmp_path_factory.mktemp("operator")
        variables = {
            **SITE,
            "pod_identity_artifact_target": target,
            "pod_identity_inventory_file": str(directory / "inventory"),
            "imds_node_cleanup_artifact_target": str(directory / "tables"),
        }
        operator = Operator(sandbox, directory, variables)
        operator.site().ok()
        yield Town(operator)


@pytest.fixture(scope="module")
def bare(town: Town) -> Town:
    """Without AAD Pod Identity, wherever the objects of it are; a finalizer of the tenant is in the way at first."""
    password = town.operator.directory / "password"
    password.write_text("pw")
    vault = ("--vault-id", f"shop@{password}")
    anywhere = {**IN_USE, "pod_identity_uninstall_scope": "all", "pod_identity_uninstall_vault_id": "shop"}
    predicted = town.play(UNINSTALL, "--check", *vault, **anywhere).ok()
    told = " ".join(line.strip("├└ ") for line in predicted.message("Show what was removed, what stays and why"))
    waits = f"AzureIdentity tenant/i1: Its deletion waits until whoever owns the finalizer {tenant.HOST}/never takes it"
    assert any(each.startswith(waits) for each in predicted.message(WAITING)), predicted.output[-4000:]
    assert tenant.STRANGE in told and "where this credential may not look" in told
    assert f"Secret default/{tenant.SECRET}" in told
    town.kinds = ()
    town.before = {name: each for name, each in town.before.items() if each["apiVersion"] != tenant.VERSION}
    held = town.play(UNINSTALL, *vault, **anywhere, pod_identity_uninstall_wait_timeout=10).refused()
    assert f"AzureIdentity tenant/i1 (held by the finalizer {tenant.HOST}/never) is still there" in held
    town.let_go()
    done = town.play(UNINSTALL, *vault, **anywhere).ok()
    assert town.uid_of_secret() == town.secret
    definitions = town.operator.sandbox.exec("kubectl", "get", "customresourcedefinitions", "-o", "name")
    assert "aadpodidentity" not in definitions
    told = " ".join(line.strip("├└ ") for line in done.message("Show what was removed, what stays and why"))
    unknown = [place for place in tenant.NAMESPACES if f"helm release {place}/aad-pod-identity" not in told]
    assert unknown == [], told
    return town


def test_an_inventory_tells_of_him_as_he_is(town: Town) -> None:
    town.play(INVENTORY).ok()
    found = json.loads((town.operator.directory / "inventory.json").read_text())
    assert tenant.TEMPLATE in json.dumps(found) or tenant.SHELL in json.dumps(found)


def test_tokens_are_verified_beside_him(town: Town) -> None:
    assert [row["verdict"] for row in town.play(VERIFY).ok().verdicts()] == ["ok"]


def test_an_unchanged_site_is_unchanged(town: Town) -> None:
    assert town.play("azureops.pod_identity.site").ok().changes() == []


def test_leftovers_are_none_of_his(town: Town) -> None:
    removing = {"pod_identity_leftovers_remove": True, "pod_identity_leftovers_confirm": CLUSTER}
    assert town.play(LEFTOVERS, **removing).ok().changes() == []


def test_an_uninstall_leaves_what_is_his(town: Town) -> None:
    """It says what that is, and does nothing, because that would be of no use without MIC and NMI."""
    run = town.play(UNINSTALL, **IN_USE)
    assert "17 objects of AAD Pod Identity do not carry the labels of this collection" in run.refused()
    assert all(f"i{number}" in run.output for number in range(7))


@pytest.mark.parametrize("transport", ["ssh", "vmss_run_command"])
def test_a_node_is_cleaned(bare: Town, transport: str) -> None:
    run = bare.clean(transport)
    assert [(each["outcome"], each["proof"]) for each in run.ok().nodes.values()] == [("cleaned", "imds")]


def test_no_privileged_pod_starts_in_his_namespace(bare: Town) -> None:
    """It looks like one of an earlier run, and stays."""
    run = bare.clean("aks_node_pod")
    assert [(each["outcome"], each["proof"]) for each in run.ok().nodes.values()] == [("cleaned", "imds")]
    (log,) = (paths.state(bare.operator.sandbox.name) / "logs").glob("cluster-*/audit.log")
    made = [entry for entry in map(json.loads, log.read_text().splitlines()) if entry["verb"] == "create"]
    started = [each for each in made if (each.get("objectRef") or {}).get("name", "").startswith("node-access-")]
    places = {each["objectRef"]["namespace"] for each in started}
    assert len(places) == 1 and tenant.OF_NODE_ACCESS not in places, places
    assert not any(tenant.IMAGE in json.dumps(each) for each in started)
    labels = bare.operator.kubectl("get", "namespace", tenant.OF_NODE_ACCESS)["metadata"]["labels"]
    assert labels[tenant.ENFORCE] == "baseline"


def test_what_was_removed_comes_back(bare: Town) -> None:
    """The first bundle has all of it. What the tenant forged as bundles is in Secrets, which nobody named."""
    bundle = str(min(Path(bare.operator.variables["pod_identity_artifact_target"]).glob(f"{CLUSTER}-*.json")))
    run = bare.play(RESTORE, **to_restore(Path(bundle))).ok()
    assert [row["verdict"] for row in run.verdicts()] == ["ok"]
    kinds = ",".join(tenant.OF_POD_IDENTITY)
    back = bare.operator.kubectl("get", kinds, "-n", tenant.NAMESPACE)["items"]
    assert {(each["kind"], each["metadata"]["name"]): each["spec"] for each in back} == bare.specs


def test_what_the_tenant_cannot_reach_goes_with_the_cluster(bare: Town) -> None:
    """Last of all."""
    operator = bare.operator
    operator.sandbox.az("identity", "delete", "--resource-group", GROUP, "--name", "greedy")
    operator.play(DESTROY, variables={"pod_identity_cluster_confirm_absent": CLUSTER}).ok()
    assert operator.sandbox.az("resource", "list") == []
    assert tenant.HOST not in resolver_log(operator).read_text()
