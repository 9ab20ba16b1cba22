# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""pod_identity_info against a real API server, and against what kubectl wrote of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.installation.trusted_namespaces import (
    Belief,
)
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube import inventory, kinds
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.client import Client, connect
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.kinds import Kind
from ansible_collections.azureops.pod_identity.plugins.modules import pod_identity_info
from ansible_collections.azureops.pod_identity.tests.kube.objects import (
    ID,
    assignment,
    create,
    dump,
    make,
    may_list,
    pair,
    reference,
)
from ansible_collections.azureops.pod_identity.tests.support import api_server as server
from ansible_collections.azureops.pod_identity.tests.support.api_server import RESTRICTED, ApiServer, Runner
from ansible_collections.azureops.pod_identity.tests.support.cluster_objects import release
from ansible_collections.azureops.pod_identity.tests.support.players import Player


@pytest.fixture
def info(api_server: ApiServer, crds: None) -> Runner:
    return Runner(api_server, "pod_identity_info")


@pytest.fixture
def workloads(client: Client, crds: None, namespace: str) -> Iterator[str]:
    """One workload of each kind that selects an identity, which only the bare pod has been assigned; the namespace."""
    identity = {"type": 0, "resourceID": f"{ID}-{namespace}", "clientID": f"client-{namespace}"}
    binding = {"azureIdentity": "money", "selector": namespace}
    pair(client, namespace, "money", f"{ID}-{namespace}", f"client-{namespace}")
    create(client, kinds.AZURE_POD_IDENTITY_EXCEPTION, namespace, "loose", spec={"podLabels": {"app": "cronjob"}})
    for kind in (*kinds.TEMPLATES, kinds.POD):
        make(client, kind, namespace, kind.name.lower(), namespace)
    owner = {"apiVersion": "example.com/v1", "kind": "Runner", "name": "runner", "uid": "u", "controller": True}
    node = f"node-{namespace}"
    spec = {"nodeName": node, "hostNetwork": True, "containers": [{"name": "app", "image": "app"}]}
    metadata = {"labels": {"aadpodidbinding": namespace}, "ownerReferences": [owner]}
    create(client, kinds.POD, namespace, "runner-0", metadata=metadata, spec=spec)
    references = (
        reference(kinds.AZURE_IDENTITY, namespace, {**identity, "clientID": "old"}),
        reference(kinds.AZURE_IDENTITY_BINDING, namespace, binding),
    )
    name, live = f"runner-0-{namespace}-money", assignment("runner-0", namespace, *references, node=node)
    create(client, kinds.AZURE_ASSIGNED_IDENTITY, namespace, name, spec=live, status={"status": "Assigned"})
    yield namespace
    client.delete(kinds.AZURE_ASSIGNED_IDENTITY, namespace, f"runner-0-{namespace}-money")


def rows(result: dict[str, Any], namespace: str) -> dict[str, Any]:
    return {row["kind"]: row for row in result["workloads"] if row["namespace"] == namespace}


def findings(result: dict[str, Any], namespace: str) -> set[tuple[str, str]]:
    return {(one["code"], one["object"]) for one in result["findings"] if namespace in one["object"]}


def test_every_kind_of_workload(info: Runner, workloads: str) -> None:
    done = info().ok()
    found = rows(done, workloads)
    assert set(found) == {kind.name for kind in kinds.TEMPLATES} | {"Pod", "Runner"}
    for kind, row in found.items():
        assert [one["name"] for one in row["identities"]] == ["money"], kind
        expected = {"CronJob": "node_token", "Runner": "imds"}.get(kind, "token")
        assert row["default"]["answers"] == [expected], kind
    assert found["Runner"]["name"] == "runner" and found["Runner"]["pods"] == 1 and found["Runner"]["host_network"]
    assert found["CronJob"]["exceptions"] == ["loose"]
    (identity,) = [one for one in done["identities"] if one["namespace"] == workloads]
    assert identity["federated_subjects"] == [f"system:serviceaccount:{workloads}:default"]


