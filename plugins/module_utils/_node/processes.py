# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Whether an NMI lives on this node: its process, or somebody who listens on its port in the host's network."""

from __future__ import annotations

import os
import socket
import struct
import typing as t

from .kernel import unreadable_proc

_NAME = "nmi"
_LISTEN = "0A"


def living(ports: t.Iterable[int]) -> list[str]:
    """What was seen of a living NMI, in words; empty when there is none."""
    return [*_processes(), *_listeners(frozenset(ports))]


def _processes() -> t.Iterator[str]:
    """Processes of that name in this network namespace; what lives in another one cannot write to these tables."""
    try:
        here = os.stat("/proc/self/ns/net")
        entries = sorted((entry for entry in os.listdir("/proc") if entry.isdigit()), key=int)
    except OSError as error:
        raise unreadable_proc(f"{error.filename}: {error.strerror}") from error
    for entry in entries:
        try:
            with open(f"/proc/{entry}/cmdline", "rb") as command:
                program = command.read(4096).split(b"\0")[0]
            if os.path.basename(program) != _NAME.encode():
                continue
            there = os.stat(f"/proc/{entry}/ns/net")
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended in this moment
        except OSError as error:
            raise unreadable_proc(f"{error.filename}: {error.strerror}") from error
        if (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino):
            yield f"process {entry} ({program.decode('utf-8', 'replace')})"


def _listeners(ports: frozenset[int]) -> t.Iterator[str]:
    for name, family in (("tcp", socket.AF_INET), ("tcp6", socket.AF_INET6)):
        try:
            with open(f"/proc/net/{name}", encoding="ascii") as sockets:
                lines = sockets.read().splitlines()[1:]
        except FileNotFoundError:
            if family == socket.AF_INET6:
                continue  # a kernel without IPv6
            raise unreadable_proc("/proc/net/tcp is missing") from None
        except OSError as error:
            raise unreadable_proc(f"/proc/net/{name}: {error.strerror}") from error
        for line in lines:
            local, state = line.split()[1], line.split()[3]
            address, dummy, port = local.rpartition(":")
            if state == _LISTEN and int(port, 16) in ports:
                yield f"a listener on {_address(family, address)} port {int(port, 16)}"


def _address(family: socket.AddressFamily, text: str) -> str:
    """The kernel prints addresses as 32-bit words in the byte order of the machine."""
    words = [int(text[at : at + 8], 16) for at in range(0, len(text), 8)]
    return socket.inet_ntop(family, struct.pack(f"={len(words)}I", *words))
