# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The plan of the role pod_identity_restore: what of a restore bundle comes back, what that needs, and its account.

Values of the release may hold credentials and never enter it.
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, field

from ..azure import arm_id
from ..commands import Command, grant, shell
from ..needs import AzureNeed, AzurePermission, KubernetesNeed, KubernetesPermission
from ..removal.bundles import UNVERIFIED
from .part import COMMANDS, ROLE_PHASES, Look, Nothing, Part, Raw, Refused, Run, cluster_arguments, refuse

PHASES = ROLE_PHASES["pod_identity_restore"]
CHART, ROLES, OBJECTS, SCALE_SETS = PHASES

_COMPUTE, _ASSIGNMENTS = "Microsoft.Compute", "Microsoft.Authorization/roleAssignments"
_AADPODIDENTITY, _CLUSTER = "aadpodidentity.k8s.io", "the whole cluster"
_BY_CHART = "It comes with the chart."
# States of what was not there, as the module pod_identity_restoration has the first; the second in check mode.
_RESTORED, _PREDICTED = "restored", "would be restored"

AZURE_PERMISSIONS: t.Mapping[str, AzurePermission] = {
    "read_scale_sets": AzurePermission(
        "always",
        "the node resource group",
        (
            f"{_COMPUTE}/virtualMachineScaleSets/read",
            f"{_COMPUTE}/virtualMachines/read",
            "Microsoft.Resources/subscriptions/resourceGroups/read",
        ),
    ),
    "read_roles": AzurePermission(ROLES, "the scope of each role that is given back", (f"{_ASSIGNMENTS}/read",)),
    "write_roles": AzurePermission(ROLES, "the scope of each role that is given back", (f"{_ASSIGNMENTS}/write",)),
    "write_scale_sets": AzurePermission(
        SCALE_SETS, "each scale set that gets an identity back", (f"{_COMPUTE}/virtualMachineScaleSets/write",)
    ),
    "assign_identities": AzurePermission(
        SCALE_SETS,
        "each identity that is attached",
        ("Microsoft.ManagedIdentity/userAssignedIdentities/assign/action",),
    ),
}
KUBERNETES_PERMISSIONS: t.Mapping[str, KubernetesPermission] = {
    "take_lease": KubernetesPermission(
        "always",
        "the namespace `default`",
        "leases",
        ("get", "create", "patch", "delete"),
        "coordination.k8s.io",
    ),
    "read_bundle": KubernetesPermission(
        "always", "the namespace of the Secret with the restore bundle", "secrets", ("get",)
    ),
    "read_namespaces": KubernetesPermission(OBJECTS, _CLUSTER, "namespaces", ("list",)),
    "write_exceptions": KubernetesPermission(
        OBJECTS, _CLUSTER, "azurepodidentityexceptions", ("list", "create"), _AADPODIDENTITY
    ),
    "write_identities": KubernetesPermission(OBJECTS, _CLUSTER, "azureidentities", ("list", "create"), _AADPODIDENTITY),
    "write_bindings": KubernetesPermission(
        OBJECTS, _CLUSTER, "azureidentitybindings", ("list", "create"), _AADPODIDENTITY
    ),
}
PERMISSIONS: t.Mapping[str, AzurePermission | KubernetesPermission] = {**AZURE_PERMISSIONS, **KUBERNETES_PERMISSIONS}


@dataclass(frozen=True)
class Options:
    bundle: str = ""
    manage_role_assignments: bool = True
    sha256: str = ""
    accept: tuple[str, ...] = ()

    @property
    def secret_namespace(self) -> str:
        """That of the Secret with the bundle; empty where the bundle is a file."""
        found = re.fullmatch("secret:([^/]+)/[^/]+", self.bundle)
        return found[1] if found else ""


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
    """``manages``: missing role assignments are made. What else the role needs depends on the bundle."""

    manages: bool


