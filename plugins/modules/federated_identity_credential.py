#!/usr/bin/python
# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: federated_identity_credential
short_description: Manage the federated credentials of a user-assigned managed identity
version_added: 1.0.0
author:
  - azureops.pod_identity contributors (@azureops)
description:
  - Creates, changes or deletes one federated credential of an identity, or a list of them. With it the pods of a
    service account get tokens of the identity from Microsoft Entra Workload ID.
  - Azure takes 20 federated credentials per identity. They are counted before anything is written.
  - Azure takes one write at a time per identity, and about one in 4 seconds. The module writes one after the other, and
    waits where others write too.
  - Names are compared without regard to case; issuer, subject and audience exactly, as Entra compares them.
extends_documentation_fragment:
  - azureops.pod_identity._azure_auth
  - azureops.pod_identity._azure_wait
  - azureops.pod_identity._kubernetes_auth
  - azureops.pod_identity._attributes
  - azureops.pod_identity._attributes.actiongroup_azure
attributes:
  check_mode:
    support: full
    details:
      - O(identity_id) and O(issuer) may be C((known after apply)) in check mode. The issuer of a cluster that does not
        exist yet, or has none yet, is predicted as that.
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  resource_group:
    description: Resource group of the identity.
    type: str
  identity_name:
    description: Name of the identity.
    type: str
  identity_id:
    description: Resource id of the identity, instead of O(resource_group) and O(identity_name).
    type: str
  name:
    description:
      - Name of one federated credential, 3 to 120 letters, digits, hyphens and underscores.
      - Either this or O(credentials) is required.
    type: str
  issuer:
    description:
      - Issuer of the tokens to trust, exactly as it is in the tokens. A slash at its end matters.
      - Needed for a new credential, unless O(cluster_name) is set. An existing one keeps its issuer if unset.
      - With O(credentials), that of the entries that name none.
    type: str
  cluster_resource_group:
    description: Resource group of O(cluster_name).
    type: str
  cluster_name:
    description: An AKS cluster of the subscription whose OIDC issuer is used instead of O(issuer).
    type: str
  subject:
    description:
      - Subject of the tokens to trust, exactly as it is in the tokens.
      - Needed for a new credential, unless O(service_account) is set. An existing one keeps its subject if unset.
    type: str
  namespace:
    description: Namespace of O(service_account).
    type: str
  service_account:
    description:
      - Kubernetes service account to trust, instead of O(subject), which becomes
        C(system:serviceaccount:namespace:service_account).
    type: str
  audiences:
    description:
      - Audience of the tokens to trust. Azure takes exactly one.
      - If unset, a new credential has that of the cloud, V(api://AzureADTokenExchange) in the public one, and an
        existing credential keeps what it has.
      - With O(credentials), that of the entries that name none.
    type: list
    elements: str
  credentials:
    description: Federated credentials of the identity, instead of a single one.
    type: list
    elements: dict
    suboptions:
      name:
        description: As O(name).
        type: str
        required: true
      issuer:
        description: As O(issuer), for this credential.
        type: str
      subject:
        description: As O(subject).
        type: str
      namespace:
        description: As O(namespace).
        type: str
      service_account:
        description: As O(service_account).
        type: str
      audiences:
        description: As O(audiences), for this credential.
        type: list
        elements: str
  purge_credentials:
    description: Whether federated credentials of the identity that are not in O(credentials) are removed.
    type: bool
    default: false
  purge_allow_empty:
    description: Whether O(purge_credentials) may remove all, because O(credentials) is empty.
    type: bool
    default: false
  wait_exchange:
    description:
      - Wait until Entra gives a token of the identity for a token of each service account. It takes Entra seconds to
        minutes to know a new credential, and some requests still fail in the first minutes.
      - The cluster is asked for tokens of the service accounts, which must exist. The user of the connection needs the
        verb create on serviceaccounts/token in their namespaces. The options of the connection, such as O(kubeconfig),
        are for this only. No token is kept or shown.
      - Credentials for other subjects than service accounts are not tried. In check mode nothing is tried.
    type: bool
    default: false
  state:
    description: Whether the federated credentials exist. For V(absent) only their names matter.
    type: str
    choices: [present, absent]
    default: present
seealso:
  - module: azureops.pod_identity.user_assigned_identity
  - module: azureops.pod_identity.federated_identity_credential_info
"""

EXAMPLES = r"""
- name: Let the pods of a service account be an identity
  azureops.pod_identity.federated_identity_credential:
    resource_group: pod-identity-demo
    identity_name: billing
    name: demo-billing
    cluster_resource_group: pod-identity-demo
    cluster_name: demo
    namespace: billing
    service_account: billing

- name: Trust these service accounts and no others, and wait until Entra does
  azureops.pod_identity.federated_identity_credential:
    resource_group: pod-identity-demo
    identity_name: reports
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
    kubeconfig: /etc/ansible/demo.kubeconfig
    wait_timeout: 300

- name: Trust it no more
  azureops.pod_identity.federated_identity_credential:
    resource_group: pod-identity-demo
    identity_name: billing
    name: demo-billing
    state: absent
"""

RETURN = r"""
state:
  description: The identity with all its federated credentials; empty when the identity does not exist.
  returned: success
  type: dict
  contains:
    identity_id:
      description: Resource id of the identity.
      returned: when the identity exists
      type: str
      sample: >-
        /subscriptions/7f1f4a5e-6a0f-4d0c-9a0e-2f8f8d1c2b3a/resourceGroups/pod-identity-demo/providers/Microsoft.ManagedIdentity/userAssignedIdentities/billing
    credentials:
      description: All federated credentials of the identity by name, also those that were not named.
      returned: when the identity exists
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
          description: Subject of the tokens.
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
permissions:
  description: What whoever makes the change has to be allowed, apart from reading.
  returned: in check mode, once it is known what would be done
  type: list
  elements: dict
  contains:
    scope:
      description: Id of the resource or resource group.
      returned: always
      type: str
      sample: >-
        /subscriptions/7f1f4a5e-6a0f-4d0c-9a0e-2f8f8d1c2b3a/resourceGroups/pod-identity-demo/providers/Microsoft.ManagedIdentity/userAssignedIdentities/billing/federatedIdentityCredentials/billing
    actions:
      description: Actions there.
      returned: always
      type: list
      elements: str
      sample: [Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials/write]
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
      description: V(create), V(change) or V(delete).
      returned: always
      type: str
      sample: create
    kind:
      description: The resource type of ARM.
      returned: always
      type: str
      sample: Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials
    id:
      description: Id of the resource, V((known after apply\)) where only Azure can tell it.
      returned: always
      type: str
      sample: >-
        /subscriptions/7f1f4a5e-6a0f-4d0c-9a0e-2f8f8d1c2b3a/resourceGroups/pod-identity-demo/providers/Microsoft.ManagedIdentity/userAssignedIdentities/billing/federatedIdentityCredentials/demo-billing
    why:
      description: What is changed of it, or for what; may be empty.
      returned: always
      type: str
      sample: ''
  sample:
    - verb: create
      kind: Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials
      id: >-
        /subscriptions/7f1f4a5e-6a0f-4d0c-9a0e-2f8f8d1c2b3a/resourceGroups/pod-identity-demo/providers/Microsoft.ManagedIdentity/userAssignedIdentities/billing/federatedIdentityCredentials/demo-billing
      why: ''
failed_action:
  description: The action that failed.
  returned: when an action fails
  type: str
  sample: create federated credential demo-billing
failed_change:
  description: RV(failed_action) as data, with the keys of an entry of RV(changes).
  returned: when an action fails
  type: dict
  sample:
    verb: create
    kind: Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials
    id: >-
      /subscriptions/7f1f4a5e-6a0f-4d0c-9a0e-2f8f8d1c2b3a/resourceGroups/pod-identity-demo/providers/Microsoft.ManagedIdentity/userAssignedIdentities/billing/federatedIdentityCredentials/demo-billing
    why: ''
error:
  description: The answer of the service as data (C(code), C(message), C(request_id), C(status)).
  returned: when Azure, Entra or the cluster refuses a request
  type: dict
  sample: {code: AuthorizationFailed, message: The client does not have authorization., status: 403}
"""

import functools
import typing as t
from dataclasses import replace

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.azureops.pod_identity.plugins.module_utils._argspec import ArgumentSpec, kubernetes_auth
from ansible_collections.azureops.pod_identity.plugins.module_utils._azure import federated_credentials as service
from ansible_collections.azureops.pod_identity.plugins.module_utils._azure import managed_clusters
from ansible_collections.azureops.pod_identity.plugins.module_utils._azure.client import Arm
from ansible_collections.azureops.pod_identity.plugins.module_utils._azure_options import azure_auth, azure_wait
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.azure import arm_id, federated, identities
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.errors import Failure
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.client import connect
from ansible_collections.azureops.pod_identity.plugins.module_utils._plan import (
    KNOWN_AFTER_APPLY,
    Plan,
    Step,
    behind_write,
    known,
    predicting,
    run,
)
from ansible_collections.azureops.pod_identity.plugins.module_utils._progress import teller

TEXT = {"type": "str"}
ENTRY = {
    "issuer": TEXT,
    "subject": TEXT,
    "namespace": TEXT,
    "service_account": TEXT,
    "audiences": {"type": "list", "elements": "str"},
}
OPTIONS = ArgumentSpec(
    options={
        "resource_group": TEXT,
        "identity_name": TEXT,
        "identity_id": TEXT,
        "name": TEXT,
        **ENTRY,
        "cluster_resource_group": TEXT,
        "cluster_name": TEXT,
        "credentials": {
            "type": "list",
            "elements": "dict",
            "options": {"name": {"type": "str", "required": True}, **ENTRY},
            "mutually_exclusive": [("subject", "service_account")],
            "required_together": [("namespace", "service_account")],
        },
        "purge_credentials": {"type": "bool", "default": False},
        "purge_allow_empty": {"type": "bool", "default": False},
        "wait_exchange": {"type": "bool", "default": False},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    },
    mutually_exclusive=(
        ("identity_id", "identity_name"),
        ("identity_id", "resource_group"),
        ("issuer", "cluster_name"),
        ("subject", "service_account"),
        ("name", "credentials"),
        ("subject", "credentials"),
        ("service_account", "credentials"),
    ),
    required_together=(
        ("resource_group", "identity_name"),
        ("cluster_resource_group", "cluster_name"),
        ("namespace", "service_account"),
    ),
    required_one_of=(("identity_id", "identity_name"), ("name", "credentials")),
    required_if=(("purge_credentials", True, ("credentials",)),),
).merge(azure_auth(), azure_wait(), kubernetes_auth())


def make_plan(module: AnsibleModule) -> Plan:
    options, absent = module.params, module.params["state"] == "absent"
    entries = [options] if options["credentials"] is None else options["credentials"]
    purge = options["purge_credentials"] and not absent
    federated.refuse_empty(entries, purge=purge, allowed=options["purge_allow_empty"])
    arm = Arm.connect(options, module.run_command, teller(module))
    identity = options["identity_id"] or arm_id.resource(
        arm.subscription, options["resource_group"], identities.KIND, options["identity_name"]
    )
    issuer, warnings = (None, ()) if absent else default_issuer(arm, module)
    wanted = federated.desired_list(entries, issuer, options["audiences"])
    for desired in wanted:
        known(module, desired.issuer)
    found = service.list_all(arm, identity) if known(module, identity) else None
    if absent:
        decision = federated.decide_absent(found or (), wanted)
    else:
        decision = federated.decide_present(
            arm_id.last_segment(identity),
            found or (),
            wanted,
            default_audience=arm.cloud.exchange_audience,
            purge=purge,
            unknown=KNOWN_AFTER_APPLY,
        )
    steps = tuple(
        Step(
            write.summary,
            write.change(identity),
            functools.partial(service.carry_out, arm, identity, write),
            needs=service.needs_of(identity, write),
        )
        for write in decision.writes
    )
    if options["wait_exchange"] and not absent and not predicting(module):
        names = {desired.key for desired in wanted}
        steps = proven(module, arm, identity, [one for one in decision.after if one.key in names], steps)
    before = {} if found is None else view(identity, found)
    after = view(identity, decision.after) if steps else before
    return Plan(before, after, steps, warnings=(*warnings, *decision.warnings))


def default_issuer(arm: Arm, module: AnsibleModule) -> tuple[str | None, tuple[str, ...]]:
    """The issuer of entries that name none, and what a prediction says of it."""
    group, name = module.params["cluster_resource_group"], module.params["cluster_name"]
    if not name:
        return module.params["issuer"], ()
    try:
        return federated.cluster_issuer(name, group, managed_clusters.get(arm, group, name)), ()
    except Failure as failure:
        if not predicting(module):
            raise
        return KNOWN_AFTER_APPLY, (failure.sentence,)


def proven(
    module: AnsibleModule,
    arm: Arm,
    identity: str,
    credentials: t.Sequence[federated.Credential],
    steps: tuple[Step, ...],
) -> tuple[Step, ...]:
    """The steps with the wait for an exchange at their end; without a step it is waited for at once."""
    client = connect(module.params)
    accounts = {one: account for one in credentials if (account := federated.service_account(one.subject))}

    def assertion(credential: federated.Credential) -> str:
        return client.service_account_token(*accounts[credential], credential.audiences[0])

    wait = functools.partial(service.prove, arm, identity, tuple(accounts), assertion)
    if not steps:
        wait()
        return ()

    def write_and_wait() -> None:
        steps[-1].apply()
        behind_write(wait)

    return (*steps[:-1], replace(steps[-1], apply=write_and_wait))


def view(identity: str, credentials: t.Iterable[federated.Credential]) -> dict[str, t.Any]:
    return {"identity_id": identity, "credentials": [one.view() for one in credentials]}


def main() -> None:
    module = OPTIONS.create_module()
    run(module, lambda: make_plan(module), key="state")


if __name__ == "__main__":
    main()
