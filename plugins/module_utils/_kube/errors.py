# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""From an answer of the API server to a sentence."""

from __future__ import annotations

import json
import re
import typing as t

from .._domain.errors import UNEXPECTED, Failure
from .kinds import Kind, label

SOMEBODY_ELSE = (
    "a proxy, a gateway or another service may have answered in its place: check the server of the kubeconfig, proxy "
    "and no_proxy, and run again."
)


class ApiFailure(Failure):
    """A request that was refused; ``status`` is the HTTP status, ``reason`` that of the Status object.

    ``missing`` is ``object``, ``namespace`` or ``kind`` where the API server itself has said that this is not there.
    """

    def __init__(
        self,
        sentence: str,
        *,
        status: int,
        reason: str,
        details: t.Mapping[str, t.Any],
        message: str,
        missing: str = "",
    ) -> None:
        error: dict[str, t.Any] = {"status": status, "code": reason, "message": message}
        super().__init__(sentence, error={**error, "temporary": True} if status >= 500 or status == 429 else error)
        self.status = status
        self.reason = reason
        self.details = details
        self.missing = missing

    @property
    def object_missing(self) -> bool:
        """The object itself is not there, while its kind is known."""
        return self.missing == "object"

    @property
    def kind_missing(self) -> bool:
        """The server does not know the kind: its custom resource definition is not installed."""
        return self.missing == "kind"

    @property
    def forbidden(self) -> bool:
        """Whether the API server itself says that the user may not; the page of a proxy with that status does not."""
        return self.status == 403 and self.reason != UNEXPECTED

    @property
    def message_told(self) -> bool:
        """Whether the sentence repeats the message of the server."""
        message = _short(str(self.error.get("message", "")))
        return bool(message) and message in self.sentence

    @property
    def conflict(self) -> bool:
        """It is there already, or somebody has changed it in the meantime; a page with that status does not say so."""
        return self.status == 409 and self.reason != UNEXPECTED

    @property
    def namespace_missing(self) -> bool:
        return self.missing == "namespace"


def parse_status(body: bytes) -> dict[str, t.Any]:
    """The Status object of an error answer; ``{"message": text}`` for an answer that is none."""
    text = body.decode("utf-8", "replace").strip()
    try:
        parsed = json.loads(text)
    except ValueError:
        parsed = None
    if isinstance(parsed, dict) and parsed.get("kind") == "Status":
        return parsed
    return {"message": text[:500]}


def refused(
    verb: str,
    kind: Kind,
    namespace: str | None,
    name: str | None,
    status: int,
    body: bytes,
    *,
    host: str = "",
    unserved: bool = False,
) -> ApiFailure:
    """The Failure for an answer with an error status; ``unserved``: the server has said that it has no such kind."""
    answer = parse_status(body)
    details = answer.get("details")
    details = details if isinstance(details, dict) else {}
    missing = _missing(kind, namespace, name, answer, details, unserved=unserved) if status == 404 else ""
    # Without a Status an API server refuses a token, or whoever asks too often.
    told = missing if status == 404 else answer.get("kind") == "Status" or status in (401, 429)
    if status < 400 or not told:
        return odd(verb, kind, namespace, name, status, body, host=host)
    message = str(answer.get("message", ""))
    return ApiFailure(
        _sentence(verb, kind, namespace, name, status, message, details, missing),
        status=status,
        reason=str(answer.get("reason", "") or status),
        details=details,
        message=message,
        missing=missing,
    )


def odd(
    verb: str, kind: Kind, namespace: str | None, name: str | None, status: int, body: bytes, *, host: str = ""
) -> ApiFailure:
    """The Failure for an answer from which nothing follows, neither that something is there nor that it is not."""
    return ApiFailure(
        f"Cannot {verb} {label(kind, namespace, name) if name else kind.resource}: {host or 'the server'} answered "
        f"{status} with {_described(body)}, which is not what an API server answers to that; {SOMEBODY_ELSE}",
        status=status,
        reason=UNEXPECTED,
        details={},
        message=_described(body),  # the rest could be that of a Secret
    )


def _missing(
    kind: Kind,
    namespace: str | None,
    name: str | None,
    answer: t.Mapping[str, t.Any],
    details: t.Mapping[str, t.Any],
    *,
    unserved: bool,
) -> str:
    """What a 404 says to be missing; nothing where it does not name the very thing that was asked for."""
    if unserved:
        return "kind"
    if answer.get("kind") != "Status" or answer.get("reason") != "NotFound":
        return ""
    told = (details.get("name"), details.get("kind"), details.get("group") or "")
    if name and told == (name, kind.plural, kind.group):
        return "object"
    return "namespace" if namespace and told == (namespace, "namespaces", "") else ""


