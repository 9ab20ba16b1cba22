# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""One clean-up of one node, from what is there to what became of it."""

from __future__ import annotations

import copy
import typing as t
from dataclasses import dataclass, field

from .._domain.change import Change
from .._domain.errors import Failure
from .._domain.nodes import node_rules
from .._domain.nodes.node_rules import Decision, Deletion, Wanted
from . import conntrack, processes, saved, tables
from .conntrack import Connections
from .programs import Node
from .tables import Seen

Options = t.Mapping[str, t.Any]
TABLE = "nat table"


@dataclass
class Cleanup:
    """What was seen and decided. ``outcome`` is the module's result; it grows as the steps are carried out."""

    node: Node
    options: Options
    wanted: Wanted
    decided: tuple[tuple[Seen, Decision], ...]
    connections: Connections
    outcome: dict[str, t.Any] = field(default_factory=dict)

    @classmethod
    def observe(cls, node: Node, options: Options) -> Cleanup:
        """Look at everything, decide, and refuse when an NMI lives."""
        wanted = _wanted(options)
        beside = conntrack.commands(node, conntrack.ways(wanted, ()))
        decided = tuple((seen, node_rules.decide(seen.table, wanted)) for seen in tables.look(node, beside))
        redirects = [redirect for dummy, decision in decided for redirect in decision.redirects]
        living = processes.living(node, [wanted.nmi_port, *(redirect.to_port for redirect in redirects)])
        connections = conntrack.look(node, conntrack.ways(wanted, redirects))
        cleanup = cls(node, options, wanted, decided, connections)
        cleanup.outcome = {
            "backends": {seen.back_end: _backend(seen, decision) for seen, decision in decided},
            "conntrack": {
                "inspected": connections.reason is None,
                "reason": connections.reason or "",
                "found": connections.count,
                "removed": 0,
            },
            "nmi": living,
        }
        if living and not options["force"]:
            raise Failure(
                f"An NMI lives on this node ({', '.join(living)}) and would write its rules again; "
                "remove it first, or set force to true to remove the rules all the same.",
                results={"result": cleanup.outcome},
            )
        return cleanup

    def predicted(self) -> dict[str, t.Any]:
        """The outcome of carrying out all steps, as far as it can be known before."""
        outcome = copy.deepcopy(self.outcome)
        for seen, decision in self.decided:
            _mark_removed(outcome["backends"][seen.back_end], decision.removed)
        outcome["conntrack"]["removed"] = self.connections.count
        return outcome

    def lines(self) -> dict[str, list[str]]:
        """All rules and chains that go, by back end."""
        return {seen.back_end: list(decision.removed) for seen, decision in self.decided if decision.deletions}

    def warnings(self) -> tuple[str, ...]:
        warnings = [
            f"The {seen.back_end} back end is not inspected: {seen.reason}."
            for seen, _decision in self.decided
            if seen.reason
        ]
        if self.connections.reason:
            warnings.append(
                f"Connections through a removed rule are not looked for: {self.connections.reason}; "
                "a client that holds one gets no answer on it until it connects anew."
            )
        return tuple(warnings)

    def steps(self) -> t.Iterator[tuple[str, Change, t.Callable[[], dict[str, t.Any]]]]:
        """What each step is called, what it changes, its function; every table is saved before any is changed."""
        work = [(seen, decision) for seen, decision in self.decided if decision.deletions]
        for seen, _decision in work:
            change = Change("save", TABLE, seen.back_end)
            yield f"{change.verb} the {seen.back_end} {TABLE}", change, self._step(self._save, seen)
        for seen, decision in work:
            change = Change("change", TABLE, seen.back_end, f"remove {_counted(decision)}")
            yield f"{change.why} from the {seen.back_end} {TABLE}", change, self._step(self._remove, seen, decision)
        if self.connections.count or (work and self.connections.reason is None):
            change = Change("delete", "connections", "conntrack", "end connections that the kernel still sends to NMI")
            yield change.why, change, self._step(self._end_connections)
        if work and self.options["verify_seconds"]:
            seconds = self.options["verify_seconds"]
            tables_of = ", ".join(seen.back_end for seen, _decision in work)
            change = Change("verify", TABLE, tables_of, f"see for {seconds} seconds that nothing comes back")
            yield change.why, change, self._step(self._verify, seconds)

    def _step(self, write: t.Callable[..., None], *arguments: t.Any) -> t.Callable[[], dict[str, t.Any]]:
        def apply() -> dict[str, t.Any]:
            try:
                write(*arguments)
            except Failure as failure:
                results = {**failure.results, "result": self.outcome}
                raise Failure(failure.sentence, error=failure.error, results=results) from failure
            return self.outcome

        return apply

    def _save(self, seen: Seen) -> None:
        path = saved.save(self.node, self.options["save_directory"], seen.back_end, seen.text)
        self.outcome["backends"][seen.back_end]["saved_to"] = path

    def _remove(self, seen: Seen, decision: Decision) -> None:
        backend = self.outcome["backends"][seen.back_end]
        done: list[Deletion] = []
        try:
            changes = tables.remove(self.node, seen, decision, self.wanted, self.options["lock_timeout"], done)
        except Failure:
            _mark_removed(backend, decision.carried_out(done))
            raise
        _mark_removed(backend, decision.removed)
        backend["concurrent_changes"] = changes.view()

    def _end_connections(self) -> None:
        self.outcome["conntrack"]["removed"] = conntrack.end(self.node, self.connections)

    def _verify(self, seconds: int) -> None:
        tables.verify(self.node, self.wanted, seconds)


def _wanted(options: Options) -> Wanted:
    for name, least, most in (
        ("nmi_port", 1, 65535),
        ("metadata_port", 1, 65535),
        ("verify_seconds", 0, 3600),
        ("lock_timeout", 1, 3600),
    ):
        if not least <= options[name] <= most:
            raise Failure(f"{name} is {options[name]}; give a number from {least} to {most}.")
    address = options["metadata_address"]
    if not node_rules.is_address(address):
        raise Failure(f"metadata_address is {address!r}; give an IPv4 address.")
    return Wanted(options["nmi_port"], address, options["metadata_port"], options["azwi_proxy_chains"])


def _backend(seen: Seen, decision: Decision) -> dict[str, t.Any]:
    found = [{"rule": item.rule, "shape": item.shape, "versions": item.versions} for item in decision.found]
    left = [{"rule": item.rule, "reason": item.reason} for item in decision.left]
    foreign = len(seen.table.rules) - len(decision.ours)
    return {
        "inspected": seen.reason is None,
        "reason": seen.reason or "",
        "found": found,
        "removed": [],
        "left": left,
        "counts": {"found": len(found), "removed": 0, "left": len(left), "foreign": foreign},
    }


def _counted(decision: Decision) -> str:
    counts = ((len(decision.ours), "rule"), (len(decision.our_chains), "chain"))
    return " and ".join(f"{count} {word}{'s' * (count > 1)}" for count, word in counts if count)


def _mark_removed(backend: dict[str, t.Any], lines: t.Sequence[str]) -> None:
    backend["removed"] = list(lines)
    backend["counts"]["removed"] = len(lines)
