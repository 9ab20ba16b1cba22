# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The pod of a Job that we made."""

from __future__ import annotations

from typing import Any

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.tokens import probe_job
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube import job_pods
from ansible_collections.azureops.pod_identity.tests.unit.tables import table


@table(
    "state, killed, why",
    ({"terminated": {"reason": "OOMKilled", "exitCode": 137}}, True, " (OOMKilled)"),
    ({"terminated": {"reason": "StartError", "message": "exec: no sh."}}, False, " (StartError exec: no sh)"),
    ({"terminated": {"reason": "Completed"}}, False, " (Completed)"),
    ({"running": {}}, False, ""),
    ({}, False, ""),
)
def test_out_of_memory(state: dict[str, Any], killed: bool, why: str) -> None:
    pod = {"status": {"containerStatuses": [{"name": "mesh"}, {"name": probe_job.CONTAINER, "state": state}]}}
    assert (job_pods.is_out_of_memory(pod), job_pods.why(pod)) == (killed, why)
