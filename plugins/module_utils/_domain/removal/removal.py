# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""What of AAD Pod Identity is in a cluster, whose it is, and what of it may go."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field, replace

from ..azure import arm_id
from ..bindings import credential_secrets
from ..change import Change
from ..errors import Failure
from ..installation import helm_releases, nmi
from ..installation.chart_manifest import CUSTOM, FINALIZER, GROUP
from ..installation.helm_releases import Release
from ..installation.residue import Believed, Doubt, release_namespaces
from ..installation.trusted_namespaces import Belief
from ..kubernetes.object_lists import some
from ..kubernetes.objects import Object, Raw, clean
from ..matching.matching import USER_ASSIGNED
from ..names import is_ours

_OF_KUBERNETES = ("foregroundDeletion", "orphan", "customresourcecleanup.apiextensions.k8s.io")

# What is removed together, in the order in which it has to go.
RECORDS, ASSIGNED, WORKLOADS, EXCEPTIONS, IDENTITIES, DEFINITIONS, REMAINS = PARTS = (
    "records",
    "assigned",
    "programs",
    "exceptions",
    "identities",
    "definitions",
    "remains",
)
BINDING = "AzureIdentityBinding"
# What an earlier task may be about to remove, and its kinds.
ADDON = "addon"
ASSUMED: t.Mapping[str, tuple[str, ...]] = {
    WORKLOADS: ("DaemonSet", "Deployment"),
    "bindings": (BINDING,),
    ASSIGNED: ("AzureAssignedIdentity",),
    # With its add-on AKS takes away the definitions, and with them whatever is of their kinds.
    ADDON: ("CustomResourceDefinition", "AzureIdentity", BINDING, "AzurePodIdentityException", "AzureAssignedIdentity"),
}
PART_OF = {
    "AzureAssignedIdentity": ASSIGNED,
    # MIC first, so that it gives no identity to pods that NMI does not guard.
    "Deployment": WORKLOADS,
    "DaemonSet": WORKLOADS,
    "AzurePodIdentityException": EXCEPTIONS,
    "AzureIdentity": IDENTITIES,
    "CustomResourceDefinition": DEFINITIONS,
    "ConfigMap": REMAINS,
    "Endpoints": REMAINS,
    "PodDisruptionBudget": REMAINS,
    "Secret": REMAINS,
    # Behind the accounts, because their bindings tell whose they are.
    "ServiceAccount": REMAINS,
    "ClusterRole": REMAINS,
    "ClusterRoleBinding": REMAINS,
}
PROGRAMS = tuple(kind for kind, part in PART_OF.items() if part == WORKLOADS)
_OWNED = (*CUSTOM, *PROGRAMS)
# Not made by people, so that no label says whose they are.
_MADE_BY_MIC = "AzureAssignedIdentity"


@dataclass(frozen=True)
class Observed:
    """``objects`` by kind; one that the cluster does not know is left out. ``programs``: MIC and NMI that are there.

    ``reconciled_by``: what of the installation somebody puts there again, and who. ``addon``: those of the programs
    that are of the add-on of AKS. While there are any, AKS manages what it has put there. ``doubts``: what is not
    believed to be of an installation, and stays. ``namespaces``: where releases were looked for. ``held``:
    AzureAssignedIdentities that are deleted and that nobody but somebody else's finalizer keeps there.
    ``definitions``: uids of the CRDs, those of the add-on with them.
    """

    objects: t.Mapping[str, t.Sequence[Raw]] = field(default_factory=dict)
    releases: tuple[Release, ...] = ()
    programs: tuple[str, ...] = ()
    reconciled_by: tuple[str, ...] = ()
    addon: tuple[str, ...] = ()
    doubts: tuple[Doubt, ...] = ()
    namespaces: tuple[str, ...] = ()
    held: tuple[Raw, ...] = ()
    definitions: tuple[str, ...] = ()

    @classmethod
    def parse(
        cls,
        found: t.Mapping[str, t.Sequence[Raw]],
        serves: helm_releases.Serves = lambda version: (),
        named: t.Collection[str] = (),
    ) -> Observed:
        """Of ``found``, by kind, what a release still holds goes with the release, what AKS manages with its add-on.

        ``serves`` gives the kinds that the cluster knows in a version of a group, ``named`` are the namespaces of
        releases that the operator named.
        """
        believed = Believed.of(found, Belief.parse(found, named))
        parts = believed.parts
        releases = tuple(
            replace(each, repairs=helm_releases.repairs(each.manifest, serves)) for each in believed.releases
        )
        held = {release.label for release in releases}
        programs = {_label(kind, raw): by_aks(raw) for kind in PROGRAMS for raw in parts.get(kind, ())}
        addon = tuple(label for label, managed in programs.items() if managed)
        free = {
            kind: [raw for raw in several if not _goes_with(kind, raw, held) and not (addon and by_aks(raw))]
            for kind, several in parts.items()
            if kind in PART_OF
        }
        # What they hold is nobody's business.
        free["Secret"] = [{"metadata": {**raw["metadata"], "annotations": {}}} for raw in free.get("Secret", ())]
        custom = {kind: [raw for raw in found[kind] if not is_held(kind, raw)] for kind in CUSTOM if kind in found}
        stuck = tuple(raw for raw in found.get(_MADE_BY_MIC, ()) if is_held(_MADE_BY_MIC, raw))
        keepers = [
            (_label(kind, raw), nmi.keeper(raw) if addon or not by_aks(raw) else "")
            for kind, several in parts.items()
            for raw in several
        ]
        reconciled_by = tuple(f"{label} ({keeper})" for label, keeper in keepers if keeper)
        places = release_namespaces(found, named)
        uids = tuple(str(raw["metadata"].get("uid") or "") for raw in parts.get("CustomResourceDefinition", ()))
        objects, doubts = {**custom, **free}, believed.doubts
        return cls(objects, releases, tuple(programs), reconciled_by, addon, doubts, places, stuck, uids)

    def of(self, kind: str) -> t.Sequence[Raw]:
        return self.objects.get(kind, ())


