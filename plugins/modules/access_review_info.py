#!/usr/bin/python
# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: access_review_info
short_description: Ask a cluster whether the user of the connection may do something
version_added: 1.0.0
author:
  - azureops.pod_identity contributors (@azureops)
description:
  - Asks the API server itself (SelfSubjectAccessReview), so that every authorizer counts, Kubernetes RBAC as well as
    Azure RBAC for Kubernetes, and names everything that is not allowed.
  - Nothing is tried, and nothing is written.
extends_documentation_fragment:
  - azureops.pod_identity._kubernetes_auth
  - azureops.pod_identity._attributes
  - azureops.pod_identity._attributes.info_module
  - azureops.pod_identity._attributes.actiongroup_kubernetes
options:
  needs:
    description: What will be done.
    type: list
    elements: dict
    required: true
    suboptions:
      verbs:
        description: Verbs as roles of Kubernetes name them.
        type: list
        elements: str
        required: true
      resource:
        description: Plural name of the resource.
        type: str
        required: true
      api_group:
        description: Its API group; empty for the core group.
        type: str
        default: ""
      subresource:
        description: A subresource such as V(exec) of pods.
        type: str
        default: ""
      namespace:
        description: Namespace; empty for the whole cluster.
        type: str
        default: ""
      certain:
        description: Whether it is needed for sure, not only if something changes; comes back with what is missing.
        type: bool
        default: true
seealso:
  - module: azureops.pod_identity.permission_info
"""

EXAMPLES = r"""
- name: Ask before the first write
  azureops.pod_identity.access_review_info:
    kubeconfig: /etc/ansible/prod.kubeconfig
    needs:
      - {verbs: [create, patch], api_group: aadpodidentity.k8s.io, resource: azureidentities, namespace: billing}
  register: asked

- name: Stop with everything that is missing
  ansible.builtin.assert:
    that: asked.missing | length == 0
    fail_msg: "{{ asked.missing | map(attribute='remedy') | join(' ') }}"
"""

RETURN = r"""
server:
  description: The API server that was asked.
  returned: success
  type: str
  sample: https://prod-dns-1a2b3c4d.hcp.westeurope.azmk8s.io:443
missing:
  description: What is not allowed.
  returned: success
  type: list
  elements: dict
  contains:
    namespace:
      description: Namespace; empty for the whole cluster.
      returned: always
      type: str
      sample: billing
    verb:
      description: The verb.
      returned: always
      type: str
      sample: create
    api_group:
      description: API group of the resource; empty for the core group.
      returned: always
      type: str
      sample: aadpodidentity.k8s.io
    resource:
      description: Plural name of the resource.
      returned: always
      type: str
      sample: azureidentities
    subresource:
      description: The subresource; empty where there is none.
      returned: always
      type: str
      sample: ""
    certain:
      description: The O(needs[].certain) of what is missing.
      returned: always
      type: bool
      sample: true
    remedy:
      description: What to do, as a sentence.
      returned: always
      type: str
      sample: Somebody who administers the cluster has to give the user of the connection a role that allows it.
error:
  description: Answer of the service as data (C(code), C(message), C(status), and of Azure C(request_id)).
  returned: when Azure or the API server refuses a request
  type: dict
  sample: {code: Unauthorized, message: Unauthorized, status: 401}
"""

import typing as t

from ansible_collections.azureops.pod_identity.plugins.module_utils import _argspec, _plan
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.client import Client, connect
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.kinds import Kind

TEXT = {"type": "str", "default": ""}
OPTIONS = _argspec.ArgumentSpec(
    options={
        "needs": {
            "type": "list",
            "elements": "dict",
            "required": True,
            "options": {
                "verbs": {"type": "list", "elements": "str", "required": True},
                "resource": {"type": "str", "required": True},
                "api_group": TEXT,
                "subresource": TEXT,
                "namespace": TEXT,
                "certain": {"type": "bool", "default": True},
            },
        }
    }
).merge(_argspec.kubernetes_auth())


REMEDY = "Somebody who administers the cluster has to give the user of the connection a role that allows it."
KEYS = ("namespace", "verb", "api_group", "resource", "subresource")


def observe(client: Client, needs: t.Sequence[t.Mapping[str, t.Any]]) -> dict[str, t.Any]:
    answers: dict[tuple[str, ...], bool] = {}
    missing = []
    for need in needs:
        for verb in need["verbs"]:
            question = (need["namespace"], verb, need["api_group"], need["resource"], need["subresource"])
            if question not in answers:
                answers[question] = _may(client, *question)
            if not answers[question]:
                missing.append({**dict(zip(KEYS, question)), "certain": need["certain"], "remedy": REMEDY})
    return {"server": client.host, "missing": missing}


def _may(client: Client, namespace: str, verb: str, group: str, resource: str, subresource: str) -> bool:
    return client.may(verb, Kind(group, "", resource, ""), namespace, subresource)


def main() -> None:
    module = OPTIONS.create_module()
    _plan.report(module, lambda: observe(connect(module.params, module.tmpdir), module.params["needs"]))


if __name__ == "__main__":
    main()
