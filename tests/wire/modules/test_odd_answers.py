# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Answers that are not those of ARM: nothing is removed, written or called done for one of them.

The matrix: each read of each scenario, taken from the log, and each odd answer. Reads before the first write have the
writes refused, so that a run leaves to the next what it has found; for reads behind it everything is made anew. So it
is for each write, which an odd answer does not let come true.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.tests.support import azure_changes as changes
from ansible_collections.azureops.pod_identity.tests.support import odd_answers
from ansible_collections.azureops.pod_identity.tests.support.azure_answers import DRAWN, ODD, OTHER, writes
from ansible_collections.azureops.pod_identity.tests.support.azure_changes import FAST, IDENTITIES, Options, World
from ansible_collections.azureops.pod_identity.tests.support.fixed import fixed, pairs
from ansible_collections.azureops.pod_identity.tests.support.modules import Modules
from ansible_collections.azureops.pod_identity.tests.support.odd_answers import Ended, Read, Tolerated
from azsandbox.azure.arm import identities, scale_sets
from azsandbox.azure.loopback import SimulatedAzure

ONE = f"/resourceGroups/rg/{IDENTITIES}/one"
DEMO = "/resourceGroups/rg/providers/Microsoft.ContainerService/managedClusters/demo"
CLUSTER: Options = {"resource_group": "rg", "cluster_name": "demo", **FAST}
READER, SECRETS_USER = "acdd72a7-3385-48ef-bd42-f606fba81ae7", "Key Vault Secrets User"


OF_WRITES: dict[str, Options] = {
    **{name: rule for name, rule in ODD.items() if "distort" not in rule and name not in ("elsewhere", "200 nameless")},
    "200 status": {"status": 200, "body": {"status": "ok"}},
    "200 other": {"status": 200, "body": {"id": OTHER, "name": "other", "properties": {}}},
    "202": {"status": 202, "body": ""},
}
"""What a write can get instead of being carried out."""
ANSWER_WITHIN = 2
"""Seconds until an answer that does not come is given up, where none comes."""
LONGEST = 40
"""Requests of a run; more are a circle."""
LOOKS_OF_A_SECOND = 10
"""At what is waited for, with FAST."""


def in_state(world: World, change: Callable[[Any], Any]) -> Any:
    return world.azure.in_loop(lambda: change(world.azure.server.azure.state))


def empty_group(world: World) -> Options:
    world.group("rg")
    return {}


def lone_identity(world: World) -> Options:
    world.group("rg")
    world.identity("one")
    return {}


def cluster(world: World, **properties: Any) -> str:
    """The id of the scale set of its nodes."""
    world.cluster(name="demo", **properties)
    return str(world.azure.first_instance()["id"]).partition("/virtualMachines/")[0]


def attach(world: World, scale_set: str, name: str) -> str:
    """The id of a new identity that the scale set carries."""

    def make(state: Any) -> str:
        made = identities.create_identity(state, f"{world.root}/resourceGroups/rg", name, "westeurope", {}).id
        scale_sets.change(state, state.get(scale_set), attach=[made], detach=[])
        return str(made)

    return str(in_state(world, make))


def assignment(world: World) -> str:
    """Somebody may read the group; the principal."""
    who = world.azure.principal("somebody").object_id
    world.azure.assign(f"{world.root}/resourceGroups/rg", READER, who, name=READER).raise_for_status()
    return who


def identity_of_a_set(world: World) -> Options:
    """Azure's list of holders still has a scale set that does not carry it any more."""
    scale_set = cluster(world)
    world.identity("one")
    holders = {"status": 200, "body": {"value": [{"id": scale_set}]}, "count": 0}
    world.azure.control("POST", "/faults", {"method": "POST", "path": "listAssociatedResources", **holders})
    return {}


def leftover(world: World) -> Options:
    """A scale set carries an identity that is gone; what MIC left is told."""
    gone = attach(world, cluster(world), "gone")
    world.azure.arm("DELETE", gone).raise_for_status()
    return {"known_identities": [{"id": gone, "source": "AzureIdentity team/x"}]}


def ghost(world: World) -> Options:
    """A scale set carries an identity that is gone, which nobody but the list of identities tells."""
    world.azure.arm("DELETE", attach(world, cluster(world), "gone")).raise_for_status()
    return {}


def attached(world: World) -> Options:
    return {"identities": [attach(world, cluster(world), "one")]}


