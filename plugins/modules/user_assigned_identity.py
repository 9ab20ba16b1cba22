#!/usr/bin/python
# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: user_assigned_identity
short_description: Manage a user-assigned managed identity
version_added: 1.0.0
author:
  - azureops.pod_identity contributors (@azureops)
description:
  - Creates a user-assigned managed identity, changes its tags, or deletes it.
  - Its client id is what an AzureIdentity names, its principal id is what roles are assigned to.
extends_documentation_fragment:
  - azureops.pod_identity._azure_auth
  - azureops.pod_identity._tags
  - azureops.pod_identity._attributes
  - azureops.pod_identity._attributes.actiongroup_azure
requirements:
  - azure-mgmt-msi >= 7.0.0
attributes:
  check_mode:
    support: full
    details:
      - The ids that Azure assigns to a new identity are predicted as C((known after apply)).
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  resource_group:
    description: Resource group of the identity.
    type: str
    required: true
  name:
    description: Name of the identity.
    type: str
    required: true
  location:
    description:
      - Azure region of a new identity; if unset, that of the resource group.
      - An existing identity cannot move; another location is refused.
    type: str
  state:
    description: Whether the identity exists.
    type: str
    choices: [present, absent]
    default: present
seealso:
  - module: azureops.pod_identity.role_assignment
  - module: azureops.pod_identity.azure_identity_binding
"""

EXAMPLES = r"""
- name: Create the identity of the billing pods
  azureops.pod_identity.user_assigned_identity:
    resource_group: pod-identity-demo
    name: billing
  register: billing

- name: Delete it
  azureops.pod_identity.user_assigned_identity:
    resource_group: pod-identity-demo
    name: billing
    state: absent
"""

RETURN = r"""
state:
  description: The identity; empty when it is absent.
  returned: success
  type: dict
  contains:
    id:
      description: Resource id of the identity.
      returned: when the identity is present
      type: str
      sample: >-
        /subscriptions/7f1f4a5e-6a0f-4d0c-9a0e-2f8f8d1c2b3a/resourcegroups/pod-identity-demo/providers/Microsoft.ManagedIdentity/userAssignedIdentities/billing
    name:
      description: Name of the identity.
      returned: when the identity is present
      type: str
      sample: billing
    resource_group:
      description: Resource group of the identity.
      returned: when the identity is present
      type: str
      sample: pod-identity-demo
    location:
      description: Region of the identity.
      returned: when the identity is present
      type: str
      sample: westeurope
    client_id:
      description: Client (application) id. In check mode C((known after apply)) for an identity to be created.
      returned: when the identity is present
      type: str
      sample: 2f3e6a44-5a6c-4f0d-8d1e-5a8b1f0c9e77
    principal_id:
      description: Object id of its service principal. In check mode C((known after apply)) for an identity to be created.
      returned: when the identity is present
      type: str
      sample: b1d9c1c8-1f5a-4a0e-9a74-0a6d5a3a7c21
    tenant_id:
      description: Tenant of the identity. In check mode C((known after apply)) for an identity to be created.
      returned: when the identity is present
      type: str
      sample: 5e1c7a2b-93c4-4a58-8f43-6b1f0f6a2d10
    tags:
      description: Tags of the identity.
      returned: when the identity is present
      type: dict
      sample: {team: platform}
actions:
  description: What was done, or in check mode what would be done.
  returned: always
  type: list
  elements: str
  sample: [create identity billing]
failed_action:
  description: The action that failed.
  returned: when an action fails
  type: str
  sample: create identity billing
error:
  description: The answer of the service as data (C(code), C(message), C(request_id), C(status)).
  returned: when Azure refuses a request
  type: dict
  sample: {code: ResourceGroupNotFound, message: Resource group 'x' could not be found., status: 404}
"""
