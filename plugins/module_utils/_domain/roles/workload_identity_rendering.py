# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""What the role workload_identity_migration renders for those who change manifests themselves."""

from __future__ import annotations

import posixpath
import typing as t
from dataclasses import dataclass

from ..diagnosis.shown import shown
from ..matching.matching import pod_template
from ..migration import rendering, stages, switching
from ..migration.owners import ADDON, NOBODY, OPERATOR, Owner
from ..migration.rendering import Manifest
from ..migration.stages import Mover
from .part import Raw, Run, refuse

_FIXED = (ADDON, OPERATOR)


@dataclass(frozen=True)
class Options:
    soak_seconds: int = 7200


@dataclass(frozen=True)
class Found:
    """``movers``: those that are rendered. ``home``: where the files of the cluster are. ``links``: paths of symbolic
    links that are in the way there, or beside it."""

    movers: tuple[Mover, ...]
    home: str
    cluster: str
    links: tuple[str, ...] = ()

    @classmethod
    def parse(cls, observed: Raw) -> Found:
        work = observed["work"]
        movers = tuple(one for one in map(Mover.parse, work["movers"]) if one.key in work["rendering"])
        cluster = str((observed.get("cluster") or {}).get("name") or "")
        home = posixpath.join(observed["directory"], observed["host"])
        return cls(movers, home, cluster, tuple(observed["links"]))


@dataclass(frozen=True)
class File:
    path: str
    text: str


@dataclass(frozen=True)
class Rendered:
    """``directories``: of the files."""

    directories: tuple[str, ...]
    files: tuple[File, ...]


def render(options: Options, found: Found, _run: Run) -> Rendered:
    """Raises Refused where a symbolic link is in the way, which may lead out of the directory."""
    files: list[File] = []
    for one in found.movers:
        made = manifest(one, options.soak_seconds, found.cluster)
        if made is not None:
            files += [File(f"{found.home}/{path}", text) for path, text in rendering.files(made).items()]
    directories = tuple(dict.fromkeys(each.path.rpartition("/")[0] for each in files))
    refuse(_through_links(found.links, [*directories, *(each.path for each in files)]))
    return Rendered(directories, tuple(files))


def _through_links(links: t.Iterable[str], paths: t.Sequence[str]) -> t.Iterator[str]:
    for link in sorted(map(posixpath.normpath, links)):
        if any(f"{posixpath.normpath(path)}/".startswith(f"{link}/") for path in paths):
            yield (
                f"{shown(link)} is a symbolic link, through which nothing is written; remove it, or name another "
                "workload_identity_migration_directory."
            )


def manifest(one: Mover, soak_seconds: int, cluster: str = "") -> Manifest | None:
    """None where nobody could apply a change of its template: its maker would undo that."""
    kind, _space, name = one.owner.partition(" ")
    if one.now is None or one.kind not in switching.KINDS or kind in _FIXED:
        return None
    return Manifest(
        api_version=switching.KINDS[one.kind],
        kind=one.kind,
        namespace=one.namespace,
        name=one.name,
        now=one.now,
        account=one.new_account,
        client_id="" if one.own_client_id else one.client_id,
        proxy=one.proxy,
        owner=Owner(kind or NOBODY, name),
        cluster=cluster,
        leaves=leaves(one),
        soak_seconds=soak_seconds,
        notes=one.notes,
    )


def leaves(one: Mover) -> bool:
    """Whether it is proved, so that AAD Pod Identity may go."""
    return one.state == stages.SOAKING and one.soaked


def said(one: Mover) -> str:
    """What its owner has merged, and has to merge."""
    made = manifest(one, 0)
    if made is None:
        return ""
    return rendering.told(made, rendering.recognized(made, one.earlier, patched=one.mark))


def former(raw: Raw | None, revisions: t.Iterable[Raw]) -> t.Iterator[Raw]:
    """Templates of a workload among ReplicaSets and ControllerRevisions."""
    uid = ((raw or {}).get("metadata") or {}).get("uid")
    for each in revisions:
        owners = (each.get("metadata") or {}).get("ownerReferences") or ()
        if uid and any(owner.get("uid") == uid for owner in owners):
            yield from filter(None, [pod_template(each.get("data") or each)])
