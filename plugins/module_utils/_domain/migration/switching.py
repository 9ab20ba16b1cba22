# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""What is changed of a workload so that its pods use Workload ID, and how all of it comes back.

Only these fields of the template are ever changed: the label of Workload ID, the service account, the annotation of
the proxy sidecar, the label of AAD Pod Identity, and an annotation that restarts the pods; and, of a Deployment or a
DaemonSet, how many pods may be missing while the rollout lasts. What each was before is kept in an annotation of the
workload itself, which no pod has, so that nothing else has to be remembered: a field that is not named there was not
changed. A value that somebody else has changed meanwhile is theirs.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field, replace

from ..errors import Failure
from ..installation.workload_identity_webhook import PROXY_ANNOTATION, USE_LABEL
from ..kubernetes import patches, progress
from ..kubernetes.objects import annotations_of
from ..matching.matching import SELECTOR_LABEL, Raw, pod_template
from ..names import MIGRATION
from . import mark, of_workloads
from .owners import Owner
from .rollouts import Rollout, host_ports

STATES = SWITCHED, LEFT, RETURNED, ORIGINAL = ("switched", "left", "returned", "original")
BACK = (RETURNED, ORIGINAL)
# What may be changed so, with its apiVersion.
KINDS: t.Mapping[str, str] = {
    "Deployment": "apps/v1",
    "StatefulSet": "apps/v1",
    "DaemonSet": "apps/v1",
    "ReplicaSet": "apps/v1",
    "CronJob": "batch/v1",
}
NAMES = LABEL, ACCOUNT, PROXY, SELECTOR, RESTARTED = (
    *("label", "service_account", "proxy", "aadpodidbinding", "restarted"),
)
_RESTARTED = "azureops.pod-identity/restarted"
STRATEGY, UNPROVED, _ACCOUNT_SET = "strategy", "unproved", "service_account_set"
_SET = "true"  # the value of label and annotation
# While a rollout lasts.
_DURING: t.Mapping[str, int] = {"maxUnavailable": 0, "maxSurge": 1}

Values = t.Mapping[str, t.Optional[str]]
Amount = t.Union[int, str]
# Of the kinds that make new pods before old ones end: where the strategy is, and what it is by default.
_STRATEGIES: t.Mapping[str, tuple[str, t.Mapping[str, Amount]]] = {
    "Deployment": ("strategy", {"maxUnavailable": "25%", "maxSurge": "25%"}),
    "DaemonSet": ("updateStrategy", {"maxUnavailable": 1, "maxSurge": 0}),
}


def fields(pod: Raw) -> dict[str, str | None]:
    """The fields of a template or a pod by their NAMES; None for one that it does not have."""
    metadata, spec = pod.get("metadata") or {}, pod.get("spec") or {}
    labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
    return {
        LABEL: labels.get(USE_LABEL),
        ACCOUNT: spec.get("serviceAccountName") or spec.get("serviceAccount") or None,
        PROXY: annotations.get(PROXY_ANNOTATION),
        SELECTOR: labels.get(SELECTOR_LABEL),
        RESTARTED: annotations.get(_RESTARTED),
    }


def stage(values: Values) -> str:
    """How far pods of such a template are, whoever has changed it."""
    if values[LABEL] != _SET:
        return ORIGINAL
    return LEFT if values[SELECTOR] is None else SWITCHED


