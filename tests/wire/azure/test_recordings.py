# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The simulated Azure against recordings of the real one.

Every cassette is replayed request by request, in order. What the server claims to serve must answer with the recorded
status, headers and body: the same keys, types and fixed texts, ids in the same casing. Ids, times and names that the
service makes up are mapped or free. What it does not claim is listed with its reason; nothing is left out in silence.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import jwt
import pytest

from ansible_collections.azureops.pod_identity.tests.wire import recordings
from ansible_collections.azureops.pod_identity.tests.wire.recordings import (
    NULL_SUBSCRIPTION,
    RECORDINGS,
    Interaction,
    decoded,
    load,
)
from azsandbox.azure.clock import Clock
from azsandbox.azure.loopback import SimulatedAzure
from azsandbox.azure.operations import TERMINAL
from azsandbox.azure.state import SCALE_SET, Resource

SCRUBBED = "00000000-0000-0000-0000-000000000001"
GUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)")

pytestmark = recordings.needed


def repaired(text: str) -> Any:
    """A request that an upstream scrubber cut behind servicePrincipalProfile.clientId (INDEX.md section 4)."""
    text = re.sub(r'("clientId": "[0-9-]+"): \{"KubeDashboard"', r'\1}, "addonProfiles": {"KubeDashboard"', text)
    return json.loads(text.replace('"}}], "userAssigned', f'", "objectId": "{SCRUBBED}"}}}}], "userAssigned'))


# what is not claimed

UNCLAIMED = (
    (r"/providers/Microsoft\.ManagedIdentity/operations$", "the provider's list of operations: no client here asks it"),
    (r"/exportTemplate$", "templates of resource groups"),
    (r"/providers/Microsoft\.Resources/deployments/", "template deployments"),
    (r"/publishers/.*/vmimage/", "the catalogue of VM images"),
    (r"/providers/Microsoft\.Network/virtualNetworks$", "virtual networks"),
    (r"/providers/Microsoft\.KeyVault/vaults/[^/]+$", "key vaults"),
    (r"/maintenanceConfigurations/", "maintenance windows"),
    (r"/kubernetesVersions$", "the catalogue of Kubernetes versions: there is one version here"),
)
UNCLAIMED_WRITES = (
    (r"/agentPools/[^/]+$", "adding, changing and removing agent pools: pools are made with their cluster"),
)


def unclaimed(item: Interaction, orphans: set[str]) -> str | None:
    """Why an interaction is not served; ``orphans`` collects operation ids of unclaimed writes."""
    for pattern, reason in UNCLAIMED:
        if re.search(pattern, item.path, re.IGNORECASE):
            return reason
    if item.method != "GET" or "/agentPools/ap2" in item.path:
        for pattern, reason in UNCLAIMED_WRITES:
            if re.search(pattern, item.path, re.IGNORECASE):
                orphans.update(GUID.findall(item.headers.get("azure-asyncoperation", "").partition("/operations/")[2]))
                return reason
    if any(guid in item.path for guid in orphans):
        return "polls of an operation that is not served"
    return None


# how exactly the answers must agree

FREE_VALUES = (
    # what the service makes up or knows by its own age
    r"\.(fqdn|azurePortalFQDN|nodeImageVersion|kubernetesVersion|currentKubernetesVersion|resourceUID|eTag)$",
    r"\.(currentO|o)rchestratorVersion$",
    r"^\$\.(startTime|endTime)$",
    r"\.kubeconfigs\[\]\.value$",
    r"\.osDisk\.name$",
    # api-versions of a year differ in it; the order of words is not worth a table
    r"\.networkProfile\.loadBalancerSku$",
    r"\.(createdOn|updatedOn)$",
    # scrubbed by the recorder; "msi" in reality
    r"\.servicePrincipalProfile\.clientId$",
)

