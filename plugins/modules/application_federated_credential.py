#!/usr/bin/python
# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: application_federated_credential
short_description: Manage the federated credentials of an application, for identities of type 1 and 2
version_added: 1.0.0
author:
  - azureops.pod_identity contributors (@azureops)
description:
  - Creates, changes or deletes one federated credential of an application in Microsoft Entra, or a list of them. With
    it the pods of a service account get tokens of its service principal from Microsoft Entra Workload ID, without a
    secret.
  - AzureIdentities of type 1 and 2 are such service principals. Their client id is O(app_id).
  - It asks Microsoft Graph. The least rights are the application permission C(Application.ReadWrite.OwnedBy) of
    Microsoft Graph together with ownership of the application; C(Application.ReadWrite.All) is enough without
    ownership. A person who owns the application, or has the Entra role Application Administrator or Cloud Application
    Administrator, may do it as well. Roles of Azure, such as Owner of a subscription, do not count there.
  - Entra takes 20 federated credentials per application. They are counted before anything is written.
  - Names are compared without regard to case; issuer, subject and audience exactly, as Entra compares them.
  - What matches an expression in the place of a subject is neither changed nor removed.
extends_documentation_fragment:
  - azureops.pod_identity._federated_credentials
  - azureops.pod_identity._exchanges
  - azureops.pod_identity._azure_auth
  - azureops.pod_identity._azure_wait
  - azureops.pod_identity._kubernetes_auth
  - azureops.pod_identity._attributes
  - azureops.pod_identity._attributes.actiongroup_both
attributes:
  check_mode:
    support: full
    details:
      - O(issuer) may be C((known after apply)) in check mode. The issuer of a cluster that does not exist yet, or has
        none yet, is predicted as that.
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  app_id:
    description: Application (client) id of the application, as it is in C(clientID) of an AzureIdentity of type 1 or 2.
    type: str
    required: true
  exchange_tenant:
    description:
      - Tenant in which tokens of the application are asked for, with O(wait_exchange). That of its service principal,
        as it is in C(tenantID) of the AzureIdentity; an application may have several.
      - If unset, that of the task's own credential.
    type: str
seealso:
  - module: azureops.pod_identity.federated_identity_credential
  - module: azureops.pod_identity.federated_identity_exchange_info
"""

EXAMPLES = r"""
- name: Let the pods of a service account be a service principal
  azureops.pod_identity.application_federated_credential:
    app_id: 5f6b5c2e-7f0c-4b57-9a41-6d2b6a0e9d51
    name: demo-billing
    cluster_resource_group: pod-identity-demo
    cluster_name: demo
    namespace: billing
    service_account: billing

- name: Trust these service accounts and no others, and see that Entra does
  azureops.pod_identity.application_federated_credential:
    app_id: 5f6b5c2e-7f0c-4b57-9a41-6d2b6a0e9d51
    cluster_resource_group: pod-identity-demo
    cluster_name: demo
    credentials:
      - name: demo-daily
        namespace: reports
        service_account: daily
      - name: demo-monthly
        namespace: reports
        service_account: monthly
    purge_credentials: true
    wait_exchange: true
    exchange_samples: 50
    exchange_seconds: 120
    kubeconfig: /etc/ansible/demo.kubeconfig
    wait_timeout: 300

- name: Trust it no more
  azureops.pod_identity.application_federated_credential:
    app_id: 5f6b5c2e-7f0c-4b57-9a41-6d2b6a0e9d51
    name: demo-billing
    state: absent
