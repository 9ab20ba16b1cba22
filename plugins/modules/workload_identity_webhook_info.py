#!/usr/bin/python
# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: workload_identity_webhook_info
short_description: Find the webhook of Workload ID and see what it would do to pods
version_added: 1.0.0
author:
  - azureops.pod_identity contributors (@azureops)
description:
  - Finds the mutating webhook of Microsoft Entra Workload ID by the configuration that the API server has of it, says
    whether the chart or the add-on of AKS installed it, in which version, and whether it serves.
  - Asks the API server for each of the O(templates) what the webhook would do to a pod of it, by creating that pod in
    dry runs with and without the label C(azure.workload.identity/use), and compares both. A webhook writes the whole
    pod anew as it knows pods, so that fields that are newer than it are lost; admission rules of the namespace (Pod
    Security, quotas, policies) refuse what they would refuse later.
  - Nothing is written. The dry runs are made as the user of the connection, and a policy that looks at who creates a
    pod may decide otherwise for a controller.
extends_documentation_fragment:
  - azureops.pod_identity._kubernetes_auth
  - azureops.pod_identity._attributes
  - azureops.pod_identity._attributes.info_module
  - azureops.pod_identity._attributes.actiongroup_kubernetes
options:
  templates:
    description: What makes the pods to try. Each kind is listed once for each namespace.
    type: list
    elements: dict
    default: []
    suboptions:
      kind:
        description: Kind of what makes the pods, or V(Pod) for one itself.
        type: str
        choices: [Deployment, StatefulSet, DaemonSet, ReplicaSet, CronJob, Job, Pod]
        required: true
      namespace:
        description: Its namespace; with O(templates[].definition) the one that this names by default.
        type: str
      name:
        description: Its name; with O(templates[].definition) the one that this names by default.
        type: str
      definition:
        description:
          - The object itself, as a manifest has it, where it is not in the cluster or not in this form.
          - Its namespace must exist.
          - As an argument of the task it is shown with high verbosity; name an object of the cluster, or set C(no_log),
            where variables of its containers are secrets.
        type: dict
  proxy_sidecar:
    description:
      - Whether to try besides what becomes of the pods with the annotation
        C(azure.workload.identity/inject-proxy-sidecar), for applications whose library does not know Workload ID.
    type: bool
    default: false
  release_namespaces:
    description:
      - Namespaces in which the chart may be installed, besides those that the configuration of the API server and
        ClusterRoleBindings tell. Where the add-on of AKS is enabled over the chart, it takes these over, and only the
        Deployment of the chart is left.
      - Whoever may write in one of them can make something there that counts as the chart.
    type: list
    elements: str
    default: [azure-workload-identity-system]
notes:
  - Needs to list mutatingwebhookconfigurations, and, for what stands behind each fact, to list deployments and
    namespaces, to get endpoints and secrets where the webhook runs, to list clusterroles and clusterrolebindings where
    a Deployment elsewhere looks like the webhook, to list the kinds of O(templates) in their namespaces, and to create
    pods there. What may not be read is told in RV(unread).
  - Of the Secret with the webhook's certificate, which has the key as well, the certificate alone is looked at.
seealso:
  - module: azureops.pod_identity.pod_token_info
  - module: azureops.pod_identity.federated_identity_credential
"""

EXAMPLES = r"""
- name: Look for the webhook
  azureops.pod_identity.workload_identity_webhook_info:
    kubeconfig: /etc/ansible/prod.kubeconfig
  register: webhook

- name: Fail unless exactly one serves
  ansible.builtin.assert:
    that:
      - webhook.installed in ['chart', 'addon']
      - webhook.serving

- name: See what it would do to the pods of a manifest that is not applied yet
  azureops.pod_identity.workload_identity_webhook_info:
    kubeconfig: /etc/ansible/prod.kubeconfig
    templates:
      - kind: CronJob
        definition:
          apiVersion: batch/v1
          kind: CronJob
          metadata: {name: invoices, namespace: billing}
          spec:
            schedule: 0 6 * * *
            jobTemplate:
              spec:
                template:
                  spec:
                    restartPolicy: Never
                    containers:
                      - {name: invoices, image: registry.example.com/invoices:1.0}
    proxy_sidecar: true
  register: tried

- name: See what it would do to the pods of a Deployment
  azureops.pod_identity.workload_identity_webhook_info:
    kubeconfig: /etc/ansible/prod.kubeconfig
    templates:
      - {kind: Deployment, namespace: billing, name: api}
"""

RETURN = r"""
installed:
  description:
    - V(none), V(chart) (also of its manifests), V(addon) (of AKS), V(both), which hinder each other, V(other) where a
      configuration leads to no Deployment, such as one to a URL, or V(unknown) where Deployments may not be read.
  returned: success
  type: str
  sample: addon
serving:
  description: Whether there is exactly one entry in RV(webhooks), and it serves.
  returned: success
  type: bool
  sample: true
