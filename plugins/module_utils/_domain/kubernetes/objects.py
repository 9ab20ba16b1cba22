# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Objects of Kubernetes: what differs from the desired state, whose they are, and the write that leads there."""

from __future__ import annotations

import functools
import re
import typing as t
from dataclasses import dataclass

from ..change import Change, Verb
from ..errors import Failure
from ..matching.matching import Pod
from ..names import FIELD_MANAGER, LABEL_VALUE, OWNER, is_ours, marks

Object = dict[str, t.Any]
Raw = t.Mapping[str, t.Any]
Place = tuple[str, str, str]  # kind, namespace, name
Path = tuple[str, ...]  # of a field

KEY = re.compile(r"([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")
_NOISE = ("managedFields", "resourceVersion", "uid", "creationTimestamp", "generation", "selfLink")
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


@dataclass(frozen=True)
class Write:
    """One write. ``effect``: what it leads to, in words.

    ``body`` is what is applied, None for a deletion; ``live`` is what is there, None for a creation.

    ``removal`` is merged before, to take away what another manager has set.
    ``pods`` are those that MIC assigns an identity anew because of it; None where they may not be read.
    """

    key: str
    change: Change
    effect: str
    body: Object | None
    live: Raw | None
    force: bool = False
    removal: Object | None = None
    certain: bool = True
    pods: tuple[Pod, ...] | None = ()

    @property
    def kind(self) -> str:
        return self.change.kind

    @property
    def summary(self) -> str:
        parts = (self.change.summary, self.change.why, f"({self.effect})" if self.effect else "")
        return " ".join(part for part in parts if part)

    @property
    def namespace(self) -> str:
        return str(((self.body or self.live or {}).get("metadata") or {}).get("namespace", ""))

    @property
    def name(self) -> str:
        return str(((self.body or self.live or {}).get("metadata") or {}).get("name", ""))

    @property
    def place(self) -> Place:
        return self.kind, self.namespace, self.name


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
    document = dict(raw)
    if raw.get("metadata"):
        document["metadata"] = {key: value for key, value in raw["metadata"].items() if key != "managedFields"}
    copied: Object = _copied(document)
    return copied


def labels_of(raw: Raw) -> t.Mapping[str, str]:
    return (raw.get("metadata") or {}).get("labels") or {}


def annotations_of(raw: Raw) -> t.Mapping[str, str]:
    return (raw.get("metadata") or {}).get("annotations") or {}


def path(raw: Raw) -> str:
    return f"{raw['metadata'].get('namespace', '')}/{raw['metadata']['name']}"


def texts(option: str, values: Raw | None) -> dict[str, str]:
    """Labels or annotations as Kubernetes keeps them. Where YAML read something else, what was written is lost."""
    found = {}
    for key, value in (values or {}).items():
        if isinstance(value, bool) or not isinstance(value, (str, int)):
            raise Failure(f"{option} {key!r} has the value {value!r}, which is no text: put it in quotes.")
        found[str(key)] = str(value)
    return found


def check_texts(what: str, labels: t.Mapping[str, str], annotations: t.Mapping[str, str]) -> None:
    """Refuse what the API server would, which may be after the first write."""
    for option, values in (("label", labels), ("annotation", annotations)):
        for key in values:
            if not KEY.fullmatch(key):
                raise Failure(f"{what} cannot have the {option} {key!r}: its name must look like example.com/name.")
    for key, value in labels.items():
        if value and not LABEL_VALUE.fullmatch(value):
            raise Failure(
                f"{what} cannot have the label {key}={value!r}: use up to 63 letters, digits, '-', '_' and '.', with a "
                "letter or digit at both ends."
            )


def skeleton(kind: str, api_version: str, live: Raw | None, namespace: str, name: str) -> Object:
    """The object to be changed into the wanted one; lists leave kind and version out of their items."""
    wanted = shown(live or {"metadata": {"name": name, "namespace": namespace}})
    return {"apiVersion": api_version, "kind": kind, **wanted}


def put_texts(
    wanted: Object, labels: t.Mapping[str, str], annotations: t.Mapping[str, str], marked: t.Mapping[str, str]
) -> None:
    metadata = wanted["metadata"]
    for part, values in (("labels", {**labels, **marked}), ("annotations", annotations)):
        if values:
            metadata[part] = {**(metadata.get(part) or {}), **values}


