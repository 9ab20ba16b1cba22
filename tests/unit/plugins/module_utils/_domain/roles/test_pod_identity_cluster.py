# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The decisions of the role pod_identity_cluster."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.errors import Failure
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.roles.part import (
    Nothing,
    Run,
    given_options,
)
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.roles.pod_identity_cluster import (
    ADDON,
    CREATE,
    NODE_ROLES,
    PARTS,
    PHASES,
    REMOVE,
    ROLES,
    Addon,
    Asking,
    Assignment,
    Changes,
    Cluster,
    Creation,
    Group,
    Known,
    Missing,
    NodeRoles,
    Options,
    Predicted,
    Questions,
    Ungranted,
    addon,
    changes,
    check,
    create,
    grants,
    look_for_group,
    node_roles,
    own_questions,
    questions,
)
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.roles.pod_identity_cluster import (
    refusal as refused_permissions,
)
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.sessions import KNOWN_AFTER_APPLY
from ansible_collections.azureops.pod_identity.tests.unit.deciding import CHECK, RUN, Raw, each_has, only, sentences
from ansible_collections.azureops.pod_identity.tests.unit.tables import cases, table

OPTIONS = Options(name="one", resource_group="rg", subscription_id="s", location="westeurope")
SCOPE = "/subscriptions/s/resourceGroups/rg/providers/Microsoft.ContainerService/managedClusters/one"
CLUSTER = Cluster(
    SCOPE.replace("resourceGroups", "resourcegroups"), "one", "rg", "one.azmk8s.io", "MC_one", "azure", addon=True
)
AKS, RG = "Microsoft.ContainerService/managedClusters", "/subscriptions/s/resourceGroups/rg"
NODES = "MC_rg_one_westeurope"
EXISTING, EXPECTED = "/subscriptions/s/resourceGroups/MC_one", f"/subscriptions/s/resourceGroups/{NODES}"
READ, CONNECT = (SCOPE, f"{AKS}/read", True), (SCOPE, f"{AKS}/listClusterUserCredential/action", True)
ROLES_READ = "Microsoft.Authorization/roleAssignments/read"
ROLES_WRITE = "Microsoft.Authorization/roleAssignments/write"
GROUPS = "Microsoft.Resources/subscriptions/resourceGroups"
GRANTED = [(EXISTING, ROLES_READ, True), (EXISTING, ROLES_WRITE, False)]


def refused(part: Any, *arguments: Any) -> str:
    """The sentences of a refusal; empty where there is none."""
    return " ".join(sentences(part, *arguments))


@table(
    "options, check_mode, sentence",
    ({}, False, ""),
    ({"name": ""}, False, "No cluster is named; set pod_identity_cluster_name"),
    ({"resource_group": ""}, False, "No cluster is named; set pod_identity_cluster_name"),
    ({"network_plugin": "kubenet"}, False, "Cluster one uses the network plugin kubenet, on which"),
    ({"network_plugin": "kubenet", "allow_network_plugin_kubenet": True}, False, ""),
    ({"state": "absent"}, False, "would be deleted; to confirm, set pod_identity_cluster_confirm_absent=one"),
    ({"state": "absent"}, True, ""),
    ({"state": "absent", "confirm_absent": "one"}, False, ""),
    ({"state": "absent", "confirm_absent": "One"}, False, "to confirm, set"),
)
def test_options_are_checked(options: Raw, check_mode: bool, sentence: str) -> None:
    told = refused(check, replace(OPTIONS, **options), Nothing(), Run(check_mode=check_mode))
    assert (sentence in told, bool(told)) == (True, bool(sentence))


Asked = list[tuple[str, str, bool]]


def asked(plan: Questions) -> Asked:
    return [(need.scope, action, need.certain) for need in plan.azure for action in need.actions]


OWN, NEW, CONNECTS = Asking(CLUSTER), Asking(Cluster()), Asking(CLUSTER, connects=True)


