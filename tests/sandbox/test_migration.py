# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbook migrate in the sandbox, with real MIC, NMI, webhook and SDK. Needs root.

The tests follow one story on one site: two workloads ask for tokens all the time, while they are moved phase by phase
and brought back; what each request got, and from whom, is what the applications themselves say.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from applications import Object, account, from_now_on, served, workload
from jobs import RunnerOperator
from migrations import NAMESPACE, OF_NMI, Story
from operators import CLUSTER, GROUP, SITE, Operator
from probes import QUICK_NMI
from sandboxes import running

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.names import marks
from ansible_collections.azureops.pod_identity.tests.support.certificates import certificate
from azsandbox.network import AZURE_ADDRESS

pytestmark = pytest.mark.story

MOVED, BACK = "mover", "returner"
MARK = "azureops.pod-identity/migration"
BUNDLE = "bundle"
OF_SECRET, OF_CERTIFICATE = "reports", "ledger"
"""Workloads with service principals, of type 1 and 2."""
APPLICATIONS_OWNER, OWNED = "owner-of-applications", "Application.ReadWrite.OwnedBy"
SPARE = "spare"
"""An identity that workloads take from the scale sets."""
OF_NODE = (("host", NAMESPACE), ("excepted", NAMESPACE), ("mic-notifier", "default"))
"""Those workloads, with their namespaces: on the host network, with an exception, and one that NMI takes for MIC."""


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    with running("migration", "--with", "workload-identity") as sandbox:
        variables = {**SITE, "pod_identity_chart_values": QUICK_NMI, "pod_identity_verify_workloads": []}
        variables["pod_identity_cluster_network_plugin"] = "azure"
        variables["pod_identity_cluster_agent_pools"] = [{"name": name, "count": 1} for name in ("nodepool1", "apps")]
        variables["pod_identity_artifact_target"] = f"secret:default/{BUNDLE}"
        operator = Operator(sandbox, tmp_path_factory.mktemp("operator"), variables)
        operator.site().ok()
        operator.apply(
            account(BACK, NAMESPACE),
            workload(MOVED, NAMESPACE, "default", labels=OF_NMI, INTERVAL="0.5", TIMEOUT="20"),
            workload(BACK, NAMESPACE, "default", labels=OF_NMI, account=BACK, INTERVAL="0.5", TIMEOUT="20"),
        )
        story = Story(operator, sandbox.az("identity", "show", "-g", GROUP, "-n", "billing"))
        for name in (MOVED, BACK):
            assert served(operator, name, NAMESPACE)["path"] == "nmi"
            story.templates[name] = story.deployment(name)["spec"]
        try:
            for name in (MOVED, BACK):
                story.record(name)
            yield story
        finally:
            for recorder in story.recorders.values():
                recorder.end()


def test_what_the_cluster_lacks_stops_all(story: Story) -> None:
    run = story.migrate(until="switch")
    assert set(story.states(run).values()) == {("blocked", "issuer")} and not run.changes()
    assert "workload_identity_migration_enable_issuer=true" in story.reasons(run)


def test_check_mode_tells_what_can_be_known(story: Story) -> None:
    options: dict[str, Any] = {"enable_issuer": True, "enable_webhook": True}
    predicted = story.migrate("--check", until="switch", **options)
    assert set(story.states(predicted).values()) == {("switched", "soak")}
    assert predicted.changes() == [
        "Enable the OIDC issuer of the cluster",
        "Enable the Workload ID webhook of AKS",
        "Let identities trust the service accounts, and wait until Entra does",
        "Make or annotate the service accounts",
        "Switch the workloads of the wave",
    ]
    assert story.accounts() == ["default", BACK]


def test_issuer_webhook_account_and_credential(story: Story) -> None:
    run = story.migrate(until="credential", enable_issuer=True, enable_webhook=True)
    assert set(story.states(run).values()) == {("credential", "canary")}
    assert story.accounts() == ["default", "default-billing", BACK]
    subjects = [f"system:serviceaccount:{NAMESPACE}:{name}" for name in ("default-billing", BACK)]
    assert story.credentials() == subjects
    assert not story.migrate(until="credential").changes()
    for name in (MOVED, BACK):
        assert story.paths(name) == ["nmi"]


