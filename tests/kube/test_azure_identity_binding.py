# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""azure_identity_binding against a real API server with the chart's definitions."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.client import Client
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.kinds import (
    AZURE_ASSIGNED_IDENTITY,
    AZURE_IDENTITY,
    AZURE_IDENTITY_BINDING,
    POD,
    SECRET,
)
from ansible_collections.azureops.pod_identity.tests.kube.bound_pods import CLIENT_ID, RESOURCE_ID, foreign, make_pod
from ansible_collections.azureops.pod_identity.tests.support import api_server as server
from ansible_collections.azureops.pod_identity.tests.support.api_server import RESTRICTED, Runner

OTHER_ID = "b1d9c1c8-1f5a-4a0e-9a74-0a6d5a3a7c21"


def desired(namespace: str, **changes: Any) -> dict[str, Any]:
    return {
        "name": "billing",
        "namespace": namespace,
        "selector": namespace,  # pods of other tests may linger, there is no kubelet that ends them
        "resource_id": RESOURCE_ID,
        "client_id": CLIENT_ID,
        **changes,
    }


def live(client: Client, namespace: str, name: str = "billing") -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    return client.get(AZURE_IDENTITY, namespace, name), client.get(AZURE_IDENTITY_BINDING, namespace, name)


def versions(client: Client, namespace: str) -> list[str]:
    return [entry["metadata"]["resourceVersion"] for entry in live(client, namespace) if entry]


def test_life_of_a_pair(binding: Runner, client: Client, namespace: str) -> None:
    predicted = binding(check=True, **desired(namespace)).ok()
    assert live(client, namespace) == (None, None)
    created = binding(**desired(namespace)).ok()
    assert predicted["changed"] and created["changed"]
    assert predicted["actions"] == created["actions"]
    assert predicted["changes"] == created["changes"]
    assert created["actions"] == [
        f"create AzureIdentity {namespace}/billing",
        f"create AzureIdentityBinding {namespace}/billing (0 pods get the identity)",
    ]
    assert predicted["diff"] == created["diff"]
    assert created["diff"]["before"] == {"identity": {}, "binding": {}}
    assert created["result"]["identity"]["spec"] == {"type": 0, "resourceID": RESOURCE_ID, "clientID": CLIENT_ID}
    assert created["result"]["binding"]["spec"] == {"azureIdentity": "billing", "selector": namespace}
    assert predicted["result"]["identity"]["spec"] == created["result"]["identity"]["spec"]

    before = versions(client, namespace)
    for check in (True, False):
        again = binding(check=check, **desired(namespace)).ok()
        assert not again["changed"] and again["actions"] == []
        assert again["diff"]["before"] == again["diff"]["after"]
    assert versions(client, namespace) == before

    changed = [binding(check=check, **desired(namespace, client_id=OTHER_ID)).ok() for check in (True, False)]
    assert changed[0]["actions"] == changed[1]["actions"]
    assert changed[0]["changes"] == changed[1]["changes"]
    assert changed[1]["changes"][0] == {
        "verb": "change",
        "kind": "AzureIdentity",
        "id": f"{namespace}/billing",
        "why": "spec.clientID",
    }
    assert changed[0]["diff"] == changed[1]["diff"]
    assert changed[1]["actions"] == [
        f"change AzureIdentity {namespace}/billing spec.clientID (MIC assigns it anew to 0 pods)"
    ]
    assert changed[1]["diff"]["before"]["identity"]["spec"]["clientID"] == CLIENT_ID
    assert changed[1]["diff"]["after"]["identity"]["spec"]["clientID"] == OTHER_ID
    assert versions(client, namespace)[1] == before[1], "the binding was not to be touched"

    gone = [binding(check=check, state="absent", name="billing", namespace=namespace).ok() for check in (True, False)]
    assert (
        gone[0]["actions"]
        == gone[1]["actions"]
        == [
            f"delete AzureIdentityBinding {namespace}/billing",
            f"delete AzureIdentity {namespace}/billing",
        ]
    )
    assert gone[1]["diff"]["after"] == {"identity": {}, "binding": {}}
    assert gone[0]["diff"] == gone[1]["diff"]
    assert live(client, namespace) == (None, None)
    for check in (True, False):
        assert not binding(check=check, state="absent", name="billing", namespace=namespace).ok()["changed"]


