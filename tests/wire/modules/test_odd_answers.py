# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Answers that are not those of ARM: nothing is removed, written or called done for one of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.tests.wire.modules.processes import Modules
from azsandbox.azure.arm import identities, scale_sets
from azsandbox.azure.loopback import SimulatedAzure

Options = dict[str, Any]

FAST: Options = {"poll_interval": 0.1}
IDENTITIES = "providers/Microsoft.ManagedIdentity/userAssignedIdentities"
ONE = f"/resourceGroups/rg/{IDENTITIES}/one"
DEMO = "/resourceGroups/rg/providers/Microsoft.ContainerService/managedClusters/demo"
CLUSTER: Options = {"resource_group": "rg", "cluster_name": "demo", **FAST}
HTML = {"Content-Type": "text/html"}
PAGE = "<!DOCTYPE html><html><body>Please log in</body></html>"
READER = "acdd72a7-3385-48ef-bd42-f606fba81ae7"


def error(code: str) -> Options:
    return {"error": {"code": code, "message": "It is said."}}


# Each stands for a kind of answer; ``{arm}`` is the address of ARM, ``{path}`` what was asked for.
ODD: dict[str, Options] = {
    "404 page": {"status": 404, "body": PAGE, "headers": HTML},
    "404 empty": {"status": 404, "body": ""},
    "404 of another service": {"status": 404, "body": {"error": "NotFound", "path": "/"}},
    "404 type": {"status": 404, "body": error("InvalidResourceType")},
    "404 subscription": {"status": 404, "body": error("SubscriptionNotFound")},
    "403 page": {"status": 403, "body": PAGE, "headers": HTML},
    "302": {"status": 302, "body": "", "headers": {"Location": "https://127.0.0.1:1/login"}},
    "200 page": {"status": 200, "body": PAGE, "headers": HTML},
    "200 page called JSON": {"status": 200, "body": PAGE},
    "200 empty": {"status": 200, "body": ""},
    "200 object": {"status": 200, "body": {}},
    "200 null": {"status": 200, "body": "null"},
    "200 value null": {"status": 200, "body": {"value": None}},
    "200 nameless": {"status": 200, "body": {"value": [{}]}},
    "200 cut": {"status": 200, "body": '{"value": [{"id": "/subscriptions/'},
    "200 bytes": {"status": 200, "body": "\udcff\udcfe", "headers": {"Content-Type": "text/plain"}},
    "204": {"status": 204, "body": ""},
    "circle": {"status": 200, "body": {"value": [], "nextLink": "{arm}{path}?api-version=2023-01-31&again=yes"}},
    "elsewhere": {"status": 200, "body": {"value": [], "nextLink": "https://127.0.0.2:1{path}"}},
}


class World:
    """What the tasks of the table find."""

    def __init__(self, azure: SimulatedAzure) -> None:
        self.azure = azure

    @property
    def group(self) -> str:
        return f"/subscriptions/{self.azure.subscription_id}/resourceGroups/rg"

    def identity(self, name: str = "one") -> str:
        self.azure.arm("PUT", "/resourceGroups/rg", {"location": "westeurope"}).raise_for_status()
        made = self.azure.arm("PUT", f"/resourceGroups/rg/{IDENTITIES}/{name}", {"location": "westeurope"})
        made.raise_for_status()
        return str(made.json()["id"])

    def cluster(self, **properties: Any) -> str:
        """The id of the scale set of its nodes."""
        self.azure.cluster(name="demo", **properties)
        return str(self.azure.first_instance()["id"]).partition("/virtualMachines/")[0]

    def attach(self, scale_set: str, name: str) -> str:
        """The id of a new identity that the scale set carries."""

        def make() -> str:
            state = self.azure.server.azure.state
            made = identities.create_identity(state, self.group, name, "westeurope", {}).id
            found = state.get(scale_set)
            assert found is not None
            scale_sets.change(state, found, attach=[made], detach=[])
            return str(made)

        return str(self.azure.in_loop(make))

    def assignment(self) -> str:
        """Somebody may read the group; the principal."""
        who = self.azure.principal("somebody").object_id
        path = f"{self.group}/providers/Microsoft.Authorization/roleAssignments/{READER}"
        role = f"/providers/Microsoft.Authorization/roleDefinitions/{READER}"
        body = {"properties": {"roleDefinitionId": role, "principalId": who, "principalType": "ServicePrincipal"}}
        self.azure.arm("PUT", path, body, version="2022-04-01").raise_for_status()
        return who


