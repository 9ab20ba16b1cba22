# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Waiting for a condition, with a bound."""

from __future__ import annotations

import time
import typing as t

from .. import _progress
from .._domain.errors import Failure

T = t.TypeVar("T")
_FIRST_PAUSE = 0.5


def wait_for(look: t.Callable[[], T | None], waiting: str = "", *, timeout: float, pause: float) -> T | None:
    """Look until something is seen; None where that did not happen within ``timeout`` seconds. Looks at least once.

    Much is seen soon, so pauses are short at first and double until they are ``pause``.
    ``waiting`` says for what, and is told where that takes long.
    A look that fails for a reason that may pass has seen nothing; that failure is raised where the last look ended so.
    """
    began = time.monotonic()
    end = began + timeout
    next_pause = min(_FIRST_PAUSE, pause)
    while True:
        failure, seen = None, None
        try:
            seen = look()
        except Failure as error:
            if not error.temporary:
                raise
            failure = error
        if seen is not None:
            return seen
        remaining = end - time.monotonic()
        if remaining <= 0:
            if failure:
                raise failure
            return None
        if waiting and time.monotonic() - began >= _progress.SLOW:
            _progress.tell(waiting)
        time.sleep(min(next_pause, remaining))
        next_pause = min(2 * next_pause, pause)