def attached_by_id(world: World) -> Options:
    """Named by the scale set, so that its cluster is found by its resource group."""
    scale_set = cluster(world)
    return {"resource_id": scale_set, "identities": [attach(world, scale_set, "one")], **FAST}


def attached_to_two(world: World) -> Options:
    """To a machine beside the scale sets, too."""
    options = attached(world)
    world.azure.machine("MC_rg_demo_westeurope", "beside", identity={"type": "SystemAssigned"})
    return options


def granted(world: World) -> Options:
    empty_group(world)
    return {"scope": f"{world.root}/resourceGroups/rg", "principal_id": assignment(world)}


def assigned(world: World) -> Options:
    """By the module, so that it may take it back."""
    empty_group(world)
    scope = world.identity("billing")
    world.assigned(scope)
    return {"scope": scope}


def plain_cluster(world: World) -> Options:
    cluster(world)
    return {}


def open_cluster(world: World) -> Options:
    ranges = {"authorizedIPRanges": ["203.0.113.0/24", "198.51.100.0/24"]}
    cluster(world, apiServerAccessProfile=ranges)
    return {}


def entry_of_the_addon(world: World) -> Options:
    world.group("rg")
    one = world.identity("one")
    entry = {"name": "web", "namespace": "shop", "identity": {"resourceId": one, "clientId": "c", "objectId": "o"}}
    exception = {"name": "agent", "namespace": "shop", "podLabels": {"app": "agent"}}
    profile = {"enabled": True, "userAssignedIdentities": [entry], "userAssignedIdentityExceptions": [exception]}
    cluster(world, podIdentityProfile=profile)
    return {}


def assigned_entry(world: World) -> Options:
    """That of `entry_of_the_addon` is Failed, because nobody gave the cluster the role."""
    cluster(world)
    entry = {"name": "web", "namespace": "shop", "identity": world.identity("one")}
    exception = {"name": "agent", "namespace": "shop", "pod_labels": {"app": "agent"}}
    world.modules.succeed("aks_pod_identity", **CLUSTER, **entry, exception=exception, enabled=True)
    return {}


def credential(world: World) -> Options:
    lone_identity(world)
    path = f"{ONE}/federatedIdentityCredentials/old"
    body = {"properties": {"issuer": "https://i.example/", "subject": "s", "audiences": ["a"]}}
    world.azure.arm("PUT", path, body).raise_for_status()
    return {}


def credential_and_issuer(world: World) -> Options:
    credential(world)
    cluster(world, oidcIssuerProfile={"enabled": True})
    return {}


def application(world: World) -> Options:
    """One whose federated credentials the caller may change."""
    trust = {"name": "old", "issuer": "https://i.example/", "subject": "s", "audiences": ["a"]}
    caller = world.azure.owner.client_id
    in_state(world, lambda state: state.principal_by_app(caller).graph.append("Application.ReadWrite.All"))
    return {"app_id": world.azure.principal("billing", federated=[trust]).client_id}


def instance(world: World) -> Options:
    cluster(world)
    found = world.azure.first_instance()
    return {
        "instance": str(found["id"]),
        "node": str(found["properties"]["osProfile"]["computerName"]),
        "node_resource_group": f"{world.root}/resourceGroups/MC_rg_demo_westeurope",
    }


def nobody(world: World) -> Options:
    """Who may read, and nothing else."""
    empty_group(world)
    who = world.somebody([])
    login = {"tenant": world.azure.tenant_id, "client_id": who.client_id, "secret": who.secret}
    scope = f"{world.root}/resourceGroups/rg"
    return {**login, "needs": [{"scope": scope, "actions": ["Microsoft.Authorization/locks/write"]}]}


@dataclass(frozen=True)
class Scenario:
    """A task that removes or changes something, or tells what is there."""

    module: str
    options: Options
    prepare: Callable[[World], Options | None]
    tells: str = ""
    """The key of its result, where it only looks."""
    file: bool = False
    """Whether what it writes is a file, at its option `path`."""


