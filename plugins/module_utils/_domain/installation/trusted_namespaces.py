# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""In which namespaces AAD Pod Identity is installed, by what only those who run the cluster can write.

Whoever may write in a namespace chooses the names, labels and annotations there. So an installation is where a
ClusterRoleBinding gives service accounts of a namespace the rights of MIC or NMI, or where the operator says so.
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass

from ..matching.matching import Raw
from .chart_manifest import GROUP
from .nmi import managed_by

CHART = "aad-pod-identity"
KINDS = ("ClusterRole", "ClusterRoleBinding")
# Those who write there run the cluster, and AKS installs its add-on there.
SYSTEM = "kube-system"
_CHART = re.compile(rf"{CHART}-\d.*")
_COMPONENT = re.compile(r"aad-pod-id(entity)?-(mic|nmi)(-role|-binding|-service-account)?")


@dataclass(frozen=True)
class Belief:
    """``everywhere``: who has the rights is not known, so that no namespace is doubted."""

    EVERYWHERE: t.ClassVar[str] = "Until that is granted, every workload that looks like MIC or NMI counts as one."

    namespaces: frozenset[str] = frozenset()
    everywhere: bool = False

    @classmethod
    def parse(
        cls,
        objects: t.Mapping[str, t.Sequence[Raw]],
        named: t.Iterable[str] = (),
        unread: t.Container[str] = (),
    ) -> Belief:
        """``objects`` by kind, ``named`` the namespaces that the operator named; what is in ``unread`` was not read."""
        found = {SYSTEM, *named}
        roles = {_name(role): role for role in objects.get("ClusterRole", ())}
        for raw in objects.get("ClusterRoleBinding", ()):
            reference = raw.get("roleRef") or {}
            if gives_rights(raw) or _are_of_programs(roles.get(str(reference.get("name", "")), {})):
                found.update(namespace for namespace, dummy in accounts(raw))
        for raw in (*objects.get("ClusterRole", ()), *objects.get("ClusterRoleBinding", ())):
            if is_of_chart(raw):
                found.add(managed_by(raw).release_namespace)
        everywhere = "ClusterRoleBinding" not in objects or any(kind in unread for kind in KINDS)
        return cls(frozenset(found - {""}), everywhere)

    def holds(self, namespace: str) -> bool:
        """Whether what is there can be of an installation; also for what is in no namespace."""
        return self.everywhere or not namespace or namespace in self.namespaces

    @staticmethod
    def doubt(namespace: str) -> str:
        """Why what is there is not believed."""
        return (
            f"no ClusterRoleBinding gives service accounts of the namespace {namespace} the rights of MIC or NMI, and "
            "the namespace was not named as one of a release"
        )


def accounts(binding: Raw) -> frozenset[tuple[str, str]]:
    """Namespaces and names of the service accounts that a binding is for."""
    return frozenset(
        (str(subject.get("namespace", "")), str(subject.get("name", "")))
        for subject in binding.get("subjects") or ()
        if subject.get("kind") == "ServiceAccount"
    )


def gives_rights(binding: Raw) -> bool:
    """Whether a ClusterRoleBinding is one of the chart or of the project's manifests."""
    role = str((binding.get("roleRef") or {}).get("name", ""))
    return is_of_chart(binding) or (is_named(binding) and _COMPONENT.fullmatch(role) is not None)


def is_of_chart(raw: Raw) -> bool:
    """Whether the object has the label that the chart gives to its objects."""
    return _CHART.fullmatch(str((raw["metadata"].get("labels") or {}).get("helm.sh/chart", ""))) is not None


def is_named(raw: Raw) -> bool:
    """Whether the object is called as the parts of MIC and NMI are."""
    return _COMPONENT.fullmatch(_name(raw)) is not None


def _are_of_programs(role: Raw) -> bool:
    """MIC and NMI read pods and what is assigned to them; so do roles for people that are aggregated of others."""
    rules = [] if role.get("aggregationRule") else role.get("rules") or ()
    return _reads(rules, GROUP, "azureassignedidentities") and _reads(rules, "", "pods")


def _reads(rules: t.Iterable[Raw], group: str, resource: str) -> bool:
    return any(
        {group, "*"} & set(rule.get("apiGroups") or ())
        and {resource, "*"} & set(rule.get("resources") or ())
        and {"list", "*"} & set(rule.get("verbs") or ())
        for rule in rules
    )


def _name(raw: Raw) -> str:
    return str(raw["metadata"]["name"])
