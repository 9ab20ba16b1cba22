# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The decisions of the role pod_identity_restore."""

from __future__ import annotations

from dataclasses import replace
from itertools import zip_longest
from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.roles.part import Refused, Run
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.roles.pod_identity_restore import (
    PARTS,
    ROLES,
    SCALE_SETS,
    Assignment,
    Bundle,
    Named,
    Options,
    Place,
    ScaleSet,
    restoration,
)

RUN = Run()
OPTIONS = Options("/b/bundle.yaml")
GROUP = "/subscriptions/s/resourceGroups/MC"
SET = f"{GROUP}/providers/Microsoft.Compute/virtualMachineScaleSets/a"
ONE, TWO = (
    f"/subscriptions/s/resourceGroups/rg/providers/Microsoft.ManagedIdentity/userAssignedIdentities/{name}"
    for name in ("one", "two")
)
ASSIGNMENT = Assignment("Reader", GROUP, "p")


def identity(name: str, resource_id: str, **spec: Any) -> dict[str, Any]:
    spec = {"type": 0, "resourceID": resource_id, **spec}
    return {"kind": "AzureIdentity", "metadata": {"namespace": "n", "name": name}, "spec": spec}


def binding(name: str, namespace: str = "n") -> dict[str, Any]:
    metadata = {"namespace": namespace, "name": "b"}
    return {"kind": "AzureIdentityBinding", "metadata": metadata, "spec": {"azureIdentity": name}}


BUNDLE = Bundle(
    assignments=(ASSIGNMENT,),
    objects=(identity("one", ONE.upper()), identity("two", TWO)),
    before=(ScaleSet(SET.lower(), "a", (ONE, TWO)), ScaleSet(SET + "2", "a2", (ONE,))),
    now=(ScaleSet(SET, "a", (TWO.lower(),)),),
    node_scope=GROUP,
)


@pytest.mark.parametrize(
    ("bundle", "name", "group", "sentences"),
    [
        ("/b", "one", "rg", []),
        ("secret:a/b", "one", "rg", []),
        ("secret:a", "one", "rg", ["pod_identity_restore_bundle is secret:a; set it"]),
        ("secret:a/b/c", "one", "rg", ["pod_identity_restore_bundle is secret:a/b/c; set it"]),
        ("", "one", "rg", ["pod_identity_restore_bundle is not set; set it"]),
        ("/b", "", "rg", ["No cluster is named, so"]),
        ("", None, "", ["No cluster is named, so", "pod_identity_restore_bundle is not set"]),
    ],
)
def test_options_are_checked(bundle: str, name: str | None, group: str, sentences: list[str]) -> None:
    observed = {"cluster_name": name, "resource_group": group, "image_registry": None}
    told: tuple[str, ...] = ()
    try:
        PARTS["options"].plan({"bundle": bundle}, observed, RUN)
    except Refused as refused:
        told = refused.sentences
    begun = [text.startswith(start) for text, start in zip_longest(told, sentences, fillvalue="")]
    assert begun == [True] * len(sentences)


def test_a_name_of_digits_is_a_name() -> None:
    assert Named.parse({"cluster_name": 2024, "resource_group": 1, "image_registry": ""}) == Named("2024", "1")
    assert Named.parse({"cluster_name": None, "resource_group": None, "image_registry": None}) == Named("", "")


@pytest.mark.parametrize(
    ("mirror", "places"),
    [(None, []), ("", []), ("mirror.example.com/a", ["mirror.example.com/a/oss/azure/aad-pod-identity"])],
)
def test_where_images_may_come_from(mirror: str | None, places: list[str]) -> None:
    observed = {"cluster_name": "one", "resource_group": "rg", "image_registry": mirror}
    plan = PARTS["options"].plan({"bundle": "/b"}, observed, RUN)
    assert plan["repositories"] == ["mcr.microsoft.com/oss/azure/aad-pod-identity", *places]


@pytest.mark.parametrize(
    ("changes", "attached"),
    [
        pytest.param({}, (Place(SET, (ONE,)),), id="what is gone from a scale set that is there"),
        pytest.param({"objects": (*BUNDLE.objects, binding("one"))}, (), id="MIC attaches what is bound"),
        pytest.param(
            {"objects": (*BUNDLE.objects, binding("one")), "managed": True}, (Place(SET, (ONE,)),), id="managed"
        ),
        pytest.param(
            {"objects": (*BUNDLE.objects, binding("one", "other"))}, (Place(SET, (ONE,)),), id="another namespace"
        ),
        pytest.param({"objects": (identity("one", ONE, type=1),)}, (), id="service principal"),
        pytest.param({"objects": ()}, (), id="not named"),
        pytest.param({"now": (ScaleSet(SET, "a", (ONE, TWO)),)}, (), id="nothing is gone"),
        pytest.param({"now": ()}, (), id="no scale set"),
    ],
)
def test_which_identities_are_attached(changes: dict[str, Any], attached: tuple[Place, ...]) -> None:
    plan = restoration(OPTIONS, replace(BUNDLE, **changes), RUN)
    assert (plan.attachable, plan.names) == (attached, ("one",) if attached else ())


