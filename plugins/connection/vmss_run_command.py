# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: vmss_run_command
short_description: Run tasks on an instance of a scale set through Azure's run-command
version_added: 1.0.0
author:
  - azureops.pod_identity contributors (@azureops)
description:
  - Reaches a node whose kubelet is dead and that ssh does not reach, through Azure Resource Manager and the VM agent of
    the machine. Any module works over it; each call takes Azure some tens of seconds.
  - A module is one call where its script is not longer than O(script_limit) and its result fits; what does not fit is
    carried in parts, whose completeness is checked.
  - Another run-command on the same instance is waited for.
  - The script deletes itself on the node, and its directory there goes. Azure's own handler may keep what was shown of
    the output below C(/var/lib/waagent/run-command).
notes:
  - Azure keeps scripts and their output. A task with C(no_log), with arguments that the module keeps out of logs, or
    with variables in C(environment) that look like secrets by name or value, is refused unless O(allow_no_log=true).
  - Set C(ansible_python_interpreter), because its discovery takes calls of its own. Leave out C(gather_facts).
  - A file of one MiB that cannot be compressed takes 7 calls to send and 180 to fetch. Files are for other connections.
  - Who runs this needs C(Microsoft.Compute/virtualMachineScaleSets/virtualMachines/runCommand/action), which is root on
    the node.
requirements:
  - On the node C(/bin/sh), coreutils, C(find), C(gzip), C(setsid), a writable C(/run) and, for most modules, Python.
options:
  instance:
    description:
      - Resource id of the instance,
        C(/subscriptions/.../virtualMachineScaleSets/.../virtualMachines/...).
    type: str
    required: true
    vars:
      - name: ansible_vmss_run_command_instance
  allow_no_log:
    description: Send secrets of tasks too. Azure keeps them, readable for who may read the instance's operations.
    type: bool
    default: false
    vars:
      - name: ansible_vmss_run_command_allow_no_log
  task_no_log:
    description: The keyword C(no_log) of the task.
    type: bool
    default: false
    keyword:
      - name: no_log
  task_environment:
    description: The keyword C(environment) of the task.
    type: raw
    keyword:
      - name: environment
  script_limit:
    description: How many bytes a script may have. Azure documents no limit; longer input is sent in several calls.
    type: int
    default: 200000
    ini:
      - section: vmss_run_command
        key: script_limit
    vars:
      - name: ansible_vmss_run_command_script_limit
  busy_timeout:
    description: Seconds that another run-command on the instance is waited for.
    type: int
    default: 600
    ini:
      - section: vmss_run_command
        key: busy_timeout
    vars:
      - name: ansible_vmss_run_command_busy_timeout
  wait_timeout:
    description:
      - Seconds until a run-command must have ended, what was waited for before it included. What is carried in parts
        takes several.
    type: int
    default: 3600
    ini:
      - section: vmss_run_command
        key: wait_timeout
    vars:
      - name: ansible_vmss_run_command_wait_timeout
  poll_interval:
    description: Seconds between two looks at a running command.
    type: float
    default: 3
    ini:
      - section: vmss_run_command
        key: poll_interval
    vars:
      - name: ansible_vmss_run_command_poll_interval
  pipelining:
    description: Whether a module is sent with its call. Without it, each module takes several calls.
    type: bool
    default: true
    vars:
      - name: ansible_vmss_run_command_pipelining
  remote_user:
    description: Commands run as root; other users are reached with C(become).
    type: str
    default: root
    choices: [root]
  auth_source:
    vars:
      - name: ansible_vmss_run_command_auth_source
  profile:
    vars:
      - name: ansible_vmss_run_command_profile
  subscription_id:
    vars:
      - name: ansible_vmss_run_command_subscription_id
  client_id:
    vars:
      - name: ansible_vmss_run_command_client_id
  secret:
    vars:
      - name: ansible_vmss_run_command_secret
  tenant:
    vars:
      - name: ansible_vmss_run_command_tenant
  x509_certificate_path:
    vars:
      - name: ansible_vmss_run_command_x509_certificate_path
  thumbprint:
    vars:
      - name: ansible_vmss_run_command_thumbprint
  oidc_token:
    vars:
      - name: ansible_vmss_run_command_oidc_token
  oidc_token_file_path:
    vars:
      - name: ansible_vmss_run_command_oidc_token_file_path
  cloud_environment:
    vars:
      - name: ansible_vmss_run_command_cloud_environment
  cert_validation_mode:
    vars:
      - name: ansible_vmss_run_command_cert_validation_mode
  adfs_authority_url:
    vars:
      - name: ansible_vmss_run_command_adfs_authority_url
  disable_instance_discovery:
    vars:
      - name: ansible_vmss_run_command_disable_instance_discovery
extends_documentation_fragment:
  - azureops.pod_identity._azure_auth
seealso:
  - plugin: azureops.pod_identity.aks_node_pod
    plugin_type: connection
  - plugin: azureops.pod_identity.aks_nodes
    plugin_type: inventory
