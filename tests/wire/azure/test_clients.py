# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Microsoft's own client libraries, unmodified, against the simulated Azure."""

from __future__ import annotations

import re
import time
import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any

import jwt
import pytest
from azure.core.credentials import TokenCredential
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError, ResourceNotFoundError
from azure.identity import (
    CertificateCredential,
    ClientSecretCredential,
    ManagedIdentityCredential,
    WorkloadIdentityCredential,
)
from azure.mgmt.authorization import AuthorizationManagementClient
from azure.mgmt.containerservice import ContainerServiceClient
from azure.mgmt.msi import ManagedServiceIdentityClient
from cryptography.hazmat.primitives.asymmetric import rsa

from ansible_collections.azureops.pod_identity.tests.wire.certificates import rsa_certificate
from azsandbox.azure.loopback import Credentials, SimulatedAzure

ARM_SCOPE = "https://management.azure.com/.default"
OPERATOR = "f1a07417-d97a-45cb-824c-7a7467783830"


def secret_credential(azure: SimulatedAzure, who: Credentials | None = None, **more: Any) -> ClientSecretCredential:
    who = who or azure.owner
    return ClientSecretCredential(more.get("tenant_id", azure.tenant_id), who.client_id, who.secret, **at(azure))


def at(azure: SimulatedAzure) -> dict[str, Any]:
    """How a credential finds the simulated Entra."""
    entra = {"authority": azure.endpoints.entra, "disable_instance_discovery": True}
    return {**entra, "connection_verify": str(azure.ca_file)}


def client(kind: Any, azure: SimulatedAzure, credential: TokenCredential | None = None) -> Any:
    return kind(
        credential or secret_credential(azure),
        azure.subscription_id,
        base_url=azure.endpoints.arm,
        credential_scopes=[ARM_SCOPE],
        connection_verify=str(azure.ca_file),
        polling_interval=0,
    )


def claims(token: str) -> dict[str, Any]:
    return dict(jwt.decode(token, options={"verify_signature": False}))


# credentials


def test_client_secret(azure: SimulatedAzure) -> None:
    found = claims(secret_credential(azure).get_token(ARM_SCOPE).token)
    assert found["aud"] == "https://management.azure.com"
    owner = azure.owner
    assert (found["appid"], found["oid"], found["tid"]) == (owner.client_id, owner.object_id, azure.tenant_id)
    assert found["appidacr"] == "1"
    assert found["exp"] > time.time()


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"secret": "wrong"}, "AADSTS7000215"),
        ({"client_id": str(uuid.uuid4())}, "AADSTS700016"),
        ({"tenant_id": str(uuid.uuid4())}, "AADSTS90002"),
    ],
)
def test_refused_secret(azure: SimulatedAzure, change: dict[str, str], code: str) -> None:
    who = replace(azure.owner, **{name: value for name, value in change.items() if name != "tenant_id"})
    credential = secret_credential(azure, who, **{name: change[name] for name in change if name == "tenant_id"})
    with pytest.raises((ClientAuthenticationError, ValueError)) as refused:
        credential.get_token(ARM_SCOPE)
    if "tenant_id" not in change:  # the library reports an unknown tenant in its own words
        assert code in str(refused.value)


def test_expired_secret(azure: SimulatedAzure) -> None:
    who = azure.principal("late", secret_expires_in=-1)
    with pytest.raises(ClientAuthenticationError, match="AADSTS7000222"):
        secret_credential(azure, who).get_token(ARM_SCOPE)


@pytest.mark.parametrize("registered", [True, False])
def test_certificate(azure: SimulatedAzure, registered: bool) -> None:
    public, private = rsa_certificate()
    known = public if registered else rsa_certificate()[0]
    who = azure.principal("with certificate", certificate=known)
    both = (private + public).encode()
    credential = CertificateCredential(azure.tenant_id, who.client_id, certificate_data=both, **at(azure))
    if registered:
        found = claims(credential.get_token(ARM_SCOPE).token)
        assert (found["appid"], found["appidacr"]) == (who.client_id, "2")
    else:
        with pytest.raises(ClientAuthenticationError, match="AADSTS700027"):
            credential.get_token(ARM_SCOPE)


