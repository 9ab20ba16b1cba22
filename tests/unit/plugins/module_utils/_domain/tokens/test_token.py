# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Verdicts over answers to token requests."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.azure import aadsts
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.tokens.token import (
    Expectation,
    answered_by,
    brief,
    judge,
)
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.tokens.token_request import Answer, parse
from ansible_collections.azureops.pod_identity.tests.unit.tables import case, for_each

RESOURCE = "https://management.azure.com/"
CLIENT_ID = "2f3e6a44-5a6c-4f0d-8d1e-5a8b1f0c9e77"
HIDDEN = "2f3e##### REDACTED #####9e77"
OBJECT_ID = "b1d9c1c8-1f5a-4a0e-9a74-0a6d5a3a7c21"
TENANT = "5e1c7a2b-93c4-4a58-8f43-6b1f0f6a2d10"
MIRID = "/subscriptions/s/resourcegroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/billing"
NOW = 1_790_000_000
CLAIMS = {"aud": RESOURCE, "tid": TENANT, "appid": CLIENT_ID, "oid": OBJECT_ID, "iat": NOW, "exp": NOW + 3600}
CLAIMS["xms_mirid"] = MIRID
IDS: dict[str, Any] = {"client_id": CLIENT_ID, "tenant_id": TENANT, "object_id": OBJECT_ID}
EXPECTED = Expectation(
    RESOURCE, resource_id=MIRID.replace("resourcegroups", "resourceGroups"), identity="billing/billing", **IDS
)
IMDS = (("Server", "IMDS/150.870.65.1854"),)
PROXY = (("server", "azure-workload-identity/proxy/v1.3.0"),)
MESH = (("Server", "istio-envoy"),)


PLAIN = (("Content-Type", "application/json"), ("Date", "Tue, 24 Nov 2026 10:00:00 GMT"))
METADATA = Answer(exit_code=0, status=200, headers=IMDS)
BLOCKED = Answer(exit_code=0, status=403, headers=PLAIN, body="Request blocked by AAD Pod Identity NMI")


def answer(**changes: Any) -> Answer:
    """An answer to a request for a token, of NMI unless a header says otherwise."""
    base = {"tool": "curl", "exit_code": 0, "status": 200, "started": NOW, "complete": True, "instance": METADATA}
    return Answer(**{**base, "headers": PLAIN, **changes})


def token(headers: tuple[tuple[str, str], ...] = PLAIN, **claims: Any) -> Answer:
    return answer(headers=headers, claims={**CLAIMS, **claims})


