# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!
"""What an answer to a token request means: who gave it, whether it is right, and what to do when it is not.

The classes V1 to V16 and the texts and times of NMI are those of aad-pod-identity 1.8. A token is a success only
when NMI or the Workload ID proxy handed it out, whatever its claims say.
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, replace

from ..azure import aadsts
from . import responder
from .token_request import Answer

NMI, IMDS, PROXY = responder.NMI, responder.IMDS, responder.PROXY
NOBODY, UNKNOWN = responder.NOBODY, responder.UNKNOWN
ENTRA = "entra"  # where it was asked itself, with the token of the service account
OK, NOT_VERIFIED, AMBIGUOUS = "ok", responder.NOT_VERIFIED, "ambiguous_identity"
answered_by, brief = responder.answered_by, responder.brief
# How the token came, as far as its claims and who answered tell: the values of Verdict.path.
POD_IDENTITY, INSTANCE_METADATA, WORKLOAD_IDENTITY, CONTRADICTORY = (
    "pod_identity",
    "instance_metadata",
    "workload_identity",
    "contradictory",
)
_PATHS: t.Mapping[str, str] = {
    NMI: POD_IDENTITY,
    IMDS: INSTANCE_METADATA,
    PROXY: WORKLOAD_IDENTITY,
    ENTRA: WORKLOAD_IDENTITY,
}
# By whom a token of a service account was exchanged.
_EXCHANGING = (PROXY, ENTRA)
# Verdict and class of a refusal of Entra, by what it is about.
_OF_ENTRA: t.Mapping[str, tuple[str, str]] = {
    aadsts.TENANT: ("wrong_tenant", "V9"),
    aadsts.CREDENTIAL: ("token_refused", ""),
    aadsts.ASSERTION: ("token_refused", ""),
    aadsts.FEDERATION: ("federation_refused", "V14"),
    aadsts.RESOURCE: ("request_refused", ""),
    aadsts.POLICY: ("policy_refused", ""),
    aadsts.LOAD: ("throttled", ""),
    aadsts.FAULT: ("server_error", ""),
}
# How the proxy's library words that Entra could not be reached.
_UNREACHED = re.compile(r"dial tcp|i/o timeout|no such host|TLS handshake|deadline exceeded|x509:|: EOF")
# What NMI says where the Secret of a service principal is wrong, and what to do about it.
_CREDENTIAL = (
    ("parameter 'clientID' cannot be empty", "set clientID of {}"),
    ("parameter 'secret' cannot be empty", "put a client secret of the application into the Secret of {}"),
    ("pkcs12: error reading P12", "put certificate and key in PKCS#12 format into the Secret of {} as certificate"),
    ("pkcs12: decryption password", "password in the Secret of {} does not open its certificate; correct it"),
    (
        "pkcs12: ",
        "NMI reads old algorithms only; make certificate in the Secret of {} with openssl pkcs12 -export "
        "-keypbe PBE-SHA1-3DES -certpbe PBE-SHA1-3DES -macalg sha1",
    ),
    ("failed to get Kubernetes secret", "create the Secret that {} names, where NMI may read it"),
)
_CLOCK_SKEW = 60
# Entra writes iat and nbf five minutes back, for clocks that are late.
_BACKDATED = 300


@dataclass(frozen=True)
class Expectation:
    """What the token must be; an empty text is not compared.

    ``ambiguous``: the pod gets several identities and none is asked for. ``unmatched``: one is asked for, and the pod
    gets others only. ``path``: the way that the token must come, POD_IDENTITY or WORKLOAD_IDENTITY.
    """

    resource: str
    audience: str = ""
    client_id: str = ""
    tenant_id: str = ""
    object_id: str = ""
    resource_id: str = ""
    identity: str = ""
    ambiguous: bool = False
    unmatched: bool = False
    path: str = ""


@dataclass(frozen=True)
class Check:
    check: str
    expected: str
    got: str
    ok: bool


@dataclass(frozen=True)
class Verdict:
    """``path`` is how a token came; ``error_code`` is Entra's, AADSTS and a number."""

    verdict: str
    code: str
    answered_by: str
    message: str
    checks: tuple[Check, ...] = ()
    path: str = ""
    error_code: str = ""


