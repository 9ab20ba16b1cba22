# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whole lists of azure_identity_binding against a real API server with the chart's definitions."""

from __future__ import annotations

import contextlib
import json
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._kube import kinds
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.client import AT_ONCE, Client
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.kinds import Kind
from ansible_collections.azureops.pod_identity.tests.kube import obstacles
from ansible_collections.azureops.pod_identity.tests.kube.bound_pods import CLIENT_ID, OTHER_ID, foreign, make_pod
from ansible_collections.azureops.pod_identity.tests.kube.objects import (
    another_namespace,
    assignment,
    create,
    make,
    manifest,
    patch,
)
from ansible_collections.azureops.pod_identity.tests.support import api_server as server
from ansible_collections.azureops.pod_identity.tests.support.api_server import RESTRICTED, ApiServer, Runner

KINDS = (kinds.AZURE_IDENTITY, kinds.AZURE_IDENTITY_BINDING)


def resource_id(name: str) -> str:
    return (
        "/subscriptions/7f1f4a5e-6a0f-4d0c-9a0e-2f8f8d1c2b3a/resourcegroups/rg/providers/"
        f"Microsoft.ManagedIdentity/userAssignedIdentities/{name}"
    )


def entry(name: str, selector: str | None = None, **changes: Any) -> dict[str, Any]:
    """``selector`` must be new for each test: pods of other tests may linger, no kubelet ends them."""
    identity = {"resource_id": resource_id(name), "client_id": CLIENT_ID}
    return {"name": name, "selector": selector or name, **identity, **changes}


def entries(namespace: str, number: int, **changes: Any) -> list[dict[str, Any]]:
    return [entry(f"i{index}", f"{namespace}-{index}", **changes) for index in range(number)]


def versions(client: Client, *namespaces: str) -> dict[str, str]:
    return {
        f"{kind.name} {raw['metadata']['name']}": raw["metadata"]["resourceVersion"]
        for namespace in namespaces
        for kind in (*KINDS, kinds.AZURE_ASSIGNED_IDENTITY, kinds.SECRET)
        for raw in client.list_all(kind, namespace)
    }


def verbs(result: dict[str, Any]) -> list[str]:
    return [" ".join(action.split()[:3]) for action in result["actions"]]


@pytest.fixture
def second(client: Client, namespace: str) -> Iterator[str]:
    with another_namespace(client, f"{namespace}-b") as name:
        yield name


def test_life_of_a_list(binding: Runner, client: Client, namespace: str, second: str) -> None:
    wanted = [
        entry("one", f"{namespace}-1"),
        {"name": "one", "binding_name": "more", "selector": f"{namespace}-2"},
        entry("two", f"{namespace}-1", behavior="namespaced", labels={"team": "a"}, annotations={"note": "x"}),
        entry("far", f"{namespace}-3", namespace=second),
        {**entry("alone", only="identity"), "selector": None},
    ]
    steps: list[tuple[list[dict[str, Any]], list[str]]] = [
        (
            wanted,
            [f"create AzureIdentity {path}" for path in (f"{namespace}/one", f"{namespace}/two", f"{second}/far")]
            + [f"create AzureIdentity {namespace}/alone"]
            + [f"create AzureIdentityBinding {namespace}/{name}" for name in ("one", "more", "two")]
            + [f"create AzureIdentityBinding {second}/far"],
        ),
        (
            [{**wanted[0], "client_id": OTHER_ID}, {**wanted[1], "selector": f"{namespace}-9"}, *wanted[2:]],
            [f"change AzureIdentity {namespace}/one", f"change AzureIdentityBinding {namespace}/more"],
        ),
        (
            [{**each, "state": "absent"} for each in wanted],
            [f"delete AzureIdentityBinding {namespace}/{name}" for name in ("one", "more", "two")]
            + [f"delete AzureIdentityBinding {second}/far"]
            + [f"delete AzureIdentity {path}" for path in (f"{namespace}/one", f"{namespace}/two", f"{second}/far")]
            + [f"delete AzureIdentity {namespace}/alone"],
        ),
    ]
    for desired, expected in steps:
        before = versions(client, namespace, second)
        predicted = binding(check=True, namespace=namespace, bindings=desired).ok()
        assert versions(client, namespace, second) == before
        made = binding(namespace=namespace, bindings=desired).ok()
        assert verbs(predicted) == verbs(made) == expected
        assert predicted["diff"] == made["diff"] and predicted["planned"] == made["planned"]
        assert len(made["diff"]["before"]) == len(expected)
        assert [one["name"] for one in made["result"]["bindings"]] == [one["name"] for one in desired]
        reached = versions(client, namespace, second)
        for check in (True, False):
            again = binding(check=check, namespace=namespace, bindings=desired).ok()
            assert (again["changed"], again["actions"], again["diff"]) == (False, [], {"before": {}, "after": {}})
        assert versions(client, namespace, second) == reached
    assert not versions(client, namespace)


