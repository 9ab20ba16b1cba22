# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The plan of a workload: what the migration does about it, what is in its way, and what is not known of it."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ..diagnosis.shown import shown
from . import of_proxy, of_tokens, of_trust, of_webhook, of_workloads
from .candidate import Candidate
from .problem import ACCEPT, BLOCKS, NEEDS, OVERRIDE_OWNER, PROOF, STEPS, SWITCH, WARNS, Entry, Reason
from .world import World

READY, NEEDED, BLOCKED = VERDICTS = ("ready", "needs", "blocked")
# From the webhook to the workload.
TABLE: tuple[Entry, ...] = (
    *of_webhook.TABLE.rows,
    *of_trust.TABLE.rows,
    *of_proxy.TABLE.rows,
    *of_tokens.TABLE.rows,
    *of_workloads.TABLE.rows,
)
CODES = tuple(row.code for row in TABLE)
ACCEPTABLE = tuple(row.code for row in TABLE if row.accepted_by == ACCEPT)


@dataclass(frozen=True)
class Item:
    """A problem of a workload. ``step``: what the migration does about it. ``stage``: what it stands in the way of.

    ``code``: '' for the proof of all that was not looked at.
    """

    code: str
    object: str
    reason: str
    remedy: str
    step: str = ""
    stage: str = ""
    accepted_by: str = ""


@dataclass(frozen=True)
class Plan:
    """``verdict``: BLOCKED where the pods may not use Workload ID yet, or where nothing is to be done but what is not
    possible yet; NEEDED where the migration has something to do, be it only a proof; else READY.

    ``needs`` in the order of STEPS. ``accepted``: what would be in the way, and was accepted.
    """

    verdict: str
    needs: tuple[Item, ...] = ()
    blocked: tuple[Item, ...] = ()
    accepted: tuple[Item, ...] = ()
    warnings: tuple[Item, ...] = ()
    not_looked_at: tuple[Item, ...] = ()

    @property
    def steps(self) -> tuple[str, ...]:
        """Each once."""
        return tuple(dict.fromkeys(one.step for one in self.needs))


def plan(one: Candidate, world: World) -> Plan:
    needs: list[Item] = []
    blocked: list[Item] = []
    accepted: list[Item] = []
    warnings: list[Item] = []
    unknown: list[Item] = []
    for row in TABLE:
        for reason in dict.fromkeys(row.look(one, world)) if one.moves or row.stays else ():
            effect = reason.effect or row.effect
            item = _item(row, reason, one)
            if not reason.known:
                unknown.append(item)
            elif effect == NEEDS:
                needs.append(item)
            elif effect == WARNS:
                warnings.append(item)
            elif _is_accepted(row, world):
                accepted.append(item)
                needs += [item] if row.step else []
            else:
                blocked.append(item)
    if unknown:
        codes = ", ".join(sorted({item.code for item in unknown}))
        needs.append(Item("", one.label, f"It is not known whether there is {codes}.", "Prove it.", PROOF))
    verdict = READY
    if any(item.stage == SWITCH for item in blocked) or (blocked and not needs):
        verdict = BLOCKED
    elif needs:
        verdict = NEEDED
    needs.sort(key=lambda item: STEPS.index(item.step))
    return Plan(verdict, *map(tuple, (needs, blocked, accepted, warnings, unknown)))


def to_try(world: World) -> tuple[Candidate, ...]:
    """Workloads of whose pods a dry run has to be made: those that nothing else keeps from Workload ID.

    Also those whose owners change them: nobody else would try what they merge.
    """
    return tuple(
        one
        for one in world.candidates
        if one.moves and not one.is_bound and not one.provides_itself and not _is_kept_from_switch(one, world)
    )


def _is_kept_from_switch(one: Candidate, world: World) -> bool:
    return any(
        reason.known and (reason.effect or row.effect) == BLOCKS
        for row in TABLE
        if row.stage == SWITCH and row.accepted_by != OVERRIDE_OWNER and not _is_accepted(row, world)
        for reason in row.look(one, world)
    )


def _item(row: Entry, reason: Reason, one: Candidate) -> Item:
    return Item(
        code=row.code,
        object=shown(reason.object or one.label),
        reason=shown(reason.text),
        remedy=row.remedy,
        step=row.step,
        stage=row.stage,
        accepted_by=row.accepted_by if (reason.effect or row.effect) == BLOCKS else "",
    )


def _is_accepted(row: Entry, world: World) -> bool:
    if row.accepted_by == OVERRIDE_OWNER:
        return world.choices.override_owner
    return row.accepted_by == ACCEPT and row.code in world.choices.accepted


def plans(world: World) -> tuple[tuple[Candidate, Plan], ...]:
    """Of every workload, in their order."""
    return tuple((one, plan(one, world)) for one in world.candidates)


Plans = t.Sequence[tuple[Candidate, Plan]]
