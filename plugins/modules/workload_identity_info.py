#!/usr/bin/python
# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: workload_identity_info
short_description: Say what moves workloads from AAD Pod Identity to Workload ID, and what is in the way
version_added: 1.0.0
author:
  - azureops.pod_identity contributors (@azureops)
description:
  - Tells for every workload that gets an identity, or could, whether it uses Microsoft Entra Workload ID already, what
    a migration does about it, and what is in its way. Workloads are told whether they run or not, among them suspended
    CronJobs, those without replicas, and pods that nobody makes.
  - Lists the managed identities with their federated credentials of all clusters, the service accounts, what takes
    tokens through pods of others, and who may have an identity by Workload ID that could not before.
  - What is wrong has a code; docs/codes.md explains each. What could not be looked at, or what only a proof tells, is
    never taken for right.
  - Reads a cluster, or files that C(kubectl get -o json) wrote. It changes nothing; with O(dry_run) it asks what the
    cluster would make of pods.
  - Of environment variables it returns only C(AZURE_CLIENT_ID), C(AZURE_TENANT_ID) and C(AZURE_FEDERATED_TOKEN_FILE),
    and these only where they look like an id or a path; of arguments only paths of tokens. Its result tells names and
    ids of identities, who has which rights, and policies, and is to be kept from those who need not know.
extends_documentation_fragment:
  - azureops.pod_identity._azure_auth
  - azureops.pod_identity._kubernetes_auth
  - azureops.pod_identity._inventory
  - azureops.pod_identity._attributes
  - azureops.pod_identity._attributes.info_module
  - azureops.pod_identity._attributes.actiongroup_both
options:
  namespaces:
    description:
      - Tells only of the workloads of these namespaces, with their identities and service accounts. By default of all.
      - The whole cluster is read all the same.
    type: list
    elements: str
  resource_group:
    description: Resource group of the cluster O(cluster_name).
    type: str
  cluster_name:
    description:
      - Name of the managed cluster, of which Azure is asked for the OIDC issuer and the add-on, and for the federated
        credentials of the identities that AzureIdentities name. Where workloads get AzureIdentities of type 1 or 2,
        Microsoft Graph is asked for those of their applications. Without it Azure is told in RV(not_looked_at).
      - Where none of its nodes is one of that cluster, Azure is not believed to be about it.
    type: str
  proxy_workloads:
    description:
      - Workloads whose library knows the metadata service only, V(NAMESPACE/KIND/NAME), and that are to have the proxy
        sidecar of Workload ID. Those whose template says so have it anyway.
    type: list
    elements: str
    default: []
  accept:
    description:
      - Codes of problems that are accepted, of those whose V(accepted_by) is C(workload_identity_migration_accept).
    type: list
    elements: str
    choices:
      - container_without_token
      - own_client_id_differs
      - issuer_not_enabled
      - init_container_before_proxy
      - asks_metadata_service
      - token_path_hard_coded
      - library_too_old
      - login_host_not_reached
      - template_immutable
      - cannot_surge
      - takes_node_identity
    default: []
  override_owner:
    description: Whether manifests that belong to Helm, Flux or Argo CD count as changeable in the cluster.
    type: bool
    default: false
  replacements:
    description:
      - Resource ids of managed identities, by V(NAMESPACE/NAME) of the AzureIdentity whose place each takes. Workloads
        that AAD Pod Identity gives that AzureIdentity are to get the managed identity by Workload ID.
    type: dict
    default: {}
  dry_run:
    description:
      - Whether the API server is asked, by dry runs, what it would make of a pod of each workload with the label of
        Workload ID, and of one without it. Only workloads are tried that nothing else keeps from Workload ID, and
        nothing is stored.
      - Without it, and with O(files), what only that tells is not looked at.
    type: bool
    default: false
  exchanges:
    description:
      - Tokens of service accounts that were exchanged for tokens of identities. Without those, and without some that a
        pod like those of a workload asked for, what only they tell is not looked at.
    type: list
    elements: dict
    default: []
    suboptions:
      service_account:
        description: Namespace and name of the service account, V(shop/web).
        type: str
        required: true
      client_id:
        description: Client id of the identity.
        type: str
        required: true
      asked:
        description: How many were asked for.
        type: int
        required: true
      granted:
        description: How many were granted.
        type: int
        required: true
      codes:
        description: How many were refused, by code.
        type: dict
        default: {}
      workload:
        description:
          - Kind, namespace and name of the workload, V(Deployment shop/web), where a pod with its labels asked as it
            does; empty where no pod did.
        type: str
        default: ''
      reached:
        description: Whether the login host answered.
        type: bool
        default: true
      served_by:
        description: Who gave the tokens, V(workload_identity) or else.
        type: str
        default: workload_identity
  exchange_samples:
    description:
      - How many tokens of each identity are asked for with a token of each service account of a workload that the
        identity trusts already; V(0) for none. It takes O(cluster_name). The cluster is asked for tokens of the service
        accounts; nothing is made there, and no token is kept or shown.
    type: int
    default: 0
  exchange_min_rate:
    description: How many of the exchanges must be granted, from V(0) to V(1).
    type: float
    default: 0.9
