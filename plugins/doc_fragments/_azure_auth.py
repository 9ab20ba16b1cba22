# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this doc fragment is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

from __future__ import annotations


class ModuleDocFragment:
    # Must be kept in sync with azure_auth() in module_utils/_azure_options.py
    DOCUMENTATION = r"""
requirements:
  - azure-identity >= 1.19.0
  - azure-mgmt-core >= 1.6.0
options:
  auth_source:
    description:
      - Where the credential comes from.
      - V(auto) takes the first complete one of the module's options, the environment, the file
        C(~/.azure/credentials), the login of the C(az) command.
      - The order and the names are those of the azure.azcollection collection.
      - If unset, the environment variable E(ANSIBLE_AZURE_AUTH_SOURCE) is used.
    type: str
    choices: [auto, cli, credential_file, env, msi]
    default: auto
  profile:
    description:
      - Section of C(~/.azure/credentials) to use.
      - If unset, the environment variable E(AZURE_PROFILE) is used.
    type: str
  subscription_id:
    description: Subscription to work in. Environment variable E(AZURE_SUBSCRIPTION_ID).
    type: str
  client_id:
    description:
      - Application (client) id of a service principal, or client id of a user-assigned managed identity with
        O(auth_source=msi). Environment variable E(AZURE_CLIENT_ID).
    type: str
  secret:
    description: Secret of the service principal. Environment variable E(AZURE_SECRET).
    type: str
  tenant:
    description: Tenant id. Environment variable E(AZURE_TENANT), else E(AZURE_TENANT_ID).
    type: str
  x509_certificate_path:
    description:
      - PEM file with certificate and private key of the service principal, instead of a secret.
        Environment variable E(AZURE_X509_CERTIFICATE_PATH).
    type: path
  thumbprint:
    description:
      - Accepted for playbooks that set it; the thumbprint is taken from the certificate itself.
        Environment variable E(AZURE_THUMBPRINT).
    type: str
  oidc_token:
    description: Federated token to exchange. Environment variable E(AZURE_FEDERATED_TOKEN).
    type: str
  oidc_token_file_path:
    description:
      - File with the federated token to exchange, read anew for each exchange.
        Environment variable E(AZURE_FEDERATED_TOKEN_FILE).
    type: path
  cloud_environment:
    description:
      - Name of the cloud (V(AzureCloud), V(AzureUSGovernment), V(AzureChinaCloud)), or URL of a metadata endpoint
        that describes it.
      - If unset, the environment variable E(AZURE_CLOUD_ENVIRONMENT), then the profile is used; without either it is
        V(AzureCloud).
    type: str
  cert_validation_mode:
    description:
      - V(ignore) accepts any certificate.
      - If unset, the environment variable E(AZURE_CERT_VALIDATION_MODE), then the profile is used; without either
        certificates are validated.
    type: str
    choices: [validate, ignore]
  adfs_authority_url:
    description:
      - Authority to ask for tokens instead of the cloud's own.
      - If unset, the environment variable E(AZURE_ADFS_AUTHORITY_URL), then the profile is used.
    type: str
  disable_instance_discovery:
    description:
      - Do not ask the public instance discovery whether the authority is genuine.
      - If unset, the environment variable E(AZURE_DISABLE_INSTANCE_DISCOVERY), then the profile is used.
      - The authority that a metadata endpoint names is never asked for.
    type: bool
"""