@dataclass(frozen=True)
class Record:
    """What the annotation holds.

    ``was``: by name, what each field that was changed was before. ``account``: the service account that was set.
    ``strategy``: what of its rollingUpdate was otherwise before the rollout that lasts. ``unproved``: all has come
    back, and nobody has seen yet that NMI serves its pods.
    """

    was: Values = field(default_factory=dict)
    account: str = ""
    strategy: t.Mapping[str, Amount] = field(default_factory=dict)
    unproved: bool = False

    @classmethod
    def parse(cls, kind: str, raw: Raw) -> Record:
        """Raises Failure for what was not written here."""
        metadata = raw.get("metadata") or {}
        found = mark.read(raw)
        if found is None:
            return cls()
        try:
            strategy, account = found.pop(STRATEGY, {}), found.pop(_ACCOUNT_SET, "")
            unproved = found.pop(UNPROVED, False)
            fits = (
                bool(found or account or strategy or unproved)
                and isinstance(unproved, bool)
                and set(found) <= set(NAMES)
                and all(value is None or isinstance(value, str) for value in found.values())
                and isinstance(account, str)
                and (bool(account) or ACCOUNT not in found)
                and set(strategy) <= set(_DURING if kind in _STRATEGIES else ())
                and all(isinstance(value, (int, str)) for value in strategy.values())
            )
        except (TypeError, AttributeError):
            fits = False
        if not fits:
            raise Failure(
                f"The annotation {MIGRATION} of {kind} {metadata.get('namespace')}/{metadata.get('name')} is not as "
                "this collection writes it, so that nobody knows how the workload was before: correct the annotation, "
                "or take it away and undo by hand."
            )
        return cls(found, account, strategy, unproved)

    @property
    def text(self) -> str | None:
        """None where there is nothing to keep."""
        found: dict[str, t.Any] = dict(self.was)
        if self.account:
            found[_ACCOUNT_SET] = self.account
        if self.strategy:
            found[STRATEGY] = dict(self.strategy)
        if self.unproved:
            found[UNPROVED] = True
        return mark.written(found) if found else None

    def is_ours(self, name: str, now: str | None) -> bool:
        """Whether a field that was changed still has the value that it was given."""
        given = {LABEL: _SET, PROXY: _SET, ACCOUNT: self.account, SELECTOR: None}
        return name in self.was and now == given.get(name, now)  # nobody else restarts by that annotation


@dataclass(frozen=True)
class Wanted:
    """``account``: the service account to have, '' for the one that it has. ``restart``: its pods will not do."""

    state: str
    account: str = ""
    proxy: bool = False
    restart: bool = False


@dataclass(frozen=True)
class Kept:
    """A field that does not get back the value ``was``, because somebody else has given it the value ``now``."""

    name: str
    was: t.Any
    now: t.Any

    def view(self) -> dict[str, t.Any]:
        return {"field": self.name, "was": self.was, "now": self.now}


@dataclass(frozen=True)
class Decision:
    """``before`` and ``after``: fields of the template. ``record``: what the annotation says then.

    ``patch``: a JSON merge patch, empty where nothing is to be written. ``left``: what does not come back.
    """

    before: Values
    after: Values
    record: Record
    patch: Raw
    left: tuple[Kept, ...] = ()

    @property
    def rolls(self) -> bool:
        """Whether the template changes, so that pods are replaced."""
        return self.before != self.after


def decide(kind: str, raw: Raw, wanted: Wanted) -> Decision:
    """What is to be written of a workload as it is now; ``finish`` comes behind the rollout."""
    record, before = Record.parse(kind, raw), fields(pod_template(raw))
    left: tuple[Kept, ...] = ()
    if wanted.state in BACK:
        after, left = _undone(before, record)
        # NMI is not to serve pods for which somebody else wants Workload ID.
        unproved = wanted.state == RETURNED and record != Record() and stage(after) == ORIGINAL
        kept = Record(strategy=record.strategy, unproved=unproved)
    else:
        after = {**before, **_wishes(before, wanted)}
        if wanted.restart:
            after[RESTARTED] = str((raw.get("metadata") or {}).get("generation"))  # which no earlier restart has had
        kept = _noted(before, after, record)
    during = _during(kind, raw) if before != after else {}
    kept = replace(kept, strategy={**kept.strategy, **{key: _amount(kind, raw, key) for key in during}})
    return Decision(before, after, kept, _patch(kind, raw, before, after, kept, during), left)


def _wishes(before: Values, wanted: Wanted) -> dict[str, str | None]:
    if wanted.state == LEFT:
        return {SELECTOR: None}
    found: dict[str, str | None] = {LABEL: _SET}
    if wanted.proxy and before[PROXY] is None:
        found[PROXY] = _SET
    if wanted.account and wanted.account != (before[ACCOUNT] or "default"):
        found[ACCOUNT] = wanted.account
    return found


