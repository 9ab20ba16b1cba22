#!/usr/bin/python
# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: azure_identity_binding
short_description: Manage AzureIdentities and the AzureIdentityBindings that hand them to pods
version_added: 1.0.0
author:
  - azureops.pod_identity contributors (@azureops)
description:
  - Creates, changes or deletes pairs of C(AzureIdentity) and C(AzureIdentityBinding) of AAD Pod Identity (API group
    C(aadpodidentity.k8s.io/v1)), for service principals with the Secret that they need. One pair, or a whole list of
    them.
  - An object whose content is as desired already is not written at all, neither label nor field manager, because
    any edit of it, and so O(adopt), makes MIC assign the identity anew to every pod that uses it. The actions say how
    many pods those are.
  - Writes come in the order that leaves no pod without its identity, secret, identity, binding. Deletion is the
    reverse, and comes last.
  - What could not work is refused before the first write.
extends_documentation_fragment:
  - azureops.pod_identity._owned_list
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
    description: Name of the AzureIdentity. One of O(name) and O(bindings) is needed.
    type: str
  namespace:
    description:
      - Namespace of both objects. MIC looks for the identity of a binding in the namespace of the binding only.
      - Needed with O(name); with O(bindings) that of the entries that name none.
    type: str
  binding_name: &binding_name
    description: Name of the AzureIdentityBinding; if unset, O(name).
    type: str
  only: &only
    description:
      - Half of the pair that is meant, V(identity) or V(binding); if unset, both.
      - With V(binding) the AzureIdentity may be somebody else's, and options of an identity have no place.
    type: str
    choices: [identity, binding]
  state:
    description: Whether the pair exists.
    type: str
    choices: [present, absent]
    default: present
  type: &type
    description:
      - Kind of identity, V(0) user-assigned managed identity, V(1) service principal with a secret, V(2) service
        principal with a certificate.
      - If unset, that of the existing AzureIdentity, V(0) for a new one.
    type: int
    choices: [0, 1, 2]
  resource_id: &resource_id
    description:
      - Resource id of the user-assigned managed identity. Needed for a new identity of O(type=0).
      - Compared with an existing one without regard to case, as Azure does.
    type: str
  client_id: &client_id
    description:
      - Client (application) id in lower case. Needed for a new identity.
      - NMI compares it exactly with what an application asks for, so other spellings are refused.
    type: str
  tenant_id: &tenant_id
    description: Tenant of the service principal. Needed for a new identity of O(type=1) or O(type=2).
    type: str
  auxiliary_tenant_ids: &auxiliary_tenant_ids
    description: Further tenants of a service principal with O(type=1).
    type: list
    elements: str
  ad_resource_id: &ad_resource_id
    description: Value of C(adResourceID), for service principals.
    type: str
  ad_endpoint: &ad_endpoint
    description: Authority of the service principal's cloud; if unset, NMI uses that of the public cloud.
    type: str
  client_password: &client_password
    description:
      - Secret of the service principal with O(type=1), or password of O(client_certificate) with O(type=2).
      - Kept in the Secret of O(client_password_secret), which is created or changed when the value differs.
    type: str
  client_certificate: &client_certificate
    description:
      - Certificate and key of the service principal with O(type=2), a PKCS#12 file in base64.
      - NMI reads old algorithms only, C(openssl pkcs12 -export -keypbe PBE-SHA1-3DES -certpbe PBE-SHA1-3DES
        -macalg sha1).
    type: str
  client_password_secret: &client_password_secret
    description:
      - Secret with the credential of a service principal.
      - Without O(client_password) or O(client_certificate) it must exist, and is only referred to.
      - With O(type=1) it must have exactly one key, because NMI takes any of them; with O(type=2) the keys
        C(certificate) and C(password).
      - In another namespace than O(namespace) it is written, and removed with its AzureIdentity, only where it is named
        here, because whoever may write an AzureIdentity may name any Secret in it.
    type: dict
    suboptions:
      name:
        description: Name of the Secret; if unset, O(name) followed by C(-credential).
        type: str
      namespace:
        description: Namespace of the Secret; if unset, O(namespace).
        type: str
  selector: &selector
    description:
      - Value of the label C(aadpodidbinding) of the pods that get the identity. Needed for a new binding.
    type: str
  behavior: &behavior
    description:
      - V(namespaced) hands the identity only to pods of O(namespace), V(standard) to pods of every namespace.
      - If unset, an existing identity keeps its behavior; a new one is V(standard).
    type: str
    choices: [standard, namespaced]
  labels: &labels
    description: Labels that both objects shall have; others stay.
    type: dict
  annotations: &annotations
    description: Annotations that both objects shall have; others stay.
    type: dict
  bindings:
    description:
      - A list of pairs instead of one, all looked at with one list of each kind and written at the same time.
      - Several entries may name one AzureIdentity and give it several bindings; what they say of the identity must
        agree, and need be said once only. Several entries with one O(bindings[].selector) give pods several
        identities.
    type: list
    elements: dict
    suboptions:
      name:
        description: Name of the AzureIdentity.
        type: str
        required: true
      namespace:
        description: Namespace of both objects; if unset, O(namespace).
        type: str
      state:
        description: Whether the pair exists; if unset, O(state).
        type: str
        choices: [present, absent]
      allow_in_use:
        description: Whether the pair may be taken from pods that use it; if unset, O(allow_in_use).
        type: bool
      binding_name: *binding_name
      only: *only
      type: *type
      resource_id: *resource_id
      client_id: *client_id
      tenant_id: *tenant_id
      auxiliary_tenant_ids: *auxiliary_tenant_ids
      ad_resource_id: *ad_resource_id
      ad_endpoint: *ad_endpoint
      client_password: *client_password
      client_certificate: *client_certificate
      client_password_secret: *client_password_secret
      selector: *selector
      behavior: *behavior
      labels: *labels
      annotations: *annotations
  purge_bindings:
    description:
      - Remove what carries the labels of this collection and O(owner), lies in a namespace of O(bindings),
        O(namespace) or O(purge_namespaces), and is not in O(bindings).
    type: bool
    default: false
  protected_identities:
    description:
      - Resource ids of identities that pods must not be given, such as that of the kubelets. MIC would take them from
        the scale set with the last pod that has them.
    type: list
    elements: str
    default: []
  accept:
    description:
      - What is written in spite of what is known to go wrong with it, and warned of instead.
      - V(client_id_case), a O(client_id) with upper-case letters.
      - V(missing_identity), a binding whose AzureIdentity is not in its namespace.
      - V(equal_names), AzureIdentities of one name in several namespaces, of which one selector gives a pod only one.
    type: list
    elements: str
    choices: [client_id_case, missing_identity, equal_names]
    default: []
  allow_in_use:
    description:
      - Whether O(state=absent) and O(purge_bindings) may take an identity from what uses it, living pods and
        everything whose template carries the selector, scaled to zero or not.
    type: bool
    default: false
  batch:
    description:
      - How many identities that are assigned to pods are changed at a time. MIC has to assign those of one batch again
        before the next one begins; O(wait_timeout) is how long that may take.
    type: int
    default: 20
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
    description: Seconds between two looks; the first looks follow each other faster.
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

