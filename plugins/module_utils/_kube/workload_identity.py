# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Reads the webhooks of Workload ID, and asks the API server what they would do to pods, in dry runs only."""

from __future__ import annotations

import typing as t
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from .._domain.errors import UNEXPECTED, Failure
from .._domain.installation import workload_identity_installation as installations
from .._domain.installation import workload_identity_webhook
from .._domain.installation.workload_identity_installation import Installation, Seen, State
from .._domain.installation.workload_identity_webhook import Webhook
from .._domain.migration import dry_run
from .._domain.migration.dry_run import DryRun, Named, Reply, Template
from .._domain.needs import KubernetesNeed
from . import certificates
from .client import AT_ONCE, Client
from .errors import ApiFailure
from .kinds import (
    CLUSTER_ROLE,
    CLUSTER_ROLE_BINDING,
    DEPLOYMENT,
    ENDPOINTS,
    MUTATING_WEBHOOK_CONFIGURATION,
    NAMESPACE,
    POD,
    SECRET,
    TEMPLATES,
    Kind,
    Object,
    label,
)
from .needs import need

T = t.TypeVar("T")

_KINDS = {kind.name: kind for kind in (*TEMPLATES, POD)}
_CERTIFICATE = "tls.crt"


@dataclass(frozen=True)
class Coverage:
    """Which namespaces the webhooks cover. ``namespaces``: None where they were not read."""

    webhooks: tuple[Webhook, ...]
    namespaces: t.Sequence[t.Mapping[str, t.Any]] | None

    def labels_of(self, namespace: str) -> t.Mapping[str, str] | None:
        """None where the namespace was not read."""
        return workload_identity_webhook.namespace_labels(namespace, {NAMESPACE.name: self.namespaces or ()})


@dataclass(frozen=True)
class Survey(Coverage):
    """``unread``: what the user of the connection may not read, as sentences."""

    states: tuple[State, ...]
    installed: str
    doubted: tuple[Object, ...]
    unread: tuple[str, ...]


@dataclass(frozen=True)
class Tried:
    """What the webhook would do to pods of a template. ``covered``: None where its namespace was not read."""

    template: Template
    covered: bool | None
    with_label: DryRun
    with_proxy: DryRun | None


def coverage(client: Client, namespace: str) -> Coverage:
    """Which of them cover that namespace. Raises Failure where the configurations of webhooks cannot be read."""
    found = client.list_all(MUTATING_WEBHOOK_CONFIGURATION)
    named = _allowed([], lambda: client.get(NAMESPACE, None, namespace))
    webhooks = workload_identity_webhook.find({MUTATING_WEBHOOK_CONFIGURATION.name: found})
    return Coverage(webhooks, None if named is None else [named])


def survey(client: Client, named: t.Collection[str] = ()) -> Survey:
    """``named``: the namespaces in which the chart may be, as the operator says.

    Raises Failure where the configurations of webhooks cannot be read.
    """
    unread: list[str] = []
    found: dict[str, t.Sequence[Object]] = {}

    def read(kind: Kind) -> None:
        several = _allowed(unread, lambda: client.list_all(kind))
        if several is not None:
            found[kind.name] = several

    found[MUTATING_WEBHOOK_CONFIGURATION.name] = client.list_all(MUTATING_WEBHOOK_CONFIGURATION)
    for kind in (DEPLOYMENT, NAMESPACE):
        read(kind)
    several, doubted = installations.find(found, named)
    if doubted:  # only roles can tell
        for kind in (CLUSTER_ROLE, CLUSTER_ROLE_BINDING):
            read(kind)
        several, doubted = installations.find(found, named)
    namespaces = found.get(NAMESPACE.name)
    return Survey(
        states=tuple(
            installations.state(one, _look(client, one, unread), namespaces, client.server_time()) for one in several
        ),
        installed=installations.installed(several),
        doubted=tuple(t.cast("tuple[Object, ...]", doubted)),
        webhooks=workload_identity_webhook.find(found),
        namespaces=None if namespaces is None else tuple(namespaces),
        unread=tuple(unread),
    )


