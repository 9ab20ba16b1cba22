# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Tasks on nodes that have no Python: commands that the controller sends."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleConnectionFailure

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.errors import Failure
from ansible_collections.azureops.pod_identity.plugins.module_utils._node.raw import Send
from ansible_collections.azureops.pod_identity.plugins.plugin_utils._in_process import InProcess


class BareNodeAction(InProcess):
    """An action that runs its module, unless the node is said to have no Python."""

    reads_secrets = False

    def has_no_python(self, task_vars: dict[str, t.Any]) -> bool:
        """Whether the interpreter is set to nothing."""
        of_host = task_vars.get("ansible_delegated_vars", {}).get(self._task.delegate_to, task_vars)
        return bool(self._templar.template(of_host.get("ansible_python_interpreter")) == "")

    def send(self, command: str, data: bytes) -> str:
        """What the command printed on the node. Raises Failure and AnsibleConnectionFailure."""
        if not self._connection.has_pipelining:
            raise Failure(
                f"The connection {self._connection.transport} has no standard input for commands, and the "
                "node has no Python 3.9 or later; use ssh or another connection that can pipeline."
            )
        return str(self._low_level_execute_command(command, in_data=data)["stdout"])

    def with_commands(self, work: t.Callable[[Send], dict[str, t.Any]]) -> dict[str, t.Any]:
        """Do something with what sends commands to the node; a connection that is lost is what Ansible knows it for."""
        lost: list[AnsibleConnectionFailure] = []

        def send(command: str, data: bytes) -> str:
            try:
                return self.send(command, data)
            except AnsibleConnectionFailure as error:
                lost.append(error)
                raise

        result = work(send)
        if lost:
            raise lost[0]
        return result
