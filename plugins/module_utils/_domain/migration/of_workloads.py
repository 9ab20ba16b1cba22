# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Problems with changing a workload: whose it is, how its pods are replaced, and who else takes tokens through it."""

from __future__ import annotations

from ..kubernetes import progress
from ..kubernetes.workloads import TEMPLATES
from ..names import listed
from . import noticed
from .candidate import POD_IDENTITY, Candidate
from .owners import OPERATOR
from .places import policies
from .problem import (
    ACCEPT,
    BLOCKS,
    FINISH,
    LEAVE,
    OVERRIDE_OWNER,
    WARNS,
    Reason,
    Reasons,
    Table,
    unlooked,
)
from .world import World

TABLE = Table()
_EXCEPTIONS = "AzurePodIdentityException"


def _changes(one: Candidate, world: World) -> bool:
    """Whether its template has to be changed for it to use Workload ID."""
    if one.is_bound or one.provides_itself:
        return False
    return not one.labelled or bool(world.why_own_account(one)) or (one.proxied and not one.has_proxy)


@TABLE.problem(
    BLOCKS,
    "Change the manifest where it is written; what is patched in the cluster, its owner may undo.",
    told_by="Labels, annotations and field managers of Helm, Flux and Argo CD.",
    accepted_by=OVERRIDE_OWNER,
    references=("https://fluxcd.io/flux/components/kustomize/kustomizations/",),
)
def manifest_has_owner(one: Candidate, world: World) -> Reasons:
    """The manifest of the workload belongs to a helm release, Flux or Argo CD."""
    if one.owner.kind and not one.owner.fixed and _changes(one, world):
        yield Reason(f"It belongs to {one.owner.label}.")


@TABLE.problem(
    BLOCKS,
    "Set label and service account where the owner takes its pod template from.",
    told_by="An owner reference to a kind that is not known here, or the mark of AKS.",
)
def made_by_operator(one: Candidate, world: World) -> Reasons:
    """The workload is made by a controller or by AKS, which would undo every change of it."""
    if not one.owner.fixed or not _changes(one, world):
        return
    maker = one.owner.name.partition(" ")[0]
    if one.owner.kind == OPERATOR and maker in TEMPLATES and not world.read(maker):
        yield unlooked(f"It belongs to {one.owner.name}, of which nothing is known: {maker}s were not read.")
    else:
        yield Reason(f"It belongs to {one.owner.label}.")


@TABLE.problem(
    BLOCKS,
    "Make it anew with label and service account; its template cannot be changed.",
    told_by="A Job, or a pod that nobody makes.",
    accepted_by=ACCEPT,
)
def template_immutable(one: Candidate, world: World) -> Reasons:
    """The workload has to be deleted and made anew, because its pods cannot be changed."""
    if one.rollout.immutable and not one.owner.fixed and _changes(one, world):
        yield Reason(f"The template of a {one.kind} cannot be changed.")


@TABLE.problem(
    BLOCKS,
    "Accept that pods are missing for a moment, or give the workload a strategy that surges. Where it is OnDelete, the "
    "run restarts the pods one by one, each when the others are ready.",
    told_by="The strategy of the workload, its replicas, and volumes that one node alone may have.",
    accepted_by=ACCEPT,
)
def cannot_surge(one: Candidate, world: World) -> Reasons:
    """Old pods of the workload end before new ones serve."""
    rollout = one.rollout
    if not (_changes(one, world) or one.stale_pods) or rollout.immutable or one.owner.fixed:
        return
    if rollout.gap:
        yield Reason(f"{rollout.gap[0].upper()}{rollout.gap[1:]}.")
    elif rollout.unknown:
        yield unlooked(f"It is not known {rollout.unknown}: persistentvolumeclaims may not be listed.")


@TABLE.problem(
    BLOCKS,
    "Resume the Deployment (kubectl rollout resume), or set the partition of the StatefulSet to 0.",
    told_by="spec.paused of a Deployment, and the partition of a StatefulSet.",
)
def rollout_held(one: Candidate, world: World) -> Reasons:
    """The workload replaces no pods, because it is paused, or only some, because it has a partition."""
    held = "" if one.source.made_by_hand else progress.held(one.kind, one.source.raw)
    if held and not one.owner.kind and (_changes(one, world) or one.stale_pods):
        yield Reason(f"{held[0].upper()}{held[1:].partition(':')[0]}.")


@TABLE.problem(
    WARNS,
    "Try it by a server dry run, or ask whoever wrote the policy.",
    told_by="Constraints of Gatekeeper, ValidatingAdmissionPolicies and policies of Kyverno that look at its pods.",
)
def policy_may_refuse(one: Candidate, world: World) -> Reasons:
    """A policy of admission looks at the pods of the workload, and may refuse them as they will be."""
    found = policies(one.kind, one.namespace, world.place_of(one).labels, world.observed.objects)
    if found and _changes(one, world):
        yield Reason(f"{listed(found)} may refuse it.")


@TABLE.problem(
    BLOCKS,
    "Change the setting of each consumer as its product documents it, before aadpodidbinding goes.",
    told_by="Objects of KEDA, Secrets Store CSI and others that take tokens through its pods and say pod identity.",
    row=21,
    stage=LEAVE,
    references=("kedacore/keda#4219",),
)
def others_take_tokens_by_it(one: Candidate, world: World) -> Reasons:
    """Other objects take tokens through the pods of the workload, and are set to pod identity."""
    still = [
        each.label
        for each in world.consumers
        if each.uses == POD_IDENTITY and one.label in each.workloads and one.label != each.label
    ]
    missing = world.unread(*noticed.set_to_pod_identity(one.products, one.source.template))
    if still:
        yield Reason(f"{listed(still)} ask by its pods.")
    elif missing:
        yield unlooked(f"Whether others take tokens by its pods is not known: {listed(missing)} were not read.")


@TABLE.problem(
    BLOCKS,
    "Let the workload use Workload ID, or keep the identities that it needs on the scale set by name.",
    told_by="An AzurePodIdentityException, the host network, or the name by which NMI takes it for MIC.",
    row=8,
    stage=FINISH,
    accepted_by=ACCEPT,
    stays=True,
)
def takes_node_identity(one: Candidate, world: World) -> Reasons:
    """The workload takes tokens of the identities of its node, which go with AAD Pod Identity."""
    if one.node_identity and not world.is_served(one) and not one.provides_itself and not one.is_bound:
        yield Reason(f"{one.node_identity[0].upper()}{one.node_identity[1:]}.")
    elif one.selector and not one.provides_itself and not one.is_bound and not world.read(_EXCEPTIONS):
        yield unlooked(f"Whether NMI serves its pods is not known: {_EXCEPTIONS}s were not read.")
