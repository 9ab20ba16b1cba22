# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Our modules against recordings of real Azure traffic: our requests, its answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain import roles
from ansible_collections.azureops.pod_identity.tests.wire import recordings
from ansible_collections.azureops.pod_identity.tests.wire.modules import replay
from ansible_collections.azureops.pod_identity.tests.wire.modules.processes import Modules
from ansible_collections.azureops.pod_identity.tests.wire.modules.replay import Tape
from ansible_collections.azureops.pod_identity.tests.wire.recordings import NULL_SUBSCRIPTION, Interaction
from azsandbox.azure.loopback import SimulatedAzure

pytestmark = recordings.needed

SUBSCRIPTION = f"/subscriptions/{NULL_SUBSCRIPTION}"
ASSIGNMENTS = "test_aks_pod_identity_usage@7fb511f3f.yaml"
ON_GROUP = "Test_Authorization_RoleAssignment_OnResourceGroup_CRUD.yaml"
CLUSTER = "test_aks_create_with_workload_identity_enabled.yaml"
FAST = {"poll_interval": 0.05}


def no_such_resource() -> Interaction:
    return recordings.load(CLUSTER)[0]


def no_such_group() -> Interaction:
    return recordings.load(ON_GROUP)[19]


def no_assignments() -> Interaction:
    return recordings.load(ASSIGNMENTS)[14]


def identity_life(tape: Tape, modules: Modules) -> None:
    tape.leave_out([3], "no module lists what uses an identity")
    listed = replace(tape[4], body=tape[4].body["value"][0])
    for after, item in ((replay.BEGINNING, no_such_resource()), (2, listed), (5, no_such_resource())):
        tape.aside("/userAssignedIdentities/myidentity$", item, after=after)
    wish = {"resource_group": "cli_test_identity_mgmt_000001", "name": "myidentity"}
    made = modules.check_and_do("user_assigned_identity", **wish)
    assert made["state"]["client_id"] == "390e69d8-5e41-49e3-89cf-463539faef9f"
    assert made["state"]["location"] == "westus"
    modules.check_and_do("user_assigned_identity", **wish, state="absent")


def identity_of_credentials(tape: Tape, modules: Modules) -> None:
    tape.leave_out([2, 3, 6, 7, 9], "federated credentials are not of this module")
    tape.aside("/userAssignedIdentities/ide$", no_such_resource())
    wish = {"resource_group": "cli_test_federated_identity_credential_000001", "name": "ide"}
    made = modules.succeed("user_assigned_identity", **wish)
    assert made["state"]["principal_id"] == tape[1].body["properties"]["principalId"]


def group_life(tape: Tape, modules: Modules) -> None:
    """Deleted, waited for, made again, and its tags replaced three times."""
    tape.leave_out([18], "no module exports templates")
    name = "cli_test_rg_scenario000001"
    path = f"/resourcegroups/{name}$"
    # The group before its deletion was not recorded; the one of the same name that follows stands for it.
    tape.aside(path, tape[9])
    tape.aside(path, no_such_group(), after=0)
    tape.aside(path, tape[17], after=17)  # its PUT is the last that is told of it
    modules.check_and_do("resource_group", name=name, state="absent", force_delete_nonempty=True, **FAST)
    wish: dict[str, Any] = {"name": name, "append_tags": False}
    made = modules.check_and_do("resource_group", **wish, location="westus", tags={"a": "b", "c": ""})
    assert made["state"]["tags"] == {"a": "b", "c": ""}
    for tags in ({}, {"a": "{'k': 'v'}"}, {"a": "{'k': 'v'}", "b": '{"k":"v"}'}):
        assert modules.succeed("resource_group", **wish, tags=tags)["state"]["tags"] == tags
    assert not modules.succeed("resource_group", **wish, tags=tags)["changed"]
    assert tape.sent[13]["managedBy"] == "test_admin"


GROUP = f"{SUBSCRIPTION}/resourceGroups/asotest-rg-mnlufu"
PRINCIPAL = "90cc53e8-4a6e-45b6-8339-516448218ee0"
CONTRIBUTOR = roles.Role("Contributor", roles.BUILT_IN["Contributor"])


