# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Problems with identities, service accounts and federated credentials."""

from __future__ import annotations

from ..azure import arm_id
from ..azure.federated import LIMIT
from ..installation.workload_identity_webhook import CLIENT_ID, TENANT_ID
from ..kubernetes.objects import annotations_of, labels_of
from ..matching.inventory import full_name
from ..matching.matching import USER_ASSIGNED
from ..names import MANAGED_BY, MANAGER, listed
from . import owners
from .candidate import Candidate
from .problem import (
    ACCEPT,
    ACCOUNT,
    ANNOTATION,
    BLOCKS,
    CREDENTIAL,
    ISSUER,
    NEEDS,
    OVERRIDE_OWNER,
    WARNS,
    Reason,
    Reasons,
    Table,
    unlooked,
)
from .trust import EXISTS, MISSING, MISSPELLED, UNKNOWN
from .world import World

TABLE = Table()
_CREDENTIALS = "https://learn.microsoft.com/entra/workload-id/workload-identity-federation-considerations"


def _why_unknown(one: Candidate, world: World) -> str:
    """Why it is not known which identities AAD Pod Identity gives to the workload; '' where it is."""
    missing = world.unread("AzureIdentity", "AzureIdentityBinding") if one.selector and not one.identities else ()
    return f"Which identities it gets is not known: {listed(missing)} were not read." if missing else ""


@TABLE.problem(
    BLOCKS,
    "Say which identity the workload is to have: bind its label to one, or annotate its service account.",
    told_by="No AzureIdentity that a binding gives to the label, and a service account without a client id.",
)
def identity_not_known(one: Candidate, world: World) -> Reasons:
    """Nothing says which identity the workload gets."""
    if one.primary and not one.client_id:
        name = full_name(one.primary)
        if name not in world.replaced:
            yield Reason(f"AzureIdentity {name} tells no client id.", f"AzureIdentity {name}")
            return
        what = f"identity {arm_id.last_segment(one.primary.resource_id)}"
        text = f"The {what}, which is to take the place of AzureIdentity {name}, was not found in Azure."
        yield Reason(text, what) if world.observed.credentials is not None else unlooked(text, what)
    elif not one.identities and not one.client_ids and not one.is_bound:
        if not one.annotated and _why_unknown(one, world):
            yield unlooked(_why_unknown(one, world))
        elif one.selector and not one.annotated:
            yield Reason(f"No AzureIdentityBinding gives an identity to pods with aadpodidbinding: {one.selector}.")
        elif not one.annotated:
            yield Reason(f"{one.account_label} tells no client id.")


@TABLE.problem(
    WARNS,
    "Name its client id in workload_identity_migration_identities, so that its application gets a federated "
    "credential, or a managed identity in workload_identity_migration_replacements that takes its place.",
    told_by="The type of the AzureIdentities that the workload gets.",
)
def identity_is_service_principal(one: Candidate, world: World) -> Reasons:
    """The workload gets tokens of a service principal, whose application has to trust the service account."""
    trusting = {each.key for each in world.trusts(one) if each.state == EXISTS}
    for each in one.targets:
        if each.type != USER_ASSIGNED and world.holder(each) not in ("", *trusting):
            secret = f"; its Secret {each.secret} stays as it is" if each.secret else ""
            label = f"AzureIdentity {full_name(each)}"
            yield Reason(f"{label} is of type {each.type}, the application {each.client_id}{secret}.", label)


@TABLE.problem(
    BLOCKS,
    "Name a managed identity in workload_identity_migration_replacements that takes its place, or bind one.",
    told_by="Type, clientID, tenantID and auxiliaryTenantIDs of the AzureIdentities that the workload gets, and the "
    "tenant of the cluster.",
)
def service_principal_not_federable(one: Candidate, world: World) -> Reasons:
    """The workload gets tokens of a service principal that no federated credential of an application gives."""
    for each in one.targets if not one.is_bound else ():
        if each.type == USER_ASSIGNED:
            continue
        label, why = f"AzureIdentity {full_name(each)}", world.why_not_federable(each)
        if why:
            yield Reason(f"{label} cannot go on by Workload ID. {why}", label)
        elif not world.observed.tenant:
            yield unlooked(f"Whether its tenant {each.tenant_id} is that of the cluster is not known.", label)


