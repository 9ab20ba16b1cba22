# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Around a write of a cluster: its scale sets get back the identities that AKS drops from them."""

from __future__ import annotations

import contextlib
import time
import typing as t

from .._domain.azure import attached_identities as attached
from .._domain.azure import clusters
from .._domain.azure import kept_identities as kept
from .._domain.azure.attached_identities import Carrier
from .._domain.azure.kept_identities import Held, Look
from .._domain.errors import Failure
from . import attached_identities, scale_sets
from .client import Arm, Body
from .errors import Refused


class Watch:
    """Looks at the scale sets around the writes of a task; ``results`` and ``warnings`` tell of what was lost."""

    def __init__(self, arm: Arm, options: t.Mapping[str, t.Any]) -> None:
        self.results: dict[str, t.Any] = {}
        self.warnings: list[str] = []
        self._arm = arm
        # Of an operation that is not waited for, the end is not seen either.
        self._mode = options["restore_identities"] if options.get("wait", True) else "ignore"
        self._timeout = options["restore_timeout"]

    def around(self, cluster: Body | None, write: t.Callable[[], Body]) -> Body:
        """What ``write`` returns; raises Failure where something that it has cost did not come back, or is not seen."""
        before = self._held(cluster) if cluster and self._mode != "ignore" else ()
        if cluster is None or not before:
            return write()
        try:
            written = write()
        except Refused as refused:
            if refused.service.status < 400:  # an operation that failed on its way may have cost as much
                with contextlib.suppress(Failure):  # told as a warning
                    self._restore(cluster, before)
            raise
        self._restore(cluster, before)
        return written

    def _held(self, cluster: Body) -> tuple[Held, ...]:
        """What its scale sets carry; who may not look is warned. Whatever else is answered ends it before the write."""
        try:
            return kept.held(self._carriers(cluster), cluster)
        except Refused as refused:
            if not refused.forbids():
                raise
            self._warn_unread(cluster, refused)
            return ()

    def _warn_unread(self, cluster: Body, failure: Failure) -> None:
        warning = kept.unread(str(cluster["name"]), failure)
        if warning not in self.warnings:  # a write may take several attempts
            self.warnings.append(warning)

    def _carriers(self, cluster: Body) -> tuple[Carrier, ...]:
        return tuple(map(Carrier.parse, scale_sets.list_group(self._arm, clusters.node_group(cluster))))

    def _restore(self, cluster: Body, before: tuple[Held, ...]) -> None:
        pauses = self._arm.patience.looks(
            f"scale sets of {cluster['name']} lack identities that they had", at_most=self._timeout
        )
        next(pauses)  # the first look is due at once
        began = time.monotonic()
        try:
            lost = kept.missing(before, self._carriers(cluster))
        except Failure as failure:
            self._warn_unread(cluster, failure)
            if isinstance(failure, Refused) and failure.forbids():
                return
            raise kept.not_seen(str(cluster["name"]), failure) from failure
        looks = [Look(began, self._alive(lost))]
        for _pause in pauses if looks[0].missing else ():
            with contextlib.suppress(Failure):  # the next look may do better
                looks.append(Look(time.monotonic(), kept.missing(looks[0].missing, self._carriers(cluster))))
            if not looks[-1].missing:
                break
        waited, problem = time.monotonic() - began, None
        added: set[Held] = set()
        if looks[-1].missing and self._mode == "attach":
            problem = self._attach(looks[-1].missing, added)
            looks.append(Look(time.monotonic(), self._left(cluster, looks[-1].missing, added, problem)))
        found = kept.gaps(looks, added)
        if found:
            self.results["identity_gap"] = [*self.results.get("identity_gap", ()), *map(kept.view, found)]
            self.warnings += map(kept.sentence, found)
        if looks[-1].missing:
            raise kept.not_restored(looks[-1].missing, waited, problem)

    def _alive(self, missing: tuple[Held, ...]) -> tuple[Held, ...]:
        return kept.alive(missing, *attached_identities.client_ids(self._arm, [one.identity for one in missing]))

    def _attach(self, missing: tuple[Held, ...], added: set[Held]) -> Failure | None:
        """Attach what is missing, wherever that works; what is attached is ``added``. Returns why something is not."""
        problem = None
        for carrier, ids in kept.by_scale_set(missing).items():
            for some in attached.batches(ids):
                try:
                    doing = attached.action(some, carrier.text, attach=True)
                    attached_identities.change(self._arm, carrier, some, attach=True, doing=doing)
                    added |= {Held(carrier, each) for each in some}
                except Failure as failure:
                    problem = problem or failure
        return problem

    def _left(
        self, cluster: Body, missing: tuple[Held, ...], added: set[Held], problem: Failure | None
    ) -> tuple[Held, ...]:
        """What is missing still. What was attached has been seen; where that failed, others may have been first."""
        left = tuple(one for one in missing if one not in added)
        if problem:
            with contextlib.suppress(Failure):
                left = kept.missing(left, self._carriers(cluster))
        return left