def test_options_that_are_not_set_are_not_touched(binding: Runner, client: Client, namespace: str) -> None:
    binding(**desired(namespace, behavior="namespaced", labels={"team": "a"}, ad_endpoint="https://login/")).ok()
    before = versions(client, namespace)
    assert not binding(**desired(namespace)).ok()["changed"]
    assert not binding(name="billing", namespace=namespace).ok()["changed"]
    assert versions(client, namespace) == before
    binding(name="billing", namespace=namespace, client_id=OTHER_ID).ok()
    identity, _binding = live(client, namespace)
    assert identity is not None
    assert identity["metadata"]["annotations"] == {"aadpodidentity.k8s.io/Behavior": "namespaced"}
    assert identity["metadata"]["labels"]["team"] == "a"
    assert identity["spec"]["adEndpoint"] == "https://login/"
    assert identity["spec"]["clientID"] == OTHER_ID


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"selector": "other"}, "AzureIdentityBinding"),
        ({"resource_id": RESOURCE_ID + "2"}, "spec.resourceID"),
        ({"behavior": "namespaced"}, "metadata.annotations.aadpodidentity.k8s.io/Behavior"),
        ({"labels": {"team": "a"}}, "metadata.labels.team"),
        ({"annotations": {"note": "x"}}, "metadata.annotations.note"),
        ({"ad_resource_id": "https://x/"}, "spec.adResourceID"),
    ],
)
def test_each_change_is_predicted_and_made_once(
    binding: Runner, namespace: str, change: dict[str, Any], words: str
) -> None:
    binding(**desired(namespace)).ok()
    predicted, made = (
        binding(check=True, **desired(namespace, **change)).ok(),
        binding(**desired(namespace, **change)).ok(),
    )
    assert predicted["changed"] and made["changed"]
    assert predicted["diff"] == made["diff"] and predicted["actions"] == made["actions"]
    assert predicted["changes"] == made["changes"]
    assert any(words in action for action in made["actions"])
    assert not binding(**desired(namespace, **change)).ok()["changed"]


def test_case_of_a_resource_id_is_no_change(binding: Runner, namespace: str) -> None:
    binding(**desired(namespace)).ok()
    assert not binding(**desired(namespace, resource_id=RESOURCE_ID.replace("resourcegroups", "resourceGroups"))).ok()[
        "changed"
    ]


def test_behavior_can_be_taken_back(binding: Runner, client: Client, namespace: str) -> None:
    binding(**desired(namespace, behavior="namespaced")).ok()
    assert binding(**desired(namespace, behavior="standard")).ok()["changed"]
    identity, _binding = live(client, namespace)
    assert identity is not None and not identity["metadata"].get("annotations")
    assert not binding(**desired(namespace, behavior="standard")).ok()["changed"]


def test_foreign_equal_objects_stay_untouched(binding: Runner, client: Client, namespace: str) -> None:
    foreign(client, namespace)
    before = live(client, namespace)
    assert not binding(**desired(namespace)).ok()["changed"]
    assert live(client, namespace) == before
    refused = binding(state="absent", name="billing", namespace=namespace).failure()
    assert "adopt: true" in refused
    assert live(client, namespace) == before


