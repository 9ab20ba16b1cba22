# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Our modules against recordings of real Azure traffic: our requests, its answers."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.azure import arm_id, azure_roles
from ansible_collections.azureops.pod_identity.tests.support.modules import Modules
from ansible_collections.azureops.pod_identity.tests.wire import recordings
from ansible_collections.azureops.pod_identity.tests.wire.modules import replay
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


def without_scale_sets(tape: Tape, *writes: int) -> None:
    """What is asked before a cluster is written, each time after the write before. Empty lists are all the same."""
    for after in writes:
        tape.aside(SCALE_SETS, no_assignments(), after=after)


def identity_life(tape: Tape, modules: Modules) -> None:
    tape.leave_out([3], "no module lists what uses an identity")
    listed = replace(tape[4], body=tape[4].body["value"][0])
    for after, item in ((replay.BEGINNING, no_such_resource()), (2, listed), (5, no_such_resource())):
        tape.aside("/userAssignedIdentities/myidentity$", item, after=after)
    desired = {"resource_group": "cli_test_identity_mgmt_000001", "name": "myidentity"}
    made = modules.check_and_do("user_assigned_identity", **desired)
    assert made["state"]["client_id"] == "390e69d8-5e41-49e3-89cf-463539faef9f"
    assert made["state"]["location"] == "westus"
    modules.check_and_do("user_assigned_identity", **desired, state="absent")


CREDENTIALS = "cli_test_federated_identity_credential_000001"


def identity_with_credentials(tape: Tape, modules: Modules) -> None:
    """An identity, two federated credentials as one list, one of them changed, and one after the other gone."""
    listed = "/userAssignedIdentities/ide/federatedIdentityCredentials$"
    tape.aside("/userAssignedIdentities/ide$", no_such_resource())
    tape.aside(listed, tape[10], after=1)  # as empty before the first as after the last
    tape.aside(listed, replay.page(tape[6], tape[3]), after=6)
    made = modules.succeed("user_assigned_identity", resource_group=CREDENTIALS, name="ide")
    assert made["state"]["principal_id"] == tape[1].body["properties"]["principalId"]

    identity = {"resource_group": CREDENTIALS, "identity_name": "ide"}
    issuer = "https://oidc.prod-aks.azure.com/IssuerGUID"
    accounts = {"fic1": "svcaccount1", "fic2": "svcaccount2"}
    desired_list = [{"name": name, "namespace": "ns", "service_account": one} for name, one in accounts.items()]
    desired = {**identity, "issuer": issuer, "credentials": desired_list}
    trusted = modules.check_and_do("federated_identity_credential", **desired)["state"]["credentials"]
    assert {one["name"]: one["service_account"] for one in trusted} == accounts
    assert tape.sent[2] == tape[2].given  # with the audience, which is not named here
    assert known(modules, identity) == accounts

    other = {"name": "fic1", "namespace": "ns", "service_account": "svcaccount3"}
    modules.check_and_do("federated_identity_credential", **identity, **other)
    assert tape.sent[6] == tape[6].given  # with the issuer and the audience as they were
    for name, left in (("fic1", {"fic2": "svcaccount2"}), ("fic2", {})):
        modules.check_and_do("federated_identity_credential", **identity, name=name, state="absent")
        assert known(modules, identity) == left


def known(modules: Modules, identity: dict[str, str]) -> dict[str, str]:
    """Names of the federated credentials, and the service accounts that they trust."""
    (found,) = modules.succeed("federated_identity_credential_info", **identity)["identities"]
    assert found["free"] == 20 - len(found["credentials"])
    return {one["name"]: one["service_account"] for one in found["credentials"]}


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
    desired: dict[str, Any] = {"name": name, "append_tags": False}
    made = modules.check_and_do("resource_group", **desired, location="westus", tags={"a": "b", "c": ""})
    assert made["state"]["tags"] == {"a": "b", "c": ""}
    for tags in ({}, {"a": "{'k': 'v'}"}, {"a": "{'k': 'v'}", "b": '{"k":"v"}'}):
        assert modules.succeed("resource_group", **desired, tags=tags)["state"]["tags"] == tags
    assert not modules.succeed("resource_group", **desired, tags=tags)["changed"]
    assert tape.sent[13]["managedBy"] == "test_admin"


