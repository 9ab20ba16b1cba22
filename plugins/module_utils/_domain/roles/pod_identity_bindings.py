# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The plan of the role pod_identity_bindings: its lists, what a run needs, what is written and who gets what."""

from __future__ import annotations

import json
import typing as t
from dataclasses import dataclass, field

from ..azure import arm_id, azure_roles, clusters, groups, needs
from ..errors import refuses
from ..needs import AzureNeed, AzurePermission, KubernetesNeed, KubernetesPermission
from ..option_formats import IDENTITY_NAME
from ..sessions import KNOWN_AFTER_APPLY
from ..table import links, render
from .part import ROLE_PHASES, Look, Nothing, Part, Raw, Refused, Run, plain, refuse

PHASES = ROLE_PHASES["pod_identity_bindings"]
IDENTITIES, ROLES, OBJECTS, WAIT, RESTART, SHOW = PHASES
# Those that go by what is in the cluster, and do not begin with the identities.
LATE_PHASES = (RESTART, SHOW)
OPERATOR = "Managed Identity Operator"
# The field manager of what this collection writes.
MANAGER = "azureops.pod_identity"
# Columns of the tables in the end, which fit a terminal of 80 columns.
COLUMNS = ("workload", "kind", "identities", "default_identity", "findings")
COLUMNS_OF_FINDINGS = ("code", "severity", "object", "message", "remedy")
WIDTH = 69

_ASSIGNMENTS = "Microsoft.Authorization/roleAssignments"
_IDENTITIES = "Microsoft.ManagedIdentity/userAssignedIdentities"
_AKS = "Microsoft.ContainerService/managedClusters"
_AADPODIDENTITY, _CLUSTER = "aadpodidentity.k8s.io", "the whole cluster"
_TEMPLATES, _JOBS = ("deployments", "statefulsets", "daemonsets", "replicasets"), ("jobs", "cronjobs")
_IF_ENTRY_GOES, _OF_GONE = f"{_CLUSTER}, if an entry goes", "the namespace of exceptions that go"
_OF_WORKLOADS = "the namespace of each workload of `pod_identity_bindings_restart`"
_WITH_ADDON, _OR_LEFT_OUT = "with `pod_identity_bindings_mode` `addon`", f"{_CLUSTER}, or the table is left out"


@dataclass(frozen=True)
class Permission(KubernetesPermission):
    """``resources``: one or more, of which ``resource`` tells in the README."""

    resources: tuple[str, ...] = ()

    def needs(self, namespace: str = "", *, certain: bool = True) -> t.Iterator[KubernetesNeed]:
        """One for each of the resources."""
        for resource in self.resources:
            yield KubernetesNeed(self.verbs, resource, self.api_group, self.subresource, namespace, certain)


def _kubernetes(phase: str, where: str, resource: str | tuple[str, ...], *verbs: str, group: str = "") -> Permission:
    resources = (resource,) if isinstance(resource, str) else resource
    text = " and ".join(filter(None, (", ".join(resources[:-1]), resources[-1])))
    return Permission(phase, where, text, verbs, group, "", resources)


def _objects(phase: str, where: str, resource: str | tuple[str, ...], *verbs: str) -> Permission:
    return _kubernetes(phase, where, resource, *verbs, group=_AADPODIDENTITY)


AZURE_PERMISSIONS: t.Mapping[str, AzurePermission] = {
    "read_identities": AzurePermission("always", "each identity", (f"{_IDENTITIES}/read",)),
    "read_group": AzurePermission(
        IDENTITIES, "the resource group of an identity", ("Microsoft.Resources/subscriptions/resourceGroups/read",)
    ),
    "write_identities": AzurePermission(
        IDENTITIES, "each identity that is missing or gets other tags", (f"{_IDENTITIES}/write",)
    ),
    "list_identities": AzurePermission(
        OBJECTS, f"the resource group of an identity, {_WITH_ADDON}", (f"{_IDENTITIES}/read",)
    ),
    "list_roles": AzurePermission(
        OBJECTS, f"the resource group of an identity, {_WITH_ADDON}", (f"{_ASSIGNMENTS}/read",)
    ),
    "write_addon": AzurePermission(OBJECTS, f"the cluster, {_WITH_ADDON}, if an entry changes", (f"{_AKS}/write",)),
    "read_roles": AzurePermission(ROLES, "each identity, and each scope of its `roles`", (f"{_ASSIGNMENTS}/read",)),
    "look_up_roles": AzurePermission(
        ROLES,
        "the scope of a role of your own that is named, not given by GUID",
        ("Microsoft.Authorization/roleDefinitions/read",),
    ),
    "assign_roles": AzurePermission(ROLES, "each of these scopes where a role is missing", (f"{_ASSIGNMENTS}/write",)),
}
KUBERNETES_PERMISSIONS: t.Mapping[str, Permission] = {
    "read_namespaces": _kubernetes(
        OBJECTS, f"{_CLUSTER}, with `pod_identity_bindings_create_namespaces`", "namespaces", "list"
    ),
    "find_namespaces": _kubernetes(
        OBJECTS, "each namespace, without `pod_identity_bindings_create_namespaces`", "namespaces", "get"
    ),
    "create_namespaces": _kubernetes(OBJECTS, f"{_CLUSTER}, if a namespace is missing", "namespaces", "create", "get"),
    "read_identity_objects": _objects(OBJECTS, "each namespace", "azureidentities", "list"),
    "read_binding_objects": _objects(OBJECTS, "each namespace", "azureidentitybindings", "list"),
    "read_secrets": _kubernetes(OBJECTS, "the namespace of the Secret, for `type` 1 and 2", "secrets", "get"),
    "write_identity_objects": _objects(
        OBJECTS, "the namespace of objects that change", "azureidentities", "create", "patch"
    ),
    "write_binding_objects": _objects(
        OBJECTS, "the namespace of objects that change", "azureidentitybindings", "create", "patch"
    ),
    "delete_identity_objects": _objects(OBJECTS, "the namespace of objects that go", "azureidentities", "delete"),
    "delete_binding_objects": _objects(OBJECTS, "the namespace of objects that go", "azureidentitybindings", "delete"),
    "find_users": _kubernetes(OBJECTS, _IF_ENTRY_GOES, "pods", "list"),
    "find_templates": _kubernetes(OBJECTS, _IF_ENTRY_GOES, _TEMPLATES, "list", group="apps"),
    "find_jobs": _kubernetes(OBJECTS, _IF_ENTRY_GOES, _JOBS, "list", group="batch"),
    "read_exceptions": _objects(OBJECTS, "the namespace of each exception", "azurepodidentityexceptions", "list"),
    "write_exceptions": _objects(
        OBJECTS, "the namespace of exceptions that change", "azurepodidentityexceptions", "create", "patch"
    ),
    "delete_exceptions": _objects(OBJECTS, _OF_GONE, "azurepodidentityexceptions", "delete"),
    "find_excepted": _kubernetes(OBJECTS, _OF_GONE, "pods", "list"),
    "find_excepted_templates": _kubernetes(OBJECTS, _OF_GONE, _TEMPLATES, "list", group="apps"),
    "find_excepted_jobs": _kubernetes(OBJECTS, _OF_GONE, _JOBS, "list", group="batch"),
    "read_pods": _kubernetes(WAIT, _CLUSTER, "pods", "list"),
    "read_assigned": _objects(WAIT, _CLUSTER, "azureassignedidentities", "list"),
    "read_brought": _objects(WAIT, f"{_CLUSTER}, {_WITH_ADDON}", "azureidentitybindings", "list"),
    "read_brought_identities": _objects(WAIT, f"{_CLUSTER}, {_WITH_ADDON}", "azureidentities", "list"),
    "read_all_identities": _objects(RESTART, _CLUSTER, "azureidentities", "list"),
    "read_all_bindings": _objects(RESTART, _CLUSTER, "azureidentitybindings", "list"),
    "read_workload_pods": _kubernetes(RESTART, _OF_WORKLOADS, "pods", "list"),
    "read_workloads": _kubernetes(
        RESTART, _OF_WORKLOADS, "deployments, daemonsets or statefulsets", "get", group="apps"
    ),
    "restart_workloads": _kubernetes(
        RESTART,
        "the namespace of each workload that restarts",
        "deployments, daemonsets or statefulsets",
        "patch",
        group="apps",
    ),
    "show_objects": _objects(
        SHOW,
        _OR_LEFT_OUT,
        ("azureidentities", "azureidentitybindings", "azurepodidentityexceptions", "azureassignedidentities"),
        "list",
    ),
    "show_pods": _kubernetes(SHOW, _OR_LEFT_OUT, ("pods", "nodes"), "list"),
    "show_templates": _kubernetes(SHOW, _OR_LEFT_OUT, _TEMPLATES, "list", group="apps"),
    "show_jobs": _kubernetes(SHOW, _OR_LEFT_OUT, _JOBS, "list", group="batch"),
}
PERMISSIONS: t.Mapping[str, AzurePermission | KubernetesPermission] = {**AZURE_PERMISSIONS, **KUBERNETES_PERMISSIONS}


