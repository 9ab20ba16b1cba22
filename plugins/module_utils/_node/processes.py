# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Whether an NMI lives on this node: its process, or somebody who listens on its port in the host's network."""

from __future__ import annotations

import socket
import struct
import typing as t

from .._domain.printed import escaped
from .kernel import Listener, unreadable_proc
from .programs import Node

NAME = "nmi"
# Always there, unless /proc is mounted so that it hides the processes of others.
FIRST = "/proc/1/cmdline"
# How the kernel marks a socket that listens.
LISTEN = " 0A "
SOCKETS = {"/proc/net/tcp": socket.AF_INET, "/proc/net/tcp6": socket.AF_INET6}


def living(node: Node, ports: t.Iterable[int]) -> list[str]:
    """What was seen of a living NMI, in words; empty when there is none."""
    try:
        # What lives in another network namespace cannot write to these tables.
        seen = [f"process {process.number} ({escaped(process.program)})" for process in node.processes(NAME)]
    except OSError as error:
        raise unreadable_proc(f"{error.filename}: {error.strerror}") from error
    known, wanted = node.listeners(), frozenset(ports)
    listening = in_proc(node) if known is None else known
    return [*seen, *(f"a listener on {one.address} port {one.port}" for one in listening if one.port in wanted)]


def in_proc(node: Node) -> t.Iterator[Listener]:
    for path, family in SOCKETS.items():
        try:
            lines = node.lines(path, LISTEN)
        except FileNotFoundError:
            if family == socket.AF_INET6:
                continue  # a kernel without IPv6
            raise unreadable_proc(f"{path} is missing") from None
        except OSError as error:
            raise unreadable_proc(f"{path}: {error.strerror}") from error
        for line in lines:
            local, state = line.split()[1], line.split()[3]
            address, dummy, port = local.rpartition(":")
            if state == LISTEN.strip():
                yield Listener(_address(family, address), int(port, 16))


def _address(family: socket.AddressFamily, text: str) -> str:
    """The kernel prints addresses as 32-bit words in the byte order of the machine."""
    words = [int(text[at : at + 8], 16) for at in range(0, len(text), 8)]
    return socket.inet_ntop(family, struct.pack(f"={len(words)}I", *words))
