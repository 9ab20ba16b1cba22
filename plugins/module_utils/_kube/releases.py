# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""A helm release with what speaks against its record, seen without a list of anything but its own Secrets."""

from __future__ import annotations

import typing as t
from dataclasses import replace

from .._domain.installation import helm_releases, release_values, residue
from .._domain.installation.helm_releases import Release
from .._domain.installation.trusted_namespaces import CHART, Belief
from .client import Client
from .errors import ApiFailure
from .inventory import CUSTOM, PARTS
from .kinds import DAEMON_SET, DEPLOYMENT, SECRET, Kind, Object

_KINDS: t.Mapping[str, Kind] = {kind.name: kind for kind in (*CUSTOM, *PARTS, DAEMON_SET, DEPLOYMENT)}


def find(client: Client, namespace: str, name: str, given: t.Mapping[str, t.Any]) -> Release | None:
    """The newest revision of the release; None where helm has no record of it.

    ``given``: values of the chart that are given now, in place of those of the record.
    """
    secrets = client.list_all(SECRET, namespace, labels=f"owner=helm,name={name}")
    if not secrets:
        return None
    release = next(iter(helm_releases.find(secrets)), None)
    if release is None:
        doubt = f"none of its revisions is of the chart {CHART}"
        return Release(namespace, name, revision=0, status="", version="", values={}, doubt=doubt)
    try:
        objects = helm_releases.named(release)
    except ValueError as error:  # nothing is asked of a cluster that a record chooses
        return replace(release, doubt=str(error))
    live: dict[str, list[Object]] = {}
    for named in objects:
        kind = _KINDS.get(named.kind)
        found = _get(client, kind, *named.place(namespace)) if kind else None
        if found is not None:
            live.setdefault(named.kind, []).append(found)
    parts = residue.installed(live)
    release = helm_releases.believed(release, Belief(frozenset({namespace})), live, parts)
    return release if release.doubt else replace(release, doubt=release_values.doubt(release, given, parts))


def object_of(client: Client, namespace: str, release: str, kind: str, name: str) -> Object | None:
    """An object as the newest revision of a release has it; None where there is none, or its record is odd."""
    import yaml  # the library needs it too

    found = next(
        iter(helm_releases.find(client.list_all(SECRET, namespace, labels=f"owner=helm,name={release}"))), None
    )
    if found is None or found.doubt:
        return None
    try:
        # What helm writes has no aliases, by which a short text becomes a large object.
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(found.manifest, Loader=yaml.SafeLoader)):
            return None
        documents = list(yaml.safe_load_all(found.manifest))
    except (yaml.YAMLError, ValueError, RecursionError):
        return None
    return next((each for each in documents if _is(each, kind, name)), None)


def _is(document: t.Any, kind: str, name: str) -> bool:
    metadata = document.get("metadata") if isinstance(document, dict) else None
    return isinstance(metadata, dict) and (document.get("kind"), metadata.get("name")) == (kind, name)


def _get(client: Client, kind: Kind, namespace: str, name: str) -> Object | None:
    try:
        return client.get(kind, namespace, name)
    except ApiFailure as failure:
        if not failure.kind_missing:
            raise
        return None
