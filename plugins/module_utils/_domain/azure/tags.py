# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Tags of ARM resources."""

from __future__ import annotations

import typing as t

Tags = t.Mapping[str, str]


def parse(option: t.Mapping[str, t.Any] | None) -> dict[str, str] | None:
    """The option ``tags`` as Azure wants it (values are text); None where it is unset."""
    if option is None:
        return None
    return {str(name): "" if value is None else str(value) for name, value in option.items()}


def merge(current: Tags | None, wanted: Tags | None, *, append: bool) -> dict[str, str]:
    """The tags to be. Azure compares names without case; a name keeps the spelling that it has already."""
    present = dict(current or {})
    if wanted is None:
        return present
    spelling = {name.lower(): name for name in present}
    named = {spelling.get(name.lower(), name): value for name, value in wanted.items()}
    return {**present, **named} if append else named
