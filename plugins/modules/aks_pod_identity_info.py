#!/usr/bin/python
# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: aks_pod_identity_info
short_description: Read the pod identity add-on of an AKS cluster
version_added: 1.0.0
author:
  - azureops.pod_identity contributors (@azureops)
description:
  - Reads the pod identity add-on of an AKS cluster with its identities and exceptions.
extends_documentation_fragment:
  - azureops.pod_identity._azure_auth
  - azureops.pod_identity._azure_wait
  - azureops.pod_identity._attributes
  - azureops.pod_identity._attributes.info_module
  - azureops.pod_identity._attributes.actiongroup_azure
options:
  resource_group:
    description: Resource group of the cluster.
    type: str
    required: true
  cluster_name:
    description: Name of the cluster.
    type: str
    required: true
  wait:
    description:
      - Whether to wait until AKS has ended what it does with the cluster, so that what is read stays until somebody
        changes it again.
    type: bool
    default: false
seealso:
  - module: azureops.pod_identity.aks_pod_identity
  - module: azureops.pod_identity.aks_cluster_info
"""

EXAMPLES = r"""
- name: Read what the add-on hands out, once AKS has ended what it does
  azureops.pod_identity.aks_pod_identity_info:
    resource_group: pod-identity-demo
    cluster_name: demo
    wait: true
  register: found

- name: Show what AKS could not assign
  ansible.builtin.debug:
    msg: >-
      {{ found.addons | map(attribute='identities') | flatten
         | rejectattr('provisioning_state', 'equalto', 'Assigned') }}
"""

RETURN = r"""
addons:
  description: The add-on of the cluster, also where it is off; a cluster that does not exist gives an empty list.
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
    enabled:
      description: Whether the add-on is on.
      returned: always
      type: bool
      sample: true
    allow_network_plugin_kubenet:
      description: Whether the add-on may run with kubenet.
      returned: always
      type: bool
      sample: false
    identities:
      description: The pod identities, by namespace and name.
      returned: always
      type: list
      elements: dict
      contains:
        namespace:
          description: Namespace of the pods.
          returned: always
          type: str
          sample: shop
        name:
          description: Name of the pod identity.
          returned: always
          type: str
          sample: billing
        identity:
          description: Resource id of the user-assigned identity.
          returned: always
          type: str
          sample: >-
            /subscriptions/7f1f4a5e-6a0f-4d0c-9a0e-2f8f8d1c2b3a/resourcegroups/pod-identity-demo/providers/Microsoft.ManagedIdentity/userAssignedIdentities/billing
        client_id:
          description: Client id of the identity.
          returned: always
          type: str
          sample: c3a1d8c2-7c4f-4c58-91f2-0f2a0a1de1b4
        object_id:
          description: Object id of the identity.
          returned: always
          type: str
          sample: 0b1f6d1e-8a4b-41f7-9d68-3e8f4f0f9c3d
        binding_selector:
          description: Value of the label C(aadpodidbinding) of the pods that get the identity.
          returned: always
          type: str
          sample: money
        provisioning_state:
          description: State of the entry; V(Assigned) where pods can get tokens.
          returned: always
          type: str
          sample: Assigned
        provisioning_error:
          description: Why AKS could not assign the identity (C(code), C(message)); empty where it could.
          returned: always
          type: dict
          sample: {}
    exceptions:
      description: The exceptions, by namespace and name.
      returned: always
      type: list
      elements: dict
      contains:
        namespace:
          description: Namespace of the pods.
          returned: always
          type: str
          sample: infra
        name:
          description: Name of the exception.
          returned: always
          type: str
          sample: controller
        pod_labels:
          description: Labels of the pods.
          returned: always
          type: dict
          sample: {app: controller}
error:
  description: Answer of the service as data (C(code), C(message), C(status), and of Azure C(request_id)).
  returned: when Azure or the API server refuses a request
  type: dict
  sample: {code: AuthorizationFailed, message: The client does not have authorization., status: 403}
"""

import typing as t

from ansible_collections.azureops.pod_identity.plugins.module_utils._argspec import ArgumentSpec
from ansible_collections.azureops.pod_identity.plugins.module_utils._azure import managed_clusters
from ansible_collections.azureops.pod_identity.plugins.module_utils._azure.client import Arm
from ansible_collections.azureops.pod_identity.plugins.module_utils._azure_options import azure_auth, azure_wait
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.azure import addon
from ansible_collections.azureops.pod_identity.plugins.module_utils._plan import report

OPTIONS = ArgumentSpec(
    options={
        "resource_group": {"type": "str", "required": True},
        "cluster_name": {"type": "str", "required": True},
        "wait": {"type": "bool", "default": False},
    }
).merge(azure_auth(), azure_wait())


def observe(arm: Arm, options: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    read = managed_clusters.settled if options["wait"] else managed_clusters.get
    body = read(arm, options["resource_group"], options["cluster_name"])
    return {"addons": [addon.view(body)] if body else []}


def main() -> None:
    module = OPTIONS.create_module()
    report(module, lambda: observe(Arm.connect(module.params, module.run_command), module.params))


if __name__ == "__main__":
    main()
