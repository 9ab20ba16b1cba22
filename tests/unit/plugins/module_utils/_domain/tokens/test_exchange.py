# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Verdicts over requests to Entra itself, with the token of a service account."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.azure import aadsts
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.tokens import exchange, token_request
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.tokens.token import Expectation, Verdict
from ansible_collections.azureops.pod_identity.tests.unit.tables import for_each

RESOURCE = "https://management.azure.com/"
CLIENT_ID = "2f3e6a44-5a6c-4f0d-8d1e-5a8b1f0c9e77"
TENANT = "5e1c7a2b-93c4-4a58-8f43-6b1f0f6a2d10"
NOW = 1_790_000_000
ASSERTION = {
    "iss": "https://westeurope.oic.prod-aks.azure.com/t/u/",
    "sub": "system:serviceaccount:billing:billing",
    "aud": ["api://AzureADTokenExchange"],
    "exp": NOW + 3500,
    "kubernetes.io": {"pod": {"name": "api"}},
}
FILE = "/var/run/secrets/azure/tokens/azure-identity-token"
POD = token_request.Exchange(FILE, CLIENT_ID, TENANT, "https://login.microsoftonline.com/", ASSERTION)
CLAIMS = {"aud": RESOURCE, "tid": TENANT, "appid": CLIENT_ID, "oid": "o", "idtyp": "app", "iat": NOW, "exp": NOW + 9}
EXPECTED = Expectation(resource=RESOURCE, client_id=CLIENT_ID, tenant_id=TENANT, identity="billing/billing")


def answer(**changes: Any) -> token_request.Answer:
    base: dict[str, Any] = {"tool": "curl", "exit_code": 0, "status": 200, "connected": True, "started": NOW}
    return token_request.Answer(**{**base, "complete": True, "claims": CLAIMS, "exchange": POD, **changes})


def judge(given: token_request.Answer, **expected: Any) -> Verdict:
    return exchange.judge(given, replace(EXPECTED, **expected))


def test_a_right_token() -> None:
    found = judge(answer())
    assert (found.verdict, found.answered_by, found.path) == ("ok", "entra", "workload_identity")
    assert found.message == "Entra handed out a token of billing/billing."
    assert {each.check for each in found.checks} >= {"audience", "tenant", "client_id", "issued_during_probe"}
    assert judge(answer(), path="workload_identity", ambiguous=True).verdict == "ok"
    assert judge(answer(claims={**CLAIMS, "iat": NOW - 300})).verdict == "ok", "Entra dates new ones so"


@for_each(
    ({"appid": "other"}, "wrong_identity", "annotation azure.workload.identity/client-id of the service account"),
    ({"tid": "other"}, "wrong_tenant", "annotation azure.workload.identity/tenant-id of the service account"),
    ({"aud": "other"}, "wrong_audience", "check the resource"),
    ({"iat": NOW - 600}, "stale_token", "a cache answered"),
    # What the metadata service asks for has the machine in it.
    ({"xms_az_rid": "/subscriptions/s/vmss"}, "unclear", "claims tell of another way"),
)
def test_a_wrong_token(claims: dict[str, Any], verdict: str, words: str) -> None:
    found = judge(answer(claims={**CLAIMS, **claims}))
    assert found.verdict == verdict and words in found.message and found.answered_by == "entra"


@given(st.sampled_from(["nmi", "imds"]), st.booleans())
def test_a_token_of_nmi_or_the_metadata_service_is_no_success(who: str, machine: bool) -> None:
    """Neither answers at the login host; what comes from an address where they do has no exchange to show."""
    headers = (("Server", "IMDS/150.870.65.1854"),) if who == "imds" else (("Content-Type", "application/json"),)
    claims = {**CLAIMS, "xms_az_rid": "/subscriptions/s/vmss"} if machine else CLAIMS
    assert judge(answer(headers=headers, claims=claims, exchange=None)).verdict == "not_verified"
    local = replace(POD, authority="http://169.254.169.254/")
    found = judge(answer(headers=headers, claims=claims, exchange=local))
    assert found.verdict == "exchange_incomplete" and "is no https URL" in found.message


