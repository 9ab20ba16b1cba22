# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""How wide tables are."""

from __future__ import annotations

# The variable that says how wide the terminal is, and what it is without it.
WIDTH, DEFAULT = "pod_identity_table_width", 80
# What the default callback puts around a line.
AROUND = 11


def width(given: object) -> int:
    """Longest line of a table, in characters, by the value of the variable; what is no number counts as unset."""
    try:
        return max(int(str(DEFAULT if given is None else given)), 20) - AROUND
    except ValueError:
        return DEFAULT - AROUND
