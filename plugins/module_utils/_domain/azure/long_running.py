# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""When an ARM operation has ended. The state of a running one is free text (``CreatingAgentPools: 0/1 nodes``)."""

from __future__ import annotations

_SUCCEEDED = "succeeded"
_UNSUCCESSFUL = ("failed", "canceled", "cancelled")


def ended(state: str) -> bool:
    """Whether a status or ``provisioningState`` is final. An unknown text means: still running."""
    return state.lower() in (_SUCCEEDED, *_UNSUCCESSFUL)


def succeeded(state: str) -> bool:
    return state.lower() == _SUCCEEDED


def unsuccessful(state: str) -> bool:
    return state.lower() in _UNSUCCESSFUL
