# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run of the demo did, from the lines that callbacks/records.py wrote.

demo_results.py RECORDS table           the table that the play showed
demo_results.py RECORDS wrong COUNT     what is wrong with the verdicts, of which there must be COUNT
demo_results.py RECORDS changes         the tasks that changed something
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

Record = dict[str, Any]


def table(records: list[Record]) -> Iterable[str]:
    for record in records:
        if record["task"] == "Show who gets which token":
            yield from record["msg"]


def wrong(records: list[Record], count: int) -> Iterable[str]:
    """Sentences; none where every verdict is ok."""
    verdicts = [record["verification"] for record in records if record["verification"] is not None][-1:]
    rows: list[dict[str, Any]] = verdicts[0] if verdicts else []
    if len(rows) != count:
        yield f"{len(rows)} workloads have a verdict instead of {count}."
    for row in rows:
        if row["verdict"] != "ok":
            yield f"{row['namespace']}, {row['identity']}: {row['verdict']}, {row['message']}"


def changes(records: list[Record]) -> Iterable[str]:
    return sorted({record["task"] for record in records if record["changed"]})


def main(path: str, command: str, count: str = "0") -> None:
    records = [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]
    if command == "wrong":
        lines = wrong(records, int(count))
    else:
        lines = {"table": table, "changes": changes}[command](records)
    for line in lines:
        print(line)


if __name__ == "__main__":
    main(*sys.argv[1:])
