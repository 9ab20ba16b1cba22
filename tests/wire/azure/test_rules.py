# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the simulated Azure refuses, delays and breaks: roles, locks, replication, scale sets, IMDS, faults."""

from __future__ import annotations

import asyncio
import json
import threading
import time
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
import requests

from azsandbox.azure import ids, rbac
from azsandbox.azure.loopback import Credentials, SimulatedAzure
from azsandbox.azure.roles import BUILT_IN

OPERATOR = "f1a07417-d97a-45cb-824c-7a7467783830"
READER = "acdd72a7-3385-48ef-bd42-f606fba81ae7"
IDENTITIES = "/providers/Microsoft.ManagedIdentity/userAssignedIdentities"
ASSIGN = "Microsoft.ManagedIdentity/userAssignedIdentities/assign/action"
NODES = "/resourceGroups/MC_rg_c1_westeurope"
SETS = "Microsoft.Compute/virtualMachineScaleSets"
CLUSTER = "/resourceGroups/rg/providers/Microsoft.ContainerService/managedClusters/c1"


def code(answer: requests.Response) -> str:
    body = answer.json()
    return str(body.get("error", body)["code"])


# roles: the pure rules

BY_NAME = {role.name: role for role in BUILT_IN}


@pytest.mark.parametrize(
    ("role", "action", "allowed"),
    [
        ("Owner", "Microsoft.Authorization/roleAssignments/write", True),
        ("Contributor", "Microsoft.Compute/virtualMachineScaleSets/write", True),
        ("Contributor", "Microsoft.Authorization/roleAssignments/write", False),
        ("Contributor", "microsoft.authorization/locks/delete", False),
        ("Reader", "Microsoft.ContainerService/managedClusters/read", True),
        ("Reader", "Microsoft.ContainerService/managedClusters/listClusterUserCredential/action", False),
        ("Managed Identity Operator", ASSIGN, True),
        ("Managed Identity Operator", "Microsoft.ManagedIdentity/userAssignedIdentities/read", True),
        ("Managed Identity Operator", "Microsoft.ManagedIdentity/userAssignedIdentities/write", False),
        ("Virtual Machine Contributor", f"{SETS}/write", True),
        ("Virtual Machine Contributor", f"{SETS}/virtualMachines/runCommand/action", True),
        ("Virtual Machine Contributor", ASSIGN, False),
        ("User Access Administrator", "Microsoft.Authorization/roleAssignments/write", True),
        ("User Access Administrator", "Microsoft.Resources/subscriptions/resourceGroups/write", False),
    ],
)
def test_role(role: str, action: str, allowed: bool) -> None:
    assert rbac.role_allows(BY_NAME[role], action) is allowed


@pytest.mark.parametrize(
    ("scope", "inner", "within"),
    [
        ("/subscriptions/s", "/subscriptions/S/resourceGroups/rg", True),
        ("/subscriptions/s/resourcegroups/rg", "/subscriptions/s/resourceGroups/rg2", False),
        ("/subscriptions/s/resourceGroups/rg", "/subscriptions/s", False),
        ("/", "/subscriptions/s", True),
    ],
)
def test_scope(scope: str, inner: str, within: bool) -> None:
    assert ids.is_within(inner, scope) is within


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("/subscriptions/s/resourceGroups/g", "/subscriptions/s/resourceGroups/g"),
        ("/subscriptions/s/resourceGroups", "/subscriptions/s"),
        ("/subscriptions/s/resourceGroups/g/providers/N/t", "/subscriptions/s/resourceGroups/g"),
        ("/subscriptions/s/resourceGroups/g/providers/N/t/n", "/subscriptions/s/resourceGroups/g/providers/N/t/n"),
        ("/subscriptions/s/resourceGroups/g/providers/N/t/n/act", "/subscriptions/s/resourceGroups/g/providers/N/t/n"),
        ("/s/x/providers/N/t/n/providers/A/r/1", "/s/x/providers/N/t/n/providers/A/r/1"),
        ("/s/x/providers/N/t/n/providers/A/r", "/s/x/providers/N/t/n"),
    ],
)
def test_target(path: str, target: str) -> None:
    assert ids.target(path) == target


# roles: enforced


@pytest.mark.parametrize(
    ("role", "method", "path", "status"),
    [
        ("Reader", "GET", "/resourceGroups/rg", 200),
        ("Reader", "PUT", "/resourceGroups/rg", 403),
        ("Reader", "DELETE", "/resourceGroups/rg", 403),
        ("Reader", "GET", f"/resourceGroups/rg{IDENTITIES}/demo", 200),
        ("Reader", "DELETE", f"/resourceGroups/rg{IDENTITIES}/demo", 403),
        ("Reader", "GET", "/resourceGroups/other", 403),
        ("Reader", "GET", "/resourceGroups/missing", 403),
        ("Managed Identity Contributor", "DELETE", f"/resourceGroups/rg{IDENTITIES}/demo", 200),
        ("Contributor", "GET", "/resourceGroups/rg/providers/Microsoft.Authorization/roleAssignments", 200),
    ],
)
def test_enforced(azure: SimulatedAzure, role: str, method: str, path: str, status: int) -> None:
    made = azure.identity("demo")
    azure.group("other")
    who = azure.principal("somebody", (role, made["id"].partition("/providers/")[0]))
    answer = azure.arm(method, path, {"location": "westeurope"} if method == "PUT" else None, who=who)
    assert answer.status_code == status, answer.text
    said = f"The client '{who.client_id}' with object id '{who.object_id}' does not have authorization"
    assert status != 403 or code(answer) == "AuthorizationFailed" and said in answer.text


def test_nobody_gives_what_is_not_theirs_to_give(azure: SimulatedAzure) -> None:
    made = azure.identity("demo")
    group = made["id"].partition("/providers/")[0]
    contributor = azure.principal("contributor", ("Contributor", group))
    administrator = azure.principal("administrator", ("User Access Administrator", made["id"]))
    principal = made["properties"]["principalId"]
    assert code(azure.assign(made["id"], READER, principal, who=contributor)) == "AuthorizationFailed"
    assert azure.assign(made["id"], READER, principal, who=administrator).status_code == 201
    assert code(azure.assign(group, READER, principal, who=administrator)) == "AuthorizationFailed"


def test_a_fault_may_have_to_wait_for_a_write(azure: SimulatedAzure) -> None:
    azure.control("POST", "/faults", {"method": "GET", "path": "/resourceGroups/", "behind": 1, "status": 418})
    assert azure.arm("GET", "/resourceGroups/rg").status_code == 404
    assert azure.arm("PUT", "/resourceGroups/rg", {"location": "westeurope"}).status_code == 201
    assert [azure.arm("GET", "/resourceGroups/rg").status_code for _time in range(2)] == [418, 200]


