#!/usr/bin/python
# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: aks_pod_identity
short_description: Manage the pod identity add-on of an AKS cluster
version_added: 1.0.0
author:
  - azureops.pod_identity contributors (@azureops)
description:
  - Switches the pod identity add-on of a cluster on or off, and adds, changes or removes its pod identities and its
    exceptions, one or a list of them.
  - B(The add-on is out of support.) Microsoft ended it in September 2025, and nobody patches it. What is new belongs on
    Microsoft Entra Workload ID; this module is for clusters that still run the add-on, and for leaving it.
  - An entry is its namespace and name; the order of a list means nothing. What is not named is not touched.
  - Waits until AKS has assigned the entries, and tells why where it could not. While AKS works on the cluster already,
    the module waits for that operation before it writes.
  - All changes of entries are one update of the cluster, which carries everything that this module does not know.
extends_documentation_fragment:
  - azureops.pod_identity._azure_auth
  - azureops.pod_identity._azure_wait
  - azureops.pod_identity._restored_identities
  - azureops.pod_identity._kubernetes_auth
  - azureops.pod_identity._attributes
  - azureops.pod_identity._attributes.actiongroup_both
requirements:
  - azure-mgmt-authorization >= 4.0.0
attributes:
  check_mode:
    support: full
    details:
      - A cluster and identities that do not exist yet are accepted in check mode, and so is C((known after apply)) as
        O(identity), O(identities[].identity) and O(kubeconfig).
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  resource_group:
    description: Resource group of the cluster.
    type: str
    required: true
  cluster_name:
    description: Name of the cluster.
    type: str
    required: true
  state:
    description:
      - Whether the entries that are named exist.
      - V(absent) removes them from the add-on and never deletes an identity. The add-on itself is switched off with
        O(enabled=false).
    type: str
    choices: [present, absent]
    default: present
  enabled:
    description:
      - Whether the add-on is on. AKS forgets all entries when it is switched off, so that needs
        O(purge_allow_empty=true) while there are any.
      - AKS may not allow to switch it on again.
    type: bool
  allow_network_plugin_kubenet:
    description:
      - Consent to the add-on on a cluster with kubenet, where a pod can pass for another one and take its tokens.
    type: bool
  name:
    description: Name of one pod identity. For several, use O(identities).
    type: str
  namespace:
    description: Namespace of the pods that get the identity.
    type: str
  identity:
    description:
      - Resource id of the user-assigned identity. Needed for a new entry, here or in O(identity_name).
    type: str
  identity_resource_group:
    description: Resource group of the identity, in the subscription of the task.
    type: str
  identity_name:
    description: Name of the identity.
    type: str
  binding_selector:
    description:
      - Value of the label C(aadpodidbinding) of the pods that get the identity; AKS takes O(name) for an entry without.
    type: str
  identities:
    description: Pod identities, as in O(name) and what follows it.
    type: list
    elements: dict
    suboptions:
      name:
        description: Name of the pod identity.
        type: str
        required: true
      namespace:
        description: Namespace of the pods that get the identity.
        type: str
        required: true
      identity:
        description: Resource id of the user-assigned identity.
        type: str
      identity_resource_group:
        description: Resource group of the identity, in the subscription of the task.
        type: str
      identity_name:
        description: Name of the identity.
        type: str
      binding_selector:
        description: Value of the label C(aadpodidbinding) of the pods.
        type: str
  exception:
    description: One exception. Pods that it names get the answers of the metadata service itself.
    type: dict
    suboptions:
      name:
        description: Name of the exception.
        type: str
        required: true
      namespace:
        description: Namespace of the pods.
        type: str
        required: true
      pod_labels:
        description:
          - Labels of the pods; one of them is enough. Needed for a new exception; replaces all labels of another one.
        type: dict
  exceptions:
    description: Exceptions, as in O(exception).
    type: list
    elements: dict
    suboptions:
      name:
        description: Name of the exception.
        type: str
        required: true
      namespace:
        description: Namespace of the pods.
        type: str
        required: true
      pod_labels:
        description: Labels of the pods; one of them is enough.
        type: dict
  purge_identities:
    description: Whether pod identities that O(identities) does not name are removed.
    type: bool
    default: false
  purge_exceptions:
    description: Whether exceptions that O(exceptions) does not name are removed.
    type: bool
    default: false
  purge_allow_empty:
    description: Whether an empty list, or O(enabled=false), may remove all entries.
    type: bool
    default: false
  assign_roles:
    description:
      - Whether the identity of the cluster's control plane is given the role Managed Identity Operator on each identity
        where it does not hold it. An assignment that is inherited from a wider scope will do.
      - With V(false) nothing is asked about roles, and an entry without the role fails.
    type: bool
    default: true
  remove_roles:
    description:
      - Whether that role is taken away again, at the identity itself, once no entry of the cluster hands it out.
      - Another cluster with the same control-plane identity may still need it.
      - Where the entry is gone, but its role could not be removed, a further run finds the role by the resource id of
        the identity, with O(state=absent) and O(identity) or O(identities[].identity). The failure names it.
    type: bool
    default: false
  recreate_identity:
    description:
      - What to do when AKS refuses to remove an entry that failed because its identity, or the role on it, is gone.
      - With V(true) the identity is made again under its name, with a tag that says so, and given the role; then the
        entry is removed, and what was made is deleted. Without it the refusal is an error.
      - Microsoft documents no such order; it follows what users report, and has been tested against the simulated Azure
        only.
    type: bool
    default: false
  allow_in_use:
    description:
      - Whether an identity may be taken from pods that still select it, or a selector from objects whose pods will.
      - Without it that is refused, where the module can look because O(kubeconfig) or O(host) is set.
    type: bool
    default: false
