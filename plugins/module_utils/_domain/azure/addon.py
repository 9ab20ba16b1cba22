# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The pod identity add-on of a managed cluster: what its profile is to be, and how a user sees it.

An entry of either list is its namespace and name; order means nothing. The bodies are those of the whole cluster.
"""

from __future__ import annotations

import copy
import re
import typing as t
from dataclasses import dataclass

from .. import names
from ..change import Change
from ..errors import Failure
from . import arm_id, clusters
from . import identities as identity_rules
from .arm_errors import ServiceError, first_sentence

Body = t.Mapping[str, t.Any]
Key = tuple[str, str]
# What the profile says of an identity (resourceId, clientId, objectId), by the normal spelling of its id.
Facts = t.Mapping[str, t.Mapping[str, str]]

ROLE = "Managed Identity Operator"
LIMIT = 200
# On an identity that was made again only so that its entry can be removed; the value is the id of the cluster.
REMOVAL_TAG = "azureops.pod_identity.removal"

_ASSIGNED = "Assigned"
_KUBENET = "allowNetworkPluginKubenet"
_IDENTITIES = "userAssignedIdentities"
_EXCEPTIONS = "userAssignedIdentityExceptions"
_READ_ONLY = ("provisioningState", "provisioningInfo")
_SHOWN = 5


@dataclass(frozen=True)
class Entry:
    """One entry as desired; '' and None: not set. ``labels`` are those of an exception."""

    namespace: str
    name: str
    identity: str = ""
    selector: str | None = None
    labels: t.Mapping[str, str] | None = None

    @property
    def key(self) -> Key:
        return self.namespace, self.name

    @property
    def path(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True)
class Desired:
    """What is asked for; a list is None where it is not named."""

    present: bool
    enabled: bool | None = None
    kubenet: bool | None = None
    identities: tuple[Entry, ...] | None = None
    exceptions: tuple[Entry, ...] | None = None
    purge_identities: bool = False
    purge_exceptions: bool = False
    allow_empty: bool = False

    @classmethod
    def parse(
        cls, options: t.Mapping[str, t.Any], subscription: t.Callable[[], str], known: t.Callable[[str], bool]
    ) -> Desired:
        """From the module's options; ``subscription`` is that of the task, ``known`` tells whether an id is one yet."""
        identities, exceptions = options["identities"], options["exceptions"]
        if options["name"]:
            identities = [options]
        if options["exception"]:
            exceptions = [options["exception"]]
        desired = cls(
            present=options["state"] == "present",
            enabled=options["enabled"],
            kubenet=options["allow_network_plugin_kubenet"],
            identities=_entries(identities, lambda one: _identity(one, subscription, known)),
            exceptions=_entries(exceptions, _exception),
            purge_identities=options["purge_identities"],
            purge_exceptions=options["purge_exceptions"],
            allow_empty=options["purge_allow_empty"],
        )
        desired._validate(single=bool(options["name"]), single_exception=bool(options["exception"]))
        return desired

    def named(self) -> list[str]:
        """Ids of the identities that entries to be present name."""
        return [entry.identity for entry in self.identities or () if entry.identity and self.present]

    def _validate(self, *, single: bool, single_exception: bool) -> None:
        named = bool(self.identities or self.exceptions)
        for what, entries, purge, one in (
            ("identities", self.identities, self.purge_identities, single),
            ("exceptions", self.exceptions, self.purge_exceptions, single_exception),
        ):
            if purge and (entries is None or one or not self.present):
                raise Failure(
                    f"purge_{what} keeps only what the list {what} names; give that list, and state: present."
                )
            if purge and not entries and not self.allow_empty:
                raise Failure(
                    f"An empty list of {what} with purge_{what} would remove all of them; set purge_allow_empty to "
                    "true if that is meant."
                )
        if not self.present and (self.enabled is not None or self.kubenet is not None):
            raise Failure(
                "state: absent removes entries and leaves the add-on as it is; leave enabled and "
                "allow_network_plugin_kubenet out, or switch the add-on off with enabled: false."
            )
        if not self.present and self.identities is None and self.exceptions is None:
            raise Failure(
                "state: absent removes the entries that are named, and none is; name identities or exceptions, or "
                "switch the add-on off with enabled: false."
            )
        if self.enabled is False and named:
            raise Failure("An add-on that is off has no entries; leave enabled: false out, or the entries.")


