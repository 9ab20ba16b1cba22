#!/usr/bin/python
# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: aks_kubeconfig
short_description: Write the kubeconfig of an AKS cluster into a file
version_added: 1.0.0
author:
  - azureops.pod_identity contributors (@azureops)
description:
  - Asks AKS for the kubeconfig of a cluster and writes it into a file that only its owner can read (mode 0600).
  - The content is never part of a result, a diff or a message.
  - For a cluster with Microsoft Entra integration the interactive login of the kubeconfig is replaced by a token of
    this task's own Azure credential, so that neither kubelogin nor a browser is needed.
extends_documentation_fragment:
  - azureops.pod_identity._azure_auth
  - azureops.pod_identity._attributes
  - azureops.pod_identity._attributes.actiongroup_azure
requirements:
  - PyYAML
attributes:
  check_mode:
    support: full
    details:
      - A cluster that does not exist yet is accepted in check mode.
  diff_mode:
    support: full
    details:
      - The diff names the server and a digest of the credentials, never the credentials.
  idempotent:
    support: full
    details:
      - A token in the file is replaced only when it is valid for less than half an hour.
options:
  resource_group:
    description: Resource group of the cluster.
    type: str
    required: true
  cluster_name:
    description: Name of the cluster.
    type: str
    required: true
  path:
    description: File to write. Its directory must exist.
    type: path
    required: true
  credentials:
    description:
      - Whose credentials to take.
      - V(admin) is the local administrator of the cluster, which Kubernetes RBAC does not limit.
    type: str
    choices: [user, admin]
    default: user
  power_state:
    description:
      - Whether the cluster runs, as M(azureops.pod_identity.aks_cluster_info) returns it, where an earlier task has
        asked. If unset, the task asks itself before it writes a file.
      - The task warns where it is V(Stopped).
    type: str
  force:
    description: Whether a file that leads to other clusters too may be replaced or removed.
    type: bool
    default: false
  state:
    description: Whether the file exists.
    type: str
    choices: [present, absent]
    default: present
seealso:
  - module: azureops.pod_identity.aks_cluster
"""

EXAMPLES = r"""
- name: Write a kubeconfig for the following tasks
  azureops.pod_identity.aks_kubeconfig:
    resource_group: pod-identity-demo
    cluster_name: demo
    path: /run/user/1000/pod-identity-demo.kubeconfig

- name: Remove it
  azureops.pod_identity.aks_kubeconfig:
    resource_group: pod-identity-demo
    cluster_name: demo
    path: /run/user/1000/pod-identity-demo.kubeconfig
    state: absent
"""

RETURN = r"""
state:
  description: Where the kubeconfig is and what it leads to; empty when the file is absent.
  returned: success
  type: dict
  contains:
    path:
      description: The file.
      returned: when the file is present
      type: str
      sample: /run/user/1000/pod-identity-demo.kubeconfig
    server:
      description: URL of the API server. In check mode C((known after apply)) for a cluster that does not exist yet.
      returned: when the file is present
      type: str
      sample: https://demo-dns-1a2b3c4d.hcp.westeurope.azmk8s.io:443
    context:
      description: Current context of the file.
      returned: when the file is present
      type: str
      sample: demo
    cluster:
      description: Name of the cluster in the file.
      returned: when the file is present
      type: str
      sample: demo
permissions:
  description: Always empty, because nothing of Azure or Kubernetes is changed.
  returned: in check mode
  type: list
  elements: dict
  sample: []
actions:
  description: What was done, or in check mode what would be done.
  returned: always
  type: list
  elements: str
  sample: [write kubeconfig /run/user/1000/pod-identity-demo.kubeconfig]
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
      kind: file
      id: /run/user/1000/pod-identity-demo.kubeconfig
      why: ''
failed_action:
  description: The action that failed.
  returned: when an action fails
  type: str
  sample: write kubeconfig /run/user/1000/pod-identity-demo.kubeconfig
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
    kind: file
    id: /run/user/1000/pod-identity-demo.kubeconfig
    why: ''
error:
  description: Answer of the service as data (C(code), C(message), C(status), and of Azure C(request_id)).
  returned: when Azure or the API server refuses a request
  type: dict
  sample: {code: AuthorizationFailed, message: The client does not have authorization., status: 403}