def _noted(before: Values, after: Values, record: Record) -> Record:
    """The record with what changes; of what was changed here already the first value stays."""
    was = dict(record.was)
    for name in NAMES:
        if before[name] != after[name] and not record.is_ours(name, before[name]):
            was[name] = before[name]
    account = after[ACCOUNT] or "" if before[ACCOUNT] != after[ACCOUNT] else record.account
    return replace(record, was=was, account=account, unproved=False)


def _undone(before: Values, record: Record) -> tuple[dict[str, str | None], tuple[Kept, ...]]:
    after, left = dict(before), []
    for name in NAMES:
        if name in record.was:
            was, now = record.was[name], before[name]
            if record.is_ours(name, now):
                after[name] = was
            elif now != was:
                left.append(Kept(name, was, now))
    if LABEL not in record.was and before[LABEL] == _SET:
        left.append(Kept(LABEL, None, _SET))  # it was there before, or somebody else has set it
    return after, tuple(left)


def rejoin(kind: str, raw: Raw) -> Decision:
    """What is to be written where pods that have left get no token: NMI serves them again, while all else stays."""
    record, before = Record.parse(kind, raw), fields(pod_template(raw))
    if not record.is_ours(SELECTOR, before[SELECTOR]):
        return Decision(before, before, record, {})
    after = {**before, SELECTOR: record.was[SELECTOR]}
    kept = replace(record, was={name: was for name, was in record.was.items() if name != SELECTOR})
    return Decision(before, after, kept, _patch(kind, raw, before, after, kept, {}))


def finish(kind: str, raw: Raw) -> Decision:
    """What is to be written once the rollout is over: how many pods may be missing is again as it was."""
    record, values = Record.parse(kind, raw), fields(pod_template(raw))
    left, back = [], {}
    for key, was in record.strategy.items():
        now = _amount(kind, raw, key)
        if now == _DURING[key]:
            back[key] = was
        elif now != was:
            left.append(Kept(key, was, now))
    zeros = [_is_zero(back.get(key, _amount(kind, raw, key))) for key in _DURING] if back else []
    if back and (all(zeros) or (kind == "DaemonSet" and not any(zeros))):
        # Somebody has changed the other one; both at 0 are not possible, nor of a DaemonSet both more.
        left += [Kept(key, was, _DURING[key]) for key, was in back.items()]
        back = {}
    kept = replace(record, strategy={})
    return Decision(values, values, kept, _patch(kind, raw, values, values, kept, back), tuple(left))


def returned(kind: str, raw: Raw) -> Raw:
    """The workload as it is once it is RETURNED, and its rollout is over."""
    for decision in (lambda now: decide(kind, now, Wanted(RETURNED)), lambda now: finish(kind, now)):
        raw = patches.merged(raw, decision(raw).patch)
    return raw


def pending(kind: str, raw: Raw) -> tuple[Kept, ...]:
    """What of the strategy comes back behind the rollout."""
    return tuple(Kept(key, was, _amount(kind, raw, key)) for key, was in Record.parse(kind, raw).strategy.items())


def shown(kind: str, raw: Raw) -> dict[str, t.Any]:
    """All that may change, as a diff shows it; nothing else of the template."""
    found: dict[str, t.Any] = {
        "template": {name: value for name, value in fields(pod_template(raw)).items() if value is not None}
    }
    if _rolling(kind, raw) is not None:
        found["rollingUpdate"] = {key: _amount(kind, raw, key) for key in _DURING}
    note = annotations_of(raw).get(MIGRATION)
    return {**found, **({MIGRATION: note} if note is not None else {})}


def _rolling(kind: str, raw: Raw) -> Raw | None:
    """None where no new pods come before old ones end."""
    if kind not in _STRATEGIES:
        return None
    strategy = (raw.get("spec") or {}).get(_STRATEGIES[kind][0]) or {}
    return strategy.get("rollingUpdate") or {} if strategy.get("type") in (None, "RollingUpdate") else None


def _amount(kind: str, raw: Raw, key: str) -> Amount:
    value: Amount = (_rolling(kind, raw) or {}).get(key, _STRATEGIES[kind][1][key])
    return value


def _is_zero(amount: Amount) -> bool:
    return amount in (0, "0", "0%")


