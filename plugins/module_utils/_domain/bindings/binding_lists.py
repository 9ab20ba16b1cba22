# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""A list of pairs of AzureIdentity and AzureIdentityBinding: what is refused, what goes, what is written when."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, replace

from ..azure import arm_id
from ..errors import Failure
from ..kubernetes import object_lists
from ..kubernetes.object_lists import Deletion, Outcome, Wave, leaving, some
from ..kubernetes.objects import Object, Place, Raw, Write, clean, deletion, shown
from ..matching.matching import Assignment, Binding, Identity, assignments
from ..names import is_ours
from . import binding_pair, credential_secrets
from .binding_pair import BINDING, IDENTITY, SECRET, Decision, Desired, Key, Observed, path_of

ACCEPTABLE = ("client_id_case", "missing_identity", "equal_names")

_OF_THE_IDENTITY = (
    *binding_pair.FIELDS,
    "behavior",
    "secret_name",
    "secret_namespace",
    "client_password",
    "client_certificate",
)


@dataclass(frozen=True)
class Rules(object_lists.Rules):
    """What holds for the whole list."""

    option = "bindings"

    protected: tuple[str, ...] = ()
    accept: frozenset[str] = frozenset()
    batch: int = 20


def check(desired_list: t.Sequence[Desired], rules: Rules) -> None:
    """Refuse what no cluster could make right."""
    rules.check(desired_list)
    if rules.batch < 1:
        raise Failure(f"batch is {rules.batch}, and no identity could be changed: set 1 or more.")
    named: dict[Key, Desired] = {}
    for desired in desired_list:
        binding_pair.check_names(desired)
        if desired.only == "identity" and desired.selector is not None:
            raise Failure(f"Entry {path_of(desired.key)} is only an identity, which has no selector: leave it out.")
        given = [name for name in _OF_THE_IDENTITY if getattr(desired, name) is not None]
        if desired.only == "binding" and given:
            raise Failure(
                f"Entry {path_of(desired.binding_key)} is only a binding, which has no {given[0]}: leave it out."
            )
        if desired.with_binding:
            other = named.setdefault(desired.binding_key, desired)
            if (other.name, other.selector, other.present) != (desired.name, desired.selector, desired.present):
                raise Failure(
                    f"AzureIdentityBinding {path_of(desired.binding_key)} stands twice in bindings with different "
                    "contents: give one of them another binding_name."
                )
    going = {desired.key for desired in desired_list if desired.with_identity and not desired.present}
    for desired in desired_list:
        if desired.present and desired.key in going:
            raise Failure(
                f"AzureIdentity {path_of(desired.key)} is to be there and to be gone: where only one of its bindings "
                "goes, say only: binding there."
            )


def decide(desired_list: t.Sequence[Desired], observed: Observed, rules: Rules) -> Outcome:
    check(desired_list, rules)
    wholes = _wholes(desired_list)
    decisions: dict[int, Decision] = {}
    for number, desired in enumerate(desired_list):
        if desired.present:
            decisions[number] = binding_pair.decide_present(desired, observed, wholes.get(desired.key))
    leaving = _leaving(desired_list, observed, rules)
    after = _After(desired_list, decisions, observed, leaving)
    warnings = _check_identities(desired_list, decisions, observed, rules, wholes)
    warnings += _check_equal_names(desired_list, decisions, after, rules)
    _refuse_in_use(observed, leaving, after)
    named_secrets = _named(desired_list)
    removals = _removals(observed, leaving, after, rules, named_secrets)
    warnings += _staying_secrets(leaving, named_secrets)
    for number, desired in enumerate(desired_list):
        if not desired.present:
            decisions[number] = _absent(desired, observed, removals)
    purged = [Decision({one.key: _look(one)}, {}, (one,), {}) for one in removals.values()]
    named = {one.place for decision in decisions.values() for one in decision.writes}
    extra = [decision for decision in purged if decision.writes[0].place not in named]
    waves = (*_writing(desired_list, decisions, observed, rules), *_removing(removals))
    warnings += _shared_selectors(desired_list, after) + _colliding_pods(desired_list, observed, after)
    ordered = [decisions[number] for number in range(len(desired_list))]
    return Outcome((*ordered, *extra), waves, tuple(warnings))