def path_of(claims: t.Mapping[str, t.Any] | None, who: str) -> str:
    """How a token came. Entra writes the machine into what the metadata service asks for (``xms_az_rid``, the id of
    the scale set or VM), and a mark into what was exchanged for another token (``xms_ficinfo``)."""
    if claims is None or who not in _PATHS:
        return ""
    by_machine, by_exchange = bool(claims.get("xms_az_rid")), bool(claims.get("xms_ficinfo"))
    if by_machine if who in _EXCHANGING else by_exchange:
        return CONTRADICTORY
    return _PATHS[who]


def judge(answer: Answer, expected: Expectation) -> Verdict:
    """The verdict over a complete answer."""
    return replace(_judge(answer, expected), path=path_of(answer.claims, answered_by(answer)))


def _judge(answer: Answer, expected: Expectation) -> Verdict:
    who = answered_by(answer)
    if answer.exit_code is None or not answer.status:
        return _no_status(answer, who, expected)
    if expected.path == WORKLOAD_IDENTITY and who in (NMI, IMDS):
        return Verdict(
            "wrong_path",
            "V12",
            who,
            f"{_name(who)} answered instead of the Workload ID proxy, so the request was not redirected within the "
            "pod: check that the pod has the containers azwi-proxy-init and azwi-proxy, which the webhook injects for "
            "the annotation azure.workload.identity/inject-proxy-sidecar, and that it runs them.",
            _checks(answer, expected, who),
        )
    if who == IMDS:
        return Verdict(
            "raw_imds",
            "V1",
            who,
            "The instance metadata service answered itself"
            + (" and even gave a token" if answer.claims else "")
            + ": the node has no rule of NMI for this pod; check that NMI runs and is Active there, that the pod does "
            "not use the host network, and that the network plugin does not bypass iptables.",
            _checks(answer, expected, who),
        )
    if who == UNKNOWN:
        verdict, code, message = responder.unclear(answer)
        return Verdict(verdict, code, who, message, _checks(answer, expected, who))
    return judge_answer(answer, expected, who)


def judge_answer(answer: Answer, expected: Expectation, who: str) -> Verdict:
    """The verdict over an answer of NMI, the proxy, or Entra, which has a status."""
    return _token(answer, expected, who) if answer.status == 200 else _refusal(answer, expected, who)


def is_pod_unknown(text: str) -> bool:
    """Whether NMI says in a refusal that it does not know the pod."""
    return "match pod IP" in text or "pod list is empty" in text


def ambiguous(right: Verdict, several: str) -> Verdict:
    """Instead of a right answer, where another request may get another identity."""
    message = (
        f"{several}, and a request without client_id is answered with any of them: let the application name its client "
        "id, or use one selector per identity."
    )
    return replace(right, verdict=AMBIGUOUS, code="V11", message=message)


def not_verified(message: str) -> Verdict:
    return Verdict(NOT_VERIFIED, "", UNKNOWN, message)


def _no_status(answer: Answer, who: str, expected: Expectation) -> Verdict:
    if answer.exit_code == 7 and expected.path == WORKLOAD_IDENTITY:
        return Verdict(
            "no_answer",
            "",
            who,
            "The connection is refused at once: the pod redirects the metadata address to the Workload ID proxy, but "
            "its container azwi-proxy does not run; read that container's log.",
        )
    verdict, code, message = responder.silence(answer)
    return Verdict(verdict, code, UNKNOWN if answer.exit_code is None else who, message)


