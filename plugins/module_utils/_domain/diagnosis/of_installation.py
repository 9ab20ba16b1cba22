# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!
"""Causes in the installation: MIC, NMI and the definitions of their kinds."""

from __future__ import annotations

from ..installation import nmi
from ..matching.matching import STANDARD
from .cause import ERROR, Evidence, Suspicion, Suspicions, Table
from .observed import MIC, Observed

TABLE = Table()
_CHART = "https://azure.github.io/aad-pod-identity/docs/getting-started/installation/"


@TABLE.cause(
    ERROR,
    "Install the chart (azureops.pod_identity.site), or take the bindings away where Workload ID serves the pods.",
    told_by="Bindings, but no Deployment or DaemonSet that is proved to be MIC or NMI.",
    references=(_CHART,),
)
def nothing_installed(observed: Observed) -> Suspicions:
    """Pods are bound to identities, and nothing runs that would give them out."""
    bindings = observed.inventory.cluster.bindings
    if bindings and not observed.components:
        yield Suspicion(
            object="the installation",
            symptom="Pods get no token, or one of the node's own identities.",
            cause="There are AzureIdentityBindings, but neither MIC nor NMI is installed.",
            evidence=(Evidence("AzureIdentityBindings of the cluster", f"There are {len(bindings)}."),),
            concerns=None,
        )


@TABLE.cause(
    ERROR,
    "Bring MIC to run: see the events and the log of its pods.",
    told_by="The Deployment of MIC without a pod that is Ready.",
)
def mic_not_running(observed: Observed) -> Suspicions:
    """No pod of MIC is ready, so nothing is assigned and nothing is taken back."""
    for one in observed.of(MIC):
        if observed.inventory.cluster.rules.mode == STANDARD and not any(map(nmi.is_ready, one.pods)):
            states = ", ".join(sorted(f"{pod['metadata']['name']} is {_phase(pod)}" for pod in one.pods))
            yield Suspicion(
                object=one.label,
                symptom="New pods get no identity: NMI answers 404 after 80 seconds.",
                cause=f"No pod of MIC is Ready ({states or 'there is none'}).",
                evidence=(Evidence(one.label, states or "It has no pod."),),
                concerns=None,
                command=f"kubectl --namespace {one.workload['metadata']['namespace']} describe pods",
            )


def _phase(pod: nmi.Object) -> str:
    return str((pod.get("status") or {}).get("phase") or "Unknown")