# what is there before each task; returns its options


def lone_identity(world: World) -> Options:
    world.identity()
    return {}


def identity_of_a_set(world: World) -> Options:
    """Azure's list of holders still has a scale set that does not carry it any more."""
    scale_set = world.cluster()
    world.identity()
    holders = {"status": 200, "body": {"value": [{"id": scale_set}]}, "count": 0}
    world.azure.control("POST", "/faults", {"method": "POST", "path": "listAssociatedResources", **holders})
    return {}


def leftover(world: World) -> Options:
    """A scale set carries an identity that is gone; what MIC left is told."""
    gone = world.attach(world.cluster(), "gone")
    world.azure.arm("DELETE", gone).raise_for_status()
    return {"known_identities": [{"id": gone, "source": "AzureIdentity team/x"}]}


def ghost(world: World) -> Options:
    """A scale set carries an identity that is gone, which nobody but the list of identities tells."""
    world.azure.arm("DELETE", world.attach(world.cluster(), "gone")).raise_for_status()
    return {}


def attached(world: World) -> Options:
    return {"identities": [world.attach(world.cluster(), "one")]}


def attached_by_id(world: World) -> Options:
    """Named by the scale set, so that its cluster is found by its resource group."""
    scale_set = world.cluster()
    return {"resource_id": scale_set, "identities": [world.attach(scale_set, "one")], **FAST}


def empty_group(world: World) -> Options:
    world.azure.arm("PUT", "/resourceGroups/rg", {"location": "westeurope"}).raise_for_status()
    return {}


def granted(world: World) -> Options:
    empty_group(world)
    return {"scope": world.group, "principal_id": world.assignment()}


def plain_cluster(world: World) -> Options:
    world.cluster()
    return {}


def entry_of_the_addon(world: World) -> Options:
    one = world.identity()
    entry = {"name": "web", "namespace": "shop", "identity": {"resourceId": one, "clientId": "c", "objectId": "o"}}
    world.cluster(podIdentityProfile={"enabled": True, "userAssignedIdentities": [entry]})
    return {}


def credential(world: World) -> Options:
    path = f"{world.identity()}/federatedIdentityCredentials/old"
    body = {"properties": {"issuer": "https://i.example/", "subject": "s", "audiences": ["a"]}}
    world.azure.arm("PUT", path, body).raise_for_status()
    return {}


def instance(world: World) -> Options:
    world.cluster()
    return {"instance": str(world.azure.first_instance()["id"]), **FAST}


@dataclass(frozen=True)
class Task:
    """A task that removes or changes something, and a request whose answer decides whether it does."""

    module: str
    options: Options
    arrange: Callable[[World], Options]
    path: str
    """A regular expression, as of a fault."""
    method: str = "GET"
    warns: bool = False
    """Whether the task leaves what the answer would decide as it is, with a warning, instead of failing."""


