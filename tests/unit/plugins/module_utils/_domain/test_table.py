# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.table import render

COLUMNS = ["pod", "verdict", "node", "claims checked"]
ROWS = [
    ["billing/api-7d9f8-x2x4k", "ok", "aks-nodepool1-12345678-vmss000000", "aud, tid, appid, oid, xms_mirid, exp"],
    ["web/(probe)", "not_verified", "aks-nodepool1-12345678-vmss000001", ""],
]


def test_one_line_where_there_is_room() -> None:
    assert render(["pod", "verdict"], [["billing/api", "ok"], ["web/api", ""]], 80) == [
        "POD          VERDICT",
        "billing/api  ok",
        "web/api      -",
    ]


def test_what_does_not_fit_follows_below() -> None:
    assert render(COLUMNS, ROWS, 69) == [
        "POD                      VERDICT       NODE",
        "└ CLAIMS CHECKED",
        "billing/api-7d9f8-x2x4k  ok            aks-nodepool1-…-vmss000000",
        "└ aud, tid, appid, oid, xms_mirid, exp",
        "web/(probe)              not_verified  aks-nodepool1-…-vmss000001",
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


@pytest.mark.parametrize(
    ("names", "shown"),
    [
        (["aks-nodepool1-12345678-vmss000000"], ["aks-nodepool1-…-vmss000000"]),
        (["shop/a-rather-long-name-of-an-identity"], ["shop/a-rather-…-an-identity"]),
        (["one-word-" + "x" * 40], ["one-…-" + "x" * 40]),
        (["x" * 40], ["x" * 40]),
        # Without their middle they would be the same.
        (["aks-nodepool1-12345678-vmss000000", "aks-nodepool1-87654321-vmss000000"],) * 2,
        (["a sentence is a sentence is a sentence"],) * 2,
    ],
)
def test_names_lose_their_middle(names: list[str], shown: list[str]) -> None:
    lines = render(["k", "name"], [["k", name] for name in names], 200)
    assert [line.split(maxsplit=1)[1] for line in lines[1:]] == shown


def test_the_first_column_stays_whole() -> None:
    name = "payments-production/checkout-api-6f7d8c9b5d-x2x4k"
    assert render(["pod", "verdict"], [[name, "ok"]], 69)[1] == f"{name}  ok"


_cells = st.text(st.characters(codec="ascii"), max_size=90)


@given(st.integers(1, 5).flatmap(lambda n: st.lists(st.lists(_cells, max_size=n), max_size=4)), st.integers(12, 90))
@example(rows=[[f"{'0' * 9} {'0' * 11}"]], width=12)
def test_no_line_is_too_long_or_starts_with_a_blank(rows: list[list[str]], width: int) -> None:
    columns = [f"c{number}" for number in range(max([1, *map(len, rows)]))]
    lines = render(columns, rows, width)
    assert max(map(len, lines)) <= width
    assert not any(line != line.strip() for line in lines)
    # Every row, and the header, has one line that belongs to it without a mark.
    assert sum(not line.startswith(("├ ", "└ ")) for line in lines) == len(rows) + 1
    if width == 90:  # where it is wide enough, no word of a sentence or short name gets lost
        words = " ".join(lines).split()
        for row in rows:
            assert all(word in words for cell in row if len(cell) <= 28 for word in cell.split())
