# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""What must change so that an AzureIdentity and its AzureIdentityBinding are as desired."""

from __future__ import annotations

import base64
import binascii
import functools
import re
import typing as t
from dataclasses import dataclass, field

from ..errors import Failure
from ..kubernetes.objects import Object, Raw, Write, change, check_texts, clean, put_texts, shown, skeleton, texts
from ..matching.matching import BEHAVIOR_ANNOTATION, NAMESPACED, SELECTOR_LABEL, USER_ASSIGNED, Binding, Pod
from ..names import LABEL_VALUE, NAMESPACE_NAME, OBJECT_NAME, RESOURCE_ID, marks
from . import credential_secrets

Key = credential_secrets.Key
IDENTITY, BINDING, SECRET = "AzureIdentity", "AzureIdentityBinding", "Secret"
API_VERSION = "aadpodidentity.k8s.io/v1"

_CLIENT_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_WORDS = re.compile(r"[\w().-]+")
_PASSWORD_KEY = "clientSecret"


@dataclass(frozen=True)
class Desired:
    """The options of one pair; None is unset. ``unknown`` holds texts that stand for values not known yet.

    ``only`` is 'identity' or 'binding' where the other half is not meant.
    """

    name: str
    namespace: str
    binding_name: str
    owner: str = "default"
    type: int | None = None
    resource_id: str | None = None
    client_id: str | None = None
    tenant_id: str | None = None
    auxiliary_tenant_ids: tuple[str, ...] | None = None
    ad_resource_id: str | None = None
    ad_endpoint: str | None = None
    selector: str | None = None
    behavior: str | None = None
    labels: t.Mapping[str, str] = field(default_factory=dict)
    annotations: t.Mapping[str, str] = field(default_factory=dict)
    secret_name: str | None = None
    secret_namespace: str | None = None
    client_password: str | None = field(default=None, repr=False)
    client_certificate: str | None = field(default=None, repr=False)
    adopt: bool = False
    unknown: frozenset[str] = frozenset()
    only: str | None = None
    present: bool = True
    allow_in_use: bool = False
    any_client_id: bool = False

    @property
    def key(self) -> Key:
        """Of the identity."""
        return self.namespace, self.name

    @property
    def binding_key(self) -> Key:
        return self.namespace, self.binding_name

    @property
    def with_identity(self) -> bool:
        return self.only != "binding"

    @property
    def with_binding(self) -> bool:
        return self.only != "identity"

    @classmethod
    def parse(cls, options: Raw, unknown: t.Iterable[str] = ()) -> Desired:
        """The options of azure_identity_binding; what is left out is unset."""
        secret = options.get("client_password_secret") or {}
        tenants = options.get("auxiliary_tenant_ids")
        same = "type resource_id client_id tenant_id ad_resource_id ad_endpoint selector behavior only"
        return cls(
            **{name: options.get(name) for name in (*same.split(), "client_password", "client_certificate")},
            name=options["name"],
            namespace=options["namespace"],
            binding_name=options.get("binding_name") or options["name"],
            owner=options["owner"],
            auxiliary_tenant_ids=None if tenants is None else tuple(tenants),
            labels=texts("labels", options.get("labels")),
            annotations=texts("annotations", options.get("annotations")),
            secret_name=secret.get("name"),
            secret_namespace=secret.get("namespace"),
            adopt=bool(options.get("adopt")),
            unknown=frozenset(unknown),
            present=options.get("state") != "absent",
            allow_in_use=bool(options.get("allow_in_use")),
            any_client_id="client_id_case" in (options.get("accept") or ()),
        )


@dataclass(frozen=True)
class User:
    """What carries a selector: a pod that lives, or an object whose pods will."""

    label: str
    namespace: str
    selector: str