def leaving_selectors(desired_list: t.Sequence[Desired], observed: Observed, rules: Rules) -> frozenset[str]:
    """The selectors of bindings that are to go unless something uses them."""
    leaving = _leaving(desired_list, observed, rules)
    return frozenset(Binding.parse(one.live).selector for one in leaving[BINDING].values() if not one.allowed)


def credentials(desired_list: t.Sequence[Desired], observed: Observed, rules: Rules) -> frozenset[Key]:
    """The Secrets that have to be looked at."""
    leaving = _leaving(desired_list, observed, rules)
    named = _named(desired_list)
    places = {_credential_of(one.live, named) for one in leaving[IDENTITY].values()}
    places |= {binding_pair.credential(whole, observed.identity(whole)) for whole in _wholes(desired_list).values()}
    return frozenset(place for place in places if place)


# what MIC has done of it


@dataclass(frozen=True)
class Missing:
    """An assignment that is not there. ``state`` is that of an AzureAssignedIdentity that has come part of the way."""

    identity: Key
    binding: Key
    pod: str
    state: str


@dataclass(frozen=True)
class Assigned:
    """``results``: of each pair, how many pods it serves and their assignments. ``left``: those that are to go."""

    results: tuple[Object, ...]
    missing: tuple[Missing, ...]
    left: tuple[Object, ...]


def assigned(desired_list: t.Iterable[Desired], observed: Observed, *, fresh: bool) -> Assigned:
    """How far MIC has come with what the cluster holds of what is desired.

    ``fresh``: an assignment counts only where it was made of the objects that are there now.
    """
    desired_list = tuple(desired_list)
    identities = tuple(Identity.parse(raw) for raw in observed.identities)
    bound = tuple(Binding.parse(raw) for raw in observed.bindings)
    wanted: dict[Key, list[Assignment]] = {}
    for one in assignments([pod for pod in observed.pods or () if pod.lives], bound, identities):
        if one.certain:
            wanted.setdefault((one.identity.namespace, one.identity.name), []).append(one)
    results: list[Object] = []
    missing: list[Missing] = []
    left: list[Object] = []
    for desired in desired_list:
        entries = observed.assigned_to(desired.key)
        if not desired.present:
            if desired.with_identity:
                left += entries
            results.append({"assigned": []})
            continue
        done = {(entry["namespace"], entry["pod"]): entry for entry in entries}
        own = [
            one
            for one in wanted.get(desired.key, ())
            if not desired.with_binding or one.binding.name == desired.binding_name
        ]
        for one in own:
            entry = done.get((one.pod.namespace, one.pod.name))
            ready = entry is not None and entry["status"] in ("Assigned", "")  # an old MIC sets no state
            if not ready or (entry and fresh and not observed.up_to_date(entry["name"])):
                pod = f"{one.pod.namespace}/{one.pod.name}"
                state = entry["status"] if entry else ""
                missing.append(Missing(desired.key, (one.binding.namespace, one.binding.name), pod, state))
        pods = binding_pair.served(desired, observed)
        results.append({"matching_pods": None if pods is None else len(pods), "assigned": list(entries)})
    return Assigned(tuple(results), tuple(missing), tuple(left))


# several entries of one identity


def _wholes(desired_list: t.Iterable[Desired]) -> dict[Key, Desired]:
    """What all entries together say of each identity that is to be there."""
    found: dict[Key, Desired] = {}
    for desired in desired_list:
        if desired.present and desired.with_identity:
            found[desired.key] = _joined(found[desired.key], desired) if desired.key in found else desired
    return found


