# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The identities that a managed cluster names, and what it needs each of them for."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, field

from . import arm_id

Body = t.Mapping[str, t.Any]

_IDENTITY = re.compile(r"/providers/microsoft\.managedidentity/userassignedidentities/[^/]+/?$", re.I)
_POD_IDENTITY = ("properties", "podIdentityProfile")


@dataclass(frozen=True)
class Protection:
    """Which identities must stay on the machines of a cluster: normal spelling of the id, and the reason.

    ``unknown`` says why that cannot be told in full; '' where it can.
    """

    because: t.Mapping[str, str] = field(default_factory=dict)
    unknown: str = ""

    def reason(self, identity: str) -> str:
        """Why the identity must stay; '' where nothing speaks for it."""
        return self.because.get(arm_id.normal(identity), "")

    @property
    def gap(self) -> str:
        """A sentence about what cannot be told; '' where nothing is missing."""
        return f"It cannot be told which identities must stay: {self.unknown}." if self.unknown else ""


def protection(cluster: Body | None, unknown: str, named: t.Iterable[str]) -> Protection:
    """What ``cluster`` needs, and what the user named; without a cluster ``unknown`` says why there is none."""
    because = {arm_id.normal(each): "it is in protected_identities" for each in named}
    if cluster is None:
        return Protection(because, unknown)
    name = cluster.get("name", "")
    for path, identity in sorted(_named(cluster), reverse=True):
        because[arm_id.normal(identity)] = f"{_use(path)} of the cluster {name}"
    return Protection(because, _missing(cluster))


def of_nodes(cluster: Body) -> tuple[str, ...]:
    """The identities that AKS itself gives to the nodes of a cluster: all that its resource names.

    Those of the pod identity add-on are not among them; it hands them to some pods, not to all.
    """
    return tuple(sorted({identity for path, identity in _named(cluster) if path[:2] != _POD_IDENTITY}))


def _named(cluster: Body) -> t.Iterator[tuple[tuple[str, ...], str]]:
    """Every identity that the cluster names, also in fields of the future, and where it stands."""
    for part in ("identity", "properties"):  # tags and such are anybody's words
        yield from _within(cluster.get(part), (part,))


def _within(value: t.Any, path: tuple[str, ...]) -> t.Iterator[tuple[tuple[str, ...], str]]:
    if isinstance(value, str):
        if _IDENTITY.search(value):
            yield path, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _within(key, (*path, key))
            yield from _within(item, (*path, key))
    elif isinstance(value, list):
        for item in value:
            yield from _within(item, path)


def _use(path: tuple[str, ...]) -> str:
    if path[0] == "identity":
        return "it is an identity of the control plane"
    if path[:3] == ("properties", "identityProfile", "kubeletidentity"):
        return "it is the identity of the kubelets"
    if path[:2] == ("properties", "addonProfiles"):
        return f"it is the identity of the add-on {path[2]}"
    if path[:2] == _POD_IDENTITY:
        return "it is given to pods by the pod identity add-on"
    # The last part is the id itself, or the name of its field.
    return f"it is named in {'.'.join(path[1:-1] or path)}"


def _missing(cluster: Body) -> str:
    """Nodes without an identity are those of a service principal; others get theirs while they are created."""
    properties = cluster.get("properties") or {}
    principal = str((properties.get("servicePrincipalProfile") or {}).get("clientId") or "msi").lower()
    kubelet = (properties.get("identityProfile") or {}).get("kubeletidentity") or {}
    if principal == "msi" and not kubelet.get("resourceId"):
        return f"the cluster {cluster.get('name', '')} does not say (yet) which identity its kubelets have"
    return ""
