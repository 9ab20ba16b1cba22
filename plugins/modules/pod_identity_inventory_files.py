#!/usr/bin/python
# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pod_identity_inventory_files
short_description: Join the inventories of several clusters into one JSON and one CSV file
version_added: 1.0.0
author:
  - azureops.pod_identity contributors (@azureops)
description:
  - Reads the files that M(azureops.pod_identity.pod_identity_info) wrote, one cluster at a time, and writes a JSON file
    with all of them and a CSV file with a line for each workload.
  - Where all clusters were looked at, these are O(path) with C(.json) and C(.csv). Where one of O(clusters) was not,
    they are O(path) with C(.incomplete.json) and C(.incomplete.csv), which name it with the reason; what an earlier run
    wrote of all clusters stays. A later run that looks at all clusters removes the incomplete files.
  - Each file is replaced as a whole or not at all, and none before both are on the disk. A new file has the mode
    C(0600); one that is replaced keeps its mode.
  - In the CSV file an apostrophe stands before what a spreadsheet would take for a formula.
  - It serves the playbook C(azureops.pod_identity.inventory).
extends_documentation_fragment:
  - azureops.pod_identity._attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details:
      - Of each file its SHA-256.
  idempotent:
    support: full
options:
  path:
    description: Path of the files without their endings. Its folder must exist.
    type: path
    required: true
  clusters:
    description: Names of all clusters that belong into the files, in their order.
    type: list
    elements: str
    required: true
  inventories:
    description: What is known of each cluster.
    type: list
    elements: dict
    required: true
    suboptions:
      cluster:
        description: Name of the cluster, one of O(clusters).
        type: str
        required: true
      path:
        description: File with its inventory, on the host that this task runs on.
        type: path
      sha256:
        description: SHA-256 of that file. A file with another content is not the inventory of the cluster.
        type: str
      failure:
        description: Why there is no inventory.
        type: str
seealso:
  - module: azureops.pod_identity.pod_identity_info
"""

EXAMPLES = r"""
- name: Join the inventories of two clusters
  azureops.pod_identity.pod_identity_inventory_files:
    path: /var/reports/pod-identity-inventory
    clusters: [east, west]
    inventories:
      - cluster: east
        path: /run/user/1000/east/inventory.json
        sha256: 2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824
      - cluster: west
        failure: "The user of this connection may not list pods: grant it with a Role or ClusterRole and a binding."
  register: joined

- name: Show what was found
  ansible.builtin.debug:
    msg: "{{ joined.result.clusters | azureops.pod_identity.table(['cluster', 'workloads', 'errors', 'failure']) }}"
"""

RETURN = r"""
result:
  description: What was joined.
  returned: success
  type: dict
  contains:
    files:
      description: The files with it.
      returned: always
      type: list
      elements: str
      sample: [/var/reports/pod-identity-inventory.incomplete.json, /var/reports/pod-identity-inventory.incomplete.csv]
    clusters:
      description: One entry per cluster.
      returned: always
      type: list
      elements: dict
      contains:
        cluster:
          description: Name of the cluster.
          returned: always
          type: str
          sample: east
        workloads:
          description: How many workloads it has; null where it was not looked at.
          returned: always
          type: int
          sample: 40
        identities:
          description: How many AzureIdentities it has; null where it was not looked at.
          returned: always
          type: int
          sample: 12
        errors:
          description: How many findings with the severity V(error) it has.
          returned: always
          type: int
          sample: 0
        warnings:
          description: How many findings with the severity V(warning) it has.
          returned: always
          type: int
          sample: 3
        failure:
          description: Why it was not looked at; else empty.
          returned: always
          type: str
          sample: ""
    failures:
      description: Why a cluster was not looked at, by its name.
      returned: always
      type: dict
      sample:
        west: "The user of this connection may not list pods: grant it with a Role or ClusterRole and a binding."
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
  sample: [write /var/reports/pod-identity-inventory.incomplete.json and .csv]
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
      id: /var/reports/pod-identity-inventory.incomplete.json
      why: with its twin in .csv
