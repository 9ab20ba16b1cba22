# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""What takes tokens through pods of others: by its settings, which a migration has to change, too.

What a product calls its settings is from its documentation; which pods ask is told by its images. The Secrets Store CSI
driver asks in the name of the pods that mount a class, all others in that of their own service account.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, replace

from ..kubernetes import sources
from ..kubernetes.sources import Source
from ..kubernetes.workloads import Workload
from ..matching.inventory import subject
from ..matching.matching import Raw
from . import containers
from .candidate import POD_IDENTITY, WORKLOAD_ID, Candidate

OTHER = "other"
_CSI_DRIVER = "secrets-store.csi.k8s.io"
KEDA, CSI, CERT_MANAGER, VELERO, FLUX = "KEDA", "Secrets Store CSI", "cert-manager", "Velero", "Flux"
_TRIGGERS, _CLASS = ("TriggerAuthentication", "ClusterTriggerAuthentication"), "SecretProviderClass"
_FLUX_SOURCES = ("GitRepository", "OCIRepository", "HelmRepository", "Bucket", "ImageRepository")
# Products whose settings are in no object that is read here: where they are, and what they have to be.
_BY_SETTINGS = {
    "AGIC": "In its values set armAuth.type to workloadIdentity and armAuth.identityClientID to the client id.",
    "external-dns": "In azure.json set useWorkloadIdentityExtension to true in place of useManagedIdentityExtension.",
    "cert-manager": "Set podLabels and serviceAccount.labels of its values to azure.workload.identity/use: 'true'.",
    "Velero": "Set podLabels and the service account's annotation in its values; leave out AZURE_CLIENT_SECRET.",
    "Flux": "Patch its controllers' Deployments and service accounts in the Kustomization flux-system.",
    "Azure Service Operator": "Set USE_WORKLOAD_IDENTITY_AUTH to true in the Secret aso-controller-settings.",
}


@dataclass(frozen=True)
class Consumer:
    """``label``: kind, namespace and name of what has the setting. ``uses``: POD_IDENTITY, WORKLOAD_ID or OTHER.

    ``client_id``: the one that it names, '' for none. ``subjects``: of the service accounts that the tokens are asked
    with; empty where nothing was found that asks. ``workloads``: labels of those pods' workloads.
    """

    product: str
    label: str
    setting: str
    uses: str
    remedy: str
    client_id: str = ""
    workloads: tuple[str, ...] = ()
    subjects: tuple[str, ...] = ()

    def asked_by(self, several: t.Iterable[Source]) -> Consumer:
        told = list(several)
        return replace(
            self,
            workloads=tuple(sorted(one.label for one in told)),
            subjects=tuple(sorted({subject(one.workload) for one in told})),
        )

    def view(self) -> dict[str, t.Any]:
        return {
            "product": self.product,
            "object": self.label,
            "setting": self.setting,
            "uses": self.uses,
            "client_id": self.client_id,
            "workloads": list(self.workloads),
            "subjects": list(self.subjects),
            "remedy": self.remedy,
        }


def set_to_pod_identity(products: t.Container[str], template: Raw) -> tuple[str, ...]:
    """The kinds whose objects may take tokens by pod identity through the pods of a workload."""
    mounts = any(map(_class, _volumes(template)))
    return (*(_TRIGGERS if KEDA in products else ()), *((_CLASS,) if mounts else ()))


def find(
    candidates: t.Iterable[Candidate], workloads: t.Iterable[Workload], objects: t.Mapping[str, t.Sequence[Raw]]
) -> list[Consumer]:
    every = sources.find(workloads, objects)
    askers: dict[str, list[Source]] = {}
    for one in every:
        for product in {each.product for each in containers.parse(one.template)} - {""}:
            askers.setdefault(product, []).append(one)
    found = [
        *_keda(objects, askers.get(KEDA, ())),
        *_classes(objects, every),
        *_issuers(objects, askers.get(CERT_MANAGER, ())),
        *_backups(objects, askers.get(VELERO, ())),
        *_flux(objects, askers.get(FLUX, ())),
        *_by_settings(candidates),
    ]
    return sorted(found, key=lambda one: (one.product, one.label, one.setting))


def _keda(objects: t.Mapping[str, t.Sequence[Raw]], operators: t.Sequence[Source]) -> t.Iterator[Consumer]:
    for kind in _TRIGGERS:
        for raw in objects.get(kind, ()):
            provider = str(_at(raw, "spec", "podIdentity", "provider") or "")
            if provider not in ("azure", "azure-workload"):
                continue
            yield Consumer(
                KEDA,
                _label(kind, raw),
                f"spec.podIdentity.provider: {provider}",
                POD_IDENTITY if provider == "azure" else WORKLOAD_ID,
                "Set the provider to azure-workload, and identityId to the client id where it is not that of the "
                "operator's service account; KEDA from 2.15 on has no provider azure.",
                str(_at(raw, "spec", "podIdentity", "identityId") or ""),
            ).asked_by(operators)


