# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a merge patch would change, against a server's way to apply it."""

from __future__ import annotations

from typing import Any

from hypothesis import example, given
from hypothesis import strategies as some

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.kubernetes import patches
from ansible_collections.azureops.pod_identity.tests.unit.tables import for_each

SCALARS = some.none() | some.booleans() | some.integers(0, 2) | some.sampled_from(["a", "b"])
VALUES = some.recursive(
    SCALARS | some.lists(some.sampled_from(["a", "b"]), max_size=2),
    lambda inner: some.dictionaries(some.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
OBJECTS = some.dictionaries(some.sampled_from("abc"), VALUES, max_size=3)


def merged(target: Any, patch: Any) -> Any:
    """RFC 7386, section 2."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merged(result.get(name), value)
    return result


def bare(value: Any) -> Any:
    """Without fields that hold nothing: to Kubernetes a field that is empty is one that is not there."""
    if not isinstance(value, dict):
        return value
    kept = {name: bare(each) for name, each in value.items()}
    return {name: each for name, each in kept.items() if each not in (None, {})}


@given(OBJECTS, OBJECTS)
@example({"b": 1}, {"b": True})
def test_a_patch_holds_where_it_changes_nothing(live: dict[str, Any], patch: dict[str, Any]) -> None:
    live = bare(live)
    # True is 1 to Python and not to JSON.
    assert patches.holds(live, patch) == (repr(bare(merged(live, patch))) == repr(live))
    assert patches.holds(merged(live, patch), patch)


@given(OBJECTS, OBJECTS)
def test_what_a_patch_makes_of_an_object(live: dict[str, Any], patch: dict[str, Any]) -> None:
    before = repr((live, patch))
    assert patches.merged(live, patch) == merged(live, patch)
    assert repr((live, patch)) == before, "neither is changed"


@given(OBJECTS)
def test_a_patch_touches_what_it_names(live: dict[str, Any]) -> None:
    assert patches.touched(live, live) == live
    assert patches.touched(live, {}) == {}


@for_each(
    ({"a": 1, "b": 2}, {"a": 3}, {"a": 1}),
    ({"metadata": {"labels": {"x": "1", "y": "2"}}}, {"metadata": {"labels": {"x": None}}}, None),
    ({"a": [1, 2]}, {"a": [3]}, {"a": [1, 2]}),
    ({}, {"a": {"b": 1}}, {}),
)
def test_what_is_shown_of_before(live: dict[str, Any], patch: dict[str, Any], shown: Any) -> None:
    assert patches.touched(live, patch) == ({"metadata": {"labels": {"x": "1"}}} if shown is None else shown)


def test_of_data_its_names_are_shown_and_which_changes() -> None:
    given_data = {"same": "c2FtZQ==", "new": "bmV3", "other": "bmV3"}
    assert patches.hidden(given_data, {"same": "c2FtZQ==", "other": "b2xk"}) == {
        "same": "(not shown)",
        "new": "(not shown)",
        "other": "(not shown, changed)",
    }
