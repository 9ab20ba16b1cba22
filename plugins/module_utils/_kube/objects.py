# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""One object that is written or deleted, and the wait behind that; nothing of what a Secret holds gets out."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from .._domain.change import Change, Verb
from .._domain.errors import UNEXPECTED, Failure
from .._domain.kubernetes import patches
from .._domain.needs import KubernetesNeed
from . import needs
from .client import Client
from .errors import ApiFailure
from .kinds import SECRET, Kind, Object, label
from .wait import wait_for
from .withheld import withheld

_TRIALS = {
    "create": "create secret generic {} --dry-run=server",
    "patch": "annotate secret {} --dry-run=server a=b",
    "delete": "delete secret {} --dry-run=server",
}


@dataclass(frozen=True)
class Place:
    """Where an object is; ``namespace`` is empty where the kind has none."""

    client: Client
    kind: Kind
    namespace: str
    name: str

    @property
    def label(self) -> str:
        return label(self.kind, self.namespace, self.name)

    def change(self, verb: Verb, why: str = "") -> Change:
        return Change.of_object(verb, self.kind.name, self.namespace, self.name, why)

    def need(self, verb: str) -> KubernetesNeed:
        return needs.need(self.kind, self.namespace, verb)

    def get(self) -> Object | None:
        return self.client.get(self.kind, self.namespace, self.name)

    def create(self, wanted: Object, *, dry_run: bool = False) -> None:
        place = {"name": self.name, **({"namespace": self.namespace} if self.namespace else {})}
        metadata = {**(wanted.get("metadata") or {}), **place}
        body = {"apiVersion": self.kind.api_version, "kind": self.kind.name, **wanted, "metadata": metadata}
        try:
            self.client.create(self.kind, self.namespace, body, dry_run=dry_run)
        except ApiFailure as failure:  # another run may have created the same
            if failure.reason != "AlreadyExists" or not patches.holds(self.get(), wanted):
                raise self._told(failure, "create") from None

    def patch(self, wanted: Object, *, dry_run: bool = False) -> Object:
        try:
            return self.client.merge(self.kind, self.namespace, self.name, wanted, dry_run=dry_run)
        except ApiFailure as failure:
            raise self._told(failure, "patch") from None

    def tried(self, live: Object, wanted: Object) -> TriedPatch:
        """A patch; of a field that the server leaves out, such as a false, only the server knows if it changes it."""
        if patches.holds(live, wanted):
            return TriedPatch(self, wanted, changes=False)
        try:
            return TriedPatch(self, wanted, changes=not patches.same(live, self.patch(wanted, dry_run=True)))
        except ApiFailure as failure:
            if failure.reason == UNEXPECTED:
                raise
            return TriedPatch(self, wanted, refused=failure)

    def delete(self, preconditions: t.Mapping[str, str], propagation: str, *, dry_run: bool = False) -> None:
        options: dict[str, t.Any] = {"preconditions": preconditions, "propagation": propagation}
        try:
            self.client.delete(self.kind, self.namespace, self.name, dry_run=dry_run, **options)
        except ApiFailure as failure:
            raise self._told(failure, "delete") from None

    def wait_gone(self, uid: str, seconds: float) -> None:
        def look() -> bool | None:
            found = self.get()
            return True if found is None or found["metadata"]["uid"] != uid else None

        if wait_for(look, f"{self.label} is not gone yet", timeout=seconds, pause=2) is None:
            raise Failure(
                f"{self.label} was still there {seconds:g} seconds after its deletion: look at its finalizers, and run "
                "again."
            )

    def wait_established(self, seconds: float) -> None:
        def look() -> bool | None:
            conditions = ((self.get() or {}).get("status") or {}).get("conditions") or ()
            return any((each.get("type"), each.get("status")) == ("Established", "True") for each in conditions) or None

        if wait_for(look, f"{self.label} is not Established yet", timeout=seconds, pause=2) is None:
            raise Failure(
                f"{self.label} was not Established within {seconds:g} seconds: look at its conditions with kubectl "
                f"describe {self.kind.plural} {self.name}, and run again."
            )

    def _told(self, failure: ApiFailure, verb: str) -> ApiFailure:
        if self.kind != SECRET:
            return failure
        command = f"kubectl -n {self.namespace} {_TRIALS[verb].format(self.name)}"
        return withheld(failure, verb, self.label, "what the Secret holds", command)


@dataclass(frozen=True)
class TriedPatch:
    """A patch that the server has answered without writing, and what it says of it."""

    place: Place
    wanted: Object
    changes: bool = True
    refused: ApiFailure | None = None

    def write(self, *, dry_run: bool = False) -> None:
        """Carries it out; its dry run asks nothing again."""
        if not dry_run:
            self.place.patch(self.wanted)
        elif self.refused:
            raise self.refused
