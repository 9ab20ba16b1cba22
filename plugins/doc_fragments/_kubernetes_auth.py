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
      - Path of a kubeconfig file. C(~/.kube/config) is never used by itself; where nothing names an API server, the
        service account of the pod that Ansible runs in is used, if there is one.
      - A kubeconfig that is set here wins over O(host), O(api_key), O(client_cert) and O(client_key), wherever those
        come from, so that neither the environment nor C(module_defaults) lead elsewhere.
      - If unset, the environment variable E(K8S_AUTH_KUBECONFIG) is used.
    type: path
  context:
    description:
      - Context of the kubeconfig to use instead of its current one.
      - If unset, and O(kubeconfig) is unset too, the environment variable E(K8S_AUTH_CONTEXT) is used.
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
    aliases: [cert_file]
  client_key:
    description:
      - Path of the key of the client certificate.
      - If unset, the environment variable E(K8S_AUTH_KEY_FILE) is used.
    type: path
    aliases: [key_file]
  ca_cert:
    description:
      - Path of a CA certificate that the API server must prove.
      - If unset, the environment variable E(K8S_AUTH_SSL_CA_CERT) is used.
    type: path
    aliases: [ssl_ca_cert]
  validate_certs:
    description:
      - Whether the certificate of the API server is checked.
      - If unset, the environment variable E(K8S_AUTH_VERIFY_SSL) is used; without it certificates are checked.
    type: bool
    aliases: [verify_ssl]
  proxy:
    description:
      - URL of an HTTP proxy towards the API server. It is never shown, because a password may be in it.
      - If unset, the environment variable E(K8S_AUTH_PROXY) is used.
    type: str
  no_proxy:
    description:
      - Hosts that are reached without the proxy, separated by commas.
      - If unset, the environment variable E(K8S_AUTH_NO_PROXY) is used.
    type: str
  proxy_headers:
    description: Headers for the proxy.
    type: dict
    suboptions:
      basic_auth:
        description:
          - C(user:password) for an C(authorization) header.
          - If unset, the environment variable E(K8S_AUTH_PROXY_HEADERS_BASIC_AUTH) is used.
        type: str
      proxy_basic_auth:
        description:
          - C(user:password) for a C(proxy-authorization) header.
          - If unset, the environment variable E(K8S_AUTH_PROXY_HEADERS_PROXY_BASIC_AUTH) is used.
        type: str
      user_agent:
        description:
          - Value of the C(user-agent) header.
          - If unset, the environment variable E(K8S_AUTH_PROXY_HEADERS_USER_AGENT) is used.
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
