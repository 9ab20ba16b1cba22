# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Machines that do not exist, for tests of the server on loopback."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from functools import cache

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

from .compute import KEYS, ClusterSpec, ComputeError
from .tokens import jwk
from .wire import JsonObject

STAGES = ("ProvisioningNetworkResources", "ProvisioningControlPlane", "CreatingAgentPools: 0/1 nodes completed")


@cache
def _issuer_key() -> rsa.RSAPrivateKey:
    """One per process: making one takes a good part of a test's time."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


async def _at_once() -> None:
    """No waiting."""


class NullCompute:
    """Clusters start after a while and can sign service account tokens; commands answer what a test has set."""

    def __init__(self) -> None:
        self.pause: Callable[[], Awaitable[object]] = _at_once
        """Awaited between the stages of a start and before a command."""
        self._key = _issuer_key()
        self._kid = uuid.uuid4().hex
        self.clusters: dict[str, ClusterSpec] = {}
        self.halted: set[str] = set()
        self.addresses: dict[str, str] = {}
        """Source address of IMDS requests -> instance id."""
        self.start_error: str | None = None
        self.update_error: str | None = None
        self.command_result: tuple[int, bytes, bytes] = (0, b"", b"")
        self.command_gate: asyncio.Event | None = None
        """When set, commands and reimages wait for it."""
        self.commands: list[tuple[str, str]] = []
        self.reimage_error: str | None = None
        self.reimaged: list[str] = []
        self.on_reimage: Callable[[str], None] = lambda _instance: None
        """What the new system does when it has started."""

    async def start(self, spec: ClusterSpec, progress: Callable[[str], None]) -> None:
        for stage in STAGES:
            await self.pause()
            progress(stage)
        await self.pause()
        if self.start_error is not None:
            raise ComputeError(self.start_error)
        self.clusters[spec.id.lower()] = spec

    async def stop(self, cluster_id: str) -> None:
        self.clusters.pop(cluster_id.lower(), None)

    async def halt(self, cluster_id: str) -> None:
        await self.pause()
        self.halted.add(cluster_id.lower())

    async def resume(self, cluster_id: str, progress: Callable[[str], None]) -> None:
        progress(STAGES[1])
        await self.pause()
        self.halted.discard(cluster_id.lower())

    async def update(self, spec: ClusterSpec) -> None:
        if self.update_error is not None:
            raise ComputeError(self.update_error)
        self.clusters[spec.id.lower()] = spec

    async def kubeconfig(self, cluster_id: str, admin: bool) -> bytes:
        spec = self.clusters[cluster_id.lower()]
        user = "clusterAdmin" if admin else "clusterUser"
        return (
            "apiVersion: v1\nkind: Config\n"
            f"clusters: [{{name: {spec.name}, cluster: {{server: 'https://{spec.fqdn}:443'}}}}]\n"
            f"users: [{{name: {user}_{spec.resource_group}_{spec.name}, user: {{}}}}]\n"
            f"contexts: [{{name: {spec.name}, context: {{cluster: {spec.name},"
            f" user: {user}_{spec.resource_group}_{spec.name}}}}}]\n"
            f"current-context: {spec.name}\n"
        ).encode()

    async def issuer_discovery(self, cluster_id: str) -> dict[str, object]:
        spec = self.clusters.get(cluster_id.lower())
        if spec is None:
            raise ComputeError(f"Cluster {cluster_id} is not running.")
        issuer = spec.issuer_url or f"https://{spec.fqdn}"
        return {
            "issuer": issuer,
            "jwks_uri": f"{issuer.rstrip('/')}{KEYS}",
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
        }

    async def issuer_keys(self, cluster_id: str) -> dict[str, object]:
        return {"keys": [jwk(self._key.public_key(), self._kid)]}

    async def run_command(self, instance_id: str, script: str, timeout: float) -> tuple[int, bytes, bytes]:
        self.commands.append((instance_id, script))
        await self.pause()
        if self.command_gate is not None:
            await self.command_gate.wait()
        return self.command_result

    async def reimage(self, instance_id: str) -> None:
        await self.pause()
        if self.command_gate is not None:
            await self.command_gate.wait()
        if self.reimage_error is not None:
            raise ComputeError(self.reimage_error)
        self.reimaged.append(instance_id)
        await asyncio.to_thread(self.on_reimage, instance_id)

    def instance_at(self, address: str) -> str | None:
        return self.addresses.get(address)

    def address_of(self, instance_id: str) -> str | None:
        return next((address for address, instance in self.addresses.items() if instance == instance_id), None)

    def sign(self, claims: JsonObject) -> str:
        """A service account token of any cluster here."""
        return jwt.encode(claims, self._key, "RS256", headers={"kid": self._kid})