def test_enforcement_can_be_turned_off(azure: SimulatedAzure) -> None:
    who = azure.principal("nobody")
    assert azure.arm("PUT", "/resourceGroups/rg", {"location": "westeurope"}, who=who).status_code == 403
    azure.control("POST", "/settings", {"enforce_rbac": False})
    assert azure.arm("PUT", "/resourceGroups/rg", {"location": "westeurope"}, who=who).status_code == 201


def test_a_role_takes_effect_after_its_delay(azure: SimulatedAzure) -> None:
    azure.group()
    who = azure.principal("late")
    scope = f"/subscriptions/{azure.subscription_id}/resourceGroups/rg"
    azure.control("POST", "/settings", {"time_scale": 1.0, "role_assignment_delay": 0.5})
    began = time.monotonic()
    assert azure.assign(scope, READER, who.object_id).status_code == 201
    assert azure.arm("GET", "/resourceGroups/rg", who=who).status_code == 403
    while azure.arm("GET", "/resourceGroups/rg", who=who).status_code == 403:
        assert time.monotonic() - began < 10
    assert time.monotonic() - began >= 0.5


def test_lists_show_what_may_be_read(azure: SimulatedAzure) -> None:
    made = azure.identity("demo")
    azure.group("other")
    who = azure.principal("reader", ("Reader", made["id"].partition("/providers/")[0]))
    assert [g["name"] for g in azure.arm("GET", "/resourceGroups", who=who).json()["value"]] == ["rg"]
    assert [r["name"] for r in azure.arm("GET", "/resources", who=who).json()["value"]] == ["demo"]
    for text, names in (("name eq 'demo'", ["demo"]), ("resourceGroup eq 'other'", []), ("location ne 'x'", None)):
        answer = azure.arm("GET", "/resources", params={"$filter": text})
        assert answer.status_code == (200 if names is not None else 501)
        assert names is None or [r["name"] for r in answer.json()["value"]] == names
    assert len(azure.arm("GET", "/subscriptions", who=who).json()["value"]) == 1
    assert azure.arm("GET", "/subscriptions", who=azure.principal("nobody")).json()["value"] == []


def test_subscriptions_keep_to_themselves(azure: SimulatedAzure) -> None:
    azure.identity("demo")
    other = f"/subscriptions/{azure.subscription('other')}"
    assert azure.arm("GET", f"{other}/resourceGroups").json()["value"] == []
    assert code(azure.arm("PUT", f"{other}/resourceGroups/rg{IDENTITIES}/x", {"location": "westeurope"})) == (
        "ResourceGroupNotFound"
    )
    azure.arm("PUT", f"{other}/resourceGroups/rg", {"location": "eastus"}).raise_for_status()
    made = azure.arm("PUT", f"{other}/resourceGroups/rg{IDENTITIES}/demo", {"location": "eastus"}).json()
    assert made["id"].startswith(f"{other}/")
    assert [each["id"] for each in azure.arm("GET", f"{other}{IDENTITIES}").json()["value"]] == [made["id"]]
    assert len(azure.arm("GET", f"/subscriptions/{azure.subscription_id}{IDENTITIES}").json()["value"]) == 1

    # A role in one of them is none in the other, and only its subscription is seen.
    who = azure.principal("operator", ("Contributor", other))
    names = [each["displayName"] for each in azure.arm("GET", "/subscriptions", who=who).json()["value"]]
    assert names == ["other"]
    assert azure.arm("GET", made["id"], who=who).status_code == 200
    assert azure.arm("GET", "/resourceGroups/rg", who=who).status_code == 403
    granted = azure.assign(made["id"], READER, who.object_id).json()["properties"]
    assert granted["roleDefinitionId"].startswith(f"{other}/providers/")
    azure.arm("POST", f"{other}/providers/Microsoft.ManagedIdentity/unregister").raise_for_status()
    assert code(azure.arm("PUT", made["id"], {"location": "eastus"})) == "MissingSubscriptionRegistration"
    azure.identity("demo")
    assert code(azure.arm("GET", f"/subscriptions/{uuid.uuid4()}/resourceGroups")) == "SubscriptionNotFound"


def test_deny_assignment(azure: SimulatedAzure) -> None:
    made = azure.cluster(nodeResourceGroupProfile={"restrictionLevel": "ReadOnly"})
    path = f"{NODES}{IDENTITIES}/x"
    answer = azure.arm("PUT", path, {"location": "westeurope"})
    assert (answer.status_code, code(answer)) == (403, "DenyAssignmentAuthorizationFailed")
    assert azure.arm("GET", f"{NODES}/resources").status_code == 200
    listed = azure.arm("GET", f"{NODES}/providers/Microsoft.Authorization/denyAssignments").json()["value"]
    assert [d["properties"]["excludePrincipals"][0]["id"] for d in listed] == [made["identity"]["principalId"]]


# tokens at ARM


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, "AuthenticationFailed"),
        ("Bearer nonsense", "InvalidAuthenticationToken"),
        ("Bearer " + jwt.encode({"aud": "https://management.azure.com"}, "k" * 32), "InvalidAuthenticationToken"),
    ],
)
def test_unauthenticated(azure: SimulatedAzure, header: str | None, expected: str) -> None:
    url = f"{azure.endpoints.arm}/subscriptions?api-version=2022-12-01"
    answer = azure.session.get(url, headers={"Authorization": header} if header else {}, timeout=20)
    assert (answer.status_code, code(answer)) == (401, expected)
    assert answer.headers["WWW-Authenticate"].startswith(f'Bearer authorization_uri="{azure.endpoints.entra}/')


@pytest.mark.parametrize(
    ("scope", "status"),
    [
        ("https://management.azure.com/.default", 200),
        ("https://management.azure.com//.default", 200),
        ("https://management.core.windows.net/.default", 200),
        ("https://management.core.windows.net//.default", 200),
        ("https://vault.azure.net/.default", 401),
    ],
)
def test_audience(azure: SimulatedAzure, scope: str, status: int) -> None:
    headers = {"Authorization": f"Bearer {azure.token(scope=scope)}"}
    url = f"{azure.endpoints.arm}/subscriptions?api-version=2022-12-01"
    assert azure.session.get(url, headers=headers, timeout=20).status_code == status


