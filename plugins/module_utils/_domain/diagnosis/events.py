# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Events of Kubernetes, as both of its APIs write them."""

from __future__ import annotations

from dataclasses import dataclass

from ..matching.matching import Raw


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
        about = raw.get("involvedObject") or raw.get("regarding") or {}
        place = "/".join(str(about[key]) for key in ("namespace", "name") if about.get(key))
        series = raw.get("series") or {}
        source = raw.get("source") or raw.get("deprecatedSource") or {}
        when = raw.get("lastTimestamp") or series.get("lastObservedTime") or raw.get("eventTime")
        return cls(
            object=f"{about.get('kind', '')} {place}".strip(),
            reason=str(raw.get("reason") or ""),
            message=str(raw.get("message") or raw.get("note") or ""),
            component=str(source.get("component") or raw.get("reportingComponent") or ""),
            warning=raw.get("type") == "Warning",
            count=int(raw.get("count") or series.get("count") or 1),
            time=str(when or (raw.get("metadata") or {}).get("creationTimestamp") or ""),
        )
