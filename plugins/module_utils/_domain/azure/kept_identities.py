# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Identities on the scale sets of a cluster that only others attached: what a write of the cluster has cost of them."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ..errors import Failure
from . import arm_id
from .attached_identities import Carrier, is_dead
from .protected_identities import protection

NOBODY, OTHERS, TASK = "nobody", "others", "task"


@dataclass(frozen=True)
class Held:
    """An identity and the scale set that carried it before the write."""

    scale_set: Carrier
    identity: str


@dataclass(frozen=True)
class Look:
    """What was missing at a time (seconds, from wherever)."""

    at: float
    missing: tuple[Held, ...]


@dataclass(frozen=True)
class Gap:
    """Identities that a scale set lacked for as long, and who ended that."""

    scale_set: Carrier
    identities: tuple[str, ...]
    seconds: float
    restored_by: str


def held(carriers: t.Iterable[Carrier], cluster: t.Mapping[str, t.Any]) -> tuple[Held, ...]:
    """What AKS may drop: what the cluster itself does not name, and is not dead at first sight."""
    named = protection(cluster, "", ()).because
    return tuple(
        Held(carrier, each.id)
        for carrier in carriers
        for each in carrier.identities
        if arm_id.normal(each.id) not in named and not is_dead(each, None)
    )


def missing(before: t.Iterable[Held], carriers: t.Iterable[Carrier]) -> tuple[Held, ...]:
    """What is no longer there, on scale sets that still are."""
    now = {arm_id.normal(carrier.id): carrier for carrier in carriers if not carrier.going}
    found = ((one, now.get(arm_id.normal(one.scale_set.id))) for one in before)
    return tuple(one for one, carrier in found if carrier is not None and carrier.carried(one.identity) is None)


def alive(lost: t.Iterable[Held], client_ids: t.Mapping[str, str], unread: t.Container[str]) -> tuple[Held, ...]:
    """What is a loss: not what was deleted, where that is known. ``unread`` are groups (normal ids) not listed."""

    def is_alive(one: Held) -> bool:
        before = one.scale_set.carried(one.identity)
        return arm_id.normal(arm_id.group_of(one.identity)) in unread or not (before and is_dead(before, client_ids))

    return tuple(filter(is_alive, lost))


def by_scale_set(several: t.Iterable[Held]) -> dict[Carrier, list[str]]:
    found: dict[Carrier, list[str]] = {}
    for one in several:
        found.setdefault(one.scale_set, []).append(one.identity)
    return found


def gaps(looks: t.Sequence[Look], attached: t.Container[Held]) -> tuple[Gap, ...]:
    """What was missing in a series of looks, the last of which tells what still is; ``attached`` is the task's work."""
    found: dict[tuple[Carrier, float, str], list[str]] = {}
    for one in dict.fromkeys(one for look in looks for one in look.missing):
        first = next(look for look in looks if one in look.missing)
        last = max(number for number, look in enumerate(looks) if one in look.missing)
        end = looks[min(last + 1, len(looks) - 1)]
        by = NOBODY if one in end.missing else TASK if one in attached else OTHERS
        found.setdefault((one.scale_set, round(end.at - first.at, 1), by), []).append(one.identity)
    return tuple(Gap(carrier, tuple(ids), seconds, by) for (carrier, seconds, by), ids in found.items())


def view(gap: Gap) -> dict[str, t.Any]:
    """A gap as the modules return it."""
    return {
        "scale_set": gap.scale_set.id,
        "identities": list(gap.identities),
        "seconds": gap.seconds,
        "restored_by": gap.restored_by,
    }


def sentence(gap: Gap) -> str:
    """A gap for people, who may have had an outage."""
    they = "it" if len(gap.identities) == 1 else "them"
    end = {
        NOBODY: f"and lacks {they} still",
        OTHERS: f"until somebody else, such as MIC, attached {they} again",
        TASK: f"until this task attached {they} again",
    }[gap.restored_by]
    names = ", ".join(arm_id.last_segment(each) for each in gap.identities)
    return f"After the change of the cluster {gap.scale_set.text} lacked {names} for {gap.seconds:g} seconds, {end}."


def unread(cluster: str, failure: Failure) -> str:
    return (
        f"Nobody watches whether the scale sets of the cluster {cluster} keep their identities, which AKS may drop: "
        f"{failure.sentence.rstrip('.')}. With restore_identities=ignore that is not tried."
    )


def not_seen(cluster: str, failure: Failure) -> Failure:
    """Why a task fails although the cluster was changed, where something else than Azure answered behind the write."""
    return Failure(
        f"The cluster {cluster} was changed, but whether its scale sets keep their identities, which AKS may drop, "
        f"could not be seen, because of this: {failure.sentence.rstrip('.')}; compare them with vmss_identity_info.",
        error=failure.error,
        results={"changed": True},
    )


def not_restored(left: t.Iterable[Held], waited: float, problem: Failure | None) -> Failure:
    """Why a task fails although the cluster was changed."""
    lacking = ", ".join(f"{carrier.text} lacks {', '.join(ids)}" for carrier, ids in by_scale_set(left).items())
    refused = f", and this task could not either ({problem.sentence.rstrip('.')})" if problem else ""
    return Failure(
        f"The cluster was changed, but now {lacking}, carried before the change; nobody has put that back within "
        f"{waited:.0f} seconds{refused}; attach it with vmss_identity.",
        error=problem.error if problem else None,
        results={"changed": True},
    )
