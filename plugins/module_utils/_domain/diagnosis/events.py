# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Events of Kubernetes, as both of its APIs write them. Whoever may create events in a namespace writes any text."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ..installation.chart_manifest import GROUP
from ..matching.matching import Raw
from .logs import LONGEST_LINE
from .shown import shown

# The source that MIC gives its events.
MIC_COMPONENT = GROUP


@dataclass(frozen=True)
class Event:
    """``object``: label of what it is about. ``count``: how often it happened until ``time``, which is RFC 3339."""

    object: str
    reason: str
    message: str
    component: str = ""
    warning: bool = False
    count: int = 1
    time: str = ""

    @classmethod
    def parse(cls, raw: Raw) -> Event:
        """Of any object; what does not belong into an event counts as not there."""
        about = _part(raw, "involvedObject") or _part(raw, "regarding")
        place = "/".join(text for text in (_text(about, "namespace"), _text(about, "name")) if text)
        series, source = _part(raw, "series"), _part(raw, "source") or _part(raw, "deprecatedSource")
        return cls(
            object=f"{_text(about, 'kind')} {place}".strip(),
            reason=_text(raw, "reason"),
            message=_text(raw, "message", LONGEST_LINE) or _text(raw, "note", LONGEST_LINE),
            component=_text(source, "component") or _text(raw, "reportingComponent"),
            warning=raw.get("type") == "Warning",
            count=_number(raw, "count") or _number(series, "count") or 1,
            time=_text(raw, "lastTimestamp")
            or _text(series, "lastObservedTime")
            or _text(raw, "eventTime")
            or _text(_part(raw, "metadata"), "creationTimestamp"),
        )


def _part(raw: Raw, name: str) -> Raw:
    found = raw.get(name)
    return t.cast("Raw", found) if isinstance(found, dict) else {}


def _text(raw: Raw, name: str, longest: int = 300) -> str:
    found = raw.get(name)
    return shown(found, longest) if isinstance(found, str) else ""


def _number(raw: Raw, name: str) -> int:
    found = raw.get(name)
    return found if isinstance(found, int) and not isinstance(found, bool) and found > 0 else 0
