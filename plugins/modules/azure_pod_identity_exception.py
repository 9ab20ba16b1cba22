#!/usr/bin/python
# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: azure_pod_identity_exception
short_description: Manage AzurePodIdentityExceptions, whose pods reach the instance metadata service past NMI
version_added: 1.0.0
author:
  - azureops.pod_identity contributors (@azureops)
description:
  - Creates, changes or deletes C(AzurePodIdentityException) objects of AAD Pod Identity (API group
    C(aadpodidentity.k8s.io/v1)). One exception, or a whole list of them.
  - NMI hands what the instance metadata service gives to the node itself to every pod of the namespace that carries any
    one of the labels. Which pods those are is told.
  - An object whose content is as desired already is not written at all. What could not work is refused before the
    first write.
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
      - O(kubeconfig) may be C((known after apply)) in check mode, for a cluster that is still to be created.
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  name:
    description: Name of the exception. One of O(name) and O(exceptions) is needed.
    type: str
  namespace:
    description:
      - Namespace of the exception and of the pods that it is for.
      - Needed with O(name); with O(exceptions) that of the entries that name none.
    type: str
  pod_labels: &pod_labels
    description:
      - Labels of the pods that the exception is for. Needed for a new exception.
      - A pod is covered if it has any one of them; the case of the values means nothing.
      - Labels that the exception has already and that are not named here go.
    type: dict
  labels: &labels
    description: Labels that the exception itself shall have; others stay.
    type: dict
  annotations: &annotations
    description: Annotations that the exception itself shall have; others stay.
    type: dict
  state:
    description: Whether the exception exists.
    type: str
    choices: [present, absent]
    default: present
  exceptions:
    description: A list of exceptions instead of one, looked at together and written at the same time.
    type: list
    elements: dict
    suboptions:
      name:
        description: Name of the exception.
        type: str
        required: true
      namespace:
        description: Namespace of the exception; if unset, O(namespace).
        type: str
      state:
        description: Whether the exception exists; if unset, O(state).
        type: str
        choices: [present, absent]
      allow_in_use:
        description: Whether the exception may be taken from pods that it covers; if unset, O(allow_in_use).
        type: bool
      pod_labels: *pod_labels
      labels: *labels
      annotations: *annotations
  purge_exceptions:
    description:
      - Remove what carries the labels of this collection and O(owner), lies in a namespace of O(exceptions),
        O(namespace) or O(purge_namespaces), and is not in O(exceptions).
    type: bool
    default: false
  allow_in_use:
    description:
      - Whether O(state=absent) and O(purge_exceptions) may take an exception from living pods, and from what makes
        pods, that no other exception covers.
    type: bool
    default: false
seealso:
  - module: azureops.pod_identity.azure_identity_binding
"""

EXAMPLES = r"""
- name: Let the pods of an add-on reach the instance metadata service
  azureops.pod_identity.azure_pod_identity_exception:
    kubeconfig: /etc/ansible/prod.kubeconfig
    name: addon
    namespace: kube-system
    pod_labels:
      kubernetes.azure.com/managedby: aks

- name: All exceptions of a team, and nothing else of it
  azureops.pod_identity.azure_pod_identity_exception:
    owner: team-a
    exceptions:
      - name: agents
        namespace: monitoring
        pod_labels: {app: agent, component: collector}
      - name: backup
        namespace: backup
        pod_labels: {app: backup}
    purge_exceptions: true

- name: Take the exception away
  azureops.pod_identity.azure_pod_identity_exception:
    name: addon
    namespace: kube-system
    state: absent
"""

RETURN = r"""
result:
  description:
    - The exception as the cluster now has it, or in check mode would have it.
    - With O(exceptions) the key C(exceptions) holds a list of such dictionaries instead, in the order of the entries,
      each with C(namespace) and C(name) besides.
  returned: success
  type: dict
  contains:
    exception:
      description: The AzurePodIdentityException without managed fields; empty when it is absent.
      returned: success
      type: dict
      sample:
        apiVersion: aadpodidentity.k8s.io/v1
        kind: AzurePodIdentityException
        metadata: {name: addon, namespace: kube-system}
        spec: {podLabels: {kubernetes.azure.com/managedby: aks}}
    pods:
      description: Namespace and name of the living pods that it covers; unset where they may not be listed.
      returned: success
      type: list
      elements: str
      sample: [kube-system/ama-logs-x2x4k]
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
      resource: azurepodidentityexceptions
      api_group: aadpodidentity.k8s.io
      subresource: ""
      namespace: kube-system
