#!/usr/bin/python
# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: cluster_session
short_description: Find a cluster, connect to it, prove that it is the one that is named, and ask what is permitted
version_added: 1.0.0
author:
  - azureops.pod_identity contributors (@azureops)
description:
  - Reads the cluster that the variables of the role C(pod_identity_cluster) name, writes a kubeconfig into a private
    directory and proves that its API server is that of the cluster, by the name of the server or by the nodes behind
    it. What is not proved leaves nothing.
  - The kubeconfig is the one that options, C(module_defaults) and environment of the task choose, else one from AKS. It
    is the same for the whole run, whatever a later task has in its environment.
  - Every task with it registers the variable C(pod_identity_session), from which the next one goes on. A task that is
    skipped would replace it, so such a task has O(needed) instead of C(when).
  - It is internal to the roles of this collection, and may change with any release. It runs
    M(azureops.pod_identity.aks_cluster_info), M(azureops.pod_identity.cluster_connection),
    M(azureops.pod_identity.aks_kubeconfig), M(azureops.pod_identity.permission_info),
    M(azureops.pod_identity.access_review_info) and M(azureops.pod_identity.kubernetes_object_info) with the
    C(module_defaults) of each.
extends_documentation_fragment:
  - azureops.pod_identity._attributes
attributes:
  check_mode:
    support: full
    details:
      - The directory and the kubeconfig are written, and removed, in check mode too, because tasks read the cluster
        then as well.
  diff_mode:
    support: N/A
    details:
      - Nothing that lasts is changed.
  idempotent:
    support: full