notes:
  - The add-on needs a cluster with a managed identity and the feature C(EnablePodIdentityPreview) of the subscription.
    It serves Linux nodes in scale sets, with at most 200 pod identities and 200 exceptions.
  - The entry goes first, then the role, then the identity. An identity that is deleted before its entry leaves it
    failed, and AKS then refuses every other change.
seealso:
  - module: azureops.pod_identity.aks_pod_identity_info
  - module: azureops.pod_identity.aks_cluster
  - module: azureops.pod_identity.user_assigned_identity
  - name: Microsoft Entra Workload ID on AKS
    description: What to use instead.
    link: https://learn.microsoft.com/azure/aks/workload-identity-overview
"""

EXAMPLES = r"""
- name: Switch the add-on on and hand out an identity
  azureops.pod_identity.aks_pod_identity:
    resource_group: pod-identity-demo
    cluster_name: demo
    enabled: true
    name: billing
    namespace: shop
    identity_resource_group: pod-identity-demo
    identity_name: billing

- name: Exactly these identities, and none that is still in use removed
  azureops.pod_identity.aks_pod_identity:
    resource_group: pod-identity-demo
    cluster_name: demo
    kubeconfig: /run/user/1000/pod-identity-demo.kubeconfig
    purge_identities: true
    identities:
      - name: billing
        namespace: shop
        identity: "{{ billing_identity.state.id }}"
        binding_selector: money

- name: Let the pods of a controller ask the metadata service itself
  azureops.pod_identity.aks_pod_identity:
    resource_group: pod-identity-demo
    cluster_name: demo
    exception:
      name: controller
      namespace: infra
      pod_labels:
        app: controller

- name: Remove an identity and its role, also where AKS holds on to it because the identity is gone
  azureops.pod_identity.aks_pod_identity:
    resource_group: pod-identity-demo
    cluster_name: demo
    name: billing
    namespace: shop
    remove_roles: true
    recreate_identity: true
    state: absent

- name: Switch the add-on off with all its entries
  azureops.pod_identity.aks_pod_identity:
    resource_group: pod-identity-demo
    cluster_name: demo
    enabled: false
    purge_allow_empty: true
