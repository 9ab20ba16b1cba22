# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The annotation by which the migration knows again what it has changed or made: JSON of what was there before.

What it says of a workload is decided in ``switching``, of service accounts and copies of bindings in ``account``.
"""

from __future__ import annotations

import json
import typing as t

from ..kubernetes.objects import annotations_of
from ..names import MIGRATION

Raw = t.Mapping[str, t.Any]


def read(raw: Raw) -> dict[str, t.Any] | None:
    """What the annotation of an object says; None where it has none. What is no JSON object is empty, as this
    collection never writes it."""
    text = annotations_of(raw).get(MIGRATION)
    if text is None:
        return None
    try:
        found = json.loads(text)
    except (TypeError, ValueError, RecursionError):
        found = None
    return found if isinstance(found, dict) else {}


def written(told: Raw) -> str:
    """The value of the annotation."""
    return json.dumps(told, sort_keys=True, separators=(",", ":"))