@dataclass(frozen=True)
class Entry:
    """An entry of the list; ``given`` has all of its keys that are set, for modules."""

    given: Raw
    name: str
    namespace: str
    selector: str
    type: int
    is_present: bool
    allow_in_use: bool

    @classmethod
    def parse(cls, entry: Raw) -> Entry:
        given = _set(entry)
        if "client_password_secret" in given:
            given["client_password_secret"] = _set(given["client_password_secret"])
        if "roles" in given:
            given["roles"] = [_set(role) for role in given["roles"]]
        return cls(
            given=given,
            name=given["name"],
            namespace=given.get("namespace") or "default",
            selector=given.get("selector") or "",
            type=given.get("type") or 0,
            is_present=given.get("state", "present") == "present",
            allow_in_use=bool(given.get("allow_in_use")),
        )

    def text(self, name: str) -> str:
        return str(self.given.get(name) or "")

    @property
    def is_managed_identity(self) -> bool:
        return self.type == 0

    @property
    def binding_name(self) -> str:
        return self.text("binding_name") or self.name

    @property
    def identity_name(self) -> str:
        return self.text("identity_name") or self.name

    @property
    def place(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True)
class Exempt:
    """An entry of the list of exceptions."""

    name: str
    namespace: str
    pod_labels: Raw
    is_present: bool
    allow_in_use: bool

    @classmethod
    def parse(cls, entry: Raw) -> Exempt:
        return cls(
            name=entry["name"],
            namespace=entry.get("namespace") or "",
            pod_labels=entry.get("pod_labels") or {},
            is_present=(entry.get("state") or "present") == "present",
            allow_in_use=bool(entry.get("allow_in_use")),
        )


@dataclass(frozen=True)
class Options:
    list: tuple[Entry, ...] = field(default=(), metadata={"parse": Entry.parse})
    exceptions: tuple[Exempt, ...] = field(default=(), metadata={"parse": Exempt.parse})
    mode: str = "chart"
    subscription_id: str = ""
    resource_group: str = ""
    manage_role_assignments: bool = True
    create_namespaces: bool = False
    wait: bool = True
    restart: tuple[Raw, ...] = ()
    render_dir: str = ""

    @property
    def is_addon(self) -> bool:
        return self.mode == "addon"

    @property
    def writes(self) -> str:
        """The file of tasks that writes what pods match."""
        return "files" if self.render_dir else self.mode

    @property
    def managed(self) -> tuple[Entry, ...]:
        return tuple(entry for entry in self.list if entry.is_present)

    @property
    def absent(self) -> tuple[Entry, ...]:
        return tuple(entry for entry in self.list if not entry.is_present)

    @property
    def namespaces(self) -> tuple[str, ...]:
        """Those that objects are written to and that need not be there."""
        places = [entry.namespace for entry in self.managed]
        places += [each.namespace for each in self.exceptions if each.is_present]
        return tuple(place for place in dict.fromkeys(places) if place != "default")

    @property
    def in_azure(self) -> tuple[Entry, ...]:
        """The entries whose identity lives in Azure and is wanted."""
        return tuple(entry for entry in self.managed if entry.is_managed_identity)

    def group_of(self, entry: Entry) -> str:
        return entry.text("resource_group") or self.resource_group

    def subscription_of(self, entry: Entry) -> str:
        """Empty for that of the credential."""
        return entry.text("subscription_id") or self.subscription_id

    def scope_of(self, entry: Entry) -> str:
        """The resource group of the identity."""
        return _scope(self.subscription_of(entry), self.group_of(entry))

    def identity_of(self, entry: Entry) -> str:
        """Id of the identity."""
        return f"{self.scope_of(entry)}/providers/{_IDENTITIES}/{entry.identity_name}"


def _set(given: Raw) -> dict[str, t.Any]:
    return {name: value for name, value in given.items() if value is not None}


def _scope(subscription: str, group: str) -> str:
    return arm_id.resource_group(subscription, group) if subscription else f"/resourceGroups/{group}"


# options


@dataclass(frozen=True)
class Cluster:
    """How the role pod_identity_cluster names the cluster."""

    name: str = ""
    resource_group: str = ""
    subscription_id: str = ""

    @classmethod
    def parse(cls, observed: Raw) -> Cluster:
        return cls(*(str(observed[f"cluster_{name}"] or "") for name in ("name", "resource_group", "subscription_id")))