GROUP = f"{SUBSCRIPTION}/resourceGroups/asotest-rg-mnlufu"
PRINCIPAL = "90cc53e8-4a6e-45b6-8339-516448218ee0"
CONTRIBUTOR = azure_roles.Role("Contributor", azure_roles.BUILT_IN["Contributor"])


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
    desired = {"scope": GROUP, "role": "Contributor", "principal_id": PRINCIPAL, **FAST}
    granted = modules.check_and_do("role_assignment", **desired)
    assert granted["state"]["name"] == azure_roles.assignment_name(GROUP, CONTRIBUTOR, PRINCIPAL)
    assert [tape[index].status for index in range(5, 11)] == [400] * 5 + [201]
    modules.check_and_do("role_assignment", **desired, state="absent")
    modules.check_and_do("resource_group", **group, state="absent", force_delete_nonempty=True, **FAST)
    assert not modules.succeed("user_assigned_identity", **identity, state="absent")["changed"]


VAULT = f"{SUBSCRIPTION}/resourceGroups/clitest000001/providers/Microsoft.KeyVault/vaults/cliakstestkv000002"
SECRETS_USER = azure_roles.Role("Key Vault Secrets User", "4633458b-17de-408a-b874-0445c86b69e6")
SCRUBBED = "00000000-0000-0000-0000-000000000001"


def assignment_that_exists(tape: Tape, modules: Modules) -> None:
    """Somebody else has granted the role under another name a moment ago, so that no list shows it yet."""
    tape.leave_out([32], "the end of the cluster for which the vault was made")
    listed = r"/roleAssignments\?\$filter="
    tape.aside(listed, no_assignments())
    tape.aside(listed, replay.page(tape[28]), after=31)
    desired = {"scope": VAULT, "role": SECRETS_USER.guid, "principal_id": SCRUBBED, **FAST}
    found = modules.succeed("role_assignment", **desired)
    assert found["state"]["name"] == "1f7b6588-dd8e-44d9-bb07-6271a4877dfd"
    assert not modules.succeed("role_assignment", **desired)["changed"]


SCALE_SETS = "/resourceGroups/MC_[^/]*/providers/Microsoft.Compute/virtualMachineScaleSets$"
CLUSTER_ID: dict[str, Any] = {"resource_group": "clitest000001", "name": "cliakstest000001", **FAST}


def cluster_of(dns_prefix: str, count: int = 3, **more: Any) -> dict[str, Any]:
    """The options of ``az aks create`` at the time, whose defaults are not ours."""
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
    desired = cluster_of("cliakstest-clitest5pdofh3lk-79a739", oidc_issuer_enabled=True, workload_identity_enabled=True)
    state = modules.check_and_do("aks_cluster", **desired)["state"]
    assert tape.sent[1]["properties"]["oidcIssuerProfile"] == {"enabled": True}
    assert tape.sent[1]["properties"]["securityProfile"] == {"workloadIdentity": {"enabled": True}}
    assert state["oidc_issuer_url"] == tape[14].body["properties"]["oidcIssuerProfile"]["issuerURL"]
    assert state["kubelet_identity"]["object_id"] == SCRUBBED
    group, name = desired["resource_group"], desired["name"]
    assert modules.succeed("aks_cluster_info", resource_group=group, name=name)["clusters"] == [state]


def workload_identity_switched(tape: Tape, modules: Modules) -> None:
    without_scale_sets(tape, 1, 19)
    modules.check_and_do("aks_cluster", **cluster_of("cliakstest-clitest6a2szkfxe-79a739", oidc_issuer_enabled=True))
    for index, enabled in ((19, True), (27, False)):
        done = modules.check_and_do("aks_cluster", **CLUSTER_ID, workload_identity_enabled=enabled)
        assert done["state"]["workload_identity_enabled"] is enabled
        assert kept(tape[index].given, tape.sent[index])


def issuer_switched_on(tape: Tape, modules: Modules) -> None:
    without_scale_sets(tape, 1)
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
    desired = cluster_of("cliaksdns000002", count=1, kubernetes_version="1.26.3", tags={"scenario_test": ""})
    started = modules.succeed("aks_cluster", **desired, wait=False)
    assert started["state"]["provisioning_state"] == "Creating"
    second = modules.succeed("aks_cluster", **desired)
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
    without_scale_sets(tape, 3)
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