notes:
  - Looks at pods, deployments, statefulsets, daemonsets, replicasets, jobs, cronjobs, and the kinds of AAD Pod Identity
    in the whole cluster. It fails where none of those may be listed that have pods, because nothing can be told then.
  - Looks besides at nodes, namespaces, serviceaccounts, mutatingwebhookconfigurations, networkpolicies,
    poddisruptionbudgets, resourcequotas, limitranges, persistentvolumeclaims, roles, rolebindings, clusterroles,
    clusterrolebindings, validatingadmissionpolicies, and at the kinds of Gatekeeper, Kyverno, KEDA, Secrets Store CSI,
    cert-manager, Velero and Flux that the cluster has. What of all this may not be listed is told in
    RV(not_looked_at), and what follows from it is not known.
  - With O(exchange_samples) it needs to create serviceaccounts/token in the namespaces of the workloads.
  - With O(dry_run) it needs to create pods in the namespaces of the workloads, which it does in dry runs only.
  - It makes one list for each kind, and in Azure one request for the cluster and one for each identity. Of each
    application of a service principal that workloads get it reads the federated credentials in Microsoft Graph, which
    takes the permission C(Application.Read.All), or C(Application.ReadWrite.OwnedBy).
seealso:
  - module: azureops.pod_identity.pod_identity_info
  - module: azureops.pod_identity.pod_identity_diagnosis_info
  - module: azureops.pod_identity.federated_identity_credential_info
"""

EXAMPLES = r"""
- name: Look what a migration would do
  azureops.pod_identity.workload_identity_info:
    kubeconfig: /etc/ansible/prod.kubeconfig
  register: plan

- name: Look with what Azure tells
  azureops.pod_identity.workload_identity_info:
    kubeconfig: /etc/ansible/prod.kubeconfig
    resource_group: prod
    cluster_name: prod
    proxy_workloads: [shop/Deployment/legacy]
    accept: [cannot_surge]
    dry_run: true
    exchange_samples: 20
  register: with_azure

- name: Show it
  ansible.builtin.debug:
    msg: "{{ plan.templates | azureops.pod_identity.table(['namespace', 'kind', 'name', 'verdict']) }}"

- name: Show what is in the way
  ansible.builtin.debug:
    msg: "{{ plan.templates | map(attribute='blocked') | flatten | map(attribute='reason') }}"

- name: Look at what was saved of a cluster
  azureops.pod_identity.workload_identity_info:
    files:
      - /var/backups/prod/workloads.json
      - /var/backups/prod/pod-identity.json
  register: saved

- name: Fail where something is in the way
  ansible.builtin.assert:
    that: saved.summary.blocked == 0
    fail_msg: "{{ saved.summary.codes | join(', ') }}"