@pytest.mark.soak
def test_check_mode_predicts_the_switch(story: Story) -> None:
    run = story.migrate("--check", until="switch")
    assert set(story.states(run).values()) == {("switched", "soak")}
    assert run.changes() == ["Switch the workloads of the wave"]
    assert story.deployment(MOVED)["spec"] == story.templates[MOVED]


@pytest.mark.soak
def test_a_pool_that_does_not_reach_entra_stops_the_switch(story: Story) -> None:
    """Though the workloads have no pod there yet, or it is the other one that has."""
    (node,) = story.operator.kubectl("get", "nodes", "-l", "agentpool=apps")["items"]
    name, address = node["metadata"]["name"], node["status"]["addresses"][0]["address"]
    closed = ("FORWARD", "-d", AZURE_ADDRESS, "-p", "tcp", "--dport", "443", "-j", "REJECT")
    story.operator.sandbox.ssh(address, "iptables", "-w", "-I", *closed)
    try:
        refused = story.migrate(until="switch").refused()
    finally:
        story.operator.sandbox.ssh(address, "iptables", "-w", "-D", *closed)
    for each in (MOVED, BACK):
        assert f"Deployment {NAMESPACE}/{each}: path_blocked on node {name}: " in refused, refused
        assert story.deployment(each)["spec"] == story.templates[each]


def test_the_switch(story: Story) -> None:
    """By ansible-runner, as from AWX."""
    runner = RunnerOperator.of(story.operator)
    run = replace(story, operator=runner).migrate(until="switch")
    runner.job.check(run)
    assert set(story.states(run).values()) == {("switched", "soak")}
    for name in (MOVED, BACK):
        assert story.last_path(name) == "workload_identity"
        assert story.paths(name) == ["nmi", "workload_identity"]
        found = story.deployment(name)
        assert found["spec"]["strategy"] == story.templates[name]["strategy"]
        labels = found["spec"]["template"]["metadata"]["labels"]
        assert labels["aadpodidbinding"] == "billing" and labels["azure.workload.identity/use"] == "true"
    assert not story.migrate(until="switch").changes()


@pytest.mark.soak
def test_a_soak_that_is_not_over(story: Story) -> None:
    """A run that ends with it waits for nothing."""
    run = story.migrate(until="soak")
    assert set(story.states(run).values()) == {("soaking", "soak")} and not run.changes()
    assert "of 7200 seconds are over" in story.reasons(run)


def test_it_leaves_after_a_soak(story: Story) -> None:
    """A shortened one, and the other workload stays."""
    options: dict[str, Any] = {
        "workloads": [f"{NAMESPACE}/Deployment/{MOVED}"],
        "soak_seconds": 30,
        "shorten_soak": True,
    }
    assert "workload_identity_migration_confirm=one" in story.migrate(until="leave", **options).refused()
    before = max(each["began"] for each in story.recorders[MOVED].records)
    predicted = story.migrate("--check", until="leave", **options)
    run = story.migrate(until="leave", confirm=CLUSTER, **options)
    assert run.changes() == predicted.changes() == ["Let the workloads leave AAD Pod Identity"]
    assert story.states(run) == story.states(predicted) == {MOVED: ("left", "finish")}
    assert story.reasons(run) == "Its soak was shortened to 30 seconds."
    assert "aadpodidbinding" not in story.deployment(MOVED)["spec"]["template"]["metadata"]["labels"]
    assigned = story.operator.kubectl("get", "azureassignedidentities", "-A")["items"]
    assert {each["spec"]["pod"].rpartition("-")[0].rpartition("-")[0] for each in assigned} == {BACK}
    assert story.last_path(MOVED) == "workload_identity" and story.paths(MOVED, before) == ["workload_identity"]
    assert not story.migrate(until="leave", confirm=CLUSTER, **options).changes()


