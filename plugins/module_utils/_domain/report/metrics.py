# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""A report in the text format of Prometheus, for the textfile collector of its node exporter."""

from __future__ import annotations

import typing as t
from collections import Counter

from ..moments import moment
from .model import VERDICTS, Cluster, Report

Sample = tuple[t.Sequence[tuple[str, str]], int]


def prometheus(report: Report) -> str:
    metrics: tuple[tuple[str, str, t.Callable[[Cluster], t.Iterator[Sample]]], ...] = (
        ("pod_identity_looked_at", "Whether the cluster could be looked at.", _looked),
        ("pod_identity_observation_timestamp_seconds", "When the oldest of the observation was made.", _time),
        ("pod_identity_findings", "Causes and findings by code and severity.", _findings),
        ("pod_identity_workloads", "Workloads that have to do with identities, by verdict.", _workloads),
        ("pod_identity_migration_workloads", "Workloads by the phase of their migration.", _phases),
        ("pod_identity_tokens", "Verified tokens by verdict.", _tokens),
        ("pod_identity_leftovers", "What pod identity left.", _leftovers),
    )
    lines = []
    for name, meaning, samples in metrics:
        lines += [f"# HELP {name} {meaning}", f"# TYPE {name} gauge"]
        for cluster in report.clusters:
            for labels, value in samples(cluster):
                said = ",".join(f'{key}="{_escaped(text)}"' for key, text in (("cluster", cluster.name), *labels))
                lines.append(f"{name}{{{said}}} {value}")
    return "\n".join((*lines, ""))


def _looked(cluster: Cluster) -> t.Iterator[Sample]:
    yield (), int(bool(cluster.looked) and not cluster.failure)


def _time(cluster: Cluster) -> t.Iterator[Sample]:
    when = moment(cluster.observed_at)
    if when:
        yield (), int(when.timestamp())


def _findings(cluster: Cluster) -> t.Iterator[Sample]:
    found = Counter((one.code, one.severity) for one in cluster.problems)
    for (code, severity), count in sorted(found.items()):
        yield (("code", code), ("severity", severity)), count


def _workloads(cluster: Cluster) -> t.Iterator[Sample]:
    """All verdicts, so that none is missed when its last workload goes; none of a cluster that nobody looked at."""
    found = Counter(one.verdict for one in cluster.workloads)
    for verdict in () if cluster.failure else VERDICTS:
        yield (("verdict", verdict),), found[verdict]


def _phases(cluster: Cluster) -> t.Iterator[Sample]:
    for phase, count in cluster.phases:
        yield (("phase", phase),), count


def _tokens(cluster: Cluster) -> t.Iterator[Sample]:
    for verdict, count in sorted(Counter(one.verdict for one in cluster.tokens).items()):
        yield (("verdict", verdict),), count


def _leftovers(cluster: Cluster) -> t.Iterator[Sample]:
    if not cluster.failure:
        yield (), len(cluster.leftovers)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