@for_each(
    (token(), "ok", "", "nmi"),
    (token(PROXY), "ok", "", "workload_identity_proxy"),
    (token(IMDS), "raw_imds", "V1", "imds"),
    (answer(status=400, headers=IMDS, body="Identity not found"), "raw_imds", "V1", "imds"),
    (token(MESH), "unknown_responder", "", "unknown"),
    (answer(status=403, headers=MESH, body="RBAC: access denied"), "unknown_responder", "", "unknown"),
    (answer(status=0, exit_code=7), "nmi_dead", "V2", "nobody"),
    (answer(status=0, exit_code=28, seconds=15), "path_blocked", "V3", "nobody"),
    (answer(status=0, exit_code=28, seconds=15, connected=True), "no_answer", "", "unknown"),
    (answer(status=0, exit_code=6, body="curl: (6) no such host"), "not_verified", "", "unknown"),
    (answer(status=404, seconds=80, body="... for pod a/b in CREATED state failed after"), "not_assigned", "V4", "nmi"),
    (answer(status=404, seconds=80.2), "not_assigned", "V4", "nmi"),
    (answer(status=503, seconds=80, body="in CREATED state failed after 16 attempts"), "not_assigned", "V4", "nmi"),
    (answer(status=404, seconds=60, body="context canceled"), "not_assigned", "V4", "nmi"),
    (answer(status=404, seconds=100, body="in ASSIGNED state failed after 20"), "assignment_stuck", "V5", "nmi"),
    (answer(status=404, seconds=101), "assignment_stuck", "V5", "nmi"),
    (answer(status=404, body=f"no azure identity found for request clientID {HIDDEN}"), "wrong_identity", "V6", "nmi"),
    (answer(status=404, seconds=0.03), "wrong_identity", "V6", "nmi"),
    (answer(status=403, body='failed to refresh token, "Identity not found"'), "identity_missing", "V7", "nmi"),
    (token(tid="other"), "wrong_tenant", "V9", "nmi"),
    (answer(status=403, body="AADSTS700016: Application not found"), "wrong_tenant", "V9", "nmi"),
    (token(aud="https://vault.azure.net"), "wrong_audience", "V10", "nmi"),
    (token(appid=OBJECT_ID), "wrong_identity", "V6", "nmi"),
    (token(tid="other", appid=OBJECT_ID), "wrong_identity", "V6", "nmi"),
    (token(oid=CLIENT_ID), "wrong_identity", "V6", "nmi"),
    (token(xms_mirid=MIRID + "2"), "wrong_identity", "V6", "nmi"),
    (token(exp=NOW - 1), "stale_token", "V15", "nmi"),
    (token(PROXY, iat=NOW - 3600), "stale_token", "V15", "workload_identity_proxy"),
    (token(PROXY, iat=NOW - 300), "ok", "", "workload_identity_proxy"),  # as Entra dates a new one
    (token(iat=NOW - 3600), "ok", "", "nmi"),  # IMDS behind NMI caches, NMI itself does not
    (
        answer(status=500, headers=PROXY, body="AADSTS70021: No matching federated identity record found"),
        *("federation_refused", "V14", "workload_identity_proxy"),
    ),
    (answer(status=403, body="AADSTS7000215: Invalid client secret"), "token_refused", "", "nmi"),
    (answer(status=500, body="failed to match pod IP 10.0.0.1 with []"), "pod_unknown", "", "nmi"),
    (answer(status=500, body="oops"), "server_error", "", "nmi"),
    (answer(status=429), "throttled", "", "nmi"),
    (answer(status=400, body="parameter resource cannot be empty"), "request_refused", "", "nmi"),
    (answer(unreadable="no JWT"), "unreadable_token", "", "nmi"),
    (Answer(), "not_verified", "", "unknown"),
    (Answer(tool="none"), "not_verified", "", "unknown"),
)
def test_verdicts(given_answer: Answer, verdict: str, code: str, who: str) -> None:
    found = judge(given_answer, EXPECTED)
    assert (found.verdict, found.code, found.answered_by) == (verdict, code, who)
    assert found.message.endswith(".") and "\n" not in found.message


@for_each(
    (403, '{"error_description":"AADSTS7000215: Invalid client secret provided."}', "put a valid client secret"),
    (403, '{"error_description":"AADSTS7000222: ... are expired."}', "make a new client secret"),
    (403, '{"error_description":"AADSTS700027: The certificate ..."}', "register the certificate"),
    (503, "parameter 'clientID' cannot be empty", "set clientID"),
    (503, "parameter 'secret' cannot be empty", "put a client secret"),
    (503, "pkcs12: error reading P12 data: asn1: syntax error: sequence truncated", "in PKCS#12 format"),
    (503, "pkcs12: decryption password incorrect", "does not open its certificate"),
    (503, "pkcs12: unknown digest algorithm: 2.16.840.1.101.3.4.2.1", "-macalg sha1"),
    (503, 'failed to get Kubernetes secret a/b, err: secrets "b" not found', "create the Secret"),
    (403, "some other reason", "check the credential"),
)
def test_a_wrong_credential_is_named(status: int, body: str, advice: str) -> None:
    found = judge(answer(status=status, body=body), EXPECTED)
    assert found.verdict == "token_refused" and advice in found.message and "billing/billing" in found.message


# What Entra's refusals are about, and what becomes of it, by code: (verdict, class).
OF_ENTRA = {
    aadsts.TENANT: ("wrong_tenant", "V9"),
    aadsts.CREDENTIAL: ("token_refused", ""),
    aadsts.ASSERTION: ("token_refused", ""),
    aadsts.FEDERATION: ("federation_refused", "V14"),
    aadsts.RESOURCE: ("request_refused", ""),
    aadsts.POLICY: ("policy_refused", ""),
    aadsts.LOAD: ("throttled", ""),
    aadsts.FAULT: ("server_error", ""),
}
ANSWERERS = [case("nmi", PLAIN, 403), case("proxy", PROXY, 500), case("imds", IMDS, 400)]