"""

RETURN = r"""
cluster:
  description: What holds for all workloads.
  returned: success
  type: dict
  contains:
    issuer:
      description: The OIDC issuer; empty where none is enabled, null where Azure was not asked.
      returned: always
      type: str
      sample: https://westeurope.oic.prod-aks.azure.com/5e1c7a2b-93c4-4a58-8f43-6b1f0f6a2d10/3f2c/
    cloud:
      description: Name of the cloud.
      returned: always
      type: str
      sample: AzureCloud
    login_host:
      description: Host to which pods connect for tokens; empty where it is not known.
      returned: always
      type: str
      sample: login.microsoftonline.com
    audience:
      description: Audience of federated credentials in that cloud.
      returned: always
      type: str
      sample: api://AzureADTokenExchange
    webhooks:
      description: Installations of the webhook, V(addon) or the namespace of a chart.
      returned: always
      type: list
      elements: str
      sample: [addon]
    webhook_version:
      description: Version of the webhook by its image; empty where that is not known.
      returned: always
      type: str
      sample: 1.5.0
templates:
  description:
    - One entry for each workload that gets an identity, or could; by namespace, kind and name.
    - Owners of kinds that are not known, and that make pods themselves, have one entry per selector of their pods.
  returned: success
  type: list
  elements: dict
  contains:
    namespace:
      description: Namespace of the workload.
      returned: always
      type: str
      sample: shop
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
    verdict:
      description:
        - V(ready) where it uses Workload ID and nothing is left to do or to prove, V(needs) where the migration has
          something to do, V(blocked) where its pods may not use Workload ID yet, or where nothing else is to be done.
      returned: always
      type: str
      sample: needs
    steps:
      description:
        - What the migration does, in its order, each once; V(issuer), V(webhook), V(service_account), V(annotation),
          V(credential), V(proxy), V(label), V(restart), V(proof).
      returned: always
      type: list
      elements: str
      sample: [annotation, credential, label, proof]
    needs:
      description:
        - Why each of RV(templates[].steps) is taken; V(proof) has no code, RV(templates[].not_looked_at) has its codes.
      returned: always
      type: list
      elements: dict
      sample:
        - step: label
          code: template_not_labelled
          object: Deployment shop/web
          reason: The label azure.workload.identity/use is not in its pod template.
    blocked:
      description: What is in the way.
      returned: always
      type: list
      elements: dict
      contains:
        code:
          description: What it is, always the same text.
          returned: always
          type: str
          sample: manifest_has_owner
        object:
          description: What has to be changed.
          returned: always
          type: str
          sample: Deployment shop/web
        reason:
          description: What was found, in one sentence.
          returned: always
          type: str
          sample: It belongs to helm release shop/web.
        remedy:
          description: What to do about it.
          returned: always
          type: str
          sample: Change the manifest where it is written; what is patched in the cluster, its owner may undo.
        stage:
          description:
            - What it stands in the way of, V(switch) to Workload ID, V(leave) of AAD Pod Identity by this workload, or
              V(finish), its removal from the cluster.
          returned: always
          type: str
          sample: switch
        accepted_by:
          description: The option of the role by which it is accepted; empty where it cannot be.
          returned: always
          type: str
          sample: workload_identity_migration_override_owner
    accepted:
      description: What would be in the way and was accepted, with the keys of RV(templates[].blocked).
      returned: always
      type: list
      elements: dict
      sample: []
    noted:
      description: What a person has to know, with the keys of RV(templates[].blocked).
      returned: always
      type: list
      elements: dict
      sample: []
    not_looked_at:
      description: What could not be told, with the keys of RV(templates[].needs).
      returned: always
      type: list
      elements: dict
      sample:
        - step: ''
          code: library_too_old
          object: Deployment shop/web
          reason: "Whether its library knows Workload ID is not known: no pod with its labels has asked."
    uses:
      description:
        - How it gets tokens, V(pod_identity), V(workload_identity), V(both), V(identity_binding) of AKS, V(node), or
          V(nothing) where its service account alone is prepared.
      returned: always
      type: str
      sample: pod_identity
    selector:
      description: Value of the label C(aadpodidbinding) of its pods.
      returned: always
      type: str
      sample: web
    identities:
      description:
        - What AAD Pod Identity gives it, in the order of the bindings, each with the resource id of the managed
          identity that takes its place.
      returned: always
      type: list
      elements: dict
      sample:
        - name: shop/web
          type: 0
          client_id: 00000000-0000-0000-0000-000000000001
          resource_id: /subscriptions/s/resourcegroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/web
          replacement: ''
    client_id:
      description: Client id that its service account has to tell; empty where it is not known.
      returned: always
      type: str
      sample: 00000000-0000-0000-0000-000000000001
    service_account:
      description: Service account of its pods.
      returned: always
      type: str
      sample: web
    service_account_shared_with:
      description: Kind, namespace and name of other workloads with that service account.
      returned: always
      type: list
      elements: str
      sample: []
    new_service_account:
      description: Service account that it will have; another one where the present one cannot serve.
      returned: always
      type: str
      sample: web
    credentials:
      description: The federated credentials that it needs, one for each managed identity and each application.
      returned: always
      type: list
      elements: dict
      contains:
        identity_id:
          description: Resource id of the managed identity; empty for an application.
          returned: always
          type: str
          sample: /subscriptions/s/resourcegroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/web
        app_id:
          description: Client id of the application of a service principal; empty for a managed identity.
          returned: always
          type: str
          sample: ''
        tenant_id:
          description: Tenant of that service principal; empty for a managed identity.
          returned: always
          type: str
          sample: ''
        client_id:
          description: Client id of the identity.
          returned: always
          type: str
          sample: 00000000-0000-0000-0000-000000000001
        issuer:
          description: Issuer of the cluster; empty where it is not known.
          returned: always
          type: str
          sample: https://westeurope.oic.prod-aks.azure.com/5e1c7a2b-93c4-4a58-8f43-6b1f0f6a2d10/3f2c/
        subject:
          description: Subject of its service account.
          returned: always
          type: str
          sample: system:serviceaccount:shop:web
        audience:
          description: Audience of its tokens.
          returned: always
          type: str
          sample: api://AzureADTokenExchange
        state:
          description: V(exists), V(missing), V(misspelled) or V(unknown).
          returned: always
          type: str
          sample: missing
        credential:
          description: Name of the credential that is right, or nearly right; may be empty.
          returned: always
          type: str
          sample: ''
    containers:
      description: What its containers tell of how they ask for tokens; init containers first.
      returned: always
      type: list
      elements: dict
      contains:
        name:
          description: Name of the container.
          returned: always
          type: str
          sample: app
        kind:
          description: V(container), V(init), or V(sidecar), an init container that runs on.
          returned: always
          type: str
          sample: container
        image:
          description: Its image.
          returned: always
          type: str
          sample: registry.example/shop/web:1.4.2
        product:
          description: Product whose image it is, of those that take tokens for others; else empty.
          returned: always
          type: str
          sample: ''
        variables:
          description: Ids and path of the token that its environment sets.
          returned: always
          type: dict
          sample: {AZURE_CLIENT_ID: 00000000-0000-0000-0000-000000000001}
        referred_variables:
          description: Names of those of these variables whose values come from elsewhere.
          returned: always
          type: list
          elements: str
          sample: []
        token_paths:
          description: Paths of tokens that are written in its arguments and variables.
          returned: always
          type: list
          elements: str
          sample: []
        asks_metadata_service:
          description: Whether its arguments or variables name the metadata service.
          returned: always
          type: bool
          sample: false
        old_library:
          description: Library without Workload ID that its variables are for; else empty.
          returned: always
          type: str
          sample: ''
    proxy:
      description: Whether it has, or is to have, the proxy sidecar.
      returned: always
      type: bool
      sample: false
    host_network:
      description: Whether its pods use the host network.
      returned: always
      type: bool
      sample: false
    node_identity:
      description: Why its requests get tokens of its node; empty where they do not.
      returned: always
      type: str
      sample: ''
    pod_security:
      description: Pod Security level that its namespace enforces; empty for none.
      returned: always
      type: str
      sample: baseline
    quotas:
      description: Names of the ResourceQuotas of its namespace.
      returned: always
      type: list
      elements: str
      sample: []
    limit_ranges:
      description: Names of the LimitRanges of its namespace.
      returned: always
      type: list
      elements: str
      sample: []
    policies:
      description: Policies of admission that look at its pods, and may refuse them.
      returned: always
      type: list
      elements: str
      sample: [K8sRequiredLabels team-labels]
    owner:
      description: Who owns its manifest.
      returned: always
      type: dict
      contains:
        kind:
          description: V(helm), V(flux), V(argo), V(addon), V(operator), or empty for nobody.
          returned: always
          type: str
          sample: helm
        name:
          description: Which one; may be empty.
          returned: always
          type: str
          sample: shop/web
    rollout:
      description: How its pods are replaced.
      returned: always
      type: dict
      contains:
        strategy:
          description: Strategy of the workload; empty where it has none.
          returned: always
          type: str
          sample: RollingUpdate
        replicas:
          description: Number of replicas; null where they are not counted so.
          returned: always
          type: int
          sample: 3
        surge:
          description: Whether new pods come before old ones go.
          returned: always
          type: bool
          sample: true
        gap:
          description: Why pods are missing for a while; empty where none are.
          returned: always
          type: str
          sample: ''
        budgets:
          description: Names of its PodDisruptionBudgets.
          returned: always
          type: list
          elements: str
          sample: [web]
