#!/usr/bin/python
# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pod_identity_bundle_info
short_description: Read a restore bundle, and see what of it may be restored
version_added: 1.0.0
author:
  - azureops.pod_identity contributors (@azureops)
description:
  - Reads the restore bundle that the role C(pod_identity_uninstall) has written, from a file or from a Secret. Somebody
    may have changed it, so it is refused unless it is what that role writes.
  - Only the role assignments are returned that this collection grants, that is, Managed Identity Operator and Virtual
    Machine Contributor for the kubelet identity on the node resource group, and Managed Identity Operator for the
    kubelet identity and the control plane on identities that the bundle names. Others are listed in RV(left_out).
  - Names and versions of releases, and values of the chart, are refused where helm or a template could take them for
    more than that.
  - A bundle with neither objects, releases nor entries of the add-on is refused, because nothing can be restored from
    it. The message lists the other bundles of the cluster at the same place.
  - With O(target) it looks at all bundles of the cluster at a place, and tells how much they have and which identities
    the pod identity add-on handed out by them. What is no bundle of the cluster counts for nothing there.
extends_documentation_fragment:
  - azureops.pod_identity._kubernetes_auth
  - azureops.pod_identity._attributes
  - azureops.pod_identity._attributes.info_module
  - azureops.pod_identity._attributes.actiongroup_kubernetes
options:
  source:
    description:
      - The restore bundle, a file or C(secret:NAMESPACE/NAME).
      - One of this and O(target) is required.
    type: path
  target:
    description:
      - A directory of restore bundles, or C(secret:NAMESPACE/NAME) for the Secrets in that namespace which carry the
        label of this collection. In a directory that does not exist there are none.
    type: path
  sha256:
    description: SHA-256 digest that the bundle must have, in hexadecimal.
    type: str
    default: ""
  cluster_id:
    description: Resource id of the cluster.
    type: str
    required: true
  node_resource_group:
    description: Name of its node resource group. Required with O(source).
    type: str
  kubelet_principal_id:
    description: Object id of its kubelet identity; empty where it has none.
    type: str
    default: ""
  control_plane_principal_id:
    description: Object id of the identity of its control plane; empty where it has none.
    type: str
    default: ""
  release_namespace:
    description:
      - Namespace in which the release of a bundle has to be whose O(sha256) is not given. By default it may be in any.
    type: str
    default: ''
  image_registry:
    description: The registry to which the images of the chart were mirrored, from where they may come too.
    type: str
    default: ""
  given_values:
    description: Names of values of the chart that are given beside the bundle, which lacks those with credentials.
    type: list
    elements: str
    default: []
  accept:
    description:
      - V(images) accepts images that are not those of the chart.
      - V(values) accepts all values of the chart.
      - V(unverified) accepts objects and releases that an uninstallation has carried over from an interrupted run,
        where nothing proves that nobody has changed them since.
    type: list
    elements: str
    choices: [images, values, unverified]
    default: []
notes:
  - Needs to get the Secret, where the bundle is in one, and to list the Secrets of the namespace for O(target) and to
    name other bundles.
seealso:
  - module: azureops.pod_identity.pod_identity_bundle
  - module: azureops.pod_identity.pod_identity_restoration
"""

EXAMPLES = r"""
- name: Read a restore bundle
  azureops.pod_identity.pod_identity_bundle_info:
    source: /var/lib/azureops/shop-20260301t100000z.json
    sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
    cluster_id: "{{ pod_identity_session.cluster.id }}"
    node_resource_group: "{{ pod_identity_session.cluster.node_resource_group }}"
    kubelet_principal_id: "{{ pod_identity_session.cluster.kubelet_identity.object_id }}"
  register: bundle
"""

RETURN = r"""
bundle:
  description: What of the bundle may be restored.
  returned: success, with O(source)
  type: dict
  contains:
    cluster:
      description: Resource id of its cluster.
      returned: always
      type: str
      sample: >-
        /subscriptions/8c4f2a7e-1d3b-4e5f-9a6b-7c8d9e0f1a2b/resourceGroups/rg-shop/providers/Microsoft.ContainerService/managedClusters/shop
sha256:
  description: Digest of the bundle.
  returned: success, with O(source)
  type: str
  sample: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
left_out:
  description: What of the bundle is not restored.
  returned: success, with O(source)
  type: list
  elements: dict
  contains:
    what:
      description: What it is.
      returned: always
      type: str
      sample: role assignment
    name:
      description: Its name.
      returned: always
      type: str
      sample: Owner
    reason:
      description: Why it is left out, as a sentence.
      returned: always
      type: str
      sample: "at /subscriptions/8c4f2a7e-1d3b-4e5f-9a6b-7c8d9e0f1a2b: this collection does not grant that role"
