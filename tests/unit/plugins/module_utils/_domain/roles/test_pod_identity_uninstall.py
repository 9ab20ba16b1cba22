# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the role pod_identity_uninstall asks for, what of an installation goes with it, and what it refuses."""

from __future__ import annotations

from itertools import zip_longest
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
    assert [part in sentence for part, sentence in zip_longest(parts, told, fillvalue="")] == [True] * len(parts), told


def test_phases() -> None:
    whole = plan("options", NAMED)
    assert (whole["phases"], whole["whole"], whole["bundle_in"]) == (list(PHASES), True, "file")
    secret = plan("options", NAMED, artifact_target="secret:a/b")
    assert (secret["bundle_in"], secret["bundle_namespace"]) == ("secret", "a")
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
    "attached": [
        {"id": "/set", "type": "scale_set", "identities": [{"removable": False}, {"removable": True}]},
        {"id": "/other", "type": "scale_set", "identities": [{"removable": False}]},
        {"id": "/machine", "type": "virtual_machine", "identities": [{"removable": True}]},
    ],
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


@pytest.mark.parametrize(
    ("directory", "devices", "target", "lost"),
    [
        ("/lost", ["1", "1"], "", True),
        ("/mounted", ["1", "2"], "", False),
        ("/runner", ["1", "2"], "", True),
        ("/runner/a", ["1", "2"], "", True),
        ("/runners", ["1", "2"], "", False),
        ("secret:a/b", ["1", "1"], "secret:a/b", False),
    ],
)
def test_a_bundle_that_would_get_lost_is_refused(directory: str, devices: list[str], target: str, lost: bool) -> None:
    observed = {"directory": directory, "devices": devices}
    if not lost:
        assert plan("lasting", observed, artifact_target=target) == {}
        return
    with pytest.raises(Refused) as refused:
        plan("lasting", observed, artifact_target=target)
    assert str(refused.value) == (
        f"The restore bundle would be written to {directory}, which goes with the container that this runs in; set "
        "pod_identity_artifact_target to a directory that is mounted there."
    )


@pytest.mark.parametrize(
    ("confirmed", "identities"),
    [
        pytest.param([], [ONE], id="files"),
        pytest.param([{"item": TWO, "actions": ["remove"]}], [ONE, TWO], id="Azure confirms it"),
        pytest.param([{"item": TWO, "actions": []}], [ONE], id="Azure does not"),
        pytest.param([{"item": TWO, "msg": "No."}], [ONE], id="it could not be seen"),
    ],
)
def test_what_bundles_of_earlier_runs_are_believed(confirmed: list[dict[str, Any]], identities: list[str]) -> None:
    assert plan("earlier", {"files": [ONE], "confirmed": confirmed}) == {"identities": identities}


def thing(kind: str, name: str, namespace: str = "n", **flags: bool) -> dict[str, Any]:
    return {"kind": kind, "namespace": namespace, "name": name, "removable": True, "by_aks": False, **flags}


ASSIGNED_KIND, BINDING_KIND = "AzureAssignedIdentity", "AzureIdentityBinding"
NOTHING: dict[str, Any] = {
    "objects": [],
    "releases": [],
    "programs": [],
    "brought_back": [],
    "secrets": [],
    "identities": [],
    "earlier": [],
    "addon": {"enabled": False},
    "installations": [],
}
ENTRY = {"name": "e", "namespace": "n", "identity": TWO.upper()}
ON = {"enabled": True, "identities": [{**ENTRY, "provisioning_state": "Assigned"}]}
MIC = [{"mic_leader": ""}, {"mic_leader": "mic-0"}]
GONE_LAST = ["programs", "bindings", "assigned"]
IN_CLUSTER: dict[str, Any] = {
    "found": False,
    "installed": False,
    "definitions": False,
    "mic_works": False,
    "waits_for_mic": False,
    "twins": [],
    "foreign": [],
    "brought_back": [],
    "entries": [],
    "bindings": [],
    "handed_out": [],
    "identities": [],
    "going_secrets": [],
    "gone_before_assigned": ["programs", "bindings"],
    "gone_before_objects": GONE_LAST,
}


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
        pytest.param({"secrets": ["n/s"]}, {}, {}, id="secrets stay"),
        pytest.param({"secrets": ["n/s"]}, {"vault_id": "v"}, {"going_secrets": ["n/s"]}, id="secrets go"),
        pytest.param(
            {"brought_back": ["DaemonSet n/nmi (the AKS add-on)", "Deployment n/mic (managed by Flux)"]},
            {},
            {"brought_back": ["DaemonSet n/nmi (the AKS add-on)", "Deployment n/mic (managed by Flux)"]},
            id="brought back",
        ),
        pytest.param(
            {
                "brought_back": ["DaemonSet n/nmi (the AKS add-on)", "Deployment n/mic (managed by Flux)"],
                "addon": {"enabled": True, "identities": []},
            },
            {},
            {
                "brought_back": ["Deployment n/mic (managed by Flux)"],
                "gone_before_objects": [*GONE_LAST, "addon"],
            },
            id="AKS does not once the add-on is off",
        ),
    ],
)
def test_what_of_the_installation_goes(
    changes: dict[str, Any], options: dict[str, Any], expected: dict[str, Any]
) -> None:
    assert plan("cluster", {**NOTHING, **changes}, **options) == {**IN_CLUSTER, **expected}


