# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A plan as it is returned: whichever order objects are listed in, and without a secret."""

from __future__ import annotations

import copy
import json
import typing as t

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.errors import Failure
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.kubernetes import kubectl_output
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.migration.observed import Choices, Exchange
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.migration.telling import as_data
from ansible_collections.azureops.pod_identity.tests.unit.cluster_objects import Raw
from ansible_collections.azureops.pod_identity.tests.unit.tables import table

from .migration_world import (
    CLIENT,
    CLIENT_ID,
    IDS,
    ISSUER,
    LABEL,
    OTHER_ID,
    SUBJECT,
    USE,
    Made,
    binding,
    container,
    credential,
    exchange,
    identity,
    made,
    metadata,
    template,
    unlabelled,
)


def row(data: dict[str, t.Any], name: str) -> dict[str, t.Any]:
    (found,) = (each for each in data["templates"] if each["name"] == name)
    return t.cast("dict[str, t.Any]", found)


def many_kinds(one: Made) -> None:
    """One workload of each kind, which all have the label of AAD Pod Identity."""
    for kind in ("StatefulSet", "DaemonSet", "ReplicaSet", "Job"):
        one.objects[kind].append({"metadata": metadata(kind.lower()), "spec": {"template": template()}})
    job = {"spec": {"template": template()}}
    one.objects["CronJob"].append({"metadata": metadata("cronjob"), "spec": {"suspend": True, "jobTemplate": job}})
    one.objects["Deployment"].append({"metadata": metadata("zero"), "spec": {"replicas": 0, "template": template()}})
    ended = {"metadata": metadata("ended"), "spec": {"template": template()}, "status": {"completionTime": "2026"}}
    one.objects["Job"].append(ended)
    for name, by in (("bare", ("", "")), ("runner-0", ("Runner", "runner")), ("runner-1", ("Runner", "runner"))):
        pod = template()
        pod["metadata"] = metadata(name, by=by, labels=pod["metadata"]["labels"])
        one.objects["Pod"].append({**pod, "status": {"phase": "Running"}})
    for name, by in (("over", ("", "")), ("runner-9", ("Runner", "over")), ("runner-2", ("Runner", "runner"))):
        pod = template()
        pod["metadata"] = metadata(name, by=by, labels=pod["metadata"]["labels"])
        one.objects["Pod"].append({**pod, "status": {"phase": "Succeeded"}})
    other = template()
    one.objects["ReplicaSet"].append(
        {"metadata": metadata("rollout-1", by=("Rollout", "rollout")), "spec": {"template": other}}
    )


def test_every_kind_of_workload_is_told_whether_it_runs_or_not() -> None:
    data = made(many_kinds).data()
    told = {(each["kind"], each["name"]): each for each in data["templates"]}
    assert set(told) == {
        *(("Deployment", name) for name in ("web", "zero")),
        *((kind, kind.lower()) for kind in ("StatefulSet", "DaemonSet", "ReplicaSet", "Job", "CronJob")),
        ("Pod", "bare"),
        ("Runner", "runner"),
        ("ReplicaSet", "rollout-1"),
    }
    assert data["ended"] == ["Job team/ended", "Pod team/over", "Runner team/over"]
    in_the_way = {key: {item["code"] for item in each["blocked"]} for key, each in told.items()}
    assert in_the_way[("Deployment", "zero")] == in_the_way[("CronJob", "cronjob")] == set()
    assert in_the_way[("Job", "job")] == in_the_way[("Pod", "bare")] == {"template_immutable"}
    assert in_the_way[("Runner", "runner")] == in_the_way[("ReplicaSet", "rollout-1")] == {"made_by_operator"}
    assert in_the_way[("DaemonSet", "daemonset")] == set()
    for kind in ("StatefulSet", "ReplicaSet"):
        assert in_the_way[(kind, kind.lower())] == {"cannot_surge"}
    assert told[("Runner", "runner")]["owner"] == {"kind": "operator", "name": "Runner runner"}
    assert told[("ReplicaSet", "rollout-1")]["owner"] == {"kind": "operator", "name": "Rollout rollout"}
    assert [(each["namespace"], each["kind"], each["name"]) for each in data["templates"]] == sorted(
        ("team", *key) for key in told
    )