@TABLE.problem(
    WARNS,
    "Let the application name the client id of each identity that it asks for.",
    told_by="Several AzureIdentities that the workload gets.",
)
def several_identities(one: Candidate, world: World) -> Reasons:
    """The workload gets several identities, of which its service account can tell one only."""
    ids = {each.client_id.lower(): full_name(each) for each in one.targets}
    if len(ids) > 1 and one.primary:
        yield Reason(f"It gets {listed(sorted(ids.values()))}; its service account would tell {one.primary.name}.")


@TABLE.problem(
    NEEDS,
    "A service account of its own is made, with the rights of the present one, and named in the pod template; add it "
    "where others than RBAC name the present one, such as Vault, policies of a service mesh or another cloud.",
    told_by="The service account default, or one of workloads with other identities; one that does not exist.",
    step=ACCOUNT,
)
def own_account_needed(one: Candidate, world: World) -> Reasons:
    """The workload cannot have its identity by the service account that it has."""
    why = world.why_own_account(one)
    if not world.read("ServiceAccount"):
        yield unlooked("Its service account was not read: serviceaccounts may not be listed.", one.account_label)
    elif not one.client_id and _why_unknown(one, world):
        yield unlooked(_why_unknown(one, world), one.account_label)
    elif why:
        yield Reason(f"It needs the service account {world.account_of(one)}: {why}.", one.account_label)
    elif (one.namespace, one.account) not in (world.accounts or {}):
        yield Reason("Its service account does not exist.", one.account_label)


@TABLE.problem(
    BLOCKS,
    "Rename the service account that is there, or annotate it with the client id of the identity.",
    told_by="A service account that is not of this collection under the name that a new one is to have.",
)
def account_name_taken(one: Candidate, world: World) -> Reasons:
    """The name of the service account that has to be made is in use."""
    there = world.account(one) if world.why_own_account(one) else None
    if there is None or world.told_by_account(one).lower() == one.client_id.lower():
        return
    labels = labels_of(there)
    if labels.get(MANAGED_BY) != MANAGER:
        label = f"ServiceAccount {one.namespace}/{world.account_of(one)}"
        yield Reason(f"{label} exists and was not made by this collection.", label)


@TABLE.problem(
    NEEDS,
    "The service account is annotated with the client id; pods that exist do not notice it.",
    told_by="The annotation azure.workload.identity/client-id of the service account that the workload will have.",
    row=13,
    step=ANNOTATION,
    references=("cert-manager/cert-manager#5989",),
)
def account_tells_other_client_id(one: Candidate, world: World) -> Reasons:
    """The service account tells no client id, or another one than that of the identity."""
    if one.is_bound:
        return
    if not world.read("ServiceAccount"):
        yield unlooked("What its service account tells is not known: it was not read.", one.account_label)
        return
    if not one.client_id:
        if _why_unknown(one, world):
            yield unlooked(_why_unknown(one, world), one.account_label)
        return
    if world.misses_client_id(one):
        told = world.told_by_account(one)
        label = f"ServiceAccount {one.namespace}/{world.account_of(one)}"
        yield Reason(f"It tells {told or 'no client id'}, and has to tell {one.client_id}.", label)


@TABLE.problem(
    BLOCKS,
    f"Take the annotation {TENANT_ID} away, so that the webhook tells the tenant of the cluster, or correct it.",
    told_by=f"The annotation {TENANT_ID} of the service account beside the tenant of the cluster.",
)
def account_tells_other_tenant(one: Candidate, world: World) -> Reasons:
    """The service account tells another tenant than the cluster's, where no identity of the workload is."""
    told = str(annotations_of(world.account(one) or {}).get(TENANT_ID) or "")
    if not told or one.is_bound:
        return
    label = f"ServiceAccount {one.namespace}/{world.account_of(one)}"
    if not world.observed.tenant:
        yield unlooked(f"It tells the tenant {told}, and whether that is the cluster's is not known.", label)
    elif told.lower() != world.observed.tenant.lower():
        yield Reason(f"It tells the tenant {told}, and the cluster is of {world.observed.tenant}.", label)


