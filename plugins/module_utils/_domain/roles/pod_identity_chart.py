# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The plan of the role pod_identity_chart: which release is wanted, what differs, and what is refused.

Values of the release may hold credentials and never enter it.
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, field

from ..change import Verb
from ..needs import KubernetesNeed, KubernetesPermission
from ..removal import bundles
from .part import ROLE_PHASES, Look, Nothing, Part, Raw, Refused, Run, refuse

NEW_VERSION = "4.1.18"
INSTALL, WAIT = ROLE_PHASES["pod_identity_chart"]
CLUSTER, RELEASE, OF_AKS = "the whole cluster", "the namespace of the release", "the namespace `kube-system`"

_WITH_USER = re.compile(r"[a-z][a-z0-9+.-]*://[^/?#]*@", re.IGNORECASE)
_NAMED = re.compile("[A-Za-z0-9][A-Za-z0-9_.-]*")
_SECONDS_IN_CHECK_MODE = 30
_MANAGERS = {
    "addon": "the AKS add-on",
    "flux": "managed by Flux",
    "argo": "managed by Argo CD",
    "manifests": "applied as manifests",
}


@dataclass(frozen=True)
class Permission(KubernetesPermission):
    """``place``: which namespace, if it is not the whole cluster; ``condition``: what the README adds to it."""

    place: str = CLUSTER


def _always(place: str, resource: str, *verbs: str, group: str = "", subresource: str = "") -> Permission:
    return Permission("always", place, resource, verbs, group, subresource, place)


def _replace(place: str, resource: str, group: str = "") -> Permission:
    """helm writes a release again whole where something of it was deleted or changed."""
    return Permission(
        INSTALL, f"{place}, if something of the release was deleted or changed", resource, ("update",), group, "", place
    )


def _install(place: str, resource: str, *verbs: str, group: str = "") -> Permission:
    condition = ", if it changes" if place == RELEASE else ", if the release changes"
    return Permission(INSTALL, place + condition, resource, verbs, group, "", place)


_WRITE = ("get", "create", "patch", "delete")
_AADPODIDENTITY, _RBAC = "aadpodidentity.k8s.io", "rbac.authorization.k8s.io"
# Whoever creates a ClusterRole must hold what it grants besides.
PERMISSIONS: t.Mapping[str, Permission] = {
    "read_daemonsets": _always(CLUSTER, "daemonsets", "list", group="apps"),
    "read_deployments": _always(CLUSTER, "deployments", "list", group="apps"),
    "read_nodes": _always(CLUSTER, "nodes", "list"),
    "read_pods": _always(CLUSTER, "pods", "list"),
    "read_leader": _always(RELEASE, "endpoints", "get"),
    "ask_pods": _always(RELEASE, "pods", "get", subresource="proxy"),
    "read_release": _always(RELEASE, "secrets", "get", "list"),
    "write_release": _install(RELEASE, "secrets", "create", "update", "patch", "delete"),
    "create_namespace": Permission(
        INSTALL, f"{CLUSTER}, if the release changes and its namespace is not `default`", "namespaces", ("create",)
    ),
    "write_accounts": _install(RELEASE, "serviceaccounts", *_WRITE),
    "write_deployments": _install(RELEASE, "deployments", *_WRITE, group="apps"),
    "write_daemonsets": _install(RELEASE, "daemonsets", *_WRITE, group="apps"),
    "write_exceptions": _install(RELEASE, "azurepodidentityexceptions", *_WRITE, group=_AADPODIDENTITY),
    "write_exception_of_aks": _install(OF_AKS, "azurepodidentityexceptions", *_WRITE, group=_AADPODIDENTITY),
    "write_cluster_roles": _install(CLUSTER, "clusterroles", *_WRITE, group=_RBAC),
    "write_cluster_role_bindings": _install(CLUSTER, "clusterrolebindings", *_WRITE, group=_RBAC),
    "replace_accounts": _replace(RELEASE, "serviceaccounts"),
    "replace_deployments": _replace(RELEASE, "deployments", "apps"),
    "replace_daemonsets": _replace(RELEASE, "daemonsets", "apps"),
    "replace_exceptions": _replace(RELEASE, "azurepodidentityexceptions", _AADPODIDENTITY),
    "replace_exception_of_aks": _replace(OF_AKS, "azurepodidentityexceptions", _AADPODIDENTITY),
    "replace_cluster_roles": _replace(CLUSTER, "clusterroles", _RBAC),
    "replace_cluster_role_bindings": _replace(CLUSTER, "clusterrolebindings", _RBAC),
    "write_definitions": _install(CLUSTER, "customresourcedefinitions", "get", "create", group="apiextensions.k8s.io"),
}


