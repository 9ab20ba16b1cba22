# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Shows what a module says that it is waiting for."""

from __future__ import annotations

import time

from ansible.utils.display import Display

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.run_changes import elapsed

# Seconds between two looks, and after how many a line that has not changed is shown again.
LOOK, _AGAIN = 2.0, 60.0
_LONGEST_LINE = 400


class Lines:
    """Shows what is new, and after a while what is not. ``quiet``: seconds in which nothing is shown yet.

    On standard error, so that a callback that writes JSON to standard output stays parseable.
    """

    def __init__(self, where: str, quiet: float = 0) -> None:
        self._where, self._quiet = where, quiet
        self._began = time.monotonic()
        self._shown, self._shown_at = "", self._began

    def show(self, line: str) -> None:
        now = time.monotonic()
        if now - self._began < self._quiet:
            return
        if line and (line != self._shown or now - self._shown_at >= _AGAIN):
            Display().display(f"[{self._where}] {line} ({elapsed(now - self._began)} waited)", stderr=True)
            self._shown, self._shown_at = line, now


def one_line(said: str) -> str:
    """What a service says is not to move the cursor."""
    return "".join(sign if sign.isprintable() else " " for sign in said).strip()[:_LONGEST_LINE]
