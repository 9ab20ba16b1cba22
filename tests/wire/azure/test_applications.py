# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Applications of the simulated Graph: their federated credentials, owners, and who may do what.

Shapes are those of Microsoft's documentation, refusals those that users quote (Azure/azure-workload-identity#434,
Azure/azure-dev#1482). tests/sandbox/test_clients.py asks the same with the Azure CLI.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

import pytest
import requests

from azsandbox.azure.loopback import Credentials, SimulatedAzure

SCOPE = "https://graph.microsoft.com/.default"
OWNED, EVERY, READ = "Application.ReadWrite.OwnedBy", "Application.ReadWrite.All", "Application.Read.All"
ISSUER, AUDIENCE = "https://issuer.example/", "api://AzureADTokenExchange"
CREDENTIALS = "federatedIdentityCredentials"


def trust(name: str, subject: str = "", **more: Any) -> dict[str, Any]:
    return {"name": name, "issuer": ISSUER, "subject": subject or name, "audiences": [AUDIENCE], **more}


@dataclass(frozen=True)
class Graph:
    """Asks as somebody about one application."""

    azure: SimulatedAzure
    who: Credentials
    application: Credentials

    def __call__(self, method: str, path: str = "", body: Any = None, **headers: str) -> requests.Response:
        """``path`` lies below the application's federated credentials, unless it is absolute."""
        at = path if path.startswith("/") else f"/applications/{self.application.application_id}/{CREDENTIALS}{path}"
        token = self.azure.token(self.who, SCOPE)
        headers = {"Authorization": f"Bearer {token}", **headers}
        url = f"{self.azure.endpoints.graph}/v1.0{at}"
        return self.azure.session.request(method, url, json=body, headers=headers, timeout=20)

    def names(self) -> list[str]:
        return [each["name"] for each in self("GET").json()["value"]]


@pytest.fixture
def graph(azure: SimulatedAzure) -> Graph:
    """As an owner with the least rights."""
    who = azure.principal("mover", graph=[OWNED])
    return Graph(azure, who, azure.principal("billing", owners=[who.object_id]))