ended:
  description:
    - Kind, namespace and name of workloads with the label C(aadpodidbinding) that have ended, Jobs and pods that nobody
      makes anew. Nothing has to be done about them.
  returned: success
  type: list
  elements: str
  sample: [Job shop/import]
identities:
  description:
    - One entry for each managed identity that AzureIdentities or O(replacements) name, for each application of service
      principals, and for each other AzureIdentity.
  returned: success
  type: list
  elements: dict
  contains:
    identity_id:
      description: Resource id of a managed identity; empty for an application.
      returned: always
      type: str
      sample: /subscriptions/s/resourcegroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/web
    client_id:
      description: Client id of the identity.
      returned: always
      type: str
      sample: 00000000-0000-0000-0000-000000000001
    type:
      description: V(0) for a managed identity, V(1) for a service principal, V(2) for one with a certificate.
      returned: always
      type: int
      sample: 0
    azure_identities:
      description: Namespace and name of the AzureIdentities.
      returned: always
      type: list
      elements: str
      sample: [shop/web]
    credentials_used:
      description: How many federated credentials it has, for all clusters; null where they were not read.
      returned: always
      type: int
      sample: 3
    credentials_free:
      description: How many more it can take; null where they were not read.
      returned: always
      type: int
      sample: 17
    credentials_missing:
      description: How many workloads of this cluster need besides.
      returned: always
      type: int
      sample: 1
    credentials:
      description: Its federated credentials, of all clusters; empty where they were not read.
      returned: always
      type: list
      elements: dict
      contains:
        name:
          description: Name of the federated credential.
          returned: always
          type: str
          sample: shop-web
        issuer:
          description: Issuer that it trusts.
          returned: always
          type: str
          sample: https://westeurope.oic.prod-aks.azure.com/5e1c7a2b-93c4-4a58-8f43-6b1f0f6a2d10/91aa/
        subject:
          description: Subject that it trusts; empty where it matches an expression.
          returned: always
          type: str
          sample: system:serviceaccount:shop:web
    issuers:
      description: Issuers that its credentials trust, each that of a cluster.
      returned: always
      type: list
      elements: str
      sample: ['https://westeurope.oic.prod-aks.azure.com/5e1c7a2b-93c4-4a58-8f43-6b1f0f6a2d10/91aa/']
    has_identity_binding:
      description: Whether it has the credential of an identity binding of AKS.
      returned: always
      type: bool
      sample: false
    subjects:
      description: Subjects of the service accounts of this cluster that it has to trust.
      returned: always
      type: list
      elements: str
      sample: ['system:serviceaccount:shop:web']