def off(body: Body) -> bool:
    return not _profile(body).get("enabled")


def present_keys(desired: Desired) -> frozenset[Key]:
    """The identity entries that are to be assigned."""
    return frozenset(entry.key for entry in desired.identities or () if desired.present)


def identities(after: Body, desired: Desired) -> list[str]:
    """Ids of the identities that these entries hand out."""
    return resource_ids(after, present_keys(desired))


def absent_identities(before: Body, desired: Desired) -> list[str]:
    """Ids that absent entries name and no entry hands out: an earlier run may have come so far."""
    kept = {arm_id.normal(_resource_id(one)) for one in _list(before, _IDENTITIES)}
    gone = [entry.identity for entry in desired.identities or () if not desired.present and entry.identity]
    return [one for one in gone if arm_id.normal(one) not in kept]


def removals(body: Body, desired: Desired) -> frozenset[Key]:
    """The identity entries that go."""
    present = {key_of(one) for one in _list(body, _IDENTITIES)}
    named = {entry.key for entry in desired.identities or ()}
    if desired.enabled is False:
        return frozenset(present)
    if not desired.present:
        return frozenset(present & named)
    return frozenset(present - named) if desired.purge_identities else frozenset()


def stuck(body: Body, keys: t.Container[Key]) -> frozenset[Key]:
    """Those of the entries that AKS could not assign."""
    return frozenset(
        key_of(one)
        for one in _list(body, _IDENTITIES)
        if key_of(one) in keys and one.get("provisioningState") != _ASSIGNED
    )


def moving(body: Body, keys: t.Container[Key]) -> bool:
    """Whether AKS still works on one of the entries."""
    return any(
        one.get("provisioningState") in ("Updating", "Deleting")
        for one in _list(body, _IDENTITIES)
        if key_of(one) in keys
    )


def without(body: Body, keys: t.Container[Key]) -> dict[str, t.Any]:
    """The cluster without these identity entries, and nothing else changed."""
    result = copy.deepcopy(dict(body))
    current = _list(result, _IDENTITIES)
    kept = [one for one in current if key_of(one) not in keys]
    if len(kept) < len(current):
        result["properties"]["podIdentityProfile"][_IDENTITIES] = kept
    return result


def changed(body: Body, desired: Desired, facts: Facts, removed: t.Container[Key]) -> dict[str, t.Any]:
    """``body`` with all that is named; equal to ``body`` where that is so already.

    Raises Failure for what AKS would refuse.

    ``removed`` was decided when the cluster was looked at: what somebody else adds meanwhile is not purged unseen.
    """
    result = copy.deepcopy(dict(body))
    properties = result.setdefault("properties", {})
    current = _profile(body)
    if desired.enabled is False:
        _refuse_to_forget(body, desired)
        if current.get("enabled"):
            properties["podIdentityProfile"] = {"enabled": False}
        return result
    if off(body) and not desired.enabled:
        if desired.present and (desired.identities or desired.exceptions or desired.kubenet is not None):
            raise Failure(f"The pod identity add-on of the cluster {_name(body)} is off; set enabled to true.")
        return result
    profile = {**current, "enabled": True}
    if desired.kubenet is not None and bool(current.get(_KUBENET)) != desired.kubenet:
        profile[_KUBENET] = desired.kubenet
    _put(profile, _IDENTITIES, _wanted_identities(body, desired, facts, removed))
    _put(profile, _EXCEPTIONS, _wanted_exceptions(body, desired))
    if profile != current:
        _refuse_impossible(body, profile)
        properties["podIdentityProfile"] = profile
    return result


def expected(body: Body) -> dict[str, t.Any]:
    """What the cluster will look like once a PUT of ``body`` has succeeded."""
    result = copy.deepcopy(dict(body))
    for one in _list(result, _IDENTITIES):
        one.setdefault("provisioningState", _ASSIGNED)
        identity = one.get("identity") or {}
        one["identity"] = {**identity, "resourceId": _resource_id(one).replace("/resourceGroups/", "/resourcegroups/")}
    return result


def described(before: Body, after: Body) -> list[str]:
    """The differences in words."""
    parts = []
    if off(before) != off(after):
        parts.append("disable the add-on" if off(after) else "enable the add-on")
    if bool(_profile(before).get(_KUBENET)) != bool(_profile(after).get(_KUBENET)) and not off(after):
        parts.append("consent to kubenet" if _profile(after).get(_KUBENET) else "take back the consent to kubenet")
    return parts + _described_entries(before, after)