DELETE_IDENTITY: Options = {"resource_group": "rg", "name": "one", "only_unused": True, "state": "absent"}
DETACH: Options = {**CLUSTER, "state": "absent"}
CLEAN: Options = {**CLUSTER, "state": "clean"}
DELETE_GROUP: Options = {"name": "rg", "state": "absent", **FAST}
REVOKE: Options = {"role": "Reader", "state": "absent", **FAST}
ENTRY: Options = {**CLUSTER, "name": "web", "namespace": "shop", "state": "absent"}
TASKS: dict[str, Task] = {
    "identity": Task("user_assigned_identity", DELETE_IDENTITY, lone_identity, r"userAssignedIdentities/one\?"),
    "identity-holders": Task(
        "user_assigned_identity", DELETE_IDENTITY, lone_identity, "listAssociatedResources", "POST"
    ),
    "identity-credentials": Task(
        "user_assigned_identity", DELETE_IDENTITY, lone_identity, "federatedIdentityCredentials"
    ),
    "identity-holder": Task(
        "user_assigned_identity", DELETE_IDENTITY, identity_of_a_set, r"virtualMachineScaleSets/[^/]+\?"
    ),
    "identity-roles": Task("user_assigned_identity", DELETE_IDENTITY, lone_identity, "roleAssignments"),
    "clean-identities": Task("vmss_identity", CLEAN, ghost, r"userAssignedIdentities\?", warns=True),
    "clean-cluster": Task("vmss_identity", CLEAN, leftover, r"managedClusters/demo\?"),
    "clean-sets": Task("vmss_identity", CLEAN, leftover, r"virtualMachineScaleSets\?"),
    "clean-set": Task("vmss_identity", CLEAN, leftover, r"virtualMachineScaleSets/[^/]+\?"),
    "detach-cluster": Task("vmss_identity", DETACH, attached, r"managedClusters/demo\?"),
    "detach-machines": Task("vmss_identity", DETACH, attached, r"virtualMachines\?"),
    "detach-set": Task("vmss_identity", {"state": "absent"}, attached_by_id, r"virtualMachineScaleSets/[^/]+\?"),
    "detach-owner": Task("vmss_identity", {"state": "absent"}, attached_by_id, r"resourceGroups/MC_[^/]+\?"),
    "detach-unknown-owner": Task(
        "vmss_identity", {"state": "absent", "allow_unknown_owner": True}, attached_by_id, r"managedClusters/demo\?"
    ),
    "group": Task("resource_group", DELETE_GROUP, empty_group, r"resourcegroups/rg\?"),
    "group-resources": Task("resource_group", DELETE_GROUP, empty_group, r"resourcegroups/rg/resources\?"),
    "role": Task("role_assignment", REVOKE, granted, "roleAssignments"),
    "role-name": Task(
        "role_assignment", {"role": "Key Vault Secrets User", "state": "present", **FAST}, granted, "roleDefinitions"
    ),
    "roles-purge": Task(
        "role_assignment", {"roles": ["Network Contributor"], "state": "present", **FAST}, granted, "roleAssignments"
    ),
    "cluster": Task("aks_cluster", {"resource_group": "rg", "name": "demo", "state": "absent"}, plain_cluster, DEMO),
    "cluster-tags": Task(
        "aks_cluster", {"resource_group": "rg", "name": "demo", "tags": {"a": "b"}}, plain_cluster, DEMO
    ),
    "cluster-new": Task(
        "aks_cluster", {"resource_group": "rg", "name": "demo", "location": "westeurope"}, empty_group, DEMO
    ),
    "addon": Task("aks_pod_identity", ENTRY, entry_of_the_addon, DEMO),
    "addon-roles": Task("aks_pod_identity", {**ENTRY, "remove_roles": True}, entry_of_the_addon, "roleAssignments"),
    "credentials": Task(
        "federated_identity_credential",
        {"resource_group": "rg", "identity_name": "one", "name": "old", "state": "absent", **FAST},
        credential,
        "federatedIdentityCredentials",
    ),
    "reimage": Task("vmss_instance_reimage", {}, instance, r"virtualMachines/0\?"),
}


@pytest.mark.soak
@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("name", TASKS)
def test_no_write_follows_an_odd_answer(modules: Modules, azure: SimulatedAzure, name: str, odd: str) -> None:
    task = TASKS[name]
    options = {**task.options, **task.arrange(World(azure))}
    mark = modules.mark()
    modules.fault(task.method, task.path, **answer(azure, task, odd), count=0)
    result = modules.succeed(task.module, **options) if task.warns else modules.fail(task.module, **options)
    (rule,) = [one for one in azure.control("GET", "/faults") if one["path"] == task.path]
    assert rule["hits"] >= 1
    assert modules.writes(mark) == []
    told = [each["event"]["msg"] for each in result["warnings"]] if task.warns else [result["msg"]]
    assert told
    assert not [sentence for sentence in told if "defect" in sentence]
    assert not result.get("changed")
    assert len(modules.requests(mark)) < 40


@pytest.mark.soak
@pytest.mark.parametrize("name", TASKS)
def test_a_write_follows_the_right_answer(modules: Modules, azure: SimulatedAzure, name: str) -> None:
    """So that the table above can fail: the same task, and nothing odd."""
    task = TASKS[name]
    options = {**task.options, **task.arrange(World(azure))}
    mark = modules.mark()
    assert modules.succeed(task.module, **options)["changed"]
    assert modules.writes(mark)


def answer(azure: SimulatedAzure, task: Task | Reading, odd: str) -> Options:
    rule = {**ODD[odd]}
    if isinstance(rule["body"], dict) and rule["body"].get("nextLink"):
        path = f"/subscriptions/{azure.subscription_id}/x/{plain(task.path)}"
        link = rule["body"]["nextLink"].replace("{arm}", azure.endpoints.arm).replace("{path}", path)
        rule["body"] = {**rule["body"], "nextLink": link}
    return rule


