# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is asked for a whole run before its first write, as far as Azure decides: its objects are only files."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.tests.support.fixed import fixed
from ansible_collections.azureops.pod_identity.tests.support.modules import Modules
from ansible_collections.azureops.pod_identity.tests.support.players import Player
from azsandbox.azure.loopback import SimulatedAzure

COLLECTION = "azureops.pod_identity"
IDENTITIES = "providers/Microsoft.ManagedIdentity/userAssignedIdentities"
BINDINGS: list[dict[str, Any]] = [{"ansible.builtin.import_role": {"name": f"{COLLECTION}.pod_identity_bindings"}}]
DEMO: dict[str, Any] = {
    "pod_identity_cluster_name": "demo",
    "pod_identity_cluster_poll_interval": 1,
    "pod_identity_resource_group": "rg",
}
CREATE = {**DEMO, "pod_identity_cluster_create": True, "pod_identity_location": "westeurope"}
OPERATOR, READER = "f1a07417-d97a-45cb-824c-7a7467783830", "acdd72a7-3385-48ef-bd42-f606fba81ae7"


def imported(role: str, tasks: str) -> dict[str, Any]:
    name = f"{COLLECTION}.pod_identity_{role}"
    return {"ansible.builtin.import_role": {"name": name, "tasks_from": tasks, "rolespec_validate": False}}


def whole_run() -> list[dict[str, Any]]:
    """Cluster and bindings as playbooks/site.yml runs them."""
    session, register = f"{COLLECTION}.cluster_session", {"register": "pod_identity_session"}
    missing = {"name": f"{COLLECTION}.pod_identity_cluster", "tasks_from": "missing", "rolespec_validate": False}
    tasks = [
        {session: {"state": "begun", "roles": ["pod_identity_cluster", "pod_identity_bindings"]}, **register},
        {"ansible.builtin.include_role": missing},
        imported("bindings", "places"),
        imported("cluster", "work"),
        imported("bindings", "work"),
    ]
    return [{"block": tasks, "always": [{session: {"state": "absent"}, **register}]}]


@pytest.mark.soak
def test_what_nobody_can_grant_yet_is_listed(modules: Modules, azure: SimulatedAzure, tmp_path: Path) -> None:
    player = Player(tmp_path / "player", modules.environment)
    entry = {"name": "billing", "selector": "billing", "roles": [{"role": "Reader"}]}
    variables = {
        **CREATE,
        "pod_identity_manage_role_assignments": False,
        "pod_identity_bindings_render_dir": str(tmp_path / "objects"),
    }

    def play(entry: dict[str, Any], *arguments: str) -> tuple[int, str]:
        return player.play(whole_run(), *arguments, **variables, pod_identity_bindings_list=[entry])

    mark = modules.mark()
    status, output = play({**entry, "resource_group": "nowhere"}, "--check")
    assert (status, "The resource group nowhere of identities" in output) == (0, True), output
    status, output = play({**entry, "resource_group": "nowhere"})
    assert (status, "The resource group nowhere of identities" in output) == (2, True), output
    misspelled = {**entry, "subscription_id": azure.subscription_id, "roles": [{"role": "Readr"}]}
    status, output = play(misspelled)
    assert (status, "There is no role named 'Readr' at" in output) == (2, True), output
    assert modules.writes(mark) == []

    status, output = play(entry, "--check")
    assert (status, "The real run stops until these are granted" in output) == (0, True), output
    assert modules.writes(mark) == []
    group = f"/subscriptions/{azure.subscription_id}/resourceGroups/rg"
    identity = f"{group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/billing"
    nodes = '"$(az aks show --name demo --resource-group rg --query identityProfile.kubeletidentity.objectId -o tsv)"'
    operator, contributor = "Managed Identity Operator", "Virtual Machine Contributor"
    assert granting(output) == {
        (nodes, operator, "MC_rg_demo_westeurope"),
        (nodes, contributor, "MC_rg_demo_westeurope"),
        (nodes, operator, "billing"),
        (f'"$(az identity show --ids {identity} --query principalId -o tsv)"', "Reader", "rg"),
    }

    status, output = play(entry)
    refusal = output[output.rindex("role assignments are missing for cluster demo") :]
    (cluster,) = modules.succeed("aks_cluster_info", resource_group="rg", name="demo")["clusters"]
    kubelet = cluster["kubelet_identity"]["object_id"]
    lacking = {(kubelet, role, "MC_rg_demo_westeurope") for role in (operator, contributor)}
    assert (status, granting(refusal)) == (2, lacking)
    # The nodes are known now, the identity is not: what can be granted already stops check mode too.
    status, output = play(entry, "--check")
    refusal = output[output.rindex("role assignments are missing for cluster demo") :]
    assert (status, granting(refusal)) == (2, lacking)
    assert len(granting(output)) == 4

    # A role alone asks for itself.
    reader = azure.principal("reader", ("Reader", f"/subscriptions/{azure.subscription_id}"))
    player = Player(tmp_path / "reader", {**modules.environment, **modules.login(reader)})
    mark = modules.mark()
    status, output = player.play(BINDINGS, **variables, pod_identity_bindings_list=[entry])
    assert (status, "userAssignedIdentities/write at" in output) == (2, True), output
    assert modules.writes(mark) == []