def test_the_way_back(story: Story) -> None:
    chosen = [f"{NAMESPACE}/Deployment/{BACK}"]
    before = max(each["began"] for each in story.recorders[BACK].records)
    predicted = story.migrate("--check", undo=True, workloads=chosen)
    run = story.migrate(undo=True, workloads=chosen)
    assert (
        run.changes()
        == predicted.changes()
        == [
            "Make the templates of the workloads as they were",
            "Remove the federated credentials of this collection",
            "Remove the marks of workloads that NMI serves",
            "Take back what was done to the service accounts",
        ]
    )
    assert story.states(run) == {BACK: ("original", "")}
    assert story.deployment(BACK)["spec"] == story.templates[BACK]
    assert MARK not in (story.deployment(BACK)["metadata"].get("annotations") or {})
    assert story.credentials() == [f"system:serviceaccount:{NAMESPACE}:default-billing"]
    annotated = story.operator.kubectl("get", "sa", BACK, "-n", NAMESPACE)["metadata"].get("annotations") or {}
    assert not {MARK, "azure.workload.identity/client-id"} & set(annotated)
    assert story.last_path(BACK) == "nmi" and story.paths(BACK, before) == ["workload_identity", "nmi"]
    assert not story.migrate(undo=True, workloads=chosen).changes()
    assert story.last_path(MOVED) == "workload_identity"


@pytest.fixture(scope="module")
def principals(story: Story) -> Iterator[Story]:
    """Two workloads more, with service principals, by a secret and by a certificate; applications of somebody else."""
    operator, sandbox = story.operator, story.operator.sandbox
    subscription, tenant = sandbox.exec("printenv", "AZURE_SUBSCRIPTION_ID", "AZURE_TENANT").split()
    rights = ("--role", "Owner", "--scope", f"/subscriptions/{subscription}", "--graph", OWNED)
    owner = json.loads(sandbox.run("azure", "principal", APPLICATIONS_OWNER, *rights))
    pem, of_certificate = certificate(OF_CERTIFICATE)
    file = operator.directory / "certificate.pem"
    file.write_bytes(pem)
    for kind, name, more in ((1, OF_SECRET, ()), (2, OF_CERTIFICATE, ("--certificate", str(file)))):
        made = json.loads(sandbox.run("azure", "principal", name, "--owner", owner["object_id"], *more))
        story.client_ids[name] = made["client_id"]
        secret = {"secret": sandbox.run("exec", "--as", name, "--", "printenv", "AZURE_SECRET").strip().encode()}
        data = {key: base64.b64encode(value).decode() for key, value in (of_certificate if more else secret).items()}
        about = {"name": name, "namespace": NAMESPACE}
        spec = {"type": kind, "tenantID": tenant, "clientID": made["client_id"], "clientPassword": about}
        operator.apply(
            {"apiVersion": "v1", "kind": "Secret", "metadata": about, "data": data},
            account(name, NAMESPACE),
            _object("AzureIdentity", name, spec),
            _object("AzureIdentityBinding", name, {"azureIdentity": name, "selector": name}),
        )
        mark = {"aadpodidbinding": name}
        operator.apply(workload(name, NAMESPACE, "default", labels=mark, account=name, INTERVAL="0.5", TIMEOUT="20"))
    for name in (OF_SECRET, OF_CERTIFICATE):
        assert served(operator, name, NAMESPACE)["path"] == "nmi"
        story.templates[name] = story.deployment(name)["spec"]
        story.record(name)
    yield story


def trusted_by(story: Story, name: str) -> list[str]:
    """Subjects that the application trusts."""
    command = ("az", "ad", "app", "federated-credential", "list", "--id", story.client_ids[name], "-o", "json")
    found = json.loads(story.operator.sandbox.run("exec", "--as", APPLICATIONS_OWNER, "--", *command))
    return [each["subject"] for each in found]


PRINCIPALS: dict[str, Any] = {
    "workloads": [f"{NAMESPACE}/Deployment/{name}" for name in (OF_SECRET, OF_CERTIFICATE)],
    "principal": APPLICATIONS_OWNER,
}