actions:
  description: What was done, or in check mode what would be done.
  returned: always
  type: list
  elements: str
  sample:
    - create AzurePodIdentityException kube-system/addon (1 pod past NMI)
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
      kind: AzurePodIdentityException
      id: kube-system/addon
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
      sample: AzurePodIdentityException
    namespace:
      description: Namespace of the object.
      returned: always
      type: str
      sample: kube-system
    name:
      description: Name of the object.
      returned: always
      type: str
      sample: addon
    action:
      description: The action as RV(actions) tells it.
      returned: always
      type: str
      sample: create AzurePodIdentityException kube-system/addon (1 pod past NMI)
in_use:
  description: What the exceptions cover that were to go.
  returned: when that is the reason of a failure
  type: list
  elements: dict
  contains:
    exception:
      description: Namespace and name of the exception.
      returned: always
      type: str
      sample: kube-system/addon
    users:
      description: Pods and objects that make pods.
      returned: always
      type: list
      elements: str
      sample: [DaemonSet kube-system/ama-logs, Pod kube-system/ama-logs-x2x4k]
failed_action:
  description: The action that failed.
  returned: when an action fails
  type: str
  sample: create AzurePodIdentityException kube-system/addon (1 pod past NMI)
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
    kind: AzurePodIdentityException
    id: kube-system/addon
    why: ''
error:
  description: Answer of the service as data (C(code), C(message), C(status), and of Azure C(request_id)).
  returned: when Azure or the API server refuses a request
  type: dict
  sample: {code: Forbidden, message: azurepodidentityexceptions.aadpodidentity.k8s.io is forbidden, status: 403}
"""

import functools
import typing as t

from ansible_collections.azureops.pod_identity.plugins.module_utils._argspec import (
    ArgumentSpec,
    kubernetes_auth,
    owned_list,
)
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.bindings import exceptions
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.errors import Failure
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube import exceptions as kube_exceptions
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube import pairs
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.client import AT_ONCE, Client, connect
from ansible_collections.azureops.pod_identity.plugins.module_utils._plan import (
    Plan,
    Step,
    known,
    predicting,
    run,
)

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

_COVER_UNKNOWN = "Which pods are covered is not known, because this user may not list pods there."
_OFFLINE = "The cluster or its custom resource definitions are not there yet, so the prediction was made without them."


def parse(module: AnsibleModule) -> tuple[list[exceptions.Desired], exceptions.Rules]:
    desired_list = [exceptions.Desired.parse(entry) for entry in exceptions.Rules.entries(module.params)]
    rules = exceptions.Rules.parse(module.params)
    exceptions.check(desired_list, rules)
    return desired_list, rules


def observe(
    module: AnsibleModule, desired_list: t.Sequence[exceptions.Desired], rules: exceptions.Rules
) -> tuple[Client | None, exceptions.Observed]:
    """Without a client where there is no cluster to ask yet."""
    if not known(module, module.params["kubeconfig"]):
        return None, exceptions.Observed(offline=True)
    client = connect(module.params, module.tmpdir)
    observed = kube_exceptions.observe(client, desired_list, rules)
    if observed is not None:
        return client, observed
    if any(desired.present for desired in desired_list) and not predicting(module):
        raise Failure(
            f"The cluster {client.host} does not know azurepodidentityexceptions.aadpodidentity.k8s.io: install AAD "
            "Pod Identity first (role azureops.pod_identity.pod_identity_chart)."
        )
    return None, exceptions.Observed(offline=True)


def make_plan(module: AnsibleModule) -> Plan:
    single = module.params["exceptions"] is None
    desired_list, rules = parse(module)
    client, observed = observe(module, desired_list, rules)
    outcome = exceptions.decide(desired_list, observed, rules)
    results = [dict(decision.result) for decision in outcome.decisions[: len(desired_list)]]
    writer = pairs.Writer(client, results)
    steps = tuple(
        Step(
            write.summary,
            write.change,
            functools.partial(writer.write, write),
            functools.partial(writer.preview, write),
            wave=number,
            needs=(pairs.need(write),),
        )
        for number, wave in enumerate(outcome.waves, 1)
        for write in wave.writes
    )
    notes = [(observed.pods is None, _COVER_UNKNOWN), (observed.offline and bool(steps), _OFFLINE)]
    warnings = outcome.warnings + tuple(text for applies, text in notes if applies)
    looks = (outcome.decisions[0].before, outcome.decisions[0].after) if single else outcome.documents
    if not single:
        for desired, result in zip(desired_list, results):
            result.update(namespace=desired.namespace, name=desired.name)
    document = results[0] if single else {"exceptions": results}
    told = {"planned": outcome.planned}
    return Plan(*looks, steps, result=document, warnings=warnings, extra_results=told, at_once=AT_ONCE)


def argument_spec() -> ArgumentSpec:
    alone = {name: {"type": "dict"} for name in ("pod_labels", "labels", "annotations")}
    return owned_list("exceptions", alone).merge(kubernetes_auth())


def main() -> None:
    module = argument_spec().create_module()
    run(module, lambda: make_plan(module), key="result")


if __name__ == "__main__":
    main()
