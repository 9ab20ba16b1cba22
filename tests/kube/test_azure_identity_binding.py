# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""azure_identity_binding against a real API server with the chart's definitions."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._kube import kinds
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.client import Client
from ansible_collections.azureops.pod_identity.tests.kube.bound_pods import (
    CLIENT_ID,
    OTHER_ID,
    RESOURCE_ID,
    foreign,
    make_pod,
)
from ansible_collections.azureops.pod_identity.tests.kube.objects import assignment, create, patch
from ansible_collections.azureops.pod_identity.tests.support import api_server as server
from ansible_collections.azureops.pod_identity.tests.support.api_server import RESTRICTED, Runner

Raw = dict[str, Any]
BEHAVIOR = "aadpodidentity.k8s.io/Behavior"


def desired(namespace: str, **changes: Any) -> Raw:
    # Pods of other tests may linger, there is no kubelet that ends them.
    pair = {"name": "billing", "namespace": namespace, "selector": namespace}
    return {**pair, "resource_id": RESOURCE_ID, "client_id": CLIENT_ID, **changes}


def gone(namespace: str, **changes: Any) -> Raw:
    return {"state": "absent", "name": "billing", "namespace": namespace, **changes}


def principal(namespace: str, **changes: Any) -> Raw:
    return desired(namespace, type=1, tenant_id=OTHER_ID, resource_id=None, **changes)


def live(client: Client, namespace: str) -> tuple[Raw | None, Raw | None]:
    both = (kinds.AZURE_IDENTITY, kinds.AZURE_IDENTITY_BINDING)
    identity, binding = (client.get(kind, namespace, "billing") for kind in both)
    return identity, binding


def identity(client: Client, namespace: str) -> Raw:
    found = live(client, namespace)[0]
    assert found is not None
    return found


def versions(client: Client, namespace: str) -> list[str]:
    return [entry["metadata"]["resourceVersion"] for entry in live(client, namespace) if entry]


def both(binding: Runner, **options: Any) -> Raw:
    """What check mode says is what happens; afterwards there is nothing to do."""
    predicted, made = (binding(check=check, **options).ok() for check in (True, False))
    assert predicted["changed"] and made["changed"]
    for key in ("actions", "changes", "diff"):
        assert predicted[key] == made[key], key
    for check in (True, False):
        again = binding(check=check, **options).ok()
        assert not again["changed"] and again["actions"] == [] and again["diff"]["before"] == again["diff"]["after"]
    return made


def test_life_of_a_pair(binding: Runner, client: Client, namespace: str) -> None:
    label = f"{namespace}/billing"
    predicted = binding(check=True, **desired(namespace)).ok()
    assert live(client, namespace) == (None, None)
    created = both(binding, **desired(namespace))
    assert created["actions"] == [
        f"create AzureIdentity {label}",
        f"create AzureIdentityBinding {label} (0 pods get the identity)",
    ]
    assert created["diff"]["before"] == {"identity": {}, "binding": {}}
    assert created["result"]["identity"]["spec"] == {"type": 0, "resourceID": RESOURCE_ID, "clientID": CLIENT_ID}
    assert created["result"]["binding"]["spec"] == {"azureIdentity": "billing", "selector": namespace}
    assert predicted["result"]["identity"]["spec"] == created["result"]["identity"]["spec"]
    before = versions(client, namespace)
    assert not binding(**desired(namespace)).ok()["changed"] and versions(client, namespace) == before

    changed = both(binding, **desired(namespace, client_id=OTHER_ID))
    assert changed["changes"][0] == {"verb": "change", "kind": "AzureIdentity", "id": label, "why": "spec.clientID"}
    assert changed["actions"] == [f"change AzureIdentity {label} spec.clientID (MIC assigns it anew to 0 pods)"]
    specs = [changed["diff"][key]["identity"]["spec"]["clientID"] for key in ("before", "after")]
    assert specs == [CLIENT_ID, OTHER_ID]
    assert versions(client, namespace)[1] == before[1], "the binding was not to be touched"

    removed = both(binding, **gone(namespace))
    assert removed["actions"] == [f"delete AzureIdentityBinding {label}", f"delete AzureIdentity {label}"]
    assert removed["diff"]["after"] == {"identity": {}, "binding": {}}
    assert live(client, namespace) == (None, None)


