#!/usr/bin/python
# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: aks_cluster_info
short_description: Read AKS clusters
version_added: 1.0.0
author:
  - azureops.pod_identity contributors (@azureops)
description:
  - Reads one AKS cluster, or all clusters of a resource group, with what pod identity needs to know about them.
  - No credentials of a cluster are read.
extends_documentation_fragment:
  - azureops.pod_identity._azure_auth
  - azureops.pod_identity._attributes
  - azureops.pod_identity._attributes.info_module
  - azureops.pod_identity._attributes.actiongroup_azure
options:
  resource_group:
    description: Resource group of the clusters.
    type: str
    required: true
  name:
    description: Name of one cluster; if unset, all clusters of the resource group are read.
    type: str
  list_regions:
    description:
      - Whether to list the regions of the subscription too, where no cluster is found. Takes the right
        C(Microsoft.Resources/subscriptions/locations/read) on the subscription; without it none is listed.
    type: bool
    default: false
seealso:
  - module: azureops.pod_identity.aks_cluster
"""

EXAMPLES = r"""
- name: Read a cluster
  azureops.pod_identity.aks_cluster_info:
    resource_group: pod-identity-demo
    name: demo
  register: found

- name: Show who the nodes are
  ansible.builtin.debug:
    var: found.clusters[0].kubelet_identity.client_id
"""

RETURN = r"""
regions:
  description: The regions of the subscription.
  returned: with O(list_regions), where no cluster is found
  type: list
  elements: str
  sample: [northeurope, westeurope]
clusters:
  description: The clusters that exist; a cluster or resource group that does not exist gives an empty list.
  returned: success
  type: list
  elements: dict
  contains:
    id:
      description: Resource id of the cluster.
      returned: always
      type: str
      sample: >-
        /subscriptions/7f1f4a5e-6a0f-4d0c-9a0e-2f8f8d1c2b3a/resourcegroups/pod-identity-demo/providers/Microsoft.ContainerService/managedClusters/demo
    name:
      description: Name of the cluster.
      returned: always
      type: str
      sample: demo
    resource_group:
      description: Resource group of the cluster.
      returned: always
      type: str
      sample: pod-identity-demo
    location:
      description: Region of the cluster.
      returned: always
      type: str
      sample: westeurope
    tags:
      description: Tags of the cluster.
      returned: always
      type: dict
      sample: {team: platform}
    provisioning_state:
      description: State of the last operation on the cluster.
      returned: always
      type: str
      sample: Succeeded
    power_state:
      description: Whether the cluster runs; V(Running) or V(Stopped).
      returned: always
      type: str
      sample: Running
    kubernetes_version:
      description: Version of the control plane.
      returned: always
      type: str
      sample: 1.33.5
    dns_prefix:
      description: Prefix of the host name of the API server.
      returned: always
      type: str
      sample: demo-dns
    fqdn:
      description: Public host name of the API server; a private cluster may have none.
      returned: always
      type: str
      sample: demo-dns-1a2b3c4d.hcp.westeurope.azmk8s.io
    private_fqdn:
      description: Private host name of the API server; empty for a public cluster.
      returned: always
      type: str
      sample: ''
    private_cluster:
      description: Whether the API server has a private address only.
      returned: always
      type: bool
      sample: false
    authorized_ip_ranges:
      description: Ranges of addresses that may reach the API server; empty when every address may.
      returned: always
      type: list
      elements: str
      sample: [203.0.113.0/24]
    node_resource_group:
      description: Resource group of the nodes.
      returned: always
      type: str
      sample: MC_pod-identity-demo_demo_westeurope
    network_plugin:
      description: Network plugin of the cluster.
      returned: always
      type: str
      sample: azure
    network_plugin_mode:
      description: Mode of the network plugin; empty when there is none.
      returned: always
      type: str
      sample: overlay
    network_policy:
      description: Engine of the network policies; V(none) when there is none.
      returned: always
      type: str
      sample: none
    service_cidr:
      description: Address range of the services.
      returned: always
      type: str
      sample: 10.0.0.0/16
    dns_service_ip:
      description: Address of the cluster DNS service.
      returned: always
      type: str
      sample: 10.0.0.10
    pod_cidr:
      description: Address range of the pods; empty when pods take addresses of the subnet.
      returned: always
      type: str
      sample: 10.244.0.0/16
    sku_tier:
      description: Tier of the control plane.
      returned: always
      type: str
      sample: Free
    identity:
      description: Identity of the control plane; empty for a cluster with a service principal.
      returned: always
      type: dict
      contains:
        type:
          description: Kind of the identity, V(SystemAssigned) or V(UserAssigned).
          returned: always
          type: str
          sample: SystemAssigned
        principal_id:
          description: Object id of the identity.
          returned: always
          type: str
          sample: 5e0a8c0e-1c15-4a3a-8b70-7f6c1a8f0b52
        tenant_id:
          description: Tenant of the identity.
          returned: always
          type: str
          sample: 5e1c7a2b-93c4-4a58-8f43-6b1f0f6a2d10
        user_assigned_identities:
          description: Resource ids of the user-assigned identities.
          returned: always
          type: list
          elements: str
          sample: []
    kubelet_identity:
      description:
        - Identity of the nodes, which MIC uses. Empty while the cluster is created and for a cluster with a service
          principal.
      returned: always
      type: dict
      contains:
        resource_id:
          description: Resource id of the identity.
          returned: always
          type: str
          sample: >-
            /subscriptions/7f1f4a5e-6a0f-4d0c-9a0e-2f8f8d1c2b3a/resourcegroups/MC_pod-identity-demo_demo_westeurope/providers/Microsoft.ManagedIdentity/userAssignedIdentities/demo-agentpool
        client_id:
          description: Client id of the identity.
          returned: always
          type: str
          sample: c3a1d8c2-7c4f-4c58-91f2-0f2a0a1de1b4
        object_id:
          description: Object id of the identity, to which roles are assigned.
          returned: always
          type: str
          sample: 0b1f6d1e-8a4b-41f7-9d68-3e8f4f0f9c3d
    service_principal_client_id:
      description: Client id of the service principal of an old cluster; empty for a cluster with managed identities.
      returned: always
      type: str
      sample: ''
    oidc_issuer_enabled:
      description: Whether the cluster publishes an OIDC issuer.
      returned: always
      type: bool
      sample: true
    oidc_issuer_url:
      description: URL of the issuer, with its trailing slash; empty when there is none.
      returned: always
      type: str
      sample: >-
        https://westeurope.oic.prod-aks.azure.com/5e1c7a2b-93c4-4a58-8f43-6b1f0f6a2d10/0e3d2c1b-0a9f-4e8d-7c6b-5a4f3e2d1c0b/
    workload_identity_enabled:
      description: Whether the Workload ID webhook of AKS is enabled.
      returned: always
      type: bool
      sample: false
    pod_identity_profile:
      description: The pod identity add-on of AKS, as AKS reports it, in snake case.
      returned: always
      type: dict
      contains:
        enabled:
          description: Whether the add-on is enabled.
          returned: always
          type: bool
          sample: false
    enable_rbac:
      description: Whether Kubernetes RBAC is enabled.
      returned: always
      type: bool
      sample: true
    aad_enabled:
      description: Whether the cluster is integrated with Microsoft Entra.
      returned: always
      type: bool
      sample: false
    local_accounts_disabled:
      description: Whether the local administrator is disabled.
      returned: always
      type: bool
      sample: false
    agent_pools:
      description: The agent pools.
      returned: always
      type: list
      elements: dict
      contains:
        name:
          description: Name of the pool.
          returned: always
          type: str
          sample: nodepool1
        count:
          description: Number of nodes.
          returned: always
          type: int
          sample: 2
        vm_size:
          description: Size of the nodes.
          returned: always
          type: str
          sample: Standard_D2s_v5
        mode:
          description: Mode of the pool, V(System) or V(User).
          returned: always
          type: str
          sample: System
        os_type:
          description: Operating system, V(Linux) or V(Windows).
          returned: always
          type: str
          sample: Linux
        type:
          description: V(VirtualMachineScaleSets) or V(AvailabilitySet).
          returned: always
          type: str
          sample: VirtualMachineScaleSets
        orchestrator_version:
          description: Kubernetes version of the nodes.
          returned: always
          type: str
          sample: 1.33.5
        vnet_subnet_id:
          description: Subnet of the nodes; empty when AKS manages it.
          returned: always
          type: str
          sample: ''
        max_pods:
          description: Pods per node at most.
          returned: always
          type: int
          sample: 30
        node_labels:
          description: Labels of the nodes.
          returned: always
          type: dict
          sample: {}
        node_taints:
          description: Taints of the nodes.
          returned: always
          type: list
          elements: str
          sample: []
        provisioning_state:
          description: State of the last operation on the pool.
          returned: always
          type: str
          sample: Succeeded