- name: All pairs of a team, and nothing else of it
  azureops.pod_identity.azure_identity_binding:
    owner: team-a
    bindings:
      - name: billing
        namespace: billing
        selector: billing
        resource_id: "{{ billing.state.id }}"
        client_id: "{{ billing.state.client_id }}"
      - name: billing
        namespace: billing
        binding_name: billing-batch
        selector: billing-batch
      - name: shared
        namespace: platform
        binding_name: billing-shared
        selector: billing
        only: binding
    purge_bindings: true
    protected_identities: ["{{ cluster.state.kubelet_identity.resource_id }}"]
    wait: true

- name: Take the pair away
  azureops.pod_identity.azure_identity_binding:
    name: billing
    namespace: billing
    state: absent
"""

RETURN = r"""
result:
  description:
    - The pair as the cluster now has it, or in check mode would have it.
    - With O(bindings) the key C(bindings) holds a list of such dictionaries instead, in the order of the entries, each
      with C(namespace), C(name) and C(binding_name) besides.
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
permissions:
  description: What whoever makes the change must be allowed to do, apart from reading.
  returned: in check mode, once it is known what would be done
  type: list
  elements: dict
  contains:
    verbs:
      description: Verbs as roles of Kubernetes name them.
      type: list
      elements: str
    resource:
      description: Plural name of the resource.
      type: str
    api_group:
      description: Its API group; empty for the core group.
      type: str
    subresource:
      description: A subresource; empty for the resource itself.
      type: str
    namespace:
      description: Namespace; empty for the whole cluster.
      type: str
  sample:
    - verbs: [create, patch]
      resource: azureidentities
      api_group: aadpodidentity.k8s.io
      subresource: ""
      namespace: billing
