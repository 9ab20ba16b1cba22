# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Reads of Azure of which each may fail. What cannot be read is told, and stops nothing but what follows from it."""

from __future__ import annotations

import typing as t
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from .._domain import names
from .._domain.azure import arm_id, clusters
from .._domain.azure import attached_identities as attached
from .._domain.azure.arm_answers import NotAzure
from .._domain.diagnosis.asked_of_azure import provider_id
from .._domain.diagnosis.cause import AZURE
from .._domain.diagnosis.observed import Unread
from .._domain.errors import Failure
from . import managed_clusters
from .client import Arm, Body
from .errors import Refused

T = t.TypeVar("T")

# How many resources are read at a time.
AT_ONCE = 8
LOGIN = "a credential for Azure, and the names of the cluster in subscription_id, resource_group and cluster_name"
_READ_CLUSTER = "Microsoft.ContainerService/managedClusters/read"
_ANSWERS = "an answer of Azure itself: check network, proxy and cloud_environment"


class NotFound(Failure):
    """The cluster is not there, or is another one than that of the API server. ``needs``: what it takes to look."""

    def __init__(self, sentence: str, needs: str) -> None:
        super().__init__(sentence)
        self.needs = needs


class _Absent:
    """In place of what does not exist."""


@dataclass
class Look:
    """One look at Azure. ``lost``: why nothing more is asked, '' as long as Azure answers."""

    arm: Arm
    lost: str = ""
    _unread: list[Unread] = field(default_factory=list)
    _left_out: list[str] = field(default_factory=list)

    def cluster(
        self, options: t.Mapping[str, t.Any], nodes: t.Sequence[t.Mapping[str, t.Any]]
    ) -> tuple[str, Body | None]:
        """Id and body of the cluster; the body is None where it may not be read. ``nodes``: those of the API server.

        Raises Failure where nothing can be asked, NotFound where it is not the cluster of the API server.
        """
        name, group = options["cluster_name"], options["resource_group"]
        cluster_id = arm_id.resource(self.arm.subscription, group, clusters.KIND, name)
        found = self.ask(
            f"the cluster {name}",
            f"{_READ_CLUSTER} at {cluster_id}",
            lambda: managed_clusters.get_by_id(self.arm, cluster_id) or _Absent(),
        )
        if self.lost:
            raise Failure(self.lost)
        if isinstance(found, _Absent):
            raise NotFound(f"There is no cluster {name} in the resource group {group}.", LOGIN)
        if found and attached.of_nodes(map(provider_id, nodes)) and not clusters.holds(found, nodes):
            raise NotFound(
                "None of the nodes that the API server tells of is a machine of that cluster, so it is another one's.",
                "the name of the cluster that the kubeconfig is for",
            )
        return cluster_id, found

    def ask(self, what: str, needs: str, read: t.Callable[[], T]) -> T | None:
        """What ``read`` returns; None where that failed, which is written down."""
        if self.lost:
            self._left_out.append(what)
            return None
        try:
            return read()
        except Failure as failure:
            self._note(what, needs, failure)
            return None

    def told(self) -> tuple[Unread, ...]:
        if self._left_out:
            self._unread.append(Unread(AZURE, names.listed(self._left_out), self.lost, _ANSWERS))
        return tuple(dict.fromkeys(self._unread))

    def each(self, ids: t.Sequence[str], what: str, needs: str, read: t.Callable[[str], T]) -> dict[str, T]:
        """By id; one request each. What cannot be read is told for each resource group together."""

        def answer(identity: str) -> T | Failure | None:
            if self.lost:
                self._left_out.append(identity)
                return None
            try:
                return read(identity)
            except (Refused, NotAzure) as failure:
                return failure
            except Failure as failure:
                self._note(identity, "", failure)
                return None

        with ThreadPoolExecutor(AT_ONCE) as pool:
            answers = dict(zip(ids, pool.map(answer, ids)))
        unread: dict[tuple[str, bool], list[tuple[str, Failure]]] = {}
        found: dict[str, T] = {}
        for identity, one in answers.items():
            if isinstance(one, Failure):
                forbidden = isinstance(one, Refused) and one.forbids()
                unread.setdefault((arm_id.normal(arm_id.group_of(identity)), forbidden), []).append((identity, one))
            elif one is not None:
                found[identity] = one
        for (_dummy, forbidden), several in unread.items():
            group = arm_id.group_of(several[0][0])
            named = names.listed([arm_id.last_segment(one) for one, _why in several])
            takes = f"{needs} at {group}" if forbidden else _ANSWERS
            self._unread.append(Unread(AZURE, f"{named} among the {what} of {group}", several[0][1].sentence, takes))
        return found

    def leave(self, what: str, why: str, needs: str) -> None:
        """Write down what is not asked at all."""
        self._unread.append(Unread(AZURE, what, why, needs))

    def _note(self, what: str, needs: str, failure: Failure) -> None:
        if isinstance(failure, Refused) and failure.forbids():
            self._unread.append(Unread(AZURE, what, failure.sentence, needs))
        elif isinstance(failure, (Refused, NotAzure)):
            self._unread.append(Unread(AZURE, what, failure.sentence, _ANSWERS))
        else:  # the login, or the network: whatever else is asked would fail like this, and slowly
            self.lost = failure.sentence
            self._left_out.append(what)