def test_the_workload_that_has_moved() -> None:
    data = made().data()
    one = row(data, "web")
    assert (one["verdict"], one["steps"], one["uses"]) == ("ready", [], "both")
    (needed,) = one["credentials"]
    assert (needed["state"], needed["credential"], needed["subject"]) == ("exists", "web", SUBJECT)
    (told,) = data["identities"]
    assert (told["credentials_used"], told["credentials_free"], told["credentials_missing"]) == (1, 19, 0)
    assert (told["issuers"], told["subjects"]) == ([ISSUER], [SUBJECT])
    (account,) = data["service_accounts"]
    assert (account["name"], account["exists"], account["wanted_client_ids"]) == ("web", True, [CLIENT_ID])
    none = dict.fromkeys(("needs", "blocked", "consumers", "not_looked_at"), 0)
    expected = {**none, "templates": 1, "ready": 1, "namespaces": [], "codes": {}, "identities": 1}
    assert data["summary"] | {"namespaces": []} == expected
    assert data["summary"]["namespaces"] == [{"namespace": "team", "ready": 1, "needs": 0, "blocked": 0}]


def test_credentials_of_all_clusters_are_counted() -> None:
    def others(one: Made) -> None:
        several = [credential(f"c{number}", f"https://{number % 3}/") for number in range(9)]
        one.credentials = {f"{IDS}i".lower(): [*several, credential("aks-identity-binding", "https://ib/", "")]}

    (told,) = made(others).data()["identities"]
    assert (told["credentials_used"], told["credentials_free"], told["credentials_missing"]) == (10, 10, 1)
    assert told["issuers"] == ["https://0/", "https://1/", "https://2/"] and told["has_identity_binding"]


def test_credentials_that_were_not_read_are_not_free() -> None:
    (told,) = made(lambda one: setattr(one, "credentials", None)).data()["identities"]
    assert told["credentials_used"] is told["credentials_free"] is None


def default_account(one: Made) -> None:
    unlabelled(one)
    one.web["spec"].pop("serviceAccountName")


def test_workloads_of_one_account_with_one_identity_get_the_same_new_one() -> None:
    """So that they share a credential, and the rights that both have."""

    def two(one: Made) -> None:
        default_account(one)
        one.objects["Deployment"].append({"metadata": metadata("twin"), "spec": {"template": template("x", "default")}})
        one.objects["AzureIdentity"].append(identity("j", OTHER_ID))
        one.objects["AzureIdentityBinding"].append(binding("j", "y"))
        one.objects["StatefulSet"].append({"metadata": metadata("web"), "spec": {"template": template("y", "default")}})
        one.credentials = {f"{IDS}{name}".lower(): [] for name in ("i", "j")}

    data = made(two).data()
    names = {(each["kind"], each["name"]): each["new_service_account"] for each in data["templates"]}
    of_i = dict.fromkeys((("Deployment", "web"), ("Deployment", "twin")), "default-i")
    assert names == {**of_i, ("StatefulSet", "web"): "default-j"}
    assert [(each["azure_identities"], each["credentials_missing"]) for each in data["identities"]] == [
        (["team/i"], 1),
        (["team/j"], 1),
    ]
    accounts = {each["name"]: each for each in data["service_accounts"]}
    assert set(accounts) == {"default", "default-i", "default-j"}
    assert accounts["default-i"]["exists"] is False and accounts["default"]["wanted_client_ids"] == []


def new_account(one: Made, name: str) -> str:
    return str(row(one.data(), name)["new_service_account"])


def own(name: str, like: str, client_id: str) -> Raw:
    """An account that this collection has made."""
    told = {CLIENT: client_id, "azureops.pod-identity/migration": json.dumps({"like": like})}
    labels = {"app.kubernetes.io/managed-by": "azureops.pod_identity"}
    return {"metadata": metadata(name, labels=labels, annotations=told)}


