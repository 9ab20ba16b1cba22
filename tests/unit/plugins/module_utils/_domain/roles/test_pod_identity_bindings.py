# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The decisions of the role pod_identity_bindings that follow from its options."""

from __future__ import annotations

from itertools import zip_longest
from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.roles.part import Look, Refused, Run
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.roles.pod_identity_bindings import (
    IDENTITIES,
    KUBERNETES_PERMISSIONS,
    OBJECTS,
    PARTS,
    RESTART,
    ROLES,
    SHOW,
    WAIT,
)
from ansible_collections.azureops.pod_identity.tests.unit.deciding import (
    CHECK,
    RUN,
    Raw,
    each_has,
    only,
    refusal,
    sentences,
)
from ansible_collections.azureops.pod_identity.tests.unit.tables import cases, table

CLUSTER = {"cluster_name": "one", "cluster_resource_group": "rg", "cluster_subscription_id": "s"}
OPTIONS: Raw = {"subscription_id": "s", "resource_group": "rg"}
ENTRY: Raw = {"name": "billing", "namespace": "shop", "selector": "billing", "type": 0, "state": "present"}
PRINCIPAL = {**ENTRY, "type": 1, "tenant_id": "T", "client_id": "a", "client_password_secret": {"name": "s"}}
GONE = {**ENTRY, "name": "old", "state": "absent"}
EXCEPTION: Raw = {"name": "agents", "namespace": "monitoring", "pod_labels": {"app": "agent"}}
RG = "/subscriptions/s/resourceGroups/rg"
BILLING = f"{RG}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/billing"
GUID = "11111111-1111-4111-8111-111111111111"


def plan(entries: list[Raw], run: Run = RUN, cluster: dict[str, str] | None = None, **options: Any) -> Any:
    return PARTS["options"].plan({**OPTIONS, "list": entries, **options}, cluster or CLUSTER, run)


def refused(entries: list[Raw], cluster: dict[str, str] | None = None, **options: Any) -> tuple[str, ...]:
    """The sentences of a refusal."""
    try:
        plan(entries, cluster=cluster, **options)
    except Refused as error:
        return error.sentences
    return ()


NAMES = "pod_identity_cluster_name and pod_identity_resource_group"
TWICE = "pod_identity_bindings_list, entries 1 and 2 (billing) have one name but different identities"
ONE_BINDING = "entries 1 and 2 ({}) have one binding, shop/billing, but different names or selectors"
AT_ODDS = "pod_identity_bindings_list, entries 1 and 2 (billing): one is present and one absent"
EXCEPTED = "pod_identity_bindings_exceptions, entries 1 and 2 (agents) have one namespace and name"


@cases(
    "entries, options, parts",
    ("right", [ENTRY, PRINCIPAL | {"name": "b"}], {}, []),
    ("group", [ENTRY], {"resource_group": ""}, ["Entry billing of pod_identity_bindings_list has no resource"]),
    ("group of its own", [{**ENTRY, "resource_group": "x"}], {"resource_group": ""}, []),
    ("a service principal has none", [PRINCIPAL], {"resource_group": ""}, []),
    ("selector", [{**ENTRY, "selector": None}], {}, ["names no pods; set its selector"]),
    ("empty selector", [{**ENTRY, "selector": ""}], {}, ["names no pods; set its selector"]),
    ("no name for Azure", [{**ENTRY, "name": "a.b"}], {}, ["would be the name of the identity in Azure"]),
    ("a name for Azure", [{**ENTRY, "name": "a.b", "identity_name": "a-b"}], {}, []),
    ("what goes is not looked at", [{**GONE, "name": "Old", "selector": None}], {}, []),
    ("client id", [{**PRINCIPAL, "client_id": ""}], {}, ["is a service principal and needs client_id"]),
    ("one identity twice", [ENTRY, {**ENTRY, "namespace": "b"}], {}, []),
    ("in other letters", [ENTRY, {**ENTRY, "resource_group": "RG"}], {}, []),
    ("two groups", [ENTRY, {**ENTRY, "resource_group": "other"}], {}, [TWICE]),
    ("two names in Azure", [ENTRY, {**ENTRY, "identity_name": "other"}], {}, [TWICE]),
    ("both kinds", [ENTRY, PRINCIPAL], {}, [TWICE]),
    ("one principal twice", [PRINCIPAL, {**PRINCIPAL, "tenant_id": "t"}], {}, []),
    ("two principals", [PRINCIPAL, {**PRINCIPAL, "client_id": "A"}], {}, [TWICE]),
    ("two selectors", [ENTRY, {**ENTRY, "selector": "other"}], {}, [ONE_BINDING.format("billing")]),
    ("two bindings", [ENTRY, {**ENTRY, "selector": "other", "binding_name": "other"}], {}, []),
    ("one binding", [ENTRY, {**ENTRY, "name": "other", "binding_name": "billing"}], {}, [ONE_BINDING.format("other")]),
    ("there and gone", [ENTRY, {**ENTRY, "state": "absent"}], {}, [AT_ODDS]),
    ("gone twice", [{**ENTRY, "state": "absent", "selector": each} for each in ("a", None)], {}, []),
    ("exception", [], {"exceptions": [EXCEPTION]}, []),
    ("one exception twice", [], {"exceptions": [EXCEPTION, EXCEPTION]}, []),
    ("two of one name", [], {"exceptions": [EXCEPTION, {**EXCEPTION, "pod_labels": {"a": "b"}}]}, [EXCEPTED]),
    ("no labels", [], {"exceptions": [{**EXCEPTION, "pod_labels": {}}]}, ["exceptions names no pods; set its"]),
    ("nowhere", [], {"exceptions": [{**EXCEPTION, "namespace": ""}]}, ["exceptions names no pods"]),
    ("absent", [], {"exceptions": [{**EXCEPTION, "pod_labels": None, "state": "absent"}]}, []),
    ("files", [], {"exceptions": [EXCEPTION], "render_dir": "/r"}, ["are written into a cluster only"]),
    (
        "all at once",
        [{**ENTRY, "selector": "", "resource_group": ""}, {**ENTRY, "name": "b"}],
        {"resource_group": ""},
        ["has no resource group", "names no pods", "has no resource group", "takes 3 to 128 letters"],
    ),
)
def test_lists_that_cannot_work_are_refused(entries: list[Raw], options: Raw, parts: list[str]) -> None:
    told = refused(entries, **options)
    assert [part in sentence for part, sentence in zip_longest(parts, told, fillvalue="")] == [True] * len(parts), told


