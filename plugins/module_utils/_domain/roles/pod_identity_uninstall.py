# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The plan of the role pod_identity_uninstall: what it asks for, what of the installation goes, and what stops it."""

from __future__ import annotations

import json
import re
import typing as t
from dataclasses import dataclass, field

from .. import commands, option_names
from ..azure import arm_id, azure_roles, identities
from ..azure.protected_identities import OF_POD_IDENTITY_ADDON
from ..commands import FILE, WITH_FILE, Command
from ..diagnosis import catalogue
from ..errors import refuses
from ..installation import nmi
from ..needs import AzureNeed, AzurePermission, KubernetesNeed, KubernetesPermission
from ..removal import bundles
from .part import COMMANDS, ROLE_PHASES, Look, Nothing, Part, Raw, Refused, Run, cluster_arguments, plain, refuse

PHASES = ROLE_PHASES["pod_identity_uninstall"]
ENTRIES, BINDINGS, SCALE_SETS, CHART, ADDON, NODES, ROLES, OBJECTS, IDENTITIES = PHASES
OPERATOR, CONTRIBUTOR = "Managed Identity Operator", "Virtual Machine Contributor"

_COMPUTE, _ASSIGNMENTS = "Microsoft.Compute", "Microsoft.Authorization/roleAssignments"
_IDENTITIES, _AKS = "Microsoft.ManagedIdentity/userAssignedIdentities", "Microsoft.ContainerService/managedClusters"
_AADPODIDENTITY, _RBAC = "aadpodidentity.k8s.io", "rbac.authorization.k8s.io"
_EXTENSIONS = "apiextensions.k8s.io"
_CLUSTER, _OF_RELEASES = "the whole cluster", "each of `pod_identity_uninstall_release_namespaces`"
_OF_PROBES, _IN_DEFAULT = "the namespace of the probes", "the namespace `default`"
_OF_BUNDLE = "the namespace of the Secret for the restore bundle"
_OF_DELETED, _IF_ADDON = (
    "each of `pod_identity_uninstall_delete_identities`",
    "the cluster, if its pod identity add-on is on",
)
_OF_GROUP = re.compile("azure://(.*?/resourcegroups/[^/]+)/providers/.*", re.IGNORECASE)


def _kubernetes(
    phase: str, where: str, group: str, resource: str, *verbs: str, log: bool = False
) -> KubernetesPermission:
    return KubernetesPermission(phase, where, resource, verbs, group, "log" if log else "")


def _read(group: str, resource: str) -> KubernetesPermission:
    return _kubernetes("always", _CLUSTER, group, resource, "list")


AZURE_PERMISSIONS: t.Mapping[str, AzurePermission] = {
    "read_scale_sets": AzurePermission(
        "always",
        "the resource groups of the nodes",
        (
            f"{_COMPUTE}/virtualMachineScaleSets/read",
            f"{_COMPUTE}/virtualMachines/read",
            "Microsoft.Resources/subscriptions/resourceGroups/read",
        ),
    ),
    "read_roles": AzurePermission("always", "the node resource group", (f"{_ASSIGNMENTS}/read",)),
    "read_other_roles": AzurePermission(
        "always",
        "the identities and their resource groups, with `pod_identity_uninstall_remove_role_assignments`",
        (f"{_ASSIGNMENTS}/read",),
    ),
    "write_entries": AzurePermission(ENTRIES, _IF_ADDON, (f"{_AKS}/write",)),
    "write_addon": AzurePermission(ADDON, _IF_ADDON, (f"{_AKS}/write",)),
    "recreate_identities": AzurePermission(
        ENTRIES,
        "the resource group of the identity of a failed entry, with `pod_identity_uninstall_recreate_identity`",
        (f"{_IDENTITIES}/write", f"{_IDENTITIES}/delete", f"{_ASSIGNMENTS}/write", f"{_ASSIGNMENTS}/delete"),
    ),
    "write_scale_sets": AzurePermission(
        SCALE_SETS, "each scale set that loses an identity", (f"{_COMPUTE}/virtualMachineScaleSets/write",)
    ),
    "write_machines": AzurePermission(
        SCALE_SETS,
        "each virtual machine in no scale set that loses an identity",
        (f"{_COMPUTE}/virtualMachines/write",),
    ),
    "remove_roles": AzurePermission(
        ROLES,
        "wherever such a role is removed, with `pod_identity_uninstall_remove_role_assignments`",
        (f"{_ASSIGNMENTS}/delete",),
    ),
    "read_identities_to_delete": AzurePermission(
        "always",
        _OF_DELETED,
        (
            f"{_IDENTITIES}/read",
            f"{_IDENTITIES}/listAssociatedResources/action",
            f"{_IDENTITIES}/federatedIdentityCredentials/read",
        ),
    ),
    "read_their_roles": AzurePermission(
        "always",
        "the subscription of each of `pod_identity_uninstall_delete_identities`",
        (f"{_ASSIGNMENTS}/read",),
    ),
    "delete_identities_in_azure": AzurePermission(IDENTITIES, _OF_DELETED, (f"{_IDENTITIES}/delete",)),
}
KUBERNETES_PERMISSIONS: t.Mapping[str, KubernetesPermission] = {
    "read_identities": _read(_AADPODIDENTITY, "azureidentities"),
    "read_bindings": _read(_AADPODIDENTITY, "azureidentitybindings"),
    "read_exceptions": _read(_AADPODIDENTITY, "azurepodidentityexceptions"),
    "read_assigned": _read(_AADPODIDENTITY, "azureassignedidentities"),
    "read_definitions": _read(_EXTENSIONS, "customresourcedefinitions"),
    "read_daemonsets": _read("apps", "daemonsets"),
    "read_deployments": _read("apps", "deployments"),
    "read_replicasets": _read("apps", "replicasets"),
    "read_statefulsets": _read("apps", "statefulsets"),
    "read_jobs": _read("batch", "jobs"),
    "read_cronjobs": _read("batch", "cronjobs"),
    "read_nodes": _read("", "nodes"),
    "read_pods": _read("", "pods"),
    "read_maps": _read("", "configmaps"),
    "read_locks": _kubernetes("always", _CLUSTER, "", "endpoints", "get", "list"),
    "read_budgets": _read("policy", "poddisruptionbudgets"),
    "read_accounts": _read("", "serviceaccounts"),
    "read_cluster_roles": _read(_RBAC, "clusterroles"),
    "read_cluster_role_bindings": _read(_RBAC, "clusterrolebindings"),
    "read_releases": _kubernetes("always", _OF_RELEASES, "", "secrets", "get", "list"),
    "write_bundle": _kubernetes("always", _OF_BUNDLE, "", "secrets", "get", "list", "create", "patch"),
    "take_lease": _kubernetes(
        "always", _IN_DEFAULT, "coordination.k8s.io", "leases", "get", "create", "patch", "delete"
    ),
    "delete_bindings": _kubernetes(BINDINGS, _CLUSTER, _AADPODIDENTITY, "azureidentitybindings", "delete"),
    "delete_assigned": _kubernetes(SCALE_SETS, _CLUSTER, _AADPODIDENTITY, "azureassignedidentities", "delete", "patch"),
    "delete_releases": _kubernetes(CHART, _OF_RELEASES, "", "secrets", "update", "patch", "delete"),
    "delete_deployments": _kubernetes(CHART, _OF_RELEASES, "apps", "deployments", "get", "delete"),
    "delete_daemonsets": _kubernetes(CHART, _OF_RELEASES, "apps", "daemonsets", "get", "delete"),
    "probe_nodes": _kubernetes(NODES, _OF_PROBES, "batch", "jobs", "list", "create", "delete"),
    "read_probes": _kubernetes(NODES, _OF_PROBES, "", "pods", "get", log=True),
    "remove_secrets": _kubernetes(
        OBJECTS,
        "the namespace of each Secret that goes, with `pod_identity_uninstall_vault_id`",
        "",
        "secrets",
        "get",
        "delete",
    ),
    "delete_exceptions": _kubernetes(OBJECTS, _CLUSTER, _AADPODIDENTITY, "azurepodidentityexceptions", "delete"),
    "delete_identities": _kubernetes(OBJECTS, _CLUSTER, _AADPODIDENTITY, "azureidentities", "delete"),
    "recreate_definitions": _kubernetes(
        "always",
        "the whole cluster, with `pod_identity_uninstall_recreate_definitions`",
        _EXTENSIONS,
        "customresourcedefinitions",
        "get",
        "create",
        "patch",
        "delete",
    ),
    "delete_definitions": _kubernetes(OBJECTS, _CLUSTER, _EXTENSIONS, "customresourcedefinitions", "delete"),
    "delete_maps": _kubernetes(OBJECTS, _CLUSTER, "", "configmaps", "delete"),
    "delete_locks": _kubernetes(OBJECTS, _CLUSTER, "", "endpoints", "delete"),
    "delete_budgets": _kubernetes(OBJECTS, _CLUSTER, "policy", "poddisruptionbudgets", "delete"),
    "delete_accounts": _kubernetes(OBJECTS, _CLUSTER, "", "serviceaccounts", "delete"),
    "delete_cluster_roles": _kubernetes(OBJECTS, _CLUSTER, _RBAC, "clusterroles", "get", "delete"),
    "delete_cluster_role_bindings": _kubernetes(OBJECTS, _CLUSTER, _RBAC, "clusterrolebindings", "get", "delete"),
}
PERMISSIONS: t.Mapping[str, AzurePermission | KubernetesPermission] = {**AZURE_PERMISSIONS, **KUBERNETES_PERMISSIONS}


@dataclass(frozen=True)
class TargetOptions:
    """Where the restore bundle goes: all that a playbook asks for that has no other option of this role."""

    artifact_target: str = ""

    @property
    def names_secret(self) -> bool:
        return self.artifact_target.startswith("secret:")

    @property
    def secret_namespace(self) -> str:
        """That of the Secret for the restore bundle; empty where that is a file."""
        found = re.fullmatch("secret:([^/]+)/[^/]+", self.artifact_target)
        return found[1] if found else ""


