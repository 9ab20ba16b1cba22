# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""What of AAD Pod Identity is in a cluster, one list per kind, and its removal."""

from __future__ import annotations

import functools
import typing as t

from .._domain.errors import Failure
from .._domain.installation import helm_releases
from .._domain.installation.chart_manifest import FINALIZER
from .._domain.needs import KubernetesNeed
from .._domain.removal import removal
from .client import Client
from .errors import ApiFailure
from .inventory import CUSTOM, PARTS, read_custom, read_parts
from .kinds import AAD_POD_IDENTITY, DAEMON_SET, DEPLOYMENT, SECRET, Kind, Object
from .needs import need
from .wait import wait_for

_KINDS: t.Mapping[str, Kind] = {kind.name: kind for kind in (*CUSTOM, *PARTS, SECRET, DAEMON_SET, DEPLOYMENT)}


def observe(client: Client, namespaces: t.Iterable[str] = ()) -> removal.Observed:
    """Releases of helm are looked for in ``namespaces``, and where what is there says that its release is.

    Nowhere else, because to list Secrets is a right that opens all of them, and a tenant writes his own.
    """
    namespaces = tuple(namespaces)
    found = read_custom(client)
    found.update({kind.name: client.list_all(kind) for kind in (DAEMON_SET, DEPLOYMENT)})
    read_parts(client.list_all, found, namespaces)
    return removal.Observed.parse(found, functools.lru_cache(maxsize=None)(client.kinds_of), namespaces)


def repair(client: Client, release: helm_releases.Release, *, dry_run: bool = False) -> None:
    """Write its record anew, unless helm has written it meanwhile."""
    secret = client.get(SECRET, release.namespace, release.secret)
    if secret is None or not any(each.manifest == release.manifest for each in helm_releases.find([secret])):
        return
    patch = dict(helm_releases.repaired(secret, functools.lru_cache(maxsize=None)(client.kinds_of)))
    version = {"resourceVersion": secret["metadata"]["resourceVersion"]}
    patch["metadata"] = {**patch["metadata"], **version}
    client.merge(SECRET, release.namespace, release.secret, patch, dry_run=dry_run)


def need_of_repair(release: helm_releases.Release) -> KubernetesNeed:
    return need(SECRET, release.namespace, "patch")


def need_of_removal(going: removal.Removal) -> KubernetesNeed:
    leaving = going.live["metadata"].get("deletionTimestamp")
    verbs = (*(() if leaving else ("delete",)), *(("patch",) if going.releases_finalizer else ()))
    return need(_KINDS[going.kind], going.namespace, *verbs)


def remove(client: Client, going: removal.Removal, *, dry_run: bool = False) -> None:
    """Delete the object; where MIC's finalizer is taken from it, no other is."""
    kind, metadata = _KINDS[going.kind], going.live["metadata"]
    if not metadata.get("deletionTimestamp"):
        conditions = {"uid": metadata["uid"]}
        client.delete(kind, going.namespace, going.name, preconditions=conditions, dry_run=dry_run)
    if going.releases_finalizer and not dry_run:
        left = [name for name in metadata["finalizers"] if name != FINALIZER]
        patch = {"metadata": {"uid": metadata["uid"], "finalizers": left or None}}
        try:
            client.merge(kind, going.namespace, going.name, patch)
        except ApiFailure as failure:
            if not failure.object_missing:
                raise


def wait_gone(client: Client, going: t.Sequence[removal.Removal], *, timeout: float, pause: float) -> None:
    """Wait until none of them is there that others do not hold (``removal.is_held``); one list per kind and look."""
    left: list[removal.Removal] = list(going)

    def look() -> bool | None:
        there = {kind: _there(client, kind) for kind in {each.kind for each in left}}
        left[:] = [each for each in left if _uid(each.live) in there[each.kind]]
        return True if not left else None

    if wait_for(look, f"of {len(going)} objects some are not gone yet", timeout=timeout, pause=pause) is None:
        held = [f"{each.label} ({_why(client, each)})" for each in left]
        raise Failure(
            f"After {timeout:g} seconds {held[0]} is still there"
            + (f", and {len(held) - 1} more" if len(held) > 1 else "")
            + ": look who holds it, and run this again.",
            results={"left": held},
        )


def _there(client: Client, kind: str) -> frozenset[str]:
    try:
        return frozenset(_uid(each) for each in client.list_all(_KINDS[kind]) if not removal.is_held(kind, each))
    except ApiFailure as failure:
        if failure.kind_missing and _KINDS[kind].group == AAD_POD_IDENTITY:
            return frozenset()
        raise


def _why(client: Client, going: removal.Removal) -> str:
    live = client.get(_KINDS[going.kind], going.namespace or None, going.name) or {"metadata": {}}
    finalizers = live["metadata"].get("finalizers") or ()
    return f"held by the finalizer {', '.join(finalizers)}" if finalizers else "it was not deleted yet"


def _uid(raw: Object | t.Mapping[str, t.Any]) -> str:
    return str(raw["metadata"]["uid"])