def test_the_account_of_one_that_has_moved_is_given_to_no_other_identity() -> None:
    """Also where an AzureIdentity of another namespace has the same name."""

    def late(one: Made) -> None:
        one.web["spec"]["serviceAccountName"] = "default-i"
        one.objects["Pod"][0]["spec"]["serviceAccountName"] = "default-i"
        one.objects["ServiceAccount"].append(own("default-i", "default", CLIENT_ID))
        far = {"namespace": "far"}
        same, bound = identity("i", OTHER_ID, resourceID=f"{IDS}j"), binding("i", "y")
        one.objects["AzureIdentity"].append({**same, "metadata": {**same["metadata"], **far}})
        one.objects["AzureIdentityBinding"].append({**bound, "metadata": {**bound["metadata"], **far}})
        one.objects["Deployment"].append({"metadata": metadata("late"), "spec": {"template": template("y", "default")}})

    found = made(late)
    name = new_account(found, "late")
    assert name.startswith("default-i-") and new_account(found, "web") == "default-i"
    # It stays so while the account is there, whoever else moves or goes.
    found.objects["ServiceAccount"].append(own(name, "default", OTHER_ID))
    assert new_account(found, "late") == name
    del found.objects["Deployment"][0]
    assert new_account(found, "late") == name


def test_an_account_that_was_made_is_found_again() -> None:
    """When the other workload of the former one, for which it was made, has moved or gone."""
    found = made(unlabelled, lambda one: one.account["metadata"].pop("annotations"))
    assert new_account(found, "web") == "web"
    found.objects["ServiceAccount"].append(own("web-i", "web", CLIENT_ID))
    assert new_account(found, "web") == "web-i"
    for other in (own("web-i", "default", CLIENT_ID), own("web-i", "web", OTHER_ID), {"metadata": metadata("web-i")}):
        found.objects["ServiceAccount"][-1] = other
        assert new_account(found, "web") == "web"


def test_an_account_that_others_use_already_is_left_to_them() -> None:
    def second(one: Made) -> None:
        one.objects["AzureIdentity"].append(identity("j", OTHER_ID))
        one.objects["AzureIdentityBinding"].append(binding("j", "y"))
        one.objects["Deployment"].append({"metadata": metadata("other"), "spec": {"template": template("y")}})

    data = made(second).data()
    assert row(data, "web")["new_service_account"] == "web" and row(data, "web")["verdict"] == "ready"
    other = row(data, "other")
    assert other["new_service_account"] == "web-j" and other["service_account_shared_with"] == [LABEL]
    assert other["steps"][:3] == ["service_account", "annotation", "label"] or "service_account" in other["steps"]


def test_a_name_that_is_too_long_is_cut_and_stays_unique() -> None:
    def long(one: Made) -> None:
        default_account(one)
        for ending in ("a", "b"):
            name = "x" * 252 + ending
            one.objects["AzureIdentity"].append(identity(name, CLIENT_ID if ending == "a" else OTHER_ID))
            one.objects["AzureIdentityBinding"].append(binding(name, ending))
            one.objects["Deployment"].append(
                {"metadata": metadata(ending), "spec": {"template": template(ending, "default")}}
            )

    data = made(long).data()
    names = {row(data, ending)["new_service_account"] for ending in ("a", "b")}
    assert len(names) == 2 and {len(name) for name in names} <= {252, 253}


def test_only_some_namespaces_are_told_of() -> None:
    def more(one: Made) -> None:
        one.objects["AzureIdentity"].append(identity("j", OTHER_ID))
        one.objects["AzureIdentityBinding"].append(binding("j", "y"))
        place = {"metadata": metadata("other", "elsewhere"), "spec": {"template": template("y")}}
        one.objects["Deployment"].append(place)

    world = made(more).world()
    assert {each["namespace"] for each in as_data(world)["templates"]} == {"team", "elsewhere"}
    data = as_data(world, ["elsewhere"])
    assert [each["name"] for each in data["templates"]] == ["other"] and data["summary"]["templates"] == 1
    assert [each["identity_id"] for each in data["identities"]] == [f"{IDS}j"]


def test_a_workload_for_the_proxy_must_exist() -> None:
    one = made(lambda each: setattr(each, "choices", Choices(proxied=frozenset({"Deployment team/nobody"}))))
    with pytest.raises(Failure, match="There is no Deployment team/nobody"):
        one.data()


SECRET = "hush-hush-hush"


def test_no_value_of_an_environment_gets_out() -> None:
    def secrets(one: Made) -> None:
        unlabelled(one)
        names = ("PASSWORD", "AZURE_CLIENT_SECRET", "AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_FEDERATED_TOKEN_FILE")
        hidden = container("app", f"--password={SECRET}", SECRET, **dict.fromkeys(names, SECRET))
        ask = f"curl http://169.254.169.254?{SECRET} /var/run/secrets/azure/tokens/t {SECRET}"
        hidden["command"] = ["sh", "-c", ask]
        one.web["spec"]["containers"] = [hidden]
        one.web["spec"]["initContainers"] = [copy.deepcopy({**hidden, "name": "init"})]
        one.account["metadata"]["annotations"][CLIENT] = CLIENT_ID
        one.web["metadata"]["annotations"] = {"note": SECRET}

    text = json.dumps(made(secrets).data())
    assert SECRET not in text and "/var/run/secrets/azure/tokens/t" in text