@dataclass(frozen=True)
class Options:
    mode: str = "chart"
    release_name: str = "aad-pod-identity"
    namespace: str = "default"
    ref: str = "aad-pod-identity"
    repository: str = ""
    version: str = ""
    digest: str = ""
    image_registry: str = ""
    upgrade: bool = False
    backup_dir: str = ""
    accept_existing: bool = False
    clear_lock: bool = False
    wait_timeout: int = 600
    helm_binary: str = ""
    allow_network_plugin_kubenet: bool = False

    @property
    def release(self) -> str:
        return f"{self.namespace}/{self.release_name}"

    @property
    def is_named(self) -> bool:
        """Whether the chart is only named, in a repository."""
        return bool(_NAMED.fullmatch(self.ref)) and not self.ref.endswith(".tgz")

    @property
    def is_oci(self) -> bool:
        return self.ref.startswith("oci://")

    @property
    def is_url(self) -> bool:
        return self.ref.startswith(("http://", "https://"))

    @property
    def shown(self) -> str:
        """The chart as messages name it: the query of an address may be a credential."""
        return re.split("[?#]", self.ref)[0] if self.is_url else self.ref

    @property
    def archive_version(self) -> str:
        """The version that the name of the archive tells."""
        found = re.search(r"-([0-9]+[.][0-9]+[.][0-9]+[^/]*)[.]tgz", self.ref)
        return found[1] if found else ""


# options


@dataclass(frozen=True)
class Checked:
    """``kubernetes``: what this run may do in the cluster. ``helm``: the program that it runs, or nothing."""

    kubernetes: tuple[KubernetesNeed, ...]
    helm: str


def check(options: Options, _nothing: Nothing, run: Run) -> Checked:
    """Refuses options that contradict each other."""
    refuse(_contradictions(options))
    addon, installs = options.mode == "addon", INSTALL in run.phases([INSTALL])
    changing = () if addon or not installs else _needs(options, phase=INSTALL, certain=False)
    return Checked((*_needs(options, phase="always"), *changing), "" if addon else options.helm_binary or "helm")


def _needs(options: Options, *, phase: str, certain: bool = True, replaces: bool = True) -> t.Iterator[KubernetesNeed]:
    addon = options.mode == "addon"
    for name, permission in PERMISSIONS.items():
        left_out = addon and name in ("read_leader", "read_release")
        left_out |= name == "create_namespace" and options.namespace == "default"
        left_out |= name.startswith("replace_") and not replaces
        if permission.phase == phase and not left_out:
            namespace = "kube-system" if addon or permission.place == OF_AKS else options.namespace
            yield KubernetesNeed.of(permission, "" if permission.place == CLUSTER else namespace, certain=certain)


def _contradictions(options: Options) -> t.Iterator[str]:
    archive = options.archive_version
    if not (options.is_named or options.is_oci or archive or options.version):
        yield f"The version of the chart {options.shown} is not part of its name; set pod_identity_chart_version."
    if archive and options.version not in ("", archive):
        yield (
            f"The chart {options.shown} is version {archive}, but pod_identity_chart_version is {options.version}; "
            "make them agree."
        )
    for name, address in (("ref", options.ref), ("repository", options.repository)):
        if _WITH_USER.match(address) or (name == "repository" and "?" in address):
            yield (
                f"The address in pod_identity_chart_{name} has credentials, which the list of processes would show; "
                "download the chart and set pod_identity_chart_ref to the path of the file, or log in with helm "
                "registry login and set it to an oci:// address."
            )