OF_ADDON = f"{SUBSCRIPTION}/resourcegroups/clitest000001"
IDENTITY = f"{OF_ADDON}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/id000003"
OPERATOR = azure_roles.Role("Managed Identity Operator", azure_roles.BUILT_IN["Managed Identity Operator"])
ADDON: dict[str, Any] = {"resource_group": "clitest000001", "cluster_name": "cliakstest000002", **FAST}
WHOLE_CLUSTER: dict[str, Any] = {"resource_group": "clitest000001", "name": "cliakstest000002", **FAST}
NO_SUCH_CREATION = "aks_cluster creates no cluster that has the add-on from its beginning"


def assignment_of(principal: str, recorded: str) -> tuple[str, str]:
    """The name that the recorded client gave to the role assignment of the add-on, and ours."""
    return recorded, azure_roles.assignment_name(IDENTITY, OPERATOR, principal)


def what_the_addon_needs(tape: Tape, identity: Interaction, assignments: Interaction, *, after: int) -> None:
    """Reads of ours: the identities of the group, and which roles the cluster holds there."""
    tape.aside("/Microsoft.ManagedIdentity/userAssignedIdentities$", replay.page(identity), after=after)
    tape.aside(r"/roleAssignments\?\$filter=principalId eq", assignments, after=after)


def identity_of_the_addon(tape: Tape, modules: Modules) -> None:
    tape.aside("/userAssignedIdentities/id000003$", no_such_resource())
    modules.succeed("user_assigned_identity", resource_group="clitest000001", name="id000003", location="westus2")


def the_cluster_once_more(tape: Tape, after: int) -> None:
    """It has no eTag, so it is read again between the assignment of a role and its own write, as it was."""
    path = r"/managedClusters/[^/?]+$"
    before = [item for item in tape.items[:after] if item.method == "GET" and re.search(path, item.path, re.I)]
    tape.aside(path, before[-1], after=after)


def pod_identity_given_and_taken(tape: Tape, modules: Modules) -> None:
    """With the role, which the second entry finds there; then an entry with a selector, and the cluster is gone."""
    tape.leave_out([1], NO_SUCH_CREATION)
    identity_of_the_addon(tape, modules)
    what_the_addon_needs(tape, tape[13], tape[14], after=0)
    what_the_addon_needs(tape, tape[13], replay.page(tape[16]), after=17)
    for after in (24, 33):
        what_the_addon_needs(tape, tape[31], tape[32], after=after)
    without_scale_sets(tape, 16, 17, 24)
    the_cluster_once_more(tape, 16)

    first = {"namespace": "test-namespace", "name": "test-name"}
    made = modules.check_and_do("aks_pod_identity", **ADDON, **first, identity=IDENTITY)
    assert [action.partition(" ")[0] for action in made["actions"]] == ["assign", "change"]
    (entry,) = made["state"]["identities"]
    assert (entry["provisioning_state"], entry["binding_selector"]) == ("Assigned", "test-name")
    modules.check_and_do("aks_pod_identity", **ADDON, **first, state="absent")
    assert profile(tape.sent[24])["userAssignedIdentities"] == []

    second = {"namespace": "test-namespace-binding-selector", "name": "test-name-binding-selector"}
    made = modules.check_and_do(
        "aks_pod_identity", **ADDON, **second, identity=IDENTITY, binding_selector="binding_test"
    )
    assert len(made["actions"]) == 1
    assert made["state"]["identities"][0]["binding_selector"] == "binding_test"
    for index in (17, 24, 33):
        assert kept(tape[index].given, tape.sent[index])
    modules.succeed("aks_cluster", **WHOLE_CLUSTER, state="absent", wait=False)


# The recorder has blanked every clientId of the requests, and what lay between two of them: without these, they are
# JSON again, and nothing is compared there.
CUT = (
    ('"servicePrincipalProfile": {"clientId": "' + SCRUBBED + '":\n      {"Kube', '"addonProfiles": {"Kube'),
    (',\n      "clientId": "' + SCRUBBED + '"}}', "}}"),
)


