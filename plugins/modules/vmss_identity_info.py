#!/usr/bin/python
# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: vmss_identity_info
short_description: Look at the identities of scale sets and virtual machines
version_added: 1.0.0
author:
  - azureops.pod_identity contributors (@azureops)
description:
  - Tells which identities scale sets and virtual machines carry, which of them a cluster needs and why, and which are
    dead.
  - Tells of each whether it is a leftover of pod identity, as far as O(known_identities), O(known_files) and
    O(activity_log_days) let that be known, and whether M(azureops.pod_identity.vmss_identity) with C(state=clean)
    would detach it.
  - Every pod on the nodes can take the identities that they carry where NMI does not stand in between.
extends_documentation_fragment:
  - azureops.pod_identity._carriers
  - azureops.pod_identity._ownership
  - azureops.pod_identity._azure_auth
  - azureops.pod_identity._attributes
  - azureops.pod_identity._attributes.info_module
  - azureops.pod_identity._attributes.actiongroup_azure
options:
  identities:
    description:
      - Resource ids of identities that M(azureops.pod_identity.vmss_identity) would be told to detach too, with
        C(state=clean), where nobody knows anything of them.
    type: list
    elements: str
    default: []
  check_existence:
    description:
      - Whether to look which of the identities still exist.
      - Takes one request for each resource group that they are in.
    type: bool
    default: false
notes:
  - Needs to read the scale sets and virtual machines, the resource group that they are in and its cluster; with
    O(check_existence) C(Microsoft.ManagedIdentity/userAssignedIdentities/read) too.
seealso:
  - module: azureops.pod_identity.vmss_identity
"""

EXAMPLES = r"""
- name: Look at the scale sets of a cluster
  azureops.pod_identity.vmss_identity_info:
    resource_group: rg-shop
    cluster_name: shop
    check_existence: true
  register: found

- name: Show what was deleted and is still attached
  ansible.builtin.debug:
    msg: "{{ found.resources | map(attribute='identities') | flatten | selectattr('ghost') | map(attribute='id') }}"

- name: Look what MIC left, where the chart is long gone
  azureops.pod_identity.vmss_identity_info:
    resource_group: rg-shop
    cluster_name: shop
    check_existence: true
    activity_log_days: 90
    known_files:
      - /srv/git/shop/azure-identities.yml
  register: left

- name: Show it, and why
  ansible.builtin.debug:
    msg: >-
      {{ left.resources | map(attribute='identities') | flatten
         | azureops.pod_identity.table(['id', 'ownership', 'ownership_because']) }}
"""

RETURN = r"""
resources:
  description: The scale sets and virtual machines that exist.
  returned: success
  type: list
  elements: dict
  contains:
    id:
      description: Resource id.
      returned: always
      type: str
      sample: >-
        /subscriptions/7f1f4a5e-6a0f-4d0c-9a0e-2f8f8d1c2b3a/resourceGroups/MC_rg-shop_shop_westeurope/providers/Microsoft.Compute/virtualMachineScaleSets/aks-nodepool1-12345678-vmss
    name:
      description: Name.
      returned: always
      type: str
      sample: aks-nodepool1-12345678-vmss
    type:
      description: V(scale_set) or V(virtual_machine).
      returned: always
      type: str
      sample: scale_set
    provisioning_state:
      description: State of the last operation on it.
      returned: always
      type: str
      sample: Succeeded
    system_assigned:
      description: Whether it has an identity of its own.
      returned: always
      type: bool
      sample: false
    system_assigned_principal_id:
      description: Object id of the identity of its own; empty where there is none.
      returned: always
      type: str
      sample: ""
    identities:
      description: The user-assigned identities there, sorted by id.
      returned: always
      type: list
      elements: dict
      contains:
        id:
          description: Resource id of the identity.
          returned: always
          type: str
          sample: >-
            /subscriptions/7f1f4a5e-6a0f-4d0c-9a0e-2f8f8d1c2b3a/resourceGroups/rg-shop/providers/Microsoft.ManagedIdentity/userAssignedIdentities/billing
        client_id:
          description: Client id of the identity; empty where it was deleted, or is being attached.
          returned: always
          type: str
          sample: 6f0c5c0e-1a2b-4c3d-8e4f-5a6b7c8d9e0f
        principal_id:
          description: Object id of the identity; empty where it was deleted, or is being attached.
          returned: always
          type: str
          sample: b1d9c1c8-1f5a-4a0e-9a74-0a6d5a3a7c21
        exists:
          description:
            - Whether an identity with this id exists; V(null) without O(check_existence), and where it may not be read.
          returned: always
          type: bool
          sample: true
        ghost:
          description:
            - Whether what is attached is dead, because the identity was deleted, even if there is a new one of the same
              name. V(null) where that is not known, as without O(check_existence), or while the scale set changes.
          returned: always
          type: bool
          sample: false
        protected:
          description: Whether M(azureops.pod_identity.vmss_identity) would refuse to detach it.
          returned: always
          type: bool
          sample: true
        protected_because:
          description: Why it would be refused; empty where nothing speaks for it.
          returned: always
          type: str
          sample: it is the identity of the kubelets of the cluster shop
        protected_code:
          description:
            - RV(resources[].identities[].protected_because) as a code, empty where nothing speaks for it.
            - V(named) in O(protected_identities); V(control_plane), V(kubelet), V(addon) and V(pod_identity_addon) for
              what the cluster uses it for; V(named_by_cluster) elsewhere in its resource; V(unknown), where nobody can
              tell what the cluster needs.
          returned: always
          type: str
          sample: kubelet
        ownership:
          description:
            - V(protected), where a cluster needs it or O(protected_identities) names it, or where nobody can tell which
              identities the cluster needs.
            - V(used), where it is in O(used_identities).
            - V(ghost), where the identity was deleted, even if there is a new one of the same name.
            - V(removable), where pod identity is known to have handled it, so that it is its leftover.
            - V(unknown), where nothing is known of it. It may belong to somebody else, and stays unless it is named.
            - The first of these that is true counts.
          returned: always
          type: str
          sample: removable
        ownership_because:
          description: Why.
          returned: always
          type: str
          sample: known from the activity log (MIC wrote it on 2026-05-01)
        removable:
          description:
            - Whether M(azureops.pod_identity.vmss_identity) with C(state=clean) would detach it. That is so for
              V(removable), for V(ghost) where it was looked up that the identity is gone or was made again, and for
              V(unknown) where it is in O(identities).
          returned: always
          type: bool
          sample: true
        claimed:
          description: Whether it is V(unknown) although objects of the cluster name it.
          returned: always
          type: bool
          sample: false
