#!/usr/bin/python
# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pod_identity_restoration
short_description: Put custom resources of AAD Pod Identity back as a restore bundle has them
version_added: 1.0.0
author:
  - azureops.pod_identity contributors (@azureops)
description:
  - Creates the AzurePodIdentityExceptions, AzureIdentities and AzureIdentityBindings that are missing, exactly as they
    were, in an order in which no pod is worse off for a moment.
  - What is there already is not touched, also where it is different by now, because any edit of an AzureIdentity makes
    MIC assign it anew to its pods.
extends_documentation_fragment:
  - azureops.pod_identity._kubernetes_auth
  - azureops.pod_identity._attributes
  - azureops.pod_identity._attributes.actiongroup_kubernetes
attributes:
  check_mode:
    support: full
    details:
      - The server's dry run gives the prediction. Where an earlier task installs the custom resource definitions, which
        O(assume_definitions) tells, it is made without the server.
      - O(kubeconfig) may be C((known after apply)) in check mode, for a cluster that is still to be created.
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  documents:
    description: The objects, as the module M(azureops.pod_identity.pod_identity_removal_info) returns them.
    type: list
    elements: dict
    required: true
  assume_definitions:
    description:
      - Whether an earlier task of the same playbook installs the custom resource definitions, so that in check mode
        they may be missing. Without meaning outside check mode.
    type: bool
    default: false
notes:
  - Needs to list and create azureidentities, azureidentitybindings and azurepodidentityexceptions
    (aadpodidentity.k8s.io), as far as there are such documents, and to list namespaces.
seealso:
  - module: azureops.pod_identity.pod_identity_removal
  - module: azureops.pod_identity.pod_identity_removal_info
"""

EXAMPLES = r"""
- name: Put a binding back
  azureops.pod_identity.pod_identity_restoration:
    kubeconfig: /etc/ansible/prod.kubeconfig
    documents:
      - apiVersion: aadpodidentity.k8s.io/v1
        kind: AzureIdentityBinding
        metadata:
          name: billing
          namespace: billing
        spec:
          azureIdentity: billing
          selector: billing
"""

RETURN = r"""
restoration:
  description: What became of the documents.
  returned: success
  type: dict
  contains:
    objects:
      description: Each of them, in the order in which they are written.
      returned: always
      type: list
      elements: dict
      contains:
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
        state:
          description:
            - V(restored), V(present) where it was there as it is in the document, or V(different) where something else
              was there, which stays.
          returned: always
          type: str
          sample: restored
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
      resource: azureidentities
      api_group: aadpodidentity.k8s.io
      subresource: ""
      namespace: billing
actions:
  description: What was done, or in check mode what would be done.
  returned: always
  type: list
  elements: str
  sample: [create AzureIdentity billing/billing]
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
definitions_missing:
  description: Whether the cluster does not know the custom resources.
  returned: when that is the reason of a failure
  type: bool
  sample: true
missing_namespaces:
  description: Namespaces that have to be made first.
  returned: when that is the reason of a failure
  type: list
  elements: str
  sample: [billing]
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
import typing as t

from ansible_collections.azureops.pod_identity.plugins.module_utils import _argspec
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.errors import Failure
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.removal import restoration
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube import restoration as kube_restoration
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.client import AT_ONCE, Client, connect
from ansible_collections.azureops.pod_identity.plugins.module_utils._plan import Plan, Step, known, predicting, run

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

OPTIONS = _argspec.ArgumentSpec(
    options={
        "documents": {"type": "list", "elements": "dict", "required": True},
        "assume_definitions": {"type": "bool", "default": False},
    }
).merge(_argspec.kubernetes_auth())


def observe(
    module: AnsibleModule, kinds: t.AbstractSet[str]
) -> tuple[Client | None, t.Mapping[str, t.Mapping[restoration.Place, restoration.Object]]]:
    """Without a client where there is nothing to ask yet."""
    if not known(module, module.params["kubeconfig"]):
        return None, {}
    client = connect(module.params, module.tmpdir)
    found = kube_restoration.observe(client, kinds)
    if found is not None:
        return client, found
    if not (predicting(module) and module.params["assume_definitions"]):
        raise Failure(
            f"The cluster {client.host} does not know the custom resources of AAD Pod Identity: install it first (role "
            "azureops.pod_identity.pod_identity_chart).",
            results={"definitions_missing": True},
        )
    return None, {}


def make_plan(module: AnsibleModule) -> Plan:
    documents = module.params["documents"]
    restoration.check(documents)
    client, live = observe(module, {document["kind"] for document in documents})
    compared = restoration.compare(documents, live)
    missing = [each for each in compared if each.live is None]
    if client and missing:
        check_namespaces(client, missing)
    steps = tuple(step(client, each) for each in missing)
    result = {"objects": [each.row() for each in compared]}
    return Plan({}, {each.label: each.wanted for each in missing}, steps, result=result, at_once=AT_ONCE)


def check_namespaces(client: Client, missing: t.Sequence[restoration.Document]) -> None:
    needed = {each.wanted["metadata"]["namespace"] for each in missing}
    lacking = sorted(needed - kube_restoration.namespaces(client))
    if lacking:
        raise Failure(
            f"{missing[0].label} and what else is to be restored cannot be created, because there is no namespace "
            f"{', '.join(lacking)}: make it, and run this again.",
            results={"missing_namespaces": lacking},
        )


def step(client: Client | None, document: restoration.Document) -> Step:
    wave, needed = restoration.KINDS.index(document.kind) + 1, (kube_restoration.need(document),)
    if client is None:
        return Step(document.change.summary, document.change, lambda: None, wave=wave, needs=needed)
    create = functools.partial(kube_restoration.put_back, client, document)
    return Step(document.change.summary, document.change, create, functools.partial(create, dry_run=True), wave, needed)


def main() -> None:
    module = OPTIONS.create_module()
    run(module, lambda: make_plan(module), key="restoration")


if __name__ == "__main__":
    main()