def test_managed_identity(azure: SimulatedAzure, monkeypatch: pytest.MonkeyPatch) -> None:
    azure.cluster()
    instance = azure.first_instance()
    azure.compute.addresses["127.0.0.1"] = instance["id"]
    monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", azure.endpoints.imds)
    found = claims(ManagedIdentityCredential().get_token(ARM_SCOPE).token)
    carried = azure.scale_set_of(instance)["identity"]["userAssignedIdentities"]
    assert found["appid"] == carried.popitem()[1]["clientId"]
    assert found["xms_az_rid"].lower() == instance["id"].partition("/virtualMachines/")[0].lower()


# federated tokens

TRUSTED: dict[str, Any] = {"subject": "system:serviceaccount:ns:sa", "audiences": ["api://AzureADTokenExchange"]}


class Federation:
    """An identity with a federated credential for a service account of a cluster with an issuer."""

    def __init__(self, azure: SimulatedAzure, folder: Path) -> None:
        self.azure = azure
        self.cluster = azure.cluster(oidcIssuerProfile={"enabled": True})
        self.issuer = self.cluster["properties"]["oidcIssuerProfile"]["issuerURL"]
        self.msi = client(ManagedServiceIdentityClient, azure)
        self.identity = self.msi.user_assigned_identities.create_or_update("rg", "workload", {"location": "westeurope"})
        self.file = folder / "token"

    def trust(self, name: str = "fic", **change: str) -> None:
        properties = {**TRUSTED, "issuer": self.issuer, **change}
        of = self.msi.federated_identity_credentials
        of.create_or_update("rg", "workload", name, {"properties": properties})

    def exchange(self, key: Any = None, **change: Any) -> dict[str, Any]:
        """Claims of the access token for a service account token."""
        now = int(time.time())
        told = {"iss": self.issuer, "sub": TRUSTED["subject"], "aud": TRUSTED["audiences"]}
        payload = {**told, "iat": now, "nbf": now, "exp": now + 3600, **change}
        self.file.write_text(key(payload) if key else self.azure.compute.sign(payload))
        who = {"tenant_id": self.azure.tenant_id, "client_id": self.identity.client_id}
        credential = WorkloadIdentityCredential(**who, token_file_path=str(self.file), **at(self.azure))
        return claims(credential.get_token(ARM_SCOPE).token)


def test_workload_identity(azure: SimulatedAzure, tmp_path: Path) -> None:
    federation = Federation(azure, tmp_path)
    federation.trust()
    found = federation.exchange()
    assert found["appid"] == federation.identity.client_id
    assert found["oid"] == federation.identity.principal_id
    assert found["xms_mirid"] == federation.identity.id
    assert "xms_az_rid" not in found


def _foreign(payload: dict[str, Any]) -> str:
    return jwt.encode(payload, rsa.generate_private_key(public_exponent=65537, key_size=2048), "RS256")


@pytest.mark.parametrize(
    ("trusted", "asserted", "code"),
    [
        ({"issuer": "https://elsewhere.example/"}, {}, "AADSTS700211"),
        ({"subject": "system:serviceaccount:ns:other"}, {}, "AADSTS700213"),
        ({}, {"aud": ["api://other"]}, "AADSTS700212"),
        ({"subject": "system:serviceaccount:NS:sa"}, {}, "AADSTS7002138"),
        ({}, {"exp": 1_600_000_000, "nbf": 1_500_000_000}, "AADSTS700024"),
        ({}, {"key": _foreign}, "AADSTS50013"),
        ({"issuer": "https://elsewhere.example/"}, {"iss": "https://elsewhere.example/"}, "AADSTS90061"),
    ],
)
def test_refused_federation(
    azure: SimulatedAzure, tmp_path: Path, trusted: dict[str, str], asserted: dict[str, Any], code: str
) -> None:
    federation = Federation(azure, tmp_path)
    federation.trust(**trusted)
    with pytest.raises(ClientAuthenticationError, match=rf"\b{code}\b"):
        federation.exchange(**asserted)


