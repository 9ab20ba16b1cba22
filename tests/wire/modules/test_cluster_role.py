# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The role pod_identity_cluster, as far as Azure alone decides."""

from __future__ import annotations

import asyncio
import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.azureops.pod_identity.tests.support.fixed import fixed
from ansible_collections.azureops.pod_identity.tests.support.modules import Modules
from ansible_collections.azureops.pod_identity.tests.support.players import CHECKOUT, Player, role
from azsandbox.azure.loopback import SimulatedAzure

ROLE = [role("pod_identity_cluster")]
# An include cannot be begun in; an import, as in site.yml, can.
IMPORTED = [{"ansible.builtin.import_role": {"name": "azureops.pod_identity.pod_identity_cluster"}}]
DESTROY = str(CHECKOUT / "playbooks/destroy.yml")
VARIABLES: dict[str, Any] = {
    "pod_identity_cluster_name": "demo",
    "pod_identity_resource_group": "rg",
    "pod_identity_cluster_poll_interval": 1,
}
REMOVE = {**VARIABLES, "pod_identity_cluster_state": "absent", "pod_identity_cluster_remove_resource_group": True}
CREATE = {**VARIABLES, "pod_identity_cluster_create": True}
CONFIRMED = {"pod_identity_cluster_confirm_absent": "demo"}


@pytest.fixture
def player(modules: Modules, tmp_path: Path) -> Player:
    return Player(tmp_path / "player", modules.environment)


def test_cluster_and_group_go_as_predicted(modules: Modules, azure: SimulatedAzure, player: Player, group: str) -> None:
    modules.succeed("aks_cluster", resource_group=group, name="demo", location="westeurope", poll_interval=0.1)
    modules.succeed("user_assigned_identity", resource_group=group, name="other")
    mark = modules.mark()
    status, output = player.play(ROLE, "--check", **REMOVE)
    assert (status, "still holds 1 resource (other)" in output) == (2, True), output
    assert "set pod_identity_cluster_force_delete_nonempty to true" in " ".join(output.split()), output
    assert modules.writes(mark) == []
    modules.succeed("user_assigned_identity", resource_group=group, name="other", state="absent")
    mark = modules.mark()
    for tags, said in (
        ([], "set pod_identity_cluster_confirm_absent=demo"),
        (["--tags", "pod_identity_cluster_remove"], "set pod_identity_cluster_confirm_absent=demo"),
        (["--skip-tags", "always"], "'pod_identity_session' is undefined"),
    ):
        status, output = player.play(IMPORTED, *tags, **REMOVE)
        assert (status, said in output) == (2, True), output
    assert modules.writes(mark) == []
    for arguments in (["--check"], []):
        status, output = player.play(ROLE, *arguments, **REMOVE, **CONFIRMED)
        assert (status, "changed=2 " in output) == (0, True), output
    assert azure.arm("GET", f"/resourceGroups/{group}").status_code == 404


@pytest.mark.parametrize("check", [["--check"], []])
def test_what_azure_would_refuse_of_a_new_cluster_is_told_before_the_first_write(
    modules: Modules, azure: SimulatedAzure, player: Player, check: list[str]
) -> None:
    entry = {"name": "billing", "selector": "billing"}
    wrong: dict[str, Any] = {
        **CREATE,
        "pod_identity_location": "westeuropa",
        "pod_identity_cluster_workload_identity_enabled": True,
    }
    mark = modules.mark()
    status, output = player.play(ROLE, *check, **wrong)
    assert status == 2 and output.count("FAILED!") == 1, output
    assert (
        "pod_identity_location is westeuropa, which is no region of the subscription; did you mean westeurope?"
        in output
    )
    assert "needs an issuer; set pod_identity_cluster_oidc_issuer_enabled=true." in output
    site: dict[str, Any] = {
        **CREATE,
        "pod_identity_location": "West Europe",
        "pod_identity_chart_helm_binary": "/bin/true",
        "pod_identity_bindings_list": [entry],
        "pod_identity_verify_workloads": [
            {"namespace": "billing", "selector": "billing", "expect": "biling"},
            {"namespace": "billing", "selector": "other", "expect": "billing"},
        ],
    }
    status, output = player.play("azureops.pod_identity.site", *check, **site)
    workload = "pod_identity_verify_workloads, entry {}: expect is {}, "
    assert status == 2, output
    assert workload.format(1, "biling") + "and pod_identity_bindings_list has no entry of this name; did you " in output
    assert workload.format(2, "billing") + "which pods with the selector other do not get" in output
    assert modules.writes(mark) == []


def test_regions_are_listed_where_there_is_no_cluster(modules: Modules, group: str) -> None:
    look = {"resource_group": group, "name": "demo", "list_regions": True}
    assert "westeurope" in modules.succeed("aks_cluster_info", **look)["regions"]
    modules.succeed("aks_cluster", resource_group=group, name="demo", location="westeurope", poll_interval=0.1)
    assert "regions" not in modules.succeed("aks_cluster_info", **look)


