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
from dataclasses import dataclass, field, replace

from ..decompression import gunzip
from . import chart_manifest
from .trusted_namespaces import CHART, Belief

Raw = t.Mapping[str, t.Any]

# Values of the chart that hold a credential: of MIC, of service principals.
_SECRET_VALUES = frozenset({"adminsecret", "clientPassword"})

_NOT_SHOWN, _CHANGED = "(not shown)", "(not shown, changed)"
_SHORTEST = 4  # a text that is hidden in a message; shorter ones are part of ordinary words

_RBAC, _GROUP = "rbac.authorization.k8s.io", "aadpodidentity.k8s.io"
# APIs of old charts, and those that took their place. What has no replacement_api went when its API did.
_HEIRS: t.Mapping[tuple[str, str], tuple[str, ...]] = {
    ("policy/v1beta1", "PodSecurityPolicy"): (),
    ("extensions/v1beta1", "PodSecurityPolicy"): ("policy/v1beta1",),
    ("policy/v1beta1", "PodDisruptionBudget"): ("policy/v1",),
    (f"{_RBAC}/v1beta1", "ClusterRole"): (f"{_RBAC}/v1",),
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
_PROOF = "ClusterRoleBinding"
_HOLDER = "meta.helm.sh/release-{}"
_FIELDS = frozenset(("name", "info", "chart", "config", "manifest", "hooks", "version", "namespace"))
# Kinds of which it is told by what they hold whether they are of MIC and NMI.
_JUDGED = ("ClusterRole", "ClusterRoleBinding", "ServiceAccount", "Deployment", "DaemonSet", "PodDisruptionBudget")

Serves = t.Callable[[str], t.Collection[str]]


@dataclass(frozen=True)
class Repair:
    """A document of a manifest whose API is gone; ``replacement_api`` took its place, empty where none did."""

    kind: str
    name: str
    api_version: str
    replacement_api: str
    document: str

    @property
    def summary(self) -> str:
        what = f"becomes {self.replacement_api}" if self.replacement_api else "is left out"
        return f"{self.kind} {self.name} in {self.api_version} {what}"


@dataclass(frozen=True)
class Release:
    """The newest revision of a release. ``secret``: where helm keeps it. ``manifest`` may hold credentials.

    ``earlier``: the manifests of the other revisions, by one of which helm goes where the newest has failed.
    ``doubt``: why it is not believed to be what helm wrote of the chart; empty where it is.
    """

    namespace: str
    name: str
    revision: int
    status: str
    version: str
    values: Raw = field(repr=False)
    secret: str = ""
    manifest: str = field(default="", repr=False)
    repairs: tuple[Repair, ...] = ()
    doubt: str = ""
    earlier: tuple[str, ...] = field(default=(), repr=False)

    @property
    def label(self) -> str:
        return f"{self.namespace}/{self.name}"

    @property
    def unsupported_apis(self) -> tuple[str, ...]:
        """What of the record has to change before helm removes the release, and how.

        A ClusterRoleBinding proves where the installation was, so it stays until nothing else is left there.
        """
        status = (f"status {self.status} becomes {_REMOVABLE}",) if self.status in _HALF_REMOVED else ()
        proofs = (
            f"ClusterRoleBinding {_name(text)} is left until the end"
            for text in _SEPARATOR.split(self.manifest)
            if _is_proof(text)
        )
        return (*(repair.summary for repair in self.repairs), *proofs, *status)


def find(secrets: t.Iterable[Raw]) -> tuple[Release, ...]:
    """The releases of the chart aad-pod-identity, each by its newest revision; what helm did not write is none.

    helm takes for a revision whatever Secret has the labels of one, so each of them makes the whole release doubtful.
    """
    found = []
    for secrets_of_release in labelled(secrets).values():
        revisions = [_parse(secret) for secret in secrets_of_release]
        of_chart = [each for each in revisions if each.chart == CHART]
        if of_chart:
            doubts = [each.release.doubt for each in revisions if each.release.doubt]
            newest = max((each.release for each in of_chart), key=lambda each: each.revision)
            earlier = tuple(each.release.manifest for each in revisions if each.release is not newest)
            found.append(replace(newest, doubt=next(iter(doubts), ""), earlier=earlier))
    return tuple(found)


def labelled(secrets: t.Iterable[Raw]) -> dict[tuple[str, str], list[Raw]]:
    """Secrets that helm takes for revisions, by namespace and name of the release, in that order; none is unpacked."""
    groups: dict[tuple[str, str], list[Raw]] = {}
    for secret in secrets:
        labels = secret["metadata"].get("labels") or {}
        if labels.get("owner") == "helm" and labels.get("name"):
            groups.setdefault((str(secret["metadata"].get("namespace", "")), str(labels["name"])), []).append(secret)
    return dict(sorted(groups.items()))


def believed(
    release: Release, belief: Belief, live: t.Mapping[str, t.Sequence[Raw]], parts: t.Mapping[str, t.Sequence[Raw]]
) -> Release:
    """The release with what speaks against it: its place, and what helm would delete by its manifest.

    ``live`` are all objects by kind, ``parts`` those of an installation among them.
    """
    return release if release.doubt else replace(release, doubt=_doubt(release, belief, live, parts))


def named(release: Release) -> tuple[chart_manifest.Named, ...]:
    """The objects that helm may delete by its manifests; raises ValueError, with the reason, for one of no chart."""
    if release.doubt:
        raise ValueError(release.doubt)
    found = []
    for manifest in (release.manifest, *release.earlier):
        for each in chart_manifest.read(manifest):
            if chart_manifest.stranger(each, release.namespace):
                raise ValueError(f"its manifest names {each.label(release.namespace)}, which is no object of the chart")
            if each not in found:
                found.append(each)
    return tuple(found)


def _doubt(
    release: Release, belief: Belief, live: t.Mapping[str, t.Sequence[Raw]], parts: t.Mapping[str, t.Sequence[Raw]]
) -> str:
    if not belief.holds(release.namespace):
        return belief.doubt(release.namespace)
    try:
        objects = named(release)
    except ValueError as error:
        return str(error)
    for each in objects:
        label, place = each.label(release.namespace), each.place(release.namespace)
        found = next((raw for raw in live.get(each.kind, ()) if _place(raw) == place), None)
        if found is None:
            continue
        if each.kind in chart_manifest.CUSTOM:
            annotations = found["metadata"].get("annotations") or {}
            holder = (annotations.get(_HOLDER.format("namespace")), annotations.get(_HOLDER.format("name")))
            if place[0] != release.namespace and holder != (release.namespace, release.name):
                return f"its manifest names {label}, which is not held by it"
        elif each.kind in _JUDGED and found not in parts.get(each.kind, ()):
            return f"its manifest names {label}, which is none of MIC and NMI"
    return ""


def _place(raw: Raw) -> tuple[str, str]:
    return str(raw["metadata"].get("namespace", "")), str(raw["metadata"]["name"])


@dataclass(frozen=True)
class _Revision:
    release: Release
    chart: str


def _parse(secret: Raw) -> _Revision:
    body, place = _decoded(secret), secret["metadata"]
    chart = ((body.get("chart") or {}).get("metadata")) or {}
    release = Release(
        namespace=str(place.get("namespace", "")),
        name=str((place.get("labels") or {}).get("name", "")),
        revision=int(body.get("version") or 0),
        status=str((body.get("info") or {}).get("status", "")),
        version=str(chart.get("version", "")),
        values=body.get("config") or {},
        secret=place["name"],
        manifest=str(body.get("manifest") or ""),
    )
    return _Revision(replace(release, doubt=_oddity(release, body)), str(chart.get("name", "")))


def _oddity(release: Release, body: Raw) -> str:
    """Why helm would not have written the record so."""
    if ((body.get("chart") or {}).get("metadata") or {}).get("name") != CHART:
        return "one of its revisions is not of the chart aad-pod-identity, or cannot be read"
    # helm reads the names of fields without regard to case.
    if any(key not in _FIELDS and key.casefold() in _FIELDS for key in body):
        return "its record has a field in an unusual spelling"
    secret = f"sh.helm.release.v1.{release.name}.v{release.revision}"
    if (body.get("name"), body.get("namespace"), release.secret) != (release.name, release.namespace, secret):
        return "its record is not of the release that its Secret names"
    return "it has hooks, and the chart has none" if body.get("hooks") else ""


def _decoded(secret: Raw) -> Raw:
    """The record; empty where it cannot be read, or where a field of it is there twice."""
    text = (secret.get("data") or {}).get("release", "")
    try:
        packed = gunzip(base64.b64decode(base64.b64decode(text)))
        body = json.loads(packed, object_pairs_hook=_unambiguous)
    except (ValueError, TypeError, RecursionError):
        return {}
    return body if isinstance(body, dict) and _shaped(body) else {}


def _unambiguous(pairs: t.Sequence[tuple[str, t.Any]]) -> Raw:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a field is there twice")
    return found


def _shaped(body: Raw) -> bool:
    """Whether what is read of a record has the types that helm writes."""
    chart = body.get("chart") or {}
    mappings = (chart, body.get("info") or {}, body.get("config") or {})
    return (
        all(isinstance(each, dict) for each in mappings)
        and isinstance(chart.get("metadata") or {}, dict)
        and isinstance(body.get("version") or 0, int)
        and isinstance(body.get("manifest") or "", str)
    )


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


def said(message: str, values: t.Any) -> str:
    """What helm said in a failure of a module of kubernetes.core, as a part of a sentence, without credentials."""
    lines = without_credentials(message, values).rpartition("\nstderr: ")[2].splitlines()
    # Before it helm warns of files and old APIs.
    begin = next((place for place, line in enumerate(lines) if line.startswith("Error: ")), 0)
    return " ".join(" ".join(lines[begin:]).removeprefix("Error: ").split()).rstrip(".")


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
    replacements = {each.document: each.replacement_api for each in repairs(manifest, serves)}
    kept = [""]
    for part in _SEPARATOR.split(manifest):
        if _is_proof(part):
            kept.pop()  # the line that separates it from the one before
        elif part not in replacements:
            kept.append(part)
        elif replacements[part]:
            kept.append(
                re.sub(r"^apiVersion:.*$", f"apiVersion: {replacements[part]}", part, count=1, flags=re.MULTILINE)
            )
        else:
            kept.pop()
    return "".join(kept)


def _is_proof(document: str) -> bool:
    return _type(document)[1] == _PROOF


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
