#!/usr/bin/python
# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: resource_group_info
short_description: Read an Azure resource group
version_added: 1.0.0
author:
  - azureops.pod_identity contributors (@azureops)
description:
  - Reads one resource group, and on request which resources are in it.
extends_documentation_fragment:
  - azureops.pod_identity._azure_auth
  - azureops.pod_identity._attributes
  - azureops.pod_identity._attributes.info_module
  - azureops.pod_identity._attributes.actiongroup_azure
options:
  name:
    description: Name of the resource group.
    type: str
    required: true
  list_resources:
    description: Whether to list the resources in the group too.
    type: bool
    default: false
seealso:
  - module: azureops.pod_identity.resource_group
"""

EXAMPLES = r"""
- name: Read a resource group and what is in it
  azureops.pod_identity.resource_group_info:
    name: pod-identity-demo
    list_resources: true
  register: found

- name: Show what a deletion would take along
  ansible.builtin.debug:
    msg: "{{ found.groups | map(attribute='resources') | flatten }}"
"""

RETURN = r"""
groups:
  description: The resource group; a group that does not exist gives an empty list.
  returned: success
  type: list
  elements: dict
  contains:
    id:
      description: Resource id of the group.
      returned: always
      type: str
      sample: /subscriptions/7f1f4a5e-6a0f-4d0c-9a0e-2f8f8d1c2b3a/resourceGroups/pod-identity-demo
    name:
      description: Name of the group.
      returned: always
      type: str
      sample: pod-identity-demo
    location:
      description: Region of the group.
      returned: always
      type: str
      sample: westeurope
    tags:
      description: Tags of the group.
      returned: always
      type: dict
      sample: {team: platform}
    provisioning_state:
      description: State of the last operation on the group; V(Deleting) for one that is about to be gone.
      returned: always
      type: str
      sample: Succeeded
    resources:
      description: Ids of the resources in the group. Azure may still list one that was deleted a moment ago.
      returned: with O(list_resources)
      type: list
      elements: str
      sample:
        - >-
          /subscriptions/7f1f4a5e-6a0f-4d0c-9a0e-2f8f8d1c2b3a/resourceGroups/pod-identity-demo/providers/Microsoft.ManagedIdentity/userAssignedIdentities/billing
error:
  description: Answer of the service as data (C(code), C(message), C(status), and of Azure C(request_id)).
  returned: when Azure or the API server refuses a request
  type: dict
  sample: {code: AuthorizationFailed, message: The client does not have authorization., status: 403}
"""

import typing as t

from ansible_collections.azureops.pod_identity.plugins.module_utils._argspec import ArgumentSpec
from ansible_collections.azureops.pod_identity.plugins.module_utils._azure import resource_groups
from ansible_collections.azureops.pod_identity.plugins.module_utils._azure.client import Arm
from ansible_collections.azureops.pod_identity.plugins.module_utils._azure_options import azure_auth
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.azure import groups
from ansible_collections.azureops.pod_identity.plugins.module_utils._plan import report

OPTIONS = ArgumentSpec(
    options={"name": {"type": "str", "required": True}, "list_resources": {"type": "bool", "default": False}}
).merge(azure_auth())


def observe(arm: Arm, options: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    name = options["name"]
    body = resource_groups.get(arm, name)
    if body is None:
        return {"groups": []}
    contents = {"resources": resource_groups.resources(arm, name)} if options["list_resources"] else {}
    return {"groups": [{**groups.view(body), **contents}]}


def main() -> None:
    module = OPTIONS.create_module()
    report(module, lambda: observe(Arm.connect(module.params, module.run_command), module.params))


if __name__ == "__main__":
    main()
