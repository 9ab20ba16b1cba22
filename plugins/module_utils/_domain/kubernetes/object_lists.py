# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""A list of objects that one task manages: the rules for all of it, what goes, and what is written when."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ..bindings.binding_pair import Decision, Desired, Key, check_namespace
from ..errors import Failure
from ..names import is_ours, listed
from .objects import Object, Raw, Write

R = t.TypeVar("R", bound="Rules")


class Placed(t.Protocol):
    @property
    def namespace(self) -> str: ...


@dataclass(frozen=True)
class Rules:
    """What holds for the whole list. ``namespaces`` are those that a purge looks into besides those of the entries."""

    option: t.ClassVar[str]  # that holds the list

    owner: str = "default"
    adopt: bool = False
    allow_in_use: bool = False
    purge: bool = False
    purge_allow_empty: bool = False
    namespaces: frozenset[str] = frozenset()

    @classmethod
    def parse(cls: type[R], options: Raw, **own: t.Any) -> R:
        """The options of ``_argspec.owned_list``; ``own`` are the rules of this kind of list."""
        return cls(
            **{name: options[name] for name in ("owner", "adopt", "allow_in_use", "purge_allow_empty")},
            purge=options[f"purge_{cls.option}"],
            namespaces=frozenset(name for name in (*options["purge_namespaces"], options["namespace"]) if name),
            **own,
        )

    @classmethod
    def entries(cls, options: Raw) -> list[Object]:
        """The options of each object; what an entry leaves out is as it is for the whole task."""
        listed = options[cls.option]
        if options[f"purge_{cls.option}"] and listed is None:
            raise Failure(f"purge_{cls.option} keeps only what the list {cls.option} names: give that list.")
        found = []
        for entry in [options] if listed is None else listed:
            inherited = {
                name: options[name] if entry[name] is None else entry[name]
                for name in ("namespace", "state", "allow_in_use")
            }
            if not inherited["namespace"]:
                raise Failure(
                    f"Entry {entry['name']!r} of {cls.option} has no namespace: set it there, or for the whole task."
                )
            found.append({**entry, **inherited})
        return found

    def check(self, desired_list: t.Sized) -> None:
        """Refuse what no cluster could make right."""
        if self.purge and not desired_list and not self.purge_allow_empty:
            raise Failure(
                f"An empty list with purge_{self.option} would remove everything of this owner; set purge_allow_empty "
                "to true if that is meant."
            )
        if self.purge and not desired_list and not self.namespaces:
            raise Failure(f"purge_{self.option} has no namespace to look into: name some in purge_namespaces.")
        for namespace in sorted(self.namespaces):
            check_namespace(namespace)

    def places(self, desired_list: t.Iterable[Placed]) -> frozenset[str]:
        """The namespaces that are looked into."""
        return self.namespaces.union(desired.namespace for desired in desired_list)


@dataclass(frozen=True)
class Deletion:
    """``allowed``: though it is used."""

    live: Raw
    allowed: bool


def leaving(
    kept: t.Container[Key],
    gone: t.Mapping[Key, bool],
    live: t.Mapping[Key, Raw],
    places: t.Container[str],
    rules: Rules,
) -> dict[Key, Deletion]:
    """What is to go of what is there, unless something needs it. ``gone`` is to go, allowed or not."""
    found = {key: Deletion(live[key], allowed) for key, allowed in gone.items() if key in live}
    if rules.purge:
        for key, raw in live.items():
            if key[0] in places and key not in kept and is_ours(raw, rules.owner):
                found.setdefault(key, Deletion(raw, rules.allow_in_use))
    return found


@dataclass(frozen=True)
class Wave:
    """Writes that do not depend on each other; the next wave begins when the pods of ``settles`` are assigned again."""

    writes: tuple[Write, ...]
    settles: tuple[Desired, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """``decisions`` are those of what is desired, in their order, and behind them those of what is purged."""

    decisions: tuple[Decision, ...]
    waves: tuple[Wave, ...]
    warnings: tuple[str, ...] = ()

    @property
    def writes(self) -> tuple[Write, ...]:
        return tuple(write for wave in self.waves for write in wave.writes)

    @property
    def planned(self) -> list[Object]:
        return [
            {
                "verb": one.change.verb,
                "kind": one.kind,
                "namespace": one.namespace,
                "name": one.name,
                "action": one.summary,
            }
            for one in self.writes
        ]

    @property
    def reassigned(self) -> int | None:
        """How many pods MIC will assign an identity anew; None where they may not be listed."""
        touched = [write.pods for write in self.writes if write.live is not None and write.body is not None]
        if any(pods is None for pods in touched):
            return None
        return len({(pod.namespace, pod.name) for pods in touched for pod in pods or ()})

    @property
    def documents(self) -> tuple[Object, Object]:
        """What changes, before and after, by kind and path."""
        before, after = {}, {}
        for decision in self.decisions:
            for write in decision.writes:
                label = f"{write.kind} {write.namespace}/{write.name}"
                before[label], after[label] = decision.before.get(write.key, {}), decision.after.get(write.key, {})
        return before, after


def some(names: t.Iterable[str]) -> str:
    return listed(sorted(set(names)))
