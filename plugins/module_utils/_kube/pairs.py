# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!
"""Pairs of AzureIdentity and AzureIdentityBinding in a cluster: looking, writing, waiting."""

from __future__ import annotations

import functools
import threading
import typing as t
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from .._domain.bindings import binding_lists, binding_pair
from .._domain.errors import Failure
from .._domain.kubernetes import workloads
from .._domain.kubernetes.objects import Object, Write, shown
from .._domain.matching.matching import SELECTOR_LABEL, Pod, template_selector
from .._domain.names import listed
from .._domain.needs import KubernetesNeed
from . import needs
from .client import AT_ONCE, Client
from .errors import ApiFailure
from .kinds import (
    AZURE_ASSIGNED_IDENTITY,
    AZURE_IDENTITY,
    AZURE_IDENTITY_BINDING,
    AZURE_POD_IDENTITY_EXCEPTION,
    POD,
    SECRET,
    TEMPLATES,
    Kind,
    label,
)
from .wait import wait_for

_KINDS: t.Mapping[str, Kind] = {
    "identity": AZURE_IDENTITY,
    "binding": AZURE_IDENTITY_BINDING,
    "secret": SECRET,
    "exception": AZURE_POD_IDENTITY_EXCEPTION,
}
_SELECTORS = 50  # more of them are not told to the server, which has to keep its URLs short


def observe(
    client: Client, desired_list: t.Sequence[binding_pair.Desired], rules: binding_lists.Rules
) -> binding_pair.Observed | None:
    """What the cluster holds around the pairs; None where it does not know AzureIdentities at all."""
    namespaces = rules.places(desired_list)
    try:
        identities = list_places(client, AZURE_IDENTITY, namespaces)
        bound = list_places(client, AZURE_IDENTITY_BINDING, namespaces)
    except ApiFailure as failure:
        if failure.kind_missing:
            return None
        raise
    seen = binding_pair.Observed(identities=identities, bindings=bound)
    going = binding_lists.leaving_selectors(desired_list, seen, rules)
    return replace(
        seen,
        secrets=_secrets(client, binding_lists.credentials(desired_list, seen, rules)),
        pods=_pods(client, going.union(*(binding_pair.selectors(desired, seen) for desired in desired_list))),
        assigned=unless_forbidden(lambda: client.list_all(AZURE_ASSIGNED_IDENTITY)),
        templates=templates(client, going) if going else (),
    )


def list_places(client: Client, kind: Kind, namespaces: t.AbstractSet[str]) -> tuple[Object, ...]:
    """The objects of the cluster, in one list; those of the namespaces where this user may not list more."""
    try:
        return client.list_all(kind)
    except ApiFailure as failure:
        if not failure.forbidden or not namespaces:
            raise
    found: list[Object] = []
    for namespace in sorted(namespaces):
        found += client.list_all(kind, namespace)
    return tuple(found)


def _secrets(client: Client, places: t.AbstractSet[binding_pair.Key]) -> tuple[Object, ...]:
    """One by one: to list the Secrets of a namespace is a right that opens all of them."""
    if not places:
        return ()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = pool.map(lambda place: client.get(SECRET, *place), sorted(places))
        return tuple(secret for secret in found if secret)


def templates(client: Client, values: t.AbstractSet[str]) -> tuple[binding_pair.User, ...] | None:
    """What makes pods with one of these selectors; None where this user may not tell."""
    found = []
    for kind in TEMPLATES:
        listed = unless_forbidden(functools.partial(client.list_all, kind))
        if listed is None:
            return None
        for raw in workloads.present(kind.name, listed):
            selector, metadata = template_selector(raw), raw["metadata"]
            if selector in values:
                what = label(kind, metadata["namespace"], metadata["name"])
                found.append(binding_pair.User(what, metadata["namespace"], selector))
    return tuple(found)


def need(write: Write) -> KubernetesNeed:
    """What is applied where nothing is has to be allowed to create it, too."""
    verbs = ("delete",) if write.body is None else ("patch",) if write.live else ("create", "patch")
    return needs.need(_KINDS[write.key], write.namespace, *verbs)


class Writer:
    """Carries out writes, without a client only in words; ``results`` follow what the server answers."""

    def __init__(self, client: Client | None, results: t.Iterable[Object]) -> None:
        self._client = client
        self._lock = threading.Lock()
        self._results: dict[tuple[str, str, str], list[Object]] = {}
        for result in results:
            for key in ("identity", "binding", "exception"):
                metadata = (result.get(key) or {}).get("metadata") or {}
                place = (key, metadata.get("namespace", ""), metadata.get("name", ""))
                self._results.setdefault(place, []).append(result)

    def write(self, write: Write) -> None:
        self._carry_out(write, dry_run=False)

    def preview(self, write: Write) -> None:
        """The server's own prediction, or ours where the namespace is still to come."""
        try:
            self._carry_out(write, dry_run=True)
        except ApiFailure as failure:
            if not failure.namespace_missing:
                raise

    def _carry_out(self, write: Write, *, dry_run: bool) -> None:
        if self._client is None:
            return
        kind = _KINDS[write.key]
        if write.body is None:
            metadata = (write.live or {})["metadata"]
            conditions = {"uid": metadata["uid"], "resourceVersion": metadata["resourceVersion"]}
            self._client.delete(kind, write.namespace, write.name, preconditions=conditions, dry_run=dry_run)
            return
        if write.removal:
            self._client.merge(kind, write.namespace, write.name, write.removal, dry_run=dry_run)
        answer = self._client.apply(kind, write.body, force=write.force, dry_run=dry_run)
        with self._lock:
            for result in self._results.get((write.key, write.namespace, write.name), ()):
                result[write.key] = shown(answer)