azure_identity_bindings:
  description: One entry for each AzureIdentityBinding of the whole cluster.
  returned: success
  type: list
  elements: dict
  contains:
    namespace:
      description: Its namespace.
      returned: always
      type: str
      sample: shop
    name:
      description: Its name.
      returned: always
      type: str
      sample: money
    azure_identity:
      description: Name of its AzureIdentity.
      returned: always
      type: str
      sample: money
    selector:
      description: Which value of the label it selects.
      returned: always
      type: str
      sample: money
    workloads:
      description:
        - Workloads that it gives an identity, or gave until M(azureops.pod_identity.workload_identity_workload) took
          their label, and Jobs that have ended.
        - Empty where none is known. What uses it then may be of a kind that is not read.
      returned: always
      type: list
      elements: str
      sample: [Deployment shop/web]
service_accounts:
  description: One entry for each service account that workloads to move have, or will have.
  returned: success
  type: list
  elements: dict
  contains:
    namespace:
      description: Namespace of the service account.
      returned: always
      type: str
      sample: shop
    name:
      description: Name of the service account.
      returned: always
      type: str
      sample: web
    exists:
      description: Whether it exists; null where service accounts were not read.
      returned: always
      type: bool
      sample: true
    client_id:
      description: Client id that it tells; empty for none.
      returned: always
      type: str
      sample: ''
    wanted_client_ids:
      description: Client ids that it has to tell; more than one contradict each other.
      returned: always
      type: list
      elements: str
      sample: [00000000-0000-0000-0000-000000000001]
    workloads:
      description: Kind, namespace and name of all workloads that have it.
      returned: always
      type: list
      elements: str
      sample: [Deployment shop/web]
    image_pull_secrets:
      description: Names of the Secrets with which its pods pull images.
      returned: always
      type: list
      elements: str
      sample: []
    automount_token:
      description: Whether its pods get a token of the API server; null where it does not say so.
      returned: always
      type: bool
      sample: true
    bindings:
      description: What binds roles to it.
      returned: always
      type: list
      elements: str
      sample: [RoleBinding shop/web]
    owner:
      description: Who owns its manifest, with the keys of RV(templates[].owner).
      returned: always
      type: dict
      sample: {kind: helm, name: shop/web}