@dataclass(frozen=True)
class Observed:
    """What the cluster holds. ``pods``, ``assigned`` and ``templates`` are None where they may not be read.

    ``offline``: nothing could be asked, because the cluster or its custom resource definitions are still to come.
    ``templates`` are looked at only where something is to go.
    """

    identities: tuple[Raw, ...] = ()
    bindings: tuple[Raw, ...] = ()
    secrets: tuple[Raw, ...] = ()
    pods: tuple[Pod, ...] | None = ()
    assigned: tuple[Raw, ...] | None = ()
    templates: tuple[User, ...] | None = ()
    offline: bool = False

    def identity(self, desired: Desired) -> Raw | None:
        return self.identities_by_key.get(desired.key)

    def binding(self, desired: Desired) -> Raw | None:
        return self.bindings_by_key.get(desired.binding_key)

    def secret(self, place: Key | None) -> Raw | None:
        return self._secrets.get(place) if place else None

    @functools.cached_property
    def identities_by_key(self) -> dict[Key, Raw]:
        return {_key(raw): raw for raw in self.identities}

    @functools.cached_property
    def bindings_by_key(self) -> dict[Key, Raw]:
        return {_key(raw): raw for raw in self.bindings}

    @functools.cached_property
    def _secrets(self) -> dict[Key, Raw]:
        return {_key(raw): raw for raw in self.secrets}

    @functools.cached_property
    def _bindings_of(self) -> dict[Key, list[Raw]]:
        found: dict[Key, list[Raw]] = {}
        for raw in self.bindings:
            found.setdefault((_key(raw)[0], Binding.parse(raw).identity), []).append(raw)
        return found

    def bindings_of(self, identity: Key) -> t.Sequence[Raw]:
        """The bindings that hand out the identity."""
        return self._bindings_of.get(identity, ())

    @functools.cached_property
    def _pods(self) -> dict[str, list[Pod]]:
        found: dict[str, list[Pod]] = {}
        for pod in self.pods or ():
            found.setdefault(pod.selector, []).append(pod)
        return found

    def carrying(self, selector: str, namespace: str | None) -> t.Sequence[Pod]:
        """The pods with that label value, in one namespace or in every one."""
        pods = self._pods.get(selector, ()) if selector else ()
        return [pod for pod in pods if namespace is None or pod.namespace == namespace]

    @functools.cached_property
    def _assigned(self) -> dict[Key, list[Raw]]:
        found: dict[Key, list[Raw]] = {}
        for raw in self.assigned or ():
            reference = ((raw.get("spec") or {}).get("azureIdentityRef") or {}).get("metadata") or {}
            found.setdefault((reference.get("namespace", ""), reference.get("name", "")), []).append(raw)
        return found

    def assigned_to(self, identity: Key) -> tuple[Object, ...]:
        """The AzureAssignedIdentities of the identity, short."""
        found = [
            {
                "name": (raw.get("metadata") or {}).get("name", ""),
                "pod": (raw.get("spec") or {}).get("pod", ""),
                "namespace": (raw.get("spec") or {}).get("podNamespace", ""),
                "node": (raw.get("spec") or {}).get("nodename", ""),
                "status": (raw.get("status") or {}).get("status", ""),
            }
            for raw in self._assigned.get(identity, ())
        ]
        return tuple(sorted(found, key=lambda entry: (entry["namespace"], entry["pod"], entry["name"])))

    def up_to_date(self, name: str) -> bool:
        """Whether MIC made the AzureAssignedIdentity of the identity and the binding that are there now."""
        return name in self._up_to_date

    @functools.cached_property
    def _up_to_date(self) -> frozenset[str]:
        found = set()
        for raw in self.assigned or ():
            spec = raw.get("spec") or {}
            pieces = [
                (spec.get(reference) or {}, live)
                for reference, live in (
                    ("azureIdentityRef", self.identities_by_key),
                    ("azureBindingRef", self.bindings_by_key),
                )
            ]
            if all(_same_version(piece, live.get(_key(piece))) for piece, live in pieces):
                found.add(_key(raw)[1])
        return frozenset(found)


