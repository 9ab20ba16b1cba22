# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``python -m tests.gates [STEP...]``: run the named steps, or all of them."""

from __future__ import annotations

import functools
import signal
import subprocess
import sys
import time

from .runner import Runner
from .steps import STEPS, Step


def main(names: list[str]) -> int:
    if names == ["--list"]:
        for step in STEPS:
            print(f"  {step.name:<10} {step.about}")
        return 0
    if unknown := sorted(set(names) - {step.name for step in STEPS}):
        print(f"There is no step {', '.join(unknown)}; `make steps` lists them.", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what is running is ended with us
    # A shell starts what is in the background with SIGINT ignored, and so would be all that is tested.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    run = Runner()
    broken: set[str] = set()
    selected = _selected(names)
    run.side_by_side([functools.partial(_passes, step) for step in selected if step.light])
    for step in selected:
        if step.light:
            continue
        if step.needs in broken:
            run.fail(step.name, f"step {step.needs} failed")
        elif not _passes(step, run):
            broken.add(step.name)
    for title, lines in (("not run", run.not_run), ("failed", run.failures)):
        if lines:
            print(f"\n{title}:", *lines, sep="\n  ")
    print(f"\n{run.counts}", flush=True)
    return 1 if run.counts.failed or not run.counts.passed else 0


def _selected(names: list[str]) -> list[Step]:
    wanted = set(names or [step.name for step in STEPS if not step.long])
    wanted |= {step.needs for step in STEPS if step.name in wanted}
    return [step for step in STEPS if step.name in wanted]


def _passes(step: Step, run: Runner) -> bool:
    print(f"{step.name}: {step.about}", flush=True)
    failed, started = run.counts.failed, time.monotonic()
    try:
        step.run(run)
    except (OSError, RuntimeError, subprocess.SubprocessError) as error:
        run.fail(step.name, str(error))
    print(f"{step.name}: {time.monotonic() - started:.1f} s", flush=True)
    return run.counts.failed == failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
