#!/usr/bin/python
# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pod_identity_release_info
short_description: Say whether the record of a helm release is one of the chart aad-pod-identity
version_added: 1.0.0
author:
  - azureops.pod_identity contributors (@azureops)
description:
  - helm deletes what the record of a release names and a new version of its chart does not. Whoever may write Secrets
    in the namespace of the release can write that record.
  - The record is believed where it has no hooks, where each of its revisions names objects of MIC and NMI only, and
    where its values are usual ones that choose no other images than those of the chart or those that run.
  - It serves the roles of this collection.
extends_documentation_fragment:
  - azureops.pod_identity._kubernetes_auth
  - azureops.pod_identity._attributes
  - azureops.pod_identity._attributes.info_module
  - azureops.pod_identity._attributes.actiongroup_kubernetes
options:
  release_name:
    description: Name of the release.
    type: str
    required: true
  release_namespace:
    description: Namespace of the release.
    type: str
    required: true
  given_values:
    description: Values of the chart that are given now, without credentials; those of the record do not count there.
    type: dict
    default: {}
  accept:
    description: Whether a doubt is only a warning.
    type: bool
    default: false
notes:
  - Needs to list secrets in the namespace of the release, and to get the objects that its manifest names.
seealso:
  - module: azureops.pod_identity.pod_identity_removal_info
"""

EXAMPLES = r"""
- name: Look at the record of the release
  azureops.pod_identity.pod_identity_release_info:
    kubeconfig: /etc/ansible/prod.kubeconfig
    release_name: aad-pod-identity
    release_namespace: kube-system
  register: found

- name: Fail unless helm may change it
  ansible.builtin.assert:
    that: found.doubt | length == 0
"""

RETURN = r"""
exists:
  description: Whether helm has a record of the release.
  returned: success
  type: bool
  sample: true
doubt:
  description: Why the record is not believed; empty where it is or was accepted, or where there is none.
  returned: success
  type: str
  sample: ""
error:
  description: Answer of the service as data (C(code), C(message), C(status), and of Azure C(request_id)).
  returned: when Azure or the API server refuses a request
  type: dict
  sample: {code: Forbidden, message: secrets is forbidden, status: 403}
"""

import typing as t

from ansible_collections.azureops.pod_identity.plugins.module_utils import _argspec, _plan
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube import releases
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.client import connect

OPTIONS = _argspec.ArgumentSpec(
    options={
        "release_name": {"type": "str", "required": True},
        "release_namespace": {"type": "str", "required": True},
        "given_values": {"type": "dict", "default": {}},
        "accept": {"type": "bool", "default": False},
    }
).merge(_argspec.kubernetes_auth())


def main() -> None:
    module = OPTIONS.create_module()

    def observe() -> dict[str, t.Any]:
        params = module.params
        namespace, name = params["release_namespace"], params["release_name"]
        found = releases.find(connect(params, module.tmpdir), namespace, name, params["given_values"])
        doubt = found.doubt if found else ""
        if doubt and params["accept"]:
            module.warn(f"The record of helm release {namespace}/{name} was accepted, although {doubt}.")
        return {"exists": found is not None, "doubt": "" if params["accept"] else doubt}

    _plan.report(module, observe)


if __name__ == "__main__":
    main()
