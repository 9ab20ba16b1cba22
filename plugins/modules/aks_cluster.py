#!/usr/bin/python
# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: aks_cluster
short_description: Manage an AKS cluster
version_added: 1.0.0
author:
  - azureops.pod_identity contributors (@azureops)
description:
  - Creates an AKS cluster with managed identities, changes what is named, or deletes it.
  - An option that is not set is not touched, and what this module does not know is carried through every update.
  - While AKS works on the cluster already, the module waits for that operation before it writes.
  - A cluster whose last operation failed is written again even when nothing else is to be changed, because that is
    how AKS is told to reconcile it.
extends_documentation_fragment:
  - azureops.pod_identity._azure_auth
  - azureops.pod_identity._azure_wait
  - azureops.pod_identity._restored_identities
  - azureops.pod_identity._tags
  - azureops.pod_identity._attributes
  - azureops.pod_identity._attributes.actiongroup_azure
attributes:
  check_mode:
    support: full
    details:
      - What Azure assigns to a new cluster is predicted as C((known after apply)).
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  resource_group:
    description: Resource group of the cluster.
    type: str
    required: true
  name:
    description: Name of the cluster.
    type: str
    required: true
  state:
    description: Whether the cluster exists.
    type: str
    choices: [present, absent]
    default: present
  location:
    description:
      - Azure region. Required when the cluster does not exist yet.
      - A cluster cannot move; another location is refused.
    type: str
  dns_prefix:
    description:
      - Prefix of the host name of the API server; for a new cluster the default is made of O(name). Cannot be changed.
    type: str
  kubernetes_version:
    description:
      - Version of the control plane, V(1.33.5) or only V(1.33). For a new cluster the default is that of AKS.
      - A change upgrades the control plane, and an older version is refused; the nodes follow
        O(agent_pools[].orchestrator_version).
    type: str
  network_plugin:
    description: Network plugin; for a new cluster the default is V(azure).
    type: str
    choices: [azure, kubenet, none]
  network_plugin_mode:
    description: Mode of the network plugin.
    type: str
    choices: [overlay]
  network_policy:
    description: Engine of the network policies.
    type: str
    choices: [azure, calico, cilium, none]
  service_cidr:
    description: Address range of the services. Cannot be changed.
    type: str
  dns_service_ip:
    description: Address of the cluster DNS service, inside O(service_cidr). Cannot be changed.
    type: str
  pod_cidr:
    description: Address range of the pods, where pods do not take addresses of the subnet.
    type: str
  node_resource_group:
    description: Resource group that AKS creates for the nodes. Cannot be changed.
    type: str
  agent_pools:
    description:
      - Agent pools to create or change; for a new cluster the default is one system pool C(nodepool1) of two nodes.
      - A pool that is not in the list is left alone.
    type: list
    elements: dict
    suboptions:
      name:
        description: Name of the pool.
        type: str
        required: true
      count:
        description: Number of nodes; for a new pool the default is V(2).
        type: int
      vm_size:
        description: Size of the nodes; for a new pool the default is V(Standard_D2s_v5). Cannot be changed.
        type: str
      mode:
        description:
          - Mode of the pool; the default of a new pool is V(System) for the first pool of a cluster and V(User) else.
        type: str
        choices: [System, User]
      os_type:
        description: Operating system; for a new pool the default is V(Linux). Cannot be changed.
        type: str
        choices: [Linux, Windows]
      vnet_subnet_id:
        description: Resource id of the subnet of the nodes. Cannot be changed.
        type: str
      max_pods:
        description: Pods per node at most. Cannot be changed.
        type: int
      node_labels:
        description: Labels of the nodes; a label that is not named stays.
        type: dict
      node_taints:
        description: Taints of the nodes, as C(key=value:effect); a taint that is not named stays.
        type: list
        elements: str
      orchestrator_version:
        description: Kubernetes version of the nodes, V(1.33.5) or only V(1.33).
        type: str
  user_assigned_identity:
    description:
      - Resource id of the user-assigned identity of the control plane.
      - A new cluster gets a system-assigned identity when this is unset.
    type: str
  kubelet_identity:
    description:
      - Resource id of an existing identity for the nodes, instead of the one that AKS creates.
      - Needs O(user_assigned_identity), which must hold the role Managed Identity Operator on it.
    type: str
  oidc_issuer_enabled:
    description: Whether the cluster publishes an OIDC issuer. AKS cannot switch it off again.
    type: bool
  workload_identity_enabled:
    description: Whether the Workload ID webhook of AKS is enabled; it needs O(oidc_issuer_enabled).
    type: bool
  private_cluster:
    description:
      - Whether the API server has a private address only; for a new cluster the default is V(false). Cannot be changed.
    type: bool
  authorized_ip_ranges:
    description:
      - Ranges of addresses that may reach the API server, such as V(203.0.113.0/24). Where there are none, every
        address may.
      - A range that is not in the list stays unless O(purge_authorized_ip_ranges=true).
      - The machine that runs the next task must lie in one of them. AKS refuses ranges for a private cluster.
    type: list
    elements: str
  purge_authorized_ip_ranges:
    description: Whether ranges that are not in O(authorized_ip_ranges) are removed.
    type: bool
    default: false
  purge_allow_empty:
    description:
      - Whether O(purge_authorized_ip_ranges=true) may remove the last range, which opens the API server to every
        address.
    type: bool
    default: false
  sku_tier:
    description: Tier of the control plane; for a new cluster the default is V(Free).
    type: str
    choices: [Free, Standard, Premium]
  enable_rbac:
    description: Whether Kubernetes RBAC is enabled; for a new cluster the default is V(true). Cannot be changed.
    type: bool
  wait:
    description: Whether to wait until AKS has finished.
    type: bool
    default: true
