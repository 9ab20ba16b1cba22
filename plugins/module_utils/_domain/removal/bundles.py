# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Restore bundles: where one may be written and as what; what of one that is read, which anybody may have changed, is
restored, and what is refused."""

from __future__ import annotations

import hashlib
import json
import re
import typing as t
from dataclasses import dataclass

from ..azure import arm_id
from ..azure.azure_roles import BUILT_IN, named
from ..errors import Failure
from ..kubernetes.object_lists import some
from ..names import NAMESPACE_NAME, OBJECT_NAME
from . import restoration

Raw = t.Mapping[str, t.Any]

IN_SECRET = "secret:"
# What tells that something runs in a container, if it exists.
CONTAINER_MARKS = ("/.dockerenv", "/run/.containerenv")
_OF_RUNNER = "/runner/"  # the working directory of ansible-runner

IMAGES, VALUES, UNVERIFIED = "images", "values", "unverified"
IMAGE_PATH = "/oss/azure/aad-pod-identity"
REPOSITORY = f"mcr.microsoft.com{IMAGE_PATH}"

_OPERATOR, _CONTRIBUTOR = (BUILT_IN[name] for name in ("Managed Identity Operator", "Virtual Machine Contributor"))
# The types of what is used; a name with a question mark may be missing.
_ENTRY = {"name": str, "namespace": str, "identity": str}
_SHAPE: dict[str, t.Any] = {
    "cluster": str,
    "objects": [{"metadata?": {"annotations?": dict}, "spec?": {"resourceID?": str, "azureIdentity?": str}}],
    "releases": [
        {"name": str, "namespace": str, "version": str, "given_values?": dict, "omitted_values?": [str]},
    ],
    "scale_sets?": [{"id": str, "name": str, "identities": [{"id": str}]}],
    "addon?": {"identities?": [_ENTRY]},
    "role_assignments?": [{"scope": str, "role": str, "principal_id": str}],
    "secrets?": [{"namespace?": str, "name?": str}],
    "deleted_identities?": [{"id": str}],
    "definitions?": [str],
    "unproved?": [str],
    "written?": str,
}
_VERSION = re.compile(r"\d+\.\d+\.\d+([.+-][A-Za-z0-9.+-]*)?")
_RELEASE = "helm release"
_RELEASE_NAME = 53  # characters, by helm
# What values of the chart may be named by a bundle, and what templates of the chart, which do not quote, may be given.
_ALLOWED = frozenset(
    (
        "nameOverride",
        "fullnameOverride",
        "image",
        "forceNamespaced",
        "installMICException",
        "operationMode",
        "mic",
        "nmi",
    )
    + ("rbac", "azureIdentities", "customUserAgent")
)
_IMAGES = {("mic", "image"): "mic", ("nmi", "image"): "nmi", ("mic", "tag"): "", ("nmi", "tag"): ""}
_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_./-]*")
_TEXT = re.compile(r"([A-Za-z0-9/_.][A-Za-z0-9_./:@=,+-]*(?<!:))?")


@dataclass(frozen=True)
class Place:
    """Where a restore bundle is: the file ``text``, or a Secret, which ``text`` names too."""

    text: str
    namespace: str = ""
    name: str = ""

    @classmethod
    def parse(cls, text: str) -> Place:
        """Raises Failure for a Secret that is not named as one."""
        if not text.startswith(IN_SECRET):
            return cls(text)
        namespace, dummy, name = text[len(IN_SECRET) :].partition("/")
        if not namespace or not name or "/" in name:
            raise Failure(f"{text} names no Secret for a restore bundle; name it as {IN_SECRET}NAMESPACE/NAME.")
        return cls(text, namespace, name)

    @classmethod
    def of_secret(cls, namespace: str, name: str) -> Place:
        return cls(f"{IN_SECRET}{namespace}/{name}", namespace, name)

    @property
    def in_secret(self) -> bool:
        return bool(self.namespace)

    @property
    def directory(self) -> str:
        """That of a file."""
        return self.text.rpartition("/")[0] or ("/" if self.text.startswith("/") else ".")


@dataclass(frozen=True)
class Surroundings:
    """Where a file is written. ``devices``: the numbers of the file systems of its directory and of the root."""

    in_container: bool
    devices: frozenset[int]


def check_place(place: Place, found: Surroundings) -> None:
    """Raises Failure for a directory that goes with the container: one on the file system of its root, and one in the
    working directory of ansible-runner."""
    of_runner = f"{place.directory}/".startswith(_OF_RUNNER)
    if found.in_container and (of_runner or len(found.devices) == 1):
        raise Failure(
            f"The restore bundle would be written to {place.directory}, which goes with the container that this runs "
            "in; set pod_identity_artifact_target to a directory that is mounted there."
        )


def written(place: Place, content: str) -> str:
    """``content``, which is JSON, as it is written; raises Failure for what is no JSON object."""
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise Failure(f"What is to be written to the restore bundle {place.text} is no JSON object; give it as one.")
    return json.dumps(document) if place.in_secret else f"{json.dumps(document, indent=4, sort_keys=True)}\n"


def check_read_back(place: Place, text: str, data: bytes | None) -> str:
    """The SHA-256 digest of what was read; raises Failure unless it is what was written."""
    if data != text.encode():
        raise Failure(
            f"The restore bundle {place.text} is not what was written to it; nothing was changed. "
            + ("See who else writes that Secret." if place.in_secret else "Is there space left?")
        )
    return hashlib.sha256(data).hexdigest()


def repositories(registry: str) -> tuple[str, ...]:
    """Where images of a release may come from; ``registry``: the one to which they were mirrored, if there is one."""
    return (REPOSITORY, *((f"{registry}{IMAGE_PATH}",) if registry else ()))


def is_file_of(name: str, cluster_id: str) -> bool:
    """Whether a file has a name that the role pod_identity_uninstall gives to bundles of this cluster."""
    return name.lower().startswith(f"{arm_id.last_segment(cluster_id)}-".lower()) and name.endswith(".json")


@dataclass(frozen=True)
class Cluster:
    """The cluster that is named, as Azure tells it; principals are empty where there is none or it is unknown."""

    id: str
    node_resource_group: str
    kubelet: str = ""
    control_plane: str = ""


@dataclass(frozen=True)
class Rules:
    """The rules for a bundle that a person has given. ``given``: names of values of the chart that are given beside it.

    ``namespace``: of a release that no digest proves; empty where any is right.
    """

    sha256: str = ""
    namespace: str = ""
    accept: frozenset[str] = frozenset()
    repositories: tuple[str, ...] = (REPOSITORY,)
    given: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Bundle:
    """What may be restored, the digest of the whole, and what is left out with the reason."""

    content: dict[str, t.Any]
    sha256: str
    left_out: tuple[dict[str, str], ...]


def read(place: str, data: bytes, cluster: Cluster, rules: Rules) -> Bundle:
    """The bundle that ``place`` holds; raises Failure for one that must not be restored."""
    digest = hashlib.sha256(data).hexdigest()
    if rules.sha256 and rules.sha256.lower() != digest:
        raise Failure(
            f"The restore bundle {place} has the SHA-256 digest {digest}, not {rules.sha256}, so it is not the one "
            "that was written: take the unchanged one, or find out who changed it."
        )
    content = _parse(place, data)
    if content["cluster"].lower() != cluster.id.lower():
        raise Failure(
            f"The restore bundle {place} is of {content['cluster']}, but the cluster that is named is {cluster.id}; "
            "correct one of them."
        )
    restoration.check(content["objects"])
    if not is_restorable(_counts(content)):
        raise NothingThere(
            f"The restore bundle {place} has neither objects nor releases, so there is nothing to restore from it; "
            "name the one that was written before anything was removed."
        )
    unproved = content.get("unproved") or ()
    if unproved and UNVERIFIED not in rules.accept:
        raise Failure(
            f"{some(unproved)} in the restore bundle {place} come from an interrupted run, and nothing proves that "
            f"nobody has changed them since; look at them, and add {UNVERIFIED} to pod_identity_restore_accept."
        )
    _check_releases(place, content["releases"], rules, unproved)
    left_out = []
    kept = []
    for each in content.get("role_assignments") or ():
        reason = _misfit(each, cluster, _identities(content))
        if reason:
            left_out.append(
                {"what": "role assignment", "name": each["role"], "reason": f"at {each['scope']}: {reason}"}
            )
        else:
            kept.append(each)
    return Bundle({**content, "role_assignments": kept}, digest, tuple(left_out))


class NothingThere(Failure):
    """Raised where a place has no bundle, or one from which nothing can be restored; another place may have one."""


def described(place: Place, data: bytes, cluster_id: str) -> dict[str, t.Any] | None:
    """Describe a bundle of the cluster as pod_identity_bundle_info tells it; None for anything else."""
    try:
        content = _parse(place.text, data)
        restoration.check(content["objects"])
    except Failure:
        return None
    if content["cluster"].lower() != cluster_id.lower():
        return None
    ids = {each["identity"].lower() for each in _entries(content) if arm_id.is_user_assigned_identity(each["identity"])}
    return {
        "place": place.text,
        "sha256": hashlib.sha256(data).hexdigest(),
        "written": content.get("written", ""),
        **_counts(content),
        "handed_out": sorted(ids),
        "definitions": content.get("definitions") or [],
    }


def is_restorable(told: Raw) -> bool:
    """Tell whether something can be restored from a bundle; ``told``: as ``described``."""
    return any(told[name] for name in ("objects", "releases", "entries"))


def summary(told: Raw) -> str:
    """Return a bundle in a few words; ``told``: as ``described``."""
    return f"{told['place']} ({told['objects']} objects, {told['releases']} releases, written {told['written'] or '?'})"


def joined(earlier: Place, data: bytes, content: str, *, proved: bool) -> str:
    """``content``, which is JSON, and what the bundle at ``earlier`` has besides, as JSON.

    Of what both have it is as in ``content``, which is newer. Unless it is ``proved`` that nobody else has written the
    earlier one, the objects and releases that it alone has are named as such, because the digest of the whole proves
    nothing about them. Raises Failure for what is no bundle of one cluster.
    """
    before, now = _parse(earlier.text, data), _parse(earlier.text, content.encode())
    restoration.check(before["objects"])
    if before["cluster"].lower() != now["cluster"].lower():
        raise Failure(
            f"The restore bundle {earlier.text} is of {before['cluster']}, not of {now['cluster']}, so nothing was "
            "added to it; name another place."
        )
    found = {name: value for name, value in {**before, **now}.items() if name != "unproved"}
    found.update({name: value for name, value in before.items() if name in ("cluster", "written")})
    for name, key in _KEYS.items():
        if name in found:
            found[name] = _union(before.get(name) or (), now.get(name) or (), key)
    scale_sets = {each["id"].lower(): each["identities"] for each in before.get("scale_sets") or ()}
    for place in found.get("scale_sets") or ():
        lost = scale_sets.get(place["id"].lower(), ())
        place["identities"] = _union(lost, place["identities"], lambda each: each["id"].lower())
    addon = {**(before.get("addon") or {}), **(now.get("addon") or {})}
    if addon:
        addon["identities"] = _union(_entries(before), _entries(now), lambda each: (each["namespace"], each["name"]))
        found["addon"] = addon
    unproved = (set(before.get("unproved") or ()) if proved else _labels(before)) - _labels(now)
    return json.dumps({**found, **({"unproved": sorted(unproved)} if unproved else {})})


def _labels(content: Raw) -> set[str]:
    """Labels of the objects and releases."""
    objects = {_label(each["kind"], each["metadata"]) for each in content["objects"]}
    return objects | {_label(_RELEASE, each) for each in content["releases"]}


def _label(kind: str, named: Raw) -> str:
    return f"{kind} {named['namespace']}/{named['name']}"


def _counts(content: Raw) -> dict[str, int]:
    """Return how many of each there are that can be restored, or that the add-on has to bring back."""
    return {
        "objects": len(content["objects"]),
        "releases": len(content["releases"]),
        "entries": len(_entries(content)),
    }


_KEYS: t.Mapping[str, t.Callable[[t.Any], object]] = {
    "objects": lambda each: (each["kind"], each["metadata"]["namespace"], each["metadata"]["name"]),
    "releases": lambda each: (each["namespace"], each["name"]),
    "scale_sets": lambda each: each["id"].lower(),
    "role_assignments": lambda each: (each["scope"].lower(), each["role"], each["principal_id"]),
    "secrets": lambda each: (each.get("namespace"), each.get("name")),
    "deleted_identities": lambda each: each["id"].lower(),
    "definitions": str,
}


def _union(before: t.Iterable[t.Any], now: t.Iterable[t.Any], key: t.Callable[[t.Any], object]) -> list[t.Any]:
    return list({**{key(each): each for each in before}, **{key(each): each for each in now}}.values())


def _entries(content: Raw) -> list[dict[str, t.Any]]:
    """Entries of the add-on."""
    return list((content.get("addon") or {}).get("identities") or ())


def _parse(place: str, data: bytes) -> dict[str, t.Any]:
    try:
        content = json.loads(data)
    except (ValueError, RecursionError):
        content = None
    if not _fits(content, _SHAPE):
        raise Failure(
            f"{place} is no restore bundle of the role pod_identity_uninstall; name the file or Secret that this role "
            "told in its end."
        )
    found: dict[str, t.Any] = content
    return found


def _fits(value: t.Any, shape: t.Any) -> bool:
    """Whether everything that has a place in the shape is there and of its type."""
    if isinstance(shape, dict):
        if not isinstance(value, dict):
            return False
        names = {key.rstrip("?"): key for key in shape}
        return all(
            _fits(value[name], shape[key]) if name in value else key.endswith("?") for name, key in names.items()
        )
    if isinstance(shape, list):
        return isinstance(value, list) and all(_fits(each, shape[0]) for each in value)
    return isinstance(value, shape)


def _identities(content: Raw) -> frozenset[str]:
    """Ids of the identities that the bundle names, in lower case."""
    ids = [(each.get("spec") or {}).get("resourceID") for each in content["objects"] if each["kind"] == "AzureIdentity"]
    ids += [each["identity"] for each in _entries(content)]
    return frozenset(each.lower() for each in ids if each and arm_id.is_user_assigned_identity(each))


def _misfit(assignment: Raw, cluster: Cluster, identities: t.Container[str]) -> str:
    """Why a role is not given back; empty where it is one that this collection grants."""
    role = named(assignment["role"])
    scope, principal = assignment["scope"].rstrip("/").lower(), assignment["principal_id"].lower()
    nodes = f"/subscriptions/{cluster.id.split('/')[2]}/resourceGroups/{cluster.node_resource_group}".lower()
    if not principal or principal not in (cluster.kubelet.lower(), cluster.control_plane.lower()):
        return "it is of another principal than the cluster's own"
    if role is None or role.guid not in (_OPERATOR, _CONTRIBUTOR):
        return "this collection does not grant that role"
    if scope in identities and role.guid == _OPERATOR:
        return ""
    if scope == nodes and principal == cluster.kubelet.lower():
        return ""
    return "this collection grants that role neither there nor to that principal"


def _check_releases(place: str, releases: t.Sequence[Raw], rules: Rules, unproved: t.Container[str]) -> None:
    if len(releases) > 1:
        names = ", ".join(each["name"] for each in releases)
        raise Failure(
            f"The restore bundle {place} has {len(releases)} releases of the chart ({names}), whose NMIs would fight "
            "over the same rule on every node; take all but one from a copy of it."
        )
    for release in releases:
        name, namespace, version = release["name"], release["namespace"], release["version"]
        if not (OBJECT_NAME.fullmatch(name) and len(name) <= _RELEASE_NAME and NAMESPACE_NAME.fullmatch(namespace)):
            raise Failure(
                f"The release {name!r} in namespace {namespace!r} of the restore bundle {place} has a name that helm "
                "would not take for one; the bundle was changed."
            )
        if not _VERSION.fullmatch(version):
            raise Failure(
                f"The release {name} of the restore bundle {place} has the version {version!r}, which is none; the "
                "bundle was changed."
            )
        proved = rules.sha256 and _label(_RELEASE, release) not in unproved
        if rules.namespace and not proved and namespace != rules.namespace:
            raise Failure(
                f"The release {name} of the restore bundle {place} is to come into the namespace {namespace}, which "
                "nobody named, and no digest proves that the bundle is the one that was written; set "
                f"pod_identity_restore_sha256, or pod_identity_chart_namespace to {namespace} where that is right."
            )
        _check_values(place, name, release.get("given_values") or {}, rules)
        lacking = [each for each in release.get("omitted_values") or () if each not in rules.given]
        if lacking:
            raise Failure(
                f"The release {name} had {', '.join(lacking)} among its values, which hold credentials and so are not "
                "in the restore bundle; give them with pod_identity_chart_values."
            )


def _check_values(place: str, release: str, values: Raw, rules: Rules) -> None:
    odd = unusual(values) if VALUES not in rules.accept else []
    if odd:
        raise Failure(
            f"The release {release} of the restore bundle {place} has the values {', '.join(odd)}, which are none that "
            "this role passes to helm unseen; look at them, and accept them with pod_identity_restore_accept: "
            f"[{VALUES}]."
        )
    other = images(values, rules.repositories) if IMAGES not in rules.accept else []
    if other:
        raise Failure(
            f"The release {release} of the restore bundle {place} has other images than the chart ({', '.join(other)}"
            f"); look at them, and accept them with pod_identity_restore_accept: [{IMAGES}]."
        )


def unusual(values: Raw) -> list[str]:
    """Paths of values that are not on the list, and of those that a template could take for more than a value."""
    return sorted(_odd(values, ()))


def images(values: Raw, repositories: t.Container[str]) -> list[str]:
    """Paths and values of what chooses other images than the chart does."""
    return sorted(f"{'.'.join(path)} {given}" for path, given in _images(values, repositories))


def _odd(value: t.Any, path: tuple[str, ...]) -> t.Iterator[str]:
    if isinstance(value, dict):
        for key, each in value.items():
            known = _KEY.fullmatch(str(key)) is not None and (bool(path) or key in _ALLOWED)
            yield from _odd(each, (*path, str(key))) if known else iter((repr(".".join((*path, str(key)))),))
    elif isinstance(value, list):
        for each in value:
            yield from _odd(each, path)
    elif isinstance(value, str) and not _TEXT.fullmatch(value):
        yield ".".join(path)


def _images(values: Raw, repositories: t.Container[str]) -> t.Iterator[tuple[tuple[str, str], t.Any]]:
    repository = _at(values, "image", "repository")
    if repository not in (None, "") and repository not in repositories:
        yield ("image", "repository"), repository
    for path, default in _IMAGES.items():
        given = _at(values, *path)
        if given not in (None, "", default):
            yield path, given


def _at(values: Raw, first: str, second: str) -> t.Any:
    inner = values.get(first)
    return inner.get(second) if isinstance(inner, dict) else inner