def _described_entries(before: Body, after: Body) -> list[str]:
    parts = []
    for what, field in (("identity", _IDENTITIES), ("exception", _EXCEPTIONS)):
        old = {key_of(one): one for one in _list(before, field)}
        new = {key_of(one): one for one in _list(after, field)}
        parts += [f"remove {what} {_path(key)}" for key in sorted(old.keys() - new.keys())]
        for key in sorted(new):
            if key not in old:
                parts.append(f"add {what} {_path(key)}")
            elif new[key] != old[key]:
                retry = new[key] == _writable(old[key])
                parts.append(f"{'assign' if retry else 'change'} {what} {_path(key)}{' again' if retry else ''}")
        if len(_list(before, field)) - len(old) != len(_list(after, field)) - len(new):
            parts.append(f"remove what is listed twice as {what}")
    return parts


def change(identifier: str, before: Body, after: Body) -> Change:
    return Change("change", clusters.KIND, identifier, ", ".join(described(before, after)))


def summary(before: Body, after: Body) -> str:
    parts = described(before, after)
    more = f" and {len(parts) - _SHOWN} more changes" if len(parts) > _SHOWN else ""
    return f"change pod identity of cluster {_name(before)}: {', '.join(parts[:_SHOWN])}{more}"


def released(before: Body, after: Body) -> frozenset[tuple[str, str]]:
    """Namespaces and selectors from which an identity is taken away."""
    kept = {(key_of(one), selector_of(one)) for one in _list(after, _IDENTITIES)}
    return frozenset(
        (one["namespace"], selector_of(one))
        for one in _list(before, _IDENTITIES)
        if (key_of(one), selector_of(one)) not in kept
    )


def refuse_in_use(cluster: str, users: t.Sequence[str]) -> None:
    if users:
        raise Failure(
            f"The pod identities of the cluster {cluster} that are to go are still selected by "
            f"{names.listed(sorted(users))}; move these first, or set allow_in_use to true.",
            results={"users": sorted(users)},
        )


def other_server(body: Body, server: str) -> Failure:
    """Pods of another cluster would say nothing about this one."""
    return Failure(
        f"The API server {server} is not that of the cluster {_name(body)}, neither by its name nor by its nodes, so "
        "its pods do not tell who uses an identity; name the right kubeconfig, or set allow_in_use to true."
    )


def principal(body: Body) -> str:
    """Object id of the identity of the control plane, which attaches the identities to the nodes."""
    found = clusters.control_plane_principal(body.get("identity") or {})
    if not found:
        raise Failure(
            f"The cluster {_name(body)} has no managed identity, which the pod identity add-on needs; give it one "
            "(az aks update --enable-managed-identity), or use the chart."
        )
    return found


def released_identities(before: Body, after: Body, desired: Desired) -> list[str]:
    """Ids of the identities that no entry hands out any more; never that of the kubelet, whose role AKS needs."""
    kubelet = ((before.get("properties") or {}).get("identityProfile") or {}).get("kubeletidentity") or {}
    kept = {arm_id.normal(_resource_id(one)) for one in _list(after, _IDENTITIES)}
    kept.add(arm_id.normal(kubelet.get("resourceId") or ""))
    gone = [*map(_resource_id, _list(before, _IDENTITIES)), *absent_identities(before, desired)]
    return list({arm_id.normal(one): one for one in gone if arm_id.normal(one) not in kept}.values())


def role_left(sentence: str, identity: str) -> str:
    """Why a role was not taken away, and how another run finds the identity, which no entry names any more."""
    return (
        f"{sentence} No entry of the add-on is left that names the identity: to have another run remove the role, give "
        f"the entry with state: absent, remove_roles: true and identity: {identity}."
    )


def resource_ids(body: Body, keys: t.Container[Key]) -> list[str]:
    """Ids of the identities of these entries."""
    return sorted({_resource_id(one) for one in _list(body, _IDENTITIES) if key_of(one) in keys})


def lacks_permission(error: ServiceError, wanted: t.Iterable[str]) -> bool:
    """Whether AKS refused because the cluster's identity may not assign one of these, also where that is gone."""
    message = error.message.lower()
    about = error.code == "LinkedAuthorizationFailed" or "assignment permission over identity" in message
    # An id may be the beginning of another one.
    return about and any(re.search(re.escape(arm_id.normal(one)) + r"(?![\w-])", message) for one in wanted)


