# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An OCI registry under a public name: empty at first, open to whoever reaches it."""

from __future__ import annotations

from asyncio.subprocess import Process

from . import commands, network
from .state import State


async def start(state: State) -> Process:
    return await commands.start(
        str(state.programs / "registry"),
        f"{network.REGISTRY_ADDRESS}:443",
        str(state.pki / "registry.crt"),
        str(state.pki / "registry.key"),
        log=state.logs / "registry.log",
    )
