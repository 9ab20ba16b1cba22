# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""How far each workload is on its way to Workload ID, by what is observed of it alone, and what the next phase is."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, replace

from ..azure import arm_id
from ..installation.workload_identity_webhook import CLIENT_ID
from ..kubernetes.objects import labels_of
from ..matching.matching import pod_template
from ..names import listed
from . import mark, switching
from .candidate import BOTH, NOTHING, WORKLOAD_ID
from .owners import Owner
from .problem import ACCOUNT as STEP_ACCOUNT
from .problem import ANNOTATION, FINISH, LABEL, LEAVE, PROXY, RESTART, SWITCH
from .problem import CREDENTIAL as STEP_CREDENTIAL
from .problem import ISSUER as STEP_ISSUER
from .problem import WEBHOOK as STEP_WEBHOOK
from .switching import Values
from .trust import UNKNOWN

Raw = t.Mapping[str, t.Any]

PLANNED, ACCOUNT, CREDENTIAL, CANARY = "planned", "account", "credential", "canary"
SWITCHED, SOAKING, LEFT, FINISHED = "switched", "soaking", "left", "finished"
AWAITING_OWNER, BLOCKED = "awaiting_owner", "blocked"
STATES = (
    *(PLANNED, ACCOUNT, CREDENTIAL, CANARY, SWITCHED, SOAKING, LEFT, FINISHED),
    *(AWAITING_OWNER, BLOCKED),
)
OWNED, OWN_CLIENT_ID, GAP = "manifest_has_owner", "own_client_id_differs", "cannot_surge"
NO_ISSUER, ENABLE_ISSUER = "issuer_not_enabled", "workload_identity_migration_enable_issuer=true"
_NOBODY = Owner()
# The phase that takes a step; the proof is that of every phase.
_PHASES: t.Mapping[str, str] = {
    STEP_ISSUER: "issuer",
    STEP_WEBHOOK: "webhook",
    STEP_ACCOUNT: "account",
    ANNOTATION: "account",
    STEP_CREDENTIAL: "credential",
    PROXY: "switch",
    LABEL: "switch",
    RESTART: "switch",
}