def warnings(before: Body, after: Body) -> tuple[str, ...]:
    found = []
    if off(before) and not off(after):
        found.append(
            "Microsoft's support of the pod identity add-on of AKS ended in September 2025 and nobody patches it; use "
            "Microsoft Entra Workload ID for what is new."
        )
    windows = [
        str(pool.get("name")) for pool in _pools(after) if str(pool.get("osType") or "Linux").lower() == "windows"
    ]
    if windows and _list(before, _IDENTITIES) != _list(after, _IDENTITIES):
        found.append(f"Pods on the Windows nodes of {', '.join(windows)} get no token: the add-on serves Linux only.")
    for one in _list(after, _IDENTITIES):
        if one.get("provisioningState") == "Failed":
            found.append(
                f"The pod identity {_path(key_of(one))} is Failed and may block other changes "
                f"({first_sentence(_error(one).get('message', 'AKS gave no reason'))}); give its identity and role "
                "back, or remove it with state: absent."
            )
    return tuple(found)


def require_written(body: Body, wanted: Body, keys: t.Collection[Key]) -> None:
    """Raises Failure where the cluster, read after its PUT, lacks what was written; ``keys`` are entries to be there.

    ``wanted`` is the cluster with the same changes made once more. The consent to kubenet does not count: the first
    version of the add-on keeps none.
    """
    missing = sorted(set(keys) - {key_of(one) for one in _list(body, _IDENTITIES)})
    lacking = _described_entries(body, wanted) or [f"add identity {_path(key)}" for key in missing]
    if off(body) != off(wanted):
        lacking.append("disable the add-on" if off(wanted) else "enable the add-on")
    if lacking:
        raise Failure(
            f"AKS accepted the change of the cluster {_name(body)}, but the cluster does not show it afterwards "
            f"({', '.join(lacking[:_SHOWN])} is still to be done); see whether somebody else writes to it, then run "
            "again.",
            results={"state": view(body)},
        )


def not_assigned(body: Body, keys: t.Container[Key]) -> Failure:
    """Why one of the entries is not assigned."""
    one = next(one for one in _list(body, _IDENTITIES) if key_of(one) in stuck(body, keys))
    error = _error(one)
    said = first_sentence(error.get("message", "AKS gave no reason"))
    return Failure(
        f"The pod identity {_path(key_of(one))} of the cluster {_name(body)} is {one.get('provisioningState')}: "
        f"{said}; see that the identity {_resource_id(one)} exists and that {principal(body)} holds {ROLE} there, then "
        "run again.",
        error=error,
        results={"state": view(body)},
    )


def not_removed(body: Body, keys: t.Container[Key], reason: Failure | None) -> Failure:
    """Why entries are still there."""
    left = [one for one in _list(body, _IDENTITIES) if key_of(one) in keys]
    paths = ", ".join(_path(key_of(one)) for one in left)
    error = reason.error if reason else _error(left[0]) if left else {}
    return Failure(
        f"AKS did not remove the pod identity {paths} of the cluster {_name(body)}: "
        f"{first_sentence(str(error.get('message') or 'it gave no reason'))}; give the identity and its role back, or "
        "set recreate_identity to true, which does so for the removal only.",
        error=error,
        results={"state": view(body)},
    )


def blocked(body: Body, reason: Failure, keys: t.Container[Key]) -> Failure:
    """A change that was refused or failed: for the entries themselves, or for others, which block every change."""
    own = stuck(body, keys)
    if own and reason.error.get("status") == 200:  # an operation that ended so; the entries say more
        return not_assigned(body, own)
    failed = [key_of(one) for one in _list(body, _IDENTITIES) if one.get("provisioningState") == "Failed"]
    others = [_path(key) for key in failed if key not in own]
    hint = f" The pod identity {', '.join(others)} is Failed, which blocks other changes: remove it first."
    return Failure(
        reason.sentence + hint * bool(others),
        error=reason.error,
        results={"state": view(body), "failed_identities": list(map(_path, failed))},
    )