def test_an_unchanged_list_is_one_list_of_each_kind(
    binding: Runner, api_server: ApiServer, client: Client, namespace: str
) -> None:
    wanted = entries(namespace, 60)
    binding(namespace=namespace, bindings=wanted).ok()
    before = len(api_server.requests())
    assert not binding(namespace=namespace, bindings=wanted, purge_bindings=True).ok()["changed"]
    asked = Counter(api_server.requests()[before:])
    listed = ("azureidentities", "azureidentitybindings", "azureassignedidentities", "pods")
    assert asked == {f"list {kind}": 1 for kind in listed}


def test_service_principals_in_a_list(binding: Runner, client: Client, namespace: str) -> None:
    certificate = {"client_certificate": "YWJjZGVm", "client_password": "pa55-cert-x"}
    place = {"namespace": namespace, "bindings": None}
    common = {"tenant_id": OTHER_ID, "client_id": CLIENT_ID}
    create(client, kinds.SECRET, namespace, "given", data={"key": "eA=="})
    wanted = [
        {"name": "one", "selector": f"{namespace}-1", "type": 1, "client_password": "pa55-one-x", **common},
        {"name": "two", "selector": f"{namespace}-2", "type": 2, **certificate, **common},
        {"name": "ref", "selector": f"{namespace}-3", "type": 1, "client_password_secret": {"name": "given"}, **common},
    ]
    outcomes = [binding(check=check, **{**place, "bindings": wanted}) for check in (True, False, False)]
    assert [len(outcome.ok()["actions"]) for outcome in outcomes] == [8, 8, 0]
    wanted[0]["client_password"] = "pa55-two-x"
    outcomes += [binding(check=check, **{**place, "bindings": wanted}) for check in (True, False, False)]
    rotated = [f"change Secret {namespace}/one-credential"]
    assert [verbs(outcome.ok()) for outcome in outcomes[3:]] == [rotated, rotated, []]
    values = {value for raw in client.list_all(kinds.SECRET, namespace) for value in raw["data"].values()} - {"eA=="}
    assert len(values) == 3
    for outcome in outcomes:
        assert not [value for value in (*values, "pa55") if value in outcome.output]
    gone = binding(**{**place, "state": "absent", "bindings": [{"name": each["name"]} for each in wanted]}).ok()
    assert len(gone["actions"]) == 8
    assert [raw["metadata"]["name"] for raw in client.list_all(kinds.SECRET, namespace)] == ["given"], (
        "that is not ours"
    )


