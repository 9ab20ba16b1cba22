# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The rights in the cluster that MIC and NMI cannot work without, and which of them RBAC does not give.

The least of what the roles of the chart 4.1.18 grant (``mic-clusterrole.yaml`` and ``nmi-clusterrole.yaml`` below
``templates``). What other authorizers allow is not seen.
"""

from __future__ import annotations

import typing as t

from ..kubernetes.access import CLUSTER_ROLE, CLUSTER_ROLE_BINDING, Binding, groups
from ..kubernetes.sources import place
from ..matching.matching import STANDARD, Pod, Raw
from . import nmi
from .chart_manifest import GROUP

Right = tuple[str, str, str]  # API group, resource, verb

_READ = ("list", "watch")
_WRITE = ("create", "update", "delete")
_IDENTITIES = ("azureidentities", "azureidentitybindings")
_ASSIGNED = "azureassignedidentities"


def needed(program: str, mode: str) -> tuple[Right, ...]:
    """List the rights that ``mic`` or ``nmi`` needs in this operation mode of NMI."""
    if program == "mic":
        return (
            *_rights("", ("pods", "nodes"), _READ),
            *_rights(GROUP, _IDENTITIES, _READ),
            *_rights(GROUP, (_ASSIGNED,), (*_READ, *_WRITE)),
        )
    looked_up = (_ASSIGNED,) if mode == STANDARD else _IDENTITIES
    return (
        *_rights("", ("pods",), _READ),
        *_rights(GROUP, (*looked_up, "azurepodidentityexceptions"), _READ),
    )


def _rights(group: str, resources: t.Iterable[str], verbs: t.Sequence[str]) -> list[Right]:
    return [(group, resource, verb) for resource in resources for verb in verbs]


def account_of(workload: Raw) -> str:
    """Return the service account that the pods of a workload run as."""
    return Pod.parse((workload.get("spec") or {}).get("template") or {}).service_account


def lacking(workload: Raw, wanted: t.Iterable[Right], objects: t.Mapping[str, t.Sequence[Raw]]) -> list[Right]:
    """List what ClusterRoles and ClusterRoleBindings do not give to the pods of ``workload``.

    Empty where one of both lists was not read, or where the program is given a kubeconfig, and so another user.
    """
    if CLUSTER_ROLE not in objects or CLUSTER_ROLE_BINDING not in objects or nmi.flag(workload, "kubeconfig"):
        return []
    namespace, account = str(workload["metadata"].get("namespace", "")), account_of(workload)
    bound = {
        one.role
        for one in (Binding.parse(CLUSTER_ROLE_BINDING, raw) for raw in objects[CLUSTER_ROLE_BINDING])
        if one.names(namespace, account) or _has_group(one, groups(namespace))
    }
    rules = [
        rule
        for role in objects[CLUSTER_ROLE]
        if (CLUSTER_ROLE, *place(role)) in bound
        for rule in role.get("rules") or ()
    ]
    return [right for right in wanted if not any(_gives(rule, right) for rule in rules)]


def _has_group(binding: Binding, names: t.Sequence[str]) -> bool:
    return any(subject.get("kind") == "Group" and subject.get("name") in names for subject in binding.subjects)


def _gives(rule: Raw, right: Right) -> bool:
    """A rule for objects of certain names lets nobody list."""
    parts = zip(("apiGroups", "resources", "verbs"), right)
    return not rule.get("resourceNames") and all({part, "*"} & set(rule.get(key) or ()) for key, part in parts)


def described(rights: t.Iterable[Right]) -> str:
    """``list, watch on pods; create on azureassignedidentities.aadpodidentity.k8s.io``."""
    verbs: dict[str, list[str]] = {}
    for group, resource, verb in rights:
        verbs.setdefault(f"{resource}.{group}" if group else resource, []).append(verb)
    return "; ".join(f"{', '.join(several)} on {resource}" for resource, several in verbs.items())
