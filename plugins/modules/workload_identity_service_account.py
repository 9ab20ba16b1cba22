#!/usr/bin/python
# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: workload_identity_service_account
short_description: Prepare a service account for Workload ID, or make one that takes the place of another
version_added: 1.0.0
author:
  - azureops.pod_identity contributors (@azureops)
description:
  - Annotates a service account with the client id of the identity that its pods are to have. What it said before is
    kept in its annotation C(azureops.pod-identity/migration).
  - With O(like) it makes a service account that may do the same as another one of the namespace, for workloads that
    cannot keep theirs, such as the one called C(default). The references to Secrets for images and for volumes go into
    it, but never one to a token of a service account, and whether tokens are mounted. Each RoleBinding and
    ClusterRoleBinding that names the other account itself gets a copy for the new one; those of others are never
    changed. What groups are given needs no copy.
  - Before the first write the API server tries all of it in dry runs, and says of which rights the user of the
    connection may not dispose; all refusals are told at once.
  - Afterwards it is proved that both accounts may do the same. The API server is asked, for both, about everything that
    the roles of their bindings grant; wildcards are asked as they are. A difference is a failure.
  - An object whose content is as desired already is not written at all. Pods notice none of it until they are made
    anew.
extends_documentation_fragment:
  - azureops.pod_identity._kubernetes_auth
  - azureops.pod_identity._attributes
  - azureops.pod_identity._attributes.actiongroup_kubernetes
attributes:
  check_mode:
    support: full
    details:
      - The server's dry run gives the prediction. What both accounts may do is compared where nothing would be written.
      - O(client_id) and O(tenant_id) may be C((known after apply)) in check mode, for an identity that is still to be
        created.
  diff_mode:
    support: full
    details:
      - Shows, of a service account that is there, the fields that change.
  idempotent:
    support: full
options:
  namespace:
    description: Namespace of the service account.
    type: str
    required: true
  name:
    description: Name of the service account.
    type: str
    required: true
  state:
    description:
      - With V(present) the service account tells the client id.
      - With V(absent) one that this module made goes with the copies of bindings, which is refused while a pod, or what
        makes pods, names it. One that this module only annotated tells again what it told before. Any other stays as it
        is.
    type: str
    choices: [present, absent]
    default: present
  client_id:
    description:
      - Client id of the identity, for the annotation C(azure.workload.identity/client-id).
      - Needed with O(state=present). The case of its letters means nothing.
    type: str
  tenant_id:
    description:
      - Tenant of the identity, for the annotation C(azure.workload.identity/tenant-id). It is needed only where that is
        not the tenant of the webhook.
    type: str
  like:
    description:
      - Name of the service account, in the same namespace, whose place the new one takes. With O(state=absent) it has
        no effect.
      - If unset, the service account must exist, and is only annotated.
      - A service account of that O(name) that was not made by this module is taken as it is where it lacks nothing, and
        else refused.
    type: str
  owner:
    description:
      - Value of the label C(azureops.pod-identity/owner), which tells the objects of several users of this
        collection in one cluster apart.
    type: str
    default: default
  override_client_id:
    description: Whether a client id or tenant id that the service account tells already may be replaced by another one.
    type: bool
    default: false
notes:
  - Needs to get and patch the service account. With O(like) also to create it, to list roles, bindings and those of the
    cluster, to create bindings where there are some to copy, and to create SubjectAccessReviews. Who has not all the
    rights that a binding gives must be allowed to C(bind) its role.
  - With O(state=absent) to delete what goes, and to list pods and what makes them in the namespace.
seealso:
  - module: azureops.pod_identity.workload_identity_info
  - module: azureops.pod_identity.federated_identity_credential
  - name: Workload ID on AKS
    description: What the annotations of service accounts mean.
    link: https://learn.microsoft.com/azure/aks/workload-identity-overview
"""

EXAMPLES = r"""
- name: Let the pods of a service account have an identity
  azureops.pod_identity.workload_identity_service_account:
    kubeconfig: /etc/ansible/prod.kubeconfig
    namespace: billing
    name: api
    client_id: "{{ billing.state.client_id }}"

- name: Make a service account for workloads that have the default one
  azureops.pod_identity.workload_identity_service_account:
    namespace: reports
    name: default-reports
    like: default
    client_id: 2f3e6a44-5a6c-4f0d-8d1e-5a8b1f0c9e77
  register: account

