# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this doc fragment is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

from __future__ import annotations


class ModuleDocFragment:
    # Must be kept in sync with carriers() in module_utils/_azure_options.py
    DOCUMENTATION = r"""
options:
  resource_id:
    description:
      - Resource id of one scale set or virtual machine.
      - It may lie in any resource group and in another subscription than O(subscription_id).
    type: str
  node_resource_group:
    description:
      - Name of a resource group. All its scale sets are meant, and its virtual machines that are in no scale set.
    type: str
  resource_group:
    description: Resource group of the cluster O(cluster_name), not that of its nodes.
    type: str
  cluster_name:
    description:
      - Name of a managed cluster.
      - Alone with O(resource_group) it stands for its node resource group, as in O(node_resource_group).
      - Besides O(resource_id) or O(node_resource_group) it says whose nodes they are. If unset, that is read from the
        resource group, which names the cluster that manages it.
    type: str
  provider_ids:
    description:
      - What C(spec.providerID) of the nodes of the cluster says. The scale sets and virtual machines that they are on
        are meant too, where they lie in O(further_resource_groups), such as node pools that somebody manages himself.
      - Whoever registers a node chooses its providerID. So what lies elsewhere is left alone, and is told.
    type: list
    elements: str
    default: []
  further_resource_groups:
    description:
      - Resource groups, by name or by id, in which nodes of the cluster may lie besides its node resource group.
      - A resource group of another cluster is refused.
    type: list
    elements: str
    default: []
  protected_identities:
    description:
      - Resource ids of identities that must stay, besides those that the cluster itself names (control plane, kubelet,
        add-ons, pod identity add-on).
    type: list
    elements: str
    default: []
"""