@cases(
    "options, asking, expected",
    ("nothing of its own", {}, OWN, []),
    ("connects", {}, CONNECTS, [READ, CONNECT]),
    ("no name", {"name": "", "resource_group": ""}, replace(CONNECTS, cluster=Cluster()), []),
    ("admin", {"credentials": "admin"}, CONNECTS, [READ, (SCOPE, f"{AKS}/listClusterAdminCredential/action", True)]),
    ("environment", {}, replace(CONNECTS, named_elsewhere=True), [READ]),
    ("kubeconfig", {"kubeconfig": "/k"}, CONNECTS, [READ]),
)
def test_azure_is_asked_for_others(options: Raw, asking: Asking, expected: Asked) -> None:
    assert asked(questions(replace(OPTIONS, **options), asking, RUN)) == expected


WRITE_CLUSTER, DELETE = (SCOPE, f"{AKS}/write", False), (SCOPE, f"{AKS}/delete", True)
WRITE_GROUP = [(RG, f"{GROUPS}/read", True), (RG, f"{GROUPS}/write", False)]
POOLS = ({"name": "a"}, {"name": "b", "vnet_subnet_id": "/subnet"})
OF_NODES = "/resourceGroups/nodes"


@cases(
    "options, asking, run, expected",
    ("unchanged", {}, OWN, RUN, [READ, *GRANTED]),
    ("kept", {"keep_kubeconfig": True}, OWN, RUN, [READ, CONNECT, *GRANTED]),
    ("only looks", {"manage_role_assignments": False}, OWN, RUN, [READ, GRANTED[0]]),
    ("skipped", {}, OWN, Run(skipped_tags=(ROLES,)), [READ]),
    ("another role", {}, OWN, only("pod_identity_chart_wait"), [READ]),
    ("new", {}, NEW, RUN, [READ, (EXPECTED, ROLES_READ, True), (EXPECTED, ROLES_WRITE, False)]),
    (
        "new, group of the nodes, no subscription, and needs of others",
        {"node_resource_group": "nodes", "subscription_id": ""},
        replace(NEW, azure=({"scope": "/x", "actions": ["a"]},)),
        Run(skipped_tags=(CREATE,)),
        [
            (SCOPE.removeprefix("/subscriptions/s"), f"{AKS}/read", True),
            *((OF_NODES, ROLES_READ, True), (OF_NODES, ROLES_WRITE, False), ("/x", "a", True)),
        ],
    ),
    (
        "create",
        {"create": True, "kubelet_identity": "/identity", "agent_pools": POOLS},
        NEW,
        only(CREATE),
        [
            *(READ, *WRITE_GROUP, WRITE_CLUSTER),
            ("/identity", "Microsoft.ManagedIdentity/userAssignedIdentities/assign/action", False),
            ("/subnet", "Microsoft.Network/virtualNetworks/subnets/join/action", False),
        ],
    ),
    ("change", {"create": True}, OWN, only(CREATE), [READ, WRITE_CLUSTER]),
    ("tags of the group", {"create": True, "tags": {}}, OWN, only(CREATE), [READ, *WRITE_GROUP, WRITE_CLUSTER]),
    ("add-on is there", {"mode": "addon"}, OWN, RUN, [READ]),
    (
        "add-on without consent",
        {"mode": "addon"},
        replace(OWN, cluster=replace(CLUSTER, network_plugin="kubenet")),
        RUN,
        [READ, CONNECT, WRITE_CLUSTER],
    ),
    (
        "absent",
        {"state": "absent", "remove_resource_group": True},
        OWN,
        RUN,
        [READ, DELETE, (RG, f"{GROUPS}/delete", True)],
    ),
    ("group stays", {"state": "absent"}, OWN, RUN, [READ, DELETE]),
    ("is absent", {"state": "absent"}, NEW, RUN, [READ]),
    ("absent, skipped", {"state": "absent"}, OWN, Run(skipped_tags=(REMOVE,)), [READ]),
)
def test_azure_is_asked(options: Raw, asking: Asking, run: Run, expected: Asked) -> None:
    assert asked(own_questions(replace(OPTIONS, **options), asking, run)) == expected


MISSING = replace(NEW, missing=True, regions=("westeurope", "northeurope"))
AZURE_ID = "/subscriptions/s/resourcegroups/rg/providers/microsoft.managedidentity/userassignedidentities/"