def test_a_failed_creation_names_the_ways_out(modules: Modules, azure: SimulatedAzure, player: Player) -> None:
    azure.compute.start_error = "No quota is left"
    status, output = player.play(ROLE, **CREATE, pod_identity_location="westeurope")
    to_paste = (
        "ansible-playbook azureops.pod_identity.site -e @FILE",
        "ansible-playbook azureops.pod_identity.destroy -e @FILE -e pod_identity_cluster_confirm_absent=demo",
    )
    assert (status, output.count("No quota is left (CreateVMSSAgentPoolFailed)") > 0) == (2, True), output
    lines = output.splitlines()
    assert [line for line in lines if line in to_paste] == list(to_paste), output
    azure.compute.start_error = None
    status, output = player.play(DESTROY, **VARIABLES, **CONFIRMED)
    assert (status, azure.arm("GET", "/resourceGroups").json()["value"]) == (0, []), output
    status, output = player.play(ROLE, **CREATE, pod_identity_location="westeurope")
    assert (status, *(command in output for command in to_paste)) == (0, False, False), output


def test_a_change_that_fails_never_proposes_to_delete(modules: Modules, azure: SimulatedAzure, player: Player) -> None:
    assert player.play(ROLE, **CREATE, pod_identity_location="westeurope")[0] == 0
    azure.compute.update_error = "no room"
    status, output = player.play(ROLE, **CREATE, pod_identity_cluster_oidc_issuer_enabled=True)
    assert (status, "no room" in output, "destroy" in output) == (2, True, False), output


@pytest.mark.parametrize("mode", ["chart", "addon"])
def test_a_cluster_of_somebody_else_stays_as_it_is(
    modules: Modules, azure: SimulatedAzure, player: Player, mode: str
) -> None:
    """With fields that nobody knows, and what would be changed if the role made it."""
    azure.cluster(
        name="demo",
        kubernetesVersion="1.33",
        futureProfile={"enabled": True, "modes": ["a", None]},
        networkProfile={"networkPlugin": "azure", "futureMode": "b"},
        podIdentityProfile={"enabled": True, "futureFlag": False} if mode == "addon" else None,
        agentPoolProfiles=[{"name": "odd", "count": 3, "mode": "System", "futureSetting": {"c": 1}}],
    )
    path = "/resourceGroups/rg/providers/Microsoft.ContainerService/managedClusters/demo"
    azure.arm("PATCH", path, {"tags": {"Owner": "somebody else"}}).raise_for_status()
    while azure.arm("GET", path).json()["properties"]["provisioningState"] != "Succeeded":
        time.sleep(0.05)
    before = azure.arm("GET", path).content
    assert b"futureProfile" in before and b"futureMode" in before and b"futureSetting" in before
    mark = modules.mark()
    options = {"tags": {"team": "a"}, "network_plugin": "none", "agent_pools": [{"name": "nodepool1", "count": 1}]}
    desired_list = {f"pod_identity_cluster_{name}": value for name, value in options.items()}
    status, output = player.play(ROLE, **VARIABLES, pod_identity_mode=mode, **desired_list)
    assert status == 0, output
    assert [write for write in modules.writes(mark) if "/roleAssignments/" not in write] == []
    assert azure.arm("GET", path).content == before


@pytest.mark.soak
def test_a_cluster_lies_where_it_is_told_in_a_group_that_lies_elsewhere(
    modules: Modules, azure: SimulatedAzure, player: Player, group: str
) -> None:
    create = {**CREATE, "pod_identity_location": "northeurope"}
    elsewhere = {**create, "pod_identity_cluster_resource_group_location": "northeurope"}
    mark = modules.mark()
    status, output = player.play(ROLE, "--check", **elsewhere)
    assert (status, "The resource group rg is in westeurope and cannot move" in output) == (2, True), output
    kubenet = {**create, "pod_identity_cluster_network_plugin": "kubenet"}
    status, output = player.play(IMPORTED, **kubenet)
    assert (status, "ARP spoofing" in output) == (2, True), output
    assert modules.writes(mark) == []
    status, output = player.play(ROLE, **create)
    assert (status, "changed=2 " in output) == (0, True), output
    # As the README has it for includes.
    included = [{**ROLE[0], "tags": ["always"]}]
    mark = modules.mark()
    status, output = player.play(included, "--tags", "pod_identity_cluster_create", **create)
    assert (status, "changed=0 " in output) == (0, True), output
    assert modules.requests(mark, path=r"/resourcegroups/rg\?") == []  # the group of a cluster is there
    assert ("Create or change the cluster" in output, "Grant the roles" in output) == (True, False), output
    (cluster,) = modules.succeed("aks_cluster_info", resource_group=group, name="demo")["clusters"]
    assert cluster["location"] == "northeurope"
    # No region has to be named for one that is there.
    tagged = {**CREATE, "pod_identity_cluster_tags": {"team": "a"}}
    status, output = player.play(IMPORTED, "--tags", "pod_identity_cluster_create", **tagged)
    assert (status, "changed=2 " in output) == (0, True), output
    reader = azure.principal("reader", ("Reader", f"/subscriptions/{azure.subscription_id}"))
    limited = Player(player.directory.with_name("reader"), {**modules.environment, **modules.login(reader)})
    mark = modules.mark()
    more = {**tagged, "pod_identity_cluster_tags": {"team": "b"}}
    status, output = limited.play(IMPORTED, "--tags", "pod_identity_cluster_create", **more)
    assert (status, "permissions are missing, and nothing was changed" in output) == (2, True), output
    assert modules.writes(mark) == []