def assignment_of_a_new_identity(tape: Tape, modules: Modules) -> None:
    """A group, an identity in it, which the service of roles does not know five times, a role for it, and all gone."""
    tape.leave_out([3], "the recorded client writes the identity again; ours finds nothing to change")
    tape.leave_out(
        [19], "the recorded client deletes the identity when its group is gone; ours sees that there is none"
    )
    tape.aside("/resourceGroups/asotest-rg-mnlufu$", no_such_group())
    tape.aside("/resourceGroups/asotest-rg-mnlufu$", tape[1], after=13)
    tape.aside("/resourceGroups/asotest-rg-mnlufu$", no_such_group(), after=15)
    tape.aside("/userAssignedIdentities/asotest-mi-tbbith$", no_such_resource(), after=0)
    tape.aside("/userAssignedIdentities/asotest-mi-tbbith$", no_such_group(), after=15)
    ours = rf"/roleAssignments\?\$filter=principalId eq '{PRINCIPAL}'$"
    for after, item in ((2, no_assignments()), (10, replay.page(tape[11])), (13, no_assignments())):
        tape.aside(ours, item, after=after)

    group = {"name": "asotest-rg-mnlufu"}
    tags = {"CreatedAt": "2001-02-03T04:05:06Z"}
    modules.check_and_do("resource_group", **group, location="westus2", tags=tags)
    identity = {"resource_group": group["name"], "name": "asotest-mi-tbbith"}
    made = modules.check_and_do("user_assigned_identity", **identity, location="westus2")
    assert made["state"]["principal_id"] == PRINCIPAL
    wish = {"scope": GROUP, "role": "Contributor", "principal_id": PRINCIPAL, **FAST}
    granted = modules.check_and_do("role_assignment", **wish)
    assert granted["state"]["name"] == roles.assignment_name(GROUP, CONTRIBUTOR, PRINCIPAL)
    assert [tape[index].status for index in range(5, 11)] == [400] * 5 + [201]
    modules.check_and_do("role_assignment", **wish, state="absent")
    modules.check_and_do("resource_group", **group, state="absent", force_delete_nonempty=True, **FAST)
    assert not modules.succeed("user_assigned_identity", **identity, state="absent")["changed"]


VAULT = f"{SUBSCRIPTION}/resourceGroups/clitest000001/providers/Microsoft.KeyVault/vaults/cliakstestkv000002"
SECRETS_USER = roles.Role("Key Vault Secrets User", "4633458b-17de-408a-b874-0445c86b69e6")
SCRUBBED = "00000000-0000-0000-0000-000000000001"


def assignment_that_exists(tape: Tape, modules: Modules) -> None:
    """Somebody else has granted the role under another name a moment ago, so that no list shows it yet."""
    tape.leave_out([32], "the end of the cluster for which the vault was made")
    listed = r"/roleAssignments\?\$filter="
    tape.aside(listed, no_assignments())
    tape.aside(listed, replay.page(tape[28]), after=31)
    wish = {"scope": VAULT, "role": SECRETS_USER.guid, "principal_id": SCRUBBED, **FAST}
    found = modules.succeed("role_assignment", **wish)
    assert found["state"]["name"] == "1f7b6588-dd8e-44d9-bb07-6271a4877dfd"
    assert not modules.succeed("role_assignment", **wish)["changed"]


CLUSTER_ID: dict[str, Any] = {"resource_group": "clitest000001", "name": "cliakstest000001", **FAST}


def cluster_of(dns_prefix: str, count: int = 3, **more: Any) -> dict[str, Any]:
    """The wish of ``az aks create`` at the time, whose defaults are not ours."""
    return {
        **CLUSTER_ID,
        "location": "westus2",
        "dns_prefix": dns_prefix,
        "network_plugin": "kubenet",
        "pod_cidr": "10.244.0.0/16",
        "service_cidr": "10.0.0.0/16",
        "dns_service_ip": "10.0.0.10",
        "agent_pools": [{"name": "nodepool1", "count": count, "vm_size": "Standard_DS2_v2", "mode": "System"}],
        **more,
    }


def cluster_with_workload_identity(tape: Tape, modules: Modules) -> None:
    wish = cluster_of("cliakstest-clitest5pdofh3lk-79a739", oidc_issuer_enabled=True, workload_identity_enabled=True)
    state = modules.check_and_do("aks_cluster", **wish)["state"]
    assert tape.sent[1]["properties"]["oidcIssuerProfile"] == {"enabled": True}
    assert tape.sent[1]["properties"]["securityProfile"] == {"workloadIdentity": {"enabled": True}}
    assert state["oidc_issuer_url"] == tape[14].body["properties"]["oidcIssuerProfile"]["issuerURL"]
    assert state["kubelet_identity"]["object_id"] == SCRUBBED
    group, name = wish["resource_group"], wish["name"]
    assert modules.succeed("aks_cluster_info", resource_group=group, name=name)["clusters"] == [state]