- name: Say what may have to be looked at
  ansible.builtin.debug:
    msg: "{{ account.service_account.copied_bindings }}"

- name: Take back what was done to it
  azureops.pod_identity.workload_identity_service_account:
    namespace: reports
    name: default-reports
    state: absent
"""

RETURN = r"""
service_account:
  description: The service account as it now is, or in check mode would be.
  returned: success
  type: dict
  contains:
    namespace:
      description: Its namespace.
      returned: always
      type: str
      sample: reports
    name:
      description: Its name.
      returned: always
      type: str
      sample: default-reports
    exists:
      description: Whether it exists.
      returned: always
      type: bool
      sample: true
    client_id:
      description: The client id that it tells; empty where it tells none.
      returned: always
      type: str
      sample: 2f3e6a44-5a6c-4f0d-8d1e-5a8b1f0c9e77
    made:
      description: Whether this module made it.
      returned: always
      type: bool
      sample: true
    copied_bindings:
      description: The copies of bindings that give it its rights.
      returned: always
      type: list
      elements: dict
      contains:
        kind:
          description: V(RoleBinding) or V(ClusterRoleBinding).
          returned: always
          type: str
          sample: RoleBinding
        namespace:
          description: Its namespace; empty for a ClusterRoleBinding.
          returned: always
          type: str
          sample: reports
        name:
          description: Its name.
          returned: always
          type: str
          sample: readers-5f2c1d0e
        copy_of:
          description: The name of the binding that it is a copy of.
          returned: always
          type: str
          sample: readers
        role:
          description: Kind and name of the role.
          returned: always
          type: str
          sample: ClusterRole view
access:
  description: What the comparison of both service accounts has shown.
  returned: with O(like), also with a failure of the comparison
  type: dict
  contains:
    asked:
      description: Number of rights that the API server was asked for, of each of both.
      returned: always
      type: int
      sample: 42
    equal:
      description: Whether both may do the same; unset where that is not known yet, in check mode.
      returned: always
      type: bool
      sample: true
    differences:
      description: What one of both may and the other may not.
      returned: always
      type: list
      elements: dict
      contains:
        namespace:
          description: Namespace of the right; empty for the whole cluster.
          returned: always
          type: str
          sample: reports
        verb:
          description: Verb as roles of Kubernetes name it.
          returned: always
          type: str
          sample: get
        api_group:
          description: API group; empty for the core group.
          returned: always
          type: str
          sample: ""
        resource:
          description: Plural name of the resource.
          returned: always
          type: str
          sample: secrets
        subresource:
          description: A subresource; empty for the resource itself.
          returned: always
          type: str
          sample: ""
        name:
          description: Name of a single object; empty for all of them.
          returned: always
          type: str
          sample: ""
        non_resource_url:
          description: A path of the API server, in place of a resource.
          returned: always
          type: str
          sample: ""
        like:
          description: Whether the service account O(like) may.
          returned: always
          type: bool
          sample: true
        service_account:
          description: Whether the service account O(name) may.
          returned: always
          type: bool
          sample: false
  sample: {asked: 42, equal: true, differences: []}
left:
  description: What O(state=absent) left as it is though it was named, and why, as sentences.
  returned: always
  type: list
  elements: str
  sample: []
in_use:
  description: The pods, and what makes pods, with that service account.
  returned: when that is the reason of a failure
  type: list
  elements: str
  sample: [Deployment reports/api, Pod reports/api-7d9f8-x2x4k]
refusals:
  description: Why the API server would not do what is needed, a sentence for each write. Nothing was written.
  returned: when that is the reason of a failure
  type: list
  elements: str
  sample:
    - "The user of this connection may not create serviceaccounts in namespace reports: grant it with a Role or
      ClusterRole and a binding."
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
    - verbs: [create]
      resource: rolebindings
      api_group: rbac.authorization.k8s.io
      subresource: ""
      namespace: reports
actions:
  description: What was done, or in check mode what would be done.
  returned: always
  type: list
  elements: str
  sample:
    - create ServiceAccount reports/default-reports (like default)
    - create RoleBinding reports/readers-5f2c1d0e (copy of readers)
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
      kind: ServiceAccount
      id: reports/default-reports
      why: like default
    - verb: create
      kind: RoleBinding
      id: reports/readers-5f2c1d0e
      why: copy of readers
