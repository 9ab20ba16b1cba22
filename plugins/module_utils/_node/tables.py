# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The nat tables of a node: looking at them, and carrying out a decision about them."""

from __future__ import annotations

import time
import typing as t
from dataclasses import dataclass, replace

from .._domain.errors import Failure
from .._domain.nodes import node_rules
from .._domain.nodes.node_rules import Changes, Decision, Deletion, Wanted
from .._domain.nodes.node_rules_text import Table, parse
from .._domain.printed import escaped
from . import kernel
from .programs import Answer, Node

BACK_ENDS = ("nft", "legacy")
# Somebody else may write between a look and a command; who writes all the time does not get waited for.
_LOOKS = 4
_VERIFY_INTERVAL = 5
_NO_PERMISSION = ("Permission denied", "you must be root", "Operation not permitted")
_LOCKED = "holding the xtables lock"


@dataclass(frozen=True)
class Seen:
    """One back end at one moment. ``save`` is None where its programs are missing or the kernel holds no table."""

    back_end: str
    iptables: tuple[str, ...] = ()
    save: tuple[str, ...] | None = None
    text: str = ""
    table: Table = Table()
    reason: str | None = None

    @property
    def reading(self) -> tuple[str, ...]:
        """Prints the table with its counters."""
        return (*(self.save or ()), "-c", "-t", "nat")


def look(node: Node, beside: t.Sequence[t.Sequence[str]] = ()) -> tuple[Seen, ...]:
    """All back ends. Runs nothing that makes a table, and fails when a table is there that cannot be read.

    ``beside`` are commands that will be run right after it.
    """
    holds = kernel.holds_nat(node)
    reached = [_reach(node, back_end, holds[back_end]) for back_end in BACK_ENDS]
    node.foresee([*(each.reading for each in reached if each.save), *beside])
    return tuple(_read(node, each) if each.save else each for each in reached)


def remove(
    node: Node, seen: Seen, decision: Decision, wanted: Wanted, lock_timeout: int, done: list[Deletion]
) -> Changes:
    """Carry out the decision; look again until nothing of ours is left, and say what others changed meanwhile.

    ``done`` takes the deletions that were carried out, also where this fails.
    """
    before, failed = seen.table, None
    lost_the_lock = False
    for _dummy in range(_LOOKS):
        todo = list(decision.deletions)
        while todo:
            commands = [node_rules.command(seen.iptables, lock_timeout, deletion) for deletion in todo]
            answers = node.run_in_turn([*commands, seen.reading])
            for deletion, answer in zip(todo, answers):
                if answer.code == 0:
                    done.append(deletion)
                    continue
                failed = answer
                if _LOCKED not in answer.err or lost_the_lock:
                    _refuse(seen, answer, lock_timeout)
            look = answers[len(todo) :]
            todo = todo[len(answers) :]
            if failed and _LOCKED in failed.err and not lost_the_lock:  # a second look, and no third
                lost_the_lock, todo, look = True, [], []
        seen = _read(node, seen, *look)
        taken = node_rules.taken(before, seen.table, done, wanted)
        if taken:
            raise Failure(
                f"Rules that are not NMI's are gone from the {seen.back_end} nat table since the removal began "
                f"({', '.join(taken)}); stop, and compare with the saved table.",
                results={"taken": list(taken)},
            )
        decision = node_rules.decide(seen.table, wanted)
        if not decision.deletions:
            return node_rules.compare(before, seen.table, wanted)
    said = f"; a command said: {escaped(failed.complaint)}" if failed else ""
    raise Failure(
        f"The {seen.back_end} nat table still holds {decision.removed[0]} after {_LOOKS} removals{said}; "
        "find out who writes it, most likely an NMI, and stop that first."
    )


def verify(node: Node, wanted: Wanted, seconds: int) -> None:
    """Fail when anything of ours is back within that time."""
    deadline = time.monotonic() + seconds
    while True:
        for seen in look(node):
            back = node_rules.decide(seen.table, wanted).removed
            if back:
                raise Failure(
                    f"The {seen.back_end} nat table holds {back[0]} again, less than {seconds} seconds after the "
                    "removal; an NMI still writes it: repair or remove that NMI first."
                )
        left = deadline - time.monotonic()
        if left <= 0:
            return
        time.sleep(min(left, _VERIFY_INTERVAL))


def _reach(node: Node, back_end: str, holds: bool) -> Seen:
    programs = node.iptables(back_end)
    if programs is None:
        missing = f"the node has no program iptables-{back_end} with iptables-{back_end}-save"
        if holds:
            raise Failure(
                f"The kernel holds a {back_end} nat table, and {missing}; "
                "install the package iptables, or run this where these programs are."
            )
        return Seen(back_end, reason=f"{missing}; the kernel holds no such nat table")
    return Seen(back_end, *programs) if holds else Seen(back_end, programs[0])


def _read(node: Node, seen: Seen, first: Answer | None = None) -> Seen:
    """With the table and its counters; again when somebody wrote while it was read. ``first`` is a first look at it."""
    answer = first or node.run(seen.reading)
    for _dummy in range(_LOOKS - 1):
        if answer.code == 0:
            break
        _refuse(seen, answer, 0)
        answer = node.run(seen.reading)
    if answer.code == 0:
        return replace(seen, text=answer.out, table=parse(answer.out))
    _refuse(seen, answer, 0)
    raise Failure(
        f"The {seen.back_end} nat table cannot be read ({escaped(answer.complaint)}); run the task again, "
        "and look at the table by hand if it stays so."
    )


def _refuse(seen: Seen, answer: Answer, lock_timeout: int) -> None:
    """Fail for what a second look does not heal."""
    if any(words in answer.err for words in _NO_PERMISSION):
        raise Failure(kernel.NO_PRIVILEGE)
    if _LOCKED in answer.err:
        raise Failure(
            f"Another program has held the xtables lock for {lock_timeout} seconds, twice, so the {seen.back_end} nat "
            "table still holds rules of NMI; run the task again, or raise lock_timeout."
        )
