# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Problems with the proxy sidecar, which answers libraries that know nothing but the metadata service.

It is looked at where the template or the operator asks for it. Before 1.5.0 it is an ordinary container behind an init
container that is privileged, and neither sets resources. Source: Azure/azure-workload-identity, pkg/webhook, pkg/proxy.
"""

from __future__ import annotations

from ..names import listed
from .candidate import Candidate
from .containers import INIT
from .problem import (
    ACCEPT,
    BLOCKS,
    LEAVE,
    NEEDS,
    PROXY,
    WARNS,
    Reason,
    Reasons,
    Table,
    unlooked,
)
from .world import World

TABLE = Table()
_SCOPE = (
    "Let the application ask Entra by its library (WorkloadIdentityCredential); where it asks by itself, its parameter "
    "resource=RESOURCE is scope=RESOURCE/.default there. Or give the workload the proxy sidecar."
)


@TABLE.problem(
    NEEDS,
    "The annotation azure.workload.identity/inject-proxy-sidecar goes into the pod template.",
    told_by="The operator's choice, and the annotations of the pod template.",
    row=11,
    step=PROXY,
)
def proxy_not_annotated(one: Candidate, world: World) -> Reasons:
    """The workload is to have the proxy sidecar, and its pod template does not say so."""
    if one.proxied and not one.has_proxy:
        yield Reason("It was chosen for the proxy sidecar.")


@TABLE.problem(
    BLOCKS,
    "Update the application's library, so that it needs no proxy, or use a webhook from 1.5.0 on with Kubernetes from "
    "1.32 on, where the proxy is a native sidecar.",
    told_by="A Job or CronJob with the proxy sidecar, beside the versions of the webhook and of the kubelets; where "
    "these are not known, it is no native sidecar.",
    row=5,
    references=("Azure/azure-workload-identity#773",),
)
def proxy_keeps_job_alive(one: Candidate, world: World) -> Reasons:
    """The proxy sidecar does not end with the other containers, so that the Job never completes."""
    if one.proxied and one.is_job and not world.native_sidecars:
        yield Reason("The proxy of this webhook is an ordinary container, which keeps its pods running.")


@TABLE.problem(
    BLOCKS,
    "Update the application's library, so that it needs no proxy; or let a namespace with weaker Pod Security take it, "
    "and a LimitRange give containers their defaults.",
    told_by="The Pod Security level of the namespace, its quotas beside its LimitRanges, and a server dry run of a pod "
    "with the proxy in that namespace.",
    row=6,
    references=("Azure/azure-workload-identity#1424", "Azure/azure-workload-identity#1441"),
)
def proxy_not_admitted(one: Candidate, world: World) -> Reasons:
    """Pods with the proxy sidecar are not admitted in the namespace of the workload."""
    if not one.proxied:
        return
    place, run = world.place_of(one), world.dry_run(one)
    label = f"Namespace {one.namespace}"
    if run:
        if run.refusal:
            yield Reason(f"A pod with the proxy would not be created. {run.refusal}")
    elif place.confined:
        yield Reason(
            f"The init container of the proxy is privileged, which Pod Security {place.security} refuses.", label
        )
    elif place.unset:
        yield Reason(
            f"The containers of the proxy do not set {listed(place.unset)}, which {listed(place.quotas)} wants.", label
        )
    else:
        yield unlooked("Whether a pod with the proxy is admitted was not tried (server dry run).")


@TABLE.problem(
    BLOCKS,
    "Update the library of the init containers, or let them ask for no token; before that aadpodidbinding stays.",
    told_by="Init containers in a pod template with the proxy sidecar.",
    row=7,
    stage=LEAVE,
    accepted_by=ACCEPT,
)
def init_container_before_proxy(one: Candidate, world: World) -> Reasons:
    """Init containers run before the proxy redirects requests, so that they keep asking NMI."""
    names = [each.name for each in one.containers if each.kind == INIT]
    if one.proxied and names:
        yield Reason(f"Its init containers {listed(names)} run before the redirect.")


@TABLE.problem(
    BLOCKS,
    "Update the application's library, so that it needs no proxy; until then its identity stays on the scale set.",
    told_by="hostNetwork in a pod template with the proxy sidecar.",
    row=8,
    references=("Azure/azure-workload-identity#1050",),
)
def proxy_on_host_network(one: Candidate, world: World) -> Reasons:
    """The workload uses the host network, where the webhook refuses the proxy sidecar."""
    if one.proxied and one.host_network:
        yield Reason("Its pods use the host network.")


@TABLE.problem(
    WARNS,
    "Let the application name the identity by client_id, and look at the token that a canary with its parameters gets.",
    told_by="Several identities, or a managed identity named by its resource id, in a workload with the proxy; else "
    "only a pod with the application's parameters tells.",
    row=14,
    references=("Azure/azure-workload-identity#593", "Azure/azure-workload-identity#651"),
)
def proxy_ignores_parameters(one: Candidate, world: World) -> Reasons:
    """The proxy knows client_id only: a request by object_id or msi_res_id gets the token of the default identity."""
    if not one.proxied:
        return
    named = [each.name for each in one.containers if each.names_resource_id]
    if named:
        yield Reason(f"Its containers {listed(named)} name a managed identity by its resource id.")
    elif not world.exchanges(one, in_pod=True):
        yield unlooked("With which parameters it asks is not known: no pod has asked as it does.")


@TABLE.problem(
    BLOCKS,
    _SCOPE,
    told_by="Arguments or variables of a container that name 169.254.169.254 or its path for tokens.",
    row=15,
    references=("https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow",),
    accepted_by=ACCEPT,
)
def asks_metadata_service(one: Candidate, world: World) -> Reasons:
    """A container asks the metadata service by itself, by resource, where Entra takes scopes."""
    names = [each.name for each in one.containers if each.asks_metadata_service]
    if names and not one.proxied:
        yield Reason(f"Its containers {listed(names)} name the metadata service in arguments or variables.")


@TABLE.problem(
    BLOCKS,
    "Update the library, or build the workload for Linux.",
    told_by="A workload for Windows with the proxy sidecar.",
    row=23,
    references=("Azure/azure-workload-identity#1017",),
)
def windows_has_no_proxy(one: Candidate, world: World) -> Reasons:
    """The pods run on Windows, for which there is no proxy sidecar."""
    if one.proxied and one.is_windows:
        yield Reason("Its pods run on Windows.")
