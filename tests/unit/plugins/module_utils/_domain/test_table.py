# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.printed import printed
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.table import links, render

COLUMNS = ["pod", "verdict", "node", "claims checked"]
ROWS = [
    ["billing/api-7d9f8-x2x4k", "ok", "aks-nodepool1-12345678-vmss000000", "aud, tid, appid, oid, xms_mirid, exp"],
    ["web/(probe)", "not_verified", "aks-nodepool1-12345678-vmss000001", ""],
]


def test_where_the_codes_of_rows_are_explained_is_told_once() -> None:
    rows: list[dict[str, Any]] = [
        *({"references": ["a", "b"]}, {"references": []}, {}, {"references": ["c"], "verdict": "no_token"}),
        *({"references": ["d"], "verdict": "ok"}, {"references": ["a"]}),
    ]
    assert links(rows) == ["a", "c"]


def test_one_line_where_there_is_room() -> None:
    assert render(["pod", "verdict"], [["billing/api", "ok"], ["web/api", ""]], 80) == [
        "POD          VERDICT",
        "billing/api  ok",
        "web/api      -",
    ]


def test_what_does_not_fit_follows_below() -> None:
    assert render(COLUMNS, ROWS, 69) == [
        "POD                      VERDICT",
        "├ NODE",
        "└ CLAIMS CHECKED",
        "billing/api-7d9f8-x2x4k  ok",
        "├ aks-nodepool1-12345678-vmss000000",
        "└ aud, tid, appid, oid, xms_mirid, exp",
        "web/(probe)              not_verified",
        "└ aks-nodepool1-12345678-vmss000001",
    ]


def test_sentences_are_wrapped_behind_marks() -> None:
    reason = "NMI does not tolerate its taint sku=gpu:NoSchedule"
    assert render(["node", "reason"], [["aks-gpu-12345678-vmss000000", reason]], 30) == [
        "NODE",
        "└ REASON",
        "aks-gpu-12345678-vmss000000",
        "├ NMI does not tolerate its",
        "└ taint sku=gpu:NoSchedule",
    ]


def test_a_long_cell_alone_goes_below() -> None:
    """The rows beside it stay on one line, and with it what is not there is not said."""
    rows = [
        ["cluster", "AzureIdentity a/x", ""],
        ["roles", "Reader", f"at /{'s' * 40}"],
        ["cluster", f"CustomResourceDefinition {'x' * 30}", ""],
        ["nodes", "rules", ""],
    ]
    assert render(["where", "what", "why"], rows, 40) == [
        "WHERE    WHAT",
        "└ WHY",
        "cluster  AzureIdentity a/x",
        "roles    Reader",
        "├ at",
        f"└ /{'s' * 40}",
        "cluster",
        "├ CustomResourceDefinition",
        f"└ {'x' * 30}",
        "nodes    rules",
    ]


def test_equal_cells_stay_where_they_are() -> None:
    same = "a" * 30
    assert render(["id", "name", "to"], [[same, "b", same], ["c", "d", "e"]], 60) == [
        "ID                              NAME  TO",
        f"{same}  b",
        f"└ {same}",
        "c                               d     e",
    ]


@pytest.mark.parametrize("width", [20, 69, 200])
def test_names_and_ids_stay_whole(width: int) -> None:
    names = ["payments-production/checkout-api-6f7d8c9b5d-x2x4k", "aks-nodepool1-12345678-vmss000000", f"/{'i' * 90}"]
    text = "\n".join(render(["pod", "node", "id"], [names], width))
    assert [name for name in names if name not in text] == []


_cells = st.text(st.characters(codec="ascii"), max_size=90)


@given(st.integers(1, 5).flatmap(lambda n: st.lists(st.lists(_cells, max_size=n), max_size=4)), st.integers(12, 90))
@example(rows=[[f"{'0' * 9} {'0' * 11}"]], width=12)
@example(rows=[["0" * 9, "-"]], width=12)
def test_no_line_is_too_long_or_starts_with_a_blank_and_no_word_is_lost(rows: list[list[str]], width: int) -> None:
    columns = [f"c{number}" for number in range(max([1, *map(len, rows)]))]
    lines = render(columns, rows, width)
    mark = re.compile("^[├└] ")
    assert [line for line in lines if len(line) > width and " " in mark.sub("", line)] == []  # one word alone
    assert not any(line != line.strip() for line in lines)
    # Every row, and the header, has one line that belongs to it without a mark.
    assert sum(not line.startswith(("├ ", "└ ")) for line in lines) == len(rows) + 1
    words = " ".join(lines).split()
    shown = [printed(" ".join(cell.split())) for row in rows for cell in row]
    told = [cell.split() for cell in shown if cell != "-"]  # which says that there is nothing
    assert [word for cell in told for word in cell if word not in words] == []
