# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Records of helm as somebody writes them by hand, and what points to them."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Mapping
from typing import Any

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.installation import residue
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.kinds import Kind

JOB = Kind("batch", "v1", "jobs", "Job")
HOOK = {
    "name": "hook",
    "kind": "Job",
    "path": "templates/hook.yaml",
    "manifest": "apiVersion: batch/v1\nkind: Job\nmetadata:\n  name: hook\n",
    "events": ["pre-delete"],
}


def of(raw: Mapping[str, Any]) -> dict[str, Any]:
    return dict(json.loads(gzip.decompress(base64.b64decode(base64.b64decode(raw["data"]["release"])))))


def packed(body: dict[str, Any]) -> dict[str, str]:
    return {"release": base64.b64encode(base64.b64encode(gzip.compress(json.dumps(body).encode()))).decode()}


def record(real: Mapping[str, Any], namespace: str, name: str, **changes: Any) -> dict[str, Any]:
    """A record of another name with the content of the real one."""
    body = {**of(real), "name": name, "namespace": namespace, "version": 1, **changes}
    place = real["metadata"]["namespace"]
    body["manifest"] = body["manifest"].replace(f"namespace: {place}\n", f"namespace: {namespace}\n")
    labels = {**real["metadata"]["labels"], "name": name, "version": "1"}
    metadata = {"name": f"sh.helm.release.v1.{name}.v1", "namespace": namespace, "labels": labels}
    return {"metadata": metadata, "type": "helm.sh/release.v1", "data": packed(body)}


def settings(points_to: tuple[str, str] = ("", "")) -> dict[str, Any]:
    """What MIC writes, as that of a release whose namespace and name are given."""
    keys = ("meta.helm.sh/release-namespace", "meta.helm.sh/release-name")
    annotations = dict(zip(keys, points_to, strict=True)) if all(points_to) else {}
    return {"metadata": {"name": residue.SETTINGS, "annotations": annotations}}
