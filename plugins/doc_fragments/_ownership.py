# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this doc fragment is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

from __future__ import annotations


class ModuleDocFragment:
    # Must be kept in sync with ownership() in module_utils/_azure_options.py
    DOCUMENTATION = r"""
options:
  inventory:
    description:
      - What M(azureops.pod_identity.pod_identity_info) returned of the cluster. The identities that its workloads get
        are used, and stay.
      - Whoever may write an AzureIdentity, an AzureAssignedIdentity or the record of a helm release chooses what it
        names. So a managed identity that one of these names is known only if a principal of MIC holds the role Managed
        Identity Operator on it. Principals of MIC are the kubelets' identity, the system-assigned identities of the
        machines, that of the control plane where the add-on is on, and O(mic_principals).
      - The C(releases) that M(azureops.pod_identity.pod_identity_removal_info) returned may be added to it.
    type: dict
  known_identities:
    description:
      - Identities that pod identity is known to have given to pods, now or once. MIC itself keeps no record of what it
        attached, so what is known here decides what counts as its leftover.
    type: list
    elements: dict
    default: []
    suboptions: &told
      id:
        description: Resource id of the identity.
        type: str
        required: true
      source:
        description: Where that is known from, or what uses it, for the report.
        type: str
        required: true
  known_files:
    description:
      - Files in which pod identity's own objects are written down, as manifests, as C(kubectl get -o json) or helm
        showed them, as values of the chart, or in a restore bundle, as JSON or YAML.
      - Each identity that stands there in a field C(resourceID), as in an AzureIdentity, is known.
    type: list
    elements: path
    default: []
  used_identities:
    description: Identities that pods are still to get. They stay, also where they are known.
    type: list
    elements: dict
    default: []
    suboptions: *told
  activity_log_days:
    description:
      - How many days back the activity log of Azure is asked what MIC wrote to the scale sets of the resource group;
        it keeps 90. V(0) does not ask it.
      - Takes the right C(Microsoft.Insights/eventtypes/values/read) on the subscription. Where it is missing that is
        told, and nothing is known from there.
      - Of MIC's writes only those count whose content the log shows. How many there are besides is told.
    type: int
    default: 0
  mic_principals:
    description:
      - Object ids or client ids of the principals as which MIC wrote, for the activity log, besides the kubelets'
        identity or the service principal of the cluster, and the system-assigned identities of the machines.
      - Object ids count for the roles that prove what objects of the cluster name, too.
    type: list
    elements: str
    default: []
"""
