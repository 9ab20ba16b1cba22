#!/usr/bin/python
# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: federated_identity_exchange_info
short_description: Prove without a pod that federated credentials give tokens
version_added: 1.0.0
author:
  - azureops.pod_identity contributors (@azureops)
description:
  - Tries each federated credential of identities and applications that is for a service account of the connected
    cluster, with a token of that service account, and tells how many of the exchanges Entra granted.
  - Nothing is written. The only requests to the cluster are those for tokens of service accounts, which need the verb
    create on serviceaccounts/token in their namespaces and leave nothing behind. No token is kept or shown.
  - What it proves is that credential, issuer, subject, audience, tenant and client id fit each other. It proves neither
    that the webhook changes a pod, nor that a pod reaches the login host.
extends_documentation_fragment:
  - azureops.pod_identity._exchanges
  - azureops.pod_identity._azure_auth
  - azureops.pod_identity._azure_wait
  - azureops.pod_identity._kubernetes_auth
  - azureops.pod_identity._attributes
  - azureops.pod_identity._attributes.info_module
  - azureops.pod_identity._attributes.actiongroup_both
options:
  identity_ids:
    description: Resource ids of user-assigned managed identities.
    type: list
    elements: str
  resource_group:
    description: Resource group whose identities are all meant, too.
    type: str
  applications:
    description:
      - Applications, as AzureIdentities of type 1 and 2 name them. To read them, the application permission
        C(Application.Read.All) of Microsoft Graph is enough, as is C(Application.ReadWrite.OwnedBy).
    type: list
    elements: dict
    suboptions:
      app_id:
        description: Application (client) id.
        type: str
        required: true
      tenant:
        description: Tenant in which tokens are asked for; if unset, that of the task's own credential.
        type: str
  service_accounts:
    description: Only the credentials for these service accounts, each as C(namespace/name), are tried.
    type: list
    elements: str
seealso:
  - module: azureops.pod_identity.federated_identity_credential
  - module: azureops.pod_identity.application_federated_credential
  - module: azureops.pod_identity.pod_token_info
"""

EXAMPLES = r"""
- name: See whether Entra honours what the identities of a resource group trust
  azureops.pod_identity.federated_identity_exchange_info:
    resource_group: pod-identity-demo
    exchange_samples: 50
    exchange_seconds: 120
    kubeconfig: /etc/ansible/demo.kubeconfig
  register: tried

- name: Show what it does not
  ansible.builtin.debug:
    msg: "{{ tried.exchanges | rejectattr('proved') | map(attribute='message') }}"
"""

RETURN = r"""
exchanges:
  description: What was tried, by identity, application and federated credential.
  returned: success
  type: list
  elements: dict
  contains:
    identity_id:
      description: Resource id of the identity; empty for an application.
      returned: always
      type: str
      sample: >-
        /subscriptions/7f1f4a5e-6a0f-4d0c-9a0e-2f8f8d1c2b3a/resourceGroups/pod-identity-demo/providers/Microsoft.ManagedIdentity/userAssignedIdentities/billing
    app_id:
      description: Client id of the application; empty for an identity.
      returned: always
      type: str
      sample: ''
    credential:
      description: Name of the federated credential.
      returned: always
      type: str
      sample: demo-billing
    namespace:
      description: Namespace of the service account.
      returned: always
      type: str
      sample: billing
    service_account:
      description: Name of the service account.
      returned: always
      type: str
      sample: billing
    proved:
      description: Whether O(exchange_samples) were made, and at least the share O(exchange_min_rate) of them granted.
      returned: always
      type: bool
      sample: true
    code:
      description:
        - Why nothing is proved; empty where something is.
        - V(exchange_refused), V(foreign_issuer) for a credential of another cluster, V(subject_missing) where the
          service account does not exist, V(token_forbidden) where its token may not be asked for.
      returned: always
      type: str
      sample: ''
    message:
      description: The same in one sentence.
      returned: always
      type: str
      sample: ''
    asked:
      description: How many exchanges were made.
      returned: always
      type: int
      sample: 50
    granted:
      description: How many of them were granted.
      returned: always
      type: int
      sample: 49
    rate:
      description: Which share of them was granted.
      returned: always
      type: float
      sample: 0.98
    waited:
      description: Always 0, because this module does not wait for new credentials.
      returned: always
      type: int
      sample: 0
    codes:
      description: How often each code of Entra came.
      returned: always
      type: dict
      sample: {AADSTS700213: 1}
    first_failure:
      description: The first exchange that was refused, when (C(at), in UTC) and why (C(code), C(message)).
      returned: always; empty where none was
      type: dict
      sample: {at: '2026-11-30T01:00:00Z', code: AADSTS700213, message: 'AADSTS700213: No matching federated identity'}
    last_failure:
      description: The last one, with the keys of RV(exchanges[].first_failure).
      returned: always; empty where none was
      type: dict
      sample: {at: '2026-11-30T01:00:00Z', code: AADSTS700213, message: 'AADSTS700213: No matching federated identity'}
