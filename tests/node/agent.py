# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Modules inside one network namespace: ``python agent.py``, one JSON request a line, one answer a line.

The process lives as long as its standard input, and its namespaces with it. Each request runs its module in a child,
which starts as fresh as a process of its own and spares the imports.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import traceback
from typing import Any

from ansible.module_utils.testing import patch_module_args


def answer(module: Any, request: dict[str, Any]) -> str:
    """Standard output of the module."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.dup2(writer, 1)
        os.environ.update(request["environment"])
        try:
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
    return importlib.import_module(f"ansible_collections.azureops.pod_identity.plugins.modules.{name}")


if __name__ == "__main__":
    module_named("imds_iptables_cleanup")  # before the first request, which need not wait for it then
    print("ready", flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        print(json.dumps(answer(module_named(request["module"]), request)), flush=True)
