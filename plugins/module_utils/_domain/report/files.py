# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Where the files of a report lie."""

from __future__ import annotations

import posixpath
import re
import typing as t
from dataclasses import dataclass

from ..errors import Failure

HTML, JSON, JUNIT, PROMETHEUS, CSV = FORMATS = ("html", "json", "junit", "prometheus", "csv")
# Of a folder, where nobody says which.
USUAL = (HTML, JSON)
_ENDINGS: t.Mapping[str, str] = {HTML: ".html", JSON: ".json", JUNIT: ".xml", PROMETHEUS: ".prom", CSV: ".csv"}
_STEM = "pod-identity-report"
_LONGEST_NAME = 60


@dataclass(frozen=True)
class Target:
    """``folder``: that the files are in, '' where one file is named. ``paths``: of the files, by their formats."""

    folder: str
    paths: t.Mapping[str, str]


def target(path: str, formats: t.Sequence[str] = ()) -> Target:
    """A path with the ending of a format is the one file; any other is a folder.

    Raises Failure where the file is to have another format.
    """
    named = next((each for each in FORMATS if path.endswith(_ENDINGS[each])), "")
    if not named:
        wanted = dict.fromkeys(formats or USUAL)
        return Target(path, {each: posixpath.join(path, f"{_STEM}{_ENDINGS[each]}") for each in wanted})
    others = [each for each in dict.fromkeys(formats) if each != named]
    if others:
        raise Failure(
            f"{path} is one file, of the format {named}, and {', '.join(others)} would have no place: name a folder, "
            "or that format alone."
        )
    return Target("", {named: path})


def pages(path: str, clusters: t.Iterable[str]) -> dict[str, str]:
    """Names of the files with the pages of clusters, beside the page ``path`` that leads to them.

    Whatever a cluster is called, its file has a plain name.
    """
    stem, ending = posixpath.splitext(posixpath.basename(path))
    found: dict[str, str] = {}
    for cluster in clusters:
        plain = re.sub(r"[^a-z0-9]+", "-", cluster.lower(), flags=re.ASCII)[:_LONGEST_NAME].strip("-") or "cluster"
        name, number = f"{stem}-{plain}{ending}", 1
        while name in found.values():
            number += 1
            name = f"{stem}-{plain}-{number}{ending}"
        found[cluster] = name
    return found