actions:
  description: What was done, or in check mode what would be done.
  returned: always
  type: list
  elements: str
  sample:
    - create AzureIdentity billing/billing
    - create AzureIdentityBinding billing/billing (3 pods get the identity)
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
      kind: AzureIdentity
      id: billing/billing
      why: ''
    - verb: create
      kind: AzureIdentityBinding
      id: billing/billing
      why: ''
planned:
  description: All writes that are needed, in their order, also where one of them then fails.
  returned: always, once the cluster was looked at
  type: list
  elements: dict
  contains:
    verb:
      description: What is done with it, as RV(changes[].verb) tells it.
      returned: always
      type: str
      sample: create
    kind:
      description: Kind of the object.
      returned: always
      type: str
      sample: AzureIdentity
    namespace:
      description: Namespace of the object.
      returned: always
      type: str
      sample: billing
    name:
      description: Name of the object.
      returned: always
      type: str
      sample: billing
    action:
      description: The action as RV(actions) tells it.
      returned: always
      type: str
      sample: create AzureIdentity billing/billing
reassigned_pods:
  description: Number of pods that MIC assigns an identity anew because of these writes; unset where it is not known.
  returned: always, once the cluster was looked at
  type: int
  sample: 0
in_use:
  description: What uses the identities that were to go.
  returned: when that is the reason of a failure
  type: list
  elements: dict
  contains:
    identity:
      description: Namespace and name of the AzureIdentity.
      returned: always
      type: str
      sample: billing/billing
    users:
      description: Pods and objects that make pods.
      returned: always
      type: list
      elements: str
      sample: [Deployment billing/api, Pod billing/api-7d9f8-x2x4k]
failed_action:
  description: The action that failed.
  returned: when an action fails
  type: str
  sample: create AzureIdentity billing/billing
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
    kind: AzureIdentityBinding
    id: billing/billing
    why: ''
error:
  description: Answer of the service as data (C(code), C(message), C(status), and of Azure C(request_id)).
  returned: when Azure or the API server refuses a request
  type: dict
  sample: {code: Forbidden, message: azureidentities.aadpodidentity.k8s.io is forbidden, status: 403}
