#!/usr/bin/python
# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: imds_node_cleanup_step
short_description: Carry out a step of the role imds_node_cleanup on a node or for all of them
version_added: 1.0.0
author:
  - azureops.pod_identity contributors (@azureops)
description:
  - V(begin) checks the options of the role for all hosts of the play, and tells which host of a batch asks about its
    cluster, and whether a node of an earlier batch stopped the run.
  - V(gate) makes the result of a node that is not entered, with the reason where one keeps it untouched.
  - V(access) looks over the connection of the task which machine answers there, unless nothing may connect to the node.
    Nodes whose rules stay are connected to with O(looks) alone.
  - V(choose) tells which nodes of a batch are cleaned next. Until one node of the run has ended well, one goes alone.
  - V(clean) runs M(azureops.pod_identity.imds_iptables_cleanup) on the node and makes the result of the role from what
    it returns.
  - V(way) tells which way leads to a node whose rules stay.
  - V(look) runs it in check mode, whatever mode the task is in, on a node whose rules stay, and adds what is there to
    the result.
  - It serves the role P(azureops.pod_identity.imds_node_cleanup#role), whose options, facts and registered results it
    reads, also those of other hosts of the play.
extends_documentation_fragment:
  - azureops.pod_identity._attributes
attributes:
  check_mode:
    support: full
    details: [As the module that V(clean) runs. The other steps change nothing, V(look) neither.]
  diff_mode:
    support: full
    details: [As the module that V(clean) runs.]
  idempotent:
    support: full
options:
  step:
    description: The step.
    type: str
    required: true
    choices: [begin, gate, access, choose, clean, way, look]
  node:
    description:
      - What is known of the node, for O(step=gate) and O(step=access). The machine must have its name; any machine will
        do where none is known.
    type: dict
  has_api_server:
    description: Whether an API server is named, for O(step=gate) and O(step=access).
    type: bool
  looks:
    description: Whether nodes whose rules stay are connected to, for O(step=access).
    type: bool
  batch:
    description: What the step before returned as RV(batch), for O(step=choose).
    type: dict
  begun:
    description: The result of the node so far, for O(step=clean), O(step=way) and O(step=look).
    type: dict
  answers:
    description: What O(step=access) returned over each way, for O(step=way).
    type: list
    elements: dict
  transport:
    description: The way that leads to the node, for O(step=look).
    type: str
  first:
    description: Whether the node goes alone, so that what goes wrong stops the run, for O(step=clean).
    type: bool
  force:
    description: Whether rules are removed although an NMI lives on the node, for O(step=clean).
    type: bool
  asks_pod:
    description: Whether a plain pod is asked who answers pods, before it is asked on the node, for O(step=clean).
    type: bool
  cleanup:
    description: Options of M(azureops.pod_identity.imds_iptables_cleanup), for O(step=clean) and O(step=look).
    type: dict
seealso:
  - module: azureops.pod_identity.imds_iptables_cleanup
"""

EXAMPLES = r"""
- name: See which machine answers
  azureops.pod_identity.imds_node_cleanup_step:
    step: access
    node: {name: aks-nodepool1-12345678-vmss000000}
    has_api_server: false
"""

RETURN = r"""
batch:
  description: What the hosts of the batch do next, by host.
  returned: for O(step=begin) and O(step=choose)
  type: dict
  contains:
    stopped_by:
      description: The host that stopped the run; else empty.
      returned: always
      type: str
      sample: ""
    askers:
      description: The host that asks about the cluster, for each host of which a cluster is known.
      returned: always
      type: dict
      sample: {node1: node1, node2: node1}
    begun:
      description: The result of each host as it begins, without an outcome.
      returned: always
      type: dict
      sample: {}
    next:
      description: The file of the role with which a host goes on that does not go on with most others.
      returned: always
      type: dict
      sample: {node1: canary.yml, node2: untouched.yml}
    canary:
      description: The host that goes alone; empty where none has to.
      returned: always
      type: str
      sample: node1
    access:
      description: What is there at the end of the way, for each host to which one leads; as RV(access).
      returned: always
      type: dict
      sample: {}
    go:
      description: Hosts that are cleaned side by side.
      returned: always
      type: list
      elements: str
      sample: []
    waiting:
      description: Hosts that are reached and not cleaned side by side.
      returned: always
      type: list
      elements: str
      sample: [node1, node2]
    pods:
      description: Hosts that were tried over a pod on the node.
      returned: always
      type: list
      elements: str
      sample: []
    refused:
      description: Hosts whose rules stay, which are looked at behind the others.
      returned: always
      type: list
      elements: str
      sample: []
    chosen:
      description: Whether a node was chosen yet.
      returned: always
      type: bool
      sample: true
result:
  description: The result of the node, as the README of the role tells.
  returned: for O(step=gate) and O(step=look)
  type: dict
  sample: {node: aks-nodepool1-12345678-vmss000000, outcome: refused}
ends:
  description: Whether no further way is tried.
  returned: for O(step=access)
  type: bool
  sample: true
looks:
  description: Whether the rules of the node stay, and it is looked at behind the others.
  returned: for O(step=access), when RV(held)
  type: bool
  sample: false
way:
  description: The RV(result) of a node whose rules stay, with the ways that were tried.
  returned: for O(step=way)
  type: dict
  contains:
    result:
      description: The result.
      returned: always
      type: dict
      sample: {node: aks-nodepool1-12345678-vmss000000, outcome: refused}
    transport:
      description: The way that leads to the node; empty where none does.
      returned: always
      type: str
      sample: ssh
    access:
      description: What is there at the end of the way, as RV(access).
      returned: where one leads there
      type: dict
      sample: {problem: "", user: "0", python: /usr/bin/python3}
held:
  description: That nothing may connect to the node.
  returned: for O(step=access), when it does
  type: bool
  sample: true
access:
  description: What is there at the end of the way.
  returned: for O(step=access), unless RV(held)
  type: dict
  contains:
    problem:
      description: Why the way does not lead to the node; else empty.
      returned: always
      type: str
      sample: ""
    user:
      description: Number of the user.
      returned: always
      type: str
      sample: "0"
    python:
      description: Path of a Python 3.9 or later; empty where there is none.
      returned: always
      type: str
      sample: /usr/bin/python3
ended:
  description: How the clean-up ended, beside what M(azureops.pod_identity.imds_iptables_cleanup) returns.
  returned: for O(step=clean)
  type: dict
  contains:
    result:
      description: The result of the node, as the README of the role tells.
      returned: always
      type: dict
      sample: {node: aks-nodepool1-12345678-vmss000000, outcome: clean}
    proves:
      description: Whether the role has to know who answers the pods of the node.
      returned: always
      type: bool
      sample: true
    next:
      description: The file of the role with what is left to do for that, or for the tables that were saved; else empty.
      returned: always
      type: str
      sample: ""
"""