bundles:
  description: The bundles of the cluster, in the order of their places.
  returned: success, with O(target)
  type: list
  elements: dict
  contains:
    place:
      description: Where it is.
      returned: always
      type: str
      sample: secret:billing/shop-20260301t100000z
    sha256:
      description: Its SHA-256 digest.
      returned: always
      type: str
      sample: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
    written:
      description: When it was begun.
      returned: always
      type: str
      sample: 20260301T100000Z
    objects:
      description: How many custom resources it has.
      returned: always
      type: int
      sample: 6
    releases:
      description: How many releases of the chart it has.
      returned: always
      type: int
      sample: 1
    entries:
      description: How many entries of the add-on it has.
      returned: always
      type: int
      sample: 0
    definitions:
      description: Uids of the custom resource definitions that were there when it was written.
      returned: always
      type: list
      elements: str
      sample: [5b0d2a4c-0f0e-4b6e-9a53-5f7f3a0f6f11]
    handed_out:
      description: Resource ids, in lower case, of the identities that the add-on handed out.
      returned: always
      type: list
      elements: str
      sample:
        - /subscriptions/8c4f2a7e/resourcegroups/rg-shop/providers/microsoft.managedidentity/userassignedidentities/a
error:
  description: Answer of the service as data (C(code), C(message), C(status), and of Azure C(request_id)).
  returned: when Azure or the API server refuses a request
  type: dict
  sample: {code: Forbidden, message: secrets is forbidden, status: 403}
"""

import glob
import os
import typing as t

from ansible_collections.azureops.pod_identity.plugins.module_utils import _argspec, _files, _plan
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.errors import Failure
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.names import MANAGED_BY, MANAGER
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.removal import bundles
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube import bundles as secrets
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.client import connect
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.errors import ApiFailure

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

TEXT = {"type": "str", "default": ""}
TEXTS = {"type": "list", "elements": "str", "default": []}
OPTIONS = _argspec.ArgumentSpec(
    options={
        "source": {"type": "path"},
        "target": {"type": "path"},
        "sha256": TEXT,
        "cluster_id": {"type": "str", "required": True},
        "node_resource_group": {"type": "str"},
        "kubelet_principal_id": TEXT,
        "control_plane_principal_id": TEXT,
        "image_registry": TEXT,
        "release_namespace": TEXT,
        "given_values": TEXTS,
        "accept": {**TEXTS, "choices": [bundles.IMAGES, bundles.VALUES, bundles.UNVERIFIED]},
    },
    mutually_exclusive=(("source", "target"),),
    required_one_of=(("source", "target"),),
    required_by={"source": ("node_resource_group",)},
).merge(_argspec.kubernetes_auth())


def data(module: AnsibleModule, place: bundles.Place) -> bytes:
    if not place.in_secret:
        try:
            with open(place.text, "rb") as file:
                return file.read()
        except OSError as error:
            raise bundles.NothingThere(
                f"The restore bundle {place.text} cannot be read ({error.strerror}); name the file that the role "
                "pod_identity_uninstall has written."
            ) from error
    found = secrets.read(connect(module.params, module.tmpdir), place)
    if found is None:
        raise bundles.NothingThere(
            f"There is no restore bundle {place.text} in the cluster; name the Secret that the role "
            "pod_identity_uninstall has written, whose name ends with the time."
        )
    return found


def others(module: AnsibleModule, place: bundles.Place) -> str:
    """A sentence about the other bundles of the cluster beside ``place``."""
    try:
        found = described(module, place if place.in_secret else bundles.Place(place.directory))
    except ApiFailure:
        command = f"kubectl get secrets -n {place.namespace} -l {MANAGED_BY}={MANAGER}"
        return f" Others may be among those that this lists: {command}"
    told = [bundles.summary(each) for each in found if bundles.is_restorable(each) and each["place"] != place.text]
    return f" Beside it there is {', '.join(told)}." if told else " There is no other one of this cluster beside it."


def read(module: AnsibleModule) -> dict[str, t.Any]:
    params = module.params
    cluster = bundles.Cluster(
        params["cluster_id"],
        params["node_resource_group"],
        params["kubelet_principal_id"],
        params["control_plane_principal_id"],
    )
    rules = bundles.Rules(
        sha256=params["sha256"],
        namespace=params["release_namespace"],
        accept=frozenset(params["accept"]),
        repositories=bundles.repositories(params["image_registry"]),
        given=frozenset(params["given_values"]),
    )
    place = bundles.Place.parse(params["source"])
    try:
        found = bundles.read(place.text, data(module, place), cluster, rules)
    except bundles.NothingThere as failure:
        raise Failure(f"{failure}{others(module, place)}") from failure
    return {"bundle": found.content, "sha256": found.sha256, "left_out": list(found.left_out)}


def described(module: AnsibleModule, target: bundles.Place) -> list[dict[str, t.Any]]:
    cluster = module.params["cluster_id"]
    found = (bundles.described(place, data, cluster) for place, data in read_all(module, target))
    return [each for each in found if each is not None]


def read_all(module: AnsibleModule, target: bundles.Place) -> t.Iterator[tuple[bundles.Place, bytes]]:
    if target.in_secret:
        yield from secrets.read_all(connect(module.params, module.tmpdir), target.namespace)
        return
    for path in sorted(glob.glob(os.path.join(glob.escape(target.text), "*.json"))):
        if bundles.is_file_of(os.path.basename(path), module.params["cluster_id"]) and os.path.isfile(path):
            yield bundles.Place(path), _files.read(path)


def observe(module: AnsibleModule) -> dict[str, t.Any]:
    if module.params["source"]:
        return read(module)
    return {"bundles": described(module, bundles.Place.parse(module.params["target"]))}


def main() -> None:
    module = OPTIONS.create_module()
    _plan.report(module, lambda: observe(module))


if __name__ == "__main__":
    main()