@dataclass(frozen=True)
class Decision:
    """What one desired object changes. ``result`` is what the module returns of it."""

    before: Object
    after: Object
    writes: tuple[Write, ...]
    result: Object


# what is looked at


def credential(desired: Desired, identity: Raw | None) -> Key | None:
    """Namespace and name of the Secret behind the identity; None for a managed identity."""
    if _type(desired, identity) == USER_ASSIGNED:
        return None
    place = credential_secrets.referred(identity) if identity else None
    namespace, name = place or (desired.namespace, _usual_secret(desired))
    return desired.secret_namespace or namespace, desired.secret_name or name


def named_credential(desired: Desired) -> Key | None:
    """The Secret that the options name, whatever an AzureIdentity says; None where they name no namespace."""
    name = desired.secret_name or _usual_secret(desired)
    return (desired.secret_namespace, name) if desired.secret_namespace else None


def _usual_secret(desired: Desired) -> str:
    return f"{desired.name}-credential"


def selectors(desired: Desired, observed: Observed) -> frozenset[str]:
    """The label values of the pods that a change of the pair can touch."""
    live = observed.binding(desired)
    bindings = [*observed.bindings_of(desired.key), *([live] if live else [])]
    theirs = {Binding.parse(raw).selector for raw in bindings} | {desired.selector or ""}
    return frozenset(value for value in theirs if LABEL_VALUE.fullmatch(value))


def served(desired: Desired, observed: Observed) -> tuple[Pod, ...] | None:
    """The pods that the pair will serve when it is as desired, apart from those that end; None where unknown."""
    identity = _wanted_identity(desired, observed.identity(desired))
    return _served(observed, _wanted_binding(desired, observed.binding(desired)), identity)


def _served(observed: Observed, binding: Raw, identity: Raw) -> tuple[Pod, ...] | None:
    if observed.pods is None:
        return None
    pods = observed.carrying(Binding.parse(binding).selector, reach(identity))
    return tuple(pod for pod in pods if pod.node and pod.lives)


# what is decided


def decide_present(desired: Desired, observed: Observed, whole: Desired | None = None) -> Decision:
    """Secret, identity, binding, in this order: nothing refers to what is not there yet.

    ``whole`` is what is desired with what other entries of a list say of the same identity.
    """
    whole = whole or desired
    identity, binding = observed.identity(desired), observed.binding(desired) if desired.with_binding else None
    _validate(desired, whole, identity, binding)
    wanted_identity = _wanted_identity(whole, identity)
    place = credential(whole, identity) if desired.with_identity else None
    before: Object = {"identity": clean(identity or {}), "binding": clean(binding or {})}
    after = dict(before)
    result: Object = {
        "identity": shown(identity or {}),
        "binding": shown(binding or {}),
        "secret": {},
        "matching_pods": None,
    }
    writes: list[Write] = []
    if place:
        before["secret"] = after["secret"] = hidden(observed.secret(place), False)
        result["secret"] = {"namespace": place[0], "name": place[1]}
        wanted_secret = _wanted_secret(whole, observed, place)
        if wanted_secret is not None:
            live = observed.secret(place)
            writes += change("secret", SECRET, live, wanted_secret, owner=desired.owner, adopt=desired.adopt)
        if writes:
            after["secret"] = hidden(wanted_secret, True)
    if desired.with_identity:
        affected = _affected(desired, observed, reach(wanted_identity))
        writes += change(
            "identity",
            IDENTITY,
            identity,
            wanted_identity,
            owner=desired.owner,
            adopt=desired.adopt,
            effect=f"MIC assigns it anew to {count(affected)}" if identity else "",
            pods=affected,
            removable=[("metadata", "annotations", BEHAVIOR_ANNOTATION)],
            unknown=whole.unknown,
        )
    if desired.with_binding:
        wanted_binding = _wanted_binding(desired, binding)
        pods = _served(observed, wanted_binding, wanted_identity)
        result["matching_pods"] = None if pods is None else len(pods)
        writes += change(
            "binding",
            BINDING,
            binding,
            wanted_binding,
            owner=desired.owner,
            adopt=desired.adopt,
            effect=f"{count(pods)} {'gets' if pods is not None and len(pods) == 1 else 'get'} the identity",
            pods=pods,
        )
    changed = {write.key for write in writes}
    for key, wanted in (("identity", wanted_identity), ("binding", wanted_binding if desired.with_binding else {})):
        if key in changed:
            after[key], result[key] = clean(wanted), shown(wanted)
    result["assigned"] = list(observed.assigned_to(desired.key))
    return Decision(before, after, tuple(writes), result)