def _joined(left: Desired, right: Desired) -> Desired:
    values = {}
    for name in _OF_THE_IDENTITY:
        mine, theirs = getattr(left, name), getattr(right, name)
        same = arm_id.same(mine, theirs) if name == "resource_id" else mine == theirs
        if mine is not None and theirs is not None and not same:
            raise Failure(
                f"AzureIdentity {path_of(left.key)} stands in bindings with two different {name}: correct one of them."
            )
        values[name] = theirs if mine is None else mine
    for name in ("labels", "annotations"):
        mine, theirs = getattr(left, name), getattr(right, name)
        twice = [key for key in mine if theirs.get(key, mine[key]) != mine[key]]
        if twice:
            raise Failure(
                f"AzureIdentity {path_of(left.key)} stands in bindings with two different values of {twice[0]} in its "
                f"{name}: correct one of them."
            )
        values[name] = {**mine, **theirs}
    return replace(left, **values, unknown=left.unknown | right.unknown)


# what goes


Leaving = t.Mapping[str, t.Mapping[Key, Deletion]]  # by kind


def _leaving(desired_list: t.Sequence[Desired], observed: Observed, rules: Rules) -> Leaving:
    present = [desired for desired in desired_list if desired.present]
    absent = [desired for desired in desired_list if not desired.present]
    kept = {desired.key for desired in present}
    kept_bindings = {desired.binding_key for desired in present if desired.with_binding}
    gone = {desired.key: desired.allow_in_use for desired in absent if desired.with_identity}
    gone_bindings = {desired.binding_key: desired.allow_in_use for desired in absent if desired.with_binding}
    places = rules.places(desired_list)
    return {
        IDENTITY: leaving(kept, gone, observed.identities_by_key, places, rules),
        BINDING: leaving(kept_bindings, gone_bindings, observed.bindings_by_key, places, rules),
    }


class _After:
    """Bindings, and the reach of the identities, as they will be."""

    def __init__(
        self,
        desired_list: t.Sequence[Desired],
        decisions: t.Mapping[int, Decision],
        observed: Observed,
        leaving: Leaving,
    ) -> None:
        identities = {key: raw for key, raw in observed.identities_by_key.items() if key not in leaving[IDENTITY]}
        bindings = {key: raw for key, raw in observed.bindings_by_key.items() if key not in leaving[BINDING]}
        for number, decision in decisions.items():
            desired, shape = desired_list[number], decision.result
            if desired.with_identity:
                identities[desired.key] = shape["identity"]
            if desired.with_binding:
                bindings[desired.binding_key] = shape["binding"]
        self.identities = identities
        self.bindings = {key: Binding.parse(raw) for key, raw in bindings.items()}
        self.by_selector: dict[str, list[Binding]] = {}
        for binding in self.bindings.values():
            if (binding.namespace, binding.identity) in identities:
                self.by_selector.setdefault(binding.selector, []).append(binding)
        self.serving = {(one.namespace, one.identity, one.selector) for one in self.bindings.values()}

    def reach(self, binding: Binding) -> str | None:
        return binding_pair.reach(self.identities[(binding.namespace, binding.identity)])

    def meet(self, left: Binding, right: Binding) -> bool:
        """Whether a pod can match both of these bindings with one selector."""
        places = {self.reach(left), self.reach(right)} - {None}
        return len(places) < 2


