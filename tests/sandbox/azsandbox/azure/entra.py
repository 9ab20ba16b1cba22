# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Microsoft Entra: discovery documents and the token endpoint."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from .compute import ComputeError
from .core import Azure
from .routing import Call, Route, find
from .state import CLUSTER, FEDERATED_CREDENTIAL, Principal, PrincipalKind
from .tokens import AKS_SERVER, LIFETIME, MANAGED_IDENTITY_LIFETIME, b64url
from .wire import Answer, AzureError, JsonObject, not_served, utcnow

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ANY_TENANT = frozenset({"common", "organizations", "consumers"})

RESOURCES = frozenset(
    {
        "https://management.azure.com",
        "https://management.core.windows.net",
        "https://graph.microsoft.com",
        "https://graph.windows.net",
        "https://vault.azure.net",
        "https://storage.azure.com",
        "https://database.windows.net",
        "https://servicebus.azure.net",
        "https://eventhubs.azure.net",
        "https://containerregistry.azure.net",
        "https://monitor.azure.com",
        "https://ossrdbms-aad.database.windows.net",
        "https://cognitiveservices.azure.com",
        AKS_SERVER,
    }
)


@dataclass(frozen=True)
class Refusal:
    """How Entra words a code; ``message`` has fields."""

    status: int
    error: str
    message: str


_ADVICE = (
    " Check your federated identity credential Subject, Audience and Issuer against the presented assertion."
    " https://learn.microsoft.com/entra/workload-id/workload-identity-federation"
)
REFUSALS = {
    70021: Refusal(
        400,
        "invalid_request",
        "No matching federated identity record found for presented assertion."
        " Assertion Issuer: '{issuer}'. Assertion Subject: '{subject}'. Assertion Audience: '{audience}'."
        " https://docs.microsoft.com/en-us/azure/active-directory/develop/workload-identity-federation",
    ),
    70025: Refusal(
        401, "invalid_client", "The client '{app_id}'({name}) has no configured federated identity credentials."
    ),
    700211: Refusal(
        401,
        "invalid_client",
        f"No matching federated identity record found for presented assertion issuer '{{issuer}}'.{_ADVICE}",
    ),
    700212: Refusal(
        401,
        "invalid_client",
        f"No matching federated identity record found for presented assertion audience '{{audience}}'.{_ADVICE}",
    ),
    700213: Refusal(
        401,
        "invalid_client",
        f"No matching federated identity record found for presented assertion subject '{{subject}}'.{_ADVICE}",
    ),
    7002138: Refusal(
        401,
        "invalid_client",
        "No matching federated identity record found for presented assertion {part} '{value}'. The {part} matches"
        " with case-insensitive comparison, but not with case-sensitive comparison. Check your federated identity"
        " credential Subject, Audience and Issuer against the presented assertion. See documentation at:"
        " https://learn.microsoft.com/entra/workload-id/workload-identity-federation.",
    ),
    700024: Refusal(
        401,
        "invalid_client",
        "Client assertion is not within its valid time range."
        " Current time: {now}, assertion valid from {starts}, expiry time of assertion {ends}. Review the"
        " documentation at https://learn.microsoft.com/entra/identity-platform/certificate-credentials.",
    ),
    700231: Refusal(
        400,
        "invalid_request",
        "Federated identity credential tokens may not be used as assertions for another federated identity credential.",
    ),
    90061: Refusal(400, "invalid_request", "Request to External OIDC endpoint failed: '{issuer}'."),
    90033: Refusal(
        503, "temporarily_unavailable", "A transient error has occurred. Please try again, and include the trace id."
    ),
}
"""Codes of federation with the words of Entra, as users quote them; 700231 and 90033 are self-consistent only."""


def shown(call: Call) -> str:
    """What of the form of a token request faults are told by."""
    form = _form(call) if call.method == "POST" else {}
    proof = next((kind for kind in ("assertion", "secret") if form.get(f"client_{kind}")), "")
    return f"client_id={form.get('client_id', '')}&proof={proof}"


