#!/usr/bin/python
# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: workload_restart
short_description: Restart a workload whose pods match other identities than before
version_added: 1.0.0
author:
  - azureops.pod_identity contributors (@azureops)
description:
  - Notes on the pods of a Deployment, StatefulSet or DaemonSet which identities and bindings match them
    (annotation C(azureops.pod-identity/identities)), which restarts them whenever that changes.
  - A workload without that note is restarted only if one of its pods is older than what was written last.
  - Neither results nor refusals contain anything of the workload but its name, because a template of pods may hold
    secrets in environment variables.
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
      - Shows the annotation and nothing else.
  idempotent:
    support: full
options:
  kind:
    description: Kind of the workload.
    type: str
    choices: [Deployment, StatefulSet, DaemonSet]
    default: Deployment
  namespace:
    description: Namespace of the workload.
    type: str
    required: true
  name:
    description: Name of the workload.
    type: str
    required: true
  matches:
    description: The bindings of the cluster with their identities; which of them match the pods is found out here.
    type: list
    elements: dict
    required: true
    suboptions:
      selector:
        description: Value of the label C(aadpodidbinding) of the pods.
        type: str
        default: ""
      only:
        description: The one namespace whose pods are matched; empty for all.
        type: str
        default: ""
      written:
        description: When binding or identity was written last, as the API server writes times, or V(now).
        type: str
        default: ""
      content:
        description: What binding and identity say, as texts; a change of it restarts the workload.
        type: list
        elements: str
        required: true
notes:
  - Needs to get and patch the workload (apps), and to list pods in its namespace.
seealso:
  - module: azureops.pod_identity.azure_identity_binding
"""

EXAMPLES = r"""
- name: Restart a Deployment if what its pods get has changed
  azureops.pod_identity.workload_restart:
    kubeconfig: /etc/ansible/prod.kubeconfig
    namespace: billing
    name: api
    matches:
      - selector: billing
        written: "2026-01-31T12:00:00Z"
        content:
          - billing
          - 11111111-1111-4111-8111-111111111111
"""

RETURN = r"""
restart:
  description: What is noted on the pods of the workload.
  returned: success
  type: dict
  contains:
    exists:
      description: Whether there is a workload of that name.
      returned: always
      type: bool
      sample: true
    noted:
      description: The annotation as it was; empty where there was none.
      returned: always
      type: str
      sample: ""
    now:
      description: The annotation after a restart; empty where there is no workload.
      returned: always
      type: str
      sample: 5f2c1d0e9b8a7f6c
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
    - verbs: [patch]
      resource: deployments
      api_group: apps
      subresource: ""
      namespace: billing
actions:
  description: What was done, or in check mode what would be done.
  returned: always
  type: list
  elements: str
  sample: [restart Deployment billing/api]
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
    - verb: restart
      kind: Deployment
      id: billing/api
      why: ''
failed_action:
  description: The action that failed.
  returned: when an action fails
  type: str
  sample: restart Deployment billing/api
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
    verb: restart
    kind: Deployment
    id: billing/api
    why: ''
error:
  description:
    - The answer of the API server as data (C(code), C(message), C(status)). The message of a refused restart is empty.
  returned: when the API server refuses a request
  type: dict
  sample: {code: Forbidden, message: "", status: 403}
"""

import functools

from ansible_collections.azureops.pod_identity.plugins.module_utils import _argspec
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.change import Change
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.kubernetes.restarts import ANNOTATION, Match
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube import restarts
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.client import Client, connect
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.needs import need
from ansible_collections.azureops.pod_identity.plugins.module_utils._plan import Plan, Step, run

TEXT = {"type": "str", "default": ""}
OPTIONS = _argspec.ArgumentSpec(
    options={
        "kind": {"type": "str", "choices": list(restarts.KINDS), "default": "Deployment"},
        "namespace": {"type": "str", "required": True},
        "name": {"type": "str", "required": True},
        "matches": {
            "type": "list",
            "elements": "dict",
            "required": True,
            "options": {
                "selector": TEXT,
                "only": TEXT,
                "written": TEXT,
                "content": {"type": "list", "elements": "str", "required": True},
            },
        },
    }
).merge(_argspec.kubernetes_auth())


def make_plan(client: Client, kind: str, namespace: str, name: str, matches: list[Match]) -> Plan:
    decision = restarts.observe(client, kind, namespace, name, matches)
    if decision is None:
        return Plan({}, {}, result={"exists": False, "noted": "", "now": ""})
    result = {"exists": True, "noted": decision.noted, "now": decision.now}
    before = {ANNOTATION: decision.noted} if decision.noted else {}
    if not decision.due:
        return Plan(before, before, result=result)
    write = functools.partial(restarts.restart, client, kind, namespace, name, decision.now)
    change = Change.of_object("restart", kind, namespace, name)
    step = Step(
        change.summary,
        change,
        write,
        functools.partial(write, dry_run=True),
        needs=(need(restarts.KINDS[kind], namespace, "patch"),),
    )
    return Plan(before, {ANNOTATION: decision.now}, (step,), result=result)


def main() -> None:
    module = OPTIONS.create_module()
    matches = [Match.parse(entry) for entry in module.params["matches"]]
    kind, namespace, name = (str(module.params[option]) for option in ("kind", "namespace", "name"))
    run(module, lambda: make_plan(connect(module.params, module.tmpdir), kind, namespace, name, matches), key="restart")


if __name__ == "__main__":
    main()
