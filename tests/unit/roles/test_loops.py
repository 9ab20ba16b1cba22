# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A loop that writes ends with the first write that fails, whose cause the next one may have too."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml

from ansible_collections.azureops.pod_identity.tests.unit.roles.role_files import FILES, PREFIX, tasks

# What goes on, and why.
GOES_ON = {
    "imds_node_cleanup: Write them into files": "Files on the controller, of which each is told as written or not.",
    "workload_identity_migration: Let identities trust the service accounts, and wait until Entra does": (
        "Each identity has rights, credentials and exchanges of its own, and nothing that serves changes."
    ),
    "workload_identity_migration: Let applications trust the service accounts, and wait until Entra does": (
        "Each application has owners, credentials and exchanges of its own, and nothing that serves changes."
    ),
    "workload_identity_migration: Make the templates of the workloads as they were": (
        "Each workload that is as it was needs nothing of Workload ID any more, and the table tells which are not."
    ),
}
CONDITIONS = ("{name} is failed", "{name}.failed_action is defined", "{name}.msg is defined")
# Of this collection; others only say or decide something, or take hosts and files of tasks.
_LOOKS = ("role_plan", "cluster_session", "cluster_connection", "imds_node_cleanup_step")


def looping() -> Iterator[tuple[str, dict[str, Any]]]:
    """Names and tasks that write, in a loop."""
    for path in FILES:
        for task in tasks(yaml.safe_load(path.read_bytes())):
            if "loop" in task.given and any(map(writes, task.given)):
                where = path.parts[-3] if path.parent.name == "tasks" else path.stem
                yield f"{where}: {task.given['name']}", task.given


def writes(key: str) -> bool:
    action = key.removeprefix(PREFIX)
    return action != key and not action.endswith("_info") and action not in _LOOKS


def ends(task: dict[str, Any]) -> bool:
    """Whether it does at the first write that fails. What more its condition says is about failures before a write."""
    conditions = task.get("loop_control", {}).get("break_when", [])
    several = [conditions] if isinstance(conditions, str) else conditions
    name = task.get("register", "")
    return bool(name and several) and several[0] in [each.format(name=name) for each in CONDITIONS]


def test_every_loop_that_writes_ends_with_the_first_write_that_fails() -> None:
    found = dict(looping())
    assert len(found) > 20
    assert {name for name, task in found.items() if not ends(task)} == set(GOES_ON)


def test_no_phase_of_the_migration_hides_that_it_failed() -> None:
    """It is told where it fails, and ends nothing but what is for the same workloads (tasks/phase.yml)."""
    hidden = {
        task.given["name"]
        for path in FILES
        if "workload_identity_migration" in path.parts
        for task in tasks(yaml.safe_load(path.read_bytes()))
        if task.given.get("failed_when") is False or task.given.get("ignore_errors")
    }
    assert hidden == {"Let others work on the cluster again"}