webhooks:
  description: One entry per configuration and Deployment that belong together, or that stand alone.
  returned: success
  type: list
  elements: dict
  contains:
    kind:
      description: V(chart), V(addon), V(other) or V(unknown), as in RV(installed).
      returned: always
      type: str
      sample: addon
    configuration:
      description: Name of the MutatingWebhookConfiguration; empty where none leads to the Deployment.
      returned: always
      type: str
      sample: azure-wi-webhook-mutating-webhook-configuration
    namespace:
      description: Namespace of what serves it.
      returned: always
      type: str
      sample: kube-system
    deployment:
      description: Name of the Deployment; empty where there is none.
      returned: always
      type: str
      sample: azure-wi-webhook-controller-manager
    service:
      description: Name of the Service that the API server calls; empty where it calls a URL.
      returned: always
      type: str
      sample: azure-wi-webhook-webhook-service
    url:
      description: The URL that the API server calls instead.
      returned: always
      type: str
      sample: ""
    version:
      description: Tag of the image; empty where the image is named by digest.
      returned: always
      type: str
      sample: v1.5.1
    managed_by:
      description: Who installed it, V(helm), V(flux), V(argo), V(addon) or V(manifests).
      returned: always
      type: str
      sample: addon
    release_name:
      description: Name of the helm release; empty where there is none.
      returned: always
      type: str
      sample: aks-managed-workload-identity
    release_namespace:
      description: Namespace of the helm release.
      returned: always
      type: str
      sample: kube-system
    ready_endpoints:
      description: How many ready endpoints its Service has; null where it has no Service or that may not be read.
      returned: always
      type: int
      sample: 2
    failure_policy:
      description: V(Fail) or V(Ignore); empty without a configuration.
      returned: always
      type: str
      sample: Fail
    while_not_serving:
      description: What becomes of pods while it does not serve.
      returned: always
      type: str
      sample: pods with the label azure.workload.identity/use are not created in namespaces that it covers
    object_selector:
      description: The labels of pods that are sent to it.
      returned: always
      type: dict
      sample: {matchLabels: {azure.workload.identity/use: "true"}}
    namespace_selector:
      description: The labels of namespaces whose pods are sent to it.
      returned: always
      type: dict
      sample: {matchExpressions: [{key: control-plane, operator: DoesNotExist}]}
    match_conditions:
      description: Further expressions that must hold for a pod to be sent to it.
      returned: always
      type: list
      elements: str
      sample: []
    excluded_namespaces:
      description: The namespaces whose pods are not sent to it; null where namespaces may not be read.
      returned: always
      type: list
      elements: str
      sample: [kube-system]
    certificates:
      description: The certificates of its caBundle and the one that it serves with, as far as they may be read.
      returned: always
      type: list
      elements: dict
      contains:
        of:
          description: V(ca_bundle) or V(serving).
          returned: always
          type: str
          sample: serving
        subject:
          description: Whom it names.
          returned: always
          type: str
          sample: CN=azure-wi-webhook-webhook-service.kube-system.svc
        ends:
          description: When it ends, in UTC.
          returned: always
          type: str
          sample: "2036-11-30T00:00:00Z"
        expired:
          description: Whether it has ended.
          returned: always
          type: bool
          sample: false
        trusted:
          description: Whether a certificate of the caBundle has signed it.
          returned: always
          type: bool
          sample: true
    serving:
      description: Whether all that can be seen of it says that it serves.
      returned: always
      type: bool
      sample: true
    waiting_for:
      description: What is missing for it, as clauses.
      returned: always
      type: list
      elements: str
      sample: []
not_believed:
  description: Deployments that only look like the webhook.
  returned: success
  type: list
  elements: dict
  contains:
    object:
      description: Kind and name.
      returned: always
      type: str
      sample: Deployment team/azure-wi-webhook-controller-manager
    reason:
      description: Why it is not believed.
      returned: always
      type: str
      sample: no webhook configuration leads to the namespace team, and it is not among release_namespaces
