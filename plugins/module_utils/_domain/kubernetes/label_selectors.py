# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Whether a label selector of Kubernetes selects labels."""

from __future__ import annotations

import typing as t

from ..matching.matching import Raw


def selects(selector: Raw, labels: t.Mapping[str, str]) -> bool:
    """An empty selector selects everything. An operator that Kubernetes does not have selects nothing."""
    same = all(labels.get(key) == value for key, value in (selector.get("matchLabels") or {}).items())
    return same and all(holds(each, labels) for each in selector.get("matchExpressions") or ())


def holds(expression: Raw, labels: t.Mapping[str, str]) -> bool:
    """Whether one of its expressions does."""
    value, operator = labels.get(str(expression.get("key"))), str(expression.get("operator"))
    listed = value in (expression.get("values") or ())
    return {
        "In": listed,
        "NotIn": not listed,
        "Exists": value is not None,
        "DoesNotExist": value is None,
    }.get(operator, False)
