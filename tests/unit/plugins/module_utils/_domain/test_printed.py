# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""No text of others moves a cursor, changes a colour or turns the direction of what is read."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain import names, table
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.errors import Failure
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.printed import each_printed, printed
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.roles.part import Refused

HOSTILE = "a\x1b[31m\x9b0m\u202eb\u2066\x07\x1b]8;;http://x\x1b\\\r"


def test_signs_that_are_no_text_are_shown_as_what_they_are() -> None:
    assert printed("Zoë's 名前") == "Zoë's 名前"
    assert printed("one\ntwo\tthree") == "one two three"
    assert printed("\x1b[31m\x9b\u202e\u00a0") == "\\x1b[31m\\x9b\\u202e\\xa0"
    assert each_printed({"a": ["\x1b", {"b": "\x07"}], "c": 1}) == {"a": ["\\x1b", {"b": "\\x07"}], "c": 1}


@given(st.text())
def test_whatever_it_is(text: str) -> None:
    assert printed(text).isprintable()
    assert printed(printed(text)) == printed(text)


def test_each_way_out_passes_there() -> None:
    failure = Failure(f"There is no {HOSTILE}.", error={"message": HOSTILE})
    ways = [
        *(failure.sentence, str(failure), failure.error["message"]),
        *(str(Refused(HOSTILE)), *Refused(HOSTILE).sentences),
        names.listed([HOSTILE, HOSTILE]),
        *table.render(["a", "b"], [[HOSTILE, "x"], ["y", HOSTILE]], 60),
    ]
    assert [each for each in ways if not each.isprintable()] == []
    assert all("\\x1b[31m" in each for each in ways if "a" in each and "b\\u2066" in each)
