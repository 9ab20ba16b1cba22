# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Which webhooks of Workload ID are in a cluster, who installed them, and whether they serve.

A Deployment is believed where the configuration of the API server leads to its namespace, in kube-system, where the
operator says that the chart may be installed, and where a ClusterRoleBinding lets a service account of its namespace
write such configurations, as the webhook does for its certificate; names and labels alone can be a tenant's. Where the
add-on of AKS comes over the chart, it takes configuration and binding over, and the Deployment of the chart stays.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field
from datetime import datetime

from ..matching.matching import Raw
from ..moments import written
from . import nmi, workload_identity_webhook
from .trusted_namespaces import SYSTEM, accounts
from .workload_identity_webhook import USE_LABEL, Webhook

CHART, ADDON, OTHER, UNKNOWN = "chart", "addon", "other", "unknown"
NONE, BOTH = "none", "both"
# Where the chart is by default.
CHART_NAMESPACE = "azure-workload-identity-system"
# AKS installs its add-ons as helm releases whose names begin so (Azure/AKS#4065).
_RELEASES_OF_AKS = "aks-managed-"
_CONFIGURATIONS = ("admissionregistration.k8s.io", "mutatingwebhookconfigurations")
BUNDLE, SERVING = "ca_bundle", "serving"


@dataclass(frozen=True)
class Certificate:
    """``of``: BUNDLE or SERVING. ``ends``: in UTC. ``trusted``: a certificate of the bundle has signed it."""

    of: str
    subject: str
    ends: datetime
    trusted: bool = True


@dataclass(frozen=True)
class Installation:
    """A configuration, the Deployment that serves it, or both. ``read``: whether Deployments were."""

    webhook: Webhook | None
    deployment: Raw | None
    read: bool = True

    @property
    def namespace(self) -> str:
        if self.deployment is not None:
            return str(self.deployment["metadata"].get("namespace", ""))
        return self.webhook.namespace if self.webhook else ""

    @property
    def kind(self) -> str:
        """CHART also for its manifests; OTHER where no Deployment is led to, UNKNOWN where that is not known."""
        if self.deployment is None:
            return UNKNOWN if self.webhook and self.webhook.service and not self.read else OTHER
        manager = nmi.managed_by(self.deployment)
        of_aks = manager.kind == "addon" or manager.release_name.startswith(_RELEASES_OF_AKS)
        return ADDON if self.namespace == SYSTEM and of_aks else CHART

    @property
    def certificate_secret(self) -> str:
        """Name of the Secret with what it serves with; empty where it mounts none."""
        template = ((self.deployment or {}).get("spec") or {}).get("template") or {}
        names = [
            str((each.get("secret") or {}).get("secretName") or "")
            for each in (template.get("spec") or {}).get("volumes") or ()
        ]
        return next((name for name in names if name), "")


@dataclass(frozen=True)
class Seen:
    """What was read of an installation besides. ``ready``: ready endpoints of its Service, None where unread."""

    ready: int | None = None
    certificates: tuple[Certificate, ...] = ()


@dataclass(frozen=True)
class State:
    """What people and programs are told of an installation; see the module's documentation."""

    kind: str
    configuration: str
    namespace: str
    deployment: str
    service: str
    url: str
    version: str
    managed_by: str
    release_name: str
    release_namespace: str
    ready_endpoints: int | None
    failure_policy: str
    namespace_selector: Raw
    object_selector: Raw
    match_conditions: tuple[str, ...]
    excluded_namespaces: tuple[str, ...] | None
    certificates: tuple[dict[str, t.Any], ...]
    serving: bool
    waiting_for: tuple[str, ...] = field(default=())
    while_not_serving: str = ""


def find(
    objects: t.Mapping[str, t.Sequence[Raw]], named: t.Collection[str] = ()
) -> tuple[tuple[Installation, ...], tuple[Raw, ...]]:
    """The installations, and the Deployments that only look like one.

    ``objects`` by kind: MutatingWebhookConfiguration, Deployment, ClusterRole and ClusterRoleBinding. ``named``: the
    namespaces in which the chart may be, as the operator says.
    """
    webhooks = workload_identity_webhook.find(objects)
    looking = [each for each in objects.get("Deployment", ()) if workload_identity_webhook.is_system(each)]
    entitled = _entitled(objects)
    found: list[Installation] = []
    doubted: list[Raw] = []
    for one in webhooks:
        mine = [each for each in looking if one.namespace and _namespace(each) == one.namespace]
        found += [Installation(one, each) for each in mine] or [Installation(one, None, "Deployment" in objects)]
    led_to = {one.namespace for one in webhooks}
    for each in looking:
        if _namespace(each) in {SYSTEM, *named, *entitled} - led_to:
            found.append(Installation(None, each))
        elif _namespace(each) not in led_to:
            doubted.append(each)
    return tuple(found), tuple(doubted)


