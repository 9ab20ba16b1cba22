# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""What must change so that an AzureIdentity and its AzureIdentityBinding are as wished."""

from __future__ import annotations

import base64
import binascii
import copy
import re
import typing as t
from dataclasses import dataclass, field

from .errors import Failure
from .matching import BEHAVIOR_ANNOTATION, NAMESPACED, SELECTOR_LABEL, USER_ASSIGNED, Pod
from .names import FIELD_MANAGER, LABEL_VALUE, OBJECT_NAME, OWNER, RESOURCE_ID, is_ours, marks

Object = dict[str, t.Any]
Raw = t.Mapping[str, t.Any]

_CLIENT_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_API = "aadpodidentity.k8s.io/v1"
_NOISE = ("managedFields", "resourceVersion", "uid", "creationTimestamp", "generation", "selfLink")
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_PASSWORD_KEY = "clientSecret"


@dataclass(frozen=True)
class Wish:
    """The options of one pair; None is unset. ``unknown`` holds texts that stand for values not known yet."""

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

    @classmethod
    def parse(cls, options: Raw, unknown: t.Iterable[str] = ()) -> Wish:
        """The options of azure_identity_binding; what is left out is unset."""
        secret = options.get("client_password_secret") or {}
        tenants = options.get("auxiliary_tenant_ids")
        same = "type resource_id client_id tenant_id ad_resource_id ad_endpoint selector behavior"
        return cls(
            **{name: options.get(name) for name in (*same.split(), "client_password", "client_certificate")},
            name=options["name"],
            namespace=options["namespace"],
            binding_name=options.get("binding_name") or options["name"],
            owner=options["owner"],
            auxiliary_tenant_ids=None if tenants is None else tuple(tenants),
            labels=_texts(options.get("labels")),
            annotations=_texts(options.get("annotations")),
            secret_name=secret.get("name"),
            secret_namespace=secret.get("namespace"),
            adopt=bool(options.get("adopt")),
            unknown=frozenset(unknown),
        )


@dataclass(frozen=True)
class Observed:
    """What the cluster holds. ``pods`` and ``assigned`` are None where they may not be read.

    ``offline``: nothing could be asked, because the cluster or its custom resource definitions are still to come.
    """

    identities: tuple[Raw, ...] = ()
    bindings: tuple[Raw, ...] = ()
    secret: Raw | None = None
    pods: tuple[Pod, ...] | None = ()
    assigned: tuple[Raw, ...] | None = ()
    offline: bool = False

    def identity(self, wish: Wish) -> Raw | None:
        return _find(self.identities, wish.namespace, wish.name)

    def binding(self, wish: Wish) -> Raw | None:
        return _find(self.bindings, wish.namespace, wish.binding_name)


@dataclass(frozen=True)
class Change:
    """One write. ``body`` is what is applied, None for a deletion; ``live`` is what is there, None for a creation."""

    key: str
    kind: str
    summary: str
    body: Object | None
    live: Raw | None
    force: bool = False
    remove_behavior: bool = False
    certain: bool = True

    @property
    def namespace(self) -> str:
        return str(((self.body or self.live or {}).get("metadata") or {}).get("namespace", ""))

    @property
    def name(self) -> str:
        return str(((self.body or self.live or {}).get("metadata") or {}).get("name", ""))


@dataclass(frozen=True)
class Decision:
    before: Object
    after: Object
    changes: tuple[Change, ...]
    result: Object
    warnings: tuple[str, ...] = ()


# what is looked at


def credential(wish: Wish, identity: Raw | None) -> tuple[str, str] | None:
    """Namespace and name of the Secret behind the identity; None for a managed identity."""
    if _type(wish, identity) == USER_ASSIGNED:
        return None
    reference = ((identity or {}).get("spec") or {}).get("clientPassword") or {}
    return (
        wish.secret_namespace or reference.get("namespace") or wish.namespace,
        wish.secret_name or reference.get("name") or f"{wish.name}-credential",
    )


def selectors(wish: Wish, bindings: t.Iterable[Raw]) -> frozenset[str]:
    """The label values of the pods that a change of the pair can touch."""
    theirs = {
        (raw.get("spec") or {}).get("selector", "")
        for raw in bindings
        if _names_identity(raw, wish) or _is(raw, wish.namespace, wish.binding_name)
    }
    return frozenset(value for value in theirs | {wish.selector or ""} if LABEL_VALUE.fullmatch(value))


