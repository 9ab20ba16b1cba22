# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.table import render

COLUMNS = ["pod", "node", "verdict"]
ROWS = [["billing/api-7d9f8-x2x4k", "aks-nodepool1-12345678-vmss000000", "ok"], ["web/(probe)", "", "not_verified"]]


def test_natural_widths_where_there_is_room() -> None:
    assert render(COLUMNS, ROWS, 80) == [
        "pod                      node                               verdict",
        "-----------------------  ---------------------------------  ------------",
        "billing/api-7d9f8-x2x4k  aks-nodepool1-12345678-vmss000000  ok",
        "web/(probe)                                                 not_verified",
    ]


def test_long_cells_wrap_between_words() -> None:
    assert render(COLUMNS, ROWS, 40) == [
        "pod           node          verdict",
        "------------  ------------  ------------",
        "billing/api-  aks-          ok",
        "7d9f8-x2x4k   nodepool1-",
        "              12345678-",
        "              vmss000000",
        "web/(probe)                 not_verified",
    ]


@pytest.mark.parametrize("width", range(19, 100))
def test_no_line_is_longer_and_nothing_is_lost(width: int) -> None:
    lines = render(COLUMNS, ROWS, width)
    assert max(map(len, lines)) <= width
    for index, column in enumerate(re.finditer("-+", next(line for line in lines if line.startswith("---")))):
        shown = "".join(line[column.start() : column.end()].strip() for line in lines if not line.startswith("---"))
        assert shown == "".join([COLUMNS[index], *(row[index] for row in ROWS)])


def test_short_rows_are_filled() -> None:
    assert render(["a", "b"], [["x"]], 20)[-1] == "x"
