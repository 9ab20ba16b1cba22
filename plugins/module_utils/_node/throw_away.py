# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""A network namespace beside the node's own, whose traffic takes the way of a pod's.

It enters the node through a veth pair with a free address of the node's pods, so that PREROUTING of the nat table, the
node's routes and what translates addresses of pods treat it as theirs. No rule and no setting of the node is written.

The namespace has one process, which ends with its standard input, and so with whoever made it, however that ends. The
kernel takes link, addresses, routes and neighbours away with the namespace.
"""

from __future__ import annotations

import ipaddress
import os
import re
import secrets
import typing as t

from ansible.module_utils.common.process import get_bin_path

from .._domain.errors import Failure

RunCommand = t.Callable[..., "tuple[int, str, str]"]

_INSIDE = "pod"
_LOOKED_AT = 64
_ADDRESS = re.compile(r"[0-9]+(?:\.[0-9]+){3}")


def free_address(run_command: RunCommand, pods: str, reserved: str = "/var/lib/cni/networks") -> str | None:
    """An address of the range that nobody on the node has, from its end, because those of pods are taken in order."""
    ip = _program("ip")
    # What host-local remembers as given away, also to pods that have not said a word yet.
    used = {name for found in os.walk(reserved) for name in found[2]}
    for what in (("address",), ("route", "show", "table", "all"), ("neighbour",)):
        used.update(addresses_in(_run(run_command, [ip, "-4", "-oneline", *what])))
    return unused(pods, used)


def addresses_in(text: str) -> list[str]:
    return _ADDRESS.findall(text)


def unused(pods: str, used: t.Container[str]) -> str | None:
    """The last address of the range that is not used; None where only used ones were looked at."""
    last = int(ipaddress.IPv4Network(pods).broadcast_address)
    first = max(int(ipaddress.IPv4Network(pods).network_address) + 1, last - _LOOKED_AT)
    candidates = (str(ipaddress.IPv4Address(number)) for number in range(last - 1, first - 1, -1))
    return next((each for each in candidates if each not in used), None)


def ask(run_command: RunCommand, address: str, metadata: str, question: t.Callable[[int], str]) -> str:
    """The answer to a question that is put in the namespace of a process.

    That process reaches the metadata address from there, and nothing else.
    """
    answers: list[str] = []
    failures: list[Failure] = []

    def within(process: t.Any) -> None:
        try:
            _await(process)
            link = f"podid{secrets.token_hex(4)}"
            try:
                _connect(run_command, process.pid, link, address, metadata)
                answers.append(question(process.pid))
            finally:
                # It would go with the namespace, but only after a while.
                run_command([_program("ip"), "link", "delete", link], handle_exceptions=False)
        except Failure as failure:
            failures.append(failure)

    keeper = [_program("unshare"), "--net", _program("cat")]
    try:
        run_command(keeper, data="end", before_communicate_callback=within, handle_exceptions=False)
    except BrokenPipeError:  # it ended before it was told to, which is a failure above
        pass
    if failures:
        raise failures[0]
    return answers[0]


def _await(process: t.Any) -> None:
    """Return when the process is in its namespace: it then repeats what it is told."""
    try:
        process.stdin.write(b"here\n")
        process.stdin.flush()
    except BrokenPipeError:  # what it complained of is still to be read
        pass
    if process.stdout.readline() != b"here\n":
        complaint = " ".join(process.stderr.read().decode("utf-8", "replace").split())
        raise Failure(f"The node makes no network namespace ({complaint or 'unshare ended'}); run the task as root.")


def _connect(run_command: RunCommand, process: int, link: str, address: str, metadata: str) -> None:
    ip = _program("ip")
    within = [_program("nsenter"), f"--net=/proc/{process}/ns/net", "--", ip]
    # Given, so that udev does not change them, and neither side has to ask for the other's.
    ours, its = hardware_address(), hardware_address()
    peer = ["peer", "name", _INSIDE, "address", its, "netns", str(process)]
    for command in (
        [ip, "link", "add", link, "address", ours, "type", "veth", *peer],
        [*within, "address", "add", f"{address}/32", "dev", _INSIDE],
        [*within, "link", "set", _INSIDE, "up"],
        [*within, "neighbour", "replace", metadata, "lladdr", ours, "dev", _INSIDE, "nud", "permanent"],
        [*within, "route", "add", f"{metadata}/32", "dev", _INSIDE],
        [ip, "link", "set", link, "up"],
        [ip, "neighbour", "replace", address, "lladdr", its, "dev", link, "nud", "permanent"],
        # Fails where somebody took the address in the meantime.
        [ip, "route", "add", f"{address}/32", "dev", link],
    ):
        _run(run_command, command)


def hardware_address() -> str:
    return ":".join(f"{byte:02x}" for byte in (2, *secrets.token_bytes(5)))


def _run(run_command: RunCommand, argv: t.Sequence[str]) -> str:
    code, out, errors = run_command(list(argv), handle_exceptions=False)
    if code != 0:
        raise Failure(f"{' '.join(argv)} failed: {' '.join(errors.split()) or f'exit status {code}'}.")
    return out


def _program(name: str) -> str:
    try:
        path: str = get_bin_path(name)
    except ValueError:
        raise Failure(f"The node has no program {name}.") from None
    return path
