#!/usr/bin/python
# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pod_identity_info
short_description: Say which workload gets which pod identity, and what is wrong with that
version_added: 1.0.0
author:
  - azureops.pod_identity contributors (@azureops)
description:
  - Lists every workload of a cluster, running or not, with the identities that MIC assigns to its pods and with what
    NMI answers a request that names none. Both are computed by the rules of MIC and NMI, in standard and managed mode.
  - Compares the assignments that there are with the computed ones, and reports what is wrong or will go wrong as
    findings with stable codes, which docs/codes.md explains.
  - On request it lists what of pod identity is left in a cluster after it was uninstalled.
  - Reads a cluster, or files that C(kubectl get -o json) wrote. Without AzureAssignedIdentities in these nothing is
    compared with what MIC has done; without nodes none is taken to be gone. It writes nothing but the file O(path).
extends_documentation_fragment:
  - azureops.pod_identity._kubernetes_auth
  - azureops.pod_identity._inventory
  - azureops.pod_identity._attributes
  - azureops.pod_identity._attributes.actiongroup_kubernetes
attributes:
  check_mode:
    support: full
    details:
      - The cluster is read in check mode too; the file O(path) is not written.
  diff_mode:
    support: full
    details:
      - Of the file O(path) its SHA-256. Without O(path) nothing is modified.
  idempotent:
    support: full
    details:
      - The file O(path) is written only where its content changes. Without O(path) nothing is modified.
options:
  namespaces:
    description:
      - Tells only of the workloads, the identities and the findings of these namespaces, and of workloads elsewhere
        that get an identity from them. By default of all. The whole cluster is read all the same, and RV(residue) is
        that of the whole cluster.
    type: list
    elements: str
  audit:
    description:
      - Whether to list everything of pod identity that the cluster still has, as RV(residue). An empty list means that
        it is gone.
      - It is known by its kind, its image, the label of its chart, or the name that its manifests have. Helm releases
        are looked for under the usual name and under those that are written on what is left.
      - What looks like it, but lies in a namespace where nothing is installed, is listed with the code
        V(not_believed) and is nobody's but its owner's. AAD Pod Identity is installed where a ClusterRoleBinding gives
        service accounts the rights of MIC or NMI.
    type: bool
    default: false
  release_namespaces:
    description: Namespaces that count as those of an installation with O(audit), whatever ClusterRoleBindings say.
    type: list
    elements: str
    default: []
  path:
    description:
      - File on the host of the task that gets the whole inventory as JSON, with the names that are documented as return
        values. The long lists are not returned then, so that neither Ansible nor its callbacks hold those of a large
        cluster.
      - Its folder must exist. It is replaced as a whole or not at all. A new file is readable by its owner only; one
        that is replaced keeps its mode.
    type: path
notes:
  - Needs to list pods, nodes, deployments, statefulsets, daemonsets, replicasets, jobs, cronjobs, and the kinds of AAD
    Pod Identity in the whole cluster.
  - With O(audit) also customresourcedefinitions, clusterroles, clusterrolebindings, serviceaccounts,
    poddisruptionbudgets, endpoints, configmaps, namespaces and secrets. What may not be listed is a finding itself.
seealso:
  - module: azureops.pod_identity.nmi_info
  - module: azureops.pod_identity.pod_token_info
"""

EXAMPLES = r"""
- name: Look who gets which identity
  azureops.pod_identity.pod_identity_info:
    kubeconfig: /etc/ansible/prod.kubeconfig
  register: inventory

- name: Fail where something is broken
  ansible.builtin.assert:
    that: errors | length == 0
    fail_msg: "{{ errors | map(attribute='message') | join(' ') }}"
  vars:
    errors: "{{ inventory.findings | selectattr('severity', 'equalto', 'error') }}"

- name: Look what is left after an uninstallation
  azureops.pod_identity.pod_identity_info:
    kubeconfig: /etc/ansible/prod.kubeconfig
    audit: true
  register: after

- name: Show it, and what to do about it
  ansible.builtin.debug:
    msg: "{{ after.residue | azureops.pod_identity.table(['object', 'code', 'message', 'remedy']) }}"

- name: Look at what was saved of a cluster
  azureops.pod_identity.pod_identity_info:
    files:
      - /var/backups/prod/workloads.json
      - /var/backups/prod/pod-identity.json
    mode: standard
  register: saved

