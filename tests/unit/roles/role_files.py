# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tasks and variables of the files of roles and playbooks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from ansible_collections.azureops.pod_identity.tests.support.players import CHECKOUT

PREFIX = "azureops.pod_identity."
FILES = [*sorted(CHECKOUT.glob("roles/*/tasks/*.yml")), *sorted(CHECKOUT.glob("playbooks/*.yml"))]


@dataclass(frozen=True)
class Task:
    """A task and whether it, or what stands around it in its file, has a condition."""

    given: dict[str, Any]
    conditional: bool

    def argument(self, action: str, name: str) -> str:
        """Of an action that takes its first argument without a name too; empty where this is another action."""
        arguments = self.given.get(f"ansible.builtin.{action}") or {}
        return str(arguments if isinstance(arguments, str) else arguments.get(name, "main"))

    @property
    def imported(self) -> str:
        """The file of tasks that it imports, below ``roles`` or, without a slash, beside its own."""
        if "ansible.builtin.import_tasks" in self.given:
            return self.argument("import_tasks", "file")
        if "ansible.builtin.import_role" in self.given:
            role = self.argument("import_role", "name").removeprefix(PREFIX)
            return f"{role}/tasks/{self.argument('import_role', 'tasks_from')}.yml"
        return ""

    @property
    def applied(self) -> bool:
        """Whether it includes tasks each of which gets a condition."""
        return any("when" in (value.get("apply") or {}) for value in self.given.values() if isinstance(value, dict))

    @property
    def included(self) -> str:
        return self.argument("include_tasks", "file") if "ansible.builtin.include_tasks" in self.given else ""


def tasks(entries: Any, conditional: bool = False) -> Iterator[Task]:
    """All of plays, blocks, or a list of tasks."""
    for each in entries or ():
        holds = conditional or "when" in each
        lists = [
            each[name] for name in ("block", "rescue", "always", "pre_tasks", "tasks", "post_tasks") if name in each
        ]
        for inner in lists:
            yield from tasks(inner, holds)
        if not lists:
            yield Task(each, holds)


def known() -> set[str]:
    """The variables of all roles, and those that they take their defaults from."""
    defaults = [path.read_text() for path in CHECKOUT.glob("roles/*/defaults/main.yml")]
    found = {name for text in defaults for name in re.findall(r"\w+", text)}
    for path in CHECKOUT.glob("roles/*/meta/argument_specs.yml"):
        for entry in yaml.safe_load(path.read_text())["argument_specs"].values():
            found |= set(entry.get("options") or {})
    return found


# Phases whose tasks run for the tag of any of several phases: the plan of the options tells whether they do.
BY_PLAN = {"pod_identity_bindings_identities"}