@dataclass(frozen=True)
class Checked:
    """The lists of the role.

    ``managed`` are the entries that are wanted, ``in_azure`` those of them whose identity lives in Azure, ``absent``
    the others; ``awaited`` are the managed ones as azure_identity_binding waits for them. ``addon_exceptions`` and
    ``leaving`` are what the add-on gets and loses, the latter by whether pods may still want it. ``other_groups``:
    where identities are to be besides the group of the cluster.

    ``connects``: an API server is reached; ``finds``: who the nodes are is looked up all the same. ``begins``: the run
    begins with the identities; ``objects``: it then writes something into namespaces of the cluster. ``manages``:
    missing role assignments are made. ``writes``: whose tasks write it, those of the chart, of the add-on or of files.
    ``allow_in_use``: what the add-on gets may replace what pods still use.
    """

    connects: bool
    finds: bool
    begins: bool
    objects: bool
    manages: bool
    writes: str
    allow_in_use: bool
    phases: tuple[str, ...]
    managed: tuple[Raw, ...]
    in_azure: tuple[Raw, ...]
    absent: tuple[Raw, ...]
    awaited: tuple[Raw, ...]
    addon_exceptions: tuple[Raw, ...]
    leaving: tuple[Raw, ...]
    other_groups: tuple[Raw, ...]
    azure: tuple[AzureNeed, ...]
    kubernetes: tuple[KubernetesNeed, ...]


def check(options: Options, cluster: Cluster, run: Run) -> Checked:
    """Refuses lists that cannot work."""
    refuse(_contradictions(options, cluster))
    phases = run.phases(PHASES)
    begins = _begins(run)
    return Checked(
        connects=not options.render_dir,
        finds=bool(options.render_dir),
        begins=begins,
        objects=not options.render_dir and run.runs(OBJECTS),
        manages=options.manage_role_assignments,
        writes=options.writes,
        allow_in_use=any(entry.allow_in_use for entry in options.managed),
        phases=phases,
        managed=tuple(entry.given for entry in options.managed),
        in_azure=tuple(entry.given for entry in options.in_azure),
        absent=tuple(entry.given for entry in options.absent),
        awaited=tuple(
            {"name": entry.name, "namespace": entry.namespace, "binding_name": entry.binding_name}
            for entry in options.managed
        ),
        addon_exceptions=tuple(
            {"name": each.name, "namespace": each.namespace, "pod_labels": each.pod_labels}
            for each in options.exceptions
            if each.is_present
        ),
        leaving=tuple(_leaving(options)),
        other_groups=tuple(_other_groups(options, cluster)) if begins and _begins_with_identities(phases) else (),
        azure=tuple(_azure_needs(options, cluster, phases)),
        kubernetes=() if options.render_dir else tuple(_kubernetes_needs(options, phases, run)),
    )


def _contradictions(options: Options, cluster: Cluster) -> t.Iterator[str]:
    for entry in options.managed:
        yield from _wrong_with_entry(options, entry)
    for each in options.exceptions:
        yield from _wrong_with_exception(each)
    if options.exceptions and options.render_dir:
        yield (
            "pod_identity_bindings_exceptions are written into a cluster only; leave them out where "
            "pod_identity_bindings_render_dir is set."
        )
    impossible = list(_beyond_the_addon(options, cluster)) if options.is_addon else []
    if impossible:
        yield (
            f"The pod identity add-on of AKS cannot do this: {'; '.join(impossible)}. Correct it, or use the chart "
            "with pod_identity_mode=chart."
        )
    yield from _twice(options)
    exceptions: dict[tuple[str, str], tuple[int, Exempt]] = {}
    for number, each in enumerate(options.exceptions, 1):
        first, other = exceptions.setdefault((each.namespace, each.name), (number, each))
        if other != each:
            yield (
                f"pod_identity_bindings_exceptions, entries {first} and {number} ({each.name}) have one namespace and "
                "name; leave one of them out, or give it another name."
            )


def _twice(options: Options) -> t.Iterator[str]:
    """What two entries of the list say of one thing."""
    names: dict[str, tuple[int, Entry]] = {}
    bindings: dict[tuple[str, str], tuple[int, Entry]] = {}
    pairs: dict[str, tuple[int, Entry]] = {}
    for number, entry in enumerate(options.list, 1):
        first, other = pairs.setdefault(entry.place, (number, entry))
        both = "pod_identity_bindings_list, entries {} and {} ({})"
        if other.is_present != entry.is_present:
            yield f"{both.format(first, number, entry.name)}: one is present and one absent; leave one of them out."
            continue
        first, other = names.setdefault(entry.name, (number, entry)) if entry.is_present else (number, entry)
        if _identity(options, other) != _identity(options, entry):
            yield (
                f"{both.format(first, number, entry.name)} have one name but different identities; the facts of this "
                "role are kept by name, so give them different names."
            )
            continue
        first, other = bindings.setdefault((entry.namespace, entry.binding_name), (number, entry))
        if entry.is_present and other.is_present and (other.name, other.selector) != (entry.name, entry.selector):
            yield (
                f"{both.format(first, number, entry.name)} have one binding, {entry.namespace}/{entry.binding_name}, "
                "but different names or selectors; leave one of them out, or give it another binding_name."
            )


def _identity(options: Options, entry: Entry) -> tuple[str, ...]:
    if entry.is_managed_identity:
        parts = (options.subscription_of(entry), options.group_of(entry), entry.identity_name)
        return tuple(part.lower() for part in parts)
    return entry.text("tenant_id").lower(), entry.text("client_id")


def _wrong_with_entry(options: Options, entry: Entry) -> t.Iterator[str]:
    named = f"Entry {entry.name} of pod_identity_bindings_list"
    if entry.is_managed_identity and not options.group_of(entry):
        yield f"{named} has no resource group; set its resource_group, or pod_identity_resource_group."
    if not entry.selector:
        yield f"{named} names no pods; set its selector to the value of their label aadpodidbinding."
    if entry.is_managed_identity and not entry.text("identity_name") and not IDENTITY_NAME.holds(entry.name):
        yield (
            f"{named} would be the name of the identity in Azure, which takes {IDENTITY_NAME.write}; give the entry "
            "such an identity_name."
        )
    complete = all(entry.given.get(name) for name in ("client_id", "tenant_id", "client_password_secret"))
    if not entry.is_managed_identity and not complete:
        yield f"{named} is a service principal and needs client_id, tenant_id and client_password_secret."


def _wrong_with_exception(each: Exempt) -> t.Iterator[str]:
    named = f"Exception {each.name} of pod_identity_bindings_exceptions"
    if not each.namespace or (each.is_present and not each.pod_labels):
        yield f"{named} names no pods; set its namespace, and its pod_labels to their labels."


def _beyond_the_addon(options: Options, cluster: Cluster) -> t.Iterator[str]:
    if not cluster.name:
        yield "no cluster is named, set pod_identity_cluster_name and pod_identity_resource_group"
    if options.render_dir:
        yield "pod_identity_bindings_render_dir is set"
    for entry in options.managed:
        if not entry.is_managed_identity:
            yield f"entry {entry.name} is a service principal"
        if (entry.text("behavior") or "namespaced") != "namespaced":
            yield f"entry {entry.name} is for pods of all namespaces (behavior standard)"
        for name in ("binding_name", "labels"):
            if entry.given.get(name):
                yield f"entry {entry.name} has {name}"