def test_foreign_objects_are_changed_only_by_adoption(binding: Runner, client: Client, namespace: str) -> None:
    foreign(client, namespace)
    before = live(client, namespace)
    for check in (True, False):
        refused = binding(check=check, **desired(namespace, client_id=OTHER_ID))
        assert "kubectl-create" in refused.failure() and "spec.clientID" in refused.failure()
        assert "adopt: true" in refused.failure()
        assert refused.result["failed_action"].startswith(f"change AzureIdentity {namespace}/billing")
    assert live(client, namespace) == before
    adopted = binding(adopt=True, **desired(namespace, client_id=OTHER_ID)).ok()
    assert adopted["changed"] and len(adopted["actions"]) == 2
    identity, _binding = live(client, namespace)
    assert identity is not None and identity["spec"]["clientID"] == OTHER_ID
    assert identity["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "azureops.pod_identity"
    assert not binding(adopt=True, **desired(namespace, client_id=OTHER_ID)).ok()["changed"]
    assert not binding(**desired(namespace, client_id=OTHER_ID)).ok()["changed"]


def test_adoption_of_equal_objects_says_how_many_pods(binding: Runner, client: Client, namespace: str) -> None:
    foreign(client, namespace)
    make_pod(client, namespace, "one")
    make_pod(client, namespace, "two")
    adopted = binding(adopt=True, **desired(namespace)).ok()
    assert adopted["actions"][0] == f"adopt AzureIdentity {namespace}/billing (MIC assigns it anew to 2 pods)"
    assert not binding(adopt=True, **desired(namespace)).ok()["changed"]


def test_another_owner_needs_adoption(binding: Runner, client: Client, namespace: str) -> None:
    binding(owner="team-a", **desired(namespace)).ok()
    before = live(client, namespace)
    for check in (True, False):
        refused = binding(check=check, owner="team-b", **desired(namespace, client_id=OTHER_ID)).failure()
        assert "'team-a'" in refused and "adopt: true" in refused
        assert not binding(check=check, owner="team-b", **desired(namespace)).ok()["changed"]
    assert live(client, namespace) == before
    assert "'team-b'" in binding(owner="team-b", state="absent", name="billing", namespace=namespace).failure()
    assert binding(owner="team-b", adopt=True, **desired(namespace, client_id=OTHER_ID)).ok()["changed"]
    identity, _binding = live(client, namespace)
    assert identity is not None and identity["spec"]["clientID"] == OTHER_ID
    assert binding(owner="team-b", state="absent", name="billing", namespace=namespace).ok()["changed"]


def test_foreign_behavior_is_taken_back_only_by_adoption(binding: Runner, client: Client, namespace: str) -> None:
    foreign(client, namespace)
    client._request(
        "PATCH",
        AZURE_IDENTITY.path(namespace, "billing"),
        [("fieldManager", "kubectl-annotate")],
        {"metadata": {"annotations": {"aadpodidentity.k8s.io/Behavior": "namespaced"}}},
        content_type="application/merge-patch+json",
    )
    assert "kubectl-annotate" in binding(**desired(namespace, behavior="standard")).failure()
    assert binding(check=True, adopt=True, **desired(namespace, behavior="standard")).ok()["changed"]
    binding(adopt=True, **desired(namespace, behavior="standard")).ok()
    identity, _binding = live(client, namespace)
    assert identity is not None and not identity["metadata"].get("annotations")


def test_foreign_fields_survive(binding: Runner, client: Client, namespace: str) -> None:
    binding(**desired(namespace)).ok()
    client._request(
        "PATCH",
        AZURE_IDENTITY.path(namespace, "billing"),
        [("fieldManager", "somebody")],
        {"metadata": {"labels": {"theirs": "1"}}, "spec": {"replicas": 3}},
        content_type="application/merge-patch+json",
    )
    assert not binding(**desired(namespace)).ok()["changed"]
    binding(**desired(namespace, client_id=OTHER_ID)).ok()
    identity, _binding = live(client, namespace)
    assert identity is not None
    assert identity["metadata"]["labels"]["theirs"] == "1" and identity["spec"]["replicas"] == 3


def test_service_principal_with_secret(binding: Runner, client: Client, namespace: str) -> None:
    options: dict[str, Any] = {
        "name": "billing",
        "namespace": namespace,
        "selector": "billing",
        "type": 1,
        "client_id": CLIENT_ID,
        "tenant_id": OTHER_ID,
    }
    outcomes = [binding(check=check, client_password="pa55-first-x", **options) for check in (True, False)]
    assert outcomes[0].ok()["actions"] == outcomes[1].ok()["actions"]
    assert outcomes[0].ok()["changes"] == outcomes[1].ok()["changes"]
    assert outcomes[1].ok()["actions"][0] == f"create Secret {namespace}/billing-credential"
    assert outcomes[1].ok()["result"]["secret"] == {"namespace": namespace, "name": "billing-credential"}
    secret = client.get(SECRET, namespace, "billing-credential")
    assert secret is not None and len(secret["data"]) == 1
    assert not binding(client_password="pa55-first-x", **options).ok()["changed"]
    assert not binding(**options).ok()["changed"]
    rotated = [binding(check=check, client_password="pa55-second-x", **options) for check in (True, False)]
    assert rotated[0].ok()["actions"] == rotated[1].ok()["actions"]
    assert rotated[1].ok()["actions"] == [f"change Secret {namespace}/billing-credential data.clientSecret"]
    assert rotated[1].ok()["diff"]["before"] != rotated[1].ok()["diff"]["after"]
    after = client.get(SECRET, namespace, "billing-credential")
    assert after is not None and len(after["data"]) == 1 and after["data"] != secret["data"]
    for outcome in (*outcomes, *rotated):
        for value in ("pa55-", *secret["data"].values(), *after["data"].values()):
            assert value not in outcome.output
    assert len(binding(state="absent", name="billing", namespace=namespace).ok()["actions"]) == 3
    assert client.get(SECRET, namespace, "billing-credential") is None


def test_secret_with_two_keys_is_refused(binding: Runner, client: Client, namespace: str) -> None:
    body = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "given", "namespace": namespace},
        "data": {"a": "eA==", "b": "eQ=="},
    }
    client.create(SECRET, namespace, body)
    options: dict[str, Any] = {
        "name": "billing",
        "namespace": namespace,
        "selector": "billing",
        "type": 1,
        "client_id": CLIENT_ID,
        "tenant_id": OTHER_ID,
    }
    assert "exactly one" in binding(client_password_secret={"name": "given"}, **options).failure()
    assert "does not exist" in binding(client_password_secret={"name": "none"}, **options).failure()
    refused = binding(client_password_secret={"name": "given"}, client_password="other-pass", **options).failure()
    assert "exactly one" in refused


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"client_id": CLIENT_ID.upper()}, "lower case"),
        ({"resource_id": "/subscriptions/x/billing"}, "userAssignedIdentities"),
        ({"selector": ""}, "needs selector"),
        ({"selector": "not a label"}, "matches no pod"),
        ({"selector": "a" * 64}, "matches no pod"),
        ({"client_id": None}, "needs client_id"),
        ({"name": "Upper"}, "no name that Kubernetes accepts"),
        ({"client_id": "(known after apply)"}, "check mode"),
    ],
)
def test_desired_objects_that_could_not_work_are_refused(
    binding: Runner, client: Client, namespace: str, change: dict[str, Any], words: str
) -> None:
    options = {key: value for key, value in desired(namespace, **change).items() if value is not None}
    assert words in binding(**options).failure()
    assert live(client, namespace) == (None, None)


