# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the simulated Azure does for Workload ID: the add-on, issuers, and the application that stories ask with."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import requests
import token_app

from azsandbox.azure.loopback import SimulatedAzure
from azsandbox.azure.null_compute import NullCompute

CLUSTER = "/resourceGroups/rg/providers/Microsoft.ContainerService/managedClusters/c1"
ISSUER: dict[str, Any] = {"oidcIssuerProfile": {"enabled": True}}


def add_on(enabled: bool) -> dict[str, Any]:
    return {"securityProfile": {"workloadIdentity": {"enabled": enabled}}}


def update(azure: SimulatedAzure, **properties: Any) -> requests.Response:
    return azure.arm("PUT", CLUSTER, {"location": "westeurope", "properties": properties})


def is_deployed(azure: SimulatedAzure) -> bool:
    """What the machines were told of the only cluster."""
    (spec,) = azure.in_loop(lambda: list(azure.compute.clusters.values()))
    return bool(spec.workload_identity)


# The add-on


def test_a_cluster_may_have_the_add_on_from_the_start(azure: SimulatedAzure) -> None:
    made = azure.cluster(**ISSUER, **add_on(True))
    assert made["properties"]["securityProfile"] == {"workloadIdentity": {"enabled": True}} and is_deployed(azure)


def test_the_add_on_comes_and_goes(azure: SimulatedAzure) -> None:
    azure.cluster(**ISSUER)
    assert not is_deployed(azure)
    assert azure.wait(update(azure, **add_on(True)))["status"] == "Succeeded" and is_deployed(azure)
    # What a request leaves out stays.
    assert azure.wait(update(azure, somethingNew={"mode": "On"}))["status"] == "Succeeded" and is_deployed(azure)
    assert azure.wait(update(azure, **add_on(False)))["status"] == "Succeeded" and not is_deployed(azure)


def test_the_add_on_needs_the_issuer(azure: SimulatedAzure) -> None:
    azure.cluster()
    refused = update(azure, **add_on(True))
    assert refused.status_code == 400 and "requires the OIDC issuer" in refused.text


def test_machines_without_its_images_say_what_to_do(azure: SimulatedAzure) -> None:
    made = azure.cluster(**ISSUER)
    core = azure.server.azure
    core.config = replace(core.config, workload_identity=False)
    refused = update(azure, **add_on(True))
    assert refused.status_code == 501 and "sandbox up --with workload-identity" in refused.text
    assert azure.arm("GET", CLUSTER).json() == made
    assert azure.wait(update(azure, **add_on(False)))["status"] == "Succeeded"


# The issuer


def published(azure: SimulatedAzure, url: str) -> int:
    """The status of a discovery document."""
    host, _slash, path = url.partition("://")[2].partition("/")
    target = f"{azure.endpoints.arm}/{path}.well-known/openid-configuration"
    return azure.session.get(target, headers={"Host": host}, timeout=20).status_code


def test_an_issuer_is_published_when_the_api_server_signs_as_it(azure: SimulatedAzure) -> None:
    azure.cluster()
    azure.compute.update_error = "no room"
    failed = update(azure, **ISSUER)
    url = failed.json()["properties"]["oidcIssuerProfile"]["issuerURL"]
    assert azure.wait(failed)["status"] == "Failed"
    assert published(azure, url) == 404
    azure.compute.update_error = None
    assert azure.wait(update(azure, **ISSUER))["status"] == "Succeeded"
    assert published(azure, url) == 200


# The application


def asked(azure: SimulatedAzure, credential: str, **environment: str) -> dict[str, Any]:
    """What the application says of its first request."""
    given = {
        "CREDENTIAL": credential,
        "RETRIES": "0",
        "AZURE_POD_IDENTITY_AUTHORITY_HOST": azure.endpoints.imds,
        "REQUESTS_CA_BUNDLE": str(azure.ca_file),
        **environment,
    }
    command = [sys.executable, token_app.__file__]
    with subprocess.Popen(command, env=given, stdout=subprocess.PIPE, text=True) as application:
        assert application.stdout
        line = application.stdout.readline()
        application.terminate()
    assert application.returncode == 0
    assert "eyJ" not in line
    found: dict[str, Any] = json.loads(line)
    return found