@cases(
    "options, asking, run, parts",
    ("right", {}, MISSING, RUN, []),
    ("with blanks", {"location": "West Europe"}, MISSING, RUN, []),
    ("nowhere", {"location": ""}, MISSING, RUN, ["set pod_identity_location to the region in which."]),
    (
        "misspelt",
        {"location": "westeuropa"},
        MISSING,
        RUN,
        ["is westeuropa, which is no region of the subscription; did"],
    ),
    ("unlike any", {"location": "moon"}, MISSING, RUN, ["subscription; it has westeurope, northeurope."]),
    (
        *("group", {"resource_group_location": "northeuropa"}, MISSING, RUN),
        ["pod_identity_cluster_resource_group_location is northeuropa, which is no region"],
    ),
    ("untold", {"location": "moon"}, replace(MISSING, regions=()), RUN, []),
    ("not known to be missing", {"location": ""}, NEW, RUN, []),
    ("not to be created", {"location": "", "create": False}, MISSING, RUN, []),
    ("another phase", {"location": ""}, MISSING, only(ROLES), []),
    ("kubelet", {"kubelet_identity": AZURE_ID + "a"}, MISSING, RUN, ["a system-assigned control plane cannot use"]),
    ("both", {"kubelet_identity": AZURE_ID + "a", "user_assigned_identity": AZURE_ID + "b"}, MISSING, RUN, []),
    (
        "issuer",
        {"workload_identity_enabled": True},
        MISSING,
        RUN,
        ["which needs an issuer; set pod_identity_cluster_oidc"],
    ),
)
def test_what_cannot_be_created_is_refused(options: Raw, asking: Asking, run: Run, parts: list[str]) -> None:
    told = sentences(own_questions, replace(OPTIONS, **{"create": True, **options}), asking, run)
    assert each_has(told, parts), told


def test_the_cluster_is_asked() -> None:
    of_others = ({"need": {"verbs": ["get"], "resource": "pods"}, "namespace": "a"},)
    asking = Asking(replace(CLUSTER, addon=False), kubernetes=of_others)
    plan = own_questions(replace(OPTIONS, mode="addon"), asking, RUN)
    needs = [(need.resource, need.api_group, need.namespace, need.certain) for need in plan.kubernetes]
    assert needs == [("daemonsets", "apps", "", False), ("pods", "", "a", True)]
    assert plan.phases == PHASES
    for options, run in ((OPTIONS, RUN), (replace(OPTIONS, mode="addon"), Run(skipped_tags=(ADDON,)))):
        assert [need.resource for need in own_questions(options, asking, run).kubernetes] == ["pods"]


@pytest.mark.parametrize("managed", [True, False, None])
def test_who_grants_roles(managed: bool | None) -> None:
    options = given_options(Options, {**vars(OPTIONS), "manage_role_assignments": managed})
    assert asked(own_questions(options, OWN, RUN)) == [READ, *(GRANTED if managed else GRANTED[:1])]


def test_other_roles_need_few_options() -> None:
    """Those that are undefined, or costly to find, fail or cost only where they are read."""
    naming = ("name", "subscription_id", "resource_group")
    expected = {"refusal": (), "second_nmi": ("name",), "grants": naming}
    expected["questions"] = (*naming, "kubeconfig", "credentials")
    assert {part: PARTS[part].names for part in expected} == expected


ASSIGNMENT = Assignment("Reader", "/scope", "p", known_after_apply=False)
STATES = {
    "Reader": {"id": "/a/reader", "role_name": "Reader", "scope": "/scope", "principal_id": "p"},
    "Owner": {"id": "/a/owner", "role_name": "Owner", "scope": "/scope", "principal_id": "p"},
}


OF_CLUSTER = {"scope": SCOPE, "actions": [f"{AKS}/write"]}
FIND_NMI = {"verbs": ["list"], "resource": "daemonsets", "api_group": "apps", "subresource": "", "namespace": ""}


