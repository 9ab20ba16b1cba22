# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""What the containers of a pod tell of how they ask for tokens: image, environment, arguments. Nothing secret is kept.

Of variables only their names are kept, and the values of those that hold the id of an identity or of a tenant, or the
path of a token, where they look like that.
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass

from ..installation.nmi import numbers
from ..installation.workload_identity_webhook import (
    CLIENT_ID_VARIABLE,
    PROXY_CONTAINER,
    TOKEN_FILE_VARIABLE,
)
from ..matching.matching import Raw
from . import products

CONTAINER, INIT, SIDECAR = "container", "init", "sidecar"
# What the webhook itself puts beside the containers of a pod.
INJECTED = (PROXY_CONTAINER, "azwi-proxy-init")
TENANT_VARIABLE = "AZURE_TENANT_ID"
_IDS = (CLIENT_ID_VARIABLE, TENANT_VARIABLE)
_ID = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_PATH = re.compile(r"/[\w./-]+")
# Where webhooks before and from 1.6.0 on project the token.
_TOKEN_PATH = re.compile(r"/var/run/secrets/azure/(?:tokens|wi)(?:/[\w.-]+)*")
_METADATA_SERVICE = re.compile(r"169\.254\.169\.254|metadata/identity/oauth2/token")
_RESOURCE_ID = re.compile(r"/userAssignedIdentities/", re.IGNORECASE)
# Libraries that know no Workload ID, by a variable that only they read.
_OLD_LIBRARIES = {"AzureServicesAuthConnectionString": "AppAuthentication"}


@dataclass(frozen=True)
class Container:
    """``kind``: CONTAINER, INIT, or SIDECAR, an init container that runs on.

    ``values``: of variables with ids or the path of a token. ``variables``: names of all; ``referred``: of those whose
    values come from elsewhere. ``token_paths``: written in arguments or variables. ``asks_metadata_service``: whether
    these name its address, ``names_resource_id``: or a managed identity by its resource id.
    """

    name: str
    kind: str
    image: str
    variables: frozenset[str]
    referred: frozenset[str]
    values: t.Mapping[str, str]
    token_paths: tuple[str, ...]
    asks_metadata_service: bool
    names_resource_id: bool

    @property
    def product(self) -> str:
        """Whose image it is; '' for one that is not known here."""
        return products.of_image(self.image)

    @property
    def version(self) -> tuple[int, ...]:
        return numbers(self.image.partition("@")[0].rpartition("/")[2].partition(":")[2])

    @property
    def old_library(self) -> str:
        return next((library for name, library in _OLD_LIBRARIES.items() if name in self.variables), "")

    @property
    def client_id(self) -> str:
        """The one that it sets itself; '' where it sets none, or one that is not written here."""
        return self.values.get(CLIENT_ID_VARIABLE, "")

    @property
    def hides_client_id(self) -> bool:
        return CLIENT_ID_VARIABLE in self.referred

    @property
    def misses_client_id(self) -> bool:
        """Whether it sets one that is none, which goes before that of its service account all the same."""
        return CLIENT_ID_VARIABLE in self.variables and not self.client_id and not self.hides_client_id

    def view(self) -> dict[str, t.Any]:
        return {
            "name": self.name,
            "kind": self.kind,
            "image": self.image,
            "product": self.product,
            "variables": dict(sorted(self.values.items())),
            "referred_variables": sorted(self.referred & {*_IDS, TOKEN_FILE_VARIABLE}),
            "token_paths": list(self.token_paths),
            "asks_metadata_service": self.asks_metadata_service,
            "old_library": self.old_library,
        }


def parse(template: Raw) -> tuple[Container, ...]:
    """Those of a pod or a template, in their order, init containers first; without those that a webhook added."""
    spec = template.get("spec") or {}
    found = [_parsed(each, _kind(each)) for each in spec.get("initContainers") or ()]
    found += [_parsed(each, CONTAINER) for each in spec.get("containers") or ()]
    return tuple(one for one in found if one.name not in INJECTED)


def client_ids(pod: Raw) -> set[str]:
    """What the containers of a pod are told as text, in lower case; those that are told none tell none."""
    return {
        str(entry.get("value") or "").lower()
        for each in (pod.get("spec") or {}).get("containers") or ()
        if each.get("name") not in INJECTED
        for entry in each.get("env") or ()
        if entry.get("name") == CLIENT_ID_VARIABLE and "valueFrom" not in entry
    }


def _kind(init: Raw) -> str:
    return SIDECAR if init.get("restartPolicy") == "Always" else INIT


def _parsed(raw: Raw, kind: str) -> Container:
    entries = [entry for entry in raw.get("env") or () if entry.get("name")]
    texts = [str(entry["value"]) for entry in entries if entry.get("value") is not None]
    texts += [str(word) for word in (*(raw.get("command") or ()), *(raw.get("args") or ()))]
    return Container(
        name=str(raw.get("name", "")),
        kind=kind,
        image=str(raw.get("image", "")),
        variables=frozenset(str(entry["name"]) for entry in entries),
        referred=frozenset(str(entry["name"]) for entry in entries if entry.get("valueFrom")),
        values={str(entry["name"]): str(entry["value"]) for entry in entries if _is_told(entry)},
        token_paths=tuple(dict.fromkeys(path for text in texts for path in _TOKEN_PATH.findall(text))),
        asks_metadata_service=any(map(_METADATA_SERVICE.search, texts)),
        names_resource_id=any(map(_RESOURCE_ID.search, texts)),
    )


def _is_told(entry: Raw) -> bool:
    """Whether the value is an id or a path by its name and by its look, so that it is no secret."""
    name, value = entry.get("name"), str(entry.get("value") or "")
    if name in _IDS:
        return _ID.fullmatch(value) is not None
    return name == TOKEN_FILE_VARIABLE and _PATH.fullmatch(value) is not None
