# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""What makes no pods any more: Jobs that have ended, and pods that have, where nobody known here makes others."""

from __future__ import annotations

import typing as t

from ..kubernetes.sources import place
from ..kubernetes.workloads import TEMPLATES, Workload
from ..matching.matching import Raw


def is_done(job: Raw) -> bool:
    """Whether a Job has ended."""
    status = job.get("status") or {}
    conditions = {each.get("type") for each in status.get("conditions") or () if each.get("status") == "True"}
    return bool(status.get("completionTime")) or bool(conditions & {"Complete", "Failed"})


def find(workloads: t.Iterable[Workload], objects: t.Mapping[str, t.Sequence[Raw]]) -> tuple[Workload, ...]:
    """Those of AAD Pod Identity, which nothing has to be done about."""
    jobs = {place(raw): raw for raw in objects.get("Job", ())}
    known = {(kind, *place(raw)) for kind in TEMPLATES for raw in objects.get(kind, ())}

    def has_ended(one: Workload) -> bool:
        where = (one.pod.namespace, one.name)
        if one.kind == "Job" and where in jobs:
            return is_done(jobs[where])
        return (one.kind, *where) not in known and not any(each.lives for each in one.pods)

    return tuple(one for one in workloads if one.pod.selector and has_ended(one))
