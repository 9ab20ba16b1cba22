# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Who owns the manifest of a workload or a service account, so that a change of it would be undone or conflict."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ..installation.nmi import managed_by
from ..kubernetes.sources import Source
from ..matching.matching import Raw, controller

HELM, FLUX, ARGO, ADDON, OPERATOR, NOBODY = "helm", "flux", "argo", "addon", "operator", ""
# Of what manifests are written with by hand, see managed_by.
_BY_HAND = "manifests"
_MANAGED_BY, _INSTANCE = "app.kubernetes.io/managed-by", "app.kubernetes.io/instance"
# Field managers of controllers that apply what somebody has written elsewhere.
_WRITERS = {
    "helm": HELM,
    "Helm": HELM,
    "kustomize-controller": FLUX,
    "helm-controller": FLUX,
    "argocd-controller": ARGO,
    "argocd-application-controller": ARGO,
}


@dataclass(frozen=True)
class Owner:
    """``kind``: HELM, FLUX, ARGO, ADDON (AKS), OPERATOR, or NOBODY; ``name``: which one, '' where that is not told.

    ``fixed``: changes are undone at once, whatever the operator wants.
    """

    kind: str = NOBODY
    name: str = ""

    @property
    def fixed(self) -> bool:
        return self.kind in (ADDON, OPERATOR)

    @property
    def label(self) -> str:
        what = {
            HELM: "helm release",
            FLUX: "Flux",
            ARGO: "Argo CD application",
            ADDON: "AKS",
            OPERATOR: "controller of",
        }[self.kind]
        return f"{what} {self.name}".strip()

    def view(self) -> dict[str, str]:
        return {"kind": self.kind, "name": self.name}


def find(source: Source) -> Owner:
    """By labels and annotations, by owner references, and by who wrote its fields."""
    if source.made_by_hand and source.workload.kind != "Pod":
        return Owner(OPERATOR, f"{source.workload.kind} {source.workload.name}")
    return of_object(source.raw)


def of_object(raw: Raw) -> Owner:
    """The same of an object that is not a pod."""
    metadata = raw.get("metadata") or {}
    labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
    above = " ".join(controller(raw)).strip()
    if above:
        return Owner(OPERATOR, above)
    told = managed_by(raw)
    kind = NOBODY if told.kind == _BY_HAND else told.kind
    if kind == NOBODY and str(labels.get(_MANAGED_BY, "")).lower() == HELM:
        kind = HELM
    if kind == NOBODY:
        kind = next(filter(None, (_WRITERS.get(each) for each in _writers(metadata))), NOBODY)
    return Owner(kind, _name(kind, told.release_namespace, told.release_name, labels, annotations))


def _name(kind: str, release_namespace: str, release: str, labels: Raw, annotations: Raw) -> str:
    if kind == HELM:
        return "/".join(filter(None, (release_namespace, release))) or str(labels.get(_INSTANCE, ""))
    if kind == FLUX:
        for prefix, resource in (("kustomize", "Kustomization"), ("helm", "HelmRelease")):
            name, place = (str(labels.get(f"{prefix}.toolkit.fluxcd.io/{what}", "")) for what in ("name", "namespace"))
            if name:
                return f"{resource} {place}/{name}"
    if kind == ARGO:
        tracked = str(annotations.get("argocd.argoproj.io/tracking-id", "")).partition(":")[0]
        return tracked or str(labels.get("argocd.argoproj.io/instance") or labels.get(_INSTANCE) or "")
    return ""


def _writers(metadata: Raw) -> t.Iterator[str]:
    for entry in metadata.get("managedFields") or ():
        yield str(entry.get("manager", ""))
