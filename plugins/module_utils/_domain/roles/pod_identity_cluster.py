# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The plan of the role pod_identity_cluster: which cluster, what it lacks, what a run needs, and what stops it.

Its parts ``questions`` and ``refusal`` serve the other roles too, whose sessions ask what may be done.
"""

from __future__ import annotations

import ipaddress
import typing as t
from dataclasses import dataclass, field, replace

from ..azure import arm_id, groups, needs
from ..commands import FILE, WITH_FILE, Command, grant, playbook
from ..needs import AzureNeed, AzurePermission, KubernetesNeed, KubernetesPermission
from ..sessions import KNOWN_AFTER_APPLY, UNNAMED, absence_refusal, kubenet_refusal
from ..suggestions import closest
from .part import COMMANDS, ROLE_PHASES, Look, Nothing, Part, Raw, Refused, Run, refuse

# What MIC does in the node resource group: use the identities that AKS keeps there, and change scale sets.
NODE_ROLES = ("Managed Identity Operator", "Virtual Machine Contributor")
PHASES = ROLE_PHASES["pod_identity_cluster"]
CREATE, ADDON, ROLES, REMOVE = PHASES

_AKS = "Microsoft.ContainerService/managedClusters"
_SCALE_SETS = "Microsoft.Compute/virtualMachineScaleSets"
_GROUPS, _ASSIGNMENTS = "Microsoft.Resources/subscriptions/resourceGroups", "Microsoft.Authorization/roleAssignments"

PERMISSIONS: t.Mapping[str, AzurePermission | KubernetesPermission] = {
    "read": AzurePermission("always", "the cluster", (f"{_AKS}/read",)),
    "connect_as_user": AzurePermission(
        "always", "the cluster, without a kubeconfig", (f"{_AKS}/listClusterUserCredential/action",)
    ),
    "connect_as_admin": AzurePermission(
        "always",
        "the cluster, with `pod_identity_cluster_credentials` `admin` instead",
        (f"{_AKS}/listClusterAdminCredential/action",),
    ),
    "list_nodes": KubernetesPermission(
        "always",
        "the whole cluster, with a kubeconfig that does not name the API server as AKS does",
        "nodes",
        ("list",),
    ),
    "read_group": AzurePermission(
        CREATE,
        "the resource group, if the cluster is missing, or with tags or a region for the group",
        (f"{_GROUPS}/read",),
    ),
    "write_group": AzurePermission(CREATE, "the resource group, if it changes", (f"{_GROUPS}/write",)),
    "write_cluster": AzurePermission(CREATE, "the cluster, if it changes", (f"{_AKS}/write",)),
    "use_identity": AzurePermission(
        CREATE,
        "each identity that is named for the cluster",
        ("Microsoft.ManagedIdentity/userAssignedIdentities/assign/action",),
    ),
    "join_subnet": AzurePermission(
        CREATE,
        "each subnet that is named for agent pools",
        ("Microsoft.Network/virtualNetworks/subnets/join/action",),
    ),
    # Not asked for: only the change shows whether anything is to be attached, and who may not look is warned.
    "read_scale_sets": AzurePermission(
        CREATE,
        "the node resource group, if the cluster changes, unless `pod_identity_cluster_restore_identities` is `ignore`",
        (f"{_SCALE_SETS}/read",),
    ),
    "write_scale_sets": AzurePermission(
        CREATE,
        "each scale set that loses an identity by that, with `pod_identity_cluster_restore_identities` `attach`",
        (f"{_SCALE_SETS}/write",),
    ),
    "attach_identities": AzurePermission(
        CREATE,
        "each identity that is attached again",
        ("Microsoft.ManagedIdentity/userAssignedIdentities/assign/action",),
    ),
    "write_addon": AzurePermission(
        ADDON, "the cluster, with `pod_identity_cluster_mode` `addon`, if the add-on changes", (f"{_AKS}/write",)
    ),
    "find_nmi": KubernetesPermission(
        ADDON,
        "the whole cluster, with `pod_identity_cluster_mode` `addon`, if the add-on changes",
        "daemonsets",
        ("list",),
        "apps",
    ),
    "read_roles": AzurePermission(ROLES, "the node resource group", (f"{_ASSIGNMENTS}/read",)),
    "assign_roles": AzurePermission(ROLES, "the node resource group, if a role is missing", (f"{_ASSIGNMENTS}/write",)),
    "delete_cluster": AzurePermission(REMOVE, "the cluster", (f"{_AKS}/delete",)),
    "delete_group": AzurePermission(
        REMOVE, "the resource group, with `pod_identity_cluster_remove_resource_group`", (f"{_GROUPS}/delete",)
    ),
}


@dataclass(frozen=True)
class NameOption:
    """An option that is undefined fails only what reads it, so each part reads those that it needs."""

    name: str = ""


@dataclass(frozen=True)
class NamingOptions(NameOption):
    """Where the cluster is."""

    subscription_id: str = ""
    resource_group: str = ""

    @property
    def group_scope(self) -> str:
        """Without a subscription it lies in that of the credential."""
        if self.subscription_id:
            return arm_id.resource_group(self.subscription_id, self.resource_group)
        return f"/resourceGroups/{self.resource_group}"

    @property
    def scope(self) -> str:
        return f"{self.group_scope}/providers/{_AKS}/{self.name}"


@dataclass(frozen=True)
class ConnectionOptions(NamingOptions):
    """How roles connect to the cluster."""

    kubeconfig: str = ""
    credentials: str = "user"


@dataclass(frozen=True)
class Options(ConnectionOptions):
    location: str = ""
    resource_group_location: str = ""
    state: str = "present"
    create: bool = False
    mode: str = "chart"
    tags: t.Mapping[str, t.Any] | None = None
    node_resource_group: str = ""
    agent_pools: t.Sequence[Raw] = ()
    user_assigned_identity: str = ""
    kubelet_identity: str = ""
    network_plugin: str = ""
    service_cidr: str = ""
    dns_service_ip: str = ""
    pod_cidr: str = ""
    oidc_issuer_enabled: bool | None = None
    workload_identity_enabled: bool = False
    allow_network_plugin_kubenet: bool = False
    manage_role_assignments: bool = True
    principal_id: str = ""
    keep_kubeconfig: bool = False
    confirm_absent: str = ""
    remove_resource_group: bool = False

    @property
    def looker(self) -> str:
        """Who ends the connection: to look for NMI the role connects even where nobody needs that after it."""
        return "pod_identity_cluster" if self.keep_kubeconfig else "pod_identity_cluster_addon"


@dataclass(frozen=True)
class RemovalOptions(NamingOptions):
    """What may go with the resource group, and the name of the cluster again."""

    confirm_absent: str = ""
    remove_resource_group: bool = False
    force_delete_nonempty: bool = False
    expected_resources: tuple[str, ...] = ()


@dataclass(frozen=True)
class Cluster:
    """The cluster of the session; everything is empty where there is no cluster."""

    id: str = ""
    name: str = ""
    resource_group: str = ""
    fqdn: str = ""
    node_resource_group: str = ""
    network_plugin: str = ""
    addon: bool = False
    addon_accepts_kubenet: bool = False
    kubelet_object_id: str = ""
    service_principal_client_id: str = ""

    @classmethod
    def parse(cls, found: Raw) -> Cluster:
        profile = found.get("pod_identity_profile") or {}
        names = ("id", "name", "resource_group", "fqdn", "node_resource_group", "network_plugin")
        return cls(
            **{name: str(found.get(name) or "") for name in names},
            addon=bool(profile.get("enabled")),
            addon_accepts_kubenet=bool(profile.get("allow_network_plugin_kubenet")),
            kubelet_object_id=(found.get("kubelet_identity") or {}).get("object_id") or "",
            service_principal_client_id=found.get("service_principal_client_id") or "",
        )

    @property
    def exists(self) -> bool:
        """Or is predicted."""
        return bool(self.id or self.name)

    @property
    def known_after_apply(self) -> bool:
        """Whether it is only predicted."""
        return self.fqdn == KNOWN_AFTER_APPLY

    @property
    def node_scope(self) -> str:
        return arm_id.resource_group(arm_id.parse(self.id).subscription, self.node_resource_group)

    @property
    def on_kubenet(self) -> bool:
        return self.network_plugin == "kubenet"

    @property
    def lacks_addon(self) -> bool:
        """Whether the add-on has to be enabled, or, with kubenet, to be consented to."""
        return not self.addon or (self.on_kubenet and not self.addon_accepts_kubenet)


@dataclass(frozen=True)
class Known:
    """What a part observes that needs the cluster alone."""

    cluster: Cluster

    @classmethod
    def parse(cls, observed: Raw) -> Known:
        return cls(Cluster.parse(observed["cluster"]))


# options


@dataclass(frozen=True)
class Checked:
    """``manages``: missing role assignments are made. ``creates``: a missing cluster is created."""

    manages: bool
    creates: bool


def check(options: Options, _nothing: Nothing, run: Run) -> Checked:
    """Refuses options that name no cluster, or that have to be confirmed."""
    refuse(_contradictions(options, run))
    return Checked(options.manage_role_assignments, options.create and options.state == "present")


def _contradictions(options: Options, run: Run) -> t.Iterator[str]:
    if not options.name or not options.resource_group:
        yield UNNAMED
    if options.network_plugin == "kubenet" and not options.allow_network_plugin_kubenet:
        yield kubenet_refusal(options.name)
    yield from _contradicting_ranges(options)
    if options.workload_identity_enabled and options.oidc_issuer_enabled is False:
        yield (
            "pod_identity_cluster_workload_identity_enabled needs an issuer, and "
            "pod_identity_cluster_oidc_issuer_enabled is false; set both to true, or leave both out."
        )
    pools = [str(pool["name"]) for pool in options.agent_pools]
    for name in dict.fromkeys(pools):
        if pools.count(name) > 1:
            entries = [str(number) for number, each in enumerate(pools, 1) if each == name]
            yield (
                f"pod_identity_cluster_agent_pools, entries {' and '.join(entries)} have the name {name}; give each "
                "pool a name of its own."
            )
    if options.state == "absent":
        yield from _unconfirmed(options.name, options.confirm_absent, run)


def _contradicting_ranges(options: Options) -> t.Iterator[str]:
    services = ipaddress.ip_network(options.service_cidr, strict=False) if options.service_cidr else None
    if services and options.dns_service_ip and ipaddress.ip_address(options.dns_service_ip) not in services:
        yield (
            f"pod_identity_cluster_dns_service_ip is {options.dns_service_ip}, which is not in "
            f"pod_identity_cluster_service_cidr, {options.service_cidr}; name an address of that range."
        )
    pods = ipaddress.ip_network(options.pod_cidr, strict=False) if options.pod_cidr else None
    if services and pods and services.overlaps(pods):
        yield (
            f"pod_identity_cluster_pod_cidr, {options.pod_cidr}, and pod_identity_cluster_service_cidr, "
            f"{options.service_cidr}, overlap; give pods and services ranges of their own."
        )


def _unconfirmed(name: str, confirmed: str, run: Run) -> t.Iterator[str]:
    if not run.check_mode and confirmed != name:
        yield (
            f"Cluster {name} would be deleted; to confirm, set pod_identity_cluster_confirm_absent={name}, or look "
            "first with --check."
        )


def _uncreatable(options: Options, regions: t.Sequence[str]) -> t.Iterator[str]:
    missing = f"Cluster {options.name} does not exist and would be created"
    if not options.location:
        yield f"{missing}; set pod_identity_location to the region in which."
    for name, region in (("", options.location), ("cluster_resource_group_", options.resource_group_location)):
        if region and regions and not any(groups.same_location(region, known) for known in regions):
            close = closest(region.replace(" ", "").lower(), regions, cutoff=0.6)
            meant = f"did you mean {close}?" if close else f"it has {', '.join(regions)}."
            yield f"pod_identity_{name}location is {region}, which is no region of the subscription; {meant}"
    if options.kubelet_identity and not options.user_assigned_identity:
        yield (
            f"{missing} with pod_identity_cluster_kubelet_identity, which a system-assigned control plane cannot use; "
            "set pod_identity_cluster_user_assigned_identity to one that holds Managed Identity Operator on it."
        )
    if options.workload_identity_enabled and not options.oidc_issuer_enabled:
        yield f"{missing} with Workload ID, which needs an issuer; set pod_identity_cluster_oidc_issuer_enabled=true."


# questions


@dataclass(frozen=True)
class Asking:
    """What a role wants to know before its first write.

    ``azure`` and ``kubernetes``: what its own tasks need. ``connects``: the role connects to the cluster.
    ``named_elsewhere``: the environment names the API server. ``missing``: the cluster is known not to exist, and
    ``regions`` are then those that Azure has; empty where it does not tell.
    """

    cluster: Cluster
    azure: tuple[Raw, ...] = ()
    kubernetes: tuple[Raw, ...] = ()
    connects: bool = False
    named_elsewhere: bool = False
    missing: bool = False
    regions: tuple[str, ...] = ()

    @classmethod
    def parse(cls, observed: Raw) -> Asking:
        return cls(
            cluster=Cluster.parse(observed["cluster"]),
            azure=tuple(observed["azure"]),
            kubernetes=tuple(observed["kubernetes"]),
            connects=observed["connects"],
            named_elsewhere=observed["named_elsewhere"],
            missing=bool(observed.get("missing")),
            regions=tuple(observed.get("regions") or ()),
        )


@dataclass(frozen=True)
class Questions:
    """The needs that Azure and the cluster are asked about, and the phases of this role that run.

    ``looker``: who ends the connection of this role; empty where another role asks. ``group``: the resource group may
    have to be created or changed.
    """

    azure: tuple[AzureNeed, ...]
    kubernetes: tuple[KubernetesNeed, ...]
    phases: tuple[str, ...]
    looker: str = ""
    group: bool = False


def questions(options: ConnectionOptions, asking: Asking, run: Run) -> Questions:
    """All that another role asks at once."""
    azure = _connection_needs(options, named_elsewhere=asking.named_elsewhere) if asking.connects else ()
    return _questions(asking, run, azure)


def own_questions(options: Options, asking: Asking, run: Run) -> Questions:
    """All that is asked at once before this role begins, for itself and for others.

    Refuses what Azure would as soon as a cluster that is missing is created.
    """
    phases = run.phases(PHASES)
    if asking.missing and options.create and options.state == "present" and CREATE in phases:
        refuse(_uncreatable(options, asking.regions))
    addon_changes = (
        options.state == "present" and options.mode == "addon" and ADDON in phases and asking.cluster.lacks_addon
    )
    azure: list[AzureNeed] = []
    connects = options.keep_kubeconfig or asking.connects
    if options.state == "present" and (connects or addon_changes):
        azure += _connection_needs(options, named_elsewhere=asking.named_elsewhere)
    else:
        azure.append(_need(options.scope, "read"))
    if options.state == "absent":
        azure += _removal_needs(options, asking.cluster, phases)
    else:
        azure += _creation_needs(options, asking.cluster, phases)
        azure += [_need(options.scope, "write_addon", certain=False)] if addon_changes else []
        azure += _role_needs(options, asking.cluster, phases)
    kubernetes = [KubernetesNeed.of(_FIND_NMI, certain=False)] if addon_changes else []
    group = _group_differs(options, asking.cluster)
    looker = "pod_identity_cluster" if connects else options.looker
    return replace(_questions(asking, run, azure, kubernetes), looker=looker, group=group)


def _questions(
    asking: Asking, run: Run, azure: t.Iterable[AzureNeed], kubernetes: t.Iterable[KubernetesNeed] = ()
) -> Questions:
    """These needs, and those that the role has named."""
    return Questions(
        (
            *azure,
            *(AzureNeed(each["scope"], tuple(each["actions"]), each.get("certain", True)) for each in asking.azure),
        ),
        (*kubernetes, *map(KubernetesNeed.parse, asking.kubernetes)),
        run.phases(PHASES),
    )


_FIND_NMI = t.cast(KubernetesPermission, PERMISSIONS["find_nmi"])


def _need(scope: str, permission: str, *, certain: bool = True) -> AzureNeed:
    return AzureNeed(scope, t.cast(AzurePermission, PERMISSIONS[permission]).actions, certain)


def _connection_needs(options: ConnectionOptions, *, named_elsewhere: bool) -> t.Iterator[AzureNeed]:
    """Nothing in Azure where the API server is known without it."""
    if options.name:
        yield _need(options.scope, "read")
        if not options.kubeconfig and not named_elsewhere:
            yield _need(options.scope, f"connect_as_{options.credentials}")


def _removal_needs(options: Options, cluster: Cluster, phases: t.Sequence[str]) -> t.Iterator[AzureNeed]:
    if REMOVE in phases and cluster.exists:
        yield _need(options.scope, "delete_cluster")
        if options.remove_resource_group:
            yield _need(options.group_scope, "delete_group")


def _creation_needs(options: Options, cluster: Cluster, phases: t.Sequence[str]) -> t.Iterator[AzureNeed]:
    if CREATE not in phases or not options.create:
        return
    if _group_differs(options, cluster):
        yield _need(options.group_scope, "read_group")
        yield _need(options.group_scope, "write_group", certain=False)
    yield _need(options.scope, "write_cluster", certain=False)
    for identity in (options.user_assigned_identity, options.kubelet_identity):
        if identity:
            yield _need(identity, "use_identity", certain=False)
    for pool in options.agent_pools:
        if pool.get("vnet_subnet_id"):
            yield _need(pool["vnet_subnet_id"], "join_subnet", certain=False)


def _role_needs(options: Options, cluster: Cluster, phases: t.Sequence[str]) -> t.Iterator[AzureNeed]:
    if options.mode == "chart" and ROLES in phases:
        scope = _node_scope(options, cluster)
        yield _need(scope, "read_roles")
        if options.manage_role_assignments:
            yield _need(scope, "assign_roles", certain=False)


def _group_differs(options: Options, cluster: Cluster) -> bool:
    """The group of a cluster that exists is there, so only what is named for it can be missing."""
    return not cluster.exists or bool(options.resource_group_location) or options.tags is not None


def _node_scope(options: Options, cluster: Cluster) -> str:
    """The node resource group; that of a cluster that is still to be created, as AKS will call it."""
    if cluster.node_resource_group:
        return cluster.node_scope
    name = options.node_resource_group or f"MC_{options.resource_group}_{options.name}_{options.location}"[:80]
    if options.subscription_id:
        return arm_id.resource_group(options.subscription_id, name)
    return f"/resourceGroups/{name}"


# predicted


@dataclass(frozen=True)
class Predicted:
    """What the phases would do in check mode: what they, and the add-on, have to be allowed, and what of the roles."""

    cluster: Cluster
    permissions: tuple[Raw, ...] = ()
    of_addon: tuple[Raw, ...] = ()
    granted: tuple[Raw, ...] = ()
    assignments: t.Mapping[str, Raw] = field(default_factory=dict)

    @classmethod
    def parse(cls, observed: Raw) -> Predicted:
        return cls(
            cluster=Cluster.parse(observed["cluster"]),
            permissions=needs.planned(observed["predicted"]),
            of_addon=needs.planned([observed["addon"]]),
            granted=tuple(observed["granted"].get("changes") or ()),
            assignments=observed["granted"].get("state") or {},
        )


@dataclass(frozen=True)
class Assignment:
    """A role assignment that is missing.

    ``known_after_apply``: its principal or scope is still to be created. ``principal_id_command`` prints the object id
    of a principal then; empty for the identity of the nodes.
    """

    role_name: str
    scope: str
    principal_id: str
    known_after_apply: bool
    principal_id_command: str = ""

    @classmethod
    def parse(cls, missing: Raw) -> Assignment:
        names = ("role_name", "scope", "principal_id")
        return cls(
            **{name: str(missing[name]) for name in names},
            known_after_apply=bool(missing["known_after_apply"]),
            principal_id_command=str(missing["principal_id_command"]),
        )


@dataclass(frozen=True)
class Changes:
    """What the changes need to be allowed, and the role assignments that somebody else has to make."""

    permissions: tuple[Raw, ...]
    ungranted: tuple[Assignment, ...]


def changes(options: Options, found: Predicted, _run: Run) -> Changes:
    """What the phases of this role would change."""
    # Before the add-on is enabled another NMI is looked for.
    looking = [KubernetesNeed.of(_FIND_NMI).entry()] if found.of_addon else []
    ungranted = () if options.manage_role_assignments else _lacking(found)
    return Changes((*found.permissions, *found.of_addon, *looking), ungranted)


def _lacking(found: Predicted) -> tuple[Assignment, ...]:
    """The assignments that the nodes lack."""
    missing = {each["id"] for each in found.granted if each["verb"] == "create"}
    return tuple(
        Assignment(
            str(state["role_name"]), str(state["scope"]), str(state["principal_id"]), found.cluster.known_after_apply
        )
        for state in found.assignments.values()
        if state.get("id") in missing
    )


# refusal


@dataclass(frozen=True)
class Missing:
    """What permission_info and access_review_info found missing, and what the changes need to be allowed."""

    missing: tuple[Raw, ...]
    permissions: tuple[Raw, ...] = ()

    @classmethod
    def parse(cls, observed: Raw) -> Missing:
        return cls(tuple(observed["missing"]), tuple(observed["permissions"]))


@dataclass(frozen=True)
class Row:
    """A permission that is missing."""

    permission: str
    where: str
    reason: str
    remedy: str

    @classmethod
    def parse(cls, each: Raw) -> Row:
        if "action" in each:
            reason = each["reason"].replace("_", " ") + (f" by {each['by']}" if each["by"] else "")
            return cls(each["action"], each["scope"], reason, each["remedy"])
        permission = f"{each['verb']} {each['resource']}"
        permission += (f"/{each['subresource']}" if each["subresource"] else "") + (
            f".{each['api_group']}" if each["api_group"] else ""
        )
        where = f"namespace {each['namespace']}" if each["namespace"] else "the whole cluster"
        return cls(permission, where, "not granted", each["remedy"])

    def __str__(self) -> str:
        return f"{self.permission} {'at' if self.where.startswith('/') else 'in'} {self.where} ({self.reason})"


@dataclass(frozen=True)
class Refusal:
    """``rows``: what stops this run, nothing if empty; ``short``: the same for a table; ``message``: as a sentence."""

    rows: tuple[Row, ...] = ()
    short: tuple[Row, ...] = ()
    message: str = ""


def refusal(_options: Nothing, found: Missing, _run: Run) -> Refusal:
    """A permission counts if it is certainly needed or if a change needs it; with one that is certain, all are told."""
    certain = any(each["certain"] for each in found.missing)
    counting = [each for each in found.missing if certain or any(needs.covers(one, each) for one in found.permissions)]
    if not counting:
        return Refusal()
    rows = tuple(dict.fromkeys(map(Row.parse, counting)))
    # The end of an id says enough in a table; the message has all of it.
    short = tuple(Row(row.permission, "/".join(row.where.split("/")[-2:]), row.reason, row.remedy) for row in rows)
    verb = "permission is" if len(rows) == 1 else "permissions are"
    remedies = " ".join(dict.fromkeys(row.remedy for row in rows))
    message = f"{len(rows)} {verb} missing, and nothing was changed: {'; '.join(map(str, rows))}. {remedies}"
    return Refusal(rows, short, message)


# grants


@dataclass(frozen=True)
class Ungranted:
    """The role assignments that are missing."""

    assignments: tuple[Assignment, ...]

    @classmethod
    def parse(cls, observed: Raw) -> Ungranted:
        return cls(tuple(map(Assignment.parse, observed["missing_roles"])))


@dataclass(frozen=True)
class Grants:
    """``commands`` for whoever may grant the roles; ``message`` where that stops this run, else empty."""

    commands: tuple[Command, ...]
    message: str


_MISSING = "Role assignments are missing and pod_identity_manage_role_assignments is false; "
_NOW = f"{_MISSING}for whoever may grant them"
_LATER = f"{_MISSING}the real run stops until these are granted, once identities and cluster exist"


def grants(options: NamingOptions, found: Ungranted, _run: Run) -> Grants:
    """The commands. What nobody can grant yet, because identity or scope are still to come, stops a later run."""
    written = {each: _command(options, each) for each in found.assignments}
    now = list(dict.fromkeys(command for each, command in written.items() if not each.known_after_apply))
    later = list(dict.fromkeys(command for each, command in written.items() if each.known_after_apply))
    commands = (*(Command(_NOW, each) for each in now), *(Command(_LATER, each) for each in later))
    message = (
        f"{len(now)} role assignments are missing for cluster {options.name}; have them granted and run this again, or "
        f"set pod_identity_manage_role_assignments=true. {'; '.join(now)}"
    )
    return Grants(commands, message if now else "")


def _command(options: NamingOptions, missing: Assignment) -> str:
    nodes = (
        f"az aks show --name {options.name} --resource-group {options.resource_group}"
        + (f" --subscription {options.subscription_id}" if options.subscription_id else "")
        + " --query identityProfile.kubeletidentity.objectId -o tsv"
    )
    known = missing.principal_id != KNOWN_AFTER_APPLY
    principal = missing.principal_id if known else f'"$({missing.principal_id_command or nodes})"'
    return grant(principal, missing.role_name, missing.scope)


# create


@dataclass(frozen=True)
class Group:
    """``missing``: the resource group was looked for and does not exist, or not for long."""

    cluster: Cluster
    missing: bool

    @classmethod
    def parse(cls, observed: Raw) -> Group:
        found = observed.get("group")
        return cls(Cluster.parse(observed["cluster"]), found is not None and not groups.remaining(found["groups"]))


@dataclass(frozen=True)
class Creation:
    """The region of the resource group; empty leaves a group where it is."""

    group_location: str


def look_for_group(options: Options, found: Raw, _run: Run) -> t.Iterator[Look]:
    """The group of a cluster that exists is there."""
    if not found["cluster"]:
        yield _group_look(options)


def _group_look(options: NamingOptions, **further: bool) -> Look:
    where = {"subscription_id": options.subscription_id or None, "name": options.resource_group}
    return Look("group", "resource_group_info", {**where, **further}, in_cluster=False)


def create(options: Options, found: Group, _run: Run) -> Creation:
    """A group that is there may lie in another region than the cluster that is to be."""
    if not options.location and not found.cluster.exists:
        raise Refused(
            f"Cluster {options.name} does not exist in resource group {options.resource_group}, and no region is named "
            "to create it in; set pod_identity_location."
        )
    location = options.resource_group_location or (options.location if found.missing else "")
    return Creation(location)


# uncreated


@dataclass(frozen=True)
class Uncreated:
    """``begun``: Azure had taken the creation, and has a cluster that failed."""

    message: str
    begun: bool

    @classmethod
    def parse(cls, observed: Raw) -> Uncreated:
        change = observed.get("change") or {}
        return cls(str(observed["message"]), bool(observed["begun"]) and change.get("verb") == "create")


@dataclass(frozen=True)
class WaysOut:
    """``message``: why the cluster was not created, and what to do."""

    message: str
    printed: tuple[Command, ...] = ()


def ways_out(options: NamingOptions, failed: Uncreated, _run: Run) -> WaysOut:
    """Only what this run has begun to create is ever proposed for deletion."""
    if not failed.begun:
        return WaysOut(failed.message)
    confirmed = {"pod_identity_cluster_confirm_absent": options.name}
    ways = (
        Command(
            f"To finish the creation when the cause is gone, run your playbook again, such as site{WITH_FILE}",
            playbook("site", {}, file=FILE),
        ),
        Command(
            f"To delete cluster {options.name} and resource group {options.resource_group} instead{WITH_FILE}",
            playbook("destroy", confirmed, file=FILE),
        ),
    )
    return WaysOut(" ".join((failed.message, *(line for way in ways for line in way.lines))), ways)


# addon


@dataclass(frozen=True)
class Addon:
    """Whether the add-on is enabled or changed, whether kubenet is consented to, and who ends the connection."""

    differs: bool
    accepts_kubenet: bool
    looker: str


def addon(options: Options, found: Known, _run: Run) -> Addon:
    _require(options, found.cluster)
    return Addon(found.cluster.lacks_addon, found.cluster.on_kubenet, options.looker)


def _require(options: Options, cluster: Cluster) -> None:
    if not cluster.exists:
        raise Refused(absence_refusal(options.name, options.resource_group))


# second_nmi


@dataclass(frozen=True)
class Installed:
    """The NMIs of others than the add-on."""

    others: tuple[str, ...]

    @classmethod
    def parse(cls, observed: Raw) -> Installed:
        found = (observed.get("nmi") or {}).get("installations") or ()
        others = [each for each in found if each["managed_by"] != "addon"]
        return cls(tuple(f"DaemonSet {each['namespace']}/{each['name']}" for each in others))


def look_for_nmi(_options: NameOption, _found: Raw, _run: Run) -> t.Iterator[Look]:
    yield Look("nmi", "nmi_info")


def second_nmi(options: NameOption, found: Installed, _run: Run) -> Nothing:
    """Refuses the NMI of the add-on beside another."""
    if found.others:
        raise Refused(
            f"AKS would deploy a second NMI to cluster {options.name} beside {', '.join(found.others)}, and both would "
            "fight over the same rule on every node; remove that one first, or keep it with pod_identity_mode=chart."
        )
    return Nothing()


# roles


@dataclass(frozen=True)
class NodeRoles:
    """Who gets which roles at which scope."""

    principal_id: str
    scope: str
    roles: tuple[str, ...] = NODE_ROLES


def node_roles(options: Options, found: Known, _run: Run) -> NodeRoles:
    _require(options, found.cluster)
    principal = options.principal_id or found.cluster.kubelet_object_id
    if not principal:
        client = found.cluster.service_principal_client_id
        raise Refused(
            f"Cluster {options.name} has no kubelet identity but the service principal {client}; set "
            f'pod_identity_cluster_principal_id to its object id, which "az ad sp show --id {client} --query id '
            '-o tsv" prints.'
        )
    return NodeRoles(principal, found.cluster.node_scope)


# removal


@dataclass(frozen=True)
class Contents:
    """``subscription``: that of the resource group, of which ``resources`` are the ids of what is in it."""

    cluster: Cluster
    subscription: str
    resources: tuple[str, ...]

    @classmethod
    def parse(cls, observed: Raw) -> Contents:
        group: Raw = next(iter((observed.get("group") or {}).get("groups") or ()), {})
        subscription = arm_id.parse(group["id"]).subscription if group else ""
        return cls(Cluster.parse(observed["cluster"]), subscription, tuple(group.get("resources") or ()))


@dataclass(frozen=True)
class Removal:
    """Ids of what may go with the resource group; in check mode the cluster is still there when the group would go."""

    going: tuple[str, ...]


def look_into_group(options: RemovalOptions, _found: Raw, run: Run) -> t.Iterator[Look]:
    """Whatever is in a group that goes by force goes too."""
    confirmed = not any(_unconfirmed(options.name, options.confirm_absent, run))
    if confirmed and options.remove_resource_group and not options.force_delete_nonempty:
        yield _group_look(options, list_resources=True)


def removal(options: RemovalOptions, found: Contents, run: Run) -> Removal:
    """Refuses to remove a group in which something else is, so that the cluster stays too.

    The confirmation is asked for here too, because tags may leave out the beginning of the role.
    """
    refuse(_unconfirmed(options.name, options.confirm_absent, run))
    going = (*options.expected_resources, *filter(None, (found.cluster.id,)))
    left = groups.without(found.resources, going, found.subscription)
    groups.refuse_nonempty(options.resource_group, left, "pod_identity_cluster_force_delete_nonempty")
    return Removal(going)


PARTS: t.Mapping[str, Part[t.Any, t.Any]] = {
    "options": Part(Options, Nothing, check),
    "questions": Part(ConnectionOptions, Asking, questions),
    "own_questions": Part(Options, Asking, own_questions),
    "changes": Part(Options, Predicted, changes),
    "refusal": Part(Nothing, Missing, refusal),
    "grants": Part(NamingOptions, Ungranted, grants),
    "commands": COMMANDS,
    "create": Part(Options, Group, create, look_for_group),
    "uncreated": Part(NamingOptions, Uncreated, ways_out),
    "addon": Part(Options, Known, addon),
    "second_nmi": Part(NameOption, Installed, second_nmi, look_for_nmi),
    "roles": Part(Options, Known, node_roles),
    "removal": Part(RemovalOptions, Contents, removal, look_into_group),
}
