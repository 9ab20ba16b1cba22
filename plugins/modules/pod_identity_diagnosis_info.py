#!/usr/bin/python
# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pod_identity_diagnosis_info
short_description: Say what is wrong with pod identities in a cluster, why, and what mends it
version_added: 1.0.0
author:
  - azureops.pod_identity contributors (@azureops)
description:
  - Tells for a pod, a workload, a namespace or the whole cluster what keeps pods from getting tokens of their
    identities, the likeliest cause first, each with its evidence and with what to do.
  - Looks at objects, at events, at the state and the logs of MIC, NMI and the Workload ID webhook, and at what NMI says
    of itself on each node. What could not be looked at is told too, with what it would take; a cluster is called
    healthy only where all was looked at and a token was got in the place of each workload (O(probe)).
  - Rules that NMI left on a node cannot be seen from outside. A node without NMI where no request was answered is told
    in RV(unread); C(cleanup_nodes --check) looks at it.
  - Where the cluster is named (O(cluster_name)) it looks at Azure too.
  - With O(probe) it also asks for tokens in the place of pods, as M(azureops.pod_identity.pod_token_info) does, and
    joins the answers with everything else.
  - Text of logs and events is never proof, because tenants may have written it; names in it count only where an object
    has them. Whatever is shown of it is escaped and cut.
  - Reads a cluster, or files that C(kubectl get -o json) and C(kubectl logs) wrote. It changes nothing; with O(probe)
    a throw-away pod comes and goes for each request.
extends_documentation_fragment:
  - azureops.pod_identity._azure_auth
  - azureops.pod_identity._kubernetes_auth
  - azureops.pod_identity._inventory
  - azureops.pod_identity._attributes
  - azureops.pod_identity._attributes.info_module
  - azureops.pod_identity._attributes.actiongroup_both