def test_which_roles_were_found() -> None:
    asked = {"scope": "/X", "principal_id": "nodes", "roles": ["R", "S"]}
    gone = [{"role_name": "R", "scope": "/x"}, {"role_name": "S", "scope": "/x"}, {"role_name": "R", "scope": "/x"}]
    granted = [
        {"item": asked, "to_remove": gone},
        {"item": {**asked, "scope": "/y"}, "to_remove": []},
        {"item": {**asked, "scope": "/z"}, "msg": "No."},
    ]
    assert plan("azure", {"granted": granted})["assignments"] == [
        {"role": "R", "scope": "/X", "principal_id": "nodes"},
        {"role": "S", "scope": "/X", "principal_id": "nodes"},
    ]


def test_definitions_that_are_gone() -> None:
    group = "aadpodidentity.k8s.io"
    there = [f"{name}.{group}" for name in ("azureidentities", "azureidentitybindings", "azureassignedidentities")]
    found = plan("definitions", {"names": [*there, "azurepodidentityexceptions.example.com"]})
    assert found["missing"] == [
        {
            "name": f"azurepodidentityexceptions.{group}",
            "kind": "AzurePodIdentityException",
            "plural": "azurepodidentityexceptions",
        }
    ]
    assert len(found["kinds"]) == len(plan("definitions", {"names": []})["missing"]) == 4


@pytest.mark.parametrize(
    ("foreign", "brought_back", "parts"),
    [
        (0, [], []),
        (2, [], ["2 objects of AAD Pod Identity do not carry the labels of this collection with the owner team"]),
        (0, ["a (Flux)", "b (Flux)"], ["a (Flux), b (Flux) would be put there again; nothing was changed."]),
        (1, ["a (Flux)"], ["1 objects", "a (Flux) would"]),
    ],
)
def test_what_must_not_go(foreign: int, brought_back: list[str], parts: list[str]) -> None:
    told: tuple[str, ...] = ()
    try:
        plan("refusal", {"foreign": [{}] * foreign, "brought_back": brought_back}, owner="team")
    except Refused as refused:
        told = refused.sentences
    begun = [sentence.startswith(part) for part, sentence in zip_longest(parts, told, fillvalue="")]
    assert begun == [True] * len(parts)


REMEDY = (
    "Nothing was changed, because workloads still use pod identity; move them first, or go on with "
    "pod_identity_uninstall_allow_in_use=true. "
)


