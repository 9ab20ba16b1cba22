# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Times as the API server, the kubelet and Azure write them."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone

_FORM = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.\d{1,9})?(Z|[+-]\d\d:\d\d)", re.ASCII)

# What a log or an event tells counts for so long: what stands in the way of MIC or NMI is told again within it.
_LATELY = timedelta(minutes=15)


def moment(text: object) -> datetime | None:
    """A time of RFC 3339, to the second; None for what is none."""
    found = _FORM.fullmatch(text) if isinstance(text, str) else None
    try:
        return datetime.fromisoformat(found[1] + found[2].replace("Z", "+00:00")) if found else None
    except ValueError:
        return None


def lately(text: object, now: datetime) -> bool:
    """Whether a time is of the last minutes; what is no time is not."""
    when = moment(text)
    return when is not None and now - when <= _LATELY


def written(when: datetime) -> str:
    """A time as RFC 3339, in UTC, to the second."""
    return when.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def of_epoch(seconds: float) -> str:
    """The same of seconds since 1970; '' for what is no time of the years 1 to 9999."""
    try:
        return written(datetime.fromtimestamp(seconds, timezone.utc))
    except (ValueError, OverflowError, OSError):
        return ""