DELETE_IDENTITY: Options = {"resource_group": "rg", "name": "one", "only_unused": True, "state": "absent"}
DETACH: Options = {**CLUSTER, "state": "absent"}
CLEAN: Options = {**CLUSTER, "state": "clean"}
DELETE_GROUP: Options = {"name": "rg", "state": "absent", **FAST}
REVOKE: Options = {"role": "Reader", "state": "absent", **FAST}
AKS: Options = {"resource_group": "rg", "name": "demo", **FAST}
CREDENTIAL: Options = {"resource_group": "rg", "identity_name": "one", **FAST}
TRUST: Options = {"name": "new", "namespace": "shop", "service_account": "web"}
USERS: Options = {"resource_group": "rg", "name": "one", "check_users": True}
KUBECONFIG: Options = {"resource_group": "rg", "cluster_name": "demo"}
FURTHER: dict[str, Scenario] = {
    "identity-of-a-set": Scenario("user_assigned_identity", DELETE_IDENTITY, identity_of_a_set),
    "identity-gone-used": Scenario("user_assigned_identity", {**DELETE_IDENTITY, "only_unused": False}, credential),
    "clean-leftover": Scenario("vmss_identity", CLEAN, leftover),
    "clean-ghost": Scenario("vmss_identity", CLEAN, ghost),
    "detach": Scenario("vmss_identity", DETACH, attached),
    "detach-beside": Scenario("vmss_identity", DETACH, attached_to_two),
    "detach-by-id": Scenario("vmss_identity", {"state": "absent"}, attached_by_id),
    "detach-unknown-owner": Scenario("vmss_identity", {"state": "absent", "allow_unknown_owner": True}, attached_by_id),
    "group-not-empty": Scenario("resource_group", {**DELETE_GROUP, "force_delete_nonempty": True}, lone_identity),
    "role-revoked": Scenario("role_assignment", REVOKE, granted),
    "role-by-name": Scenario("role_assignment", {"role": SECRETS_USER, "state": "present", **FAST}, granted),
    "roles-by-name": Scenario("role_assignment", {"roles": ["Network Contributor"], **FAST}, granted),
    "roles-emptied": Scenario(
        "role_assignment",
        {"roles": [], "purge_roles": True, "purge_allow_empty": True, "principal_id": changes.SOMEBODY, **FAST},
        assigned,
    ),
    "cluster-ranges": Scenario(
        "aks_cluster",
        {**AKS, "authorized_ip_ranges": ["203.0.113.0/24"], "purge_authorized_ip_ranges": True},
        open_cluster,
    ),
    "addon-off": Scenario("aks_pod_identity", {**CLUSTER, "enabled": False, "purge_allow_empty": True}, assigned_entry),
    "addon-entries": Scenario(
        "aks_pod_identity",
        {**CLUSTER, "identities": [], "purge_identities": True, "purge_allow_empty": True, "remove_roles": True},
        assigned_entry,
    ),
    "addon-exceptions": Scenario(
        "aks_pod_identity",
        {**CLUSTER, "exceptions": [], "purge_exceptions": True, "purge_allow_empty": True},
        assigned_entry,
    ),
    "addon-recreated": Scenario(
        "aks_pod_identity",
        {**CLUSTER, "name": "web", "namespace": "shop", "state": "absent", "recreate_identity": True},
        entry_of_the_addon,
    ),
    "credentials-purged": Scenario(
        "federated_identity_credential",
        {**CREDENTIAL, "credentials": [], "purge_credentials": True, "purge_allow_empty": True},
        credential,
    ),
    "credential-of-a-cluster": Scenario(
        "federated_identity_credential",
        {**CREDENTIAL, **TRUST, "cluster_resource_group": "rg", "cluster_name": "demo"},
        credential_and_issuer,
    ),
    "application-trusts": Scenario(
        "application_federated_credential", {**TRUST, "issuer": "https://i.example/", **FAST}, application
    ),
    "application-purged": Scenario(
        "application_federated_credential",
        {"credentials": [], "purge_credentials": True, "purge_allow_empty": True, **FAST},
        application,
    ),
    "application-gone": Scenario(
        "application_federated_credential", {"name": "old", "state": "absent", **FAST}, application
    ),
    "reimage-of-a-node": Scenario("vmss_instance_reimage", FAST, instance),
    "kubeconfig": Scenario("aks_kubeconfig", KUBECONFIG, plain_cluster, file=True),
    "kubeconfig-of-admins": Scenario(
        "aks_kubeconfig", {**KUBECONFIG, "credentials": "admin", "force": True}, plain_cluster, file=True
    ),
}
LOOKS: dict[str, Scenario] = {
    "cluster": Scenario("aks_cluster_info", {"resource_group": "rg", "name": "demo"}, plain_cluster, "clusters"),
    "clusters": Scenario("aks_cluster_info", {"resource_group": "rg"}, plain_cluster, "clusters"),
    "addon": Scenario("aks_pod_identity_info", CLUSTER, entry_of_the_addon, "addons"),
    "addon-settled": Scenario("aks_pod_identity_info", {**CLUSTER, "wait": True}, entry_of_the_addon, "addons"),
    "group": Scenario("resource_group_info", {"name": "rg"}, empty_group, "groups"),
    "group-resources": Scenario("resource_group_info", {"name": "rg", "list_resources": True}, lone_identity, "groups"),
    "roles": Scenario("role_assignment_info", {}, granted, "assignments"),
    "roles-by-name": Scenario("role_assignment_info", {"roles": [SECRETS_USER]}, granted, "missing"),
    "identity": Scenario(
        "user_assigned_identity_info", {"resource_group": "rg", "name": "one"}, lone_identity, "identities"
    ),
    "identities": Scenario("user_assigned_identity_info", {"resource_group": "rg"}, lone_identity, "identities"),
    "identity-users": Scenario("user_assigned_identity_info", USERS, lone_identity, "identities"),
    "identity-users-set": Scenario("user_assigned_identity_info", USERS, identity_of_a_set, "identities"),
    "carriers": Scenario("vmss_identity_info", {**KUBECONFIG, "check_existence": True}, attached, "resources"),
    "carriers-ghost": Scenario("vmss_identity_info", {**KUBECONFIG, "check_existence": True}, ghost, "resources"),
    "carriers-by-id": Scenario("vmss_identity_info", {}, lambda world: {"resource_id": cluster(world)}, "resources"),
    "credentials": Scenario(
        "federated_identity_credential_info", {"resource_group": "rg", "identity_name": "one"}, credential, "identities"
    ),
    "credentials-of-a-group": Scenario(
        "federated_identity_credential_info",
        {"resource_group": "rg", "cluster_resource_group": "rg", "cluster_name": "demo"},
        credential_and_issuer,
        "identities",
    ),
    "permissions": Scenario("permission_info", {}, nobody, "missing"),
}
SCENARIOS: dict[str, Scenario] = {
    **{name: Scenario(case.module, case.options, case.prepare) for name, case in changes.CASES.items()},
    **FURTHER,
    **{f"look {name}": scenario for name, scenario in LOOKS.items()},
}
WRITING = [name for name, each in SCENARIOS.items() if not each.tells and not each.file]
ELSEWHERE = {
    "aks_node_info": "it needs an API server, too: tests/kube/test_odd_answers.py",
    "pod_identity_diagnosis_info": "what it could not read is a result of its own: test_diagnosis.py",
    "workload_identity_info": "what it could not read is a result of its own: test_migration.py",
    "federated_identity_exchange_info": "it needs an API server, too: test_federated_identity_exchange_info.py",
}
"""Modules that ask Azure and are not among the scenarios here."""
TOLERATED: tuple[Tolerated, ...] = (
    Tolerated(
        "user_assigned_identity_info",
        "listAssociatedResources$",
        "an identity can be attached to a resource of any type",
        goes_on=True,
        answers="200 other list",
    ),
    Tolerated(
        "resource_group_info",
        "/rg/resources$",
        "resources of any type are in a group",
        goes_on=True,
        answers="200 other list",
    ),
    Tolerated(
        "aks_kubeconfig",
        r"managedClusters/demo$",
        "it tells whether the cluster is stopped, for a warning; the kubeconfig is read by itself",
        goes_on=True,
    ),
    Tolerated(
        "vmss_identity",
        r"mc_rg_demo_westeurope/.*/userAssignedIdentities$",
        "each identity is judged by the list of its own group, and that of others stays and is warned of",
        goes_on=True,
        scenario="clean-.*",
    ),
    Tolerated(
        "vmss_identity",
        r"(?i)/rg/.*/userAssignedIdentities(/gone)?$",
        "an identity of which nobody else tells that pod identity attached it stays, and is warned of",
        scenario="clean-ghost",
    ),
    Tolerated(
        "vmss_identity",
        r"/rg/.*/userAssignedIdentities$",
        "a source tells that pod identity attached it, whether it still exists or not",
        goes_on=True,
        scenario="clean-leftover",
    ),
    Tolerated(
        "vmss_identity_info",
        r"(?i)userAssignedIdentities(/gone)?$",
        "it is told with what could not be read, and whether they exist is told of none in it",
        goes_on=True,
        unread=".",
    ),
)


