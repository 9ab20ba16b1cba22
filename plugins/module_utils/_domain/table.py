# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Tables for people, as narrow as asked for.

Columns that do not fit beside the first ones follow below them, behind a mark, so that no line starts with a blank:
callbacks would put such a line in quotes.
"""

from __future__ import annotations

import re
import textwrap
import typing as t

_GAP = "  "
_BELOW, _LAST = "├ ", "└ "
_NOTHING = "-"
_LONGEST_NAME = 28


def render(columns: t.Sequence[str], rows: t.Sequence[t.Sequence[str]], width: int) -> list[str]:
    """Lines of a table with a header, none longer than ``width``; the first column tells the rows apart."""
    table = []
    for index, heading in enumerate(columns):
        cells = [" ".join(row[index].split()) or _NOTHING if index < len(row) else _NOTHING for row in rows]
        table.append([heading.upper(), *(_shortened(cells) if index else cells)])
    blocks = _blocks([max(map(len, cells)) for cells in table], width)
    return [line for index in range(len(rows) + 1) for line in _row([cells[index] for cells in table], blocks, width)]


def _blocks(widths: t.Sequence[int], width: int) -> list[list[tuple[int, int]]]:
    """Which columns share a line, as numbers with their widths."""
    blocks: list[list[tuple[int, int]]] = []
    left = 0
    for number, natural in enumerate(widths):
        needed = len(_GAP) + natural
        if not blocks or needed > left:
            blocks.append([])
            left, needed = width - (len(_LAST) if number else 0), natural
        blocks[-1].append((number, natural))
        left -= needed
    return blocks


def _row(cells: t.Sequence[str], blocks: t.Sequence[t.Sequence[tuple[int, int]]], width: int) -> list[str]:
    lines: list[str] = []
    for block in blocks:
        if lines and all(cells[number] == _NOTHING for number, dummy in block):
            continue
        line = _GAP.join(cells[number].ljust(natural) for number, natural in block).rstrip()
        fits = len(line) <= width - (len(_LAST) if lines else 0)
        # textwrap leaves a blank at the end of a line that it fills before a word which it has to break.
        wrapped = textwrap.wrap(line, width - len(_LAST), break_on_hyphens=False)
        lines += [line] if fits else [part.rstrip() for part in wrapped]
    return [*lines[:1], *(_BELOW + line for line in lines[1:-1]), *(_LAST + line for line in lines[1:][-1:])]


def _shortened(cells: t.Sequence[str]) -> list[str]:
    """Long names without their middle, unless they would look the same then."""
    short = [cell if " " in cell or len(cell) <= _LONGEST_NAME else _without_middle(cell) for cell in cells]
    return short if len(set(short)) == len(set(cells)) else list(cells)


def _without_middle(name: str) -> str:
    words = re.findall(r"[^-/]*[-/]|[^-/]+$", name)
    half = (len(words) + 1) // 2
    head, tail = words[:half], words[half:]
    while len(head) + len(tail) > 2 and len("".join([*head, "…-", *tail])) > _LONGEST_NAME:
        if len(tail) < len(head):
            head.pop()
        else:
            tail.pop(0)
    return "".join([*head, "…-", *tail]) if tail else name
