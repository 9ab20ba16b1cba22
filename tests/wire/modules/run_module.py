# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs modules, each as a process of its own with an environment of its own.

Libraries of others are imported once, before the processes are forked; a run by itself would need thrice the time.
Each line of standard input is an order (JSON): ``module``, ``arguments``, ``environment``, and a ``folder`` with a
named pipe ``ended``, to which the exit code goes when ``stdout`` and ``stderr`` lie beside it.

With ANSWER_WITHIN among its variables a module waits so many seconds for an answer, in the place of one or two minutes.

With MODULES_IN_FORKS each runs as in a task that does not leave it to Ansible: in a fork of a process that has loaded
what ansible-playbook has.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import os
import runpy
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

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
LONGEST = 300


def run(order: dict[str, Any]) -> None:
    folder = Path(order["folder"])
    for number, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(os.open(folder / name, os.O_WRONLY | os.O_CREAT, 0o600), number)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    signal.alarm(LONGEST)
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


def end(job: Callable[[], object]) -> NoReturn:
    """Do it and end as a program does, but leave the memory that is shared with the first process untouched."""
    code: object = 0
    try:
        job()
    except SystemExit as error:
        code = error.code or 0
    except BaseException:
        traceback.print_exc()
        code = 1
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else 1)


def supervise(order: dict[str, Any]) -> None:
    """Run in a process of its own, and tell how it ended."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    child = os.fork()
    if child == 0:
        end(lambda: run(order))
    _pid, status = os.waitpid(child, 0)
    (Path(order["folder"]) / "ended").write_text(str(os.waitstatus_to_exitcode(status)))
    os._exit(0)


if __name__ == "__main__":
    # Gives the checkout its name as a collection, as it does for the tests.
    runpy.run_path(str(Path(__file__).resolve().parents[2] / "conftest.py"))
    for library in (*LIBRARIES, *(OF_A_PLAYBOOK if IN_FORKS else ())):
        with contextlib.suppress(ImportError):  # what is missing is told by the module that needs it
            importlib.import_module(library)
    gc.freeze()  # what is shared with the processes that are forked
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # supervisors end unseen
    print("ready", flush=True)
    for line in sys.stdin:
        if os.fork() == 0:
            supervise(json.loads(line))
            break