def _during(kind: str, raw: Raw) -> dict[str, Amount]:
    """What of the strategy has to change for no pod to be missing while the pods are replaced."""
    if _rolling(kind, raw) is None or (raw.get("spec") or {}).get("replicas") == 0 or host_ports(pod_template(raw)):
        return {}
    found: dict[str, Amount] = {}
    if not _is_zero(_amount(kind, raw, "maxUnavailable")):
        found["maxUnavailable"] = _DURING["maxUnavailable"]
    if _is_zero(_amount(kind, raw, "maxSurge")):
        found["maxSurge"] = _DURING["maxSurge"]
    return found


def spec_of(kind: str, values: Values) -> dict[str, t.Any]:
    """The part of a workload's spec that has these fields of the template, by their NAMES; None takes one away."""
    places = {
        LABEL: ("labels", USE_LABEL),
        SELECTOR: ("labels", SELECTOR_LABEL),
        PROXY: ("annotations", PROXY_ANNOTATION),
        RESTARTED: ("annotations", _RESTARTED),
    }
    metadata: dict[str, dict[str, str | None]] = {}
    for name, (place, key) in places.items():
        if name in values:
            metadata.setdefault(place, {})[key] = values[name]
    template: dict[str, t.Any] = {"metadata": metadata} if metadata else {}
    if ACCOUNT in values:  # under its former name, too, which the API server would take in the absence of the other
        template["spec"] = dict.fromkeys(("serviceAccountName", "serviceAccount"), values[ACCOUNT])
    if not template:
        return {}
    return {"jobTemplate": {"spec": {"template": template}}} if kind == "CronJob" else {"template": template}


def _patch(kind: str, raw: Raw, before: Values, after: Values, record: Record, strategy: t.Mapping[str, Amount]) -> Raw:
    changed = {name: after[name] for name in NAMES if before[name] != after[name]}
    spec = spec_of(kind, changed)
    if strategy:
        spec[_STRATEGIES[kind][0]] = {"rollingUpdate": dict(strategy)}
    patch: dict[str, t.Any] = {"spec": spec} if spec else {}
    annotations = annotations_of(raw)
    if annotations.get(MIGRATION) != record.text:
        patch["metadata"] = {"annotations": {MIGRATION: record.text}}
    return patch


@dataclass(frozen=True)
class Refusal:
    """Why nothing is written: a code of the plan, and the option that accepts it, '' for none."""

    code: str
    reason: str
    option: str = ""

    def view(self) -> dict[str, str]:
        return {"code": self.code, "reason": self.reason, "option": self.option}


def refusals(
    state: str, decision: Decision, owner: Owner, rollout: Rollout, *, override_owner: bool, accept_gap: bool
) -> list[Refusal]:
    """What stands against a change of the template. Whoever owns it, what was added to it may be taken away again."""
    found: list[Refusal] = []
    if not decision.rolls:
        return found
    if state not in BACK:
        said = f"it belongs to {owner.label}, which would undo the change" if owner.kind else ""
        if owner.fixed:
            found.append(Refusal(of_workloads.made_by_operator.__name__, said))
        elif owner.kind and not override_owner:
            found.append(Refusal(of_workloads.manifest_has_owner.__name__, said, "override_owner"))
    if not accept_gap:
        gap = rollout.gap
        if not gap and rollout.unknown:
            gap = f"it is not known {rollout.unknown}, because persistentvolumeclaims may not be listed"
        if gap:
            found.append(Refusal(of_workloads.cannot_surge.__name__, gap, "accept_gap"))
    return found


def refused(label: str, state: str, several: t.Sequence[Refusal]) -> Failure:
    """All of them in one sentence, and as data, which has the option: a role that asks for it has another name."""
    told = [f"{each.reason} ({each.code})" for each in several]
    what = "was not brought back" if state in BACK else "was not changed"
    return Failure(
        f"{label} {what}: {'; '.join(told)}.",
        error={"code": several[0].code, "message": several[0].reason},
        results={"refusals": [each.view() for each in several]},
    )


def why_not_yet(kind: str, raw: Raw, decision: Decision, state: str) -> str:
    """What has to be otherwise before this state can be, as a clause; empty where nothing has."""
    held = progress.held(kind, raw) if decision.rolls and state not in BACK else ""
    if not held and state == LEFT and decision.before[LABEL] != _SET:
        return f"its template has no label {USE_LABEL}: let it be switched first"
    return held
