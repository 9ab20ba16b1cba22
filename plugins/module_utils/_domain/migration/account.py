# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""A service account for Workload ID: one that is annotated, or one that is made to take the place of another.

What is ours is told by the objects themselves. An account that is only annotated keeps in an annotation what its
annotations said before. One that is made, and copies of the bindings of the account whose place it takes, carry the
labels of this collection, and in that annotation of what they are a copy.
"""

from __future__ import annotations

import hashlib
import re
import typing as t
from dataclasses import dataclass

from ..bindings.binding_pair import check_namespace
from ..change import Change
from ..errors import Failure
from ..installation.workload_identity_webhook import CLIENT_ID, TENANT_ID
from ..kubernetes import access, patches, workloads
from ..kubernetes.access import Binding, Key, Question, Roles, labelled
from ..kubernetes.jobs import has_ended
from ..kubernetes.object_lists import some
from ..kubernetes.objects import Object, annotations_of, clean, labels_of
from ..kubernetes.sources import place
from ..matching.matching import Pod, Raw
from ..names import LABEL_VALUE, MANAGED_BY, MANAGER, MIGRATION, OBJECT_NAME, OWNER, is_ours, marks
from ..tokens.probe_job import PROBE_LABEL
from . import mark

ACCOUNT = "ServiceAccount"
_TOLD = {"client_id": CLIENT_ID, "tenant_id": TENANT_ID}
_WRITTEN = {option: f"new_{option}" for option in _TOLD}  # in the mark
_GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_LONGEST_NAME, _DIGITS = 253, 8
_API = "rbac.authorization.k8s.io"


@dataclass(frozen=True)
class Desired:
    """The options. ``like``: whose place the account takes; empty where it exists and is only annotated.

    ``unknown``: ids that are not known yet, in check mode.
    """

    namespace: str
    name: str
    present: bool = True
    client_id: str = ""
    tenant_id: str = ""
    like: str = ""
    owner: str = "default"
    override: bool = False
    unknown: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        return f"{ACCOUNT} {self.place}"

    @property
    def place(self) -> str:
        return f"{self.namespace}/{self.name}"

    @property
    def subject(self) -> Object:
        return {"kind": ACCOUNT, "name": self.name, "namespace": self.namespace}

    @property
    def key(self) -> Key:
        return ACCOUNT, self.namespace, self.name


@dataclass(frozen=True)
class Observed:
    """``secrets``: those that ``like`` names and a copy may name, too. ``users``: labels of what names the account."""

    account: Raw | None
    like: Raw | None = None
    secrets: tuple[str, ...] = ()
    bindings: tuple[Binding, ...] = ()
    roles: Roles | None = None
    users: tuple[str, ...] = ()


@dataclass(frozen=True)
class Write:
    """One write. ``body``: what is created or merged, None for a deletion; ``live``: None for a creation.

    ``binding``: what is copied by it.
    """

    change: Change
    key: Key
    body: Object | None
    live: Raw | None = None
    binding: Binding | None = None

    @property
    def summary(self) -> str:
        return f"{self.change.summary} ({self.change.why})" if self.change.why else self.change.summary

    @property
    def verb(self) -> str:
        """As roles of Kubernetes name it."""
        return "create" if self.live is None else "delete" if self.body is None else "patch"

    @property
    def documents(self) -> tuple[Object, Object]:
        """Before and after, of what is changed."""
        if self.live is None:
            return {}, dict(self.body or {})
        if self.body is None:
            return clean(self.live), {}
        metadata = {key: each for key, each in self.body["metadata"].items() if key != "resourceVersion"}
        patch = {**self.body, "metadata": metadata}
        return patches.touched(self.live, patch), patch


@dataclass(frozen=True)
class Decision:
    """``asked``: what both accounts have to be allowed alike.

    ``theirs``: what of it other bindings give the account already, whose labels are ``givers``.
    """

    writes: tuple[Write, ...]
    result: Object
    warnings: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    asked: tuple[Question, ...] = ()
    theirs: frozenset[Question] = frozenset()
    givers: tuple[str, ...] = ()

    @property
    def documents(self) -> tuple[Object, Object]:
        """What changes, before and after, by label; one that is deleted and made anew stands there once."""
        before: Object = {}
        after: Object = {}
        for one in self.writes:
            label = labelled(one.key)
            was, after[label] = one.documents
            before.setdefault(label, was)
        return before, after


def check(desired: Desired) -> None:
    """Refuse what no cluster could make right."""
    check_namespace(desired.namespace)
    for option, name in (("name", desired.name), ("like", desired.like)):
        if (name or option == "name") and not OBJECT_NAME.fullmatch(name):
            raise Failure(f"{option} {name!r} is no name that Kubernetes accepts: use a-z, 0-9, '-' and '.'.")
    if desired.like == desired.name:
        raise Failure(f"{desired.label} cannot take its own place: name another in like, or leave like out.")
    if not LABEL_VALUE.fullmatch(desired.owner):
        raise Failure(
            f"owner {desired.owner!r} is no value of a label: use up to 63 letters, digits, '-', '_' and '.'."
        )
    for option in _TOLD:
        value = getattr(desired, option)
        if value and value not in desired.unknown and not _GUID.fullmatch(value):
            raise Failure(f"{option} {value!r} of {desired.label} must be a GUID: correct it.")


def marked(raw: Raw | None) -> t.Mapping[str, str | None]:
    """What our annotation says; nothing where there is none of its form."""
    found = mark.read(raw or {}) or {}
    return found if all(each is None or isinstance(each, str) for each in found.values()) else {}


def is_made(raw: Raw | None, owner: str) -> bool:
    """Whether the account was made by this collection, for this owner."""
    return raw is not None and is_ours(raw, owner) and bool(marked(raw).get("like"))


def is_copy(binding: Binding, desired: Desired) -> bool:
    """Whether it is a copy for the account that this collection made, for this owner."""
    told = marked(binding.raw)
    return is_ours(binding.raw, desired.owner) and bool(told.get("copy_of")) and told.get("for") == desired.place


def copies(bindings: t.Iterable[Binding], desired: Desired) -> tuple[Binding, ...]:
    return tuple(each for each in bindings if is_copy(each, desired))


def users(name: str, objects: t.Mapping[str, t.Sequence[Raw]]) -> tuple[str, ...]:
    """Labels of the living pods with that service account, and of what makes such pods, in the lists of a namespace.

    A template that another makes is that other's, and a Job that has ended makes no pods. A probe of this collection
    needs the account for one token alone; that of a run which was killed goes by its deadline.
    """
    templates = {
        kind: [raw for raw in objects.get(kind, ()) if PROBE_LABEL not in labels_of(raw)]
        for kind in workloads.TEMPLATES
    }
    makers = {(kind, place(raw)[1]) for kind, several in templates.items() for raw in several}
    makers -= {("Job", place(raw)[1]) for raw in templates["Job"] if has_ended(raw)}
    pods = [pod for pod in map(Pod.parse, objects.get("Pod", ())) if PROBE_LABEL not in pod.labels]
    found = []
    for one in workloads.find(templates, pods):
        if (one.kind, one.name) in makers and one.pod.service_account == name:
            found.append(one.label)
        found += [pod.label for pod in one.pods if pod.lives and pod.service_account == name]
    return tuple(dict.fromkeys(found))


def decide(desired: Desired, observed: Observed) -> Decision:
    """Raises Failure where nothing may be written."""
    check(desired)
    if not desired.present:
        return _take_away(desired, observed)
    return _take_place(desired, observed) if desired.like else _annotate(desired, observed)


# an account that is there


def _annotate(desired: Desired, observed: Observed) -> Decision:
    live = observed.account
    if live is None:
        raise Failure(
            f"{desired.label} does not exist, so it cannot be annotated: correct its name, or name in like the service "
            "account whose place it is to take."
        )
    _check_owner(desired, live)
    differing = _differing(desired, live)
    writes: tuple[Write, ...] = ()
    if differing:
        annotations = {_TOLD[option]: value for option, value in differing.items()}
        annotations[MIGRATION] = mark.written(_remembered(desired, live, differing))
        writes = (_patch(desired, live, {"metadata": {"annotations": annotations}}, ", ".join(differing)),)
    return Decision(writes, _result(desired, {**_told(live), **differing}, made=is_made(live, desired.owner)))


def _check_owner(desired: Desired, live: Raw) -> None:
    labels = labels_of(live)
    theirs = labels.get(OWNER, desired.owner)
    if labels.get(MANAGED_BY) == MANAGER and theirs != desired.owner:
        raise Failure(f"{desired.label} belongs to the owner {theirs!r}, so it is not changed: name its owner.")


def _told(live: Raw | None) -> dict[str, str]:
    """What the account tells, by option."""
    annotations = annotations_of(live or {})
    return {option: str(annotations.get(name) or "") for option, name in _TOLD.items()}


def _differing(desired: Desired, live: Raw) -> dict[str, str]:
    """What the account has to tell and does not yet, by option. Raises Failure where it tells something else."""
    told = _told(live)
    found = {}
    for option in _TOLD:
        wanted, there = getattr(desired, option), told[option]
        if not wanted or there.lower() == wanted.lower():
            continue
        if there and not desired.override:
            raise Failure(
                f"{desired.label} tells the {option} {there!r}, which its pods go by, and not {wanted!r}: give it "
                "another service account (like), or replace what it tells with override_client_id: true."
            )
        found[option] = wanted
    return found


def _remembered(desired: Desired, live: Raw, differing: t.Mapping[str, str]) -> t.Mapping[str, str | None]:
    """What the mark has to say: what the annotations said before this collection wrote them, and what it wrote.

    The latter tells whether somebody else has written since. Managed fields do not: of an account that was made without
    any field the API server keeps none.
    """
    known = dict(marked(live))
    if is_made(live, desired.owner):
        return known  # nothing to go back to
    annotations = annotations_of(live)
    known.setdefault("client_id", annotations.get(CLIENT_ID))
    for option, value in differing.items():
        there = annotations.get(_TOLD[option])
        if option not in known or known.get(_WRITTEN[option]) != there:
            known[option] = there
        known[_WRITTEN[option]] = value
    return known


def _patch(desired: Desired, live: Raw, body: Object, why: str) -> Write:
    change = Change.of_object("change", ACCOUNT, desired.namespace, desired.name, why)
    return Write(change, desired.key, _versioned(live, body), live)


def _versioned(live: Raw, body: Object) -> Object:
    """The patch, for the object as it was seen only."""
    return {
        **body,
        "metadata": {**(body.get("metadata") or {}), "resourceVersion": live["metadata"]["resourceVersion"]},
    }


def _result(
    desired: Desired,
    told: t.Mapping[str, str],
    *,
    exists: bool = True,
    made: bool = False,
    copied: t.Iterable[Binding] = (),
) -> Object:
    return {
        "namespace": desired.namespace,
        "name": desired.name,
        "exists": exists,
        "client_id": told["client_id"] if exists else "",
        "made": made,
        "copied_bindings": [
            {
                "kind": each.kind,
                "namespace": each.namespace,
                "name": copy_name(each, desired),
                "copy_of": each.name,
                "role": f"{each.role[0]} {each.role[2]}",
            }
            for each in copied
        ],
    }


# one that takes the place of another


def _take_place(desired: Desired, observed: Observed) -> Decision:
    if observed.like is None:
        raise Failure(
            f"{ACCOUNT} {desired.namespace}/{desired.like}, whose place {desired.label} is to take, does not exist: "
            "correct like."
        )
    live, known = observed.account, observed.roles or {}
    of_like = [each for each in observed.bindings if each.names(desired.namespace, desired.like)]
    of_account = [each for each in observed.bindings if each.names(desired.namespace, desired.name)]
    ours = copies(observed.bindings, desired)
    foreign = [each for each in of_account if each not in ours]
    if live is not None and not is_made(live, desired.owner):
        _check_equal(desired, live, observed)
        writes, copied = [], []
    else:
        copied = [each for each in of_like if each.role in known or copy_name(each, desired) in _names(ours, each)]
        writes = [*_make(desired, live, observed), *_copy(desired, copied, ours, observed.bindings)]
    return Decision(
        tuple(writes),
        _result(
            desired,
            {**_told(live), **_options(desired)},
            made=is_made(live, desired.owner) or live is None,
            copied=copied,
        ),
        warnings=tuple(
            f"{each.label} gives {ACCOUNT} {desired.namespace}/{desired.like} the rights of {labelled(each.role)}, "
            "which does not exist; it is not copied."
            for each in of_like
            if each.role not in known and each not in copied
        ),
        asked=access.questions([*of_like, *of_account], known),
        theirs=frozenset(access.questions(foreign, known)),
        givers=tuple(each.label for each in foreign),
    )


def _options(desired: Desired) -> dict[str, str]:
    return {option: getattr(desired, option) for option in _TOLD if getattr(desired, option)}


def _check_equal(desired: Desired, live: Raw, observed: Observed) -> None:
    """An account that is not ours is taken as it is, where it is as wanted."""
    _check_owner(desired, live)
    lacking = [*_differing(desired, live), *_lacking(live, observed)]
    if lacking:
        raise Failure(
            f"{desired.label} exists, was not made by this collection, and is not as it has to be "
            f"({', '.join(lacking)}): rename or correct it, or choose another name."
        )


def _wanted(observed: Observed) -> Object:
    """What of the other account goes into the one that takes its place."""
    like = observed.like or {}
    return {
        "imagePullSecrets": [{"name": each} for each in _secret_names(like, "imagePullSecrets")],
        "secrets": [{"name": each} for each in observed.secrets],
        "automountServiceAccountToken": like.get("automountServiceAccountToken"),
    }


def secret_names(raw: Raw | None) -> tuple[str, ...]:
    """The Secrets that its pods may mount."""
    return _secret_names(raw or {}, "secrets")


def _secret_names(raw: Raw, field: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(str(each["name"]) for each in raw.get(field) or () if each.get("name")))


def _lacking(live: Raw, observed: Observed) -> Object:
    """The fields that differ, as they have to be; what a list has besides stays."""
    found: Object = {}
    for field, wanted in _wanted(observed).items():
        if not isinstance(wanted, list):
            if live.get(field) != wanted:
                found[field] = wanted
            continue
        there = _secret_names(live, field)
        missing = [each for each in wanted if each["name"] not in there]
        if missing:
            found[field] = [*(live.get(field) or ()), *missing]
    return found


def _make(desired: Desired, live: Raw | None, observed: Observed) -> list[Write]:
    """The account as it has to be."""
    if live is None:
        annotations = {_TOLD[option]: value for option, value in _options(desired).items()}
        annotations[MIGRATION] = mark.written({"like": desired.like})
        fields = {name: value for name, value in _wanted(observed).items() if value not in (None, [])}
        change = Change.of_object("create", ACCOUNT, desired.namespace, desired.name, f"like {desired.like}")
        return [Write(change, desired.key, {**_skeleton(desired.key, "v1", desired, annotations), **fields})]
    of = marked(live)["like"]
    if of != desired.like:
        raise Failure(
            f"{desired.label} was made to take the place of {ACCOUNT} {desired.namespace}/{of}: name that in like, or "
            "choose another name."
        )
    differing, fields = _differing(desired, live), _lacking(live, observed)
    if not differing and not fields:
        return []
    body: Object = dict(fields)
    if differing:
        body["metadata"] = {"annotations": {_TOLD[option]: value for option, value in differing.items()}}
    return [_patch(desired, live, body, ", ".join([*differing, *fields]))]


def _skeleton(key: Key, version: str, desired: Desired, annotations: t.Mapping[str, str]) -> Object:
    kind, namespace, name = key
    metadata: Object = {"name": name, **({"namespace": namespace} if namespace else {})}
    metadata.update(labels=marks(desired.owner), annotations=dict(annotations))
    return {"apiVersion": version, "kind": kind, "metadata": metadata}


def copy_name(binding: Binding, desired: Desired) -> str:
    """The name of its copy for the account."""
    name = f"{binding.name}-{_digest(desired.place)}"
    if len(name) > _LONGEST_NAME:
        name = f"{binding.name[: _LONGEST_NAME - _DIGITS - 1]}-{_digest(f'{desired.place}/{binding.name}')}"
    return name


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]


def _names(several: t.Iterable[Binding], like: Binding) -> set[str]:
    """The names of those of that kind, in that namespace."""
    return {each.name for each in several if each.key[:2] == like.key[:2]}


def _copy(
    desired: Desired, wanted: t.Sequence[Binding], ours: t.Sequence[Binding], every: t.Iterable[Binding]
) -> t.Iterator[Write]:
    """Copies as they have to be; those whose original is gone, or names the other account no more, go."""
    there = {each.key: each for each in every}
    kept = set()
    for original in wanted:
        key = original.kind, original.namespace, copy_name(original, desired)
        kept.add(key)
        live = there.get(key)
        if live is not None and live not in ours:
            raise Failure(
                f"{live.label} exists and is not the copy of {original.label} that {desired.label} needs: rename or "
                "delete it."
            )
        if live is not None and live.role != original.role:  # which cannot be changed
            yield _deletion(live, "its original has another role")
            live = None
        if live is None:
            yield _creation(desired, original, key)
        elif [_plain(each) for each in live.subjects] != [desired.subject]:
            change = Change.of_object("change", *key, "subjects")
            yield Write(change, key, _versioned(live.raw, {"subjects": [desired.subject]}), live.raw, original)
    for each in ours:
        if each.key not in kept:
            yield _deletion(each, f"{marked(each.raw)['copy_of']} does not name {desired.like}")


def _plain(subject: Raw) -> Object:
    return {key: value for key, value in subject.items() if value}


def _creation(desired: Desired, original: Binding, key: Key) -> Write:
    told = {"copy_of": original.name, "for": desired.place}
    body = _skeleton(key, f"{_API}/v1", desired, {MIGRATION: mark.written(told)})
    body["roleRef"] = {"apiGroup": _API, "kind": original.role[0], "name": original.role[2]}
    body["subjects"] = [desired.subject]
    return Write(Change.of_object("create", *key, f"copy of {original.name}"), key, body, binding=original)


def _deletion(binding: Binding, why: str = "") -> Write:
    return Write(Change.of_object("delete", *binding.key, why), binding.key, None, binding.raw)


# back


def _take_away(desired: Desired, observed: Observed) -> Decision:
    live = observed.account
    made = is_made(live, desired.owner)
    # Any tenant may write a binding that says to be a copy for an account; one that was not made has none.
    ours = copies(observed.bindings, desired) if made or live is None else ()
    if (made or ours) and observed.users:
        raise Failure(
            f"{desired.label} is named by {some(observed.users)}, so it stays: let Jobs and their pods end, and give "
            "all others their service account back first.",
            results={"in_use": sorted(observed.users)},
        )
    writes, left = [_deletion(each) for each in ours], list[str]()
    told = _told(live)
    if live is not None and made:
        change = Change.of_object("delete", ACCOUNT, desired.namespace, desired.name)
        writes.append(Write(change, desired.key, None, live))
    elif live is not None and "client_id" in marked(live) and "like" not in marked(live):
        annotations, left = _before(desired, live)
        told.update({option: annotations[name] or "" for option, name in _TOLD.items() if name in annotations})
        why = ", ".join(option for option, name in _TOLD.items() if name in annotations)
        body = {"metadata": {"annotations": {**annotations, MIGRATION: None}}}
        writes.append(_patch(desired, live, body, f"{why} as before" if why else "only its mark"))
    elif live is not None:
        left = [
            f"{desired.label} was neither made nor annotated by this collection for the owner {desired.owner!r}, so it "
            "stays."
        ]
    exists = live is not None and not made
    return Decision(tuple(writes), _result(desired, told, exists=exists), left=tuple(left))


def _before(desired: Desired, live: Raw) -> tuple[dict[str, str | None], list[str]]:
    """The annotations as they were, and what stays because somebody else has written it since."""
    before, now = marked(live), annotations_of(live)
    found: dict[str, str | None] = {}
    left = []
    for option, name in _TOLD.items():
        if option not in before or now.get(name) == before[option]:
            continue
        if now.get(name) == before.get(_WRITTEN[option]):
            found[name] = before[option]
        else:
            told = f"the {option} {now[name]!r}" if name in now else f"no {option}"
            left.append(f"{desired.label} tells {told}, as somebody else has written since, so it stays so.")
    return found, left
