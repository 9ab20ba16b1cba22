# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Problems with the webhook of Workload ID: that there is one, that it sees the pods, and what it makes of them."""

from __future__ import annotations

from ..installation import nmi
from ..installation.workload_identity_webhook import (
    TOKEN_FILE_VARIABLE,
    USE_LABEL,
    namespace_labels,
    skipped,
)
from ..names import listed
from ..tokens import mutation
from . import containers
from .candidate import Candidate
from .problem import (
    ACCEPT,
    BLOCKS,
    LABEL,
    LEAVE,
    NEEDS,
    RESTART,
    WARNS,
    WEBHOOK,
    Reason,
    Reasons,
    Table,
    unlooked,
)
from .world import World

TABLE = Table()
_DOCS = "https://azure.github.io/azure-workload-identity/docs/"
_LABELS = f"{_DOCS}topics/service-account-labels-and-annotations.html"
_CONFIGURATIONS, _SYSTEM = "MutatingWebhookConfiguration", "kube-system"
_NOT_READ = "its webhook configurations may not be listed"
_NO_PODS = "pods were not read"


@TABLE.problem(
    NEEDS,
    "The label azure.workload.identity/use: 'true' goes into the labels of the pod template.",
    told_by="The labels of the pod template; those of the workload itself, and of its service account, do not count.",
    row=1,
    step=LABEL,
    references=(_LABELS, "kubernetes-sigs/external-dns#3111", "Azure/AKS#5600", "kestra-io/helm-charts#58"),
)
def template_not_labelled(one: Candidate, world: World) -> Reasons:
    """The pod template lacks the label by which the webhook of Workload ID takes notice of a pod."""
    if not one.labelled and not one.provides_itself and not one.is_bound:
        yield Reason(f"The label {USE_LABEL} is not in its pod template.")


@TABLE.problem(
    NEEDS,
    "The pods are replaced, so that the webhook sees them with the service account as it is.",
    told_by="Living pods of a labelled template without AZURE_FEDERATED_TOKEN_FILE, or with another AZURE_CLIENT_ID "
    "than their service account tells.",
    row=2,
    step=RESTART,
    references=("Azure/AKS#5243",),
)
def pods_older_than_account(one: Candidate, world: World) -> Reasons:
    """The pods were made before their service account or their template said what it says now."""
    if not world.read("Pod") and one.labelled and not one.provides_itself and not one.is_bound:
        yield unlooked(f"Whether its pods are as the webhook makes them is not known: {_NO_PODS}.")
    elif one.stale_pods:
        yield Reason(f"{one.stale_pods} of its {len(one.source.pods)} pods are older than what the webhook acts on.")


@TABLE.problem(
    NEEDS,
    "The webhook is installed: az aks update --enable-oidc-issuer --enable-workload-identity, or its chart.",
    told_by="No MutatingWebhookConfiguration of Workload ID.",
    row=3,
    step=WEBHOOK,
    references=(f"{_DOCS}installation/mutating-admission-webhook.html",),
)
def webhook_not_installed(one: Candidate, world: World) -> Reasons:
    """The cluster has no webhook of Workload ID."""
    if not world.read(_CONFIGURATIONS):
        yield unlooked(f"Whether the webhook is installed is not known: {_NOT_READ}.")
    elif not world.webhooks and not one.provides_itself:
        yield Reason("The cluster has no webhook of Workload ID.", "the Workload ID webhook")


@TABLE.problem(
    BLOCKS,
    "Bring the webhook to run before anything is rolled out: see the events and the log of its pods.",
    told_by="The webhook's configuration beside the Deployment that serves it, and the conditions of its pods.",
    row=3,
    references=("Azure/azure-workload-identity#1608", "Azure/AKS#4139", "Azure/AKS#5686"),
)
def webhook_not_ready(one: Candidate, world: World) -> Reasons:
    """The webhook of Workload ID is installed, and no pod that serves it is ready."""
    if not world.read(_CONFIGURATIONS):
        yield unlooked(f"Whether the webhook serves is not known: {_NOT_READ}.")
    for each in world.webhooks:
        if not each.service:
            continue
        serving = [part for part in world.serving if part.namespace == each.namespace]
        if not world.read("Deployment", "Pod"):
            yield unlooked("Whether the webhook serves is not known: deployments and pods may not be listed.")
        elif not any(nmi.is_ready(pod) for part in serving for pod in part.pods):
            effect = "No labelled pod would be created" if each.fails else "Labelled pods would get no token"
            yield Reason(f"No pod of the webhook in namespace {each.namespace} is ready. {effect}.", each.label)
        elif not each.bundle:
            yield Reason("Its configuration has no caBundle, so that nobody can call it.", each.label)


@TABLE.problem(
    WARNS,
    "Set failurePolicy to Fail in the webhook's configuration, as it is from 1.0.0 on, or look at each new pod.",
    told_by="failurePolicy of the webhook's configuration.",
    row=3,
    references=("Azure/azure-workload-identity#790", "Azure/azure-workload-identity#540"),
)
def webhook_may_be_passed_over(one: Candidate, world: World) -> Reasons:
    """While the webhook of Workload ID does not answer, pods are created without their token."""
    if not world.read(_CONFIGURATIONS):
        yield unlooked(f"Its failurePolicy is not known: {_NOT_READ}.")
    for each in world.webhooks:
        if not each.fails:
            yield Reason("Its failurePolicy is Ignore.", each.label)