def test_expired_token(azure: SimulatedAzure) -> None:
    server = azure.server.azure
    principal = server.state.principals[azure.owner.object_id]
    token = server.signer.mint(principal, "https://management.azure.com", lifetime=-1)
    url = f"{azure.endpoints.arm}/subscriptions?api-version=2022-12-01"
    answer = azure.session.get(url, headers={"Authorization": f"Bearer {token}"}, timeout=20)
    assert (answer.status_code, code(answer)) == (401, "ExpiredAuthenticationToken")


def test_api_version_is_required(azure: SimulatedAzure) -> None:
    headers = {"Authorization": f"Bearer {azure.token()}"}
    answer = azure.session.get(f"{azure.endpoints.arm}/subscriptions", headers=headers, timeout=20)
    assert (answer.status_code, code(answer)) == (400, "MissingApiVersionParameter")


def test_operation_urls_are_followed_verbatim(azure: SimulatedAzure) -> None:
    azure.cluster()
    url = azure.arm("PATCH", CLUSTER, {"tags": {"a": "b"}}).headers["Azure-AsyncOperation"]
    assert azure.arm("GET", url).status_code == 200
    assert azure.arm("GET", url.partition("&t=")[0]).status_code == 403


# directory replication and role assignments


@pytest.mark.parametrize(("principal_type", "refusals"), [(None, 3), ("ServicePrincipal", 0)])
def test_principal_not_found(azure: SimulatedAzure, principal_type: str | None, refusals: int) -> None:
    made = azure.identity("demo")
    given = (made["id"], READER, made["properties"]["principalId"])
    answers = [azure.assign(*given, principalType=principal_type) for _attempt in range(refusals + 1)]
    assert [a.status_code for a in answers] == [400] * refusals + [201]
    assert {code(a) for a in answers[:-1]} <= {"PrincipalNotFound"}


@pytest.mark.parametrize(
    ("change", "status", "expected"),
    [
        ({}, 201, None),
        ({"description": "why"}, 201, None),
        ({"name": str(uuid.uuid4())}, 409, "RoleAssignmentExists"),
        ({"role": OPERATOR}, 400, "RoleAssignmentUpdateNotPermitted"),
        ({"principal": str(uuid.uuid4())}, 400, "RoleAssignmentUpdateNotPermitted"),
        ({"role": str(uuid.uuid4()), "name": str(uuid.uuid4())}, 404, "RoleDefinitionDoesNotExist"),
        ({"name": "no-guid"}, 400, "InvalidRoleAssignmentId"),
        ({"name": str(uuid.uuid4()), "principalType": "User", "role": OPERATOR}, 400, "UnmatchedPrincipalType"),
    ],
)
def test_second_assignment(azure: SimulatedAzure, change: dict[str, str], status: int, expected: str | None) -> None:
    made = azure.identity("demo")
    name, principal = str(uuid.uuid4()), made["properties"]["principalId"]
    assert azure.assign(made["id"], READER, principal, name=name).status_code == 201
    answer = azure.assign(made["id"], **{"name": name, "role": READER, "principal": principal, **change})
    assert answer.status_code == status, answer.text
    assert expected is None or code(answer) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("atScope()", {"subscription", "group"}),
        ("principalId eq '{p}'", {"group", "identity"}),
        ("assignedTo('{p}')", {"group", "identity"}),
        ("atScope() and assignedTo('{p}')", {"group"}),
        ("", {"subscription", "group", "identity"}),
        ("atScope() and principalId eq '{p}'", None),
        ("createdBy eq 'x'", None),
    ],
)
def test_assignment_filters(azure: SimulatedAzure, text: str, expected: set[str] | None) -> None:
    made = azure.identity("demo")
    principal = made["properties"]["principalId"]
    group = made["id"].partition("/providers/")[0]
    for scope in (group, made["id"]):
        azure.assign(scope, READER, principal).raise_for_status()
    scopes = {f"/subscriptions/{azure.subscription_id}": "subscription", group: "group", made["id"]: "identity"}
    params = {"$filter": text.format(p=principal)} if text else {}
    answer = azure.arm("GET", f"{group}/providers/Microsoft.Authorization/roleAssignments", params=params)
    if expected is None:
        assert (answer.status_code, code(answer)) == (400, "UnsupportedQuery")
    else:
        assert {scopes[a["properties"]["scope"]] for a in answer.json()["value"]} == expected


# locks


@pytest.mark.parametrize(
    ("level", "method", "path", "status"),
    [
        ("CanNotDelete", "PUT", f"/resourceGroups/rg{IDENTITIES}/demo", 200),
        ("CanNotDelete", "DELETE", f"/resourceGroups/rg{IDENTITIES}/demo", 409),
        ("CanNotDelete", "DELETE", "/resourceGroups/rg", 409),
        ("ReadOnly", "GET", f"/resourceGroups/rg{IDENTITIES}/demo", 200),
        ("ReadOnly", "PUT", f"/resourceGroups/rg{IDENTITIES}/demo", 409),
        ("ReadOnly", "PUT", "/resourceGroups/other", 201),
    ],
)
def test_lock(azure: SimulatedAzure, level: str, method: str, path: str, status: int) -> None:
    azure.identity("demo")
    lock = "/resourceGroups/rg/providers/Microsoft.Authorization/locks/keep"
    assert azure.arm("PUT", lock, {"properties": {"level": level}}).status_code == 201
    answer = azure.arm(method, path, {"location": "westeurope"} if method == "PUT" else None)
    assert answer.status_code == status, answer.text
    if status == 409:
        assert code(answer) == "ScopeLocked"
    assert azure.arm("DELETE", lock).status_code == 200


def test_a_locked_resource_keeps_its_group(azure: SimulatedAzure) -> None:
    made = azure.identity("demo")
    lock = f"{made['id']}/providers/Microsoft.Authorization/locks/keep"
    azure.arm("PUT", lock, {"properties": {"level": "CanNotDelete"}}).raise_for_status()
    assert code(azure.arm("DELETE", "/resourceGroups/rg")) == "ScopeLocked"


# federated credentials


def credential(azure: SimulatedAzure, name: str, subject: str) -> requests.Response:
    properties = {"issuer": "https://i.example/", "subject": subject, "audiences": ["api://AzureADTokenExchange"]}
    path = f"/resourceGroups/rg{IDENTITIES}/demo/federatedIdentityCredentials/{name}"
    return azure.arm("PUT", path, {"properties": properties})


def test_federated_credential_limits(azure: SimulatedAzure) -> None:
    azure.identity("demo")
    for number in range(20):
        assert credential(azure, f"fic{number}", f"s{number}").status_code == 201
    assert credential(azure, "fic0", "s0").status_code == 200
    assert credential(azure, "fic1", "s0").status_code == 409
    assert "maximum is 20" in credential(azure, "fic20", "s20").text


