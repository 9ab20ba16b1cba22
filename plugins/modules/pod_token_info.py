#!/usr/bin/python
# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pod_token_info
short_description: Ask for a token on the very path of a workload and judge the answer
version_added: 1.0.0
author:
  - azureops.pod_identity contributors (@azureops)
description:
  - Asks the metadata address for a token as the pods of a workload do, says who answered, compares the decoded claims
    with what the workload must get, and gives a verdict. A token that came from the instance metadata service itself
    is never a success, even if its claims are right.
  - NMI is recognized by two marks that must agree, no Server header on its own answer, and that of the instance
    metadata service on a request for the machine's metadata, which NMI passes on (or refuses in its own words).
  - With O(path=workload_identity) it asks Entra itself, as libraries do that know Workload ID, with the token of the
    service account from the file that the webhook names to the pod. The probe is then made as the webhook changes it,
    with the label C(azure.workload.identity/use), whether its workload has it yet or not, and without the label
    C(aadpodidbinding), so that MIC assigns it nothing. A token of NMI or of the instance metadata service is never a
    success there.
  - Only decoded claims leave the pod, never the token, unless O(target_url) names a URL of Azure to show it to.
  - With O(method=probe_pod) the request comes from a throw-away pod with the namespace, node, service account and
    labels of the workload. It belongs to a Job, never becomes Ready, has a deadline, and is removed afterwards; what a
    killed run left for the same workload ends by its deadline, and is removed first by the next run from then on.
  - With O(method=exec) the request comes from a running pod of the workload, with C(curl), C(wget) or C(python3),
    whichever it has.
  - Several workloads are tried at the same time with O(workloads); each list of the cluster is read once for all of
    them, and again after half a minute and before a probe is run again. A workload that cannot be tried is
    C(not_verified) with the reason and keeps no other back. A probe that found no room, on its node or in a quota, is
    run again by itself after the others.
  - A pod that has just started may not be known to NMI yet. Where NMI says so, it is asked again for up to a minute.
  - One answer proves little where only some fail, as on a node whose NMI is broken, or with Entra, which refuses a few
    percent of the exchanges by a federated credential. O(samples) asks several times, from several pods or nodes of
    the workload.
extends_documentation_fragment:
  - azureops.pod_identity._kubernetes_auth
  - azureops.pod_identity._attributes
  - azureops.pod_identity._attributes.info_module
  - azureops.pod_identity._attributes.actiongroup_kubernetes