cluster_id:
  description: Resource id of the cluster that the scale sets belong to; empty where that cannot be told.
  returned: success
  type: str
  sample: >-
    /subscriptions/7f1f4a5e-6a0f-4d0c-9a0e-2f8f8d1c2b3a/resourcegroups/rg-shop/providers/Microsoft.ContainerService/managedClusters/shop
unread:
  description:
    - Sentences about what could not be told, such as the cluster, the identities of a resource group, or what MIC
      wrote.
  returned: success
  type: list
  elements: str
  sample: []
error:
  description: Answer of the service as data (C(code), C(message), C(status), and of Azure C(request_id)).
  returned: when Azure or the API server refuses a request
  type: dict
  sample: {code: AuthorizationFailed, message: The client does not have authorization., status: 403}
"""

import typing as t

from ansible_collections.azureops.pod_identity.plugins.module_utils._argspec import ArgumentSpec
from ansible_collections.azureops.pod_identity.plugins.module_utils._azure import attached_identities as azure
from ansible_collections.azureops.pod_identity.plugins.module_utils._azure import ownership as known
from ansible_collections.azureops.pod_identity.plugins.module_utils._azure.client import Arm
from ansible_collections.azureops.pod_identity.plugins.module_utils._azure_options import (
    azure_auth,
    carriers,
    ownership,
)
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.azure import attached_identities as attached
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.azure import ownership as judged
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.azure import protected_identities
from ansible_collections.azureops.pod_identity.plugins.module_utils._plan import report

OPTIONS = ArgumentSpec(
    options={
        "identities": {"type": "list", "elements": "str", "default": []},
        "check_existence": {"type": "bool", "default": False},
    }
).merge(carriers(), ownership(), azure_auth())


def observe(arm: Arm, options: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    where = azure.place(arm, options)
    found = azure.carriers(arm, options, where)
    cluster, unknown = azure.owner(arm, where, found) if found else (where.cluster, "")
    protection = protected_identities.protection(cluster, unknown, options["protected_identities"])
    existing = None
    unread: dict[str, str] = {}
    if options["check_existence"]:
        existing, unread = azure.client_ids(arm, (identity.id for each in found for identity in each.identities))
    named = attached.wanted(options["identities"])
    claims, undetermined = known.claims(arm, options, cluster, found, named=named)
    undetermined += azure.elsewhere(arm, options, where)
    return {
        "resources": [judged.report(each, protection, claims, existing, unread) for each in found],
        "cluster_id": str((cluster or {}).get("id", "")),
        "unread": [sentence for sentence in (protection.gap, *unread.values(), *undetermined) if sentence],
    }


def main() -> None:
    module = OPTIONS.create_module()
    report(module, lambda: observe(Arm.connect(module.params, module.run_command), module.params))


if __name__ == "__main__":
    main()
