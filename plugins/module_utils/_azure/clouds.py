# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Which Azure: the public one, a national one, or one that describes itself at a metadata endpoint."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass
from urllib.parse import urlsplit

from .._domain.errors import Failure


@dataclass(frozen=True)
class Cloud:
    """``audience`` is what ARM tokens are issued for; ``vouched`` clouds need no instance discovery.

    ``graph`` is Microsoft Graph; '' where the cloud does not say where it is.
    """

    name: str
    resource_manager: str
    authority: str
    audience: str
    vouched: bool = False
    graph: str = ""

    @property
    def scope(self) -> str:
        return self.audience.rstrip("/") + "/.default"

    @property
    def exchange_audience(self) -> str:
        """The audience of tokens that are exchanged by a federated credential, as documented for each cloud."""
        return "api://AzureADTokenExchange" + _EXCHANGE.get(self.name.lower(), "")


DEFAULT = "AzureCloud"
_EXCHANGE = {"azureusgovernment": "USGov", "azurechinacloud": "China", "usnat": "USNat", "ussec": "USSec"}
KNOWN = (
    Cloud(
        DEFAULT,
        "https://management.azure.com",
        "https://login.microsoftonline.com",
        "https://management.azure.com",
        graph="https://graph.microsoft.com",
    ),
    Cloud(
        "AzureUSGovernment",
        "https://management.usgovcloudapi.net",
        "https://login.microsoftonline.us",
        "https://management.usgovcloudapi.net",
        graph="https://graph.microsoft.us",
    ),
    Cloud(
        "AzureChinaCloud",
        "https://management.chinacloudapi.cn",
        "https://login.chinacloudapi.cn",
        "https://management.chinacloudapi.cn",
        graph="https://microsoftgraph.chinacloudapi.cn",
    ),
)


def find(setting: str, fetch: t.Callable[[str], t.Any]) -> Cloud:
    """The cloud of the option ``cloud_environment``; ``fetch`` gets a URL as JSON."""
    if "://" not in setting:
        for cloud in KNOWN:
            if cloud.name.lower() == setting.lower():
                return cloud
        names = ", ".join(cloud.name for cloud in KNOWN)
        raise Failure(f"The cloud {setting!r} is unknown; use one of {names}, or the URL of a metadata endpoint.")
    return described_by(setting, fetch(metadata_url(setting)))


def metadata_url(endpoint: str) -> str:
    """Where the description is: ``endpoint`` may be ARM's root or the full URL."""
    base, _sep, query = endpoint.partition("?")
    if not base.rstrip("/").endswith("/metadata/endpoints"):
        base = base.rstrip("/") + "/metadata/endpoints"
    return f"{base}?{query or 'api-version=2019-05-01'}"


def described_by(endpoint: str, document: t.Any) -> Cloud:
    """Read a metadata document: a list of clouds, or (Azure Stack) the one cloud of the endpoint itself."""
    parts = urlsplit(endpoint)
    root = f"{parts.scheme}://{parts.netloc}"
    entries = [entry for entry in (document if isinstance(document, list) else [document]) if isinstance(entry, dict)]
    own = [entry for entry in entries if _host(entry.get("resourceManager", root)) == _host(root)]
    entry = (own or entries or [{}])[0]
    authentication = entry.get("authentication") or {}
    authority, audiences = authentication.get("loginEndpoint"), authentication.get("audiences") or []
    if not authority or not audiences:
        raise Failure(
            f"The document at {metadata_url(endpoint)} does not describe a cloud "
            "(authentication.loginEndpoint and authentication.audiences are needed); check cloud_environment."
        )
    resource_manager = str(entry.get("resourceManager") or root).rstrip("/")
    matching = [audience for audience in audiences if _host(audience) == _host(resource_manager)]
    return Cloud(
        name=str(entry.get("name") or endpoint),
        resource_manager=resource_manager,
        authority=str(authority).rstrip("/"),
        audience=str((matching or audiences)[0]),
        vouched=True,
        graph=str(entry.get("microsoftGraphResourceId") or "").rstrip("/"),
    )


def _host(url: t.Any) -> str:
    return urlsplit(str(url)).netloc.lower()
