# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""What the webhook of Workload ID would do to a pod: dry runs of its creation with and without the label, compared.

The webhook writes the whole pod anew as the types that it was built with know it, so that a field which is newer than
the webhook is lost (Azure/azure-workload-identity#1312, #1751). Everything else that stands against a pod (Pod
Security, quotas, policies) is asked from the API server by the same dry runs.
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, field

from ..errors import Failure
from ..installation.workload_identity_webhook import (
    CLIENT_ID_VARIABLE,
    NAME,
    PROXY_ANNOTATION,
    PROXY_CONTAINER,
    PROXY_INIT_CONTAINER,
    SKIP_ANNOTATION,
    TOKEN_FILE_VARIABLE,
    TOKEN_PATH,
    USE_LABEL,
    VARIABLES,
    Webhook,
)
from ..kubernetes.workloads import TEMPLATES
from ..matching.matching import Raw, pod_template

KINDS = (*TEMPLATES, "Pod")

MUTATED, LOSES_FIELDS, LEFT_ALONE = "webhook_mutates", "webhook_loses_fields", "webhook_leaves_alone"
REFUSED, UNREACHED = "webhook_refuses", "webhook_unreached"
POD_SECURITY, QUOTA, POLICY, ADMISSION = (
    "pod_security_refuses",
    "quota_refuses",
    "policy_refuses",
    "admission_refuses",
)
NOT_TRIED = "dry_run_missing"
MEANINGS: t.Mapping[str, str] = {
    MUTATED: "The webhook gives the pod its token and takes nothing away.",
    LOSES_FIELDS: "The webhook drops or changes fields of the pod, most often because they are newer than it is.",
    LEFT_ALONE: "The pod would be created as it is, without a token of Workload ID.",
    REFUSED: "The webhook of Workload ID itself refuses the pod.",
    UNREACHED: "The API server cannot call the webhook of Workload ID, so that the pod is not created.",
    POD_SECURITY: "The Pod Security Standard of the namespace refuses the pod.",
    QUOTA: "A ResourceQuota or LimitRange of the namespace refuses the pod.",
    POLICY: "A policy of the cluster, or the webhook of somebody else, refuses the pod.",
    ADMISSION: "The API server refuses the pod for another reason.",
    NOT_TRIED: "No dry run was obtained, so that nothing is known of the pod.",
}
_ADVICE: t.Mapping[str, str] = {
    LOSES_FIELDS: "use a newer webhook, or leave these fields out",
    REFUSED: "change the pod as the webhook asks; one in the host network takes no proxy",
    UNREACHED: "bring the webhook to run, see azureops.pod_identity.workload_identity_webhook_info",
    POD_SECURITY: "leave the proxy out, whose init container is privileged, or change what the standard forbids",
    QUOTA: "make room in the quota; where it wants limits, leave the proxy out, which has none",
    POLICY: "except the pod from the policy, or change what it forbids",
    ADMISSION: "correct what it names",
    NOT_TRIED: "see to what it names and run again",
}

# How lists of a pod and of its containers are keyed, so that what is added before an entry is no change of it.
_OF_POD: t.Mapping[str, str] = dict.fromkeys(("containers", "initContainers", "volumes", "imagePullSecrets"), "name")
_OF_CONTAINER: t.Mapping[str, str] = {"env": "name", "volumeMounts": "mountPath", "volumeDevices": "devicePath"}
_CONTAINERS = ("initContainers", "containers")
_COMPARED = ("labels", "annotations", "finalizers", "ownerReferences")
# Admission gives this volume another name each time.
_API_ACCESS = re.compile(r"kube-api-access-[a-z0-9]{5}")
_QUOTA = re.compile(
    r"is forbidden: \[?(exceeded quota|failed quota|status unknown for quota|(minimum|maximum) \S+ usage per"
    r"|\S+ max limit to request ratio)"
)
_PREFIX = "workload-identity-"
# What a live pod has, and one that is created must not have.
_OF_LIVE_PODS = ("nodeName", "ephemeralContainers")
_LONGEST = 300
_SHORTEST = 5  # shorter values would take words of the message along