def test_what_changes() -> None:
    create = {"verb": "create", "kind": "Microsoft.Authorization/roleAssignments", "id": "/a/reader", "why": "Reader"}
    made = [create, {**create, "verb": "delete", "id": "/a/owner"}]
    granted = {"changes": made, "state": STATES, "permissions": [OF_CLUSTER]}
    observed: Raw = {"cluster": {}, "predicted": [{}, granted], "addon": {}, "granted": granted}
    found = replace(Predicted.parse(observed), cluster=CLUSTER)
    assert changes(OPTIONS, found, RUN) == Changes((OF_CLUSTER,), ())
    not_granted = replace(OPTIONS, manage_role_assignments=False)
    assert changes(not_granted, found, RUN).ungranted == (ASSIGNMENT,)
    later = replace(found, cluster=replace(CLUSTER, fqdn=KNOWN_AFTER_APPLY))
    assert changes(not_granted, later, RUN).ungranted == (replace(ASSIGNMENT, known_after_apply=True),)
    assert changes(not_granted, Predicted(CLUSTER), RUN) == Changes((), ())
    addon = Predicted.parse({**observed, "predicted": [], "addon": {"permissions": [OF_CLUSTER]}, "granted": {}})
    assert changes(OPTIONS, addon, RUN).permissions == (OF_CLUSTER, FIND_NMI)


ACTION = {"action": "a/read", "scope": "/x/y/z", "reason": "not_granted", "by": "", "remedy": "Ask.", "certain": True}
IN_N: Raw = {"api_group": "", "namespace": "n", "remedy": "Grant.", "certain": True}
VERB = {"verb": "get", "resource": "pods", "subresource": "proxy", **IN_N}
CHANGING = {**VERB, "certain": False, "api_group": "apps", "subresource": "", "namespace": ""}
NEEDED = {"verbs": ["list", "get"], "resource": "pods", "api_group": "apps", "subresource": "", "namespace": "n"}
WRITE = {**ACTION, "action": "A/write", "certain": False}
LIST, IN_CORE = {**NEEDED, "verbs": ["list"]}, {**NEEDED, "api_group": ""}
ON_PROXY = {**NEEDED, "subresource": "proxy"}
ONE, TWO = (f"{number} missing, and nothing was changed:" for number in ("1 permission is", "2 permissions are"))
PODS, AT_Z = "get pods.apps in the whole cluster (not granted)", "/x/y/z"


@cases(
    "missing, permissions, message",
    ("nothing", (), (), ""),
    ("not needed", (CHANGING, WRITE), (), ""),
    ("another verb, group, subresource", (CHANGING, WRITE), (LIST, IN_CORE, ON_PROXY), ""),
    ("another scope", (CHANGING, WRITE), ({"scope": "/x/y/other", "actions": ["a/write"]},), ""),
    ("another action", (CHANGING, WRITE), ({"scope": AT_Z, "actions": ["a/delete"]},), ""),
    ("needed", (CHANGING, WRITE), (NEEDED,), f"{ONE} {PODS}. Grant."),
    ("needed elsewhere", ({**CHANGING, "namespace": "other"},), (NEEDED,), ""),
    (
        "needed in Azure, spelled otherwise",
        (CHANGING, WRITE),
        ({"scope": "/X/y/Z", "actions": ["b", "a/Write"]},),
        f"{ONE} A/write at /x/y/z (not granted). Ask.",
    ),
    (
        "with one that is certain, all",
        (ACTION, CHANGING, ACTION),
        (),
        f"{TWO} a/read at /x/y/z (not granted); {PODS}. Ask. Grant.",
    ),
    (
        "reasons",
        ({**ACTION, "reason": "denied_by_assignment", "by": "AKS"}, VERB),
        (),
        f"{TWO} a/read at {AT_Z} (denied by assignment by AKS); get pods/proxy in namespace n (not granted). Ask. "
        "Grant.",
    ),
)
def test_what_is_not_permitted(missing: tuple[Raw, ...], permissions: tuple[Raw, ...], message: str) -> None:
    plan = refused_permissions(Nothing(), Missing.parse({"missing": missing, "permissions": permissions}), RUN)
    assert (plan.message, bool(plan.rows), len(plan.rows)) == (message, bool(message), len(plan.short))
    assert [row.where for row in plan.short if row.permission == "a/read"] in ([], ["y/z"])


