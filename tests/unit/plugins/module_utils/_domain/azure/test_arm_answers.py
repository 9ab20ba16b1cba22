# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Absent is what ARM calls so; everything that is not in its form is refused."""

from __future__ import annotations

import datetime
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.azure import arm_answers, arm_errors
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.errors import Failure
from ansible_collections.azureops.pod_identity.tests.unit.tables import for_each

ONE = "/subscriptions/s/resourceGroups/rg/providers/Microsoft.ManagedIdentity/userAssignedIdentities/one"
OTHER = ONE.replace("one", "other")
ARM = "https://management.azure.com"
NOW = datetime.datetime(2026, 1, 1, 12, 0, 0, tzinfo=datetime.timezone.utc)


def refusal(code: str) -> dict[str, Any]:
    return {"error": {"code": code, "message": "gone"}}


MISSING = ["ResourceNotFound", "ResourceGroupNotFound", "ParentResourceNotFound", "NotFound", "RoleAssignmentNotFound"]
MISSING += ["RoleDefinitionDoesNotExist"]
NO_REFUSALS: list[Any] = [{}, [], "<html>NotFound</html>", ""]
OTHERS = ["SubscriptionNotFound", "TenantNotFound", "ResourceProviderNotFound", "InvalidResourceType"]
OTHERS += ["ResourceTypeNotSupported", "ResourceTypeNotFound"]


@for_each(
    *((404, refusal(code), True) for code in MISSING),
    *((404, refusal(code), False) for code in OTHERS),
    (404, {"code": "NotFound", "details": None, "message": "gone", "subcode": "GetManagedCluster_NotFound"}, True),
    (404, {"error": {"code": "NotFound"}}, False),
    (404, {"error": "NotFound"}, False),
    (404, {"code": 404, "message": "NotFound"}, False),
    (404, {"statusCode": 404, "message": "Resource not found"}, False),
    *((404, body, False) for body in NO_REFUSALS),
    (403, refusal("ResourceNotFound"), False),
    (200, refusal("ResourceNotFound"), False),
)
def test_only_a_refusal_of_arm_means_absent(status: int, body: Any, missing: bool) -> None:
    text = body if isinstance(body, str) else json.dumps(body)
    assert arm_answers.is_missing(arm_errors.parse(status, text)) is missing


def test_a_resource_is_one_with_its_id() -> None:
    body: dict[str, Any] = {"id": ONE.upper(), "name": "one", "properties": None, "tags": {}}
    assert arm_answers.resource("do it", json.dumps(body), ONE) == body


@for_each(
    ("", "the answer is empty"),
    (" \n", "the answer is empty"),
    ("<!DOCTYPE html><html>", "the answer is an HTML page"),
    ("<html>", "the answer is an HTML page"),
    ("Bad gateway", "the answer is not JSON"),
    ('{"id": "/sub', "the answer is not JSON"),
    ("[" * 100_000, "the answer is not JSON"),
    ("null", "the answer is empty"),
    ("[]", "the answer is not a resource"),
    ("{}", "the answer has no resource id"),
    (json.dumps({"id": 5, "name": "one"}), "the answer has no resource id"),
    (json.dumps({"id": " / ", "name": "one"}), "the answer has no resource id"),
    (json.dumps({"id": OTHER, "name": "other"}), f"the answer is about {OTHER!r}"),
    (json.dumps({"id": ONE}), "the answer has no name of a resource"),
    (json.dumps({"id": ONE, "name": "one", "properties": "x"}), "'properties' is no object in the answer"),
    (json.dumps({"id": ONE, "name": "one", "tags": [1]}), "'tags' is no object in the answer"),
)
def test_what_is_no_resource_is_refused(text: str, found: str) -> None:
    with pytest.raises(arm_answers.NotAzure) as refused:
        arm_answers.resource("do it", text, ONE)
    assert refused.value.sentence == (
        f"Could not do it: {found}, so not Azure but a proxy, a gateway or another service answered; check proxy, "
        "network and cloud_environment, then run again."
    )


def test_a_page_of_a_list() -> None:
    text = json.dumps({"value": [{"id": ONE}], "nextLink": "https://x/"})
    assert arm_answers.page("do it", text, named=True) == arm_answers.Page(({"id": ONE},), "https://x/")
    assert arm_answers.page("do it", '{"value": [{}], "nextLink": null}', named=False) == arm_answers.Page(({},), "")


@pytest.mark.parametrize(
    "body",
    [None, [], {}, {"value": None}, {"value": {}}, {"value": "x"}, {"value": [None]}, {"value": [ONE]}]
    + [{"value": [{}]}, {"value": [{"id": 5}]}, {"value": [{"id": "/"}]}, {"value": [{"id": ONE, "properties": "x"}]}]
    + [{"value": [], "nextLink": 5}, {"value": [], "nextLink": ["x"]}],
    ids=str,
)
def test_what_is_no_list_is_refused(body: Any) -> None:
    with pytest.raises(arm_answers.NotAzure):
        arm_answers.page("do it", json.dumps(body) if body is not None else "", named=True)