"""

import functools
import json
import os
import typing as t

from ansible_collections.azureops.pod_identity.plugins.module_utils import _argspec, _files, _plan
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.change import FILE, Change
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.errors import Failure
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.matching import inventory_files
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.matching.inventory_files import Found, Write

OPTIONS = _argspec.ArgumentSpec(
    options={
        "path": {"type": "path", "required": True},
        "clusters": {"type": "list", "elements": "str", "required": True},
        "inventories": {
            "type": "list",
            "elements": "dict",
            "required": True,
            "options": {
                "cluster": {"type": "str", "required": True},
                "path": {"type": "path"},
                "sha256": {"type": "str"},
                "failure": {"type": "str"},
            },
        },
    }
)


def failure(inventory: t.Mapping[str, t.Any] | None) -> str:
    """Why there is no inventory of a cluster; empty where there is one."""
    if inventory is None or not (inventory["failure"] or inventory["path"]):
        return "The cluster was not looked at: see with what its host failed, or run without --limit."
    if inventory["failure"]:
        return str(inventory["failure"])
    try:
        found = _files.digest(inventory["path"])
    except Failure:  # it belongs to somebody else
        found = ""
    if found == inventory["sha256"]:
        return ""
    return (
        f"The inventory of {inventory['cluster']} cannot be read where ansible-playbook runs: give that host "
        "ansible_connection=local and no become."
    )


def join(clusters: t.Iterable[tuple[str, str, str]], document: Write, table: Write) -> list[dict[str, t.Any]]:
    """Write the inventories of clusters, which are a name, a file and why there is none; return counts of each."""
    joined, counts = inventory_files.Joined(document, table), []
    for cluster, path, reason in clusters:
        found = {"error": reason} if reason else load(path)
        joined.add(cluster, found)
        counts.append(inventory_files.counts(cluster, found))
        del found  # before the next one is read
    joined.end()
    return counts


def load(path: str) -> Found:
    """Raises Failure where the file was taken away since it was compared."""
    try:
        with open(path, encoding="utf-8") as file:
            found: Found = json.load(file)
    except (OSError, ValueError) as error:
        raise Failure(f"The inventory {path} cannot be read any more ({error}): run the playbook again.") from error
    return found


def make_plan(options: t.Mapping[str, t.Any]) -> _plan.Plan:
    """Raises Failure where the files cannot be written."""
    known = {each["cluster"]: each for each in options["inventories"]}
    clusters = [
        (name, str((known.get(name) or {}).get("path", "")), failure(known.get(name))) for name in options["clusters"]
    ]
    failures = {name: reason for name, dummy, reason in clusters if reason}
    incomplete = [f"{options['path']}.incomplete{ending}" for ending in (".json", ".csv")]
    files = incomplete if failures else [f"{options['path']}{ending}" for ending in (".json", ".csv")]
    for path in files:
        _files.require_writable(path)
    new = [_files.Digest(), _files.Digest()]
    counts = join(clusters, new[0].write, new[1].write)

    def write() -> None:
        with _files.replacing(0o600, *files) as (document, table):
            join(clusters, document, table)

    steps, after = [], dict(zip(files, map(str, new)))
    before = {path: sha256 for path, sha256 in ((path, _files.digest(path)) for path in files) if sha256}
    if before != after:
        change = Change.of_file(files[0], existed=files[0] in before, why="with its twin in .csv")
        steps.append(_plan.Step(f"write {files[0]} and .csv", change, write))
    for path in incomplete:
        if not failures and os.path.lexists(path):
            before[path] = _files.digest(path)
            steps.append(
                _plan.Step(f"remove {path}", Change("delete", FILE, path), functools.partial(_files.remove, path))
            )
    result = {"files": files, "clusters": counts, "failures": failures}
    return _plan.Plan(before, after, tuple(steps), result=result)


def main() -> None:
    module = OPTIONS.create_module()
    _plan.run(module, lambda: make_plan(module.params), key="result")


if __name__ == "__main__":
    main()