def pod_identity_before_consent(tape: Tape, modules: Modules) -> None:
    """The first version of the add-on knew no consent to kubenet and kept none, so ours gives it each time."""
    tape.leave_out([2], NO_SUCH_CREATION)
    identity_of_the_addon(tape, modules)
    what_the_addon_needs(tape, tape[10], tape[11], after=0)
    without_scale_sets(tape, 13, 14)
    the_cluster_once_more(tape, 13)
    only = {"purge_identities": True, "allow_network_plugin_kubenet": True}
    entry = {"namespace": "test-namespace", "name": "test-name", "identity": IDENTITY}
    made = modules.succeed("aks_pod_identity", **ADDON, **only, identities=[entry])
    (found,) = made["state"]["identities"]
    assert found["client_id"] == tape[10].body["properties"]["clientId"]
    assert found["object_id"] == tape[10].body["properties"]["principalId"]
    assert tape.sent[13]["properties"]["principalId"] == tape[9].body["identity"]["principalId"]
    gone = modules.succeed("aks_pod_identity", **ADDON, **only, identities=[], purge_allow_empty=True)
    assert gone["state"]["identities"] == []
    for index in (14, 20):
        assert kept(tape[index].given, tape.sent[index])
    modules.succeed("aks_cluster", **WHOLE_CLUSTER, state="absent", wait=False)


def addon_switched_on_kubenet(tape: Tape, modules: Modules) -> None:
    addon_switched(tape, modules, writes=(19, 27, 35, 43, 51), allow_network_plugin_kubenet=True)


def addon_switched_on_azure_cni(tape: Tape, modules: Modules) -> None:
    addon_switched(tape, modules, writes=(22, 30, 38, 46, 54))


def addon_switched(tape: Tape, modules: Modules, *, writes: tuple[int, ...], **consent: bool) -> None:
    """Off, on again, and the life of an exception."""
    exception = {"namespace": "test-namespace", "name": "test-name"}
    labels = {"foo": "bar"}
    desired_list: list[dict[str, Any]] = [
        {"enabled": False},
        {"enabled": True, **consent},
        {"exception": {**exception, "pod_labels": labels}},
        {"exception": {**exception, "pod_labels": {**labels, "a": "b"}}},
        {"exception": exception, "state": "absent"},
    ]
    without_scale_sets(tape, replay.BEGINNING, *writes[:-1])
    for index, desired in zip(writes, desired_list, strict=True):
        state = modules.check_and_do("aks_pod_identity", **ADDON, **desired)["state"]
        assert kept(tape[index].given, tape.sent[index])
        assert profile(tape[index].given).items() >= profile(tape.sent[index]).items()
        assert state["enabled"] is (index != writes[0])
        assert state["exceptions"] == ([desired["exception"]] if index in writes[2:4] else [])
    modules.succeed("aks_cluster", **WHOLE_CLUSTER, state="absent", wait=False)


def profile(body: dict[str, Any]) -> dict[str, Any]:
    return dict(body["properties"]["podIdentityProfile"])


ON_SCALE_SET = "cli_test_vmss_explicit_msi000001"
COMPUTE = f"{SUBSCRIPTION}/resourceGroups/{ON_SCALE_SET}/providers/Microsoft.Compute"


def identities_of_a_scale_set(tape: Tape, modules: Modules) -> None:
    """Which has one of its own too: the second is attached, the first detached, then the last."""
    tape.leave_out([13], "no module deploys scale sets")
    tape.leave_out([25], "instances have the identities of their scale set without an upgrade")
    ids: list[str] = []
    for number, index in ((1, 1), (2, 3)):
        tape.aside(f"/userAssignedIdentities/id{number}$", no_such_resource(), after=replay.BEGINNING if not ids else 1)
        made = modules.succeed("user_assigned_identity", resource_group=ON_SCALE_SET, name=f"id{number}")
        ids.append(made["state"]["id"])
        assert made["state"]["client_id"] == tape[index].body["properties"]["clientId"]
    for after in (20, 29, 34):
        # Whose cluster it is, which is asked before something is detached.
        tape.aside(f"/resourceGroups/{ON_SCALE_SET}$", tape[4], after=after)
        if after != 34:  # when none is left to ask for
            tape.aside("/userAssignedIdentities$", replay.page(tape[1], tape[3]), after=after)
    place = {"resource_id": f"{COMPUTE}/virtualMachineScaleSets/vmss1"}

    def seen() -> list[str]:
        (found,) = modules.succeed("vmss_identity_info", **place, check_existence=True)["resources"]
        assert found["system_assigned_principal_id"] == tape[17].body["identity"]["principalId"]
        assert all(one["exists"] and not one["ghost"] for one in found["identities"])
        return [arm_id.last_segment(one["id"]) for one in found["identities"]]

    modules.check_and_do("vmss_identity", **place, identities=ids, **FAST)
    assert seen() == ["id1", "id2"]
    for identity, left in zip(ids, (["id2"], []), strict=True):
        desired = {"identities": [identity], "allow_unknown_owner": True, "state": "absent"}
        modules.check_and_do("vmss_identity", **place, **desired, **FAST)
        assert seen() == left
    for index in (20, 29, 34):
        assert lowered(tape.sent[index]) == lowered(tape[index].given)


