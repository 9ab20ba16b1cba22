# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The role pod_identity_uninstall in Azure: whose identities go, what is refused at once, and what goes on request."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from ansible.parsing.vault import VaultLib, VaultSecret

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.names import marks
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.kinds import AZURE_IDENTITY, NODE, SECRET
from ansible_collections.azureops.pod_identity.tests.kube import uninstalled
from ansible_collections.azureops.pod_identity.tests.kube.uninstalled import CARRIER, Site, put
from azsandbox.azure.loopback import SimulatedAzure

azure, site = uninstalled.azure, uninstalled.site

IDENTITIES = "providers/Microsoft.ManagedIdentity/userAssignedIdentities"
AUTHORIZATION = "providers/Microsoft.Authorization"
NODES = "MC_rg_demo_westeurope"
WORD = "correct horse battery"


def subscription(azure: SimulatedAzure) -> str:
    return f"/subscriptions/{azure.subscription_id}"


def scope(azure: SimulatedAzure, group: str) -> str:
    return f"{subscription(azure)}/resourceGroups/{group}"


def identity(azure: SimulatedAzure, name: str, group: str = "rg") -> str:
    made = azure.arm("PUT", f"{scope(azure, group)}/{IDENTITIES}/{name}", {"location": "westeurope"})
    made.raise_for_status()
    return str(made.json()["id"])


def body(azure: SimulatedAzure, resource: str) -> dict[str, Any]:
    return dict(azure.arm("GET", resource).json())


def nodes_of(azure: SimulatedAzure) -> str:
    return str(azure.first_instance()["id"]).partition("/virtualMachines/")[0]


def name_of(resource: str) -> str:
    return resource.rpartition("/")[2]


def without(shown: dict[str, Any], *names: str) -> dict[str, Any]:
    """A scale set as it is to be once it lost these identities."""
    carried = shown["identity"]["userAssignedIdentities"]
    kept = {key: value for key, value in carried.items() if key.rpartition("/")[2].lower() not in names}
    return {**shown, "identity": {**shown["identity"], "userAssignedIdentities": kept}}


@pytest.fixture
def own(site: Site, azure: SimulatedAzure) -> Iterator[str]:
    """A scale set with a node of the cluster that somebody manages himself; it carries both identities."""
    azure.arm("PUT", "/resourceGroups/own", {"location": "westeurope"}).raise_for_status()
    made = azure.scale_set("own", "workers", identity={"type": "None"})
    site.modules.succeed("vmss_identity", resource_id=made, identities=[site.billing, site.foreign], poll_interval=0.1)
    name = f"workers-{site.namespace}"
    node = {"metadata": {"name": name}, "spec": {"providerID": f"azure://{made.lower()}/virtualMachines/0"}}
    site.client.create(NODE, None, node)
    yield made
    site.client.delete(NODE, None, name)


def credential(site: Site) -> dict[str, Any]:
    """A service principal whose AzureIdentity names a Secret."""
    data = {"clientSecret": base64.b64encode(WORD.encode()).decode()}
    manifest = {"metadata": {"name": "reports", "labels": {"team": "reports"}}, "type": "Opaque", "data": data}
    site.client.create(SECRET, site.namespace, manifest)
    place = {"name": "reports", "namespace": site.namespace}
    spec = {"type": 1, "tenantID": "t", "clientID": "c", "clientPassword": place}
    put(site.client, AZURE_IDENTITY, site.namespace, "reports", spec, labels=marks("shop"))
    return manifest


@pytest.mark.soak
def test_whose_identities_go_and_what_goes_on_request(site: Site, azure: SimulatedAzure, own: str) -> None:
    """On all scale sets with nodes, and nothing else changes there; a second run finds nothing to do."""
    again, odd, lost = identity(azure, "again"), identity(azure, "odd"), identity(azure, "lost", "own")
    site.modules.succeed("vmss_identity", **CARRIER, identities=[again, odd], poll_interval=0.1)
    azure.arm("DELETE", again).raise_for_status()
    identity(azure, "again")
    azure.arm("DELETE", lost).raise_for_status()
    gone = lost.replace("/own/", "/gone/")
    put(site.client, AZURE_IDENTITY, site.namespace, "gone", {"type": 0, "resourceID": gone}, labels=marks("shop"))
    principal = body(azure, site.billing)["properties"]["principalId"]
    site.modules.succeed("role_assignment", scope=scope(azure, "rg"), role="Reader", principal_id=principal)
    manifest = credential(site)
    password = site.directory / "password"
    password.write_text("pw")
    nodes = nodes_of(azure)
    before = {each: body(azure, each) for each in (nodes, own)}
    desired: dict[str, Any] = {
        "pod_identity_uninstall_further_resource_groups": ["own"],
        "pod_identity_uninstall_remove_unknown_identities": [odd.upper()],
        "pod_identity_uninstall_delete_identities": [site.billing],
        "pod_identity_uninstall_vault_id": "shop",
    }
    vault = ("--vault-id", f"shop@{password}")
    status, output = site.play(*vault, "--check", "--diff", **desired)
    assert status == 0, output
    predicted = re.search(r"changed=(\d+)", output)
    assert {each: body(azure, each) for each in before} == before

    # Nobody may see the roles at an identity: that is told.
    refusal = {"status": 403, "body": {"error": {"code": "AuthorizationFailed", "message": "No."}}}
    site.modules.fault("GET", f"{site.billing}/{AUTHORIZATION}/roleAssignments".lower(), count=1, **refusal)
    status, output = site.play(*vault, "--diff", "-vvvvv", **desired)
    assert status == 0, output
    done = re.search(r"changed=(\d+)", output)
    assert predicted and done and predicted[1] == done[1], output
    for hidden in (WORD, manifest["data"]["clientSecret"]):
        assert hidden not in output
    assert body(azure, nodes) == without(before[nodes], "billing", "again", "odd")
    assert body(azure, own) == without(before[own], "billing")
    kept = r'"reason": "([^"]*)", "references": \[[^]]*\], "state": "kept", "what": "([^"]*)", "where": "([^"]*)"'
    found = re.findall(kept, output)
    for where, what, reason in (
        ("scale sets", "identity foreign", f"unknown, on {name_of(nodes)}, workers, because nothing says that pod"),
        ("scale sets", "identity demo-agentpool", f"protected, on {name_of(nodes)}, because it is the identity of the"),
        ("roles", "Managed Identity Operator", "Could not list the role assignments at"),
        ("roles", "Reader", f"of the deleted identity billing at {scope(azure, 'rg')}"),
    ):
        assert [each for each in found if each[1:] == (what, where) and each[0].startswith(reason)], (what, found)
    assert not [each for each in found if each[1].startswith("Secret ") or each[1:] == ("identity billing", "Azure")], (
        found
    )
    assert azure.arm("GET", site.billing).status_code == 404

    (bundle,) = site.bundles()
    (secret,) = bundle["secrets"]
    assert secret["document"].startswith("$ANSIBLE_VAULT;1.2;AES256;shop\n")
    document = json.loads(VaultLib([("shop", VaultSecret(b"pw"))]).decrypt(secret["document"]))
    assert document["data"] == manifest["data"] and document["metadata"]["labels"] == {"team": "reports"}
    assert site.client.get(SECRET, site.namespace, "reports") is None
    assert [each["id"] for each in bundle["deleted_identities"]] == [site.billing]

    status, output = site.play(*vault, **desired)
    assert (status, "changed=0 " in output) == (0, True), output