seealso:
  - module: azureops.pod_identity.aks_cluster_info
  - module: azureops.pod_identity.aks_kubeconfig
"""

EXAMPLES = r"""
- name: Create a cluster
  azureops.pod_identity.aks_cluster:
    resource_group: pod-identity-demo
    name: demo
    location: westeurope
    network_plugin: azure
    agent_pools:
      - name: nodepool1
        count: 2
        vm_size: Standard_D2s_v5
        mode: System

- name: Publish an OIDC issuer, and touch nothing else
  azureops.pod_identity.aks_cluster:
    resource_group: pod-identity-demo
    name: demo
    oidc_issuer_enabled: true

- name: Let the office alone reach the API server
  azureops.pod_identity.aks_cluster:
    resource_group: pod-identity-demo
    name: demo
    authorized_ip_ranges: [203.0.113.0/24]
    purge_authorized_ip_ranges: true

- name: Delete the cluster
  azureops.pod_identity.aks_cluster:
    resource_group: pod-identity-demo
    name: demo
    state: absent
"""

RETURN = r"""
state:
  description: The cluster; empty when it is absent.
  returned: success
  type: dict
  contains:
    id:
      description: Resource id of the cluster.
      returned: when the cluster is present
      type: str
      sample: >-
        /subscriptions/7f1f4a5e-6a0f-4d0c-9a0e-2f8f8d1c2b3a/resourcegroups/pod-identity-demo/providers/Microsoft.ContainerService/managedClusters/demo
    name:
      description: Name of the cluster.
      returned: when the cluster is present
      type: str
      sample: demo
    resource_group:
      description: Resource group of the cluster.
      returned: when the cluster is present
      type: str
      sample: pod-identity-demo
    location:
      description: Region of the cluster.
      returned: when the cluster is present
      type: str
      sample: westeurope
    tags:
      description: Tags of the cluster.
      returned: when the cluster is present
      type: dict
      sample: {team: platform}
    provisioning_state:
      description: State of the last operation on the cluster.
      returned: when the cluster is present
      type: str
      sample: Succeeded
    power_state:
      description: Whether the cluster runs; V(Running) or V(Stopped).
      returned: when the cluster is present
      type: str
      sample: Running
    kubernetes_version:
      description: Version of the control plane.
      returned: when the cluster is present
      type: str
      sample: 1.33.5
    dns_prefix:
      description: Prefix of the host name of the API server.
      returned: when the cluster is present
      type: str
      sample: demo-dns
    fqdn:
      description: Public host name of the API server; a private cluster may have none.
      returned: when the cluster is present
      type: str
      sample: demo-dns-1a2b3c4d.hcp.westeurope.azmk8s.io
    private_fqdn:
      description: Private host name of the API server; empty for a public cluster.
      returned: when the cluster is present
      type: str
      sample: ''
    private_cluster:
      description: Whether the API server has a private address only.
      returned: when the cluster is present
      type: bool
      sample: false
    authorized_ip_ranges:
      description: Ranges of addresses that may reach the API server; empty when every address may.
      returned: when the cluster is present
      type: list
      elements: str
      sample: [203.0.113.0/24]
    node_resource_group:
      description: Resource group of the nodes.
      returned: when the cluster is present
      type: str
      sample: MC_pod-identity-demo_demo_westeurope
    network_plugin:
      description: Network plugin of the cluster.
      returned: when the cluster is present
      type: str
      sample: azure
    network_plugin_mode:
      description: Mode of the network plugin; empty when there is none.
      returned: when the cluster is present
      type: str
      sample: overlay
    network_policy:
      description: Engine of the network policies; V(none) when there is none.
      returned: when the cluster is present
      type: str
      sample: none
    service_cidr:
      description: Address range of the services.
      returned: when the cluster is present
      type: str
      sample: 10.0.0.0/16
    dns_service_ip:
      description: Address of the cluster DNS service.
      returned: when the cluster is present
      type: str
      sample: 10.0.0.10
    pod_cidr:
      description: Address range of the pods; empty when pods take addresses of the subnet.
      returned: when the cluster is present
      type: str
      sample: 10.244.0.0/16
    sku_tier:
      description: Tier of the control plane.
      returned: when the cluster is present
      type: str
      sample: Free
    identity:
      description: Identity of the control plane; empty for a cluster with a service principal.
      returned: when the cluster is present
      type: dict
      contains:
        type:
          description: Kind of the identity, V(SystemAssigned) or V(UserAssigned).
          returned: when the cluster is present
          type: str
          sample: SystemAssigned
        principal_id:
          description: Object id of the identity.
          returned: when the cluster is present
          type: str
          sample: 5e0a8c0e-1c15-4a3a-8b70-7f6c1a8f0b52
        tenant_id:
          description: Tenant of the identity.
          returned: when the cluster is present
          type: str
          sample: 5e1c7a2b-93c4-4a58-8f43-6b1f0f6a2d10
        user_assigned_identities:
          description: Resource ids of the user-assigned identities.
          returned: when the cluster is present
          type: list
          elements: str
          sample: []
    kubelet_identity:
      description:
        - Identity of the nodes, which MIC uses. Empty while the cluster is created and for a cluster with a service
          principal.
      returned: when the cluster is present
      type: dict
      contains:
        resource_id:
          description: Resource id of the identity.
          returned: when the cluster is present
          type: str
          sample: >-
            /subscriptions/7f1f4a5e-6a0f-4d0c-9a0e-2f8f8d1c2b3a/resourcegroups/MC_pod-identity-demo_demo_westeurope/providers/Microsoft.ManagedIdentity/userAssignedIdentities/demo-agentpool
        client_id:
          description: Client id of the identity.
          returned: when the cluster is present
          type: str
          sample: c3a1d8c2-7c4f-4c58-91f2-0f2a0a1de1b4
        object_id:
          description: Object id of the identity, to which roles are assigned.
          returned: when the cluster is present
          type: str
          sample: 0b1f6d1e-8a4b-41f7-9d68-3e8f4f0f9c3d
    service_principal_client_id:
      description: Client id of the service principal of an old cluster; empty for a cluster with managed identities.
      returned: when the cluster is present
      type: str
      sample: ''
    oidc_issuer_enabled:
      description: Whether the cluster publishes an OIDC issuer.
      returned: when the cluster is present
      type: bool
      sample: true
    oidc_issuer_url:
      description: URL of the issuer, with its trailing slash; empty when there is none.
      returned: when the cluster is present
      type: str
      sample: >-
        https://westeurope.oic.prod-aks.azure.com/5e1c7a2b-93c4-4a58-8f43-6b1f0f6a2d10/0e3d2c1b-0a9f-4e8d-7c6b-5a4f3e2d1c0b/
    workload_identity_enabled:
      description: Whether the Workload ID webhook of AKS is enabled.
      returned: when the cluster is present
      type: bool
      sample: false
    pod_identity_profile:
      description: The pod identity add-on of AKS, as AKS reports it, in snake case.
      returned: when the cluster is present
      type: dict
      contains:
        enabled:
          description: Whether the add-on is enabled.
          returned: when the cluster is present
          type: bool
          sample: false
    enable_rbac:
      description: Whether Kubernetes RBAC is enabled.
      returned: when the cluster is present
      type: bool
      sample: true
    aad_enabled:
      description: Whether the cluster is integrated with Microsoft Entra.
      returned: when the cluster is present
      type: bool
      sample: false
    local_accounts_disabled:
      description: Whether the local administrator is disabled.
      returned: when the cluster is present
      type: bool
      sample: false
    agent_pools:
      description: The agent pools.
      returned: when the cluster is present
      type: list
      elements: dict
      contains:
        name:
          description: Name of the pool.
          returned: when the cluster is present
          type: str
          sample: nodepool1
        count:
          description: Number of nodes.
          returned: when the cluster is present
          type: int
          sample: 2
        vm_size:
          description: Size of the nodes.
          returned: when the cluster is present
          type: str
          sample: Standard_D2s_v5
        mode:
          description: Mode of the pool, V(System) or V(User).
          returned: when the cluster is present
          type: str
          sample: System
        os_type:
          description: Operating system, V(Linux) or V(Windows).
          returned: when the cluster is present
          type: str
          sample: Linux
        type:
          description: V(VirtualMachineScaleSets) or V(AvailabilitySet).
          returned: when the cluster is present
          type: str
          sample: VirtualMachineScaleSets
        orchestrator_version:
          description: Kubernetes version of the nodes.
          returned: when the cluster is present
          type: str
          sample: 1.33.5
        vnet_subnet_id:
          description: Subnet of the nodes; empty when AKS manages it.
          returned: when the cluster is present
          type: str
          sample: ''
        max_pods:
          description: Pods per node at most.
          returned: when the cluster is present
          type: int
          sample: 30
        node_labels:
          description: Labels of the nodes.
          returned: when the cluster is present
          type: dict
          sample: {}
        node_taints:
          description: Taints of the nodes.
          returned: when the cluster is present
          type: list
          elements: str
          sample: []
        provisioning_state:
          description: State of the last operation on the pool.
          returned: when the cluster is present
          type: str
          sample: Succeeded
