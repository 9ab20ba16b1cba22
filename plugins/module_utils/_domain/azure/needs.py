# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The permissions that writes of Azure resources need, and which of those that are missing the planned writes need.

Apart from ``_domain/needs.py``, which is sent to nodes.
"""

from __future__ import annotations

import typing as t

from ..needs import AzureNeed, Raw
from . import arm_id, azure_roles

_GROUP = "Microsoft.Resources/subscriptions/resourceGroups"


def on(resource: str, *verbs: str) -> tuple[AzureNeed, ...]:
    """To do this to a resource or resource group, such as ``write``; nothing where its id is still to come."""
    if not resource.startswith("/"):
        return ()
    kind = arm_id.parse(resource).type or _GROUP
    return (AzureNeed(resource, tuple(f"{kind}/{verb}" for verb in verbs)),)


def assignments(scope: str, verb: str) -> tuple[AzureNeed, ...]:
    """To ``write`` or ``delete`` role assignments there; nothing where the scope is still to come."""
    return (AzureNeed(scope, (f"{azure_roles.KIND}/{verb}",)),) if scope.startswith("/") else ()


def planned(results: t.Iterable[Raw]) -> tuple[Raw, ...]:
    """The permissions that predictions name, also those of loops; what was not predicted names none."""
    each = [one for result in results for one in (result, *(result.get("results") or ()))]
    return tuple(permission for one in each for permission in one.get("permissions") or ())


def covers(permission: Raw, missing: Raw) -> bool:
    """Whether a permission of a prediction needs what permission_info or access_review_info found missing.

    What was asked for at a wider scope, or of the whole cluster, is needed by what lies in it.
    """
    if "action" in missing:
        actions = [action.lower() for action in permission.get("actions") or ()]
        return missing["action"].lower() in actions and arm_id.contains(missing["scope"], permission["scope"])
    names = ("resource", "api_group", "subresource")
    same = all(missing[name] == permission.get(name) for name in names)
    return same and missing["verb"] in permission["verbs"] and missing["namespace"] in ("", permission["namespace"])
