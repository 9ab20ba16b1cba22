# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What MIC should assign in a world, and what it has assigned."""

from __future__ import annotations

import itertools
import time

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.matching.matching import (
    AssignedIdentity,
    Assignment,
    Binding,
    Identity,
    Matching,
    Pod,
    Raw,
    Rules,
)
from ansible_collections.azureops.pod_identity.tests.kube.mic import NODES, Body, Key, Mic, World
from ansible_collections.azureops.pod_identity.tests.support import api_server as server

Places = frozenset[tuple[str, str]]
"""Names of AzureAssignedIdentities with their namespaces."""


def between(before: World, after: World, rules: Rules) -> Places:
    """Where MIC may make assignments on the way: it sees the changes of one kind before or after those of another."""
    met = [
        World(one.identities, another.bindings, third.pods)
        for one, another, third in itertools.product((before, after), repeat=3)
    ]
    found = [expected(world, rules) for world in met]
    return Places((name, each.namespace) for one in found for name, rivals in one.items() for each in rivals)


def expected(world: World, rules: Rules) -> dict[str, list[Assignment]]:
    pods, bindings, identities = parsed(world)
    found = Matching(bindings, identities, rules, nodes=NODES).assignments(pods)
    by_name = sorted(found, key=lambda one: one.name)
    return {name: list(rivals) for name, rivals in itertools.groupby(by_name, key=lambda one: one.name)}


def parsed(world: World) -> tuple[list[Pod], list[Binding], list[Identity]]:
    return (
        [Pod.parse(raw(key, body)) for key, body in world.pods.items()],
        [Binding.parse(raw(key, body)) for key, body in world.bindings.items()],
        [Identity.parse(raw(key, body)) for key, body in world.identities.items()],
    )


def raw(key: Key, body: Body) -> Raw:
    return {**body, "metadata": {**body.get("metadata", {}), "namespace": key[0], "name": key[1]}}


def settled(mic: Mic, wanted: dict[str, list[Assignment]], homes: Places) -> Places:
    """Wait until there is what is wanted; the namespaces of what there is, by name.

    One that only changes stays where it was made, one of ``homes``, whatever its identity's behavior has become.
    """
    end = time.monotonic() + server.SECONDS
    while True:
        live = [AssignedIdentity.parse(one) for one in mic.assigned()]
        wrong = _wrong(live, wanted, homes)
        if not wrong:
            return Places((one.name, one.namespace) for one in live)
        assert time.monotonic() < end, wrong
        time.sleep(0.05)


def _wrong(live: list[AssignedIdentity], wanted: dict[str, list[Assignment]], homes: Places) -> list[str]:
    names = sorted(one.name for one in live)
    if names != sorted(wanted):
        return [f"{names} instead of {sorted(wanted)}"]
    wrong = []
    for one in live:
        got = (one.pod_namespace, one.pod, one.node, one.identity, one.binding)
        options = [(w.pod.namespace, w.pod.name, w.pod.node, w.identity, w.binding) for w in wanted[one.name]]
        places = {w.namespace for w in wanted[one.name]} | {place for name, place in homes if name == one.name}
        if got not in options or one.namespace not in places or one.state != "Assigned":
            wrong.append(f"{one} is none of {options} in {places}")
    return wrong