def test_purge_takes_only_what_is_ours_and_unused(binding: Runner, client: Client, namespace: str, second: str) -> None:
    foreign(client, namespace)
    mine, theirs = entries(namespace, 3), [entry("theirs", f"{namespace}-t")]
    binding(namespace=namespace, bindings=mine).ok()
    binding(namespace=namespace, bindings=theirs, owner="others").ok()
    binding(namespace=second, bindings=[entry("far", f"{namespace}-f")]).ok()
    make(client, kinds.DEPLOYMENT, namespace, "scaled", f"{namespace}-1")
    make(client, kinds.CRON_JOB, second, "nightly", f"{namespace}-2")
    before = versions(client, namespace, second)
    kept = {"namespace": namespace, "bindings": mine[:1], "purge_bindings": True}
    for check in (True, False):
        refused = binding(check=check, **kept)
        assert "in use by" in refused.failure() and "allow_in_use" in refused.failure()
        assert {user for one in refused.result["in_use"] for user in one["users"]} == {
            f"Deployment {namespace}/scaled",
            f"CronJob {second}/nightly",
        }
        assert "purge_allow_empty" in binding(check=check, **{**kept, "bindings": []}).failure()
    assert versions(client, namespace, second) == before
    done = [binding(check=check, allow_in_use=True, **kept).ok() for check in (True, False, False)]
    gone = [
        f"delete {kind} {namespace}/i{number}"
        for kind in ("AzureIdentityBinding", "AzureIdentity")
        for number in (1, 2)
    ]
    assert [verbs(each) for each in done] == [gone, gone, []]
    left = versions(client, namespace, second)
    assert left == {name: version for name, version in before.items() if name.split()[1] not in ("i1", "i2")}
    empty = binding(**{**kept, "bindings": []}, purge_allow_empty=True).ok()
    assert verbs(empty) == [f"delete {kind} {namespace}/i0" for kind in ("AzureIdentityBinding", "AzureIdentity")]


def test_absent_is_refused_while_a_template_selects(binding: Runner, client: Client, namespace: str) -> None:
    binding(namespace=namespace, **entry("one", namespace)).ok()
    make(client, kinds.CRON_JOB, namespace, "nightly", namespace)
    refused = binding(namespace=namespace, name="one", state="absent").failure()
    assert f"CronJob {namespace}/nightly" in refused
    assert binding(namespace=namespace, name="one", state="absent", allow_in_use=True).ok()["changed"]


REFUSED: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "resource id": ({"resource_id": "/subscriptions/x"}, {}, "is no user-assigned identity"),
    "client id": ({"client_id": CLIENT_ID.upper()}, {"accept": ["client_id_case"]}, "lower case"),
    "no client id": ({"client_id": None}, {}, "needs client_id"),
    "empty selector": ({"selector": ""}, {}, "needs selector"),
    "selector": ({"selector": "a b"}, {}, "matches no pod"),
    "unicode": ({"selector": "\u00e9"}, {}, "matches no pod"),
    "protected": (
        {"resource_id": resource_id("kubelet").upper().replace("SUBSCRIPTIONS", "subscriptions")},
        {},
        "protected",
    ),
    "no identity": (
        {"only": "binding", "resource_id": None, "client_id": None},
        {"accept": ["missing_identity"]},
        "MIC looks",
    ),
    "template": ({"name": "{{ lookup('pipe', 'touch x') }}"}, {}, "no name that Kubernetes accepts"),
    "label": ({"labels": {"a": "{{ 1 }}"}}, {}, "cannot have the label"),
    "null": ({"labels": {"a": None}}, {}, "put it in quotes"),
}


@pytest.mark.parametrize(("change", "cure", "words"), REFUSED.values(), ids=REFUSED)
def test_what_is_refused_in_a_list_is_refused_before_the_first_write(
    binding: Runner, client: Client, namespace: str, change: dict[str, Any], cure: dict[str, Any], words: str
) -> None:
    bad = {"name": "bad", "binding_name": "bad", **entry("bad", f"{namespace}-bad"), **change}
    wanted = {"namespace": namespace, "bindings": [*entries(namespace, 5), bad]}
    wanted["protected_identities"] = [resource_id("kubelet")]
    for check in (True, False):
        assert words in binding(check=check, **wanted).failure()
    assert versions(client, namespace) == {}
    if cure:
        accepted = binding(**wanted, **cure).ok()
        assert accepted["changed"] and not binding(**wanted, **cure).ok()["changed"]


