# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""What a diagnosis reads of Azure. What cannot be read is told as that, and stops nothing but what follows from it."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, field, replace
from functools import partial

from .._domain import names
from .._domain.azure import arm_id, azure_roles, clusters
from .._domain.azure import attached_identities as attached
from .._domain.azure.federated import Credential
from .._domain.azure.permissions import Block, Denial, Lock
from .._domain.diagnosis import asked_of_azure as asked
from .._domain.diagnosis import of_workload_id
from .._domain.diagnosis.azure import (
    ASSIGN,
    CONTRIBUTOR,
    JOIN,
    NETWORK,
    OPERATOR,
    Azure,
    Grant,
    IdentityInAzure,
    Missing,
    Rights,
    ScaleSet,
)
from .._domain.diagnosis.cause import AZURE
from .._domain.diagnosis.observed import Observed, Unread
from .._domain.diagnosis.shown import shown
from .._domain.errors import Failure
from . import authorization, federated_credentials, identities, scale_sets, virtual_machines
from .client import Arm, Body
from .errors import Refused
from .looking import AT_ONCE, LOGIN, Look, NotFound
from .permissions import Inquiry

Options = t.Mapping[str, t.Any]
T = t.TypeVar("T")

# How many identities are looked at. Whoever may write AzureIdentities may write many.
_MOST = 500
_READ_IDENTITY = "Microsoft.ManagedIdentity/userAssignedIdentities/read"
_READ_SETS, _READ_MACHINES = (
    f"Microsoft.Compute/{kind}/read" for kind in ("virtualMachineScaleSets", "virtualMachines")
)
_READ_ASSIGNMENTS, _READ_ROLES, _READ_DENIALS, _READ_LOCKS = (
    f"Microsoft.Authorization/{kind}/read"
    for kind in ("roleAssignments", "roleDefinitions", "denyAssignments", "locks")
)
# What ARM says where a subscription belongs to another tenant than that of the token.
_OTHER_TENANT = "InvalidAuthenticationTokenTenant"
_TENANT = re.compile(r"match the tenant 'https://[^/']+/(?P<tenant>[0-9a-f-]{36})/'", re.IGNORECASE)


def observe(connect: t.Callable[[], Arm], options: Options, observed: Observed) -> Observed:
    """With Azure and federated credentials as far as they can be read, and what was not read.

    ``connect`` logs in. ``options``: ``resource_group`` and ``cluster_name``. ``observed``: the cluster's own objects.
    """

    def without(why: str, needs: str) -> Observed:
        return replace(observed, unread=(*observed.unread, Unread(AZURE, what, why, needs)))

    what = f"Azure around the cluster {options['cluster_name']}"
    nodes = observed.objects.get("Node", ())
    try:
        look = _Look(connect())
        cluster_id, cluster = look.cluster(options, nodes)
    except NotFound as missing:
        return without(missing.sentence, missing.needs)
    except Failure as failure:
        return without(failure.sentence, LOGIN)
    providers = [asked.provider_id(node) for node in nodes]
    found = replace(observed, azure=look.around(cluster or {}, cluster_id, providers, observed))
    found = look.with_strangers(found, arm_id.group_of(cluster_id))
    found = replace(found, credentials=look.credentials(found))
    return replace(found, unread=(*observed.unread, *look.told()))