def view(body: Body | None) -> dict[str, t.Any]:
    """The add-on as the module returns it; {} where there is no cluster."""
    if not body:
        return {}
    profile = _profile(body)
    identifier = str(body.get("id", ""))
    return {
        "id": identifier,
        "name": _name(body),
        "resource_group": arm_id.parse(identifier).resource_group if identifier else "",
        "enabled": not off(body),
        "allow_network_plugin_kubenet": bool(profile.get(_KUBENET)),
        "identities": [
            {
                "namespace": one["namespace"],
                "name": one["name"],
                "identity": _resource_id(one),
                "client_id": (one.get("identity") or {}).get("clientId", ""),
                "object_id": (one.get("identity") or {}).get("objectId", ""),
                "binding_selector": selector_of(one),
                "provisioning_state": one.get("provisioningState", ""),
                "provisioning_error": _error(one),
            }
            for one in sorted(_list(body, _IDENTITIES), key=key_of)
        ],
        "exceptions": [
            {"namespace": one["namespace"], "name": one["name"], "pod_labels": dict(one.get("podLabels") or {})}
            for one in sorted(_list(body, _EXCEPTIONS), key=key_of)
        ],
    }


def to_come(identifier: str, desired: Desired, unknown: str) -> dict[str, t.Any]:
    """Stands, in check mode, for a cluster that an earlier task will have made, and switched the add-on on."""
    profile = {"enabled": True} if desired.enabled is None else {}
    return {
        "id": identifier.replace("/resourceGroups/", "/resourcegroups/"),
        "name": arm_id.last_segment(identifier),
        "identity": {"principalId": unknown},
        "properties": {"podIdentityProfile": profile},
    }


def key_of(one: Body) -> Key:
    return str(one.get("namespace", "")), str(one.get("name", ""))


def selector_of(one: Body) -> str:
    """What the label aadpodidbinding of the pods has to be."""
    return str(one.get("bindingSelector") or one.get("name", ""))


def _entries(
    given: t.Sequence[t.Mapping[str, t.Any]] | None, parse: t.Callable[[t.Mapping[str, t.Any]], Entry]
) -> tuple[Entry, ...] | None:
    if given is None:
        return None
    entries = tuple(parse(one) for one in given)
    keys = [entry.key for entry in entries]
    for entry in entries:
        if keys.count(entry.key) > 1:
            raise Failure(f"The entry {entry.path} is given twice; an entry is its namespace and name.")
        for text in entry.key:
            if not names.OBJECT_NAME.fullmatch(text):
                raise Failure(
                    f"{text!r} is no name of a Kubernetes object or namespace; correct the entry {entry.path}."
                )
    return entries


def _identity(one: t.Mapping[str, t.Any], subscription: t.Callable[[], str], known: t.Callable[[str], bool]) -> Entry:
    identity = one["identity"] or ""
    if one["identity_name"]:
        group = one["identity_resource_group"]
        identity = arm_id.resource(subscription(), group, identity_rules.KIND, one["identity_name"])
    entry = Entry(one["namespace"], one["name"], identity.strip().rstrip("/"), one["binding_selector"])
    if identity and known(identity) and not names.RESOURCE_ID.fullmatch(entry.identity):
        raise Failure(f"{identity!r} is not the id of a user-assigned identity; correct the entry {entry.path}.")
    if entry.selector is not None and not names.LABEL_VALUE.fullmatch(entry.selector):
        raise Failure(f"{entry.selector!r} cannot be the value of a label; correct the entry {entry.path}.")
    return entry


def _exception(one: t.Mapping[str, t.Any]) -> Entry:
    labels = one["pod_labels"]
    return Entry(
        one["namespace"],
        one["name"],
        labels=None if labels is None else {str(key): str(value) for key, value in labels.items()},
    )


def _wanted_identities(body: Body, desired: Desired, facts: Facts, removed: t.Container[Key]) -> list[Body]:
    wanted = {entry.key: entry for entry in desired.identities or ()} if desired.present else {}
    result: list[Body] = []
    for one in _list(body, _IDENTITIES):
        key = key_of(one)
        if key in removed:
            continue
        entry = wanted.get(key)
        if entry is None:
            result.append(one)
        elif key not in map(key_of, result):  # other clients append an entry again instead of changing it
            result.append(_wanted_identity(one, entry, facts))
    new = [entry for key, entry in wanted.items() if key not in map(key_of, result)]
    for entry in new:
        if not entry.identity:
            raise Failure(
                f"The cluster {_name(body)} has no pod identity {entry.path} yet; say in identity, or in "
                "identity_resource_group and identity_name, what to hand out."
            )
        blank = {"name": entry.name, "namespace": entry.namespace, "identity": {}}
        result.append(_wanted_identity(blank, entry, facts))
    return result


