# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module workload_identity_service_account at a real API server, with its RBAC."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.installation import (
    workload_identity_webhook,
)
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.names import FIELD_MANAGER, MIGRATION, marks
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube import kinds
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.client import Client, connect
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.errors import ApiFailure
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.kinds import Kind, Object
from ansible_collections.azureops.pod_identity.tests.kube import obstacles
from ansible_collections.azureops.pod_identity.tests.kube.changes import World
from ansible_collections.azureops.pod_identity.tests.kube.objects import manifest, patch
from ansible_collections.azureops.pod_identity.tests.support import api_server as server
from ansible_collections.azureops.pod_identity.tests.support.api_server import ApiServer, Runner
from ansible_collections.azureops.pod_identity.tests.support.fixed import fixed

CLIENT_ID = workload_identity_webhook.CLIENT_ID
MODULE = "workload_identity_service_account"
ONE, TWO, THREE = (f"{digit * 8}-1111-4111-8111-111111111111" for digit in "abc")
WRITTEN = (kinds.SERVICE_ACCOUNT, kinds.ROLE_BINDING, kinds.CLUSTER_ROLE_BINDING)
READ = {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list"]}
DELETE = {"apiGroups": ["", "apps"], "resources": ["secrets", "deployments/scale"], "verbs": ["delete", "update"]}


@pytest.fixture
def run(api_server: ApiServer) -> Runner:
    return Runner(api_server, MODULE)


@dataclass
class Place:
    """The account `old` with its rights, in a namespace, in another one, and in the whole cluster."""

    client: Client
    namespace: str
    other: str

    def create(self, kind: Kind, name: str, namespace: str = "", **body: Any) -> None:
        within = namespace or self.namespace if kind.namespaced else None
        self.client.create(kind, within, manifest(kind, name, within, **body))

    def bind(
        self, name: str, role: str, *subjects: Object, namespace: str = "", of_cluster: bool = False, **body: Any
    ) -> None:
        kind, _space, of = role.partition(" ")
        self.create(
            kinds.CLUSTER_ROLE_BINDING if of_cluster else kinds.ROLE_BINDING,
            name,
            namespace,
            roleRef={"apiGroup": kinds.ROLE.group, "kind": kind, "name": of},
            subjects=list(subjects) or [self.account("old")],
            **body,
        )

    def account(self, name: str) -> Object:
        return {"kind": "ServiceAccount", "name": name, "namespace": self.namespace}

    def user(self, name: str) -> str:
        return f"system:serviceaccount:{self.namespace}:{name}"

    def written(self) -> dict[tuple[str, str, str], Object]:
        """All that the module could write to here, as it is, to the last field."""
        found = {}
        for kind in WRITTEN:
            for raw in self.client.list_all(kind):
                key = kind.name, raw["metadata"].get("namespace", ""), raw["metadata"]["name"]
                if key[1] in (self.namespace, self.other) or self.namespace in key[2]:
                    found[key] = raw
        return found


@pytest.fixture
def place(client: Client, namespace: str) -> Iterator[Place]:
    with server.own_namespace(client) as other:
        made = Place(client, namespace, other)
        token = {"kubernetes.io/service-account.name": "old"}
        made.create(kinds.SERVICE_ACCOUNT, "old", **fields_of_old())
        made.create(kinds.SECRET, "token", metadata={"annotations": token}, type="kubernetes.io/service-account-token")
        made.create(kinds.SECRET, "files")
        made.create(kinds.ROLE, "reads", rules=[READ])
        made.create(kinds.ROLE, "reads", other, rules=[{**READ, "resourceNames": ["settings"]}])
        urls = {"nonResourceURLs": ["/metrics", "/healthz/*"], "verbs": ["get"]}
        nodes = {"apiGroups": [""], "resources": ["nodes", "*/status"], "verbs": ["*"]}
        made.create(kinds.CLUSTER_ROLE, f"of-{namespace}", rules=[urls, nodes])
        user = {"kind": "User", "apiGroup": kinds.ROLE.group, "name": "ann"}
        made.bind("reads", "Role reads", user, made.account("old"))
        made.bind("reads", "Role reads", {**user, "name": made.user("old")}, namespace=other)
        made.bind(f"system:{namespace}", f"ClusterRole of-{namespace}", of_cluster=True)
        group = {"kind": "Group", "apiGroup": kinds.ROLE.group, "name": f"system:serviceaccounts:{namespace}"}
        made.bind("of-group", f"ClusterRole of-{namespace}", group)
        yield made
        for each in client.list_all(kinds.CLUSTER_ROLE_BINDING):
            if namespace in each["metadata"]["name"]:
                client.delete(kinds.CLUSTER_ROLE_BINDING, None, each["metadata"]["name"])
        client.delete(kinds.CLUSTER_ROLE, None, f"of-{namespace}")


def fields_of_old() -> Object:
    return {
        "metadata": {"annotations": {CLIENT_ID: THREE}, "labels": {"app": "a"}},
        "imagePullSecrets": [{"name": "registry"}],
        "secrets": [{"name": "token"}, {"name": "files"}, {"name": "gone"}],
        "automountServiceAccountToken": False,
    }


def stand_in(place: Place, **changes: Any) -> dict[str, Any]:
    return {"namespace": place.namespace, "name": "new", "like": "old", "client_id": ONE, **changes}


def back(place: Place, **changes: Any) -> dict[str, Any]:
    return {"namespace": place.namespace, "name": "new", "state": "absent", **changes}


def both(run: Runner, place: Place, **options: Any) -> dict[str, Any]:
    """What check mode says is what happens; afterwards there is nothing to do."""
    before = place.written()
    predicted = run(**options, check=True).ok()
    assert place.written() == before
    done = run(**options).ok()
    after = place.written()
    again = [run(**options, check=check).ok() for check in (True, False)]
    assert place.written() == after
    for key in ("changed", "actions", "changes", "diff", "service_account", "left"):
        assert predicted[key] == done[key], key
    for each in again:
        assert (each["changed"], each["actions"]) == (False, [])
        assert each["access"]["equal"] if "like" in options else "access" not in each
    assert done["changed"]
    return done


def acting(api_server: ApiServer, place: Place, name: str) -> Client:
    """Who has a token of the service account."""
    options = {"kubeconfig": api_server.kubeconfig(), "impersonate_user": place.user(name)}
    return connect(options, str(api_server.folder))


def may(act: Callable[[], object]) -> bool:
    try:
        act()
    except ApiFailure as failure:
        assert failure.forbidden, failure
        return False
    return True


def test_an_account_takes_the_place_of_another(
    run: Runner, api_server: ApiServer, client: Client, place: Place
) -> None:
    before, namespace = place.written(), place.namespace
    done = both(run, place, **stand_in(place))
    assert [each["verb"] + " " + each["kind"] for each in done["changes"]] == [
        "create ServiceAccount",
        *["create RoleBinding"] * 2,
        "create ClusterRoleBinding",
    ]
    made = {key: raw for key, raw in place.written().items() if key not in before}
    assert {key: raw for key, raw in place.written().items() if key in before} == before
    live = client.get(kinds.SERVICE_ACCOUNT, namespace, "new") or {}
    assert live["metadata"]["annotations"] == {CLIENT_ID: ONE, MIGRATION: '{"like":"old"}'}
    assert live["metadata"]["labels"] == marks("default")
    assert {each["manager"] for each in live["metadata"]["managedFields"]} == {FIELD_MANAGER}
    copied = {key: value for key, value in live.items() if key not in ("metadata", "apiVersion", "kind")}
    assert copied == {
        "imagePullSecrets": [{"name": "registry"}],
        "secrets": [{"name": "files"}],
        "automountServiceAccountToken": False,
    }
    told = done["service_account"]
    assert {("ServiceAccount", namespace, "new")} | {
        (each["kind"], each["namespace"], each["name"]) for each in told["copied_bindings"]
    } == set(made)
    assert [each["copy_of"] for each in told["copied_bindings"]] == ["reads", "reads", f"system:{namespace}"]
    assert all(raw["subjects"] == [place.account("new")] for key, raw in made.items() if key[0] != "ServiceAccount")
    # 2 rights, 2 with a name, 2 URLs, the wildcard of 2 resources; and what Kubernetes gives to groups needs no copy.
    assert done["access"] == {"asked": 8, "equal": True, "differences": []}
    for name in ("old", "new", "none"):
        who, named = acting(api_server, place, name), name != "none"
        assert may(partial(who.list_all, kinds.CONFIG_MAP, namespace)) is named
        assert may(partial(who.get, kinds.CONFIG_MAP, place.other, "settings")) is named
        assert may(partial(who.list_all, kinds.NODE)) is named
        assert not may(partial(who.get, kinds.CONFIG_MAP, place.other, "others"))
        assert not may(partial(who.list_all, kinds.SECRET, namespace))
    both(run, place, **back(place))
    assert place.written() == before


@pytest.mark.soak
def test_what_happens_to_the_other_account_is_followed(run: Runner, client: Client, place: Place) -> None:
    run(**stand_in(place)).ok()
    before = place.written()
    place.create(kinds.ROLE, "deletes", rules=[DELETE])
    place.bind("late", "Role deletes")
    client.delete(kinds.ROLE_BINDING, place.other, "reads")
    done = both(run, place, **stand_in(place))
    assert [each["verb"] for each in done["changes"]] == ["create", "delete"]
    # Also for what it is to have no more, as long as it has it.
    assert done["access"]["equal"] and done["access"]["asked"] == 8 + 8
    assert run(**stand_in(place)).ok()["access"]["asked"] == 6 + 8
    # With its original it is back, with another role.
    place.create(kinds.ROLE, "more", place.other, rules=[DELETE])
    place.bind("reads", "Role more", namespace=place.other)
    assert [each["verb"] for each in both(run, place, **stand_in(place))["changes"]] == ["create"]
    client.delete(kinds.ROLE_BINDING, place.other, "reads")
    place.bind("reads", "Role reads", namespace=place.other)
    done = both(run, place, **stand_in(place))
    assert [each["verb"] for each in done["changes"]] == ["delete", "create"]
    names = [key for key in place.written() if key not in before]
    assert {key[2].partition("-")[0] for key in names} == {"late"}
    # Somebody adds himself to a copy.
    (copy,) = [each["name"] for each in done["service_account"]["copied_bindings"] if each["copy_of"] == "late"]
    eve = {"kind": "User", "apiGroup": kinds.ROLE.group, "name": "eve"}
    client.merge(kinds.ROLE_BINDING, place.namespace, copy, {"subjects": [place.account("new"), eve]})
    (change,) = both(run, place, **stand_in(place))["changes"]
    assert (change["verb"], change["why"]) == ("change", "subjects")
    client.merge(kinds.SERVICE_ACCOUNT, place.namespace, "old", {"automountServiceAccountToken": None})
    (change,) = both(run, place, **stand_in(place))["changes"]
    assert change["why"] == "automountServiceAccountToken"
    assert f"'{ONE}', which its pods go by" in run(**stand_in(place, client_id=TWO)).failure()
    both(run, place, **stand_in(place, client_id=TWO, override_client_id=True))
    both(run, place, **back(place))


@pytest.mark.parametrize(
    ("before", "options"),
    [
        (None, {}),
        ({}, {}),
        ({"app": "x"}, {"tenant_id": TWO}),
        ({CLIENT_ID: TWO}, {"override_client_id": True}),
        ({CLIENT_ID: ""}, {}),
    ],
)
def test_an_annotated_account_comes_back_byte_for_byte(
    run: Runner, client: Client, place: Place, before: Object | None, options: dict[str, Any]
) -> None:
    place.create(kinds.SERVICE_ACCOUNT, "new", metadata={} if before is None else {"annotations": before})

    def content() -> str:
        live = client.get(kinds.SERVICE_ACCOUNT, place.namespace, "new") or {}
        for name in ("managedFields", "resourceVersion"):
            live["metadata"].pop(name, None)
        return json.dumps(live)

    found = content()
    wish = {"namespace": place.namespace, "name": "new", "client_id": ONE, **options}
    done = both(run, place, **wish)
    assert "access" not in done and done["service_account"]["client_id"] == ONE
    assert set(done["diff"]["after"][f"ServiceAccount {place.namespace}/new"]) == {"metadata"}
    both(run, place, **back(place))
    assert content() == found


def test_what_somebody_else_says_is_replaced_by_option_only(run: Runner, client: Client, place: Place) -> None:
    place.create(kinds.SERVICE_ACCOUNT, "new")
    wish = {"namespace": place.namespace, "name": "new", "client_id": ONE}
    run(**wish).ok()
    body = {"metadata": {"annotations": {CLIENT_ID: TWO}}}
    patch(client, kinds.SERVICE_ACCOUNT, place.namespace, "new", body, manager="kubectl-annotate")
    before = place.written()
    for check in (True, False):
        assert f"tells the client_id '{TWO}'" in run(**wish, check=check).failure()
    assert place.written() == before
    done = both(run, place, **back(place))
    assert done["left"] == [
        f"ServiceAccount {place.namespace}/new tells the client_id '{TWO}', as somebody else has written since, so it "
        "stays so."
    ]
    live = client.get(kinds.SERVICE_ACCOUNT, place.namespace, "new") or {}
    assert live["metadata"]["annotations"] == {CLIENT_ID: TWO}
    left = run(**back(place)).ok()
    assert not left["changed"] and "was neither made nor annotated by this collection" in left["left"][0]


def test_nothing_is_written_where_rights_may_not_be_given(
    run: Runner, api_server: ApiServer, client: Client, place: Place
) -> None:
    place.create(kinds.ROLE, "deletes", rules=[DELETE])
    place.bind("deletes", "Role deletes")
    world = World(api_server, client, [])
    world.namespace = place.namespace
    # Who may only read is told all that is missing.
    needed = predicted(run, place, 403, **world.somebody([]))
    who = world.somebody([each for each in needed if each["verbs"] == ["create"]])
    before = place.written()
    bound = sorted((each["resource"], each["namespace"]) for each in needed if each["verbs"] == ["bind"])
    assert bound == [("clusterroles", ""), ("roles", place.namespace)]

    def settled() -> bool:
        refused = run(**stand_in(place), **who)
        return "may not create" not in refused.failure()

    server.until("the rights are there", settled)
    refused = run(**stand_in(place), **who)
    assert len(refused.result["refusals"]) == 2 and not refused.result.get("changed")
    for each in refused.result["refusals"]:
        assert each in refused.failure() and "has not all the rights that" in each and each.endswith(".")
    assert refused.result["failed_change"]["verb"] == "create"
    assert place.written() == before
    assert sorted(map(str, predicted(run, place, 403, **who))) == sorted(map(str, needed))
    # What is told is what is needed: with it, it is done.
    who = world.somebody(needed)

    def ready() -> bool:
        return not run(**stand_in(place), **who, check=True).result.get("failed")

    server.until("the rights are there", ready)
    assert run(**stand_in(place), **who).ok()["access"]["equal"]


def predicted(run: Runner, place: Place, status: int, **who: Any) -> list[dict[str, Any]]:
    refused = run(**stand_in(place), **who, check=True)
    assert refused.failure() and refused.result["error"]["status"] == status
    return list(refused.result["permissions"])


def test_what_is_in_use_stays(run: Runner, client: Client, place: Place) -> None:
    run(**stand_in(place)).ok()
    pod = {"containers": [{"name": "a", "image": "a"}], "serviceAccountName": "new"}
    labels = {"app": "a"}
    template = {"metadata": {"labels": labels}, "spec": pod}
    place.create(
        kinds.DEPLOYMENT, "web", spec={"replicas": 0, "selector": {"matchLabels": labels}, "template": template}
    )
    place.create(kinds.POD, "web-1", spec=pod)
    before = place.written()
    for check in (True, False):
        refused = run(**back(place), check=check)
        assert refused.result["in_use"] == [f"Deployment {place.namespace}/web", f"Pod {place.namespace}/web-1"]
        assert "give all others their service account back first" in refused.failure()
    client.delete(kinds.DEPLOYMENT, place.namespace, "web")
    assert run(**back(place)).result["in_use"] == [f"Pod {place.namespace}/web-1"]
    assert place.written() == before
    client.delete(kinds.POD, place.namespace, "web-1")
    server.until("the pod is gone", lambda: client.get(kinds.POD, place.namespace, "web-1") is None)
    both(run, place, **back(place))


def a_binding_of_the_new_account(place: Place) -> None:
    """By a tenant of another namespace, before the account is there."""
    place.create(kinds.ROLE, "deletes", place.other, rules=[DELETE])
    place.bind("trap", "Role deletes", place.account("new"), namespace=place.other)


def an_equal_account_without_rights(place: Place) -> None:
    fields = {key: value for key, value in fields_of_old().items() if key not in ("metadata", "secrets")}
    metadata = {"annotations": {CLIENT_ID: ONE}}
    place.create(kinds.SERVICE_ACCOUNT, "new", metadata=metadata, **fields, secrets=[{"name": "files"}])


@pytest.mark.parametrize(
    ("there", "told"),
    [
        (a_binding_of_the_new_account, "may delete deployments/scale in namespace"),
        (an_equal_account_without_rights, "may not "),
    ],
)
def test_what_is_in_the_way_is_refused_before_any_write(
    run: Runner, place: Place, there: Callable[[Place], None], told: str
) -> None:
    there(place)
    before = place.written()
    for check in (True, False):
        refused = run(**stand_in(place), check=check)
        assert told in refused.failure() and not refused.result.get("changed")
    assert place.written() == before


def test_a_mark_of_somebody_else_is_no_proof(run: Runner, place: Place) -> None:
    """Without the labels, or of another form, it takes nothing away."""
    place.create(kinds.SERVICE_ACCOUNT, "new", metadata={"annotations": {MIGRATION: '{"like":"old"}'}})
    told = {
        "labels": marks("others"),
        "annotations": {MIGRATION: json.dumps({"copy_of": "reads", "for": place.user("new")})},
    }
    place.bind("mine", "Role reads", place.account("new"), metadata=told)
    before = place.written()
    done = run(**back(place)).ok()
    assert not done["changed"] and len(done["left"]) == 1 and place.written() == before
    for mark in ("[" * 5000, '{"client_id":{"a":1}}', "null", ""):
        place.client.merge(
            kinds.SERVICE_ACCOUNT, place.namespace, "new", {"metadata": {"annotations": {MIGRATION: mark}}}
        )
        before = place.written()
        assert not run(**back(place)).ok()["changed"] and place.written() == before


def test_who_may_not_ask_writes_nothing(run: Runner, api_server: ApiServer, client: Client, place: Place) -> None:
    world = World(api_server, client, [])
    world.namespace = place.namespace
    every = [{"verbs": ["*"], "resource": "*", "api_group": group, "namespace": ""} for group in ("", kinds.ROLE.group)]
    who = world.somebody([*every])

    def told() -> str:
        return run(**stand_in(place), **who).failure()

    server.until("the rights are there", lambda: "may not create subjectaccessreviews" in told())
    before = place.written()
    assert told().count("may not") == 1 and place.written() == before
    refused = run(**stand_in(place), **who, check=True)
    assert "subjectaccessreviews" in {each["resource"] for each in refused.result["permissions"]}


def test_an_identity_that_is_not_known_yet(run: Runner, place: Place) -> None:
    wish = stand_in(place, client_id="(known after apply)")
    done = run(**wish, check=True).ok()
    assert done["changed"] and done["service_account"]["client_id"] == "(known after apply)"
    assert "pass the real value" in run(**wish).failure()


@pytest.mark.parametrize(
    ("number", "after"), fixed([(number, after) for number in range(1, 5) for after in (False, True)], (2, True))
)
def test_a_run_that_is_killed_at_a_write(
    run: Runner, api_server: ApiServer, place: Place, tmp_path: Path, number: int, after: bool
) -> None:
    """The next one goes on, and from there it can be taken back; a killed one as well."""
    before = place.written()

    def killed(**options: Any) -> None:
        with obstacles.gate(api_server, number, after=after) as gate:
            kubeconfig = tmp_path / "kubeconfig"
            kubeconfig.write_bytes(Path(api_server.kubeconfig(server=gate.url)).read_bytes())
            process = run.start(**options, kubeconfig=str(kubeconfig))
            assert gate.reached.wait(60)
            process.kill()
            process.communicate()
        assert len(gate.writes) == number

    killed(**stand_in(place))
    run(**back(place)).ok()
    assert place.written() == before
    killed(**stand_in(place))
    assert run(**stand_in(place)).ok()["access"]["equal"]
    whole = {key: content(raw) for key, raw in place.written().items()}
    assert not run(**stand_in(place)).ok()["changed"]
    killed(**back(place))
    assert run(**stand_in(place)).ok()["access"]["equal"]
    assert {key: content(raw) for key, raw in place.written().items()} == whole
    killed(**back(place))
    run(**back(place)).ok()
    assert place.written() == before


def content(raw: Object) -> Object:
    noise = ("managedFields", "resourceVersion", "uid", "creationTimestamp")
    return {**raw, "metadata": {key: value for key, value in raw["metadata"].items() if key not in noise}}


def test_two_at_once(run: Runner, place: Place) -> None:
    """Each is done, or says that somebody else was faster; together they come to the same."""
    before = place.written()
    with ThreadPoolExecutor(4) as pool:
        ended = list(pool.map(lambda _number: run(**stand_in(place)), range(4)))
    for each in ended:
        assert not each.result.get("failed") or "by somebody else in the meantime" in each.failure(), each.output
    run(**stand_in(place)).ok()
    made = place.written().keys() - before.keys()
    assert len(made) == 4 and not run(**stand_in(place)).ok()["changed"]


def test_nothing_of_secrets_is_told(run: Runner, client: Client, place: Place) -> None:
    client.merge(kinds.SECRET, place.namespace, "files", {"stringData": {"password": "planted-5b1d"}})
    for check in (True, False):
        outcome = run(**stand_in(place), check=check)
        outcome.ok()
        assert "planted" not in outcome.output and "cGxhbnRlZC01YjFk" not in outcome.output