READS_BEHIND = (
    *("group-gone", "group-not-empty", "role", "role-by-name", "roles-by-name", "roles-purged", "cluster"),
    *("cluster-linked", "cluster-changed", "cluster-linked-changed", "cluster-gone", "cluster-ranges", "attached"),
    *("detached", "detach", "detach-beside", "detach-by-id", "detach-unknown-owner", "clean-leftover", "clean-ghost"),
    *("reimaged", "reimage-of-a-node", "addon", "addon-entry", "addon-entry-gone", "addon-of-linked", "addon-off"),
    *("addon-entries", "addon-exceptions", "addon-recreated"),
)
"""The scenarios that read behind their first write."""
TOLERATED_BEHIND: tuple[Tolerated, ...] = (
    Tolerated(
        "resource_group",
        "/operationresults/",
        "so Azure itself says that a deletion has ended",
        goes_on=True,
        answers="200 empty|204",
    ),
)
"""Where an odd answer behind a write does not end a module, and why."""
ALREADY_GONE = "so Azure itself says that something is gone"
TOLERATED_WRITES: tuple[Tolerated, ...] = (
    Tolerated("user_assigned_identity", "^DELETE ", ALREADY_GONE, answers="200 empty|204"),
    Tolerated("federated_identity_credential", "^DELETE ", ALREADY_GONE, answers="200 empty|204"),
    Tolerated("role_assignment", "^DELETE ", ALREADY_GONE, answers="204"),
    Tolerated("aks_pod_identity", "^DELETE .*roleAssignments", ALREADY_GONE, answers="204"),
    Tolerated(
        "aks_pod_identity", "^DELETE .*userAssignedIdentities/[^/ ]+($| )", ALREADY_GONE, answers="200 empty|204"
    ),
    Tolerated("vmss_instance_reimage", "^POST ", "so Azure itself says that a reimage is done", answers="200 empty"),
    Tolerated("application_federated_credential", "^DELETE ", ALREADY_GONE, answers="204"),
    Tolerated("application_federated_credential", "^PATCH ", "so Graph itself says that one is changed", answers="204"),
)


