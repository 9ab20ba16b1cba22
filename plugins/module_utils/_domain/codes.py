# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Tables of functions that look for what a code stands for: what the causes and the problems of a migration share.

The name of such a function is the code, the first paragraph of its docstring the meaning.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    """A line of a table. ``meaning`` and ``told_by``: for the page of codes.

    ``references``: addresses of documentation, or issues as ``Azure/aad-pod-identity#585``.
    """

    code: str
    meaning: str
    told_by: str
    remedy: str
    references: tuple[str, ...]


Line = t.TypeVar("Line", bound=Entry)
Look = t.TypeVar("Look", bound=t.Callable[..., object])


class Table(t.Generic[Line]):
    """The lines of one file, in its order."""

    def __init__(self) -> None:
        self.rows: list[Line] = []

    def _marking(self, line: t.Callable[..., Line]) -> t.Callable[[Look], Look]:
        """A decorator that puts a function into the table. ``line`` makes it of code, meaning and look."""

        def mark(look: Look) -> Look:
            meaning = " ".join((look.__doc__ or "").partition("\n\n")[0].split())
            self.rows.append(line(code=look.__name__, meaning=meaning, look=look))
            return look

        return mark
