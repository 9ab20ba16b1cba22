# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Workloads are seen with their pods, and restarted, without a word of what their templates hold."""

from __future__ import annotations

import typing as t

from .._domain.kubernetes import restarts
from .._domain.kubernetes.restarts import ANNOTATION, Decision, Match
from .client import Client
from .errors import ApiFailure
from .kinds import DAEMON_SET, DEPLOYMENT, POD, STATEFUL_SET, Kind, label
from .withheld import withheld

KINDS: t.Mapping[str, Kind] = {kind.name: kind for kind in (DEPLOYMENT, STATEFUL_SET, DAEMON_SET)}


def observe(client: Client, kind: str, namespace: str, name: str, matches: t.Sequence[Match]) -> Decision | None:
    """What is to be done with a workload; None where there is none of that name."""
    workload = client.get(KINDS[kind], namespace, name)
    if workload is None:
        return None
    pods = client.list_all(POD, namespace, labels=restarts.label_selector(workload))
    return restarts.decide(workload, pods, matches)


def restart(client: Client, kind: str, namespace: str, name: str, mark: str, *, dry_run: bool = False) -> None:
    """Set the annotation of the pods to ``mark``."""
    patch = {"spec": {"template": {"metadata": {"annotations": {ANNOTATION: mark}}}}}
    try:
        client.merge(KINDS[kind], namespace, name, patch, dry_run=dry_run)
    except ApiFailure as failure:
        command = f"kubectl -n {namespace} rollout restart {kind.lower()}/{name}"
        what = label(KINDS[kind], namespace, name)
        raise withheld(failure, "restart", what, "environment variables", command) from None
