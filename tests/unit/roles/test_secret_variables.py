# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Variables that look like secrets in the environment of tasks: in no command here, and refused on nodes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.azureops.pod_identity.tests.support.players import CHECKOUT, Player
from ansible_collections.azureops.pod_identity.tests.unit.roles.role_files import FILES, tasks
from ansible_collections.azureops.pod_identity.tests.unit.tables import cases

PLANTED = "planted-7d1c9e"
INSTANCE = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/virtualMachineScaleSets/v/virtualMachines/0"
BUILTIN: list[dict[str, Any]] = [
    {"module": "copy", "content": "text", "dest": "{{ playbook_dir }}/copied"},
    {"module": "stat", "path": "/"},
    {"module": "get_url", "url": "https://127.0.0.1:9/", "dest": "/nowhere"},
]
# They start no process, and ``raw`` one without the environment.
QUIET = (
    *("add_host", "assert", "debug", "fail", "include_role", "include_tasks", "import_role"),
    *("import_tasks", "meta", "pause", "raw", "set_fact", "set_stats"),
)


@cases(
    "connection, keywords, sentence",
    ("run-command", "vmss_run_command", {}, "has secrets (AZURE_SECRET), and Azure keeps"),
    ("become", "aks_node_pod", {"become": True}, "has secrets in its environment (AZURE_SECRET), which become"),
)
def test_secrets_in_the_environment_are_refused(
    tmp_path: Path, connection: str, keywords: dict[str, Any], sentence: str
) -> None:
    """Also those of a block around the task."""
    nowhere = tmp_path / "nowhere"
    nowhere.write_text("{}")
    variables = {
        "ansible_connection": f"azureops.pod_identity.{connection}",
        "ansible_vmss_run_command_instance": INSTANCE,
        "ansible_aks_node_pod_kubeconfig": str(nowhere),
        "ansible_python_interpreter": "/usr/bin/python3",
    }
    task = {"ansible.builtin.command": "true", **keywords}
    block = {"environment": {"AZURE_SECRET": PLANTED}, "block": [task]}
    status, output = Player(tmp_path / "player").play([block], "-vvvv", **variables)
    assert (status, PLANTED in output, sentence in " ".join(output.split())) == (2, False, True), output


@pytest.mark.parametrize(
    ("task", "spreads"),
    [
        pytest.param({"ansible.builtin.command": "true"}, True, id="Ansible-itself"),
        pytest.param(
            {"azureops.pod_identity.cluster_session": {"state": "private_directory"}}, False, id="further-tasks"
        ),
        pytest.param({"azureops.pod_identity.resource_group_info": {"name": "rg"}}, False, id="module"),
        pytest.param(
            {"azureops.pod_identity.kubernetes_core": {"module": "k8s_info", "kind": "Pod", "kubeconfig": "/nowhere"}},
            False,
            id="kubernetes.core",
        ),
        *(
            pytest.param({"azureops.pod_identity.ansible_builtin": arguments}, False, id=str(arguments["module"]))
            for arguments in BUILTIN
        ),
    ],
)
def test_secrets_in_the_environment_of_a_play_are_in_no_command(
    tmp_path: Path, task: dict[str, Any], spreads: bool
) -> None:
    """At -vvv Ansible tells each command that it starts, as lists of processes have it."""
    play = {
        "hosts": "localhost",
        "environment": {"AZURE_SECRET": PLANTED, "HTTPS_PROXY": f"http://u:{PLANTED}@127.0.0.1:9", "PLAIN": "plain"},
        "tasks": [{**task, "ignore_errors": True}],
    }
    status, output = Player(tmp_path).play(play, "-vvvv", pod_identity_in_process=False)
    assert (status, PLANTED in output, "PLAIN=plain" in output) == (0, spreads, True), output


def test_roles_start_no_module_of_Ansible_itself() -> None:
    """Such as ansible.builtin.copy, whose command would show the environment."""
    used = {
        (path.relative_to(CHECKOUT).as_posix(), name)
        for path in FILES
        for task in tasks(yaml.safe_load(path.read_text()))
        for name in task.given
        if "." in name and not name.startswith("azureops.pod_identity.")
    }
    harmless = {f"ansible.builtin.{name}" for name in QUIET}
    assert {name for _path, name in used} >= harmless
    assert [each for each in sorted(used) if each[1] not in harmless] == []