def change(
    key: str,
    kind: str,
    live: Raw | None,
    wanted: Object,
    *,
    owner: str,
    adopt: bool,
    effect: str = "",
    pods: tuple[Pod, ...] | None = (),
    removable: t.Iterable[Path] = (),
    unknown: t.Container[str] = frozenset(),
) -> list[Write]:
    """The write that makes ``live`` like ``wanted``; none where both agree.

    ``removable`` are fields that may go; ``unknown`` are texts that stand for values not known yet.
    """
    metadata = wanted["metadata"]
    named = functools.partial(Change.of_object, kind=kind, namespace=metadata.get("namespace"), name=metadata["name"])
    certain = not any(value in unknown for value in (wanted.get("spec") or {}).values() if isinstance(value, str))
    if live is None:
        return [Write(key, named("create"), effect, shown(wanted), None, adopt, certain=certain)]
    fields = _differences(live, wanted)
    if not fields:
        return []
    theirs = ((live.get("metadata") or {}).get("labels") or {}).get(OWNER, owner)
    if theirs != owner and not adopt:
        raise Failure(
            f"{kind} {path(wanted)} belongs to the owner {theirs!r}, so it is not changed: set owner to "
            f"{theirs!r}, or set adopt: true."
        )
    ours = {f"metadata.labels.{name}" for name in marks(owner)}
    verb: Verb = "adopt" if set(fields) <= ours else "change"
    why = "" if verb == "adopt" else ", ".join(field for field in fields if field not in ours)
    gone = [field for field in removable if _at(live, field) is not None and _at(wanted, field) is None]
    held = [field for field in gone if _other_managers(live, field)]
    if held and not adopt:
        raise Failure(
            f"Cannot change {kind} {path(wanted)}: {'.'.join(held[0])} belongs to "
            f"{' and '.join(_other_managers(live, held[0]))}; change it there, or take it over with adopt: true."
        )
    difference = _difference_body(live, wanted)
    body = _merged(_owned(live), difference)
    body.setdefault("spec", {}).update(difference.get("spec") or {})
    if not body["spec"]:
        del body["spec"]
    if adopt:
        body.update({part: _copied(wanted[part]) for part in ("spec", "data") if part in wanted})
    for field in gone:
        (_at(body, field[:-1]) or {}).pop(field[-1], None)
    removal: Object = {}
    for field in held:
        removal = _merged(removal, _nested(field, None))
    return [
        Write(
            key,
            named(verb, why=why),
            effect,
            {"apiVersion": wanted["apiVersion"], "kind": kind, **body},
            live,
            force=adopt,
            removal=removal or None,
            certain=certain,
            pods=pods,
        )
    ]


def deletion(key: str, kind: str, live: Raw, *, owner: str, adopt: bool) -> Write:
    """Raises Failure for what is not provably ours."""
    if not is_ours(live, owner) and not adopt:
        raise Failure(
            f"{kind} {path(live)} does not carry the labels of azureops.pod_identity with the owner "
            f"{owner!r}, so it is not deleted: set owner to that of the object, or set adopt: true."
        )
    metadata = live["metadata"]
    return Write(key, Change.of_object("delete", kind, metadata.get("namespace"), metadata["name"]), "", None, live)


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
        return _copied(value)
    return {name: _extract(value[name], fields[f"f:{name}"]) for name in names if name in value}


def _nested(field: Path, value: t.Any) -> Object:
    return {field[0]: _nested(field[1:], value) if field[1:] else value}


def _at(value: t.Any, field: Path) -> t.Any:
    for name in field:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _other_managers(live: Raw, field: Path) -> tuple[str, ...]:
    """The managers besides ourselves that own the field."""
    found = set()
    for entry in (live.get("metadata") or {}).get("managedFields") or ():
        if entry.get("manager") == FIELD_MANAGER and entry.get("operation") == "Apply":
            continue
        if _at(entry.get("fieldsV1") or {}, tuple(f"f:{name}" for name in field)) is not None:
            found.add(str(entry.get("manager")))
    return tuple(sorted(found))


def _merged(left: Raw, right: Raw) -> Object:
    merged: Object = _copied(dict(left))
    for key, value in right.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merged(merged[key], value) if both else _copied(value)
    return merged


def _copied(value: t.Any) -> t.Any:
    """A copy of plain data in a fifth of the time of copy.deepcopy, which is felt in long lists."""
    if isinstance(value, dict):
        return {key: _copied(part) for key, part in value.items()}
    return [_copied(part) for part in value] if isinstance(value, list) else value
