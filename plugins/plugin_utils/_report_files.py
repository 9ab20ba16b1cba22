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
import zlib
from dataclasses import asdict, dataclass

from ansible_collections.azureops.pod_identity.plugins.module_utils import _files, _plan
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.change import Change
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.errors import Failure
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.matching import inventory_files
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.report import (
    data,
    files,
    judging,
    model,
    observation,
)
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.report.build import of_observed
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.report.difference import compare
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.report.metrics import prometheus
from ansible_collections.azureops.pod_identity.plugins.plugin_utils._report import page

# Bytes of a page that a browser still opens and filters at once. Where that of all clusters has more, each cluster
# gets a page of its own.
LARGEST = 6_000_000
_MODE = 0o600


class Content:
    """What a file is to have; compressed, or the pages of many clusters would take as much room as what they are of."""

    def __init__(self, text: str) -> None:
        whole, digest = _files.encoded(text), _files.Digest()
        digest.write(whole)
        self.size, self.digest = len(whole), str(digest)
        self._compressed = zlib.compress(whole, level=1)

    def __bytes__(self) -> bytes:
        return zlib.decompress(self._compressed)


@dataclass(frozen=True)
class Made:
    """A report of ``observed``. ``fail_on``: the least severity that is a failure. ``since``: None where no earlier one
    was given. ``table``: as the playbook inventory writes it."""

    report: model.Report
    fail_on: str
    title: str
    since: model.Since | None
    table: str

    @classmethod
    def of(cls, observed: t.Any, fail_on: str, title: str = "", earlier: t.Any = None) -> Made:
        """``earlier``: the data of an earlier report. Raises Failure where that or ``observed`` is none."""
        lines = [inventory_files.HEADING]
        report = of_observed(_listed(observation.parse(observed), lines))
        since = None if earlier is None else compare(earlier, data.as_data(report))
        return cls(report, fail_on, title, since, "".join(lines))

    def text(self, kind: str) -> str:
        """What the file of that format has, in one file for all clusters."""
        return {
            files.HTML: lambda: page(self.report, self.title, since=self.since),
            files.JSON: lambda: data.text(self.report, self.since),
            files.JUNIT: lambda: judging.junit(self.report, self.fail_on),
            files.PROMETHEUS: lambda: prometheus(self.report),
            files.CSV: lambda: self.table,
        }[kind]()

    def contents(self, target: files.Target, largest: int = LARGEST) -> dict[str, Content]:
        """Of all files, by their paths."""
        found: dict[str, Content] = {}
        for kind, path in target.paths.items():
            if kind == files.HTML and target.folder and len(self.report.clusters) > 1:
                found.update(self._pages(path, largest))
            else:
                found[path] = Content(self.text(kind))
        return found

    def _pages(self, path: str, largest: int) -> dict[str, Content]:
        """One page, or if that were too large one for each cluster and one that leads to them."""
        names = files.pages(path, [one.name for one in self.report.clusters])
        home = posixpath.basename(path)
        each: dict[str, Content] = {}
        for one in self.report.clusters:
            alone = model.Report(one.verdict, one.sentence, (one,))
            new = self.since and self.since.of(one.name)
            text = page(alone, self.title, home=home, since=new)
            each[posixpath.join(posixpath.dirname(path), names[one.name])] = Content(text)
        if sum(content.size for content in each.values()) <= largest:
            return {path: Content(self.text(files.HTML))}
        return {path: Content(page(self.report, self.title, names, since=self.since)), **each}

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


def _listed(observed: t.Iterable[observation.Observed], lines: list[str]) -> t.Iterator[observation.Observed]:
    """The same; the lines of each follow once its taker has refused what its module does not return."""
    for one in observed:
        yield one
        reason = one.failures.get(observation.INVENTORY) or one.failure or observation.NOTHING_GIVEN
        lines += inventory_files.lines(one.name, one.result(observation.INVENTORY) or {"error": reason})


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
    contents = made.contents(target)
    if not target.folder or os.path.isdir(target.folder):
        for path in contents:
            _files.require_writable(path)
    elif os.path.lexists(target.folder):
        raise Failure(f"The folder {target.folder} is none, but something else: name another one.")
    before, after, steps = {}, {}, []
    for path, content in contents.items():
        after[path] = content.digest
        found = _files.digest(path)
        if found:
            before[path] = found
    changed = [path for path in contents if before.get(path) != after[path]]

    def write() -> None:
        if target.folder:
            _files.make_private(target.folder)
        with _files.replacing(_MODE, *changed) as written:
            for path, put in zip(changed, written, strict=True):
                put(bytes(contents[path]))

    if changed:
        others = [os.path.basename(path) for path in changed[1:]]
        change = Change.of_file(
            changed[0], existed=changed[0] in before, why=f"with {', '.join(others)}" if others else ""
        )
        steps.append(_plan.Step(" and ".join((f"write {changed[0]}", *others)), change, write))
    return _plan.Plan(before, after, tuple(steps), result={**made.told, "files": list(contents)})


def earlier(path: str) -> t.Any:
    """The data of the report in that file; None where there is none, as before the first of nightly runs."""
    if not path or not os.path.lexists(path):
        return None
    try:
        return json.loads(_files.read(path))
    except ValueError as error:
        raise Failure(f"The earlier report {path} is no JSON ({error}): name one that this role wrote.") from error
