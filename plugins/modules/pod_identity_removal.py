#!/usr/bin/python
# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pod_identity_removal
short_description: Remove what AAD Pod Identity left in a cluster
version_added: 1.0.0
author:
  - azureops.pod_identity contributors (@azureops)
description:
  - Removes the custom resources of AAD Pod Identity, their definitions, and the roles, locks and accounts of MIC and
    NMI, and waits until they are gone.
  - Refuses what would do harm, such as to take MIC's finalizer from an AzureAssignedIdentity whose identity may still
    be on a scale set, or the definitions while objects are left that were not to go.
  - Bindings are removed by M(azureops.pod_identity.azure_identity_binding), the chart by helm; both go first.
  - What AKS manages for its pod identity add-on is left to AKS while an NMI of the add-on is there; see
    M(azureops.pod_identity.aks_pod_identity). Once that is gone, nobody manages what AKS left, and it goes too.
    User-assigned identities and the Secrets of service principals stay.
extends_documentation_fragment:
  - azureops.pod_identity._removal
  - azureops.pod_identity._kubernetes_auth
  - azureops.pod_identity._attributes
  - azureops.pod_identity._attributes.actiongroup_kubernetes
attributes:
  check_mode:
    support: full
    details:
      - The server's dry run gives the prediction.
      - What O(assume_gone) names counts as gone in check mode, where an earlier task has only predicted its removal.
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  parts:
    description:
      - What is removed, always in this order.
      - V(records), nothing is removed, but what helm keeps of the releases of the chart is repaired so that helm can
        remove them, as its plugin mapkubeapis does it. In their manifests an API that the cluster does not know any
        more becomes the one that took its place, such as policy/v1 of a PodDisruptionBudget, and an object whose API
        has none, such as a PodSecurityPolicy, is left out. A release that somebody began to uninstall gets the status
        C(failed), because M(kubernetes.core.helm) takes it for removed otherwise. The ClusterRoleBindings are left out
        too, because they tell where the release was; they go with V(remains), last of all.
      - V(assigned), the AzureAssignedIdentities, with MIC's finalizer taken from them. Only for a MIC that does not
        work any more.
      - V(programs), the Deployments of MIC and the DaemonSets of NMI that no helm release holds. Refused unless each
        identity that pods had is in O(clean_identities).
      - V(exceptions), the AzurePodIdentityExceptions.
      - V(identities), the AzureIdentities.
      - V(definitions), the custom resource definitions.
      - V(remains), roles, role bindings, service accounts, the disruption budget and the credential of MIC and NMI that
        no helm release holds, the ConfigMap C(aad-pod-identity-config) and the lock of MIC.
    type: list
    elements: str
    choices: [records, assigned, programs, exceptions, identities, definitions, remains]
    required: true
  clean_identities:
    description:
      - Resource ids of identities that are proved to be on no scale set any more, or that have to stay there for
        another reason. Without its identity here no AzureAssignedIdentity loses its finalizer, and NMI does not go.
    type: list
    elements: str
    default: []
  assume_gone:
    description:
      - What an earlier task removes, so that in check mode it does not stand in the way. Without meaning outside check
        mode.
      - V(programs), MIC and NMI; V(bindings), the AzureIdentityBindings; V(assigned), the AzureAssignedIdentities;
        V(addon), what AKS takes away with its pod identity add-on, its NMI and the custom resource definitions.
    type: list
    elements: str
    choices: [programs, bindings, assigned, addon]
    default: []
  wait_timeout:
    description: Seconds to wait until what was deleted is gone; the error then names what holds it.
    type: int
    default: 120
  wait_sleep:
    description: Seconds between two looks; the first looks follow each other faster.
    type: int
    default: 5
notes:
  - Needs to list what it looks at, as M(azureops.pod_identity.pod_identity_removal_info) does, to delete what goes, to
    patch azureassignedidentities with V(assigned) in O(parts), and to get and patch secrets with V(records).
seealso:
  - module: azureops.pod_identity.pod_identity_removal_info
  - module: azureops.pod_identity.vmss_identity
"""

EXAMPLES = r"""
- name: Remove what is left after the chart
  azureops.pod_identity.pod_identity_removal:
    kubeconfig: /etc/ansible/prod.kubeconfig
    parts: [exceptions, identities, definitions, remains]

- name: Let helm remove a release of an old chart
  azureops.pod_identity.pod_identity_removal:
    parts: [records]
    release_namespaces: [pod-identity]

- name: Remove what a dead MIC holds, after its identities were detached
  azureops.pod_identity.pod_identity_removal:
    parts: [assigned]
    clean_identities: "{{ detached.identities }}"
"""

RETURN = r"""
removal:
  description: What is there afterwards, or in check mode would be.
  returned: success
  type: dict
  contains:
    objects:
      description: Every object of AAD Pod Identity that stays.
      returned: always
      type: list
      elements: dict
      sample: []
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
    - verbs: [delete]
      resource: azureidentities
      api_group: aadpodidentity.k8s.io
      subresource: ""
      namespace: billing
actions:
  description: What was done, or in check mode what would be done.
  returned: always
  type: list
  elements: str
  sample: [delete AzureIdentity billing/billing]
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
    - verb: delete
      kind: AzureIdentity
      id: billing/billing
      why: ''