def installed(installations: t.Iterable[Installation]) -> str:
    """NONE, CHART, ADDON, BOTH, OTHER, or UNKNOWN."""
    kinds = {one.kind for one in installations}
    if {CHART, ADDON} <= kinds:
        return BOTH
    return next((kind for kind in (UNKNOWN, CHART, ADDON, OTHER) if kind in kinds), NONE)


def doubt(namespace: str) -> str:
    """Why a Deployment there is not believed to be the webhook."""
    return (
        f"no webhook configuration leads to the namespace {namespace}, no ClusterRoleBinding lets its service accounts "
        "write one, and it is not among release_namespaces"
    )


def state(one: Installation, seen: Seen, namespaces: t.Iterable[Raw] | None, now: datetime) -> State:
    """``namespaces``: None where they were not read."""
    webhook, deployment = one.webhook, one.deployment or {}
    manager = nmi.managed_by(deployment)
    waiting = tuple(_waiting_for(one, seen, now))
    return State(
        kind=one.kind,
        configuration=webhook.configuration if webhook else "",
        namespace=one.namespace,
        deployment=str((deployment.get("metadata") or {}).get("name", "")),
        service=webhook.service if webhook else "",
        url=webhook.url if webhook else "",
        version=nmi.image_tag(deployment),
        managed_by="" if one.deployment is None else ADDON if one.kind == ADDON else manager.kind,
        release_name=manager.release_name,
        release_namespace=manager.release_namespace,
        ready_endpoints=seen.ready,
        failure_policy=("Fail" if webhook.fails else "Ignore") if webhook else "",
        namespace_selector=webhook.namespace_selector if webhook else {},
        object_selector=webhook.object_selector if webhook else {},
        match_conditions=webhook.conditions if webhook else (),
        excluded_namespaces=_excluded(webhook, namespaces),
        certificates=tuple(
            {
                "of": each.of,
                "subject": each.subject,
                "ends": written(each.ends),
                "expired": each.ends <= now,
                "trusted": each.trusted,
            }
            for each in seen.certificates
        ),
        serving=webhook is not None and not waiting,
        waiting_for=waiting,
        while_not_serving=_while_not_serving(webhook),
    )


def _waiting_for(one: Installation, seen: Seen, now: datetime) -> t.Iterator[str]:
    webhook = one.webhook
    if webhook is None:
        yield "no webhook configuration leads to it"
        return
    if webhook.service:
        if one.kind == UNKNOWN:
            yield "it is not known which Deployment serves it"
        elif one.deployment is None:
            yield f"no Deployment of the webhook is in the namespace {webhook.namespace}"
        if seen.ready is None:
            yield f"it is not known whether the Service {webhook.namespace}/{webhook.service} has a ready endpoint"
        elif not seen.ready:
            yield f"the Service {webhook.namespace}/{webhook.service} has no ready endpoint"
        if not webhook.bundle:
            yield "its configuration has no caBundle, which the webhook writes when it starts"
    ends = {of: [each.ends for each in seen.certificates if each.of == of] for of in (BUNDLE, SERVING)}
    for of, name in ((BUNDLE, "its caBundle"), (SERVING, "its certificate")):
        if ends[of] and max(ends[of]) <= now:
            yield f"{name} has expired"
    if any(each.of == SERVING and not each.trusted for each in seen.certificates):
        yield "its certificate is not signed by its caBundle"


def _while_not_serving(webhook: Webhook | None) -> str:
    if webhook is None:
        return ""
    if webhook.fails:
        return f"pods with the label {USE_LABEL} are not created in namespaces that it covers"
    return f"pods with the label {USE_LABEL} are created without a token"


def _excluded(webhook: Webhook | None, namespaces: t.Iterable[Raw] | None) -> tuple[str, ...] | None:
    if webhook is None or namespaces is None:
        return None
    objects = {"Namespace": tuple(namespaces)}
    found = []
    for raw in objects["Namespace"]:
        name = str(raw["metadata"]["name"])
        if not webhook.covers(workload_identity_webhook.namespace_labels(name, {"Namespace": [raw]}) or {}):
            found.append(name)
    return tuple(sorted(found))


def _entitled(objects: t.Mapping[str, t.Sequence[Raw]]) -> set[str]:
    """Namespaces whose service accounts may write configurations of webhooks."""
    roles = {
        str(role["metadata"]["name"]) for role in objects.get("ClusterRole", ()) if _writes(role.get("rules") or ())
    }
    return {
        namespace
        for binding in objects.get("ClusterRoleBinding", ())
        if str((binding.get("roleRef") or {}).get("name", "")) in roles
        for namespace, _name in accounts(binding)
    }


def _writes(rules: t.Iterable[Raw]) -> bool:
    group, resource = _CONFIGURATIONS
    return any(
        {group, "*"} & set(rule.get("apiGroups") or ())
        and {resource, "*"} & set(rule.get("resources") or ())
        and {"update", "patch", "*"} & set(rule.get("verbs") or ())
        for rule in rules
    )


def _namespace(raw: Raw) -> str:
    return str(raw["metadata"].get("namespace", ""))
