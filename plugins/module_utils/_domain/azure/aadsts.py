# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Why Entra refuses a token: the AADSTS codes of managed identities, service principals and federated credentials.

Each code names its source: Microsoft's list of codes unless it says another page, or an issue as owner/repository#123.
What to do depends on who presented the credential, which is not always who answered the pod.
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass

# Who presented the credential: NMI or IMDS for an AzureIdentity, the Workload ID proxy for a service account, or the
# task with its own login.
AZURE_IDENTITY, SERVICE_ACCOUNT, LOGIN = "AzureIdentity", "service account", "login"

# What a refusal is about; token.py makes its verdicts of these. An assertion is what proves a certificate, or the token
# of a service account.
TENANT, CREDENTIAL, ASSERTION, FEDERATION, RESOURCE, POLICY, LOAD, FAULT = (
    "tenant",
    "credential",
    "assertion",
    "federation",
    "resource",
    "policy",
    "load",
    "fault",
)
PREFIX = "AADSTS"
_CODE = re.compile(rf"{PREFIX}([0-9]+)")
_LIST = "https://learn.microsoft.com/entra/identity-platform/reference-error-codes"
_PIPELINES = "https://learn.microsoft.com/azure/devops/pipelines/release/troubleshoot-workload-identity"
_ASSERTIONS = "https://learn.microsoft.com/azure/developer/java/sdk/troubleshooting-authentication-service-principal"
_FEDERATION = "https://learn.microsoft.com/entra/workload-id/workload-identity-federation-considerations"
_WAIT = "or wait a minute if it is new"
_CREATE = "create a federated identity credential"
_KEYS = (
    "check the issuer's jwks_uri, which must hold the key that signed, and get a new token of the service account "
    "where its keys were rotated"
)


@dataclass(frozen=True)
class Kind:
    """Codes with one remedy. ``waiting`` says whether the same request may be granted later without a change.

    In ``remedy`` stand the words of who presented the credential; ``of_service_account`` is for the Workload ID proxy
    where that has neither secret nor certificate.
    """

    about: str
    remedy: str
    of_service_account: str = ""
    waiting: bool = False


@dataclass(frozen=True)
class Refusal:
    """A code, what it says in a clause, and where that is documented."""

    code: str
    kind: Kind
    meaning: str
    source: str = _LIST

    @property
    def name(self) -> str:
        return f"{PREFIX}{self.code}"

    def remedy(self, presented_by: str, name: str = "") -> str:
        """A verb phrase; ``name`` is that of the AzureIdentity."""
        kind = self.kind
        text = kind.of_service_account if presented_by == SERVICE_ACCOUNT and kind.of_service_account else kind.remedy
        words = _WORDS[presented_by]
        return text.format(**{key: word.format(name=name) for key, word in words.items()})


_WORDS: t.Mapping[str, t.Mapping[str, str]] = {
    AZURE_IDENTITY: {
        "tenant": "tenantID of {name}",
        "application": "clientID of {name}",
        "secret": "the Secret of {name}",
        "resource": "the resource that the application asks for",
        "fresh": "check the clock of the node, on which NMI signs the assertion",
        "signature": "register the certificate in the Secret of {name} for the application, or put a registered one in",
    },
    SERVICE_ACCOUNT: {
        "tenant": "the annotation azure.workload.identity/tenant-id of the service account",
        "application": "the annotation azure.workload.identity/client-id of the service account",
        "secret": "the pod",
        "resource": "the resource that the application asks for",
        "fresh": (
            "read AZURE_FEDERATED_TOKEN_FILE anew for each exchange, as current SDKs and proxies do, and check the "
            "clocks of node and API server"
        ),
        "signature": _KEYS,
    },
    LOGIN: {
        "tenant": "the tenant",
        "application": "the client id",
        "secret": "the credential of this task",
        "resource": "cloud_environment",
        "fresh": "provide a fresh assertion, and check the clock of who signs it",
        "signature": _KEYS,
    },
}
_NO_SECRET = (
    "the Workload ID proxy presents the token of the service account and nothing else, so check that the pod's "
    "AZURE_CLIENT_ID and AZURE_TENANT_ID are those of the identity with the federated credential"
)