@dataclass(frozen=True)
class Template:
    """What makes pods. ``pod``: metadata and spec of one, as it makes it."""

    kind: str
    namespace: str
    name: str
    pod: Raw

    @property
    def label(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"

    @classmethod
    def parse(cls, kind: str, namespace: str, name: str, raw: Raw) -> Template:
        """``raw``: the object. Raises Failure where it makes no pods."""
        try:
            pod = _with_claims(raw, raw if kind == "Pod" else pod_template(raw), name)
            makes_pods = _has_shape_of_pod(pod)
        except (AttributeError, TypeError):  # a text or a list where an object has to be
            makes_pods = False
        if not makes_pods:
            raise Failure(f"{kind} {namespace}/{name} has no pod template with containers: correct its definition.")
        return cls(kind, namespace, name, pod)


@dataclass(frozen=True)
class Named:
    """A template as the options name it; ``raw``: the object itself where they have it."""

    kind: str
    namespace: str
    name: str
    raw: Raw | None = None


def parse(entries: t.Iterable[Raw]) -> list[Named]:
    """From options. Raises Failure where a namespace or name is missing, or the definition is of another kind."""
    found = []
    for each in entries:
        raw, kind = each.get("definition"), str(each["kind"])
        metadata = (raw or {}).get("metadata") or {}
        if not isinstance(metadata, dict):
            raise Failure(f"The definition of a {kind} has no metadata: give the object as a manifest has it.")
        namespace, name = (str(each.get(key) or metadata.get(key) or "") for key in ("namespace", "name"))
        told = f"{kind} {namespace}/{name}" if namespace or name else kind
        if raw is not None and raw.get("kind") not in (None, kind):
            raise Failure(f"The definition of {told} is of the kind {raw['kind']}: set kind to that.")
        if not namespace or not name:
            missing = "namespace" if not namespace else "name"
            raise Failure(f"The template {told} has no {missing}, and pods are tried in its namespace: set {missing}.")
        found.append(Named(kind, namespace, name, raw))
    return found


class Refusal(t.NamedTuple):
    """Why the API server would not create a pod: one of the codes, and what it said."""

    code: str
    said: str


@dataclass(frozen=True)
class Reply:
    """What became of a pod in a dry run: the pod as the API server would store it, or why it would not."""

    pod: Raw | None = None
    refusal: Refusal | None = None


@dataclass(frozen=True)
class TokenVolume:
    """The volume with the token of the service account."""

    name: str
    path: str
    audience: str
    expiration_seconds: int


@dataclass(frozen=True)
class ContainerChange:
    """``has_token``: variable and mount are there. ``added``: variables that the webhook sets, with their values.

    ``own``: those that the template sets itself, which win. ``client_id``: the one that the application sees; empty
    where it is not known.
    """

    name: str
    init: bool
    has_token: bool
    added: t.Mapping[str, str]
    own: tuple[str, ...]
    client_id: str


@dataclass(frozen=True)
class DryRun:
    """What the webhook would do to a pod. ``code``: a key of MEANINGS; ``refused_without``: also without the label.

    ``proxy_containers``: what is added besides; ``native_proxy``: the proxy ends with the containers of the pod, so
    that Jobs end. ``before_redirect``: init containers of the template that run before the redirect to the proxy, whose
    requests still go to NMI. ``lost``, ``changed``, ``added``: places of fields, of
    the last those that Workload ID does not explain.
    """

    code: str
    message: str
    refused_without: bool = False
    token_volume: TokenVolume | None = None
    containers: tuple[ContainerChange, ...] = ()
    proxy_containers: tuple[str, ...] = ()
    native_proxy: bool = False
    before_redirect: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    added: tuple[str, ...] = ()

    @property
    def refusal(self) -> str:
        """Why the pod would not be created; '' where it would."""
        return "" if self.code in (MUTATED, LOSES_FIELDS, LEFT_ALONE) else self.message

    @property
    def gives_token(self) -> bool:
        return any(each.has_token for each in self.containers)


@dataclass(frozen=True)
class Difference:
    """``how``: lost, changed or added; ``value`` is the new one."""

    how: str
    path: tuple[str, ...]
    value: t.Any = field(default=None)

    def __str__(self) -> str:
        return "".join(part if part.startswith("[") else f".{part}" for part in self.path).lstrip(".")


# what is sent


def body(template: Template, *, label: bool, proxy: bool = False) -> dict[str, t.Any]:
    """A pod of the template to create in a dry run. Without ``proxy`` a wish of the template itself for it stays."""
    metadata = template.pod.get("metadata") or {}
    labels = {key: value for key, value in (metadata.get("labels") or {}).items() if key != USE_LABEL}
    annotations = dict(metadata.get("annotations") or {})
    if label:
        labels[USE_LABEL] = "true"
    if proxy:
        annotations.setdefault(PROXY_ANNOTATION, "true")
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "generateName": _PREFIX,
            "namespace": template.namespace,
            "labels": labels,
            "annotations": annotations,
        },
        "spec": {key: value for key, value in (template.pod.get("spec") or {}).items() if key not in _OF_LIVE_PODS},
    }


