#!/usr/bin/python
# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: federated_identity_credential_info
short_description: Read the federated credentials of managed identities
version_added: 1.0.0
author:
  - azureops.pod_identity contributors (@azureops)
description:
  - Reads the federated credentials of one user-assigned managed identity, or of all identities of a resource group,
    and how many more each can take.
  - Reports those that a cluster does not use any more, because their issuer is not that of the cluster, or because
    their service account does not exist.
extends_documentation_fragment:
  - azureops.pod_identity._azure_auth
  - azureops.pod_identity._kubernetes_auth
  - azureops.pod_identity._attributes
  - azureops.pod_identity._attributes.info_module
  - azureops.pod_identity._attributes.actiongroup_both
options:
  resource_group:
    description: Resource group of the identities.
    type: str
  identity_name:
    description: Name of one identity; if unset, all identities of O(resource_group) are read.
    type: str
  identity_id:
    description: Resource id of one identity, instead of O(resource_group) and O(identity_name).
    type: str
  issuer:
    description: Issuer of a cluster; credentials that trust another one are reported.
    type: str
  cluster_resource_group:
    description: Resource group of O(cluster_name).
    type: str
  cluster_name:
    description: An AKS cluster of the subscription whose OIDC issuer is used instead of O(issuer).
    type: str
  check_service_accounts:
    description:
      - Whether credentials with that issuer are reported whose service account does not exist in the cluster.
      - Needs O(issuer) or O(cluster_name), and a connection to that cluster, whose user may list service accounts. The
        options of the connection, such as O(kubeconfig), are for this only.
    type: bool
    default: false
seealso:
  - module: azureops.pod_identity.federated_identity_credential
"""

EXAMPLES = r"""
- name: Find what a cluster has left behind
  azureops.pod_identity.federated_identity_credential_info:
    resource_group: pod-identity-demo
    cluster_resource_group: pod-identity-demo
    cluster_name: demo
    check_service_accounts: true
    kubeconfig: /etc/ansible/demo.kubeconfig
  register: found

- name: Show it
  ansible.builtin.debug:
    msg: "{{ found.findings | map(attribute='message') }}"