options:
  state:
    description:
      - V(connected) reads the cluster and connects, or stays with a connection that is open, with a token that lasts.
        V(known) takes the cluster from O(cluster), and connects where the session began for roles that need it.
      - V(absent) removes the directory of the connection, unless another role ends it, and tells what the tasks since
        its beginning changed, or would change, and how long each took; the same is left as C(pod_identity_changes) with
        C(set_stats), each with C(host), C(change), C(state), C(seconds), and C(verb), C(kind), C(id) and C(why) of the
        module that made it, which are empty where it tells none.
      - V(predicted) says that what follows is only a prediction; V(restored) goes back to what was known before.
      - V(begun) checks the options of O(roles), all before it says what is wrong with them, asks what they need and
        connects. With V(pod_identity_cluster) among them, which may be to create the cluster, it connects only to ask.
      - V(asked) asks for O(azure) and O(kubernetes). V(counted) adds O(permissions) and O(ungranted) to those of
        earlier predictions.
      - V(private_directory) only makes a directory, removes those of runs that were killed, and begins to count what is
        changed.
    type: str
    choices: [known, predicted, counted, restored, connected, asked, begun, absent, private_directory]
    default: connected
  owner:
    description: The role that ends the connection.
    type: str
    default: pod_identity_cluster
  roles:
    description: The roles that begin.
    type: list
    elements: str
    default: []
  cluster:
    description: What is known of the cluster now. A connection to one that was only predicted ends.
    type: dict
    default: {}
  azure:
    description: What is needed in Azure, as O(azureops.pod_identity.permission_info#module:needs).
    type: list
    elements: dict
    default: []
  kubernetes:
    description: What is needed in the cluster, as O(azureops.pod_identity.access_review_info#module:needs).
    type: list
    elements: dict
    default: []
  connects:
    description: Whether connecting is asked for too.
    type: bool
    default: false
  further:
    description: Whether what was missing before stays in RV(missing).
    type: bool
    default: false
  permissions:
    description: What the changes of a prediction need, for O(state=counted).
    type: list
    elements: dict
    default: []
  ungranted:
    description: The role assignments that a prediction misses and that somebody else has to make, for O(state=counted).
    type: list
    elements: dict
    default: []
  tells:
    description:
      - Whether O(state=connected) begins a list of changes where there is none yet, and O(state=absent) ends that which
        O(owner) began.
    type: bool
    default: true
  needed:
    description: V(false) leaves the session as it is.
    type: bool
    default: true
seealso:
  - module: azureops.pod_identity.cluster_connection
"""

EXAMPLES = r"""
- name: Connect to the cluster
  azureops.pod_identity.cluster_session:
  register: pod_identity_session

- name: Look for NMI
  azureops.pod_identity.nmi_info:
    kubeconfig: "{{ pod_identity_session.connection.kubeconfig }}"
  when: pod_identity_session.connection.reachable

- name: Disconnect from the cluster
  azureops.pod_identity.cluster_session:
    state: absent
  register: pod_identity_session
"""

RETURN = r"""
cluster:
  description:
    - The cluster, as M(azureops.pod_identity.aks_cluster_info) returns it, and
      C(principal_id), who gets the roles of the nodes. Empty where it does not exist.
  returned: where a cluster is named or known
  type: dict
  sample: {name: demo, resource_group: demo, principal_id: 00000000-0000-0000-0000-000000000001}
plans:
  description: What the options of the roles amount to that have begun, by role.
  returned: always, but with O(state=private_directory)
  type: dict
  sample: {pod_identity_chart: {kubernetes: []}}
missing:
  description: The permissions that are missing, of those that were asked for last.
  returned: always, but with O(state=private_directory)
  type: list
  elements: dict
  sample: []
before:
  description: The cluster as it is, in a list, while the session is that of a prediction.
  returned: with O(state=predicted), and until O(state=restored)
  type: list
  elements: dict
  sample: [{name: demo, resource_group: demo}]
phases:
  description: The phases of the role C(pod_identity_cluster) that the tags choose.
  returned: always, but with O(state=private_directory)
  type: list
  elements: str
  sample: [pod_identity_cluster_create]
roles:
  description: O(roles) of the task that has begun last.
  returned: always, but with O(state=private_directory)
  type: list
  elements: str
  sample: [pod_identity_cluster, pod_identity_chart]
permissions:
  description: What the changes that were predicted need, since the session has begun or asked.
  returned: always, but with O(state=private_directory)
  type: list
  elements: dict
  sample: []
ungranted:
  description: The role assignments that are missing and that somebody else has to make, by the same predictions.
  returned: always, but with O(state=private_directory)
  type: list
  elements: dict
  sample: []
creation:
  description:
    - The file of the role C(pod_identity_cluster) that creates or changes the cluster, or its resource group too.
  returned: always, but with O(state=private_directory)
  type: str
  sample: create.yml
connection:
  description: The connection; empty where there is none.
  returned: always, but with O(state=private_directory)
  type: dict
  contains:
    owner:
      description: The role that ends it.
      returned: always
      type: str
      sample: pod_identity_cluster
    directory:
      description: The private directory.
      returned: always
      type: str
      sample: /tmp/azureops-pod-identity-1a2b3c4d-4026531836-4711-815-x1y2z3
    cluster:
      description: Id of the cluster that it leads to; empty where none is named.
      returned: always
      type: str
      sample: /subscriptions/.../resourcegroups/demo/providers/Microsoft.ContainerService/managedClusters/demo
    fetched:
      description: Whether the kubeconfig comes from AKS.
      returned: always
      type: bool
      sample: true
    kubeconfig:
      description: The kubeconfig; C((known after apply)) where the cluster is only predicted.
      returned: always
      type: str
      sample: /tmp/azureops-pod-identity-1a2b3c4d-4026531836-4711-815-x1y2z3/kubeconfig
    context:
      description: Always empty; the kubeconfig has one context.
      returned: always
      type: str
      sample: ""
    reachable:
      description: Whether there is an API server by now; false where the cluster is only predicted.
      returned: always
      type: bool
      sample: true
account:
  description: Where the tasks of the session keep what they change, and whose end tells it; empty after it.
  returned: always, but with O(state=private_directory)
  type: dict
  sample: {}
connects:
  description: Whether the session connects as soon as the cluster is known.
  returned: always, but with O(state=private_directory)
  type: bool
  sample: false
path:
  description: The directory.
  returned: with O(state=private_directory)
  type: str
  sample: /tmp/azureops-pod-identity-1a2b3c4d-4026531836-4711-815-x1y2z3
error:
  description: Answer of the service as data (C(code), C(message), C(status), and of Azure C(request_id)).
  returned: when Azure or the API server refuses a request
  type: dict
  sample: {code: AuthorizationFailed, message: The client does not have authorization., status: 403}
"""
