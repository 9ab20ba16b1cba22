# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Cases of a test that are part of the fixed set (`make test`), while the others are left to `make soak`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

import pytest
from _pytest.mark import ParameterSet

First = TypeVar("First")
Second = TypeVar("Second")


def fixed(cases: Iterable[object], *kept: object) -> list[ParameterSet]:
    """Return all cases as parameters; those in `kept`, given as values or as their text, are of the fixed set.

    A case that is a tuple is one value for each argument. Raises ValueError where one in `kept` is no case.
    """
    all_cases = list(cases)
    if missing := [each for each in kept if not any(_is(case, each) for case in all_cases)]:
        raise ValueError(f"no cases: {missing}")
    return [_parameter(case, any(_is(case, each) for each in kept)) for case in all_cases]


def pairs(first: Sequence[First], second: Sequence[Second], few: Sequence[First] = ()) -> list[ParameterSet]:
    """Return each pair; of the fixed set are as few as hold every one of `second` and every one of `first`.

    Of `few` instead, where those stand for all of `first`.
    """
    those = few or first
    turns = range(max(len(those), len(second)))
    kept = [(those[turn % len(those)], second[turn % len(second)]) for turn in turns]
    return [_parameter((one, other), (one, other) in kept) for one in first for other in second]


def _is(case: object, kept: object) -> bool:
    return case == kept or str(case) == kept


def _parameter(case: object, of_the_set: bool) -> ParameterSet:
    values = case if isinstance(case, tuple) else (case,)
    return pytest.param(*values, marks=() if of_the_set else pytest.mark.soak)
