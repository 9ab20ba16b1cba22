# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""YAML that is written without a library says what was given."""

from __future__ import annotations

from typing import Any

import yaml
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain import yaml_text
from ansible_collections.azureops.pod_identity.tests.unit.tables import table

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
LEAVES = st.none() | st.booleans() | TEXT
TREES = st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner), max_leaves=12)


@given(value=st.dictionaries(TEXT, TREES))
def test_what_is_read_is_what_was_written(value: dict[str, Any]) -> None:
    text = yaml_text.text(value)
    assert (yaml.safe_load(text) or {}) == value
    assert all(sign == "\n" or sign.isprintable() for sign in text)


@table(
    "value, written",
    ("orders", "orders"),
    ("apps/v1", "apps/v1"),
    ("azure.workload.identity/use", "azure.workload.identity/use"),
    ("true", '"true"'),
    ("No", '"No"'),
    ("1e5", '"1e5"'),
    ("", '""'),
    ("a: b", '"a: b"'),
    ("- a", '"- a"'),
    ("a\nb", '"a\\nb"'),
    ("\ud800", '"\\uFFFD"'),
    ("\u202e", '"\\U0000202E"'),
    (None, "null"),
    (False, "false"),
)
def test_text_that_yaml_would_take_for_something_else_is_quoted(value: Any, written: str) -> None:
    assert yaml_text.scalar(value) == written


def test_a_block_stands_as_it_is() -> None:
    text = yaml_text.text({"patches": [{"patch": yaml_text.Block("a: b\nc:\n  d: e\n")}]})
    assert text == "patches:\n  - patch: |\n      a: b\n      c:\n        d: e\n"
    assert yaml.safe_load(text) == {"patches": [{"patch": "a: b\nc:\n  d: e\n"}]}