def test_values_that_are_not_known_yet(binding: Runner, client: Client, namespace: str) -> None:
    unknown = desired(namespace, client_id="(known after apply)", resource_id="(known after apply)")
    predicted = binding(check=True, **unknown).ok()
    assert predicted["changed"] and len(predicted["actions"]) == 2
    assert predicted["result"]["identity"]["spec"]["clientID"] == "(known after apply)"
    binding(**desired(namespace)).ok()
    assert binding(check=True, **unknown).ok()["changed"]
    identity, _binding = live(client, namespace)
    assert identity is not None and identity["spec"]["clientID"] == CLIENT_ID


def test_absent_while_in_use_is_refused(binding: Runner, client: Client, namespace: str) -> None:
    binding(**desired(namespace)).ok()
    make_pod(client, namespace, "user")
    for check in (True, False):
        refused = binding(check=check, state="absent", name="billing", namespace=namespace).failure()
        assert f"{namespace}/user" in refused and "allow_in_use" in refused
    second = desired(namespace, binding_name="second", selector="second")
    binding(**second).ok()
    client.delete(POD, namespace, "user", preconditions=None)
    server.until("the pod is gone", lambda: client.get(POD, namespace, "user") is None or _finish(client, namespace))
    assert "second" in binding(state="absent", name="billing", namespace=namespace).failure()
    assert binding(state="absent", name="billing", namespace=namespace, allow_in_use=True).ok()["changed"]


def _finish(client: Client, namespace: str) -> bool:
    server.end_pod(client, namespace, "user")
    return False


def test_waiting_names_the_pods_that_are_missing(binding: Runner, client: Client, namespace: str) -> None:
    make_pod(client, namespace, "waiting")
    waiting: dict[str, Any] = {"wait": True, "wait_timeout": 1, "wait_sleep": 1}
    first = binding(**desired(namespace), **waiting)
    assert f"{namespace}/waiting" in first.failure() and "MIC" in first.failure()
    assert first.result["failed_action"].startswith("create AzureIdentityBinding")
    assert first.result["missing_pods"] == [f"{namespace}/waiting"]
    assert f"{namespace}/waiting" in binding(**desired(namespace), **waiting).failure()
    identity, bound = live(client, namespace)
    body = {
        "apiVersion": "aadpodidentity.k8s.io/v1",
        "kind": "AzureAssignedIdentity",
        "metadata": {"name": f"waiting-{namespace}-billing", "namespace": namespace},
        "spec": {
            "pod": "waiting",
            "podNamespace": namespace,
            "nodename": "node-1",
            "azureIdentityRef": identity,
            "azureBindingRef": bound,
        },
        "status": {"status": "Assigned"},
    }
    client.create(AZURE_ASSIGNED_IDENTITY, namespace, body)
    done = binding(**desired(namespace), **waiting).ok()
    assert not done["changed"] and done["result"]["matching_pods"] == 1
    assert [(entry["pod"], entry["status"]) for entry in done["result"]["assigned"]] == [("waiting", "Assigned")]


