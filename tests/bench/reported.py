# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``CLUSTERS PODS WORKLOADS IDENTITIES``, run by ``figures``: makes the files of a report; prints its costs as JSON.

What is reported is made in a process of its own, because of the memory, and read from a file.
"""

from __future__ import annotations

import json
import multiprocessing
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.report import files
from ansible_collections.azureops.pod_identity.plugins.plugin_utils._report_files import Made
from ansible_collections.azureops.pod_identity.tests.support import report_world
from ansible_collections.azureops.pod_identity.tests.support.cluster_objects import (
    ID,
    assigned,
    binding,
    identity,
    pod,
    template,
)

_NAMESPACES, _NODES, _SETS = 30, 100, 4
_SET = "/subscriptions/s/resourceGroups/mc/providers/Microsoft.Compute/virtualMachineScaleSets/pool"


def observation(clusters: int, pods: int, workloads: int, identities: int) -> dict[str, Any]:
    """Each workload has a namespace, a selector and an identity of its own; every tenth pod is not assigned."""
    places = [(f"workload-{number}", f"team-{number % _NAMESPACES}") for number in range(workloads)]
    templates = [template(name, name, where) for name, where in places]
    sets = [template(f"{name}-1", name, where, owner=("Deployment", name)) for name, where in places]
    ones = [identity(f"identity-{number}", f"team-{number % _NAMESPACES}") for number in range(identities)]
    by = [
        binding(f"binding-{number}", f"identity-{number}", f"workload-{number}", f"team-{number % _NAMESPACES}")
        for number in range(identities)
    ]
    running = []
    for number in range(pods):
        name, where = places[number % workloads]
        node = {"nodeName": f"node-{number % _NODES}"}
        running.append(pod(f"{name}-1-{number}", name, where, owner=("ReplicaSet", f"{name}-1"), spec=node))
    found = {
        "AzureIdentity": ones,
        "AzureIdentityBinding": by,
        "AzurePodIdentityException": [],
        "AzureAssignedIdentity": [
            assigned(each, by[number % workloads], ones[number % workloads])
            for number, each in enumerate(running)
            if number % 10
        ],
        "Deployment": templates,
        "ReplicaSet": sets,
        "Pod": running,
        "Node": [{"metadata": {"name": f"node-{number}"}} for number in range(_NODES)],
    }
    nodes = [
        {"name": f"node-{number}", "scale_set": f"{_SET}{number % _SETS}", "scale_set_name": f"pool{number % _SETS}"}
        for number in range(_NODES)
    ]
    carried = [
        {"id": f"{ID}team-{number % _NAMESPACES}-identity-{number}", "ownership": "used", "ownership_because": "a pod"}
        for number in range(identities)
    ]
    sources: dict[str, Any] = {
        "inventory": report_world.inventory(found),
        "diagnosis": report_world.diagnosis(found),
        "verification": [report_world.token(namespace=where, selector=name) for name, where in places],
        "nodes": {"nodes": nodes},
        "carriers": {
            "resources": [
                {"id": f"{_SET}{number}", "name": f"pool{number}", "identities": carried} for number in range(_SETS)
            ],
            "unread": [],
        },
        "plan": report_world.plan(found),
    }
    return report_world.document(*(report_world.cluster(f"cluster-{number}", **sources) for number in range(clusters)))


def make(path: str, numbers: list[int]) -> None:
    Path(path).write_text(json.dumps(observation(*numbers)))


def main(numbers: list[int]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/observation.json"
        making = multiprocessing.get_context("fork").Process(target=make, args=(path, numbers))
        making.start()
        making.join()
        observed = json.loads(Path(path).read_text())
    started = time.process_time()
    contents = Made.of(observed, "never").contents(files.target("/r", files.FORMATS))
    seconds = time.process_time() - started
    pages = [content.size for path, content in contents.items() if path.endswith(".html")]
    status = Path("/proc/self/status").read_text()  # ru_maxrss would be at least that of the parent
    peak = int(status.partition("VmHWM:")[2].split()[0]) / 1024
    print(json.dumps({"seconds": seconds, "peak_mb": peak, "largest_mb": max(pages) / 1e6, "pages": len(pages)}))


if __name__ == "__main__":
    main([int(each) for each in sys.argv[1:]])