# release


@dataclass(frozen=True)
class Installation:
    """An NMI as nmi_info tells it."""

    name: str
    namespace: str
    managed_by: str
    release_name: str
    release_namespace: str
    version: str
    operation_mode: str
    has_mic: bool
    changed_fields: tuple[str, ...] = ()

    @classmethod
    def parse(cls, found: Raw) -> Installation:
        names = ("name", "namespace", "managed_by", "release_name", "release_namespace", "version", "operation_mode")
        return cls(
            **{name: str(found.get(name) or "") for name in names},
            has_mic=bool(found.get("mic")),
            changed_fields=tuple(found.get("changed_fields") or ()),
        )

    def __str__(self) -> str:
        of_helm = f"helm release {self.release_namespace}/{self.release_name}"
        return f"DaemonSet {self.namespace}/{self.name} ({_MANAGERS.get(self.managed_by, of_helm)})"


@dataclass(frozen=True)
class Found:
    """``chart`` and ``status`` are those of the release, empty where there is none; ``helm_error`` why none was read.

    ``directory`` is the private one of the connection.
    """

    installations: tuple[Installation, ...] = ()
    chart: str = ""
    status: str = ""
    helm_error: str | None = None
    reachable: bool = True
    directory: str = ""
    network_plugin: str = ""
    addon: bool = False

    @classmethod
    def parse(cls, observed: Raw) -> Found:
        release, cluster = observed["release"], observed["cluster"]
        return cls(
            installations=tuple(map(Installation.parse, observed.get("nmi", {}).get("installations", ()))),
            chart=release.get("chart") or "",
            status=(release.get("status") or "").lower(),
            helm_error=observed["helm_error"] if observed["helm_failed"] else None,
            reachable=observed["reachable"],
            directory=observed["directory"],
            network_plugin=cluster.get("network_plugin") or "",
            addon=bool((cluster.get("pod_identity_profile") or {}).get("enabled")),
        )

    @property
    def installed_version(self) -> str:
        found = re.search("-([0-9]+[.].*)$", self.chart)
        return found[1] if found else ""

    def own(self, options: Options) -> tuple[Installation, ...]:
        """The NMIs of the release."""
        ours = ("helm", options.release_name, options.namespace)
        return tuple(
            each
            for each in self.installations
            if options.mode == "chart" and (each.managed_by, each.release_name, each.release_namespace) == ours
        )


@dataclass(frozen=True)
class Release:
    """What the role does with the release.

    ``foreign``: the installation of somebody else is used, ``names`` tells which. ``tasks``: the file of tasks that
    installs or changes the release, or says that of somebody else. ``changes``: the release is applied
    even where its values stay. ``missing``: what somebody deleted of it, which helm does not notice; ``changed``: what
    somebody changed of it. ``replaces``: so that helm writes all of it again. ``verb``: what becomes of it.
    ``added_values``: values that follow from other options. With ``fetch`` the file of the chart is looked at first;
    ``fetch_by`` tells how it gets into ``archive``: helm fetches it from the ``repository`` or by its own ``address``,
    or it is downloaded from its ``url``. ``archive`` is empty where the chart is installed as the option names it.
    ``fact``: the fact of the role. ``permissions``: what helm has to be allowed where the release changes.

    The query of an address may be a credential, so that addresses stay in the options.
    """

    foreign: bool
    names: tuple[str, ...]
    tasks: str
    installed: bool
    installed_version: str
    version: str
    upgrade: bool
    unfinished: bool
    missing: tuple[str, ...]
    changed: tuple[str, ...]
    replaces: bool
    verb: Verb
    changes: bool
    added_values: t.Mapping[str, t.Any]
    archive: str
    fetch: bool
    fetch_by: str
    fact: t.Mapping[str, str]
    permissions: tuple[Raw, ...] = ()