def assigned_to(wish: Wish, assigned: t.Iterable[Raw]) -> tuple[Object, ...]:
    """The AzureAssignedIdentities of the identity, short."""
    found = []
    for raw in assigned:
        spec = raw.get("spec") or {}
        reference = (spec.get("azureIdentityRef") or {}).get("metadata") or {}
        if (reference.get("namespace"), reference.get("name")) == (wish.namespace, wish.name):
            found.append(
                {
                    "name": (raw.get("metadata") or {}).get("name", ""),
                    "pod": spec.get("pod", ""),
                    "namespace": spec.get("podNamespace", ""),
                    "node": spec.get("nodename", ""),
                    "status": (raw.get("status") or {}).get("status", ""),
                }
            )
    return tuple(sorted(found, key=lambda entry: (entry["namespace"], entry["pod"], entry["name"])))


def missing(pods: t.Iterable[Pod], assigned: t.Iterable[Raw]) -> tuple[Pod, ...]:
    """The pods among ``pods`` that have no assignment in state Assigned (or, from an old MIC, without state)."""
    done = {(entry["namespace"], entry["pod"]) for entry in assigned if entry["status"] in ("Assigned", "")}
    return tuple(pod for pod in pods if (pod.namespace, pod.name) not in done)


def matched(pods: t.Iterable[Pod], selector: str, namespace: str | None) -> tuple[Pod, ...]:
    """The scheduled pods with that label value, in one namespace or in every one."""
    return tuple(
        pod
        for pod in pods
        if pod.node and selector and pod.selector == selector and (namespace is None or pod.namespace == namespace)
    )


def pods_of(wish: Wish, observed: Observed) -> tuple[Pod, ...] | None:
    """The pods that the pair will serve when it is as wished, apart from those that end; None where unknown."""
    if observed.pods is None:
        return None
    identity = _wanted_identity(wish, observed.identity(wish))
    selector = _wanted_binding(wish, observed.binding(wish))["spec"].get("selector", "")
    return tuple(pod for pod in matched(observed.pods, selector, _reach(identity)) if pod.lives)


# what is decided


def decide_present(wish: Wish, observed: Observed) -> Decision:
    """Secret, identity, binding, in this order: nothing refers to what is not there yet."""
    identity, binding = observed.identity(wish), observed.binding(wish)
    _validate(wish, identity, binding)
    wanted_identity, wanted_binding = _wanted_identity(wish, identity), _wanted_binding(wish, binding)
    place = credential(wish, identity)
    wanted_secret = _wanted_secret(wish, observed, place, _type(wish, identity)) if place else None
    affected = _affected(wish, observed, _reach(wanted_identity))
    served = pods_of(wish, observed)
    changes = []
    if wanted_secret is not None and place:
        changes += _change(wish, "secret", "Secret", observed.secret, wanted_secret, "")
    changes += _change(
        wish,
        "identity",
        "AzureIdentity",
        identity,
        wanted_identity,
        f"MIC assigns it anew to {_count(affected)}" if identity else "",
    )
    changes += _change(
        wish,
        "binding",
        "AzureIdentityBinding",
        binding,
        wanted_binding,
        f"{_count(served)} {'gets' if served is not None and len(served) == 1 else 'get'} the identity",
    )
    before = _document(identity, binding, observed.secret if place else None)
    changed = {change.key for change in changes}
    after = {
        "identity": clean(wanted_identity if "identity" in changed else identity or {}),
        "binding": clean(wanted_binding if "binding" in changed else binding or {}),
    }
    if place:
        after["secret"] = _hidden(wanted_secret if "secret" in changed else observed.secret, "secret" in changed)
    assigned = assigned_to(wish, observed.assigned or ())
    result = {
        "identity": shown(wanted_identity if "identity" in changed else identity or {}),
        "binding": shown(wanted_binding if "binding" in changed else binding or {}),
        "secret": {"namespace": place[0], "name": place[1]} if place else {},
        "matching_pods": None if served is None else len(served),
        "assigned": list(assigned),
    }
    return Decision(before, after, tuple(changes), result, _warnings(wish, observed, wanted_binding))


def rendered(wish: Wish) -> tuple[Object, Object]:
    """AzureIdentity and AzureIdentityBinding as a cluster would get them that has neither."""
    result = decide_present(wish, Observed(offline=True)).result
    return result["identity"], result["binding"]


