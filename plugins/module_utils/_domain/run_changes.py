# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""What the tasks of a run changed, or in check mode would change, with how long they took."""

from __future__ import annotations

import itertools
import typing as t
from dataclasses import dataclass, field, fields

from .change import Change

_NAMES = tuple(each.name for each in fields(Change))
CHANGED, PREDICTED, BEGUN = "changed", "would change", "begun"


@dataclass(frozen=True)
class Task:
    """A task that has ended. ``look``: what it did served only to find out; ``only_looks``: the task says so."""

    changed: bool
    check_mode: bool
    check_mode_of_run: bool
    never_changes: bool = False
    look: bool = False
    only_looks: bool = False

    @property
    def counts(self) -> bool:
        """A task that is in check mode where the run is not only predicts."""
        only_looks = self.never_changes or self.look or self.only_looks
        return self.changed and not only_looks and self.check_mode == self.check_mode_of_run


@dataclass(frozen=True)
class Row:
    """``what``: as the action that made it calls it, ``change``: the same as data; none of a task that tells none.

    ``seconds``: how long that took, with others of its task.
    """

    what: str
    state: str
    seconds: float | None = None
    change: t.Mapping[str, str] = field(default_factory=dict)

    def view(self) -> dict[str, t.Any]:
        data = {name: self.change.get(name, "") for name in _NAMES}
        return {"change": self.what, "state": self.state, "seconds": self.seconds, **data}


def of_task(
    result: t.Mapping[str, t.Any], name: str, seconds: float, *, check_mode: bool, where: str = ""
) -> list[Row]:
    """The changes of one task, by its name where it tells none; what they took together stands with the first.

    Last stands the one that was begun and failed, which has left something.
    ``where``: the node on which they were made.
    """
    state = PREDICTED if check_mode else CHANGED
    sentences, changes = list(result.get("actions") or ()), list(result.get("changes") or ())
    states = [state] * len(sentences)
    if result.get("begun"):
        sentences.append(f"{result['failed_action']} (begun, then failed)")
        changes.append(result.get("failed_change") or {})
        states.append(BEGUN)
    told: t.Iterable[tuple[t.Any, t.Any]] = itertools.zip_longest(sentences or (name,), changes, fillvalue={})
    rows = []
    for number, (what, change) in enumerate(told):
        if where:
            change = {**change, "id": f"{where}/{change.get('id', '')}"} if change else change
            what = f"{what or name} on {where}"
        rows.append(
            Row(
                str(what or name),
                states[number] if number < len(states) else state,
                None if number else round(seconds, 1),
                change,
            )
        )
    return rows


def lines(
    changes: t.Sequence[Row], seconds: float, *, check_mode: bool, before: int = 0, failed: bool = False
) -> list[str]:
    """Lines that a person is told in the end: one for each change, which stays whole however long it is.

    ``before``: how many changes the same run has told already. ``failed``: a task has failed, so that no change is no
    success.
    """
    took = f"in {elapsed(seconds)}"
    if not changes:
        told = "Nothing would change" if check_mode else "Nothing was changed"
        if failed:
            told = f"A task failed, see above; before it nothing {'would change' if check_mode else 'was changed'}"
        if before:
            more = f"fter the {_count(before)} above, nothing more"
            told = told.replace("Nothing", f"A{more}").replace("it nothing", f"it, a{more}")
        return [f"{told} in Azure, the cluster or on its nodes ({elapsed(seconds)})."]
    count = _count(len(changes))
    told = f"{count} would be made (check mode), found {took}:" if check_mode else f"{count} {took}:"
    return [told, *(f"{_took(each):>9}  {each.what}" for each in changes)]


def _count(changes: int) -> str:
    return f"{changes} change{'s' if changes > 1 else ''}"


def _took(change: Row) -> str:
    return "" if change.seconds is None else f"{change.seconds:.1f} s"


def elapsed(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
