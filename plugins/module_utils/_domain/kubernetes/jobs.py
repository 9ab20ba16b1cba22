# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Jobs of Kubernetes, as far as it matters for their removal."""

from __future__ import annotations

import typing as t

# Once a Job has FailureTarget, the Job controller ends its pods and makes no new ones; Failed follows when the last of
# them has ended, and takes over reason and message. Whoever asks here would delete the Job, with its pod, because it is
# of no use any more. That is so from FailureTarget on, and a pod that still ends does not speak against it.
_OVER = ("Complete", "Failed", "FailureTarget")


def has_ended(job: t.Mapping[str, t.Any]) -> bool:
    """Whether the Job is over: done, failed, or past its deadline, also where its pod is not gone yet."""
    conditions = (job.get("status") or {}).get("conditions") or ()
    return any(each.get("type") in _OVER and each.get("status") == "True" for each in conditions)