@table(
    "entries, options, cluster, phrases",
    ([ENTRY, {**ENTRY, "name": "other", "behavior": "namespaced"}], {}, CLUSTER, ""),
    ([GONE | {"labels": {"a": "b"}}], {}, CLUSTER, ""),
    ([ENTRY], {}, {**CLUSTER, "cluster_name": ""}, f"no cluster is named, set {NAMES}"),
    ([ENTRY], {"render_dir": "/r"}, CLUSTER, "pod_identity_bindings_render_dir is set"),
    (
        [{**PRINCIPAL, "behavior": "standard", "binding_name": "b", "labels": {"a": "b"}}],
        {},
        CLUSTER,
        "entry billing is a service principal; entry billing is for pods of all namespaces (behavior standard); "
        "entry billing has binding_name; entry billing has labels",
    ),
)
def test_what_the_addon_cannot_do(entries: list[Raw], options: Raw, cluster: dict[str, str], phrases: str) -> None:
    sentence = f"The pod identity add-on of AKS cannot do this: {phrases}. Correct it, or use the chart with "
    sentence += "pod_identity_mode=chart."
    assert refused(entries, cluster=cluster, mode="addon", **options) == ((sentence,) if phrases else ())


def test_the_lists() -> None:
    allowed = {**GONE, "name": "older", "namespace": None, "allow_in_use": True}
    away = {**EXCEPTION, "name": "away", "state": "absent"}
    secret = {"name": "s", "namespace": None}
    principal = {**PRINCIPAL, "name": "p", "binding_name": "b", "client_password_secret": secret, "labels": None}
    made = plan([ENTRY, GONE, principal, allowed], exceptions=[EXCEPTION, away])
    assert made["managed"] == [ENTRY, {**PRINCIPAL, "name": "p", "binding_name": "b"}]
    assert made["in_azure"] == [ENTRY]
    assert [entry["name"] for entry in made["absent"]] == ["old", "older"]
    awaited = [("billing", "billing"), ("p", "b")]
    assert made["awaited"] == [{"name": name, "namespace": "shop", "binding_name": its} for name, its in awaited]
    assert made["addon_exceptions"] == [EXCEPTION]
    old, older = {"name": "old", "namespace": "shop"}, {"name": "older", "namespace": "default"}
    away = {"name": "away", "namespace": "monitoring"}
    assert made["leaving"] == [
        {"entries": [old], "exceptions": [away], "allow_in_use": False},
        {"entries": [older], "exceptions": [], "allow_in_use": True},
    ]


@table(
    "run, options, begins, objects",
    (RUN, {}, True, True),
    (only("all"), {}, True, True),
    (only(WAIT), {}, True, False),
    (only(SHOW, RESTART), {}, False, False),
    (Run(skipped_tags=(IDENTITIES,)), {}, True, True),
    (Run(skipped_tags=(OBJECTS,)), {}, True, False),
    (Run(skipped_tags=(IDENTITIES, ROLES, OBJECTS, WAIT)), {}, False, False),
    (only("other"), {}, False, False),
    (Run(tags=("other",), inherited=("other",)), {}, True, True),
    (RUN, {"render_dir": "/r"}, True, False),
)
def test_what_tags_leave_out(run: Run, options: Raw, begins: bool, objects: bool) -> None:
    made = plan([{**ENTRY, "resource_group": "other"}], run, **options)
    assert (made["begins"], made["objects"], bool(made["other_groups"])) == (begins, objects, begins)


@table(
    "options, found",
    ({}, (True, False, "chart")),
    ({"mode": "addon"}, (True, False, "addon")),
    ({"render_dir": "/r"}, (False, True, "files")),
)
def test_where_to_it_writes(options: Raw, found: tuple[bool, bool, str]) -> None:
    made = plan([ENTRY], **options)
    assert (made["connects"], made["finds"], made["writes"]) == found