def test_what_is_compared(info: Runner, workloads: str) -> None:
    """The node does not exist, so MIC would not make the assignment anew."""
    live = f"AzureAssignedIdentity {workloads}/runner-0-{workloads}-money"
    assert findings(info().ok(), workloads) == {
        ("excepted", f"CronJob {workloads}/cronjob"),
        ("host_network", f"Runner {workloads}/runner"),
        ("assignment_without_cause", live),
        ("assignment_of_missing_node", live),
    }


def test_check_mode_is_the_same_and_nothing_is_written(info: Runner, client: Client, workloads: str) -> None:
    def versions() -> list[str]:
        listed = (
            kinds.AZURE_IDENTITY,
            kinds.AZURE_IDENTITY_BINDING,
            kinds.AZURE_ASSIGNED_IDENTITY,
            kinds.POD,
            kinds.CRON_JOB,
        )
        return [raw["metadata"]["resourceVersion"] for kind in listed for raw in client.list_all(kind, workloads)]

    def of_test(result: dict[str, Any]) -> tuple[Any, ...]:
        """What other tests have left is going meanwhile."""
        identities = [one for one in result["identities"] if one["namespace"] == workloads]
        return set(result), result["rules"], rows(result, workloads), identities, findings(result, workloads)

    before = versions()
    real, predicted = info().ok(), info(check=True).ok()
    assert not real["changed"] and of_test(real) == of_test(predicted)
    assert versions() == before


def test_files_say_what_the_cluster_says(
    info: Runner, api_server: ApiServer, client: Client, workloads: str, tmp_path: Path
) -> None:
    names = [
        "azureidentities,azureidentitybindings,azurepodidentityexceptions,azureassignedidentities",
        "pods,nodes,deployments,statefulsets,daemonsets,replicasets,cronjobs,jobs",
    ]
    client.create(kinds.NODE, None, {"apiVersion": "v1", "kind": "Node", "metadata": {"name": f"other-{workloads}"}})
    files = []
    for number, listed in enumerate(names):
        files.append(tmp_path / f"{number}.json")
        files[-1].write_bytes(dump(api_server, listed))
    live = info().ok()
    client.delete(kinds.NODE, None, f"other-{workloads}")
    saved = info(files=[str(path) for path in files], kubeconfig="/nowhere").ok()
    assert saved["rules"] == live["rules"]
    assert rows(saved, workloads) == rows(live, workloads)
    assert findings(saved, workloads) == findings(live, workloads)


def test_settings(info: Runner, workloads: str) -> None:
    done = info(mode="managed", force_namespaced=True, version="v1.7.4").ok()
    assert done["rules"] == {
        "mode": "managed",
        "force_namespaced": True,
        "version": "1.7.4",
        "mic_namespace": "default",
        "retry_after": False,
    }
    assert done["assignments"] is None
    assert info(version="latest").failure() == (
        "The version 'latest' is none of AAD Pod Identity: give it as in 1.8.17."
    )


def test_files_that_are_none(info: Runner, tmp_path: Path) -> None:
    path = tmp_path / "dump.json"
    assert info(files=[str(path)]).failure().startswith(f"The file {path} cannot be read (No such file")
    for text, told in (("{", "holds no JSON"), ("[]", "is no object"), ('{"kind": "Pod"}', "which no API server")):
        path.write_text(text)
        assert told in info(files=[str(path)]).failure()


@pytest.fixture(scope="module")
def reader(client: Client) -> Iterator[str]:
    """A user of these tests alone and the role of the same name, without any rule so far."""
    name = "inventory-reader"
    client.create(kinds.CLUSTER_ROLE, None, {"metadata": {"name": name}, "rules": []})
    subject = {"kind": "User", "name": name, "apiGroup": "rbac.authorization.k8s.io"}
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name}
    client.create(
        kinds.CLUSTER_ROLE_BINDING, None, {"metadata": {"name": name}, "subjects": [subject], "roleRef": reference}
    )
    yield name
    client.delete(kinds.CLUSTER_ROLE_BINDING, None, name)
    client.delete(kinds.CLUSTER_ROLE, None, name)


