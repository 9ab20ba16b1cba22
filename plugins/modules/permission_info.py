#!/usr/bin/python
# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: permission_info
short_description: Ask Azure whether the caller may do something
version_added: 1.0.0
author:
  - azureops.pod_identity contributors (@azureops)
description:
  - Compares actions with the roles of the caller, with deny assignments (such as that of a locked-down node resource
    group) and with management locks, and names every action that is not possible, with the reason and what to do.
  - A scope that does not exist yet is answered for by its resource group, else by its subscription.
  - Nothing is tried, and nothing is written.
extends_documentation_fragment:
  - azureops.pod_identity._azure_auth
  - azureops.pod_identity._attributes
  - azureops.pod_identity._attributes.info_module
  - azureops.pod_identity._attributes.actiongroup_azure
options:
  needs:
    description: What will be done.
    type: list
    elements: dict
    required: true
    suboptions:
      scope:
        description:
          - Id of the resource, resource group or subscription where the actions take place.
          - One that begins with C(/resourceGroups) lies in O(subscription_id).
        type: str
        required: true
      actions:
        description: Actions as role definitions name them.
        type: list
        elements: str
        required: true
      certain:
        description: Whether it is needed for sure, not only if something changes; comes back with what is missing.
        type: bool
        default: true
notes:
  - Conditions of role assignments are not evaluated; what such an assignment grants counts as granted.
  - Members of a group that a deny assignment names are recognized by the groups in the access token.
seealso:
  - module: azureops.pod_identity.access_review_info
"""

EXAMPLES = r"""
- name: Ask before the first write
  azureops.pod_identity.permission_info:
    needs:
      - scope: /resourceGroups/pod-identity-demo
        actions:
          - Microsoft.ManagedIdentity/userAssignedIdentities/write
          - Microsoft.Authorization/roleAssignments/write
  register: asked

- name: Stop with everything that is missing
  ansible.builtin.assert:
    that: asked.missing | length == 0
    fail_msg: "{{ asked.missing | map(attribute='remedy') | unique | join(' ') }}"
"""

RETURN = r"""
missing:
  description: The actions that are not possible.
  returned: success
  type: list
  elements: dict
  contains:
    scope:
      description: The scope, as a full id.
      returned: always
      type: str
      sample: /subscriptions/7f1f4a5e-6a0f-4d0c-9a0e-2f8f8d1c2b3a/resourceGroups/pod-identity-demo
    action:
      description: The action.
      returned: always
      type: str
      sample: Microsoft.Authorization/roleAssignments/write
    certain:
      description: The O(needs[].certain) of what is missing.
      returned: always
      type: bool
      sample: true
    reason:
      description:
        - V(not_granted) by any role, V(denied) by a deny assignment, or V(locked).
      returned: always
      type: str
      sample: not_granted
    by:
      description: Name of the deny assignment or lock; empty where a role is missing.
      returned: always
      type: str
      sample: ""
    remedy:
      description: What to do, as a sentence.
      returned: always
      type: str
      sample: Somebody who may assign roles there has to give the caller a role with this action.
not_asked:
  description:
    - What the caller may not read, so that it could not be considered, with C(scope), C(what) (V(permissions),
      V(denyAssignments) or V(locks)) and C(message).
  returned: success
  type: list
  elements: dict
  sample: []
error:
  description: Answer of the service as data (C(code), C(message), C(status), and of Azure C(request_id)).
  returned: when Azure or the API server refuses a request
  type: dict
  sample: {code: SubscriptionNotFound, message: The subscription could not be found., status: 404}
"""

import typing as t
from dataclasses import asdict

from ansible_collections.azureops.pod_identity.plugins.module_utils._argspec import ArgumentSpec
from ansible_collections.azureops.pod_identity.plugins.module_utils._azure.client import Arm
from ansible_collections.azureops.pod_identity.plugins.module_utils._azure.permissions import Inquiry
from ansible_collections.azureops.pod_identity.plugins.module_utils._azure_options import azure_auth
from ansible_collections.azureops.pod_identity.plugins.module_utils._plan import report

OPTIONS = ArgumentSpec(
    options={
        "needs": {
            "type": "list",
            "elements": "dict",
            "required": True,
            "options": {
                "scope": {"type": "str", "required": True},
                "actions": {"type": "list", "elements": "str", "required": True},
                "certain": {"type": "bool", "default": True},
            },
        }
    }
).merge(azure_auth())


def observe(arm: Arm, options: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    inquiry = Inquiry(arm)
    found = [
        {**asdict(missing), "certain": need["certain"]}
        for need in options["needs"]
        for missing in inquiry.missing(need["scope"], need["actions"])
    ]
    return {"missing": found, "not_asked": inquiry.not_asked}


def main() -> None:
    module = OPTIONS.create_module()
    report(module, lambda: observe(Arm.connect(module.params, module.run_command), module.params))


if __name__ == "__main__":
    main()
