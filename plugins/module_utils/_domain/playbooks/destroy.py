# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The plan of the playbook destroy: which identities go with the resource group of the cluster, and what stays."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ..azure import arm_id
from ..roles import pod_identity_bindings, pod_identity_cluster
from ..roles.part import Nothing, Part, Run
from ..roles.pod_identity_bindings import Entry


@dataclass(frozen=True)
class Options:
    """Variables without their common prefix."""

    subscription_id: str = ""
    resource_group: str = ""
    cluster_subscription_id: str = ""
    cluster_resource_group: str = ""
    bindings_subscription_id: str = ""
    bindings_resource_group: str = ""
    bindings_list: tuple[Entry, ...] = field(default=(), metadata={"parse": Entry.parse})

    @property
    def group(self) -> str:
        """Id of the resource group that goes."""
        return pod_identity_cluster.NamingOptions(
            subscription_id=self.cluster_subscription_id or self.subscription_id,
            resource_group=self.cluster_resource_group or self.resource_group,
        ).group_scope

    @property
    def bindings(self) -> pod_identity_bindings.Options:
        return pod_identity_bindings.Options(
            list=self.bindings_list,
            subscription_id=self.bindings_subscription_id or self.subscription_id,
            resource_group=self.bindings_resource_group or self.resource_group,
        )


@dataclass(frozen=True)
class Kept:
    """A row of the table."""

    kept: str
    name: str
    where: str
    reason: str


@dataclass(frozen=True)
class Removal:
    """``going``: ids of the identities that go with the group; ``kept``: what else the list has made."""

    going: tuple[str, ...]
    kept: tuple[Kept, ...]


def removal(options: Options, _nothing: Nothing, _run: Run) -> Removal:
    bindings = options.bindings
    entries = [entry for entry in bindings.list if entry.is_managed_identity]
    going = [entry for entry in entries if arm_id.same(bindings.scope_of(entry), options.group)]
    kept: list[Kept] = []
    for entry in entries:
        if entry not in going:
            where = bindings.identity_of(entry)
            kept.append(Kept("identity", entry.identity_name, where, "It lies in another resource group."))
        for given in entry.given.get("roles") or ():
            # Role assignments outlive the identity that they were given to.
            if given.get("scope") and not arm_id.contains(options.group, given["scope"]):
                name = f"{given['role']} of {entry.name}"
                kept.append(
                    Kept("role assignment", name, given["scope"], "Its scope lies in no resource group that goes.")
                )
    return Removal(tuple(map(bindings.identity_of, going)), tuple(kept))


PARTS: t.Mapping[str, Part[t.Any, t.Any]] = {"removal": Part(Options, Nothing, removal)}