@dataclass(frozen=True)
class Place:
    """Where a scenario is played, and where it is told how often it ended how."""

    modules: Modules
    azure: SimulatedAzure
    folder: Path
    record: Callable[[str, object], None]

    def tell(self, what: str, counted: Counter[str]) -> None:
        for kind, number in counted.items():
            self.record(f"{what} {kind}", number)


@pytest.fixture
def place(
    modules: Modules, azure: SimulatedAzure, tmp_path: Path, record_property: Callable[[str, object], None]
) -> Place:
    return Place(modules, azure, tmp_path, record_property)


class Matrix:
    """One scenario, against one simulated Azure."""

    def __init__(self, place: Place, name: str, *, lets_write: bool = False) -> None:
        self.modules, self.azure, self.scenario = place.modules, place.azure, SCENARIOS[name]
        self.file = place.folder / "written"
        self.options = {**self.scenario.options, **(self.scenario.prepare(World(self.azure, self.modules)) or {})}
        if self.scenario.file:
            self.options["path"] = str(self.file)
        if self.takes("wait_timeout"):
            self.options["wait_timeout"] = 4 * ANSWER_WITHIN
        self.longest = LONGEST
        if lets_write:
            self.longest += 4 * ANSWER_WITHIN * LOOKS_OF_A_SECOND
        else:
            self.modules.refuse_writes()
        known = ("id", "written", "seen", "hits")
        rules = self.azure.control("GET", "/faults")
        self.standing = [{key: value for key, value in rule.items() if key not in known} for rule in rules]

    def takes(self, option: str) -> bool:
        text = (odd_answers.MODULES / f"{self.scenario.module}.py").read_text()
        return f"pod_identity._azure_{option.partition('_')[0]}\n" in text

    def run(self, read: Read | None = None, odd: str = "") -> tuple[Ended, list[Read]]:
        """How it ended, with this answer to the read whenever it is asked for, and what it had read."""
        rule = self.answer(read, odd) if read else ""
        mark, before = self.modules.mark(), self.content()
        within = {"ANSWER_WITHIN": str(ANSWER_WITHIN)} if odd == "hang" else {}
        result = self.modules(self.scenario.module, **self.options, environment=within)
        hosts = [self.azure.endpoints.host(name) for name in ("arm", "graph")]
        log = [entry for entry in self.modules.requests(mark) if entry["host"] in hosts]
        assert len(log) < self.longest, f"it goes on and on: {log[-1]}"
        log = [entry for entry in log if entry["path"].startswith(("/subscriptions", "/v1.0/"))]
        asked = [(entry["method"], self.without_drawn(entry["path"])) for entry in log]
        hit = next((place for place, entry in enumerate(log) if rule and entry["fault"] == rule), None)
        assert hit is not None or not rule, f"not asked again: {read}"
        again = read and (read.method, read.path)  # where that is a write which is sent once more
        behind = [each for each in asked[hit or 0 :] if writes(*each) and each != again]
        wrote = [f"{method} {path}" for method, path in behind]
        if self.content() != before:
            wrote.append(f"write {self.file}")
        told = result.get(self.scenario.tells) if self.scenario.tells else None
        found = odd_answers.reads((*each, writes(*each)) for each in asked)
        return Ended(result, wrote, str(told or "")), found

    def without_drawn(self, path: str) -> str:
        """The same where everything is made again."""
        own = self.azure.subscription_id
        return DRAWN.sub(lambda found: found[0] if found[0].lower() == own else "DRAWN", path)

    def content(self) -> str:
        return hashlib.sha256(self.file.read_bytes()).hexdigest() if self.file.exists() else ""

    def answer(self, read: Read, odd: str) -> str:
        """Give this answer to the read, and whenever it is asked for again; the id of the rule."""
        path = re.escape(read.path).replace("DRAWN", f"(?:{DRAWN.pattern})") + r"(\?|$)"
        place = {"behind": read.behind, "nth": read.nth}
        rule = {"method": read.method, "path": path, **{**ODD, **OF_WRITES}[odd], **place, "count": 0}
        self.azure.control("DELETE", "/faults")
        made, *_others = [self.azure.control("POST", "/faults", each) for each in (rule, *self.standing)]
        return str(made["id"])