ENDED: list[tuple[dict[str, Any], str, str]] = [
    ({"exchange": replace(POD, token_file="")}, "not_mutated", "AZURE_FEDERATED_TOKEN_FILE is not set"),
    ({"exchange": replace(POD, claims=None)}, "exchange_incomplete", f"the file {FILE} holds no token"),
    ({"exchange": replace(POD, client_id="")}, "exchange_incomplete", "annotate the service account"),
    ({"exchange": replace(POD, tenant_id="")}, "exchange_incomplete", "AZURE_TENANT_ID is empty"),
    ({"exchange": replace(POD, authority="")}, "exchange_incomplete", "AZURE_AUTHORITY_HOST is empty"),
    ({"tool": "none"}, "not_verified", "neither curl nor python3; use method: probe_pod"),
    ({}, "not_verified", "characters that they cannot have"),
    ({"exit_code": 6}, "path_blocked", "check its DNS"),
    ({"exit_code": 7}, "path_blocked", "let it reach that host on port 443"),
    ({"exit_code": 28}, "path_blocked", "network policies"),
    ({"exit_code": 28, "connected": True, "seconds": 20.0}, "no_answer", "within 20 seconds"),
    ({"exit_code": 35}, "path_blocked", "port 443"),
    ({"exit_code": 60}, "not_verified", "is not trusted in the container"),
    ({"exit_code": 3}, "not_verified", "failed before an answer"),
]


@pytest.mark.parametrize(("changes", "verdict", "words"), ENDED)
def test_no_answer_is_no_success(changes: dict[str, Any], verdict: str, words: str) -> None:
    nothing = {"exit_code": None, "status": 0, "connected": False, "claims": None, "body": "curl: no"}
    found = judge(answer(**{**nothing, **changes}))
    assert found.verdict == verdict and words in found.message and found.path == ""


@pytest.mark.parametrize("code", ["700213", "700024", "700211", "50173", "90002", "53003"])
def test_a_refusal_of_entra(code: str) -> None:
    body = json.dumps({"error": "invalid_client", "error_description": f"AADSTS{code}: No. Trace ID: t"})
    found = judge(answer(status=401, claims=None, body=body))
    assert (found.answered_by, found.error_code) == ("entra", f"AADSTS{code}") and found.verdict != "ok"
    known = aadsts.find(body)
    assert known is None or known.meaning in found.message
    assert "AzureIdentity" not in found.message
    if code in ("700213", "700024"):
        assert (found.verdict, found.code) == ("federation_refused", "V14")


@for_each((429, "throttled"), (503, "server_error"), (403, "unknown_responder"), (302, "unknown_responder"))
def test_an_answer_that_names_no_code(status: int, verdict: str) -> None:
    assert judge(answer(status=status, claims=None, body="<html>no</html>")).verdict == verdict


def test_a_page_in_place_of_a_token() -> None:
    assert judge(answer(claims=None, body="<html>Sign in</html>")).verdict == "unreadable_token"


def test_what_is_told_of_the_assertion() -> None:
    told = {"issuer": ASSERTION["iss"], "subject": ASSERTION["sub"], "audience": "api://AzureADTokenExchange"}
    assert exchange.view(answer()) == {**told, "seconds_left": 3500}
    assert exchange.view(answer(exchange=None)) == exchange.view(answer(exchange=replace(POD, claims=None))) == {}
    odd = {"aud": "one", "exp": "soon", "iss": None}
    nothing = {"issuer": "", "subject": "", "audience": "one", "seconds_left": 0}
    assert exchange.view(answer(exchange=replace(POD, claims=odd))) == nothing


def test_what_the_program_prints_is_read() -> None:
    of_pod = {"token_file": FILE, "client_id": CLIENT_ID, "tenant_id": TENANT, "authority": POD.authority}
    printed = {"now": str(NOW), "tool": "curl", **of_pod, "assertion_claims": ASSERTION}
    printed |= {"exit": "0", "status": "200", "claims": CLAIMS, "end": "1"}
    found = token_request.parse("\n".join(json.dumps({key: value}) for key, value in printed.items()))
    assert found.exchange == POD and found.claims == CLAIMS and found.complete
    assert judge(found).verdict == "ok"
    assert token_request.parse('{"tool": "curl"}').exchange is None


def test_the_scope_is_that_of_the_proxy() -> None:
    scope, client_id, limit, _python, target = exchange.arguments(RESOURCE, None, 20)
    assert (scope, client_id, limit, target) == ("https%3A%2F%2Fmanagement.azure.com%2F%2F.default", "", "20", "")
    assert exchange.python_command(RESOURCE, CLIENT_ID, 20, "t")[3:] == [scope, CLIENT_ID, "20", "t"]


def test_the_python_form_goes_through_a_shell() -> None:
    assert "'" not in exchange.PYTHON
    compile(exchange.PYTHON, "exchange", "exec")
