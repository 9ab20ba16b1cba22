# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""What ARM, the resource providers and Entra say when they refuse, told in one sentence."""

from __future__ import annotations

import json
import re
import typing as t
from dataclasses import dataclass

from ..suggestions import closest
from . import aadsts

_DENIED = re.compile(
    r"not have (?:authorization|permission) to perform action(?:\(s\)|s)? '(?P<action>[^']+)'"
    r"(?:.*?scope(?:\(s\))? '(?P<scope>[^']+)')?"
)
_CLIENT = re.compile(r"(?:object id|The client) '(?P<client>[^']+)'")
_LOCKED = re.compile(r"locked: '(?P<scopes>[^']+)'")
# How msal words that the description of the tenant could not be read.
_NO_AUTHORITY = "Unable to get authority configuration"
# A region, and all that Azure takes.
_REGIONS = re.compile(
    r"location '(?P<given>[^']+)'.*(?:available regions[^']*|supported locations are) '(?P<offered>[^']+)'", re.DOTALL
)
_OAUTH_ERROR = re.compile(r"[a-z]+(?:_[a-z]+)+\b|[A-Z]{3,}[0-9]+:")
_STOPPED = re.compile(r"\bplease start\b|\b(?:is|in|was)\b[^.]{0,40}\bstopped\b", re.IGNORECASE)
_LOCAL_ACCOUNTS = re.compile(r"static credential|local accounts?\b.*\bdisabled|disable local accounts", re.IGNORECASE)
_AADSTS = re.compile(r"AADSTS\d+")

# How Graph words that an application takes no more; its code differs.
_FULL = "object has exceeded its limit"

# What an operation says that ended without a reason.
_ENDED = ("failed", "canceled", "cancelled")

# Answers that Azure's own front ends give without a body, too.
_ALSO_WITHOUT_BODY = (401, 408, 412, 429)


@dataclass(frozen=True)
class ServiceError:
    """A refusal as data. ``status`` is the HTTP status (200 for an operation that failed), 0 without an answer."""

    status: int
    code: str
    message: str
    request_id: str = ""
    retry_after: float = 0
    """Seconds until the service wants to be asked again; 0 where it did not say."""

    @property
    def foreign(self) -> bool:
        """Whether the answer has not the form of a service of Azure, so that something else may have given it."""
        return self.code == _foreign_code(self.status)

    def as_dict(self) -> dict[str, t.Any]:
        values = {"code": self.code, "message": self.message, "request_id": self.request_id, "status": self.status}
        return {name: value for name, value in values.items() if value}


def _foreign_code(status: int) -> str:
    return f"HTTP{status}"


def parse(status: int, body: t.Any, request_id: str = "", retry_after: float = 0) -> ServiceError:
    """Read an error body: ARM's ``{"error": {...}}``, the flat one of AKS, Entra's, or no JSON at all."""
    if isinstance(body, (str, bytes)):
        try:
            body = json.loads(body)
        except (ValueError, RecursionError):
            text = body.decode("utf-8", "replace") if isinstance(body, bytes) else body
            return ServiceError(status, _foreign_code(status), " ".join(text.split())[:500], request_id, retry_after)
    inner = body.get("error", body) if isinstance(body, dict) else {}
    if isinstance(inner, str) and "error_description" in body:  # Entra: {"error": "invalid_client", ...}
        return ServiceError(status, inner, str(body.get("error_description", "")), request_id)
    if not isinstance(inner, dict):
        inner = {}
    code = " ".join(str(inner.get("code") or "").split()) or _foreign_code(status)
    return ServiceError(status, code, str(inner.get("message") or ""), request_id, retry_after)


def explain(doing: str, error: ServiceError) -> str:
    """One sentence: what could not be done (``doing`` is a verb phrase), why, and what to do."""
    cause, remedy = _cause_and_remedy(error)
    return f"Could not {doing}: {cause}; {remedy}."


def _region(text: str) -> str:
    """The name of a region, which people spell as it is displayed too."""
    return text.replace(" ", "").lower()


def _regions(text: str) -> list[str]:
    return [_region(each) for each in text.split(",")]