@pytest.mark.soak
def test_everything_that_is_not_permitted_is_told_at_once(site: Site, azure: SimulatedAzure, own: str) -> None:
    kubelet = azure.cluster(name="demo")["properties"]["identityProfile"]["kubeletidentity"]["objectId"]
    for place in (scope(azure, NODES), site.billing):
        role = {"scope": place, "role": "Managed Identity Operator", "principal_id": kubelet}
        site.modules.succeed("role_assignment", **role)
    owner, limited = dict(site.modules.environment), azure.principal("limited", ("Reader", subscription(azure)))
    before, carried, mark = site.look(), body(azure, own), site.modules.mark()
    site.modules.environment.update(site.modules.login(limited))
    status, output = site.play(pod_identity_uninstall_remove_role_assignments=True)
    assert (status, "4 permissions are missing, and nothing was changed" in output) == (2, True), output
    writes = [(each, "Microsoft.Compute/virtualMachineScaleSets/write") for each in (own, nodes_of(azure))]
    deletions = [
        (each, "Microsoft.Authorization/roleAssignments/delete") for each in (scope(azure, NODES), site.billing)
    ]
    for place, action in (*writes, *deletions):
        assert f"{action} at {place} (not granted)".lower() in output.lower(), (place, output)

    site.modules.environment.update(owner)
    lock = f"{scope(azure, 'own')}/{AUTHORIZATION}/locks/keep"
    azure.arm("PUT", lock, {"properties": {"level": "ReadOnly"}}, version="2020-05-01").raise_for_status()
    denial = {"scope": scope(azure, NODES), "name": "lockdown", "actions": ["Microsoft.Compute/*/write"]}
    azure.control("POST", "/deny-assignments", denial)
    status, output = site.play()
    assert (status, "2 permissions are missing, and nothing was changed" in output) == (2, True), output
    for (place, action), reason in zip(writes, ("locked by keep", "denied by lockdown"), strict=True):
        assert f"{action} at {place} ({reason})".lower() in output.lower(), (place, output)
    assert (site.look(), body(azure, own), site.bundles()) == (before, carried, [])
    assert site.modules.writes(mark) == [f"PUT {lock}"]


@pytest.mark.soak
def test_what_is_used_is_not_deleted(site: Site, azure: SimulatedAzure) -> None:
    machine = azure.machine("rg", "vm-0", identity={"type": "None"})
    attachment = {"resource_id": machine, "identities": [site.billing], "allow_unknown_owner": True}
    site.modules.succeed("vmss_identity", **attachment, poll_interval=0.1)
    credential = {"resource_group": "rg", "identity_name": "foreign", "name": "web"}
    subject = {"issuer": "https://oidc.example/", "subject": "system:serviceaccount:team:web"}
    site.modules.succeed("federated_identity_credential", **credential, **subject, wait_exchange=False)
    before, mark = site.look(), site.modules.mark()
    named = {"pod_identity_uninstall_delete_identities": [site.billing, site.foreign]}
    status, output = site.play(**named)
    assert status == 2, output
    assert f"The identity billing is not deleted, because it is used by {machine}" in output, output
    assert "The identity foreign is not deleted, because it is used by its federated credential web" in output, output
    status, output = site.play(**named, pod_identity_uninstall_protected_identities=[site.billing])
    assert (status, "billing is protected" in output) == (2, True), output
    odd = {"pod_identity_uninstall_delete_identities": ["billing"]}
    for variables, sentence in (
        (odd, "billing in pod_identity_uninstall_delete_identities"),
        ({"pod_identity_uninstall_vault_id": "shop"}, "There is no vault password with the id 'shop' in this run"),
    ):
        status, output = site.play(**variables)
        assert (status, sentence in output) == (2, True), output
    assert site.look() == before and site.bundles() == []
    assert site.modules.writes(mark) == []
