# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The role pod_identity_uninstall where the add-on of AKS is on: a real API server, which AKS's part writes to."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.names import FIELD_MANAGER, marks
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube import kinds
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.client import Client
from ansible_collections.azureops.pod_identity.tests.kube.addon import Aks
from ansible_collections.azureops.pod_identity.tests.kube.objects import call, identities, make, pair
from ansible_collections.azureops.pod_identity.tests.kube.uninstalled import (
    CARRIER,
    Site,
    account,
    changed,
    has_definitions,
    helm,
    let_attach,
    predicts,
    put,
    states,
)
from ansible_collections.azureops.pod_identity.tests.support import api_server as server
from ansible_collections.azureops.pod_identity.tests.support.api_server import ApiServer
from ansible_collections.azureops.pod_identity.tests.support.modules import Modules
from azsandbox import pod_identity_addon
from azsandbox.azure.loopback import SimulatedAzure
from azsandbox.azure.state import CLUSTER

ADDON = {"resource_group": "rg", "cluster_name": "demo", "poll_interval": 0.1}
FAST = {"pod_identity_cluster_poll_interval": 1}
PLURALS = ("azureidentities", "azureidentitybindings", "azurepodidentityexceptions")


@pytest.fixture
def aks(api_server: ApiServer) -> Aks:
    return Aks(api_server)


@pytest.fixture
def azure(aks: Aks, tmp_path: Path) -> Iterator[SimulatedAzure]:
    azure = SimulatedAzure(tmp_path, compute=aks)
    azure.cluster(name="demo")
    call(azure, "127.0.0.1")
    yield azure
    azure.close()


@pytest.fixture
def bare(
    aks: Aks,
    azure: SimulatedAzure,
    api_server: ApiServer,
    client: Client,
    definitions: list[dict[str, Any]],
    namespace: str,
    tmp_path: Path,
) -> Iterator[Site]:
    """The add-on is off; an identity on the scale set is somebody else's."""
    (tmp_path / "home").mkdir()
    (tmp_path / "players").mkdir()
    modules = Modules(azure, tmp_path / "home")
    server.remove_nodes(client)
    server.remove(client, definitions)
    billing, foreign = identities(modules, "billing", "foreign")
    modules.succeed("vmss_identity", **CARRIER, identities=[foreign["id"]], poll_interval=0.1)
    yield Site(
        modules, api_server, client, namespace, tmp_path / "players", billing["id"].lower(), foreign["id"].lower()
    )
    azure.run(pod_identity_addon.remove(aks.call))
    server.install(client, definitions)


@pytest.fixture
def site(bare: Site) -> Site:
    """The add-on hands out an identity twice, and has an exception."""
    switch_on(bare)
    return bare


def switch_on(site: Site) -> None:
    entry = {"namespace": site.namespace, "identity": site.billing}
    site.modules.succeed(
        "aks_pod_identity",
        **ADDON,
        enabled=True,
        restore_timeout=0,
        identities=[{**entry, "name": "billing", "binding_selector": "money"}, {**entry, "name": "more"}],
        exceptions=[{"name": "agents", "namespace": site.namespace, "pod_labels": {"app": "agent"}}],
    )


def profile(site: Site) -> dict[str, Any]:
    state: dict[str, Any] = site.modules.succeed("aks_pod_identity", **ADDON)["state"]
    return state


def programs(client: Client) -> list[str]:
    return [each["metadata"]["name"] for each in client.list_all(kinds.DAEMON_SET)]


def written(site: Site, begin: int, *resources: str) -> list[str]:
    """What the collection wrote of these resources, dry runs left out: verb, resource and name."""
    found = []
    for event in site.server.events()[begin:]:
        place = event.get("objectRef") or {}
        if (
            event.get("userAgent") == FIELD_MANAGER
            and event["verb"] not in ("get", "list", "watch")
            and place.get("resource") in resources
            and "dryRun=All" not in event["requestURI"]
        ):
            found.append(f"{event['verb']} {place['resource']} {place.get('name', '')}")
    return found