"""

import functools
import typing as t
from dataclasses import replace

from ansible_collections.azureops.pod_identity.plugins.module_utils._argspec import (
    ArgumentSpec,
    kubernetes_auth,
    owned_list,
)
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.bindings import binding_lists, binding_pair
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.errors import Failure
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.kubernetes.object_lists import Outcome
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.kubernetes.objects import Object
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube import pairs
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.client import AT_ONCE, Client, connect
from ansible_collections.azureops.pod_identity.plugins.module_utils._plan import (
    Plan,
    Step,
    behind_write,
    known,
    predicting,
    run,
)

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

_COUNT_UNKNOWN = "The pods that use the identity are not counted, because this user may not list pods in the cluster."
_OFFLINE = "The cluster or its custom resource definitions are not there yet, so the prediction was made without them."


def parse(module: AnsibleModule) -> tuple[list[binding_pair.Desired], binding_lists.Rules]:
    params = module.params
    shared = {name: params[name] for name in ("owner", "adopt", "accept")}
    desired_list = []
    for entry in binding_lists.Rules.entries(params):
        unknown = [value for value in (entry["resource_id"], entry["client_id"]) if not known(module, value)]
        desired_list.append(binding_pair.Desired.parse({**entry, **shared}, unknown))
    rules = binding_lists.Rules.parse(
        params,
        protected=tuple(params["protected_identities"]),
        accept=frozenset(params["accept"]),
        batch=params["batch"],
    )
    binding_lists.check(desired_list, rules)
    return desired_list, rules


def observe(
    module: AnsibleModule, desired_list: t.Sequence[binding_pair.Desired], rules: binding_lists.Rules
) -> tuple[Client | None, binding_pair.Observed]:
    """Without a client where there is no cluster to ask yet."""
    if not known(module, module.params["kubeconfig"]):
        return None, binding_pair.Observed(offline=True)
    client = connect(module.params, module.tmpdir)
    observed = pairs.observe(client, desired_list, rules)
    if observed is not None:
        return client, observed
    present = [desired for desired in desired_list if desired.present]
    if present and not predicting(module):
        raise Failure(
            f"AzureIdentity {binding_pair.path_of(present[0].key)} cannot be made, because the cluster {client.host} "
            "does not know azureidentities.aadpodidentity.k8s.io: install AAD Pod Identity first "
            "(role azureops.pod_identity.pod_identity_chart)."
        )
    return None, binding_pair.Observed(offline=True)


def make_plan(module: AnsibleModule) -> Plan:
    params, single = module.params, module.params["bindings"] is None
    desired_list, rules = parse(module)
    client, observed = observe(module, desired_list, rules)
    outcome = binding_lists.decide(desired_list, observed, rules)
    results = [dict(decision.result) for decision in outcome.decisions[: len(desired_list)]]
    steps = make_steps(module, client, outcome, results)
    if params["wait"] and client and desired_list and not predicting(module):
        wait = functools.partial(settle, module, client, desired_list, results, written=bool(steps))
        if steps:
            steps = (*steps[:-1], waiting(steps[-1], wait))
        else:
            wait()
    notes = [(observed.pods is None, _COUNT_UNKNOWN), (observed.offline and bool(steps), _OFFLINE)]
    warnings = outcome.warnings + tuple(text for applies, text in notes if applies)
    looks = (outcome.decisions[0].before, outcome.decisions[0].after) if single else outcome.documents
    document = results[0] if single else {"bindings": listed(desired_list, results)}
    told = {"planned": outcome.planned, "reassigned_pods": outcome.reassigned}
    return Plan(*looks, steps, result=document, warnings=warnings, extra_results=told, at_once=AT_ONCE)


def listed(desired_list: t.Sequence[binding_pair.Desired], results: t.Sequence[Object]) -> t.Sequence[Object]:
    for desired, result in zip(desired_list, results):
        result.update(namespace=desired.namespace, name=desired.name, binding_name=desired.binding_name)
    return results


def settle(
    module: AnsibleModule,
    client: Client,
    desired_list: t.Sequence[binding_pair.Desired],
    results: t.Iterable[Object] = (),
    *,
    written: bool = True,
) -> None:
    """Wait for MIC; ``results`` are told what was seen of it."""
    timeout, pause = module.params["wait_timeout"], module.params["wait_sleep"]
    seen = pairs.wait_settled(client, desired_list, written=written, timeout=timeout, pause=pause)
    for result, part in zip(results, seen):
        result.update(part)


def waiting(step: Step, wait: t.Callable[[], None]) -> Step:
    """The step with the wait at its end, and after all that stand beside it."""

    def apply() -> None:
        step.apply()
        behind_write(wait)

    return replace(step, apply=apply, wave=0)


def make_steps(
    module: AnsibleModule, client: Client | None, outcome: Outcome, results: t.Sequence[Object]
) -> tuple[Step, ...]:
    writer = pairs.Writer(client, results)
    steps: list[Step] = []
    for number, wave in enumerate(outcome.waves, 1):
        for write in wave.writes:
            preview = functools.partial(writer.preview, write) if write.certain else None
            apply = functools.partial(writer.write, write)
            steps.append(Step(write.summary, write.change, apply, preview, wave=number, needs=(pairs.need(write),)))
        if wave.settles and client:
            steps[-1] = waiting(steps[-1], functools.partial(settle, module, client, wave.settles))
    return tuple(steps)


def argument_spec() -> ArgumentSpec:
    text = {"type": "str"}
    alone = {
        "binding_name": text,
        "only": {"type": "str", "choices": ["identity", "binding"]},
        "type": {"type": "int", "choices": [0, 1, 2]},
        "resource_id": text,
        "client_id": text,
        "tenant_id": text,
        "auxiliary_tenant_ids": {"type": "list", "elements": "str"},
        "ad_resource_id": text,
        "ad_endpoint": text,
        "client_password": {"type": "str", "no_log": True},
        "client_certificate": {"type": "str", "no_log": True},
        "client_password_secret": {"type": "dict", "no_log": False, "options": {"name": text, "namespace": text}},
        "selector": text,
        "behavior": {"type": "str", "choices": ["standard", "namespaced"]},
        "labels": {"type": "dict"},
        "annotations": {"type": "dict"},
    }
    return ArgumentSpec(
        options={
            "protected_identities": {"type": "list", "elements": "str", "default": []},
            "accept": {"type": "list", "elements": "str", "choices": list(binding_lists.ACCEPTABLE), "default": []},
            "batch": {"type": "int", "default": 20},
            "wait": {"type": "bool", "default": False},
            "wait_timeout": {"type": "int", "default": 120},
            "wait_sleep": {"type": "int", "default": 5},
        },
    ).merge(owned_list("bindings", alone), kubernetes_auth())


def main() -> None:
    module = argument_spec().create_module()
    run(module, lambda: make_plan(module), key="result")


if __name__ == "__main__":
    main()