def check(options: Options, named: Named, _run: Run) -> Checked:
    """Refuses options that name no cluster or no bundle."""
    refuse(_contradictions(options, named))
    return Checked(options.manage_role_assignments)


def _contradictions(options: Options, named: Named) -> t.Iterator[str]:
    if not named.name or not named.resource_group:
        yield (
            "No cluster is named, so it cannot be told whether the restore bundle is of this one; set "
            "pod_identity_cluster_name and pod_identity_resource_group."
        )
    if not options.bundle:
        yield (
            "pod_identity_restore_bundle is not set; set it to the file that the role pod_identity_uninstall has "
            "written, or to secret:NAMESPACE/NAME."
        )
    if not options.sha256 and UNVERIFIED not in options.accept:
        yield (
            "pod_identity_restore_sha256 is not set, so nothing proves that the restore bundle is the one that was "
            "written, and it may give rights to others; set it to the digest that the uninstall told, or read the "
            f"bundle, and add {UNVERIFIED} to pod_identity_restore_accept."
        )


# bundle


@dataclass(frozen=True)
class ScaleSet:
    """A scale set with the ids of the identities that it has, or had when the bundle was written."""

    id: str
    name: str
    identities: tuple[str, ...]

    @classmethod
    def parse(cls, found: Raw) -> ScaleSet:
        ids = tuple(str(each["id"]) for each in found["identities"])
        return cls(str(found["id"]), str(found.get("name") or arm_id.last_segment(found["id"])), ids)


@dataclass(frozen=True)
class Assignment:
    """A role that a principal of the cluster had."""

    role: str
    scope: str
    principal_id: str

    @classmethod
    def parse(cls, found: Raw) -> Assignment:
        return cls(*(str(found[name]) for name in ("role", "scope", "principal_id")))


@dataclass(frozen=True)
class Object:
    """A custom resource."""

    kind: str
    namespace: str
    name: str


@dataclass(frozen=True)
class Bundle:
    """What is in the bundle and what the scale sets have now.

    ``releases``: namespace and name of each, with what the chart makes of its values. ``managed``: MIC of the release
    does not attach identities. ``predicted``: what comes of creating the objects.
    ``node_scope``: the node resource group.
    """

    assignments: tuple[Assignment, ...] = ()
    objects: tuple[Raw, ...] = ()
    releases: t.Mapping[tuple[str, str], frozenset[Object]] = field(default_factory=dict)
    before: tuple[ScaleSet, ...] = ()
    now: tuple[ScaleSet, ...] = ()
    managed: bool = False
    predicted: Raw = field(default_factory=dict)
    node_scope: str = ""

    @classmethod
    def parse(cls, observed: Raw) -> Bundle:
        cluster = observed["cluster"]
        subscription = arm_id.parse(cluster["id"]).subscription
        return cls(
            assignments=tuple(map(Assignment.parse, observed["assignments"])),
            objects=tuple(observed["objects"]),
            releases={(each["namespace"], each["name"]): _of_values(each) for each in observed["releases"]},
            before=tuple(map(ScaleSet.parse, observed["before"])),
            now=tuple(map(ScaleSet.parse, observed["scale_sets"]["resources"])),
            managed=observed["operation_mode"] == "managed",
            predicted=observed.get("predicted") or {},
            node_scope=arm_id.resource_group(subscription, cluster["node_resource_group"]),
        )


@dataclass(frozen=True)
class Place:
    """A scale set with the ids of the identities that are attached to it."""

    place: str
    identities: tuple[str, ...]


@dataclass(frozen=True)
class Restoration:
    """``objects``: what the role itself creates; ``of_chart``: kind and place of what the chart brings.

    ``with_chart``: the chart is installed before they are. ``attachable``: what the role itself attaches, ``names``
    those identities; ``now``: the ids of the scale sets that are there; and what this run needs.
    """

    objects: tuple[Raw, ...]
    with_chart: bool
    of_chart: tuple[Object, ...]
    attachable: tuple[Place, ...]
    names: tuple[str, ...]
    now: tuple[str, ...]
    azure: tuple[AzureNeed, ...]
    kubernetes: tuple[KubernetesNeed, ...]