def test_federated_credentials_are_written_one_at_a_time(azure: SimulatedAzure) -> None:
    azure.identity("demo")
    azure.control("POST", "/settings", {"time_scale": 1.0, "federated_credential_write": 0.5})
    answers: list[requests.Response] = []
    threads = [
        threading.Thread(target=lambda n=n: answers.append(credential(azure, f"fic{n}", f"s{n}"))) for n in (1, 2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(a.status_code for a in answers) == [201, 409]
    refused = next(a for a in answers if a.status_code == 409)
    assert code(refused) == "ConcurrentFederatedIdentityCredentialsWritesForSingleManagedIdentity"


# clusters


@pytest.mark.parametrize(
    ("change", "status", "expected"),
    [
        ({"dnsPrefix": "other"}, 400, "PropertyChangeNotAllowed"),
        ({"networkProfile": {"networkPlugin": "kubenet"}}, 400, "PropertyChangeNotAllowed"),
        ({"oidcIssuerProfile": {"enabled": False}}, 400, "OIDCIssuerFeatureCannotBeDisabled"),
        ({"agentPoolProfiles": [{"name": "nodepool1", "count": 5}]}, 501, "NotImplemented"),
        ({"somethingNew": {"mode": "On"}}, 200, None),
    ],
)
def test_cluster_update(azure: SimulatedAzure, change: dict[str, Any], status: int, expected: str | None) -> None:
    made = azure.cluster(oidcIssuerProfile={"enabled": True})
    answer = azure.arm("PUT", CLUSTER, {"location": "westeurope", "properties": change})
    assert answer.status_code == status, answer.text
    if expected:
        assert (code(answer), azure.arm("GET", CLUSTER).json()) == (expected, made)
        return
    azure.wait(answer)
    found = azure.arm("GET", CLUSTER).json()
    assert found["properties"]["somethingNew"] == {"mode": "On"}


def test_what_is_absent_while_creating(azure: SimulatedAzure) -> None:
    gate = asyncio.Event()
    azure.compute.pause = gate.wait
    azure.group()
    made = azure.begin_cluster()
    assert made.status_code == 201
    found = azure.arm("GET", CLUSTER).json()
    assert found["properties"]["provisioningState"] == "Creating"
    assert "identityProfile" not in found["properties"]
    assert "eTag" not in found
    busy = azure.begin_cluster()
    assert (busy.status_code, code(busy)) == (409, "OperationNotAllowed")
    assert azure.arm("POST", f"{CLUSTER}/listClusterUserCredential").status_code == 404
    azure.in_loop(gate.set)
    assert azure.wait(made)["status"] == "Succeeded"


def test_a_cluster_of_a_service_principal(azure: SimulatedAzure) -> None:
    """The old kind: no identity of its own, none of the kubelet."""
    azure.group()
    pools = [{"name": "p", "count": 1, "mode": "System"}]
    properties = {"dnsPrefix": "c", "agentPoolProfiles": pools, "servicePrincipalProfile": {"clientId": "missing"}}
    body = {"location": "westeurope", "properties": properties}
    assert code(azure.arm("PUT", CLUSTER, body)) == "ServicePrincipalNotFound"
    who = azure.principal("cluster")
    properties["servicePrincipalProfile"] = {"clientId": who.client_id, "secret": who.secret}
    assert azure.wait(azure.arm("PUT", CLUSTER, body))["status"] == "Succeeded"
    found = azure.arm("GET", CLUSTER).json()
    assert "identity" not in found
    assert "identityProfile" not in found["properties"]
    assert found["properties"]["servicePrincipalProfile"] == {"clientId": who.client_id}
    assert carried(azure) == set()


def test_etag_conditions(azure: SimulatedAzure) -> None:
    assert "eTag" not in azure.cluster()
    azure.control("POST", "/settings", {"cluster_etags": True})
    made = azure.arm("GET", CLUSTER).json()
    body = {"location": "westeurope", "properties": {}}
    assert azure.arm("PUT", CLUSTER, body, headers={"If-Match": "other"}).status_code == 412
    assert azure.arm("PUT", CLUSTER, body, headers={"If-None-Match": "*"}).status_code == 412
    assert azure.arm("PUT", CLUSTER, body, headers={"If-Match": made["eTag"]}).status_code == 200


def test_pod_identity_needs_the_clusters_right(azure: SimulatedAzure) -> None:
    made, cluster = azure.identity("demo"), azure.cluster()
    ids = {"clientId": made["properties"]["clientId"], "objectId": made["properties"]["principalId"]}
    entry = {"name": "n", "namespace": "ns", "identity": {"resourceId": made["id"], **ids}}

    def put(**profile: Any) -> list[dict[str, Any]]:
        """The entries then."""
        body = {"location": "westeurope", "properties": {"podIdentityProfile": profile}}
        azure.wait(azure.arm("PUT", CLUSTER, body))
        shown = azure.arm("GET", CLUSTER).json()["properties"]["podIdentityProfile"]
        return list(shown.get("userAssignedIdentities", ()))

    def handed_out() -> list[tuple[str, str]] | None:
        """What the machines were told."""
        addon = azure.compute.clusters[cluster["id"].lower()].pod_identity
        return None if addon is None else [(one.name, one.selector) for one in addon.identities]

    assert handed_out() is None
    (failed,) = put(enabled=True, userAssignedIdentities=[entry])
    assert handed_out() == []
    assert failed["provisioningState"] == "Failed"
    assert failed["provisioningInfo"]["error"]["error"]["code"] == "LinkedAuthorizationFailed"
    principal = cluster["identity"]["principalId"]
    azure.assign(made["id"], OPERATOR, principal).raise_for_status()
    (assigned,) = put(enabled=True, userAssignedIdentities=[entry])
    assert assigned["provisioningState"] == "Assigned"
    assert made["id"].lower() in carried(azure) and handed_out() == [("n", "n")]
    assert put(enabled=True, userAssignedIdentities=[]) == [] and handed_out() == []
    assert made["id"].lower() not in carried(azure)
    assert put(enabled=False) == [] and handed_out() is None


# scale sets


def scale_set_path(azure: SimulatedAzure) -> str:
    return str(azure.first_instance()["id"]).partition("/virtualMachines/")[0]


def carried(azure: SimulatedAzure) -> set[str]:
    identities = azure.arm("GET", scale_set_path(azure)).json().get("identity") or {}
    found = identities.get("userAssignedIdentities") or {}
    return {key.lower() for key in found}


def patch(azure: SimulatedAzure, kind: str, identities: dict[str, Any] | None, **more: Any) -> requests.Response:
    body = {"identity": {"type": kind, "userAssignedIdentities": identities}}
    return azure.arm("PATCH", scale_set_path(azure), body, version="2019-12-01", **more)


def test_identity_patch_merges(azure: SimulatedAzure) -> None:
    one, two = azure.identity("one"), azure.identity("two")
    azure.cluster()
    before = carried(azure)
    answer = patch(azure, "UserAssigned", {one["id"].lower(): {}, two["id"].upper(): {}})
    azure.wait(answer)
    assert carried(azure) == before | {one["id"].lower(), two["id"].lower()}
    azure.wait(patch(azure, "UserAssigned", {one["id"].lower(): None}))
    assert carried(azure) == before | {two["id"].lower()}
    found = azure.arm("GET", scale_set_path(azure)).json()["identity"]["userAssignedIdentities"]
    assert all(entry.get("clientId") for entry in found.values())
    azure.wait(patch(azure, "None", None))
    assert carried(azure) == set()


@pytest.mark.parametrize(
    ("kind", "status", "expected"),
    [
        ("UserAssigned", 400, "FailedIdentityOperation"),
        ("SystemAssigned", 400, "InvalidIdentityType"),
        ("Whatever", 400, "InvalidIdentityType"),
    ],
)
def test_refused_identity_patch(azure: SimulatedAzure, kind: str, status: int, expected: str) -> None:
    made = azure.cluster()
    missing = f"{made['id'].partition('/providers/')[0]}{IDENTITIES}/missing"
    before = carried(azure)
    answer = patch(azure, kind, {missing: {}})
    assert (answer.status_code, code(answer)) == (status, expected)
    assert carried(azure) == before


@pytest.mark.parametrize(("number", "said"), [(150, "was not found"), (151, "exceed limit '150' in one request")])
def test_a_patch_names_150_identities_at_most(azure: SimulatedAzure, number: int, said: str) -> None:
    """Aad-pod-identity issue 813."""
    made = azure.cluster()
    group = made["id"].partition("/providers/")[0]
    answer = patch(azure, "UserAssigned", {f"{group}{IDENTITIES}/missing-{one}": {} for one in range(number)})
    assert (answer.status_code, code(answer)) == (400, "FailedIdentityOperation") and said in answer.text


def test_attaching_needs_the_right_to_assign(azure: SimulatedAzure) -> None:
    made = azure.identity("demo")
    azure.cluster()
    scope = scale_set_path(azure).partition("/providers/")[0]
    who = azure.principal("mic", ("Virtual Machine Contributor", scope))
    answer = patch(azure, "UserAssigned", {made["id"]: {}}, who=who)
    assert (answer.status_code, code(answer)) == (403, "LinkedAuthorizationFailed")
    assert f"on the linked scope(s) '{made['id']}'" in answer.text
    azure.assign(made["id"], OPERATOR, who.object_id).raise_for_status()
    assert patch(azure, "UserAssigned", {made["id"]: {}}, who=who).status_code == 200
    assert patch(azure, "UserAssigned", {made["id"]: None}, who=who).status_code == 200


# run-command


def run(azure: SimulatedAzure, script: list[str], **more: Any) -> requests.Response:
    path = f"{azure.first_instance()['id']}/runCommand"
    return azure.arm("POST", path, {"commandId": "RunShellScript", "script": script, **more})


def test_run_command(azure: SimulatedAzure) -> None:
    azure.cluster()
    azure.compute.command_result = (3, b"x" * 5000 + b"end", b"oops")
    answer = run(azure, ["echo $1"], parameters=[{"name": "who", "value": "a b"}])
    assert answer.status_code == 202
    body = azure.wait(answer)
    message = body["properties"]["output"]["value"][0]["message"]
    said = "Enable failed: failed to execute command: command terminated with exit status=3\n[stdout]\n"
    assert message.startswith(said)
    assert message.endswith("end\n[stderr]\noops")
    assert len(message.partition("[stdout]\n")[2].partition("\n[stderr]")[0]) == 4096
    assert azure.compute.commands[-1][1] == "set -- 'a b'\nexport who='a b'\necho $1"
    assert azure.arm("GET", answer.headers["Location"]).json() == body["properties"]["output"]


def test_run_command_limits(azure: SimulatedAzure) -> None:
    azure.cluster()
    assert code(run(azure, ["#" * (256 * 1024 + 1)])) == "InvalidParameter"
    azure.compute.command_gate = asyncio.Event()
    first = run(azure, ["true"])
    assert first.status_code == 202
    second = run(azure, ["true"])
    assert (second.status_code, code(second)) == (409, "Conflict")
    azure.in_loop(azure.compute.command_gate.set)
    assert azure.wait(first)["status"] == "Succeeded"
    assert run(azure, ["true"]).status_code == 202


# reimage


@pytest.mark.parametrize(
    ("path", "body", "numbers"),
    [
        ("/virtualMachines/1/reimage", None, [1]),
        ("/reimage", {"instanceIds": ["1"]}, [1]),
        ("/reimageall", {"instanceIds": ["1"]}, [1]),
        ("/reimage", {}, [0, 1]),
    ],
    ids=["instance", "named", "named by az", "the whole scale set"],
)
def test_reimage(azure: SimulatedAzure, path: str, body: Any, numbers: list[int]) -> None:
    azure.cluster()
    scale_set = scale_set_path(azure)
    before = azure.arm("GET", f"{scale_set}/virtualMachines/1").json()
    answer = azure.arm("POST", scale_set + path, body)
    assert (answer.status_code, answer.text) == (202, "")
    assert azure.wait(answer)["status"] == "Succeeded"
    assert sorted(azure.compute.reimaged) == [f"{scale_set}/virtualMachines/{number}" for number in numbers]
    assert azure.arm("GET", answer.headers["Location"]).status_code == 200
    assert azure.arm("GET", f"{scale_set}/virtualMachines/1").json() == before


def test_an_instance_does_one_thing_at_a_time(azure: SimulatedAzure) -> None:
    azure.cluster()
    path = f"{azure.first_instance()['id']}/reimage"
    azure.compute.command_gate = asyncio.Event()
    first = azure.arm("POST", path)
    assert azure.first_instance()["properties"]["provisioningState"] == "Updating"
    for second in (azure.arm("POST", path), run(azure, ["true"])):
        assert (second.status_code, code(second)) == (409, "Conflict")
        assert "conflict with a concurrent request" in second.text
    azure.in_loop(azure.compute.command_gate.set)
    assert azure.wait(first)["status"] == "Succeeded"
    assert azure.first_instance()["properties"]["provisioningState"] == "Succeeded"


@pytest.mark.parametrize(
    ("role", "status"), [("Reader", 403), ("Virtual Machine Contributor", 202), ("Contributor", 202)]
)
def test_who_may_reimage(azure: SimulatedAzure, role: str, status: int) -> None:
    azure.cluster()
    instance = azure.first_instance()["id"]
    who = azure.principal("somebody", (role, instance.partition("/providers/")[0]))
    assert azure.arm("POST", f"{instance}/reimage", who=who).status_code == status
    missing = azure.arm("POST", f"{scale_set_path(azure)}/reimage", {"instanceIds": ["7"]}, who=who)
    assert missing.status_code == (403 if status == 403 else 400)


# IMDS


def imds(azure: SimulatedAzure, **query: str) -> requests.Response:
    params = {"api-version": "2018-02-01", "resource": "https://management.azure.com/", **query}
    url = f"{azure.endpoints.imds}/metadata/identity/oauth2/token"
    return azure.session.get(url, params=params, headers={"Metadata": "true"}, timeout=20)


def on_a_node(azure: SimulatedAzure) -> None:
    azure.compute.addresses["127.0.0.1"] = azure.first_instance()["id"]


@pytest.mark.parametrize(
    ("query", "description"),
    [
        ({"resource": ""}, "Required query variable 'resource' is missing"),
        ({"api-version": ""}, "Required query variable 'api-version' is missing"),
        ({"client_id": str(uuid.uuid4())}, "Identity not found"),
        ({"resource": "https://unknown.example"}, "AADSTS500011"),
    ],
)
def test_imds_refuses(azure: SimulatedAzure, query: dict[str, str], description: str) -> None:
    azure.cluster()
    on_a_node(azure)
    answer = imds(azure, **query)
    assert answer.status_code == 400
    assert description in answer.json()["error_description"]
    assert answer.headers["Server"] == "IMDS/150.870.65.1852"


def test_imds_gives_what_the_scale_set_carries_now(azure: SimulatedAzure) -> None:
    made = azure.identity("demo")
    azure.cluster()
    on_a_node(azure)
    client = made["properties"]["clientId"]
    assert "Identity not found" in imds(azure, client_id=client).text
    azure.wait(patch(azure, "UserAssigned", {made["id"]: {}}))
    for selector in ({"client_id": client}, {"msi_res_id": made["id"].upper()}, {"mi_res_id": made["id"]}):
        answer = imds(azure, **selector)
        assert answer.status_code == 200, answer.text
        claims = jwt.decode(answer.json()["access_token"], options={"verify_signature": False})
        assert (claims["appid"], claims["aud"]) == (client, "https://management.azure.com/")
    assert "Multiple user assigned identities exist" in imds(azure).text
    azure.wait(patch(azure, "UserAssigned", {made["id"]: None}))
    assert "Identity not found" in imds(azure, client_id=client).text
    assert imds(azure).status_code == 200


def test_imds_caches(azure: SimulatedAzure) -> None:
    azure.cluster()
    on_a_node(azure)
    tokens = [imds(azure, resource=r).json()["access_token"] for r in ("https://vault.azure.net",) * 2]
    assert tokens[0] == tokens[1]
    assert imds(azure).json()["access_token"] not in tokens


def test_imds_and_a_ghost(azure: SimulatedAzure) -> None:
    """An identity that was deleted and made again leaves a dead entry on the scale set."""
    made = azure.identity("demo")
    azure.cluster()
    on_a_node(azure)
    azure.wait(patch(azure, "UserAssigned", {made["id"]: {}}))
    azure.arm("DELETE", made["id"]).raise_for_status()
    again = azure.identity("demo")
    assert "Identity not found" in imds(azure, client_id=made["properties"]["clientId"]).text
    assert "Identity not found" in imds(azure, client_id=again["properties"]["clientId"]).text


def test_imds_token_is_a_principals(azure: SimulatedAzure) -> None:
    """What a node may do at ARM follows from the role assignments of its kubelet identity."""
    made = azure.cluster()
    on_a_node(azure)
    headers = {"Authorization": f"Bearer {imds(azure).json()['access_token']}"}
    url = f"{azure.endpoints.arm}{scale_set_path(azure)}?api-version=2019-12-01"
    assert azure.session.get(url, headers=headers, timeout=20).status_code == 403
    kubelet = made["properties"]["identityProfile"]["kubeletidentity"]["objectId"]
    scope = scale_set_path(azure).partition("/providers/")[0]
    azure.assign(scope, READER, kubelet).raise_for_status()
    assert azure.session.get(url, headers=headers, timeout=20).status_code == 200


def test_imds_knows_its_machines(azure: SimulatedAzure) -> None:
    azure.cluster()
    assert imds(azure).status_code == 404
    on_a_node(azure)
    url = f"{azure.endpoints.imds}/metadata/instance?api-version=2021-02-01"
    found = azure.session.get(url, headers={"Metadata": "true"}, timeout=20).json()["compute"]
    assert found["resourceId"] == azure.first_instance()["id"]
    assert found["resourceGroupName"] == "MC_rg_c1_westeurope"


# faults, log, reset


@pytest.mark.parametrize(
    ("rule", "statuses"),
    [
        ({"status": 429, "headers": {"Retry-After": "7"}}, [429, 201, 200]),
        ({"status": 500, "nth": 2}, [201, 500, 200]),
        ({"status": 503, "count": 2}, [503, 503, 201]),
        ({"status": 503, "count": 0}, [503, 503, 503]),
        ({"status": 409, "method": "GET"}, [201, 200, 200]),
        ({"status": 409, "path": "/resourceGroups/other"}, [201, 200, 200]),
        ({"status": 502, "after": True}, [502, 200, 200]),
        ({"delay": 0.2}, [201, 200, 200]),
    ],
)
def test_fault(azure: SimulatedAzure, rule: dict[str, Any], statuses: list[int]) -> None:
    body = {"error": {"code": "Injected", "message": "injected"}}
    azure.control("POST", "/faults", {"method": "PUT", "path": "/resourcegroups/rg", "body": body, **rule})
    began = time.monotonic()
    answers = [azure.arm("PUT", "/resourceGroups/rg", {"location": "westeurope"}) for _attempt in range(3)]
    assert [a.status_code for a in answers] == statuses
    for answer in answers:
        if answer.status_code >= 400:
            assert answer.json() == body
            assert answer.headers.get("Retry-After") == rule.get("headers", {}).get("Retry-After")
    assert time.monotonic() - began >= rule.get("delay", 0)


def test_a_fault_may_answer_with_bytes_that_are_no_text(azure: SimulatedAzure) -> None:
    azure.control("POST", "/faults", {"method": "GET", "path": "/resourcegroups/rg", "status": 200, "body": "\udcff{"})
    answer = azure.arm("GET", "/resourceGroups/rg")
    assert (answer.status_code, answer.content) == (200, b"\xff{")


@pytest.mark.parametrize(("after", "status"), [(False, 404), (True, 200)])
@pytest.mark.parametrize(("how", "error"), [("reset", requests.ConnectionError), ("hang", requests.Timeout)])
def test_no_answer(azure: SimulatedAzure, how: str, error: type[Exception], after: bool, status: int) -> None:
    azure.control("POST", "/faults", {"method": "PUT", "path": "/resourceGroups/rg", how: True, "after": after})
    since = azure.control("GET", "/log")["last"]
    with pytest.raises(error):
        azure.arm("PUT", "/resourceGroups/rg", {"location": "westeurope"}, timeout=0.3 if how == "hang" else 20)
    (entry,) = azure.control("GET", "/log", since=str(since), method="PUT")["entries"]
    assert entry["status"] == 0 or how == "reset"
    assert azure.arm("GET", "/resourceGroups/rg").status_code == status


def test_fault_of_one_client(azure: SimulatedAzure) -> None:
    azure.control("POST", "/faults", {"path": "/resourceGroups", "remote": "198.51.100.10", "status": 500})
    azure.control("POST", "/faults", {"path": "/resourceGroups", "remote": "127.0.0.1", "status": 418, "nth": 2})
    assert [azure.arm("GET", "/resourceGroups").status_code for _attempt in range(2)] == [200, 418]


@pytest.mark.parametrize(
    ("rule", "hit"),
    [
        ({"every": 3}, [3, 6, 9]),
        ({"every": 3, "count": 2}, [3, 6]),
        ({"every": 3, "nth": 1}, [1, 4, 7, 10]),
        ({"every": 4, "nth": 2, "count": 2}, [2, 6]),
        ({"every": 1, "nth": 9, "count": 0}, [9, 10]),
    ],
)
def test_a_fault_of_every_so_manieth(azure: SimulatedAzure, rule: dict[str, int], hit: list[int]) -> None:
    azure.control("POST", "/faults", {"method": "GET", "path": "/resourceGroups", "status": 418, **rule})
    statuses = [azure.arm("GET", "/resourceGroups").status_code for _attempt in range(10)]
    assert [number for number, status in enumerate(statuses, 1) if status == 418] == hit


def test_a_login_by_a_secret_is_no_exchange(azure: SimulatedAzure) -> None:
    azure.control("POST", "/faults", {"aadsts": 700213, "count": 0})
    azure.token()
    azure.control("POST", "/faults", {"path": "#client_id=.*&proof=secret", "aadsts": 7000215})
    with pytest.raises(requests.HTTPError, match="401"):
        azure.token()
    azure.token()


def test_invalid_fault(azure: SimulatedAzure) -> None:
    wrong: tuple[dict[str, Any], ...] = ({"path": "("}, {"sometimes": 2}, {"every": 0})
    for rule in ({}, {"distort": "much"}, *({"status": 500, **each} for each in wrong)):
        with pytest.raises(RuntimeError, match="fault"):
            azure.control("POST", "/faults", rule)


def test_log(azure: SimulatedAzure) -> None:
    azure.group()
    since = azure.control("GET", "/log")["last"]
    azure.arm("GET", "/resourceGroups/rg")
    azure.arm("GET", "/resourceGroups/missing")
    found = azure.control("GET", "/log", method="GET", path="/resourcegroups/", since=str(since))
    assert [(e["status"], e["error"]) for e in found["entries"]] == [(200, ""), (404, "ResourceGroupNotFound")]
    assert found["count"] == 2
    assert {e["caller"] for e in found["entries"]} == {azure.owner.client_id}
    everything = str(azure.control("GET", "/log"))
    assert azure.owner.secret not in everything
    assert "eyJ" not in everything


def test_an_answer_that_is_cut_off(azure: SimulatedAzure) -> None:
    azure.control("POST", "/faults", {"method": "PUT", "path": "/resourceGroups/rg", "cut": True})
    with pytest.raises(requests.exceptions.ChunkedEncodingError, match="IncompleteRead"):
        azure.group()
    assert azure.arm("GET", "/resourceGroups/rg").status_code == 200


def test_distorted_answers(azure: SimulatedAzure) -> None:
    azure.group()
    right = azure.arm("GET", "/resourceGroups").json()
    for nth, how in enumerate(("half", "null", "circle"), 1):
        azure.control("POST", "/faults", {"path": r"/resourceGroups\?", "nth": nth, "distort": how})
    half, null, circle = (azure.arm("GET", "/resourceGroups") for _each in range(3))
    assert [half.status_code, null.status_code, circle.status_code] == [200, 200, 200]
    assert half.text == json.dumps(right)[: len(json.dumps(right)) // 2]
    assert null.json() == {"value": None}
    assert circle.json() == {**right, "nextLink": circle.request.url}
    assert azure.arm("GET", "/resourceGroups").json() == right


def test_reset(azure: SimulatedAzure) -> None:
    azure.cluster()
    azure.control("POST", "/faults", {"status": 500, "path": "never"})
    azure.control("POST", "/settings", {"enforce_rbac": False})
    azure.control("POST", "/reset")
    assert azure.compute.clusters == {}
    assert azure.arm("GET", "/resourceGroups").json()["value"] == []
    assert azure.control("GET", "/faults") == []
    assert azure.control("GET", "/settings")["enforce_rbac"] is True
    assert azure.control("GET", "/state")["counts"] == {"Microsoft.Authorization/roleAssignments": 1}


def test_reset_while_a_cluster_is_made(azure: SimulatedAzure) -> None:
    azure.compute.pause = asyncio.Event().wait
    azure.group()
    assert azure.begin_cluster().status_code == 201
    azure.control("POST", "/reset")
    assert azure.arm("GET", "/resourceGroups").json()["value"] == []


def test_settings(azure: SimulatedAzure) -> None:
    assert azure.control("POST", "/settings", {"time_scale": 2})["time_scale"] == 2.0
    with pytest.raises(RuntimeError, match="no setting"):
        azure.control("POST", "/settings", {"time": 2})


# documents


def test_charts(azure: SimulatedAzure) -> None:
    assert azure.config.charts is not None
    (azure.config.charts / "index.yaml").write_text("entries: {}\n")
    base = f"{azure.endpoints.charts}/Azure/aad-pod-identity/master/charts"
    assert azure.session.get(f"{base}/index.yaml", timeout=20).text == "entries: {}\n"
    assert azure.session.get(f"{base}/missing.tgz", timeout=20).status_code == 404
    assert azure.session.get(f"{base}/..%2Fazure.key", timeout=20).status_code == 404


def test_issuer_documents(azure: SimulatedAzure) -> None:
    url = azure.cluster(oidcIssuerProfile={"enabled": True})["properties"]["oidcIssuerProfile"]["issuerURL"]
    host, _slash, path = url.partition("://")[2].partition("/")

    def get(target: str) -> requests.Response:
        return azure.session.get(f"{azure.endpoints.arm}/{target}", headers={"Host": host}, timeout=20)

    document = get(f"{path}.well-known/openid-configuration").json()
    assert document["issuer"] == url
    assert get(document["jwks_uri"].partition(f"{host}/")[2]).json()["keys"]
    assert get("other/.well-known/openid-configuration").status_code == 404


# Graph


def graph(azure: SimulatedAzure, method: str, path: str, body: Any = None, **params: str) -> requests.Response:
    headers = {"Authorization": f"Bearer {azure.token(scope='https://graph.microsoft.com/.default')}"}
    url = f"{azure.endpoints.graph}/v1.0{path}"
    return azure.session.request(method, url, json=body, params=params, headers=headers, timeout=20)


def test_service_principal_filter(azure: SimulatedAzure) -> None:
    who = azure.principal("somebody")
    by_name = f"servicePrincipalNames/any(c:c eq '{who.client_id}')"
    for text in (f"appId eq '{who.client_id}'", f"id eq '{who.object_id}'", by_name, "displayName eq 'somebody'"):
        (found,) = graph(azure, "GET", "/servicePrincipals", **{"$filter": text}).json()["value"]
        assert (found["id"], found["servicePrincipalNames"]) == (who.object_id, [who.client_id])


def test_objects_by_ids(azure: SimulatedAzure) -> None:
    body = {"ids": [azure.owner.object_id, str(uuid.uuid4())], "types": ["user", "group", "servicePrincipal"]}
    found = graph(azure, "POST", "/directoryObjects/getByIds", body).json()["value"]
    (one,) = [(each["@odata.type"], each["appId"]) for each in found]
    assert one == ("#microsoft.graph.servicePrincipal", azure.owner.client_id)


def test_me_is_for_users(azure: SimulatedAzure) -> None:
    answer = graph(azure, "GET", "/me")
    assert answer.status_code == 400
    assert "delegated authentication flow" in answer.text


# the activity log

EVENTS = "/providers/Microsoft.Insights/eventtypes/management/values"


def since(days: float) -> str:
    moment = datetime.now(UTC) - timedelta(days=days)
    return f"eventTimestamp ge '{moment.strftime('%Y-%m-%dT%H:%M:%SZ')}'"


def log(azure: SimulatedAzure, query: dict[str, str], who: Credentials | None = None) -> requests.Response:
    path = f"/subscriptions/{azure.subscription_id}{EVENTS}"
    return azure.arm("GET", path, version="2015-04-01", params=query, who=who)


def events(azure: SimulatedAzure, asked: str, **more: Any) -> list[dict[str, Any]]:
    """All pages."""
    answer = log(azure, {"$filter": asked, **more})
    answer.raise_for_status()
    found = answer.json()
    value = list(found["value"])
    while "nextLink" in found:
        found = azure.arm("GET", found["nextLink"]).json()
        value += found["value"]
    return value


def test_the_activity_log_has_the_writes_of_a_group(azure: SimulatedAzure) -> None:
    azure.cluster()
    made = azure.identity("demo")
    scale_set = azure.first_instance()["id"].partition("/virtualMachines/")[0]
    asked = {"identity": {"type": "UserAssigned", "userAssignedIdentities": {made["id"].lower(): {}}}}
    azure.arm("PATCH", scale_set, asked, version="2023-09-01").raise_for_status()
    refused = azure.arm("PATCH", scale_set, {"identity": {"type": "?"}}, version="2023-09-01")
    assert refused.status_code == 400
    found = events(azure, f"{since(1)} and resourceGroupName eq 'mc_RG_c1_westeurope'")
    shown = [(each["eventName"]["value"], each["status"]["value"]) for each in found]
    began = ("BeginRequest", "Started")
    assert shown == [("EndRequest", "Failed"), began, ("EndRequest", "Succeeded"), began]
    last = found[-1]
    assert json.loads(last["properties"]["requestbody"]) == asked
    assert last["operationName"]["value"] == "Microsoft.Compute/virtualMachineScaleSets/write"
    assert (last["caller"], last["claims"]["appid"]) == (azure.owner.object_id, azure.owner.client_id)
    assert last["operationId"] == found[-2]["operationId"] != found[0]["operationId"]
    assert last["resourceId"] == scale_set
    (one,) = {tuple(sorted(each)) for each in events(azure, since(1), **{"$select": "caller,properties"})}
    assert one == ("caller", "properties")
    assert events(azure, f"{since(1)} and resourceGroupName eq 'other'") == []


def test_the_activity_log_comes_in_pages_and_asks_for_a_filter(azure: SimulatedAzure) -> None:
    for number in range(102):
        azure.arm("PUT", f"/resourceGroups/rg{number}", {"location": "westeurope"}).raise_for_status()
    found = events(azure, since(1))
    assert len(found) == 204 and len({each["eventDataId"] for each in found}) == 204
    for wrong in ("", since(91), f"{since(1)} and caller eq 'x'"):
        answer = log(azure, {"$filter": wrong})
        assert (answer.status_code, code(answer)) == (400, "BadRequest")


def test_the_activity_log_takes_a_right_on_the_subscription(azure: SimulatedAzure) -> None:
    azure.identity("demo")
    scope = f"/subscriptions/{azure.subscription_id}"
    asked = {"$filter": since(1)}
    reader = azure.principal("reader", ("Reader", scope))
    assert log(azure, asked, who=reader).status_code == 200
    limited = azure.principal("limited", ("Owner", f"{scope}/resourceGroups/rg"))
    answer = log(azure, asked, who=limited)
    assert (answer.status_code, code(answer)) == (403, "AuthorizationFailed")
    assert "Microsoft.Insights/eventtypes/values/read" in answer.text
