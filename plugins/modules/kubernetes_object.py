#!/usr/bin/python
# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: kubernetes_object
short_description: Create, change or delete an object of a cluster, after an answer of the API server alone
version_added: 1.0.0
author:
  - azureops.pod_identity contributors (@azureops)
description:
  - Creates, changes or deletes one object. It is absent only where the API server says that of this very object; after
    any other answer, such as the page of a proxy, the module fails and writes nothing.
  - What a Secret holds is in no result, diff or message.
  - Knows the kinds that this collection works with.
  - It serves the roles of this collection.
extends_documentation_fragment:
  - azureops.pod_identity._kubernetes_auth
  - azureops.pod_identity._attributes
  - azureops.pod_identity._attributes.actiongroup_kubernetes
attributes:
  check_mode:
    support: full
    details:
      - The server's dry run gives the prediction.
  diff_mode:
    support: full
    details:
      - Shows the fields of O(definition), and of what a Secret holds the names only.
  idempotent:
    support: full
options:
  kind:
    description: Kind of the object.
    type: str
    required: true
  api_version:
    description: Group and version of the kind.
    type: str
    default: v1
  name:
    description: Name of the object.
    type: str
    required: true
  namespace:
    description: Namespace of the object. Needed where the kind is namespaced.
    type: str
  state:
    description:
      - With V(present) the object is created, or its fields that O(definition) names get their values.
      - With V(patched) it is not created, and an object that does not exist is an error.
      - With V(absent) it is deleted.
    type: str
    choices: [present, patched, absent]
    default: present
  definition:
    description:
      - Fields of the object. With V(null) a field is removed. A list takes the place of the whole list.
    type: dict
    default: {}
  data:
    description:
      - Data of a Secret, each value in Base64.
    type: dict
    default: {}
  uid:
    description: Delete the object only if it has this UID.
    type: str
  resource_version:
    description: Delete the object only if it has this version.
    type: str
  propagation:
    description: What becomes of objects that belong to a deleted one.
    type: str
    choices: [Background, Foreground]
    default: Background
  wait:
    description:
      - Whether to wait until a deleted object is gone, or until a created or changed one has the condition
        V(Established), which is that of a CustomResourceDefinition.
    type: bool
    default: false
  wait_timeout:
    description: How long to wait, in seconds.
    type: int
    default: 120
seealso:
  - module: azureops.pod_identity.kubernetes_object_info
  - module: kubernetes.core.k8s
"""

EXAMPLES = r"""
- name: Create a namespace
  azureops.pod_identity.kubernetes_object:
    kubeconfig: /etc/ansible/prod.kubeconfig
    kind: Namespace
    name: billing

- name: Cordon a node
  azureops.pod_identity.kubernetes_object:
    kubeconfig: /etc/ansible/prod.kubeconfig
    kind: Node
    name: aks-nodepool1-12345678-vmss000000
    state: patched
    definition:
      spec:
        unschedulable: true
"""

RETURN = r"""
result:
  description: The object, by its place.
  returned: success
  type: dict
  contains:
    name:
      description: Name of the object.
      returned: always
      type: str
      sample: billing
    namespace:
      description: Namespace of the object; empty where it is in none.
      returned: always
      type: str
      sample: ""
    existed:
      description: Whether it was there before.
      returned: always
      type: bool
      sample: false
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
      resource: namespaces
      api_group: ""
      subresource: ""
      namespace: ""
actions:
  description: What was done, or in check mode what would be done.
  returned: always
  type: list
  elements: str
  sample: [create Namespace billing]
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
      kind: Namespace
      id: billing
      why: ''
failed_action:
  description: The action that failed.
  returned: when an action fails
  type: str
  sample: create Namespace billing
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
    kind: Namespace
    id: billing
    why: ''
error:
  description:
    - The answer of the API server as data (C(code), C(message), C(status)). The message about a Secret is empty.
  returned: when the API server refuses a request
  type: dict
  sample: {code: Forbidden, message: Forbidden, status: 403}
