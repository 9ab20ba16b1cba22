# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""What the plans of all roles share: the run that they are for, permissions, refusals, and how a plan leaves Python."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field, fields, is_dataclass

from ..azure import arm_id
from ..commands import Command
from ..printed import printed

Raw = t.Mapping[str, t.Any]
_Options = t.TypeVar("_Options")
_Observed = t.TypeVar("_Observed")

# The tags of the phases of each role, in their order. Another tag, such as one of the operator, selects no phase.
ROLE_PHASES: t.Mapping[str, tuple[str, ...]] = {
    role: tuple(f"{role}_{phase}" for phase in phases)
    for role, phases in {
        "pod_identity_bindings": ("identities", "roles", "objects", "wait", "restart", "show"),
        "pod_identity_chart": ("install", "wait"),
        "pod_identity_cluster": ("create", "addon", "roles", "remove"),
        "pod_identity_restore": ("chart", "roles", "objects", "scale_sets"),
        "pod_identity_uninstall": (
            *("entries", "bindings", "scale_sets", "chart", "addon"),
            *("nodes", "roles", "objects", "identities"),
        ),
        "pod_identity_verify": ("workloads", "demo"),
        "workload_identity_migration": (
            *("plan", "issuer", "webhook", "account", "credential", "canary", "switch", "soak", "leave", "finish"),
        ),
    }.items()
}
_PHASES = frozenset(phase for phases in ROLE_PHASES.values() for phase in phases)


class Refused(Exception):
    """The role does not go on. ``sentences``: all reasons that are known by now, each with what to do.

    ``plan``: what the part knows all the same, such as whether its task is to try again.
    """

    def __init__(self, *sentences: str, plan: object = None) -> None:
        self.sentences, self.plan = tuple(map(printed, sentences)), plan
        super().__init__(" ".join(self.sentences))


def refuse(sentences: t.Iterable[str]) -> None:
    """Raises Refused if there is a sentence."""
    found = tuple(sentences)
    if found:
        raise Refused(*found)


@dataclass(frozen=True)
class Run:
    """How ansible-playbook was called. In check mode nothing is real; a task alone may have check mode too.

    ``inherited``: the tags that all tasks of the role have from where it is used.
    """

    check_mode: bool = False
    tags: tuple[str, ...] = ()
    skipped_tags: tuple[str, ...] = ()
    inherited: tuple[str, ...] = ()

    def phases(self, known: t.Sequence[str]) -> tuple[str, ...]:
        """Those of the phases of a role that the tags select; all, if the tags are those of no phase of any role."""
        named = [tag for tag in self.tags if tag in _PHASES] or known
        return tuple(phase for phase in known if phase in named and phase not in self.skipped_tags)

    def runs(self, phase: str) -> bool:
        """Whether Ansible runs the tasks of this phase, which tags from where the role is used may select too."""
        tags = {phase, *self.inherited}
        selected = not self.tags or "always" in tags or not (tags | {"all", "tagged"}).isdisjoint(self.tags)
        return selected and (tags | {"all", "tagged"}).isdisjoint(self.skipped_tags)


@dataclass(frozen=True)
class Look:
    """A module that is run before a part decides; its result is ``name`` of what is observed.

    ``in_cluster``: it reaches the API server of the session, and is left out as long as there is none.
    ``in_check_mode``: it is one that would write, and predicts that. ``tolerates``: whether a result with which it
    failed is what it found all the same; without it no failure is.
    """

    name: str
    module: str
    arguments: Raw = field(default_factory=dict)
    in_cluster: bool = True
    in_check_mode: bool = False
    tolerates: t.Callable[[Raw], bool] | None = None


def cluster_arguments(cluster: Raw) -> dict[str, str]:
    """How modules name the cluster of a session."""
    return {
        "subscription_id": arm_id.parse(cluster["id"]).subscription,
        "resource_group": cluster["resource_group"],
        "cluster_name": cluster["name"],
    }


@dataclass(frozen=True)
class Part(t.Generic[_Options, _Observed]):
    """A decision of a role: what it reads, what it looks at, and the function that makes its plan.

    ``options``: the dataclass of the role's options, whose fields have their names without that of the role.
    ``observed``: the dataclass of what was found, with the method ``parse``. ``looks``: modules that are run first. It
    is given the options, what the task has found, and the run; the result of a look is in the second by its name when
    it yields the next, so that this can depend on it. ``warnings`` of a plan are told as such.
    """

    options: t.Any
    observed: t.Any
    decide: t.Callable[[_Options, _Observed, Run], object]
    looks: t.Callable[[_Options, Raw, Run], t.Iterator[Look]] | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The options that it reads."""
        return tuple(each.name for each in fields(self.options))

    def looks_at(self, options: Raw, found: Raw, run: Run) -> t.Iterator[Look]:
        return self.looks(given_options(self.options, options), found, run) if self.looks else iter(())

    def plan(self, options: Raw, observed: Raw, run: Run) -> dict[str, t.Any]:
        """The plan as a result of a task has it; raises Refused."""
        made = plain(self.decide(given_options(self.options, options), self.observed.parse(observed), run))
        return made if isinstance(made, dict) else {}


def given_options(kind: t.Any, given: Raw) -> t.Any:
    """An instance of ``kind``, a dataclass of options, whose defaults stand for what is not set.

    What is on by default and set to null is off, as tasks have it, which read it through the filter bool. Where the
    default is a tuple, the option is a list; ``parse`` of the field's metadata makes something of its entries.
    """
    values: dict[str, t.Any] = {}
    for each in fields(kind):
        value = given.get(each.name)
        if isinstance(each.default, tuple):
            parse, entries = each.metadata.get("parse"), each.default if value is None else value
            values[each.name] = tuple(map(parse, entries) if parse else entries)
        elif value is not None:
            values[each.name] = value
        elif each.default is True and each.name in given:
            values[each.name] = False
    return kind(**values)


@dataclass(frozen=True)
class Nothing:
    """What a part observes that decides by options alone."""

    @classmethod
    def parse(cls, _observed: Raw) -> Nothing:
        return cls()


def plain(value: object) -> t.Any:
    """Dataclasses and tuples as dictionaries and lists."""
    if is_dataclass(value):
        return {each.name: plain(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, t.Mapping):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    return value


# commands


@dataclass(frozen=True)
class Commands:
    """Those that an earlier part has found, to be printed below what is shown of it."""

    commands: tuple[Command, ...]

    @classmethod
    def parse(cls, observed: Raw) -> Commands:
        return cls(tuple(map(Command.parse, observed["commands"])))


@dataclass(frozen=True)
class Printed:
    """``printed``: the action shows them as they are, to be pasted."""

    printed: tuple[Command, ...]


def _print(_options: Nothing, found: Commands, _run: Run) -> Printed:
    return Printed(found.commands)


COMMANDS: Part[Nothing, Commands] = Part(Nothing, Commands, _print)
