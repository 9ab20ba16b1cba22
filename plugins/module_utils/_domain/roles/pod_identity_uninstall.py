# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The plan of the role pod_identity_uninstall: what it asks for, what of the installation goes, and what stops it."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass

from .. import arm_id, nmi
from .part import (
    ROLE_PHASES,
    AzureNeed,
    AzurePermission,
    KubernetesNeed,
    KubernetesPermission,
    Nothing,
    Part,
    Raw,
    Refused,
    Run,
    refuse,
)

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
_USER_ASSIGNED = re.compile(
    "/subscriptions/[^/]+/resourcegroups/[^/]+/providers/microsoft[.]managedidentity/userassignedidentities/[^/]+",
    re.IGNORECASE,
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
    confirm: str = ""
    delete_identities: tuple[str, ...] = ()
    protected_identities: tuple[str, ...] = ()
    recreate_definitions: bool = False
    recreate_identity: bool = False
    remove_role_assignments: bool = False
    probe_nodes: bool = True
    probe_namespace: str = "default"
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


# options


@dataclass(frozen=True)
class Named:
    """How the role pod_identity_cluster names the cluster."""

    name: str
    resource_group: str

    @classmethod
    def parse(cls, observed: Raw) -> Named:
        return cls(*(str(observed[name] or "") for name in ("cluster_name", "resource_group")))


@dataclass(frozen=True)
class Checked:
    """``whole``: no phase is left out. ``delete_identities``: ids of the identities that are deleted in Azure.
    ``bundle_in``: ``file`` or ``secret``, where the restore bundle is written, and ``bundle_namespace`` of the Secret.
    ``needs``: what the cluster is asked for before anything is known."""

    phases: tuple[str, ...]
    whole: bool
    delete_identities: tuple[str, ...]
    bundle_in: str
    bundle_namespace: str
    needs: tuple[KubernetesNeed, ...]


def check(options: Options, named: Named, run: Run) -> Checked:
    """Refuses options that name no cluster, that cannot be meant, or that have to be confirmed."""
    refuse(_contradictions(options, named, run))
    phases = run.phases(PHASES)
    return Checked(
        phases=phases,
        whole=phases == PHASES,
        delete_identities=options.delete_identities,
        bundle_in="secret" if options.names_secret else "file",
        bundle_namespace=options.secret_namespace,
        needs=tuple(_kubernetes_needs(options, phases)),
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
    if options.names_secret and not options.secret_namespace:
        yield f"pod_identity_artifact_target is {options.artifact_target}; a Secret is named as secret:NAMESPACE/NAME."
    odd = [each for each in options.delete_identities if not _USER_ASSIGNED.fullmatch(each)]
    if odd:
        yield (
            f"{', '.join(odd)} in pod_identity_uninstall_delete_identities is not the resource id of a user-assigned "
            "identity."
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


# lasting


@dataclass(frozen=True)
class Target:
    """Where a file with the restore bundle goes in a container; ``devices``: the numbers of the file systems of that
    directory and of the root."""

    directory: str
    devices: frozenset[str]

    @classmethod
    def parse(cls, observed: Raw) -> Target:
        return cls(observed["directory"], frozenset(observed["devices"]))


def lasting(options: TargetOptions, target: Target, _run: Run) -> Nothing:
    """Refuses a directory that goes with the container: one on the file system of its root, and one in the working
    directory of ansible-runner."""
    of_runner = f"{target.directory}/".startswith("/runner/")
    if not options.names_secret and (of_runner or len(target.devices) == 1):
        raise Refused(
            f"The restore bundle would be written to {target.directory}, which goes with the container that this runs "
            "in; set pod_identity_artifact_target to a directory that is mounted there."
        )
    return Nothing()


# earlier


@dataclass(frozen=True)
class Told:
    """Ids of identities that the add-on handed out by restore bundles of earlier runs: those in ``files``, and those in
    Secrets that Azure has ``confirmed``."""

    files: tuple[str, ...]
    confirmed: tuple[str, ...]

    @classmethod
    def parse(cls, observed: Raw) -> Told:
        confirmed = tuple(each["item"] for each in observed["confirmed"] if each.get("actions"))
        return cls(tuple(observed["files"]), confirmed)


@dataclass(frozen=True)
class Earlier:
    """``identities``: ids of those that the add-on handed out before this run."""

    identities: tuple[str, ...]


def earlier(_options: Options, told: Told, _run: Run) -> Earlier:
    return Earlier((*told.files, *told.confirmed))


# cluster


@dataclass(frozen=True)
class Object:
    """An object of AAD Pod Identity; ``by_aks``: AKS made it for its add-on."""

    kind: str
    namespace: str
    name: str
    removable: bool
    by_aks: bool

    @classmethod
    def parse(cls, found: Raw) -> Object:
        flags = (bool(found[name]) for name in ("removable", "by_aks"))
        return cls(found["kind"], found["namespace"], found["name"], *flags)

    @property
    def without_binding(self) -> dict[str, str]:
        """The entry of azure_identity_binding that removes this AzureIdentityBinding, and nothing else."""
        names = {"name": self.name, "namespace": self.namespace, "binding_name": self.name}
        return {**names, "only": "binding", "state": "absent"}


@dataclass(frozen=True)
class InCluster:
    """What of AAD Pod Identity is there.

    ``releases`` of helm and ``programs``: names. ``brought_back``: what somebody would put there again, and who.
    ``secrets``: ``namespace/name`` of those with credentials. ``identities``: ids of those that objects name, and
    ``earlier`` of those that the add-on handed out before. ``addon`` is on with ``entries``.
    """

    objects: tuple[Object, ...]
    releases: tuple[str, ...]
    programs: tuple[str, ...]
    brought_back: tuple[str, ...]
    secrets: tuple[str, ...]
    identities: tuple[str, ...]
    earlier: tuple[str, ...]
    addon: bool
    entries: tuple[Raw, ...]
    mic_works: bool

    @classmethod
    def parse(cls, observed: Raw) -> InCluster:
        names = ("releases", "programs", "brought_back", "secrets", "identities", "earlier")
        lists: dict[str, t.Any] = {name: tuple(observed[name]) for name in names}
        return cls(
            objects=tuple(map(Object.parse, observed["objects"])),
            **lists,
            addon=bool(observed["addon"]["enabled"]),
            entries=tuple(observed["addon"].get("identities") or ()),
            mic_works=any(each["mic_leader"] for each in observed["installations"]),
        )

    def of(self, kind: str) -> list[Object]:
        return [each for each in self.objects if each.kind == kind]


@dataclass(frozen=True)
class Installation:
    """What is there, and what of it goes.

    ``found``: something is there, ``installed``: a release or a program, ``definitions``: a CRD. ``mic_works``: a MIC
    does; ``waits_for_mic``: and has something to take from pods; ``twins``: names that AzureAssignedIdentities have in
    several namespaces. ``foreign``: objects of others; ``brought_back``: what somebody would put there again, and who.
    ``entries`` of the add-on, as aks_pod_identity takes them; ``bindings`` that go, as azure_identity_binding takes
    them. ``handed_out``: ids of the identities that the add-on hands out, or did; ``identities``: of all that pods had.
    ``going_secrets``: ``namespace/name``. ``gone_before_assigned`` and ``gone_before_objects``: what is gone before the
    AzureAssignedIdentities are removed, and before the other objects are, as pod_identity_removal takes them.
    """

    found: bool
    installed: bool
    definitions: bool
    mic_works: bool
    waits_for_mic: bool
    twins: tuple[str, ...]
    foreign: tuple[Object, ...]
    brought_back: tuple[str, ...]
    entries: tuple[Raw, ...]
    bindings: tuple[Raw, ...]
    handed_out: tuple[str, ...]
    identities: tuple[str, ...]
    going_secrets: tuple[str, ...]
    gone_before_assigned: tuple[str, ...]
    gone_before_objects: tuple[str, ...]


def installation(options: Options, found: InCluster, _run: Run) -> Installation:
    assigned = [each.name for each in found.of("AzureAssignedIdentity")]
    handed_out = {*found.earlier, *(each["identity"].lower() for each in found.entries)}
    by_aks = f"({nmi.ADDON_KEEPER})"
    return Installation(
        found=bool(found.objects or found.releases or found.programs),
        installed=bool(found.releases or found.programs),
        definitions=bool(found.of("CustomResourceDefinition")),
        mic_works=found.mic_works,
        waits_for_mic=found.mic_works and bool(assigned),
        twins=tuple(sorted({name for name in assigned if assigned.count(name) > 1})),
        foreign=tuple(each for each in found.objects if not each.removable),
        # AKS does not when its add-on is switched off.
        brought_back=tuple(each for each in found.brought_back if not (found.addon and each.endswith(by_aks))),
        entries=tuple({name: each[name] for name in ("name", "namespace", "identity")} for each in found.entries),
        # Those of AKS are its own while the add-on is on.
        bindings=tuple(
            each.without_binding for each in found.of("AzureIdentityBinding") if not (each.by_aks and found.addon)
        ),
        handed_out=tuple(sorted(handed_out)),
        identities=tuple(sorted(handed_out | set(found.identities))),
        going_secrets=found.secrets if options.vault_id else (),
        gone_before_assigned=("programs", "bindings", *(("assigned",) if found.mic_works else ())),
        gone_before_objects=("programs", "bindings", "assigned", *(("addon",) if found.addon else ())),
    )


# reads


@dataclass(frozen=True)
class Look:
    """What is known once the cluster was looked at; nothing of it else.

    ``providers``: provider ids of the nodes. ``identities``: ids of those that the installation hands out, or did, and
    that pods had; ``handed_out``: of those the ones of the add-on.
    """

    cluster: Cluster
    looked: bool
    providers: tuple[str, ...] = ()
    identities: tuple[str, ...] = ()
    handed_out: tuple[str, ...] = ()

    @classmethod
    def parse(cls, observed: Raw) -> Look:
        looked = bool(observed["looked"])
        lists = {name: tuple(observed[name]) if looked else () for name in ("providers", "identities", "handed_out")}
        return cls(Cluster.parse(observed["cluster"]), looked, **lists)


@dataclass(frozen=True)
class RoleScope:
    """A scope where roles were given to a principal for AAD Pod Identity."""

    scope: str
    roles: tuple[str, ...]
    principal_id: str


@dataclass(frozen=True)
class Reads:
    """What Azure is asked for to look, and where roles are looked for."""

    azure: tuple[AzureNeed, ...]
    role_scopes: tuple[RoleScope, ...]


def reads(options: Options, found: Look, _run: Run) -> Reads:
    scopes = _role_scopes(options, found)
    return Reads(tuple(_read_needs(options, found, scopes)), scopes)


def _role_scopes(options: Options, found: Look) -> tuple[RoleScope, ...]:
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


def _read_needs(options: Options, found: Look, scopes: t.Iterable[RoleScope]) -> t.Iterator[AzureNeed]:
    may = {name: permission.actions for name, permission in AZURE_PERMISSIONS.items()}
    if options.remove_role_assignments and found.looked:
        for each in scopes:
            if each.scope != found.cluster.node_scope:
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


@dataclass(frozen=True)
class InAzure:
    """Results of looking for roles: what each scope was asked for, and the assignments that would go."""

    granted: tuple[tuple[Raw, Raw], ...]

    @classmethod
    def parse(cls, observed: Raw) -> InAzure:
        return cls(tuple((each["item"], gone) for each in observed["granted"] for gone in each.get("to_remove") or ()))


@dataclass(frozen=True)
class Assignments:
    """``assignments`` of roles for AAD Pod Identity: role, scope and principal_id."""

    assignments: tuple[Raw, ...]


def assignments(_options: Options, found: InAzure, _run: Run) -> Assignments:
    rows: list[dict[str, str]] = []
    for asked, gone in found.granted:
        row = {"role": gone["role_name"], "scope": asked["scope"], "principal_id": asked["principal_id"]}
        if row not in rows:
            rows.append(row)
    return Assignments(tuple(rows))


# writes


@dataclass(frozen=True)
class Going:
    """What goes, where that could be looked at: scale sets and machines that lose an identity, and scopes that lose a
    role. ``failed``: ids of the identities of entries of the add-on that AKS has not assigned."""

    cluster: Cluster
    looked: bool
    losing: tuple[tuple[str, str], ...]
    role_scopes: tuple[str, ...]
    failed: tuple[str, ...]

    @classmethod
    def parse(cls, observed: Raw) -> Going:
        looked = bool(observed["looked"])
        return cls(
            cluster=Cluster.parse(observed["cluster"]),
            looked=looked,
            losing=tuple((each["id"], each["type"]) for each in _losing(observed["attached"])) if looked else (),
            role_scopes=tuple(each["scope"] for each in observed["assignments"]) if looked else (),
            failed=tuple(each["identity"] for each in observed["entries"] if each["provisioning_state"] != "Assigned"),
        )


@dataclass(frozen=True)
class Writes:
    """What Azure is asked for to change."""

    azure: tuple[AzureNeed, ...]


def writes(options: Options, going: Going, run: Run) -> Writes:
    """Exactly what will be changed, or, where it could not be looked, at least what is likely."""
    return Writes(tuple(_write_needs(options, going, run.phases(PHASES))))


def _write_needs(options: Options, going: Going, phases: t.Sequence[str]) -> t.Iterator[AzureNeed]:
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


# secrets


@dataclass(frozen=True)
class Secrets:
    """``namespace/name`` of the Secrets that go."""

    going: tuple[str, ...]

    @classmethod
    def parse(cls, observed: Raw) -> Secrets:
        return cls(tuple(observed["going"]))


@dataclass(frozen=True)
class SecretNeeds:
    """What the cluster is asked for, once it is known which Secrets go."""

    needs: tuple[KubernetesNeed, ...]


def secrets(_options: Options, found: Secrets, run: Run) -> SecretNeeds:
    places = dict.fromkeys(each.partition("/")[0] for each in found.going) if OBJECTS in run.phases(PHASES) else {}
    return SecretNeeds(tuple(KubernetesNeed.of(KUBERNETES_PERMISSIONS["remove_secrets"], place) for place in places))


# definitions


@dataclass(frozen=True)
class Definitions:
    """Names of the CRDs that are there."""

    names: frozenset[str]

    @classmethod
    def parse(cls, observed: Raw) -> Definitions:
        return cls(frozenset(observed["names"]))


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


@dataclass(frozen=True)
class InTheWay:
    """How many objects belong to others, and what somebody would put there again."""

    foreign: int
    brought_back: tuple[str, ...]

    @classmethod
    def parse(cls, observed: Raw) -> InTheWay:
        return cls(len(observed["foreign"]), tuple(observed["brought_back"]))


def refusal(options: Options, found: InTheWay, _run: Run) -> Nothing:
    """Refuses to remove what belongs to others, and what would come back."""
    refuse(_in_the_way(options, found))
    return Nothing()


def _in_the_way(options: Options, found: InTheWay) -> t.Iterator[str]:
    if found.foreign:
        yield (
            f"{found.foreign} objects of AAD Pod Identity do not carry the labels of this collection with the owner "
            f"{options.owner}, and without MIC and NMI they would serve nobody; nothing was changed. Name their owner "
            "with pod_identity_uninstall_owner, or remove them too with pod_identity_uninstall_scope=all."
        )
    if found.brought_back:
        yield (
            f"{', '.join(found.brought_back)} would be put there again; nothing was changed. Remove it where it comes "
            "from, and run this again."
        )


# users


@dataclass(frozen=True)
class Used:
    """``in_use``: AzureIdentities with their users, ``users`` of entries of the add-on; ``msg``: why it was refused."""

    in_use: tuple[Raw, ...]
    users: tuple[str, ...]
    msg: str

    @classmethod
    def parse(cls, observed: Raw) -> Used:
        return cls(tuple(observed["in_use"]), tuple(observed["users"]), observed["msg"])


@dataclass(frozen=True)
class Users:
    """``rows`` of a table, and the ``sentence`` that ends the run."""

    rows: tuple[Raw, ...]
    sentence: str


def users(_options: Options, found: Used, _run: Run) -> Users:
    rows = tuple({"used_by": user, "identity": each["identity"]} for each in found.in_use for user in each["users"])
    remedy = (
        "Nothing was changed, because workloads still use pod identity; move them first, or go on with "
        "pod_identity_uninstall_allow_in_use=true. "
    )
    return Users(rows, (remedy if found.in_use or found.users else "") + found.msg)


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
        bindings = [each for each in observed["objects"] if each["kind"] == "AzureIdentityBinding"]
        nodes = {
            each["metadata"]["name"]: str((each.get("spec") or {}).get("providerID") or "")
            for each in observed["nodes"]
        }
        return cls(
            cluster=Cluster.parse(observed["cluster"]),
            bindings=tuple((f"{each['namespace']}/{each['name']}", bool(each["by_aks"])) for each in bindings),
            workloads=tuple(observed["workloads"]),
            identities=tuple(observed["identities"]),
            assigned=tuple(map(Assigned.parse, observed["assigned"])),
            immutable=frozenset(str(each).lower() for each in observed["immutable"] if each),
            providers=nodes,
            handed_out=tuple(observed["handed_out"]),
            mic_works=bool(observed["mic_works"]),
        )


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


# deletions


@dataclass(frozen=True)
class Deletions:
    """Identities that are protected, and those on scale sets with what is known of them."""

    protected: tuple[str, ...]
    attached: tuple[Raw, ...]

    @classmethod
    def parse(cls, observed: Raw) -> Deletions:
        return cls(tuple(observed["protected"]), tuple(observed["attached"]))


@dataclass(frozen=True)
class Deleted:
    """An identity that is deleted in Azure; ``detached_from``: ids of scale sets from which this run detaches it."""

    id: str
    subscription_id: str
    resource_group: str
    name: str
    detached_from: tuple[str, ...]


@dataclass(frozen=True)
class DeletedIdentities:
    identities: tuple[Deleted, ...]


def deletions(options: Options, found: Deletions, run: Run) -> DeletedIdentities:
    """Refuses to delete identities that must stay."""
    named = {arm_id.normal(each) for each in options.delete_identities}
    texts = [f"{arm_id.last_segment(each)} is protected" for each in found.protected if arm_id.normal(each) in named]
    texts += [
        f"{arm_id.last_segment(each['id'])} is protected, because {each['ownership_because']}"
        for place in found.attached
        for each in place["identities"]
        if arm_id.normal(each["id"]) in named and each["ownership"] == "protected"
    ]
    if texts:
        raise Refused(
            f"{'; '.join(dict.fromkeys(texts))}; nothing was changed. Take it out of "
            "pod_identity_uninstall_delete_identities."
        )
    # Only that phase detaches.
    attached = found.attached if SCALE_SETS in run.phases(PHASES) else ()
    return DeletedIdentities(tuple(_deleted(each, attached) for each in options.delete_identities))


def _deleted(identity: str, attached: t.Iterable[Raw]) -> Deleted:
    places = tuple(
        str(place["id"])
        for place in attached
        for each in place["identities"]
        if each["removable"] and arm_id.same(each["id"], identity)
    )
    segments = identity.split("/")
    return Deleted(identity, segments[2], segments[4], segments[8], places)


# bundle


@dataclass(frozen=True)
class Goes:
    """What goes, and where it may be written down.

    ``found``: something of the installation is there. ``addon``: its state. ``attached``: scale sets with their
    identities. ``deleted``: results of looking at identities that are deleted in Azure. ``assignments`` of roles.
    """

    found: bool
    addon: Raw
    attached: tuple[Raw, ...]
    deleted: tuple[Raw, ...]
    assignments: tuple[Raw, ...]
    cluster_name: str
    directory: str
    written: str

    @classmethod
    def parse(cls, observed: Raw) -> Goes:
        return cls(
            found=bool(observed["found"]),
            addon=observed["addon"],
            attached=tuple(observed["attached"]),
            deleted=_existing(observed["deleted"]),
            assignments=tuple(observed["assignments"]),
            **{name: str(observed[name]) for name in ("cluster_name", "directory", "written")},
        )


@dataclass(frozen=True)
class Bundle:
    """``needed``: this run changes something. ``place``: the file or Secret, empty where there is none; ``secret_name``
    of the latter. ``addon``: its state, empty where it is off. ``deleted_identities``: each with the role assignments
    that it leaves."""

    needed: bool
    place: str
    secret_name: str
    written: str
    addon: Raw
    deleted_identities: tuple[Raw, ...]


def bundle(options: Options, goes: Goes, run: Run) -> Bundle:
    """A name of its own each time: a run that follows a killed one finds less than that one did."""
    roles_go = options.remove_role_assignments and bool(goes.assignments)
    something = goes.found or goes.addon["enabled"] or bool(_losing(goes.attached)) or bool(goes.deleted) or roles_go
    needed = something and not run.check_mode
    place = f"{goes.directory}/{goes.cluster_name}-{goes.written.lower()}.json"
    if options.names_secret:
        place = f"{options.artifact_target}-{goes.written.lower()}"
    return Bundle(
        needed=needed,
        place=place if needed else "",
        secret_name=place.rpartition("/")[2] if needed and options.names_secret else "",
        written=goes.written,
        addon=goes.addon if goes.addon["enabled"] else {},
        deleted_identities=goes.deleted,
    )


def _existing(results: t.Iterable[Raw]) -> tuple[Raw, ...]:
    """Of the identities that are deleted in Azure those that are there, each with its role assignments."""
    told = [each for each in results if "role_assignments" in each]
    return tuple({"id": each["item"]["id"], "role_assignments": each["role_assignments"]} for each in told)


# detached, guarded


@dataclass(frozen=True)
class Attached:
    """Scale sets with their identities; ``bundle``: where the restore bundle is."""

    places: tuple[Raw, ...]
    bundle: str

    @classmethod
    def parse(cls, observed: Raw) -> Attached:
        return cls(tuple(observed["attached"]), observed["bundle"])


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
        return cls(tuple(observed["attached"]), tuple(each["name"] for each in observed["entries"]))


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


# addon_gone


@dataclass(frozen=True)
class AfterAddon:
    """What is there after the add-on was switched off: programs that AKS manages, and all objects."""

    programs: tuple[str, ...]
    objects: tuple[Object, ...]

    @classmethod
    def parse(cls, observed: Raw) -> AfterAddon:
        return cls(tuple(observed["programs"]), tuple(map(Object.parse, observed["objects"])))


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
        return cls(tuple(observed["nodes"]))


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


@dataclass(frozen=True)
class Audit:
    """What is there after the phases.

    ``residue``: of AAD Pod Identity in the cluster. ``addon``: the add-on is on. ``attached``: scale sets with their
    identities. ``found``: something of the installation was there, ``definitions``: its CRDs were. ``identities``: ids
    of those that pods had. ``deleted``: those that were deleted in Azure, with the role assignments that they leave.
    ``secrets`` of service principals, and which of them ``going``. ``assignments`` of roles for AAD Pod Identity, and
    ``unlisted`` those that could not be looked at. ``nodes_proved``: pods on every node reach the metadata service.
    """

    cluster: Cluster
    residue: tuple[Raw, ...] = ()
    addon: bool = False
    attached: tuple[Raw, ...] = ()
    found: bool = True
    definitions: bool = True
    identities: tuple[str, ...] = ()
    deleted: tuple[Raw, ...] = ()
    secrets: tuple[str, ...] = ()
    going: tuple[str, ...] = ()
    assignments: tuple[Raw, ...] = ()
    unlisted: tuple[Raw, ...] = ()
    nodes_proved: bool = True

    @classmethod
    def parse(cls, observed: Raw) -> Audit:
        lists: dict[str, t.Any] = {
            name: tuple(observed[name])
            for name in ("residue", "attached", "identities", "secrets", "going", "assignments")
        }
        flags: dict[str, t.Any] = {
            name: bool(observed[name]) for name in ("addon", "found", "definitions", "nodes_proved")
        }
        return cls(
            cluster=Cluster.parse(observed["cluster"]),
            **lists,
            **flags,
            deleted=_existing(observed["deleted"]),
            unlisted=tuple(each for each in observed["granted"] if "actions" not in each),
        )


@dataclass(frozen=True)
class Row:
    """``state``: ``gone``, ``left``, ``not_verified`` or ``kept``; the last is no fault."""

    where: str
    what: str
    state: str
    code: str = ""
    reason: str = ""


@dataclass(frozen=True)
class Account:
    """``left``: what of ``rows`` is left."""

    rows: tuple[Row, ...]
    left: tuple[str, ...]


_PLACES = {
    "cluster": "AAD Pod Identity",
    "nodes": "rules of NMI",
    "scale sets": "identities of pods",
    "roles": "roles of the nodes for MIC",
}
_KEPT_CODES = ("label_left", "not_believed")
# What vmss_identity_info says of identities that only its entries keep.
_OF_ADDON = "it is given to pods by the pod identity add-on"


def account(options: Options, audit: Audit, run: Run) -> Account:
    """A row for each thing that is left or kept, and one for each place where everything is gone."""
    left = () if run.check_mode else tuple(_left(audit))
    unproved = () if run.check_mode else tuple(_unproved(options, audit))
    faulty = {row.where for row in (*left, *unproved)}
    if not options.remove_role_assignments and audit.assignments:
        faulty.add("roles")
    gone = () if run.check_mode else [Row(where, _PLACES[where], "gone") for where in _PLACES if where not in faulty]
    rows = (*gone, *left, *unproved, *_kept(options, audit, run))
    return Account(rows, tuple(row.what for row in left))


def _left(audit: Audit) -> t.Iterator[Row]:
    for each in audit.residue:
        if each["code"] not in (*_KEPT_CODES, "not_read"):
            yield _of_residue(each, "left")
    if audit.addon:
        yield Row("cluster", "add-on of AKS", "left", "addon_left", "It is still on.")
    for place, each in _of_pods(audit.attached):
        what = f"identity {arm_id.last_segment(each['id'])}"
        yield Row("scale sets", what, "left", "identity_attached", f"Every pod on {place['name']} can take it.")


def _unproved(options: Options, audit: Audit) -> t.Iterator[Row]:
    for each in audit.residue:
        if each["code"] == "not_read":
            yield _of_residue(each, "not_verified")
    if audit.found and not audit.definitions and not options.recreate_definitions:
        # Where definitions are gone before the rest is, nobody knows what their objects were.
        yield Row(
            "cluster",
            "objects without definitions",
            "not_verified",
            "definitions_gone",
            "The definitions were gone already, and objects may lie in the storage without them; look with "
            "pod_identity_uninstall_recreate_definitions=true.",
        )
    if not audit.nodes_proved:
        reason = "No pod asked for the metadata service in this run."
        yield Row("nodes", "rules of NMI", "not_verified", "not_asked", reason)


def _kept(options: Options, audit: Audit, run: Run) -> t.Iterator[Row]:
    yield from _staying(audit, run)
    named = {each.lower() for each in options.delete_identities}
    for identity in audit.identities:
        if identity not in named:
            what = f"identity {arm_id.last_segment(identity)}"
            yield Row("Azure", what, "kept", reason=f"Others may use it: {identity}")
    for deleted in audit.deleted:
        of = f"of the deleted identity {arm_id.last_segment(deleted['id'])}"
        for each in deleted["role_assignments"]:
            yield Row("roles", each["role"], "kept", reason=f"{of} at {each['scope']}; it gives nothing any more")
    for secret in audit.secrets:
        if secret not in audit.going:
            reason = "It holds the credential of a service principal; it goes, encrypted, with "
            yield Row("cluster", f"Secret {secret}", "kept", reason=f"{reason}pod_identity_uninstall_vault_id.")
    nodes = options.principal_id or audit.cluster.kubelet_principal
    for each in audit.assignments if not options.remove_role_assignments else ():
        whose = "nodes" if each["principal_id"] == nodes else "control plane"
        reason = f"of the {whose} at {each['scope']}; it goes with pod_identity_uninstall_remove_role_assignments=true"
        yield Row("roles", each["role"], "kept", reason=reason)
    for each in audit.residue:
        if each["code"] in _KEPT_CODES:
            yield _of_residue(each, "kept")
    for each in audit.unlisted:
        yield Row("roles", " or ".join(each["item"]["roles"]), "kept", reason=each["msg"])


def _staying(audit: Audit, run: Run) -> t.Iterator[Row]:
    """One row for each identity that stays on scale sets, wherever it is."""
    places: dict[tuple[str, str], list[str]] = {}
    identities: dict[tuple[str, str], Raw] = {}
    for place in audit.attached:
        for each in place["identities"]:
            goes_with_addon = run.check_mode and str(each.get("protected_because") or "").startswith(_OF_ADDON)
            if not each["removable"] and not goes_with_addon:
                key = (each["id"].lower(), each["ownership_because"])
                identities.setdefault(key, each)
                places.setdefault(key, []).append(place["name"])
    for key, each in identities.items():
        reason = f"{each['ownership']}, on {', '.join(places[key])}, because {each['ownership_because']}"
        if each["ownership"] == "unknown":
            reason += "; it goes with pod_identity_uninstall_remove_unknown_identities"
        yield Row("scale sets", f"identity {arm_id.last_segment(each['id'])}", "kept", reason=reason)


def _of_residue(each: Raw, state: str) -> Row:
    return Row("cluster", each["object"], state, each["code"], f"{each['message']} {each['remedy']}")


PARTS: t.Mapping[str, Part[t.Any, t.Any]] = {
    "options": Part(Options, Named, check),
    "lasting": Part(TargetOptions, Target, lasting),
    "earlier": Part(Options, Told, earlier),
    "cluster": Part(Options, InCluster, installation),
    "reads": Part(Options, Look, reads),
    "azure": Part(Options, InAzure, assignments),
    "writes": Part(Options, Going, writes),
    "secrets": Part(Options, Secrets, secrets),
    "definitions": Part(Options, Definitions, missing),
    "refusal": Part(Options, InTheWay, refusal),
    "users": Part(Options, Used, users),
    "detach": Part(Options, Inventory, detachment),
    "deletions": Part(Options, Deletions, deletions),
    "bundle": Part(Options, Goes, bundle),
    "detached": Part(Options, Attached, detached),
    "guarded": Part(Options, Guarded, guarded),
    "addon_gone": Part(Options, AfterAddon, left_by_aks),
    "ready_nodes": Part(Options, Nodes, ready_nodes),
    "dead_nodes": Part(Options, Answers, dead_nodes),
    "proof": Part(Options, Answers, proof),
    "account": Part(Options, Audit, account),
}
