# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""azure_pod_identity_exception against a real API server with the chart's definitions."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._kube import kinds
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.client import Client
from ansible_collections.azureops.pod_identity.tests.kube import obstacles
from ansible_collections.azureops.pod_identity.tests.kube.objects import create, make, manifest, patch
from ansible_collections.azureops.pod_identity.tests.support import api_server as server
from ansible_collections.azureops.pod_identity.tests.support.api_server import RESTRICTED, ApiServer, Runner


@pytest.fixture
def exception(api_server: ApiServer, crds: None) -> Runner:
    return Runner(api_server, "azure_pod_identity_exception")


def labels(client: Client, namespace: str, name: str = "one") -> dict[str, str] | None:
    live = client.get(kinds.AZURE_POD_IDENTITY_EXCEPTION, namespace, name)
    return live and live["spec"]["podLabels"]


def pod(client: Client, namespace: str, name: str, **labels: str) -> None:
    spec = {"containers": [{"name": "app", "image": "app"}]}
    create(client, kinds.POD, namespace, name, metadata={"labels": labels}, spec=spec)


def foreign(client: Client, namespace: str, **given: str) -> None:
    kind, query = kinds.AZURE_POD_IDENTITY_EXCEPTION, [("fieldManager", "kubectl-create")]
    body = manifest(kind, "one", namespace, spec={"podLabels": given})
    status, answer = client._request("POST", kind.path(namespace), query, body)
    assert status == 201, answer


def test_life_of_an_exception(exception: Runner, client: Client, namespace: str) -> None:
    pod(client, namespace, "agent", app="Agent")
    pod(client, namespace, "other", app="other")
    desired: dict[str, Any] = {"name": "one", "namespace": namespace}
    what = f"AzurePodIdentityException {namespace}/one"
    wide, narrow = {"app": "agent", "team": "a"}, {"app": "agent"}
    steps: list[tuple[dict[str, Any], str, dict[str, str] | None]] = [
        ({"pod_labels": wide}, f"create {what} (1 pod past NMI)", wide),
        ({"pod_labels": narrow}, f"change {what} spec.podLabels (1 pod past NMI)", narrow),
        ({"annotations": {"why": "x"}}, f"change {what} metadata.annotations.why (1 pod past NMI)", narrow),
        ({"state": "absent", "allow_in_use": True}, f"delete {what}", None),
    ]
    for change, action, reached in steps:
        before = labels(client, namespace)
        predicted = exception(check=True, **desired, **change).ok()
        assert labels(client, namespace) == before
        made = exception(**desired, **change).ok()
        assert predicted["actions"] == made["actions"] == [action]
        assert predicted["changes"] == made["changes"]
        assert predicted["diff"] == made["diff"] and made["diff"]["before"] != made["diff"]["after"]
        assert labels(client, namespace) == reached
        assert made["result"]["pods"] == ([f"{namespace}/agent"] if reached else [])
        for check in (True, False):
            assert not exception(check=check, **desired, **change).ok()["changed"]


def test_a_list_with_purge(exception: Runner, client: Client, namespace: str) -> None:
    wanted = many(20)
    made = [exception(check=check, namespace=namespace, exceptions=wanted).ok() for check in (True, False, False)]
    assert [len(each["actions"]) for each in made] == [20, 20, 0]
    assert [each["name"] for each in made[1]["result"]["exceptions"]] == [each["name"] for each in wanted]
    foreign(client, namespace, app="theirs")
    make(client, kinds.DEPLOYMENT, namespace, "a7", "nothing")
    kept: dict[str, Any] = {"namespace": namespace, "exceptions": wanted[:5], "purge_exceptions": True}
    refused = exception(**kept)
    assert f"Deployment {namespace}/a7" in refused.failure() and labels(client, namespace, "e19")
    purged = exception(**{**kept, "exceptions": [*wanted[:5], wanted[7]]}).ok()
    assert len(purged["actions"]) == 14
    left = {raw["metadata"]["name"] for raw in client.list_all(kinds.AZURE_POD_IDENTITY_EXCEPTION, namespace)}
    assert left == {"e0", "e1", "e2", "e3", "e4", "e7", "one"}


def test_what_others_made_is_changed_only_by_adoption(exception: Runner, client: Client, namespace: str) -> None:
    foreign(client, namespace, app="a", team="b")
    desired: dict[str, Any] = {"name": "one", "namespace": namespace}
    assert not exception(**desired, pod_labels={"app": "a", "team": "b"}).ok()["changed"]
    assert "adopt: true" in exception(**desired, state="absent").failure()
    narrow: dict[str, Any] = {**desired, "pod_labels": {"app": "a"}}
    for check in (True, False):
        refused = exception(check=check, **narrow).failure()
        assert "spec.podLabels.team belongs to kubectl-create" in refused
    assert labels(client, namespace) == {"app": "a", "team": "b"}
    assert exception(check=True, adopt=True, **narrow).ok()["changed"]
    assert exception(adopt=True, **narrow).ok()["changed"]
    assert labels(client, namespace) == {"app": "a"}
    assert not exception(**narrow).ok()["changed"]