@pytest.mark.parametrize(("headers", "status"), ANSWERERS)
@pytest.mark.parametrize("entry", [case(entry.name, entry) for entry in aadsts.REFUSALS.values()])
def test_a_refusal_of_entra_is_right_for_who_answered(
    headers: tuple[tuple[str, str], ...], status: int, entry: aadsts.Refusal
) -> None:
    body = f'http call: status code was 401: {{"error_description":"{entry.name}: words. Trace ID: 1"}}'
    found = judge(answer(headers=headers, status=status, body=body), EXPECTED)
    if headers == IMDS:
        assert (found.verdict, found.code, found.error_code) == ("raw_imds", "V1", "")
        return
    about = entry.kind.about
    expected = aadsts.FEDERATION if headers == PROXY and about == aadsts.ASSERTION else about
    assert (found.verdict, found.code) == OF_ENTRA[expected]
    assert found.error_code == entry.name and f"({entry.name}: words." in found.message
    assert entry.meaning in found.message and found.message.endswith(".")
    assert "NMI's log" not in found.message
    if headers == PROXY:
        assert found.message.startswith("The Workload ID proxy answered 500 ")
        assert not re.search(r"NMI|\bSecret\b|billing/billing", found.message)
    else:
        assert found.message.startswith("NMI answered 403 ")
        assert not re.search(r"webhook|proxy's|AZURE_FEDERATED_TOKEN_FILE anew", found.message)


@for_each(
    ("70025", "create a federated identity credential for the service account"),
    ("7002138", "letter by letter"),
    ("50013", "jwks_uri"),
    ("700027", "that sign the tokens of service accounts"),
    ("700024", "read AZURE_FEDERATED_TOKEN_FILE anew"),
)
def test_the_proxy_blames_what_it_has(code: str, advice: str) -> None:
    found = judge(answer(headers=PROXY, status=500, body=f"AADSTS{code}: no"), EXPECTED)
    assert advice in found.message and "NMI" not in found.message and "Secret" not in found.message


@pytest.mark.parametrize("headers", [PLAIN, PROXY])
def test_an_unknown_code_of_entra_leads_to_its_page(headers: tuple[tuple[str, str], ...]) -> None:
    found = judge(answer(headers=headers, status=500, body="AADSTS99999999: new"), EXPECTED)
    assert (found.verdict, found.error_code) == ("token_refused", "AADSTS99999999")
    assert found.message.endswith("https://login.microsoftonline.com/error?code=99999999.")


@for_each(
    (400, "The client_id parameter is required", "request_refused", "the proxy needs a resource"),
    (500, "Post https://l/: dial tcp: lookup l: no such host", "path_blocked", "did not reach Entra"),
    (500, "Post https://l/: x509: certificate signed by unknown authority", "path_blocked", "did not reach Entra"),
    (500, "open /var/run/secrets/azure/x: no such file or directory", "token_refused", "no token of its service"),
    (500, "something else", "server_error", "read the log of the container azwi-proxy"),
    (404, "", "server_error", "azwi-proxy"),
)
def test_what_the_proxy_says_itself(status: int, body: str, verdict: str, advice: str) -> None:
    found = judge(answer(headers=PROXY, status=status, body=body), EXPECTED)
    assert found.verdict == verdict and advice in found.message and "NMI" not in found.message


MACHINE = "/subscriptions/s/resourcegroups/MC/providers/Microsoft.Compute/virtualMachineScaleSets/a"


@for_each(
    (PLAIN, {"xms_az_rid": MACHINE}, "pod_identity", "ok"),
    (PLAIN, {}, "pod_identity", "ok"),  # a service principal of type 1 has neither mark
    (PROXY, {}, "workload_identity", "ok"),
    (PROXY, {"xms_ficinfo": "CAAQARgAIAA"}, "workload_identity", "ok"),
    (IMDS, {"xms_az_rid": MACHINE}, "instance_metadata", "raw_imds"),
    (PROXY, {"xms_az_rid": MACHINE}, "contradictory", "unclear"),
    (PLAIN, {"xms_ficinfo": "CAAQARgAIAA"}, "contradictory", "unclear"),
    (MESH, {"xms_az_rid": MACHINE}, "", "unknown_responder"),
)
def test_how_a_token_came(
    headers: tuple[tuple[str, str], ...], claims: dict[str, str], path: str, verdict: str
) -> None:
    found = judge(token(headers, **claims), EXPECTED)
    assert (found.path, found.verdict) == (path, verdict)
    assert judge(answer(headers=headers, status=403, body="no"), EXPECTED).path == ""


