# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The pod that asks who answers at the metadata address; apart from what a node needs, which is sent there."""

from __future__ import annotations

from ..tokens import probe_job
from . import imds_answer


def target(node: str, namespace: str) -> probe_job.Target:
    return probe_job.Target(namespace, service_account="default", node=node)


def job(
    node: str, namespace: str, *, name: str, owner: str, image: str, timeout: int, start_timeout: int
) -> probe_job.Object:
    """The Job of a plain pod on a node: no label that a workload has, and no taint keeps it away."""
    made = probe_job.job(
        probe_job.Place(None, node, "", "default", {}),
        target(node, namespace),
        name=name,
        owner=owner,
        image=image,
        resource=imds_answer.NO_RESOURCE,
        client_id=None,
        timeout=timeout,
        start_timeout=start_timeout,
    )
    made["spec"]["template"]["spec"]["tolerations"] = [{"operator": "Exists"}]
    return made