def refused(call: Call, code: int) -> Answer:
    """The refusal of a token request by a fault, whatever is asserted; of a code without words here only its form."""
    form = _form(call)
    try:
        claims = jwt.decode(form.get("client_assertion", ""), options={"verify_signature": False})
    except jwt.InvalidTokenError:
        claims = {}
    principal = call.state.principal_by_app(form.get("client_id", ""))
    values = {
        **_asserted(claims),
        **_times(claims),
        "app_id": form.get("client_id", ""),
        "name": principal.name if principal else "",
        "part": "subject",
        "value": str(claims.get("sub", "")),
    }
    if code not in REFUSALS:
        return entra_error(call, 401, "invalid_client", code, "It is refused.").answer
    return refusal(call, code, **values).answer


def _asserted(claims: JsonObject) -> dict[str, str]:
    given = claims.get("aud", "")
    audience = given[0] if isinstance(given, list) and given else str(given)
    return {"issuer": str(claims.get("iss", "")), "subject": str(claims.get("sub", "")), "audience": audience}


def _times(claims: JsonObject) -> dict[str, str]:
    moments = {"now": time.time(), "starts": float(claims.get("nbf", 0)), "ends": float(claims.get("exp", 0))}
    return {name: _instant(moment) for name, moment in moments.items()}


def refusal(call: Call, code: int, **values: str) -> AzureError:
    """A refusal with the words of its code."""
    words = REFUSALS[code]
    return entra_error(call, words.status, words.error, code, words.message.format(**values))


def entra_error(call: Call, status: int, error: str, code: int, message: str) -> AzureError:
    """An error of the token endpoint with its AADSTS code."""
    now = utcnow()
    trace, correlation = str(uuid.uuid4()), call.headers.get("client-request-id", str(uuid.uuid4()))
    stamp = now.strftime("%Y-%m-%d %H:%M:%SZ")
    ending = f"Trace ID: {trace} Correlation ID: {correlation} Timestamp: {stamp}"
    body = {
        "error": error,
        "error_description": f"AADSTS{code}: {message} {ending}",
        "error_codes": [code],
        "timestamp": stamp,
        "trace_id": trace,
        "correlation_id": correlation,
        "error_uri": f"{call.azure.config.endpoints.entra}/error?code={code}",
    }
    return AzureError(Answer(status, body, {"Cache-Control": "no-store, no-cache", "Pragma": "no-cache"}))


async def instance_discovery(call: Call) -> Answer:
    endpoints = call.azure.config.endpoints
    host = endpoints.host("entra")
    return Answer(
        200,
        {
            "tenant_discovery_endpoint": f"{endpoints.entra}/common/v2.0/.well-known/openid-configuration",
            "api-version": "1.1",
            "metadata": [
                {
                    "preferred_network": host,
                    "preferred_cache": "login.windows.net",
                    "aliases": [host, "login.windows.net", "login.microsoft.com", "sts.windows.net"],
                }
            ],
        },
    )


def _tenant(call: Call) -> str:
    """The tenant of the path; AADSTS90002 for a foreign one."""
    tenant = call.params["tenant"].lower()
    if tenant != call.state.tenant_id and tenant not in ANY_TENANT:
        message = (
            f"Tenant '{call.params['tenant']}' not found. Check to make sure you have the correct tenant ID and are"
            " signing into the correct cloud. Check with your subscription administrator, this may happen if there are"
            " no active subscriptions for the tenant."
        )
        raise entra_error(call, 400, "invalid_request", 90002, message)
    return tenant


