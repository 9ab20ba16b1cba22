#!/usr/bin/python
# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: cluster_connection
short_description: Write down which API server a task would reach, for the tasks that follow
version_added: 1.0.0
author:
  - azureops.pod_identity contributors (@azureops)
description:
  - Writes the server, the way to it (proxy, certificates) and the user (also an impersonated one) that options,
    C(module_defaults) and environment of this task name into a kubeconfig of its own, which only its owner can read
    (mode 0600). Tasks of this collection that get this file as O(kubeconfig) reach the same server by the same way as
    the same user, whatever their own options and environment say, and so does C(helm).
  - No request is sent.
  - It serves the roles of this collection.
extends_documentation_fragment:
  - azureops.pod_identity._kubernetes_auth
  - azureops.pod_identity._attributes
  - azureops.pod_identity._attributes.actiongroup_kubernetes
requirements:
  - PyYAML
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details:
      - The diff names the server and a digest of the credentials, never the credentials.
  idempotent:
    support: full
options:
  path:
    description: File to write. Its directory must exist.
    type: path
    required: true
seealso:
  - module: azureops.pod_identity.aks_kubeconfig
"""

EXAMPLES = r"""
- name: Write down which API server the environment names
  azureops.pod_identity.cluster_connection:
    path: /run/user/1000/run/kubeconfig
  register: connection

- name: Look at that cluster alone
  azureops.pod_identity.nmi_info:
    kubeconfig: "{{ connection.state.path }}"
  when: connection.state | length > 0
"""

RETURN = r"""
state:
  description: What was written; empty where nothing names an API server.
  returned: success
  type: dict
  contains:
    path:
      description: The file.
      returned: where an API server is named
      type: str
      sample: /run/user/1000/run/kubeconfig
    server:
      description: URL of the API server.
      returned: where an API server is named
      type: str
      sample: https://demo-dns-1a2b3c4d.hcp.westeurope.azmk8s.io:443
    context:
      description: Current context of the file.
      returned: where an API server is named
      type: str
      sample: cluster
    cluster:
      description: Name of the cluster in the file.
      returned: where an API server is named
      type: str
      sample: cluster
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
  sample: [write kubeconfig /run/user/1000/run/kubeconfig]
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
      id: /run/user/1000/run/kubeconfig
      why: ''
failed_action:
  description: The action that failed.
  returned: when an action fails
  type: str
  sample: write kubeconfig /run/user/1000/run/kubeconfig
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
    id: /run/user/1000/run/kubeconfig
    why: ''
"""

import typing as t

from ansible_collections.azureops.pod_identity.plugins.module_utils import _argspec
from ansible_collections.azureops.pod_identity.plugins.module_utils._azure import kubeconfig as files
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.change import FILE, Change
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.config import Settings
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.written_down import written_down
from ansible_collections.azureops.pod_identity.plugins.module_utils._plan import Plan, Step, run

OPTIONS = _argspec.ArgumentSpec(options={"path": {"type": "path", "required": True}}).merge(_argspec.kubernetes_auth())


def make_plan(options: t.Mapping[str, t.Any]) -> Plan:
    path, settings = options["path"], Settings.parse(options)
    old = files.read(path)
    before = view(old, path) if old else {}
    if not settings.named:
        steps = (
            (Step(f"remove kubeconfig {path}", Change("delete", FILE, path), lambda: files.remove(path)),)
            if old
            else ()
        )
        return Plan(before, {}, steps, result={})
    new = files.of_config(written_down(settings))
    if old and old.content == new.content and files.is_private(path):
        return Plan(before, before, result=new.described(path))
    change = Change.of_file(path, existed=bool(old))
    step = Step(f"write kubeconfig {path}", change, lambda: files.write(path, new.content))
    return Plan(before, view(new, path), (step,), result=new.described(path))


def view(file: files.Kubeconfig, path: str) -> dict[str, str]:
    return {**file.described(path), **file.fingerprint()}


def main() -> None:
    module = OPTIONS.create_module()
    run(module, lambda: make_plan(module.params), key="state")


if __name__ == "__main__":
    main()