def _allowed(unread: list[str], look: t.Callable[[], T]) -> T | None:
    """None where the user of the connection may not look, which is told."""
    try:
        return look()
    except ApiFailure as failure:
        if not failure.forbidden:
            raise
        unread.append(failure.sentence)
        return None


def _look(client: Client, one: Installation, unread: list[str]) -> Seen:
    webhook = one.webhook
    ready: int | None = None
    if webhook and webhook.service:
        before = len(unread)
        endpoints = _allowed(unread, lambda: client.get(ENDPOINTS, webhook.namespace, webhook.service))
        if len(unread) == before:
            ready = sum(len(each.get("addresses") or ()) for each in (endpoints or {}).get("subsets") or ())
    secret: Object | None = None
    if webhook and one.certificate_secret:
        secret = _allowed(unread, lambda: client.get(SECRET, one.namespace, one.certificate_secret))
    # Of the Secret, which has the key as well, nothing else is kept.
    serving = str(((secret or {}).get("data") or {}).get(_CERTIFICATE) or "")
    del secret
    try:
        place = webhook.label if webhook else ""
        return Seen(ready, certificates.read(webhook.bundle if webhook else "", serving, place))
    except Failure as failure:
        unread.append(failure.sentence)
        return Seen(ready)


def templates(client: Client, wanted: t.Sequence[Named]) -> list[Template]:
    """Those that are named; each kind is listed once for each namespace.

    Raises Failure for one that does not exist.
    """
    places = dict.fromkeys((each.kind, each.namespace) for each in wanted if each.raw is None)
    listed = {
        (kind, namespace): {str(raw["metadata"]["name"]): raw for raw in client.list_all(_KINDS[kind], namespace)}
        for kind, namespace in places
    }
    found = []
    for each in wanted:
        raw = each.raw if each.raw is not None else listed[each.kind, each.namespace].get(each.name)
        if raw is None:
            raise Failure(f"{label(_KINDS[each.kind], each.namespace, each.name)} does not exist: name one that does.")
        found.append(Template.parse(each.kind, each.namespace, each.name, raw))
    return found


def needs(seen: Survey, several: t.Sequence[Template]) -> list[KubernetesNeed]:
    """What all of it needs to be allowed; it writes nothing, but a dry run is allowed to who may create."""
    found = [need(kind, None, "list") for kind in (MUTATING_WEBHOOK_CONFIGURATION, DEPLOYMENT, NAMESPACE)]
    if seen.doubted:
        found += [need(kind, None, "list") for kind in (CLUSTER_ROLE, CLUSTER_ROLE_BINDING)]
    for place in sorted({each.namespace for each in seen.webhooks if each.service}):
        found += [need(kind, place, "get") for kind in (ENDPOINTS, SECRET)]
    found += [need(POD, place, "create") for place in sorted({each.namespace for each in several})]
    return found


def try_out(client: Client, seen: Coverage, several: t.Sequence[Template], *, proxy: bool) -> list[Tried]:
    """Two dry runs for each template, three with the proxy; nothing is stored."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(lambda one: _try(client, seen, one, proxy), several))


def _try(client: Client, seen: Coverage, one: Template, proxy: bool) -> Tried:
    namespace = seen.labels_of(one.namespace)
    why = dry_run.why_left(seen.webhooks, namespace)
    without, with_label = (_reply(client, one, dry_run.body(one, label=labelled)) for labelled in (False, True))
    with_proxy: DryRun | None = None
    if proxy:
        with_proxy = dry_run.judge(one, without, _reply(client, one, dry_run.body(one, label=True, proxy=True)), why)
    covered = None if namespace is None else any(each.covers(namespace) for each in seen.webhooks)
    return Tried(one, covered, dry_run.judge(one, without, with_label, why), with_proxy)


def _reply(client: Client, one: Template, body: Object) -> Reply:
    try:
        return Reply(pod=client.create(POD, one.namespace, body, dry_run=True))
    except ApiFailure as failure:
        # The credentials, or an answer that is none of an API server: nothing is known of any template then.
        if failure.status == 401 or failure.reason == UNEXPECTED:
            raise
        said = str(failure.error.get("message") or failure.sentence)
        return Reply(refusal=dry_run.refusal(failure.status, said, dry_run.hidden(one)))