consumers:
  description: Settings of products that take tokens, and the pods that ask for them; of the whole cluster.
  returned: success
  type: list
  elements: dict
  contains:
    product:
      description: Name of the product.
      returned: always
      type: str
      sample: KEDA
    object:
      description: What has the setting.
      returned: always
      type: str
      sample: TriggerAuthentication shop/queue
    setting:
      description: The setting, as it is.
      returned: always
      type: str
      sample: 'spec.podIdentity.provider: azure'
    uses:
      description: V(pod_identity), V(workload_identity), or V(other) where the pods that ask decide.
      returned: always
      type: str
      sample: pod_identity
    client_id:
      description: Client id that it names; may be empty.
      returned: always
      type: str
      sample: ''
    workloads:
      description: Workloads whose pods ask, by their images or the labels of a chart; empty where none was found.
      returned: always
      type: list
      elements: str
      sample: [Deployment keda/keda-operator]
    subjects:
      description: Subjects of the service accounts that the tokens are, or will be, asked with.
      returned: always
      type: list
      elements: str
      sample: ['system:serviceaccount:keda:keda-operator']
    version:
      description: Version of the product that runs, by its images or the label of its chart; may be empty.
      returned: always
      type: str
      sample: 2.14.0
    chart:
      description: Chart that the workloads were made from, with its version, by their labels; may be empty.
      returned: always
      type: str
      sample: keda-2.14.0
    state:
      description:
        - V(not_moved), V(prepared) where only its own change is left, V(moved), V(proved) where its status shows that
          it has got tokens since, or V(not_known).
      returned: always
      type: str
      sample: not_moved
    reason:
      description: Why it is no further; may be empty.
      returned: always
      type: str
      sample: Deployment keda/keda-operator does not use Workload ID yet.
    next:
      description: What is to be done; empty where nothing is.
      returned: always
      type: str
      sample: The phases up to switch let it use Workload ID.
    moved_by:
      description:
        - V(phases) for a template that M(azureops.pod_identity.workload_identity_workload) may change, V(owner)
          for what whoever owns its manifest changes.
      returned: always
      type: str
      sample: owner
    steps:
      description: What the documentation of the product says, in its order.
      returned: always
      type: list
      elements: str
      sample: [Set spec.podIdentity.provider of each TriggerAuthentication to azure-workload.]
    change:
      description: Values of its chart, or a patch of the object, as YAML; empty where nothing is to be changed.
      returned: always
      type: str
      sample: |
        spec:
          podIdentity:
            provider: "azure-workload"
    proof:
      description: What shows that it works.
      returned: always
      type: str
      sample: status.phase is Available, and status.lastValidationTime is later than the start of its pods.
    credentials:
      description: What identities have to trust for it, as RV(templates[].credentials).
      returned: always
      type: list
      elements: dict
      sample: []
    blocks_finish:
      description: Whether it is set to AAD Pod Identity itself, so that this must not be removed.
      returned: always
      type: bool
      sample: true
    page:
      description: Documentation of the product.
      returned: always
      type: str
      sample: https://keda.sh/docs/2.14/authentication-providers/azure-ad-workload-identity/