_TENANT = Kind(TENANT, "check {tenant}")
_CLOUD = Kind(
    TENANT, "check {tenant} and the login host (AZURE_AUTHORITY_HOST, cloud_environment), which must be of one cloud"
)
_APPLICATION = Kind(TENANT, "check {application} and {tenant}: the application must be in that tenant")
_DISABLED = Kind(CREDENTIAL, "enable the application, or let its owner do so")
_SECRET = Kind(
    CREDENTIAL,
    "put a valid client secret of the application, its value and not its id, into {secret}",
    _NO_SECRET,
)
_OLD_SECRET = Kind(CREDENTIAL, "make a new client secret of the application and put it into {secret}", _NO_SECRET)
_CERTIFICATE = Kind(
    CREDENTIAL,
    "register the certificate in {secret} for the application, or put a registered one in",
    "check that the keys at the issuer's jwks_uri are those that sign the tokens of service accounts",
)
_ASSERTION = Kind(
    CREDENTIAL,
    "the certificate in {secret} signs for another application, tenant or cloud; check {application} and {tenant}",
    "check that AZURE_FEDERATED_TOKEN_FILE holds the token of the service account as the kubelet wrote it",
)
_NO_CREDENTIAL = Kind(
    CREDENTIAL,
    "put a client secret or a certificate of the application into {secret}",
    "check that AZURE_FEDERATED_TOKEN_FILE of the pod is set and its file is not empty",
)
_EXPIRED, _SIGNATURE = Kind(ASSERTION, "{fresh}"), Kind(ASSERTION, "{signature}")
_NONE = Kind(FEDERATION, f"{_CREATE} for the service account on this identity, {_WAIT}", waiting=True)
_NO_MATCH = Kind(FEDERATION, f"{_CREATE} that matches the assertion, {_WAIT}", waiting=True)
_ISSUER = Kind(FEDERATION, f"{_CREATE} with this issuer, {_WAIT}", waiting=True)
_SUBJECT = Kind(FEDERATION, f"{_CREATE} with this subject, {_WAIT}", waiting=True)
_AUDIENCE = Kind(FEDERATION, f"{_CREATE} with this audience, {_WAIT}", waiting=True)
_CASE = Kind(
    FEDERATION, "write issuer, subject and audience of the federated identity credential letter by letter as the token"
)
_HOP = Kind(
    FEDERATION,
    "a token that came from a federated credential is no assertion for another: let the application that is asked for "
    "trust the service account itself",
)
_OF_ENTRA = Kind(FEDERATION, "present the token of the service account, not a token that Entra issued")
_DISCOVERY = Kind(
    FEDERATION,
    "check that the issuer's /.well-known/openid-configuration and its jwks_uri can be read from the internet, and try "
    "again",
    waiting=True,
)
_ISSUERS = Kind(POLICY, "ask the administrators of the tenant to allow federated credentials of this issuer")
_RESOURCE = Kind(RESOURCE, "check {resource}, and that its service is registered in the tenant")
_SCOPE = Kind(RESOURCE, "check {resource}: one resource, for version 2 of the endpoint with /.default behind it")
_ROLE = Kind(RESOURCE, "assign the identity to an app role of the application that it asks a token for")
_CONDITIONS = Kind(
    POLICY, "ask the administrators of the tenant which Conditional Access policy covers this service principal"
)
_RESTRICTED = Kind(
    POLICY, "let the proxy between here and Entra allow this tenant (its header Restrict-Access-To-Tenants)"
)
_REQUEST = Kind(FAULT, "report the request with its trace id: its form does not come from a setting")
_LOAD = Kind(LOAD, "wait some minutes, and let the application keep its token until it expires", waiting=True)
_FAULT = Kind(FAULT, "try again in some minutes, and quote the trace id to Azure support if it stays", waiting=True)
_BROKEN = Kind(FAULT, "quote the trace id to Azure support")


