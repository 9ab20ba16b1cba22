# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a report is made of, with names of whoever may write them."""

from __future__ import annotations

from typing import Any

from ansible_collections.azureops.pod_identity.tests.support.cluster_objects import ID, identity, template
from ansible_collections.azureops.pod_identity.tests.support.report_world import (
    CARRIERS,
    NODES,
    cluster,
    diagnosis,
    document,
    inventory,
    objects,
    plan,
    token,
)

STAGES = [{"workload": "Deployment team/web", "state": "switched", "next": "soak", "why": ""}]
HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</style></title></textarea></svg><b>",
    "{{ 7 * 7 }}{% raw %}",
    "javascript:alert(1)",
    "' onfocus='alert(1)' autofocus='",
    "&lt;&#x3c;&amp;",
    "\u202egnp.exe\u2066\u0000\ud800",
]


def observed(name: str = "web", selector: str = "nobody", of: str = "i") -> dict[str, Any]:
    other = identity(of, "other", resourceID=f"{ID}other", clientID="client-other")
    found = objects(Deployment=[template(), template(name, selector)], AzureIdentity=[identity(), other])
    return document(
        cluster(
            inventory=inventory(found, audit=True),
            diagnosis=diagnosis(found),
            verification=[token(), token("not_assigned", pod=name, message=selector)],
            nodes=NODES,
            carriers=CARRIERS,
            plan=plan(found),
            stages=STAGES,
        )
    )