@for_each(
    (PLAIN, "pod_identity", "ok", ""),
    (PROXY, "workload_identity", "ok", ""),
    (PROXY, "pod_identity", "wrong_path", "V12"),
    (PLAIN, "workload_identity", "wrong_path", "V12"),
    (IMDS, "workload_identity", "wrong_path", "V12"),
    (IMDS, "pod_identity", "raw_imds", "V1"),
)
def test_the_way_that_is_expected(headers: tuple[tuple[str, str], ...], path: str, verdict: str, code: str) -> None:
    found = judge(token(headers), replace(EXPECTED, path=path))
    assert (found.verdict, found.code) == (verdict, code)
    if headers != PROXY and path == "workload_identity":
        refused = judge(answer(headers=headers, status=404, body="no"), replace(EXPECTED, path=path))
        assert (refused.verdict, refused.code) == ("wrong_path", "V12")


def test_a_dead_proxy_is_no_dead_nmi() -> None:
    found = judge(answer(status=0, exit_code=7), replace(EXPECTED, path="workload_identity"))
    assert found.verdict == "no_answer" and "azwi-proxy does not run" in found.message and "NMI" not in found.message


@for_each(
    case("passed on", PLAIN, METADATA, "nmi", "ok"),
    case("passed on, refused there", PLAIN, replace(METADATA, status=404, body="Not found"), "nmi", "ok"),
    case("blocked by NMI", PLAIN, BLOCKED, "nmi", "ok"),
    case("no header on either", PLAIN, replace(METADATA, headers=PLAIN), "unknown", "unclear"),
    case("another server's", PLAIN, replace(METADATA, headers=MESH), "unknown", "unclear"),
    case("blocked, but not by NMI", PLAIN, replace(BLOCKED, headers=MESH), "unknown", "unclear"),
    case("forbidden otherwise", PLAIN, replace(BLOCKED, body="denied"), "unknown", "unclear"),
    case("IMDS away", PLAIN, Answer(exit_code=0, status=500, body="dial tcp"), "unknown", "unclear"),
    case("no second answer", PLAIN, Answer(exit_code=28), "unknown", "unclear"),
    case("not asked", PLAIN, None, "unknown", "unclear"),
    case("no header seen at all", (), METADATA, "unknown", "unclear"),
    case("raw", IMDS, METADATA, "imds", "raw_imds"),
    case("raw, nothing else known", IMDS, None, "imds", "raw_imds"),
    case("NMI came in between", IMDS, BLOCKED, "unknown", "unclear"),
    case("proxy", PROXY, METADATA, "workload_identity_proxy", "ok"),
)
def test_two_marks_must_agree_on_who_answered(
    headers: tuple[tuple[str, str], ...], instance: Answer | None, who: str, verdict: str
) -> None:
    for given_answer in (token(headers), answer(headers=headers, status=404, body="in CREATED state failed")):
        found = judge(replace(given_answer, instance=instance), EXPECTED)
        assert found.answered_by == who
        assert found.verdict == verdict or given_answer.status == 404 and found.verdict != "ok" and who != "unknown"


def test_an_unclear_answer_is_described() -> None:
    found = judge(replace(token(), instance=None), EXPECTED)
    assert "status 200 and no Server header" in found.message and "metadata with no answer" in found.message
    assert found.checks and all(check.ok for check in found.checks)
    assert "use method: probe_pod" in judge(answer(headers=(), status=404), EXPECTED).message


def test_an_unclear_answer_is_quoted() -> None:
    """What NMI says of the metadata service tells why; a token is never quoted."""
    nowhere = Answer(exit_code=0, status=500, headers=PLAIN)
    said = "dial tcp 169.254.169.254:80: connect: connection refused"
    refused = judge(answer(status=503, body=said, instance=nowhere), EXPECTED)
    assert (refused.verdict, said in refused.message) == ("unclear", True)
    given = judge(answer(body="eyJ.secret", instance=nowhere), EXPECTED)
    assert (given.verdict, "secret" in given.message) == ("unclear", False)


