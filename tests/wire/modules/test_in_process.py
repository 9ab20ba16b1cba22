# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Modules that ask Azure, in a fork of ansible-playbook and as modules: their whole results are the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.tests.support.modules import Modules
from ansible_collections.azureops.pod_identity.tests.support.ways import Ways
from ansible_collections.azureops.pod_identity.tests.wire.modules import documented as examples

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
    {"user_assigned_identity_info": {"id": "/subscriptions/x/resourceGroups/y"}},
    {"role_assignment_info": {"scope": "/subscriptions/x", "principal_id": "y"}},
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


@pytest.mark.soak
@pytest.mark.parametrize("name", [*examples.CASES, "failures"])
@pytest.mark.parametrize("arguments", [("--check",), ()], ids=["predicted", "done"])
def test_whole_results(modules: Modules, tmp_path: Path, name: str, arguments: tuple[str, ...]) -> None:
    tasks = failing() if name == "failures" else examples.tasks(name, modules, examples.CASES[name][0], tmp_path)
    known = examples.registered(modules) if examples.CASES.get(name, (0,))[0] == examples.WITH_CLUSTER else {}
    plays = Ways(tmp_path, {"tasks": tasks}, modules.environment, known)
    if not arguments:
        plays(in_process=True)  # from here on each run begins where the one before it ended
    fork, module = plays(*arguments, in_process=True), plays(*arguments, in_process=False)
    assert fork == module
    assert ("failed" if name == "failures" else "ok") in {each["event"] for each in fork}