"""

import functools
import typing as t

from ansible_collections.azureops.pod_identity.plugins.module_utils import _argspec
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.change import Change
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.errors import Failure
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.kubernetes import patches
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.needs import KubernetesNeed
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube import kinds, known
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.client import Client, connect
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.objects import Place
from ansible_collections.azureops.pod_identity.plugins.module_utils._plan import Plan, Step, behind_write, run

OPTIONS = _argspec.ArgumentSpec(
    options={
        "kind": {"type": "str", "required": True},
        "api_version": {"type": "str", "default": "v1"},
        "name": {"type": "str", "required": True},
        "namespace": {"type": "str"},
        "state": {"type": "str", "choices": ["present", "patched", "absent"], "default": "present"},
        "definition": {"type": "dict", "default": {}},
        "data": {"type": "dict", "default": {}, "no_log": True},
        "uid": {"type": "str"},
        "resource_version": {"type": "str"},
        "propagation": {"type": "str", "choices": ["Background", "Foreground"], "default": "Background"},
        "wait": {"type": "bool", "default": False},
        "wait_timeout": {"type": "int", "default": 120},
    }
).merge(_argspec.kubernetes_auth())

Options = t.Mapping[str, t.Any]


def make_plan(client: Client, options: Options) -> Plan:
    place = Place(client, wanted_kind(options), options["namespace"] or "", options["name"])
    live = place.get()
    result = {"name": place.name, "namespace": place.namespace, "existed": live is not None}
    if options["state"] == "absent":
        return Plan({}, {}, result=result) if live is None else deletion(place, live, options, result)
    if live is None and options["state"] == "patched":
        error = {"code": "NotFound", "message": "", "status": 404}
        raise Failure(f"{place.label} does not exist, so it cannot be changed: check its name.", error=error)
    wanted = {**options["definition"], **({"data": options["data"]} if options["data"] else {})}
    before, after = patches.touched(live or {}, wanted), dict(wanted)
    if options["data"]:
        before["data"] = patches.hidden(before.get("data") or {}, {})
        after["data"] = patches.hidden(options["data"], (live or {}).get("data") or {})
    patch = None if live is None else place.tried(live, wanted)
    if patch and not patch.changes:
        return Plan(before, before, result=result)
    write: t.Callable[..., t.Any] = patch.write if patch else functools.partial(place.create, wanted)
    wait = functools.partial(place.wait_established, options["wait_timeout"]) if options["wait"] else None
    needed = place.need("patch" if live else "create")
    step = carried_out(place.change("change" if live else "create"), write, wait, needed)
    return Plan(before, after, (step,), result=result)


def deletion(place: Place, live: kinds.Object, options: Options, result: Options) -> Plan:
    uid = live["metadata"]["uid"]
    conditions = {"uid": options["uid"], "resourceVersion": options["resource_version"]}
    given = {key: value for key, value in conditions.items() if value}
    delete = functools.partial(place.delete, given, options["propagation"])
    wait = functools.partial(place.wait_gone, uid, options["wait_timeout"]) if options["wait"] else None
    step = carried_out(place.change("delete"), delete, wait, place.need("delete"))
    return Plan({"metadata": {"name": place.name, "uid": uid}}, {}, (step,), result=result)


def carried_out(
    change: Change, write: t.Callable[..., t.Any], wait: t.Callable[[], None] | None, needed: KubernetesNeed
) -> Step:
    """A write and the wait behind it; nothing of the object is returned."""

    def apply() -> None:
        write()
        if wait:
            behind_write(wait)

    def preview() -> None:
        write(dry_run=True)

    return Step(change.summary, change, apply, preview, needs=(needed,))


def wanted_kind(options: Options) -> kinds.Kind:
    place = options["namespace"], options["name"]
    kind = known.kind(options["api_version"], options["kind"], place, "kubernetes.core.k8s")
    if kind == kinds.SECRET and {"data", "stringData"} & set(options["definition"]):
        raise Failure(f"What the Secret {options['name']} holds would be shown: set data instead of definition.data.")
    unused = ("definition", "data") if options["state"] == "absent" else ("uid", "resource_version")
    useless = [name for name in unused if options[name]]
    if useless:
        raise Failure(f"With state={options['state']} the option {useless[0]} has no effect: leave it out.")
    return kind


def main() -> None:
    module = OPTIONS.create_module()
    run(module, lambda: make_plan(connect(module.params, module.tmpdir), module.params), key="result")


if __name__ == "__main__":
    main()
