# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""How far what takes tokens through pods of others is on its way to Workload ID, and what is next for it.

What was observed decides. What a product needs is in its line of ``products``.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ..diagnosis.shown import shown
from ..kubernetes.objects import labels_of
from ..names import listed
from . import noticed, products
from .candidate import POD_IDENTITY, WORKLOAD_ID
from .noticed import Looked, Noticed
from .products import Product
from .trust import EXISTS, Trust

if t.TYPE_CHECKING:
    from .world import World

# How far it is; NOT_KNOWN where what was observed does not tell it.
STATES = NOT_MOVED, PREPARED, MOVED, PROVED, NOT_KNOWN = ("not_moved", "prepared", "moved", "proved", "not_known")
# Who changes it: the phases of the role, or whoever owns its manifest.
PHASES, OWNER = "phases", "owner"


@dataclass(frozen=True)
class Consumer:
    """``label``: kind, namespace and name of what has the setting. ``uses``: POD_IDENTITY, WORKLOAD_ID or OTHER.

    ``client_id``: the one that it names, '' for none. ``subjects``: of the service accounts that the tokens are asked
    with; empty where nothing was found that asks. ``workloads``: labels of those pods' workloads. ``version`` and
    ``chart``: '' where nothing tells them. ``state``: of STATES; ``reason``: why it is no further; ``next``: what is to
    be done. ``change``: values of the chart, or a patch of the object, as YAML; '' for none. ``asks``: as far as is
    known, AAD Pod Identity has to stay for it.
    """

    product: Product
    label: str
    setting: str
    uses: str
    client_id: str = ""
    workloads: tuple[str, ...] = ()
    subjects: tuple[str, ...] = ()
    version: str = ""
    chart: str = ""
    state: str = NOT_KNOWN
    reason: str = ""
    next: str = ""
    moved_by: str = OWNER
    change: str = ""
    trusts: tuple[Trust, ...] = ()
    asks: bool = False

    def view(self) -> dict[str, t.Any]:
        return {
            "product": self.product.name,
            "object": self.label,
            "setting": self.setting,
            "uses": self.uses,
            "client_id": self.client_id,
            "workloads": list(self.workloads),
            "subjects": list(self.subjects),
            "version": self.version,
            "chart": self.chart,
            "state": self.state,
            "reason": self.reason,
            "next": self.next,
            "moved_by": self.moved_by,
            "steps": list(self.product.steps),
            "change": self.change,
            "proof": self.product.proof,
            "credentials": [each.view() for each in self.trusts],
            "blocks_finish": self.asks,
            "page": self.product.page,
        }


def find(world: World) -> list[Consumer]:
    looked = Looked(world)
    found = [_Judged(each, looked).consumer() for each in noticed.find(looked)]
    return sorted(found, key=lambda one: (one.product.name, one.label, one.setting))


Verdict = tuple[str, str, str]  # state, reason, what is next


