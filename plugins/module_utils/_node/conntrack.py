# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Connections that the kernel still sends to NMI although its rule is gone, by the conntrack program."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from .._domain.errors import Failure
from .._domain.nodes.node_rules import Redirect, Wanted
from .._domain.printed import escaped
from .programs import Node


@dataclass(frozen=True)
class Way:
    """Connections to one address and port that one port answers."""

    address: str
    port: int
    nmi_port: int

    @property
    def filter(self) -> tuple[str, ...]:
        original = ("--orig-dst", self.address, "--orig-port-dst", str(self.port))
        return ("-f", "ipv4", "-p", "tcp", *original, "--reply-port-src", str(self.nmi_port))


@dataclass(frozen=True)
class Connections:
    """What there is to end. ``reason`` says why nobody could look."""

    conntrack: str = ""
    ways: tuple[Way, ...] = ()
    count: int = 0
    reason: str | None = None


def ways(wanted: Wanted, redirects: t.Iterable[Redirect]) -> tuple[Way, ...]:
    """The ways that the options name, and those that the rules themselves name."""
    named = Way(wanted.metadata_address, wanted.metadata_port, wanted.nmi_port)
    written = (Way(redirect.address, redirect.port, redirect.to_port) for redirect in redirects)
    return tuple(dict.fromkeys((named, *written)))


def commands(node: Node, through: tuple[Way, ...]) -> list[list[str]]:
    """What ``look`` runs."""
    conntrack = node.program("conntrack")
    return [[conntrack, "-L", *way.filter] for way in through] if conntrack else []


def look(node: Node, through: tuple[Way, ...]) -> Connections:
    conntrack = node.program("conntrack")
    if conntrack is None:
        return Connections(reason="the node has no program conntrack")
    count = 0
    node.foresee(commands(node, through))
    for command in commands(node, through):
        answer = node.run(command)
        if answer.code != 0:
            return Connections(reason=f"conntrack cannot list connections: {escaped(answer.complaint)}")
        count += len(answer.out.splitlines())
    return Connections(conntrack, through, count)


def end(node: Node, connections: Connections) -> int:
    """Delete the entries, also those that came since the look; how many there were."""
    ended = 0
    for way in connections.ways:
        answer = node.run([connections.conntrack, "-D", *way.filter])
        ended += len(answer.out.splitlines())
        # Status 1 is also the answer when there was nothing to delete.
        if answer.code != 0 and "0 flow entries have been deleted" not in answer.err:
            raise Failure(
                f"conntrack cannot delete the connections to {way.address}:{way.port} through port {way.nmi_port} "
                f"({escaped(answer.complaint)}); run the task again, or restart the pods that hold them."
            )
    return ended