@cases(
    "entry, cluster, run, groups",
    ("that of the cluster", {}, {}, RUN, []),
    ("in other letters", {"resource_group": "RG"}, {}, RUN, []),
    ("another", {"resource_group": "Other"}, {}, RUN, [("s", "other")]),
    ("another subscription", {"subscription_id": "T"}, {}, RUN, [("t", "rg")]),
    ("unknown subscription", {}, {"cluster_subscription_id": ""}, RUN, []),
    ("no cluster", {}, {"cluster_name": ""}, RUN, [("s", "rg")]),
    ("late phases", {"resource_group": "other"}, {}, only(SHOW), []),
    ("early phases", {"resource_group": "other"}, {}, only(WAIT), [("s", "other")]),
)
def test_groups_besides_that_of_the_cluster(entry: Raw, cluster: Raw, run: Run, groups: list[tuple[str, str]]) -> None:
    made = plan([{**ENTRY, **entry}] * 2, run, {**CLUSTER, **cluster})
    assert [(each["subscription"], each["group"]) for each in made["other_groups"]] == groups


def azure(entries: list[Raw], run: Run = RUN, **options: Any) -> list[tuple[str, str, bool]]:
    needs = plan(entries, run, **options)["azure"]
    return [(need["scope"], action.partition(".")[2], need["certain"]) for need in needs for action in need["actions"]]


AKS = f"{RG}/providers/Microsoft.ContainerService/managedClusters/one"
LIST, ASSIGN = "Authorization/roleAssignments/read", "Authorization/roleAssignments/write"
READ = (BILLING, "ManagedIdentity/userAssignedIdentities/read", True)
MADE_IN_AZURE = [
    READ,
    (RG, "Resources/subscriptions/resourceGroups/read", True),
    (BILLING, "ManagedIdentity/userAssignedIdentities/write", False),
]
FURTHER = [{"role": "reader", "scope": None}, {"role": "Own", "scope": "/x"}, {"role": GUID, "scope": ""}]
LISTS_OF_FURTHER = [(RG, LIST, True), ("/x", LIST, True), ("/x", "Authorization/roleDefinitions/read", True)]
LOOKS = {"manage_role_assignments": False}


@cases(
    "entry, tags, options, expected",
    ("show", {}, (SHOW,), {}, [READ]),
    ("identities", {}, (IDENTITIES,), {}, MADE_IN_AZURE),
    ("roles", {}, (ROLES,), {}, [*MADE_IN_AZURE, (BILLING, LIST, True), (BILLING, ASSIGN, False)]),
    ("only looks", {}, (ROLES,), LOOKS, [*MADE_IN_AZURE, (BILLING, LIST, True)]),
    (
        "further roles",
        {"roles": FURTHER},
        (ROLES,),
        LOOKS,
        [*MADE_IN_AZURE, (BILLING, LIST, True), *LISTS_OF_FURTHER, (RG, LIST, True)],
    ),
    ("objects", {}, (OBJECTS,), {}, MADE_IN_AZURE),
    (
        "add-on",
        {},
        (OBJECTS, ROLES),
        {"mode": "addon"},
        [
            (AKS, "ContainerService/managedClusters/write", False),
            *MADE_IN_AZURE,
            (RG, "ManagedIdentity/userAssignedIdentities/read", True),
            (RG, LIST, True),
            (BILLING, ASSIGN, False),
        ],
    ),
)
def test_what_azure_is_asked(entry: Raw, tags: tuple[str, ...], options: Raw, expected: list[Any]) -> None:
    assert azure([{**ENTRY, **entry}], only(*tags), **options) == expected


def test_of_service_principals_azure_is_not_asked() -> None:
    assert azure([PRINCIPAL, GONE]) == []
    assert [each[2] for each in azure([GONE], mode="addon")] == [False]


def kubernetes(entries: list[Raw], run: Run = RUN, **options: Any) -> list[str]:
    """Verbs, resource and namespace as words, and ``maybe`` where only a change needs it."""
    return [
        " ".join(filter(None, (",".join(need["verbs"]), need["resource"], need["namespace"], MAYBE[need["certain"]])))
        for need in plan(entries, run, **options)["kubernetes"]
    ]


USERS = ["pods", "deployments", "statefulsets", "daemonsets", "replicasets", "jobs", "cronjobs"]
MAYBE = {True: "", False: "maybe"}
KINDS = ("azureidentities", "azureidentitybindings")
D, S = {"namespace": "a", "name": "d", "kind": None}, {"namespace": "b", "name": "s", "kind": "StatefulSet"}


def listed(verbs: str, *kinds: str, place: str = "shop") -> list[str]:
    """Return what is asked for kinds that are listed, and maybe changed."""
    return [need for kind in kinds for need in (f"list {kind} {place}", f"{verbs} {kind} {place} maybe")]


