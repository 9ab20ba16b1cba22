# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Which nat tables the kernel holds, asked without any iptables program.

An iptables program makes a legacy table by merely looking at it. So the kernel is asked first, and nothing is run for a
table that is not there.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
import typing as t

from .._domain.errors import Failure

if t.TYPE_CHECKING:
    from .programs import Node

NO_PRIVILEGE = (
    "Reading the nat table needs root with CAP_NET_ADMIN in the network namespace of the node; "
    "use become, and on a container a privileged one in the host's network namespace."
)
NAT = "nat"
LEGACY_TABLES = "/proc/net/ip_tables_names"
# linux/netlink.h, linux/netfilter/nfnetlink.h, linux/netfilter/nf_tables.h, linux/sock_diag.h, net/tcp_states.h
_NETLINK_NETFILTER = 12
_GET_TABLES = (10 << 8) | 1
_NETLINK_SOCK_DIAG, _SOCK_DIAG_BY_FAMILY = 4, 20
_TCP_LISTEN = 10
_ADDRESS_SIZES = {socket.AF_INET: 4, socket.AF_INET6: 16}
_REQUEST_DUMP = 0x001 | 0x300
_MESSAGE_ERROR, _MESSAGE_DONE = 2, 3
_TABLE_NAME = 1
# The kernel has no nf_tables.
_NO_NFT = frozenset([errno.EINVAL, errno.EOPNOTSUPP, errno.EPROTONOSUPPORT, errno.EAFNOSUPPORT])
_WAIT = 10


class Listener(t.NamedTuple):
    address: str
    port: int


def holds_nat(node: Node) -> dict[str, bool]:
    """For each back end whether the kernel holds a nat table of it."""
    return {"nft": NAT in node.nft_tables(), "legacy": NAT in _legacy_tables(node)}


def _legacy_tables(node: Node) -> list[str]:
    try:
        return node.lines(LEGACY_TABLES, NAT)
    except FileNotFoundError:
        try:
            node.lines("/proc/net/dev", ":")
        except OSError:
            raise unreadable_proc("/proc/net is missing") from None
        return []  # a kernel without legacy iptables
    except OSError as error:
        raise unreadable_proc(f"{LEGACY_TABLES}: {error.strerror}") from error


def unreadable_proc(what: str) -> Failure:
    return Failure(
        f"/proc cannot be read ({what}), which tells what tables the kernel holds and whether an NMI lives; "
        "run as root where /proc is mounted and not hidden."
    )


def nft_tables() -> set[str]:
    """Names of the IPv4 tables of nf_tables in this network namespace; reading them is all that this does."""
    try:
        return set(names(_asked(_NETLINK_NETFILTER, _GET_TABLES, struct.pack("=BBH", socket.AF_INET, 0, 0))))
    except OSError as error:
        return no_tables(error)


def listeners() -> list[Listener] | None:
    """Who listens for TCP in this network namespace; None where the kernel tells it in /proc alone.

    To print /proc/net/tcp, the kernel walks through all that it has room for, which takes long on a large machine.
    """
    found = []
    try:
        for family, size in _ADDRESS_SIZES.items():
            request = struct.pack("=BBBxI48x", family, socket.IPPROTO_TCP, 0, 1 << _TCP_LISTEN)
            for message in messages(_asked(_NETLINK_SOCK_DIAG, _SOCK_DIAG_BY_FAMILY, request)):
                (port,) = struct.unpack_from("!H", message, 4)
                found.append(Listener(socket.inet_ntop(family, message[8 : 8 + size]), port))
    except (OSError, struct.error, ValueError):  # ValueError: an address that is cut off
        return None
    return found


def _asked(protocol: int, kind: int, request: bytes) -> t.Iterator[bytes]:
    """What the kernel answers, when it is asked for all that there is."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol) as kernel:
        kernel.settimeout(_WAIT)
        kernel.bind((0, 0))
        kernel.send(struct.pack("=IHHII", 16 + len(request), kind, _REQUEST_DUMP, 1, 0) + request)
        yield from iter(lambda: kernel.recv(1 << 16), b"")


def no_tables(error: OSError) -> set[str]:
    """None, where the error says that the kernel has no nf_tables; every other error is raised."""
    if error.errno in _NO_NFT:
        return set()
    if error.errno in (errno.EPERM, errno.EACCES):
        raise Failure(NO_PRIVILEGE) from error
    raise Failure(f"The kernel does not say which nf_tables it holds ({error}); run the task again.") from error


def names(answers: t.Iterable[bytes]) -> t.Iterator[str]:
    """The names in what the kernel answers, up to its end."""
    for message in messages(answers):
        yield from _table_name(message[4:])


def messages(answers: t.Iterable[bytes]) -> t.Iterator[bytes]:
    """The messages in what the kernel answers without their headers, up to its end.

    Raises OSError where the kernel reports an error, also where it does so at the end.
    """
    for answer in answers:
        at = 0
        while at + 16 <= len(answer):
            length, kind = struct.unpack_from("=IH", answer, at)
            if kind in (_MESSAGE_ERROR, _MESSAGE_DONE):
                # What fails after the kernel began to answer is told at the end.
                (code,) = struct.unpack_from("=i", answer, at + 16) if length >= 20 else (0,)
                if code < 0 or kind == _MESSAGE_ERROR:
                    raise OSError(-code, os.strerror(-code))
                return
            yield answer[at + 16 : at + length]
            at += (length + 3) & ~3


def _table_name(attributes: bytes) -> t.Iterator[str]:
    at = 0
    while at + 4 <= len(attributes):
        length, kind = struct.unpack_from("=HH", attributes, at)
        if kind == _TABLE_NAME:
            yield attributes[at + 4 : at + length].rstrip(b"\0").decode("utf-8", "replace")
        at += max((length + 3) & ~3, 4)
