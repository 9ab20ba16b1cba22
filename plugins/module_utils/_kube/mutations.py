# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!
"""Looks at what decides whether the webhook of Workload ID changes a pod."""

from __future__ import annotations

import typing as t
from dataclasses import replace

from .._domain.errors import Failure
from .._domain.matching.matching import controller
from .._domain.tokens import mutation, token
from .._domain.tokens.probe_job import Raw
from .._domain.tokens.token_questions import Asked
from .client import Client
from .kinds import MUTATING_WEBHOOK_CONFIGURATION, NAMESPACE, SERVICE_ACCOUNT, TEMPLATES, Object

_KINDS = {kind.name: kind for kind in TEMPLATES}
# A Pod, its ReplicaSet, its Deployment; none of these kinds has more above it.
_LEVELS = 3


def look(client: Client, namespace: str, asked: Asked, container: str | None) -> Asked:
    """With a finding where the pod must use Workload ID and was not changed for it; a request would tell nothing then.

    With a reason where it has no proxy, which alone answers requests at the metadata address.
    """
    pod = asked.place.model
    if pod is None:
        return asked
    place = f"{namespace}/{asked.place.model_name}"
    if not mutation.is_mutated(pod, container):
        return unchanged(client, namespace, asked, pod, f"Pod {place}", container)
    if not (asked.exchanges or mutation.has_proxy(pod)):
        return replace(
            asked,
            reason=f"Pod {place} was changed by the webhook of Workload ID but has no proxy, so a request to the "
            "metadata address tells nothing of it: its application reads AZURE_FEDERATED_TOKEN_FILE itself; ask "
            "Entra itself with path: workload_identity.",
        )
    return asked


def unchanged(client: Client, namespace: str, asked: Asked, pod: Raw, what: str, container: str | None = None) -> Asked:
    """With the finding why the webhook has not changed a pod, which is called ``what``."""
    message = (
        f"{what} was not changed by the webhook of Workload ID: {why_not(client, namespace, pod, container).sentence}"
    )
    return replace(asked, finding=token.Verdict("not_mutated", "V13", token.UNKNOWN, message))


def why_not(client: Client, namespace: str, pod: Raw, container: str | None = None) -> mutation.Reason:
    """Why the webhook has not changed a pod, or that container of it."""
    return mutation.why_not(_surroundings(client, namespace, pod), container)


def _surroundings(client: Client, namespace: str, pod: Raw) -> mutation.Surroundings:
    """What may not be read is named and keeps nothing else from being read."""
    unread: list[str] = []

    def read(what: str, get: t.Callable[[], t.Any]) -> t.Any:
        try:
            return get()
        except Failure as failure:
            unread.append(f"{what} ({failure.sentence.rstrip('.')})")
            return None

    account = str((pod.get("spec") or {}).get("serviceAccountName") or "default")
    return mutation.Surroundings(
        pod=pod,
        account=read("service account", lambda: client.get(SERVICE_ACCOUNT, namespace, account)),
        maker=read("what makes the pod", lambda: _maker(client, namespace, pod)),
        namespace=read("namespace", lambda: client.get(NAMESPACE, None, namespace)),
        webhooks=read("webhooks", lambda: client.list_all(MUTATING_WEBHOOK_CONFIGURATION)) or (),
        unread=tuple(unread),
    )


def _maker(client: Client, namespace: str, pod: Raw) -> Object | None:
    """The topmost object of a known kind above the pod."""
    found: Object | None = None
    current: Raw = pod
    for _level in range(_LEVELS):
        kind, name = controller(current)
        above = client.get(_KINDS[kind], namespace, name) if kind in _KINDS else None
        if above is None:
            break
        found = current = {"kind": kind, **above}
    return found