@cases(
    "entries, run, options, expected",
    ("an entry", [ENTRY], only(OBJECTS), {}, ["get namespaces shop", *listed("create,patch", *KINDS)]),
    (
        "one that goes",
        [GONE],
        only(OBJECTS),
        {"create_namespaces": True},
        [
            *("list namespaces", "create,get namespaces maybe"),
            *listed("delete", *KINDS),
            *(f"list {resource} maybe" for resource in USERS),
        ],
    ),
    ("add-on", [ENTRY], only(OBJECTS), {"mode": "addon"}, ["get namespaces shop"]),
    ("files", [ENTRY], RUN, {"render_dir": "/r"}, []),
    ("wait", [ENTRY], only(WAIT), {}, ["list pods", "list azureassignedidentities"]),
    ("wait for the add-on", [ENTRY], only(WAIT), {"mode": "addon"}, [f"list {kind}" for kind in KINDS[::-1]]),
    ("check mode waits for nothing", [ENTRY], Run(check_mode=True, tags=(WAIT,)), {}, []),
    ("no wait", [ENTRY], only(WAIT), {"wait": False}, []),
    ("nothing to wait for", [GONE], only(WAIT), {}, []),
    (
        "restart",
        [],
        only(RESTART),
        {"restart": [D, S]},
        [
            *(f"list {kind}" for kind in KINDS),
            *("get deployments a", "list pods a", "patch deployments a maybe"),
            *("get statefulsets b", "list pods b", "patch statefulsets b maybe"),
        ],
    ),
    ("the table can be left out", [ENTRY], only(SHOW), {}, []),
)
def test_what_the_cluster_is_asked(entries: list[Raw], run: Run, options: Raw, expected: list[str]) -> None:
    assert kubernetes(entries, run, **options) == expected


def test_what_the_cluster_is_asked_of_secrets_and_exceptions() -> None:
    run = only(OBJECTS)
    elsewhere = {**PRINCIPAL, "client_password_secret": {"name": "s", "namespace": "vault"}}
    assert kubernetes([PRINCIPAL], run)[-1] == "get secrets shop"
    assert kubernetes([elsewhere], run)[-1] == "get secrets vault"
    assert not any("secrets" in each for each in kubernetes([{**elsewhere, "state": "absent"}], run))
    away = {**EXCEPTION, "state": "absent"}
    exceptions = "azurepodidentityexceptions"
    made = listed("create,patch", exceptions, place="monitoring")
    assert kubernetes([], run, exceptions=[EXCEPTION])[1:] == made
    assert kubernetes([], run, exceptions=[away]) == [
        *listed("delete", exceptions, place="monitoring"),
        *(f"list {resource} monitoring maybe" for resource in USERS),
    ]
    allowed = kubernetes([{**GONE, "allow_in_use": True}], run, exceptions=[{**away, "allow_in_use": True}])
    assert not any("pods" in each for each in allowed)


@pytest.mark.parametrize("managed", [True, False, None])
def test_who_grants_roles(managed: bool | None) -> None:
    checked = plan([ENTRY], manage_role_assignments=managed)
    grants = [need for need in checked["azure"] if "Microsoft.Authorization/roleAssignments/write" in need["actions"]]
    assert (checked["manages"], bool(grants)) == (bool(managed), bool(managed))


def looks(name: str, entries: list[Raw], found: Raw, *results: Any, run: Run = RUN, **options: Any) -> list[Look]:
    """Those of a part; each finds the next of the results."""
    told, given = dict(found), iter(results)
    made = []
    for each in PARTS[name].looks_at({**OPTIONS, "list": entries, **options}, told, run):
        made.append(each)
        told[each.name] = next(given, {})
    return made


def table_needs() -> list[Raw]:
    """What is asked where it may not be listed."""
    error = {"error": {"status": 403}, "msg": "No."}
    needs: list[Raw] = looks("report", [ENTRY], LOOKING, error)[-1].arguments["needs"]
    return needs


def test_what_the_table_is_made_of() -> None:
    show = table_needs()
    objects = ["azureidentities", "azureidentitybindings", "azurepodidentityexceptions", "azureassignedidentities"]
    assert [(each["api_group"], each["resource"]) for each in show] == [
        *(("aadpodidentity.k8s.io", resource) for resource in objects),
        *(("", resource) for resource in ("pods", "nodes")),
        *(("apps", resource) for resource in USERS[1:5]),
        *(("batch", resource) for resource in USERS[5:]),
    ]
    assert [each["verbs"] for each in show] == [["list"]] * len(show)
    assert {(each["namespace"], each["certain"]) for each in show} == {("", True)}


def test_the_readme_tells_what_is_asked() -> None:
    told = {(each.api_group, resource) for each in KUBERNETES_PERMISSIONS.values() for resource in each.resources}
    entries, away = [ENTRY, {**PRINCIPAL, "name": "b"}, GONE], {**EXCEPTION, "name": "x", "state": "absent"}
    made = plan(entries, exceptions=[EXCEPTION, away], restart=[D], create_namespaces=True)
    asked = {(each["api_group"], each["resource"]) for each in made["kubernetes"] + table_needs()}
    assert told - asked == {("apps", "deployments, daemonsets or statefulsets")}  # one of them is restarted
    assert asked <= told


# with the cluster and what the tasks found

OF_CLUSTER = {
    "id": AKS,
    "kubelet_identity": {"object_id": "nodes", "resource_id": "/kubelet"},
    "identity": {"principal_id": "plane"},
}
HOME: Raw = {"cluster": OF_CLUSTER, "cluster_name": "one", "principal_id": ""}
NOBODY: Raw = {**HOME, "cluster": {}}
MADE = {"item": {"name": "billing"}, "state": {"id": BILLING, "client_id": "c", "principal_id": "p", "tenant_id": "t"}}
LATER = {**MADE, "state": {**MADE["state"], "principal_id": "(known after apply)"}}