def test_equal_names_in_two_namespaces(binding: Runner, client: Client, namespace: str, second: str) -> None:
    foreign(client, second)
    mine = {"namespace": namespace, "bindings": [entry("billing", second)]}
    assert "have one name" in binding(**mine).failure()
    assert "have one name" in binding(namespace=namespace, **entry("billing", second)).failure()
    assert versions(client, namespace) == {}
    accepted = binding(accept=["equal_names"], **mine).ok()
    assert f"that of AzureIdentityBinding {namespace}/billing" in str(accepted["warnings"])
    assert not binding(**mine).ok()["changed"]


class Mic(threading.Thread):
    """Assigns as the real one does, late: an assignment holds the identity and the binding that it was made of."""

    def __init__(self, client: Client, namespace: str) -> None:
        super().__init__(daemon=True)
        self.client, self.namespace = client, namespace
        self.ends = threading.Event()
        self.most = 0

    def run(self) -> None:
        while not self.ends.wait(0.1):
            self.turn()

    def turn(self) -> None:
        identities, bindings, there = (
            {raw["metadata"]["name"]: raw for raw in self.client.list_all(kind, self.namespace)}
            for kind in (*KINDS, kinds.AZURE_ASSIGNED_IDENTITY)
        )
        wanted = [
            assigned(pod["metadata"]["name"], self.namespace, identities[bound["spec"]["azureIdentity"]], bound)
            for pod in self.client.list_all(kinds.POD, self.namespace)
            for bound in bindings.values()
            if bound["spec"]["azureIdentity"] in identities
            and bound["spec"]["selector"] == pod["metadata"]["labels"]["aadpodidbinding"]
        ]
        stale = [body for body in wanted if there.get(body["metadata"]["name"], {}).get("spec") != body["spec"]]
        self.most = max(self.most, len(stale))
        for body in stale:
            self.client.apply(kinds.AZURE_ASSIGNED_IDENTITY, body, force=True)


def assigned(pod: str, namespace: str, identity: dict[str, Any], bound: dict[str, Any]) -> dict[str, Any]:
    def reference(kind: Kind, raw: dict[str, Any]) -> dict[str, Any]:
        metadata = {key: raw["metadata"][key] for key in ("name", "namespace", "resourceVersion")}
        return {"apiVersion": kind.api_version, "kind": kind.name, "metadata": metadata, "spec": raw["spec"]}

    references = reference(kinds.AZURE_IDENTITY, identity), reference(kinds.AZURE_IDENTITY_BINDING, bound)
    name, spec = f"{pod}-{namespace}-{identity['metadata']['name']}", assignment(pod, namespace, *references)
    return manifest(kinds.AZURE_ASSIGNED_IDENTITY, name, namespace, spec=spec, status={"status": "Assigned"})


@contextlib.contextmanager
def mic(client: Client, namespace: str) -> Iterator[Mic]:
    running = Mic(client, namespace)
    running.start()
    yield running
    running.ends.set()
    running.join()


def test_live_identities_are_changed_in_batches(
    binding: Runner, api_server: ApiServer, client: Client, namespace: str
) -> None:
    wanted = entries(namespace, 6)
    for each in wanted:
        make_pod(client, namespace, each["name"], each["selector"])
    waiting: dict[str, Any] = {"namespace": namespace, "wait_timeout": 60, "wait_sleep": 1, "batch": 2}
    with mic(api_server.client(), namespace):
        first = binding(bindings=wanted, wait=True, **waiting).ok()
    assert [one["matching_pods"] for one in first["result"]["bindings"]] == [1] * 6
    assert [len(one["assigned"]) for one in first["result"]["bindings"]] == [1] * 6
    before = versions(client, namespace)
    assert not binding(bindings=wanted, wait=True, **waiting).ok()["changed"]
    assert versions(client, namespace) == before, "nothing was assigned anew"
    changed = [{**each, "client_id": OTHER_ID} for each in wanted]
    predicted = binding(check=True, bindings=changed, **waiting).ok()
    assert predicted["reassigned_pods"] == 6
    with mic(api_server.client(), namespace) as running:
        made = binding(bindings=changed, wait=True, **waiting).ok()
    assert made["changes"] == predicted["changes"]
    assert made["actions"] == predicted["actions"] and len(made["actions"]) == 6
    assert 1 <= running.most <= 2
    assert len(versions(client, namespace)) == len(before)


