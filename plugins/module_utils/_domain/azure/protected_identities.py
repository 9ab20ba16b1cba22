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


# Why an identity must stay, for programs.
PROTECTED_CODES = ("named", "control_plane", "kubelet", "addon", "pod_identity_addon", "named_by_cluster", "unknown")
_NAMED, _CONTROL_PLANE, _KUBELET, _ADDON, OF_POD_IDENTITY_ADDON, _BY_CLUSTER, _UNKNOWN = PROTECTED_CODES


@dataclass(frozen=True)
class Reason:
    """``code``: one of PROTECTED_CODES; ``sentence``: the same for people."""

    code: str
    sentence: str


@dataclass(frozen=True)
class Protection:
    """Which identities must stay on the machines of a cluster: normal spelling of the id, and the reason.

    ``unknown`` says why that cannot be told in full; '' where it can.
    """

    because: t.Mapping[str, Reason] = field(default_factory=dict)
    unknown: str = ""

    def reason(self, identity: str) -> str:
        """Why the identity must stay; '' where nothing speaks for it."""
        found = self.because.get(arm_id.normal(identity))
        return found.sentence if found else ""

    def code(self, identity: str) -> str:
        """The same as a code, where nobody can tell ``unknown``."""
        found = self.because.get(arm_id.normal(identity))
        return found.code if found else _UNKNOWN if self.unknown else ""

    @property
    def gap(self) -> str:
        """A sentence about what cannot be told; '' where nothing is missing."""
        return f"It cannot be told which identities must stay: {self.unknown}." if self.unknown else ""


def protection(cluster: Body | None, unknown: str, named: t.Iterable[str]) -> Protection:
    """What ``cluster`` needs, and what the user named; without a cluster ``unknown`` says why there is none."""
    because = {arm_id.normal(each): Reason(_NAMED, "it is in protected_identities") for each in named}
    if cluster is None:
        return Protection(because, unknown)
    name = cluster.get("name", "")
    for path, identity in sorted(_named(cluster), reverse=True):
        use = _use(path)
        because[arm_id.normal(identity)] = Reason(use.code, f"{use.sentence} of the cluster {name}")
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


def _use(path: tuple[str, ...]) -> Reason:
    if path[0] == "identity":
        return Reason(_CONTROL_PLANE, "it is an identity of the control plane")
    if path[:3] == ("properties", "identityProfile", "kubeletidentity"):
        return Reason(_KUBELET, "it is the identity of the kubelets")
    if path[:2] == ("properties", "addonProfiles"):
        return Reason(_ADDON, f"it is the identity of the add-on {path[2]}")
    if path[:2] == _POD_IDENTITY:
        return Reason(OF_POD_IDENTITY_ADDON, "it is given to pods by the pod identity add-on")
    # The last part is the id itself, or the name of its field.
    return Reason(_BY_CLUSTER, f"it is named in {'.'.join(path[1:-1] or path)}")


def _missing(cluster: Body) -> str:
    """Nodes without an identity are those of a service principal; others get theirs while they are created."""
    properties = cluster.get("properties") or {}
    principal = str((properties.get("servicePrincipalProfile") or {}).get("clientId") or "msi").lower()
    kubelet = (properties.get("identityProfile") or {}).get("kubeletidentity") or {}
    if principal == "msi" and not kubelet.get("resourceId"):
        return f"the cluster {cluster.get('name', '')} does not say (yet) which identity its kubelets have"
    return ""
