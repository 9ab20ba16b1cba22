# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which values of a record are not passed to helm again."""

from __future__ import annotations

from typing import Any

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.installation import release_values
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.installation.helm_releases import Release
from ansible_collections.azureops.pod_identity.tests.unit.tables import for_each

MIRROR = "registry.example.com/oss/azure/aad-pod-identity"


def running(*images: str) -> dict[str, list[dict[str, Any]]]:
    containers = [{"name": "program", "image": image} for image in images]
    return {"DaemonSet": [{"spec": {"template": {"spec": {"containers": containers}}}}]}


@for_each(
    ({}, {}, (), ""),
    ({"nmi": {"nodeSelector": {"disk": "ssd"}}, "forceNamespaced": "true"}, {}, (), ""),
    ({"image": {"repository": MIRROR}}, {}, (), f"image.repository {MIRROR}"),
    ({"image": {"repository": MIRROR}}, {}, (f"{MIRROR}/nmi:v1.8.17",), ""),
    ({"image": {"repository": MIRROR}}, {"image": {"repository": MIRROR}}, (), ""),
    ({"image": {"repository": MIRROR}}, {}, ("registry.example.com/nmi:v1",), f"image.repository {MIRROR}"),
    ({"nmi": {"tag": "v1.8.17"}}, {}, (f"{MIRROR}/nmi:v1.8.17",), ""),
    ({"nmi": {"tag": "v1.8.17"}}, {}, (f"{MIRROR}/nmi:v1.8.16",), "nmi.tag v1.8.17"),
    ({"nmi": {"tag": "v1\n---\nkind: Pod"}}, {}, (), "values nmi.tag"),
    ({"adminsecret": {"clientID": "c"}}, {}, (), "values 'adminsecret'"),
    ({"adminsecret": {"clientID": "c"}}, {"adminsecret": {"clientID": "(not shown)"}}, (), ""),
    ({"adminsecret": {"clientID": "c", "cloud": "d"}}, {"adminsecret": {"cloud": "d"}}, (), "values 'adminsecret'"),
)
def test_what_nobody_gave_is_usual_or_told(
    values: dict[str, Any], given: dict[str, Any], images: tuple[str, ...], told: str
) -> None:
    release = Release("default", "pods", 1, "deployed", "4.1.18", values)
    doubt = release_values.doubt(release, given, running(*images))
    assert told in doubt and bool(told) == bool(doubt)