templates:
  description: What it would do to pods of each of the O(templates), in their order.
  returned: success
  type: list
  elements: dict
  contains:
    kind:
      description: Kind of what makes the pods.
      returned: always
      type: str
      sample: Deployment
    namespace:
      description: Its namespace.
      returned: always
      type: str
      sample: billing
    name:
      description: Its name.
      returned: always
      type: str
      sample: api
    covered:
      description: Whether pods of its namespace are sent to the webhook; null where namespaces may not be read.
      returned: always
      type: bool
      sample: true
    with_label:
      description: What becomes of a pod with the label.
      returned: always
      type: dict
      contains:
        code:
          description:
            - V(webhook_mutates), or why not, V(webhook_loses_fields), V(webhook_leaves_alone), V(webhook_refuses),
              V(webhook_unreached), V(pod_security_refuses), V(quota_refuses), V(policy_refuses),
              V(admission_refuses), V(dry_run_missing).
          returned: always
          type: str
          sample: webhook_mutates
        message:
          description: The same as a sentence, with what to do.
          returned: always
          type: str
          sample: The containers of Deployment billing/api would get a token of Workload ID.
        refused_without:
          description: Whether the pod is refused without the label, too.
          returned: always
          type: bool
          sample: false
        token_volume:
          description: The volume with the token of the service account; null where there is none.
          returned: always
          type: dict
          sample: {name: azure-identity-token, path: azure-identity-token, audience: api://AzureADTokenExchange}
        containers:
          description: The containers of the template.
          returned: always
          type: list
          elements: dict
          contains:
            name:
              description: Name of the container.
              returned: always
              type: str
              sample: api
            init:
              description: Whether it is an init container.
              returned: always
              type: bool
              sample: false
            has_token:
              description: Whether it is told the file of the token and mounts it.
              returned: always
              type: bool
              sample: true
            added:
              description: The variables that the webhook sets in it.
              returned: always
              type: dict
              sample: {AZURE_CLIENT_ID: 2f3e6a44-5a6c-4f0d-8d1e-5a8b1f0c9e77}
            own:
              description: Those of them that the template sets itself, which the webhook leaves as they are.
              returned: always
              type: list
              elements: str
              sample: []
            client_id:
              description: The client id that the application sees; empty where it has none or one by reference.
              returned: always
              type: str
              sample: 2f3e6a44-5a6c-4f0d-8d1e-5a8b1f0c9e77
        proxy_containers:
          description: Containers and init containers of the proxy that are added.
          returned: always
          type: list
          elements: str
          sample: []
        native_proxy:
          description: Whether the proxy is a native sidecar, with which Jobs end; it may be one from version 1.5.0 on.
          returned: always
          type: bool
          sample: false
        before_redirect:
          description: Init containers of the template that run before requests are redirected to the proxy.
          returned: always
          type: list
          elements: str
          sample: []
        lost:
          description: Fields of the pod that the webhook drops.
          returned: always
          type: list
          elements: str
          sample: [spec.resources]
        changed:
          description: Fields that have another value.
          returned: always
          type: list
          elements: str
          sample: []
        added:
          description: Fields that are added and are none of Workload ID.
          returned: always
          type: list
          elements: str
          sample: []
    with_proxy:
      description: The same with the proxy; empty without O(proxy_sidecar).
      returned: always
      type: dict
      sample: {}
permissions:
  description: What all of this needs to be allowed, as M(azureops.pod_identity.access_review_info) takes it.
  returned: success
  type: list
  elements: dict
  sample: [{verbs: [create], resource: pods, api_group: "", subresource: "", namespace: billing}]
unread:
  description: What may not be read, as sentences; empty if all could be.
  returned: success
  type: list
  elements: str
  sample: []
error:
  description: Answer of the service as data (C(code), C(message), C(status), and of Azure C(request_id)).
  returned: when Azure or the API server refuses a request
  type: dict
  sample: {code: Forbidden, message: mutatingwebhookconfigurations is forbidden, status: 403}
"""

import typing as t
from dataclasses import asdict

from ansible_collections.azureops.pod_identity.plugins.module_utils import _argspec, _plan
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.installation import (
    workload_identity_installation,
)
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.migration import dry_run
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube import workload_identity
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.client import Client, connect

TEXT = {"type": "str"}
OPTIONS = _argspec.ArgumentSpec(
    options={
        "templates": {
            "type": "list",
            "elements": "dict",
            "default": [],
            "options": {
                "kind": {"type": "str", "choices": list(dry_run.KINDS), "required": True},
                "namespace": TEXT,
                "name": TEXT,
                "definition": {"type": "dict"},
            },
            "required_one_of": [("name", "definition")],
        },
        "proxy_sidecar": {"type": "bool", "default": False},
        "release_namespaces": {
            "type": "list",
            "elements": "str",
            "default": [workload_identity_installation.CHART_NAMESPACE],
        },
    }
).merge(_argspec.kubernetes_auth())


def observe(client: Client, params: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    wanted = dry_run.parse(params["templates"])
    seen = workload_identity.survey(client, params["release_namespaces"])
    found = workload_identity.templates(client, wanted)
    tried = workload_identity.try_out(client, seen, found, proxy=params["proxy_sidecar"])
    return {
        "installed": seen.installed,
        "serving": len(seen.states) == 1 and seen.states[0].serving,
        "webhooks": [asdict(each) for each in seen.states],
        "not_believed": [
            {"object": f"Deployment {namespace}/{name}", "reason": workload_identity_installation.doubt(namespace)}
            for namespace, name in ((raw["metadata"]["namespace"], raw["metadata"]["name"]) for raw in seen.doubted)
        ],
        "templates": [
            {
                "kind": each.template.kind,
                "namespace": each.template.namespace,
                "name": each.template.name,
                "covered": each.covered,
                "with_label": asdict(each.with_label),
                "with_proxy": asdict(each.with_proxy) if each.with_proxy else {},
            }
            for each in tried
        ],
        "permissions": [each.entry() for each in workload_identity.needs(seen, found)],
        "unread": list(seen.unread),
    }


def main() -> None:
    module = OPTIONS.create_module()
    _plan.report(module, lambda: observe(connect(module.params, module.tmpdir), module.params))


if __name__ == "__main__":
    main()