def _has_shape_of_pod(pod: Raw) -> bool:
    metadata, spec = pod.get("metadata") or {}, pod.get("spec") or {}
    containers = [each for key in _CONTAINERS for each in spec.get(key) or ()]
    variables = [one for each in containers for one in each.get("env") or ()]
    named = (metadata.get("labels") or {}, metadata.get("annotations") or {})
    return bool(spec.get("containers")) and all(isinstance(each, dict) for each in (*named, *containers, *variables))


def _with_claims(raw: Raw, pod: Raw, name: str) -> Raw:
    """The pod with the volumes that the controller of a StatefulSet adds for its claims."""
    claims = [
        str((each.get("metadata") or {}).get("name", ""))
        for each in (raw.get("spec") or {}).get("volumeClaimTemplates") or ()
    ]
    if not claims:
        return pod
    spec = pod.get("spec") or {}
    own = [each for each in spec.get("volumes") or () if each.get("name") not in claims]
    volumes = [{"name": one, "persistentVolumeClaim": {"claimName": f"{one}-{name}-0"}} for one in claims]
    return {**pod, "spec": {**spec, "volumes": [*own, *volumes]}}


# what comes back


def refusal(status: int, said: str, hidden: t.Iterable[str] = ()) -> Refusal:
    """What a refusal of the API server is about, by its status and message; whoever refuses may quote the pod.

    ``hidden``: what is not told.
    """
    text = " ".join(said.split())
    for value in sorted(hidden, key=len, reverse=True):
        text = text.replace(" ".join(value.split()), "(hidden)")
    text = text[:_LONGEST].rstrip(".")
    return Refusal(_refused_by(status, text), text or f"status {status}")


def hidden(template: Template) -> frozenset[str]:
    """The values of its variables, any of which may be a password, but for short ones."""
    values = {each.get("value") for container in _all_containers(template.pod) for each in container.get("env") or ()}
    return frozenset(value for value in values if isinstance(value, str) and len(value) >= _SHORTEST)


def _refused_by(status: int, text: str) -> str:
    mine = f'webhook "{NAME}"' in text
    if "does not support dry run" in text:
        return NOT_TRIED
    if "failed calling webhook" in text:
        return UNREACHED if mine else POLICY
    if "admission webhook" in text and "denied the request" in text:
        return REFUSED if mine else POLICY
    if "ValidatingAdmissionPolicy" in text:
        return POLICY
    if status == 403 and "violates PodSecurity" in text:
        return POD_SECURITY
    if status == 403 and _QUOTA.search(text):
        return QUOTA
    if status == 403 and "cannot create resource" in text:  # the user of the connection
        return NOT_TRIED
    return ADMISSION if 400 <= status < 500 and status not in (401, 404, 429) else NOT_TRIED


def judge(template: Template, without: Reply, with_label: Reply, why_left: str = "") -> DryRun:
    """What the label (and the proxy, where both replies are of pods with it) changes.

    ``why_left``: why the webhook leaves pods of this namespace as they are; empty where it does not.
    """
    if with_label.refusal is not None:
        return _refused(template, with_label.refusal, without.refusal)
    if without.refusal is not None:
        said = f"Without the label it is refused ({without.refusal.said}), so that nothing can be compared"
        return DryRun(NOT_TRIED, _sentence(template, said, NOT_TRIED), refused_without=True)
    before, after = without.pod or {}, with_label.pod or {}
    volume = _token_volume(after)
    containers = _containers(before, after, volume)
    lost, changed, added = _sorted(before, after, volume)
    injected = (PROXY_INIT_CONTAINER, PROXY_CONTAINER)
    facts: dict[str, t.Any] = {
        "token_volume": volume,
        "containers": containers,
        "proxy_containers": tuple(name for name in _names(after) if name in injected and name not in _names(before)),
        "native_proxy": _has_native_proxy(after),
        "before_redirect": _before_redirect(after),
        "lost": lost,
        "changed": changed,
        "added": added,
    }
    if lost or changed:
        several = ", ".join((*lost, *(f"{each} (changed)" for each in changed)))
        text = f"With the label it would lose {several}"
        return DryRun(LOSES_FIELDS, _sentence(template, text, LOSES_FIELDS), **facts)
    if volume is None or not any(each.has_token for each in containers):
        why = why_left or _why_left(after, volume)
        return DryRun(LEFT_ALONE, f"{template.label} would get no token of Workload ID: {why}.", **facts)
    skipped = [each.name for each in containers if not each.has_token]
    rest = f", all but {', '.join(skipped)}" if skipped else ""
    proxy = " and the proxy" if facts["proxy_containers"] else ""
    return DryRun(
        MUTATED, f"The containers of {template.label} would get a token of Workload ID{proxy}{rest}.", **facts
    )