def look_at_nmi(_options: Options, _found: Raw, _run: Run) -> t.Iterator[Look]:
    yield Look("nmi", "nmi_info", {"compare_release": True})


def release(options: Options, found: Found, run: Run) -> Release:
    """Refuses what is in the way of the release, or the release itself."""
    if found.helm_error is not None:
        raise Refused(
            f'The helm release {options.release} cannot be read, because helm failed with "{found.helm_error}"; '
            "correct what that names, and run again."
        )
    own = found.own(options)
    others = tuple(each for each in found.installations if each not in own)
    foreign = bool(others) or found.addon or options.mode == "addon"
    installed, before = bool(found.chart or found.status), found.installed_version
    version = options.version or options.archive_version or before or NEW_VERSION
    upgrade = installed and before != version
    if foreign:
        refuse(_in_the_way(options, others, found.addon))
    elif upgrade:
        refuse(_upgrade(options, before, version))
    unfinished = installed and found.status != "deployed"
    missing = _missing(own) if installed and found.reachable else ()
    changed = tuple(field for each in own for field in each.changed_fields)
    # helm would take a chart that is only named from a directory of that name beside the playbook, in any version.
    # The query of an address, which may be a credential, would be an argument of helm.
    fetch = bool(options.digest) or (options.is_named and not run.check_mode) or options.shown != options.ref
    by = "address" if options.is_named or options.is_oci else "url" if options.is_url else ""
    by = "repository" if options.is_named and options.repository else by
    first = others[0] if others else None
    of_others = {
        "release_name": first.release_name if first else "",
        "namespace": first.namespace if first else "kube-system",
        "version": first.version if first else "",
        "managed_by": first.managed_by if first else "addon",
    }
    ours = {
        "release_name": options.release_name,
        "namespace": options.namespace,
        "version": version,
        "managed_by": "helm",
    }
    return Release(
        foreign=foreign,
        names=tuple(map(str, others)) or (_MANAGERS["addon"],),
        tasks="foreign" if foreign else "release",
        installed=installed,
        installed_version=before,
        version=version,
        upgrade=upgrade,
        unfinished=unfinished,
        missing=missing,
        changed=changed,
        replaces=bool(missing or changed),
        verb="change" if installed else "create",
        changes=not installed or upgrade or unfinished or bool(missing or changed),
        added_values=_values(options, found, installed=installed),
        archive=_archive(options, found.directory, version) if fetch and by else "",
        fetch=fetch,
        fetch_by=by,
        fact=of_others if foreign else ours,
        permissions=()
        if foreign
        else tuple(need.entry() for need in _needs(options, phase=INSTALL, replaces=bool(missing or changed))),
    )


def _in_the_way(options: Options, others: t.Sequence[Installation], addon: bool) -> t.Iterator[str]:
    if options.mode == "addon":
        not_of_addon = [str(each) for each in others if each.managed_by != "addon"]
        if not_of_addon:
            yield (
                f"{', '.join(not_of_addon)} would fight with the NMI of the AKS add-on over the same rule on every "
                "node; remove it, or keep it with pod_identity_mode=chart."
            )
    elif not options.accept_existing:
        names = ", ".join(map(str, others)) or _MANAGERS["addon"]
        ways = "pod_identity_chart_accept_existing=true"
        if any(each.managed_by == "helm" for each in others):
            ways += ", or name that helm release with pod_identity_chart_release_name and pod_identity_chart_namespace"
        if addon:
            ways += ", or work with the add-on by pod_identity_mode=addon"
        yield (
            f"Pod identity is installed already: {names}. A second NMI would fight with it over the same rule on every "
            f"node. Use the installation as it is with {ways}."
        )