def decide_absent(wish: Wish, observed: Observed, *, allow_in_use: bool) -> Decision:
    """Binding, identity, secret, in this order: nothing refers to what is gone already."""
    identity, binding = observed.identity(wish), observed.binding(wish)
    place = credential(wish, identity) if identity else None
    secret = observed.secret if place and observed.secret and is_ours(observed.secret, wish.owner) else None
    if (identity or binding) and not allow_in_use:
        _refuse_in_use(wish, observed, identity)
    changes = []
    for key, kind, live in (
        ("binding", "AzureIdentityBinding", binding),
        ("identity", "AzureIdentity", identity),
        ("secret", "Secret", secret),
    ):
        if live is None:
            continue
        if not is_ours(live, wish.owner) and not wish.adopt:
            raise Failure(
                f"{kind} {_path(live)} does not carry the labels of azureops.pod_identity with the owner "
                f"{wish.owner!r}, so it is not deleted: name its owner, or set adopt: true."
            )
        changes.append(Change(key, kind, f"delete {kind} {_path(live)}", None, live))
    return Decision(
        before=_document(identity, binding, secret),
        after=_document(None, None, None),
        changes=tuple(changes),
        result={"identity": {}, "binding": {}, "secret": {}, "matching_pods": 0, "assigned": []},
    )


def clean(raw: Raw) -> Object:
    """The object without what the server keeps for itself; for a diff."""
    document = shown(raw)
    metadata = document.get("metadata") or {}
    for name in _NOISE:
        metadata.pop(name, None)
    annotations = metadata.get("annotations") or {}
    annotations.pop(_LAST_APPLIED, None)
    if not annotations:
        metadata.pop("annotations", None)
    return document


def shown(raw: Raw) -> Object:
    """The object as a result shows it."""
    document = copy.deepcopy(dict(raw))
    (document.get("metadata") or {}).pop("managedFields", None)
    return document


# parts


def _texts(values: Raw | None) -> dict[str, str]:
    return {key: str(value) for key, value in (values or {}).items()}


def _find(objects: t.Iterable[Raw], namespace: str, name: str) -> Raw | None:
    return next((raw for raw in objects if _is(raw, namespace, name)), None)


def _is(raw: Raw, namespace: str, name: str) -> bool:
    metadata = raw.get("metadata") or {}
    return bool(metadata.get("namespace") == namespace and metadata.get("name") == name)


def _names_identity(binding: Raw, wish: Wish) -> bool:
    spec, metadata = binding.get("spec") or {}, binding.get("metadata") or {}
    return bool(metadata.get("namespace") == wish.namespace and spec.get("azureIdentity") == wish.name)


def _path(raw: Raw) -> str:
    return f"{raw['metadata'].get('namespace', '')}/{raw['metadata']['name']}"


def _type(wish: Wish, identity: Raw | None) -> int:
    live = ((identity or {}).get("spec") or {}).get("type") or USER_ASSIGNED
    return int(live if wish.type is None else wish.type)


def _reach(identity: Raw) -> str | None:
    """The only namespace whose pods get the identity; None for every one."""
    annotations = (identity.get("metadata") or {}).get("annotations") or {}
    return identity["metadata"]["namespace"] if annotations.get(BEHAVIOR_ANNOTATION) == NAMESPACED else None


def _validate(wish: Wish, identity: Raw | None, binding: Raw | None) -> None:
    what = f"AzureIdentity {wish.namespace}/{wish.name}"
    for option, name in (("name", wish.name), ("namespace", wish.namespace), ("binding_name", wish.binding_name)):
        if not OBJECT_NAME.fullmatch(name):
            raise Failure(f"{option} {name!r} is no name that Kubernetes accepts: use a-z, 0-9, '-' and '.'.")
    kind = _type(wish, identity)
    needed = ["client_id"] + (["resource_id"] if kind == USER_ASSIGNED else ["tenant_id"])
    given = (identity or {}).get("spec") or {}
    for option in needed:
        if not getattr(wish, option) and not given.get(_FIELDS[option]):
            raise Failure(f"{what} needs {option}, because its type is {kind}.")
    if binding is None and not wish.selector:
        raise Failure(
            f"AzureIdentityBinding {wish.namespace}/{wish.binding_name} needs selector, the value of the label "
            f"{SELECTOR_LABEL} of the pods; an empty one matches no pod."
        )
    if wish.selector is not None and not LABEL_VALUE.fullmatch(wish.selector):
        raise Failure(
            f"selector {wish.selector!r} matches no pod, because no label can have that value: use up to 63 letters, "
            "digits, '-', '_' and '.', with a letter or digit at both ends."
        )
    if kind != USER_ASSIGNED and wish.resource_id:
        raise Failure(f"{what} has type {kind}, a service principal, which has no resource_id: leave it out.")
    if wish.resource_id and wish.resource_id not in wish.unknown and not RESOURCE_ID.match(wish.resource_id):
        raise Failure(
            f"resource_id {wish.resource_id!r} is no user-assigned identity, MIC would ignore {what}: use "
            "/subscriptions/<id>/resourceGroups/<group>/providers/Microsoft.ManagedIdentity/userAssignedIdentities/<name>."
        )
    if wish.client_id and wish.client_id not in wish.unknown and not _CLIENT_ID.fullmatch(wish.client_id):
        raise Failure(
            f"client_id {wish.client_id!r} of {what} must be a GUID in lower case, because NMI compares it exactly "
            "with what applications ask for."
        )


