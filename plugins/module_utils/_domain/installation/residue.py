# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""What an installation of AAD Pod Identity puts into a cluster, told apart from what is anybody else's.

What is only called as its parts are is not: a name counts together with what it holds, or the labels of the chart. Of
helm's releases only those count that are believed (trusted_namespaces.py).
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, field

from ..kubernetes.objects import labels_of
from ..matching.matching import Raw, controller
from . import helm_releases, nmi
from .chart_manifest import DEFINITIONS, GROUP
from .helm_releases import Release
from .trusted_namespaces import Belief, accounts, gives_rights, is_named, is_of_chart

LOCK, SETTINGS = nmi.MIC_LOCK, "aad-pod-identity-config"
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
_RELEASE = re.compile(r"[a-z0-9]([a-z0-9.-]{0,51}[a-z0-9])?")
_BUDGET = "mic-pdb"
_PART = "app.kubernetes.io/component"


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
class Doubt:
    """What looks like a part of pod identity and is not believed to be one, and why."""

    label: str
    reason: str


@dataclass(frozen=True)
class Residue:
    """What is left by kind, why a kind could not be read, and what is not believed to be left."""

    left: t.Mapping[str, tuple[Left, ...]] = field(default_factory=dict)
    unread: t.Mapping[str, str] = field(default_factory=dict)
    doubts: tuple[Doubt, ...] = ()

    def of(self, *kinds: str) -> t.Iterator[Left]:
        return (one for kind in kinds for one in self.left.get(kind, ()))

    @property
    def mic_runs(self) -> bool:
        """Whether somebody is there who takes the finalizers away."""
        return any(one.detail == "mic" and one.works for one in self.of("Deployment", "Pod"))

    @classmethod
    def parse(
        cls,
        objects: t.Mapping[str, t.Sequence[Raw]],
        unread: t.Mapping[str, str] | None = None,
        named: t.Iterable[str] = (),
    ) -> Residue:
        """``objects`` by kind; a kind of ``KINDS`` that is missing was not read.

        ``named``: the namespaces of releases that the operator named.
        """
        believed = Believed.of(objects, Belief.parse(objects, named, unread or ()))
        found = {kind: [_left(kind, raw) for raw in several] for kind, several in believed.parts.items()}
        found["Namespace"] = [_left("Namespace", raw) for raw in objects.get("Namespace", ()) if _is_ending(raw)]
        found.setdefault("Secret", []).extend(
            Left("Secret", release.namespace, release.secret, detail=f"{release.name} is {release.status}")
            for release in believed.releases
        )
        missing = {kind: "It was not among what was read." for kind in KINDS if kind not in objects}
        left = {kind: tuple(several) for kind, several in found.items() if several}
        return cls(left, {**missing, **(unread or {})}, believed.doubts)


@dataclass(frozen=True)
class Believed:
    """The parts of an installation by kind, its releases, and what only looks like one of both."""

    parts: t.Mapping[str, list[Raw]] = field(default_factory=dict)
    releases: tuple[Release, ...] = ()
    doubts: tuple[Doubt, ...] = ()

    @classmethod
    def of(cls, objects: t.Mapping[str, t.Sequence[Raw]], belief: Belief) -> Believed:
        parts, doubts = {}, []
        for kind, several in installed(objects).items():
            here = [raw for raw in several if _is_believed(kind, raw, belief)]
            if here:
                parts[kind] = here
            doubts += [_doubt(kind, raw, belief) for raw in several if not _is_believed(kind, raw, belief)]
        # What is in a namespace that is not believed is not even unpacked.
        secrets = [raw for raw in objects.get("Secret", ()) if belief.holds(_place(raw)[0])]
        elsewhere = [raw for raw in objects.get("Secret", ()) if not belief.holds(_place(raw)[0])]
        found = [helm_releases.believed(each, belief, objects, parts) for each in helm_releases.find(secrets)]
        doubts += [Doubt(f"helm release {each.label}", each.doubt) for each in found if each.doubt]
        for namespace, name in helm_releases.labelled(elsewhere):
            doubts.append(Doubt(f"helm release {namespace}/{name}", belief.doubt(namespace)))
        return cls(parts, tuple(each for each in found if not each.doubt), tuple(doubts))


def _is_believed(kind: str, raw: Raw, belief: Belief) -> bool:
    namespace = _place(raw)[0]
    # MIC keeps its lock in this namespace, wherever it runs itself.
    return belief.holds(namespace) or (kind == "Endpoints" and namespace == nmi.MIC_LOCK_NAMESPACE)