def rendered(desired: Desired) -> tuple[Object, Object]:
    """AzureIdentity and AzureIdentityBinding as a cluster would get them that has neither."""
    result = decide_present(desired, Observed(offline=True)).result
    return result["identity"], result["binding"]


# parts


def _same_version(left: Raw, right: Raw | None) -> bool:
    versions = [((raw or {}).get("metadata") or {}).get("resourceVersion") for raw in (left, right)]
    return versions[0] in (None, versions[1])


def _key(raw: Raw) -> Key:
    metadata = raw.get("metadata") or {}
    return metadata.get("namespace", ""), metadata.get("name", "")


def _type(desired: Desired, identity: Raw | None) -> int:
    live = ((identity or {}).get("spec") or {}).get("type") or USER_ASSIGNED
    return int(live if desired.type is None else desired.type)


def reach(identity: Raw) -> str | None:
    """The only namespace whose pods get the identity; None for every one."""
    annotations = (identity.get("metadata") or {}).get("annotations") or {}
    return identity["metadata"]["namespace"] if annotations.get(BEHAVIOR_ANNOTATION) == NAMESPACED else None


def _validate(desired: Desired, whole: Desired, identity: Raw | None, binding: Raw | None) -> None:
    check_names(desired)
    check_texts(f"AzureIdentity {path_of(desired.key)}", {**whole.labels, **marks(desired.owner)}, whole.annotations)
    if desired.with_identity:
        _validate_identity(whole, identity)
    if not desired.with_binding:
        return
    what = f"AzureIdentityBinding {path_of(desired.binding_key)}"
    check_texts(what, desired.labels, desired.annotations)
    if binding is None and not desired.selector:
        raise Failure(
            f"{what} needs selector, the value of the label {SELECTOR_LABEL} of the pods; an empty one matches no pod."
        )
    if desired.selector is not None and not LABEL_VALUE.fullmatch(desired.selector):
        raise Failure(
            f"selector {desired.selector!r} of {what} matches no pod, because no label can have that value: use up to "
            "63 letters, digits, '-', '_' and '.', with a letter or digit at both ends."
        )


def check_namespace(namespace: str) -> None:
    if not NAMESPACE_NAME.fullmatch(namespace):
        raise Failure(f"namespace {namespace!r} is no name that Kubernetes accepts: use a-z, 0-9 and '-'.")


def check_names(desired: Desired) -> None:
    check_namespace(desired.namespace)
    for option, name in (("name", desired.name), ("binding_name", desired.binding_name)):
        if not OBJECT_NAME.fullmatch(name):
            raise Failure(f"{option} {name!r} is no name that Kubernetes accepts: use a-z, 0-9, '-' and '.'.")


def path_of(key: Key) -> str:
    return "/".join(key)