@pytest.mark.parametrize("forbidden", [*inventory.KINDS, None], ids=lambda kind: kind.plural if kind else "none")
def test_forbidden_for_one_kind(
    info: Runner, api_server: ApiServer, client: Client, reader: str, forbidden: Kind | None
) -> None:
    """All others may be listed; nothing is told of a cluster of which a part is not known."""
    # Every authenticated user may ask about itself.
    who: dict[str, Any] = {"impersonate_user": reader, "impersonate_groups": ["system:authenticated"]}
    user = connect({"kubeconfig": api_server.kubeconfig(), **who}, str(api_server.folder))
    granted = [kind for kind in inventory.KINDS if kind != forbidden]
    rules = may_list(granted)
    client.merge(kinds.CLUSTER_ROLE, None, reader, {"rules": rules})
    server.until("it holds", lambda: [kind for kind in inventory.KINDS if user.may("list", kind)] == granted)
    done = info(**who)
    if forbidden is None:
        assert not done.ok()["changed"]
        return
    where = " in the whole cluster" if forbidden.namespaced else ""
    assert done.failure() == (
        f"The user of this connection may not list {forbidden.resource}{where}: grant it with a Role or ClusterRole "
        "and a binding."
    )
    assert done.result["error"]["status"] == 403 and not {"workloads", "exception"} & set(done.result)


def test_without_aad_pod_identity(
    info: Runner, client: Client, definitions: list[dict[str, Any]], namespace: str
) -> None:
    make(client, kinds.POD, namespace, "pod", namespace)
    server.remove(client, definitions)
    try:
        done = info().ok()
    finally:
        server.install(client, definitions)
    assert done["identities"] == [] and done["assignments"] is None
    assert rows(done, namespace)["Pod"]["default"]["answers"] == ["not_assigned"]


def test_the_examples(info: Runner, api_server: ApiServer, workloads: str, tmp_path: Path) -> None:
    saved = {"kind": "List", "items": []}
    text = pod_identity_info.EXAMPLES.replace("/etc/ansible/prod.kubeconfig", api_server.kubeconfig())
    for name in ("workloads", "pod-identity"):
        (tmp_path / f"{name}.json").write_text(json.dumps(saved))
    tasks = yaml.safe_load(text.replace("/var/backups/prod", str(tmp_path)))
    assert tasks.pop()["name"] == "Fail where findings are errors"  # this cluster has some
    status, output = Player(tmp_path / "play").play(tasks)
    assert (status, "MIC should have removed this assignment" in output) == (2, True), output
    status, output = Player(tmp_path / "rest").play([tasks[0], *tasks[2:]])
    assert status == 0, output
    assert (tmp_path / "inventory.json").exists()


def test_into_a_file(info: Runner, workloads: str, tmp_path: Path) -> None:
    path = tmp_path / "inventory.json"
    predicted = info(path=str(path), check=True).ok()
    assert predicted["changed"] and not path.exists()
    done, live = info(path=str(path)).ok(), info().ok()
    assert (done["changed"], done["rules"]) == (True, live["rules"])
    assert {*done, "permissions"} == set(predicted)
    kept = json.loads(path.read_text())
    assert set(kept) == set(live) - {"changed", "invocation"}
    assert (rows(kept, workloads), findings(kept, workloads)) == (rows(live, workloads), findings(live, workloads))
    assert not {key for key, value in kept.items() if isinstance(value, list)} & set(done)


def test_what_is_returned_is_documented(info: Runner, workloads: str) -> None:
    documented = yaml.safe_load(pod_identity_info.RETURN)
    done = info(audit=True).ok()
    of_file = {"summary", "actions", "changes", "permissions"}
    assert set(done) - {"changed", "invocation"} == set(documented) - of_file
    for key in ("rules", "assignments"):
        assert set(done[key]) == set(documented[key]["contains"])
    for key in ("workloads", "identities", "findings"):
        assert set(done[key][0]) == set(documented[key]["contains"]), key
    default = documented["workloads"]["contains"]["default"]["contains"]
    assert all(set(row["default"]) == set(default) for row in done["workloads"])
    sample = documented["workloads"]["contains"]["identities"]["sample"][0]
    assert set(rows(done, workloads)["Pod"]["identities"][0]) == set(sample)