def _refuse_in_use(observed: Observed, leaving: Leaving, after: _After) -> None:
    for key, going in leaving[IDENTITY].items():
        others = [one.name for one in after.bindings.values() if (one.namespace, one.identity) == key]
        if others and not going.allowed:
            raise Failure(
                f"AzureIdentity {path_of(key)} is also handed out by the AzureIdentityBinding "
                f"{', '.join(sorted(others))}: delete it first, or set allow_in_use: true."
            )
    used: dict[Key, list[str]] = {}
    for going in leaving[BINDING].values():
        binding = Binding.parse(going.live)
        key = (binding.namespace, binding.identity)
        identity = observed.identities_by_key.get(key)
        stays = key not in leaving[IDENTITY] and (*key, binding.selector) in after.serving
        if going.allowed or identity is None or stays:
            continue
        users = _users(key, binding.selector, binding_pair.reach(identity), observed)
        if users:
            used.setdefault(key, []).extend(users)
    if used:
        key, users = next(iter(used.items()))
        raise Failure(
            f"AzureIdentity {path_of(key)} is in use by {some(users)}: move them first, or set allow_in_use: true.",
            results={
                "in_use": [{"identity": path_of(one), "users": sorted(set(found))} for one, found in used.items()]
            },
        )


def _users(key: Key, selector: str, namespace: str | None, observed: Observed) -> list[str]:
    if observed.templates is None or (observed.pods is None and observed.assigned is None):
        raise Failure(
            f"It cannot be told who uses AzureIdentity {path_of(key)}, because this user may not list pods and what "
            "makes them in the cluster: grant it, or set allow_in_use: true."
        )
    if observed.pods is None:
        users = [f"Pod {entry['namespace']}/{entry['pod']}" for entry in observed.assigned_to(key)]
    else:
        users = [f"Pod {pod.namespace}/{pod.name}" for pod in observed.carrying(selector, namespace) if pod.lives]
    users += [
        user.label
        for user in observed.templates
        if user.selector == selector and (namespace is None or user.namespace == namespace)
    ]
    return users


def _removals(
    observed: Observed, leaving: Leaving, after: _After, rules: Rules, named: t.Container[Key]
) -> dict[Place, Write]:
    """Bindings, identities, secrets, in this order: nothing refers to what is gone already."""
    secrets = {}
    for going in leaving[IDENTITY].values():
        place = _credential_of(going.live, named)
        secret = observed.secret(place)
        if secret and is_ours(secret, rules.owner):
            secrets[place] = secret
    for raw in after.identities.values():
        secrets.pop(credential_secrets.referred(raw), None)
    found = [("binding", BINDING, going.live) for going in leaving[BINDING].values()]
    found += [("identity", IDENTITY, going.live) for going in leaving[IDENTITY].values()]
    found += [("secret", SECRET, raw) for raw in secrets.values()]
    writes = [deletion(key, kind, raw, owner=rules.owner, adopt=rules.adopt) for key, kind, raw in found]
    return {write.place: write for write in writes}


def _named(desired_list: t.Iterable[Desired]) -> frozenset[Key]:
    """The Secrets that the entries name with their namespace."""
    return frozenset(place for place in map(binding_pair.named_credential, desired_list) if place)


def _credential_of(identity: Raw, named: t.Container[Key]) -> Key | None:
    """The Secret that goes with an identity."""
    place = credential_secrets.referred(identity)
    return place if place in named else credential_secrets.own(identity)


def _staying_secrets(leaving: Leaving, named: t.Container[Key]) -> list[str]:
    return [
        f"Secret {path_of(place)} stays, because AzureIdentity {path_of(key)}, which names it, is in another "
        "namespace: delete it where nothing needs it any more, or name it in client_password_secret."
        for key, going in leaving[IDENTITY].items()
        for place in [credential_secrets.of_principal(going.live)]
        if place and _credential_of(going.live, named) is None
    ]


def _absent(desired: Desired, observed: Observed, removals: t.Mapping[Place, Write]) -> Decision:
    """The part of what is desired in the removals."""
    places: dict[str, Place] = {}
    if desired.with_binding:
        places["binding"] = (BINDING, *desired.binding_key)
    identity = observed.identity(desired)
    if desired.with_identity:
        places["identity"] = (IDENTITY, *desired.key)
        reference = credential_secrets.referred(identity) if identity else None
        if reference:
            places["secret"] = (SECRET, *reference)
    writes = {key: removals[place] for key, place in places.items() if place in removals}
    before: Object = {"identity": {}, "binding": {}, **{key: _look(write) for key, write in writes.items()}}
    after: Object = {"identity": {}, "binding": {}}
    result: Object = {**after, "secret": {}, "matching_pods": 0, "assigned": []}
    if not desired.with_identity and identity:
        before["identity"] = after["identity"] = clean(identity)
        result["identity"] = shown(identity)
    return Decision(before, after, tuple(writes.values()), result)


