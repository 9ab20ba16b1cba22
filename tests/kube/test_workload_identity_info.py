# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""workload_identity_info against a real API server, and against what kubectl wrote of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._kube import inventory, kinds, migration
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.client import Client
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.kinds import Kind
from ansible_collections.azureops.pod_identity.tests.kube.objects import (
    CLIENT_ID,
    ID,
    create,
    dump,
    make,
    may_list,
    pair,
)
from ansible_collections.azureops.pod_identity.tests.support import api_server as server
from ansible_collections.azureops.pod_identity.tests.support import workload_identity
from ansible_collections.azureops.pod_identity.tests.support.api_server import RESTRICTED, ApiServer, Runner

USE = "azure.workload.identity/use"
KEDA = Kind("keda.sh", "v1alpha1", "triggerauthentications", "TriggerAuthentication")
GATE = "gatekeeper.sh"


@pytest.fixture
def info(api_server: ApiServer, crds: None) -> Runner:
    return Runner(api_server, "workload_identity_info")


@pytest.fixture
def world(client: Client, crds: None, namespace: str) -> Iterator[str]:
    """One workload of each kind that selects an identity, and one of a kind that is not known; the namespace."""
    pair(client, namespace, "money", f"{ID}-{namespace}")
    create(client, kinds.SERVICE_ACCOUNT, namespace, "default")
    for kind in (*kinds.TEMPLATES, kinds.POD):
        make(client, kind, namespace, kind.name.lower(), namespace)
    owner = {"apiVersion": "example.com/v1", "kind": "Runner", "name": "runner", "uid": "u", "controller": True}
    metadata = {"labels": {"aadpodidbinding": namespace}, "ownerReferences": [owner]}
    spec = {"containers": [{"name": "app", "image": "app"}]}
    create(client, kinds.POD, namespace, "runner-0", metadata=metadata, spec=spec)
    yield namespace


@pytest.fixture
def definition(client: Client) -> Iterator[Any]:
    """Makes kinds known for the test."""
    made: list[dict[str, Any]] = []

    def define(kind: Kind) -> None:
        document = server.definition(kind)
        server.install(client, [document])
        made.append(document)

    yield define
    server.remove(client, made)


def rows(result: dict[str, Any], namespace: str) -> dict[str, Any]:
    return {row["kind"]: row for row in result["templates"] if row["namespace"] == namespace}


def codes(row: dict[str, Any], part: str) -> set[str]:
    return {each["code"] for each in row[part]}


def test_every_kind_of_workload(info: Runner, api_server: ApiServer, world: str) -> None:
    """By one list for each kind, and by nothing but lists and what tells that a kind is not there."""
    before = len(api_server.requests())
    done = info(namespaces=[world]).ok()
    asked = api_server.requests()[before:]
    assert not done["changed"] and {each.split()[0] for each in asked} <= {"get", "list"}
    lists = [each for each in asked if each.startswith("list ")]
    assert sorted(lists) == sorted(set(lists)) and len(lists) >= len(inventory.KINDS) + len(migration.KINDS)
    found = rows(done, world)
    assert set(found) == {kind.name for kind in kinds.TEMPLATES} | {"Pod", "Runner"}
    blocked = {kind: codes(row, "blocked") for kind, row in found.items()}
    assert blocked["Deployment"] == blocked["DaemonSet"] == blocked["CronJob"] == set()
    assert blocked["Job"] == blocked["Pod"] == {"template_immutable"}
    assert blocked["Runner"] == {"made_by_operator"}
    assert blocked["StatefulSet"] == blocked["ReplicaSet"] == {"cannot_surge"}
    one = found["Deployment"]
    assert (one["verdict"], one["service_account"]) == ("needs", "default")
    assert one["new_service_account"] == "default-money" and one["client_id"] == CLIENT_ID
    assert one["steps"] == ["webhook", "service_account", "annotation", "label", "proof"]
    assert one["rollout"] == {"strategy": "RollingUpdate", "replicas": 1, "surge": True, "gap": "", "budgets": []}
    assert "Azure" in [each["what"] for each in done["not_looked_at"]]
    assert {"not_federated", "issuer_not_enabled", "exchanges_fail"} <= codes(one, "not_looked_at")
    assert done["summary"]["templates"] == len(found)
    assert done["cluster"]["issuer"] is None and done["cluster"]["login_host"] == "login.microsoftonline.com"


def test_check_mode_and_a_second_run_say_the_same(info: Runner, world: str) -> None:
    real = info(namespaces=[world]).ok()
    assert info(namespaces=[world]).ok() == real
    assert info(namespaces=[world], check=True).ok() == real