def part(name: str, entries: list[Raw], observed: Raw, run: Run = RUN, **options: Any) -> Any:
    return PARTS[name].plan({**OPTIONS, "list": entries, **options}, observed, run)


@table(
    "entries, home, options, sentence",
    ([ENTRY], HOME, {}, ""),
    ([ENTRY], NOBODY, {}, "It is not known who the nodes of the cluster are, so they cannot be allowed"),
    ([ENTRY], {**NOBODY, "principal_id": "x"}, {}, ""),
    ([ENTRY], NOBODY, {"render_dir": "/r"}, ""),
    ([PRINCIPAL], NOBODY, {}, ""),
    ([ENTRY], HOME, {"mode": "addon"}, "The pod identity add-on of cluster one is off; enable it by the role"),
    ([ENTRY], {**NOBODY, "cluster": {"pod_identity_profile": {"enabled": True}}}, {"mode": "addon"}, ""),
    (
        [ENTRY],
        {**HOME, "namespace shop": {"resources": []}},
        {},
        "The namespace shop of pod_identity_bindings_list does not exist; create it, correct its name, or set "
        "pod_identity_bindings_create_namespaces=true.",
    ),
    ([ENTRY], {**HOME, "namespace shop": {"resources": [{}]}}, {}, ""),
)
def test_the_cluster_is_ready(entries: list[Raw], home: Raw, options: Raw, sentence: str) -> None:
    told = sentences(part, "cluster", entries, {**home, "objects": True}, **options)
    assert [each.startswith(sentence) for each in told] == [True] * bool(sentence)


@cases(
    "found, run, options, names, missing",
    ("each", {}, RUN, {}, ["namespace shop", "namespace monitoring"], []),
    ("some are known", {"there": ["shop"]}, RUN, {}, ["namespace monitoring"], []),
    ("told before", {}, CHECK, {}, [], []),
    ("no objects", {"objects": False}, RUN, {}, [], []),
    ("created", {}, RUN, {"create_namespaces": True}, ["namespaces"], ["monitoring"]),
    ("nothing to create", {"objects": False}, RUN, {"create_namespaces": True}, [], []),
)
def test_namespaces(found: Raw, run: Run, options: Raw, names: list[str], missing: list[str]) -> None:
    observed = {**HOME, "objects": True, **found}
    listed = {"resources": [{"metadata": {"name": "default"}}, {"metadata": {"name": "shop"}}]}
    given: Raw = {"exceptions": [EXCEPTION], **options}
    made = looks("cluster", [ENTRY, {**ENTRY, "namespace": None}], observed, listed, listed, run=run, **given)
    assert [each.name for each in made] == names
    assert all((each.in_cluster, each.arguments["kind"]) == (True, "Namespace") for each in made)
    seen = {**observed, **{each.name: listed for each in made}}
    assert part("cluster", [ENTRY], seen, run, **given)["missing_namespaces"] == missing


def test_namespaces_of_a_cluster_that_is_only_predicted() -> None:
    options: Raw = {"exceptions": [EXCEPTION], "create_namespaces": True}
    plan = part("cluster", [ENTRY], {**HOME, "objects": True}, CHECK, **options)
    assert plan["missing_namespaces"] == ["shop", "monitoring"]


PLACES = {
    "groups": [{"subscription": "", "group": "other"}, {"subscription": "s", "group": "rg"}],
    "objects": True,
    "resource group /other": {"groups": [{"id": "/other", "provisioning_state": "Deleting"}]},
    "resource group s/rg": {"groups": [{"id": RG, "provisioning_state": "Succeeded"}]},
    "namespace shop": {"resources": []},
    "namespace monitoring": {"resources": []},
    "namespace kept": {"resources": [{}]},
}
EMPTY = {"groups": [], "objects": True}


def test_places_that_are_missing() -> None:
    plan = part("places", [ENTRY], PLACES, CHECK)
    assert [sentence.partition(" does not exist; ")[0] for sentence in plan["warnings"]] == [
        "The resource group other of identities in pod_identity_bindings_list",
        "The namespace shop of pod_identity_bindings_list",
        "The namespace monitoring of pod_identity_bindings_exceptions",
        "Unless an earlier task of this playbook creates what is missing, the real run stops here.",
    ]
    assert plan["there"] == ["kept"]
    assert list(refusal(part, "places", [ENTRY], PLACES).sentences) == plan["warnings"][:-1]
    assert part("places", [ENTRY], EMPTY) == {"warnings": [], "there": []}


def test_where_places_are_looked_for() -> None:
    made = looks("places", [ENTRY], {"groups": PLACES["groups"], "objects": True})
    assert [(each.name, each.in_cluster, each.in_check_mode) for each in made] == [
        *(("resource group /other", False, False), ("resource group s/rg", False, False)),
        ("namespace shop", True, False),
    ]
    assert made[0].arguments == {"subscription_id": None, "name": "other"}
    assert {each.module for each in made[:2]} == {"resource_group_info"} and made[0].tolerates is None
    assert looks("places", [ENTRY], EMPTY, create_namespaces=True) == []


GUID = "acdd72a7-3385-48ef-bd42-f606fba81ae7"
OWN_ROLE = {**ENTRY, "subscription_id": "s", "roles": [{"role": "Readr"}, {"role": "Reader"}, {"role": GUID}]}
OF_ROLE = "role Readr at /subscriptions/s/resourceGroups/rg"


