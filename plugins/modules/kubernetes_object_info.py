#!/usr/bin/python
# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: kubernetes_object_info
short_description: Read objects of a cluster, where nothing counts as absent unless the API server says so
version_added: 1.0.0
author:
  - azureops.pod_identity contributors (@azureops)
description:
  - Returns one object, or those of a kind. An object is absent only where the API server says that of this very object,
    and a kind is unknown only where its own lists are without it; any other answer, such as the page of a proxy, fails.
  - Knows the kinds that this collection works with.
  - It serves the roles of this collection.
extends_documentation_fragment:
  - azureops.pod_identity._kubernetes_auth
  - azureops.pod_identity._attributes
  - azureops.pod_identity._attributes.info_module
  - azureops.pod_identity._attributes.actiongroup_kubernetes
options:
  kind:
    description: Kind of the objects.
    type: str
    required: true
  api_version:
    description: Group and version of the kind.
    type: str
    default: v1
  name:
    description: Name of one object. Needs O(namespace) where the kind is namespaced.
    type: str
  namespace:
    description: Namespace. If unset, objects of all namespaces are listed.
    type: str
  label_selectors:
    description: Only objects with these labels.
    type: list
    elements: str
    default: []
  field_selectors:
    description: Only objects with these fields.
    type: list
    elements: str
    default: []
  hidden_fields:
    description: Fields, with dots between their parts, that are left out.
    type: list
    elements: str
    default: [metadata.managedFields]
seealso:
  - module: kubernetes.core.k8s_info
"""

EXAMPLES = r"""
- name: Read the nodes
  azureops.pod_identity.kubernetes_object_info:
    kubeconfig: /etc/ansible/prod.kubeconfig
    kind: Node
"""

RETURN = r"""
resources:
  description: The objects.
  returned: success
  type: list
  elements: dict
  sample: []
api_found:
  description: Whether the API server knows the kind.
  returned: success
  type: bool
  sample: true
error:
  description: Answer of the service as data (C(code), C(message), C(status), and of Azure C(request_id)).
  returned: when Azure or the API server refuses a request
  type: dict
  sample: {code: Unauthorized, message: Unauthorized, status: 401}
"""

import typing as t

from ansible_collections.azureops.pod_identity.plugins.module_utils import _argspec, _plan
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube import kinds, known
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.client import Client, connect
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.errors import ApiFailure

TEXTS = {"type": "list", "elements": "str", "default": []}
OPTIONS = _argspec.ArgumentSpec(
    options={
        "kind": {"type": "str", "required": True},
        "api_version": {"type": "str", "default": "v1"},
        "name": {"type": "str"},
        "namespace": {"type": "str"},
        "label_selectors": TEXTS,
        "field_selectors": TEXTS,
        "hidden_fields": {**TEXTS, "default": ["metadata.managedFields"]},
    }
).merge(_argspec.kubernetes_auth())


def observe(client: Client, options: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    place = options["namespace"], options["name"]
    kind = known.kind(options["api_version"], options["kind"], place, "kubernetes.core.k8s_info")
    try:
        found = read(client, kind, options)
    except ApiFailure as failure:
        if not failure.kind_missing:
            raise
        return {"resources": [], "api_found": False}
    hidden = [field.split(".") for field in options["hidden_fields"]]
    # The objects in a list do not always name their kind.
    named = [{"apiVersion": kind.api_version, "kind": kind.name, **each} for each in found]
    return {"resources": [without(each, hidden) for each in named], "api_found": True}


def read(client: Client, kind: kinds.Kind, options: t.Mapping[str, t.Any]) -> t.Sequence[kinds.Object]:
    if options["name"]:
        found = client.get(kind, options["namespace"], options["name"])
        return [] if found is None else [found]
    labels, fields = (",".join(options[f"{each}_selectors"]) for each in ("label", "field"))
    return client.list_all(kind, options["namespace"], labels=labels, fields=fields)


def without(raw: kinds.Object, hidden: t.Iterable[t.Sequence[str]]) -> kinds.Object:
    """The object without fields, each of which is named by the keys on the way to it."""
    for path in hidden:
        raw = _without(raw, path)
    return raw


def _without(raw: kinds.Object, path: t.Sequence[str]) -> kinds.Object:
    if len(path) == 1:
        return {key: value for key, value in raw.items() if key != path[0]}
    inner = raw.get(path[0])
    return {**raw, path[0]: _without(inner, path[1:])} if isinstance(inner, dict) else raw


def main() -> None:
    module = OPTIONS.create_module()
    _plan.report(module, lambda: observe(connect(module.params, module.tmpdir), module.params))


if __name__ == "__main__":
    main()
