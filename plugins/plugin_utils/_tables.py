# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""How wide tables are."""

from __future__ import annotations

import contextlib
import os

from ansible import constants as C

# The variable that says how wide tables are, and how wide they are where there is neither it nor a terminal.
WIDTH, DEFAULT = "pod_identity_table_width", 80
# What the default callback puts around a line.
AROUND = 11


def _terminal() -> int:
    """How wide the terminal is; 0 where the output goes to none."""
    with contextlib.suppress(OSError):
        return os.get_terminal_size(1).columns
    return 0


# This file is loaded in ansible-playbook itself, before its workers are forked, which have no terminal.
_TERMINAL = _terminal()


def width(given: object) -> int:
    """Longest line of a table, in characters, by the value of the variable; what is no number counts as unset."""
    widest = _TERMINAL or DEFAULT
    if _breaks_lines():
        widest = min(widest, DEFAULT)
    try:
        return max(int(str(widest if given is None else given)), 20) - AROUND
    except ValueError:
        return max(widest, 20) - AROUND


def _breaks_lines() -> bool:
    """Whether the callback writes YAML, which breaks longer lines itself."""
    with contextlib.suppress(Exception):  # another callback may have no such option
        found = C.config.get_config_value("result_format", plugin_type="callback", plugin_name="default")
        return bool(found == "yaml")
    return False