gains:
  description:
    - Who may have an identity of a workload by Workload ID, beside who could have it by AAD Pod Identity; one entry for
      each identity, none where RBAC was not read.
    - With Workload ID these are all that may make pods in the namespace of the service account, or tokens for it; with
      AAD Pod Identity all that may make pods in the namespaces that the identity serves.
  returned: success
  type: list
  elements: dict
  contains:
    identity:
      description:
        - Resource id of a managed identity, V(application) and client id of an application, else the AzureIdentity.
      returned: always
      type: str
      sample: /subscriptions/s/resourcegroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/web
    service_accounts:
      description: Namespace and name of the service accounts.
      returned: always
      type: list
      elements: str
      sample: [shop/web]
    before:
      description: Users, groups and service accounts that could have it.
      returned: always
      type: list
      elements: str
      sample: [Group shop-developers]
    after:
      description: Those that will be able to have it.
      returned: always
      type: list
      elements: str
      sample: [Group shop-developers, User vault]
    gained:
      description: Those of V(after) that are not in V(before).
      returned: always
      type: list
      elements: str
      sample: [User vault]
    lost:
      description: Those of V(before) that are not in V(after).
      returned: always
      type: list
      elements: str
      sample: []
not_looked_at:
  description: What was not read.
  returned: success
  type: list
  elements: dict
  contains:
    what:
      description: What it is.
      returned: always
      type: str
      sample: Azure
    why:
      description: Why it was not read.
      returned: always
      type: str
      sample: no cluster is named there
    needs:
      description: What it takes.
      returned: always
      type: str
      sample: the resource group and the name of the cluster
summary:
  description: How many there are.
  returned: success
  type: dict
  contains:
    templates:
      description: Number of RV(templates).
      returned: always
      type: int
      sample: 1
    ready:
      description: Number of those that are V(ready).
      returned: always
      type: int
      sample: 0
    needs:
      description: Number of those that are V(needs).
      returned: always
      type: int
      sample: 1
    blocked:
      description: Number of those that are V(blocked).
      returned: always
      type: int
      sample: 0
    namespaces:
      description: The same by namespace.
      returned: always
      type: list
      elements: dict
      sample: [{namespace: shop, ready: 0, needs: 1, blocked: 0}]
    codes:
      description: How many workloads each code is in the way of.
      returned: always
      type: dict
      sample: {}
    identities:
      description: Number of RV(identities).
      returned: always
      type: int
      sample: 1
    consumers:
      description: Number of RV(consumers).
      returned: always
      type: int
      sample: 1
    not_looked_at:
      description: Number of RV(not_looked_at).
      returned: always
      type: int
      sample: 1