_FIELDS = {
    "type": "type",
    "resource_id": "resourceID",
    "client_id": "clientID",
    "tenant_id": "tenantID",
    "auxiliary_tenant_ids": "auxiliaryTenantIDs",
    "ad_resource_id": "adResourceID",
    "ad_endpoint": "adEndpoint",
}


def _wanted_identity(wish: Wish, live: Raw | None) -> Object:
    """The identity with everything that the wish names in place; what it does not name is as it is."""
    wanted = _skeleton("AzureIdentity", live, wish, wish.name)
    spec = wanted.setdefault("spec", {})
    for option, name in _FIELDS.items():
        value = getattr(wish, option)
        if value is None:
            continue
        if option == "resource_id" and str(spec.get(name, "")).lower() == value.lower():
            continue
        spec[name] = list(value) if isinstance(value, tuple) else value
    spec.setdefault("type", USER_ASSIGNED)
    place = credential(wish, live)
    if place:
        spec["clientPassword"] = {**(spec.get("clientPassword") or {}), "namespace": place[0], "name": place[1]}
    annotations = wanted["metadata"].setdefault("annotations", {})
    if wish.behavior == NAMESPACED:
        annotations[BEHAVIOR_ANNOTATION] = NAMESPACED
    elif wish.behavior is not None and annotations.get(BEHAVIOR_ANNOTATION) == NAMESPACED:
        del annotations[BEHAVIOR_ANNOTATION]
    if not annotations:
        del wanted["metadata"]["annotations"]
    return wanted


def _wanted_binding(wish: Wish, live: Raw | None) -> Object:
    wanted = _skeleton("AzureIdentityBinding", live, wish, wish.binding_name)
    spec = wanted.setdefault("spec", {})
    spec["azureIdentity"] = wish.name
    if wish.selector is not None:
        spec["selector"] = wish.selector
    return wanted


def _skeleton(kind: str, live: Raw | None, wish: Wish, name: str) -> Object:
    wanted = shown(live or {"apiVersion": _API, "kind": kind, "metadata": {"name": name, "namespace": wish.namespace}})
    metadata = wanted["metadata"]
    labels = {**(metadata.get("labels") or {}), **wish.labels}
    if live is None or wish.adopt:
        labels.update(marks(wish.owner))
    if labels:
        metadata["labels"] = labels
    if wish.annotations:
        metadata["annotations"] = {**(metadata.get("annotations") or {}), **wish.annotations}
    # lists leave them out of their items
    wanted.setdefault("apiVersion", _API)
    wanted.setdefault("kind", kind)
    return wanted


def _wanted_secret(wish: Wish, observed: Observed, place: tuple[str, str], kind: int) -> Object | None:
    """The Secret with the credential of the wish; None where the wish only refers to it."""
    live = observed.secret
    what = f"Secret {place[0]}/{place[1]}"
    keys = sorted((live or {}).get("data") or {})
    if kind == 1 and wish.client_certificate is not None:
        raise Failure(f"AzureIdentity {wish.namespace}/{wish.name} has type 1: leave out client_certificate.")
    if (wish.client_certificate if kind == 2 else wish.client_password) is None:
        if kind == 2 and wish.client_password is not None:
            raise Failure("client_password is the password of client_certificate with type 2: set that too.")
        if not observed.offline:
            _check_foreign_secret(what, live, keys, kind)
        return None
    if kind == 1:
        if len(keys) > 1:
            raise Failure(
                f"{what} has the keys {', '.join(keys)}, and NMI takes any of them as the password: "
                "leave exactly one, or name another Secret in client_password_secret."
            )
        data = {(keys or [_PASSWORD_KEY])[0]: _encoded((wish.client_password or "").encode())}
    else:
        data = {
            "certificate": _encoded(_decoded(wish.client_certificate or "")),
            "password": _encoded((wish.client_password or "").encode()),
        }
    fresh = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"namespace": place[0], "name": place[1]},
        "type": "Opaque",
    }
    wanted = shown(live or fresh)
    wanted["data"] = {**(wanted.get("data") or {}), **data}
    if live is None or wish.adopt:
        wanted["metadata"]["labels"] = {**(wanted["metadata"].get("labels") or {}), **marks(wish.owner)}
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


