# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The machines behind the simulated Azure: starts and stops clusters, and reaches into their nodes."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from urllib.parse import urlsplit

import aiohttp

from . import linux, network, resolver
from .azure.compute import DISCOVERY, KEYS, ClusterSpec, ComputeError
from .cluster import Cluster
from .commands import CommandError
from .state import State

_WATCHES_PER_NODE = 12
"""inotify instances of kubelet, containerd and kube-proxy, and a few for what runs in pods."""


class Machines:
    """Compute (see azure/compute.py) on real processes. Lives in the fabric's namespaces."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._clusters: dict[str, Cluster] = {}

    async def start(self, spec: ClusterSpec, progress: Callable[[str], None]) -> None:
        if spec.id.lower() in self._clusters:
            raise ComputeError(f"Cluster {spec.name} is running already.")
        used = {cluster.subnet.number for cluster in self._clusters.values()}
        free = [number for number in range(network.CLUSTERS) if number not in used]
        if not free:
            raise ComputeError(f"No room for cluster {spec.name}: {network.CLUSTERS} clusters are running; delete one.")
        if len(spec.nodes) > network.NODES:
            raise ComputeError(f"Cluster {spec.name} has more than {network.NODES} nodes; ask for fewer.")
        if not linux.watches_left(_WATCHES_PER_NODE * len(spec.nodes)):
            raise ComputeError(
                f"This machine's limit of inotify instances leaves no room for cluster {spec.name}: end another sandbox"
                " or cluster, or raise it with: sysctl fs.inotify.max_user_instances=512"
            )
        cluster = Cluster(self._state, spec, network.Subnet(free[0]))
        self._clusters[spec.id.lower()] = cluster
        self._publish()
        try:
            await cluster.start(progress)
            cluster.announce()
        except BaseException as error:
            await asyncio.shield(self.stop(spec.id))
            if isinstance(error, CommandError | OSError):
                raise ComputeError(f"Cluster {spec.name} did not start: {error}") from error
            raise

    async def stop(self, cluster_id: str) -> None:
        cluster = self._clusters.get(cluster_id.lower())
        if cluster is not None:
            await cluster.stop()
            del self._clusters[cluster_id.lower()]
            self._publish()

    async def halt(self, cluster_id: str) -> None:
        # Half a stop would be neither; who cancels it finds it done.
        await asyncio.shield(self._cluster(cluster_id).halt())
        self._publish()

    async def resume(self, cluster_id: str, progress: Callable[[str], None]) -> None:
        cluster = self._cluster(cluster_id)
        try:
            await asyncio.shield(cluster.resume(progress, self._publish))
        except (CommandError, OSError) as error:
            raise ComputeError(f"Cluster {cluster.spec.name} did not start: {error}") from error

    async def update(self, spec: ClusterSpec) -> None:
        try:
            await asyncio.shield(self._cluster(spec.id).update(spec))
        except (aiohttp.ClientError, CommandError, OSError) as error:
            raise ComputeError(f"Cluster {spec.name} could not be changed: {error}") from error
        self._publish()

    async def kubeconfig(self, cluster_id: str, admin: bool) -> bytes:
        return self._cluster(cluster_id).user_kubeconfig(admin)

    async def issuer_discovery(self, cluster_id: str) -> dict[str, object]:
        return self._cluster(cluster_id).published(DISCOVERY)

    async def issuer_keys(self, cluster_id: str) -> dict[str, object]:
        return self._cluster(cluster_id).published(KEYS)

    async def run_command(self, instance_id: str, script: str, timeout: float) -> tuple[int, bytes, bytes]:
        """The script runs as the guest agent would run it; it is killed, with its children, when time is up."""
        cluster, name = self._node(instance_id)
        file = cluster.add_script(name, script)
        process = await asyncio.create_subprocess_exec(
            "nsenter",
            f"--target={cluster.init_of(name)}",
            *("--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--root", "--wd"),
            *("env", "-i", "HOME=/root", "LANG=C.UTF-8"),
            "PATH=/opt/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            *("timeout", "--signal=KILL", str(timeout), "/bin/sh", file),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        try:
            output, errors = await process.communicate()
        except asyncio.CancelledError:
            os.killpg(process.pid, signal.SIGKILL)
            raise
        assert process.returncode is not None
        return process.returncode, output, errors

    async def reimage(self, instance_id: str) -> None:
        cluster, name = self._node(instance_id)
        try:
            await cluster.reimage(name)
        except (CommandError, OSError) as error:
            raise ComputeError(f"Node {name} did not start: {error}") from error

    def instance_at(self, address: str) -> str | None:
        place = network.node_at(address)
        for cluster in self._clusters.values():
            if place is not None and cluster.subnet.number == place[0] and place[1] < len(cluster.nodes):
                return cluster.nodes[place[1]].spec.instance_id
        return None

    def address_of(self, instance_id: str) -> str | None:
        machines = (machine for cluster in self._clusters.values() for machine in cluster.nodes)
        found = (machine.address for machine in machines if machine.spec.instance_id.lower() == instance_id.lower())
        return next(found, None)

    def _cluster(self, cluster_id: str) -> Cluster:
        try:
            return self._clusters[cluster_id.lower()]
        except KeyError:
            raise ComputeError(f"Cluster {cluster_id} is not running.") from None

    def _node(self, instance_id: str) -> tuple[Cluster, str]:
        for cluster in self._clusters.values():
            for machine in cluster.nodes:
                if machine.spec.instance_id.lower() == instance_id.lower():
                    return cluster, machine.spec.name
        raise ComputeError(f"Instance {instance_id} is not running.")

    def _publish(self) -> None:
        """Tell the resolver the names of all clusters."""
        names: dict[str, str] = {}
        for cluster in self._clusters.values():
            if not cluster.halted:  # as in Azure, where the name of a stopped one is gone
                names[cluster.spec.fqdn] = cluster.subnet.api_server
            issuer = urlsplit(cluster.spec.issuer_url or "").hostname
            if issuer is not None:
                names[issuer] = network.AZURE_ADDRESS
        resolver.publish(self._state, names)