def _described(body: bytes) -> str:
    text = " ".join(body[:4000].decode("utf-8", "replace").split())
    if not text:
        return "nothing"
    if text.startswith("<"):
        title = re.search(r"<title[^>]*>(.*?)</title>", text, re.IGNORECASE)
        return "a page of HTML" + (f" ({_short(title[1].strip())})" if title else "")
    try:
        parsed = json.loads(body)
    except ValueError:
        return "a part of some JSON" if text[0] in "{[" else f"the text {text[:100]!r}"
    if not isinstance(parsed, dict):
        return "other JSON"
    told = str(parsed.get("reason") or parsed.get("message") or "")
    return f"an object of kind {str(parsed.get('kind'))[:100]!r}" + (f" ({_short(told)})" if told else "")


def _sentence(
    verb: str,
    kind: Kind,
    namespace: str | None,
    name: str | None,
    status: int,
    message: str,
    details: t.Mapping[str, t.Any],
    missing: str,
) -> str:
    what = label(kind, namespace, name)
    where = f" in namespace {namespace}" if namespace else " in the whole cluster" if kind.namespaced else ""
    if status == 401:
        return (
            f"The API server does not accept the credentials ({verb} of {kind.resource}): "
            "renew the kubeconfig or the token."
        )
    if "admission webhook" in message or "failed calling webhook" in message:
        return f"Cannot {verb} {what}: an admission webhook stands against it ({_short(message)})."
    if status == 403 and "is forbidden" in message and "cannot" in message:
        return (
            f"The user of this connection may not {verb} {kind.resource}{where}: "
            "grant it with a Role or ClusterRole and a binding."
        )
    if status == 403:
        return f"The API server refuses to {verb} {what}: {_short(message)}."
    if missing == "namespace":
        return f"Cannot {verb} {what}: the namespace {namespace} does not exist, create it first."
    if missing == "kind":
        return (
            f"The cluster does not know {kind.resource}: install the custom resource definitions of AAD Pod Identity "
            "first (role azureops.pod_identity.pod_identity_chart)."
            if kind.group == "aadpodidentity.k8s.io"
            else f"The cluster does not know {kind.resource} in {kind.api_version}: is it a supported version?"
        )
    if missing:
        return f"{what} does not exist."
    if status == 409:
        return _conflict(what, verb, details)
    if status == 422:
        return f"The API server finds {what} invalid: {_short(message)}."
    if status == 429:
        return f"The API server is too busy to {verb} {what}: try again later."
    return f"Cannot {verb} {what}: the API server answered {status} ({_short(message) or 'without a reason'})."


def _conflict(what: str, verb: str, details: t.Mapping[str, t.Any]) -> str:
    causes = [cause for cause in details.get("causes") or () if cause.get("reason") == "FieldManagerConflict"]
    if not causes:
        return f"{what} was changed by somebody else in the meantime, so it was not touched: run again."
    fields = ", ".join(sorted({str(cause.get("field", "")).lstrip(".") for cause in causes}))
    managers = sorted({str(cause.get("message", "")).split('"')[1] for cause in causes if '"' in cause["message"]})
    return (
        f"Cannot {verb} {what}: {fields} {'belongs' if len(causes) == 1 else 'belong'} to "
        f"{' and '.join(managers) or 'somebody else'}; change it there, or take it over with adopt: true."
    )


UNRESOLVED = "NameResolutionError"  # as urllib3 calls it since 2.0
READ_TIMEOUT = "ReadTimeoutError"  # the connection stands, and no answer comes

_NAMES_UNKNOWN = (
    "NameResolution",
    "Name or service not known",
    "Temporary failure in name resolution",
    "No address associated with hostname",
    "getaddrinfo",
)


def unreachable(host: str, error: BaseException) -> Failure:
    """The Failure for a request that got no answer at all."""
    text = " ".join(str(error).split())
    name = type(error).__name__
    chain = f"{name} {text}"
    temporary = False
    if "CERTIFICATE_VERIFY_FAILED" in chain or "SSLCertVerification" in chain or "doesn't match" in chain:
        cause = "its certificate is not trusted; set ca_cert, or use the kubeconfig of that very cluster"
    elif "SSL" in chain and "EOF" not in chain and "reset" not in chain:  # else it was cut, and may work again
        cause = "the TLS connection failed; check client certificate, proxy and URL"
    elif any(words in chain for words in _NAMES_UNKNOWN):
        name = UNRESOLVED
        cause = "its name cannot be resolved; check host, DNS and whether a private cluster needs a jump host or proxy"
    elif "refused" in chain:
        temporary = True
        cause = "the connection is refused; check that the cluster runs, and that this is its port"
    elif "proxy" in chain.lower():
        cause = "the proxy does not let the connection through; check proxy and no_proxy"
    elif "imeout" in chain or "timed out" in chain:
        temporary = True
        cause = "it does not answer in time; check firewall, authorized IP ranges and proxy"
    else:
        temporary = True
        cause = "the connection failed"
    told: dict[str, t.Any] = {"code": name, "message": text[:500]}
    return Failure(
        f"The API server {host} cannot be reached: {cause}.", error={**told, "temporary": True} if temporary else told
    )


def _short(message: str) -> str:
    return " ".join(message.split()).rstrip(".")[:300]