def test_commands_for_whoever_may_grant_roles() -> None:
    later = replace(ASSIGNMENT, principal_id=KNOWN_AFTER_APPLY, known_after_apply=True)
    command = (
        'az role assignment create --assignee-object-id {} --assignee-principal-type ServicePrincipal --role "Reader"'
    )
    command += ' --scope "/scope"'
    of_nodes = (
        '"$(az aks show --name one --resource-group rg --subscription s '
        '--query identityProfile.kubeletidentity.objectId -o tsv)"'
    )
    now, nodes = command.format("p"), command.format(of_nodes)
    other = command.format('"$(az x)"')
    plan = grants(OPTIONS, Ungranted((ASSIGNMENT, ASSIGNMENT, later, replace(later, principal_id_command="az x"))), RUN)
    assert [each.command for each in plan.commands] == [now, nodes, other]
    assert [each.about.partition("; ")[2].split(",")[0] for each in plan.commands] == [
        "for whoever may grant them",
        *["the real run stops until these are granted"] * 2,
    ]
    assert plan.message.startswith(
        "1 role assignments are missing for cluster one; have them granted and run this again,"
    )
    assert plan.message.endswith(now)
    assert grants(OPTIONS, Ungranted((later,)), RUN).message == ""


def test_where_a_resource_group_lies() -> None:
    assert create(OPTIONS, Group(Cluster(), missing=True), RUN) == Creation("westeurope")
    assert create(OPTIONS, Group(Cluster(), missing=False), RUN) == Creation("")
    elsewhere = replace(OPTIONS, resource_group_location="northeurope")
    assert create(elsewhere, Group(CLUSTER, missing=False), RUN) == Creation("northeurope")
    assert create(replace(OPTIONS, location=""), Group(CLUSTER, missing=False), RUN) == Creation("")
    assert "no region is named" in refused(create, replace(OPTIONS, location=""), Group(Cluster(), missing=True), RUN)
    there, going = ({"name": "rg", "provisioning_state": state} for state in ("Succeeded", "Deleting"))
    assert Group.parse({"cluster": {}, "group": {"groups": []}}).missing
    assert Group.parse({"cluster": {}, "group": {"groups": [going]}}).missing
    assert not Group.parse({"cluster": {}, "group": {"groups": [there]}}).missing
    assert not Group.parse({"cluster": {"id": "/c"}}).missing
    assert [look.module for look in look_for_group(OPTIONS, {"cluster": {}}, RUN)] == ["resource_group_info"]
    assert list(look_for_group(OPTIONS, {"cluster": {"id": "/c"}}, RUN)) == []


@table(
    "cluster, lacks, consents",
    ({}, False, False),
    ({"addon": False}, True, False),
    ({"network_plugin": "kubenet"}, True, True),
    ({"network_plugin": "kubenet", "addon_accepts_kubenet": True}, False, True),
)
def test_what_the_addon_lacks(cluster: Raw, lacks: bool, consents: bool) -> None:
    found = addon(OPTIONS, Known(replace(CLUSTER, **cluster)), RUN)
    assert found == Addon(lacks, consents, "pod_identity_cluster_addon")


@pytest.mark.parametrize("keep", [False, None, True])
def test_who_ends_the_connection(keep: bool | None) -> None:
    looker = "pod_identity_cluster" if keep else "pod_identity_cluster_addon"
    options = given_options(Options, {**vars(OPTIONS), "keep_kubeconfig": keep})
    assert own_questions(options, OWN, RUN).looker == addon(options, Known(CLUSTER), RUN).looker == looker
    assert questions(options, OWN, RUN).looker == ""
    assert own_questions(options, replace(OWN, connects=True), RUN).looker == "pod_identity_cluster"


@table(
    "expected, cluster, going",
    (["/a", "/b"], {"id": "/c"}, ["/a", "/b", "/c"]),
    (["/a"], {}, ["/a"]),
    (None, {"id": "/c"}, ["/c"]),
    ([], {}, []),
)
def test_what_may_go_with_the_group(expected: list[str] | None, cluster: dict[str, str], going: list[str]) -> None:
    observed, options = {"cluster": cluster}, {"name": "one", "expected_resources": expected}
    assert PARTS["removal"].plan({**options, "confirm_absent": "one"}, observed, RUN) == {"going": going}
    assert PARTS["removal"].plan(options, observed, CHECK) == {"going": going}
    assert "set pod_identity_cluster_confirm_absent=one" in refused(PARTS["removal"].plan, options, observed, RUN)


