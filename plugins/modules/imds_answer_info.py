#!/usr/bin/python
# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: imds_answer_info
short_description: See who answers the pods of a node at the metadata address
version_added: 1.0.0
author:
  - azureops.pod_identity contributors (@azureops)
description:
  - Asks 169.254.169.254 from the network of a pod and says who answered, the metadata service itself, NMI, or nobody.
  - The request names no resource, so that no token can come back.
options:
  node:
    description: Name of the node; needed for V(probe_pod).
    type: str
  method:
    description:
      - How to ask. Of several ways the later ones are taken where an earlier one did not tell who answers.
      - V(probe_pod) runs a throw-away pod on the node, through the API server; run the task on the controller.
      - V(pod_network) enters the network of a pod that runs on the node; run the task on the node, as root.
      - V(throw_away_namespace) makes a network namespace on the node and gives it a free address of the node's pods;
        run the task on the node, as root. It goes again also when the task is killed, and no rule and no setting of the
        node is written. Rules for the interfaces of pods do not see it.
    type: list
    elements: str
    choices: [probe_pod, pod_network, throw_away_namespace]
    default: [probe_pod]
  pod_cidr:
    description:
      - Range of the addresses of the node's pods, for V(throw_away_namespace).
      - If unset, the range that the node's CNI configuration names; where it names none, nothing is asked.
    type: str
  namespace:
    description: Namespace of the throw-away pod.
    type: str
    default: default
  image:
    description: Image of the throw-away pod, as in M(azureops.pod_identity.pod_token_info).
    type: str
    default: mcr.microsoft.com/azurelinux/base/core:3.0
  timeout:
    description: Seconds until somebody must answer.
    type: int
    default: 20
  start_timeout:
    description: Seconds until the throw-away pod must run.
    type: int
    default: 120
  owner:
    description: Value of the label C(azureops.pod-identity/owner) of the throw-away pod.
    type: str
    default: default
extends_documentation_fragment:
  - azureops.pod_identity._kubernetes_auth
  - azureops.pod_identity._attributes
  - azureops.pod_identity._attributes.info_module
  - azureops.pod_identity._attributes.actiongroup_kubernetes
notes:
  - V(probe_pod) needs to create, list and delete Jobs and to read pods, their logs and events in the namespace.
  - In check mode nothing is asked.
  - On a node that has no Python 3.9 or later, for which C(ansible_python_interpreter) is set to an empty string,
    V(pod_network) and V(throw_away_namespace) are carried out by commands that the controller sends. For that the node
    needs C(sh), C(grep), C(find), coreutils, C(nsenter), C(unshare), C(ip), one of C(curl), C(wget) and C(bash), and a
    connection that gives commands standard input. A namespace whose task was killed then goes after some time (twice
    O(timeout) and half a minute).
seealso:
  - module: azureops.pod_identity.imds_iptables_cleanup
  - module: azureops.pod_identity.pod_token_info
"""

EXAMPLES = r"""
- name: See who answers pods on a node
  azureops.pod_identity.imds_answer_info:
    kubeconfig: /etc/ansible/prod.kubeconfig
    node: aks-nodepool1-12345678-vmss000000
  register: seen

- name: Fail unless it is the metadata service itself
  ansible.builtin.assert:
    that: seen.answer.proved
    fail_msg: "{{ seen.answer.message }}"
"""

RETURN = r"""
answer:
  description: What was seen.
  returned: success
  type: dict
  contains:
    method:
      description: How it was asked, in the end.
      returned: always
      type: str
      sample: probe_pod
    answered_by:
      description:
        - Who answered, V(imds), V(nmi), V(workload_identity_proxy), V(nobody) where the connection was refused, or
          V(unknown), also where nothing could be asked or no answer came.
      returned: always
      type: str
      sample: imds
    proved:
      description: Whether the metadata service itself answered, so that no rule of NMI stands in the way.
      returned: always
      type: bool
      sample: true
    message:
      description: What that means, or why nothing could be asked.
      returned: always
      type: str
      sample: The metadata service itself answers pods there.
actions:
  description: What was done for it; a pod that came and went is no change.
  returned: success
  type: list
  elements: str
  sample: ["ran probe Job default/pod-identity-probe-x7k2p on aks-nodepool1-12345678-vmss000000"]
error:
  description: Answer of the service as data (C(code), C(message), C(status), and of Azure C(request_id)).
  returned: when Azure or the API server refuses a request
  type: dict
  sample: {code: Forbidden, message: jobs.batch is forbidden, status: 403}
"""

import typing as t

from ansible_collections.azureops.pod_identity.plugins.module_utils._answer_options import OPTIONS
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.errors import Failure
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.nodes import imds_answer, imds_probe
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube import probes
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.client import connect
from ansible_collections.azureops.pod_identity.plugins.module_utils._node import question
from ansible_collections.azureops.pod_identity.plugins.module_utils._plan import predicting, report

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule


def observe(module: AnsibleModule) -> dict[str, t.Any]:
    params = module.params
    if "probe_pod" in params["method"] and not params["node"]:
        raise Failure("node is missing; method=probe_pod needs the name of the node on which the pod shall run.")
    predicts = predicting(module)

    def ask(method: str) -> question.Asked:
        if predicts:
            return imds_answer.unknown("Nothing was asked in check mode."), []
        if method == "probe_pod":
            return ask_from_new_pod(module)
        return question.ask(module.run_command, method, params["pod_cidr"], params["timeout"])

    return imds_answer.in_turn(params["method"], ask)


def ask_from_new_pod(module: AnsibleModule) -> question.Asked:
    params = module.params
    client = connect(params, module.tmpdir)
    node, namespace, owner = params["node"], params["namespace"], params["owner"]
    left = probes.remove(client, imds_probe.target(node, namespace), probes.leftovers(client, namespace, owner))
    actions = [f"removed leftover Job {namespace}/{name}" for name in left]
    name = probes.new_name()
    limits = {"start_timeout": params["start_timeout"], "timeout": params["timeout"]}
    job = imds_probe.job(node, namespace, name=name, owner=owner, image=params["image"], **limits)
    ran = probes.run(client, job, **limits)
    finding = imds_answer.unknown(ran.reason) if ran.reason else imds_answer.find(ran.output)
    return finding, [*actions, f"ran probe Job {namespace}/{name} on {node}"]


def main() -> None:
    module = OPTIONS.create_module()
    report(module, lambda: observe(module))


if __name__ == "__main__":
    main()