def _token(answer: Answer, expected: Expectation, who: str) -> Verdict:
    if answer.claims is None:
        return Verdict(
            "unreadable_token",
            "",
            who,
            f"The answer holds no token that can be read ({answer.unreadable or 'no JWT'}).",
        )
    checks = _checks(answer, expected, who)
    failed = {check.check: check for check in checks if not check.ok}
    name = expected.identity or "the identity"
    account = "the annotation azure.workload.identity/{} of the service account"
    client, tenant = f"which bindings select the pod and clientID of {name}", f"tenantID of {name}"
    if who in _EXCHANGING:
        client, tenant = account.format("client-id"), account.format("tenant-id")
    # The tenant of another identity says nothing of the one that is meant.
    for check, verdict, code, advice in (
        ("client_id", "wrong_identity", "V6", f"check {client}"),
        ("tenant", "wrong_tenant", "V9", f"check {tenant}"),
        ("audience", "wrong_audience", "V10", "check the resource that is asked for"),
        ("object_id", "wrong_identity", "V6", "the identity may have been made anew, with other ids"),
        ("resource_id", "wrong_identity", "V6", f"resourceID and clientID of {name} belong to two identities"),
        ("not_expired", "stale_token", "V15", "check the clock of the node"),
        ("issued_during_probe", "stale_token", "V15", "a cache answered, so the path behind it is not proven"),
    ):
        if check in failed:
            return Verdict(
                verdict,
                code,
                who,
                f"The token has {check.replace('_', ' ')} {failed[check].got or 'none'} instead of "
                f"{failed[check].expected}: {advice}.",
                checks,
            )
    path = path_of(answer.claims, who)
    if path == CONTRADICTORY:
        return Verdict(
            "unclear",
            "V12",
            who,
            f"{_name(who)} answered, but the claims tell of another way ({_evidence(answer.claims)}): look for what "
            "redirects the metadata address within the pod or on the node.",
            checks,
        )
    if expected.path and path != expected.path:
        return Verdict(
            "wrong_path",
            "V12",
            who,
            f"The token is right, but {_name(who)} handed it out, and the way must be {expected.path}: check labels "
            "and annotations of the pod.",
            checks,
        )
    if expected.ambiguous and who != ENTRA:
        several = f"The pod gets several identities ({expected.identity})"
        return ambiguous(Verdict(OK, "", who, "", checks), several)
    return Verdict(OK, "", who, f"{_name(who)} handed out a token of {name}.", checks)


def _refusal(answer: Answer, expected: Expectation, who: str) -> Verdict:
    text, codes = answer.body, aadsts.codes(answer.body)
    known = aadsts.find(text)
    error_code = known.name if known else f"AADSTS{codes[-1]}" if codes else ""
    if known:
        about, said = known.kind.about, text[text.index(known.name) :]
        exchanging = who in _EXCHANGING
        holder = aadsts.SERVICE_ACCOUNT if exchanging else aadsts.AZURE_IDENTITY
        # What these present is the token of a service account, always by a federated credential.
        verdict, code = _OF_ENTRA[aadsts.FEDERATION if exchanging and about == aadsts.ASSERTION else about]
        advice = f"{known.meaning}; {known.remedy(holder, expected.identity or 'the AzureIdentity')}"
    elif codes:
        verdict, code, said = "token_refused", "", text[text.index(error_code) :]
        advice = f"Entra gave no token; look the code up at {aadsts.lookup(codes[-1])}"
    else:
        verdict, code, advice = {PROXY: _of_proxy, ENTRA: _of_entra}.get(who, _of_nmi)(answer, expected)
        said = text
    message = f"{_name(who)} answered {answer.status} ({brief(said)}): {advice}."
    return Verdict(verdict, code, who, message, error_code=error_code)


def _of_entra(answer: Answer, expected: Expectation) -> tuple[str, str, str]:
    """The same for an error status that came from the login host without a code of Entra."""
    if answer.status == 429:
        return "throttled", "", "it has too many requests; try again later"
    if answer.status >= 500:
        return "server_error", "", "it is at fault, or what stands before it; try again later"
    return "unknown_responder", "", "this is no answer of Entra, so look for a proxy or firewall before the login host"


def _of_proxy(answer: Answer, expected: Expectation) -> tuple[str, str, str]:
    """Verdict, class and advice for an error status of the Workload ID proxy that names no code of Entra."""
    if answer.status == 400:
        return "request_refused", "", "the proxy needs a resource, and a client id (AZURE_CLIENT_ID of the pod, or one)"
    if _UNREACHED.search(answer.body):
        return (
            "path_blocked",
            "V3",
            "the proxy did not reach Entra; let the pod reach the host in its AZURE_AUTHORITY_HOST on port 443 "
            "(network policies, firewall, DNS)",
        )
    if "no such file" in answer.body:
        return (
            "token_refused",
            "",
            "the pod has no token of its service account at AZURE_FEDERATED_TOKEN_FILE; make the pod anew while the "
            "webhook runs",
        )
    return "server_error", "", "read the log of the container azwi-proxy of the pod"


