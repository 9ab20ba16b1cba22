#!/usr/bin/python
# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: azure_identity_binding
short_description: Manage an AzureIdentity and the AzureIdentityBinding that hands it to pods
version_added: 1.0.0
author:
  - azureops.pod_identity contributors (@azureops)
description:
  - Creates, changes or deletes one pair of C(AzureIdentity) and C(AzureIdentityBinding) of AAD Pod Identity
    (API group C(aadpodidentity.k8s.io/v1)), for service principals with the Secret that they need.
  - An object whose content already equals the wish is not written at all, neither label nor field manager, because
    any edit of it makes MIC assign the identity anew to every pod that uses it. The actions say how many pods those
    are.
  - Writes come in the order that leaves no pod without its identity, secret, identity, binding. Deletion is the
    reverse.
extends_documentation_fragment:
  - azureops.pod_identity._kubernetes_auth
  - azureops.pod_identity._attributes
  - azureops.pod_identity._attributes.actiongroup_kubernetes
attributes:
  check_mode:
    support: full
    details:
      - The server's dry run gives the prediction. Where the custom resource definitions are not installed yet, it is
        made without the server.
      - O(resource_id) and O(client_id) may be C((known after apply)) in check mode, and so may O(kubeconfig), for a
        cluster that is still to be created.
  diff_mode:
    support: full
    details: [Secret values are never shown; a change of one is.]
  idempotent:
    support: full
options:
  name:
    description: Name of the AzureIdentity.
    type: str
    required: true
  namespace:
    description:
      - Namespace of both objects. MIC looks for the identity of a binding in the namespace of the binding only.
    type: str
    required: true
  binding_name:
    description: Name of the AzureIdentityBinding; if unset, O(name).
    type: str
  state:
    description: Whether the pair exists.
    type: str
    choices: [present, absent]
    default: present
  type:
    description:
      - Kind of identity, V(0) user-assigned managed identity, V(1) service principal with a secret, V(2) service
        principal with a certificate.
      - If unset, that of the existing AzureIdentity, V(0) for a new one.
    type: int
    choices: [0, 1, 2]
  resource_id:
    description:
      - Resource id of the user-assigned managed identity. Needed for a new identity of O(type=0).
      - Compared with an existing one without regard to case, as Azure does.
    type: str
  client_id:
    description:
      - Client (application) id in lower case. Needed for a new identity.
      - NMI compares it exactly with what an application asks for, so other spellings are refused.
    type: str
  tenant_id:
    description: Tenant of the service principal. Needed for a new identity of O(type=1) or O(type=2).
    type: str
  auxiliary_tenant_ids:
    description: Further tenants of a service principal with O(type=1).
    type: list
    elements: str
  ad_resource_id:
    description: Value of C(adResourceID), for service principals.
    type: str
  ad_endpoint:
    description: Authority of the service principal's cloud; if unset, NMI uses that of the public cloud.
    type: str
  client_password:
    description:
      - Secret of the service principal with O(type=1), or password of O(client_certificate) with O(type=2).
      - Kept in the Secret of O(client_password_secret), which is created or changed when the value differs.
    type: str
  client_certificate:
    description:
      - Certificate and key of the service principal with O(type=2), a PKCS#12 file in base64.
      - NMI reads old algorithms only, C(openssl pkcs12 -export -keypbe PBE-SHA1-3DES -certpbe PBE-SHA1-3DES
        -macalg sha1).
    type: str
  client_password_secret:
    description:
      - Secret with the credential of a service principal.
      - Without O(client_password) or O(client_certificate) it must exist, and is only referred to.
      - With O(type=1) it must have exactly one key, because NMI takes any of them; with O(type=2) the keys
        C(certificate) and C(password).
    type: dict
    suboptions:
      name:
        description: Name of the Secret; if unset, O(name) followed by C(-credential).
        type: str
      namespace:
        description: Namespace of the Secret; if unset, O(namespace).
        type: str
  selector:
    description:
      - Value of the label C(aadpodidbinding) of the pods that get the identity. Needed for a new binding.
    type: str
  behavior:
    description:
      - V(namespaced) hands the identity only to pods of O(namespace), V(standard) to pods of every namespace.
      - If unset, an existing identity keeps its behavior; a new one is V(standard).
    type: str
    choices: [standard, namespaced]
  labels:
    description: Labels that both objects shall have; others stay.
    type: dict
  annotations:
    description: Annotations that both objects shall have; others stay.
    type: dict
  owner:
    description:
      - Value of the label C(azureops.pod-identity/owner), which tells the objects of several users of this
        collection in one cluster apart.
    type: str
    default: default
  adopt:
    description:
      - Take over objects that somebody else made, labels and field ownership included. MIC then assigns the identity
        anew to every pod that uses it, even where the content is equal.
      - Without it, a change of an object that carries another O(owner) or that another field manager would contest,
        and the deletion of an object that does not carry the labels of this collection and O(owner), are refused.
    type: bool
    default: false
  allow_in_use:
    description: Whether O(state=absent) may take the identity from pods that use it.
    type: bool
    default: false
  wait:
    description:
      - Wait until the identity is assigned to every scheduled pod that the binding matches.
      - In check mode nothing is waited for.
    type: bool
    default: false
  wait_timeout:
    description: Seconds to wait; the error then names the pods that are missing and the reason that MIC gives.
    type: int
    default: 120
  wait_sleep:
    description: Seconds between two looks.
    type: int
    default: 5
