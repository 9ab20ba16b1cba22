#!/usr/bin/python
# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: aks_node_info
short_description: Look at the nodes of an AKS cluster, NMI on them, and what NMI's rules keep closed
version_added: 1.0.0
author:
  - azureops.pod_identity contributors (@azureops)
description:
  - Tells of each node where it is, whether it is Ready, which NMI runs there and in which state, and why NMI's rules on
    it must stay, if they must.
  - Asks the API server, and Azure where O(cluster_name) is set. Where the API server does not answer, the nodes come
    from the scale sets alone. Where it tells of the nodes and not of NMI, the rules on them must stay.
options:
  resource_group:
    description: Resource group of the cluster.
    type: str
  cluster_name:
    description:
      - Name of the managed cluster. Without it only the API server is asked, and the identities of scale sets stay
        unknown.
      - If neither O(kubeconfig) nor O(host) is set, the kubeconfig is fetched from AKS for the length of the task.
    type: str
  api_timeout:
    description: Seconds until the API server must answer.
    type: float
    default: 10
  protected_identities:
    description:
      - Resource ids of identities on scale sets that may stand open to every pod, besides those that the cluster itself
        names (kubelet, control plane, add-ons).
    type: list
    elements: str
  check_instances:
    description:
      - Leaves out nodes whose instance is gone from its scale set, of which the API server tells for a while longer.
      - Takes another request for each scale set.
    type: bool
    default: false
extends_documentation_fragment:
  - azureops.pod_identity._azure_auth
  - azureops.pod_identity._kubernetes_auth
  - azureops.pod_identity._attributes
  - azureops.pod_identity._attributes.info_module
  - azureops.pod_identity._attributes.actiongroup_both
notes:
  - Needs to list nodes, daemonsets, deployments and pods and to get endpoints and pods/proxy in the cluster; in Azure
    to read the cluster, its kubeconfig where none is given, the scale sets of its node resource group, and nodes that
    are virtual machines in no scale set. Without the right to list azureidentitybindings RV(nodes[].bindings) stays
    unknown.
seealso:
  - module: azureops.pod_identity.nmi_info
  - plugin: azureops.pod_identity.aks_nodes
    plugin_type: inventory
"""

EXAMPLES = r"""
- name: Look at the nodes
  azureops.pod_identity.aks_node_info:
    resource_group: rg-shop
    cluster_name: shop
  register: fleet

- name: Show those that may hold dead rules of NMI
  ansible.builtin.debug:
    msg: "{{ fleet.nodes | selectattr('groups', 'contains', 'rules_suspected') | map(attribute='name') }}"
