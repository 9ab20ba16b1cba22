# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this doc fragment is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

from __future__ import annotations


class ModuleDocFragment:
    # Must be kept in sync with credential_options() in module_utils/_federation.py
    DOCUMENTATION = r"""
options:
  name:
    description:
      - Name of one federated credential, 3 to 120 letters, digits, hyphens and underscores.
      - Either this or O(credentials) is required.
    type: str
  issuer:
    description:
      - Issuer of the tokens to trust, exactly as it is in the tokens. A slash at its end matters.
      - Needed for a new credential, unless O(cluster_name) is set. An existing one keeps its issuer if unset.
      - With O(credentials), that of the entries that name none.
    type: str
  cluster_resource_group:
    description: Resource group of O(cluster_name).
    type: str
  cluster_name:
    description: An AKS cluster of the subscription whose OIDC issuer is used instead of O(issuer).
    type: str
  subject:
    description:
      - Subject of the tokens to trust, exactly as it is in the tokens.
      - Needed for a new credential, unless O(service_account) is set. An existing one keeps its subject if unset.
    type: str
  namespace:
    description: Namespace of O(service_account).
    type: str
  service_account:
    description:
      - Kubernetes service account to trust, instead of O(subject), which becomes
        C(system:serviceaccount:namespace:service_account).
    type: str
  audiences:
    description:
      - Audience of the tokens to trust. Azure takes exactly one.
      - If unset, a new credential has that of the cloud, V(api://AzureADTokenExchange) in the public one, and an
        existing credential keeps what it has.
      - With O(credentials), that of the entries that name none.
    type: list
    elements: str
  credentials:
    description: Several federated credentials, instead of a single one.
    type: list
    elements: dict
    suboptions:
      name:
        description: As O(name).
        type: str
        required: true
      issuer:
        description: As O(issuer), for this credential.
        type: str
      subject:
        description: As O(subject).
        type: str
      namespace:
        description: As O(namespace).
        type: str
      service_account:
        description: As O(service_account).
        type: str
      audiences:
        description: As O(audiences), for this credential.
        type: list
        elements: str
  purge_credentials:
    description:
      - Whether federated credentials that are not in O(credentials) are removed.
      - C(aks-identity-binding), which AKS writes for identity bindings, and those that match an expression in the place
        of a subject are never changed or removed, by this or by O(state=absent). RV(kept_credentials) names them. They
        count towards the 20 that Azure takes.
    type: bool
    default: false
  purge_allow_empty:
    description: Whether O(purge_credentials) may remove all, because O(credentials) is empty.
    type: bool
    default: false
  wait_exchange:
    description:
      - Wait until Entra gives a token for a token of each service account. It takes Entra seconds to minutes to know a
        new credential, and some requests still fail in the first minutes; with O(exchange_samples) it is seen how many.
      - The cluster is asked for tokens of the service accounts, which must exist. The user of the connection needs the
        verb create on serviceaccounts/token in their namespaces. The options of the connection, such as O(kubeconfig),
        are for this only. No token is kept or shown.
      - Credentials for other subjects than service accounts are not tried. In check mode nothing is tried.
    type: bool
    default: false
  state:
    description: Whether the federated credentials exist. For V(absent) only their names matter.
    type: str
    choices: [present, absent]
    default: present
"""
