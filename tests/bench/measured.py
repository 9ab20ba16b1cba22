# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``python measured.py COMMAND...``: what a command and all that it has waited for have cost, as JSON.

``wall`` and ``cpu`` in seconds, ``peak_mb`` the memory of the largest process. The command's output is a member too.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Cost:
    """Seconds, and MB of the largest process."""

    wall: float
    cpu: float
    peak_mb: float

    @classmethod
    def parse(cls, told: Mapping[str, Any]) -> Cost:
        return cls(told["wall"], told["cpu"], told["peak_mb"])


def total(costs: Iterable[Cost]) -> Cost:
    """What they cost one after the other."""
    costs = list(costs)
    peak = max(cost.peak_mb for cost in costs)
    return Cost(sum(cost.wall for cost in costs), sum(cost.cpu for cost in costs), peak)


def main(command: list[str]) -> int:
    began = time.monotonic()
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    wall = time.monotonic() - began
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    cost = {"wall": wall, "cpu": used.ru_utime + used.ru_stime, "peak_mb": used.ru_maxrss / 1024}
    print(json.dumps({**cost, "output": done.stdout + done.stderr}))
    return done.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