def why_left(webhooks: t.Sequence[Webhook], namespace_labels: t.Mapping[str, str] | None) -> str:
    """Why no webhook changes pods of a namespace, as a clause; empty where one does, or where nobody knows."""
    if not webhooks:
        return "the cluster has no webhook of Workload ID"
    if namespace_labels is not None and not any(one.covers(namespace_labels) for one in webhooks):
        return "the webhook passes its namespace over (namespaceSelector)"
    return ""


def _why_left(pod: Raw, volume: TokenVolume | None) -> str:
    if volume is not None:
        skipped = ((pod.get("metadata") or {}).get("annotations") or {}).get(SKIP_ANNOTATION, "")
        return f"its annotation {SKIP_ANNOTATION} names all its containers ({skipped})"
    return (
        "the webhook was not called or did nothing; with the failurePolicy Ignore that is what happens while it does "
        "not serve"
    )


def _refused(template: Template, refused: Refusal, without: Refusal | None) -> DryRun:
    also = without is not None
    text = "It" if also else "With the label it"
    text += f" would be refused ({refused.said})" + (", also without the label" if also else "")
    if refused.code == NOT_TRIED:
        text = f"The API server told nothing of it ({refused.said})"
    return DryRun(refused.code, _sentence(template, text, refused.code), refused_without=also)


def _sentence(template: Template, text: str, code: str) -> str:
    return f"{template.label}: {text[0].lower()}{text[1:]}; {_ADVICE[code]}."


# what differs


def differences(before: Raw, after: Raw) -> tuple[Difference, ...]:
    """Between two pods as the API server returns them, the topmost fields; what it makes up each time is left out."""
    return tuple(_walk(_comparable(before), _comparable(after), ()))


def _comparable(pod: Raw) -> dict[str, t.Any]:
    metadata = {key: value for key, value in (pod.get("metadata") or {}).items() if key in _COMPARED}
    for key, own in (("labels", USE_LABEL), ("annotations", PROXY_ANNOTATION)):
        metadata[key] = {name: value for name, value in (metadata.get(key) or {}).items() if name != own}
    return {"metadata": metadata, "spec": _renamed(pod.get("spec") or {})}


