# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Logs of MIC, NMI and the Workload ID webhook, taken apart.

They are in the format of klog (``E0102 15:04:05.000000 1 file.go:12] text``), or in JSON where an argument says so.
Names and texts of tenants are in them, some with line breaks, so that a line may be forged: what a log tells is never
proof, see ``cause``. Control characters are escaped before anything is shown.
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass

LONGEST_LINE = 4_000
_KLOG = re.compile(r"([IWEF])(\d{2})(\d{2}) (\d{2}:\d{2}:\d{2})\.\d+ +\d+ ([\w.-]+:\d+)\] (.*)", re.DOTALL)


@dataclass(frozen=True)
class Line:
    """``severity``: I, W, E, F, or empty for what has no header. ``place``: file and line of the source."""

    text: str
    severity: str = ""
    time: str = ""
    place: str = ""


@dataclass(frozen=True)
class Log:
    """Of one container. ``previous``: of its run before a crash. ``cut``: older lines were not read."""

    program: str
    namespace: str
    pod: str
    node: str
    lines: tuple[Line, ...]
    previous: bool = False
    cut: bool = False

    @property
    def label(self) -> str:
        return f"log of Pod {self.namespace}/{self.pod}" + (" before its restart" if self.previous else "")

    def matching(self, pattern: t.Pattern[str]) -> t.Iterator[tuple[Line, t.Match[str]]]:
        for line in self.lines:
            found = pattern.search(line.text)
            if found:
                yield line, found
