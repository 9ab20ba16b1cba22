# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""What only the plans of all clusters of a run tell: identities that would be full, and credentials of none of them."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ..azure.federated import LIMIT, Holder, service_account
from ..diagnosis.shown import shown
from ..names import listed
from .trust import holder_of, key_of

Raw = t.Mapping[str, t.Any]
# An issuer and a subject, which an identity has once; of a credential without a subject its name in place of that.
_Pair = tuple[str, str]


@dataclass(frozen=True)
class Planned:
    """One cluster. ``plan``: as ``workload_identity_info`` returns it, {} where there is none."""

    cluster: str
    plan: Raw

    @property
    def issuer(self) -> str:
        """'' where it is not known, or still to come."""
        return str((self.plan.get("cluster") or {}).get("issuer") or "")


@dataclass(frozen=True)
class Overfull:
    """An identity or application that would need more federated credentials, for several clusters, than Azure takes.

    ``key``: what tells it apart, see ``key_of``. ``used``: how many it has. ``missing``: how many it needs besides, for
    ``clusters``.
    """

    key: str
    holder: Holder
    used: int
    missing: int
    clusters: tuple[str, ...]

    @property
    def sentence(self) -> str:
        noun = self.holder.noun
        return (
            f"{noun.capitalize()} {shown(self.holder.name)} has {self.used} federated credentials and needs "
            f"{self.missing} more for {listed(self.clusters)}; Azure takes {LIMIT}: let workloads of a namespace share "
            f"a service account, remove credentials of clusters that are gone, or use a second {noun}."
        )


@dataclass(frozen=True)
class Stray:
    """A federated credential for a service account of none of the clusters whose plans are there."""

    holder: Holder
    credential: str
    service_account: str
    issuer: str


@dataclass
class _Counted:
    """What all plans tell of one holder."""

    key: str
    holder: Holder
    there: dict[_Pair, Raw] = field(default_factory=dict)
    # With the cluster that wants it.
    wanted: dict[_Pair, str] = field(default_factory=dict)


def overfull(every: t.Iterable[Planned]) -> tuple[Overfull, ...]:
    """Where one cluster is too many for an identity by itself, its own plan says so.

    A plan may be older than what others have written since; so credentials are counted by what they trust.
    """
    found = []
    for one in _counted(every):
        missing = {pair: cluster for pair, cluster in one.wanted.items() if pair not in one.there}
        several = tuple(sorted(set(missing.values())))
        if len(several) > 1 and len(one.there) + len(missing) > LIMIT:
            found.append(Overfull(one.key, one.holder, len(one.there), len(missing), several))
    return tuple(found)


def strays(every: t.Sequence[Planned]) -> tuple[Stray, ...]:
    """Whether their clusters exist, nothing that may be read proves: other subscriptions may have them."""
    issuers = {one.issuer for one in every}
    return tuple(
        Stray(one.holder, raw["name"], "/".join(account), raw["issuer"])
        for one in _counted(every)
        for (issuer, subject), raw in sorted(one.there.items())
        for account in filter(None, [service_account(subject)])
        if issuer not in issuers
    )


def _counted(every: t.Iterable[Planned]) -> list[_Counted]:
    found: dict[str, _Counted] = {}
    for one in every:
        for raw in one.plan.get("identities") or ():
            if raw["credentials_used"] is None:
                continue
            who = (raw["identity_id"], raw["client_id"].lower())
            counted = found.setdefault(key_of(*who), _Counted(key_of(*who), holder_of(*who)))
            counted.there.update(
                ((each["issuer"], each["subject"] or each["name"]), each) for each in raw["credentials"]
            )
            # Two hosts may be one cluster; one without an issuer will have its own.
            for subject in raw["subjects"] if raw["credentials_missing"] else ():
                counted.wanted.setdefault((one.issuer or one.cluster, subject), one.cluster)
    return [counted for _key, counted in sorted(found.items())]
