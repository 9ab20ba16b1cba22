# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!
"""Pairs of AzureIdentity and AzureIdentityBinding in a cluster: looking, writing, waiting."""

from __future__ import annotations

import typing as t

from .._domain import pair
from .._domain.errors import Failure
from .._domain.matching import BEHAVIOR_ANNOTATION, SELECTOR_LABEL, Pod
from .client import Client
from .errors import ApiFailure
from .kinds import (
    AZURE_ASSIGNED_IDENTITY,
    AZURE_IDENTITY,
    AZURE_IDENTITY_BINDING,
    POD,
    SECRET,
    Kind,
    Object,
)
from .wait import wait_for

_KINDS: t.Mapping[str, Kind] = {"identity": AZURE_IDENTITY, "binding": AZURE_IDENTITY_BINDING, "secret": SECRET}


def observe(client: Client, wish: pair.Wish) -> pair.Observed | None:
    """What the cluster holds around the pair; None where it does not know AzureIdentities at all."""
    try:
        identities = client.list_all(AZURE_IDENTITY, wish.namespace)
        bindings = client.list_all(AZURE_IDENTITY_BINDING, wish.namespace)
    except ApiFailure as failure:
        if failure.kind_missing:
            return None
        raise
    seen = pair.Observed(identities=identities, bindings=bindings)
    place = pair.credential(wish, seen.identity(wish))
    values = pair.selectors(wish, bindings)
    return pair.Observed(
        identities=identities,
        bindings=bindings,
        secret=client.get(SECRET, *place) if place else None,
        pods=_pods(client, values) if values else (),
        assigned=_unless_forbidden(lambda: client.list_all(AZURE_ASSIGNED_IDENTITY)),
    )


class Writer:
    """Carries out changes; ``result`` is what the module returns and follows what the server answers."""

    def __init__(self, client: Client, result: Object) -> None:
        self._client = client
        self.result = dict(result)

    def write(self, change: pair.Change) -> Object:
        return self._carry_out(change, dry_run=False)

    def preview(self, change: pair.Change) -> Object:
        """The server's own prediction, or ours where the namespace is still to come."""
        try:
            return self._carry_out(change, dry_run=True)
        except ApiFailure as failure:
            if failure.namespace_missing:
                return self.result
            raise

    def _carry_out(self, change: pair.Change, *, dry_run: bool) -> Object:
        kind = _KINDS[change.key]
        if change.body is None:
            metadata = (change.live or {})["metadata"]
            conditions = {"uid": metadata["uid"], "resourceVersion": metadata["resourceVersion"]}
            self._client.delete(kind, change.namespace, change.name, preconditions=conditions, dry_run=dry_run)
            return self.result
        if change.remove_behavior:
            removal = {"metadata": {"annotations": {BEHAVIOR_ANNOTATION: None}}}
            self._client.merge(kind, change.namespace, change.name, removal, dry_run=dry_run)
        answer = self._client.apply(kind, change.body, force=change.force, dry_run=dry_run)
        if change.key != "secret":
            self.result = {**self.result, change.key: pair.shown(answer)}
        return self.result


def wait_assigned(client: Client, wish: pair.Wish, *, timeout: float, pause: float) -> dict[str, t.Any]:
    """Wait until every pod that the pair serves has its assignment; the parts of the result that this is seen in."""
    last: list[tuple[tuple[Pod, ...], tuple[Object, ...]]] = []

    def look() -> dict[str, t.Any] | None:
        pods, assigned = _served(client, wish)
        missing = pair.missing(pods, assigned)
        last[:] = [(missing, assigned)]
        return None if missing else {"matching_pods": len(pods), "assigned": list(assigned)}

    seen = wait_for(look, timeout=timeout, pause=pause)
    if seen is not None:
        return seen
    missing, assigned = last[0]
    names = ", ".join(f"{pod.namespace}/{pod.name}" for pod in missing[:5]) + (
        f" and {len(missing) - 5} more" if len(missing) > 5 else ""
    )
    reason = _reason(client, wish)
    states = {entry["pod"]: entry["status"] for entry in assigned}
    state = states.get(missing[0].name, "")
    raise Failure(
        f"AzureIdentity {wish.namespace}/{wish.name} is not assigned to {names} after {timeout:.0f} seconds: "
        + (f"MIC says {reason}." if reason else f"{_hint(state)}."),
        results={"assigned": list(assigned), "missing_pods": [f"{pod.namespace}/{pod.name}" for pod in missing]},
    )


def wait_released(client: Client, wish: pair.Wish, *, timeout: float, pause: float) -> dict[str, t.Any]:
    """Wait until MIC has taken the identity from every pod; the part of the result that this is seen in."""
    last: list[tuple[Object, ...]] = []

    def look() -> bool | None:
        last[:] = [pair.assigned_to(wish, client.list_all(AZURE_ASSIGNED_IDENTITY))]
        return None if last[0] else True

    if wait_for(look, timeout=timeout, pause=pause) is None:
        names = ", ".join(entry["name"] for entry in last[0][:5])
        raise Failure(
            f"The AzureAssignedIdentities {names} are still there after {timeout:.0f} seconds: is MIC running, and may "
            "it write to the scale set?",
            results={"assigned": list(last[0])},
        )
    return {"assigned": []}


def _served(client: Client, wish: pair.Wish) -> tuple[tuple[Pod, ...], tuple[Object, ...]]:
    identities = client.list_all(AZURE_IDENTITY, wish.namespace)
    bindings = client.list_all(AZURE_IDENTITY_BINDING, wish.namespace)
    values = pair.selectors(wish, bindings)
    pods = client.list_all(POD, labels=labelled(values)) if values else ()
    seen = pair.Observed(identities=identities, bindings=bindings, pods=tuple(Pod.parse(raw) for raw in pods))
    return pair.pods_of(wish, seen) or (), pair.assigned_to(wish, client.list_all(AZURE_ASSIGNED_IDENTITY))


def _reason(client: Client, wish: pair.Wish) -> str:
    """MIC's latest complaint about the binding."""
    events = _unless_forbidden(lambda: client.events(wish.namespace, wish.binding_name)) or ()
    complaints = [str(event.get("message", "")) for event in events if event.get("type") == "Warning"]
    return " ".join(complaints[-1].split())[:400].rstrip(".") if complaints else ""


def _hint(state: str) -> str:
    if state == "Created":
        return "MIC has not been able to write to the scale set yet, read its log and check its role assignments"
    return "MIC has not taken it up, check that it runs and has a leader"


def _pods(client: Client, values: t.Iterable[str]) -> tuple[Pod, ...] | None:
    found = _unless_forbidden(lambda: client.list_all(POD, labels=labelled(values)))
    return None if found is None else tuple(Pod.parse(raw) for raw in found)


def labelled(values: t.Iterable[str]) -> str:
    return f"{SELECTOR_LABEL} in ({','.join(sorted(values))})"


def _unless_forbidden(read: t.Callable[[], tuple[Object, ...]]) -> tuple[Object, ...] | None:
    """None where the user may not read that; the pair itself can be managed without it."""
    try:
        return read()
    except ApiFailure as failure:
        if failure.status == 403 or failure.kind_missing:
            return None
        raise