def plain(pattern: str) -> str:
    """Some path that a regular expression of the table matches."""
    return pattern.replace(r"\?", "").replace("[^/]+", "x").removeprefix("/")


@dataclass(frozen=True)
class Reading:
    """A task that only looks, and what it looks for."""

    module: str
    options: Options
    arrange: Callable[[World], Options]
    path: str
    result: str
    method: str = "GET"


USERS: Options = {"resource_group": "rg", "name": "one", "check_users": True}
READINGS: dict[str, Reading] = {
    "addon": Reading("aks_pod_identity_info", CLUSTER, entry_of_the_addon, DEMO, "addons"),
    "addon-settled": Reading("aks_pod_identity_info", {**CLUSTER, "wait": True}, entry_of_the_addon, DEMO, "addons"),
    "group": Reading("resource_group_info", {"name": "rg"}, empty_group, r"resourcegroups/rg\?", "groups"),
    "group-resources": Reading(
        "resource_group_info", {"name": "rg", "list_resources": True}, empty_group, r"rg/resources\?", "groups"
    ),
    "roles": Reading("role_assignment_info", {}, granted, "roleAssignments", "assignments"),
    "role-name": Reading(
        "role_assignment_info", {"roles": ["Key Vault Secrets User"]}, granted, "roleDefinitions", "missing"
    ),
    "identity": Reading(
        "user_assigned_identity_info",
        {"resource_group": "rg", "name": "one"},
        lone_identity,
        r"userAssignedIdentities/one\?",
        "identities",
    ),
    "identities": Reading(
        "user_assigned_identity_info",
        {"resource_group": "rg"},
        lone_identity,
        r"userAssignedIdentities\?",
        "identities",
    ),
    "identity-holders": Reading(
        "user_assigned_identity_info", USERS, lone_identity, "listAssociatedResources", "identities", "POST"
    ),
    "identity-credentials": Reading(
        "user_assigned_identity_info", USERS, lone_identity, "federatedIdentityCredentials", "identities"
    ),
    "identity-roles": Reading("user_assigned_identity_info", USERS, lone_identity, "roleAssignments", "identities"),
}


@pytest.mark.soak
@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("name", READINGS)
def test_an_odd_answer_does_not_tell_that_nothing_is_there(
    modules: Modules, azure: SimulatedAzure, name: str, odd: str
) -> None:
    task = READINGS[name]
    options = {**task.options, **task.arrange(World(azure))}
    mark = modules.mark()
    modules.fault(task.method, task.path, **answer(azure, task, odd), count=0)
    failed = modules.fail(task.module, **options)
    assert task.result not in failed
    assert "defect" not in failed["msg"]
    assert len(modules.requests(mark)) < 40
    azure.control("DELETE", "/faults")
    assert modules.succeed(task.module, **options)[task.result]


DELETIONS: dict[str, tuple[str, Options, Callable[[World], Options], str]] = {
    "identity": ("user_assigned_identity", DELETE_IDENTITY, lone_identity, "userAssignedIdentities/one"),
    "group": ("resource_group", DELETE_GROUP, empty_group, "/resourcegroups/rg"),
    "cluster": ("aks_cluster", TASKS["cluster"].options, plain_cluster, "managedClusters/demo"),
    "role": ("role_assignment", REVOKE, granted, "roleAssignments/"),
    "credential": ("federated_identity_credential", TASKS["credentials"].options, credential, "Credentials/old"),
}


@pytest.mark.soak
@pytest.mark.parametrize("odd", [name for name in ODD if name.startswith(("404", "403", "302", "200 page", "200 cut"))])
@pytest.mark.parametrize("name", DELETIONS)
def test_a_deletion_that_arm_did_not_answer_is_not_done(
    modules: Modules, azure: SimulatedAzure, name: str, odd: str
) -> None:
    module, desired, arrange, path = DELETIONS[name]
    options = {**desired, **arrange(World(azure))}
    modules.fault("DELETE", path, **ODD[odd], count=0)
    assert "state" not in modules.fail(module, **options)
    azure.control("DELETE", "/faults")
    assert modules.succeed(module, **options)["changed"]  # it is still there