def said(answer: requests.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def test_the_life_of_a_credential(graph: Graph) -> None:
    made = graph("POST", body=trust("pods"))
    assert made.status_code == 201
    body = made.json()
    context = f"$metadata#applications('{graph.application.application_id}')/{CREDENTIALS}"
    assert body.pop("@odata.context").endswith(f"{context}/$entity")
    assert body == {"id": str(uuid.UUID(body["id"])), **trust("pods"), "description": None}
    listed = graph("GET").json()
    assert listed["@odata.context"].endswith(context)
    assert listed["value"] == [body]
    for path in (f"/{body['id']}", "/pods", "(name='pods')"):
        found = graph("GET", f"/applications(appId='{graph.application.client_id}')/{CREDENTIALS}{path}").json()
        assert {name: found[name] for name in body} == body
    assert graph("PATCH", "/applications/x", {}).status_code == 501

    path = f"/applications/{graph.application.application_id}/{CREDENTIALS}/pods"
    changed = graph("PATCH", path, {"subject": "other", "description": "why"})
    assert (changed.status_code, changed.content) == (204, b"")
    assert graph("GET", path).json()["subject"] == "other"
    assert (graph("DELETE", path).status_code, graph.names()) == (204, [])
    assert said(graph("DELETE", path)) == (404, "Request_ResourceNotFound")


def test_an_upsert_by_name(graph: Graph) -> None:
    body = {name: value for name, value in trust("pods").items() if name != "name"}
    assert said(graph("PATCH", "(name='pods')", body)) == (404, "Request_ResourceNotFound")
    made = graph("PATCH", "(name='pods')", body, Prefer="create-if-missing")
    assert (made.status_code, made.json()["name"]) == (201, "pods")
    changed = graph("PATCH", "(name='pods')", {**body, "subject": "other"}, Prefer="create-if-missing")
    assert (changed.status_code, graph("GET").json()["value"][0]["subject"]) == (204, "other")


def test_what_is_refused(graph: Graph) -> None:
    graph("POST", body=trust("pods")).raise_for_status()
    again = graph("POST", body=trust("pods", "other"))
    assert said(again) == (409, "Request_MultipleObjectsWithSameKeyValue")
    assert again.json()["error"]["message"] == "FederatedIdentityCredential with name pods already exists."
    double = graph("POST", body=trust("others", "pods"))
    assert said(double) == (400, "InvalidFederatedIdentityCredentialValue")
    assert "The combination of issuer and subject must be unique for the application." in double.text
    path = f"/applications/{graph.application.application_id}/{CREDENTIALS}/pods"
    for bad in (
        graph("PATCH", path, {"name": "renamed"}),
        graph("POST", body=trust("with space")),
        graph("POST", body=trust("long", "s" * 601)),
        graph("POST", body=trust("two", audiences=["a", "b"])),
        graph("POST", body=trust("none", issuer=None)),
    ):
        assert said(bad) == (400, "InvalidFederatedIdentityCredentialValue")
    graph("PATCH", path, trust("pods")).raise_for_status()  # the same again
    assert graph.names() == ["pods"]


def test_twenty_at_most(graph: Graph) -> None:
    for number in range(20):
        graph("POST", body=trust(f"fic{number}")).raise_for_status()
    assert said(graph("POST", body=trust("more"))) == (403, "Directory_ResourceSizeExceeded")
    assert len(graph.names()) == 20


def test_one_that_matches_an_expression_has_no_subject(graph: Graph) -> None:
    expression = {"value": "claims['sub'] matches 'repo:*'", "languageVersion": 1}
    flexible = {**trust("flexible"), "subject": None, "claimsMatchingExpression": expression}
    graph("POST", body=flexible).raise_for_status()
    (found,) = graph("GET").json()["value"]
    assert (found["subject"], found["claimsMatchingExpression"]) == (None, expression)


@pytest.mark.parametrize(
    ("permissions", "owner", "reads", "writes"),
    [
        ([], True, 403, 403),
        ([READ], True, 200, 403),
        ([OWNED], False, 200, 403),
        ([OWNED], True, 200, 201),
        ([EVERY], False, 200, 201),
    ],
)
def test_who_may(azure: SimulatedAzure, permissions: list[str], owner: bool, reads: int, writes: int) -> None:
    who = azure.principal("mover", graph=permissions)
    graph = Graph(azure, who, azure.principal("billing", owners=[who.object_id] if owner else []))
    answers = [graph("GET", "/applications"), graph("GET"), graph("POST", body=trust("pods"))]
    assert [each.status_code for each in answers] == [reads, reads, writes]
    assert all(said(each) == (403, "Authorization_RequestDenied") for each in answers if each.status_code == 403)


def test_owners(azure: SimulatedAzure, graph: Graph) -> None:
    other = azure.principal("other")
    at = f"/applications/{graph.application.application_id}/owners"
    new = {"@odata.id": f"https://graph.microsoft.com/v1.0/directoryObjects/{other.object_id}"}
    assert graph("POST", f"{at}/$ref", new).status_code == 204
    assert said(graph("POST", f"{at}/$ref", new)) == (400, "Request_BadRequest")
    assert [each["id"] for each in graph("GET", at).json()["value"]] == [graph.who.object_id, other.object_id]
    assert graph("DELETE", f"{at}/{graph.who.object_id}/$ref").status_code == 204
    assert said(graph("POST", body=trust("pods"))) == (403, "Authorization_RequestDenied")


def test_applications_are_found(azure: SimulatedAzure, graph: Graph) -> None:
    one = graph.application
    for text in (f"appId eq '{one.client_id}'", f"id eq '{one.application_id}'", "displayName eq 'billing'"):
        (found,) = graph("GET", f"/applications?$filter={text}").json()["value"]
        assert (found["id"], found["appId"], found["displayName"]) == (one.application_id, one.client_id, "billing")
    assert one.application_id != one.object_id
    assert graph("GET", "/applications?$filter=identifierUris/any(s:s eq 'api://x')").json()["value"] == []
    for unknown in (f"/applications/{uuid.uuid4()}", f"/applications(appId='{uuid.uuid4()}')"):
        assert said(graph("GET", unknown)) == (404, "Request_ResourceNotFound")


def test_a_managed_identity_has_no_application(azure: SimulatedAzure, graph: Graph) -> None:
    client_id = azure.identity("one")["properties"]["clientId"]
    assert said(graph("GET", f"/applications(appId='{client_id}')")) == (404, "Request_ResourceNotFound")