def test_a_batch_that_mic_does_not_assign_is_the_last(binding: Runner, client: Client, namespace: str) -> None:
    wanted = entries(namespace, 3)
    binding(namespace=namespace, bindings=wanted).ok()
    for each in wanted:
        make_pod(client, namespace, each["name"], each["selector"])
    Mic(client, namespace).turn()
    changed = [{**each, "client_id": OTHER_ID} for each in wanted]
    stuck = binding(namespace=namespace, bindings=changed, batch=1, wait_timeout=1, wait_sleep=1)
    assert f"AzureIdentity {namespace}/i0 is not assigned to {namespace}/i0" in stuck.failure()
    assert (stuck.result["actions"], stuck.result["missing_pods"]) == ([], [f"{namespace}/i0"])
    assert stuck.result["changed"] and len(stuck.result["planned"]) == 3
    left = binding(check=True, namespace=namespace, bindings=changed).ok()
    assert verbs(left) == [f"change AzureIdentity {namespace}/i{number}" for number in (1, 2)]


def test_the_wait_tells_what_is_missing_and_what_mic_says(binding: Runner, client: Client, namespace: str) -> None:
    wanted = entries(namespace, 3)
    for each in wanted:
        make_pod(client, namespace, each["name"], each["selector"])
    about = {"kind": "AzureIdentityBinding", "namespace": namespace, "name": "i0"}
    said = {"reason": "binding apply error", "message": "the scale set is locked", "type": "Warning"}
    event = {"involvedObject": about, **said, "lastTimestamp": "2026-01-01T00:00:00Z"}
    create(client, kinds.EVENT, namespace, "complaint", **event)
    waited = binding(namespace=namespace, bindings=wanted, wait=True, wait_timeout=1, wait_sleep=1)
    assert "(and 2 more identities) after 1 seconds: MIC says the scale set is locked." in waited.failure()
    assert waited.result["missing_pods"] == [f"{namespace}/i{number}" for number in range(3)]


def test_adoption_of_a_list(binding: Runner, client: Client, namespace: str) -> None:
    foreign(client, namespace)
    make_pod(client, namespace, "one")
    same = {**entry("billing", namespace), "resource_id": resource_id("billing")}
    before = versions(client, namespace)
    assert not binding(namespace=namespace, bindings=[same], purge_bindings=True).ok()["changed"]
    assert versions(client, namespace) == before
    adopted = binding(namespace=namespace, bindings=[same], adopt=True).ok()
    assert [action.split()[0] for action in adopted["actions"]] == ["adopt", "adopt"]
    assert adopted["reassigned_pods"] == 1


@pytest.mark.parametrize("words", ["failed calling webhook", "not on a Friday"], ids=["unreachable", "refusing"])
def test_a_webhook_that_stands_against_it(
    binding: Runner, api_server: ApiServer, client: Client, namespace: str, words: str
) -> None:
    wanted = {"namespace": namespace, "bindings": entries(namespace, 30)}

    def stands() -> bool:
        return bool(binding(check=True, **wanted).result.get("failed"))

    with contextlib.ExitStack() as stack:
        refusing = stack.enter_context(obstacles.refusal(api_server))
        place = refusing if words == "not on a Friday" else obstacles.UNREACHABLE
        stack.enter_context(obstacles.webhook(client, namespace, "azureidentitybindings", place))
        server.until("the webhook stands against it", stands)
        for check in (True, False):
            refused = binding(check=check, **wanted)
            assert "an admission webhook stands against it" in refused.failure() and words in refused.failure()
            assert "create AzureIdentityBinding" in refused.result["failed_action"]
            assert len(refused.result["actions"]) == 30 and refused.result["changed"] is not check
    server.until("the webhook is gone", lambda: not stands())
    assert verbs(binding(**wanted).ok()) == [f"create AzureIdentityBinding {namespace}/i{each}" for each in range(30)]


