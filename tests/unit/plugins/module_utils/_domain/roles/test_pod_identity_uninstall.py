# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the role pod_identity_uninstall asks for, what of an installation goes with it, and what it refuses."""

from __future__ import annotations

from itertools import zip_longest
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

RUN = Run()
NAMED = {"cluster_name": "one", "cluster_resource_group": "rg"}
SUBSCRIPTION = "/subscriptions/s"
GROUP, MC = f"{SUBSCRIPTION}/resourcegroups/rg", f"{SUBSCRIPTION}/resourceGroups/MC"
ONE, TWO, OWN = (
    f"{GROUP}/providers/microsoft.managedidentity/userassignedidentities/{name}" for name in ("one", "two", "own")
)
CLUSTER: dict[str, Any] = {
    "id": f"{GROUP}/providers/Microsoft.ContainerService/managedClusters/one",
    "name": "one",
    "resource_group": "rg",
    "node_resource_group": "MC",
    "kubelet_identity": {"object_id": "nodes", "resource_id": OWN.upper()},
    "identity": {"principal_id": "plane"},
    "pod_identity_profile": {"enabled": True},
}


def plan(part: str, observed: dict[str, Any], run: Run = RUN, **options: Any) -> Any:
    return PARTS[part].plan({"confirm": "one", **options}, observed, run)


@pytest.mark.parametrize(
    ("options", "named", "run", "parts"),
    [
        ({}, NAMED, RUN, []),
        (
            {"confirm": ""},
            NAMED,
            RUN,
            ["would be removed from cluster one; to confirm, set pod_identity_uninstall_confirm=one"],
        ),
        ({"confirm": "One"}, NAMED, RUN, ["to confirm, set"]),
        ({"confirm": ""}, NAMED, Run(check_mode=True), []),
        ({}, {**NAMED, "cluster_name": None}, RUN, ["No cluster is named, so its scale sets cannot be looked at"]),
        ({}, {**NAMED, "cluster_resource_group": ""}, RUN, ["No cluster is named"]),
        ({"confirm": "2024"}, {"cluster_name": 2024, "cluster_resource_group": 1}, RUN, []),
        (
            {"confirm": "1"},
            {"cluster_name": 2024, "cluster_resource_group": 1},
            RUN,
            ["pod_identity_uninstall_confirm=2024"],
        ),
        ({"artifact_target": "secret:a/b"}, NAMED, RUN, []),
        ({"artifact_target": "/b"}, NAMED, RUN, []),
        (
            {"artifact_target": "secret:a"},
            NAMED,
            RUN,
            ["pod_identity_artifact_target is secret:a; a Secret is named as"],
        ),
        ({"artifact_target": "secret:a/b/c"}, NAMED, RUN, ["a Secret is named as secret:NAMESPACE/NAME."]),
        ({"delete_identities": [ONE, TWO.upper()]}, NAMED, RUN, []),
        (
            {"delete_identities": [ONE, "two", ONE + "/x"]},
            NAMED,
            RUN,
            [f"two, {ONE}/x in pod_identity_uninstall_delete_identities"],
        ),
        (
            {"confirm": "", "artifact_target": "secret:", "delete_identities": ["x"]},
            NAMED,
            RUN,
            ["to confirm", "a Secret is named", "x in pod_identity_uninstall_delete_identities is not the resource id"],
        ),
    ],
)
def test_options_are_checked(options: dict[str, Any], named: dict[str, Any], run: Run, parts: list[str]) -> None:
    told: tuple[str, ...] = ()
    try:
        plan("options", named, run, **options)
    except Refused as refused:
        told = refused.sentences
    assert [part in sentence for part, sentence in zip_longest(parts, told, fillvalue="")] == [True] * len(parts), told


def test_phases() -> None:
    whole = plan("options", NAMED)
    assert (whole["phases"], whole["whole"], whole["bundle_in"]) == (list(PHASES), True, "file")
    secret = plan("options", NAMED, artifact_target="secret:a/b")
    assert secret["bundle_in"] == "secret"
    part = plan("options", NAMED, Run(tags=(SCALE_SETS,)))
    assert (part["phases"], part["whole"]) == ([SCALE_SETS], False)
    assert not plan("options", NAMED, Run(skipped_tags=(NODES,)))["whole"]


def needs(run: Run = RUN, **options: Any) -> list[tuple[str, str, str]]:
    """Resource, verbs and namespace."""
    found = plan("options", NAMED, run, **options)["kubernetes"]
    return [(need["resource"], ",".join(need["verbs"]), need["namespace"]) for need in found]


ALWAYS = [each for each in KUBERNETES_PERMISSIONS.values() if each.phase == "always"]


@pytest.mark.parametrize(
    ("run", "options", "expected"),
    [
        pytest.param(Run(tags=(BINDINGS,)), {}, [("azureidentitybindings", "delete", "")], id="bindings"),
        pytest.param(
            Run(tags=(CHART,)),
            {"release_namespaces": ["a", "b"]},
            [
                *(("secrets", "get,list", place) for place in "ab"),
                *(("secrets", "update,patch,delete", place) for place in "ab"),
                *(("deployments", "get,delete", place) for place in "ab"),
                *(("daemonsets", "get,delete", place) for place in "ab"),
            ],
            id="chart",
        ),
        pytest.param(
            Run(tags=(NODES,)),
            {"probe_namespace": "p"},
            [("jobs", "list,create,delete", "p"), ("pods", "get", "p")],
            id="nodes",
        ),
        pytest.param(Run(tags=(NODES,)), {"probe_nodes": False}, [], id="no probes"),
        pytest.param(
            Run(tags=(ROLES,)),
            {"artifact_target": "secret:a/b"},
            [("secrets", "get,list,create,patch", "a")],
            id="bundle in a Secret",
        ),
        pytest.param(
            Run(tags=(ROLES,)),
            {"recreate_definitions": True},
            [("customresourcedefinitions", "get,create,patch,delete", "")],
            id="definitions",
        ),
    ],
)
def test_what_the_cluster_is_asked(run: Run, options: dict[str, Any], expected: list[tuple[str, str, str]]) -> None:
    least = needs(Run(tags=(ROLES,)))
    assert ("leases", "get,create,patch,delete", "default") in least
    assert len(least) == len(ALWAYS) - 3  # neither releases nor bundle nor definitions
    assert [need for need in needs(run, **options) if need not in least] == expected