@dataclass(frozen=True)
class Rules:
    """``owner``: whose objects count as ours; ``everything``: whoever made it. ``clean``: on no scale set any more."""

    owner: str = "default"
    everything: bool = False
    clean: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Removal:
    """One object that goes. ``releases_finalizer``: MIC's finalizer is taken from it, because MIC will not do it."""

    kind: str
    live: Raw
    releases_finalizer: bool = False

    @property
    def namespace(self) -> str:
        return str(self.live["metadata"].get("namespace", ""))

    @property
    def name(self) -> str:
        return str(self.live["metadata"]["name"])

    @property
    def label(self) -> str:
        return _label(self.kind, self.live)

    @property
    def change(self) -> Change:
        why = "and take MIC's finalizer from it" if self.releases_finalizer else ""
        return Change.of_object("delete", self.kind, self.namespace, self.name, why)

    @property
    def summary(self) -> str:
        return f"{self.change.summary} {self.change.why}".rstrip()


def without(observed: Observed, gone: t.Collection[str]) -> Observed:
    """As it will be when what is named in ``gone`` is removed."""
    kinds = {kind for name in gone for kind in ASSUMED[name]}
    managed = observed.addon if ADDON in gone else ()
    objects = {
        kind: [raw for raw in found if not (managed and by_aks(raw))]
        for kind, found in observed.objects.items()
        if kind not in kinds
    }
    programs = [each for each in observed.programs if each not in managed and WORKLOADS not in gone]
    return replace(observed, objects=objects, programs=tuple(programs), addon=() if managed else observed.addon)


def decide(parts: t.Collection[str], observed: Observed, rules: Rules) -> tuple[Removal, ...]:
    """What goes, in its order; raises Failure before the first of it where something must not."""
    chosen = [
        (kind, raw)
        for part in PARTS
        if part in parts
        for kind in PART_OF
        if PART_OF[kind] == part
        for raw in observed.of(kind)
        # Without its definition a held object would go, too, which its finalizer is there to prevent.
        if not (observed.addon and by_aks(raw)) and not (part == DEFINITIONS and observed.held)
    ]
    refuse_foreign([pair for pair in chosen if pair[0] in _OWNED], observed, rules)
    for part in parts:
        _GATES[part](parts, observed, rules)
    return tuple(Removal(kind, raw, kind == _MADE_BY_MIC and _has_finalizer(raw)) for kind, raw in chosen)


def refuse_foreign(chosen: t.Iterable[tuple[str, Raw]], observed: Observed, rules: Rules) -> None:
    theirs = [_label(kind, raw) for kind, raw in chosen if not belongs(kind, raw, observed, rules)]
    if theirs:
        raise Failure(
            f"{some(theirs)} do not carry the labels of azureops.pod_identity with the owner {rules.owner!r}, so "
            "nothing is removed: name their owner, or set scope: all.",
            results={"foreign": theirs},
        )


