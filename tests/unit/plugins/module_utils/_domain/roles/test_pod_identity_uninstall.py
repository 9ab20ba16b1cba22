# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the role pod_identity_uninstall refuses by its options, and what it asks for."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.roles.part import Refused, Run
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.roles.pod_identity_uninstall import (
    ADDON,
    BINDINGS,
    CHART,
    ENTRIES,
    IDENTITIES,
    KUBERNETES_PERMISSIONS,
    NODES,
    OBJECTS,
    PARTS,
    PHASES,
    ROLES,
    SCALE_SETS,
)

RUN = Run()
NAMED = {"cluster_name": "one", "resource_group": "rg"}
SUBSCRIPTION = "/subscriptions/s"
GROUP, MC = f"{SUBSCRIPTION}/resourcegroups/rg", f"{SUBSCRIPTION}/resourceGroups/MC"
ONE, TWO, OWN = (
    f"{GROUP}/providers/microsoft.managedidentity/userassignedidentities/{name}" for name in ("one", "two", "own")
)
CLUSTER: dict[str, Any] = {
    "id": f"{GROUP}/providers/Microsoft.ContainerService/managedClusters/one",
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
        ({}, {**NAMED, "resource_group": ""}, RUN, ["No cluster is named"]),
        ({"confirm": "2024"}, {"cluster_name": 2024, "resource_group": 1}, RUN, []),
        ({"confirm": "1"}, {"cluster_name": 2024, "resource_group": 1}, RUN, ["pod_identity_uninstall_confirm=2024"]),
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
    assert [part in sentence for part, sentence in zip(parts, told, strict=True)] == [True] * len(parts), told


def test_phases() -> None:
    whole = plan("options", NAMED)
    assert (whole["phases"], whole["whole"]) == (list(PHASES), True)
    part = plan("options", NAMED, Run(tags=(SCALE_SETS,)))
    assert (part["phases"], part["whole"]) == ([SCALE_SETS], False)
    assert not plan("options", NAMED, Run(skipped_tags=(NODES,)))["whole"]


def needs(run: Run = RUN, **options: Any) -> list[tuple[str, str, str]]:
    """Resource, verbs and namespace."""
    found = plan("options", NAMED, run, **options)["needs"]
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


def test_secrets_that_go() -> None:
    observed = {"going": ["a/x", "b/y", "a/z"]}
    found = plan("secrets", observed)["needs"]
    assert [(need["resource"], need["verbs"], need["namespace"]) for need in found] == [
        ("secrets", ["get", "delete"], "a"),
        ("secrets", ["get", "delete"], "b"),
    ]
    assert plan("secrets", observed, Run(tags=(ROLES,)))["needs"] == []
    assert not any(need[:2] == ("secrets", "get,delete") for need in needs(Run(tags=(OBJECTS,))))


LOOK: dict[str, Any] = {
    "cluster": CLUSTER,
    "looked": True,
    "providers": [
        "azure:///subscriptions/s/resourceGroups/mc/providers/Microsoft.Compute/virtualMachineScaleSets/a/virtualMachines/0",
        "azure:///subscriptions/s/resourceGroups/Other/providers/Microsoft.Compute/virtualMachines/b",
        "kind://docker/kind/node",
    ],
    "identities": [ONE, OWN],
    "handed_out": [TWO, OWN],
}


def asked(part: str, observed: dict[str, Any], run: Run = RUN, **options: Any) -> list[tuple[str, str]]:
    """Scopes, and the first action of each."""
    return [
        (need["scope"], need["actions"][0].partition(".")[2]) for need in plan(part, observed, run, **options)["azure"]
    ]


LOOK_AT, ROLES_READ = "Compute/virtualMachineScaleSets/read", "Authorization/roleAssignments/read"


def test_what_is_read_in_azure() -> None:
    other = f"{SUBSCRIPTION}/resourceGroups/Other"
    assert asked("reads", LOOK) == [(MC, LOOK_AT), (other, LOOK_AT), (MC, ROLES_READ)]
    assert asked("reads", {**LOOK, "looked": False}, remove_role_assignments=True) == [(MC, LOOK_AT), (MC, ROLES_READ)]
    assert asked("reads", LOOK, remove_role_assignments=True)[:3] == [
        (ONE, ROLES_READ),
        (GROUP, ROLES_READ),
        (TWO, ROLES_READ),
    ]
    assert asked("reads", {**LOOK, "looked": False}, delete_identities=[ONE])[-2:] == [
        (ONE, "ManagedIdentity/userAssignedIdentities/read"),
        (SUBSCRIPTION, ROLES_READ),
    ]


@pytest.mark.parametrize(
    ("cluster", "options", "expected"),
    [
        pytest.param(
            {},
            {},
            [(MC, 2, "nodes"), (ONE, 1, "nodes"), (GROUP, 1, "nodes"), (TWO, 1, "plane")],
            id="nodes and control plane",
        ),
        pytest.param(
            {}, {"principal_id": "x"}, [(MC, 2, "x"), (ONE, 1, "x"), (GROUP, 1, "x"), (TWO, 1, "plane")], id="named"
        ),
        pytest.param({"kubelet_identity": {}, "identity": None}, {}, [], id="nobody"),
        pytest.param(
            {"node_resource_group": "RG"},
            {},
            [(f"{SUBSCRIPTION}/resourceGroups/RG", 2, "nodes"), (ONE, 1, "nodes"), (TWO, 1, "plane")],
            id="one group",
        ),
    ],
)
def test_where_roles_are_looked_for(
    cluster: dict[str, Any], options: dict[str, Any], expected: list[tuple[str, int, str]]
) -> None:
    scopes = plan("reads", {**LOOK, "cluster": {**CLUSTER, **cluster}}, **options)["role_scopes"]
    assert [(each["scope"], len(each["roles"]), each["principal_id"]) for each in scopes] == expected


GOING: dict[str, Any] = {
    "cluster": CLUSTER,
    "looked": True,
    "losing": [{"id": "/set", "type": "scale_set"}, {"id": "/machine", "type": "virtual_machine"}],
    "assignments": [{"scope": "/x"}, {"scope": "/x"}],
    "entries": [
        {"identity": ONE, "provisioning_state": "Failed"},
        {"identity": TWO, "provisioning_state": "Assigned"},
    ],
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
            {"looked": False},
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
    assert asked("writes", {**GOING, **changes}, run, **options) == expected


NODE = {"metadata": {"name": "node"}, "spec": {"providerID": f"azure://{MC.lower()}/providers/Microsoft.Compute/x/0"}}
ELSEWHERE = {"metadata": {"name": "node"}, "spec": {"providerID": f"azure://{MC}2/providers/Microsoft.Compute/x/0"}}
ASSIGNED = {"name": "a", "node": "node", "resource_id": ONE, "type": 0}
GETS = [{"namespace": "n", "binding": name, "name": name} for name in ("old", "new", "of-aks")]
INVENTORY: dict[str, Any] = {
    "cluster": CLUSTER,
    "objects": [
        {"kind": "AzureIdentityBinding", "namespace": "n", "name": "old", "by_aks": False},
        {"kind": "AzureIdentityBinding", "namespace": "n", "name": "of-aks", "by_aks": True},
        {"kind": "AzureIdentity", "namespace": "n", "name": "new", "by_aks": False},
    ],
    "workloads": [{"kind": "Deployment", "namespace": "n", "name": "api", "identities": GETS, "findings": []}],
    "identities": [
        {"resource_id": ONE, "type": 0, "client_id": "C"},
        {"resource_id": TWO, "type": 0, "client_id": ""},
        {"resource_id": "/principal", "type": 1, "client_id": "c"},
    ],
    "assigned": [ASSIGNED],
    "immutable": [],
    "nodes": [NODE],
    "handed_out": [TWO],
    "mic_works": True,
}


@pytest.mark.parametrize(
    ("run", "left"), [(RUN, ["new"]), (Run(tags=(SCALE_SETS,)), ["old", "new"])], ids=["all", "bindings stay"]
)
def test_who_still_gets_an_identity(run: Run, left: list[str]) -> None:
    (workload,) = plan("detach", INVENTORY, run)["workloads"]
    assert [each["binding"] for each in workload.pop("identities")] == left
    assert workload == {"kind": "Deployment", "namespace": "n", "name": "api"}


@pytest.mark.parametrize(
    ("immutable", "named", "protected"),
    [([], [], []), (["c", "x"], [], [ONE]), (["c"], [ONE.upper(), OWN], [ONE.upper(), OWN]), (["", None], [], [])],
)
def test_what_is_protected(immutable: list[Any], named: list[str], protected: list[str]) -> None:
    found = plan("detach", {**INVENTORY, "immutable": immutable}, protected_identities=named)
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
    assert plan("detach", {**INVENTORY, **changes}, run)["left_to_mic"] == expected


def test_identities_that_must_stay_are_not_deleted() -> None:
    attached = [
        {
            "identities": [
                {"id": TWO.upper(), "ownership": "protected", "ownership_because": "the cluster names it"},
                {"id": OWN, "ownership": "protected", "ownership_because": "it is not named"},
                {"id": ONE, "ownership": "used", "ownership_because": "pods had it"},
            ]
        }
    ]
    observed = {"protected": [], "attached": attached}
    assert plan("deletions", observed, delete_identities=[ONE]) == {}
    with pytest.raises(Refused) as refused:
        plan("deletions", {**observed, "protected": [ONE]}, delete_identities=[ONE.upper(), TWO])
    assert str(refused.value) == (
        "one is protected; TWO is protected, because the cluster names it; nothing was changed. Take it out of "
        "pod_identity_uninstall_delete_identities."
    )


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
    "going": [],
    "assignments": [],
    "granted": [{"item": {"roles": ["Reader"]}, "actions": []}],
    "nodes_proved": True,
}
GONE = [("cluster", "gone"), ("nodes", "gone"), ("scale sets", "gone"), ("roles", "gone")]


def residue(code: str) -> dict[str, str]:
    return {"object": code, "code": code, "message": "It is.", "remedy": "Do."}


def attached(**identity: Any) -> list[dict[str, Any]]:
    each = {"id": ONE, "removable": False, "ownership": "unknown", "ownership_because": "nobody knows it", **identity}
    return [{"name": name, "identities": [{**each, "id": text}]} for name, text in (("a", ONE), ("b", ONE.upper()))]


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
            [*GONE, ("roles", "kept")],
            id="roles of a deleted identity",
        ),
        pytest.param({"secrets": ["n/a", "n/b"], "going": ["n/a"]}, {}, [*GONE, ("cluster", "kept")], id="secret"),
        pytest.param(
            {"assignments": [{"role": "R", "scope": "/x", "principal_id": "nodes"}]},
            {},
            [*GONE[:3], ("roles", "kept")],
            id="roles stay",
        ),
        pytest.param(
            {"assignments": [{"role": "R", "scope": "/x", "principal_id": "nodes"}]},
            {"remove_role_assignments": True},
            GONE,
            id="roles go",
        ),
        pytest.param(
            {"granted": [{"item": {"roles": ["R"]}, "msg": "No."}]},
            {},
            [*GONE, ("roles", "kept")],
            id="roles are unknown",
        ),
    ],
)
def test_the_account(changes: dict[str, Any], options: dict[str, Any], rows: list[tuple[str, str]]) -> None:
    found = plan("account", {**AUDIT, **changes}, **options)["rows"]
    assert [(row["where"], row["state"]) for row in found] == rows
    predicted = plan("account", {**AUDIT, **changes}, Run(check_mode=True), **options)["rows"]
    assert predicted == [row for row in found if row["state"] == "kept"]


def test_why_something_stays() -> None:
    assignments = [{"role": "R", "scope": "/x", "principal_id": whose} for whose in ("nodes", "plane")]
    found = plan("account", {**AUDIT, "attached": attached(), "assignments": assignments})["rows"]
    assert [row["reason"] for row in found if row["state"] == "kept"] == [
        "unknown, on a, b, because nobody knows it; it goes with pod_identity_uninstall_remove_unknown_identities",
        "of the nodes at /x; it goes with pod_identity_uninstall_remove_role_assignments=true",
        "of the control plane at /x; it goes with pod_identity_uninstall_remove_role_assignments=true",
    ]


def test_in_check_mode_the_addon_still_keeps_its_identities() -> None:
    of_addon = attached(
        ownership="protected", protected_because="it is given to pods by the pod identity add-on of one"
    )
    assert plan("account", {**AUDIT, "attached": of_addon})["rows"][-1]["state"] == "kept"
    assert plan("account", {**AUDIT, "attached": of_addon}, Run(check_mode=True))["rows"] == []
