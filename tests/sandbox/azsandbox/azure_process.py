# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The simulated Azure as a process of the sandbox, with the sandbox's machines behind it."""

from __future__ import annotations

import asyncio
import secrets
import sys
import uuid
from asyncio.subprocess import Process

from . import commands, network, paths, programs
from .state import SandboxError, State

OPERATOR = "operator"
"""The service principal that owns the subscription."""
_TIMEOUT = 60.0


def new_operator(state: State) -> None:
    """Write the operator's account; the ids of tenant and subscription depend on the sandbox's name alone."""
    account = {
        "tenant_id": str(uuid.uuid5(uuid.NAMESPACE_DNS, f"tenant.{state.name}.sandbox")),
        "subscription_id": str(uuid.uuid5(uuid.NAMESPACE_DNS, f"subscription.{state.name}.sandbox")),
        "client_id": str(uuid.uuid4()),
        # One secret in 64 begins like an option; so all see what stumbles over it.
        "secret": f"-{secrets.token_urlsafe(30)}",
    }
    state.write_principal(OPERATOR, account)


async def start(state: State) -> Process:
    """Start it, with an empty subscription; return when it answers."""
    log = state.logs / "azure.log"
    process = await commands.start(sys.executable, "-m", "azsandbox", "serve-azure", "--name", state.name, log=log)
    async with asyncio.timeout(_TIMEOUT):
        while not (state.azure / "ready").exists():
            if process.returncode is not None:
                raise SandboxError(f"the simulated Azure ended: {commands.tail(log)}")
            await asyncio.sleep(0.05)
    return process


def serve(state: State) -> int:
    """Be the simulated Azure, in the fabric's namespaces."""
    # Here, because every other command would wait for these to load.
    from .azure import server
    from .compute import Machines

    account = state.read_principal(OPERATOR)
    config = server.Config(
        tenant_id=account["tenant_id"],
        subscription_id=account["subscription_id"],
        client_id=account["client_id"],
        client_secret=account["secret"],
        state_dir=state.azure,
        certificate=state.pki / "azure.crt",
        private_key=state.pki / "azure.key",
        https=(server.Address(network.AZURE_ADDRESS, 443),),
        http=(server.Address(network.IMDS_ADDRESS, 80),),
        request_log=state.logs / "requests.jsonl",
        charts=paths.CHARTS,
        kubernetes_version=programs.version("kubernetes").removeprefix("v"),
        workload_identity=state.workload_identity.exists(),
    )
    asyncio.run(server.run(config, Machines(state), ready=(state.azure / "ready").touch))
    return 0