@dataclass(frozen=True)
class Mover:
    """A workload that gets its tokens by Workload ID in the end.

    ``steps``: phases that have something to do about it. ``account``: the service account that it has; ``new_account``:
    the one that it will have; ``told``: the client id that this tells now. ``bindings``: kinds and places of what binds
    roles to the account whose rights are copied, or were. ``credentials``: as workload_identity_info
    returns them. ``blockers``: what is in the way, by stage. ``labels``: of its template. ``nodes``: one of
    each pool that its pods may come to; None where that is not known. ``mark``: it was changed by
    this collection, before which it had ``former_selector``; ``rolling``: and its rollout was not brought to an end.
    ``unproved``: it was brought back, and nobody has seen since that NMI serves it.
    ``owner``: of its manifest. ``renders``: nothing of it is patched, by choice. ``now``: fields of its template, None
    where it was not read; ``earlier``: of its former revisions. ``notes``: what else whoever changes it has to see to.
    ``awaits``: the owner has to change it. ``state``,
    ``next``, ``reason``: how far it is, the next phase, and why it stops; ``failed``: because something failed in this
    run. ``refused``: what was refused in this run, though not so often that it stops.
    ``predicted``: phases whose work was not really done in this run, which is in check mode. ``soaked``: it was proved
    in this run that it has used Workload ID for long enough. ``proved``: and that it needs nothing of AAD Pod Identity
    any more, since it left. ``wave``: in which it is switched, from 0 on, -1 in none.
    """

    namespace: str
    kind: str
    name: str
    uses: str = ""
    selector: str = ""
    identities: tuple[str, ...] = ()
    client_id: str = ""
    account: str = ""
    new_account: str = ""
    told: str = ""
    bindings: tuple[str, ...] = ()
    credentials: tuple[Raw, ...] = ()
    steps: tuple[str, ...] = ()
    blockers: tuple[Raw, ...] = ()
    owner: str = ""
    renders: bool = False
    now: Values | None = None
    earlier: tuple[Values, ...] = ()
    notes: tuple[str, ...] = ()
    own_client_id: bool = False
    proxy: bool = False
    labels: t.Mapping[str, str] | None = None
    nodes: tuple[str, ...] | None = None
    mark: bool = False
    former_selector: str = ""
    rolling: bool = False
    unproved: bool = False
    awaits: bool = False
    state: str = PLANNED
    next: str = ""
    reason: str = ""
    failed: bool = False
    refused: str = ""
    predicted: tuple[str, ...] = ()
    soaked: bool = False
    proved: bool = False
    wave: int = -1

    @classmethod
    def of(
        cls,
        template: Raw,
        raw: Raw | None = None,
        told: str = "",
        bindings: t.Iterable[str] = (),
        revisions: t.Iterable[Raw] = (),
        consumers: t.Iterable[Raw] = (),
        account_owner: Owner = _NOBODY,
        *,
        renders: bool = False,
    ) -> Mover:
        """``template``: as workload_identity_info returns it. ``raw``: the object itself, None where it was not read.

        ``told``: the client id of the service account that it will have. ``bindings``: of the account itself.
        ``revisions``: templates that it had before. ``consumers``: as workload_identity_info returns those of any.
        ``account_owner``: of the manifest of that service account.
        """
        accepted = {each["code"] for each in template["accepted"]}
        owner = template.get("owner") or {}
        kept = mark.read(raw or {})
        unproved = bool((kept or {}).get(switching.UNPROVED))
        steps = dict.fromkeys(_PHASES[step] for step in template["steps"] if step in _PHASES)
        found = cls(
            namespace=template["namespace"],
            kind=template["kind"],
            name=template["name"],
            uses=template["uses"],
            selector=template["selector"],
            identities=tuple(each["name"] for each in template["identities"]),
            client_id=template["client_id"],
            account=template["service_account"],
            new_account=template["new_service_account"],
            told=told,
            bindings=tuple(bindings),
            credentials=tuple(template["credentials"]),
            steps=tuple(steps),
            blockers=tuple(template["blocked"]),
            owner=" ".join(filter(None, (owner.get("kind"), owner.get("name")))),
            renders=renders,
            now=None if raw is None else switching.fields(pod_template(raw)),
            earlier=tuple(map(switching.fields, revisions)),
            notes=tuple(_notes(template, consumers, account_owner)),
            own_client_id=OWN_CLIENT_ID in accepted,
            proxy=bool(template["proxy"]),
            labels=None if raw is None else _template_labels(raw),
            mark=kept is not None and not unproved,
            former_selector=str((kept or {}).get(switching.SELECTOR) or ""),
            rolling=switching.STRATEGY in (kept or {}),
            unproved=unproved,
        )
        return found.judged()

    @classmethod
    def parse(cls, raw: Raw) -> Mover:
        """As it went from one task to the next."""
        lists = ("identities", "bindings", "credentials", "steps", "blockers", "predicted", "earlier", "notes")
        nodes = None if raw["nodes"] is None else tuple(raw["nodes"])
        return cls(**{**raw, "nodes": nodes, **{name: tuple(raw[name]) for name in lists}})

    @property
    def key(self) -> str:
        """As options name it."""
        return f"{self.namespace}/{self.kind}/{self.name}"

    @property
    def label(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"

    @property
    def group(self) -> tuple[str, str]:
        """Those of one service account go together."""
        return self.namespace, self.new_account

    @property
    def goes(self) -> bool:
        """Whether something may be done about it before it is switched."""
        return not self.is_switched and self.state != BLOCKED and not self.failed

    @property
    def is_switched(self) -> bool:
        return self.state in (SWITCHED, SOAKING, LEFT, FINISHED)

    @property
    def may_have_been_served(self) -> bool:
        """Whether AAD Pod Identity gave it tokens before its owner changed it, or nobody knows: the cluster keeps no
        former revision of it, or they were not read."""
        served = any(each[switching.SELECTOR] is not None for each in self.earlier)
        return served or (bool(self.owner) and not self.earlier)

    @property
    def has_label(self) -> bool:
        """Whether its template asks for Workload ID, whoever wrote that."""
        return self.uses in (BOTH, WORKLOAD_ID)

    def in_the_way(self, stage: str) -> tuple[Raw, ...]:
        return tuple(each for each in self.blockers if each["stage"] == stage)

    def judged(self) -> Mover:
        """With how far it is, by what is to be done about it."""
        if self.has_label and not self.steps and not self.rolling and self.account == self.new_account:
            at = SWITCHED if self.selector else LEFT
            reasons = self.in_the_way(LEAVE if self.selector else FINISH)
            return replace(self, state=at, next="soak" if self.selector else "finish", reason=_told(reasons))
        stops = [each for each in self.in_the_way(SWITCH) if each["code"] != OWNED]
        if stops:
            gate = _PHASES[STEP_ISSUER] if any(each["code"] == NO_ISSUER for each in stops) else self._next
            return replace(self, state=BLOCKED, next=gate, reason=_told(stops))
        owned = [each for each in self.in_the_way(SWITCH) if each["code"] == OWNED]
        awaits = bool(owned) or (self.renders and not self.rolling)
        left_to_do = set(self.steps) - {"switch"}
        reached = PLANNED
        if not left_to_do and awaits:
            reached = AWAITING_OWNER
        elif not left_to_do:  # what nobody has read is not there
            reached = ACCOUNT if any(each["state"] == UNKNOWN for each in self.credentials) else CREDENTIAL
        elif left_to_do == {"credential"}:
            reached = ACCOUNT
        return replace(self, state=reached, next=self._next, awaits=awaits, reason=_told(owned))

    @property
    def _next(self) -> str:
        first = next((phase for phase in _IN_ORDER if phase in self.steps), "")
        return "canary" if first in ("switch", "") else first

    def without(self, *steps: str) -> Mover:
        """Once these are done."""
        return replace(self, steps=tuple(each for each in self.steps if each not in steps))

    def stops(self, reason: str) -> Mover:
        """Because of something that failed in this run."""
        return replace(self, reason=reason, failed=True)


_IN_ORDER = tuple(dict.fromkeys(_PHASES.values()))


def moves(template: Raw) -> bool:
    """Whether the migration has to do with it; not where it takes tokens of its node alone."""
    return bool(template["selector"]) or template["uses"] in (BOTH, WORKLOAD_ID, NOTHING)


def together(movers: t.Sequence[Mover], others: t.Sequence[Mover] = ()) -> tuple[Mover, ...]:
    """The same, where none goes without those that will have its service account.

    ``others``: those that the run leaves out.
    """
    return tuple(_with_mates(one, movers, others) if one.goes else one for one in movers)


def _with_mates(one: Mover, movers: t.Sequence[Mover], others: t.Sequence[Mover]) -> Mover:
    outside = [each.label for each in others if each.group == one.group and not each.is_switched]
    mates = [each for each in movers if each.group == one.group and each.key != one.key and not each.is_switched]
    stopped = [each.label for each in mates if not each.goes]
    awaiting = [each.label for each in mates if each.awaits]
    which = f"ServiceAccount {one.namespace}/{one.new_account}, and none goes without the other"
    if outside:
        return replace(one, state=BLOCKED, reason=f"{listed(outside)} is left out of this run and is to have {which}.")
    if stopped:
        return replace(one, state=BLOCKED, reason=f"{listed(stopped)} stops and is to have {which}.")
    if awaiting and not one.awaits:
        return replace(one, awaits=True, reason=f"{listed(awaiting)} awaits its owner and is to have {which}.")
    return one


def _notes(template: Raw, consumers: t.Iterable[Raw], account_owner: Owner) -> t.Iterator[str]:
    """What no canary sees, because it is in Azure, in the settings of the workload, or in those of others."""
    if account_owner.kind and template["client_id"]:
        yield (
            f"ServiceAccount {template['namespace']}/{template['new_service_account']} belongs to "
            f"{account_owner.label}; add {CLIENT_ID}: {template['client_id']} to its annotations where it is written, "
            "or new pods get no token once its owner takes that annotation away."
        )
    for each in template["identities"]:
        if each["replacement"]:
            name = arm_id.last_segment(each["replacement"])
            yield f"The identity {name} takes the place of AzureIdentity {each['name']}, and needs the same roles."
    label = f"{template['kind']} {template['namespace']}/{template['name']}"
    for each in consumers:
        if label in each["workloads"] and each["uses"] != WORKLOAD_ID:
            yield f"{each['product']} takes tokens by its pods: {each['object']}, {each['setting']}."
    yield from (each["reason"] for each in template["not_looked_at"] if each["code"] == OWN_CLIENT_ID)


def _template_labels(raw: Raw) -> dict[str, str]:
    return {str(key): str(value) for key, value in labels_of(pod_template(raw)).items()}


def _told(blockers: t.Iterable[Raw]) -> str:
    """Why, what to do, and which option accepts it, or does it."""
    said = []
    for each in blockers:
        accepted = f" ({each['accepted_by']} accepts it)" if each["accepted_by"] else ""
        if each["code"] == NO_ISSUER:
            accepted = f" ({ENABLE_ISSUER} does that)"
        said.append(f"{each['code']}: {each['reason']} {each['remedy']}{accepted}")
    return " ".join(dict.fromkeys(said))