def test_roles_and_secrets_that_are_named_wrongly() -> None:
    entries = [OWN_ROLE, PRINCIPAL]
    made = looks("places", entries, EMPTY)
    secret = f"Secret {PRINCIPAL.get('namespace') or 'default'}/{PRINCIPAL['client_password_secret']['name']}"
    assert [each.name for each in made if each.name.startswith(("role ", "Secret "))] == [OF_ROLE, secret]
    asked = {each.name: each for each in made}
    # Built-in roles and GUIDs need no request, and nothing that a Secret holds is looked at.
    assert asked[OF_ROLE].arguments["roles"] == ["Readr"] and not asked[OF_ROLE].in_cluster
    assert "data" in asked[secret].arguments["hidden_fields"]
    unknown = {OF_ROLE: {"failed": True, "msg": "There is no role named 'Readr' at /s; check its spelling."}}
    observed = {**EMPTY, **unknown, secret: {"resources": []}}
    parts = (f"The {secret} that client_password_secret", "There is no role named 'Readr' at /s; check its spelling")
    for run in (RUN, CHECK):
        told = refusal(part, "places", entries, observed, run).sentences
        assert each_has(told, parts) and all(map(str.startswith, told, (each[:40] for each in parts)))
    # Whoever may not look, and what is there, stops nothing.
    denied: Raw = {"failed": True, "msg": "denied", "error": {"status": 403}}
    there: Raw = {"assignments": []}
    for look in (denied, there):
        found = {**EMPTY, OF_ROLE: look, secret: look if look is denied else {"resources": [{}]}}
        assert part("places", entries, found)["warnings"] == []
    # Files are written without a cluster.
    without = looks("places", entries, {"groups": [], "objects": False})
    assert [each.name for each in without] == [OF_ROLE]


def test_what_follows_from_the_identities() -> None:
    principal = {**PRINCIPAL, "name": "p", "labels": {"tier": 1}, "behavior": "namespaced"}
    second = {**ENTRY, "state": "absent", "binding_name": "second"}
    observed = {**HOME, "known": {"old": {"id": "x"}, "billing": {}}, "made": [MADE]}
    made = part("identities", [ENTRY, principal, second, GONE], observed)
    none = {"id": "", "client_id": "a", "principal_id": "", "tenant_id": "T"}
    assert made["identities"] == {"old": {"id": "x"}, "billing": MADE["state"], "p": none}
    assert made["protected"] == ["/kubelet"]
    place = {"namespace": "shop", "selector": "billing"}
    of_principal = {key: value for key, value in principal.items() if key != "state"}
    absent = {"namespace": "shop", "state": "absent", "allow_in_use": False}
    assert made["bindings"] == [
        {**place, "name": "billing", "binding_name": "billing", "type": 0, "client_id": "c", "resource_id": BILLING},
        {**of_principal, "binding_name": "p"},
        {**absent, "name": "billing", "binding_name": "second", "only": "binding"},
        {**absent, "name": "old", "binding_name": "old"},
    ]
    assert made["of_addon"]["AzureIdentity"] == ["shop/c", "shop/a"]
    assert made["of_addon"]["AzureIdentityBinding"] == ["shop/billing", "shop/billing"]
    entry = {"name": "billing", "namespace": "shop", "identity": BILLING, "binding_selector": "billing"}
    assert made["entries"][0] == entry


OPERATOR = "Managed Identity Operator"
SHOW_IDENTITY = f"az identity show --ids {BILLING} --query principalId -o tsv"


@cases(
    "home, made, options, expected",
    ("nodes", HOME, MADE, {}, ("for the nodes", "nodes", False, "")),
    ("named", {**HOME, "principal_id": "x"}, MADE, {}, ("for the nodes", "x", False, "")),
    ("identity later", HOME, LATER, {}, ("for the nodes", "nodes", True, "")),
    ("nobody", NOBODY, MADE, {"render_dir": "/r"}, None),
    ("the add-on's module grants it", HOME, MADE, {"mode": "addon"}, None),
    (
        "control plane",
        HOME,
        MADE,
        {"mode": "addon", "manage_role_assignments": False},
        ("for the cluster", "plane", False, f"az aks show --ids {AKS} --query identity.principalId -o tsv"),
    ),
)
def test_who_may_use_an_identity(
    home: Raw, made: Raw, options: Raw, expected: tuple[str, str, bool, str] | None
) -> None:
    entry = {**ENTRY, "roles": [{"role": "Reader"}, {"role": "Own", "scope": "/x"}]}
    roles = part("identities", [entry], {**home, "known": {}, "made": [made]}, **options)["roles"]
    later = made is LATER
    principal = made["state"]["principal_id"]
    extra = [(role, scope, principal, later, SHOW_IDENTITY) for role, scope in (("Reader", RG), ("Own", "/x"))]
    assert [list(role.values()) for role in roles[-2:]] == [[f"{each[0]} for billing", *each] for each in extra]
    operator = [(f"{OPERATOR} {expected[0]} on billing", OPERATOR, BILLING, *expected[1:])] if expected else []
    assert [tuple(role.values()) for role in roles[:-2]] == operator