identity_gap:
  description:
    - Identities that scale sets lacked after the change, and for how long; see O(restore_identities).
  returned: when a scale set lost identities
  type: list
  elements: dict
  contains:
    scale_set:
      description: Resource id of the scale set.
      returned: always
      type: str
      sample: >-
        /subscriptions/7f1f4a5e-6a0f-4d0c-9a0e-2f8f8d1c2b3a/resourceGroups/MC_pod-identity-demo_demo_westeurope/providers/Microsoft.Compute/virtualMachineScaleSets/aks-nodepool1-12345678-vmss
    identities:
      description: Resource ids of the identities.
      returned: always
      type: list
      elements: str
      sample: >-
        [/subscriptions/7f1f4a5e-6a0f-4d0c-9a0e-2f8f8d1c2b3a/resourceGroups/shop/providers/Microsoft.ManagedIdentity/userAssignedIdentities/billing]
    seconds:
      description:
        - Seconds from the first look after the change, at which they were missing, to the look at which they were back,
          or to the last one.
        - The loss itself lies before that, somewhere in the operation, and looks are O(poll_interval) apart. Pods may
          have been without tokens for longer.
      returned: always
      type: float
      sample: 184.2
    restored_by:
      description:
        - V(others) for MIC, AKS or a person, which cannot be told from each other here, V(task) for this task, or
          V(nobody) where they are still missing.
      returned: always
      type: str
      sample: others
