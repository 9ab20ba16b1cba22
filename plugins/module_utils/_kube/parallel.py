# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Several attempts at the same time."""

from __future__ import annotations

import threading
import typing as t
from concurrent.futures import ThreadPoolExecutor

T = t.TypeVar("T")


def in_parallel(
    attempts: t.Sequence[t.Callable[[], T]], at_once: int, *, repeat_alone: t.Callable[[T], bool], stop: threading.Event
) -> list[T]:
    """What the attempts return, in their order; at most ``at_once`` run at the same time.

    One whose result ``repeat_alone`` says is made again once all others have ended, and no other beside it. What an
    attempt raises is raised here; then, as when this thread is interrupted, ``stop`` is set and it is waited until all
    attempts that have begun have ended. Attempts look at ``stop``.
    """
    with ThreadPoolExecutor(at_once) as pool:
        try:
            ended = list(pool.map(lambda attempt: attempt(), attempts))
            for number, result in enumerate(ended):
                if len(ended) > 1 and repeat_alone(result):
                    ended[number] = pool.submit(attempts[number]).result()
        except BaseException:
            stop.set()
            raise
    return ended