@pytest.mark.parametrize(
    ("in_use", "users", "rows", "remedy"),
    [
        pytest.param([], [], [], "", id="another error"),
        pytest.param(
            [{"identity": "n/a", "users": ["Pod n/x", "Pod n/y"]}, {"identity": "n/b", "users": ["Pod n/x"]}],
            [],
            [("Pod n/x", "n/a"), ("Pod n/y", "n/a"), ("Pod n/x", "n/b")],
            REMEDY,
            id="bindings",
        ),
        pytest.param([], ["Pod n/x"], [], REMEDY, id="entries"),
    ],
)
def test_who_uses_what_would_go(
    in_use: list[dict[str, Any]], users: list[str], rows: list[tuple[str, str]], remedy: str
) -> None:
    told = plan("users", {"in_use": in_use, "users": users, "msg": "In use."})
    assert told["rows"] == [{"used_by": user, "identity": identity} for user, identity in rows]
    assert told["sentence"] == f"{remedy}In use."


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
    observed = {"protected": [], "attached": attached}
    assert [each["id"] for each in plan("deletions", observed, delete_identities=[ONE])["identities"]] == [ONE]
    with pytest.raises(Refused) as refused:
        plan("deletions", {**observed, "protected": [ONE]}, delete_identities=[ONE.upper(), TWO])
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
    observed = {"protected": [], "attached": on_sets(**identity)}
    assert plan("deletions", observed, run, delete_identities=[ONE])["identities"] == [
        {"id": ONE, "subscription_id": "s", "resource_group": "rg", "name": "one", "detached_from": places}
    ]


OF_ONE = {"role": "R", "scope": "/x"}
GOES: dict[str, Any] = {
    "found": False,
    "addon": {"enabled": False},
    "attached": [],
    "deleted": [{"item": {"id": TWO}, "actions": []}],
    "assignments": [],
    "cluster_name": "one",
    "directory": "/saved",
    "written": "20260101T000000Z",
}
BUNDLE: dict[str, Any] = {
    "needed": True,
    "place": "/saved/one-20260101t000000z.json",
    "secret_name": "",
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
            {"place": "secret:a/b-20260101t000000z", "secret_name": "b-20260101t000000z"},
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
            {"deleted": [*GOES["deleted"], {"item": {"id": ONE}, "role_assignments": [OF_ONE]}]},
            {},
            RUN,
            {"deleted_identities": [{"id": ONE, "role_assignments": [OF_ONE]}]},
            id="identities in Azure",
        ),
    ],
)
def test_what_is_saved(changes: dict[str, Any], options: dict[str, Any], run: Run, expected: dict[str, Any]) -> None:
    assert plan("bundle", {**GOES, **changes}, run, **options) == {**BUNDLE, **expected}


def test_identities_of_pods_on_scale_sets_stop_the_run() -> None:
    clean = on_sets(removable=False, ownership="unknown")
    assert plan("detached", {"attached": clean, "bundle": ""}) == {}
    assert plan("guarded", {"attached": clean, "entries": []}) == {}
    with pytest.raises(Refused) as refused:
        plan("detached", {"attached": on_sets(), "bundle": "/b"})
    end = (
        "they are still on the scale sets, where every pod could take them without NMI, so MIC and NMI stay; run this "
        "again."
    )
    texts = "one on x (MIC has left it); one on y (MIC has left it)"
    assert str(refused.value) == f"{texts}: {end} The restore bundle is /b."
    with pytest.raises(Refused) as refused:
        plan("detached", {"attached": on_sets(), "bundle": ""})
    assert str(refused.value) == f"{texts}: {end}"
    with pytest.raises(Refused) as refused:
        plan("guarded", {"attached": on_sets(removable=False, ownership="used"), "entries": [ENTRY]})
    assert str(refused.value) == (
        "one, e are still on the scale sets, where every pod could take them without NMI; run the phases before this "
        "one too."
    )


def test_what_the_addon_leaves() -> None:
    objects = [
        thing(BINDING_KIND, "a", by_aks=True),
        thing(BINDING_KIND, "b"),
        thing("AzureIdentity", "c", by_aks=True),
    ]
    assert plan("addon_gone", {"programs": [], "objects": objects}) == {"bindings": [binding("a")]}
    with pytest.raises(Refused) as refused:
        plan("addon_gone", {"programs": ["DaemonSet kube-system/nmi"], "objects": objects}, wait_timeout=5)
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
    assert plan("ready_nodes", {"nodes": nodes})["names"] == (["node"] if asked else [])


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
            {"deleted": [{"item": {"id": ONE}, "role_assignments": [{"role": "R", "scope": "/x"}]}]},
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
    told = plan("account", {**AUDIT, **changes}, **options)
    found = told["rows"]
    assert [(row["where"], row["state"]) for row in found] == rows
    assert told["left"] == [row["what"] for row in found if row["state"] == "left"]
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
