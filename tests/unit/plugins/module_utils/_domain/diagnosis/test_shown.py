# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is shown of a text that anybody may have written."""

from __future__ import annotations

import shlex

from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.commands import shell
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.diagnosis.shown import shown


def test_what_is_shown() -> None:
    plain = "E: it is odd \N{COLLISION SYMBOL} \\x00 {{ 7*7 }}"
    assert shown(plain) == plain
    assert shown("\x07\r\n\t\x1b\x7f\x85\u202e\ud800") == "\\x07\\r\\n\\t\\x1b\\x7f\\x85\\u202e\\ud800"
    assert shown("x" * 11, 10) == "xxxxxx ..." and shown("x" * 10, 10) == "x" * 10
    assert shown("it got eyJ0eXAiOiJKV1Qi.eyJhdWQiOiJh.c2ln for this") == "it got (a token) for this"
    assert shown("\n" * 6, 10) == "\\n\\n\\n ..."


@given(st.text(), st.integers(10, 50))
def test_any_text(text: str, longest: int) -> None:
    found = shown(text, longest)
    assert found.isprintable() and len(found) <= longest
    assert shown(found, longest) == found


@given(st.lists(st.text(), min_size=1))
def test_a_name_in_a_command_is_one_word(words: list[str]) -> None:
    assert shlex.split(shell(*words)) == words


def test_a_long_name_in_a_command_is_whole() -> None:
    assert shell("kubectl", "n" * 3_000) == f"kubectl {'n' * 3_000}"