- name: Look who gets what in the namespaces of two teams
  azureops.pod_identity.pod_identity_info:
    kubeconfig: /etc/ansible/prod.kubeconfig
    namespaces: [shop, billing]
  register: teams

- name: Keep the inventory of a large cluster in a file
  azureops.pod_identity.pod_identity_info:
    kubeconfig: /etc/ansible/prod.kubeconfig
    path: /var/backups/prod/inventory.json
  register: kept

- name: Fail where findings are errors
  ansible.builtin.assert:
    that: kept.summary.finding_codes | selectattr('severity', 'equalto', 'error') | length == 0
    fail_msg: "{{ kept.summary.path }} has them."
"""

RETURN = r"""
rules:
  description: How the installation decides who gets what.
  returned: success
  type: dict
  contains:
    mode:
      description: V(standard) or V(managed).
      returned: always
      type: str
      sample: standard
    force_namespaced:
      description: Whether identities serve pods of their own namespace only.
      returned: always
      type: bool
      sample: false
    version:
      description: Version of MIC and NMI.
      returned: always
      type: str
      sample: 1.8.17
    mic_namespace:
      description: Namespace in which NMI takes workloads whose names begin with C(mic) for MIC.
      returned: always
      type: str
      sample: default
    retry_after:
      description: Whether NMI answers 503 with Retry-After where a pod has no identity.
      returned: always
      type: bool
      sample: false
