# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Answers out of what a script printed. What shells make of scripts is tested in tests/node."""

from __future__ import annotations

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.errors import Failure
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.nodes import raw_commands

PRINTED = "T\n-A x\n\nother 0\n\nT 0\n\nT\n\nT 4\nit failed\nbadly\nT\nT end\n"


def test_outputs_errors_and_statuses_are_told_apart() -> None:
    assert raw_commands.answers("T", PRINTED) == [(0, "-A x\n\nother 0\n", ""), (4, "", "it failed\nbadly")]


def test_what_the_way_to_the_node_prints_before_is_passed_over() -> None:
    assert raw_commands.answers("T", f"Welcome!\n{PRINTED}") == raw_commands.answers("T", PRINTED)


@pytest.mark.parametrize("length", range(len(PRINTED) - 1))
def test_an_answer_that_is_cut_off_is_none(length: int) -> None:
    with pytest.raises(Failure, match="cut off"):
        raw_commands.answers("T", PRINTED[:length])


def test_no_commands_have_no_answers() -> None:
    assert raw_commands.answers("T", "T\nT end\n") == []
