# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The table of problems of a migration: each is one function that looks at one workload, and what a person has to know.

What a problem leads to is its effect:

- ``needs``: the migration does something about it, its step.
- ``blocks``: its stage does not begin, unless the problem is accepted; one with a step becomes that step then.
- ``warns``: a person is told.

What could not be looked at is never taken for absent: it is told as that, and the migration has to prove it.
"""

from __future__ import annotations

import functools
import typing as t
from dataclasses import dataclass, field

from .. import codes

if t.TYPE_CHECKING:
    from .candidate import Candidate
    from .world import World

NEEDS, BLOCKS, WARNS = EFFECTS = ("needs", "blocks", "warns")
# What the migration does, in its order.
STEPS = ISSUER, WEBHOOK, ACCOUNT, ANNOTATION, CREDENTIAL, PROXY, LABEL, RESTART, PROOF = (
    *("issuer", "webhook", "service_account", "annotation", "credential", "proxy", "label", "restart", "proof"),
)
# What a problem stands in the way of: the pods use Workload ID; they lose aadpodidbinding; AAD Pod Identity goes.
STAGES = SWITCH, LEAVE, FINISH = ("switch", "leave", "finish")
# Options by which a problem is accepted: the first takes codes.
ACCEPT, OVERRIDE_OWNER = "workload_identity_migration_accept", "workload_identity_migration_override_owner"


@dataclass(frozen=True)
class Reason:
    """What a function of the table finds.

    ``object``: label of what has to be changed, '' for the workload itself. ``effect``: where it is other than that of
    the table. ``known``: whether it was looked at; where it was not, ``text`` says why.
    """

    text: str
    object: str = ""
    effect: str = ""
    known: bool = True


Reasons = t.Iterator[Reason]
Look = t.Callable[["Candidate", "World"], Reasons]


def unlooked(text: str, object: str = "") -> Reason:
    return Reason(text, object, known=False)


@dataclass(frozen=True)
class Entry(codes.Entry):
    """``row``: of the problems that those who moved have reported (1 to 23), 0 for one beside them. ``stays``: it is
    looked for at workloads that are not to move, too.
    """

    effect: str
    row: int
    step: str
    stage: str
    accepted_by: str
    stays: bool
    look: Look = field(repr=False)


class Table(codes.Table[Entry]):
    """The problems of one file, in its order."""

    def problem(
        self,
        effect: str,
        remedy: str,
        *,
        told_by: str,
        row: int = 0,
        step: str = "",
        stage: str = SWITCH,
        references: t.Sequence[str] = (),
        accepted_by: str = "",
        stays: bool = False,
    ) -> t.Callable[[Look], Look]:
        """Puts a function into the table."""
        return self._marking(
            functools.partial(
                Entry,
                told_by=told_by,
                remedy=remedy,
                references=tuple(references),
                effect=effect,
                row=row,
                step=step,
                stage=stage,
                accepted_by=accepted_by,
                stays=stays,
            )
        )