def _look(write: Write) -> Object:
    """What goes, for a diff."""
    return binding_pair.hidden(write.live, False) if write.key == "secret" else clean(write.live or {})


# what is refused


def _check_identities(
    desired_list: t.Sequence[Desired],
    decisions: t.Mapping[int, Decision],
    observed: Observed,
    rules: Rules,
    wholes: t.Mapping[Key, Desired],
) -> list[str]:
    protected = {arm_id.normal(one) for one in rules.protected}
    elsewhere: dict[str, list[str]] = {}
    for namespace, name in (*observed.identities_by_key, *wholes):
        elsewhere.setdefault(name, []).append(namespace)
    warnings = []
    for number, decision in decisions.items():
        desired = desired_list[number]
        resource = str((decision.result["identity"].get("spec") or {}).get("resourceID", ""))
        if desired.with_identity and arm_id.normal(resource) in protected:
            raise Failure(
                f"AzureIdentity {path_of(desired.key)} must not be {resource}, which is in protected_identities: MIC "
                "would take it from the scale set with the last pod that has it; make an identity for these pods."
            )
        if desired.with_identity or desired.key in wholes or observed.identity(desired) or observed.offline:
            continue
        others = sorted(set(elsewhere.get(desired.name, ())))
        what = f"AzureIdentityBinding {path_of(desired.binding_key)} names AzureIdentity {desired.name}, which "
        what += f"is in namespace {', '.join(others)} only" if others else "does not exist"
        what += f", and MIC looks for it in namespace {desired.namespace} only"
        if "missing_identity" not in rules.accept:
            raise Failure(f"{what}: create it there, or set accept: [missing_identity] where it comes later.")
        warnings.append(f"{what}: no pod gets it before it is created there.")
    return warnings


def _check_equal_names(
    desired_list: t.Sequence[Desired], decisions: t.Mapping[int, Decision], after: _After, rules: Rules
) -> list[str]:
    """MIC keeps assignments by pod and name of the identity, so a pod gets one identity of a name only."""
    told: dict[tuple[Key, ...], str] = {}
    for number, decision in decisions.items():
        desired = desired_list[number]
        mine = after.bindings.get(desired.binding_key) if desired.with_binding else None
        if mine is None or desired.key not in after.identities:
            continue
        for other in after.by_selector.get(mine.selector, ()):
            if other.identity != mine.identity or other.namespace == mine.namespace or not after.meet(mine, other):
                continue
            first, second = sorted((mine, other), key=lambda one: (one.namespace, one.name))
            what = (
                f"AzureIdentity {first.namespace}/{first.identity} and {second.namespace}/{second.identity} have one "
                f"name and bindings with the selector {mine.selector!r}, and MIC gives a pod only one of them"
            )
            if decision.writes and "equal_names" not in rules.accept:
                raise Failure(
                    f"{what}: give one of them another name, set behavior: namespaced for both, or set accept: "
                    "[equal_names] where either will do."
                )
            told[tuple((one.namespace, one.name) for one in (first, second))] = (
                f"{what}, that of AzureIdentityBinding {first.namespace}/{first.name}."
            )
    return list(told.values())


# what is told


