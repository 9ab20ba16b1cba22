# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!
"""Who carries the label that selects a pod identity, in pods and in what makes pods."""

from __future__ import annotations

import typing as t

from .._domain.kubernetes import workloads
from .._domain.matching.matching import Pod, template_selector
from .client import Client
from .kinds import POD, TEMPLATES, label
from .pairs import labelled


def users(client: Client, selectors: t.AbstractSet[tuple[str, str]]) -> list[str]:
    """What selects one of these (namespace and selector): living pods, and objects whose pods will."""
    if not selectors:
        return []
    namespaces = {namespace for namespace, _selector in selectors}
    place = next(iter(namespaces)) if len(namespaces) == 1 else None
    pods = client.list_all(POD, place, labels=labelled({selector for _namespace, selector in selectors}))
    found = [
        label(POD, pod.namespace, pod.name)
        for pod in map(Pod.parse, pods)
        if pod.lives and (pod.namespace, pod.selector) in selectors
    ]
    for kind in TEMPLATES:
        for raw in workloads.present(kind.name, client.list_all(kind, place)):
            metadata = raw["metadata"]
            if (metadata["namespace"], template_selector(raw)) in selectors:
                found.append(label(kind, metadata["namespace"], metadata["name"]))
    return found
