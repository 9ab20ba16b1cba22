# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The Lease of the run that works on a cluster: taken, renewed and given back, whoever else tries the same."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from .._domain.change import Change, Verb
from .._domain.errors import Failure
from .._domain.kubernetes import lease
from .._domain.needs import KubernetesNeed
from .client import Client
from .errors import ApiFailure
from .kinds import LEASE, Object, label
from .needs import need
from .wait import wait_for


@dataclass(frozen=True)
class Desired:
    """Who wants which Lease."""

    namespace: str
    name: str
    holder: lease.Holder
    seconds: int
    ended: lease.Ended

    @property
    def label(self) -> str:
        return label(LEASE, self.namespace, self.name)

    def change(self, verb: Verb, why: str) -> Change:
        return Change.of_object(verb, LEASE.name, self.namespace, self.name, why)

    def needs(self, verb: str) -> tuple[KubernetesNeed, ...]:
        return (need(LEASE, self.namespace, verb),)


def observe(client: Client, desired: Desired) -> tuple[lease.Lease | None, lease.Claim]:
    raw = client.get(LEASE, desired.namespace, desired.name)
    found = lease.Lease.parse(raw) if raw else None
    return found, lease.decide(found, desired.holder, client.server_time(), desired.ended, desired.label)


def take(client: Client, desired: Desired, *, timeout: float, pause: float) -> dict[str, t.Any]:
    """Take or renew it, as soon as nobody else holds it; of two that try at once one succeeds."""

    def look() -> dict[str, t.Any] | None:
        found, claim = observe(client, desired)
        if not claim.free:
            return None
        try:
            return lease.Lease.parse(_write(client, desired, found)).told()
        except ApiFailure as failure:
            if not failure.conflict:
                raise
            return None

    taken = wait_for(look, f"{desired.label} is held by another run", timeout=timeout, pause=pause)
    if taken is None:
        raise held(client, desired)
    return taken


def held(client: Client, desired: Desired) -> Failure:
    """The Failure that names the holder."""
    found, dummy = observe(client, desired)
    if found is None:
        return Failure(f"{desired.label} changed hands while it was looked at: run this again.")
    ended = desired.ended(found.holder.process)
    sentence = lease.refusal(found, ended, desired.label, desired.namespace, desired.name)
    return Failure(sentence, results={"lease": found.told()})


def give_back(client: Client, desired: Desired) -> None:
    """Delete it, unless it is another's by now."""
    found, claim = observe(client, desired)
    if found is None or not claim.ours:
        return
    try:
        conditions = {"uid": found.uid, "resourceVersion": found.version}
        client.delete(LEASE, desired.namespace, desired.name, preconditions=conditions)
    except ApiFailure as failure:
        if not failure.conflict:
            raise


def _write(client: Client, desired: Desired, found: lease.Lease | None) -> Object:
    body = lease.body(found, desired.holder, client.server_time(), desired.seconds)
    if found:
        return client.merge(LEASE, desired.namespace, desired.name, body)
    body["metadata"].update(name=desired.name, namespace=desired.namespace)
    return client.create(LEASE, desired.namespace, {"apiVersion": LEASE.api_version, "kind": LEASE.name, **body})