def restoration(options: Options, bundle: Bundle, run: Run) -> Restoration:
    """Refuses objects that could not be created behind what this run does before."""
    with_chart = _with_chart(tuple(bundle.releases), run)
    refuse(_not_creatable(bundle, with_chart))
    places, phases = _attachable(bundle), run.phases(PHASES)
    names = (arm_id.last_segment(each) for place in places for each in place.identities)
    brought = [each for each in bundle.objects if CHART in phases and _is_of_chart(each, bundle)]
    return Restoration(
        tuple(each for each in bundle.objects if each not in brought),
        with_chart,
        tuple(Object(each["kind"], each["metadata"]["namespace"], each["metadata"]["name"]) for each in brought),
        places,
        tuple(dict.fromkeys(names)),
        tuple(each.id for each in bundle.now),
        tuple(_azure_needs(options, bundle, places, phases)),
        tuple(_kubernetes_needs(options, phases)),
    )


def _look(_options: Options, found: Raw, run: Run) -> t.Iterator[Look]:
    """Look without the permissions, which are asked for behind this."""
    yield Look("scale_sets", "vmss_identity_info", cluster_arguments(found["cluster"]), in_cluster=False)
    if OBJECTS in run.phases(PHASES):
        wanted = {"documents": found["objects"], "assume_definitions": _with_chart(found["releases"], run)}
        yield Look("predicted", "pod_identity_restoration", wanted, in_check_mode=True, tolerates=lambda _failed: True)


def _with_chart(releases: t.Sequence[object], run: Run) -> bool:
    return bool(releases) and CHART in run.phases(PHASES)


def _not_creatable(bundle: Bundle, with_chart: bool) -> t.Iterator[str]:
    if bundle.predicted.get("definitions_missing"):
        yield (
            "The cluster does not know the custom resources of AAD Pod Identity, and this run installs no chart, so "
            "the objects of the restore bundle cannot be created; install it first: ansible-playbook "
            "azureops.pod_identity.site -e @FILE."
        )
    by_chart = {namespace for namespace, _name in bundle.releases} if with_chart else set()
    lacking = sorted(set(bundle.predicted.get("missing_namespaces") or ()) - by_chart)
    if lacking:
        yield (
            f"Objects of the restore bundle are to come into namespaces that are missing ({', '.join(lacking)}); "
            "create them, or take these objects from a copy of the bundle."
        )


def _is_of_chart(document: Raw, bundle: Bundle) -> bool:
    """Whether the chart makes the object again. Anybody may write annotations, so they alone prove nothing."""
    release = _release(document)
    if release is None or release not in bundle.releases:
        return False
    metadata = document["metadata"]
    if document["kind"] == "AzurePodIdentityException":
        return metadata["namespace"] in (release[0], "kube-system")
    return Object(document["kind"], metadata["namespace"], metadata["name"]) in bundle.releases[release]


def _of_values(release: Raw) -> frozenset[Object]:
    """The AzureIdentities and their bindings that the chart makes of its values, as its template names them."""
    values = (release.get("given_values") or {}).get("azureIdentities")
    entries = values.items() if isinstance(values, t.Mapping) else ()
    found = set()
    for key, entry in entries:
        if isinstance(entry, t.Mapping):
            namespace = str(entry.get("namespace") or release["namespace"])
            found.add(Object("AzureIdentity", namespace, str(entry.get("name") or key)))
            binding = entry.get("binding")
            if isinstance(binding, t.Mapping):
                found.add(Object("AzureIdentityBinding", namespace, str(binding.get("name"))))
    return frozenset(found)