def _configuration(call: Call, version: str, issuer: str) -> JsonObject:
    tenant = _tenant(call)
    base = f"{call.azure.config.endpoints.entra}/{tenant}"
    middle = "oauth2/v2.0" if version else "oauth2"
    return {
        "token_endpoint": f"{base}/{middle}/token",
        "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt", "client_secret_basic"],
        "jwks_uri": f"{base}/discovery/{version or ''}keys",
        "response_modes_supported": ["query", "fragment", "form_post"],
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "response_types_supported": ["code", "id_token", "code id_token", "id_token token"],
        "scopes_supported": ["openid", "profile", "email", "offline_access"],
        "issuer": issuer,
        "request_uri_parameter_supported": False,
        "userinfo_endpoint": f"{call.azure.config.endpoints.graph}/oidc/userinfo",
        "authorization_endpoint": f"{base}/{middle}/authorize",
        "device_authorization_endpoint": f"{base}/{middle}/devicecode",
        "http_logout_supported": True,
        "frontchannel_logout_supported": True,
        "end_session_endpoint": f"{base}/{middle}/logout",
        "claims_supported": "sub iss cloud_instance_name cloud_instance_host_name cloud_graph_host_name msgraph_host"
        " aud exp iat auth_time acr nonce preferred_username name tid ver at_hash c_hash email".split(),
        "kerberos_endpoint": f"{base}/kerberos",
        "tenant_region_scope": "NA",
        "cloud_instance_name": "microsoftonline.com",
        "cloud_graph_host_name": "graph.windows.net",
        "msgraph_host": call.azure.config.endpoints.host("graph"),
        "rbac_url": "https://pas.windows.net",
    }


def _issuer_tenant(call: Call) -> str:
    tenant = _tenant(call)
    return "{tenantid}" if tenant in ANY_TENANT else tenant


async def configuration_v1(call: Call) -> Answer:
    return Answer(200, _configuration(call, "", f"https://sts.windows.net/{_issuer_tenant(call)}/"))


async def configuration_v2(call: Call) -> Answer:
    issuer = f"{call.azure.config.endpoints.entra}/{_issuer_tenant(call)}/v2.0"
    return Answer(200, _configuration(call, "v2.0/", issuer))


async def keys(call: Call) -> Answer:
    _tenant(call)
    return Answer(200, call.azure.signer.keys())


# the token endpoint


@dataclass(frozen=True)
class Proof:
    """How a client proved who it is; ``acr`` is the token's appidacr."""

    principal: Principal
    acr: str


async def token_v1(call: Call) -> Answer:
    form = _form(call)
    resource = _required(call, form, "resource")
    proof = await _authenticate(call, form)
    _check_resource(call, resource)
    lifetime = _lifetime(proof.principal)
    now = int(time.time())
    body = {
        "token_type": "Bearer",
        "expires_in": str(lifetime),
        "ext_expires_in": str(lifetime),
        "expires_on": str(now + lifetime),
        "not_before": str(now - 300),
        "resource": resource,
        "access_token": call.azure.signer.mint(proof.principal, resource, proof=proof.acr, lifetime=lifetime),
    }
    return Answer(200, body, {"Cache-Control": "no-store, no-cache", "Pragma": "no-cache"})


async def token_v2(call: Call) -> Answer:
    form = _form(call)
    scopes = _required(call, form, "scope").split()
    proof = await _authenticate(call, form)
    wanted = [scope for scope in scopes if scope not in {"openid", "profile", "offline_access"}]
    if len(wanted) != 1 or not wanted[0].endswith("/.default"):
        message = (
            f"The provided value for scope {' '.join(scopes)} is not valid. Client credential flows must have a scope"
            " value with /.default suffixed to the resource identifier (application ID URI)."
        )
        raise entra_error(call, 400, "invalid_scope", 1002012, message)
    audience = wanted[0].removesuffix("/.default")
    _check_resource(call, audience)
    lifetime = _lifetime(proof.principal)
    body = {
        "token_type": "Bearer",
        "expires_in": lifetime,
        "ext_expires_in": lifetime,
        "access_token": call.azure.signer.mint(proof.principal, audience, proof=proof.acr, lifetime=lifetime),
    }
    return Answer(200, body, {"Cache-Control": "no-store, no-cache", "Pragma": "no-cache"})