def _leaving(options: Options) -> t.Iterator[dict[str, t.Any]]:
    for allowed in (False, True):
        entries = [
            {"name": entry.name, "namespace": entry.namespace}
            for entry in options.absent
            if entry.allow_in_use == allowed
        ]
        exceptions = [
            {"name": each.name, "namespace": each.namespace}
            for each in options.exceptions
            if not each.is_present and each.allow_in_use == allowed
        ]
        if entries or exceptions:
            yield {"entries": entries, "exceptions": exceptions, "allow_in_use": allowed}


def _begins(run: Run) -> bool:
    return any(run.runs(phase) for phase in PHASES if phase not in LATE_PHASES)


def _begins_with_identities(phases: t.Iterable[str]) -> bool:
    return any(phase not in LATE_PHASES for phase in phases)


def _other_groups(options: Options, cluster: Cluster) -> list[dict[str, str]]:
    """An empty subscription is that of the credential."""
    places: dict[tuple[str, str], dict[str, str]] = {}
    own, home = cluster.resource_group.lower(), cluster.subscription_id.lower()
    for entry in options.in_azure:
        group, subscription = options.group_of(entry).lower(), options.subscription_of(entry).lower()
        elsewhere = bool(subscription and home) and subscription != home
        if not cluster.name or group != own or elsewhere:
            places[subscription, group] = {"subscription": subscription, "group": group}
    return list(places.values())


def _azure_needs(options: Options, cluster: Cluster, phases: t.Sequence[str]) -> t.Iterator[AzureNeed]:
    may = {name: permission.actions for name, permission in AZURE_PERMISSIONS.items()}
    entries = options.is_addon and OBJECTS in phases
    if entries and (options.list or options.exceptions):
        scope = f"{_scope(cluster.subscription_id, cluster.resource_group)}/providers/{_AKS}/{cluster.name}"
        yield AzureNeed(scope, may["write_addon"], certain=False)
    for entry in options.in_azure:
        group, identity = options.scope_of(entry), options.identity_of(entry)
        yield AzureNeed(identity, may["read_identities"])
        if _begins_with_identities(phases):
            yield AzureNeed(group, may["read_group"])
            yield AzureNeed(identity, may["write_identities"], certain=False)
        if entries:
            yield AzureNeed(group, may["list_identities"])
            if options.manage_role_assignments:
                yield AzureNeed(group, may["list_roles"])
                yield AzureNeed(identity, may["assign_roles"], certain=False)
        if ROLES in phases:
            for scope, role in _roles(options, entry, group, identity):
                yield AzureNeed(scope, may["read_roles"])
                if azure_roles.named(role) is None:
                    yield AzureNeed(scope, may["look_up_roles"])
                if options.manage_role_assignments:
                    yield AzureNeed(scope, may["assign_roles"], certain=False)


def _roles(options: Options, entry: Entry, group: str, identity: str) -> t.Iterator[tuple[str, str]]:
    """Scope and role of each assignment. That of the add-on is made by the add-on's own module."""
    if not (options.is_addon and options.manage_role_assignments):
        yield identity, OPERATOR
    for extra in entry.given.get("roles") or ():
        yield extra.get("scope") or group, extra["role"]


def _kubernetes_needs(options: Options, phases: t.Sequence[str], run: Run) -> t.Iterator[KubernetesNeed]:
    may, of = KUBERNETES_PERMISSIONS, KubernetesNeed.of
    if OBJECTS in phases:
        yield from _namespace_needs(options)
        if not options.is_addon:
            for entry in options.list:
                yield from _entry_needs(entry)
            for each in options.exceptions:
                yield from _exception_needs(each)
    if WAIT in phases and options.wait and not run.check_mode and options.managed:
        names = ("read_brought", "read_brought_identities") if options.is_addon else ("read_pods", "read_assigned")
        yield from (of(may[name]) for name in names)
    if RESTART in phases and options.restart:
        yield from (of(may[name]) for name in ("read_all_identities", "read_all_bindings"))
        for workload in options.restart:
            namespace = workload["namespace"]
            plural = f"{workload.get('kind') or 'Deployment'}s".lower()
            yield _of_one(may["read_workloads"], plural, namespace)
            yield of(may["read_workload_pods"], namespace)
            yield _of_one(may["restart_workloads"], plural, namespace, certain=False)


def _of_one(permission: KubernetesPermission, resource: str, namespace: str, *, certain: bool = True) -> KubernetesNeed:
    """For one of the resources that the README tells together."""
    return KubernetesNeed(permission.verbs, resource, permission.api_group, "", namespace, certain)


def _namespace_needs(options: Options) -> t.Iterator[KubernetesNeed]:
    may, of = KUBERNETES_PERMISSIONS, KubernetesNeed.of
    if options.create_namespaces:
        yield of(may["read_namespaces"])
        yield of(may["create_namespaces"], certain=False)
        return
    for place in options.namespaces:
        yield of(may["find_namespaces"], place)


def _entry_needs(entry: Entry) -> t.Iterator[KubernetesNeed]:
    may, of = KUBERNETES_PERMISSIONS, KubernetesNeed.of
    for kind in ("identity", "binding"):
        yield of(may[f"read_{kind}_objects"], entry.namespace)
        verb = "write" if entry.is_present else "delete"
        yield of(may[f"{verb}_{kind}_objects"], entry.namespace, certain=False)
    if not entry.is_present and not entry.allow_in_use:
        for name in ("find_users", "find_templates", "find_jobs"):
            yield from may[name].needs(certain=False)
    secret = entry.given.get("client_password_secret")
    if secret and entry.is_present:
        yield of(may["read_secrets"], secret.get("namespace") or entry.namespace)


def _exception_needs(each: Exempt) -> t.Iterator[KubernetesNeed]:
    may, of = KUBERNETES_PERMISSIONS, KubernetesNeed.of
    yield of(may["read_exceptions"], each.namespace)
    yield of(may["write_exceptions" if each.is_present else "delete_exceptions"], each.namespace, certain=False)
    if not each.is_present and not each.allow_in_use:
        for name in ("find_excepted", "find_excepted_templates", "find_excepted_jobs"):
            yield from may[name].needs(each.namespace, certain=False)


# cluster


