# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.azure import graph_answers
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.azure.arm_answers import NotAzure
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.azure.arm_errors import ServiceError
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.errors import Failure
from ansible_collections.azureops.pod_identity.tests.unit.tables import for_each

OBJECT, APP = "0d1b5a3e-2c3b-4a61-8f2e-9b7d6c5a4f30", "5f6b5c2e-7f0c-4b57-9a41-6d2b6a0e9d51"
DOING = "look"
CONTEXT = f"https://graph.microsoft.com/v1.0/$metadata#applications('{OBJECT}')/federatedIdentityCredentials"
ONE = {"id": OBJECT, "name": "pods", "issuer": "https://i/", "subject": "s", "audiences": ["a"], "description": None}


def page(*values: Any, **more: Any) -> str:
    return json.dumps({"@odata.context": CONTEXT, "value": list(values), **more})


@pytest.mark.parametrize("text", ["", "billing", OBJECT[:-1], f"{OBJECT}/", f"{OBJECT}')/x"])
def test_what_is_no_client_id(text: str) -> None:
    with pytest.raises(Failure, match="app_id must be its application"):
        graph_answers.require_app_id(text)


@pytest.mark.parametrize(("text", "tenant"), [(None, ""), ("", ""), (APP, APP), ("contoso.example", "contoso.example")])
def test_a_tenant(text: str | None, tenant: str) -> None:
    assert graph_answers.require_tenant(text) == tenant


@pytest.mark.parametrize("text", [" ", "a/b", "../x", "a b", "x\n"])
def test_what_is_no_tenant(text: str) -> None:
    with pytest.raises(Failure, match="is no tenant; name it by its id"):
        graph_answers.require_tenant(text)


@for_each(
    (404, "Request_ResourceNotFound", "Resource 'x' does not exist.", True),
    (404, "Request_ResourceNotFound", "", False),
    (404, "ResourceNotFound", "It is not found.", False),
    (404, "HTTP404", "Page", False),
    (400, "Request_ResourceNotFound", "Resource 'x' does not exist.", False),
)
def test_what_says_that_something_is_missing(status: int, code: str, message: str, missing: bool) -> None:
    assert graph_answers.is_missing(ServiceError(status, code, message)) == missing


def test_an_application() -> None:
    text = json.dumps({"id": OBJECT, "appId": APP.upper(), "displayName": "billing"})
    found = graph_answers.application(DOING, text, APP)
    assert (found.object_id, found.name) == (OBJECT, "billing")


@for_each(
    *(None, [], {}),
    {"id": OBJECT, "appId": OBJECT, "displayName": "billing"},
    {"id": OBJECT, "appId": APP},
    {"id": "../other", "appId": APP, "displayName": "billing"},
    {"id": None, "appId": None, "displayName": None},
)
def test_what_is_not_the_application(body: Any) -> None:
    with pytest.raises(NotAzure):
        graph_answers.application(DOING, json.dumps(body) if body is not None else "", APP)


def test_a_page_of_credentials() -> None:
    flexible = {**ONE, "name": "branches", "subject": None}
    found = graph_answers.credentials(DOING, page(ONE, flexible, **{"@odata.nextLink": "https://next"}))
    assert found.following == "https://next"
    pods, branches = map(graph_answers.credential, found.items)
    assert (pods.name, pods.issuer, pods.subject, pods.audiences) == ("pods", "https://i/", "s", ("a",))
    assert (branches.subject, branches.protection) == ("", "flexible_credential")


@for_each(
    *("", "{}", "[]", json.dumps({"value": []})),
    json.dumps({"value": [], "nextLink": "https://elsewhere"}),
    json.dumps({"value": [], "@odata.context": CONTEXT.replace("federated", "other")}),
    json.dumps({"value": None, "@odata.context": CONTEXT}),
    page({}),
    *(page({**ONE, **odd}) for odd in ({"id": "../x"}, {"issuer": None}, {"subject": 1})),
    *(page({**ONE, "audiences": odd}) for odd in ("a", [1])),
    page(ONE, **{"@odata.nextLink": 1}),
)
def test_what_lists_no_credentials(text: str) -> None:
    with pytest.raises(NotAzure):
        graph_answers.credentials(DOING, text)