workloads:
  description:
    - One entry per Deployment, StatefulSet, DaemonSet, ReplicaSet, CronJob, Job and pod that nothing else here makes.
    - Owners of other kinds that make pods themselves have one entry per selector of their pods.
  returned: success, without O(path)
  type: list
  elements: dict
  contains:
    namespace:
      description: Namespace of the workload.
      returned: always
      type: str
      sample: team
    kind:
      description: Kind of the workload.
      returned: always
      type: str
      sample: Deployment
    name:
      description: Name of the workload.
      returned: always
      type: str
      sample: web
    owner:
      description: Kind and name of what the workload belongs to in turn; empty where that is nothing.
      returned: always
      type: str
      sample: Rollout web
    selector:
      description: Value of the label C(aadpodidbinding) of its pods.
      returned: always
      type: str
      sample: web
    pods:
      description: How many pods it has that run or will.
      returned: always
      type: int
      sample: 3
    identities:
      description: What MIC assigns to its pods, or NMI finds for them in managed mode, in the order of their bindings.
      returned: always
      type: list
      elements: dict
      sample:
        - namespace: team
          name: web
          binding: web-binding
          type: 0
          client_id: 00000000-0000-0000-0000-000000000001
          resource_id: /subscriptions/s/resourcegroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/web
    default:
      description: What NMI answers to a request that names no identity.
      returned: always
      type: dict
      contains:
        statuses:
          description: The possible HTTP statuses, where Azure grants the token.
          returned: always
          type: list
          elements: int
          sample: [200]
        answers:
          description:
            - The possible kinds of answer, V(token) of an identity, V(node_token) (of the node's own, through NMI),
              V(imds) (past NMI), V(not_assigned), V(no_such_identity), V(unsupported_type), V(no_client_id) (a service
              principal's is missing).
          returned: always
          type: list
          elements: str
          sample: [token]
        identities:
          description: Namespace and name of the identities, one of which the token is of.
          returned: always
          type: list
          elements: str
          sample: [team/web]
        deterministic:
          description: Whether there is one possible answer.
          returned: always
          type: bool
          sample: true
    exceptions:
      description: Names of the AzurePodIdentityExceptions that cover its pods.
      returned: always
      type: list
      elements: str
      sample: []
    host_network:
      description: Whether its pods use the host network, where NMI sees no request.
      returned: always
      type: bool
      sample: false
    taken_for_mic:
      description: Whether NMI takes its pods for MIC.
      returned: always
      type: bool
      sample: false
    service_account:
      description: Service account of its pods.
      returned: always
      type: str
      sample: web
    service_account_shared_with:
      description: How many other workloads have that service account.
      returned: always
      type: int
      sample: 0
    federated_subject:
      description: Subject of the federated credential that a migration needs for each of its identities.
      returned: always
      type: str
      sample: system:serviceaccount:team:web
identities:
  description: One entry per AzureIdentity.
  returned: success, without O(path)
  type: list
  elements: dict
  contains:
    namespace:
      description: Namespace of the AzureIdentity.
      returned: always
      type: str
      sample: team
    name:
      description: Name of the AzureIdentity.
      returned: always
      type: str
      sample: web
    type:
      description: V(0) for a managed identity, V(1) for a service principal, V(2) for one with a certificate.
      returned: always
      type: int
      sample: 0
    client_id:
      description: Client id that it names.
      returned: always
      type: str
      sample: 00000000-0000-0000-0000-000000000001
    resource_id:
      description: Resource id that it names.
      returned: always
      type: str
      sample: /subscriptions/s/resourcegroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/web
    namespaced:
      description: Whether it serves pods of its own namespace only.
      returned: always
      type: bool
      sample: false
    federated_subjects:
      description:
        - Subjects of the federated credentials that a migration needs on the managed identity, by all AzureIdentities
          that name it. Azure gives an identity 20 of them.
      returned: always
      type: list
      elements: str
      sample: ['system:serviceaccount:team:web']
assignments:
  description:
    - The AzureAssignedIdentities of the whole cluster beside the computed ones; null in managed mode, and where they
      were not read.
  returned: success
  type: dict
  contains:
    computed:
      description: How many MIC should have made.
      returned: always
      type: int
      sample: 12
    live:
      description: How many there are.
      returned: always
      type: int
      sample: 12
    equal:
      description: How many are as computed.
      returned: always
      type: int
      sample: 12
assigned:
  description: One entry per AzureAssignedIdentity.
  returned: success, without O(path)
  type: list
  elements: dict
  contains:
    namespace:
      description: Namespace of the AzureAssignedIdentity.
      returned: always
      type: str
      sample: default
    name:
      description: Name of the AzureAssignedIdentity.
      returned: always
      type: str
      sample: web-1-team-web
    pod:
      description: Namespace and name of the pod that it is for.
      returned: always
      type: str
      sample: team/web-1
    node:
      description: Node of that pod.
      returned: always
      type: str
      sample: aks-nodepool1-12345678-vmss000000
    type:
      description: Type of the identity.
      returned: always
      type: int
      sample: 0
    client_id:
      description: Client id of the identity.
      returned: always
      type: str
      sample: 00000000-0000-0000-0000-000000000001
    resource_id:
      description: Resource id of the identity.
      returned: always
      type: str
      sample: /subscriptions/s/resourcegroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/web
    deleting:
      description: Whether it is being deleted.
      returned: always
      type: bool
      sample: false
findings:
  description: What is wrong or will go wrong, the worst first.
  returned: success, without O(path)
  type: list
  elements: dict
  contains:
    code:
      description: What it is, always the same text.
      returned: always
      type: str
      sample: ambiguous_default
    severity:
      description: V(error), V(warning) or V(info).
      returned: always
      type: str
      sample: warning
    object:
      description: Kind, namespace and name of the object.
      returned: always
      type: str
      sample: Deployment team/web
    message:
      description: What was found, in one sentence.
      returned: always
      type: str
      sample: A request without client id gets a token of any of team/web, team/db, as chance has it.
    remedy:
      description: What to do about it.
      returned: always
      type: str
      sample: Let the application name its client id, or use one selector per identity.
    references:
      description: Where the code is explained, and issues that tell of it.
      returned: always
      type: list
      elements: str
      sample: ["https://github.com/azureops/pod_identity/blob/main/docs/codes.md#ambiguous_default"]
residue:
  description: What is left of pod identity, the worst first, with the keys of RV(findings).
  returned: with O(audit), without O(path)
  type: list
  elements: dict
  sample:
    - code: definition_left
      severity: warning
      object: CustomResourceDefinition azureidentities.aadpodidentity.k8s.io
      message: The kind is still installed.
      remedy: Delete it when no object of it is left; helm leaves it.
      references: ["https://github.com/azureops/pod_identity/blob/main/docs/codes.md#definition_left"]
summary:
  description: The file, and how many entries its lists have.
  returned: with O(path)
  type: dict
  contains:
    path:
      description: The file.
      returned: always
      type: str
      sample: /var/backups/prod/inventory.json
    sha256:
      description: SHA-256 of the content of the file, in check mode of what it would be.
      returned: always
      type: str
      sample: 2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824
    workloads:
      description: Number of RV(workloads).
      returned: always
      type: int
      sample: 40
    identities:
      description: Number of RV(identities).
      returned: always
      type: int
      sample: 12
    assigned:
      description: Number of RV(assigned).
      returned: always
      type: int
      sample: 12
    findings:
      description: Number of RV(findings).
      returned: always
      type: int
      sample: 3
    residue:
      description: Number of RV(residue).
      returned: with O(audit)
      type: int
      sample: 0
    finding_codes:
      description: How many of RV(findings) have which code and severity.
      returned: always
      type: list
      elements: dict
      sample: [{code: ambiguous_default, severity: warning, count: 3}]
permissions:
  description: Always empty, because nothing of Azure or Kubernetes is changed.
  returned: in check mode, with O(path)
  type: list
  elements: dict
  sample: []
actions:
  description: What was done, or in check mode what would be done.
  returned: with O(path)
  type: list
  elements: str
  sample: [write the inventory /var/backups/prod/inventory.json]
changes:
  description: RV(actions) as data, in the same order.
  returned: with O(path)
  type: list
  elements: dict
  contains:
    verb:
      description: V(create) or V(change).
      returned: always
      type: str
      sample: create
    kind:
      description: V(file).
      returned: always
      type: str
      sample: file
    id:
      description: Path of the file.
      returned: always
      type: str
      sample: /var/backups/prod/inventory.json
    why:
      description: What is changed of it, or for what; may be empty.
      returned: always
      type: str
      sample: ''
  sample:
    - verb: create
      kind: file
      id: /var/backups/prod/inventory.json
      why: ''
"""

import typing as t
from dataclasses import asdict

from ansible_collections.azureops.pod_identity.plugins.module_utils import _argspec, _files, _plan
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.change import Change
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.findings import findings
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.installation.trusted_namespaces import (
    Belief,
)
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.matching import inventory_files
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.matching.inventory import (
    Cluster,
    Inventory,
    settings,
)
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube import inventory
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.client import connect


def as_data(found: Inventory) -> dict[str, t.Any]:
    rules = found.cluster.rules
    return {
        "rules": {**asdict(rules), "version": ".".join(map(str, rules.version))},
        "workloads": found.workload_rows(),
        "identities": found.identity_rows(),
        "assignments": found.assignments(),
        "assigned": found.assigned_rows(),
        "findings": [asdict(finding) for finding in findings.find(found)],
    }


def make_plan(found: dict[str, t.Any], path: str) -> _plan.Plan:
    """Write ``found`` into the file, unless it has the same content."""
    _files.require_writable(path)
    new = _files.Digest()
    for piece in inventory_files.text(found):
        new.write(piece)

    def write() -> None:
        with _files.replacing(0o600, path) as (file,):
            for piece in inventory_files.text(found):
                file(piece)

    before, after = {"path": path, "sha256": _files.digest(path)}, {"path": path, "sha256": str(new)}
    change = Change.of_file(path, existed=bool(before["sha256"]))
    return _plan.Plan(
        before=before if before["sha256"] else {},
        after=after,
        steps=() if before == after else (_plan.Step(f"write the inventory {path}", change, write),),
        result={**after, **inventory_files.summary(found)},
        extra_results={"rules": found["rules"], "assignments": found["assignments"]},
    )


def main() -> None:
    module = (
        _argspec.kubernetes_auth()
        .merge(
            _argspec.ArgumentSpec(
                options={
                    "namespaces": {"type": "list", "elements": "str"},
                    "audit": {"type": "bool", "default": False},
                    "release_namespaces": {"type": "list", "elements": "str", "default": []},
                    "path": {"type": "path"},
                }
            ),
            _argspec.inventory(),
        )
        .create_module()
    )

    def observe() -> dict[str, t.Any]:
        params = module.params
        given = settings(params["mode"], params["force_namespaced"], params["version"])
        files, unread = params["files"], {}
        if files is not None:
            read = inventory.read_files(files)
        else:
            client = connect(params, module.tmpdir)
            read, silent = inventory.read(client)
            if params["audit"]:
                unread = inventory.read_residue(client, read)
            else:
                for sentence in silent.values():
                    module.warn(f"{sentence} {Belief.EVERYWHERE}")
        cluster = Cluster.parse(read, given, unread, params["release_namespaces"])
        found = Inventory(cluster, params["namespaces"])
        residue = {"residue": [asdict(one) for one in findings.residue(found)]} if params["audit"] else {}
        return {**as_data(found), **residue}

    path = module.params["path"]
    if path is None:
        _plan.report(module, observe)
    _plan.run(module, lambda: make_plan(observe(), path), key="summary")


if __name__ == "__main__":
    main()
