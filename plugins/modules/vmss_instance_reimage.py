#!/usr/bin/python
# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: vmss_instance_reimage
short_description: Reimage an instance of a scale set
version_added: 1.0.0
author:
  - azureops.pod_identity contributors (@azureops)
description:
  - Gives the machine a new system disk from the image of its scale set and starts it. It keeps name, addresses and
    identities; whatever was on its system disk and in its kernel is gone, such as NAT rules.
  - Another operation on the instance is waited for.
  - What Kubernetes says of a node proves nothing about its instance. Name O(node) and O(node_resource_group) where the
    id comes from there, and another instance than that of the node is refused before anything is sent.
extends_documentation_fragment:
  - azureops.pod_identity._azure_auth
  - azureops.pod_identity._azure_wait
  - azureops.pod_identity._attributes
  - azureops.pod_identity._attributes.actiongroup_azure
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: none
    details: [Each run reimages the instance; ask first whether it is needed.]
options:
  instance:
    description:
      - Resource id of the instance,
        C(/subscriptions/.../virtualMachineScaleSets/.../virtualMachines/...).
    type: str
    required: true
  node:
    description:
      - Name of the Kubernetes node that the instance has to be. The name of its computer is compared with it.
    type: str
  node_resource_group:
    description:
      - Resource id of the node resource group of the cluster, C(/subscriptions/.../resourceGroups/...), in which the
        instance has to lie.
    type: str
  busy_timeout:
    description: Seconds of O(wait_timeout) that another operation on the instance is waited for.
    type: int
    default: 600
notes:
  - Nothing is drained. Drain a node of Kubernetes before, for example with M(kubernetes.core.k8s_drain).
  - Azure says that it is done when the new system has been provisioned; its kubelet may take a while longer.
  - Needs C(Microsoft.Compute/virtualMachineScaleSets/virtualMachines/read) and
    C(Microsoft.Compute/virtualMachineScaleSets/virtualMachines/reimage/action).
seealso:
  - module: azureops.pod_identity.aks_node_info
"""

EXAMPLES = r"""
- name: Give a node a new system
  azureops.pod_identity.vmss_instance_reimage:
    instance: "{{ aks_node.scale_set }}/virtualMachines/{{ aks_node.instance_id }}"
    node: "{{ aks_node.name }}"
    node_resource_group: "{{ fleet.node_resource_group }}"
"""

RETURN = r"""
state:
  description: The instance.
  returned: success
  type: dict
  contains:
    id:
      description: Resource id of the instance.
      returned: always
      type: str
      sample: >-
        /subscriptions/5e1c7a2b/resourceGroups/MC_rg-shop_shop_westeurope/providers/Microsoft.Compute/virtualMachineScaleSets/aks-nodepool1-12345678-vmss/virtualMachines/0
    name:
      description: Name of the instance.
      returned: always
      type: str
      sample: aks-nodepool1-12345678-vmss_0
    reimaged:
      description: Whether this task gave it a new system, or would have in check mode.
      returned: always
      type: bool
      sample: true
started:
  description:
    - Whether Azure may have begun before it failed. V(false) means that the instance is as it was.
  returned: when the reimage fails, or is refused because of O(node) or O(node_resource_group)
  type: bool
  sample: false
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
        /subscriptions/7f1f4a5e-6a0f-4d0c-9a0e-2f8f8d1c2b3a/resourceGroups/MC_rg-shop_shop_westeurope/providers/Microsoft.Compute/virtualMachineScaleSets/aks-nodepool1-12345678-vmss/virtualMachines/0
      actions: [Microsoft.Compute/virtualMachineScaleSets/virtualMachines/reimage/action]
actions:
  description: What was done, or in check mode what would be done.
  returned: always
  type: list
  elements: str
  sample: [reimage instance 0 of the scale set aks-nodepool1-12345678-vmss]
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
    - verb: reimage
      kind: Microsoft.Compute/virtualMachineScaleSets/virtualMachines
      id: >-
        /subscriptions/7f1f4a5e-6a0f-4d0c-9a0e-2f8f8d1c2b3a/resourceGroups/MC_rg-shop_shop_westeurope/providers/Microsoft.Compute/virtualMachineScaleSets/aks-nodepool1-12345678-vmss/virtualMachines/0
      why: ''
failed_action:
  description: The action that failed.
  returned: when an action fails
  type: str
  sample: reimage instance 0 of the scale set aks-nodepool1-12345678-vmss
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
    verb: reimage
    kind: Microsoft.Compute/virtualMachineScaleSets/virtualMachines
    id: >-
      /subscriptions/7f1f4a5e-6a0f-4d0c-9a0e-2f8f8d1c2b3a/resourceGroups/MC_rg-shop_shop_westeurope/providers/Microsoft.Compute/virtualMachineScaleSets/aks-nodepool1-12345678-vmss/virtualMachines/0
    why: ''
error:
  description: Answer of the service as data (C(code), C(message), C(status), and of Azure C(request_id)).
  returned: when Azure or the API server refuses a request
  type: dict
  sample: {code: Conflict, message: The request failed due to conflict with a concurrent request., status: 409}
"""

import functools
import typing as t

from ansible_collections.azureops.pod_identity.plugins.module_utils._argspec import ArgumentSpec
from ansible_collections.azureops.pod_identity.plugins.module_utils._azure import scale_sets
from ansible_collections.azureops.pod_identity.plugins.module_utils._azure.client import Arm
from ansible_collections.azureops.pod_identity.plugins.module_utils._azure_options import azure_auth, azure_wait
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.azure import (
    arm_id,
    attached_identities,
    needs,
)
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.change import Change
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.errors import Failure
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.nodes import cluster_nodes
from ansible_collections.azureops.pod_identity.plugins.module_utils._plan import Plan, Step, run

OPTIONS = ArgumentSpec(
    options={
        "instance": {"type": "str", "required": True},
        "node": {"type": "str"},
        "node_resource_group": {"type": "str"},
        "busy_timeout": {"type": "int", "default": 600},
    }
).merge(azure_auth(), azure_wait())


def refuse(reason: str) -> None:
    if reason:
        raise Failure(reason, results={"started": False})


def make_plan(arm: Arm, options: t.Mapping[str, t.Any]) -> Plan:
    instance = options["instance"]
    if arm_id.parse(instance).type.lower() != attached_identities.INSTANCE.lower():
        raise Failure(
            f"{instance} is no instance of a scale set; its id ends in "
            "/virtualMachineScaleSets/NAME/virtualMachines/NUMBER."
        )
    what = scale_sets.name_of(instance)
    refuse(cluster_nodes.outside(instance, what, options["node_resource_group"]))
    current = scale_sets.get_instance(arm, instance)
    if current is None:
        raise Failure(f"There is no {what}; check the id, and whether an autoscaler took it away.")
    refuse(cluster_nodes.other_computer(current, what, options["node"]))
    before = {"id": current["id"], "name": current["name"], "reimaged": False}
    change = Change("reimage", attached_identities.INSTANCE, current["id"])
    step = Step(
        f"{change.verb} {what}",
        change,
        lambda: scale_sets.reimage(arm, instance, busy_timeout=options["busy_timeout"]),
        needs=needs.on(instance, "reimage/action"),
    )
    return Plan(before, {**before, "reimaged": True}, (step,))


def main() -> None:
    module = OPTIONS.create_module()
    arm = functools.partial(Arm.connect, module.params, module.run_command)
    run(module, lambda: make_plan(arm(), module.params), key="state")


if __name__ == "__main__":
    main()