def one_of_each(names: Iterable[str]) -> list[str]:
    """One scenario for each module that changes something, and for each that tells it."""
    found = {(SCENARIOS[name].module, bool(SCENARIOS[name].tells)): name for name in names}
    return list(found.values())


@pytest.mark.parametrize(("name", "odd"), pairs(list(SCENARIOS), list(ODD), one_of_each(SCENARIOS)))
def test_nothing_follows_an_odd_answer(place: Place, name: str, odd: str) -> None:
    """To each read in turn. Without one the task writes, or tells something."""
    matrix = Matrix(place, name)
    scenario = matrix.scenario
    ended, log = matrix.run()
    found = odd_answers.before_writes(log)
    matrix.file.unlink(missing_ok=True)
    assert found, "nothing is read"
    assert ended.told if scenario.tells else ended.wrote, ended.result
    counted: Counter[str] = Counter()
    for read in found:
        exception = odd_answers.tolerated(TOLERATED, scenario.module, name, read, odd)
        ended, _reads = matrix.run(read, odd)
        matrix.file.unlink(missing_ok=True)
        with odd_answers.naming(f"{read}, number {read.nth}"):
            counted[odd_answers.judge(ended, exception, scenario.tells)] += 1
    place.tell("odd answers", counted)


def outcomes_behind(
    place: Place, name: str, found: Sequence[Read], odd: str, several: Sequence[Tolerated]
) -> Counter[str]:
    """How runs that may write end, in each of which one of these requests gets the odd answer."""
    counted: Counter[str] = Counter()
    for each in found:
        place.azure.control("POST", "/reset")
        ended, _reads = Matrix(place, name, lets_write=True).run(each, odd)
        exception = odd_answers.tolerated(several, SCENARIOS[name].module, name, each, odd)
        with odd_answers.naming(str(each)):
            counted[odd_answers.judge_behind(ended, exception)] += 1
    return counted