failed_action:
  description: The action that failed.
  returned: when an action fails
  type: str
  sample: create RoleBinding reports/readers-5f2c1d0e (copy of readers)
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
    kind: RoleBinding
    id: reports/readers-5f2c1d0e
    why: copy of readers
error:
  description: Answer of the service as data (C(code), C(message), C(status), and of Azure C(request_id)).
  returned: when Azure or the API server refuses a request
  type: dict
  sample: {code: Forbidden, message: rolebindings.rbac.authorization.k8s.io is forbidden, status: 403}
"""

import functools
import typing as t
from dataclasses import replace

from ansible_collections.azureops.pod_identity.plugins.module_utils import _argspec
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.errors import Failure
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.migration import account
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube import service_accounts
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.client import Client, connect
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

TEXT = {"type": "str"}
OPTIONS = _argspec.ArgumentSpec(
    options={
        "namespace": {"type": "str", "required": True},
        "name": {"type": "str", "required": True},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "client_id": TEXT,
        "tenant_id": TEXT,
        "like": TEXT,
        "owner": {"type": "str", "default": "default"},
        "override_client_id": {"type": "bool", "default": False},
    },
    required_if=(("state", "present", ("client_id",)),),
).merge(_argspec.kubernetes_auth())


def parse(module: AnsibleModule) -> account.Desired:
    params = module.params
    ids = {name: params[name] or "" for name in ("client_id", "tenant_id")}
    return account.Desired(
        namespace=params["namespace"],
        name=params["name"],
        present=params["state"] == "present",
        like=params["like"] or "",
        owner=params["owner"],
        override=params["override_client_id"],
        unknown=tuple(value for value in ids.values() if value and not known(module, value)),
        **ids,
    )


def make_plan(module: AnsibleModule) -> Plan:
    desired = parse(module)
    account.check(desired)
    client = connect(module.params, module.tmpdir)
    observed = service_accounts.observe(client, desired)
    decision = account.decide(desired, observed)
    tried = service_accounts.try_all(client, desired, observed, decision)
    proof = service_accounts.Proof(client, desired, decision)
    unproved = proof.begin(decision)
    refusals = [*(one.refused for one in tried if one.refused), *([unproved] if unproved else [])]
    if refusals:
        steps = refused(tried, refusals)
    else:
        steps = make_steps(client, tried)
        if not steps:
            proof.finish(written=False)
        elif not predicting(module):
            steps = (*steps[:-1], proved(steps[-1], proof))
    return Plan(
        *decision.documents,
        steps,
        result=decision.result,
        warnings=decision.warnings,
        watch=proof,
        extra_results={"left": list(decision.left)},
    )


def refused(tried: t.Sequence[service_accounts.Tried], refusals: t.Sequence[Failure]) -> tuple[Step, ...]:
    """Steps of which the first, one that is refused, fails with all refusals. Raises them where there is no step."""
    sentences = [each.sentence for each in refusals]
    results = {name: value for each in refusals for name, value in each.results.items()}
    failure = Failure(" ".join(sentences), error=refusals[0].error, results={**results, "refusals": sentences})
    if not tried:
        raise failure

    def refuse() -> t.NoReturn:
        raise failure

    ordered = sorted(tried, key=lambda one: one.refused is None)
    return tuple(Step(one.write.summary, one.write.change, refuse, refuse, needs=one.needs) for one in ordered)


def make_steps(client: Client, tried: t.Iterable[service_accounts.Tried]) -> tuple[Step, ...]:
    """The writes, of which the server's dry runs have told already."""
    return tuple(
        Step(
            one.write.summary,
            one.write.change,
            functools.partial(service_accounts.carry_out, client, one.write),
            needs=one.needs,
        )
        for one in tried
    )


def proved(step: Step, proof: service_accounts.Proof) -> Step:
    """The last step with the proof behind it."""

    def apply() -> None:
        step.apply()
        behind_write(functools.partial(proof.finish, written=True))

    return replace(step, apply=apply)


def main() -> None:
    module = OPTIONS.create_module()
    run(module, lambda: make_plan(module), key="service_account")


if __name__ == "__main__":
    main()
