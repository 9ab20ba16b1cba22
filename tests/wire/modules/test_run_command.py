# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Commands on instances, as the connection plugin starts them."""

from __future__ import annotations

import time
from typing import Any

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.azureops.pod_identity.plugins.module_utils._azure import run_command
from ansible_collections.azureops.pod_identity.plugins.module_utils._azure.client import Arm
from ansible_collections.azureops.pod_identity.plugins.module_utils._azure_options import azure_auth
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.errors import Failure
from ansible_collections.azureops.pod_identity.tests.support.modules import Modules
from azsandbox.azure.loopback import SimulatedAzure


@pytest.fixture
def arm(modules: Modules, azure: SimulatedAzure, monkeypatch: pytest.MonkeyPatch) -> Arm:
    azure.cluster()
    for name, value in modules.environment.items():
        monkeypatch.setenv(name, value)
    options: dict[str, Any] = ArgumentSpecValidator(dict(azure_auth().options)).validate({}).validated_parameters
    return Arm.connect({**options, "wait_timeout": 60, "poll_interval": 0.1}, lambda *_call, **_options: (1, "", ""))


def run(arm: Arm, azure: SimulatedAzure) -> str:
    return run_command.run(arm, azure.first_instance()["id"], ["echo"], "n1", busy_timeout=30)


@pytest.mark.parametrize("status", [500, 503, 504])
def test_a_command_whose_start_is_answered_by_an_error_runs_once(
    arm: Arm, modules: Modules, azure: SimulatedAzure, status: int
) -> None:
    modules.fault("POST", "/runCommand", status=status, body={"error": {"code": "Odd", "message": "odd"}}, after=True)
    with pytest.raises(Failure, match="run a command on n1"):
        run(arm, azure)
    end = time.monotonic() + 20
    while not azure.compute.commands:
        assert time.monotonic() < end
        time.sleep(0.05)
    starts = [each for each in modules.requests() if each["path"].endswith("/runCommand")]
    assert (len(starts), len(azure.compute.commands)) == (1, 1)


def test_who_asks_too_often_waits(arm: Arm, modules: Modules, azure: SimulatedAzure) -> None:
    body = {"error": {"code": "TooManyRequests", "message": "Slow down."}}
    modules.fault("POST", "/runCommand", status=429, body=body, count=2)
    run(arm, azure)
    assert len(azure.compute.commands) == 1