def _change(wish: Wish, key: str, kind: str, live: Raw | None, wanted: Object, effect: str) -> list[Change]:
    """The write that makes ``live`` like ``wanted``; none where both agree."""
    path = _path(wanted)
    effect = f" ({effect})" if effect else ""
    certain = not any(value in wish.unknown for value in (wanted.get("spec") or {}).values() if isinstance(value, str))
    if live is None:
        return [Change(key, kind, f"create {kind} {path}{effect}", shown(wanted), None, wish.adopt, certain=certain)]
    fields = _differences(live, wanted)
    if not fields:
        return []
    owner = ((live.get("metadata") or {}).get("labels") or {}).get(OWNER, wish.owner)
    if owner != wish.owner and not wish.adopt:
        raise Failure(
            f"{kind} {path} belongs to the owner {owner!r}, so it is not changed: name its owner, or set adopt: true."
        )
    ours = {f"metadata.labels.{name}" for name in marks(wish.owner)}
    verb = "adopt" if set(fields) <= ours else "update"
    detail = "" if verb == "adopt" else " " + ", ".join(field for field in fields if field not in ours)
    removes = f"metadata.annotations.{BEHAVIOR_ANNOTATION}" in fields and wish.behavior not in (None, NAMESPACED)
    holders = _other_managers(live, ("f:metadata", "f:annotations", f"f:{BEHAVIOR_ANNOTATION}")) if removes else ()
    if holders and not wish.adopt:
        raise Failure(
            f"Cannot update {kind} {path}: the annotation {BEHAVIOR_ANNOTATION} belongs to {' and '.join(holders)}; "
            "change it there, or take it over with adopt: true."
        )
    body = _merged(_owned(live), _difference_body(live, wanted))
    if wish.adopt:
        body.update({part: copy.deepcopy(wanted[part]) for part in ("spec", "data") if part in wanted})
    if removes:
        (body["metadata"].get("annotations") or {}).pop(BEHAVIOR_ANNOTATION, None)
    return [
        Change(
            key,
            kind,
            f"{verb} {kind} {path}{detail}{effect}",
            {"apiVersion": wanted["apiVersion"], "kind": kind, **body},
            live,
            force=wish.adopt,
            remove_behavior=bool(holders),
            certain=certain,
        )
    ]


def _differences(live: Raw, wanted: Raw) -> list[str]:
    """Dotted names of what differs, values left out."""
    found = []
    for part, names in (("metadata", ("labels", "annotations")), ("", ("spec", "data"))):
        left, right = (live.get(part) or {}, wanted.get(part) or {}) if part else (live, wanted)
        for name in names:
            mine, theirs = right.get(name) or {}, left.get(name) or {}
            prefix = f"{part}.{name}" if part else name
            found += [
                f"{prefix}.{key}"
                for key in sorted(set(mine) | set(theirs))
                if mine.get(key) != theirs.get(key) and not (prefix == "spec" and key == "type" and not mine.get(key))
            ]
    # a missing type is 0
    if int((wanted.get("spec") or {}).get("type") or 0) != int((live.get("spec") or {}).get("type") or 0):
        found = sorted({*found, "spec.type"})
    return found


def _difference_body(live: Raw, wanted: Raw) -> Object:
    """What has to be applied besides what we own already: the fields of ``wanted`` that differ."""
    body: Object = {"metadata": {"namespace": wanted["metadata"]["namespace"], "name": wanted["metadata"]["name"]}}
    for dotted in _differences(live, wanted):
        section, dummy, rest = dotted.partition(".")
        if section == "metadata":
            part, dummy, key = rest.partition(".")
            value = (wanted["metadata"].get(part) or {}).get(key)
            if value is not None:
                body["metadata"].setdefault(part, {})[key] = value
        else:
            value = (wanted.get(section) or {}).get(rest)
            if value is not None:
                body.setdefault(section, {})[rest] = value
    return body