"""

RETURN = r"""
state:
  description: The add-on of the cluster; empty when there is no cluster.
  returned: success, and when AKS does not do what it was asked for
  type: dict
  contains:
    id:
      description: Resource id of the cluster.
      returned: when the cluster exists
      type: str
      sample: >-
        /subscriptions/7f1f4a5e-6a0f-4d0c-9a0e-2f8f8d1c2b3a/resourcegroups/pod-identity-demo/providers/Microsoft.ContainerService/managedClusters/demo
    name:
      description: Name of the cluster.
      returned: when the cluster exists
      type: str
      sample: demo
    resource_group:
      description: Resource group of the cluster.
      returned: when the cluster exists
      type: str
      sample: pod-identity-demo
    enabled:
      description: Whether the add-on is on.
      returned: when the cluster exists
      type: bool
      sample: true
    allow_network_plugin_kubenet:
      description: Whether the add-on may run with kubenet.
      returned: when the cluster exists
      type: bool
      sample: false
    identities:
      description: The pod identities, by namespace and name.
      returned: when the cluster exists
      type: list
      elements: dict
      contains:
        namespace:
          description: Namespace of the pods.
          returned: always
          type: str
          sample: shop
        name:
          description: Name of the pod identity.
          returned: always
          type: str
          sample: billing
        identity:
          description: Resource id of the user-assigned identity.
          returned: always
          type: str
          sample: >-
            /subscriptions/7f1f4a5e-6a0f-4d0c-9a0e-2f8f8d1c2b3a/resourcegroups/pod-identity-demo/providers/Microsoft.ManagedIdentity/userAssignedIdentities/billing
        client_id:
          description: Client id of the identity. In check mode C((known after apply)) while the identity is missing.
          returned: always
          type: str
          sample: c3a1d8c2-7c4f-4c58-91f2-0f2a0a1de1b4
        object_id:
          description: Object id of the identity.
          returned: always
          type: str
          sample: 0b1f6d1e-8a4b-41f7-9d68-3e8f4f0f9c3d
        binding_selector:
          description: Value of the label C(aadpodidbinding) of the pods that get the identity.
          returned: always
          type: str
          sample: money
        provisioning_state:
          description: State of the entry; V(Assigned) where pods can get tokens.
          returned: always
          type: str
          sample: Assigned
        provisioning_error:
          description: Why AKS could not assign the identity (C(code), C(message)); empty where it could.
          returned: always
          type: dict
          sample: {}
    exceptions:
      description: The exceptions, by namespace and name.
      returned: when the cluster exists
      type: list
      elements: dict
      contains:
        namespace:
          description: Namespace of the pods.
          returned: always
          type: str
          sample: infra
        name:
          description: Name of the exception.
          returned: always
          type: str
          sample: controller
        pod_labels:
          description: Labels of the pods.
          returned: always
          type: dict
          sample: {app: controller}
identity_gap:
  description:
    - Identities that scale sets lacked after the change, and for how long; see O(restore_identities).
  returned: when a scale set lost identities
  type: list
  elements: dict
  contains:
    scale_set:
      description: Resource id of the scale set.
      returned: always
      type: str
      sample: >-
        /subscriptions/7f1f4a5e-6a0f-4d0c-9a0e-2f8f8d1c2b3a/resourceGroups/MC_pod-identity-demo_demo_westeurope/providers/Microsoft.Compute/virtualMachineScaleSets/aks-nodepool1-12345678-vmss
    identities:
      description: Resource ids of the identities.
      returned: always
      type: list
      elements: str
      sample: >-
        [/subscriptions/7f1f4a5e-6a0f-4d0c-9a0e-2f8f8d1c2b3a/resourceGroups/shop/providers/Microsoft.ManagedIdentity/userAssignedIdentities/billing]
    seconds:
      description:
        - Seconds from the first look after the change, at which they were missing, to the look at which they were back,
          or to the last one.
        - The loss itself lies before that, somewhere in the operation, and looks are O(poll_interval) apart. Pods may
          have been without tokens for longer.
      returned: always
      type: float
      sample: 184.2
    restored_by:
      description:
        - V(others) for MIC, AKS or a person, which cannot be told from each other here, V(task) for this task, or
          V(nobody) where they are still missing.
      returned: always
      type: str
      sample: others
permissions:
  description: What whoever makes the change must be allowed to do, apart from reading.
  returned: in check mode, once it is known what would be done
  type: list
  elements: dict
  contains:
    scope:
      description: Id of the resource or resource group.
      type: str
    actions:
      description: Actions there.
      type: list
      elements: str
  sample:
    - scope: >-
        /subscriptions/7f1f4a5e-6a0f-4d0c-9a0e-2f8f8d1c2b3a/resourceGroups/pod-identity-demo/providers/Microsoft.ContainerService/managedClusters/demo
      actions: [Microsoft.ContainerService/managedClusters/write]
actions:
  description: What was done, or in check mode what would be done.
  returned: always
  type: list
  elements: str
  sample: ["change pod identity of cluster demo: add identity shop/billing"]
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
    - verb: change
      kind: Microsoft.ContainerService/managedClusters
      id: >-
        /subscriptions/7f1f4a5e-6a0f-4d0c-9a0e-2f8f8d1c2b3a/resourceGroups/pod-identity-demo/providers/Microsoft.ContainerService/managedClusters/demo
      why: add identity shop/billing