def test_an_item_counts_once_whatever_its_casing() -> None:
    items: list[dict[str, Any]] = [{"id": ONE, "n": 1}, {"id": ONE.lower(), "n": 2}, {"id": OTHER}, {"n": 3}, {"n": 3}]
    assert arm_answers.distinct(items) == [{"id": ONE, "n": 1}, {"id": OTHER}, {"n": 3}, {"n": 3}]


def test_a_list_that_leads_in_a_circle_is_refused() -> None:
    read = arm_answers.PagesRead()
    read.follow("do it", "https://x/1?$filter=a%20eq%20b", "https://x/2?$skiptoken=a")
    read.follow("do it", "https://x/2?$skiptoken=a", "https://x/2?$skiptoken=b")
    with pytest.raises(arm_answers.NotAzure):
        read.follow("do it", "https://x/2?$skiptoken=b", "https://X/1?%24filter=a+eq+b")


def test_a_page_that_leads_to_itself_is_refused() -> None:
    with pytest.raises(arm_answers.NotAzure):
        arm_answers.PagesRead().follow("do it", "https://x/1", "https://x/1")


@for_each(
    (f"{ARM}/subscriptions/s?x=%2F&s=a=b", ARM),
    (f"{ARM}:443/x", ARM),
    ("https://MANAGEMENT.azure.com/x", ARM),
    ("https://westeurope.management.azure.com/x", ARM),
    ("https://usgovvirginia.management.usgovcloudapi.net/x", "https://management.usgovcloudapi.net"),
    ("https://127.0.0.1:4433/x", "https://127.0.0.1:4433"),
)
def test_urls_at_the_endpoint_are_followed_as_they_came(url: str, endpoint: str) -> None:
    assert arm_answers.at_endpoint("do it", url, endpoint) == url


def test_a_path_is_one_of_the_endpoint() -> None:
    assert arm_answers.at_endpoint("do it", "/subscriptions/s?a=b", ARM) == f"{ARM}/subscriptions/s?a=b"


ELSEWHERE = """
    https://evil.example/x
    http://management.azure.com/x
    https://management.azure.com.evil.example/x
    https://evilmanagement.azure.com/x
    https://a.b.management.azure.com/x
    https://.management.azure.com/x
    https://management.azure.com@evil.example/x
    https://management.azure.com:x@evil.example/x
    https://evil.example\\@management.azure.com/x
    https://management.azure.com\\@evil.example/x
    https://evil.example#@management.azure.com/x
    https://management.azure.com:8443/x
    //evil.example/x
    evil.example/x
    ftp://management.azure.com/x
    https://management.usgovcloudapi.net/x
""".split()


@for_each(
    *((url, ARM) for url in (*ELSEWHERE, "https://management.azure.com/x\nHost: evil.example", "")),
    ("https://127.0.0.1:4434/x", "https://127.0.0.1:4433"),
    ("https://127.0.0.2:4433/x", "https://127.0.0.1:4433"),
)
def test_urls_elsewhere_are_refused_by_name(url: str, endpoint: str) -> None:
    with pytest.raises(Failure) as refused:
        arm_answers.at_endpoint("do it", url, endpoint)
    shown = url.partition("#")[0]
    assert refused.value.sentence.startswith(f"Could not do it: the answer refers to {shown!r}, which is not the Azure")
    assert "\n" not in refused.value.sentence


def test_a_signature_is_not_told() -> None:
    with pytest.raises(Failure) as refused:
        arm_answers.at_endpoint("do it", "https://evil.example/x?s=secret", ARM)
    assert "secret" not in refused.value.sentence


def test_a_field_that_azure_always_gives() -> None:
    body = {"id": ONE, "location": "westeurope", "properties": {"a": 5}}
    assert arm_answers.needed(body, "location") == "westeurope"
    for path in (("properties", "a"), ("properties", "b"), ("location", "x"), ("y",)):
        with pytest.raises(arm_answers.NotAzure) as refused:
            arm_answers.needed(body, *path)
        assert f"{ONE}: {'.'.join(path)} is missing" in refused.value.sentence


@for_each(
    *((header, 0) for header in ("", "0", "soon", "-5", "1e400", "inf")),
    *((header, 17) for header in ("17", " 17 ")),
    ("Thu, 01 Jan 2026 13:00:00 GMT", 3600),
    ("Thu, 01 Jan 2026 13:00:00", 3600),
    ("Thu, 01 Jan 2026 11:00:00 GMT", 0),
    ("Thu, 99 Jan 2026 13:00:00 GMT", 0),
)
def test_when_to_ask_again(header: str, seconds: float) -> None:
    assert arm_answers.retry_after(header, NOW) == seconds


@given(st.text())
def test_any_text_is_a_resource_or_refused(text: str) -> None:
    with pytest.raises(arm_answers.NotAzure) as refused:
        arm_answers.resource("do it", text, ONE)
    assert len(refused.value.sentence.splitlines()) == 1


@given(st.text())
def test_any_header_is_a_pause_or_none(header: str) -> None:
    assert arm_answers.retry_after(header, NOW) >= 0