def test_what_somebody_else_has_to_grant() -> None:
    command = {"known_after_apply": True, "principal_id_command": "az y"}
    item = {"label": "x", **command}
    made = {"changes": [{"verb": "create"}], "state": {"role_name": "R"}, "item": item}
    granted = [made, {"changes": [], "state": {}, "item": item}]
    assert part("lacking", [], {"granted": granted})["assignments"] == [{"role_name": "R", **command}]


def test_what_changes_has_to_be_allowed() -> None:
    one, other, last = ({"scope": scope, "actions": ["a"]} for scope in ("/a", "/b", "/c"))
    predicted = [{"permissions": [one], "results": [{"permissions": [other]}, {"skipped": True}]}, {}]
    observed: Raw = {"predicted": [*predicted, {"permissions": [last]}], "missing_namespaces": []}
    assert part("changes", [], observed)["permissions"] == [one, other, last]
    namespaces = {"verbs": ["create", "get"], "resource": "namespaces"}
    everywhere = {"api_group": "", "subresource": "", "namespace": ""}
    nothing = {"predicted": [], "missing_namespaces": ["n"]}
    assert part("changes", [], nothing)["permissions"] == [{**namespaces, **everywhere}]


def identity(name: str, written: str = "1", manager: str = "azureops.pod_identity", **annotations: str) -> Raw:
    fields = [{"manager": manager, "time": written}]
    metadata = {"namespace": "shop", "name": name, "managedFields": fields, "annotations": annotations}
    return {"kind": "AzureIdentity", "metadata": metadata, "spec": {"type": 0, "resourceID": "/A", "clientID": "c"}}


def binding(name: str, of: str, selector: str = "s") -> Raw:
    fields = [{"manager": "azureops.pod_identity", "time": "2"}, {"manager": "kubectl", "time": "3"}]
    metadata = {"namespace": "shop", "name": name, "managedFields": fields}
    return {"kind": "AzureIdentityBinding", "metadata": metadata, "spec": {"azureIdentity": of, "selector": selector}}


NOTHING: Raw = {"predicts": False, "made": [], "planned": [], "addon": {}, "left": []}
IDENTITIES_LIVE, BINDINGS_LIVE = [identity("one"), identity("two")], [binding("b", "one"), binding("c", "none")]
LIVE: Raw = {"live": [{"resources": IDENTITIES_LIVE}, {"resources": BINDINGS_LIVE}], **NOTHING}
SPEC = '{"clientID": "c", "resourceID": "/a", "type": 0}'
PAIR = {"selector": "s", "only": "", "written": "2", "content": ["shop", "one", "b", SPEC]}


ADDON_CHANGED = {"verb": "change", "kind": "Microsoft.ContainerService/managedClusters", "id": "/c", "why": "add x"}
ROLE_ASSIGNED = {"verb": "create", "kind": "Microsoft.Authorization/roleAssignments", "id": "/r", "why": "Reader"}


def added(*entries: Raw) -> Raw:
    return {"changes": [ADDON_CHANGED], "state": {"identities": list(entries)}}


def restarts(mode: str = "chart", **observed: Any) -> Any:
    return part("restart", [], {**LIVE, **observed}, mode=mode)["matches"]


def test_by_what_pods_are_compared() -> None:
    assert restarts() == [PAIR]
    assert restarts("addon") == [{**PAIR, "only": "shop", "written": "3", "content": ["shop", "one", "", SPEC]}]
    namespaced = identity("one", **{"aadpodidentity.k8s.io/Behavior": "namespaced"})
    assert restarts(live=[{"resources": [namespaced, binding("b", "one")]}]) == [{**PAIR, "only": "shop"}]
    assert restarts(live=[{"resources": [identity("one", "4"), binding("b", "one")]}]) == [{**PAIR, "written": "4"}]
    foreign = identity("one", "4", "kubectl")
    assert restarts(live=[{"resources": [foreign, binding("b", "one")]}]) == [PAIR]


def test_by_what_they_would_be_compared() -> None:
    made = [{"identity": None, "binding": binding("d", "two", "t")}]
    planned = [
        {"kind": "AzureIdentityBinding", "namespace": "shop", "name": "d", "verb": "create"},
        {"kind": "AzureIdentity", "namespace": "shop", "name": "one", "verb": "delete"},
    ]
    new = {"selector": "t", "only": "", "written": "now", "content": ["shop", "two", "d", SPEC]}
    assert restarts(predicts=True, made=made, planned=planned) == [new]
    assert restarts(predicts=True, made=made) == [PAIR]  # nothing is planned
    assert restarts(made=made, planned=planned) == [PAIR]  # it is written by now


def test_by_what_they_would_be_compared_with_the_addon() -> None:
    entry = {"namespace": "shop", "name": "one", "identity": "/A", "client_id": "c", "binding_selector": "s"}
    pair = {**PAIR, "only": "shop", "content": ["shop", "one", "", SPEC]}
    assert restarts("addon", predicts=True, addon=added(entry)) == [{**pair, "written": "3"}]
    other = {**entry, "binding_selector": "t"}
    expected = {**pair, "written": "now", "selector": "t"}
    assert restarts("addon", predicts=True, addon=added(other)) == [expected]
    unchanged = {**added(other), "changes": []}
    for made in (unchanged, {"changes": [ADDON_CHANGED]}, {"skipped": True}):
        assert restarts("addon", predicts=True, addon=made) == [{**pair, "written": "3"}]
    left = [{"changes": [ADDON_CHANGED], "item": {"entries": [{"namespace": "shop", "name": "one"}]}}]
    assert restarts("addon", predicts=True, left=left) == []
    assert restarts("addon", predicts=True, left=[{**left[0], "changes": []}]) == [{**pair, "written": "3"}]


