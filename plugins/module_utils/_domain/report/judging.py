# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""What continuous integration reads of a report: JUnit, and whether a run fails."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass
from xml.sax.saxutils import quoteattr

from .model import BROKEN, ERROR, HEALTHY, SEVERITIES, SUSPECT, UNKNOWN, WARNING, Cluster, Report, counted, spoken

NEVER = "never"
FAIL_ON = (ERROR, WARNING, NEVER)


def fails(severity: str, fail_on: str) -> bool:
    """Whether a problem of that severity is one, by the least severity that is."""
    return fail_on != NEVER and SEVERITIES.index(severity) <= SEVERITIES.index(fail_on)


def failures(report: Report, fail_on: str) -> dict[str, str]:
    """Why a run with the option ``pod_identity_report_fail_on`` fails, by the clusters for which it does.

    A cluster that was not looked at is never all right, and a report of none that was fails whatever the option is.
    """
    verdicts = (BROKEN,) if fail_on == ERROR else (BROKEN, SUSPECT)
    sentences = {}
    if report.clusters and all(cluster.failure for cluster in report.clusters):
        return {cluster.name: cluster.sentence for cluster in report.clusters}
    for cluster in () if fail_on == NEVER else report.clusters:
        found = sum(fails(one.severity, fail_on) for one in cluster.problems)
        workloads = sum(one.verdict in verdicts for one in cluster.workloads)
        least = fail_on if fail_on == ERROR else f"{fail_on} or worse"
        parts = [f"{counted(found, 'problem')} of severity {least}"] if found else []
        parts += [f"{counted(workloads, 'workload')} {' or '.join(verdicts)}"] if workloads else []
        if cluster.failure:
            sentences[cluster.name] = cluster.sentence
        elif parts or cluster.verdict in verdicts:
            sentences[cluster.name] = f"{cluster.name} has {spoken(parts)}." if parts else cluster.sentence
    return sentences


@dataclass(frozen=True)
class Case:
    """``kind`` of its failure, '' where it did not fail; ``sentence``: why it failed or was skipped."""

    group: str
    name: str
    kind: str = ""
    sentence: str = ""
    skipped: bool = False


def junit(report: Report, fail_on: str = ERROR) -> str:
    """Each workload and each problem as a test case; what was not verified is skipped, never passed."""
    suites = [(cluster, tuple(_cases(cluster, fail_on))) for cluster in report.clusters]
    every = [case for _cluster, cases in suites for case in cases]
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', f"<testsuites {_counts('pod_identity', every)}>"]
    for cluster, cases in suites:
        # The format has no time zone; the time is that of UTC.
        time = f" timestamp={quoteattr(cluster.observed_at[:-1])}" if cluster.observed_at else ""
        lines.append(f'<testsuite {_counts(cluster.name, cases)}{time} time="0">')
        for case in cases:
            named = f"<testcase classname={quoteattr(f'{cluster.name}.{case.group}')} name={quoteattr(case.name)}"
            if case.skipped:
                lines.append(f'{named} time="0"><skipped message={quoteattr(case.sentence)}/></testcase>')
            elif case.kind:
                told = f"<failure type={quoteattr(case.kind)} message={quoteattr(case.sentence)}/>"
                lines.append(f'{named} time="0">{told}</testcase>')
            else:
                lines.append(f'{named} time="0"/>')
        lines.append("</testsuite>")
    return "\n".join((*lines, "</testsuites>", ""))


def _counts(name: str, cases: t.Sequence[Case]) -> str:
    failures, skipped = sum(bool(case.kind) for case in cases), sum(case.skipped for case in cases)
    numbers = f'tests="{len(cases)}" failures="{failures}" errors="0" skipped="{skipped}"'
    return f"name={quoteattr(name)} {numbers}"


def _cases(cluster: Cluster, fail_on: str) -> t.Iterator[Case]:
    if cluster.failure:
        yield Case("cluster", cluster.name, UNKNOWN, cluster.sentence)
    for workload in cluster.workloads:
        name = f"{workload.label} {workload.selector}".strip()
        bad = workload.verdict == BROKEN or (workload.verdict == SUSPECT and fail_on == WARNING)
        if workload.verdict == HEALTHY or (workload.verdict == SUSPECT and not bad):
            yield Case("workloads", name)
        elif bad:
            yield Case("workloads", name, workload.verdict, workload.why)
        else:
            yield Case("workloads", name, sentence=workload.why, skipped=True)
    for problem in cluster.problems:
        name, told = f"{problem.code} {problem.object}", f"{problem.text} {problem.remedy}"
        bad = fails(problem.severity, ERROR if fail_on == NEVER else fail_on)
        yield Case("problems", name, problem.severity if bad else "", told if bad else "")