@pytest.mark.parametrize("code", [70021, 700211, 700212, 700213, 7002138, 700024, 700231, 90061, 50105])
def test_a_sample_of_the_exchanges_is_refused(azure: SimulatedAzure, tmp_path: Path, code: int) -> None:
    federation = Federation(azure, tmp_path)
    federation.trust()
    azure.control("POST", "/faults", {"aadsts": code, "every": 3})
    outcomes = []
    for _exchange in range(6):
        try:
            outcomes.append(federation.exchange()["appid"] == federation.identity.client_id)
        except ClientAuthenticationError as refused:
            assert f"AADSTS{code}: " in str(refused)
            assert not re.search(r"\{[a-z_]+\}", str(refused))
            outcomes.append(False)
    assert outcomes == [True, True, False, True, True, False]


@pytest.mark.parametrize(("age", "leeway", "taken"), [(3500, 300, True), (3700, 300, True), (3700, 0, False)])
def test_an_assertion_expires(azure: SimulatedAzure, tmp_path: Path, age: int, leeway: int, taken: bool) -> None:
    federation = Federation(azure, tmp_path)
    federation.trust()
    azure.control("POST", "/settings", {"assertion_leeway": leeway})
    began = int(time.time()) - age
    times = {"iat": began, "nbf": began, "exp": began + 3600}
    if taken:
        assert federation.exchange(**times)["appid"] == federation.identity.client_id
    else:
        with pytest.raises(ClientAuthenticationError, match="AADSTS700024: Client assertion is not within its valid"):
            federation.exchange(**times)


def test_federation_without_credential(azure: SimulatedAzure, tmp_path: Path) -> None:
    with pytest.raises(ClientAuthenticationError, match="AADSTS70025"):
        Federation(azure, tmp_path).exchange()


def test_federation_takes_time(azure: SimulatedAzure, tmp_path: Path) -> None:
    federation = Federation(azure, tmp_path)
    settings = {"time_scale": 1.0, "federated_credential_write": 0, "federated_credential_delay": 60}
    azure.control("POST", "/settings", settings)
    federation.trust()
    with pytest.raises(ClientAuthenticationError, match=r"AADSTS70021\b"):
        federation.exchange()


def test_application_with_federated_credential(azure: SimulatedAzure, tmp_path: Path) -> None:
    federation = Federation(azure, tmp_path)
    who = azure.principal("application", federated=[{**TRUSTED, "issuer": federation.issuer}])
    federation.identity = type("Application", (), {"client_id": who.client_id})()
    assert federation.exchange()["oid"] == who.object_id


# management clients


def test_identities(azure: SimulatedAzure) -> None:
    azure.group()
    msi = client(ManagedServiceIdentityClient, azure)
    made = msi.user_assigned_identities.create_or_update("rg", "demo", {"location": "westeurope", "tags": {"a": "b"}})
    assert "/resourcegroups/" in made.id
    assert msi.user_assigned_identities.get("RG", "DEMO").client_id == made.client_id
    assert [i.name for i in msi.user_assigned_identities.list_by_subscription()] == ["demo"]
    assert [i.name for i in msi.user_assigned_identities.list_by_resource_group("rg")] == ["demo"]
    msi.user_assigned_identities.delete("rg", "demo")
    with pytest.raises(ResourceNotFoundError) as missing:
        msi.user_assigned_identities.get("rg", "demo")
    assert missing.value.error is not None
    assert missing.value.error.code == "ResourceNotFound"


def test_role_assignments(azure: SimulatedAzure) -> None:
    made = azure.identity("demo")
    scope, principal = made["id"], made["properties"]["principalId"]
    authorization = client(AuthorizationManagementClient, azure)
    role = next(iter(authorization.role_definitions.list(scope, filter="roleName eq 'managed identity operator'")))
    assert role.name == OPERATOR
    of = {"role_definition_id": role.id, "principal_id": principal, "principal_type": "ServicePrincipal"}
    assignment = authorization.role_assignments.create(scope, str(uuid.uuid4()), of)
    found = authorization.role_assignments.list_for_scope(scope, filter=f"principalId eq '{principal}'")
    assert [a.id for a in found] == [assignment.id]
    with pytest.raises(HttpResponseError) as again:
        authorization.role_assignments.create(scope, str(uuid.uuid4()), of)
    assert (again.value.status_code, again.value.error and again.value.error.code) == (409, "RoleAssignmentExists")
    assert authorization.role_assignments.delete(scope, assignment.name).id == assignment.id
    assert list(authorization.permissions.list_for_resource_group("rg"))[0].actions == ["*"]


