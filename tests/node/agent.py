# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Modules inside one network namespace: ``python agent.py``, one JSON request a line, one answer a line.

The process lives as long as its standard input, and its namespaces with it. Each request runs its module in a child,
which starts as fresh as a process of its own and spares the imports.

Asked for the raw way it does what the action plugin does, and reaches its node by a shell alone.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import traceback
from typing import Any

from ansible.module_utils.testing import patch_module_args

COLLECTION = "ansible_collections.azureops.pod_identity.plugins"


def run_raw(arguments: dict[str, Any]) -> None:
    """Print what the action plugin would return, and how often the node was asked."""
    from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

    plan = importlib.import_module(f"{COLLECTION}.module_utils._node_cleanup")
    raw = importlib.import_module(f"{COLLECTION}.module_utils._node.raw")
    controller = importlib.import_module(f"{COLLECTION}.plugin_utils._controller")
    options = {name: value for name, value in arguments.items() if not name.startswith("_")}
    params = ArgumentSpecValidator(plan.OPTIONS.options).validate(options).validated_parameters
    calls = []

    def send(command: str, data: bytes) -> str:
        calls.append(command)
        told = subprocess.run(["/bin/sh", "-c", command], input=data, stdout=subprocess.PIPE, check=False).stdout
        return told.decode("utf-8", "surrogateescape")

    modes = {"check_mode": arguments["_ansible_check_mode"], "diff": arguments["_ansible_diff"]}
    stand_in = controller.Controller("imds_iptables_cleanup", **modes)
    result = stand_in.run(lambda: plan.make_plan(raw.Raw(send), params), key="result")
    print(json.dumps({**result, "calls": len(calls)}))


def answer(module: Any, request: dict[str, Any]) -> str:
    """Standard output of the module."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.dup2(writer, 1)
        os.environ.update(request["environment"])
        try:
            if request["raw"]:
                run_raw(request["arguments"])
            else:
                with patch_module_args(request["arguments"]):
                    module.main()
        except SystemExit:
            pass
        except BaseException:
            traceback.print_exc(file=sys.stdout)
        sys.stdout.flush()
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as output:
        text = output.read()
    os.waitpid(child, 0)
    return text


def module_named(name: str) -> Any:
    return importlib.import_module(f"{COLLECTION}.modules.{name}")


if __name__ == "__main__":
    os.chdir("/")  # the checkout may lie where the user of a test cannot read, as below /root
    module_named("imds_iptables_cleanup")  # before the first request, which need not wait for it then
    print("ready", flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        print(json.dumps(answer(module_named(request["module"]), request)), flush=True)