def lines(site: Site) -> int:
    return len(site.server.events())


@pytest.mark.soak
def test_the_addon_goes_entry_by_entry(site: Site, azure: SimulatedAzure) -> None:
    before, attached, mark, begin = profile(site), site.attached(), site.modules.mark(), lines(site)
    assert attached >= {site.billing, site.foreign}
    status, output = site.play("--check", "--diff", **FAST)
    assert status == 0, output
    assert (profile(site), site.attached(), site.bundles(), site.modules.writes(mark)) == (before, attached, [], [])
    assert programs(site.client) == ["nmi"]
    predicted, would = changed(output), account(output)

    status, output = site.play(**FAST)
    assert (status, changed(output)) == (0, predicted), output
    assert predicts(would, account(output)), (would, account(output))
    # The entries in one change, then the add-on; AKS itself has taken the identity from the scale set.
    assert [each.split("/")[-2] for each in site.modules.writes(mark)] == ["managedClusters"] * 2
    after = profile(site)
    assert (after["enabled"], after["identities"], after["exceptions"]) == (False, [], [])
    assert site.attached() == attached - {site.billing}
    assert programs(site.client) == [] and not has_definitions(site.client)
    assert written(site, begin, *PLURALS, "daemonsets", "customresourcedefinitions") == []
    (bundle,) = site.bundles()
    assert bundle["objects"] == []
    assert bundle["addon"]["exceptions"] == before["exceptions"]
    assert [(each["name"], each["identity"].lower()) for each in bundle["addon"]["identities"]] == [
        ("billing", site.billing),
        ("more", site.billing),
    ]
    assert states(account(output)) >= {
        ("Azure", "identity billing", "kept"),
        ("roles", "Managed Identity Operator", "kept"),
    }
    assert "of the control plane at" in output
    assert azure.arm("GET", site.billing).status_code == 200

    status, output = site.play(**FAST)
    assert (status, changed(output), len(site.bundles())) == (0, 0, 1), output


@pytest.mark.soak
def test_what_is_refused_is_refused_before_anything_changes(site: Site, azure: SimulatedAzure) -> None:
    before, attached, mark = profile(site), site.attached(), site.modules.mark()
    put(site.client, kinds.AZURE_IDENTITY, site.namespace, "theirs", {"type": 0, "clientID": "c", "resourceID": "r"})
    status, output = site.play(**FAST)
    assert (status, "1 objects of AAD Pod Identity do not carry the labels" in output) == (2, True), output
    assert re.search(rf"AzureIdentity +{site.namespace} +theirs", output), output
    site.client.delete(kinds.AZURE_IDENTITY, site.namespace, "theirs")

    make(site.client, kinds.DEPLOYMENT, site.namespace, "asleep", "money")
    status, output = site.play(**FAST)
    assert (status, f"Deployment {site.namespace}/asleep" in output) == (2, True), output
    assert "go on with pod_identity_uninstall_allow_in_use=true" in output
    site.client.delete(kinds.DEPLOYMENT, site.namespace, "asleep")

    # Every pod could take what is on the scale sets, were NMI to go first.
    status, output = site.play("--tags", "pod_identity_uninstall_addon", **FAST)
    assert (status, "billing, more are still on the scale sets" in output) == (2, True), output
    status, output = site.play("--tags", "pod_identity_uninstall_objects", **FAST)
    assert (status, "is still on, and AKS would put back" in output) == (2, True), output

    limited = azure.principal("limited", ("Reader", f"/subscriptions/{azure.subscription_id}"))
    owner = dict(site.modules.environment)
    site.modules.environment.update(site.modules.login(limited))
    status, output = site.play(**FAST)
    site.modules.environment.update(owner)
    assert (status, "Microsoft.ContainerService/managedClusters/write at" in output) == (2, True), output
    assert (profile(site), site.attached(), site.modules.writes(mark)) == (before, attached, [])


