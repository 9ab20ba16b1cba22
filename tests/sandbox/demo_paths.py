# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which way the tokens of an application came, second by second, from what its pods (token_app.py) said.

demo_paths.py NAME FILE...  a table: stretches of time with one way, how many requests, how many failed. Exits with 1
                            where one failed, or where nothing was said for longer than UNSEEN seconds

What was asked before the first token came is not counted: MIC may not have assigned the identity yet.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable, Iterator
from itertools import dropwhile, groupby
from pathlib import Path
from typing import Any, NamedTuple

Record = dict[str, Any]
UNSEEN = 3
_WAYS = {"nmi": "NMI", "workload_identity": "Workload ID", "imds": "the node", "proxy": "proxy of Workload ID"}
_NOTHING = "nothing was said"


class Second(NamedTuple):
    second: int
    way: str
    requests: int
    failed: int


def read(files: Iterable[Path]) -> list[Record]:
    """Each once, though several files may have it; a line that was not ended is left out."""
    lines = (line for file in files for line in file.read_text(encoding="utf-8").splitlines(keepends=True))
    told = {one["began"]: one for one in (json.loads(line) for line in lines if line.endswith("}\n"))}
    return list(dropwhile(lambda one: not one["ok"], (told[began] for began in sorted(told))))


def seconds(records: Iterable[Record]) -> Iterator[Second]:
    """Every second from the first to the last."""
    last = None
    for second, every in groupby(records, lambda one: int(one["began"])):
        several = list(every)
        for missing in range(last + 1 if last is not None else second, second):
            yield Second(missing, _NOTHING, 0, 0)
        ways = sorted({_WAYS.get(str(one["path"]), str(one["path"])) for one in several if one["ok"]})
        yield Second(second, " and ".join(ways), len(several), sum(not one["ok"] for one in several))
        last = second


def main(name: str, *files: str) -> int:
    records = read(map(Path, files))
    failed = sum(not one["ok"] for one in records)
    print(f"{name}: {len(records)} requests, {failed} failed\n")
    print(f"{'from':8}  {'to':8}  {'way':24}  {'requests':>8}  {'failed':>6}")
    unseen = 0
    for way, every in groupby(seconds(records), lambda one: one.way):
        several = list(every)
        if way == _NOTHING and len(several) <= UNSEEN:
            continue
        unseen += way == _NOTHING
        first, last = (time.strftime("%H:%M:%S", time.gmtime(one.second)) for one in (several[0], several[-1]))
        requests, wrong = sum(one.requests for one in several), sum(one.failed for one in several)
        print(f"{first}  {last}  {way or 'no token':24}  {requests:8}  {wrong:6}")
    return 1 if failed or unseen or not records else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
