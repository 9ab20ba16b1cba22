# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The mutating webhook of Microsoft Entra Workload ID: which pods the API server sends to it, and what serves it.

Its configuration is an object of the cluster, which no tenant can write; the namespace of what serves it is taken from
there. Source: Azure/azure-workload-identity, pkg/webhook and its chart.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ..kubernetes import label_selectors
from ..kubernetes.objects import annotations_of, labels_of
from ..matching.matching import Raw

NAME = "mutation.azure-workload-identity.io"
USE_LABEL = "azure.workload.identity/use"
CLIENT_ID = "azure.workload.identity/client-id"
TENANT_ID = "azure.workload.identity/tenant-id"
PROXY_ANNOTATION = "azure.workload.identity/inject-proxy-sidecar"
SKIP_ANNOTATION = "azure.workload.identity/skip-containers"
# AKS: a pod gets its identity by a binding of the cluster to it, with no credential for its service account.
BINDING_MARK = "azure.workload.identity/use-identity-binding"
PROXY_CONTAINER = "azwi-proxy"
PROXY_INIT_CONTAINER = "azwi-proxy-init"
TOKEN_FILE_VARIABLE, CLIENT_ID_VARIABLE = "AZURE_FEDERATED_TOKEN_FILE", "AZURE_CLIENT_ID"
# What it sets in a container that does not set it itself.
VARIABLES = (CLIENT_ID_VARIABLE, "AZURE_TENANT_ID", TOKEN_FILE_VARIABLE, "AZURE_AUTHORITY_HOST")
TOKEN_PATH = "azure-identity-token"
AUDIENCE = "api://AzureADTokenExchange"
_SYSTEM_LABEL = "azure-workload-identity.io/system"
_NAMESPACE_LABEL = "kubernetes.io/metadata.name"


@dataclass(frozen=True)
class Webhook:
    """An entry of a MutatingWebhookConfiguration. ``fails``: a pod that cannot be mutated is not created either.

    It is served by a ``service`` of the cluster or at a ``url``. ``bundle``: certificates in PEM, encoded in base64.
    ``conditions``: further expressions of CEL that must hold for a pod to be sent to it.
    """

    configuration: str
    namespace: str
    service: str
    fails: bool = True
    url: str = ""
    bundle: str = ""
    operations: frozenset[str] = frozenset({"CREATE"})
    object_selector: Raw = field(default_factory=dict)
    namespace_selector: Raw = field(default_factory=dict)
    conditions: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        return f"MutatingWebhookConfiguration {self.configuration}"

    def covers(self, namespace_labels: t.Mapping[str, str]) -> bool:
        return label_selectors.selects(self.namespace_selector, namespace_labels)

    def mutates(self, labels: t.Mapping[str, str]) -> bool:
        """Whether pods with these labels are sent to it, in a namespace that it covers."""
        return label_selectors.selects(self.object_selector, labels)


def find(objects: t.Mapping[str, t.Sequence[Raw]]) -> tuple[Webhook, ...]:
    return tuple(
        _parsed(str(raw["metadata"]["name"]), each)
        for raw in objects.get("MutatingWebhookConfiguration", ())
        for each in raw.get("webhooks") or ()
        if each.get("name") == NAME
    )


def deployments(objects: t.Mapping[str, t.Sequence[Raw]]) -> tuple[Raw, ...]:
    """What serves the webhook, by the namespace that the configuration names."""
    places = {one.namespace for one in find(objects)}
    return tuple(
        raw
        for raw in objects.get("Deployment", ())
        if str(raw["metadata"].get("namespace", "")) in places and is_system(raw)
    )


def namespace_labels(name: str, objects: t.Mapping[str, t.Sequence[Raw]]) -> t.Mapping[str, str] | None:
    """None where the namespace was not read."""
    for raw in objects.get("Namespace", ()):
        if raw["metadata"]["name"] == name:
            return {_NAMESPACE_LABEL: name, **labels_of(raw)}
    return None


def is_system(deployment: Raw) -> bool:
    """Whether a Deployment says that it serves the webhook, as its chart and the add-on do."""
    return labels_of((deployment.get("spec") or {}).get("template") or {}).get(_SYSTEM_LABEL) == "true"


def skipped(pod: Raw) -> frozenset[str]:
    """Names of the containers of a pod, or of a pod template, that its annotation leaves out."""
    return frozenset(filter(None, map(str.strip, str(annotations_of(pod).get(SKIP_ANNOTATION) or "").split(";"))))


def _parsed(configuration: str, raw: Raw) -> Webhook:
    client = raw.get("clientConfig") or {}
    service = client.get("service") or {}
    return Webhook(
        configuration=configuration,
        namespace=str(service.get("namespace", "")),
        service=str(service.get("name", "")),
        fails=raw.get("failurePolicy", "Fail") == "Fail",
        url=str(client.get("url") or ""),
        bundle=str(client.get("caBundle") or ""),
        operations=frozenset(str(each) for rule in raw.get("rules") or () for each in rule.get("operations") or ()),
        object_selector=raw.get("objectSelector") or {},
        namespace_selector=raw.get("namespaceSelector") or {},
        conditions=tuple(str(each.get("expression", "")) for each in raw.get("matchConditions") or ()),
    )
