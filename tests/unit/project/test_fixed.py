# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which cases of a test are of the fixed set is written in its file."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from _pytest.mark import ParameterSet

from ansible_collections.azureops.pod_identity.tests.support.fixed import fixed, pairs


def kept(parameters: Iterable[ParameterSet]) -> list[tuple[object, ...]]:
    return [tuple(each.values) for each in parameters if not each.marks]


def test_cases_are_kept_by_value_or_by_their_text() -> None:
    assert kept(fixed(range(5), 3, "4")) == [(3,), (4,)]
    assert kept(fixed([("a", 1), ("b", 2)], ("b", 2))) == [("b", 2)]
    assert len(fixed(range(5), 3)) == 5


def test_a_case_that_is_gone_is_refused() -> None:
    with pytest.raises(ValueError, match="no cases: \\['gone'\\]"):
        fixed(["here"], "gone")


@pytest.mark.parametrize(("first", "second"), [(5, 3), (3, 5), (4, 4), (1, 6)])
def test_pairs_hold_each_of_both_in_as_few_as_can_be(first: int, second: int) -> None:
    made = pairs(range(first), range(second))
    assert len(made) == first * second
    assert len(kept(made)) == max(first, second)
    assert {one for one, _other in kept(made)} == set(range(first))
    assert {other for _one, other in kept(made)} == set(range(second))


def test_few_stand_for_all() -> None:
    made = pairs(range(9), range(3), few=[4, 7])
    assert len(made) == 27
    assert kept(made) == [(4, 0), (4, 2), (7, 1)]