"""

import functools
import typing as t
from dataclasses import replace

from ansible_collections.azureops.pod_identity.plugins.module_utils import _argspec, _federation, _plan
from ansible_collections.azureops.pod_identity.plugins.module_utils._azure import migration as azure
from ansible_collections.azureops.pod_identity.plugins.module_utils._azure.client import Arm
from ansible_collections.azureops.pod_identity.plugins.module_utils._azure_options import azure_auth
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.errors import Failure
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.matching.inventory import settings
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.migration import plan
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.migration.observed import (
    Choices,
    Exchange,
    Observed,
)
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.migration.telling import as_data
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.migration.world import World
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube import migration
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.client import Client, connect

_AZURE_SECONDS = 120  # as long as Azure is waited for where it asks for patience
_TEXT = {"type": "str", "default": ""}
_NEEDED = {"type": "str", "required": True}
_EXCHANGE = {
    "service_account": _NEEDED,
    "client_id": _NEEDED,
    "asked": {"type": "int", "required": True},
    "granted": {"type": "int", "required": True},
    "codes": {"type": "dict", "default": {}},
    "workload": _TEXT,
    "reached": {"type": "bool", "default": True},
    "served_by": {"type": "str", "default": "workload_identity"},
}


def observe(params: t.Mapping[str, t.Any], client: Client | None) -> Observed:
    """What there is in the cluster, or in the files, and what others told of it."""
    given = settings(params["mode"], params["force_namespaced"], params["version"])
    found = migration.observe(client, given) if client else migration.read_files(params["files"], given)
    return replace(found, exchanges=tuple(map(Exchange.parse, params["exchanges"])))


def main() -> None:
    module = (
        _argspec.kubernetes_auth()
        .merge(
            _argspec.ArgumentSpec(
                options={
                    "namespaces": {"type": "list", "elements": "str"},
                    "resource_group": {"type": "str"},
                    "cluster_name": {"type": "str"},
                    "proxy_workloads": {"type": "list", "elements": "str", "default": []},
                    "accept": {"type": "list", "elements": "str", "choices": list(plan.ACCEPTABLE), "default": []},
                    "override_owner": {"type": "bool", "default": False},
                    "replacements": {"type": "dict", "default": {}},
                    "dry_run": {"type": "bool", "default": False},
                    "exchanges": {"type": "list", "elements": "dict", "options": _EXCHANGE, "default": []},
                    "exchange_samples": {"type": "int", "default": 0},
                    "exchange_min_rate": {"type": "float", "default": 0.9},
                },
                required_by={"cluster_name": ("resource_group",)},
            ),
            _argspec.inventory(),
            azure_auth(),
        )
        .create_module()
    )

    def look() -> dict[str, t.Any]:
        params = module.params
        choices, namespaces, samples = Choices.parse(params), params["namespaces"], params["exchange_samples"]
        if samples < 0:
            raise Failure(f"exchange_samples is {samples}, and must be 0 or more: correct it.")
        bounded = {**params, "wait_timeout": _AZURE_SECONDS}
        arm = functools.lru_cache(maxsize=1)(lambda: Arm.connect(bounded, module.run_command))
        client = connect(params, module.tmpdir) if params["files"] is None else None
        observed = observe(params, client)
        if params["cluster_name"] is None:
            observed = azure.without(params, observed)
        else:
            observed = azure.observe(arm, params, observed, choices)
        if client and params["dry_run"]:
            observed = migration.try_pods(client, World(observed, choices), namespaces)
        if client and samples and observed.credentials:
            assertion = functools.partial(_federation.assertion_of, client)
            observed = azure.exchange(arm(), World(observed, choices), assertion, samples, namespaces)
        return as_data(World(observed, choices), namespaces)

    _plan.report(module, look)


if __name__ == "__main__":
    main()