"""

RETURN = r"""
nodes:
  description: One entry per node, sorted by name.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Name of the node.
      returned: always
      type: str
      sample: aks-nodepool1-12345678-vmss000000
    scale_set:
      description: Resource id of its scale set; empty where it has none.
      returned: always
      type: str
      sample: >-
        /subscriptions/5e1c7a2b/resourceGroups/MC_rg-shop_shop_westeurope/providers/Microsoft.Compute/virtualMachineScaleSets/aks-nodepool1-12345678-vmss
    scale_set_name:
      description: Name of its scale set.
      returned: always
      type: str
      sample: aks-nodepool1-12345678-vmss
    instance_id:
      description: Its number in the scale set.
      returned: always
      type: str
      sample: "0"
    machine:
      description: Resource id of the virtual machine where it is one in no scale set; else empty.
      returned: always
      type: str
      sample: ""
    addresses:
      description:
        - Its addresses, the internal one first; empty where the API server could not be asked, and where one of them is
          neither an IP address nor a DNS name.
      returned: always
      type: list
      elements: str
      sample: [10.224.0.4]
    odd_addresses:
      description: What it says instead of an address. Such a node is not reached by V(ssh), and a warning names it.
      returned: always
      type: list
      elements: str
      sample: []
    pod_cidr:
      description:
        - Range of the addresses of its pods; empty where the cluster gives nodes none, as with plain Azure CNI, or the
          API server could not be asked.
      returned: always
      type: str
      sample: 10.244.1.0/24
    os:
      description: V(linux) or V(windows).
      returned: always
      type: str
      sample: linux
    ready:
      description: Whether it is Ready; V(null) where the API server could not be asked.
      returned: always
      type: bool
      sample: true
    ready_since:
      description: Since when it is Ready, or is not.
      returned: always
      type: str
      sample: "2026-01-31T08:15:00Z"
    nmi_state:
      description:
        - As in M(azureops.pod_identity.nmi_info); V(missing) where no NMI is meant to run, V(unknown) where the API
          server could not be asked about it.
      returned: always
      type: str
      sample: missing
    nmi_pod:
      description: The NMI pod there.
      returned: always
      type: str
      sample: ""
    nmi_installation:
      description: The DaemonSet of NMI that covers the node.
      returned: always
      type: str
      sample: ""
    nmi_elsewhere:
      description: The DaemonSets of NMI that leave the node out, each with the reason.
      returned: always
      type: dict
      sample:
        DaemonSet kube-system/aad-pod-identity-nmi: NMI selects nodes with pool=apps
    user_rules:
      description: Whether AKS's own monitor reports rules of users on it.
      returned: always
      type: bool
      sample: false
    boot_id:
      description: Id of the start of its kernel; empty where the API server could not be asked.
      returned: always
      type: str
      sample: 5f3c0f52-52f0-4b0b-9f0e-6f7a0e1d2c3b
    cordoned:
      description: Whether no pod is scheduled there; V(null) where the API server could not be asked.
      returned: always
      type: bool
      sample: false
    labels:
      description: Its labels; empty where the API server could not be asked.
      returned: always
      type: dict
      sample: {agentpool: nodepool1}
    addon:
      description: Whether the pod identity add-on of AKS is on; V(null) where Azure could not be asked.
      returned: always
      type: bool
      sample: false
    bindings:
      description:
        - Whether there is an AzureIdentityBinding in the cluster. Looked up only where AAD Pod Identity is gone and
          RV(nodes[].foreign_identities) are still there, else V(null).
      returned: always
      type: bool
      sample: null
    foreign_identities:
      description:
        - Identities of its scale set, or of the machine itself where it is in none, that the cluster does not name and
          that are not among O(protected_identities).
        - V(null) where Azure could not be asked.
      returned: always
      type: list
      elements: str
      sample: []
    groups:
      description:
        - What is wrong with it, any of V(not_ready), V(nmi_missing), V(nmi_not_active), V(rules_suspected),
          V(not_inspected), V(windows).
      returned: always
      type: list
      elements: str
      sample: [nmi_missing, rules_suspected]
    transports:
      description: Ways to reach it that may work, any of V(ssh), V(aks_node_pod), V(vmss_run_command).
      returned: always
      type: list
      elements: str
      sample: [ssh, aks_node_pod, vmss_run_command]
    closed_because:
      description:
        - Why NMI's rules on it must stay, in parts of a sentence; empty where nothing would be opened to pods.
        - What leads out is told by the role P(azureops.pod_identity.imds_node_cleanup#role).
      returned: always
      type: list
      elements: str
      sample: []
cluster_id:
  description: Resource id of the cluster; empty where Azure was not asked.
  returned: success
  type: str
  sample: /subscriptions/5e1c7a2b/resourceGroups/rg-shop/providers/Microsoft.ContainerService/managedClusters/shop
node_resource_group:
  description: Resource id of the resource group of its nodes; empty where Azure was not asked.
  returned: success
  type: str
  sample: /subscriptions/5e1c7a2b/resourceGroups/MC_rg-shop_shop_westeurope
unread:
  description: What could not be asked, Azure, the API server or who has which rights there, and why, as sentences.
  returned: success
  type: list
  elements: str
  sample: []
"""

import typing as t

from ansible_collections.azureops.pod_identity.plugins.module_utils import _nodes, _plan
from ansible_collections.azureops.pod_identity.plugins.module_utils._argspec import ArgumentSpec

# Not of the inventory plugin, which takes the nodes as they are told of.
OWN = ArgumentSpec(options={"check_instances": {"type": "bool", "default": False}})


def main() -> None:
    module = _nodes.argument_spec().merge(OWN).create_module()

    def observe() -> dict[str, t.Any]:
        check = module.params["check_instances"]
        found = _nodes.observe(module.params, module.run_command, module.tmpdir, check_instances=check)
        for sentence in found.odd:
            module.warn(sentence)
        return {
            "nodes": [node.view() for node in found.nodes],
            "cluster_id": found.cluster_id,
            "node_resource_group": found.node_group,
            "unread": list(found.unread),
        }

    _plan.report(module, observe)


if __name__ == "__main__":
    main()