@dataclass(frozen=True)
class Options(TargetOptions):
    owner: str = "default"
    scope: str = "owned"
    allow_in_use: bool = False
    confirm: str = ""
    delete_identities: tuple[str, ...] = ()
    protected_identities: tuple[str, ...] = ()
    recreate_definitions: bool = False
    recreate_identity: bool = False
    remove_role_assignments: bool = False
    remove_unknown_identities: tuple[str, ...] = ()
    probe_nodes: bool = True
    probe_namespace: str = "default"
    further_resource_groups: tuple[str, ...] = ()
    release_namespaces: tuple[str, ...] = ()
    principal_id: str = ""
    vault_id: str = ""
    wait_timeout: int = 600


@dataclass(frozen=True)
class Cluster:
    """The cluster of the fact ``pod_identity_cluster``."""

    id: str
    node_scope: str
    addon: bool
    kubelet_identity: str
    kubelet_principal: str
    control_plane_principal: str

    @classmethod
    def parse(cls, found: Raw) -> Cluster:
        kubelet, identity = found.get("kubelet_identity") or {}, found.get("identity") or {}
        return cls(
            id=found["id"],
            node_scope=arm_id.resource_group(arm_id.parse(found["id"]).subscription, found["node_resource_group"]),
            addon=bool((found.get("pod_identity_profile") or {}).get("enabled")),
            kubelet_identity=kubelet.get("resource_id") or "",
            kubelet_principal=kubelet.get("object_id") or "",
            control_plane_principal=identity.get("principal_id") or "",
        )


# What modules tell of identities on scale sets, of which several parts read the same.


def _losing(attached: t.Iterable[Raw]) -> list[Raw]:
    """The scale sets and machines that lose an identity."""
    return [place for place in attached if any(each["removable"] for each in place["identities"])]


def _of_pods(attached: t.Iterable[Raw]) -> t.Iterator[tuple[Raw, Raw]]:
    """Identities of pods that scale sets have still, each with the scale set."""
    for place in attached:
        for each in place["identities"]:
            if each["removable"] or each["ownership"] == "used":
                yield place, each


# What several parts look at. Of what their tasks have found, ``cluster`` is that of the session, ``known`` the plan of
# the part ``cluster``, and ``now`` who gets what by now.


def _at_addon(found: Raw) -> Look:
    arguments = {**cluster_arguments(found["cluster"]), "wait": True, "poll_interval": found["poll_interval"] or None}
    return Look("addon", "aks_pod_identity_info", arguments, in_cluster=False)


@dataclass(frozen=True)
class Addon:
    """The add-on of the cluster; ``state``: all that is known of it, for the restore bundle."""

    enabled: bool
    entries: tuple[Raw, ...]
    state: Raw

    @classmethod
    def parse(cls, observed: Raw) -> Addon:
        """As the look at it tells; raises Refused where its cluster is gone, of which nothing is proved then."""
        found = observed["addon"]["addons"]
        if not found:
            raise Refused(
                f"Cluster {observed['cluster']['name']} was deleted during this run, so nothing more of it can be "
                "looked at; if it is created again, run this again."
            )
        return cls.of(found[0])

    @classmethod
    def of(cls, state: Raw) -> Addon:
        return cls(bool(state["enabled"]), tuple(state["identities"]), state)


def _roles_at(name: str, found: Raw, scope: RoleScope, tolerates: t.Callable[[Raw], bool]) -> Look:
    arguments = {"subscription_id": arm_id.parse(found["cluster"]["id"]).subscription, **plain(scope)}
    return Look(name, "role_assignment_info", arguments, in_cluster=False, tolerates=tolerates)


def _is_elsewhere(scope: str, cluster_id: str) -> bool:
    """Whether it lies in another subscription than the cluster. Whoever may write AzureIdentities names any, so that
    none of another subscription stops an uninstall by that the operator may not look there."""
    return not arm_id.contains(f"/subscriptions/{arm_id.parse(cluster_id).subscription}", scope)


def _may_not_look(failed: Raw) -> bool:
    return refuses(failed, 400, 401, 403, 404)


@dataclass(frozen=True)
class Held:
    """A role that a principal has at a scope; ``inherited``: the wider scope that it is assigned at, else empty."""

    role: str
    inherited: str


def _held(told: Raw) -> tuple[Held, ...]:
    """What role_assignment_info tells; nothing where it failed."""
    return tuple(
        Held(str(each["role_name"]), str(each["scope"]) if each["inherited"] else "")
        for each in told.get("assignments") or ()
    )


def _at_what_is_left(found: Raw) -> Look:
    namespaces = found["known"]["removal"]["release_namespaces"]
    return Look("left", "pod_identity_removal_info", {"release_namespaces": namespaces})


def _at_scale_sets(options: Options, found: Raw, run: Run) -> Look:
    """By what was known in the beginning, so that it is told in the same way before, in between and after."""
    known, decided = found["known"], detachment(options, Inventory.parse(found), run)
    inventory = {
        **{name: known["inventory"][name] for name in ("identities", "assigned")},
        "releases": known["removal"]["releases"],
        "workloads": decided.workloads,
    }
    arguments = {
        **cluster_arguments(found["cluster"]),
        "provider_ids": known["providers"],
        "further_resource_groups": options.further_resource_groups,
        "mic_principals": [options.principal_id] if options.principal_id else [],
        "inventory": inventory,
        "known_identities": decided.known,
        "identities": options.remove_unknown_identities,
        "protected_identities": decided.protected,
        "check_existence": True,
    }
    return Look("attached", "vmss_identity_info", plain(arguments), in_cluster=False)


def _is_refusal(failed: Raw) -> bool:
    """Whether a module failed by its own decision, and not by an answer of a service."""
    return "error" not in failed


# options


@dataclass(frozen=True)
class Named:
    """How the role pod_identity_cluster names the cluster."""

    name: str
    resource_group: str

    @classmethod
    def parse(cls, observed: Raw) -> Named:
        return cls(*(str(observed[name] or "") for name in ("cluster_name", "cluster_resource_group")))


@dataclass(frozen=True)
class Checked:
    """``whole``: no phase is left out. ``delete_identities``: ids of the identities that are deleted in Azure.
    ``bundle_in``: ``file`` or ``secret``, where the restore bundle is written.
    ``kubernetes``: what the cluster is asked for before anything is known."""

    phases: tuple[str, ...]
    whole: bool
    delete_identities: tuple[str, ...]
    bundle_in: str
    kubernetes: tuple[KubernetesNeed, ...]


def check(options: Options, named: Named, run: Run) -> Checked:
    """Refuses options that name no cluster, that cannot be meant, or that have to be confirmed."""
    refuse(_contradictions(options, named, run))
    phases = run.phases(PHASES)
    return Checked(
        phases=phases,
        whole=phases == PHASES,
        delete_identities=options.delete_identities,
        bundle_in="secret" if options.names_secret else "file",
        kubernetes=tuple(_kubernetes_needs(options, phases)),
    )


def _contradictions(options: Options, named: Named, run: Run) -> t.Iterator[str]:
    if not named.name or not named.resource_group:
        yield (
            "No cluster is named, so its scale sets cannot be looked at; set pod_identity_cluster_name and "
            "pod_identity_resource_group."
        )
    elif not run.check_mode and options.confirm != named.name:
        yield (
            f"AAD Pod Identity would be removed from cluster {named.name}; to confirm, set "
            f"pod_identity_uninstall_confirm={named.name}, or look first with --check."
        )


def _kubernetes_needs(options: Options, phases: t.Sequence[str]) -> t.Iterator[KubernetesNeed]:
    left_out = {"remove_secrets"}  # their namespaces are known when the AzureIdentities are
    left_out |= set() if options.names_secret else {"write_bundle"}
    left_out |= set() if options.recreate_definitions else {"recreate_definitions"}
    places = {
        _OF_RELEASES: options.release_namespaces,
        _OF_BUNDLE: (options.secret_namespace,),
        _OF_PROBES: (options.probe_namespace,),
        _IN_DEFAULT: ("default",),
    }
    for name, permission in KUBERNETES_PERMISSIONS.items():
        in_this_run = permission.phase == "always" or permission.phase in phases
        in_this_run &= permission.phase != NODES or options.probe_nodes
        if in_this_run and name not in left_out:
            for namespace in places.get(permission.where, ("",)):
                yield KubernetesNeed.of(permission, namespace)


# earlier


@dataclass(frozen=True)
class Told:
    """``bundles`` of earlier runs, as pod_identity_bundle_info tells them.

    ``confirmed``: ids of the identities that the add-on handed out by them, as Azure has confirmed.
    """

    bundles: tuple[Raw, ...]
    confirmed: tuple[str, ...]

    @classmethod
    def parse(cls, observed: Raw) -> Told:
        held = {each: _held(observed.get(_operator_at(each)) or {}) for each in _handed_out(observed["told"])}
        confirmed = (each for each, roles in held.items() if not all(role.inherited for role in roles))
        return cls(tuple(observed["told"]["bundles"]), tuple(confirmed))


@dataclass(frozen=True)
class Earlier:
    """``identities``: ids of those that the add-on handed out before this run; ``bundles`` of earlier runs."""

    identities: tuple[str, ...]
    bundles: tuple[Raw, ...]


def earlier(_options: Options, told: Told, _run: Run) -> Earlier:
    return Earlier(told.confirmed, told.bundles)


def _look_at_earlier(options: Options, found: Raw, _run: Run) -> t.Iterator[Look]:
    """Whoever may write a file or a Secret can name any identity there. Of one that the add-on hands out, the control
    plane is operator; what cannot be seen is not confirmed."""
    cluster = found["cluster"]
    arguments = {"target": found["directory"], "cluster_id": cluster["id"]}
    yield Look("told", "pod_identity_bundle_info", arguments, in_cluster=options.names_secret)
    principal = str((cluster.get("identity") or {}).get("principal_id") or "")
    for identity in _handed_out(found["told"]) if principal else ():
        scope = RoleScope(identity, (OPERATOR,), principal)
        yield _roles_at(_operator_at(identity), found, scope, lambda _failed: True)


def _operator_at(identity: str) -> str:
    return f"operator of {identity}"


def _handed_out(told: Raw) -> tuple[str, ...]:
    return tuple(sorted({identity for each in told["bundles"] for identity in each["handed_out"]}))


# cluster


