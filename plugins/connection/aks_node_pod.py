# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: aks_node_pod
short_description: Run tasks on a node of a cluster through a pod on it
version_added: 1.0.0
author:
  - azureops.pod_identity contributors (@azureops)
description:
  - Reaches a node without ssh. A privileged pod is pinned to the node, with the host's network and processes, and every
    command runs through it in the node's own root as root.
  - No scheduler, no C(kubectl) and no image registry are needed. Unless an image is named, the smallest one of AKS that
    the node already has is used. Nothing of it runs. The node's own programs are started in it by the node's own
    loader, which takes neither files nor variables from the image.
  - The pod is made by a Job in a namespace of the run and reused by the tasks of the same run. The cluster ends it
    unaided when no task has used it for O(idle_timeout) seconds, also when the run was killed.
  - Nobody can prepare the namespace, because its name ends in 16 digits that nobody knows before it exists. Before
    each command and at least every 30 seconds during one it is looked at again. Where somebody else has got rights in
    it, the pods are removed, the namespace lets no privileged pods in any more, and the task fails.
  - A play that is done takes the pod away, and the namespace where nothing else is in it, with
    C(ansible.builtin.meta=reset_connection). The next run removes the namespaces that killed runs on the same machine
    left, and those of any machine that are a day old and have no running pod, and says so.
