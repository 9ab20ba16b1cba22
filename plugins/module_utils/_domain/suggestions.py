# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""What a name that is not known may have been meant to be."""

from __future__ import annotations

import difflib
import typing as t


def closest(name: str, known: t.Iterable[str], cutoff: float = 0.85) -> str:
    """The known name that is most like it; empty where none is. ``cutoff``: how like it must be, from 0 to 1."""
    return next(iter(difflib.get_close_matches(name, list(known), n=1, cutoff=cutoff)), "")