def test_what_azure_is_asked() -> None:
    def asked(options: Options = OPTIONS, run: Run = RUN) -> list[tuple[str, str]]:
        needs = restoration(options, BUNDLE, run).azure
        return [(need.scope, action.rpartition("Microsoft.")[2]) for need in needs for action in need.actions]

    look = [
        (GROUP, "Compute/virtualMachineScaleSets/read"),
        (GROUP, "Compute/virtualMachines/read"),
        (GROUP, "Resources/subscriptions/resourceGroups/read"),
    ]
    roles = [(GROUP, "Authorization/roleAssignments/read"), (GROUP, "Authorization/roleAssignments/write")]
    attach = [
        (SET, "Compute/virtualMachineScaleSets/write"),
        (ONE, "ManagedIdentity/userAssignedIdentities/assign/action"),
    ]
    assert asked() == [*look, *roles, *attach]
    assert asked(replace(OPTIONS, manage_role_assignments=False)) == [*look, roles[0], *attach]
    assert asked(run=Run(tags=(ROLES,))) == [*look, *roles]
    assert asked(run=Run(tags=(SCALE_SETS,))) == [*look, *attach]


def test_what_the_cluster_is_asked() -> None:
    def asked(options: Options = OPTIONS, run: Run = RUN) -> list[tuple[str, str]]:
        return [(need.resource, need.namespace) for need in restoration(options, BUNDLE, run).kubernetes]

    objects = ["namespaces", "azurepodidentityexceptions", "azureidentities", "azureidentitybindings"]
    assert asked() == [("leases", "default"), *((resource, "") for resource in objects)]
    assert asked(Options("secret:a/b"), Run(tags=(ROLES,))) == [("leases", "default"), ("secrets", "a")]


def test_a_bundle_is_parsed() -> None:
    def scale_set(found: ScaleSet) -> dict[str, Any]:
        return {"id": found.id, "name": found.name, "identities": [{"id": each} for each in found.identities]}

    observed = {
        "cluster": {"id": GROUP + "/providers/x/y/z", "node_resource_group": "MC"},
        "assignments": [vars(ASSIGNMENT)],
        "objects": [*BUNDLE.objects, {"kind": "AzurePodIdentityException"}],
        "before": list(map(scale_set, BUNDLE.before)),
        "now": list(map(scale_set, BUNDLE.now)),
        "operation_mode": "standard",
    }
    assert Bundle.parse(observed) == BUNDLE
    plan = PARTS["bundle"].plan({}, {**observed, "operation_mode": "managed"}, RUN)
    assert plan["attachable"] == [{"place": SET, "identities": [ONE]}]


@pytest.mark.parametrize(
    ("installations", "refused"),
    [
        ([{"nodes": [{"state": "active"}, {"state": "not_expected"}]}], False),
        ([{"nodes": []}], False),
        ([], True),
        ([{"nodes": [{"state": "active"}, {"state": "pending"}]}], True),
        ([{"nodes": [{"state": "active"}]}, {"nodes": [{"state": "missing"}]}], True),
    ],
)
def test_identities_that_nothing_guards_are_not_attached(installations: list[dict[str, Any]], refused: bool) -> None:
    observed = {"installations": installations, "names": ["one", "two"]}
    if not refused:
        assert PARTS["guard"].plan({}, observed, RUN) == {}
        return
    with pytest.raises(Refused, match=r"^NMI does not work on every node, so one, two would be open to every pod"):
        PARTS["guard"].plan({}, observed, RUN)


OBSERVED: dict[str, Any] = {
    "outcomes": {
        "roles": [
            {"item": vars(ASSIGNMENT), "actions": ["assign"]},
            {"item": {**vars(ASSIGNMENT), "role": "Owner"}, "actions": []},
        ],
        "objects": [
            {"kind": "AzureIdentity", "namespace": "n", "name": "one", "state": "restored"},
            {"kind": "AzureIdentity", "namespace": "n", "name": "two", "state": "different"},
        ],
        "scale_sets": [{"place": SET, "identities": [ONE]}],
    },
    "left_out": [{"what": "role assignment", "name": "Owner", "reason": "It is not ours."}],
    "before": [{"id": SET + "2", "name": "a2", "identities": []}, {"id": SET, "name": "a", "identities": []}],
    "now": [{"id": SET.lower()}],
    "addon": [{"namespace": "n", "name": "e"}],
}


@pytest.mark.parametrize(("managed", "state"), [(True, "restored"), (False, "missing"), (None, "missing")])
def test_the_account(managed: bool | None, state: str) -> None:
    named = {"cluster_name": "one", "resource_group": "rg", "image_registry": ""}
    checked = PARTS["options"].plan({"bundle": "/b", "manage_role_assignments": managed}, named, RUN)
    assert checked["manages"] is bool(managed)
    plan = PARTS["account"].plan({"manage_role_assignments": managed}, OBSERVED, RUN)
    assert [tuple(row.values())[:3] for row in plan["rows"]] == [
        ("role assignment", "Reader", state),
        ("role assignment", "Owner", "present"),
        ("AzureIdentity", "n/one", "restored"),
        ("AzureIdentity", "n/two", "different"),
        ("identity on a scale set", "one", "restored"),
        ("role assignment", "Owner", "refused"),
        ("scale set", "a2", "gone"),
        ("entry of the add-on", "n/e", "missing"),
    ]
    assert [row["reason"] for row in plan["rows"]][:5] == [
        f"at {GROUP}",
        f"at {GROUP}",
        "",
        "Something else has that name by now, and stays.",
        "on a",
    ]
    command = "az role assignment create --assignee-object-id p --assignee-principal-type ServicePrincipal --role "
    assert plan["commands"] == ([] if managed else [f'{command}"Reader" --scope "{GROUP}"'])


def test_without_outcomes_there_is_nothing_to_tell() -> None:
    nothing: dict[str, Any] = {"outcomes": {}, "left_out": [], "before": [], "now": [], "addon": []}
    assert PARTS["account"].plan({}, nothing, RUN) == {"rows": [], "commands": []}