foreign:
  description: Objects that are somebody else's.
  returned: when that is the reason of a failure
  type: list
  elements: str
  sample: [AzureIdentity billing/billing]
unproved:
  description: AzureAssignedIdentities whose identity may still be on a scale set.
  returned: when that is the reason of a failure
  type: list
  elements: str
  sample: [AzureAssignedIdentity default/api-billing-billing]
left:
  description: What stands in the way, or was not gone in time.
  returned: when that is the reason of a failure
  type: list
  elements: str
  sample: [AzureIdentityBinding billing/billing]
failed_action:
  description: The action that failed.
  returned: when an action fails
  type: str
  sample: delete AzureIdentity billing/billing
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
    verb: delete
    kind: AzureIdentity
    id: billing/billing
    why: ''
error:
  description: Answer of the service as data (C(code), C(message), C(status), and of Azure C(request_id)).
  returned: when Azure or the API server refuses a request
  type: dict
  sample: {code: Forbidden, message: azureidentities.aadpodidentity.k8s.io is forbidden, status: 403}
"""

import functools
import itertools
import typing as t
from dataclasses import replace

from ansible_collections.azureops.pod_identity.plugins.module_utils import _argspec
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.azure import arm_id
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.change import Change
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.installation import helm_releases
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.kubernetes.objects import clean
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.removal import removal
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube import removal as kube_removal
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.client import AT_ONCE, Client, connect
from ansible_collections.azureops.pod_identity.plugins.module_utils._plan import (
    Plan,
    Step,
    behind_write,
    predicting,
    run,
)

OPTIONS = (
    _argspec.ArgumentSpec(
        options={
            "parts": {"type": "list", "elements": "str", "choices": list(removal.PARTS), "required": True},
            "clean_identities": {"type": "list", "elements": "str", "default": []},
            "assume_gone": {"type": "list", "elements": "str", "choices": list(removal.ASSUMED), "default": []},
            "wait_timeout": {"type": "int", "default": 120},
            "wait_sleep": {"type": "int", "default": 5},
        }
    )
    .merge(_argspec.removal())
    .merge(_argspec.kubernetes_auth())
)


def make_plan(client: Client, params: t.Mapping[str, t.Any], *, predict: bool) -> Plan:
    rules = removal.Rules(
        owner=params["owner"],
        everything=params["scope"] == "all",
        clean=frozenset(map(arm_id.normal, params["clean_identities"])),
    )
    observed = kube_removal.observe(client, params["release_namespaces"])
    if predict:
        observed = removal.without(observed, params["assume_gone"])
    going = removal.decide(params["parts"], observed, rules)
    ailing = [each for each in observed.releases if each.unsupported_apis] if removal.RECORDS in params["parts"] else []
    names = {each.label for each in going}
    stays = [row for row in removal.rows(observed, rules) if removal.row_label(row) not in names]
    before = {each.label: clean(each.live) for each in going}
    before.update(
        {f"helm release {each.label}": {"changes of its record": list(each.unsupported_apis)} for each in ailing}
    )
    return Plan(
        before,
        {f"helm release {each.label}": {} for each in ailing},
        (*(mending(client, each) for each in ailing), *steps(client, going, params)),
        result={"objects": stays},
        at_once=AT_ONCE,
    )


def steps(client: Client, going: t.Sequence[removal.Removal], params: t.Mapping[str, t.Any]) -> t.Iterator[Step]:
    """Kind by kind; the next begins when nothing of the last is left."""
    for number, (_kind, group) in enumerate(itertools.groupby(going, key=lambda each: each.kind), 1):
        members = list(group)
        made = [step(client, each, number) for each in members]
        gone = functools.partial(
            kube_removal.wait_gone, client, members, timeout=params["wait_timeout"], pause=params["wait_sleep"]
        )
        yield from made[:-1]
        yield replace(made[-1], apply=functools.partial(and_wait, made[-1].apply, gone), wave=0)


def mending(client: Client, release: helm_releases.Release) -> Step:
    repair = functools.partial(kube_removal.repair, client, release)
    why = ", ".join(release.unsupported_apis)
    return Step(
        f"repair the record of helm release {release.label}: {why}",
        Change.of_object("change", "Secret", release.namespace, release.secret, why),
        repair,
        functools.partial(repair, dry_run=True),
        needs=(kube_removal.need_of_repair(release),),
    )


def step(client: Client, going: removal.Removal, wave: int) -> Step:
    remove = functools.partial(kube_removal.remove, client, going)
    return Step(
        going.summary,
        going.change,
        remove,
        functools.partial(remove, dry_run=True),
        wave,
        (kube_removal.need_of_removal(going),),
    )


def and_wait(apply: t.Callable[[], t.Any], wait: t.Callable[[], None]) -> None:
    apply()
    behind_write(wait)


def main() -> None:
    module = OPTIONS.create_module()
    run(
        module,
        lambda: make_plan(connect(module.params, module.tmpdir), module.params, predict=predicting(module)),
        key="removal",
    )


if __name__ == "__main__":
    main()