permissions:
  description: What whoever makes the change must be allowed to do, apart from reading.
  returned: in check mode, once it is known what would be done
  type: list
  elements: dict
  contains:
    scope:
      description: Id of the resource or resource group.
      type: str
    actions:
      description: Actions there.
      type: list
      elements: str
  sample:
    - scope: >-
        /subscriptions/7f1f4a5e-6a0f-4d0c-9a0e-2f8f8d1c2b3a/resourceGroups/pod-identity-demo/providers/Microsoft.ContainerService/managedClusters/demo
      actions: [Microsoft.ContainerService/managedClusters/write]
actions:
  description: What was done, or in check mode what would be done.
  returned: always
  type: list
  elements: str
  sample: [create cluster demo]
changes:
  description: RV(actions) as data, in the same order.
  returned: always
  type: list
  elements: dict
  contains:
    verb:
      description: >-
        V(create), V(change), V(delete), V(adopt), V(reconcile), V(attach), V(detach), V(restart) or V(reimage).
      type: str
    kind:
      description: Resource type of ARM, kind of Kubernetes, or V(file).
      type: str
    id:
      description:
        - Id of the resource in ARM, namespace and name of the object, or path of the file.
        - V((known after apply\)) where only Azure can tell it.
      type: str
    why:
      description: What is changed of it, or for what; may be empty.
      type: str
  sample:
    - verb: create
      kind: Microsoft.ContainerService/managedClusters
      id: >-
        /subscriptions/7f1f4a5e-6a0f-4d0c-9a0e-2f8f8d1c2b3a/resourceGroups/pod-identity-demo/providers/Microsoft.ContainerService/managedClusters/demo
      why: ''