def test_what_is_left_is_listed_on_request(
    info: Runner, client: Client, workloads: str, request: pytest.FixtureRequest
) -> None:
    """Beside what other tests have in the cluster meanwhile."""
    account = {"kind": "ServiceAccount", "namespace": workloads, "name": "aad-pod-id-nmi-service-account"}
    client.create(kinds.SERVICE_ACCOUNT, workloads, {"metadata": {"name": account["name"]}})
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "aad-pod-id-nmi-role"}
    given = {"metadata": {"name": "aad-pod-id-nmi-binding"}, "roleRef": role, "subjects": [account]}
    client.create(kinds.CLUSTER_ROLE_BINDING, None, given)
    request.addfinalizer(lambda: client.delete(kinds.CLUSTER_ROLE_BINDING, None, "aad-pod-id-nmi-binding"))
    led = {"control-plane.alpha.kubernetes.io/leader": "{}"}
    create(client, kinds.ENDPOINTS, workloads, "aad-pod-identity-mic", metadata={"annotations": led})
    create(client, kinds.CONFIG_MAP, workloads, "aad-pod-identity-config")
    for made in (
        release(revision=1, status="superseded", namespace=workloads),
        release(revision=2, status="failed", namespace=workloads),
        release("web", revision=7, chart="web", namespace=workloads),
    ):
        client.create(kinds.SECRET, workloads, made)

    assert "residue" not in info().ok()
    done = info(audit=True).ok()
    found = {(one["code"], one["object"]) for one in done["residue"] if workloads in one["object"]}
    live = f"AzureAssignedIdentity {workloads}/runner-0-{workloads}-money"
    assert {each for each in found if each[0] != "label_left"} == {
        ("assignment_orphaned", live),
        ("binding_left", f"AzureIdentityBinding {workloads}/money"),
        ("identity_left", f"AzureIdentity {workloads}/money"),
        ("exception_left", f"AzurePodIdentityException {workloads}/loose"),
        ("role_left", f"ServiceAccount {workloads}/aad-pod-id-nmi-service-account"),
        ("lock_left", f"Endpoints {workloads}/aad-pod-identity-mic"),
        ("settings_left", f"ConfigMap {workloads}/aad-pod-identity-config"),
        ("release_left", f"Secret {workloads}/sh.helm.release.v1.aad-pod-identity.v2"),
    }
    assert len(found) == 8 + len(kinds.TEMPLATES) + 2
    listed = [one["object"] for one in done["residue"] if one["code"] == "definition_left"]
    assert "CustomResourceDefinition azureidentities.aadpodidentity.k8s.io" in listed
    assert not [one for one in done["residue"] if one["code"] == "not_read"]


def test_what_may_not_be_listed_is_left_as_far_as_anybody_knows(info: Runner, client: Client, workloads: str) -> None:
    groups = ["", "apps", "batch", "aadpodidentity.k8s.io"]
    resources = [
        *("pods", "nodes", "deployments", "statefulsets", "daemonsets", "replicasets", "cronjobs", "jobs"),
        *("azureidentities", "azureidentitybindings", "azurepodidentityexceptions", "azureassignedidentities"),
        *("configmaps", "serviceaccounts", "endpoints", "namespaces"),
    ]
    rule = {"apiGroups": groups, "resources": resources, "verbs": ["list"]}
    container = {"name": "nmi", "image": "mcr.microsoft.com/oss/azure/aad-pod-identity/nmi:v1.8.17"}
    labels = {"app": "nmi"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    spec = {"selector": {"matchLabels": labels}, "template": template}
    create(client, kinds.DAEMON_SET, workloads, "nmi", spec=spec)
    with server.rights_of_restricted(client, f"reader-{workloads}", rule):
        done, without = (info(token=RESTRICTED, audit=audit).ok() for audit in (True, False))
    told = [each["event"]["msg"] for each in without["warnings"]]
    for kind, sentence in zip(("clusterroles", "clusterrolebindings"), told, strict=True):
        assert f"may not list {kind}.rbac" in sentence and sentence.endswith(Belief.EVERYWHERE)
    assert "warnings" not in done
    unread = {one["object"]: one["message"] for one in done["residue"] if one["code"] == "not_read"}
    assert set(unread) == {
        "CustomResourceDefinition",
        "ClusterRole",
        "ClusterRoleBinding",
        "PodDisruptionBudget",
        "Secret",
    }
    assert "may not list secrets" in unread["Secret"]