def test_ids_and_paths_of_an_environment_are_told() -> None:
    def told(one: Made) -> None:
        environment = {"AZURE_CLIENT_ID": CLIENT_ID, "AZURE_FEDERATED_TOKEN_FILE": "/a/b", "HOME": "/root"}
        one.web["spec"]["containers"] = [container("app", **environment)]

    (found,) = row(made(told).data(), "web")["containers"]
    assert found["variables"] == {"AZURE_CLIENT_ID": CLIENT_ID, "AZURE_FEDERATED_TOKEN_FILE": "/a/b"}


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_whichever_order_objects_are_listed_in(data: st.DataObject) -> None:
    def busy(one: Made) -> None:
        many_kinds(one)
        one.objects["AzureIdentity"].append(identity("j", OTHER_ID))
        one.objects["AzureIdentityBinding"].append(binding("j"))
        one.objects["Deployment"].append({"metadata": metadata("twin"), "spec": {"template": template("x", "default")}})
        for number in range(3):
            subject = {"kind": "User", "name": f"u{number}"}
            rules = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["create"]}]
            one.objects["ClusterRole"].append({"metadata": {"name": f"r{number}"}, "rules": rules})
            role = {"kind": "ClusterRole", "name": f"r{number}"}
            one.objects["RoleBinding"].append(
                {"metadata": metadata(f"b{number}"), "roleRef": role, "subjects": [subject]}
            )
            one.objects["PodDisruptionBudget"].append({"metadata": metadata(f"p{number}"), "spec": {"selector": {}}})
            one.objects["ResourceQuota"].append({"metadata": metadata(f"q{number}"), "spec": {"hard": {"cpu": "1"}}})
        one.credentials = {f"{IDS}i".lower(): [credential(f"c{n}", f"https://{n}/") for n in range(5)]}

    first = made(busy)
    second = made(busy)
    for kind, several in second.objects.items():
        # The order of containers matters, that of objects does not.
        second.objects[kind] = data.draw(st.permutations(several), label=kind)
    names = data.draw(st.permutations(list(second.objects)), label="kinds")
    second.objects = {name: second.objects[name] for name in names}
    assert second.data() == first.data() == first.data()


def test_numbers_of_exchanges_that_contradict_each_other() -> None:
    given: Raw = {"service_account": "team/web", "client_id": CLIENT_ID, "asked": 1, "granted": 2, "codes": {}}
    more = {"workload": "", "reached": True, "served_by": "workload_identity"}
    with pytest.raises(Failure, match="correct asked and granted"):
        Exchange.parse({**given, **more})
    with pytest.raises(Failure, match="correct codes"):
        Exchange.parse({**given, **more, "granted": 1, "codes": {"AADSTS700213": "many"}})
    assert Exchange.parse({**given, **more, "granted": 1, "codes": {"A": "2"}}).codes == {"A": 2}


@pytest.mark.parametrize("name", ["web", "team/web", "team//web", "a/b/c/d", ""])
def test_workloads_are_named_in_full(name: str) -> None:
    with pytest.raises(Failure, match="NAMESPACE/KIND/NAME"):
        Choices.parse({"accept": [], "override_owner": False, "exchange_min_rate": 0.5, "proxy_workloads": [name]})


@pytest.mark.parametrize("rate", [-0.1, 1.1, float("nan"), float("inf")])
def test_a_rate_that_is_none(rate: float) -> None:
    with pytest.raises(Failure, match="exchange_min_rate"):
        Choices.parse({"accept": [], "override_owner": False, "exchange_min_rate": rate, "proxy_workloads": []})


def test_a_labelled_workload_without_pod_identity_is_one_that_moved() -> None:
    def only(one: Made) -> None:
        del one.web["metadata"]["labels"]["aadpodidbinding"]
        one.exchanges = [exchange(), exchange(workload=LABEL)]

    found = row(made(only).data(), "web")
    assert (found["verdict"], found["uses"], found["client_id"]) == ("ready", "workload_identity", CLIENT_ID)