def test_pods_of_the_namespace_only(binding: Runner, client: Client, namespace: str) -> None:
    make_pod(client, namespace, "mine")
    client.create(
        server.NAMESPACE, None, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": f"{namespace}-b"}}
    )
    make_pod(client, f"{namespace}-b", "theirs", namespace)
    assert binding(**desired(namespace)).ok()["result"]["matching_pods"] == 2
    assert binding(**desired(namespace, behavior="namespaced")).ok()["result"]["matching_pods"] == 1
    client.delete(server.NAMESPACE, None, f"{namespace}-b")


def test_restricted_user(binding: Runner, client: Client, namespace: str) -> None:
    refused = binding(token=RESTRICTED, **desired(namespace))
    assert "may not list azureidentities.aadpodidentity.k8s.io" in refused.failure()
    assert refused.result["error"]["status"] == 403
    rules = [
        {"apiGroups": ["aadpodidentity.k8s.io"], "resources": ["azureidentities"], "verbs": ["*"]},
        {"apiGroups": ["aadpodidentity.k8s.io"], "resources": ["azureidentitybindings"], "verbs": ["list"]},
    ]
    name = f"test-{namespace}"
    client.create(
        server.CLUSTER_ROLE,
        None,
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRole",
            "metadata": {"name": name},
            "rules": rules,
        },
    )
    client.create(
        server.CLUSTER_ROLE_BINDING,
        None,
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": name},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
            "subjects": [{"kind": "User", "name": "restricted", "apiGroup": "rbac.authorization.k8s.io"}],
        },
    )
    try:
        for check in (True, False):
            refused = binding(check=check, token=RESTRICTED, **desired(namespace))
            assert "may not" in refused.failure() and "azureidentitybindings" in refused.failure()
            assert refused.result["failed_action"].startswith("create AzureIdentityBinding")
            assert refused.result["actions"] == [f"create AzureIdentity {namespace}/billing"]
            assert refused.result["changed"] is not check
        assert "may not list pods" in refused.output
    finally:
        client.delete(server.CLUSTER_ROLE_BINDING, None, name)
        client.delete(server.CLUSTER_ROLE, None, name)


def test_credentials_that_are_not_accepted(binding: Runner, namespace: str) -> None:
    refused = binding(token="no-such-token", **desired(namespace))
    assert "does not accept the credentials" in refused.failure() and "no-such-token" not in refused.output


def test_missing_namespace(binding: Runner) -> None:
    predicted = binding(check=True, **desired("not-there-yet")).ok()
    assert predicted["changed"] and len(predicted["actions"]) == 2
    refused = binding(**desired("not-there-yet"))
    assert "the namespace not-there-yet does not exist" in refused.failure()


def test_no_cluster_yet(binding: Runner, tmp_path: Any) -> None:
    later: dict[str, Any] = {"kubeconfig": "(known after apply)"}
    predicted = binding(check=True, **desired("billing"), **later).ok()
    assert predicted["changed"] and "the prediction was made without them" in str(predicted["warnings"])
    assert "check mode" in binding(**desired("billing"), **later).failure()
    assert not binding(check=True, state="absent", name="a", namespace="b", **later).ok()["changed"]
    for check in (True, False):
        mistyped = binding(check=check, **desired("billing"), kubeconfig=str(tmp_path / "none")).failure()
        assert "none does not exist" in mistyped


def test_unreachable_server(binding: Runner, namespace: str) -> None:
    refused = binding(**desired(namespace), kubeconfig=None, host="https://127.0.0.1:9", api_key="none")
    assert "cannot be reached" in refused.failure() and "refused" in refused.failure()
    untrusted = binding(**desired(namespace), ca_cert="/etc/ssl/certs/ca-certificates.crt").failure()
    assert "not trusted" in untrusted


def test_without_definitions(
    binding: Runner, client: Client, namespace: str, definitions: list[dict[str, Any]]
) -> None:
    """Last in the file: the definitions go and come back."""
    server.remove(client, definitions)
    try:
        predicted = binding(check=True, **desired(namespace)).ok()
        assert predicted["changed"] and len(predicted["actions"]) == 2
        assert "install AAD Pod Identity first" in binding(**desired(namespace)).failure()
        for check in (True, False):
            assert not binding(check=check, state="absent", name="billing", namespace=namespace).ok()["changed"]
    finally:
        server.install(client, definitions)