MISSING = {
    r"^GET .* Creating \$\.properties\.identityProfile$": "while Creating it appears at any moment",
    r" \$\.properties\.controlPlanePluginProfiles$": "a preview feature of no use here",
    r" \$\.properties\.hostedSystemProfile$": "a preview feature of no use here",
    r" \$\.properties\.enableFIPS$": "a preview field at cluster level",
    r" \$\.properties\.networkProfile\.podLinkLocalAccess$": "a preview field",
    r" \$\.properties\.storageProfile\.diskCSIDriver\.version$": "a preview field",
    r"agentPoolProfiles\[\]\.(upgradeStrategy|enableAutoScaling)$": "appears after an update in the newest version",
    r"agentPoolProfiles\[\]\.(nodeLabels|tags)$": "an empty object that comes and goes",
    r" \$\.properties\.(addonProfiles|ingressProfile\.webAppRouting\.)": "add-ons other than pod identity",
    r" \$\.properties\.windowsProfile$": "Windows pools",
    r"/operations/.* \$\.error$": "an error beside a running operation is noise",
    r" Creating \$\.properties\.networkProfile\.loadBalancerProfile\.effectiveOutboundIPs$": "as identityProfile",
    r"/upgradeProfiles/.*\.upgrades$": "there is one Kubernetes version here",
    r"\.clientSecretUrl$": "gone from the identity provider since 2018",
}

EXTRA = {r"\.networkProfile\.(networkPolicy|networkDataplane|networkPluginMode)$": "since 2024, by api-version"}


@dataclass
class Comparison:
    """Collects what differs between a recorded and a given answer."""

    where: str
    """Method, path and recorded provisioningState."""
    problems: list[str] = field(default_factory=list)

    def value(self, recorded: Any, given: Any, path: str = "$") -> None:
        if isinstance(recorded, dict) and isinstance(given, dict):
            self._objects(recorded, given, path)
        elif isinstance(recorded, list) and isinstance(given, list):
            self._lists(recorded, given, path)
        elif isinstance(recorded, str) and isinstance(given, str):
            self._texts(recorded, given, path)
        elif type(recorded) is not type(given):
            self.problems.append(f"{path}: recorded {recorded!r}, given {given!r}")
        elif recorded != given and not self._is_free(path):
            self.problems.append(f"{path}: recorded {recorded!r}, given {given!r}")

    def _objects(self, recorded: dict[str, Any], given: dict[str, Any], path: str) -> None:
        for name in recorded.keys() - given.keys():
            found = self._known_identity(given, name)
            if found is not None:
                self.value(recorded[name], given[found], f"{path}.{name}")
            elif not self._is_listed(MISSING, f"{path}.{name}"):
                self.problems.append(f"{path}.{name} is missing (recorded {str(recorded[name])[:80]!r})")
        for name in given.keys() - recorded.keys():
            if self._known_identity(recorded, name) is None and not self._is_listed(EXTRA, f"{path}.{name}"):
                self.problems.append(f"{path}.{name} is not in the recording (given {str(given[name])[:80]!r})")
        for name in recorded.keys() & given.keys():
            self.value(recorded[name], given[name], f"{path}.{name}")

    def _known_identity(self, other: dict[str, Any], name: str) -> str | None:
        """Keys that are resource ids are compared like ids: casing exact, made-up parts mapped."""
        if not name.startswith("/"):
            return None
        return next((key for key in other if self.plain(key) == self.plain(name)), None)

    def _lists(self, recorded: list[Any], given: list[Any], path: str) -> None:
        if len(recorded) != len(given):
            self.problems.append(f"{path}: recorded {len(recorded)} items, given {len(given)}")
        for one, other in zip(recorded, given, strict=False):
            self.value(one, other, f"{path}[]")

    def _texts(self, recorded: str, given: str, path: str) -> None:
        if path == "$.status" and recorded not in TERMINAL and given not in TERMINAL:
            return  # a stage, in the words of the day
        if self._is_free(path):
            return
        if self.plain(recorded) != self.plain(given):
            self.problems.append(f"{path}: recorded {recorded!r}, given {given!r}")

    def plain(self, text: str) -> str:
        """A text without what may differ: ids in their order of appearance, times."""
        text = GUID.sub("<guid>", text)
        # Principals without dashes, as PrincipalNotFound writes them.
        text = re.sub(r"\b[0-9a-f]{32}\b", "<guid>", text)
        return TIME.sub("<time>", text)

    def _is_free(self, path: str) -> bool:
        # Until 2023 the name of an operation had its bytes in another order.
        operation = "/operations/" in self.where and path == "$.name"
        return operation or any(re.search(pattern, path) for pattern in FREE_VALUES)

    def _is_listed(self, table: dict[str, str], path: str) -> bool:
        return any(re.search(pattern, f"{self.where} {path}") for pattern in table)