def test_options_that_are_not_set_are_not_touched(binding: Runner, client: Client, namespace: str) -> None:
    binding(**desired(namespace, behavior="namespaced", labels={"team": "a"}, ad_endpoint="https://login/")).ok()
    before = versions(client, namespace)
    for same in ({}, {"resource_id": RESOURCE_ID.replace("resourcegroups", "resourceGroups")}):
        assert not binding(**desired(namespace, **same)).ok()["changed"]
    assert not binding(name="billing", namespace=namespace).ok()["changed"]
    assert versions(client, namespace) == before
    binding(name="billing", namespace=namespace, client_id=OTHER_ID).ok()
    found = identity(client, namespace)
    assert found["metadata"]["annotations"] == {BEHAVIOR: "namespaced"} and found["metadata"]["labels"]["team"] == "a"
    assert (found["spec"]["adEndpoint"], found["spec"]["clientID"]) == ("https://login/", OTHER_ID)
    both(binding, **desired(namespace, behavior="standard", client_id=None))
    assert not identity(client, namespace)["metadata"].get("annotations")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"selector": "other"}, "AzureIdentityBinding"),
        ({"resource_id": RESOURCE_ID + "2"}, "spec.resourceID"),
        ({"behavior": "namespaced"}, f"metadata.annotations.{BEHAVIOR}"),
        ({"labels": {"team": "a"}}, "metadata.labels.team"),
        ({"annotations": {"note": "x"}}, "metadata.annotations.note"),
        ({"ad_resource_id": "https://x/"}, "spec.adResourceID"),
    ],
)
def test_each_change_is_predicted_and_made_once(binding: Runner, namespace: str, change: Raw, words: str) -> None:
    binding(**desired(namespace)).ok()
    assert any(words in action for action in both(binding, **desired(namespace, **change))["actions"])