@pytest.mark.soak
def test_chart_and_addon_at_once(bare: Site, azure: SimulatedAzure, aks: Aks) -> None:
    """The chart was first. An entry has failed because its identity is gone; AKS leaves all but its NMI behind."""
    site, namespace, aks.tidy = bare, bare.namespace, False
    helm(site, "install", "aad-pod-identity", "CHART", "--namespace", "default")
    shop, lost = identities(site.modules, "shop", "lost")
    let_attach(site.modules, shop["id"])
    switch_on(site)
    entry = {"name": "lost", "namespace": namespace, "identity": lost["id"]}
    site.modules.succeed("aks_pod_identity", **ADDON, **entry, restore_timeout=0)
    site.modules.succeed("user_assigned_identity", resource_group="rg", name="lost", state="absent")
    spoil(azure, "lost")
    site.modules.succeed("vmss_identity", **CARRIER, identities=[shop["id"]], poll_interval=0.1)
    pair(site.client, namespace, "shop", shop["id"], shop["client_id"], "shop", labels=marks("shop"))
    attached, begin = site.attached(), lines(site)
    assert len(held(azure, site.billing)) == 1

    status, output = site.play(**FAST)
    assert (status, "set recreate_identity to true" in output) == (2, True), output
    assert sorted(programs(site.client)) == ["aad-pod-identity-nmi", "nmi"]

    recreate = {"pod_identity_uninstall_recreate_identity": True}
    # Where it ends half way, the next run takes away what was made for the removal, though the entry is gone by then.
    half = {"error": {"code": "AuthorizationFailed", "message": "It is said."}}
    rule = {"method": "DELETE", "path": "userAssignedIdentities/lost", "status": 403, "body": half}
    azure.control("POST", "/faults", rule)
    status, output = site.play("--tags", "pod_identity_uninstall_entries", **FAST, **recreate)
    assert (status, [each["name"] for each in profile(site)["identities"]]) == (2, ["billing", "more"]), output
    assert azure.arm("GET", lost["id"]).status_code == 200
    status, output = site.play("--tags", "pod_identity_uninstall_entries", **FAST, **recreate)
    assert (status, profile(site)["identities"]) == (0, []), output
    assert azure.arm("GET", lost["id"]).status_code == 404

    # The next run knows only from the restore bundle of that one what the add-on handed out.
    status, output = site.play(**FAST, pod_identity_uninstall_remove_role_assignments=True)
    assert status == 0, output
    assert held(azure, site.billing) == []
    assert site.attached() == attached - {site.billing, shop["id"].lower(), lost["id"].lower()}
    assert programs(site.client) == [] and not has_definitions(site.client)
    assert azure.arm("GET", lost["id"]).status_code == 404
    told = deleted(site, begin)
    order = [
        "azureidentitybindings shop",
        "daemonsets aad-pod-identity-nmi",
        "daemonsets nmi",
        "customresourcedefinitions azureidentities.aadpodidentity.k8s.io",
        "serviceaccounts aad-pod-id-nmi-service-account",
    ]
    assert sorted(order, key=told.index) == order


def held(azure: SimulatedAzure, scope: str) -> list[str]:
    """Role assignments at exactly this scope."""
    listed = azure.arm("GET", f"{scope}/providers/Microsoft.Authorization/roleAssignments", version="2022-04-01")
    return [one["id"] for one in listed.json()["value"] if one["properties"]["scope"].lower() == scope]


def spoil(azure: SimulatedAzure, name: str) -> None:
    """As AKS finds an entry without its identity at its next change, and lets it block all others."""

    def fail() -> None:
        (cluster,) = azure.server.azure.state.all(CLUSTER)
        for each in cluster.properties["podIdentityProfile"]["userAssignedIdentities"]:
            if each["name"] == name:
                each["provisioningState"] = "Failed"

    azure.in_loop(fail)
    azure.control("POST", "/settings", {"pod_identities_block": True})


def deleted(site: Site, begin: int) -> list[str]:
    """What anybody has deleted, dry runs left out: resource and name."""
    return [
        f"{event['objectRef']['resource']} {event['objectRef'].get('name', '')}"
        for event in site.server.events()[begin:]
        if event["verb"] == "delete" and "dryRun" not in event["requestURI"]
    ]