class _Judged:
    """One consumer with all that it is judged by."""

    def __init__(self, seen: Noticed, looked: Looked) -> None:
        self.seen, self.looked, self.product = seen, looked, seen.product
        self.versions = looked.versions(seen)
        self.trusts = looked.trusts(seen)
        self.off = [each.label for each in seen.askers if not each.is_on]
        self.asking = [each.label for each in seen.askers if each.asks_nmi]
        asked = {looked.client_id_of(seen, each).lower() for each in seen.askers} - {""}
        self.client_ids = asked if seen.askers else {seen.client_id.lower()}

    def consumer(self) -> Consumer:
        seen = self.seen
        charts = (products.chart_of(labels_of(each.source.raw)) for each in seen.askers)
        state, reason, then = self._verdict()
        return Consumer(
            self.product,
            seen.label,
            seen.setting,
            seen.uses,
            client_id=seen.client_id,
            workloads=tuple(sorted({each.label for each in seen.askers})),
            subjects=seen.accounts or tuple(sorted({each.subject for each in seen.askers})),
            version=shown(", ".join(sorted({each.text for each in self.versions} - {""}))),
            chart=next(filter(None, charts), ""),
            state=state,
            reason=shown(reason),
            next=shown(then),
            moved_by=PHASES if self._by_phases else OWNER,
            change="" if state in (MOVED, PROVED) else self._change(),
            trusts=self.trusts,
            # What cannot be read may ask, too.
            asks=not seen.is_workload and bool(seen.odd or (seen.uses == POD_IDENTITY and not self._is_gone)),
        )

    @property
    def _by_phases(self) -> bool:
        """Whether it is a template that may be changed in the cluster."""
        one = self.seen.askers[0].candidate if self.seen.is_workload else None
        if one is None or one.rollout.immutable or one.owner.fixed or one.source.made_by_hand:
            return False
        return not one.owner.kind or self.looked.world.choices.override_owner

    def _change(self) -> str:
        client_id = next(iter(self.client_ids)) if len(self.client_ids) == 1 else ""
        if self.seen.is_workload:
            workload = self.seen.askers[0].source.workload
            account = self.seen.askers[0].subject.rpartition(":")[2]
            return products.text_of(self.product.values(client_id, workload.name, account))
        return "" if self.seen.uses == WORKLOAD_ID else products.text_of(self.seen.change(client_id))

    @property
    def _is_gone(self) -> bool:
        """Whether its version has no AAD Pod Identity any more."""
        gone = self.product.gone
        return bool(gone) and any(each.known and each.numbers >= gone for each in self.versions)

    def _verdict(self) -> Verdict:
        page, seen = f"see {self.product.page}.", self.seen
        if seen.odd:
            return NOT_KNOWN, seen.odd, f"Correct it, or {page}"
        if not seen.is_workload and seen.uses == POD_IDENTITY:
            return self._set_to_pod_identity()
        if not seen.askers:
            return NOT_KNOWN, "Nothing was found that asks for it.", f"Find what does; {page}"
        if not seen.is_workload and seen.uses == WORKLOAD_ID:
            return self._set_to_workload_id()
        if not self.asking and len(self.off) == len(seen.askers):
            reason = f"{listed(self.off)} gets no identity by AAD Pod Identity or Workload ID."
            return NOT_KNOWN, reason, f"Find what does; {page}"
        if self.off:
            return self._unless_too_old(NOT_MOVED, *self._unswitched())
        if self.asking:
            reason = f"{listed(self.asking)} may get tokens both ways."
            then = "See that its own settings are as its steps say; the phases soak and leave prove the rest."
            return self._unless_too_old(PREPARED, reason, then)
        return self._moved()

    def _set_to_pod_identity(self) -> Verdict:
        seen, page = self.seen, self.product.page
        if self._is_gone:
            versions = listed(sorted({each.text for each in self.versions}))
            reason = f"{self.product.name} {versions} has no AAD Pod Identity, so that it gets no token."
            return NOT_MOVED, reason, "Apply what change says."
        if not seen.askers:
            reason = "Nothing was found that asks by it."
            return NOT_MOVED, reason, f"Delete it if nobody needs it, or change it; see {page}."
        if len(self.client_ids) > 1:
            reason = (
                f"{listed([each.label for each in seen.askers])} have different identities, and it names one for all."
            )
            return NOT_MOVED, reason, "Give each one of its own, with the client id of its identity."
        if seen.by_pods and self.off:
            return self._unless_too_old(NOT_MOVED, *self._unswitched())
        lacking = self._untrusting() or self._unlooked()
        if lacking:
            return self._unless_too_old(NOT_MOVED, *lacking)
        reason = f"It says {seen.setting}, and all that it needs for Workload ID is there."
        return self._unless_too_old(PREPARED, reason, "Apply what change says.")

    def _set_to_workload_id(self) -> Verdict:
        if self.seen.by_pods and self.off:
            return (NOT_MOVED, *self._unswitched())
        found, lacking = self._moved(), self._untrusting()
        return (NOT_MOVED, *lacking) if lacking and found[0] != PROVED else found

    def _moved(self) -> Verdict:
        proof = self.seen.proof
        if proof is not None and proof(self.seen):
            return PROVED, "", ""
        return MOVED, "Its status does not prove it yet." if proof else "", self.product.proof

    def _unless_too_old(self, state: str, reason: str, then: str) -> Verdict:
        """The same where its version has Workload ID, or the proxy sidecar asks for it."""
        page = self.product.page
        old = [each for each in self.versions if each.known and not each.suits]
        if all(each.candidate is not None and each.candidate.proxied for each in self.seen.askers):
            return state, reason, then
        if old:
            needed = listed(sorted({each.image.label for each in old}))
            said = f"{self.product.name} has Workload ID from {needed} on, and {old[0].text} runs."
            return NOT_MOVED, said, f"Upgrade it first; see {page}."
        if not self.versions or not all(each.known for each in self.versions):
            said = f"Its version is not known, and so is whether it has Workload ID. {reason}"
            return NOT_KNOWN, said, f"See {page} which version has, and what it takes."
        return state, reason, then

    def _unswitched(self) -> tuple[str, str]:
        reason = f"{listed(self.off)} does not use Workload ID yet."
        if self.seen.is_workload and not self._by_phases:
            then = "Set what change says where its manifest is written; the phases before switch prepare and try it."
            return reason, then
        return reason, "The phases up to switch let it use Workload ID."

    def _untrusting(self) -> tuple[str, str] | None:
        """Which identity does not trust who asks, and what is next."""
        candidates = [each.candidate for each in self.seen.askers if each.candidate is not None]
        given = {self.looked.world.holder(each) for one in candidates for each in one.targets}
        for trust in self.trusts:
            if trust.to_write:
                reason = f"{trust.holder.short} does not trust {trust.subject}."
                if trust.key in given:
                    return reason, "The phase credential writes what is missing."
                module = "application_federated_credential" if trust.app_id else "federated_identity_credential"
                return (
                    f"{reason} AAD Pod Identity does not give it to these pods, so the phases write no credential.",
                    f"If they are to have it, write the credential by the module {module}.",
                )
        return None

    def _unlooked(self) -> tuple[str, str] | None:
        """Why it is not known whether the identities trust who asks, and what is next."""
        for asker in self.seen.askers:
            client_id = self.looked.client_id_of(self.seen, asker)
            if not client_id:
                return f"Nothing tells for which identity {asker.label} asks.", f"See {self.product.page}."
            if self.looked.world.holder_with(client_id) is None:
                return (
                    f"No AzureIdentity has the client id {client_id}, so what that identity trusts was not looked at.",
                    "Let it trust the subjects by the module federated_identity_credential, if it does not.",
                )
        unknown = [each for each in self.trusts if each.state != EXISTS]
        if not unknown:
            return None
        return (
            f"Whether {unknown[0].holder.short} trusts {unknown[0].subject} was not looked at.",
            "Name the cluster, to ask Azure.",
        )