options:
  namespace:
    description: Tells only of what concerns this namespace, or the one of O(pod) or O(workload).
    type: str
  workload:
    description:
      - Tells only of what concerns this workload, V(NAMESPACE/NAME) or V(NAMESPACE/KIND/NAME); with O(namespace)
        V(NAME) or V(KIND/NAME).
    type: str
  pod:
    description: Tells only of what concerns this pod, V(NAMESPACE/NAME); with O(namespace) V(NAME).
    type: str
  log_files:
    description:
      - Files with logs, with O(files). Each is called as its pod is, V(POD.log) or V(NAMESPACE_POD.log); that of the
        run before a restart V(POD.previous.log).
    type: list
    elements: path
    default: []
  logs:
    description: Whether the logs of MIC, NMI and the webhook are looked at, of the run before a crash too.
    type: bool
    default: true
  events:
    description: Whether events are looked at.
    type: bool
    default: true
  nodes:
    description: Whether NMI is asked on each node, through the API server, whether it works.
    type: bool
    default: true
  log_megabytes:
    description:
      - How much of all logs is read at most, of each the end; from V(1) to V(10000). Half of it is for MIC and the
        webhook. Of a file with a log it is as much.
    type: int
    default: 20
  log_hours:
    description:
      - How old what is read of logs may be; from V(1) to V(8760). The logs of O(log_files) are read whatever their age.
    type: int
    default: 24
  probe:
    description:
      - Whether a token is asked for in the place of the O(pod), or of one running pod of the O(workload), and joined
        with the rest; of a namespace or the cluster in the place of one running pod of each workload that gets an
        identity, of 25 workloads at most. What is not asked for is told in RV(unread).
      - The request comes from a throw-away pod on the node of the pod, as with
        O(azureops.pod_identity.pod_token_info#module:method=probe_pod). NMI is asked with the client id that
        C(AZURE_CLIENT_ID) of the pod names, if it names one.
      - All are made at the same time, which takes minutes where NMI waits for an assignment.
      - Only decoded claims leave the pod, never the token.
      - Mutually exclusive with O(files).
    type: bool
    default: false
  probe_image:
    description: Image of the throw-away pod, as O(azureops.pod_identity.pod_token_info#module:image).
    type: str
    default: mcr.microsoft.com/azurelinux/base/core:3.0
  probe_resource:
    description: What the tokens are for.
    type: str
    default: https://management.azure.com/
  check_mode_probe:
    description:
      - Whether check mode asks for tokens too; the throw-away pods come and go and change nothing. Otherwise they are
        told in RV(unread).
    type: bool
    default: false
  resource_group:
    description: Resource group of the cluster O(cluster_name).
    type: str
  cluster_name:
    description:
      - Name of the managed cluster, about which Azure is asked too, namely about its state, the identities that its
        AzureIdentities name, who may do what with them, and what its scale sets carry. Without it Azure is told in
        RV(unread).
      - Where none of its nodes is one of that cluster, Azure is not believed to be about it.
    type: str
notes:
  - In Azure it reads the managed cluster, scale sets and virtual machines, managed identities, the federated
    credentials of those that service accounts of Workload ID name, role assignments and role definitions, deny
    assignments and locks. What of it may not be read is told in RV(unread).
  - Needs to list pods, deployments, statefulsets, daemonsets, replicasets, jobs, cronjobs, and the kinds of AAD Pod
    Identity in the whole cluster; without that nothing can be told.
  - With O(probe) it needs what the probe of M(azureops.pod_identity.pod_token_info) does, which is to list services,
    PodDisruptionBudgets and Jobs, to create and delete Jobs, and to read pods, their logs and events in the namespaces
    of the pods. Without it the requests are told in RV(unread).
  - Looks besides at nodes, namespaces, serviceaccounts, networkpolicies, customresourcedefinitions, clusterroles,
    clusterrolebindings, mutatingwebhookconfigurations and events of the whole cluster, at the lock of MIC (endpoints or
    leases), at the leases in C(kube-node-lease), at the configmaps C(kube-proxy) and C(cilium-config) in
    C(kube-system), at pods/log and pods/proxy of MIC, NMI and the webhook, and at the Secrets that AzureIdentities
    name, of which it keeps the names of their keys. What of it may not be read is told in RV(unread).
seealso:
  - module: azureops.pod_identity.pod_identity_info
  - module: azureops.pod_identity.pod_token_info
"""

EXAMPLES = r"""
- name: Look what is wrong
  azureops.pod_identity.pod_identity_diagnosis_info:
    kubeconfig: /etc/ansible/prod.kubeconfig
  register: diagnosis

- name: Look what is wrong, in Azure too
  azureops.pod_identity.pod_identity_diagnosis_info:
    kubeconfig: /etc/ansible/prod.kubeconfig
    resource_group: prod
    cluster_name: prod
  register: with_azure

- name: Show the causes, the likeliest first
  ansible.builtin.debug:
    msg: "{{ diagnosis.causes | azureops.pod_identity.table(['severity', 'code', 'object', 'cause']) }}"

- name: Look why a pod gets no token, without reading logs
  azureops.pod_identity.pod_identity_diagnosis_info:
    kubeconfig: /etc/ansible/prod.kubeconfig
    pod: shop/web-6d4cf56db6-abcde
    logs: false
  register: of_the_pod

- name: Look why a pod gets no token, and ask for one in its place
  azureops.pod_identity.pod_identity_diagnosis_info:
    kubeconfig: /etc/ansible/prod.kubeconfig
    pod: shop/web-6d4cf56db6-abcde
    probe: true
  register: with_answer

- name: Look at what was saved of a cluster
  azureops.pod_identity.pod_identity_diagnosis_info:
    files:
      - /var/backups/prod/workloads.json
      - /var/backups/prod/pod-identity.json
    log_files:
      - /var/backups/prod/mic-7f9c6d5b8-x2x4v.log
      - /var/backups/prod/nmi-8kq7z.previous.log
  register: saved

- name: Fail where something is broken
  ansible.builtin.assert:
    that: saved.verdict != 'broken'
    fail_msg: "{{ saved.causes | map(attribute='cause') | join(' ') }}"
"""

RETURN = r"""
scope:
  description: What it tells of.
  returned: success
  type: str
  sample: Pod shop/web-6d4cf56db6-abcde
verdict:
  description:
    - V(broken) by an error that is more than possible, V(suspect) by another error or a warning. V(healthy) where
      nothing was found, all was looked at, and the tokens that were asked for (O(probe)) are right. V(unknown) where
      nothing was found and something was not looked at, or nothing was proved.
  returned: success
  type: str
  sample: broken
causes:
  description:
    - What is wrong, the likeliest first. What another cause explains comes last.
    - The findings of M(azureops.pod_identity.pod_identity_info) are among them.
  returned: success
  type: list
  elements: dict
  contains:
    code:
      description: What it is, always the same text.
      returned: always
      type: str
      sample: nmi_missing_on_node
    severity:
      description: V(error), V(warning) or V(info).
      returned: always
      type: str
      sample: error
    object:
      description: What has to be changed.
      returned: always
      type: str
      sample: Node aks-gpu-12345678-vmss000000
    symptom:
      description: What people see of it; may be empty.
      returned: always
      type: str
      sample: Pods on the node get no token, or one of any identity of the node, past NMI.
    cause:
      description: What is wrong, in one sentence.
      returned: always
      type: str
      sample: "No NMI works on node aks-gpu-12345678-vmss000000: NMI does not tolerate its taint sku:NoSchedule."
    evidence:
      description: What it was told by.
      returned: always
      type: list
      elements: dict
      contains:
        source:
          description: An object, or whose log or event it is.
          returned: always
          type: str
          sample: DaemonSet kube-system/nmi
        text:
          description: What was found there, escaped and cut.
          returned: always
          type: str
          sample: "On node aks-gpu-12345678-vmss000000: NMI does not tolerate its taint sku:NoSchedule."
        time:
          description: When, as the source has it; may be empty.
          returned: always
          type: str
          sample: '2026-03-01T11:50:00Z'
    fix:
      description: What mends it.
      returned: always
      type: dict
      contains:
        text:
          description: What to do, in words.
          returned: always
          type: str
          sample: Let NMI run on the node.
        command:
          description: The command, or one that leads on; may be empty.
          returned: always
          type: str
          sample: kubectl --namespace kube-system describe daemonset nmi
    references:
      description: Documentation and issues.
      returned: always
      type: list
      elements: str
      sample:
        - https://github.com/azureops/pod_identity/blob/main/docs/codes.md#two_installations
        - Azure/aad-pod-identity#740
    certainty:
      description:
        - V(proved) where the present state is the cause, V(likely) where a log or an event names it and nothing
          contradicts, V(possible) where the state would lead to it and nothing shows that it did.
        - The answer to a request (O(probe)) proves what it says, and where it is just the one that a present state
          leads to, that this state is in effect; what it only hints at is V(likely).
      returned: always
      type: str
      sample: proved
    because:
      description: Codes of the causes that explain this one.
      returned: always
      type: list
      elements: str
      sample: []
unread:
  description: What was not looked at.
  returned: success
  type: list
  elements: dict
  contains:
    source:
      description: V(objects), V(events), V(logs), V(nodes), V(azure), V(probe) or V(rules), which are those of nodes.
      returned: always
      type: str
      sample: logs
    what:
      description: What it is.
      returned: always
      type: str
      sample: logs of pods in namespace kube-system
    why:
      description: Why it was not looked at.
      returned: always
      type: str
      sample: The user of this connection may not get the log of pods in namespace kube-system.
    needs:
      description: What it takes.
      returned: always
      type: str
      sample: get on pods/log in namespace kube-system
requests:
  description: The requests for tokens that were answered (O(probe)), also those that were answered right.
  returned: success
  type: list
  elements: dict
  contains:
    namespace:
      description: Namespace of the pod in whose place it was asked.
      returned: always
      type: str
      sample: shop
    pod:
      description: That pod.
      returned: always
      type: str
      sample: web-6d4cf56db6-abcde
    node:
      description: Node that the request was sent on.
      returned: always
      type: str
      sample: aks-nodepool1-12345678-vmss000000
    identity:
      description: Namespace and name of the AzureIdentity that the pod is to get, several separated by commas.
      returned: always
      type: str
      sample: shop/web
    answered_by:
      description: Who answered, as RV(azureops.pod_identity.pod_token_info#module:tokens[].answered_by).
      returned: always
      type: str
      sample: nmi
    verdict:
      description: V(ok) or what is wrong, as RV(azureops.pod_identity.pod_token_info#module:tokens[].verdict).
      returned: always
      type: str
      sample: not_assigned
    code:
      description: Class of the verdict, C(V1) to C(V16); empty where there is none.
      returned: always
      type: str
      sample: V4
    error_code:
      description: Code of Entra's refusal; empty where Entra has not refused.
      returned: always
      type: str
      sample: ""
    message:
      description: The verdict as a sentence, with what to do; escaped and cut.
      returned: always
      type: str
      sample: "NMI answered 404 (no reason): MIC has assigned no identity to the pod; check label and selector."
    references:
      description: Where the verdict is explained.
      returned: always
      type: list
      elements: str
      sample: ["https://github.com/azureops/pod_identity/blob/main/docs/codes.md#not_assigned"]
actions:
  description: What was done for the requests; a probe that came and went is no change.
  returned: success
  type: list
  elements: str
  sample: ["ran probe Job shop/pod-identity-probe-x7k2p on aks-nodepool1-12345678-vmss000000"]
"""

import typing as t

from ansible_collections.azureops.pod_identity.plugins.module_utils import _argspec, _plan
from ansible_collections.azureops.pod_identity.plugins.module_utils._azure import diagnosis as azure
from ansible_collections.azureops.pod_identity.plugins.module_utils._azure.client import Arm
from ansible_collections.azureops.pod_identity.plugins.module_utils._azure_options import azure_auth
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.diagnosis.asked_of_pods import MOST
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.diagnosis.diagnose import diagnose
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.diagnosis.observed import Observed
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.diagnosis.scope import Scope
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.errors import Failure
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.matching.inventory import settings
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.tokens import token_questions
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube import diagnosis
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.client import AT_ONCE, Client, connect
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.diagnosis import Bounds

_MEGABYTE = 1_000_000
_AZURE_SECONDS = 120  # as long as Azure is waited for where it asks for patience
_MOST = {"log_megabytes": 10_000, "log_hours": 8_760}  # a year


def bounds(params: t.Mapping[str, t.Any], scope: Scope) -> Bounds:
    for name, most in _MOST.items():
        if not 1 <= params[name] <= most:
            raise Failure(f"The option {name} must be at least 1 and at most {most}: correct it, or set logs to false.")
    return Bounds(
        logs=params["logs"],
        events=params["events"],
        nodes=params["nodes"],
        log_bytes=params["log_megabytes"] * _MEGABYTE,
        log_hours=params["log_hours"],
        namespace=scope.namespace,
        pod=scope.pod,
    )


def observe(params: t.Mapping[str, t.Any], client: Client | None, scope: Scope) -> Observed:
    """What there is in the cluster, or in the files, where there is no ``client``."""
    given = settings(params["mode"], params["force_namespaced"], params["version"])
    bound = bounds(params, scope)
    if client is None:
        if params["probe"]:
            raise Failure("The option probe asks in a cluster, and files names what was saved of one: leave one out.")
        return diagnosis.read_files(params["files"], params["log_files"], bound, given)
    if params["log_files"]:
        raise Failure("The option log_files needs the objects that its logs are of: name them with files.")
    return diagnosis.observe(client, bound, given)


def observe_azure(
    params: t.Mapping[str, t.Any], run_command: t.Callable[..., tuple[int, str, str]], observed: Observed
) -> Observed:
    """The same with what Azure has to tell, which is asked where the cluster is named."""
    if params["cluster_name"] is None:
        return observed
    bounded = {**params, "wait_timeout": _AZURE_SECONDS}
    return azure.observe(lambda: Arm.connect(bounded, run_command), params, observed)


def ask(
    params: t.Mapping[str, t.Any], client: Client | None, observed: Observed, scope: Scope, *, predicting: bool
) -> tuple[Observed, tuple[str, ...]]:
    """The same with the answers to requests for tokens, where they are wanted; and what was done for them."""
    if client is None or not params["probe"]:
        return observed, ()
    if predicting and not params["check_mode_probe"]:
        why = "nothing is asked in check mode"
        return diagnosis.without_asking(observed, scope, why, "no check mode, or check_mode_probe: true"), ()
    what = {"resource": params["probe_resource"], "image": params["probe_image"]}
    return diagnosis.ask(client, observed, scope, bounds(params, scope), **what)


def main() -> None:
    module = (
        _argspec.kubernetes_auth()
        .merge(
            _argspec.ArgumentSpec(
                options={
                    "namespace": {"type": "str"},
                    "workload": {"type": "str"},
                    "pod": {"type": "str"},
                    "log_files": {"type": "list", "elements": "path", "default": []},
                    "logs": {"type": "bool", "default": True},
                    "events": {"type": "bool", "default": True},
                    "nodes": {"type": "bool", "default": True},
                    "log_megabytes": {"type": "int", "default": 20},
                    "log_hours": {"type": "int", "default": 24},
                    "probe": {"type": "bool", "default": False},
                    "probe_image": {"type": "str", "default": token_questions.IMAGE},
                    "probe_resource": {"type": "str", "default": token_questions.RESOURCE},
                    "check_mode_probe": {"type": "bool", "default": False},
                    "resource_group": {"type": "str"},
                    "cluster_name": {"type": "str"},
                },
                mutually_exclusive=(("workload", "pod"),),
                required_by={"cluster_name": ("resource_group",)},
            ),
            _argspec.inventory(),
            azure_auth(),
        )
        .create_module()
    )

    def look() -> dict[str, t.Any]:
        params = module.params
        scope = Scope.parse(params["namespace"], params["workload"], params["pod"])
        at_once = max(AT_ONCE, MOST) if params["probe"] else AT_ONCE
        client = connect(params, module.tmpdir, at_once=at_once) if params["files"] is None else None
        observed = observe_azure(params, module.run_command, observe(params, client, scope))
        observed, actions = ask(params, client, observed, scope, predicting=_plan.predicting(module))
        return {**diagnose(observed, scope).as_data(), "actions": list(actions)}

    _plan.report(module, look)


if __name__ == "__main__":
    main()
