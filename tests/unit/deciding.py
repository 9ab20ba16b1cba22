# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs for which a part of a role decides, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.roles.part import Refused, Run

Raw = dict[str, Any]
RUN, CHECK = Run(), Run(check_mode=True)


def only(*tags: str) -> Run:
    """Return a run with these tags."""
    return Run(tags=tags)


def refusal(decide: Callable[..., object], *given: Any, **options: Any) -> Refused:
    """Return the refusal of a decision."""
    with pytest.raises(Refused) as refused:
        decide(*given, **options)
    return refused.value


def sentences(decide: Callable[..., object], *given: Any, **options: Any) -> tuple[str, ...]:
    """Return the sentences with which it refuses; none where it does not."""
    try:
        decide(*given, **options)
    except Refused as refused:
        return refused.sentences
    return ()


def each_has(told: Sequence[str], parts: Sequence[str]) -> bool:
    """Tell whether there are as many sentences as parts, and each has its part."""
    return len(told) == len(parts) and all(map(str.__contains__, told, parts))
