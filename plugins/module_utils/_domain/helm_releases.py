# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""What helm keeps of a release: a Secret per revision, which is read here without helm.

helm removes a release by what its record says, so it cannot where the record names APIs that the cluster does not know
any more. Then the record is repaired as helm's plugin mapkubeapis does it.
"""

from __future__ import annotations

import base64
import gzip
import itertools
import json
import re
import typing as t
from dataclasses import dataclass, field

CHART = "aad-pod-identity"
SECRET_TYPE = "helm.sh/release.v1"

Raw = t.Mapping[str, t.Any]

# Values of the chart that hold a credential: of MIC, of service principals.
_SECRET_VALUES = frozenset({"adminsecret", "clientPassword"})

_NOT_SHOWN, _CHANGED = "(not shown)", "(not shown, changed)"
_SHORTEST = 4  # a text that is hidden in a message; shorter ones are part of ordinary words

_RBAC, _GROUP = "rbac.authorization.k8s.io", "aadpodidentity.k8s.io"
# APIs of old charts, and those that took their place. What has no heir went when its API did.
_HEIRS: t.Mapping[tuple[str, str], tuple[str, ...]] = {
    ("policy/v1beta1", "PodSecurityPolicy"): (),
    ("extensions/v1beta1", "PodSecurityPolicy"): ("policy/v1beta1",),
    ("policy/v1beta1", "PodDisruptionBudget"): ("policy/v1",),
    (f"{_RBAC}/v1beta1", "ClusterRole"): (f"{_RBAC}/v1",),
    (f"{_RBAC}/v1beta1", "ClusterRoleBinding"): (f"{_RBAC}/v1",),
    ("apiextensions.k8s.io/v1beta1", "CustomResourceDefinition"): ("apiextensions.k8s.io/v1",),
    # Their definitions may have been removed before the release.
    **{
        (f"{_GROUP}/v1", kind): ()
        for kind in ("AzureIdentity", "AzureIdentityBinding", "AzurePodIdentityException", "AzureAssignedIdentity")
    },
}
# Somebody began to remove the release; helm finishes that, but kubernetes.core.helm takes it for done.
_HALF_REMOVED = ("uninstalling", "uninstalled")
_REMOVABLE = "failed"
_SEPARATOR = re.compile(r"^(---.*\n?)", re.MULTILINE)

Serves = t.Callable[[str], t.Collection[str]]


@dataclass(frozen=True)
class Repair:
    """A document of a manifest whose API is gone; ``heir`` is the API that took its place, empty where none did."""

    kind: str
    name: str
    api_version: str
    heir: str
    document: str

    @property
    def summary(self) -> str:
        what = f"becomes {self.heir}" if self.heir else "is left out"
        return f"{self.kind} {self.name} in {self.api_version} {what}"


@dataclass(frozen=True)
class Release:
    """The newest revision of a release. ``secret``: where helm keeps it. ``manifest`` may hold credentials."""

    namespace: str
    name: str
    revision: int
    status: str
    version: str
    values: Raw = field(repr=False)
    secret: str = ""
    manifest: str = field(default="", repr=False)
    repairs: tuple[Repair, ...] = ()

    @property
    def label(self) -> str:
        return f"{self.namespace}/{self.name}"

    @property
    def wounds(self) -> tuple[str, ...]:
        """What helm cannot remove it for, and what a repair makes of that."""
        status = (f"status {self.status} becomes {_REMOVABLE}",) if self.status in _HALF_REMOVED else ()
        return (*(repair.summary for repair in self.repairs), *status)


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
        secret=secret["metadata"]["name"],
        manifest=str(body.get("manifest", "")),
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


def omitted(values: Raw) -> list[str]:
    """The values of a release that cannot be told whole, because there is a credential in them."""
    return sorted(key for key, value in values.items() if without_secrets({key: value}) != {key: value})


def masked(value: t.Any, before: t.Any = None) -> t.Any:
    """Values of a release with a mark in place of each credential; ``before`` are those that they take the place of."""
    if isinstance(value, dict):
        earlier = before if isinstance(before, dict) else {}
        return {
            key: masked(each, earlier.get(key))
            if key not in _SECRET_VALUES
            else _CHANGED
            if key in earlier and earlier[key] != each
            else _NOT_SHOWN
            for key, each in value.items()
        }
    if isinstance(value, list):
        others = list(before) if isinstance(before, list) else []
        return [masked(each, other) for each, other in itertools.zip_longest(value, others[: len(value)])]
    return value


def without_credentials(text: str, values: t.Any) -> str:
    """``text`` with a mark in place of every credential of ``values``, as it is and as data of a Secret has it."""
    hidden = {each for each in _credentials(values) if len(each) >= _SHORTEST}
    hidden |= {base64.b64encode(each.encode()).decode() for each in hidden}
    for each in sorted(hidden, key=len, reverse=True):
        text = text.replace(each, _NOT_SHOWN)
    return text


def _credentials(value: t.Any, inside: bool = False) -> t.Iterator[str]:
    if isinstance(value, dict):
        for key, each in value.items():
            yield from _credentials(each, inside or key in _SECRET_VALUES)
    elif isinstance(value, list):
        for each in value:
            yield from _credentials(each, inside)
    elif inside and isinstance(value, str):
        yield value


def repairs(manifest: str, serves: Serves) -> tuple[Repair, ...]:
    """What of it has to change; ``serves`` gives the kinds that the cluster knows in a version of a group."""
    return tuple(
        Repair(kind, _name(text), version, _heir(version, kind, serves), text)
        for text in _SEPARATOR.split(manifest)
        for version, kind in [_type(text)]
        if (version, kind) in _HEIRS and kind not in serves(version)
    )


def repaired(secret: Raw, serves: Serves) -> Raw:
    """The patch that repairs a record; the rest of it stays as it is."""
    body = _decoded(secret)
    new = {**body, "manifest": _rewritten(str(body.get("manifest", "")), serves)}
    patch: dict[str, t.Any] = {"metadata": {}}
    if (body.get("info") or {}).get("status") in _HALF_REMOVED:
        new["info"] = {**body["info"], "status": _REMOVABLE}
        patch["metadata"]["labels"] = {"status": _REMOVABLE}
    packed = base64.b64encode(base64.b64encode(gzip.compress(json.dumps(new).encode()))).decode()
    return {**patch, "data": {"release": packed}}


def _rewritten(manifest: str, serves: Serves) -> str:
    heirs = {each.document: each.heir for each in repairs(manifest, serves)}
    kept = [""]
    for part in _SEPARATOR.split(manifest):
        if part not in heirs:
            kept.append(part)
        elif heirs[part]:
            kept.append(re.sub(r"^apiVersion:.*$", f"apiVersion: {heirs[part]}", part, count=1, flags=re.MULTILINE))
        else:
            kept.pop()  # the line that separates it from the one before
    return "".join(kept)


def _heir(version: str, kind: str, serves: Serves) -> str:
    return next((each for each in _HEIRS[version, kind] if kind in serves(each)), "")


def _type(document: str) -> tuple[str, str]:
    return _field(document, "apiVersion"), _field(document, "kind")


def _field(document: str, key: str) -> str:
    found = re.search(rf"^{key}:[ \t]*[\"']?([^\s\"'#]+)", document, re.MULTILINE)
    return found[1] if found else ""


def _name(document: str) -> str:
    found = re.search(r"^metadata:.*\n(?:[ \t]+.*\n)*?[ \t]+name:[ \t]*[\"']?([^\s\"'#]+)", document, re.MULTILINE)
    return found[1] if found else ""
