# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tasks and the functions that decide for them fit together: parts that exist, and keys that plans have."""

from __future__ import annotations

import dataclasses
import inspect
import re
import sys
import typing
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.roles.part import ROLE_PHASES, Look
from ansible_collections.azureops.pod_identity.plugins.modules import role_plan
from ansible_collections.azureops.pod_identity.plugins.plugin_utils._roles import PARTS
from ansible_collections.azureops.pod_identity.tests.support.players import CHECKOUT
from ansible_collections.azureops.pod_identity.tests.unit.roles.role_files import BY_PLAN

PLAN = "azureops.pod_identity.role_plan"
SESSION = "azureops.pod_identity.cluster_session"
# What sessions ask the role pod_identity_cluster, and the one that writes a report in the end.
QUESTIONS = {
    *(("pod_identity_cluster", "questions"), ("pod_identity_cluster", "own_questions")),
    ("pod_identity_report", "place"),
}
TASKS = [*sorted(CHECKOUT.glob("roles/*/tasks/*.yml")), *sorted(CHECKOUT.glob("playbooks/*.yml"))]
# Variables of roles that stand for the plan of a task.
ALIASES = {"_pod_identity_chart_plan": "__pod_identity_chart_planned"}
# Those that stand for what the session has of a role: the plan of its options.
BEGUN = {"_pod_identity_bindings_plan": "pod_identity_bindings"}


def asking(part: Any, action: str = PLAN) -> Iterator[dict[str, Any]]:
    """The tasks that ask for a plan, or have another action."""
    if isinstance(part, dict) and action in part:
        yield part
    for each in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
        yield from asking(each, action)


def keys(role: str, part: str) -> set[str]:
    """Those of the plan."""
    decide = PARTS[role][part].decide
    made = typing.get_type_hints(decide, vars(sys.modules[decide.__module__]))["return"]
    return {field.name for field in dataclasses.fields(made)}


def parts(task: dict[str, Any]) -> list[str]:
    """Those that a task may ask for: one, or a default and what tasks that include it set the variable to."""
    part = task[PLAN]["part"]
    found = re.fullmatch(r"\{\{ (\w+) \| default\('(\w+)'\) \}\}", part)
    if not found:
        return [part]
    return [found[2], *(name for path in TASKS for name in re.findall(rf"\b{found[1]}: (\w+)", path.read_text()))]


def test_every_part_has_its_task() -> None:
    asked = {
        (task[PLAN]["role"], part)
        for path in TASKS
        for task in asking(yaml.safe_load(path.read_text()))
        for part in parts(task)
    }
    begun = {
        (role, "options")
        for path in TASKS
        for task in asking(yaml.safe_load(path.read_text()), SESSION)
        for role in (task[SESSION] or {}).get("roles", ())
    }
    assert asked | begun | QUESTIONS == {(role, part) for role, parts in PARTS.items() for part in parts}
    assert yaml.safe_load(role_plan.DOCUMENTATION)["options"]["role"]["choices"] == sorted(PARTS)


def test_tasks_read_what_plans_have() -> None:
    registered: dict[str, list[set[str]]] = {}
    for path in TASKS:
        for task in asking(yaml.safe_load(path.read_text())):
            found = registered.setdefault(task.get("register", ""), [])
            found += [keys(task[PLAN]["role"], part) for part in parts(task)]
    registered.update({name: [keys(role, "options")] for name, role in BEGUN.items()})
    wrong, read = [], 0
    for path in [*TASKS, *CHECKOUT.glob("roles/*/vars/*.yml")]:
        text = path.read_text()
        reads = list(re.findall(r"\b(__(?:pod_identity|imds_node_cleanup)_\w+)\.plan\.(\w+)", text))
        aliases = re.findall(r"(?<!\w)(_pod_identity_\w+_plan)\.(\w+)", text)
        reads += [(ALIASES.get(name, name), key) for name, key in aliases]
        read += len(reads)
        begun = re.findall(r"\bpod_identity_session\.plans\.(\w+)\.(\w+)", text)
        read += len(begun)
        wrong += [(str(path), role, key) for role, key in begun if key not in keys(role, "options")]
        wrong += [(str(path), name, key) for name, key in reads if not all(key in each for each in registered[name])]
    assert (wrong, read > 120) == ([], True)


@pytest.mark.parametrize("role", sorted(ROLE_PHASES))
def test_phases_are_tags_of_the_role(role: str) -> None:
    tags = {
        tag
        for path in (CHECKOUT / "roles" / role / "tasks").glob("*.yml")
        for listed in re.findall(r"\btags: \[(.*)\]", path.read_text())
        for tag in listed.split(", ")
    }
    assert tags == {"always", *ROLE_PHASES[role]} - BY_PLAN


def observed(kind: Any, seen: frozenset[Any] = frozenset()) -> set[str]:
    """The keys that ``parse`` cannot do without, with those of the ``parse`` that it calls with all of it."""
    source = inspect.getsource(kind.parse)
    found = set(re.findall(r'observed\["(\w+)"\]', source))
    for name in set(re.findall(r"(\w+)\.parse\(observed\)", source)):
        other = getattr(sys.modules[kind.__module__], name)
        if other not in seen:
            found |= observed(other, seen | {kind})
    return found


def test_tasks_tell_all_that_a_part_reads() -> None:
    """But for what the part looks at itself, and where a task tells it as a variable."""
    lacking, compared = [], 0
    for path in TASKS:
        for task in asking(yaml.safe_load(path.read_text())):
            role, told = task[PLAN]["role"], task[PLAN].get("observed", {})
            for part in parts(task) if isinstance(told, dict) else ():
                made = PARTS[role][part]
                where = sys.modules[made.looks.__module__] if made.looks else None
                looks = set(re.findall(r'Look\(\s*"(\w+)"', inspect.getsource(where))) if where else set()
                looks |= {each.name for each in vars(where).values() if isinstance(each, Look)} if where else set()
                compared += 1
                # The action tells the message of a failure.
                of_failure = {"message"} if "failure" in task[PLAN] else set()
                if missing := observed(made.observed) - looks - set(told) - of_failure:
                    lacking.append((path.name, part, sorted(missing)))
    assert (lacking, compared > 40) == ([], True)
