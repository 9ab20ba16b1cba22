#!/usr/bin/python
# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pod_identity_removal_info
short_description: See what of AAD Pod Identity is in a cluster and would have to go
version_added: 1.0.0
author:
  - azureops.pod_identity contributors (@azureops)
description:
  - Lists everything that AAD Pod Identity has in a cluster, its custom resources and their definitions, its helm
    releases, MIC and NMI, and the roles, locks and accounts that they left behind, and says what of it may be removed.
  - Also gives the objects as they can be applied again. No credential is in what it returns.
extends_documentation_fragment:
  - azureops.pod_identity._removal
  - azureops.pod_identity._kubernetes_auth
  - azureops.pod_identity._attributes
  - azureops.pod_identity._attributes.info_module
  - azureops.pod_identity._attributes.actiongroup_kubernetes
notes:
  - Needs to list the custom resources of AAD Pod Identity, customresourcedefinitions, daemonsets, deployments,
    clusterroles, clusterrolebindings, serviceaccounts, poddisruptionbudgets, configmaps and endpoints in the cluster,
    and secrets in O(release_namespaces) and where a release is said to be by what is there.
seealso:
  - module: azureops.pod_identity.pod_identity_removal
  - module: azureops.pod_identity.pod_identity_info
"""

EXAMPLES = r"""
- name: See what would have to go
  azureops.pod_identity.pod_identity_removal_info:
    kubeconfig: /etc/ansible/prod.kubeconfig
  register: found

- name: Fail unless nothing is left
  ansible.builtin.assert:
    that: (found.objects + found.releases + found.programs) | length == 0
"""

RETURN = r"""
objects:
  description: Every object, by kind.
  returned: success
  type: list
  elements: dict
  contains:
    kind:
      description: Kind of the object.
      returned: always
      type: str
      sample: AzureIdentity
    namespace:
      description: Namespace of the object; empty where it is in none.
      returned: always
      type: str
      sample: billing
    name:
      description: Name of the object.
      returned: always
      type: str
      sample: billing
    removable:
      description:
        - Whether it may be removed, because it carries the labels of this collection and O(owner), MIC, a release of
          the chart or AKS made it, or O(scope=all).
      returned: always
      type: bool
      sample: true
    by_aks:
      description: Whether AKS made it for its pod identity add-on, with which it goes.
      returned: always
      type: bool
      sample: false
    terminating:
      description: Whether it is being deleted already.
      returned: always
      type: bool
      sample: false
    foreign_finalizers:
      description:
        - Its finalizers that neither MIC nor Kubernetes takes away. Its deletion waits until their owners do.
      returned: always
      type: list
      elements: str
      sample: []
    identity:
      description: Resource id of the managed identity that it names; empty for service principals and other objects.
      returned: always
      type: str
      sample: /subscriptions/s/resourcegroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/billing
releases:
  description: The helm releases of the chart.
  returned: success
  type: list
  elements: dict
  contains:
    namespace:
      description: Namespace of the release.
      returned: always
      type: str
      sample: default
    name:
      description: Name of the release.
      returned: always
      type: str
      sample: aad-pod-identity
    status:
      description: What helm says of its newest revision, such as V(deployed), V(failed) or V(pending-upgrade).
      returned: always
      type: str
      sample: deployed
    version:
      description: Version of the chart.
      returned: always
      type: str
      sample: 4.1.18
    given_values:
      description: The values that were given, without credentials.
      returned: always
      type: dict
      sample: {mic: {}}
    omitted_values:
      description: The values that RV(releases[].given_values) has not or not whole, because they hold a credential.
      returned: always
      type: list
      elements: str
      sample: [adminsecret]
    repairs:
      description:
        - What its manifest holds that this cluster does not know any more, so that helm cannot remove the release
          unless M(azureops.pod_identity.pod_identity_removal) repairs its record.
      returned: always
      type: list
      elements: dict
      sample: []
      contains:
        kind:
          description: Kind of the object.
          returned: always
          type: str
          sample: PodDisruptionBudget
        name:
          description: Name of the object.
          returned: always
          type: str
          sample: mic-pdb
        api_version:
          description: The API that is gone.
          returned: always
          type: str
          sample: policy/v1beta1
        replacement_api:
          description: The API that took its place; empty where the object is left out.
          returned: always
          type: str
          sample: policy/v1
        document:
          description: The object as it stands in the manifest.
          returned: always
          type: str
          sample: "apiVersion: policy/v1beta1"
programs:
  description: Kind, namespace and name of the workloads that run MIC and NMI, whoever installed them.
  returned: success
  type: list
  elements: str
  sample: [DaemonSet default/aad-pod-identity-nmi]