def _release(document: Raw) -> tuple[str, str] | None:
    """Namespace and name of the helm release that made an object; such an object comes and goes with it."""
    annotations = document["metadata"].get("annotations") or {}
    place = tuple(str(annotations.get(f"meta.helm.sh/release-{what}") or "") for what in ("namespace", "name"))
    return (place[0], place[1]) if all(place) else None


def _attachable(bundle: Bundle) -> tuple[Place, ...]:
    """Identities that AzureIdentities name and that a scale set had which is still there.

    In standard mode MIC attaches what is bound as soon as a pod needs it; in managed mode nobody does.
    """
    named = set(_identities_without_mic(bundle))
    places = []
    for before in bundle.before:
        for now in bundle.now:
            if arm_id.same(now.id, before.id):
                there = {arm_id.normal(each) for each in now.identities}
                missing = named - there
                gone = tuple(each for each in before.identities if arm_id.normal(each) in missing)
                places += [Place(now.id, gone)] if gone else []
    return tuple(places)


def _identities_without_mic(bundle: Bundle) -> t.Iterator[str]:
    bound = set()
    for each in bundle.objects:
        if each["kind"] == "AzureIdentityBinding" and not bundle.managed:
            bound.add((each["metadata"]["namespace"], (each.get("spec") or {}).get("azureIdentity") or ""))
    for each in bundle.objects:
        metadata, spec = each["metadata"], each.get("spec") or {}
        is_managed_identity = each["kind"] == "AzureIdentity" and (spec.get("type") or 0) == 0
        if is_managed_identity and (metadata["namespace"], metadata["name"]) not in bound:
            yield arm_id.normal(spec.get("resourceID") or "")


def _azure_needs(
    options: Options, bundle: Bundle, places: t.Iterable[Place], phases: t.Sequence[str]
) -> t.Iterator[AzureNeed]:
    may = {name: permission.actions for name, permission in AZURE_PERMISSIONS.items()}
    yield AzureNeed(bundle.node_scope, may["read_scale_sets"])
    if ROLES in phases:
        write = may["write_roles"] if options.manage_role_assignments else ()
        for assignment in bundle.assignments:
            yield AzureNeed(assignment.scope, may["read_roles"] + write)
    if SCALE_SETS in phases:
        for place in places:
            yield AzureNeed(place.place, may["write_scale_sets"])
            for identity in place.identities:
                yield AzureNeed(identity, may["assign_identities"])


def _kubernetes_needs(options: Options, phases: t.Sequence[str]) -> t.Iterator[KubernetesNeed]:
    places = {"take_lease": "default", "read_bundle": options.secret_namespace}
    for name, permission in KUBERNETES_PERMISSIONS.items():
        in_this_run = permission.phase == "always" or permission.phase in phases
        if in_this_run and (name != "read_bundle" or options.secret_namespace):
            yield KubernetesNeed.of(permission, places.get(name, ""))


# guard


@dataclass(frozen=True)
class Guard:
    """The states of the nodes by the NMIs that are there, and the names of the identities to attach."""

    states: tuple[str, ...]
    installed: bool
    names: tuple[str, ...]

    @classmethod
    def parse(cls, observed: Raw) -> Guard:
        installations = observed["nmi"]["installations"]
        states = tuple(node["state"] for each in installations for node in each["nodes"])
        return cls(states, bool(installations), tuple(observed["names"]))


def guard(_options: Options, found: Guard, _run: Run) -> Nothing:
    """Refuses to attach identities that nothing guards: without NMI every pod there could take them."""
    if not found.installed or any(state not in ("active", "not_expected") for state in found.states):
        raise Refused(
            f"NMI does not work on every node, so {', '.join(found.names)} would be open to every pod on the scale "
            "sets; nothing was attached. Run the phase before this one too."
        )
    return Nothing()


def _look_at_guard(_options: Options, _found: Raw, _run: Run) -> t.Iterator[Look]:
    yield Look("nmi", "nmi_info")


# account