def _validate_identity(desired: Desired, identity: Raw | None) -> None:
    what = f"AzureIdentity {path_of(desired.key)}"
    kind = _type(desired, identity)
    needed = ["client_id"] + (["resource_id"] if kind == USER_ASSIGNED else ["tenant_id"])
    given = (identity or {}).get("spec") or {}
    for option in needed:
        if not getattr(desired, option) and not given.get(FIELDS[option]):
            raise Failure(f"{what} needs {option}, because its type is {kind}.")
    if kind != USER_ASSIGNED and desired.resource_id:
        raise Failure(f"{what} has type {kind}, a service principal, which has no resource_id: leave it out.")
    if desired.resource_id and desired.resource_id not in desired.unknown:
        match = RESOURCE_ID.fullmatch(desired.resource_id)
        if not match or not all(_WORDS.fullmatch(part) for part in match.groups()):
            raise Failure(
                f"resource_id {desired.resource_id!r} is no user-assigned identity, MIC would ignore {what}: use "
                "/subscriptions/<id>/resourceGroups/<group>/providers/Microsoft.ManagedIdentity/"
                "userAssignedIdentities/<name>."
            )
    if desired.client_id and desired.client_id not in desired.unknown and not _CLIENT_ID.fullmatch(desired.client_id):
        if not _CLIENT_ID.fullmatch(desired.client_id.lower()):
            raise Failure(f"client_id {desired.client_id!r} of {what} must be a GUID in lower case: correct it.")
        if not desired.any_client_id:
            raise Failure(
                f"client_id {desired.client_id!r} of {what} must be a GUID in lower case, because NMI compares it "
                "exactly with what applications ask for: correct it, or set accept: [client_id_case] where they ask "
                "for that very spelling, or for none."
            )
    for option, name in (
        ("client_password_secret", desired.secret_name),
        ("client_password_secret", desired.secret_namespace),
    ):
        if name is not None and not OBJECT_NAME.fullmatch(name):
            raise Failure(f"{option} of {what} has the name {name!r}, which Kubernetes does not accept: correct it.")


FIELDS = {
    "type": "type",
    "resource_id": "resourceID",
    "client_id": "clientID",
    "tenant_id": "tenantID",
    "auxiliary_tenant_ids": "auxiliaryTenantIDs",
    "ad_resource_id": "adResourceID",
    "ad_endpoint": "adEndpoint",
}


def _wanted_identity(desired: Desired, live: Raw | None) -> Object:
    """The identity with everything that is named in ``desired``; what is not named there is as it is."""
    wanted = _skeleton(IDENTITY, live, desired, desired.name)
    spec = wanted.setdefault("spec", {})
    for option, name in FIELDS.items():
        value = getattr(desired, option)
        if value is None:
            continue
        if option == "resource_id" and str(spec.get(name, "")).lower() == value.lower():
            continue
        spec[name] = list(value) if isinstance(value, tuple) else value
    spec.setdefault("type", USER_ASSIGNED)
    place = credential(desired, live)
    if place:
        spec["clientPassword"] = {**(spec.get("clientPassword") or {}), "namespace": place[0], "name": place[1]}
    annotations = wanted["metadata"].setdefault("annotations", {})
    if desired.behavior == NAMESPACED:
        annotations[BEHAVIOR_ANNOTATION] = NAMESPACED
    elif desired.behavior is not None and annotations.get(BEHAVIOR_ANNOTATION) == NAMESPACED:
        del annotations[BEHAVIOR_ANNOTATION]
    if not annotations:
        del wanted["metadata"]["annotations"]
    return wanted


def _wanted_binding(desired: Desired, live: Raw | None) -> Object:
    wanted = _skeleton(BINDING, live, desired, desired.binding_name)
    spec = wanted.setdefault("spec", {})
    spec["azureIdentity"] = desired.name
    if desired.selector is not None:
        spec["selector"] = desired.selector
    return wanted


def _skeleton(kind: str, live: Raw | None, desired: Desired, name: str) -> Object:
    wanted = skeleton(kind, API_VERSION, live, desired.namespace, name)
    put_texts(
        wanted, desired.labels, desired.annotations, marks(desired.owner) if live is None or desired.adopt else {}
    )
    return wanted