@for_each(
    ("short.", "short"), ("", "no reason"), ("w" * 300, f"{'w' * 200} ..."), ("word " * 60, f"{'word ' * 39}word ...")
)
def test_a_quotation_is_cut_after_a_word(text: str, quoted: str) -> None:
    assert brief(text) == quoted


def test_a_connection_that_is_refused_suggests_no_removal_of_rules() -> None:
    message = judge(answer(status=0, exit_code=7), EXPECTED).message
    assert "look for a firewall" in message and "remove" not in message


def test_v2_tokens_name_the_client_in_azp() -> None:
    assert judge(token(appid=None, azp=CLIENT_ID), EXPECTED).verdict == "ok"


def test_audience_without_its_slash() -> None:
    assert judge(token(aud=RESOURCE.rstrip("/")), EXPECTED).verdict == "ok"


def test_checks_are_told() -> None:
    checks = {check.check: check for check in judge(token(tid="other"), EXPECTED).checks}
    assert list(checks) == ["audience", "tenant", "client_id", "object_id", "resource_id", "not_expired"]
    assert [name for name, check in checks.items() if not check.ok] == ["tenant"]
    assert (checks["tenant"].expected, checks["tenant"].got) == (TENANT, "other")


def test_what_is_not_expected_is_not_compared() -> None:
    found = judge(token(), Expectation(resource=RESOURCE))
    assert found.verdict == "ok" and [check.check for check in found.checks] == ["audience", "not_expired"]


def test_any_of_several_identities_is_no_success() -> None:
    several = Expectation(resource=RESOURCE, identity="a/x, a/y", ambiguous=True)
    found = judge(token(), several)
    assert (found.verdict, found.code) == ("ambiguous_identity", "V11")


_texts = st.text(max_size=30)
_headers = st.lists(st.tuples(st.sampled_from(["Server", "server", "Date"]), _texts), max_size=3).map(tuple)
_answers = st.builds(
    Answer,
    tool=st.sampled_from(["", "curl", "none"]),
    exit_code=st.one_of(st.none(), st.integers(0, 60)),
    status=st.sampled_from([0, 200, 400, 403, 404, 429, 500, 503]),
    seconds=st.floats(0, 200),
    started=st.integers(0, 2**31),
    headers=_headers,
    body=_texts,
    claims=st.one_of(st.none(), st.dictionaries(st.sampled_from(list(CLAIMS)), st.one_of(_texts, st.integers()))),
    instance=st.sampled_from([None, METADATA, BLOCKED]),
)


@given(_answers)
def test_success_is_only_what_nmi_or_the_proxy_handed_out(given_answer: Answer) -> None:
    found = judge(given_answer, EXPECTED)
    if found.verdict == "ok":
        assert answered_by(given_answer) in ("nmi", "workload_identity_proxy")
        assert given_answer.status == 200 and given_answer.exit_code == 0 or given_answer.exit_code is not None
        assert all(check.ok for check in found.checks) and len(found.checks) >= 4


@given(_answers)
def test_raw_imds_is_never_a_success(given_answer: Answer) -> None:
    raw = Answer(**{**given_answer.__dict__, "headers": IMDS})
    assert judge(raw, EXPECTED).verdict != "ok"


@given(st.text())
def test_any_output_can_be_parsed(output: str) -> None:
    assert judge(parse(output), EXPECTED).verdict


def test_lines_of_others_are_passed_over() -> None:
    output = 'warming up\n{"tool":"curl"}\n["x"]\n{"status":"200"}\n{"header":"Server: a: b"}\n{"end":"1"}\n3\n'
    found = parse(output)
    assert (found.tool, found.status, found.headers, found.complete) == ("curl", 200, (("Server", "a: b"),), True)
    assert found.instance is None


def test_the_second_answer_is_kept_apart() -> None:
    output = (
        '{"exit":"0"}\n{"status":"404"}\n{"body":"none"}\n'
        '{"instance_exit":"0"}\n{"instance_status":"200"}\n{"instance_header":"Server: IMDS/1"}\n'
    )
    found = parse(output)
    assert (found.status, found.headers, found.body) == (404, (), "none")
    assert found.instance == Answer(exit_code=0, status=200, headers=(("Server", "IMDS/1"),))