seealso:
  - module: azureops.pod_identity.user_assigned_identity
  - module: azureops.pod_identity.pod_token_info
"""

EXAMPLES = r"""
- name: Give the billing pods of every namespace their identity
  azureops.pod_identity.azure_identity_binding:
    kubeconfig: /etc/ansible/prod.kubeconfig
    name: billing
    namespace: billing
    selector: billing
    resource_id: "{{ billing.state.id }}"
    client_id: "{{ billing.state.client_id }}"
    wait: true

- name: A service principal with a secret, for pods of its own namespace only
  azureops.pod_identity.azure_identity_binding:
    name: reports
    namespace: reports
    selector: reports
    type: 1
    tenant_id: 5e1c7a2b-93c4-4a58-8f43-6b1f0f6a2d10
    client_id: 2f3e6a44-5a6c-4f0d-8d1e-5a8b1f0c9e77
    client_password: "{{ vault_reports_password }}"
    behavior: namespaced

- name: Take the pair away
  azureops.pod_identity.azure_identity_binding:
    name: billing
    namespace: billing
    state: absent
"""

RETURN = r"""
result:
  description: The pair as the cluster now has it, or in check mode would have it.
  returned: success
  type: dict
  contains:
    identity:
      description: The AzureIdentity without managed fields; empty when it is absent.
      returned: success
      type: dict
      sample:
        apiVersion: aadpodidentity.k8s.io/v1
        kind: AzureIdentity
        metadata: {name: billing, namespace: billing}
        spec: {type: 0, clientID: 2f3e6a44-5a6c-4f0d-8d1e-5a8b1f0c9e77}
    binding:
      description: The AzureIdentityBinding without managed fields; empty when it is absent.
      returned: success
      type: dict
      sample:
        apiVersion: aadpodidentity.k8s.io/v1
        kind: AzureIdentityBinding
        metadata: {name: billing, namespace: billing}
        spec: {azureIdentity: billing, selector: billing}
    secret:
      description: Where the credential of a service principal is, never the credential; empty for managed identities.
      returned: success
      type: dict
      contains:
        name:
          description: Name of the Secret.
          returned: for service principals
          type: str
          sample: reports-credential
        namespace:
          description: Namespace of the Secret.
          returned: for service principals
          type: str
          sample: reports
    matching_pods:
      description: Number of scheduled pods that the binding matches.
      returned: success
      type: int
      sample: 3
    assigned:
      description: The AzureAssignedIdentities of this identity, as they were seen last.
      returned: success
      type: list
      elements: dict
      sample:
        - name: api-7d9f8-x2x4k-billing-billing
          pod: api-7d9f8-x2x4k
          namespace: billing
          node: aks-nodepool1-12345678-vmss000000
          status: Assigned
actions:
  description: What was done, or in check mode what would be done.
  returned: always
  type: list
  elements: str
  sample:
    - create AzureIdentity billing/billing
    - create AzureIdentityBinding billing/billing (3 pods get the identity)
failed_action:
  description: The action that failed.
  returned: when an action fails
  type: str
  sample: create AzureIdentity billing/billing
error:
  description: The answer of the API server as data (C(code), C(message), C(status)).
  returned: when the API server refuses a request
  type: dict
  sample: {code: Forbidden, message: azureidentities.aadpodidentity.k8s.io is forbidden, status: 403}