def _has_properties(body: Any) -> bool:
    return isinstance(body, dict) and isinstance(body.get("properties"), dict)


HEADERS = ("azure-asyncoperation", "azure-asyncnotification", "location", "retry-after", "x-ms-failure-cause")


def compare(item: Interaction, answer: Any) -> list[str]:
    """What differs between the recorded and the given answer."""
    if item.status != answer.status_code:
        return [f"status: recorded {item.status}, given {answer.status_code} {answer.text[:300]}"]
    state = item.body["properties"].get("provisioningState", "") if _has_properties(item.body) else ""
    comparison = Comparison(f"{item.method} {item.path} {state}")
    for name in HEADERS:
        recorded, given = item.headers.get(name), answer.headers.get(name)
        if (recorded is None) != (given is None):
            if name == "location" and item.status == 202 and "/operationresults/" in item.path:
                continue  # recorded with and without
            if name == "retry-after" and item.status == 202 and "/operationresults/" not in item.path:
                continue  # one recorder dropped it: file 15 of INDEX.md
            if name == "retry-after" and "retry-after" not in item.headers:
                continue
            comparison.problems.append(f"header {name}: recorded {recorded!r}, given {given!r}")
        elif recorded is not None and name in ("azure-asyncoperation", "location"):
            comparison.problems += _compare_urls(comparison, name, recorded, given)
    if (
        item.headers.get("server") == "Microsoft-HTTPAPI/2.0"
        and answer.headers.get("server") != "Microsoft-HTTPAPI/2.0"
    ):
        comparison.problems.append(f"header server: given {answer.headers.get('server')!r}")
    if item.body is None:
        if answer.content:
            comparison.problems.append(f"body: recorded none, given {answer.text[:100]!r}")
    elif item.headers.get("content-type") != answer.headers.get("content-type"):
        comparison.problems.append(
            f"content type: recorded {item.headers.get('content-type')}, given {answer.headers.get('content-type')}"
        )
    else:
        comparison.value(item.body, decoded(answer.text))
    return comparison.problems


def _compare_urls(comparison: Comparison, name: str, recorded: str, given: str) -> list[str]:
    """Operation URLs: absolute or relative as recorded, same path, same parameters; signed or not is the year's."""
    one, other = urlsplit(recorded), urlsplit(given)
    problems = []
    if bool(one.netloc) != bool(other.netloc):
        problems.append(f"header {name}: recorded {recorded[:80]!r}, given {given[:80]!r}")
    paths = [
        re.sub(r"/operationresults/eyJ[^/]*", "/operationresults/<job>", comparison.plain(u.path)) for u in (one, other)
    ]
    if paths[0] != paths[1]:
        problems.append(f"header {name}: recorded path {paths[0]!r}, given {paths[1]!r}")
    parameters = [[key for key, _value in parse_qsl(u.query)] for u in (one, other)]
    signature = ["t", "c", "s", "h"]
    if one.netloc and parameters[0] != parameters[1] and [*parameters[0], *signature] != parameters[1]:
        problems.append(f"header {name}: recorded parameters {parameters[0]}, given {parameters[1]}")
    return problems


