# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Tables for people: as narrow as asked for, long words wrapped inside their column."""

from __future__ import annotations

import re
import typing as t

_GAP = "  "
_NARROWEST = 5


def render(columns: t.Sequence[str], rows: t.Sequence[t.Sequence[str]], width: int) -> list[str]:
    """Lines of a table with a header; no line is longer than ``width`` as long as that holds every column at all."""
    cells = [list(columns), *([*row, *[""] * (len(columns) - len(row))] for row in rows)]
    widths = _widths(cells, width)
    lines = _row(cells[0], widths)
    lines.append(_GAP.join("-" * column for column in widths))
    for row in cells[1:]:
        lines += _row(row, widths)
    return lines


def _widths(cells: t.Sequence[t.Sequence[str]], width: int) -> list[int]:
    """Natural widths; where they do not fit, the widest columns give way, at first without breaking words."""
    columns = list(zip(*cells))
    widths = [max(len(cell) for cell in column) for column in columns]
    room = width - len(_GAP) * (len(widths) - 1)
    whole_words = [max(_longest_word(cell) for cell in column) for column in columns]
    for least in (whole_words, [_NARROWEST] * len(columns)):
        while sum(widths) > room and any(now > low for now, low in zip(widths, least)):
            widest = max((now, index) for index, (now, low) in enumerate(zip(widths, least)) if now > low)[1]
            widths[widest] -= 1
    return widths


def _row(cells: t.Sequence[str], widths: t.Sequence[int]) -> list[str]:
    wrapped = [_wrap(cell, column) for cell, column in zip(cells, widths)]
    height = max(len(lines) for lines in wrapped)
    return [
        _GAP.join((lines[i] if i < len(lines) else "").ljust(column) for lines, column in zip(wrapped, widths)).rstrip()
        for i in range(height)
    ]


def _wrap(text: str, width: int) -> list[str]:
    """Lines of at most ``width``; broken after a space, slash or hyphen, inside a word only where it must be."""
    lines = [""]
    for word in _words(text):
        if len((lines[-1] + word).rstrip()) > width and lines[-1]:
            lines[-1] = lines[-1].rstrip()
            lines.append("")
        lines[-1] += word
        while len(lines[-1].rstrip()) > width:
            lines[-1:] = [lines[-1][:width], lines[-1][width:]]
    return [line.rstrip() for line in lines]


def _longest_word(text: str) -> int:
    return max((len(word.rstrip()) for word in _words(text)), default=0)


def _words(text: str) -> list[str]:
    return re.findall(r"[^\s/-]*[/-]+\s*|[^\s/-]+\s*", text)