def _lifetime(principal: Principal) -> int:
    return MANAGED_IDENTITY_LIFETIME if principal.kind is PrincipalKind.MANAGED_IDENTITY else LIFETIME


def _form(call: Call) -> dict[str, str]:
    text = call.raw_body.decode(errors="replace")
    return {name: values[0] for name, values in parse_qs(text, keep_blank_values=True).items()}


def _required(call: Call, form: dict[str, str], name: str) -> str:
    value = form.get(name, "")
    if not value:
        message = f"The request body must contain the following parameter: '{name}'."
        raise entra_error(call, 400, "invalid_request", 900144, message)
    return value


def is_known_resource(azure: Azure, resource: str) -> bool:
    """Whether tokens can be had for a resource: Azure's own, ARM and Graph here by address, an application's."""
    wanted = resource.rstrip("/")
    known = RESOURCES | {azure.config.endpoints.arm, azure.config.endpoints.graph}
    return wanted in known or azure.state.principal_by_app(wanted.removeprefix("api://")) is not None


def _check_resource(call: Call, resource: str) -> None:
    if not is_known_resource(call.azure, resource):
        message = (
            f"The resource principal named {resource} was not found in the tenant named {call.state.tenant_id}. This"
            " can happen if the application has not been installed by the administrator of the tenant or consented to"
            " by any user in the tenant. You might have sent your authentication request to the wrong tenant."
        )
        raise entra_error(call, 400, "invalid_resource", 500011, message)


async def _authenticate(call: Call, form: dict[str, str]) -> Proof:
    _tenant(call)
    grant = _required(call, form, "grant_type")
    if grant != "client_credentials":
        message = f"The app requested an unsupported grant type '{grant}'."
        raise entra_error(call, 400, "unsupported_grant_type", 70003, message)
    client_id = _required(call, form, "client_id")
    principal = call.state.principal_by_app(client_id)
    if principal is None or _tenant(call) in ANY_TENANT:
        message = (
            f"Application with identifier '{client_id}' was not found in the directory '{call.state.tenant_id}'. This"
            " can happen if the application has not been installed by the administrator of the tenant or consented to"
            " by any user in the tenant. You may have sent your authentication request to the wrong tenant."
        )
        raise entra_error(call, 400, "unauthorized_client", 700016, message)
    call.caller = principal
    if form.get("client_assertion"):
        if form.get("client_assertion_type") != ASSERTION_TYPE:
            raise entra_error(call, 400, "invalid_request", 900144, "The 'client_assertion_type' is not supported.")
        return await _by_assertion(call, principal, form["client_assertion"])
    return _by_secret(call, principal, _required(call, form, "client_secret"))


def _by_secret(call: Call, principal: Principal, given: str) -> Proof:
    matching = [secret for secret in principal.secrets if secret.value == given]
    if not matching:
        message = (
            "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value,"
            f" not the client secret ID, for a secret added to app '{principal.app_id}'."
        )
        raise entra_error(call, 401, "invalid_client", 7000215, message)
    if all(secret.expires <= time.time() for secret in matching):
        message = (
            f"The provided client secret keys for app '{principal.app_id}' are expired. Visit the Azure portal to"
            " create new keys for your app: https://aka.ms/NewClientSecret, or consider using certificate credentials"
            " for added security: https://aka.ms/certCreds."
        )
        raise entra_error(call, 401, "invalid_client", 7000222, message)
    return Proof(principal, "1")


