# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Values in the record of a helm release that a person did not give: templates of the chart make objects of them."""

from __future__ import annotations

import typing as t

from ..removal import bundles
from .helm_releases import Release

Raw = t.Mapping[str, t.Any]

_PROGRAMS = ("Deployment", "DaemonSet")


def doubt(release: Release, given: Raw, live: t.Mapping[str, t.Sequence[Raw]]) -> str:
    """Why they are not passed to helm again; empty where they may be. ``live`` are the objects of the release by kind.

    ``given``: the values that a person gives now, in place of those of the record.
    """
    left = beside(release.values, given)
    unusual = bundles.unusual(left)
    if unusual:
        return f"its values {', '.join(unusual)} are none that are passed to helm again unseen"
    running = [part for image in _images(live) for part in _parts(image)]
    others = [each for each in bundles.images(left, (bundles.REPOSITORY,)) if each not in running]
    return f"it has other images than the chart and what runs ({', '.join(others)})" if others else ""


def beside(values: Raw, given: Raw) -> dict[str, t.Any]:
    """The values without those in whose place others are given."""
    found: dict[str, t.Any] = {}
    for key, value in values.items():
        if key not in given:
            found[key] = value
        elif isinstance(value, dict) and isinstance(given[key], dict):
            inner = beside(value, given[key])
            if inner:
                found[key] = inner
    return found


def _images(live: t.Mapping[str, t.Sequence[Raw]]) -> t.Iterator[str]:
    for kind in _PROGRAMS:
        for raw in live.get(kind, ()):
            for container in raw["spec"]["template"]["spec"].get("containers") or ():
                yield str(container.get("image", ""))


def _parts(image: str) -> t.Iterator[str]:
    """What values of the chart an image may have been named by, as ``bundles.images`` tells them."""
    repository, dummy, rest = image.rpartition("/")
    name, dummy, tag = rest.partition(":")
    yield f"image.repository {repository}"
    for program in ("mic", "nmi"):
        yield f"{program}.image {name}"
        yield f"{program}.tag {tag}"