def _wanted_secret(desired: Desired, observed: Observed, place: Key) -> Object | None:
    live, kind = observed.secret(place), _type(desired, observed.identity(desired))
    what = f"Secret {place[0]}/{place[1]}"
    keys = sorted((live or {}).get("data") or {})
    if kind == 1 and desired.client_certificate is not None:
        raise Failure(f"AzureIdentity {desired.namespace}/{desired.name} has type 1: leave out client_certificate.")
    if (desired.client_certificate if kind == 2 else desired.client_password) is None:
        if kind == 2 and desired.client_password is not None:
            raise Failure("client_password is the password of client_certificate with type 2: set that too.")
        if not observed.offline:
            _check_foreign_secret(what, live, keys, kind)
        return None
    if place[0] != desired.namespace and place != named_credential(desired):
        raise Failure(
            f"{what} is not written, because AzureIdentity {desired.namespace}/{desired.name}, which names it, is in "
            "another namespace: set name and namespace of client_password_secret."
        )
    if kind == 1:
        if len(keys) > 1:
            raise Failure(
                f"{what} has the keys {', '.join(keys)}, and NMI takes any of them as the password: "
                "leave exactly one, or name another Secret in client_password_secret."
            )
        data = {(keys or [_PASSWORD_KEY])[0]: _encoded((desired.client_password or "").encode())}
    else:
        data = {
            "certificate": _encoded(_decoded(desired.client_certificate or "")),
            "password": _encoded((desired.client_password or "").encode()),
        }
    fresh = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"namespace": place[0], "name": place[1]},
        "type": "Opaque",
    }
    wanted = shown(live or fresh)
    wanted["data"] = {**(wanted.get("data") or {}), **data}
    if live is None or desired.adopt:
        wanted["metadata"]["labels"] = {**(wanted["metadata"].get("labels") or {}), **marks(desired.owner)}
    return wanted


def _check_foreign_secret(what: str, live: Raw | None, keys: list[str], kind: int) -> None:
    if live is None:
        raise Failure(f"{what} does not exist: create it, or give the credential to this module.")
    if kind == 1 and len(keys) != 1:
        raise Failure(f"{what} must have exactly one key with the password, it has {len(keys)}: NMI takes any of them.")
    if kind == 2 and not {"certificate", "password"} <= set(keys):
        raise Failure(f"{what} must have the keys certificate and password, it has {', '.join(keys) or 'none'}.")


def _encoded(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise Failure("client_certificate is not base64: pass the PKCS#12 file through b64encode.") from error


def _affected(desired: Desired, observed: Observed, namespace: str | None) -> tuple[Pod, ...] | None:
    """The pods of every binding that hands out the identity."""
    if observed.pods is None:
        return None
    found = {}
    for raw in observed.bindings_of(desired.key):
        for pod in observed.carrying(Binding.parse(raw).selector, namespace):
            if pod.node:
                found[(pod.namespace, pod.name)] = pod
    return tuple(found.values())


def count(pods: t.Sequence[Pod] | None) -> str:
    if pods is None:
        return "an unknown number of pods"
    return f"{len(pods)} pod" if len(pods) == 1 else f"{len(pods)} pods"


def hidden(secret: Raw | None, new: bool) -> Object:
    """A Secret for a diff: what this collection writes of it, and its values only as same or new.

    Annotations of others may hold the whole Secret.
    """
    if secret is None:
        return {}
    metadata, ours = secret.get("metadata") or {}, marks("")
    labels = {key: value for key, value in (metadata.get("labels") or {}).items() if key in ours}
    document = {key: secret[key] for key in ("apiVersion", "kind", "type") if key in secret}
    document["metadata"] = {key: metadata[key] for key in ("name", "namespace") if key in metadata}
    if labels:
        document["metadata"]["labels"] = labels
    document["data"] = dict.fromkeys(sorted(secret.get("data") or {}), "(hidden, new value)" if new else "(hidden)")
    return document