def _upgrade(options: Options, before: str, version: str) -> t.Iterator[str]:
    if not options.upgrade:
        yield (
            f"The release {options.release} has chart version {before}, but {version} is named; allow it with "
            "pod_identity_chart_upgrade=true and pod_identity_chart_backup_dir, or leave pod_identity_chart_version "
            "unset."
        )
    elif not options.backup_dir:
        yield (
            f"Before the chart goes from {before} to {version} the custom resources are saved; set "
            "pod_identity_chart_backup_dir."
        )


def _missing(own: t.Sequence[Installation]) -> tuple[str, ...]:
    if not own:
        return ("DaemonSet of NMI",)
    return () if own[0].has_mic or own[0].operation_mode != "standard" else ("Deployment of MIC",)


def _values(options: Options, found: Found, *, installed: bool) -> dict[str, t.Any]:
    values: dict[str, t.Any] = {}
    nmi: dict[str, t.Any] = {}
    if options.image_registry:
        values["image"] = {"repository": f"{options.image_registry}{bundles.IMAGE_PATH}"}
    if options.namespace != "default" and not installed:
        nmi["micNamespace"] = options.namespace
    if options.allow_network_plugin_kubenet and (found.network_plugin or "kubenet") == "kubenet":
        nmi["allowNetworkPluginKubenet"] = True
    return {**values, "nmi": nmi} if nmi else values


def _archive(options: Options, directory: str, version: str) -> str:
    """The file that the chart is fetched into, as helm names it."""
    name = options.shown.rsplit("/", 1)[-1]
    for end in (".tgz", f"-{version}"):
        name = name[: -len(end)] if name.endswith(end) else name
    return f"{directory}/{name}-{version}.tgz"


# lock


@dataclass(frozen=True)
class Lock:
    """The record of a helm run that has not ended: its labels, the status of the release, and the time of day."""

    labels: t.Mapping[str, str]
    status: str
    now: int

    @classmethod
    def parse(cls, observed: Raw) -> Lock:
        records = observed["record"]["resources"]
        labels = records[0]["metadata"].get("labels") if records else None
        return cls(labels or {}, observed["status"], int(observed["now"]))

    @property
    def age(self) -> int:
        text = self.labels.get("modifiedAt") or self.labels.get("createdAt") or ""
        return self.now - (int(text) if re.fullmatch("[0-9]+", text) else 0)


def look_at_record(options: Options, found: Raw, _run: Run) -> t.Iterator[Look]:
    named = {
        "api_version": "v1",
        "kind": "Secret",
        "namespace": options.namespace,
        "name": f"sh.helm.release.v1.{options.release_name}.v{found['revision']}",
        "hidden_fields": ["data"],  # values and manifest of the release
    }
    yield Look("record", "kubernetes_object_info", named)


def lock(options: Options, found: Lock, _run: Run) -> Nothing:
    """Refuses to clear what may still be at work."""
    if not (options.clear_lock or found.status.lower() == "failed" or found.age > options.wait_timeout):
        raise Refused(
            f"Another helm run on release {options.release} began {found.age} seconds ago and has not ended (status "
            f"{found.status}); wait for it, or, if it was killed, set pod_identity_chart_clear_lock=true."
        )
    return Nothing()


# upgraded


@dataclass(frozen=True)
class Saved:
    """The objects of a kind, as ``namespace/name``, before and after the upgrade, and the file that holds them."""

    kind: str
    before: tuple[str, ...]
    after: tuple[str, ...]
    file: str


@dataclass(frozen=True)
class Upgraded:
    kinds: tuple[Saved, ...] = field(default=())

    @classmethod
    def parse(cls, observed: Raw) -> Upgraded:
        return cls(
            tuple(
                Saved(kind, _names(saved), _names(observed[kind]), f"{observed['folder']}/{kind}.yaml")
                for kind, saved in _compared(observed).items()
            )
        )