@dataclass(frozen=True)
class Home:
    """The cluster of the session.

    ``node_principal``: who attaches identities to the nodes, empty if it is not known. ``control_plane``: the ids of
    the identities of the control plane.
    """

    id: str = ""
    node_principal: str = ""
    kubelet_identity: str = ""
    control_plane_principal: str = ""
    control_plane: tuple[str, ...] = ()
    addon: bool = False
    addon_accepts_kubenet: bool = False
    name: str = ""

    @classmethod
    def parse(cls, observed: Raw) -> Home:
        found = observed["cluster"]
        kubelet, identity = found.get("kubelet_identity") or {}, found.get("identity") or {}
        profile = found.get("pod_identity_profile") or {}
        return cls(
            id=found.get("id") or "",
            node_principal=observed["principal_id"] or kubelet.get("object_id") or "",
            kubelet_identity=kubelet.get("resource_id") or "",
            control_plane_principal=identity.get("principal_id") or "",
            control_plane=tuple(identity.get("user_assigned_identities") or ()),
            addon=bool(profile.get("enabled")),
            addon_accepts_kubenet=bool(profile.get("allow_network_plugin_kubenet")),
            name=observed["cluster_name"] or "",
        )


# What the names of these looks begin with.
_OF_GROUP, _OF_NAMESPACE, _OF_ROLE, _OF_SECRET = "resource group ", "namespace ", "role ", "Secret "
# Has no assignments, so that a look for a role returns none.
_NOBODY = "00000000-0000-0000-0000-000000000000"


@dataclass(frozen=True)
class Namespaces:
    """``needed``: something is written into them. ``there``: those that exist; ``absent``: those that were looked for
    and do not."""

    needed: bool
    there: tuple[str, ...]
    absent: tuple[str, ...]

    @classmethod
    def parse(cls, observed: Raw) -> Namespaces:
        looks = _looks(observed, _OF_NAMESPACE)
        looked_for = {name[len(_OF_NAMESPACE) :]: bool(look["resources"]) for name, look in looks}
        listed = (observed.get("namespaces") or {}).get("resources") or ()
        there = [
            *(observed.get("there") or ()),
            *(name for name, exists in looked_for.items() if exists),
            *(str(each["metadata"]["name"]) for each in listed),
        ]
        return cls(
            bool(observed["objects"]), tuple(there), tuple(name for name, exists in looked_for.items() if not exists)
        )


def _looks(observed: Raw, prefix: str) -> list[tuple[str, t.Any]]:
    return [(name, look) for name, look in observed.items() if name.startswith(prefix)]


def _namespace_looks(options: Options, found: Raw) -> t.Iterator[Look]:
    """One for each of those that have to be there, because nobody needs to be allowed to list them."""
    if options.create_namespaces or not found["objects"]:
        return
    for namespace in options.namespaces:
        if namespace not in (found.get("there") or ()):
            arguments = {"api_version": "v1", "kind": "Namespace", "name": namespace}
            yield Look(f"{_OF_NAMESPACE}{namespace}", "kubernetes_object_info", arguments)


def _namespace_sentences(options: Options, absent: t.Iterable[str]) -> t.Iterator[str]:
    of_list = {entry.namespace for entry in options.managed}
    for namespace in absent:
        kind = "list" if namespace in of_list else "exceptions"
        yield (
            f"The namespace {namespace} of pod_identity_bindings_{kind} does not exist; create it, correct its name, "
            "or set pod_identity_bindings_create_namespaces=true."
        )


@dataclass(frozen=True)
class Standing:
    """The cluster, and its namespaces."""

    home: Home
    namespaces: Namespaces

    @classmethod
    def parse(cls, observed: Raw) -> Standing:
        return cls(Home.parse(observed), Namespaces.parse(observed))


@dataclass(frozen=True)
class Ready:
    """``node_principal``: as above; ``accepts_kubenet``: the add-on of the cluster does. ``missing_namespaces``: those
    that are created. ``writes``: the file of tasks that writes what pods match; empty where the tags leave it out."""

    node_principal: str
    accepts_kubenet: bool
    missing_namespaces: tuple[str, ...]
    writes: str


def namespace_looks(options: Options, found: Raw, run: Run) -> t.Iterator[Look]:
    """Those that were not there to be looked at before, and where they are created all."""
    if options.create_namespaces and found["objects"]:
        yield Look("namespaces", "kubernetes_object_info", {"api_version": "v1", "kind": "Namespace"})
    elif not run.check_mode:
        yield from _namespace_looks(options, found)


def ready(options: Options, found: Standing, run: Run) -> Ready:
    """Refuses a cluster that is not ready for the entries."""
    home = found.home
    if not options.is_addon and not options.render_dir and options.in_azure and not home.node_principal:
        raise Refused(
            "It is not known who the nodes of the cluster are, so they cannot be allowed to use the identities; set "
            "pod_identity_cluster_name and pod_identity_resource_group, or pod_identity_cluster_principal_id for a "
            "cluster with a service principal."
        )
    if options.is_addon and not home.addon:
        raise Refused(
            f"The pod identity add-on of cluster {home.name} is off; enable it by the role pod_identity_cluster with "
            "pod_identity_mode=addon, or use the chart with pod_identity_mode=chart."
        )
    refuse(_namespace_sentences(options, found.namespaces.absent))
    creates = options.create_namespaces and found.namespaces.needed
    missing = tuple(each for each in options.namespaces if creates and each not in found.namespaces.there)
    writes = f"{options.writes}_in_new_namespaces" if missing else options.writes
    return Ready(home.node_principal, home.addon_accepts_kubenet, missing, writes if _begins(run) else "")


# places


@dataclass(frozen=True)
class Places:
    """The resource groups and Secrets that were looked for and do not exist, the namespaces, and what is wrong with
    names of roles."""

    groups: tuple[str, ...]
    namespaces: Namespaces
    secrets: tuple[str, ...]
    roles: tuple[str, ...]

    @classmethod
    def parse(cls, observed: Raw) -> Places:
        looked_for = _looks(observed, _OF_GROUP)
        absent = [name.rpartition("/")[2] for name, look in looked_for if not groups.remaining(look["groups"])]
        secrets = [name for name, look in _looks(observed, _OF_SECRET) if look.get("resources") == []]
        # Whoever may not look it up is told so where it is granted.
        wrong = [
            look["msg"] for _name, look in _looks(observed, _OF_ROLE) if look.get("failed") and not look.get("error")
        ]
        return cls(tuple(absent), Namespaces.parse(observed), tuple(secrets), tuple(wrong))


@dataclass(frozen=True)
class Absent:
    """``warnings``: what is missing; in check mode only, since an earlier task may be about to create it.

    ``there``: the namespaces that exist.
    """

    warnings: tuple[str, ...]
    there: tuple[str, ...]


def place_looks(options: Options, found: Raw, _run: Run) -> t.Iterator[Look]:
    """The cluster's own group is created by this run where it is missing, so that check mode need not find it."""
    for each in found["groups"]:
        arguments = {"subscription_id": each["subscription"] or None, "name": each["group"]}
        name = f"{_OF_GROUP}{each['subscription']}/{each['group']}"
        yield Look(name, "resource_group_info", arguments, in_cluster=False)
    yield from _role_looks(options)
    yield from _namespace_looks(options, found)
    yield from _secret_looks(options, found)