def test_a_cluster_that_is_being_made_is_not_asked(
    modules: Modules, azure: SimulatedAzure, player: Player, group: str
) -> None:
    azure.compute.pause = asyncio.Event().wait
    modules.succeed("aks_cluster", resource_group=group, name="demo", location="westeurope", wait=False)
    asking = {"state": "begun", "roles": ["pod_identity_cluster", "pod_identity_verify"]}
    tasks = [{"azureops.pod_identity.cluster_session": asking, "register": "pod_identity_session"}]
    mark = modules.mark()
    status, output = player.play(tasks, **CREATE)
    assert status == 0, output
    assert modules.requests(mark, path="listCluster") == []


def test_a_fetched_kubeconfig_is_proved_too(modules: Modules, azure: SimulatedAzure, player: Player) -> None:
    """Where its server is none of the cluster's names, it is asked for its nodes."""
    azure.cluster(name="demo")
    modules.hand_out("https://127.0.0.1:9", {"token": "t"})
    status, output = player.play([role("pod_identity_cluster", "connect")], **VARIABLES)
    assert (status, "The API server https://127.0.0.1:9 cannot be reached" in output) == (2, True), output


@pytest.mark.parametrize("entra", fixed([True, False], True))
def test_the_token_of_a_connection_is_renewed(
    modules: Modules, azure: SimulatedAzure, player: Player, entra: bool
) -> None:
    azure.cluster(name="demo", aadProfile={"managed": True} if entra else None)
    (cluster,) = modules.succeed("aks_cluster_info", resource_group="rg", name="demo")["clusters"]
    user = {"exec": {"command": "kubelogin", "args": []}} if entra else {"token": "t"}
    config = modules.hand_out(f"https://{cluster['fqdn']}:443", user)
    ended = {**config, "users": [{"name": "u", "user": {"token": "ended"}}]}
    path = "{{ pod_identity_session.connection.kubeconfig }}"
    tasks = [
        role("pod_identity_cluster", "connect"),
        {"ansible.builtin.copy": {"content": json.dumps(ended), "dest": path, "mode": "0600"}},
        role("pod_identity_cluster", "connect"),
        {"ansible.builtin.copy": {"src": path, "dest": str(player.directory / "kubeconfig"), "mode": "0600"}},
        role("pod_identity_cluster", "disconnect"),
    ]
    status, output = player.play(tasks, **VARIABLES)
    assert status == 0, output
    (left,) = yaml.safe_load((player.directory / "kubeconfig").read_text())["users"]
    assert (left["user"]["token"] == "ended") == (not entra)


def test_what_a_site_made_goes_and_what_stays_is_told(
    modules: Modules, azure: SimulatedAzure, player: Player, group: str
) -> None:
    modules.succeed("aks_cluster", resource_group=group, name="demo", location="westeurope", poll_interval=0.1)
    subscription = f"/subscriptions/{azure.subscription_id}"
    azure.group("elsewhere")
    for place, name in ((group, "billing"), (group, "foreign"), ("elsewhere", "shared")):
        azure.identity(name, place)
    roles = [{"role": "Reader"}, {"role": "Reader", "scope": f"{subscription}/resourceGroups/elsewhere"}]
    entries = [
        {"name": "billing", "selector": "billing", "roles": roles},
        {"name": "shared", "selector": "shared", "resource_group": "elsewhere"},
    ]
    variables = {**VARIABLES, "pod_identity_bindings_list": entries}
    mark = modules.mark()
    status, output = player.play(DESTROY, **variables)
    assert (status, "set pod_identity_cluster_confirm_absent=demo" in output) == (2, True), output
    for arguments in (["--check"], []):
        status, output = player.play(DESTROY, *arguments, **variables, **CONFIRMED)
        assert (status, "still holds 1 resource (foreign)" in output) == (2, True), output
        assert modules.writes(mark) == []
    modules.succeed("user_assigned_identity", resource_group=group, name="foreign", state="absent")
    for arguments, changes in ((["--check"], 2), ([], 2), ([], 0)):
        status, output = player.play(DESTROY, *arguments, **variables, **CONFIRMED)
        assert (status, f"changed={changes} " in output) == (0, True), output
        kept = output.partition("Tell what stays")[2]
        told = (r"identity +shared\b", r"role assignment +Reader of billing\b")
        assert all(re.search(each, kept) for each in told), output
    left = [each["name"] for each in azure.arm("GET", "/resourceGroups").json()["value"]]
    assert left == ["elsewhere"]
