# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.azure import tags

some_tags = st.dictionaries(st.text(alphabet="abAB", min_size=1, max_size=3), st.text(max_size=3)).filter(
    lambda found: len({name.lower() for name in found}) == len(found)  # Azure holds no two that differ by case only
)


def test_values_become_text() -> None:
    assert tags.parse({"cost": 5, "empty": None}) == {"cost": "5", "empty": ""}
    assert tags.parse(None) is None


def test_a_name_keeps_its_spelling() -> None:
    assert tags.merge({"Team": "a", "keep": "1"}, {"team": "b"}, append=True) == {"Team": "b", "keep": "1"}
    assert tags.merge({"Team": "a", "drop": "1"}, {"team": "a"}, append=False) == {"Team": "a"}


@given(some_tags, st.booleans())
def test_unset_tags_are_not_touched(current: dict[str, str], append: bool) -> None:
    assert tags.merge(current, None, append=append) == current


@given(some_tags, some_tags, st.booleans())
def test_merging_twice_changes_nothing(current: dict[str, str], wanted: dict[str, str], append: bool) -> None:
    once = tags.merge(current, wanted, append=append)
    assert tags.merge(once, wanted, append=append) == once
    assert {name.lower(): value for name, value in wanted.items()}.items() <= {
        name.lower(): value for name, value in once.items()
    }.items()
