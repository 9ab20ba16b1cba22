# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The decisions of the role pod_identity_restore."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.roles import pod_identity_restore as restore
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.roles.part import Refused, Run
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

OPTIONS = restore.Options("/b/bundle.yaml")
GROUP = "/subscriptions/s/resourceGroups/MC"
SET = f"{GROUP}/providers/Microsoft.Compute/virtualMachineScaleSets/a"
IDENTITIES = "/subscriptions/s/resourceGroups/rg/providers/Microsoft.ManagedIdentity/userAssignedIdentities"
ONE, TWO = f"{IDENTITIES}/one", f"{IDENTITIES}/two"
ASSIGNMENT = restore.Assignment("Reader", GROUP, "p")


def identity(name: str, resource_id: str, **spec: Any) -> Raw:
    spec = {"type": 0, "resourceID": resource_id, **spec}
    return {"kind": "AzureIdentity", "metadata": {"namespace": "n", "name": name}, "spec": spec}


def binding(name: str, namespace: str = "n") -> Raw:
    metadata = {"namespace": namespace, "name": "b"}
    return {"kind": "AzureIdentityBinding", "metadata": metadata, "spec": {"azureIdentity": name}}


BUNDLE = restore.Bundle(
    assignments=(ASSIGNMENT,),
    objects=(identity("one", ONE.upper()), identity("two", TWO)),
    before=(restore.ScaleSet(SET.lower(), "a", (ONE, TWO)), restore.ScaleSet(SET + "2", "a2", (ONE,))),
    now=(restore.ScaleSet(SET, "a", (TWO.lower(),)),),
    node_scope=GROUP,
)


@table(
    "bundle, name, group, begin",
    ("/b", "one", "rg", []),
    ("secret:a/b", "one", "rg", []),
    ("", "one", "rg", ["pod_identity_restore_bundle is not set; set it"]),
    ("/b", "", "rg", ["No cluster is named, so"]),
    ("", None, "", ["No cluster is named, so", "pod_identity_restore_bundle is not set"]),
)
def test_options_are_checked(bundle: str, name: str | None, group: str, begin: list[str]) -> None:
    observed = {"cluster_name": name, "cluster_resource_group": group}
    told = sentences(restore.PARTS["options"].plan, {"bundle": bundle, "sha256": "0" * 64}, observed, RUN)
    assert each_has(told, begin) and all(map(str.startswith, told, begin))


def test_a_bundle_that_nothing_proves_has_to_be_accepted() -> None:
    observed = {"cluster_name": "one", "cluster_resource_group": "rg"}
    (said,) = sentences(restore.PARTS["options"].plan, {"bundle": "/b", "accept": ["images"]}, observed, RUN)
    assert said.startswith(
        "pod_identity_restore_sha256 is not set, so nothing proves that the restore bundle is the one"
    )
    assert "add unverified to pod_identity_restore_accept" in said
    assert sentences(restore.PARTS["options"].plan, {"bundle": "/b", "accept": ["unverified"]}, observed, RUN) == ()


def test_a_name_of_digits_is_a_name() -> None:
    assert restore.Named.parse({"cluster_name": 2024, "cluster_resource_group": 1}) == restore.Named("2024", "1")
    assert restore.Named.parse({"cluster_name": None, "cluster_resource_group": None}) == restore.Named("", "")


HERE = (restore.Place(SET, (ONE,)),)


@cases(
    "changes, attached",
    ("what is gone from a scale set that is there", {}, HERE),
    ("MIC attaches what is bound", {"objects": (*BUNDLE.objects, binding("one"))}, ()),
    ("managed", {"objects": (*BUNDLE.objects, binding("one")), "managed": True}, HERE),
    ("another namespace", {"objects": (*BUNDLE.objects, binding("one", "other"))}, HERE),
    ("service principal", {"objects": (identity("one", ONE, type=1),)}, ()),
    ("not named", {"objects": ()}, ()),
    ("nothing is gone", {"now": (restore.ScaleSet(SET, "a", (ONE, TWO)),)}, ()),
    ("no scale set", {"now": ()}, ()),
)
def test_which_identities_are_attached(changes: Raw, attached: tuple[restore.Place, ...]) -> None:
    plan = restore.restoration(OPTIONS, replace(BUNDLE, **changes), RUN)
    assert (plan.attachable, plan.names) == (attached, ("one",) if attached else ())


def of_helm(document: Raw, release: str) -> Raw:
    annotations = {"meta.helm.sh/release-name": release, "meta.helm.sh/release-namespace": "default"}
    return {**document, "metadata": {**document["metadata"], "annotations": annotations}}