def _cause_and_remedy(error: ServiceError) -> tuple[str, str]:
    code = error.code.lower()
    if error.foreign and error.status < 500 and error.status not in _ALSO_WITHOUT_BODY:
        return _foreign(error)
    said = f"{first_sentence(error.message) or 'the service gave no reason'} ({error.code})"
    if "lock" in code:
        match = _LOCKED.search(error.message)
        where = f"a lock on {match.group('scopes')} forbids it" if match else said
        return where, "remove the lock (az lock list, az lock delete) or ask its owner"
    if code == "requestdisallowedbypolicy":
        return said, "choose values that the policy allows, or ask for an exemption"
    if code == "denyassignmentauthorizationfailed":
        return said, "a deny assignment, such as that of a locked-down node resource group, must be lifted first"
    if code == "authorization_requestdenied":
        return said, (
            "an administrator of the tenant can grant this principal the permission Application.ReadWrite.OwnedBy of "
            "Microsoft Graph, with which it has to be an owner of the application, or Application.ReadWrite.All"
        )
    if error.status == 403 and _FULL in error.message:
        return said, "it holds as much as Entra takes, such as 20 federated credentials; remove some, or use another"
    if error.status == 403:
        return _forbidden(error, said)
    if error.status == 401:
        return said, "check that the credential belongs to the subscription's tenant and to this cloud"
    if code in ("resourcegroupnotfound", "parentresourcenotfound"):
        return said, "create it first"
    if code == "resourcegroupbeingdeleted":
        return said, "run again when its deletion has finished"
    if code in ("subscriptionnotfound", "invalidsubscriptionid"):
        return said, "check subscription_id, and that this credential may see it"
    if code == "missingsubscriptionregistration":
        return said, "register it with az provider register, or ask somebody who may"
    if code == "invalidresourcetype":
        return said, "this cloud does not offer it, so nothing can be told from that; check cloud_environment"
    if _LOCAL_ACCOUNTS.search(error.message):
        return said, "set credentials to user, which needs no local account"
    if _STOPPED.search(error.message):
        return said, "start the cluster with az aks start and run again"
    if code in _ENDED:
        return said, "run again, and look for the cause in the resource's activity log if it stays"
    if code == "principalnotfound":
        return said, "check that this is the object id of the principal, not its client id, or run again in a minute"
    if code == "unmatchedprincipaltype":
        return said, "set principal_type to the kind that the principal has"
    regions = _REGIONS.search(error.message)
    if regions and _region(regions["given"]) not in _regions(regions["offered"]):
        meant = closest(_region(regions["given"]), _regions(regions["offered"]))
        remedy = f"did you mean {meant}? All regions" if meant else "name another region; all"
        return said, f"{remedy} that Azure takes are in error.message"
    if error.status == 429:
        when = f"{error.retry_after:.0f} seconds" if error.retry_after else "some minutes"
        return said, f"Azure limits the number of requests, run again in {when}"
    if error.status >= 500:
        return said, "run again, and quote the request id to Azure support if it stays"
    return said, "correct what the message names and run again"


def _foreign(error: ServiceError) -> tuple[str, str]:
    text = " ".join(error.message.split())[:80]
    said = f": {text}" if text and "<" not in text else ""
    return (
        f"the answer has status {error.status} and is not in the form of Azure's{said}, so a proxy, a gateway or "
        "another service gave it",
        "check proxy, network and cloud_environment, then run again",
    )


def _forbidden(error: ServiceError, said: str) -> tuple[str, str]:
    match = _DENIED.search(error.message)
    if not match:
        return said, "ask somebody who holds Owner or User Access Administrator there to grant it"
    clients = _CLIENT.findall(error.message)
    who = f"the principal {clients[-1]}" if clients else "this principal"
    where = f" at {match.group('scope')}" if match.group("scope") else ""
    return (
        f"{who} may not perform {match.group('action')}{where}",
        f"somebody who holds Owner or User Access Administrator{where or ' there'} can grant a role with this action "
        "(a grant takes some minutes to work)",
    )


def explain_login(doing: str, message: str) -> str:
    """One sentence for a token that was not given; ``message`` may be Entra's or that of azure-identity."""
    text = " ".join(message.split())
    found = _AADSTS.search(text)
    if not found and _NO_AUTHORITY in text:
        return (
            f"Could not {doing}: no token was obtained, because the tenant is unknown to Entra, or a proxy or gateway "
            "answered instead of Entra; check tenant, proxy, network and cloud_environment, then run again."
        )
    if not found and _is_odd_login(text):
        return (
            f"Could not {doing}: no token was obtained, because a proxy, a gateway or another service answered instead "
            "of Entra; check proxy, network and cloud_environment, then run again."
        )
    if not found:
        return f"Could not {doing}: no token was obtained: {first_sentence(text)}; check the credential."
    start = text[found.start() :].split(" Trace ID", 1)[0]
    known = aadsts.find(text)
    remedy = known.remedy(aadsts.LOGIN) if known else "check tenant, client id and credential"
    return f"Could not {doing}: Entra gave no token: {first_sentence(start)}; {remedy}."


def _is_odd_login(text: str) -> bool:
    """Whether azure-identity stumbled over the answer itself: what an issuer of tokens refuses has a code."""
    _failed, prefix, said = text.partition("Authentication failed: ")
    return bool(prefix) and not _OAUTH_ERROR.match(said)


def login_error(message: str) -> dict[str, str]:
    """Entra's refusal as data; {} where it was not Entra that refused."""
    text = " ".join(message.split())
    found = _AADSTS.search(text)
    return {"code": found.group(), "message": text[found.start() :].split(" Trace ID", 1)[0]} if found else {}


def first_sentence(message: str) -> str:
    """The first sentence of a service's message, without its full stop and without line breaks."""
    text = " ".join(message.split())
    return re.split(r"(?<=[^.])\.(?:\s|$)", text, maxsplit=1)[0].rstrip(".")