@dataclass
class _Look(Look):
    """What a diagnosis asks."""

    _roles: dict[str, tuple[str, tuple[Block, ...]] | None] = field(default_factory=dict)
    _rights: dict[str, Rights | None] = field(default_factory=dict)

    def around(self, cluster: Body, cluster_id: str, providers: t.Sequence[str], observed: Observed) -> Azure:
        group = clusters.node_group(cluster) if (cluster.get("properties") or {}).get("nodeResourceGroup") else ""
        sets = self._scale_sets(group, attached.of_nodes(providers))
        known = self._identities(asked.identities(observed, cluster))
        profile = asked.kubelet(cluster)
        kubelet_id = str(profile.get("resourceId") or "")
        there = known.get(arm_id.normal(kubelet_id))
        kubelet = IdentityInAzure(
            id=kubelet_id,
            exists=there is None or there.exists,
            client_id=str(profile.get("clientId") or ""),
            principal_id=str(profile.get("objectId") or ""),
            tenant_id=there.tenant_id if there else "",
        )
        tenant = str((cluster.get("identity") or {}).get("tenantId") or kubelet.tenant_id)
        missing: tuple[Missing, ...] = ()
        if self._judges(cluster, kubelet, observed):
            theirs = {arm_id.normal(one.resource_id) for one in observed.inventory.cluster.identities}
            wanted = [one for key, one in known.items() if key in theirs]
            # MIC asks for machines of no other group, whatever it may do there.
            home = [one for one in sets if arm_id.same(one.group, group)]
            missing = tuple(self._missing(kubelet.principal_id, home, wanted))
        return Azure(cluster, kubelet, group, tenant, sets, known, missing)

    # machines

    def _scale_sets(self, group: str, of_nodes: t.Sequence[str]) -> tuple[ScaleSet, ...]:
        """Those of the node resource group, and those elsewhere that nodes are on; one list for each group and kind."""
        wanted = {arm_id.normal(one) for one in of_nodes}
        home = arm_id.normal(group)
        groups = {arm_id.normal(one): one for one in (*map(arm_id.group_of, of_nodes), group) if one}
        found: list[ScaleSet] = []
        for key, place in groups.items():
            here = [one for one in wanted if arm_id.contains(key, one)]
            machines: list[Body] = []
            if key == home or any("/virtualmachines/" in one for one in here):
                machines = self._machines(place)
            members: dict[str, list[str]] = {}
            for body in machines:
                flexible = attached.set_of(body)
                if flexible:
                    members.setdefault(arm_id.normal(flexible), []).append(str(body["id"]))
            alone = [ScaleSet.parse(body) for body in machines if not attached.set_of(body)]
            sets: list[Body] = []
            if key == home or members or any("/virtualmachinescalesets/" in one for one in here):
                sets = self._sets(place)
            found += [ScaleSet.parse(body, members.get(arm_id.normal(str(body["id"])), ())) for body in sets]
            found += alone
        return tuple(one for one in found if _matters(one, home, wanted))

    def _sets(self, group: str) -> list[Body]:
        needs = f"{_READ_SETS} at {group}"
        return self.ask(f"the scale sets of {group}", needs, lambda: scale_sets.list_group(self.arm, group)) or []

    def _machines(self, group: str) -> list[Body]:
        what, needs = f"the virtual machines of {group}", f"{_READ_MACHINES} at {group}"
        return self.ask(what, needs, lambda: virtual_machines.list_group(self.arm, group)) or []

    # identities

    def _identities(self, ids: t.Sequence[str]) -> dict[str, IdentityInAzure]:
        if len(ids) > _MOST:
            rest = f"{len(ids) - _MOST} more identities that AzureIdentities name"
            why = f"A diagnosis looks at {_MOST} identities at most, those first that pods need."
            self._unread.append(Unread(AZURE, rest, why, "fewer AzureIdentities"))
        found = self.each(ids[:_MOST], "identities", _READ_IDENTITY, self._identity)
        return {arm_id.normal(identity): one for identity, one in found.items()}

    def _identity(self, identity: str) -> IdentityInAzure:
        try:
            body = identities.get_by_id(self.arm, identity)
        except Refused as refused:
            if refused.service.code != _OTHER_TENANT:
                raise
            tenant = _TENANT.search(refused.service.message)
            return IdentityInAzure(identity, True, tenant_id=tenant["tenant"] if tenant else "another tenant")
        return _identity(identity, body)

    def with_strangers(self, observed: Observed, group: str) -> Observed:
        """With the identities that service accounts of Workload ID name and no AzureIdentity: by client id alone.

        They are looked for in ``group``, that of the cluster, and in those of the identities that are known.
        """
        azure = observed.azure
        wanted = of_workload_id.strangers(observed)
        if azure is None or not wanted:
            return observed
        nodes = arm_id.normal(azure.node_resource_group)
        groups = {arm_id.normal(one): one for one in (group, *map(arm_id.group_of, azure.identities))}
        places = [one for key, one in groups.items() if key != nodes][:AT_ONCE]
        found: dict[str, IdentityInAzure] = {}
        for place in places:
            needs, read = f"{_READ_IDENTITY} at {place}", partial(identities.list_group, self.arm, place)
            for body in self.ask(f"the identities of {place}", needs, read) or ():
                one = _identity(str(body["id"]), body)
                if one.client_id.lower() in wanted:
                    found[arm_id.normal(one.id)] = one
        for client_id in wanted.keys() - {one.client_id.lower() for one in found.values()}:
            what = f"the federated credentials for {wanted[client_id]}"
            why = f"No identity in {names.listed(places)} has the client id {shown(client_id)}."
            self._unread.append(Unread(AZURE, what, why, "a look by a person at the identity of that client id"))
        return replace(observed, azure=replace(azure, identities={**found, **azure.identities}))

    def credentials(self, observed: Observed) -> dict[str, tuple[Credential, ...]]:
        """Federated ones of the identities that service accounts lead to, by lower-case id.

        ``observed`` with Azure, which knows the client ids.
        """
        ids = of_workload_id.trusting(observed)
        if len(ids) > _MOST:
            rest = f"the federated credentials of {len(ids) - _MOST} more identities that service accounts name"
            why = f"A diagnosis looks at those of {_MOST} identities at most."
            self._unread.append(Unread(AZURE, rest, why, "fewer service accounts with client ids"))
        found = self.each(
            ids[:_MOST],
            "identities with federated credentials",
            federated_credentials.READ,
            lambda identity: federated_credentials.list_all(self.arm, identity),
        )
        return {identity.lower(): several for identity, several in found.items() if several is not None}

    # permissions

    def _judges(self, cluster: Body, kubelet: IdentityInAzure, observed: Observed) -> bool:
        """Whether it is known as whom MIC works, and MIC works at all."""
        if not asked.mic_writes(observed) or not cluster:
            return False
        what = "What MIC may do in Azure"
        if not asked.mic_is_the_node(observed):
            why = "MIC has a credential of its own in a Secret, and is not the identity of its node."
            needs = "a look by a person at the role assignments of that credential: az role assignment list --all"
        elif not kubelet.principal_id:
            why = "The cluster does not say which identity its nodes have; that of a service principal is in Entra."
            needs = "a look by a person at its role assignments: az role assignment list --all --assignee CLIENT_ID"
        else:
            return True
        self._unread.append(Unread(AZURE, what, why, needs))
        return False

    def _missing(
        self, principal: str, sets: t.Sequence[ScaleSet], wanted: t.Iterable[IdentityInAzure]
    ) -> t.Iterator[Missing]:
        for one in sets:
            rights = self._rights_at(one.group, principal, barriers=True)
            yield from rights.missing(one.id, one.actions, CONTRIBUTOR) if rights else ()
        subnets = {arm_id.normal(subnet): subnet for one in sets for subnet in one.subnets}
        for subnet in subnets.values():
            rights = self._rights_at(arm_id.group_of(subnet), principal)
            yield from rights.missing(subnet, (JOIN,), NETWORK) if rights else ()
        for identity in wanted:
            if identity.exists and identity.client_id:  # of what cannot be read so are the roles there
                rights = self._rights_at(arm_id.group_of(identity.id), principal)
                yield from rights.missing(identity.id, (ASSIGN,), OPERATOR) if rights else ()

    def _rights_at(self, group: str, principal: str, *, barriers: bool = False) -> Rights | None:
        """In a resource group, asked for once; None where they are not known. Groups with ``barriers`` come first."""
        key = arm_id.normal(group)
        if key not in self._rights:
            grants = self._grants(group, principal)
            denials, locks = self._barriers(group) if barriers and grants is not None else ((), ())
            self._rights[key] = None if grants is None else Rights(principal, grants, denials, locks)
        return self._rights[key]

    def _grants(self, group: str, principal: str) -> tuple[Grant, ...] | None:
        held = self.ask(
            f"the roles that MIC has at {group}",
            f"{_READ_ASSIGNMENTS} at {group}",
            lambda: authorization.held(self.arm, group, principal),
        )
        if held is None:
            return None
        found = []
        for one in held:
            role = self._role(one)
            if role is None:
                return None  # it may be the one that gives everything
            found.append(Grant(role[0], one.scope, role[1]))
        return tuple(found)

    def _role(self, assignment: azure_roles.Assignment) -> tuple[str, tuple[Block, ...]] | None:
        definition = assignment.role_definition_id
        guid = arm_id.last_segment(definition).lower()
        if guid not in self._roles:
            self._roles[guid] = self.ask(
                f"the role {definition}",
                f"{_READ_ROLES} at {definition}",
                lambda: authorization.definition(self.arm, definition),
            )
        return self._roles[guid]

    def _barriers(self, group: str) -> tuple[tuple[Denial, ...], tuple[Lock, ...]]:
        inquiry = Inquiry(self.arm)
        found = self.ask(
            f"the deny assignments and locks at {group}",
            f"{_READ_DENIALS} and {_READ_LOCKS} at {group}",
            lambda: inquiry.barriers(group),
        )
        for one in inquiry.not_asked:
            what = "deny assignments" if one["what"] == "denyAssignments" else one["what"]
            needs = _READ_DENIALS if one["what"] == "denyAssignments" else _READ_LOCKS
            self._unread.append(Unread(AZURE, f"the {what} at {group}", one["message"], f"{needs} at {group}"))
        return found or ((), ())


def _identity(identity: str, body: Body | None) -> IdentityInAzure:
    """As Azure tells it; None where there is none."""
    told = (body or {}).get("properties") or {}
    values = (str(told.get(name) or "") for name in ("clientId", "principalId", "tenantId"))
    return IdentityInAzure(identity, body is not None, *values)


def _matters(one: ScaleSet, home: str, of_nodes: t.Collection[str]) -> bool:
    """What is being deleted is AKS' matter, and what lies elsewhere is a stranger's unless a node is on it."""
    if one.state.lower() == "deleting" and not _carries(one, of_nodes):
        return False
    return arm_id.same(one.group, home) or _carries(one, of_nodes)


def _carries(one: ScaleSet, of_nodes: t.Collection[str]) -> bool:
    return arm_id.normal(one.id) in of_nodes or not one.members.isdisjoint(of_nodes)