def _role_looks(options: Options) -> t.Iterator[Look]:
    """Roles that are named and not built in; without a subscription the write finds what is wrong with a name."""
    named = {}
    for entry in options.in_azure:
        for role in entry.given.get("roles") or ():
            scope = role.get("scope") or options.scope_of(entry)
            if arm_id.parse(scope).subscription and azure_roles.named(role["role"]) is None:
                named[f"{_OF_ROLE}{role['role']} at {scope}"] = {"scope": scope, "roles": [role["role"]]}
    for name, arguments in named.items():
        yield Look(
            name,
            "role_assignment_info",
            {**arguments, "principal_id": _NOBODY},
            in_cluster=False,
            tolerates=lambda _failed: True,
        )


def _secret_looks(options: Options, found: Raw) -> t.Iterator[Look]:
    """Those of service principals, without what they hold."""
    if not found["objects"]:
        return
    places: dict[tuple[str, str], None] = {}
    for entry in options.managed:
        secret = entry.given.get("client_password_secret") or {}
        if not entry.is_managed_identity and secret.get("name"):
            places[(str(secret.get("namespace") or entry.namespace), str(secret["name"]))] = None
    for namespace, secret_name in places:
        yield Look(
            f"{_OF_SECRET}{namespace}/{secret_name}",
            "kubernetes_object_info",
            {
                "kind": "Secret",
                "namespace": namespace,
                "name": secret_name,
                "hidden_fields": ["data", "stringData", "metadata.annotations", "metadata.managedFields"],
            },
            tolerates=lambda _failed: True,
        )


def places(options: Options, found: Places, run: Run) -> Absent:
    """Refuses to go on without resource groups, namespaces, Secrets and roles.

    In check mode only without Secrets: what a pair becomes without its own cannot be predicted.
    """
    sentences = [
        f"The resource group {group} of identities in pod_identity_bindings_list does not exist; create it, or correct "
        "their resource_group."
        for group in found.groups
    ]
    sentences += _namespace_sentences(options, found.namespaces.absent)
    sentences += [
        f"The {secret} that client_password_secret of pod_identity_bindings_list names does not exist; create it, or "
        "correct its name."
        for secret in found.secrets
    ]
    sentences += [f"{sentence} It stands in roles of pod_identity_bindings_list." for sentence in found.roles]
    if found.secrets or not run.check_mode:
        refuse(sentences)
    if sentences:
        sentences.append("Unless an earlier task of this playbook creates what is missing, the real run stops here.")
    return Absent(tuple(sentences), found.namespaces.there)


# identities


@dataclass(frozen=True)
class Identity:
    """An identity as the fact of the role has it."""

    id: str = ""
    client_id: str = ""
    principal_id: str = ""
    fact: Raw = field(default_factory=dict)

    @classmethod
    def parse(cls, fact: Raw) -> Identity:
        return cls(**{name: str(fact.get(name) or "") for name in ("id", "client_id", "principal_id")}, fact=fact)


@dataclass(frozen=True)
class Made:
    """The fact of the role so far, the identities in Azure by the names of their entries, and the cluster."""

    known: Raw
    made: t.Mapping[str, Identity]
    home: Home

    @classmethod
    def parse(cls, observed: Raw) -> Made:
        made = {each["item"]["name"]: Identity.parse(each["state"]) for each in observed["made"]}
        return cls(observed["known"], made, Home.parse(observed))


@dataclass(frozen=True)
class Assignment:
    """A role that is granted. ``principal_id_command`` prints the principal where that is only known after apply."""

    label: str
    role: str
    scope: str
    principal_id: str
    known_after_apply: bool
    principal_id_command: str


@dataclass(frozen=True)
class Identities:
    """``identities``: the fact of the role. ``bindings`` and ``entries``: the list as azure_identity_binding and the
    add-on take it. ``protected``: an identity that MIC would take from the scale set with the last pod that has it.
    ``of_addon``: the objects that AKS brings to the cluster, by kind, told by namespace and by what they say."""

    identities: Raw
    roles: tuple[Assignment, ...]
    bindings: tuple[Raw, ...]
    entries: tuple[Raw, ...]
    protected: tuple[str, ...]
    of_addon: t.Mapping[str, tuple[str, ...]]


def identities(options: Options, found: Made, _run: Run) -> Identities:
    """What follows from the identities."""
    of_entry = {entry.name: _identity_of(entry, found) for entry in options.managed}
    return Identities(
        identities={**found.known, **{name: identity.fact for name, identity in of_entry.items()}},
        roles=tuple(_assignments(options, of_entry, found.home)),
        bindings=tuple(_bindings(options, of_entry)),
        entries=tuple(
            {
                "name": entry.name,
                "namespace": entry.namespace,
                "identity": of_entry[entry.name].id,
                "binding_selector": entry.selector,
            }
            for entry in options.managed
        ),
        protected=(found.home.kubelet_identity,) if found.home.kubelet_identity else (),
        of_addon={
            "AzureIdentity": tuple(f"{each.namespace}/{of_entry[each.name].client_id}" for each in options.managed),
            "AzureIdentityBinding": tuple(f"{each.namespace}/{each.selector}" for each in options.managed),
        },
    )


def _identity_of(entry: Entry, found: Made) -> Identity:
    if entry.name in found.made:
        return found.made[entry.name]
    fact = {"id": "", "client_id": entry.text("client_id"), "principal_id": "", "tenant_id": entry.text("tenant_id")}
    return Identity.parse(fact)


def _bindings(options: Options, of_entry: t.Mapping[str, Identity]) -> t.Iterator[dict[str, t.Any]]:
    kept = {entry.place for entry in options.managed}
    for entry in options.managed:
        identity = of_entry[entry.name]
        binding = {
            "name": entry.name,
            "namespace": entry.namespace,
            "binding_name": entry.binding_name,
            "type": entry.type,
            "selector": entry.selector,
            "client_id": identity.client_id,
        }
        if identity.id:
            binding["resource_id"] = identity.id
        optional = ("tenant_id", "client_password_secret", "behavior", "labels")
        yield {**binding, **{name: entry.given[name] for name in optional if entry.given.get(name)}}
    for entry in options.absent:
        binding = {
            "name": entry.name,
            "namespace": entry.namespace,
            "state": "absent",
            "binding_name": entry.binding_name,
            "allow_in_use": entry.allow_in_use,
        }
        yield {**binding, "only": "binding"} if entry.place in kept else binding