@TABLE.problem(
    BLOCKS,
    "Update the webhook to a version that knows the fields, or take them out of the template.",
    told_by="A server dry run of a pod of the template, with the label and without it.",
    row=4,
    references=("Azure/azure-workload-identity#1312", "Azure/azure-workload-identity#1751"),
)
def fields_would_be_lost(one: Candidate, world: World) -> Reasons:
    """The webhook takes fields out of the pod that it does not know."""
    if one.provides_itself or one.is_bound:
        return
    run = world.dry_run(one)
    if run is None:
        yield unlooked("What the webhook makes of its pods was not tried (server dry run).")
    elif run.lost or run.changed:
        yield Reason(f"Its pods would lose {listed((*run.lost, *run.changed))}.")


@TABLE.problem(
    BLOCKS,
    "Change the template, or what refuses or changes its pods; see kubectl get mutatingwebhookconfigurations.",
    told_by="A server dry run of a pod of the template with the label.",
    row=3,
)
def labelled_pod_refused(one: Candidate, world: World) -> Reasons:
    """The API server does not take a pod of the template with the label, or takes it without a token."""
    run = None if one.proxied or one.provides_itself or one.is_bound else world.dry_run(one)
    if run and run.refusal:
        yield Reason(run.refusal)
    elif run and not run.gives_token:
        yield Reason(
            "A pod with the label would be created without a token: the webhook does not see it, or another one takes "
            "its label away before."
        )


@TABLE.problem(
    BLOCKS,
    "Let the other webhook run first, or write the token and its variables for that container in the template.",
    told_by="Living pods that the webhook has changed, with a container that has no AZURE_FEDERATED_TOKEN_FILE.",
    row=9,
    stage=LEAVE,
    references=("Azure/azure-workload-identity#791",),
    accepted_by=ACCEPT,
)
def container_without_token(one: Candidate, world: World) -> Reasons:
    """A container of its pods, which another webhook added or an annotation leaves out, gets no token."""
    if not one.labelled or one.is_bound:
        return
    left_out = skipped(one.source.template)
    names = set()
    for pod in one.source.pods:
        if mutation.is_mutated(pod):
            names |= {
                each.name
                for each in containers.parse(pod)
                if TOKEN_FILE_VARIABLE not in each.variables and each.kind != containers.INIT
            }
    names |= left_out
    if not names and not world.read("Pod"):
        yield unlooked(f"Whether all its containers get a token is not known: {_NO_PODS}.")
    elif names:
        yield Reason(f"Its containers {listed(sorted(names))} get no token of Workload ID.")


@TABLE.problem(
    BLOCKS,
    "Keep one of both: take the chart away (helm uninstall) before the add-on is enabled, or disable the add-on.",
    told_by="More than one MutatingWebhookConfiguration, or Deployments of the webhook in several namespaces, or the "
    "add-on's state in Azure beside the chart's Deployment.",
    row=20,
    references=("Azure/azure-workload-identity#1295", "Azure/azure-workload-identity#1610", "Azure/AKS#3510"),
)
def two_webhooks(one: Candidate, world: World) -> Reasons:
    """The webhook of Workload ID is installed more than once, by AKS and by its chart or by several charts."""
    missing = world.unread(_CONFIGURATIONS, "Deployment", "ClusterRoleBinding")
    if len(world.installed_webhooks) > 1:
        yield Reason(f"It is installed as {listed(world.installed_webhooks)}.", "the Workload ID webhook")
    elif len({each.configuration for each in world.webhooks}) > 1:
        names = sorted({each.configuration for each in world.webhooks})
        yield Reason(f"It has several configurations: {listed(names)}.", "the Workload ID webhook")
    elif missing:
        yield unlooked(f"Whether it is installed more than once is not known: {listed(missing)} were not read.")


@TABLE.problem(
    BLOCKS,
    "Move the workload to a namespace that the webhook covers; kube-system and those with the label control-plane are "
    "left out by AKS.",
    told_by="The name and the labels of the namespace beside the namespaceSelector of the webhook's configuration.",
    row=23,
    references=("Azure/azure-workload-identity#687",),
)
def namespace_not_covered(one: Candidate, world: World) -> Reasons:
    """The webhook leaves out the namespace of the workload."""
    if one.provides_itself or one.is_bound:
        return
    label = f"Namespace {one.namespace}"
    labels = namespace_labels(one.namespace, world.observed.objects)
    if one.namespace == _SYSTEM:
        yield Reason("AKS lets no webhook change pods in kube-system.", label)
    elif labels is None:
        yield unlooked(f"The labels of the namespace {one.namespace} were not read.", label)
    elif "control-plane" in labels:
        yield Reason("Its namespace has the label control-plane, which AKS leaves out.", label)
    elif world.webhooks and not any(each.covers(labels) for each in world.webhooks):
        yield Reason("The namespaceSelector of the webhook does not select its namespace.", label)
    elif not world.read(_CONFIGURATIONS):
        yield unlooked(f"Whether the webhook covers its namespace is not known: {_NOT_READ}.", label)


@TABLE.problem(
    BLOCKS,
    "Let the pods run on nodes of a node pool.",
    told_by="A nodeSelector for virtual nodes in the pod template.",
    row=23,
    references=("https://learn.microsoft.com/azure/aks/workload-identity-overview",),
)
def runs_on_virtual_nodes(one: Candidate, world: World) -> Reasons:
    """The pods run on virtual nodes, where Workload ID is not supported."""
    if one.is_virtual:
        yield Reason("Its template selects virtual nodes.")
