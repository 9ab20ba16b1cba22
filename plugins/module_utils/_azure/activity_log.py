# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Microsoft.Insights: the activity log."""

from __future__ import annotations

import datetime

from .._domain.azure import activity_log, arm_id
from .client import Arm, Body

_API = "2015-04-01"
_FIELDS = "caller,claims,correlationId,eventDataId,eventTimestamp,operationId,operationName,properties"


def of_group(arm: Arm, group: str, days: int) -> list[Body]:
    """The events of a resource group, given by its id, in the last days."""
    place = arm_id.parse(group)
    asked = activity_log.query(place.name, days, datetime.datetime.now(datetime.timezone.utc))
    path = f"/subscriptions/{place.subscription}/providers/Microsoft.Insights/eventtypes/management/values"
    doing = f"read the activity log of {group}"
    return arm.list(path, _API, doing=doing, query={"$filter": asked, "$select": _FIELDS}, named=False, kind="")
