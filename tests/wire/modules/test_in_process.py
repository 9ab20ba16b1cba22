# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Modules that ask Azure, in a fork of ansible-playbook and as modules: their whole results are the same."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.tests.unit.roles.players import CHECKOUT, Player
from ansible_collections.azureops.pod_identity.tests.wire.modules import test_examples as examples
from ansible_collections.azureops.pod_identity.tests.wire.modules.processes import Modules

CALLBACKS = CHECKOUT / "tests/unit/plugins/action/collection/plugins/callback"
# What is another one each time.
UUID = re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", re.I)
TIME = re.compile(r"\b20\d\d-\d\d-\d\dT[\d:.]+(?:Z|\+00:00)")
NUMBERS = re.compile(r"vmss\d{6}\b|\d{8}-vmss|\b\d{10,}\b")
IN_A_FORK = re.compile(r"^<[\w.]+> \w+ runs in a fork of ansible-playbook\.$", re.M)
AS_A_MODULE = re.compile(r"^<[\w.]+> \w+ runs as a module, because (.*)\.$", re.M)
OFF = "the variable pod_identity_in_process turns it off"
FAILURES: list[dict[str, Any]] = [
    {"resource_group": {"name": "nowhere"}},
    {"resource_group": {"name": "rg", "location": "westeurope", "client_id": "x", "secret": "hush", "tenant": "t"}},
    {"resource_group": {"name": "rg", "subscription_id": "00000000-0000-0000-0000-000000000000"}},
    {"resource_group": {"name": "rg", "cloud_environment": "https://127.0.0.1:1"}},
    {"resource_group": {}},
    {"aks_cluster_info": {"resource_group": "nowhere", "name": "x", "unknown": 1}},
    {"aks_kubeconfig": {"resource_group": "nowhere", "name": "x", "path": "/nowhere/at/all"}},
    {"role_assignment": {"scope": "/subscriptions/x", "role": "Nobody", "principal_id": "y"}},
    {"user_assigned_identity": {"resource_group": "nowhere", "name": "x"}},
    {"vmss_identity_info": {"resource_group": "nowhere"}},
    {"federated_identity_credential_info": {"resource_group": "nowhere", "identity": "x"}},
    {"permission_info": {"needs": "x"}},
]


def failing() -> list[dict[str, Any]]:
    return [
        {"name": f"failure {number} of {name}", f"{examples.OURS}{name}": options}
        for number, each in enumerate(FAILURES)
        for name, options in each.items()
    ]


class Plays:
    """The same tasks, this way and that."""

    def __init__(self, modules: Modules, folder: Path, tasks: list[dict[str, Any]]) -> None:
        self._results = folder / "results"
        environment = {
            **modules.environment,
            "ANSIBLE_CALLBACK_PLUGINS": str(CALLBACKS),
            "ANSIBLE_CALLBACKS_ENABLED": "results",
            "WITNESS_RESULTS": str(self._results),
        }
        self._player = Player(folder / "play", environment)
        self._tasks = [{"ignore_errors": True, **task} for task in tasks]
        self._known = examples.registered(modules)

    def __call__(self, *arguments: str, in_process: bool) -> list[dict[str, Any]]:
        self._results.write_text("")
        known = {**self._known, "pod_identity_in_process": in_process}
        status, output = self._player.play(self._tasks, "-vvv", "--diff", *arguments, **known)
        assert status == 0, output
        forks, others = len(IN_A_FORK.findall(output)), AS_A_MODULE.findall(output)
        assert (forks > 0, set(others)) == ((True, set()) if in_process else (False, {OFF})), output
        return [normal(line) for line in self._results.read_text().splitlines()]


def normal(line: str) -> dict[str, Any]:
    """A result without what is another one each time."""
    seen: dict[str, str] = {}
    line = UUID.sub(lambda found: seen.setdefault(found[0].lower(), f"uuid {len(seen)}"), line)
    told: dict[str, Any] = json.loads(NUMBERS.sub("number", TIME.sub("time", line)))
    return told


@pytest.mark.parametrize("arguments", [("--check",), ()])
def test_whole_results(modules: Modules, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    tasks = [
        task
        for name, (level, _changes) in examples.CASES.items()
        for task in examples.tasks(name, modules, level, tmp_path)
    ]
    plays = Plays(modules, tmp_path, [*tasks, *failing()])
    if not arguments:
        plays(in_process=True)  # from here on each run begins where the one before it ended
    fork, module = plays(*arguments, in_process=True), plays(*arguments, in_process=False)
    assert fork == module
    assert {each["event"] for each in fork} >= {"ok", "failed"}
