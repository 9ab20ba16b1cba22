# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Modules as this ansible-core sends them, through run-command: each has to be one call, which takes half a minute."""

from __future__ import annotations

import subprocess
import sys

import pytest
import yaml

from ansible_collections.azureops.pod_identity.plugins.connection import vmss_run_command
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain import ansiballz
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.nodes import run_command

# In a process of its own, because Ansible's loader of collections takes over imports.
PACK = """
import sys
from ansible.plugins.loader import init_plugin_loader, module_loader
init_plugin_loader()
from ansible.executor.module_common import modify_module
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar
made = modify_module(
    module_name=sys.argv[1],
    module_path=module_loader.find_plugin_with_context(sys.argv[1], collection_list=[]).plugin_resolved_path,
    module_args={},
    templar=Templar(DataLoader()),
    task_vars={"ansible_python_interpreter": "/usr/bin/python3"},
    module_compression="ZIP_DEFLATED",
)
sys.stdout.buffer.write(made.b_module_data)
"""


@pytest.mark.parametrize("name", ["imds_iptables_cleanup", "imds_answer_info"])
def test_a_module_of_a_cleanup_is_one_call(name: str) -> None:
    command = [sys.executable, "-c", PACK, f"azureops.pod_identity.{name}"]
    data = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout
    assert ansiballz.unpack(data) is not None
    limit = yaml.safe_load(vmss_run_command.DOCUMENTATION)["options"]["script_limit"]["default"]
    assert len(run_command.scripts("t" * 16, "python3", data, limit)) == 1
