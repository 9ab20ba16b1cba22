# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!
"""The URL to which a right token is shown, and what its answer means: a right token may still have no role there."""

from __future__ import annotations

import re
import typing as t
from dataclasses import replace
from urllib.parse import urlsplit

from ..errors import Failure
from . import token
from .token_request import Answer

# Hosts of Azure's APIs in its clouds; a dot in front stands for all that end so.
_OF_AZURE = (
    "management.azure.com",
    "graph.microsoft.com",
    ".vault.azure.net",
    ".managedhsm.azure.net",
    ".core.windows.net",
    ".servicebus.windows.net",
    ".azconfig.io",
    ".documents.azure.com",
    ".cognitiveservices.azure.com",
    ".openai.azure.com",
    ".search.windows.net",
    "management.usgovcloudapi.net",
    "graph.microsoft.us",
    ".vault.usgovcloudapi.net",
    ".core.usgovcloudapi.net",
    "management.chinacloudapi.cn",
    "microsoftgraph.chinacloudapi.cn",
    ".vault.azure.cn",
    ".core.chinacloudapi.cn",
)
_HOST = re.compile(r"[a-z0-9.-]+|[0-9a-f:.]*:[0-9a-f:.]*")  # a name, or an address of IPv6
_URL = re.compile(r"[!#-\[\]-~]+")  # printable, without spaces, quotes and backslashes
# What services say where the network of the caller is refused, not the caller.
_NETWORK = ("ForbiddenByFirewall", "ForbiddenByConnection", "PublicNetworkAccess", "AuthorizationFailure")
_ACCESS_POLICY = "ForbiddenByPolicy"


def check(url: str, hosts: t.Iterable[str]) -> None:
    """Refuse a URL that a token must not be shown to; ``hosts`` are allowed besides those of Azure."""
    try:
        parts = urlsplit(url)
        host, _port = (parts.hostname or "").lower(), parts.port
    except ValueError:
        parts, host = urlsplit(""), ""
    plain = _URL.fullmatch(url) and parts.scheme == "https" and "@" not in parts.netloc and not parts.fragment
    if not plain or not _HOST.fullmatch(host):  # clients may decode what is escaped in a host
        raise Failure(f"The target {url} is no plain https URL; give one without user, fragment and spaces.")
    allowed = {each.lower() for each in hosts}
    if host in allowed or any(host.endswith(each) if each.startswith(".") else host == each for each in _OF_AZURE):
        return
    raise Failure(
        f"The target {url} is not of a known service of Azure, and whoever gets the token can use it; if {host} may "
        "have it, name it in target_hosts."
    )


def judge(verdict: token.Verdict, answer: Answer, url: str, identity: str) -> token.Verdict:
    """The verdict over a token that is right in itself, with what the target said of it."""
    if verdict.verdict != token.OK or not url:
        return verdict
    said = answer.target
    if said is None:
        return replace(
            verdict,
            verdict=token.NOT_VERIFIED,
            message=f"{verdict.message} It was not shown to {url}, because the container has neither curl nor python3.",
        )
    text = token.brief(said.body)
    if not said.status:
        why = f"{url} could not be asked ({text}): check the pod's network and the certificates of its image"
        return replace(verdict, verdict="target_unreached", message=f"The token is right, but {why}.")
    if said.status < 300:
        return replace(verdict, message=f"{verdict.message} {url} answered {said.status}.")
    name, code, advice = _refusal(said, identity)
    message = f"The token is right, but {url} answered {said.status} ({text}): {advice}."
    return replace(verdict, verdict=name, code=code, message=message)


def _refusal(said: Answer, identity: str) -> tuple[str, str, str]:
    """Verdict, class and advice."""
    if said.status == 403 and any(each in said.body for each in _NETWORK):
        return "target_refused", "", "its firewall does not let the pod in; allow the network of the cluster there"
    if said.status == 403 and _ACCESS_POLICY in said.body:
        return "role_missing", "V8", f"give {identity} a permission in the access policies of the vault"
    if said.status == 403:
        return (
            "role_missing",
            "V8",
            f"assign {identity} a role with this action there; one that was just assigned takes some minutes to work",
        )
    if said.status == 401:
        return "target_refused", "", "it does not take this token; check that resource is the one of this service"
    if said.status < 400:
        return "target_refused", "", "it redirects, which is not followed; name the URL of the service itself"
    if said.status == 404:
        return "target_refused", "", "nothing is there; name something that exists, such as what the application reads"
    if said.status == 429 or said.status >= 500:
        return "target_refused", "", "the service is at fault or has too many requests; try again later"
    return "target_refused", "", "correct the URL, with its api-version"
