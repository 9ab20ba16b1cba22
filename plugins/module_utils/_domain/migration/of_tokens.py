# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Problems with the way of a token to the application, most of which only a proof tells."""

from __future__ import annotations

from ..kubernetes import network_policies
from ..names import listed
from .candidate import Candidate
from .observed import WORKLOAD_IDENTITY
from .problem import (
    ACCEPT,
    BLOCKS,
    LEAVE,
    WARNS,
    Reason,
    Reasons,
    Table,
    unlooked,
)
from .world import World

TABLE = Table()
_OTHER_PATH_SINCE = (1, 6, 0)
_EXPIRED = "AADSTS700024"
_NOT_ASKED = "no pod with its labels has asked"
# An address that stands for any of the Internet: that of the login host changes.
_ANYWHERE, _HTTPS = "20.190.128.1", 443
_SDKS = "https://learn.microsoft.com/azure/aks/workload-identity-overview#azure-identity-client-libraries"


@TABLE.problem(
    BLOCKS,
    "Let the application read the path from AZURE_FEDERATED_TOKEN_FILE.",
    told_by="The path of a token in arguments, or in variables other than what the webhook sets.",
    row=10,
    references=("Azure/AKS#5541", "prometheus/prometheus#18972", "crossplane/upjet#1280"),
    accepted_by=ACCEPT,
)
def token_path_hard_coded(one: Candidate, world: World) -> Reasons:
    """The path of the token is written in the template, while a webhook from 1.6.0 on has another one."""
    if one.source.made_by_hand or one.provides_itself:
        return
    names = [each.name for each in one.containers if each.token_paths]
    if names:
        paths = sorted({path for each in one.containers for path in each.token_paths})
        version = world.webhook_version
        effect = WARNS if version and version < _OTHER_PATH_SINCE else BLOCKS
        yield Reason(f"Its containers {listed(names)} are told the path {listed(paths)}.", effect=effect)


@TABLE.problem(
    BLOCKS,
    "Update the library to one that knows Workload ID, or give the workload the proxy sidecar.",
    told_by="A variable that only an old library reads; else which library an application uses is not seen from "
    "outside, and only a token that a pod was given tells.",
    row=11,
    references=(_SDKS, "Azure/azure-workload-identity#725", "vmware-tanzu/velero#6510"),
    accepted_by=ACCEPT,
)
def library_too_old(one: Candidate, world: World) -> Reasons:
    """The application's library knows no Workload ID, so that it asks the metadata service only."""
    if one.proxied or one.is_bound:
        return
    old = sorted({each.old_library for each in one.containers if each.old_library})
    if old:
        yield Reason(f"Its variables are those of {listed(old)}.")
    elif not world.exchanges(one, in_pod=True):
        yield unlooked(f"Whether its library knows Workload ID is not known: {_NOT_ASKED}.")


@TABLE.problem(
    BLOCKS,
    "Set AZURE_TOKEN_CREDENTIALS to WorkloadIdentityCredential (recent libraries), or build that credential itself, "
    "and see why the exchange fails.",
    told_by="Who served the tokens that its pods, or pods like them, were given.",
    row=12,
    stage=LEAVE,
    references=("Azure/azure-workload-identity#751",),
)
def falls_back_to_node(one: Candidate, world: World) -> Reasons:
    """Its pods got a token of NMI or of the metadata service, although they have one of Workload ID."""
    if one.is_bound:
        return
    proofs = world.exchanges(one, in_pod=True)
    others = sorted({each.served_by for each in proofs} - {WORKLOAD_IDENTITY})
    if others:
        yield Reason(f"Tokens were served by {listed(others)}.")
    elif not proofs:
        yield unlooked(f"Which way its tokens take is not known: {_NOT_ASKED}.")


@TABLE.problem(
    BLOCKS,
    "Let the application read the token's file anew for each exchange, as libraries from 2023 on do.",
    told_by=f"Exchanges that were refused with {_EXPIRED}; before a token's life is over nothing tells.",
    row=18,
    stage=LEAVE,
    references=("Azure/azure-workload-identity#693",),
)
def assertion_expires(one: Candidate, world: World) -> Reasons:
    """The application keeps the token of its service account longer than that lives."""
    if one.is_bound:
        return
    proofs = world.exchanges(one, in_pod=True)
    expired = sum(each.codes.get(_EXPIRED, 0) for each in proofs)
    if expired:
        yield Reason(f"{expired} exchanges were refused with {_EXPIRED}.")
    elif not proofs:
        yield unlooked(f"Whether it reads its token anew is not known: {_NOT_ASKED} for longer than a token lives.")


@TABLE.problem(
    BLOCKS,
    "Allow its pods to connect to the login host at port 443.",
    told_by="A pod with its labels that does not reach the login host; NetworkPolicies for egress that allow no "
    "address of the Internet at port 443.",
    row=22,
    accepted_by=ACCEPT,
)
def login_host_not_reached(one: Candidate, world: World) -> Reasons:
    """Its pods cannot connect to the host that exchanges tokens, which they did not have to before."""
    if one.is_bound:
        return
    proofs = world.exchanges(one, in_pod=True)
    host = world.observed.cloud.login_host or "the login host"
    pod = one.source.workload.pod
    policies = network_policies.of_egress(world.observed.objects.get("NetworkPolicy", ()), pod.namespace, pod.labels)
    names = [str(each["metadata"]["name"]) for each in policies]
    if proofs:
        if not any(each.reached for each in proofs):
            yield Reason(f"A pod with its labels did not reach {host}.")
    elif policies and not one.host_network and not network_policies.allow(policies, _ANYWHERE, _HTTPS):
        yield Reason(f"The NetworkPolicies {listed(names)} allow no connection to {host}.")
    else:
        yield unlooked(f"Whether its pods reach {host} is not known: {_NOT_ASKED}.")
