# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``python -m tests.bench [FIGURE...]``: what ours costs beside its peers, in one run. Nothing is asserted.

A ratio is the median of those of neighboring samples, which the machine's load met alike. Table and samples go into
.build/bench.
"""

from __future__ import annotations

import json
import os
import signal
import statistics
import sys
import tempfile
import traceback
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from ..conftest import CHECKOUT  # comes first, because it makes the checkout importable under the collection's name
from .figures import FIGURES, Row

RESULTS = CHECKOUT / ".build/bench"
HEAD = ("what", "ours", "peer", "ratio", "goal")


def main(names: list[str]) -> int:
    if unknown := sorted(set(names) - FIGURES.keys()):
        print(f"There is no figure {', '.join(unknown)}; there are {', '.join(FIGURES)}.", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the nodes end with us
    RESULTS.mkdir(parents=True, exist_ok=True)
    rows: list[Row] = []
    failed: list[str] = []
    text = ""
    for name in names or FIGURES:
        print(f"{name}: {FIGURES[name].__doc__}", flush=True)
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            try:
                found = list(FIGURES[name](Path(folder)))
            except Exception:  # the other figures are worth their hour all the same
                traceback.print_exc()
                failed.append(name)
                continue
        machine = {"processors": os.cpu_count(), "load": os.getloadavg()}
        kept = {"machine": machine, "rows": [asdict(row) for row in found]}
        (RESULTS / f"{name}.json").write_text(json.dumps(kept, indent=2) + "\n")
        rows += found
        text = table([HEAD, *map(cells, rows)])
        (RESULTS / "table.txt").write_text(text)  # each time, so that a run that is ended has told something
    print(f"\n{text}", end="")
    if failed:
        print(f"\nThese failed, their reasons are above: {', '.join(failed)}.", file=sys.stderr)
    return 1 if failed else 0


def cells(row: Row) -> tuple[str, ...]:
    ours = statistics.median(row.ours)
    if not row.theirs:
        return row.what, f"{ours:g} {row.unit}", "", "", ""
    theirs = statistics.median(row.theirs)
    peer = f"{theirs:.3g} {row.unit} ({row.peer})"
    ratio = statistics.median(one / other for one, other in zip(row.ours, row.theirs, strict=True))
    return row.what, f"{ours:.3g} {row.unit}", peer, f"{ratio:.2f}", f"{row.goal:.3g}" if row.goal else ""


def table(lines: Iterable[tuple[str, ...]]) -> str:
    lines = list(lines)
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() + "\n" for line in lines
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