def workload_identity_switched(tape: Tape, modules: Modules) -> None:
    modules.check_and_do("aks_cluster", **cluster_of("cliakstest-clitest6a2szkfxe-79a739", oidc_issuer_enabled=True))
    for index, enabled in ((19, True), (27, False)):
        done = modules.check_and_do("aks_cluster", **CLUSTER_ID, workload_identity_enabled=enabled)
        assert done["state"]["workload_identity_enabled"] is enabled
        assert kept(tape[index].given, tape.sent[index])


def issuer_switched_on(tape: Tape, modules: Modules) -> None:
    modules.check_and_do("aks_cluster", **cluster_of("cliakstest-clitestb6yynh5jj-79a739"))
    done = modules.check_and_do("aks_cluster", **CLUSTER_ID, oidc_issuer_enabled=True)
    assert done["state"]["oidc_issuer_url"] == tape[25].body["properties"]["oidcIssuerProfile"]["issuerURL"]
    assert kept(tape[18].given, tape.sent[18])


def kept(recorded: dict[str, Any], sent: dict[str, Any]) -> bool:
    """Whether ours carries every property that az carried (az had read it from the same body)."""
    names = {name for name, value in recorded["properties"].items() if value is not None}
    return names <= sent["properties"].keys() and recorded.keys() <= sent.keys()


def cluster_not_waited_for(tape: Tape, modules: Modules) -> None:
    """Begun without waiting; the next run waits for its end and finds nothing to change. Deleted and gone."""
    tape.leave_out([20], "add-ons are not of this module")
    wish = cluster_of("cliaksdns000002", count=1, kubernetes_version="1.26.3", tags={"scenario_test": ""})
    started = modules.succeed("aks_cluster", **wish, wait=False)
    assert started["state"]["provisioning_state"] == "Creating"
    second = modules.succeed("aks_cluster", **wish)
    assert not second["changed"]
    assert second["state"]["provisioning_state"] == "Succeeded"
    assert set(range(3, 14)) <= set(tape.played)
    modules.check_and_do("aks_cluster", **CLUSTER_ID, state="absent")


def cluster_life(tape: Tape, modules: Modules) -> None:
    """The newest traffic: stages in words, signed URLs of operations, the flat 404 of a deleted cluster."""
    tape.leave_out([27], "the recorded client writes the same again; ours finds nothing to change")
    tape.leave_out([37, 38], "the recorder has blanked the credentials")
    tape.leave_out([39, 43, 46], "no module plans maintenance")
    tape.leave_out([45, 58, 64], "pools are changed through their cluster, not one by one")
    group = {"name": "asotest-rg-vwqdkq"}
    path = f"/resourceGroups/{group['name']}$"
    for after, item in ((replay.BEGINNING, no_such_group()), (68, tape[1]), (73, no_such_group())):
        tape.aside(path, item, after=after)
    tags = {"CreatedAt": "2001-02-03T04:05:06Z"}
    modules.succeed("resource_group", **group, location="westus3", tags=tags)
    cluster = {"resource_group": group["name"], "name": "asotest-mc-sorooa", **FAST}
    pool = {"name": "ap1", "count": 1, "vm_size": "Standard_DS2_v2", "mode": "System"}
    modules.check_and_do("aks_cluster", **cluster, location="westus3", dns_prefix="aso", agent_pools=[pool])
    assert modules.check_and_do("aks_cluster", **cluster, sku_tier="Standard")["state"]["sku_tier"] == "Standard"
    assert tape.sent[14].get("kind") == "Base"
    (found,) = modules.succeed("aks_cluster_info", resource_group=group["name"], name=cluster["name"])["clusters"]
    assert found["sku_tier"] == "Standard"
    modules.check_and_do("aks_cluster", **cluster, state="absent")
    modules.succeed("resource_group", **group, state="absent", force_delete_nonempty=True, **FAST)
    assert not modules.succeed("resource_group", **group, state="absent", force_delete_nonempty=True)["changed"]


@dataclass(frozen=True)
class Replay:
    """``answered``: how many interactions of the tape our requests got. The other fields are those of Tape."""

    story: Callable[[Tape, Modules], None]
    answered: int
    begin: int = 0
    renamed: tuple[tuple[str, str], ...] = ()