def _assignments(options: Options, of_entry: t.Mapping[str, Identity], home: Home) -> t.Iterator[Assignment]:
    """Every role assignment that the entries need.

    Who attaches an identity to the nodes may use it, and the identity may use what it was made for. With the add-on
    that is the control plane of the cluster, to which the add-on's own module gives the role.
    """
    principal, label, command = home.node_principal, f"{OPERATOR} for the nodes on ", ""
    if options.is_addon:
        principal = "" if options.manage_role_assignments else home.control_plane_principal
        label, command = f"{OPERATOR} for the cluster on ", _control_plane_command(home)
    for entry in options.in_azure:
        identity = of_entry[entry.name]
        later = identity.principal_id == KNOWN_AFTER_APPLY
        if principal:
            operator_later = later or principal == KNOWN_AFTER_APPLY
            yield Assignment(f"{label}{entry.name}", OPERATOR, identity.id, principal, operator_later, command)
        for extra in entry.given.get("roles") or ():
            scope = extra.get("scope") or identity.id.split("/providers/")[0]
            own = f"az identity show --ids {identity.id} --query principalId -o tsv"
            label_of_extra = f"{extra['role']} for {entry.name}"
            yield Assignment(label_of_extra, extra["role"], scope, identity.principal_id, later, own)


def _control_plane_command(home: Home) -> str:
    if home.control_plane:
        return f"az identity show --ids {home.control_plane[0]} --query principalId -o tsv"
    return f"az aks show --ids {home.id} --query identity.principalId -o tsv"


# lacking


@dataclass(frozen=True)
class Granted:
    """Results of the tasks that grant roles: the state that is wanted, where it is missing, and its assignment."""

    missing: tuple[tuple[Raw, Raw], ...]

    @classmethod
    def parse(cls, observed: Raw) -> Granted:
        return cls(tuple((each["state"], each["item"]) for each in observed["granted"] if each.get("changes")))


@dataclass(frozen=True)
class Lacking:
    """The role assignments that are missing, for whoever may grant them."""

    assignments: tuple[Raw, ...]


def lacking(_options: Options, found: Granted, _run: Run) -> Lacking:
    names = ("known_after_apply", "principal_id_command")
    return Lacking(tuple({**state, **{name: item[name] for name in names}} for state, item in found.missing))


# changes


@dataclass(frozen=True)
class Predicted:
    """What the phases would do in check mode: what that needs, and whether a namespace is missing."""

    permissions: tuple[Raw, ...]
    namespaces: bool

    @classmethod
    def parse(cls, observed: Raw) -> Predicted:
        return cls(needs.planned(observed["predicted"]), bool(observed["missing_namespaces"]))


@dataclass(frozen=True)
class Changes:
    """What the changes need to be allowed."""

    permissions: tuple[Raw, ...]


def changes(_options: Nothing, found: Predicted, _run: Run) -> Changes:
    """Namespaces are made by this role before anything can be predicted in them."""
    created = [KubernetesNeed.of(KUBERNETES_PERMISSIONS["create_namespaces"]).entry()] if found.namespaces else []
    return Changes((*found.permissions, *created))


# restart


@dataclass(frozen=True)
class Live:
    """An object in the cluster, or as it would be. ``written``: a timestamp, or ``now``."""

    kind: str
    namespace: str
    name: str
    spec: Raw
    behavior: str
    written: str

    @classmethod
    def parse(cls, found: Raw, written: str) -> Live:
        metadata = found["metadata"]
        behavior = (metadata.get("annotations") or {}).get("aadpodidentity.k8s.io/Behavior") or ""
        return cls(found["kind"], metadata["namespace"], metadata["name"], found.get("spec") or {}, behavior, written)

    @property
    def key(self) -> tuple[str, str, str]:
        return self.kind, self.namespace, self.name


@dataclass(frozen=True)
class Written:
    """What is in the cluster, and, where this run only predicts, what would be written and removed.

    ``made``: the objects of the list as azure_identity_binding would leave them; ``planned``: those of them that
    change. ``added`` and ``left``: entries of the add-on that would be made, and that would go.
    """

    live: tuple[Raw, ...]
    made: tuple[Raw, ...] = ()
    planned: tuple[Raw, ...] = ()
    added: tuple[Raw, ...] = ()
    left: tuple[Raw, ...] = ()

    @classmethod
    def parse(cls, observed: Raw) -> Written:
        live = tuple(each for listed in observed["live"] for each in listed["resources"])
        if not observed["predicts"]:
            return cls(live)
        made = [each for done in observed["made"] for each in (done.get("identity"), done.get("binding")) if each]
        left = [entry for each in observed["left"] if each.get("changes") for entry in each["item"]["entries"]]
        addon = observed["addon"]
        added = (addon.get("state") or {}).get("identities") or () if addon.get("changes") else ()
        return cls(live, tuple(made), tuple(observed["planned"]), tuple(added), tuple(left))


@dataclass(frozen=True)
class Matches:
    """As workload_restart takes them."""

    matches: tuple[Raw, ...]


def matches(options: Options, found: Written, _run: Run) -> Matches:
    """The pairs of identity and binding: the label value of their pods, their only namespace, when they were written
    last, by this collection or, with the add-on, by AKS, and what they say."""
    objects = _objects_after(options, found)
    pairs = []
    for binding in objects.values():
        identity = objects.get(("AzureIdentity", binding.namespace, str(binding.spec.get("azureIdentity") or "")))
        if binding.kind == "AzureIdentityBinding" and identity:
            only = options.is_addon or identity.behavior == "namespaced"
            spec = {**identity.spec, "resourceID": str(identity.spec.get("resourceID") or "").lower()}
            named = "" if options.is_addon else binding.name
            pairs.append(
                {
                    "selector": binding.spec.get("selector") or "",
                    "only": binding.namespace if only else "",
                    "written": max(binding.written, identity.written),
                    "content": [binding.namespace, identity.name, named, json.dumps(plain(spec), sort_keys=True)],
                }
            )
    return Matches(tuple(pairs))


def _objects_after(options: Options, found: Written) -> dict[tuple[str, str, str], Live]:
    live = [Live.parse(each, _written(each, by_anybody=options.is_addon)) for each in found.live]
    objects = {each.key: each for each in live}
    planned = {(each["kind"], each["namespace"], each["name"]): each["verb"] for each in found.planned}
    if options.is_addon:
        for entry in found.added:
            if not _is_there(entry, live):
                _bring(objects, entry)
        for entry in found.left:
            objects.pop(("AzureIdentity", entry["namespace"], entry["name"]), None)
        return objects
    for each in (Live.parse(made, "now") for made in found.made):
        if each.key in planned:
            objects[each.key] = each
    for key, verb in planned.items():
        if verb == "delete":
            objects.pop(key, None)
    return objects


def _written(found: Raw, *, by_anybody: bool) -> str:
    managers = found["metadata"].get("managedFields") or ()
    times = (str(each.get("time") or "") for each in managers if by_anybody or each.get("manager") == MANAGER)
    return max(times, default="")