@TABLE.problem(
    BLOCKS,
    "Annotate the service account where its manifest is written; what is annotated in the cluster, its owner may undo, "
    "and new pods get no token then.",
    told_by="Labels, annotations, owner references and field managers of the service account, of a workload that "
    "nobody owns. The owner of a workload is asked to annotate it with the rest.",
    accepted_by=OVERRIDE_OWNER,
)
def account_has_owner(one: Candidate, world: World) -> Reasons:
    """The service account belongs to a helm release, Flux, Argo CD, AKS or a controller, and has to be annotated."""
    there = world.account(one)
    if one.owner.kind or one.is_bound or there is None or not world.misses_client_id(one):
        return
    owner = owners.of_object(there)
    if owner.kind:
        label = f"ServiceAccount {one.namespace}/{world.account_of(one)}"
        yield Reason(f"It belongs to {owner.label}, and has to tell {CLIENT_ID}: {one.client_id}.", label)


@TABLE.problem(
    BLOCKS,
    "Take AZURE_CLIENT_ID out of the template, or give it the client id of the identity: it goes before what the "
    "service account tells.",
    told_by="AZURE_CLIENT_ID in the template beside the client ids of the identities that the workload gets. One that "
    "comes from a Secret or ConfigMap is not read.",
    row=13,
    accepted_by=ACCEPT,
)
def own_client_id_differs(one: Candidate, world: World) -> Reasons:
    """A container sets a client id that is none of the identities of the workload."""
    if one.source.made_by_hand or one.is_bound:
        return
    wanted = {each.client_id.lower() for each in one.targets} or {one.client_id.lower()}
    unknown = _why_unknown(one, world)
    for each in one.containers:
        if unknown and each.client_id and each.client_id.lower() not in wanted:
            yield unlooked(f"Its container {each.name} sets AZURE_CLIENT_ID. {unknown}")
        elif each.client_id and each.client_id.lower() not in wanted:
            yield Reason(f"Its container {each.name} sets AZURE_CLIENT_ID to {each.client_id}.")
        elif each.misses_client_id:
            yield Reason(f"Its container {each.name} sets AZURE_CLIENT_ID to what is no client id.")
        elif each.hides_client_id:
            yield unlooked(f"Its container {each.name} takes AZURE_CLIENT_ID from elsewhere, which was not read.")


@TABLE.problem(
    BLOCKS,
    "Enable the issuer: az aks update --enable-oidc-issuer. It restarts the API server, changes the issuer of all "
    "tokens of service accounts, and cannot be undone.",
    told_by="oidcIssuerProfile of the cluster in Azure.",
    row=19,
    step=ISSUER,
    references=("MicrosoftDocs/azure-docs#109207", "Azure/AKS#2523"),
    accepted_by=ACCEPT,
)
def issuer_not_enabled(one: Candidate, world: World) -> Reasons:
    """The cluster has no OIDC issuer, so that nothing can trust its service accounts."""
    if one.is_bound:
        return
    if world.observed.issuer is None:
        yield unlooked("Whether the cluster has an OIDC issuer is not known: Azure was not asked.")
    elif not world.observed.issuer:
        yield Reason("The OIDC issuer of the cluster is not enabled.", "the cluster")


@TABLE.problem(
    NEEDS,
    "The federated credential is written, with the issuer letter by letter.",
    told_by="The federated credentials of each managed identity, and of the application of each service principal, "
    "that the workload gets.",
    row=16,
    step=CREDENTIAL,
    references=(_CREDENTIALS,),
)
def not_federated(one: Candidate, world: World) -> Reasons:
    """An identity of the workload has no federated credential for its service account."""
    for each in world.trusts(one):
        if each.state == MISSING:
            yield Reason(f"The {each.holder} does not trust {each.subject}.", str(each.holder))
        elif each.state == UNKNOWN and not world.lacks_credentials(one, each):
            yield unlooked(f"The federated credentials of the {each.holder} were not read.", str(each.holder))
    for identity in one.targets:
        if identity.type == USER_ASSIGNED and not world.holder(identity):
            label = f"AzureIdentity {full_name(identity)}"
            yield unlooked(f"{label} names no managed identity by its resource id.", label)
    if one.is_bound or one.identities or world.trusts(one):
        return
    if _why_unknown(one, world):
        yield unlooked(_why_unknown(one, world))
    elif one.annotated:
        yield unlooked(f"No AzureIdentity tells which identity has the client id {one.annotated}.", one.account_label)