"""

EXAMPLES = r"""
- name: Look at the NAT rules of the nodes that are not ready
  hosts: not_ready
  gather_facts: false
  vars:
    ansible_connection: azureops.pod_identity.vmss_run_command
    ansible_vmss_run_command_instance: "{{ aks_node.scale_set }}/virtualMachines/{{ aks_node.instance_id }}"
    ansible_python_interpreter: /usr/bin/python3
  tasks:
    - name: List the rules
      ansible.builtin.command: iptables-save -t nat
      changed_when: false
"""

import secrets
import shlex
import typing as t

from ansible.errors import AnsibleError
from ansible.plugins.connection import ConnectionBase

from ansible_collections.azureops.pod_identity.plugins.module_utils._azure import run_command
from ansible_collections.azureops.pod_identity.plugins.module_utils._azure.client import Arm
from ansible_collections.azureops.pod_identity.plugins.module_utils._azure_options import azure_auth
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.azure import arm_id
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.hidden_arguments import (
    hidden,
    hidden_variables,
)
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.nodes import run_command as wire
from ansible_collections.azureops.pod_identity.plugins.plugin_utils import _connections


class Connection(ConnectionBase):
    """An instance of a scale set through Azure's run-command."""

    transport = "azureops.pod_identity.vmss_run_command"
    has_pipelining = True

    def __init__(self, *args: t.Any, **kwargs: t.Any) -> None:
        super().__init__(*args, **kwargs)
        self._arm: Arm | None = None

    def _connect(self) -> Connection:
        self._login()
        return self

    def _login(self) -> Arm:
        if self._arm is None:
            patience = {name: self.get_option(name) for name in ("wait_timeout", "poll_interval")}
            options = {**_connections.options(self, azure_auth().options), **patience}
            self._arm = Arm.connect(options, _connections.run_command)
            self._connected = True
        return self._arm

    @property
    def _host(self) -> str:
        return str(self._play_context.remote_addr)

    def exec_command(self, cmd: str, in_data: bytes | None = None, sudoable: bool = True) -> tuple[int, bytes, bytes]:
        self._refuse_secrets(in_data or b"")
        self._display.vvv(_connections.shown(self, cmd), host=self._host)
        return self._run(cmd, in_data)

    def put_file(self, in_path: str, out_path: str) -> None:
        self._display.vvv(f"PUT {in_path} TO {out_path}", host=self._host)
        data = _connections.read_local(in_path)
        self._refuse_secrets(data)
        target = shlex.quote(out_path)
        status, told, errors = self._run(f"cat > {target} && sha256sum < {target}", data)
        what = f"The transfer of {in_path} to {out_path} on {self._host}"
        _connections.require_transfer(what, status, errors)
        _connections.require_sum(what, data, told.decode("ascii", "replace"))

    def fetch_file(self, in_path: str, out_path: str) -> None:
        self._display.vvv(f"FETCH {in_path} TO {out_path}", host=self._host)
        self._refuse_secrets(b"")
        status, data, errors = self._run(f"cat < {shlex.quote(in_path)}", None)
        _connections.require_transfer(f"The transfer of {in_path} from {self._host}", status, errors)
        _connections.write_local(out_path, data)

    def reset(self) -> None:
        """There is nothing to reset: each command is a connection of its own."""
        self.close()

    def close(self) -> None:
        self._arm = None
        self._connected = False

    def _refuse_secrets(self, data: bytes) -> None:
        if self.get_option("allow_no_log"):
            return
        variables = hidden_variables(self.get_option("task_environment"))
        names = ("no_log",) if self.get_option("task_no_log") else (*hidden(data), *variables)
        if names:
            raise AnsibleError(
                f"The task for {self._host} has secrets ({', '.join(names)}), and Azure keeps the scripts and the "
                "output of run-command: use another connection, or set ansible_vmss_run_command_allow_no_log: true."
            )

    def _run(self, command: str, in_data: bytes | None) -> tuple[int, bytes, bytes]:
        token = secrets.token_hex(8)
        instance = str(self.get_option("instance"))
        with _connections.unreachable():
            arm_id.parse(instance)
            what = f"{self._host} (instance {instance.rsplit('/', 1)[-1]})"
            answer = [wire.Shown(0, "", "")]
            for script in wire.scripts(token, command, in_data, self.get_option("script_limit")):
                answer = [self._call(instance, script, what)]
            while answer[-1].part and sum(len(each.part) for each in answer) < answer[0].length:
                answer.append(self._call(instance, wire.more(token, sum(len(each.part) for each in answer)), what))
            return wire.result(answer, what)

    def _call(self, instance: str, script: list[str], what: str) -> wire.Shown:
        arm, busy = self._login(), self.get_option("busy_timeout")
        arm.patience = arm.patience.anew()
        return wire.shown(run_command.run(arm, instance, script, what, busy_timeout=busy), what)
