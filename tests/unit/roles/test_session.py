# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a run knows of its cluster is one variable, which a task that is skipped would overwrite."""

from __future__ import annotations

from pathlib import Path

import yaml

from ansible_collections.azureops.pod_identity.tests.support.players import CHECKOUT
from ansible_collections.azureops.pod_identity.tests.unit.roles.role_files import FILES, tasks

SESSION, VARIABLE = "azureops.pod_identity.cluster_session", "pod_identity_session"


def wrong(files: dict[str, str]) -> list[str]:
    """What is wrong with tasks in these files, by their paths below the checkout."""
    read = {path: list(tasks(yaml.safe_load(text))) for path, text in files.items()}
    # Whoever uses a role may do so under a condition, which every task has that is imported.
    conditional = {path: path.startswith("roles/") and Path(path).stem in ("main", "work") for path in files}
    changed = True
    while changed:
        changed = False
        for path, found in read.items():
            for task in found:
                name = task.imported or (task.included if task.applied else "")
                if not name or not (task.conditional or task.applied or conditional[path]):
                    continue
                target = f"roles/{name}" if "/" in name else str(Path(path).with_name(name))
                if not conditional.get(target, True):
                    conditional[target] = changed = True
    told = []
    for path, found in read.items():
        for task in found:
            name = f"{path}: {task.given.get('name')}"
            registered = task.given.get("register", "")
            if registered == VARIABLE and (task.conditional or conditional[path]):
                told.append(f"{name} may be skipped")
            if (SESSION in task.given) is not (registered == VARIABLE):
                told.append(f"{name} registers {registered or 'nothing'}")
    return told


def test_no_task_that_registers_the_session_is_skipped() -> None:
    files = {str(path.relative_to(CHECKOUT)): path.read_text() for path in FILES}
    assert sum(text.count(f"register: {VARIABLE}") for text in files.values()) > 10
    assert wrong(files) == []


def test_what_is_found() -> None:
    """Conditions around a task, in its file and in those that import it."""
    connect = f"{{name: Connect, {SESSION}: , register: {VARIABLE}}}"
    role = "{name: azureops.pod_identity.one, tasks_from: work}"
    files = {
        "roles/one/tasks/main.yml": "[{ansible.builtin.import_tasks: a.yml, when: x}]",
        "roles/one/tasks/a.yml": "[{block: [{ansible.builtin.import_tasks: {file: b.yml}}]}]",
        "roles/one/tasks/b.yml": f"[{connect}]",
        "roles/one/tasks/work.yml": f"[{{block: [], always: [{connect}]}}]",
        "roles/one/tasks/included.yml": f"[{connect}]",
        "roles/one/tasks/applied.yml": f"[{connect}]",
        "roles/one/tasks/more.yml": (
            "[{ansible.builtin.include_tasks: included.yml, when: x},"
            " {ansible.builtin.include_tasks: {file: applied.yml, apply: {when: x}}},"
            f" {{name: Make, {SESSION}: {{state: private_directory}}, register: other}},"
            f" {{name: Lose, {SESSION}: {{state: absent}}}},"
            f" {{name: Take, other: , register: {VARIABLE}}}]"
        ),
        "playbooks/site.yml": f"[{{hosts: all, tasks: [{{ansible.builtin.import_role: {role}, when: x}}]}}]",
        "playbooks/other.yml": f"[{{hosts: all, tasks: [{{when: x, block: [{connect}]}}]}}]",
    }
    assert wrong(files) == [
        "roles/one/tasks/b.yml: Connect may be skipped",
        "roles/one/tasks/work.yml: Connect may be skipped",
        "roles/one/tasks/applied.yml: Connect may be skipped",
        "roles/one/tasks/more.yml: Make registers other",
        "roles/one/tasks/more.yml: Lose registers nothing",
        f"roles/one/tasks/more.yml: Take registers {VARIABLE}",
        "playbooks/other.yml: Connect may be skipped",
    ]