def _shared_selectors(desired_list: t.Iterable[Desired], after: _After) -> list[str]:
    told = {}
    for desired in desired_list:
        mine = after.bindings.get(desired.binding_key) if desired.present and desired.with_binding else None
        if mine is None or desired.key not in after.identities:
            continue
        rivals = [one for one in after.by_selector.get(mine.selector, ()) if one == mine or after.meet(mine, one)]
        if len({one.identity for one in rivals}) < 2:
            continue
        names = sorted(f"{one.namespace}/{one.name}" for one in rivals)
        told[tuple(names)] = (
            f"The AzureIdentityBindings {some(names)} have one selector, {mine.selector!r}: pods get all of their "
            "identities, and one of them by chance when they name no client id."
        )
    return list(told.values())


def _colliding_pods(desired_list: t.Iterable[Desired], observed: Observed, after: _After) -> list[str]:
    """Pods whose assignments MIC would give one name."""
    selectors = {
        one.selector for desired in desired_list if desired.present and (one := after.bindings.get(desired.binding_key))
    }
    holders: dict[str, set[Key]] = {}
    for selector in selectors:
        for binding in after.by_selector.get(selector, ()):
            for pod in observed.carrying(selector, after.reach(binding)):
                if pod.node:
                    name = f"{pod.name}-{pod.namespace}-{binding.identity}"
                    holders.setdefault(name, set()).add((pod.namespace, pod.name))
    return [
        f"MIC cannot tell the pods {' and '.join(path_of(key) for key in sorted(pods))} apart, because it names the "
        f"assignments of both {name}: only one of them gets the identity; rename one of them."
        for name, pods in sorted(holders.items())
        if len(pods) > 1
    ][:3]  # enough to see it


# in which order


def _writing(
    desired_list: t.Sequence[Desired], decisions: t.Mapping[int, Decision], observed: Observed, rules: Rules
) -> list[Wave]:
    """First what no pod has yet. What pods have is written in batches, each an identity together with its bindings."""
    secrets: dict[Place, Write] = {}
    units: dict[Key, dict[Place, Write]] = {}
    members: dict[Key, list[Desired]] = {}
    for number, desired in enumerate(desired_list):
        if not desired.present:
            continue
        members.setdefault(desired.key, []).append(desired)
        for write in decisions[number].writes:
            if write.key != "secret":
                units.setdefault(desired.key, {}).setdefault(write.place, write)
            elif secrets.setdefault(write.place, write).body != write.body:
                raise Failure(
                    f"Secret {write.namespace}/{write.name} would get two different values: give the identities in "
                    "bindings a Secret each (client_password_secret)."
                )
    live = [key for key, unit in units.items() if any(_has_pods(write, observed) for write in unit.values())]
    fresh = [key for key in units if key not in live]
    waves = [Wave(tuple(secrets.values())), *_unit_waves(fresh, units)]
    for begin in range(0, len(live), rules.batch):
        batch = live[begin : begin + rules.batch]
        of_batch = _unit_waves(batch, units)
        if begin + rules.batch < len(live):
            of_batch[-1] = replace(of_batch[-1], settles=tuple(desired for key in batch for desired in members[key]))
        waves += of_batch
    return [wave for wave in waves if wave.writes]


def _unit_waves(keys: t.Sequence[Key], units: t.Mapping[Key, t.Mapping[Place, Write]]) -> list[Wave]:
    writes = [write for key in keys for write in units[key].values()]
    waves = [Wave(tuple(one for one in writes if one.key == kind)) for kind in ("identity", "binding")]
    return [wave for wave in waves if wave.writes]


def _has_pods(write: Write, observed: Observed) -> bool:
    """Whether MIC has assigned what the write is about."""
    if write.live is None:
        return False
    name = write.name if write.key == "identity" else Binding.parse(write.live).identity
    return bool(observed.assigned_to((write.namespace, name)))


def _removing(removals: t.Mapping[Place, Write]) -> list[Wave]:
    waves = [
        Wave(tuple(one for one in removals.values() if one.key == key)) for key in ("binding", "identity", "secret")
    ]
    return [wave for wave in waves if wave.writes]
