# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The files of a report: what stands in each, and writing those that differ."""

from __future__ import annotations

import json
import os
import posixpath
import typing as t
from dataclasses import asdict, dataclass

from ansible_collections.azureops.pod_identity.plugins.module_utils import _files, _plan
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.change import Change
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.errors import Failure
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.matching import inventory_files
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.report import (
    files,
    judging,
    model,
    observation,
)
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.report.build import of_observed
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.report.data import as_data
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.report.difference import compare
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.report.metrics import prometheus
from ansible_collections.azureops.pod_identity.plugins.plugin_utils._report import page

# Characters of a page that a browser still opens and filters at once. Where that of all clusters has more, each cluster
# gets a page of its own.
LARGEST = 6_000_000
_MODE = 0o600


@dataclass(frozen=True)
class Made:
    """A report of ``observed``. ``fail_on``: the least severity that is a failure. ``since``: None where no earlier one
    was given."""

    observed: tuple[observation.Observed, ...]
    report: model.Report
    fail_on: str
    title: str
    since: model.Since | None

    @classmethod
    def of(cls, observed: t.Any, fail_on: str, title: str = "", earlier: t.Any = None) -> Made:
        """``earlier``: the data of an earlier report. Raises Failure where that or ``observed`` is none."""
        parsed = observation.parse(observed)
        report = of_observed(parsed)
        return cls(parsed, report, fail_on, title, None if earlier is None else compare(earlier, as_data(report)))

    def text(self, kind: str) -> str:
        """What the file of that format has, in one file for all clusters."""
        return {
            files.HTML: lambda: page(self.report, self.title, since=self.since),
            files.JSON: lambda: json.dumps(as_data(self.report, self.since), indent=1, sort_keys=True) + "\n",
            files.JUNIT: lambda: judging.junit(self.report, self.fail_on),
            files.PROMETHEUS: lambda: prometheus(self.report),
            files.CSV: self._csv,
        }[kind]()

    def _csv(self) -> str:
        """As the playbook inventory writes it."""
        lines: list[str] = []
        joined = inventory_files.Joined(lambda _text: None, lines.append)
        for cluster in self.observed:
            found = cluster.result(observation.INVENTORY)
            reason = cluster.failures.get(observation.INVENTORY) or cluster.failure or observation.NOTHING_GIVEN
            joined.add(cluster.name, found or {"error": reason})
        joined.end()
        return "".join(lines)

    def texts(self, target: files.Target, largest: int = LARGEST) -> dict[str, str]:
        """Of all files, by their paths."""
        found: dict[str, str] = {}
        for kind, path in target.paths.items():
            if kind == files.HTML and target.folder and len(self.report.clusters) > 1:
                found.update(self._pages(path, largest))
            else:
                found[path] = self.text(kind)
        return found

    def _pages(self, path: str, largest: int) -> dict[str, str]:
        """One page, or if that were too large one for each cluster and one that leads to them."""
        names = files.pages(path, [one.name for one in self.report.clusters])
        home, each = posixpath.basename(path), {}
        for one in self.report.clusters:
            alone = model.Report(one.verdict, one.sentence, (one,))
            new = self.since and self.since.of(one.name)
            each[posixpath.join(posixpath.dirname(path), names[one.name])] = page(
                alone, self.title, home=home, since=new
            )
        if sum(map(len, each.values())) <= largest:
            return {path: self.text(files.HTML)}
        return {path: page(self.report, self.title, names, since=self.since), **each}

    @property
    def told(self) -> dict[str, t.Any]:
        """What a run shows of it."""
        return {
            "verdict": self.report.verdict,
            "sentence": self.report.sentence,
            "clusters": [_row(one) for one in self.report.clusters],
            "differences": [asdict(one) for one in (self.since.differences if self.since else ())],
            "failures": judging.failures(self.report, self.fail_on),
        }


def _row(one: model.Cluster) -> dict[str, t.Any]:
    return {
        "cluster": one.name,
        "verdict": one.verdict,
        "errors": one.count(model.ERROR),
        "warnings": one.count(model.WARNING),
        "workloads": len(one.workloads),
        "observed_at": one.observed_at,
        "sentence": one.sentence,
        "failure": one.failure,
    }


def plan(made: Made, target: files.Target) -> _plan.Plan:
    """Writes what differs. Raises Failure where it cannot be written."""
    texts = made.texts(target)
    if not target.folder or os.path.isdir(target.folder):
        for path in texts:
            _files.require_writable(path)
    elif os.path.lexists(target.folder):
        raise Failure(f"The folder {target.folder} is none, but something else: name another one.")
    before, after, steps = {}, {}, []
    for path, text in texts.items():
        new = _files.Digest()
        new.write(text)
        after[path] = str(new)
        found = _files.digest(path)
        if found:
            before[path] = found
    changed = [path for path in texts if before.get(path) != after[path]]

    def write() -> None:
        if target.folder:
            _files.make_private(target.folder)
        with _files.replacing(_MODE, *changed) as written:
            for path, put in zip(changed, written, strict=True):
                put(texts[path])

    if changed:
        others = [os.path.basename(path) for path in changed[1:]]
        change = Change.of_file(
            changed[0], existed=changed[0] in before, why=f"with {', '.join(others)}" if others else ""
        )
        steps.append(_plan.Step(" and ".join((f"write {changed[0]}", *others)), change, write))
    return _plan.Plan(before, after, tuple(steps), result={**made.told, "files": list(texts)})


def earlier(path: str) -> t.Any:
    """The data of the report in that file; None where there is none, as before the first of nightly runs."""
    if not path or not os.path.lexists(path):
        return None
    try:
        return json.loads(_files.read(path))
    except ValueError as error:
        raise Failure(f"The earlier report {path} is no JSON ({error}): name one that this role wrote.") from error