def test_a_kind_that_may_not_be_written(binding: Runner, client: Client, namespace: str) -> None:
    obstacles.grant(client, namespace, azureidentities=["list", "patch", "create"], azureidentitybindings=["list"])
    wanted = {"namespace": namespace, "bindings": entries(namespace, 30), "token": RESTRICTED}
    for check in (True, False):
        refused = binding(check=check, **wanted)
        assert "may not apply azureidentitybindings" in refused.failure()
        assert len(refused.result["actions"]) == 30, "the lists of the namespace were enough to begin"
    assert len(client.list_all(kinds.AZURE_IDENTITY, namespace)) == 30


def test_what_somebody_else_changes_in_between(binding: Runner, client: Client, namespace: str) -> None:
    """Another manager holds a field of one object."""
    wanted = entries(namespace, 5)
    binding(namespace=namespace, bindings=wanted).ok()
    patch(client, kinds.AZURE_IDENTITY, namespace, "i3", {"spec": {"clientID": OTHER_ID}}, manager="kubectl-edit")
    for check in (True, False):
        refused = binding(check=check, namespace=namespace, bindings=wanted)
        assert "belongs to kubectl-edit" in refused.failure() and "i3" in refused.result["failed_action"]
    assert binding(namespace=namespace, bindings=wanted, adopt=True).ok()["changed"]
    assert not binding(namespace=namespace, bindings=wanted).ok()["changed"]


def test_an_api_server_that_goes_in_the_middle(
    binding: Runner, api_server: ApiServer, client: Client, namespace: str
) -> None:
    wanted = entries(namespace, 100)
    with binding.start(namespace=namespace, bindings=wanted) as process:
        server.until("so many were written", lambda: len(versions(client, namespace)) >= 30)
        api_server.restart()
        printed, errors = process.communicate(timeout=120)
    told = json.loads(printed)
    assert "cannot be reached" in told["msg"] and told["changed"] and told["failed_action"].startswith("create"), errors
    left = binding(namespace=namespace, bindings=wanted).ok()
    # What was under way when it went may have been written without being told.
    assert 200 - AT_ONCE <= len(told["actions"]) + len(left["actions"]) <= 200
    assert len(versions(client, namespace)) == 200
    assert not binding(namespace=namespace, bindings=wanted).ok()["changed"]


@pytest.mark.parametrize("size", [150, pytest.param(500, marks=pytest.mark.soak)])
def test_a_killed_run_is_made_up_for(binding: Runner, client: Client, namespace: str, size: int) -> None:
    """Killed among the identities, then among the bindings; the last run writes only what was left."""
    foreign(client, namespace)
    theirs = versions(client, namespace)
    wanted: dict[str, Any] = {"namespace": namespace, "bindings": entries(namespace, size), "purge_bindings": True}
    for kind in KINDS:
        with binding.start(**wanted) as process:
            server.until("some were written", lambda kind=kind: len(client.list_all(kind, namespace)) > 10)  # type: ignore[misc]
            process.kill()
        assert process.returncode == -signal.SIGKILL, "it had ended before"
    before = versions(client, namespace)
    assert len(before) < 2 * size + 2
    left = binding(**wanted).ok()
    after = versions(client, namespace)
    assert len(after) == 2 * size + 2 and after.items() >= before.items() >= theirs.items()
    assert len(left["actions"]) == len(after) - len(before)
    assert not binding(**wanted).ok()["changed"]