def _renamed(value: t.Any) -> t.Any:
    """With one name for the volume whose name is another each time."""
    if isinstance(value, dict):
        return {key: _renamed(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_renamed(each) for each in value]
    return "kube-api-access" if isinstance(value, str) and _API_ACCESS.fullmatch(value) else value


def _walk(before: t.Any, after: t.Any, path: tuple[str, ...]) -> t.Iterator[Difference]:
    if isinstance(before, dict) and isinstance(after, dict):
        for key in dict.fromkeys((*before, *after)):
            where = (*path, str(key))
            empty: t.Any = [] if _key_of(where) else {} if path == ("metadata",) else None
            one, other = before.get(key, empty), after.get(key, empty)
            if one is None and other is not None:
                yield Difference("added", where, other)
            elif other is None and one is not None:
                yield Difference("lost", where)
            else:
                yield from _walk(one, other, where)
    elif isinstance(before, list) and isinstance(after, list):
        one, other = _keyed(before, after, _key_of(path))
        for name in dict.fromkeys((*one, *other)):
            where = (*path, f"[{name}]")
            if name not in one:
                yield Difference("added", where, other[name])
            elif name not in other:
                yield Difference("lost", where)
            else:
                yield from _walk(one[name], other[name], where)
    elif before != after:
        yield Difference("changed", path, after)


def _key_of(path: tuple[str, ...]) -> str:
    """The key of the entries of a list there; empty where they have none."""
    if len(path) == 2 and path[0] == "spec":
        return _OF_POD.get(path[1], "")
    if len(path) == 4 and path[0] == "spec" and path[1] in _CONTAINERS:
        return _OF_CONTAINER.get(path[3], "")
    return ""


def _keyed(before: list[t.Any], after: list[t.Any], key: str) -> tuple[dict[str, t.Any], dict[str, t.Any]]:
    """Both lists by the key of their entries; by their places where that tells not all of them apart."""
    if key and all(_tells_apart(each, key) for each in (before, after)):
        return ({str(each[key]): each for each in before}, {str(each[key]): each for each in after})
    return (
        {str(number): each for number, each in enumerate(before)},
        {str(number): each for number, each in enumerate(after)},
    )


def _tells_apart(entries: list[t.Any], key: str) -> bool:
    names = [each.get(key) for each in entries if isinstance(each, dict)]
    return len(names) == len(entries) and None not in names and len(set(names)) == len(names)


def _sorted(
    before: Raw, after: Raw, volume: TokenVolume | None
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """Places of what is lost, changed, and added without being explained by Workload ID."""
    found: dict[str, list[str]] = {"lost": [], "changed": [], "added": []}
    for each in differences(before, after):
        if each.how != "added" or not _is_explained(each, volume):
            found[each.how].append(str(each))
    return tuple(sorted(found["lost"])), tuple(sorted(found["changed"])), tuple(sorted(found["added"]))


def _is_explained(one: Difference, volume: TokenVolume | None) -> bool:
    name = one.value.get("name") if isinstance(one.value, dict) else None
    place, own = one.path[1:-1], volume.name if volume else None
    if one.path[0] != "spec":
        return False
    if place == ("volumes",):
        return name is not None and name == own
    if len(place) == 1 and place[0] in _CONTAINERS:
        return name in (PROXY_CONTAINER, PROXY_INIT_CONTAINER)
    if len(place) == 3 and place[0] in _CONTAINERS and place[2] == "env":
        return name in VARIABLES
    if len(place) == 3 and place[0] in _CONTAINERS and place[2] == "volumeMounts":
        return name is not None and name == own
    return False


# what Workload ID adds


def _token_volume(pod: Raw) -> TokenVolume | None:
    """The volume with the file that containers are told, or that the webhook names so: the skipped ones are told none.

    A pod may have tokens of its service account for others as well, such as a vault.
    """
    told = {
        (str(mount.get("name")), str(mount.get("mountPath")).rstrip("/"), _variables(container)[TOKEN_FILE_VARIABLE])
        for container in _all_containers(pod)
        if TOKEN_FILE_VARIABLE in _variables(container)
        for mount in container.get("volumeMounts") or ()
    }
    for volume in (pod.get("spec") or {}).get("volumes") or ():
        name = str(volume.get("name", ""))
        for source in (volume.get("projected") or {}).get("sources") or ():
            token = source.get("serviceAccountToken") or {}
            path = str(token.get("path", ""))
            is_told = any(mounted == name and file == f"{place}/{path}" for mounted, place, file in told)
            if token and (name == TOKEN_PATH or is_told):
                seconds = int(token.get("expirationSeconds") or 0)
                return TokenVolume(name, path, str(token.get("audience") or ""), seconds)
    return None


def _containers(before: Raw, after: Raw, volume: TokenVolume | None) -> tuple[ContainerChange, ...]:
    """Of the containers that the template has."""
    found = []
    for key in _CONTAINERS:
        own = {str(each.get("name")): each for each in (before.get("spec") or {}).get(key) or ()}
        for container in (after.get("spec") or {}).get(key) or ():
            name = str(container.get("name", ""))
            if name in own:
                found.append(_container(own[name], container, key == "initContainers", volume))
    return tuple(found)


def _container(before: Raw, after: Raw, init: bool, volume: TokenVolume | None) -> ContainerChange:
    had, has = _variables(before), _variables(after)
    mounts = {str(each.get("name")) for each in after.get("volumeMounts") or ()}
    return ContainerChange(
        name=str(after.get("name", "")),
        init=init,
        has_token=TOKEN_FILE_VARIABLE in has and volume is not None and volume.name in mounts,
        added={name: has[name] for name in VARIABLES if name in has and name not in had},
        own=tuple(name for name in VARIABLES if name in had),
        client_id=has.get(CLIENT_ID_VARIABLE, ""),
    )


def _variables(container: Raw) -> dict[str, str]:
    """Empty for what is told by reference."""
    return {str(each.get("name")): str(each.get("value") or "") for each in container.get("env") or ()}


def _all_containers(pod: Raw) -> list[Raw]:
    return [each for key in _CONTAINERS for each in (pod.get("spec") or {}).get(key) or ()]


def _names(pod: Raw) -> list[str]:
    return [str(each.get("name", "")) for each in _all_containers(pod)]


def _has_native_proxy(pod: Raw) -> bool:
    return any(
        each.get("name") == PROXY_CONTAINER and each.get("restartPolicy") == "Always"
        for each in (pod.get("spec") or {}).get("initContainers") or ()
    )


def _before_redirect(pod: Raw) -> tuple[str, ...]:
    names = [str(each.get("name", "")) for each in (pod.get("spec") or {}).get("initContainers") or ()]
    if PROXY_INIT_CONTAINER not in names:
        return ()
    return tuple(name for name in names[: names.index(PROXY_INIT_CONTAINER)] if name != PROXY_CONTAINER)