failed_action:
  description: The action that failed.
  returned: when an action fails
  type: str
  sample: create cluster demo
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
    verb: create
    kind: Microsoft.ContainerService/managedClusters
    id: >-
      /subscriptions/7f1f4a5e-6a0f-4d0c-9a0e-2f8f8d1c2b3a/resourceGroups/pod-identity-demo/providers/Microsoft.ContainerService/managedClusters/demo
    why: ''
error:
  description: Answer of the service as data (C(code), C(message), C(status), and of Azure C(request_id)).
  returned: when Azure or the API server refuses a request
  type: dict
  sample: {code: QuotaExceeded, message: The quota of cores is exceeded., status: 200}
"""

import functools
import typing as t

from ansible_collections.azureops.pod_identity.plugins.module_utils._argspec import ArgumentSpec
from ansible_collections.azureops.pod_identity.plugins.module_utils._azure import managed_clusters
from ansible_collections.azureops.pod_identity.plugins.module_utils._azure.client import Arm, Body
from ansible_collections.azureops.pod_identity.plugins.module_utils._azure.kept_identities import Watch
from ansible_collections.azureops.pod_identity.plugins.module_utils._azure_options import (
    azure_auth,
    azure_wait,
    restored_identities,
    tags,
)
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.azure import arm_id, clusters, needs
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.change import Change
from ansible_collections.azureops.pod_identity.plugins.module_utils._plan import KNOWN_AFTER_APPLY, Plan, Step, run

AGENT_POOL: dict[str, t.Any] = {
    "name": {"type": "str", "required": True},
    "count": {"type": "int"},
    "vm_size": {"type": "str"},
    "mode": {"type": "str", "choices": ["System", "User"]},
    "os_type": {"type": "str", "choices": ["Linux", "Windows"]},
    "vnet_subnet_id": {"type": "str"},
    "max_pods": {"type": "int"},
    "node_labels": {"type": "dict"},
    "node_taints": {"type": "list", "elements": "str"},
    "orchestrator_version": {"type": "str"},
}
OPTIONS = ArgumentSpec(
    options={
        "resource_group": {"type": "str", "required": True},
        "name": {"type": "str", "required": True},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "location": {"type": "str"},
        "dns_prefix": {"type": "str"},
        "kubernetes_version": {"type": "str"},
        "network_plugin": {"type": "str", "choices": ["azure", "kubenet", "none"]},
        "network_plugin_mode": {"type": "str", "choices": ["overlay"]},
        "network_policy": {"type": "str", "choices": ["azure", "calico", "cilium", "none"]},
        "service_cidr": {"type": "str"},
        "dns_service_ip": {"type": "str"},
        "pod_cidr": {"type": "str"},
        "node_resource_group": {"type": "str"},
        "agent_pools": {"type": "list", "elements": "dict", "options": AGENT_POOL},
        "user_assigned_identity": {"type": "str"},
        "kubelet_identity": {"type": "str"},
        "oidc_issuer_enabled": {"type": "bool"},
        "workload_identity_enabled": {"type": "bool"},
        "private_cluster": {"type": "bool"},
        "authorized_ip_ranges": {"type": "list", "elements": "str"},
        "purge_authorized_ip_ranges": {"type": "bool", "default": False},
        "purge_allow_empty": {"type": "bool", "default": False},
        "sku_tier": {"type": "str", "choices": ["Free", "Standard", "Premium"]},
        "enable_rbac": {"type": "bool"},
        "wait": {"type": "bool", "default": True},
    }
).merge(azure_auth(), azure_wait(), restored_identities(), tags())


def make_plan(arm: Arm, desired: t.Mapping[str, t.Any]) -> Plan:
    group, name = desired["resource_group"], desired["name"]
    if desired["state"] == "absent":
        return removal(arm, desired, managed_clusters.get(arm, group, name))
    # What an earlier run has begun is part of what there is: its end decides what is left to do.
    look = managed_clusters.settled if desired["wait"] else managed_clusters.get
    current = look(arm, group, name)
    before = clusters.view(current)
    body = clusters.fulfilled(current, desired)
    failed = current is not None and clusters.is_unsuccessful(current)
    if body == current and not failed:
        return Plan(before, before)
    identifier = arm_id.resource(arm.subscription, group, clusters.KIND, name)
    if current is None:
        outcome = clusters.predicted(
            body, subscription=arm.subscription, group=group, name=name, unknown=KNOWN_AFTER_APPLY
        )
        change = Change("create", clusters.KIND, identifier)
        summary = f"{change.verb} cluster {name}"
    else:
        outcome = clusters.expected(body, KNOWN_AFTER_APPLY)
        why = f"whose last operation ended as {before['provisioning_state']}" if failed else ""
        change = Change("reconcile" if body == current else "change", clusters.KIND, identifier, why)
        summary = f"{change.verb} cluster {name}" + (f", {why}" if why else "")

    def write() -> Body:
        doing = f"{summary.partition(',')[0].replace('cluster', 'the cluster', 1)} in the resource group {group}"
        return managed_clusters.write(
            arm, group, name, current, lambda now: clusters.fulfilled(now, desired), doing=doing, wait=desired["wait"]
        )

    watch = Watch(arm, desired)
    needed = clusters.needs_of_write(identifier, body, current)
    step = Step(summary, change, lambda: clusters.view(watch.around(current, write)), needs=needed)
    return Plan(before, clusters.view(outcome), (step,), watch=watch)


def removal(arm: Arm, desired: t.Mapping[str, t.Any], current: Body | None) -> Plan:
    group, name = desired["resource_group"], desired["name"]
    if current is None:
        return Plan({}, {})
    change = Change("delete", clusters.KIND, current["id"])
    step = Step(
        f"{change.verb} cluster {name}",
        change,
        lambda: managed_clusters.delete(arm, group, name, wait=desired["wait"]),
        needs=needs.on(current["id"], "delete"),
    )
    return Plan(clusters.view(current), {}, (step,))


def main() -> None:
    module = OPTIONS.create_module()
    arm = functools.partial(Arm.connect, module.params, module.run_command)
    run(module, lambda: make_plan(arm(), module.params), key="state")


if __name__ == "__main__":
    main()