# replaying


class TapeClock(Clock):
    """Time that passes when the tape says so."""

    def __init__(self) -> None:
        self._moment = time.monotonic()
        self._sleepers: list[asyncio.Event] = []

    def now(self) -> float:
        return self._moment

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            return
        event = asyncio.Event()
        self._sleepers.append(event)
        await event.wait()

    async def let_pass(self) -> None:
        """Until nothing sleeps any more."""
        idle = 0
        while idle < 20:
            sleepers, self._sleepers = self._sleepers, []
            for event in sleepers:
                event.set()
            idle = 0 if sleepers else idle + 1
            await asyncio.sleep(0)


@dataclass
class Player:
    """One cassette against one server."""

    azure: SimulatedAzure
    clock: TapeClock
    cassette: Cassette
    urls: dict[str, str] = field(default_factory=dict)
    guids: dict[str, str] = field(default_factory=dict)

    def play(self, item: Interaction) -> Any:
        if self._needs_time(item):
            self.azure.run(self.clock.let_pass())
        self.azure.in_loop(lambda: self._insert(item))
        url = self.urls.get(item.url) or self._translated(item)
        given = repaired(item.given) if isinstance(item.given, str) else item.given
        body = self._mapped(given) if given is not None else None
        headers = {"Authorization": f"Bearer {self.azure.token()}"}
        answer = self.azure.session.request(item.method, url, json=body, headers=headers, timeout=20)
        for name in ("azure-asyncoperation", "location"):
            if item.headers.get(name, "").startswith("https://") and name in answer.headers:
                self.urls[item.headers[name]] = answer.headers[name]
        self._learn(item.body, decoded(answer.text))
        return answer

    def _insert(self, item: Interaction) -> None:
        """What deployments made, which are not claimed: scale sets, their instances, key vaults.

        What is compared of these objects is how they change; their look is the subject of test_scale_set_looks.
        """
        kind = re.search(
            r"/providers/(Microsoft\.KeyVault/vaults/|Microsoft\.Compute/virtualMachineScaleSets/)[^/]+(/virtualMachines)?$",
            item.path,
        )
        scope = re.match(r"(.*/Microsoft.KeyVault/vaults/[^/]+)/providers/", item.path)
        state = self.azure.server.azure.state
        if scope:
            vault = scope.group(1).replace(NULL_SUBSCRIPTION, self.azure.subscription_id)
            state.put(Resource(vault, "Microsoft.KeyVault/vaults", {}))
        if item.method != "GET" or item.status != 200 or kind is None:
            return
        for body in item.body["value"] if kind.group(2) else [item.body]:
            mapped = self._mapped(body)
            parent = mapped["id"].partition("/virtualMachines/")[0]
            if kind.group(2) and state.get(parent) is None:
                state.put(Resource(parent, "Microsoft.Compute/virtualMachineScaleSets", {"location": body["location"]}))
            if state.get(mapped["id"]) is None:
                state.put(Resource(mapped["id"], mapped["type"], mapped))

    def _needs_time(self, item: Interaction) -> bool:
        """Operations end when the tape shows their end."""
        if "/operationresults/" in item.path:
            return item.status != 202
        if re.search("/operations/", item.path):
            return (
                isinstance(item.body, dict)
                and item.body.get("status") in ("Succeeded", "Failed")
                or "monitor" in item.query
            )
        if item.method == "GET" and _has_properties(item.body):
            return bool(item.body["properties"].get("provisioningState") == "Succeeded")
        return item.status in (404, 409) or item.method in ("HEAD", "DELETE")

    def _translated(self, item: Interaction) -> str:
        parts = urlsplit(item.url)
        query = parts.query
        if self.cassette.version and "/managedClusters" in parts.path:
            query = re.sub("api-version=[^&]*", f"api-version={self.cassette.version}", query)
        path = parts.path.replace(NULL_SUBSCRIPTION, self.azure.subscription_id)
        query = self._mapped(query)
        return f"{self.azure.endpoints.arm}{path}" + (f"?{query}" if query else "")

    def _mapped(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {self._mapped(key): self._mapped(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self._mapped(item) for item in value]
        if isinstance(value, str):
            value = value.replace(NULL_SUBSCRIPTION, self.azure.subscription_id)
            return GUID.sub(lambda match: self.guids.get(match.group(0).lower(), match.group(0)), value)
        return value

    def _learn(self, recorded: Any, given: Any) -> None:
        """Pair the ids that the service made up."""
        if isinstance(recorded, dict) and isinstance(given, dict):
            for name in recorded.keys() & given.keys():
                one, other = recorded[name], given[name]
                if name == "identity" and isinstance(other, dict) and "principalId" in other and "sku" in recorded:
                    for scrubbed in (SCRUBBED, *self.cassette.cluster_principal):
                        self.guids[scrubbed] = other["principalId"]
                if name in ("principalId", "clientId", "objectId", "tenantId") and isinstance(one, str):
                    if GUID.fullmatch(one) and GUID.fullmatch(str(other)) and one not in (SCRUBBED, NULL_SUBSCRIPTION):
                        self.guids.setdefault(one.lower(), str(other))
                else:
                    self._learn(one, other)
        elif isinstance(recorded, list) and isinstance(given, list):
            for one, other in zip(recorded, given, strict=False):
                self._learn(one, other)


@dataclass(frozen=True)
class Cassette:
    """``version``: the api-version of the time, where the tape was renamed in bulk afterwards (INDEX.md section 4)."""

    name: str
    claimed: int
    version: str | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    skips: dict[int, str] = field(default_factory=dict)
    cluster_principal: tuple[str, ...] = ()
    """The real id of the cluster's identity, where the recorder scrubbed bodies but not URLs."""


QUIET = {"principal_not_found": 0, "deleted_cluster_memory": 0.0, "federated_credential_write": 0.0}
CASSETTES = (
    Cassette(
        "test_aks_pod_identity_usage@7fb511f3f.yaml",
        40,
        "2022-09-02-preview",
        QUIET,
        cluster_principal=("bf7f913a-cd5c-449b-8a4e-419df69264e6",),
    ),
    Cassette(
        "test_aks_pod_identity_usage@0b47e6881.yaml",
        25,
        None,
        QUIET,
        skips={11: "the role assignments of Microsoft's whole test subscription"},
    ),
    Cassette("test_aks_create_with_pod_identity_enabled.yaml", 59, "2023-05-02-preview", QUIET),
    Cassette("test_aks_create_using_azurecni_with_pod_identity_enabled.yaml", 62, "2023-05-02-preview", QUIET),
    Cassette("test_aks_create_with_workload_identity_enabled.yaml", 15, None, QUIET),
    Cassette("test_aks_update_with_workload_identity.yaml", 34, None, QUIET),
    Cassette("test_aks_update_with_oidc_issuer_enabled.yaml", 26, None, QUIET),
    Cassette("test_aks_create_service_no_wait_msi.yaml", 35, None, QUIET),
    Cassette("test_identity_management.yaml", 5, None, QUIET),
    Cassette("test_federated_identity_credential.yaml", 11, None, QUIET),
    Cassette("Test_Authorization_RoleAssignment_OnResourceGroup_CRUD.yaml", 20, None, {"principal_not_found": 5}),
    Cassette(
        "test_aks_approuting_enable_with_keyvault_secrets_provider_addon_and_keyvault_id.yaml",
        27,
        "2024-02-02-preview",
        QUIET,
    ),
    Cassette("test_vmss_explicit_msi.yaml", 27, None, QUIET),
    Cassette("test_vmss_run_command_with_parameters.yaml", 11, None, QUIET),
    Cassette("test_resource_group.yaml", 18, None, QUIET),
    Cassette(
        "Test_AKS_ManagedCluster_20251002preview_CRUD.yaml",
        47,
        None,
        {"deleted_cluster_memory": 60.0},
        skips={56: "shows an agent pool whose making is not served"},
    ),
)


def prepare(player: Player, tape: list[Interaction]) -> None:
    """The resource groups that were there before the tape begins."""
    made: set[str] = set()
    for item in tape:
        group = re.match(r"/subscriptions/[^/]+/resourcegroups/([^/]+)", item.path, re.IGNORECASE)
        if group is None or group.group(1).lower() in made:
            continue
        made.add(group.group(1).lower())
        if item.method == "PUT" and item.path == group.group(0):
            continue
        same = (
            i.body for i in tape if (i.method, i.status) == ("GET", 200) and i.path.lower() == group.group(0).lower()
        )
        shown: dict[str, Any] = next(same, {})
        body = {"location": "westus2", **{name: shown[name] for name in ("location", "tags") if name in shown}}
        player.azure.arm("PUT", f"/resourceGroups/{group.group(1)}", body).raise_for_status()


@pytest.mark.parametrize("cassette", CASSETTES, ids=lambda cassette: cassette.name.removesuffix(".yaml"))
def test_cassette(cassette: Cassette, tmp_path: Path, record_property: Any) -> None:
    clock = TapeClock()
    azure = SimulatedAzure(tmp_path, time_scale=1.0, clock=clock)
    try:
        azure.compute.pause = lambda: clock.sleep(1)
        azure.compute.command_result = (0, b"/var/lib/waagent/run-command/download/0/script.sh hello\n", b"")
        azure.control("POST", "/settings", cassette.settings)
        player = Player(azure, clock, cassette)
        tape = load(cassette.name)
        prepare(player, tape)
        reasons: dict[str, int] = {}
        orphans: set[str] = set()
        problems: list[str] = []
        claimed = 0
        for item in tape:
            reason = cassette.skips.get(item.index) or unclaimed(item, orphans)
            if reason is not None:
                reasons[reason] = reasons.get(reason, 0) + 1
                continue
            claimed += 1
            for problem in compare(item, player.play(item)):
                problems.append(f"#{item.index} {item.method} {item.path[-90:]}: {problem}")
    finally:
        azure.close()
    print(f"\n{cassette.name}: {claimed} of {len(tape)} served", *(f"\n  {n} not: {r}" for r, n in reasons.items()))
    record_property("claimed", claimed)
    assert not problems, "\n".join(problems)
    assert claimed == cassette.claimed, "the number of interactions that the server claims to serve has changed"


def test_what_is_not_claimed_is_little() -> None:
    total = sum(len(load(cassette.name)) for cassette in CASSETTES)
    served = sum(cassette.claimed for cassette in CASSETTES)
    print(f"\n{served} of {total} recorded interactions are served")
    assert served / total > 0.85


def _keys(value: Any, path: str = "$") -> Iterator[str]:
    """Every key of an object, with its place."""
    if isinstance(value, dict):
        for name, item in value.items():
            place = f"{path}.{'<id>' if name.startswith('/') else name}"
            yield place
            yield from _keys(item, place)
    elif isinstance(value, list):
        for item in value:
            yield from _keys(item, f"{path}[]")


NOT_IN_AKS_SCALE_SETS = (
    # made by AKS without a system-assigned identity, behind the cluster's load balancer, from AKS's own image
    r"^\$\.identity\.(principalId|tenantId)$",
    r"rollingUpgradePolicy",
    r"\.(loadBalancerBackendAddressPools|loadBalancerInboundNatPools)",
    r"\.imageReference\.(publisher|offer|sku|version|exactVersion)$",
    r"\.publicKeys\[\]",
)


@pytest.mark.parametrize(
    ("cassette", "path"),
    [("test_vmss_explicit_msi.yaml", ""), ("test_vmss_run_command_with_parameters.yaml", "/virtualMachines")],
)
def test_scale_set_looks(azure: SimulatedAzure, cassette: str, path: str) -> None:
    """The scale sets of clusters have every field that a recorded scale set has, but for what AKS does not use."""
    pattern = re.compile(f"/{SCALE_SET}/[^/]+{path}$", re.IGNORECASE)
    recorded = next(i.body for i in load(cassette) if i.method == "GET" and i.status == 200 and pattern.search(i.path))
    azure.cluster()
    group = "/resourceGroups/MC_rg_c1_westeurope"
    scale_set = azure.arm("GET", f"{group}/providers/{SCALE_SET}").json()["value"][0]
    given = azure.arm("GET", scale_set["id"] + path).json()
    missing = set(_keys(recorded)) - set(_keys(given))
    assert not [key for key in missing if not any(re.search(pattern, key) for pattern in NOT_IN_AKS_SCALE_SETS)]


def test_imds_cassette(azure: SimulatedAzure) -> None:
    """Probe without the header, then a token: status, server, content type, fields and their types."""
    azure.cluster()
    instance = azure.first_instance()
    azure.compute.addresses["127.0.0.1"] = instance["id"]
    tape = load("test_imds_credential.test_user_assigned.yaml")
    client = azure.scale_set_of(instance)["identity"]["userAssignedIdentities"].popitem()[1]["clientId"]
    for item, headers in zip(tape, ({}, {"Metadata": "true"}), strict=True):
        query = {**item.query, "client_id": client}
        url = azure.endpoints.imds + item.path
        answer = azure.session.get(url, params=query, headers=headers, timeout=20)
        assert answer.status_code == item.status
        assert answer.headers["Server"].startswith("IMDS/")
        assert answer.headers["Content-Type"] == item.headers["content-type"]
        given = answer.json()
        assert {name: type(value) for name, value in given.items()} == {name: type(v) for name, v in item.body.items()}
        if item.status != 200:
            assert given == item.body
        else:
            assert (given["resource"], given["token_type"]) == (item.body["resource"], item.body["token_type"])
            assert (given["expires_in"], given["ext_expires_in"]) == (
                item.body["expires_in"],
                item.body["ext_expires_in"],
            )
            _check_claims(given["access_token"], client, azure)


def _check_claims(token: str, client: str, azure: SimulatedAzure) -> None:
    recorded = json.loads((RECORDINGS / "openid_and_token_extract.json").read_text())["imds_user_assigned_jwt_claims"]
    claims = jwt.decode(token, options={"verify_signature": False})
    assert set(recorded) - {"source"} <= set(claims)
    for name in ("aud", "appidacr", "idtyp", "ver"):
        assert claims[name] == recorded[name]
    assert claims["appid"] == client
    assert claims["iss"] == claims["idp"] == f"https://sts.windows.net/{azure.tenant_id}/"
    assert claims["oid"] == claims["sub"]
    assert re.fullmatch(
        "/subscriptions/[^/]+/resourcegroups/[^/]+/providers/Microsoft.ManagedIdentity/userAssignedIdentities/[^/]+",
        claims["xms_mirid"],
    )


def test_openid_configuration(azure: SimulatedAzure) -> None:
    """The recorded discovery document, with this server's hosts and tenant."""
    recorded = json.loads((RECORDINGS / "openid_and_token_extract.json").read_text())["openid_configuration"]["body"]
    answer = azure.session.get(f"{azure.endpoints.entra}/{azure.tenant_id}/v2.0/.well-known/openid-configuration")
    text = json.dumps(recorded).replace(
        "https://login.microsoftonline.com/tenant", f"{azure.endpoints.entra}/{azure.tenant_id}"
    )
    text = text.replace("https://graph.microsoft.com", azure.endpoints.graph)
    expected = json.loads(text)
    expected["msgraph_host"] = azure.endpoints.host("graph")
    assert answer.json() == expected