def wait_settled(
    client: Client, desired_list: t.Sequence[binding_pair.Desired], *, written: bool, timeout: float, pause: float
) -> list[Object]:
    """Wait until MIC has done what the pairs mean; the parts of the results that this is seen in, pair by pair.

    ``written``: something was written, so an assignment counts only where MIC has seen what is there now.
    """
    last: list[binding_lists.Assigned] = []

    def look() -> bool | None:
        last[:] = [_assigned(client, desired_list, written)]
        return None if last[0].missing or last[0].left else True

    if wait_for(look, "MIC has not assigned all identities yet", timeout=timeout, pause=pause) is None:
        raise _unsettled(client, last[0], timeout)
    return list(last[0].results)


def _assigned(client: Client, desired_list: t.Sequence[binding_pair.Desired], written: bool) -> binding_lists.Assigned:
    namespaces = {desired.namespace for desired in desired_list}
    identities = list_places(client, AZURE_IDENTITY, namespaces)
    bound = list_places(client, AZURE_IDENTITY_BINDING, namespaces)
    seen = binding_pair.Observed(identities=identities, bindings=bound)
    values = frozenset[str]().union(
        *(binding_pair.selectors(desired, seen) for desired in desired_list if desired.present)
    )
    pods = _list_pods(client, values) if values else ()
    seen = replace(seen, pods=pods, assigned=client.list_all(AZURE_ASSIGNED_IDENTITY))
    return binding_lists.assigned(desired_list, seen, fresh=written)


def _unsettled(client: Client, seen: binding_lists.Assigned, timeout: float) -> Failure:
    if not seen.missing:
        names = ", ".join(entry["name"] for entry in seen.left[:5])
        return Failure(
            f"The AzureAssignedIdentities {names} are still there after {timeout:.0f} seconds: is MIC running, and may "
            "it write to the scale set?",
            results={"assigned": list(seen.left)},
        )
    first = seen.missing[0]
    pods = list(dict.fromkeys(one.pod for one in seen.missing if one.identity == first.identity))
    names = listed(pods, most=5)
    others = len({one.identity for one in seen.missing}) - 1
    more = f" (and {others} more identities)" if others > 1 else " (and another identity)" if others else ""
    reason = _reason(client, *first.binding)
    return Failure(
        f"AzureIdentity {binding_pair.path_of(first.identity)} is not assigned to {names}{more} after {timeout:.0f} "
        "seconds: " + (f"MIC says {reason}." if reason else f"{_hint(first.state)}."),
        results={
            "assigned": [entry for result in seen.results for entry in result.get("assigned", ())],
            "missing_pods": list(dict.fromkeys(one.pod for one in seen.missing)),
        },
    )


def _reason(client: Client, namespace: str, name: str) -> str:
    """MIC's latest complaint about the binding."""
    events = unless_forbidden(lambda: client.events(namespace, name)) or ()
    complaints = [str(event.get("message", "")) for event in events if event.get("type") == "Warning"]
    return " ".join(complaints[-1].split())[:400].rstrip(".") if complaints else ""


def _hint(state: str) -> str:
    if state == "Created":
        return "MIC has not been able to write to the scale set yet, read its log and check its role assignments"
    return "MIC has not taken it up, check that it runs and has a leader"


def _pods(client: Client, values: t.AbstractSet[str]) -> tuple[Pod, ...] | None:
    if not values:
        return ()
    try:
        return _list_pods(client, values)
    except ApiFailure as failure:
        if failure.forbidden:
            return None
        raise


def _list_pods(client: Client, values: t.AbstractSet[str]) -> tuple[Pod, ...]:
    found = map(Pod.parse, client.list_all(POD, labels=labelled(values)))
    return tuple(pod for pod in found if pod.selector in values)


def labelled(values: t.AbstractSet[str]) -> str:
    if len(values) > _SELECTORS:
        return SELECTOR_LABEL
    return f"{SELECTOR_LABEL} in ({','.join(sorted(values))})"


def unless_forbidden(read: t.Callable[[], tuple[Object, ...]]) -> tuple[Object, ...] | None:
    """None where the user may not read that; the pair itself can be managed without it."""
    try:
        return read()
    except ApiFailure as failure:
        if failure.forbidden or failure.kind_missing:
            return None
        raise