@table("run, number", (RUN, 1), (only(restore.CHART, restore.OBJECTS), 1), (only(restore.OBJECTS), 0))
def test_what_the_chart_brings_is_left_to_it(run: Run, number: int) -> None:
    exception = {"kind": "AzurePodIdentityException", "metadata": {"namespace": "default", "name": "mic-exception"}}
    # One has the annotations of a release that is not in the bundle, one those that anybody may write.
    others = (of_helm(identity("one", ONE), "other"), of_helm(identity("own", ONE), "chart"), identity("two", TWO))
    objects = (of_helm(exception, "chart"), *others)
    releases = {("default", "chart"): frozenset({restore.Object("AzureIdentity", "elsewhere", "own")})}
    plan = restore.restoration(OPTIONS, replace(BUNDLE, objects=objects, releases=releases), run)
    assert plan.of_chart == (restore.Object("AzurePodIdentityException", "default", "mic-exception"),) * number
    assert plan.objects == objects[number:]


def test_what_azure_is_asked() -> None:
    def asked(options: restore.Options = OPTIONS, run: Run = RUN) -> list[tuple[str, str]]:
        needs = restore.restoration(options, BUNDLE, run).azure
        return [(need.scope, action.rpartition("Microsoft.")[2]) for need in needs for action in need.actions]

    kinds = ("Compute/virtualMachineScaleSets", "Compute/virtualMachines", "Resources/subscriptions/resourceGroups")
    look = [(GROUP, f"{kind}/read") for kind in kinds]
    roles = [(GROUP, "Authorization/roleAssignments/read"), (GROUP, "Authorization/roleAssignments/write")]
    assign = (ONE, "ManagedIdentity/userAssignedIdentities/assign/action")
    attach = [(SET, "Compute/virtualMachineScaleSets/write"), assign]
    assert asked() == [*look, *roles, *attach]
    assert asked(replace(OPTIONS, manage_role_assignments=False)) == [*look, roles[0], *attach]
    assert asked(run=only(restore.ROLES)) == [*look, *roles]
    assert asked(run=only(restore.SCALE_SETS)) == [*look, *attach]


def test_what_the_cluster_is_asked() -> None:
    def asked(options: restore.Options = OPTIONS, run: Run = RUN) -> list[tuple[str, str]]:
        return [(need.resource, need.namespace) for need in restore.restoration(options, BUNDLE, run).kubernetes]

    objects = ["namespaces", "azurepodidentityexceptions", "azureidentities", "azureidentitybindings"]
    assert asked() == [("leases", "default"), *((resource, "") for resource in objects)]
    assert asked(restore.Options("secret:a/b"), only(restore.ROLES)) == [("leases", "default"), ("secrets", "a")]


def test_a_bundle_is_parsed() -> None:
    def scale_set(found: restore.ScaleSet) -> Raw:
        return {"id": found.id, "name": found.name, "identities": [{"id": each} for each in found.identities]}

    cluster = {"id": GROUP + "/providers/x/y/z", "node_resource_group": "MC"}
    observed: Raw = {
        "cluster": cluster,
        "assignments": [vars(ASSIGNMENT)],
        "objects": list(BUNDLE.objects),
        "releases": [],
        "before": list(map(scale_set, BUNDLE.before)),
        "scale_sets": {"resources": list(map(scale_set, BUNDLE.now))},
        "operation_mode": "standard",
    }
    assert restore.Bundle.parse(observed) == BUNDLE
    plan = restore.PARTS["bundle"].plan({}, {**observed, "operation_mode": "managed"}, RUN)
    assert plan["attachable"] == [{"place": SET, "identities": [ONE]}]
    found = {**observed, "cluster": {**cluster, "resource_group": "g", "name": "n"}}
    look, predicted = restore.PARTS["bundle"].looks_at({}, found, RUN)
    assert look.arguments == {"subscription_id": "s", "resource_group": "g", "cluster_name": "n"}
    assert predicted.in_check_mode and predicted.tolerates
    assert predicted.arguments == {"documents": observed["objects"], "assume_definitions": False}
    assert len(list(restore.PARTS["bundle"].looks_at({}, found, only(restore.ROLES)))) == 1


