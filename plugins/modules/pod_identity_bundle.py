#!/usr/bin/python
# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pod_identity_bundle
short_description: Write a restore bundle, and read it back
version_added: 1.0.0
author:
  - azureops.pod_identity contributors (@azureops)
description:
  - Writes what is about to be removed to a file or a Secret, reads it back, and fails unless that is the same. What it
    holds is in no result, diff or message.
  - A file is written as a whole or not at all, and only its owner may read it. A directory that does not exist is
    created for its owner alone; one that exists keeps its mode.
  - In a container it refuses a directory that goes with the container, which is one on the file system of the root or
    in the working directory of ansible-runner.
  - It is internal to the roles and playbooks of this collection, and may change with any release. It is never changed,
    because a restore bundle is none of what they manage.
extends_documentation_fragment:
  - azureops.pod_identity._kubernetes_auth
  - azureops.pod_identity._attributes
  - azureops.pod_identity._attributes.actiongroup_kubernetes
attributes:
  check_mode:
    support: full
    details:
      - Nothing is written, and the cluster is asked only with O(carries_on). A place that would be refused is.
  diff_mode:
    support: none
  idempotent:
    support: full
options:
  place:
    description: Where the restore bundle is written, a file or C(secret:NAMESPACE/NAME).
    type: path
    required: true
  content:
    description: What is written, an object as JSON.
    type: str
    required: true
  carries_on:
    description:
      - Whether the bundle that an earlier run of the same uninstallation has written to O(place) is carried on. What it
        has and O(content) has not, because it is gone already, stays in it. Unless it is a file that nobody else may
        write, the bundle names it as unproved, and a restore asks to accept it.
    type: bool
    default: false
  owner:
    description: Value of the label C(azureops.pod-identity/owner) of a Secret.
    type: str
    default: default
  container_marks:
    description:
      - Files whose existence tells that this runs in a container. In a pod the environment variable
        E(KUBERNETES_SERVICE_HOST) tells it too.
    type: list
    elements: path
    default: [/.dockerenv, /run/.containerenv]
notes:
  - Needs to get, create and patch the Secret, where the bundle goes to one.
seealso:
  - module: azureops.pod_identity.pod_identity_bundle_info
"""

EXAMPLES = r"""
- name: Save what the scale sets carry
  azureops.pod_identity.pod_identity_bundle:
    place: /var/lib/azureops/shop-20260301t100000z.json
    content: "{{ {'scale_sets': looked.resources | default([])} | to_json }}"
"""

RETURN = r"""
place:
  description: Where the restore bundle is, or in check mode would be.
  returned: success
  type: str
  sample: /var/lib/azureops/shop-20260301t100000z.json
sha256:
  description: Its SHA-256 digest.
  returned: success
  type: str
  sample: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
saves:
  description: Whether it was written, or in check mode would be; what is there already is not.
  returned: success
  type: bool
  sample: true
error:
  description:
    - The answer of the API server as data (C(code), C(message), C(status)). The message about the Secret is empty.
  returned: when the API server refuses a request
  type: dict
  sample: {code: Forbidden, message: "", status: 403}
"""

import os
import stat
import typing as t

from ansible_collections.azureops.pod_identity.plugins.module_utils import _argspec, _files, _plan
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.removal import bundles
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube import bundles as secrets
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.client import connect

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

OPTIONS = _argspec.ArgumentSpec(
    options={
        "place": {"type": "path", "required": True},
        # As a text, of which no part is hidden in results.
        "content": {"type": "str", "required": True, "no_log": True},
        "carries_on": {"type": "bool", "default": False},
        "owner": {"type": "str", "default": "default"},
        "container_marks": {"type": "list", "elements": "path", "default": list(bundles.CONTAINER_MARKS)},
    }
).merge(_argspec.kubernetes_auth())


def save(module: AnsibleModule) -> dict[str, t.Any]:
    params = module.params
    place = bundles.Place.parse(params["place"])
    earlier = written_before(module, place) if params["carries_on"] else None
    content = params["content"]
    if earlier:
        content = bundles.joined(place, earlier, content, proved=is_own(place))
    text = bundles.written(place, content)
    if not place.in_secret:
        bundles.check_place(place, surroundings(place, params["container_marks"]))
    found: bytes | None = text.encode()
    saves = found != earlier
    if saves and not _plan.predicting(module):
        found = in_secret(module, place, text) if place.in_secret else in_file(place, text)
    return {"place": place.text, "sha256": bundles.check_read_back(place, text, found), "saves": saves}


def written_before(module: AnsibleModule, place: bundles.Place) -> bytes | None:
    if place.in_secret:
        return secrets.read(connect(module.params, module.tmpdir), place)
    return _files.read(place.text) if os.path.exists(place.text) else None


def is_own(place: bundles.Place) -> bool:
    """Tell whether it is a file in a directory that nobody else may write."""
    if place.in_secret:
        return False
    found = [os.stat(path) for path in (place.text, place.directory)]
    return all(each.st_uid == os.geteuid() and not each.st_mode & (stat.S_IWGRP | stat.S_IWOTH) for each in found)


def surroundings(place: bundles.Place, marks: t.Iterable[str]) -> bundles.Surroundings:
    in_container = any(map(os.path.exists, marks)) or bool(os.environ.get("KUBERNETES_SERVICE_HOST"))
    return bundles.Surroundings(in_container, _files.devices(place.directory, "/"))


def in_secret(module: AnsibleModule, place: bundles.Place, text: str) -> bytes | None:
    client = connect(module.params, module.tmpdir)
    secrets.write(client, place, module.params["owner"], text)
    return secrets.read(client, place)


def in_file(place: bundles.Place, text: str) -> bytes:
    _files.make_private(place.directory)
    _files.require_writable(place.text)
    with _files.replacing(0o600, place.text, keep_modes=False) as (file,):
        file(text)
    return _files.read(place.text)


def main() -> None:
    module = OPTIONS.create_module()
    _plan.report(module, lambda: save(module))


if __name__ == "__main__":
    main()