def test_what_the_addon_cannot_do_is_refused_before_anything_is_made(
    modules: Modules, azure: SimulatedAzure, tmp_path: Path
) -> None:
    player = Player(tmp_path / "player", modules.environment)
    entries: list[dict[str, Any]] = [
        {"name": "secret", "selector": "a", "type": 1},
        {"name": "certificate", "selector": "b", "type": 2},
        {"name": "everywhere", "selector": "c", "behavior": "standard"},
    ]
    mark = modules.mark()
    status, output = player.play(whole_run(), **CREATE, pod_identity_mode="addon", pod_identity_bindings_list=entries)
    what = "entry secret is a service principal; entry certificate is a service principal; entry everywhere is for pods"
    sentence = f"cannot do this: {what}"
    assert (status, sentence in output) == (2, True), output
    assert modules.writes(mark) == []


def addon(modules: Modules, azure: SimulatedAzure, brought: bool) -> str:
    """The principal of a cluster with the add-on, whose API server nobody has started."""
    control = azure.identity("control")
    option = {"user_assigned_identity": control["id"]} if brought else {}
    own = {"resource_group": "rg", "poll_interval": 0.1}
    made = modules.succeed("aks_cluster", name="demo", location="westeurope", **own, **option)["state"]
    modules.succeed("aks_pod_identity", cluster_name="demo", enabled=True, **own)
    return str(control["properties"]["principalId"] if brought else made["identity"]["principal_id"])


@pytest.mark.parametrize("brought", fixed([False, True], True))
def test_what_the_addon_lacks_is_listed(modules: Modules, azure: SimulatedAzure, tmp_path: Path, brought: bool) -> None:
    principal = addon(modules, azure, brought)
    status, output = Player(tmp_path / "player", modules.environment).play(
        BINDINGS,
        *("--tags", "pod_identity_bindings_roles"),
        **DEMO,
        pod_identity_mode="addon",
        pod_identity_manage_role_assignments=False,
        pod_identity_bindings_list=[{"name": "billing", "selector": "billing"}],
    )
    assert (status, granting(output)) == (2, {(principal, "Managed Identity Operator", "billing")}), output


@pytest.mark.soak
def test_exceptions_of_the_addon(modules: Modules, azure: SimulatedAzure, tmp_path: Path) -> None:
    """They come, change and go with the entries, each time by one update of the cluster, and alone too."""
    addon(modules, azure, brought=False)
    agents, entry = {"name": "agents", "namespace": "default"}, {"name": "billing", "selector": "billing"}
    scope = f"/subscriptions/{azure.subscription_id}"
    reader = azure.principal("reader", ("Reader", scope), ("Azure Kubernetes Service Cluster User Role", scope))
    players = {
        name: Player(tmp_path / name, {**modules.environment, **login})
        for name, login in (("owner", {}), ("reader", modules.login(reader)))
    }

    def run(*arguments: str, who: str = "owner", **lists: Any) -> tuple[int, str]:
        return players[who].play(
            BINDINGS,
            *("--tags", "pod_identity_bindings_objects", *arguments),
            **DEMO,
            pod_identity_mode="addon",
            **{f"pod_identity_bindings_{name}": value for name, value in lists.items()},
        )

    def play(*arguments: str, **lists: Any) -> tuple[str, int, dict[str, Any]]:
        """How many tasks changed something, how often the cluster was updated, and the exceptions then."""
        mark = modules.mark()
        status, output = run(*arguments, **lists)
        assert status == 0, output
        updates = [each for each in modules.writes(mark) if each.lower().endswith("/managedclusters/demo")]
        live = modules.succeed("aks_pod_identity", resource_group="rg", cluster_name="demo")["state"]["exceptions"]
        labels = {f"{each['namespace']}/{each['name']}": each["pod_labels"] for each in live}
        return "".join(re.findall(r"changed=(\d+)", output)), len(updates), labels

    one, two = {"app": "agent"}, {"app": "agent", "team": "a"}
    app, both = ({"exceptions": [{**agents, "pod_labels": labels}]} for labels in (one, two))
    gone = {"exceptions": [{**agents, "state": "absent"}]}
    assert play("--check", **app) == ("1", 0, {})
    assert play(**app) == ("1", 1, {"default/agents": one})
    assert play(**app) == ("0", 0, {"default/agents": one})
    # The identity in Azure, and one update for its entry and the exception.
    assert play(**both, list=[entry]) == ("2", 1, {"default/agents": two})
    # Only where an exception changes is it asked who may change the cluster.
    status, output = run(**both, list=[entry], who="reader")
    assert (status, "changed=0 " in output) == (0, True), output
    for change in (app, gone):
        status, output = run(**change, list=[entry], who="reader")
        assert (status, "managedClusters/write at" in output) == (2, True), output
    assert play("--check", **gone, list=[entry]) == ("1", 0, {"default/agents": two})
    assert play(**gone, list=[entry]) == ("1", 1, {})
    assert play(**gone, list=[entry]) == ("0", 0, {})