async def _by_assertion(call: Call, principal: Principal, assertion: str) -> Proof:
    try:
        header = jwt.get_unverified_header(assertion)
        claims = jwt.decode(assertion, options={"verify_signature": False})
    except jwt.InvalidTokenError:
        message = "Invalid JWT token. The client assertion is malformed."
        raise entra_error(call, 401, "invalid_client", 50027, message) from None
    if str(claims.get("iss", "")).lower() == principal.app_id:
        _by_certificate(call, principal, assertion, header, claims)
    else:
        await _by_federation(call, principal, assertion, header, claims)
    return Proof(principal, "2")


def _by_certificate(call: Call, principal: Principal, assertion: str, header: JsonObject, claims: JsonObject) -> None:
    """A JWT that is signed with a certificate of the application."""
    certificate = next((c for c in _certificates(principal) if _is_named(c, header)), None)
    if certificate is None:
        message = (
            "The certificate with identifier used to sign the client assertion is not registered on application."
            f" [Reason - The key was not found., Thumbprint of key used by client: '{header.get('x5t', '')}'.]"
        )
        raise entra_error(call, 401, "invalid_client", 700027, message)
    base = call.azure.config.endpoints.entra
    audiences = [
        f"{base}/{tenant}/{rest}"
        for tenant in (call.state.tenant_id, *ANY_TENANT)
        for rest in ("oauth2/v2.0/token", "oauth2/token", "v2.0", "")
    ]
    public = certificate.public_key()
    if not isinstance(public, RSAPublicKey):
        raise entra_error(call, 401, "invalid_client", 700027, "The registered certificate holds no RSA key.")
    if claims.get("sub") != claims.get("iss"):
        message = "Client assertion application identifier doesn't match 'client_id' parameter."
        raise entra_error(call, 401, "invalid_client", 700021, message)
    _verify(call, assertion, public, claims)
    # NMI's library names the endpoint with the version that it asks for.
    if str(claims.get("aud")).removesuffix("?api-version=1.0") not in audiences:
        message = "Client assertion audience claim does not match Realm issuer. Review the documentation."
        raise entra_error(call, 401, "invalid_client", 700023, message)


def _certificates(principal: Principal) -> Iterable[x509.Certificate]:
    return (x509.load_pem_x509_certificate(pem) for pem in principal.certificates)


def _is_named(certificate: x509.Certificate, header: JsonObject) -> bool:
    """MSAL pads the fingerprints although RFC 7515 says not to."""
    named = {str(header.get(name, "")).rstrip("=") for name in ("x5t", "x5t#S256")}
    return bool(named & {b64url(certificate.fingerprint(kind)) for kind in (hashes.SHA1(), hashes.SHA256())})


def _verify(call: Call, assertion: str, public: Any, claims: JsonObject) -> None:
    """Signature and validity in time."""
    try:
        jwt.decode(
            assertion,
            public,
            algorithms=["RS256", "PS256"],
            options={"verify_aud": False, "verify_exp": False, "verify_nbf": False, "verify_iat": False},
        )
    except jwt.InvalidTokenError:
        message = (
            "Assertion failed signature validation. [Reason - The provided signature value did not match the expected"
            " signature value.]"
        )
        raise entra_error(call, 401, "invalid_client", 50013, message) from None
    now, leeway = time.time(), call.state.settings.assertion_leeway
    if not float(claims.get("nbf", 0)) - leeway <= now < float(claims.get("exp", 0)) + leeway:
        raise refusal(call, 700024, **_times(claims))


