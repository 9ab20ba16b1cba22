# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Bodies are those of real services; what a person reads is one sentence with cause and remedy."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.azure import arm_errors
from ansible_collections.azureops.pod_identity.tests.unit.tables import for_each

FORBIDDEN = (
    "The client '1b0e' with object id '9d2c' does not have authorization to perform action "
    "'Microsoft.Authorization/roleAssignments/write' over scope '/subscriptions/s/resourceGroups/rg' or the scope is "
    "invalid. If access was recently granted, please refresh your credentials."
)
LINKED = (
    "The client '1b0e' with object id '9d2c' has permission to perform action "
    "'Microsoft.ContainerService/managedClusters/write' on scope '/a'; however, it does not have permission to perform "
    "action(s) 'Microsoft.ManagedIdentity/userAssignedIdentities/assign/action' on the linked "
    "scope(s) '/b' (respectively)."
)
LOCKED = (
    "The scope '/subscriptions/s/resourceGroups/rg' cannot perform delete operation because following scope(s) are "
    "locked: '/subscriptions/s/resourceGroups/rg'. Please remove the lock and try again."
)


@for_each(
    ({"error": {"code": "ResourceNotFound", "message": "gone"}}, "ResourceNotFound", "gone"),
    ({"code": "NotFound", "details": None, "message": "gone", "subcode": "X"}, "NotFound", "gone"),
    ({"error": "invalid_client", "error_description": "AADSTS1: no"}, "invalid_client", "AADSTS1: no"),
    ({"error": {}}, "HTTP404", ""),
    ({"error": "NotFound"}, "HTTP404", ""),
    (["unexpected"], "HTTP404", ""),
)
def test_every_shape_of_an_error_is_read(body: Any, code: str, message: str) -> None:
    assert arm_errors.parse(404, json.dumps(body)) == arm_errors.ServiceError(404, code, message)


def test_an_answer_that_is_no_json_is_quoted() -> None:
    error = arm_errors.parse(502, b"<html>\n  Bad Gateway</html>", "r1")
    told = {"code": "HTTP502", "message": "<html> Bad Gateway</html>"}
    assert error.as_dict() == {**told, "request_id": "r1", "status": 502}


@for_each(
    (
        *(403, "AuthorizationFailed", FORBIDDEN),
        "the principal 9d2c may not perform Microsoft.Authorization/roleAssignments/write at "
        "/subscriptions/s/resourceGroups/rg; somebody who holds Owner or User Access Administrator at "
        "/subscriptions/s/resourceGroups/rg can grant a role with this action (a grant takes some "
        "minutes to work).",
    ),
    (
        *(403, "LinkedAuthorizationFailed", LINKED),
        "the principal 9d2c may not perform Microsoft.ManagedIdentity/userAssignedIdentities/assign/action at /b; "
        "somebody who holds Owner or User Access Administrator at /b can grant a role with this action (a grant "
        "takes some minutes to work).",
    ),
    (
        *(409, "ScopeLocked", LOCKED),
        "a lock on /subscriptions/s/resourceGroups/rg forbids it; remove the lock (az lock list, az lock delete) or "
        "ask its owner.",
    ),
    (
        *(429, "TooManyRequests", ""),
        "the service gave no reason (TooManyRequests); Azure limits the number of requests, run again in some minutes.",
    ),
)
def test_refusals_in_one_sentence(status: int, code: str, message: str, expected: str) -> None:
    error = arm_errors.ServiceError(status, code, message)
    assert arm_errors.explain("do it", error) == f"Could not do it: {expected}"


REGIONS = "did you mean {}? All regions that Azure takes are in error.message."
CORRECT = "correct what the message names and run again."