@table(
    "changes, run, looks",
    ({}, RUN, True),
    ({"subscription_id": ""}, RUN, True),
    ({"confirm_absent": ""}, CHECK, True),
    ({"confirm_absent": ""}, RUN, False),
    ({"force_delete_nonempty": True}, RUN, False),
    ({"remove_resource_group": False}, RUN, False),
)
def test_when_it_is_looked_what_goes_with_the_group(changes: Raw, run: Run, looks: bool) -> None:
    named = {"name": "one", "resource_group": "rg", "subscription_id": "s", "confirm_absent": "one", **changes}
    made = PARTS["removal"].looks_at({"remove_resource_group": True, **named}, {"cluster": {}}, run)
    look = {"subscription_id": named["subscription_id"] or None, "name": "rg", "list_resources": True}
    assert [(each.module, each.arguments) for each in made] == [("resource_group_info", look)] * looks


@table(
    "resources, sentence",
    ([], ""),
    (["/subscriptions/S/RESOURCEGROUPS/rg/a", "/subscriptions/s/resourceGroups/rg/b", "/C"], ""),
    (["/subscriptions/other/resourceGroups/rg/b"], "The resource group rg still holds 1 resource (b); remove them"),
    (
        [f"/{each}" for each in "cdefghi"],
        "The resource group rg still holds 6 resources (d, e, f, g, h, ...); remove them, or set "
        "pod_identity_cluster_force_delete_nonempty to true",
    ),
)
def test_a_group_with_something_else_stays(resources: list[str], sentence: str) -> None:
    expected = ["/subscriptions/s/resourceGroups/rg/a", "/resourceGroups/rg/B"]
    options = {"name": "one", "resource_group": "rg", "confirm_absent": "one", "expected_resources": expected}
    group = {"id": "/subscriptions/s/resourceGroups/rg", "resources": resources}
    observed = {"cluster": {"id": "/c"}, "group": {"groups": [group]}}
    try:
        assert PARTS["removal"].plan(options, observed, RUN) == {"going": [*expected, "/c"]}
        told = ""
    except Failure as failure:
        told = failure.sentence
    assert told.startswith(sentence) and bool(told) == bool(sentence)


@pytest.mark.parametrize("part", [addon, node_roles])
def test_there_has_to_be_a_cluster(part: Any) -> None:
    assert refused(part, OPTIONS, Known(Cluster()), RUN) == (
        "Cluster one does not exist in resource group rg; correct the names, or have the playbook "
        "azureops.pod_identity.site create it with pod_identity_cluster_create=true."
    )


def test_a_second_nmi_is_refused() -> None:
    part = PARTS["second_nmi"]
    found = [{"namespace": "a", "name": name, "managed_by": by} for name, by in (("x", "addon"), ("y", "flux"))]
    assert part.plan({"name": "one"}, {"nmi": {"installations": found[:1]}}, RUN) == {}
    assert "beside DaemonSet a/y, and both" in refused(
        part.plan, {"name": "one"}, {"nmi": {"installations": found}}, RUN
    )


def test_who_gets_the_roles() -> None:
    cluster = replace(CLUSTER, kubelet_object_id="k")
    assert node_roles(OPTIONS, Known(cluster), RUN) == NodeRoles("k", EXISTING, NODE_ROLES)
    assert node_roles(replace(OPTIONS, principal_id="p"), Known(cluster), RUN).principal_id == "p"
    told = refused(node_roles, OPTIONS, Known(replace(CLUSTER, service_principal_client_id="c")), RUN)
    assert "the service principal c; set pod_identity_cluster_principal_id" in told and "show --id c --query" in told


def test_a_cluster_is_parsed() -> None:
    of = {"fqdn": "one.azmk8s.io", "node_resource_group": "MC_one", "network_plugin": "azure"}
    found: Raw = {"id": CLUSTER.id, "name": "one", "resource_group": "rg", **of}
    found |= {"pod_identity_profile": {"enabled": True}, "kubelet_identity": {}}
    assert Cluster.parse(found) == CLUSTER
    assert not Cluster.parse({}).exists
