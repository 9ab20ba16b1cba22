#!/usr/bin/python
# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: cluster_lease
short_description: Take a cluster for one run, so that no second one works on it at the same time
version_added: 1.0.0
author:
  - azureops.pod_identity contributors (@azureops)
description:
  - Takes, renews or gives back a C(Lease) (API group C(coordination.k8s.io)) in the cluster, in the name of the
    C(ansible-playbook) that runs the task. Of two that try at the same time one gets it.
  - While one run holds it, another waits, or fails with the name of the holder.
  - It goes with the C(ansible-playbook) that took it, also after Ctrl-C. A run that was killed does not keep it where
    the next run can prove that it has ended, by its process, or from another process namespace of the same machine by
    Ansible's temporary directory, which a run keeps locked. Elsewhere, such as on another machine or in a container
    with a file system of its own, it is free when it was not renewed for its duration; the refusal has the command that
    frees it at once. Time is that of the API server, so clocks need not agree.
  - Nothing is stopped by it that does not ask for it.
extends_documentation_fragment:
  - azureops.pod_identity._kubernetes_auth
  - azureops.pod_identity._attributes
  - azureops.pod_identity._attributes.actiongroup_kubernetes
attributes:
  check_mode:
    support: full
    details: [It is not taken, and not waited for.]
  diff_mode:
    support: full
  idempotent:
    support: partial
    details: [To renew it is a change.]
options:
  name:
    description: Name of the Lease. All runs that must not work at the same time need the same.
    type: str
    default: azureops-pod-identity
  namespace:
    description: Namespace of the Lease, which exists.
    type: str
    default: default
  state:
    description:
      - V(present) takes it, or renews it where this run holds it already.
      - V(absent) gives it back by deleting it; a Lease of somebody else stays.
    type: str
    choices: [present, absent]
    default: present
  renew_only:
    description:
      - Whether O(state=present) fails where this run does not hold the Lease any more, because another run may have
        changed what was observed before.
    type: bool
    default: false
  duration:
    description:
      - Seconds after which a Lease that was not renewed is free. Longer than what the run does between two renewals.
    type: int
    default: 3600
  wait_timeout:
    description: Seconds to wait for another run to end. V(0) fails at once.
    type: int
    default: 0
  wait_sleep:
    description: Seconds between two looks; the first looks follow each other faster.
    type: int
    default: 5
  holder:
    description: Who holds it, for people; if unset, the user, the machine, and the process of C(ansible-playbook).
    type: str
  process:
    description:
      - The process that holds it and what it keeps locked, as its action plugin names it; if unset, those of
        C(ansible-playbook). On a system without C(/proc) it is empty, and a killed run keeps the Lease for its
        O(duration).
    type: str
notes:
  - Needs to get, create, patch and delete leases (coordination.k8s.io) in O(namespace).
seealso:
  - module: azureops.pod_identity.pod_identity_removal
"""

EXAMPLES = r"""
- name: Work on the cluster alone, after whoever does now
  azureops.pod_identity.cluster_lease:
    kubeconfig: /etc/ansible/prod.kubeconfig
    wait_timeout: 600

- name: Keep it, before the next long step
  azureops.pod_identity.cluster_lease:
    kubeconfig: /etc/ansible/prod.kubeconfig
    renew_only: true

- name: Let others work on it again
  azureops.pod_identity.cluster_lease:
    kubeconfig: /etc/ansible/prod.kubeconfig
    state: absent
"""

RETURN = r"""
lease:
  description: The Lease as it is then, or in check mode would be; empty where nobody holds it.
  returned: success, and when somebody else holds it
  type: dict
  contains:
    holder:
      description: Who holds it.
      returned: when it is held
      type: str
      sample: alice@workstation, process 4711
    renewed:
      description: When it was renewed last, by the clock of the API server; unset in check mode.
      returned: when it is held
      type: str
      sample: "2026-03-01T10:00:00Z"
    duration:
      description: Seconds after which it is free unless it is renewed.
      returned: when it is held
      type: int
      sample: 3600
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
      resource: leases
      api_group: coordination.k8s.io
      subresource: ""
      namespace: default
actions:
  description: What was done, or in check mode what would be done.
  returned: always
  type: list
  elements: str
  sample: [take Lease default/azureops-pod-identity]
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
      kind: Lease
      id: default/azureops-pod-identity
      why: take
failed_action:
  description: The action that failed.
  returned: when an action fails
  type: str
  sample: take Lease default/azureops-pod-identity
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
    kind: Lease
    id: default/azureops-pod-identity
    why: take
error:
  description: Answer of the service as data (C(code), C(message), C(status), and of Azure C(request_id)).
  returned: when Azure or the API server refuses a request
  type: dict
  sample: {code: Forbidden, message: leases.coordination.k8s.io is forbidden, status: 403}
"""

import functools
import typing as t

from ansible_collections.azureops.pod_identity.plugins.module_utils import _argspec, _processes
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.errors import Failure
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.kubernetes import lease
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube import leases
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.client import Client, connect
from ansible_collections.azureops.pod_identity.plugins.module_utils._plan import Plan, Step, run

OPTIONS = _argspec.ArgumentSpec(
    options={
        "name": {"type": "str", "default": lease.NAME},
        "namespace": {"type": "str", "default": lease.NAMESPACE},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "renew_only": {"type": "bool", "default": False},
        "duration": {"type": "int", "default": 3600},
        "wait_timeout": {"type": "int", "default": 0},
        "wait_sleep": {"type": "int", "default": 5},
        "holder": {"type": "str"},
        "process": {"type": "str"},
    }
).merge(_argspec.kubernetes_auth())


def make_plan(client: Client, params: t.Mapping[str, t.Any]) -> Plan:
    holder = lease.Holder(params["holder"] or _processes.person(), params["process"] or "")
    desired = leases.Desired(params["namespace"], params["name"], holder, params["duration"], _processes.ended)
    found, claim = leases.observe(client, desired)
    before = found.told() if found else {}
    if params["state"] == "absent":
        if not claim.ours:
            return Plan(before, before)
        give_back = functools.partial(leases.give_back, client, desired)
        change = desired.change("delete", "give back")
        step = Step(f"{change.why} {desired.label}", change, give_back, needs=desired.needs("delete"))
        return Plan(before, {}, (step,))
    if params["renew_only"] and not claim.ours:
        raise Failure(
            f"This run does not hold {desired.label} any more"
            + (f", which {found.holder.name} has taken" if found else "")
            + ", so the cluster may have changed: run it again from the beginning.",
            results={"lease": before},
        )
    if not claim.free and not params["wait_timeout"]:
        raise leases.held(client, desired)
    take = functools.partial(leases.take, client, desired, timeout=params["wait_timeout"], pause=params["wait_sleep"])
    step = Step(
        claim.summary,
        desired.change("change" if found else "create", claim.why),
        take,
        needs=desired.needs("patch" if found else "create"),
    )
    return Plan(before, {"holder": holder.name, "duration": desired.seconds}, (step,))


def main() -> None:
    module = OPTIONS.create_module()
    run(module, lambda: make_plan(connect(module.params, module.tmpdir), module.params), key="lease")


if __name__ == "__main__":
    main()