reconciled_by:
  description:
    - What of the installation somebody would put there again, and who, such as a Kustomization of Flux, an Application
      of Argo CD, or AKS.
  returned: success
  type: list
  elements: str
  sample: ["DaemonSet default/nmi (managed by Flux, Kustomization flux-system/platform)"]
addon_programs:
  description: Those of RV(programs) that AKS manages, which is NMI while its pod identity add-on is on.
  returned: success
  type: list
  elements: str
  sample: [DaemonSet kube-system/nmi]
identities:
  description: Resource ids of the managed identities that the custom resources name, in lower case.
  returned: success
  type: list
  elements: str
  sample: [/subscriptions/s/resourcegroups/g/providers/microsoft.managedidentity/userassignedidentities/billing]
not_believed:
  description:
    - What looks like a part of AAD Pod Identity and is not believed to be one, such as a helm release whose manifest
      names other objects than the chart makes. It stays.
  returned: success
  type: list
  elements: dict
  contains:
    object:
      description: Kind and name.
      returned: always
      type: str
      sample: helm release team/aad-pod-identity
    reason:
      description: Why it is not believed.
      returned: always
      type: str
      sample: it has hooks, and the chart has none
release_namespaces:
  description:
    - Namespaces in which releases were looked for. Given to later tasks as O(release_namespaces) they count as those of
      an installation still when its ClusterRoleBindings are gone.
  returned: success
  type: list
  elements: str
  sample: [default]
secrets:
  description:
    - Namespace and name of the Secrets with credentials of service principals that AzureIdentities which may go name in
      their own namespace. No module removes them with their AzureIdentities.
  returned: success
  type: list
  elements: str
  sample: [reports/reports-credential]
other_secrets:
  description:
    - The same of Secrets that are no business of what goes. They are in another namespace than the AzureIdentity that
      names them, whose author may have no right to them, or an AzureIdentity that stays names them.
  returned: success
  type: list
  elements: str
  sample: [vault/reports-credential]
definitions:
  description: Uids of the custom resource definitions, also of those that AKS manages. They are the last to go.
  returned: success
  type: list
  elements: str
  sample: [5b0d2a4c-0f0e-4b6e-9a53-5f7f3a0f6f11]
documents:
  description: The custom resources that people made, as they can be applied again. Not those that AKS manages.
  returned: success
  type: list
  elements: dict
  sample:
    - apiVersion: aadpodidentity.k8s.io/v1
      kind: AzureIdentityBinding
      metadata: {name: billing, namespace: billing}
      spec: {azureIdentity: billing, selector: billing}
error:
  description: Answer of the service as data (C(code), C(message), C(status), and of Azure C(request_id)).
  returned: when Azure or the API server refuses a request
  type: dict
  sample: {code: Forbidden, message: azureidentities.aadpodidentity.k8s.io is forbidden, status: 403}
"""

import typing as t
from dataclasses import asdict

from ansible_collections.azureops.pod_identity.plugins.module_utils import _argspec, _plan
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.installation import helm_releases
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.removal import removal
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube import removal as kube_removal
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.client import connect

OPTIONS = _argspec.removal().merge(_argspec.kubernetes_auth())


def as_data(found: removal.Observed, rules: removal.Rules) -> dict[str, t.Any]:
    secrets, others = removal.credentials(found, rules)
    return {
        "objects": removal.rows(found, rules),
        "releases": [
            {
                "namespace": each.namespace,
                "name": each.name,
                "status": each.status,
                "version": each.version,
                "given_values": helm_releases.without_secrets(dict(each.values)),
                "omitted_values": helm_releases.omitted(each.values),
                "repairs": [asdict(repair) for repair in each.repairs],
            }
            for each in found.releases
        ],
        "not_believed": [{"object": each.label, "reason": each.reason} for each in found.doubts],
        "release_namespaces": list(found.namespaces),
        "programs": list(found.programs),
        "reconciled_by": list(found.reconciled_by),
        "addon_programs": list(found.addon),
        "identities": removal.attached(found),
        "secrets": secrets,
        "other_secrets": others,
        "definitions": list(found.definitions),
        "documents": removal.documents(found),
    }


def main() -> None:
    module = OPTIONS.create_module()

    def observe() -> dict[str, t.Any]:
        params = module.params
        rules = removal.Rules(owner=params["owner"], everything=params["scope"] == "all")
        return as_data(kube_removal.observe(connect(params, module.tmpdir), params["release_namespaces"]), rules)

    _plan.report(module, observe)


if __name__ == "__main__":
    main()
