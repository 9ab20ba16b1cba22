# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""What the owner of a manifest has to change of it, as files, and how much of it the workload has already.

No file has a whole object: only the fields of the pod template that a migration changes (see ``switching``), so that
nothing else of it, such as the value of a variable, gets into a file. The kustomize components say how the template has
to be, whether it is already so or not, so that they stay the same while their owner goes on.
"""

from __future__ import annotations

import difflib
import hashlib
import re
import typing as t
from dataclasses import dataclass

from .. import yaml_text
from ..diagnosis.shown import shown
from ..installation.workload_identity_webhook import PROXY_ANNOTATION, USE_LABEL
from ..matching.matching import SELECTOR_LABEL
from ..names import NAMESPACE_NAME, OBJECT_NAME, listed
from . import switching
from .owners import ARGO, FLUX, HELM, Owner
from .switching import ACCOUNT, LABEL, PROXY, SELECTOR, Values

MODES = AUTO, PATCH, RENDER = ("auto", "patch", "render")
SWITCH, LEAVE = "1-switch", "2-leave"
OPEN, PARTLY, OTHERWISE, REVERTED, MERGED = ("open", "partly", "otherwise", "reverted", "merged")
_SET, _DEFAULT = "true", "default"
_HELM_RELEASE = re.compile(r"HelmRelease ([^/]+)/([^/]+)")
_FIELDS: t.Mapping[str, str] = {
    LABEL: f"the label {USE_LABEL}",
    ACCOUNT: "serviceAccountName",
    PROXY: f"the annotation {PROXY_ANNOTATION}",
    SELECTOR: f"the label {SELECTOR_LABEL}",
}
_LONGEST_SEGMENT = 200  # file systems take 255 bytes


@dataclass(frozen=True)
class Manifest:
    """A workload whose manifest is changed where it is written.

    ``api_version``: of its kind. ``now``: fields of its pod template. ``account``: the service account that it is to
    have. ``client_id``: of the identity that this tells. ``cluster``: its name, '' where it is not known. ``leaves``:
    that it uses Workload ID is proved, and AAD Pod Identity is what is to go. ``soak_seconds``: for how long that was
    proved. ``notes``: what else its owner has to see to.
    """

    api_version: str
    kind: str
    namespace: str
    name: str
    now: Values
    account: str
    client_id: str = ""
    proxy: bool = False
    owner: Owner = Owner()
    cluster: str = ""
    leaves: bool = False
    soak_seconds: int = 0
    notes: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"

    @property
    def switched(self) -> dict[str, str | None]:
        """What the template has to have to use Workload ID. A name of the account is told though it stays."""
        account = {ACCOUNT: self.account} if self.account not in ("", _DEFAULT) else {}
        return {LABEL: _SET, **account, **({PROXY: _SET} if self.proxy else {})}

    @property
    def due(self) -> dict[str, str | None]:
        """What it has to have now."""
        return {**self.switched, **({SELECTOR: None} if self.leaves else {})}

    @property
    def release(self) -> tuple[str, str] | None:
        """Namespace and name of the HelmRelease of Flux that it belongs to."""
        found = _HELM_RELEASE.fullmatch(self.owner.name) if self.owner.kind == FLUX else None
        if found and NAMESPACE_NAME.fullmatch(found[1]) and OBJECT_NAME.fullmatch(found[2]):
            return found[1], found[2]
        return None

    @property
    def may_be_of_chart(self) -> bool:
        return self.owner.kind in (HELM, ARGO) or self.release is not None


# where


def folder(kind: str, namespace: str, name: str) -> str:
    """Of a workload, relative to that of its cluster; safe for every name that a file may have."""
    return f"{_segment(namespace)}/{_segment(f'{kind.lower()}-{name}')}"


def _segment(text: str) -> str:
    """``text`` where it can be a name in every file system, else what tells it apart from others."""
    if OBJECT_NAME.fullmatch(text) and len(text) <= _LONGEST_SEGMENT:
        return text
    digest = hashlib.sha256(text.encode(errors="backslashreplace")).hexdigest()[:8]
    plain = re.sub(r"[^a-z0-9-]+", "-", text.lower())[: _LONGEST_SEGMENT - 9].strip("-")
    return f"{plain or 'unnamed'}-{digest}"


# files


def files(one: Manifest) -> dict[str, str]:
    """Text of each file by its path, relative to the folder of the cluster, in the order of their names."""
    found = {
        f"{SWITCH}/kustomization.yaml": _component(),
        f"{SWITCH}/patch.yaml": yaml_text.text(_part(one, one.switched)),
        f"{LEAVE}/kustomization.yaml": _component(),
        f"{LEAVE}/patch.yaml": yaml_text.text(_part(one, {SELECTOR: None})),
        "PULL_REQUEST.md": _pull_request(one),
    }
    if one.may_be_of_chart:
        found["helm-values.yaml"] = _values(one)
    if one.release:
        found["helmrelease.yaml"] = yaml_text.text(_helm_release(one, one.release))
    home = folder(one.kind, one.namespace, one.name)
    return {f"{home}/{name}": found[name] for name in sorted(found)}


def _component() -> str:
    return yaml_text.text(
        {
            "apiVersion": "kustomize.config.k8s.io/v1alpha1",
            "kind": "Component",
            # Without a target: where no resource is the one that it names, kustomize says so.
            "patches": [{"path": "patch.yaml"}],
        }
    )


def _part(one: Manifest, values: Values, *, namespaced: bool = True) -> dict[str, t.Any]:
    """The fields as a strategic merge patch, and as what a diff compares."""
    place = {"namespace": one.namespace} if namespaced else {}
    return {
        "apiVersion": one.api_version,
        "kind": one.kind,
        "metadata": {"name": one.name, **place},
        "spec": switching.spec_of(one.kind, values),
    }


def _values(one: Manifest) -> str:
    """Keys that charts often have; nobody here knows those of this one."""
    values: dict[str, t.Any] = {"podLabels": {USE_LABEL: _SET, **({SELECTOR_LABEL: None} if one.leaves else {})}}
    if one.proxy:
        values["podAnnotations"] = {PROXY_ANNOTATION: _SET}
    said = [
        f"Guesses, for {shown(one.label)}.",
        "",
        "Charts name their values as they like, and one with several workloads has them below the name of each. Merge",
        "what fits into the values of the release, and compare the pod template that helm template renders then with",
        f"PULL_REQUEST.md. Where the chart has no such value, a post-renderer has to include {SWITCH}"
        f"{f' and {LEAVE}' if one.leaves else ''}.",
    ]
    now = one.now[ACCOUNT] or _DEFAULT
    if one.account and one.account != now:
        if now == _DEFAULT:
            values["serviceAccount"] = {"create": False, "name": one.account}
        else:
            said += [
                "",
                f"The pods are to have the service account {shown(one.account)}, which exists. That which they have",
                "now is that of others, too, and has to stay, so no value is guessed with which the chart removes it.",
            ]
    comment = "".join(f"# {line}".rstrip() + "\n" for line in said)
    return comment + yaml_text.text(values)


def _helm_release(one: Manifest, release: tuple[str, str]) -> dict[str, t.Any]:
    """Flux patches what the chart renders, each time; so all that is due stands in it."""
    namespace, name = release
    # Charts seldom write the namespace; the name is a regular expression here.
    target = {"kind": one.kind, "name": re.escape(one.name)}
    patch = yaml_text.Block(yaml_text.text(_part(one, one.due, namespaced=False)))
    return {
        "apiVersion": "helm.toolkit.fluxcd.io/v2",
        "kind": "HelmRelease",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"postRenderers": [{"kustomize": {"patches": [{"target": target, "patch": patch}]}}]},
    }


# the pull request


def _pull_request(one: Manifest) -> str:
    return "\n".join(
        [
            f"# {'Take' if one.leaves else 'Let'} {_code(one.label)} "
            f"{'out of AAD Pod Identity' if one.leaves else 'use Microsoft Entra Workload ID'}",
            "",
            "## Why",
            "",
            *_why(one),
            "",
            "## What to change",
            "",
            *_what(one),
            "",
            "## Proof",
            "",
            *_proof(one),
            "",
            "## Undo",
            "",
            *_undo(one),
            "",
            "## Diff",
            "",
            *_diff(one, SWITCH, {**one.now, **one.switched}, one.now),
            "",
            *_diff(one, LEAVE, {**one.now, **one.switched, SELECTOR: None}, {**one.now, **one.switched}),
            "",
        ]
    )


def _why(one: Manifest) -> t.Iterator[str]:
    where = f" of the cluster {_code(one.cluster)}" if one.cluster else ""
    identity = f" of the identity {_code(one.client_id)}" if one.client_id else ""
    yield (
        f"{_code(one.label)}{where} gets its tokens from AAD Pod Identity, which nobody maintains any more. With "
        f"Workload ID it gets tokens{identity} by its service account "
        f"{_code(one.account or _DEFAULT)}."
    )
    yield ""
    if one.owner.kind:
        yield (
            f"Its manifest belongs to {_code(one.owner.label)}, so nothing was changed of it in the cluster, where its "
            "owner would undo that."
        )
    else:
        yield "Its manifest was not changed in the cluster, because whoever runs the migration has chosen so."


def _what(one: Manifest) -> t.Iterator[str]:
    yield f"Due now is {_code(LEAVE if one.leaves else SWITCH)}."
    yield ""
    yield (
        f"1. {_code(SWITCH)} adds what Workload ID needs. AAD Pod Identity goes on serving the pods beside it, so "
        "nothing is interrupted."
    )
    yield (
        f"2. {_code(LEAVE)} takes {_code(SELECTOR_LABEL)} away. Merge it only once the migration says that it is due: "
        "not together with the first, and not before it."
    )
    yield ""
    yield (
        f"Both are components of kustomize: add the folder to {_code('components')} of the kustomization that has the "
        f"workload, and keep {_code(SWITCH)} there when {_code(LEAVE)} comes. Where the kustomization sets the "
        f"namespace itself, take the line {_code('namespace')} out of {_code('patch.yaml')}."
    )
    if ACCOUNT in one.switched:
        yield ""
        yield (
            f"{_code('serviceAccount')} is the former name of {_code('serviceAccountName')}. The API server keeps "
            "both; if only one of them were written, it would keep the account after a revert."
        )
    if one.may_be_of_chart:
        yield ""
        yield f"{_code('helm-values.yaml')} has values that charts often have; they are guesses, and say so."
    if one.release:
        yield ""
        yield (
            f"{_code('helmrelease.yaml')} is for a chart that has no such value: add its entry to "
            f"{_code('spec.postRenderers')} of the HelmRelease, beside those that are there."
        )
    if one.notes:
        yield ""
        yield (
            "No field of the pod template changes the following. See to it before the pods are replaced; the plan of "
            "the migration tells how."
        )
        yield ""
        yield from _fenced("text", list(map(shown, one.notes)))


def _proof(one: Manifest) -> t.Iterator[str]:
    account = _code(one.account or _DEFAULT)
    identity = f" of {_code(one.client_id)}" if one.client_id else ""
    yield (
        f"- The service account {account} exists and names the identity, and the identity trusts it: a pod with the "
        f"labels of the workload and this account was given a token{identity} by Workload ID."
    )
    if one.leaves:
        yield (
            f"- All pods of the workload have used Workload ID for at least {one.soak_seconds} seconds, and by its "
            "logs AAD Pod Identity gave them no token since."
        )
    else:
        yield (
            "- Once it is merged, the next run of the migration sees that, proves that each new pod has its token by "
            f"Workload ID, and tells when {_code(LEAVE)} is due."
        )


def _undo(one: Manifest) -> t.Iterator[str]:
    yield (
        f"Revert the commit, {_code(LEAVE)} before {_code(SWITCH)}. That takes neither the webhook of Workload ID nor "
        "Azure, as long as AAD Pod Identity is in the cluster. Service account and federated credential stay until the "
        f"migration is undone ({_code('workload_identity_migration_undo')}), which comes after that."
    )
    if one.may_be_of_chart and ACCOUNT in one.switched:
        yield ""
        yield (
            "Where a chart names the service account only while a value says so, let the value say the former one: the "
            "API server keeps the account of a template that names none any more."
        )


def _diff(one: Manifest, title: str, after: Values, before: Values) -> list[str]:
    """Of the fields that a migration changes; the rest of the manifest stays as it is."""
    old, new = (yaml_text.text(_part(one, _present(values))).splitlines() for values in (before, after))
    lines = list(difflib.unified_diff(old, new, "a/manifest.yaml", "b/manifest.yaml", n=len(old) + 1, lineterm=""))
    if not lines:
        return [f"{_code(title)} is merged."]
    return [f"{_code(title)}:", "", *_fenced("diff", lines)]


def _present(values: Values) -> Values:
    return {name: values[name] for name in _FIELDS if values.get(name) is not None}


def _fenced(language: str, lines: t.Sequence[str]) -> list[str]:
    fence = "`" * max(3, 1 + _longest_run("\n".join(lines)))
    return [f"{fence}{language}", *lines, fence]


def _code(text: str) -> str:
    """Text of others as Markdown has code, where nothing of it means anything."""
    said = shown(text) or " "
    ticks = "`" * (1 + _longest_run(said))
    space = " " if len(ticks) > 1 else ""
    return f"{ticks}{space}{said}{space}{ticks}"


def _longest_run(text: str) -> int:
    return max(map(len, re.findall("`+", text)), default=0)


# what is merged


@dataclass(frozen=True)
class Merged:
    """How much of what is due the template has. ``done`` and ``missing``: names of fields.

    ``early``: AAD Pod Identity does not serve its pods any more, and Workload ID not yet.
    """

    state: str
    done: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    early: bool = False


def recognized(one: Manifest, earlier: t.Iterable[Values] = (), *, patched: bool = False) -> Merged:
    """By what the template has, and by ``earlier``, what former revisions had.

    ``patched``: the workload itself says that this collection has changed it.
    """
    former, wanted = list(earlier), one.due
    names = (SELECTOR,) if one.leaves else tuple(wanted)
    missing = tuple(name for name in wanted if not _has(one.now, wanted, name))
    done = tuple(name for name in names if name not in missing and _was_given(name, wanted, former))
    early = (
        SELECTOR not in wanted
        and LABEL in missing
        and one.now[SELECTOR] is None
        and any(each[SELECTOR] is not None for each in former)
    )
    if not missing:
        state = MERGED
    elif (patched and not one.leaves) or any(all(_has(each, wanted, name) for name in wanted) for each in former):
        state = REVERTED
    elif any(name in (LABEL, PROXY) and one.now[name] is not None for name in missing):
        state = OTHERWISE
    else:
        state = PARTLY if done else OPEN
    return Merged(state, done, missing, early)


def _has(values: Values, wanted: Values, name: str) -> bool:
    now = values[name] or _DEFAULT if name == ACCOUNT else values[name]
    return now == wanted[name]


def _was_given(name: str, wanted: Values, former: t.Iterable[Values]) -> bool:
    """Whether somebody has changed the field to what it is: an account that stays is no sign of that."""
    return name != ACCOUNT or any(not _has(each, wanted, name) for each in former)


def told(one: Manifest, merged: Merged) -> str:
    """What its owner has done, and has to do, in sentences; '' where all is merged."""
    if merged.state == MERGED:
        return ""
    due = LEAVE if one.leaves else SWITCH
    missing = listed([_FIELDS[name] for name in merged.missing])
    said = {
        OPEN: f"Its owner has to merge {due}.",
        PARTLY: f"Its owner has merged {due} in part: what is missing is {missing}.",
        REVERTED: f"It had what {due} changes, and somebody took it back: what is missing is {missing}.",
        OTHERWISE: f"Its owner has merged {due} otherwise: "
        + listed([_otherwise(name, one) for name in merged.missing])
        + ".",
    }[merged.state]
    if merged.early:
        said += (
            f" {SELECTOR_LABEL} is gone already, so that its pods get no token: merge {due} now, or put the label back."
        )
    return said


def _otherwise(name: str, one: Manifest) -> str:
    now, wanted = one.now[name], one.due[name]
    has = f"is {shown(now, 70)!r}" if now is not None else "is missing"
    return f"{_FIELDS[name]} {has} and must be {wanted!r}"