def test_choices(info: Runner, world: str) -> None:
    workload = f"{world}/StatefulSet/statefulset"
    done = info(namespaces=[world], accept=["cannot_surge"], proxy_workloads=[workload]).ok()
    one = rows(done, world)["StatefulSet"]
    assert (one["verdict"], one["proxy"]) == ("needs", True) and "proxy" in one["steps"]
    assert codes(one, "accepted") == {"cannot_surge"} and one["blocked"] == []
    assert "There is no Deployment" in info(proxy_workloads=[f"{world}/Deployment/nobody"]).failure()


def test_what_others_told_is_joined(info: Runner, world: str) -> None:
    label = f"Deployment {world}/deployment"
    told = {"service_account": f"{world}/default-money", "client_id": CLIENT_ID, "asked": 50, "granted": 50}
    refused = {**told, "workload": label, "granted": 0, "codes": {"AADSTS700213": 50}}
    one = rows(info(namespaces=[world], exchanges=[told, refused]).ok(), world)["Deployment"]
    assert "fields_would_be_lost" in codes(one, "not_looked_at")
    assert not codes(one, "not_looked_at") & {"library_too_old", "login_host_not_reached"}


def test_dry_runs_with_the_real_webhook(info: Runner, api_server: ApiServer, client: Client, world: str) -> None:
    """Of workloads that nothing else is in the way of; the webhook loses what is newer than it is."""
    bounds = {"requests": {"cpu": "100m"}, "limits": {"cpu": "200m"}}
    for name, more in (("plain", {}), ("newer", {"resources": bounds})):
        labels = {"app": name, "aadpodidbinding": world}
        # Nothing here names the service account default where a pod names none.
        pod = {"serviceAccountName": "default", "containers": [{"name": "app", "image": "app"}], **more}
        template = {"metadata": {"labels": labels}, "spec": pod}
        spec = {"selector": {"matchLabels": {"app": name}}, "template": template}
        create(client, kinds.DEPLOYMENT, world, name, spec=spec)
    pods = [each["metadata"]["uid"] for each in client.list_all(kinds.POD, world)]
    before = len(api_server.requests())
    with workload_identity.running(api_server):
        done = info(namespaces=[world], dry_run=True).ok()
    asked = api_server.requests()[before:]
    found = {row["name"]: row for row in done["templates"] if row["namespace"] == world and row["kind"] == "Deployment"}
    assert codes(found["newer"], "blocked") == {"fields_would_be_lost"}, found["newer"]["blocked"]
    assert "resources" in found["newer"]["blocked"][0]["reason"]
    assert codes(found["plain"], "blocked") == set(), found["plain"]["blocked"]
    assert "fields_would_be_lost" not in codes(found["plain"], "not_looked_at")
    # Those that cannot surge, for one, are not tried.
    assert "fields_would_be_lost" in codes(rows(done, world)["StatefulSet"], "not_looked_at")
    tried = {"plain", "newer", "deployment", "daemonset", "cronjob", "job"}
    assert 4 <= len([each for each in asked if each == "create pods"]) <= 2 * len(tried)
    assert [each["metadata"]["uid"] for each in client.list_all(kinds.POD, world)] == pods
    without = info(namespaces=[world], dry_run=True).ok()
    assert "fields_would_be_lost" in codes(rows(without, world)["CronJob"], "not_looked_at")


def test_files_say_what_the_cluster_says(
    info: Runner, api_server: ApiServer, client: Client, world: str, tmp_path: Path
) -> None:
    listed = [kind.resource for kind in (*inventory.KINDS, *migration.KINDS)]
    path = tmp_path / "all.json"
    # A file tells nothing of a kind of which there is no object.
    create(client, kinds.AZURE_POD_IDENTITY_EXCEPTION, world, "nobody", spec={"podLabels": {"app": "nobody"}})
    create(client, kinds.MUTATING_WEBHOOK_CONFIGURATION, None, "of-others")
    try:
        path.write_bytes(dump(api_server, *listed))
    finally:
        client.delete(kinds.MUTATING_WEBHOOK_CONFIGURATION, None, "of-others")
    live = info(namespaces=[world]).ok()
    saved = info(namespaces=[world], files=[str(path)], kubeconfig="/nowhere").ok()
    for part in ("templates", "identities", "service_accounts", "gains", "cluster"):
        assert saved[part] == live[part], part
    left_out = {each["what"] for each in saved["not_looked_at"]} - {each["what"] for each in live["not_looked_at"]}
    assert KEDA.resource in left_out


