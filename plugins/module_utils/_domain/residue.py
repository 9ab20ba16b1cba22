# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""What an installation of AAD Pod Identity puts into a cluster, told apart from what is anybody else's."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from . import nmi
from .matching import Raw, controller

GROUP = "aadpodidentity.k8s.io"
LOCK, SETTINGS, RELEASE = "aad-pod-identity-mic", "aad-pod-identity-config", "aad-pod-identity"
# Kinds that are looked at only for this, in the order in which they are read.
KINDS = (
    "CustomResourceDefinition",
    "ClusterRole",
    "ClusterRoleBinding",
    "ServiceAccount",
    "PodDisruptionBudget",
    "Endpoints",
    "ConfigMap",
    "Namespace",
    "Secret",
)
_NAMES = {
    *(f"aad-pod-id-{part}-{what}" for part in ("mic", "nmi") for what in ("role", "binding", "service-account")),
    *(f"aad-pod-identity-{part}" for part in ("mic", "nmi")),
}
_BY_NAME = {"PodDisruptionBudget": {"mic-pdb"}, "Endpoints": {LOCK}, "ConfigMap": {SETTINGS}}
_RELEASE_ANNOTATION = "meta.helm.sh/release-name"


@dataclass(frozen=True)
class Left:
    """An object that is pod identity's; ``detail`` is what its kind has to tell. ``works``: it runs, and is ready."""

    kind: str
    namespace: str
    name: str
    deleting: bool = False
    detail: str = ""
    works: bool = False

    @property
    def label(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"


@dataclass(frozen=True)
class Residue:
    """What is left by kind, and why a kind could not be read."""

    left: t.Mapping[str, tuple[Left, ...]] = field(default_factory=dict)
    unread: t.Mapping[str, str] = field(default_factory=dict)

    def of(self, *kinds: str) -> t.Iterator[Left]:
        return (one for kind in kinds for one in self.left.get(kind, ()))

    @property
    def mic_runs(self) -> bool:
        """Whether somebody is there who takes the finalizers away."""
        return any(one.detail == "mic" and one.works for one in self.of("Deployment", "Pod"))

    @classmethod
    def parse(cls, objects: t.Mapping[str, t.Sequence[Raw]], unread: t.Mapping[str, str] | None = None) -> Residue:
        """``objects`` by kind; a kind of ``KINDS`` that is missing was not read."""
        found = {kind: tuple(_found(kind, objects.get(kind, ()))) for kind in (*_FIND, *KINDS)}
        missing = {kind: "It was not among what was read." for kind in KINDS if kind not in objects}
        return cls({kind: left for kind, left in found.items() if left}, {**missing, **(unread or {})})


def releases(objects: t.Mapping[str, t.Sequence[Raw]]) -> tuple[str, ...]:
    """Names of the helm releases that may have made it: the usual one, and what is written on what is left."""
    names = {RELEASE}
    for kind, several in objects.items():
        for raw in several:
            name = str(((raw.get("metadata") or {}).get("annotations") or {}).get(_RELEASE_ANNOTATION, ""))
            if name and _is_ours(kind, raw):
                names.add(name)
    return tuple(sorted(names))


def _found(kind: str, several: t.Iterable[Raw]) -> t.Iterator[Left]:
    look = _FIND.get(kind, _installed)
    for raw in several:
        detail = look(kind, raw)
        if detail is not None:
            metadata = raw.get("metadata") or {}
            namespace, name = str(metadata.get("namespace", "")), str(metadata.get("name", ""))
            yield Left(kind, namespace, name, bool(metadata.get("deletionTimestamp")), detail, _works(raw))


def _works(raw: Raw) -> bool:
    return bool((raw.get("status") or {}).get("readyReplicas")) or nmi.pod_ready(raw)


def _installed(kind: str, raw: Raw) -> str | None:
    return "" if _is_ours(kind, raw) else None


def _is_ours(kind: str, raw: Raw) -> bool:
    metadata = raw.get("metadata") or {}
    labels = metadata.get("labels") or {}
    chart = str(labels.get("helm.sh/chart", ""))
    of_chart = labels.get("app.kubernetes.io/name") == RELEASE or chart.startswith(f"{RELEASE}-")
    return of_chart or metadata.get("name") in _NAMES | _BY_NAME.get(kind, set())


def _program(kind: str, raw: Raw) -> str | None:
    return next((program for program in ("nmi", "mic") if nmi.runs_image(raw, program)), None)


def _pod(kind: str, raw: Raw) -> str | None:
    """One that nothing makes which is listed by itself."""
    if controller(raw)[0] in ("ReplicaSet", "DaemonSet"):
        return None
    return _program(kind, {"spec": {"template": raw}})


def _definition(kind: str, raw: Raw) -> str | None:
    spec = raw.get("spec") or {}
    if spec.get("group") != GROUP:
        return None
    conditions = (raw.get("status") or {}).get("conditions") or ()
    waits = (str(one.get("message") or "") for one in conditions if one.get("type") == "Terminating")
    return next(waits, "")


def _namespace(kind: str, raw: Raw) -> str | None:
    return "Terminating" if (raw.get("status") or {}).get("phase") == "Terminating" else None


def _release(kind: str, raw: Raw) -> str | None:
    """The newest word of a release is in its labels; of older ones nobody needs to know."""
    labels = (raw.get("metadata") or {}).get("labels") or {}
    if labels.get("owner") == "helm":
        status = str(labels.get("status", ""))
        return f"{labels.get('name', '')} is {status}" if status != "superseded" else None
    return _installed(kind, raw)


_FIND: dict[str, t.Callable[[str, Raw], str | None]] = {
    "DaemonSet": _program,
    "Deployment": _program,
    "Pod": _pod,
    "CustomResourceDefinition": _definition,
    "Namespace": _namespace,
    "Secret": _release,
}
