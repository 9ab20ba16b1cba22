# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``PODS NAMESPACES BINDINGS``, run by ``figures``: matches a made-up cluster; prints its costs as JSON.

A process of its own, because of the memory. Objects are made one by one, as they come out of a list that is read.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.matching import matching, nmi_answers

ID = "/subscriptions/s/resourcegroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/"


def pods(number: int, namespaces: int, selectors: int) -> Iterator[dict[str, Any]]:
    """Pods of a namespace share it with the bindings of their selectors."""
    for index in range(number):
        name = f"workload-{index % 97}-{index:x}"
        yield {
            "metadata": {
                "name": name,
                "namespace": f"team-{index % namespaces}",
                "labels": {"app": name, "aadpodidbinding": f"selector-{index % selectors}"},
                "ownerReferences": [{"kind": "ReplicaSet", "name": f"workload-{index % 97}", "controller": True}],
            },
            "spec": {"nodeName": f"node-{index % 1000}"},
            "status": {"phase": "Running", "podIP": f"10.{index >> 16}.{index >> 8 & 255}.{index & 255}"},
        }


def main(number: int, namespaces: int, selectors: int) -> None:
    started = time.process_time()
    parsed = [matching.Pod.parse(raw) for raw in pods(number, namespaces, selectors)]
    bindings, identities = [], []
    for index in range(selectors):
        name, namespace = f"identity-{index}", f"team-{index % namespaces}"
        bindings.append(matching.Binding(namespace, f"binding-{index}", name, f"selector-{index}"))
        identities.append(
            matching.Identity(namespace, name, 0, ID + name, f"client-{index}", namespaced=index % 3 == 0)
        )
    found = matching.Matching(bindings, identities)
    assigned = found.assignments(parsed)
    answers = nmi_answers.Answers(found, (), (), parsed)
    answered = sum(len(answers.expected(pod)) for pod in parsed)
    seconds = time.process_time() - started
    status = Path("/proc/self/status").read_text()  # ru_maxrss would be at least that of the parent
    peak = int(status.partition("VmHWM:")[2].split()[0]) / 1024
    print(json.dumps({"seconds": seconds, "peak_mb": peak, "assigned": len(assigned), "answers": answered}))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