def belongs(kind: str, raw: Raw, observed: Observed, rules: Rules) -> bool:
    """Whether the object may be removed: it is ours, MIC's, that of a release of the chart, or of AKS's add-on."""
    held = {release.label for release in observed.releases}
    made = kind == _MADE_BY_MIC or by_aks(raw)
    return rules.everything or made or is_ours(raw, rules.owner) or _release_of(raw) in held


def _gate_assigned(parts: t.Collection[str], observed: Observed, rules: Rules) -> None:
    if observed.of(_MADE_BY_MIC):
        _refuse_while("AzureAssignedIdentities", [_label(BINDING, raw) for raw in observed.of(BINDING)])
    dirty = [
        f"{_label(_MADE_BY_MIC, raw)} ({resource})"
        for raw in (*observed.of(_MADE_BY_MIC), *observed.held)
        for resource in [_azure_id(raw)]
        if resource and arm_id.normal(resource) not in rules.clean
    ]
    if dirty:
        raise Failure(
            f"It is not proved that the identity of {some(dirty)} is on no scale set any more, so MIC's finalizer "
            "stays: detach it first (module azureops.pod_identity.vmss_identity), and name it in clean_identities.",
            results={"unproved": dirty},
        )


def _gate_programs(parts: t.Collection[str], observed: Observed, rules: Rules) -> None:
    """NMI guards what is on the scale sets."""
    if not any(observed.of(kind) for kind in PROGRAMS):
        return
    if ASSIGNED not in parts:
        _refuse_while("MIC and NMI", [_label(_MADE_BY_MIC, raw) for raw in observed.of(_MADE_BY_MIC)])
    open_ones = [each for each in attached(observed) if each not in rules.clean]
    if open_ones:
        raise Failure(
            f"It is not proved that {some(open_ones)} are on no scale set any more, where every pod could take them "
            "without NMI: detach them first (module azureops.pod_identity.vmss_identity), and name them in "
            "clean_identities.",
            results={"unproved": open_ones},
        )


def _gate_identities(parts: t.Collection[str], observed: Observed, rules: Rules) -> None:
    using = [_label(BINDING, raw) for raw in observed.of(BINDING)]
    using += [] if ASSIGNED in parts else [_label(_MADE_BY_MIC, raw) for raw in observed.of(_MADE_BY_MIC)]
    _refuse_while("AzureIdentities", using)


def _gate_definitions(parts: t.Collection[str], observed: Observed, rules: Rules) -> None:
    left = [_label(kind, raw) for kind in CUSTOM if PART_OF.get(kind) not in parts for raw in observed.of(kind)]
    _refuse_while("custom resource definitions", left)
    _gate_remains(parts, observed, rules)


def _gate_remains(parts: t.Collection[str], observed: Observed, rules: Rules) -> None:
    going = [_label(kind, raw) for kind in PROGRAMS for raw in observed.of(kind)] if WORKLOADS in parts else []
    left = [each for each in observed.programs if each not in going]
    _refuse_while("custom resource definitions, roles and locks", left)


def _gate_nothing(parts: t.Collection[str], observed: Observed, rules: Rules) -> None:
    """It may be done at any time."""


_GATES: t.Mapping[str, t.Callable[[t.Collection[str], Observed, Rules], None]] = {
    RECORDS: _gate_nothing,
    ASSIGNED: _gate_assigned,
    WORKLOADS: _gate_programs,
    EXCEPTIONS: _gate_nothing,
    IDENTITIES: _gate_identities,
    DEFINITIONS: _gate_definitions,
    REMAINS: _gate_remains,
}


def _refuse_while(what: str, there: t.Sequence[str]) -> None:
    if there:
        raise Failure(
            f"The {what} of AAD Pod Identity are not removed while {some(there)} is there: remove that first.",
            results={"left": list(there)},
        )


def documents(observed: Observed) -> list[Object]:
    """The custom resources that people made, as they can be applied again; MIC and the add-on make theirs anew."""
    found = []
    for kind in CUSTOM:
        for raw in observed.of(kind) if kind != _MADE_BY_MIC else ():
            if observed.addon and by_aks(raw):
                continue
            document = {"apiVersion": f"{GROUP}/v1", "kind": kind, **clean(raw)}
            for name in ("finalizers", "deletionTimestamp", "deletionGracePeriodSeconds", "ownerReferences"):
                document["metadata"].pop(name, None)
            document.pop("status", None)
            found.append(document)
    return found


