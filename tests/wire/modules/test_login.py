# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every way to log in, and what is said when it does not work."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import pytest

from ansible_collections.azureops.pod_identity.tests.support.modules import Modules
from ansible_collections.azureops.pod_identity.tests.wire.certificates import rsa_certificate
from azsandbox.azure.loopback import SimulatedAzure

LOOK = {"resource_group": "rg"}
NO_LOGIN = {"AZURE_CLIENT_ID": "", "AZURE_SECRET": "", "AZURE_TENANT": ""}


def test_options_go_before_the_environment(modules: Modules, azure: SimulatedAzure) -> None:
    other = azure.principal("other", ("Reader", f"/subscriptions/{azure.subscription_id}"))
    mark = modules.mark()
    options = {"client_id": other.client_id, "secret": other.secret, "tenant": azure.tenant_id}
    modules.succeed("aks_cluster_info", **LOOK, **options)
    assert {entry["caller_name"] for entry in modules.requests(mark, path="managedClusters")} == {"other"}


def test_the_credentials_file(modules: Modules, azure: SimulatedAzure) -> None:
    folder = modules.home / ".azure"
    folder.mkdir()
    owner = f"client_id={azure.owner.client_id}\nsecret={azure.owner.secret}\ntenant={azure.tenant_id}"
    content = f"subscription_id={azure.subscription_id}\n{owner}\ncloud_environment={azure.endpoints.arm}"
    (folder / "credentials").write_text(f"[default]\n{content}\n[work]\n{content}\n", encoding="utf-8")
    bare = {**NO_LOGIN, "AZURE_SUBSCRIPTION_ID": "", "AZURE_CLOUD_ENVIRONMENT": ""}
    modules.succeed("aks_cluster_info", **LOOK, environment=bare)
    modules.succeed("aks_cluster_info", **LOOK, profile="work", environment=bare)
    failed = modules.fail("aks_cluster_info", **LOOK, profile="nobody", environment=bare)
    assert failed["msg"] == "~/.azure/credentials has no section [nobody]; add it, or name another profile."


def test_the_only_subscription_is_found(modules: Modules) -> None:
    modules.succeed("aks_cluster_info", **LOOK, environment={"AZURE_SUBSCRIPTION_ID": ""})


def test_a_certificate_instead_of_a_secret(modules: Modules, azure: SimulatedAzure, tmp_path: Path) -> None:
    certificate, key = rsa_certificate()
    who = azure.principal("other", ("Reader", f"/subscriptions/{azure.subscription_id}"), certificate=certificate)
    pem = tmp_path / "login.pem"
    pem.write_text(certificate + key, encoding="utf-8")
    environment = {"AZURE_SECRET": "", "AZURE_CLIENT_ID": who.client_id, "AZURE_X509_CERTIFICATE_PATH": str(pem)}
    modules.succeed("aks_cluster_info", **LOOK, environment=environment)
    pem.write_text("no certificate", encoding="utf-8")
    failed = modules.fail("aks_cluster_info", **LOOK, environment=environment)
    assert "cannot be used (ValueError); it must be a readable PEM file" in failed["msg"]


def test_a_federated_token(modules: Modules, azure: SimulatedAzure, tmp_path: Path) -> None:
    issuer = azure.cluster(oidcIssuerProfile={"enabled": True})["properties"]["oidcIssuerProfile"]["issuerURL"]
    claims = {"iss": issuer, "sub": "system:serviceaccount:ci:runner", "aud": "api://AzureADTokenExchange"}
    trust = {"issuer": issuer, "subject": claims["sub"], "audiences": [claims["aud"]]}
    who = azure.principal("other", ("Reader", f"/subscriptions/{azure.subscription_id}"), federated=[trust])
    now = int(time.time())
    assertion = azure.compute.sign({**claims, "iat": now, "nbf": now, "exp": now + 600})
    file = tmp_path / "token"
    file.write_text(assertion + "\n", encoding="utf-8")
    environment = {"AZURE_SECRET": "", "AZURE_CLIENT_ID": who.client_id}
    by_file = {**environment, "AZURE_FEDERATED_TOKEN_FILE": str(file)}
    modules.succeed("aks_cluster_info", **LOOK, environment=by_file)
    modules.succeed("aks_cluster_info", **LOOK, environment={**environment, "AZURE_FEDERATED_TOKEN": assertion})
    options = {"client_id": who.client_id, "tenant": azure.tenant_id, "oidc_token_file_path": str(file)}
    modules.succeed("aks_cluster_info", **LOOK, environment={"AZURE_SECRET": ""}, **options)
    other = azure.compute.sign({**claims, "sub": "somebody else", "iat": now, "nbf": now, "exp": now + 600})
    file.write_text(other, encoding="utf-8")
    failed = modules.fail("aks_cluster_info", **LOOK, environment=by_file)
    assert "AADSTS700213" in failed["msg"]
    assert failed["msg"].endswith("with this subject, or wait a minute if it is new.")
    file.unlink()
    failed = modules.fail("aks_cluster_info", **LOOK, environment=by_file)
    assert failed["msg"] == f"The federated token file {file} cannot be read (No such file or directory)."