@TABLE.problem(
    BLOCKS,
    "Let whoever runs this read them (of an identity Microsoft.ManagedIdentity/userAssignedIdentities/"
    "federatedIdentityCredentials/read, of an application Application.Read.All of Microsoft Graph), or name another "
    "identity in workload_identity_migration_replacements. Other workloads do not wait for these.",
    told_by="A list of federated credentials that was refused, while Azure was asked for others.",
)
def credentials_not_read(one: Candidate, world: World) -> Reasons:
    """Whether an identity of the workload trusts its service account is not known, because that may not be read."""
    for each in world.trusts(one):
        if world.lacks_credentials(one, each):
            yield Reason(f"The federated credentials of the {each.holder} were not read.", str(each.holder))


@TABLE.problem(
    NEEDS,
    "A federated credential is written beside it, with issuer, subject and audience letter by letter.",
    told_by="A federated credential that differs from the token in case, in a slash at the end, or in spaces.",
    row=16,
    step=CREDENTIAL,
    references=(_CREDENTIALS, "Azure/login#517"),
)
def federated_by_other_spelling(one: Candidate, world: World) -> Reasons:
    """A federated credential for the account is spelled otherwise, which Entra does not take (AADSTS7002138)."""
    for each in world.trusts(one):
        if each.state == MISSPELLED:
            yield Reason(f"{each.credential} of the {each.holder} is nearly for {each.subject}.", str(each.holder))


@TABLE.problem(
    BLOCKS,
    "See the code: AADSTS700213 now and then passes; what stays wrong is in the credential, the tenant or the issuer.",
    told_by="Exchanges of tokens of the service account, many of them, with their rate and codes.",
    row=16,
    references=("kedacore/keda#8152", "Azure/azure-workload-identity#977", "Azure/azure-workload-identity#1200"),
)
def exchanges_fail(one: Candidate, world: World) -> Reasons:
    """Entra refuses too many exchanges of the service account's token."""
    if one.is_bound:
        return
    for each in world.trusts(one):
        told = [
            proof
            for in_pod in (False, True)
            for proof in world.exchanges(one, in_pod=in_pod)
            if proof.client_id.lower() == each.client_id.lower() and proof.asked
        ]
        asked, granted = sum(proof.asked for proof in told), sum(proof.granted for proof in told)
        codes = sorted({code for proof in told for code in proof.codes})
        if not asked:
            yield unlooked(f"No token was exchanged for one of the {each.holder}.", str(each.holder))
        elif granted < world.choices.min_rate * asked:
            why = f": {listed(codes)}" if codes else ""
            yield Reason(f"{asked - granted} of {asked} exchanges for the {each.holder} were refused{why}.")


@TABLE.problem(
    BLOCKS,
    "Let workloads of a namespace share a service account, remove credentials of clusters that are gone, or use a "
    "second identity.",
    told_by=f"The federated credentials that an identity has, of all clusters, and those that it needs besides; Azure "
    f"takes {LIMIT}.",
    row=17,
    references=("Azure/azure-workload-identity#575", "Azure/azure-workload-identity#1126"),
)
def too_many_credentials(one: Candidate, world: World) -> Reasons:
    """An identity of the workload would need more federated credentials than Azure takes."""
    for each in world.trusts(one):
        slots = world.slots[each.key]
        if each.to_write and slots.exceeded:
            yield Reason(
                f"The {each.holder} has {slots.used} and needs {slots.missing} more; {LIMIT} are possible.",
                str(each.holder),
            )


@TABLE.problem(
    WARNS,
    "Nothing has to be done: the credential aks-identity-binding is AKS's, and no purge may take it away.",
    told_by="The mark azure.workload.identity/use-identity-binding on the pods.",
    references=("https://learn.microsoft.com/azure/aks/identity-bindings-concepts",),
)
def uses_identity_binding(one: Candidate, world: World) -> Reasons:
    """The workload gets its identity by an identity binding of AKS, which needs no credential for its account."""
    if one.is_bound:
        yield Reason("Its pods use an identity binding of AKS.")