"""

import functools
import typing as t
from dataclasses import replace

from ansible_collections.azureops.pod_identity.plugins.module_utils._argspec import ArgumentSpec, kubernetes_auth
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain import pair
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.errors import Failure
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube import pairs
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.client import Client, connect
from ansible_collections.azureops.pod_identity.plugins.module_utils._plan import (
    Plan,
    Step,
    known,
    predicting,
    run,
)

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

_COUNT_UNKNOWN = "The pods that use the identity are not counted, because this user may not list pods in the cluster."
_OFFLINE = "The cluster or its custom resource definitions are not there yet, so the prediction was made without them."


def observe(module: AnsibleModule, wish: pair.Wish) -> tuple[Client | None, pair.Observed]:
    """Without a client where there is no cluster to ask yet."""
    if not known(module, module.params["kubeconfig"]):
        return None, pair.Observed(offline=True)
    client = connect(module.params, module.tmpdir)
    observed = pairs.observe(client, wish)
    if observed is not None:
        return client, observed
    if module.params["state"] == "present" and not predicting(module):
        raise Failure(
            f"AzureIdentity {wish.namespace}/{wish.name} cannot be made, because the cluster {client.host} does not "
            "know azureidentities.aadpodidentity.k8s.io: install AAD Pod Identity first "
            "(role azureops.pod_identity.pod_identity_chart)."
        )
    return None, pair.Observed(offline=True)


def make_plan(module: AnsibleModule) -> Plan:
    params = module.params
    unknown = [value for value in (params["resource_id"], params["client_id"]) if not known(module, value)]
    wish = pair.Wish.parse(params, unknown)
    client, observed = observe(module, wish)
    if params["state"] == "present":
        decision = pair.decide_present(wish, observed)
    else:
        decision = pair.decide_absent(wish, observed, allow_in_use=params["allow_in_use"])
    result, steps = decision.result, make_steps(client, decision)
    if params["wait"] and client and not predicting(module):
        wait = functools.partial(
            pairs.wait_assigned if params["state"] == "present" else pairs.wait_released,
            client,
            wish,
            timeout=params["wait_timeout"],
            pause=params["wait_sleep"],
        )
        if steps:
            steps = (*steps[:-1], waiting(steps[-1], wait))
        else:
            result = {**result, **wait()}
    notes = [(observed.pods is None, _COUNT_UNKNOWN), (observed.offline and bool(steps), _OFFLINE)]
    warnings = decision.warnings + tuple(text for applies, text in notes if applies)
    return Plan(decision.before, decision.after, steps, result=result, warnings=warnings)


def waiting(step: Step, wait: t.Callable[[], dict[str, t.Any]]) -> Step:
    """The step with the wait at its end."""
    return replace(step, apply=lambda: {**(step.apply() or {}), **wait()})


def make_steps(client: Client | None, decision: pair.Decision) -> tuple[Step, ...]:
    if client is None:
        return tuple(Step(change.summary, apply=lambda: None) for change in decision.changes)
    writer = pairs.Writer(client, decision.result)
    return tuple(
        Step(
            change.summary,
            apply=functools.partial(writer.write, change),
            preview=functools.partial(writer.preview, change) if change.certain else None,
        )
        for change in decision.changes
    )


def argument_spec() -> ArgumentSpec:
    text = {"type": "str"}
    return ArgumentSpec(
        options={
            "name": {"type": "str", "required": True},
            "namespace": {"type": "str", "required": True},
            "binding_name": text,
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "type": {"type": "int", "choices": [0, 1, 2]},
            "resource_id": text,
            "client_id": text,
            "tenant_id": text,
            "auxiliary_tenant_ids": {"type": "list", "elements": "str"},
            "ad_resource_id": text,
            "ad_endpoint": text,
            "client_password": {"type": "str", "no_log": True},
            "client_certificate": {"type": "str", "no_log": True},
            "client_password_secret": {
                "type": "dict",
                "no_log": False,
                "options": {"name": text, "namespace": text},
            },
            "selector": text,
            "behavior": {"type": "str", "choices": ["standard", "namespaced"]},
            "labels": {"type": "dict"},
            "annotations": {"type": "dict"},
            "owner": {"type": "str", "default": "default"},
            "adopt": {"type": "bool", "default": False},
            "allow_in_use": {"type": "bool", "default": False},
            "wait": {"type": "bool", "default": False},
            "wait_timeout": {"type": "int", "default": 120},
            "wait_sleep": {"type": "int", "default": 5},
        }
    ).merge(kubernetes_auth())


def main() -> None:
    module = argument_spec().create_module()
    run(module, lambda: make_plan(module), key="result")


if __name__ == "__main__":
    main()
