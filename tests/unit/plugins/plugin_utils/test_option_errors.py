# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

from ansible_collections.azureops.pod_identity.plugins.plugin_utils._option_errors import wrong
from ansible_collections.azureops.pod_identity.tests.unit.tables import table

KIND, MISSPELT = {"type": "int", "choices": [0, 1]}, {"name": "b", "slector": 1}
ENTRIES = {
    "type": "list",
    "elements": "dict",
    "options": {"name": {"required": True}, "type": KIND, "selector": {}, "roles": {"type": "list", "elements": "str"}},
}


@table(
    "option, value, told",
    ({"type": "int"}, "ten", ["x is 'ten', not a whole number."]),
    ({"type": "int"}, "10", []),
    ({"type": "bool"}, "maybe", ["x is 'maybe', not true or false."]),
    ({"type": "bool"}, "no", []),
    ({"type": "dict"}, "text", ["x is a text, not a dictionary."]),
    ({"type": "list", "elements": "str"}, 5, []),
    ({"type": "list", "elements": "int"}, [1, "b"], ["x, entry 2 is 'b', not a whole number."]),
    ({}, ["a"], ["x is a list, not a text."]),
    ({"no_log": True}, {"a": "secret"}, ["x is a dictionary, not a text."]),
    ({"choices": ["chart", "addon"]}, "Chart", ["x is 'Chart'; it is one of chart, addon."]),
    ({"choices": ["chart", "addon"]}, None, []),
    ({"type": "int", "no_log": True}, "hidden", ["x is a text, not a whole number."]),
    ({"type": "list", "elements": "int", "no_log": True}, ["hidden"], ["x, entry 1 is a text, not a whole number."]),
    ({"required": True}, None, ["x is missing."]),
    (ENTRIES, [{"name": "a", "type": 1}], []),
    (ENTRIES, "a", ["x, entry 1 is a text, not a dictionary; write `- name: a`."]),
    (ENTRIES, [{"name": ""}], ["x, entry 1: name is empty."]),
    (ENTRIES, [None], ["x, entry 1 is missing."]),
    (ENTRIES, [{"selector": "s"}], ["x, entry 1: name is missing."]),
    (ENTRIES, [{"name": "a"}, MISSPELT], ["x, entry 2 (b) has no key slector; did you mean selector?"]),
    (ENTRIES, [{"name": "a", "type": 7}], ["x, entry 1 (a): type is 7; it is one of 0, 1."]),
    (ENTRIES, [{"name": "a", "roles": [["b"]]}], ["x, entry 1 (a): roles, entry 1 is a list, not a text."]),
    (ENTRIES, [{"name": "a", "zzz": 1}], ["x, entry 1 (a) has no key zzz; it has name, roles, selector, type."]),
)
def test_sentences(option: dict[str, Any], value: Any, told: list[str]) -> None:
    assert list(wrong("x", option, value)) == told