def lowered(value: Any) -> Any:
    return json.loads(json.dumps(value).lower())


@dataclass(frozen=True)
class Replay:
    """``answered``: how many interactions of the tape our requests got. The other fields are those of Tape."""

    story: Callable[[Tape, Modules], None]
    answered: int
    begin: int = 0
    renamed: tuple[tuple[str, str], ...] = ()


# Upstream has written a later api-version into these afterwards.
TRUE_VERSION = (("2025-09-02-preview", "2023-05-02-preview"),)

REPLAYED = {
    "test_identity_management.yaml": Replay(identity_life, 3),
    "test_federated_identity_credential.yaml": Replay(identity_with_credentials, 10),
    "test_resource_group.yaml": Replay(group_life, 14),
    ON_GROUP: Replay(
        assignment_of_a_new_identity,
        15,
        renamed=(("ed3c9f84-ae20-5aea-8602-58ed2eeffef1", azure_roles.assignment_name(GROUP, CONTRIBUTOR, PRINCIPAL)),),
    ),
    "test_aks_approuting_enable_with_keyvault_secrets_provider_addon_and_keyvault_id.yaml": Replay(
        assignment_that_exists,
        1,
        begin=29,
        renamed=(("ed6725fe-e6ff-43e0-a73e-f130afa46873", azure_roles.assignment_name(VAULT, SECRETS_USER, SCRUBBED)),),
    ),
    CLUSTER: Replay(cluster_with_workload_identity, 15),
    "test_aks_update_with_workload_identity.yaml": Replay(workload_identity_switched, 34),
    "test_aks_update_with_oidc_issuer_enabled.yaml": Replay(issuer_switched_on, 26),
    "test_aks_create_service_no_wait_msi.yaml": Replay(cluster_not_waited_for, 25),
    "Test_AKS_ManagedCluster_20251002preview_CRUD.yaml": Replay(cluster_life, 36),
    ASSIGNMENTS: Replay(
        pod_identity_given_and_taken, 25, renamed=(assignment_of(SCRUBBED, "4fb4dba5-f284-4a62-9bda-9cb99f90dd36"),)
    ),
    "test_aks_pod_identity_usage@0b47e6881.yaml": Replay(
        pod_identity_before_consent,
        15,
        renamed=(assignment_of("9492ac99-921d-422f-95f5-c888948d0c91", "5ab31298-476f-44f8-b04c-bf5edeb35b45"), *CUT),
    ),
    "test_aks_create_with_pod_identity_enabled.yaml": Replay(
        addon_switched_on_kubenet, 42, begin=17, renamed=TRUE_VERSION
    ),
    "test_aks_create_using_azurecni_with_pod_identity_enabled.yaml": Replay(
        addon_switched_on_azure_cni, 42, begin=20, renamed=TRUE_VERSION
    ),
    "test_vmss_explicit_msi.yaml": Replay(identities_of_a_scale_set, 22),
}
NOT_REPLAYED = {
    "test_vmss_run_command_with_parameters.yaml": "of the connection plugin, not of a module, with another script",
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
    desired = {"resource_group": "cli_test_identity_mgmt_000001", "name": "myidentity"}
    assert modules.fail("user_assigned_identity", **desired)["error"]["code"] == "NotRecorded"
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