error:
  description: Answer of the service as data (C(code), C(message), C(status), and of Azure C(request_id)).
  returned: when Azure or the API server refuses a request
  type: dict
  sample: {code: AuthorizationFailed, message: The client does not have authorization., status: 403}
"""

import typing as t

from ansible_collections.azureops.pod_identity.plugins.module_utils._argspec import ArgumentSpec
from ansible_collections.azureops.pod_identity.plugins.module_utils._azure import managed_clusters, resource_groups
from ansible_collections.azureops.pod_identity.plugins.module_utils._azure.client import Arm
from ansible_collections.azureops.pod_identity.plugins.module_utils._azure_options import azure_auth
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.azure import clusters
from ansible_collections.azureops.pod_identity.plugins.module_utils._plan import report

OPTIONS = ArgumentSpec(
    options={
        "resource_group": {"type": "str", "required": True},
        "name": {"type": "str"},
        "list_regions": {"type": "bool", "default": False},
    }
).merge(azure_auth())


def observe(arm: Arm, options: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    group, name = options["resource_group"], options["name"]
    found = [managed_clusters.get(arm, group, name)] if name else managed_clusters.list_group(arm, group)
    seen = [clusters.view(body) for body in found if body]
    regions = {"regions": resource_groups.regions(arm)} if options["list_regions"] and not seen else {}
    return {"clusters": seen, **regions}


def main() -> None:
    module = OPTIONS.create_module()
    report(module, lambda: observe(Arm.connect(module.params, module.run_command), module.params))


if __name__ == "__main__":
    main()
