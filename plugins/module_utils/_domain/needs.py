# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""What somebody has to be allowed to do: actions of Azure at a scope, verbs of Kubernetes on a resource."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

Raw = t.Mapping[str, t.Any]


@dataclass(frozen=True)
class AzurePermission:
    """Actions that a phase may need. ``where``: as the README of the role says it."""

    phase: str
    where: str
    actions: tuple[str, ...]


@dataclass(frozen=True)
class GraphPermission:
    """A permission of Microsoft Graph that a phase may need. ``where``: as the README of the role says it."""

    phase: str
    where: str
    permission: str


@dataclass(frozen=True)
class KubernetesPermission:
    """Verbs that a phase may need. ``where``: as the README of the role says it."""

    phase: str
    where: str
    resource: str
    verbs: tuple[str, ...]
    api_group: str = ""
    subresource: str = ""


@dataclass(frozen=True)
class AzureNeed:
    """An entry of ``needs`` of permission_info. One that is not certain counts if a change turns out to need it."""

    scope: str
    actions: tuple[str, ...]
    certain: bool = True

    def entry(self) -> dict[str, t.Any]:
        """As permission_info takes it."""
        return {"scope": self.scope, "actions": list(self.actions)}


@dataclass(frozen=True)
class GraphNeed:
    """A permission of Microsoft Graph on an application, given by its object id or its client id.

    Nobody can be asked beforehand whether it is granted: Microsoft Graph v1.0 has no request for that.
    """

    application: str
    permission: str

    def entry(self) -> dict[str, t.Any]:
        return {"application": self.application, "graph_permissions": [self.permission]}


@dataclass(frozen=True)
class KubernetesNeed:
    """An entry of ``needs`` of access_review_info. One that is not certain counts if a change turns out to need it."""

    verbs: tuple[str, ...]
    resource: str
    api_group: str = ""
    subresource: str = ""
    namespace: str = ""
    certain: bool = True

    @classmethod
    def of(cls, permission: KubernetesPermission, namespace: str = "", *, certain: bool = True) -> KubernetesNeed:
        what = (permission.verbs, permission.resource, permission.api_group, permission.subresource)
        return cls(*what, namespace=namespace, certain=certain)

    @classmethod
    def parse(cls, given: Raw) -> KubernetesNeed:
        """From an entry; roles whose needs are templates nest the permission under ``need``."""
        permission = given.get("need") or given
        return cls(
            verbs=tuple(permission["verbs"]),
            resource=permission["resource"],
            api_group=permission.get("api_group") or "",
            subresource=permission.get("subresource") or "",
            namespace=given.get("namespace") or "",
            certain=given.get("certain", True),
        )

    def entry(self) -> dict[str, t.Any]:
        """As access_review_info takes it."""
        names = ("resource", "api_group", "subresource", "namespace")
        return {"verbs": list(self.verbs), **{name: getattr(self, name) for name in names}}


Need = t.Union[AzureNeed, KubernetesNeed]