def _of_nmi(answer: Answer, expected: Expectation) -> tuple[str, str, str]:
    """Verdict, class and advice for an error status of NMI that names no code of Entra."""
    text, status, seconds = answer.body, answer.status, answer.seconds
    name = expected.identity or "the AzureIdentity"
    if "no azure identity found for request" in text or ("CREATED state failed" in text and expected.unmatched):
        return (
            "wrong_identity",
            "V6",
            "the pod has no identity with the requested client id; compare it with clientID of "
            f"{name}, letter by letter and in lower case",
        )
    if "CREATED state failed" in text or (not text and status == 404 and seconds >= 70 and seconds < 95):
        return (
            "not_assigned",
            "V4",
            "MIC has assigned no identity to the pod; check label, selector, namespaces and that MIC runs",
        )
    if "ASSIGNED state failed" in text or (not text and status == 404 and seconds >= 95):
        return (
            "assignment_stuck",
            "V5",
            "the assignment stays Created; read MIC's log and events, most often the kubelet identity lacks "
            "Managed Identity Operator on the identity or Virtual Machine Contributor on the node resource group",
        )
    if "context canceled" in text:
        return "not_assigned", "V4", "the request ended before NMI's wait did; raise timeout above 100 seconds"
    if status == 404 and not text and seconds < 10:
        return "wrong_identity", "V6", "compare the requested client id with clientID of the AzureIdentity"
    if "Identity not found" in text:
        return (
            "identity_missing",
            "V7",
            f"the scale set does not carry the identity; compare clientID of {name} with the identity in Azure (it may "
            "have been made anew), and check that MIC could write to the scale set",
        )
    if is_pod_unknown(text):
        return (
            "pod_unknown",
            "",
            "NMI does not know the pod yet; its watch of the API server may be broken, read its log",
        )
    if status == 429:
        return "throttled", "", "the metadata service or Entra has too many requests; try again later"
    if status == 400:
        return "request_refused", "", "check resource and headers of the request"
    for cause, remedy in _CREDENTIAL:
        if cause in text:
            return "token_refused", "", remedy.format(name)
    if status in (401, 403):
        return "token_refused", "", f"read NMI's log on that node, and check the credential of {name}"
    if status >= 500:
        return "server_error", "", "read NMI's log on that node"
    return "not_assigned", "V4", "check label, selector and namespaces, and MIC's log"


def _checks(answer: Answer, expected: Expectation, who: str) -> tuple[Check, ...]:
    """Every claim that can be compared. A token from IMDS may be older than the request: IMDS caches; the proxy too,
    but there an old one proves nothing about the path behind it."""
    claims = answer.claims
    if claims is None:
        return ()
    checks = []
    for name, want, got in (
        ("audience", expected.audience or expected.resource, _text(claims.get("aud"))),
        ("tenant", expected.tenant_id, _text(claims.get("tid"))),
        ("client_id", expected.client_id, _text(claims.get("appid") or claims.get("azp"))),
        ("object_id", expected.object_id, _text(claims.get("oid"))),
    ):
        if want:
            checks.append(Check(name, want, got, _same(want, got)))
    mirid = _text(claims.get("xms_mirid"))
    if expected.resource_id and mirid:
        checks.append(Check("resource_id", expected.resource_id, mirid, _same(expected.resource_id, mirid)))
    expires, issued = claims.get("exp"), claims.get("iat")
    if answer.started and isinstance(expires, int):
        checks.append(Check("not_expired", f"after {answer.started}", str(expires), expires > answer.started))
    if who in _EXCHANGING and answer.started and isinstance(issued, int):
        limit = answer.started - _BACKDATED - _CLOCK_SKEW
        checks.append(Check("issued_during_probe", f"after {limit}", str(issued), issued >= limit))
    return tuple(checks)


def _same(want: str, got: str) -> bool:
    return want.rstrip("/").lower() == got.rstrip("/").lower()


def _text(value: t.Any) -> str:
    return "" if value is None else str(value)


def _name(who: str) -> str:
    return {NMI: "NMI", IMDS: "The instance metadata service", ENTRA: "Entra"}.get(who, "The Workload ID proxy")


def _evidence(claims: t.Mapping[str, t.Any] | None) -> str:
    return ", ".join(name for name in ("xms_az_rid", "xms_ficinfo") if (claims or {}).get(name))