REMOVAL: dict[str, Any] = {
    "objects": [],
    "releases": [],
    "programs": [],
    "reconciled_by": [],
    "identities": [],
    "secrets": [],
    "other_secrets": [],
    "documents": [],
    "release_namespaces": ["default"],
}
OFF = {"addons": [{"enabled": False, "identities": []}]}
NOTHING: dict[str, Any] = {
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


def there(changes: dict[str, Any] | None = None, **removal: Any) -> dict[str, Any]:
    """What is in the cluster."""
    return {**NOTHING, **(changes or {}), "removal": {**REMOVAL, **removal}}


def looks(
    part: str, observed: dict[str, Any], run: Run = RUN, *, told: dict[str, Any] | None = None, **options: Any
) -> dict[str, dict[str, Any]]:
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
    assert [(need["resource"], need["verbs"], need["namespace"]) for need in found] == [
        ("secrets", ["get", "delete"], "a"),
        ("secrets", ["get", "delete"], "b"),
    ]
    assert plan("cluster", observed, Run(tags=(ROLES,)), vault_id="v")["kubernetes"] == []
    assert plan("cluster", observed)["kubernetes"] == []
    assert not any(need[:2] == ("secrets", "get,delete") for need in needs(Run(tags=(OBJECTS,))))


AWAY = "/subscriptions/other/resourcegroups/rg/providers/microsoft.managedidentity/userassignedidentities/x"
NODES_THERE = [
    "azure:///subscriptions/s/resourceGroups/mc/providers/Microsoft.Compute/virtualMachineScaleSets/a/virtualMachines/0",
    "azure:///subscriptions/s/resourceGroups/Other/providers/Microsoft.Compute/virtualMachines/b",
    "kind://docker/kind/node",
]
LOOK = there(
    {
        "nodes": {
            "resources": [
                {"metadata": {"name": name}, "spec": {"providerID": provider}}
                for name, provider in zip("abc", NODES_THERE)
            ]
        },
        "earlier": [TWO, OWN],
    },
    identities=[ONE, OWN],
)
UNSEEN = {"cluster": CLUSTER, "permitted": False, "earlier": [], "poll_interval": ""}


def test_what_is_looked_at_in_the_cluster() -> None:
    found = looks("cluster", LOOK, owner="team", release_namespaces=["a"])
    assert list(found) == ["addon", "removal", "nmi", "nodes", "inventory"]
    assert found["addon"] == {
        "subscription_id": "s",
        "resource_group": "rg",
        "cluster_name": "one",
        "wait": True,
        "poll_interval": None,
    }
    assert found["removal"] == {"owner": "team", "scope": "owned", "release_namespaces": ["a"]}
    assert looks("cluster", UNSEEN) == {}
    assert not plan("cluster", UNSEEN)["looked"]


def test_nobody_is_asked_for_rights_in_another_subscription() -> None:
    """Before it is known what lies there."""
    observed = there(identities=[ONE, AWAY])
    scopes = [scope for scope, dummy in asked("cluster", observed, remove_role_assignments=True)]
    assert ONE in scopes and AWAY not in scopes
    assert AWAY in [each["scope"] for each in plan("cluster", observed)["role_scopes"]]


def asked(part: str, observed: dict[str, Any], run: Run = RUN, **options: Any) -> list[tuple[str, str]]:
    """Scopes, and the first action of each."""
    return [
        (need["scope"], need["actions"][0].partition(".")[2]) for need in plan(part, observed, run, **options)["azure"]
    ]


LOOK_AT, ROLES_READ = "Compute/virtualMachineScaleSets/read", "Authorization/roleAssignments/read"


def test_what_is_read_in_azure() -> None:
    other = f"{SUBSCRIPTION}/resourceGroups/Other"
    assert asked("cluster", LOOK) == [(MC, LOOK_AT), (other, LOOK_AT), (MC, ROLES_READ)]
    assert asked("cluster", UNSEEN, remove_role_assignments=True) == [(MC, LOOK_AT), (MC, ROLES_READ)]
    assert asked("cluster", LOOK, remove_role_assignments=True)[:3] == [
        (ONE, ROLES_READ),
        (GROUP, ROLES_READ),
        (TWO, ROLES_READ),
    ]
    assert asked("cluster", UNSEEN, delete_identities=[ONE])[-2:] == [
        (ONE, "ManagedIdentity/userAssignedIdentities/read"),
        (SUBSCRIPTION, ROLES_READ),
    ]


@pytest.mark.parametrize(
    ("cluster", "options", "expected"),
    [
        pytest.param(
            {},
            {},
            [(MC, 2, "nodes"), (ONE, 1, "nodes"), (GROUP, 1, "nodes"), (TWO, 1, "nodes"), (TWO, 1, "plane")],
            id="nodes and control plane",
        ),
        pytest.param(
            {},
            {"principal_id": "x"},
            [(MC, 2, "x"), (ONE, 1, "x"), (GROUP, 1, "x"), (TWO, 1, "x"), (TWO, 1, "plane")],
            id="named",
        ),
        pytest.param({"kubelet_identity": {}, "identity": None}, {}, [], id="nobody"),
        pytest.param(
            {"node_resource_group": "RG"},
            {},
            [
                (f"{SUBSCRIPTION}/resourceGroups/RG", 2, "nodes"),
                (ONE, 1, "nodes"),
                (TWO, 1, "nodes"),
                (TWO, 1, "plane"),
            ],
            id="one group",
        ),
    ],
)
def test_where_roles_are_looked_for(
    cluster: dict[str, Any], options: dict[str, Any], expected: list[tuple[str, int, str]]
) -> None:
    scopes = plan("cluster", {**LOOK, "cluster": {**CLUSTER, **cluster}}, **options)["role_scopes"]
    assert [(each["scope"], len(each["roles"]), each["principal_id"]) for each in scopes] == expected


def known(there_is: dict[str, Any] | None = None, /, **changes: Any) -> dict[str, Any]:
    """What parts have that decide later."""
    beginning = {**plan("cluster", there_is or there()), **changes}
    return {"cluster": CLUSTER, "known": beginning, "now": None, "poll_interval": ""}


def assigned(*roles: str, inherited: bool = False) -> dict[str, Any]:
    """What role_assignment_info tells of /x."""
    scope = "/" if inherited else "/x"
    return {"assignments": [{"role_name": each, "scope": scope, "inherited": inherited} for each in roles]}


def test_what_is_needed_is_known_in_part_beforehand() -> None:
    write = "ContainerService/managedClusters/write"
    of_nodes = [(MC, LOOK_AT), (MC, ROLES_READ), (MC, "Compute/virtualMachineScaleSets/write")]
    own = {"cluster": {**CLUSTER, "pod_identity_profile": None}}
    assert asked("beforehand", own) == of_nodes
    assert asked("beforehand", {"cluster": CLUSTER}).count((CLUSTER["id"], write)) == 2
    given = {"release_namespaces": ["kube-system"], "probe_namespace": "probes"}
    needs = plan("beforehand", own, Run(tags=("workload_identity_migration_finish",)), **given)["kubernetes"]
    assert needs == plan("options", NAMED, RUN, **given)["kubernetes"] and needs


AT_X = {"scope": "/x", "roles": ["R"], "principal_id": "nodes"}
ENTRIES_THERE = [
    {"identity": ONE, "provisioning_state": "Failed"},
    {"identity": TWO, "provisioning_state": "Assigned"},
]
GOING: dict[str, Any] = {
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


@pytest.mark.parametrize(
    ("changes", "run", "options", "expected"),
    [
        pytest.param(
            {}, Run(tags=(ENTRIES,)), {}, [(CLUSTER["id"], "ContainerService/managedClusters/write")], id="entries"
        ),
        pytest.param(
            {}, Run(tags=(ADDON,)), {}, [(CLUSTER["id"], "ContainerService/managedClusters/write")], id="add-on"
        ),
        pytest.param(
            {"cluster": {**CLUSTER, "pod_identity_profile": None}}, Run(tags=(ADDON, ENTRIES)), {}, [], id="off"
        ),
        pytest.param(
            {"cluster": {**CLUSTER, "pod_identity_profile": {}}},
            Run(tags=(ENTRIES,)),
            {"recreate_identity": True},
            [(GROUP, "ManagedIdentity/userAssignedIdentities/write")],
            id="recreate",
        ),
        pytest.param(
            {},
            Run(tags=(IDENTITIES,)),
            {"delete_identities": [ONE]},
            [(ONE, "ManagedIdentity/userAssignedIdentities/delete")],
            id="identities",
        ),
        pytest.param(
            {},
            Run(tags=(SCALE_SETS,)),
            {},
            [("/set", "Compute/virtualMachineScaleSets/write"), ("/machine", "Compute/virtualMachines/write")],
            id="scale sets",
        ),
        pytest.param(
            {"attached": None},
            Run(tags=(SCALE_SETS, ROLES)),
            {"remove_role_assignments": True},
            [(MC, "Compute/virtualMachineScaleSets/write"), (MC, "Authorization/roleAssignments/delete")],
            id="not looked",
        ),
        pytest.param({}, Run(tags=(ROLES,)), {}, [], id="roles stay"),
        pytest.param(
            {},
            Run(tags=(ROLES,)),
            {"remove_role_assignments": True},
            [("/x", "Authorization/roleAssignments/delete")],
            id="roles",
        ),
    ],
)
def test_what_is_changed_in_azure(
    changes: dict[str, Any], run: Run, options: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    observed = {name: value for name, value in {**GOING, **changes}.items() if value is not None or name == "now"}
    assert asked("azure", observed, run, **options) == expected


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
        (look,) = (
            each
            for each in PARTS["azure"].looks_at({"remove_role_assignments": removes}, dict(observed), RUN)
            if each.name == "roles 0"
        )
        assert look.tolerates is not None
        assert look.tolerates(refused) is not removes


NODE = {"metadata": {"name": "node"}, "spec": {"providerID": f"azure://{MC.lower()}/providers/Microsoft.Compute/x/0"}}
ELSEWHERE = {"metadata": {"name": "node"}, "spec": {"providerID": f"azure://{MC}2/providers/Microsoft.Compute/x/0"}}
ASSIGNED = {"name": "a", "node": "node", "resource_id": ONE, "type": 0}


def thing(kind: str, name: str, namespace: str = "n", **more: Any) -> dict[str, Any]:
    given = {"removable": True, "by_aks": False, "foreign_finalizers": [], **more}
    return {"kind": kind, "namespace": namespace, "name": name, **given}


GETS = [{"namespace": "n", "binding": name, "name": name} for name in ("old", "new", "of-aks")]
BINDINGS_THERE = [
    thing("AzureIdentityBinding", "old"),
    thing("AzureIdentityBinding", "of-aks", by_aks=True),
    thing("AzureIdentity", "new"),
]
DEPLOYMENT = {"kind": "Deployment", "namespace": "n", "name": "api", "identities": GETS, "findings": []}


def inventory(
    *, assigned: Any = (ASSIGNED,), nodes: Any = (NODE,), mic_works: bool = True, immutable: Any = None
) -> dict[str, Any]:
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


@pytest.mark.parametrize(
    ("run", "left"), [(RUN, ["new"]), (Run(tags=(SCALE_SETS,)), ["old", "new"])], ids=["all", "bindings stay"]
)
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
    assert looks("detach", inventory(), Run(check_mode=True)) == {}


@pytest.mark.parametrize(
    ("immutable", "named", "protected"),
    [
        ([], [], []),
        (None, [], []),
        ("c", [], [ONE]),
        (["c", "x"], [], [ONE]),
        (["c"], [ONE.upper(), OWN], [ONE.upper(), OWN]),
        (["", None], [], []),
    ],
)
def test_what_is_protected(immutable: Any, named: list[str], protected: list[str]) -> None:
    found = plan("detach", inventory(immutable=immutable), protected_identities=named)
    assert found["protected"] == protected
    assert found["known"] == [{"id": TWO, "source": "an entry of the pod identity add-on"}]


@pytest.mark.parametrize(
    ("changes", "run", "left"),
    [
        pytest.param({}, RUN, True, id="MIC detaches it"),
        pytest.param({"assigned": [ASSIGNED, {**ASSIGNED, "name": "b"}]}, RUN, True, id="once"),
        pytest.param({"mic_works": False}, RUN, False, id="no MIC"),
        pytest.param({}, Run(tags=(SCALE_SETS,)), False, id="bindings stay"),
        pytest.param({"nodes": []}, RUN, False, id="no node"),
        pytest.param({"nodes": [ELSEWHERE]}, RUN, False, id="another group"),
        pytest.param({"nodes": [{"metadata": {"name": "node"}}]}, RUN, False, id="unknown machine"),
        pytest.param({"assigned": [ASSIGNED, ASSIGNED]}, RUN, False, id="equal names"),
        pytest.param({"assigned": [{**ASSIGNED, "type": 1}]}, RUN, False, id="service principal"),
        pytest.param({"assigned": [{**ASSIGNED, "resource_id": None}]}, RUN, False, id="no identity"),
    ],
)
def test_what_is_left_to_mic(changes: dict[str, Any], run: Run, left: bool) -> None:
    expected = [{"id": ONE, "provider_id": NODE["spec"]["providerID"]}] if left else []
    assert plan("detach", inventory(**changes), run)["left_to_mic"] == expected


EARLIER: dict[str, Any] = {"cluster": {"id": CLUSTER["id"]}, "directory": "/saved"}
IN_SECRETS = {
    "bundles": [{"place": "/saved/one-1.json", "handed_out": [ONE]}, {"place": "secret:a/b", "handed_out": [TWO, ONE]}]
}


@pytest.mark.parametrize(
    ("confirmed", "identities"),
    [
        pytest.param(None, [ONE], id="files"),
        pytest.param(assigned("R"), [ONE, TWO], id="Azure confirms it"),
        pytest.param(assigned("R", inherited=True), [ONE], id="at a wider scope"),
        pytest.param(assigned(), [ONE], id="Azure does not"),
        pytest.param({"failed": True, "msg": "No."}, [ONE], id="it could not be seen"),
    ],
)
def test_what_bundles_of_earlier_runs_are_believed(confirmed: dict[str, Any] | None, identities: list[str]) -> None:
    observed = {**EARLIER, "told": IN_SECRETS, f"operator of {TWO}": confirmed}
    assert plan("earlier", observed) == {"identities": identities}


def test_what_a_secret_tells_is_asked_of_azure() -> None:
    def looks(principal: str, **options: Any) -> list[Look]:
        cluster = {**EARLIER["cluster"], "identity": {"principal_id": principal}}
        return list(PARTS["earlier"].looks_at(options, {**EARLIER, "cluster": cluster, "told": IN_SECRETS}, RUN))

    (told,) = looks("")
    assert (told.module, told.in_cluster) == ("pod_identity_bundle_info", False)
    assert told.arguments == {"target": "/saved", "cluster_id": CLUSTER["id"]}
    told, *operators = looks("p", artifact_target="secret:a/b")
    assert told.in_cluster
    assert [(each.module, each.arguments) for each in operators] == [
        (
            "role_assignment_info",
            {
                "subscription_id": "s",
                "scope": identity,
                "roles": ["Managed Identity Operator"],
                "principal_id": "p",
            },
        )
        for identity in sorted((ONE, TWO))
    ]
    assert all(each.tolerates and each.tolerates({"failed": True}) for each in operators)


ASSIGNED_KIND, BINDING_KIND = "AzureAssignedIdentity", "AzureIdentityBinding"
ENTRY = {"name": "e", "namespace": "n", "identity": TWO.upper()}
ON = {"enabled": True, "identities": [{**ENTRY, "provisioning_state": "Assigned"}]}
MIC = [{"namespace": "n", "name": name, "mic_leader": leader} for name, leader in (("a", ""), ("b", "mic-0"))]
GONE_LAST = ["programs", "bindings", "assigned"]
IN_CLUSTER: dict[str, Any] = {
    "found": False,
    "installed": False,
    "definitions": False,
    "mic_works": False,
    "waits_for_mic": False,
    "twins": [],
    "foreign": [],
    "reconciled_by": [],
    "entries": [],
    "absent_entries": [],
    "bindings": [],
    "handed_out": [],
    "identities": [],
    "going_secrets": [],
    "gone_before_assigned": ["programs", "bindings"],
    "gone_before_objects": GONE_LAST,
}


OF_REMOVAL = {"objects", "releases", "programs", "reconciled_by", "secrets", "identities"}


def binding(name: str) -> dict[str, str]:
    return {"name": name, "namespace": "n", "binding_name": name, "only": "binding", "state": "absent"}


@pytest.mark.parametrize(
    ("changes", "options", "expected"),
    [
        pytest.param({}, {}, {}, id="nothing"),
        pytest.param({"releases": ["r"]}, {}, {"found": True, "installed": True}, id="release"),
        pytest.param({"programs": ["DaemonSet n/nmi"]}, {}, {"found": True, "installed": True}, id="program"),
        pytest.param(
            {"objects": [thing("CustomResourceDefinition", "x")]},
            {},
            {"found": True, "definitions": True},
            id="definition",
        ),
        pytest.param(
            {"installations": MIC},
            {},
            {"mic_works": True, "gone_before_assigned": GONE_LAST},
            id="MIC without work",
        ),
        pytest.param(
            {"installations": MIC[:1], "objects": [thing(ASSIGNED_KIND, "a")]}, {}, {"found": True}, id="MIC is down"
        ),
        pytest.param(
            {
                "installations": MIC,
                "objects": [
                    thing(ASSIGNED_KIND, "b"),
                    thing(ASSIGNED_KIND, "a"),
                    thing(ASSIGNED_KIND, "a", "m"),
                    thing(BINDING_KIND, "b", by_aks=False),
                ],
            },
            {},
            {
                "found": True,
                "mic_works": True,
                "waits_for_mic": True,
                "twins": ["a"],
                "bindings": [binding("b")],
                "gone_before_assigned": GONE_LAST,
            },
            id="MIC with work",
        ),
        pytest.param(
            {"objects": [thing("AzureIdentity", "a", removable=False)]},
            {},
            {"found": True, "foreign": [thing("AzureIdentity", "a", removable=False)]},
            id="of others",
        ),
        pytest.param(
            {"addon": ON, "objects": [thing(BINDING_KIND, "a", by_aks=True), thing(BINDING_KIND, "b")]},
            {},
            {
                "found": True,
                "entries": [ENTRY],
                "absent_entries": [ENTRY],
                "bindings": [binding("b")],
                "handed_out": [TWO],
                "identities": [TWO],
                "gone_before_objects": [*GONE_LAST, "addon"],
            },
            id="add-on",
        ),
        pytest.param(
            {"objects": [thing(BINDING_KIND, "a", by_aks=True)]},
            {},
            {"found": True, "bindings": [binding("a")]},
            id="binding that AKS left",
        ),
        pytest.param(
            {"earlier": [TWO, ONE], "identities": [OWN, ONE]},
            {},
            {"handed_out": [ONE, TWO], "identities": [ONE, OWN, TWO]},
            id="identities",
        ),
        pytest.param(
            {"earlier": [TWO, ONE], "addon": ON},
            {"recreate_identity": True},
            {
                "handed_out": [ONE, TWO],
                "identities": [ONE, TWO],
                "entries": [ENTRY],
                "absent_entries": [ENTRY, {"name": "earlier-1", "namespace": "default", "identity": ONE}],
                "gone_before_objects": [*GONE_LAST, "addon"],
            },
            id="identities that may have been made again",
        ),
        pytest.param({"secrets": ["n/s"]}, {}, {}, id="secrets stay"),
        pytest.param({"secrets": ["n/s"]}, {"vault_id": "v"}, {"going_secrets": ["n/s"]}, id="secrets go"),
        pytest.param(
            {"reconciled_by": ["DaemonSet n/nmi (the AKS add-on)", "Deployment n/mic (managed by Flux)"]},
            {},
            {"reconciled_by": ["DaemonSet n/nmi (the AKS add-on)", "Deployment n/mic (managed by Flux)"]},
            id="brought back",
        ),
        pytest.param(
            {
                "reconciled_by": ["DaemonSet n/nmi (the AKS add-on)", "Deployment n/mic (managed by Flux)"],
                "addon": {"enabled": True, "identities": []},
            },
            {},
            {
                "reconciled_by": ["Deployment n/mic (managed by Flux)"],
                "gone_before_objects": [*GONE_LAST, "addon"],
            },
            id="AKS does not once the add-on is off",
        ),
    ],
)
def test_what_of_the_installation_goes(
    changes: dict[str, Any], options: dict[str, Any], expected: dict[str, Any]
) -> None:
    others = {
        **({"earlier": changes["earlier"]} if "earlier" in changes else {}),
        **({"addon": {"addons": [changes["addon"]]}} if "addon" in changes else {}),
        **({"nmi": {"installations": changes["installations"]}} if "installations" in changes else {}),
    }
    found = plan("cluster", there(others, **{name: changes[name] for name in changes if name in OF_REMOVAL}), **options)
    assert {name: found[name] for name in IN_CLUSTER} == {**IN_CLUSTER, **expected}


HELD = ["x/a"]
WAITS = "Its deletion waits until whoever owns the finalizer x/a takes it away."


@pytest.mark.parametrize(
    ("objects", "others", "run", "told"),
    [
        pytest.param([thing("AzureIdentity", "a")], {}, RUN, [], id="no finalizer"),
        pytest.param(
            [thing("AzureIdentity", "a", foreign_finalizers=HELD)], {}, RUN, [f"AzureIdentity n/a: {WAITS}"], id="one"
        ),
        pytest.param(
            [thing("ConfigMap", "c", foreign_finalizers=["x/a", "b"])],
            {},
            Run(check_mode=True),
            ["ConfigMap n/c: Its deletion waits until whoever owns the finalizers x/a, b takes them away."],
            id="two, in check mode",
        ),
        pytest.param([thing("AzureIdentity", "a", removable=False, foreign_finalizers=HELD)], {}, RUN, [], id="stays"),
        pytest.param(
            [thing("AzureIdentity", "a", foreign_finalizers=HELD)], {}, Run(tags=(BINDINGS,)), [], id="another phase"
        ),
        pytest.param(
            [thing(ASSIGNED_KIND, "a", foreign_finalizers=HELD)],
            {"nmi": {"installations": MIC}},
            Run(tags=(BINDINGS,)),
            [f"{ASSIGNED_KIND} n/a: {WAITS}"],
            id="what MIC deletes",
        ),
        pytest.param(
            [thing("AzureIdentity", "a", by_aks=True, foreign_finalizers=HELD)],
            {"addon": {"addons": [ON]}},
            Run(tags=(ENTRIES,)),
            [f"AzureIdentity n/a: {WAITS}"],
            id="what AKS deletes",
        ),
    ],
)
def test_whose_deletion_will_wait(
    objects: list[dict[str, Any]], others: dict[str, Any], run: Run, told: list[str]
) -> None:
    found = plan("cluster", there(others, objects=objects), run, wait_timeout=9)["waiting"]
    assert [each.partition(" Ask them to, or the run stops there after 9 seconds")[0] for each in found] == told


@pytest.mark.parametrize("run", [RUN, Run(check_mode=True)], ids=["run", "check mode"])
def test_the_account_tells_whose_deletion_waits(run: Run) -> None:
    objects = [thing("AzureIdentity", "a", foreign_finalizers=HELD), thing("AzureIdentity", "b")]
    rows = plan("account", audit({"removal": {"objects": objects}}), run)["rows"]
    assert [(row["what"], row["reason"]) for row in rows if row["what"].startswith("AzureIdentity")] == [
        ("AzureIdentity n/a", WAITS),
        ("AzureIdentity n/b", ""),
    ]


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
    assert found["assignments"] == [
        {"role": "R", "scope": "/X", "principal_id": "nodes"},
        {"role": "S", "scope": "/X", "principal_id": "nodes"},
    ]
    assert found["unlisted"] == [{"roles": ["R", "S"], "msg": "No."}]
    assert found["warnings"] == ["nodes still holds S at /X, inherited from /."]


@pytest.mark.parametrize(
    ("scope", "status", "tolerated"),
    [
        (AWAY, 404, True),
        (AWAY, 403, True),
        (AWAY, 401, True),
        (AWAY, 400, True),
        (AWAY, 500, False),
        (AWAY, None, False),
        (ONE, 404, False),
        (ONE, 403, False),
    ],
)
def test_no_identity_of_another_subscription_stops_an_uninstall(
    scope: str, status: int | None, tolerated: bool
) -> None:
    """Whoever may write AzureIdentities names any."""
    asked = {"scope": scope, "principal_id": "nodes", "roles": ["R"]}
    failed = {"failed": True, "msg": "No.", **({"error": {"status": status, "code": "Gone"}} if status else {})}
    found = {**known(role_scopes=[asked]), "permitted": True}
    *dummy, look = PARTS["azure"].looks_at({"remove_role_assignments": True}, dict(found), RUN)
    assert look.tolerates is not None and look.tolerates(failed) is tolerated
    told = plan("azure", {**found, "attached": {"resources": []}, "roles 0": failed})
    (unlisted,) = told["unlisted"]
    known_reason = "that lies in another subscription, where this credential may not look (Gone)."
    assert unlisted["msg"].endswith(known_reason if tolerated else "No.")


def crds(*names: str) -> dict[str, Any]:
    return {"definitions": {"resources": [{"metadata": {"name": name}} for name in names]}}


def test_definitions_that_are_gone() -> None:
    group = "aadpodidentity.k8s.io"
    there = [f"{name}.{group}" for name in ("azureidentities", "azureidentitybindings", "azureassignedidentities")]
    found = plan("definitions", crds(*there, "azurepodidentityexceptions.example.com"))
    assert found["missing"] == [
        {
            "name": f"azurepodidentityexceptions.{group}",
            "kind": "AzurePodIdentityException",
            "plural": "azurepodidentityexceptions",
        }
    ]
    assert len(found["kinds"]) == len(plan("definitions", crds())["missing"]) == 4
    assert [each["kind"] for each in looks("definitions", {}).values()] == ["CustomResourceDefinition"]


def in_the_way(
    *, foreign: int = 0, reconciled_by: Any = (), protected: Any = (), attached: Any = (), **plan: Any
) -> dict[str, Any]:
    theirs = [thing("K", "a", removable=False)] * foreign
    observed = known(foreign=theirs, reconciled_by=list(reconciled_by), **plan)
    return {**observed, "protected": list(protected), "attached": list(attached)}


@pytest.mark.parametrize(
    ("foreign", "reconciled_by", "parts"),
    [
        (0, [], []),
        (2, [], ["2 objects of AAD Pod Identity do not carry the labels of this collection with the owner team"]),
        (0, ["a (Flux)", "b (Flux)"], ["a (Flux), b (Flux) would be put there again; nothing was changed."]),
        (1, ["a (Flux)"], ["1 objects", "a (Flux) would"]),
    ],
)
def test_what_must_not_go(foreign: int, reconciled_by: list[str], parts: list[str]) -> None:
    told: tuple[str, ...] = ()
    try:
        plan("refusal", in_the_way(foreign=foreign, reconciled_by=reconciled_by), owner="team")
    except Refused as refused:
        told = refused.sentences
        assert plain(refused.plan)["rows"] == [{"kind": "K", "namespace": "n", "name": "a"}] * foreign
    begun = [sentence.startswith(part) for part, sentence in zip_longest(parts, told, fillvalue="")]
    assert begun == [True] * len(parts)


REMEDY = (
    "Nothing was changed, because workloads still use pod identity; move them first, or go on with "
    "pod_identity_uninstall_allow_in_use=true. "
)


@pytest.mark.parametrize(
    ("found", "rows", "remedy"),
    [
        pytest.param({"bindings": {}}, [], "", id="another error"),
        pytest.param(
            {
                "bindings": {
                    "in_use": [
                        {"identity": "n/a", "users": ["Pod n/x", "Pod n/y"]},
                        {"identity": "n/b", "users": ["Pod n/x"]},
                    ]
                }
            },
            [("Pod n/x", "n/a"), ("Pod n/y", "n/a"), ("Pod n/x", "n/b")],
            REMEDY,
            id="bindings",
        ),
        pytest.param({"entries": {"users": ["Pod n/x"]}}, [("Pod n/x", "")], REMEDY, id="entries"),
    ],
)
def test_who_uses_what_would_go(found: dict[str, Any], rows: list[tuple[str, str]], remedy: str) -> None:
    failed = {name: {"failed": True, "msg": "In use.", **told} for name, told in found.items()}
    with pytest.raises(Refused) as refused:
        plan("refusal", {**in_the_way(), **failed})
    assert str(refused.value) == f"{remedy}In use."
    told = plain(refused.value.plan)
    assert told["rows"] == [{"used_by": user, "identity": identity} for user, identity in rows]
    assert told["columns"] == ["used_by", "identity"]


@pytest.mark.parametrize(
    ("changes", "options", "expected"),
    [
        pytest.param({}, {}, ["bindings", "entries", f"deleted {TWO}"], id="all"),
        pytest.param({"foreign": 1}, {}, [], id="of others"),
        pytest.param({"reconciled_by": ["a (Flux)"]}, {}, [], id="brought back"),
        pytest.param({}, {"allow_in_use": True}, [f"deleted {TWO}"], id="although it is used"),
        pytest.param({"told": {"bindings": {"failed": True}}}, {}, ["bindings"], id="bindings are used"),
        pytest.param({"told": {"entries": {"failed": True}}}, {}, ["bindings", "entries"], id="entries are used"),
        pytest.param({"protected": [TWO]}, {}, ["bindings", "entries"], id="an identity must stay"),
        pytest.param({"bindings": [], "entries": []}, {"delete_identities": []}, [], id="nothing goes"),
    ],
)
def test_what_is_refused_is_not_looked_at_further(
    changes: dict[str, Any], options: dict[str, Any], expected: list[str]
) -> None:
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
    with pytest.raises(Refused) as refused:
        plan("refusal", {**in_the_way(), **used}, delete_identities=[ONE, TWO])
    end = "remove that first, or leave the identity."
    assert refused.value.sentences == (
        f"The identity one is not deleted, because it is used by /vm: {end}",
        f"The identity two is not deleted, because it is used by its federated credential web: {end}",
    )
    there = {f"deleted {ONE}": in_azure(role_assignments=[OF_ONE]), f"deleted {TWO}": {"identities": []}}
    found = plan("refusal", {**in_the_way(), **there}, delete_identities=[ONE, TWO])
    assert found["existing"] == [{"id": ONE, "role_assignments": [OF_ONE]}]


def in_azure(**changes: Any) -> dict[str, Any]:
    """What user_assigned_identity_info tells of an identity."""
    return {"identities": [{"attached_to": [], "federated_credentials": [], "role_assignments": [], **changes}]}


@pytest.mark.parametrize(
    ("run", "used_by"),
    [
        pytest.param(RUN, "/z", id="this run detaches it"),
        pytest.param(Run(skipped_tags=(SCALE_SETS,)), "/X, /y, /z", id="it does not"),
    ],
)
def test_what_loses_an_identity_in_this_run_does_not_use_it(run: Run, used_by: str) -> None:
    there = {**in_the_way(attached=on_sets()), f"deleted {ONE}": in_azure(attached_to=["/X", "/y", "/z"])}
    with pytest.raises(Refused) as refused:
        plan("refusal", there, run, delete_identities=[ONE])
    assert f"it is used by {used_by}: " in str(refused.value)


def test_identities_that_must_stay_are_not_deleted() -> None:
    attached = [
        {
            "id": "/set",
            "identities": [
                {
                    "id": TWO.upper(),
                    "ownership": "protected",
                    "ownership_because": "the cluster names it",
                    "removable": False,
                },
                {"id": OWN, "ownership": "protected", "ownership_because": "it is not named", "removable": False},
                {"id": ONE, "ownership": "used", "ownership_because": "pods had it", "removable": False},
            ],
        }
    ]
    observed = in_the_way(attached=attached)
    assert [each["id"] for each in plan("refusal", observed, delete_identities=[ONE])["identities"]] == [ONE]
    with pytest.raises(Refused) as refused:
        plan("refusal", {**observed, "protected": [ONE]}, delete_identities=[ONE.upper(), TWO])
    assert str(refused.value) == (
        "one is protected; TWO is protected, because the cluster names it; nothing was changed. Take it out of "
        "pod_identity_uninstall_delete_identities."
    )


def on_sets(**identity: Any) -> list[dict[str, Any]]:
    each = {"id": ONE, "removable": True, "ownership": "leftover", "ownership_because": "MIC has left it", **identity}
    stays = {"id": OWN, "removable": False, "ownership": "unknown", "ownership_because": "nobody knows it"}
    return [{"id": f"/{name}", "name": name, "identities": [stays, each]} for name in ("x", "y")]


@pytest.mark.parametrize(
    ("identity", "run", "places"),
    [
        pytest.param({"id": ONE.upper()}, RUN, ["/x", "/y"], id="detached before"),
        pytest.param({}, Run(skipped_tags=(SCALE_SETS,)), [], id="not in this run"),
        pytest.param({"removable": False}, RUN, [], id="stays there"),
        pytest.param({"id": TWO}, RUN, [], id="another one"),
    ],
)
def test_where_a_deleted_identity_is_detached_before(identity: dict[str, Any], run: Run, places: list[str]) -> None:
    observed = in_the_way(attached=on_sets(**identity))
    assert plan("refusal", observed, run, delete_identities=[ONE])["identities"] == [
        {"id": ONE, "subscription_id": "s", "resource_group": "rg", "name": "one", "detached_from": places}
    ]


OF_ONE = {"role": "R", "scope": "/x"}
GOES: dict[str, Any] = {
    "found": False,
    "addon": {"enabled": False},
    "attached": [],
    "deleted": [],
    "assignments": [],
    "cluster_name": "one",
    "directory": "/saved",
    "written": "20260101T000000Z",
}
BUNDLE: dict[str, Any] = {
    "needed": True,
    "place": "/saved/one-20260101t000000z.json",
    "written": GOES["written"],
    "addon": {},
    "deleted_identities": [],
}


@pytest.mark.parametrize(
    ("changes", "options", "run", "expected"),
    [
        pytest.param({}, {}, RUN, {"needed": False, "place": ""}, id="nothing goes"),
        pytest.param({"found": True}, {}, RUN, {}, id="installation"),
        pytest.param({"found": True}, {}, Run(check_mode=True), {"needed": False, "place": ""}, id="check mode"),
        pytest.param(
            {"found": True},
            {"artifact_target": "secret:a/b"},
            RUN,
            {"place": "secret:a/b-20260101t000000z"},
            id="to a Secret",
        ),
        pytest.param({"addon": {"enabled": True, "x": 1}}, {}, RUN, {"addon": {"enabled": True, "x": 1}}, id="add-on"),
        pytest.param({"attached": on_sets()}, {}, RUN, {}, id="identities on scale sets"),
        pytest.param(
            {"attached": on_sets(removable=False)}, {}, RUN, {"needed": False, "place": ""}, id="identities stay there"
        ),
        pytest.param({"assignments": [OF_ONE]}, {}, RUN, {"needed": False, "place": ""}, id="roles stay"),
        pytest.param({"assignments": [OF_ONE]}, {"remove_role_assignments": True}, RUN, {}, id="roles"),
        pytest.param(
            {"deleted": [{"id": ONE, "role_assignments": [OF_ONE]}]},
            {},
            RUN,
            {"deleted_identities": [{"id": ONE, "role_assignments": [OF_ONE]}]},
            id="identities in Azure",
        ),
    ],
)
def test_what_is_saved(changes: dict[str, Any], options: dict[str, Any], run: Run, expected: dict[str, Any]) -> None:
    assert plan("bundle", {**GOES, **changes}, run, **options) == {**BUNDLE, **expected}


def told_of_addon(*entries: dict[str, Any], enabled: bool = True) -> dict[str, Any]:
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
    with pytest.raises(Refused) as refused:
        plan("detached", {"attached": left, "bundle": "/b"})
    end = (
        "they are still on the scale sets, where every pod could take them without NMI, so MIC and NMI stay; run this "
        "again."
    )
    texts = "one on x (MIC has left it); one on y (MIC has left it)"
    assert str(refused.value) == f"{texts}: {end} The restore bundle is /b."
    with pytest.raises(Refused) as refused:
        plan("detached", {"attached": left, "bundle": ""})
    assert str(refused.value) == f"{texts}: {end}"
    with pytest.raises(Refused) as refused:
        plan("guarded", {"attached": {"resources": on_sets(removable=False, ownership="used")}, **of_addon})
    assert str(refused.value) == (
        "one, e are still on the scale sets, where every pod could take them without NMI; run the phases before this "
        "one too."
    )


def test_entries_that_aks_still_hands_out() -> None:
    observed = {"cluster": CLUSTER, "addon": told_of_addon()}
    assert plan("entries_gone", observed) == {}
    assert list(looks("entries_gone", known())) == ["addon"]
    with pytest.raises(Refused) as refused:
        plan("entries_gone", {**observed, "addon": told_of_addon(ENTRY, {"name": "f"})})
    assert str(refused.value) == (
        "AKS still hands out e, f by the pod identity add-on of cluster one, so it stays on; run this again."
    )


def test_what_the_chart_leaves() -> None:
    mine, of_addon = "Deployment n/mic", "DaemonSet kube-system/nmi"
    assert plan("chart_gone", {"left": {"programs": [of_addon], "addon_programs": [of_addon]}}) == {}
    assert looks("chart_gone", known()) == {"left": {"release_namespaces": ["default"]}}
    with pytest.raises(Refused) as refused:
        plan("chart_gone", {"left": {"programs": [mine, of_addon], "addon_programs": [of_addon]}}, wait_timeout=5)
    assert str(refused.value) == (
        "Deployment n/mic did not go with the chart within 5 seconds; remove it where it comes from, and run this "
        "again."
    )


def test_a_cluster_that_is_gone_proves_nothing() -> None:
    gone: dict[str, Any] = {"addons": []}
    for part, observed in (
        ("cluster", there({"addon": gone})),
        ("guarded", {**known(), "addon": gone, "of_addon": True, "attached": {"resources": []}}),
        ("entries_gone", {"cluster": CLUSTER, "addon": gone}),
        ("account", {**audit(), "addon": gone}),
    ):
        with pytest.raises(Refused, match="^Cluster one was deleted during this run, so nothing more of it can be "):
            plan(part, observed)


def test_what_the_addon_leaves() -> None:
    objects = [
        thing(BINDING_KIND, "a", by_aks=True),
        thing(BINDING_KIND, "b"),
        thing("AzureIdentity", "c", by_aks=True),
    ]
    assert plan("addon_gone", {"left": {"addon_programs": [], "objects": objects}}) == {"bindings": [binding("a")]}
    with pytest.raises(Refused) as refused:
        left = {"addon_programs": ["DaemonSet kube-system/nmi"], "objects": objects}
        plan("addon_gone", {"left": left}, wait_timeout=5)
    assert str(refused.value) == (
        "AKS has switched its pod identity add-on off, but did not remove DaemonSet kube-system/nmi within 5 seconds; "
        "let it write the cluster once more (az aks update), and run this again."
    )


READY = {"type": "Ready", "status": "True"}


@pytest.mark.parametrize(
    ("labels", "status", "asked"),
    [
        ({"kubernetes.io/os": "linux"}, {"conditions": [{"type": "DiskPressure", "status": "False"}, READY]}, True),
        ({}, {"conditions": [READY]}, True),
        (None, {"conditions": [READY]}, True),
        ({"kubernetes.io/os": "windows"}, {"conditions": [READY]}, False),
        ({}, {"conditions": [{**READY, "status": "Unknown"}]}, False),
        ({}, {"conditions": [{"type": "DiskPressure", "status": "True"}]}, False),
        ({}, {}, False),
        ({}, None, False),
    ],
)
def test_which_nodes_are_asked(labels: Any, status: Any, asked: bool) -> None:
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
    with pytest.raises(Refused) as refused:
        plan("proof", {"answers": answers})
    assert str(refused.value) == (
        "Pods do not reach the metadata service itself on b (NMI answers); c (It may not be asked); d (). Where "
        "the table of the nodes gives a reason, that names what to do; else run the playbook "
        "azureops.pod_identity.cleanup_nodes. Then run this again."
    )
    assert plan("proof", {"answers": answers[:1]}) == {}


AUDIT: dict[str, Any] = {
    "cluster": CLUSTER,
    "residue": [],
    "addon": False,
    "attached": [],
    "found": True,
    "definitions": True,
    "identities": [],
    "deleted": [],
    "secrets": [],
    "other_secrets": [],
    "going": [],
    "assignments": [],
    "unlisted": [],
    "nodes_proved": True,
}
OF_ADDON = "pod_identity_addon"
GONE = [("cluster", "gone"), ("nodes", "gone"), ("scale sets", "gone"), ("roles", "gone")]


def audit(changes: dict[str, Any] | None = None) -> dict[str, Any]:
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


def attached(**identity: Any) -> list[dict[str, Any]]:
    each = {"id": ONE, "removable": False, "ownership": "unknown", "ownership_because": "nobody knows it", **identity}
    return [
        {"id": f"/{name}", "name": name, "identities": [{**each, "id": text}]}
        for name, text in (("a", ONE), ("b", ONE.upper()))
    ]


@pytest.mark.parametrize(
    ("changes", "options", "rows"),
    [
        pytest.param({}, {}, GONE, id="everything is gone"),
        pytest.param({"residue": [residue("x_left")]}, {}, [*GONE[1:], ("cluster", "left")], id="residue"),
        pytest.param({"residue": [residue("not_read")]}, {}, [*GONE[1:], ("cluster", "not_verified")], id="not read"),
        pytest.param({"residue": [residue("label_left")]}, {}, [*GONE, ("cluster", "kept")], id="kept residue"),
        pytest.param({"addon": True}, {}, [*GONE[1:], ("cluster", "left")], id="add-on"),
        pytest.param({"definitions": False}, {}, [*GONE[1:], ("cluster", "not_verified")], id="definitions"),
        pytest.param({"definitions": False}, {"recreate_definitions": True}, GONE, id="definitions made again"),
        pytest.param({"definitions": False, "found": False}, {}, GONE, id="nothing was there"),
        pytest.param(
            {"nodes_proved": False}, {}, [GONE[0], *GONE[2:], ("nodes", "not_verified")], id="nodes were not asked"
        ),
        pytest.param({"attached": attached()}, {}, [*GONE, ("scale sets", "kept")], id="identity stays"),
        pytest.param(
            {"attached": attached(ownership="used")},
            {},
            [*GONE[:2], GONE[3], ("scale sets", "left"), ("scale sets", "left"), ("scale sets", "kept")],
            id="identity of pods",
        ),
        pytest.param(
            {"identities": [ONE, TWO]}, {"delete_identities": [ONE.upper()]}, [*GONE, ("Azure", "kept")], id="Azure"
        ),
        pytest.param(
            {"deleted": [{"id": ONE, "role_assignments": [{"role": "R", "scope": "/x"}]}]},
            {},
            [*GONE, ("Azure", "removed"), ("roles", "kept")],
            id="roles of a deleted identity",
        ),
        pytest.param(
            {"secrets": ["n/a", "n/b"], "going": ["n/a"]},
            {},
            [*GONE[1:], ("cluster", "removed"), ("cluster", "kept")],
            id="secret",
        ),
        pytest.param(
            {"assignments": [{"role": "R", "scope": "/x", "principal_id": "nodes"}]},
            {},
            [*GONE[:3], ("roles", "kept")],
            id="roles stay",
        ),
        pytest.param(
            {"assignments": [{"role": "R", "scope": "/x", "principal_id": "nodes"}]},
            {"remove_role_assignments": True},
            [*GONE[:3], ("roles", "removed")],
            id="roles go",
        ),
        pytest.param(
            {"unlisted": [{"roles": ["R"], "msg": "No."}]},
            {},
            [*GONE[:3], ("roles", "kept")],
            id="roles are unknown",
        ),
    ],
)
def test_the_account(changes: dict[str, Any], options: dict[str, Any], rows: list[tuple[str, str]]) -> None:
    assert list(looks("account", known())) == ["audited", "addon", "attached"]
    assert list(looks("account", known(), Run(check_mode=True))) == ["audited"]
    told = plan("account", audit(changes), **options)
    found = told["rows"]
    assert [(row["where"], row["state"]) for row in found] == rows
    assert told["left"] == [row["what"] for row in found if row["state"] == "left"]
    predicted = plan("account", audit(changes), Run(check_mode=True), **options)["rows"]
    assert [(row["what"], row["state"]) for row in map(as_of_the_run, predicted)] == [
        (row["what"], row["state"]) for row in found if row["state"] != "left"
    ]


def test_check_mode_tells_of_azure_what_was_seen_in_the_beginning() -> None:
    given = {"addon": True, "attached": attached(), "before": attached(), "entries": [ENTRY]}
    seen = audit({**given, "beginning": {"addon": {"enabled": True, "identities": [ENTRY]}}})
    unseen = {name: value for name, value in seen.items() if name not in ("addon", "attached")}
    check = Run(check_mode=True)
    rows = plan("account", unseen, check)["rows"]
    assert rows == plan("account", seen, check)["rows"]
    assert [row["state"] for row in rows if row["where"] == "scale sets"] == ["gone", "kept"]


def as_of_the_run(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "state": row["state"].replace("would remove", "removed")}


THERE: dict[str, Any] = {
    "removal": {
        "objects": [
            thing("AzureIdentity", "a"),
            thing("AzureIdentity", "of-aks", by_aks=True),
            thing(BINDING_KIND, "a"),
            thing(ASSIGNED_KIND, "a"),
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
    "assignments": [{"role": "R", "scope": "/x", "principal_id": "nodes"}],
    "deleted": [{"id": ONE, "role_assignments": []}],
}
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


@pytest.mark.parametrize(
    ("tags", "removed"),
    [
        pytest.param((), WHOLE, id="all"),
        pytest.param((ENTRIES,), [WHOLE[0], WHOLE[4], WHOLE[13]], id="entries"),
        pytest.param((BINDINGS,), [WHOLE[5]], id="bindings"),
        pytest.param((SCALE_SETS,), [WHOLE[6], WHOLE[12]], id="scale sets"),
        pytest.param((CHART,), [WHOLE[1], WHOLE[8]], id="chart"),
        pytest.param((CHART, NODES), [WHOLE[1], WHOLE[8], WHOLE[14]], id="chart and nodes"),
        pytest.param((ADDON,), [WHOLE[2], WHOLE[7]], id="add-on"),
        pytest.param((NODES,), [], id="nodes"),
        pytest.param((ROLES,), ["R"], id="roles"),
        pytest.param((OBJECTS,), [WHOLE[3], WHOLE[9]], id="objects"),
        pytest.param((IDENTITIES,), [WHOLE[11]], id="identities"),
    ],
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
    assert [(row["what"], row["state"]) for row in rows if row["state"] == "kept"] == [
        ("Secret production/database", "kept")
    ]


def test_what_is_there_still_was_not_removed() -> None:
    labels = [*WHOLE[3:9], "Secret n/sh.helm.release.v1.chart.v1"]
    still = {
        "residue": [{**residue("x_left"), "object": each} for each in labels],
        "addon": True,
        "entries": [ENTRY],
        "attached": attached(ownership="used")[:1],
    }
    rows = plan("account", audit({**THERE, **still}), delete_identities=[ONE])["rows"]
    removed = [(row["what"], row["reason"]) for row in rows if row["state"] == "removed"]
    secret = "It is, encrypted, in the restore bundle."
    assert removed == [
        ("Secret n/s", secret),
        ("identity one", ONE),
        ("identity ONE", "on b, nobody knows it"),
        ("identity two", "on c"),
        ("rules of NMI", ""),
    ]


def test_what_only_the_role_tells_leads_to_its_code() -> None:
    """The add-on, identities on scale sets, nodes that nobody asked; and no code is explained that is never told."""
    left = {"addon": True, "attached": attached(ownership="used")[:1], "nodes_proved": False}
    rows = [row for row in plan("account", audit(left), probe_nodes=False)["rows"] if row["code"]]
    assert {(row["state"], row["code"]) for row in rows} == {
        ("left", "addon_left"),
        ("left", "identity_attached"),
        ("not_verified", "nodes_not_asked"),
    }
    assert {row["code"] for row in rows} == set(MEANINGS)
    assert all(row["references"] == [catalogue.address(row["code"])] for row in rows)


def test_check_mode_proves_nothing_of_nodes() -> None:
    for options, reason in (({}, "In check mode no pod asks"), ({"probe_nodes": False}, "No pod asked")):
        rows = plan("account", audit({"nodes_proved": False}), Run(check_mode=True), **options)["rows"]
        (row,) = [row for row in rows if row["where"] == "nodes"]
        assert (row["state"], row["reason"].startswith(reason)) == ("not_verified", True)


def test_why_something_stays() -> None:
    assignments = [{"role": "R", "scope": "/x", "principal_id": whose} for whose in ("nodes", "plane")]
    found = plan("account", audit({"attached": attached(), "assignments": assignments}))["rows"]
    assert [row["reason"] for row in found if row["state"] == "kept"] == [
        "unknown, on a, b, because nobody knows it; it goes with pod_identity_uninstall_remove_unknown_identities",
        "of the nodes at /x; it goes with pod_identity_uninstall_remove_role_assignments=true",
        "of the control plane at /x; it goes with pod_identity_uninstall_remove_role_assignments=true",
    ]


def test_in_check_mode_the_addon_still_keeps_its_identities() -> None:
    of_addon = attached(ownership="protected", protected_code=OF_ADDON)
    assert plan("account", audit({"attached": of_addon}))["rows"][-1]["state"] == "kept"
    rows = plan("account", audit({"attached": of_addon}), Run(check_mode=True))["rows"]
    assert [row["state"] for row in rows] == ["gone"] * 4
