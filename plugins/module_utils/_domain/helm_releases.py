# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""What helm keeps of a release: a Secret per revision, whose contents are read here without helm."""

from __future__ import annotations

import base64
import gzip
import json
import re
import typing as t
from dataclasses import dataclass

CHART = "aad-pod-identity"
SECRET_TYPE = "helm.sh/release.v1"

Raw = t.Mapping[str, t.Any]

# Values of the chart that hold a credential: of MIC, of service principals.
_SECRET_VALUES = frozenset({"adminsecret", "clientPassword"})

# APIs of old charts, and the version of Kubernetes that has them no more.
_REMOVED = {
    ("policy/v1beta1", "PodSecurityPolicy"): "1.25",
    ("policy/v1beta1", "PodDisruptionBudget"): "1.25",
    ("extensions/v1beta1", "PodSecurityPolicy"): "1.16",
    ("rbac.authorization.k8s.io/v1beta1", "ClusterRole"): "1.22",
    ("rbac.authorization.k8s.io/v1beta1", "ClusterRoleBinding"): "1.22",
    ("apiextensions.k8s.io/v1beta1", "CustomResourceDefinition"): "1.22",
}


@dataclass(frozen=True)
class Release:
    """The newest revision of a release. ``removed_apis``: what of its manifest recent clusters do not know.

    ``secret``: where helm keeps it.
    """

    namespace: str
    name: str
    revision: int
    status: str
    version: str
    values: Raw
    removed_apis: tuple[str, ...] = ()
    secret: str = ""

    @property
    def label(self) -> str:
        return f"{self.namespace}/{self.name}"


def find(secrets: t.Iterable[Raw]) -> tuple[Release, ...]:
    """The releases of the chart aad-pod-identity, each by its newest revision; what helm did not write is none."""
    newest: dict[str, Release] = {}
    for secret in secrets:
        release = _parse(secret)
        if release and release.revision > (newest[release.label].revision if release.label in newest else -1):
            newest[release.label] = release
    return tuple(newest[label] for label in sorted(newest))


def _parse(secret: Raw) -> Release | None:
    body = _decoded(secret)
    chart = ((body.get("chart") or {}).get("metadata")) or {}
    if chart.get("name") != CHART:
        return None
    return Release(
        namespace=secret["metadata"]["namespace"],
        name=str(body.get("name", "")),
        revision=int(body.get("version") or 0),
        status=str((body.get("info") or {}).get("status", "")),
        version=str(chart.get("version", "")),
        values=body.get("config") or {},
        removed_apis=removed_apis(str(body.get("manifest", ""))),
        secret=secret["metadata"]["name"],
    )


def _decoded(secret: Raw) -> Raw:
    text = (secret.get("data") or {}).get("release", "")
    try:
        body = json.loads(gzip.decompress(base64.b64decode(base64.b64decode(text))))
    except (ValueError, OSError, EOFError):
        return {}
    return body if isinstance(body, dict) else {}


def without_secrets(value: t.Any) -> t.Any:
    """Values of a release without the credentials among them."""
    if isinstance(value, dict):
        return {key: without_secrets(each) for key, each in value.items() if key not in _SECRET_VALUES}
    return [without_secrets(each) for each in value] if isinstance(value, list) else value


def removed_apis(manifest: str) -> tuple[str, ...]:
    """Kind, API version and the Kubernetes version without it, of each document that has such a one."""
    found = set()
    for document in re.split(r"^---.*$", manifest, flags=re.MULTILINE):
        version, kind = (
            (re.findall(rf"^{key}:[ \t]*[\"']?([^\s\"'#]+)", document, re.MULTILINE) or [""])[0]
            for key in ("apiVersion", "kind")
        )
        if (version, kind) in _REMOVED:
            found.add(f"{kind} in {version} (gone since Kubernetes {_REMOVED[version, kind]})")
    return tuple(sorted(found))