def _doubt(kind: str, raw: Raw, belief: Belief) -> Doubt:
    return Doubt(_left(kind, raw).label, belief.doubt(_place(raw)[0]))


def installed(objects: t.Mapping[str, t.Sequence[Raw]]) -> dict[str, list[Raw]]:
    """By kind what looks like the parts of an installation, wherever it is; records of helm are not among them."""
    given = {account for raw in objects.get("ClusterRoleBinding", ()) if gives_rights(raw) for account in accounts(raw)}
    looks = {**_LOOKS, "ServiceAccount": lambda raw: is_of_chart(raw) or (is_named(raw) and _place(raw) in given)}
    found = {kind: [raw for raw in objects[kind] if look(raw)] for kind, look in looks.items() if kind in objects}
    return {kind: several for kind, several in found.items() if several}


def releases(objects: t.Mapping[str, t.Sequence[Raw]]) -> frozenset[tuple[str, str]]:
    """Namespaces and names of the helm releases that are written on what is left; whoever wrote it may be wrong."""
    managers = (nmi.managed_by(raw) for several in installed(objects).values() for raw in several)
    return frozenset(
        (each.release_namespace, each.release_name) for each in managers if _RELEASE.fullmatch(each.release_name)
    )


def release_namespaces(objects: t.Mapping[str, t.Sequence[Raw]], named: t.Collection[str]) -> tuple[str, ...]:
    """Where releases are looked for: in those that the operator ``named``, and in believed ones that are written."""
    belief = Belief.parse(objects, named)
    written = (namespace for namespace, dummy in releases(objects) if belief.holds(namespace))
    return tuple(sorted({*named, *written} - {""}))


def program(raw: Raw) -> str:
    """``mic`` or ``nmi`` where a workload, or a pod that nobody makes who is listed himself, runs it."""
    return next((name for name in ("nmi", "mic") if nmi.runs_image(raw, name)), "")


def _program_of_pod(raw: Raw) -> str:
    return "" if controller(raw)[0] in ("ReplicaSet", "DaemonSet") else program({"spec": {"template": raw}})


def _left(kind: str, raw: Raw) -> Left:
    namespace, name = _place(raw)
    detail = _DETAILS[kind](raw) if kind in _DETAILS else ""
    works = bool((raw.get("status") or {}).get("readyReplicas")) or nmi.is_ready(raw)
    return Left(kind, namespace, name, bool(raw["metadata"].get("deletionTimestamp")), detail, works)


def _waits_for(definition: Raw) -> str:
    conditions = (definition.get("status") or {}).get("conditions") or ()
    return next((str(one.get("message") or "") for one in conditions if one.get("type") == "Terminating"), "")


def _is_ending(namespace: Raw) -> bool:
    return (namespace.get("status") or {}).get("phase") == "Terminating"


def _is_definition(raw: Raw) -> bool:
    return raw["metadata"]["name"] in DEFINITIONS


def _has_rights(role: Raw) -> bool:
    grants = any(GROUP in (rule.get("apiGroups") or ()) for rule in role.get("rules") or ())
    return is_of_chart(role) or (is_named(role) and grants)


def _spares_mic(budget: Raw) -> bool:
    selected = ((budget.get("spec") or {}).get("selector") or {}).get("matchLabels") or {}
    return (budget["metadata"]["name"], selected.get(_PART)) == (_BUDGET, "mic")


def _is_credential(secret: Raw) -> bool:
    return is_of_chart(secret) and labels_of(secret).get(_PART) == "mic"


def _is_lock(raw: Raw) -> bool:
    return raw["metadata"]["name"] == LOCK and nmi.LEADER in (raw["metadata"].get("annotations") or {})


def _is_settings(raw: Raw) -> bool:
    return _place(raw)[1] == SETTINGS


def _place(raw: Raw) -> tuple[str, str]:
    return str(raw["metadata"].get("namespace", "")), str(raw["metadata"]["name"])


_DETAILS: t.Mapping[str, t.Callable[[Raw], str]] = {
    "DaemonSet": program,
    "Deployment": program,
    "Pod": _program_of_pod,
    "CustomResourceDefinition": _waits_for,
}
_LOOKS: t.Mapping[str, t.Callable[[Raw], t.Any]] = {
    "DaemonSet": program,
    "Deployment": program,
    "Pod": _program_of_pod,
    "CustomResourceDefinition": _is_definition,
    "ClusterRole": _has_rights,
    "ClusterRoleBinding": gives_rights,
    "PodDisruptionBudget": _spares_mic,
    "Endpoints": _is_lock,
    "ConfigMap": _is_settings,
    "Secret": _is_credential,
}