@pytest.mark.parametrize(
    ("name", "odd"),
    # A run takes many seconds; the classes are those of the tests above.
    fixed([(name, odd) for name in READS_BEHIND for odd in ODD], *zip(one_of_each(READS_BEHIND), ODD, strict=False)),
)
def test_an_odd_answer_behind_a_write_ends_the_run(place: Place, name: str, odd: str) -> None:
    """To each read in turn, whenever it is asked for again. What was written stays."""
    true, log = Matrix(place, name, lets_write=True).run()
    assert not true.result.get("failed"), true.result
    found = odd_answers.behind_writes(log)
    assert found, "nothing is read"
    place.tell("odd answers", outcomes_behind(place, name, found, odd, TOLERATED_BEHIND))


@pytest.mark.parametrize(
    ("name", "odd"),
    pairs(WRITING, list(OF_WRITES), one_of_each(WRITING)),
)
def test_no_write_is_done_for_an_odd_answer(place: Place, name: str, odd: str) -> None:
    """Each write in turn, which is not carried out, whenever it is sent again."""
    true, _reads = Matrix(place, name, lets_write=True).run()
    assert true.wrote and not true.result.get("failed"), true.result
    found = odd_answers.writes(true)
    place.tell("odd answers to writes", outcomes_behind(place, name, found, odd, TOLERATED_WRITES))


@pytest.mark.soak
@pytest.mark.parametrize(
    "name", [name for name, each in SCENARIOS.items() if not each.tells and name not in READS_BEHIND]
)
def test_what_reads_behind_its_first_write_is_listed(place: Place, name: str) -> None:
    ended, log = Matrix(place, name, lets_write=True).run()
    assert not ended.result.get("failed"), ended.result
    assert odd_answers.behind_writes(log) == []


def test_each_module_has_a_scenario() -> None:
    asking = odd_answers.asking_modules("_azure_auth")
    assert set(asking) - {each.module for each in SCENARIOS.values()} == set(ELSEWHERE)
    changing = {each.module for each in SCENARIOS.values() if not each.tells}
    assert {name for name in asking if asking[name]} <= changing
    assert set(odd_answers.CLASSES) <= set(ODD)


DELETIONS: dict[str, tuple[str, Options, Callable[[World], Options], str]] = {
    "identity": ("user_assigned_identity", DELETE_IDENTITY, lone_identity, "userAssignedIdentities/one"),
    "group": ("resource_group", DELETE_GROUP, empty_group, "/resourcegroups/rg"),
    "cluster": ("aks_cluster", {**AKS, "state": "absent"}, plain_cluster, "managedClusters/demo"),
    "role": ("role_assignment", REVOKE, granted, "roleAssignments/"),
    "credential": (
        "federated_identity_credential",
        {**CREDENTIAL, "name": "old", "state": "absent"},
        credential,
        "Credentials/old",
    ),
}


@pytest.mark.parametrize(
    ("name", "odd"),
    pairs(list(DELETIONS), [name for name in ODD if name.startswith(("404", "403", "302", "200 page", "200 cut"))]),
)
def test_a_deletion_that_arm_did_not_answer_is_not_done(
    modules: Modules, azure: SimulatedAzure, name: str, odd: str
) -> None:
    module, desired, arrange, path = DELETIONS[name]
    options = {**desired, **arrange(World(azure, modules))}
    modules.fault("DELETE", path, **ODD[odd], count=0)
    assert "state" not in modules.fail(module, **options)
    azure.control("DELETE", "/faults")
    # It is still there, unless ARM did it and its answer came in half.
    assert modules.succeed(module, **options)["changed"] is ("distort" not in ODD[odd])


def test_a_page_in_the_place_of_a_write_is_no_missing_identity(modules: Modules, azure: SimulatedAzure) -> None:
    lone_identity(World(azure, modules))
    modules.fault("PUT", "Credentials/new", **ODD["404 page"], count=0)
    trust = {"name": "new", "issuer": "https://i.example/", "subject": "s"}
    failed = modules.fail("federated_identity_credential", resource_group="rg", identity_name="one", **trust)
    assert "has status 404 and is not in the form of Azure's, so a proxy, a gateway or another" in failed["msg"]


@pytest.mark.parametrize(
    ("header", "module", "options", "arrange", "method", "path", "status"),
    [
        ("Azure-AsyncOperation", "aks_cluster", {**AKS, "tags": {"a": "b"}}, plain_cluster, "PUT", DEMO, 200),
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
    arrange(World(azure, modules))
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
    world = World(azure, modules)
    credential(world)
    path = f"{world.root}{ONE}/federatedIdentityCredentials"
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
