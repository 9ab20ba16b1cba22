#!/usr/bin/python
# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: imds_iptables_cleanup
short_description: Remove the NAT rules that a dead NMI left on a node
version_added: 1.0.0
author:
  - azureops.pod_identity contributors (@azureops)
description:
  - An NMI that was killed leaves a rule in the node's nat table that sends every request for the metadata service
    (IMDS) to a port where nobody listens. Every pod of the node then gets C(connection refused) from
    V(169.254.169.254), also pods that never used pod identity.
  - Removes the chain C(aad-metadata) with every jump to it, the rules of versions that had no chain yet, and the
    kernel's memory of connections through them. Looks at both back ends of iptables, nft and legacy.
  - Every command removes one exact rule, or empties and removes that one chain. Tables are never flushed or restored.
    Other rules, their order, policies, other tables and IPv6 are left alone.
  - Runs on the node, as root, with nothing but Python. A table is read only when the kernel says that it is there,
    because an iptables program makes a legacy table by looking at it.
  - Where the node has no Python 3.9 or later, the controller reads the tables, decides, and sends the same commands one
    by one, with the same result. Set C(ansible_python_interpreter) to an empty string where that is known before, else
    it is found out by trying.
notes:
  - A node without Python needs C(sh), C(grep), coreutils (or busybox), and a connection that gives commands standard
    input, as C(ssh), P(azureops.pod_identity.aks_node_pod#connection) and
    P(azureops.pod_identity.vmss_run_command#connection) do. O(save_directory) is then taken as it is, but for C(~).
extends_documentation_fragment:
  - azureops.pod_identity._attributes
attributes:
  check_mode:
    support: full
    details: [Reads and decides as the real run does; saves and removes nothing.]
  diff_mode:
    support: full
    details: [Shows the rules and chains that go.]
  idempotent:
    support: full
options:
  nmi_port:
    description:
      - Port of NMI. Tells the rules of versions without a chain, and whether somebody listens there.
      - The chain is removed whatever ports its rules name.
    type: int
    default: 2579
  metadata_address:
    description: Address of the metadata service, if NMI was given another one.
    type: str
    default: 169.254.169.254
  metadata_port:
    description: Port of the metadata service, if NMI was given another one.
    type: int
    default: 80
  force:
    description:
      - Removes the rules although an NMI lives on the node, which then writes them again within a minute.
      - "Without it the task fails when there is a process C(nmi) in the node's network namespace, or a listener on
        O(nmi_port) or on the port that the rules name."
      - A process that the task cannot see, because the task runs in a container with processes of its own, is known by
        its listener alone. Where F(/proc) hides processes, or one called C(nmi) cannot be looked into, the task fails.
    type: bool
    default: false
  verify_seconds:
    description:
      - Keeps looking for so many seconds after a removal, and fails if a rule comes back.
      - An NMI writes its rules every 60 seconds; V(70) covers that. V(0) does not look again.
    type: int
    default: 0
  lock_timeout:
    description: How many seconds each command waits for the lock that programs share which write legacy tables.
    type: int
    default: 10
  azwi_proxy_chains:
    description:
      - Also removes the chains C(AZWI_PROXY_OUTPUT) and C(AZWI_PROXY_REDIRECT) of Workload ID's proxy, which a pod with
        C(hostNetwork) writes into the node's own C(OUTPUT).
      - They are removed only when they are exactly what the proxy's init container writes.
    type: bool
    default: false
  save_directory:
    description:
      - Directory on the node into which the table of a back end is saved before something is removed from it. Made when
        it is missing; only root reads what is in it.
      - Where it cannot be written to (disk full or read-only) C(/run/azureops-pod-identity) is taken, and
        C(/dev/shm/azureops-pod-identity) after that. When a table can be saved nowhere, nothing is removed.
    type: path
    default: /var/lib/azureops-pod-identity
  answer_method:
    description:
      - How to ask who answers pods at the metadata address where there was nothing to remove, as
        O(azureops.pod_identity.imds_answer_info#module:method) tells. Empty, nothing is asked.
      - Of several ways the later ones are taken where an earlier one did not tell who answers.
    type: list
    elements: str
    choices: [pod_network, throw_away_namespace]
    default: []
  pod_cidr:
    description:
      - Range of the addresses of the node's pods, for O(answer_method=throw_away_namespace).
      - If unset, the range that the node's CNI configuration names; where it names none, nothing is asked.
    type: str
seealso:
  - module: azureops.pod_identity.imds_answer_info
  - module: azureops.pod_identity.nmi_info
"""

EXAMPLES = r"""
- name: Show what is left on the node
  azureops.pod_identity.imds_iptables_cleanup:
  become: true
  check_mode: true
  diff: true

- name: Remove it, and see that it stays away
  azureops.pod_identity.imds_iptables_cleanup:
    verify_seconds: 70
  become: true

- name: Remove it, or see who answers pods where there is nothing to remove
  azureops.pod_identity.imds_iptables_cleanup:
    answer_method: [pod_network, throw_away_namespace]
  become: true

- name: Remove it from a node that has no Python
  azureops.pod_identity.imds_iptables_cleanup:
  become: true
  vars:
    ansible_python_interpreter: ""

- name: Remove what an NMI with its own port and a proxy of Workload ID left
  azureops.pod_identity.imds_iptables_cleanup:
    nmi_port: 8579
    azwi_proxy_chains: true
  become: true
"""

RETURN = r"""
result:
  description: What was found on the node, and what became of it. In check mode what would become of it.
  returned: always, except when the tables cannot be read
  type: dict
  contains:
    backends:
      description: The back ends of iptables, under V(nft) and V(legacy).
      returned: always
      type: dict
      contains:
        nft:
          description: This back end.
          returned: always
          type: dict
          contains: &backend
            inspected:
              description: Whether the node has the programs to look at this back end.
              returned: always
              type: bool
              sample: true
            reason:
              description: Why it was not inspected; else empty.
              returned: always
              type: str
              sample: ""
            found:
              description: What NMI left.
              returned: always
              type: list
              elements: dict
              contains:
                rule:
                  description: The rule, or C(-N) with the name of a chain. Control characters are shown escaped.
                  returned: always
                  type: str
                  sample: -A PREROUTING -j aad-metadata
                shape:
                  description:
                    - Which known shape the rules have, V(R0) to V(R5); V(empty) for a chain without rules, V(AZWI) for
                      Workload ID's proxy, V(unknown) for a chain with other rules in it.
                  returned: always
                  type: str
                  sample: R4
                versions:
                  description: Versions of NMI that wrote this shape.
                  returned: always
                  type: str
                  sample: 1.6.2 and later
            removed:
              description: Rules and chains that were removed, or in check mode would be.
              returned: always
              type: list
              elements: str
              sample: [-A PREROUTING -j aad-metadata]
            left:
              description: Rules that look alike and stay.
              returned: always
              type: list
              elements: dict
              contains:
                rule:
                  description: The rule.
                  returned: always
                  type: str
                  sample: -A IMDS-BLOCK -d 169.254.169.254/32 -j RETURN
                reason:
                  description: Why it stays.
                  returned: always
                  type: str
                  sample: concerns 169.254.169.254, but no NMI writes such a rule
            counts:
              description: How many there are of each.
              returned: always
              type: dict
              sample: {found: 4, removed: 4, left: 0, foreign: 87}
            saved_to:
              description: File on the node with the table as it was.
              returned: when something was removed
              type: str
              sample: /var/lib/azureops-pod-identity/nat-nft-20261124T031500.120000Z.save
            concurrent_changes:
              description: What others changed in the table at the same time, most likely kube-proxy.
              returned: when something was removed
              type: dict
              sample: {gone: [], new: [-A KUBE-SERVICES -j KUBE-SVC-X], reordered: []}
        legacy:
          description: This back end.
          returned: always
          type: dict
          contains: *backend
    conntrack:
      description: The kernel's memory of connections to the metadata service that NMI's port answers.
      returned: always
      type: dict
      contains:
        inspected:
          description: Whether the program C(conntrack) could look.
          returned: always
          type: bool
          sample: true
        reason:
          description: Why it could not; else empty.
          returned: always
          type: str
          sample: ""
        found:
          description: How many connections there were.
          returned: always
          type: int
          sample: 1
        removed:
          description: How many were ended, or in check mode would be.
          returned: always
          type: int
          sample: 1
    nmi:
      description: What was seen of a living NMI; more than nothing only with O(force=true) or on failure.
      returned: always
      type: list
      elements: str
      sample: []
permissions:
  description: Always empty, because nothing of Azure or Kubernetes is changed.
  returned: in check mode
  type: list
  elements: dict
  sample: []
actions:
  description: What was done, or in check mode what would be done.
  returned: always
  type: list
  elements: str
  sample: [save the nft nat table, remove 3 rules and 1 chain from the nft nat table]
changes:
  description: RV(actions) as data, in the same order.
  returned: always
  type: list
  elements: dict
  contains:
    verb:
      description: V(save), V(change), V(delete) or V(verify), which writes nothing.
      returned: always
      type: str
      sample: save
    kind:
      description: What it is on the node, V(nat table) or V(connections).
      returned: always
      type: str
      sample: nat table
    id:
      description: The back end of iptables; V(conntrack) for connections.
      returned: always
      type: str
      sample: nft
    why:
      description: What is changed of it, or for what; may be empty.
      returned: always
      type: str
      sample: ''
  sample:
    - verb: save
      kind: nat table
      id: nft
      why: ''
    - verb: change
      kind: nat table
      id: nft
      why: remove 3 rules and 1 chain
failed_action:
  description: The action that failed.
  returned: when an action fails
  type: str
  sample: remove 3 rules and 1 chain from the nft nat table
begun:
  description: Whether RV(failed_action) had changed something before it failed.
  returned: when an action fails
  type: bool
  sample: true
failed_change:
  description: RV(failed_action) as data, with the keys of an entry of RV(changes).
  returned: when an action fails
  type: dict
  sample:
    verb: change
    kind: nat table
    id: nft
    why: remove 3 rules and 1 chain
answer:
  description: Who answers pods, as RV(azureops.pod_identity.imds_answer_info#module:answer) tells.
  returned: when O(answer_method) is set, there was nothing to remove, and not in check mode
  type: dict
  contains:
    method:
      description: How it was asked, in the end.
      returned: always
      type: str
      sample: pod_network
    answered_by:
      description: Who answered.
      returned: always
      type: str
      sample: imds
    proved:
      description: Whether the metadata service itself answered.
      returned: always
      type: bool
      sample: true
    message:
      description: What that means, or why nothing could be asked.
      returned: always
      type: str
      sample: The metadata service itself answers pods there.
taken:
  description: Rules of others that are gone and that a command of this module may have removed.
  returned: when that is why the task fails
  type: list
  elements: str
  sample: [-A PREROUTING -j OTHER]
"""

import typing as t

from ansible_collections.azureops.pod_identity.plugins.module_utils._node.here import Here
from ansible_collections.azureops.pod_identity.plugins.module_utils._node_cleanup import (
    ANSWER_TIMEOUT,
    OPTIONS,
    make_plan,
)
from ansible_collections.azureops.pod_identity.plugins.module_utils._plan import predicting, run

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule


def ask(module: AnsibleModule) -> dict[str, t.Any]:
    """Who answers pods, where that is to be asked."""
    params = module.params
    if predicting(module) or not params["answer_method"]:
        return {}
    # Whoever only cleans up does not wait for it.
    from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.nodes import imds_answer
    from ansible_collections.azureops.pod_identity.plugins.module_utils._node import question

    return imds_answer.part(
        params["answer_method"],
        lambda method: question.ask(module.run_command, method, params["pod_cidr"], ANSWER_TIMEOUT),
    )


def main() -> None:
    module = OPTIONS.create_module()
    run(module, lambda: make_plan(Here(module.run_command), module.params, lambda: ask(module)), key="result")


if __name__ == "__main__":
    main()