def _is_there(entry: Raw, live: t.Iterable[Live]) -> bool:
    """Whether the objects of an entry of the add-on say what it says; else AKS brings them, or brings them anew."""
    wanted = {
        ("AzureIdentity", entry["name"], entry["client_id"]),
        ("AzureIdentityBinding", entry["name"], entry["binding_selector"]),
    }
    said = set()
    for each in live:
        if each.namespace == entry["namespace"] and each.kind == "AzureIdentity":
            said.add((each.kind, each.name, str(each.spec.get("clientID") or "")))
        elif each.namespace == entry["namespace"]:
            said.add((each.kind, str(each.spec.get("azureIdentity") or ""), str(each.spec.get("selector") or "")))
    return wanted <= said


def _bring(objects: dict[tuple[str, str, str], Live], entry: Raw) -> None:
    """As AKS does with an entry of the add-on."""
    namespace, name = entry["namespace"], entry["name"]
    for key, each in tuple(objects.items()):
        is_of_entry = (each.namespace, each.spec.get("azureIdentity")) == (namespace, name)
        if each.kind == "AzureIdentityBinding" and is_of_entry:
            del objects[key]
    identity = {"type": 0, "resourceID": entry["identity"], "clientID": entry["client_id"]}
    binding = {"azureIdentity": name, "selector": entry["binding_selector"]}
    for kind, spec in (("AzureIdentityBinding", binding), ("AzureIdentity", identity)):
        each = Live(kind, namespace, name, spec, "", "now")
        objects[each.key] = each


# report


@dataclass(frozen=True)
class Seen:
    """Who gets what. ``error``: why it could not be looked at; ``unlisted``: what may not be listed for it.

    ``reachable``: there is an API server. ``planned``: objects are to be written or removed; ``addon``: the changes of
    the tasks with the add-on.
    """

    planned: bool
    addon: tuple[Raw, ...]
    reachable: bool
    workloads: tuple[Raw, ...]
    findings: tuple[Raw, ...]
    error: str | None
    unlisted: tuple[Raw, ...]

    @classmethod
    def parse(cls, observed: Raw) -> Seen:
        results = (observed["addon"], *observed["left"])
        seen, unlisted = observed.get("seen") or {}, observed.get("unlisted") or {}
        return cls(
            planned=bool(observed["planned"]),
            addon=tuple(change for each in results for change in each.get("changes") or ()),
            reachable=bool(observed["reachable"]),
            workloads=tuple(seen.get("workloads") or ()),
            findings=tuple(seen.get("findings") or ()),
            error=str(seen.get("msg")) if seen.get("error") else None,
            unlisted=tuple(unlisted.get("missing") or ()),
        )

    def foresees(self, options: Options) -> bool:
        """Whether what decides who gets what changes."""
        if options.is_addon:
            return any(each["kind"] == clusters.KIND for each in self.addon)
        return self.planned


@dataclass(frozen=True)
class Report:
    """The fact ``pod_identity_bindings_report``, and the lines that tell it."""

    report: Raw
    lines: tuple[str, ...]


def report_looks(options: Options, found: Raw, run: Run) -> t.Iterator[Look]:
    """Whoever may write the objects need not be allowed to see what runs in the cluster."""
    told = Seen.parse(found)
    if not (options.list or options.exceptions) or (run.check_mode and told.foresees(options)):
        return
    namespaces = {entry.namespace for entry in options.list} | {each.namespace for each in options.exceptions}
    arguments: dict[str, t.Any] = {"namespaces": sorted(namespaces)}
    if options.is_addon:
        # So AKS runs its NMI, whatever else may be installed.
        arguments.update(mode="managed", force_namespaced=True)
    yield Look("seen", "pod_identity_info", arguments, tolerates=_is_not_permitted)
    if Seen.parse(found).error is not None:
        yield Look("unlisted", "access_review_info", {"needs": plain(_table_needs())})


def _is_not_permitted(result: Raw) -> bool:
    return refuses(result, 403)


def _table_needs() -> list[KubernetesNeed]:
    """What the table needs, and the role does not."""
    return [need for each in KUBERNETES_PERMISSIONS.values() if each.phase == SHOW for need in each.needs()]


def report(options: Options, found: Seen, run: Run) -> Report:
    """Of the workloads those that NMI has something to decide for."""
    workloads = [each for each in found.workloads if each["selector"] or each["identities"] or each["exceptions"]]
    left_out = _left_out(options, found, run)
    told = {"workloads": workloads, "findings": list(found.findings), "left_out": left_out}
    lines = _table(COLUMNS, [_row(each, found.findings) for each in workloads])
    of_findings = _table(COLUMNS_OF_FINDINGS, found.findings)
    of_findings += [f"See {link}" for link in links(found.findings)]
    between = [""] if lines and of_findings else []
    return Report(told, (*lines, *between, *of_findings, *([left_out] if left_out else ())))


def _table(columns: t.Sequence[str], rows: t.Sequence[Raw]) -> list[str]:
    if not rows:
        return []
    cells = [[str(row.get(name) or "") for name in columns] for row in rows]
    return render([name.replace("_", " ") for name in columns], cells, WIDTH)


def _left_out(options: Options, found: Seen, run: Run) -> str:
    """Why nothing is shown, as a sentence; empty where something is."""
    not_shown = "Who gets what is not shown"
    if not options.list and not options.exceptions:
        return f"{not_shown}: neither pod_identity_bindings_list nor pod_identity_bindings_exceptions names anything."
    if not found.reachable:
        return f"{not_shown}: there is no cluster yet."
    if run.check_mode and found.foresees(options):
        return f"{not_shown}: what decides it would be changed first, which check mode only predicts."
    if found.error is None:
        return ""
    if not found.unlisted:
        return f"{not_shown}: {found.error}"
    verbs = [
        f"{each['verb']} {each['resource']}" + (f".{each['api_group']}" if each["api_group"] else "")
        for each in found.unlisted
    ]
    return (
        f"{not_shown}, because in the whole cluster the user of the connection may not {', '.join(verbs)}; somebody "
        "who administers the cluster has to give it a role that allows it."
    )


def _row(workload: Raw, findings: t.Iterable[Raw]) -> dict[str, str]:
    place, default = f"{workload['namespace']}/{workload['name']}", workload["default"]
    token = " or ".join(default["identities"])
    told = f"{workload['kind']} {place}"
    return {
        "workload": place,
        "kind": workload["kind"],
        "identities": ", ".join(f"{each['namespace']}/{each['name']}" for each in workload["identities"]),
        "default_identity": " or ".join(token if answer == "token" else answer for answer in default["answers"]),
        "findings": ", ".join(each["code"] for each in findings if each["object"] == told),
    }


PARTS: t.Mapping[str, Part[t.Any, t.Any]] = {
    "options": Part(Options, Cluster, check),
    "places": Part(Options, Places, places, place_looks),
    "cluster": Part(Options, Standing, ready, namespace_looks),
    "identities": Part(Options, Made, identities),
    "lacking": Part(Options, Granted, lacking),
    "changes": Part(Nothing, Predicted, changes),
    "restart": Part(Options, Written, matches),
    "report": Part(Options, Seen, report, report_looks),
}