def _compared(observed: Raw) -> dict[str, Raw]:
    """What was saved, by kind. MIC makes and removes the assigned identities itself."""
    return {each["item"]: each for each in observed["before"] if each["item"] != "AzureAssignedIdentity"}


def look_again(_options: Options, found: Raw, _run: Run) -> t.Iterator[Look]:
    for kind in _compared(found):
        yield Look(kind, "kubernetes_object_info", {"api_version": "aadpodidentity.k8s.io/v1", "kind": kind})


def _names(listed: Raw) -> tuple[str, ...]:
    metadata = [each["metadata"] for each in listed["resources"]]
    return tuple(f"{each['namespace']}/{each['name']}" for each in metadata)


def upgraded(_options: Options, found: Upgraded, _run: Run) -> Nothing:
    """Refuses an upgrade that lost custom resources."""
    sentences = []
    for each in found.kinds:
        lost = [name for name in each.before if name not in each.after]
        if lost:
            sentences.append(
                f"{len(lost)} objects of kind {each.kind} are gone after the upgrade: {', '.join(lost)}; apply them "
                f"again from {each.file}."
            )
    refuse(sentences)
    return Nothing()


# serving


@dataclass(frozen=True)
class Attempt:
    """``installations``, as nmi_info tells them, is None where it could not look; then ``error`` tells why, and
    ``temporary`` whether that may pass. ``began``: when the first look was taken, in seconds.
    """

    installations: tuple[Raw, ...] | None
    error: str
    temporary: bool
    began: float

    @classmethod
    def parse(cls, observed: Raw) -> Attempt:
        nmi = observed["nmi"]
        found = nmi.get("installations")
        return cls(
            None if found is None else tuple(found),
            nmi.get("msg") or "",
            bool((nmi.get("error") or {}).get("temporary")),
            float(observed["began"]),
        )


@dataclass(frozen=True)
class Serving:
    """``again``: waiting may cure what is missing, which is tried until ``end``, in seconds. ``where``: what the
    fact of the role tells of the installation. ``not_expected``: nodes where NMI is not meant to run. ``waits_for``:
    what is missing, for whoever watches.
    """

    again: bool
    end: float
    where: t.Mapping[str, t.Any]
    not_expected: tuple[Raw, ...]
    waits_for: str = ""


def look_whether_nmi_serves(_options: Options, _found: Raw, _run: Run) -> t.Iterator[Look]:
    yield Look("nmi", "nmi_info", tolerates=lambda _failed: True)


def serving(options: Options, found: Attempt, run: Run) -> Serving:
    """Refuses to go on as long as pod identity does not serve; the plan of the refusal tells whether to look again."""
    # In check mode only what is about to come is waited for.
    waits_for = min(options.wait_timeout, _SECONDS_IN_CHECK_MODE) if run.check_mode else options.wait_timeout
    end, installations = found.began + waits_for, found.installations
    if installations is None:
        again = Serving(found.temporary, end, {}, ())
        raise Refused(f"Whether pod identity serves could not be seen: {found.error}.", plan=again)
    if not installations or not all(each["serving"] for each in installations):
        waits = "; ".join(text for each in installations for text in each["waiting_for"]) or "no NMI is there"
        after = "" if run.check_mode else f" after {options.wait_timeout} seconds"
        raise Refused(f"Pod identity does not serve{after}: {waits}.", plan=Serving(True, end, {}, (), waits))
    where = {name: installations[0][name] for name in ("nodes", "mic_leader")}
    return Serving(
        again=False,
        end=end,
        where=where,
        not_expected=tuple(each for each in where["nodes"] if each["state"] == "not_expected"),
    )


PARTS: t.Mapping[str, Part[t.Any, t.Any]] = {
    "options": Part(Options, Nothing, check),
    "release": Part(Options, Found, release, look_at_nmi),
    "lock": Part(Options, Lock, lock, look_at_record),
    "upgraded": Part(Options, Upgraded, upgraded, look_again),
    "serving": Part(Options, Attempt, serving, look_whether_nmi_serves),
}