def _owned(live: Raw) -> Object:
    """What our field manager applied before; it is sent again, because apply takes away what its manager leaves out."""
    body: Object = {}
    for entry in (live.get("metadata") or {}).get("managedFields") or ():
        if entry.get("manager") == FIELD_MANAGER and entry.get("operation") == "Apply":
            body = _merged(body, _extract(live, entry.get("fieldsV1") or {}))
    return body


def _extract(value: t.Any, fields: t.Mapping[str, t.Any]) -> t.Any:
    names = [name[2:] for name in fields if name.startswith("f:")]
    if not names or not isinstance(value, dict):
        return copy.deepcopy(value)
    return {name: _extract(value[name], fields[f"f:{name}"]) for name in names if name in value}


def _other_managers(live: Raw, path: tuple[str, ...]) -> tuple[str, ...]:
    """The managers besides ourselves that own the field."""
    found = set()
    for entry in (live.get("metadata") or {}).get("managedFields") or ():
        if entry.get("manager") == FIELD_MANAGER and entry.get("operation") == "Apply":
            continue
        node: t.Any = entry.get("fieldsV1") or {}
        for name in path:
            node = node.get(name) if isinstance(node, dict) else None
        if node is not None:
            found.add(str(entry.get("manager")))
    return tuple(sorted(found))


def _merged(left: Raw, right: Raw) -> Object:
    merged = copy.deepcopy(dict(left))
    for key, value in right.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merged(merged[key], value) if both else copy.deepcopy(value)
    return merged


def _affected(wish: Wish, observed: Observed, reach: str | None) -> tuple[Pod, ...] | None:
    """The pods of every binding that hands out the identity."""
    if observed.pods is None:
        return None
    found = {}
    for raw in observed.bindings:
        if _names_identity(raw, wish):
            for pod in matched(observed.pods, (raw.get("spec") or {}).get("selector", ""), reach):
                found[(pod.namespace, pod.name)] = pod
    return tuple(found.values())


def _count(pods: tuple[Pod, ...] | None) -> str:
    if pods is None:
        return "an unknown number of pods"
    return f"{len(pods)} pod" if len(pods) == 1 else f"{len(pods)} pods"


def _refuse_in_use(wish: Wish, observed: Observed, identity: Raw | None) -> None:
    others = [
        raw["metadata"]["name"]
        for raw in observed.bindings
        if _names_identity(raw, wish) and raw["metadata"]["name"] != wish.binding_name
    ]
    if identity and others:
        raise Failure(
            f"AzureIdentity {wish.namespace}/{wish.name} is also handed out by the AzureIdentityBinding "
            f"{', '.join(sorted(others))}: delete it first, or set allow_in_use: true."
        )
    if observed.pods is not None:
        reach = _reach(identity) if identity else None
        users = [f"{pod.namespace}/{pod.name}" for pod in _affected(wish, observed, reach) or () if pod.lives]
    else:
        users = [f"{entry['namespace']}/{entry['pod']}" for entry in assigned_to(wish, observed.assigned or ())]
    if users:
        more = f" and {len(users) - 3} more" if len(users) > 3 else ""
        raise Failure(
            f"AzureIdentity {wish.namespace}/{wish.name} is in use by {', '.join(sorted(users)[:3])}{more}: "
            "move these pods first, or set allow_in_use: true."
        )


def _warnings(wish: Wish, observed: Observed, binding: Object) -> tuple[str, ...]:
    selector = binding["spec"].get("selector")
    rivals = sorted(
        raw["metadata"]["name"]
        for raw in observed.bindings
        if (raw.get("spec") or {}).get("selector") == selector
        and (raw.get("spec") or {}).get("azureIdentity") != wish.name
        and raw["metadata"].get("namespace") == wish.namespace
    )
    if not rivals:
        return ()
    return (
        f"The AzureIdentityBinding {', '.join(rivals)} in namespace {wish.namespace} has the selector {selector!r} "
        "too: pods get both identities, and one of them by chance when they name no client id.",
    )


def _document(identity: Raw | None, binding: Raw | None, secret: Raw | None) -> Object:
    document = {"identity": clean(identity or {}), "binding": clean(binding or {})}
    if secret is not None:
        document["secret"] = _hidden(secret, False)
    return document


def _hidden(secret: Raw | None, new: bool) -> Object:
    """A Secret for a diff: its values only as same or new."""
    if secret is None:
        return {}
    document = clean(secret)
    document["data"] = dict.fromkeys(sorted(secret.get("data") or {}), "(hidden, new value)" if new else "(hidden)")
    return document