@dataclass(frozen=True)
class Object:
    """An object of AAD Pod Identity.

    ``by_aks``: AKS made it for its add-on. ``foreign_finalizers``: those for which its deletion waits.
    """

    kind: str
    namespace: str
    name: str
    removable: bool
    by_aks: bool
    foreign_finalizers: tuple[str, ...]

    @classmethod
    def parse(cls, found: Raw) -> Object:
        return cls(
            found["kind"],
            found["namespace"],
            found["name"],
            removable=bool(found["removable"]),
            by_aks=bool(found["by_aks"]),
            foreign_finalizers=tuple(found["foreign_finalizers"]),
        )

    @property
    def label(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"

    @property
    def waits(self) -> str:
        """For whom its deletion waits; empty where for nobody."""
        if not self.foreign_finalizers:
            return ""
        several = len(self.foreign_finalizers) > 1
        return (
            f"Its deletion waits until whoever owns the finalizer{'s' if several else ''} "
            f"{', '.join(self.foreign_finalizers)} takes {'them' if several else 'it'} away."
        )

    @property
    def without_binding(self) -> dict[str, str]:
        """The entry of azure_identity_binding that removes this AzureIdentityBinding, and nothing else."""
        names = {"name": self.name, "namespace": self.namespace, "binding_name": self.name}
        return {**names, "only": "binding", "state": "absent"}


@dataclass(frozen=True)
class InCluster:
    """What of AAD Pod Identity is there, where it could be looked at.

    ``removal``: what pod_identity_removal_info tells. ``earlier``: ids of identities that the add-on handed out before.
    ``nodes``: their provider ids by their names.
    """

    cluster: Cluster
    looked: bool = False
    objects: tuple[Object, ...] = ()
    removal: Raw = field(default_factory=dict)
    earlier: tuple[str, ...] = ()
    addon: Addon = field(default_factory=lambda: Addon(enabled=False, entries=(), state={}))
    installations: tuple[Raw, ...] = ()
    nodes: t.Mapping[str, str] = field(default_factory=dict)
    inventory: Raw = field(default_factory=dict)

    @classmethod
    def parse(cls, observed: Raw) -> InCluster:
        cluster = Cluster.parse(observed["cluster"])
        if "inventory" not in observed:
            return cls(cluster)
        kept = (
            "objects",
            "releases",
            "programs",
            "reconciled_by",
            "identities",
            "secrets",
            "other_secrets",
            "definitions",
            "documents",
        )
        return cls(
            cluster=cluster,
            looked=True,
            objects=tuple(map(Object.parse, observed["removal"]["objects"])),
            removal={name: observed["removal"][name] for name in (*kept, "release_namespaces")},
            earlier=tuple(observed["earlier"]),
            addon=Addon.parse(observed),
            installations=tuple(observed["nmi"]["installations"]),
            nodes={
                each["metadata"]["name"]: str((each.get("spec") or {}).get("providerID") or "")
                for each in observed["nodes"]["resources"]
            },
            inventory={name: observed["inventory"][name] for name in ("workloads", "identities", "assigned")},
        )

    def named(self, what: str) -> tuple[t.Any, ...]:
        return tuple(self.removal.get(what) or ())

    def of(self, kind: str) -> list[Object]:
        return [each for each in self.objects if each.kind == kind]


def look_into_cluster(options: Options, found: Raw, _run: Run) -> t.Iterator[Look]:
    """If that is permitted."""
    if found["permitted"]:
        yield _at_addon(found)
        rules = {name: getattr(options, name) for name in ("owner", "scope")}
        namespaces = list(options.release_namespaces)
        yield Look("removal", "pod_identity_removal_info", {**rules, "release_namespaces": namespaces})
        yield Look("nmi", "nmi_info")
        yield Look("nodes", "kubernetes_object_info", {"api_version": "v1", "kind": "Node"})
        yield Look("inventory", "pod_identity_info")


@dataclass(frozen=True)
class Installation:
    """What is there, and what of it goes.

    ``looked``: it was looked at. ``found``: something is there, ``installed``: a release or a program, ``definitions``:
    a CRD. ``mic_works``: a MIC does; ``waits_for_mic``: and has something to take from pods; ``twins``: names that
    AzureAssignedIdentities have in several namespaces. ``foreign``: objects of others; ``reconciled_by``: what somebody
    would put there again, and who. ``entries`` of the add-on, and ``absent_entries`` with those of which an earlier run
    may have left something, as aks_pod_identity takes them; ``bindings`` that go, as azure_identity_binding takes them.
    ``handed_out``: ids of the identities that the add-on hands out, or did; ``identities``: of all that pods had.
    ``going_secrets``: ``namespace/name``. ``gone_before_assigned`` and ``gone_before_objects``: what is gone before the
    AzureAssignedIdentities are removed, and before the other objects are, as pod_identity_removal takes them.
    ``addon``, ``removal``, ``installations``, ``inventory`` and ``nodes``: as they are in the beginning; ``providers``:
    provider ids of the nodes. ``waiting``: for whom deletions will wait. ``kubernetes`` and ``azure``: what is asked
    for now that this is known, and ``role_scopes``: where roles are looked for.
    """

    looked: bool
    found: bool
    installed: bool
    definitions: bool
    mic_works: bool
    waits_for_mic: bool
    twins: tuple[str, ...]
    foreign: tuple[Object, ...]
    reconciled_by: tuple[str, ...]
    entries: tuple[Raw, ...]
    absent_entries: tuple[Raw, ...]
    bindings: tuple[Raw, ...]
    handed_out: tuple[str, ...]
    identities: tuple[str, ...]
    going_secrets: tuple[str, ...]
    gone_before_assigned: tuple[str, ...]
    gone_before_objects: tuple[str, ...]
    addon: Raw
    removal: Raw
    installations: tuple[Raw, ...]
    inventory: Raw
    nodes: t.Mapping[str, str]
    providers: tuple[str, ...]
    waiting: tuple[str, ...]
    kubernetes: tuple[KubernetesNeed, ...]
    azure: tuple[AzureNeed, ...]
    role_scopes: tuple[RoleScope, ...]


def installation(options: Options, found: InCluster, run: Run) -> Installation:
    assigned = [each.name for each in found.of("AzureAssignedIdentity")]
    handed_out = {*found.earlier, *(each["identity"].lower() for each in found.addon.entries)}
    mic_works = any(each["mic_leader"] for each in found.installations)
    by_aks = f"({nmi.ADDON_KEEPER})"
    readable = Readable(
        cluster=found.cluster,
        looked=found.looked,
        providers=tuple(dict.fromkeys(filter(None, found.nodes.values()))),
        identities=tuple(sorted(handed_out | set(found.named("identities")))),
        handed_out=tuple(sorted(handed_out)),
    )
    going_secrets = found.named("secrets") if options.vault_id else ()
    entries = tuple({name: each[name] for name in ("name", "namespace", "identity")} for each in found.addon.entries)
    role_scopes = _role_scopes(options, readable)
    return Installation(
        looked=found.looked,
        found=bool(found.objects or found.named("releases") or found.named("programs")),
        installed=bool(found.named("releases") or found.named("programs")),
        definitions=bool(found.of("CustomResourceDefinition")),
        mic_works=mic_works,
        waits_for_mic=mic_works and bool(assigned),
        twins=tuple(sorted({name for name in assigned if assigned.count(name) > 1})),
        foreign=tuple(each for each in found.objects if not each.removable),
        # AKS does not when its add-on is switched off.
        reconciled_by=tuple(
            each for each in found.named("reconciled_by") if not (found.addon.enabled and each.endswith(by_aks))
        ),
        entries=entries,
        absent_entries=(*entries, *(_made_again(found) if options.recreate_identity else ())),
        # Those of AKS are its own while the add-on is on.
        bindings=tuple(
            each.without_binding
            for each in found.of("AzureIdentityBinding")
            if not (each.by_aks and found.addon.enabled)
        ),
        handed_out=readable.handed_out,
        identities=readable.identities,
        going_secrets=going_secrets,
        gone_before_assigned=("programs", "bindings", *(("assigned",) if mic_works else ())),
        gone_before_objects=("programs", "bindings", "assigned", *(("addon",) if found.addon.enabled else ())),
        addon=found.addon.state,
        removal=found.removal,
        installations=tuple({name: each[name] for name in ("namespace", "name")} for each in found.installations),
        inventory=found.inventory,
        nodes=found.nodes,
        providers=readable.providers,
        waiting=tuple(_waiting(options, found, mic_works, run)),
        kubernetes=tuple(_secret_needs(going_secrets, run.phases(PHASES))),
        azure=tuple(_read_needs(options, readable, role_scopes)),
        role_scopes=role_scopes,
    )


def _made_again(found: InCluster) -> t.Iterator[Raw]:
    """Entries that are gone, by names that none has: a run that was killed may have left what it had made for them."""
    there = {each["identity"].lower() for each in found.addon.entries}
    for number, identity in enumerate(found.earlier):
        if identity.lower() not in there:
            yield {"name": f"earlier-{number}", "namespace": "default", "identity": identity}


def _waiting(options: Options, found: InCluster, mic_works: bool, run: Run) -> t.Iterator[str]:
    phases = run.phases(PHASES)
    for each in found.objects:
        phase = _phase_of(each, addon=found.addon.enabled, mic_works=mic_works)
        if each.removable and each.waits and phase in phases:
            stops = (
                "Ask them to. The run goes on, and the custom resource definitions stay; run it again once it is gone."
                if each.kind == "AzureAssignedIdentity"
                else f"Ask them to, or the run stops there after {options.wait_timeout} seconds "
                "(pod_identity_uninstall_wait_timeout); run it again once it is gone."
            )
            yield f"{each.label}: {each.waits} {stops}"


def _secret_needs(going: t.Iterable[str], phases: t.Container[str]) -> t.Iterator[KubernetesNeed]:
    """For the namespaces of the Secrets that go."""
    places = dict.fromkeys(each.partition("/")[0] for each in going) if OBJECTS in phases else {}
    return (KubernetesNeed.of(KUBERNETES_PERMISSIONS["remove_secrets"], place) for place in places)


@dataclass(frozen=True)
class Readable:
    """What is known once the cluster was looked at; nothing of it else.

    ``providers``: provider ids of the nodes. ``identities``: ids of those that the installation hands out, or did, and
    that pods had; ``handed_out``: of those the ones of the add-on.
    """

    cluster: Cluster
    looked: bool
    providers: tuple[str, ...] = ()
    identities: tuple[str, ...] = ()
    handed_out: tuple[str, ...] = ()


@dataclass(frozen=True)
class RoleScope:
    """A scope where roles were given to a principal for AAD Pod Identity."""

    scope: str
    roles: tuple[str, ...]
    principal_id: str

    @classmethod
    def parse(cls, known: Raw) -> RoleScope:
        return cls(known["scope"], tuple(known["roles"]), known["principal_id"])


def _role_scopes(options: Options, found: Readable) -> tuple[RoleScope, ...]:
    """The roles that the nodes may have for MIC alone, and the control plane for the add-on."""
    cluster, nodes = found.cluster, options.principal_id or found.cluster.kubelet_principal
    scopes = [RoleScope(cluster.node_scope, (OPERATOR, CONTRIBUTOR), nodes)]
    for identity in found.identities:
        if not arm_id.same(identity, cluster.kubelet_identity):
            for scope in (identity, identity.split("/providers/")[0]):
                if not arm_id.same(scope, cluster.node_scope):
                    scopes.append(RoleScope(scope, (OPERATOR,), nodes))
    for identity in found.handed_out:
        if not arm_id.same(identity, cluster.kubelet_identity):
            scopes.append(RoleScope(identity, (OPERATOR,), cluster.control_plane_principal))
    return tuple(each for each in dict.fromkeys(scopes) if each.principal_id)


def _read_needs(options: Options, found: Readable, scopes: t.Iterable[RoleScope]) -> t.Iterator[AzureNeed]:
    may = {name: permission.actions for name, permission in AZURE_PERMISSIONS.items()}
    if options.remove_role_assignments and found.looked:
        for each in scopes:
            if each.scope != found.cluster.node_scope and not _is_elsewhere(each.scope, found.cluster.id):
                yield AzureNeed(each.scope, may["read_other_roles"])
    groups = {arm_id.normal(found.cluster.node_scope): found.cluster.node_scope}
    for match in filter(None, map(_OF_GROUP.fullmatch, found.providers)):
        groups.setdefault(arm_id.normal(match[1]), match[1])
    for group in groups.values():
        yield AzureNeed(group, may["read_scale_sets"])
    yield AzureNeed(found.cluster.node_scope, may["read_roles"])
    for identity in options.delete_identities:
        yield AzureNeed(identity, may["read_identities_to_delete"])
        yield AzureNeed("/".join(identity.split("/")[:3]), may["read_their_roles"])


# azure

# What the names of looks at role assignments begin with, before the number of the scope.
_ROLES_AT = "roles "


@dataclass(frozen=True)
class Granted:
    """A scope with what a look for roles there told; ``failure``: why it could not, else empty."""

    asked: RoleScope
    held: tuple[Held, ...]
    failure: str

    @classmethod
    def parse(cls, asked: Raw, told: Raw, cluster_id: str) -> Granted:
        scope = RoleScope.parse(asked)
        failure = str(told.get("msg") or "It failed.") if told.get("failed") else ""
        if failure and _may_not_look(told) and _is_elsewhere(scope.scope, cluster_id):
            failure = (
                f"Whether {scope.principal_id} has it at {scope.scope} is not known: that lies in another "
                f"subscription, where this credential may not look ({told['error'].get('code', '')})."
            )
        return cls(scope, _held(told), failure)


@dataclass(frozen=True)
class InAzure:
    """What the scale sets and role assignments are, where they could be looked at. ``entries`` of the add-on."""

    cluster: Cluster
    looked: bool
    attached: tuple[Raw, ...]
    granted: tuple[Granted, ...]
    entries: tuple[Raw, ...]
    inventory: Inventory | None

    @classmethod
    def parse(cls, observed: Raw) -> InAzure:
        known, looked = observed["known"], "attached" in observed
        scopes = known["role_scopes"] if looked else ()
        return cls(
            cluster=Cluster.parse(observed["cluster"]),
            looked=looked,
            attached=tuple(observed["attached"]["resources"]) if looked else (),
            granted=tuple(
                Granted.parse(each, observed[f"{_ROLES_AT}{number}"], observed["cluster"]["id"])
                for number, each in enumerate(scopes)
            ),
            entries=tuple(known["addon"].get("identities") or ()),
            inventory=Inventory.parse(observed) if looked else None,
        )


def look_in_azure(options: Options, found: Raw, run: Run) -> t.Iterator[Look]:
    """If that is permitted, and what is in the cluster is known.

    Where roles only are told, so is what may not be looked at. A scope that is gone with its identity has none.
    """
    known = found["known"]
    if known["looked"] and found["permitted"]:
        yield _at_scale_sets(options, found, run)
        for number, each in enumerate(known["role_scopes"]):
            scope = RoleScope.parse(each)
            elsewhere = _is_elsewhere(scope.scope, found["cluster"]["id"])

            def tolerates(failed: Raw, elsewhere: bool = elsewhere) -> bool:
                return not options.remove_role_assignments or (elsewhere and _may_not_look(failed))

            yield _roles_at(f"{_ROLES_AT}{number}", found, scope, tolerates)


@dataclass(frozen=True)
class Looked:
    """``attached``: scale sets with their identities; ``protected``: ids of those that stay. ``assignments`` of roles
    for AAD Pod Identity: role, scope and principal_id; ``unlisted``: roles that could not be looked for, and why.
    ``azure``: what is asked for to change. ``warnings``: roles that are inherited, and stay."""

    looked: bool
    attached: tuple[Raw, ...]
    protected: tuple[str, ...]
    assignments: tuple[Raw, ...]
    unlisted: tuple[Raw, ...]
    azure: tuple[AzureNeed, ...]
    warnings: tuple[str, ...]


def in_azure(options: Options, found: InAzure, run: Run) -> Looked:
    """Exactly what will be changed is asked for, or, where it could not be looked, at least what is likely."""
    granted = _assignments(found)
    going = Deletion(
        cluster=found.cluster,
        looked=found.looked,
        losing=tuple((each["id"], each["type"]) for each in _losing(found.attached)),
        role_scopes=tuple(each["scope"] for each in granted),
        failed=tuple(each["identity"] for each in found.entries if each["provisioning_state"] not in ("", "Assigned")),
    )
    return Looked(
        looked=found.looked,
        attached=found.attached,
        protected=_protected(options, found.inventory) if found.inventory else (),
        assignments=granted,
        unlisted=tuple({"roles": each.asked.roles, "msg": each.failure} for each in found.granted if each.failure),
        azure=tuple(_write_needs(options, going, run.phases(PHASES))),
        warnings=tuple(
            azure_roles.still_inherited(each.asked.principal_id, held.role, each.asked.scope, held.inherited)
            for each in found.granted
            for held in each.held
            if held.inherited
        ),
    )


def _assignments(found: InAzure) -> tuple[Raw, ...]:
    rows: list[dict[str, str]] = []
    for each in found.granted:
        for held in each.held:
            row = {"role": held.role, "scope": each.asked.scope, "principal_id": each.asked.principal_id}
            if not held.inherited and row not in rows:
                rows.append(row)
    return tuple(rows)


@dataclass(frozen=True)
class Deletion:
    """What goes, where that could be looked at: scale sets and machines that lose an identity, and scopes that lose a
    role. ``failed``: ids of the identities of entries of the add-on that AKS has not assigned."""

    cluster: Cluster
    looked: bool
    losing: tuple[tuple[str, str], ...]
    role_scopes: tuple[str, ...]
    failed: tuple[str, ...]


def _write_needs(options: Options, going: Deletion, phases: t.Sequence[str]) -> t.Iterator[AzureNeed]:
    may, cluster = {name: permission.actions for name, permission in AZURE_PERMISSIONS.items()}, going.cluster
    for name, phase in (("write_entries", ENTRIES), ("write_addon", ADDON)):
        if cluster.addon and phase in phases:
            yield AzureNeed(cluster.id, may[name])
    if IDENTITIES in phases:
        for identity in options.delete_identities:
            yield AzureNeed(identity, may["delete_identities_in_azure"])
    if options.recreate_identity and ENTRIES in phases:
        for identity in going.failed:
            yield AzureNeed(identity.split("/providers/")[0], may["recreate_identities"])
    if SCALE_SETS in phases:
        names = {"scale_set": "write_scale_sets", "virtual_machine": "write_machines"}
        for place, kind in going.losing:
            yield AzureNeed(place, may[names[kind]])
        if not going.looked:
            yield AzureNeed(cluster.node_scope, may["write_scale_sets"])
    if ROLES in phases and options.remove_role_assignments:
        for scope in dict.fromkeys(going.role_scopes):
            yield AzureNeed(scope, may["remove_roles"])
        if not going.looked:
            yield AzureNeed(cluster.node_scope, may["remove_roles"])


# beforehand


@dataclass(frozen=True)
class Unseen:
    """The cluster alone, of which nothing more was looked at yet."""

    cluster: Cluster

    @classmethod
    def parse(cls, observed: Raw) -> Unseen:
        return cls(Cluster.parse(observed["cluster"]))


@dataclass(frozen=True)
class Needs:
    """What an uninstall is known to need before it looks."""

    azure: tuple[AzureNeed, ...]
    kubernetes: tuple[KubernetesNeed, ...]


def beforehand(options: Options, found: Unseen, _run: Run) -> Needs:
    """For a role that changes something else first, and must not find out in the end that this may not be done."""
    cluster = found.cluster
    reads = _read_needs(options, Readable(cluster, looked=False), ())
    writes = _write_needs(options, Deletion(cluster, False, (), (), ()), PHASES)
    return Needs((*reads, *writes), tuple(_kubernetes_needs(options, PHASES)))


# definitions


@dataclass(frozen=True)
class Definitions:
    """Names of the CRDs that are there."""

    names: frozenset[str]

    @classmethod
    def parse(cls, observed: Raw) -> Definitions:
        return cls(frozenset(each["metadata"]["name"] for each in observed["definitions"]["resources"]))


def look_for_definitions(_options: Options, _found: Raw, _run: Run) -> t.Iterator[Look]:
    kind = {"api_version": f"{_EXTENSIONS}/v1", "kind": "CustomResourceDefinition"}
    yield Look("definitions", "kubernetes_object_info", kind)


@dataclass(frozen=True)
class Missing:
    """CRDs of AAD Pod Identity that are gone: name, kind and plural; and ``kinds`` of all of them."""

    missing: tuple[Raw, ...]
    kinds: tuple[str, ...]


_KINDS = {
    "azureidentities": "AzureIdentity",
    "azureidentitybindings": "AzureIdentityBinding",
    "azurepodidentityexceptions": "AzurePodIdentityException",
    "azureassignedidentities": "AzureAssignedIdentity",
}


def missing(_options: Options, found: Definitions, _run: Run) -> Missing:
    rows = [
        {"name": f"{plural}.{_AADPODIDENTITY}", "kind": kind, "plural": plural}
        for plural, kind in _KINDS.items()
        if f"{plural}.{_AADPODIDENTITY}" not in found.names
    ]
    return Missing(tuple(rows), tuple(_KINDS.values()))


# refusal

# What the names of looks at identities that are deleted in Azure begin with, before their ids.
_DELETED = "deleted "


@dataclass(frozen=True)
class Existing:
    """An identity in Azure by the ``id`` that the options have: what uses it, and the roles that it has."""

    id: str
    credentials: tuple[str, ...]
    holders: tuple[str, ...]
    role_assignments: tuple[Raw, ...]

    @classmethod
    def parse(cls, identity: str, found: Raw) -> Existing:
        names = ("federated_credentials", "attached_to", "role_assignments")
        return cls(identity, *(tuple(found[name]) for name in names))

    def held_by(self, leaving: t.Iterable[str]) -> list[str]:
        """Its holders without those that it leaves in this run."""
        left = {arm_id.normal(each) for each in leaving}
        return [each for each in self.holders if arm_id.normal(each) not in left]


@dataclass(frozen=True)
class InTheWay:
    """``foreign``: objects that belong to others; ``reconciled_by``: what somebody would put there again.

    ``bindings``, ``entries``: what the modules tell that would remove them, empty where nobody asked. ``existing``: the
    identities that are deleted in Azure, where they are there. ``protected``: ids of those that stay; ``attached``:
    scale sets with their identities.
    """

    foreign: tuple[Raw, ...]
    reconciled_by: tuple[str, ...]
    bindings: Raw
    entries: Raw
    existing: tuple[Existing, ...]
    protected: tuple[str, ...]
    attached: tuple[Raw, ...]

    @classmethod
    def parse(cls, observed: Raw) -> InTheWay:
        return cls(
            foreign=tuple(observed["known"]["foreign"]),
            reconciled_by=tuple(observed["known"]["reconciled_by"]),
            bindings=observed.get("bindings") or {},
            entries=observed.get("entries") or {},
            existing=tuple(
                Existing.parse(name[len(_DELETED) :], each)
                for name, told in observed.items()
                if name.startswith(_DELETED)
                for each in told["identities"]
            ),
            protected=tuple(observed["protected"]),
            attached=tuple(observed["attached"]),
        )

    @property
    def used(self) -> Raw:
        """Of what is used, the first that was told."""
        return next((each for each in (self.bindings, self.entries) if each.get("failed")), {})


def look_who_uses(options: Options, found: Raw, run: Run) -> t.Iterator[Look]:
    """What is refused is not looked at further."""
    known = found["known"]
    if any(_in_the_way(options, InTheWay.parse(found))):
        return
    if known["bindings"] and not options.allow_in_use:
        going = {"bindings": known["bindings"], "allow_in_use": False, "adopt": True}
        yield Look("bindings", "azure_identity_binding", going, in_check_mode=True, tolerates=_is_refusal)
    if known["entries"] and not options.allow_in_use and not InTheWay.parse(found).used:
        going = {
            **cluster_arguments(found["cluster"]),
            "state": "absent",
            "identities": known["entries"],
            "assign_roles": False,
            "poll_interval": found["poll_interval"] or None,
        }
        yield Look("entries", "aks_pod_identity", going, in_check_mode=True, tolerates=_is_refusal)
    in_the_way = InTheWay.parse(found)
    if in_the_way.used or any(_staying(options, in_the_way)):
        return
    for each in _to_delete(options, in_the_way, run):
        arguments = {"subscription_id": each.subscription_id, "id": each.id, "check_users": True}
        yield Look(f"{_DELETED}{each.id}", "user_assigned_identity_info", arguments, in_cluster=False)


@dataclass(frozen=True)
class Deleted:
    """An identity that is deleted in Azure; ``detached_from``: ids of scale sets from which this run detaches it."""

    id: str
    subscription_id: str
    resource_group: str
    name: str
    detached_from: tuple[str, ...]


@dataclass(frozen=True)
class Cleared:
    """``identities`` that are deleted in Azure, and those that are ``existing``, each with its role assignments.

    ``rows`` of a table with ``columns``: what is in the way.
    """

    identities: tuple[Deleted, ...] = ()
    existing: tuple[Raw, ...] = ()
    rows: tuple[Raw, ...] = ()
    columns: tuple[str, ...] = ()


def refusal(options: Options, found: InTheWay, run: Run) -> Cleared:
    """Refuses to remove what belongs to others, what would come back, what is used, and identities that must stay."""
    in_the_way = tuple(_in_the_way(options, found))
    if in_the_way:
        columns = ("kind", "namespace", "name")
        rows: tuple[Raw, ...] = tuple({name: each[name] for name in columns} for each in found.foreign)
        raise Refused(*in_the_way, plan=Cleared(rows=rows, columns=columns))
    if found.used:
        rows = tuple(_users(found.used))
        reason = option_names.of_role(found.used["msg"], {"allow_in_use": "pod_identity_uninstall_allow_in_use"})
        sentence = ("Nothing was changed, because workloads still use pod identity. " if rows else "") + reason
        raise Refused(sentence, plan=Cleared(rows=rows, columns=("used_by", "identity")))
    refuse(_staying(options, found))
    going = tuple(_to_delete(options, found, run))
    refuse(_used(going, found.existing))
    existing = tuple({"id": each.id, "role_assignments": each.role_assignments} for each in found.existing)
    return Cleared(identities=going, existing=existing)


def _in_the_way(options: Options, found: InTheWay) -> t.Iterator[str]:
    if found.foreign:
        yield (
            f"{len(found.foreign)} objects of AAD Pod Identity do not carry the labels of this collection with the "
            f"owner {options.owner}, and without MIC and NMI they would serve nobody; nothing was changed. Name their "
            "owner with pod_identity_uninstall_owner, or remove them too with pod_identity_uninstall_scope=all."
        )
    if found.reconciled_by:
        yield (
            f"{', '.join(found.reconciled_by)} would be put there again; nothing was changed. Remove it where it comes "
            "from, and run this again."
        )


def _users(told: Raw) -> t.Iterator[dict[str, t.Any]]:
    """Of bindings, each with the AzureIdentity, and of entries of the add-on."""
    for each in told.get("in_use") or ():
        for user in each["users"]:
            yield {"used_by": user, "identity": each["identity"]}
    for user in told.get("users") or ():
        yield {"used_by": user, "identity": ""}


def _staying(options: Options, found: InTheWay) -> t.Iterator[str]:
    """Why identities are not deleted in Azure."""
    named = {arm_id.normal(each) for each in options.delete_identities}
    texts = [f"{arm_id.last_segment(each)} is protected" for each in found.protected if arm_id.normal(each) in named]
    texts += [
        f"{arm_id.last_segment(each['id'])} is protected, because {each['ownership_because']}"
        for place in found.attached
        for each in place["identities"]
        if arm_id.normal(each["id"]) in named and each["ownership"] == "protected"
    ]
    if texts:
        yield (
            f"{'; '.join(dict.fromkeys(texts))}; nothing was changed. Take it out of "
            "pod_identity_uninstall_delete_identities."
        )


def _used(going: t.Iterable[Deleted], existing: t.Iterable[Existing]) -> t.Iterator[str]:
    """Why identities are not deleted in Azure; a scale set from which this run detaches one does not count."""
    leaving = {each.id: each.detached_from for each in going}
    for each in existing:
        used_by = identities.used_by(each.credentials, each.held_by(leaving[each.id]))
        if used_by:
            yield identities.use(each.id, used_by)


def _to_delete(options: Options, found: InTheWay, run: Run) -> t.Iterator[Deleted]:
    # Only that phase detaches.
    attached = found.attached if SCALE_SETS in run.phases(PHASES) else ()
    return (_deleted(each, attached) for each in options.delete_identities)


def _deleted(identity: str, attached: t.Iterable[Raw]) -> Deleted:
    places = tuple(
        str(place["id"])
        for place in attached
        for each in place["identities"]
        if each["removable"] and arm_id.same(each["id"], identity)
    )
    segments = identity.split("/")
    return Deleted(identity, segments[2], segments[4], segments[8], places)


# detach


@dataclass(frozen=True)
class Assigned:
    """An AzureAssignedIdentity: the node that it is for, and the identity that MIC attaches there."""

    name: str
    node: str
    resource_id: str
    is_managed_identity: bool

    @classmethod
    def parse(cls, found: Raw) -> Assigned:
        return cls(found["name"], found["node"], found["resource_id"] or "", found["type"] == 0)


@dataclass(frozen=True)
class Inventory:
    """What decides which identities may be detached from the scale sets.

    ``bindings``: place of each AzureIdentityBinding, and whether AKS writes it. ``workloads``, ``identities`` and
    ``assigned`` are those of pod_identity_info. ``immutable``: client ids that MIC was told to leave alone.
    ``providers``: the provider ids of nodes by their names.
    """

    cluster: Cluster
    bindings: tuple[tuple[str, bool], ...]
    workloads: tuple[Raw, ...]
    identities: tuple[Raw, ...]
    assigned: tuple[Assigned, ...]
    immutable: frozenset[str]
    providers: t.Mapping[str, str]
    handed_out: tuple[str, ...]
    mic_works: bool

    @classmethod
    def parse(cls, observed: Raw) -> Inventory:
        known = observed["known"]
        inventory, removal = known["inventory"], known["removal"]
        bindings = [each for each in removal["objects"] if each["kind"] == "AzureIdentityBinding"]
        now = observed["now"] if "inventory" not in observed else observed["inventory"]["workloads"]
        immutable = (each for release in removal["releases"] for each in _immutable(release))
        return cls(
            cluster=Cluster.parse(observed["cluster"]),
            bindings=tuple((f"{each['namespace']}/{each['name']}", bool(each["by_aks"])) for each in bindings),
            workloads=tuple(inventory["workloads"] if now is None else now),
            identities=tuple(inventory["identities"]),
            assigned=tuple(map(Assigned.parse, inventory["assigned"])),
            immutable=frozenset(str(each).lower() for each in immutable if each),
            providers=known["nodes"],
            handed_out=tuple(known["handed_out"]),
            mic_works=bool(known["mic_works"]),
        )


def _immutable(release: Raw) -> t.Iterable[t.Any]:
    """What the values of the release name as such, of which others may hold credentials."""
    mic = (release["given_values"] or {}).get("mic")
    found = mic.get("immutableUserMSIs") if isinstance(mic, t.Mapping) else None
    return found if isinstance(found, (list, tuple)) else (found,)


def look_who_gets_what(_options: Options, _found: Raw, run: Run) -> t.Iterator[Look]:
    """In check mode nothing has changed since the beginning."""
    if not run.check_mode:
        yield Look("inventory", "pod_identity_info")


@dataclass(frozen=True)
class Detachment:
    """``workloads``: who still gets what by bindings that do not go with this run, such as one that somebody has made
    since it began. ``known``: identities that the add-on handed out. ``protected``: ids of identities that stay.
    ``left_to_mic``: what a MIC that works detaches itself, where it finds the node that it is for."""

    workloads: tuple[Raw, ...]
    known: tuple[Raw, ...]
    protected: tuple[str, ...]
    left_to_mic: tuple[Raw, ...]


def detachment(options: Options, found: Inventory, run: Run) -> Detachment:
    """By what is known it is decided which identities on the scale sets may go."""
    bindings_go = BINDINGS in run.phases(PHASES)
    going = {place for place, by_aks in found.bindings if bindings_go or by_aks}
    return Detachment(
        workloads=tuple(_without(each, going) for each in found.workloads),
        known=tuple({"id": each, "source": "an entry of the pod identity add-on"} for each in found.handed_out),
        protected=_protected(options, found),
        left_to_mic=tuple(_left_to_mic(found)) if bindings_go and found.mic_works else (),
    )


def _without(workload: Raw, going: t.Container[str]) -> dict[str, t.Any]:
    """The workload with the identities that it gets by other bindings."""
    gets = [each for each in workload["identities"] if f"{each['namespace']}/{each['binding']}" not in going]
    return {**{name: workload[name] for name in ("kind", "namespace", "name")}, "identities": gets}


def _protected(options: Options, found: Inventory) -> tuple[str, ...]:
    immutable = [
        str(each["resource_id"])
        for each in found.identities
        if each["type"] == 0 and str(each["client_id"] or "").lower() in found.immutable
    ]
    kept: dict[str, str] = {}
    for each in (*options.protected_identities, *immutable):
        kept.setdefault(arm_id.normal(each), each)
    return tuple(kept.values())


def _left_to_mic(found: Inventory) -> list[dict[str, str]]:
    names = [each.name for each in found.assigned]
    on_nodes = f"azure://{found.cluster.node_scope}/".lower()
    rows: dict[tuple[str, str], dict[str, str]] = {}
    for each in found.assigned:
        provider = found.providers.get(each.node, "")
        # MIC knows them by their names alone: of equal ones in several namespaces it sees one.
        if names.count(each.name) == 1 and each.is_managed_identity and each.resource_id:
            if provider.lower().startswith(on_nodes):
                rows[each.resource_id, provider] = {"id": each.resource_id, "provider_id": provider}
    return list(rows.values())


# bundle


@dataclass(frozen=True)
class Goes:
    """What goes, and where it may be written down.

    ``restorable``: there are custom resources or releases. ``definitions``: uids of the CRDs. ``addon``: its state.
    ``attached``: scale sets with their identities. ``deleted``: identities that are deleted in Azure, each with the
    role assignments that it leaves. ``assignments`` of roles. ``earlier``: bundles of earlier runs.
    """

    restorable: bool
    definitions: tuple[str, ...]
    addon: Raw
    attached: tuple[Raw, ...]
    deleted: tuple[Raw, ...]
    assignments: tuple[Raw, ...]
    earlier: tuple[Raw, ...]
    cluster_name: str
    directory: str
    written: str

    @classmethod
    def parse(cls, observed: Raw) -> Goes:
        removal = observed["removal"]
        return cls(
            restorable=bool(removal.get("documents") or removal.get("releases")),
            definitions=tuple(removal.get("definitions") or ()),
            addon=observed["addon"],
            attached=tuple(observed["attached"]),
            deleted=tuple(observed["deleted"]),
            assignments=tuple(observed["assignments"]),
            earlier=tuple(observed["earlier"]),
            **{name: str(observed[name]) for name in ("cluster_name", "directory", "written")},
        )

    @property
    def begun(self) -> Raw | None:
        """The bundle of this uninstallation, if an earlier run has begun it.

        The definitions go last. So those of that run are there still, or all is gone that it could have saved.
        """
        found = [each for each in self.earlier if bundles.is_restorable(each)]
        if self.definitions:
            found = [each for each in found if not set(self.definitions).isdisjoint(each["definitions"])]
        elif self.restorable or self.addon["enabled"]:
            found = []
        return max(found, key=lambda each: str(each["written"]), default=None)


@dataclass(frozen=True)
class Bundle:
    """``needed``: something is written. ``place``: the file or Secret, empty where there is none, and ``sha256`` its
    digest before that. ``begun``: when an earlier run has written it; empty where none has. ``addon``: its state, empty
    where it is off. ``deleted_identities``: each with the role assignments that it leaves."""

    needed: bool
    place: str
    sha256: str
    begun: str
    written: str
    definitions: tuple[str, ...]
    addon: Raw
    deleted_identities: tuple[Raw, ...]


def bundle(options: Options, goes: Goes, run: Run) -> Bundle:
    """One for each uninstallation: a run that follows a killed one finds less than that one did, and carries it on.

    None is written where there is nothing to save, because it would be taken for the way back.
    """
    roles_go = options.remove_role_assignments and bool(goes.assignments)
    saves = goes.restorable or goes.addon["enabled"] or bool(_losing(goes.attached)) or bool(goes.deleted) or roles_go
    needed = saves and not run.check_mode
    begun = goes.begun or {}
    place = f"{goes.directory}/{goes.cluster_name}-{goes.written.lower()}.json"
    if options.names_secret:
        place = f"{options.artifact_target}-{goes.written.lower()}"
    return Bundle(
        needed=needed,
        place=str(begun.get("place") or (place if needed else "")),
        sha256=str(begun.get("sha256") or ""),
        begun=str(begun.get("written") or ""),
        written=goes.written,
        definitions=goes.definitions,
        addon=goes.addon if goes.addon["enabled"] else {},
        deleted_identities=goes.deleted,
    )


# detached, guarded


@dataclass(frozen=True)
class Attached:
    """Scale sets with their identities; ``bundle``: where the restore bundle is."""

    places: tuple[Raw, ...]
    bundle: str

    @classmethod
    def parse(cls, observed: Raw) -> Attached:
        return cls(tuple(observed["attached"]["resources"]), observed["bundle"])


def look_at_scale_sets(options: Options, found: Raw, run: Run) -> t.Iterator[Look]:
    yield _at_scale_sets(options, found, run)


def detached(_options: Options, found: Attached, _run: Run) -> Nothing:
    """Refuses to go on while an identity of pods is on the scale sets."""
    texts = [
        f"{arm_id.last_segment(each['id'])} on {place['name']} ({each['ownership_because']})"
        for place, each in _of_pods(found.places)
    ]
    if texts:
        raise Refused(
            f"{'; '.join(dict.fromkeys(texts))}: they are still on the scale sets, where every pod could take them "
            "without NMI, so MIC and NMI stay; run this again."
            + (f" The restore bundle is {found.bundle}." if found.bundle else "")
        )
    return Nothing()


@dataclass(frozen=True)
class Guarded:
    """Scale sets with their identities; and names of ``entries`` that the add-on has still."""

    places: tuple[Raw, ...]
    entries: tuple[str, ...]

    @classmethod
    def parse(cls, observed: Raw) -> Guarded:
        entries = Addon.parse(observed).entries if observed["of_addon"] else ()
        return cls(tuple(observed["attached"]["resources"]), tuple(each["name"] for each in entries))


def look_what_is_guarded(options: Options, found: Raw, run: Run) -> t.Iterator[Look]:
    """By NMI of the chart, or, where the task has found ``of_addon``, of the add-on."""
    if found["of_addon"]:
        yield _at_addon(found)
    yield _at_scale_sets(options, found, run)


def guarded(_options: Options, found: Guarded, _run: Run) -> Nothing:
    """Refuses to remove an NMI that guards something."""
    names = [arm_id.last_segment(each["id"]) for dummy, each in _of_pods(found.places)]
    names += found.entries
    if names:
        raise Refused(
            f"{', '.join(dict.fromkeys(names))} are still on the scale sets, where every pod could take them without "
            "NMI; run the phases before this one too."
        )
    return Nothing()


# entries_gone


@dataclass(frozen=True)
class AfterEntries:
    """The cluster, and names of ``entries`` that its add-on has still."""

    name: str
    entries: tuple[str, ...]

    @classmethod
    def parse(cls, observed: Raw) -> AfterEntries:
        entries = Addon.parse(observed).entries
        return cls(observed["cluster"]["name"], tuple(each["name"] for each in entries))


def look_at_addon(_options: Options, found: Raw, _run: Run) -> t.Iterator[Look]:
    yield _at_addon(found)


def entries_gone(_options: Options, found: AfterEntries, _run: Run) -> Nothing:
    """Refuses to go on while the add-on has an entry."""
    if found.entries:
        raise Refused(
            f"AKS still hands out {', '.join(found.entries)} by the pod identity add-on of cluster {found.name}, so it "
            "stays on; run this again."
        )
    return Nothing()


# chart_gone


@dataclass(frozen=True)
class AfterChart:
    """MIC and NMI that are there and not of the add-on."""

    programs: tuple[str, ...]

    @classmethod
    def parse(cls, observed: Raw) -> AfterChart:
        left = observed["left"]
        return cls(tuple(each for each in left["programs"] if each not in left["addon_programs"]))


def look_what_is_left(_options: Options, found: Raw, _run: Run) -> t.Iterator[Look]:
    yield _at_what_is_left(found)


def chart_gone(options: Options, found: AfterChart, _run: Run) -> Nothing:
    """Refuses to go on while MIC or NMI of a chart is there."""
    if found.programs:
        raise Refused(
            f"{', '.join(found.programs)} did not go with the chart within {options.wait_timeout} seconds; remove it "
            "where it comes from, and run this again."
        )
    return Nothing()


# addon_gone


@dataclass(frozen=True)
class AfterAddon:
    """What is there after the add-on was switched off: programs that AKS manages, and all objects."""

    programs: tuple[str, ...]
    objects: tuple[Object, ...]

    @classmethod
    def parse(cls, observed: Raw) -> AfterAddon:
        left = observed["left"]
        return cls(tuple(left["addon_programs"]), tuple(map(Object.parse, left["objects"])))


@dataclass(frozen=True)
class LeftByAks:
    """``bindings``, as azure_identity_binding takes them."""

    bindings: tuple[Raw, ...]


def left_by_aks(options: Options, found: AfterAddon, _run: Run) -> LeftByAks:
    """Refuses to go on while the NMI of the add-on is there."""
    if found.programs:
        raise Refused(
            f"AKS has switched its pod identity add-on off, but did not remove {', '.join(found.programs)} within "
            f"{options.wait_timeout} seconds; let it write the cluster once more (az aks update), and run this again."
        )
    bindings = [each for each in found.objects if each.kind == "AzureIdentityBinding" and each.by_aks]
    return LeftByAks(tuple(each.without_binding for each in bindings))


# ready_nodes, dead_nodes, proof


@dataclass(frozen=True)
class Nodes:
    nodes: tuple[Raw, ...]

    @classmethod
    def parse(cls, observed: Raw) -> Nodes:
        return cls(tuple(observed["nodes"]["resources"]))


def look_at_nodes(_options: Options, _found: Raw, _run: Run) -> t.Iterator[Look]:
    yield Look("nodes", "kubernetes_object_info", {"api_version": "v1", "kind": "Node"})


@dataclass(frozen=True)
class NodeNames:
    names: tuple[str, ...]


def ready_nodes(_options: Options, found: Nodes, _run: Run) -> NodeNames:
    """The nodes with Linux that are ready."""
    return NodeNames(
        tuple(each["metadata"]["name"] for each in found.nodes if _runs_linux(each) and nmi.is_ready(each))
    )


def _runs_linux(node: Raw) -> bool:
    return bool((node["metadata"].get("labels") or {}).get("kubernetes.io/os", "linux") == "linux")


@dataclass(frozen=True)
class Answers:
    """The nodes whose pods do not reach the metadata service itself, by the last answers, and why."""

    dead: t.Mapping[str, str]

    @classmethod
    def parse(cls, observed: Raw) -> Answers:
        dead = {}
        for each in observed["answers"]:
            answer = each.get("answer") or {}
            if not answer.get("proved"):
                dead[each["item"]] = str(answer.get("message") or each.get("msg") or "")
        return cls(dead)


def dead_nodes(_options: Options, found: Answers, _run: Run) -> NodeNames:
    return NodeNames(tuple(found.dead))


def proof(_options: Options, found: Answers, _run: Run) -> Nothing:
    """Refuses to go on while a rule of NMI is left on a node."""
    texts = [f"{name} ({why[:-1] if why.endswith('.') else why})" for name, why in found.dead.items()]
    if texts:
        raise Refused(
            f"Pods do not reach the metadata service itself on {'; '.join(texts)}. Where the table of the nodes gives "
            "a reason, that names what to do; else run the playbook azureops.pod_identity.cleanup_nodes. Then run this "
            "again."
        )
    return Nothing()


# account

# What is left, or not known, beside the residue of the cluster; for the page of codes.
MEANINGS: t.Mapping[str, str] = {
    "addon_left": "The pod identity add-on of AKS is still on.",
    "identity_attached": "An identity of pods is still on a scale set, where every pod of its nodes can take it.",
    "nodes_not_asked": "Whether rules of NMI are left on nodes is not known, because no pod asked for the metadata "
    "service.",
}
_KEPT_CODES = ("label_left", "not_believed")
# The variable in place of the module's option in what is said of it.
_OF_RESIDUE = {"release_namespaces": "pod_identity_uninstall_release_namespaces"}


@dataclass(frozen=True)
class Before:
    """What was there in the beginning.

    ``found``: something of the installation, ``installed``: a release or a program, ``definitions``: its CRDs.
    ``mic_works``: a MIC does. ``identities``: ids of those that pods had. ``secrets`` of service principals, and which
    of them ``going``, and ``other_secrets`` that stay in any case. ``objects``, ``releases``, and ``entries`` of the
    add-on, which was on or not. ``attached``: scale sets with their identities. ``assignments`` of roles for AAD Pod
    Identity, and ``unlisted`` those that could not be looked at.
    """

    found: bool = True
    installed: bool = True
    definitions: bool = True
    mic_works: bool = False
    identities: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    other_secrets: tuple[str, ...] = ()
    going: tuple[str, ...] = ()
    objects: tuple[Object, ...] = ()
    releases: tuple[Raw, ...] = ()
    addon: bool = False
    entries: tuple[Raw, ...] = ()
    attached: tuple[Raw, ...] = ()
    assignments: tuple[Raw, ...] = ()
    unlisted: tuple[Raw, ...] = ()

    @classmethod
    def parse(cls, observed: Raw) -> Before:
        known, azure = observed["known"], observed["in_azure"]
        flags: dict[str, t.Any] = {
            name: bool(known[name]) for name in ("found", "installed", "definitions", "mic_works")
        }
        lists: dict[str, t.Any] = {name: tuple(azure[name]) for name in ("attached", "assignments", "unlisted")}
        return cls(
            **flags,
            **lists,
            identities=tuple(known["identities"]),
            secrets=tuple(known["removal"]["secrets"]),
            other_secrets=tuple(known["removal"]["other_secrets"]),
            going=tuple(known["going_secrets"]),
            objects=tuple(map(Object.parse, known["removal"]["objects"])),
            releases=tuple(known["removal"]["releases"]),
            addon=bool(known["addon"].get("enabled")),
            entries=tuple(known["entries"]),
        )


@dataclass(frozen=True)
class Audit:
    """What is there after the phases.

    ``residue``: of AAD Pod Identity in the cluster. ``addon``: the add-on is on. ``attached``: scale sets with their
    identities. ``entries`` of the add-on: namespace and name. ``before``: what was there in the beginning. ``deleted``:
    identities that were deleted in Azure, with the role assignments that they leave. ``nodes_proved``: pods on every
    node reach the metadata service. ``saved``: the restore bundle and its digest, empty where there is none.
    """

    cluster: Cluster
    residue: tuple[Raw, ...] = ()
    addon: bool = False
    attached: tuple[Raw, ...] = ()
    entries: tuple[tuple[str, str], ...] = ()
    before: Before = field(default_factory=Before)
    deleted: tuple[Raw, ...] = ()
    nodes_proved: bool = True
    saved: tuple[str, str] = ("", "")

    @classmethod
    def parse(cls, observed: Raw) -> Audit:
        looked = "attached" in observed
        addon = Addon.parse(observed) if looked else Addon.of(observed["known"]["addon"])
        return cls(
            cluster=Cluster.parse(observed["cluster"]),
            residue=tuple(observed["audited"]["residue"]),
            addon=addon.enabled,
            attached=tuple(observed["attached"]["resources"] if looked else observed["in_azure"]["attached"]),
            entries=tuple((each["namespace"], each["name"]) for each in addon.entries),
            before=Before.parse(observed),
            deleted=tuple(observed["deleted"]),
            nodes_proved=bool(observed["nodes_proved"]),
            saved=(observed.get("bundle") or "", observed.get("sha256") or ""),
        )

    @property
    def unread(self) -> frozenset[str]:
        """The kinds of objects that could not be looked at."""
        return frozenset(each["object"] for each in self.residue if each["code"] == "not_read")

    @property
    def labels(self) -> frozenset[str]:
        """Of the objects that are there, as the residue names them."""
        return frozenset(each["object"] for each in self.residue if each["code"] not in (*_KEPT_CODES, "not_read"))

    def has_release(self, release: Raw) -> bool:
        record = f"Secret {release['namespace']}/sh.helm.release.v1.{release['name']}.v"
        return any(each.startswith(record) for each in self.labels)

    def carries(self, place: Raw, identity: Raw) -> bool:
        """Whether the scale set has the identity still."""
        return any(
            arm_id.same(each["id"], identity["id"])
            for found in self.attached
            if arm_id.same(found["id"], place["id"])
            for each in found["identities"]
        )


def look_what_is_there_now(options: Options, found: Raw, run: Run) -> t.Iterator[Look]:
    """In check mode nothing has changed in Azure since the beginning."""
    namespaces = found["known"]["removal"]["release_namespaces"]
    yield Look("audited", "pod_identity_info", {"audit": True, "release_namespaces": namespaces})
    if not run.check_mode:
        yield _at_addon(found)
        yield _at_scale_sets(options, found, run)


@dataclass(frozen=True)
class Row:
    """``state``: ``gone``, ``removed`` or in check mode ``would remove``, ``left``, ``not_verified`` or ``kept``; the
    last is no fault."""

    where: str
    what: str
    state: str
    code: str = ""
    reason: str = ""
    references: tuple[str, ...] = ()


@dataclass(frozen=True)
class Account:
    """``left``: what of ``rows`` is left. ``commands``: what brings it back."""

    rows: tuple[Row, ...]
    left: tuple[str, ...]
    commands: tuple[Command, ...]


_PLACES = {
    "cluster": "AAD Pod Identity",
    "nodes": "rules of NMI",
    "scale sets": "identities of pods",
    "roles": "roles of the nodes for MIC",
}


def account(options: Options, audit: Audit, run: Run) -> Account:
    """A row for each thing that is removed, left or kept, and one for each place where nothing was and is.

    What check mode would remove is what the run removes.
    """
    going = tuple(_going(options, audit, run))
    left = () if run.check_mode else tuple(_left(audit))
    unproved = tuple(_unproved(options, audit, going, run))
    told = {row.where for row in (*going, *left, *unproved)}
    if audit.labels or audit.addon:
        told.add("cluster")
    if any(_of_pods(audit.attached)):
        told.add("scale sets")
    if audit.before.assignments or audit.before.unlisted:
        told.add("roles")
    gone = [Row(where, what, "gone") for where, what in _PLACES.items() if where not in told]
    rows = (*gone, *going, *left, *unproved, *_kept(options, audit, run))
    # In check mode there is no bundle yet.
    back = () if run.check_mode else tuple(_back(*audit.saved))
    return Account(rows, tuple(row.what for row in left), back)


def _back(bundle: str, sha256: str) -> t.Iterator[Command]:
    if bundle:
        variables = {"pod_identity_restore_bundle": bundle, "pod_identity_restore_sha256": sha256}
        yield Command(f"To bring it back{WITH_FILE}", commands.playbook("restore", variables, file=FILE))


def _going(options: Options, audit: Audit, run: Run) -> t.Iterator[Row]:
    """What the phases that run remove; nothing of it is there after the run."""
    state = "would remove" if run.check_mode else "removed"
    phases = run.phases(PHASES)
    for phase, where, what, reason, is_there in _planned(options, audit):
        if phase in phases and (run.check_mode or not is_there):
            yield Row(where, what, state, reason=reason)
    yield from _going_from_scale_sets(audit, phases, state, run)
    # The rules go with NMI.
    had_nmi = (CHART in phases or ADDON in phases) and (audit.before.installed or audit.before.addon)
    if had_nmi and _asks_nodes(options, run) and (run.check_mode or audit.nodes_proved):
        yield Row("nodes", _PLACES["nodes"], state)


def _planned(options: Options, audit: Audit) -> t.Iterator[tuple[str, str, str, str, bool]]:
    """Phase, where, what, reason, and whether it is there, but for identities on scale sets."""
    before, labels = audit.before, audit.labels
    for entry in before.entries:
        what = f"entry {entry['namespace']}/{entry['name']} of the add-on"
        yield ENTRIES, "cluster", what, "", (entry["namespace"], entry["name"]) in audit.entries
    for release in before.releases:
        what = f"helm release {release['namespace']}/{release['name']}"
        yield CHART, "cluster", what, "", "Secret" in audit.unread or audit.has_release(release)
    if before.addon:
        yield ADDON, "cluster", "add-on of AKS", "", audit.addon
    for found in before.objects:
        if found.removable:
            yield (
                _phase_of(found, addon=before.addon, mic_works=before.mic_works),
                "cluster",
                found.label,
                found.waits,
                found.kind in audit.unread or found.label in labels,
            )
    for secret in before.going:
        yield OBJECTS, "cluster", f"Secret {secret}", "It is, encrypted, in the restore bundle.", False
    for held in before.assignments if options.remove_role_assignments else ():
        yield ROLES, "roles", held["role"], f"{_whose(options, audit, held)} at {held['scope']}", False
    for identity in audit.deleted:
        yield IDENTITIES, "Azure", f"identity {arm_id.last_segment(identity['id'])}", identity["id"], False


def _phase_of(found: Object, *, addon: bool, mic_works: bool) -> str:
    """The one that removes the object, or lets AKS or MIC do so."""
    custom = ("AzureIdentity", "AzureIdentityBinding")
    if found.by_aks and addon:
        return ENTRIES if found.kind in custom else ADDON
    phases = {
        "AzureIdentityBinding": BINDINGS,
        "AzureAssignedIdentity": BINDINGS if mic_works else SCALE_SETS,
        "Deployment": CHART,
        "DaemonSet": CHART,
    }
    return phases.get(found.kind, OBJECTS)


def _going_from_scale_sets(audit: Audit, phases: t.Container[str], state: str, run: Run) -> t.Iterator[Row]:
    """One row for each identity, wherever it is."""
    places: dict[str, list[str]] = {}
    identities: dict[str, Raw] = {}
    for place in audit.before.attached:
        for each in place["identities"]:
            phase = SCALE_SETS if each["removable"] else ENTRIES if _is_of_addon(each) else ""
            if phase in phases and (run.check_mode or not audit.carries(place, each)):
                identities.setdefault(each["id"].lower(), each)
                places.setdefault(each["id"].lower(), []).append(place["name"])
    for key, each in identities.items():
        what = f"identity {arm_id.last_segment(each['id'])}"
        source = f", {each['ownership_because']}" if each["removable"] else ""
        yield Row("scale sets", what, state, reason=f"on {', '.join(places[key])}{source}")


def _is_of_addon(identity: Raw) -> bool:
    """Whether only its entries keep it on the nodes."""
    return identity.get("protected_code") == OF_POD_IDENTITY_ADDON


def _asks_nodes(options: Options, run: Run) -> bool:
    return options.probe_nodes and NODES in run.phases(PHASES)


def _whose(options: Options, audit: Audit, assignment: Raw) -> str:
    nodes = options.principal_id or audit.cluster.kubelet_principal
    return "of the nodes" if assignment["principal_id"] == nodes else "of the control plane"


def _left(audit: Audit) -> t.Iterator[Row]:
    for each in audit.residue:
        if each["code"] not in (*_KEPT_CODES, "not_read"):
            yield _of_residue(each, "left")
    if audit.addon:
        yield _coded("cluster", "add-on of AKS", "left", "addon_left", "It is still on.")
    for place, each in _of_pods(audit.attached):
        what = f"identity {arm_id.last_segment(each['id'])}"
        yield _coded("scale sets", what, "left", "identity_attached", f"Every pod on {place['name']} can take it.")


def _unproved(options: Options, audit: Audit, going: t.Iterable[Row], run: Run) -> t.Iterator[Row]:
    for each in audit.residue:
        if each["code"] == "not_read":
            yield _of_residue(each, "not_verified")
    before = audit.before
    if before.found and not before.definitions and not options.recreate_definitions:
        # Where definitions are gone before the rest is, nobody knows what their objects were.
        yield _coded(
            "cluster",
            "objects without definitions",
            "not_verified",
            "definitions_gone",
            "The definitions were gone already, and objects may lie in the storage without them; look with "
            "pod_identity_uninstall_recreate_definitions=true.",
        )
    asks = _asks_nodes(options, run)
    if not (audit.nodes_proved or any(row.where == "nodes" for row in going)):
        reason = "No pod asked for the metadata service in this run."
        if run.check_mode and asks:
            reason = "In check mode no pod asks for the metadata service."
        yield _coded("nodes", "rules of NMI", "not_verified", "nodes_not_asked", reason)


def _kept(options: Options, audit: Audit, run: Run) -> t.Iterator[Row]:
    before = audit.before
    yield from _attached_still(audit, run)
    named = {each.lower() for each in options.delete_identities}
    for identity in before.identities:
        if identity not in named:
            what = f"identity {arm_id.last_segment(identity)}"
            yield Row("Azure", what, "kept", reason=f"Others may use it: {identity}")
    for deleted in audit.deleted:
        of = f"of the deleted identity {arm_id.last_segment(deleted['id'])}"
        for each in deleted["role_assignments"]:
            yield Row("roles", each["role"], "kept", reason=f"{of} at {each['scope']}; it gives nothing any more")
    for secret in before.secrets:
        if secret not in before.going:
            reason = "It holds the credential of a service principal; it goes, encrypted, with "
            yield Row("cluster", f"Secret {secret}", "kept", reason=f"{reason}pod_identity_uninstall_vault_id.")
    for secret in before.other_secrets:
        reason = "An AzureIdentity of another namespace, or one that stays, names it: delete it if nothing needs it."
        yield Row("cluster", f"Secret {secret}", "kept", reason=reason)
    for each in before.assignments if not options.remove_role_assignments else ():
        whose = _whose(options, audit, each)
        reason = f"{whose} at {each['scope']}; it goes with pod_identity_uninstall_remove_role_assignments=true"
        yield Row("roles", each["role"], "kept", reason=reason)
    for each in audit.residue:
        if each["code"] in _KEPT_CODES:
            yield _of_residue(each, "kept")
    for each in before.unlisted:
        state = "not_verified" if options.remove_role_assignments else "kept"
        yield Row("roles", " or ".join(each["roles"]), state, reason=each["msg"])


def _attached_still(audit: Audit, run: Run) -> t.Iterator[Row]:
    """One row for each identity that stays on scale sets, wherever it is."""
    places: dict[tuple[str, str], list[str]] = {}
    identities: dict[tuple[str, str], Raw] = {}
    for place in audit.attached:
        for each in place["identities"]:
            goes_with_addon = run.check_mode and _is_of_addon(each)
            if not each["removable"] and not goes_with_addon:
                key = (each["id"].lower(), each["ownership_because"])
                identities.setdefault(key, each)
                places.setdefault(key, []).append(place["name"])
    for key, each in identities.items():
        reason = f"{each['ownership']}, on {', '.join(places[key])}, because {each['ownership_because']}"
        if each["ownership"] == "unknown":
            named = json.dumps({"pod_identity_uninstall_remove_unknown_identities": [each["id"]]})
            reason += f"; to detach it, run this again with -e '{named}'"
        yield Row("scale sets", f"identity {arm_id.last_segment(each['id'])}", "kept", reason=reason)


def _coded(where: str, what: str, state: str, code: str, reason: str) -> Row:
    """Of what the residue of the cluster does not tell; ``code`` as the page of codes explains it."""
    return Row(where, what, state, code, reason, catalogue.references(code))


def _of_residue(each: Raw, state: str) -> Row:
    reason = option_names.of_role(f"{each['message']} {each['remedy']}", _OF_RESIDUE)
    return Row("cluster", each["object"], state, each["code"], reason, tuple(each.get("references") or ()))


PARTS: t.Mapping[str, Part[t.Any, t.Any]] = {
    "options": Part(Options, Named, check),
    "beforehand": Part(Options, Unseen, beforehand),
    "earlier": Part(Options, Told, earlier, _look_at_earlier),
    "cluster": Part(Options, InCluster, installation, look_into_cluster),
    "azure": Part(Options, InAzure, in_azure, look_in_azure),
    "definitions": Part(Options, Definitions, missing, look_for_definitions),
    "refusal": Part(Options, InTheWay, refusal, look_who_uses),
    "detach": Part(Options, Inventory, detachment, look_who_gets_what),
    "bundle": Part(Options, Goes, bundle),
    "entries_gone": Part(Options, AfterEntries, entries_gone, look_at_addon),
    "detached": Part(Options, Attached, detached, look_at_scale_sets),
    "guarded": Part(Options, Guarded, guarded, look_what_is_guarded),
    "chart_gone": Part(Options, AfterChart, chart_gone, look_what_is_left),
    "addon_gone": Part(Options, AfterAddon, left_by_aks, look_what_is_left),
    "ready_nodes": Part(Options, Nodes, ready_nodes, look_at_nodes),
    "dead_nodes": Part(Options, Answers, dead_nodes),
    "proof": Part(Options, Answers, proof),
    "account": Part(Options, Audit, account, look_what_is_there_now),
    "commands": COMMANDS,
}
