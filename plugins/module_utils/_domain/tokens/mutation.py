# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!
"""Why a pod that must use Workload ID was not changed by its webhook.

The webhook acts when a pod is made, on pods with the label azure.workload.identity/use: "true"; that label on a service
account or a Deployment says nothing to it (azure-workload-identity 0.15 and newer).
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ..installation import workload_identity_webhook
from ..installation.workload_identity_webhook import (
    CLIENT_ID_VARIABLE,
    PROXY_CONTAINER,
    SKIP_ANNOTATION,
    TOKEN_FILE_VARIABLE,
    USE_LABEL,
)
from ..kubernetes.objects import annotations_of, labels_of
from ..matching.matching import pod_template
from .probe_job import Raw


@dataclass(frozen=True)
class Surroundings:
    """What decides whether the webhook changes a pod; None is what does not exist, ``unread`` what could not be read.

    ``maker`` is the topmost object that makes the pod, such as its Deployment; ``webhooks`` are the configurations of
    mutating webhooks.
    """

    pod: Raw
    account: Raw | None = None
    maker: Raw | None = None
    namespace: Raw | None = None
    webhooks: tuple[Raw, ...] = ()
    unread: tuple[str, ...] = field(default=())


class Reason(t.NamedTuple):
    """``code``: skipped, label_missing, label_wrong, label_on_maker, label_on_service_account, label_newer,
    template_newer, namespace_excluded, webhook_absent, webhook_newer or unknown."""

    code: str
    sentence: str


def is_mutated(pod: Raw, container: str | None = None) -> bool:
    """Whether the webhook has changed the pod: that container, or any if none is named."""
    return any(
        entry.get("name") == TOKEN_FILE_VARIABLE
        for each in _containers(pod)
        if container in (None, each.get("name"))
        for entry in each.get("env") or ()
    )


def has_proxy(pod: Raw) -> bool:
    """Whether requests to the metadata address are redirected to the proxy within the pod."""
    return any(each.get("name") == PROXY_CONTAINER for each in _containers(pod))


def client_ids(pod: Raw) -> tuple[str, ...]:
    """What containers are told, as text, to ask for; whoever told them."""
    told = (
        str(entry.get("value") or "")
        for each in _containers(pod)
        for entry in each.get("env") or ()
        if entry.get("name") == CLIENT_ID_VARIABLE
    )
    return tuple(dict.fromkeys(filter(None, told)))


def why_not(seen: Surroundings, container: str | None = None) -> Reason:
    """Why a pod that is not mutated is not."""
    reason = _by_pod(seen, container) or _by_label(seen) or _by_webhook(seen)
    if reason:
        return reason
    missing = f" What may tell could not be read: {'; '.join(seen.unread)}." if seen.unread else ""
    return Reason(
        "unknown",
        "label, namespace and webhook would have changed it, so the webhook was not reached when the pod was made (its "
        f"failurePolicy may be Ignore): check its pods and log, and make the pod anew.{missing}",
    )


def _by_pod(seen: Surroundings, container: str | None) -> Reason | None:
    if container and container in workload_identity_webhook.skipped(seen.pod):
        return Reason("skipped", f"its annotation {SKIP_ANNOTATION} names the container {container}.")
    if container and is_mutated(seen.pod):
        return Reason(
            "skipped", f"its container {container} was added by another webhook afterwards; the others were changed."
        )
    return None


def _by_label(seen: Surroundings) -> Reason | None:
    value = labels_of(seen.pod).get(USE_LABEL)
    if value == "true":
        return None
    if value is not None:
        return Reason("label_wrong", f'its label {USE_LABEL} has the value {value!r} instead of "true".')
    maker, account = seen.maker or {}, seen.account or {}
    kind = str(maker.get("kind"))
    if labels_of(pod_template(maker)).get(USE_LABEL) == "true":
        return Reason(
            "template_newer", f"it is older than the label {USE_LABEL} in its {kind}'s template: restart that."
        )
    into = "make the pod anew with it."
    if maker:
        into = f"set it in the template (spec.template.metadata.labels) of its {kind} and restart that."
    if USE_LABEL in labels_of(maker):
        return Reason(
            "label_on_maker", f"the label {USE_LABEL} is on its {kind} itself, which does not reach pods: {into}"
        )
    if USE_LABEL in {**labels_of(account), **annotations_of(account)}:
        return Reason("label_on_service_account", f"the label {USE_LABEL} is on its service account only: {into}")
    return Reason("label_missing", f"it has no label {USE_LABEL}: {into}")


def _by_webhook(seen: Surroundings) -> Reason | None:
    if any(what.startswith("webhooks") for what in seen.unread):
        return None
    ours = workload_identity_webhook.find({"MutatingWebhookConfiguration": seen.webhooks})
    if not ours:
        return Reason("webhook_absent", "the cluster has no webhook of Workload ID: enable or install it.")
    name = str((((seen.namespace or {}).get("metadata")) or {}).get("name", ""))
    selected = workload_identity_webhook.namespace_labels(
        name, {"Namespace": [seen.namespace] if seen.namespace else []}
    )
    if selected is not None and not any(one.covers(selected) for one in ours):
        return Reason("namespace_excluded", f"the webhook passes the namespace {name} over (namespaceSelector).")
    made = _time(seen.pod)
    configurations = {one.configuration for one in ours}
    if made and made < min(_time(one) for one in seen.webhooks if one["metadata"]["name"] in configurations):
        return Reason("webhook_newer", "it is older than the webhook: restart what makes it.")
    if made and made < _labelled(seen.pod):
        return Reason("label_newer", f"its label {USE_LABEL} was set after it was made: restart what makes it.")
    return None


def _labelled(pod: Raw) -> str:
    """When somebody set the label last, by its field manager; empty where that is not known."""
    times = [
        str(entry.get("time") or "")
        for entry in (pod.get("metadata") or {}).get("managedFields") or ()
        if f"f:{USE_LABEL}" in (((entry.get("fieldsV1") or {}).get("f:metadata") or {}).get("f:labels") or {})
    ]
    return max(times, default="")


def _time(raw: Raw) -> str:
    """Of creation; the API server writes times so that their order is that of the texts."""
    return str((raw.get("metadata") or {}).get("creationTimestamp") or "")


def _containers(pod: Raw) -> list[Raw]:
    spec = pod.get("spec") or {}
    return [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]
