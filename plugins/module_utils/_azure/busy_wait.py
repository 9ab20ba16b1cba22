# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""A machine, a scale set or an identity does one thing at a time: waiting until it is free."""

from __future__ import annotations

import typing as t

from .._domain.errors import Failure
from .client import Arm
from .errors import Refused

Answer = t.TypeVar("Answer")


def in_turn(arm: Arm, attempt: t.Callable[[], Answer | None], doing: str, *, other: str, timeout: float) -> Answer:
    """What ``attempt`` returns once the resource is free; ``other`` words what it may still be doing.

    It is busy where the attempt is refused for that, or returns None.
    """
    sooner = timeout < arm.patience.left()
    limit, option = (timeout, "busy_timeout") if sooner else (arm.patience.timeout, "wait_timeout")
    error: t.Mapping[str, t.Any] = {}
    for _look in arm.patience.looks(f"{doing}: {other} is in progress there", at_most=timeout):
        error = {}
        try:
            answer = attempt()
            if answer is not None:
                return answer
        except Refused as refused:
            if not _is_busy(refused):
                raise
            error = refused.error
    raise Failure(
        f"Could not {doing}: {other} is still in progress there after {limit:g} seconds; wait for its end, or raise "
        f"{option}.",
        error=error,
    )


def is_taken(refused: Refused) -> bool:
    """Whether it was refused, or given up by Azure, for somebody else's operation."""
    text = f"{refused.service.code} {refused.service.message}".lower()
    conflict = refused.service.status == 409 and ("in progress" in text or "concurrent" in text)
    return conflict or refused.service.code == "OperationPreempted"


def _is_busy(refused: Refused) -> bool:
    return is_taken(refused) or refused.service.status == 429