def _classes(objects: t.Mapping[str, t.Sequence[Raw]], every: t.Sequence[Source]) -> t.Iterator[Consumer]:
    mounting: dict[tuple[str, str], list[Source]] = {}
    for one in every:
        for volume in _volumes(one.template):
            name = _class(volume)
            if name:
                mounting.setdefault((one.workload.pod.namespace, name), []).append(one)
    for raw in objects.get(_CLASS, ()):
        by_pod = str(_at(raw, "spec", "parameters", "usePodIdentity")).lower() == "true"
        client_id = str(_at(raw, "spec", "parameters", "clientID") or "")
        if _at(raw, "spec", "provider") != "azure" or not (by_pod or client_id):
            continue
        yield Consumer(
            CSI,
            _label("SecretProviderClass", raw),
            "spec.parameters.usePodIdentity: true" if by_pod else "spec.parameters.clientID",
            POD_IDENTITY if by_pod else WORKLOAD_ID,
            "Set clientID in place of usePodIdentity; the driver asks with the service account of each pod that mounts "
            "the class, so the identity must trust each of these.",
            client_id,
        ).asked_by(mounting.get(sources.place(raw), ()))


def _volumes(template: Raw) -> t.Sequence[Raw]:
    return (template.get("spec") or {}).get("volumes") or ()


def _class(volume: Raw) -> str:
    """The name of the SecretProviderClass that it mounts; '' for none."""
    csi = volume.get("csi") or {}
    name = (csi.get("volumeAttributes") or {}).get("secretProviderClass")
    return str(name or "") if csi.get("driver") == _CSI_DRIVER else ""


def _issuers(objects: t.Mapping[str, t.Sequence[Raw]], controllers: t.Sequence[Source]) -> t.Iterator[Consumer]:
    for kind in ("Issuer", "ClusterIssuer"):
        for raw in objects.get(kind, ()):
            solvers = _at(raw, "spec", "acme", "solvers")
            for number, solver in enumerate(solvers if isinstance(solvers, list) else ()):
                dns = _at(solver, "dns01", "azureDNS")
                if dns is None or _at(dns, "clientSecretSecretRef"):
                    continue
                yield Consumer(
                    CERT_MANAGER,
                    _label(kind, raw),
                    f"spec.acme.solvers[{number}].dns01.azureDNS",
                    OTHER,
                    "It asks as cert-manager's pods do; managedIdentity.clientID says for which identity.",
                    str(_at(dns, "managedIdentity", "clientID") or ""),
                ).asked_by(controllers)


def _backups(objects: t.Mapping[str, t.Sequence[Raw]], servers: t.Sequence[Source]) -> t.Iterator[Consumer]:
    for raw in objects.get("BackupStorageLocation", ()):
        if _at(raw, "spec", "provider") not in ("azure", "velero.io/azure"):
            continue
        by_entra = str(_at(raw, "spec", "config", "useAAD")).lower() == "true"
        yield Consumer(
            VELERO,
            _label("BackupStorageLocation", raw),
            f"spec.config.useAAD: {'true' if by_entra else 'false'}",
            OTHER,
            "Set useAAD to true, so that Velero asks Entra as its own pods do.",
        ).asked_by(servers)


def _flux(objects: t.Mapping[str, t.Sequence[Raw]], controllers: t.Sequence[Source]) -> t.Iterator[Consumer]:
    wanted = "image-reflector-controller"
    for kind in _FLUX_SOURCES:
        for raw in objects.get(kind, ()):
            if _at(raw, "spec", "provider") != "azure":
                continue
            name = wanted if kind == "ImageRepository" else "source-controller"
            yield Consumer(
                FLUX,
                _label(kind, raw),
                "spec.provider: azure",
                OTHER,
                f"It asks as the {name} does: label its pods and annotate its service account.",
            ).asked_by(one for one in controllers if name in _repositories(one))


def _repositories(one: Source) -> str:
    return " ".join(each.image for each in containers.parse(one.template))


def _by_settings(candidates: t.Iterable[Candidate]) -> t.Iterator[Consumer]:
    """Controllers of products that get an identity themselves."""
    for one in candidates:
        for product in one.products:
            if product in _BY_SETTINGS and one.moves:
                yield Consumer(
                    product,
                    one.label,
                    "the settings of its chart",
                    POD_IDENTITY if one.selector and not one.labelled else WORKLOAD_ID if one.labelled else OTHER,
                    _BY_SETTINGS[product],
                    one.client_id,
                    (one.label,),
                    (subject(one.source.workload),),
                )


def _label(kind: str, raw: Raw) -> str:
    return f"{kind} {'/'.join(filter(None, sources.place(raw)))}"


def _at(value: t.Any, *path: str) -> t.Any:
    """What is at that path of an object of a kind whose shape nobody here vouches for; None where nothing is."""
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value
