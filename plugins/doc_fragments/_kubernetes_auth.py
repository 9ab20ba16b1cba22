# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this doc fragment is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

from __future__ import annotations


class ModuleDocFragment:
    # Must be kept in sync with kubernetes_auth() in module_utils/_argspec.py
    DOCUMENTATION = r"""
requirements:
  - kubernetes >= 31.0.0
options:
  kubeconfig:
    description:
      - Path of a kubeconfig file. C(~/.kube/config) is never used by itself.
      - If unset, the environment variable E(K8S_AUTH_KUBECONFIG) is used.
    type: path
  context:
    description:
      - Context of the kubeconfig to use instead of its current one.
      - If unset, the environment variable E(K8S_AUTH_CONTEXT) is used.
    type: str
  host:
    description:
      - URL of the API server.
      - If unset, the environment variable E(K8S_AUTH_HOST) is used.
    type: str
  api_key:
    description:
      - Bearer token.
      - If unset, the environment variable E(K8S_AUTH_API_KEY) is used.
    type: str
  client_cert:
    description:
      - Path of a client certificate.
      - If unset, the environment variable E(K8S_AUTH_CERT_FILE) is used.
    type: path
  client_key:
    description:
      - Path of the key of the client certificate.
      - If unset, the environment variable E(K8S_AUTH_KEY_FILE) is used.
    type: path
  ca_cert:
    description:
      - Path of a CA certificate that the API server must prove.
      - If unset, the environment variable E(K8S_AUTH_SSL_CA_CERT) is used.
    type: path
  validate_certs:
    description:
      - Whether the certificate of the API server is checked.
      - If unset, the environment variable E(K8S_AUTH_VERIFY_SSL) is used; without it certificates are checked.
    type: bool
  proxy:
    description:
      - URL of an HTTP proxy towards the API server.
      - If unset, the environment variable E(K8S_AUTH_PROXY) is used.
    type: str
  impersonate_user:
    description:
      - User to impersonate.
      - If unset, the environment variable E(K8S_AUTH_IMPERSONATE_USER) is used.
    type: str
  impersonate_groups:
    description:
      - Groups to impersonate.
      - If unset, the environment variable E(K8S_AUTH_IMPERSONATE_GROUPS) is used.
    type: list
    elements: str
"""
