# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!
"""AzurePodIdentityExceptions: whom they let past NMI, and what must change so that they are as desired."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ..errors import Failure
from ..kubernetes import object_lists
from ..kubernetes.object_lists import Deletion, Outcome, Wave, some
from ..kubernetes.objects import Object, Raw, change, check_texts, clean, deletion, put_texts, shown, skeleton, texts
from ..matching.matching import SELECTOR_LABEL, Pod, template_labels
from ..names import OBJECT_NAME, marks
from .binding_pair import API_VERSION, Decision, Key, check_namespace, count, path_of

EXCEPTION = "AzurePodIdentityException"


@dataclass(frozen=True)
class Desired:
    """The options of one exception; None is unset."""

    name: str
    namespace: str
    pod_labels: t.Mapping[str, str] | None = None
    labels: t.Mapping[str, str] = field(default_factory=dict)
    annotations: t.Mapping[str, str] = field(default_factory=dict)
    present: bool = True
    allow_in_use: bool = False

    @classmethod
    def parse(cls, options: Raw) -> Desired:
        wanted = options.get("pod_labels")
        return cls(
            name=options["name"],
            namespace=options["namespace"],
            pod_labels=None if wanted is None else texts("pod_labels", wanted),
            labels=texts("labels", options.get("labels")),
            annotations=texts("annotations", options.get("annotations")),
            present=options["state"] == "present",
            allow_in_use=options["allow_in_use"],
        )

    @property
    def key(self) -> Key:
        return self.namespace, self.name


class Rules(object_lists.Rules):
    option = "exceptions"


@dataclass(frozen=True)
class Template:
    """What makes pods with these labels."""

    label: str
    namespace: str
    labels: t.Mapping[str, str]

    @classmethod
    def parse(cls, kind: str, raw: Raw) -> Template:
        metadata = raw["metadata"]
        label = f"{kind} {metadata['namespace']}/{metadata['name']}"
        return cls(label, metadata["namespace"], template_labels(raw))


@dataclass(frozen=True)
class Observed:
    """What the cluster holds; ``pods`` and ``templates`` are None where they may not be read."""

    exceptions: tuple[Raw, ...] = ()
    pods: tuple[Pod, ...] | None = ()
    templates: tuple[Template, ...] | None = ()
    offline: bool = False

    @property
    def by_key(self) -> dict[Key, Raw]:
        return {(raw["metadata"]["namespace"], raw["metadata"]["name"]): raw for raw in self.exceptions}


def covers(pod_labels: t.Mapping[str, str], labels: t.Mapping[str, str]) -> bool:
    """Whether NMI lets a pod with these labels past: any one of the labels is enough, its value in any case."""
    return any(key in labels and labels[key].lower() == value.lower() for key, value in pod_labels.items())


def check(desired_list: t.Sequence[Desired], rules: Rules) -> None:
    """Refuse what no cluster could make right."""
    rules.check(desired_list)
    named: dict[Key, Desired] = {}
    for desired in desired_list:
        check_namespace(desired.namespace)
        what = f"{EXCEPTION} {path_of(desired.key)}"
        if not OBJECT_NAME.fullmatch(desired.name):
            raise Failure(f"name {desired.name!r} is no name that Kubernetes accepts: use a-z, 0-9, '-' and '.'.")
        if named.setdefault(desired.key, desired) != desired:
            raise Failure(f"{what} stands twice in exceptions with different contents: give one of them another name.")
        if desired.present and desired.pod_labels is not None and not desired.pod_labels:
            raise Failure(f"{what} would cover no pod: name at least one label in pod_labels, or set state: absent.")
        check_texts(f"A pod for {what}", desired.pod_labels or {}, {})
        check_texts(what, {**desired.labels, **marks(rules.owner)}, desired.annotations)


def leaving(desired_list: t.Sequence[Desired], observed: Observed, rules: Rules) -> dict[Key, Deletion]:
    """What is to go, unless something needs it."""
    kept = {desired.key for desired in desired_list if desired.present}
    gone = {desired.key: desired.allow_in_use for desired in desired_list if not desired.present}
    return object_lists.leaving(kept, gone, observed.by_key, rules.places(desired_list), rules)


def decide(desired_list: t.Sequence[Desired], observed: Observed, rules: Rules) -> Outcome:
    check(desired_list, rules)
    live = observed.by_key
    going = leaving(desired_list, observed, rules)
    decisions = [_decide(desired, live.get(desired.key), going, observed, rules) for desired in desired_list]
    after = {key: _pod_labels(raw) for key, raw in live.items() if key not in going}
    after.update(
        {
            desired.key: _pod_labels(one.result["exception"])
            for desired, one in zip(desired_list, decisions)
            if desired.present
        }
    )
    _refuse_in_use(going, after, observed)
    for key, one in going.items():
        if key not in {desired.key for desired in desired_list}:
            decisions.append(_removal(one, rules, {"exception": {}, "pods": []}))
    writes = list({one.place: one for decision in decisions for one in decision.writes}.values())
    waves = [
        Wave(tuple(one for one in writes if one.body is not None)),
        Wave(tuple(one for one in writes if one.body is None)),
    ]
    warnings = _warnings(desired_list, after, observed)
    return Outcome(tuple(decisions), tuple(wave for wave in waves if wave.writes), tuple(warnings))


def _decide(
    desired: Desired, live: Raw | None, going: t.Mapping[Key, Deletion], observed: Observed, rules: Rules
) -> Decision:
    if not desired.present:
        nothing: Object = {"exception": {}, "pods": []}
        return _removal(going[desired.key], rules, nothing) if desired.key in going else Decision({}, {}, (), nothing)
    wanted = skeleton(EXCEPTION, API_VERSION, live, desired.namespace, desired.name)
    put_texts(wanted, desired.labels, desired.annotations, marks(rules.owner) if live is None or rules.adopt else {})
    if desired.pod_labels is not None:
        wanted.setdefault("spec", {})["podLabels"] = dict(desired.pod_labels)
    pod_labels = _pod_labels(wanted)
    if not pod_labels:
        raise Failure(
            f"{EXCEPTION} {path_of(desired.key)} needs pod_labels: name the labels of the pods that it is for."
        )
    pods = _covered(desired.namespace, pod_labels, observed)
    writes = change(
        "exception",
        EXCEPTION,
        live,
        wanted,
        owner=rules.owner,
        adopt=rules.adopt,
        effect=f"{count(pods)} past NMI",
        pods=(),
        removable=[("spec", "podLabels", key) for key in _pod_labels(live or {})],
    )
    result = {
        "exception": shown(wanted if writes else live or {}),
        "pods": None if pods is None else [f"{pod.namespace}/{pod.name}" for pod in pods],
    }
    looks = {"exception": clean(live or {})}, {"exception": clean(wanted if writes else live or {})}
    return Decision(*looks, tuple(writes), result)


def _removal(going: Deletion, rules: Rules, result: Object) -> Decision:
    one = deletion("exception", EXCEPTION, going.live, owner=rules.owner, adopt=rules.adopt)
    return Decision({"exception": clean(going.live)}, {"exception": {}}, (one,), result)


def _pod_labels(raw: Raw) -> t.Mapping[str, str]:
    return (raw.get("spec") or {}).get("podLabels") or {}


def _covered(namespace: str, pod_labels: t.Mapping[str, str], observed: Observed) -> list[Pod] | None:
    if observed.pods is None:
        return None
    found = [
        pod for pod in observed.pods if pod.namespace == namespace and pod.lives and covers(pod_labels, pod.labels)
    ]
    return sorted(found, key=lambda pod: pod.name)


def _refuse_in_use(
    going: t.Mapping[Key, Deletion], after: t.Mapping[Key, t.Mapping[str, str]], observed: Observed
) -> None:
    used: dict[Key, list[str]] = {}
    for key, one in going.items():
        if one.allowed:
            continue
        if observed.pods is None or observed.templates is None:
            raise Failure(
                f"It cannot be told who needs {EXCEPTION} {path_of(key)}, because this user may not list pods and what "
                "makes them: grant it, or set allow_in_use: true."
            )
        carriers = [
            (f"Pod {pod.namespace}/{pod.name}", pod.namespace, pod.labels) for pod in observed.pods if pod.lives
        ]
        carriers += [(each.label, each.namespace, each.labels) for each in observed.templates]
        others = [pod_labels for (namespace, dummy), pod_labels in after.items() if namespace == key[0]]
        users = [
            label
            for label, namespace, labels in carriers
            if namespace == key[0] and covers(_pod_labels(one.live), labels)
            if not any(covers(pod_labels, labels) for pod_labels in others)
        ]
        if users:
            used[key] = users
    for key, users in used.items():
        raise Failure(
            f"{EXCEPTION} {path_of(key)} lets {some(users)} past NMI: move them first, or set allow_in_use: true.",
            results={"in_use": [{"exception": path_of(one), "users": sorted(found)} for one, found in used.items()]},
        )


def _warnings(
    desired_list: t.Iterable[Desired], after: t.Mapping[Key, t.Mapping[str, str]], observed: Observed
) -> t.Iterator[str]:
    for desired in desired_list:
        pods = _covered(desired.namespace, after[desired.key], observed) if desired.present else None
        served = [path_of((pod.namespace, pod.name)) for pod in pods or () if pod.labels.get(SELECTOR_LABEL)]
        if served:
            yield (
                f"{EXCEPTION} {path_of(desired.key)} covers pods with the label {SELECTOR_LABEL} ({some(served)}): NMI "
                "gives them what the node has instead of their own identity."
            )