"""

import typing as t

from ansible_collections.azureops.pod_identity.plugins.module_utils._argspec import ArgumentSpec
from ansible_collections.azureops.pod_identity.plugins.module_utils._azure import kubeconfig as files
from ansible_collections.azureops.pod_identity.plugins.module_utils._azure import managed_clusters
from ansible_collections.azureops.pod_identity.plugins.module_utils._azure.client import Arm
from ansible_collections.azureops.pod_identity.plugins.module_utils._azure.errors import Refused
from ansible_collections.azureops.pod_identity.plugins.module_utils._azure_options import azure_auth
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.azure import clusters
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.change import FILE, Change
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.errors import Failure
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.kubernetes import kubeconfig
from ansible_collections.azureops.pod_identity.plugins.module_utils._plan import KNOWN_AFTER_APPLY, Plan, Step, run

OPTIONS = ArgumentSpec(
    options={
        "resource_group": {"type": "str", "required": True},
        "cluster_name": {"type": "str", "required": True},
        "path": {"type": "path", "required": True},
        "credentials": {"type": "str", "choices": ["user", "admin"], "default": "user"},
        "power_state": {"type": "str"},
        "force": {"type": "bool", "default": False},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    }
).merge(azure_auth())


def make_plan(connect: t.Callable[[], Arm], options: t.Mapping[str, t.Any]) -> Plan:
    path, cluster = options["path"], options["cluster_name"]
    old = files.read(path)
    if old and not options["force"]:
        kubeconfig.refuse_foreign(path, kubeconfig.cluster_names(old.config), cluster)
    before = view(old, path)
    if options["state"] == "absent":
        steps = (
            (Step(f"remove kubeconfig {path}", Change("delete", FILE, path), lambda: files.remove(path)),)
            if old
            else ()
        )
        return Plan(before, {}, steps, result={})
    arm, group, admin = connect(), options["resource_group"], options["credentials"] == "admin"
    try:
        new = files.of_cluster(arm, group, cluster, admin=admin, old=old)
    except Refused as refused:
        # So is also answered for a cluster that AKS is still making.
        if not refused.is_missing() or managed_clusters.get(arm, group, cluster):
            raise
        return of_absent_cluster(before, options)
    return of_cluster(new, old, path, lambda: stopped_warnings(arm, options))


def stopped_warnings(arm: Arm, options: t.Mapping[str, t.Any]) -> tuple[str, ...]:
    """A warning where the cluster does not run: AKS gives its kubeconfig all the same."""
    group, cluster = options["resource_group"], options["cluster_name"]
    state = options["power_state"]
    if state is None:
        try:
            state = clusters.power_state(managed_clusters.get(arm, group, cluster))
        except Failure:  # whoever may have a kubeconfig need not be allowed to read the cluster
            return ()
    return clusters.stopped_warnings(group, cluster, state)


def of_cluster(
    new: files.Kubeconfig, old: files.Kubeconfig | None, path: str, warnings: t.Callable[[], tuple[str, ...]]
) -> Plan:
    before, result = view(old, path), new.described(path)
    if old and old.content == new.content and files.is_private(path):
        return Plan(before, before, result=result)
    change = Change.of_file(path, existed=bool(old))
    step = Step(f"write kubeconfig {path}", change, lambda: files.write(path, new.content))
    return Plan(before, view_after(new, old, path), (step,), result=result, warnings=warnings())


def view(file: files.Kubeconfig | None, path: str) -> dict[str, str]:
    """What a diff shows of a file: a digest in the place of the credentials."""
    if file is None:
        return {}
    mode = "0600" if files.is_private(path) else "not 0600"
    return {**file.described(path), **file.fingerprint(), "mode": mode}


def view_after(new: files.Kubeconfig, old: files.Kubeconfig | None, path: str) -> dict[str, str]:
    """As ``view``. A new token ends a little later in the real run than in its prediction."""
    shown = {**new.described(path), **new.fingerprint(), "mode": "0600"}
    if "token_expires" in shown and shown["token_expires"] != (old.fingerprint() if old else {}).get("token_expires"):
        shown["token_expires"] = KNOWN_AFTER_APPLY
    return shown


def of_absent_cluster(before: t.Mapping[str, t.Any], options: t.Mapping[str, t.Any]) -> Plan:
    """In check mode an earlier task will have created the cluster; otherwise writing fails."""
    path, cluster = options["path"], options["cluster_name"]
    result = {"path": path, "server": KNOWN_AFTER_APPLY, "context": cluster, "cluster": cluster}

    def refuse() -> t.Mapping[str, t.Any]:
        raise Failure(
            f"There is no cluster {cluster} in the resource group {options['resource_group']}; check both names, or "
            "create it first."
        )

    change = Change.of_file(path, existed=bool(before))
    after = {**result, "sha256": KNOWN_AFTER_APPLY, "mode": "0600"}
    return Plan(before, after, (Step(f"write kubeconfig {path}", change, refuse),), result=result)


def main() -> None:
    module = OPTIONS.create_module()
    run(module, lambda: make_plan(lambda: Arm.connect(module.params, module.run_command), module.params), key="state")


if __name__ == "__main__":
    main()
