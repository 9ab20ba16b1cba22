# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Products that take tokens for others, or by settings of their own: what each needs for Workload ID.

All of it is from the documentation of the product, ``page``; docs/migration.md has the same table.
"""

from __future__ import annotations

import json
import re
import typing as t
from dataclasses import dataclass, field

from ..installation.nmi import image_repository, numbers
from ..installation.workload_identity_webhook import CLIENT_ID, USE_LABEL

Values = t.Mapping[str, t.Any]
Patch = t.Sequence[Values]

KEDA, CSI, CERT_MANAGER, VELERO, FLUX = "KEDA", "Secrets Store CSI", "cert-manager", "Velero", "Flux"
AGIC, EXTERNAL_DNS, ASO = "AGIC", "external-dns", "Azure Service Operator"
_CHARTS = ("helm.sh/chart", "chart")
_COMPONENTS = ("app.kubernetes.io/name", "app.kubernetes.io/component", "app")
_APP_VERSION = "app.kubernetes.io/version"
_CHART = re.compile(r"([a-z0-9][a-z0-9-]*?)-v?\d+\.\d+\.\d+")
_USE = {USE_LABEL: "true"}


@dataclass(frozen=True)
class Image:
    """Images whose version counts. ``name``: how their repositories end. ``since``: the first with Workload ID."""

    name: str
    since: tuple[int, ...]

    def fits(self, image: str) -> bool:
        return f"/{image_repository(image)}".endswith(f"/{self.name}")

    @property
    def label(self) -> str:
        return f"{self.name} {told(self.since)}"


@dataclass(frozen=True)
class Product:
    """``asks``: how the repositories of images end whose pods ask. ``versioned``: images whose versions count.

    ``charts``, ``components``: a workload is of the product, too, where its labels name such a chart and component.
    ``kinds``: of its objects that ask. ``asker``: whose service account asks. ``gone``: the first version without AAD
    Pod Identity. ``steps``: what its documentation says, in order. ``proof``: what shows that it works. ``values``: of
    its chart, or a patch, by client id, which may be '', and the names of the workload and its service account.
    """

    name: str
    asks: str
    versioned: tuple[Image, ...]
    charts: tuple[str, ...]
    components: tuple[str, ...]
    kinds: tuple[str, ...]
    asker: str
    steps: tuple[str, ...]
    proof: str
    page: str
    gone: tuple[int, ...] = ()
    values: t.Callable[[str, str, str], Values] = field(default=lambda *_names: {}, repr=False)


@dataclass(frozen=True)
class Found:
    """A version that runs. ``known``: whether it is one; ``text``: as it is written, '' where nothing tells it."""

    image: Image
    text: str

    @property
    def numbers(self) -> tuple[int, ...]:
        return numbers(self.text)

    @property
    def known(self) -> bool:
        """A pre-release of the first one may be from before."""
        return bool(self.numbers) and not (self.numbers == self.image.since and "-" in self.text)

    @property
    def suits(self) -> bool:
        return self.known and self.numbers >= self.image.since


def told(version: t.Sequence[int]) -> str:
    return ".".join(map(str, version))


def text_of(values: Values | Patch) -> str:
    """As YAML."""
    lines = _lines(values) if isinstance(values, dict) else _items(t.cast(Patch, values))
    return "".join(f"{line}\n" for line in lines)


def _lines(values: Values) -> t.Iterator[str]:
    for key, value in values.items():
        if isinstance(value, dict):
            yield f"{key}:"
            yield from (f"  {line}" for line in _lines(value))
        elif isinstance(value, list):
            yield f"{key}:"
            yield from _items(value)
        elif isinstance(value, str) and "\n" in value:
            yield f"{key}: |"
            yield from (f"  {line}" for line in value.splitlines())
        else:
            yield f"{key}: {json.dumps(value)}"


def _items(several: Patch) -> t.Iterator[str]:
    for each in several:
        yield from (f"{'  ' if number else '- '}{line}" for number, line in enumerate(_lines(each)))


def _account(client_id: str) -> Values:
    return {"annotations": {CLIENT_ID: client_id}} if client_id else {}


def _keda(client_id: str, *_names: str) -> Values:
    return {"podIdentity": {"azureWorkload": {"enabled": True, **({"clientId": client_id} if client_id else {})}}}


def _agic(client_id: str, *_names: str) -> Values:
    named = {"identityClientID": client_id} if client_id else {}
    return {"armAuth": {"type": "workloadIdentity", **named}}


def _external_dns(client_id: str, *_names: str) -> Values:
    account = _account(client_id)
    return {"podLabels": _USE, **({"serviceAccount": account} if account else {})}


def _cert_manager(*_names: str) -> Values:
    return {"podLabels": _USE, "serviceAccount": {"labels": _USE}}


def _velero(client_id: str, *_names: str) -> Values:
    account = _account(client_id)
    return {"podLabels": _USE, **({"serviceAccount": {"server": account}} if account else {})}


def _flux(client_id: str, workload: str, account: str) -> Values:
    template = {"template": {"metadata": {"labels": _USE}}}
    several: list[tuple[str, str, str, Values]] = [
        ("apps/v1", "Deployment", workload, {"metadata": {"name": workload}, "spec": template}),
        ("v1", "ServiceAccount", account, {"metadata": {"name": account, **_account(client_id)}}),
    ]
    return {
        "patches": [
            {"target": {"kind": kind, "name": name}, "patch": text_of({"apiVersion": version, "kind": kind, **patch})}
            for version, kind, name, patch in several
            if kind != "ServiceAccount" or client_id
        ]
    }


def _aso(client_id: str, *_names: str) -> Values:
    named = {"azureClientID": client_id} if client_id else {}
    return {"useWorkloadIdentityAuth": True, **named, "aadPodIdentity": {"enable": False}}


PRODUCTS: tuple[Product, ...] = (
    Product(
        KEDA,
        asks=r"(^|/)keda$",
        versioned=(Image("keda", (2, 8, 0)),),
        charts=("keda",),
        components=("keda-operator",),
        kinds=("TriggerAuthentication", "ClusterTriggerAuthentication"),
        asker="the service account of the operator, `keda-operator` by default",
        steps=(
            "Set podIdentity.azureWorkload of its chart, so that the operator has label and client id.",
            "Let each identity that an authentication names trust the service account of the operator.",
            "Set spec.podIdentity.provider of each TriggerAuthentication to azure-workload.",
        ),
        proof=(
            "The ScaledObjects and ScaledJobs that use it have the condition Ready, nothing of status.health fails, "
            "and status.lastActiveTime is later than the change."
        ),
        page="https://keda.sh/docs/2.14/authentication-providers/azure-ad-workload-identity/",
        gone=(2, 15, 0),
        values=_keda,
    ),
    Product(
        CSI,
        asks=r"secrets-store/(driver|.*provider-azure)$|(^|/)provider-azure$",
        versioned=(Image("provider-azure", (1, 1, 0)),),
        charts=(),
        components=(),
        kinds=("SecretProviderClass",),
        asker="the service account of each pod that mounts the class",
        steps=(
            "Let the identity trust the service account of each workload that mounts the class.",
            "Set clientID of the class, and usePodIdentity to false; its pods need no label for that.",
            "Restart the pods that mount it, which mounts it anew.",
        ),
        proof=(
            "Each living pod that mounts it has a SecretProviderClassPodStatus that was made after the change and says "
            "status.mounted."
        ),
        page=(
            "https://azure.github.io/secrets-store-csi-driver-provider-azure/docs/configurations/"
            "identity-access-modes/workload-identity-mode/"
        ),
    ),
    Product(
        AGIC,
        asks=r"application-gateway/kubernetes-ingress$",
        versioned=(Image("kubernetes-ingress", (1, 7, 0)),),
        charts=("ingress-azure",),
        components=("ingress-azure",),
        kinds=(),
        asker="its own service account",
        steps=(
            "Let the identity trust its service account before anything else: the chart changes over at once.",
            "Set armAuth.type to workloadIdentity, and leave out armAuth.identityResourceID; the chart then takes its "
            "AzureIdentity and AzureIdentityBinding away, too.",
        ),
        proof="Its pods get their tokens by Workload ID, which canary, soak and leave prove.",
        page=(
            "https://github.com/Azure/application-gateway-kubernetes-ingress/blob/master/docs/how-tos/"
            "deploy-AGIC-with-Workload-Identity-using-helm.md"
        ),
        values=_agic,
    ),
    Product(
        EXTERNAL_DNS,
        asks=r"(^|/)external-dns$",
        versioned=(Image("external-dns", (0, 13, 6)),),
        charts=("external-dns",),
        components=("external-dns",),
        kinds=(),
        asker="its own service account",
        steps=(
            "Set podLabels and the annotation of the service account in the values of its chart.",
            "In azure.json set useWorkloadIdentityExtension to true in place of useManagedIdentityExtension and "
            "userAssignedIdentityID.",
        ),
        proof="Its pods get their tokens by Workload ID, which canary, soak and leave prove.",
        page="https://kubernetes-sigs.github.io/external-dns/latest/docs/tutorials/azure/",
        values=_external_dns,
    ),
    Product(
        CERT_MANAGER,
        asks=r"(^|/)cert-manager-controller$",
        versioned=(Image("cert-manager-controller", (1, 11, 0)),),
        charts=("cert-manager",),
        components=("cert-manager",),
        kinds=("Issuer", "ClusterIssuer"),
        asker="the service account of the controller, `cert-manager` by default",
        steps=(
            "Set podLabels and serviceAccount.labels in the values of its chart.",
            "Set managedIdentity.clientID of each azureDNS solver; resourceID cannot be used any more.",
        ),
        proof=(
            "An Order of the issuer that was made after the controller started is valid, and had to be authorized anew "
            "(status.authorizations[].initialState pending); the issuer has no other solver."
        ),
        page="https://cert-manager.io/docs/configuration/acme/dns01/azuredns/",
        values=_cert_manager,
    ),
    Product(
        VELERO,
        asks=r"(^|/)velero$",
        versioned=(Image("velero-plugin-for-microsoft-azure", (1, 8, 0)),),
        charts=("velero",),
        components=("velero",),
        kinds=("BackupStorageLocation",),
        asker="the service account of the server, which its node agents have, too",
        steps=(
            "Set podLabels and the annotation of the service account in the values of its chart.",
            "Leave AZURE_CLIENT_ID and AZURE_CLIENT_SECRET out of the Secret with its credentials, and "
            "AZURE_SUBSCRIPTION_ID and AZURE_RESOURCE_GROUP in it.",
        ),
        proof="status.phase is Available, and status.lastValidationTime is later than the start of its pods.",
        page="https://github.com/vmware-tanzu/velero-plugin-for-microsoft-azure/blob/main/README.md",
        values=_velero,
    ),
    Product(
        FLUX,
        asks=r"(^|/)(source|kustomize|helm|notification|image-reflector|image-automation)-controller$",
        versioned=(
            Image("source-controller", (1, 0, 0)),
            Image("kustomize-controller", (1, 0, 0)),
            Image("image-reflector-controller", (0, 27, 0)),
        ),
        charts=("flux2",),
        components=("source-controller", "kustomize-controller", "image-reflector-controller"),
        kinds=("GitRepository", "OCIRepository", "HelmRepository", "Bucket", "ImageRepository"),
        asker=(
            "the service account of source-controller, or image-reflector-controller; that of spec.serviceAccountName "
            "with the feature gate ObjectLevelWorkloadIdentity"
        ),
        steps=(
            "Patch Deployment and ServiceAccount of the controller in the Kustomization flux-system of its bootstrap.",
            "Ask for the source anew, with flux reconcile.",
        ),
        proof=(
            "The condition Ready is true, and what the source had last (status.artifact.lastUpdateTime, "
            "status.lastScanResult.scanTime) is later than the start of the controller."
        ),
        page="https://fluxcd.io/flux/integrations/azure/",
        values=_flux,
    ),
    Product(
        ASO,
        asks=r"(^|/)azureserviceoperator$",
        versioned=(Image("azureserviceoperator", (2, 0, 0)),),
        charts=("azure-service-operator",),
        components=("azure-service-operator",),
        kinds=(),
        asker="its own service account, `azureserviceoperator-default` by default",
        steps=(
            "Set useWorkloadIdentityAuth in the values of its chart, or USE_WORKLOAD_IDENTITY_AUTH to true in the "
            "Secret aso-controller-settings, and restart it.",
            "Let each identity of a Secret aso-credential, or of serviceoperator.azure.com/credential-from, trust its "
            "service account, too.",
        ),
        proof="Its pods get their tokens by Workload ID, which canary, soak and leave prove.",
        page="https://azure.github.io/azure-service-operator/guide/authentication/credential-format/",
        values=_aso,
    ),
)
BY_NAME: t.Mapping[str, Product] = {one.name: one for one in PRODUCTS}


def of_image(image: str) -> str:
    """Name of the product whose pods have it; '' for an image that is not known here."""
    repository = image_repository(image)
    return next((one.name for one in PRODUCTS if re.search(one.asks, repository)), "")


def of_labels(labels: Values) -> str:
    """The same by the labels of a chart, where the image has another name."""
    chart = chart_of(labels)
    name = found[1] if (found := _CHART.match(chart)) else ""
    components = {str(labels.get(key) or "") for key in _COMPONENTS}
    return next((one.name for one in PRODUCTS if name in one.charts and components & set(one.components)), "")


def chart_of(labels: Values) -> str:
    """Chart and version as ``keda-2.14.0``, as its labels tell; '' for none."""
    return next((value for key in _CHARTS if _CHART.match(value := str(labels.get(key) or ""))), "")


def version_of(image: str, labels: Values, one: Image) -> Found:
    """By the tag, else by the label that charts have for that."""
    tag = image.partition("@")[0].rpartition("/")[2].partition(":")[2]
    label = str(labels.get(_APP_VERSION) or "")
    return Found(one, tag if numbers(tag) or not numbers(label) else label)