def _wanted_identity(one: Body, entry: Entry, facts: Facts) -> Body:
    result = dict(one)
    wanted = facts.get(arm_id.normal(entry.identity)) if entry.identity else None
    current = one.get("identity") or {}
    if wanted and any(not arm_id.same(current.get(field), value) for field, value in wanted.items()):
        result["identity"] = {**current, **wanted}
    if entry.selector is not None and entry.selector != selector_of(one):
        result["bindingSelector"] = entry.selector
    # One that is not assigned is written again: AKS tries again then.
    return one if result == one and one.get("provisioningState") == _ASSIGNED else _writable(result)


def _wanted_exceptions(body: Body, desired: Desired) -> list[Body]:
    named = {entry.key: entry for entry in desired.exceptions or ()}
    current = {key_of(one): one for one in _list(body, _EXCEPTIONS)}
    if not desired.present:
        return [one for key, one in current.items() if key not in named]
    kept = {key: one for key, one in current.items() if key in named or not desired.purge_exceptions}
    for key, entry in named.items():
        if not (entry.labels or key in kept and entry.labels is None):
            raise Failure(f"The exception {entry.path} needs pod_labels, which say of which pods it speaks.")
        one = kept.get(key, {"name": entry.name, "namespace": entry.namespace})
        if entry.labels is not None and entry.labels != (one.get("podLabels") or {}):
            one = {**one, "podLabels": dict(entry.labels)}
        kept[key] = one
    return list(kept.values())


def _put(profile: dict[str, t.Any], field: str, entries: list[Body]) -> None:
    """AKS drops empty lists, and removes the last entry only where it is told so by one."""
    if entries != (profile.get(field) or []):
        profile[field] = entries


def _refuse_to_forget(body: Body, desired: Desired) -> None:
    entries = len(_list(body, _IDENTITIES)) + len(_list(body, _EXCEPTIONS))
    if entries and not desired.allow_empty:
        raise Failure(
            f"AKS forgets identities and exceptions with the add-on, and that of the cluster {_name(body)} has "
            f"{entries} of them; remove them first, or set purge_allow_empty to true."
        )


def _refuse_impossible(body: Body, profile: Body) -> None:
    properties = body.get("properties") or {}
    principal(body)
    for what, field in (("identities", _IDENTITIES), ("exceptions", _EXCEPTIONS)):
        number = len(profile.get(field) or ())
        if number > LIMIT:
            raise Failure(
                f"The cluster {_name(body)} would have {number} {what} of pods, and AKS allows {LIMIT}; remove some, "
                "or use Microsoft Entra Workload ID, which has no such limit."
            )
    plugin = (properties.get("networkProfile") or {}).get("networkPlugin")
    if plugin == "kubenet" and not profile.get(_KUBENET):
        raise Failure(
            f"The cluster {_name(body)} uses kubenet, where a pod can pass for another one and take its tokens; set "
            "allow_network_plugin_kubenet to true, with state present, to accept that, or use Azure CNI."
        )
    old = [str(pool.get("name")) for pool in _pools(body) if pool.get("type") == "AvailabilitySet"]
    if old:
        raise Failure(
            f"The pod identity add-on works on scale sets only, and {', '.join(old)} of the cluster {_name(body)} is "
            "an availability set; use the chart there."
        )


def _writable(one: Body) -> dict[str, t.Any]:
    return {field: value for field, value in one.items() if field not in _READ_ONLY}


def _error(one: Body) -> dict[str, str]:
    """AKS wraps it twice."""
    error = (one.get("provisioningInfo") or {}).get("error") or {}
    inner = error.get("error") or error
    return {field: str(inner[field]) for field in ("code", "message") if inner.get(field)}


def _path(key: Key) -> str:
    return "/".join(key)


def _name(body: Body) -> str:
    return str(body.get("name") or arm_id.last_segment(str(body.get("id", ""))))


def _profile(body: Body) -> dict[str, t.Any]:
    return dict((body.get("properties") or {}).get("podIdentityProfile") or {})


def _list(body: Body, field: str) -> list[dict[str, t.Any]]:
    return list(_profile(body).get(field) or ())


def _pools(body: Body) -> list[Body]:
    return list((body.get("properties") or {}).get("agentPoolProfiles") or ())


def _resource_id(one: Body) -> str:
    return str((one.get("identity") or {}).get("resourceId") or "")
