# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the simulated Azure needs from the machines behind it.

``Compute`` is the seam between the simulated control plane and the real clusters: ARM decides that a cluster exists,
Compute makes it run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

DISCOVERY, KEYS = "/.well-known/openid-configuration", "/openid/v1/jwks"
"""The documents of a service account issuer: their paths at the API server, and below the issuer's URL."""


class ComputeError(Exception):
    """A machine could not do what was asked; the text is one sentence for people."""


@dataclass(frozen=True)
class NodeSpec:
    """One instance of a scale set."""

    instance_id: str
    """ARM id ``.../virtualMachineScaleSets/<vmss>/virtualMachines/<n>``, as used in a node's providerID."""
    name: str
    """``aks-<pool>-<8 digits>-vmss00000n``: Kubernetes node name and host name."""
    pool: str


@dataclass(frozen=True)
class PodIdentity:
    """An assigned entry of the pod identity add-on."""

    namespace: str
    name: str
    selector: str
    """Value of the label aadpodidbinding of its pods."""
    resource_id: str
    client_id: str


@dataclass(frozen=True)
class PodIdentityException:
    """An exception of the pod identity add-on."""

    namespace: str
    name: str
    labels: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class PodIdentityAddon:
    """What the pod identity add-on of a cluster hands out."""

    kubenet: bool
    """Whether it may run on kubenet."""
    identities: tuple[PodIdentity, ...]
    exceptions: tuple[PodIdentityException, ...]


@dataclass(frozen=True)
class ClusterSpec:
    """Everything that a cluster's machines must know about it."""

    id: str
    name: str
    resource_group: str
    location: str
    node_resource_group: str
    subscription_id: str
    tenant_id: str
    fqdn: str
    issuer_url: str | None
    kubernetes_version: str
    network_plugin: str
    network_policies: bool
    """Whether the cluster has an engine for NetworkPolicies, whichever."""
    kubelet_client_id: str
    """Empty for a cluster that runs as a service principal."""
    nodes: tuple[NodeSpec, ...]
    admin_groups: tuple[str, ...] | None = None
    """Object ids of the Entra groups whose members are administrators; None without Entra login."""
    service_principal_client_id: str = ""
    service_principal_secret: str = field(default="", repr=False)
    pod_identity: PodIdentityAddon | None = None
    """None while the add-on is off."""
    workload_identity: bool = False
    """Whether the add-on is on."""


class Compute(Protocol):
    """The machines."""

    async def start(self, spec: ClusterSpec, progress: Callable[[str], None]) -> None:
        """Return when every node is Ready; raise ComputeError otherwise.

        What ``progress`` is told becomes the status of the operation, as "CreatingAgentPools: 1/2 nodes completed".
        A deletion or a reset cancels this, then calls stop().
        """

    async def stop(self, cluster_id: str) -> None:
        """Stop and forget the cluster; unknown ids are fine."""

    async def halt(self, cluster_id: str) -> None:
        """End control plane and nodes, which answer nothing until resume(); objects of the cluster are kept."""

    async def resume(self, cluster_id: str, progress: Callable[[str], None]) -> None:
        """Return when the nodes, with new systems, are Ready again."""

    async def update(self, spec: ClusterSpec) -> None:
        """Apply a changed issuer URL or changed administrators (the API server restarts), engine and add-ons."""

    async def kubeconfig(self, cluster_id: str, admin: bool) -> bytes:
        """A kubeconfig whose server is ``https://<fqdn>:443``."""

    async def issuer_discovery(self, cluster_id: str) -> dict[str, object]:
        """The discovery document that the cluster's API server publishes, whatever issuer it has; as issuer_keys()."""

    async def issuer_keys(self, cluster_id: str) -> dict[str, object]:
        """The JWKS that the cluster's API server publishes, or did when it last ran; ComputeError before."""

    async def run_command(self, instance_id: str, script: str, timeout: float) -> tuple[int, bytes, bytes]:
        """Run a shell script as root on the node; exit status, stdout, stderr."""

    async def reimage(self, instance_id: str) -> None:
        """Give the node a new system disk and start it: same name and addresses, nothing else of what it was."""

    def instance_at(self, address: str) -> str | None:
        """The node (its instance id) that a source address of an IMDS request belongs to; pods count as their node."""

    def address_of(self, instance_id: str) -> str | None:
        """The address of a node; None while there is none."""