failed_action:
  description: The action that failed.
  returned: when an action fails
  type: str
  sample: "change pod identity of cluster demo: add identity shop/billing"
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
    verb: change
    kind: Microsoft.ContainerService/managedClusters
    id: >-
      /subscriptions/7f1f4a5e-6a0f-4d0c-9a0e-2f8f8d1c2b3a/resourceGroups/pod-identity-demo/providers/Microsoft.ContainerService/managedClusters/demo
    why: add identity shop/billing
failed_identities:
  description: Entries that AKS could not assign, as namespace and name; they may be what blocks the change.
  returned: when AKS refuses a change
  type: list
  elements: str
  sample: [shop/billing]
users:
  description: What still selects an identity that is to go.
  returned: when the task refuses to take it away
  type: list
  elements: str
  sample: [Deployment shop/web, Pod shop/web-5d8c7]
error:
  description: Answer of the service as data (C(code), C(message), C(status), and of Azure C(request_id)).
  returned: when Azure or the API server refuses a request
  type: dict
  sample: {code: BadRequest, message: Cluster identity has no assignment permission over identity., status: 400}
"""

import functools
import typing as t

from ansible_collections.azureops.pod_identity.plugins.module_utils._argspec import ArgumentSpec, kubernetes_auth
from ansible_collections.azureops.pod_identity.plugins.module_utils._azure import addon as service
from ansible_collections.azureops.pod_identity.plugins.module_utils._azure import managed_clusters
from ansible_collections.azureops.pod_identity.plugins.module_utils._azure.client import Arm, Body
from ansible_collections.azureops.pod_identity.plugins.module_utils._azure.kept_identities import Watch
from ansible_collections.azureops.pod_identity.plugins.module_utils._azure_options import (
    azure_auth,
    azure_wait,
    restored_identities,
)
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.azure import (
    addon,
    arm_id,
    azure_roles,
    clusters,
    identities,
    needs,
)
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.change import Change
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.errors import Failure
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.needs import AzureNeed
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube import selecting
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.client import connect
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.config import Settings
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.kinds import NODE
from ansible_collections.azureops.pod_identity.plugins.module_utils._plan import (
    KNOWN_AFTER_APPLY,
    Plan,
    Step,
    known,
    predicting,
    run,
)

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

TEXT = {"type": "str"}
NAMED = {"name": {"type": "str", "required": True}, "namespace": {"type": "str", "required": True}}
IDENTITY = {"identity": TEXT, "identity_resource_group": TEXT, "identity_name": TEXT, "binding_selector": TEXT}
EXCEPTION: dict[str, t.Any] = {"options": {**NAMED, "pod_labels": {"type": "dict"}}}
OPTIONS = ArgumentSpec(
    options={
        "resource_group": {"type": "str", "required": True},
        "cluster_name": {"type": "str", "required": True},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "enabled": {"type": "bool"},
        "allow_network_plugin_kubenet": {"type": "bool"},
        "name": TEXT,
        "namespace": TEXT,
        **IDENTITY,
        "identities": {
            "type": "list",
            "elements": "dict",
            "options": {**NAMED, **IDENTITY},
            "mutually_exclusive": [("identity", "identity_name")],
            "required_together": [("identity_resource_group", "identity_name")],
        },
        "exception": {"type": "dict", **EXCEPTION},
        "exceptions": {"type": "list", "elements": "dict", **EXCEPTION},
        "purge_identities": {"type": "bool", "default": False},
        "purge_exceptions": {"type": "bool", "default": False},
        "purge_allow_empty": {"type": "bool", "default": False},
        "assign_roles": {"type": "bool", "default": True},
        "remove_roles": {"type": "bool", "default": False},
        "recreate_identity": {"type": "bool", "default": False},
        "allow_in_use": {"type": "bool", "default": False},
    },
    mutually_exclusive=(("name", "identities"), ("exception", "exceptions"), ("identity", "identity_name")),
    required_together=(("name", "namespace"), ("identity_resource_group", "identity_name")),
    required_by={"identity": ("name",), "identity_name": ("name",), "binding_selector": ("name",)},
).merge(azure_auth(), azure_wait(), restored_identities(), kubernetes_auth())


def make_plan(module: AnsibleModule) -> Plan:
    options = module.params
    arm = Arm.connect(options, module.run_command)
    desired = addon.Desired.parse(options, lambda: arm.subscription, functools.partial(known, module))
    group, name = options["resource_group"], options["cluster_name"]
    observed = managed_clusters.settled(arm, group, name)
    if observed is None and not desired.present:
        return Plan({}, {})
    if observed is None and not predicting(module):
        raise Failure(
            f"There is no cluster {name} in the resource group {group}; check both names, or create it first."
        )
    identifier = arm_id.resource(arm.subscription, group, clusters.KIND, name)
    current = observed or addon.to_come(identifier, desired, KNOWN_AFTER_APPLY)
    facts = service.facts(arm, desired.named(), KNOWN_AFTER_APPLY, predicting=predicting(module))
    removed = addon.removals(current, desired)
    after = addon.changed(current, desired, facts, removed)
    if observed and not options["allow_in_use"]:
        look_for_users(module, observed, after)
    needed = addon.identities(after, desired) if options["assign_roles"] else []
    lost = addon.released_identities(current, after, desired) if options["remove_roles"] else []
    roles = service.Roles.observe(arm, current, [*needed, *lost], KNOWN_AFTER_APPLY)
    missing = [identity for identity in needed if roles.missing(identity)]
    surplus = [identity for identity in lost if roles.exact(identity)]

    needed_to_write = clusters.needs_of_write(identifier, current, current)
    watch = Watch(arm, options)
    writer = service.Writer(arm, group, name, current, watch)
    stuck = addon.stuck(current, removed) if desired.enabled is not False else frozenset()
    middle = addon.without(current, stuck)
    steps = []
    if stuck:
        recreate = options["recreate_identity"]
        take_out = functools.partial(writer.remove, stuck, recreate=recreate)
        lacking = addon.resource_ids(current, stuck) if recreate else ()
        to_recreate = [need for one in lacking for need in needs_of_recreation(one)]
        change = addon.change(identifier, current, middle)
        steps.append(Step(addon.summary(current, middle), change, take_out, needs=(*needed_to_write, *to_recreate)))
    steps += [
        Step(
            azure_roles.assigning(addon.ROLE, roles.principal, one),
            roles.granting(one, KNOWN_AFTER_APPLY),
            functools.partial(roles.grant, one),
            needs=needs.assignments(one, "write"),
        )
        for one in missing
    ]
    if after != middle:
        edit = functools.partial(addon.changed, desired=desired, facts=facts, removed=removed)
        write = functools.partial(writer.write, edit, addon.present_keys(desired), granted=missing)
        change = addon.change(identifier, middle, after)
        steps.append(Step(addon.summary(middle, after), change, write, needs=needed_to_write))
    steps += [
        Step(
            azure_roles.removing(addon.ROLE, roles.principal, one),
            roles.withdrawing(one),
            functools.partial(roles.withdraw_released, one),
            needs=needs.assignments(one, "delete"),
        )
        for one in surplus
    ]
    steps += [
        Step(
            f"delete identity {one}, which was made for a removal",
            Change("delete", identities.KIND, one, "which was made for a removal"),
            functools.partial(writer.discard, one),
            needs=(*needs.on(one, "delete"), *needs.assignments(one, "delete")),
        )
        for one in addon.absent_identities(current, desired)
        if options["recreate_identity"] and writer.made_for_removal(one)
    ]
    before, outcome = addon.view(observed), addon.expected(after)
    return Plan(
        {**before, "roles": roles.held_at([*needed, *lost])} if observed else {},
        {**addon.view(outcome), "roles": roles.held_at([*needed, *lost], granted=missing, withdrawn=surplus)},
        tuple(steps),
        result=addon.view(outcome),
        warnings=addon.warnings(current, outcome),
        watch=watch,
    )


def needs_of_recreation(identity: str) -> tuple[AzureNeed, ...]:
    """An entry that AKS does not let go without its identity may need that again, with the role on it."""
    changes = (*needs.assignments(identity, "write"), *needs.assignments(identity, "delete"))
    return (*needs.on(identity, "write", "delete"), *changes)


def look_for_users(module: AnsibleModule, current: Body, after: Body) -> None:
    """Refuse to take an identity from who selects it, where there is an API server to ask."""
    options, selectors = module.params, addon.released(current, after)
    if not selectors or not Settings.parse(options).named or not known(module, options["kubeconfig"]):
        return
    client = connect(options, module.tmpdir)
    if not clusters.is_named(current, client.host) and not clusters.holds(current, client.list_all(NODE)):
        raise addon.other_server(current, client.host)
    addon.refuse_in_use(options["cluster_name"], selecting.users(client, selectors))


def main() -> None:
    module = OPTIONS.create_module()
    run(module, lambda: make_plan(module), key="state")


if __name__ == "__main__":
    main()