def test_reader_of_nothing_but_the_inventory(info: Runner, client: Client, world: str) -> None:
    """The rest is told as not looked at, with what it takes, and nothing of it is taken for right."""
    rules = may_list(kind for kind in inventory.KINDS if kind != kinds.NODE)
    with server.rights_of_restricted(client, f"reader-{world}", *rules):
        done = info(token=RESTRICTED, namespaces=[world]).ok()
    what = " ".join(each["what"] for each in done["not_looked_at"])
    for part in ("nodes", "serviceaccounts", "namespaces", "clusterroles", "mutatingwebhookconfigurations", "roles"):
        assert part in what, what
    for each in done["not_looked_at"]:
        assert all(each[key] for key in ("what", "why", "needs")), each
    one = rows(done, world)["Deployment"]
    assert {"webhook_not_installed", "namespace_not_covered", "own_account_needed"} <= codes(one, "not_looked_at")
    assert done["gains"] == [] and one["verdict"] != "ready"
    assert {each["exists"] for each in done["service_accounts"]} == {None}


def test_where_no_workload_may_be_listed_nothing_is_told(info: Runner, client: Client, world: str) -> None:
    rules = [
        {"apiGroups": [kind.group], "resources": [kind.plural], "verbs": ["list"]}
        for kind in inventory.KINDS
        if kind not in (kinds.POD, *kinds.TEMPLATES)
    ]
    with server.rights_of_restricted(client, f"lacks-{world}", *rules):
        told = info(token=RESTRICTED).failure()
    assert told.startswith("The user of this connection may not list pods") and "nothing can be told" in told


def test_consumers_and_constraints_of_what_the_cluster_has(
    info: Runner, client: Client, world: str, definition: Any
) -> None:
    template = migration.TEMPLATE
    rule = Kind(f"constraints.{GATE}", "v1beta1", "k8steamlabels", "K8sTeamLabels", False)
    for kind in (KEDA, template, rule):
        definition(kind)
    create(client, KEDA, world, "queue", spec={"podIdentity": {"provider": "azure"}})
    create(client, KEDA, world, "odd", spec={"podIdentity": "azure"})
    create(client, template, None, "k8steamlabels", spec={"crd": {"spec": {"names": {"kind": "K8sTeamLabels"}}}})
    create(client, rule, None, "everywhere", spec={"match": {"kinds": [{"kinds": ["Deployment"]}]}})
    done = info(namespaces=[world]).ok()
    odd, found = done["consumers"]
    assert (odd["object"], odd["state"]) == (f"TriggerAuthentication {world}/odd", "not_known")
    assert odd["reason"] == "Its spec.podIdentity is no object." and odd["blocks_finish"]
    assert (found["object"], found["uses"]) == (f"TriggerAuthentication {world}/queue", "pod_identity")
    one = rows(done, world)["Deployment"]
    assert one["policies"] == ["K8sTeamLabels everywhere"] and codes(one, "noted") == {"policy_may_refuse"}
    assert rows(done, world)["CronJob"]["policies"] == []


def test_who_gains(info: Runner, client: Client, world: str) -> None:
    """Whoever may make tokens for the account, beside those who may make pods."""
    rbac = "rbac.authorization.k8s.io"
    for name, resource in (("developers", "pods"), ("vault", "serviceaccounts/token")):
        create(
            client, kinds.ROLE, world, name, rules=[{"apiGroups": [""], "resources": [resource], "verbs": ["create"]}]
        )
        create(
            client,
            kinds.ROLE_BINDING,
            world,
            name,
            roleRef={"apiGroup": rbac, "kind": "Role", "name": name},
            subjects=[{"apiGroup": rbac, "kind": "Group", "name": f"{name}-{world}"}],
        )
    (found,) = info(namespaces=[world]).ok()["gains"]
    assert found["identity"] == f"{ID}-{world}" and found["service_accounts"] == [f"{world}/default-money"]
    assert f"Group developers-{world}" in found["before"] and f"Group developers-{world}" in found["after"]
    assert found["gained"] == [f"Group vault-{world}"]


def test_a_deployment_that_has_moved_shows_what_is_left(info: Runner, client: Client, world: str) -> None:
    labels = {"app": "moved", "aadpodidbinding": world, USE: "true"}
    pod = {"serviceAccountName": "moved", "containers": [{"name": "app", "image": "app"}]}
    create(
        client,
        kinds.DEPLOYMENT,
        world,
        "moved",
        spec={"selector": {"matchLabels": {"app": "moved"}}, "template": {"metadata": {"labels": labels}, "spec": pod}},
    )
    annotations = {"azure.workload.identity/client-id": CLIENT_ID}
    create(client, kinds.SERVICE_ACCOUNT, world, "moved", metadata={"annotations": annotations})
    (one,) = [each for each in info(namespaces=[world]).ok()["templates"] if each["name"] == "moved"]
    assert (one["uses"], one["steps"]) == ("both", ["webhook", "proof"])
