# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a person sees while Azure works, by real playbooks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.tests.support.modules import Modules
from azsandbox.azure.loopback import SimulatedAzure

POOLS = "CreatingAgentPools: 0/1 nodes completed"
TASK: dict[str, Any] = {
    "azureops.pod_identity.aks_cluster": {
        "resource_group": "rg",
        "name": "{{ inventory_hostname }}",
        "tags": {"a": "{{ inventory_hostname }}"},
        "poll_interval": 1,
    },
    "register": "done",
}
CHECK = {"ansible.builtin.assert": {"that": ["done is changed", "done.state.tags.a == inventory_hostname"]}}


def play(modules: Modules, hosts: list[str], *, tasks: list[dict[str, Any]], **more: Any) -> tuple[str, list[str]]:
    """Standard output of a playbook that succeeds, and the lines of its standard error."""
    inventory = modules.home / "hosts"
    names = [*hosts, "elsewhere"]
    how = f"ansible_connection=local ansible_python_interpreter={sys.executable}"
    inventory.write_text("".join(f"{name} {how}\n" for name in names))
    playbook = modules.home / "play.yml"
    content = [{"hosts": ",".join(hosts), "gather_facts": False, "tasks": tasks, **more}]
    playbook.write_text(json.dumps(content))
    ansible = {name: value for name, value in os.environ.items() if name.startswith("ANSIBLE_")}
    own = {"ANSIBLE_HOME": f"{modules.home}/.ansible", "ANSIBLE_ASYNC_DIR": f"{modules.home}/.async", "NO_COLOR": "1"}
    ran = subprocess.run(
        ["ansible-playbook", "-i", str(inventory), str(playbook)],
        env={**modules.environment, **ansible, **own},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout, ran.stderr.splitlines()


def left_behind(home: Path) -> list[Path]:
    return [path for path in home.rglob("*") if "progress" in path.name]


def test_what_azure_says_is_shown_while_it_works(modules: Modules, azure: SimulatedAzure) -> None:
    hosts = ["plain", "quiet", "later", "there", "hidden"]
    for name in hosts:
        azure.cluster(name=name)
    # Each asks until all of these answers are given.
    modules.fault("GET", "/operations/", status=200, body={"status": POOLS}, count=6 * len(hosts))
    task = {
        **TASK,
        "async": "{{ 100 if inventory_hostname == 'later' else 0 }}",
        "poll": 1,
        "no_log": "{{ inventory_hostname == 'hidden' }}",
        "delegate_to": "{{ 'elsewhere' if inventory_hostname == 'there' else omit }}",
        "environment": {"POD_IDENTITY_PROGRESS": "{{ inventory_hostname != 'quiet' }}"},
    }
    out, lines = play(modules, hosts, tasks=[task, CHECK])
    assert "CreatingAgentPools" not in out  # a callback may write JSON there
    shown = [line for line in lines if POOLS in line]
    assert [line.partition("]")[0] for line in sorted(shown)] == ["[plain", "[there -> elsewhere"], lines
    for line in shown:
        name = line[1:].partition("]")[0].split()[0]
        assert f"] change the cluster {name} in the resource group rg: {POOLS} (" in line
        assert line.endswith(" s waited)")
    assert left_behind(modules.home) == []


@pytest.mark.soak
def test_it_is_turned_off_for_all_tasks_of_a_play(modules: Modules, azure: SimulatedAzure) -> None:
    azure.cluster(name="plain")
    modules.fault("GET", "/operations/", status=200, body={"status": POOLS}, count=4)
    defaults = [{"azureops.pod_identity.aks_cluster": {"progress": False}}]
    _out, lines = play(modules, ["plain"], tasks=[TASK, CHECK], module_defaults=defaults)
    assert lines == []


@pytest.mark.soak
def test_a_pause_that_azure_asks_for_is_shown(modules: Modules, azure: SimulatedAzure) -> None:
    azure.cluster(name="plain")
    slow = {"error": {"code": "TooManyRequests", "message": "Slow down."}}
    modules.fault("PUT", "managedClusters/plain", status=429, body=slow, headers={"Retry-After": "5"})
    _out, lines = play(modules, ["plain"], tasks=[TASK, CHECK])
    (line,) = lines
    assert "/managedClusters/plain was answered 429, it is sent again in 5 s (" in line
    assert "?" not in line


def test_what_a_service_says_cannot_move_the_cursor(modules: Modules, azure: SimulatedAzure) -> None:
    azure.cluster(name="plain")
    modules.fault("GET", "/operations/", status=200, body={"status": "\x1b[2J\nTASK [x]" + "y" * 1000}, count=4)
    _out, lines = play(modules, ["plain"], tasks=[TASK, CHECK])
    (line,) = lines
    assert "\x1b" not in line and "TASK [x]" in line and len(line) < 500


SESSION = {
    "azureops.pod_identity.cluster_session": {"state": "asked", "connects": False},
    "register": "pod_identity_session",
    "vars": {"pod_identity_cluster_name": "plain", "pod_identity_cluster_resource_group": "rg"},
}
INFO = {"azureops.pod_identity.aks_cluster_info": {"resource_group": "rg", "name": "plain"}}
KNOWN = {**SESSION, "azureops.pod_identity.cluster_session": {"state": "begun", "roles": ["pod_identity_cluster"]}}


@pytest.mark.parametrize("task", [INFO, KNOWN], ids=["module", "session"])
@pytest.mark.parametrize("check", [False, True], ids=["run", "check"])
def test_who_only_looks_tells_that_nothing_answers(
    modules: Modules, azure: SimulatedAzure, task: dict[str, Any], check: bool
) -> None:
    """The first task of a playbook too, which runs modules in its place."""
    azure.cluster(name="plain")
    modules.fault("GET", "managedClusters/plain", delay=9)
    _out, lines = play(modules, ["plain"], tasks=[{**task, "check_mode": check}])
    told = [line for line in lines if "is not answered yet" in line]
    assert told and told[0].startswith("[plain] GET https://"), lines
    assert "/managedClusters/plain is not answered yet (" in told[0]


def test_entra_that_does_not_answer_is_named(modules: Modules, azure: SimulatedAzure) -> None:
    azure.cluster(name="plain")
    modules.fault("POST", "/oauth2/", delay=9)
    _out, lines = play(modules, ["plain"], tasks=[INFO])
    assert any("Entra has not answered the request for a token yet (" in line for line in lines), lines


def test_a_server_that_fails_is_told(modules: Modules, azure: SimulatedAzure) -> None:
    azure.cluster(name="plain")
    modules.fault("GET", "managedClusters/plain", status=500, count=3)
    _out, lines = play(modules, ["plain"], tasks=[INFO])
    assert any("/managedClusters/plain was answered 500, it is sent again in" in line for line in lines), lines