def test_a_page_in_the_place_of_a_write_is_no_missing_identity(modules: Modules, azure: SimulatedAzure) -> None:
    World(azure).identity()
    modules.fault("PUT", "Credentials/new", **ODD["404 page"], count=0)
    trust = {"name": "new", "issuer": "https://i.example/", "subject": "s"}
    failed = modules.fail("federated_identity_credential", resource_group="rg", identity_name="one", **trust)
    assert "has status 404 and is not in the form of Azure's, so a proxy, a gateway or another" in failed["msg"]


@pytest.mark.parametrize(
    ("header", "module", "options", "arrange", "method", "path", "status"),
    [
        ("Azure-AsyncOperation", "aks_cluster", TASKS["cluster-tags"].options, plain_cluster, "PUT", DEMO, 200),
        ("Location", "resource_group", DELETE_GROUP, empty_group, "DELETE", "/resourcegroups/rg", 202),
    ],
)
def test_the_token_goes_nowhere_else(
    modules: Modules,
    azure: SimulatedAzure,
    header: str,
    module: str,
    options: Options,
    arrange: Callable[[World], Options],
    method: str,
    path: str,
    status: int,
) -> None:
    arrange(World(azure))
    body = azure.arm("GET", path).json() if status == 200 else ""
    elsewhere = f"{azure.endpoints.graph}/operations/1"
    mark = modules.mark()
    modules.fault(method, path, status=status, body=body, headers={header: f"{elsewhere}?s=signature"})
    failed = modules.fail(module, **options)
    assert f"the answer refers to '{elsewhere}', which is not the Azure Resource Manager at 127.0.0.1" in failed["msg"]
    assert "signature" not in failed["msg"]
    assert [entry for entry in modules.requests(mark) if "/operations/1" in entry["path"]] == []


def test_the_next_page_is_asked_of_arm_only(modules: Modules, azure: SimulatedAzure, group: str) -> None:
    mark = modules.mark()
    body = {"value": [], "nextLink": f"{azure.endpoints.graph}/page2"}
    modules.fault("GET", "managedClusters", status=200, body=body)
    failed = modules.fail("aks_cluster_info", resource_group=group)
    assert f"the answer refers to '{azure.endpoints.graph}/page2', which is not the Azure" in failed["msg"]
    assert [entry for entry in modules.requests(mark) if "page2" in entry["path"]] == []


def test_what_comes_twice_counts_once(modules: Modules, azure: SimulatedAzure) -> None:
    world = World(azure)
    credential(world)
    path = f"{world.group}/{IDENTITIES}/one/federatedIdentityCredentials"
    found = azure.arm("GET", path).json()["value"]
    again = [{**one, "id": one["id"].upper()} for one in found]
    following = f"{azure.endpoints.arm}{path}?api-version=2023-01-31&page=2"
    modules.fault("GET", r"Credentials\?api-version=[0-9-]+$", status=200, body={"value": found, "nextLink": following})
    modules.fault("GET", "page=2", status=200, body={"value": again})
    seen = modules.succeed("federated_identity_credential_info", resource_group="rg", identity_name="one")
    (identity,) = seen["identities"]
    assert [one["name"] for one in identity["credentials"]] == ["old"]


@pytest.mark.parametrize("path", ["/oauth2/v2.0/token", "openid-configuration"])
@pytest.mark.parametrize("odd", ["404 page", "407 page", "200 page", "200 page called JSON", "200 empty", "200 object"])
def test_a_page_in_the_place_of_entra(modules: Modules, odd: str, path: str) -> None:
    """Nothing is printed to standard error either, which each run of a module here checks."""
    rule = {**ODD["404 page"], "status": 407} if odd == "407 page" else ODD[odd]
    modules.fault("", path, **rule, count=0)
    failed = modules.fail("aks_cluster_info", resource_group="rg")
    assert "no token was obtained, because" in failed["msg"]
    assert "answered instead of Entra; check " in failed["msg"]
    assert "Expecting value" not in failed["msg"]


def test_a_secret_is_not_sent_where_entra_redirects(modules: Modules, azure: SimulatedAzure) -> None:
    mark = modules.mark()
    modules.fault("POST", "/oauth2/", status=307, body="", headers={"Location": f"{azure.endpoints.graph}/token"})
    assert "answered instead of Entra" in modules.fail("aks_cluster_info", resource_group="rg")["msg"]
    assert [entry for entry in modules.requests(mark) if entry["path"].startswith("/token")] == []
