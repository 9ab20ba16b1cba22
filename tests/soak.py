# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The long forms of tests: ``make soak`` runs every case, everything else a seeded sample of them.

``@pytest.mark.soak(sample=3)`` on a parametrized test. Tests of one file with one ``group`` share a sample, as if they
were cases of one test. Sample and order follow from the seed: SEED, else the commit.
Under SOAK=1 each case that passes is written to .build/soak/SEED, and a rerun goes on behind it.
"""

from __future__ import annotations

import os
import random
import subprocess
from collections import defaultdict
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[1]
RECORDS = CHECKOUT / ".build/soak"


def seed() -> str:
    """SEED, else the commit that is checked out; `0` where there is none."""
    if given := os.environ.get("SEED"):
        return given
    head = subprocess.run(
        ["git", "rev-parse", "--short=12", "HEAD"], cwd=CHECKOUT, capture_output=True, text=True, check=False
    )
    return head.stdout.strip() or "0"


class Soak:
    """Chooses the cases of a run, and as a soak remembers those that passed."""

    def __init__(self, seed: str, everything: bool, records: Path = RECORDS) -> None:
        self.seed = seed
        self.record = records / seed if everything else None

    def pytest_report_header(self) -> str:
        return f"seed: {self.seed} ({f'soak, resumed from {self.record}' if self.record else 'sample of the soak'})"

    @pytest.hookimpl(trylast=True)  # what -k and -m left
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        chosen = self._left(items) if self.record else self._sampled(items)
        dropped = [item for item in items if item not in chosen]
        config.hook.pytest_deselected(items=dropped)
        items[:] = [item for item in items if item in chosen]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if self.record and report.when == "call" and report.passed:
            self.record.parent.mkdir(parents=True, exist_ok=True)
            with self.record.open("a") as record:
                record.write(f"{report.nodeid}\n")

    def _sampled(self, items: list[pytest.Item]) -> set[pytest.Item]:
        cases: dict[str, list[pytest.Item]] = defaultdict(list)
        chosen = set()
        for item in items:
            if marker := item.get_closest_marker("soak"):
                group = marker.kwargs.get("group")
                test = item.nodeid.partition("[")[0]
                cases[f"{test.partition('::')[0]} {group}" if group else test].append(item)
            else:
                chosen.add(item)
        for test, of_test in cases.items():
            marker = of_test[0].get_closest_marker("soak")
            size = min(marker.kwargs["sample"] if marker else 0, len(of_test))
            chosen |= set(random.Random(f"{self.seed} {test}").sample(of_test, size))
        return chosen

    def _left(self, items: list[pytest.Item]) -> set[pytest.Item]:
        long = {item for item in items if item.get_closest_marker("soak")}
        assert self.record
        passed = set(self.record.read_text().splitlines()) if self.record.exists() else set()
        left = {item for item in long if item.nodeid not in passed}
        if not left:  # a finished soak begins anew
            self.record.unlink(missing_ok=True)
        return left or long


def register(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "soak(sample, group): long; outside of `make soak` only a sample of the cases runs"
    )
    config.pluginmanager.register(Soak(seed(), everything=os.environ.get("SOAK") == "1"), "soak")