def rows(observed: Observed, rules: Rules) -> list[Object]:
    """Everything that was found, as data."""
    return [
        {
            "kind": kind,
            "namespace": raw["metadata"].get("namespace", ""),
            "name": raw["metadata"]["name"],
            "removable": kind not in _OWNED or belongs(kind, raw, observed, rules),
            "by_aks": by_aks(raw),
            "terminating": bool(raw["metadata"].get("deletionTimestamp")),
            "foreign_finalizers": foreign_finalizers(kind, raw),
            "identity": _azure_id(raw) if kind in CUSTOM else "",
        }
        for kind in (*CUSTOM, *(each for each in PART_OF if each not in CUSTOM))
        for raw in (*observed.of(kind), *(observed.held if kind == _MADE_BY_MIC else ()))
    ]


def row_label(row: Raw) -> str:
    """The label of the object that a row is of."""
    return _label(row["kind"], {"metadata": row})


def attached(observed: Observed) -> list[str]:
    """Resource ids of the managed identities that MIC knows or knew, once each in one spelling.

    What cannot be an id is on no scale set.
    """
    of_mic = (*observed.of(_MADE_BY_MIC), *observed.held)
    found = {_azure_id(raw) for raw in (*observed.of("AzureIdentity"), *of_mic)}
    return sorted({arm_id.normal(each) for each in found if arm_id.is_user_assigned_identity(each)})


def credentials(observed: Observed, rules: Rules) -> tuple[list[str], list[str]]:
    """The Secrets that AzureIdentities name, as ``namespace/name``: which may go with them, and which stay in any case.

    Whoever may write an AzureIdentity may name any Secret. So only one may go that lies in the namespace of its
    AzureIdentity, where no AzureIdentity that stays names it, too.
    """
    named, own, staying = set(), set(), set()
    for raw in observed.of("AzureIdentity"):
        place = credential_secrets.of_principal(raw)
        named.add(place)
        if belongs("AzureIdentity", raw, observed, rules):
            own.add(credential_secrets.own(raw))
        else:
            staying.add(place)
    going = own - staying
    return _places(going), _places(named - going)


def _places(several: t.Iterable[tuple[str, str] | None]) -> list[str]:
    return sorted("/".join(each) for each in several if each)


def _azure_id(raw: Raw) -> str:
    """Of an AzureIdentity, or of the one that an AzureAssignedIdentity carries; empty for service principals."""
    spec = raw.get("spec") or {}
    spec = (spec.get("azureIdentityRef") or {}).get("spec") or spec
    is_managed = int(spec.get("type") or 0) == USER_ASSIGNED
    return str(spec.get("resourceID") or "") if is_managed else ""


def foreign_finalizers(kind: str, raw: Raw) -> list[str]:
    """Those for which a deletion waits until their owners take them away, which are neither MIC nor Kubernetes."""
    known = (*_OF_KUBERNETES, *((FINALIZER,) if kind == _MADE_BY_MIC else ()))
    return [str(each) for each in raw["metadata"].get("finalizers") or () if each not in known]


def is_held(kind: str, raw: Raw) -> bool:
    """Tell whether an AzureAssignedIdentity has lost MIC's finalizer and is kept by that of somebody else alone.

    It lies in the namespace of a pod, so that a tenant would stop a removal that waits for it.
    """
    ends = kind == _MADE_BY_MIC and bool(raw["metadata"].get("deletionTimestamp"))
    return ends and not _has_finalizer(raw) and bool(foreign_finalizers(kind, raw))


def _has_finalizer(raw: Raw) -> bool:
    return FINALIZER in (raw["metadata"].get("finalizers") or ())


def _label(kind: str, raw: Raw) -> str:
    metadata = raw["metadata"]
    return f"{kind} " + "/".join(part for part in (metadata.get("namespace"), metadata["name"]) if part)


def _release_of(raw: Raw) -> str:
    """Namespace and name of the helm release that holds the object."""
    manager = nmi.managed_by(raw)
    return f"{manager.release_namespace}/{manager.release_name}" if manager.release_name else ""


def _goes_with(kind: str, raw: Raw, held: t.Container[str]) -> bool:
    """Whether helm takes the object away with its release; ClusterRoleBindings are left to tell where it was."""
    return kind != "ClusterRoleBinding" and _release_of(raw) in held


def by_aks(raw: Raw) -> bool:
    """Whether AKS has put the object there."""
    return nmi.managed_by(raw).kind == "addon"
