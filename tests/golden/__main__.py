# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``python -m tests.golden [--record] [--jobs N] [PAIR...]``: compare what playbooks do with the golden record.

With ``--fixtures`` it writes what this version leaves in clusters to tests/golden/fixtures instead.

It ends with 1 where something is different, and with 2 where a world could not be made. What was recorded, what plays
printed and the page with the differences go to .build/golden.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
import traceback
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

from ..conftest import CHECKOUT  # comes first, because it makes the checkout importable under the collection's name

RECORDS = Path(__file__).with_name("records")
RESULTS = CHECKOUT / ".build/golden"
FAILED = "This pair could not be played:"


def main(arguments: list[str]) -> int:
    sys.path.insert(0, str(CHECKOUT / "tests/sandbox"))
    from . import comparison, fixtures, pairs

    parser = argparse.ArgumentParser(prog="golden", description="Compare what playbooks do with the golden record.")
    parser.add_argument("pairs", nargs="*", metavar="PAIR", help="by default all")
    parser.add_argument("--record", action="store_true", help="write the record instead of comparing with it")
    parser.add_argument("--jobs", type=int, default=2, help="how many pairs are played side by side (default: 2)")
    parser.add_argument("--list", action="store_true", help="name the pairs")
    parser.add_argument("--fixtures", action="store_true", help="write tests/golden/fixtures; PAIR: which of them")
    options = parser.parse_args(arguments)
    if options.fixtures:
        fixtures.write(options.pairs or fixtures.MADE)
        return 0
    if options.list:
        print("\n".join(pairs.PAIRS))
        return 0
    if unknown := sorted(set(options.pairs) - pairs.PAIRS.keys()):
        print(f"There is no pair {', '.join(unknown)}; --list names them.", file=sys.stderr)
        return 2
    names = options.pairs or list(pairs.PAIRS)
    RESULTS.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    found = {}
    failed = []
    for name, lines, seconds in _play(names, options.jobs):
        print(f"{name}: {seconds:.0f} s", flush=True)
        if lines[0] == FAILED:
            failed.append(name)
            (RESULTS / f"{name}.failed").write_text("\n".join(lines) + "\n")
            print(f"{FAILED} {lines[-1]}", file=sys.stderr)
            continue
        found[name] = lines
        for place in (RESULTS, *([RECORDS] if options.record else [])):
            (place / f"{name}.txt").write_text("\n".join(lines) + "\n")
    took = f"{len(names)} pairs in {_elapsed(time.monotonic() - began)}"
    told = f"These could not be played: {', '.join(failed)}." if failed else ""
    if options.record:
        print(f"Recorded {took}. {told}")
        return 2 if failed else 0
    kept = {path.stem: path.read_text().splitlines() for path in sorted(RECORDS.glob("*.txt"))}
    before = {name: lines for name, lines in kept.items() if name in found or not (options.pairs or name in failed)}
    page = comparison.page(before, found)
    (RESULTS / "page.txt").write_text(page)
    print(f"\n{page}" if page else "", end="")
    verdict = "They are different from the record." if page else "They are as recorded." if found else ""
    print(f"Compared {took}. {verdict} {told}")
    return 2 if failed else int(bool(page))


def _play(names: list[str], jobs: int) -> Iterator[tuple[str, list[str], float]]:
    """Records as they are made."""
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("fork")) as pool:
        running = {pool.submit(_played, name): name for name in names}
        for each in as_completed(running):
            yield running[each], *each.result()


def _played(name: str) -> tuple[list[str], float]:
    from . import pairs

    began = time.monotonic()
    try:
        lines = pairs.play(name, RESULTS)
    except Exception:  # the others are played all the same
        lines = [FAILED, *traceback.format_exc().splitlines()]
    return lines, time.monotonic() - began


def _elapsed(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