@pytest.mark.parametrize(
    ("environment", "reason"),
    [
        ({"AZURE_SECRET": "wrong"}, "AADSTS7000215"),
        ({"AZURE_CLIENT_ID": "99999999-2222-3333-4444-555555555555"}, "AADSTS700016"),
        ({"AZURE_TENANT": ""}, "is not complete; it lacks tenant."),
        ({"REQUESTS_CA_BUNDLE": ""}, "name its CA in REQUESTS_CA_BUNDLE, or set cert_validation_mode to ignore."),
        ({"AZURE_CLOUD_ENVIRONMENT": "https://127.0.0.1:1"}, "check network, proxy and cloud_environment."),
        (
            {"AZURE_CLOUD_ENVIRONMENT": "", "AZURE_ADFS_AUTHORITY_URL": "https://127.0.0.1:1"},
            "check network, proxy and cloud_environment.",
        ),
        ({"AZURE_CLOUD_ENVIRONMENT": "Moon"}, "The cloud 'Moon' is unknown"),
        ({**NO_LOGIN, "PATH": "/nowhere"}, "No Azure credential was found"),
    ],
)
def test_what_does_not_work_is_said(modules: Modules, environment: dict[str, str], reason: str) -> None:
    assert reason in modules.fail("aks_cluster_info", **LOOK, environment=environment)["msg"]


def test_certificates_can_be_ignored(modules: Modules) -> None:
    environment = {"REQUESTS_CA_BUNDLE": "", "AZURE_CERT_VALIDATION_MODE": "ignore"}
    modules.succeed("aks_cluster_info", **LOOK, environment=environment)


def test_the_login_of_the_command_line(modules: Modules, azure: SimulatedAzure, tmp_path: Path) -> None:
    account = {"id": azure.subscription_id, "tenantId": azure.tenant_id, "environmentName": "AzureCloud"}
    token = {"accessToken": azure.token(), "expires_on": 4102444800, "tokenType": "Bearer"}
    script = tmp_path / "az"
    script.write_text(
        f"#!{sys.executable}\nimport sys\n"
        f"print({json.dumps(account)!r} if 'show' in sys.argv else {json.dumps(token)!r})\n",
        encoding="utf-8",
    )
    script.chmod(0o755)
    environment = {**NO_LOGIN, "AZURE_SUBSCRIPTION_ID": "", "PATH": f"{tmp_path}:/usr/bin:/bin"}
    modules.succeed("aks_cluster_info", **LOOK, environment=environment)


def test_a_managed_identity(modules: Modules, azure: SimulatedAzure) -> None:
    kubelet = azure.cluster()["properties"]["identityProfile"]["kubeletidentity"]
    role = {"scope": f"/subscriptions/{azure.subscription_id}", "role": "Reader", "principal_id": kubelet["objectId"]}
    modules.succeed("role_assignment", **role, poll_interval=0.1)
    azure.compute.addresses["127.0.0.1"] = azure.first_instance()["id"]
    environment = {**NO_LOGIN, "AZURE_POD_IDENTITY_AUTHORITY_HOST": azure.endpoints.imds}
    options = {"auth_source": "msi", "client_id": kubelet["clientId"]}
    found = modules.succeed("aks_cluster_info", **LOOK, **options, environment=environment)
    assert [cluster["name"] for cluster in found["clusters"]] == ["c1"]
    options["client_id"] = "99999999-2222-3333-4444-555555555555"
    failed = modules.fail("aks_cluster_info", **LOOK, **options, environment=environment)
    assert "no token was obtained" in failed["msg"]


def test_a_library_that_is_missing(modules: Modules, tmp_path: Path) -> None:
    hidden = tmp_path / "azure" / "identity"
    hidden.mkdir(parents=True)
    (hidden / "__init__.py").write_text("raise ImportError('not here')", encoding="utf-8")
    (hidden.parent / "__init__.py").write_text(
        "__path__ = __import__('pkgutil').extend_path(__path__, __name__)", encoding="utf-8"
    )
    failed = modules.fail("aks_cluster_info", **LOOK, environment={"PYTHONPATH": str(tmp_path)})
    assert failed["msg"].startswith(f"The Python library azure-identity is missing for {sys.executable} on ")
    assert failed["msg"].endswith(f"install it there with: {sys.executable} -m pip install 'azure-identity>=1.19.0'")
