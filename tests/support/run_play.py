# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs ansible-playbook in processes that begin with libraries, modules and module_utils of the collection loaded.

That is more than half of what a short play does. What reads the environment when it is loaded, which is most of
ansible-core, is loaded by each play, and so is every plugin. An order has an ``environment`` and the ``arguments`` of
ansible-playbook, its own name first.
"""

from __future__ import annotations

import importlib
import os
import runpy
import sys
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[2]
COLLECTION = "ansible_collections.azureops.pod_identity"
LIBRARIES = ("ansible.module_utils.basic", "azure.identity", "jinja2", "kubernetes.client", "kubernetes.config")


def play(order: dict[str, Any]) -> None:
    os.dup2(1, 2)
    os.environ.update(order["environment"])  # it holds all that this process began with, but what Python has added
    for name in [name for name in sys.modules if name.startswith("ansible_collections")]:
        if getattr(sys.modules[name], "__file__", None) is None:  # Ansible makes packages of its own of those without
            del sys.modules[name]
    sys.argv[:] = order["arguments"]
    importlib.import_module("ansible.cli.playbook").main()


if __name__ == "__main__":
    runpy.run_path(str(CHECKOUT / "tests/conftest.py"))  # gives the checkout its name as a collection
    forks = importlib.import_module(f"{COLLECTION}.tests.support.forks")
    forks.load(*LIBRARIES)
    if loaded := {"ansible.constants", "ansible.cli"} & sys.modules.keys():
        raise RuntimeError(f"what depends on the environment of a play is loaded: {loaded}")
    forks.serve(play)