def test_an_account_alone_makes_a_workload_move_but_never_the_default_one() -> None:
    def by_account(one: Made) -> None:
        del one.web["metadata"]["labels"]["aadpodidbinding"]
        unlabelled(one)

    found = row(made(by_account).data(), "web")
    assert (found["uses"], found["steps"]) == ("nothing", ["label"])

    def by_default(one: Made) -> None:
        by_account(one)
        one.web["spec"]["serviceAccountName"] = "default"
        one.objects["ServiceAccount"][1]["metadata"]["annotations"] = {CLIENT: CLIENT_ID}

    assert made(by_default).data()["templates"] == []


def test_use_of_a_wrong_value_is_no_use() -> None:
    def wrong(one: Made) -> None:
        one.web["metadata"]["labels"][USE] = "yes"

    assert row(made(wrong).data(), "web")["steps"] == ["label"]


ALL = made(many_kinds).objects
ITEMS = [{"kind": kind, **raw} for kind, several in ALL.items() for raw in several]
OF_FILES = {"apiVersion": "v1", "kind": "List", "items": ITEMS}
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(0, 3), st.text(max_size=3)),
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(st.text(max_size=3), inner, max_size=2)),
    max_leaves=4,
)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_whatever_a_file_holds_is_looked_at_or_refused_in_a_sentence(data: st.DataObject) -> None:
    document = copy.deepcopy(OF_FILES)
    for _number in range(data.draw(st.integers(1, 4))):
        inner: t.Any = data.draw(st.sampled_from(document["items"]))
        while isinstance(inner, (dict, list)) and inner:
            key = data.draw(st.sampled_from(sorted(inner) if isinstance(inner, dict) else range(len(inner))))
            if not isinstance(inner[key], (dict, list)) or data.draw(st.booleans()):
                inner[key] = data.draw(VALUES)
                break
            inner = inner[key]
    objects: dict[str, list[Raw]] = {}
    try:
        for kind, raw in kubectl_output.parse("file", document):
            objects.setdefault(kind, []).append(raw)
    except Failure as failure:
        assert failure.sentence.endswith(".")
        return
    one = made()
    one.objects = objects
    assert json.loads(json.dumps(one.data()))["summary"]["templates"] >= 0


def test_pods_of_one_unknown_owner_with_two_selectors_are_told_apart() -> None:
    def two(one: Made) -> None:
        one.objects["AzureIdentity"].append(identity("j", OTHER_ID))
        one.objects["AzureIdentityBinding"].append(binding("j", "y"))
        for name, selector in (("runner-0", "x"), ("runner-1", "y")):
            pod = template(selector)
            pod["metadata"] = metadata(name, by=("Runner", "runner"), labels=pod["metadata"]["labels"])
            one.objects["Pod"].append({**pod, "status": {"phase": "Running"}})

    found = [each for each in made(two).data()["templates"] if each["name"] == "runner"]
    assert [(each["selector"], [one["identity_id"] for one in each["credentials"]]) for each in found] == [
        ("x", [f"{IDS}i"]),
        ("y", [f"{IDS}j"]),
    ]


@table(
    "annotations, addon, webhooks",
    ({}, False, ["kube-system"]),
    ({}, True, ["addon"]),
    ({"meta.helm.sh/release-name": "aks-managed-workload-identity"}, None, ["addon"]),
    ({"meta.helm.sh/release-name": "workload-identity-webhook"}, None, ["kube-system"]),
)
def test_the_webhook_of_aks_is_one_webhook(
    annotations: dict[str, str], addon: bool | None, webhooks: list[str]
) -> None:
    def in_system(one: Made) -> None:
        one.addon = addon
        one.objects["Deployment"][1]["metadata"].update(namespace="kube-system", annotations=annotations)
        one.objects["MutatingWebhookConfiguration"][0]["webhooks"][0]["clientConfig"]["service"]["namespace"] = (
            "kube-system"
        )
        one.objects["ReplicaSet"][1]["metadata"]["namespace"] = "kube-system"
        one.objects["Pod"][1]["metadata"]["namespace"] = "kube-system"

    data = made(in_system).data()
    assert data["cluster"]["webhooks"] == webhooks and row(data, "web")["verdict"] == "ready"
