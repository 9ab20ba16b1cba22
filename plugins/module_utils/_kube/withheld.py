# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Refusals without the reason of the server, where that may quote what nobody is to see."""

from __future__ import annotations

from .._domain.errors import UNEXPECTED
from .errors import ApiFailure


def withheld(failure: ApiFailure, verb: str, what: str, may_quote: str, command: str) -> ApiFailure:
    """The failure without what the server said, which may quote something; ``command`` shows it to who may see it."""
    if failure.reason == UNEXPECTED:  # of such an answer only its kind is told
        return failure
    sentence = failure.sentence
    reason = f"{failure.status} {failure.reason}" if failure.reason != str(failure.status) else failure.reason
    if failure.message_told:
        sentence = (
            f"The API server refuses to {verb} {what} ({reason}); its reason is not told "
            f"here, because it may quote {may_quote}: {command} shows it."
        )
    return ApiFailure(sentence, status=failure.status, reason=failure.reason, details={}, message="")
