# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tasks in the namespaces of another process of this machine."""

from __future__ import annotations

import shutil
import subprocess

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.connection import ConnectionBase

from ansible_collections.azureops.pod_identity.tests.node import fleet

DOCUMENTATION = """
name: namespaces
short_description: Run tasks in the namespaces of a process
description: [Enters network, mounts and processes of a node that tests/node/fleet.py made.]
author: [azureops.pod_identity contributors (@azureops)]
options:
  process:
    description: The process.
    type: int
    required: true
    vars: [{name: ansible_namespaces_process}]
  breaks_at:
    description: The connection is lost for commands that are sent with this text as standard input.
    type: str
    vars: [{name: ansible_namespaces_breaks_at}]
extends_documentation_fragment: [connection_pipelining]
"""


class Connection(ConnectionBase):
    transport = "namespaces"
    has_pipelining = True

    def _connect(self) -> Connection:
        self._connected = True
        return self

    def exec_command(self, cmd: str, in_data: bytes | None = None, sudoable: bool = True) -> tuple[int, bytes, bytes]:
        text = self.get_option("breaks_at")
        if text and text.encode() in (in_data or b""):
            raise AnsibleConnectionFailure("The node is gone.")
        argv = [*fleet.entrance(self.get_option("process")), "/bin/sh", "-c", cmd]
        done = subprocess.run(argv, input=in_data or b"", capture_output=True, check=False)
        return done.returncode, done.stdout, done.stderr

    def put_file(self, in_path: str, out_path: str) -> None:
        shutil.copyfile(in_path, self._in_the_node(out_path))

    def fetch_file(self, in_path: str, out_path: str) -> None:
        shutil.copyfile(self._in_the_node(in_path), out_path)

    def close(self) -> None:
        self._connected = False

    def _in_the_node(self, path: str) -> str:
        return f"/proc/{self.get_option('process')}/root{path}"
