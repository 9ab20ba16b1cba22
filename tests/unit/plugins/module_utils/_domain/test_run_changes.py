# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain import run_changes
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.run_changes import Row, Task
from ansible_collections.azureops.pod_identity.tests.unit.tables import table


@table(
    "task, counts",
    (Task(changed=True, check_mode=False, check_mode_of_run=False), True),
    (Task(changed=True, check_mode=True, check_mode_of_run=True), True),
    (Task(changed=False, check_mode=False, check_mode_of_run=False), False),
    # Asked in check mode, to see whether it would change anything.
    (Task(changed=True, check_mode=True, check_mode_of_run=False), False),
    # In the place of a task that decides.
    (Task(changed=True, check_mode=True, check_mode_of_run=True, look=True), False),
    (Task(changed=True, check_mode=True, check_mode_of_run=True, only_looks=True), False),
    # changed_when: false, as of a pod that is made only to look.
    (Task(changed=True, check_mode=False, check_mode_of_run=False, never_changes=True), False),
)
def test_what_counts_as_a_change(task: Task, counts: bool) -> None:
    assert task.counts is counts


ONE = {"verb": "create", "kind": "Namespace", "id": "a", "why": ""}
OTHER = {"verb": "create", "kind": "Namespace", "id": "b", "why": "for one"}


def test_what_the_actions_of_a_task_took_stands_once() -> None:
    result = {"actions": ["create a", "create b"], "changes": [ONE, OTHER]}
    made = run_changes.of_task(result, "Make them", 1.26, check_mode=False)
    assert made == [Row("create a", "changed", 1.3, ONE), Row("create b", "changed", None, OTHER)]
    assert made[0].view() == {"change": "create a", "state": "changed", "seconds": 1.3, **ONE}
    assert [each.state for each in run_changes.of_task(result, "Make them", 0, check_mode=True)] == ["would change"] * 2


@pytest.mark.parametrize("result", [{}, {"actions": []}, {"actions": [], "changes": []}])
def test_a_task_that_tells_no_actions_goes_by_its_name(result: dict[str, Any]) -> None:
    (made,) = run_changes.of_task(result, "Make them", 0, check_mode=False, where="node-1")
    nothing = dict.fromkeys(("verb", "kind", "id", "why"), "")
    assert made.view() == {"change": "Make them on node-1", "state": "changed", "seconds": 0, **nothing}


def test_what_is_changed_on_a_node_names_it() -> None:
    result = {"actions": ["save it"], "changes": [{"verb": "save", "kind": "nat table", "id": "nft", "why": ""}]}
    (made,) = run_changes.of_task(result, "Clean up", 0, check_mode=False, where="node-1")
    assert (made.what, made.change["id"]) == ("save it on node-1", "node-1/nft")


@table(
    "found, check_mode, told",
    ([], False, ["Nothing was changed in Azure, the cluster or on its nodes (11 s)."]),
    ([], True, ["Nothing would change in Azure, the cluster or on its nodes (11 s)."]),
    (
        [Row("create cluster demo", "changed", 125.0), Row("enable its add-on", "changed")],
        False,
        ["2 changes in 11 s:", "  125.0 s  create cluster demo", "           enable its add-on"],
    ),
    (
        [Row("create cluster demo", "would change", 0.1)],
        True,
        ["1 change would be made (check mode), found in 11 s:", "    0.1 s  create cluster demo"],
    ),
)
def test_what_a_person_is_told(found: list[Row], check_mode: bool, told: list[str]) -> None:
    assert run_changes.lines(found, 11.7, check_mode=check_mode) == told


def test_what_was_begun_and_failed_is_a_change() -> None:
    result = {"failed": True, "begun": True, "failed_action": "create b", "failed_change": OTHER}
    done = {"actions": ["create a"], "changes": [ONE]}
    assert run_changes.of_task({**result, **done}, "Make them", 1, check_mode=False) == [
        Row("create a", "changed", 1, ONE),
        Row("create b (begun, then failed)", "begun", None, OTHER),
    ]
    assert run_changes.of_task({**result, "actions": [], "changes": []}, "Make them", 1, check_mode=False) == [
        Row("create b (begun, then failed)", "begun", 1, OTHER)
    ]
    refused = {**result, **done, "begun": False}
    assert run_changes.of_task(refused, "Make them", 1, check_mode=False) == [Row("create a", "changed", 1, ONE)]


@pytest.mark.parametrize("check_mode", [False, True])
def test_behind_a_failure_nothing_reads_as_success(check_mode: bool) -> None:
    would = "would change" if check_mode else "was changed"
    (told,) = run_changes.lines([], 5, check_mode=check_mode, failed=True)
    assert told == f"A task failed, see above; before it nothing {would} in Azure, the cluster or on its nodes (5 s)."
    (more,) = run_changes.lines([], 5, check_mode=check_mode, before=2, failed=True)
    assert f"before it, after the 2 changes above, nothing more {would} in Azure" in more