def _instant(moment: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S.0000000Z", time.gmtime(moment))


# federated credentials


@dataclass(frozen=True)
class FederatedCredential:
    issuer: str
    subject: str
    audiences: tuple[str, ...]
    visible: bool


def _federated_credentials(call: Call, principal: Principal) -> list[FederatedCredential]:
    now = call.azure.clock.now()
    found = [_credential(each.body, each.visible <= now) for each in principal.federated]
    if principal.resource_id is not None:
        for resource in call.state.within(principal.resource_id, FEDERATED_CREDENTIAL):
            found.append(_credential(resource.properties, resource.hidden["visible"] <= now))
    return found


def _credential(entry: JsonObject, visible: bool) -> FederatedCredential:
    """One that matches an expression has no subject, and none of a cluster: it fits no service account."""
    return FederatedCredential(entry["issuer"], entry.get("subject") or "", tuple(entry["audiences"]), visible)


async def _by_federation(
    call: Call, principal: Principal, assertion: str, header: JsonObject, claims: JsonObject
) -> None:
    """A token of an issuer that the identity trusts."""
    asserted = _asserted(claims)
    issuer = asserted["issuer"]
    everything = _federated_credentials(call, principal)
    credentials = [c for c in everything if c.visible]
    if not credentials and not everything:
        raise refusal(call, 70025, app_id=principal.app_id, name=principal.name)
    if any(c for c in everything if not c.visible and (c.issuer, c.subject) == (issuer, asserted["subject"])):
        # Not replicated yet: the token endpoint cannot say which part does not match.
        raise refusal(call, 70021, **asserted)
    credentials = _narrow(call, credentials, "issuer", asserted, 700211, lambda c: [c.issuer])
    await _verify_federated(call, assertion, header, claims, issuer)
    credentials = _narrow(call, credentials, "subject", asserted, 700213, lambda c: [c.subject])
    _narrow(call, credentials, "audience", asserted, 700212, lambda c: list(c.audiences))


def _narrow(
    call: Call, credentials: list[FederatedCredential], part: str, asserted: dict[str, str], code: int, read: Any
) -> list[FederatedCredential]:
    """The credentials that hold a value exactly; an AADSTS code otherwise."""
    value = asserted[part]
    exact = [c for c in credentials if value in read(c)]
    if exact:
        return exact
    near = any(value.lower() in (v.lower() for v in read(c)) for c in credentials)
    raise refusal(call, 7002138 if near else code, part=part, value=value, **asserted)


async def _verify_federated(call: Call, assertion: str, header: JsonObject, claims: JsonObject, issuer: str) -> None:
    key = await _issuer_key(call, issuer, str(header.get("kid", "")))
    _verify(call, assertion, key, claims)


def _unreachable(call: Call, issuer: str) -> AzureError:
    return refusal(call, 90061, issuer=issuer)


async def _issuer_key(call: Call, issuer: str, kid: str) -> Any:
    """The issuer's published key; clusters of this Azure are the only issuers that can be reached."""
    for cluster in call.state.all(CLUSTER):
        if cluster.properties.get("oidcIssuerProfile", {}).get("issuerURL") == issuer:
            break
    else:
        raise _unreachable(call, issuer)
    try:
        published = await call.azure.compute.issuer_keys(cluster.id)
    except ComputeError:
        raise _unreachable(call, issuer) from None
    published_keys = published.get("keys")
    for key in published_keys if isinstance(published_keys, list) else []:
        if key.get("kid") == kid:
            return jwt.PyJWK(key).key
    message = f"Assertion failed signature validation. [Reason - The key was not found., Key Id: '{kid}'.]"
    raise entra_error(call, 401, "invalid_client", 50013, message)


ROUTES = (
    Route("GET", "/{tenant}/discovery/instance", instance_discovery),
    Route("GET", "/{tenant}/.well-known/openid-configuration", configuration_v1),
    Route("GET", "/{tenant}/v2.0/.well-known/openid-configuration", configuration_v2),
    Route("GET", "/{tenant}/discovery/keys", keys),
    Route("GET", "/{tenant}/discovery/v2.0/keys", keys),
    Route("POST", "/{tenant}/oauth2/token", token_v1),
    Route("POST", "/{tenant}/oauth2/v2.0/token", token_v2),
)


async def handle(call: Call) -> Answer:
    """login.microsoftonline.com"""
    found = find(ROUTES, call.method, call.path)
    if found is None:
        raise not_served(f"'{call.method} {call.path}' of Entra is not served")
    route, call.params = found
    return await route.handler(call)
