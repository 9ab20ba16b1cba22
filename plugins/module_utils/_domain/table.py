# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Tables for people, as narrow as asked for.

Columns that do not fit beside the first ones follow below them, behind a mark, so that no line starts with a blank:
callbacks would put such a line in quotes. So does a single cell that is longer than most of its column.
"""

from __future__ import annotations

import textwrap
import typing as t

from .printed import printed

_GAP = "  "
_BELOW, _LAST = "├ ", "└ "
_NOTHING = "-"


def render(columns: t.Sequence[str], rows: t.Sequence[t.Sequence[str]], width: int) -> list[str]:
    """Lines of a table with a header. None is longer than ``width``, but where a single word is, which stays whole."""
    table = []
    for index, heading in enumerate(columns):
        cells = [printed(" ".join(row[index].split())) or _NOTHING if index < len(row) else _NOTHING for row in rows]
        table.append([heading.upper(), *cells])
    blocks = _blocks(table, width)
    return [line for index in range(len(rows) + 1) for line in _row([cells[index] for cells in table], blocks, width)]


def links(rows: t.Iterable[t.Mapping[str, t.Any]]) -> list[str]:
    """Where the codes of the rows are explained, once each: the first of the ``references`` of each row.

    What is right needs no explanation.
    """
    wrong = (row for row in rows if row.get("verdict") != "ok")
    return list(dict.fromkeys(str(row["references"][0]) for row in wrong if row.get("references")))


def _blocks(table: t.Sequence[t.Sequence[str]], width: int) -> list[list[tuple[int, int]]]:
    """Which columns share a line, as numbers with their widths."""
    blocks: list[list[tuple[int, int]]] = []
    left = 0
    for number, cells in enumerate(table):
        natural = _fitting(cells, left - len(_GAP)) if blocks else 0
        if natural:
            left -= len(_GAP) + natural
        else:
            blocks.append([])
            room = width - (len(_LAST) if number else 0)
            natural = _fitting(cells, room) or max(map(len, cells))
            left = room - natural
        blocks[-1].append((number, natural))
    return blocks


def _fitting(cells: t.Sequence[str], room: int) -> int:
    """How wide the column is if cells that do not fit go below; 0 where that would be most of them, or the header."""
    said = [each for each in cells[1:] if each != _NOTHING]
    fitting = [len(each) for each in said if len(each) <= room]
    header = len(cells[0])
    return max([header, *fitting]) if header <= room and 2 * len(fitting) >= len(said) else 0


def _row(cells: t.Sequence[str], blocks: t.Sequence[t.Sequence[tuple[int, int]]], width: int) -> list[str]:
    lines: list[str] = []
    for block in blocks:
        if lines and all(cells[number] == _NOTHING for number, dummy in block):
            continue
        over = [number for number, natural in block if len(cells[number]) > natural]
        long = [cells[number] for number in over]
        beside = [("" if number in over else cells[number]).ljust(natural) for number, natural in block]
        while long and beside and beside[-1].strip() in ("", _NOTHING):
            beside.pop()
        # What a person looks for first stands first.
        first = long[:1] if block[0][0] in over else []
        for each in filter(None, (*first, _GAP.join(beside).strip(), *long[len(first) :])):
            fits = len(each) <= width - (len(_LAST) if lines else 0)
            wrapped = textwrap.wrap(each, width - len(_LAST), break_on_hyphens=False, break_long_words=False)
            lines += [each] if fits else wrapped
    return [*lines[:1], *(_BELOW + line for line in lines[1:-1]), *(_LAST + line for line in lines[1:][-1:])]