NEW = {
    "location": "westeurope",
    "identity": {"type": "SystemAssigned"},
    "properties": {
        "dnsPrefix": "c1",
        "agentPoolProfiles": [{"name": "nodepool1", "count": 2, "mode": "System", "vmSize": "Standard_DS2_v2"}],
        "networkProfile": {"networkPlugin": "azure"},
    },
}


def test_managed_cluster(azure: SimulatedAzure) -> None:
    azure.group()
    aks = client(ContainerServiceClient, azure)
    made = aks.managed_clusters.begin_create_or_update("rg", "c1", NEW).result()
    assert made.provisioning_state == "Succeeded"
    assert made.identity_profile["kubeletidentity"].resource_id.endswith("/c1-agentpool")
    assert [c.name for c in aks.managed_clusters.list()] == ["c1"]
    made.tags = {"owner": "team"}
    made.oidc_issuer_profile = {"enabled": True}
    changed = aks.managed_clusters.begin_create_or_update("rg", "c1", made).result()
    assert changed.tags == {"owner": "team"}
    assert changed.oidc_issuer_profile.issuer_url.startswith("https://westeurope.oic.prod-aks.azure.com/")
    assert azure.compute.clusters[made.id.lower()].issuer_url == changed.oidc_issuer_profile.issuer_url
    config = aks.managed_clusters.list_cluster_user_credentials("rg", "c1").kubeconfigs[0]
    assert made.fqdn in bytes(config.value).decode()
    aks.managed_clusters.begin_delete("rg", "c1").result()
    with pytest.raises(ResourceNotFoundError):
        aks.managed_clusters.get("rg", "c1")
    assert azure.compute.clusters == {}
    assert azure.arm("GET", "/resourceGroups/MC_rg_c1_westeurope").status_code == 404


def test_failed_cluster(azure: SimulatedAzure) -> None:
    azure.compute.start_error = "node 1 did not become Ready"
    with pytest.raises(HttpResponseError) as failed:
        azure.group()
        client(ContainerServiceClient, azure).managed_clusters.begin_create_or_update("rg", "c1", NEW).result()
    assert failed.value.error is not None
    assert failed.value.error.code == "CreateVMSSAgentPoolFailed"
    assert "did not become Ready" in str(failed.value)
    azure.compute.start_error = None
    path = "/resourceGroups/rg/providers/Microsoft.ContainerService/managedClusters/c1"
    assert azure.arm("GET", path).json()["properties"]["provisioningState"] == "Failed"
    assert azure.arm("POST", f"{path}/listClusterUserCredential").status_code == 404
    azure.wait(azure.arm("PUT", path, {"location": "westeurope", "properties": {}}))
    assert azure.arm("GET", path).json()["properties"]["provisioningState"] == "Succeeded"
    assert len(azure.compute.clusters) == 1


def test_no_client_takes_a_gap_for_absence(azure: SimulatedAzure) -> None:
    """What is not served fails, after one request: neither absent nor worth another try."""
    with pytest.raises(HttpResponseError, match="gap of the simulated Azure") as refused:
        client(ManagedServiceIdentityClient, azure).system_assigned_identities.get_by_scope("subscriptions/x")
    assert refused.value.status_code == 501
    assert len(azure.control("GET", "/log", status="501")["entries"]) == 1


def test_clients_follow_pages(azure: SimulatedAzure) -> None:
    azure.control("POST", "/settings", {"page_size": 1})
    azure.group()
    msi = client(ManagedServiceIdentityClient, azure).user_assigned_identities
    for name in ("one", "two", "three"):
        msi.create_or_update("rg", name, {"location": "westeurope"})
    assert {each.name for each in msi.list_by_resource_group("rg")} == {"one", "two", "three"}
    assert len(azure.control("GET", "/log", path="userAssignedIdentities", method="GET")["entries"]) == 3


def test_power_of_a_cluster(azure: SimulatedAzure) -> None:
    azure.cluster()
    clusters = client(ContainerServiceClient, azure).managed_clusters
    clusters.begin_stop("rg", "c1").result()
    assert clusters.get("rg", "c1").power_state.code == "Stopped"
    clusters.begin_start("rg", "c1").result()
    clusters.begin_abort_latest_operation("rg", "c1").result()
    assert clusters.get("rg", "c1").power_state.code == "Running"