"""

RETURN = r"""
identities:
  description: The identities that exist; an identity or resource group that does not exist gives an empty list.
  returned: success
  type: list
  elements: dict
  contains:
    identity_id:
      description: Resource id of the identity.
      returned: always
      type: str
      sample: >-
        /subscriptions/7f1f4a5e-6a0f-4d0c-9a0e-2f8f8d1c2b3a/resourcegroups/pod-identity-demo/providers/Microsoft.ManagedIdentity/userAssignedIdentities/billing
    free:
      description: How many more federated credentials the identity can take.
      returned: always
      type: int
      sample: 19
    credentials:
      description: The federated credentials of the identity by name.
      returned: always
      type: list
      elements: dict
      contains:
        name:
          description: Name of the federated credential.
          returned: always
          type: str
          sample: demo-billing
        issuer:
          description: Issuer of the tokens.
          returned: always
          type: str
          sample: >-
            https://westeurope.oic.prod-aks.azure.com/5e1c7a2b-93c4-4a58-8f43-6b1f0f6a2d10/2f3e6a44-5a6c-4f0d-8d1e-5a8b1f0c9e77/
        subject:
          description: Subject of the tokens.
          returned: always
          type: str
          sample: system:serviceaccount:billing:billing
        audiences:
          description: Audience of the tokens.
          returned: always
          type: list
          elements: str
          sample: [api://AzureADTokenExchange]
        namespace:
          description: Namespace of the service account; empty for another subject.
          returned: always
          type: str
          sample: billing
        service_account:
          description: Name of the service account; empty for another subject.
          returned: always
          type: str
          sample: billing
findings:
  description: The credentials that the cluster does not use; empty where no issuer and no cluster is named.
  returned: success
  type: list
  elements: dict
  contains:
    code:
      description: V(foreign_issuer) or V(subject_missing).
      returned: always
      type: str
      sample: subject_missing
    identity_id:
      description: Resource id of the identity.
      returned: always
      type: str
      sample: >-
        /subscriptions/7f1f4a5e-6a0f-4d0c-9a0e-2f8f8d1c2b3a/resourcegroups/pod-identity-demo/providers/Microsoft.ManagedIdentity/userAssignedIdentities/billing
    credential:
      description: Name of the federated credential.
      returned: always
      type: str
      sample: demo-billing
    message:
      description: What was found and what to do, in one sentence.
      returned: always
      type: str
      sample: >-
        The federated credential demo-billing is for the service account billing/billing, which does not exist; remove
        it if nothing will create that.
    references:
      description: Where the code is explained.
      returned: always
      type: list
      elements: str
      sample: ["https://github.com/azureops/pod_identity/blob/main/docs/codes.md#subject_missing"]
error:
  description: Answer of the service as data (C(code), C(message), C(status), and of Azure C(request_id)).
  returned: when Azure or the API server refuses a request
  type: dict
  sample: {code: AuthorizationFailed, message: The client does not have authorization., status: 403}
"""

import typing as t

from ansible_collections.azureops.pod_identity.plugins.module_utils._argspec import ArgumentSpec, kubernetes_auth
from ansible_collections.azureops.pod_identity.plugins.module_utils._azure import (
    federated_credentials,
    identities,
    managed_clusters,
)
from ansible_collections.azureops.pod_identity.plugins.module_utils._azure.client import Arm
from ansible_collections.azureops.pod_identity.plugins.module_utils._azure_options import azure_auth
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.azure import arm_id, federated
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.azure.identities import KIND
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.diagnosis.catalogue import references
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.client import connect
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.kinds import SERVICE_ACCOUNT
from ansible_collections.azureops.pod_identity.plugins.module_utils._plan import report

TEXT = {"type": "str"}
OPTIONS = ArgumentSpec(
    options={
        "resource_group": TEXT,
        "identity_name": TEXT,
        "identity_id": TEXT,
        "issuer": TEXT,
        "cluster_resource_group": TEXT,
        "cluster_name": TEXT,
        "check_service_accounts": {"type": "bool", "default": False},
    },
    mutually_exclusive=(
        ("identity_id", "resource_group"),
        ("identity_id", "identity_name"),
        ("issuer", "cluster_name"),
    ),
    required_together=(("cluster_resource_group", "cluster_name"),),
    required_one_of=(("resource_group", "identity_id"),),
    required_if=(("check_service_accounts", True, ("issuer", "cluster_name"), True),),
).merge(azure_auth(), kubernetes_auth())


def observe(options: t.Mapping[str, t.Any], arm: Arm) -> dict[str, t.Any]:
    issuer, cluster = options["issuer"], options["cluster_name"]
    if cluster:
        group = options["cluster_resource_group"]
        issuer = federated.cluster_issuer(cluster, group, managed_clusters.get(arm, group, cluster))
    accounts = service_accounts(options) if options["check_service_accounts"] else None
    found: list[dict[str, t.Any]] = []
    findings: list[dict[str, t.Any]] = []
    for identity in identity_ids(arm, options):
        credentials = federated_credentials.list_all(arm, identity)
        if credentials is None:
            continue
        views = [one.view() for one in credentials]
        found.append({"identity_id": identity, "free": federated.LIMIT - len(views), "credentials": views})
        for one in credentials:
            wrong = federated.findings(one, issuer=issuer, accounts=accounts)
            findings += [
                {"identity_id": identity, **finding, "references": list(references(finding["code"]))}
                for finding in wrong
            ]
    return {"identities": found, "findings": findings}


def identity_ids(arm: Arm, options: t.Mapping[str, t.Any]) -> list[str]:
    group, name = options["resource_group"], options["identity_name"]
    if options["identity_id"]:
        return [options["identity_id"]]
    if name:
        return [arm_id.resource(arm.subscription, group, KIND, name)]
    found = identities.list_group(arm, arm_id.resource_group(arm.subscription, group))
    return sorted(str(body["id"]) for body in found)


def service_accounts(options: t.Mapping[str, t.Any]) -> set[tuple[str, str]]:
    found = connect(options).list_all(SERVICE_ACCOUNT)
    return {(one["metadata"]["namespace"], one["metadata"]["name"]) for one in found}


def main() -> None:
    module = OPTIONS.create_module()
    report(module, lambda: observe(module.params, Arm.connect(module.params, module.run_command)))


if __name__ == "__main__":
    main()