"""

RETURN = r"""
state:
  description: The application with all its federated credentials; empty when the application does not exist.
  returned: success
  type: dict
  contains:
    app_id:
      description: Application (client) id.
      returned: when the application exists
      type: str
      sample: 5f6b5c2e-7f0c-4b57-9a41-6d2b6a0e9d51
    object_id:
      description: Object id of the application, not of its service principal.
      returned: when the application exists
      type: str
      sample: 0d1b5a3e-2c3b-4a61-8f2e-9b7d6c5a4f30
    name:
      description: Display name of the application.
      returned: when the application exists
      type: str
      sample: billing
    credentials:
      description: All federated credentials of the application by name, also those that were not named.
      returned: when the application exists
      type: list
      elements: dict
      contains:
        name:
          description: Name of the federated credential.
          returned: always
          type: str
          sample: demo-billing
        issuer:
          description: Issuer of the tokens. In check mode C((known after apply)) for that of a cluster to be created.
          returned: always
          type: str
          sample: >-
            https://westeurope.oic.prod-aks.azure.com/5e1c7a2b-93c4-4a58-8f43-6b1f0f6a2d10/2f3e6a44-5a6c-4f0d-8d1e-5a8b1f0c9e77/
        subject:
          description: Subject of the tokens; empty for a credential that matches an expression.
          returned: always
          type: str
          sample: system:serviceaccount:billing:billing
        audiences:
          description: Audience of the tokens.
          returned: always
          type: list
          elements: str
          sample: [api://AzureADTokenExchange]
        namespace:
          description: Namespace of the service account; empty for another subject.
          returned: always
          type: str
          sample: billing
        service_account:
          description: Name of the service account; empty for another subject.
          returned: always
          type: str
          sample: billing
kept_credentials:
  description: Federated credentials that would have been removed, and stay because this module never removes them.
  returned: always, once they are known
  type: list
  elements: dict
  contains:
    name:
      description: Name of the federated credential.
      returned: always
      type: str
      sample: repo-branches
    reason:
      description:
        - V(identity_binding_credential), that of AKS for identity bindings, or V(flexible_credential), one that matches
          an expression in the place of a subject.
      returned: always
      type: str
      sample: flexible_credential
exchanges:
  description: What the exchanges have proved, by federated credential. No token is kept or shown.
  returned: with wait_exchange, outside of check mode
  type: list
  elements: dict
  contains:
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
    asked:
      description: How many exchanges were made, from the first that was granted on.
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
      description: How many exchanges were refused before the first that was granted.
      returned: always
      type: int
      sample: 3
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
permissions:
  description: What whoever makes the change must be allowed to do, apart from reading.
  returned: in check mode, once it is known what would be done
  type: list
  elements: dict
  contains:
    application:
      description: Object id of the application, which must be owned.
      type: str
    graph_permissions:
      description: The least permissions of Microsoft Graph for that.
      type: list
      elements: str
  sample:
    - application: 0d1b5a3e-2c3b-4a61-8f2e-9b7d6c5a4f30
      graph_permissions: [Application.ReadWrite.OwnedBy]
actions:
  description: What was done, or in check mode what would be done.
  returned: always
  type: list
  elements: str
  sample: [create federated credential demo-billing]
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
      kind: Microsoft.Graph/applications/federatedIdentityCredentials
      id: applications/0d1b5a3e-2c3b-4a61-8f2e-9b7d6c5a4f30/federatedIdentityCredentials/demo-billing
      why: ''
failed_action:
  description: The action that failed.
  returned: when an action fails
  type: str
  sample: create federated credential demo-billing
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
    kind: Microsoft.Graph/applications/federatedIdentityCredentials
    id: applications/0d1b5a3e-2c3b-4a61-8f2e-9b7d6c5a4f30/federatedIdentityCredentials/demo-billing
    why: ''
error:
  description: Answer of the service as data (C(code), C(message), C(status), and of Azure C(request_id)).
  returned: when Azure or the API server refuses a request
  type: dict
  sample: {code: Authorization_RequestDenied, message: Insufficient privileges to complete the operation., status: 403}
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.azureops.pod_identity.plugins.module_utils import _federation
from ansible_collections.azureops.pod_identity.plugins.module_utils._argspec import ArgumentSpec, kubernetes_auth
from ansible_collections.azureops.pod_identity.plugins.module_utils._azure.client import Arm
from ansible_collections.azureops.pod_identity.plugins.module_utils._azure.graph import ApplicationHolder, Graph
from ansible_collections.azureops.pod_identity.plugins.module_utils._azure_options import azure_auth, azure_wait
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.azure import graph_answers
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.errors import Failure
from ansible_collections.azureops.pod_identity.plugins.module_utils._plan import Plan, run

OPTIONS = ArgumentSpec(
    options={"app_id": {"type": "str", "required": True}, "exchange_tenant": {"type": "str"}},
).merge(_federation.credential_options(), _federation.exchange_options(), azure_auth(), azure_wait(), kubernetes_auth())


def make_plan(module: AnsibleModule) -> Plan:
    options, wishes = module.params, _federation.Wishes(module)
    app_id = graph_answers.require_app_id(options["app_id"])
    tenant = graph_answers.require_tenant(options["exchange_tenant"])
    arm = Arm.connect(options, module.run_command)
    graph = Graph(arm)
    application = graph.application(app_id)
    if application is None:
        if wishes.absent:
            return Plan({}, {}, extra_results={"kept_credentials": []})
        raise Failure(
            f"The tenant of this credential has no application with the client id {app_id}; name the client id of an "
            "application, which a managed identity is not, and log in to the tenant where it is registered."
        )
    holder = ApplicationHolder(graph, application, tenant or arm.tenant)
    return _federation.plan(module, arm, wishes, holder, holder.credentials)


def main() -> None:
    module = OPTIONS.create_module()
    run(module, lambda: make_plan(module), key="state")


if __name__ == "__main__":
    main()