def test_refusals(exception: Runner, client: Client, namespace: str) -> None:
    good: dict[str, Any] = {"name": "one", "pod_labels": {"app": "a"}}
    for bad, words in (
        ({"name": "two"}, "needs pod_labels"),
        ({"name": "two", "pod_labels": {}}, "would cover no pod"),
        ({"name": "two", "pod_labels": {"a": None}}, "put it in quotes"),
        ({"name": "{{ x }}", "pod_labels": {"a": "b"}}, "no name that Kubernetes accepts"),
    ):
        for check in (True, False):
            assert words in exception(check=check, namespace=namespace, exceptions=[good, bad]).failure()
    refused = exception(token=RESTRICTED, namespace=namespace, **good)
    assert "may not list azurepodidentityexceptions" in refused.failure()
    assert labels(client, namespace) is None


def many(number: int) -> list[dict[str, Any]]:
    return [{"name": f"e{each}", "pod_labels": {"app": f"a{each}"}} for each in range(number)]


def versions(client: Client, namespace: str) -> dict[str, str]:
    found = client.list_all(kinds.AZURE_POD_IDENTITY_EXCEPTION, namespace)
    return {raw["metadata"]["name"]: raw["metadata"]["resourceVersion"] for raw in found}


def test_a_webhook_that_refuses(exception: Runner, api_server: ApiServer, client: Client, namespace: str) -> None:
    wanted: dict[str, Any] = {"namespace": namespace, "exceptions": many(3)}

    def stands() -> bool:
        return bool(exception(check=True, **wanted).result.get("failed"))

    with (
        obstacles.refusal(api_server) as place,
        obstacles.webhook(client, namespace, "azurepodidentityexceptions", place),
    ):
        server.until("the webhook stands against it", stands)
        for check in (True, False):
            refused = exception(check=check, **wanted)
            assert "an admission webhook stands against it" in refused.failure()
            assert "not on a Friday" in refused.failure() and not refused.result["changed"]
    server.until("the webhook is gone", lambda: not stands())
    assert len(exception(**wanted).ok()["actions"]) == 3


def test_exceptions_that_may_only_be_listed(exception: Runner, client: Client, namespace: str) -> None:
    obstacles.grant(client, namespace, azurepodidentityexceptions=["list"])
    for check in (True, False):
        refused = exception(check=check, namespace=namespace, exceptions=many(3), token=RESTRICTED)
        assert "may not apply azurepodidentityexceptions" in refused.failure()
        assert not refused.result["changed"] and not versions(client, namespace)
    assert "may not list pods" in str(refused.result.get("warnings", refused.output))


def test_what_somebody_else_changes_in_between(exception: Runner, client: Client, namespace: str) -> None:
    """Another manager holds a field of one object."""
    wanted: dict[str, Any] = {"namespace": namespace, "exceptions": many(3)}
    exception(**wanted).ok()
    theirs = {"spec": {"podLabels": {"app": "theirs"}}}
    patch(client, kinds.AZURE_POD_IDENTITY_EXCEPTION, namespace, "e1", theirs, manager="kubectl-edit")
    for check in (True, False):
        refused = exception(check=check, **wanted)
        assert "belongs to kubectl-edit" in refused.failure() and "e1" in refused.failure()
    assert labels(client, namespace, "e1") == {"app": "theirs"}
    assert exception(adopt=True, **wanted).ok()["changed"] and labels(client, namespace, "e1") == {"app": "a1"}
    assert not exception(**wanted).ok()["changed"]


@pytest.mark.parametrize("killed", [False, True], ids=["server", "module"])
def test_what_goes_in_the_middle_is_made_up_for(
    exception: Runner, api_server: ApiServer, client: Client, namespace: str, killed: bool
) -> None:
    """The API server, or the module itself; the next run writes only what was left."""
    foreign(client, namespace, app="theirs")
    theirs = versions(client, namespace)
    wanted: dict[str, Any] = {"namespace": namespace, "exceptions": many(150), "purge_exceptions": True}
    with exception.start(**wanted) as process:
        server.until("some were written", lambda: len(versions(client, namespace)) > 10)
        if killed:
            process.kill()
        else:
            api_server.restart()
        printed, errors = process.communicate(timeout=120)
    if not killed:
        told = json.loads(printed)
        assert "cannot be reached" in told["msg"] and told["changed"], errors
        assert told["failed_action"].startswith("create AzurePodIdentityException")
    before = versions(client, namespace)
    assert 10 < len(before) < 151, "it had ended before"
    left = exception(**wanted).ok()
    after = versions(client, namespace)
    assert len(after) == 151 and after.items() >= before.items() >= theirs.items()
    assert len(left["actions"]) == len(after) - len(before)
    assert not exception(**wanted).ok()["changed"]


def test_without_definitions(
    exception: Runner, client: Client, namespace: str, definitions: list[dict[str, Any]]
) -> None:
    """Last in the file: the definitions go and come back."""
    desired: dict[str, Any] = {"name": "one", "namespace": namespace}
    server.remove(client, definitions)
    try:
        assert exception(check=True, **desired, pod_labels={"app": "a"}).ok()["changed"]
        assert "install AAD Pod Identity first" in exception(**desired, pod_labels={"app": "a"}).failure()
        for check in (True, False):
            assert not exception(check=check, state="absent", **desired).ok()["changed"]
    finally:
        server.install(client, definitions)