def _refusals() -> t.Iterator[Refusal]:
    for code, kind, meaning in (
        # tenant and application
        ("90002", _TENANT, "no tenant has this id in this cloud"),
        ("50059", _TENANT, "the request names no tenant"),
        ("50128", _TENANT, "the domain that is named as tenant is unknown"),
        ("90019", _TENANT, "the tenant cannot be told from the request"),
        ("50049", _CLOUD, "the login host is no instance of Entra"),
        ("90038", _CLOUD, "the tenant belongs to another cloud"),
        ("90051", _CLOUD, "the cloud that is named does not exist"),
        ("900382", _CLOUD, "an application of this cloud gets no token in another"),
        ("900432", _CLOUD, "an application of this cloud gets no token in another"),
        ("700016", _APPLICATION, "no application with this client id is in the tenant"),
        ("700011", _APPLICATION, "no application with this client id is in the tenant"),
        ("50194", _APPLICATION, "the application takes no request at the endpoint that all tenants share"),
        ("7000112", _DISABLED, "the application is disabled"),
        ("70001", _DISABLED, "the application is disabled"),
        ("1000031", _DISABLED, "the application cannot be used at this time"),
        # secret and certificate
        ("7000215", _SECRET, "the client secret is wrong"),
        ("70002", _SECRET, "the client's credential is wrong"),
        ("7000222", _OLD_SECRET, "the client secret has expired"),
        ("7000218", _NO_CREDENTIAL, "the request holds no credential of the application"),
        ("700025", _NO_CREDENTIAL, "the application is a public client, which presents no credential"),
        ("700027", _CERTIFICATE, "the signature of the assertion fits no key of the application"),
        ("700030", _CERTIFICATE, "the subject name of the certificate is not the one that the application allows"),
        ("50012", _CERTIFICATE, "the certificate or the signature of the assertion is not valid"),
        ("50017", _CERTIFICATE, "the chain of the certificate cannot be validated"),
        ("50027", _ASSERTION, "the assertion is malformed"),
        ("50048", _ASSERTION, "the subject of the assertion is not its issuer"),
        # federated credentials
        ("50013", _SIGNATURE, "the assertion is not valid, most often because its key is not found at the issuer"),
        ("500133", _EXPIRED, "the assertion has expired, or is not valid yet by the clock of Entra"),
        ("700229", _OF_ENTRA, "only app-only tokens of Entra can be federated"),
        # what is asked for
        ("500011", _RESOURCE, "the tenant knows no such resource"),
        ("50001", _RESOURCE, "the resource does not exist or is disabled"),
        ("650052", _RESOURCE, "the tenant has not enabled the service that is asked for"),
        ("650057", _RESOURCE, "the application may not ask for this resource"),
        ("65005", _RESOURCE, "the application may not ask for this resource"),
        ("901002", _SCOPE, "the request says resource at an endpoint that takes a scope"),
        ("70011", _SCOPE, "the scope is not valid"),
        ("28002", _SCOPE, "the scope is not valid"),
        ("700022", _SCOPE, "the scope names more than one resource"),
        # policies
        ("53003", _CONDITIONS, "a Conditional Access policy forbids the token"),
        ("530032", _CONDITIONS, "a security policy of the tenant forbids the token"),
        ("530035", _CONDITIONS, "the security defaults of the tenant forbid the token"),
        ("50005", _CONDITIONS, "a Conditional Access policy does not take the platform of the client"),
        ("50131", _CONDITIONS, "a Conditional Access policy forbids the token"),
        ("50002", _RESTRICTED, "a proxy restricts which tenants may be reached"),
        ("500021", _RESTRICTED, "a proxy restricts which tenants may be reached"),
        ("500022", _RESTRICTED, "a proxy restricts which tenants may be reached"),
        # load and faults
        ("90055", _LOAD, "the tenant has too many requests"),
        ("50196", _LOAD, "the client repeats the same request too often"),
        ("50000", _BROKEN, "Entra could not issue the token"),
        ("50033", _FAULT, "Entra had a transient fault"),
        ("90006", _FAULT, "Entra is not available for the moment"),
        ("90012", _FAULT, "the request timed out in Entra"),
        ("90024", _FAULT, "Entra had a transient fault"),
        ("90033", _FAULT, "Entra's directory is not available for the moment"),
        ("90036", _BROKEN, "Entra's directory failed"),
        ("90090", _FAULT, "Entra's directory is not available for the moment"),
        ("90091", _FAULT, "Entra's directory cannot be reached"),
        ("90014", _REQUEST, "the request lacks a field"),
        ("900144", _REQUEST, "the request lacks a parameter"),
        ("70003", _REQUEST, "the request names a grant type that Entra does not take"),
    ):
        yield Refusal(code, kind, meaning)
    for code, kind, meaning, source in (
        ("900023", _TENANT, "what is named as tenant is neither an id nor a domain", "caddy-dns/azure#3"),
        (
            "7000229",
            _APPLICATION,
            "the application has no service principal in the tenant",
            "Azure/Commercial-Marketplace-SaaS-Accelerator#830",
        ),
        ("700021", _ASSERTION, "the assertion is of another application", _ASSERTIONS),
        # The list calls it a scope without a resource, but this is what Entra says with it.
        ("700023", _ASSERTION, "the audience of the assertion is not this login host", _ASSERTIONS),
        (
            "700024",
            _EXPIRED,
            "the assertion has expired, or is not valid yet by the clock of Entra",
            "Azure/azure-workload-identity#693",
        ),
        ("70025", _NONE, "the identity has no federated credential", _PIPELINES),
        ("70021", _NO_MATCH, "no federated credential matches the assertion", _FEDERATION),
        ("700211", _ISSUER, "no federated credential has the issuer of the assertion", _PIPELINES),
        ("700213", _SUBJECT, "no federated credential has the subject of the assertion", _PIPELINES),
        (
            "700212",
            _AUDIENCE,
            "no federated credential has the audience of the assertion",
            "https://login.microsoftonline.com/error?code=700212",
        ),
        (
            "7002138",
            _CASE,
            "the federated credential differs from the assertion in upper and lower case only",
            "Azure/login#517",
        ),
        (
            "700231",
            _HOP,
            "the assertion itself came from a federated credential",
            "Azure/azure-workload-identity#1363",
        ),
        ("700222", _OF_ENTRA, "a token of Entra is no assertion here", "Azure/azure-workload-identity#820"),
        (
            "700236",
            _OF_ENTRA,
            "a token of another tenant of Entra is no assertion here",
            "https://learn.microsoft.com/answers/questions/2139753",
        ),
        (
            "90061",
            _DISCOVERY,
            "Entra could not read the issuer's discovery document",
            "Azure/azure-workload-identity#605",
        ),
        (
            "50166",
            _DISCOVERY,
            "Entra could not read the issuer's discovery document",
            "Azure/azure-workload-identity#642",
        ),
        ("501661", _DISCOVERY, "Entra could not read the issuer's discovery document", "Azure/login#283"),
        ("700223", _ISSUERS, "the tenant does not allow federated credentials of this kind", _PIPELINES),
        ("700238", _ISSUERS, "the tenant does not allow federated credentials of this issuer", _PIPELINES),
        (
            "70052",
            _ISSUERS,
            "the issuer federates with managed identities and applications of one tenant only",
            _PIPELINES,
        ),
        ("1002012", _SCOPE, "the scope does not end in /.default", "microsoftgraph/msgraph-sdk-python#181"),
        ("501051", _ROLE, "the resource demands an app role", "Azure/azure-functions-host#9884"),
    ):
        yield Refusal(code, kind, meaning, source)


REFUSALS: t.Mapping[str, Refusal] = {refusal.code: refusal for refusal in _refusals()}
# Names of those that tell of a clock, or of an assertion that is used past its time.
OUT_OF_TIME = frozenset(refusal.name for refusal in REFUSALS.values() if refusal.kind is _EXPIRED)


def codes(text: str) -> tuple[str, ...]:
    """The numbers of all codes in a text, in its order."""
    return tuple(_CODE.findall(text))


def find(text: str) -> Refusal | None:
    """What a text says that names a code. Where it names several, the last known one is the cause of those before."""
    return next((REFUSALS[code] for code in reversed(codes(text)) if code in REFUSALS), None)


def may_come(text: str) -> bool:
    """Whether the same request may be granted later."""
    refusal = find(text)
    return refusal is not None and refusal.kind.waiting


def lookup(code: str) -> str:
    """The page of a code that is not in the table."""
    return f"https://login.microsoftonline.com/error?code={code}"
