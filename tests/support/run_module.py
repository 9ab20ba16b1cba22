# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs modules, each as a process of its own with an environment of its own.

Libraries and modules are imported once, before the processes are forked; a run by itself would need many times as long.
An order has ``module``, ``arguments`` and ``environment``.

With ANSWER_WITHIN among its variables a module waits so many seconds for an answer, in the place of one or two minutes.

With MODULES_IN_FORKS each runs as in a task that does not leave it to Ansible: in a fork of a process that has loaded
what ansible-playbook has.
"""

from __future__ import annotations

import importlib
import json
import os
import runpy
import sys
from pathlib import Path
from typing import Any

LIBRARIES = (
    "ansible.module_utils.basic",
    "ansible.module_utils.testing",
    "azure.core.pipeline.policies",
    "azure.core.pipeline.transport",
    "azure.core.rest",
    "azure.identity",
    "azure.mgmt.authorization",
    "azure.mgmt.core",
    "azure.mgmt.core.policies",
    "azure.mgmt.msi",
    "kubernetes.client",
    "kubernetes.config",
    "kubernetes.stream.ws_client",
)
OF_A_PLAYBOOK = ("ansible.cli.playbook", "ansible.executor.task_executor", "ansible.plugins.loader")
PLUGINS = "ansible_collections.azureops.pod_identity.plugins"
IN_FORKS = bool(os.environ.get("MODULES_IN_FORKS"))


def run(order: dict[str, Any]) -> None:
    if seconds := order["environment"].get("ANSWER_WITHIN"):
        answer_within(float(seconds))
    if IN_FORKS:
        sys.exit(run_in_fork(order))
    os.environ.clear()
    os.environ.update(order["environment"])
    module = importlib.import_module(f"{PLUGINS}.modules.{order['module']}")
    testing = importlib.import_module("ansible.module_utils.testing")
    with testing.patch_module_args(order["arguments"]):
        module.main()


def answer_within(seconds: float) -> None:
    arm: Any = importlib.import_module(f"{PLUGINS}.module_utils._azure.client")
    kube: Any = importlib.import_module(f"{PLUGINS}.module_utils._kube.client")
    arm._SLOWEST_ANSWER = arm._SHORTEST_WAIT = kube._READ_SECONDS = seconds


def run_in_fork(order: dict[str, Any]) -> int:
    fork = importlib.import_module(f"{PLUGINS}.plugin_utils._fork")
    arguments = {"_ansible_remote_tmp": order["folder"], **order["arguments"]}
    call = fork.Call(
        fork.load(f"{PLUGINS}.modules.{order['module']}", ()),
        json.dumps({"ANSIBLE_MODULE_ARGS": arguments}).encode(),
        "legacy",
        order["environment"],
        order["folder"],
    )
    code, output, errors = fork.run(call, lambda: None, None)
    for number, said in ((1, output), (2, errors)):
        os.write(number, said)
    return int(code)


if __name__ == "__main__":
    # Gives the checkout its name as a collection, as it does for the tests.
    runpy.run_path(str(Path(__file__).resolve().parents[1] / "conftest.py"))
    forks = importlib.import_module("ansible_collections.azureops.pod_identity.tests.support.forks")
    forks.load(*LIBRARIES, *(OF_A_PLAYBOOK if IN_FORKS else ()))
    forks.serve(run)