@table(
    "predicted, releases, run, sentence",
    ({"definitions_missing": True}, [], RUN, "The cluster does not know the custom resources of AAD Pod Identity, and"),
    (
        {"missing_namespaces": ["x", "y"]},
        ["y"],
        RUN,
        "Objects of the restore bundle are to come into namespaces that are missing (x)",
    ),
    ({"missing_namespaces": ["y"]}, ["y"], RUN, ""),
    ({"missing_namespaces": ["y"]}, ["y"], only(restore.OBJECTS), "namespaces that are missing (y); create"),
    ({"failed": True, "msg": "You may not."}, [], RUN, ""),
)
def test_objects_that_cannot_be_created_stop_the_run(
    predicted: Raw, releases: list[str], run: Run, sentence: str
) -> None:
    bundle = replace(BUNDLE, predicted=predicted, releases={(each, "r"): frozenset() for each in releases})
    if not sentence:
        restore.restoration(OPTIONS, bundle, run)
        return
    with pytest.raises(Refused) as refused:
        restore.restoration(OPTIONS, bundle, run)
    (said,) = refused.value.sentences
    assert sentence in said


@table(
    "installations, refuses",
    ([["active", "not_expected"]], False),
    ([[]], False),
    ([], True),
    ([["active", "pending"]], True),
    ([["active"], ["missing"]], True),
)
def test_identities_that_nothing_guards_are_not_attached(installations: list[list[str]], refuses: bool) -> None:
    """By the states of the nodes of each installation."""
    states = [{"nodes": [{"state": state} for state in each]} for each in installations]
    observed = {"nmi": {"installations": states}, "names": ["one", "two"]}
    assert [look.module for look in restore.PARTS["guard"].looks_at({}, {}, RUN)] == ["nmi_info"]
    if refuses:
        told = str(refusal(restore.PARTS["guard"].plan, {}, observed, RUN))
        assert told.startswith("NMI does not work on every node, so one, two would be open to every pod")
    else:
        assert restore.PARTS["guard"].plan({}, observed, RUN) == {}


OF_CHART = {"kind": "AzurePodIdentityException", "namespace": "n", "name": "mic-exception"}
RESTORED = [
    {"kind": "AzureIdentity", "namespace": "n", "name": name, "state": state}
    for name, state in (("one", "restored"), ("two", "different"))
]
OBSERVED: Raw = {
    "plan": {"now": [SET.lower()], "of_chart": [OF_CHART]},
    "roles": [
        {"item": vars(ASSIGNMENT), "changes": [{"verb": "create"}]},
        {"item": {**vars(ASSIGNMENT), "role": "Owner"}, "changes": []},
    ],
    "objects": {"restoration": {"objects": RESTORED}},
    "given": [{"item": {"place": SET, "identities": [ONE]}}],
    "left_out": [{"what": "role assignment", "name": "Owner", "reason": "It is not ours."}],
    "before": [{"id": SET + "2", "name": "a2", "identities": []}, {"id": SET, "name": "a", "identities": []}],
    "addon": [{"namespace": "n", "name": "e"}],
}


@pytest.mark.parametrize(("run", "restored"), [(RUN, "restored"), (CHECK, "would be restored")])
@pytest.mark.parametrize("managed", [True, False, None])
def test_the_account(managed: bool | None, run: Run, restored: str) -> None:
    named = {"cluster_name": "one", "cluster_resource_group": "rg"}
    options = {"bundle": "/b", "sha256": "0" * 64, "manage_role_assignments": managed}
    checked = restore.PARTS["options"].plan(options, named, RUN)
    assert checked["manages"] is bool(managed)
    plan = restore.PARTS["account"].plan({"manage_role_assignments": managed}, OBSERVED, run)
    assert [tuple(row.values())[:3] for row in plan["rows"]] == [
        ("role assignment", "Reader", restored if managed else "missing"),
        *(("role assignment", "Owner", "present"), ("AzureIdentity", "n/one", restored)),
        *(("AzureIdentity", "n/two", "different"), ("AzurePodIdentityException", "n/mic-exception", "present")),
        *(("identity on a scale set", "one", restored), ("role assignment", "Owner", "refused")),
        *(("scale set", "a2", "gone"), ("entry of the add-on", "n/e", "missing")),
    ]
    stays = "Something else has that name by now, and stays."
    reasons = [f"at {GROUP}", f"at {GROUP}", "", stays, "It comes with the chart.", "on a"]
    assert [row["reason"] for row in plan["rows"]][:6] == reasons
    command = "az role assignment create --assignee-object-id p --assignee-principal-type ServicePrincipal --role "
    commands = [each["command"] for each in plan["commands"]]
    assert commands == ([] if managed else [f'{command}"Reader" --scope "{GROUP}"'])


def test_without_outcomes_there_is_nothing_to_tell() -> None:
    nothing: Raw = {"roles": [], "objects": {}, "given": [], "left_out": [], "before": [], "addon": []}
    assert restore.PARTS["account"].plan({}, {**nothing, "plan": OBSERVED["plan"]}, RUN) == {"rows": [], "commands": []}