@for_each(
    (
        "403 Authorization_RequestDenied",
        "Insufficient privileges to complete the operation",
        ".",
        "an administrator of the tenant can grant this principal the permission Application.ReadWrite.OwnedBy of "
        "Microsoft Graph, with which it has to be an owner of the application, or Application.ReadWrite.All.",
    ),
    (
        "403 Directory_ResourceSizeExceeded",
        "The size of the object has exceeded its limit",
        ". Please reduce the number of values and retry your request.",
        "it holds as much as Entra takes, such as 20 federated credentials; remove some, or use another.",
    ),
    ("404 ResourceGroupNotFound", "Resource group 'rg' could not be found", ".", "create it first."),
    (
        "404 InvalidResourceType",
        "The resource type could not be found in the namespace 'x' for api version 'y'",
        ".",
        "this cloud does not offer it, so nothing can be told from that; check cloud_environment.",
    ),
    (
        "400 BadRequest",
        "Getting static credential is not allowed because this cluster is set to disable local accounts",
        ".",
        "set credentials to user, which needs no local account.",
    ),
    (
        "400 OperationNotAllowed",
        "Managed cluster is in stopped state",
        ". Please start the cluster and try again.",
        "start the cluster with az aks start and run again.",
    ),
    (
        "400 LocationNotAvailableForResourceGroup",
        "The provided location 'West Eurpe' is not available for resource group",
        ". List of available regions is 'eastus,westeurope,northeurope'.",
        REGIONS.format("westeurope"),
    ),
    (
        "400 LocationNotAvailableForResourceType",
        "The provided location 'atlantis' is not available for resource type "
        "'Microsoft.ContainerService/managedClusters'",
        ". List of available regions for the resource type is 'eastus,westeurope'.",
        "name another region; all that Azure takes are in error.message.",
    ),
    (
        "400 NoRegisteredProviderFound",
        "No registered resource provider found for location 'eastu' and API version 'x' for type 'y'",
        ". The supported api-versions are 'x'. The supported locations are 'westeurope, eastus'.",
        REGIONS.format("eastus"),
    ),
    (
        "400 NoRegisteredProviderFound",
        "No registered resource provider found for location 'eastus' and API version 'x' for type 'y'",
        ". The supported api-versions are 'z'. The supported locations are 'westeurope, eastus'.",
        CORRECT,
    ),
    (
        "400 InvalidParameter",
        "The value of parameter dnsPrefix is invalid",
        ". Please see https://aka.ms/x for more.",
        CORRECT,
    ),
)
def test_what_azure_says_first_is_quoted(status_and_code: str, said: str, more: str, remedy: str) -> None:
    status, code = status_and_code.split()
    error = arm_errors.ServiceError(int(status), code, f"{said}{more}")
    assert arm_errors.explain("do it", error) == f"Could not do it: {said} ({code}); {remedy}"


@pytest.mark.parametrize("status", [302, 400, 403, 404, 405, 407, 451])
@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("<html>Access denied</html>", ""),
        ("", ""),
        ("Blocked by policy", ": Blocked by policy"),
        ({"message": "no"}, ": no"),
    ],
)
def test_a_refusal_that_is_not_azures_names_a_proxy(status: int, body: Any, said: str) -> None:
    error = arm_errors.parse(status, body if isinstance(body, str) else json.dumps(body))
    assert error.foreign
    assert arm_errors.explain("do it", error) == (
        f"Could not do it: the answer has status {status} and is not in the form of Azure's{said}, so a proxy, a "
        "gateway or another service gave it; check proxy, network and cloud_environment, then run again."
    )


def test_a_throttled_client_is_told_when_to_come_back() -> None:
    error = arm_errors.ServiceError(429, "TooManyRequests", "Slow down.", retry_after=3600)
    assert arm_errors.explain("do it", error).endswith("limits the number of requests, run again in 3600 seconds.")


ANOTHER = "a proxy, a gateway or another service answered instead"


@for_each(
    ("Expecting value: line 1 column 1 (char 0)", ANOTHER),
    ("JSON is invalid: Expecting value Content: <html>", ANOTHER),
    ("Unable to complete OIDC Discovery: 302, ", ANOTHER),
    ("None", ANOTHER),
    ("Unable to get authority configuration for https://x/t.", "the tenant is unknown to Entra, or a proxy"),
)
def test_a_login_that_something_else_answered(said: str, cause: str) -> None:
    sentence = arm_errors.explain_login("do it", f"Authentication failed: {said}")
    assert sentence.startswith(f"Could not do it: no token was obtained, because {cause}")
    assert sentence.endswith("proxy, network and cloud_environment, then run again.")


@for_each("Authentication failed: invalid_client", "Authentication failed: MSIS9605: no.", "Azure CLI not found")
def test_a_login_that_was_refused_names_the_credential(said: str) -> None:
    assert arm_errors.explain_login("do it", said).endswith("; check the credential.")


def test_a_refused_login_names_the_remedy_and_drops_the_trace() -> None:
    said = "AADSTS7000222: The provided client secret keys for app 'x' are expired"
    message = f"Authentication failed: {said}. Visit the portal. Trace ID: 1 Correlation ID: 2 Timestamp: 3"
    assert arm_errors.explain_login("do it", message) == (
        f"Could not do it: Entra gave no token: {said}; "
        "make a new client secret of the application and put it into the credential of this task."
    )
    assert arm_errors.login_error(message) == {"code": "AADSTS7000222", "message": f"{said}. Visit the portal."}
    assert arm_errors.login_error("Azure CLI not found on path") == {}


@given(st.text(), st.text(), st.integers(min_value=200, max_value=599))
def test_any_answer_gives_a_single_line(code: str, message: str, status: int) -> None:
    error = arm_errors.parse(status, json.dumps({"error": {"code": code, "message": message}}))
    assert len(arm_errors.explain("do it", error).splitlines()) == 1