@pytest.mark.soak
def test_identities_in_another_subscription(modules: Modules, azure: SimulatedAzure, tmp_path: Path) -> None:
    player = Player(tmp_path / "player", modules.environment)
    subscription = azure.subscription("identities")
    group = f"/subscriptions/{subscription}/resourceGroups/shared"
    azure.group(group, "eastus")
    place = {"subscription_id": subscription, "resource_group": "shared"}
    entry = {"name": "billing", "selector": "billing", **place, "roles": [{"role": "Reader"}]}
    variables = {
        **CREATE,
        "pod_identity_bindings_render_dir": str(tmp_path / "objects"),
    }

    def play() -> tuple[int, str]:
        return player.play(whole_run(), **variables, pod_identity_bindings_list=[entry])

    status, output = play()
    assert status == 0, output
    identity = azure.arm("GET", f"{group}/{IDENTITIES}/billing").json()
    written = (tmp_path / "objects/default-billing.yaml").read_text()
    assert identity["location"] == "eastus" and f"resourceID: {identity['id']}" in written
    (cluster,) = modules.succeed("aks_cluster_info", resource_group="rg", name="demo")["clusters"]
    (may_use,) = held(azure, identity["id"], cluster["kubelet_identity"]["object_id"])
    assert may_use == (identity["id"].lower(), OPERATOR)
    assert held(azure, group, identity["properties"]["principalId"]) == [(group.lower(), READER)]

    # Whoever may do everything where the cluster is, and only look where the identities are, is told so before.
    local = azure.principal("local", ("Owner", f"/subscriptions/{azure.subscription_id}"), ("Reader", group))
    player = Player(tmp_path / "local", {**modules.environment, **modules.login(local)})
    status, output = play()
    assert (status, "changed=0 " in output) == (0, True), output
    azure.arm("DELETE", identity["id"]).raise_for_status()
    mark = modules.mark()
    status, output = play()
    assert (status, f"userAssignedIdentities/write at {identity['id']}".lower() in output.lower()) == (2, True), output
    assert modules.writes(mark) == []


def held(azure: SimulatedAzure, scope: str, principal: str) -> list[tuple[str, str]]:
    """Scope (lower case) and GUID of the roles that a principal holds at a scope."""
    asked = {"$filter": f"assignedTo('{principal}')"}
    path = f"{scope}/providers/Microsoft.Authorization/roleAssignments"
    found = [each["properties"] for each in azure.arm("GET", path, params=asked, version="2022-04-01").json()["value"]]
    return [(each["scope"].lower(), each["roleDefinitionId"].rpartition("/")[2]) for each in found]


def granting(text: str) -> set[tuple[str, str, str]]:
    """Principal, role and end of the scope of each command in the output of a play."""
    flat = text.replace('\\"', '"')
    command = (
        r'az role assignment create --assignee-object-id ("\$\([^)]*\)"|\S+) .*?--role "([^"]*)" --scope "[^"]*/(.*?)"'
    )
    return set(re.findall(command, flat))