LOOKING: Raw = {"planned": [], "addon": {}, "left": [], "reachable": True}


@table(
    "mode, changes, foreseen",
    ("chart", {}, False),
    ("chart", {"planned": [{"kind": "AzureIdentity"}]}, True),
    ("addon", {"planned": [{"kind": "AzureIdentity"}]}, False),
    ("addon", {"addon": {"changes": [ROLE_ASSIGNED]}}, False),
    ("addon", {"addon": {"changes": [ROLE_ASSIGNED, ADDON_CHANGED]}}, True),
    ("chart", {"addon": {"changes": [ADDON_CHANGED]}}, False),
    ("addon", {"left": [{"skipped": True}, {"changes": []}]}, False),
    ("addon", {"left": [{"changes": []}, {"changes": [ADDON_CHANGED]}]}, True),
)
def test_what_decides_it_changes(mode: str, changes: Raw, foreseen: bool) -> None:
    """Then check mode does not look."""
    seen = {**LOOKING, **changes}
    assert len(looks("report", [ENTRY], seen, mode=mode)) == 1
    assert len(looks("report", [ENTRY], seen, mode=mode, run=CHECK)) == int(not foreseen)
    assert looks("report", [], seen, mode=mode) == []


def test_who_gets_what_is_looked_at() -> None:
    (seen,) = looks("report", [ENTRY, {**GONE, "namespace": None}], LOOKING, exceptions=[EXCEPTION])
    assert (seen.module, seen.arguments) == ("pod_identity_info", {"namespaces": ["default", "monitoring", "shop"]})
    (seen,) = looks("report", [ENTRY], LOOKING, mode="addon")
    assert seen.arguments == {"namespaces": ["shop"], "mode": "managed", "force_namespaced": True}
    tolerates = seen.tolerates
    assert tolerates and [tolerates({"error": {"status": status}}) for status in (403, 500)] == [True, False]
    assert not tolerates({})


@table(
    "entries, allowed",
    ([ENTRY], False),
    ([ENTRY, {**ENTRY, "name": "other", "allow_in_use": True}], True),
    ([{**ENTRY, "allow_in_use": None}, {**GONE, "allow_in_use": True}], False),
)
def test_what_may_replace_what_is_in_use(entries: list[Raw], allowed: bool) -> None:
    assert plan(entries)["allow_in_use"] is allowed


USES: Raw = {"selector": "billing", "identities": [{"namespace": "shop", "name": "billing"}]}
GETS = {"exceptions": [], "default": {"answers": ["token", "404"], "identities": ["billing", "other"]}}
WORKLOAD: Raw = {"kind": "Deployment", "namespace": "shop", "name": "api", **USES, **GETS}
FOUND = [{"code": "x", "object": "Deployment shop/api"}, {"code": "y", "object": "Deployment shop/a"}]
SEEN: Raw = {
    **LOOKING,
    "planned": [{"kind": "AzureIdentity"}],
    "seen": {"workloads": [WORKLOAD, {**WORKLOAD, "selector": "", "identities": []}], "findings": FOUND},
}
REFUSED = {"error": {"status": 403}, "msg": "No."}
LACKING = [{"verb": "list", "resource": what, "api_group": of} for what, of in (("pods", ""), ("jobs", "batch"))]


def test_who_gets_what() -> None:
    plan = part("report", [ENTRY], SEEN)
    assert plan["report"] == {"workloads": [WORKLOAD], "findings": FOUND, "left_out": ""}
    assert [" ".join(line.split()) for line in plan["lines"]] == [
        "WORKLOAD KIND IDENTITIES DEFAULT IDENTITY FINDINGS",
        "shop/api Deployment shop/billing billing or other or 404 x",
        "",
        "CODE SEVERITY OBJECT MESSAGE REMEDY",
        "x - Deployment shop/api - -",
        "y - Deployment shop/a - -",
    ]


@table(
    "entries, changes, check_mode, told",
    ([], {}, False, ": neither pod_identity_bindings_list nor pod_identity_bindings_exceptions names anything."),
    ([ENTRY], {"reachable": False}, True, ": there is no cluster yet."),
    ([ENTRY], {}, True, ": what decides it would be changed first, which check mode only predicts."),
    ([ENTRY], {"planned": []}, True, ""),
    ([ENTRY], {"seen": REFUSED}, False, ": No."),
    (
        [ENTRY],
        {"seen": REFUSED, "unlisted": {"missing": LACKING}},
        False,
        ", because in the whole cluster the user of the connection may not list pods, list jobs.batch; somebody "
        "who administers the cluster has to give it a role that allows it.",
    ),
)
def test_why_it_is_not_shown(entries: list[Any], changes: Raw, check_mode: bool, told: str) -> None:
    plan = part("report", entries, {**SEEN, "seen": {}, **changes}, Run(check_mode=check_mode))
    left_out = f"Who gets what is not shown{told}" if told else ""
    report = {"workloads": [], "findings": [], "left_out": left_out}
    assert plan == {"report": report, "lines": [left_out] if told else []}