options:
  namespace:
    description: Namespace of the workload; required unless O(workloads) is set.
    type: str
  workloads:
    description:
      - Workloads to try instead of the one that the other options name. What an entry does not set is as the option of
        the same name says for all of them.
      - An empty list is refused.
      - Mutually exclusive with O(namespace), O(selector), O(pod), O(service_account), O(node), O(client_id),
        O(expect), O(container) and O(target_url).
    type: list
    elements: dict
    suboptions:
      namespace:
        description: As O(namespace).
        type: str
        required: true
      selector:
        description: As O(selector).
        type: str
      pod:
        description: As O(pod).
        type: str
      service_account:
        description: As O(service_account).
        type: str
      node:
        description: As O(node).
        type: str
      resource:
        description: As O(resource).
        type: str
      client_id:
        description: As O(client_id).
        type: str
      expect:
        description: As O(expect).
        type: dict
        suboptions:
          client_id:
            description: Client id of the identity.
            type: str
          tenant_id:
            description: Tenant.
            type: str
          object_id:
            description: Principal (object) id of the identity.
            type: str
          audience:
            description: Audience; if unset, the resource.
            type: str
          path:
            description: As in O(expect).
            type: str
            choices: [pod_identity, workload_identity]
      target_url:
        description: As O(target_url).
        type: str
      method:
        description: As O(method).
        type: str
        choices: [probe_pod, exec]
      container:
        description: As O(container).
        type: str
      image:
        description: As O(image).
        type: str
      path:
        description: As O(path).
        type: str
        choices: [pod_identity, workload_identity]
      labels:
        description: As O(labels).
        type: dict
      timeout:
        description: As O(timeout).
        type: int
      start_timeout:
        description: As O(start_timeout).
        type: int
      allow_detach:
        description: As O(allow_detach).
        type: bool
      allow_unready_endpoints:
        description: As O(allow_unready_endpoints).
        type: bool
      allow_blocked_evictions:
        description: As O(allow_blocked_evictions).
        type: bool
  at_once:
    description: How many of the O(workloads) are tried at the same time.
    type: int
    default: 25
  selector:
    description:
      - Value of the label C(aadpodidbinding) of the workload's pods. One of its running pods gives node, service
        account and labels.
    type: str
  pod:
    description: Name of the pod whose path is to be tried.
    type: str
  service_account:
    description: Service account of the workload's pods, for workloads that are told apart by it.
    type: str
  node:
    description: Node to try the path on; if unset, that of the first running pod of the workload.
    type: str
  resource:
    description: What the token is for.
    type: str
    default: https://management.azure.com/
  client_id:
    description:
      - Client id to ask for, exactly as the application does. If unset, none is sent and NMI gives the identity of the
        pod, any of them where it has several.
    type: str
  expect:
    description:
      - What the token must say. What is unset is taken from the AzureIdentity that the pod gets, where it is only one.
    type: dict
    suboptions:
      client_id:
        description: Client id of the identity.
        type: str
      tenant_id:
        description: Tenant.
        type: str
      object_id:
        description: Principal (object) id of the identity.
        type: str
      audience:
        description: Audience; if unset, O(resource).
        type: str
      path:
        description:
          - The way that the token must come, from NMI or from the proxy of Workload ID. If unset, both are right.
          - With V(workload_identity) it is looked first whether the webhook of Workload ID has changed the pod. If not,
            the verdict is V(not_mutated), and nothing is asked.
        type: str
        choices: [pod_identity, workload_identity]
  path:
    description:
      - Whom the request goes to. V(pod_identity) is the metadata address, where NMI or the proxy of Workload ID
        answers.
      - V(workload_identity) is Entra itself, at the login host that the webhook of Workload ID names to the pod. The
        client id is O(client_id), otherwise the one of the pod. It needs C(curl) or C(python3) in the container, with
        the certificates of public authorities.
    type: str
    choices: [pod_identity, workload_identity]
    default: pod_identity
  target_url:
    description:
      - URL to which the token is shown in one GET, from within the pod, to see whether its identity has a role there,
        such as C(https://billing.vault.azure.net/secrets/db?api-version=7.4). By default none is.
      - It must be https and of a service of Azure, or its host in O(target_hosts). The server's certificate is checked,
        and no redirect is followed.
      - It is shown whatever token the pod gets, also that of another identity, because it is judged only afterwards.
      - Only the status and the text of a refusal leave the pod, nothing of what a successful answer holds.
      - It needs C(curl) or C(python3) in the container.
    type: str
  target_hosts:
    description: Hosts, besides those of Azure's clouds, to which O(target_url) may show a token.
    type: list
    elements: str
  method:
    description: Where the request comes from.
    type: str
    choices: [probe_pod, exec]
    default: probe_pod
  container:
    description: Container for O(method=exec); if unset, the first one of the pod.
    type: str
  image:
    description: Image of the probe. It needs C(sh), C(curl), C(tr), C(base64), C(head), C(date) and C(sleep).
    type: str
    default: mcr.microsoft.com/azurelinux/base/core:3.0
  labels:
    description:
      - Labels of the probe besides those of the workload's pods, for network policies and admission rules.
        With an empty value a label of the workload is left out.
    type: dict
  timeout:
    description:
      - Seconds that the answer may take. NMI itself waits up to 100 seconds for an assignment.
    type: int
    default: 180
  start_timeout:
    description: Seconds until the probe must run.
    type: int
    default: 120
  samples:
    description:
      - How many requests are made for each workload, 1 to 500. The verdict is V(ok) only if every answer is right, and
        V(intermittent) if some are.
      - They are spread over the nodes of the workload's running pods, with O(method=exec) over these pods themselves,
        and made in one after the other. O(pod) and O(node) keep them in one place.
      - They take up to O(samples) times O(timeout) seconds.
    type: int
    default: 1
  sample_interval:
    description: Seconds between two requests from one place.
    type: int
    default: 5
  allow_detach:
    description:
      - Try a path on a scale set where no pod holds the identity that the probe gets. When the probe goes, MIC takes
        the identity from the scale set, even if somebody else had attached it.
    type: bool
    default: false
  allow_unready_endpoints:
    description:
      - Run a probe although a Service with C(publishNotReadyAddresses) selects its labels and would publish its
        address.
    type: bool
    default: false
  allow_blocked_evictions:
    description:
      - Run a probe although a PodDisruptionBudget with C(maxUnavailable) or a percentage selects its labels. It then
        allows no eviction while the probe exists, because the disruption controller cannot count pods of a Job.
    type: bool
    default: false
  check_mode_probe:
    description:
      - Whether check mode runs the probe too, which comes and goes and changes nothing. Otherwise the verdict in check
        mode is C(not_verified).
    type: bool
    default: false
  owner:
    description: Value of the label C(azureops.pod-identity/owner) of the probe.
    type: str
    default: default
seealso:
  - module: azureops.pod_identity.azure_identity_binding
notes:
  - O(path=workload_identity) and O(expect.path=workload_identity) need to get the service account, the namespace and
    what makes the pod, and to list MutatingWebhookConfigurations; what may not be read is told in the message.
  - The probe needs to list pods, nodes, services, PodDisruptionBudgets, AzureIdentities and AzureIdentityBindings, and
    to create and delete Jobs and read pods, their logs and events in the namespace. O(method=exec) needs C(pods/exec)
    instead of the Jobs.
"""

EXAMPLES = r"""
- name: Try what the billing pods get
  azureops.pod_identity.pod_token_info:
    kubeconfig: /etc/ansible/prod.kubeconfig
    namespace: billing
    selector: billing
    expect:
      client_id: "{{ billing.state.client_id }}"
      tenant_id: "{{ billing.state.tenant_id }}"
  register: billing_token

- name: Fail where it is not the right token on the right path
  ansible.builtin.assert:
    that: billing_token.ok
    fail_msg: "{{ billing_token.tokens[0].message }}"

- name: Try several workloads at the same time
  azureops.pod_identity.pod_token_info:
    workloads:
      - namespace: billing
        selector: billing
      - namespace: reports
        service_account: reports
        resource: https://vault.azure.net
    timeout: 120
  register: all_tokens

- name: See whether the identity may read the secret that its application reads
  azureops.pod_identity.pod_token_info:
    namespace: billing
    selector: billing
    resource: https://vault.azure.net
    target_url: https://billing.vault.azure.net/secrets/db?api-version=7.4
  register: billing_role

- name: See how often a token of Workload ID is right
  azureops.pod_identity.pod_token_info:
    namespace: billing
    service_account: billing
    client_id: "{{ billing.state.client_id }}"
    expect:
      path: workload_identity
    samples: 50
    sample_interval: 3
  register: billing_rate

- name: See whether the pods would get a token of Workload ID, before they are changed
  azureops.pod_identity.pod_token_info:
    namespace: billing
    service_account: billing
    path: workload_identity
    expect:
      client_id: "{{ billing.state.client_id }}"
  register: billing_exchange

- name: Ask inside a running pod instead
  azureops.pod_identity.pod_token_info:
    namespace: billing
    pod: api-7d9f8-x2x4k
    method: exec
"""

RETURN = r"""
ok:
  description: Whether every verdict is V(ok).
  returned: success
  type: bool
  sample: true
tokens:
  description: One entry per path that was tried, in the order of O(workloads).
  returned: success
  type: list
  elements: dict
  contains:
    namespace:
      description: Namespace of the workload.
      returned: always
      type: str
      sample: billing
    pod:
      description: Pod that the path was taken from, the workload's own; empty where it has none.
      returned: always
      type: str
      sample: api-7d9f8-x2x4k
    node:
      description: Node that the request was sent on.
      returned: always
      type: str
      sample: aks-nodepool1-12345678-vmss000000
    selector:
      description: Value of the label C(aadpodidbinding).
      returned: always
      type: str
      sample: billing
    service_account:
      description: Service account of the request.
      returned: always
      type: str
      sample: default
    identity:
      description: Namespace and name of the AzureIdentity that the pod gets, several separated by commas.
      returned: always
      type: str
      sample: billing/billing
    client_id:
      description: Client id that the token must be for, as far as known.
      returned: always
      type: str
      sample: 2f3e6a44-5a6c-4f0d-8d1e-5a8b1f0c9e77
    resource:
      description: What the token was asked for.
      returned: always
      type: str
      sample: https://management.azure.com/
    method:
      description: Where the request came from.
      returned: always
      type: str
      sample: probe_pod
    answered_by:
      description:
        - Who answered, V(nmi), V(imds) (the instance metadata service itself), V(workload_identity_proxy), V(entra)
          (with O(path=workload_identity)), V(nobody) or V(unknown).
      returned: always
      type: str
      sample: nmi
    verdict:
      description:
        - V(ok) or what is wrong, V(raw_imds), V(nmi_dead), V(path_blocked), V(no_answer), V(not_assigned),
          V(assignment_stuck), V(wrong_identity), V(identity_missing), V(wrong_tenant), V(wrong_audience),
          V(ambiguous_identity), V(federation_refused), V(stale_token), V(token_refused), V(policy_refused) (a policy of
          the tenant forbids the token), V(pod_unknown), V(request_refused), V(throttled), V(server_error),
          V(unreadable_token), V(unknown_responder), V(unclear) (the marks of who answered contradict each other, as
          where a mesh changes headers), V(wrong_path) (the token came another way than O(expect.path)),
          V(not_mutated) (the webhook of Workload ID has not changed the pod; the message says why),
          V(exchange_incomplete) (the pod lacks what it takes to ask Entra), V(role_missing)
          (the token is right, and O(target_url) answered 403), V(target_refused) (it answered another error),
          V(target_unreached) (it could not be asked).
        - V(intermittent) where some of the O(samples) are right and some are not.
        - V(not_verified) where no verdict was obtained; never a success.
      returned: always
      type: str
      sample: ok
    code:
      description: Class of the verdict, C(V1) to C(V16); empty where there is none.
      returned: always
      type: str
      sample: V4
    error_code:
      description: Code of Entra's refusal; empty where Entra has not refused.
      returned: always
      type: str
      sample: AADSTS700213
    path:
      description:
        - How the token came, V(pod_identity) (NMI), V(instance_metadata), V(workload_identity) or V(contradictory)
          (who answered and the claims C(xms_az_rid) and C(xms_ficinfo) contradict each other); empty without a token.
      returned: always
      type: str
      sample: pod_identity
    assertion:
      description:
        - With O(path=workload_identity), what the token of the service account says that was presented to Entra; empty
          where there is none.
      returned: always
      type: dict
      contains:
        issuer:
          description: Its issuer, which a federated credential must have letter by letter.
          returned: where there is such a token
          type: str
          sample: https://westeurope.oic.prod-aks.azure.com/5e1c7a2b/9d3f0a61/
        subject:
          description: Its subject.
          returned: where there is such a token
          type: str
          sample: system:serviceaccount:billing:billing
        audience:
          description: Its audience, several separated by commas.
          returned: where there is such a token
          type: str
          sample: api://AzureADTokenExchange
        seconds_left:
          description: Seconds until it expires, by the clock of the pod.
          returned: where there is such a token
          type: int
          sample: 3541
    target_status:
      description: Status of the answer of O(target_url), 0 where there was none or none was asked for.
      returned: always
      type: int
      sample: 0
    http_status:
      description: Status of the answer, 0 where there was none.
      returned: always
      type: int
      sample: 200
    claims:
      description: The decoded claims; empty where there is no token.
      returned: always
      type: dict
      sample: {aud: https://management.azure.com/, tid: 5e1c7a2b-93c4-4a58-8f43-6b1f0f6a2d10}
    checks:
      description: The claims that were compared.
      returned: always
      type: list
      elements: dict
      contains:
        check:
          description: What was compared.
          returned: always
          type: str
          sample: audience
        expected:
          description: What it had to be.
          returned: always
          type: str
          sample: https://management.azure.com/
        got:
          description: What it was.
          returned: always
          type: str
          sample: https://management.azure.com/
        ok:
          description: Whether both agree.
          returned: always
          type: bool
          sample: true
    samples:
      description:
        - How many of the O(samples) were right, and the distinct answers, the most frequent first.
        - What stands beside it is of one answer, of the most frequent one that is not right if there is any.
      returned: always
      type: dict
      contains:
        asked:
          description: How many requests were made or to be made.
          returned: always
          type: int
          sample: 10
        right:
          description: How many got the right token.
          returned: always
          type: int
          sample: 9
        rate:
          description: The same as a part of all, 0 to 1.
          returned: always
          type: float
          sample: 0.9
        answers:
          description: The distinct answers.
          returned: always
          type: list
          elements: dict
          contains:
            count:
              description: How many requests were answered so.
              returned: always
              type: int
              sample: 9
            verdict:
              description: Verdict of such an answer.
              returned: always
              type: str
              sample: ok
            code:
              description: Class of that verdict.
              returned: always
              type: str
              sample: ""
            error_code:
              description: Code of Entra's refusal.
              returned: always
              type: str
              sample: ""
            answered_by:
              description: Who answered.
              returned: always
              type: str
              sample: nmi
            http_status:
              description: Status of the answer.
              returned: always
              type: int
              sample: 200
            message:
              description: The verdict of the first of them as a sentence.
              returned: always
              type: str
              sample: NMI handed out a token of billing/billing.
            references:
              description: Where that verdict is explained, and issues that tell of it.
              returned: always
              type: list
              elements: str
              sample: ["https://github.com/azureops/pod_identity/blob/main/docs/codes.md#ok"]
            pods:
              description: The workload's pods in whose place or in which it was asked.
              returned: always
              type: list
              elements: str
              sample: [api-7d9f8-x2x4k]
            nodes:
              description: Their nodes.
              returned: always
              type: list
              elements: str
              sample: [aks-nodepool1-12345678-vmss000000]
    message:
      description: The verdict as a sentence, with what to do.
      returned: always
      type: str
      sample: NMI handed out a token of billing/billing.
    references:
      description: Where the verdict is explained, and issues that tell of it.
      returned: always
      type: list
      elements: str
      sample: ["https://github.com/azureops/pod_identity/blob/main/docs/codes.md#ok"]
    elapsed_seconds:
      description: How long the answer took.
      returned: always
      type: float
      sample: 0.21
actions:
  description: What was done for it; a probe that came and went is no change.
  returned: always
  type: list
  elements: str
  sample: ["ran probe Job billing/pod-identity-probe-x7k2p on aks-nodepool1-12345678-vmss000000"]
error:
  description: Answer of the service as data (C(code), C(message), C(status), and of Azure C(request_id)).
  returned: when Azure or the API server refuses a request
  type: dict
  sample: {code: Forbidden, message: jobs.batch is forbidden, status: 403}
"""

import typing as t
from dataclasses import asdict

from ansible_collections.azureops.pod_identity.plugins.module_utils._argspec import ArgumentSpec, kubernetes_auth
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.diagnosis.catalogue import references
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.tokens import (
    exchange,
    token,
    token_questions,
)
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube import token_probes
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.client import AT_ONCE, connect
from ansible_collections.azureops.pod_identity.plugins.module_utils._plan import predicting, report

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

_LOOKED_ONLY = "Nothing was asked in check mode; set check_mode_probe: true to run the probe there too."


def observe(module: AnsibleModule) -> dict[str, t.Any]:
    params = module.params
    questions = token_questions.parse(params)
    if predicting(module) and not params["check_mode_probe"]:
        answers = [token_questions.not_asked(question, _LOOKED_ONLY) for question in questions]
    else:
        at_once = min(params["at_once"], len(questions))
        client = connect(params, module.tmpdir, at_once=max(at_once, AT_ONCE))
        answers = token_probes.ask(client, questions, at_once=at_once, strict=params["workloads"] is None)
    tokens = [entry(question, asked) for question, asked in zip(questions, answers)]
    return {
        "tokens": tokens,
        "ok": all(each["verdict"] == token.OK for each in tokens),
        "actions": [action for asked in answers for action in asked.actions],
    }


def entry(question: token_questions.Question, asked: token_questions.Asked) -> dict[str, t.Any]:
    outcome = asked.outcome()
    place, answer, expected = outcome.shown.place, outcome.shown.answer, asked.expected
    return {
        "namespace": question.target.namespace,
        "pod": place.model_name,
        "node": place.node,
        "selector": place.selector,
        "service_account": place.service_account,
        "identity": expected.identity,
        "client_id": expected.client_id,
        "resource": expected.resource,
        "method": question.method,
        "http_status": answer.status,
        "target_status": answer.target.status if answer.target else 0,
        "claims": dict(answer.claims or {}),
        "assertion": exchange.view(answer),
        "elapsed_seconds": answer.seconds,
        "samples": outcome.view(),
        "references": list(references(outcome.verdict.verdict)),
        **asdict(outcome.verdict),
    }


def argument_spec() -> ArgumentSpec:
    text: dict[str, t.Any] = {"type": "str"}
    of_entry: dict[str, t.Any] = {
        **dict.fromkeys(token_questions.OF_ENTRY, text),
        "expect": {
            "type": "dict",
            "options": {
                **dict.fromkeys(("client_id", "tenant_id", "object_id", "audience"), text),
                "path": {"type": "str", "choices": ["pod_identity", "workload_identity"]},
            },
        },
    }
    of_all: dict[str, t.Any] = {
        "resource": {"type": "str", "default": token_questions.RESOURCE},
        "method": {"type": "str", "choices": ["probe_pod", "exec"], "default": "probe_pod"},
        "image": {"type": "str", "default": token_questions.IMAGE},
        "path": {"type": "str", "choices": ["pod_identity", "workload_identity"], "default": "pod_identity"},
        "labels": {"type": "dict"},
        "timeout": {"type": "int", "default": token_questions.TIMEOUT},
        "start_timeout": {"type": "int", "default": token_questions.START_TIMEOUT},
        "allow_detach": {"type": "bool", "default": False},
        "allow_unready_endpoints": {"type": "bool", "default": False},
        "allow_blocked_evictions": {"type": "bool", "default": False},
    }
    without_defaults = {
        name: {key: value for key, value in spec.items() if key != "default"} for name, spec in of_all.items()
    }
    named_by = ("selector", "pod", "service_account")
    return ArgumentSpec(
        options={
            **of_entry,
            **of_all,
            "workloads": {
                "type": "list",
                "elements": "dict",
                "options": {**of_entry, **without_defaults, "namespace": {"type": "str", "required": True}},
                "required_one_of": [named_by],
            },
            "at_once": {"type": "int", "default": token_questions.AT_ONCE},
            "target_hosts": {"type": "list", "elements": "str"},
            "samples": {"type": "int", "default": 1},
            "sample_interval": {"type": "int", "default": 5},
            "check_mode_probe": {"type": "bool", "default": False},
            "owner": {"type": "str", "default": token_questions.OWNER},
        },
        required_one_of=(("namespace", "workloads"), (*named_by, "workloads")),
        mutually_exclusive=tuple(("workloads", name) for name in token_questions.OF_ENTRY),
    ).merge(kubernetes_auth())


def main() -> None:
    module = argument_spec().create_module()
    report(module, lambda: observe(module))


if __name__ == "__main__":
    main()