REPLAYED = {
    "test_identity_management.yaml": Replay(identity_life, 3),
    "test_federated_identity_credential.yaml": Replay(identity_of_credentials, 2),
    "test_resource_group.yaml": Replay(group_life, 14),
    ON_GROUP: Replay(
        assignment_of_a_new_identity,
        15,
        renamed=(("ed3c9f84-ae20-5aea-8602-58ed2eeffef1", roles.assignment_name(GROUP, CONTRIBUTOR, PRINCIPAL)),),
    ),
    "test_aks_approuting_enable_with_keyvault_secrets_provider_addon_and_keyvault_id.yaml": Replay(
        assignment_that_exists,
        1,
        begin=29,
        renamed=(("ed6725fe-e6ff-43e0-a73e-f130afa46873", roles.assignment_name(VAULT, SECRETS_USER, SCRUBBED)),),
    ),
    CLUSTER: Replay(cluster_with_workload_identity, 15),
    "test_aks_update_with_workload_identity.yaml": Replay(workload_identity_switched, 34),
    "test_aks_update_with_oidc_issuer_enabled.yaml": Replay(issuer_switched_on, 26),
    "test_aks_create_service_no_wait_msi.yaml": Replay(cluster_not_waited_for, 25),
    "Test_AKS_ManagedCluster_20251002preview_CRUD.yaml": Replay(cluster_life, 36),
}
NOT_REPLAYED = {
    "test_aks_pod_identity_usage@7fb511f3f.yaml": "the add-on",
    "test_aks_pod_identity_usage@0b47e6881.yaml": "the add-on",
    "test_aks_create_with_pod_identity_enabled.yaml": "the add-on",
    "test_aks_create_using_azurecni_with_pod_identity_enabled.yaml": "the add-on",
    "test_vmss_explicit_msi.yaml": "identities of scale sets",
    "test_vmss_run_command_with_parameters.yaml": "commands on a scale set that a deployment makes",
    "test_imds_credential.test_user_assigned.yaml": "no module asks IMDS on the controller",
    "openid_and_token_extract.json": "no traffic, an extract",
}


def test_every_recording_is_replayed_or_has_a_reason() -> None:
    there = {path.name for path in recordings.RECORDINGS.iterdir()} - {"INDEX.md"}
    assert there == {*REPLAYED, *NOT_REPLAYED}
    assert not REPLAYED.keys() & NOT_REPLAYED.keys()


@pytest.mark.parametrize("name", REPLAYED, ids=lambda name: name.removesuffix(".yaml"))
def test_replay(name: str, azure: SimulatedAzure, modules: Modules) -> None:
    case = REPLAYED[name]
    tape = replay.Tape(azure, name, renamed=dict(case.renamed), begin=case.begin)
    azure.server.put_in_place("arm", tape.answer)
    modules.environment["AZURE_SUBSCRIPTION_ID"] = NULL_SUBSCRIPTION
    case.story(tape, modules)
    tape.check(case.answered)


# what the replay itself must refuse


def test_a_request_without_counterpart_is_refused(azure: SimulatedAzure, modules: Modules) -> None:
    tape = replay.Tape(azure, "test_identity_management.yaml")
    azure.server.put_in_place("arm", tape.answer)
    modules.environment["AZURE_SUBSCRIPTION_ID"] = NULL_SUBSCRIPTION
    wish = {"resource_group": "cli_test_identity_mgmt_000001", "name": "myidentity"}
    assert modules.fail("user_assigned_identity", **wish)["error"]["code"] == "NotRecorded"
    tape.aside("/never$", tape[1])
    with pytest.raises(AssertionError) as failed:
        tape.check(0)
    for problem in ("GET /subscriptions/", "never made: #2 PUT", "never made: #5 DELETE", "never asked: /never"):
        assert problem in str(failed.value)


@pytest.mark.parametrize(
    ("recorded", "sent", "found"),
    [
        ({"a": 1, "b": None, "c": 2}, {"a": 1, "b": 5, "d": 3}, []),
        ({"a": 1}, {"a": 2}, ["$.a: recorded 1, sent 2"]),
        ({"a": {"b": [{"c": "x"}]}}, {"a": {"b": [{"c": "X"}]}}, ["$.a.b[0].c: recorded 'x', sent 'X'"]),
        ({"/S/X": {"k": "/a/B"}}, {"/s/x": {"k": "/A/b"}}, []),
        ({"a": [1]}, {"a": [1, 2]}, ["$.a: recorded 1 items, sent 2"]),
        ({"a": {"b": 1}}, {"a": "b"}, ["$.a: recorded {'b': 1}, sent 'b'"]),
        ({"a": 1}, None, []),
    ],
)
def test_bodies_agree_in_what_both_name(recorded: Any, sent: Any, found: list[str]) -> None:
    assert list(replay.disagreements(recorded, sent)) == found