@dataclass(frozen=True)
class Outcomes:
    """What became of each phase that ran, what of the bundle was left out, and scale sets that are gone.

    ``roles``: each assignment, and whether it was missing. ``of_chart``: objects that the chart brings, if objects were
    looked at. ``addon``: names of entries of the add-on.
    """

    roles: tuple[tuple[Assignment, bool], ...] = ()
    objects: tuple[Raw, ...] = ()
    of_chart: tuple[Object, ...] = ()
    places: tuple[Place, ...] = ()
    left_out: tuple[Raw, ...] = ()
    gone: tuple[str, ...] = ()
    addon: tuple[str, ...] = ()

    @classmethod
    def parse(cls, observed: Raw) -> Outcomes:
        plan = observed["plan"]
        there = set(map(arm_id.normal, plan["now"]))
        before = tuple(map(ScaleSet.parse, observed["before"]))
        objects = observed["objects"].get("restoration")
        return cls(
            roles=tuple((Assignment.parse(each["item"]), bool(each.get("changes"))) for each in observed["roles"]),
            objects=tuple((objects or {}).get("objects") or ()),
            of_chart=tuple(Object(**each) for each in plan["of_chart"]) if objects else (),
            places=tuple(Place(each["item"]["place"], tuple(each["item"]["identities"])) for each in observed["given"]),
            left_out=tuple(observed["left_out"]),
            gone=tuple(each.name for each in before if arm_id.normal(each.id) not in there),
            addon=tuple(f"{each['namespace']}/{each['name']}" for each in observed["addon"]),
        )


@dataclass(frozen=True)
class Row:
    what: str
    name: str
    state: str
    reason: str = ""


_GRANT = "MIC may not work until these are granted; for whoever may grant them"


@dataclass(frozen=True)
class Account:
    """Rows of the table, and the commands for whoever may grant what is missing."""

    rows: tuple[Row, ...] = field(default=())
    commands: tuple[Command, ...] = ()


def account(options: Options, outcomes: Outcomes, run: Run) -> Account:
    lacking = [each for each, missing in outcomes.roles if missing and not options.manage_role_assignments]
    return Account(
        tuple(_rows(options, outcomes, _PREDICTED if run.check_mode else _RESTORED)),
        tuple(Command(_GRANT, grant(shell(each.principal_id), each.role, each.scope)) for each in lacking),
    )


def _rows(options: Options, outcomes: Outcomes, restored: str) -> t.Iterator[Row]:
    granted = restored if options.manage_role_assignments else "missing"
    for assignment, missing in outcomes.roles:
        state = granted if missing else "present"
        yield Row("role assignment", assignment.role, state, f"at {assignment.scope}")
    for each in outcomes.objects:
        reason = "Something else has that name by now, and stays." if each["state"] == "different" else ""
        state = restored if each["state"] == _RESTORED else each["state"]
        yield Row(each["kind"], f"{each['namespace']}/{each['name']}", state, reason)
    for brought in outcomes.of_chart:
        yield Row(brought.kind, f"{brought.namespace}/{brought.name}", "present", _BY_CHART)
    for place in outcomes.places:
        for identity in place.identities:
            name, scale_set = arm_id.last_segment(identity), arm_id.last_segment(place.place)
            yield Row("identity on a scale set", name, restored, f"on {scale_set}")
    for each in outcomes.left_out:
        yield Row(each["what"], each["name"], "refused", each["reason"])
    for name in outcomes.gone:
        yield Row("scale set", name, "gone", "It does not exist any more.")
    for name in outcomes.addon:
        yield Row(
            "entry of the add-on",
            name,
            "missing",
            "The add-on of AKS is not brought back here; the playbook site does it with pod_identity_mode=addon.",
        )


PARTS: t.Mapping[str, Part[t.Any, t.Any]] = {
    "options": Part(Options, Named, check),
    "bundle": Part(Options, Bundle, restoration, _look),
    "guard": Part(Options, Guard, guard, _look_at_guard),
    "account": Part(Options, Outcomes, account),
    "commands": COMMANDS,
}
