# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the role pod_identity_uninstall asks for, what of an installation goes with it, and what it refuses."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.diagnosis import catalogue
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.roles.part import Look, Refused, Run, plain
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.roles.pod_identity_uninstall import (
    ADDON,
    BINDINGS,
    CHART,
    ENTRIES,
    IDENTITIES,
    KUBERNETES_PERMISSIONS,
    MEANINGS,
    NODES,
    OBJECTS,
    PARTS,
    PHASES,
    ROLES,
    SCALE_SETS,
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

NAMED = {"cluster_name": "one", "cluster_resource_group": "rg"}
SUBSCRIPTION = "/subscriptions/s"
GROUP, MC = f"{SUBSCRIPTION}/resourcegroups/rg", f"{SUBSCRIPTION}/resourceGroups/MC"
ONE, TWO, OWN = (
    f"{GROUP}/providers/microsoft.managedidentity/userassignedidentities/{name}" for name in ("one", "two", "own")
)
CLUSTER: Raw = {
    "id": f"{GROUP}/providers/Microsoft.ContainerService/managedClusters/one",
    "name": "one",
    "resource_group": "rg",
    "node_resource_group": "MC",
    "kubelet_identity": {"object_id": "nodes", "resource_id": OWN.upper()},
    "identity": {"principal_id": "plane"},
    "pod_identity_profile": {"enabled": True},
}


def plan(part: str, observed: Raw, run: Run = RUN, **options: Any) -> Any:
    return PARTS[part].plan({"confirm": "one", **options}, observed, run)


@table(
    "options, named, parts",
    ({}, {}, []),
    ({"confirm": ""}, {}, ["would be removed from cluster one; to confirm, set pod_identity_uninstall_confirm=one"]),
    ({"confirm": "One"}, {}, ["to confirm, set"]),
    ({}, {"cluster_name": None}, ["No cluster is named, so its scale sets cannot be looked at"]),
    ({}, {"cluster_resource_group": ""}, ["No cluster is named"]),
    ({"confirm": "2024"}, {"cluster_name": 2024, "cluster_resource_group": 1}, []),
    ({"confirm": "1"}, {"cluster_name": 2024}, ["pod_identity_uninstall_confirm=2024"]),
    ({"artifact_target": "secret:a/b"}, {}, []),
    ({"artifact_target": "/b"}, {}, []),
    ({"delete_identities": [ONE, TWO.upper()]}, {}, []),
)
def test_options_are_checked(options: Raw, named: Raw, parts: list[str]) -> None:
    told = sentences(plan, "options", {**NAMED, **named}, **options)
    assert each_has(told, parts), told


def test_nothing_is_confirmed_for_check_mode() -> None:
    assert plan("options", NAMED, CHECK, confirm="")


def test_phases() -> None:
    whole = plan("options", NAMED)
    assert (whole["phases"], whole["whole"], whole["bundle_in"]) == (list(PHASES), True, "file")
    assert plan("options", NAMED, artifact_target="secret:a/b")["bundle_in"] == "secret"
    part = plan("options", NAMED, only(SCALE_SETS))
    assert (part["phases"], part["whole"]) == ([SCALE_SETS], False)
    assert not plan("options", NAMED, Run(skipped_tags=(NODES,)))["whole"]


def needs(run: Run = RUN, **options: Any) -> list[str]:
    """Verbs, resource and namespace."""
    found = plan("options", NAMED, run, **options)["kubernetes"]
    return [f"{','.join(need['verbs'])} {need['resource']} {need['namespace']}".strip() for need in found]


ALWAYS = [each for each in KUBERNETES_PERMISSIONS.values() if each.phase == "always"]


CHARTS = ("get,list secrets", "update,patch,delete secrets", "get,delete deployments", "get,delete daemonsets")


@cases(
    "tag, options, expected",
    ("bindings", BINDINGS, {}, ["delete azureidentitybindings"]),
    ("chart", CHART, {"release_namespaces": ["a", "b"]}, [f"{need} {place}" for need in CHARTS for place in "ab"]),
    ("nodes", NODES, {"probe_namespace": "p"}, ["list,create,delete jobs p", "get pods p"]),
    ("no probes", NODES, {"probe_nodes": False}, []),
    ("bundle in a Secret", ROLES, {"artifact_target": "secret:a/b"}, ["get,list,create,patch secrets a"]),
    ("definitions", ROLES, {"recreate_definitions": True}, ["get,create,patch,delete customresourcedefinitions"]),
)
def test_what_the_cluster_is_asked(tag: str, options: Raw, expected: list[str]) -> None:
    least = needs(only(ROLES))
    assert "get,create,patch,delete leases default" in least
    assert len(least) == len(ALWAYS) - 3  # neither releases nor bundle nor definitions
    assert [need for need in needs(only(tag), **options) if need not in least] == expected


LISTED = (
    *("objects", "releases", "programs", "reconciled_by", "identities", "secrets", "other_secrets"),
    *("definitions", "documents"),
)
REMOVAL: Raw = {**{name: [] for name in LISTED}, "release_namespaces": ["default"]}
OFF = {"addons": [{"enabled": False, "identities": []}]}
NOTHING: Raw = {
    "cluster": CLUSTER,
    "permitted": True,
    "earlier": [],
    "poll_interval": "",
    "addon": OFF,
    "removal": REMOVAL,
    "nmi": {"installations": []},
    "nodes": {"resources": []},
    "inventory": {"workloads": [], "identities": [], "assigned": [], "findings": []},
}


def there(changes: Raw | None = None, **removal: Any) -> Raw:
    """What is in the cluster."""
    return {**NOTHING, **(changes or {}), "removal": {**REMOVAL, **removal}}


def looks(part: str, observed: Raw, run: Run = RUN, *, told: Raw | None = None, **options: Any) -> dict[str, Raw]:
    """Arguments of the modules that look, by their names. ``told``: what they find."""
    found = dict(observed)
    made = {}
    for look in PARTS[part].looks_at({"confirm": "one", **options}, found, run):
        made[look.name] = dict(look.arguments)
        found[look.name] = (told or {}).get(look.name, {})
    return made


def test_secrets_that_go() -> None:
    observed = there(secrets=["a/x", "b/y", "a/z"])
    found = plan("cluster", observed, vault_id="v")["kubernetes"]
    expected = [("secrets", ["get", "delete"], place) for place in "ab"]
    assert [(need["resource"], need["verbs"], need["namespace"]) for need in found] == expected
    assert plan("cluster", observed, only(ROLES), vault_id="v")["kubernetes"] == []
    assert plan("cluster", observed)["kubernetes"] == []
    assert not any(need.startswith("get,delete secrets") for need in needs(only(OBJECTS)))


AWAY = "/subscriptions/other/resourcegroups/rg/providers/microsoft.managedidentity/userassignedidentities/x"
NODES_THERE = [
    "azure:///subscriptions/s/resourceGroups/mc/providers/Microsoft.Compute/virtualMachineScaleSets/a/virtualMachines/0",
    "azure:///subscriptions/s/resourceGroups/Other/providers/Microsoft.Compute/virtualMachines/b",
    "kind://docker/kind/node",
]
PROVIDERS = zip("abc", NODES_THERE)
MACHINES = [{"metadata": {"name": name}, "spec": {"providerID": provider}} for name, provider in PROVIDERS]
LOOK = there({"nodes": {"resources": MACHINES}, "earlier": [TWO, OWN]}, identities=[ONE, OWN])
UNSEEN = {"cluster": CLUSTER, "permitted": False, "earlier": [], "poll_interval": ""}


def test_what_is_looked_at_in_the_cluster() -> None:
    found = looks("cluster", LOOK, owner="team", release_namespaces=["a"])
    assert list(found) == ["addon", "removal", "nmi", "nodes", "inventory"]
    at = {"subscription_id": "s", "resource_group": "rg", "cluster_name": "one"}
    assert found["addon"] == {**at, "wait": True, "poll_interval": None}
    assert found["removal"] == {"owner": "team", "scope": "owned", "release_namespaces": ["a"]}
    assert looks("cluster", UNSEEN) == {}
    assert not plan("cluster", UNSEEN)["looked"]


def test_nobody_is_asked_for_rights_in_another_subscription() -> None:
    """Before it is known what lies there."""
    observed = there(identities=[ONE, AWAY])
    scopes = [scope for scope, dummy in asked("cluster", observed, remove_role_assignments=True)]
    assert ONE in scopes and AWAY not in scopes
    assert AWAY in [each["scope"] for each in plan("cluster", observed)["role_scopes"]]


def asked(part: str, observed: Raw, run: Run = RUN, **options: Any) -> list[tuple[str, str]]:
    """Scopes, and the first action of each."""
    needs = plan(part, observed, run, **options)["azure"]
    return [(need["scope"], need["actions"][0].partition(".")[2]) for need in needs]


LOOK_AT, ROLES_READ = "Compute/virtualMachineScaleSets/read", "Authorization/roleAssignments/read"
WRITE, SETS_WRITE = "ContainerService/managedClusters/write", "Compute/virtualMachineScaleSets/write"
ROLES_DELETE, IDENTITY = "Authorization/roleAssignments/delete", "ManagedIdentity/userAssignedIdentities"


def test_what_is_read_in_azure() -> None:
    other = f"{SUBSCRIPTION}/resourceGroups/Other"
    assert asked("cluster", LOOK) == [(MC, LOOK_AT), (other, LOOK_AT), (MC, ROLES_READ)]
    assert asked("cluster", UNSEEN, remove_role_assignments=True) == [(MC, LOOK_AT), (MC, ROLES_READ)]
    scopes = asked("cluster", LOOK, remove_role_assignments=True)[:3]
    assert scopes == [(ONE, ROLES_READ), (GROUP, ROLES_READ), (TWO, ROLES_READ)]
    to_delete = asked("cluster", UNSEEN, delete_identities=[ONE])[-2:]
    assert to_delete == [(ONE, f"{IDENTITY}/read"), (SUBSCRIPTION, ROLES_READ)]


@cases(
    "cluster, options, expected",
    ("nodes and control plane", {}, {}, [(MC, 2), (ONE, 1), (GROUP, 1), (TWO, 1), (TWO, 1, "plane")]),
    ("named", {}, {"principal_id": "x"}, [(MC, 2), (ONE, 1), (GROUP, 1), (TWO, 1), (TWO, 1, "plane")]),
    ("nobody", {"kubelet_identity": {}, "identity": None}, {}, []),
    ("one group", {"node_resource_group": "RG"}, {}, [(f"{MC[:-2]}RG", 2), (ONE, 1), (TWO, 1), (TWO, 1, "plane")]),
)
def test_where_roles_are_looked_for(cluster: Raw, options: Raw, expected: list[Any]) -> None:
    """For the principal of the nodes, or that which is named, if not for another."""
    scopes = plan("cluster", {**LOOK, "cluster": {**CLUSTER, **cluster}}, **options)["role_scopes"]
    nodes = options.get("principal_id", "nodes")
    found = [(each["scope"], len(each["roles"]), each["principal_id"]) for each in scopes]
    assert found == [(*each, nodes)[:3] for each in expected]


def known(there_is: Raw | None = None, /, **changes: Any) -> Raw:
    """What parts have that decide later."""
    beginning = {**plan("cluster", there_is or there()), **changes}
    return {"cluster": CLUSTER, "known": beginning, "now": None, "poll_interval": ""}


def assigned(*roles: str, inherited: bool = False) -> Raw:
    """What role_assignment_info tells of /x."""
    scope = "/" if inherited else "/x"
    return {"assignments": [{"role_name": each, "scope": scope, "inherited": inherited} for each in roles]}


def test_what_is_needed_is_known_in_part_beforehand() -> None:
    own = {"cluster": {**CLUSTER, "pod_identity_profile": None}}
    assert asked("beforehand", own) == [(MC, LOOK_AT), (MC, ROLES_READ), (MC, SETS_WRITE)]
    assert asked("beforehand", {"cluster": CLUSTER}).count((CLUSTER["id"], WRITE)) == 2
    given = {"release_namespaces": ["kube-system"], "probe_namespace": "probes"}
    needs = plan("beforehand", own, only("workload_identity_migration_finish"), **given)["kubernetes"]
    assert needs == plan("options", NAMED, RUN, **given)["kubernetes"] and needs


AT_X = {"scope": "/x", "roles": ["R"], "principal_id": "nodes"}
ENTRIES_THERE = [{"identity": ONE, "provisioning_state": "Failed"}, {"identity": TWO, "provisioning_state": "Assigned"}]
GOING: Raw = {
    **known(role_scopes=[AT_X], addon={"enabled": True, "identities": ENTRIES_THERE}),
    "permitted": True,
    "attached": {
        "resources": [
            {"id": "/set", "type": "scale_set", "identities": [{"removable": False}, {"removable": True}]},
            {"id": "/other", "type": "scale_set", "identities": [{"removable": False}]},
            {"id": "/machine", "type": "virtual_machine", "identities": [{"removable": True}]},
        ]
    },
    "roles 0": assigned("R", "S"),
}


@cases(
    "changes, tags, options, expected",
    ("entries", {}, (ENTRIES,), {}, [(CLUSTER["id"], WRITE)]),
    ("add-on", {}, (ADDON,), {}, [(CLUSTER["id"], WRITE)]),
    ("off", {"cluster": {**CLUSTER, "pod_identity_profile": None}}, (ADDON, ENTRIES), {}, []),
    (
        "recreate",
        {"cluster": {**CLUSTER, "pod_identity_profile": {}}},
        (ENTRIES,),
        {"recreate_identity": True},
        [(GROUP, f"{IDENTITY}/write")],
    ),
    ("identities", {}, (IDENTITIES,), {"delete_identities": [ONE]}, [(ONE, f"{IDENTITY}/delete")]),
    ("scale sets", {}, (SCALE_SETS,), {}, [("/set", SETS_WRITE), ("/machine", "Compute/virtualMachines/write")]),
    (
        "not looked",
        {"attached": None},
        (SCALE_SETS, ROLES),
        {"remove_role_assignments": True},
        [(MC, SETS_WRITE), (MC, ROLES_DELETE)],
    ),
    ("roles stay", {}, (ROLES,), {}, []),
    ("roles", {}, (ROLES,), {"remove_role_assignments": True}, [("/x", ROLES_DELETE)]),
)
def test_what_is_changed_in_azure(
    changes: Raw, tags: tuple[str, ...], options: Raw, expected: list[tuple[str, str]]
) -> None:
    observed = {name: value for name, value in {**GOING, **changes}.items() if value is not None or name == "now"}
    assert asked("azure", observed, only(*tags), **options) == expected


def test_what_is_looked_at_in_azure() -> None:
    observed = {name: value for name, value in GOING.items() if name not in ("attached", "roles 0")}
    found = looks("azure", observed, remove_unknown_identities=[OWN], protected_identities=[TWO])
    assert found.pop("roles 0") == {**AT_X, "subscription_id": "s"}
    assert found == {
        "attached": {
            "subscription_id": "s",
            "resource_group": "rg",
            "cluster_name": "one",
            "provider_ids": [],
            "further_resource_groups": [],
            "mic_principals": [],
            "inventory": {"identities": [], "assigned": [], "releases": [], "workloads": []},
            "known_identities": [],
            "identities": [OWN],
            "protected_identities": [TWO],
            "check_existence": True,
        }
    }
    assert looks("azure", {**observed, "permitted": False}) == {}
    assert looks("azure", {**observed, "known": plan("cluster", UNSEEN)}) == {}
    refused = {"failed": True, "msg": "No."}
    for removes in (False, True):
        made = PARTS["azure"].looks_at({"remove_role_assignments": removes}, dict(observed), RUN)
        (look,) = (each for each in made if each.name == "roles 0")
        assert look.tolerates is not None
        assert look.tolerates(refused) is not removes


NODE = {"metadata": {"name": "node"}, "spec": {"providerID": f"azure://{MC.lower()}/providers/Microsoft.Compute/x/0"}}
ELSEWHERE = {"metadata": {"name": "node"}, "spec": {"providerID": f"azure://{MC}2/providers/Microsoft.Compute/x/0"}}
ASSIGNED = {"name": "a", "node": "node", "resource_id": ONE, "type": 0}


def thing(kind: str, name: str, namespace: str = "n", **more: Any) -> Raw:
    given = {"removable": True, "by_aks": False, "foreign_finalizers": [], **more}
    return {"kind": kind, "namespace": namespace, "name": name, **given}


GETS = [{"namespace": "n", "binding": name, "name": name} for name in ("old", "new", "of-aks")]
BINDINGS_THERE = [
    *(thing("AzureIdentityBinding", "old"), thing("AzureIdentityBinding", "of-aks", by_aks=True)),
    thing("AzureIdentity", "new"),
]
DEPLOYMENT = {"kind": "Deployment", "namespace": "n", "name": "api", "identities": GETS, "findings": []}


def inventory(
    *, assigned: Any = (ASSIGNED,), nodes: Any = (NODE,), mic_works: bool = True, immutable: Any = None
) -> Raw:
    identities = [
        {"resource_id": ONE, "type": 0, "client_id": "C"},
        {"resource_id": TWO, "type": 0, "client_id": ""},
        {"resource_id": "/principal", "type": 1, "client_id": "c"},
    ]
    found = there(
        {
            "earlier": [TWO],
            "nodes": {"resources": list(nodes)},
            "nmi": {"installations": [{"namespace": "n", "name": "nmi", "mic_leader": "mic" if mic_works else ""}]},
            "inventory": {"workloads": [DEPLOYMENT], "identities": identities, "assigned": list(assigned)},
        },
        objects=BINDINGS_THERE,
        releases=[{"given_values": {"mic": {"immutableUserMSIs": immutable}}}, {"given_values": {}}],
    )
    return known(found)


@cases("run, left", ("all", RUN, ["new"]), ("bindings stay", only(SCALE_SETS), ["old", "new"]))
def test_who_still_gets_an_identity(run: Run, left: list[str]) -> None:
    (workload,) = plan("detach", inventory(), run)["workloads"]
    assert [each["binding"] for each in workload.pop("identities")] == left
    assert workload == {"kind": "Deployment", "namespace": "n", "name": "api"}


def test_who_gets_what_is_looked_at_again() -> None:
    now = {"inventory": {"workloads": [{**DEPLOYMENT, "name": "new"}]}}
    found = plan("detach", {**inventory(), **now})["workloads"]
    assert [each["name"] for each in found] == ["new"]
    assert [each["name"] for each in plan("detach", {**inventory(), "now": found})["workloads"]] == ["new"]
    assert plan("detach", {**inventory(), "now": []})["workloads"] == []
    assert list(looks("detach", inventory())) == ["inventory"]
    assert looks("detach", inventory(), CHECK) == {}


@table(
    "immutable, named, protected",
    ([], [], []),
    (None, [], []),
    ("c", [], [ONE]),
    (["c", "x"], [], [ONE]),
    (["c"], [ONE.upper(), OWN], [ONE.upper(), OWN]),
    (["", None], [], []),
)
def test_what_is_protected(immutable: Any, named: list[str], protected: list[str]) -> None:
    found = plan("detach", inventory(immutable=immutable), protected_identities=named)
    assert found["protected"] == protected
    assert found["known"] == [{"id": TWO, "source": "an entry of the pod identity add-on"}]


@cases(
    "changes, run, left",
    ("MIC detaches it", {}, RUN, True),
    ("once", {"assigned": [ASSIGNED, {**ASSIGNED, "name": "b"}]}, RUN, True),
    ("no MIC", {"mic_works": False}, RUN, False),
    ("bindings stay", {}, only(SCALE_SETS), False),
    ("no node", {"nodes": []}, RUN, False),
    ("another group", {"nodes": [ELSEWHERE]}, RUN, False),
    ("unknown machine", {"nodes": [{"metadata": {"name": "node"}}]}, RUN, False),
    ("equal names", {"assigned": [ASSIGNED, ASSIGNED]}, RUN, False),
    ("service principal", {"assigned": [{**ASSIGNED, "type": 1}]}, RUN, False),
    ("no identity", {"assigned": [{**ASSIGNED, "resource_id": None}]}, RUN, False),
)
def test_what_is_left_to_mic(changes: Raw, run: Run, left: bool) -> None:
    expected = [{"id": ONE, "provider_id": NODE["spec"]["providerID"]}] if left else []
    assert plan("detach", inventory(**changes), run)["left_to_mic"] == expected


EARLIER: Raw = {"cluster": {"id": CLUSTER["id"]}, "directory": "/saved"}
TOLD: Raw = {
    "bundles": [{"place": "/saved/one-1.json", "handed_out": [ONE]}, {"place": "secret:a/b", "handed_out": [TWO, ONE]}]
}


@cases(
    "confirmed, identities",
    ("nobody asked", None, []),
    ("Azure confirms it", assigned("R"), [TWO]),
    ("at a wider scope", assigned("R", inherited=True), []),
    ("Azure does not", assigned(), []),
    ("it could not be seen", {"failed": True, "msg": "No."}, []),
)
def test_what_bundles_of_earlier_runs_are_believed(confirmed: Raw | None, identities: list[str]) -> None:
    """Files as Secrets: anybody may have written them."""
    for places in (TOLD, {"bundles": [{**each, "place": "/saved/one-2.json"} for each in TOLD["bundles"]]}):
        observed = {**EARLIER, "told": places, f"operator of {TWO}": confirmed}
        assert plan("earlier", observed) == {"identities": identities, "bundles": places["bundles"]}


def test_what_bundles_tell_is_asked_of_azure() -> None:
    def looks(principal: str, **options: Any) -> list[Look]:
        cluster = {**EARLIER["cluster"], "identity": {"principal_id": principal}}
        return list(PARTS["earlier"].looks_at(options, {**EARLIER, "cluster": cluster, "told": TOLD}, RUN))

    (told,) = looks("")
    assert (told.module, told.in_cluster) == ("pod_identity_bundle_info", False)
    assert told.arguments == {"target": "/saved", "cluster_id": CLUSTER["id"]}
    told, *operators = looks("p", artifact_target="secret:a/b")
    assert told.in_cluster
    asked = {"subscription_id": "s", "roles": ["Managed Identity Operator"], "principal_id": "p"}
    assert [(each.module, each.arguments) for each in operators] == [
        ("role_assignment_info", {**asked, "scope": identity}) for identity in sorted((ONE, TWO))
    ]
    assert all(each.tolerates and each.tolerates({"failed": True}) for each in operators)


ASSIGNED_KIND, BINDING_KIND = "AzureAssignedIdentity", "AzureIdentityBinding"
ENTRY = {"name": "e", "namespace": "n", "identity": TWO.upper()}
ON = {"enabled": True, "identities": [{**ENTRY, "provisioning_state": "Assigned"}]}
MIC = [{"namespace": "n", "name": name, "mic_leader": leader} for name, leader in (("a", ""), ("b", "mic-0"))]
GONE_LAST = ["programs", "bindings", "assigned"]
FLAGS = ("found", "installed", "definitions", "mic_works", "waits_for_mic")
LISTS = ("twins", "foreign", "reconciled_by", "entries", "absent_entries", "bindings", "handed_out", "identities")
IN_CLUSTER: Raw = {
    **dict.fromkeys(FLAGS, False),
    **{name: [] for name in (*LISTS, "going_secrets")},
    "gone_before_assigned": ["programs", "bindings"],
    "gone_before_objects": GONE_LAST,
}
OF_ENTRY = {"entries": [ENTRY], "absent_entries": [ENTRY], "gone_before_objects": [*GONE_LAST, "addon"]}
WAITING = {"mic_works": True, "waits_for_mic": True}
MADE_AGAIN = {"name": "earlier-1", "namespace": "default", "identity": ONE}
BY_AKS, BY_FLUX = "DaemonSet n/nmi (the AKS add-on)", "Deployment n/mic (managed by Flux)"


OF_REMOVAL = {"objects", "releases", "programs", "reconciled_by", "secrets", "identities"}


def binding(name: str) -> dict[str, str]:
    return {"name": name, "namespace": "n", "binding_name": name, "only": "binding", "state": "absent"}


@cases(
    "changes, options, expected",
    ("nothing", {}, {}, {}),
    ("release", {"releases": ["r"]}, {}, {"found": True, "installed": True}),
    ("program", {"programs": ["DaemonSet n/nmi"]}, {}, {"found": True, "installed": True}),
    ("definition", {"objects": [thing("CustomResourceDefinition", "x")]}, {}, {"found": True, "definitions": True}),
    ("MIC without work", {"installations": MIC}, {}, {"mic_works": True, "gone_before_assigned": GONE_LAST}),
    ("MIC is down", {"installations": MIC[:1], "objects": [thing(ASSIGNED_KIND, "a")]}, {}, {"found": True}),
    (
        "MIC with work",
        {
            "installations": MIC,
            "objects": [*(thing(ASSIGNED_KIND, *name) for name in ("b", "a", "am")), thing(BINDING_KIND, "b")],
        },
        {},
        {**WAITING, "found": True, "twins": ["a"], "bindings": [binding("b")], "gone_before_assigned": GONE_LAST},
    ),
    (
        "of others",
        {"objects": [thing("AzureIdentity", "a", removable=False)]},
        {},
        {"found": True, "foreign": [thing("AzureIdentity", "a", removable=False)]},
    ),
    (
        "add-on",
        {"addon": ON, "objects": [thing(BINDING_KIND, "a", by_aks=True), thing(BINDING_KIND, "b")]},
        {},
        {**OF_ENTRY, "found": True, "bindings": [binding("b")], "handed_out": [TWO], "identities": [TWO]},
    ),
    (
        "binding that AKS left",
        {"objects": [thing(BINDING_KIND, "a", by_aks=True)]},
        {},
        {"found": True, "bindings": [binding("a")]},
    ),
    (
        "identities",
        {"earlier": [TWO, ONE], "identities": [OWN, ONE]},
        {},
        {"handed_out": [ONE, TWO], "identities": [ONE, OWN, TWO]},
    ),
    (
        "identities that may have been made again",
        {"earlier": [TWO, ONE], "addon": ON},
        {"recreate_identity": True},
        {**OF_ENTRY, "handed_out": [ONE, TWO], "identities": [ONE, TWO], "absent_entries": [ENTRY, MADE_AGAIN]},
    ),
    ("secrets stay", {"secrets": ["n/s"]}, {}, {}),
    ("secrets go", {"secrets": ["n/s"]}, {"vault_id": "v"}, {"going_secrets": ["n/s"]}),
    ("brought back", {"reconciled_by": [BY_AKS, BY_FLUX]}, {}, {"reconciled_by": [BY_AKS, BY_FLUX]}),
    (
        "AKS does not once the add-on is off",
        {"reconciled_by": [BY_AKS, BY_FLUX], "addon": {"enabled": True, "identities": []}},
        {},
        {"reconciled_by": [BY_FLUX], "gone_before_objects": [*GONE_LAST, "addon"]},
    ),
)
def test_what_of_the_installation_goes(changes: Raw, options: Raw, expected: Raw) -> None:
    others = {
        **({"earlier": changes["earlier"]} if "earlier" in changes else {}),
        **({"addon": {"addons": [changes["addon"]]}} if "addon" in changes else {}),
        **({"nmi": {"installations": changes["installations"]}} if "installations" in changes else {}),
    }
    found = plan("cluster", there(others, **{name: changes[name] for name in changes if name in OF_REMOVAL}), **options)
    assert {name: found[name] for name in IN_CLUSTER} == {**IN_CLUSTER, **expected}


WAITS = "Its deletion waits until whoever owns the finalizer x/a takes it away."
STOPS = " Ask them to, or the run stops there after 9 seconds"


def held(kind: str = "AzureIdentity", *finalizers: str, **more: Any) -> Raw:
    """Return an object that somebody else's finalizer holds."""
    return thing(kind, "a", foreign_finalizers=list(finalizers or ("x/a",)), **more)


@cases(
    "thing_there, others, run, told",
    ("no finalizer", thing("AzureIdentity", "a"), {}, RUN, []),
    ("one", held(), {}, RUN, [f"AzureIdentity n/a: {WAITS}"]),
    (
        "two, in check mode",
        held("ConfigMap", "x/a", "b"),
        {},
        CHECK,
        ["ConfigMap n/a: Its deletion waits until whoever owns the finalizers x/a, b takes them away."],
    ),
    ("stays", held(removable=False), {}, RUN, []),
    ("another phase", held(), {}, only(BINDINGS), []),
    (
        "what MIC deletes",
        held(ASSIGNED_KIND),
        {"nmi": {"installations": MIC}},
        only(BINDINGS),
        [f"{ASSIGNED_KIND} n/a: {WAITS}"],
    ),
    (
        "what AKS deletes",
        held(by_aks=True),
        {"addon": {"addons": [ON]}},
        only(ENTRIES),
        [f"AzureIdentity n/a: {WAITS}"],
    ),
)
def test_whose_deletion_will_wait(thing_there: Raw, others: Raw, run: Run, told: list[str]) -> None:
    found = plan("cluster", there(others, objects=[thing_there]), run, wait_timeout=9)["waiting"]
    ends = " Ask them to. The run goes on" if thing_there["kind"] == ASSIGNED_KIND else STOPS
    assert [each.partition(ends)[0] for each in found] == told


@pytest.mark.parametrize("run", [RUN, CHECK], ids=["run", "check mode"])
def test_the_account_tells_whose_deletion_waits(run: Run) -> None:
    rows = plan("account", audit({"removal": {"objects": [held(), thing("AzureIdentity", "b")]}}), run)["rows"]
    reasons = {row["what"]: row["reason"] for row in rows if row["what"].startswith("AzureIdentity")}
    assert reasons == {"AzureIdentity n/a": WAITS, "AzureIdentity n/b": ""}


def test_which_roles_were_found() -> None:
    asked = {"scope": "/X", "principal_id": "nodes", "roles": ["R", "S"]}
    wider = assigned("S", inherited=True)["assignments"]
    observed = {
        **known(role_scopes=[asked, {**asked, "scope": "/y"}, {**asked, "scope": "/z"}]),
        "permitted": True,
        "attached": {"resources": []},
        "roles 0": {"assignments": [*assigned("R", "S", "R")["assignments"], *wider]},
        "roles 1": {"assignments": []},
        "roles 2": {"failed": True, "msg": "No."},
    }
    found = plan("azure", observed)
    assert found["assignments"] == [{"role": role, "scope": "/X", "principal_id": "nodes"} for role in "RS"]
    assert found["unlisted"] == [{"roles": ["R", "S"], "msg": "No."}]
    assert found["warnings"] == ["nodes still holds S at /X, inherited from /."]


@pytest.mark.parametrize("scope", [AWAY, ONE])
@pytest.mark.parametrize("status", [404, 403, 401, 400, 500, None])
def test_no_identity_of_another_subscription_stops_an_uninstall(scope: str, status: int | None) -> None:
    """Whoever may write AzureIdentities names any."""
    tolerated = scope == AWAY and status in (404, 403, 401, 400)
    asked = {"scope": scope, "principal_id": "nodes", "roles": ["R"]}
    failed = {"failed": True, "msg": "No.", **({"error": {"status": status, "code": "Gone"}} if status else {})}
    found = {**known(role_scopes=[asked]), "permitted": True}
    *dummy, look = PARTS["azure"].looks_at({"remove_role_assignments": True}, dict(found), RUN)
    assert look.tolerates is not None and look.tolerates(failed) is tolerated
    (unlisted,) = plan("azure", {**found, "attached": {"resources": []}, "roles 0": failed})["unlisted"]
    known_reason = "that lies in another subscription, where this credential may not look (Gone)."
    assert unlisted["msg"].endswith(known_reason if tolerated else "No.")


def crds(*names: str) -> Raw:
    return {"definitions": {"resources": [{"metadata": {"name": name}} for name in names]}}


def test_definitions_that_are_gone() -> None:
    group = "aadpodidentity.k8s.io"
    there = [f"{name}.{group}" for name in ("azureidentities", "azureidentitybindings", "azureassignedidentities")]
    found = plan("definitions", crds(*there, "azurepodidentityexceptions.example.com"))
    plural = "azurepodidentityexceptions"
    missing = {"name": f"{plural}.{group}", "kind": "AzurePodIdentityException", "plural": plural}
    assert found["missing"] == [missing]
    assert len(found["kinds"]) == len(plan("definitions", crds())["missing"]) == 4
    assert [each["kind"] for each in looks("definitions", {}).values()] == ["CustomResourceDefinition"]


def in_the_way(
    *, foreign: int = 0, reconciled_by: Any = (), protected: Any = (), attached: Any = (), **plan: Any
) -> Raw:
    theirs = [thing("K", "a", removable=False)] * foreign
    observed = known(foreign=theirs, reconciled_by=list(reconciled_by), **plan)
    return {**observed, "protected": list(protected), "attached": list(attached)}


@table(
    "foreign, reconciled_by, parts",
    (0, [], []),
    (2, [], ["2 objects of AAD Pod Identity do not carry the labels of this collection with the owner team"]),
    (0, ["a (Flux)", "b (Flux)"], ["a (Flux), b (Flux) would be put there again; nothing was changed."]),
    (1, ["a (Flux)"], ["1 objects", "a (Flux) would"]),
)
def test_what_must_not_go(foreign: int, reconciled_by: list[str], parts: list[str]) -> None:
    observed = in_the_way(foreign=foreign, reconciled_by=reconciled_by)
    told = sentences(plan, "refusal", observed, owner="team")
    assert each_has(told, parts) and all(map(str.startswith, told, parts))
    if told:
        rows = plain(refusal(plan, "refusal", observed, owner="team").plan)["rows"]
        assert rows == [{"kind": "K", "namespace": "n", "name": "a"}] * foreign


REMEDY = "Nothing was changed, because workloads still use pod identity. "


@cases(
    "found, rows, remedy",
    ("another error", {"bindings": {}}, [], ""),
    (
        "bindings",
        {"bindings": {"in_use": [{"identity": "n/a", "users": ["Pod x", "Pod y"]}, {"identity": "b", "users": ["Z"]}]}},
        [("Pod x", "n/a"), ("Pod y", "n/a"), ("Z", "b")],
        REMEDY,
    ),
    ("entries", {"entries": {"users": ["Pod n/x"]}}, [("Pod n/x", "")], REMEDY),
)
def test_who_uses_what_would_go(found: Raw, rows: list[tuple[str, str]], remedy: str) -> None:
    failed = {
        name: {"failed": True, "msg": "In use: move them, or set allow_in_use: true.", **told}
        for name, told in found.items()
    }
    refused = refusal(plan, "refusal", {**in_the_way(), **failed})
    assert str(refused) == f"{remedy}In use: move them, or set pod_identity_uninstall_allow_in_use: true."
    told = plain(refused.plan)
    assert told["rows"] == [{"used_by": user, "identity": identity} for user, identity in rows]
    assert told["columns"] == ["used_by", "identity"]


@cases(
    "changes, options, expected",
    ("all", {}, {}, ["bindings", "entries", f"deleted {TWO}"]),
    ("of others", {"foreign": 1}, {}, []),
    ("brought back", {"reconciled_by": ["a (Flux)"]}, {}, []),
    ("although it is used", {}, {"allow_in_use": True}, [f"deleted {TWO}"]),
    ("bindings are used", {"told": {"bindings": {"failed": True}}}, {}, ["bindings"]),
    ("entries are used", {"told": {"entries": {"failed": True}}}, {}, ["bindings", "entries"]),
    ("an identity must stay", {"protected": [TWO]}, {}, ["bindings", "entries"]),
    ("nothing goes", {"bindings": [], "entries": []}, {"delete_identities": []}, []),
)
def test_what_is_refused_is_not_looked_at_further(changes: Raw, options: Raw, expected: list[str]) -> None:
    given = {"bindings": [binding("b")], "entries": [ENTRY], **changes}
    told = given.pop("told", {})
    made = looks("refusal", in_the_way(**given), told=told, **{"delete_identities": [TWO], **options})
    assert list(made) == expected
    assert all(each.get("state", "absent") == "absent" for each in made.values())


def test_an_answer_of_a_service_is_no_refusal() -> None:
    observed = in_the_way(bindings=[binding("b")], entries=[ENTRY])
    found = list(PARTS["refusal"].looks_at({"delete_identities": [TWO]}, dict(observed), RUN))
    assert [each.in_check_mode for each in found] == [True, True, False]
    assert not found.pop().tolerates
    for each in found:
        assert each.tolerates and each.tolerates({"msg": "It is used."})
        assert not each.tolerates({"msg": "No.", "error": {"code": "x"}})


def test_identities_that_are_used_are_not_deleted() -> None:
    used = {f"deleted {ONE}": in_azure(attached_to=["/vm"]), f"deleted {TWO}": in_azure(federated_credentials=["web"])}
    end = "remove that first, or leave the identity."
    assert refusal(plan, "refusal", {**in_the_way(), **used}, delete_identities=[ONE, TWO]).sentences == (
        f"The identity one is not deleted, because it is used by /vm: {end}",
        f"The identity two is not deleted, because it is used by its federated credential web: {end}",
    )
    there = {f"deleted {ONE}": in_azure(role_assignments=[OF_ONE]), f"deleted {TWO}": {"identities": []}}
    found = plan("refusal", {**in_the_way(), **there}, delete_identities=[ONE, TWO])
    assert found["existing"] == [{"id": ONE, "role_assignments": [OF_ONE]}]


def in_azure(**changes: Any) -> Raw:
    """What user_assigned_identity_info tells of an identity."""
    return {"identities": [{"attached_to": [], "federated_credentials": [], "role_assignments": [], **changes}]}


@cases(
    "run, used_by", ("this run detaches it", RUN, "/z"), ("it does not", Run(skipped_tags=(SCALE_SETS,)), "/X, /y, /z")
)
def test_what_loses_an_identity_in_this_run_does_not_use_it(run: Run, used_by: str) -> None:
    there = {**in_the_way(attached=on_sets()), f"deleted {ONE}": in_azure(attached_to=["/X", "/y", "/z"])}
    assert f"it is used by {used_by}: " in str(refusal(plan, "refusal", there, run, delete_identities=[ONE]))


def test_identities_that_must_stay_are_not_deleted() -> None:
    each = {"ownership": "protected", "removable": False}
    identities = [
        {**each, "id": TWO.upper(), "ownership_because": "the cluster names it"},
        {**each, "id": OWN, "ownership_because": "it is not named"},
        {**each, "id": ONE, "ownership": "used", "ownership_because": "pods had it"},
    ]
    observed = in_the_way(attached=[{"id": "/set", "identities": identities}])
    assert [each["id"] for each in plan("refusal", observed, delete_identities=[ONE])["identities"]] == [ONE]
    refused = refusal(plan, "refusal", {**observed, "protected": [ONE]}, delete_identities=[ONE.upper(), TWO])
    assert str(refused) == (
        "one is protected; TWO is protected, because the cluster names it; nothing was changed. Take it out of "
        "pod_identity_uninstall_delete_identities."
    )


def on_sets(**identity: Any) -> list[Raw]:
    each = {"id": ONE, "removable": True, "ownership": "leftover", "ownership_because": "MIC has left it", **identity}
    stays = {"id": OWN, "removable": False, "ownership": "unknown", "ownership_because": "nobody knows it"}
    return [{"id": f"/{name}", "name": name, "identities": [stays, each]} for name in ("x", "y")]


@cases(
    "identity, run, places",
    ("detached before", {"id": ONE.upper()}, RUN, ["/x", "/y"]),
    ("not in this run", {}, Run(skipped_tags=(SCALE_SETS,)), []),
    ("stays there", {"removable": False}, RUN, []),
    ("another one", {"id": TWO}, RUN, []),
)
def test_where_a_deleted_identity_is_detached_before(identity: Raw, run: Run, places: list[str]) -> None:
    observed = in_the_way(attached=on_sets(**identity))
    assert plan("refusal", observed, run, delete_identities=[ONE])["identities"] == [
        {"id": ONE, "subscription_id": "s", "resource_group": "rg", "name": "one", "detached_from": places}
    ]


OF_ONE = {"role": "R", "scope": "/x"}
SAVED = {"cluster_name": "one", "directory": "/saved", "written": "20260101T000000Z", "earlier": []}
GOES: Raw = {"removal": {}, "addon": {"enabled": False}, "attached": [], "deleted": [], "assignments": [], **SAVED}
PLACE = {"needed": True, "place": "/saved/one-20260101t000000z.json", "sha256": "", "begun": ""}
BUNDLE: Raw = {**PLACE, "written": SAVED["written"], "definitions": [], "addon": {}, "deleted_identities": []}
UNNEEDED = {"needed": False, "place": ""}
DELETED = [{"id": ONE, "role_assignments": [OF_ONE]}]


@cases(
    "changes, options, run, expected",
    ("nothing goes", {}, {}, RUN, UNNEEDED),
    ("objects", {"removal": {"documents": [{}]}}, {}, RUN, {}),
    ("release", {"removal": {"releases": [{}], "definitions": ["u"]}}, {}, RUN, {"definitions": ["u"]}),
    ("nothing that could come back", {"removal": {"definitions": ["u"]}}, {}, RUN, {**UNNEEDED, "definitions": ["u"]}),
    ("check mode", {"removal": {"documents": [{}]}}, {}, CHECK, UNNEEDED),
    (
        "to a Secret",
        {"removal": {"documents": [{}]}},
        {"artifact_target": "secret:a/b"},
        RUN,
        {"place": "secret:a/b-20260101t000000z"},
    ),
    ("add-on", {"addon": {"enabled": True, "x": 1}}, {}, RUN, {"addon": {"enabled": True, "x": 1}}),
    ("identities on scale sets", {"attached": on_sets()}, {}, RUN, {}),
    ("identities stay there", {"attached": on_sets(removable=False)}, {}, RUN, UNNEEDED),
    ("roles stay", {"assignments": [OF_ONE]}, {}, RUN, UNNEEDED),
    ("roles", {"assignments": [OF_ONE]}, {"remove_role_assignments": True}, RUN, {}),
    ("identities in Azure", {"deleted": DELETED}, {}, RUN, {"deleted_identities": DELETED}),
)
def test_what_is_saved(changes: Raw, options: Raw, run: Run, expected: Raw) -> None:
    assert plan("bundle", {**GOES, **changes}, run, **options) == {**BUNDLE, **expected}


def earlier_bundle(name: str, written: str, *definitions: str, objects: int = 1) -> Raw:
    counts = {"objects": objects, "releases": 0, "entries": 0}
    return {"place": name, "sha256": f"of {name}", "written": written, "definitions": list(definitions), **counts}


@cases(
    "earlier, removal, run, place, needed",
    ("cut at the bindings", [("a", "1", "u")], {"documents": [{}], "definitions": ["u"]}, RUN, "a", True),
    ("all objects are gone", [("a", "1", "u")], {"definitions": ["u"]}, RUN, "a", False),
    ("everything is gone", [("a", "1", "u")], {}, RUN, "a", False),
    ("in check mode", [("a", "1", "u")], {"documents": [{}], "definitions": ["u"]}, CHECK, "a", False),
    ("the last one", [("b", "2", "u"), ("a", "1", "u")], {"definitions": ["u"]}, RUN, "b", False),
    ("installed again since", [("a", "1", "v")], {"documents": [{}], "definitions": ["u"]}, RUN, PLACE["place"], True),
    ("installed again, without definitions", [("a", "1", "v")], {"releases": [{}]}, RUN, PLACE["place"], True),
    ("of a version that saved none", [("a", "1")], {"definitions": ["u"]}, RUN, "", False),
    ("the add-on, since", [("a", "1", "v")], {"addon": True}, RUN, PLACE["place"], True),
    ("the add-on, cut at its entries", [("a", "1", "u")], {"addon": True, "definitions": ["u"]}, RUN, "a", True),
)
def test_an_uninstallation_has_one_bundle(
    earlier: list[tuple[str, ...]], removal: Raw, run: Run, place: str, needed: bool
) -> None:
    empty = earlier_bundle("empty", "9", "u", objects=0)
    addon = {"enabled": bool(removal.get("addon"))}
    told = [empty, *(earlier_bundle(*each) for each in earlier)]
    found = plan("bundle", {**GOES, "removal": removal, "addon": addon, "earlier": told}, run)
    assert (found["place"], found["needed"]) == (place, needed)
    carried = found["place"] in ("a", "b")
    assert found["sha256"] == (f"of {place}" if carried else "")
    assert found["begun"] == ({"a": "1", "b": "2"}[place] if carried else "")


def told_of_addon(*entries: Raw, enabled: bool = True) -> Raw:
    """What aks_pod_identity_info tells."""
    return {"addons": [{"enabled": enabled, "identities": list(entries)}]}


def test_identities_of_pods_on_scale_sets_stop_the_run() -> None:
    clean = {"resources": on_sets(removable=False, ownership="unknown")}
    of_addon = {"of_addon": True, "addon": told_of_addon(ENTRY), "cluster": CLUSTER}
    assert plan("detached", {"attached": clean, "bundle": ""}) == {}
    assert plan("guarded", {"attached": clean, "of_addon": False}) == {}
    assert list(looks("detached", known())) == ["attached"]
    assert list(looks("guarded", {**known(), "of_addon": False})) == ["attached"]
    assert list(looks("guarded", {**known(), "of_addon": True})) == ["addon", "attached"]
    left = {"resources": on_sets()}
    end = "on the scale sets, where every pod could take them without NMI"
    texts = "one on x (MIC has left it); one on y (MIC has left it): they are still"
    for bundle, place in (("/b", " The restore bundle is /b."), ("", "")):
        refused = str(refusal(plan, "detached", {"attached": left, "bundle": bundle}))
        assert refused == f"{texts} {end}, so MIC and NMI stay; run this again.{place}"
    used = {"attached": {"resources": on_sets(removable=False, ownership="used")}, **of_addon}
    assert str(refusal(plan, "guarded", used)) == f"one, e are still {end}; run the phases before this one too."


def test_entries_that_aks_still_hands_out() -> None:
    observed = {"cluster": CLUSTER, "addon": told_of_addon()}
    assert plan("entries_gone", observed) == {}
    assert list(looks("entries_gone", known())) == ["addon"]
    left = {**observed, "addon": told_of_addon(ENTRY, {"name": "f"})}
    assert str(refusal(plan, "entries_gone", left)) == (
        "AKS still hands out e, f by the pod identity add-on of cluster one, so it stays on; run this again."
    )


def test_what_the_chart_leaves() -> None:
    mine, of_addon = "Deployment n/mic", "DaemonSet kube-system/nmi"
    assert plan("chart_gone", {"left": {"programs": [of_addon], "addon_programs": [of_addon]}}) == {}
    assert looks("chart_gone", known()) == {"left": {"release_namespaces": ["default"]}}
    left = {"programs": [mine, of_addon], "addon_programs": [of_addon]}
    assert str(refusal(plan, "chart_gone", {"left": left}, wait_timeout=5)) == (
        "Deployment n/mic did not go with the chart within 5 seconds; remove it where it comes from, and run this "
        "again."
    )


def test_a_cluster_that_is_gone_proves_nothing() -> None:
    gone: Raw = {"addons": []}
    for part, observed in (
        ("cluster", there({"addon": gone})),
        ("guarded", {**known(), "addon": gone, "of_addon": True, "attached": {"resources": []}}),
        ("entries_gone", {"cluster": CLUSTER, "addon": gone}),
        ("account", {**audit(), "addon": gone}),
    ):
        with pytest.raises(Refused, match="^Cluster one was deleted during this run, so nothing more of it can be "):
            plan(part, observed)


def test_what_the_addon_leaves() -> None:
    theirs = [thing(kind, "a", by_aks=True) for kind in (BINDING_KIND, "AzureIdentity")]
    left: Raw = {"addon_programs": [], "objects": [*theirs, thing(BINDING_KIND, "b")]}
    assert plan("addon_gone", {"left": left}) == {"bindings": [binding("a")]}
    left["addon_programs"] = ["DaemonSet kube-system/nmi"]
    assert str(refusal(plan, "addon_gone", {"left": left}, wait_timeout=5)) == (
        "AKS has switched its pod identity add-on off, but did not remove DaemonSet kube-system/nmi within 5 seconds; "
        "let it write the cluster once more (az aks update), and run this again."
    )


READY, FULL = {"type": "Ready", "status": "True"}, {"type": "DiskPressure", "status": "True"}


@table(
    "labels, conditions, asked",
    ({"kubernetes.io/os": "linux"}, [{**FULL, "status": "False"}, READY], True),
    ({}, [READY], True),
    (None, [READY], True),
    ({"kubernetes.io/os": "windows"}, [READY], False),
    ({}, [{**READY, "status": "Unknown"}], False),
    ({}, [FULL], False),
    ({}, None, False),
)
def test_which_nodes_are_asked(labels: Any, conditions: Any, asked: bool) -> None:
    for status in ({"conditions": conditions},) if conditions else ({}, None):
        nodes = [{"metadata": {"name": "node", "labels": labels}, "status": status}]
        assert plan("ready_nodes", {"nodes": {"resources": nodes}})["names"] == (["node"] if asked else [])
    assert [each["kind"] for each in looks("ready_nodes", {}).values()] == ["Node"]


def test_nodes_on_which_a_rule_is_left() -> None:
    answers = [
        {"item": "a", "answer": {"proved": True, "message": "IMDS answers."}},
        {"item": "b", "answer": {"proved": False, "message": "NMI answers."}},
        {"item": "c", "msg": "It may not be asked"},
        {"item": "d"},
    ]
    assert plan("dead_nodes", {"answers": answers})["names"] == ["b", "c", "d"]
    assert str(refusal(plan, "proof", {"answers": answers})) == (
        "Pods do not reach the metadata service itself on b (NMI answers); c (It may not be asked); d (). Where "
        "the table of the nodes gives a reason, that names what to do; else run the playbook "
        "azureops.pod_identity.cleanup_nodes. Then run this again."
    )
    assert plan("proof", {"answers": answers[:1]}) == {}


NONE = ("residue", "attached", "identities", "deleted", "secrets", "other_secrets", "going", "assignments", "unlisted")
SEEN = {"cluster": CLUSTER, "addon": False, "found": True, "definitions": True, "nodes_proved": True}
AUDIT: Raw = {**SEEN, **{name: [] for name in NONE}}
OF_ADDON = "pod_identity_addon"
GONE = [("cluster", "gone"), ("nodes", "gone"), ("scale sets", "gone"), ("roles", "gone")]


def audit(changes: Raw | None = None) -> Raw:
    flat = {**AUDIT, **(changes or {})}
    beginning = known(
        found=flat["found"],
        definitions=flat["definitions"],
        identities=flat["identities"],
        going_secrets=flat["going"],
        removal={**REMOVAL, "secrets": flat["secrets"], **flat.get("removal", {})},
        **flat.get("beginning", {}),
    )
    return {
        **beginning,
        "audited": {"residue": flat["residue"]},
        "addon": told_of_addon(*flat.get("entries", []), enabled=flat["addon"]),
        "attached": {"resources": flat["attached"]},
        "in_azure": {"attached": flat.get("before", []), **{name: flat[name] for name in ("assignments", "unlisted")}},
        "deleted": flat["deleted"],
        "nodes_proved": flat["nodes_proved"],
    }


def residue(code: str) -> dict[str, str]:
    return {"object": code, "code": code, "message": "It is.", "remedy": "Do."}


def attached(**identity: Any) -> list[Raw]:
    each = {"removable": False, "ownership": "unknown", "ownership_because": "nobody knows it", **identity}
    on = {"a": ONE, "b": ONE.upper()}
    return [{"id": f"/{name}", "name": name, "identities": [{**each, "id": on[name]}]} for name in on]


ROLE_LEFT = [{"role": "R", "scope": "/x", "principal_id": "nodes"}]


@cases(
    "changes, options, rows",
    ("everything is gone", {}, {}, GONE),
    ("residue", {"residue": [residue("x_left")]}, {}, [*GONE[1:], ("cluster", "left")]),
    ("not read", {"residue": [residue("not_read")]}, {}, [*GONE[1:], ("cluster", "not_verified")]),
    ("kept residue", {"residue": [residue("label_left")]}, {}, [*GONE, ("cluster", "kept")]),
    ("add-on", {"addon": True}, {}, [*GONE[1:], ("cluster", "left")]),
    ("definitions", {"definitions": False}, {}, [*GONE[1:], ("cluster", "not_verified")]),
    ("definitions made again", {"definitions": False}, {"recreate_definitions": True}, GONE),
    ("nothing was there", {"definitions": False, "found": False}, {}, GONE),
    ("nodes were not asked", {"nodes_proved": False}, {}, [GONE[0], *GONE[2:], ("nodes", "not_verified")]),
    ("identity stays", {"attached": attached()}, {}, [*GONE, ("scale sets", "kept")]),
    (
        "identity of pods",
        {"attached": attached(ownership="used")},
        {},
        [*GONE[:2], GONE[3], *[("scale sets", "left")] * 2, ("scale sets", "kept")],
    ),
    ("Azure", {"identities": [ONE, TWO]}, {"delete_identities": [ONE.upper()]}, [*GONE, ("Azure", "kept")]),
    ("roles of a deleted identity", {"deleted": DELETED}, {}, [*GONE, ("Azure", "removed"), ("roles", "kept")]),
    (
        "secret",
        {"secrets": ["n/a", "n/b"], "going": ["n/a"]},
        {},
        [*GONE[1:], ("cluster", "removed"), ("cluster", "kept")],
    ),
    ("roles stay", {"assignments": ROLE_LEFT}, {}, [*GONE[:3], ("roles", "kept")]),
    ("roles go", {"assignments": ROLE_LEFT}, {"remove_role_assignments": True}, [*GONE[:3], ("roles", "removed")]),
    ("roles are unknown", {"unlisted": [{"roles": ["R"], "msg": "No."}]}, {}, [*GONE[:3], ("roles", "kept")]),
)
def test_the_account(changes: Raw, options: Raw, rows: list[tuple[str, str]]) -> None:
    assert list(looks("account", known())) == ["audited", "addon", "attached"]
    assert list(looks("account", known(), CHECK)) == ["audited"]
    told = plan("account", audit(changes), **options)
    found = told["rows"]
    assert [(row["where"], row["state"]) for row in found] == rows
    assert told["left"] == [row["what"] for row in found if row["state"] == "left"]
    predicted = plan("account", audit(changes), CHECK, **options)["rows"]
    assert [(row["what"], row["state"]) for row in map(as_of_the_run, predicted)] == [
        (row["what"], row["state"]) for row in found if row["state"] != "left"
    ]


def test_check_mode_tells_of_azure_what_was_seen_in_the_beginning() -> None:
    given = {"addon": True, "attached": attached(), "before": attached(), "entries": [ENTRY]}
    seen = audit({**given, "beginning": {"addon": {"enabled": True, "identities": [ENTRY]}}})
    unseen = {name: value for name, value in seen.items() if name not in ("addon", "attached")}
    rows = plan("account", unseen, CHECK)["rows"]
    assert rows == plan("account", seen, CHECK)["rows"]
    assert [row["state"] for row in rows if row["where"] == "scale sets"] == ["gone", "kept"]


def as_of_the_run(row: Raw) -> Raw:
    return {**row, "state": row["state"].replace("would remove", "removed")}


THERE: Raw = {
    "removal": {
        "objects": [
            *(thing("AzureIdentity", "a"), thing("AzureIdentity", "of-aks", by_aks=True)),
            *(thing(BINDING_KIND, "a"), thing(ASSIGNED_KIND, "a")),
            thing("CustomResourceDefinition", "azureidentities", "", by_aks=True),
            thing("DaemonSet", "mine"),
        ],
        "releases": [{"namespace": "n", "name": "chart"}],
    },
    "beginning": {"installed": True, "addon": {"enabled": True}, "entries": [ENTRY]},
    "before": [
        *attached(removable=True),
        {"id": "/c", "name": "c", "identities": [{"id": TWO, "removable": False, "protected_code": OF_ADDON}]},
    ],
    "going": ["n/s"],
    "secrets": ["n/s"],
    "assignments": ROLE_LEFT,
    "deleted": [{"id": ONE, "role_assignments": []}],
}
WHOLE = [
    *("entry n/e of the add-on", "helm release n/chart", "add-on of AKS", "AzureIdentity n/a"),
    *("AzureIdentity n/of-aks", "AzureIdentityBinding n/a", "AzureAssignedIdentity n/a"),
    *("CustomResourceDefinition azureidentities", "DaemonSet n/mine", "Secret n/s", "R"),
    *("identity one", "identity one", "identity two", "rules of NMI"),
]
WHOLE = [
    "entry n/e of the add-on",
    "helm release n/chart",
    "add-on of AKS",
    "AzureIdentity n/a",
    "AzureIdentity n/of-aks",
    "AzureIdentityBinding n/a",
    "AzureAssignedIdentity n/a",
    "CustomResourceDefinition azureidentities",
    "DaemonSet n/mine",
    "Secret n/s",
    "R",
    "identity one",
    "identity one",
    "identity two",
    "rules of NMI",
]


@cases(
    "tags, removed",
    ("all", (), WHOLE),
    ("entries", (ENTRIES,), [WHOLE[0], WHOLE[4], WHOLE[13]]),
    ("bindings", (BINDINGS,), [WHOLE[5]]),
    ("scale sets", (SCALE_SETS,), [WHOLE[6], WHOLE[12]]),
    ("chart", (CHART,), [WHOLE[1], WHOLE[8]]),
    ("chart and nodes", (CHART, NODES), [WHOLE[1], WHOLE[8], WHOLE[14]]),
    ("add-on", (ADDON,), [WHOLE[2], WHOLE[7]]),
    ("nodes", (NODES,), []),
    ("roles", (ROLES,), ["R"]),
    ("objects", (OBJECTS,), [WHOLE[3], WHOLE[9]]),
    ("identities", (IDENTITIES,), [WHOLE[11]]),
)
def test_check_mode_tells_what_the_run_removes(tags: tuple[str, ...], removed: list[str]) -> None:
    options = {"remove_role_assignments": True, "delete_identities": [ONE]}
    predicted = plan("account", audit({**THERE, "nodes_proved": False}), Run(True, tags), **options)["rows"]
    assert [row["what"] for row in predicted if row["state"] == "would remove"] == removed
    told = plan("account", audit(THERE), Run(False, tags), **options)["rows"]
    assert [row for row in told if row["state"] == "removed"] == [
        as_of_the_run(row) for row in predicted if row["state"] == "would remove"
    ]


def test_a_secret_that_is_no_business_of_what_goes_is_kept() -> None:
    rows = plan("account", audit({"removal": {"other_secrets": ["production/database"]}}), vault_id="v")["rows"]
    assert [row["what"] for row in rows if row["state"] == "kept"] == ["Secret production/database"]


def test_what_is_there_still_was_not_removed() -> None:
    labels = [*WHOLE[3:9], "Secret n/sh.helm.release.v1.chart.v1"]
    still = {
        "residue": [{**residue("x_left"), "object": each} for each in labels],
        "addon": True,
        "entries": [ENTRY],
        "attached": attached(ownership="used")[:1],
    }
    rows = plan("account", audit({**THERE, **still}), delete_identities=[ONE])["rows"]
    assert [(row["what"], row["reason"]) for row in rows if row["state"] == "removed"] == [
        ("Secret n/s", "It is, encrypted, in the restore bundle."),
        *(("identity one", ONE), ("identity ONE", "on b, nobody knows it"), ("identity two", "on c")),
        ("rules of NMI", ""),
    ]


def test_what_only_the_role_tells_leads_to_its_code() -> None:
    """The add-on, identities on scale sets, nodes that nobody asked; and no code is explained that is never told."""
    left = {"addon": True, "attached": attached(ownership="used")[:1], "nodes_proved": False}
    rows = [row for row in plan("account", audit(left), probe_nodes=False)["rows"] if row["code"]]
    of_left = {("left", "addon_left"), ("left", "identity_attached"), ("not_verified", "nodes_not_asked")}
    assert {(row["state"], row["code"]) for row in rows} == of_left
    assert {row["code"] for row in rows} == set(MEANINGS)
    assert all(row["references"] == [catalogue.address(row["code"])] for row in rows)


def test_check_mode_proves_nothing_of_nodes() -> None:
    for options, reason in (({}, "In check mode no pod asks"), ({"probe_nodes": False}, "No pod asked")):
        rows = plan("account", audit({"nodes_proved": False}), CHECK, **options)["rows"]
        (row,) = [row for row in rows if row["where"] == "nodes"]
        assert (row["state"], row["reason"].startswith(reason)) == ("not_verified", True)


def test_why_something_stays() -> None:
    assignments = [{"role": "R", "scope": "/x", "principal_id": whose} for whose in ("nodes", "plane")]
    found = plan("account", audit({"attached": attached(), "assignments": assignments}))["rows"]
    assert [row["reason"] for row in found if row["state"] == "kept"] == [
        "unknown, on a, b, because nobody knows it; to detach it, run this again with -e "
        f"""'{{"pod_identity_uninstall_remove_unknown_identities": ["{ONE}"]}}'""",
        "of the nodes at /x; it goes with pod_identity_uninstall_remove_role_assignments=true",
        "of the control plane at /x; it goes with pod_identity_uninstall_remove_role_assignments=true",
    ]


def test_in_check_mode_the_addon_still_keeps_its_identities() -> None:
    of_addon = attached(ownership="protected", protected_code=OF_ADDON)
    assert plan("account", audit({"attached": of_addon}))["rows"][-1]["state"] == "kept"
    rows = plan("account", audit({"attached": of_addon}), CHECK)["rows"]
    assert [row["state"] for row in rows] == ["gone"] * 4