@pytest.mark.soak
def test_service_principals_that_nobody_names_stay(principals: Story) -> None:
    run = principals.migrate(until="switch", **PRINCIPALS)
    assert principals.states(run) == dict.fromkeys((OF_SECRET, OF_CERTIFICATE), ("blocked", "credential"))
    assert not run.changes() and "workload_identity_migration_identities" in principals.reasons(run)


@pytest.mark.soak
def test_service_principals_leave(principals: Story) -> None:
    """From tokens by a secret, and by a certificate, to those by federation of their applications."""
    named = {**PRINCIPALS, "identities": list(principals.client_ids.values()), "soak_seconds": 30, "shorten_soak": True}
    run = principals.migrate(until="leave", confirm=CLUSTER, **named)
    assert principals.states(run) == dict.fromkeys((OF_SECRET, OF_CERTIFICATE), ("left", "finish"))
    assert "Let applications trust the service accounts, and wait until Entra does" in run.changes()
    for name in (OF_SECRET, OF_CERTIFICATE):
        assert trusted_by(principals, name) == [f"system:serviceaccount:{NAMESPACE}:{name}"]
        assert principals.last_path(name) == "workload_identity"
        assert principals.paths(name) == ["nmi", "workload_identity"]
    assert not principals.migrate(until="leave", confirm=CLUSTER, **named).changes()


@pytest.mark.soak
def test_service_principals_come_back(principals: Story) -> None:
    """To what their Secrets give; the workloads end with that, and their Secrets stay."""
    began = {name: max(each["began"] for each in principals.recorders[name].records) for name in principals.client_ids}
    run = principals.migrate(undo=True, **PRINCIPALS)
    assert principals.states(run) == dict.fromkeys((OF_SECRET, OF_CERTIFICATE), ("original", ""))
    assert "Remove the federated credentials of this collection from applications" in run.changes()
    for name in (OF_SECRET, OF_CERTIFICATE):
        assert trusted_by(principals, name) == []
        assert principals.deployment(name)["spec"] == principals.templates[name]
        assert principals.last_path(name) == "nmi"
        assert principals.paths(name, began[name]) == ["workload_identity", "nmi"]
        principals.recorders.pop(name).end()
        for kind in ("deployment", "serviceaccount"):
            principals.operator.sandbox.exec("kubectl", "delete", kind, name, "-n", NAMESPACE, "--cascade=foreground")


def take_of_the_node(story: Story) -> Object:
    """Let workloads take an identity of their node that NMI does not give them; the identity."""
    operator, az = story.operator, story.operator.sandbox.az
    identity = dict(az("identity", "create", "-g", GROUP, "-n", SPARE))
    for place in az("vmss", "list", "--query", "[].{name: name, group: resourceGroup}"):
        where = ("-g", place["group"], "-n", place["name"])
        az("vmss", "identity", "assign", *where, "--identities", identity["id"])
    whose = {"CLIENT_ID": identity["clientId"], "AZURE_CLIENT_ID": identity["clientId"]}
    host, excepted, mic = (workload(name, namespace, "imds", labels={}, **whose) for name, namespace in OF_NODE)
    host["spec"]["template"]["spec"]["hostNetwork"] = True
    of_spare = {"type": 0, "resourceID": identity["id"], "clientID": identity["clientId"]}
    operator.apply(
        _object("AzureIdentity", SPARE, of_spare),
        _object("AzurePodIdentityException", "excepted", {"podLabels": {"app": "excepted"}}),
        *(host, excepted, mic),
    )
    for name, namespace in OF_NODE:
        assert served(operator, name, namespace)["appid"] == identity["clientId"]
    return identity


def _object(kind: str, name: str, spec: Object) -> Object:
    metadata = {"name": name, "namespace": NAMESPACE, "labels": marks("default")}
    return {"apiVersion": "aadpodidentity.k8s.io/v1", "kind": kind, "metadata": metadata, "spec": spec}


def attached(story: Story) -> list[set[str]]:
    """Names of the identities of each scale set."""
    found = story.operator.sandbox.az("vmss", "list", "--query", "[].keys(identity.userAssignedIdentities)")
    return [{each.rpartition("/")[2] for each in identities} for identities in found]


