# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names: dnsmasq on the address of Azure's resolver. A name that it does not know does not exist."""

from __future__ import annotations

import os
import signal
from asyncio.subprocess import Process
from collections.abc import Mapping

from . import commands, network
from .state import State


async def start(state: State) -> Process:
    _write(state, {})
    return await commands.start(
        "dnsmasq",
        "--keep-in-foreground",
        "--user=root",
        "--conf-file=/dev/null",
        "--no-resolv",
        "--no-hosts",
        "--no-poll",
        "--local=/#/",
        "--local-ttl=5",
        "--log-queries",
        "--log-facility=-",
        "--bind-interfaces",
        f"--listen-address={network.DNS_ADDRESS}",
        f"--addn-hosts={state.hosts}",
        f"--pid-file={state.resolver}",
        log=state.logs / "resolver.log",
    )


def publish(state: State, names: Mapping[str, str]) -> None:
    """Make the names (with their addresses), besides those of Azure and the registry, all there are."""
    _write(state, names)
    os.kill(int(state.resolver.read_text()), signal.SIGHUP)


def _write(state: State, names: Mapping[str, str]) -> None:
    azure = dict.fromkeys(network.AZURE_NAMES, network.AZURE_ADDRESS)
    everything = {**azure, network.REGISTRY_NAME: network.REGISTRY_ADDRESS, **names}
    state.hosts.write_text("".join(f"{address} {name}\n" for name, address in everything.items()))