class Workload:
    """A service account with an identity, and a node whose own is another."""

    def __init__(self, azure: SimulatedAzure, folder: Path) -> None:
        cluster = azure.cluster(**ISSUER)
        node = azure.first_instance()
        azure.compute.addresses["127.0.0.1"] = node["id"]
        self.of_node = azure.scale_set_of(node)["identity"]["userAssignedIdentities"].popitem()[1]["clientId"]
        made = azure.identity("workload")
        self.identity = made["properties"]
        issuer = cluster["properties"]["oidcIssuerProfile"]["issuerURL"]
        subject, audience = "system:serviceaccount:ns:sa", "api://AzureADTokenExchange"
        self.azure, self.credential = azure, f"{made['id']}/federatedIdentityCredentials/fic"
        self.trusted = {"issuer": issuer, "subject": subject, "audiences": [audience]}
        now, file = int(time.time()), folder / "token"
        assert isinstance(azure.compute, NullCompute)
        claims = {"iss": issuer, "sub": subject, "aud": [audience], "iat": now, "nbf": now, "exp": now + 3600}
        file.write_text(azure.compute.sign(claims))
        self.environment = {
            "AZURE_AUTHORITY_HOST": azure.endpoints.entra,
            "AZURE_CLIENT_ID": self.identity["clientId"],
            "AZURE_FEDERATED_TOKEN_FILE": str(file),
            "AZURE_TENANT_ID": azure.tenant_id,
        }
        """What the webhook gives to a pod."""

    def trust(self) -> None:
        self.azure.arm("PUT", self.credential, {"properties": self.trusted}).raise_for_status()


@pytest.fixture
def workload(azure: SimulatedAzure, tmp_path: Path) -> Workload:
    return Workload(azure, tmp_path)


@pytest.mark.parametrize("credential", ["default", "workload_identity", "managed_identity"])
def test_the_application_tells_an_exchange(azure: SimulatedAzure, workload: Workload, credential: str) -> None:
    workload.trust()
    found = asked(azure, credential, **workload.environment)
    assert (found["ok"], found["path"], found["assertion"]) == (True, "workload_identity", True), found
    assert (found["appid"], found["oid"]) == (workload.identity["clientId"], workload.identity["principalId"])
    entra = azure.endpoints.host("entra")
    assert found["connections"] == [entra] and {each["host"] for each in found["answers"]} == {entra}


@pytest.mark.parametrize("credential", ["default", "managed_identity", "imds"])
def test_the_application_tells_the_metadata_service(azure: SimulatedAzure, workload: Workload, credential: str) -> None:
    found = asked(azure, credential)
    assert (found["ok"], found["path"], found["assertion"]) == (True, "imds", False), found
    assert found["appid"] == workload.of_node
    assert set(found["connections"]) == {azure.endpoints.host("imds")}


def test_the_application_tells_why_it_has_no_token(azure: SimulatedAzure, workload: Workload) -> None:
    found = asked(azure, "workload_identity", **workload.environment)
    assert (found["ok"], found["path"], found["codes"]) == (False, "", ["AADSTS70025"]), found
    assert found["error"] == "ClientAuthenticationError"
    without = asked(azure, "workload_identity")
    assert (without["ok"], without["error"], without["connections"]) == (False, "ValueError", [])


@pytest.mark.parametrize(
    ("host", "server", "assertion", "path"),
    [
        ("login.microsoftonline.com", "", True, "workload_identity"),
        ("login.microsoftonline.com", "", False, "entra"),
        ("169.254.169.254", "IMDS/150.870.65.1854", False, "imds"),
        ("169.254.169.254", "azure-workload-identity/proxy/v1.3.0 (linux/amd64) abc", False, "proxy"),
        ("169.254.169.254", "", False, "nmi"),
        # DefaultAzureCredential tries the exchange first; the token is what was got last.
        ("169.254.169.254", "", True, "nmi"),
    ],
)
def test_the_last_answer_held_the_token(host: str, server: str, assertion: bool, path: str) -> None:
    first, last = token_app.Answer("login.microsoftonline.com", 400, ""), token_app.Answer(host, 200, server)
    assert token_app.Seen(answers=[first, last], assertion=assertion).path() == path