unread:
  description: Sentences about identities and applications that could not be read or do not exist.
  returned: success
  type: list
  elements: str
  sample: []
error:
  description: Answer of the service as data (C(code), C(message), C(status), and of Azure C(request_id)).
  returned: when Azure or the API server refuses a request
  type: dict
  sample: {code: ServiceRequestError, message: No answer came.}
"""

import functools
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.azureops.pod_identity.plugins.module_utils import _federation
from ansible_collections.azureops.pod_identity.plugins.module_utils._argspec import ArgumentSpec, kubernetes_auth
from ansible_collections.azureops.pod_identity.plugins.module_utils._azure.client import Arm
from ansible_collections.azureops.pod_identity.plugins.module_utils._azure.federated_credentials import Identity
from ansible_collections.azureops.pod_identity.plugins.module_utils._azure.graph import ApplicationHolder, Graph
from ansible_collections.azureops.pod_identity.plugins.module_utils._azure.identities import list_group
from ansible_collections.azureops.pod_identity.plugins.module_utils._azure_options import azure_auth, azure_wait
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.azure import arm_id, graph_answers
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.azure.exchanges import Sampling, accounts
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.azure.identities import require_id
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.client import connect
from ansible_collections.azureops.pod_identity.plugins.module_utils._plan import report

TEXTS = {"type": "list", "elements": "str"}
APPLICATION = {"app_id": {"type": "str", "required": True}, "tenant": {"type": "str"}}
OPTIONS = ArgumentSpec(
    options={
        "identity_ids": TEXTS,
        "resource_group": {"type": "str"},
        "applications": {"type": "list", "elements": "dict", "options": APPLICATION},
        "service_accounts": TEXTS,
    },
    required_one_of=(("identity_ids", "resource_group", "applications"),),
).merge(_federation.exchange_options(), azure_auth(), azure_wait(), kubernetes_auth())


def observe(module: AnsibleModule) -> dict[str, t.Any]:
    options = module.params
    sampling, only = Sampling.parse(options, options["wait_timeout"]), accounts(options["service_accounts"])
    identities = [require_id(each) for each in options["identity_ids"] or ()]
    applications = [
        (graph_answers.require_app_id(each["app_id"]), graph_answers.require_tenant(each["tenant"]))
        for each in options["applications"] or ()
    ]
    arm = Arm.connect(options, module.run_command)
    trial = _federation.Trial(arm, connect(options), only)
    for each in [*identities, *of_group(trial, arm, options["resource_group"])]:
        trial.add(Identity(arm, each))
    if applications:
        graph = Graph(arm)
        for app_id, tenant in applications:
            found = trial.readable(functools.partial(graph.application, app_id), f"application {app_id}")
            if found:
                trial.add(ApplicationHolder(graph, found, tenant or arm.tenant))
    return {"exchanges": trial.outcome(sampling), "unread": trial.unread}


def of_group(trial: _federation.Trial, arm: Arm, group: str | None) -> list[str]:
    if not group:
        return []
    path = arm_id.resource_group(arm.subscription, group)
    found = trial.readable(functools.partial(list_group, arm, path), f"resource group {group}")
    return sorted(str(body["id"]) for body in found or ())


def main() -> None:
    module = OPTIONS.create_module()
    report(module, lambda: observe(module))


if __name__ == "__main__":
    main()