def test_foreign_objects_are_changed_only_by_adoption(binding: Runner, client: Client, namespace: str) -> None:
    foreign(client, namespace)
    before = live(client, namespace)
    assert not binding(**desired(namespace)).ok()["changed"]
    assert "adopt: true" in binding(**gone(namespace)).failure()
    for check in (True, False):
        refused = binding(check=check, **desired(namespace, client_id=OTHER_ID))
        for words in ("kubectl-create", "spec.clientID", "adopt: true"):
            assert words in refused.failure()
        assert refused.result["failed_action"].startswith(f"change AzureIdentity {namespace}/billing")
    assert live(client, namespace) == before
    assert len(both(binding, adopt=True, **desired(namespace, client_id=OTHER_ID))["actions"]) == 2
    found = identity(client, namespace)
    assert found["spec"]["clientID"] == OTHER_ID
    assert found["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "azureops.pod_identity"
    assert not binding(**desired(namespace, client_id=OTHER_ID)).ok()["changed"]
    # Another owner needs it as well.
    assert not binding(owner="team-b", **desired(namespace, client_id=OTHER_ID)).ok()["changed"]
    for options in (desired(namespace), gone(namespace)):
        assert "adopt: true" in binding(owner="team-b", **options).failure()
    assert binding(owner="team-b", adopt=True, **desired(namespace)).ok()["changed"]
    assert binding(owner="team-b", **gone(namespace)).ok()["changed"]


def test_foreign_behavior_is_taken_back_only_by_adoption(binding: Runner, client: Client, namespace: str) -> None:
    foreign(client, namespace)
    annotated = {"metadata": {"annotations": {BEHAVIOR: "namespaced"}}}
    patch(client, kinds.AZURE_IDENTITY, namespace, "billing", annotated, manager="kubectl-annotate")
    assert "kubectl-annotate" in binding(**desired(namespace, behavior="standard")).failure()
    both(binding, adopt=True, **desired(namespace, behavior="standard"))
    assert not identity(client, namespace)["metadata"].get("annotations")


def test_foreign_fields_survive(binding: Runner, client: Client, namespace: str) -> None:
    binding(**desired(namespace)).ok()
    theirs = {"metadata": {"labels": {"theirs": "1"}}, "spec": {"replicas": 3}}
    patch(client, kinds.AZURE_IDENTITY, namespace, "billing", theirs, manager="somebody")
    assert not binding(**desired(namespace)).ok()["changed"]
    binding(**desired(namespace, client_id=OTHER_ID)).ok()
    found = identity(client, namespace)
    assert found["metadata"]["labels"]["theirs"] == "1" and found["spec"]["replicas"] == 3


def test_service_principal_with_secret(binding: Runner, client: Client, namespace: str) -> None:
    name, options = "billing-credential", principal(namespace)
    outcomes = [binding(check=check, client_password="pa55-first-x", **options) for check in (True, False)]
    secret = client.get(kinds.SECRET, namespace, name)
    assert not binding(client_password="pa55-first-x", **options).ok()["changed"]
    assert not binding(**options).ok()["changed"]
    outcomes += [binding(check=check, client_password="pa55-second-x", **options) for check in (True, False)]
    after = client.get(kinds.SECRET, namespace, name)
    for predicted, made in (outcomes[:2], outcomes[2:]):
        assert predicted.ok()["actions"] == made.ok()["actions"] and predicted.ok()["changes"] == made.ok()["changes"]
    created, rotated = outcomes[1].ok(), outcomes[3].ok()
    assert created["actions"][0] == f"create Secret {namespace}/{name}"
    assert created["result"]["secret"] == {"namespace": namespace, "name": name}
    assert rotated["actions"] == [f"change Secret {namespace}/{name} data.clientSecret"]
    assert rotated["diff"]["before"] != rotated["diff"]["after"]
    assert secret and after and len(secret["data"]) == len(after["data"]) == 1 and after["data"] != secret["data"]
    for value in ("pa55-", *secret["data"].values(), *after["data"].values()):
        assert [outcome.output for outcome in outcomes if value in outcome.output] == []
    assert len(binding(**gone(namespace)).ok()["actions"]) == 3
    assert client.get(kinds.SECRET, namespace, name) is None


def test_secret_with_two_keys_is_refused(binding: Runner, client: Client, namespace: str) -> None:
    create(client, kinds.SECRET, namespace, "given", data={"a": "eA==", "b": "eQ=="})
    for name, words, more in (
        ("given", "exactly one", {}),
        ("none", "does not exist", {}),
        ("given", "exactly one", {"client_password": "other-pass"}),
    ):
        assert words in binding(client_password_secret={"name": name}, **principal(namespace, **more)).failure()


def test_values_that_are_not_known_yet(binding: Runner, client: Client, namespace: str) -> None:
    unknown = desired(namespace, client_id="(known after apply)", resource_id="(known after apply)")
    predicted = binding(check=True, **unknown).ok()
    assert predicted["changed"] and len(predicted["actions"]) == 2
    assert predicted["result"]["identity"]["spec"]["clientID"] == "(known after apply)"
    assert "check mode" in binding(**unknown).failure()
    binding(**desired(namespace)).ok()
    assert binding(check=True, **unknown).ok()["changed"]
    assert identity(client, namespace)["spec"]["clientID"] == CLIENT_ID


def test_absent_while_in_use_is_refused(binding: Runner, client: Client, namespace: str) -> None:
    binding(**desired(namespace)).ok()
    make_pod(client, namespace, "user")
    for check in (True, False):
        refused = binding(check=check, **gone(namespace)).failure()
        assert f"{namespace}/user" in refused and "allow_in_use" in refused
    binding(**desired(namespace, binding_name="second", selector="second")).ok()
    server.end_pod(client, namespace, "user")
    server.until("the pod is gone", lambda: client.get(kinds.POD, namespace, "user") is None)
    assert "second" in binding(**gone(namespace)).failure()
    assert binding(**gone(namespace, allow_in_use=True)).ok()["changed"]


def test_waiting_names_the_pods_that_are_missing(binding: Runner, client: Client, namespace: str) -> None:
    make_pod(client, namespace, "waiting")
    waiting = desired(namespace, wait=True, wait_timeout=1, wait_sleep=1)
    first = binding(**waiting)
    assert f"{namespace}/waiting" in first.failure() and "MIC" in first.failure()
    assert first.result["failed_action"].startswith("create AzureIdentityBinding")
    assert first.result["missing_pods"] == [f"{namespace}/waiting"]
    assert f"{namespace}/waiting" in binding(**waiting).failure()
    made, bound = live(client, namespace)
    assert made and bound
    spec, kind = assignment("waiting", namespace, made, bound), kinds.AZURE_ASSIGNED_IDENTITY
    create(client, kind, namespace, f"waiting-{namespace}-billing", spec=spec, status={"status": "Assigned"})
    done = binding(**waiting).ok()
    assert not done["changed"] and done["result"]["matching_pods"] == 1
    assert [(entry["pod"], entry["status"]) for entry in done["result"]["assigned"]] == [("waiting", "Assigned")]


def test_restricted_user(binding: Runner, client: Client, namespace: str) -> None:
    refused = binding(token=RESTRICTED, **desired(namespace))
    assert "may not list azureidentities.aadpodidentity.k8s.io" in refused.failure()
    assert refused.result["error"]["status"] == 403
    rules = [
        {"apiGroups": ["aadpodidentity.k8s.io"], "resources": [resource], "verbs": [verb]}
        for resource, verb in (("azureidentities", "*"), ("azureidentitybindings", "list"))
    ]
    with server.rights_of_restricted(client, f"test-{namespace}", *rules):
        for check in (True, False):
            refused = binding(check=check, token=RESTRICTED, **desired(namespace))
            assert "may not" in refused.failure() and "azureidentitybindings" in refused.failure()
            assert refused.result["failed_action"].startswith("create AzureIdentityBinding")
            assert refused.result["actions"] == [f"create AzureIdentity {namespace}/billing"]
            assert refused.result["changed"] is not check
        assert "may not list pods" in refused.output


def test_connections_that_lead_nowhere(binding: Runner, namespace: str, tmp_path: Any) -> None:
    refused = binding(token="no-such-token", **desired(namespace))
    assert "does not accept the credentials" in refused.failure() and "no-such-token" not in refused.output
    refused = binding(**desired(namespace), kubeconfig=None, host="https://127.0.0.1:9", api_key="none")
    assert "cannot be reached" in refused.failure() and "refused" in refused.failure()
    untrusted = binding(**desired(namespace), ca_cert="/etc/ssl/certs/ca-certificates.crt").failure()
    assert "not trusted" in untrusted
    for check in (True, False):
        mistyped = binding(check=check, **desired("billing"), kubeconfig=str(tmp_path / "none")).failure()
        assert "none does not exist" in mistyped


def test_no_namespace_and_no_cluster_yet(binding: Runner) -> None:
    predicted = binding(check=True, **desired("not-there-yet")).ok()
    assert predicted["changed"] and len(predicted["actions"]) == 2
    assert "the namespace not-there-yet does not exist" in binding(**desired("not-there-yet")).failure()
    later = {"kubeconfig": "(known after apply)"}
    predicted = binding(check=True, **desired("billing"), **later).ok()
    assert predicted["changed"] and "the prediction was made without them" in str(predicted["warnings"])
    assert "check mode" in binding(**desired("billing"), **later).failure()
    assert not binding(check=True, **gone("b"), **later).ok()["changed"]


def test_without_definitions(binding: Runner, client: Client, namespace: str, definitions: list[Raw]) -> None:
    """Last in the file: the definitions go and come back."""
    server.remove(client, definitions)
    try:
        predicted = binding(check=True, **desired(namespace)).ok()
        assert predicted["changed"] and len(predicted["actions"]) == 2
        assert "install AAD Pod Identity first" in binding(**desired(namespace)).failure()
        for check in (True, False):
            assert not binding(check=check, **gone(namespace)).ok()["changed"]
    finally:
        server.install(client, definitions)