notes:
  - The user of the connection has to be allowed to create, get, list, patch and delete namespaces, to get and list
    nodes, to create, get, list, patch and delete Jobs, to list pods, events and RoleBindings, and to create
    C(pods/exec). Who may do this is root on every node.
  - An admission policy must let privileged pods into the namespace. Its Pod Security labels are set when it is made
    here.
  - Commands go to the node on standard input, so that neither the audit log of the API server nor the list of processes
    of the node has them. With C(become) they are arguments of its program, so that a task with variables in
    C(environment) that look like secrets by name or value is refused then.
  - The kubelet of the node has to run. Where it does not, use P(azureops.pod_identity.vmss_run_command#connection).
requirements:
  - On the node C(/bin/sh), C(head), C(nsenter), C(sha256sum) and, for most modules, Python.
options:
  node:
    description: Name of the Kubernetes node, or one of its addresses.
    type: str
    vars:
      - name: inventory_hostname
      - name: ansible_host
      - name: ansible_aks_node_pod_node
  namespace:
    description:
      - Beginning of the names of the namespaces of the pods. Each run makes one of its own, whose name goes on with a
        hyphen and 16 hexadecimal digits. It has at most 46 characters.
      - An admission policy that exempts namespaces by name needs the pattern, such as V(pod-identity-node-access-*).
    type: str
    default: pod-identity-node-access
    env:
      - name: AZUREOPS_NODE_POD_NAMESPACE
    ini:
      - section: aks_node_pod
        key: namespace
    vars:
      - name: ansible_aks_node_pod_namespace
  owner:
    description: Value of the label C(azureops.pod-identity/owner) of the pods, their Jobs and the namespace.
    type: str
    default: default
    vars:
      - name: ansible_aks_node_pod_owner
  image:
    description:
      - Image of the pod, with C(sleep) and C(chroot) in it. It is pulled where the node does not have it.
      - If unset, the smallest image of AKS that the node has is used, and nothing is pulled. See
        O(image_repositories).
    type: str
    env:
      - name: AZUREOPS_NODE_POD_IMAGE
    ini:
      - section: aks_node_pod
        key: image
    vars:
      - name: ansible_aks_node_pod_image
  image_repositories:
    description:
      - Repositories with their registry, such as V(shop.azurecr.io/base/pause), whose images are used as well where
        O(image) is unset. Name only repositories that nobody who is not trusted with the nodes can write to.
      - Always used are the repositories C(pause), C(kube-proxy) and C(azure-cloud-node-manager) of
        C(mcr.microsoft.com/oss/kubernetes) and C(mcr.microsoft.com/oss/v2/kubernetes), and C(azuredisk-csi) and
        C(azurefile-csi) of C(mcr.microsoft.com/oss/kubernetes-csi) and C(mcr.microsoft.com/oss/v2/kubernetes-csi).
      - An image counts by a name with registry, repository and tag. A name without a registry does not count, nor does
        one with a digest.
    type: list
    elements: str
    default: []
    env:
      - name: AZUREOPS_NODE_POD_IMAGE_REPOSITORIES
    ini:
      - section: aks_node_pod
        key: image_repositories
    vars:
      - name: ansible_aks_node_pod_image_repositories
  start_timeout:
    description: Seconds until the pod must run.
    type: int
    default: 60
    ini:
      - section: aks_node_pod
        key: start_timeout
    vars:
      - name: ansible_aks_node_pod_start_timeout
  idle_timeout:
    description: Seconds without a task after which the cluster ends the pod.
    type: int
    default: 300
    ini:
      - section: aks_node_pod
        key: idle_timeout
    vars:
      - name: ansible_aks_node_pod_idle_timeout
  max_lifetime:
    description: Seconds after which the pod is ended even if it is in use; the next task gets a new one.
    type: int
    default: 7200
    ini:
      - section: aks_node_pod
        key: max_lifetime
    vars:
      - name: ansible_aks_node_pod_max_lifetime
  pipelining:
    description: Whether modules are sent through standard input instead of files on the node.
    type: bool
    default: true
    vars:
      - name: ansible_pipelining
      - name: ansible_aks_node_pod_pipelining
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
  remote_user:
    description: Commands run as root; other users are reached with C(become).
    type: str
    default: root
    choices: [root]
  kubeconfig:
    vars:
      - name: ansible_aks_node_pod_kubeconfig
  context:
    vars:
      - name: ansible_aks_node_pod_context
  host:
    vars:
      - name: ansible_aks_node_pod_host
  api_key:
    vars:
      - name: ansible_aks_node_pod_api_key
  client_cert:
    vars:
      - name: ansible_aks_node_pod_client_cert
  client_key:
    vars:
      - name: ansible_aks_node_pod_client_key
  ca_cert:
    vars:
      - name: ansible_aks_node_pod_ca_cert
  validate_certs:
    vars:
      - name: ansible_aks_node_pod_validate_certs
  proxy:
    vars:
      - name: ansible_aks_node_pod_proxy
  no_proxy:
    vars:
      - name: ansible_aks_node_pod_no_proxy
  proxy_headers:
    vars:
      - name: ansible_aks_node_pod_proxy_headers
  impersonate_user:
    vars:
      - name: ansible_aks_node_pod_impersonate_user
  impersonate_groups:
    vars:
      - name: ansible_aks_node_pod_impersonate_groups
extends_documentation_fragment:
  - azureops.pod_identity._kubernetes_auth
seealso:
  - plugin: azureops.pod_identity.vmss_run_command
    plugin_type: connection
  - plugin: azureops.pod_identity.aks_nodes
    plugin_type: inventory
"""

EXAMPLES = r"""
- name: Look at the NAT rules of every node of an inventory
  hosts: aks_nodes
  gather_facts: false
  vars:
    ansible_connection: azureops.pod_identity.aks_node_pod
    ansible_aks_node_pod_kubeconfig: ~/shop.kubeconfig
    ansible_python_interpreter: /usr/bin/python3
  tasks:
    - name: Look, and take the pod away whatever happens
      block:
        - name: List the rules
          ansible.builtin.command: iptables-save -t nat
          changed_when: false
      always:
        - name: Take the pod away
          ansible.builtin.meta: reset_connection
"""

import os
import socket
import tempfile
import typing as t

from ansible import constants as C
from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.plugins.connection import ConnectionBase

from ansible_collections.azureops.pod_identity.plugins.module_utils._argspec import kubernetes_auth
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.errors import Failure
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.hidden_arguments import hidden_variables
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.nodes.node_access import Access, Run
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube import client
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.node_pods import NodePod
from ansible_collections.azureops.pod_identity.plugins.plugin_utils import _connections

# All read exactly what is sent, because the end of standard input cannot be sent; first the command, then its input.
_RUN = 'command=$(head -c "$1") && eval "$command" < /dev/null'
_RUN_WITH_INPUT = 'command=$(head -c "$1") && head -c "$2" | eval "$command"'
_PUT = 'head -c "$1" > "$2" && sha256sum < "$2"'
_FETCH = 'sha256sum < "$1" && cat < "$1"'
_SUM_LENGTH = 68


class Connection(ConnectionBase):
    """A node through a pod on it."""

    transport = "azureops.pod_identity.aks_node_pod"
    has_pipelining = True

    def __init__(self, *args: t.Any, **kwargs: t.Any) -> None:
        super().__init__(*args, **kwargs)
        self._node_pod: NodePod | None = None
        self._certificates: tempfile.TemporaryDirectory[str] | None = None

    def _connect(self) -> Connection:
        self._reach()
        return self

    def _reach(self) -> NodePod:
        if self._node_pod is None:
            options = _connections.options(self, kubernetes_auth().options)
            access = Access(
                target=self._target,
                prefix=self.get_option("namespace"),
                owner=self.get_option("owner"),
                run=_this_run(),
                image=self.get_option("image") or "",
                repositories=tuple(self.get_option("image_repositories")),
                idle_timeout=self.get_option("idle_timeout"),
                max_lifetime=self.get_option("max_lifetime"),
            )
            self._certificates = tempfile.TemporaryDirectory(prefix="node-access-", dir=_run_directory())
            with _connections.unreachable():
                api = client.connect(options, self._certificates.name)
            self._node_pod = NodePod(api, access, self.get_option("start_timeout"), self._display.warning)
            self._connected = True
        return self._node_pod

    @property
    def _target(self) -> str:
        return str(self.get_option("node") or self._play_context.remote_addr)

    def exec_command(self, cmd: str, in_data: bytes | None = None, sudoable: bool = True) -> tuple[int, bytes, bytes]:
        self._refuse_secrets_beside_become()
        self._display.vvv(_connections.shown(self, cmd), host=self._target)
        script = _connections.script(cmd).encode("utf-8", "surrogateescape")
        if in_data is None:
            return self._run(["/bin/sh", "-c", _RUN, "sh", str(len(script))], script)
        lengths = str(len(script)), str(len(in_data))
        return self._run(["/bin/sh", "-c", _RUN_WITH_INPUT, "sh", *lengths], script + in_data)

    def _refuse_secrets_beside_become(self) -> None:
        names = hidden_variables(self.get_option("task_environment")) if self.become is not None else ()
        if names:
            raise AnsibleError(
                f"The task for {self._target} has secrets in its environment ({', '.join(names)}), which become would "
                "make arguments of a process that everybody on the node sees: leave out become, because tasks run as "
                "root here, or give the secrets to the module itself."
            )

    def put_file(self, in_path: str, out_path: str) -> None:
        self._display.vvv(f"PUT {in_path} TO {out_path}", host=self._target)
        data = _connections.read_local(in_path)
        status, told, errors = self._run(["/bin/sh", "-c", _PUT, "sh", str(len(data)), out_path], data)
        what = f"The transfer of {in_path} to {out_path} on {self._target}"
        _connections.require_transfer(what, status, errors)
        _connections.require_sum(what, data, told.decode("ascii", "replace"))

    def fetch_file(self, in_path: str, out_path: str) -> None:
        self._display.vvv(f"FETCH {in_path} TO {out_path}", host=self._target)
        status, told, errors = self._run(["/bin/sh", "-c", _FETCH, "sh", in_path])
        what = f"The transfer of {in_path} from {self._target}"
        _connections.require_transfer(what, status, errors)
        data = told[_SUM_LENGTH:]
        _connections.require_sum(what, data, told[:_SUM_LENGTH].decode("ascii", "replace"))
        _connections.write_local(out_path, data)

    def reset(self) -> None:
        """Take the pod away. Ansible ends the whole run where this raises; the cluster removes the pod unaided."""
        try:
            self._reach().remove()
        except (Failure, AnsibleConnectionFailure) as failure:
            self._display.warning(
                f"The pod on {self._target} could not be taken away; the cluster ends it when it has been idle for "
                f"{self.get_option('idle_timeout')} seconds. {_sentence(failure)}"
            )
        self.close()

    def close(self) -> None:
        """The pod stays for the next task."""
        if self._certificates is not None:
            self._certificates.cleanup()
        self._certificates = self._node_pod = None
        self._connected = False

    def _run(self, arguments: list[str], in_data: bytes | None = None) -> tuple[int, bytes, bytes]:
        with _connections.unreachable():
            return self._reach().run(arguments, in_data)


def _sentence(error: Failure | AnsibleConnectionFailure) -> str:
    return error.sentence if isinstance(error, Failure) else str(error.message)


def _this_run() -> Run:
    """The run of Ansible that this process belongs to; its temporary directory has a name of its own."""
    token = os.path.basename(_run_directory())
    pids = (os.getpid(), os.getppid())
    pid = next((each for each in pids if token.startswith(f"ansible-local-{each}")), pids[0])
    try:
        namespace = os.readlink("/proc/self/ns/pid")  # two containers may have the same name, and the same numbers
    except OSError:
        namespace = ""
    return Run(f"{socket.gethostname()} {namespace}", pid, token)


def _run_directory() -> str:
    constants: t.Any = C  # it makes its names while it is imported
    return str(constants.DEFAULT_LOCAL_TMP)