def test_pod_identity_stays_while_something_needs_it(story: Story) -> None:
    """Workloads that have not left, and those that take an identity of their node, each by name."""
    take_of_the_node(story)
    run = story.migrate(until="finish", confirm=CLUSTER, workloads=[f"{NAMESPACE}/Deployment/{MOVED}"])
    assert story.states(run) == {MOVED: ("left", "finish")} and not run.changes()
    needing = [f"Deployment {namespace}/{name}" for name, namespace in (*OF_NODE, (BACK, NAMESPACE))]
    assert [each for each in needing if each not in story.reasons(run)] == []
    assert len(attached(story)) == 2 and all(SPARE in each for each in attached(story))


def test_the_end_of_pod_identity(story: Story) -> None:
    """Nothing is left of it, and the scale sets keep what workloads take of them, by name."""
    operator = story.operator
    operator.sandbox.exec("kubectl", "delete", "deployment", BACK, "-n", NAMESPACE, "--cascade=foreground")
    spare = operator.sandbox.az("identity", "show", "-g", GROUP, "-n", SPARE)
    before = max(each["began"] for each in story.recorders[MOVED].records)
    options: dict[str, Any] = {
        "until": "finish",
        "confirm": CLUSTER,
        "accept": ["takes_node_identity"],
        "others": {"pod_identity_uninstall_protected_identities": [spare["id"]]},
    }
    run = story.migrate(**options)
    assert story.states(run) == {MOVED: ("finished", "")} and "Uninstall the releases" in run.changes()
    for name in story.client_ids:  # of what service principals had, which the soak alone makes
        assert f"Secret {NAMESPACE}/{name}" in run.output
        assert operator.kubectl("get", "secret", name, "-n", NAMESPACE)["data"]
    kinds = operator.kubectl("get", "customresourcedefinitions,clusterroles,daemonsets,deployments", "-A")["items"]
    names = [each["metadata"]["name"] for each in kinds]
    assert [name for name in names if "aadpodidentity" in name or "aad-pod-identity" in name] == []
    assert attached(story) == [{SPARE, f"{CLUSTER}-agentpool"}] * 2  # the latter is the kubelets' own
    for address in operator.addresses().values():
        rules = operator.sandbox.ssh(address, "iptables-save", "-t", "nat")
        assert "aad-metadata" not in rules
    for name, namespace in OF_NODE:
        found = from_now_on(operator, name, namespace)
        assert {(each["path"], each["appid"]) for each in found} == {("imds", spare["clientId"])}
    assert story.last_path(MOVED) == "workload_identity" and story.paths(MOVED, before) == ["workload_identity"]
    assert not story.migrate(**options).changes()


@pytest.mark.soak
def test_it_comes_back(story: Story) -> None:
    """To tokens by NMI, from what the end has saved."""
    listed = story.operator.kubectl("get", "secrets", "-n", "default")["items"]
    (bundle,) = (each["metadata"]["name"] for each in listed if each["metadata"]["name"].startswith(BUNDLE))
    variables = {
        "pod_identity_restore_bundle": f"secret:default/{bundle}",
        "pod_identity_restore_accept": ["unverified"],
        "pod_identity_verify_workloads": SITE["pod_identity_verify_workloads"],
    }
    run = story.operator.play("azureops.pod_identity.restore", variables=variables).ok()
    assert [(row["verdict"], row["answered_by"]) for row in run.verdicts()] == [("ok", "nmi")]
    assert story.last_path(MOVED) == "workload_identity"


@pytest.mark.soak
def test_one_that_has_left_comes_back_too(story: Story) -> None:
    """After the end of AAD Pod Identity and its return; and the service account goes that was made for it."""
    run = story.migrate(undo=True)
    assert story.states(run)[MOVED] == ("original", "")
    assert story.accounts() == ["default", BACK] and story.credentials() == []
    assert story.deployment(MOVED)["spec"] == story.templates[MOVED]
    assert story.last_path(MOVED) == "nmi"
    assert story.paths(MOVED) == ["nmi", "workload_identity"]
